//! The trust store: whose plugins the operator loads, and what those may do. A TOML file.
//!
//! ```toml
//! format = 1
//!
//! [[key]]
//! owner = "Example Ltd"
//! public = "<base64 of the public key>"
//! plugins = ["cn.example.*"]
//! interfaces = ["linli.rules/1"]
//! in_process = true                # absent: no
//! not_before = "2026-01-01"        # first day; absent: no bound
//! not_after = "2027-12-31"         # last day; absent: no bound
//!
//! [revoked]
//! digests = ["<SHA-256 of a library, a manifest or a lock>"]
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use linli_core::id::PluginId;
use linli_core::text::Language;
use linli_core::time::CivilDate;

use super::files::{self, Rights};
use super::key::{KeyId, PublicKey};
use super::lock::checked_digest;
use crate::manifest::parse::one_of;
use crate::manifest::reader::{Table, document};
use crate::manifest::{Interface, ManifestErrors};

/// Largest trust store, in bytes.
const STORE_BYTES_MAX: usize = 1024 * 1024;
const FORMAT: i64 = 1;

/// The keys that the operator trusts, and the files that nobody may load any more. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustStore {
    keys: Vec<TrustedKey>,
    revoked: BTreeSet<String>,
}

/// A key and what the operator grants to what it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Whose key it is.
    pub owner: String,
    /// The key.
    pub public: PublicKey,
    /// The plugins it may sign.
    pub plugins: Vec<IdPattern>,
    /// The interfaces that those may implement.
    pub interfaces: Vec<Interface>,
    /// Whether those may run in the host's process.
    pub in_process: bool,
    /// First day on which it is trusted.
    pub not_before: Option<CivilDate>,
    /// Last day on which it is trusted.
    pub not_after: Option<CivilDate>,
}

/// Ids of plugins: one, or all below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdPattern {
    /// This id.
    Exact(PluginId),
    /// Every id that begins with this and a dot.
    Below(String),
}

impl IdPattern {
    /// Whether it covers an id.
    pub fn covers(&self, id: &PluginId) -> bool {
        match self {
            Self::Exact(exact) => exact == id,
            Self::Below(prefix) => {
                id.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let id = |text: &str| {
            PluginId::new(text).map_err(|invalid| format!("{}, not `{text}`", invalid.message(Language::En)))
        };
        match text.strip_suffix(".*") {
            Some(prefix) => Ok(Self::Below(id(prefix)?.as_str().to_owned())),
            None if text.contains('*') => {
                Err(format!("must be an id or `<prefix>.*` such as `cn.example.*`, not `{text}`"))
            }
            None => id(text).map(Self::Exact),
        }
    }
}

impl TrustStore {
    /// Reads a trust store.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ManifestErrors> {
        document(text, "trust store", STORE_BYTES_MAX, read)
    }

    /// Reads the file of a trust store, which nobody but root and the service's user may change.
    ///
    /// # Errors
    /// It cannot be read, others may change it, or its text has errors; the message says all of them.
    pub fn open(path: &Path) -> io::Result<Self> {
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let bytes = files::read_path(path, STORE_BYTES_MAX as u64, Rights::Strict)
            .map_err(|refusal| invalid(format!("{}; {}", refusal.reason, refusal.help)))?;
        let text = String::from_utf8(bytes).map_err(|_| invalid("is not a UTF-8 text".to_owned()))?;
        Self::parse(&text).map_err(|errors| invalid(errors.to_string()))
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The key with this id.
    pub fn key(&self, id: KeyId) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.public.id() == id)
    }

    /// Whether the file with this SHA-256 may not be loaded any more.
    pub fn is_revoked(&self, digest: &str) -> bool {
        self.revoked.contains(digest)
    }
}

impl TrustedKey {
    /// Whether it is trusted on this day.
    pub fn is_valid_on(&self, day: CivilDate) -> bool {
        self.not_before.is_none_or(|first| first <= day) && self.not_after.is_none_or(|last| day <= last)
    }
}

fn read(root: &Table<'_>) -> Option<TrustStore> {
    if let Some(format) = root.integer("format")
        && format.value != FORMAT
    {
        format.problem(format!("is {}; this version reads {FORMAT}", format.value));
        return None;
    }
    let mut keys: Vec<TrustedKey> = Vec::new();
    for table in root.tables("key") {
        let Some(key) = trusted(&table) else { continue };
        match keys.iter().find(|known| known.public == key.public) {
            Some(known) => table.problem("public", format!("is the key of `{}` already", known.owner)),
            None => keys.push(key),
        }
    }
    let mut revoked = BTreeSet::new();
    if let Some(table) = root.optional_table("revoked") {
        revoked.extend(table.texts("digests").into_iter().filter_map(|found| found.convert(checked_digest)));
        table.end();
    }
    root.end();
    Some(TrustStore { keys, revoked })
}

fn trusted(table: &Table<'_>) -> Option<TrustedKey> {
    let owner = table.text("owner").map(|found| found.value.trim().to_owned());
    let public = table.text("public").and_then(|found| found.convert(PublicKey::from_base64));
    let plugins: Vec<IdPattern> =
        table.texts("plugins").into_iter().filter_map(|found| found.convert(IdPattern::parse)).collect();
    let interfaces: Vec<Interface> = table
        .texts("interfaces")
        .into_iter()
        .filter_map(|found| one_of(found, &[Interface::Rules, Interface::Connector], Interface::id))
        .collect();
    let in_process = table.optional_bool("in_process").is_some_and(|found| found.value);
    let (not_before, not_after) = (date(table, "not_before"), date(table, "not_after"));
    for (name, empty) in [("plugins", plugins.is_empty()), ("interfaces", interfaces.is_empty())] {
        if empty {
            table.problem(name, "names nothing: a key without a grant is of no use");
        }
    }
    if not_before > not_after && not_after.is_some() {
        table.problem("not_after", "is before `not_before`");
    }
    table.end();
    let (owner, public) = (owner?, public?);
    Some(TrustedKey { owner, public, plugins, interfaces, in_process, not_before, not_after })
}

fn date(table: &Table<'_>, name: &'static str) -> Option<CivilDate> {
    table.optional_text(name)?.convert(|text| {
        CivilDate::parse(text).map_err(|_| format!("must be a date such as `2027-12-31`, not `{text}`"))
    })
}
