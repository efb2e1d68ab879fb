//! Connectors: how a matter reaches a body outside the company, and what comes back.
//!
//! A connector does no input or output. It is straight-line code that asks for one exchange after another through
//! [`Io`]; the host performs each with its own TLS, credentials, deadlines and list of permitted hosts, and says what
//! happened. Between two exchanges the code rests: there is no thread, no clock and no runtime.
//!
//! ```
//! use linli_plugin_sdk::connector::{Connector, Delivered, Delivery, Failure, FailureKind, HttpRequest, Io, RunError};
//!
//! struct Notice;
//!
//! impl Connector for Notice {
//!     async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
//!         let url = io.settings().text("url").unwrap_or_default();
//!         let body = format!("referral={}&fields={}", delivery.referral, delivery.fields.len());
//!         let request = HttpRequest::post(url, body).header("idempotency-key", io.idempotency_key()).signed();
//!         match io.http(request).await?.status {
//!             200..=299 => Ok(Delivered::default()),
//!             status @ (408 | 429 | 500..=599) => Err(RunError::later(format!("the body answered {status}"))),
//!             status => Err(RunError::never(format!("the body answered {status}: check its address"))),
//!         }
//!     }
//! }
//!
//! linli_plugin_sdk::export_connector!(Notice, "examples/notice.toml");
//!
//! # use linli_plugin_sdk::connector::testing::{End, Operation, Outcome, Step, run};
//! # let delivery = Delivery { referral: "sites/a/referrals/1".into(), ..Delivery::default() };
//! # let request = HttpRequest::post("https://body.example/in", "referral=sites/a/referrals/1&fields=0");
//! # let request = request.header("idempotency-key", "test-key").signed();
//! # let answer = |status| Outcome::Http(linli_plugin_sdk::connector::HttpResponse { status, ..Default::default() });
//! # let settings = r#"{"url": "https://body.example/in"}"#;
//! # let script = [(Step::Http(request.clone()), answer(201))];
//! # assert_eq!(run::<Notice>(Operation::Deliver(delivery.clone()), settings, script), Ok(End::Delivered(Delivered::default())));
//! # let broken = Outcome::Failure(Failure { kind: FailureKind::Unknown, detail: "reset".into() });
//! # assert!(run::<Notice>(Operation::Deliver(delivery), settings, [(Step::Http(request), broken)]).unwrap_err().is_later());
//! ```
//!
//! What holds:
//! * Delivery is at least once. [`Io::idempotency_key`] is the same in every repetition: pass it on, so that the other
//!   side sees one effect.
//! * The same inputs give the same steps: runs are recorded and replayed.
//! * No message holds a field's value: neither [`RunError`] nor [`Failure`].
//! * Await nothing but what [`Io`] offers, one exchange at a time.

mod entry;
mod io;
pub mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod wire;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use entry::{Exported, Manifest};
pub use io::{Io, Settings};

/// A connector: operations on one kind of recipient. Write the methods as `async fn`; one that is not written is not
/// offered. There is no state: everything is in [`Io`], and what must outlive a run is in cursors.
pub trait Connector: Send + Sync + 'static {
    /// What the manifest cannot say about settings, such as two that exclude each other. The text names the setting
    /// and says what to do.
    ///
    /// # Errors
    /// Why these settings are not acceptable.
    fn check(settings: &Settings) -> Result<(), String> {
        let _ = settings;
        Ok(())
    }

    /// Hands a matter to the recipient.
    fn deliver(io: &Io, delivery: Delivery) -> impl Future<Output = Result<Delivered, RunError>> + Send {
        let _ = (io, delivery);
        not_offered()
    }

    /// Asks what became of referrals.
    fn poll(io: &Io, poll: Poll) -> impl Future<Output = Result<Acknowledgements, RunError>> + Send {
        let _ = (io, poll);
        not_offered()
    }

    /// Fetches the recipient's list of people.
    fn pull_roster(io: &Io, pull: PullRoster) -> impl Future<Output = Result<Roster, RunError>> + Send {
        let _ = (io, pull);
        not_offered()
    }

    /// Sees whether the recipient can be reached, without any effect there.
    fn probe(io: &Io) -> impl Future<Output = Result<(), RunError>> + Send {
        let _ = io;
        not_offered()
    }
}

async fn not_offered<T>() -> Result<T, RunError> {
    Err(RunError::never("the connector does not offer this operation"))
}

/// One field that is disclosed, or that a roster holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its code, as in the manifest.
    pub code: String,
    /// Its value as text. Personal: it shows in no `Debug`.
    pub value: String,
}

impl Field {
    /// A field.
    pub fn new(code: impl Into<String>, value: impl Into<String>) -> Self {
        Self { code: code.into(), value: value.into() }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: …)", self.code)
    }
}

/// A matter to hand over.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Name of the referral, `sites/{site}/referrals/{referral}`.
    pub referral: String,
    /// What is disclosed, and nothing else.
    pub fields: Vec<Field>,
    /// Where the recipient may answer without any account, an `https` address; empty where the operator serves none.
    pub answer_url: String,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("referral", &self.referral)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// The value of a field; `None`: it is not disclosed.
    pub fn field(&self, code: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.code == code).map(|field| field.value.as_str())
    }
}

/// A referral was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// The recipient's reference of it, at most 200 bytes; empty if it gives none.
    pub external_reference: String,
}

/// A question what became of referrals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Poll {
    /// The recipient's references of the referrals without a final answer.
    pub external_references: Vec<String>,
    /// The cursor that the last run returned; empty the first time.
    pub cursor: String,
}

/// What became of referrals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledgements {
    /// One for each that was answered.
    pub items: Vec<Acknowledgement>,
    /// The cursor for the next run, at most 1,024 bytes.
    pub cursor: String,
}

/// What became of one referral. It is named by the recipient's reference or by the referral's own name.
#[derive(Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The recipient's reference of it; empty if `referral` says it.
    pub external_reference: String,
    /// Name of the referral; empty if `external_reference` says it.
    pub referral: String,
    /// What the recipient decided.
    pub decision: Decision,
    /// In the recipient's words, at most 1,000 characters. It may be personal: it shows in no `Debug`.
    pub remark: String,
    /// When it was decided, in microseconds since the Unix epoch, where the recipient says so.
    pub decided_at_micros: Option<i64>,
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acknowledgement({}{}: {:?})", self.referral, self.external_reference, self.decision)
    }
}

/// What a recipient decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Taken on.
    Accepted,
    /// Declined.
    Rejected,
    /// Done.
    Closed,
}

/// A question for the recipient's list of people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullRoster {
    /// The cursor that the last run returned; empty the first time.
    pub cursor: String,
}

/// A part of the recipient's list of people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// The people, each by field codes of the manifest; at most 10,000.
    pub entries: Vec<Vec<Field>>,
    /// The cursor for the next part, at most 1,024 bytes; empty: this was the last one.
    pub cursor: String,
}

/// Why a run did not work. For the operator: what is wrong, where, and what to do, without anybody's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    message: String,
    retry: bool,
    after: Option<Duration>,
}

impl RunError {
    /// It may work another time: the host tries the whole run again, under the same idempotency key.
    pub fn later(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: true, after: None }
    }

    /// It will not work however often it is tried: a person has to look at it.
    pub fn never(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false, after: None }
    }

    /// Not sooner than after this time, because the recipient said so.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { after: Some(wait), ..self }
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it may work another time.
    pub fn is_later(&self) -> bool {
        self.retry
    }

    /// How long to wait at least, where the recipient said so.
    pub fn wait(&self) -> Option<Duration> {
        self.after
    }
}

/// An exchange that did not happen, or of which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How it failed.
    pub kind: FailureKind,
    /// For the operator, without anybody's data.
    pub detail: String,
}

/// How an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It is certain that nothing happened: refused, unreachable, not found.
    NotDone,
    /// It may have happened: the connection broke, or the deadline passed.
    Unknown,
    /// Manifest or operator do not permit it. Repeating does not help.
    Forbidden,
}

/// What follows from a failure that nobody treats otherwise: what is forbidden stays so, all else may work later.
impl From<Failure> for RunError {
    fn from(Failure { kind, detail }: Failure) -> Self {
        match kind {
            FailureKind::NotDone | FailureKind::Unknown => Self::later(detail),
            FailureKind::Forbidden => Self::never(detail),
        }
    }
}

/// How an HTTPS request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the methods of HTTP")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// An HTTPS request. The host adds credentials; redirects are not followed.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// How; the manifest declares which.
    pub method: Method,
    /// An absolute `https` address.
    pub url: String,
    /// Headers, names in lower case, at most 50. Credentials may not be among them.
    pub headers: Vec<(String, String)>,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
    /// Whether the host signs the body with the recipient's shared secret.
    pub sign: bool,
}

impl HttpRequest {
    /// A request without a body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new(), sign: false }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new(Method::Post, url) }
    }

    /// With a header; its name in lower case.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With the host's signature of the body.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { sign: true, ..self }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({:?} {}, {} bytes)", self.method, self.url, self.body.len())
    }
}

/// The answer to an HTTPS request.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 4 MiB.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

/// A mail. The host sets sender, date and message id.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipients' addresses, at most 10.
    pub to: Vec<String>,
    /// The subject, without personal data, 1 to 200 characters.
    pub subject: String,
    /// The text, at most 65,536 bytes.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({} recipients, {} bytes)", self.to.len(), self.text.len())
    }
}

/// Where files go that have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// It was taken in.
    Archive,
    /// It could not be understood: a person looks at it.
    Quarantine,
}
