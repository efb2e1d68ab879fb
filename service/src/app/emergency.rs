//! Emergency access: taken by whoever needs it now, told to a deputy in the same commit, reviewed by somebody else.
//!
//! The access is its own review task: it waits for one from the moment it is taken, and no setting takes that away. What it
//! opens is said by the policies; how long it lasts, by the machine's clock.

use linli_core::emergency::{EmergencyAccess, EmergencyReview};
use linli_core::id::{EmergencyAccessId, ResidentId, SiteId, StaffId};
use linli_core::resident::FieldClass;
use linli_core::site::Site;
use linli_core::text::{Line, Paragraph};
use linli_store::{ResidentHead, StoredEmergencyAccess};

use super::file::require_active;
use super::resident::FileView;
use super::site::{Update, fresh, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, BATCHES_MAX, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InSite};

/// What a deputy says of an emergency access.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether it was justified.
    pub justified: bool,
    /// In their words.
    pub remark: Option<Line>,
}

impl App {
    /// Opens one file's contact details and cautions to the caller for two hours, for a reason that a deputy will read.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] where the caller's last access to the file was not reviewed yet, or the file is
    /// not active; [`Error::Denied`].
    pub async fn grant_emergency_access(
        &self,
        call: &Call,
        repeat: Repeat<EmergencyAccess>,
        at: InSite<ResidentId>,
        reason: Paragraph,
    ) -> Result<Answer<EmergencyAccess>> {
        let InSite { site, id: resident } = at;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &resident).await?;
        require_active(&head)?;
        let resident = head.id.clone();
        let staff = work.permit().principal().staff.clone();
        let now = self.system_clock.now();
        for file in head.files() {
            let earlier = self.store.emergency_accesses_of(&site, &file, &staff, now).await?;
            if earlier.iter().any(|stored| stored.access.review.is_none()) {
                // Nobody lengthens their own access.
                return Err(Error::State(StateConflict::AccessNotReviewed));
            }
        }
        let id = fresh(EmergencyAccessId::new(&work.new_id()))?;
        let access = EmergencyAccess::taken((site, id), resident, staff, reason, now);
        let mut changes = work.changes(&touches(&access.site, &access.id, &access.resident));
        changes.require_resident(&access.site, &access.resident, None);
        changes.put_emergency_access(access.clone());
        changes
            .event("emergency_access.review_due", name::emergency_access(&access.site, &access.id))
            // Of two at the same moment one is decided upon again, and finds the other.
            .bump_epoch();
        work.commit("emergency_access.grant", changes, &repeat, access).await
    }

    /// Says whether an emergency access was justified. What is left of its time ends with it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] where it was reviewed already, or is the caller's own; [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn review_emergency_access(
        &self,
        call: &Call,
        repeat: Repeat<EmergencyAccess>,
        update: Update<EmergencyAccessId, Verdict>,
    ) -> Result<Answer<EmergencyAccess>> {
        let Update { site, id, version, change } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let stored = self.store.emergency_access(&site, &id).await?;
        let stored = stored.filter(|stored| !work.hides(&stored.access.resident));
        let stored = stored.ok_or(Error::NotFound(Thing::EmergencyAccess))?;
        let staff = work.permit().principal().staff.clone();
        if stored.access.review.is_some() {
            return Err(Error::State(StateConflict::AccessReviewed));
        }
        if stored.access.staff == staff {
            return Err(Error::State(StateConflict::OwnAccess));
        }
        let version = next_version(stored.access.version, version)?;
        let touches = touches(&site, &id, &stored.access.resident);
        let receipt = work.disclose(&touches).await?;
        let access = stored.open(&self.store.opener(&receipt).await?)?;
        let Verdict { justified, remark } = change;
        let review = EmergencyReview { staff, reviewed_at: self.system_clock.now(), justified, remark };
        let access = EmergencyAccess { version, ..access.reviewed(review) };
        let mut changes = work.changes(&touches);
        changes.put_emergency_access(access.clone());
        // A right ends: who read by it a moment ago is decided upon again.
        changes.event("emergency_access.reviewed", name::emergency_access(&site, &id)).bump_epoch();
        work.commit("emergency_access.review", changes, &repeat, access).await
    }

    /// Emergency accesses of a site, oldest first, with their reasons where a purpose is stated; `waiting`: those that nobody has reviewed yet.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn emergency_accesses(
        &self,
        call: &Call,
        site: &SiteId,
        waiting: bool,
        page: PageRequest,
    ) -> Result<Page<EmergencyAccess>> {
        let work = self.begin(call, Some(site)).await?;
        let limit = u64::from(page.size) + 1;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = page.after;
        let mut found: Vec<StoredEmergencyAccess> = Vec::new();
        let mut exhausted = false;
        for _ in 0..BATCHES_MAX {
            let batch = self.store.emergency_accesses(site, waiting, after.as_deref(), limit).await?;
            exhausted = batch.len() < wanted;
            after = batch.last().map(|stored| stored.access.id.as_str().to_owned()).or(after);
            found.extend(batch.into_iter().filter(|stored| !work.hides(&stored.access.resident)));
            if exhausted || found.len() >= wanted {
                break;
            }
        }
        let cut = Page::cut(found, page.size, |stored| stored.access.id.as_str().to_owned());
        let mut subjects: Vec<String> =
            cut.items.iter().map(|stored| stored.access.resident.as_str().to_owned()).collect();
        subjects.sort();
        subjects.dedup();
        let touches = Touches::files(format!("{}/emergencyAccesses", name::site(site)), subjects, WORDS);
        let with_words = call.purpose.is_some();
        if with_words {
            work.reveal(&touches).await?;
        }
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut items = Vec::with_capacity(cut.items.len());
        for stored in cut.items {
            items.push(if with_words { stored.open(&opener)? } else { stored.access });
        }
        let looked_to = after.filter(|_| !exhausted && cut.next.is_none());
        Ok(Page { items, next: cut.next.or(looked_to) })
    }

    /// The access by which a file, or one that was merged with it, is open to somebody now.
    pub(super) async fn emergency_access_of(
        &self,
        site: &Site,
        resident: &ResidentId,
        staff: &StaffId,
    ) -> Result<Option<EmergencyAccessId>> {
        let now = self.system_clock.now();
        let head = self.find_head(&site.id, resident).await?;
        for file in head.iter().flat_map(ResidentHead::files) {
            let taken = self.store.emergency_accesses_of(&site.id, &file, staff, now).await?;
            if let Some(running) = taken.into_iter().find(|stored| stored.access.in_force(now)) {
                return Ok(Some(running.access.id));
            }
        }
        Ok(None)
    }
}

impl FileView {
    /// What is left for somebody who sees the file in an emergency: how to reach the person, and what to be careful of.
    #[must_use]
    pub(super) fn in_emergency(self, work: &Work<'_>) -> Self {
        if !work.is_in_emergency() {
            return self;
        }
        Self {
            facts: Vec::new(),
            tier: None,
            proposed_tier: None,
            groups: Vec::new(),
            tags: Vec::new(),
            assessed_at: None,
            stale: false,
            manual: false,
            ..self
        }
    }
}

/// The class of the words in it.
const WORDS: &[FieldClass] = &[FieldClass::Care];

fn touches<'a>(site: &SiteId, id: &EmergencyAccessId, resident: &ResidentId) -> Touches<'a> {
    Touches::files(name::emergency_access(site, id), vec![resident.as_str().to_owned()], WORDS)
}
