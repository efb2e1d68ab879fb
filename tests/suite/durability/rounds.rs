//! A hundred short lives on each database, ended by SIGKILL in the middle of audited reads and writes: never an answer
//! without its audit entry, never a change without one.
//!
//! Each round is a few milliseconds of work on top of a start, which a server without plugins does in a quarter of a second; the
//! hundred of them take about a minute on an idle machine of two cores. Every read and write carries a request id, by which its entry is
//! looked for in the files (or the database) that the dead process left behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use linli_core::id::SiteId;
use linli_proto::v1;
use linli_service::server::assemble::OsRandom;
use linli_store::{Decision, RootKey, Scope, Store, StoreConfig};

use crate::harness::client::{Client, Rpc};
use crate::harness::estate::{contact, elder, mask};
use crate::harness::server::{Child, Data};
use crate::harness::{Numbers, PATIENCE};

const ROUNDS: u64 = 100;
/// Answers that a round must have had before it ends, of each sort; else it shows nothing.
const ANSWERED_MIN: usize = 1;

/// What a caller does, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    /// A file, in clear.
    Read,
    /// A page of files, masked.
    List,
    /// A service record.
    Record,
    /// A change of a file.
    Update,
}

const SORTS: [Sort; 4] = [Sort::Read, Sort::List, Sort::Record, Sort::Update];

impl Sort {
    fn method(self) -> &'static str {
        match self {
            Self::Read => v1::GetResidentRequest::PATH,
            Self::List => v1::ListResidentsRequest::PATH,
            Self::Record => v1::RecordServiceRequest::PATH,
            Self::Update => v1::UpdateResidentRequest::PATH,
        }
    }

    /// Calls once; whether an answer came.
    async fn call(self, client: &Client, resident: &str, number: u64) -> bool {
        let client = client.with("x-request-id", &format!("round-{number}")).purposeful();
        let site = "sites/s1".to_owned();
        match self {
            Self::Read => {
                let request =
                    v1::GetResidentRequest { name: resident.to_owned(), view: v1::View::Full.into() };
                client.ask(request).await.is_ok()
            }
            Self::List => {
                let request = v1::ListResidentsRequest { parent: site, ..Default::default() };
                client.ask(request).await.is_ok()
            }
            Self::Record => {
                let visit = contact(
                    resident,
                    v1::ServiceKind::PhoneCall,
                    "2026-03-16T08:00:00+08:00",
                    v1::Outcome::Done,
                );
                let request =
                    v1::RecordServiceRequest { parent: site, records: vec![visit], ..Default::default() };
                client.ask(request).await.is_ok()
            }
            Self::Update => {
                let changed = v1::Resident {
                    name: resident.to_owned(),
                    family_note: format!("note {number}"),
                    ..Default::default()
                };
                let request = v1::UpdateResidentRequest {
                    resident: Some(changed),
                    update_mask: mask(&["family_note"]),
                    ..Default::default()
                };
                client.ask(request).await.is_ok()
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_and_no_change_is_without_its_audit_entry_on_sqlite() {
    hundred_lives("no_answer_and_no_change_is_without_its_audit_entry_on_sqlite", Data::sqlite().bare())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_and_no_change_is_without_its_audit_entry_on_postgres() {
    let Some(data) = Data::postgres().await else { return };
    hundred_lives("no_answer_and_no_change_is_without_its_audit_entry_on_postgres", data.bare()).await;
}

async fn hundred_lives(test: &str, data: Data) {
    let began = std::time::Instant::now();
    let mut numbers = Numbers::seeded(test);
    let mut child = Child::start(data);
    let site = child.client().site("s1").await;
    let dwelling = child.client().dwelling(&site, "501").await;
    let person = v1::Resident { facts: Vec::new(), ..elder(&dwelling, "秦安然") };
    let resident = child.client().resident(person).await.name;
    let next = Arc::new(AtomicU64::new(0));
    let mut answered: BTreeSet<(Sort, u64)> = BTreeSet::new();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let wait = Duration::from_micros(numbers.between(0, 30_000));
        let (data, told) = one_life(child, &resident, &next, wait).await;
        for sort in SORTS {
            let of_sort = told.iter().filter(|(of, _)| *of == sort).count();
            assert!(of_sort >= ANSWERED_MIN, "round {round} had {of_sort} answers to {sort:?}");
        }
        answered.extend(told);
        seen.look(&data, &resident, round).await;
        for (sort, number) in &answered {
            let entry = (sort.method().to_owned(), format!("round-{number}"));
            assert!(
                seen.allowed.contains(&entry),
                "round {round}: an answer to {sort:?} {number} without its entry"
            );
        }
        child = Child::start(data);
    }
    eprintln!(
        "{test}: {ROUNDS} rounds, {} answers, {} entries in {:?}",
        answered.len(),
        seen.after,
        began.elapsed()
    );
}

/// Calls of every sort at once, until each had an answer and then for as long as `wait`; then SIGKILL.
async fn one_life(
    child: Child,
    resident: &str,
    next: &Arc<AtomicU64>,
    wait: Duration,
) -> (Data, Vec<(Sort, u64)>) {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for sort in SORTS {
        let (client, next, stop, told) = (child.client(), Arc::clone(next), Arc::clone(&stop), told.clone());
        let resident = resident.to_owned();
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if !sort.call(&client, &resident, number).await || told.send((sort, number)).is_err() {
                    break;
                }
            }
        }));
    }
    drop(told);
    let mut answers: Vec<(Sort, u64)> = Vec::new();
    let of_each = |answers: &[(Sort, u64)]| {
        SORTS.iter().all(|sort| answers.iter().filter(|(of, _)| of == sort).count() >= ANSWERED_MIN)
    };
    while !of_each(&answers) {
        let answer = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("calls are answered");
        answers.push(answer.expect("callers are at work"));
    }
    let end = tokio::time::Instant::now() + wait;
    while let Ok(Some(answer)) = tokio::time::timeout_at(end, heard.recv()).await {
        answers.push(answer);
    }
    // In the middle of whatever is under way.
    let data = child.kill();
    stop.store(true, Ordering::Relaxed);
    while let Some(answer) = heard.recv().await {
        answers.push(answer);
    }
    for task in tasks {
        task.await.unwrap();
    }
    (data, answers)
}

/// The log as it was found.
#[derive(Default)]
struct Seen {
    /// The number of the last entry that was read.
    after: i64,
    /// Method and request id of every entry of an allowed call.
    allowed: BTreeSet<(String, String)>,
    /// Entries that changed something, by method.
    records: i64,
    updates: i64,
}

impl Seen {
    /// Looks at what a dead process left: the chain holds, and everything that changed has its entry.
    async fn look(&mut self, data: &Data, resident: &str, round: u64) {
        let store = opened(data).await;
        settled(&store).await;
        let scope = Scope::from(&SiteId::new("s1").unwrap());
        let end = store.verify_chain(&scope, None).await.unwrap();
        assert_eq!(store.count("audit_entry WHERE site = 's1'").await, end.seq, "round {round}");
        loop {
            let entries = store.audit_entries(&scope, self.after, 1_000).await.unwrap();
            let Some(last) = entries.last() else { break };
            self.after = last.seq;
            for entry in entries {
                assert_eq!(entry.draft.decision, Decision::Allowed);
                if entry.change != [0; 32] {
                    self.records += i64::from(entry.draft.method == Sort::Record.method());
                    self.updates += i64::from(entry.draft.method == Sort::Update.method());
                }
                self.allowed.insert((entry.draft.method, entry.draft.request_id));
            }
        }
        let records = store.count("record WHERE site = 's1'").await;
        assert_eq!(records, self.records, "round {round}: records and their entries");
        let id = resident.rsplit('/').next().unwrap();
        let updates = store.count("history WHERE site = 's1' AND field = 'family_note'").await;
        assert_eq!(updates, self.updates, "round {round}: changes of the file and their entries");
        let version = store.count(&format!("resident WHERE id = '{id}' AND version = {}", updates + 1)).await;
        assert_eq!(version, 1, "round {round}: the file's version counts its changes");
        let events = store.count("outbox_event WHERE site = 's1' AND kind = 'record.created'").await;
        assert_eq!(events, records, "round {round}: records and their events");
        store.close().await;
    }
}

async fn opened(data: &Data) -> Store {
    let root = RootKey::from_file(&data.folder().join("root.key")).unwrap();
    let config = match std::fs::read_to_string(data.folder().join("url")) {
        Ok(url) => StoreConfig::postgres(url.into(), false),
        Err(_) => StoreConfig::sqlite(data.database()),
    };
    Store::open(config, root, Arc::new(OsRandom)).await.unwrap()
}

/// On PostgreSQL what a dead process had sent may still be committed: waits until nobody is at work there.
async fn settled(store: &Store) {
    if store.backend_name() != "postgresql" {
        return;
    }
    let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                  AND state IN ('active', 'idle in transaction')";
    let since = std::time::Instant::now();
    while store.count(others).await > 0 {
        assert!(since.elapsed() < PATIENCE, "a transaction of a dead process does not end");
        tokio::task::yield_now().await;
    }
}
