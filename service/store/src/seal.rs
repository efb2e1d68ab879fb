//! Sealing on the way in, opening on the way out, and the receipt that stands between.
//!
//! What a read returns is [`Sealed`]. It opens with an [`Opener`], an opener needs a [`Receipt`], and a receipt comes
//! only from a commit that wrote an audit entry naming the people and the classes of fields: no audit, no answer.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use linli_core::id::Subject;
use linli_core::resident::FieldClass;

use crate::audit::{AuditDraft, Decision, FieldClasses};
use crate::change::Scope;
use crate::crypto::Key;
use crate::crypto::cell::{self, Place};
use crate::crypto::index::{self, IndexColumn};
use crate::crypto::keys::KeyStore;
use crate::crypto::ring::{ResidentKeys, SiteKeys};
use crate::error::SealError;
use crate::form::Plain;
use crate::store::Store;

/// Whose key seals a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Site,
    Resident(String),
}

/// Whose key seals what is said of a subject.
pub(crate) fn holder(subject: &Subject) -> Holder {
    match subject {
        Subject::Resident(id) => Holder::Resident(id.as_str().to_owned()),
        Subject::Dwelling(_)
        | Subject::Area(_)
        | Subject::Facility(_)
        | Subject::Request(_)
        | Subject::Site => Holder::Site,
    }
}

/// A value of type `T` as it lies in the database. Prints nothing, tells nothing.
pub struct Sealed<T> {
    pub(crate) site: String,
    pub(crate) table: &'static str,
    pub(crate) row: Vec<String>,
    pub(crate) column: &'static str,
    pub(crate) version: i64,
    pub(crate) class: FieldClass,
    pub(crate) holder: Holder,
    pub(crate) cell: Vec<u8>,
    pub(crate) value: PhantomData<fn() -> T>,
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self {
            site: self.site.clone(),
            table: self.table,
            row: self.row.clone(),
            column: self.column,
            version: self.version,
            class: self.class,
            holder: self.holder.clone(),
            cell: self.cell.clone(),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}.{})", self.table, self.column)
    }
}

impl<T> Sealed<T> {
    /// The class of field that it belongs to.
    pub fn class(&self) -> FieldClass {
        self.class
    }

    /// Calls `then` with its place.
    pub(crate) fn at_its_place<U>(&self, then: impl FnOnce(&Place<'_>) -> U) -> U {
        let row: Vec<&str> = self.row.iter().map(String::as_str).collect();
        let (site, table, column) = (self.site.as_str(), self.table, self.column);
        then(&Place { site, table, row: &row, column, version: self.version })
    }
}

/// Proof that an audit entry is durable. Opens what the entry names, nothing else.
#[derive(Clone, Debug)]
pub struct Receipt {
    site: String,
    audit_seq: i64,
    audit_hash: [u8; 32],
    event_seq: i64,
    subjects: Arc<BTreeSet<String>>,
    classes: FieldClasses,
}

impl Receipt {
    /// Only the commit function makes receipts.
    pub(crate) fn of(
        scope: &Scope,
        draft: &AuditDraft,
        audit_seq: i64,
        audit_hash: [u8; 32],
        event_seq: i64,
    ) -> Self {
        let classes = match draft.decision {
            Decision::Allowed => draft.classes,
            Decision::Denied => FieldClasses::NONE,
        };
        Self {
            site: scope.text().to_owned(),
            audit_seq,
            audit_hash,
            event_seq,
            subjects: Arc::new(draft.subjects.iter().cloned().collect()),
            classes,
        }
    }

    /// The entry's number in its site's chain.
    pub fn audit_seq(&self) -> i64 {
        self.audit_seq
    }

    /// The entry's hash.
    pub fn audit_hash(&self) -> [u8; 32] {
        self.audit_hash
    }

    /// The number of the site's newest event after the commit.
    pub fn event_seq(&self) -> i64 {
        self.event_seq
    }

    fn covers<T>(&self, sealed: &Sealed<T>) -> bool {
        let subject = match &sealed.holder {
            Holder::Site => true,
            Holder::Resident(id) => self.subjects.contains(id),
        };
        subject && self.site == sealed.site && self.classes.contains(sealed.class)
    }
}

/// Opens sealed values under a receipt, with the keys at hand.
pub struct Opener<'a> {
    receipt: &'a Receipt,
    keys: &'a KeyStore,
    site: Arc<SiteKeys>,
    residents: HashMap<String, ResidentKeys>,
}

impl Store {
    /// Fetches the keys of the people a receipt names (one statement at most) and returns what opens their values.
    ///
    /// # Errors
    /// [`SealError::KeyStore`].
    pub async fn opener<'a>(&'a self, receipt: &'a Receipt) -> Result<Opener<'a>, SealError> {
        let keys = self.keys();
        let site = self.site_keys(&receipt.site).await?;
        let subjects: Vec<String> = receipt.subjects.iter().cloned().collect();
        let residents = keys.residents(&receipt.site, &site, &subjects).await?;
        Ok(Opener { receipt, keys, site, residents })
    }
}

impl Opener<'_> {
    /// Opens one value.
    ///
    /// # Errors
    /// [`SealError::NotCovered`] where the receipt does not name it, [`SealError::NoKey`] where its person was
    /// erased, [`SealError::Tag`] or [`SealError::Format`] where it was tampered with.
    pub fn open<T: Plain>(&self, sealed: &Sealed<T>) -> Result<T, SealError> {
        if !self.receipt.covers(sealed) {
            return Err(SealError::NotCovered);
        }
        let version = cell::key_version(&sealed.cell)?;
        let key = match &sealed.holder {
            Holder::Site => self.site.of(version).map(|key| &key.seal),
            Holder::Resident(id) => self.residents.get(id).and_then(|keys| keys.version(version)),
        };
        let key = key.ok_or(SealError::NoKey)?;
        let plain =
            sealed.at_its_place(|place| cell::open(self.keys.provider(), key, place, &sealed.cell))?;
        T::decode(&plain).ok_or(SealError::Format)
    }

    /// Opens a value that may be absent.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open_option<T: Plain>(&self, sealed: Option<&Sealed<T>>) -> Result<Option<T>, SealError> {
        sealed.map(|sealed| self.open(sealed)).transpose()
    }
}

/// Seals the values of one change set, with the keys at hand.
pub(crate) struct Sealer<'a> {
    pub(crate) keys: &'a KeyStore,
    pub(crate) site_text: &'a str,
    pub(crate) site: Arc<SiteKeys>,
    pub(crate) residents: HashMap<String, ResidentKeys>,
}

impl Sealer<'_> {
    /// Seals a value of a resident.
    pub(crate) fn resident(
        &self,
        resident: &str,
        table: &'static str,
        row: &[&str],
        column: &'static str,
        version: i64,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let place = Place { site: self.site_text, table, row, column, version };
        self.at(&Holder::Resident(resident.to_owned()), &place, plain)
    }

    /// Seals a value for its place.
    pub(crate) fn at(&self, holder: &Holder, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let version = self.site.version();
        let key = match holder {
            Holder::Site => Some(&self.site.current().seal),
            Holder::Resident(id) => self.residents.get(id).and_then(|keys| keys.version(version)),
        };
        let key = key.ok_or(SealError::NoKey)?;
        cell::seal(self.keys.provider(), self.keys.random(), key, version, place, plain)
    }

    /// Seals a value that belongs to no resident.
    pub(crate) fn site(
        &self,
        table: &'static str,
        row: &[&str],
        column: &'static str,
        version: i64,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let place = Place { site: self.site_text, table, row, column, version };
        self.at(&Holder::Site, &place, plain)
    }

    /// The key that sealed a cell of this holder, where it is there.
    pub(crate) fn key_of(&self, holder: &Holder, cell: &[u8]) -> Result<&Key, SealError> {
        let version = cell::key_version(cell)?;
        let key = match holder {
            Holder::Site => self.site.of(version).map(|key| &key.seal),
            Holder::Resident(id) => self.residents.get(id).and_then(|keys| keys.version(version)),
        };
        key.ok_or(SealError::NoKey)
    }

    /// The blind-index hash of a normalised value.
    pub(crate) fn blind(&self, column: IndexColumn, value: &str) -> Vec<u8> {
        index::blind(self.keys.provider(), &self.site.current().find, column, value)
    }

    /// The hashes of a normalised value under the keys that are being replaced.
    pub(crate) fn blind_before(&self, column: IndexColumn, value: &str) -> Vec<Vec<u8>> {
        let older = self.site.older().iter();
        older.map(|key| index::blind(self.keys.provider(), &key.find, column, value)).collect()
    }

    /// The version of the keys that seal now.
    pub(crate) fn version(&self) -> i64 {
        i64::from(self.site.version())
    }
}
