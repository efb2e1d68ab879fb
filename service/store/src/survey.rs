//! Surveys: campaigns and answers clear, what was found of people sealed by class under the key of their file, or of the site where
//! they have none.

use std::marker::PhantomData;

use linli_core::id::{
    AnswerId, DwellingId, EventId, RecordId, ResidentId, SiteId, StaffId, Subject, SurveyId,
};
use linli_core::resident::FieldClass;
use linli_core::survey::{
    Mark, PersonFindings, PersonMarks, Survey, SurveyAnswer, SurveyChannel, SurveyKind, SurveyOutcome,
    SurveyedPerson,
};
use linli_core::text::Line;
use linli_core::time::DateRange;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::{
    date, days, instant, signed, signed_columns, signed_opt, subject, version, version_column,
};
use crate::error::{SealError, StoreError};
use crate::form::{self, sealed::Encode, subject_columns};
use crate::page::{PAGE_MAX, Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer, holder};
use crate::store::Store;
use crate::table::{Table, survey, survey_answer, survey_person, survey_words};

/// Somebody whom an answer tells of, to be stored.
#[derive(Debug, Clone)]
pub struct SurveyedDraft {
    /// The site.
    pub site: SiteId,
    /// The campaign.
    pub survey: SurveyId,
    /// The answer.
    pub answer: AnswerId,
    /// The answer's dwelling.
    pub dwelling: DwellingId,
    /// Who.
    pub person: SurveyedPerson,
}

impl SurveyedDraft {
    fn subject(&self) -> Subject {
        match &self.person.marks.resident {
            Some(resident) => Subject::Resident(resident.clone()),
            None => Subject::Dwelling(self.dwelling.clone()),
        }
    }
}

/// Somebody whom an answer tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSurveyed {
    /// The answer.
    pub answer: AnswerId,
    /// Who; without findings.
    pub person: SurveyedPerson,
}

impl ChangeSet {
    /// Stores a campaign: version 1 is new, a higher one follows the one before it.
    pub fn put_survey(&mut self, survey: Survey) -> &mut Self {
        self.push(Change::Survey(Box::new(survey)))
    }

    /// Stores an answer: version 1 is new, a higher one follows the one before it.
    pub fn put_survey_answer(&mut self, answer: SurveyAnswer) -> &mut Self {
        self.push(Change::SurveyAnswer(Box::new(answer)))
    }

    /// Adds somebody whom a new answer tells of.
    pub fn add_surveyed(&mut self, person: SurveyedDraft) -> &mut Self {
        self.push(Change::Surveyed(Box::new(person)))
    }
}

pub(crate) fn rows(value: &Survey, rows: &mut Rows) {
    let (closed_by, closed_at) = signed_columns(value.closed.as_ref());
    let row = survey::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        title: value.title.as_str().to_owned(),
        from_day: days(value.days.start()),
        until_day: days(value.days.end()),
        opened_by: value.opened.by.as_str().to_owned(),
        opened_at: value.opened.at.micros(),
        closed_by,
        closed_at,
        answers: version_column(value.answers),
        result: value.result.as_ref().map(form::encode_coverage),
    };
    rows.put_versioned(Table::Survey, row, "survey");
}

pub(crate) fn answer_rows(value: &SurveyAnswer, rows: &mut Rows) {
    let (withdrawn_by, withdrawn_at) = signed_columns(value.withdrawn.as_ref());
    let row = survey_answer::Model {
        site: value.site.as_str().to_owned(),
        survey: value.survey.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        dwelling: value.dwelling.as_str().to_owned(),
        channel: value.channel.code().to_owned(),
        outcome: value.outcome.code().to_owned(),
        household: value.household.map(i64::from),
        distinct_people: i64::from(value.distinct),
        occurred_at: value.occurred_at.micros(),
        recorded_at: value.recorded_at.micros(),
        late: i64::from(value.late),
        performer: value.performer.as_str().to_owned(),
        record: value.record.as_str().to_owned(),
        withdrawn_by,
        withdrawn_at,
    };
    rows.put_versioned(Table::SurveyAnswer, row, "survey answer");
}

pub(crate) fn person_rows(
    value: &SurveyedDraft,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let about = value.subject();
    let (subject_kind, subject) = subject_columns(&about);
    let (survey, answer) = (value.survey.as_str(), value.answer.as_str());
    let person = person_column(value.person.number);
    let bytes = |mark: Option<Mark>| mark.map(|mark| mark.0.to_vec());
    let row = survey_person::Model {
        site: value.site.as_str().to_owned(),
        survey: survey.to_owned(),
        answer: answer.to_owned(),
        person: person.clone(),
        subject_kind: subject_kind.clone(),
        subject: subject.clone(),
        person_mark: bytes(value.person.marks.person),
        phone_mark: bytes(value.person.marks.phone),
        event: value.person.event.as_ref().map(|event| event.as_str().to_owned()),
    };
    rows.append(Table::SurveyPerson, row);
    for class in PersonFindings::CLASSES {
        let Some(part) = value.person.findings.of_class(class) else { continue };
        let plain = zeroize::Zeroizing::new(Encode::encode(&part));
        let place = [survey, answer, person.as_str()];
        let cell = match holder(&about) {
            Holder::Resident(id) => sealer.resident(&id, "survey_words", &place, class.code(), 1, &plain),
            Holder::Site => sealer.site("survey_words", &place, class.code(), 1, &plain),
        };
        let row = survey_words::Model {
            site: value.site.as_str().to_owned(),
            survey: survey.to_owned(),
            answer: answer.to_owned(),
            person: person.clone(),
            class: class.code().to_owned(),
            subject_kind: subject_kind.clone(),
            subject: subject.clone(),
            cell: cell?,
        };
        rows.append(Table::SurveyWords, row);
    }
    Ok(())
}

/// The number of a person in a key: in order as text.
fn person_column(number: u16) -> String {
    format!("{number:02}")
}

impl Store {
    /// A campaign.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn survey(&self, site: &SiteId, id: &SurveyId) -> Result<Option<Survey>, StoreError> {
        let found = survey::Entity::find()
            .filter(survey::Column::Site.eq(site.as_str()))
            .filter(survey::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_survey).transpose()
    }

    /// A page of campaigns, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn surveys(&self, sites: &Sites, page: &Page) -> Result<Vec<Survey>, StoreError> {
        let query = keyset(survey::Entity::find(), sites, page, survey::Column::Site, survey::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_survey).collect()
    }

    /// An answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn survey_answer(
        &self,
        site: &SiteId,
        survey: &SurveyId,
        id: &AnswerId,
    ) -> Result<Option<SurveyAnswer>, StoreError> {
        let found = survey_answer::Entity::find()
            .filter(survey_answer::Column::Site.eq(site.as_str()))
            .filter(survey_answer::Column::Survey.eq(survey.as_str()))
            .filter(survey_answer::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_answer).transpose()
    }

    /// A page of the answers of a campaign, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn survey_answers(
        &self,
        site: &SiteId,
        survey: &SurveyId,
        after: Option<&AnswerId>,
        limit: u64,
    ) -> Result<Vec<SurveyAnswer>, StoreError> {
        let mut query = survey_answer::Entity::find()
            .filter(survey_answer::Column::Site.eq(site.as_str()))
            .filter(survey_answer::Column::Survey.eq(survey.as_str()));
        if let Some(after) = after {
            query = query.filter(survey_answer::Column::Id.gt(after.as_str()));
        }
        let query = query.order_by_asc(survey_answer::Column::Id).limit(limit.clamp(1, PAGE_MAX));
        query.all(self.reader()).await?.into_iter().map(to_answer).collect()
    }

    /// Whom these answers of a campaign tell of, by answer and number; without findings.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn surveyed(
        &self,
        site: &SiteId,
        survey: &SurveyId,
        answers: &[AnswerId],
    ) -> Result<Vec<StoredSurveyed>, StoreError> {
        if answers.is_empty() {
            return Ok(Vec::new());
        }
        let found = survey_person::Entity::find()
            .filter(survey_person::Column::Site.eq(site.as_str()))
            .filter(survey_person::Column::Survey.eq(survey.as_str()))
            .filter(survey_person::Column::Answer.is_in(padded(answers.iter().map(AnswerId::as_str))))
            .order_by_asc(survey_person::Column::Answer)
            .order_by_asc(survey_person::Column::Person)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_person).collect()
    }

    /// What was found of the people of an answer: each with their number and one class.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn survey_findings(
        &self,
        site: &SiteId,
        survey: &SurveyId,
        answer: &AnswerId,
    ) -> Result<Vec<(u16, Sealed<PersonFindings>)>, StoreError> {
        let found = survey_words::Entity::find()
            .filter(survey_words::Column::Site.eq(site.as_str()))
            .filter(survey_words::Column::Survey.eq(survey.as_str()))
            .filter(survey_words::Column::Answer.eq(answer.as_str()))
            .order_by_asc(survey_words::Column::Person)
            .order_by_asc(survey_words::Column::Class)
            .all(self.reader())
            .await?;
        let found = found.into_iter().map(to_findings).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().map(|(_, _, number, sealed)| (number, sealed)).collect())
    }

    /// What surveys found of these residents: each with campaign, answer and one class.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn survey_findings_of(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<(SurveyId, AnswerId, Sealed<PersonFindings>)>, StoreError> {
        let found = survey_words::Entity::find()
            .filter(survey_words::Column::Site.eq(site.as_str()))
            .filter(survey_words::Column::SubjectKind.eq("resident"))
            .filter(survey_words::Column::Subject.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(survey_words::Column::Answer)
            .order_by_asc(survey_words::Column::Person)
            .order_by_asc(survey_words::Column::Class)
            .all(self.reader())
            .await?;
        let found = found.into_iter().map(to_findings).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().map(|(survey, answer, _, sealed)| (survey, answer, sealed)).collect())
    }
}

fn to_survey(row: survey::Model) -> Result<Survey, StoreError> {
    let build = || {
        Some(Survey {
            site: SiteId::new(&row.site).ok()?,
            id: SurveyId::new(&row.id).ok()?,
            kind: SurveyKind::from_code(&row.kind).ok()?,
            title: Line::new(&row.title).ok()?,
            days: DateRange::new(date(row.from_day)?, date(row.until_day)?),
            opened: signed(&row.opened_by, row.opened_at)?,
            closed: signed_opt(row.closed_by.as_deref(), row.closed_at)?,
            result: match &row.result {
                Some(result) => Some(form::decode_coverage(result)?),
                None => None,
            },
            answers: version(row.answers)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "survey" })
}

fn to_answer(row: survey_answer::Model) -> Result<SurveyAnswer, StoreError> {
    let build = || {
        Some(SurveyAnswer {
            site: SiteId::new(&row.site).ok()?,
            survey: SurveyId::new(&row.survey).ok()?,
            id: AnswerId::new(&row.id).ok()?,
            dwelling: DwellingId::new(&row.dwelling).ok()?,
            channel: SurveyChannel::from_code(&row.channel).ok()?,
            outcome: SurveyOutcome::from_code(&row.outcome).ok()?,
            household: row.household.map(u16::try_from).transpose().ok()?,
            distinct: row.distinct_people != 0,
            occurred_at: instant(row.occurred_at)?,
            recorded_at: instant(row.recorded_at)?,
            late: row.late != 0,
            performer: StaffId::new(&row.performer).ok()?,
            record: RecordId::new(&row.record).ok()?,
            withdrawn: signed_opt(row.withdrawn_by.as_deref(), row.withdrawn_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "survey_answer" })
}

fn to_person(row: survey_person::Model) -> Result<StoredSurveyed, StoreError> {
    let mark = |bytes: Option<&Vec<u8>>| match bytes {
        Some(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|bytes| Some(Mark(bytes))),
        None => Some(None),
    };
    let build = || {
        let resident = match subject(&row.subject_kind, &row.subject)? {
            Subject::Resident(id) => Some(id),
            Subject::Dwelling(_) => None,
            Subject::Area(_) | Subject::Facility(_) | Subject::Request(_) | Subject::Site => return None,
        };
        let marks = PersonMarks {
            resident,
            person: mark(row.person_mark.as_ref())?,
            phone: mark(row.phone_mark.as_ref())?,
        };
        Some(StoredSurveyed {
            answer: AnswerId::new(&row.answer).ok()?,
            person: SurveyedPerson {
                number: row.person.parse().ok()?,
                marks,
                event: row.event.as_deref().map(EventId::new).transpose().ok()?,
                findings: PersonFindings::default(),
            },
        })
    };
    build().ok_or(StoreError::Row { table: "survey_person" })
}

type Found = (SurveyId, AnswerId, u16, Sealed<PersonFindings>);

fn to_findings(row: survey_words::Model) -> Result<Found, StoreError> {
    let build = || {
        let about = subject(&row.subject_kind, &row.subject)?;
        let class = FieldClass::from_code(&row.class).ok()?;
        let sealed = Sealed {
            site: row.site.clone(),
            table: "survey_words",
            row: vec![row.survey.clone(), row.answer.clone(), row.person.clone()],
            column: class.code(),
            version: 1,
            class,
            holder: holder(&about),
            cell: row.cell.clone(),
            value: PhantomData,
        };
        let (survey, answer) = (SurveyId::new(&row.survey).ok()?, AnswerId::new(&row.answer).ok()?);
        Some((survey, answer, row.person.parse().ok()?, sealed))
    };
    build().ok_or(StoreError::Row { table: "survey_words" })
}
