//! Accessible facilities: their register, their inspection, their defects.
//!
//! Nothing here is personal: reads need a permit but leave no audit entry of their own.

use std::collections::HashMap;

use linli_core::facility::{Facility, FacilityKind};
use linli_core::id::{FacilityId, RequestId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, ServiceKind};
use linli_core::obligation::{Obligation, ObligationStatus};
use linli_core::record::{Outcome, SubjectOutcome};
use linli_core::request::{RequestKind, RequestUrgency};
use linli_core::standard::Duty;
use linli_core::text::{Line, Paragraph};
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::{Page as StorePage, Sites as StoreSites};

use super::estate::{BATCH, Estate, Owed};
use super::file::violation;
use super::record::{NewRecord, RecordView};
use super::request::{RequestView, Submitted};
use super::site::{Update, fresh, invalid, next_version};
use super::work::Touches;
use super::{Answer, App, BATCHES_MAX, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name;

/// A facility to be registered.
#[derive(Debug, Clone)]
pub struct NewFacility {
    /// The id, where the caller chooses it.
    pub id: Option<FacilityId>,
    /// What it is.
    pub kind: FacilityKind,
    /// Its name.
    pub title: Line,
    /// Its building.
    pub building: Option<Line>,
}

/// What may change about a facility; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct FacilityUpdate {
    /// What it is.
    pub kind: Option<FacilityKind>,
    /// Its name.
    pub title: Option<Line>,
    /// Its building; `Some(None)` removes it.
    pub building: Option<Option<Line>>,
    /// The first day on which it is no longer there; `Some(None)`: it is there.
    pub retired_on: Option<Option<CivilDate>>,
}

/// Which facilities a list holds; all given conditions hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct FacilityFilter {
    /// Of this kind.
    pub kind: Option<FacilityKind>,
    /// Whose inspection is overdue.
    pub overdue: bool,
    /// With open defects.
    pub defective: bool,
    /// Also those that are retired.
    pub retired: bool,
}

/// A facility as an answer shows it.
#[derive(Debug, Clone)]
pub struct FacilityView {
    /// The facility.
    pub facility: Facility,
    /// When it was last inspected.
    pub inspected_at: Option<Instant>,
    /// Whether an inspection was missed and none was made since.
    pub overdue: bool,
    /// Its defects that are not repaired.
    pub defects: Vec<RequestId>,
}

impl FacilityView {
    /// A facility that is being written.
    fn written(facility: Facility) -> Self {
        Self { facility, inspected_at: None, overdue: false, defects: Vec::new() }
    }
}

/// An inspection.
#[derive(Debug, Clone)]
pub struct NewInspection {
    /// Of these, each once.
    pub facilities: Vec<FacilityId>,
    /// When.
    pub occurred_at: Instant,
    /// By whom; `None`: the caller.
    pub performer: Option<StaffId>,
}

/// A defect.
#[derive(Debug, Clone)]
pub struct NewDefect {
    /// What is wrong.
    pub description: Paragraph,
    /// Whether somebody may come to harm.
    pub dangerous: bool,
    /// When it was found; `None`: now.
    pub found_at: Option<Instant>,
}

impl App {
    /// One facility.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn facility(&self, call: &Call, site: &SiteId, id: &FacilityId) -> Result<FacilityView> {
        let work = self.begin(call, Some(site)).await?;
        let facility = self.load_facility(site, id).await?;
        let (days, sight) = (yesterday_and_today(work.today()), work.sight().clone());
        let estate = Estate::open(self, work.site()?, work.now, days, sight).await?;
        let mut found = self.facility_views(&estate, vec![facility]).await?;
        found.pop().ok_or(Error::NotFound(Thing::Facility))
    }

    /// The facilities of a site that fit, by id. A page may be short while another follows.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::PageToken`], [`Error::Denied`].
    pub async fn facilities(
        &self,
        call: &Call,
        site: &SiteId,
        filter: FacilityFilter,
        page: PageRequest,
    ) -> Result<Page<FacilityView>> {
        let work = self.begin(call, Some(site)).await?;
        let today = work.today();
        let sight = work.sight().clone();
        let estate = Estate::open(self, work.site()?, work.now, yesterday_and_today(today), sight).await?;
        let mut after =
            page.after.as_deref().map(FacilityId::new).transpose().map_err(|_| Error::PageToken)?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut found = Vec::new();
        for batches in 1.. {
            let next = match &after {
                Some(after) => StorePage::after(site.as_str(), after.as_str(), BATCH),
                None => StorePage::first(BATCH),
            };
            let facilities = self.store.facilities(&StoreSites::from(site), &next).await?;
            let exhausted = u64::try_from(facilities.len()).is_ok_and(|count| count < BATCH);
            after = facilities.last().map(|facility| facility.id.clone()).or(after);
            let fits = |facility: &Facility| {
                filter.kind.is_none_or(|kind| facility.kind == kind)
                    && (filter.retired || facility.retired_on.is_none_or(|retired| today < retired))
            };
            let facilities = facilities.into_iter().filter(fits).collect();
            let views = self.facility_views(&estate, facilities).await?.into_iter();
            found.extend(views.filter(|view| {
                (!filter.overdue || view.overdue) && (!filter.defective || !view.defects.is_empty())
            }));
            if exhausted || found.len() >= wanted || batches >= BATCHES_MAX {
                let id = |view: &FacilityView| view.facility.id.as_str().to_owned();
                let mut cut = Page::cut(found, page.size, id);
                if !exhausted && cut.next.is_none() {
                    cut.next = after.map(|after| after.as_str().to_owned());
                }
                return Ok(cut);
            }
        }
        Err(Error::Internal("a list without an end".into()))
    }

    /// Registers a facility.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`].
    pub async fn create_facility(
        &self,
        call: &Call,
        repeat: Repeat<FacilityView>,
        site: SiteId,
        new: NewFacility,
    ) -> Result<Answer<FacilityView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(FacilityId::new(&work.new_id()))?,
        };
        let NewFacility { kind, title, building, .. } = new;
        let (created_at, retired_on) = (work.now, None);
        let facility = Facility { site, id, kind, title, building, created_at, retired_on, version: 1 };
        let resource = name::facility(&facility.site, &facility.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_facility(facility.clone()).event("facility.created", resource);
        work.commit("facility.create", changes, &repeat, FacilityView::written(facility)).await
    }

    /// Changes a facility, or retires it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn update_facility(
        &self,
        call: &Call,
        repeat: Repeat<FacilityView>,
        update: Update<FacilityId, FacilityUpdate>,
    ) -> Result<Answer<FacilityView>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut facility = self.load_facility(&update.site, &update.id).await?;
        facility.version = next_version(facility.version, update.version)?;
        let FacilityUpdate { kind, title, building, retired_on } = update.change;
        facility.kind = kind.unwrap_or(facility.kind);
        facility.title = title.unwrap_or(facility.title);
        facility.building = building.unwrap_or(facility.building);
        facility.retired_on = retired_on.unwrap_or(facility.retired_on);
        let registered = work.zone().date_of(facility.created_at);
        if facility.retired_on.is_some_and(|retired| retired < registered) {
            return Err(invalid("facility.retire_date", Invalid::EndsBeforeStart));
        }
        let resource = name::facility(&facility.site, &facility.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_facility(facility.clone()).event("facility.updated", resource);
        work.commit("facility.update", changes, &repeat, FacilityView::written(facility)).await
    }

    /// Records an inspection of facilities: a round like any other.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::Invalid`], [`Error::Denied`].
    pub async fn record_inspection(
        &self,
        call: &Call,
        repeat: Repeat<RecordView>,
        site: SiteId,
        new: NewInspection,
    ) -> Result<Answer<RecordView>> {
        let work = self.begin(call, Some(&site)).await?;
        let day = work.zone().date_of(new.occurred_at);
        let known = self.store.facilities_by_id(&site, &new.facilities).await?;
        let mut violations = Vec::new();
        for (at, id) in new.facilities.iter().enumerate() {
            let refused = match known.iter().find(|facility| facility.id == *id) {
                None => Some(Invalid::Unknown),
                Some(facility) if is_gone(facility, day) => Some(Invalid::NotAllowed),
                Some(_) => None,
            };
            violations.extend(refused.map(|why| violation(format!("facilities[{at}]"), why)));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let seen = |id| SubjectOutcome {
            subject: Subject::Facility(id),
            outcome: Outcome::Done,
            answers: Vec::new(),
            content: None,
        };
        let round = NewRecord {
            kind: ServiceKind::Inspection,
            occurred_at: new.occurred_at,
            performer: new.performer,
            department: Some(Department::Engineering),
            subjects: new.facilities.into_iter().map(seen).collect(),
        };
        self.record_round(call, repeat, site, round).await
    }

    /// Reports a defect: a request to engineering.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] for a facility that is retired, [`Error::Invalid`], [`Error::Denied`].
    pub async fn report_defect(
        &self,
        call: &Call,
        repeat: Repeat<RequestView>,
        site: SiteId,
        id: FacilityId,
        new: NewDefect,
    ) -> Result<Answer<RequestView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let facility = self.load_facility(&site, &id).await?;
        if is_gone(&facility, work.today()) {
            return Err(Error::State(StateConflict::FacilityRetired));
        }
        let at = new.found_at.unwrap_or(work.now);
        if at > work.now {
            return Err(invalid("occur_time", Invalid::Future));
        }
        let urgency = if new.dangerous { RequestUrgency::Priority } else { RequestUrgency::Routine };
        let subject = Subject::Facility(id.clone());
        let defect = Submitted { kind: RequestKind::FacilityDefect, urgency, subject, at };
        let (request, mut changes) = self.submitted(&work, &site, defect, new.description)?;
        changes.require_facility(&site, &id);
        let view = self.written(&work, request.clone()).await?;
        changes.put_request(request);
        work.commit("facility.report_defect", changes, &repeat, view).await
    }

    async fn load_facility(&self, site: &SiteId, id: &FacilityId) -> Result<Facility> {
        self.store.facility(site, id).await?.ok_or(Error::NotFound(Thing::Facility))
    }

    /// Facilities with their inspections and open defects.
    async fn facility_views(
        &self,
        estate: &Estate<'_>,
        facilities: Vec<Facility>,
    ) -> Result<Vec<FacilityView>> {
        let subjects: Vec<Subject> =
            facilities.iter().map(|facility| Subject::Facility(facility.id.clone())).collect();
        let (owed, open) = tokio::join!(
            estate.of_facilities(&facilities),
            self.store.open_requests_about(&estate.site.id, &subjects),
        );
        let mut defects: HashMap<Subject, Vec<RequestId>> = HashMap::new();
        for request in open? {
            defects.entry(request.subject).or_default().push(request.id);
        }
        let views = facilities.into_iter().zip(owed?).map(|(facility, owed)| FacilityView {
            inspected_at: inspected_at(&owed),
            overdue: is_overdue(&owed.obligations, estate.today),
            defects: defects.remove(&owed.subject).unwrap_or_default(),
            facility,
        });
        Ok(views.collect())
    }
}

/// The days of which an answer must know whether an inspection was missed.
fn yesterday_and_today(today: CivilDate) -> DateRange {
    DateRange::new(today.plus_days(-1), today.plus_days(1))
}

fn is_gone(facility: &Facility, day: CivilDate) -> bool {
    facility.retired_on.is_some_and(|retired| retired <= day)
}

fn inspected_at(owed: &Owed) -> Option<Instant> {
    let inspections = owed.records.iter().filter(|record| {
        record.kind == ServiceKind::Inspection
            && record.outcome == Outcome::Done
            && record.voided_at.is_none()
    });
    inspections.map(|record| record.occurred_at).max()
}

/// Whether something recurring was missed and the window after it has nothing yet.
fn is_overdue(obligations: &[Obligation], today: CivilDate) -> bool {
    let recurs = |obligation: &&Obligation| matches!(obligation.standard.duty, Duty::Recurring { .. });
    let made_since = |missed: &Obligation| {
        obligations.iter().any(|other| {
            other.standard.code == missed.standard.code && other.window.contains(today) && other.credited > 0
        })
    };
    let mut missed =
        obligations.iter().filter(recurs).filter(|obligation| obligation.status == ObligationStatus::Missed);
    missed.any(|missed| !made_since(missed))
}
