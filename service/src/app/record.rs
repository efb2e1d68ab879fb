//! Service records: what was done for whom. Appended and corrected, never overwritten.
//!
//! Recording is the hot path: a handful of batched reads by key, one commit that only inserts.

use std::collections::{BTreeSet, HashMap, HashSet};

use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{AreaId, DwellingId, EventId, RecordId, ResidentId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::record::{Evaluation, RECORD_SUBJECTS_MAX, ServiceRecord, SubjectOutcome};
use linli_core::resident::{FieldClass, FileState};
use linli_core::text::{Line, Paragraph};
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{
    Opener, PAGE_MAX, Page as StorePage, Plain, RecordFilter as StoredFilter, ResidentHead, SealError,
    Sealed, Sites as StoreSites, StoredRecord,
};

use super::scope::InScope;
use super::site::{fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name::{self, InSite, Sites};

/// Most records of one call: a person's day, entered at once.
pub const RECORD_BATCH_MAX: usize = 100;
/// Most subjects of all records of one call: bounds the commit that holds them.
pub const RECORD_BATCH_SUBJECTS_MAX: usize = 1_000;
/// Most events that one record answers for one subject.
pub const RECORD_ANSWERS_MAX: usize = 50;
/// How long after the care its record is due, in hours; a later one is a late entry (standard `file.record`).
pub const RECORDING_HOURS: i64 = 24;

const CARE: &[FieldClass] = &[FieldClass::Care];

/// A service to be recorded.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// What was done.
    pub kind: ServiceKind,
    /// When.
    pub occurred_at: Instant,
    /// Who did it; `None`: the caller.
    pub performer: Option<StaffId>,
    /// Their department; `None`: the one that owes this kind of service.
    pub department: Option<Department>,
    /// For whom, and how it went.
    pub subjects: Vec<SubjectOutcome>,
}

/// What a correction does.
#[derive(Debug, Clone)]
pub enum Correction {
    /// New values.
    Change(RecordChange),
    /// The record was made in error.
    Withdraw,
}

/// New values of a record; `None` leaves the value.
#[derive(Debug, Clone, Default)]
pub struct RecordChange {
    /// What was done.
    pub kind: Option<ServiceKind>,
    /// When.
    pub occurred_at: Option<Instant>,
    /// Who did it; `Some(None)`: the caller.
    pub performer: Option<Option<StaffId>>,
    /// Their department; `Some(None)`: the one that owes this kind of service.
    pub department: Option<Option<Department>>,
    /// For whom, and how it went: all of them.
    pub subjects: Option<Vec<SubjectOutcome>>,
}

/// A record as answers show it.
#[derive(Debug, Clone)]
pub struct RecordView {
    /// The record; without words unless `full`.
    pub record: ServiceRecord,
    /// When its first version was recorded.
    pub first_recorded_at: Instant,
    /// What those who received it thought of it, oldest first; comments only where `full`.
    pub evaluations: Vec<Evaluation>,
    /// Whether words are shown.
    pub full: bool,
}

impl RecordView {
    /// A record that is being written.
    pub(super) fn written(record: ServiceRecord) -> Self {
        let first_recorded_at = record.recorded_at;
        Self::masked(record, first_recorded_at)
    }

    /// The newest version of a record, without words.
    fn masked(mut record: ServiceRecord, first_recorded_at: Instant) -> Self {
        for subject in &mut record.subjects {
            subject.content = None;
        }
        record.correction_reason = None;
        Self { record, first_recorded_at, evaluations: Vec::new(), full: false }
    }

    /// Whether it was recorded later than it should have been.
    pub fn is_late_entry(&self) -> bool {
        self.first_recorded_at > self.record.occurred_at.plus_hours(RECORDING_HOURS)
    }
}

/// What a call of `RecordService` recorded.
#[derive(Debug, Clone)]
pub struct Recorded(pub Vec<RecordView>);

/// Word that a resident is safe.
#[derive(Debug, Clone)]
pub struct SafetyWord {
    /// Who gave it.
    pub source: EventAspect,
    /// When; `None`: now.
    pub occurred_at: Option<Instant>,
    /// What was said.
    pub note: Option<Paragraph>,
}

/// What somebody thought of a service.
#[derive(Debug, Clone)]
pub struct NewEvaluation {
    /// The resident it was about.
    pub subject: Subject,
    /// 1 (bad) to 5 (good).
    pub satisfaction: u8,
    /// In their words.
    pub comment: Option<Paragraph>,
}

/// Which records a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// With this subject.
    pub subject: Option<Subject>,
    /// Of this kind.
    pub kind: Option<ServiceKind>,
    /// That occurred on this day or later.
    pub from: Option<CivilDate>,
    /// That occurred on this day or earlier.
    pub to: Option<CivilDate>,
}

impl App {
    /// Records services: all of them in one commit, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::Invalid`] with the violations of every record,
    /// [`Error::State`] where a file is sealed, [`Error::Denied`].
    pub async fn record_services(
        &self,
        call: &Call,
        repeat: Repeat<Recorded>,
        site: SiteId,
        records: Vec<NewRecord>,
    ) -> Result<Answer<Recorded>> {
        let work = self.begin(call, Some(&site)).await?;
        let paths: Vec<String> = (0..records.len()).map(|at| format!("records[{at}]")).collect();
        if let Err(error) = self.check(&work, &site, &records, &paths).await {
            // Only now: what was recorded before may meanwhile be refused. The commit looks by itself.
            return match work.repeated(&repeat).await? {
                Some(answer) => Ok(Answer::Repeated(answer)),
                None => Err(error),
            };
        }
        let records = self.fresh_records(&work, call, &site, records)?;
        let resource = match records.as_slice() {
            [only] => name::record(&site, &only.id),
            [] | [_, _, ..] => name::site(&site),
        };
        let mut changes = work.changes(&Touches::files(resource, residents_of(&records), CARE));
        let mut views = Vec::with_capacity(records.len());
        for record in records {
            changes.event("record.created", name::record(&site, &record.id));
            views.push(RecordView::written(record.clone()));
            changes.add_record(record);
        }
        work.commit("record.create", changes, &repeat, Recorded(views)).await
    }

    /// Records a round: one record over many places.
    ///
    /// # Errors
    /// As [`App::record_services`], with paths of the round.
    pub async fn record_round(
        &self,
        call: &Call,
        repeat: Repeat<RecordView>,
        site: SiteId,
        round: NewRecord,
    ) -> Result<Answer<RecordView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let rounds = [round];
        self.check(&work, &site, &rounds, &[String::new()]).await?;
        let mut records = self.fresh_records(&work, call, &site, rounds.into())?;
        let record = records.pop().ok_or_else(|| Error::Internal("a round without a record".into()))?;
        let resource = name::record(&site, &record.id);
        let mut changes =
            work.changes(&Touches::files(&resource, residents_of(std::slice::from_ref(&record)), CARE));
        changes.add_record(record.clone()).event("record.created", resource);
        let view = RecordView::written(record);
        work.commit("record.create_round", changes, &repeat, view).await
    }

    /// Notes that somebody gave word that a resident is safe: closes the contact ladder, credits no visit.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn confirm_safety(
        &self,
        call: &Call,
        repeat: Repeat<CareEvent>,
        at: InSite<ResidentId>,
        word: SafetyWord,
    ) -> Result<Answer<CareEvent>> {
        let InSite { site, id } = at;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let zone = self.load_site(&site).await?.zone;
        let head = self.store.resident_heads(&site, std::slice::from_ref(&id)).await?.pop();
        let head = head.filter(exists).ok_or(Error::NotFound(Thing::Resident))?;
        let occurred_at = word.occurred_at.unwrap_or(work.now);
        if occurred_at > work.now {
            return Err(invalid("occur_time", Invalid::Future));
        }
        if head.state == FileState::Sealed {
            return Err(Error::State(StateConflict::FileNotActive));
        }
        if let Some(why) = outside_tenure(&head, zone.date_of(occurred_at)) {
            return Err(invalid("occur_time", why));
        }
        let event = CareEvent {
            id: fresh(EventId::new(&work.new_id()))?,
            kind: EventKind::SafetyConfirmed,
            subject: Subject::Resident(id.clone()),
            occurred_at,
            recorded_at: work.now,
            aspect: Some(word.source),
            note: word.note,
            site,
        };
        let touches = Touches::files(name::resident(&event.site, &id), vec![id.as_str().to_owned()], CARE);
        let mut changes = work.changes(&touches);
        changes.require_resident(&event.site, &id, None);
        changes.add_care_event(event.clone());
        changes.event("resident.safety_confirmed", name::event(&event.site, &event.id));
        work.commit("record.confirm_safety", changes, &repeat, event).await
    }

    /// Corrects a record by a new version, or withdraws it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] for one that is void already,
    /// [`Error::Invalid`], [`Error::Denied`].
    pub async fn correct_record(
        &self,
        call: &Call,
        repeat: Repeat<RecordView>,
        at: InSite<RecordId>,
        version: Option<u64>,
        reason: Line,
        correction: Correction,
    ) -> Result<Answer<RecordView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let stored = self.load_record(&at).await?;
        let version = next_version(stored.record.version, version)?;
        if stored.record.voided {
            return Err(Error::State(StateConflict::RecordVoided));
        }
        // The new version carries the words of the old one on, sealed anew.
        let mut record = self.with_words(&work, &stored).await?;
        record.version = version;
        record.recorded_at = work.now;
        record.correction_reason = Some(reason);
        let action = match correction {
            Correction::Withdraw => {
                record.voided = true;
                "record.withdraw"
            }
            Correction::Change(change) => {
                let changed = NewRecord {
                    kind: change.kind.unwrap_or(record.kind),
                    occurred_at: change.occurred_at.unwrap_or(record.occurred_at),
                    performer: change.performer.unwrap_or(Some(record.performer)),
                    department: change.department.unwrap_or(Some(record.department)),
                    subjects: change.subjects.unwrap_or(record.subjects),
                };
                let changed = [changed];
                self.check(&work, &at.site, &changed, &["record".to_owned()]).await?;
                let [changed] = changed;
                record.kind = changed.kind;
                record.occurred_at = changed.occurred_at;
                record.performer = changed.performer.unwrap_or_else(|| call.principal.staff.clone());
                record.department = changed.department.unwrap_or_else(|| department_of(changed.kind));
                record.subjects = changed.subjects;
                "record.correct"
            }
        };
        let resource = name::record(&at.site, &at.id);
        let mut touched = residents_of(std::slice::from_ref(&record));
        touched.extend(residents_of(std::slice::from_ref(&stored.record)));
        touched.sort_unstable();
        touched.dedup();
        let first_recorded_at = stored.first_recorded_at;
        let mut changes = work.changes(&Touches::files(&resource, touched, CARE));
        changes.correct_record(stored, record.clone()).event("record.corrected", resource);
        work.commit(action, changes, &repeat, RecordView::masked(record, first_recorded_at)).await
    }

    /// Adds what a resident or the family thought of a service; a second word of the same resident replaces the first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] for a record that is void, [`Error::Invalid`], [`Error::Denied`].
    pub async fn evaluate_record(
        &self,
        call: &Call,
        repeat: Repeat<RecordView>,
        at: InSite<RecordId>,
        new: NewEvaluation,
    ) -> Result<Answer<RecordView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let stored = self.load_record(&at).await?;
        if stored.record.voided {
            return Err(Error::State(StateConflict::RecordVoided));
        }
        if !stored.record.subjects.iter().any(|subject| subject.subject == new.subject) {
            return Err(invalid("subject", Invalid::Unknown));
        }
        let before = self.store.evaluations(&at.site, &at.id).await?;
        let known = before.iter().find(|known| known.evaluation.subject == new.subject);
        let version = known.map_or(0, |known| known.version).saturating_add(1);
        let evaluation = Evaluation {
            record: at.id.clone(),
            subject: new.subject,
            satisfaction: new.satisfaction,
            comment: new.comment,
            recorded_at: work.now,
        };
        let resource = name::record(&at.site, &at.id);
        let touches = Touches::files(&resource, resident(&evaluation.subject).into_iter().collect(), CARE);
        let mut changes = work.changes(&touches);
        changes.require_record(&at.site, &at.id);
        changes.put_evaluation(&at.site, evaluation.clone(), version).event("record.evaluated", resource);
        let mut view = RecordView::masked(stored.record, stored.first_recorded_at);
        let others = before.into_iter().map(|known| known.evaluation);
        view.evaluations = others.filter(|known| known.subject != evaluation.subject).collect();
        view.evaluations.push(Evaluation { comment: None, ..evaluation });
        in_order(&mut view.evaluations);
        work.commit("record.evaluate", changes, &repeat, view).await
    }

    /// The newest version of a record; with its words only for a purpose.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`].
    pub async fn record(&self, call: &Call, at: &InSite<RecordId>, full: bool) -> Result<RecordView> {
        let work = self.begin(call, Some(&at.site)).await?;
        if full && call.purpose.is_none() {
            return Err(Error::PurposeRequired);
        }
        let stored = self.load_record(at).await?;
        let evaluations = self.store.evaluations(&at.site, &at.id).await?;
        let first_recorded_at = stored.first_recorded_at;
        if !full {
            let mut view = RecordView::masked(stored.record, first_recorded_at);
            view.evaluations = evaluations.into_iter().map(|known| known.evaluation).collect();
            in_order(&mut view.evaluations);
            return Ok(view);
        }
        let residents = residents_of(std::slice::from_ref(&stored.record));
        let receipt = work.disclose(&Touches::files(name::record(&at.site, &at.id), residents, CARE)).await?;
        let opener = self.store.opener(&receipt).await?;
        let record = words(&opener, &stored)?;
        let mut opened = Vec::with_capacity(evaluations.len());
        for known in evaluations {
            let comment = word(&opener, known.comment.as_ref())?;
            opened.push(Evaluation { comment, ..known.evaluation });
        }
        in_order(&mut opened);
        Ok(RecordView { record, first_recorded_at, evaluations: opened, full: true })
    }

    /// Records without their words: newest occurrence first for one subject, else the last recorded first, site by
    /// site.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn records(
        &self,
        call: &Call,
        sites: &Sites,
        filter: &RecordFilter,
        page: PageRequest,
    ) -> Result<Page<RecordView>> {
        let mut cursor = page.after.as_deref().map(Cursor::parse).transpose()?;
        let mut in_scope =
            InScope::new(self, call, sites, cursor.as_ref().map(|cursor| &cursor.site)).await?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut found: Vec<StoredRecord> = Vec::new();
        while let Some(site) = in_scope.next().await? {
            let place = cursor.take().filter(|cursor| cursor.site == site.id);
            let range = TimeRange::of(site.zone, filter);
            let rest = wanted.saturating_sub(found.len());
            found.extend(self.newest(&site.id, filter, range, place, rest).await?);
            if found.len() >= wanted {
                break;
            }
        }
        let page = Page::cut(found, page.size, |stored| Cursor::of(&stored.record).text());
        let items = page.items.into_iter();
        let items = items.map(|stored| RecordView::masked(stored.record, stored.first_recorded_at)).collect();
        Ok(Page { items, next: page.next })
    }

    /// Up to `limit` records of one site, the newest first.
    async fn newest(
        &self,
        site: &SiteId,
        filter: &RecordFilter,
        range: TimeRange,
        place: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>> {
        let rows = u64::try_from(limit).unwrap_or(PAGE_MAX);
        let Some(subject) = &filter.subject else {
            let stored = StoredFilter { kind: filter.kind, from: range.from, to: range.to };
            let before = place.as_ref().map(|place| &place.record);
            return Ok(self.store.records_newest(site, &stored, before, rows).await?);
        };
        let mut place = place.map(|place| (place.occurred_at, place.record));
        let mut found = Vec::new();
        // Kinds are not indexed: a subject has a few hundred records a year, which are read until the page is full.
        loop {
            let before = place.as_ref().map(|(at, id)| (*at, id));
            let batch = self.store.records_of(site, subject, range.from, range.to, before, rows).await?;
            let exhausted = batch.len() < limit;
            place = batch.last().map(|stored| (stored.record.occurred_at, stored.record.id.clone()));
            found.extend(
                batch.into_iter().filter(|stored| filter.kind.is_none_or(|kind| stored.record.kind == kind)),
            );
            if exhausted || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    async fn load_record(&self, at: &InSite<RecordId>) -> Result<StoredRecord> {
        self.store.record(&at.site, &at.id).await?.ok_or(Error::NotFound(Thing::Record))
    }

    /// A record with its words, which takes an audit entry where there are any.
    async fn with_words(&self, work: &Work<'_>, stored: &StoredRecord) -> Result<ServiceRecord> {
        if stored.content.iter().all(Option::is_none) {
            return Ok(stored.record.clone());
        }
        let residents = residents_of(std::slice::from_ref(&stored.record));
        let resource = name::record(&stored.record.site, &stored.record.id);
        let receipt = work.disclose(&Touches::files(resource, residents, CARE)).await?;
        words(&self.store.opener(&receipt).await?, stored)
    }

    fn fresh_records(
        &self,
        work: &Work<'_>,
        call: &Call,
        site: &SiteId,
        records: Vec<NewRecord>,
    ) -> Result<Vec<ServiceRecord>> {
        let fresh_record = |new: NewRecord| {
            Ok(ServiceRecord {
                site: site.clone(),
                id: fresh(RecordId::new(&work.new_id()))?,
                version: 1,
                kind: new.kind,
                occurred_at: new.occurred_at,
                recorded_at: work.now,
                performer: new.performer.unwrap_or_else(|| call.principal.staff.clone()),
                department: new.department.unwrap_or_else(|| department_of(new.kind)),
                subjects: new.subjects,
                voided: false,
                correction_reason: None,
            })
        };
        records.into_iter().map(fresh_record).collect()
    }

    /// Checks records against what the site knows: time, tenure, subjects, events. Reports all violations at once.
    async fn check(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        records: &[NewRecord],
        paths: &[String],
    ) -> Result<()> {
        let asked = Asked::of(records);
        let known = self.known(site, &asked).await?;
        let mut violations = Vec::new();
        let mut sealed = false;
        for (record, path) in records.iter().zip(paths) {
            sealed |= check_record(record, path, &known, work.now, &mut violations);
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        if sealed { Err(Error::State(StateConflict::FileNotActive)) } else { Ok(()) }
    }

    /// What the site knows of the things that records name: one statement for each kind of thing.
    async fn known(&self, site: &SiteId, asked: &Asked) -> Result<Known> {
        let residents: Vec<ResidentId> = asked.residents.iter().cloned().collect();
        let dwellings: Vec<DwellingId> = asked.dwellings.iter().cloned().collect();
        let events: Vec<EventId> = asked.events.iter().cloned().collect();
        let heads = async {
            if residents.is_empty() {
                Ok(Vec::new())
            } else {
                self.store.resident_heads(site, &residents).await
            }
        };
        let dwellings = async {
            if dwellings.is_empty() {
                Ok(Vec::new())
            } else {
                self.store.dwellings_by_id(site, &dwellings).await
            }
        };
        let (of_site, heads, dwellings, events, areas) = tokio::join!(
            self.load_site(site),
            heads,
            dwellings,
            self.store.care_events_by_id(site, &events),
            self.known_areas(site, &asked.areas),
        );
        Ok(Known {
            zone: of_site?.zone,
            heads: heads?.into_iter().map(|head| (head.id.clone(), head)).collect(),
            dwellings: dwellings?.into_iter().map(|dwelling| dwelling.id).collect(),
            areas: areas?,
            events: events?.into_iter().map(|stored| (stored.event.id, stored.event.subject)).collect(),
        })
    }

    /// Those of `asked` that exist: a site's areas are few, and one page of them is one statement.
    async fn known_areas(&self, site: &SiteId, asked: &BTreeSet<AreaId>) -> Result<HashSet<AreaId>> {
        let mut known = HashSet::new();
        let mut page = StorePage::first(PAGE_MAX);
        while known.len() < asked.len() {
            let areas = self.store.areas(&StoreSites::from(site), &page).await?;
            let Some(last) = areas.last().map(|area| area.id.clone()) else { break };
            page = StorePage::after(site.as_str(), last.as_str(), PAGE_MAX);
            known.extend(areas.into_iter().map(|area| area.id).filter(|id| asked.contains(id)));
        }
        Ok(known)
    }
}

/// The things that records name.
#[derive(Default)]
struct Asked {
    residents: BTreeSet<ResidentId>,
    dwellings: BTreeSet<DwellingId>,
    areas: BTreeSet<AreaId>,
    events: BTreeSet<EventId>,
}

impl Asked {
    fn of(records: &[NewRecord]) -> Self {
        let mut asked = Self::default();
        for subject in records.iter().flat_map(|record| &record.subjects) {
            match &subject.subject {
                Subject::Resident(id) => drop(asked.residents.insert(id.clone())),
                Subject::Dwelling(id) => drop(asked.dwellings.insert(id.clone())),
                Subject::Area(id) => drop(asked.areas.insert(id.clone())),
                // Facilities and requests are not registered yet: none is known.
                Subject::Facility(_) | Subject::Request(_) | Subject::Site => {}
            }
            asked.events.extend(subject.answers.iter().cloned());
        }
        asked
    }
}

/// What a site knows of them.
struct Known {
    zone: SiteZone,
    heads: HashMap<ResidentId, ResidentHead>,
    dwellings: HashSet<DwellingId>,
    areas: HashSet<AreaId>,
    events: HashMap<EventId, Subject>,
}

/// Checks one record; returns whether a file is sealed, which no field of the record can mend.
fn check_record(
    record: &NewRecord,
    path: &str,
    known: &Known,
    now: Instant,
    violations: &mut Vec<Violation>,
) -> bool {
    let dot = if path.is_empty() { "" } else { "." };
    let mut refuse = |field: String, why: Invalid| {
        violations.push(Violation { field: format!("{path}{dot}{field}"), why });
    };
    if record.occurred_at > now {
        refuse("occur_time".into(), Invalid::Future);
    }
    if record.subjects.len() > RECORD_SUBJECTS_MAX {
        refuse("subjects".into(), Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
    }
    let day = known.zone.date_of(record.occurred_at);
    let several = record.subjects.len() > 1;
    let mut sealed = false;
    let mut seen: HashSet<&Subject> = HashSet::new();
    for (at, subject) in record.subjects.iter().enumerate() {
        if !seen.insert(&subject.subject) {
            refuse(format!("subjects[{at}].subject"), Invalid::Duplicate);
            continue;
        }
        let is_known = match &subject.subject {
            Subject::Resident(id) => match known.heads.get(id).filter(|head| exists(head)) {
                Some(head) => {
                    sealed |= head.state == FileState::Sealed;
                    if let Some(why) = outside_tenure(head, day) {
                        // Of several subjects the time may fit all but one.
                        let field =
                            if several { format!("subjects[{at}].subject") } else { "occur_time".into() };
                        refuse(field, why);
                    }
                    true
                }
                None => false,
            },
            Subject::Dwelling(id) => known.dwellings.contains(id),
            Subject::Area(id) => known.areas.contains(id),
            Subject::Facility(_) | Subject::Request(_) => false,
            Subject::Site => true,
        };
        if !is_known {
            refuse(format!("subjects[{at}].subject"), Invalid::Unknown);
        }
        if subject.answers.len() > RECORD_ANSWERS_MAX {
            refuse(format!("subjects[{at}].answers"), Invalid::TooMany { max: RECORD_ANSWERS_MAX });
        }
        for (place, answer) in subject.answers.iter().enumerate() {
            if known.events.get(answer) != Some(&subject.subject) {
                refuse(format!("subjects[{at}].answers[{place}]"), Invalid::Unknown);
            }
        }
    }
    sealed
}

/// Whether anything but a tombstone remains of a file.
fn exists(head: &ResidentHead) -> bool {
    match head.state {
        FileState::Active | FileState::Left | FileState::Sealed => true,
        FileState::Erased => false,
    }
}

/// Why care on a day cannot belong to a resident's tenure. A file that was left still takes what happened before.
fn outside_tenure(head: &ResidentHead, day: CivilDate) -> Option<Invalid> {
    let last = [head.tenure.moved_out, head.died_on].into_iter().flatten().min();
    if head.earlier_tenures.iter().any(|tenure| tenure.days().contains(day)) {
        None
    } else if day < head.tenure.moved_in {
        Some(Invalid::BeforeTenure)
    } else if last.is_some_and(|last| day > last) {
        Some(Invalid::AfterTenure)
    } else {
        None
    }
}

/// The department that owes a kind of service, where the record names none (regulation, Art. 5 and 8).
pub fn department_of(kind: ServiceKind) -> Department {
    match kind {
        ServiceKind::HomeVisit
        | ServiceKind::PhoneCall
        | ServiceKind::VideoCall
        | ServiceKind::AnsweredMessage
        | ServiceKind::FestivalVisit
        | ServiceKind::Survey
        | ServiceKind::Review
        | ServiceKind::FileUpdate
        | ServiceKind::EmergencyContactCall
        | ServiceKind::ErrandShopping
        | ServiceKind::ErrandParcel
        | ServiceKind::ErrandBill
        | ServiceKind::ErrandMedicine
        | ServiceKind::Activity
        | ServiceKind::FollowUp
        | ServiceKind::RequestAccepted
        | ServiceKind::RequestArrived
        | ServiceKind::RequestFinished
        | ServiceKind::AuthorityReport
        | ServiceKind::Referral => Department::CustomerService,
        ServiceKind::DoorCheck
        | ServiceKind::Patrol
        | ServiceKind::PassageCheck
        | ServiceKind::Post
        | ServiceKind::Escort => Department::Security,
        ServiceKind::SafetyCheck | ServiceKind::Inspection | ServiceKind::Repair => Department::Engineering,
        ServiceKind::Cleaning | ServiceKind::Disinfection | ServiceKind::IndoorHelp => Department::Cleaning,
        ServiceKind::Publication => Department::Finance,
    }
}

/// A record with what can still be read of its words: those of an erased person are gone.
fn words(opener: &Opener<'_>, stored: &StoredRecord) -> Result<ServiceRecord> {
    let mut record = stored.record.clone();
    for (subject, content) in record.subjects.iter_mut().zip(&stored.content) {
        subject.content = word(opener, content.as_ref())?;
    }
    record.correction_reason = word(opener, stored.correction_reason.as_ref())?;
    Ok(record)
}

fn word<T: Plain>(opener: &Opener<'_>, sealed: Option<&Sealed<T>>) -> Result<Option<T>> {
    match opener.open_option(sealed) {
        Ok(word) => Ok(word),
        Err(SealError::NoKey) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn resident(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Resident(id) => Some(id.as_str().to_owned()),
        Subject::Dwelling(_)
        | Subject::Area(_)
        | Subject::Facility(_)
        | Subject::Request(_)
        | Subject::Site => None,
    }
}

/// The residents of records, each once: whom an audit entry names.
fn residents_of(records: &[ServiceRecord]) -> Vec<String> {
    let subjects = records.iter().flat_map(|record| &record.subjects);
    let residents: BTreeSet<String> = subjects.filter_map(|subject| resident(&subject.subject)).collect();
    residents.into_iter().collect()
}

fn in_order(evaluations: &mut [Evaluation]) {
    evaluations.sort_by(|a, b| (a.recorded_at, &a.subject).cmp(&(b.recorded_at, &b.subject)));
}

/// When the records of a list occurred: from an instant up to but without another.
#[derive(Debug, Clone, Copy)]
struct TimeRange {
    from: Instant,
    to: Instant,
}

impl TimeRange {
    fn of(zone: SiteZone, filter: &RecordFilter) -> Self {
        Self {
            from: filter.from.map_or(Instant::MIN, |day| zone.start_of(day)),
            to: filter.to.map_or(Instant::MAX, |day| zone.start_of(day.plus_days(1))),
        }
    }
}

/// The last record of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    site: SiteId,
    occurred_at: Instant,
    record: RecordId,
}

impl Cursor {
    fn of(record: &ServiceRecord) -> Self {
        Self { site: record.site.clone(), occurred_at: record.occurred_at, record: record.id.clone() }
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.site, self.occurred_at.micros(), self.record)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(Error::PageToken);
        let site = SiteId::new(part()?).map_err(|_| Error::PageToken)?;
        let micros: i64 = part()?.parse().map_err(|_| Error::PageToken)?;
        let occurred_at = Instant::from_micros(micros).map_err(|_| Error::PageToken)?;
        let record = RecordId::new(part()?).map_err(|_| Error::PageToken)?;
        Ok(Self { site, occurred_at, record })
    }
}

#[cfg(test)]
mod tests {
    use linli_core::id::FacilityId;
    use linli_core::record::Outcome;
    use linli_core::resident::Tenure;

    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn resident(id: &str) -> Subject {
        Subject::Resident(ResidentId::new(id).unwrap())
    }

    fn outcome(subject: Subject, answers: &[&str]) -> SubjectOutcome {
        let answers = answers.iter().map(|id| EventId::new(id).unwrap()).collect();
        SubjectOutcome { subject, outcome: Outcome::Done, answers, content: None }
    }

    /// Ann moved in on 1 March 2026; Ben left on 10 March; Cai died on 12 March; Dan's file is sealed, Eve's erased.
    fn known() -> Known {
        let head = |id: &str, state: FileState, moved_out: Option<&str>, died_on: Option<&str>| {
            let id = ResidentId::new(id).unwrap();
            let head = ResidentHead {
                site: SiteId::new("s").unwrap(),
                id: id.clone(),
                dwelling: DwellingId::new("d").unwrap(),
                state,
                tenure: Tenure { moved_in: day("2026-03-01"), moved_out: moved_out.map(day) },
                earlier_tenures: Vec::new(),
                died_on: died_on.map(day),
                created_at: Instant::clamped(0),
                updated_at: Instant::clamped(0),
                version: 1,
            };
            (id, head)
        };
        Known {
            zone: SiteZone::SHANGHAI,
            heads: [
                head("ann", FileState::Active, None, None),
                head("ben", FileState::Left, Some("2026-03-10"), None),
                head("cai", FileState::Left, None, Some("2026-03-12")),
                head("dan", FileState::Sealed, None, None),
                head("eve", FileState::Erased, None, None),
            ]
            .into(),
            dwellings: [DwellingId::new("d").unwrap()].into(),
            areas: [AreaId::new("a").unwrap()].into(),
            events: [(EventId::new("e").unwrap(), resident("ann"))].into(),
        }
    }

    #[test]
    fn every_violation_of_a_record_is_found_at_once() {
        let now = SiteZone::SHANGHAI.at(day("2026-03-20"), 12, 0);
        let check = |on: &str, subjects: Vec<SubjectOutcome>, expect: &[&str]| {
            let record = NewRecord {
                kind: ServiceKind::HomeVisit,
                occurred_at: SiteZone::SHANGHAI.at(day(on), 9, 0),
                performer: None,
                department: None,
                subjects,
            };
            let mut violations = Vec::new();
            let sealed = check_record(&record, "records[0]", &known(), now, &mut violations);
            let mut found: Vec<String> =
                violations.iter().map(|found| format!("{} {}", found.field, found.why)).collect();
            if sealed {
                found.push("sealed".into());
            }
            assert_eq!(found, expect, "{on}");
        };
        let one = |id: &str| vec![outcome(resident(id), &[])];
        check("2026-03-16", one("ann"), &[]);
        check("2026-03-01", one("ann"), &[]);
        check("2026-02-28", one("ann"), &["records[0].occur_time lies before the move-in"]);
        check("2026-03-21", one("ann"), &["records[0].occur_time lies in the future"]);
        check("2026-03-10", one("ben"), &[]);
        check("2026-03-11", one("ben"), &["records[0].occur_time lies after the move-out"]);
        check("2026-03-12", one("cai"), &[]);
        check("2026-03-13", one("cai"), &["records[0].occur_time lies after the move-out"]);
        check("2026-03-16", one("dan"), &["sealed"]);
        check("2026-03-16", one("eve"), &["records[0].subjects[0].subject is not a known value"]);
        let places = [
            Subject::Dwelling(DwellingId::new("d").unwrap()),
            Subject::Area(AreaId::new("a").unwrap()),
            Subject::Site,
            Subject::Area(AreaId::new("b").unwrap()),
            Subject::Facility(FacilityId::new("f").unwrap()),
        ];
        let places = places.into_iter().map(|place| outcome(place, &[])).collect();
        check(
            "2026-01-01",
            places,
            &[
                "records[0].subjects[3].subject is not a known value",
                "records[0].subjects[4].subject is not a known value",
            ],
        );
        let several = vec![
            outcome(resident("ann"), &["e"]),
            outcome(resident("ben"), &["e"]),
            outcome(resident("ann"), &[]),
            outcome(resident("zoe"), &["x"]),
        ];
        check(
            "2026-03-16",
            several,
            &[
                "records[0].subjects[1].subject lies after the move-out",
                "records[0].subjects[1].answers[0] is not a known value",
                "records[0].subjects[2].subject is given twice",
                "records[0].subjects[3].subject is not a known value",
                "records[0].subjects[3].answers[0] is not a known value",
            ],
        );
    }

    #[test]
    fn a_place_in_a_list_survives_the_token() {
        let cursor = Cursor {
            site: SiteId::new("s").unwrap(),
            occurred_at: Instant::clamped(-5),
            record: RecordId::new("r").unwrap(),
        };
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for bad in ["", "s", "s x r", "s 1", "S 1 r"] {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
