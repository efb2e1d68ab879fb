//! Reported changes of a care file and their answers within 24 hours, and what else is reported to have happened.

use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{EventId, RecordId, ResidentId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::resident::FieldClass;
use linli_core::text::Paragraph;
use linli_core::time::Instant;

use super::file::{FileChange, require_active, violation};
use super::record::outside_tenure;
use super::resident::FileView;
use super::site::{Update, fresh, invalid};
use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// What a report says that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The facts of the file have changed.
    Change,
    /// A major change of the person's situation.
    MajorChange,
    /// They came home from hospital.
    Discharged,
}

/// A reported change.
#[derive(Debug, Clone)]
pub struct ChangeReport {
    /// What happened.
    pub reported: Reported,
    /// What it is about.
    pub aspect: EventAspect,
    /// In words.
    pub note: Option<Paragraph>,
    /// When it was reported; `None`: now.
    pub reported_at: Option<Instant>,
}

/// What answering reported changes did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The file, masked.
    pub file: FileView,
    /// The record of the update.
    pub record: super::record::RecordView,
}

impl App {
    /// Notes that the facts of a file have changed, and the file is due within 24 hours; or that something happened to
    /// the resident after which their standards promise something.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn report_change(
        &self,
        call: &Call,
        repeat: Repeat<CareEvent>,
        site: SiteId,
        id: ResidentId,
        report: ChangeReport,
    ) -> Result<Answer<CareEvent>> {
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id.clone();
        let occurred_at = report.reported_at.unwrap_or(work.now);
        if occurred_at > work.now {
            return Err(invalid("report_time", Invalid::Future));
        }
        if let Some(why) = outside_tenure(&head, work.zone().date_of(occurred_at)) {
            return Err(invalid("report_time", why));
        }
        let (kind, event_name) = match report.reported {
            Reported::Change => (EventKind::ChangeReported, "resident.change_reported"),
            Reported::MajorChange => (EventKind::MajorChange, "resident.major_change"),
            Reported::Discharged => (EventKind::Discharged, "resident.discharged"),
        };
        let event = CareEvent {
            id: fresh(EventId::new(&work.new_id()))?,
            kind,
            subject: Subject::Resident(id.clone()),
            occurred_at,
            recorded_at: work.now,
            aspect: Some(report.aspect),
            note: report.note,
            site,
        };
        let touches = Touches::files(
            name::resident(&event.site, &id),
            vec![id.as_str().to_owned()],
            &[FieldClass::Care],
        );
        let mut changes = work.changes(&touches);
        changes.require_resident(&event.site, &id, None);
        changes.add_care_event(event.clone()).event(event_name, name::event(&event.site, &event.id));
        work.commit("resident.report_change", changes, &repeat, event).await
    }

    /// Notes that extreme weather was announced for a site: whoever's standards say so is owed a check.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Denied`].
    pub async fn report_weather(
        &self,
        call: &Call,
        repeat: Repeat<CareEvent>,
        site: SiteId,
        announced_at: Option<Instant>,
    ) -> Result<Answer<CareEvent>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let occurred_at = announced_at.unwrap_or(work.now);
        if occurred_at > work.now {
            return Err(invalid("announce_time", Invalid::Future));
        }
        let event = CareEvent {
            id: fresh(EventId::new(&work.new_id()))?,
            kind: EventKind::ExtremeWeather,
            subject: Subject::Site,
            occurred_at,
            recorded_at: work.now,
            aspect: None,
            note: None,
            site,
        };
        let mut changes = work.changes(&Touches::resource(name::site(&event.site)));
        changes.require_site(&event.site);
        changes
            .add_care_event(event.clone())
            .event("site.weather_reported", name::event(&event.site, &event.id));
        work.commit("site.report_weather", changes, &repeat, event).await
    }

    /// Updates a file in answer to reported changes and records the update as service.
    ///
    /// # Errors
    /// As [`App::update_resident`]; [`Error::Invalid`] for answers that are not reported changes of this resident.
    pub async fn apply_change(
        &self,
        call: &Call,
        repeat: Repeat<Applied>,
        update: Update<ResidentId, FileChange>,
        answers: Vec<EventId>,
        performer: Option<StaffId>,
    ) -> Result<Answer<Applied>> {
        let work = self.begin_file(call, &update.site, &update.id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &update.site, &update.id).await?;
        let (site, id) = (update.site.clone(), head.id.clone());
        let update = Update { id: id.clone(), ..update };
        let subject = Subject::Resident(id.clone());
        let files: Vec<Subject> = head.files().into_iter().map(Subject::Resident).collect();
        let reported = self.store.care_events_by_id(&site, &answers).await?;
        let mut violations = Vec::new();
        for (at, answer) in answers.iter().enumerate() {
            let answered = reported.iter().map(|stored| &stored.event).find(|event| event.id == *answer);
            let fits =
                |event: &CareEvent| event.kind == EventKind::ChangeReported && files.contains(&event.subject);
            if !answered.is_some_and(fits) {
                violations.push(violation(format!("answers[{at}]"), Invalid::Unknown));
            }
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let (mut changes, file) = self.changed(&work, update).await?;
        let record = ServiceRecord {
            site: site.clone(),
            id: fresh(RecordId::new(&work.new_id()))?,
            version: 1,
            kind: ServiceKind::FileUpdate,
            occurred_at: work.now,
            recorded_at: work.now,
            performer: performer.unwrap_or_else(|| work.permit().principal().staff.clone()),
            department: Department::CustomerService,
            subjects: vec![SubjectOutcome { subject, outcome: Outcome::Done, answers, content: None }],
            voided: false,
            correction_reason: None,
        };
        changes.add_record(record.clone()).event("record.created", name::record(&site, &record.id));
        let applied = Applied { file, record: super::record::RecordView::written(record) };
        work.commit("resident.apply_change", changes, &repeat, applied).await
    }
}
