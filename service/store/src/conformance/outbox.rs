//! Events for others: read from a place on, swept from the beginning, and whom the change behind one touched.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::{Fault, OutboxPlace, OutboxRead};

on_both!(
    events_are_read_from_a_place_and_swept,
    the_start_is_before_what_is_kept,
    a_place_is_of_one_history,
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
    let read = async |after| seqs(&store.read_outbox(&scope, OutboxPlace::after(after), 3).await.unwrap());
    assert_eq!((store.outbox_start(&scope).await.unwrap().seq, read(0).await), (0, Some(Vec::new())));
    assert_eq!(read(1).await, None, "ahead of everything");
    tell(store, 0, 4).await;
    tell(store, 10, 1).await;
    assert_eq!(read(0).await, Some(vec![1, 2, 3]));
    assert_eq!((read(3).await, read(5).await, read(6).await), (Some(vec![4, 5]), Some(Vec::new()), None));
    assert_eq!(store.sweep_outbox(&scope, at(0), i64::MAX).await.unwrap(), 0, "nothing is older");
    assert_eq!(store.sweep_outbox(&scope, at(1), 2).await.unwrap(), 2, "what has not gone out stays");
    assert_eq!(
        (store.outbox_start(&scope).await.unwrap().seq, read(1).await, read(0).await),
        (2, None, None)
    );
    assert_eq!(read(2).await, Some(vec![3, 4, 5]));
    assert_eq!(store.sweep_outbox(&scope, at(99), i64::MAX).await.unwrap(), 3);
    assert_eq!((store.outbox_start(&scope).await.unwrap().seq, read(4).await), (5, None), "nothing is kept");
    assert_eq!(read(5).await, Some(Vec::new()));
    tell(store, 11, 1).await;
    assert_eq!(read(5).await, Some(vec![6]));
    assert_eq!(store.sweep_outbox(&Scope::Site(site_id("b")), at(99), i64::MAX).await.unwrap(), 0);
}

/// Looked for while events come and go: never after one that is kept.
async fn the_start_is_before_what_is_kept(env: Env) {
    let store = &env.store;
    let scope = Scope::Site(site_id("a"));
    make_site(store, "a").await;
    let is_over = std::cell::Cell::new(false);
    let writing = async {
        for _ in 0..100 {
            tell(store, 0, 1).await;
            while store.sweep_outbox(&scope, at(99), i64::MAX).await.unwrap() > 0 {}
        }
        is_over.set(true);
    };
    let looking = async {
        while !is_over.get() {
            let start = store.outbox_start(&scope).await.unwrap().seq;
            let kept = store.outbox_events(&scope, start - 1, 1).await.unwrap();
            assert!(kept.first().is_none_or(|first| first.seq > start), "{start} is passed over");
        }
    };
    tokio::join!(writing, looking, async {
        while !is_over.get() {
            store.outbox_end(&scope).await.unwrap();
        }
    });
}

/// Numbers come again in a database that was put back by an older one; what they are of is told by their time.
async fn a_place_is_of_one_history(env: Env) {
    let store = &env.store;
    let scope = Scope::Site(site_id("a"));
    make_site(store, "a").await;
    assert_eq!(store.outbox_end(&scope).await.unwrap(), OutboxPlace::after(0));
    tell(store, 0, 1).await;
    tell(store, 1, 1).await;
    let place = store.outbox_end(&scope).await.unwrap();
    assert_eq!(place, OutboxPlace { seq: 2, recorded: Some(at(1)) });
    assert_eq!(place, store.outbox_events(&scope, 1, 1).await.unwrap().remove(0).place());
    let read = async |place| seqs(&store.read_outbox(&scope, place, 3).await.unwrap());
    assert_eq!(read(place).await, Some(Vec::new()));
    store.tamper("DELETE FROM outbox_event WHERE seq = 2").await;
    store.tamper("UPDATE site_head SET event_seq = 1 WHERE site = 'a'").await;
    assert_eq!(read(place).await, None, "ahead of everything");
    let reopened = env.reopen().await;
    let store = &reopened.store;
    let read = async |place| seqs(&store.read_outbox(&scope, place, 3).await.unwrap());
    tell(store, 2, 3).await;
    assert_eq!(read(place).await, None, "another event has its number");
    assert_eq!(read(OutboxPlace { seq: 1, recorded: Some(at(0)) }).await, Some(vec![2, 3, 4]));
    assert_eq!(store.sweep_outbox(&scope, at(3), 3).await.unwrap(), 3);
    assert_eq!(
        read(OutboxPlace { seq: 3, recorded: Some(at(2)) }).await,
        Some(vec![4]),
        "its own event had its time"
    );
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
