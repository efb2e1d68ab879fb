//! SIGKILL while a roster comes in, while care is recorded and while files are read: what was acknowledged is there, nothing
//! is half there, and neither an answer nor a change is without its audit entry.

mod rounds;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use linli_core::id::SiteId;
use linli_proto::v1;
use linli_proto::v1::import_residents_request::Part;
use linli_service::server::assemble::OsRandom;
use linli_store::{RootKey, Scope, Store, StoreConfig};

use crate::harness::Numbers;
use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, request_id};
use crate::harness::server::{Child, Data};

/// Rounds in all: half with records, half with a roster beside them.
const ROUNDS: u64 = 20;
/// Callers at a time.
const CALLERS: u64 = 6;
/// Writes that a round must have acknowledged, else it shows nothing.
const ACKNOWLEDGED_MIN: usize = 3;

/// What clients were told is durable.
#[derive(Default)]
struct Ledger {
    /// Records by name, with the request that made each.
    records: Vec<(String, v1::RecordServiceRequest)>,
    /// Residents by name, out of rosters.
    residents: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_by_kill_nine() {
    let mut numbers = Numbers::seeded("nothing_acknowledged_is_lost_by_kill_nine");
    let mut child = Child::start(Data::sqlite());
    let (site, _, resident) = child.client().estate("s1").await;
    let mut ledger = Ledger::default();
    let next = Arc::new(AtomicU64::new(1));
    for round in 0..ROUNDS {
        let with_roster = round % 2 == 1;
        let wait = Duration::from_millis(numbers.between(10, 250));
        let (data, new) = one_round(child, (&site, &resident), &next, with_roster, wait, round).await;
        assert!(
            new.records.len() + new.residents.len() >= ACKNOWLEDGED_MIN,
            "round {round} acknowledged {} records and {} residents within {wait:?}",
            new.records.len(),
            new.residents.len()
        );
        ledger.records.extend(new.records);
        ledger.residents.extend(new.residents);
        verify(&data, round).await;
        child = Child::start(data);
        let client = child.client();
        hold(&client, &ledger, &site).await;
        // The last acknowledged request sent again is the same record, not another one.
        if let Some((name, request)) = ledger.records.last() {
            let again = client.ask(request.clone()).await.unwrap();
            assert_eq!(&again.records[0].name, name);
        }
    }
    eprintln!("{} records and {} residents survived", ledger.records.len(), ledger.residents.len());
}

/// Writes until the first acknowledgements have come, then as long as `wait`, then kills.
async fn one_round(
    child: Child,
    (site, resident): (&str, &str),
    next: &Arc<AtomicU64>,
    with_roster: bool,
    wait: Duration,
    round: u64,
) -> (Data, Ledger) {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for _ in 0..CALLERS {
        let (client, next, stop, told) = (child.client(), Arc::clone(next), Arc::clone(&stop), told.clone());
        let (site, resident) = (site.to_owned(), resident.to_owned());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let visit = contact(
                    &resident,
                    v1::ServiceKind::PhoneCall,
                    "2026-03-16T08:00:00+08:00",
                    v1::Outcome::Done,
                );
                let request = v1::RecordServiceRequest {
                    parent: site.clone(),
                    records: vec![visit],
                    request_id: request_id(number),
                };
                match client.ask(request.clone()).await {
                    Ok(mut answer) => drop(told.send(Ok((answer.records.remove(0).name, request)))),
                    Err(_) => break,
                }
            }
        }));
    }
    if with_roster {
        let (client, told, stop, site) = (child.client(), told.clone(), Arc::clone(&stop), site.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut part = 0;
            while !stop.load(Ordering::Relaxed) {
                match client.import(roster(&site, round, part)).await {
                    Ok(answer) => {
                        assert_eq!(answer.failed_count, 0, "{answer:?}");
                        let names = answer.results.into_iter().map(|result| result.resident);
                        drop(told.send(Err(names.collect::<Vec<_>>())));
                    }
                    Err(_) => break,
                }
                part += 1;
            }
        }));
    }
    drop(told);
    let mut ledger = Ledger::default();
    let mut keep = |message| match message {
        Ok(record) => ledger.records.push(record),
        Err(residents) => ledger.residents.extend(residents),
    };
    for _ in 0..ACKNOWLEDGED_MIN {
        let first = tokio::time::timeout(crate::harness::PATIENCE, heard.recv()).await;
        keep(first.expect("writes are acknowledged").expect("callers are at work"));
    }
    let end = tokio::time::Instant::now() + wait;
    while let Ok(Some(message)) = tokio::time::timeout_at(end, heard.recv()).await {
        keep(message);
    }
    // In the middle of whatever is under way.
    let data = child.kill();
    stop.store(true, Ordering::Relaxed);
    while let Some(message) = heard.recv().await {
        keep(message);
    }
    for task in tasks {
        task.await.unwrap();
    }
    (data, ledger)
}

fn roster(site: &str, round: u64, part: u64) -> Vec<v1::ImportResidentsRequest> {
    let header = v1::ImportHeader { parent: site.to_owned(), create_dwellings: true, ..Default::default() };
    let row = |line: i64| v1::ImportRow {
        line,
        resident: Some(elder("", &format!("住户{round}之{part}之{line}"))),
        dwelling: Some(v1::Dwelling {
            building: format!("{round}"),
            room: format!("{part}-{line}"),
            ..Default::default()
        }),
        ..Default::default()
    };
    std::iter::once(Part::Header(header))
        .chain((1..=10).map(|line| Part::Row(row(line))))
        .map(|part| v1::ImportResidentsRequest { part: Some(part) })
        .collect()
}

/// The files by themselves: sound, chained without a gap, and record ⇔ audit entry ⇔ event.
async fn verify(data: &Data, round: u64) {
    let root = RootKey::from_file(&data.folder().join("root.key")).unwrap();
    let config = StoreConfig::sqlite(data.database());
    let store = Store::open(config, root, Arc::new(OsRandom)).await.unwrap();
    assert_eq!(store.sqlite_text("PRAGMA integrity_check").await, ["ok"], "round {round}");
    let scope = Scope::from(&SiteId::new("s1").unwrap());
    let end = store.verify_chain(&scope, None).await.unwrap();
    store.verify_chain(&Scope::System, None).await.unwrap();

    let count = |sql: &str| {
        let (store, sql) = (store.clone(), format!("SELECT COUNT(*) FROM {sql}"));
        async move { store.sqlite_text(&sql).await.remove(0).parse::<i64>().unwrap() }
    };
    let site = "site = 's1'";
    assert_eq!(count(&format!("audit_entry WHERE {site}")).await, end.seq);
    let mut audited = (0, 0);
    let mut after = 0;
    loop {
        let entries = store.audit_entries(&scope, after, 1_000).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = last.seq;
        let wrote = |method: &str| {
            let of = |entry: &&linli_store::AuditEntry| {
                entry.draft.method.ends_with(method) && entry.change != [0; 32]
            };
            i64::try_from(entries.iter().filter(of).count()).unwrap()
        };
        audited.0 += wrote("/RecordService");
        audited.1 += wrote("/ImportResidents") + wrote("/CreateResident");
    }
    let records = count(&format!("record WHERE {site}")).await;
    assert_eq!(records, audited.0, "round {round}: records and their audit entries");
    assert_eq!(records, count(&format!("outbox_event WHERE {site} AND kind = 'record.created'")).await);
    assert_eq!(records, count(&format!("record_subject WHERE {site}")).await);
    assert_eq!(records, count(&format!("idempotency WHERE {site} AND method LIKE '%/RecordService'")).await);
    let residents = count(&format!("resident WHERE {site}")).await;
    assert_eq!(residents, count(&format!("outbox_event WHERE {site} AND kind = 'resident.created'")).await);
    assert_eq!(
        residents,
        count(&format!("(SELECT DISTINCT resident FROM assessment WHERE {site}) AS assessed")).await,
        "no file without its duties"
    );
    let doors = count(&format!("outbox_event WHERE {site} AND kind = 'dwelling.created'")).await;
    assert_eq!(doors, count(&format!("dwelling WHERE {site}")).await);
    assert!(audited.1 >= residents, "round {round}: {} entries for {residents} files", audited.1);
    store.close().await;
}

/// Everything that was acknowledged is there, each once.
async fn hold(client: &Client, ledger: &Ledger, site: &str) {
    let mut there = BTreeSet::new();
    let mut request =
        v1::ListRecordsRequest { parent: site.to_owned(), page_size: 200, ..Default::default() };
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        there.extend(page.records.into_iter().map(|record| record.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let told: BTreeSet<String> = ledger.records.iter().map(|(name, _)| name.clone()).collect();
    let lost: Vec<_> = told.difference(&there).collect();
    assert!(lost.is_empty(), "{} acknowledged records are lost: {lost:?}", lost.len());
    assert_eq!(told.len(), ledger.records.len(), "no request was answered with another's record");

    let mut there = BTreeSet::new();
    let mut request =
        v1::ListResidentsRequest { parent: site.to_owned(), page_size: 200, ..Default::default() };
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        there.extend(page.residents.into_iter().map(|resident| resident.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let lost: Vec<_> = ledger.residents.difference(&there).collect();
    assert!(lost.is_empty(), "{} acknowledged residents are lost: {lost:?}", lost.len());
}
