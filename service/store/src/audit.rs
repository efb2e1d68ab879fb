//! The audit chain: what an entry says, its canonical bytes and its hash.
//!
//! Per site (and for `*system`) entries are numbered from 1 without a gap. The hash of an entry is
//! `SHA-256(previous hash ‖ body)`, that of the entry before the first is 32 zero bytes. The body's first fields are
//! the site and the number, so that no entry can stand elsewhere. A body is
//!
//! ```text
//! format   1 byte, 1
//! site     length (4 bytes, big-endian) ‖ UTF-8
//! seq      8 bytes, big-endian
//! care     8 bytes: care clock, microseconds since 1970-01-01T00:00:00Z
//! system   8 bytes: system clock, likewise
//! decision 1 byte: 1 allowed, 0 denied
//! classes  1 byte: bit n is the n-th field class
//! change   32 bytes: SHA-256 of the rows written, zeros where none
//! principal, method, resource, purpose, request id: each as site
//! count    4 bytes, then as many subjects, each as site
//! ```

use linli_core::resident::FieldClass;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sha2::{Digest, Sha256};

use crate::change::Scope;
use crate::error::StoreError;
use crate::store::Store;
use crate::table::audit_entry;

/// The hash before the first entry of a chain.
pub const GENESIS: [u8; 32] = [0; 32];

/// Largest page of audit entries.
pub const AUDIT_PAGE_MAX: u64 = 1000;

const FORMAT: u8 = 1;

/// A set of field classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FieldClasses(u8);

impl FieldClasses {
    /// No class.
    pub const NONE: Self = Self(0);

    /// These classes.
    pub fn of(classes: &[FieldClass]) -> Self {
        Self(classes.iter().fold(0, |bits, class| bits | Self::bit(*class)))
    }

    /// Every class.
    pub fn all() -> Self {
        Self::of(FieldClass::ALL)
    }

    /// Whether it holds `class`.
    pub fn contains(self, class: FieldClass) -> bool {
        self.0 & Self::bit(class) != 0
    }

    /// Its classes, in order of declaration.
    pub fn iter(self) -> impl Iterator<Item = FieldClass> {
        FieldClass::ALL.iter().copied().filter(move |class| self.contains(*class))
    }

    fn bit(class: FieldClass) -> u8 {
        match class {
            FieldClass::Contact => 1,
            FieldClass::Identity => 2,
            FieldClass::Health => 4,
            FieldClass::Family => 8,
            FieldClass::Status => 16,
            FieldClass::Care => 32,
        }
    }
}

/// What was decided about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It was allowed.
    Allowed,
    /// It was refused.
    Denied,
}

/// What a caller says of its call. Holds no personal value: people by internal id, searched terms as keyed hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    /// Who.
    pub principal: String,
    /// Which RPC, such as `linli.v1.ResidentService/GetResident`.
    pub method: String,
    /// The resource's name, such as `sites/a/residents/r1`.
    pub resource: String,
    /// Ids of the residents whose data the call touches; a [`crate::Receipt`] opens the values of these only.
    pub subjects: Vec<String>,
    /// The classes of fields that the call touches; a [`crate::Receipt`] opens these only.
    pub classes: FieldClasses,
    /// The stated purpose; empty where none is needed.
    pub purpose: String,
    /// What was decided.
    pub decision: Decision,
    /// The request's id; empty where the caller gave none.
    pub request_id: String,
    /// The care clock.
    pub care_time: Instant,
    /// The system clock.
    pub system_time: Instant,
}

impl AuditDraft {
    /// The part of the body after the number; it is known before the entry has its place.
    pub(crate) fn tail(&self, change: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&self.care_time.micros().to_be_bytes());
        out.extend_from_slice(&self.system_time.micros().to_be_bytes());
        out.push(match self.decision {
            Decision::Allowed => 1,
            Decision::Denied => 0,
        });
        out.push(self.classes.0);
        out.extend_from_slice(change);
        for text in [&self.principal, &self.method, &self.resource, &self.purpose, &self.request_id] {
            push_text(&mut out, text);
        }
        out.extend_from_slice(&length(self.subjects.len()));
        for subject in &self.subjects {
            push_text(&mut out, subject);
        }
        out
    }
}

/// The body of entry `seq` of `site`.
pub(crate) fn body(site: &str, seq: i64, tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(13 + site.len() + tail.len());
    out.push(FORMAT);
    push_text(&mut out, site);
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(tail);
    out
}

/// The hash of an entry with this body after the entry with the hash `previous`.
pub fn entry_hash(previous: &[u8], body: &[u8]) -> [u8; 32] {
    chain(previous, body)
}

/// The site and the number that a body says are its own; `None` where it is no body.
pub fn entry_place(body: &[u8]) -> Option<(&str, i64)> {
    let mut rest = Reader(body);
    if rest.bytes::<1>()? != [FORMAT] {
        return None;
    }
    let site = rest.text()?;
    Some((site, i64::from_be_bytes(rest.bytes()?)))
}

/// The hash of an entry.
pub(crate) fn chain(previous: &[u8], body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(body);
    hash.finalize().into()
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// An entry of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The site, or `*system`.
    pub site: String,
    /// Its number, from 1.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
    /// The canonical bytes that the hash covers.
    pub body: Vec<u8>,
    /// SHA-256 of the rows written; zeros where none.
    pub change: [u8; 32],
    /// What it says.
    pub draft: AuditDraft,
}

impl AuditEntry {
    pub(crate) fn decode(row: audit_entry::Model) -> Option<Self> {
        let mut rest = Reader(&row.body);
        if rest.bytes::<1>()? != [FORMAT] || rest.text()? != row.site {
            return None;
        }
        if i64::from_be_bytes(rest.bytes()?) != row.seq {
            return None;
        }
        let care_time = Instant::clamped(i64::from_be_bytes(rest.bytes()?));
        let system_time = Instant::clamped(i64::from_be_bytes(rest.bytes()?));
        let decision = match rest.bytes::<1>()? {
            [1] => Decision::Allowed,
            [0] => Decision::Denied,
            [_] => return None,
        };
        let [classes] = rest.bytes()?;
        let change = rest.bytes()?;
        let mut text = || rest.text().map(str::to_owned);
        let (principal, method, resource) = (text()?, text()?, text()?);
        let (purpose, request_id) = (text()?, text()?);
        let count = u32::from_be_bytes(rest.bytes()?);
        let subjects = (0..count).map(|_| rest.text().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
        let hash = row.hash.as_slice().try_into().ok()?;
        let classes = FieldClasses(classes);
        let draft = AuditDraft {
            principal,
            method,
            resource,
            subjects,
            classes,
            purpose,
            decision,
            request_id,
            care_time,
            system_time,
        };
        rest.0.is_empty().then_some(Self {
            site: row.site,
            seq: row.seq,
            hash,
            body: row.body,
            change,
            draft,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(u32::from_be_bytes(self.bytes()?)).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(head).ok()
    }
}

/// Where a chain was found broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An entry is missing, doubled or out of order.
    #[error("entry {expected} of `{site}` is missing; found {found}")]
    Gap {
        /// The site.
        site: String,
        /// The number that should stand there.
        expected: i64,
        /// The number that does.
        found: i64,
    },
    /// An entry's bytes were changed, or one before it was.
    #[error("entry {seq} of `{site}` does not fit the chain")]
    Hash {
        /// The site.
        site: String,
        /// Its number.
        seq: i64,
    },
    /// Entries at the end are missing, or the head was changed.
    #[error("the chain of `{site}` ends at {found}, its head says {expected}")]
    Tail {
        /// The site.
        site: String,
        /// The number the head names.
        expected: i64,
        /// The last entry found.
        found: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHead {
    /// The number of the last entry; 0 where there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Store {
    /// A page of a chain: up to `limit` entries (at most [`AUDIT_PAGE_MAX`]) after number `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_entries(
        &self,
        scope: &Scope,
        after: i64,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::Site.eq(scope.text()))
            .filter(audit_entry::Column::Seq.gt(after))
            .order_by_asc(audit_entry::Column::Seq)
            .limit(limit.clamp(1, AUDIT_PAGE_MAX))
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| AuditEntry::decode(row).ok_or(StoreError::Row { table: "audit_entry" }))
            .collect()
    }

    /// Verifies a chain after a trusted point (`None`: from its beginning) and returns its end.
    ///
    /// # Errors
    /// [`ChainError`] names the first bad entry.
    pub async fn verify_chain(
        &self,
        scope: &Scope,
        trusted: Option<ChainHead>,
    ) -> Result<ChainHead, ChainError> {
        let site = scope.text();
        // The head first: entries written meanwhile only lengthen the chain beyond it.
        let expected = self.site_head(scope).await?;
        let mut end = trusted.unwrap_or(ChainHead { seq: 0, hash: GENESIS });
        let mut at_head = end.seq == expected.audit_seq && end.hash == *expected.audit_hash;
        loop {
            let page = self.audit_entries(scope, end.seq, AUDIT_PAGE_MAX).await?;
            if page.is_empty() {
                break;
            }
            for entry in page {
                let next = end.seq + 1;
                if entry.seq != next {
                    return Err(ChainError::Gap { site: site.to_owned(), expected: next, found: entry.seq });
                }
                if chain(&end.hash, &entry.body) != entry.hash {
                    return Err(ChainError::Hash { site: site.to_owned(), seq: next });
                }
                end = ChainHead { seq: next, hash: entry.hash };
                at_head |= end.seq == expected.audit_seq && end.hash == *expected.audit_hash;
            }
        }
        if !at_head && expected.audit_seq > 0 || end.seq < expected.audit_seq {
            return Err(ChainError::Tail {
                site: site.to_owned(),
                expected: expected.audit_seq,
                found: end.seq,
            });
        }
        Ok(end)
    }
}
