//! Facilities: what is put is read, versions guard, lists are paged.

use linli_core::facility::{Facility, FacilityKind};
use linli_core::id::FacilityId;

use super::*;
use crate::{Page, Sites};

on_both!(round_trip);

async fn round_trip(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let facility = |id: &str| Facility {
        site: site_id("a"),
        id: FacilityId::new(id).unwrap(),
        kind: FacilityKind::Ramp,
        title: line("3栋东侧坡道"),
        building: Some(line("3")),
        created_at: at(0),
        retired_on: None,
        version: 1,
    };
    let (mut first, second) = (facility("f1"), facility("f2"));
    change(store, "a", |set| set.put_facility(first.clone()).put_facility(second.clone())).await.unwrap();
    let (a, ids) = (site_id("a"), [first.id.clone(), FacilityId::new("none").unwrap()]);
    assert_eq!(store.facilities_by_id(&a, &ids).await.unwrap(), [first.clone()]);
    assert_eq!(store.facilities_by_id(&a, &[]).await.unwrap(), vec![]);
    first.version = 2;
    first.building = None;
    first.kind = FacilityKind::TactilePaving;
    first.retired_on = Some(day("2026-04-01"));
    change(store, "a", |set| set.require_facility(&a, &second.id).put_facility(first.clone())).await.unwrap();
    assert_eq!(store.facility(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    let stale = change(store, "a", |set| set.put_facility(first.clone())).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "facility", current: 2 })), "{stale:?}");
    let absent = change(store, "a", |set| set.require_facility(&a, &ids[1])).await;
    assert!(matches!(absent, Err(CommitError::Missing { what: "facility" })), "{absent:?}");
    let sites = Sites::from(&a);
    assert_eq!(store.facilities(&sites, &Page::first(1)).await.unwrap(), [first]);
    assert_eq!(store.facilities(&sites, &Page::after("a", "f1", 5)).await.unwrap(), [second]);
}
