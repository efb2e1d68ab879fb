//! From a folder to a [`Verdict`], without running anything of it.

use std::path::PathBuf;

use linli_core::time::CivilDate;

use super::files::Folder;
use super::key::Signature;
use super::lock::{LOCK_BYTES_MAX, Lock, LockedLibrary, library_paths, parse_manifest};
use super::store::{TrustStore, TrustedKey};
use super::{LOCK_FILE, MANIFEST_FILE, SIGNATURE_FILE, TrustState, Verdict, admit, no_manifest};
use crate::elf::{self, Refusal};
use crate::error::{LoadCause, LoadFailure};
use crate::library::{self, LIBRARY_BYTES_MAX, Sealed, digest_of};
use crate::manifest::{Interface, Isolation, MANIFEST_BYTES_MAX, Manifest};
use crate::registry::Sources;

/// Largest signature file: one line.
const SIGNATURE_BYTES_MAX: u64 = 1024;

/// A plugin that may be loaded.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The library's file.
    pub(crate) path: PathBuf,
    /// The manifest beside the library; a development build has it inside only.
    pub(crate) manifest: Option<Manifest>,
    /// The library, hashed and sealed in memory.
    pub(crate) sealed: Sealed,
    /// Whether it is trusted, and how far.
    pub(crate) verdict: Verdict,
}

/// What a folder holds, and where it comes from.
pub(super) struct Examined {
    pub(super) manifest: Manifest,
    /// The library for this machine: its path within the folder.
    pub(super) library: String,
    pub(super) sealed: Sealed,
    pub(super) state: TrustState,
    /// Whether the key was granted to run it in the host's process.
    pub(super) in_process: bool,
}

/// The plugin of a folder, if it may be loaded.
pub(crate) fn candidate(folder: &Folder, sources: &Sources) -> Result<Candidate, LoadFailure> {
    let Examined { manifest, library, sealed, state, in_process } =
        examine(folder, &sources.trust, sources.today)?;
    let path = folder.path().join(library);
    match admit(state, &manifest.id, in_process, sources) {
        Ok(verdict) => Ok(Candidate { path, manifest: Some(manifest), sealed, verdict }),
        Err(refusal) => Err(refusal.at(&path, Some(&manifest.id))),
    }
}

/// A library of this program's own build; `None`: it is not a plugin, as procedural macros are not.
pub(crate) fn development(
    folder: &Folder,
    name: &str,
    sources: &Sources,
) -> Result<Option<Candidate>, LoadFailure> {
    let path = folder.path().join(name);
    let refused = |refusal: Refusal| refusal.at(&path, None);
    let file = folder.read(name, LIBRARY_BYTES_MAX).map_err(refused)?.unwrap_or_default();
    elf::check(&file).map_err(refused)?;
    if library::is_plugin(&file).is_err() {
        return Ok(None);
    }
    let sealed = library::seal(&file).map_err(refused)?;
    if sources.trust.is_revoked(&sealed.digest) {
        let reason = TrustState::Revoked { file: name.to_owned() }.to_string();
        return Err(refused(Refusal::new(LoadCause::Revoked, reason, "build another version")));
    }
    let verdict = Verdict { state: TrustState::Development, isolation_allowed: Isolation::InProcess };
    Ok(Some(Candidate { path, manifest: None, sealed, verdict }))
}

/// Reads a plugin's folder and judges it.
pub(super) fn examine(
    folder: &Folder,
    store: &TrustStore,
    today: CivilDate,
) -> Result<Examined, LoadFailure> {
    let refused = |refusal: Refusal| refusal.at(folder.path(), None);
    let manifest_bytes = folder.read(MANIFEST_FILE, MANIFEST_BYTES_MAX as u64).map_err(refused)?;
    let manifest_bytes = manifest_bytes.ok_or_else(|| refused(no_manifest()))?;
    let lock_bytes = folder.read(LOCK_FILE, LOCK_BYTES_MAX as u64).map_err(refused)?;
    let signature = folder.read(SIGNATURE_FILE, SIGNATURE_BYTES_MAX).map_err(refused)?;
    let signer = signer(lock_bytes.as_deref(), signature.as_deref(), store);

    // A manifest that was changed is told as such, whatever else is wrong with it.
    let parsed = parse_manifest(&manifest_bytes);
    let id = parsed.as_ref().ok().map(|manifest| manifest.id.clone());
    let at = |file: &str, refusal: Refusal| refusal.at(&folder.path().join(file), id.as_ref());
    let modified = |file: &str| at(file, modified(file));
    if let Signer::Modified { file } = signer {
        return Err(modified(file));
    }
    let manifest_digest = digest_of(&manifest_bytes);
    let lock = lock_bytes.as_deref().map(parse_lock).transpose().map_err(|refusal| at(LOCK_FILE, refusal))?;
    if lock.as_ref().is_some_and(|lock| lock.manifest != manifest_digest) {
        return Err(modified(MANIFEST_FILE));
    }
    let manifest = parsed.map_err(|refusal| at(MANIFEST_FILE, refusal))?;
    if let Some(lock) = &lock
        && (lock.id != manifest.id || lock.version != manifest.version)
    {
        let reason = format!(
            "`{LOCK_FILE}` is for `{}` {}, the manifest for `{}` {}",
            lock.id, lock.version, manifest.id, manifest.version
        );
        return Err(at(LOCK_FILE, Refusal::new(LoadCause::Lock, reason, "have the plugin signed again")));
    }
    let library = match &lock {
        Some(lock) => locked_library(lock).map(|library| library.path.clone()),
        None => find_library(folder),
    }
    .map_err(|refusal| refusal.at(folder.path(), Some(&manifest.id)))?;
    let file = folder.read(&library, LIBRARY_BYTES_MAX).map_err(|refusal| at(&library, refusal))?;
    let file = file.ok_or_else(|| {
        let help = "install the plugin's library for this machine";
        at(&library, Refusal::new(LoadCause::Missing, format!("the library `{library}` is not there"), help))
    })?;
    let sealed = library::seal(&file).map_err(|refusal| at(&library, refusal))?;
    let mine = |locked: &&LockedLibrary| locked.path == library;
    if let Some(locked) = lock.as_ref().and_then(|lock| lock.libraries.iter().find(mine))
        && locked.digest != sealed.digest
    {
        return Err(modified(&library));
    }
    let fits = elf::check(&file).and_then(|()| library::is_plugin(&file));
    fits.map_err(|refusal| at(&library, refusal))?;
    drop(file);

    let lock_digest = lock_bytes.as_deref().map(digest_of);
    let digests = [
        (MANIFEST_FILE, Some(&manifest_digest)),
        (LOCK_FILE, lock_digest.as_ref()),
        (&library, Some(&sealed.digest)),
    ];
    let revoked = digests.iter().find(|(_, digest)| digest.is_some_and(|digest| store.is_revoked(digest)));
    let in_process = match signer {
        Signer::Trusted(key) => key.in_process && !manifest.interfaces.contains(&Interface::Connector),
        Signer::Nobody | Signer::Modified { .. } | Signer::Unknown(_) => false,
    };
    let state = match (revoked, signer) {
        (Some((file, _)), _) => TrustState::Revoked { file: (*file).to_owned() },
        (None, Signer::Trusted(key)) => granted(key, &manifest, today),
        (None, Signer::Unknown(key)) => TrustState::UnknownKey { key },
        (None, Signer::Nobody) => TrustState::Unsigned,
        (None, Signer::Modified { file }) => TrustState::Modified { file: file.to_owned() },
    };
    Ok(Examined { manifest, library, sealed, state, in_process })
}

/// Who signed a lock.
#[derive(Clone, Copy)]
enum Signer<'s> {
    Nobody,
    /// The signature is not one of this lock.
    Modified {
        file: &'static str,
    },
    Unknown(super::KeyId),
    Trusted(&'s TrustedKey),
}

fn signer<'s>(lock: Option<&[u8]>, signature: Option<&[u8]>, store: &'s TrustStore) -> Signer<'s> {
    let (lock, signature) = match (lock, signature) {
        (_, None) => return Signer::Nobody,
        (None, Some(_)) => return Signer::Modified { file: LOCK_FILE },
        (Some(lock), Some(signature)) => (lock, signature),
    };
    let parsed = std::str::from_utf8(signature).ok().and_then(|text| Signature::parse(text).ok());
    let Some(signature) = parsed else { return Signer::Modified { file: SIGNATURE_FILE } };
    match store.key(signature.key()) {
        None => Signer::Unknown(signature.key()),
        Some(key) if key.public.verifies(lock, &signature) => Signer::Trusted(key),
        Some(_) => Signer::Modified { file: LOCK_FILE },
    }
}

/// The state of what a trusted key signed: its days, and manifest ∩ grant.
fn granted(key: &TrustedKey, manifest: &Manifest, today: CivilDate) -> TrustState {
    let (id, owner) = (key.public.id(), key.owner.clone());
    if !key.is_valid_on(today) {
        return TrustState::ExpiredKey { key: id, owner };
    }
    if !key.plugins.iter().any(|pattern| pattern.covers(&manifest.id)) {
        let what = format!("the id `{}`", manifest.id);
        return TrustState::NotGranted { key: id, owner, what };
    }
    match manifest.interfaces.iter().find(|interface| !key.interfaces.contains(interface)) {
        Some(interface) => {
            let what = format!("the interface `{}`", interface.id());
            TrustState::NotGranted { key: id, owner, what }
        }
        None => TrustState::Signed { key: id, owner },
    }
}

pub(super) fn modified(file: &str) -> Refusal {
    let help = "it was changed after signing or copied in part: fetch the whole folder again, or have it signed again";
    Refusal::new(LoadCause::Modified, TrustState::Modified { file: file.to_owned() }.to_string(), help)
}

fn parse_lock(bytes: &[u8]) -> Result<Lock, Refusal> {
    let wrong = |reason: String| Refusal::new(LoadCause::Lock, reason, "have the plugin signed again");
    let text =
        std::str::from_utf8(bytes).map_err(|error| wrong(format!("`{LOCK_FILE}` is not UTF-8: {error}")))?;
    Lock::parse(text)
        .map_err(|errors| wrong(format!("`{LOCK_FILE}` has {} errors: {errors}", errors.0.len())))
}

/// The library for this machine, as the lock has it.
fn locked_library(lock: &Lock) -> Result<&LockedLibrary, Refusal> {
    lock.library(&machine()).ok_or_else(|| {
        let targets: Vec<&str> = lock.libraries.iter().map(|library| short(&library.target)).collect();
        let here = machine();
        let reason =
            format!("the library is built for {}; this program runs on {}", targets.join(", "), short(&here));
        let help = format!("use the plugin's library for {}", short(&here));
        Refusal::new(LoadCause::WrongArchitecture, reason, help)
    })
}

/// The one library of an unlocked folder, in the sub-folder of this machine or beside the manifest.
fn find_library(folder: &Folder) -> Result<String, Refusal> {
    let (machine, paths) = (machine(), library_paths(folder)?);
    let within =
        |path: &&String| path.strip_prefix(machine.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let places = [
        paths.iter().filter(within).collect::<Vec<_>>(),
        paths.iter().filter(|path| !path.contains('/')).collect(),
    ];
    for libraries in places {
        match libraries.as_slice() {
            [] => {}
            [library] => return Ok((*library).clone()),
            [_, _, ..] => {
                let reason = format!("{} libraries lie in {}", libraries.len(), folder.path().display());
                let help = "leave the one that belongs to the manifest";
                return Err(Refusal::new(LoadCause::Missing, reason, help));
            }
        }
    }
    let reason = format!("no library (`.so`) lies beside `{MANIFEST_FILE}` or in `{machine}`");
    Err(Refusal::new(LoadCause::Missing, reason, "install the plugin's library for this machine"))
}

/// The kind of machine that this program runs on, as sub-folders and locks name it.
fn machine() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// A target without the system, where that is the one of this program.
fn short(target: &str) -> &str {
    target.strip_suffix(std::env::consts::OS).and_then(|rest| rest.strip_suffix('-')).unwrap_or(target)
}
