//! Runs of a connector through its real entry, without a host: a script says which steps are expected and what comes
//! of each.

use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

use linli_proto::plugin_v1 as pb;
use pb::start_request::Operation as Started;
use pb::step::Kind as Wanted;
use pb::step_input::Kind as Came;
use prost::Message as _;

use super::entry::Functions;
use super::{
    Acknowledgement, Acknowledgements, Connector, Decision, Delivered, Delivery, Failure, FailureKind, Field,
    HttpRequest, HttpResponse, Mail, Method, Poll, PullRoster, Roster, RunError, Shelf, wire,
};
use crate::abi::{self, Buffer, Bytes, Call, Exchange, Status, Str};

/// The idempotency key of runs in tests.
pub const IDEMPOTENCY_KEY: &str = "test-key";
/// The instant at which runs in tests begin, 2026-03-16 08:00 in Shanghai; each step takes a second.
pub const NOW_MICROS: i64 = 1_773_619_200_000_000;
/// Steps after which a run counts as endless.
const STEPS_MAX: usize = 5_000;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each holds what its operation takes")]
pub enum Operation {
    Deliver(Delivery),
    Poll(Poll),
    PullRoster(PullRoster),
    Probe,
}

/// What a connector asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each holds what the method of `Io` takes")]
pub enum Step {
    Http(HttpRequest),
    Mail(Mail),
    WriteFile { name: String, content: Vec<u8> },
    ReadFile { name: String },
    ListFiles,
    MoveFile { name: String, to: Shelf },
    Sleep(Duration),
}

/// What comes of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Step::Http`].
    Http(HttpResponse),
    /// Of a mail, a file written or moved, a sleep.
    Done,
    /// Of [`Step::ReadFile`].
    File(Vec<u8>),
    /// Of [`Step::ListFiles`].
    Files(Vec<String>),
    /// Of any step.
    Failure(Failure),
}

impl Outcome {
    /// An answer to an HTTPS request.
    pub fn http(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Http(HttpResponse { status, headers: Vec::new(), body: body.into() })
    }

    /// A failure.
    pub fn failure(kind: FailureKind, detail: &str) -> Self {
        Self::Failure(Failure { kind, detail: detail.to_owned() })
    }
}

/// How a run ended that worked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each holds what its operation gives")]
pub enum End {
    Delivered(Delivered),
    Acknowledgements(Acknowledgements),
    Roster(Roster),
    Probed,
}

/// Does one run by a script: each step that is expected, and what comes of it.
///
/// # Errors
/// The run ended with this error.
///
/// # Panics
/// If the connector asks for another step than the script has, for more or for fewer, or its entry fails.
pub fn run<C: Connector>(
    operation: Operation,
    settings_json: &str,
    script: impl IntoIterator<Item = (Step, Outcome)>,
) -> Result<End, RunError> {
    let mut script = script.into_iter();
    let mut place = 0;
    let result = drive::<C>(operation, settings_json, |step| {
        place += 1;
        let Some((expected, outcome)) = script.next() else {
            panic!("step {place} is not in the script: {}", shown(step));
        };
        assert!(
            expected == *step,
            "step {place} is another one than expected:\n   found {}\nexpected {}",
            shown(step),
            shown(&expected)
        );
        outcome
    });
    if let Some((expected, _)) = script.next() {
        panic!("the run ended ({result:?}) before step {}: {}", place + 1, shown(&expected));
    }
    result
}

/// Does one run, in which a function says what comes of each step.
///
/// # Errors
/// The run ended with this error.
///
/// # Panics
/// If the connector's entry fails, or the run has no end.
pub fn drive<C: Connector>(
    operation: Operation,
    settings_json: &str,
    mut outcome: impl FnMut(&Step) -> Outcome,
) -> Result<End, RunError> {
    let mut run = Run::start::<C>(operation, settings_json);
    let mut input = Vec::new();
    for number in 1..=STEPS_MAX {
        let step = match run.step::<C>(&input) {
            Wanted::End(end) => return ended(end),
            wanted => step(wanted),
        };
        let came = came(outcome(&step));
        let now_micros = NOW_MICROS + 1_000_000 * number as i64;
        input = pb::StepInput { kind: Some(came), now_micros }.encode_to_vec();
    }
    panic!("the run has no end after {STEPS_MAX} steps")
}

/// Numbers as if drawn by lot, the same in every build (xorshift): for tests in which a recipient answers anything.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Numbers from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// Below a bound.
    ///
    /// # Panics
    /// If it is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        *all.get(self.below(all.len())).expect("there is one")
    }
}

/// A run over the plain C interface.
struct Run {
    exchange: *mut Exchange,
    end: unsafe extern "C" fn(*mut Exchange),
}

impl Run {
    fn start<C: Connector>(operation: Operation, settings_json: &str) -> Self {
        let (op, operation) = match operation {
            Operation::Deliver(Delivery { referral, fields, answer_url }) => {
                let fields = fields.into_iter().map(|Field { code, value }| pb::Field { code, value });
                let message = pb::DeliverReferral { referral, fields: fields.collect(), answer_url };
                (abi::OP_DELIVER, Started::DeliverReferral(message))
            }
            Operation::Poll(Poll { external_references, cursor }) => {
                let message = pb::PollAcknowledgements { external_references, cursor };
                (abi::OP_POLL, Started::PollAcknowledgements(message))
            }
            Operation::PullRoster(PullRoster { cursor }) => {
                (abi::OP_PULL_ROSTER, Started::PullRoster(pb::PullRoster { cursor }))
            }
            Operation::Probe => (abi::OP_PROBE, Started::Probe(pb::Probe {})),
        };
        let request = pb::StartRequest {
            operation: Some(operation),
            configuration_json: settings_json.to_owned(),
            now_micros: NOW_MICROS,
            idempotency_key: IDEMPOTENCY_KEY.to_owned(),
        };
        let request = request.encode_to_vec();
        let table = Functions::<C>::TABLE;
        let (Some(start), Some(end)) = (table.start, table.end) else {
            panic!("the connector's table lacks a function")
        };
        let mut exchange = ptr::null_mut();
        called("start", |call| {
            let key = Str::new(IDEMPOTENCY_KEY);
            // SAFETY: all pointers live until the call returns; the instance is not used by connectors of this SDK.
            unsafe { start(ptr::null_mut(), call, op, Bytes::new(&request), key, &raw mut exchange) }
        });
        Self { exchange, end }
    }

    fn step<C: Connector>(&mut self, input: &[u8]) -> Wanted {
        let Some(step) = Functions::<C>::TABLE.step else { panic!("the connector's table lacks a function") };
        let mut buffer = Buffer { ptr: ptr::null_mut(), len: 0, owner: ptr::null_mut(), release: None };
        // SAFETY: the exchange came from `start`; all else lives until the call returns.
        called("step", |call| unsafe { step(self.exchange, call, Bytes::new(input), &raw mut buffer) });
        // SAFETY: the plugin's bytes, until they are released.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.ptr, buffer.len) };
        let step = pb::Step::decode(bytes);
        if let Some(release) = buffer.release {
            // SAFETY: once, and nothing of it is used afterwards.
            unsafe { release(&raw mut buffer) };
        }
        step.ok().and_then(|step| step.kind).expect("a step is a message that says something")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // SAFETY: it came from `start`, and is not used afterwards.
        unsafe { (self.end)(self.exchange) };
    }
}

/// Calls a function of the entry and panics with what it says where it fails.
fn called(what: &str, function: impl FnOnce(*const Call) -> Status) {
    let mut said = String::new();
    let call = Call {
        struct_size: size_of::<Call>() as u32,
        budget_ms: 0,
        cancel: ptr::null(),
        ctx: ptr::from_mut(&mut said).cast::<c_void>(),
        error: Some(error),
    };
    let status = function(&raw const call);
    assert!(status == abi::OK, "`{what}` failed with status {status}: {said}");
}

unsafe extern "C" fn error(call: *const Call, message: Str) {
    // SAFETY: the plugin calls this during its call, with that call and borrowed text.
    unsafe {
        let text = std::slice::from_raw_parts(message.ptr, message.len);
        *(*call).ctx.cast::<String>() = String::from_utf8_lossy(text).into_owned();
    }
}

fn step(wanted: Wanted) -> Step {
    match wanted {
        Wanted::Http(pb::HttpRequest { method, url, headers, body, sign }) => {
            let all = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];
            let method = all.into_iter().find(|known| wire::method(*known) == method);
            let method = method.expect("a method of HTTP");
            Step::Http(HttpRequest { method, url, headers: wire::from_headers(headers), body, sign })
        }
        Wanted::Mail(pb::Mail { to, subject, text }) => Step::Mail(Mail { to, subject, text }),
        Wanted::WriteFile(pb::WriteFile { name, content }) => Step::WriteFile { name, content },
        Wanted::ReadFile(pb::ReadFile { name }) => Step::ReadFile { name },
        Wanted::ListFiles(_) => Step::ListFiles,
        Wanted::MoveFile(file) => {
            let to = match file.to() {
                pb::FileShelf::Archive => Shelf::Archive,
                pb::FileShelf::Quarantine | pb::FileShelf::Unspecified => Shelf::Quarantine,
            };
            Step::MoveFile { name: file.name, to }
        }
        Wanted::Sleep(pb::Sleep { millis }) => {
            Step::Sleep(Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
        }
        Wanted::End(_) => unreachable!("an end is no exchange"),
    }
}

fn came(outcome: Outcome) -> Came {
    match outcome {
        Outcome::Http(HttpResponse { status, headers, body }) => {
            Came::Http(pb::HttpResponse { status: status.into(), headers: wire::to_headers(headers), body })
        }
        Outcome::Done => Came::Done(pb::Done {}),
        Outcome::File(content) => Came::File(pb::FileContent { content }),
        Outcome::Files(names) => Came::Files(pb::FileList { names }),
        Outcome::Failure(Failure { kind, detail }) => {
            let kind = match kind {
                FailureKind::NotDone => pb::FailureKind::NotDone,
                FailureKind::Unknown => pb::FailureKind::Unknown,
                FailureKind::Forbidden => pb::FailureKind::Forbidden,
            };
            Came::Failure(pb::Failure { kind: kind.into(), detail })
        }
    }
}

fn ended(end: pb::End) -> Result<End, RunError> {
    match end.result.expect("an end says how") {
        pb::end::Result::Delivered(pb::Delivered { external_reference }) => {
            Ok(End::Delivered(Delivered { external_reference }))
        }
        pb::end::Result::Acknowledgements(pb::Acknowledgements { items, cursor }) => {
            let item = |item: pb::Acknowledgement| Acknowledgement {
                decision: match item.state() {
                    pb::AcknowledgementState::Accepted => Decision::Accepted,
                    pb::AcknowledgementState::Rejected => Decision::Rejected,
                    pb::AcknowledgementState::Closed => Decision::Closed,
                    pb::AcknowledgementState::Unspecified => panic!("an acknowledgement decides nothing"),
                },
                external_reference: item.external_reference,
                referral: item.referral,
                remark: item.remark,
                decided_at_micros: Some(item.decided_at_micros).filter(|at| *at != 0),
            };
            let items = items.into_iter().map(item).collect();
            Ok(End::Acknowledgements(Acknowledgements { items, cursor }))
        }
        pb::end::Result::Roster(pb::Roster { entries, cursor }) => {
            let field = |pb::Field { code, value }| Field { code, value };
            let entry = |entry: pb::RosterEntry| entry.fields.into_iter().map(field).collect();
            Ok(End::Roster(Roster { entries: entries.into_iter().map(entry).collect(), cursor }))
        }
        pb::end::Result::Probed(_) => Ok(End::Probed),
        pb::end::Result::Error(pb::RunError { message, retry, retry_after_millis }) => {
            let after = u64::try_from(retry_after_millis).ok().filter(|millis| *millis > 0);
            Err(RunError { message, retry, after: after.map(Duration::from_millis) })
        }
    }
}

/// A step with everything in it: in a test, the data are made up.
fn shown(step: &Step) -> String {
    match step {
        Step::Http(HttpRequest { method, url, headers, body, sign }) => {
            let body = String::from_utf8_lossy(body);
            format!("{} {url} {headers:?} sign={sign} {body}", wire::method(*method))
        }
        Step::Mail(Mail { to, subject, text }) => format!("mail to {to:?}, {subject:?}: {text}"),
        Step::WriteFile { name, content } => format!("write {name}: {}", String::from_utf8_lossy(content)),
        Step::ReadFile { .. } | Step::ListFiles | Step::MoveFile { .. } | Step::Sleep(_) => {
            format!("{step:?}")
        }
    }
}
