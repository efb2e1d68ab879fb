//! The public keys that tokens are verified with: a JWKS file (RFC 7517), read again when it changes.
//!
//! A key decides the algorithm, never a token: Ed25519 means EdDSA, P-256 means ES256, RSA means RS256. A file with anything
//! that does not belong there (a private or symmetric key, a small RSA key, two keys of one id) is refused as a whole, and the
//! set that was read before stays.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Largest key file, in bytes: hundreds of keys fit.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Smallest RSA modulus, in bytes: 2,048 bits. `ring` refuses more than 8,192 bits itself.
const RSA_BYTES_MIN: usize = 256;

/// A way to sign, fixed by the type of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// As tokens call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A public key.
enum PublicKey {
    Plain(UnparsedPublicKey<Vec<u8>>),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
}

/// A key of the set.
pub struct Key {
    algorithm: Algorithm,
    public: PublicKey,
}

impl Key {
    /// What it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's under `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.public {
            PublicKey::Plain(key) => key.verify(message, signature),
            PublicKey::Rsa(key) => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verified.is_ok()
    }
}

/// Keys by id.
#[derive(Default)]
pub struct KeySet(BTreeMap<String, Key>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<serde::de::IgnoredAny>,
    k: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    /// The keys of a JWKS.
    ///
    /// # Errors
    /// What does not belong there.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let jwks: Jwks = serde_json::from_slice(json)
            .map_err(|error| format!("not a JWKS: line {}, column {}", error.line(), error.column()))?;
        let mut keys = BTreeMap::new();
        for (at, jwk) in jwks.keys.into_iter().enumerate() {
            let id = jwk.kid.clone().filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| format!("key {at} has no `kid`"))?;
            let key = jwk.key().map_err(|why| format!("key `{id}` {why}"))?;
            if keys.insert(id.clone(), key).is_some() {
                return Err(format!("two keys are called `{id}`"));
            }
        }
        if keys.is_empty() { Err("there is no key in it".into()) } else { Ok(Self(keys)) }
    }

    /// The key of an id.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Jwk {
    fn key(self) -> Result<Key, String> {
        if self.d.is_some() || self.k.is_some() {
            return Err("holds a private or symmetric key; only public keys belong here".into());
        }
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("is not for signatures".into());
        }
        let bytes = |field: &str, value: Option<&String>| {
            let text = value.ok_or_else(|| format!("has no `{field}`"))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("has a `{field}` that is not base64url"))
        };
        let of_length = |field: &str, value: Option<&String>, length: usize| {
            bytes(field, value).and_then(|bytes| {
                if bytes.len() == length {
                    Ok(bytes)
                } else {
                    Err(format!("has a `{field}` of another length"))
                }
            })
        };
        let (algorithm, public) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => {
                let point = of_length("x", self.x.as_ref(), 32)?;
                (Algorithm::EdDsa, PublicKey::Plain(UnparsedPublicKey::new(&signature::ED25519, point)))
            }
            ("EC", Some("P-256")) => {
                let mut point = vec![4]; // uncompressed
                point.extend(of_length("x", self.x.as_ref(), 32)?);
                point.extend(of_length("y", self.y.as_ref(), 32)?);
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                (Algorithm::Es256, PublicKey::Plain(key))
            }
            ("RSA", _) => {
                let (n, e) = (bytes("n", self.n.as_ref())?, bytes("e", self.e.as_ref())?);
                if n.len() < RSA_BYTES_MIN {
                    return Err("is an RSA key of fewer than 2,048 bits".into());
                }
                (Algorithm::Rs256, PublicKey::Rsa(RsaPublicKeyComponents { n, e }))
            }
            (_, _) => return Err("is none of Ed25519, P-256 and RSA".into()),
        };
        match self.alg {
            Some(alg) if alg != algorithm.name() => {
                Err(format!("says `{alg}`, and its type means `{}`", algorithm.name()))
            }
            Some(_) | None => Ok(Key { algorithm, public }),
        }
    }
}

/// How a file looks from outside; another look means that it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    /// Of a file; `None` where it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// The keys of a file, as it was when it was last good.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    set: RwLock<Arc<KeySet>>,
    seen: Mutex<Option<Stamp>>,
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let seen = Stamp::of(path);
        let set = read(path)?;
        Ok(Self { path: path.to_owned(), set: RwLock::new(Arc::new(set)), seen: Mutex::new(seen) })
    }

    /// The keys of now.
    pub fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again where it has changed. A file that is broken changes nothing and is complained about once.
    pub fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(&self.path);
        if now == *seen {
            return;
        }
        *seen = now;
        match read(&self.path) {
            Ok(set) => {
                tracing::info!(keys = set.len(), "the keys of tokens were read again");
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
            }
            Err(why) => {
                tracing::error!(why, "the keys of tokens are broken; those from before stay in force")
            }
        }
    }
}

fn read(path: &Path) -> Result<KeySet, String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("`{shown}`: {error}"))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("`{shown}` is larger than {FILE_BYTES_MAX} bytes"));
    }
    let json = std::fs::read(path).map_err(|error| format!("`{shown}`: {error}"))?;
    KeySet::parse(&json).map_err(|why| format!("`{shown}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The point of a key of RFC 8037, appendix A.
    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn jwks(keys: &[&str]) -> String {
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    #[test]
    fn only_public_keys_of_known_kinds_are_taken() {
        let check = |key: &str, expect: &str| {
            let found = match KeySet::parse(jwks(&[key]).as_bytes()) {
                Ok(set) => format!("{set:?}"),
                Err(why) => why,
            };
            assert_eq!(found, expect, "{key}");
        };
        check(ED25519, "{\"a\"}");
        let with = |more: &str| ED25519.replacen('{', &format!("{{{more},"), 1);
        check(&with(r#""use":"enc""#), "key `a` is not for signatures");
        check(&with(r#""alg":"RS256""#), "key `a` says `RS256`, and its type means `EdDSA`");
        let private = "key `a` holds a private or symmetric key; only public keys belong here";
        check(&with(r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#), private);
        check(r#"{"kty":"oct","kid":"a","k":"c2VjcmV0"}"#, private);
        check(r#"{"kty":"OKP","crv":"Ed448","kid":"a","x":""}"#, "key `a` is none of Ed25519, P-256 and RSA");
        check(r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}"#, "key `a` has a `x` of another length");
        check(r#"{"kty":"OKP","crv":"Ed25519","kid":"a"}"#, "key `a` has no `x`");
        check(r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, "key 0 has no `kid`");
        check(
            r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}"#,
            "key `a` is an RSA key of fewer than 2,048 bits",
        );
        check(r#"{"kty":"RSA","kid":"a","n":"+/+/","e":"AQAB"}"#, "key `a` has a `n` that is not base64url");
        assert_eq!(
            KeySet::parse(jwks(&[ED25519, ED25519]).as_bytes()).unwrap_err(),
            "two keys are called `a`"
        );
        assert_eq!(KeySet::parse(b"{\"keys\":[]}").unwrap_err(), "there is no key in it");
        assert_eq!(KeySet::parse(b"{\"keys\":").unwrap_err(), "not a JWKS: line 1, column 8");
    }

    #[test]
    fn a_broken_file_leaves_the_keys_from_before() {
        let path = std::env::temp_dir().join(format!("linli-keys-{}.json", std::process::id()));
        std::fs::write(&path, jwks(&[ED25519])).unwrap();
        let file = KeyFile::open(&path).unwrap();
        let first = file.set();
        file.refresh();
        assert!(Arc::ptr_eq(&first, &file.set()), "nothing has changed");
        for broken in ["", "{}", "{\"keys\":[]}"] {
            std::fs::write(&path, broken).unwrap();
            file.refresh();
            assert!(Arc::ptr_eq(&first, &file.set()), "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        file.refresh();
        assert!(Arc::ptr_eq(&first, &file.set()), "a file that is gone");
        std::fs::write(&path, jwks(&[&ED25519.replace("\"a\"", "\"b\"")])).unwrap();
        file.refresh();
        assert!(file.set().get("a").is_none() && file.set().get("b").is_some());
        std::fs::remove_file(&path).unwrap();
    }
}
