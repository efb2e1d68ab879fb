//! The special fund: what is put is read, one of several who take the same money gets it, and the schema refuses what must
//! never happen.

use linli_core::fund::{
    BudgetLine, Cause, Fen, Figure, Fund, FundPurpose, FundReport, FundYear, Hand, LedgerEntry, Payment,
    Progress, Published, ReportLine, Spending,
};
use linli_core::id::{ActivityId, LineId, RecordId, SpendingId};

use super::*;

on_both!(round_trip, the_same_money_is_taken_once, the_schema_refuses_what_must_not_happen);

fn year() -> FundYear {
    FundYear::from_number(2026).unwrap()
}

fn fen(amount: i64) -> Fen {
    Fen::new(amount).unwrap()
}

fn hand(by: &str) -> Hand {
    Hand { by: StaffId::new(by).unwrap(), at: at(5) }
}

fn fund() -> Fund {
    let opened_by = StaffId::new("leader").unwrap();
    Fund { site: site_id("a"), year: year(), opened_by, opened_at: at(0), reports: 0, version: 1 }
}

fn budget_line(id: &str, budget: i64) -> (BudgetLine, LedgerEntry) {
    let mut line = BudgetLine {
        site: site_id("a"),
        year: year(),
        id: LineId::new(id).unwrap(),
        title: line("节日慰问"),
        purpose: FundPurpose::Festival,
        available: Fen::ZERO,
        committed: Fen::ZERO,
        spent: Fen::ZERO,
        entries: 0,
        version: 1,
    };
    let entry = line.set_budget(fen(budget), Some(&super::line("年度预算")), &hand("leader"));
    let entry = entry.unwrap().unwrap();
    (line, entry)
}

fn spending(id: &str, amount: i64) -> Spending {
    Spending {
        site: site_id("a"),
        year: year(),
        id: SpendingId::new(id).unwrap(),
        line: LineId::new("gifts").unwrap(),
        title: line("春节慰问品"),
        amount: fen(amount),
        cause: None,
        people: 0,
        requested: hand("wang"),
        progress: Progress::Requested,
        version: 1,
    }
}

/// A fund year with a line of 1,000 fen.
async fn open(store: &Store) -> BudgetLine {
    make_site(store, "a").await;
    let (line, entry) = budget_line("gifts", 1_000);
    change(store, "a", |set| set.put_fund(fund()).put_budget_line(line.clone()).add_ledger_entry(entry))
        .await
        .unwrap();
    line
}

async fn round_trip(env: Env) {
    let store = &env.store;
    let mut line = open(store).await;
    let a = site_id("a");
    assert_eq!(store.fund(&a, year()).await.unwrap(), Some(fund()));
    assert_eq!(store.fund(&site_id("b"), year()).await.unwrap(), None);
    assert_eq!(store.budget_lines(&a, year()).await.unwrap(), [line.clone()]);
    assert_eq!(store.budget_line(&a, year(), &line.id).await.unwrap(), Some(line.clone()));
    let twice = change(store, "a", |set| set.put_fund(fund())).await;
    assert!(matches!(twice, Err(CommitError::Exists { what: "fund" })), "{twice:?}");

    // A spending in every state, and for everything that it can be for.
    let causes = [
        Some(Cause::Resident(resident_id("r1"))),
        Some(Cause::Activity(ActivityId::new("spring").unwrap())),
        Some(Cause::Request(linli_core::id::RequestId::new("q").unwrap())),
        None,
    ];
    let mut spendings = Vec::new();
    for (id, cause) in ["s1", "s2", "s3", "s4"].into_iter().zip(causes) {
        spendings.push(Spending { cause, people: 1, ..spending(id, 200) });
    }
    for value in &spendings {
        change(store, "a", |set| set.put_spending(value.clone())).await.unwrap();
    }
    let mut entries = Vec::new();
    for value in spendings.iter_mut().take(3) {
        let entry = value.approve(&mut line, hand("leader")).unwrap();
        (value.version, line.version) = (value.version + 1, line.version + 1);
        entries.push(entry.clone());
        let (value, line) = (value.clone(), line.clone());
        change(store, "a", |set| set.put_spending(value).put_budget_line(line).add_ledger_entry(entry))
            .await
            .unwrap();
    }
    let payment = Payment {
        amount: fen(150),
        voucher: super::line("V-7"),
        paid_on: day("2026-03-16"),
        booked: hand("finance"),
    };
    let paid = spendings[0].disburse(&mut line, payment).unwrap();
    let freed = spendings[1].reject(&mut line, super::line("取消"), hand("leader")).unwrap().unwrap();
    line.version += 1;
    for value in spendings.iter_mut().take(2) {
        value.version += 1;
    }
    change(store, "a", |set| {
        set.put_budget_line(line.clone());
        for entry in paid.iter().chain([&freed]) {
            set.add_ledger_entry(entry.clone());
        }
        set.put_spending(spendings[0].clone()).put_spending(spendings[1].clone())
    })
    .await
    .unwrap();
    entries.extend(paid);
    entries.push(freed);
    assert_eq!(store.budget_line(&a, year(), &line.id).await.unwrap(), Some(line.clone()));
    assert_eq!(store.spendings(&a, year(), None, 10).await.unwrap(), spendings);
    assert_eq!(store.spendings(&a, year(), Some("s2"), 1).await.unwrap(), [spendings[2].clone()]);
    for value in &spendings {
        assert_eq!(store.spending(&a, year(), &value.id).await.unwrap().as_ref(), Some(value));
    }

    // The ledger by line and number, from wherever one left off.
    let (other, opened) = budget_line("relief", 500);
    change(store, "a", |set| set.put_budget_line(other.clone()).add_ledger_entry(opened.clone()))
        .await
        .unwrap();
    let all = store.ledger_entries(&a, year(), None, None, 100).await.unwrap();
    assert_eq!(all.len(), 8);
    assert_eq!(all[1..7], entries[..]);
    assert_eq!(all[7], opened);
    for (place, entry) in all.iter().enumerate() {
        let rest = store.ledger_entries(&a, year(), None, Some((&entry.line, entry.number)), 100).await;
        assert_eq!(rest.unwrap(), all[place + 1..]);
    }
    let of_line = store.ledger_entries(&a, year(), Some(&line.id), Some((&line.id, 5)), 100).await.unwrap();
    assert_eq!(of_line, all[5..7]);

    // Publications.
    let shown = Published {
        lines: vec![ReportLine {
            line: line.id.clone(),
            title: line.title.clone(),
            purpose: line.purpose,
            budget: line.budget(),
            paid: Figure { amount: fen(150), helped: 7 },
            withheld: true,
            read_to: 7,
            people_to: 3,
        }],
        together: Figure { amount: Fen::ZERO, helped: 0 },
    };
    for number in 1..=2 {
        let record = RecordId::new(&format!("p{number}")).unwrap();
        let report = FundReport {
            site: a.clone(),
            year: year(),
            number,
            published: hand("finance"),
            record,
            shown: shown.clone(),
        };
        let fund = Fund { reports: number, version: number + 1, ..fund() };
        change(store, "a", |set| set.put_fund(fund).add_fund_report(report.clone())).await.unwrap();
        assert_eq!(store.fund_reports(&a, year(), number - 1, 10).await.unwrap(), [report]);
    }
    assert_eq!(store.fund_reports(&a, year(), 0, 1).await.unwrap().len(), 1);
    assert_eq!(store.fund(&a, year()).await.unwrap().unwrap().reports, 2);
}

/// Thirty approvals of six hundred fen each, all decided on the same balance of a thousand, at the same time: one is written.
async fn the_same_money_is_taken_once(env: Env) {
    let store = &env.store;
    let before = open(store).await;
    let mut attempts = Vec::new();
    for number in 0..30 {
        let mut value = spending(&format!("s{number}"), 600);
        change(store, "a", |set| set.put_spending(value.clone())).await.unwrap();
        let mut line = before.clone();
        let entry = value.approve(&mut line, hand("leader")).unwrap();
        (value.version, line.version) = (2, 2);
        let store = store.clone();
        attempts.push(tokio::spawn(async move {
            change(&store, "a", |set| set.put_spending(value).put_budget_line(line).add_ledger_entry(entry))
                .await
        }));
    }
    let mut taken = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => taken += 1,
            Err(CommitError::Stale { what: "budget line", current: 2 }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, 1);
    let a = site_id("a");
    let after = store.budget_line(&a, year(), &before.id).await.unwrap().unwrap();
    assert_eq!((after.available.get(), after.committed.get(), after.version), (400, 600, 2));
    let ledger = store.ledger_entries(&a, year(), None, None, 100).await.unwrap();
    let approved = store.spendings(&a, year(), None, 100).await.unwrap();
    let approved = approved.iter().filter(|value| value.progress != Progress::Requested).count();
    assert_eq!((ledger.len(), approved), (2, 1));
}

/// Whoever writes past the program meets the schema.
async fn the_schema_refuses_what_must_not_happen(env: Env) {
    let store = &env.store;
    let mut line = open(store).await;
    let mut value = spending("s1", 600);
    change(store, "a", |set| set.put_spending(value.clone())).await.unwrap();
    let entry = value.approve(&mut line, hand("leader")).unwrap();
    (value.version, line.version) = (2, 2);
    change(store, "a", |set| set.put_spending(value).put_budget_line(line).add_ledger_entry(entry))
        .await
        .unwrap();
    for refused in [
        "UPDATE fund_entry SET amount = 1",
        "DELETE FROM fund_entry",
        "UPDATE fund_line SET available = available - 401",
        "UPDATE fund_line SET committed = committed - 601",
        "UPDATE fund_line SET spent = -1",
        "UPDATE fund_spending SET decided_by = requested_by",
        "UPDATE fund_spending SET state = 'disbursed', paid = 601",
        "UPDATE fund_spending SET state = 'disbursed', paid = 600, paid_by = decided_by",
    ] {
        assert!(!store.try_tamper(refused).await, "{refused}");
    }
    for accepted in [
        "UPDATE fund_line SET available = available - 400",
        "UPDATE fund_spending SET state = 'disbursed', paid = 600, paid_by = 'finance'",
    ] {
        assert!(store.try_tamper(accepted).await, "{accepted}");
    }
}
