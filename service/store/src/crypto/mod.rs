//! Sealing: how personal values are stored so that the database alone tells nothing.
//!
//! Root key → site keys → one data key per resident. The keys live in a store of their own ([`keys`]); a
//! cell ([`cell`]) names the suite and the key version that sealed it, and is bound to its place by associated
//! data. Searching goes through keyed hashes ([`index`]).

pub(crate) mod cell;
pub(crate) mod index;
pub(crate) mod keys;
pub(crate) mod ring;
mod root;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use root::{RootKey, RootKeys};

use crate::error::SealError;

/// Where randomness comes from; injected, so that tests can repeat a run.
pub trait Random: Send + Sync {
    /// Fills the buffer with bytes that nobody can guess.
    ///
    /// # Errors
    /// [`NoRandomness`] where the source fails; the caller then refuses the work.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The source of randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no randomness")]
pub struct NoRandomness;

impl From<NoRandomness> for SealError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// A symmetric key of 256 bits; leaves memory when dropped, never prints.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// From 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn draw(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, for a provider.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The algorithms behind cells and indexes. The default is [`Chacha`]; national algorithms come as a provider over a
/// certified module, with a suite number of their own.
pub trait CryptoProvider: Send + Sync {
    /// The suite's number in the header of a cell: 1 XChaCha20-Poly1305, 2 AES-256-GCM-SIV, 3 SM4-GCM.
    fn suite(&self) -> u8;

    /// Encrypts and authenticates: returns nonce ‖ ciphertext ‖ tag.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    fn seal(
        &self,
        key: &Key,
        random: &dyn Random,
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError>;

    /// Opens what [`CryptoProvider::seal`] returned.
    ///
    /// # Errors
    /// [`SealError::Format`] where it is too short, [`SealError::Tag`] where key, bytes or associated data differ.
    fn open(&self, key: &Key, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError>;

    /// A keyed hash, for blind indexes and sub-keys.
    fn mac(&self, key: &Key, data: &[&[u8]]) -> [u8; 32];
}

/// XChaCha20-Poly1305 and HMAC-SHA-256. Nonces are random: 192 bits need no counter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chacha;

/// Bytes of an XChaCha20 nonce.
const NONCE: usize = 24;

impl CryptoProvider for Chacha {
    fn suite(&self) -> u8 {
        1
    }

    fn seal(
        &self,
        key: &Key,
        random: &dyn Random,
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce)?;
        let cipher = XChaCha20Poly1305::new(key.bytes().into());
        let payload = Payload { msg: plain, aad: associated };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Format)?;
        let mut out = Vec::with_capacity(NONCE + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    fn open(&self, key: &Key, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Format)?;
        let cipher = XChaCha20Poly1305::new(key.bytes().into());
        let payload = Payload { msg: rest, aad: associated };
        cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| SealError::Tag)
    }

    fn mac(&self, key: &Key, data: &[&[u8]]) -> [u8; 32] {
        // HMAC fills a shorter key up to its block with zeros; so filled, any length is the right one.
        let mut block = Zeroizing::new([0_u8; 64]);
        for (byte, of_key) in block.iter_mut().zip(key.bytes()) {
            *byte = *of_key;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in data {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
