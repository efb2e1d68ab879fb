//! What a group of change sets comes to: a pure function of the group and of what the database holds.
//!
//! Change sets are taken in queue order. Each sees the database as the ones before it leave it; one that fails
//! leaves nothing. The result is what committing them one after the other would give.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::audit;
use crate::change::{Expect, IDEMPOTENCY_DAYS, Prepared, Write};
use crate::error::{CommitError, Fault};
use crate::table::{Key, Table, Val, audit_entry, idempotency, outbox_event, site_head};

const DAY_MICROS: i64 = 86_400_000_000;

/// A site's spine as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) audit_seq: i64,
    pub(crate) audit_hash: [u8; 32],
    pub(crate) event_seq: i64,
    pub(crate) authz_epoch: i64,
    pub(crate) key_version: i64,
}

impl Default for Head {
    fn default() -> Self {
        Self { audit_seq: 0, audit_hash: audit::GENESIS, event_seq: 0, authz_epoch: 0, key_version: 1 }
    }
}

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredAnswer {
    pub(crate) request_hash: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    pub(crate) expires_at: i64,
}

/// What the group asks about, as the database holds it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) heads: BTreeMap<String, Head>,
    /// Sites whose heads were made only to be locked.
    pub(crate) made: BTreeSet<String>,
    /// Version of every guarded row that exists; 0 for rows of tables without versions.
    pub(crate) versions: HashMap<(Table, Key), i64>,
    /// The stored answers that the group asks for, where they were looked up. Repetitions are rare: a group is first tried
    /// without, and the key of a stored answer stops it.
    pub(crate) answers: Option<HashMap<Key, StoredAnswer>>,
}

/// A row to write: of a change set, or made by the plan.
pub(crate) type Row<'a> = Cow<'a, [Val]>;

/// What a change set came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Stored.
    Done { audit_seq: i64, audit_hash: [u8; 32], event_seq: i64 },
    /// Was stored before; this is the sealed answer.
    Repeated { answer: Vec<u8> },
}

/// A value that is exchanged in place.
pub(crate) type Swap<'a> = (&'a Key, &'a [u8], Option<&'a [u8]>);

/// What to write for a group, and what to answer to each.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) heads: BTreeMap<String, Head>,
    /// Keys of heads that were made to be locked and are not used.
    pub(crate) unused_heads: Vec<Key>,
    /// By table and column: key, old and new value. They come first: a row that the group replaces or deletes as well ends
    /// as in any order.
    pub(crate) swaps: BTreeMap<(Table, &'static str), Vec<Swap<'a>>>,
    pub(crate) appends: BTreeMap<Table, Vec<Row<'a>>>,
    pub(crate) puts: BTreeMap<Table, Vec<Row<'a>>>,
    pub(crate) deletes: BTreeMap<Table, Vec<Key>>,
    pub(crate) results: Vec<Result<Outcome, CommitError>>,
}

impl Plan<'_> {
    /// Whether one that failed has a request id: it may fail because it was carried out before, and its answer must be
    /// looked up.
    pub(crate) fn may_repeat(&self, group: &[Prepared]) -> bool {
        group
            .iter()
            .zip(&self.results)
            .any(|(prepared, result)| prepared.request.is_some() && result.is_err())
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

/// What the group's earlier change sets made of a row.
#[derive(Debug, Clone)]
enum Seen {
    Row(i64),
    Gone,
}

struct Planner<'a> {
    facts: &'a Facts,
    /// Tables in which the group may meet itself: those it guards, replaces in or deletes from. Rows of the others
    /// are not remembered.
    tracked: HashSet<Table>,
    heads: BTreeMap<String, Head>,
    touched: BTreeSet<String>,
    seen: HashMap<(Table, Key), Seen>,
    answers: HashMap<Key, StoredAnswer>,
    swaps: BTreeMap<(Table, &'static str), Vec<Swap<'a>>>,
    appends: BTreeMap<Table, Vec<Row<'a>>>,
    puts: BTreeMap<Table, BTreeMap<Key, Option<Row<'a>>>>,
}

/// Plans a group.
pub(crate) fn plan<'a>(group: &'a [Prepared], facts: &'a Facts) -> Plan<'a> {
    let mut planner = Planner {
        facts,
        tracked: tracked(group),
        heads: facts.heads.clone(),
        touched: BTreeSet::new(),
        seen: HashMap::new(),
        answers: HashMap::new(),
        swaps: BTreeMap::new(),
        appends: BTreeMap::new(),
        puts: BTreeMap::new(),
    };
    let results = group.iter().map(|prepared| planner.take(prepared)).collect();
    planner.finish(results)
}

fn tracked(group: &[Prepared]) -> HashSet<Table> {
    let guards = group.iter().flat_map(|prepared| &prepared.rows.guards).map(|guard| guard.table);
    let writes = group.iter().flat_map(|prepared| &prepared.rows.writes).filter_map(|write| match write {
        Write::Append { .. } | Write::Swap { .. } => None,
        Write::Put { table, .. } | Write::Delete { table, .. } => Some(*table),
    });
    guards.chain(writes).collect()
}

/// The keys of rows that the group's guards ask about.
pub(crate) fn asked(group: &[Prepared]) -> BTreeMap<Table, Vec<Key>> {
    let mut seen = HashSet::new();
    let mut keys: BTreeMap<Table, Vec<Key>> = BTreeMap::new();
    for guard in group.iter().flat_map(|prepared| &prepared.rows.guards) {
        if seen.insert((guard.table, &guard.key)) {
            keys.entry(guard.table).or_default().push(guard.key.clone());
        }
    }
    keys
}

impl<'a> Planner<'a> {
    fn take(&mut self, prepared: &'a Prepared) -> Result<Outcome, CommitError> {
        let head = self.heads.get(&prepared.scope).cloned().unwrap_or_default();
        if head.authz_epoch != prepared.epoch {
            return Err(CommitError::EpochChanged { current: head.authz_epoch });
        }
        if head.key_version != prepared.key_version {
            return Err(CommitError::KeysChanged { current: head.key_version });
        }
        if let Some(answer) = self.repeated(prepared)? {
            return Ok(Outcome::Repeated { answer });
        }
        for guard in &prepared.rows.guards {
            self.check(guard)?;
        }
        self.check_appends(prepared)?;
        for write in &prepared.rows.writes {
            self.apply(write);
        }
        Ok(self.record(prepared, head))
    }

    /// The stored answer, if the same request was answered before.
    fn repeated(&self, prepared: &Prepared) -> Result<Option<Vec<u8>>, CommitError> {
        let Some(request) = &prepared.request else { return Ok(None) };
        let key = request.key(&prepared.scope);
        match self.answers.get(&key).or_else(|| self.facts.answers.as_ref()?.get(&key)) {
            Some(stored) if stored.expires_at > prepared.system_time.micros() => {
                if stored.request_hash == request.request_hash {
                    Ok(Some(stored.answer.clone()))
                } else {
                    Err(CommitError::RequestIdReused)
                }
            }
            Some(_) | None => Ok(None),
        }
    }

    fn check(&self, guard: &crate::change::Guard) -> Result<(), CommitError> {
        let place = (guard.table, guard.key.clone());
        let version = match self.seen.get(&place) {
            Some(Seen::Row(version)) => Some(*version),
            Some(Seen::Gone) => None,
            None => self.facts.versions.get(&place).copied(),
        };
        let what = guard.what;
        match (guard.expect, version) {
            (Expect::Absent, None) | (Expect::Present, Some(_)) => Ok(()),
            (Expect::Absent, Some(_)) => Err(CommitError::Exists { what }),
            (Expect::Present | Expect::Version(_), None) => Err(CommitError::Missing { what }),
            (Expect::Version(expected), Some(current)) if expected == current => Ok(()),
            (Expect::Version(_), Some(current)) => Err(CommitError::Stale { what, current }),
        }
    }

    /// An append of a key that an earlier change set of the group wrote fails here as it would in the database; what
    /// only the database knows of, it finds itself.
    fn check_appends(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let doubled = prepared.rows.writes.iter().any(|write| match write {
            Write::Append { table, .. } if !self.tracked.contains(table) => false,
            Write::Append { table, row } => {
                matches!(self.seen.get(&(*table, key_of(*table, row))), Some(Seen::Row(_)))
            }
            Write::Put { .. } | Write::Delete { .. } | Write::Swap { .. } => false,
        });
        if doubled { Err(CommitError::Database(Fault::Duplicate)) } else { Ok(()) }
    }

    // The writer executes appends before puts and deletes; where the group's order was another, the row goes
    // the other way.
    fn apply(&mut self, write: &'a Write) {
        match write {
            Write::Append { table, row } if !self.tracked.contains(table) => {
                self.appends.entry(*table).or_default().push(Cow::Borrowed(row));
            }
            Write::Append { table, row } => {
                let key = key_of(*table, row);
                let version = Seen::Row(version_of(*table, row));
                match self.seen.insert((*table, key.clone()), version) {
                    Some(Seen::Gone) => {
                        self.puts.entry(*table).or_default().insert(key, Some(Cow::Borrowed(row)));
                    }
                    Some(Seen::Row(_)) | None => {
                        self.appends.entry(*table).or_default().push(Cow::Borrowed(row));
                    }
                }
            }
            Write::Put { table, row } => {
                let key = key_of(*table, row);
                self.seen.insert((*table, key.clone()), Seen::Row(version_of(*table, row)));
                self.puts.entry(*table).or_default().insert(key, Some(Cow::Borrowed(row)));
            }
            Write::Delete { table, key } => {
                self.seen.insert((*table, key.clone()), Seen::Gone);
                self.puts.entry(*table).or_default().insert(key.clone(), None);
            }
            Write::Swap { table, column, key, old, new } => {
                self.swaps.entry((*table, column)).or_default().push((key, old, new.as_deref()));
            }
        }
    }

    /// Gives the change set its place in the chain and the sequence of events.
    fn record(&mut self, prepared: &Prepared, mut head: Head) -> Outcome {
        let scope = prepared.scope.as_str();
        head.audit_seq += 1;
        let body = audit::body(scope, head.audit_seq, &prepared.audit_tail);
        head.audit_hash = audit::chain(&head.audit_hash, &body);
        let entry = audit_entry::Model {
            site: scope.to_owned(),
            seq: head.audit_seq,
            hash: head.audit_hash.to_vec(),
            body,
        };
        self.appends.entry(Table::AuditEntry).or_default().push(owned(entry));
        for event in &prepared.events {
            head.event_seq += 1;
            let row = outbox_event::Model {
                site: scope.to_owned(),
                seq: head.event_seq,
                kind: event.kind.to_owned(),
                resource: event.resource.clone(),
                care_time: prepared.care_time.micros(),
                system_time: prepared.system_time.micros(),
                audit_seq: head.audit_seq,
            };
            self.appends.entry(Table::OutboxEvent).or_default().push(owned(row));
        }
        if let Some(request) = &prepared.request {
            self.remember(prepared, request);
        }
        if prepared.bump_epoch {
            head.authz_epoch += 1;
        }
        if prepared.renews_keys {
            head.key_version += 1;
        }
        let outcome = Outcome::Done {
            audit_seq: head.audit_seq,
            audit_hash: head.audit_hash,
            event_seq: head.event_seq,
        };
        for site in &prepared.bumped {
            // Of a site that is not there no decision was taken.
            let is_there = self.touched.contains(site) || !self.facts.made.contains(site);
            match self.heads.get_mut(site) {
                Some(head) if is_there => {
                    head.authz_epoch += 1;
                    self.touched.insert(site.clone());
                }
                Some(_) | None => {}
            }
        }
        self.touched.insert(scope.to_owned());
        self.heads.insert(scope.to_owned(), head);
        outcome
    }

    fn remember(&mut self, prepared: &Prepared, request: &crate::change::PreparedRequest) {
        let expires_at = prepared.system_time.micros().saturating_add(IDEMPOTENCY_DAYS * DAY_MICROS);
        let row = idempotency::Model {
            site: prepared.scope.clone(),
            principal: request.principal.clone(),
            method: request.method.clone(),
            request_id: request.request_id.clone(),
            request_hash: request.request_hash.to_vec(),
            answer: request.sealed_answer.clone(),
            expires_at,
        };
        let key = request.key(&prepared.scope);
        let stored =
            StoredAnswer { request_hash: row.request_hash.clone(), answer: row.answer.clone(), expires_at };
        if self.facts.answers.is_some() {
            // A row that has expired, but was not swept yet, gives way.
            self.puts.entry(Table::Idempotency).or_default().insert(key.clone(), Some(owned(row)));
        } else {
            self.appends.entry(Table::Idempotency).or_default().push(owned(row));
        }
        self.answers.insert(key, stored);
    }

    fn finish(self, results: Vec<Result<Outcome, CommitError>>) -> Plan<'a> {
        let mut plan = Plan { swaps: self.swaps, appends: self.appends, results, ..Plan::default() };
        for (table, rows) in self.puts {
            for (key, row) in rows {
                match row {
                    Some(row) => plan.puts.entry(table).or_default().push(row),
                    None => plan.deletes.entry(table).or_default().push(key),
                }
            }
        }
        let unused = self.facts.made.iter().filter(|site| !self.touched.contains(*site));
        plan.unused_heads = unused.map(|site| vec![site.as_str().into()]).collect();
        plan.heads = self.heads.into_iter().filter(|(site, _)| self.touched.contains(site)).collect();
        plan
    }
}

fn owned<'a>(row: impl Into<Vec<Val>>) -> Row<'a> {
    Cow::Owned(row.into())
}

/// A head as a row.
pub(crate) fn head_row(site: &str, head: &Head) -> Vec<Val> {
    site_head::Model {
        site: site.to_owned(),
        audit_seq: head.audit_seq,
        audit_hash: head.audit_hash.to_vec(),
        event_seq: head.event_seq,
        authz_epoch: head.authz_epoch,
        key_version: head.key_version,
    }
    .into()
}

fn key_of(table: Table, row: &[Val]) -> Key {
    row.iter().take(table.meta().key).cloned().collect()
}

fn version_of(table: Table, row: &[Val]) -> i64 {
    match row.get(table.meta().key) {
        Some(Val::Int(version)) if table.meta().versioned => *version,
        _ => 0, // a table without versions
    }
}
