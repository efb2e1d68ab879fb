//! Activities: what is put is read, versions guard, and what they cost is found by the spendings that name them.

use linli_core::activity::{Activity, ActivityCourse, ActivityKind, Attendance};
use linli_core::fund::{Cause, Fen, FundYear, Hand, Progress, Spending};
use linli_core::id::{ActivityId, GroupCode, LineId, RecordId, SpendingId};
use linli_core::kind::Occasion;
use linli_core::staff::Signed;

use super::*;
use crate::{Page, Sites};

on_both!(round_trip, spendings_are_found_by_what_they_are_for);

fn activity_id(id: &str) -> ActivityId {
    ActivityId::new(id).unwrap()
}

fn signed(minutes: i64) -> Signed {
    Signed { by: StaffId::new("lin").unwrap(), at: at(minutes) }
}

fn activity(id: &str) -> Activity {
    Activity {
        site: site_id("a"),
        id: activity_id(id),
        kind: ActivityKind::Visit,
        title: line("重阳节慰问"),
        occasion: Some(Occasion::DoubleNinth),
        day: day("2026-10-15"),
        place: Some(line("会所")),
        groups: vec![GroupCode::new("living_alone").unwrap(), GroupCode::new("advanced_age").unwrap()],
        budget: Some(Fen::new(50_000).unwrap()),
        planned: signed(0),
        course: ActivityCourse::Planned,
        version: 1,
    }
}

async fn round_trip(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let (a, mut first) = (site_id("a"), activity("a1"));
    let bare = Activity {
        kind: ActivityKind::Event,
        occasion: None,
        place: None,
        groups: Vec::new(),
        budget: None,
        course: ActivityCourse::Cancelled { reason: line("暴雨"), noted: signed(9) },
        ..activity("a2")
    };
    change(store, "a", |set| set.put_activity(first.clone()).put_activity(bare.clone())).await.unwrap();
    assert_eq!(store.activity(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.activity(&site_id("b"), &first.id).await.unwrap(), None);
    first.version = 2;
    first.course = ActivityCourse::Held { at: at(5), noted: signed(6) };
    change(store, "a", |set| set.require_activity(&a, &bare.id).put_activity(first.clone())).await.unwrap();
    let stale = change(store, "a", |set| set.put_activity(first.clone())).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "activity", current: 2 })), "{stale:?}");
    let absent = change(store, "a", |set| set.require_activity(&a, &activity_id("none"))).await;
    assert!(matches!(absent, Err(CommitError::Missing { what: "activity" })), "{absent:?}");
    let sites = Sites::from(&a);
    assert_eq!(store.activities(&sites, &Page::first(1)).await.unwrap(), [first]);
    assert_eq!(store.activities(&sites, &Page::after("a", "a1", 5)).await.unwrap(), [bare]);

    let attendance = |record: &str, staff: &[&str]| Attendance {
        site: site_id("a"),
        activity: activity_id("a1"),
        record: RecordId::new(record).unwrap(),
        staff: staff.iter().map(|id| StaffId::new(id).unwrap()).collect(),
        recorded_at: at(7),
    };
    let (one, two) = (attendance("v1", &["lin", "wu"]), attendance("v2", &[]));
    change(store, "a", |set| set.add_attendance(one.clone()).add_attendance(two.clone())).await.unwrap();
    let id = activity_id("a1");
    assert_eq!(store.attendances(&a, &id, None, 1).await.unwrap(), std::slice::from_ref(&one));
    assert_eq!(store.attendances(&a, &id, Some(&one.record), 9).await.unwrap(), [two]);
    assert_eq!(store.attendances(&a, &activity_id("a2"), None, 9).await.unwrap(), []);
}

async fn spendings_are_found_by_what_they_are_for(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let spending = |id: &str, year: i32, cause: Option<Cause>| Spending {
        site: site_id("a"),
        year: FundYear::from_number(year).unwrap(),
        id: SpendingId::new(id).unwrap(),
        line: LineId::new("gifts").unwrap(),
        title: line("慰问品"),
        amount: Fen::new(100).unwrap(),
        cause,
        people: 0,
        requested: Hand { by: StaffId::new("lin").unwrap(), at: at(0) },
        progress: Progress::Requested,
        version: 1,
    };
    let of = |id: &str| Some(Cause::Activity(activity_id(id)));
    let same_id = Cause::Request(linli_core::id::RequestId::new("a1").unwrap());
    let all = [
        spending("p1", 2026, of("a1")),
        spending("p2", 2027, of("a1")),
        spending("p3", 2026, of("a2")),
        spending("p4", 2026, Some(same_id)),
        spending("p5", 2026, None),
    ];
    change(store, "a", |set| {
        for spending in &all {
            set.put_spending(spending.clone());
        }
        set
    })
    .await
    .unwrap();
    let found = async |ids: &[&str]| {
        let ids: Vec<ActivityId> = ids.iter().map(|id| activity_id(id)).collect();
        let found = store.spendings_for(&site_id("a"), &ids).await.unwrap();
        found.iter().map(|spending| spending.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["a1"]).await, ["p1", "p2"]);
    assert_eq!(found(&["a1", "a2", "a3"]).await, ["p1", "p3", "p2"]);
    assert_eq!(found(&[]).await, Vec::<String>::new());
}
