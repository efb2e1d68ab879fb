//! What a host and a connector say to each other, as values of the host: `crate::connector` reads and writes their messages, whoever
//! performs exchanges (the service) sees nothing but these types.
//!
//! A connector does no input or output. It says which exchange it wants next ([`Step`]), the host performs it with its own TLS,
//! credentials, deadlines and list of permitted hosts, and tells what happened ([`Outcome`]); and so on until [`Step::End`].

mod recording;

use std::fmt;
use std::time::Duration;

use linli_core::time::Instant;

pub use recording::{NoRecording, Recording, Replay};

/// The beginning of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// What to do.
    pub operation: Operation,
    /// The operator's settings of this recipient: JSON of an object that the manifest's settings accept.
    pub settings: String,
    /// The present instant: connectors have no other clock.
    pub now: Instant,
    /// The same in every repetition of an operation: the recipient must see one effect only. 1 to 64 bytes.
    pub idempotency_key: String,
}

/// What a connector is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Hand a matter to the recipient.
    Deliver(Delivery),
    /// Ask what became of referrals.
    Poll {
        /// The recipient's references of the referrals without a final answer, at most 500.
        external_references: Vec<String>,
        /// The cursor that the last run returned; empty the first time.
        cursor: String,
    },
    /// Fetch the recipient's list of people.
    PullRoster {
        /// The cursor that the last run returned; empty the first time.
        cursor: String,
    },
    /// See whether the recipient can be reached, without any effect there.
    Probe,
}

impl Operation {
    /// Which it is.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Deliver(_) => OperationKind::Deliver,
            Self::Poll { .. } => OperationKind::Poll,
            Self::PullRoster { .. } => OperationKind::PullRoster,
            Self::Probe => OperationKind::Probe,
        }
    }
}

/// The operations, as manifests name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// [`Operation::Deliver`].
    Deliver,
    /// [`Operation::Poll`].
    Poll,
    /// [`Operation::PullRoster`].
    PullRoster,
    /// [`Operation::Probe`].
    Probe,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deliver, Self::Poll, Self::PullRoster, Self::Probe];

    /// Its word in manifests.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Poll => "poll",
            Self::PullRoster => "pull_roster",
            Self::Probe => "probe",
        }
    }
}

/// A matter to hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Name of the referral, `sites/{site}/referrals/{referral}`.
    pub referral: String,
    /// What is disclosed: no field but those that the manifest declares and the site permits. Besides, what is asked for: `matter`,
    /// `urgency` and perhaps a `note`.
    pub fields: Vec<Field>,
    /// Where the recipient may answer without any account: an `https` address; empty where the operator serves none.
    pub answer_url: String,
}

/// One field that is disclosed, or that a roster holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Its code, as in the manifest.
    pub code: String,
    /// Its value as text. Personal: it shows in no `Debug`.
    pub value: String,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: …)", self.code)
    }
}

/// What a connector wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send an HTTPS request.
    Http(HttpRequest),
    /// Send a mail through the operator's relay.
    Mail(Mail),
    /// Write a file into the outgoing folder, whole or not at all. One of the same name and content is there already: done; of other
    /// content: a failure, it is not replaced.
    WriteFile {
        /// Its name, without any folder.
        name: String,
        /// Its content.
        content: Bytes,
    },
    /// Read a file of the incoming folder.
    ReadFile {
        /// Its name.
        name: String,
    },
    /// List the files of the incoming folder.
    ListFiles,
    /// Move a file of the incoming folder away.
    MoveFile {
        /// Its name.
        name: String,
        /// Where to.
        to: Shelf,
    },
    /// Wait.
    Sleep(Duration),
    /// The run is over.
    End(End),
}

/// Bytes that show in no `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Where files go that have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// It was taken in.
    Archive,
    /// It could not be understood: a person looks at it.
    Quarantine,
}

/// An HTTPS request. The host adds credentials; redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// How.
    pub method: Method,
    /// An absolute address.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the host signs the body with the recipient's shared secret.
    pub sign: bool,
}

/// Whether a header, in lower case, is for whoever performs exchanges alone to set: credentials, what frames a request, and what begins with
/// `linli-`, such as the signature.
pub fn is_host_header(name: &str) -> bool {
    const OURS: [&str; 11] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    OURS.contains(&name) || name.starts_with("linli-")
}

/// How an HTTPS request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the methods of HTTP")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Its word, on the wire and in manifests.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A mail. The host sets sender, date and message id (out of the idempotency key).
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// The subject, without personal data.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({} recipients, {} bytes)", self.to.len(), self.text.len())
    }
}

/// How an exchange went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Step::Http`].
    Http(HttpResponse),
    /// Of a mail, a file written or moved, a sleep.
    Done,
    /// Of [`Step::ReadFile`].
    File(Bytes),
    /// Of [`Step::ListFiles`]: sorted, at most 1,000.
    Files(Vec<String>),
    /// The exchange did not happen, or nobody knows.
    Failure {
        /// How.
        kind: FailureKind,
        /// For the operator, without personal data.
        detail: String,
    },
}

/// The answer to an HTTPS request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// How an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It is certain that nothing happened: refused, unreachable, not found.
    NotDone,
    /// It may have happened: the connection broke, or the deadline passed.
    Unknown,
    /// Manifest or operator do not permit the step. Repeating does not help.
    Forbidden,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The referral was handed over.
    Delivered {
        /// The recipient's reference of it; empty if it gives none, or one that holds what was disclosed.
        external_reference: String,
    },
    /// What became of referrals.
    Acknowledgements {
        /// One for each that was answered.
        items: Vec<Acknowledgement>,
        /// The cursor for the next run.
        cursor: String,
    },
    /// The recipient's list.
    Roster {
        /// The people, each by field codes of the manifest.
        entries: Vec<Vec<Field>>,
        /// The cursor for the next run; empty: this was the last part.
        cursor: String,
    },
    /// The recipient is well.
    Probed,
    /// It did not work.
    Error {
        /// For the operator, without personal data.
        message: String,
        /// Whether to try the whole run again later, under the same idempotency key.
        retry: bool,
        /// Not sooner than after this time, where the recipient said so.
        retry_after: Option<Duration>,
    },
}

/// What became of one referral.
#[derive(Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The recipient's reference of it.
    pub external_reference: String,
    /// Name of the referral, where the recipient says that instead.
    pub referral: String,
    /// What the recipient decided.
    pub decision: Decision,
    /// In the recipient's words. It may be personal.
    pub remark: String,
    /// When it was decided, where the recipient says so.
    pub decided_at: Option<Instant>,
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acknowledgement({}{}: {:?})", self.referral, self.external_reference, self.decision)
    }
}

/// What a recipient decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Taken on.
    Accepted,
    /// Declined.
    Rejected,
    /// Done.
    Closed,
}
