//! Through the host itself: what the plugin answers is accepted, in this process and in one of its own.

use std::fs;
use std::time::Duration;

use linli_core::assessment::Findings;
use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use super::people::{self, Cell, Person, Values};
use super::{Case, Stop, failed};
use crate::error::LoadCause;
use crate::manifest::Isolation;
use crate::tools::numbers::Numbers;
use crate::tools::scenario;
use crate::{Batch, Plugin, RowFact, Sources, place};

/// How long a call may take: far more than any rules need.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn in_process(case: &Case) -> Result<(), Stop> {
    let plugin = load(case)?;
    answers(case, &plugin).map(|_| ())
}

/// In a process of its own it finds what it finds in this one.
pub(super) fn child(case: &Case) -> Result<(), Stop> {
    let there = place::open(&case.library, Isolation::Child, &Sources::default()).map_err(|refusal| {
        let text = format!("{}; {}", refusal.reason, refusal.help);
        if refusal.cause == LoadCause::NoRunner { Stop::NotRun(text) } else { Stop::Failed(text) }
    })?;
    let (here, there) = (answers(case, &load(case)?)?, answers(case, &there)?);
    match here.iter().zip(&there).position(|(here, there)| here != there) {
        None => Ok(()),
        Some(row) => failed(format!("made-up resident {row} gets another answer in a process of its own")),
    }
}

pub(super) fn scenarios(case: &Case) -> Result<(), Stop> {
    let Some(path) = &case.scenarios else {
        return Err(Stop::NotRun("no `scenarios.txt` lies beside the manifest".to_owned()));
    };
    let table =
        fs::read_to_string(path).map_err(|error| format!("`scenarios.txt` cannot be read: {error}"))?;
    let plugin = load(case)?;
    scenario::run(&plugin, &table, DEADLINE).map(|_| ()).map_err(Stop::Failed)
}

/// The plugin on threads of this process.
fn load(case: &Case) -> Result<Plugin, Stop> {
    place::open(&case.library, Isolation::InProcess, &Sources::default())
        .map_err(|refusal| refusal.reason.into())
}

/// What the plugin finds about made-up residents.
fn answers(case: &Case, plugin: &Plugin) -> Result<Vec<Findings>, Stop> {
    let mut numbers = Numbers::new(case.seed);
    let mut all = Vec::new();
    for round in 0..case.rounds(6) {
        let values = if round % 2 == 0 { Values::Ordinary } else { Values::Wild };
        let people = people::people(plugin.manifest(), &mut numbers, 500, values);
        let said = |error: crate::CallError| format!("batch {round}: {error}");
        let answer = plugin.assess(batch(plugin, &people)?, DEADLINE).map_err(said)?;
        all.extend(scenario::findings(&answer)?);
        plugin.validate(batch(plugin, &people)?, DEADLINE).map_err(said)?;
    }
    Ok(all)
}

fn batch(plugin: &Plugin, people: &[Person]) -> Result<Batch, Stop> {
    let manifest = plugin.manifest();
    let mut batch = plugin.batch();
    for person in people {
        let set = manifest.parameters.iter().zip(&person.parameters);
        let set = set.map(|(parameter, cell)| {
            (parameter.code.as_str().to_owned(), value(cell, |ordinal| code(&parameter.values, ordinal)))
        });
        batch.parameters(&set.collect()).map_err(|problems| format!("{problems:?}"))?;
        let known = manifest.fields.iter().zip(&person.facts);
        let facts: Vec<(&str, FactValue, i32)> = known
            .filter_map(|(field, fact)| {
                let (cell, since) = fact.as_ref()?;
                Some((field.code.as_str(), value(cell, |ordinal| code(&field.values, ordinal)), *since))
            })
            .collect();
        let rows = facts.iter().map(|(field, value, since)| {
            let since = if *since == abi::NO_DATE { None } else { Some(date(*since)) };
            RowFact { field, value, since }
        });
        batch.push(date(person.today), rows).map_err(|problems| format!("{problems:?}"))?;
    }
    Ok(batch.finish())
}

fn value(cell: &Cell, code: impl Fn(u32) -> String) -> FactValue {
    match cell {
        Cell::Bool(yes) => FactValue::Bool(*yes != 0),
        Cell::Integer(number) => FactValue::Integer(*number),
        Cell::Date(days) => FactValue::Date(date(*days)),
        Cell::Code(ordinal) => FactValue::Code(code(*ordinal)),
        Cell::Text(text) => FactValue::Text(text.clone()),
    }
}

fn code(values: &[crate::manifest::CodeValue], ordinal: u32) -> String {
    values.get(ordinal as usize).map(|value| value.code.clone()).unwrap_or_default()
}

fn date(days: i32) -> CivilDate {
    CivilDate::from_days(days).expect("made-up days lie between the first and the last date")
}
