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

/// Two servers on one database, each with its writers, commit to the same sites at once.
#[test]
fn two_servers_share_a_database() {
    run(On::Postgres, async |env: Env| {
        // Both start at once, on an empty database of their own, and migrate it.
        let fresh = env.another_url().await;
        let (first, second) = tokio::join!(open(fresh.clone(), ROOT, 901), open(fresh, ROOT, 902));
        let stores = [first.unwrap(), second.unwrap()];
        for site in ["a", "b", "c"] {
            make_site(&stores[0], site).await;
        }
        let clients: Vec<_> = (0..12)
            .map(|client| {
                let store = stores[client % 2].clone();
                tokio::spawn(async move {
                    for number in 0..25 {
                        let site = ["a", "b", "c"][(client + number) % 3];
                        let id = format!("x{client}-{number}");
                        change(&store, site, |set| {
                            set.put_dwelling(dwelling(site, &id)).event("e", "sites/a")
                        })
                        .await
                        .unwrap();
                        // The same file, made by all: its key is the one that was first.
                        let made = change(&store, site, |set| {
                            set.create_resident(resident(site, &format!("r{}", number / 3)))
                        });
                        match made.await {
                            Ok(_) | Err(CommitError::Exists { .. }) => {}
                            Err(err) => panic!("{err}"),
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        for site in ["a", "b", "c"] {
            let scope = Scope::Site(site_id(site));
            let end = stores[1].verify_chain(&scope, None).await.unwrap();
            assert_eq!(stores[0].sequences(&scope).await.unwrap().0, end.seq);
            let events = stores[0].outbox_events(&scope, 0, 1000).await.unwrap();
            assert_eq!(events.len(), 100);
            assert!(events.iter().enumerate().all(|(index, event)| event.seq == index as i64 + 1));
            for (reading, store) in stores.iter().enumerate() {
                let receipt = disclose(store, site, &["r0", "r1", "r5"], FieldClass::ALL).await;
                let ids = ["r0", "r1", "r5"].map(resident_id);
                let found = store.residents_by_id(&site_id(site), &ids, FieldClasses::all()).await.unwrap();
                assert_eq!(found.len(), 3);
                let opener = store.opener(&receipt).await.unwrap();
                assert!(found.iter().all(|sealed| sealed.open(&opener).is_ok()), "server {reading}");
            }
        }
    });
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
