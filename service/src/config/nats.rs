//! Where events go out to: NATS JetStream.

use std::path::PathBuf;

use super::SecretRef;
use super::reader::Reader;

/// A NATS server with JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nats {
    /// Its address, `tls://` or `nats://`.
    pub url: String,
    /// The stream that takes the events.
    pub stream: String,
    /// What subjects begin with.
    pub subject_prefix: String,
    /// Who we are there.
    pub credentials: NatsCredentials,
    /// Who signed its certificate; `None`: somebody whom the machine trusts.
    pub ca_file: Option<PathBuf>,
}

/// Who we are for a NATS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsCredentials {
    /// Nobody in particular.
    None,
    /// A token.
    Token(SecretRef),
    /// A user.
    Password {
        /// Their name.
        user: String,
        /// Their password.
        password: SecretRef,
    },
}

impl Nats {
    /// Whether TLS is spoken.
    pub fn is_protected(&self) -> bool {
        self.url.starts_with("tls://")
    }
}

/// The host of an address such as `nats://127.0.0.1:4222`.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("tls://").or_else(|| url.strip_prefix("nats://"))?;
    let host = match rest.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    };
    // Credentials come from files, never from here; a path means nothing.
    (!host.is_empty() && !rest.contains(['@', '/', ' '])).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether it is a word of a subject, or the name of a stream.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

impl Reader {
    pub(super) fn nats(&mut self) -> Option<Nats> {
        let url = self.text("events.nats.url");
        let allow_plaintext = self.flag("events.nats.allow_plaintext");
        let (stream, subject_prefix) =
            (self.text("events.nats.stream"), self.text("events.nats.subject_prefix"));
        let user = self.text("events.nats.user");
        let password = self.optional_secret("events.nats.password_file", "events.nats.password_env");
        let token = self.optional_secret("events.nats.token_file", "events.nats.token_env");
        let ca_file = self.optional("events.nats.tls_ca_file", |text| Ok(PathBuf::from(text)));
        if url.is_empty() {
            return None;
        }
        match host(&url) {
            None => self.complain(
                "events.nats.url",
                "must be like `tls://nats.example:4222`, or `nats://127.0.0.1:4222` without TLS; credentials have keys of \
                 their own",
            ),
            Some(host) => {
                if url.starts_with("nats://") && !is_loopback(host) && !allow_plaintext {
                    self.complain(
                        "events.nats.url",
                        "leaves this machine in clear text: say `tls://`, or set `events.nats.allow_plaintext` where nobody else \
                         reaches the way",
                    );
                }
            }
        }
        if !is_word(&stream) {
            self.complain("events.nats.stream", "must have 1 to 64 of a-z, A-Z, 0-9, `-` and `_`");
        }
        if !subject_prefix.split('.').all(is_word) {
            self.complain(
                "events.nats.subject_prefix",
                "must be words of a-z, A-Z, 0-9, `-` and `_`, parted by dots",
            );
        }
        let credentials = match (user.is_empty(), password, token) {
            (true, None, None) => NatsCredentials::None,
            (true, None, Some(token)) => NatsCredentials::Token(token),
            (false, Some(password), None) => NatsCredentials::Password { user, password },
            (_, _, _) => {
                self.complain(
                    "events.nats.user",
                    "and a password belong together, and neither goes with a token: set one of the two ways",
                );
                NatsCredentials::None
            }
        };
        Some(Nats { url, stream, subject_prefix, credentials, ca_file })
    }
}
