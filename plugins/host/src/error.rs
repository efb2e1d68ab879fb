//! What can go wrong, as values: while loading ([`LoadFailure`]) and while calling ([`CallError`]).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a plugin was not loaded. The service goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// The file or folder.
    pub path: PathBuf,
    /// The plugin's id, where it is known.
    pub plugin: Option<String>,
    /// The kind of failure.
    pub cause: LoadCause,
    /// What the file has and what is accepted: lower case, no full stop.
    pub reason: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plugin ")?;
        if let Some(plugin) = &self.plugin {
            write!(f, "`{plugin}` ")?;
        }
        write!(f, "({}) not loaded: {}; {}", self.path.display(), self.reason, self.help)
    }
}

impl std::error::Error for LoadFailure {}

/// The kinds of load failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoadCause {
    /// No folder, manifest or library where one is expected.
    Missing,
    /// The file cannot be read.
    Unreadable,
    /// The manifest has errors.
    Manifest,
    /// Not a shared library at all, cut off or otherwise damaged.
    Damaged,
    /// A shared library for another kind of machine.
    WrongArchitecture,
    /// The dynamic linker refuses it.
    Linker,
    /// A shared library, but not a plugin.
    NotAPlugin,
    /// It speaks another version of the plugin interface.
    WrongAbi,
    /// The manifest beside the library differs from the one inside.
    ManifestMismatch,
    /// It claims an id, group, standard or field that an earlier plugin has.
    Duplicate,
    /// It needs a process of its own, and the program for that cannot be started.
    NoRunner,
    /// Its process ended, or did not answer, while it was loaded.
    Ended,
    /// Others than root and the service's user could have changed a file or folder, or it is a symbolic link.
    Unsafe,
    /// The lock has errors.
    Lock,
    /// Nobody signed it.
    Unsigned,
    /// A file is not what was signed.
    Modified,
    /// The trust store cannot be used, so that nobody knows whom to trust.
    TrustStore,
    /// It is signed with a key that is not in the trust store.
    UnknownKey,
    /// It is signed with a key that is not trusted today.
    ExpiredKey,
    /// The operator revoked it.
    Revoked,
    /// It is signed with a key that was not granted what it is or asks for.
    NotGranted,
}

impl LoadCause {
    /// A stable word for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Manifest => "manifest",
            Self::Damaged => "damaged",
            Self::WrongArchitecture => "wrong_architecture",
            Self::Linker => "linker",
            Self::NotAPlugin => "not_a_plugin",
            Self::WrongAbi => "wrong_abi",
            Self::ManifestMismatch => "manifest_mismatch",
            Self::Duplicate => "duplicate",
            Self::NoRunner => "no_runner",
            Self::Ended => "ended",
            Self::Unsafe => "unsafe",
            Self::Lock => "lock",
            Self::Unsigned => "unsigned",
            Self::Modified => "modified",
            Self::TrustStore => "trust_store",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
            Self::Revoked => "revoked",
            Self::NotGranted => "not_granted",
        }
    }
}

/// Why a call failed. The last assessment stays in force. No message holds personal data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// Every host thread of the plugin was busy until the deadline.
    #[error("every thread of the plugin was busy for {}", ms(.deadline))]
    Busy {
        /// The deadline of the call.
        deadline: Duration,
    },
    /// The plugin rests after faults and was not called.
    #[error("the plugin rests after repeated faults; the next try is in {}", ms(.retry_in))]
    Resting {
        /// When a call will be tried again.
        retry_in: Duration,
    },
    /// The plugin is given up until the operator resets it, and was not called.
    #[error("the plugin is stopped after calls that never returned; restart the service or reset the plugin")]
    Stopped,
    /// The plugin stopped at the deadline when told to.
    #[error("the plugin did not finish within {}", ms(.deadline))]
    TimedOut {
        /// The deadline of the call.
        deadline: Duration,
    },
    /// The call did not return; its thread is lost.
    #[error("the plugin did not return within {} and ignored the request to stop; its thread is lost", ms(.deadline))]
    Hung {
        /// The deadline of the call.
        deadline: Duration,
    },
    /// The call did not return; the plugin's process was ended.
    #[error("the plugin did not return within {} and ignored the request to stop; its process was ended", ms(.deadline))]
    Overran {
        /// The deadline of the call.
        deadline: Duration,
    },
    /// The plugin's process ended during the call.
    #[error("the plugin's process ended during the call: {how}")]
    Crashed {
        /// Its exit code or signal.
        how: String,
    },
    /// The plugin has no process: it cannot be started, or must not be so soon after it ended.
    #[error("the plugin has no process: {message}")]
    NoProcess {
        /// Why.
        message: String,
    },
    /// The plugin says that it failed.
    #[error("the plugin failed with status {status}: {message}")]
    Failed {
        /// The status of the plugin interface.
        status: i32,
        /// What the plugin says.
        message: String,
    },
    /// The plugin panicked; its instance was replaced.
    #[error("the plugin panicked: {message}")]
    Panicked {
        /// Where, as the plugin says.
        message: String,
    },
    /// The plugin's answer breaks the rules of the interface; all of it is ignored.
    #[error("the plugin's answer is not acceptable: {what}")]
    Misbehaved {
        /// What is wrong with it.
        what: String,
    },
    /// What it was to be asked does not fit it: it was not called.
    #[error("the plugin was not called: {what}")]
    Unfit {
        /// What does not fit.
        what: String,
    },
    /// The batch was built for another plugin.
    #[error("the batch was built for another plugin or another version of it")]
    WrongPlugin,
    /// The host could not start a thread for the plugin.
    #[error("no thread could be started for the plugin: {message}")]
    NoThread {
        /// What the system says.
        message: String,
    },
}

fn ms(duration: &Duration) -> String {
    format!("{} ms", duration.as_millis())
}
