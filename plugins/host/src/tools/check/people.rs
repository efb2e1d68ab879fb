//! Made-up residents: facts of the right shape and of any value, from a seed; and the batches that say them in every
//! way that the interface allows.

use linli_core::resident::FactValue;
use linli_plugin_abi as abi;
use linli_plugin_abi::encode::{self, Batch, ColumnData, Elements};

use crate::manifest::{CodeValue, FieldType, Manifest, TEXT_FACT_CHARS_MAX};
use crate::tools::numbers::Numbers;

/// 2026-03-16, around which ordinary people live.
const TODAY: i32 = 20_528;

/// Which values occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// Such as people have.
    Ordinary,
    /// Everything that the manifest allows, its limits above all.
    Wild,
}

/// One value of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Bool(u8),
    Integer(i64),
    Date(i32),
    Code(u32),
    Text(String),
}

/// A resident.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Person {
    pub(super) today: i32,
    /// By field: the value and since when.
    pub(super) facts: Vec<Option<(Cell, i32)>>,
    pub(super) parameters: Vec<Cell>,
}

/// Ways to say the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// A bitmap and a `since` also where there is nothing to say.
    pub(super) verbose: bool,
    /// Where a row has no value, its element and the bits behind the last row are not zero.
    pub(super) garbage: bool,
    /// One element for a column that has the same value in every row; parameters always are where they can.
    pub(super) constant: bool,
}

/// Residents with facts of a manifest.
pub(super) fn people(
    manifest: &Manifest,
    numbers: &mut Numbers,
    count: usize,
    values: Values,
) -> Vec<Person> {
    let site: Vec<Cell> = parameters(manifest, numbers, values);
    (0..count)
        .map(|_| {
            let today = match values {
                Values::Wild if numbers.one_in(8) => numbers.between(-20_000, 80_000) as i32,
                Values::Ordinary | Values::Wild => TODAY + numbers.below(3_000) as i32,
            };
            // Most facts of some, few of others: rules look at what is together.
            let absent = 1 + numbers.below(4);
            let facts = manifest.fields.iter().map(|field| {
                (numbers.below(5) >= absent).then(|| {
                    let value = cell(numbers, field.kind, field.range, &field.values, today, values);
                    (value, since(numbers, today, values))
                })
            });
            let facts = facts.collect();
            let parameters =
                if numbers.one_in(4) { parameters(manifest, numbers, values) } else { site.clone() };
            Person { today, facts, parameters }
        })
        .collect()
}

fn parameters(manifest: &Manifest, numbers: &mut Numbers, values: Values) -> Vec<Cell> {
    let set = manifest.parameters.iter().map(|parameter| {
        if numbers.one_in(2) {
            return match &parameter.default {
                FactValue::Bool(yes) => Cell::Bool(u8::from(*yes)),
                FactValue::Integer(number) => Cell::Integer(*number),
                FactValue::Date(date) => Cell::Date(date.days()),
                FactValue::Code(code) => Cell::Code(
                    parameter.values.iter().position(|known| known.code == *code).unwrap_or_default() as u32,
                ),
                FactValue::Text(text) => Cell::Text(text.clone()),
            };
        }
        cell(numbers, parameter.kind, parameter.range, &parameter.values, TODAY, values)
    });
    set.collect()
}

fn since(numbers: &mut Numbers, today: i32, values: Values) -> i32 {
    match (values, numbers.below(6)) {
        (_, 0) => abi::NO_DATE,
        (_, 1) => today,
        (Values::Wild, 2) => abi::DATE_FIRST,
        (Values::Ordinary | Values::Wild, _) => (today - numbers.below(4_000) as i32).max(abi::DATE_FIRST),
    }
}

fn cell(
    numbers: &mut Numbers,
    kind: FieldType,
    range: Option<(i64, i64)>,
    codes: &[CodeValue],
    today: i32,
    values: Values,
) -> Cell {
    match kind {
        FieldType::Bool => Cell::Bool(numbers.below(2) as u8),
        FieldType::Code => Cell::Code(numbers.below(codes.len() as u64) as u32),
        FieldType::Integer => Cell::Integer(integer(numbers, range, values)),
        FieldType::Date => Cell::Date(date(numbers, today, values)),
        FieldType::Text => Cell::Text(text(numbers, values)),
    }
}

fn integer(numbers: &mut Numbers, range: Option<(i64, i64)>, values: Values) -> i64 {
    let (low, high) = range.unwrap_or((i64::MIN, i64::MAX));
    match values {
        Values::Ordinary => {
            let (low, high) = (low.clamp(-1_000, high.min(1_000)), high.clamp(low.max(-1_000), 1_000));
            if low <= high { numbers.between(low, high) } else { low }
        }
        Values::Wild => match numbers.below(6) {
            0 => low,
            1 => high,
            2 => 0_i64.clamp(low, high),
            3 => low.saturating_add(1).min(high),
            _ => numbers.between(low, high),
        },
    }
}

fn date(numbers: &mut Numbers, today: i32, values: Values) -> i32 {
    let days = match (values, numbers.below(8)) {
        (_, 0) => today,
        (_, 1) => today + 1,
        (_, 2) => today - 1,
        (Values::Wild, 3) => abi::DATE_FIRST,
        (Values::Wild, 4) => abi::DATE_LAST,
        (Values::Wild, 5) => numbers.between(i64::from(abi::DATE_FIRST), i64::from(abi::DATE_LAST)) as i32,
        (_, 6) => today - numbers.below(36_500) as i32, // a birth date
        (Values::Ordinary | Values::Wild, _) => today + numbers.between(-800, 800) as i32,
    };
    days.clamp(abi::DATE_FIRST, abi::DATE_LAST)
}

fn text(numbers: &mut Numbers, values: Values) -> String {
    let word = |numbers: &mut Numbers| format!("canary-{:016x}", numbers.next());
    match (values, numbers.below(6)) {
        (Values::Wild, 0) => String::new(),
        (Values::Wild, 1) => "\u{1F474}".repeat(TEXT_FACT_CHARS_MAX),
        (Values::Wild, 2) => "\0\u{202E}%s\n;'\"\\".to_owned(),
        (Values::Wild, 3) => "的".repeat(TEXT_FACT_CHARS_MAX),
        (Values::Ordinary | Values::Wild, _) => word(numbers),
    }
}

/// The batch of these residents.
pub(super) fn batch(manifest: &Manifest, people: &[Person], style: Style) -> Batch {
    let today = people.iter().map(|person| person.today).collect();
    let mut columns = vec![ColumnData::complete(Elements::Date(today))];
    for (index, field) in manifest.fields.iter().enumerate() {
        let cells: Vec<Option<&(Cell, i32)>> =
            people.iter().map(|person| person.facts.get(index).and_then(Option::as_ref)).collect();
        columns.push(field_column(field.kind, &cells, style));
    }
    for (index, parameter) in manifest.parameters.iter().enumerate() {
        let cells: Vec<&Cell> = people.iter().filter_map(|person| person.parameters.get(index)).collect();
        let same = cells.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
        // As the host does it, and in an empty batch there is one element all the same.
        let constant = same && !style.verbose;
        let cells = if constant { cells.get(..1).unwrap_or_default() } else { &cells };
        let mut elements = parameter.kind.elements();
        cells.iter().for_each(|cell| push(&mut elements, cell));
        if constant && cells.is_empty() {
            elements.push_absent();
        }
        columns.push(ColumnData { elements, validity: None, since: None, constant });
    }
    let (fields, parameters) = (manifest.fields.len() as u32, manifest.parameters.len() as u32);
    encode::encode(people.len() as u32, fields, parameters, &columns)
        .expect("one element per resident in every column, and far below 4 GiB")
}

fn field_column(kind: FieldType, cells: &[Option<&(Cell, i32)>], style: Style) -> ColumnData {
    let same = !cells.is_empty() && cells.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
    let constant = style.constant && same;
    let cells = if constant { cells.get(..1).unwrap_or_default() } else { cells };
    let mut elements = kind.elements();
    let mut validity = vec![if style.garbage { 0xFF } else { 0_u8 }; cells.len().div_ceil(8)];
    let mut since = Vec::with_capacity(cells.len());
    for (index, cell) in cells.iter().enumerate() {
        let bit = 1_u8 << (index % 8);
        let byte = validity.get_mut(index / 8).expect("a byte for every eight residents");
        match cell {
            Some((cell, from)) => {
                *byte |= bit;
                push(&mut elements, cell);
                since.push(*from);
            }
            None => {
                *byte &= !bit;
                if style.garbage {
                    push_garbage(&mut elements, index)
                } else {
                    elements.push_absent()
                }
                since.push(if style.garbage { i32::MAX - index as i32 } else { abi::NO_DATE });
            }
        }
    }
    let complete = cells.iter().all(Option::is_some);
    let undated = since.iter().all(|day| *day == abi::NO_DATE);
    ColumnData {
        elements,
        validity: (style.verbose || !complete).then_some(validity),
        since: (style.verbose || !undated).then_some(since),
        constant,
    }
}

fn push(elements: &mut Elements, cell: &Cell) {
    match (elements, cell) {
        (Elements::Bool(values), Cell::Bool(value)) => values.push(*value),
        (Elements::Integer(values), Cell::Integer(value)) => values.push(*value),
        (Elements::Date(values), Cell::Date(value)) => values.push(*value),
        (Elements::Code(values), Cell::Code(value)) => values.push(*value),
        (Elements::Text { offsets, bytes }, Cell::Text(value)) => {
            bytes.extend_from_slice(value.as_bytes());
            offsets.push(bytes.len() as u32);
        }
        // INVARIANT: a cell is made for the type of its column.
        (elements, _) => elements.push_absent(),
    }
}

fn push_garbage(elements: &mut Elements, index: usize) {
    match elements {
        Elements::Bool(values) => values.push(0xFF),
        Elements::Integer(values) => values.push(i64::MAX - index as i64),
        Elements::Date(values) => values.push(i32::MAX - index as i32),
        Elements::Code(values) => values.push(u32::MAX - index as u32),
        Elements::Text { offsets, bytes } => {
            bytes.extend_from_slice(b"no value");
            offsets.push(bytes.len() as u32);
        }
    }
}

/// The bytes of a batch as a newer host would write them: header and columns have more members. On an 8-byte
/// boundary.
pub(super) fn newer(batch: &Batch) -> Vec<u64> {
    const HEADER_MORE: usize = 16;
    const COLUMN_MORE: usize = 8;
    let (header, column) = (size_of::<abi::BatchHeader>(), size_of::<abi::Column>());
    let old = batch.as_bytes();
    let columns = u32_at(old, 24) as usize;
    let count = 1 + u32_at(old, 16) as usize + u32_at(old, 20) as usize;
    let mut bytes = old.get(..header).unwrap_or_default().to_vec();
    bytes.extend([0xA5; HEADER_MORE]);
    bytes.extend_from_slice(old.get(header..).unwrap_or_default());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table = bytes.len();
    for index in 0..count {
        let at = columns + index * column;
        let mut entry = old.get(at..at + column).unwrap_or_default().to_vec();
        for member in [4, 8, 12, 16] {
            let offset = u32_at(&entry, member);
            if offset != 0 {
                put(&mut entry, member, offset + HEADER_MORE as u32);
            }
        }
        bytes.extend(entry);
        bytes.extend([0xA5; COLUMN_MORE]);
    }
    let total = bytes.len() as u32;
    put(&mut bytes, 8, total);
    put(&mut bytes, 24, table as u32);
    if let Some(size) = bytes.get_mut(6..8) {
        size.copy_from_slice(&((header + HEADER_MORE) as u16).to_le_bytes());
    }
    if let Some(size) = bytes.get_mut(28..30) {
        size.copy_from_slice(&((column + COLUMN_MORE) as u16).to_le_bytes());
    }
    words(&bytes)
}

/// Bytes on an 8-byte boundary.
pub(super) fn words(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        })
        .collect()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_le_bytes)
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
