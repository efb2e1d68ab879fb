//! The engine against the oracle on random histories, and planted faults that this must notice.

use std::collections::BTreeMap;

use crate::kind::EventKind;
use crate::mutant::{ALL, Mutant, with};
use crate::obligation::{Excuse, Obligation, ObligationStatus};
use crate::standard::Duty;
use crate::testing::history::History;
use crate::testing::oracle::oracle;
use crate::time::DateRange;

/// Set to another number to try other histories.
const SEED: u64 = 20_260_316;
const HISTORIES: u64 = 40_000;
/// How often each status, kind of duty and kind of pause overlap must have occurred.
const AT_LEAST: u64 = 200;
/// How many histories a planted fault may survive.
const MUTANT_HISTORIES: u64 = 6_000;

#[test]
fn the_oracle_agrees_on_random_histories() {
    println!("seed {SEED}, histories {HISTORIES}");
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in SEED..SEED + HISTORIES {
        let history = History::random(seed);
        match disagreement(&history) {
            None => count(&history, &mut seen),
            Some(_) => {
                let small = shrink(history);
                panic!("seed {seed}: {}\n{small:#?}", disagreement(&small).unwrap_or_default());
            }
        }
    }
    println!("{seen:#?}");
    for name in expected() {
        let times = seen.get(&name).copied().unwrap_or(0);
        assert!(times >= AT_LEAST, "`{name}` occurred {times} times only");
    }
}

#[test]
fn every_planted_fault_is_noticed() {
    println!("seed {SEED}, at most {MUTANT_HISTORIES} histories each");
    assert!(ALL.len() >= 15);
    let survives = |mutant: &&Mutant| {
        (SEED..SEED + MUTANT_HISTORIES).all(|seed| {
            let history = History::random(seed);
            let truth = oracle(&history);
            with(**mutant, || history.engine()) == truth
        })
    };
    let survivors: Vec<&Mutant> = ALL.iter().filter(survives).collect();
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}

/// What the engine says otherwise than the oracle.
fn disagreement(history: &History) -> Option<String> {
    let (engine, oracle) = (history.engine(), oracle(history));
    if engine == oracle {
        return None;
    }
    let (Ok(engine), Ok(oracle)) = (&engine, &oracle) else {
        return Some(format!("engine {engine:?}\noracle {oracle:?}"));
    };
    let only = |these: &[Obligation], those: &[Obligation]| {
        let lines = these.iter().filter(|o| !those.contains(o)).map(line);
        lines.collect::<Vec<_>>().join("\n  ")
    };
    Some(format!("engine\n  {}\noracle\n  {}", only(engine, oracle), only(oracle, engine)))
}

fn line(o: &Obligation) -> String {
    format!(
        "{} v{} {:?} {:?} {}..{} {}/{} {:?} days {}/{} {} {:?} {:?} met {:?} next {:?} accepts {:?}",
        o.standard.code,
        o.standard.version,
        o.opening,
        o.window,
        o.start,
        o.due,
        o.credited,
        o.required,
        o.credits,
        o.active_days,
        o.eligible_days,
        o.status.code(),
        o.excuse,
        o.flags,
        o.met_at,
        o.next_change_at,
        o.accepts
    )
}

/// Leaves out whatever the disagreement does not need.
fn shrink(mut history: History) -> History {
    loop {
        let mut smaller: Vec<History> = Vec::new();
        macro_rules! without_each {
            ($field:ident) => {
                for position in 0..history.$field.len() {
                    let mut candidate = history.clone();
                    candidate.$field.remove(position);
                    smaller.push(candidate);
                }
            };
        }
        without_each!(standards);
        without_each!(memberships);
        without_each!(attention);
        without_each!(waivers);
        without_each!(records);
        without_each!(events);
        without_each!(pauses);
        match smaller.into_iter().find(|candidate| disagreement(candidate).is_some()) {
            Some(candidate) => history = candidate,
            None => return history,
        }
    }
}

/// What a history contributed.
fn count(history: &History, seen: &mut BTreeMap<String, u64>) {
    let found = match history.engine() {
        Ok(found) => found,
        Err(error) => return *seen.entry(format!("error {}", error_name(&error))).or_default() += 1,
    };
    let mut names: Vec<String> = Vec::new();
    for o in &found {
        names.push(format!("status {}", o.status.code()));
        names.push(format!("duty {}", duty_name(o)));
        names.extend(o.flags.late_entry.then(|| "flag late_entry".to_owned()));
        names.extend(o.flags.late_pause.then(|| "flag late_pause".to_owned()));
        names.extend(o.excuse.as_ref().map(|excuse| format!("excuse {}", excuse_name(excuse))));
        if o.status == ObligationStatus::Met && o.credits.iter().any(|id| substitute(history, o, id)) {
            names.push("substitute credited".to_owned());
        }
        if o.standard.pausable {
            names.extend(overlaps(history, o.window).into_iter().map(|kind| format!("overlap {kind}")));
        }
    }
    for name in names {
        *seen.entry(name).or_default() += 1;
    }
}

fn expected() -> Vec<String> {
    let mut names: Vec<String> =
        ObligationStatus::ALL.iter().map(|status| format!("status {}", status.code())).collect();
    let duties = [
        "recurring",
        "recurring distinct days",
        "every days",
        "seasonal",
        "triggered",
        "ladder",
        "pause check",
        "recording",
    ];
    names.extend(duties.iter().map(|duty| format!("duty {duty}")));
    let overlaps = ["whole window", "start", "end", "inside", "several", "late", "late confirmed", "overdue"];
    names.extend(overlaps.iter().map(|kind| format!("overlap {kind}")));
    names.extend(["flag late_entry", "flag late_pause"].map(str::to_owned));
    names.extend(["excuse pause", "excuse waiver", "excuse ended"].map(str::to_owned));
    names.extend(["substitute credited", "error missing year"].map(str::to_owned));
    names
}

fn error_name(error: &crate::calendar::CalendarError) -> &'static str {
    match error {
        crate::calendar::CalendarError::MissingYear { .. } => "missing year",
        crate::calendar::CalendarError::UnknownOccasion { .. } => "unknown occasion",
    }
}

fn excuse_name(excuse: &Excuse) -> &'static str {
    match excuse {
        Excuse::Pause(_) => "pause",
        Excuse::Waiver => "waiver",
        Excuse::Ended => "ended",
    }
}

fn duty_name(o: &Obligation) -> &'static str {
    match &o.standard.duty {
        Duty::Recurring { per: crate::standard::Period::EveryDays(_), .. } => "every days",
        Duty::Recurring { distinct_days: true, .. } => "recurring distinct days",
        Duty::Recurring { .. } => "recurring",
        Duty::Triggered { on: EventKind::ContactNotReached, .. } => "ladder",
        Duty::Triggered { on: EventKind::PauseOverdue, .. } => "pause check",
        Duty::Triggered { on: EventKind::ServiceDone, .. } => "recording",
        Duty::Triggered { .. } => "triggered",
        Duty::Seasonal { .. } => "seasonal",
    }
}

fn substitute(history: &History, o: &Obligation, id: &crate::id::RecordId) -> bool {
    let record = history.records.iter().find(|record| record.id == *id);
    record.is_some_and(|record| !o.standard.accepts.contains(record.kind))
}

/// How pauses lie to a window.
fn overlaps(history: &History, window: DateRange) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let end = history.calendar.zone().start_of(window.end());
    let mut touching = 0;
    for pause in history.pauses.iter().filter(|pause| pause.recorded_at <= history.now) {
        let days = pause.days(history.now);
        let both = days.intersect(window);
        if both.is_empty() {
            continue;
        }
        touching += 1;
        kinds.push(match (both.start() == window.start(), both.end() == window.end()) {
            (true, true) => "whole window",
            (true, false) => "start",
            (false, true) => "end",
            (false, false) => "inside",
        });
        if pause.recorded_at >= end {
            let confirmed = pause.confirmed_at.is_some_and(|at| at <= history.now);
            kinds.push(if confirmed { "late confirmed" } else { "late" });
        }
        if pause.ended.is_none() && window.contains(pause.expected_return) {
            kinds.push("overdue");
        }
    }
    if touching > 1 {
        kinds.push("several");
    }
    kinds
}
