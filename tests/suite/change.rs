//! Reported changes: the file is due within 24 hours, and whoever is late is seen to be (mission A7.2); the quarterly
//! review of every file.

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{line, shown};
use crate::harness::server::{Data, Server};

/// Where a resident stands with one standard: `line due met late-entry`, of every obligation of it.
async fn standing(client: &Client, resident: &str, code: &str) -> Vec<String> {
    let standing = client.ask(v1::GetStandingRequest { name: resident.to_owned() }).await.unwrap();
    let of = |standing: &v1::StandardStanding| standing.standard == format!("standards/{code}");
    let found = standing.standards.into_iter().filter(of).flat_map(|standing| standing.obligations);
    found.map(|owed| format!("{} due {}", line(&owed), shown(owed.due_time.as_ref()))).collect()
}

/// `numerator/denominator late missed pending` of `file.update` in the week of the report.
async fn reported(client: &Client, site: &str) -> String {
    let request = v1::GetComplianceReportRequest {
        parent: site.to_owned(),
        period: v1::PeriodUnit::Week.into(),
        start_date: "2026-03-16".to_owned(),
        end_date: "2026-03-22".to_owned(),
        ..Default::default()
    };
    let report = client.ask(request).await.unwrap();
    let row = report.rows.iter().find(|row| row.standard == "standards/file.update").expect("a row");
    format!(
        "{}/{} late {} missed {} pending {}",
        row.numerator, row.denominator, row.met_late, row.missed, row.pending
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_change_is_measured_against_its_24_hours() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, _, resident) = client.estate("s1").await;
        let report = async || {
            let request = v1::ReportChangeRequest {
                name: resident.clone(),
                kind: v1::ChangeKind::Contact.into(),
                ..Default::default()
            };
            client.ask(request).await.unwrap().name
        };
        let apply = async |event: &str| {
            let request = v1::ApplyChangeRequest {
                resident: Some(v1::Resident { name: resident.clone(), ..Default::default() }),
                answers: vec![event.to_owned()],
                ..Default::default()
            };
            client.ask(request).await.unwrap()
        };
        // In time, to the minute.
        let first = report().await;
        let due = "file.update open 0/1 due 2026-03-17T09:00";
        assert_eq!(standing(&client, &resident, "file.update").await, [due]);
        assert_eq!(reported(&client, &site).await, "0/1 late 0 missed 0 pending 1");
        client.advance("2026-03-17T09:00:00+08:00").await;
        apply(&first).await;
        assert_eq!(reported(&client, &site).await, "1/1 late 0 missed 0 pending 0");

        // Late: missed while nobody answers, late once somebody does, and for good.
        let second = report().await;
        client.advance("2026-03-18T09:01:00+08:00").await;
        let missed = "file.update missed 0/1 due 2026-03-18T09:00";
        assert_eq!(standing(&client, &resident, "file.update").await, [missed]);
        assert_eq!(reported(&client, &site).await, "1/2 late 0 missed 1 pending 0");
        client.advance("2026-03-18T15:30:00+08:00").await;
        apply(&second).await;
        assert_eq!(
            standing(&client, &resident, "file.update").await,
            ["file.update met_late 1/1 due 2026-03-18T09:00"]
        );
        assert_eq!(reported(&client, &site).await, "1/2 late 1 missed 0 pending 0");
        let owed = client.obligations(&resident, "2026-03-16", "2026-03-22").await;
        let late: Vec<_> = owed.iter().filter(|owed| line(owed) == "file.update met_late 1/1").collect();
        assert_eq!(late.len(), 1);
        client.advance("2026-06-01T09:00:00+08:00").await;
        assert_eq!(reported(&client, &site).await, "1/2 late 1 missed 0 pending 0");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_says_how_its_quarterly_review_stands() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let due = "due 2026-03-31T23:59";
    assert_eq!(
        standing(&client, &resident, "survey.review").await,
        [format!("survey.review at_risk 0/1 {due}")]
    );
    client.done(&resident, v1::ServiceKind::Review, "2026-03-16T08:30:00+08:00").await;
    assert_eq!(standing(&client, &resident, "survey.review").await, [format!("survey.review met 1/1 {due}")]);
    client.advance("2026-04-01T09:00:00+08:00").await;
    let next = "survey.review open 0/1 due 2026-06-30T23:59";
    assert_eq!(standing(&client, &resident, "survey.review").await, [next]);
    server.stop().await;
}
