//! Rules about batches: what a plugin may rely on, and that only a resident's own row decides.

use linli_plugin_abi as abi;
use linli_plugin_abi::encode::Batch;

use super::answers::{QUESTIONS, difference};
use super::people::{self, Person, Style, Values, newer, put, u32_at, words};
use super::raw::{Answer, Ask, Live, Subject};
use super::watch::Guarded;
use super::{Case, Stop, failed};
use crate::instance::Question;
use crate::tools::numbers::Numbers;

/// Residents in a batch that is compared.
const ROWS: usize = 203;
/// Residents in a large batch: as many as a host may send at once.
pub(super) const LARGE: usize = 65_536;
/// Calls after which an instance still answers as at first.
const REPEATED: usize = 4_000;

pub(super) fn empty(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let batch = people::batch(&subject.manifest, &[], Style::default());
    for (question, name) in QUESTIONS {
        let answer = ok(name, live.ask(question, &batch))?;
        if !answer.records.is_empty() {
            return failed(format!("{name}: it says {} things about nobody", answer.records.len()));
        }
    }
    Ok(())
}

pub(super) fn large(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), LARGE, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        ok(name, live.ask(question, &batch))?;
    }
    Ok(())
}

pub(super) fn absent(case: &Case) -> Result<(), Stop> {
    same(case, "with garbage where no value is", |_, people| {
        (people.to_vec(), Style { garbage: true, ..Style::default() })
    })
}

pub(super) fn encodings(case: &Case) -> Result<(), Stop> {
    same(case, "with a bitmap and dates for every column and one element for each row", |_, people| {
        (people.to_vec(), Style { verbose: true, ..Style::default() })
    })?;
    // Columns of one element: the same resident again and again.
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for _ in 0..case.rounds(24) {
        let one = people::people(&subject.manifest, &mut numbers, 1, Values::Ordinary);
        let people: Vec<Person> = one.into_iter().cycle().take(21).collect();
        let constant = Style { constant: true, ..Style::default() };
        let batches =
            [Style::default(), constant].map(|style| people::batch(&subject.manifest, &people, style));
        compare(&live, &batches, "with LINLI_COL_CONSTANT where all rows have one value")?;
    }
    Ok(())
}

pub(super) fn larger_batch(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for _ in 0..case.rounds(6) {
        let people = people::people(&subject.manifest, &mut numbers, ROWS, Values::Ordinary);
        let batch = people::batch(&subject.manifest, &people, Style::default());
        let grown = newer(&batch);
        for (question, name) in QUESTIONS {
            let plain = ok(name, live.ask(question, &batch))?.sorted();
            let other = live.ask_at(question, grown.as_ptr().cast(), batch.rows(), &Ask::default());
            let text =
                "header and columns of a newer host, with their sizes in `header_size` and `column_size`";
            let other = ok(&format!("{name}, {text}"), other)?.sorted();
            if let Some(difference) = difference(&plain, &other) {
                return failed(format!("{name} answers otherwise with {text}: {difference}"));
            }
        }
    }
    Ok(())
}

pub(super) fn larger_structs(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let (plain, larger) = (subject.create()?, subject.create_on(true)?);
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), ROWS, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let one = ok(name, plain.ask(question, &batch))?.sorted();
        let newer = Ask { larger: true, ..Ask::default() };
        let what = format!("{name}, structs with members after those of ABI 1.0");
        let answer = larger.ask_at(question, batch.as_ptr(), batch.rows(), &newer);
        if let Some(spoiled) = &answer.spoiled {
            return failed(format!("{what}: {spoiled}"));
        }
        if let Some(difference) = difference(&one, &ok(&what, answer)?.sorted()) {
            return failed(format!("{what}: {difference}"));
        }
    }
    Ok(())
}

/// Damage that a plugin must notice: at which byte, what is written, and what it is. Offsets below 32 are in the header,
/// the others in the first column.
const DAMAGE: &[(usize, u32, &str)] = &[
    (0, 0x1234_5678, "another magic number"),
    (4, 0x0020_0002, "another version"),
    (16, 1_000, "1000 fields"),
    (20, 1_000, "1000 parameters"),
    (24, 0x7FFF_FFF8, "columns beyond the end"),
    (32, 5, "`today` of type text"),
    (36, 0x7FFF_FFF8, "values beyond the end"),
    (40, 0x7FFF_FFF8, "a bitmap beyond the end"),
    (48, 0x7FFF_FFF8, "dates beyond the end"),
];

pub(super) fn wrong_batch(case: &Case) -> Result<(), Stop> {
    damaged(case, |what, answer| match answer.status {
        abi::E_INVALID => Ok(()),
        abi::OK => failed(format!("{what}: it answers LINLI_OK, not LINLI_E_INVALID")),
        status => failed(format!("{what}: it answers {status}, not LINLI_E_INVALID")),
    })
}

pub(super) fn says_why(case: &Case) -> Result<(), Stop> {
    damaged(case, |what, answer| match (answer.status, answer.errors.last()) {
        (abi::OK, _) | (_, Some(_)) => Ok(()),
        (status, None) => {
            failed(format!("{what}: it fails with status {status} and says nothing through `error`"))
        }
    })
}

fn damaged(case: &Case, look: impl Fn(&str, &Answer) -> Result<(), Stop>) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 50, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let columns = u32_at(batch.as_bytes(), 24) as usize;
    for (at, value, what) in DAMAGE {
        let mut bytes = batch.as_bytes().to_vec();
        let at = if *at < 32 { *at } else { columns + at - 32 };
        put(&mut bytes, at, *value);
        let bytes = words(&bytes);
        for (question, name) in QUESTIONS {
            let answer = live.ask_at(question, bytes.as_ptr().cast(), 50, &Ask::default());
            look(&format!("{name} on a batch with {what}"), &answer)?;
        }
    }
    Ok(())
}

pub(super) fn read_only(case: &Case) -> Result<(), Stop> {
    guarded(case, false)
}

pub(super) fn in_bounds(case: &Case) -> Result<(), Stop> {
    guarded(case, true)
}

/// Asks about batches in memory that ends the process where it is written to, or read beyond its end.
fn guarded(case: &Case, tight: bool) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for rows in [1, 7, 8, 64, ROWS] {
        let people = people::people(&subject.manifest, &mut numbers, rows, Values::Ordinary);
        let batch = people::batch(&subject.manifest, &people, Style::default());
        let memory = Guarded::new(batch.as_bytes(), tight)?;
        for (question, name) in QUESTIONS {
            ok(name, live.ask_at(question, memory.as_ptr().cast(), batch.rows(), &Ask::default()))?;
        }
    }
    Ok(())
}

pub(super) fn repeat(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 12, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    for (question, name) in QUESTIONS {
        let first = ok(name, live.ask(question, &batch))?;
        for call in 2..=REPEATED {
            let again = ok(name, live.ask(question, &batch))?;
            if let Some(difference) = difference(&first.records, &again.records) {
                return failed(format!(
                    "{name}: call {call} on one instance answers otherwise: {difference}"
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn instances_agree(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), ROWS, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let first = subject.create()?;
    for (question, name) in QUESTIONS {
        let one = ok(name, first.ask(question, &batch))?;
        for number in 2..10 {
            let other = subject.create()?;
            if let Some(difference) =
                difference(&one.records, &ok(name, other.ask(question, &batch))?.records)
            {
                return failed(format!("{name}: instance {number} answers otherwise: {difference}"));
            }
        }
    }
    Ok(())
}

/// A resident's answer depends on their row alone: turned around, split and among others it is the same.
pub(super) fn alone(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for _ in 0..case.rounds(4) {
        let people = people::people(&subject.manifest, &mut numbers, ROWS, Values::Ordinary);
        let mut order: Vec<usize> = (0..people.len()).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, numbers.below(index as u64 + 1) as usize);
        }
        for (question, name) in QUESTIONS {
            let whole = answer_in(&live, question, name, &people, &(0..people.len()).collect::<Vec<_>>())?;
            let parts = [1, 8, 50].map(|size| order.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>());
            for part in parts.into_iter().flatten().chain([order.clone()]) {
                let found = answer_in(&live, question, name, &people, &part)?;
                let mut expected = whole.clone();
                expected.retain(|record| part.contains(&(record.resident as usize)));
                if let Some(difference) = difference(&expected, &found) {
                    return failed(format!(
                        "{name}: {} of {} residents, in another order, get other answers: {difference}",
                        part.len(),
                        people.len()
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The answer about some of the residents, with their numbers among all.
fn answer_in(
    live: &Live<'_>,
    question: Question,
    name: &str,
    people: &[Person],
    part: &[usize],
) -> Result<Vec<abi::Finding>, Stop> {
    let chosen: Vec<Person> = part.iter().filter_map(|index| people.get(*index).cloned()).collect();
    let batch = people::batch(live.manifest(), &chosen, Style::default());
    let mut answer = ok(name, live.ask(question, &batch))?;
    answer.records.retain_mut(|record| match part.get(record.resident as usize) {
        Some(index) => {
            record.resident = *index as u32;
            true
        }
        None => false,
    });
    Ok(answer.sorted())
}

/// Batches that say the same have the same answers.
fn same(
    case: &Case,
    how: &str,
    other: impl Fn(&mut Numbers, &[Person]) -> (Vec<Person>, Style),
) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for _ in 0..case.rounds(12) {
        let people = people::people(&subject.manifest, &mut numbers, ROWS, Values::Ordinary);
        let (others, style) = other(&mut numbers, &people);
        let batches = [
            people::batch(&subject.manifest, &people, Style::default()),
            people::batch(&subject.manifest, &others, style),
        ];
        compare(&live, &batches, how)?;
    }
    Ok(())
}

fn compare(live: &Live<'_>, batches: &[Batch; 2], how: &str) -> Result<(), Stop> {
    let [plain, other] = batches;
    for (question, name) in QUESTIONS {
        let one = ok(name, live.ask(question, plain))?.sorted();
        let two = ok(&format!("{name} {how}"), live.ask(question, other))?.sorted();
        if let Some(difference) = difference(&one, &two) {
            return failed(format!("{name} answers otherwise {how}: {difference}"));
        }
    }
    Ok(())
}

/// The answer, where the call succeeded.
pub(super) fn ok(what: &str, answer: Answer) -> Result<Answer, Stop> {
    if answer.status == abi::OK {
        return Ok(answer);
    }
    Err(Stop::Failed(format!("{what}: status {}: {}", answer.status, answer.said())))
}
