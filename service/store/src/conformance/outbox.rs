//! Events for others: read from a place on, swept from the beginning, and whom the change behind one touched.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::{Fault, OutboxRead};

on_both!(
    events_are_read_from_a_place_and_swept,
    an_event_is_a_name,
    whom_a_change_touched_is_found,
    who_listens_is_woken,
);

fn seqs(read: &OutboxRead) -> Option<Vec<i64>> {
    match read {
        OutboxRead::Next(events) => Some(events.iter().map(|event| event.seq).collect()),
        OutboxRead::Gone => None,
    }
}

async fn tell(store: &Store, minutes: i64, count: usize) {
    let draft = AuditDraft { system_time: at(minutes), subjects: vec!["r1".into()], ..audit("Change") };
    let mut set = ChangeSet::new(Scope::Site(site_id("a")), 0, draft);
    for _ in 0..count {
        set.event("done", "sites/a");
    }
    store.commit("test", set).await.unwrap();
}

async fn events_are_read_from_a_place_and_swept(env: Env) {
    let store = &env.store;
    let scope = Scope::Site(site_id("a"));
    make_site(store, "a").await;
    let read = async |after| seqs(&store.read_outbox(&scope, after, 3).await.unwrap());
    assert_eq!((store.outbox_start(&scope).await.unwrap(), read(0).await), (0, Some(Vec::new())));
    assert_eq!(read(1).await, None, "ahead of everything");
    tell(store, 0, 4).await;
    tell(store, 10, 1).await;
    assert_eq!(read(0).await, Some(vec![1, 2, 3]));
    assert_eq!((read(3).await, read(5).await, read(6).await), (Some(vec![4, 5]), Some(Vec::new()), None));
    assert_eq!(store.sweep_outbox(&scope, at(0), i64::MAX).await.unwrap(), 0, "nothing is older");
    assert_eq!(store.sweep_outbox(&scope, at(1), 2).await.unwrap(), 2, "what has not gone out stays");
    assert_eq!((store.outbox_start(&scope).await.unwrap(), read(1).await, read(0).await), (2, None, None));
    assert_eq!(read(2).await, Some(vec![3, 4, 5]));
    assert_eq!(store.sweep_outbox(&scope, at(99), i64::MAX).await.unwrap(), 3);
    assert_eq!((store.outbox_start(&scope).await.unwrap(), read(4).await), (5, None), "nothing is kept");
    assert_eq!(read(5).await, Some(Vec::new()));
    tell(store, 11, 1).await;
    assert_eq!(read(5).await, Some(vec![6]));
    assert_eq!(store.sweep_outbox(&Scope::Site(site_id("b")), at(99), i64::MAX).await.unwrap(), 0);
}

/// Nothing but the name of something is told: ids, and the words of ours around them.
async fn an_event_is_a_name(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    for resource in ["", "秦安然", "sites/a/residents/秦安然", "a b", "a@b.example", "+8613800000000"] {
        let refused = change(store, "a", |set| set.event("done", resource)).await;
        assert!(matches!(refused, Err(CommitError::Database(Fault::Constraint))), "{resource}: {refused:?}");
    }
    change(store, "a", |set| set.event("done", "sites/a/plugins/cn.linli.elderly")).await.unwrap();
}

async fn whom_a_change_touched_is_found(env: Env) {
    let store = &env.store;
    let scope = Scope::Site(site_id("a"));
    make_site(store, "a").await;
    tell(store, 0, 2).await;
    let event = store.outbox_events(&scope, 0, 1).await.unwrap().remove(0);
    let expected = HashMap::from([(event.audit_seq, vec!["r1".to_owned()])]);
    assert_eq!(store.touched_by(&scope, &[event.audit_seq, 999]).await.unwrap(), expected);
    assert!(store.touched_by(&scope, &[]).await.unwrap().is_empty());
}

async fn who_listens_is_woken(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let mut listener = store.listen(&Scope::Site(site_id("a")));
    change(store, "a", |set| set).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(20), listener.woken()).await;
    assert!(quiet.is_err(), "a read wakes nobody");
    tell(store, 0, 1).await;
    listener.woken().await;
    change(store, "a", |set| set.bump_epoch()).await.unwrap();
    listener.woken().await;
}
