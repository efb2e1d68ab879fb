//! The writer: takes all change sets that wait, makes one commit of them, answers after the commit.
//!
//! ```text
//! BEGIN (IMMEDIATE on SQLite)
//!   lock the heads of the group's sites, in site order (FOR UPDATE on PostgreSQL)
//!   read what guards and request ids ask about: one statement per table
//!   plan (a pure function)
//!   one statement per table; the heads
//! COMMIT
//! ```
//!
//! Whoever writes a site's rows holds the site's head, so a guard that holds when it is read holds at the
//! commit. A database error rolls back and the group is tried again one by one, so that only the guilty fails.

pub(crate) mod plan;
pub(crate) mod sql;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::change::Prepared;
use crate::error::{CommitError, Fault};
use crate::grouped::gather;
use crate::table::{Key, Table, idempotency, site_head};
use crate::wake::Wakes;
use plan::{Facts, Head, Outcome, Plan, StoredAnswer};
use sql::{Mode, Writes};

/// Most change sets in one commit: beyond it the gain is small and the wait of the first one grows.
pub(crate) const GROUP_MAX: usize = 256;
/// Most change sets that wait for one writer; more are refused at once.
pub(crate) const QUEUE_MAX: usize = 2048;
/// How often a group is tried again as a whole when it lost against another transaction.
const RETRIES: u32 = 5;

type Answer = Result<Outcome, CommitError>;

enum Message {
    Commit(Box<Prepared>, oneshot::Sender<Answer>),
    Stop(oneshot::Sender<()>),
}

/// The way into a writer.
#[derive(Clone)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Message>,
    failed: Arc<AtomicBool>,
}

impl Queue {
    /// Starts a writer on a connection of its own.
    pub(crate) fn start(connection: DatabaseConnection, wakes: Wakes) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let failed = Arc::new(AtomicBool::new(false));
        tokio::spawn(run(connection, wakes, receiver, Arc::clone(&failed)));
        Self { sender, failed }
    }

    /// Whether the writer has stopped after a disk failure.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Commits what waits and stops; further change sets are refused.
    pub(crate) async fn stop(&self) {
        let (stop, stopped) = oneshot::channel();
        if self.sender.send(Message::Stop(stop)).await.is_ok() {
            drop(stopped.await);
        }
    }

    /// How many change sets wait.
    pub(crate) fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// Hands over a change set and waits for its commit.
    pub(crate) async fn commit(&self, prepared: Prepared) -> Answer {
        if self.failed() {
            return Err(CommitError::Stopped);
        }
        let (answer, answered) = oneshot::channel();
        match self.sender.try_send(Message::Commit(Box::new(prepared), answer)) {
            Ok(()) => answered.await.unwrap_or(Err(CommitError::Unknown)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(CommitError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(CommitError::Stopped),
        }
    }
}

async fn run(
    connection: DatabaseConnection,
    wakes: Wakes,
    mut receiver: mpsc::Receiver<Message>,
    failed: Arc<AtomicBool>,
) {
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    let mut stopping = Vec::new();
    let mut known = KnownHeads::default();
    while stopping.is_empty() && gather(&mut receiver, &mut waiting, GROUP_MAX).await {
        let (mut group, mut answers) = (Vec::with_capacity(waiting.len()), Vec::with_capacity(waiting.len()));
        for message in waiting.drain(..) {
            match message {
                Message::Commit(prepared, answer) => {
                    group.push(*prepared);
                    answers.push(answer);
                }
                Message::Stop(stopped) => {
                    receiver.close();
                    stopping.push(stopped);
                }
            }
        }
        if failed.load(Ordering::Acquire) {
            answers.into_iter().for_each(|answer| drop(answer.send(Err(CommitError::Stopped))));
            continue;
        }
        let results = commit_group(&connection, &group, &mut known).await;
        for (prepared, result) in group.iter().zip(&results) {
            if matches!(result, Ok(Outcome::Done { .. })) {
                wake(&wakes, prepared);
            }
        }
        let disk = results
            .iter()
            .any(|result| matches!(result, Err(CommitError::Database(Fault::Disk) | CommitError::Unknown)));
        if disk && connection.get_database_backend() == DbBackend::Sqlite {
            // What a failed fsync left in the file is known after recovery only: nothing more is written.
            failed.store(true, Ordering::Release);
            tracing::error!(
                "the database file failed; no more writes are taken until the server is restarted"
            );
        }
        for (answer, result) in answers.into_iter().zip(results) {
            drop(answer.send(result)); // a caller that went away does not need it
        }
    }
    // What came after the stop is told so, by the end of its channel.
    receiver.close();
    while let Ok(message) = receiver.try_recv() {
        match message {
            Message::Commit(_, answer) => drop(answer.send(Err(CommitError::Stopped))),
            Message::Stop(stopped) => stopping.push(stopped),
        }
    }
    for stopped in stopping {
        let _ = stopped.send(());
    }
}

/// Wakes who waits for events, or holds rights that may have ended.
fn wake(wakes: &Wakes, prepared: &Prepared) {
    if !prepared.events.is_empty() || prepared.bump_epoch {
        wakes.tell(&prepared.scope);
    }
    for site in &prepared.bumped {
        wakes.tell(site);
    }
}

/// The heads as this process left them: on SQLite it is the only one that writes, and need not ask again.
#[derive(Default)]
pub(crate) struct KnownHeads(BTreeMap<String, Head>);

/// Most heads that are remembered; beyond it all are forgotten, to begin anew.
const KNOWN_HEADS_MAX: usize = 20_000;

/// Commits a group; results in queue order.
pub(crate) async fn commit_group(
    connection: &DatabaseConnection,
    group: &[Prepared],
    known: &mut KnownHeads,
) -> Vec<Answer> {
    let (mut tries, mut reconnected) = (0, false);
    // A single one looks for its stored answer at once: a group was stopped by it, or nothing is saved.
    let mut look_up = group.len() == 1;
    loop {
        match attempt(connection, group, known, look_up).await {
            Ok(results) => return results,
            Err(failure) => {
                known.0.clear();
                match failure {
                    Failure::Commit => return group.iter().map(|_| Err(CommitError::Unknown)).collect(),
                    Failure::Before(Fault::Busy) if tries < RETRIES => {
                        tries += 1;
                        tokio::time::sleep(Duration::from_millis(5 << tries)).await;
                    }
                    Failure::Before(Fault::Duplicate) if !look_up => look_up = true,
                    // The connection may only have been an old one. If it is the database, nobody waits longer for it.
                    Failure::Before(Fault::Unavailable) if !reconnected => reconnected = true,
                    Failure::Before(fault @ (Fault::Unavailable | Fault::Full | Fault::Disk)) => {
                        return group.iter().map(|_| Err(CommitError::Database(fault))).collect();
                    }
                    Failure::Before(fault) if group.len() == 1 => {
                        return vec![Err(CommitError::Database(fault))];
                    }
                    Failure::Before(fault) => {
                        tracing::debug!(%fault, size = group.len(), "group rolled back; committing one by one");
                        break;
                    }
                }
            }
        }
    }
    let mut results = Vec::with_capacity(group.len());
    for prepared in group {
        results.extend(Box::pin(commit_group(connection, std::slice::from_ref(prepared), known)).await);
    }
    results
}

enum Failure {
    /// Rolled back: nothing is stored.
    Before(Fault),
    /// COMMIT was sent and did not answer.
    Commit,
}

impl From<DbErr> for Failure {
    fn from(err: DbErr) -> Self {
        Self::Before(Fault::of(&err))
    }
}

async fn attempt(
    connection: &DatabaseConnection,
    group: &[Prepared],
    known: &mut KnownHeads,
    look_up: bool,
) -> Result<Vec<Answer>, Failure> {
    let transaction = begin(connection).await?;
    let mut facts = facts(&transaction, group, known, look_up).await?;
    let mut plan = plan::plan(group, &facts);
    if !look_up && plan.may_repeat(group) {
        let answers = answers(&transaction, group).await?;
        drop(plan);
        facts.answers = Some(answers);
        plan = plan::plan(group, &facts);
    }
    if plan.is_empty() {
        transaction.rollback().await?;
        return Ok(plan.results);
    }
    let heads = plan.heads.clone();
    let results = execute(&transaction, plan).await?;
    match transaction.commit().await {
        Ok(()) => {
            if connection.get_database_backend() == DbBackend::Sqlite {
                known.0.extend(heads);
            }
            Ok(results)
        }
        Err(err) => match Fault::of(&err) {
            fault @ (Fault::Busy | Fault::Full | Fault::Constraint | Fault::Duplicate) => {
                Err(Failure::Before(fault))
            }
            Fault::Unavailable | Fault::Disk | Fault::Internal => Err(Failure::Commit),
        },
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place where a transaction begins")]
async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    connection
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await
}

async fn facts(
    transaction: &DatabaseTransaction,
    group: &[Prepared],
    known: &mut KnownHeads,
    look_up: bool,
) -> Result<Facts, DbErr> {
    let scopes = group.iter().map(|prepared| prepared.scope.as_str());
    let bumped = group.iter().flat_map(|prepared| prepared.bumped.iter().map(String::as_str));
    let mut sites: Vec<&str> = scopes.chain(bumped).collect();
    sites.sort_unstable();
    sites.dedup();
    if known.0.len() > KNOWN_HEADS_MAX {
        known.0.clear();
    }
    let unknown: Vec<&str> = sites.iter().copied().filter(|site| !known.0.contains_key(*site)).collect();
    let (mut heads, made) =
        if unknown.is_empty() { Default::default() } else { heads(transaction, &unknown).await? };
    let remembered = sites.iter().filter_map(|site| known.0.get_key_value(*site));
    heads.extend(remembered.map(|(site, head)| (site.clone(), head.clone())));
    let mut facts = Facts { heads, made, ..Facts::default() };
    if look_up {
        facts.answers = Some(answers(transaction, group).await?);
    }
    for (table, keys) in plan::asked(group) {
        let meta = table.meta();
        let Some(like) = keys.first() else { continue };
        let mut columns = meta.columns.iter().take(meta.key).copied().collect::<Vec<_>>();
        columns.push(if meta.versioned { "version" } else { "CAST(0 AS BIGINT)" });
        for row in sql::select_by_keys(transaction, meta, &columns.join(", "), &keys, "").await? {
            facts.versions.insert((table, sql::key_of_row(&row, like)?), row.try_get_by_index(meta.key)?);
        }
    }
    Ok(facts)
}

/// The stored answers of the group's requests.
async fn answers(
    transaction: &DatabaseTransaction,
    group: &[Prepared],
) -> Result<HashMap<Key, StoredAnswer>, DbErr> {
    let keys: Vec<Key> =
        group.iter().filter_map(|p| p.request.as_ref().map(|request| request.key(&p.scope))).collect();
    let mut answers = HashMap::new();
    let Some(like) = keys.first() else { return Ok(answers) };
    let columns = "site, principal, method, request_id, request_hash, answer, expires_at";
    for row in sql::select_by_keys(transaction, &idempotency::META, columns, &keys, "").await? {
        let answer = StoredAnswer {
            request_hash: row.try_get_by_index(4)?,
            answer: row.try_get_by_index(5)?,
            expires_at: row.try_get_by_index(6)?,
        };
        answers.insert(sql::key_of_row(&row, like)?, answer);
    }
    Ok(answers)
}

/// Reads the heads and, on PostgreSQL, locks them in site order; a head must exist to be locked, so those that do
/// not are made. The second value names them.
async fn heads(
    transaction: &DatabaseTransaction,
    sites: &[&str],
) -> Result<(BTreeMap<String, Head>, BTreeSet<String>), DbErr> {
    let keys: Vec<Key> = sites.iter().map(|site| vec![(*site).into()]).collect();
    let postgres = transaction.get_database_backend() == DbBackend::Postgres;
    let suffix = if postgres { " ORDER BY site FOR UPDATE" } else { "" };
    let found = select_heads(transaction, &keys, suffix).await?;
    let missing: Vec<_> = sites.iter().filter(|site| !found.contains_key(**site)).collect();
    if !postgres || missing.is_empty() {
        return Ok((found, BTreeSet::new()));
    }
    let rows = missing.iter().map(|site| plan::head_row(site, &Head::default())).collect();
    let made = sql::insert_missing(transaction, &site_head::META, rows).await?;
    // Whoever else made one meanwhile has committed by now: read again.
    Ok((select_heads(transaction, &keys, suffix).await?, made))
}

async fn select_heads(
    transaction: &DatabaseTransaction,
    keys: &[Key],
    suffix: &str,
) -> Result<BTreeMap<String, Head>, DbErr> {
    let columns = "site, audit_seq, audit_hash, event_seq, authz_epoch, key_version";
    let rows = sql::select_by_keys(transaction, &site_head::META, columns, keys, suffix).await?;
    rows.iter()
        .map(|row| {
            let hash: Vec<u8> = row.try_get_by_index(2)?;
            let audit_hash = hash.try_into().map_err(|_| DbErr::Type("audit_hash".into()))?;
            let head = Head {
                audit_seq: row.try_get_by_index(1)?,
                audit_hash,
                event_seq: row.try_get_by_index(3)?,
                authz_epoch: row.try_get_by_index(4)?,
                key_version: row.try_get_by_index(5)?,
            };
            Ok((row.try_get_by_index(0)?, head))
        })
        .collect()
}

async fn execute(transaction: &DatabaseTransaction, plan: Plan<'_>) -> Result<Vec<Answer>, DbErr> {
    for ((table, column), rows) in plan.swaps {
        sql::swap_values(transaction, table.meta(), column, &rows).await?;
    }
    let mut writes = Writes::new(transaction.get_database_backend());
    for (table, rows) in plan.appends {
        // The head of a new site may have come to be by a refused call about a site that was not there yet.
        let mode = if table == Table::SiteHead { Mode::InsertOrKeep } else { Mode::Insert };
        writes.add(table.meta(), mode, rows);
    }
    for (table, rows) in plan.puts {
        writes.add(table.meta(), Mode::Upsert, rows);
    }
    let heads = plan.heads.iter().map(|(site, head)| plan::head_row(site, head).into()).collect();
    writes.add(Table::SiteHead.meta(), Mode::Upsert, heads);
    writes.send(transaction).await?;
    // No row is both put and deleted, and no head that was made in vain is one of those above.
    for (table, keys) in plan.deletes {
        sql::delete_rows(transaction, table.meta(), keys).await?;
    }
    if !plan.unused_heads.is_empty() {
        // Nothing came of the change sets that these were made for.
        sql::delete_rows(transaction, Table::SiteHead.meta(), plan.unused_heads).await?;
    }
    Ok(plan.results)
}
