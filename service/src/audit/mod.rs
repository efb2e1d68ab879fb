//! The audit log's anchors: what makes it evident outside the database that the log was changed, cut or put back.
//!
//! Every site's chain is gap-free and hashed by the store. At most every minute or thousand entries the server checks
//! what is new, and signs ([`anchor`]) where the changed chains end: number and hash of their last entries, under one
//! Merkle root. The signed anchors form a chain of their own in a file outside the database ([`keeper`]). Who has that
//! file, or one anchor of it, and the public key proves offline ([`verify`]) which entry is not what it was. The
//! database remembers the newest anchor in turn, so that the file cannot be cut either.

pub mod anchor;
pub mod erasures;
pub mod keeper;
pub mod key;
pub mod verify;

use std::fmt;

use linli_store::StoreError;

/// What is wrong, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// An entry.
    Entry {
        /// Its site, or `*system`.
        site: String,
        /// Its number.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
    /// Entries that fit each other but not the anchor after them: one of them, and all that follow it, are not those
    /// that were anchored.
    Entries {
        /// Their site.
        site: String,
        /// The first that may be wrong.
        from: i64,
        /// The anchored one.
        to: i64,
        /// The anchor's number.
        anchor: u64,
    },
    /// An anchor.
    Anchor {
        /// Its number: its line in the file.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl Flaw {
    fn entry(site: &str, seq: i64, why: impl Into<String>) -> Self {
        Self::Entry { site: site.to_owned(), seq, why: why.into() }
    }

    fn anchor(number: u64, why: impl Into<String>) -> Self {
        Self::Anchor { number, why: why.into() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { site, seq, why } => write!(f, "entry {seq} of `{site}`: {why}"),
            Self::Entries { site, from, to, anchor } => {
                write!(f, "entries {from} to {to} of `{site}`: not what anchor {anchor} says")
            }
            Self::Anchor { number, why } => write!(f, "anchor {number}: {why}"),
        }
    }
}

/// Why a verification did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log is not what it was.
    #[error("{0}")]
    Flaw(Flaw),
    /// The database did not answer.
    #[error("the database does not answer: {0}")]
    Store(#[from] StoreError),
    /// A file cannot be used.
    #[error("`{path}`: {why}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong.
        why: String,
    },
}

impl AuditError {
    fn file(path: &std::path::Path, why: impl fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), why: why.to_string() }
    }
}

impl From<crate::key_file::KeyFileError> for AuditError {
    fn from(error: crate::key_file::KeyFileError) -> Self {
        Self::File { path: error.path, why: error.why }
    }
}

impl From<Flaw> for AuditError {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}
