//! What a site promises instead of the catalogue: stricter freely, looser with a leader's approval and an end.

use linli_proto::v1::{self, PeriodUnit, ServiceKind, StandardOverrideState as State};
use tonic::Status;

use crate::harness::client::Client;
use crate::harness::estate::line;
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// So many times a week, on different days, until a day.
pub fn weekly(standard: &str, at_least: i32, end_date: &str) -> v1::StandardOverride {
    recurring(standard, at_least, PeriodUnit::Week, end_date)
}

/// Once a month, until a day: a proposal.
pub fn monthly(site: &str, standard: &str, end_date: &str) -> v1::OverrideStandardRequest {
    declare(site, recurring(standard, 1, PeriodUnit::Month, end_date))
}

fn recurring(standard: &str, at_least: i32, per: PeriodUnit, end_date: &str) -> v1::StandardOverride {
    let duty = v1::RecurringDuty { at_least, per: per.into(), distinct_days: true, every_days: 0 };
    v1::StandardOverride {
        standard: format!("standards/{standard}"),
        numbers: Some(numbers(v1::standard_numbers::Duty::Recurring(duty))),
        reason: "业主大会决定".to_owned(),
        end_date: end_date.to_owned(),
        ..Default::default()
    }
}

fn numbers(duty: v1::standard_numbers::Duty) -> v1::StandardNumbers {
    v1::StandardNumbers { duty: Some(duty), accepts: Vec::new() }
}

fn declare(site: &str, value: v1::StandardOverride) -> v1::OverrideStandardRequest {
    v1::OverrideStandardRequest {
        parent: site.to_owned(),
        standard_override: Some(value),
        ..Default::default()
    }
}

fn approve(value: &v1::StandardOverride) -> v1::ApproveOverrideRequest {
    v1::ApproveOverrideRequest { name: value.name.clone(), etag: value.etag.clone(), ..Default::default() }
}

fn retire(value: &v1::StandardOverride) -> v1::RetireOverrideRequest {
    v1::RetireOverrideRequest { name: value.name.clone(), etag: value.etag.clone(), ..Default::default() }
}

/// What was owed of a standard, week by week: `first-day status credited/required`.
async fn weeks(client: &Client, resident: &str, standard: &str, from: &str, to: &str) -> Vec<String> {
    let mut found = client.obligations(resident, from, to).await;
    found.retain(|owed| owed.standard == format!("standards/{standard}"));
    found.sort_by(|a, b| a.window_start_date.cmp(&b.window_start_date));
    let shown = found
        .iter()
        .map(|owed| format!("{} {}", owed.window_start_date, line(owed).split_once(' ').unwrap().1));
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stricter_standard_holds_from_the_next_window_on() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, _, elder) = client.estate("a").await;
        let (_, _, elsewhere) = client.estate("b").await;
        client.advance("2026-03-18T09:00:00+08:00").await;
        let asked = declare(&site, weekly("elder.visit", 2, ""));
        let made = client.ask(asked).await.unwrap();
        assert_eq!((made.state(), made.looser), (State::InForce, false));
        // The week that runs keeps the number that it began with; the answer says when the new one counts.
        assert_eq!((made.start_date.as_str(), made.take_effect_date.as_str()), ("2026-03-18", "2026-03-23"));
        assert!(made.approver.is_empty() && made.proposer.starts_with("staff/"), "{made:?}");
        assert_eq!(
            weeks(&client, &elder, "elder.visit", "2026-03-16", "2026-03-29").await,
            ["2026-03-16 open 0/1", "2026-03-23 upcoming 0/2"]
        );
        let other = weeks(&client, &elsewhere, "elder.visit", "2026-03-16", "2026-03-29").await;
        assert_eq!(other, ["2026-03-16 open 0/1", "2026-03-23 upcoming 0/1"], "another site");
        // Taken back, it counts until the week in which it was taken back is over.
        client.advance("2026-03-25T09:00:00+08:00").await;
        let gone = client.ask(retire(&made)).await.unwrap();
        assert_eq!(gone.state(), State::Retired);
        assert_eq!(
            weeks(&client, &elder, "elder.visit", "2026-03-16", "2026-04-05").await,
            ["2026-03-16 missed 0/1", "2026-03-23 open 0/2", "2026-03-30 upcoming 0/1"]
        );
        refused(client.ask(retire(&gone)).await, "PROPOSAL_STATE");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looser_standard_needs_another_leader_and_shows_in_every_report() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let all = server.client();
    let (site, _, elder) = all.estate("a").await;
    let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["a"])]).await;
    let deputy = enter("lin", v1::StaffRole::Deputy).await;
    let (leader, other) =
        (enter("wang", v1::StaffRole::Leader).await, enter("zhao", v1::StaffRole::Leader).await);
    let steward = enter("chen", v1::StaffRole::Member).await;

    refused(steward.ask(declare(&site, weekly("elder.call", 3, ""))).await, "PERMISSION_DENIED");
    let call = |end_date: &str| declare(&site, weekly("elder.call", 1, end_date));
    invalid(deputy.ask(call("")).await, &["standard_override.end_date"]);
    let asked = deputy.ask(call("2026-04-05")).await.unwrap();
    assert_eq!((asked.state(), asked.looser), (State::Proposed, true));
    assert_eq!((asked.proposer.as_str(), asked.take_effect_date.as_str()), ("staff/lin", "2026-03-16"));
    refused(deputy.ask(approve(&asked)).await, "PERMISSION_DENIED");
    // Nothing holds before the approval.
    let range = ("2026-03-16", "2026-04-12");
    let owed = async || weeks(&all, &elder, "elder.call", range.0, range.1).await;
    assert_eq!(owed().await[0], "2026-03-16 open 0/2");
    all.advance("2026-03-17T09:00:00+08:00").await;
    let approved = leader.ask(approve(&asked)).await.unwrap();
    assert_eq!((approved.state(), approved.approver.as_str()), (State::InForce, "staff/wang"));
    assert_eq!(approved.take_effect_date, "2026-03-23");
    refused(other.ask(approve(&asked)).await, "ETAG_MISMATCH");
    refused(other.ask(approve(&approved)).await, "PROPOSAL_STATE");
    assert_eq!(
        owed().await,
        [
            "2026-03-16 open 0/2",
            "2026-03-23 upcoming 0/1",
            "2026-03-30 upcoming 0/1",
            "2026-04-06 upcoming 0/2"
        ]
    );
    // Who asks for it does not approve it, whatever their role.
    let own = leader.ask(call("2026-05-31")).await.unwrap();
    refused(leader.ask(approve(&own)).await, "FOUR_EYES");
    other.ask(retire(&own)).await.unwrap();

    // Every report says so.
    all.advance("2026-03-24T09:00:00+08:00").await;
    all.done(&elder, ServiceKind::PhoneCall, "2026-03-24T08:00:00+08:00").await;
    let report = v1::GetComplianceReportRequest {
        parent: site.clone(),
        period: PeriodUnit::Week.into(),
        start_date: "2026-03-09".to_owned(),
        end_date: "2026-03-24".to_owned(),
        standards: vec!["standards/elder.call".to_owned(), "standards/elder.visit".to_owned()],
        ..Default::default()
    };
    let rows = steward.ask(report).await.unwrap().rows;
    let of = |standard: &str, from: &str| {
        rows.iter()
            .find(|row| row.standard == format!("standards/{standard}") && row.period_start_date == from)
            .unwrap_or_else(|| panic!("{standard} {from} in {rows:?}"))
    };
    let loosened = of("elder.call", "2026-03-23");
    assert_eq!((loosened.loosened, loosened.numerator, loosened.denominator), (true, 1, 1));
    assert_eq!(loosened.overrides, [approved.name.as_str()]);
    let strict = of("elder.visit", "2026-03-23");
    assert_eq!((strict.loosened, strict.overrides.len()), (false, 0));
    let standing = steward.ask(v1::GetStandingRequest { name: elder.clone() }).await.unwrap();
    let of = |code: &str| {
        let name = format!("standards/{code}");
        standing.standards.iter().find(|standard| standard.standard == name).unwrap()
    };
    assert_eq!((of("elder.call").loosened, of("elder.visit").loosened), (true, false));
    assert_eq!(of("elder.call").overrides, [approved.name.as_str()]);
    assert_eq!(line(&of("elder.call").obligations[0]), "elder.call met 1/1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_stricter_standard_binds_under_a_loosening() {
    let (data, second) = crate::harness::story::staged(Data::sqlite());
    let server = Server::on(data).await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let second = enter_second(&client, &second).await;
    let once = client.ask(declare(&site, weekly("elder.call", 1, "2026-04-12"))).await.unwrap();
    let once = second.ask(approve(&once)).await.unwrap();
    client.advance("2026-03-19T09:00:00+08:00").await;
    // As many as the catalogue asks for, and no more.
    let mut twice = weekly("elder.call", 2, "");
    twice.start_date = "2026-03-30".to_owned();
    let twice = client.ask(declare(&site, twice)).await.unwrap();
    assert_eq!((twice.looser, twice.state()), (false, State::Planned));
    assert_eq!(twice.take_effect_date, "2026-03-30");
    assert_eq!(
        weeks(&client, &elder, "elder.call", "2026-03-16", "2026-04-19").await,
        [
            "2026-03-16 open 0/1",
            "2026-03-23 upcoming 0/1",
            "2026-03-30 upcoming 0/2",
            "2026-04-06 upcoming 0/2",
            "2026-04-13 upcoming 0/2"
        ]
    );
    // History, in order and by condition.
    let list = |standard: &str, state: State, page_size: i32| {
        let request = v1::ListOverridesRequest {
            parent: site.clone(),
            standard: standard.to_owned(),
            state: state.into(),
            page_size,
            ..Default::default()
        };
        let client = client.clone();
        async move {
            let mut request = request;
            let mut names = Vec::new();
            loop {
                let page = client.ask(request.clone()).await.unwrap();
                names.extend(page.overrides.into_iter().map(|value| value.name));
                if page.next_page_token.is_empty() {
                    break names;
                }
                request.page_token = page.next_page_token;
            }
        }
    };
    let both = [once.name.clone(), twice.name.clone()];
    assert_eq!(list("", State::Unspecified, 0).await, both);
    assert_eq!(list("standards/elder.call", State::Unspecified, 1).await, both);
    assert_eq!(list("", State::Planned, 0).await, both[1..]);
    assert_eq!(list("standards/elder.visit", State::Unspecified, 0).await, [""; 0]);
    client.advance("2026-04-13T00:00:00+08:00").await;
    assert_eq!(list("", State::Ended, 0).await, both[..1]);
    server.stop().await;
}

/// The second leader, entered.
pub async fn enter_second(client: &Client, token: &str) -> Client {
    let staff = v1::Staff {
        display_name: "组长".to_owned(),
        grants: vec![grant(v1::StaffRole::Leader, &["-"])],
        credentials: vec![crate::harness::issuer::by_token("second")],
        ..Default::default()
    };
    let request =
        v1::CreateStaffRequest { staff: Some(staff), staff_id: "second".to_owned(), ..Default::default() };
    client.ask(request).await.unwrap();
    client.token(token)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_window_is_prorated_at_the_change() {
    let (data, second) = crate::harness::story::staged(Data::sqlite());
    let server = Server::on(data).await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let second = enter_second(&client, &second).await;
    // Twice a week is not comparable with eight a month: looser, whatever the number.
    let mut monthly = recurring("elder.call", 8, PeriodUnit::Month, "2026-05-31");
    monthly.start_date = "2026-04-01".to_owned();
    let asked = client.ask(declare(&site, monthly)).await.unwrap();
    assert!(asked.looser);
    let approved = second.ask(approve(&asked)).await.unwrap();
    // A Wednesday: both windows are cut there.
    assert_eq!(approved.take_effect_date, "2026-04-01");
    assert_eq!(
        weeks(&client, &elder, "elder.call", "2026-03-23", "2026-06-07").await,
        [
            "2026-03-23 upcoming 0/2",
            "2026-03-30 upcoming 0/1",
            "2026-04-01 upcoming 0/8",
            "2026-05-01 upcoming 0/8",
            "2026-06-01 upcoming 0/2"
        ]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_promised_is_refused_field_by_field() {
    use v1::standard_numbers::Duty;
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let check = async |value: v1::StandardOverride, fields: &[&str]| {
        let fields: Vec<String> = fields.iter().map(|field| format!("standard_override.{field}")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        invalid(client.ask(declare(&site, value)).await, &fields);
    };
    let nothing = ["standard", "numbers", "reason"];
    check(v1::StandardOverride::default(), &nothing).await;
    let with = |numbers: Option<v1::StandardNumbers>| v1::StandardOverride {
        numbers,
        ..weekly("elder.call", 3, "")
    };
    check(with(Some(v1::StandardNumbers::default())), &["numbers.duty"]).await;
    let of = |duty: v1::RecurringDuty| with(Some(numbers(Duty::Recurring(duty))));
    let week = PeriodUnit::Week.into();
    let zero = v1::RecurringDuty { at_least: 0, per: 9, every_days: 3, distinct_days: false };
    let recurring = ["numbers.recurring.at_least", "numbers.recurring.every_days", "numbers.recurring.per"];
    check(of(zero), &recurring).await;
    let days = v1::RecurringDuty { at_least: 101, per: PeriodUnit::EveryDays.into(), ..Default::default() };
    check(of(days), &["numbers.recurring.at_least", "numbers.recurring.every_days"]).await;
    let event = v1::TriggeredDuty { within: 10_001, ..Default::default() };
    let triggered = ["numbers.triggered.on", "numbers.triggered.within", "numbers.triggered.unit"];
    check(with(Some(numbers(Duty::Triggered(event)))), &triggered).await;
    let season = v1::SeasonalDuty { occasion: "X".to_owned(), lead_days: -1, tail_days: 61 };
    let seasonal = ["numbers.seasonal.occasion", "numbers.seasonal.lead_days", "numbers.seasonal.tail_days"];
    check(with(Some(numbers(Duty::Seasonal(season)))), &seasonal).await;
    // Of another kind than the standard.
    let within = v1::TriggeredDuty {
        on: v1::EventKind::Discharged.into(),
        within: 1,
        unit: v1::WithinUnit::Days.into(),
        any_match: true,
    };
    check(with(Some(numbers(Duty::Triggered(within)))), &["numbers.duty"]).await;
    let mut kinds = with(Some(numbers(Duty::Recurring(v1::RecurringDuty {
        at_least: 3,
        per: week,
        ..Default::default()
    }))));
    if let Some(numbers) = &mut kinds.numbers {
        numbers.accepts = vec![99, ServiceKind::VideoCall.into()];
    }
    check(kinds, &["numbers.accepts[0]"]).await;
    check(v1::StandardOverride { standard: "standards/no.such".into(), ..with(None) }, &["numbers"]).await;
    check(weekly("no.such", 3, ""), &["standard"]).await;
    check(weekly("elder.call", 3, "2026-03-15"), &["end_date"]).await;
    check(weekly("elder.call", 1, "2027-03-18"), &["end_date"]).await;
    check(weekly("elder.call", 1, "x"), &["end_date"]).await;
    let past = v1::StandardOverride { start_date: "2026-03-15".into(), ..weekly("elder.call", 3, "") };
    check(past, &["start_date"]).await;

    let nowhere: Result<_, Status> = client.ask(declare("sites/none", weekly("elder.call", 3, ""))).await;
    refused(nowhere, "NOT_FOUND");
    let name = format!("{site}/overrides/none");
    let absent = v1::RetireOverrideRequest { name, ..Default::default() };
    refused(client.ask(absent).await, "NOT_FOUND");
    server.stop().await;
}

/// Fewer kinds earn credit: a video call no longer does.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_accept_less() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let mut only_phone = weekly("elder.call", 2, "");
    if let Some(numbers) = &mut only_phone.numbers {
        if let Some(v1::standard_numbers::Duty::Recurring(duty)) = &mut numbers.duty {
            duty.distinct_days = true;
        }
        numbers.accepts = vec![ServiceKind::PhoneCall.into()];
    }
    let made = client.ask(declare(&site, only_phone)).await.unwrap();
    assert_eq!((made.looser, made.take_effect_date.as_str()), (false, "2026-03-16"));
    client.done(&elder, ServiceKind::VideoCall, "2026-03-16T08:00:00+08:00").await;
    client.done(&elder, ServiceKind::PhoneCall, "2026-03-16T08:30:00+08:00").await;
    assert_eq!(client.calls_and_visits(&elder).await[0], "elder.call open 1/2");
    server.stop().await;
}
