//! Keys and signatures, as the text files that hold them.
//!
//! | file | one line |
//! |---|---|
//! | secret key, mode 0600 | `linli-plugin-key-v1 secret <base64 of the 32-byte seed>` |
//! | public key | `linli-plugin-key-v1 public <base64 of the 32-byte key>` |
//! | `plugin.lock.sig` | `linli-plugin-signature-v1 <key id> <base64 of the 64-byte signature>` |
//!
//! A signature is Ed25519 (RFC 8032) over [`CONTEXT`] and the bytes of `plugin.lock`, so that what a key signs for
//! another purpose never passes here. It has one textual form, and `verify_strict` accepts one form of its numbers.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_FORMAT: &str = "linli-plugin-key-v1";
const SIGNATURE_FORMAT: &str = "linli-plugin-signature-v1";
/// What is signed before the lock's bytes.
const CONTEXT: &[u8] = b"linli plugin.lock v1\0";
/// Largest key file: one line.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// Names a public key: the first 16 hexadecimal digits of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 8];
        if text.len() != 16 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        // `from_str_radix` takes a sign.
        let id = Self(id);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The public half of a key pair; never a weak key, whose signatures anybody could make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the file of a public key: one line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = line(text, KEY_FORMAT)?.strip_prefix("public ").ok_or_else(|| not_a("public key"))?;
        Self::from_base64(encoded)
    }

    /// From the base64 of its 32 bytes, as the trust store has it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_base64(encoded: &str) -> Result<Self, String> {
        let bytes = decoded::<32>(encoded).ok_or("must be the base64 of a key's 32 bytes")?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            Ok(_) => Err("is a weak key: anybody could sign with it".to_owned()),
            Err(_) => Err("is not an Ed25519 public key".to_owned()),
        }
    }

    /// Its base64, as the trust store has it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        let digest = Sha256::digest(self.0.as_bytes());
        KeyId(digest.first_chunk().copied().expect("SHA-256 has 32 bytes"))
    }

    /// Whether this key made the signature over these bytes of `plugin.lock`.
    pub fn verifies(&self, lock: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        signature.key == self.id() && self.0.verify_strict(&signed_bytes(lock), &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    /// The text of its file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{KEY_FORMAT} public {}", self.to_base64())
    }
}

/// The secret half of a key pair. Leaves memory when dropped; never printed but by [`SecretKey::save`].
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Reads the file of a secret key: one line, mode 0600.
    ///
    /// # Errors
    /// The file cannot be read, may be read by others, or holds something else.
    pub fn open(path: &Path) -> io::Result<Self> {
        let wrong = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let file = fs::File::open(path)?;
        let mode = file.metadata()?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(wrong(format!("others may read it (mode {mode:04o}): set its mode to 0600")));
        }
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES_MAX as usize));
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
        let encoded = line(&text, KEY_FORMAT)
            .and_then(|rest| rest.strip_prefix("secret ").ok_or_else(|| not_a("secret key")))
            .map_err(wrong)?;
        let seed = decoded::<32>(encoded).map(Zeroizing::new);
        let seed = seed.ok_or_else(|| wrong("its key is not the base64 of 32 bytes".to_owned()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Writes a new file of mode 0600.
    ///
    /// # Errors
    /// The file cannot be written, or is there already: a key is never overwritten.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let seed = Zeroizing::new(STANDARD.encode(self.0.as_bytes()));
        let text = Zeroizing::new(format!("{KEY_FORMAT} secret {}\n", *seed));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

/// A key pair made of 32 random bytes, which the caller gets from the operating system.
pub fn generate(random: [u8; 32]) -> SecretKey {
    SecretKey(SigningKey::from_bytes(&Zeroizing::new(random)))
}

/// Signs the bytes of a `plugin.lock`.
pub fn sign(lock: &[u8], secret: &SecretKey) -> Signature {
    let bytes = secret.0.sign(&signed_bytes(lock)).to_bytes();
    Signature { key: secret.public().id(), bytes }
}

/// A detached signature: what `plugin.lock.sig` holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    bytes: [u8; 64],
}

impl Signature {
    /// Reads the file of a signature. It has one form: a byte more or less, and it is not a signature.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (key, encoded) =
            line(text, SIGNATURE_FORMAT)?.split_once(' ').ok_or_else(|| not_a("signature"))?;
        let key = KeyId::parse(key).ok_or("its key id is not 16 hexadecimal digits")?;
        let bytes = decoded::<64>(encoded).ok_or("its signature is not the base64 of 64 bytes")?;
        Ok(Self { key, bytes })
    }

    /// The key that it says it was made with.
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl fmt::Display for Signature {
    /// The text of its file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{SIGNATURE_FORMAT} {} {}", self.key, STANDARD.encode(self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature(key {})", self.key)
    }
}

fn signed_bytes(lock: &[u8]) -> Vec<u8> {
    [CONTEXT, lock].concat()
}

/// The rest of the one line of a file that begins with its format.
fn line<'t>(text: &'t str, format: &str) -> Result<&'t str, String> {
    let line = text.strip_suffix('\n').filter(|line| !line.contains(['\n', '\r']));
    line.and_then(|line| line.strip_prefix(format)?.strip_prefix(' '))
        .ok_or_else(|| format!("it is not one line that begins with `{format}`"))
}

fn not_a(what: &str) -> String {
    format!("it is not a {what}")
}

/// Exactly `N` bytes in their one base64 form.
fn decoded<const N: usize>(encoded: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = STANDARD.decode_slice(encoded, &mut bytes).ok()?;
    (length == N && encoded.len() == N.div_ceil(3) * 4).then_some(bytes)
}
