//! One site as the obligation engine sees it: its calendar, its standards, and its subjects in bounded batches.
//!
//! Nothing derived is stored: whoever asks walks the subjects, a constant number of statements for each batch, and
//! lets core compute what is owed to them.

mod events;
mod facility;
mod flag;
mod merged;
mod request;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use linli_core::applied::{
    Applied, Place, Standing, Timeline, Waiver, applied_to_place, applied_to_resident,
};
use linli_core::calendar::{CalendarError, SiteCalendar};
use linli_core::care_plan::plan_days;
use linli_core::event::CareEvent;
use linli_core::id::{DwellingId, ResidentId, StandardCode, Subject, SubjectKind};
use linli_core::kind::Department;
use linli_core::merge::unite_days;
use linli_core::obligation::{self, Case, Obligation};
use linli_core::record::SubjectRecord;
use linli_core::request::RequestTraits;
use linli_core::resident::FileState;
use linli_core::site::{Area, AreaKind, Dwelling, Site};
use linli_core::standard::{Duty, OccasionRef, Standard};
use linli_core::standard_override::{StandardOverride, overridden};
use linli_core::time::{CivilDate, DateRange, Instant, SiteZone};
use linli_store::{
    CARE_PAGE_MAX, CareRange, PAGE_MAX, Page as StorePage, ResidentCare, ResidentHead, Sight,
    Sites as StoreSites, SubjectCare,
};

use self::flag::{Flagging, Roster};
use self::walk::resident_id;
use super::App;
use crate::error::{Error, Result};

/// How far before the asked days records and events are read, in days: every calendar window that touches the asked
/// days began within it. Of a subject with an older event that nothing answers by name, everything since is read: what
/// is open stays until it is answered.
pub(super) const LOOK_BACK_DAYS: i32 = 400;
/// Subjects computed at a time: one batch of statements, a few milliseconds of work.
pub(super) const BATCH: u64 = 100;

/// A site for the length of one use case.
pub(super) struct Estate<'a> {
    app: &'a App,
    /// The site.
    pub(super) site: Site,
    /// Its calendar.
    pub(super) calendar: SiteCalendar,
    /// The instant for which everything is computed.
    pub(super) now: Instant,
    /// Its day.
    pub(super) today: CivilDate,
    /// What the site promises instead of the declared standards.
    pub(super) overrides: Vec<StandardOverride>,
    timelines: Vec<Timeline>,
    range: DateRange,
    care: CareRange,
    /// The day before which nobody is asked for: moves up to it change nothing that is computed.
    since: CivilDate,
    sight: Sight,
    /// Whom `sight` does not show.
    hidden: Vec<ResidentId>,
    roster: tokio::sync::OnceCell<Roster>,
    announced: tokio::sync::OnceCell<Vec<CareEvent>>,
}

/// One subject and what is owed to it.
pub(super) struct Owed {
    /// The subject.
    pub(super) subject: Subject,
    /// What people call the place; empty for residents.
    pub(super) title: String,
    /// The file of a resident.
    pub(super) care: Option<ResidentCare>,
    /// The records it was computed from.
    pub(super) records: Vec<SubjectRecord>,
    /// What is owed, by standard and time.
    pub(super) obligations: Vec<Obligation>,
}

impl<'a> Estate<'a> {
    /// A site, asked for the obligations that touch `range`, with the files that `sight` shows: of the others neither a duty
    /// nor a flag is seen.
    pub(super) async fn open(
        app: &'a App,
        site: Site,
        now: Instant,
        range: DateRange,
        sight: Sight,
    ) -> Result<Estate<'a>> {
        Box::pin(Self::supposing(app, site, now, range, (sight, None))).await
    }

    /// As [`Estate::open`], as if this override held too.
    pub(super) async fn supposing(
        app: &'a App,
        site: Site,
        now: Instant,
        range: DateRange,
        (sight, draft): (Sight, Option<StandardOverride>),
    ) -> Result<Estate<'a>> {
        let mut calendar = SiteCalendar::new(site.zone);
        for year in &app.public_years {
            calendar = calendar.with_public_year(year.clone());
        }
        for (day, kind) in app.store.calendar_days(&site.id).await? {
            calendar = calendar.with_day(day, kind);
        }
        let hidden = match &sight {
            Sight::All => Vec::new(),
            Sight::Named(named) => {
                let protected = app.store.protected_files(&site.id).await?;
                let unseen = protected.iter().filter(|file| !named.contains(&file.resident));
                unseen.map(|file| file.resident.clone()).collect()
            }
        };
        let today = site.zone.date_of(now);
        let mut overrides = app.store.overrides(&site.id).await?;
        overrides.extend(draft);
        let mut versions = app.declared();
        versions.extend(overridden(&versions, &overrides, site.zone, now));
        let timelines = Timeline::of_site(&versions, &site.id);
        let first = range.start().min(today).plus_days(-LOOK_BACK_DAYS);
        let care = CareRange { from: site.zone.start_of(first), to: Instant::MAX };
        Ok(Self {
            app,
            calendar,
            now,
            today,
            overrides,
            timelines,
            range,
            care,
            since: first,
            sight,
            hidden,
            site,
            roster: tokio::sync::OnceCell::new(),
            announced: tokio::sync::OnceCell::new(),
        })
    }

    /// The same with everything that was ever recorded.
    pub(super) fn with_whole_history(mut self) -> Self {
        self.care.from = Instant::MIN;
        self.since = CivilDate::MIN;
        self
    }

    /// The instant from which records and events are read.
    pub(super) fn read_from(&self) -> Instant {
        self.care.from
    }

    /// One subject; `None` where it does not exist or its file is closed.
    pub(super) async fn one(&self, subject: &Subject) -> Result<Option<Owed>> {
        let found = match subject {
            Subject::Resident(id) => match self.care(id).await? {
                Some(care) => vec![self.of_resident(care)?],
                None => Vec::new(),
            },
            Subject::Dwelling(id) => {
                let dwellings =
                    self.app.store.dwellings_by_id(&self.site.id, std::slice::from_ref(id)).await?;
                self.of_dwellings(dwellings).await?
            }
            Subject::Area(id) => {
                let area = self.app.store.area(&self.site.id, id).await?;
                self.of_areas(area.into_iter().collect()).await?
            }
            Subject::Request(id) => {
                let request = self.app.store.request(&self.site.id, id).await?;
                let seen = request.into_iter().filter(|request| self.knows(request));
                self.of_requests(&seen.collect::<Vec<_>>()).await?
            }
            Subject::Facility(id) => {
                let facility = self.app.store.facility(&self.site.id, id).await?;
                self.of_facilities(&facility.into_iter().collect::<Vec<_>>()).await?
            }
            Subject::Site => vec![self.of_site().await?],
        };
        Ok(found.into_iter().next())
    }

    /// These residents.
    pub(super) async fn residents(&self, ids: &[ResidentId]) -> Result<Vec<Owed>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(usize::try_from(CARE_PAGE_MAX).unwrap_or(usize::MAX)) {
            let care = self.app.store.care_of(&self.site.id, ids, self.care).await?;
            let care = self.complete(care).await?;
            for care in care.into_iter().filter(|care| self.counts(&care.head)) {
                found.push(self.of_resident(care)?);
            }
        }
        Ok(found)
    }

    /// The subjects of some buildings, batch by batch: the residents of a page of dwellings and the dwellings. Returns
    /// the last dwelling of the page; `None` after the last page.
    pub(super) async fn of_buildings(
        &self,
        buildings: &[&str],
        after: Option<&DwellingId>,
    ) -> Result<(Vec<Owed>, Option<DwellingId>)> {
        let store = &self.app.store;
        let dwellings = store.dwellings_of_buildings(&self.site.id, buildings, after, BATCH).await?;
        let Some(last) = dwellings.last().map(|dwelling| dwelling.id.clone()) else {
            return Ok((Vec::new(), None));
        };
        let ids: Vec<DwellingId> = dwellings.iter().map(|dwelling| dwelling.id.clone()).collect();
        let heads = store.residents_of_dwellings(&self.site.id, &ids).await?;
        let residents: Vec<ResidentId> =
            heads.into_iter().filter(|head| self.counts(head)).map(|head| head.id).collect();
        let mut found = self.residents(&residents).await?;
        found.extend(self.of_dwellings(dwellings).await?);
        Ok((found, Some(last)))
    }

    /// The areas of some buildings.
    pub(super) async fn areas_of_buildings(&self, buildings: &[&str]) -> Result<Vec<Owed>> {
        let mut found = Vec::new();
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let areas = self.app.store.areas(&StoreSites::from(&self.site.id), &page).await?;
            let Some(last) = areas.last().map(|area| area.id.clone()) else { return Ok(found) };
            page = StorePage::after(self.site.id.as_str(), last.as_str(), PAGE_MAX);
            let inside =
                |area: &Area| area.building.as_ref().is_some_and(|b| buildings.contains(&b.as_str()));
            found.extend(self.of_areas(areas.into_iter().filter(inside).collect()).await?);
        }
    }

    /// The standards that apply to a resident, as their care plan adjusts them.
    pub(super) fn applied(&self, care: &ResidentCare) -> Vec<Applied> {
        let applied = self.unplanned(care);
        // Revisions replace each other within a file; those of files that were merged hold beside them.
        let of_file = care.plans.chunk_by(|a, b| a.resident == b.resident);
        let in_force: Vec<_> = of_file
            .flat_map(|plans| plans.iter().zip(plan_days(plans, self.site.zone)))
            .filter_map(|(plan, days)| Some((plan, days?)))
            .collect();
        if in_force.is_empty() {
            return applied;
        }
        let planned = applied.into_iter().map(|applied| {
            let items = in_force.iter().flat_map(|(plan, days)| plan.items.iter().map(|item| (*days, item)));
            let own: Vec<_> = items.filter(|(_, item)| Some(&item.standard) == applied.code()).collect();
            applied.planned(own.into_iter().map(|(days, item)| (days, &item.numbers)))
        });
        planned.collect()
    }

    /// The standards that apply to a resident, with their waivers, as the site promises them to everybody.
    pub(super) fn unplanned(&self, care: &ResidentCare) -> Vec<Applied> {
        let tenure = days_in_care(care, self.site.zone);
        let waivers: Vec<Waiver> =
            care.waivers.iter().filter_map(|waiver| waiver.interval(self.site.zone)).collect();
        let standing = Standing {
            memberships: &care.memberships,
            attention: &care.attention,
            waivers: &waivers,
            tenure: &tenure,
        };
        applied_to_resident(&self.timelines, &standing, self.now)
    }

    /// The overrides of a standard that are meant for one of some days.
    pub(super) fn overrides_of<'b>(
        &'b self,
        standard: &'b StandardCode,
        days: DateRange,
    ) -> impl Iterator<Item = &'b StandardOverride> {
        self.overrides.iter().filter(move |known| {
            let meant = known.days(self.site.zone, self.now);
            known.standard == *standard && !meant.intersect(days).is_empty()
        })
    }

    /// What core is asked about a resident.
    pub(super) fn case<'b>(
        &'b self,
        subject: &'b Subject,
        care: &'b ResidentCare,
        applied: &'b [Applied],
        tenure: &'b [DateRange],
    ) -> Case<'b> {
        Case {
            subject,
            applied,
            records: &care.records,
            events: &care.events,
            pauses: &care.pauses,
            tenure,
            calendar: &self.calendar,
        }
    }

    /// The file of a resident with everything that duties depend on.
    pub(super) async fn care(&self, id: &ResidentId) -> Result<Option<ResidentCare>> {
        let mut care = self.app.store.care_of(&self.site.id, std::slice::from_ref(id), self.care).await?;
        if care.iter().any(|care| care.head.merged_into.is_some()) {
            // The name of a merged file stands for the survivor.
            let Some(survivor) = self.app.find_head(&self.site.id, id).await? else { return Ok(None) };
            care = self.app.store.care_of(&self.site.id, &[survivor.id], self.care).await?;
        }
        let care = self.complete(care).await?;
        Ok(care.into_iter().find(|care| self.counts(&care.head)))
    }

    fn of_resident(&self, care: ResidentCare) -> Result<Owed> {
        let subject = Subject::Resident(care.head.id.clone());
        let applied = self.applied(&care);
        let tenure = days_in_care(&care, self.site.zone);
        let case = self.case(&subject, &care, &applied, &tenure);
        let obligations = obligation::obligations(&case, self.range, self.now).map_err(calendar_error)?;
        let records = care.records.clone();
        Ok(Owed { subject, title: String::new(), care: Some(care), records, obligations })
    }

    async fn of_dwellings(&self, dwellings: Vec<Dwelling>) -> Result<Vec<Owed>> {
        if dwellings.is_empty() || !self.is_owed(SubjectKind::Dwelling) {
            return Ok(Vec::new());
        }
        let flagging = if self.is_flagged(SubjectKind::Dwelling) {
            self.flagging(&dwellings).await?
        } else {
            HashMap::new()
        };
        let subjects: Vec<Subject> =
            dwellings.iter().map(|dwelling| Subject::Dwelling(dwelling.id.clone())).collect();
        let mut care = self.care_of_places(&subjects).await?;
        let mut found = Vec::with_capacity(dwellings.len());
        for (dwelling, subject) in dwellings.iter().zip(subjects) {
            let residents = flagging.get(&dwelling.id).map(Vec::as_slice).unwrap_or_default();
            let care = care.remove(&subject).unwrap_or_default();
            let place = Registered::new(subject, dwelling.display_name(), dwelling.created_at);
            found.push(self.of_place(place, residents.iter(), care)?);
        }
        Ok(found)
    }

    async fn of_areas(&self, areas: Vec<Area>) -> Result<Vec<Owed>> {
        if areas.is_empty() || !self.is_owed(SubjectKind::Area) {
            return Ok(Vec::new());
        }
        let roster = if self.is_flagged(SubjectKind::Area) {
            Some(self.roster.get_or_try_init(|| self.load_roster()).await?)
        } else {
            None
        };
        let subjects: Vec<Subject> = areas.iter().map(|area| Subject::Area(area.id.clone())).collect();
        let mut care = self.care_of_places(&subjects).await?;
        let mut found = Vec::with_capacity(areas.len());
        for (area, subject) in areas.iter().zip(subjects) {
            let serves = roster.into_iter().flat_map(|roster| roster.of(area));
            let care = care.remove(&subject).unwrap_or_default();
            let place = Registered::new(subject, area.title.as_str().to_owned(), area.created_at);
            let place = Registered { area: Some(area.kind), ..place };
            found.push(self.of_place(place, serves, care)?);
        }
        Ok(found)
    }

    async fn of_site(&self) -> Result<Owed> {
        let subjects = [Subject::Site];
        let mut care = self.care_of_places(&subjects).await?;
        let care = care.remove(&Subject::Site).unwrap_or_default();
        let title = self.site.title.as_str().to_owned();
        let place = Registered::new(Subject::Site, title, self.site.created_at);
        self.of_place(place, std::iter::empty(), care)
    }

    fn of_place<'b>(
        &self,
        place: Registered,
        residents: impl Iterator<Item = &'b Flagging>,
        care: SubjectCare,
    ) -> Result<Owed> {
        let Registered { subject, title, created_at, until, area, request } = place;
        let registered = self.site.zone.date_of(created_at);
        // What happened before a place was registered starts its clock all the same: a household moves in, and the
        // door is entered a day later. What recurs is owed from the registration on.
        let first = care.events.iter().map(|event| self.site.zone.date_of(event.occurred_at)).min();
        let exists = DateRange::new(first.map_or(registered, |first| first.min(registered)), until);
        let residents: Vec<Standing<'_>> = residents.map(Flagging::standing).collect();
        let place = |exists| Place { kind: subject.kind(), area, request, exists, residents: &residents };
        let mut applied =
            applied_to_place(&self.timelines, &place(DateRange::new(registered, until)), self.now);
        if exists.start() < registered {
            applied.retain(|applied| !is_triggered(applied));
            let early = applied_to_place(&self.timelines, &place(exists), self.now);
            applied.extend(early.into_iter().filter(is_triggered));
        }
        let case = Case {
            subject: &subject,
            applied: &applied,
            records: &care.records,
            events: &care.events,
            pauses: &[],
            tenure: &[exists],
            calendar: &self.calendar,
        };
        let obligations = obligation::obligations(&case, self.range, self.now).map_err(calendar_error)?;
        Ok(Owed { subject, title, care: None, records: care.records, obligations })
    }

    /// Whether a file is in use, and seen.
    fn counts(&self, head: &ResidentHead) -> bool {
        in_use(head) && self.sight.sees(head)
    }

    fn is_owed(&self, kind: SubjectKind) -> bool {
        self.timelines.iter().flat_map(Timeline::spans).any(|span| span.standard.subject == kind)
    }

    fn is_flagged(&self, kind: SubjectKind) -> bool {
        let mut spans = self.timelines.iter().flat_map(Timeline::spans);
        spans.any(|span| span.standard.subject == kind && span.standard.applies_to.flagged)
    }
}

impl App {
    /// The declared standards that can be owed: a site cannot define occasions yet, so that a standard around one of those has
    /// no day.
    pub(super) fn declared(&self) -> Vec<Arc<Standard>> {
        let deployed = self.deployed();
        deployed.catalogue.standards().iter().filter(|s| !has_site_occasion(s)).cloned().collect()
    }
}

/// A place, or something else that is no person, as standards know it.
struct Registered {
    subject: Subject,
    /// What people call it.
    title: String,
    created_at: Instant,
    /// The first day on which it is no longer there.
    until: CivilDate,
    area: Option<AreaKind>,
    request: Option<RequestTraits>,
}

impl Registered {
    fn new(subject: Subject, title: String, created_at: Instant) -> Self {
        Self { subject, title, created_at, until: CivilDate::MAX, area: None, request: None }
    }
}

/// The days on which duties towards a resident run: every tenure, the last up to but without the day of death, and
/// none before the file was opened: nobody gets missed weeks for what nobody knew.
pub(super) fn days_in_care(care: &ResidentCare, zone: SiteZone) -> Vec<DateRange> {
    let of_file = |head: &ResidentHead| {
        let known = DateRange::from(zone.date_of(head.created_at));
        let last = head.tenure.days();
        let last = match head.died_on {
            Some(died) => DateRange::new(last.start(), last.end().min(died)),
            None => last,
        };
        let tenures: Vec<DateRange> =
            head.earlier_tenures.iter().map(|tenure| tenure.days()).chain([last]).collect();
        tenures.into_iter().map(move |days| days.intersect(known)).filter(|days| !days.is_empty())
    };
    if care.merged.is_empty() {
        return of_file(&care.head).collect();
    }
    // A person who has left or died is in care in none of their files.
    let end = of_file(&care.head).map(|days| days.end()).max().unwrap_or(CivilDate::MIN);
    let merged =
        care.merged.iter().flat_map(of_file).map(|days| DateRange::new(days.start(), days.end().min(end)));
    unite_days(of_file(&care.head).chain(merged))
}

fn is_triggered(applied: &Applied) -> bool {
    applied.spans().iter().any(|span| matches!(span.standard.duty, Duty::Triggered { .. }))
}

/// What the calendar cannot answer.
pub(super) fn calendar_error(error: CalendarError) -> Error {
    match error {
        CalendarError::MissingYear { year } => Error::CalendarYearMissing(year),
        CalendarError::UnknownOccasion { code } => {
            Error::Internal(format!("a standard names the occasion `{code}`, which the site does not define"))
        }
    }
}

/// Whether a standard is of this department, where one is asked for.
pub(super) fn of_department(standard: &Standard, department: Option<Department>) -> bool {
    department.is_none_or(|department| standard.department == department)
}

/// Whether a file is in use: sealed files are storage only, erased ones are gone.
pub(super) fn in_use(head: &ResidentHead) -> bool {
    match head.state {
        FileState::Active | FileState::Left => true,
        FileState::Sealed | FileState::Erased => false,
    }
}

fn has_site_occasion(standard: &Standard) -> bool {
    match &standard.duty {
        Duty::Seasonal { occasion: OccasionRef::Site(_), .. } => true,
        Duty::Seasonal { occasion: OccasionRef::BuiltIn(_), .. }
        | Duty::Recurring { .. }
        | Duty::Triggered { .. } => false,
    }
}
