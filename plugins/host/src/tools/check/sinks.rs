//! Rules about the sink and about being told to stop.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use linli_plugin_abi as abi;

use super::answers::{QUESTIONS, difference};
use super::batches::{LARGE, ok};
use super::people::{self, Style, Values};
use super::raw::{Ask, Growth, Subject, key};
use super::watch::Computed;
use super::{Case, Stop, failed};
use crate::tools::numbers::Numbers;

/// How long a plugin may compute after it was told to stop: as long as the host waits after a deadline, twice.
const STOPS_WITHIN: Duration = Duration::from_millis(50);

/// It writes where there is room and nowhere else, and asks for room when there is none.
pub(super) fn sink(case: &Case) -> Result<(), Stop> {
    growing(case, Growth::Stays)
}

/// `items` may move when the sink grows.
pub(super) fn grow(case: &Case) -> Result<(), Stop> {
    growing(case, Growth::Moves)
}

fn growing(case: &Case, growth: Growth) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 300, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let plain = ok(name, live.ask(question, &batch))?;
        for cap in [0, 1, 7, plain.records.len().saturating_sub(1) as u32] {
            let what = format!("{name}, {cap} records of room at first");
            let ask = Ask { cap: Some(cap), growth, ..Ask::default() };
            let answer = live.ask_at(question, batch.as_ptr(), batch.rows(), &ask);
            let lost = plain.records.len() != answer.records.len() && answer.grown == 0;
            match growth {
                Growth::Stays => {
                    if let Some(spoiled) = &answer.spoiled {
                        return failed(format!("{what}: {spoiled}"));
                    }
                    if lost {
                        return failed(format!("{what}: it stops there and does not call `grow`"));
                    }
                    if answer.asked_too_little {
                        return failed(format!("{what}: it calls `grow` with no more than `cap`"));
                    }
                    ok(&what, answer)?;
                }
                // What it does without ever asking for room is another rule's.
                Growth::Moves if answer.grown > 0 => {
                    if let Some(spoiled) = answer.spoiled.as_ref().filter(|text| text.contains("moved")) {
                        return failed(format!("{what}: {spoiled}"));
                    }
                    if let Some(difference) = difference(&plain.records, &ok(&what, answer)?.records) {
                        return failed(format!("{what}, which then moves: {difference}"));
                    }
                }
                Growth::Moves | Growth::Refuses => {}
            }
        }
    }
    Ok(())
}

/// A sink that does not grow ends the call.
pub(super) fn full(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 300, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let records = ok(name, live.ask(question, &batch))?.records.len() as u32;
        for cap in [0, 1, records / 2, records.saturating_sub(1)] {
            let ask = Ask { cap: Some(cap), growth: Growth::Refuses, ..Ask::default() };
            let answer = live.ask_at(question, batch.as_ptr(), batch.rows(), &ask);
            if answer.grown > 0 && answer.status != abi::E_FULL {
                return failed(format!(
                    "{name}, {cap} records of room and no more: status {}, not LINLI_E_FULL",
                    answer.status
                ));
            }
        }
    }
    Ok(())
}

/// Records of a host whose records are larger: refused, or written at their step.
pub(super) fn item_size(case: &Case) -> Result<(), Stop> {
    const STEP: u32 = 32;
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 60, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let plain = ok(name, live.ask(question, &batch))?.records;
        if plain.len() < 2 {
            continue; // where one record ends does not show
        }
        let ask = Ask { item_size: Some(STEP), ..Ask::default() };
        let answer = live.ask_at(question, batch.as_ptr(), batch.rows(), &ask);
        if matches!(answer.status, abi::E_INVALID | abi::E_UNSUPPORTED) {
            continue;
        }
        // Its records as they lie at the host's step.
        let words: Vec<u32> = answer.records.iter().flat_map(record_words).collect();
        let stepped = words.chunks(STEP as usize / 4).filter_map(|words| words.get(..6));
        let first = plain.iter().map(|record| record_words(record).to_vec());
        if !stepped.zip(first).all(|(found, expected)| found == expected) {
            return failed(format!(
                "{name}: `item_size` is {STEP}, and it writes records of {}: it neither keeps the step nor refuses",
                size_of::<abi::Finding>()
            ));
        }
    }
    Ok(())
}

fn record_words(record: &abi::Finding) -> [u32; 6] {
    let (resident, kind, ordinal, reason, since, until, basis, reserved_a, reserved_b) = key(record);
    [
        resident,
        u32::from(kind) | u32::from(basis) << 8 | u32::from(ordinal) << 16,
        u32::from(reason) | u32::from(reserved_a) << 16,
        since as u32,
        until as u32,
        reserved_b,
    ]
}

/// It stops when it is told to, at once and on the way.
pub(super) fn cancel(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), LARGE / 4, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let told = AtomicU32::new(1);
        let ask = Ask { cancel: Some(&told), ..Ask::default() };
        let answer = live.ask_at(question, batch.as_ptr(), batch.rows(), &ask);
        if answer.status != abi::E_CANCELLED {
            return failed(format!(
                "{name}: `cancel` was set from the start, and it answers {} after {} residents",
                answer.status,
                batch.rows()
            ));
        }
        let (told, begins, clock) = (AtomicU32::new(0), AtomicBool::new(false), Computed::of_this_thread());
        let (set, answer) = thread::scope(|scope| {
            let setter = scope.spawn(|| {
                while !begins.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_micros(300));
                told.store(1, Ordering::Release);
                clock.now()
            });
            let ask = Ask { cancel: Some(&told), begins: Some(&begins), ..Ask::default() };
            let answer = live.ask_at(question, batch.as_ptr(), batch.rows(), &ask);
            begins.store(true, Ordering::Release); // also where it never began
            (setter.join().unwrap_or_default(), answer)
        });
        // What the thread computed when it was told to, until the plugin returned; the check's own work does not count.
        let (begun, ended) = answer.computed;
        let late = ended.saturating_sub(set.max(begun));
        if !matches!(answer.status, abi::OK | abi::E_CANCELLED) {
            return failed(format!("{name}: told to stop, it ends with status {}", answer.status));
        }
        if late > STOPS_WITHIN {
            return failed(format!("{name}: told to stop, it computes for {} ms more", late.as_millis()));
        }
    }
    Ok(())
}
