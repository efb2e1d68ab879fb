//! The replacement of keys while the server serves: no call fails, a crash does not stop it, and afterwards the old keys open
//! nothing.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use linli_proto::v1;

use crate::built;
use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, identity_number, mask, request_id};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{Numbers, PATIENCE, refused};

/// The longest call of these servers, which a replacement waits for before it deletes a key.
const SHORT_CALLS: &str = "server.timeouts.request_ms = 1500";
/// Files: enough that sealing them anew takes several commits.
const FILES: u32 = 60;
/// Callers at a time.
const CALLERS: u64 = 4;

/// A site with files, each with an identity number, a phone and a note.
async fn files(client: &Client) -> Vec<String> {
    let site = client.site("s1").await;
    let mut residents = Vec::new();
    for number in 0..FILES {
        let dwelling = client.dwelling(&site, &format!("{}", 101 + number)).await;
        let file = v1::Resident {
            identity_number: identity_number("19400501", number),
            birth_date: String::new(),
            phone: format!("139{number:08}"),
            health_note: format!("note {number}"),
            ..elder(&dwelling, "秦安然")
        };
        residents.push(client.resident(file).await.name);
    }
    residents
}

/// Every file is found by its number and shows its name.
async fn hold(client: &Client, residents: &[String]) {
    for (number, resident) in (0..).zip(residents) {
        let found = client.ask(v1::ListResidentsRequest {
            parent: "sites/s1".to_owned(),
            identity_number: identity_number("19400501", number),
            ..Default::default()
        });
        let found = found.await.unwrap().residents;
        assert_eq!(found.iter().map(|file| &file.name).collect::<Vec<_>>(), [resident]);
        let file = client.ask(v1::GetResidentRequest { name: resident.clone(), ..Default::default() });
        assert_eq!(file.await.unwrap().display_name, "秦**");
    }
    assert_eq!(client.full(&residents[7]).await.health_note, "note 7");
}

async fn rotate(client: &Client, replace_root_key: bool) -> v1::KeyRotation {
    client.ask(v1::RotateKeysRequest { replace_root_key, ..Default::default() }).await.unwrap()
}

/// Waits until the newest replacement is finished.
async fn finished(client: &Client) -> v1::KeyRotation {
    let since = Instant::now();
    loop {
        let rotation = client.ask(v1::GetKeyRotationRequest {}).await.unwrap();
        if rotation.finish_time.is_some() {
            return rotation;
        }
        assert!(since.elapsed() < PATIENCE, "{rotation:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn linli(data: &Data, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(built::program("linli"));
    command.args(arguments).env("LINLI__KEYS__ROOT_KEY_FILE", data.root_key());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_and_the_old_root_key_opens_nothing_on_sqlite() {
    under_load(Data::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_and_the_old_root_key_opens_nothing_on_postgresql() {
    if let Some(data) = Data::postgres().await {
        under_load(data).await;
    }
}

async fn under_load(data: Data) {
    let server = Server::on(data.with(SHORT_CALLS)).await;
    let client = server.client();
    let residents = files(&client).await;
    refused(client.ask(v1::GetKeyRotationRequest {}).await, "NOT_FOUND");
    let with_root = v1::RotateKeysRequest { replace_root_key: true, ..Default::default() };
    refused(client.ask(with_root.clone()).await, "KEY_ROTATION_STATE");
    let (made, said) = linli(&server.data, &["keys", "init", "--next"]);
    assert!(made, "{said}");

    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (client, residents) = (server.client(), residents.clone());
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut turn = caller;
                while !stop.load(Ordering::Relaxed) {
                    turn += CALLERS;
                    one_turn(&client, &residents, turn).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=3 {
        let begun = rotate(&client, number == 1).await;
        assert_eq!((begun.number, begun.finish_time, begun.root_key_version), (number, None, 2));
        refused(client.ask(v1::RotateKeysRequest::default()).await, "KEY_ROTATION_STATE");
        let before = calls.load(Ordering::Relaxed);
        let done = finished(&client).await;
        assert_eq!((done.number, done.scopes_finished, done.scopes_total), (number, 2, 2));
        assert!(calls.load(Ordering::Relaxed) > before + 20, "the callers were at work");
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    hold(&client, &residents).await;
    let store = &server.app.store;
    for (table, column) in [("resident_cell", "cell"), ("fact", "cell"), ("history", "new_cell")] {
        let versions =
            format!("SELECT DISTINCT substr({column}, 3, 4) FROM {table} WHERE {column} IS NOT NULL");
        assert_eq!(store.texts(&versions).await, ["\\x00000004"], "{table}");
    }
    for table in ["site_key", "resident_key"] {
        let versions = store.key_texts(&format!("SELECT DISTINCT version FROM {{}}{table}")).await;
        assert_eq!(versions, ["4"], "{table}");
    }
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    store.verify_chain(&scope, None).await.unwrap();
    let entries = store.audit_entries(&linli_store::Scope::System, 0, 1000).await.unwrap();
    let noted = entries.iter().filter(|entry| entry.draft.method == "linli.v1.AdminService/RotateKeys");
    assert!(noted.filter(|entry| entry.draft.principal != "linli").count() >= 3, "who asked is on record");

    // Both keys lie there: the one that opens is taken. The old one alone opens nothing, the new one alone everything.
    let data = server.stop().await;
    let next = data.root_key().with_extension("key.next");
    let kept = std::fs::read(&next).unwrap();
    let child = Child::start(data);
    hold(&child.client(), &residents).await;
    let (data, said) = child.stop();
    assert!(said.contains("put it in the place of the old one"), "{said}");
    std::fs::remove_file(&next).unwrap();
    let Err(said) = Child::try_start(data.clone()) else { panic!("the old root key opens it") };
    assert!(said.contains("the root key does not open the key store"), "{said}");
    std::fs::write(data.root_key(), kept).unwrap();
    let child = Child::start(data);
    hold(&child.client(), &residents).await;
    child.stop();
}

/// What callers do all day, on files of their own.
async fn one_turn(client: &Client, residents: &[String], turn: u64) {
    let resident = &residents[usize::try_from(turn).unwrap() % residents.len()];
    let file = client.ask(v1::GetResidentRequest { name: resident.clone(), ..Default::default() });
    assert_eq!(file.await.unwrap().display_name, "秦**");
    let changed =
        v1::Resident { name: resident.clone(), phone: format!("138{turn:08}"), ..Default::default() };
    let change = v1::UpdateResidentRequest {
        resident: Some(changed),
        update_mask: mask(&["phone"]),
        request_id: request_id(turn),
    };
    let first = client.ask(change.clone()).await.unwrap();
    assert_eq!(client.ask(change).await.unwrap(), first, "an answer is kept under whatever key");
    let visit = contact(resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00", v1::Outcome::Done);
    client.record(visit).await;
    let found = client.ask(v1::ListResidentsRequest {
        parent: "sites/s1".to_owned(),
        phone: format!("138{turn:08}"),
        ..Default::default()
    });
    let found = found.await.unwrap().residents;
    assert_eq!(found.iter().map(|file| &file.name).collect::<Vec<_>>(), [resident]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_is_carried_on_on_sqlite() {
    killed(Data::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_is_carried_on_on_postgresql() {
    if let Some(data) = Data::postgres().await {
        killed(data).await;
    }
}

async fn killed(data: Data) {
    let mut numbers = Numbers::seeded("a_crash_in_the_middle_is_carried_on");
    let mut child = Child::start(data.with(SHORT_CALLS));
    let residents = files(&child.client()).await;
    assert!(linli(&child.data, &["keys", "init", "--next"]).0);
    let begun = rotate(&child.client(), true).await;
    let mut in_the_middle = 0;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(numbers.between(0, 400))).await;
        child = Child::start(child.kill());
        let client = child.client();
        hold(&client, &residents[..8]).await;
        let state = client.ask(v1::GetKeyRotationRequest {}).await.unwrap();
        assert_eq!(state.number, begun.number);
        in_the_middle += u32::from(state.finish_time.is_none());
    }
    assert!(in_the_middle > 0, "it was killed after the end only");
    finished(&child.client()).await;
    hold(&child.client(), &residents).await;
    let data = child.kill();
    std::fs::rename(data.root_key().with_extension("key.next"), data.root_key()).unwrap();
    let server = Server::on(data).await;
    for table in ["site_key", "resident_key"] {
        let versions = server.app.store.key_texts(&format!("SELECT DISTINCT version FROM {{}}{table}")).await;
        assert_eq!(versions, ["2"], "{table}");
    }
    hold(&server.client(), &residents).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_waits_for_the_end() {
    let child = Child::start(Data::sqlite().with("server.timeouts.request_ms = 500"));
    let (site, ..) = child.client().estate("s1").await;
    let token = child.data.folder().join("token");
    std::fs::write(&token, child.token()).unwrap();
    let endpoint = format!("http://{}", child.address);
    let arguments =
        ["keys", "rotate", "--lang", "en", "--endpoint", &endpoint, "--token-file", token.to_str().unwrap()];
    let (done, said) = linli(&child.data, &arguments);
    assert!(done && said.contains("every key was replaced"), "{said}");
    let (done, said) = linli(&child.data, &[&arguments[..], &["--replace-root-key"]].concat());
    assert!(!done && said.contains("linli keys init --next"), "{said}");
    assert_eq!(child.client().ask(v1::GetSiteRequest { name: site }).await.unwrap().name, "sites/s1");
    child.stop();
}
