//! Every error reason, produced by a call, in both languages; then what bad input gets, RPC by RPC.

use std::collections::BTreeSet;
use std::sync::Arc;

use linli_core::id::StaffId;
use linli_core::text::Language;
use linli_proto::v1;
use linli_service::app::{Answer, Repeat};
use linli_service::auth::{Call, Principal, Role, Scope, table};
use linli_service::grpc::page::Binding;
use linli_service::grpc::status;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::client::Client;
use crate::harness::estate::{at, contact, elder, fact, flag, identity_number, mask, request_id};
use crate::harness::server::{Data, Server};
use crate::harness::{Refusal, invalid, refused, until};

/// Holds that every reason of the public enum was produced, each with its code and words.
#[derive(Default)]
struct Produced(BTreeSet<String>);

impl Produced {
    /// Two answers to the same bad call: to somebody who reads English, and to somebody who reads Chinese.
    #[track_caller]
    fn note(&mut self, reason: &str, code: Code, retry: bool, (en, zh): (Status, Status)) {
        let (en, zh) = (Refusal::of(&en), Refusal::of(&zh));
        for (refusal, locale) in [(&en, "en"), (&zh, "zh-CN")] {
            assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason), "{refusal:?}");
            assert_eq!((refusal.domain.as_str(), refusal.retry), ("linli", retry), "{reason}");
            assert_eq!(refusal.words, (locale.to_owned(), refusal.message.clone()), "{reason}");
            assert!(!refusal.request_id.is_empty(), "{reason} without a request id");
            let explained = refusal.reason == "INVALID_FIELD";
            assert_eq!(!refusal.violations.is_empty(), explained, "{reason}: {refusal:?}");
        }
        assert!(en.message.is_ascii(), "{reason}: {}", en.message);
        assert!(zh.message.chars().any(|c| ('一'..='龥').contains(&c)), "{reason}: {}", zh.message);
        self.0.insert(reason.to_owned());
    }
}

/// The same call in both languages; both must be refused.
macro_rules! both {
    ($client:expr, $request:expr) => {{
        let client: &Client = &$client;
        let english = client.with("accept-language", "en").ask($request).await;
        let chinese = client.with("accept-language", "zh-CN,zh;q=0.9,en;q=0.1").ask($request).await;
        (english.expect_err("a refusal"), chinese.expect_err("a refusal"))
    }};
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one reason after the other")]
async fn every_reason_is_produced() {
    let mut produced = Produced::default();
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let record = client.done(&resident, v1::ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00").await.name;
    let get_site = |name: &str| v1::GetSiteRequest { name: name.to_owned() };

    produced.note("INVALID_FIELD", Code::InvalidArgument, false, both!(client, get_site("site/s1")));
    let page = v1::ListSitesRequest { page_token: "AAAA".to_owned(), ..Default::default() };
    produced.note("PAGE_TOKEN_INVALID", Code::InvalidArgument, false, both!(client, page.clone()));

    let create = |id: &str, title: &str| v1::CreateSiteRequest {
        site: Some(v1::Site { display_name: title.to_owned(), ..Default::default() }),
        site_id: id.to_owned(),
        request_id: request_id(1),
    };
    client.ask(create("s2", "二")).await.unwrap();
    let reused = both!(client, create("s2", "另一个"));
    produced.note("REQUEST_ID_REUSED", Code::InvalidArgument, false, reused);

    let full = v1::GetResidentRequest { name: resident.clone(), view: v1::View::Full.into() };
    produced.note("PURPOSE_REQUIRED", Code::InvalidArgument, false, both!(client, full.clone()));
    produced.note("UNAUTHENTICATED", Code::Unauthenticated, false, both!(server.nobody(), get_site(&site)));
    produced.note(
        "PERMISSION_DENIED",
        Code::PermissionDenied,
        false,
        both!(server.outsider(), get_site(&site)),
    );
    produced.note("NOT_FOUND", Code::NotFound, false, both!(client, get_site("sites/absent")));
    let again = v1::CreateSiteRequest { request_id: String::new(), ..create("s1", "一") };
    produced.note("ALREADY_EXISTS", Code::AlreadyExists, false, both!(client, again.clone()));

    let number = identity_number("19400501", 1);
    let numbered = v1::Resident { identity_number: number, ..elder(&dwelling, "甲乙") };
    let open =
        v1::CreateResidentRequest { parent: site.clone(), resident: Some(numbered), ..Default::default() };
    client.ask(open.clone()).await.unwrap();
    produced.note("IDENTITY_TAKEN", Code::AlreadyExists, false, both!(client, open.clone()));

    let stale = v1::UpdateSiteRequest {
        site: Some(v1::Site {
            name: site.clone(),
            display_name: "新".to_owned(),
            etag: "7".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    let etag = client.ask(get_site(&site)).await.unwrap().etag;
    client
        .ask(v1::UpdateSiteRequest {
            site: Some(v1::Site { etag: etag.clone(), ..stale.site.clone().unwrap() }),
            ..stale.clone()
        })
        .await
        .unwrap();
    let stale = v1::UpdateSiteRequest { site: Some(v1::Site { etag, ..stale.site.unwrap() }), ..stale };
    produced.note("ETAG_MISMATCH", Code::Aborted, false, both!(client, stale.clone()));

    // States.
    let pause = v1::PauseRequest {
        parent: resident.clone(),
        pause: Some(v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: "2026-03-16".to_owned(),
            expected_return_date: "2026-03-20".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.ask(pause.clone()).await.unwrap();
    produced.note("PAUSE_STATE", Code::FailedPrecondition, false, both!(client, pause.clone()));
    let declare = v1::DeclareMembershipRequest {
        parent: resident.clone(),
        group: "careGroups/living_alone".to_owned(),
        basis: v1::MembershipBasis::Declared.into(),
        evidence: "本人所述".to_owned(),
        ..Default::default()
    };
    produced.note("MEMBERSHIP_STATE", Code::FailedPrecondition, false, both!(client, declare.clone()));
    let withdraw = v1::CorrectRecordRequest {
        name: record,
        correction: Some(v1::correct_record_request::Correction::Withdraw(true)),
        reason: "重复录入".to_owned(),
        ..Default::default()
    };
    client.ask(withdraw.clone()).await.unwrap();
    produced.note("RECORD_STATE", Code::FailedPrecondition, false, both!(client, withdraw.clone()));
    let post = v1::Post {
        display_name: "管家".to_owned(),
        department: v1::Department::CustomerService.into(),
        ..Default::default()
    };
    let post = v1::CreatePostRequest { parent: site.clone(), post: Some(post), ..Default::default() };
    let end = v1::EndPostHolderRequest {
        name: client.ask(post).await.unwrap().name,
        staff: "staff/wang".to_owned(),
        start_date: "2026-03-01".to_owned(),
        end_date: "2026-03-31".to_owned(),
        ..Default::default()
    };
    produced.note("POST_HOLDER_STATE", Code::FailedPrecondition, false, both!(client, end.clone()));
    let leave = v1::RecordMoveOutRequest {
        name: resident.clone(),
        move_out_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    client.ask(leave.clone()).await.unwrap();
    produced.note("FILE_STATE", Code::FailedPrecondition, false, both!(client, leave.clone()));

    // The gate of a school is watched on school days, which nobody knows for 2035.
    let gate =
        v1::Area { kind: v1::AreaKind::Gate.into(), display_name: "东门".to_owned(), ..Default::default() };
    client
        .ask(v1::CreateAreaRequest { parent: site.clone(), area: Some(gate), ..Default::default() })
        .await
        .unwrap();
    client.resident(elder(&dwelling, "丙丁")).await;
    client.advance("2035-03-14T09:00:00+08:00").await;
    let ahead = v1::ListObligationsRequest { parent: site.clone(), ..Default::default() };
    produced.note("CALENDAR_YEAR_MISSING", Code::FailedPrecondition, false, both!(client, ahead.clone()));
    let missing = refused(client.ask(ahead).await, "CALENDAR_YEAR_MISSING");
    assert_eq!(missing.metadata, [("year".to_owned(), "2035".to_owned())]);

    let large = v1::GetSiteRequest { name: "x".repeat(2 * 1024 * 1024) };
    produced.note("MESSAGE_TOO_LARGE", Code::OutOfRange, false, both!(client, large.clone()));

    // A damaged cell is a defect: the caller learns the request id, the log the rest.
    server.app.store.tamper("UPDATE resident_cell SET cell = x'0102' WHERE class = 'contact'").await;
    let masked = v1::GetResidentRequest { name: resident, ..Default::default() };
    produced.note("INTERNAL", Code::Internal, false, both!(client, masked.clone()));
    server.app.store.close().await;
    produced.note("STORE_UNAVAILABLE", Code::Unavailable, true, both!(client, again.clone()));

    clocks_queues_and_deadlines(&mut produced).await;
    a_plugin_that_is_not_there(&mut produced).await;

    // A process without its root key does not start in this version, so no call can be answered with it.
    let sealed = |language| status::status(&linli_service::error::Error::Sealed, language, "r1");
    let answers = (sealed(Language::En), sealed(Language::Zh));
    produced.note("SERVER_SEALED", Code::Unavailable, false, answers);

    let reasons = (1..).map_while(|number| v1::ErrorReason::try_from(number).ok());
    let all: BTreeSet<String> = reasons.map(|reason| status::reason_name(reason).to_owned()).collect();
    assert_eq!(produced.0, all, "reasons without a call that produces them");
}

async fn clocks_queues_and_deadlines(produced: &mut Produced) {
    let server = Server::on(Data::sqlite().at("")).await;
    let advance = v1::AdvanceClockRequest {
        target: Some(v1::advance_clock_request::Target::By(prost_types::Duration { seconds: 1, nanos: 0 })),
        ..Default::default()
    };
    let refusals = both!(server.client(), advance.clone());
    produced.note("CLOCK_NOT_SIMULATED", Code::FailedPrecondition, false, refusals);
    server.stop().await;

    // One call at a time, held by a roster that does not come to its end.
    let server = Server::on(Data::sqlite().with("server.limits.calls = 1")).await;
    let client = server.client();
    client.site("s1").await;
    let list = v1::ListSitesRequest::default();
    let held = loop {
        let client = client.clone();
        let held = tokio::spawn(async move { client.endless_import("sites/s1").await });
        let alone = || server.metrics().contains("linli_calls_at_work 1\n").then_some(());
        until("the roster at work and nothing else", alone);
        // Counted, it may still be on its way to its place; then the list took it.
        if server.client().ask(list.clone()).await.is_err() && !held.is_finished() {
            break held;
        }
        held.abort();
        let nobody = || server.metrics().contains("linli_calls_at_work 0\n").then_some(());
        until("nothing at work", nobody);
    };
    produced.note("OVERLOADED", Code::ResourceExhausted, true, both!(client, list.clone()));
    held.abort();

    let server = Server::on(Data::sqlite().with("server.timeouts.stream_s = 1")).await;
    let client = server.client();
    client.site("s1").await;
    let slow = |language| {
        let client = client.with("accept-language", language);
        async move { client.endless_import("sites/s1").await.expect_err("a deadline") }
    };
    let refusals = tokio::join!(slow("en"), slow("zh"));
    produced.note("DEADLINE_EXCEEDED", Code::DeadlineExceeded, false, refusals);
    server.stop().await;
}

async fn a_plugin_that_is_not_there(produced: &mut Produced) {
    let missing = "plugins.required = [\"cn.example.absent\"]\nplugins.start_without_required = true";
    let server = Server::on(Data::sqlite().with(missing)).await;
    let client = server.client();
    client.site("s1").await;
    let parameters =
        v1::GetPluginParametersRequest { name: "sites/s1/pluginParameters/cn.example.absent".to_owned() };
    let refusals = both!(client, parameters.clone());
    produced.note("PLUGIN_UNAVAILABLE", Code::Unavailable, true, refusals);
    let unknown =
        v1::GetPluginParametersRequest { name: "sites/s1/pluginParameters/cn.example.other".to_owned() };
    refused(client.ask(unknown).await, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_id_is_echoed_and_found_in_errors() {
    let server = Server::start().await;
    let client = server.client().with("x-request-id", "probe-42");
    let answer = client.response(v1::ListSitesRequest::default()).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "probe-42");
    let refusal = refused(client.ask(v1::GetSiteRequest::default()).await, "INVALID_FIELD");
    assert_eq!(refusal.request_id, "probe-42");
    let own = server.client().response(v1::ListSitesRequest::default()).await.unwrap();
    assert!(!own.metadata().get("x-request-id").unwrap().is_empty());
}

/// What bad input gets: a line per request, with every field that is wrong in it, in order.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn bad_input_is_refused_field_by_field_and_nothing_is_written() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let (_, foreign_dwelling, foreign) = client.estate("s2").await;
    let record = client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await.name;
    let before = server.app.store.dump().await;
    let s = |text: &str| text.to_owned();

    // Sites, dwellings, areas, posts.
    let site_of = |title: &str, zone: &str| {
        Some(v1::Site { display_name: s(title), time_zone: s(zone), ..Default::default() })
    };
    invalid(
        client
            .ask(v1::CreateSiteRequest {
                site: site_of("", "Mars/Olympus"),
                site_id: s("S 1"),
                request_id: s("7"),
            })
            .await,
        &["request_id"],
    );
    invalid(
        client
            .ask(v1::CreateSiteRequest {
                site: site_of("", "Mars/Olympus"),
                site_id: s("S 1"),
                ..Default::default()
            })
            .await,
        &["site_id", "site.display_name", "site.time_zone"],
    );
    for title in ["a\0b", "a\u{7}b", &"长".repeat(201)] {
        let request = v1::CreateSiteRequest { site: site_of(title, ""), ..Default::default() };
        invalid(client.ask(request).await, &["site.display_name"]);
    }
    invalid(
        client
            .ask(v1::UpdateSiteRequest {
                site: Some(v1::Site { name: site.clone(), etag: s("%"), ..Default::default() }),
                update_mask: mask(&["*", "name", "display_name"]),
                ..Default::default()
            })
            .await,
        &["site.etag", "update_mask.paths[0]", "update_mask.paths[1]", "site.display_name"],
    );
    invalid(
        client
            .ask(v1::UpdateSiteRequest {
                site: Some(v1::Site { name: site.clone(), ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["update_mask"],
    );
    invalid(
        client.ask(v1::CreateDwellingRequest { parent: s("sites/"), ..Default::default() }).await,
        &["parent", "dwelling.building", "dwelling.room"],
    );
    invalid(
        client
            .ask(v1::CreateAreaRequest {
                parent: site.clone(),
                area: Some(v1::Area { kind: 99, ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["area.kind", "area.display_name"],
    );
    invalid(
        client
            .ask(v1::CreatePostRequest {
                parent: site.clone(),
                post: Some(v1::Post { department: 42, ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["post.display_name", "post.department"],
    );
    invalid(
        client
            .ask(v1::ListDwellingsRequest { parent: site.clone(), page_size: -1, ..Default::default() })
            .await,
        &["page_size"],
    );
    let parameter = |field: &str, number: i64| v1::PluginParameter {
        field: s(field),
        value: Some(v1::Value { kind: Some(v1::value::Kind::Number(number)) }),
        ..Default::default()
    };
    invalid(
        client
            .ask(v1::SetPluginParametersRequest {
                name: format!("{site}/pluginParameters/cn.linli.elderly"),
                parameters: vec![parameter("advanced_age_years", 12), parameter("shoe_size", 42)],
                ..Default::default()
            })
            .await,
        &["parameters[0].value", "parameters[1].field"],
    );

    // Care files: everything wrong at once.
    let wrong = v1::Resident {
        full_name: s("名\u{0}"),
        phone: s("12"),
        identity_number: s("110105194912310021"),
        birth_date: s("1949-13-01"),
        sex: 9,
        dwelling: foreign_dwelling.clone(),
        move_in_date: String::new(),
        emergency_contacts: vec![v1::EmergencyContact { relation: s("女儿"), ..Default::default() }],
        needs: vec![77],
        family_note: "字".repeat(4_001),
        facts: vec![v1::Fact { field: s("Lives Alone"), ..Default::default() }],
        ..Default::default()
    };
    let found = refused(
        client
            .ask(v1::CreateResidentRequest {
                parent: site.clone(),
                resident: Some(wrong),
                ..Default::default()
            })
            .await,
        "INVALID_FIELD",
    );
    let fields: BTreeSet<&str> = found.fields().into_iter().collect();
    let expected: BTreeSet<&str> = [
        "resident.full_name",
        "resident.phone",
        "resident.identity_number",
        "resident.birth_date",
        "resident.sex",
        "resident.dwelling",
        "resident.move_in_date",
        "resident.emergency_contacts[0].full_name",
        "resident.emergency_contacts[0].phone",
        "resident.needs[0]",
        "resident.family_note",
        "resident.facts[0].field",
    ]
    .into();
    assert_eq!(fields, expected);
    let open = |change: v1::Resident| v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(change),
        ..Default::default()
    };
    let person = || elder(&dwelling, "戊己");
    for (change, field) in [
        (v1::Resident { birth_date: s("1899-12-31"), ..person() }, "resident.birth_date"),
        (v1::Resident { birth_date: s("2026-03-17"), ..person() }, "resident.birth_date"),
        (v1::Resident { move_in_date: s("2026-03-17"), ..person() }, "resident.move_in_date"),
        (v1::Resident { identity_number: s("11010519491231002X"), ..person() }, "resident.birth_date"),
        (v1::Resident { dwelling: format!("{site}/dwellings/none"), ..person() }, "resident.dwelling"),
        (v1::Resident { facts: vec![flag("owns_a_cat", true)], ..person() }, "resident.facts[0].field"),
        (
            v1::Resident {
                facts: vec![fact("ability_score", Some(v1::value::Kind::Number(91)))],
                ..person()
            },
            "resident.facts[0].value",
        ),
        (
            v1::Resident {
                facts: vec![fact("lives_alone", Some(v1::value::Kind::Text(s("yes"))))],
                ..person()
            },
            "resident.facts[0].value",
        ),
        (
            v1::Resident {
                facts: vec![v1::Fact { true_from_date: s("2026-03-17"), ..flag("lives_alone", true) }],
                ..person()
            },
            "resident.facts[0].true_from_date",
        ),
    ] {
        invalid(client.ask(open(change)).await, &[field]);
    }
    invalid(
        client
            .ask(v1::ReportChangeRequest {
                name: resident.clone(),
                kind: 0,
                description: "字".repeat(4_001),
                report_time: Some(prost_types::Timestamp { seconds: -99_999_999_999, nanos: 0 }),
                ..Default::default()
            })
            .await,
        &["kind", "description", "report_time"],
    );
    invalid(
        client
            .ask(v1::ReportChangeRequest {
                name: resident.clone(),
                kind: v1::ChangeKind::Health.into(),
                report_time: Some(at("2026-03-16T09:00:01+08:00")),
                ..Default::default()
            })
            .await,
        &["report_time"],
    );
    invalid(
        client
            .ask(v1::ApplyChangeRequest {
                resident: Some(v1::Resident { name: resident.clone(), ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["answers"],
    );
    invalid(
        client
            .ask(v1::RecordMoveInRequest {
                parent: site.clone(),
                dwelling: foreign_dwelling.clone(),
                move_in_date: s("2026-02-30"),
                resident: foreign.clone(),
                ..Default::default()
            })
            .await,
        &["move_in_date", "dwelling", "resident"],
    );
    invalid(
        client.ask(v1::RecordMoveOutRequest { name: resident.clone(), ..Default::default() }).await,
        &["move_out_date"],
    );
    for (date, _why) in [("2026-03-17", "future"), ("2019-12-31", "before the tenure")] {
        let request =
            v1::RecordDeathRequest { name: resident.clone(), death_date: s(date), ..Default::default() };
        invalid(client.ask(request).await, &["death_date"]);
    }
    invalid(
        client.ask(v1::DeclareMembershipRequest { parent: resident.clone(), ..Default::default() }).await,
        &["group", "basis", "evidence"],
    );
    invalid(
        client
            .ask(v1::DeclareMembershipRequest {
                parent: resident.clone(),
                group: s("careGroups/astronauts"),
                basis: v1::MembershipBasis::Certificate.into(),
                true_from_date: s("2026-03-17"),
                end_date: s("2026-03-16"),
                evidence: s("证件"),
                ..Default::default()
            })
            .await,
        &["group", "true_from_date", "end_date"],
    );
    let pause = |reason: v1::PauseReason, leave: &str, back: &str| v1::PauseRequest {
        parent: resident.clone(),
        pause: Some(v1::Pause {
            reason: reason.into(),
            leave_date: s(leave),
            expected_return_date: s(back),
            ..Default::default()
        }),
        ..Default::default()
    };
    for (request, fields) in [
        (
            v1::PauseRequest { parent: resident.clone(), ..Default::default() },
            &["pause.reason", "pause.leave_date", "pause.expected_return_date"][..],
        ),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-03-15"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-03-16"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-06-15"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2019-12-01", "2019-12-15"), &["pause.leave_date"]),
        (pause(v1::PauseReason::Other, "2026-03-16", "2026-03-20"), &["pause.note"]),
    ] {
        invalid(client.ask(request).await, fields);
    }

    // Records.
    let visit = |time: &str| contact(&resident, v1::ServiceKind::HomeVisit, time, v1::Outcome::Done);
    let keep = |records: Vec<v1::Record>| v1::RecordServiceRequest {
        parent: site.clone(),
        records,
        ..Default::default()
    };
    let noon = "2026-03-16T08:30:00+08:00";
    invalid(client.ask(keep(Vec::new())).await, &["records"]);
    invalid(
        client.ask(keep(vec![visit(noon), v1::Record::default()])).await,
        &["records[1].kind", "records[1].occur_time", "records[1].subjects"],
    );
    invalid(
        client.ask(keep(vec![visit("2026-03-16T09:00:01+08:00"), visit("2019-06-01T09:00:00+08:00")])).await,
        &["records[0].occur_time", "records[1].occur_time"],
    );
    invalid(
        client.ask(keep(vec![contact(&foreign, v1::ServiceKind::HomeVisit, noon, v1::Outcome::Done)])).await,
        &["records[0].subjects[0].subject"],
    );
    let unknown = format!("{site}/residents/nobody");
    let twice = v1::Record {
        subjects: [&resident, &resident, &unknown]
            .map(|subject| v1::RecordSubject {
                subject: subject.clone(),
                outcome: v1::Outcome::Done.into(),
                answers: vec![format!("{site}/events/none")],
                ..Default::default()
            })
            .into(),
        ..visit(noon)
    };
    invalid(
        client.ask(keep(vec![twice])).await,
        &[
            "records[0].subjects[0].answers[0]",
            "records[0].subjects[1].subject",
            "records[0].subjects[2].subject",
            "records[0].subjects[2].answers[0]",
        ],
    );
    invalid(client.ask(keep(vec![visit(noon); 101])).await, &["records"]);
    invalid(
        client.ask(v1::RecordRoundRequest { parent: site.clone(), ..Default::default() }).await,
        &["kind", "occur_time", "subjects"],
    );
    invalid(
        client
            .ask(v1::RecordRoundRequest {
                parent: site.clone(),
                kind: v1::ServiceKind::Patrol.into(),
                occur_time: Some(at(noon)),
                subjects: vec![resident.clone()],
                ..Default::default()
            })
            .await,
        &["subjects[0]"],
    );
    invalid(
        client.ask(v1::CorrectRecordRequest { name: record.clone(), ..Default::default() }).await,
        &["correction", "reason"],
    );
    for satisfaction in [-1, 0, 6] {
        invalid(
            client
                .ask(v1::EvaluateRecordRequest {
                    name: record.clone(),
                    subject: resident.clone(),
                    satisfaction,
                    ..Default::default()
                })
                .await,
            &["satisfaction"],
        );
    }
    invalid(
        client
            .ask(v1::ConfirmSafetyRequest {
                name: resident.clone(),
                source: 9,
                occur_time: Some(at("2026-03-17T00:00:00+08:00")),
                ..Default::default()
            })
            .await,
        &["source"],
    );
    invalid(
        client
            .ask(v1::ListRecordsRequest {
                parent: site.clone(),
                subject: foreign.clone(),
                kind: 99,
                start_date: s("2026-03-16"),
                end_date: s("2026-03-15"),
                ..Default::default()
            })
            .await,
        &["kind", "end_date", "subject"],
    );

    // What is asked of them.
    invalid(
        client
            .ask(v1::ListObligationsRequest {
                parent: site.clone(),
                statuses: vec![0, 42],
                start_date: s("2026-03-16"),
                end_date: s("2026-03-15"),
                resident: foreign.clone(),
                standard: s("elder.visit"),
                ..Default::default()
            })
            .await,
        &["statuses[0]", "statuses[1]", "standard", "end_date", "resident"],
    );
    invalid(
        client
            .ask(v1::ListObligationsRequest {
                parent: site.clone(),
                start_date: s("2026-01-01"),
                end_date: s("2027-01-03"),
                ..Default::default()
            })
            .await,
        &["end_date"],
    );
    invalid(
        client
            .ask(v1::ListWorklistRequest {
                parent: format!("{site}/post/p1"),
                until_date: s("soon"),
                ..Default::default()
            })
            .await,
        &["parent", "until_date"],
    );
    invalid(
        client
            .ask(v1::GetComplianceReportRequest {
                parent: site.clone(),
                standards: vec![s("x")],
                ..Default::default()
            })
            .await,
        &["period", "standards[0]"],
    );
    for target in [None, Some(v1::advance_clock_request::Target::To(at("2026-03-16T09:00:00+08:00")))] {
        let request = v1::AdvanceClockRequest { target, ..Default::default() };
        refused(client.ask(request).await, "INVALID_FIELD");
    }

    // Not one row is new, but for the audit of what was looked at.
    let mut after = server.app.store.dump().await;
    let mut before = before;
    for dump in [&mut before, &mut after] {
        for table in ["audit_entry", "site_head"] {
            dump.remove(table);
        }
    }
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_tokens_belong_to_one_query_of_one_caller() {
    let server = Server::start().await;
    let client = server.client();
    for id in ["s1", "s2"] {
        let site = client.site(id).await;
        for room in ["101", "102", "103"] {
            client.dwelling(&site, room).await;
        }
    }
    let list = |parent: &str, building: &str, token: &str| v1::ListDwellingsRequest {
        parent: parent.to_owned(),
        building: building.to_owned(),
        page_size: 2,
        page_token: token.to_owned(),
    };
    let first = client.ask(list("sites/s1", "", "")).await.unwrap();
    let token = first.next_page_token;
    assert!(!token.is_empty() && first.dwellings.len() == 2);
    let second = client.ask(list("sites/s1", "", &token)).await.unwrap();
    assert!(second.next_page_token.is_empty() && second.dwellings.len() == 1);
    // Another page size is the same query.
    let sized = v1::ListDwellingsRequest { page_size: 200, ..list("sites/s1", "", &token) };
    assert_eq!(client.ask(sized).await.unwrap().dwellings, second.dwellings);

    let mut flipped = token.clone().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for request in [
        list("sites/s2", "", &token),
        list("sites/s1", "3", &token),
        list("sites/s1", "", "no token"),
        list("sites/s1", "", &token[..8]),
        list("sites/s1", "", &flipped),
        list("sites/s1", "", &"A".repeat(2_000)),
    ] {
        refused(client.ask(request).await, "PAGE_TOKEN_INVALID");
    }
    let areas =
        v1::ListAreasRequest { parent: "sites/s1".to_owned(), page_token: token, ..Default::default() };
    refused(client.ask(areas).await, "PAGE_TOKEN_INVALID");

    // There is one member in development; the token of somebody else is held at the function that binds it.
    let (wang, li) = (call("wang", v1_list_sites()), call("li", v1_list_sites()));
    let of_wang = Binding::new(&wang, &[b"q"]).token("cursor");
    assert_eq!(Binding::new(&wang, &[b"q"]).cursor(&of_wang).unwrap().as_deref(), Some("cursor"));
    assert!(Binding::new(&li, &[b"q"]).cursor(&of_wang).is_err());
    assert!(Binding::new(&wang, &[b"r"]).cursor(&of_wang).is_err());
}

fn v1_list_sites() -> &'static table::Method {
    table::find("linli.v1.SiteService/ListSites").unwrap()
}

/// A call of another leader than the development principal.
fn call(staff: &str, method: &'static table::Method) -> Call {
    Call {
        principal: Principal {
            staff: StaffId::new(staff).unwrap(),
            role: Some(Role::Leader),
            scope: Scope::Everywhere,
        },
        method,
        request_id: "r1".to_owned(),
        purpose: None,
        language: Language::En,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_gives_the_same_answer_also_after_a_restart() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let open = v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(elder(&dwelling, "庚辛")),
        request_id: request_id(7),
    };
    let visit =
        contact(&resident, v1::ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00", v1::Outcome::Done);
    let record =
        v1::RecordServiceRequest { parent: site.clone(), records: vec![visit], request_id: request_id(8) };
    let (opened, recorded) =
        (client.ask(open.clone()).await.unwrap(), client.ask(record.clone()).await.unwrap());
    assert_eq!(client.ask(open.clone()).await.unwrap(), opened);
    // What the answer says stays what it was, whatever happened since.
    let phone =
        v1::Resident { name: opened.name.clone(), phone: "13900000000".to_owned(), ..Default::default() };
    client
        .ask(v1::UpdateResidentRequest {
            resident: Some(phone),
            update_mask: mask(&["phone"]),
            ..Default::default()
        })
        .await
        .unwrap();

    let server = Server::on(server.stop().await).await;
    let client = server.client();
    assert_eq!(client.ask(open.clone()).await.unwrap(), opened);
    assert_eq!(client.ask(record.clone()).await.unwrap(), recorded);
    // An id in capitals is the same id; another method has ids of its own.
    let loud = v1::CreateResidentRequest { request_id: request_id(7).to_uppercase(), ..open.clone() };
    assert_eq!(client.ask(loud).await.unwrap(), opened);
    let list = v1::ListResidentsRequest { parent: site.clone(), ..Default::default() };
    assert_eq!(client.ask(list).await.unwrap().residents.len(), 2, "nothing was done twice");

    let other = v1::CreateResidentRequest { resident: Some(elder(&dwelling, "壬癸")), ..open };
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    let mut other = record;
    other.records[0].kind = v1::ServiceKind::PhoneCall.into();
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_principals_request_id_is_another_id() {
    let server = Server::start().await;
    let create = |staff: &'static str, id: &'static str| {
        let app = Arc::clone(&server.app);
        async move {
            let method = table::find("linli.v1.SiteService/CreateSite").unwrap();
            let new = linli_service::app::site::NewSite {
                id: Some(linli_core::id::SiteId::new(id).unwrap()),
                title: linli_core::text::Line::new("清河苑").unwrap(),
                zone: linli_core::time::SiteZone::SHANGHAI,
            };
            let encode = |site: &linli_core::site::Site| site.id.as_str().as_bytes().to_vec();
            // The hash of the request is the same for all: only the caller differs.
            let repeat = Repeat { id: Some(request_id(9)), hash: [7; 32], encode };
            match app.create_site(&call(staff, method), repeat, new).await.unwrap() {
                Answer::Fresh(site) => format!("new {}", site.id.as_str()),
                Answer::Repeated(bytes) => format!("kept {}", String::from_utf8(bytes).unwrap()),
            }
        }
    };
    assert_eq!(create("wang", "s1").await, "new s1");
    assert_eq!(create("li", "s2").await, "new s2");
    assert_eq!(create("wang", "s3").await, "kept s1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_another_site_are_not_found_and_etags_hold() {
    let server = Server::start().await;
    let client = server.client();
    let (_, dwelling, resident) = client.estate("s1").await;
    client.site("s2").await;
    let moved = |name: &str| name.replace("sites/s1", "sites/s2");
    refused(client.ask(v1::GetDwellingRequest { name: moved(&dwelling) }).await, "NOT_FOUND");
    refused(
        client.ask(v1::GetResidentRequest { name: moved(&resident), ..Default::default() }).await,
        "NOT_FOUND",
    );
    refused(client.ask(v1::GetStandingRequest { name: moved(&resident) }).await, "NOT_FOUND");

    let read =
        client.ask(v1::GetResidentRequest { name: resident.clone(), ..Default::default() }).await.unwrap();
    let update = |etag: &str, note: &str| v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: resident.clone(),
            etag: etag.to_owned(),
            family_note: note.to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["family_note"]),
        ..Default::default()
    };
    let first = client.ask(update(&read.etag, "一")).await.unwrap();
    assert_ne!(first.etag, read.etag);
    refused(client.ask(update(&read.etag, "二")).await, "ETAG_MISMATCH");
    assert_eq!(client.full(&resident).await.family_note, "一", "nothing was written");
    // Of several at once with the same etag exactly one wins.
    let texts: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let tries: Vec<_> = texts
        .iter()
        .map(|text| {
            let (client, request) = (client.clone(), update(&first.etag, text));
            tokio::spawn(async move { client.ask(request).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    client.ask(update("", "三")).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_refused_like_everything_else() {
    let server = Server::start().await;
    let client = server.client();
    for bytes in [vec![0xff; 64], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x0a, 0x02, 0xc3, 0x28]] {
        for path in ["linli.v1.SiteService/GetSite", "linli.v1.ResidentService/CreateResident"] {
            let status = client.bytes(path, bytes.clone()).await.unwrap_err();
            let refusal = Refusal::of(&status);
            assert!(
                matches!(refusal.code, Code::InvalidArgument | Code::Internal),
                "{path} {bytes:?}: {refusal:?}"
            );
            assert!(!refusal.request_id.is_empty());
        }
    }
    // The server goes on.
    client.ask(v1::ListSitesRequest::default()).await.unwrap();
    let unknown_field =
        [v1::ListSitesRequest::default().encode_to_vec(), vec![0xfa, 0x3f, 0x01, 0x61]].concat();
    client.bytes("linli.v1.SiteService/ListSites", unknown_field).await.unwrap();
}
