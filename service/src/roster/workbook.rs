//! `.xlsx` into sheets: cells are streamed and counted, so that a small file cannot ask for all of memory, and
//! merged regions are filled with the value that they show.

use std::io::{Cursor, Read};

use calamine::{DataRef, Dimensions, Reader, SheetVisible, Xlsx, XlsxError};
use linli_core::time::CivilDate;

use super::problem::FileProblem;
use super::sheet::{Cell, Line, Sheet};
use super::{CELL_CHARACTERS_MAX, COLUMNS_MAX, ROWS_MAX, UNPACKED_BYTES_MAX};

/// Most parts of a workbook: one with a sheet a day of a year has half of them.
const PARTS_MAX: usize = 1_000;

/// The visible sheets of a workbook, or the one of this name.
pub(super) fn sheets(bytes: &[u8], only: Option<&str>) -> Result<Vec<Sheet>, FileProblem> {
    check_unpacked_size(bytes, UNPACKED_BYTES_MAX)?;
    // What the parser of another stumbles over (a column of seven letters) is a damaged file, and ends nothing but itself.
    let parsed = std::panic::catch_unwind(|| parsed(bytes, only));
    parsed.unwrap_or(Err(FileProblem::Damaged))
}

fn parsed(bytes: &[u8], only: Option<&str>) -> Result<Vec<Sheet>, FileProblem> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsxError::Password => FileProblem::OldOrProtectedWorkbook,
        _ => FileProblem::Damaged,
    })?;
    let visible: Vec<String> = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| match only {
            Some(name) => sheet.name == name,
            None => sheet.visible == SheetVisible::Visible,
        })
        .map(|sheet| sheet.name.clone())
        .collect();
    if let Some(name) = only
        && visible.is_empty()
    {
        return Err(FileProblem::NoSuchSheet { name: name.to_owned() });
    }
    let mut sheets = Vec::new();
    for name in visible {
        // A chart or macro sheet has no cells.
        if let Some(sheet) = sheet(&mut workbook, name)? {
            sheets.push(sheet);
        }
    }
    Ok(sheets)
}

fn sheet(workbook: &mut Xlsx<Cursor<&[u8]>>, name: String) -> Result<Option<Sheet>, FileProblem> {
    let mut lines: Vec<Line> = Vec::new();
    {
        let mut cells = match workbook.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            Err(XlsxError::NotAWorksheet(_) | XlsxError::WorksheetNotFound(_)) => return Ok(None),
            Err(_) => return Err(FileProblem::Damaged),
        };
        while let Some(found) = cells.next_cell().map_err(|_| FileProblem::Damaged)? {
            let (row, column) = found.get_position();
            let cell = cell(found.get_value(), row)?;
            if cell.is_empty() {
                continue;
            }
            if row >= ROWS_MAX {
                return Err(FileProblem::TooManyRows { max: ROWS_MAX });
            }
            if column >= COLUMNS_MAX {
                return Err(FileProblem::TooManyColumns { max: COLUMNS_MAX });
            }
            put(&mut lines, row, column, cell);
        }
    }
    let merges = workbook.merge_cells_by_sheet_name(&name).map_err(|_| FileProblem::Damaged)?;
    for region in merges {
        fill(&mut lines, region);
    }
    lines.retain(|line| !line.is_blank());
    Ok(Some(Sheet { name, lines, merges_known: true }))
}

/// Sheets are written row by row, so that a cell nearly always belongs to the last line.
fn put(lines: &mut Vec<Line>, row: u32, column: u32, cell: Cell) {
    let number = row + 1;
    let at = match lines.last() {
        Some(last) if last.number == number => lines.len() - 1,
        _ => match lines.binary_search_by_key(&number, |line| line.number) {
            Ok(at) => at,
            Err(at) => {
                lines.insert(at, Line { number, cells: Vec::new() });
                at
            }
        },
    };
    let column = usize::try_from(column).unwrap_or(usize::MAX);
    if let Some(line) = lines.get_mut(at) {
        if line.cells.len() <= column {
            line.cells.resize(column + 1, Cell::Empty);
        }
        if let Some(slot) = line.cells.get_mut(column) {
            *slot = cell;
        }
    }
}

/// Fills a merged region with its first cell, in lines that exist: a merge over blank lines adds none.
fn fill(lines: &mut [Line], region: Dimensions) {
    let ((top, left), (bottom, right)) = (region.start, region.end);
    let right = right.min(COLUMNS_MAX - 1);
    let Ok(first) = lines.binary_search_by_key(&(top + 1), |line| line.number) else { return };
    let left_column = usize::try_from(left).unwrap_or(usize::MAX);
    let Some(value) = lines.get(first).map(|line| line.cell(left_column).clone()) else { return };
    if value.is_empty() {
        return;
    }
    for line in lines.iter_mut().skip(first).take_while(|line| line.number <= bottom.saturating_add(1)) {
        for column in left..=right {
            let column = usize::try_from(column).unwrap_or(usize::MAX);
            if line.cells.len() <= column {
                line.cells.resize(column + 1, Cell::Empty);
            }
            if let Some(slot) = line.cells.get_mut(column) {
                *slot = value.clone();
            }
        }
    }
}

fn cell(value: &DataRef<'_>, row: u32) -> Result<Cell, FileProblem> {
    let text = |text: &str| {
        if text.chars().count() > CELL_CHARACTERS_MAX {
            Err(FileProblem::CellTooLong { line: row + 1, max: CELL_CHARACTERS_MAX })
        } else {
            Ok(Cell::text(text))
        }
    };
    Ok(match value {
        DataRef::Empty => Cell::Empty,
        DataRef::String(found) | DataRef::DateTimeIso(found) | DataRef::DurationIso(found) => text(found)?,
        DataRef::SharedString(found) => text(found)?,
        #[allow(clippy::cast_precision_loss, reason = "a sheet's numbers are f64 anyway")]
        DataRef::Int(number) => Cell::Number(*number as f64),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::Bool(value) => Cell::Bool(*value),
        DataRef::Error(_) => Cell::Error,
        DataRef::DateTime(moment) if moment.is_duration() => Cell::Number(moment.as_f64()),
        DataRef::DateTime(moment) => {
            let (year, month, day, ..) = moment.to_ymd_hms_milli();
            match CivilDate::from_ymd(i32::from(year), u32::from(month), u32::from(day)) {
                Ok(date) => Cell::Date(date),
                Err(_) => Cell::Number(moment.as_f64()),
            }
        }
    })
}

/// Unpacks everything once, counting only: the sizes that a file declares may lie.
pub(super) fn check_unpacked_size(bytes: &[u8], max: u64) -> Result<(), FileProblem> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| FileProblem::Damaged)?;
    if archive.len() > PARTS_MAX {
        return Err(FileProblem::Damaged);
    }
    let mut left = max;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|_| FileProblem::Damaged)?;
        let name = part.name().map_err(|_| FileProblem::Damaged)?;
        let strings = name.to_ascii_lowercase().ends_with("sharedstrings.xml");
        let mut part = part.take(left + 1);
        let mut promises = Promises::default();
        let read = if strings {
            std::io::copy(&mut part, &mut promises)
        } else {
            std::io::copy(&mut part, &mut std::io::sink())
        };
        let read = read.map_err(|_| FileProblem::Damaged)?;
        if !promises.are_honest(read) {
            return Err(FileProblem::Damaged);
        }
        left = left
            .checked_sub(read)
            .ok_or(FileProblem::TooLarge { max_mib: usize::try_from(max >> 20).unwrap_or(usize::MAX) })?;
    }
    Ok(())
}

/// What shared strings promise of their number, for which a reader keeps room before it has seen one: `uniqueCount`, wherever
/// it stands. A few bytes may promise thousands of millions.
#[derive(Default)]
struct Promises {
    /// The last bytes of what was written, in which a promise may have begun.
    tail: Vec<u8>,
    most: u64,
    /// Whether the bytes could be something else than they seem: text in which every other byte is zero.
    wide: bool,
}

impl Promises {
    const WORD: &[u8] = b"uniqueCount";
    /// Most that may stand between the word and its number: an equals sign, a quotation mark and blanks.
    const APART: usize = 24;
    /// Most digits of a number.
    const DIGITS: usize = 19;
    /// As much as all of these, so that they are seen together once.
    const WITHIN: usize = 64;

    /// Whether a part of so many bytes can hold what it promises: the shortest string takes five.
    fn are_honest(&self, size: u64) -> bool {
        !self.wide && self.most <= size / 5 + 1
    }

    fn look(&mut self) {
        for (at, window) in self.tail.windows(Self::WORD.len()).enumerate() {
            if window == Self::WORD {
                let after = self.tail.get(at + Self::WORD.len()..).unwrap_or_default();
                let before = after.iter().take_while(|byte| !byte.is_ascii_digit()).count();
                let digits: Vec<u8> =
                    after.iter().skip(before).copied().take_while(u8::is_ascii_digit).collect();
                let number = digits.iter().fold(0_u64, |number, digit| {
                    number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
                });
                // Nobody writes so many blanks before a number, or so many digits, but to be overlooked.
                let odd = before > Self::APART || digits.len() > Self::DIGITS;
                self.most = self.most.max(if odd { u64::MAX } else { number });
            }
        }
    }
}

impl std::io::Write for Promises {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.wide |= bytes.contains(&0);
        self.tail.extend_from_slice(bytes);
        self.look();
        let keep = self.tail.len().saturating_sub(Self::WITHIN);
        self.tail.drain(..keep);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
