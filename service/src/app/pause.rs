//! Pauses: beginning, ending, confirming late ones, lists.

use futures_util::FutureExt;
use linli_core::id::{PauseId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::pause::{EXPECTED_RETURN_MAX_DAYS, Pause, PauseEnd, PauseReason};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::time::{CivilDate, SiteZone};

use super::file::{require_active, violation};
use super::site::{Update, fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name;

/// A pause to begin.
#[derive(Debug, Clone)]
pub struct NewPause {
    /// Why.
    pub reason: PauseReason,
    /// The day of leaving.
    pub left_on: CivilDate,
    /// The day of the expected return.
    pub expected_return: CivilDate,
    /// A remark.
    pub remark: Option<Line>,
}

/// Where a pause stands today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseState {
    /// Begins later.
    Planned,
    /// The person is away.
    Running,
    /// The expected return has passed and no return was recorded: duties run again.
    Overdue,
    /// The person is back.
    Ended,
}

/// A pause as an answer shows it.
#[derive(Debug, Clone)]
pub struct PauseView {
    /// The pause; `remark` only in answers to commands.
    pub pause: Pause,
    /// Where it stands.
    pub state: PauseState,
    /// Whether it excuses past windows only once a deputy confirms it.
    pub needs_confirmation: bool,
}

impl App {
    /// Lets the pausable duties towards a resident rest for a time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn pause(
        &self,
        call: &Call,
        repeat: Repeat<PauseView>,
        site: SiteId,
        id: ResidentId,
        new: NewPause,
    ) -> Result<Answer<PauseView>> {
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id.clone();
        let today = work.today();
        let mut violations = Vec::new();
        if new.left_on < head.tenure.moved_in {
            violations.push(violation("pause.leave_date", Invalid::BeforeTenure));
        }
        let ahead = new.expected_return.days().saturating_sub(today.days());
        if ahead > i32::try_from(EXPECTED_RETURN_MAX_DAYS).unwrap_or(i32::MAX) {
            let why = Invalid::TooFarAhead { max_days: EXPECTED_RETURN_MAX_DAYS };
            violations.push(violation("pause.expected_return_date", why));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let others = self.store.pauses(&site, &head.files()).await?;
        // The day of return may be the day of leaving again: both are active.
        let overlaps = |other: &Pause| {
            let back = match other.ended {
                Some(end) => end.returned_on,
                // Nobody has come back yet: that pause has to be ended before another begins.
                None if other.expected_return < today => CivilDate::MAX,
                None => other.expected_return,
            };
            other.left_on < new.expected_return && new.left_on < back
        };
        if others.iter().any(|other| overlaps(&other.pause)) {
            return Err(Error::State(StateConflict::PauseOverlaps));
        }
        let pause = Pause {
            id: fresh(PauseId::new(&work.new_id()))?,
            reason: new.reason,
            remark: new.remark,
            left_on: new.left_on,
            expected_return: new.expected_return,
            recorded_at: work.now,
            ended: None,
            confirmed_at: None,
            version: 1,
            site,
            resident: id,
        };
        let mut changes = work.changes(&touches(&pause.site, &pause.resident));
        // Guarding on the file's version makes two overlapping pauses at the same time impossible.
        let mut touched = head.clone();
        touched.version = next_version(head.version, None)?;
        touched.updated_at = work.now;
        changes.update_resident(touched, linli_store::CellChanges::default());
        changes.put_pause(pause.clone());
        changes.event("pause.begun", name::pause(&pause.site, &pause.resident, &pause.id));
        let view = view(pause, work.zone(), today);
        work.commit("pause.begin", changes, &repeat, view).await
    }

    /// Records that the resident is back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn end_pause(
        &self,
        call: &Call,
        repeat: Repeat<PauseView>,
        resident: ResidentId,
        update: Update<PauseId, CivilDate>,
    ) -> Result<Answer<PauseView>> {
        let Update { site, id, version, change: on } = update;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let today = work.today();
        let mut pause = self.load_pause(&work, &site, &resident, &id).await?;
        if pause.ended.is_some() {
            return Err(Error::State(StateConflict::PauseEnded));
        }
        if on > today {
            return Err(invalid("return_date", Invalid::Future));
        }
        if on < pause.left_on {
            return Err(invalid("return_date", Invalid::EndsBeforeStart));
        }
        pause.version = next_version(pause.version, version)?;
        pause.ended = Some(PauseEnd { returned_on: on, recorded_at: work.now });
        let mut changes = work.changes(&touches(&site, &resident));
        changes.put_pause(pause.clone()).event("pause.ended", name::pause(&site, &resident, &id));
        work.commit("pause.end", changes, &repeat, view(pause, work.zone(), today)).await
    }

    /// Confirms a pause that was recorded too late to excuse by itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn confirm_pause(
        &self,
        call: &Call,
        repeat: Repeat<PauseView>,
        resident: ResidentId,
        update: Update<PauseId, ()>,
    ) -> Result<Answer<PauseView>> {
        let Update { site, id, version, .. } = update;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let today = work.today();
        let mut pause = self.load_pause(&work, &site, &resident, &id).await?;
        if !is_late(&pause, work.zone().date_of(pause.recorded_at)) {
            return Err(Error::State(StateConflict::PauseNotAwaiting));
        }
        pause.version = next_version(pause.version, version)?;
        pause.confirmed_at = Some(work.now);
        let mut changes = work.changes(&touches(&site, &resident));
        changes.put_pause(pause.clone()).event("pause.confirmed", name::pause(&site, &resident, &id));
        work.commit("pause.confirm", changes, &repeat, view(pause, work.zone(), today)).await
    }

    /// Pauses of a resident, newest first; or those of all residents of a site, by resident.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn pauses(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        awaiting: bool,
        page: PageRequest,
    ) -> Result<Page<PauseView>> {
        let work = self.begin_of(call, site, resident).await?;
        let zone = work.zone();
        let today = work.today();
        self.of_residents(&work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let mut pauses: Vec<Pause> =
                    self.store.pauses(site, &ids).await?.into_iter().map(|stored| stored.pause).collect();
                pauses.sort_by(|a, b| {
                    a.resident.cmp(&b.resident).then_with(|| (b.left_on, &b.id).cmp(&(a.left_on, &a.id)))
                });
                let views = pauses.into_iter().map(|pause| view(pause, zone, today));
                let views = views.filter(|view| !awaiting || view.needs_confirmation);
                Ok(views
                    .map(|view| (view.pause.resident.clone(), view.pause.id.as_str().to_owned(), view))
                    .collect())
            }
            .boxed()
        })
        .await
    }

    /// A pause with its remark, opened under an audit entry where it has one.
    async fn load_pause(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        resident: &ResidentId,
        id: &PauseId,
    ) -> Result<Pause> {
        self.load_head(work, site, resident).await?;
        let stored = self.store.pause(site, resident, id).await?.ok_or(Error::NotFound(Thing::Pause))?;
        let mut pause = stored.pause;
        if let Some(remark) = &stored.remark {
            let receipt = work.disclose(&touches(site, resident)).await?;
            pause.remark = Some(self.store.opener(&receipt).await?.open(remark)?);
        }
        Ok(pause)
    }
}

/// Whether the pause reaches back before the day of its recording and was not confirmed: windows that had ended by
/// then it excuses only once a deputy confirms it.
fn is_late(pause: &Pause, recorded_on: CivilDate) -> bool {
    pause.confirmed_at.is_none() && pause.left_on.plus_days(1) < recorded_on
}

fn view(pause: Pause, zone: SiteZone, today: CivilDate) -> PauseView {
    let needs_confirmation = is_late(&pause, zone.date_of(pause.recorded_at));
    let state = match pause.ended {
        Some(_) => PauseState::Ended,
        None if pause.left_on > today => PauseState::Planned,
        None if pause.expected_return < today => PauseState::Overdue,
        None => PauseState::Running,
    };
    PauseView { pause, state, needs_confirmation }
}

fn touches<'a>(site: &SiteId, resident: &ResidentId) -> Touches<'a> {
    Touches::files(
        name::resident(site, resident),
        vec![resident.as_str().to_owned()],
        &[FieldClass::Care, FieldClass::Health],
    )
}
