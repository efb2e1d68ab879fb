//! Made-up matters for connectors: how runs begin, and what comes of each step, from a seed.

use std::time::Duration;

use linli_core::time::Instant;

use super::{Case, Stop};
use crate::exchange::{
    Bytes, Delivery, FailureKind, Field, HttpResponse, Operation, OperationKind, Outcome, Start, Step,
};
use crate::manifest::{ANY_HOST, ConnectorManifest, Setting, SettingType};
use crate::tools::numbers::Numbers;

/// What marks made-up personal data: it may turn up in no text for people who operate.
pub(super) const CANARY: &str = "canary-";
/// Settings of the author's, beside the manifest: made-up ones cannot know what an address must look like.
const SETTINGS: &str = "settings.json";
/// 2026-03-16 08:00 in Shanghai.
const NOW_MICROS: i64 = 1_773_619_200_000_000;

/// The instant of a step of a made-up run.
pub(super) fn at(step: usize) -> Instant {
    let micros = NOW_MICROS + 1_000_000 * i64::try_from(step).unwrap_or_default();
    Instant::from_micros(micros).expect("an instant of this century")
}

/// How runs of an operation begin.
pub(super) struct Starts<'a> {
    manifest: &'a ConnectorManifest,
    given: Option<String>,
}

impl<'a> Starts<'a> {
    pub(super) fn new(manifest: &'a ConnectorManifest, case: &Case) -> Result<Self, Stop> {
        let path = case.manifest.as_ref().and_then(|path| Some(path.parent()?.join(SETTINGS)));
        let given = path.and_then(|path| std::fs::read_to_string(path).ok());
        let given = given.map(|text| {
            manifest.settings(&text).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Stop::Failed(format!("`{SETTINGS}`: {}", problems.join("; ")))
            })
        });
        Ok(Self { manifest, given: given.transpose()? })
    }

    /// One of them; every other one by the author's settings, if there are any.
    pub(super) fn start(&self, kind: OperationKind, numbers: &mut Numbers) -> Start {
        let settings = match &self.given {
            Some(given) if numbers.below(2) == 0 => given.clone(),
            Some(_) | None => self.settings(numbers),
        };
        let text = |numbers: &mut Numbers| format!("{:x}", numbers.below(1 << 32));
        let cursor = if numbers.below(2) == 0 { String::new() } else { text(numbers) };
        let operation = match kind {
            OperationKind::Deliver => Operation::Deliver(self.delivery(numbers)),
            OperationKind::Poll => {
                let count = numbers.one_of([0, 1, 3, 500]);
                let external_references = (0..count).map(|_| text(numbers)).collect();
                Operation::Poll { external_references, cursor }
            }
            OperationKind::PullRoster => Operation::PullRoster { cursor },
            OperationKind::Probe => Operation::Probe,
        };
        Start { operation, settings, now: at(0), idempotency_key: format!("key-{}", text(numbers)) }
    }

    fn delivery(&self, numbers: &mut Numbers) -> Delivery {
        let mut fields = Vec::new();
        for field in &self.manifest.fields {
            let value = match numbers.below(8) {
                0 => continue,
                1 => format!("{CANARY}{}", "长".repeat(3_000)),
                2 => format!("{CANARY}\"quoted\", 'a'; <b>&amp;\\\r\n=cmd()|\u{0}"),
                3 => format!("=1+1 {CANARY}🌊"),
                _ => format!("{CANARY}{}-{}", field.code(), numbers.below(1_000)),
            };
            fields.push(Field { code: field.code().to_owned(), value });
        }
        let referral = format!("sites/site-{}/referrals/ref-{}", numbers.below(9), numbers.below(1 << 40));
        let answer_url = if numbers.below(2) == 0 {
            String::new()
        } else {
            format!("https://linli.example/answers/{CANARY}{}", numbers.below(1 << 40))
        };
        Delivery { referral, fields, answer_url }
    }

    fn settings(&self, numbers: &mut Numbers) -> String {
        let mut settings = serde_json::Map::new();
        for setting in &self.manifest.settings {
            if setting.required || numbers.below(2) == 0 {
                settings.insert(setting.code.clone(), self.setting(setting, numbers));
            }
        }
        serde_json::Value::Object(settings).to_string()
    }

    fn setting(&self, setting: &Setting, numbers: &mut Numbers) -> serde_json::Value {
        match setting.kind {
            SettingType::Flag => (numbers.below(2) == 0).into(),
            SettingType::Integer => {
                let (min, max) = setting.range.unwrap_or((i64::MIN, i64::MAX));
                let near = max.min(min.saturating_add(10));
                numbers.one_of([min, max, near, near.midpoint(min)]).into()
            }
            SettingType::Url => {
                let named = self.manifest.http.iter().flat_map(|http| &http.hosts);
                let host = named.filter(|host| *host != ANY_HOST).map(String::as_str).next();
                format!("https://{}/api/{}", host.unwrap_or("body.example"), numbers.below(100)).into()
            }
            SettingType::Text => match numbers.below(4) {
                0 => "desk@body.example".into(),
                1 => "a".into(),
                2 => "{referral} \"一\"\n".into(),
                _ => format!("text-{}", numbers.below(100)).into(),
            },
        }
    }
}

/// What comes of the steps of one run.
pub(super) struct World<'a> {
    manifest: &'a ConnectorManifest,
    numbers: Numbers,
    temper: Temper,
}

/// How the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// Everything works.
    Kind,
    /// Anything may come, of each step.
    Wild,
    /// It always answers the same.
    Stubborn,
}

impl<'a> World<'a> {
    pub(super) fn new(manifest: &'a ConnectorManifest, seed: u64, temper: Temper) -> Self {
        Self { manifest, numbers: Numbers::new(seed), temper }
    }

    /// What comes of a step.
    pub(super) fn outcome(&mut self, step: &Step) -> Outcome {
        let before = self.numbers.clone();
        let outcome = self.any(step);
        if self.temper == Temper::Stubborn {
            self.numbers = before;
        }
        outcome
    }

    fn any(&mut self, step: &Step) -> Outcome {
        if self.temper != Temper::Kind && self.numbers.below(5) == 0 {
            let all = [FailureKind::NotDone, FailureKind::Unknown, FailureKind::Forbidden];
            let kind = self.numbers.one_of(all);
            let detail =
                if self.numbers.below(3) == 0 { String::new() } else { "connection reset".to_owned() };
            return Outcome::Failure { kind, detail };
        }
        match step {
            Step::Http(_) => Outcome::Http(self.response()),
            Step::Mail(_)
            | Step::WriteFile { .. }
            | Step::MoveFile { .. }
            | Step::Sleep(_)
            | Step::End(_) => Outcome::Done,
            Step::ReadFile { .. } => Outcome::File(Bytes(self.body())),
            Step::ListFiles => Outcome::Files(self.files()),
        }
    }

    fn response(&mut self) -> HttpResponse {
        let status = match (self.temper, self.numbers.below(8)) {
            (Temper::Kind, _) => 200,
            (Temper::Wild | Temper::Stubborn, 0..=3) => self.numbers.one_of([200, 201, 202, 204]),
            (Temper::Wild | Temper::Stubborn, 4) => 429,
            (Temper::Wild | Temper::Stubborn, _) => 100 + self.numbers.below(500) as u16,
        };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let waits = ["120", "0", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999", ""];
        if self.numbers.below(3) == 0 {
            let wait = self.numbers.one_of(waits);
            headers.push(("retry-after".to_owned(), wait.to_owned()));
        }
        HttpResponse { status, headers, body: Bytes(self.body()) }
    }

    /// What a body's system, or a body's clerk, might send.
    fn body(&mut self) -> Vec<u8> {
        let kind = if self.temper == Temper::Kind { 8 } else { self.numbers.below(12) };
        match kind {
            0 => Vec::new(),
            1 => b"<html><body>503 canary-page</body></html>".to_vec(),
            2 => (0..300).map(|_| self.numbers.next() as u8).collect(),
            3 => vec![b'a'; 4 << 20],
            4 => b"[".repeat(100_000),
            5 => b"PK\x03\x04 canary-workbook".to_vec(),
            6 => b"{\"reference\": \"canary-cut".to_vec(),
            7 | 9 => self.table().into_bytes(),
            10 => b"null".to_vec(),
            _ => self.object().into_bytes(),
        }
    }

    fn object(&mut self) -> String {
        let mut person = serde_json::Map::new();
        for field in &self.manifest.roster {
            person.insert(field.code().to_owned(), format!("{CANARY}{}", field.code()).into());
        }
        let number = self.numbers.below(1_000);
        let states = ["accepted", "rejected", "closed", "pending"];
        let state = self.numbers.one_of(states);
        let item = serde_json::json!({
            "reference": format!("R-{number}"), "external_reference": format!("R-{number}"),
            "referral": format!("sites/site-1/referrals/ref-{number}"), "status": state, "decision": state,
            "remark": format!("{CANARY}remark"), "decided_at": "2026-03-16T08:00:00+08:00",
        });
        let cursor = if self.numbers.below(2) == 0 { String::new() } else { number.to_string() };
        serde_json::json!({
            "reference": format!("R-{number}"), "id": number, "status": state, "items": [item],
            "acknowledgements": [item], "people": [person], "entries": [person], "cursor": cursor,
        })
        .to_string()
    }

    fn table(&mut self) -> String {
        let head: Vec<&str> = self.manifest.roster.iter().map(|field| field.code()).collect();
        let mut table = format!("\u{feff}{},referral,decision,remark\r\n", head.join(","));
        for row in 0..self.numbers.below(20) {
            let cells: Vec<String> = head.iter().map(|code| format!("{CANARY}{code}-{row}")).collect();
            table.push_str(&format!(
                "{},sites/site-1/referrals/ref-{row},accepted,\"a,\n\"\"b\"\"\"\n",
                cells.join(",")
            ));
        }
        table
    }

    fn files(&mut self) -> Vec<String> {
        let count = if self.temper == Temper::Kind { 2 } else { self.numbers.one_of([0, 1, 5, 300]) };
        let ends = ["csv", "xlsx", "CSV", "tmp", "部分", "csv.gz"];
        let mut names: Vec<String> = (0..count)
            .zip(ends.into_iter().cycle())
            .map(|(number, end)| format!("名单 {number}.{end}"))
            .collect();
        names.extend((0..count).map(|number| format!("acknowledgements-{number}.csv")));
        names.sort();
        names
    }
}

/// How long a call of a made-up run may take: far more than any needs.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
