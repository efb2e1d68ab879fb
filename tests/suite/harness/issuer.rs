//! An issuer of tokens with a key of every kind, whom a server of a test trusts.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use linli_core::time::Clock as _;
use linli_proto::v1;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

use super::client::Client;
use super::server::{Data, Server};

/// The `iss` of its tokens.
pub const ISSUER: &str = "https://id.example";
/// The `aud` of its tokens.
pub const AUDIENCE: &str = "linli";

/// A way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Ed25519,
    P256,
    Rsa,
    /// An Ed25519 key that nobody trusts.
    Stranger,
}

/// An issuer.
pub struct Issuer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    rsa: RsaKeyPair,
    stranger: Ed25519KeyPair,
}

impl Issuer {
    /// With keys of its own.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let rsa =
            include_str!("../../fixtures/rsa-2048-for-tests.pk8.b64").split_whitespace().collect::<String>();
        Self {
            ed25519: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
                .unwrap(),
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(rsa).unwrap()).unwrap(),
            stranger: Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap(),
        }
    }

    /// A server that trusts it, on an empty store.
    pub async fn server(&self) -> Server {
        Server::on(self.trusted(Data::sqlite())).await
    }

    /// These data, of a server that trusts it.
    pub fn trusted(&self, data: Data) -> Data {
        let keys = data.folder().join("keys.json");
        std::fs::write(&keys, self.jwks().to_string()).unwrap();
        let toml = format!(
            "auth.token_issuer = \"{ISSUER}\"\nauth.token_audience = \"{AUDIENCE}\"\nauth.token_keys_file = \"{}\"",
            keys.display()
        );
        data.with(&toml)
    }

    /// The public keys.
    pub fn jwks(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        let rsa = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": b64(self.ed25519.public_key()) },
            { "kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": b64(&point[1..33]), "y": b64(&point[33..]) },
            { "kty": "RSA", "kid": "rsa", "n": b64(&rsa.n), "e": b64(&rsa.e) },
        ]})
    }

    /// The RSA public key, as the secret that somebody who confuses key types takes it for.
    pub fn rsa_public(&self) -> Vec<u8> {
        self.rsa.public_key().as_ref().to_vec()
    }

    /// The key of nobody, as a header might bring it along.
    pub fn strange_jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(self.stranger.public_key()) })
    }

    /// A good token.
    pub fn token(&self, subject: &str) -> String {
        self.sign(By::Ed25519, &header("EdDSA", "ed"), &claims(subject))
    }

    /// Header and claims as given, signed by a key.
    pub fn sign(&self, by: By, header: &Value, claims: &Value) -> String {
        self.sign_text(by, &header.to_string(), &claims.to_string())
    }

    /// As [`Issuer::sign`], of texts that need not be JSON.
    pub fn sign_text(&self, by: By, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(claims));
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match by {
            By::Ed25519 => self.ed25519.sign(message).as_ref().to_vec(),
            By::Stranger => self.stranger.sign(message).as_ref().to_vec(),
            By::P256 => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            By::Rsa => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", b64(signature))
    }

    /// Enters somebody as staff, by somebody who may, and gives a client of theirs.
    pub async fn enter(&self, server: &Server, id: &str, grants: Vec<v1::StaffGrant>) -> Client {
        let staff = v1::Staff {
            display_name: id.to_owned(),
            grants,
            credentials: vec![by_token(id)],
            ..Default::default()
        };
        let request =
            v1::CreateStaffRequest { staff: Some(staff), staff_id: id.to_owned(), ..Default::default() };
        server.client().ask(request).await.unwrap();
        server.nobody().token(&self.token(id))
    }
}

/// The credential of somebody with tokens.
pub fn by_token(subject: &str) -> v1::StaffCredential {
    v1::StaffCredential { kind: v1::StaffCredentialKind::Token.into(), subject: subject.to_owned() }
}

/// A role in sites.
pub fn grant(role: v1::StaffRole, sites: &[&str]) -> v1::StaffGrant {
    let department = match role {
        v1::StaffRole::Member => v1::Department::CustomerService,
        _ => v1::Department::Unspecified, // of a foreign enum
    };
    v1::StaffGrant {
        role: role.into(),
        department: department.into(),
        sites: sites.iter().map(|site| format!("sites/{site}")).collect(),
        ..Default::default()
    }
}

/// A header that names algorithm and key.
pub fn header(alg: &str, kid: &str) -> Value {
    json!({ "alg": alg, "kid": kid, "typ": "JWT" })
}

/// Good claims of a subject for the next hour.
pub fn claims(subject: &str) -> Value {
    let now = now();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now + 3600, "nbf": now - 10, "iat": now })
}

/// Seconds of the machine's clock.
pub fn now() -> i64 {
    linli_service::time::SystemClock.now().micros() / 1_000_000
}

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
