//! `SurveyService`.

use linli_core::id::{DwellingId, SiteId, SurveyId};
use linli_core::invalid::Invalid;
use linli_core::resident::{PersonName, Phone};
use linli_core::survey::{
    HOUSEHOLD_MAX, KeyPersonFlag, PersonFindings, SURVEY_PEOPLE_MAX, SurveyKind, SurveyOutcome,
    SurveyedPerson, SuspectedDuplicate,
};
use linli_core::text::{Line, Paragraph};
use linli_core::time::{CivilDate, DateRange};
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, parse_etag, signed};
use super::page::Binding;
use super::request::{is_full, next, one, required_date, text, wanted};
use super::resident::{change_aspect, needs};
use crate::app::survey::{
    AnswerView, CoverageView, NewAnswer, NewChange, NewSurvey, NewSurveyed, SurveyFilter,
};
use crate::error::Result;
use crate::name::{self, InSite};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Most suspected duplicates of one answer: more than anybody looks into before the next count.
const DUPLICATES_SHOWN: usize = 200;

#[tonic::async_trait]
impl v1::survey_service_server::SurveyService for Face {
    async fn open_survey(&self, request: Request<v1::OpenSurveyRequest>) -> Answer<v1::Survey> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_survey(&message)?;
            app.open_survey(&call, repeat, site, new).await
        })
        .await
    }

    async fn get_survey(&self, request: Request<v1::GetSurveyRequest>) -> Answer<v1::Survey> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_survey(&message.name))?;
            app.survey(&call, &at).await.map(|survey| survey.to_wire())
        })
        .await
    }

    async fn list_surveys(
        &self,
        request: Request<v1::ListSurveysRequest>,
    ) -> Answer<v1::ListSurveysResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let kind = check.take("kind", SurveyKind::optional(message.kind));
            let closed = check.take("state", closed(message.state));
            let (site, (kind, closed)) = check.finish(site.zip(kind.zip(closed)))?;
            let query: [&[u8]; 3] =
                [message.parent.as_bytes(), &message.kind.to_be_bytes(), &message.state.to_be_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.surveys(&call, &site, SurveyFilter { kind, closed }, wanted).await?;
            Ok(v1::ListSurveysResponse {
                surveys: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn record_survey(&self, request: Request<v1::RecordSurveyRequest>) -> Answer<v1::SurveyAnswer> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, new) = new_answer(&message)?;
            app.record_survey(&call, repeat, at, new).await
        })
        .await
    }

    async fn withdraw_survey_answer(
        &self,
        request: Request<v1::WithdrawSurveyAnswerRequest>,
    ) -> Answer<v1::SurveyAnswer> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_survey_answer(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let reason = check.take("reason", Line::new(&message.reason));
            let (at, (version, reason)) = check.finish(at.zip(version.zip(reason)))?;
            app.withdraw_survey_answer(&call, repeat, at, version, reason).await
        })
        .await
    }

    async fn get_survey_answer(
        &self,
        request: Request<v1::GetSurveyAnswerRequest>,
    ) -> Answer<v1::SurveyAnswer> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_survey_answer(&message.name));
            let full = check.take("view", is_full(message.view));
            let (at, full) = check.finish(at.zip(full))?;
            app.survey_answer(&call, &at, full).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_survey_answers(
        &self,
        request: Request<v1::ListSurveyAnswersRequest>,
    ) -> Answer<v1::ListSurveyAnswersResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("parent", name::parse_survey(&message.parent));
            let dwelling = if message.dwelling.is_empty() {
                Some(None)
            } else {
                let site = at.as_ref().map(|at| &at.site);
                dwelling_of(&mut check, "dwelling", site, &message.dwelling).map(Some)
            };
            let (at, dwelling) = check.finish(at.zip(dwelling))?;
            let query: [&[u8]; 3] =
                [message.parent.as_bytes(), message.dwelling.as_bytes(), &[u8::from(message.show_withdrawn)]];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let withdrawn = message.show_withdrawn;
            let page = app.survey_answers(&call, &at, dwelling.as_ref(), withdrawn, wanted).await?;
            Ok(v1::ListSurveyAnswersResponse {
                answers: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_coverage(&self, request: Request<v1::GetCoverageRequest>) -> Answer<v1::SurveyCoverage> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_survey(&message.name))?;
            let binding = Binding::new(&call, &[message.name.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let view = app.survey_coverage(&call, &at, wanted).await?;
            let next_page_token = next(&binding, view.next.clone());
            Ok(v1::SurveyCoverage { next_page_token, ..view.to_wire() })
        })
        .await
    }

    async fn close_survey(&self, request: Request<v1::CloseSurveyRequest>) -> Answer<v1::Survey> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_survey(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            app.close_survey(&call, repeat, at, version).await
        })
        .await
    }
}

impl Shows<linli_core::survey::Survey> for v1::Survey {
    fn shows(survey: &linli_core::survey::Survey) -> Self {
        let state = if survey.closed.is_some() { v1::SurveyState::Closed } else { v1::SurveyState::Open };
        let (opener, open_time) = signed(Some(&survey.opened));
        let (closer, close_time) = signed(survey.closed.as_ref());
        Self {
            name: name::survey(&survey.site, &survey.id),
            etag: etag(survey.version),
            kind: survey.kind.number(),
            display_name: survey.title.as_str().to_owned(),
            start_date: survey.days.start().to_string(),
            end_date: survey.days.end().plus_days(-1).to_string(),
            state: state.into(),
            answer_count: i64::try_from(survey.answers).unwrap_or(i64::MAX),
            opener,
            open_time,
            closer,
            close_time,
        }
    }
}

impl Shows<AnswerView> for v1::SurveyAnswer {
    fn shows(view: &AnswerView) -> Self {
        let answer = &view.answer;
        let (withdrawer, withdraw_time) = signed(answer.withdrawn.as_ref());
        let household = view.people.iter().find(|person| person.number == 0);
        let phone = household.and_then(|household| household.findings.phone.as_ref());
        let people = view.people.iter().filter(|person| person.number > 0);
        Self {
            name: name::survey_answer(&answer.site, &answer.survey, &answer.id),
            etag: etag(answer.version),
            dwelling: name::dwelling(&answer.site, &answer.dwelling),
            channel: answer.channel.number(),
            outcome: answer.outcome.number(),
            occur_time: Some(timestamp(answer.occurred_at)),
            performer: name::staff(&answer.performer),
            household_size: answer.household.map_or(0, i32::from),
            household_phone: phone.map(|phone| phone.reveal().to_owned()).unwrap_or_default(),
            people: people.map(|person| surveyed(&answer.site, person)).collect(),
            confirmed_not_duplicate: answer.distinct,
            record_time: Some(timestamp(answer.recorded_at)),
            late_entry: answer.late,
            record: name::record(&answer.site, &answer.record),
            withdraw_time,
            withdrawer,
            classes: view.classes.iter().map(|class| class.number()).collect(),
        }
    }
}

fn surveyed(site: &SiteId, person: &SurveyedPerson) -> v1::SurveyedPerson {
    let found = &person.findings;
    v1::SurveyedPerson {
        resident: person.marks.resident.as_ref().map(|id| name::resident(site, id)).unwrap_or_default(),
        full_name: found.name.as_ref().map(|name| name.reveal().to_owned()).unwrap_or_default(),
        phone: found.phone.as_ref().map(|phone| phone.reveal().to_owned()).unwrap_or_default(),
        birth_date: date(found.birth_date),
        family_note: text(found.family.as_ref()),
        health_note: text(found.health.as_ref()),
        flags: found.flags.iter().map(|flag| flag.number()).collect(),
        needs: found.needs.iter().map(|need| need.number()).collect(),
        status_note: text(found.difficulties.as_ref()),
        change: None,
        change_event: person.event.as_ref().map(|id| name::event(site, id)).unwrap_or_default(),
    }
}

impl Shows<CoverageView> for v1::SurveyCoverage {
    fn shows(view: &CoverageView) -> Self {
        let coverage = &view.coverage;
        let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let length = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let duplicate = |suspected: &SuspectedDuplicate| v1::SurveyDuplicate {
            signs: suspected.signs.iter().map(|sign| sign.number()).collect(),
            dwellings: suspected.dwellings.iter().map(|id| name::dwelling(&view.site, id)).collect(),
            answers: suspected
                .answers
                .iter()
                .map(|id| name::survey_answer(&view.site, &view.survey, id))
                .collect(),
        };
        let omissions = view.omissions.iter().map(|(door, attempts)| v1::SurveyOmission {
            dwelling: name::dwelling(&view.site, &door.dwelling),
            dwelling_display_name: door.title.clone(),
            attempt_count: number(*attempts),
        });
        Self {
            survey: name::survey(&view.site, &view.survey),
            as_of_time: Some(timestamp(view.as_of)),
            registered_count: number(coverage.registered),
            surveyed_count: number(coverage.surveyed),
            vacant_count: number(coverage.vacant),
            refused_count: number(coverage.refused),
            omitted_count: length(coverage.omissions.len()),
            omissions: omissions.collect(),
            next_page_token: String::new(),
            duplicate_count: length(coverage.duplicates.len()),
            duplicates: coverage.duplicates.iter().take(DUPLICATES_SHOWN).map(duplicate).collect(),
            beyond_count: number(coverage.beyond),
            complete: coverage.is_complete(),
            late_entry_count: number(view.late),
        }
    }
}

/// Whether only closed campaigns, or only open ones, are meant.
fn closed(state: i32) -> std::result::Result<Option<bool>, Invalid> {
    match v1::SurveyState::try_from(state) {
        Ok(v1::SurveyState::Unspecified) => Ok(None),
        Ok(v1::SurveyState::Open) => Ok(Some(false)),
        Ok(v1::SurveyState::Closed) => Ok(Some(true)),
        Err(_) => Err(Invalid::Unknown),
    }
}

fn dwelling_of(check: &mut Check, field: &str, site: Option<&SiteId>, text: &str) -> Option<DwellingId> {
    let InSite { site: of, id } = check.take(field, name::parse_dwelling(text))?;
    if let Some(site) = site {
        check.same_site(field, site, &of);
    }
    Some(id)
}

fn new_survey(message: &v1::OpenSurveyRequest) -> Result<(SiteId, NewSurvey)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("survey_id", &message.survey_id, SurveyId::new);
    let survey = message.survey.clone().unwrap_or_default();
    let kind = check.take("survey.kind", Listed::listed(survey.kind));
    let title = check.take("survey.display_name", Line::new(&survey.display_name));
    let first = check.take("survey.start_date", required_date(&survey.start_date));
    let last = check.take("survey.end_date", required_date(&survey.end_date));
    let days = first.zip(last).map(|(first, last)| {
        if last < first {
            check.refuse("survey.end_date", Invalid::EndsBeforeStart);
        }
        DateRange::new(first, last.plus_days(1))
    });
    let ((site, id), ((kind, title), days)) = check.finish(site.zip(id).zip(kind.zip(title).zip(days)))?;
    Ok((site, NewSurvey { id, kind, title, days }))
}

fn new_answer(message: &v1::RecordSurveyRequest) -> Result<(InSite<SurveyId>, NewAnswer)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_survey(&message.parent));
    let site = at.as_ref().map(|at| &at.site);
    let answer = message.answer.clone().unwrap_or_default();
    let dwelling = dwelling_of(&mut check, "answer.dwelling", site, &answer.dwelling);
    let channel = check.take("answer.channel", Listed::listed(answer.channel));
    let outcome = check.take("answer.outcome", SurveyOutcome::listed(answer.outcome));
    let occurred_at = check.instant("answer.occur_time", answer.occur_time.as_ref());
    let performer = check.optional("answer.performer", &answer.performer, name::parse_staff);
    let household = check.take("answer.household_size", household(answer.household_size));
    let phone = check.optional("answer.household_phone", &answer.household_phone, Phone::new);
    if answer.people.len() > SURVEY_PEOPLE_MAX {
        check.refuse("answer.people", Invalid::TooMany { max: SURVEY_PEOPLE_MAX });
    }
    let people: Vec<Option<NewSurveyed>> = answer
        .people
        .iter()
        .take(SURVEY_PEOPLE_MAX)
        .enumerate()
        .map(|(place, person)| new_surveyed(&mut check, &format!("answer.people[{place}]"), site, person))
        .collect();
    if outcome.is_some_and(|outcome| outcome != SurveyOutcome::Surveyed) {
        // Where nobody answered, nothing was learned of anybody.
        for (given, field) in [
            (answer.household_size != 0, "answer.household_size"),
            (!answer.household_phone.is_empty(), "answer.household_phone"),
            (!answer.people.is_empty(), "answer.people"),
        ] {
            if given {
                check.refuse(field, Invalid::NotAllowed);
            }
        }
    }
    let people = people.into_iter().collect::<Option<Vec<_>>>();
    let parsed = at.clone().zip(dwelling.zip(channel)).zip(outcome.zip(occurred_at));
    let parsed = parsed.zip(performer.zip(household)).zip(phone.zip(people));
    let ((((at, (dwelling, channel)), (outcome, occurred_at)), (performer, household)), (phone, people)) =
        check.finish(parsed)?;
    let distinct = answer.confirmed_not_duplicate;
    let new =
        NewAnswer { dwelling, channel, outcome, household, phone, people, distinct, occurred_at, performer };
    Ok((at, new))
}

/// How many people live in a dwelling; 0 where that is not known.
fn household(size: i32) -> std::result::Result<Option<u16>, Invalid> {
    match u16::try_from(size) {
        Ok(0) => Ok(None),
        Ok(size) if size <= HOUSEHOLD_MAX => Ok(Some(size)),
        Err(_) if size < 0 => Err(Invalid::TooSmall { min: 0 }),
        Ok(_) | Err(_) => Err(Invalid::TooLarge { max: i64::from(HOUSEHOLD_MAX) }),
    }
}

fn new_surveyed(
    check: &mut Check,
    path: &str,
    site: Option<&SiteId>,
    person: &v1::SurveyedPerson,
) -> Option<NewSurveyed> {
    let field = |name: &str| format!("{path}.{name}");
    let resident = check.optional(field("resident"), &person.resident, name::parse_resident);
    if let (Some(site), Some(Some(resident))) = (site, &resident) {
        check.same_site(field("resident"), site, &resident.site);
    }
    let full_name = if person.resident.is_empty() || !person.full_name.is_empty() {
        check.take(field("full_name"), PersonName::new(&person.full_name)).map(Some)
    } else {
        Some(None)
    };
    let phone = check.optional(field("phone"), &person.phone, Phone::new);
    let birth_date = check.optional(field("birth_date"), &person.birth_date, CivilDate::parse);
    let family = check.take(field("family_note"), Paragraph::optional(&person.family_note));
    let health = check.take(field("health_note"), Paragraph::optional(&person.health_note));
    let difficulties = check.take(field("status_note"), Paragraph::optional(&person.status_note));
    let flags = flags(check, path, &person.flags);
    let needs = needs(check, path, &person.needs);
    let change = match &person.change {
        Some(_) if person.resident.is_empty() => check.take(field("change"), Err(Invalid::NotAllowed)),
        Some(change) => {
            let aspect = check.take(field("change.kind"), change_aspect(change.kind));
            let note = check.take(field("change.description"), Paragraph::optional(&change.description));
            aspect.zip(note).map(|(aspect, note)| Some(NewChange { aspect, note }))
        }
        None => Some(None),
    };
    let ((resident, name), (phone, birth_date)) = resident.zip(full_name).zip(phone.zip(birth_date))?;
    let ((family, health), difficulties) = family.zip(health).zip(difficulties)?;
    let ((flags, needs), change) = flags.zip(needs).zip(change)?;
    let findings = PersonFindings { name, phone, birth_date, family, health, flags, needs, difficulties };
    Some(NewSurveyed { resident: resident.map(|resident| resident.id), findings, change })
}

/// Flags, each once.
fn flags(check: &mut Check, path: &str, numbers: &[i32]) -> Option<Vec<KeyPersonFlag>> {
    let mut flags = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let field = format!("{path}.flags[{at}]");
        let flag = check.take(field.clone(), KeyPersonFlag::listed(*number))?;
        if flags.contains(&flag) {
            check.refuse(field, Invalid::Duplicate);
        } else {
            flags.push(flag);
        }
    }
    Some(flags)
}
