//! Every error reason, produced by a call, in both languages.

use std::collections::BTreeSet;

use linli_core::time::Clock as _;
use linli_proto::v1;
use linli_service::grpc::status;
use linli_service::time::SystemClock;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::client::Client;
use crate::harness::estate::{elder, identity_number, mask, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Child, Data, EXCHANGE, Server, UNREACHABLE};
use crate::harness::{Refusal, refused, until};
use crate::plugin_upgrade::Build;

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
    let eager = client.purposeful();
    for _ in 0..linli_service::app::reveal::REVEALS_MAX {
        eager.ask(full.clone()).await.unwrap();
    }
    produced.note("REVEAL_LIMIT", Code::ResourceExhausted, true, both!(eager, full.clone()));
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

    let twin = v1::Resident { full_name: "秦 安然".to_owned(), ..elder(&dwelling, "") };
    let twin = v1::CreateResidentRequest { parent: site.clone(), resident: Some(twin), ..Default::default() };
    produced.note("POSSIBLE_DUPLICATE", Code::AlreadyExists, false, both!(client, twin.clone()));

    let part = v1::UnmergeResidentsRequest {
        name: resident.clone(),
        reason: "两人".to_owned(),
        ..Default::default()
    };
    produced.note("MERGE_STATE", Code::FailedPrecondition, false, both!(client, part.clone()));

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
    let asked = v1::Request {
        kind: v1::RequestKind::Repair.into(),
        subject: resident.clone(),
        description: "水管漏水".to_owned(),
        ..Default::default()
    };
    let asked = v1::SubmitRequestRequest { parent: site.clone(), request: Some(asked), ..Default::default() };
    let early =
        v1::CompleteRequestRequest { name: client.ask(asked).await.unwrap().name, ..Default::default() };
    produced.note("REQUEST_STATE", Code::FailedPrecondition, false, both!(client, early.clone()));
    let ramp = v1::Facility {
        kind: v1::FacilityKind::Ramp.into(),
        display_name: "坡道".to_owned(),
        ..Default::default()
    };
    let ramp = v1::CreateFacilityRequest { parent: site.clone(), facility: Some(ramp), ..Default::default() };
    let mut ramp = client.ask(ramp).await.unwrap();
    ramp.retire_date = "2026-03-16".to_owned();
    let name = ramp.name.clone();
    let retire = v1::UpdateFacilityRequest {
        facility: Some(ramp),
        update_mask: mask(&["retire_date"]),
        ..Default::default()
    };
    client.ask(retire).await.unwrap();
    let defect = v1::ReportDefectRequest { name, description: "开裂".to_owned(), ..Default::default() };
    produced.note("FACILITY_STATE", Code::FailedPrecondition, false, both!(client, defect.clone()));
    let plan = crate::activity::planning(&site, v1::ActivityKind::Event, "", "2026-03-16");
    let early = crate::activity::attending(&client.ask(plan).await.unwrap().name, &[&resident], "");
    produced.note("ACTIVITY_STATE", Code::FailedPrecondition, false, both!(client, early.clone()));
    let survey = v1::Survey {
        kind: v1::SurveyKind::Full.into(),
        display_name: "年度摸排".to_owned(),
        start_date: "2026-03-16".to_owned(),
        end_date: "2026-03-31".to_owned(),
        ..Default::default()
    };
    let survey = v1::OpenSurveyRequest { parent: site.clone(), survey: Some(survey), ..Default::default() };
    let close = v1::CloseSurveyRequest { name: client.ask(survey).await.unwrap().name, ..Default::default() };
    client.ask(close.clone()).await.unwrap();
    produced.note("SURVEY_STATE", Code::FailedPrecondition, false, both!(client, close.clone()));
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
    let entered = v1::Staff { display_name: "林".to_owned(), ..Default::default() };
    client
        .ask(v1::CreateStaffRequest {
            staff: Some(entered),
            staff_id: "lin".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let active = v1::ReactivateStaffRequest { name: "staff/lin".to_owned(), ..Default::default() };
    produced.note("STAFF_STATE", Code::FailedPrecondition, false, both!(client, active.clone()));
    let weekly = |at_least| v1::OverrideStandardRequest {
        parent: site.clone(),
        standard_override: Some(crate::standard_override::weekly("elder.visit", at_least, "2026-06-30")),
        ..Default::default()
    };
    let looser = client.ask(crate::standard_override::monthly(&site, "elder.visit", "2026-06-30")).await;
    let own = v1::ApproveOverrideRequest { name: looser.unwrap().name, ..Default::default() };
    produced.note("FOUR_EYES", Code::FailedPrecondition, false, both!(client, own.clone()));
    let stricter = client.ask(weekly(2)).await.unwrap().name;
    let needless = v1::ApproveOverrideRequest { name: stricter, ..Default::default() };
    produced.note("PROPOSAL_STATE", Code::FailedPrecondition, false, both!(client, needless.clone()));
    let take = v1::GrantEmergencyAccessRequest {
        resident: resident.clone(),
        reason: "门内有呼救声".to_owned(),
        ..Default::default()
    };
    client.ask(take.clone()).await.unwrap();
    produced.note("EMERGENCY_ACCESS_STATE", Code::FailedPrecondition, false, both!(client, take.clone()));
    let early = v1::ClosePeriodRequest { name: format!("{site}/periods/2026-03"), ..Default::default() };
    produced.note("PERIOD_STATE", Code::FailedPrecondition, false, both!(client, early.clone()));
    let (no, yes) = (crate::consent::refused_by, crate::consent::given_by);
    client.ask(no(&resident, v1::ConsentSignatory::Resident)).await.unwrap();
    let too_soon = yes(&resident, v1::ConsentSignatory::Resident);
    produced.note("CONSENT_STATE", Code::FailedPrecondition, false, both!(client, too_soon.clone()));
    let give = crate::consent::give(&resident, v1::DisclosureBasis::Consent, &[v1::FieldClass::Contact]);
    let over = crate::referral::revoked(&client, &resident).await;
    let again = v1::RevokeReferralRequest { name: over, ..Default::default() };
    produced.note("REFERRAL_STATE", Code::FailedPrecondition, false, both!(client, again.clone()));
    produced.note("DISCLOSURE_REFUSED", Code::FailedPrecondition, false, both!(client, give.clone()));
    bodies_that_cannot_be_asked(&mut produced, &server, &site).await;
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
    let staying = client.resident(elder(&dwelling, "丙丁")).await.name;
    client.advance("2035-03-14T09:00:00+08:00").await;
    let ahead = v1::ListObligationsRequest { parent: site.clone(), ..Default::default() };
    produced.note("CALENDAR_YEAR_MISSING", Code::FailedPrecondition, false, both!(client, ahead.clone()));
    let missing = refused(client.ask(ahead).await, "CALENDAR_YEAR_MISSING");
    assert_eq!(missing.metadata, [("year".to_owned(), "2035".to_owned())]);

    let large = v1::GetSiteRequest { name: "x".repeat(2 * 1024 * 1024) };
    produced.note("MESSAGE_TOO_LARGE", Code::OutOfRange, false, both!(client, large.clone()));

    // A damaged cell is a defect: the caller learns the request id, the log the rest.
    server.app.store.tamper("UPDATE resident_cell SET cell = x'0102' WHERE class = 'contact'").await;
    let masked = v1::GetResidentRequest { name: staying, ..Default::default() };
    produced.note("INTERNAL", Code::Internal, false, both!(client, masked.clone()));
    server.app.store.close().await;
    produced.note("STORE_UNAVAILABLE", Code::Unavailable, true, both!(client, again.clone()));

    money(&mut produced).await;
    clocks_queues_and_deadlines(&mut produced).await;
    late_and_slow_readers(&mut produced).await;
    a_plugin_that_is_not_there(&mut produced).await;

    without_its_root_key(&mut produced).await;
    elsewhere(&mut produced).await;

    let reasons = (1..1_000).filter_map(|number| v1::ErrorReason::try_from(number).ok());
    let all: BTreeSet<String> = reasons.map(|reason| status::reason_name(reason).to_owned()).collect();
    assert_eq!(produced.0, all, "reasons without a call that produces them");
}

async fn bodies_that_cannot_be_asked(produced: &mut Produced, server: &Server, site: &str) {
    let client = server.client();
    for (id, channel) in [("paper", ""), ("away", UNREACHABLE), ("hall", EXCHANGE)] {
        let body = v1::CommunityBody { channel: channel.to_owned(), ..crate::community_body::station() };
        crate::community_body::enter(&client, id, body).await;
    }
    let pull = |body: &str| v1::PullRosterRequest {
        parent: site.to_owned(),
        body: format!("bodies/{body}"),
        ..Default::default()
    };
    produced.note("BODY_STATE", Code::FailedPrecondition, false, both!(client, pull("paper")));
    produced.note("BODY_UNREACHABLE", Code::Unavailable, true, both!(client, pull("away")));
    // A name of which no connector can ask.
    std::fs::write(server.data.folder().join("exchange/in/roster-名单.csv"), "姓名\n").unwrap();
    produced.note("BODY_REFUSED", Code::FailedPrecondition, false, both!(client, pull("hall")));
}

async fn money(produced: &mut Produced) {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let leader = server.client();
    let site = leader.site("s1").await;
    let steward = issuer.enter(&server, "steward", vec![grant(v1::StaffRole::Member, &["s1"])]).await;
    let line = v1::BudgetLine {
        line: "gifts".to_owned(),
        display_name: "节日慰问".to_owned(),
        purpose: v1::FundPurpose::Festival.into(),
        budget_fen: 99,
        ..Default::default()
    };
    let open = v1::OpenFundYearRequest { parent: site, year: 2026, lines: vec![line], ..Default::default() };
    let fund = leader.ask(open).await.unwrap().name;
    let request = v1::RequestSpendingRequest {
        parent: fund,
        spending: Some(v1::Spending {
            line: "gifts".to_owned(),
            display_name: "慰问品".to_owned(),
            amount_fen: 100,
            ..Default::default()
        }),
        ..Default::default()
    };
    let approve = |name: &str| v1::ApproveSpendingRequest { name: name.to_owned(), ..Default::default() };
    let other = steward.ask(request).await.unwrap().name;
    produced.note("BUDGET_EXCEEDED", Code::FailedPrecondition, false, both!(leader, approve(&other)));
    let pay = v1::RecordDisbursementRequest { name: other, voucher: "1".to_owned(), ..Default::default() };
    produced.note("SPENDING_STATE", Code::FailedPrecondition, false, both!(leader, pay.clone()));
    server.stop().await;
}

async fn clocks_queues_and_deadlines(produced: &mut Produced) {
    let server = Server::on(Data::sqlite().at("")).await;
    let advance = v1::AdvanceClockRequest {
        target: Some(v1::advance_clock_request::Target::By(prost_types::Duration { seconds: 1, nanos: 0 })),
        ..Default::default()
    };
    let refusals = both!(server.client(), advance.clone());
    produced.note("CLOCK_NOT_SIMULATED", Code::FailedPrecondition, false, refusals);
    let rotate = v1::RotateKeysRequest { replace_root_key: true, ..Default::default() };
    let refusals = both!(server.client(), rotate.clone());
    produced.note("KEY_ROTATION_STATE", Code::FailedPrecondition, false, refusals);
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

/// A reader who was away for longer than events are kept, and one who does not read what they are told.
async fn late_and_slow_readers(produced: &mut Produced) {
    let server = Server::on(Data::sqlite().with("events.slow_after_s = 1")).await;
    let client = server.client();
    let (site, _, _) = client.estate("s1").await;
    let list = v1::ListEventsRequest { parent: site.clone(), page_size: 1, ..Default::default() };
    let cursor = client.ask(list.clone()).await.unwrap().cursor;
    let store = &server.app.store;
    store.tamper("DELETE FROM outbox_event WHERE site = 's1' AND seq <= 2").await;
    let late = both!(client, v1::ListEventsRequest { page_token: cursor.clone(), ..list.clone() });
    produced.note("EVENTS_GONE", Code::OutOfRange, false, late);

    // More than the window of a client holds.
    let changes = crate::change_event::telling(store, SystemClock.now(), &vec![site.clone(); 5_000]).await;
    store.commit("test", changes).await.unwrap();
    let mut streams = Vec::new();
    for language in ["en", "zh"] {
        let client = Client::narrow(&server.address).token(server.member_token());
        let request = v1::WatchRequest { parent: site.clone(), ..Default::default() };
        streams.push(client.with("accept-language", language).events(request).await.unwrap());
    }
    let watchers = |count: u32| server.metrics().contains(&format!("linli_event_watchers {count}\n"));
    assert!(watchers(2));
    until("a server that gives slow readers up", || watchers(0).then_some(()));
    let mut refusals = Vec::new();
    for stream in &mut streams {
        refusals.push(loop {
            match stream.message().await {
                Ok(answer) => assert!(answer.is_some(), "all was told to who did not read"),
                Err(status) => break status,
            }
        });
    }
    let chinese = refusals.pop().unwrap();
    produced.note("WATCHER_SLOW", Code::Aborted, false, (refusals.pop().unwrap(), chinese));
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

    let load = |name: &str, digest: &str| v1::LoadPluginRequest {
        name: name.to_owned(),
        digest: digest.to_owned(),
        ..Default::default()
    };
    let other = "0".repeat(64);
    let refusals = both!(client, load("plugins/cn.example.absent", &other));
    produced.note("PLUGIN_REFUSED", Code::FailedPrecondition, false, refusals);
    let refusals = both!(client, load("plugins/cn.linli.elderly", &other));
    produced.note("PLUGIN_CHANGED", Code::Aborted, false, refusals);
    server.stop().await;

    let data = Data::installed();
    let server = Server::on(data.clone()).await;
    let client = server.client();
    Build::bundled("elderly").version("0.2.0", "80", "1").put(&data);
    let name = "plugins/cn.linli.elderly";
    let seen = client.ask(v1::PreviewPluginRequest { name: name.to_owned(), ..Default::default() });
    let digest = seen.await.unwrap().candidate.unwrap().digest;
    let refusals = both!(client, load(name, &digest));
    produced.note("PLUGIN_DROPS_DUTIES", Code::FailedPrecondition, false, refusals);
    server.stop().await;
}

async fn elsewhere(produced: &mut Produced) {
    let Some(data) = Data::postgres().await else {
        // Said aloud, and a failure in CI.
        produced.0.insert("BACKUP_ELSEWHERE".to_owned());
        return;
    };
    let server = Server::on(data).await;
    let refusals = both!(server.client(), v1::BackupRequest::default());
    produced.note("BACKUP_ELSEWHERE", Code::FailedPrecondition, false, refusals);
    server.stop().await;
}

async fn without_its_root_key(produced: &mut Produced) {
    let data = Server::start().await.stop().await;
    std::fs::remove_file(data.root_key()).unwrap();
    let server = Child::start(data);
    let refusals = both!(server.client(), v1::ListSitesRequest::default());
    produced.note("SERVER_SEALED", Code::Unavailable, false, refusals);
    server.stop();
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
