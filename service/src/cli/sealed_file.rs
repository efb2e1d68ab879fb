//! Files that leave the system, sealed under a passphrase.
//!
//! A file is a head and a body. The head is `LINLI-SEALED-1`, a line feed, the cost of the passphrase (memory in KiB, passes,
//! lanes, four bytes each, big-endian), 16 bytes of salt and 24 of nonce. The body is XChaCha20-Poly1305 under the key that
//! Argon2id makes of the passphrase, with the head as associated data: nothing of it can be changed, cut or put before
//! another body.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use linli_store::{NoRandomness, Random};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"LINLI-SEALED-1\n";
const SALT: usize = 16;
const NONCE: usize = 24;
const HEAD: usize = MAGIC.len() + 12 + SALT + NONCE;
/// Shortest passphrase: fewer characters are tried out one by one in hours, whatever each try costs.
pub(super) const PASSPHRASE_MIN: usize = 12;

/// What a try of a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// RFC 9106, second recommended choice: 64 MiB, three passes, four lanes.
pub(super) const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// Most that a file may ask for to be opened: a file from elsewhere must not take all of memory.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

/// Why a file cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealedFileError {
    /// It does not begin as one.
    #[error("the file is not a sealed one of Linli")]
    Format,
    /// The passphrase is another one, or the file was changed or cut off.
    #[error("the passphrase is wrong, or the file was changed or cut off")]
    Passphrase,
    /// The passphrase is too short.
    #[error("the passphrase must have {PASSPHRASE_MIN} characters at least")]
    Short,
    /// The operating system gives no randomness.
    #[error("no randomness")]
    NoRandomness,
}

impl From<NoRandomness> for SealedFileError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// Seals bytes under a passphrase.
///
/// # Errors
/// [`SealedFileError::Short`], [`SealedFileError::NoRandomness`].
pub(super) fn seal(
    plain: &[u8],
    passphrase: &SecretString,
    cost: Cost,
    random: &dyn Random,
) -> Result<Vec<u8>, SealedFileError> {
    if passphrase.expose_secret().chars().count() < PASSPHRASE_MIN {
        return Err(SealedFileError::Short);
    }
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    random.fill(&mut salt)?;
    random.fill(&mut nonce)?;
    let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
    sealed.extend_from_slice(MAGIC);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        sealed.extend_from_slice(&number.to_be_bytes());
    }
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(&nonce);
    let cipher = cipher(passphrase, &salt, cost)?;
    let payload = Payload { msg: plain, aad: &sealed };
    let body = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealedFileError::Format)?;
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`SealedFileError::Format`], [`SealedFileError::Passphrase`].
pub(super) fn open(sealed: &[u8], passphrase: &SecretString) -> Result<Zeroizing<Vec<u8>>, SealedFileError> {
    let (head, body) = sealed.split_at_checked(HEAD).ok_or(SealedFileError::Format)?;
    let rest = head.strip_prefix(MAGIC).ok_or(SealedFileError::Format)?;
    let (cost, rest) = take_cost(rest).ok_or(SealedFileError::Format)?;
    let (salt, nonce) = rest.split_first_chunk::<SALT>().ok_or(SealedFileError::Format)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| SealedFileError::Format)?;
    let affordable = cost.memory_kib <= COST_MAX.memory_kib
        && cost.passes <= COST_MAX.passes
        && cost.lanes <= COST_MAX.lanes;
    if !affordable {
        return Err(SealedFileError::Format);
    }
    let cipher = cipher(passphrase, salt, cost)?;
    let payload = Payload { msg: body, aad: head };
    cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| SealedFileError::Passphrase)
}

fn take_cost(bytes: &[u8]) -> Option<(Cost, &[u8])> {
    let (memory, rest) = bytes.split_first_chunk::<4>()?;
    let (passes, rest) = rest.split_first_chunk::<4>()?;
    let (lanes, rest) = rest.split_first_chunk::<4>()?;
    let [memory_kib, passes, lanes] = [memory, passes, lanes].map(|bytes| u32::from_be_bytes(*bytes));
    Some((Cost { memory_kib, passes, lanes }, rest))
}

fn cipher(passphrase: &SecretString, salt: &[u8], cost: Cost) -> Result<XChaCha20Poly1305, SealedFileError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let params = params.map_err(|_| SealedFileError::Format)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, &mut *key)
        .map_err(|_| SealedFileError::Format)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte another one: enough for a test of what is done with them.
    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.iter_mut().zip(0_u8..).for_each(|(byte, number)| *byte = number);
            Ok(())
        }
    }

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn opens_with_its_passphrase_and_whole_only() {
        let passphrase = SecretString::from("correct horse battery");
        let other = SecretString::from("correct horse batterz");
        let sealed = seal(b"names and numbers", &passphrase, CHEAP, &Counting).unwrap();
        assert_eq!(open(&sealed, &passphrase).unwrap().as_slice(), b"names and numbers");
        assert_eq!(open(&sealed, &other).err(), Some(SealedFileError::Passphrase));
        assert!(!sealed.windows(5).any(|window| window == b"names"));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &passphrase).is_err(), "byte {at} may be changed");
            assert!(open(&sealed[..at], &passphrase).is_err(), "it may be cut off at {at}");
        }
        let short = SecretString::from("elf zeichen");
        assert_eq!(seal(b"", &short, CHEAP, &Counting).err(), Some(SealedFileError::Short));
    }

    #[test]
    fn a_file_cannot_ask_for_all_of_memory() {
        let passphrase = SecretString::from("correct horse battery");
        let mut sealed = seal(b"", &passphrase, CHEAP, &Counting).unwrap();
        sealed[MAGIC.len()] = 0xff;
        assert_eq!(open(&sealed, &passphrase).err(), Some(SealedFileError::Format));
    }
}
