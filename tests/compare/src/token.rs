//! Signed tokens, as a company's identity provider issues them, and the public key that a server trusts.

use std::error::Error;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "linli";

fn key() -> Result<Ed25519KeyPair, String> {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).map_err(|error| error.to_string())
}

/// The settings of a server that trusts these tokens; its file of keys is written to `folder`.
pub fn trusted(folder: &Path) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let file = folder.join("token-keys.json");
    let public = URL_SAFE_NO_PAD.encode(key()?.public_key());
    std::fs::write(
        &file,
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"ed","use":"sig","x":"{public}"}}]}}"#),
    )?;
    Ok(vec![
        ("LINLI__AUTH__TOKEN_ISSUER", ISSUER.into()),
        ("LINLI__AUTH__TOKEN_AUDIENCE", AUDIENCE.into()),
        ("LINLI__AUTH__TOKEN_KEYS_FILE", file.display().to_string()),
    ])
}

/// A token of `subject` for the next day.
pub fn sign(subject: &str) -> Result<String, String> {
    let now = now();
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{subject}","exp":{},"nbf":{now}}}"#,
        now + 86_400
    );
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encoded(r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#), encoded(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key()?.sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the client's own clock: tokens and records are of this moment")]
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().try_into().unwrap_or_default())
}
