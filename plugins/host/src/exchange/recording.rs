//! Runs as text: what a connector asked for and what came of it, to read and to play again.
//!
//! ```text
//! deliver "sites/s1/referrals/r1"
//!   now 1773619200000000
//!   key "key-1"
//!   settings "{\"url\":\"https://body.example/in\"}"
//!   field "name" "«name»"
//! > http "POST" "https://body.example/in"
//!   header "idempotency-key" "key-1"
//!   body "{\"name\":\"«name»\"}"
//! < http 201
//!   at 1773619201000000
//! > delivered "R-7"
//! ```
//!
//! A line is a word and JSON values. Lines that begin with `>` are the connector's, with `<` the host's. Credentials and
//! signatures are the host's to add and are in no step. Disclosed values and the answer's address are replaced by their
//! names wherever they stand as they were given; a connector that writes them otherwise, as into a workbook, is recorded
//! with made-up people only, and so are polls and lists, in which everything comes from the recipient.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use linli_core::time::Instant;
use serde_json::{Value, json};

use super::{
    Acknowledgement, Bytes, Decision, Delivery, End, FailureKind, Field, HttpRequest, HttpResponse, Mail,
    Method, Operation, Outcome, Shelf, Start, Step,
};
use crate::error::CallError;
use crate::plugin::Plugin;

/// What stands for the answer's address, which is as good as a key.
const ANSWER_URL: &str = "https://answer.invalid/";

/// One run of a connector, from its start to its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    start: Start,
    turns: Vec<Turn>,
    /// Values and what stands for them, longest first.
    replaced: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Turn {
    step: Step,
    /// `None`: the step is the end.
    came: Option<(Outcome, Instant)>,
}

/// Why a text is no recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRecording {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for NoRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for NoRecording {}

/// What came of playing a run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The connector took the same steps.
    Same,
    /// It took another one: its number from 1, as recorded and as it is now.
    Differs {
        /// The step, from 1.
        step: usize,
        /// As it was recorded.
        recorded: String,
        /// As it is now.
        now: String,
    },
}

impl Recording {
    /// Does a run and records it. `perform` says what comes of each step, and when.
    ///
    /// # Errors
    /// [`CallError`], as the connector's.
    pub fn run(
        plugin: &Plugin,
        start: &Start,
        budget: Duration,
        mut perform: impl FnMut(&Step) -> (Outcome, Instant),
    ) -> Result<Self, CallError> {
        let mut recording = Self::new(start);
        let (mut run, mut step) = plugin.begin(start, budget)?;
        loop {
            if let Step::End(_) = step {
                recording.push(&step, None);
                return Ok(recording);
            }
            let (outcome, at) = perform(&step);
            let next = run.step(&outcome, at, budget)?;
            recording.push(&step, Some((&outcome, at)));
            step = next;
        }
    }

    /// A recording of nothing yet.
    pub fn new(start: &Start) -> Self {
        let mut start = start.clone();
        let mut replaced = Vec::new();
        if let Operation::Deliver(delivery) = &mut start.operation {
            for field in &mut delivery.fields {
                let name = format!("«{}»", field.code);
                if !field.value.is_empty() {
                    replaced.push((std::mem::replace(&mut field.value, name.clone()), name));
                }
            }
            if !delivery.answer_url.is_empty() {
                let url = std::mem::replace(&mut delivery.answer_url, ANSWER_URL.to_owned());
                replaced.push((url, ANSWER_URL.to_owned()));
            }
        }
        replaced.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { start, turns: Vec::new(), replaced }
    }

    /// Adds a step and what came of it; nothing comes of an end.
    pub fn push(&mut self, step: &Step, came: Option<(&Outcome, Instant)>) {
        let step = self.plain_step(step);
        let came = came.map(|(outcome, at)| (self.plain_outcome(outcome), at));
        self.turns.push(Turn { step, came });
    }

    /// How it began: with names instead of what was disclosed.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The steps, the end included.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.turns.iter().map(|turn| &turn.step)
    }

    /// Plays it again: the connector gets what came of each step, for as long as it takes the steps that were recorded.
    ///
    /// # Errors
    /// [`CallError`], as the connector's.
    pub fn replay(&self, plugin: &Plugin, budget: Duration) -> Result<Replay, CallError> {
        let (mut run, mut now) = plugin.begin(&self.start, budget)?;
        for (place, turn) in self.turns.iter().enumerate() {
            if now != turn.step {
                let (mut recorded, mut found) = (String::new(), String::new());
                write_step(&mut recorded, &turn.step);
                write_step(&mut found, &now);
                return Ok(Replay::Differs { step: place + 1, recorded, now: found });
            }
            let Some((outcome, at)) = &turn.came else { break };
            now = run.step(outcome, *at, budget)?;
        }
        Ok(Replay::Same)
    }

    fn plain(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value.as_str(), name))
    }

    fn plain_bytes(&self, Bytes(bytes): &Bytes) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes(self.plain(text).into_bytes()),
            Err(_) => Bytes(bytes.clone()),
        }
    }

    fn plain_headers(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| (name.clone(), self.plain(value))).collect()
    }

    fn plain_step(&self, step: &Step) -> Step {
        match step {
            Step::Http(request) => Step::Http(HttpRequest {
                method: request.method,
                url: self.plain(&request.url),
                headers: self.plain_headers(&request.headers),
                body: self.plain_bytes(&request.body),
                sign: request.sign,
            }),
            Step::Mail(Mail { to, subject, text }) => Step::Mail(Mail {
                to: to.iter().map(|to| self.plain(to)).collect(),
                subject: self.plain(subject),
                text: self.plain(text),
            }),
            Step::WriteFile { name, content } => {
                Step::WriteFile { name: self.plain(name), content: self.plain_bytes(content) }
            }
            Step::End(End::Delivered { external_reference }) => {
                Step::End(End::Delivered { external_reference: self.plain(external_reference) })
            }
            Step::End(End::Error { message, retry, retry_after }) => {
                let (message, retry, retry_after) = (self.plain(message), *retry, *retry_after);
                Step::End(End::Error { message, retry, retry_after })
            }
            step @ (Step::ReadFile { .. }
            | Step::ListFiles
            | Step::MoveFile { .. }
            | Step::Sleep(_)
            | Step::End(End::Acknowledgements { .. } | End::Roster { .. } | End::Probed)) => step.clone(),
        }
    }

    fn plain_outcome(&self, outcome: &Outcome) -> Outcome {
        match outcome {
            Outcome::Http(HttpResponse { status, headers, body }) => Outcome::Http(HttpResponse {
                status: *status,
                headers: self.plain_headers(headers),
                body: self.plain_bytes(body),
            }),
            Outcome::File(content) => Outcome::File(self.plain_bytes(content)),
            Outcome::Failure { kind, detail } => Outcome::Failure { kind: *kind, detail: self.plain(detail) },
            outcome @ (Outcome::Done | Outcome::Files(_)) => outcome.clone(),
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording({}, {} steps)", self.start.operation.kind().word(), self.turns.len())
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let Start { operation, settings, now, idempotency_key } = &self.start;
        let word = operation.kind().word();
        match operation {
            Operation::Deliver(Delivery { referral, fields, answer_url }) => {
                line(&mut text, word, &[json!(referral)]);
                for Field { code, value } in fields {
                    line(&mut text, "  field", &[json!(code), json!(value)]);
                }
                if !answer_url.is_empty() {
                    line(&mut text, "  answer_url", &[json!(answer_url)]);
                }
            }
            Operation::Poll { external_references, cursor } => {
                line(&mut text, word, &[json!(external_references), json!(cursor)]);
            }
            Operation::PullRoster { cursor } => line(&mut text, word, &[json!(cursor)]),
            Operation::Probe => line(&mut text, word, &[]),
        }
        line(&mut text, "  now", &[json!(now.micros())]);
        line(&mut text, "  key", &[json!(idempotency_key)]);
        line(&mut text, "  settings", &[json!(settings)]);
        for Turn { step, came } in &self.turns {
            write_step(&mut text, step);
            if let Some((outcome, at)) = came {
                write_outcome(&mut text, outcome);
                line(&mut text, "  at", &[json!(at.micros())]);
            }
        }
        f.write_str(&text)
    }
}

fn line(text: &mut String, word: &str, values: &[Value]) {
    text.push_str(word);
    for value in values {
        let _ = write!(text, " {value}");
    }
    text.push('\n');
}

fn bytes(Bytes(bytes): &Bytes) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

fn message(text: &mut String, headers: &[(String, String)], body: &Bytes) {
    for (name, value) in headers {
        line(text, "  header", &[json!(name), json!(value)]);
    }
    if !body.0.is_empty() {
        line(text, "  body", &[bytes(body)]);
    }
}

fn write_step(text: &mut String, step: &Step) {
    match step {
        Step::Http(HttpRequest { method, url, headers, body, sign }) => {
            line(text, "> http", &[json!(method.word()), json!(url)]);
            message(text, headers, body);
            if *sign {
                line(text, "  sign", &[]);
            }
        }
        Step::Mail(Mail { to, subject, text: body }) => {
            line(text, "> mail", &[json!(to), json!(subject), json!(body)]);
        }
        Step::WriteFile { name, content } => line(text, "> write_file", &[json!(name), bytes(content)]),
        Step::ReadFile { name } => line(text, "> read_file", &[json!(name)]),
        Step::ListFiles => line(text, "> list_files", &[]),
        Step::MoveFile { name, to } => line(text, "> move_file", &[json!(name), json!(shelf(*to))]),
        Step::Sleep(time) => line(text, "> sleep", &[json!(millis(*time))]),
        Step::End(End::Delivered { external_reference }) => {
            line(text, "> delivered", &[json!(external_reference)]);
        }
        Step::End(End::Acknowledgements { items, cursor }) => {
            line(text, "> acknowledgements", &[json!(cursor)]);
            for item in items {
                let Acknowledgement { external_reference, referral, decision, remark, decided_at } = item;
                let at = decided_at.map(Instant::micros);
                let values = [
                    json!(external_reference),
                    json!(referral),
                    json!(decided(*decision)),
                    json!(remark),
                    json!(at),
                ];
                line(text, "  item", &values);
            }
        }
        Step::End(End::Roster { entries, cursor }) => {
            line(text, "> roster", &[json!(cursor)]);
            for entry in entries {
                let fields: Vec<[&str; 2]> =
                    entry.iter().map(|field| [field.code.as_str(), field.value.as_str()]).collect();
                line(text, "  person", &[json!(fields)]);
            }
        }
        Step::End(End::Probed) => line(text, "> probed", &[]),
        Step::End(End::Error { message, retry, retry_after }) => {
            line(text, "> error", &[json!(message), json!(retry), json!(retry_after.map(millis))]);
        }
    }
}

fn write_outcome(text: &mut String, outcome: &Outcome) {
    match outcome {
        Outcome::Http(HttpResponse { status, headers, body }) => {
            line(text, "< http", &[json!(status)]);
            message(text, headers, body);
        }
        Outcome::Done => line(text, "< done", &[]),
        Outcome::File(content) => line(text, "< file", &[bytes(content)]),
        Outcome::Files(names) => line(text, "< files", &[json!(names)]),
        Outcome::Failure { kind, detail } => {
            line(text, "< failure", &[json!(failed(*kind)), json!(detail)]);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const fn shelf(shelf: Shelf) -> &'static str {
    match shelf {
        Shelf::Archive => "archive",
        Shelf::Quarantine => "quarantine",
    }
}

const fn decided(decision: Decision) -> &'static str {
    match decision {
        Decision::Accepted => "accepted",
        Decision::Rejected => "rejected",
        Decision::Closed => "closed",
    }
}

const fn failed(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotDone => "not_done",
        FailureKind::Unknown => "unknown",
        FailureKind::Forbidden => "forbidden",
    }
}

/// A line and those that belong to it.
struct Part<'a> {
    number: usize,
    word: &'a str,
    values: Vec<Value>,
    rest: Vec<Part<'a>>,
}

impl FromStr for Recording {
    type Err = NoRecording;

    fn from_str(text: &str) -> Result<Self, NoRecording> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for (index, whole) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index + 1;
            let wrong = |what: String| NoRecording { line: number, what };
            let (side, rest) = match whole.split_at_checked(2) {
                Some((side @ ("> " | "< " | "  "), rest)) => (side, rest),
                Some(_) | None => ("", whole),
            };
            let (word, values) = rest.split_once(' ').unwrap_or((rest, ""));
            let word = if side.trim().is_empty() {
                word
            } else {
                whole.get(..side.len() + word.len()).unwrap_or(word)
            };
            let values = serde_json::Deserializer::from_str(values).into_iter::<Value>();
            let values = values.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
            let part = Part { number, word, values, rest: Vec::new() };
            match parts.last_mut().filter(|_| side == "  ") {
                Some(above) => above.rest.push(part),
                None if side == "  " => return Err(wrong("belongs to no line above".to_owned())),
                None => parts.push(part),
            }
        }
        let mut parts = parts.into_iter().peekable();
        let first = parts.next().ok_or(NoRecording { line: 1, what: "is empty".to_owned() })?;
        let mut recording = Self { start: first.start()?, turns: Vec::new(), replaced: Vec::new() };
        while let Some(part) = parts.next() {
            let step = part.step()?;
            let came = match (&step, parts.next_if(|next| next.word.starts_with('<'))) {
                (Step::End(_), None) => None,
                (Step::End(_), Some(next)) => {
                    return Err(next.wrong("comes of an end, of which nothing comes"));
                }
                (_, Some(next)) => Some((next.outcome()?, next.instant("at")?)),
                (_, None) => return Err(part.wrong("is a step of which nothing came")),
            };
            recording.turns.push(Turn { step, came });
        }
        Ok(recording)
    }
}

impl Part<'_> {
    fn wrong(&self, what: &str) -> NoRecording {
        NoRecording { line: self.number, what: format!("`{}` {what}", self.word) }
    }

    fn value(&self, at: usize) -> Result<&Value, NoRecording> {
        self.values.get(at).ok_or_else(|| self.wrong("lacks a value"))
    }

    fn text(&self, at: usize) -> Result<String, NoRecording> {
        let text = self.value(at)?.as_str().ok_or_else(|| self.wrong("has something else than a text"))?;
        Ok(text.to_owned())
    }

    fn texts(&self, at: usize) -> Result<Vec<String>, NoRecording> {
        let list = self.value(at)?.as_array();
        let texts = list.and_then(|list| list.iter().map(|text| Some(text.as_str()?.to_owned())).collect());
        texts.ok_or_else(|| self.wrong("has something else than a list of texts"))
    }

    fn number(&self, at: usize) -> Result<i64, NoRecording> {
        self.value(at)?.as_i64().ok_or_else(|| self.wrong("has something else than a number"))
    }

    fn bytes(&self, at: usize) -> Result<Bytes, NoRecording> {
        let value = self.value(at)?;
        let coded = value.get("base64").and_then(Value::as_str);
        let bytes = match (value.as_str(), coded.map(|coded| STANDARD.decode(coded))) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(Ok(bytes))) => Some(bytes),
            (None, Some(Err(_)) | None) => None,
        };
        bytes.map(Bytes).ok_or_else(|| self.wrong("has something else than bytes"))
    }

    /// One of a list of words.
    fn one<T: Copy>(&self, at: usize, all: &[T], word: fn(T) -> &'static str) -> Result<T, NoRecording> {
        let text = self.text(at)?;
        let known = all.iter().copied().find(|known| word(*known) == text);
        known.ok_or_else(|| self.wrong(&format!("does not know `{text}`")))
    }

    fn parts(&self, word: &str) -> impl Iterator<Item = &Self> {
        self.rest.iter().filter(move |part| part.word == word)
    }

    fn part(&self, word: &str) -> Result<&Self, NoRecording> {
        self.parts(word).next().ok_or_else(|| self.wrong(&format!("has no line `{word}`")))
    }

    fn instant(&self, word: &str) -> Result<Instant, NoRecording> {
        let part = self.part(word)?;
        Instant::from_micros(part.number(0)?).map_err(|_| part.wrong("is no instant"))
    }

    fn message(&self) -> Result<(Vec<(String, String)>, Bytes), NoRecording> {
        let headers = self.parts("header").map(|part| Ok((part.text(0)?, part.text(1)?)));
        let headers = headers.collect::<Result<_, NoRecording>>()?;
        let body = self.parts("body").next().map_or_else(|| Ok(Bytes::default()), |part| part.bytes(0))?;
        Ok((headers, body))
    }

    fn start(&self) -> Result<Start, NoRecording> {
        let operation = match self.word {
            "deliver" => {
                let fields = self.parts("field");
                let fields = fields.map(|part| Ok(Field { code: part.text(0)?, value: part.text(1)? }));
                let answer_url =
                    self.parts("answer_url").next().map_or_else(|| Ok(String::new()), |part| part.text(0));
                let fields = fields.collect::<Result<_, NoRecording>>()?;
                Operation::Deliver(Delivery { referral: self.text(0)?, fields, answer_url: answer_url? })
            }
            "poll" => Operation::Poll { external_references: self.texts(0)?, cursor: self.text(1)? },
            "pull_roster" => Operation::PullRoster { cursor: self.text(0)? },
            "probe" => Operation::Probe,
            _ => return Err(self.wrong("is no operation")),
        };
        let (settings, idempotency_key) = (self.part("settings")?.text(0)?, self.part("key")?.text(0)?);
        Ok(Start { operation, settings, now: self.instant("now")?, idempotency_key })
    }

    fn step(&self) -> Result<Step, NoRecording> {
        Ok(match self.word {
            "> http" => {
                let (headers, body) = self.message()?;
                let method = self.one(0, &Method::ALL, Method::word)?;
                let sign = self.parts("sign").next().is_some();
                Step::Http(HttpRequest { method, url: self.text(1)?, headers, body, sign })
            }
            "> mail" => Step::Mail(Mail { to: self.texts(0)?, subject: self.text(1)?, text: self.text(2)? }),
            "> write_file" => Step::WriteFile { name: self.text(0)?, content: self.bytes(1)? },
            "> read_file" => Step::ReadFile { name: self.text(0)? },
            "> list_files" => Step::ListFiles,
            "> move_file" => Step::MoveFile {
                name: self.text(0)?,
                to: self.one(1, &[Shelf::Archive, Shelf::Quarantine], shelf)?,
            },
            "> sleep" => Step::Sleep(Duration::from_millis(self.number(0)?.unsigned_abs())),
            "> delivered" => Step::End(End::Delivered { external_reference: self.text(0)? }),
            "> acknowledgements" => {
                let items = self.parts("item").map(Self::item).collect::<Result<_, _>>()?;
                Step::End(End::Acknowledgements { items, cursor: self.text(0)? })
            }
            "> roster" => {
                let entries = self.parts("person").map(Self::person).collect::<Result<_, _>>()?;
                Step::End(End::Roster { entries, cursor: self.text(0)? })
            }
            "> probed" => Step::End(End::Probed),
            "> error" => {
                let retry =
                    self.value(1)?.as_bool().ok_or_else(|| self.wrong("does not say whether to retry"))?;
                let after = self.values.get(2).and_then(Value::as_u64).map(Duration::from_millis);
                Step::End(End::Error { message: self.text(0)?, retry, retry_after: after })
            }
            _ => return Err(self.wrong("is no step")),
        })
    }

    fn item(&self) -> Result<Acknowledgement, NoRecording> {
        let at = self.values.get(4).and_then(Value::as_i64).map(Instant::from_micros).transpose();
        Ok(Acknowledgement {
            external_reference: self.text(0)?,
            referral: self.text(1)?,
            decision: self.one(2, &[Decision::Accepted, Decision::Rejected, Decision::Closed], decided)?,
            remark: self.text(3)?,
            decided_at: at.map_err(|_| self.wrong("has no instant"))?,
        })
    }

    fn person(&self) -> Result<Vec<Field>, NoRecording> {
        let field = |pair: &Value| {
            let text = |at: usize| Some(pair.get(at)?.as_str()?.to_owned());
            Some(Field { code: text(0)?, value: text(1)? })
        };
        let fields = self.value(0)?.as_array().and_then(|list| list.iter().map(field).collect());
        fields.ok_or_else(|| self.wrong("has something else than pairs of texts"))
    }

    fn outcome(&self) -> Result<Outcome, NoRecording> {
        Ok(match self.word {
            "< http" => {
                let (headers, body) = self.message()?;
                let status = u16::try_from(self.number(0)?).map_err(|_| self.wrong("has no status"))?;
                Outcome::Http(HttpResponse { status, headers, body })
            }
            "< done" => Outcome::Done,
            "< file" => Outcome::File(self.bytes(0)?),
            "< files" => Outcome::Files(self.texts(0)?),
            "< failure" => {
                let all = [FailureKind::NotDone, FailureKind::Unknown, FailureKind::Forbidden];
                Outcome::Failure { kind: self.one(0, &all, failed)?, detail: self.text(1)? }
            }
            _ => return Err(self.wrong("is nothing that comes of a step")),
        })
    }
}
