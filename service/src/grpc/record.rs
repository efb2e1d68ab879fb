//! `CareRecordService`.

use linli_core::event::EventAspect;
use linli_core::id::{EventId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::record::{Evaluation, Outcome, RECORD_SUBJECTS_MAX, SubjectOutcome};
use linli_core::text::{Line, Paragraph};
use linli_proto::v1;
use linli_proto::v1::correct_record_request::Correction as WireCorrection;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, etag, parse_etag};
use super::page::Binding;
use super::request::{is_full, mask, next, text, wanted};
use crate::app::record::{
    Correction, NewEvaluation, NewRecord, RECORD_BATCH_MAX, RECORD_BATCH_SUBJECTS_MAX, RecordChange,
    RecordFilter, RecordView, Recorded, SafetyWord,
};
use crate::error::Result;
use crate::name::{self, Sites};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// The fields of a record that a correction may change.
const CORRECTABLE: &[&str] = &["kind", "occur_time", "performer", "department", "subjects"];

#[tonic::async_trait]
impl v1::care_record_service_server::CareRecordService for Face {
    async fn record_service(
        &self,
        request: Request<v1::RecordServiceRequest>,
    ) -> Answer<v1::RecordServiceResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, records) = new_records(&message)?;
            app.record_services(&call, repeat, site, records).await
        })
        .await
    }

    async fn record_round(&self, request: Request<v1::RecordRoundRequest>) -> Answer<v1::Record> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, round) = new_round(&message)?;
            app.record_round(&call, repeat, site, round).await
        })
        .await
    }

    async fn confirm_safety(&self, request: Request<v1::ConfirmSafetyRequest>) -> Answer<v1::CareEvent> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let source = check.take("source", safety_source(message.source));
            let occurred_at = match &message.occur_time {
                Some(_) => check.instant("occur_time", message.occur_time.as_ref()).map(Some),
                None => Some(None),
            };
            let note = check.take("note", Paragraph::optional(&message.note));
            let parsed = at.zip(source).zip(occurred_at.zip(note));
            let ((at, source), (occurred_at, note)) = check.finish(parsed)?;
            app.confirm_safety(&call, repeat, at, SafetyWord { source, occurred_at, note }).await
        })
        .await
    }

    async fn correct_record(&self, request: Request<v1::CorrectRecordRequest>) -> Answer<v1::Record> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_record(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let reason = check.take("reason", Line::new(&message.reason));
            let site = at.as_ref().map(|at| at.site.clone());
            let correction = correction(&mut check, site.as_ref(), &message);
            let parsed = at.zip(version).zip(reason.zip(correction));
            let ((at, version), (reason, correction)) = check.finish(parsed)?;
            app.correct_record(&call, repeat, at, version, reason, correction).await
        })
        .await
    }

    async fn evaluate_record(&self, request: Request<v1::EvaluateRecordRequest>) -> Answer<v1::Record> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_record(&message.name));
            let subject = check.take("subject", name::parse_resident(&message.subject));
            if let (Some(at), Some(subject)) = (&at, &subject) {
                check.same_site("subject", &at.site, &subject.site);
            }
            let satisfaction = check.take("satisfaction", satisfaction(message.satisfaction));
            let comment = check.take("comment", Paragraph::optional(&message.comment));
            let parsed = at.zip(subject).zip(satisfaction.zip(comment));
            let ((at, subject), (satisfaction, comment)) = check.finish(parsed)?;
            let subject = linli_core::id::Subject::Resident(subject.id);
            app.evaluate_record(&call, repeat, at, NewEvaluation { subject, satisfaction, comment }).await
        })
        .await
    }

    async fn get_record(&self, request: Request<v1::GetRecordRequest>) -> Answer<v1::Record> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_record(&message.name));
            let full = check.take("view", is_full(message.view));
            let (at, full) = check.finish(at.zip(full))?;
            app.record(&call, &at, full).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Answer<v1::ListRecordsResponse> {
        self.read(request, |app, call, message| async move {
            let (sites, filter) = record_filter(&message)?;
            let query: [&[u8]; 5] = [
                message.parent.as_bytes(),
                message.subject.as_bytes(),
                &message.kind.to_be_bytes(),
                message.start_date.as_bytes(),
                message.end_date.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.records(&call, &sites, &filter, wanted).await?;
            Ok(v1::ListRecordsResponse {
                records: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

impl Shows<RecordView> for v1::Record {
    fn shows(view: &RecordView) -> Self {
        let record = &view.record;
        let state = if record.voided { v1::RecordState::Void } else { v1::RecordState::Valid };
        let subject = |subject: &SubjectOutcome| v1::RecordSubject {
            subject: name::subject(&record.site, &subject.subject),
            outcome: subject.outcome.number(),
            answers: subject.answers.iter().map(|event| name::event(&record.site, event)).collect(),
            note: text(subject.content.as_ref()),
        };
        let evaluation = |evaluation: &Evaluation| v1::Evaluation {
            subject: name::subject(&record.site, &evaluation.subject),
            satisfaction: evaluation.satisfaction.into(),
            comment: text(evaluation.comment.as_ref()),
            record_time: Some(timestamp(evaluation.recorded_at)),
        };
        Self {
            name: name::record(&record.site, &record.id),
            etag: etag(record.version),
            state: state.into(),
            version: i32::try_from(record.version).unwrap_or(i32::MAX),
            kind: record.kind.number(),
            occur_time: Some(timestamp(record.occurred_at)),
            record_time: Some(timestamp(view.first_recorded_at)),
            performer: name::staff(&record.performer),
            department: record.department.number(),
            subjects: record.subjects.iter().map(subject).collect(),
            late_entry: view.is_late_entry(),
            evaluations: view.evaluations.iter().map(evaluation).collect(),
            correction_reason: text(record.correction_reason.as_ref()),
        }
    }
}

impl Shows<Recorded> for v1::RecordServiceResponse {
    fn shows(recorded: &Recorded) -> Self {
        Self { records: recorded.0.iter().map(ToWire::to_wire).collect() }
    }
}

fn new_records(message: &v1::RecordServiceRequest) -> Result<(SiteId, Vec<NewRecord>)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let subjects: usize = message.records.iter().map(|record| record.subjects.len()).sum();
    if message.records.is_empty() {
        check.refuse("records", Invalid::Missing);
    }
    if message.records.len() > RECORD_BATCH_MAX {
        check.refuse("records", Invalid::TooMany { max: RECORD_BATCH_MAX });
    } else if subjects > RECORD_BATCH_SUBJECTS_MAX {
        check.refuse("records.subjects", Invalid::TooMany { max: RECORD_BATCH_SUBJECTS_MAX });
    }
    let records: Vec<_> = message
        .records
        .iter()
        .enumerate()
        .take(RECORD_BATCH_MAX)
        .map(|(at, record)| new_record(&mut check, &format!("records[{at}]"), site.as_ref(), record))
        .collect();
    let records = records.into_iter().collect::<Option<Vec<_>>>();
    check.finish(site.zip(records))
}

fn new_record(
    check: &mut Check,
    path: &str,
    site: Option<&SiteId>,
    record: &v1::Record,
) -> Option<NewRecord> {
    let kind = check.take(format!("{path}.kind"), Listed::listed(record.kind));
    let occurred_at = check.instant(&format!("{path}.occur_time"), record.occur_time.as_ref());
    let performer = check.optional(format!("{path}.performer"), &record.performer, name::parse_staff);
    let department = check.take(format!("{path}.department"), Listed::optional(record.department));
    let subjects = subjects(check, &format!("{path}.subjects"), site, &record.subjects);
    let ((kind, occurred_at), ((performer, department), subjects)) =
        kind.zip(occurred_at).zip(performer.zip(department).zip(subjects))?;
    Some(NewRecord { kind, occurred_at, performer, department, subjects })
}

fn subjects(
    check: &mut Check,
    path: &str,
    site: Option<&SiteId>,
    subjects: &[v1::RecordSubject],
) -> Option<Vec<SubjectOutcome>> {
    if subjects.is_empty() {
        check.refuse(path, Invalid::Missing);
    }
    if subjects.len() > RECORD_SUBJECTS_MAX {
        check.refuse(path, Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
        return None;
    }
    let parsed: Vec<_> = subjects
        .iter()
        .enumerate()
        .map(|(at, subject)| subject_outcome(check, &format!("{path}[{at}]"), site, subject))
        .collect();
    parsed.into_iter().collect()
}

fn subject_outcome(
    check: &mut Check,
    path: &str,
    site: Option<&SiteId>,
    message: &v1::RecordSubject,
) -> Option<SubjectOutcome> {
    let subject = check.take(format!("{path}.subject"), name::parse_subject(&message.subject));
    if let (Some(site), Some(subject)) = (site, &subject) {
        check.same_site(format!("{path}.subject"), site, &subject.site);
    }
    let outcome = check.take(format!("{path}.outcome"), Listed::listed(message.outcome));
    let mut answers: Vec<EventId> = Vec::with_capacity(message.answers.len());
    for (at, answer) in message.answers.iter().enumerate() {
        let field = format!("{path}.answers[{at}]");
        let Some(event) = check.take(field.clone(), name::parse_event(answer)) else { continue };
        if let Some(site) = site {
            check.same_site(field.clone(), site, &event.site);
        }
        if answers.contains(&event.id) {
            check.refuse(field, Invalid::Duplicate);
        } else {
            answers.push(event.id);
        }
    }
    let content = check.take(format!("{path}.note"), Paragraph::optional(&message.note));
    let ((subject, outcome), content) = subject.zip(outcome).zip(content)?;
    Some(SubjectOutcome { subject: subject.id, outcome, answers, content })
}

fn new_round(message: &v1::RecordRoundRequest) -> Result<(SiteId, NewRecord)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let kind = check.take("kind", Listed::listed(message.kind));
    let occurred_at = check.instant("occur_time", message.occur_time.as_ref());
    let performer = check.optional("performer", &message.performer, name::parse_staff);
    let department = check.take("department", Listed::optional(message.department));
    let subjects = round(&mut check, site.as_ref(), message);
    let parsed = site.zip(kind.zip(occurred_at)).zip(performer.zip(department).zip(subjects));
    let ((site, (kind, occurred_at)), ((performer, department), subjects)) = check.finish(parsed)?;
    Ok((site, NewRecord { kind, occurred_at, performer, department, subjects }))
}

/// The places of a round, done but for the exceptions.
fn round(
    check: &mut Check,
    site: Option<&SiteId>,
    message: &v1::RecordRoundRequest,
) -> Option<Vec<SubjectOutcome>> {
    if message.subjects.is_empty() {
        check.refuse("subjects", Invalid::Missing);
    }
    if message.subjects.len() > RECORD_SUBJECTS_MAX {
        check.refuse("subjects", Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
        return None;
    }
    let exceptions: Vec<_> = message
        .exceptions
        .iter()
        .enumerate()
        .map(|(at, exception)| subject_outcome(check, &format!("exceptions[{at}]"), site, exception))
        .collect();
    let mut exceptions =
        exceptions.into_iter().map(|exception| exception.map(Some)).collect::<Option<Vec<_>>>();
    let mut done = Some(Vec::with_capacity(message.subjects.len()));
    for (at, subject) in message.subjects.iter().enumerate() {
        let field = format!("subjects[{at}]");
        let parsed = check.take(field.clone(), name::parse_subject(subject));
        if let (Some(site), Some(parsed)) = (site, &parsed) {
            check.same_site(field.clone(), site, &parsed.site);
        }
        let Some(parsed) = parsed else {
            done = None;
            continue;
        };
        if matches!(parsed.id, linli_core::id::Subject::Resident(_)) {
            // A round is about places; people are visited one by one.
            check.refuse(field, Invalid::NotAllowed);
        }
        let exception = exceptions
            .iter_mut()
            .flatten()
            .find_map(|exception| exception.take_if(|exception| exception.subject == parsed.id));
        let plain =
            SubjectOutcome { subject: parsed.id, outcome: Outcome::Done, answers: Vec::new(), content: None };
        if let Some(done) = &mut done {
            done.push(exception.unwrap_or(plain));
        }
    }
    for (at, _) in exceptions.iter().flatten().enumerate().filter(|(_, left)| left.is_some()) {
        check.refuse(format!("exceptions[{at}].subject"), Invalid::Unknown);
    }
    exceptions.and(done)
}

fn correction(
    check: &mut Check,
    site: Option<&SiteId>,
    message: &v1::CorrectRecordRequest,
) -> Option<Correction> {
    match &message.correction {
        None | Some(WireCorrection::Withdraw(false)) => check.take("correction", Err(Invalid::Missing)),
        Some(WireCorrection::Withdraw(true)) => {
            if message.update_mask.is_some() {
                check.refuse("update_mask", Invalid::NotAllowed);
            }
            Some(Correction::Withdraw)
        }
        Some(WireCorrection::Record(record)) => {
            let mask = mask(check, message.update_mask.as_ref(), CORRECTABLE, "record");
            let kind = mask.taken(check, "kind", "record", || Listed::listed(record.kind));
            let department =
                mask.taken(check, "department", "record", || Listed::optional(record.department));
            let occurred_at = if mask.holds("occur_time") {
                check.instant("record.occur_time", record.occur_time.as_ref()).map(Some)
            } else {
                Some(None)
            };
            let performer = if mask.holds("performer") {
                check.optional("record.performer", &record.performer, name::parse_staff).map(Some)
            } else {
                Some(None)
            };
            let subjects = if mask.holds("subjects") {
                subjects(check, "record.subjects", site, &record.subjects).map(Some)
            } else {
                Some(None)
            };
            let ((kind, occurred_at), ((performer, department), subjects)) =
                kind.zip(occurred_at).zip(performer.zip(department).zip(subjects))?;
            Some(Correction::Change(RecordChange { kind, occurred_at, performer, department, subjects }))
        }
    }
}

fn record_filter(message: &v1::ListRecordsRequest) -> Result<(Sites, RecordFilter)> {
    let mut check = Check::new();
    let sites = check.take("parent", name::parse_sites(&message.parent));
    let subject = check.optional("subject", &message.subject, name::parse_subject);
    let kind = check.take("kind", Listed::optional(message.kind));
    let from = check.date("start_date", &message.start_date);
    let to = check.date("end_date", &message.end_date);
    if let (Some(Some(from)), Some(Some(to))) = (from, to)
        && to < from
    {
        check.refuse("end_date", Invalid::EndsBeforeStart);
    }
    if let (Some(Sites::One(site)), Some(Some(subject))) = (&sites, &subject) {
        check.same_site("subject", site, &subject.site);
    }
    let parsed = sites.zip(subject).zip(kind.zip(from.zip(to)));
    let ((sites, subject), (kind, (from, to))) = check.finish(parsed)?;
    // A subject belongs to one site: the others need not be asked.
    let sites = match &subject {
        Some(subject) => Sites::One(subject.site.clone()),
        None => sites,
    };
    Ok((sites, RecordFilter { subject: subject.map(|subject| subject.id), kind, from, to }))
}

fn safety_source(number: i32) -> std::result::Result<EventAspect, Invalid> {
    use v1::SafetySource as Source;
    match Source::try_from(number) {
        Ok(Source::Unspecified) => Err(Invalid::Missing),
        Ok(Source::Resident) => Ok(EventAspect::Resident),
        Ok(Source::Family) => Ok(EventAspect::Family),
        Ok(Source::Neighbour) => Ok(EventAspect::Neighbour),
        Ok(Source::Guard) => Ok(EventAspect::Guard),
        Err(_) => Err(Invalid::Unknown),
    }
}

/// How satisfied somebody is.
pub(super) fn satisfaction(number: i32) -> std::result::Result<u8, Invalid> {
    match u8::try_from(number) {
        Ok(0) => Err(Invalid::Missing),
        Ok(grade @ 1..=5) => Ok(grade),
        Ok(_) => Err(Invalid::TooLarge { max: 5 }),
        Err(_) if number < 0 => Err(Invalid::TooSmall { min: 1 }),
        Err(_) => Err(Invalid::TooLarge { max: 5 }),
    }
}
