//! Who may call: credentials, policies, certificates.

use std::path::PathBuf;

use linli_core::staff::{Credential, CredentialKind};

use super::reader::Reader;

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// Whether development tokens are accepted.
    pub development_token: bool,
    /// Signed tokens; `None`: none are accepted.
    pub tokens: Option<Tokens>,
    /// Policies in place of the built-in ones.
    pub policy_file: Option<PathBuf>,
    /// The first leader's credential, while nobody was entered.
    pub bootstrap_leader: Option<Credential>,
}

/// Signed tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// The JWKS file of public keys.
    pub keys_file: PathBuf,
}

/// TLS on the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those between it and its root, PEM.
    pub cert_file: PathBuf,
    /// The private key, PEM, mode 0600.
    pub key_file: PathBuf,
    /// Who signs client certificates, PEM; `None`: none are asked for.
    pub client_ca_file: Option<PathBuf>,
    /// Whether connections without a client certificate are refused.
    pub require_client_certificate: bool,
}

impl Reader {
    pub(super) fn auth(&mut self) -> Auth {
        let development_token = self.flag("auth.development_token");
        let optional = |reader: &Self, key: &str| {
            let text = reader.text(key);
            if text.is_empty() { None } else { Some(text) }
        };
        let issuer = optional(self, "auth.token_issuer");
        let audience = optional(self, "auth.token_audience");
        let keys_file = optional(self, "auth.token_keys_file");
        let tokens = match (issuer, audience, keys_file) {
            (None, None, None) => None,
            (Some(issuer), Some(audience), Some(keys_file)) => {
                Some(Tokens { issuer, audience, keys_file: keys_file.into() })
            }
            (_, _, _) => {
                self.complain(
                    "auth.token_issuer",
                    "needs `auth.token_audience` and `auth.token_keys_file`, and they need it: set all three or none",
                );
                None
            }
        };
        let bootstrap_leader = self.optional("auth.bootstrap_leader", |text| {
            let (kind, name) = match text.strip_prefix("certificate:") {
                Some(name) => (CredentialKind::Certificate, name),
                None => (CredentialKind::Token, text),
            };
            Credential::presented(kind, name)
                .ok_or_else(|| "a subject has 1 to 200 printable characters".into())
        });
        let policy_file = optional(self, "auth.policy_file").map(PathBuf::from);
        Auth { development_token, tokens, policy_file, bootstrap_leader }
    }

    pub(super) fn tls(&mut self) -> Option<Tls> {
        let file = |reader: &Self, key: &str| {
            let text = reader.text(key);
            if text.is_empty() { None } else { Some(PathBuf::from(text)) }
        };
        let (cert, key) = (file(self, "server.tls.cert_file"), file(self, "server.tls.key_file"));
        let client_ca_file = file(self, "server.tls.client_ca_file");
        let require_client_certificate = self.flag("server.tls.require_client_certificate");
        if require_client_certificate && client_ca_file.is_none() {
            self.complain("server.tls.require_client_certificate", "needs `server.tls.client_ca_file`");
        }
        match (cert, key) {
            (Some(cert_file), Some(key_file)) => {
                Some(Tls { cert_file, key_file, client_ca_file, require_client_certificate })
            }
            (None, None) => {
                if client_ca_file.is_some() {
                    self.complain("server.tls.client_ca_file", "needs `server.tls.cert_file`");
                }
                None
            }
            (_, _) => {
                self.complain(
                    "server.tls.cert_file",
                    "and `server.tls.key_file` belong together: set both or none",
                );
                None
            }
        }
    }
}
