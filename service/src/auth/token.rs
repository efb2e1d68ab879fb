//! Bearer tokens: signed JWTs (RFC 7519, with the advice of RFC 8725), verified with the keys of the operator's file alone.
//!
//! What a token says about how it is to be verified counts only as far as the key agrees: the header names a key of the set by
//! `kid` and the algorithm of that key, or the token is refused. `jwk`, `jku`, `x5u` and `x5c` are not looked at; `crit`, which
//! would ask for more, is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linli_core::staff::{Credential, CredentialKind};
use linli_core::time::Instant;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::keys::{KeyFile, KeySet};

/// Longest token that is looked at, in bytes; a header list holds 16 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the clocks of issuer and server may differ, in seconds.
const LEEWAY_S: f64 = 30.0;
/// Verified signatures that are remembered; beyond it all are forgotten, to begin anew.
const VERIFIED_MAX: usize = 10_000;

/// What tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, byte by byte.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
}

/// Why a token is refused; for the log, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// It is not three parts of base64url, or header or claims are not the JSON they should be.
    Form,
    /// It asks for extensions.
    Critical,
    /// It is of another type.
    Type,
    /// No key of the set has its `kid`.
    UnknownKey,
    /// It names an algorithm that is not its key's.
    Algorithm,
    /// The signature is not the key's.
    Signature,
    /// It is of another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// Its subject cannot be anybody's.
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn holds(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

/// A token whose signature and claims were found good; only its time is looked at again.
#[derive(Debug, Clone)]
struct Verified {
    subject: Credential,
    expires: f64,
    not_before: Option<f64>,
}

impl Verified {
    fn at(&self, now: Instant) -> Result<Credential, Refused> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "microseconds until the year 2255 are exact in 53 bits"
        )]
        let now = now.micros() as f64 / 1e6;
        if now >= self.expires + LEEWAY_S {
            return Err(Refused::Expired);
        }
        match self.not_before {
            Some(not_before) if now < not_before - LEEWAY_S => Err(Refused::NotYet),
            Some(_) | None => Ok(self.subject.clone()),
        }
    }
}

/// Verified tokens, by the hash of the token, under one key set.
#[derive(Debug, Default)]
struct Memory {
    keys: Option<Arc<KeySet>>,
    tokens: HashMap<[u8; 32], Verified>,
}

/// Verifies tokens.
#[derive(Debug)]
pub struct Tokens {
    expected: Expected,
    keys: Arc<KeyFile>,
    memory: Mutex<Memory>,
}

impl Tokens {
    /// By the keys of a file.
    pub fn new(expected: Expected, keys: Arc<KeyFile>) -> Self {
        Self { expected, keys, memory: Mutex::default() }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &str, now: Instant) -> Result<Credential, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let keys = self.keys.set();
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(verified) = self.remembered(&keys, &hash) {
            return verified.at(now);
        }
        let verified = verify(token, &keys, &self.expected)?;
        let subject = verified.at(now)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        // What was verified with keys that are gone is not remembered.
        if memory.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, &keys)) {
            if memory.tokens.len() >= VERIFIED_MAX {
                memory.tokens.clear();
            }
            memory.tokens.insert(hash, verified);
        }
        Ok(subject)
    }

    fn remembered(&self, keys: &Arc<KeySet>, hash: &[u8; 32]) -> Option<Verified> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if !memory.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys)) {
            *memory = Memory { keys: Some(Arc::clone(keys)), tokens: HashMap::new() };
        }
        memory.tokens.get(hash).cloned()
    }
}

fn verify(token: &str, keys: &KeySet, expected: &Expected) -> Result<Verified, Refused> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(Refused::Form)?;
    let header: Header = part(header)?;
    if header.crit.is_some() {
        return Err(Refused::Critical);
    }
    let is_jwt = |typ: &String| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
    if !header.typ.as_ref().is_none_or(is_jwt) {
        return Err(Refused::Type);
    }
    let key = header.kid.as_deref().and_then(|id| keys.get(id)).ok_or(Refused::UnknownKey)?;
    if header.alg != key.algorithm().name() {
        return Err(Refused::Algorithm);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Form)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(Refused::Signature);
    }
    // Nothing of the claims is read before the signature is known to be good.
    let claims: Claims = part(claims)?;
    if claims.iss != expected.issuer {
        return Err(Refused::Issuer);
    }
    if !claims.aud.holds(&expected.audience) {
        return Err(Refused::Audience);
    }
    let subject = Credential::presented(CredentialKind::Token, &claims.sub).ok_or(Refused::Subject)?;
    Ok(Verified { subject, expires: claims.exp, not_before: claims.nbf })
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| Refused::Form)
}
