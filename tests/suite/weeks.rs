//! Whole and broken weeks: what the regulation's weekly numbers come to when somebody enrols late, is in hospital
//! or moves out.

use linli_proto::v1::{self, Outcome, ServiceKind};

use crate::harness::client::Client;
use crate::harness::estate::contact;
use crate::harness::server::{Data, Server};

/// The weekly duties of the present week, `standard credited/required`.
async fn weekly(client: &Client, resident: &str) -> Vec<String> {
    let found = client.obligations(resident, "", "").await;
    let weekly =
        found.iter().filter(|o| o.standard.ends_with("elder.call") || o.standard.ends_with("elder.visit"));
    let shown = |o: &v1::Obligation| {
        format!("{} {}/{}", o.standard.trim_start_matches("standards/"), o.credited, o.required)
    };
    weekly.map(shown).collect()
}

async fn pause(client: &Client, resident: &str, leave: &str, back: &str) {
    let pause = v1::Pause {
        reason: v1::PauseReason::Hospital.into(),
        leave_date: leave.to_owned(),
        expected_return_date: back.to_owned(),
        ..Default::default()
    };
    let request = v1::PauseRequest { parent: resident.to_owned(), pause: Some(pause), ..Default::default() };
    client.ask(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_enrols_late_in_a_week_is_owed_a_part_of_it() {
    for (start, expect) in [
        ("2026-03-16T09:00:00+08:00", ["elder.call 0/2", "elder.visit 0/1"].as_slice()),
        ("2026-03-17T09:00:00+08:00", ["elder.call 0/2", "elder.visit 0/1"].as_slice()),
        // Thursday: four days of seven are more than half a visit and more than one call.
        ("2026-03-19T09:00:00+08:00", ["elder.call 0/1", "elder.visit 0/1"].as_slice()),
        // Friday: three days are less than half a visit and still a call.
        ("2026-03-20T09:00:00+08:00", ["elder.call 0/1"].as_slice()),
        ("2026-03-22T09:00:00+08:00", [].as_slice()),
    ] {
        let server = Server::on(Data::sqlite().at(start)).await;
        let client = server.client();
        let (_, _, elder) = client.estate("a").await;
        assert_eq!(weekly(&client, &elder).await, expect, "{start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_in_hospital_takes_its_days_and_care_during_it_still_counts() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    // Wednesday and Thursday are paused; the days of leaving and of return are not.
    pause(&client, &elder, "2026-03-17", "2026-03-20").await;
    assert_eq!(weekly(&client, &elder).await, ["elder.call 0/1", "elder.visit 0/1"]);
    client.advance("2026-03-19T12:00:00+08:00").await;
    client.record(contact(&elder, ServiceKind::HomeVisit, "2026-03-18T10:00:00+08:00", Outcome::Done)).await;
    assert_eq!(weekly(&client, &elder).await, ["elder.call 0/1", "elder.visit 1/1"]);
    // Nobody came back on Friday: duties run, and somebody has to ask.
    client.advance("2026-03-20T12:00:00+08:00").await;
    let owed = client.owed(&elder).await;
    let check: Vec<_> = owed.iter().filter(|line| line.starts_with("pause.check")).collect();
    assert!(check.len() == 1 && check[0].ends_with(" 0/1"), "{owed:?}");
    client.record(contact(&elder, ServiceKind::PhoneCall, "2026-03-20T11:00:00+08:00", Outcome::Done)).await;
    let owed = client.owed(&elder).await;
    assert!(owed.contains(&"pause.check met 1/1".to_owned()), "{owed:?}");
    assert_eq!(weekly(&client, &elder).await, ["elder.call 1/1", "elder.visit 1/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_out_in_the_middle_of_a_week_is_owed_the_part_before() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    client.advance("2026-03-19T12:00:00+08:00").await;
    let moved_out = v1::RecordMoveOutRequest {
        name: elder.clone(),
        move_out_date: "2026-03-18".into(),
        ..Default::default()
    };
    client.ask(moved_out).await.unwrap();
    assert_eq!(weekly(&client, &elder).await, ["elder.call 0/1"]);
    client.done(&elder, ServiceKind::PhoneCall, "2026-03-18T10:00:00+08:00").await;
    assert_eq!(weekly(&client, &elder).await, ["elder.call 1/1"]);
    client.advance("2026-03-24T12:00:00+08:00").await;
    assert_eq!(weekly(&client, &elder).await, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_runs_across_new_year() {
    let server = Server::on(Data::sqlite().at("2025-12-29T09:00:00+08:00")).await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    client.advance("2026-01-03T12:00:00+08:00").await;
    client.done(&elder, ServiceKind::PhoneCall, "2025-12-31T23:59:00+08:00").await;
    client.done(&elder, ServiceKind::PhoneCall, "2026-01-01T00:01:00+08:00").await;
    client.done(&elder, ServiceKind::HomeVisit, "2026-01-02T10:00:00+08:00").await;
    let found = client.obligations(&elder, "2026-01-01", "2026-01-01").await;
    let visit = found.iter().find(|o| o.standard == "standards/elder.visit").unwrap();
    assert_eq!(
        (visit.window_start_date.as_str(), visit.window_end_date.as_str()),
        ("2025-12-29", "2026-01-04")
    );
    assert_eq!(weekly(&client, &elder).await, ["elder.call 2/2", "elder.visit 1/1"]);
}
