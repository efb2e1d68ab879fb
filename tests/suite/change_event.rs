//! Events for others: what is committed is told, in order and once, to those who may hear it, and goes on where a reader was.

mod load;
mod nats;

use std::collections::BTreeSet;

use linli_core::id::SiteId;
use linli_core::time::{Clock as _, Instant};
use linli_proto::v1;
use linli_service::app::change_event::kind::{KINDS, SERVER_KINDS};
use linli_service::server::assemble::OsRandom;
use linli_service::time::SystemClock;
use linli_store::{AuditDraft, ChangeSet, Decision, FieldClasses, RootKey, Scope, Store, StoreConfig};
use prost::Message;
use prost_types::field_descriptor_proto::Type;

use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::story::{self, Words};
use crate::harness::{invalid, refused};

const SITE: &str = "sites/s1";

/// A watch of the site from a cursor.
fn watch(cursor: &str) -> v1::WatchRequest {
    v1::WatchRequest { parent: SITE.to_owned(), cursor: cursor.to_owned(), ..Default::default() }
}

fn list(page_token: &str, page_size: i32) -> v1::ListEventsRequest {
    v1::ListEventsRequest {
        parent: SITE.to_owned(),
        page_token: page_token.to_owned(),
        page_size,
        ..Default::default()
    }
}

/// Every event of the site, page by page.
async fn listed(client: &Client, page_size: i32) -> Vec<v1::ChangeEvent> {
    listed_in(client, SITE, page_size).await
}

async fn listed_in(client: &Client, parent: &str, page_size: i32) -> Vec<v1::ChangeEvent> {
    let (mut events, mut token) = (Vec::new(), String::new());
    loop {
        let page = v1::ListEventsRequest { parent: parent.to_owned(), ..list(&token, page_size) };
        let page = client.ask(page).await.unwrap();
        events.extend(page.events);
        token = page.next_page_token;
        if token.is_empty() {
            return events;
        }
    }
}

/// What a watch tells until it has told this many events.
async fn told(client: &Client, request: v1::WatchRequest, count: usize) -> Vec<v1::ChangeEvent> {
    let mut stream = client.events(request).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        let answer = stream.message().await.unwrap().expect("a watch goes on");
        if let Some(last) = answer.events.last() {
            assert!(answer.cursor >= last.cursor, "an answer ends with its last event or after it");
        }
        events.extend(answer.events);
    }
    events
}

fn kinds(events: &[v1::ChangeEvent]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn scope() -> Scope {
    Scope::Site(SiteId::new("s1").unwrap())
}

/// A change set that changes nothing and tells of something, recorded at an instant of the machine's clock.
pub async fn telling(store: &Store, recorded: Instant, resources: &[String]) -> ChangeSet {
    let draft = AuditDraft {
        principal: "test".into(),
        method: "linli.v1.Test/Change".into(),
        resource: SITE.into(),
        subjects: Vec::new(),
        classes: FieldClasses::NONE,
        purpose: String::new(),
        decision: Decision::Allowed,
        request_id: String::new(),
        care_time: recorded,
        system_time: recorded,
    };
    let epoch = store.authz_epoch(&scope()).await.unwrap().unwrap();
    let mut set = ChangeSet::new(scope(), epoch, draft);
    for resource in resources {
        set.event("dwelling.updated", resource);
    }
    set
}

/// Records a few phone calls in one request.
async fn write(client: &Client, resident: &str, count: u64, number: u64) {
    let time = "2026-03-16T08:00:00+08:00";
    let record = || contact(resident, v1::ServiceKind::PhoneCall, time, v1::Outcome::NotReached);
    let request = v1::RecordServiceRequest {
        parent: resident.split('/').take(2).collect::<Vec<_>>().join("/"),
        records: (0..count).map(|_| record()).collect(),
        request_id: request_id(number),
    };
    client.ask(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_told_in_order_and_once() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data.with("events.heartbeat_s = 1")).await;
        let client = server.client();
        let (_, dwelling, resident) = client.estate("s1").await;
        let record = client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await;
        let stored = server.app.store.outbox_events(&scope(), 0, 1000).await.unwrap();
        let all = listed(&client, 2).await;
        assert_eq!(
            all.iter().map(|event| (event.sequence, &*event.kind, &*event.resource)).collect::<Vec<_>>(),
            stored.iter().map(|event| (event.seq, &*event.kind, &*event.resource)).collect::<Vec<_>>(),
        );
        assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(kinds(&all), ["dwelling.created", "resident.created", "record.created"]);
        assert_eq!(
            (&all[0].resource, &all[1].resource, &all[2].resource),
            (&dwelling, &resident, &record.name)
        );
        assert_eq!(all[2].name, "sites/s1/changeEvents/3");
        assert!(all.iter().all(|event| event.care_time.is_some() && event.system_time.is_some()));
        assert_eq!(told(&client, watch(""), all.len()).await, all, "the same, told");
        // From every place on, the rest; by list and by watch.
        for (at, event) in all.iter().enumerate() {
            let rest = &all[at + 1..];
            assert_eq!(client.ask(list(&event.cursor, 0)).await.unwrap().events, rest);
            if !rest.is_empty() {
                assert_eq!(told(&client, watch(&event.cursor), rest.len()).await, rest);
            }
        }
        // A page that ends in the middle says so, and one that does not still says where it ends.
        let last = client.ask(list("", 3)).await.unwrap();
        assert_eq!((last.next_page_token.as_str(), &last.cursor), ("", &all[2].cursor));
        // Some kinds; what was passed over is not looked at again.
        let some = v1::ListEventsRequest { kinds: vec!["dwelling.created".into()], ..list("", 0) };
        let some = client.ask(some).await.unwrap();
        assert_eq!((kinds(&some.events), &some.cursor), (vec!["dwelling.created"], &all[2].cursor));
        // From now on: a quiet watch says at once where it is, and again and again while nothing happens.
        let now = v1::WatchRequest {
            from_now: true,
            kinds: vec!["record.created".into(), "pause.begun".into()],
            ..watch("")
        };
        let mut stream = client.events(now).await.unwrap();
        let first = stream.message().await.unwrap().unwrap();
        assert_eq!((first.events.len(), &first.cursor), (0, &all[2].cursor));
        client.dwelling(SITE, "502").await;
        let beat = stream.message().await.unwrap().unwrap();
        assert!(
            beat.events.is_empty() && beat.cursor != first.cursor,
            "another kind moves the cursor: {beat:?}"
        );
        client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:30:00+08:00").await;
        let next = loop {
            let answer = stream.message().await.unwrap().unwrap();
            if !answer.events.is_empty() {
                break answer;
            }
        };
        assert_eq!((kinds(&next.events), next.events[0].sequence), (vec!["record.created"], 5));
        drop(stream);
        // As many answers as were asked for, then the end.
        let mut once = client.events(v1::WatchRequest { answer_limit: 1, ..watch("") }).await.unwrap();
        assert_eq!(once.message().await.unwrap().unwrap().events.len(), 5);
        assert!(once.message().await.unwrap().is_none());
        // A server that ends ends every watch, without a word of blame.
        let mut open = client.events(watch(&next.cursor)).await.unwrap();
        open.message().await.unwrap().unwrap();
        let stopped = tokio::spawn(server.stop());
        assert!(open.message().await.unwrap().is_none());
        stopped.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused() {
    let server = Server::on(Data::sqlite().with("events.watchers_per_caller = 2\nevents.watchers = 3")).await;
    let client = server.client();
    client.estate("s1").await;
    client.estate("s2").await;
    let foreign = v1::ListEventsRequest { parent: "sites/s2".to_owned(), ..list("", 1) };
    let foreign = client.ask(foreign).await.unwrap().cursor;
    refused(client.ask(list(&foreign, 0)).await, "PAGE_TOKEN_INVALID");
    refused(client.ask(list("AAAA", 0)).await, "PAGE_TOKEN_INVALID");
    refused(client.events(watch(&foreign)).await.map(drop), "PAGE_TOKEN_INVALID");
    invalid(client.ask(list("", -1)).await, &["page_size"]);
    let unknown = vec!["record.created".to_owned(), "record.eaten".to_owned(), "x".to_owned()];
    let some = v1::ListEventsRequest { kinds: unknown.clone(), parent: "s1".to_owned(), ..list("", 0) };
    invalid(client.ask(some).await, &["parent", "kinds[1]", "kinds[2]"]);
    let some = v1::WatchRequest { kinds: unknown, answer_limit: 1001, ..watch("") };
    invalid(client.events(some).await.map(drop), &["kinds[1]", "kinds[2]", "answer_limit"]);
    let nowhere = v1::WatchRequest { parent: "sites/s3".to_owned(), ..watch("") };
    refused(client.events(nowhere.clone()).await.map(drop), "NOT_FOUND");
    refused(server.outsider().events(watch("")).await.map(drop), "PERMISSION_DENIED");
    refused(server.outsider().events(nowhere).await.map(drop), "PERMISSION_DENIED");
    // A place in the middle of nowhere: of a database that was put back by an older one.
    let ahead = client.ask(list("", 0)).await.unwrap().cursor;
    let store = &server.app.store;
    let set = telling(store, SystemClock.now(), &["sites/s1/dwellings/d501".to_owned()]).await;
    store.commit("test", set).await.unwrap();
    let later = client.ask(list(&ahead, 0)).await.unwrap();
    store.tamper("DELETE FROM outbox_event WHERE site = 's1' AND seq = 3").await;
    store.tamper("UPDATE site_head SET event_seq = 2 WHERE site = 's1'").await;
    assert_eq!((later.events.len(), later.events[0].sequence), (1, 3));
    refused(client.ask(list(&later.cursor, 0)).await, "EVENTS_GONE");
    // Two watches of one caller, three in all.
    let two = [client.events(watch("")).await.unwrap(), client.events(watch("")).await.unwrap()];
    let refusal = refused(client.events(watch("")).await.map(drop), "OVERLOADED");
    assert!(refusal.retry);
    drop(two);
    // A place is free again once the server has noticed that nobody is there.
    let again = async {
        loop {
            match client.events(watch("")).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, again).await.unwrap();
}

/// A database that was put back by an older one counts on from there. Whoever was told of what is lost learns it, also when as much has
/// happened anew: the numbers are the same, and the events are others.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_what_is_lost_is_refused() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        client.estate("s1").await;
        let kept = client.ask(list("", 0)).await.unwrap().cursor;
        client.dwelling(SITE, "601").await;
        let lost = client.ask(list("", 0)).await.unwrap().cursor;
        let now = v1::WatchRequest { from_now: true, ..watch("") };
        let now = client.events(now).await.unwrap().message().await.unwrap().unwrap().cursor;
        assert_eq!(now, lost, "the same place");
        server.app.store.tamper("DELETE FROM outbox_event WHERE site = 's1' AND seq = 3").await;
        server.app.store.tamper("UPDATE site_head SET event_seq = 2 WHERE site = 's1'").await;
        let server = Server::on(server.stop().await).await;
        let client = server.client();
        refused(client.ask(list(&lost, 0)).await, "EVENTS_GONE");
        for room in ["602", "603"] {
            client.dwelling(SITE, room).await;
        }
        refused(client.ask(list(&lost, 0)).await, "EVENTS_GONE");
        refused(client.events(watch(&lost)).await.map(drop), "EVENTS_GONE");
        assert_eq!(client.ask(list(&kept, 0)).await.unwrap().events.len(), 2);
        server.stop().await;
    }
}

/// A server that ends does not first tell all that there is to tell: its watchers go on elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_leaves_the_rest_to_the_next_one() {
    let server = Server::start().await;
    let client = server.client();
    client.site("s1").await;
    let names: Vec<String> = (0..500).map(|number| format!("sites/s1/dwellings/d{number}")).collect();
    for _ in 0..20 {
        let set = telling(&server.app.store, SystemClock.now(), &names).await;
        server.app.store.commit("test", set).await.unwrap();
    }
    let narrow = Client::narrow(&server.address).token(server.member_token());
    let mut stream = narrow.events(watch("")).await.unwrap();
    let mut heard = stream.message().await.unwrap().unwrap().events;
    server.app.ending.begin();
    let mut cursor = String::new();
    while let Some(answer) = stream.message().await.unwrap() {
        heard.extend(answer.events);
        cursor = answer.cursor;
    }
    assert!(heard.len() < 20 * 500, "all of it was told");
    assert!(heard.iter().zip(1..).all(|(event, number)| event.sequence == number));
    let server = Server::on(server.stop().await).await;
    assert_eq!(
        server.client().ask(list(&cursor, 1)).await.unwrap().events[0].sequence,
        heard.len() as i64 + 1
    );
    server.stop().await;
}

/// Rights that end meanwhile end the watch, though nothing happens in the site.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_hear_is_no_longer_told() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    client.estate("s1").await;
    let other = issuer.enter(&server, "meter", vec![grant(v1::StaffRole::Integration, &["s1"])]).await;
    let mut stream = other.events(watch("")).await.unwrap();
    assert!(!stream.message().await.unwrap().unwrap().events.is_empty());
    let gone = v1::DeactivateStaffRequest { name: "staff/meter".to_owned(), ..Default::default() };
    client.ask(gone).await.unwrap();
    refused(stream.message().await, "PERMISSION_DENIED");
    server.stop().await;
}

/// Of a protected file nobody hears but those who are named for it: neither what is called after it, nor what was changed
/// together with it, nor that it is protected; and not of what happened before either.
#[tokio::test(flavor = "multi_thread")]
async fn protected_files_are_not_told_of() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (_, dwelling, neighbour) = client.estate("s1").await;
    let resident = client.resident(elder(&dwelling, "霜降白鹭")).await.name;
    let time = "2026-03-16T08:00:00+08:00";
    let record = client.done(&resident, v1::ServiceKind::HomeVisit, time).await.name;
    let mut shared = contact(&neighbour, v1::ServiceKind::HomeVisit, time, v1::Outcome::Done);
    shared
        .subjects
        .push(contact(&resident, v1::ServiceKind::HomeVisit, time, v1::Outcome::Done).subjects.remove(0));
    let shared = client.record(shared).await.name;
    let report = |name: &str| v1::ReportChangeRequest {
        name: name.to_owned(),
        kind: v1::ChangeKind::Health.into(),
        ..Default::default()
    };
    let event = client.ask(report(&resident)).await.unwrap().name;
    let open = client.ask(report(&neighbour)).await.unwrap().name;
    let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["s1"])]).await;
    use v1::StaffRole::{Auditor, Integration, Leader};
    let (lin, he) = (enter("lin", Leader).await, enter("he", Leader).await);
    let others = [he.clone(), enter("qian", Auditor).await, enter("meter", Integration).await];
    let before = listed(&he, 0).await;
    assert!(before.iter().all(|event| !event.withheld), "{before:?}");
    let mut streams = Vec::new();
    for other in &others {
        let mut stream = other.events(v1::WatchRequest { from_now: true, ..watch("") }).await.unwrap();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    let protect = |named: &[&str]| v1::SetProtectedRequest {
        name: resident.clone(),
        protected_for: named.iter().map(|&name| name.to_owned()).collect(),
        ..Default::default()
    };
    client.ask(protect(&["staff/lin"])).await.unwrap();
    let later = lin.done(&resident, v1::ServiceKind::PhoneCall, time).await.name;
    let end = client.done(&neighbour, v1::ServiceKind::PhoneCall, time).await.name;

    let named = listed(&lin, 0).await;
    let secret = [&resident, &record, &shared, &event, &later];
    for name in secret {
        assert!(named.iter().any(|event| event.resource == *name), "{name}: {named:?}");
    }
    for other in &others {
        let seen = listed(other, 0).await;
        assert_eq!(seen.len(), named.len(), "numbers have no gap");
        assert!(seen.iter().zip(1..).all(|(event, number)| event.sequence == number));
        for event in &seen {
            assert!(!secret.iter().any(|name| event.resource.starts_with(name.as_str())), "{event:?}");
            let neutral = (event.kind == "withheld", event.resource == SITE);
            assert_eq!(neutral, (event.withheld, event.withheld), "{event:?}");
        }
        for name in [&neighbour, &open, &end] {
            assert!(seen.iter().any(|event| event.resource == *name), "{name}");
        }
    }
    for stream in &mut streams {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|event: &v1::ChangeEvent| event.resource != end) {
            heard.extend(stream.message().await.unwrap().unwrap().events);
        }
        assert_eq!(kinds(&heard), ["withheld", "withheld", "record.created"], "{heard:?}");
    }
    // That it was protected is told to nobody, when it is no longer either; everything else is.
    lin.ask(protect(&[])).await.unwrap();
    let after = listed(&others[2], 0).await;
    let withheld: Vec<i64> =
        after.iter().filter(|event| event.withheld).map(|event| event.sequence).collect();
    let changed = listed(&lin, 0).await;
    let changed = changed.iter().filter(|event| event.withheld).map(|event| event.sequence);
    assert_eq!((withheld.len(), withheld), (2, changed.collect()));
    server.stop().await;
}

/// What has had its time is forgotten from the beginning on, and who was away for longer is told so.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_for_a_time() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data.with("events.keep_days = 2")).await;
        let client = server.client();
        client.site("s1").await;
        let store = &server.app.store;
        let now = SystemClock.now();
        let name = |number: usize| format!("sites/s1/dwellings/d{number}");
        let days = |days: i64| now.plus_minutes(-days * 24 * 60);
        let old: Vec<String> = (0..1500).map(name).collect();
        store.commit("test", telling(store, days(3), &old).await).await.unwrap();
        let recent = [name(1500), name(1501)];
        store.commit("test", telling(store, days(1), &recent).await).await.unwrap();
        // A clock that was put back is no reason for a gap.
        store.commit("test", telling(store, days(3), &[name(1502)]).await).await.unwrap();
        let first = client.ask(list("", 1)).await.unwrap();
        server.app.upkeep_round().await.unwrap();
        let kept = listed(&client, 0).await;
        assert_eq!(kept.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1501, 1502, 1503]);
        assert_eq!(told(&client, watch(""), 3).await, kept);
        refused(client.ask(list(&first.cursor, 0)).await, "EVENTS_GONE");
        refused(client.events(watch(&first.cursor)).await.map(drop), "EVENTS_GONE");
        assert_eq!(client.ask(list(&kept[0].cursor, 0)).await.unwrap().events, kept[1..]);
        server.stop().await;
    }
}

/// Two servers of one database: what the other one commits is heard within moments.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_commits_is_told_too() {
    let Some(data) = Data::postgres().await else { return };
    let server = Server::on(data.with("events.heartbeat_s = 60")).await;
    let client = server.client();
    client.estate("s1").await;
    let url = std::fs::read_to_string(server.data.folder().join("url")).unwrap();
    let root = RootKey::from_file(&server.data.root_key()).unwrap();
    let config = StoreConfig::postgres(url.into(), false);
    let other = Store::open(config, root, std::sync::Arc::new(OsRandom)).await.unwrap();
    let mut stream = client.events(v1::WatchRequest { from_now: true, ..watch("") }).await.unwrap();
    stream.message().await.unwrap().unwrap();
    let set = telling(&other, SystemClock.now(), &["sites/s1/dwellings/d501".to_owned()]).await;
    other.commit("test", set).await.unwrap();
    let since = std::time::Instant::now();
    let heard = stream.message().await.unwrap().unwrap().events;
    assert_eq!(kinds(&heard), ["dwelling.updated"]);
    assert!(since.elapsed() < std::time::Duration::from_secs(20), "{:?}", since.elapsed());
    other.close().await;
    server.stop().await;
}

/// An event has no field that could hold anything of anybody's: its text is names, a kind and a cursor.
#[test]
fn an_event_has_no_place_for_values() {
    let set = prost_types::FileDescriptorSet::decode(linli_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = set.file.iter().flat_map(|file| &file.message_type);
    let event = messages.find(|message| message.name() == "ChangeEvent").unwrap();
    let mut text = BTreeSet::new();
    for field in &event.field {
        match field.r#type() {
            Type::String => drop(text.insert(field.name())),
            Type::Message => assert_eq!(field.type_name(), ".google.protobuf.Timestamp", "{}", field.name()),
            Type::Int64 | Type::Bool => {}
            other => panic!("{} is {other:?}", field.name()),
        }
    }
    assert_eq!(text, BTreeSet::from(["cursor", "kind", "name", "resource"]));
}

/// Every kind that is written anywhere is listed, and explained to those who hear it.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_and_explained() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let proto = std::fs::read_to_string(root.join("proto/linli/v1/change_event.proto")).unwrap();
    let explained = proto.lines().filter_map(|line| line.strip_prefix("//   ")?.split_whitespace().next());
    assert_eq!(explained.collect::<Vec<_>>(), KINDS, "the list in change_event.proto");
    let known: BTreeSet<&str> = KINDS.iter().chain(SERVER_KINDS).copied().collect();
    assert_eq!(known.len(), KINDS.len() + SERVER_KINDS.len(), "none twice");

    let mut written = BTreeSet::new();
    let mut folders = vec![root.join("service/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = std::fs::read_to_string(&path).unwrap();
                let parts =
                    source.split(".event(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                written.extend(parts.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
    }
    assert!(written.len() > 40, "{written:?}");
    let (data, second) = story::staged(Data::sqlite());
    let server = Server::on(data).await;
    story::tell(&server.client(), &second, &Words::planted()).await;
    let sites = server.app.store.sites(None, 100).await.unwrap();
    let scopes = sites.iter().map(|site| Scope::from(&site.id)).chain([Scope::System]);
    let mut happened = BTreeSet::new();
    for scope in scopes {
        let events = server.app.store.outbox_events(&scope, 0, 1000).await.unwrap();
        happened.extend(events.into_iter().map(|event| event.kind));
    }
    assert!(happened.len() > 50, "{happened:?}");
    let unknown = written.iter().chain(&happened).filter(|kind| !known.contains(kind.as_str()));
    let unknown: BTreeSet<_> = unknown.collect();
    assert!(unknown.is_empty(), "not in service/src/app/change_event/kind.rs: {unknown:?}");
    server.stop().await;
}
