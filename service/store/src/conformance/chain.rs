//! The audit chain and the events: gap-free, in commit order, and every kind of forgery noticed.

use super::*;
use crate::audit::{body, chain};
use crate::{ChainError, GENESIS};

on_both!(
    entries_say_what_was_done,
    entries_are_append_only,
    the_ledger_shows_the_chains_as_they_lie,
    forgeries_are_noticed,
    events_keep_commit_order
);

async fn entries_say_what_was_done(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let draft = AuditDraft {
        principal: "guard-2".into(),
        method: "linli.v1.ResidentService/RevealResident".into(),
        resource: "sites/a/residents/r1".into(),
        subjects: vec!["r1".into(), "r2".into()],
        classes: FieldClasses::of(&[FieldClass::Contact, FieldClass::Health]),
        purpose: "care_visit".into(),
        decision: Decision::Denied,
        request_id: "0190".into(),
        care_time: at(7),
        system_time: at(8),
    };
    let set = ChangeSet::new(Scope::Site(site_id("a")), 0, draft.clone());
    let receipt = store.disclose("test", set).await.unwrap();
    let entries = store.audit_entries(&Scope::Site(site_id("a")), 0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
    let last = entries.last().unwrap();
    assert_eq!((&last.draft, last.change), (&draft, [0; 32]));
    assert_eq!((last.seq, last.hash), (receipt.audit_seq(), receipt.audit_hash()));
    // The canonical bytes are what they are said to be.
    assert_eq!(last.body, body("a", 2, &draft.tail(&[0; 32])));
    assert_eq!(entries[0].hash, chain(&GENESIS, &entries[0].body));
    assert_eq!(last.hash, chain(&entries[0].hash, &last.body));
    assert_ne!(entries[0].change, [0; 32], "a change has a hash");
    let end = store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap();
    assert_eq!((end.seq, end.hash), (2, last.hash));
    let system = store.audit_entries(&Scope::System, 0, 10).await.unwrap();
    assert_eq!(system.len(), 1, "the creation of the site is in the system's chain");
}

async fn entries_are_append_only(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let statements = [
        "UPDATE audit_entry SET hash = body WHERE site = 'a'",
        "UPDATE audit_entry SET seq = seq + 1 WHERE site = 'a'",
        "DELETE FROM audit_entry WHERE site = 'a' AND seq = 1",
        "DELETE FROM audit_entry",
    ];
    for sql in statements {
        assert!(!store.try_tamper(sql).await, "{sql}");
    }
    if env.on == On::Postgres {
        assert!(!store.try_tamper("TRUNCATE audit_entry").await);
    }
    assert_eq!(store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap().seq, 1);
    // The refusals are the guards' doing.
    store.unguard().await;
    assert!(store.try_tamper("DELETE FROM audit_entry").await);
}

async fn the_ledger_shows_the_chains_as_they_lie(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    disclose(store, "a", &["r1"], &[FieldClass::Contact]).await;
    let ledger = store.ledger();
    let heads = ledger.heads().await.unwrap();
    assert_eq!(heads.keys().collect::<Vec<_>>(), ["*system", "a"]);
    assert_eq!(heads["a"].seq, 2);
    assert_eq!(ledger.sites().await.unwrap(), ["*system", "a"]);
    let entries = ledger.entries("a", 0, 10).await.unwrap();
    assert_eq!(crate::entry_place(&entries[1].body), Some(("a", 2)));
    assert_eq!(crate::entry_hash(&GENESIS, &entries[0].body).as_slice(), entries[0].hash);
    assert_eq!(crate::entry_hash(&entries[0].hash, &entries[1].body), heads["a"].hash);
    assert_eq!(ledger.entries("a", 1, 10).await.unwrap(), entries[1..]);
    // Every key has a place of its own, and the newest anchor takes the place of the one before.
    assert_eq!(ledger.anchored("k1").await.unwrap(), None);
    for (key, number) in [("k1", 1), ("k2", 7), ("k1", 2)] {
        ledger.remember_anchor(key, number, &[7; 32]).await.unwrap();
        assert_eq!(ledger.anchored(key).await.unwrap(), Some((number, vec![7; 32])));
    }
    assert_eq!(ledger.anchored("k2").await.unwrap(), Some((7, vec![7; 32])));
}

async fn forgeries_are_noticed(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    store.unguard().await;
    for _ in 0..8 {
        disclose(store, "a", &["r1"], &[FieldClass::Contact]).await;
    }
    let a = Scope::Site(site_id("a"));
    let end = store.verify_chain(&a, None).await.unwrap();
    assert_eq!(end.seq, 9);
    let site = || "a".to_owned();
    store.tamper("CREATE TABLE kept AS SELECT * FROM audit_entry").await;
    let swap = "UPDATE audit_entry SET seq = CASE seq WHEN 4 THEN 105 WHEN 5 THEN 104 ELSE seq END WHERE site = 'a'; \
                UPDATE audit_entry SET seq = seq - 100 WHERE seq > 100";
    let forged = [
        (
            "a body changed",
            "UPDATE audit_entry SET body = (SELECT body FROM kept WHERE seq = 4 AND site = 'a') WHERE seq = 3 AND site = 'a'",
            Some(ChainError::Store(crate::StoreError::Row { table: "audit_entry" })),
        ),
        (
            "a hash changed",
            "UPDATE audit_entry SET hash = (SELECT hash FROM kept WHERE seq = 4 AND site = 'a') WHERE seq = 3 AND site = 'a'",
            Some(ChainError::Hash { site: site(), seq: 3 }),
        ),
        (
            "an entry dropped",
            "DELETE FROM audit_entry WHERE seq = 4 AND site = 'a'",
            Some(ChainError::Gap { site: site(), expected: 4, found: 5 }),
        ),
        (
            "the first dropped",
            "DELETE FROM audit_entry WHERE seq = 1 AND site = 'a'",
            Some(ChainError::Gap { site: site(), expected: 1, found: 2 }),
        ),
        (
            "the tail cut off",
            "DELETE FROM audit_entry WHERE seq > 7 AND site = 'a'",
            Some(ChainError::Tail { site: site(), expected: 9, found: 7 }),
        ),
        ("two swapped", swap, None),
        (
            "the head moved back",
            "UPDATE site_head SET audit_seq = 7 WHERE site = 'a'",
            Some(ChainError::Tail { site: site(), expected: 7, found: 9 }),
        ),
    ];
    let number = forged.len();
    for (what, sql, expect) in forged {
        for statement in sql.split(';') {
            store.tamper(statement).await;
        }
        let found = store.verify_chain(&a, None).await;
        match (found, expect) {
            (Ok(_), _) => panic!("{what}: not noticed"),
            (Err(found), Some(expect)) => assert_eq!(format!("{found:?}"), format!("{expect:?}"), "{what}"),
            (Err(_), None) => {}
        }
        store.tamper("DELETE FROM audit_entry").await;
        store.tamper("INSERT INTO audit_entry SELECT * FROM kept").await;
        store.tamper("UPDATE site_head SET audit_seq = 9 WHERE site = 'a'").await;
        assert!(store.verify_chain(&a, None).await.is_ok(), "{what}: mended");
    }
    assert_eq!(number, 7);
    // Verification from a trusted point sees what came after it only.
    let entries = store.audit_entries(&a, 0, 100).await.unwrap();
    let trusted = crate::ChainHead { seq: 5, hash: entries[4].hash };
    assert_eq!(store.verify_chain(&a, Some(trusted)).await.unwrap(), end);
}

async fn events_keep_commit_order(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                change(&store, "a", |set| {
                    set.event("first", format!("sites/a/x/{number}"))
                        .event("second", format!("sites/a/x/{number}"))
                })
                .await
                .unwrap()
            })
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap());
    }
    let events = store.outbox_events(&Scope::Site(site_id("a")), 0, 1000).await.unwrap();
    assert_eq!(events.len(), 80);
    for (index, pair) in events.chunks(2).enumerate() {
        let [first, second] = pair else { panic!("pairs") };
        assert_eq!((first.seq, second.seq), (index as i64 * 2 + 1, index as i64 * 2 + 2));
        assert_eq!((first.kind.as_str(), second.kind.as_str()), ("first", "second"));
        assert_eq!((&first.resource, first.audit_seq), (&second.resource, second.audit_seq));
        assert_eq!((first.care_time, first.system_time), (at(0), at(1)));
        let receipt = receipts.iter().find(|receipt| receipt.audit_seq() == first.audit_seq).unwrap();
        assert_eq!(receipt.event_seq(), second.seq);
    }
    let later = store.outbox_events(&Scope::Site(site_id("a")), 78, 1000).await.unwrap();
    assert_eq!(later.iter().map(|event| event.seq).collect::<Vec<_>>(), [79, 80]);
    assert_eq!(store.sequences(&Scope::Site(site_id("a"))).await.unwrap().1, 80);
}
