//! Planted personal values are sent through every RPC, good calls and bad ones; then they are looked for wherever
//! they must not be. The looking itself is shown to find what must be there.

use std::collections::BTreeSet;
use std::path::Path;

use linli_proto::v1;
use linli_service::server::assemble::OsRandom;
use linli_store::{RootKey, Scope, Store, StoreConfig};

use crate::harness::client::RPCS;
use crate::harness::estate::{elder, mask};
use crate::harness::server::{Child, Data, Server};
use crate::harness::story::{self, Words};
use crate::harness::{holds, refused};

/// The values found in `bytes`, as UTF-8 or UTF-16 (the little-endian way in which Windows and spreadsheets write it),
/// or spelled in hexadecimal or base64.
fn found_in<'a>(bytes: &[u8], values: &[&'a str]) -> Vec<&'a str> {
    let is_there = |value: &&&str| {
        let utf16: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let escaped = value.escape_unicode().to_string();
        holds(bytes, value) || holds(bytes, utf16) || holds(bytes, hex) || holds(bytes, escaped)
    };
    values.iter().filter(is_there).copied().collect()
}

/// Every file below a folder, whatever it is called.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: std::path::PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![(path.display().to_string(), std::fs::read(&path).unwrap())]
        }
    };
    entries.flat_map(below).collect()
}

/// Sends every call of the story again, bent so that it fails: in a site that does not exist, by an outsider, without
/// credentials, cut off in the middle, and with each value as text where text is not expected.
async fn misbehave(child: &Child, steps: &[story::Step], words: &Words) -> Vec<u8> {
    let (member, outsider) = (child.client().purposeful(), child.outsider());
    let nobody = crate::harness::client::Client::new(&child.address);
    let mut said = Vec::new();
    let mut refusals = BTreeSet::new();
    let mut note = |path: &'static str, answer: Result<Vec<u8>, tonic::Status>| {
        if let Err(status) = answer {
            refusals.insert(path);
            said.extend_from_slice(status.message().as_bytes());
            said.extend_from_slice(status.details());
            said.extend_from_slice(format!("{:?}", status.metadata()).as_bytes());
        }
    };
    for step in steps {
        note(step.path, member.bytes(step.path, step.elsewhere()).await);
        note(step.path, member.bytes(step.path, step.request.clone()).await);
        note(step.path, outsider.bytes(step.path, step.request.clone()).await);
        note(step.path, nobody.bytes(step.path, step.request.clone()).await);
        let cut = step.request.len() / 2;
        note(step.path, member.bytes(step.path, step.request[..cut].to_vec()).await);
    }
    assert_eq!(refusals, RPCS.iter().copied().collect(), "every RPC was made to fail");
    // The values themselves as names, tokens, ids, purposes, headers.
    for value in words.all() {
        let get = |name: &str| v1::GetResidentRequest { name: name.to_owned(), view: 3 };
        let list = v1::ListResidentsRequest {
            parent: format!("sites/{value}"),
            page_token: value.to_owned(),
            care_group: value.to_owned(),
            dwelling: value.to_owned(),
            identity_number: value.to_owned(),
            phone: value.to_owned(),
            ..Default::default()
        };
        let create = v1::CreateResidentRequest {
            parent: format!("sites/{}", story::SITE),
            resident: Some(v1::Resident {
                phone: value.to_owned(),
                identity_number: value.to_owned(),
                birth_date: value.to_owned(),
                move_in_date: value.to_owned(),
                facts: vec![v1::Fact { field: value.to_owned(), ..Default::default() }],
                ..elder(value, value)
            }),
            request_id: value.to_owned(),
            ..Default::default()
        };
        let update = v1::UpdateResidentRequest {
            resident: Some(v1::Resident {
                name: value.to_owned(),
                etag: value.to_owned(),
                ..Default::default()
            }),
            update_mask: mask(&[value]),
            ..Default::default()
        };
        let mut statuses = vec![
            member.ask(get(value)).await.err(),
            member.ask(list).await.err(),
            member.ask(create).await.err(),
            member.ask(update).await.err(),
        ];
        if value.is_ascii() {
            let odd = member.with("x-purpose", value);
            statuses.push(odd.ask(get("sites/story/residents/x")).await.err());
            let odd = member.with("authorization", &format!("Bearer {value}"));
            statuses.push(odd.ask(v1::ListSitesRequest::default()).await.err());
            let path = format!("linli.v1.{}/{}", "ResidentService", value.replace(' ', "%20"));
            statuses.push(member.path::<_, v1::Site>(&path, v1::ListSitesRequest::default()).await.err());
        }
        for status in statuses {
            let status = status.unwrap_or_else(|| panic!("`{value}` is accepted where it makes no sense"));
            said.extend_from_slice(status.message().as_bytes());
            said.extend_from_slice(status.details());
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_value_is_found_in_any_log_error_or_file() {
    let words = Words::planted();
    let planted = words.all();
    let (data, second) = story::staged(Data::sqlite().with("log.level = \"debug\""));
    let child = Child::start(data);
    let steps = story::tell(&child.client(), &second, &words).await;
    let errors = misbehave(&child, &steps, &words).await;
    assert_eq!(found_in(&errors, &planted), [""; 0], "in errors and trailers");
    assert_eq!(found_in(&errors, &["linli"]), ["linli"], "the looking finds what is there");

    let metrics = child.metrics();
    assert_eq!(found_in(metrics.as_bytes(), &planted), [""; 0], "in the figures");
    assert_eq!(found_in(metrics.as_bytes(), &["CreateResident"]), ["CreateResident"]);

    // Killed, so that the write-ahead log is there to be searched.
    let said = child.said();
    let data = child.kill();
    assert_eq!(found_in(said.as_bytes(), &planted), [""; 0], "in the log");
    for control in ["linli.v1.ResidentService/CreateResident", "DEBUG"] {
        assert_eq!(found_in(said.as_bytes(), &[control]), [control], "the log is as talkative as it gets");
    }
    let files = files(data.folder());
    let endings: Vec<&str> = files.iter().filter_map(|(path, _)| path.rsplit('/').next()).collect();
    for name in ["linli.db", "linli.db-wal", "linli.db.keys"] {
        assert!(endings.contains(&name), "{name} in {endings:?}");
    }
    for (path, bytes) in &files {
        assert_eq!(found_in(bytes, &planted), [""; 0], "in {path}");
    }
    let all: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let clear = ["清河苑", story::SITE, "living_alone", "linli.v1.ResidentService/GetResident"];
    assert_eq!(found_in(&all, &clear), clear, "what lies in clear is found");

    // Audit entries and events, opened.
    let root = RootKey::from_file(&data.folder().join("root.key")).unwrap();
    let config = StoreConfig::sqlite(data.database());
    let store = Store::open(config, root, std::sync::Arc::new(OsRandom)).await.unwrap();
    let site = Scope::from(&linli_core::id::SiteId::new(story::SITE).unwrap());
    for scope in [site, Scope::System] {
        let entries = store.audit_entries(&scope, 0, 1_000).await.unwrap();
        let events = store.outbox_events(&scope, 0, 1_000).await.unwrap();
        assert!(!entries.is_empty());
        let text = format!("{entries:?} {events:?}");
        assert_eq!(found_in(text.as_bytes(), &planted), [""; 0], "in audit and events");
        store.verify_chain(&scope, None).await.unwrap();
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_value_is_found_in_every_form_that_is_looked_for() {
    for form in [
        "x13900007391x".as_bytes().to_vec(),
        "13900007391".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        b"3133393030303037333931".to_vec(),
    ] {
        assert_eq!(found_in(&form, &["13900007391", "absent"]), ["13900007391"]);
    }
    // And a server that wrote one in clear would be caught: a site's name is such a value.
    let data = Data::sqlite();
    let server = Server::on(data.clone()).await;
    server.client().site("s1").await;
    server.stop().await;
    let files = files(data.folder());
    assert!(files.iter().any(|(_, bytes)| found_in(bytes, &["清河苑"]).len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_in_the_audit_trail_whatever_happens_next() {
    let mut child = Child::start(Data::sqlite());
    let (_, _, resident) = child.client().estate("s1").await;
    let id = resident.rsplit('/').next().unwrap().to_owned();
    let site = Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let mut looks = 0;
    for _ in 0..3 {
        let client = child.client().purposeful();
        let request = v1::GetResidentRequest { name: resident.clone(), view: v1::View::Full.into() };
        let shown = client.ask(request).await.unwrap();
        // The very next moment.
        let data = child.kill();
        assert_eq!(shown.full_name, "秦安然");
        looks += 1;
        let root = RootKey::from_file(&data.folder().join("root.key")).unwrap();
        let config = StoreConfig::sqlite(data.database());
        let store = Store::open(config, root, std::sync::Arc::new(OsRandom)).await.unwrap();
        let entries = store.audit_entries(&site, 0, 1_000).await.unwrap();
        let of_look = entries.iter().filter(|entry| {
            entry.draft.method.ends_with("/GetResident") && entry.draft.subjects.contains(&id)
        });
        assert_eq!(of_look.count(), looks, "no audit, no answer");
        store.verify_chain(&site, None).await.unwrap();
        store.close().await;
        drop(store);
        child = Child::start(data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_answers_of_commands_are_masked() {
    let words = Words::planted();
    let (data, second) = story::staged(Data::sqlite());
    let server = Server::on(data).await;
    let client = server.client();
    let steps = story::tell(&client, &second, &words).await;
    // Every read but those with a fuller view, asked without a purpose, by who may do everything.
    let mut asked = 0;
    for step in &steps {
        let method = step.path.rsplit('/').next().unwrap();
        let is_read = method.starts_with("List") || method.starts_with("Get");
        if !is_read
            || ["GetResident", "GetRecord", "GetPlan", "GetReferral", "GetSurveyAnswer"].contains(&method)
        {
            continue;
        }
        let answer = client.bytes(step.path, step.request.clone()).await.unwrap();
        assert_eq!(found_in(&answer, &words.all()), [""; 0], "{}", step.path);
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
    let fuller = ["/GetResident", "/GetRecord", "/GetPlan", "/GetReferral", "/GetSurveyAnswer"];
    for step in steps.iter().filter(|step| fuller.iter().any(|name| step.path.ends_with(name))) {
        refused(client.bytes(step.path, step.request.clone()).await, "PURPOSE_REQUIRED");
    }
    server.stop().await;
}
