//! Closing months and quarters: what was published stands, and what became known afterwards is a correction.

use linli_proto::v1::{self, PeriodUnit, ReportPeriodState as State, ServiceKind, StaffRole};
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::estate::{elder, request_id, shown};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn close(period: &str) -> v1::ClosePeriodRequest {
    v1::ClosePeriodRequest { name: format!("sites/a/periods/{period}"), ..Default::default() }
}

async fn state(client: &Client, period: &str) -> State {
    let request = v1::GetPeriodRequest { name: format!("sites/a/periods/{period}") };
    client.ask(request).await.unwrap().state()
}

/// `standard group closed → now: causes`, of the wanted standards.
async fn corrections(client: &Client, period: &str, standards: &[&str]) -> Vec<String> {
    let mut request = v1::ListCorrectionsRequest {
        parent: format!("sites/a/periods/{period}"),
        page_size: 3,
        ..Default::default()
    };
    let mut lines = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        for correction in page.corrections {
            let standard = correction.standard.trim_start_matches("standards/");
            assert!(correction.title.is_some() && correction.further_causes_count == 0);
            if standards.contains(&standard) {
                let group = correction.care_group.trim_start_matches("careGroups/");
                let short = |figures: Option<v1::ComplianceFigures>| {
                    let figures = figures.unwrap();
                    format!("{}/{}-{}", figures.numerator, figures.denominator, figures.excused)
                };
                let causes = correction.causes.join(" ");
                let (closed, now) = (short(correction.closed), short(correction.current));
                lines.push(format!("{standard} {group} {closed} {now} {causes}"));
            }
        }
        if page.next_page_token.is_empty() {
            return lines;
        }
        request.page_token = page.next_page_token;
    }
}

fn month(breakdown: v1::ComplianceBreakdown) -> v1::GetComplianceReportRequest {
    v1::GetComplianceReportRequest {
        parent: "sites/a".to_owned(),
        period: PeriodUnit::Month.into(),
        start_date: "2026-03-31".to_owned(),
        breakdown: breakdown.into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_stands_and_what_came_later_is_a_correction() {
    stands(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        stands(data).await;
    }
}

#[allow(clippy::too_many_lines, reason = "one story")]
async fn stands(data: Data) {
    let issuer = Issuer::new();
    let server = Server::on(issuer.trusted(data)).await;
    let client = server.client();
    let site = client.site("a").await;
    let deputy = issuer.enter(&server, "deputy", vec![grant(StaffRole::Deputy, &["a"])]).await;
    let member = issuer.enter(&server, "member", vec![grant(StaffRole::Member, &["a"])]).await;
    let mut elders = Vec::new();
    for (room, name) in [("501", "秦安然"), ("502", "陶静好")] {
        let dwelling = client.dwelling(&site, room).await;
        elders.push(client.resident(elder(&dwelling, name)).await.name);
    }
    // The first week: everything for the first, nothing for the second. The second week: nothing for either.
    client.advance("2026-03-20T12:00:00+08:00").await;
    client.done(&elders[0], ServiceKind::HomeVisit, "2026-03-17T09:00:00+08:00").await;
    client.done(&elders[0], ServiceKind::PhoneCall, "2026-03-18T09:00:00+08:00").await;
    let call = client.done(&elders[0], ServiceKind::PhoneCall, "2026-03-19T09:00:00+08:00").await;

    // Neither before the end, nor as long as records may be entered in time.
    assert_eq!(state(&member, "2026-03").await, State::Open);
    refused(deputy.ask(close("2026-03")).await, "PERIOD_STATE");
    client.advance("2026-04-01T23:59:00+08:00").await;
    let early = refused(deputy.ask(close("2026-03")).await, "PERIOD_STATE");
    assert_eq!(early.code, Code::FailedPrecondition);
    client.advance("2026-04-02T09:00:00+08:00").await;
    assert_eq!(state(&member, "2026-03").await, State::Closable);
    let open = v1::ListCorrectionsRequest { parent: close("2026-03").name, ..Default::default() };
    refused(member.ask(open).await, "PERIOD_STATE");
    let whole = client.ask(month(v1::ComplianceBreakdown::Unspecified)).await.unwrap();
    let groups = client.ask(month(v1::ComplianceBreakdown::Group)).await.unwrap();

    // Deputies close, once; a repetition of the same call is no second time.
    refused(member.ask(close("2026-03")).await, "PERMISSION_DENIED");
    let once = v1::ClosePeriodRequest { request_id: request_id(7), ..close("2026-03") };
    let closed = deputy.ask(once.clone()).await.unwrap();
    assert_eq!((closed.state(), closed.closer.as_str()), (State::Closed, "staff/deputy"));
    assert_eq!((closed.start_date.as_str(), closed.end_date.as_str()), ("2026-03-01", "2026-03-31"));
    assert_eq!(shown(closed.close_time.as_ref()), "2026-04-02T09:00");
    assert_eq!(shown(closed.closable_time.as_ref()), "2026-04-02T00:00");
    assert_eq!(deputy.ask(once).await.unwrap(), closed);
    refused(deputy.ask(close("2026-03")).await, "PERIOD_STATE");
    assert_eq!(state(&member, "2026-03").await, State::Closed);
    assert_eq!(corrections(&member, "2026-03", &["elder.visit", "elder.call"]).await, [""; 0]);

    // A visit of the first week is entered late, and a call taken back.
    client.advance("2026-04-02T10:00:00+08:00").await;
    let late = client.done(&elders[1], ServiceKind::HomeVisit, "2026-03-18T15:00:00+08:00").await;
    let withdraw = v1::CorrectRecordRequest {
        name: call.name.clone(),
        correction: Some(v1::correct_record_request::Correction::Withdraw(true)),
        reason: "重复录入".to_owned(),
        ..Default::default()
    };
    client.ask(withdraw).await.unwrap();
    let (late, call) = (&late.name, &call.name);
    let expected = |from: &str, to: &str, standard: &str, cause: &str| -> Vec<String> {
        let groups = ["", "advanced_age", "empty_nest", "living_alone"];
        groups.iter().map(|group| format!("{standard} {group} {from} {to} {cause}")).collect()
    };
    assert_eq!(
        corrections(&member, "2026-03", &["elder.visit"]).await,
        expected("1/4-0", "2/4-0", "elder.visit", late)
    );
    assert_eq!(
        corrections(&member, "2026-03", &["elder.call"]).await,
        expected("1/4-0", "0/4-0", "elder.call", call)
    );

    // The report of the month says what it said, and beside it what it would say now.
    for (breakdown, before) in
        [(v1::ComplianceBreakdown::Unspecified, &whole), (v1::ComplianceBreakdown::Group, &groups)]
    {
        let after = client.ask(month(breakdown)).await.unwrap();
        let known = after.rows.iter().filter(|row| {
            assert_eq!(shown(row.close_time.as_ref()), "2026-04-02T09:00");
            let nothing = row.denominator == 0 && row.excused == 0;
            assert!(!nothing || row.current.is_some(), "a row of nothing: {row:?}");
            !nothing
        });
        let frozen: Vec<v1::ComplianceRow> =
            known.map(|row| v1::ComplianceRow { close_time: None, current: None, ..row.clone() }).collect();
        assert_eq!(frozen, before.rows);
        let visit = after.rows.iter().find(|row| row.standard == "standards/elder.visit").unwrap();
        assert_eq!((visit.numerator, visit.current.unwrap().numerator), (1, 2));
    }
    // Weeks are not closed.
    let weeks = v1::GetComplianceReportRequest {
        period: PeriodUnit::Week.into(),
        start_date: "2026-03-16".to_owned(),
        standards: vec!["standards/elder.visit".to_owned()],
        ..month(v1::ComplianceBreakdown::Unspecified)
    };
    let week = client.ask(weeks).await.unwrap().rows.remove(0);
    assert_eq!((week.numerator, week.close_time, week.current), (2, None, None));
    // So does the visit rate: the second was reached by nobody when the month was closed.
    let rate =
        v1::GetVisitRateRequest { parent: site.clone(), date: "2026-03-05".to_owned(), ..Default::default() };
    let rate = member.ask(rate).await.unwrap();
    assert!(rate.closed);
    assert_eq!((rate.residents, rate.visited, rate.rate_percent), (Some(2), Some(1), Some(50.0)));
    assert_eq!((rate.current_residents, rate.current_visited), (Some(2), Some(2)));

    // A stay in hospital that was entered late, and that the deputy confirms, excuses the second week.
    let pause = v1::PauseRequest {
        parent: elders[1].clone(),
        pause: Some(v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: "2026-03-22".into(),
            expected_return_date: "2026-03-30".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let pause = client.ask(pause).await.unwrap();
    deputy.ask(v1::ConfirmPauseRequest { name: pause.name.clone(), ..Default::default() }).await.unwrap();
    let whole = corrections(&member, "2026-03", &["elder.visit"]).await.remove(0);
    let causes = format!("{late} {}", pause.name);
    assert_eq!(whole, format!("elder.visit  1/4-0 2/3-1 {causes}"));

    // Whoever may not know of a file sees the same figures, and none of the causes that lie in it.
    let protect = v1::SetProtectedRequest {
        name: elders[1].clone(),
        protected_for: vec!["staff/deputy".to_owned()],
        ..Default::default()
    };
    deputy.ask(protect).await.unwrap();
    assert_eq!(corrections(&deputy, "2026-03", &["elder.visit"]).await.remove(0), whole);
    assert_eq!(
        corrections(&member, "2026-03", &["elder.visit"]).await.remove(0),
        "elder.visit  1/4-0 2/3-1 "
    );

    // A quarter is closed by itself; what is known by then is in it.
    deputy.ask(close("2026-q1")).await.unwrap();
    assert_eq!(corrections(&member, "2026-q1", &["elder.visit", "elder.call"]).await, [""; 0]);
    assert_eq!(state(&member, "2026-q2").await, State::Open);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_period_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    client.site("a").await;
    for period in ["2026", "2026-3", "2026-13", "2026-q5", "-"] {
        invalid(client.ask(close(period)).await, &["name"]);
    }
    let nowhere = v1::GetPeriodRequest { name: "sites/nowhere/periods/2026-03".to_owned() };
    refused(client.ask(nowhere).await, "NOT_FOUND");
    let nothing = v1::ListCorrectionsRequest::default();
    invalid(client.ask(nothing).await, &["parent"]);
    let wrong = v1::GetVisitRateRequest {
        parent: "sites/-".to_owned(),
        date: "march".to_owned(),
        ..Default::default()
    };
    invalid(client.ask(wrong).await, &["parent", "date"]);
    let wrong = v1::GetWorkloadRequest { parent: "a".to_owned(), department: 77, ..Default::default() };
    invalid(client.ask(wrong).await, &["parent", "period", "department"]);
    let wrong = v1::RenderReportRequest {
        name: "sites/a/periods/now".to_owned(),
        format: 9,
        language: "fr".to_owned(),
    };
    invalid(client.ask(wrong).await, &["name", "format", "language"]);
    let wrong =
        v1::GetComplianceReportRequest { breakdown: 9, ..month(v1::ComplianceBreakdown::Unspecified) };
    invalid(client.ask(wrong).await, &["breakdown"]);
    server.stop().await;
}
