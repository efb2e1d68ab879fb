//! Overrides, waivers and care plans: what is put is read, words open under a receipt, nothing is decided twice.

use linli_core::applied::WaiverCause;
use linli_core::care_plan::{CarePlan, PlanDecision, PlanItem, PlanWords, Revision};
use linli_core::id::{FieldCode, OverrideId, StandardCode, WaiverId};
use linli_core::kind::{EventKind, KindSet, Occasion};
use linli_core::staff::Signed;
use linli_core::standard::{Duty, OccasionRef, Period, Within};
use linli_core::standard_override::StandardOverride;
use linli_core::stricter::Numbers;
use linli_core::waiver::StandardWaiver;

use super::*;
use crate::CareRange;

on_both!(overrides_of_every_sort, waivers_and_their_reasons, plans_are_decided_once);

fn signed(by: &str, minutes: i64) -> Signed {
    Signed { by: StaffId::new(by).unwrap(), at: at(minutes) }
}

fn code(text: &str) -> StandardCode {
    StandardCode::new(text).unwrap()
}

/// Numbers of every sort.
fn all_numbers() -> Vec<Numbers> {
    let mut duties: Vec<Duty> =
        [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year, Period::EveryDays(10)]
            .map(|per| Duty::Recurring { at_least: 3, per, distinct_days: true })
            .into();
    for within in [Within::Minutes(5), Within::Hours(24), Within::Days(15)] {
        duties.push(Duty::Triggered { on: EventKind::Discharged, within, any_match: true });
    }
    let of_site = OccasionRef::Site(FieldCode::new("founding_day").unwrap());
    for occasion in [OccasionRef::BuiltIn(Occasion::DoubleNinth), of_site] {
        duties.push(Duty::Seasonal { occasion, lead_days: 7, tail_days: 0 });
    }
    let accepts =
        [None, Some(KindSet::EMPTY), Some(KindSet::of(&[ServiceKind::HomeVisit, ServiceKind::PhoneCall]))];
    let both = duties.iter().flat_map(|duty| accepts.map(|accepts| Numbers { duty: duty.clone(), accepts }));
    both.collect()
}

/// A waiver and a decided plan of `r1`, who is there: a cell in each sealed column.
pub(super) async fn fill(store: &Store) {
    let decision = PlanDecision {
        approved: false,
        signed: signed("wang", 5),
        reason: Some(line("planted-decision-secret")),
    };
    change(store, "a", |set| set.put_waiver(waiver("w1", "r1")).add_plan(plan(Vec::new()), words(1)))
        .await
        .unwrap();
    change(store, "a", |set| set.decide_plan(&site_id("a"), &resident_id("r1"), Revision::FIRST, decision))
        .await
        .unwrap();
}

/// What they say, opened.
pub(super) async fn opened(store: &Store, opener: &crate::Opener<'_>) -> String {
    let (a, r1) = (site_id("a"), [resident_id("r1")]);
    let mut said = Vec::new();
    for stored in store.waivers(&a, &r1).await.unwrap() {
        said.extend(opener.open_option(stored.reason.as_ref()).unwrap().map(|text| text.as_str().to_owned()));
    }
    for stored in store.plans(&a, &r1).await.unwrap() {
        let PlanWords { reasons, cautions, note } = opener.open(&stored.words).unwrap();
        said.extend(reasons.iter().chain(&cautions).map(|text| text.as_str().to_owned()));
        said.extend(note.map(|text| text.as_str().to_owned()));
        let reason = opener.open_option(stored.decision_reason.as_ref()).unwrap();
        said.extend(reason.map(|text| text.as_str().to_owned()));
    }
    said.join(" ")
}

fn waiver(id: &str, resident: &str) -> StandardWaiver {
    StandardWaiver {
        site: site_id("a"),
        resident: resident_id(resident),
        id: WaiverId::new(id).unwrap(),
        standard: code("elder.call"),
        cause: WaiverCause::Refused,
        reason: Some(line("planted-waiver-secret")),
        from: day("2026-03-16"),
        until: day("2026-04-01"),
        requested: signed("lin", 0),
        approved: None,
        ended: None,
        version: 1,
    }
}

/// The first revision of `r1`.
fn plan(items: Vec<PlanItem>) -> CarePlan {
    CarePlan {
        site: site_id("a"),
        resident: resident_id("r1"),
        revision: Revision::FIRST,
        items,
        from: day("2026-03-16"),
        submitted: signed("lin", 0),
        decision: None,
    }
}

/// The words of a plan with so many items.
fn words(items: usize) -> PlanWords {
    PlanWords {
        reasons: vec![line("planted-reason-secret"); items],
        cautions: vec![line("planted-caution-secret")],
        note: Some(paragraph("planted-plan-secret")),
    }
}

async fn overrides_of_every_sort(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    let mut expect = Vec::new();
    for (number, numbers) in all_numbers().into_iter().enumerate() {
        let looser = number % 2 == 0;
        expect.push(StandardOverride {
            site: site_id("a"),
            id: OverrideId::new(&format!("o{number:02}")).unwrap(),
            standard: code("elder.call"),
            numbers,
            looser,
            reason: line("志愿者每周另访一次"),
            from: day("2026-03-16"),
            until: looser.then(|| day("2026-04-01")),
            proposed: signed("lin", 0),
            approved: None,
            retired: None,
            version: 1,
        });
    }
    for value in &expect {
        change(store, "a", |set| set.put_override(value.clone())).await.unwrap();
    }
    assert_eq!(store.overrides(&site_id("a")).await.unwrap(), expect);
    assert_eq!(store.overrides(&site_id("b")).await.unwrap(), []);
    let approved = StandardOverride { version: 2, approved: Some(signed("wang", 5)), ..expect[0].clone() };
    change(store, "a", |set| set.put_override(approved.clone())).await.unwrap();
    let again = change(store, "a", |set| set.put_override(approved.clone())).await.map(drop);
    assert_eq!(again, Err(CommitError::Stale { what: "override", current: 2 }));
    let retired = StandardOverride { version: 3, retired: Some(signed("lin", 9)), ..approved };
    change(store, "a", |set| set.put_override(retired.clone())).await.unwrap();
    assert_eq!(store.overrides(&site_id("a")).await.unwrap()[0], retired);
    // Not even the database lets somebody approve what they asked for.
    let own = StandardOverride { version: 2, approved: Some(signed("lin", 9)), ..expect[1].clone() };
    let own = change(store, "a", |set| set.put_override(own)).await.map(drop);
    assert_eq!(own, Err(CommitError::Database(crate::Fault::Constraint)));
}

async fn waivers_and_their_reasons(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_site(store, "a").await;
    for id in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    let (first, second) = (waiver("w1", "r1"), waiver("w2", "r2"));
    change(store, "a", |set| set.put_waiver(first.clone()).put_waiver(second.clone())).await.unwrap();
    let decided = StandardWaiver {
        version: 2,
        approved: Some(signed("wang", 5)),
        ended: Some(signed("lin", 9)),
        ..first.clone()
    };
    change(store, "a", |set| set.put_waiver(decided.clone())).await.unwrap();
    let stale = change(store, "a", |set| set.put_waiver(decided.clone())).await.map(drop);
    assert_eq!(stale, Err(CommitError::Stale { what: "waiver", current: 2 }));

    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Care]).await;
    let opener = store.opener(&receipt).await.unwrap();
    let stored = store.waiver(&a, &first.resident, &first.id).await.unwrap().unwrap();
    let reason = opener.open_option(stored.reason.as_ref()).unwrap();
    assert_eq!(StandardWaiver { reason, ..stored.waiver }, decided);
    let both = store.waivers(&a, &[resident_id("r1"), resident_id("r2")]).await.unwrap();
    assert_eq!(both.iter().map(|stored| stored.waiver.id.as_str()).collect::<Vec<_>>(), ["w1", "w2"]);
    assert_eq!(opener.open_option(both[1].reason.as_ref()), Err(crate::SealError::NotCovered));
    assert!(store.waiver(&a, &first.resident, &second.id).await.unwrap().is_none());

    let range = CareRange { from: at(0), to: at(1) };
    let care = store.care_of(&a, &[resident_id("r1"), resident_id("r2")], range).await.unwrap();
    assert_eq!(care[0].waivers, [StandardWaiver { reason: None, ..decided }]);
    assert_eq!(care[1].waivers, [StandardWaiver { reason: None, ..second }]);
}

async fn plans_are_decided_once(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_site(store, "a").await;
    for id in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    let items = all_numbers().into_iter().enumerate();
    let items = items.map(|(at, numbers)| PlanItem { standard: code(&format!("elder.x{at}")), numbers });
    let first = plan(items.collect());
    let words = words(first.items.len());
    let second = CarePlan { revision: Revision::FIRST.next(), items: Vec::new(), ..first.clone() };
    change(store, "a", |set| set.add_plan(first.clone(), words.clone())).await.unwrap();
    change(store, "a", |set| set.add_plan(second.clone(), PlanWords::default())).await.unwrap();
    let again = change(store, "a", |set| set.add_plan(first.clone(), words.clone())).await.map(drop);
    assert_eq!(again, Err(CommitError::Exists { what: "plan" }));

    let decision = PlanDecision {
        approved: false,
        signed: signed("wang", 5),
        reason: Some(line("planted-decision-secret")),
    };
    let decide = async |revision: Revision| {
        let build = |set: &mut ChangeSet| {
            set.decide_plan(&site_id("a"), &resident_id("r1"), revision, decision.clone());
        };
        change(store, "a", |set| {
            build(set);
            set
        })
        .await
        .map(drop)
    };
    decide(Revision::FIRST).await.unwrap();
    assert_eq!(decide(Revision::FIRST).await, Err(CommitError::Exists { what: "plan" }));
    let third = Revision::FIRST.next().next();
    assert_eq!(decide(third).await, Err(CommitError::Missing { what: "plan" }));

    let stored = store.plans(&a, &[resident_id("r1"), resident_id("r2")]).await.unwrap();
    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Care]).await;
    let opener = store.opener(&receipt).await.unwrap();
    assert_eq!(opener.open(&stored[0].words).unwrap(), words);
    assert_eq!(opener.open(&stored[1].words).unwrap(), PlanWords::default());
    assert_eq!(opener.open_option(stored[0].decision_reason.as_ref()).unwrap(), decision.reason);
    let bare = PlanDecision { reason: None, ..decision };
    let plans: Vec<CarePlan> = stored.into_iter().map(|stored| stored.plan).collect();
    assert_eq!(plans, [CarePlan { decision: Some(bare), ..first }, second]);
    let other = disclose(store, "a", &["r2"], &[FieldClass::Care]).await;
    let stored = store.plans(&a, &[resident_id("r1")]).await.unwrap();
    let closed = store.opener(&other).await.unwrap().open(&stored[0].words).map(drop);
    assert_eq!(closed, Err(crate::SealError::NotCovered));

    let range = CareRange { from: at(0), to: at(1) };
    let care = store.care_of(&a, &[resident_id("r1"), resident_id("r2")], range).await.unwrap();
    assert_eq!((care[0].plans.as_slice(), care[1].plans.len()), (plans.as_slice(), 0));
}
