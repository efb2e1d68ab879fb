//! The root key: 64 hexadecimal digits in a file of mode 0600 or in the environment.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Key, Random};
use crate::error::OpenError;

/// The key that wraps all others. Whoever has it and the key store can read everything; without it nobody can.
#[derive(Clone, Debug)]
pub struct RootKey(Key);

impl RootKey {
    /// From 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`OpenError::KeyFormat`].
    pub fn from_hex(text: &str) -> Result<Self, OpenError> {
        let digits = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if digits.len() != 64 {
            return Err(OpenError::KeyFormat);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(OpenError::KeyFormat) };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(Key::new(*bytes)))
    }

    /// From a file that only its owner can read.
    ///
    /// # Errors
    /// [`OpenError::File`], [`OpenError::KeyFileMode`] or [`OpenError::KeyFormat`].
    pub fn from_file(path: &Path) -> Result<Self, OpenError> {
        let file_error = |source| OpenError::File { path: path.display().to_string(), source };
        let mut file = std::fs::File::open(path).map_err(file_error)?;
        let mode = file.metadata().map_err(file_error)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(OpenError::KeyFileMode { path: path.display().to_string() });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(file_error)?;
        Self::from_hex(&text)
    }

    /// Reads the file, or makes it with a fresh key where it does not exist.
    ///
    /// # Errors
    /// As [`RootKey::from_file`], and [`OpenError::NoRandomness`].
    pub fn from_file_or_new(path: &Path, random: &dyn Random) -> Result<Self, OpenError> {
        let file_error = |source| OpenError::File { path: path.display().to_string(), source };
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => return Self::from_file(path),
            Err(err) => return Err(file_error(err)),
        };
        let key = Key::draw(random).map_err(|_| OpenError::NoRandomness)?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in key.bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        file.write_all(text.as_bytes()).map_err(file_error)?;
        file.sync_all().map_err(file_error)?;
        Ok(Self(key))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.0
    }

    /// Whether it is the same key.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
}

/// Finds the root key that is to follow the one in use; `None`: there is none.
type Next = Arc<dyn Fn() -> Result<Option<RootKey>, OpenError> + Send + Sync>;

/// The root key that an operator gave, and where the one is found that is to follow it.
#[derive(Clone)]
pub struct RootKeys {
    current: RootKey,
    next: Next,
}

impl RootKeys {
    /// A root key, and what finds the next one each time it is asked for.
    pub fn new(
        current: RootKey,
        next: impl Fn() -> Result<Option<RootKey>, OpenError> + Send + Sync + 'static,
    ) -> Self {
        Self { current, next: Arc::new(next) }
    }

    pub(crate) fn current(&self) -> &RootKey {
        &self.current
    }

    pub(crate) fn next(&self) -> Result<Option<RootKey>, OpenError> {
        (self.next)()
    }
}

impl From<RootKey> for RootKeys {
    /// A root key that none is to follow.
    fn from(current: RootKey) -> Self {
        Self::new(current, || Ok(None))
    }
}

/// A root key with the number of its version.
#[derive(Clone)]
pub(super) struct Root {
    pub(super) version: u32,
    pub(super) key: RootKey,
}

fn nibble(digit: u8) -> Result<u8, OpenError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(OpenError::KeyFormat),
    }
}
