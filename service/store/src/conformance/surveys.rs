//! Surveys: what is put is read, versions guard, and what was found of people opens class by class for whom it is about.

use linli_core::id::{AnswerId, EventId, RecordId, SurveyId};
use linli_core::staff::Signed;
use linli_core::survey::{
    Coverage, DuplicateSign, KeyPersonFlag, Mark, Omission, PersonFindings, PersonMarks, Survey,
    SurveyAnswer, SurveyChannel, SurveyKind, SurveyOutcome, SurveyedPerson, SuspectedDuplicate,
};
use linli_core::time::DateRange;

use super::*;
use crate::{Opener, Page, SealError, Sites, StoredSurveyed, SurveyedDraft};

on_both!(round_trip, findings_open_by_class_for_whom_they_are_about);

fn survey_id(id: &str) -> SurveyId {
    SurveyId::new(id).unwrap()
}

fn answer_id(id: &str) -> AnswerId {
    AnswerId::new(id).unwrap()
}

fn signed(seconds: i64) -> Signed {
    Signed { by: StaffId::new("lin").unwrap(), at: at(seconds) }
}

fn survey(id: &str) -> Survey {
    Survey {
        site: site_id("a"),
        id: survey_id(id),
        kind: SurveyKind::Full,
        title: line("2026年度全面摸排"),
        days: DateRange::new(day("2026-03-01"), day("2026-04-01")),
        opened: signed(0),
        closed: None,
        result: None,
        answers: 0,
        version: 1,
    }
}

fn answer(id: &str) -> SurveyAnswer {
    SurveyAnswer {
        site: site_id("a"),
        survey: survey_id("s1"),
        id: answer_id(id),
        dwelling: DwellingId::new("d1").unwrap(),
        channel: SurveyChannel::Community,
        outcome: SurveyOutcome::Surveyed,
        household: Some(3),
        distinct: true,
        occurred_at: at(-5),
        recorded_at: at(0),
        late: false,
        performer: StaffId::new("steward-1").unwrap(),
        record: RecordId::new("v1").unwrap(),
        withdrawn: None,
        version: 1,
    }
}

fn findings() -> PersonFindings {
    PersonFindings {
        name: Some(PersonName::new("planted-survey-name-secret").unwrap()),
        birth_date: Some(day("1940-05-01")),
        family: Some(paragraph("planted-survey-family")),
        health: Some(paragraph("planted-survey-health-secret")),
        flags: vec![KeyPersonFlag::SeriouslyIll],
        needs: vec![Need::Medical],
        ..PersonFindings::default()
    }
}

fn person(number: u16, resident: Option<&str>) -> SurveyedDraft {
    SurveyedDraft {
        site: site_id("a"),
        survey: survey_id("s1"),
        answer: answer_id("n1"),
        dwelling: DwellingId::new("d1").unwrap(),
        person: SurveyedPerson {
            number,
            marks: PersonMarks {
                resident: resident.map(resident_id),
                person: Some(Mark([7; 32])),
                phone: None,
            },
            event: resident.map(|_| EventId::new("e1").unwrap()),
            findings: findings(),
        },
    }
}

/// Two people of an answer, one of them with a file: for whoever wants a cell in every sealed column.
pub(super) async fn fill(store: &Store) {
    change(store, "a", |set| {
        set.put_survey(survey("s1"))
            .put_survey_answer(answer("n1"))
            .add_surveyed(person(0, None))
            .add_surveyed(person(1, Some("r1")))
    })
    .await
    .unwrap();
}

/// An answer that tells of a resident.
pub(super) async fn tell_of(store: &Store, resident: &str) {
    let draft = SurveyedDraft { answer: answer_id("n2"), ..person(1, Some(resident)) };
    change(store, "a", |set| set.add_surveyed(draft)).await.unwrap();
}

/// What was found, opened.
pub(super) async fn opened(store: &Store, opener: &Opener<'_>) -> String {
    let found = store.survey_findings(&site_id("a"), &survey_id("s1"), &answer_id("n1")).await.unwrap();
    let mut united = [PersonFindings::default(), PersonFindings::default()];
    for (number, sealed) in found {
        united[usize::from(number)].absorb(opener.open(&sealed).unwrap());
    }
    assert_eq!(united, [findings(), findings()]);
    let text = |found: &PersonFindings| {
        let name = found.name.as_ref().map(PersonName::reveal).unwrap_or_default();
        let health = found.health.as_ref().map(|text| text.as_str()).unwrap_or_default();
        format!("{name} {health}")
    };
    united.iter().map(text).collect::<Vec<_>>().join("\n")
}

async fn round_trip(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let (a, mut first) = (site_id("a"), survey("s1"));
    change(store, "a", |set| set.put_survey(first.clone()).put_survey(survey("s2"))).await.unwrap();
    assert_eq!(store.survey(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.survey(&site_id("b"), &first.id).await.unwrap(), None);
    first.version = 2;
    first.answers = 7;
    first.closed = Some(signed(60));
    first.result = Some(Coverage {
        registered: 9,
        surveyed: 4,
        vacant: 2,
        refused: 1,
        omissions: vec![Omission { dwelling: DwellingId::new("d7").unwrap(), attempts: 2 }],
        duplicates: vec![SuspectedDuplicate {
            signs: vec![DuplicateSign::SameDwelling, DuplicateSign::SamePhone],
            dwellings: vec![DwellingId::new("d1").unwrap()],
            answers: vec![answer_id("n1"), answer_id("n2")],
        }],
        beyond: 1,
    });
    change(store, "a", |set| set.put_survey(first.clone())).await.unwrap();
    assert_eq!(store.survey(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    let stale = change(store, "a", |set| set.put_survey(first.clone())).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "survey", current: 2 })), "{stale:?}");
    let sites = Sites::from(&a);
    assert_eq!(store.surveys(&sites, &Page::first(1)).await.unwrap(), [first]);
    assert_eq!(store.surveys(&sites, &Page::after("a", "s1", 5)).await.unwrap(), [survey("s2")]);

    let (mut one, two) = (answer("n1"), SurveyAnswer { household: None, ..answer("n2") });
    change(store, "a", |set| set.put_survey_answer(one.clone()).put_survey_answer(two.clone()))
        .await
        .unwrap();
    one.version = 2;
    one.late = true;
    one.distinct = false;
    one.withdrawn = Some(signed(90));
    change(store, "a", |set| set.put_survey_answer(one.clone())).await.unwrap();
    let s1 = survey_id("s1");
    assert_eq!(store.survey_answer(&a, &s1, &one.id).await.unwrap().as_ref(), Some(&one));
    assert_eq!(store.survey_answer(&a, &survey_id("s2"), &one.id).await.unwrap(), None);
    assert_eq!(store.survey_answers(&a, &s1, None, 1).await.unwrap(), [one.clone()]);
    assert_eq!(store.survey_answers(&a, &s1, Some(&one.id), 9).await.unwrap(), [two]);
    let stale = change(store, "a", |set| set.put_survey_answer(one.clone())).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "survey answer", current: 2 })), "{stale:?}");
}

async fn findings_open_by_class_for_whom_they_are_about(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    fill(store).await;
    let (a, s1, n1) = (site_id("a"), survey_id("s1"), answer_id("n1"));
    let people = store.surveyed(&a, &s1, std::slice::from_ref(&n1)).await.unwrap();
    let bare = |draft: SurveyedDraft| StoredSurveyed {
        answer: draft.answer,
        person: SurveyedPerson { findings: PersonFindings::default(), ..draft.person },
    };
    assert_eq!(people, [bare(person(0, None)), bare(person(1, Some("r1")))]);
    assert_eq!(store.surveyed(&a, &s1, &[]).await.unwrap(), []);
    let own = store.survey_findings_of(&a, &[resident_id("r1"), resident_id("r2")]).await.unwrap();
    let classes: Vec<FieldClass> = own.iter().map(|(_, _, sealed)| sealed.class()).collect();
    let four = [FieldClass::Contact, FieldClass::Family, FieldClass::Health, FieldClass::Identity];
    assert_eq!((&classes[..4], classes.len()), (&four[..], 5));
    assert!(own.iter().all(|(survey, answer, _)| (survey, answer) == (&s1, &n1)));
    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Health]).await;
    let opener = store.opener(&receipt).await.unwrap();
    for (_, _, sealed) in &own {
        let opened = opener.open(sealed);
        if sealed.class() == FieldClass::Health {
            assert_eq!(Some(opened.unwrap()), findings().of_class(FieldClass::Health));
        } else {
            assert!(matches!(opened, Err(SealError::NotCovered)));
        }
    }
    let receipt = disclose(store, "a", &["r1"], FieldClass::ALL).await;
    opened(store, &store.opener(&receipt).await.unwrap()).await;
    for (table, lines) in store.dump().await {
        assert!(!lines.iter().any(|line| line.contains("planted-")), "{table}");
    }
}
