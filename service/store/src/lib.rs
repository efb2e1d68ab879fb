//! Persistence of Linli on SQLite and PostgreSQL: the only crate that knows sea-orm.
//!
//! Three thoughts carry it:
//!
//! * A write is a [`ChangeSet`], handed to [`Store::commit`]. A single [writer] groups whatever waits into one
//!   commit; with the rows go the audit entry, the events and the stored answer, or nothing goes.
//! * Personal values lie [sealed](mod@seal). What reads return is [`Sealed`]; it opens under a [`Receipt`], and a receipt
//!   comes only from a commit that wrote an audit entry naming who and what is opened.
//! * Both databases are one to everything outside [`mod@backend`]: the same tables, the same bytes, the same suite.
//!
//! Adding a resource: its table in [`table`] and a migration, its variants in [`resource`], a module of its name with
//! the methods of `ChangeSet` and `Store`, its part of the conformance suite.

#![allow(rustdoc::private_intra_doc_links, reason = "the crate's own reader is told where things are")]

mod activity;
mod assessment;
mod audit;
mod backend;
mod backup;
mod care_file;
mod care_plan;
mod change;
mod closed_period;
mod community_body;
#[cfg(test)]
mod conformance;
mod consent;
mod convert;
mod crypto;
mod delivery;
mod emergency;
mod erasure;
mod error;
mod evaluation;
mod event;
mod facility;
mod fact;
mod form;
mod fund;
mod grouped;
mod history;
mod key_rotation;
mod known;
mod ledger;
mod membership;
mod migration;
mod obligation;
mod outbox;
mod page;
mod pause;
mod plugin;
mod record;
mod referral;
mod request;
mod resident;
mod resource;
mod seal;
mod sealed_column;
mod search;
mod sink;
mod site;
mod staff;
mod standard_override;
mod store;
mod survey;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod waiver;
mod wake;
mod writer;

pub use assessment::StoredAssessment;
pub use audit::{
    AUDIT_PAGE_MAX, AuditDraft, AuditEntry, ChainError, ChainHead, Decision, FieldClasses, GENESIS,
    entry_hash, entry_place,
};
pub use backup::{Backup, BackupError, UNFINISHED, unpack};
pub use care_file::StoredFile;
pub use care_plan::StoredPlan;
pub use change::{ChangeSet, IDEMPOTENCY_DAYS, RequestDraft, Scope};
pub use consent::StoredConsent;
pub use crypto::index::IndexColumn;
pub use crypto::{Chacha, CryptoProvider, Key, NoRandomness, Random, RootKey, RootKeys};
pub use emergency::StoredEmergencyAccess;
pub use erasure::{Erasure, Remains};
pub use error::{CommitError, Fault, OpenError, SealError, StoreError};
pub use evaluation::StoredEvaluation;
pub use event::StoredCareEvent;
pub use fact::SealedFact;
pub use form::{Plain, Status};
pub use history::{HistoryDraft, StoredHistory};
pub use key_rotation::{CellCursor, KeyRotation, OldCell};
pub use ledger::{Ledger, RawEntry};
pub use membership::StoredMembership;
pub use obligation::{CARE_PAGE_MAX, CareRange, ResidentCare, SubjectCare};
pub use outbox::{EVENT_SWEEP, OutboxEvent, OutboxPlace, OutboxRead};
pub use page::{After, PAGE_MAX, Page, Sites};
pub use pause::StoredPause;
pub use plugin::PluginManifest;
pub use record::{RecordFilter, StoredRecord};
pub use referral::ReferralFilter;
pub use request::RequestFilter;
pub use resident::{
    CellChanges, MergedFile, ProtectedFile, ResidentFilter, ResidentHead, SealedResident, Sight,
};
pub use seal::{Opener, Receipt, Sealed};
pub use sink::SinkWork;
pub use site::PluginParameters;
pub use store::{Committed, Store, StoreConfig};
pub use survey::{StoredSurveyed, SurveyedDraft};
pub use waiver::StoredWaiver;
pub use wake::Listener;
