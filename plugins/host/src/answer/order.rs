//! The records of an answer in their order: by row, and in a row as the manifest declares what they say. A plugin of the SDK writes them
//! so; what another one mixes up is sorted, and what it says twice is refused.

use linli_plugin_abi as abi;

use super::rules::{KINDS, Kinds, Rules, Shapes, Tables};
use crate::error::CallError;
use crate::manifest::Manifest;

/// Checks every record, orders them by row, kind, ordinal and reason, which is the order of declaration, and refuses
/// what is said twice. Gives the place where the records of each row begin, and where the last ones end.
///
/// Each step is one pass without a branch that depends on what the records say: what a plugin found of one resident
/// does not foretell what it found of the next.
pub(super) fn ordered(
    manifest: &Manifest,
    kinds: Kinds,
    today: &[i32],
    records: &mut [abi::Finding],
) -> Result<Vec<u32>, CallError> {
    let tables = Tables::of(manifest);
    let mut look = Look::at(&tables, kinds, today, records)?;
    if !look.fit {
        for record in records.iter() {
            let today = today.get(record.resident as usize).copied().unwrap_or(abi::NO_DATE);
            Rules { tables: &tables, kinds, today }.check(record).map_err(|what| CallError::Misbehaved {
                what: format!("resident {}, kind {}: {what}", record.resident, record.kind),
            })?;
        }
    }
    // Plugins answer row by row as a rule.
    if !look.in_rows {
        records.sort_by_key(|record| record.resident);
        look = Look::at(&tables, kinds, today, records)?;
    }
    let Look { starts, in_order, .. } = look;
    if in_order {
        return Ok(starts);
    }
    let mut ordered = None;
    for resident in by_kind(records, &starts) {
        let place = |row: usize| starts.get(row).map_or(0, |place| *place as usize);
        let row = place(resident as usize)..place(resident as usize + 1);
        let (Some(row), true) = (records.get_mut(row), ordered.replace(resident) != Some(resident)) else {
            continue;
        };
        row.sort_unstable_by_key(key);
        if let Some([record, _]) = row.array_windows().find(|[first, second]| say_the_same(first, second)) {
            let (kind, ordinal) = (record.kind, record.ordinal);
            let what = format!("resident {resident}, kind {kind}: said twice (ordinal {ordinal})");
            return Err(CallError::Misbehaved { what });
        }
    }
    Ok(starts)
}

/// What a pass over all records shows.
struct Look {
    /// Where the records of each row begin, and where the last ones end, if they are in rows.
    starts: Vec<u32>,
    /// Whether rows come in ascending order.
    in_rows: bool,
    /// Whether every record comes where it belongs, and none says what another one says.
    in_order: bool,
    /// Whether every record is plainly right.
    fit: bool,
}

impl Look {
    fn at(tables: &Tables, kinds: Kinds, today: &[i32], records: &[abi::Finding]) -> Result<Self, CallError> {
        let mut shapes = Shapes::of(tables, kinds, today.first().copied().unwrap_or(abi::NO_DATE));
        let (mut in_rows, mut in_order, mut fit, mut before) = (true, true, true, 0);
        let mut starts = vec![0; today.len() + 1];
        for (end, record) in (1..).zip(records) {
            let row = record.resident as usize;
            let (Some(today), Some(start)) = (today.get(row), starts.get_mut(row + 1)) else {
                let what = format!("resident {row} is beyond the batch of {}", today.len());
                return Err(CallError::Misbehaved { what });
            };
            *start = end;
            if *today != shapes.today {
                shapes = Shapes::of(tables, kinds, *today);
            }
            fit &= shapes.fit(record);
            let place = place(record);
            in_rows &= before >> ROW_SHIFT <= place >> ROW_SHIFT;
            in_order &= before < place;
            before = place;
        }
        // Where nothing is said of a row, it begins where the one before it ends.
        let mut last = 0;
        for start in &mut starts {
            last = last.max(*start);
            *start = last;
        }
        Ok(Self { starts, in_rows, in_order, fit })
    }
}

/// Puts the records of each row in the order of their kinds, those of a kind as they came. Gives the rows with records
/// that are not in order even then, or that may say the same; a row may be there more than once.
fn by_kind(records: &mut [abi::Finding], starts: &[u32]) -> Vec<u32> {
    /// Rows at a time: what is moved stays in the fastest cache.
    const ROWS: usize = 64;
    let (mut suspects, mut found, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    let rows = starts.len().saturating_sub(1);
    for first in (0..rows).step_by(ROWS) {
        let starts = starts.get(first..=rows.min(first + ROWS)).unwrap_or_default();
        let (Some(start), Some(end)) = (starts.first(), starts.last()) else { break };
        let Some(records) = records.get_mut(*start as usize..*end as usize) else { break };
        let few = starts.array_windows().all(|[start, end]| end - start <= u32::from(u8::MAX));
        // How many records of each kind a row has, a byte for each kind, if they are as few; from that to where the first
        // one belongs.
        let mut counts = [0_u64; ROWS];
        for record in records.iter() {
            if let Some(counts) = counts.get_mut(record.resident as usize - first) {
                *counts = counts.wrapping_add(1 << byte(record));
            }
        }
        counts.iter_mut().for_each(|counts| *counts = counts.wrapping_mul(0x0101_0101_0101_0100));
        copies.clear();
        copies.extend_from_slice(records);
        found.resize(records.len(), 0);
        let (mut count, mut last) = (0, [0_u32; ROWS * KINDS]);
        for record in &copies {
            let (row, byte) = (record.resident as usize - first, byte(record));
            let (Some(row_start), Some(places)) = (starts.get(row), counts.get_mut(row)) else { continue };
            let place = (row_start - start) as usize + (*places >> byte & 0xFF) as usize;
            if let (Some(place), true) = (records.get_mut(place), few) {
                *place = *record;
            }
            *places = places.wrapping_add(1 << byte);
            // From 1, so that the first one comes after nothing. Only a membership has one reason, so that another one does
            // not make it another.
            let (ordinal, reason) = (u32::from(record.ordinal) + 1, u32::from(record.reason));
            let entry = if record.kind == abi::F_MEMBERSHIP { ordinal } else { ordinal << 16 | reason };
            let Some(before) = last.get_mut(row * KINDS + usize::from(record.kind) % KINDS) else { continue };
            if let Some(suspect) = found.get_mut(count) {
                *suspect = record.resident;
            }
            count += usize::from(!few | (entry <= *before));
            *before = entry;
        }
        suspects.extend(found.iter().take(count));
    }
    suspects
}

/// The lowest bit of the byte that counts records of a kind.
#[inline]
fn byte(record: &abi::Finding) -> u32 {
    u32::from(record.kind) % KINDS as u32 * 8
}

/// Where a record belongs among all: by row, kind and what it says. Only a membership has one reason, so that another one
/// does not make it another. From 1; a batch of more rows than there is room for does not fit into memory.
#[inline]
fn place(record: &abi::Finding) -> u64 {
    let reason = if record.kind == abi::F_MEMBERSHIP { 0 } else { record.reason };
    let said = u64::from(record.kind) << 32 | u64::from(record.ordinal) << 16 | u64::from(reason);
    (u64::from(record.resident) << ROW_SHIFT).wrapping_add(said)
}

/// Bits below the row: three for the kind, for which records of other kinds are refused, and what it says.
const ROW_SHIFT: u32 = 35;

/// Kind, ordinal and reason in one number.
fn key(record: &abi::Finding) -> u64 {
    u64::from(record.kind) << 32 | u64::from(record.ordinal) << 16 | u64::from(record.reason)
}

/// Whether two records of a row say the same: another reason for the same does, where only one is given.
fn say_the_same(first: &abi::Finding, second: &abi::Finding) -> bool {
    match key(first) ^ key(second) {
        0 => first.kind != abi::F_EXPIRES,
        1..=0xFFFF => first.kind == abi::F_MEMBERSHIP,
        _ => false,
    }
}
