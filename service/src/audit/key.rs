//! The key that signs anchors: 64 hexadecimal digits in a file of mode 0600, made at the first start.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use linli_store::Random;
use secrecy::zeroize::Zeroizing;

use super::AuditError;
use crate::hex::{hex, unhex};

/// More than a key file has.
const FILE_BYTES_MAX: u64 = 1024;

/// The key in a file.
///
/// # Errors
/// [`AuditError::File`]: it is not there, others may read it, or it holds something else.
pub fn open(path: &Path) -> Result<SigningKey, AuditError> {
    let file = File::open(path).map_err(|err| AuditError::file(path, err))?;
    let mode = file.metadata().map_err(|err| AuditError::file(path, err))?.mode();
    if mode & 0o077 != 0 {
        return Err(AuditError::file(path, "must be readable by its owner only (mode 0600)"));
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|err| AuditError::file(path, err))?;
    let seed = unhex::<32>(text.trim()).map(Zeroizing::new);
    let seed = seed.ok_or_else(|| AuditError::file(path, "must hold 64 hexadecimal digits"))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The key in a file, which is made where there is none; whether it was.
///
/// # Errors
/// As [`open`]; where the file cannot be written.
pub fn open_or_make(path: &Path, random: &dyn Random) -> Result<(SigningKey, bool), AuditError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match made {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::AlreadyExists => return Ok((open(path)?, false)),
        Err(err) => return Err(AuditError::file(path, err)),
    };
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut_slice()).map_err(|_| AuditError::file(path, "no randomness"))?;
    let text = Zeroizing::new(hex(seed.as_slice()) + "\n");
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|err| AuditError::file(path, err))?;
    Ok((SigningKey::from_bytes(&seed), true))
}

/// A public key of 64 hexadecimal digits; never a weak one, with which anybody could sign.
pub fn public(text: &str) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(&unhex::<32>(text)?).ok()?;
    (!key.is_weak()).then_some(key)
}
