//! Backups under load, and what comes back of them elsewhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use linli_core::id::SiteId;
use linli_proto::v1;

use crate::built;
use crate::harness::client::Client;
use crate::harness::estate::{contact, elder};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{Numbers, holds, refused};

/// What a restoration needs beside the backup.
const BESIDE: [&str; 4] = ["root.key", "audit.anchors", "anchor.key", "erasures.log"];

/// `linli restore` into a folder; exit code and words.
fn restore(folder: &Path, backup: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(built::program("linli"));
    command.arg("restore").arg(backup).args(more);
    for (key, name) in [
        ("LINLI__STORE__SQLITE__PATH", "linli.db"),
        ("LINLI__KEYS__ROOT_KEY_FILE", "root.key"),
        ("LINLI__AUDIT__ANCHOR_FILE", "audit.anchors"),
        ("LINLI__AUDIT__ANCHOR_KEY_FILE", "anchor.key"),
        ("LINLI__AUDIT__ERASURE_FILE", "erasures.log"),
    ] {
        command.env(key, folder.join(name));
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Another machine, to which the newest copies were brought.
fn elsewhere(from: &Path) -> Data {
    let data = Data::sqlite();
    for name in BESIDE {
        std::fs::copy(from.join(name), data.folder().join(name)).unwrap();
    }
    data
}

async fn backup(client: &Client) -> PathBuf {
    client.ask(v1::BackupRequest::default()).await.unwrap().path.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_before_a_backup_under_load_comes_back_elsewhere() {
    let child = Child::start(Data::sqlite());
    let client = child.client();
    let (_, _, resident) = client.estate("s1").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (client, resident, stop) = (child.client(), resident.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let time = "2026-03-16T08:00:00+08:00";
                    let visit = contact(&resident, v1::ServiceKind::PhoneCall, time, v1::Outcome::Done);
                    written.push((std::time::Instant::now(), client.record(visit).await.name));
                }
                written
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let before = std::time::Instant::now();
    let token = child.data.folder().join("token");
    std::fs::write(&token, child.token()).unwrap();
    let endpoint = format!("http://{}", child.address);
    let output = Command::new(built::program("linli"))
        .args(["backup", "--lang", "en", "--endpoint", &endpoint, "--token-file"])
        .arg(&token)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    let made = PathBuf::from(said.split('`').nth(1).unwrap());
    assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o600);
    stop.store(true, Ordering::Relaxed);
    let mut records = Vec::new();
    for writer in writers {
        records.extend(writer.await.unwrap());
    }
    let acknowledged: Vec<String> =
        records.into_iter().filter(|(at, _)| *at < before).map(|(_, name)| name).collect();
    assert!(acknowledged.len() > 20, "{} records", acknowledged.len());
    let (from, _) = child.stop();

    let there = elsewhere(from.folder());
    let (code, said) = restore(there.folder(), &made, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("older than the last anchor") && said.contains("--older"), "{said}");
    assert!(!there.database().exists(), "nothing is left of a refusal");
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("are kept in"), "{said}");
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(2), "a store is there: {said}");

    let server = Server::on(there).await;
    let client = server.client();
    for name in &acknowledged {
        client.ask(v1::GetRecordRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    }
    assert_eq!(client.full(&resident).await.state(), v1::FileState::Active);
    let scope = linli_store::Scope::from(&SiteId::new("s1").unwrap());
    server.app.store.verify_chain(&scope, None).await.unwrap();
    let entries = server.app.store.audit_entries(&linli_store::Scope::System, 0, 1000).await.unwrap();
    assert!(entries.iter().any(|entry| entry.draft.method == "linli restore"), "it is on record");
    server.app.audit.verify().await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_erased_after_a_backup_stays_erased() {
    let server = Server::start().await;
    let client = server.client();
    let (_, dwelling, staying) = client.estate("s1").await;
    let gone = client
        .resident(v1::Resident { health_note: "左膝旧伤".to_owned(), ..elder(&dwelling, "华静好") })
        .await
        .name;
    let made = backup(&client).await;
    client.ask(v1::EraseFileRequest { name: gone.clone(), ..Default::default() }).await.unwrap();
    let proof = client.ask(v1::GetErasureCertificateRequest { name: gone.clone() }).await.unwrap();
    let from = server.stop().await;

    let there = elsewhere(from.folder());
    std::fs::remove_file(there.folder().join("erasures.log")).unwrap();
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("people who were erased would come back"), "{said}");
    std::fs::copy(from.folder().join("erasures.log"), there.folder().join("erasures.log")).unwrap();
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 erased again"), "{said}");

    let server = Server::on(there).await;
    let client = server.client();
    let shown =
        client.ask(v1::GetResidentRequest { name: gone.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(shown.state(), v1::FileState::Erased);
    let id = gone.rsplit('/').next().unwrap();
    let keys = format!("SELECT resident FROM {{}}resident_key WHERE resident = '{id}'");
    assert!(server.app.store.key_texts(&keys).await.is_empty());
    let again = client.ask(v1::GetErasureCertificateRequest { name: gone }).await.unwrap();
    assert_eq!((again.erase_time, again.author), (proof.erase_time, proof.author));
    assert_eq!(client.full(&staying).await.state(), v1::FileState::Active);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_backups_and_wrong_keys_are_refused() {
    let mut numbers = Numbers::seeded("damaged_backups_and_wrong_keys_are_refused");
    let server = Server::start().await;
    server.client().estate("s1").await;
    let made = backup(&server.client()).await;
    let bytes = std::fs::read(&made).unwrap();
    assert!(!holds(&bytes, "resident_identity"), "nothing of it is in clear");
    let from = server.stop().await;
    let there = elsewhere(from.folder());
    let bad = there.folder().join("bad.backup");
    let refuse = |bytes: &[u8], what: &str, codes: &[i32]| {
        std::fs::write(&bad, bytes).unwrap();
        let (code, said) = restore(there.folder(), &bad, &["--older"]);
        assert!(code.is_some_and(|code| codes.contains(&code)), "{what}: {code:?} {said}");
        assert!(!there.database().exists(), "{what}: something is left");
    };
    for _ in 0..24 {
        let at = usize::try_from(numbers.between(0, bytes.len() as u64 - 1)).unwrap();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << numbers.between(0, 7);
        refuse(&flipped, &format!("a flipped bit at {at}"), &[1, 2]);
    }
    let mut appended = bytes.clone();
    appended.extend([0; 16]);
    refuse(&appended, "something after the end", &[1]);
    for length in [0, 3, 40, bytes.len() / 2, bytes.len() - 1] {
        refuse(&bytes[..length], &format!("cut off at {length}"), &[1, 2]);
    }
    let key = std::fs::read_to_string(there.root_key()).unwrap();
    let other = if key.starts_with('0') { key.replacen('0', "1", 1) } else { format!("0{}", &key[1..]) };
    std::fs::write(there.root_key(), other).unwrap();
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the root key does not open it"), "{said}");
    std::fs::write(there.root_key(), key).unwrap();
    let (code, said) = restore(there.folder(), &made, &["--older"]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_go_when_their_time_is_over_and_leave_nothing_in_clear() {
    let server = Server::start().await;
    let client = server.client();
    client.site("s1").await;
    let made = backup(&client).await;
    let folder = made.parent().unwrap();
    let names = || {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let kept = made.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(names(), [kept.as_str()], "no copy in clear is left");
    for name in ["linli-20200101T000000000000Z.backup", "notes.txt"] {
        std::fs::write(folder.join(name), "x").unwrap();
    }
    for end in ["database", "keys", "part"] {
        std::fs::write(folder.join(format!("linli-20200101T000000000000Z.backup.{end}")), "x").unwrap();
    }
    server.app.upkeep_round().await.unwrap();
    assert_eq!(names(), [kept.as_str(), "notes.txt"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_backup_is_made_while_keys_are_replaced() {
    let server = Server::start().await;
    let client = server.client();
    client.site("s1").await;
    client.ask(v1::RotateKeysRequest::default()).await.unwrap();
    refused(client.ask(v1::BackupRequest::default()).await, "KEY_ROTATION_STATE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_makes_its_own() {
    let Some(data) = Data::postgres().await else { return };
    let server = Server::on(data).await;
    let refusal = refused(server.client().ask(v1::BackupRequest::default()).await, "BACKUP_ELSEWHERE");
    assert!(refusal.message.contains("pg_basebackup"), "{refusal:?}");
    server.stop().await;
}
