//! Finding the resident over whom a plugin's process ends, by asking about ever smaller parts of the batch. The answer
//! about a resident depends on that resident's row alone, so parts may be asked one by one.

use std::ops::Range;

use linli_plugin_abi as abi;
use linli_plugin_abi::encode::{self, Batch, ColumnData, Elements};

use crate::answer::Said;
use crate::error::CallError;

/// Ends of the process that one batch may cost: three residents of a thousand are found with them.
pub(super) const ENDS_MAX: u32 = 32;

/// How asking about a part ended.
pub(super) enum Part {
    Answered(Vec<abi::Finding>),
    /// The process ended.
    Ended,
    /// There is no time to ask.
    NoTime,
}

/// What is known about a batch in the end.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) said: Said,
    /// How often the process ended.
    pub(super) ends: u32,
}

/// Asks about the parts of a batch over which the process has ended once. Beyond the bounds, the rows that are not
/// decided yet count as those over which it ends.
pub(super) fn hunt(
    rows: u32,
    mut ask: impl FnMut(Range<u32>) -> Result<Part, CallError>,
) -> Result<Found, CallError> {
    let mut found = Found { ends: 1, ..Found::default() };
    // A batch of one is asked about once more: other things than a resident end a process too.
    let mut parts = if rows > 1 { halves(0..rows) } else { std::iter::once(0..rows).collect() };
    while let Some(part) = parts.pop() {
        let answer = if found.ends < ENDS_MAX { ask(part.clone())? } else { Part::NoTime };
        match answer {
            Part::Answered(records) => {
                for mut record in records {
                    if record.resident >= part.end - part.start {
                        let what = format!("resident {} is beyond the batch", record.resident);
                        return Err(CallError::Misbehaved { what });
                    }
                    record.resident += part.start;
                    found.said.records.push(record);
                }
            }
            Part::Ended => {
                found.ends += 1;
                if part.end - part.start > 1 {
                    parts.extend(halves(part));
                } else {
                    found.said.manual.extend(part.map(|row| row as usize));
                }
            }
            Part::NoTime => found.said.manual.extend(part.map(|row| row as usize)),
        }
    }
    Ok(found)
}

/// The second half and the first, which is taken first.
fn halves(part: Range<u32>) -> Vec<Range<u32>> {
    let middle = part.start + (part.end - part.start) / 2;
    vec![middle..part.end, part.start..middle]
}

/// The batch of some rows of a batch.
pub(super) fn part(batch: &Batch, rows: Range<u32>) -> Option<Batch> {
    let bytes = batch.as_bytes();
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (all, fields, parameters) = (word(12)?, word(16)?, word(20)?);
    let (columns_off, column_size) = (word(24)? as usize, size_of::<abi::Column>());
    let mut columns = Vec::new();
    for index in 0..(1 + fields + parameters) as usize {
        let at = columns_off + index * column_size;
        let head = word(at)?;
        let (kind, constant) = (head as u16, head >> 16 & u32::from(abi::COL_CONSTANT) != 0);
        let (values, validity, offsets, since) =
            (word(at + 4)?, word(at + 8)?, word(at + 12)?, word(at + 16)?);
        let (from, to) = if constant { (0, 1) } else { (rows.start as usize, rows.end as usize) };
        if !constant && to > all as usize {
            return None;
        }
        let array = Array { bytes, from, to };
        columns.push(ColumnData {
            elements: array.elements(kind, values as usize, offsets as usize)?,
            validity: if validity == 0 { None } else { Some(array.bits(validity as usize)?) },
            since: if since == 0 { None } else { Some(array.each(since as usize, i32::from_le_bytes)?) },
            constant,
        });
    }
    encode::encode(rows.end - rows.start, fields, parameters, &columns).ok()
}

/// Some elements of an array of a batch.
struct Array<'a> {
    bytes: &'a [u8],
    from: usize,
    to: usize,
}

impl Array<'_> {
    fn each<const N: usize, T>(&self, at: usize, read: fn([u8; N]) -> T) -> Option<Vec<T>> {
        let part = self.bytes.get(at + self.from * N..at + self.to * N)?;
        Some(part.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect())
    }

    fn bits(&self, at: usize) -> Option<Vec<u8>> {
        let mut bits = vec![0_u8; (self.to - self.from).div_ceil(8)];
        for (place, element) in (self.from..self.to).enumerate() {
            let is_set = self.bytes.get(at + element / 8)? >> (element % 8) & 1;
            *bits.get_mut(place / 8)? |= is_set << (place % 8);
        }
        Some(bits)
    }

    fn elements(&self, kind: u16, values: usize, offsets: usize) -> Option<Elements> {
        Some(match kind {
            abi::T_BOOL => Elements::Bool(self.each(values, u8::from_le_bytes)?),
            abi::T_INTEGER => Elements::Integer(self.each(values, i64::from_le_bytes)?),
            abi::T_DATE => Elements::Date(self.each(values, i32::from_le_bytes)?),
            abi::T_CODE => Elements::Code(self.each(values, u32::from_le_bytes)?),
            abi::T_TEXT => {
                let ends = Array { to: self.to + 1, ..*self }.each(offsets, u32::from_le_bytes)?;
                let (first, last) = (*ends.first()?, *ends.last()?);
                let text = self.bytes.get(values + first as usize..values + last as usize)?;
                let offsets = ends.into_iter().map(|end| end - first).collect();
                Elements::Text { offsets, bytes: text.to_vec() }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(resident: u32) -> abi::Finding {
        abi::Finding {
            resident,
            kind: 1,
            basis: 0,
            ordinal: 0,
            reason: 0,
            reserved_a: 0,
            since: 0,
            until: 0,
            reserved_b: 0,
        }
    }

    /// Hunts through a batch in which some rows end the process; everybody else is answered about once.
    fn check(rows: u32, poison: &[usize], most: u32) {
        let found = hunt(rows, |part| {
            if poison.iter().any(|row| part.contains(&(*row as u32))) {
                return Ok(Part::Ended);
            }
            Ok(Part::Answered((0..part.end - part.start).map(record).collect()))
        })
        .unwrap();
        assert_eq!(found.said.manual, poison, "of {rows}");
        assert!(found.ends <= most, "{} ends for {poison:?} of {rows}", found.ends);
        let answered: Vec<usize> = found.said.records.iter().map(|record| record.resident as usize).collect();
        let others: Vec<usize> = (0..rows as usize).filter(|row| !poison.contains(row)).collect();
        assert_eq!(answered, others);
    }

    #[test]
    fn the_one_resident_is_found() {
        for rows in [1_u32, 2, 3, 7, 64, 1_000] {
            for row in [0, rows / 3, rows / 2, rows - 1] {
                check(rows, &[row as usize], 2 + rows.next_power_of_two().ilog2());
            }
        }
        check(1_000, &[], 1); // the second time it went well
        check(1_000, &[3, 400, 999], ENDS_MAX);
    }

    #[test]
    fn beyond_the_bound_the_rest_is_marked() {
        let mut asked = 0;
        let found = hunt(1_000, |_| {
            asked += 1;
            Ok(Part::Ended)
        })
        .unwrap();
        assert_eq!((found.ends, asked), (ENDS_MAX, ENDS_MAX - 1));
        assert_eq!(found.said.manual, (0..1_000).collect::<Vec<_>>());
        let found =
            hunt(4, |part| Ok(if part.start == 0 { Part::Answered(Vec::new()) } else { Part::NoTime }));
        assert_eq!(found.unwrap().said.manual, [2, 3]);
    }

    #[test]
    fn an_answer_about_somebody_elses_part_is_refused() {
        let found = hunt(4, |_| Ok(Part::Answered(vec![record(2)])));
        assert!(matches!(found, Err(CallError::Misbehaved { .. })), "{found:?}");
    }

    #[test]
    fn a_part_of_a_batch_is_the_batch_of_those_rows() {
        let texts = ["", "一", "two", "三三", "five"];
        let text = |range: Range<usize>| {
            let mut offsets = vec![0];
            let mut bytes = Vec::new();
            for word in &texts[range] {
                bytes.extend_from_slice(word.as_bytes());
                offsets.push(bytes.len() as u32);
            }
            Elements::Text { offsets, bytes }
        };
        let of = |range: Range<usize>| {
            let bits =
                range.clone().enumerate().fold(0, |bits, (place, row)| bits | (0b10110 >> row & 1) << place);
            let columns = [
                ColumnData::complete(Elements::Date(range.clone().map(|row| row as i32 - 2).collect())),
                ColumnData {
                    validity: Some(vec![bits]),
                    since: Some(range.clone().map(|row| 100 * row as i32).collect()),
                    ..ColumnData::complete(Elements::Integer(
                        range.clone().map(|row| -(row as i64)).collect(),
                    ))
                },
                ColumnData::complete(text(range.clone())),
                ColumnData::complete(Elements::Bool(range.clone().map(|row| row as u8 % 2).collect())),
                ColumnData::complete(Elements::Code(range.clone().map(|row| row as u32).collect())),
                ColumnData::constant(Elements::Integer(vec![80])),
            ];
            encode::encode(range.len() as u32, 4, 1, &columns).unwrap()
        };
        let whole = of(0..5);
        for from in 0..5 {
            for to in from + 1..=5 {
                assert_eq!(part(&whole, from as u32..to as u32), Some(of(from..to)), "{from}..{to}");
            }
        }
        assert_eq!(part(&whole, 3..6), None);
    }
}
