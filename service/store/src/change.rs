//! Change sets: what a command wants to be true, and under which conditions.
//!
//! A change set is one scope, guards, changes, one audit draft, event drafts and possibly an idempotency draft. It
//! is stored whole or not at all. Changes take domain values; how they become rows is known to the module of
//! their resource.

use std::fmt;

use linli_core::id::SiteId;
use linli_core::time::Instant;
use secrecy::SecretSlice;
use sha2::{Digest, Sha256};

use crate::audit::AuditDraft;
use crate::table::{Key, Table, Val};

/// The text of the scope that belongs to no site; no site id can be equal to it.
const SYSTEM: &str = "*system";

/// Whose chain a change set is written to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A site.
    Site(SiteId),
    /// No site: calls that concern none or several, and the creation of sites.
    System,
}

impl Scope {
    /// As stored: the site's id or `*system`.
    pub fn text(&self) -> &str {
        match self {
            Self::Site(site) => site.as_str(),
            Self::System => SYSTEM,
        }
    }
}

impl From<&SiteId> for Scope {
    fn from(site: &SiteId) -> Self {
        Self::Site(site.clone())
    }
}

/// An event for others. Names and kinds only, never personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventDraft {
    /// What happened, such as `record.created`.
    pub(crate) kind: &'static str,
    /// The resource's name, such as `sites/a/records/r1`.
    pub(crate) resource: String,
}

impl EventDraft {
    /// Whether it tells of a resource by its name: ids have no other characters, and nothing else than a name is told.
    pub(crate) fn is_name(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        self.resource.split('/').all(|part| !part.is_empty() && part.bytes().all(is_plain))
    }
}

/// How long an answer is kept for repetitions of its request: 7 days.
pub const IDEMPOTENCY_DAYS: i64 = 7;

/// What makes a request repeatable: the same id gives the same answer.
pub struct RequestDraft {
    /// The RPC's name. With the audit draft's principal and the id it is the key.
    pub method: String,
    /// The id that the caller chose (a UUID).
    pub request_id: String,
    /// SHA-256 of the canonical request without its id; another request under the same id is refused.
    pub request_hash: [u8; 32],
    /// The answer, in an encoding of the caller's; sealed before it is stored. Nothing that the writer assigns.
    pub answer: SecretSlice<u8>,
}

impl fmt::Debug for RequestDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestDraft({} {})", self.method, self.request_id)
    }
}

/// What must hold about a row for a change set to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// There is one, in this version.
    Version(i64),
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) table: Table,
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    /// What people call the thing.
    pub(crate) what: &'static str,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// A new row whose key is fresh.
    Append { table: Table, row: Vec<Val> },
    /// The row of this key becomes this one, or comes to be.
    Put { table: Table, row: Vec<Val> },
    /// No row of this key remains.
    Delete { table: Table, key: Key },
    /// The column of the row of this key becomes `new` where it is `old`; where it is not, or there is no such row, nothing
    /// happens. The same value sealed anew, or nothing where somebody was erased: no guard, no version.
    Swap { table: Table, column: &'static str, key: Key, old: Vec<u8>, new: Option<Vec<u8>> },
}

/// Guards and writes of a change set, in the form the writer takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) guards: Vec<Guard>,
    pub(crate) writes: Vec<Write>,
}

impl Rows {
    /// A further condition.
    pub(crate) fn guard(&mut self, table: Table, key: Key, expect: Expect, what: &'static str) {
        self.guards.push(Guard { table, key, expect, what });
    }

    /// A row whose key is fresh by construction (a new id, a sequence): no look-up.
    pub(crate) fn append(&mut self, table: Table, row: impl Into<Vec<Val>>) {
        self.writes.push(Write::Append { table, row: row.into() });
    }

    /// A row that replaces what stands under its key.
    pub(crate) fn put(&mut self, table: Table, row: impl Into<Vec<Val>>) {
        self.writes.push(Write::Put { table, row: row.into() });
    }

    /// No row under this key.
    pub(crate) fn delete(&mut self, table: Table, key: Key) {
        self.writes.push(Write::Delete { table, key });
    }

    /// The same value sealed anew, or nothing in its place.
    pub(crate) fn swap(
        &mut self,
        table: Table,
        column: &'static str,
        key: Key,
        (old, new): (Vec<u8>, Option<Vec<u8>>),
    ) {
        self.writes.push(Write::Swap { table, column, key, old, new });
    }

    /// A row of a versioned table with the guard that its version asks for: version 1 is new, a higher one
    /// follows the one before it.
    pub(crate) fn put_versioned(&mut self, table: Table, row: impl Into<Vec<Val>>, what: &'static str) {
        let row = row.into();
        let key: Key = row.iter().take(table.meta().key).cloned().collect();
        let expect = match row.get(table.meta().key) {
            Some(Val::Int(version)) if *version > 1 => Expect::Version(*version - 1),
            _ => Expect::Absent, // version 1
        };
        self.guard(table, key, expect, what);
        self.writes.push(Write::Put { table, row });
    }

    /// SHA-256 over the rows, for the audit entry; zeros where there are none.
    pub(crate) fn digest(&self) -> [u8; 32] {
        if self.writes.is_empty() {
            return [0; 32];
        }
        let mut hash = Sha256::new();
        for write in &self.writes {
            let (mark, table, values) = match write {
                Write::Append { table, row } => (b"+", table, row),
                Write::Put { table, row } => (b"=", table, row),
                Write::Delete { table, key } => (b"-", table, key),
                Write::Swap { table, column, key, old: _, new } => {
                    let new = new.as_deref().unwrap_or_default();
                    hash.update(column);
                    hash.update((new.len() as u32).to_be_bytes());
                    hash.update(new);
                    (b"~", table, key)
                }
            };
            hash.update(mark);
            hash.update(table.meta().name);
            hash.update((values.len() as u32).to_be_bytes());
            for value in values {
                match value {
                    Val::Text(text) => {
                        hash.update(b"t");
                        hash.update((text.len() as u32).to_be_bytes());
                        hash.update(text);
                    }
                    Val::Int(number) => {
                        hash.update(b"i");
                        hash.update(number.to_be_bytes());
                    }
                    Val::Bytes(bytes) => {
                        hash.update(b"b");
                        hash.update((bytes.len() as u32).to_be_bytes());
                        hash.update(bytes);
                    }
                    Val::NoText | Val::NoInt | Val::NoBytes => hash.update(b"n"),
                }
            }
        }
        hash.finalize().into()
    }
}

/// A change set ready for the writer: everything sealed, converted and hashed that can be before its place is known.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) scope: String,
    pub(crate) epoch: i64,
    /// The version of the keys that sealed what it writes.
    pub(crate) key_version: i64,
    /// Whether the next version of the keys seals from then on.
    pub(crate) renews_keys: bool,
    pub(crate) bump_epoch: bool,
    /// Other scopes whose epochs end with it, in order, none twice.
    pub(crate) bumped: Vec<String>,
    pub(crate) rows: Rows,
    pub(crate) audit_tail: Vec<u8>,
    pub(crate) events: Vec<EventDraft>,
    pub(crate) care_time: Instant,
    pub(crate) system_time: Instant,
    pub(crate) request: Option<PreparedRequest>,
}

/// The idempotency row of a prepared change set.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRequest {
    pub(crate) principal: String,
    pub(crate) method: String,
    pub(crate) request_id: String,
    pub(crate) request_hash: [u8; 32],
    pub(crate) sealed_answer: Vec<u8>,
}

impl PreparedRequest {
    pub(crate) fn key(&self, scope: &str) -> Key {
        vec![
            scope.into(),
            self.principal.as_str().into(),
            self.method.as_str().into(),
            self.request_id.as_str().into(),
        ]
    }
}

/// What a command wants to be stored. Build it with [`ChangeSet::new`] and the methods of the resources.
#[derive(Debug)]
pub struct ChangeSet {
    pub(crate) scope: Scope,
    pub(crate) epoch: i64,
    pub(crate) bump_epoch: bool,
    pub(crate) bumped: Vec<String>,
    pub(crate) renews_keys: bool,
    pub(crate) changes: Vec<crate::resource::Change>,
    pub(crate) audit: AuditDraft,
    pub(crate) events: Vec<EventDraft>,
    pub(crate) request: Option<RequestDraft>,
}

impl ChangeSet {
    /// A change set with its audit draft and the authorisation epoch that the decision saw
    /// (see [`crate::Store::authz_epoch`]); without changes it is an audited read.
    pub fn new(scope: Scope, epoch: i64, audit: AuditDraft) -> Self {
        Self {
            scope,
            epoch,
            bump_epoch: false,
            bumped: Vec::new(),
            renews_keys: false,
            changes: Vec::new(),
            audit,
            events: Vec::new(),
            request: None,
        }
    }

    /// Tells others what happened, and the name of what it happened to.
    pub fn event(&mut self, kind: &'static str, resource: impl Into<String>) -> &mut Self {
        self.events.push(EventDraft { kind, resource: resource.into() });
        self
    }

    /// Makes the request repeatable.
    pub fn request(&mut self, request: RequestDraft) -> &mut Self {
        self.request = Some(request);
        self
    }

    /// Ends every decision taken before: for changes of rights, consent or protection.
    pub fn bump_epoch(&mut self) -> &mut Self {
        self.bump_epoch = true;
        self
    }

    /// As [`ChangeSet::bump_epoch`] for its own scope, and in the same commit for these sites, where there are such:
    /// for changes of the rights of somebody who may act in them.
    pub fn bump_epochs<'a>(&mut self, sites: impl IntoIterator<Item = &'a SiteId>) -> &mut Self {
        self.bumped.extend(sites.into_iter().map(|site| site.as_str().to_owned()));
        self.bumped.sort_unstable();
        self.bumped.dedup();
        let own = self.scope.text();
        self.bumped.retain(|scope| scope != own);
        self.bump_epoch()
    }
}
