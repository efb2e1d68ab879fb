//! Chapter 2, 组织架构与责任分工: what customer service and the stewards do beside the daily care.

use linli_proto::v1::{ActivityKind, SurveyKind, SurveyOutcome};

use super::*;
use crate::activity::{attending, holding, planning};
use crate::survey::{answering, opening};

/// A5.1: customer service finds people, keeps their files, takes down what they ask for, coordinates who answers it, asks afterwards
/// how it went, visits at festivals and organises activities.
#[tokio::test(flavor = "multi_thread")]
async fn a5_1_stewards_find_people_answer_them_ask_back_and_celebrate() {
    let issuer = Issuer::new();
    let server = Server::on(issuer.trusted(Data::sqlite().at("2026-10-12T09:00:00+08:00"))).await;
    let all = server.client();
    let site = all.site("a").await;
    let estate = Estate { issuer, site, all, server };
    let steward = estate.of(Department::CustomerService).await;
    let engineer = estate.of(Department::Engineering).await;
    let leader = estate.enter("wang", StaffRole::Leader).await;
    let finance = estate.enter("qian", StaffRole::Finance).await;
    let home = estate.all.dwelling(&estate.site, "501").await;

    // Found in a survey; a file is opened.
    let survey = v1::Survey {
        start_date: "2026-10-01".to_owned(),
        end_date: "2026-10-31".to_owned(),
        ..opening(&estate.site, SurveyKind::Full).survey.unwrap()
    };
    let survey =
        v1::OpenSurveyRequest { parent: estate.site.clone(), survey: Some(survey), ..Default::default() };
    let survey = leader.ask(survey).await.unwrap().name;
    let found = crate::survey::somebody("秦安然", "1940-05-01");
    let time = "2026-10-12T08:30:00+08:00";
    steward.ask(answering(&survey, &home, SurveyOutcome::Surveyed, time, vec![found])).await.unwrap();
    let open = v1::CreateResidentRequest {
        parent: estate.site.clone(),
        resident: Some(elder(&home, "秦安然")),
        ..Default::default()
    };
    let qin = steward.ask(open).await.unwrap().name;

    // Asked for, taken down, given to engineering, done, and asked back about.
    let asked = v1::Request {
        kind: v1::RequestKind::Repair.into(),
        subject: qin.clone(),
        description: "厨房水管漏水".to_owned(),
        ..Default::default()
    };
    let asked =
        v1::SubmitRequestRequest { parent: estate.site.clone(), request: Some(asked), ..Default::default() };
    let request = steward.ask(asked).await.unwrap().name;
    steward.ask(v1::AcceptRequestRequest { name: request.clone(), ..Default::default() }).await.unwrap();
    let dispatch = v1::DispatchRequestRequest {
        name: request.clone(),
        assignee: "staff/engineering".to_owned(),
        ..Default::default()
    };
    steward.ask(dispatch).await.unwrap();
    engineer.ask(v1::ArriveRequestRequest { name: request.clone(), ..Default::default() }).await.unwrap();
    engineer.ask(v1::CompleteRequestRequest { name: request.clone(), ..Default::default() }).await.unwrap();
    let follow_up = v1::FollowUpRequestRequest {
        name: request,
        satisfaction: 5,
        comment: "修得很快".to_owned(),
        ..Default::default()
    };
    assert_eq!(steward.ask(follow_up).await.unwrap().satisfaction, 5);

    // 重阳 is on Sunday: visits count from a week before. The gifts are paid from the fund.
    let greeting = async || {
        let found = steward.obligations(&qin, "2026-10-12", "2026-10-18").await;
        let own = found.iter().find(|owed| owed.standard == "standards/festival.visit.double_ninth");
        line(own.unwrap())
    };
    assert_eq!(greeting().await, "festival.visit.double_ninth open 0/1");
    let mut plan = planning(&estate.site, ActivityKind::Visit, "double_ninth", "2026-10-14");
    plan.activity.as_mut().unwrap().budget_fen = 20_000;
    let activity = steward.ask(plan).await.unwrap();
    assert_eq!(
        (activity.season_start_date.as_str(), activity.occasion_date.as_str()),
        ("2026-10-11", "2026-10-18")
    );
    let gifts = v1::BudgetLine {
        line: "gifts".to_owned(),
        display_name: "节日慰问".to_owned(),
        purpose: v1::FundPurpose::Festival.into(),
        budget_fen: 100_000,
        ..Default::default()
    };
    let fund = v1::OpenFundYearRequest {
        parent: estate.site.clone(),
        year: 2026,
        lines: vec![gifts],
        ..Default::default()
    };
    let fund = leader.ask(fund).await.unwrap().name;
    let spending = v1::Spending {
        line: "gifts".to_owned(),
        display_name: "重阳糕".to_owned(),
        amount_fen: 18_000,
        about: activity.name.clone(),
        people_count: 12,
        ..Default::default()
    };
    let spending =
        v1::RequestSpendingRequest { parent: fund, spending: Some(spending), ..Default::default() };
    let spending = steward.ask(spending).await.unwrap().name;
    leader.ask(v1::ApproveSpendingRequest { name: spending.clone(), ..Default::default() }).await.unwrap();
    let pay = v1::RecordDisbursementRequest {
        name: spending,
        voucher: "2026-101".to_owned(),
        ..Default::default()
    };
    finance.ask(pay).await.unwrap();
    estate.all.advance("2026-10-14T18:00:00+08:00").await;
    steward.ask(holding(&activity.name, "2026-10-14T14:00:00+08:00")).await.unwrap();
    steward.ask(attending(&activity.name, &[&qin], "")).await.unwrap();
    assert_eq!(greeting().await, "festival.visit.double_ninth met 1/1");
    let seen = finance.ask(v1::GetActivityRequest { name: activity.name }).await.unwrap();
    assert_eq!((seen.resident_count, seen.paid_fen, seen.approved_fen), (1, 18_000, 0));
    estate.stop().await;
}

/// A5.1: the festivals of every group, and how long before the day their visits begin to count.
#[tokio::test(flavor = "multi_thread")]
async fn a5_1_every_group_has_its_festivals() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let list = v1::ListStandardsRequest { page_size: 200, ..Default::default() };
    let mut found = std::collections::BTreeMap::new();
    for standard in steward.ask(list).await.unwrap().standards {
        let Some(v1::standard::Duty::Seasonal(season)) = standard.duty else { continue };
        if standard.code.starts_with("festival.visit.") {
            let groups = standard.applies_to.unwrap().any_group.len();
            found.insert(season.occasion, (season.lead_days, groups));
        }
    }
    for (occasion, groups) in [
        ("spring_festival", 0),
        ("dragon_boat", 0),
        ("mid_autumn", 0),
        ("double_ninth", 3),
        ("help_disabled_day", 1),
        ("childrens_day", 1),
        ("army_day", 3),
    ] {
        assert_eq!(found.get(occasion), Some(&(7, groups)), "{occasion}: {found:?}");
    }
    // Plans know the day, lunar or not.
    for (occasion, date, day) in [
        ("spring_festival", "2026-02-10", "2026-02-17"),
        ("help_disabled_day", "2026-05-15", "2026-05-17"),
        ("childrens_day", "2026-06-01", "2026-06-01"),
        ("army_day", "2026-07-30", "2026-08-01"),
        ("double_ninth", "2026-10-15", "2026-10-18"),
    ] {
        let plan = planning(&estate.site, ActivityKind::Visit, occasion, date);
        assert_eq!(steward.ask(plan).await.unwrap().occasion_date, day, "{occasion}");
    }
    estate.stop().await;
}
