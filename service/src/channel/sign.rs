//! Signed requests: who has the secret sees that a request is ours, unchanged and recent.
//!
//! `linli-timestamp` holds Unix seconds, `linli-signature` is `v1=` and the lower-case hexadecimal HMAC-SHA-256, by the secret, of
//! the timestamp, a full stop and the body. Receivers refuse timestamps that are more than 300 seconds away.

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use crate::hex::hex;

/// Header of the instant at which a request was signed.
pub(super) const TIMESTAMP: &str = "linli-timestamp";
/// Header of the signature.
pub(super) const SIGNATURE: &str = "linli-signature";

/// The signature of a body at an instant, in Unix seconds.
pub(super) fn sign(secret: &SecretString, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("v1={}", hex(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let secret = SecretString::from("secret");
        let signature = sign(&secret, 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(signature, "v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
    }
}
