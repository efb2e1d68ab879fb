//! Waivers: what a resident does without for a time. Asked for, approved by somebody else, ended.

use futures_util::FutureExt;
use linli_core::applied::WaiverCause;
use linli_core::id::{ResidentId, SiteId, StandardCode, WaiverId};
use linli_core::invalid::Invalid;
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::time::CivilDate;
use linli_core::waiver::{StandardWaiver, WAIVER_MAX_DAYS, WaiverState};

use super::file::{require_active, violation};
use super::site::{Update, fresh, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InSite};

/// A waiver to be asked for.
#[derive(Debug, Clone)]
pub struct NewWaiver {
    /// The standard.
    pub standard: StandardCode,
    /// Why, of a list.
    pub cause: WaiverCause,
    /// Why, in words.
    pub reason: Line,
    /// The first day; `None`: today.
    pub from: Option<CivilDate>,
    /// The last day.
    pub to: CivilDate,
}

/// A waiver as an answer shows it.
#[derive(Debug, Clone)]
pub struct WaiverView {
    /// The waiver; `reason` only in answers to commands.
    pub waiver: StandardWaiver,
    /// Where it stands.
    pub state: WaiverState,
}

impl App {
    /// Asks that a standard not be carried out for a resident for a time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn waive_standard(
        &self,
        call: &Call,
        repeat: Repeat<WaiverView>,
        at: InSite<ResidentId>,
        new: NewWaiver,
    ) -> Result<Answer<WaiverView>> {
        let InSite { site, id } = at;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id;
        let today = work.today();
        let from = new.from.unwrap_or(today);
        let mut violations = Vec::new();
        let promised = self.promised(&work, &site, &id).await?;
        match promised.iter().find(|standard| standard.code == new.standard) {
            None => violations.push(violation("waiver.standard", Invalid::Unknown)),
            // Whoever was not reached is looked for, whatever was agreed before.
            Some(standard) if standard.ladder.is_some() || standard.accepts.is_empty() => {
                violations.push(violation("waiver.standard", Invalid::NotAllowed));
            }
            Some(_) => {}
        }
        if from < today {
            violations.push(violation("waiver.start_date", Invalid::Past));
        }
        if new.to < from {
            violations.push(violation("waiver.end_date", Invalid::EndsBeforeStart));
        } else if new.to.days() - today.days() > WAIVER_MAX_DAYS.cast_signed() {
            violations.push(violation("waiver.end_date", Invalid::TooFarAhead { max_days: WAIVER_MAX_DAYS }));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let waiver = StandardWaiver {
            id: fresh(WaiverId::new(&work.new_id()))?,
            site,
            resident: id,
            standard: new.standard,
            cause: new.cause,
            reason: Some(new.reason),
            from,
            until: new.to.plus_days(1),
            requested: work.signed(),
            approved: None,
            ended: None,
            version: 1,
        };
        self.store_waiver(&work, &repeat, waiver, ("waiver.request", "waiver.requested")).await
    }

    /// Approves a waiver; whoever asked for it cannot.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn approve_waiver(
        &self,
        call: &Call,
        repeat: Repeat<WaiverView>,
        resident: ResidentId,
        update: Update<WaiverId, ()>,
    ) -> Result<Answer<WaiverView>> {
        let names = ("waiver.approve", "waiver.approved");
        self.change_waiver(call, repeat, resident, update, names, |work, waiver| {
            match waiver.state(work.zone(), work.now) {
                WaiverState::Requested => {}
                WaiverState::Planned | WaiverState::InForce | WaiverState::Expired | WaiverState::Ended => {
                    return Err(Error::State(StateConflict::WaiverNotAwaiting));
                }
            }
            waiver.approved = Some(work.countersigned(&waiver.requested)?);
            Ok(())
        })
        .await
    }

    /// Ends a waiver before its last day, or takes the request back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn end_waiver(
        &self,
        call: &Call,
        repeat: Repeat<WaiverView>,
        resident: ResidentId,
        update: Update<WaiverId, ()>,
    ) -> Result<Answer<WaiverView>> {
        let names = ("waiver.end", "waiver.ended");
        self.change_waiver(call, repeat, resident, update, names, |work, waiver| {
            match waiver.state(work.zone(), work.now) {
                WaiverState::Requested | WaiverState::Planned | WaiverState::InForce => {}
                WaiverState::Expired | WaiverState::Ended => {
                    return Err(Error::State(StateConflict::WaiverOver));
                }
            }
            waiver.ended = Some(work.signed());
            Ok(())
        })
        .await
    }

    /// Waivers of a resident, newest first; or those of all residents of a site, by resident.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn waivers(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        state: Option<WaiverState>,
        page: PageRequest,
    ) -> Result<Page<WaiverView>> {
        let work = self.begin_of(call, site, resident).await?;
        let (zone, now) = (work.zone(), work.now);
        self.of_residents(&work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let mut waivers: Vec<StandardWaiver> =
                    self.store.waivers(site, &ids).await?.into_iter().map(|stored| stored.waiver).collect();
                // Ids grow with time.
                waivers.sort_by(|a, b| a.resident.cmp(&b.resident).then_with(|| b.id.cmp(&a.id)));
                let views =
                    waivers.into_iter().map(|waiver| WaiverView { state: waiver.state(zone, now), waiver });
                let views = views.filter(|view| state.is_none_or(|state| view.state == state));
                Ok(views
                    .map(|view| (view.waiver.resident.clone(), view.waiver.id.as_str().to_owned(), view))
                    .collect())
            }
            .boxed()
        })
        .await
    }

    async fn change_waiver(
        &self,
        call: &Call,
        repeat: Repeat<WaiverView>,
        resident: ResidentId,
        update: Update<WaiverId, ()>,
        names: (&'static str, &'static str),
        change: impl FnOnce(&Work<'_>, &mut StandardWaiver) -> Result<()> + Send,
    ) -> Result<Answer<WaiverView>> {
        let Update { site, id, version, .. } = update;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        self.load_head(&work, &site, &resident).await?;
        let stored = self.store.waiver(&site, &resident, &id).await?.ok_or(Error::NotFound(Thing::Waiver))?;
        let mut waiver = stored.waiver;
        waiver.version = next_version(waiver.version, version)?;
        change(&work, &mut waiver)?;
        if let Some(reason) = &stored.reason {
            let receipt = work.disclose(&touches(&site, &resident)).await?;
            waiver.reason = Some(self.store.opener(&receipt).await?.open(reason)?);
        }
        self.store_waiver(&work, &repeat, waiver, names).await
    }

    async fn store_waiver(
        &self,
        work: &Work<'_>,
        repeat: &Repeat<WaiverView>,
        waiver: StandardWaiver,
        (commit, event): (&'static str, &'static str),
    ) -> Result<Answer<WaiverView>> {
        let mut changes = work.changes(&touches(&waiver.site, &waiver.resident));
        changes.require_resident(&waiver.site, &waiver.resident, None);
        changes.put_waiver(waiver.clone());
        changes.event(event, name::waiver(&waiver.site, &waiver.resident, &waiver.id));
        let view = WaiverView { state: waiver.state(work.zone(), work.now), waiver };
        work.commit(commit, changes, repeat, view).await
    }
}

fn touches<'a>(site: &SiteId, resident: &ResidentId) -> Touches<'a> {
    Touches::files(name::resident(site, resident), vec![resident.as_str().to_owned()], &[FieldClass::Care])
}
