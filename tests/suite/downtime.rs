//! Nothing fires at a deadline: a server that stood still for two weeks owes exactly what one that ran owes.

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{contact, elder};
use crate::harness::server::Server;

/// Three people: one cared for, one away, one who is not reached. Returns their names.
async fn first_week(client: &Client) -> Vec<String> {
    let site = client.site("s1").await;
    let mut residents = Vec::new();
    for (room, name) in [("501", "秦安然"), ("502", "华静好"), ("503", "严如玉")] {
        let dwelling = client.dwelling(&site, room).await;
        residents.push(client.resident(elder(&dwelling, name)).await.name);
    }
    for time in ["2026-03-16T08:00:00+08:00", "2026-03-16T08:30:00+08:00"] {
        client.done(&residents[0], v1::ServiceKind::PhoneCall, time).await;
    }
    client.done(&residents[0], v1::ServiceKind::HomeVisit, "2026-03-16T08:45:00+08:00").await;
    let away = v1::Pause {
        reason: v1::PauseReason::WithFamily.into(),
        leave_date: "2026-03-15".to_owned(),
        expected_return_date: "2026-03-24".to_owned(),
        ..Default::default()
    };
    client
        .ask(v1::PauseRequest { parent: residents[1].clone(), pause: Some(away), ..Default::default() })
        .await
        .unwrap();
    let missed = contact(
        &residents[2],
        v1::ServiceKind::HomeVisit,
        "2026-03-16T08:50:00+08:00",
        v1::Outcome::NotReached,
    );
    client.record(missed).await;
    client
        .ask(v1::ReportChangeRequest {
            name: residents[2].clone(),
            kind: v1::ChangeKind::Contact.into(),
            ..Default::default()
        })
        .await
        .unwrap();
    residents
}

/// Everything about four weeks, without what ids of another run say differently.
async fn owed(client: &Client, residents: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, resident) in residents.iter().enumerate() {
        for obligation in client.obligations(resident, "2026-03-09", "2026-04-12").await {
            lines.push(format!(
                "{at} {} {:?} {}/{} {}..{} due {:?} {:?} days {}/{}/{} next {:?} flags {:?}",
                obligation.standard,
                obligation.status(),
                obligation.credited,
                obligation.required,
                obligation.window_start_date,
                obligation.window_end_date,
                obligation.due_time.map(|t| t.seconds),
                obligation.credited_records.len(),
                obligation.active_days,
                obligation.eligible_days,
                obligation.window_days,
                obligation.next_change_time.map(|t| t.seconds),
                obligation.flags,
            ));
        }
    }
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_of_standstill_change_nothing_that_is_owed() {
    const LATER: &str = "2026-03-30T09:00:00+08:00";
    // One server runs and is asked every day; the other is stopped and comes back two weeks later.
    let running = Server::start().await;
    let of_running = first_week(&running.client()).await;
    let standing = Server::start().await;
    let of_standing = first_week(&standing.client()).await;
    let at_first = owed(&running.client(), &of_running).await;
    assert_eq!(at_first, owed(&standing.client(), &of_standing).await);
    let data = standing.stop().await;

    for day in 17..=29 {
        running.client().advance(&format!("2026-03-{day}T07:00:00+08:00")).await;
        let found = owed(&running.client(), &of_running).await;
        assert_ne!(found, at_first, "something changes every day, or nothing would be shown");
    }
    running.client().advance(LATER).await;
    let back = Server::on(data.at(LATER)).await;
    let (expected, found) =
        (owed(&running.client(), &of_running).await, owed(&back.client(), &of_standing).await);
    assert!(expected.len() > 30, "{}", expected.len());
    assert_eq!(expected, found);
    for status in ["Missed", "Met", "Excused", "Open"] {
        assert!(found.iter().any(|line| line.contains(status)), "{status} occurs: {found:#?}");
    }
    // And what is done from then on counts the same.
    for (client, residents) in [(running.client(), &of_running), (back.client(), &of_standing)] {
        client.done(&residents[0], v1::ServiceKind::HomeVisit, "2026-03-30T08:00:00+08:00").await;
    }
    assert_eq!(owed(&running.client(), &of_running).await, owed(&back.client(), &of_standing).await);
    running.stop().await;
    back.stop().await;
}
