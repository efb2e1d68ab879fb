//! Activities: planned for an occasion, held, attended.
//!
//! Who came is what the service records say: an attendance names its record, and the correction of a record corrects the attendance.

use std::collections::{BTreeSet, HashMap};

use futures_util::FutureExt;
use linli_core::activity::{
    ATTENDANCES_MAX, Activity, ActivityCost, ActivityCourse, ActivityKind, ActivityState, Attendance, Season,
};
use linli_core::fund::{Cause, Fen, Spending};
use linli_core::id::{ActivityId, GroupCode, RecordId, ResidentId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::Occasion;
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::{PAGE_MAX, Sites, StoredRecord};

use super::contest::{contended, won};
use super::estate::{Estate, calendar_error};
use super::file::violation;
use super::record::department_of;
use super::site::{Update, filtered, fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name::{self, InSite};

/// An activity to be planned.
#[derive(Debug, Clone)]
pub struct NewActivity {
    /// The id, where the caller chooses it.
    pub id: Option<ActivityId>,
    /// What kind.
    pub kind: ActivityKind,
    /// What people call it.
    pub title: Line,
    /// The occasion.
    pub occasion: Option<Occasion>,
    /// The day.
    pub day: CivilDate,
    /// Where.
    pub place: Option<Line>,
    /// Who is invited.
    pub groups: Vec<GroupCode>,
    /// What it may cost.
    pub budget: Option<Fen>,
}

/// What may change about a planned activity; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ActivityUpdate {
    /// What people call it.
    pub title: Option<Line>,
    /// The occasion; `Some(None)` removes it.
    pub occasion: Option<Option<Occasion>>,
    /// The day.
    pub day: Option<CivilDate>,
    /// Where; `Some(None)` removes it.
    pub place: Option<Option<Line>>,
    /// Who is invited.
    pub groups: Option<Vec<GroupCode>>,
    /// What it may cost; `Some(None)` removes it.
    pub budget: Option<Option<Fen>>,
}

/// Which activities a list holds; all given conditions hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActivityFilter {
    /// Of this kind.
    pub kind: Option<ActivityKind>,
    /// In this state.
    pub state: Option<ActivityState>,
    /// For this occasion.
    pub occasion: Option<Occasion>,
}

/// What becomes of a planned activity.
#[derive(Debug, Clone)]
pub enum Outlook {
    /// It is held, since then; `None`: now.
    Held(Option<Instant>),
    /// It will not be held, and why.
    Cancelled(Line),
}

/// An attendance to be recorded.
#[derive(Debug, Clone)]
pub struct NewAttendance {
    /// Who came, or was visited; each once.
    pub residents: Vec<ResidentId>,
    /// Who helped; each once.
    pub staff: Vec<StaffId>,
    /// When; `None`: when the activity began.
    pub occurred_at: Option<Instant>,
}

/// An activity as an answer shows it.
#[derive(Debug, Clone)]
pub struct ActivityView {
    /// The activity.
    pub activity: Activity,
    /// Its occasion in the year.
    pub season: Option<Season>,
    /// What it costs.
    pub cost: ActivityCost,
    /// How many residents came, where an answer says so.
    pub residents: u32,
    /// How many helped, where an answer says so.
    pub staff: u32,
}

/// An attendance as an answer shows it.
#[derive(Debug, Clone)]
pub struct AttendanceView {
    /// The attendance.
    pub attendance: Attendance,
    /// When.
    pub occurred_at: Instant,
    /// Who came.
    pub residents: Vec<ResidentId>,
}

impl App {
    /// Plans an activity.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Invalid`], [`Error::Denied`].
    pub async fn plan_activity(
        &self,
        call: &Call,
        repeat: Repeat<ActivityView>,
        site: SiteId,
        new: NewActivity,
    ) -> Result<Answer<ActivityView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        self.check_groups(&new.groups)?;
        let id = match new.id {
            Some(id) => id,
            None => fresh(ActivityId::new(&work.new_id()))?,
        };
        let NewActivity { kind, title, occasion, day, place, groups, budget, .. } = new;
        let planned = work.signed();
        let course = ActivityCourse::Planned;
        let activity = Activity {
            site,
            id,
            kind,
            title,
            occasion,
            day,
            place,
            groups,
            budget,
            planned,
            course,
            version: 1,
        };
        let resource = name::activity(&activity.site, &activity.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.require_site(&activity.site);
        changes.put_activity(activity.clone()).event("activity.planned", resource);
        let view = self.written_activity(&work, activity).await?;
        work.commit("activity.plan", changes, &repeat, view).await
    }

    /// One activity, with its cost and how many came.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn activity(&self, call: &Call, at: &InSite<ActivityId>) -> Result<ActivityView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let activity = self.load_activity(&at.site, &at.id).await?;
        let view = self.written_activity(&work, activity).await?;
        let (mut residents, mut staff) = (BTreeSet::new(), BTreeSet::new());
        let mut after: Option<RecordId> = None;
        loop {
            let batch = self.store.attendances(&at.site, &at.id, after.as_ref(), PAGE_MAX).await?;
            let Some(last) = batch.last() else { break };
            after = Some(last.record.clone());
            for attended in self.attended(&work, &at.site, batch).await? {
                residents.extend(attended.residents);
                staff.extend(attended.attendance.staff);
            }
        }
        let count = |people: usize| u32::try_from(people).unwrap_or(u32::MAX);
        Ok(ActivityView { residents: count(residents.len()), staff: count(staff.len()), ..view })
    }

    /// The activities of a site that fit, by id, with their cost.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::PageToken`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn activities(
        &self,
        call: &Call,
        site: &SiteId,
        filter: ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<ActivityView>> {
        let work = self.begin(call, Some(site)).await?;
        let fits = |activity: &Activity| {
            filter.kind.is_none_or(|kind| activity.kind == kind)
                && filter.state.is_none_or(|state| activity.state() == state)
                && filter.occasion.is_none_or(|occasion| activity.occasion == Some(occasion))
        };
        let id = |activity: &Activity| (activity.site.clone(), activity.id.as_str().to_owned());
        let found = filtered(Sites::from(site), &page, fits, id, |sites, next| {
            async move { Ok(self.store.activities(&sites, &next).await?) }.boxed()
        })
        .await?;
        Ok(Page { items: self.activity_views(&work, found.items).await?, next: found.next })
    }

    /// Changes a planned activity.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] for one that was held or cancelled, [`Error::Invalid`],
    /// [`Error::Denied`].
    pub async fn update_activity(
        &self,
        call: &Call,
        repeat: Repeat<ActivityView>,
        update: Update<ActivityId, ActivityUpdate>,
    ) -> Result<Answer<ActivityView>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut activity = self.load_planned(&update.site, &update.id, update.version).await?;
        let ActivityUpdate { title, occasion, day, place, groups, budget } = update.change;
        self.check_groups(groups.as_deref().unwrap_or_default())?;
        activity.title = title.unwrap_or(activity.title);
        activity.occasion = occasion.unwrap_or(activity.occasion);
        activity.day = day.unwrap_or(activity.day);
        activity.place = place.unwrap_or(activity.place);
        activity.groups = groups.unwrap_or(activity.groups);
        activity.budget = budget.unwrap_or(activity.budget);
        self.put_activity(&work, &repeat, activity, ("activity.update", "activity.updated")).await
    }

    /// Says what becomes of a planned activity.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] for one that was held or cancelled, [`Error::Invalid`] for a
    /// time in the future, [`Error::Denied`].
    pub async fn settle_activity(
        &self,
        call: &Call,
        repeat: Repeat<ActivityView>,
        update: Update<ActivityId, Outlook>,
    ) -> Result<Answer<ActivityView>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut activity = self.load_planned(&update.site, &update.id, update.version).await?;
        let noted = work.signed();
        let (course, said) = match update.change {
            Outlook::Held(at) => {
                let at = at.unwrap_or(work.now);
                if at > work.now {
                    return Err(invalid("hold_time", Invalid::Future));
                }
                (ActivityCourse::Held { at, noted }, ("activity.hold", "activity.held"))
            }
            Outlook::Cancelled(reason) => {
                (ActivityCourse::Cancelled { reason, noted }, ("activity.cancel", "activity.cancelled"))
            }
        };
        activity.course = course;
        self.put_activity(&work, &repeat, activity, said).await
    }

    /// Records who came to an activity, or was visited.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] for an activity that was not held and where a file is sealed, [`Error::Invalid`],
    /// [`Error::Denied`].
    pub async fn record_attendance(
        &self,
        call: &Call,
        repeat: Repeat<AttendanceView>,
        at: InSite<ActivityId>,
        new: NewAttendance,
    ) -> Result<Answer<AttendanceView>> {
        contended(|| self.try_record_attendance(call, &repeat, &at, &new)).await
    }

    async fn try_record_attendance(
        &self,
        call: &Call,
        repeat: &Repeat<AttendanceView>,
        at: &InSite<ActivityId>,
        new: &NewAttendance,
    ) -> Result<Option<Answer<AttendanceView>>> {
        let InSite { site, id } = at;
        let work = self.begin(call, Some(site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut activity = self.load_activity(site, id).await?;
        let ActivityCourse::Held { at: began, .. } = activity.course else {
            return Err(Error::State(StateConflict::ActivityNotHeld));
        };
        let occurred_at = new.occurred_at.unwrap_or(began);
        let day = work.zone().date_of(occurred_at);
        let mut violations: Vec<Violation> = Vec::new();
        if occurred_at > work.now {
            violations.push(violation("occur_time", Invalid::Future));
        } else if day < work.zone().date_of(began) {
            violations.push(violation("occur_time", Invalid::OutsidePeriod));
        }
        let limit = u64::try_from(ATTENDANCES_MAX).unwrap_or(u64::MAX);
        if self.store.attendances(site, id, None, limit).await?.len() >= ATTENDANCES_MAX {
            violations.push(violation("residents", Invalid::TooMany { max: ATTENDANCES_MAX }));
        }
        let named = new.residents.iter().enumerate();
        let named = named.map(|(place, id)| (format!("residents[{place}]"), id)).collect();
        let heads = self.named_files(&work, site, day, named, &mut violations).await?;
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let residents: Vec<ResidentId> = heads.into_iter().flatten().map(|head| head.id).collect();
        let kind = activity.kind.service();
        let came = |id: &ResidentId| SubjectOutcome {
            subject: Subject::Resident(id.clone()),
            outcome: Outcome::Done,
            answers: Vec::new(),
            content: None,
        };
        let performer = new.staff.first().cloned();
        let record = ServiceRecord {
            site: site.clone(),
            id: fresh(RecordId::new(&work.new_id()))?,
            version: 1,
            kind,
            occurred_at,
            recorded_at: work.now,
            performer: performer.unwrap_or_else(|| work.permit().principal().staff.clone()),
            department: department_of(kind),
            subjects: residents.iter().map(came).collect(),
            voided: false,
            correction_reason: None,
        };
        let attendance = Attendance {
            site: site.clone(),
            activity: id.clone(),
            record: record.id.clone(),
            staff: new.staff.clone(),
            recorded_at: work.now,
        };
        let resource = name::activity(site, id);
        let subjects = residents.iter().map(|id| id.as_str().to_owned()).collect();
        let mut changes = work.changes(&Touches::files(&resource, subjects, &[FieldClass::Care]));
        for resident in &residents {
            changes.require_resident(site, resident, None);
        }
        // The version counts attendances too, so that nobody goes beyond their number.
        activity.version = next_version(activity.version, None)?;
        changes.event("record.created", name::record(site, &record.id)).add_record(record);
        changes
            .put_activity(activity)
            .add_attendance(attendance.clone())
            .event("activity.attended", resource);
        let view = AttendanceView { attendance, occurred_at, residents };
        won(work.commit("activity.record_attendance", changes, repeat, view).await)
    }

    /// The attendances of an activity, in the order in which they were recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn attendances(
        &self,
        call: &Call,
        at: &InSite<ActivityId>,
        page: PageRequest,
    ) -> Result<Page<AttendanceView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        self.load_activity(&at.site, &at.id).await?;
        let after = page.after.as_deref().map(RecordId::new).transpose().map_err(|_| Error::PageToken)?;
        let limit = u64::from(page.size) + 1;
        let found = self.store.attendances(&at.site, &at.id, after.as_ref(), limit).await?;
        let cut = Page::cut(found, page.size, |attendance| attendance.record.as_str().to_owned());
        Ok(Page { items: self.attended(&work, &at.site, cut.items).await?, next: cut.next })
    }

    /// Attendances with those who came, as their records say now and as far as the caller may know of them.
    async fn attended(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        attendances: Vec<Attendance>,
    ) -> Result<Vec<AttendanceView>> {
        if attendances.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RecordId> = attendances.iter().map(|attendance| attendance.record.clone()).collect();
        let records = self.store.records_by_id(site, &ids).await?;
        let records = self.known_records(work, site, records).await?;
        let records: HashMap<&RecordId, &StoredRecord> =
            records.iter().map(|stored| (&stored.record.id, stored)).collect();
        let view = |attendance: Attendance| {
            let stored = records.get(&attendance.record)?;
            let came = stored.record.subjects.iter().filter(|subject| subject.outcome == Outcome::Done);
            let residents = came.filter(|_| !stored.record.voided).filter_map(|subject| {
                if let Subject::Resident(id) = &subject.subject { Some(id.clone()) } else { None }
            });
            let occurred_at = stored.record.occurred_at;
            Some(AttendanceView { residents: residents.collect(), attendance, occurred_at })
        };
        Ok(attendances.into_iter().filter_map(view).collect())
    }

    async fn put_activity(
        &self,
        work: &Work<'_>,
        repeat: &Repeat<ActivityView>,
        activity: Activity,
        (action, event): (&'static str, &'static str),
    ) -> Result<Answer<ActivityView>> {
        let resource = name::activity(&activity.site, &activity.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_activity(activity.clone()).event(event, resource);
        let view = self.written_activity(work, activity).await?;
        work.commit(action, changes, repeat, view).await
    }

    async fn written_activity(&self, work: &Work<'_>, activity: Activity) -> Result<ActivityView> {
        let mut views = self.activity_views(work, vec![activity]).await?;
        views.pop().ok_or_else(|| Error::Internal("an activity that is not shown".into()))
    }

    /// Activities with their occasions and cost.
    async fn activity_views(&self, work: &Work<'_>, activities: Vec<Activity>) -> Result<Vec<ActivityView>> {
        if activities.is_empty() {
            return Ok(Vec::new());
        }
        let site = work.site()?;
        let ids: Vec<ActivityId> = activities.iter().map(|activity| activity.id.clone()).collect();
        let spendings = self.store.spendings_for(&site.id, &ids).await?;
        let today = work.today();
        let days = DateRange::new(today, today.plus_days(1));
        let estate = Estate::open(self, site, work.now, days, work.sight().clone()).await?;
        let standards = self.declared();
        let view = |activity: Activity| {
            let season = activity.season(&estate.calendar, standards.iter().map(AsRef::as_ref));
            let own = |spending: &&Spending| matches!(&spending.cause, Some(Cause::Activity(id)) if *id == activity.id);
            let cost = ActivityCost::of(spendings.iter().filter(own));
            let season = season.map_err(calendar_error)?;
            Ok(ActivityView { season, cost, residents: 0, staff: 0, activity })
        };
        activities.into_iter().map(view).collect()
    }

    /// Whether the groups who are invited are there.
    fn check_groups(&self, groups: &[GroupCode]) -> Result<()> {
        let deployed = self.deployed();
        let unknown = groups.iter().enumerate().filter(|(_, code)| deployed.catalogue.group(code).is_none());
        let violations: Vec<Violation> = unknown
            .map(|(place, _)| violation(format!("activity.care_groups[{place}]"), Invalid::Unknown))
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }

    async fn load_activity(&self, site: &SiteId, id: &ActivityId) -> Result<Activity> {
        self.store.activity(site, id).await?.ok_or(Error::NotFound(Thing::Activity))
    }

    /// An activity that is to be held, in its next version.
    async fn load_planned(&self, site: &SiteId, id: &ActivityId, version: Option<u64>) -> Result<Activity> {
        let mut activity = self.load_activity(site, id).await?;
        activity.version = next_version(activity.version, version)?;
        match activity.state() {
            ActivityState::Planned => Ok(activity),
            ActivityState::Held | ActivityState::Cancelled => {
                Err(Error::State(StateConflict::ActivityNotPlanned))
            }
        }
    }
}
