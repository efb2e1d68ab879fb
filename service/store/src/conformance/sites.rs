//! Sites, dwellings, areas, posts, parameters, calendar days: what is put is read; versions guard.

use linli_core::calendar::DayKind;
use linli_core::id::{AreaId, FieldCode, PluginId, PostId, StaffId};
use linli_core::kind::Department;
use linli_core::resident::FactValue;
use linli_core::site::{Area, AreaKind, Post, PostHolder};

use super::*;
use crate::{Page, PluginParameters, Sites};

on_both!(round_trip, versions_guard, pages_cross_sites, foreign_rows_are_refused);

async fn round_trip(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let area = Area {
        site: site_id("a"),
        id: AreaId::new("gate").unwrap(),
        kind: AreaKind::Gate,
        title: line("东门"),
        building: None,
        created_at: at(0),
        version: 1,
    };
    let post = Post {
        site: site_id("a"),
        id: PostId::new("p1").unwrap(),
        title: line("一号楼管家"),
        department: Department::CustomerService,
        buildings: vec![line("1"), line("2")],
        holders: vec![PostHolder {
            staff: StaffId::new("steward-1").unwrap(),
            cover: true,
            from: day("2026-01-01"),
            to: Some(day("2026-12-31")),
        }],
        created_at: at(0),
        version: 1,
    };
    let values = [
        ("a", FactValue::Integer(-70)),
        ("b", FactValue::Bool(false)),
        ("c", FactValue::Date(day("1900-01-01"))),
        ("d", FactValue::Code("x".into())),
        ("e", FactValue::Text("长者".into())),
    ];
    let parameters = PluginParameters {
        site: site_id("a"),
        plugin: PluginId::new("cn.linli.elderly").unwrap(),
        values: values.map(|(code, value)| (FieldCode::new(code).unwrap(), value)).into_iter().collect(),
        updated_at: at(0),
        version: 1,
    };
    change(store, "a", |set| {
        set.put_area(area.clone()).put_post(post.clone()).put_plugin_parameters(parameters.clone());
        set.put_calendar_day(&site_id("a"), day("2026-03-17"), Some(DayKind::Rest));
        set.put_calendar_day(&site_id("a"), day("2026-03-21"), Some(DayKind::Work));
        set.require_site(&site_id("a")).require_dwelling(&site_id("a"), &dwelling("a", "d1").id)
    })
    .await
    .unwrap();
    change(store, "a", |set| set.put_calendar_day(&site_id("a"), day("2026-03-17"), None)).await.unwrap();

    assert_eq!(store.site(&site_id("a")).await.unwrap(), Some(site("a")));
    assert_eq!(store.site(&site_id("b")).await.unwrap(), None);
    assert_eq!(store.sites(None, 10).await.unwrap(), vec![site("a")]);
    assert_eq!(store.sites(Some("a"), 10).await.unwrap(), vec![]);
    assert_eq!(
        store.dwelling(&site_id("a"), &dwelling("a", "d1").id).await.unwrap(),
        Some(dwelling("a", "d1"))
    );
    let door = store.dwelling_at(&site_id("a"), &line("3"), Some(&line("2")), &line("d1")).await.unwrap();
    assert_eq!(door, Some(dwelling("a", "d1")));
    assert_eq!(store.dwelling_at(&site_id("a"), &line("3"), None, &line("d1")).await.unwrap(), None);
    assert_eq!(store.area(&site_id("a"), &area.id).await.unwrap(), Some(area.clone()));
    assert_eq!(store.areas(&Sites::All, &Page::first(5)).await.unwrap(), vec![area]);
    assert_eq!(store.post(&site_id("a"), &post.id).await.unwrap(), Some(post.clone()));
    assert_eq!(store.posts(&Sites::from(&site_id("a")), &Page::first(5)).await.unwrap(), vec![post]);
    assert_eq!(store.plugin_parameters(&site_id("a")).await.unwrap(), vec![parameters]);
    assert_eq!(store.calendar_days(&site_id("a")).await.unwrap(), vec![(day("2026-03-21"), DayKind::Work)]);
}

async fn versions_guard(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let put = async |version: u64, room: &str| {
        let value = Dwelling { version, room: line(room), ..dwelling("a", "d1") };
        change(store, "a", |set| set.put_dwelling(value)).await.map(drop)
    };
    assert_eq!(put(1, "x").await, Err(CommitError::Exists { what: "dwelling" }));
    assert_eq!(put(3, "x").await, Err(CommitError::Stale { what: "dwelling", current: 1 }));
    assert_eq!(put(2, "502").await, Ok(()));
    assert_eq!(put(2, "503").await, Err(CommitError::Stale { what: "dwelling", current: 2 }));
    let found = store.dwelling(&site_id("a"), &dwelling("a", "d1").id).await.unwrap().unwrap();
    assert_eq!((found.room, found.version), (line("502"), 2));

    let missing = Dwelling { version: 2, ..dwelling("a", "d9") };
    let result = change(store, "a", |set| set.put_dwelling(missing)).await.map(drop);
    assert_eq!(result, Err(CommitError::Missing { what: "dwelling" }));
    let result = change(store, "a", |set| set.require_dwelling(&site_id("a"), &dwelling("a", "d9").id)).await;
    assert_eq!(result.map(drop), Err(CommitError::Missing { what: "dwelling" }));

    // What fails leaves nothing, not even the parts that would have done.
    let before = store.dump().await;
    let result = change(store, "a", |set| {
        set.put_dwelling(dwelling("a", "d2")).put_dwelling(dwelling("a", "d1")).event("x", "sites/a")
    });
    assert_eq!(result.await.map(drop), Err(CommitError::Exists { what: "dwelling" }));
    assert_same_rows(&before, &store.dump().await, "a failed change set");
}

async fn pages_cross_sites(env: Env) {
    let store = &env.store;
    let mut expect = Vec::new();
    for site in ["a", "b", "c"] {
        make_site(store, site).await;
        for number in 0..7 {
            let id = format!("x{number}");
            change(store, site, |set| set.put_dwelling(dwelling(site, &id))).await.unwrap();
        }
        let ids = std::iter::once("d1".to_owned()).chain((0..7).map(|number| format!("x{number}")));
        expect.extend(ids.map(|id| (site.to_owned(), id)));
    }
    for limit in [1, 3, 8, 100] {
        let mut found: Vec<(String, String)> = Vec::new();
        loop {
            let page = match found.last() {
                Some((site, id)) => Page::after(site.as_str(), id.as_str(), limit),
                None => Page::first(limit),
            };
            let items = store.dwellings(&Sites::All, &page).await.unwrap();
            assert!(items.len() as u64 <= limit);
            if items.is_empty() {
                break;
            }
            found.extend(items.iter().map(|d| (d.site.as_str().to_owned(), d.id.as_str().to_owned())));
        }
        assert_eq!(found, expect, "pages of {limit}");
    }
    let among = |sites: &[&str]| Sites::Among(sites.iter().map(|site| site_id(site)).collect());
    let some = store.dwellings(&among(&["b", "none"]), &Page::after("a", "x9", 100)).await.unwrap();
    assert!(!some.is_empty() && some.iter().all(|dwelling| dwelling.site == site_id("b")));
    assert_eq!(store.dwellings(&among(&[]), &Page::first(5)).await.unwrap(), Vec::new());
    let one = store.dwellings(&Sites::One(site_id("b")), &Page::after("b", "x3", 2)).await.unwrap();
    assert_eq!(one.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["x4", "x5"]);
}

async fn foreign_rows_are_refused(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    let result = change(store, "a", |set| set.put_dwelling(dwelling("b", "d7"))).await.map(drop);
    assert_eq!(result, Err(CommitError::Database(crate::Fault::Constraint)));
}
