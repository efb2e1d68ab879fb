//! Keys of the server's own, 64 hexadecimal digits in a file of mode 0600, made at the first start.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use linli_store::Random;
use secrecy::zeroize::Zeroizing;

use crate::hex::{hex, unhex};

/// More than a key file has.
const FILE_BYTES_MAX: u64 = 1024;

/// A key.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {why}")]
pub struct KeyFileError {
    /// Its path.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

impl KeyFileError {
    fn new(path: &Path, why: impl std::fmt::Display) -> Self {
        Self { path: path.display().to_string(), why: why.to_string() }
    }
}

/// The key in a file.
///
/// # Errors
/// It is not there, others may read it, or it holds something else.
pub(crate) fn open(path: &Path) -> Result<Key, KeyFileError> {
    let wrong = |why: std::io::Error| KeyFileError::new(path, why);
    let file = File::open(path).map_err(wrong)?;
    let mode = file.metadata().map_err(wrong)?.mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::new(path, "must be readable by its owner only (mode 0600)"));
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(wrong)?;
    let key = unhex::<32>(text.trim()).map(Zeroizing::new);
    key.ok_or_else(|| KeyFileError::new(path, "must hold 64 hexadecimal digits"))
}

/// The key in a file, which is made where there is none; whether it was.
///
/// # Errors
/// As [`open`]; where the file cannot be written.
pub(crate) fn open_or_make(path: &Path, random: &dyn Random) -> Result<(Key, bool), KeyFileError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match made {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::AlreadyExists => return Ok((open(path)?, false)),
        Err(err) => return Err(KeyFileError::new(path, err)),
    };
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut_slice()).map_err(|_| KeyFileError::new(path, "no randomness"))?;
    let text = Zeroizing::new(hex(key.as_slice()) + "\n");
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|err| KeyFileError::new(path, err))?;
    Ok((key, true))
}
