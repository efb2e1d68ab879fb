//! The client side: what `linli import` and `linli demo` say to a server. It speaks in the domain's words, so that
//! the commands name no generated type.
//!
//! | file | calls |
//! |---|---|
//! | `roster` | `ResidentService.ImportResidents`, the fields that plugins declare |
//! | `export` | `ResidentService.ExportResidents` |
//! | `estate` | sites, dwellings, posts, the simulated clock |
//! | `backup` | backups |
//! | `keys` | the replacement of keys |
//! | `care` | residents, service records, pauses, safety |
//! | `report` | worklists, obligations, compliance |

mod backup;
mod care;
mod estate;
mod export;
mod keys;
mod report;
mod roster;

use std::fmt;
use std::time::Duration;

use linli_core::text::Language;
use secrecy::{ExposeSecret, SecretString};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

pub use backup::MadeBackup;
pub use care::{Care, Person, Stay};
pub use export::{Exported, TITLES, Wanted};
pub use keys::KeyProgress;
pub use report::{Figure, Owed, Seen, Task};
pub use roster::{Candidate, FactType, RowOutcome, Taking};

/// How long to wait for a connection: a server on another continent answers within it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a call is tried while the server says that trying again helps.
const TRIES: u32 = 5;
/// How long to wait before the second try; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Where a server is and who calls it.
pub struct Target {
    /// `http://host:port`, `https://host:port` or `unix:/path`.
    pub endpoint: String,
    /// The bearer token.
    pub token: SecretString,
    /// The language of messages.
    pub language: Language,
    /// For `https`: the certificate authority, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// A connection to a server. Cloning shares it.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    authorization: MetadataValue<Ascii>,
    language: Language,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(…)")
    }
}

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError {
    /// The endpoint is no address.
    Endpoint(String),
    /// The token cannot be sent: it holds characters that a header does not take.
    Token,
    /// The purpose cannot be sent: it must be in ASCII letters.
    Purpose,
    /// Nobody answers.
    Unreachable(String),
    /// The server refused, in its words and the wanted language.
    Refused {
        /// Reason of the public list, `ETAG_MISMATCH`; empty if the answer came from elsewhere.
        reason: String,
        /// What it said.
        message: String,
        /// Every field that it refused.
        violations: Vec<String>,
    },
    /// The server's answer is not what this version of the client understands.
    Answer,
}

impl ClientError {
    /// The error in words: lower case, no full stop.
    pub fn message(&self, language: Language) -> String {
        match (self, language) {
            (Self::Endpoint(endpoint), Language::Zh) => {
                format!("`{endpoint}` 不是服务地址,例如 `http://127.0.0.1:50051`")
            }
            (Self::Endpoint(endpoint), Language::En) => {
                format!("`{endpoint}` is no address of a server such as `http://127.0.0.1:50051`")
            }
            (Self::Token, Language::Zh) => "令牌含有无法发送的字符".into(),
            (Self::Token, Language::En) => "the token holds characters that cannot be sent".into(),
            (Self::Purpose, Language::Zh) => {
                "目的只能用 ASCII 字符说明,例如 `FILE_MAINTENANCE; yearly list`".into()
            }
            (Self::Purpose, Language::En) => {
                "the purpose must be in ASCII, such as `FILE_MAINTENANCE; yearly list`".into()
            }
            (Self::Unreachable(endpoint), Language::Zh) => format!("无法连接 `{endpoint}`"),
            (Self::Unreachable(endpoint), Language::En) => format!("`{endpoint}` cannot be reached"),
            (Self::Refused { message, violations, .. }, _) => {
                if violations.len() > 1 {
                    format!("{message} ({})", violations.join("; "))
                } else {
                    message.clone()
                }
            }
            (Self::Answer, Language::Zh) => "服务的回答无法理解;客户端与服务的版本可能不同".into(),
            (Self::Answer, Language::En) => {
                "the server's answer is not understood; client and server may be of different versions".into()
            }
        }
    }
}

/// What a call returns.
pub type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::Endpoint`], [`ClientError::Token`] or [`ClientError::Unreachable`].
    pub async fn connect(target: &Target) -> Result<Self> {
        if !["http://", "https://", "unix:"].iter().any(|scheme| target.endpoint.starts_with(scheme)) {
            return Err(ClientError::Endpoint(target.endpoint.clone()));
        }
        let wrong = |_| ClientError::Endpoint(target.endpoint.clone());
        let mut endpoint = Endpoint::from_shared(target.endpoint.clone()).map_err(wrong)?;
        endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        if target.endpoint.starts_with("https:") {
            let mut tls = ClientTlsConfig::new();
            if let Some(pem) = &target.ca_pem {
                tls = tls.ca_certificate(Certificate::from_pem(pem));
            }
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        let mut authorization: MetadataValue<Ascii> =
            format!("Bearer {}", target.token.expose_secret()).parse().map_err(|_| ClientError::Token)?;
        authorization.set_sensitive(true);
        let channel =
            endpoint.connect().await.map_err(|_| ClientError::Unreachable(target.endpoint.clone()))?;
        Ok(Self { channel, authorization, language: target.language })
    }

    /// The language of messages.
    pub fn language(&self) -> Language {
        self.language
    }

    /// A message with what every call carries.
    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let language = match self.language {
            Language::Zh => "zh",
            Language::En => "en",
        };
        request.metadata_mut().insert("accept-language", MetadataValue::from_static(language));
        request
    }
}

/// Calls until the server no longer says that trying again helps.
async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = std::result::Result<tonic::Response<T>, Status>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status)
                if status.get_details_retry_info().is_some() || status.code() == Code::Unavailable =>
            {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(status) => return Err(refused(&status)),
        }
    }
    call().await.map(tonic::Response::into_inner).map_err(|status| refused(&status))
}

fn refused(status: &Status) -> ClientError {
    let details = status.get_error_details();
    let message = details.localized_message().map(|m| m.message.clone());
    ClientError::Refused {
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        message: message.unwrap_or_else(|| format!("{}: {}", status.code(), status.message())),
        violations: details
            .bad_request()
            .map(|bad| {
                bad.field_violations.iter().map(|v| format!("`{}` {}", v.field, v.description)).collect()
            })
            .unwrap_or_default(),
    }
}
