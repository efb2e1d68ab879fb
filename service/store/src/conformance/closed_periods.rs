//! Closed periods: what is closed is read, once, and stands; which records were corrected since.

use std::collections::BTreeSet;

use linli_core::compliance::{Cell, ClosedPeriod, Frozen, Promise, ReportPeriod, Tally, VisitRate};
use linli_core::id::{GroupCode, PostId, RecordId, StandardCode};
use linli_core::kind::Tier;
use linli_core::staff::Signed;
use linli_core::standard::Period;
use linli_core::text::Label;
use linli_core::time::DateRange;

use super::*;

on_both!(what_is_closed_stands, corrections_are_found);

fn closed(period: &str) -> ClosedPeriod {
    let standard = StandardCode::new("elder.visit").unwrap();
    let cells = [
        Cell::All,
        Cell::Group(GroupCode::new("living_alone").unwrap()),
        Cell::Tier(Tier::Key),
        Cell::Post(PostId::new("p1").unwrap()),
    ];
    let figures = cells.into_iter().zip(1_u64..).map(|(cell, met)| Frozen {
        standard: standard.clone(),
        cell,
        tally: Tally { met, met_late: 2, missed: 3, pending: 4, excused: 5, late_entries: 6, late_pauses: 7 },
    });
    ClosedPeriod {
        site: site_id("a"),
        period: ReportPeriod::new(period).unwrap(),
        closed: Signed { by: StaffId::new("deputy").unwrap(), at: at(9) },
        figures: figures.collect(),
        promises: vec![Promise {
            code: standard,
            title: Label::new("每周走访", "weekly visit"),
            department: Department::CustomerService,
        }],
        visits: Some(VisitRate { residents: 9, visited: 8, away: 1 }),
    }
}

async fn what_is_closed_stands(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let a = site_id("a");
    let (month, quarter) = (closed("2026-03"), ClosedPeriod { visits: None, ..closed("2026-q1") });
    for period in [&month, &quarter] {
        change(store, "a", |set| set.close_period(period.clone())).await.unwrap();
        assert_eq!(store.closed_period(&a, period.period).await.unwrap().as_ref(), Some(period));
    }
    let again = change(store, "a", |set| set.close_period(month.clone())).await;
    assert!(matches!(again, Err(CommitError::Exists { what: "period" })), "{again:?}");
    assert_eq!(store.closed_period(&a, ReportPeriod::new("2026-04").unwrap()).await.unwrap(), None);
    assert_eq!(store.closed_period(&site_id("b"), month.period).await.unwrap(), None);
    let year = DateRange::new(day("2026-01-01"), day("2027-01-01"));
    assert_eq!(store.closed_periods(&a, Period::Month, year).await.unwrap(), [month]);
    assert_eq!(store.closed_periods(&a, Period::Week, year).await.unwrap(), []);
    for refused in ["UPDATE closed_period SET closed_at = 1", "DELETE FROM closed_period"] {
        assert!(!store.try_tamper(refused).await, "{refused}");
    }
}

async fn corrections_are_found(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    let a = site_id("a");
    for id in ["v1", "v2"] {
        change(store, "a", |set| set.add_record(record("a", id, "r1", 0))).await.unwrap();
    }
    let all = (Instant::MIN, Instant::MAX);
    assert_eq!(store.corrected_since(&a, all, Instant::MIN).await.unwrap(), BTreeSet::new());
    let id = RecordId::new("v1").unwrap();
    let old = store.record(&a, &id).await.unwrap().unwrap();
    let new = ServiceRecord { version: 2, recorded_at: at(50), voided: true, ..old.record.clone() };
    let occurred = new.occurred_at;
    change(store, "a", |set| set.correct_record(old, new)).await.unwrap();
    let check = async |range, since, expect: &[&RecordId]| {
        let found = store.corrected_since(&a, range, since).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expect);
    };
    check(all, at(49), &[&id]).await;
    check(all, at(50), &[]).await;
    check((occurred, occurred.plus_minutes(1)), Instant::MIN, &[&id]).await;
    check((occurred.plus_minutes(1), Instant::MAX), Instant::MIN, &[]).await;
    assert_eq!(store.corrected_since(&site_id("b"), all, Instant::MIN).await.unwrap(), BTreeSet::new());
}
