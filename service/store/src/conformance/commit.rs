//! Committing: repeated requests, epochs, concurrency.

use secrecy::{ExposeSecret, SecretSlice};

use super::*;
use crate::{Fault, RequestDraft};

on_both!(
    a_repeated_request_gets_its_answer,
    rights_that_changed_stop_old_decisions,
    concurrent_updates_lose_nothing,
    one_bad_change_set_spoils_no_other,
);

fn request(id: &str, hash: u8, answer: &str) -> RequestDraft {
    RequestDraft {
        method: "linli.v1.Test/Change".into(),
        request_id: id.into(),
        request_hash: [hash; 32],
        answer: SecretSlice::from(answer.as_bytes().to_vec()),
    }
}

async fn commit_request(
    store: &Store,
    principal: &str,
    request: RequestDraft,
    minutes: i64,
) -> Result<Option<String>, CommitError> {
    let draft = AuditDraft { principal: principal.into(), system_time: at(minutes), ..audit("Change") };
    let mut set = ChangeSet::new(Scope::Site(site_id("a")), 0, draft);
    set.request(request).event("done", "sites/a");
    let committed = store.commit("test", set).await?;
    Ok(committed.into_repeated().map(|answer| String::from_utf8(answer.expose_secret().to_vec()).unwrap()))
}

async fn a_repeated_request_gets_its_answer(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let commit = async |principal: &str, id: &str, hash: u8, answer: &str, minutes: i64| {
        commit_request(store, principal, request(id, hash, answer), minutes).await
    };
    assert_eq!(commit("x", "q1", 1, "first", 0).await, Ok(None));
    let rows = store.dump().await;
    assert_eq!(commit("x", "q1", 1, "second", 5).await, Ok(Some("first".into())));
    assert_eq!(commit("x", "q1", 2, "second", 5).await, Err(CommitError::RequestIdReused));
    assert_same_rows(&rows, &store.dump().await, "a repetition");
    assert_eq!(commit("y", "q1", 2, "other", 5).await, Ok(None), "another principal's id");
    assert_eq!(commit("x", "q2", 2, "third", 5).await, Ok(None), "another id");

    let kept = async |id: &str, hash: u8, minutes: i64| {
        let method = ("linli.v1.Test/Change", id);
        let scope = Scope::Site(site_id("a"));
        let found = store.kept_answer(&scope, "x", method, &[hash; 32], at(minutes)).await?;
        Ok(found.map(|answer| String::from_utf8(answer.expose_secret().to_vec()).unwrap()))
    };
    const WEEK: i64 = 7 * 24 * 60;
    assert_eq!(kept("q1", 1, WEEK - 1).await, Ok(Some("first".into())));
    assert_eq!(kept("q1", 2, 0).await, Err(CommitError::RequestIdReused));
    assert_eq!(kept("q3", 1, 0).await, Ok(None));
    assert_eq!(kept("q1", 1, WEEK).await, Ok(None), "after seven days");
    // An expired answer that was not swept yet gives way.
    assert_eq!(commit("x", "q1", 3, "anew", WEEK).await, Ok(None));
    assert_eq!(kept("q1", 3, WEEK).await, Ok(Some("anew".into())));
    assert_eq!(store.sweep_answers(at(WEEK + 5)).await.unwrap(), 2);
    assert_eq!(store.sweep_answers(at(WEEK + 5)).await.unwrap(), 0);

    // Many at once: one is carried out, all get its answer.
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                commit_request(&store, "x", request("q9", 1, &number.to_string()), 0).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1);
    let given: std::collections::BTreeSet<_> = answers.into_iter().flatten().collect();
    assert_eq!(given.len(), 1, "all the same answer");
}

async fn rights_that_changed_stop_old_decisions(env: Env) {
    let store = &env.store;
    let a = Scope::Site(site_id("a"));
    assert_eq!(store.authz_epoch(&a).await.unwrap(), None);
    assert_eq!(store.authz_epoch(&Scope::System).await.unwrap(), Some(0));
    make_site(store, "a").await;
    make_site(store, "b").await;
    assert_eq!(store.authz_epoch(&a).await.unwrap(), Some(0));
    change(store, "a", |set| set.bump_epoch()).await.unwrap();
    assert_eq!(store.authz_epoch(&a).await.unwrap(), Some(1));
    let old = change(store, "a", |set| set.put_dwelling(dwelling("a", "d2"))).await.map(drop);
    assert_eq!(old, Err(CommitError::EpochChanged { current: 1 }));
    let read = store.disclose("test", set("a")).await.map(drop);
    assert_eq!(read, Err(CommitError::EpochChanged { current: 1 }), "audited reads too");
    let mut fresh = ChangeSet::new(a, 1, audit("Change"));
    fresh.put_dwelling(dwelling("a", "d2"));
    assert!(store.commit("test", fresh).await.is_ok());
    assert!(change(store, "b", |set| set.put_dwelling(dwelling("b", "d2"))).await.is_ok(), "other sites");
}

async fn concurrent_updates_lose_nothing(env: Env) {
    let store = &env.store;
    for site in ["a", "b", "c"] {
        make_site(store, site).await;
    }
    // Each of 8 clients raises a counter 15 times in each of 3 sites, reading and writing under the version's guard.
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut conflicts = 0_u32;
                for step in 0..45 {
                    let site = ["a", "b", "c"][(client + step) % 3];
                    loop {
                        let mut value =
                            store.dwelling(&site_id(site), &dwelling(site, "d1").id).await.unwrap().unwrap();
                        let count: u32 = value.room.as_str().trim_start_matches('d').parse().unwrap();
                        value.version += 1;
                        value.room = line(&format!("d{}", count + 1));
                        match change(&store, site, |set| set.put_dwelling(value)).await {
                            Ok(_) => break,
                            Err(CommitError::Stale { .. }) => conflicts += 1,
                            Err(err) => panic!("{err}"),
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for client in clients {
        conflicts += client.await.unwrap();
    }
    assert!(conflicts > 20, "the clients met {conflicts} times only");
    for site in ["a", "b", "c"] {
        let value = store.dwelling(&site_id(site), &dwelling(site, "d1").id).await.unwrap().unwrap();
        assert_eq!((value.version, value.room.as_str()), (121, "d121"));
        store.verify_chain(&Scope::Site(site_id(site)), None).await.unwrap();
    }
}

async fn one_bad_change_set_spoils_no_other(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    change(store, "a", |set| set.add_record(record("a", "taken", "r1", 0))).await.unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = store.clone();
            let id = if number % 8 == 3 { "taken".to_owned() } else { format!("v{number}") };
            tokio::spawn(async move {
                let value = record("a", &id, "r1", number);
                (number, change(&store, "a", |set| set.add_record(value)).await.map(drop))
            })
        })
        .collect();
    for task in tasks {
        let (number, result) = task.await.unwrap();
        let expect = if number % 8 == 3 { Err(CommitError::Database(Fault::Duplicate)) } else { Ok(()) };
        assert_eq!(result, expect, "{number}");
    }
    let end = store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap();
    assert_eq!(end.seq, 3 + 28);
}
