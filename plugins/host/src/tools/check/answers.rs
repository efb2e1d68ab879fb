//! What the header asks of every record, looked at one rule at a time; the host itself (`answer`) refuses an answer at
//! its first fault and cannot say which rules a plugin keeps.

use std::collections::BTreeMap;

use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use super::people::{self, Person, Style, Values};
use super::raw::{Answer, Subject, key};
use super::{Case, Stop, failed};
use crate::instance::Question;
use crate::manifest::Manifest;
use crate::tools::numbers::Numbers;

/// Residents of one batch.
const ROWS: usize = 256;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Row,
    Kind,
    Ordinal,
    Reason,
    Since,
    Until,
    Member,
}

pub(super) fn rows(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Row)
}

pub(super) fn kinds(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Kind)
}

pub(super) fn ordinals(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Ordinal)
}

pub(super) fn reasons(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Reason)
}

pub(super) fn since(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Since)
}

pub(super) fn until(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Until)
}

pub(super) fn members(case: &Case) -> Result<(), Stop> {
    none(case, Fault::Member)
}

/// At most one membership per group, and nothing said twice, about one resident.
pub(super) fn twice(case: &Case) -> Result<(), Stop> {
    each_answer(case, |_, people, what, answer| {
        let mut said = BTreeMap::new();
        for record in answer.records.iter().filter(|record| (record.resident as usize) < people.len()) {
            let reason = if record.kind == abi::F_MEMBERSHIP { abi::NO_REASON } else { record.reason };
            let until = if record.kind == abi::F_EXPIRES { record.until } else { 0 };
            let known = (record.resident, record.kind, record.ordinal, reason, until);
            if record.kind != abi::F_EXPIRES && said.insert(known, ()).is_some() {
                let (row, kind) = (record.resident, kind_name(record.kind));
                return failed(format!("{what}: resident {row}: {kind} {} is said twice", record.ordinal));
            }
        }
        Ok(())
    })
}

/// Every call on made-up residents succeeds, whatever their facts.
pub(super) fn wild(case: &Case) -> Result<(), Stop> {
    each_answer(case, |_, _, what, answer| match answer.status {
        abi::OK => Ok(()),
        abi::E_PANIC => failed(format!("{what}: it panicked: {}", answer.said())),
        status => failed(format!("{what}: status {status}: {}", answer.said())),
    })
}

fn none(case: &Case, fault: Fault) -> Result<(), Stop> {
    each_answer(case, |manifest, people, what, answer| {
        let question = if what.starts_with("validate") { Question::Validate } else { Question::Assess };
        for record in &answer.records {
            let found = faults(manifest, people, question, record);
            if let Some((_, text)) = found.into_iter().find(|(found, _)| *found == fault) {
                let person = people.get(record.resident as usize);
                let today =
                    person.map(|person| format!(" (today {})", day(person.today))).unwrap_or_default();
                return failed(format!("{what}: resident {}{today}: {text}", record.resident));
            }
        }
        Ok(())
    })
}

/// Asks both questions about batches of made-up residents, and looks at every answer.
fn each_answer(
    case: &Case,
    look: impl Fn(&Manifest, &[Person], &str, &Answer) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    live.rules()?;
    let mut numbers = Numbers::new(case.seed);
    for round in 0..case.rounds(24) {
        let values = if round % 2 == 0 { Values::Ordinary } else { Values::Wild };
        let people = people::people(&subject.manifest, &mut numbers, ROWS, values);
        let batch = people::batch(&subject.manifest, &people, Style::default());
        for (question, name) in QUESTIONS {
            let answer = live.ask(question, &batch);
            look(&subject.manifest, &people, &format!("{name}, batch {round}"), &answer)?;
        }
    }
    Ok(())
}

/// Both questions and what they are called.
pub(super) const QUESTIONS: [(Question, &str); 2] =
    [(Question::Assess, "assess"), (Question::Validate, "validate")];

fn faults(
    manifest: &Manifest,
    people: &[Person],
    question: Question,
    record: &abi::Finding,
) -> Vec<(Fault, String)> {
    let mut faults = Vec::new();
    let mut add = |fault: Fault, text: String| faults.push((fault, text));
    let Some(person) = people.get(record.resident as usize) else {
        return vec![(Fault::Row, format!("the batch has {} residents", people.len()))];
    };
    let table = match (question, record.kind) {
        (Question::Assess, abi::F_MEMBERSHIP) => manifest.groups.len(),
        (Question::Assess, abi::F_TIER) => 3,
        (Question::Assess, abi::F_TAG) => manifest.tags.len(),
        (Question::Assess, abi::F_CAUTION) => manifest.cautions.len(),
        (Question::Assess, abi::F_EXPIRES) => 1,
        (Question::Validate, abi::F_ISSUE) => manifest.fields.len(),
        (Question::Assess, abi::F_ISSUE) => {
            return vec![(Fault::Kind, "an ISSUE belongs to `validate`".to_owned())];
        }
        (Question::Validate, abi::F_MEMBERSHIP..=abi::F_EXPIRES) => {
            let kind = kind_name(record.kind);
            return vec![(Fault::Kind, format!("{kind} belongs to `assess`; `validate` answers with ISSUE"))];
        }
        (Question::Assess | Question::Validate, kind) => {
            return vec![(Fault::Kind, format!("there is no kind {kind}"))];
        }
    };
    let kind = kind_name(record.kind);
    if usize::from(record.ordinal) >= table {
        add(Fault::Ordinal, format!("{kind} {} of a table of {table}", record.ordinal));
    }
    let reasons = manifest.reasons.len();
    if record.reason == abi::NO_REASON {
        if record.kind != abi::F_EXPIRES {
            add(Fault::Reason, format!("{kind} {} without a reason", record.ordinal));
        }
    } else if usize::from(record.reason) >= reasons {
        add(Fault::Reason, format!("reason {} of a table of {reasons}", record.reason));
    }
    let range = abi::DATE_FIRST..=abi::DATE_LAST;
    let has_since = matches!(record.kind, abi::F_MEMBERSHIP | abi::F_TIER | abi::F_TAG);
    let has_until = matches!(record.kind, abi::F_MEMBERSHIP | abi::F_EXPIRES);
    if has_since && record.since != abi::NO_DATE {
        if !range.contains(&record.since) {
            add(Fault::Since, format!("{kind}: `since` is day {}, which is no date here", record.since));
        } else if record.since > person.today {
            add(Fault::Since, format!("{kind}: `since` {} lies after today", day(record.since)));
        }
    }
    if has_until && record.until != abi::NO_DATE {
        if !range.contains(&record.until) {
            add(Fault::Until, format!("{kind}: `until` is day {}, which is no date here", record.until));
        } else if record.until <= person.today {
            add(Fault::Until, format!("{kind}: `until` {} does not lie after today", day(record.until)));
        }
    }
    if record.kind == abi::F_EXPIRES && record.until == abi::NO_DATE {
        add(Fault::Until, "EXPIRES without its date".to_owned());
    }
    if !has_since && record.since != abi::NO_DATE {
        add(Fault::Member, format!("{kind} has no `since`: it is LINLI_NO_DATE"));
    }
    if !has_until && record.until != abi::NO_DATE {
        add(Fault::Member, format!("{kind} has no `until`: it is LINLI_NO_DATE"));
    }
    if record.reserved_a != 0 || record.reserved_b != 0 {
        add(Fault::Member, format!("{kind}: a reserved member is not 0"));
    }
    let basis_max = if record.kind == abi::F_MEMBERSHIP { abi::BASIS_CERTIFICATE } else { 0 };
    if record.basis > basis_max {
        add(Fault::Member, format!("{kind}: `basis` is {}", record.basis));
    }
    faults
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        abi::F_MEMBERSHIP => "MEMBERSHIP",
        abi::F_TIER => "TIER",
        abi::F_TAG => "TAG",
        abi::F_CAUTION => "CAUTION",
        abi::F_EXPIRES => "EXPIRES",
        abi::F_ISSUE => "ISSUE",
        _ => "a record",
    }
}

fn day(days: i32) -> String {
    CivilDate::from_days(days).map_or_else(|_| format!("day {days}"), |date| date.to_string())
}

/// Where two sorted answers differ first, for a message.
pub(super) fn difference(one: &[abi::Finding], other: &[abi::Finding]) -> Option<String> {
    let shown = |record: Option<&abi::Finding>| {
        record.map_or_else(
            || "nothing more".to_owned(),
            |record| format!("resident {}: {} {}", record.resident, kind_name(record.kind), record.ordinal),
        )
    };
    let at = one.iter().map(key).zip(other.iter().map(key)).position(|(a, b)| a != b);
    let at = at.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))?;
    Some(format!(
        "{} and {} records, first different: {} against {}",
        one.len(),
        other.len(),
        shown(one.get(at)),
        shown(other.get(at))
    ))
}
