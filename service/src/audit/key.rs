//! The key that signs anchors.

use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use linli_store::Random;

use super::AuditError;
use crate::hex::unhex;
use crate::key_file;

/// The key in a file.
///
/// # Errors
/// [`AuditError::File`]: it is not there, others may read it, or it holds something else.
pub fn open(path: &Path) -> Result<SigningKey, AuditError> {
    let key = key_file::open(path)?;
    Ok(SigningKey::from_bytes(&key))
}

/// The key in a file, which is made where there is none; whether it was.
///
/// # Errors
/// As [`open`]; where the file cannot be written.
pub fn open_or_make(path: &Path, random: &dyn Random) -> Result<(SigningKey, bool), AuditError> {
    let (key, made) = key_file::open_or_make(path, random)?;
    Ok((SigningKey::from_bytes(&key), made))
}

/// A public key of 64 hexadecimal digits; never a weak one, with which anybody could sign.
pub fn public(text: &str) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(&unhex::<32>(text)?).ok()?;
    (!key.is_weak()).then_some(key)
}
