//! Surveys: door by door, with the proof of who was left out and who was counted twice; what was found is sealed, what has changed
//! reaches the file.

use std::collections::BTreeSet;

use linli_proto::v1;
use linli_proto::v1::{SurveyChannel, SurveyKind, SurveyOutcome};

use crate::harness::client::Client;
use crate::harness::estate::{at, elder, identity_number, line, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{Numbers, invalid, refused};

/// A campaign of March 2026.
pub fn opening(site: &str, kind: SurveyKind) -> v1::OpenSurveyRequest {
    let survey = v1::Survey {
        kind: kind.into(),
        display_name: "三月摸排".to_owned(),
        start_date: "2026-03-01".to_owned(),
        end_date: "2026-03-31".to_owned(),
        ..Default::default()
    };
    v1::OpenSurveyRequest { parent: site.to_owned(), survey: Some(survey), ..Default::default() }
}

/// An answer of a campaign about a dwelling.
pub fn answering(
    survey: &str,
    dwelling: &str,
    outcome: SurveyOutcome,
    time: &str,
    people: Vec<v1::SurveyedPerson>,
) -> v1::RecordSurveyRequest {
    let answer = v1::SurveyAnswer {
        dwelling: dwelling.to_owned(),
        channel: SurveyChannel::HomeVisit.into(),
        outcome: outcome.into(),
        occur_time: Some(at(time)),
        people,
        ..Default::default()
    };
    v1::RecordSurveyRequest { parent: survey.to_owned(), answer: Some(answer), ..Default::default() }
}

/// Somebody without a file.
pub fn somebody(name: &str, birth_date: &str) -> v1::SurveyedPerson {
    v1::SurveyedPerson { full_name: name.to_owned(), birth_date: birth_date.to_owned(), ..Default::default() }
}

/// How much a campaign covers.
pub async fn covered(by: &Client, survey: &str) -> v1::SurveyCoverage {
    by.ask(v1::GetCoverageRequest { name: survey.to_owned(), page_size: 200, ..Default::default() })
        .await
        .unwrap()
}

/// Coverage in a line, then who was left out, then what was counted twice.
pub fn shown(coverage: &v1::SurveyCoverage) -> Vec<String> {
    let last = |name: &String| name.rsplit('/').next().unwrap().to_owned();
    let counts = [
        coverage.registered_count,
        coverage.surveyed_count,
        coverage.vacant_count,
        coverage.refused_count,
        coverage.omitted_count,
    ];
    let complete = if coverage.complete { ", complete" } else { "" };
    let mut lines = vec![format!("{counts:?}{complete}")];
    let omissions = coverage.omissions.iter();
    lines.extend(omissions.map(|left| format!("{} tried {}", last(&left.dwelling), left.attempt_count)));
    lines.extend(coverage.duplicates.iter().map(|twice| {
        let sign = |sign: v1::SurveyDuplicateSign| {
            sign.as_str_name().trim_start_matches("SURVEY_DUPLICATE_SIGN_").to_lowercase()
        };
        let signs: Vec<String> = twice.signs().map(sign).collect();
        let dwellings: Vec<String> = twice.dwellings.iter().map(last).collect();
        format!("{} {} in {} answers", signs.join("+"), dwellings.join("+"), twice.answers.len())
    }));
    lines
}

/// What is owed to a dwelling by standards of surveys.
async fn owed(by: &Client, dwelling: &str) -> Vec<String> {
    let site = dwelling.split('/').take(2).collect::<Vec<_>>().join("/");
    let request = v1::ListObligationsRequest { parent: site, page_size: 200, ..Default::default() };
    let found = by.ask(request).await.unwrap().obligations;
    let mut lines: Vec<String> = found.iter().filter(|owed| owed.subject == dwelling).map(line).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_misses_one_dwelling_and_counts_one_twice_says_exactly_which() {
    proves_itself(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        proves_itself(data).await;
    }
}

async fn proves_itself(data: Data) {
    use SurveyOutcome::{NotReached, Refused, Surveyed, Vacant};
    let server = Server::on(data).await;
    let client = server.client();
    let site = client.site("a").await;
    let mut dwellings = Vec::new();
    for room in ["101", "102", "103", "104", "105"] {
        dwellings.push(client.dwelling(&site, room).await);
    }
    client.advance("2026-03-18T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let record = async |room: usize, outcome, time: &str| {
        client.ask(answering(&survey, &dwellings[room], outcome, time, Vec::new())).await.unwrap()
    };
    record(0, Surveyed, "2026-03-16T10:00:00+08:00").await;
    let first = record(1, Surveyed, "2026-03-16T11:00:00+08:00").await;
    record(2, Vacant, "2026-03-16T12:00:00+08:00").await;
    record(3, Refused, "2026-03-16T13:00:00+08:00").await;
    record(4, NotReached, "2026-03-16T14:00:00+08:00").await;
    record(4, NotReached, "2026-03-17T19:00:00+08:00").await;
    let second = record(1, Surveyed, "2026-03-17T11:00:00+08:00").await;
    let coverage = covered(&client, &survey).await;
    assert_eq!(shown(&coverage), ["[5, 2, 1, 1, 1]", "d105 tried 2", "same_dwelling d102 in 2 answers"]);
    assert_eq!(coverage.omissions[0].dwelling_display_name, "3栋2单元105");
    assert_eq!(coverage.duplicates[0].answers, [first.name, second.name.clone()]);

    // The one too many is withdrawn, with the record that it left; the one left out is visited again.
    let withdraw = v1::WithdrawSurveyAnswerRequest {
        name: second.name.clone(),
        reason: "重复录入".to_owned(),
        ..Default::default()
    };
    let withdrawn = client.ask(withdraw.clone()).await.unwrap();
    assert!(withdrawn.withdraw_time.is_some() && !withdrawn.withdrawer.is_empty());
    refused(client.ask(withdraw).await, "SURVEY_STATE");
    let get = v1::GetRecordRequest { name: second.record, ..Default::default() };
    assert_eq!(client.ask(get).await.unwrap().state(), v1::RecordState::Void);
    record(4, Surveyed, "2026-03-18T19:00:00+08:00").await;
    let whole = covered(&client, &survey).await;
    assert_eq!(shown(&whole), ["[5, 3, 1, 1, 0], complete"]);

    // Found vacant is surveyed; refused is not, and nobody calls it so.
    assert_eq!(owed(&client, &dwellings[2]).await, ["survey.full met 1/1"]);
    assert_eq!(owed(&client, &dwellings[3]).await, ["survey.full open 0/1"]);

    let list = |show_withdrawn| v1::ListSurveyAnswersRequest {
        parent: survey.clone(),
        dwelling: dwellings[1].clone(),
        show_withdrawn,
        ..Default::default()
    };
    assert_eq!(client.ask(list(false)).await.unwrap().answers.len(), 1);
    assert_eq!(client.ask(list(true)).await.unwrap().answers.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_campaign_is_frozen_and_late_entries_say_so() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let (first, second) = (client.dwelling(&site, "101").await, client.dwelling(&site, "102").await);
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap();
    let name = survey.name.clone();
    let record = |dwelling: &str| {
        answering(&name, dwelling, SurveyOutcome::Surveyed, "2026-03-17T10:00:00+08:00", Vec::new())
    };
    let early = client.ask(record(&first)).await.unwrap();
    assert!(!early.late_entry);
    // Whoever closes what they read does not close what has changed since.
    let close = |etag: &str| v1::CloseSurveyRequest {
        name: name.clone(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    refused(client.ask(close(&survey.etag)).await, "ETAG_MISMATCH");
    let read = client.ask(v1::GetSurveyRequest { name: name.clone() }).await.unwrap();
    assert_eq!((read.answer_count, read.state()), (1, v1::SurveyState::Open));
    let closed = client.ask(close(&read.etag)).await.unwrap();
    assert_eq!((closed.state(), closed.closer.is_empty()), (v1::SurveyState::Closed, false));
    refused(client.ask(close("")).await, "SURVEY_STATE");

    client.advance("2026-03-18T09:00:00+08:00").await;
    let late = client.ask(record(&second)).await.unwrap();
    assert!(late.late_entry);
    client.dwelling(&site, "103").await;
    let withdraw =
        v1::WithdrawSurveyAnswerRequest {
            name: early.name, reason: "误录".to_owned(), ..Default::default()
        };
    client.ask(withdraw).await.unwrap();
    let frozen = covered(&client, &name).await;
    assert_eq!(shown(&frozen), ["[2, 1, 0, 0, 1]", "d102 tried 0"]);
    assert_eq!((frozen.late_entry_count, frozen.as_of_time), (1, closed.close_time));
    // Care that happened earns its credit all the same.
    assert_eq!(owed(&client, &second).await, ["survey.full met 1/1"]);
    let kinds = v1::ListSurveysRequest {
        parent: site.clone(),
        state: v1::SurveyState::Open.into(),
        ..Default::default()
    };
    assert_eq!(client.ask(kinds.clone()).await.unwrap().surveys, []);
    let closed = v1::ListSurveysRequest { state: v1::SurveyState::Closed.into(), ..kinds };
    assert_eq!(client.ask(closed).await.unwrap().surveys.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_household_under_two_dwellings_is_suspected_until_somebody_looked() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let (second, third) = (client.dwelling(&site, "601").await, client.dwelling(&site, "701").await);
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let record = async |dwelling: &str, distinct: bool, people: Vec<v1::SurveyedPerson>, phone: &str| {
        let mut request =
            answering(&survey, dwelling, SurveyOutcome::Surveyed, "2026-03-17T10:00:00+08:00", people);
        let answer = request.answer.as_mut().unwrap();
        answer.confirmed_not_duplicate = distinct;
        phone.clone_into(&mut answer.household_phone);
        client.ask(request).await.unwrap().name
    };
    let file = v1::SurveyedPerson { resident: qin.clone(), ..Default::default() };
    record(&home, false, vec![file.clone(), somebody("陶 静好", "1950-02-03")], "138 1234 5678").await;
    record(&second, false, vec![file, somebody("陶·静好", "1950-02-03")], "").await;
    let wrong = record(&third, false, vec![somebody("陶静好", "1950-02-04")], "+8613812345678").await;
    assert_eq!(
        shown(&covered(&client, &survey).await),
        [
            "[3, 3, 0, 0, 0]",
            "same_file+same_person d501+d601 in 2 answers",
            "same_phone d501+d701 in 2 answers"
        ]
    );
    // Two files of one person, found in two dwellings: as soon as they are merged it shows.
    let second_file = v1::Resident { birth_date: String::new(), ..elder(&second, "秦 安然") };
    let second_file = client.resident(second_file).await.name;
    let of_file = |name: &str| v1::SurveyedPerson { resident: name.to_owned(), ..Default::default() };
    let apart = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    for (dwelling, name) in [(&home, &qin), (&second, &second_file)] {
        let time = "2026-03-17T10:00:00+08:00";
        let people = vec![of_file(name)];
        client.ask(answering(&apart, dwelling, SurveyOutcome::Surveyed, time, people)).await.unwrap();
    }
    assert_eq!(shown(&covered(&client, &apart).await)[1..], ["d701 tried 0"]);
    let merge = v1::MergeResidentsRequest {
        name: qin.clone(),
        duplicate: second_file,
        reason: "同一人".to_owned(),
        ..Default::default()
    };
    client.ask(merge).await.unwrap();
    assert_eq!(
        shown(&covered(&client, &apart).await)[1..],
        ["d701 tried 0", "same_file d501+d601 in 2 answers"]
    );

    // Their son's number, as somebody found out.
    let withdraw =
        v1::WithdrawSurveyAnswerRequest { name: wrong, reason: "重录".to_owned(), ..Default::default() };
    client.ask(withdraw).await.unwrap();
    record(&third, true, vec![somebody("陶静好", "1950-02-04")], "13812345678").await;
    assert_eq!(
        shown(&covered(&client, &survey).await)[1..],
        ["same_file+same_person d501+d601 in 2 answers"]
    );
    // A door that is registered twice.
    let twin = v1::Dwelling {
        building: "3栋".to_owned(),
        unit: "2单元".to_owned(),
        room: "701".to_owned(),
        ..Default::default()
    };
    let twin = v1::CreateDwellingRequest {
        parent: site.clone(),
        dwelling: Some(twin),
        dwelling_id: "twin".to_owned(),
        ..Default::default()
    };
    client.ask(twin).await.unwrap();
    assert!(shown(&covered(&client, &survey).await).contains(&"same_door d701+twin in 1 answers".to_owned()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_go_to_the_dwellings_of_their_kind() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let new = client.dwelling(&site, "601").await;
    client.dwelling(&site, "701").await;
    let move_in = v1::RecordMoveInRequest {
        parent: site.clone(),
        dwelling: new.clone(),
        move_in_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    client.ask(move_in).await.unwrap();
    client.advance("2026-03-17T20:00:00+08:00").await;
    let mut surveys = Vec::new();
    for kind in [SurveyKind::MoveIn, SurveyKind::Review, SurveyKind::Full] {
        surveys.push(client.ask(opening(&site, kind)).await.unwrap().name);
    }
    let all = async || {
        let mut found = Vec::new();
        for survey in &surveys {
            let coverage = covered(&client, survey).await;
            let mut lines = shown(&coverage);
            lines.push(format!("{} beyond", coverage.beyond_count));
            found.push(lines.join(", "));
        }
        found
    };
    assert_eq!(
        all().await,
        [
            "[1, 0, 0, 0, 1], d601 tried 0, 0 beyond",
            "[1, 0, 0, 0, 1], d501 tried 0, 0 beyond",
            "[3, 0, 0, 0, 3], d501 tried 0, d601 tried 0, d701 tried 0, 0 beyond"
        ]
    );
    assert_eq!(owed(&client, &new).await, ["survey.full open 0/1", "survey.move_in open 0/1"]);
    let record = async |survey: usize, dwelling: &str, people: Vec<v1::SurveyedPerson>| {
        let time = "2026-03-17T10:00:00+08:00";
        let request = answering(&surveys[survey], dwelling, SurveyOutcome::Surveyed, time, people);
        client.ask(request).await.unwrap();
    };
    record(0, &new, Vec::new()).await;
    record(0, &home, Vec::new()).await;
    assert_eq!(owed(&client, &new).await, ["survey.full met 1/1", "survey.move_in met 1/1"]);
    // A review is of the files that it names.
    let reviewed = async || {
        let owed = client.owed(&qin).await;
        owed.iter().any(|line| line == "survey.review met 1/1")
    };
    record(1, &home, Vec::new()).await;
    assert!(!reviewed().await);
    record(1, &home, vec![v1::SurveyedPerson { resident: qin.clone(), ..Default::default() }]).await;
    assert!(reviewed().await);
    assert_eq!(
        all().await[..2],
        ["[1, 1, 0, 0, 0], complete, 1 beyond", "[1, 1, 0, 0, 0], same_dwelling d501 in 2 answers, 0 beyond"]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_shown_class_by_class_and_goes_with_the_person() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let steward = issuer.enter(&server, "steward", vec![grant(v1::StaffRole::Member, &["a"])]).await;
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let found = |person: v1::SurveyedPerson| v1::SurveyedPerson {
        family_note: "独女在外地".to_owned(),
        health_note: "卧床".to_owned(),
        status_note: "低保".to_owned(),
        flags: vec![v1::KeyPersonFlag::LivingAlone.into(), v1::KeyPersonFlag::Disabled.into()],
        needs: vec![v1::Need::LivingCare.into()],
        ..person
    };
    let people = vec![
        found(v1::SurveyedPerson { resident: qin.clone(), ..Default::default() }),
        found(somebody("陶静好", "1950-02-03")),
    ];
    let time = "2026-03-17T10:00:00+08:00";
    let mut request = answering(&survey, &home, SurveyOutcome::Surveyed, time, people);
    request.answer.as_mut().unwrap().household_phone = "13812345678".to_owned();
    let masked = steward.ask(request).await.unwrap();
    assert_eq!((masked.people.len(), masked.people[0].resident.as_str()), (2, qin.as_str()));
    let is_bare = |answer: &v1::SurveyAnswer| {
        answer.household_phone.is_empty()
            && answer.people.iter().all(|person| {
                *person == v1::SurveyedPerson { resident: person.resident.clone(), ..Default::default() }
            })
    };
    assert!(is_bare(&masked), "{masked:?}");
    let get = |view: v1::View| v1::GetSurveyAnswerRequest { name: masked.name.clone(), view: view.into() };
    assert!(is_bare(&steward.ask(get(v1::View::Masked)).await.unwrap()));
    refused(steward.ask(get(v1::View::Full)).await, "PURPOSE_REQUIRED");
    // Customer service sees all but poverty and special status.
    let seen = steward.purposeful().ask(get(v1::View::Full)).await.unwrap();
    assert_eq!(seen.household_phone, "13812345678");
    let second = &seen.people[1];
    assert_eq!((second.full_name.as_str(), second.birth_date.as_str()), ("陶静好", "1950-02-03"));
    assert_eq!((second.health_note.as_str(), second.flags.len()), ("卧床", 2));
    assert_eq!((second.status_note.as_str(), second.needs.len()), ("", 0));
    assert!(!seen.classes().any(|class| class == v1::FieldClass::Status));
    let whole = client.purposeful().ask(get(v1::View::Full)).await.unwrap();
    assert_eq!((whole.people[0].status_note.as_str(), whole.people[0].needs.len()), ("低保", 1));
    let own = client.purposeful().ask(v1::ExportOwnFileRequest { name: qin.clone() }).await.unwrap();
    let section = own.sections.iter().find(|section| section.code == "surveys").unwrap();
    assert!(format!("{section:?}").contains("卧床"));

    // Whoever is erased is gone from surveys too; others stay.
    let leave = v1::RecordMoveOutRequest {
        name: qin.clone(),
        move_out_date: "2026-03-17".to_owned(),
        ..Default::default()
    };
    client.ask(leave).await.unwrap();
    client.ask(v1::EraseFileRequest { name: qin, ..Default::default() }).await.unwrap();
    let left = client.purposeful().ask(get(v1::View::Full)).await.unwrap();
    let names: Vec<&str> = left.people.iter().map(|person| person.full_name.as_str()).collect();
    assert_eq!(names, ["陶静好"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_is_due_in_the_file_within_a_day_of_the_survey() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let changed = v1::SurveyedPerson {
        resident: qin.clone(),
        change: Some(v1::SurveyedChange {
            kind: v1::ChangeKind::Health.into(),
            description: "跌倒后行动不便".to_owned(),
        }),
        ..Default::default()
    };
    let time = "2026-03-17T10:00:00+08:00";
    let request = answering(&survey, &home, SurveyOutcome::Surveyed, time, vec![changed]);
    let answer = client.ask(v1::RecordSurveyRequest { request_id: request_id(1), ..request.clone() }).await;
    let answer = answer.unwrap();
    // The same request again gives the same answer, and reports nothing twice.
    let again = client.ask(v1::RecordSurveyRequest { request_id: request_id(1), ..request }).await.unwrap();
    assert_eq!(again, answer);
    let due = async || {
        let found = client.obligations(&qin, "", "").await;
        let updates = found.iter().filter(|owed| owed.standard == "standards/file.update");
        updates.map(line).collect::<Vec<_>>()
    };
    // 24 hours from the moment at which it was learned, not from the evening's entry.
    client.advance("2026-03-18T09:59:00+08:00").await;
    assert_eq!(due().await, ["file.update at_risk 0/1"]);
    client.advance("2026-03-18T10:01:00+08:00").await;
    assert_eq!(due().await, ["file.update missed 0/1"]);
    let apply = v1::ApplyChangeRequest {
        resident: Some(v1::Resident {
            name: qin.clone(),
            health_note: "行动不便".to_owned(),
            ..Default::default()
        }),
        update_mask: crate::harness::estate::mask(&["health_note"]),
        answers: vec![answer.people[0].change_event.clone()],
        ..Default::default()
    };
    client.ask(apply).await.unwrap();
    assert_eq!(due().await, ["file.update met_late 1/1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_at_once() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let other = client.estate("b").await;
    let later = v1::Resident { move_in_date: "2026-03-10".to_owned(), ..elder(&home, "丙丁") };
    let later = v1::Resident { identity_number: identity_number("19400501", 3), ..later };
    let later = client.resident(later).await.name;
    client.advance("2026-03-17T20:00:00+08:00").await;
    let nothing = v1::OpenSurveyRequest { parent: site.clone(), ..Default::default() };
    let fields = ["kind", "display_name", "start_date", "end_date"].map(|field| format!("survey.{field}"));
    invalid(client.ask(nothing).await, &fields.each_ref().map(String::as_str));
    let mut backwards = opening(&site, SurveyKind::Full);
    backwards.survey.as_mut().unwrap().end_date = "2026-02-28".to_owned();
    invalid(client.ask(backwards).await, &["survey.end_date"]);

    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let nothing = v1::RecordSurveyRequest { parent: survey.clone(), ..Default::default() };
    let fields = ["dwelling", "channel", "outcome", "occur_time"].map(|field| format!("answer.{field}"));
    invalid(client.ask(nothing).await, &fields.each_ref().map(String::as_str));
    let surveyed = |time: &str, people: Vec<v1::SurveyedPerson>| {
        answering(&survey, &home, SurveyOutcome::Surveyed, time, people)
    };
    let time = "2026-03-17T10:00:00+08:00";
    invalid(client.ask(surveyed("2026-03-18T10:00:00+08:00", Vec::new())).await, &["answer.occur_time"]);
    invalid(client.ask(surveyed("2026-02-28T10:00:00+08:00", Vec::new())).await, &["answer.occur_time"]);
    let file = |name: &str| v1::SurveyedPerson { resident: name.to_owned(), ..Default::default() };
    let change = Some(v1::SurveyedChange { kind: v1::ChangeKind::Health.into(), ..Default::default() });
    let people =
        vec![file(&qin), file(&qin), file(&format!("{site}/residents/nobody")), somebody("甲", "2026-03-18")];
    let fields = ["people[1].resident", "people[2].resident", "people[3].birth_date"];
    let fields = fields.map(|field| format!("answer.{field}"));
    invalid(client.ask(surveyed(time, people)).await, &fields.each_ref().map(String::as_str));
    let people = vec![
        somebody("", ""),
        v1::SurveyedPerson { change, ..somebody("甲", "") },
        file(&other.2),
        v1::SurveyedPerson { flags: vec![1, 1, 9], needs: vec![7], ..somebody("甲", "") },
    ];
    let fields =
        ["[0].full_name", "[1].change", "[2].resident", "[3].flags[1]", "[3].flags[2]", "[3].needs[0]"];
    let fields = fields.map(|field| format!("answer.people{field}"));
    invalid(client.ask(surveyed(time, people)).await, &fields.each_ref().map(String::as_str));
    let before = surveyed("2026-03-09T10:00:00+08:00", vec![file(&later)]);
    invalid(client.ask(before).await, &["answer.people[0].resident"]);
    let mut vacant = answering(&survey, &home, SurveyOutcome::Vacant, time, vec![somebody("甲", "")]);
    let answer = vacant.answer.as_mut().unwrap();
    answer.household_size = 101;
    answer.household_phone = "13812345678".to_owned();
    let fields = ["household_size", "household_size", "household_phone", "people"];
    let fields = fields.map(|field| format!("answer.{field}"));
    invalid(client.ask(vacant).await, &fields.each_ref().map(String::as_str));
    let foreign = answering(&survey, &other.1, SurveyOutcome::Vacant, time, Vec::new());
    invalid(client.ask(foreign).await, &["answer.dwelling"]);
    let unknown =
        answering(&survey, &format!("{site}/dwellings/none"), SurveyOutcome::Vacant, time, Vec::new());
    invalid(client.ask(unknown).await, &["answer.dwelling"]);
    refused(client.ask(v1::GetSurveyRequest { name: format!("{site}/surveys/none") }).await, "NOT_FOUND");
    let read = client.ask(v1::GetSurveyRequest { name: survey }).await.unwrap();
    assert_eq!(read.answer_count, 0, "nothing was written");
    server.stop().await;
}

/// Many stewards at once, and a deputy who closes in between: every answer is either in the frozen figures or a late entry.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_slips_between_the_count_and_the_close() {
    let mut numbers = Numbers::seeded("survey close");
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let mut dwellings = Vec::new();
    for room in 0..24 {
        dwellings.push(client.dwelling(&site, &format!("{}", 100 + room)).await);
    }
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let stop = numbers.between(4, 20) as usize;
    let mut tasks = Vec::new();
    for (place, dwelling) in dwellings.iter().enumerate() {
        let (client, survey, dwelling) = (client.clone(), survey.clone(), dwelling.clone());
        tasks.push(tokio::spawn(async move {
            if place == stop {
                let close = v1::CloseSurveyRequest { name: survey.clone(), ..Default::default() };
                client.ask(close).await.unwrap();
            }
            let time = "2026-03-17T10:00:00+08:00";
            let request = answering(&survey, &dwelling, SurveyOutcome::Surveyed, time, Vec::new());
            client.ask(request).await.unwrap()
        }));
    }
    let (mut counted, mut late) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.late_entry {
            late.insert(answer.dwelling)
        } else {
            counted.insert(answer.dwelling)
        };
    }
    let coverage = covered(&client, &survey).await;
    let omitted: BTreeSet<String> = coverage.omissions.iter().map(|left| left.dwelling.clone()).collect();
    assert_eq!(omitted, late);
    let figures = (coverage.surveyed_count as usize, coverage.late_entry_count as usize);
    assert_eq!(figures, (counted.len(), late.len()));
    assert_eq!(counted.len() + late.len(), dwellings.len());
    let read = client.ask(v1::GetSurveyRequest { name: survey }).await.unwrap();
    assert_eq!(read.answer_count, 24);
    server.stop().await;
}

/// Whose file is protected is in no survey and at no activity, for whoever is not named: as somebody who is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_protected_person_is_in_no_survey_and_at_no_activity() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["a"])]).await;
    let named = enter("lin", v1::StaffRole::Deputy).await;
    let other = enter("zhou", v1::StaffRole::Deputy).await;
    client.advance("2026-03-17T20:00:00+08:00").await;
    let survey = client.ask(opening(&site, SurveyKind::Review)).await.unwrap().name;
    let time = "2026-03-17T10:00:00+08:00";
    let record = |name: &str| {
        let person = v1::SurveyedPerson {
            resident: name.to_owned(),
            health_note: "卧床".to_owned(),
            ..Default::default()
        };
        answering(&survey, &home, SurveyOutcome::Surveyed, time, vec![person])
    };
    let answer = client.ask(record(&qin)).await.unwrap().name;
    let plan = crate::activity::planning(&site, v1::ActivityKind::Event, "", "2026-03-17");
    let activity = client.ask(plan).await.unwrap().name;
    client.ask(crate::activity::holding(&activity, time)).await.unwrap();
    client.ask(crate::activity::attending(&activity, &[&qin], "")).await.unwrap();
    let protect = v1::SetProtectedRequest {
        name: qin.clone(),
        protected_for: vec!["staff/lin".to_owned()],
        ..Default::default()
    };
    client.ask(protect).await.unwrap();

    let people = async |by: &Client| {
        let list = v1::ListSurveyAnswersRequest { parent: survey.clone(), ..Default::default() };
        let listed = by.ask(list).await.unwrap().answers[0].people.len();
        let get = v1::GetSurveyAnswerRequest { name: answer.clone(), view: v1::View::Full.into() };
        let shown = by.purposeful().ask(get).await.unwrap();
        let came = by.ask(v1::GetActivityRequest { name: activity.clone() }).await.unwrap().resident_count;
        let list = v1::ListAttendancesRequest { parent: activity.clone(), ..Default::default() };
        let attendances = by.ask(list).await.unwrap().attendances.len();
        (listed, shown.people.len(), came, attendances)
    };
    assert_eq!(people(&named).await, (1, 1, 1, 1));
    assert_eq!(people(&other).await, (0, 0, 0, 0));
    // Nobody is told where they live.
    for by in [&named, &other] {
        assert_eq!(covered(by, &survey).await.registered_count, 0);
    }
    let nobody = format!("{site}/residents/nobody");
    for name in [&qin, &nobody] {
        invalid(other.ask(record(name)).await, &["answer.people[0].resident"]);
        invalid(other.ask(crate::activity::attending(&activity, &[name], "")).await, &["residents[0]"]);
    }
    named.ask(record(&qin)).await.unwrap();
    named.ask(crate::activity::attending(&activity, &[&qin], "")).await.unwrap();
    server.stop().await;
}
