//! The special fund: from the budget to the publication, by the people who do it; and 10,000 operations at once, after which
//! every fen is where the ledger says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use linli_core::fund::{
    BudgetLine, Fen, FundPurpose, FundYear, LedgerEntry, Movement, Progress, Spending, SpendingState,
};
use linli_core::id::{LineId, SiteId, SpendingId, StaffId};
use linli_core::staff::{Grant, Reach, Role};
use linli_core::text::{Language, Line};
use linli_proto::v1;
use linli_service::app::fund::{NewLine, NewPayment, NewSpending, SpendingTarget};
use linli_service::app::{Answer, App, Repeat};
use linli_service::auth::{Call, Caller, Principal, Rights, table};
use linli_service::error::{Error, Result, StateConflict};
use linli_service::name::{InFund, InSite};

use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{Numbers, invalid, refused};

/// Those who have to do with the fund of site `a`.
struct People {
    server: Server,
    leader: Client,
    steward: Client,
    finance: Client,
    auditor: Client,
}

impl People {
    async fn on(data: Data) -> Self {
        use v1::StaffRole as Role;
        let issuer = Issuer::new();
        let server = Server::on(issuer.trusted(data)).await;
        server.client().site("a").await;
        let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["a"])]).await;
        let leader = enter("leader", Role::Leader).await;
        let steward = enter("steward", Role::Member).await;
        let finance = enter("finance", Role::Finance).await;
        let auditor = enter("auditor", Role::Auditor).await;
        Self { server, leader, steward, finance, auditor }
    }

    async fn open(&self, lines: Vec<v1::BudgetLine>) -> v1::Fund {
        self.leader.ask(opening(lines)).await.unwrap()
    }

    async fn requested(&self, spending: v1::Spending) -> v1::Spending {
        self.steward.ask(asking(spending)).await.unwrap()
    }

    async fn approved(&self, spending: v1::Spending) -> v1::Spending {
        let name = self.requested(spending).await.name;
        self.leader.ask(v1::ApproveSpendingRequest { name, ..Default::default() }).await.unwrap()
    }

    async fn paid(&self, spending: v1::Spending) -> v1::Spending {
        let name = self.approved(spending).await.name;
        self.finance.ask(paying(&name, 0)).await.unwrap()
    }
}

fn line(id: &str, purpose: v1::FundPurpose, budget_fen: i64) -> v1::BudgetLine {
    v1::BudgetLine {
        line: id.to_owned(),
        display_name: format!("{id} 科目"),
        purpose: purpose.into(),
        budget_fen,
        ..Default::default()
    }
}

fn opening(lines: Vec<v1::BudgetLine>) -> v1::OpenFundYearRequest {
    v1::OpenFundYearRequest { parent: "sites/a".to_owned(), year: 2026, lines, ..Default::default() }
}

fn spending(line: &str, amount_fen: i64) -> v1::Spending {
    v1::Spending {
        line: line.to_owned(),
        display_name: "慰问品".to_owned(),
        amount_fen,
        ..Default::default()
    }
}

fn asking(spending: v1::Spending) -> v1::RequestSpendingRequest {
    v1::RequestSpendingRequest { parent: FUND.to_owned(), spending: Some(spending), ..Default::default() }
}

fn paying(name: &str, amount_fen: i64) -> v1::RecordDisbursementRequest {
    let (name, voucher) = (name.to_owned(), "2026-001".to_owned());
    v1::RecordDisbursementRequest { name, amount_fen, voucher, ..Default::default() }
}

const FUND: &str = "sites/a/funds/2026";

/// `line budget = available + committed + spent` of each line.
async fn balances(client: &Client) -> Vec<String> {
    let fund = client.ask(v1::GetFundRequest { name: FUND.to_owned() }).await.unwrap();
    let line = |line: &v1::BudgetLine| {
        format!(
            "{} {} = {} + {} + {}",
            line.line, line.budget_fen, line.available_fen, line.committed_fen, line.spent_fen
        )
    };
    fund.lines.iter().map(line).collect()
}

/// A5.5: the leader sets a budget, a steward asks, the leader approves, finance pays, and what was paid is published
/// without names.
#[tokio::test(flavor = "multi_thread")]
async fn a5_5_the_special_fund_is_budgeted_approved_disbursed_and_published() {
    Box::pin(the_fund(Data::sqlite())).await;
    if let Some(data) = Data::postgres().await {
        Box::pin(the_fund(data)).await;
    }
}

#[allow(clippy::too_many_lines, reason = "a year of a fund, step by step")]
async fn the_fund(data: Data) {
    use v1::FundPurpose::{Festival, HomeSafety};
    let people = People::on(data).await;
    let People { leader, steward, finance, auditor, .. } = &people;

    // The budget is the leader's.
    let budget = || vec![line("ramps", HomeSafety, 80_000), line("gifts", Festival, 100_000)];
    for other in [steward, finance, auditor] {
        refused(other.ask(opening(budget())).await, "PERMISSION_DENIED");
    }
    let fund = people.open(budget()).await;
    assert_eq!((fund.name.as_str(), fund.year, fund.opener.as_str()), (FUND, 2026, "staff/leader"));
    assert_eq!(fund.lines[0].purpose_name.as_ref().unwrap().zh, "节日慰问");
    refused(leader.ask(opening(budget())).await, "ALREADY_EXISTS");
    let amend = |etag: &str, lines| v1::AmendBudgetRequest {
        name: FUND.to_owned(),
        etag: etag.to_owned(),
        lines,
        reason: "年中调整".to_owned(),
        ..Default::default()
    };
    let only =
        |id: &str, budget_fen| v1::BudgetLine { line: id.to_owned(), budget_fen, ..Default::default() };
    let amended = leader.ask(amend(&fund.etag, vec![only("gifts", 150_000)])).await.unwrap();
    assert_ne!(amended.etag, fund.etag);
    refused(leader.ask(amend(&fund.etag, vec![only("gifts", 1)])).await, "ETAG_MISMATCH");
    let renamed = v1::BudgetLine { purpose: HomeSafety.into(), ..only("gifts", 150_000) };
    invalid(leader.ask(amend("", vec![renamed])).await, &["lines[0].purpose"]);
    invalid(
        leader.ask(amend("", vec![only("new", 1)])).await,
        &["lines[0].display_name", "lines[0].purpose"],
    );
    assert_eq!(balances(auditor).await, ["gifts 150000 = 150000 + 0 + 0", "ramps 80000 = 80000 + 0 + 0"]);

    // A steward asks; nothing is committed by that. Nobody but the leader decides, and never about their own.
    let asked = people.requested(v1::Spending { people_count: 20, ..spending("gifts", 120_000) }).await;
    assert_eq!((asked.state(), asked.purpose()), (v1::SpendingState::Requested, Festival));
    assert_eq!((asked.requester.as_str(), asked.decider.as_str()), ("staff/steward", ""));
    let approve = |name: &str| v1::ApproveSpendingRequest { name: name.to_owned(), ..Default::default() };
    for other in [steward, finance, auditor] {
        refused(other.ask(approve(&asked.name)).await, "PERMISSION_DENIED");
    }
    refused(finance.ask(asking(spending("gifts", 1))).await, "PERMISSION_DENIED");
    refused(finance.ask(paying(&asked.name, 0)).await, "SPENDING_STATE");
    let own = leader.ask(asking(spending("gifts", 1))).await.unwrap();
    refused(leader.ask(approve(&own.name)).await, "FOUR_EYES");
    let stale = v1::ApproveSpendingRequest { etag: "v7".to_owned(), ..approve(&asked.name) };
    refused(leader.ask(stale).await, "ETAG_MISMATCH");
    let once = v1::ApproveSpendingRequest { request_id: request_id(1), ..approve(&asked.name) };
    let approved = leader.ask(once.clone()).await.unwrap();
    assert_eq!((approved.state(), approved.decider.as_str()), (v1::SpendingState::Approved, "staff/leader"));
    assert_eq!(leader.ask(once).await.unwrap(), approved, "the same call, the same answer");
    refused(leader.ask(approve(&asked.name)).await, "SPENDING_STATE");
    let more = people.requested(spending("gifts", 30_001)).await;
    refused(leader.ask(approve(&more.name)).await, "BUDGET_EXCEEDED");
    assert_eq!(balances(auditor).await[0], "gifts 150000 = 30000 + 120000 + 0");
    let below = invalid(leader.ask(amend("", vec![only("gifts", 119_999)])).await, &["lines[0].budget_fen"]);
    assert_eq!(below.violations[0].1, "must be at least 120000");

    // Finance pays, and nobody who approved it.
    refused(steward.ask(paying(&asked.name, 0)).await, "PERMISSION_DENIED");
    refused(leader.ask(paying(&asked.name, 0)).await, "FOUR_EYES");
    invalid(finance.ask(paying(&asked.name, 120_001)).await, &["amount_fen"]);
    for day in ["2026-03-15", "2026-03-17"] {
        let wrong = v1::RecordDisbursementRequest { pay_date: day.to_owned(), ..paying(&asked.name, 0) };
        invalid(finance.ask(wrong).await, &["pay_date"]);
    }
    let paid = finance.ask(paying(&asked.name, 110_000)).await.unwrap();
    assert_eq!(
        (paid.state(), paid.paid_fen, paid.payer.as_str()),
        (v1::SpendingState::Disbursed, 110_000, "staff/finance")
    );
    assert_eq!((paid.pay_date.as_str(), paid.voucher.as_str()), ("2026-03-16", "2026-001"));
    assert_eq!(steward.ask(v1::GetSpendingRequest { name: paid.name.clone() }).await.unwrap(), paid);
    refused(finance.ask(paying(&asked.name, 1)).await, "SPENDING_STATE");

    // Rejected, before and after it was approved.
    let reject = |name: &str| v1::RejectSpendingRequest {
        name: name.to_owned(),
        reason: "数量有误".to_owned(),
        ..Default::default()
    };
    refused(steward.ask(reject(&more.name)).await, "PERMISSION_DENIED");
    let rejected = leader.ask(reject(&more.name)).await.unwrap();
    assert_eq!(
        (rejected.state(), rejected.reject_reason.as_str()),
        (v1::SpendingState::Rejected, "数量有误")
    );
    assert_eq!(rejected.state_name.unwrap().zh, "已驳回");
    refused(leader.ask(reject(&paid.name)).await, "SPENDING_STATE");
    let ramp = people.approved(spending("ramps", 50_000)).await;
    assert_eq!(balances(auditor).await[1], "ramps 80000 = 30000 + 50000 + 0");
    leader.ask(reject(&ramp.name)).await.unwrap();
    assert_eq!(balances(auditor).await, ["gifts 150000 = 40000 + 0 + 110000", "ramps 80000 = 80000 + 0 + 0"]);

    // The auditor reads it all, page by page.
    let list = |state: v1::SpendingState| v1::ListSpendingRequest {
        parent: FUND.to_owned(),
        state: state.into(),
        ..Default::default()
    };
    let names = async |request: v1::ListSpendingRequest| -> Vec<String> {
        let page = auditor.ask(request).await.unwrap();
        page.spendings.into_iter().map(|spending| spending.name).collect()
    };
    assert_eq!(names(list(v1::SpendingState::Rejected)).await, [more.name, ramp.name.clone()]);
    assert_eq!(names(list(v1::SpendingState::Unspecified)).await.len(), 4);
    let of_line =
        v1::ListSpendingRequest { line: "ramps".to_owned(), ..list(v1::SpendingState::Unspecified) };
    assert_eq!(names(of_line).await, [ramp.name]);
    let mut request = v1::GetLedgerRequest { name: FUND.to_owned(), page_size: 3, ..Default::default() };
    let mut ledger = Vec::new();
    loop {
        let page = auditor.ask(request.clone()).await.unwrap();
        ledger.extend(page.entries);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let shown: Vec<String> = ledger
        .iter()
        .map(|entry| {
            let name = entry.movement_name.as_ref().unwrap();
            format!("{} {} {} {} {}", entry.line, entry.number, name.zh, entry.amount_fen, entry.note)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "gifts 1 下达预算 100000 ",
            "gifts 2 下达预算 50000 年中调整",
            "gifts 3 审批占用 120000 ",
            "gifts 4 支付 110000 2026-001",
            "gifts 5 释放额度 10000 2026-001",
            "ramps 1 下达预算 80000 ",
            "ramps 2 审批占用 50000 ",
            "ramps 3 释放额度 50000 数量有误",
        ]
    );
    assert_eq!(
        (ledger[3].debit(), ledger[3].credit(), ledger[3].booker.as_str(), &ledger[3].spending),
        (v1::LedgerAccount::Spent, v1::LedgerAccount::Committed, "staff/finance", &paid.name)
    );

    // Published every quarter, by finance: that is a duty of the site.
    let duty = async || -> Vec<String> {
        let request = v1::ListObligationsRequest {
            parent: "sites/a".to_owned(),
            standard: "standards/fund.publish".to_owned(),
            ..Default::default()
        };
        let found = auditor.ask(request).await.unwrap().obligations;
        found.iter().map(crate::harness::estate::line).collect()
    };
    assert_eq!(duty().await, ["fund.publish at_risk 0/1"]);
    let publish = v1::PublishReportRequest { name: FUND.to_owned(), ..Default::default() };
    for other in [steward, auditor] {
        refused(other.ask(publish.clone()).await, "PERMISSION_DENIED");
    }
    let report = finance.ask(publish).await.unwrap();
    assert_eq!((report.total_fen, report.total_helped_count), (110_000, 20));
    assert_eq!(duty().await, ["fund.publish met 1/1"]);
    let record = leader.ask(v1::GetRecordRequest { name: report.record.clone(), ..Default::default() }).await;
    let record = record.unwrap();
    assert_eq!((record.kind(), record.performer.as_str()), (v1::ServiceKind::Publication, "staff/finance"));
    assert_eq!(record.subjects[0].subject, "sites/a");
    // The next quarter asks again.
    people.server.client().advance("2026-04-02T09:00:00+08:00").await;
    assert_eq!(duty().await, ["fund.publish met 1/1", "fund.publish open 0/1"]);
    let reports = v1::ListReportsRequest { parent: FUND.to_owned(), ..Default::default() };
    assert_eq!(auditor.ask(reports).await.unwrap().reports, [report]);
    let scope = linli_store::Scope::from(&SiteId::new("a").unwrap());
    people.server.app.store.verify_chain(&scope, None).await.unwrap();
    people.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_money_is_refused_field_by_field() {
    let people = People::on(Data::sqlite()).await;
    let (leader, steward) = (&people.leader, &people.steward);
    let gifts = || line("gifts", v1::FundPurpose::Festival, 1_000);
    let check = async |lines: Vec<v1::BudgetLine>, fields: &[&str]| {
        invalid(leader.ask(opening(lines)).await, fields);
    };
    check(Vec::new(), &["lines"]).await;
    check(vec![gifts(); 51], &["lines"]).await;
    check(vec![gifts(), gifts()], &["lines[1].line"]).await;
    check(vec![v1::BudgetLine { line: "Gifts".to_owned(), ..gifts() }], &["lines[0].line"]).await;
    check(vec![v1::BudgetLine { budget_fen: -1, ..gifts() }], &["lines[0].budget_fen"]).await;
    check(
        vec![v1::BudgetLine { budget_fen: i64::MAX, purpose: 99, ..gifts() }],
        &["lines[0].budget_fen", "lines[0].purpose"],
    )
    .await;
    check(vec![v1::BudgetLine { line: "x".to_owned(), ..Default::default() }], &["lines[0].budget_fen"])
        .await;
    for year in [1999, 2200, 2028] {
        let far = v1::OpenFundYearRequest { year, ..opening(vec![gifts()]) };
        invalid(leader.ask(far).await, &["year"]);
    }
    refused(steward.ask(asking(spending("gifts", 1))).await, "NOT_FOUND");
    people.open(vec![gifts()]).await;

    let dwelling = people.server.client().dwelling("sites/a", "501").await;
    let resident = people.server.client().resident(elder(&dwelling, "秦安然")).await.name;
    let check = async |spending: v1::Spending, fields: &[&str]| {
        invalid(steward.ask(asking(spending)).await, fields);
    };
    let about = |about: &str| v1::Spending { about: about.to_owned(), ..spending("gifts", 10) };
    check(v1::Spending::default(), &["spending.line", "spending.display_name", "spending.amount_fen"]).await;
    check(spending("other", 10), &["spending.line"]).await;
    check(spending("gifts", -5), &["spending.amount_fen"]).await;
    check(v1::Spending { people_count: -1, ..spending("gifts", 10) }, &["spending.people_count"]).await;
    check(v1::Spending { people_count: 100_001, ..spending("gifts", 10) }, &["spending.people_count"]).await;
    check(v1::Spending { people_count: 2, ..about(&resident) }, &["spending.people_count"]).await;
    check(about("sites/b/residents/r"), &["spending.about"]).await;
    check(about("sites/a/dwellings/d501"), &["spending.about"]).await;
    // A resident whom nobody knows looks like one who may not be known.
    check(about("sites/a/residents/nobody"), &["spending.about"]).await;
    check(about("sites/a/activities/none"), &["spending.about"]).await;
    let asked = people.requested(about(&resident)).await;
    assert_eq!((asked.about, asked.people_count), (resident, 1));
    let plan = crate::activity::planning("sites/a", v1::ActivityKind::Event, "", "2026-04-05");
    let activity = steward.ask(plan).await.unwrap().name;
    for name in [&*activity, "sites/a/requests/q1"] {
        assert_eq!(people.requested(about(name)).await.about, name);
    }
    let pay = v1::RecordDisbursementRequest {
        name: "sites/a/funds/2026/spendings/s".to_owned(),
        amount_fen: -1,
        pay_date: "16.3.2026".to_owned(),
        ..Default::default()
    };
    invalid(people.finance.ask(pay).await, &["amount_fen", "voucher", "pay_date"]);
    people.server.stop().await;
}

/// What is published says nothing about fewer than five people, nor does the difference of two publications, nor that of the total
/// and the lines. (That no combination of any figures does, core holds on random years.)
#[tokio::test(flavor = "multi_thread")]
async fn publications_give_nobody_away() {
    use v1::FundPurpose::{Activity, Festival, Relief};
    let people = People::on(Data::sqlite()).await;
    let member = people.server.client();
    let dwelling = member.dwelling("sites/a", "501").await;
    let mut residents = Vec::new();
    for name in ["甲一", "甲二", "甲三", "甲四", "甲五", "甲六"] {
        residents.push(member.resident(elder(&dwelling, name)).await.name);
    }
    people
        .open(vec![
            line("gifts", Festival, 1_000_000),
            line("help", Relief, 1_000_000),
            line("tours", Activity, 1_000_000),
        ])
        .await;
    let to = |line: &str, resident: usize, amount| v1::Spending {
        about: residents[resident].clone(),
        ..spending(line, amount)
    };
    let publish = async || -> Vec<String> {
        let request = v1::PublishReportRequest { name: FUND.to_owned(), ..Default::default() };
        let report = people.finance.ask(request).await.unwrap();
        let line = |line: &v1::FundReportLine| {
            let withheld = if line.withheld { " *" } else { "" };
            format!("{} {}×{}{withheld}", line.line, line.paid_fen, line.helped_count)
        };
        let lines = report.lines.iter().map(line);
        let together = format!("together {}×{}", report.together_fen, report.together_helped_count);
        let total = format!("total {}×{}", report.total_fen, report.total_helped_count);
        lines.chain([together, total]).collect()
    };
    // One person's relief is neither in its line nor in the total.
    people.paid(to("help", 0, 7_001)).await;
    people.paid(v1::Spending { people_count: 30, ..spending("tours", 200_000) }).await;
    people.paid(spending("tours", 5_000)).await;
    let first = ["gifts 0×0", "help 0×0 *", "tours 205000×30", "together 0×0", "total 205000×30"];
    assert_eq!(publish().await, first);
    // Nor is anything published by saying so.
    let said =
        contact("sites/a", v1::ServiceKind::Publication, "2026-03-16T09:00:00+08:00", v1::Outcome::Done);
    let said =
        v1::RecordServiceRequest { parent: "sites/a".to_owned(), records: vec![said], ..Default::default() };
    invalid(people.server.client().ask(said).await, &["records[0].kind"]);
    // Nor does the next publication give the difference away.
    people.paid(to("help", 1, 1_000)).await;
    people.paid(to("help", 0, 2_000)).await;
    assert_eq!(publish().await, first);
    // Too few here and too few there: together they are enough.
    for resident in 2..5 {
        people.paid(to("gifts", resident, 100)).await;
    }
    assert_eq!(
        publish().await,
        ["gifts 0×0", "help 0×0", "tours 205000×30", "together 10301×6", "total 215301×36"]
    );
    // Five of one line are shown in their line; what was shown together stays so.
    for resident in 0..5 {
        people.paid(to("gifts", resident, 100)).await;
    }
    people.paid(to("help", 5, 9)).await;
    assert_eq!(
        publish().await,
        ["gifts 500×5", "help 0×0 *", "tours 205000×30", "together 10301×6", "total 215801×41"]
    );
    // No name in it.
    let reports = v1::ListReportsRequest { parent: FUND.to_owned(), page_size: 3, ..Default::default() };
    let page = people.auditor.ask(reports.clone()).await.unwrap();
    assert!(!format!("{page:?}").contains("residents/"));
    let rest = v1::ListReportsRequest { page_token: page.next_page_token, ..reports };
    assert_eq!((page.reports.len(), people.auditor.ask(rest).await.unwrap().reports.len()), (3, 1));
    people.server.stop().await;
}

// ── 10,000 operations at once ───────────────────────────────────────────────────────────────────────────────────────────────

const OPERATIONS: u64 = 10_000;
const TASKS: u64 = 40;
const LINES: [&str; 3] = ["gifts", "relief", "tours"];

/// Who acts: name and role. Leaders may do everything, and so try what takes two.
const ACTORS: [(&str, Role); 8] = [
    ("leader-1", Role::Leader),
    ("leader-2", Role::Leader),
    ("leader-3", Role::Leader),
    ("steward-1", Role::Deputy),
    ("steward-2", Role::Deputy),
    ("finance-1", Role::Finance),
    ("finance-2", Role::Finance),
    ("auditor-1", Role::Auditor),
];

fn call(who: usize, method: &str) -> Call {
    let (staff, role) = ACTORS[who];
    let grant = Grant::new(role, None, Reach::sites(vec![site()]).unwrap(), None, None).unwrap();
    let rights = Rights::Grants(vec![grant]);
    Call {
        caller: Caller::Fixed(Principal { staff: StaffId::new(staff).unwrap(), rights }),
        method: table::find(&format!("linli.v1.FundService/{method}")).unwrap(),
        request_id: "r".to_owned(),
        purpose: None,
        language: Language::En,
    }
}

fn once<T>() -> Repeat<T> {
    Repeat { id: None, hash: [0; 32], encode: |_| Vec::new() }
}

fn site() -> SiteId {
    SiteId::new("a").unwrap()
}

fn year() -> FundYear {
    FundYear::from_number(2026).unwrap()
}

fn fund() -> InSite<FundYear> {
    InSite { site: site(), id: year() }
}

fn text(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn fresh<T>(answer: Result<Answer<T>>) -> Result<T> {
    answer.map(|answer| match answer {
        Answer::Fresh(value) => value,
        Answer::Repeated(_) => panic!("no request id was given"),
    })
}

/// What the tasks share: the spendings that were asked for, and what came of every operation.
#[derive(Default)]
struct Board {
    spendings: Mutex<Vec<SpendingId>>,
    outcomes: Mutex<BTreeMap<String, u64>>,
}

impl Board {
    fn any(&self, number: u64) -> Option<SpendingId> {
        let spendings = self.spendings.lock().unwrap();
        // Mostly one of the newest: those are still to be decided upon.
        let newest = spendings.len().min(if number.is_multiple_of(4) { usize::MAX } else { 60 });
        let place = usize::try_from(number >> 8).unwrap_or_default().checked_rem(newest)?;
        spendings.get(spendings.len() - 1 - place).cloned()
    }

    fn note(&self, what: String) {
        *self.outcomes.lock().unwrap().entry(what).or_default() += 1;
    }

    fn count(&self, what: &str) -> u64 {
        let outcomes = self.outcomes.lock().unwrap();
        outcomes.iter().filter(|(outcome, _)| outcome.starts_with(what)).map(|(_, count)| count).sum()
    }
}

/// One operation by somebody.
async fn operate(app: &App, board: &Board, numbers: &mut Numbers) {
    let line = LineId::new(LINES[usize::try_from(numbers.between(0, 2)).unwrap()]).unwrap();
    let amount = Fen::new(i64::try_from(numbers.between(1, 5_000)).unwrap()).unwrap();
    let act = numbers.between(0, 99);
    // Mostly somebody who may; now and then anybody.
    let mut who = |mayers: &[usize]| {
        let anybody: Vec<usize> = (0..ACTORS.len()).collect();
        let from = if numbers.between(0, 7) == 0 { &anybody } else { mayers };
        from[usize::try_from(numbers.next() % from.len() as u64).unwrap()]
    };
    let (asks, decides, pays) = (who(&[0, 1, 2, 3, 4]), who(&[0, 1, 2]), who(&[0, 1, 2, 5, 6]));
    let (method, done) = match act {
        0..35 => {
            let people = u32::try_from(numbers.between(0, 7)).unwrap();
            let new = NewSpending { line, title: text("慰问品"), amount, cause: None, people };
            let call = call(asks, "RequestSpending");
            let asked = fresh(app.request_spending(&call, once(), fund(), new).await);
            let asked = asked.map(|view| board.spendings.lock().unwrap().push(view.spending.id));
            ("request", asked)
        }
        35..39 => {
            let budget = Fen::new(i64::try_from(numbers.between(1, 1_000_000)).unwrap()).unwrap();
            let line = NewLine { id: line, title: None, purpose: None, budget };
            let call = call(decides, "AmendBudget");
            let amended = app.amend_budget(&call, once(), fund(), None, vec![line], text("调整")).await;
            ("amend", fresh(amended).map(drop))
        }
        39 => {
            let call = call(pays, "PublishReport");
            ("publish", fresh(app.publish_report(&call, once(), fund()).await).map(drop))
        }
        _ => {
            let Some(id) = board.any(numbers.next()) else { return };
            let at = InFund { site: site(), year: year(), id };
            let target = SpendingTarget { at, version: None };
            match act {
                40..70 => {
                    let call = call(decides, "ApproveSpending");
                    ("approve", fresh(app.approve_spending(&call, once(), target).await).map(drop))
                }
                70..77 => {
                    let call = call(decides, "RejectSpending");
                    let rejected = app.reject_spending(&call, once(), target, text("否")).await;
                    ("reject", fresh(rejected).map(drop))
                }
                _ => {
                    let amount = (amount.get() % 20 == 0).then_some(amount);
                    let payment = NewPayment { amount, voucher: text("V"), paid_on: None };
                    let call = call(pays, "RecordDisbursement");
                    let paid = app.record_disbursement(&call, once(), target, payment).await;
                    ("pay", fresh(paid).map(drop))
                }
            }
        }
    };
    board.note(match done {
        Ok(()) => format!("done {method}"),
        Err(Error::Denied) => format!("refused {method}: denied"),
        Err(Error::Invalid(_)) => format!("refused {method}: invalid"),
        Err(Error::EtagMismatch) => format!("refused {method}: lost"),
        Err(Error::State(
            why @ (StateConflict::LineOverdrawn
            | StateConflict::SpendingDecided
            | StateConflict::SpendingNotApproved
            | StateConflict::SameHands),
        )) => format!("refused {method}: {why:?}"),
        Err(error) => panic!("{method}: {error:?}"),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_operations_at_once_on_sqlite() {
    ten_thousand_operations(Data::sqlite(), "ten_thousand_operations_at_once_on_sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_operations_at_once_on_postgresql() {
    if let Some(data) = Data::postgres().await {
        ten_thousand_operations(data, "ten_thousand_operations_at_once_on_postgresql").await;
    }
}

async fn ten_thousand_operations(data: Data, test: &str) {
    let server = Server::on(data).await;
    server.client().site("a").await;
    let app = &server.app;
    let lines = LINES.map(|id| NewLine {
        id: LineId::new(id).unwrap(),
        title: Some(text(id)),
        purpose: Some(FundPurpose::Festival),
        budget: Fen::new(100_000).unwrap(),
    });
    let opened = app.open_fund_year(&call(0, "OpenFundYear"), once(), fund(), lines.to_vec()).await;
    fresh(opened).unwrap();
    let mut numbers = Numbers::seeded(test);
    let board = Arc::new(Board::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (app, board) = (Arc::clone(app), Arc::clone(&board));
            let mut numbers = Numbers::from(numbers.next());
            tokio::spawn(async move {
                for _ in 0..OPERATIONS / TASKS {
                    operate(&app, &board, &mut numbers).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("{test}: {:#?}", board.outcomes.lock().unwrap());
    let (done, refused) = (board.count("done"), board.count("refused"));
    assert!(done + refused > OPERATIONS * 99 / 100, "{done} {refused}");
    assert!(done > OPERATIONS / 4 && refused > OPERATIONS / 4, "{done} {refused}");
    for (what, least) in [
        ("done request", 1_000),
        ("done approve", 300),
        ("done reject", 30),
        ("done pay", 100),
        ("done amend", 20),
        ("done publish", 10),
        ("refused approve: LineOverdrawn", 1),
        ("refused approve: SameHands", 50),
        ("refused pay: SameHands", 1),
        ("refused approve: SpendingDecided", 50),
        ("refused amend: invalid", 1),
        ("refused approve: denied", 50),
    ] {
        assert!(board.count(what) >= least, "{what}: {} of {least}", board.count(what));
    }
    // Who loses against others on the same line tries again: hardly anybody has to be sent away.
    let lost: u64 = ["request", "amend", "publish", "approve", "reject", "pay"]
        .map(|method| board.count(&format!("refused {method}: lost")))
        .iter()
        .sum();
    assert!(lost < OPERATIONS / 100, "{lost}");
    the_books_agree(app, &board).await;
    let scope = linli_store::Scope::from(&site());
    app.store.verify_chain(&scope, None).await.unwrap();
    server.stop().await;
}

/// Everything that the database holds of the fund, added up anew.
async fn the_books_agree(app: &App, board: &Board) {
    let store = &app.store;
    let mut ledger: Vec<LedgerEntry> = Vec::new();
    loop {
        let place = ledger.last().map(|entry| (entry.line.clone(), entry.number));
        let after = place.as_ref().map(|(line, number)| (line, *number));
        let page = store.ledger_entries(&site(), year(), None, after, 1_000).await.unwrap();
        if page.is_empty() {
            break;
        }
        ledger.extend(page);
    }
    let mut spendings: Vec<Spending> = Vec::new();
    loop {
        let after = spendings.last().map(|spending| spending.id.as_str().to_owned());
        let page = store.spendings(&site(), year(), after.as_deref(), 1_000).await.unwrap();
        if page.is_empty() {
            break;
        }
        spendings.extend(page);
    }
    let lines = store.budget_lines(&site(), year()).await.unwrap();
    assert_eq!(lines.len(), LINES.len());
    for line in &lines {
        line_agrees(line, &ledger, &spendings);
    }
    // Every answer that was given is in the books, and nothing else.
    let in_state = |state| spendings.iter().filter(|spending| spending.state() == state).count() as u64;
    assert_eq!(spendings.len() as u64, board.count("done request"));
    assert_eq!(in_state(SpendingState::Disbursed), board.count("done pay"));
    assert_eq!(in_state(SpendingState::Rejected), board.count("done reject"));
    let moved = |movement| ledger.iter().filter(|entry| entry.movement == movement).count() as u64;
    assert_eq!(moved(Movement::Committed), board.count("done approve"));
    assert_eq!(moved(Movement::Paid), board.count("done pay"));
    let fund = store.fund(&site(), year()).await.unwrap().unwrap();
    assert_eq!(fund.reports, board.count("done publish"));
    for spending in &spendings {
        let (approved, paid) = match &spending.progress {
            Progress::Requested | Progress::Rejected { .. } => continue,
            Progress::Approved(approved) => (approved, None),
            Progress::Disbursed { approved, payment } => (approved, Some(payment)),
        };
        assert_ne!(approved.by, spending.requested.by, "four eyes");
        assert!(approved.by.as_str().starts_with("leader"), "the leader approves");
        if let Some(payment) = paid {
            assert_ne!(approved.by, payment.booked.by, "four eyes");
            assert!(payment.amount <= spending.amount);
        }
    }
}

fn line_agrees(line: &BudgetLine, ledger: &[LedgerEntry], spendings: &[Spending]) {
    let (mut company, mut available, mut committed, mut spent) = (0, 0, 0, 0);
    let mut number = 0;
    for entry in ledger.iter().filter(|entry| entry.line == line.id) {
        number += 1;
        assert_eq!(entry.number, number, "no entry is missing");
        let amount = entry.amount.get();
        let (from, to) = match entry.movement {
            Movement::Budgeted => (&mut company, &mut available),
            Movement::Cut => (&mut available, &mut company),
            Movement::Committed => (&mut available, &mut committed),
            Movement::Released => (&mut committed, &mut available),
            Movement::Paid => (&mut committed, &mut spent),
        };
        *from -= amount;
        *to += amount;
        assert_eq!(company + available + committed + spent, 0, "the ledger balances");
        assert!(available >= 0 && committed >= 0 && spent >= 0, "{} {number}: overspent", line.id);
    }
    assert_eq!(
        (-company, available, committed, spent, number),
        (line.budget().get(), line.available.get(), line.committed.get(), line.spent.get(), line.entries),
        "the line is what its entries make it"
    );
    let sum = |of: &dyn Fn(&Spending) -> Option<Fen>| -> i64 {
        spendings.iter().filter(|spending| spending.line == line.id).filter_map(of).map(Fen::get).sum()
    };
    let approved =
        |spending: &Spending| (spending.state() == SpendingState::Approved).then_some(spending.amount);
    let paid = |spending: &Spending| match &spending.progress {
        Progress::Disbursed { payment, .. } => Some(payment.amount),
        Progress::Requested | Progress::Approved(_) | Progress::Rejected { .. } => None,
    };
    assert_eq!((sum(&approved), sum(&paid)), (committed, spent), "and what its spendings make it");
}
