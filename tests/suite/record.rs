//! Service records: recorded, corrected, evaluated, listed; and everything that is refused.

use linli_proto::v1::correct_record_request::Correction;
use linli_proto::v1::{self, Outcome, ServiceKind};
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::estate::{at, contact, mask, request_id, shown};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn batch(site: &str, records: Vec<v1::Record>) -> v1::RecordServiceRequest {
    v1::RecordServiceRequest { parent: site.to_owned(), records, ..Default::default() }
}

async fn get(client: &Client, name: &str, view: v1::View) -> Result<v1::Record, tonic::Status> {
    client.ask(v1::GetRecordRequest { name: name.to_owned(), view: view.into() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_recorded_masked_and_shown_in_full_for_a_purpose() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, elder) = client.estate("a").await;
    client.advance("2026-03-17T20:00:00+08:00").await;
    let mut visit = contact(&elder, ServiceKind::HomeVisit, "2026-03-16T18:30:00+08:00", Outcome::Done);
    visit.subjects[0].note = "  tea in the kitchen  ".into();
    let mut round =
        contact(&dwelling, ServiceKind::SafetyCheck, "2026-03-16T19:00:00+08:00", Outcome::NotDone);
    round.performer = "staff/li".into();
    let recorded = client.ask(batch(&site, vec![visit, round])).await.unwrap().records;
    let [visit, round] = recorded.as_slice() else { panic!("{recorded:?}") };
    assert_eq!(
        (visit.version, visit.state(), visit.kind()),
        (1, v1::RecordState::Valid, ServiceKind::HomeVisit)
    );
    assert_eq!(shown(visit.occur_time.as_ref()), "2026-03-16T18:30");
    assert_eq!(shown(visit.record_time.as_ref()), "2026-03-17T20:00");
    assert_eq!(
        (visit.performer.as_str(), visit.department()),
        ("staff/dev", v1::Department::CustomerService)
    );
    assert_eq!((round.performer.as_str(), round.department()), ("staff/li", v1::Department::Engineering));
    // More than 24 hours after the care is a late entry.
    assert_eq!((visit.late_entry, round.late_entry), (true, true));
    assert_eq!(visit.subjects[0].note, "", "notes are for whoever says why");

    assert_eq!(&get(&client, &visit.name, v1::View::Unspecified).await.unwrap(), visit);
    assert_eq!(&get(&client, &visit.name, v1::View::Basic).await.unwrap(), visit);
    let refusal = refused(get(&client, &visit.name, v1::View::Full).await, "PURPOSE_REQUIRED");
    assert_eq!(refusal.code, Code::InvalidArgument);
    let full = get(&client.purposeful(), &visit.name, v1::View::Full).await.unwrap();
    assert_eq!(full.subjects[0].note, "tea in the kitchen");
    refused(get(&client, "sites/a/records/none", v1::View::Masked).await, "NOT_FOUND");
    refused(get(&client, "sites/b/records/none", v1::View::Masked).await, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_violation_of_a_batch_is_named_and_nothing_is_kept() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let (_, _, elsewhere) = client.estate("b").await;
    let good = contact(&elder, ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00", Outcome::Done);

    // What the request alone shows.
    let mut shapeless = good.clone();
    shapeless.kind = 0;
    shapeless.occur_time = None;
    shapeless.performer = "li".into();
    shapeless.department = 99;
    shapeless.subjects[0].outcome = 77;
    shapeless.subjects[0].answers = vec!["event".into()];
    shapeless.subjects[0].note = "x".repeat(4_001);
    let mut empty = good.clone();
    empty.subjects.clear();
    let foreign = contact(&elsewhere, ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00", Outcome::Done);
    invalid(
        client.ask(batch(&site, vec![good.clone(), shapeless, empty, foreign])).await,
        &[
            "records[1].kind",
            "records[1].occur_time",
            "records[1].performer",
            "records[1].department",
            "records[1].subjects[0].outcome",
            "records[1].subjects[0].answers[0]",
            "records[1].subjects[0].note",
            "records[2].subjects",
            "records[3].subjects[0].subject",
        ],
    );
    invalid(client.ask(batch("", vec![])).await, &["parent", "records"]);
    invalid(client.ask(batch(&site, vec![good.clone(); 101])).await, &["records"]);

    // What the site knows.
    let early = contact(&elder, ServiceKind::PhoneCall, "2019-12-31T08:00:00+08:00", Outcome::Done);
    let late = contact(&elder, ServiceKind::PhoneCall, "2026-03-16T09:00:01+08:00", Outcome::Done);
    let mut unknown = contact(
        &format!("{site}/residents/nobody"),
        ServiceKind::PhoneCall,
        "2026-03-16T08:00:00+08:00",
        Outcome::Done,
    );
    unknown.subjects[0].answers = vec![format!("{site}/events/none")];
    let mut twice = good.clone();
    twice.subjects.push(twice.subjects[0].clone());
    invalid(
        client.ask(batch(&site, vec![early, good.clone(), late, unknown, twice])).await,
        &[
            "records[0].occur_time",
            "records[2].occur_time",
            "records[3].subjects[0].subject",
            "records[3].subjects[0].answers[0]",
            "records[4].subjects[1].subject",
        ],
    );
    let kept =
        client.ask(v1::ListRecordsRequest { parent: site.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(kept.records, []);
    refused(client.ask(batch("sites/nowhere", vec![])).await, "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_records_once() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let call = contact(&elder, ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00", Outcome::Done);
    let request = v1::RecordServiceRequest { request_id: request_id(7), ..batch(&site, vec![call.clone()]) };
    let first = client.ask(request.clone()).await.unwrap();
    // Also where it would be refused by now.
    let moved_out = v1::RecordMoveOutRequest {
        name: elder.clone(),
        move_out_date: "2026-03-15".into(),
        ..Default::default()
    };
    client.ask(moved_out).await.unwrap();
    assert_eq!(client.ask(request.clone()).await.unwrap(), first);
    let other = v1::RecordServiceRequest { records: vec![call.clone(), call], ..request };
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    let kept = client.ask(v1::ListRecordsRequest { parent: site, ..Default::default() }).await.unwrap();
    assert_eq!(kept.records, first.records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_left_takes_only_what_happened_before() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    client.advance("2026-03-19T12:00:00+08:00").await;
    let moved_out = v1::RecordMoveOutRequest {
        name: elder.clone(),
        move_out_date: "2026-03-18".into(),
        ..Default::default()
    };
    client.ask(moved_out).await.unwrap();
    let visit = |time: &str| contact(&elder, ServiceKind::HomeVisit, time, Outcome::Done);
    client.record(visit("2026-03-18T15:00:00+08:00")).await;
    let after = client.ask(batch(&site, vec![visit("2026-03-19T08:00:00+08:00")])).await;
    invalid(after, &["records[0].occur_time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_are_new_versions_and_change_what_is_owed() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    let mut visit = contact(&elder, ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00", Outcome::Done);
    visit.subjects[0].note = "watered the plants".into();
    let recorded = client.record(visit.clone()).await;
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 0/2", "elder.visit met 1/1"]);

    client.advance("2026-03-16T10:00:00+08:00").await;
    let change = |record: v1::Record, paths: &[&str]| v1::CorrectRecordRequest {
        name: recorded.name.clone(),
        correction: Some(Correction::Record(record)),
        update_mask: mask(paths),
        reason: "it was a call".into(),
        ..Default::default()
    };
    let call = v1::Record { kind: ServiceKind::PhoneCall.into(), ..Default::default() };
    let stale = v1::CorrectRecordRequest { etag: "v9".into(), ..change(call.clone(), &["kind"]) };
    assert_eq!(refused(client.ask(stale).await, "ETAG_MISMATCH").code, Code::Aborted);
    let right = v1::CorrectRecordRequest { etag: recorded.etag.clone(), ..change(call.clone(), &["kind"]) };
    let corrected = client.ask(right).await.unwrap();
    assert_eq!((corrected.version, corrected.kind()), (2, ServiceKind::PhoneCall));
    assert_ne!(corrected.etag, recorded.etag);
    assert_eq!(corrected.record_time, recorded.record_time, "the first version's");
    assert_eq!(corrected.correction_reason, "");
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 1/2", "elder.visit open 0/1"]);
    // The words went along, and the reason is there for whoever may read them.
    let full = get(&client.purposeful(), &recorded.name, v1::View::Full).await.unwrap();
    assert_eq!(full.subjects[0].note, "watered the plants");
    assert_eq!(full.correction_reason, "it was a call");

    // Refused corrections.
    invalid(client.ask(change(call.clone(), &[])).await, &["update_mask"]);
    invalid(client.ask(change(call.clone(), &["name"])).await, &["update_mask.paths[0]"]);
    let future = v1::Record { occur_time: Some(at("2026-03-16T11:00:00+08:00")), ..Default::default() };
    invalid(client.ask(change(future, &["occur_time"])).await, &["record.occur_time"]);
    let nothing = v1::CorrectRecordRequest { name: recorded.name.clone(), ..Default::default() };
    invalid(client.ask(nothing).await, &["reason", "correction"]);

    // Withdrawn, it earns nothing and cannot change any more.
    let withdraw = v1::CorrectRecordRequest {
        name: recorded.name.clone(),
        correction: Some(Correction::Withdraw(true)),
        reason: "another resident".into(),
        ..Default::default()
    };
    let void = client.ask(withdraw.clone()).await.unwrap();
    assert_eq!((void.version, void.state()), (3, v1::RecordState::Void));
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 0/2", "elder.visit open 0/1"]);
    assert_eq!(refused(client.ask(withdraw).await, "RECORD_STATE").code, Code::FailedPrecondition);
    let evaluate = v1::EvaluateRecordRequest {
        name: recorded.name.clone(),
        subject: elder.clone(),
        satisfaction: 5,
        ..Default::default()
    };
    refused(client.ask(evaluate).await, "RECORD_STATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_evaluated_by_who_received_it() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    let visit = client.done(&elder, ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00").await;
    let evaluation = |satisfaction: i32, comment: &str| v1::EvaluateRecordRequest {
        name: visit.name.clone(),
        subject: elder.clone(),
        satisfaction,
        comment: comment.to_owned(),
        ..Default::default()
    };
    let rated = client.ask(evaluation(4, "very kind")).await.unwrap();
    assert_eq!(rated.evaluations.iter().map(|e| e.satisfaction).collect::<Vec<_>>(), [4]);
    assert_eq!(rated.evaluations[0].comment, "");
    client.ask(evaluation(2, "came late")).await.unwrap();
    let full = get(&client.purposeful(), &visit.name, v1::View::Full).await.unwrap();
    let said: Vec<_> = full.evaluations.iter().map(|e| (e.satisfaction, e.comment.as_str())).collect();
    assert_eq!(said, [(2, "came late")], "a second word replaces the first");
    for wrong in [0, 6, -1] {
        invalid(client.ask(evaluation(wrong, "")).await, &["satisfaction"]);
    }
    let other = v1::EvaluateRecordRequest { subject: "sites/a/residents/other".into(), ..evaluation(3, "") };
    invalid(client.ask(other).await, &["subject"]);
    let foreign =
        v1::EvaluateRecordRequest { subject: "sites/b/residents/other".into(), ..evaluation(3, "") };
    invalid(client.ask(foreign).await, &["subject"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_one_record_over_many_places() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let mut doors = Vec::new();
    for room in ["101", "102", "103"] {
        doors.push(client.dwelling(&site, room).await);
    }
    let exception = v1::RecordSubject {
        subject: doors[1].clone(),
        outcome: Outcome::NotDone.into(),
        note: "nobody at home".into(),
        ..Default::default()
    };
    let round = v1::RecordRoundRequest {
        parent: site.clone(),
        kind: ServiceKind::SafetyCheck.into(),
        occur_time: Some(at("2026-03-16T08:00:00+08:00")),
        subjects: doors.clone(),
        exceptions: vec![exception.clone()],
        ..Default::default()
    };
    let recorded = client.ask(round.clone()).await.unwrap();
    let outcomes: Vec<_> = recorded.subjects.iter().map(|s| (s.subject.clone(), s.outcome())).collect();
    let expect = [Outcome::Done, Outcome::NotDone, Outcome::Done];
    assert_eq!(outcomes, doors.iter().cloned().zip(expect).collect::<Vec<_>>());
    assert_eq!(recorded.department(), v1::Department::Engineering);
    let full = get(&client.purposeful(), &recorded.name, v1::View::Full).await.unwrap();
    assert_eq!(full.subjects[1].note, "nobody at home");

    let check = |change: v1::RecordRoundRequest, fields: &'static [&'static str]| {
        let client = client.clone();
        async move { invalid(client.ask(change).await, fields) }
    };
    let stray = v1::RecordSubject { subject: format!("{site}/dwellings/d9"), ..exception };
    check(v1::RecordRoundRequest { exceptions: vec![stray], ..round.clone() }, &["exceptions[0].subject"])
        .await;
    let person = format!("{site}/residents/r");
    check(
        v1::RecordRoundRequest {
            subjects: vec![doors[0].clone(), person],
            exceptions: vec![],
            ..round.clone()
        },
        &["subjects[1]"],
    )
    .await;
    let twice = vec![doors[0].clone(), doors[0].clone()];
    check(
        v1::RecordRoundRequest { subjects: twice, exceptions: vec![], ..round.clone() },
        &["subjects[1].subject"],
    )
    .await;
    check(
        v1::RecordRoundRequest { subjects: vec![], kind: 0, occur_time: None, exceptions: vec![], ..round },
        &["kind", "occur_time", "subjects"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_try_opens_the_ladder_and_word_of_safety_closes_it() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    let ladder = async |client: &Client| -> Vec<String> {
        let owed = client.owed(&elder).await;
        owed.into_iter().filter(|line| line.starts_with("contact.ladder")).collect()
    };
    assert_eq!(ladder(&client).await, [] as [String; 0]);
    client
        .record(contact(&elder, ServiceKind::PhoneCall, "2026-03-16T08:50:00+08:00", Outcome::NotReached))
        .await;
    let opened = ladder(&client).await;
    assert!(
        opened.len() == 1 && opened[0].contains(" open 0/1") || opened[0].contains(" at_risk 0/1"),
        "{opened:?}"
    );

    client.advance("2026-03-16T09:10:00+08:00").await;
    let word = v1::ConfirmSafetyRequest {
        name: elder.clone(),
        source: v1::SafetySource::Neighbour.into(),
        note: "saw her at the market".into(),
        ..Default::default()
    };
    let event = client.ask(word.clone()).await.unwrap();
    assert_eq!(
        (event.kind(), event.safety_source()),
        (v1::EventKind::SafetyConfirmed, v1::SafetySource::Neighbour)
    );
    assert_eq!(
        (event.subject.as_str(), shown(event.occur_time.as_ref())),
        (elder.as_str(), "2026-03-16T09:10".into())
    );
    let closed = ladder(&client).await;
    assert!(closed.iter().all(|line| line.contains(" met ")), "{closed:?}");
    // It proves safety and credits no visit and no call.
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 0/2", "elder.visit open 0/1"]);

    let none = v1::ConfirmSafetyRequest { source: 0, ..word.clone() };
    invalid(client.ask(none).await, &["source"]);
    let future =
        v1::ConfirmSafetyRequest { occur_time: Some(at("2026-03-16T10:00:00+08:00")), ..word.clone() };
    invalid(client.ask(future).await, &["occur_time"]);
    let nobody = v1::ConfirmSafetyRequest { name: "sites/a/residents/nobody".into(), ..word };
    refused(client.ask(nobody).await, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    lists(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        lists(data).await;
    }
}

async fn lists(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let (site, dwelling, elder) = client.estate("a").await;
    let (_, _, other) = client.estate("b").await;
    client.advance("2026-03-18T12:00:00+08:00").await;
    let mut made = Vec::new();
    for (subject, kind, time) in [
        (&elder, ServiceKind::PhoneCall, "2026-03-17T10:00:00+08:00"),
        (&elder, ServiceKind::HomeVisit, "2026-03-16T10:00:00+08:00"),
        (&dwelling, ServiceKind::Survey, "2026-03-16T11:00:00+08:00"),
        (&elder, ServiceKind::PhoneCall, "2026-03-18T10:00:00+08:00"),
        (&other, ServiceKind::PhoneCall, "2026-03-18T10:00:00+08:00"),
    ] {
        made.push(client.done(subject, kind, time).await.name);
    }
    let check = |request: v1::ListRecordsRequest, expect: &'static [usize]| {
        let (client, made) = (client.clone(), made.clone());
        async move {
            for page_size in [0, 1, 2] {
                let mut request = v1::ListRecordsRequest { page_size, ..request.clone() };
                let mut found = Vec::new();
                loop {
                    let page = client.ask(request.clone()).await.unwrap();
                    found.extend(page.records.into_iter().map(|record| record.name));
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                let expect: Vec<_> = expect.iter().map(|at| made[*at].clone()).collect();
                assert_eq!(found, expect, "{request:?}");
            }
        }
    };
    let of = |parent: &str| v1::ListRecordsRequest { parent: parent.to_owned(), ..Default::default() };
    // The last recorded first; of one subject the newest occurrence first; site by site.
    check(of(&site), &[3, 2, 1, 0]).await;
    check(of("sites/-"), &[3, 2, 1, 0, 4]).await;
    check(v1::ListRecordsRequest { subject: elder.clone(), ..of(&site) }, &[3, 0, 1]).await;
    check(v1::ListRecordsRequest { subject: elder.clone(), ..of("sites/-") }, &[3, 0, 1]).await;
    check(v1::ListRecordsRequest { kind: ServiceKind::PhoneCall.into(), ..of("sites/-") }, &[3, 0, 4]).await;
    let calls = v1::ListRecordsRequest {
        subject: elder.clone(),
        kind: ServiceKind::PhoneCall.into(),
        end_date: "2026-03-17".into(),
        ..of(&site)
    };
    check(calls, &[0]).await;
    let monday = v1::ListRecordsRequest {
        start_date: "2026-03-16".into(),
        end_date: "2026-03-16".into(),
        ..of(&site)
    };
    check(monday, &[2, 1]).await;

    let first = client.ask(v1::ListRecordsRequest { page_size: 1, ..of(&site) }).await.unwrap();
    let other_query = v1::ListRecordsRequest { page_token: first.next_page_token, ..of("sites/-") };
    refused(client.ask(other_query).await, "PAGE_TOKEN_INVALID");
    let wrong = v1::ListRecordsRequest {
        subject: "sites/b/residents/r".into(),
        kind: 999,
        start_date: "2026-03-17".into(),
        end_date: "2026-03-16".into(),
        ..of(&site)
    };
    invalid(client.ask(wrong).await, &["kind", "end_date", "subject"]);
    refused(client.ask(of("sites/nowhere")).await, "NOT_FOUND");
}
