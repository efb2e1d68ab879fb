//! Events that go out by themselves: one server at a time takes them out, and a place never goes back.

use super::*;
use crate::SinkWork;

on_both!(one_server_at_a_time_takes_events_out, what_has_not_gone_out_is_found);

async fn one_server_at_a_time_takes_events_out(env: Env) {
    let store = &env.store;
    let take = async |holder: &str, from: i64, until: i64| {
        store.take_sink("nats", holder, (at(from), at(until))).await.unwrap()
    };
    assert!(take("a", 0, 10).await);
    assert_eq!(take("b", 5, 15).await, !store.shared(), "held; a process that is alone finds nobody alive");
    assert!(take("a", 6, 20).await || !store.shared(), "kept");
    assert!(store.take_sink("other", "b", (at(6), at(20))).await.unwrap(), "each sink by itself");
    assert!(take("b", 20, 30).await, "its time is over");
    store.leave_sink("nats", "a").await.unwrap();
    assert_eq!(take("a", 21, 30).await, !store.shared(), "who has not got it cannot give it back");
    store.leave_sink("nats", "b").await.unwrap();
    assert!(take("a", 22, 30).await, "given back");
}

async fn what_has_not_gone_out_is_found(env: Env) {
    let store = &env.store;
    let work = |site: &str, given| SinkWork { site: site_id(site), given };
    let all = async |sink: &str| store.sink_work(sink, None, 10).await.unwrap();
    let waiting = async |sink: &str| store.sink_waiting(sink).await.unwrap();
    make_site(store, "a").await;
    make_site(store, "b").await;
    assert_eq!((all("nats").await, waiting("nats").await), (vec![], 0), "nothing was told yet");
    for site in ["a", "a", "b"] {
        change(store, site, |set| set.event("done", "x")).await.unwrap();
    }
    let mut system = system_set();
    system.event("done", "staff/x");
    store.commit("test", system).await.unwrap();
    assert_eq!((all("nats").await, waiting("nats").await), (vec![work("a", None), work("b", None)], 3));
    // Of however many sites: from where the last look ended.
    let some = async |after: &str, limit| {
        let found = store.sink_work("nats", Some(&site_id(after)), limit).await.unwrap();
        found.into_iter().map(|work| work.site.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (some("a", 1).await, some("b", 1).await, some("a", 9).await),
        (vec!["b".into()], vec!["a".into()], vec!["b".into(), "a".into()])
    );
    store.note_given("nats", &site_id("a"), 1).await.unwrap();
    store.note_given("nats", &site_id("b"), 1).await.unwrap();
    assert_eq!((all("nats").await, waiting("nats").await), (vec![work("a", Some(1))], 1));
    assert_eq!((all("other").await.len(), waiting("other").await), (2, 3));
    // What had its time before anybody wanted it does not wait.
    assert_eq!(store.sweep_outbox(&Scope::Site(site_id("a")), Instant::MAX, 1).await.unwrap(), 1);
    assert_eq!(waiting("other").await, 2);
    store.note_given("nats", &site_id("a"), 2).await.unwrap();
    store.note_given("nats", &site_id("a"), 1).await.unwrap();
    assert_eq!(store.sink_position("nats", &site_id("a")).await.unwrap(), 2, "a place never goes back");
    assert_eq!(store.sink_position("other", &site_id("a")).await.unwrap(), 0);
    assert_eq!((all("nats").await, waiting("nats").await), (vec![], 0));
}
