//! What a run sees of the world.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use linli_proto::plugin_v1 as pb;
use pb::step::Kind as Wanted;
use pb::step_input::Kind as Came;
use serde_json::Value;

use super::{Failure, HttpRequest, HttpResponse, Mail, Shelf, wire};

/// The settings of one recipient, as the operator wrote them and the manifest declares them; defaults are filled in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    values: BTreeMap<String, Value>,
}

impl Settings {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.is_empty() {
            return Ok(Self::default());
        }
        let values =
            serde_json::from_str(json).map_err(|error| format!("the settings are no object: {error}"))?;
        Ok(Self { values })
    }

    /// The value of a `text` or `url`; `None`: it is not set.
    pub fn text(&self, code: &str) -> Option<&str> {
        self.values.get(code).and_then(Value::as_str)
    }

    /// The value of an `integer`; `None`: it is not set.
    pub fn integer(&self, code: &str) -> Option<i64> {
        self.values.get(code).and_then(Value::as_i64)
    }

    /// The value of a `flag`; `None`: it is not set.
    pub fn flag(&self, code: &str) -> Option<bool> {
        self.values.get(code).and_then(Value::as_bool)
    }
}

/// What a run may ask for, one exchange at a time.
#[derive(Debug)]
pub struct Io {
    settings: Settings,
    idempotency_key: String,
    turn: Mutex<Turn>,
}

/// Where a run is between its two sides.
#[derive(Debug, Default)]
struct Turn {
    now_micros: i64,
    asked: Option<Wanted>,
    came: Option<Came>,
}

impl Io {
    pub(super) fn new(settings: Settings, idempotency_key: String, now_micros: i64) -> Self {
        let turn = Mutex::new(Turn { now_micros, ..Turn::default() });
        Self { settings, idempotency_key, turn }
    }

    /// The operator's settings of this recipient.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The present instant, in microseconds since the Unix epoch: that of the last exchange. There is no other clock.
    pub fn now(&self) -> i64 {
        self.turn().now_micros
    }

    /// The same in every repetition of an operation: what the other side removes doubles by. 1 to 64 bytes.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// Sends an HTTPS request.
    ///
    /// # Errors
    /// There is no answer. An answer of any status is none of these.
    pub async fn http(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        match self.exchange(Wanted::Http(wire::http_request(request))).await? {
            Came::Http(response) => Ok(wire::http_response(response)),
            other => unexpected(&other),
        }
    }

    /// Sends a mail through the operator's relay.
    ///
    /// # Errors
    /// The relay did not take it, or nobody knows.
    pub async fn mail(&self, mail: Mail) -> Result<(), Failure> {
        self.done(Wanted::Mail(wire::mail(mail))).await
    }

    /// Writes a file into the outgoing folder, whole or not at all. One of the same name and content is there already:
    /// done; of other content: a failure.
    ///
    /// # Errors
    /// It was not written, or nobody knows.
    pub async fn write_file(&self, name: impl Into<String>, content: Vec<u8>) -> Result<(), Failure> {
        self.done(Wanted::WriteFile(pb::WriteFile { name: name.into(), content })).await
    }

    /// Moves a file of the incoming folder away.
    ///
    /// # Errors
    /// It was not moved, or nobody knows.
    pub async fn move_file(&self, name: impl Into<String>, to: Shelf) -> Result<(), Failure> {
        self.done(Wanted::MoveFile(pb::MoveFile { name: name.into(), to: wire::shelf(to).into() })).await
    }

    /// Waits, at most a minute.
    ///
    /// # Errors
    /// The host does not wait.
    pub async fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1);
        self.done(Wanted::Sleep(pb::Sleep { millis })).await
    }

    /// Reads a file of the incoming folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read_file(&self, name: impl Into<String>) -> Result<Vec<u8>, Failure> {
        match self.exchange(Wanted::ReadFile(pb::ReadFile { name: name.into() })).await? {
            Came::File(file) => Ok(file.content),
            other => unexpected(&other),
        }
    }

    /// The names of the files in the incoming folder, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn list_files(&self) -> Result<Vec<String>, Failure> {
        match self.exchange(Wanted::ListFiles(pb::ListFiles {})).await? {
            Came::Files(files) => Ok(files.names),
            other => unexpected(&other),
        }
    }

    async fn done(&self, wanted: Wanted) -> Result<(), Failure> {
        match self.exchange(wanted).await? {
            Came::Done(_) => Ok(()),
            other => unexpected(&other),
        }
    }

    /// Asks at the first poll, and is ready when something came.
    fn exchange(&self, wanted: Wanted) -> impl Future<Output = Result<Came, Failure>> + Send {
        let mut wanted = Some(wanted);
        poll_fn(move |_| {
            let mut turn = self.turn();
            if let Some(wanted) = wanted.take() {
                assert!(turn.asked.is_none(), "a connector asks for one exchange at a time");
                (turn.asked, turn.came) = (Some(wanted), None);
                return Poll::Pending;
            }
            match turn.came.take() {
                Some(Came::Failure(failure)) => Poll::Ready(Err(wire::failure(failure))),
                Some(came) => Poll::Ready(Ok(came)),
                None => Poll::Pending,
            }
        })
    }

    /// What the run asked for since it was last looked.
    pub(super) fn take_asked(&self) -> Option<Wanted> {
        self.turn().asked.take()
    }

    /// What came of the exchange, and when.
    pub(super) fn put(&self, came: Came, now_micros: i64) {
        let mut turn = self.turn();
        (turn.came, turn.now_micros) = (Some(came), now_micros);
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of another kind than asked for: the entry lets no such input pass.
fn unexpected<T>(came: &Came) -> Result<T, Failure> {
    panic!("the host answered with {}", wire::word(came))
}
