//! Service records: what was done for whom. Appended and corrected, never overwritten.
//!
//! Recording is the hot path: a handful of batched reads by key, one commit that only inserts.

mod check;
mod list;

use std::collections::BTreeSet;

use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{EventId, RecordId, ResidentId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::record::{Evaluation, ServiceRecord, SubjectOutcome};
use linli_core::resident::{FieldClass, FileState};
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use linli_store::{Opener, Plain, SealError, Sealed, StoredEvaluation, StoredRecord};

pub(super) use self::check::{exists, outside_tenure};
pub use self::list::RecordFilter;
use super::site::{fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InSite};

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
        mut records: Vec<NewRecord>,
    ) -> Result<Answer<Recorded>> {
        let work = self.begin(call, Some(&site)).await?;
        let paths: Vec<String> = (0..records.len()).map(|at| format!("records[{at}]")).collect();
        if let Err(error) = self.check(&work, &site, &mut records, &paths).await {
            // Only now: what was recorded before may meanwhile be refused. The commit looks by itself.
            return match work.repeated(&repeat).await? {
                Some(answer) => Ok(Answer::Repeated(answer)),
                None => Err(error),
            };
        }
        let records = self.fresh_records(&work, &site, records)?;
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
        let mut rounds = [round];
        self.check(&work, &site, &mut rounds, &[String::new()]).await?;
        let mut records = self.fresh_records(&work, &site, rounds.into())?;
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
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let zone = work.zone();
        let head = self.load_head(&work, &site, &id).await?;
        if !exists(&head) {
            return Err(work.absent(&id).await);
        }
        let id = head.id.clone();
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
        self.load_record(&work, &at).await?;
        // Whom the caller may not know of stays in the record as they are.
        let stored = self.store.record(&at.site, &at.id).await?.ok_or(Error::NotFound(Thing::Record))?;
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
                let (hidden, known): (Vec<SubjectOutcome>, Vec<SubjectOutcome>) =
                    record.subjects.into_iter().partition(|subject| is_hidden(&work, &subject.subject));
                let changed = NewRecord {
                    kind: change.kind.unwrap_or(record.kind),
                    occurred_at: change.occurred_at.unwrap_or(record.occurred_at),
                    performer: change.performer.unwrap_or(Some(record.performer)),
                    department: change.department.unwrap_or(Some(record.department)),
                    subjects: change.subjects.unwrap_or(known),
                };
                let mut changed = [changed];
                self.check(&work, &at.site, &mut changed, &["record".to_owned()]).await?;
                let [changed] = changed;
                record.kind = changed.kind;
                record.occurred_at = changed.occurred_at;
                record.performer =
                    changed.performer.unwrap_or_else(|| work.permit().principal().staff.clone());
                record.department = changed.department.unwrap_or_else(|| department_of(changed.kind));
                record.subjects = changed.subjects;
                record.subjects.extend(hidden);
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
        record.subjects.retain(|subject| !is_hidden(&work, &subject.subject));
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
        let stored = self.load_record(&work, &at).await?;
        if stored.record.voided {
            return Err(Error::State(StateConflict::RecordVoided));
        }
        if !stored.record.subjects.iter().any(|subject| subject.subject == new.subject) {
            return Err(invalid("subject", Invalid::Unknown));
        }
        let before = self.load_evaluations(&at, &stored).await?;
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
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`], [`Error::RevealLimit`].
    pub async fn record(&self, call: &Call, at: &InSite<RecordId>, full: bool) -> Result<RecordView> {
        let work = self.begin(call, Some(&at.site)).await?;
        if full {
            self.may_reveal(&work, &Touches::files(name::record(&at.site, &at.id), Vec::new(), CARE)).await?;
        }
        let stored = self.load_record(&work, at).await?;
        let evaluations = self.load_evaluations(at, &stored).await?;
        let first_recorded_at = stored.first_recorded_at;
        if !full {
            let mut view = RecordView::masked(stored.record, first_recorded_at);
            view.evaluations = evaluations.into_iter().map(|known| known.evaluation).collect();
            in_order(&mut view.evaluations);
            return Ok(view);
        }
        let residents = residents_of(std::slice::from_ref(&stored.record));
        let touches = Touches::files(name::record(&at.site, &at.id), residents, CARE);
        work.reveal_children(&touches).await?;
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let put_away = self.put_away(&stored.record).await?;
        let record = words(&opener, &stored, &put_away)?;
        let mut opened = Vec::with_capacity(evaluations.len());
        for known in evaluations {
            let comment = known.comment.as_ref().filter(|_| !put_away.contains(&known.evaluation.subject));
            let comment = word(&opener, comment)?;
            opened.push(Evaluation { comment, ..known.evaluation });
        }
        in_order(&mut opened);
        Ok(RecordView { record, first_recorded_at, evaluations: opened, full: true })
    }

    async fn load_record(&self, work: &Work<'_>, at: &InSite<RecordId>) -> Result<StoredRecord> {
        let stored = self.store.record(&at.site, &at.id).await?.into_iter().collect();
        self.known_records(work, &at.site, stored).await?.pop().ok_or(Error::NotFound(Thing::Record))
    }

    /// What those who received a service thought of it, as far as the caller may know of them.
    async fn load_evaluations(
        &self,
        at: &InSite<RecordId>,
        shown: &StoredRecord,
    ) -> Result<Vec<StoredEvaluation>> {
        let mut found = self.store.evaluations(&at.site, &at.id).await?;
        let is_in = |subject: &Subject| shown.record.subjects.iter().any(|known| known.subject == *subject);
        found.retain(|known| is_in(&known.evaluation.subject));
        Ok(found)
    }

    /// Records as the caller may know of them: without the residents whom they may not, without these residents' requests,
    /// and not at all where nothing else is in them.
    pub(super) async fn known_records(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        stored: Vec<StoredRecord>,
    ) -> Result<Vec<StoredRecord>> {
        if !work.hides_somebody() {
            return Ok(stored);
        }
        let mut shown = Vec::with_capacity(stored.len());
        for stored in stored {
            let mut hidden: Vec<Subject> = Vec::new();
            for subject in stored.record.subjects.iter().map(|subject| &subject.subject) {
                let about = match subject {
                    Subject::Request(id) => self.store.request(site, id).await?.map(|found| found.subject),
                    Subject::Resident(_)
                    | Subject::Dwelling(_)
                    | Subject::Area(_)
                    | Subject::Facility(_)
                    | Subject::Site => None,
                };
                if is_hidden(work, about.as_ref().unwrap_or(subject)) {
                    hidden.push(subject.clone());
                }
            }
            shown.extend(without(stored, &hidden));
        }
        Ok(shown)
    }

    /// A record with its words, which takes an audit entry where there are any.
    pub(super) async fn with_words(&self, work: &Work<'_>, stored: &StoredRecord) -> Result<ServiceRecord> {
        if stored.content.iter().all(Option::is_none) {
            return Ok(stored.record.clone());
        }
        let residents = residents_of(std::slice::from_ref(&stored.record));
        let resource = name::record(&stored.record.site, &stored.record.id);
        let receipt = work.disclose(&Touches::files(resource, residents, CARE)).await?;
        words(&self.store.opener(&receipt).await?, stored, &[])
    }

    /// The subjects of a record whose files are sealed: nothing that was said of them is shown.
    async fn put_away(&self, record: &ServiceRecord) -> Result<Vec<Subject>> {
        let ids = residents_of(std::slice::from_ref(record));
        let ids: Vec<ResidentId> = ids.iter().filter_map(|id| ResidentId::new(id).ok()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let heads = self.store.resident_heads(&record.site, &ids).await?;
        let mut sealed = Vec::new();
        for head in heads {
            let state = match head.merged_into {
                Some(_) => self.find_head(&record.site, &head.id).await?.map(|head| head.state),
                None => Some(head.state),
            };
            if state == Some(FileState::Sealed) {
                sealed.push(Subject::Resident(head.id));
            }
        }
        Ok(sealed)
    }

    fn fresh_records(
        &self,
        work: &Work<'_>,
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
                performer: new.performer.unwrap_or_else(|| work.permit().principal().staff.clone()),
                department: new.department.unwrap_or_else(|| department_of(new.kind)),
                subjects: new.subjects,
                voided: false,
                correction_reason: None,
            })
        };
        records.into_iter().map(fresh_record).collect()
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
        | ServiceKind::SupervisorReport
        | ServiceKind::RequestReviewed
        | ServiceKind::Referral
        | ServiceKind::ReferralAnswered
        | ServiceKind::ReferralClosed => Department::CustomerService,
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

/// A record with what can still be read of its words: those of an erased person are gone, those of whose file is put away are
/// not shown, and a correction may speak of any of them.
fn words(opener: &Opener<'_>, stored: &StoredRecord, put_away: &[Subject]) -> Result<ServiceRecord> {
    let mut record = stored.record.clone();
    for (subject, content) in record.subjects.iter_mut().zip(&stored.content) {
        let content = content.as_ref().filter(|_| !put_away.contains(&subject.subject));
        subject.content = word(opener, content)?;
    }
    let reason = stored.correction_reason.as_ref().filter(|_| put_away.is_empty());
    record.correction_reason = word(opener, reason)?;
    Ok(record)
}

/// What can still be read of a word.
pub(super) fn word<T: Plain>(opener: &Opener<'_>, sealed: Option<&Sealed<T>>) -> Result<Option<T>> {
    match opener.open_option(sealed) {
        Ok(word) => Ok(word),
        Err(SealError::NoKey) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A record without some of its subjects; `None` where nobody else is in it.
fn without(stored: StoredRecord, hidden: &[Subject]) -> Option<StoredRecord> {
    if hidden.is_empty() {
        return Some(stored);
    }
    let StoredRecord { mut record, subject_recorded_at, content, .. } = stored;
    let mut kept = (Vec::new(), Vec::new(), Vec::new());
    for ((subject, since), words) in record.subjects.into_iter().zip(subject_recorded_at).zip(content) {
        if !hidden.contains(&subject.subject) {
            kept.0.push(subject);
            kept.1.push(since);
            kept.2.push(words);
        }
    }
    record.subjects = kept.0;
    let is_left = !record.subjects.is_empty();
    is_left.then_some(StoredRecord { record, subject_recorded_at: kept.1, content: kept.2, ..stored })
}

/// Whether something is a resident whom the caller may not know of.
pub(super) fn is_hidden(work: &Work<'_>, subject: &Subject) -> bool {
    match subject {
        Subject::Resident(id) => work.hides(id),
        Subject::Dwelling(_)
        | Subject::Area(_)
        | Subject::Facility(_)
        | Subject::Request(_)
        | Subject::Site => false,
    }
}

/// The resident whom something is about.
pub(super) fn resident(subject: &Subject) -> Option<String> {
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
