//! Opening, restarting, refusing to start.

use sea_orm_migration::MigratorTrait;

use super::*;
use crate::OpenError;
use crate::migration::Migrator;

on_both!(
    a_restart_keeps_everything,
    the_wrong_root_key_is_refused,
    the_schema_is_checked,
    a_closed_store_says_so
);

async fn a_restart_keeps_everything(env: Env) {
    make_site(&env.store, "a").await;
    change(&env.store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    let before = env.store.dump().await;
    let env = env.reopen().await;
    assert_same_rows(&before, &env.store.dump().await, "after a restart");
    env.store.ready().await.unwrap();
    change(&env.store, "a", |set| set.add_record(record("a", "v1", "r1", 0))).await.unwrap();
    env.store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap();
}

async fn the_wrong_root_key_is_refused(env: Env) {
    let config = env.config();
    close(env.store.clone()).await;
    drop(env.store);
    // What was refused has let go of the database: whoever comes next with the right key, at once, finds it free.
    for _ in 0..10 {
        let wrong = open(config.clone(), &ROOT.replace("00", "ff"), 1).await;
        assert!(matches!(wrong, Err(OpenError::WrongRootKey)), "{wrong:?}");
        close(open(config.clone(), ROOT, 1).await.unwrap()).await;
    }
}

async fn the_schema_is_checked(env: Env) {
    let config = match env.config() {
        StoreConfig::Sqlite { path, readers, .. } => StoreConfig::Sqlite { path, readers, migrate: false },
        StoreConfig::Postgres { url, keys_url, readers, .. } => {
            StoreConfig::Postgres { url, keys_url, readers, migrate: false }
        }
    };
    env.store.tamper("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)").await;
    let ready = env.store.ready().await;
    assert!(matches!(ready, Err(OpenError::SchemaNew)), "{ready:?}");
    env.store.tamper("DELETE FROM seaql_migrations").await;
    let ready = env.store.ready().await;
    let all = Migrator::migrations().len();
    assert!(
        matches!(ready, Err(OpenError::SchemaOld { found: 0, expected }) if expected == all),
        "{ready:?}"
    );
    close(env.store.clone()).await;
    drop(env.store);
    let opened = open(config, ROOT, 1).await;
    assert!(matches!(opened, Err(OpenError::SchemaOld { .. })), "{opened:?}");
}

async fn a_closed_store_says_so(env: Env) {
    make_site(&env.store, "a").await;
    let clone = env.store.clone();
    env.store.close().await;
    let result = clone.commit("test", set("a")).await.map(drop);
    assert!(matches!(result, Err(CommitError::Stopped | CommitError::Seal(_))), "{result:?}");
}

/// PostgreSQL crashes under load, three times: what was acknowledged is there, nothing is half there, and the store
/// goes on by itself.
#[test]
fn a_crashed_server_loses_nothing() {
    let Some(cluster) = Postgres::start() else { return };
    let cluster = Arc::new(cluster);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let env = Env::on(On::Postgres, Some(Arc::clone(&cluster))).await;
        make_site(&env.store, "a").await;
        change(&env.store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let clients: Vec<_> = (0..8)
                .map(|client| {
                    let store = env.store.clone();
                    tokio::spawn(async move {
                        let mut done = Vec::new();
                        for number in 0..400 {
                            let id = format!("v{round}-{client}-{number}");
                            let value = record("a", &id, "r1", number);
                            match change(&store, "a", |set| set.add_record(value).event("e", "sites/a")).await
                            {
                                Ok(_) => done.push(id),
                                Err(_) => break,
                            }
                        }
                        done
                    })
                })
                .collect();
            tokio::time::sleep(std::time::Duration::from_millis(150 + 70 * round)).await;
            let crashing = Arc::clone(&cluster);
            tokio::task::spawn_blocking(move || crashing.crash_and_restart()).await.unwrap();
            for client in clients {
                acknowledged.extend(client.await.unwrap());
            }
            let mut tries = 0;
            while change(&env.store, "a", |set| set.event("back", "sites/a")).await.is_err() {
                tries += 1;
                assert!(tries < 50, "the store does not recover");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        assert!(acknowledged.len() >= 100, "{} commits only", acknowledged.len());
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await; // idle readers now look before they leap
        let rows = env.store.dump().await;
        let stored = &rows["record"];
        assert_eq!(stored.len(), rows["record_subject"].len(), "no half records");
        for id in &acknowledged {
            assert!(stored.iter().any(|row| row.contains(&format!("|{id}|"))), "`{id}` is lost");
        }
        let end = env.store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap();
        assert_eq!(
            i64::try_from(rows["outbox_event"].len()).unwrap(),
            env.store.sequences(&Scope::Site(site_id("a"))).await.unwrap().1
        );
        assert_eq!(
            end.seq,
            i64::try_from(stored.len()).unwrap() + 3 + 2,
            "an entry for each record, the rounds, dwelling and file"
        );
    });
}

/// No room for another page: writes and audited reads are refused and leave nothing; with room they go on, without a
/// restart.
#[test]
fn a_full_disk_refuses_and_recovers() {
    run(On::Sqlite, async |env: Env| {
        let store = &env.store;
        make_site(store, "a").await;
        change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
        let pages: u64 = store.sqlite_text("PRAGMA page_count").await[0].parse().unwrap();
        store.tamper(&format!("PRAGMA max_page_count = {}", pages + 3)).await;
        let (mut done, mut refused) = (0, 0);
        for round in 0..40 {
            // Groups, so that one that does not fit takes others with it.
            let writes: Vec<_> = (0..16)
                .map(|number| {
                    let (store, id) = (store.clone(), format!("v{round}-{number}"));
                    tokio::spawn(async move {
                        let value = record("a", &id, "r1", number);
                        change(&store, "a", |set| set.add_record(value).event("e", "sites/a")).await
                    })
                })
                .collect();
            for write in writes {
                match write.await.unwrap() {
                    Ok(_) => done += 1,
                    Err(err) => {
                        assert_eq!(err, CommitError::Database(crate::Fault::Full));
                        refused += 1;
                    }
                }
            }
        }
        assert!(done > 0 && refused > 100, "{done} done, {refused} refused");
        let read = AuditDraft { purpose: "x".repeat(9000), ..audit("Read") };
        let scope = Scope::Site(site_id("a"));
        let refused = store.disclose("test", ChangeSet::new(scope.clone(), 0, read.clone())).await.map(drop);
        assert_eq!(refused, Err(CommitError::Database(crate::Fault::Full)), "no audit, no answer");
        assert!(!store.failed());
        let rows = store.dump().await;
        assert_eq!((rows["record"].len(), rows["outbox_event"].len()), (done, done));

        store.tamper("PRAGMA max_page_count = 1000000").await;
        store.disclose("test", ChangeSet::new(scope.clone(), 0, read)).await.unwrap();
        change(store, "a", |set| set.add_record(record("a", "last", "r1", 0))).await.unwrap();
        store.verify_chain(&scope, None).await.unwrap();
    });
}

#[test]
fn a_second_server_is_refused() {
    run(On::Sqlite, async |env: Env| {
        let second = open(env.config(), ROOT, 1).await;
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    });
}

#[test]
fn files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    run(On::Sqlite, async |env: Env| {
        make_site(&env.store, "a").await;
        let mut seen = 0;
        for entry in std::fs::read_dir(env.directory.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
            seen += 1;
        }
        assert!(seen >= 3, "database, keys, lock");
        assert!(env.file().is_file());
    });
}

#[test]
fn root_keys_come_from_private_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = ScratchDir::new();
    let path = directory.path().join("root.key");
    let random = SeededRandom::new(1);
    let made = RootKey::from_file_or_new(&path, &random).unwrap();
    let read = RootKey::from_file_or_new(&path, &SeededRandom::new(2)).unwrap();
    assert_eq!(made.key().bytes(), read.key().bytes());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(RootKey::from_file(&path), Err(OpenError::KeyFileMode { .. })));
    let missing = RootKey::from_file(&directory.path().join("none"));
    assert!(matches!(missing, Err(OpenError::File { .. })));
    for bad in ["", "00", &ROOT.replace('a', "g"), &format!("{ROOT}0")] {
        assert!(matches!(RootKey::from_hex(bad), Err(OpenError::KeyFormat)), "{bad}");
    }
    assert_eq!(format!("{made:?}"), "RootKey(Key(..))");
}
