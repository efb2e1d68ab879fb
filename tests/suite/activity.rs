//! Activities: planned for an occasion, held, attended, paid for by the fund.

use linli_proto::v1;
use linli_proto::v1::{ActivityKind, ActivityState};

use crate::harness::client::Client;
use crate::harness::estate::{at, elder, line, mask, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// An activity of some day, planned.
pub fn planning(site: &str, kind: ActivityKind, occasion: &str, date: &str) -> v1::PlanActivityRequest {
    let activity = v1::Activity {
        kind: kind.into(),
        display_name: "重阳节慰问".to_owned(),
        occasion: occasion.to_owned(),
        date: date.to_owned(),
        ..Default::default()
    };
    v1::PlanActivityRequest { parent: site.to_owned(), activity: Some(activity), ..Default::default() }
}

/// Says that an activity is being held.
pub fn holding(name: &str, time: &str) -> v1::HoldActivityRequest {
    v1::HoldActivityRequest {
        name: name.to_owned(),
        hold_time: (!time.is_empty()).then(|| at(time)),
        ..Default::default()
    }
}

/// Says who came.
pub fn attending(name: &str, residents: &[&str], time: &str) -> v1::RecordAttendanceRequest {
    v1::RecordAttendanceRequest {
        name: name.to_owned(),
        residents: residents.iter().map(|&resident| resident.to_owned()).collect(),
        occur_time: (!time.is_empty()).then(|| at(time)),
        ..Default::default()
    }
}

async fn get(client: &Client, name: &str) -> v1::Activity {
    client.ask(v1::GetActivityRequest { name: name.to_owned() }).await.unwrap()
}

/// How the visit for Double Ninth stands.
async fn greeted(client: &Client, resident: &str) -> Vec<String> {
    let found = client.obligations(resident, "2026-10-12", "2026-10-18").await;
    let greetings = found.iter().filter(|owed| owed.standard == "standards/festival.visit.double_ninth");
    greetings.map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_attends_is_greeted_and_what_was_recorded_in_error_is_not() {
    attended(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        attended(data).await;
    }
}

async fn attended(data: Data) {
    let server = Server::on(data.at("2026-10-12T09:00:00+08:00")).await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let tao = client.resident(elder(&home, "陶静好")).await.name;
    let planned = client.ask(planning(&site, ActivityKind::Visit, "double_ninth", "2026-10-15")).await;
    let planned = planned.unwrap();
    assert_eq!(planned.state(), ActivityState::Planned);
    assert_eq!(
        [&planned.occasion_date, &planned.season_start_date, &planned.season_end_date],
        ["2026-10-18", "2026-10-11", "2026-10-18"]
    );
    let name = planned.name.clone();
    // Nobody attends what was not held.
    refused(client.ask(attending(&name, &[&qin], "")).await, "ACTIVITY_STATE");
    client.advance("2026-10-16T18:00:00+08:00").await;
    invalid(client.ask(holding(&name, "2026-10-17T09:00:00+08:00")).await, &["hold_time"]);
    let held = client.ask(holding(&name, "2026-10-15T09:00:00+08:00")).await.unwrap();
    assert_eq!(held.state(), ActivityState::Held);
    refused(client.ask(holding(&name, "")).await, "ACTIVITY_STATE");

    assert_eq!(greeted(&client, &qin).await, ["festival.visit.double_ninth at_risk 0/1"]);
    let mut first = attending(&name, &[&qin, &tao], "");
    first.staff = vec!["staff/wu".to_owned(), "staff/lin".to_owned()];
    first.request_id = request_id(1);
    let one = client.ask(first.clone()).await.unwrap();
    assert_eq!(client.ask(first).await.unwrap(), one, "the same again");
    client.ask(attending(&name, &[&tao], "2026-10-16T10:00:00+08:00")).await.unwrap();
    for resident in [&qin, &tao] {
        assert!(greeted(&client, resident).await[0].contains(" met "), "{resident}");
    }
    let record = client.ask(v1::GetRecordRequest { name: one.record.clone(), ..Default::default() }).await;
    let record = record.unwrap();
    assert_eq!((record.kind(), record.performer.as_str()), (v1::ServiceKind::FestivalVisit, "staff/wu"));
    let seen = get(&client, &name).await;
    assert_eq!((seen.resident_count, seen.staff_count), (2, 2), "each once");

    // The record is corrected, and with it the attendance and the greeting.
    let withdraw = v1::CorrectRecordRequest {
        name: one.record,
        correction: Some(v1::correct_record_request::Correction::Withdraw(true)),
        reason: "误录".to_owned(),
        ..Default::default()
    };
    client.ask(withdraw).await.unwrap();
    assert_eq!(greeted(&client, &qin).await, ["festival.visit.double_ninth at_risk 0/1"]);
    assert_eq!(get(&client, &name).await.resident_count, 1);
    let mut list = v1::ListAttendancesRequest { parent: name, page_size: 1, ..Default::default() };
    let mut residents = Vec::new();
    loop {
        let page = client.ask(list.clone()).await.unwrap();
        residents.extend(page.attendances.iter().map(|attendance| attendance.residents.len()));
        if page.next_page_token.is_empty() {
            break;
        }
        list.page_token = page.next_page_token;
    }
    assert_eq!(residents, [0, 1]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_activity_costs_is_what_the_fund_paid_for_it() {
    let issuer = Issuer::new();
    let server = Server::on(issuer.trusted(Data::sqlite())).await;
    let leader = server.client();
    let site = leader.site("a").await;
    let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["a"])]).await;
    let steward = enter("steward", v1::StaffRole::Member).await;
    let finance = enter("finance", v1::StaffRole::Finance).await;
    let budget_line = v1::BudgetLine {
        line: "gifts".to_owned(),
        display_name: "节日慰问".to_owned(),
        purpose: v1::FundPurpose::Festival.into(),
        budget_fen: 100_000,
        ..Default::default()
    };
    let open = v1::OpenFundYearRequest {
        parent: site.clone(),
        year: 2026,
        lines: vec![budget_line],
        ..Default::default()
    };
    let fund = leader.ask(open).await.unwrap().name;
    let mut plan = planning(&site, ActivityKind::Event, "", "2026-03-20");
    plan.activity.as_mut().unwrap().budget_fen = 50_000;
    let name = steward.ask(plan.clone()).await.unwrap().name;
    let other = steward.ask(plan).await.unwrap().name;
    let spend = async |about: &str, amount_fen| {
        let spending = v1::Spending {
            line: "gifts".to_owned(),
            display_name: "茶点".to_owned(),
            amount_fen,
            about: about.to_owned(),
            people_count: 20,
            ..Default::default()
        };
        let request = v1::RequestSpendingRequest {
            parent: fund.clone(),
            spending: Some(spending),
            ..Default::default()
        };
        steward.ask(request).await
    };
    let approve = async |name: &str| {
        leader.ask(v1::ApproveSpendingRequest { name: name.to_owned(), ..Default::default() }).await.unwrap()
    };
    let tea = spend(&name, 20_000).await.unwrap().name;
    let hall = spend(&name, 10_000).await.unwrap().name;
    spend(&name, 7_000).await.unwrap();
    approve(&spend(&other, 3_000).await.unwrap().name).await;
    let cost = async |name: &str| {
        let seen = get(&finance, name).await;
        (seen.budget_fen, seen.approved_fen, seen.paid_fen)
    };
    assert_eq!(cost(&name).await, (50_000, 0, 0), "what is asked for costs nothing yet");
    approve(&tea).await;
    approve(&hall).await;
    assert_eq!(cost(&name).await, (50_000, 30_000, 0));
    let pay = v1::RecordDisbursementRequest {
        name: tea,
        amount_fen: 18_500,
        voucher: "2026-031".to_owned(),
        ..Default::default()
    };
    finance.ask(pay).await.unwrap();
    assert_eq!(cost(&name).await, (50_000, 10_000, 18_500));
    let list = v1::ListActivitiesRequest { parent: site.clone(), ..Default::default() };
    let listed = finance.ask(list).await.unwrap().activities;
    let listed: Vec<i64> = listed.iter().map(|activity| activity.paid_fen).collect();
    assert_eq!(listed, [18_500, 0]);
    // No money for what is not there, or will not be held.
    invalid(spend(&format!("{site}/activities/none"), 10).await, &["spending.about"]);
    let cancel = v1::CancelActivityRequest {
        name: other.clone(),
        reason: "场地停电".to_owned(),
        ..Default::default()
    };
    assert_eq!(steward.ask(cancel.clone()).await.unwrap().cancel_reason, "场地停电");
    refused(steward.ask(cancel).await, "ACTIVITY_STATE");
    invalid(spend(&other, 10).await, &["spending.about"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_until_it_is_held() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, qin) = client.estate("a").await;
    let moved = v1::Resident { move_in_date: "2026-03-16".to_owned(), ..elder(&home, "丙丁") };
    let moved = client.resident(moved).await.name;
    let nothing = v1::PlanActivityRequest { parent: site.clone(), ..Default::default() };
    let fields = ["kind", "display_name", "date"].map(|field| format!("activity.{field}"));
    invalid(client.ask(nothing).await, &fields.each_ref().map(String::as_str));
    let mut wrong = planning(&site, ActivityKind::Event, "doomsday", "2026-02-30");
    let activity = wrong.activity.as_mut().unwrap();
    activity.budget_fen = -1;
    activity.care_groups = ["living_alone", "living_alone"].map(|code| format!("careGroups/{code}")).to_vec();
    let fields =
        ["occasion", "date", "budget_fen", "care_groups[1]"].map(|field| format!("activity.{field}"));
    invalid(client.ask(wrong).await, &fields.each_ref().map(String::as_str));
    let mut unknown = planning(&site, ActivityKind::Event, "", "2026-06-01");
    unknown.activity.as_mut().unwrap().care_groups = vec!["careGroups/nobody".to_owned()];
    invalid(client.ask(unknown.clone()).await, &["activity.care_groups[0]"]);

    let plan = client.ask(planning(&site, ActivityKind::Event, "", "2026-06-03")).await.unwrap();
    assert_eq!(plan.occasion_date, "");
    let change = v1::Activity {
        name: plan.name.clone(),
        etag: plan.etag.clone(),
        occasion: "childrens_day".to_owned(),
        date: "2026-06-01".to_owned(),
        place: "会所".to_owned(),
        care_groups: vec!["careGroups/child_in_difficulty".to_owned()],
        ..Default::default()
    };
    let update = |paths: &[&str]| v1::UpdateActivityRequest {
        activity: Some(change.clone()),
        update_mask: mask(paths),
        ..Default::default()
    };
    invalid(client.ask(update(&["kind"])).await, &["update_mask.paths[0]"]);
    let updated = client.ask(update(&["occasion", "date", "place", "care_groups"])).await.unwrap();
    assert_eq!((updated.place.as_str(), updated.occasion_date.as_str()), ("会所", "2026-06-01"));
    assert_eq!((updated.care_groups.len(), updated.display_name), (1, plan.display_name));
    refused(client.ask(update(&["place"])).await, "ETAG_MISMATCH");
    let find = |occasion: &str, state: ActivityState| v1::ListActivitiesRequest {
        parent: site.clone(),
        occasion: occasion.to_owned(),
        state: state.into(),
        kind: ActivityKind::Event.into(),
        ..Default::default()
    };
    let count =
        async |request: v1::ListActivitiesRequest| client.ask(request).await.unwrap().activities.len();
    assert_eq!(count(find("childrens_day", ActivityState::Planned)).await, 1);
    assert_eq!(count(find("army_day", ActivityState::Unspecified)).await, 0);

    client.advance("2026-03-17T09:00:00+08:00").await;
    client.ask(holding(&plan.name, "2026-03-15T09:00:00+08:00")).await.unwrap();
    refused(
        client
            .ask(v1::UpdateActivityRequest {
                activity: Some(v1::Activity { etag: String::new(), ..change.clone() }),
                ..update(&["place"])
            })
            .await,
        "ACTIVITY_STATE",
    );
    // Whoever had not moved in was not there.
    let nobody = format!("{site}/residents/nobody");
    let came = attending(&plan.name, &[&qin, &moved, &nobody, &qin], "");
    invalid(client.ask(came).await, &["residents[3]"]);
    let came = attending(&plan.name, &[&qin, &moved, &nobody], "");
    invalid(client.ask(came).await, &["residents[1]", "residents[2]"]);
    let early = attending(&plan.name, &[&qin], "2026-03-14T09:00:00+08:00");
    invalid(client.ask(early).await, &["occur_time"]);
    let late = attending(&plan.name, &[&qin], "2026-03-17T09:00:01+08:00");
    invalid(client.ask(late).await, &["occur_time"]);
    invalid(client.ask(attending(&plan.name, &[], "")).await, &["residents"]);
    client.ask(attending(&plan.name, &[&qin], "")).await.unwrap();
    refused(
        client.ask(v1::GetActivityRequest { name: format!("{site}/activities/none") }).await,
        "NOT_FOUND",
    );
    server.stop().await;
}
