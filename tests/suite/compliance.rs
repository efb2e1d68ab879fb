//! Reports: numerator, denominator and excused, per standard and period.

use linli_proto::v1::{self, PeriodUnit, ServiceKind};
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::estate::shown;
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn report(site: &str, period: PeriodUnit) -> v1::GetComplianceReportRequest {
    v1::GetComplianceReportRequest { parent: site.to_owned(), period: period.into(), ..Default::default() }
}

/// `standard first-day numerator/denominator excused pending rate` of the wanted standards.
async fn figures(client: &Client, request: v1::GetComplianceReportRequest) -> Vec<String> {
    let report = client.ask(request).await.unwrap();
    report
        .rows
        .iter()
        .map(|row| {
            let standard = row.standard.trim_start_matches("standards/");
            let rate = row.rate_percent.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
            format!(
                "{standard} {} {}/{} {} {} {rate}",
                row.period_start_date, row.numerator, row.denominator, row.excused, row.pending
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_of_an_estate() {
    two_weeks(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        two_weeks(data).await;
    }
}

async fn two_weeks(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let site = client.site("a").await;
    let mut elders = Vec::new();
    for (room, name) in [("501", "秦安然"), ("502", "陶静好"), ("503", "谢知秋")] {
        let dwelling = client.dwelling(&site, room).await;
        elders.push(client.resident(crate::harness::estate::elder(&dwelling, name)).await.name);
    }
    client.advance("2026-03-20T12:00:00+08:00").await;
    // The first gets everything, the second one call of two, the third is in hospital.
    for (elder, kind, time) in [
        (&elders[0], ServiceKind::HomeVisit, "2026-03-17T09:00:00+08:00"),
        (&elders[0], ServiceKind::PhoneCall, "2026-03-18T09:00:00+08:00"),
        (&elders[0], ServiceKind::PhoneCall, "2026-03-19T09:00:00+08:00"),
        (&elders[1], ServiceKind::PhoneCall, "2026-03-18T09:00:00+08:00"),
        (&elders[1], ServiceKind::PhoneCall, "2026-03-18T18:00:00+08:00"),
    ] {
        client.done(elder, kind, time).await;
    }
    let request = || v1::GetComplianceReportRequest {
        standards: vec!["standards/elder.visit".into(), "standards/elder.call".into()],
        ..report(&site, PeriodUnit::Week)
    };
    assert_eq!(
        figures(&client, request()).await,
        ["elder.call 2026-03-16 1/3 0 2 33.3", "elder.visit 2026-03-16 1/3 0 2 33.3"]
    );
    let hospital = v1::PauseRequest {
        parent: elders[2].clone(),
        pause: Some(v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: "2026-03-15".into(),
            expected_return_date: "2026-03-30".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.ask(hospital).await.unwrap();
    client.advance("2026-03-24T12:00:00+08:00").await;
    let both = v1::GetComplianceReportRequest {
        start_date: "2026-03-18".into(),
        end_date: "2026-03-24".into(),
        ..request()
    };
    assert_eq!(
        figures(&client, both).await,
        [
            "elder.call 2026-03-16 1/2 1 0 50.0",
            "elder.visit 2026-03-16 1/2 1 0 50.0",
            "elder.call 2026-03-23 0/2 1 2 0.0",
            "elder.visit 2026-03-23 0/2 1 2 0.0",
        ]
    );

    // The same over all standards: every row belongs to a period and adds up.
    let all = client.ask(report(&site, PeriodUnit::Year)).await.unwrap();
    assert_eq!((all.site.as_str(), all.period()), (site.as_str(), PeriodUnit::Year));
    assert_eq!(shown(all.as_of_time.as_ref()), "2026-03-24T12:00");
    for row in &all.rows {
        assert_eq!(
            (row.period_start_date.as_str(), row.period_end_date.as_str()),
            ("2026-01-01", "2026-12-31")
        );
        assert_eq!(row.denominator, row.numerator + row.met_late + row.missed + row.pending, "{row:?}");
        assert!(row.title.is_some() && row.department != 0);
    }
    let codes: Vec<&str> = all.rows.iter().map(|row| row.standard.as_str()).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    // Duties towards dwellings are in it: all three want their yearly survey.
    let survey = all.rows.iter().find(|row| row.standard == "standards/survey.full").unwrap();
    assert_eq!((survey.denominator, survey.pending), (3, 3));
    let finance = v1::GetComplianceReportRequest {
        department: v1::Department::Finance.into(),
        ..report(&site, PeriodUnit::Quarter)
    };
    assert_eq!(figures(&client, finance).await, ["fund.publish 2026-01-01 0/1 0 1 0.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reported_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    for period in [PeriodUnit::Unspecified, PeriodUnit::Day, PeriodUnit::EveryDays] {
        invalid(client.ask(report(&site, period)).await, &["period"]);
    }
    let wrong = v1::GetComplianceReportRequest {
        parent: "sites/-".into(),
        period: 44,
        start_date: "16.3.2026".into(),
        department: 9,
        standards: vec!["elder.visit".into()],
        ..Default::default()
    };
    invalid(client.ask(wrong).await, &["parent", "period", "start_date", "department", "standards[0]"]);
    let unknown = v1::GetComplianceReportRequest {
        standards: vec!["standards/elder.visit".into(), "standards/no.such".into()],
        ..report(&site, PeriodUnit::Week)
    };
    invalid(client.ask(unknown).await, &["standards[1]"]);
    for (start, end) in [("2026-03-16", "2026-03-15"), ("2025-01-01", "2026-03-15")] {
        let range = v1::GetComplianceReportRequest {
            start_date: start.into(),
            end_date: end.into(),
            ..report(&site, PeriodUnit::Week)
        };
        invalid(client.ask(range).await, &["end_date"]);
    }
    let nowhere = refused(client.ask(report("sites/nowhere", PeriodUnit::Week)).await, "NOT_FOUND");
    assert_eq!(nowhere.code, Code::NotFound);
}

/// A post of a department for some buildings; none: the whole site.
async fn post(client: &Client, site: &str, id: &str, department: v1::Department, buildings: &[&str]) {
    let post = v1::Post {
        display_name: id.to_owned(),
        department: department.into(),
        buildings: buildings.iter().map(|&building| building.to_owned()).collect(),
        ..Default::default()
    };
    let request = v1::CreatePostRequest {
        parent: site.to_owned(),
        post: Some(post),
        post_id: id.to_owned(),
        ..Default::default()
    };
    client.ask(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_broken_down_by_group_tier_and_post() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    post(&client, &site, "near", v1::Department::CustomerService, &["3"]).await;
    post(&client, &site, "far", v1::Department::CustomerService, &["9"]).await;
    post(&client, &site, "guards", v1::Department::Security, &[]).await;
    let mut elders = Vec::new();
    for (room, name) in [("501", "秦安然"), ("502", "陶静好")] {
        let dwelling = client.dwelling(&site, room).await;
        elders.push(client.resident(crate::harness::estate::elder(&dwelling, name)).await.name);
    }
    // The third is of advanced age and lives with somebody.
    let dwelling = client.dwelling(&site, "503").await;
    let with_family =
        v1::Resident { facts: Vec::new(), ..crate::harness::estate::elder(&dwelling, "谢知秋") };
    client.resident(with_family).await;
    client.advance("2026-03-20T12:00:00+08:00").await;
    client.done(&elders[0], ServiceKind::HomeVisit, "2026-03-17T09:00:00+08:00").await;

    let rows = async |breakdown: v1::ComplianceBreakdown| -> Vec<String> {
        let request = v1::GetComplianceReportRequest {
            standards: vec!["standards/elder.visit".into()],
            breakdown: breakdown.into(),
            ..report(&site, PeriodUnit::Week)
        };
        let shown = |row: v1::ComplianceRow| {
            let of = [&row.care_group, &row.post].map(|name| name.rsplit('/').next().unwrap().to_owned());
            let tier = row.tier().as_str_name().trim_start_matches("TIER_").to_lowercase();
            let tier = tier.trim_start_matches("unspecified").to_owned();
            format!("{}{}{tier} {}/{}", of[0], of[1], row.numerator, row.denominator)
        };
        client.ask(request).await.unwrap().rows.into_iter().map(shown).collect()
    };
    use v1::ComplianceBreakdown::{Group, Post, Tier, Unspecified};
    assert_eq!(rows(Unspecified).await, [" 1/3"]);
    assert_eq!(rows(Group).await, ["advanced_age 1/3", "empty_nest 1/2", "living_alone 1/2"]);
    let tiers = rows(Tier).await;
    let sum = |at: usize| -> u32 {
        let numbers = tiers.iter().map(|row| row.rsplit(' ').next().unwrap().split('/').nth(at).unwrap());
        numbers.map(|number| number.parse::<u32>().unwrap()).sum()
    };
    assert_eq!((sum(0), sum(1)), (1, 3), "every resident has one tier: {tiers:?}");
    assert_eq!(rows(Post).await, ["near 1/3"]);

    // What the posts had to do: one visit serves the weekly and the monthly duty, and is one contact.
    let request = v1::GetWorkloadRequest {
        parent: site.clone(),
        period: PeriodUnit::Month.into(),
        department: v1::Department::CustomerService.into(),
        ..Default::default()
    };
    let work = client.ask(request).await.unwrap().rows;
    let near = work.iter().find(|row| row.display_name == "near").unwrap();
    assert_eq!((near.post.as_str(), near.contacts), ("sites/a/posts/near", 1));
    assert_eq!(
        (near.period_start_date.as_str(), near.period_end_date.as_str()),
        ("2026-03-01", "2026-03-31")
    );
    assert!(near.required > near.wanting && near.wanting > 0, "{near:?}");
    assert!(work.iter().all(|row| row.display_name != "far"), "nobody lives in building 9: {work:?}");
    assert!(work.iter().all(|row| row.department() == v1::Department::CustomerService));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_visit_rate_of_a_month_gives_nobody_away_when_it_is_published() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let rate = async |published: bool| {
        let request = v1::GetVisitRateRequest { parent: site.clone(), published, ..Default::default() };
        client.ask(request).await.unwrap()
    };
    let mut elders = Vec::new();
    for number in 1..=4 {
        let dwelling = client.dwelling(&site, &format!("50{number}")).await;
        let name = ["秦安然", "陶静好", "谢知秋", "方既明"][number - 1];
        elders.push(client.resident(crate::harness::estate::elder(&dwelling, name)).await.name);
    }
    client.advance("2026-03-20T12:00:00+08:00").await;
    client.done(&elders[0], ServiceKind::HomeVisit, "2026-03-17T09:00:00+08:00").await;
    client.done(&elders[1], ServiceKind::VideoCall, "2026-03-17T10:00:00+08:00").await;
    let full = rate(false).await;
    assert_eq!((full.residents, full.visited, full.away), (Some(4), Some(2), Some(0)));
    assert_eq!((full.rate_percent, full.withheld, full.closed), (Some(50.0), false, false));
    assert_eq!((full.start_date.as_str(), full.end_date.as_str()), ("2026-03-01", "2026-03-31"));
    let few = rate(true).await;
    assert!(few.withheld && few.rate_percent.is_none() && few.residents_at_least.is_none(), "{few:?}");
    for room in ["601", "602"] {
        let dwelling = client.dwelling(&site, room).await;
        client.resident(crate::harness::estate::elder(&dwelling, &format!("林{room}"))).await;
    }
    let shown = rate(true).await;
    assert_eq!((shown.residents_at_least, shown.rate_percent, shown.withheld), (Some(5), Some(33.0), false));
    assert_eq!((shown.residents, shown.visited, shown.away), (None, None, None));
}
