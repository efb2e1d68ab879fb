//! Surveys: campaigns, what was learned at each door, and what it comes to.
//!
//! An answer is a service record as well, which earns the credit: duties stay a function of records. Every answer moves the version
//! of its campaign, so that none slips in between the count and the close.

mod coverage;

use std::collections::{BTreeMap, HashMap};

use futures_util::FutureExt;
use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{
    AnswerId, DwellingId, EventId, RecordId, ResidentId, SiteId, StaffId, Subject, SurveyId,
};
use linli_core::invalid::Invalid;
use linli_core::kind::EventKind;
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::resident::{FieldClass, FileState, Phone};
use linli_core::survey::{
    Mark, PersonFindings, PersonMarks, Survey, SurveyAnswer, SurveyChannel, SurveyKind, SurveyOutcome,
    SurveyedPerson,
};
use linli_core::text::{Line, Paragraph};
use linli_core::time::{DateRange, Instant};
use linli_store::{ChangeSet, ResidentHead, Scope, Sites, SurveyedDraft};

pub use self::coverage::CoverageView;
use super::contest::{contended, won};
use super::file::{require_active, violation};
use super::record::{department_of, exists, word};
use super::site::{filtered, fresh, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name::{self, InSite, InSurvey};

/// A campaign to be opened.
#[derive(Debug, Clone)]
pub struct NewSurvey {
    /// The id, where the caller chooses it.
    pub id: Option<SurveyId>,
    /// Which dwellings it goes to.
    pub kind: SurveyKind,
    /// What people call it.
    pub title: Line,
    /// The days on which answers may be gathered.
    pub days: DateRange,
}

/// Which campaigns a list holds; all given conditions hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct SurveyFilter {
    /// Of this kind.
    pub kind: Option<SurveyKind>,
    /// Closed, or open.
    pub closed: Option<bool>,
}

/// What was learned of a dwelling.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// How it was come by.
    pub channel: SurveyChannel,
    /// What was learned.
    pub outcome: SurveyOutcome,
    /// How many people live there.
    pub household: Option<u16>,
    /// The household's telephone number.
    pub phone: Option<Phone>,
    /// The members of special groups who live there.
    pub people: Vec<NewSurveyed>,
    /// Somebody looked: they are not those of another dwelling.
    pub distinct: bool,
    /// When it was gathered.
    pub occurred_at: Instant,
    /// Who gathered it; `None`: the caller.
    pub performer: Option<StaffId>,
}

/// Somebody whom an answer tells of.
#[derive(Debug, Clone)]
pub struct NewSurveyed {
    /// Their care file.
    pub resident: Option<ResidentId>,
    /// What was found.
    pub findings: PersonFindings,
    /// What has changed of their file.
    pub change: Option<NewChange>,
}

/// A change of a file that a survey found.
#[derive(Debug, Clone)]
pub struct NewChange {
    /// What it is about.
    pub aspect: EventAspect,
    /// In words.
    pub note: Option<Paragraph>,
}

/// An answer as an answer of the API shows it.
#[derive(Debug, Clone)]
pub struct AnswerView {
    /// The answer.
    pub answer: SurveyAnswer,
    /// Whom it tells of, the household as number 0; findings only of the classes that are shown.
    pub people: Vec<SurveyedPerson>,
    /// The classes that are shown.
    pub classes: Vec<FieldClass>,
}

impl AnswerView {
    /// An answer without findings, and without the people whom the caller may not know of.
    fn masked(
        work: &Work<'_>,
        answer: SurveyAnswer,
        people: impl IntoIterator<Item = SurveyedPerson>,
    ) -> Self {
        let is_known = |person: &SurveyedPerson| {
            person.marks.resident.as_ref().is_none_or(|resident| !work.hides(resident))
        };
        let bare = |person| SurveyedPerson { findings: PersonFindings::default(), ..person };
        let people = people.into_iter().filter(is_known).map(bare).collect();
        Self { answer, people, classes: Vec::new() }
    }
}

impl App {
    /// Opens a campaign.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`].
    pub async fn open_survey(
        &self,
        call: &Call,
        repeat: Repeat<Survey>,
        site: SiteId,
        new: NewSurvey,
    ) -> Result<Answer<Survey>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(SurveyId::new(&work.new_id()))?,
        };
        let survey = Survey {
            site,
            id,
            kind: new.kind,
            title: new.title,
            days: new.days,
            opened: work.signed(),
            closed: None,
            result: None,
            answers: 0,
            version: 1,
        };
        let resource = name::survey(&survey.site, &survey.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.require_site(&survey.site);
        changes.put_survey(survey.clone()).event("survey.opened", resource);
        work.commit("survey.open", changes, &repeat, survey).await
    }

    /// One campaign.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn survey(&self, call: &Call, at: &InSite<SurveyId>) -> Result<Survey> {
        self.begin(call, Some(&at.site)).await?;
        self.load_survey(&at.site, &at.id).await
    }

    /// The campaigns of a site that fit, by id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::PageToken`], [`Error::Denied`].
    pub async fn surveys(
        &self,
        call: &Call,
        site: &SiteId,
        filter: SurveyFilter,
        page: PageRequest,
    ) -> Result<Page<Survey>> {
        self.begin(call, Some(site)).await?;
        let fits = |survey: &Survey| {
            filter.kind.is_none_or(|kind| survey.kind == kind)
                && filter.closed.is_none_or(|closed| survey.closed.is_some() == closed)
        };
        let id = |survey: &Survey| (survey.site.clone(), survey.id.as_str().to_owned());
        filtered(Sites::from(site), &page, fits, id, |sites, next| {
            async move { Ok(self.store.surveys(&sites, &next).await?) }.boxed()
        })
        .await
    }

    /// Records what was learned of a dwelling, and reports what has changed of care files.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the campaign, [`Error::Invalid`] with every violation, [`Error::State`] where a file is not in care,
    /// [`Error::Denied`].
    pub async fn record_survey(
        &self,
        call: &Call,
        repeat: Repeat<AnswerView>,
        at: InSite<SurveyId>,
        new: NewAnswer,
    ) -> Result<Answer<AnswerView>> {
        contended(|| self.try_record_survey(call, &repeat, &at, &new)).await
    }

    async fn try_record_survey(
        &self,
        call: &Call,
        repeat: &Repeat<AnswerView>,
        at: &InSite<SurveyId>,
        new: &NewAnswer,
    ) -> Result<Option<Answer<AnswerView>>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut survey = self.load_survey(&at.site, &at.id).await?;
        let heads = self.check_answer(&work, &survey, new).await?;
        let performer = new.performer.clone();
        let answer = SurveyAnswer {
            site: at.site.clone(),
            survey: at.id.clone(),
            id: fresh(AnswerId::new(&work.new_id()))?,
            dwelling: new.dwelling.clone(),
            channel: new.channel,
            outcome: new.outcome,
            household: new.household,
            distinct: new.distinct,
            occurred_at: new.occurred_at,
            recorded_at: work.now,
            late: survey.closed.is_some(),
            performer: performer.unwrap_or_else(|| work.permit().principal().staff.clone()),
            record: fresh(RecordId::new(&work.new_id()))?,
            withdrawn: None,
            version: 1,
        };
        let residents: Vec<&ResidentId> = heads.values().map(|head| &head.id).collect();
        let resource = name::survey_answer(&answer.site, &answer.survey, &answer.id);
        let mut changes = work.changes(&touches(&resource, &residents));
        changes.require_dwelling(&answer.site, &answer.dwelling);
        for resident in &residents {
            changes.require_resident(&answer.site, resident, None);
        }
        let record = record_of(&survey, &answer, &residents, work.now);
        changes.event("record.created", name::record(&answer.site, &answer.record)).add_record(record);
        let people = self.surveyed_people(&work, &answer, new, &heads, &mut changes).await?;
        for person in &people {
            changes.add_surveyed(SurveyedDraft {
                site: answer.site.clone(),
                survey: answer.survey.clone(),
                answer: answer.id.clone(),
                dwelling: answer.dwelling.clone(),
                person: person.clone(),
            });
        }
        survey.version = next_version(survey.version, None)?;
        survey.answers = survey.answers.saturating_add(1);
        changes.put_survey(survey).put_survey_answer(answer.clone()).event("survey.answered", resource);
        let view = AnswerView::masked(&work, answer, people);
        won(work.commit("survey.record", changes, repeat, view).await)
    }

    /// Checks an answer against what the site knows; returns the files that it names, by its people's place.
    async fn check_answer(
        &self,
        work: &Work<'_>,
        survey: &Survey,
        new: &NewAnswer,
    ) -> Result<BTreeMap<usize, ResidentHead>> {
        let day = work.zone().date_of(new.occurred_at);
        let mut violations: Vec<Violation> = Vec::new();
        if new.occurred_at > work.now {
            violations.push(violation("answer.occur_time", Invalid::Future));
        } else if let Some(why) = survey.outside(day) {
            violations.push(violation("answer.occur_time", why));
        }
        if self.store.dwelling(&survey.site, &new.dwelling).await?.is_none() {
            violations.push(violation("answer.dwelling", Invalid::Unknown));
        }
        for (place, person) in new.people.iter().enumerate() {
            if person.findings.birth_date.is_some_and(|born| born > day) {
                violations.push(violation(format!("answer.people[{place}].birth_date"), Invalid::Future));
            }
        }
        let places = || new.people.iter().enumerate().filter(|(_, person)| person.resident.is_some());
        let named = places().filter_map(|(place, person)| {
            person.resident.as_ref().map(|id| (format!("answer.people[{place}].resident"), id))
        });
        let found = self.named_files(work, &survey.site, day, named.collect(), &mut violations).await?;
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let heads: BTreeMap<usize, ResidentHead> =
            places().zip(found).filter_map(|((place, _), head)| Some((place, head?))).collect();
        for (place, head) in &heads {
            if new.people.get(*place).is_some_and(|person| person.change.is_some()) {
                require_active(head)?;
            }
        }
        Ok(heads)
    }

    /// Whom an answer tells of, with the changes of files that it reports.
    async fn surveyed_people(
        &self,
        work: &Work<'_>,
        answer: &SurveyAnswer,
        new: &NewAnswer,
        heads: &BTreeMap<usize, ResidentHead>,
        changes: &mut ChangeSet,
    ) -> Result<Vec<SurveyedPerson>> {
        let mut people = Vec::new();
        if let Some(phone) = &new.phone {
            let findings = PersonFindings { phone: Some(phone.clone()), ..PersonFindings::default() };
            let marks = self.marks(&answer.site, None, &findings).await?;
            people.push(SurveyedPerson { number: 0, marks, event: None, findings });
        }
        for ((place, person), number) in new.people.iter().enumerate().zip(1..) {
            let resident = heads.get(&place).map(|head| head.id.clone());
            let mut reported = None;
            if let (Some(resident), Some(change)) = (&resident, &person.change) {
                let event = CareEvent {
                    site: answer.site.clone(),
                    id: fresh(EventId::new(&work.new_id()))?,
                    kind: EventKind::ChangeReported,
                    subject: Subject::Resident(resident.clone()),
                    occurred_at: answer.occurred_at,
                    recorded_at: work.now,
                    aspect: Some(change.aspect),
                    note: change.note.clone(),
                };
                reported = Some(event.id.clone());
                changes.event("resident.change_reported", name::event(&event.site, &event.id));
                changes.add_care_event(event);
            }
            let marks = self.marks(&answer.site, resident, &person.findings).await?;
            let findings = person.findings.clone();
            people.push(SurveyedPerson { number, marks, event: reported, findings });
        }
        Ok(people)
    }

    /// What of somebody is compared: keyed hashes, which tell nothing by themselves.
    async fn marks(
        &self,
        site: &SiteId,
        resident: Option<ResidentId>,
        findings: &PersonFindings,
    ) -> Result<PersonMarks> {
        let scope = Scope::from(site);
        let person = match findings.person_text() {
            Some(text) => Some(Mark(self.store.audit_hash(&scope, "survey.person", &text).await?)),
            None => None,
        };
        let phone = match &findings.phone {
            Some(phone) => Some(Mark(self.store.audit_hash(&scope, "survey.phone", phone.reveal()).await?)),
            None => None,
        };
        Ok(PersonMarks { resident, person, phone })
    }

    /// Withdraws an answer and its service record.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] for one that was withdrawn, [`Error::Denied`].
    pub async fn withdraw_survey_answer(
        &self,
        call: &Call,
        repeat: Repeat<AnswerView>,
        at: InSurvey<AnswerId>,
        version: Option<u64>,
        reason: Line,
    ) -> Result<Answer<AnswerView>> {
        contended(|| self.try_withdraw(call, &repeat, &at, version, &reason)).await
    }

    async fn try_withdraw(
        &self,
        call: &Call,
        repeat: &Repeat<AnswerView>,
        at: &InSurvey<AnswerId>,
        version: Option<u64>,
        reason: &Line,
    ) -> Result<Option<Answer<AnswerView>>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut answer = self.load_answer(at).await?;
        answer.version = next_version(answer.version, version)?;
        if answer.withdrawn.is_some() {
            return Err(Error::State(StateConflict::AnswerWithdrawn));
        }
        answer.withdrawn = Some(work.signed());
        let mut survey = self.load_survey(&at.site, &at.survey).await?;
        survey.version = next_version(survey.version, None)?;
        let people = self.store.surveyed(&at.site, &at.survey, std::slice::from_ref(&at.id)).await?;
        let people: Vec<SurveyedPerson> = people.into_iter().map(|stored| stored.person).collect();
        let stored = self.store.record(&at.site, &answer.record).await?;
        let stored = stored.ok_or_else(|| Error::Internal("an answer without its record".into()))?;
        let resource = name::survey_answer(&at.site, &at.survey, &at.id);
        let mut changes = work.changes(&touches(&resource, &residents_of(&people)));
        if !stored.record.voided {
            let record = ServiceRecord {
                version: next_version(stored.record.version, None)?,
                recorded_at: work.now,
                voided: true,
                correction_reason: Some(reason.clone()),
                ..self.with_words(&work, &stored).await?
            };
            changes.event("record.corrected", name::record(&at.site, &answer.record));
            changes.correct_record(stored, record);
        }
        changes
            .put_survey(survey)
            .put_survey_answer(answer.clone())
            .event("survey.answer_withdrawn", resource);
        won(work.commit("survey.withdraw", changes, repeat, AnswerView::masked(&work, answer, people)).await)
    }

    /// One answer; with what was found only for a purpose, and of the classes that are the caller's to see.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`] where no class is the caller's,
    /// [`Error::RevealLimit`].
    pub async fn survey_answer(
        &self,
        call: &Call,
        at: &InSurvey<AnswerId>,
        full: bool,
    ) -> Result<AnswerView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let resource = name::survey_answer(&at.site, &at.survey, &at.id);
        let mut classes: Vec<FieldClass> = Vec::new();
        if full {
            classes.extend(PersonFindings::CLASSES.into_iter().filter(|class| work.may_see(*class)));
            let asked = if classes.is_empty() { &PersonFindings::CLASSES } else { classes.as_slice() };
            self.may_reveal(&work, &Touches::files(&resource, Vec::new(), asked)).await?;
        }
        let answer = self.load_answer(at).await?;
        let people = self.store.surveyed(&at.site, &at.survey, std::slice::from_ref(&at.id)).await?;
        let mut view = AnswerView::masked(&work, answer, people.into_iter().map(|stored| stored.person));
        if !full {
            return Ok(view);
        }
        let named: Vec<ResidentId> = residents_of(&view.people).into_iter().cloned().collect();
        let put_away = self.put_away_files(&at.site, &named).await?;
        let subjects = named.iter().map(|id| id.as_str().to_owned()).collect();
        let touches = Touches::files(&resource, subjects, &classes);
        work.reveal_children(&touches).await?;
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        // Of whom the caller may not know, or whose file is put away, nothing is opened.
        let is_shown = |person: &&mut SurveyedPerson| {
            person.marks.resident.as_ref().is_none_or(|id| !put_away.contains(id))
        };
        let mut shown: HashMap<u16, &mut PersonFindings> = view
            .people
            .iter_mut()
            .filter(is_shown)
            .map(|person| (person.number, &mut person.findings))
            .collect();
        for (number, sealed) in self.store.survey_findings(&at.site, &at.survey, &at.id).await? {
            if classes.contains(&sealed.class())
                && let Some(findings) = shown.get_mut(&number)
                && let Some(part) = word(&opener, Some(&sealed))?
            {
                findings.absorb(part);
            }
        }
        view.classes = classes;
        Ok(view)
    }

    /// The files among these of which nothing is shown: those that are sealed, or gone.
    async fn put_away_files(&self, site: &SiteId, ids: &[ResidentId]) -> Result<Vec<ResidentId>> {
        let mut put_away = Vec::new();
        for id in ids {
            let head = self.find_head(site, id).await?;
            if head.is_none_or(|head| !exists(&head) || head.state == FileState::Sealed) {
                put_away.push(id.clone());
            }
        }
        Ok(put_away)
    }

    /// The answers of a campaign, masked, by id.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn survey_answers(
        &self,
        call: &Call,
        at: &InSite<SurveyId>,
        dwelling: Option<&DwellingId>,
        withdrawn: bool,
        page: PageRequest,
    ) -> Result<Page<AnswerView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        self.load_survey(&at.site, &at.id).await?;
        let fits = |answer: &SurveyAnswer| {
            dwelling.is_none_or(|dwelling| answer.dwelling == *dwelling)
                && (withdrawn || answer.withdrawn.is_none())
        };
        let id = |answer: &SurveyAnswer| (answer.site.clone(), answer.id.as_str().to_owned());
        let found = filtered(Sites::from(&at.site), &page, fits, id, |_, next| {
            async move {
                let after = next.after.as_ref().map(|after| AnswerId::new(&after.id)).transpose();
                let after = after.map_err(|_| Error::PageToken)?;
                Ok(self.store.survey_answers(&at.site, &at.id, after.as_ref(), next.limit).await?)
            }
            .boxed()
        })
        .await?;
        let ids: Vec<AnswerId> = found.items.iter().map(|answer| answer.id.clone()).collect();
        let mut people: HashMap<AnswerId, Vec<SurveyedPerson>> = HashMap::new();
        for stored in self.store.surveyed(&at.site, &at.id, &ids).await? {
            people.entry(stored.answer).or_default().push(stored.person);
        }
        let view = |answer: SurveyAnswer| {
            let people = people.remove(&answer.id).unwrap_or_default();
            AnswerView::masked(&work, answer, people)
        };
        Ok(Page { items: found.items.into_iter().map(view).collect(), next: found.next })
    }

    async fn load_survey(&self, site: &SiteId, id: &SurveyId) -> Result<Survey> {
        self.store.survey(site, id).await?.ok_or(Error::NotFound(Thing::Survey))
    }

    async fn load_answer(&self, at: &InSurvey<AnswerId>) -> Result<SurveyAnswer> {
        let found = self.store.survey_answer(&at.site, &at.survey, &at.id).await?;
        found.ok_or(Error::NotFound(Thing::SurveyAnswer))
    }
}

/// The service record of an answer: of the dwelling, and of the files that it names.
fn record_of(
    survey: &Survey,
    answer: &SurveyAnswer,
    residents: &[&ResidentId],
    now: Instant,
) -> ServiceRecord {
    let about = |subject, outcome| SubjectOutcome { subject, outcome, answers: Vec::new(), content: None };
    let mut subjects = vec![about(Subject::Dwelling(answer.dwelling.clone()), answer.outcome.of_record())];
    subjects.extend(residents.iter().map(|id| about(Subject::Resident((*id).clone()), Outcome::Done)));
    let kind = survey.kind.service();
    ServiceRecord {
        site: answer.site.clone(),
        id: answer.record.clone(),
        version: 1,
        kind,
        occurred_at: answer.occurred_at,
        recorded_at: now,
        performer: answer.performer.clone(),
        department: department_of(kind),
        subjects,
        voided: false,
        correction_reason: None,
    }
}

fn residents_of(people: &[SurveyedPerson]) -> Vec<&ResidentId> {
    people.iter().filter_map(|person| person.marks.resident.as_ref()).collect()
}

fn touches<'a>(resource: &str, residents: &[&ResidentId]) -> Touches<'a> {
    const FOUND: &[FieldClass] = &PersonFindings::CLASSES;
    let subjects = residents.iter().map(|id| id.as_str().to_owned()).collect();
    Touches::files(resource, subjects, FOUND)
}
