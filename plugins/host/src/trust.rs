//! Whom the operator trusts: which plugins are loaded, and where they may run.
//!
//! ```text
//! plugin.toml ─┐ SHA-256              Ed25519               trust store
//! lib….so ─────┴────────▶ plugin.lock ───────▶ plugin.lock.sig ──────▶ owner, ids, interfaces, in process?, dates
//! ```
//!
//! Invariants:
//! * What was checked is what runs: every file is read once from one descriptor (`files.rs`), a library is hashed and
//!   linked from the same sealed copy in memory.
//! * Nothing of a plugin runs before its [`Verdict`] is known. [`inspect()`] and [`lock_folder`] run nothing at all.
//! * What a manifest asks for and the key was not granted refuses the plugin; it is never silently cut. So what a
//!   loaded plugin may do is what manifest and grant both name.
//! * An id that was loaded signed is not loaded unsigned any more while the process lives ([`History`]). Another
//!   version, older ones included, loads if a trusted key signed it: to bar it for good, revoke its digest.

mod examine;
mod files;
mod inspect;
mod key;
mod lock;
mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use linli_core::id::PluginId;

pub use self::inspect::{InspectedFile, Inspection, inspect};
pub use self::key::{KeyId, PublicKey, SecretKey, Signature, generate, sign};
pub use self::lock::{Lock, LockedLibrary, lock_folder};
pub use self::store::{IdPattern, TrustStore, TrustedKey};
use crate::elf::Refusal;
use crate::error::LoadCause;
use crate::manifest::Isolation;
use crate::registry::Sources;

pub(crate) use self::examine::{Candidate, candidate, development};
pub(crate) use self::files::{Folder, Rights, read_path};
pub(crate) use self::lock::parse_manifest;

/// Name of the manifest in a plugin's folder.
pub const MANIFEST_FILE: &str = "plugin.toml";
/// Name of the digests in a plugin's folder.
pub const LOCK_FILE: &str = "plugin.lock";
/// Name of the lock's signature in a plugin's folder.
pub const SIGNATURE_FILE: &str = "plugin.lock.sig";

/// What is known of where a plugin's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustState {
    /// A trusted key signed these very files, and was granted all that the manifest asks for.
    Signed {
        /// The key.
        key: KeyId,
        /// Whose key it is, as the trust store says.
        owner: String,
    },
    /// A library of this program's own build, beside it in cargo's target folder.
    Development,
    /// Nobody signed them.
    Unsigned,
    /// They are not what was locked and signed.
    Modified {
        /// The file that differs, within the plugin's folder.
        file: String,
    },
    /// The key is not in the trust store.
    UnknownKey {
        /// The key that the signature says it was made with.
        key: KeyId,
    },
    /// A key of the trust store signed them, but is not trusted today: not yet, or no more.
    ExpiredKey {
        /// The key.
        key: KeyId,
        /// Whose key it is.
        owner: String,
    },
    /// The operator revoked one of the files.
    Revoked {
        /// The file, within the plugin's folder.
        file: String,
    },
    /// A trusted key signed them, but was not granted what the plugin is or asks for.
    NotGranted {
        /// The key.
        key: KeyId,
        /// Whose key it is.
        owner: String,
        /// The id or the interface.
        what: String,
    },
}

impl TrustState {
    /// A stable word for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::Development => "development",
            Self::Unsigned => "unsigned",
            Self::Modified { .. } => "modified",
            Self::UnknownKey { .. } => "unknown_key",
            Self::ExpiredKey { .. } => "expired_key",
            Self::Revoked { .. } => "revoked",
            Self::NotGranted { .. } => "not_granted",
        }
    }

    /// Of two plugins that claim the same, the one with the lower rank stays.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Signed { .. } => 0,
            Self::Development => 1,
            Self::Unsigned
            | Self::Modified { .. }
            | Self::UnknownKey { .. }
            | Self::ExpiredKey { .. }
            | Self::Revoked { .. }
            | Self::NotGranted { .. } => 2,
        }
    }
}

impl fmt::Display for TrustState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed { key, owner } => write!(f, "signed by {owner} (key {key})"),
            Self::Development => f.write_str("of this program's own build"),
            Self::Unsigned => f.write_str("unsigned"),
            Self::Modified { file } => write!(f, "`{file}` is not what was signed"),
            Self::UnknownKey { key } => {
                write!(f, "signed with the key {key}, which is not in the trust store")
            }
            Self::ExpiredKey { key, owner } => {
                write!(f, "signed by {owner} with the key {key}, which is not trusted today")
            }
            Self::Revoked { file } => write!(f, "`{file}` was revoked by the operator"),
            Self::NotGranted { key, owner, what } => {
                write!(f, "signed by {owner} (key {key}), who was not granted {what}")
            }
        }
    }
}

/// Whether a plugin is loaded, and where it may run at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Where its files come from.
    pub state: TrustState,
    /// [`Isolation::InProcess`]: it may run in the host's process; [`Isolation::Child`]: in a process of its own only.
    pub isolation_allowed: Isolation,
}

/// Which plugins were loaded signed since the program started. Clones share it; a service keeps one for its life.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<BTreeSet<PluginId>>>);

impl History {
    /// Notes that the plugin was loaded.
    pub(crate) fn note(&self, id: &PluginId, state: &TrustState) {
        if let TrustState::Signed { .. } = state {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        }
    }

    fn was_signed(&self, id: &PluginId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}

/// Whether the operator lets a plugin of this state load, and where it may run.
fn admit(state: TrustState, id: &PluginId, in_process: bool, sources: &Sources) -> Result<Verdict, Refusal> {
    let refuse = |cause, help: &str| Err(Refusal::new(cause, state.to_string(), help));
    match &state {
        TrustState::Signed { .. } | TrustState::Development => {
            let isolation_allowed = if in_process { Isolation::InProcess } else { Isolation::Child };
            Ok(Verdict { state, isolation_allowed })
        }
        TrustState::Unsigned if sources.history.was_signed(id) => {
            let reason = "unsigned, but it was loaded signed since the program started";
            let help = "install the signed files again, or restart if it is to run unsigned in development";
            Err(Refusal::new(LoadCause::Unsigned, reason, help))
        }
        TrustState::Unsigned if !sources.development => refuse(
            LoadCause::Unsigned,
            "have it signed (`linli plugin sign`) with a key of the trust store; in production nothing unsigned runs",
        ),
        TrustState::Unsigned if !sources.unsigned.contains(id) => refuse(
            LoadCause::Unsigned,
            "sign it (`linli plugin sign`), or name its id in `plugins.unsigned` while you develop it",
        ),
        TrustState::Unsigned => Ok(Verdict { state, isolation_allowed: Isolation::Child }),
        TrustState::Modified { file } => Err(examine::modified(file)),
        TrustState::UnknownKey { .. } => refuse(
            LoadCause::UnknownKey,
            "ask the vendor for the public key, compare its id over another way, and add it to the trust store",
        ),
        TrustState::ExpiredKey { .. } => refuse(
            LoadCause::ExpiredKey,
            "have it signed with the owner's present key, or correct `not_before` and `not_after` in the trust store",
        ),
        TrustState::Revoked { .. } => {
            refuse(LoadCause::Revoked, "install a version that is not revoked; the trust store lists what is")
        }
        TrustState::NotGranted { .. } => refuse(
            LoadCause::NotGranted,
            "grant it to the key in the trust store if you want this, or remove the plugin",
        ),
    }
}

fn no_manifest() -> Refusal {
    let reason = format!("`{MANIFEST_FILE}` cannot be read: there is none");
    Refusal::new(LoadCause::Missing, reason, "put the plugin's manifest beside its library")
}
