//! A plugin's folder as its files are, for people: nothing of it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use linli_core::time::CivilDate;

use super::examine::{candidate, examine};
use super::files::{Folder, Rights};
use super::lock::{LOCK_BYTES_MAX, Lock, library_paths, parse_manifest};
use super::store::TrustStore;
use super::{LOCK_FILE, MANIFEST_FILE, TrustState};
use crate::elf::Refusal;
use crate::error::{LoadCause, LoadFailure};
use crate::library::{LIBRARY_BYTES_MAX, digest_of};
use crate::manifest::{Isolation, MANIFEST_BYTES_MAX, Manifest};
use crate::registry::Sources;

/// What a plugin's folder holds, and what a service in production would do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The manifest, if it has no errors.
    pub manifest: Option<Manifest>,
    /// The manifest and the libraries for every kind of machine, by path.
    pub files: Vec<InspectedFile>,
    /// Where the files come from; `None` where they are too damaged to say.
    pub state: Option<TrustState>,
    /// Where it may run at most; `None`: it would not be loaded.
    pub isolation_allowed: Option<Isolation>,
    /// Why it would not be loaded; the rights of the files are judged for the user who asks.
    pub problem: Option<LoadFailure>,
}

/// One file of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedFile {
    /// Its path within the folder.
    pub path: String,
    /// Its SHA-256; `None`: it is locked, but not there.
    pub digest: Option<String>,
    /// The SHA-256 that `plugin.lock` says; `None`: it is not locked.
    pub locked: Option<String>,
}

/// Looks at a plugin's folder without running anything of it.
///
/// # Errors
/// The folder or a file in it cannot be read.
pub fn inspect(path: &Path, trust: &TrustStore, today: CivilDate) -> Result<Inspection, LoadFailure> {
    let refused = |refusal: Refusal| refusal.at(path, None);
    let folder = Folder::open_plugin(path, Rights::Any).map_err(refused)?;
    let state = match examine(&folder, trust, today) {
        Ok(examined) => Some(examined.state),
        Err(failure) => modified(&failure, &folder),
    };
    let sources = Sources { trust: trust.clone(), today, ..Sources::default() };
    let verdict = Folder::open_plugin(path, Rights::Strict)
        .map_err(refused)
        .and_then(|folder| candidate(&folder, &sources))
        .map(|candidate| candidate.verdict.isolation_allowed);
    let (isolation_allowed, problem) = match verdict {
        Ok(isolation) => (Some(isolation), None),
        Err(failure) => (None, Some(failure)),
    };
    let manifest = folder.read(MANIFEST_FILE, MANIFEST_BYTES_MAX as u64).map_err(refused)?;
    let manifest = manifest.and_then(|bytes| parse_manifest(&bytes).ok());
    let files = files(&folder).map_err(refused)?;
    Ok(Inspection { manifest, files, state, isolation_allowed, problem })
}

fn modified(failure: &LoadFailure, folder: &Folder) -> Option<TrustState> {
    let file = failure.path.strip_prefix(folder.path()).map(Path::display);
    let modified = || TrustState::Modified { file: file.map_or_else(|_| String::new(), |f| f.to_string()) };
    (failure.cause == LoadCause::Modified).then(modified)
}

fn files(folder: &Folder) -> Result<Vec<InspectedFile>, Refusal> {
    let lock = folder.read(LOCK_FILE, LOCK_BYTES_MAX as u64)?;
    let lock = lock.and_then(|bytes| Lock::parse(std::str::from_utf8(&bytes).ok()?).ok());
    let mut locked: BTreeMap<String, String> = BTreeMap::new();
    if let Some(lock) = lock {
        locked.insert(MANIFEST_FILE.to_owned(), lock.manifest);
        locked.extend(lock.libraries.into_iter().map(|library| (library.path, library.digest)));
    }
    let mut paths: BTreeSet<String> = locked.keys().cloned().collect();
    paths.insert(MANIFEST_FILE.to_owned());
    paths.extend(library_paths(folder)?);
    let inspected = |path: String| {
        let digest = folder.read(&path, LIBRARY_BYTES_MAX)?.as_deref().map(digest_of);
        let locked = locked.get(&path).cloned();
        Ok(InspectedFile { path, digest, locked })
    };
    paths.into_iter().map(inspected).collect()
}
