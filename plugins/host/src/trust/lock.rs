//! `plugin.lock`: the digests of a plugin's files. It is what a signature covers.
//!
//! ```toml
//! format = 1
//!
//! [plugin]
//! id = "cn.example.chronic"
//! version = "0.1.0"
//! manifest = "<SHA-256 of plugin.toml>"
//!
//! [[library]]
//! target = "x86_64-linux"
//! path = "x86_64-linux/libchronic.so"
//! digest = "<SHA-256 of the library>"
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use linli_core::id::PluginId;

use super::files::{Folder, Rights};
use crate::elf::{self, Refusal};
use crate::error::{LoadCause, LoadFailure};
use crate::library::{LIBRARY_BYTES_MAX, digest_of};
use crate::manifest::parse::{plugin_id, plugin_version};
use crate::manifest::reader::{Table, document};
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestErrors};
use crate::trust::MANIFEST_FILE;

/// Largest lock, in bytes.
pub(crate) const LOCK_BYTES_MAX: usize = 64 * 1024;
/// Most libraries of one plugin: kinds of machines are few.
const LIBRARIES_MAX: usize = 32;
const FORMAT: i64 = 1;

/// What a `plugin.lock` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The plugin.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// SHA-256 of `plugin.toml`, lower-case hexadecimal.
    pub manifest: String,
    /// A library for each kind of machine, by target.
    pub libraries: Vec<LockedLibrary>,
}

/// One library of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedLibrary {
    /// The kind of machine, such as `x86_64-linux`.
    pub target: String,
    /// The file within the plugin's folder: beside `plugin.toml`, or in a sub-folder named like the target.
    pub path: String,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub digest: String,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ManifestErrors> {
        document(text, "plugin.lock", LOCK_BYTES_MAX, read)
    }

    /// The library for a kind of machine.
    pub fn library(&self, target: &str) -> Option<&LockedLibrary> {
        self.libraries.iter().find(|library| library.target == target)
    }
}

impl fmt::Display for Lock {
    /// The text of its file: the same files give the same bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Made by `linli plugin sign`; a change of any byte breaks the signature.")?;
        writeln!(f, "format = {FORMAT}\n\n[plugin]\nid = \"{}\"\nversion = \"{}\"", self.id, self.version)?;
        writeln!(f, "manifest = \"{}\"", self.manifest)?;
        self.libraries.iter().try_for_each(|LockedLibrary { target, path, digest }| {
            writeln!(f, "\n[[library]]\ntarget = \"{target}\"\npath = \"{path}\"\ndigest = \"{digest}\"")
        })
    }
}

/// The lock of a plugin's folder as its files are now. Runs nothing of them.
///
/// # Errors
/// A file is missing, cannot be read, or could never be loaded.
pub fn lock_folder(path: &Path) -> Result<Lock, LoadFailure> {
    let failure = |refusal: Refusal| refusal.at(path, None);
    let folder = Folder::open_plugin(path, Rights::Any).map_err(failure)?;
    let manifest = folder.read(MANIFEST_FILE, MANIFEST_BYTES_MAX as u64).map_err(failure)?;
    let manifest = manifest.ok_or_else(|| failure(super::no_manifest()))?;
    let parsed = parse_manifest(&manifest).map_err(failure)?;
    let failure = |refusal: Refusal| refusal.at(path, Some(&parsed.id));
    let mut libraries = Vec::new();
    for path in library_paths(&folder).map_err(failure)? {
        let file = folder.read(&path, LIBRARY_BYTES_MAX).map_err(failure)?.unwrap_or_default();
        let target = elf::target(&file).map_err(failure)?;
        if let Some((sub_folder, _)) = path.split_once('/')
            && sub_folder != target
        {
            let reason = format!("`{path}` is built for {target}");
            let help = "put each library into the sub-folder of its machine";
            return Err(failure(Refusal::new(LoadCause::WrongArchitecture, reason, help)));
        }
        libraries.push(LockedLibrary { target, path, digest: digest_of(&file) });
    }
    libraries.sort();
    for (one, other) in libraries.iter().zip(libraries.iter().skip(1)) {
        if one.target == other.target {
            let reason = format!("`{}` and `{}` are both for {}", one.path, other.path, one.target);
            return Err(failure(Refusal::new(LoadCause::Missing, reason, "leave one of the two")));
        }
    }
    if libraries.is_empty() {
        let reason = format!("no library (`.so`) lies beside `{MANIFEST_FILE}` or in a sub-folder");
        return Err(failure(Refusal::new(LoadCause::Missing, reason, "build the plugin's library first")));
    }
    Ok(Lock { id: parsed.id, version: parsed.version, manifest: digest_of(&manifest), libraries })
}

/// Every library in a plugin's folder: beside the manifest, and in sub-folders named like a target.
pub(super) fn library_paths(folder: &Folder) -> Result<Vec<String>, Refusal> {
    let mut paths = Vec::new();
    for name in folder.names()? {
        if name.ends_with(".so") {
            paths.push(name);
        } else if is_target(&name)
            && let Some(sub_folder) = folder.folder(&name)?
        {
            let within = sub_folder.names()?.into_iter().filter(|file| file.ends_with(".so"));
            paths.extend(within.map(|file| format!("{name}/{file}")));
        }
    }
    paths.sort();
    match paths.iter().find(|path| !is_library_path(path)) {
        None => Ok(paths),
        Some(path) => {
            let reason =
                format!("the name `{path}` has other characters than letters, digits, `.`, `_`, `-`");
            Err(Refusal::new(LoadCause::Unreadable, reason, "rename the library"))
        }
    }
}

pub(crate) fn parse_manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    let help = "correct the manifest; all of its errors are listed";
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let reason = format!("`{MANIFEST_FILE}` cannot be read: {error}");
        Refusal::new(LoadCause::Unreadable, reason, "check that the manifest is a UTF-8 text")
    })?;
    Manifest::parse(text).map_err(|errors| {
        let reason = format!("its manifest has {} errors: {errors}", errors.0.len());
        Refusal::new(LoadCause::Manifest, reason, help)
    })
}

fn read(root: &Table<'_>) -> Option<Lock> {
    if let Some(format) = root.integer("format")
        && format.value != FORMAT
    {
        format.problem(format!("is {}; this version reads {FORMAT}", format.value));
        return None;
    }
    let head = root.table("plugin");
    let plugin = head.as_ref().map(|head| {
        let plugin = (plugin_id(head), plugin_version(head), digest(head, "manifest"));
        head.end();
        plugin
    });
    let tables = root.tables("library");
    let libraries: Vec<LockedLibrary> = tables.iter().filter_map(library).collect();
    let mut seen = BTreeSet::new();
    for (table, library) in tables.iter().zip(&libraries) {
        if !seen.insert(&library.target) {
            table.problem("target", format!("is `{}`, which another library has already", library.target));
        }
    }
    match tables.len() {
        0 => root.problem("library", "is required, once for each kind of machine"),
        1..=LIBRARIES_MAX => {}
        count => root.problem("library", format!("is there {count} times; at most {LIBRARIES_MAX} are read")),
    }
    root.end();
    let (id, version, manifest) = plugin?;
    Some(Lock { id: id?, version: version?, manifest: manifest?, libraries })
}

fn library(table: &Table<'_>) -> Option<LockedLibrary> {
    let target = table.text("target").and_then(|found| {
        found.convert(|text| match is_target(text) {
            true => Ok(text.to_owned()),
            false => Err(format!("must be a kind of machine such as `x86_64-linux`, not `{text}`")),
        })
    });
    let path = table.text("path").and_then(|found| {
        found.convert(|text| {
            let folder = text.split_once('/').map(|(folder, _)| folder);
            match is_library_path(text) && folder.is_none_or(|folder| target.as_deref() == Some(folder)) {
                true => Ok(text.to_owned()),
                false => Err(format!("must be `lib….so` or `<target>/lib….so`, not `{text}`")),
            }
        })
    });
    let digest = digest(table, "digest");
    table.end();
    Some(LockedLibrary { target: target?, path: path?, digest: digest? })
}

/// A SHA-256 in lower-case hexadecimal.
pub(super) fn digest(table: &Table<'_>, name: &'static str) -> Option<String> {
    table.text(name)?.convert(checked_digest)
}

pub(super) fn checked_digest(text: &str) -> Result<String, String> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(hex) {
        Ok(text.to_owned())
    } else {
        Err("must be a SHA-256: 64 hexadecimal digits in lower case".to_owned())
    }
}

/// `<architecture>-<system>`.
fn is_target(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.len() <= 64 && text.split_once('-').is_some_and(|(machine, system)| word(machine) && word(system))
}

fn is_library_path(text: &str) -> bool {
    let name = text.split_once('/').map_or(text, |(folder, name)| if is_target(folder) { name } else { "" });
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    name.len() <= 128
        && name.strip_suffix(".so").is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'))
        && name.bytes().all(fits)
}
