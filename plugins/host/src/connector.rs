//! Between the values of [`crate::exchange`] and the messages of `linli.plugin.v1`. Every bound of `connector.proto` is
//! checked here, in both directions, and every step against what the manifest declares.

mod parts;

use std::collections::BTreeSet;
use std::time::Duration;

use linli_core::time::Instant;
use linli_plugin_abi as abi;
use linli_proto::plugin_v1 as pb;
use prost::Message as _;

use crate::error::CallError;
use crate::exchange::{
    Acknowledgement, Bytes, Decision, Delivery, End, FailureKind, Field, HttpRequest, HttpResponse, Mail,
    Method, Operation, OperationKind, Outcome, Shelf, Start, Step, is_host_header,
};
use crate::manifest::{ANY_HOST, ConnectorManifest, https_host};

/// Largest message of a connector, in bytes: a file of 4 MiB or a list of 10,000 people has room.
pub(crate) const STEP_BYTES_MAX: usize = 8 << 20;
const KEY_BYTES_MAX: usize = 64;
const FIELDS_MAX: usize = 100;
const VALUE_CHARS_MAX: usize = 4_000;
const URL_BYTES_MAX: usize = 2_048;
const REFERENCES_MAX: usize = 500;
const REFERENCE_BYTES_MAX: usize = 200;
const CURSOR_BYTES_MAX: usize = 1_024;
const HEADERS_MAX: usize = 50;
const HEADER_BYTES_MAX: usize = 4_096;
const BODY_BYTES_MAX: usize = 1 << 20;
const CONTENT_BYTES_MAX: usize = 4 << 20;
const FILES_MAX: usize = 1_000;
const FILE_NAME_BYTES_MAX: usize = 255;
const NEW_FILE_NAME_BYTES_MAX: usize = 100;
const DETAIL_CHARS_MAX: usize = 500;
const MAILS_MAX: usize = 10;
const ADDRESS_BYTES_MAX: usize = 254;
const SUBJECT_CHARS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 65_536;
const SLEEP_MILLIS_MAX: i64 = 60_000;
const ACKNOWLEDGEMENTS_MAX: usize = 1_000;
const REMARK_CHARS_MAX: usize = 1_000;
const ROSTER_ENTRIES_MAX: usize = 10_000;
const REASON_CHARS_MAX: usize = 500;
/// What answers the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Http,
    Done,
    File,
    Files,
    /// Nothing: the run is over.
    Nothing,
}

impl Asked {
    pub(crate) fn by(step: &Step) -> Self {
        match step {
            Step::Http(_) => Self::Http,
            Step::Mail(_) | Step::WriteFile { .. } | Step::MoveFile { .. } | Step::Sleep(_) => Self::Done,
            Step::ReadFile { .. } => Self::File,
            Step::ListFiles => Self::Files,
            Step::End(_) => Self::Nothing,
        }
    }

    fn is_answered_by(self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Http(_) => self == Self::Http,
            Outcome::Done => self == Self::Done,
            Outcome::File(_) => self == Self::File,
            Outcome::Files(_) => self == Self::Files,
            Outcome::Failure { .. } => self != Self::Nothing,
        }
    }
}

/// A request of a connector, ready to be put to it.
#[derive(Debug)]
pub(crate) struct Request {
    /// `OP_*`.
    pub(crate) op: u32,
    pub(crate) message: Vec<u8>,
    pub(crate) key: String,
}

type Unfit<T> = Result<T, CallError>;
type Heard<T> = Result<T, String>;

fn unfit<T>(what: impl Into<String>) -> Unfit<T> {
    Err(CallError::Unfit { what: what.into() })
}

fn fits(holds: bool, what: &str) -> Unfit<()> {
    if holds { Ok(()) } else { unfit(what) }
}

/// The message that begins a run, if manifest and bounds allow it.
pub(crate) fn request(manifest: &ConnectorManifest, start: &Start) -> Unfit<Request> {
    let kind = start.operation.kind();
    if !manifest.operations.contains(&kind) {
        return unfit(format!("its manifest does not offer the operation `{}`", kind.word()));
    }
    let key = &start.idempotency_key;
    fits((1..=KEY_BYTES_MAX).contains(&key.len()), "an idempotency key has 1 to 64 bytes")?;
    let settings = manifest.settings(&start.settings).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CallError::Unfit { what: format!("its settings are not acceptable: {}", problems.join("; ")) }
    })?;
    let cursor_fits =
        |cursor: &str| fits(cursor.len() <= CURSOR_BYTES_MAX, "a cursor has at most 1,024 bytes");
    use pb::start_request::Operation as Asks;
    let (op, operation) = match &start.operation {
        Operation::Deliver(delivery) => {
            (abi::OP_DELIVER, Asks::DeliverReferral(deliver(manifest, delivery)?))
        }
        Operation::Poll { external_references, cursor } => {
            fits(external_references.len() <= REFERENCES_MAX, "a poll asks about at most 500 referrals")?;
            let short = |reference: &String| (1..=REFERENCE_BYTES_MAX).contains(&reference.len());
            fits(external_references.iter().all(short), "a reference has 1 to 200 bytes")?;
            cursor_fits(cursor)?;
            let (external_references, cursor) = (external_references.clone(), cursor.clone());
            (
                abi::OP_POLL,
                Asks::PollAcknowledgements(pb::PollAcknowledgements { external_references, cursor }),
            )
        }
        Operation::PullRoster { cursor } => {
            cursor_fits(cursor)?;
            (abi::OP_PULL_ROSTER, Asks::PullRoster(pb::PullRoster { cursor: cursor.clone() }))
        }
        Operation::Probe => (abi::OP_PROBE, Asks::Probe(pb::Probe {})),
    };
    let message = pb::StartRequest {
        operation: Some(operation),
        configuration_json: settings,
        now_micros: start.now.micros(),
        idempotency_key: key.clone(),
    };
    Ok(Request { op, message: message.encode_to_vec(), key: key.clone() })
}

/// Codes under which every connector is told what is asked for: the matter and how pressing it is, in Chinese and in English, and a
/// note. They are no values of a care file, and no manifest declares them.
pub(crate) const ASKED: [&str; 5] = ["matter", "matter_en", "urgency", "urgency_en", "note"];

fn deliver(manifest: &ConnectorManifest, delivery: &Delivery) -> Unfit<pb::DeliverReferral> {
    let Delivery { referral, fields, answer_url } = delivery;
    fits(!referral.is_empty() && referral.len() <= REFERENCE_BYTES_MAX, "a referral has a name")?;
    fits(fields.len() <= FIELDS_MAX, "at most 100 fields are disclosed")?;
    let mut seen = BTreeSet::new();
    for field in fields {
        let is_asked = ASKED.contains(&field.code.as_str());
        if !is_asked && !manifest.fields.iter().any(|declared| declared.code() == field.code) {
            return unfit(format!("its manifest does not declare the field `{}`", field.code));
        }
        fits(seen.insert(&field.code), "a field is disclosed once")?;
        fits(field.value.chars().count() <= VALUE_CHARS_MAX, "a field has at most 4,000 characters")?;
    }
    let answers = answer_url.is_empty() || https_host(answer_url).is_ok();
    fits(answers && answer_url.len() <= URL_BYTES_MAX, "the answer's address is an `https` address")?;
    let fields =
        fields.iter().map(|Field { code, value }| pb::Field { code: code.clone(), value: value.clone() });
    Ok(pb::DeliverReferral {
        referral: referral.clone(),
        fields: fields.collect(),
        answer_url: answer_url.clone(),
    })
}

/// The message of what came of a step.
pub(crate) fn input(asked: Asked, outcome: &Outcome, now: Instant) -> Unfit<Vec<u8>> {
    fits(asked != Asked::Nothing, "the run is over")?;
    fits(asked.is_answered_by(outcome), "this does not answer the step that it asked for")?;
    use pb::step_input::Kind as Came;
    let kind = match outcome {
        Outcome::Http(HttpResponse { status, headers, body }) => {
            fits((100..=599).contains(status), "a status is 100 to 599")?;
            fits(body.0.len() <= CONTENT_BYTES_MAX, "an answer has at most 4 MiB")?;
            let header =
                |(name, value): &(String, String)| pb::Header { name: name.clone(), value: value.clone() };
            let headers = headers.iter().map(header).collect();
            Came::Http(pb::HttpResponse { status: i32::from(*status), headers, body: body.0.clone() })
        }
        Outcome::Done => Came::Done(pb::Done {}),
        Outcome::File(Bytes(content)) => {
            fits(content.len() <= CONTENT_BYTES_MAX, "a file has at most 4 MiB")?;
            Came::File(pb::FileContent { content: content.clone() })
        }
        Outcome::Files(names) => {
            fits(names.len() <= FILES_MAX, "at most 1,000 files are listed")?;
            Came::Files(pb::FileList { names: names.clone() })
        }
        Outcome::Failure { kind, detail } => {
            let kind = match kind {
                FailureKind::NotDone => pb::FailureKind::NotDone,
                FailureKind::Unknown => pb::FailureKind::Unknown,
                FailureKind::Forbidden => pb::FailureKind::Forbidden,
            };
            let detail = detail.chars().take(DETAIL_CHARS_MAX).collect();
            Came::Failure(pb::Failure { kind: kind.into(), detail })
        }
    };
    Ok(pb::StepInput { kind: Some(kind), now_micros: now.micros() }.encode_to_vec())
}

/// What a connector said, if manifest and bounds allow it. The error names no value of it.
pub(crate) fn step(
    manifest: &ConnectorManifest,
    operation: OperationKind,
    said: &[u8],
) -> Result<Step, CallError> {
    heard(manifest, operation, said).map_err(|what| CallError::Misbehaved { what })
}

fn heard(manifest: &ConnectorManifest, operation: OperationKind, said: &[u8]) -> Heard<Step> {
    parts::counted(said)?;
    let message = pb::Step::decode(said).map_err(|_| "its step is not a message of `linli.plugin.v1`")?;
    use pb::step::Kind;
    match message.kind.ok_or("its step says nothing")? {
        Kind::Http(request) => http(manifest, request).map(Step::Http),
        Kind::Mail(message) => {
            holds(manifest.mail, "it sends mail, which its manifest does not declare")?;
            mail(message).map(Step::Mail)
        }
        Kind::WriteFile(pb::WriteFile { name, content }) => {
            uses_files(manifest)?;
            holds(
                is_new_file_name(&name),
                "the name of a file to write is 1 to 100 of a-z, 0-9, `.`, `_` and `-`",
            )?;
            holds(content.len() <= CONTENT_BYTES_MAX, "a file to write has at most 4 MiB")?;
            Ok(Step::WriteFile { name, content: Bytes(content) })
        }
        Kind::ReadFile(pb::ReadFile { name }) => {
            uses_files(manifest)?;
            holds(is_file_name(&name), "the name of a file to read is not one of a list")?;
            Ok(Step::ReadFile { name })
        }
        Kind::ListFiles(_) => uses_files(manifest).map(|()| Step::ListFiles),
        Kind::MoveFile(file) => {
            uses_files(manifest)?;
            holds(is_file_name(&file.name), "the name of a file to move is not one of a list")?;
            let to = match file.to() {
                pb::FileShelf::Archive => Shelf::Archive,
                pb::FileShelf::Quarantine => Shelf::Quarantine,
                pb::FileShelf::Unspecified => {
                    return Err("a file moves to the archive or into quarantine".into());
                }
            };
            Ok(Step::MoveFile { name: file.name, to })
        }
        Kind::Sleep(pb::Sleep { millis }) => {
            holds((1..=SLEEP_MILLIS_MAX).contains(&millis), "a wait has 1 to 60,000 ms")?;
            Ok(Step::Sleep(Duration::from_millis(millis.unsigned_abs())))
        }
        Kind::End(message) => end(manifest, operation, message).map(Step::End),
    }
}

fn holds(holds: bool, what: &str) -> Heard<()> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn http(manifest: &ConnectorManifest, message: pb::HttpRequest) -> Heard<HttpRequest> {
    let declared =
        manifest.http.as_ref().ok_or("it makes an HTTPS request, which its manifest does not declare")?;
    let pb::HttpRequest { method, url, headers, body, sign } = message;
    let known = Method::ALL.into_iter().find(|known| known.word() == method);
    let method = known.filter(|method| declared.methods.contains(method));
    let method = method.ok_or("it makes an HTTPS request by a method that its manifest does not declare")?;
    holds(url.len() <= URL_BYTES_MAX, "an address has at most 2,048 bytes")?;
    let host = https_host(&url).map_err(|why| format!("the address of an HTTPS request {why}"))?;
    let is_declared = declared.hosts.iter().any(|known| known == ANY_HOST || *known == host);
    holds(is_declared, "it makes an HTTPS request to a host that its manifest does not declare")?;
    holds(headers.len() <= HEADERS_MAX, "an HTTPS request has at most 50 headers")?;
    for pb::Header { name, value } in &headers {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        holds(
            !name.is_empty() && name.len() <= 100 && name.bytes().all(is_name),
            "the name of a header is not one",
        )?;
        if is_host_header(name) {
            return Err(format!("it sets the header `{name}`, which is the host's to set"));
        }
        let is_value = value.len() <= HEADER_BYTES_MAX && !value.chars().any(char::is_control);
        holds(is_value, "the value of a header has control characters, or more than 4,096 bytes")?;
    }
    holds(body.len() <= BODY_BYTES_MAX, "the body of an HTTPS request has at most 1 MiB")?;
    let headers = headers.into_iter().map(|pb::Header { name, value }| (name, value)).collect();
    Ok(HttpRequest { method, url, headers, body: Bytes(body), sign })
}

fn mail(pb::Mail { to, subject, text }: pb::Mail) -> Heard<Mail> {
    holds((1..=MAILS_MAX).contains(&to.len()), "a mail has 1 to 10 recipients")?;
    let is_address = |address: &String| {
        let apart = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"()[]\\".contains(c);
        let parts =
            address.split_once('@').filter(|(name, domain)| !name.is_empty() && !domain.contains('@'));
        address.len() <= ADDRESS_BYTES_MAX
            && !address.contains(apart)
            && parts.is_some_and(|(_, at)| !at.is_empty())
    };
    holds(to.iter().all(is_address), "the recipient of a mail is no plain address")?;
    let length = subject.chars().count();
    let is_subject = (1..=SUBJECT_CHARS_MAX).contains(&length) && !subject.chars().any(char::is_control);
    holds(is_subject, "the subject of a mail has 1 to 200 characters in one line")?;
    holds(text.len() <= TEXT_BYTES_MAX, "the text of a mail has at most 65,536 bytes")?;
    Ok(Mail { to, subject, text })
}

fn uses_files(manifest: &ConnectorManifest) -> Heard<()> {
    holds(manifest.files, "it uses files, which its manifest does not declare")
}

fn is_new_file_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=NEW_FILE_NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(is_plain)
}

/// Whether this can be the name of a file that somebody else put into the incoming folder.
fn is_file_name(name: &str) -> bool {
    let apart = |c: char| c == '/' || c == '\\' || c.is_control();
    (1..=FILE_NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && !name.contains(apart)
}

fn end(manifest: &ConnectorManifest, operation: OperationKind, message: pb::End) -> Heard<End> {
    use pb::end::Result as Said;
    let of = |kind: OperationKind| {
        let what = format!("it ends `{}` with what answers `{}`", operation.word(), kind.word());
        holds(operation == kind, &what)
    };
    match message.result.ok_or("its end says nothing")? {
        Said::Delivered(pb::Delivered { external_reference }) => {
            of(OperationKind::Deliver)?;
            holds(external_reference.len() <= REFERENCE_BYTES_MAX, "a reference has at most 200 bytes")?;
            holds(!external_reference.chars().any(char::is_control), "a reference has control characters")?;
            Ok(End::Delivered { external_reference })
        }
        Said::Acknowledgements(pb::Acknowledgements { items, cursor }) => {
            of(OperationKind::Poll)?;
            holds(items.len() <= ACKNOWLEDGEMENTS_MAX, "one run brings at most 1,000 acknowledgements")?;
            holds(cursor.len() <= CURSOR_BYTES_MAX, "a cursor has at most 1,024 bytes")?;
            let items = items.into_iter().map(acknowledgement).collect::<Heard<_>>()?;
            Ok(End::Acknowledgements { items, cursor })
        }
        Said::Roster(pb::Roster { entries, cursor }) => {
            of(OperationKind::PullRoster)?;
            holds(entries.len() <= ROSTER_ENTRIES_MAX, "one run brings at most 10,000 people")?;
            holds(cursor.len() <= CURSOR_BYTES_MAX, "a cursor has at most 1,024 bytes")?;
            let entries = entries.into_iter().map(|entry| person(manifest, entry)).collect::<Heard<_>>()?;
            Ok(End::Roster { entries, cursor })
        }
        Said::Probed(_) => of(OperationKind::Probe).map(|()| End::Probed),
        Said::Error(pb::RunError { message, retry, retry_after_millis }) => {
            let length = message.chars().count();
            holds(
                (1..=REASON_CHARS_MAX).contains(&length),
                "the message of an error has 1 to 500 characters",
            )?;
            holds(retry_after_millis >= 0, "a run is not tried again before it was tried")?;
            let message = shown(&message, |c| c.is_control());
            let after = Duration::from_millis(retry_after_millis.unsigned_abs());
            Ok(End::Error { message, retry, retry_after: Some(after).filter(|after| !after.is_zero()) })
        }
    }
}

fn acknowledgement(message: pb::Acknowledgement) -> Heard<Acknowledgement> {
    let decision = match message.state() {
        pb::AcknowledgementState::Accepted => Decision::Accepted,
        pb::AcknowledgementState::Rejected => Decision::Rejected,
        pb::AcknowledgementState::Closed => Decision::Closed,
        pb::AcknowledgementState::Unspecified => {
            return Err("an acknowledgement does not say what was decided".into());
        }
    };
    let pb::Acknowledgement { external_reference, state: _, remark, decided_at_micros, referral } = message;
    let names = [&external_reference, &referral];
    holds(names.iter().any(|name| !name.is_empty()), "an acknowledgement names no referral")?;
    holds(names.iter().all(|name| name.len() <= REFERENCE_BYTES_MAX), "a reference has at most 200 bytes")?;
    holds(remark.chars().count() <= REMARK_CHARS_MAX, "a remark has at most 1,000 characters")?;
    // Whatever a body's system ends its lines with, its words are kept.
    let remark = shown(&remark.replace("\r\n", "\n").replace('\r', "\n"), |c| {
        c.is_control() && !matches!(c, '\n' | '\t')
    });
    let decided_at =
        Some(decided_at_micros).filter(|micros| *micros != 0).map(Instant::from_micros).transpose();
    let decided_at = decided_at.map_err(|_| "an acknowledgement was decided outside of all time")?;
    Ok(Acknowledgement { external_reference, referral, decision, remark, decided_at })
}

/// Text with blanks instead of what is not to be shown.
fn shown(text: &str, hidden: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect()
}

fn person(manifest: &ConnectorManifest, entry: pb::RosterEntry) -> Heard<Vec<Field>> {
    holds(!entry.fields.is_empty(), "a list has a person without a field")?;
    let mut seen = BTreeSet::new();
    for pb::Field { code, value } in &entry.fields {
        let is_declared = manifest.roster.iter().any(|declared| declared.code() == code);
        holds(is_declared, "a list has a field that its manifest does not declare in `roster`")?;
        holds(seen.insert(code), "a list has a field of one person twice")?;
        holds(value.chars().count() <= VALUE_CHARS_MAX, "a field of a list has at most 4,000 characters")?;
    }
    Ok(entry.fields.into_iter().map(|pb::Field { code, value }| Field { code, value }).collect())
}
