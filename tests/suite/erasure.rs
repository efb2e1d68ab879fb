//! The end of files: legal hold, sealing, erasing, by hand and by the retention policy.

use linli_core::id::{ResidentId, SiteId};
use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, identity_number};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{PATIENCE, invalid, refused};

const NUMBER: u32 = 17;

/// A file with a number and a note; its name.
async fn file(client: &Client) -> String {
    let (_, dwelling, _) = client.estate("s1").await;
    let file = v1::Resident {
        identity_number: identity_number("19400501", NUMBER),
        birth_date: String::new(),
        health_note: "左膝旧伤".to_owned(),
        ..elder(&dwelling, "秦安然")
    };
    client.resident(file).await.name
}

async fn leave(client: &Client, name: &str) -> v1::Resident {
    let request = v1::RecordMoveOutRequest {
        name: name.to_owned(),
        move_out_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    client.ask(request).await.unwrap()
}

fn hold(name: &str, hold: bool) -> v1::HoldFileRequest {
    v1::HoldFileRequest {
        name: name.to_owned(),
        hold,
        reason: "案号 2026-17".to_owned(),
        ..Default::default()
    }
}

fn seal(name: &str) -> v1::SealFileRequest {
    v1::SealFileRequest { name: name.to_owned(), ..Default::default() }
}

fn erase(name: &str) -> v1::EraseFileRequest {
    v1::EraseFileRequest { name: name.to_owned(), ..Default::default() }
}

fn basic(name: &str) -> v1::GetResidentRequest {
    v1::GetResidentRequest { name: name.to_owned(), ..Default::default() }
}

async fn certificate(client: &Client, name: &str) -> Result<v1::ErasureCertificate, tonic::Status> {
    client.ask(v1::GetErasureCertificateRequest { name: name.to_owned() }).await
}

async fn by_number(client: &Client, state: v1::FileState) -> Vec<String> {
    let request = v1::ListResidentsRequest {
        parent: "sites/s1".to_owned(),
        identity_number: identity_number("19400501", NUMBER),
        state: state.into(),
        ..Default::default()
    };
    client.ask(request).await.unwrap().residents.into_iter().map(|file| file.name).collect()
}

/// By another program than the one that is tested.
fn sha256(data: &Data, text: &str) -> String {
    let path = data.folder().join("stated");
    std::fs::write(&path, text).unwrap();
    let output = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_file_shows_nothing_until_it_is_taken_out() {
    let server = Server::start().await;
    let client = server.client();
    let name = file(&client).await;
    refused(client.ask(seal(&name)).await, "FILE_STATE");
    let time = "2026-03-16T08:00:00+08:00";
    let mut visit = contact(&name, v1::ServiceKind::HomeVisit, time, v1::Outcome::Done);
    visit.subjects[0].note = "谈到女儿".to_owned();
    let visit = client.record(visit).await.name;
    let note = async || {
        let request = v1::GetRecordRequest { name: visit.clone(), view: v1::View::Full.into() };
        client.purposeful().ask(request).await.unwrap().subjects[0].note.clone()
    };
    assert_eq!(note().await, "谈到女儿");
    leave(&client, &name).await;
    let stale = v1::SealFileRequest { etag: "v1".to_owned(), ..seal(&name) };
    refused(client.ask(stale).await, "ETAG_MISMATCH");
    let sealed = client.ask(seal(&name)).await.unwrap();
    assert_eq!((sealed.state(), sealed.display_name.as_str()), (v1::FileState::Sealed, ""));
    refused(client.ask(seal(&name)).await, "FILE_STATE");

    let shown = client.ask(basic(&name)).await.unwrap();
    assert_eq!(
        (shown.state(), shown.display_name.as_str(), shown.groups.len()),
        (v1::FileState::Sealed, "", 0)
    );
    let full = v1::GetResidentRequest { view: v1::View::Full.into(), ..basic(&name) };
    refused(client.purposeful().ask(full).await, "FILE_STATE");
    let classes = vec![v1::FieldClass::Contact.into()];
    let reveal = v1::RevealResidentRequest { name: name.clone(), classes };
    refused(client.purposeful().ask(reveal).await, "FILE_STATE");
    assert_eq!(note().await, "", "nor what records say");
    let memberships = v1::ListMembershipsRequest { parent: name.clone(), ..Default::default() };
    refused(client.ask(memberships).await, "FILE_STATE");
    let listed = client.ask(v1::ListResidentsRequest {
        parent: "sites/s1".to_owned(),
        state: v1::FileState::Sealed.into(),
        ..Default::default()
    });
    let listed = listed.await.unwrap().residents;
    assert_eq!((listed.len(), listed[0].display_name.as_str()), (1, ""));
    let back = v1::RecordMoveInRequest {
        parent: "sites/s1".to_owned(),
        resident: name.clone(),
        dwelling: "sites/s1/dwellings/d501".to_owned(),
        move_in_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    refused(client.ask(back).await, "FILE_STATE");

    invalid(
        client.ask(v1::UnsealFileRequest { name: name.clone(), ..Default::default() }).await,
        &["reason"],
    );
    let out = v1::UnsealFileRequest { name: name.clone(), reason: "回迁".to_owned(), ..Default::default() };
    let taken = client.ask(out.clone()).await.unwrap();
    assert_eq!(taken.state(), v1::FileState::Left);
    refused(client.ask(out).await, "FILE_STATE");
    assert_eq!(client.full(&name).await.health_note, "左膝旧伤", "nothing was lost");
    assert_eq!(note().await, "谈到女儿");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_leaves_a_name_and_a_certificate_on_sqlite() {
    erased(Data::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_leaves_a_name_and_a_certificate_on_postgresql() {
    if let Some(data) = Data::postgres().await {
        erased(data).await;
    }
}

async fn erased(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let name = file(&client).await;
    client.done(&name, v1::ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00").await;
    refused(certificate(&client, &name).await, "NOT_FOUND");

    assert!(client.ask(hold(&name, true)).await.unwrap().legal_hold);
    refused(client.ask(hold(&name, true)).await, "FILE_STATE");
    refused(client.ask(erase(&name)).await, "FILE_STATE");
    assert!(client.ask(basic(&name)).await.unwrap().legal_hold);
    assert!(!client.ask(hold(&name, false)).await.unwrap().legal_hold);
    let stale = v1::EraseFileRequest { etag: "v1".to_owned(), ..erase(&name) };
    refused(client.ask(stale).await, "ETAG_MISMATCH");

    let once = v1::EraseFileRequest { request_id: crate::harness::estate::request_id(5), ..erase(&name) };
    let gone = client.ask(once.clone()).await.unwrap();
    assert_eq!(
        (gone.state(), gone.display_name.as_str(), gone.dwelling.as_str()),
        (v1::FileState::Erased, "", "")
    );
    assert_eq!(client.ask(once).await.unwrap(), gone, "the same request gets the same answer");
    for again in
        [client.ask(erase(&name)).await, client.ask(seal(&name)).await, client.ask(hold(&name, true)).await]
    {
        refused(again, "FILE_STATE");
    }
    let shown = client.ask(basic(&name)).await.unwrap();
    assert_eq!(
        (shown.state(), shown.groups.len(), shown.dwelling_display_name.as_str()),
        (v1::FileState::Erased, 0, "")
    );
    for state in [v1::FileState::Active, v1::FileState::Left, v1::FileState::Sealed, v1::FileState::Erased] {
        assert_eq!(by_number(&client, state).await, Vec::<String>::new(), "{state:?}");
    }
    let memberships = v1::ListMembershipsRequest { parent: name.clone(), ..Default::default() };
    assert_eq!(client.ask(memberships).await.unwrap().memberships.len(), 0);

    let proof = certificate(&client, &name).await.unwrap();
    assert_eq!((proof.name.as_str(), proof.cause()), (name.as_str(), v1::ErasureCause::Request));
    let [erased, deleted] = [&proof.erase_time, &proof.key_delete_time].map(|time| time.unwrap().seconds);
    assert!(erased <= deleted);
    let text = proof.text.clone().unwrap();
    assert!(text.zh.contains("清除证明") && text.en.contains("Certificate of erasure"), "{text:?}");
    for words in [&text.zh, &text.en] {
        for part in [&name, &proof.key_backup_end_date, &proof.sha256] {
            assert!(words.contains(part.as_str()), "{part} in {words}");
        }
    }
    let stated = text.en.rsplit_once("SHA-256").unwrap().0;
    assert_eq!(
        sha256(&server.data, stated),
        proof.sha256,
        "whoever has the text can show that it was not changed"
    );
    assert_eq!(certificate(&client, &name).await.unwrap(), proof, "as often as it is asked for");

    let id = name.rsplit('/').next().unwrap();
    let left = server
        .app
        .store
        .key_texts(&format!("SELECT resident FROM {{}}resident_key WHERE resident = '{id}'"))
        .await;
    assert!(left.is_empty(), "the key is gone");
    let ledger = std::fs::read_to_string(server.data.folder().join("erasures.log")).unwrap();
    assert!(ledger.contains(id), "{ledger}");
    // The number is free for a file of its own.
    let anew = v1::Resident {
        identity_number: identity_number("19400501", NUMBER),
        birth_date: String::new(),
        ..elder("sites/s1/dwellings/d501", "秦安然")
    };
    assert_ne!(client.resident(anew).await.name, name);
    let scope = linli_store::Scope::from(&SiteId::new("s1").unwrap());
    server.app.store.verify_chain(&scope, None).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_tombstone_is_finished_at_the_next_start() {
    let server = Server::on(Data::sqlite()).await;
    let client = server.client();
    let name = file(&client).await;
    let id = ResidentId::new(name.rsplit('/').next().unwrap()).unwrap();
    let site = SiteId::new("s1").unwrap();
    // The tombstone alone, as a crash leaves it.
    let store = &server.app.store;
    let mut head = store.resident_heads(&site, std::slice::from_ref(&id)).await.unwrap().remove(0);
    head.version += 1;
    let scope = linli_store::Scope::from(&site);
    let now = server.app.now();
    let draft = linli_store::AuditDraft {
        principal: "leader".to_owned(),
        method: "linli.v1.ResidentService/EraseFile".to_owned(),
        resource: name.clone(),
        subjects: Vec::new(),
        classes: linli_store::FieldClasses::NONE,
        purpose: String::new(),
        decision: linli_store::Decision::Allowed,
        request_id: String::new(),
        care_time: now,
        system_time: now,
    };
    let epoch = store.authz_epoch(&scope).await.unwrap().unwrap();
    let mut changes = linli_store::ChangeSet::new(scope, epoch, draft);
    changes.erase_resident(head).put_erasure(linli_store::Erasure {
        site: site.clone(),
        resident: id.clone(),
        by: linli_core::id::StaffId::new("leader").unwrap(),
        cause: linli_core::retention::ErasureCause::Request,
        erased_at: now,
        key_deleted_at: None,
        finished_at: None,
        version: 1,
    });
    store.commit("test", changes).await.unwrap();
    refused(certificate(&client, &name).await, "FILE_STATE");
    let keys = format!("SELECT resident FROM {{}}resident_key WHERE resident = '{id}'");
    assert_eq!(store.key_texts(&keys).await.len(), 1);
    let data = server.stop().await;

    let child = Child::start(data);
    let client = child.client();
    let since = std::time::Instant::now();
    while certificate(&client, &name).await.is_err() {
        assert!(since.elapsed() < PATIENCE, "it is not carried on");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let server = Server::on(child.kill()).await;
    assert_eq!(server.app.store.key_texts(&keys).await.len(), 0);
    assert!(server.app.store.remains_of(&site, &id, 10).await.unwrap().is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retention_policy_ends_files_that_nobody_holds() {
    let policy =
        "retention.seal_after_days = 30\nretention.erase_after_days = 60\nretention.key_backup_days = 7";
    let server = Server::on(Data::sqlite().with(policy)).await;
    let client = server.client();
    let (site, dwelling, held) = client.estate("s1").await;
    let ending = client.resident(elder(&dwelling, "华静好")).await.name;
    let staying = client.resident(elder(&dwelling, "严如玉")).await.name;
    for name in [&held, &ending] {
        leave(&client, name).await;
    }
    client.ask(hold(&held, true)).await.unwrap();
    let states = async || {
        server.app.upkeep_round().await.unwrap();
        let mut states = Vec::new();
        for name in [&held, &ending, &staying] {
            states.push(client.ask(basic(name)).await.unwrap().state());
        }
        states
    };
    use v1::FileState::{Active, Erased, Left, Sealed};
    assert_eq!(states().await, [Left, Left, Active]);
    client.advance("2026-04-15T09:00:00+08:00").await;
    assert_eq!(states().await, [Left, Left, Active], "the thirtieth day is still its own");
    client.advance("2026-04-16T09:00:00+08:00").await;
    assert_eq!(states().await, [Left, Sealed, Active]);
    client.advance("2026-06-16T09:00:00+08:00").await;
    assert_eq!(states().await, [Left, Erased, Active]);
    let proof = certificate(&client, &ending).await.unwrap();
    assert_eq!((proof.cause(), proof.author.as_str()), (v1::ErasureCause::Retention, "staff/linli"));

    // When the hold ends, its time begins anew.
    client.ask(hold(&held, false)).await.unwrap();
    assert_eq!(states().await, [Sealed, Erased, Active], "it was left long ago");
    client.advance("2026-08-15T09:00:00+08:00").await;
    assert_eq!(states().await, [Sealed, Erased, Active]);
    client.advance("2026-08-17T09:00:00+08:00").await;
    assert_eq!(states().await, [Erased, Erased, Active]);
    let entries = server
        .app
        .store
        .audit_entries(&linli_store::Scope::from(&SiteId::new("s1").unwrap()), 0, 1000)
        .await
        .unwrap();
    let own = entries
        .iter()
        .filter(|entry| entry.draft.principal == "linli" && entry.draft.method.ends_with("File"));
    assert!(own.count() >= 4, "what the server ended is on record in {site}");
    server.stop().await;
}
