//! Reading rosters as estates keep them: `.csv` in any of the encodings that Excel writes, and `.xlsx`, with
//! title rows, merged headers, columns in Chinese or English and dates in the usual spellings.
//!
//! Pure: bytes in; rows, problems and notes out. Nothing here knows the network, the clock or the store.
//!
//! | file | what it does |
//! |---|---|
//! | [`sheet`] | a sheet as a grid of cells, whatever file it came from |
//! | `delimited`, `workbook` | `.csv` and `.xlsx` into sheets |
//! | [`mod@column`] | what a column title means, and the operator's own column map |
//! | `header` | where the header is, also over several rows |
//! | [`value`] | dates, yes and no, telephone and identity numbers out of cells |
//! | [`place`] | building, unit and room, in one column or three |
//! | `row`, `fact`, `contact` | a row's cells into a [`RosterRow`] |
//! | [`problem`] | what is wrong with a row or a file, in Chinese and English, without the value |
//! | [`mod@write`] | the smallest workbook writer that rosters need |
//!
//! Invariant: a problem or a note never repeats a cell's value, since it may be personal.

pub mod column;
mod contact;
mod delimited;
mod fact;
mod header;
pub mod place;
pub mod problem;
mod row;
pub mod sheet;
pub mod value;
mod workbook;
pub mod write;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use linli_core::id::FieldCode;
use linli_core::identity::IdentityNumber;
use linli_core::resident::{EmergencyContact, FactValue, Need, PersonName, Phone, Sex};
use linli_core::text::Paragraph;
use linli_core::time::CivilDate;

use column::ColumnMap;
use place::Place;
use problem::{Fault, FileProblem, Problem};

/// Largest file, in bytes: a roster of 100,000 people is a tenth of it.
pub const FILE_BYTES_MAX: usize = 64 << 20;
/// Largest unpacked size of a workbook, in bytes: a small file must not unpack to all of memory.
pub const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// Largest number of rows of a sheet, title and header rows included: the largest estate on one server has
/// 100,000 people in care.
pub const ROWS_MAX: u32 = 200_000;
/// Largest number of columns: the widest roster seen has 60.
pub const COLUMNS_MAX: u32 = 256;
/// Longest cell, in characters: the longest field of a care file.
pub const CELL_CHARACTERS_MAX: usize = 4000;
/// How many rows may stand before the header ends: titles, instructions, who filled it in and when.
pub const HEADER_WITHIN_ROWS: usize = 30;
/// Largest number of rows that a header has: group, title and a line of units or hints.
pub const HEADER_LEVELS_MAX: usize = 3;

/// How to read a roster.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Titles and values that the operator explains; the built-in meanings apply to all others.
    pub columns: ColumnMap,
    /// Today in the site's zone: what has happened cannot lie after it. Without it, nothing is checked.
    pub today: Option<CivilDate>,
}

/// A roster that was read: good rows, bad rows, and what an operator should know.
#[derive(Debug)]
pub struct Roster {
    /// The sheet that was read; empty for `.csv`.
    pub sheet: String,
    /// Visible sheets that look like rosters too and were not read.
    pub other_sheets: Vec<String>,
    /// Titles of columns that nothing was read from, in the file's order.
    pub unknown_columns: Vec<String>,
    /// One entry per row with a person, in the file's order.
    pub rows: Vec<Row>,
}

impl Roster {
    /// The rows that can be imported.
    pub fn good(&self) -> impl Iterator<Item = &RosterRow> {
        self.rows.iter().filter_map(|row| row.person.as_ref().ok())
    }

    /// The rows that cannot, with all of their problems.
    pub fn bad(&self) -> impl Iterator<Item = (u32, &[Problem])> {
        self.rows.iter().filter_map(|row| row.person.as_ref().err().map(|p| (row.line, p.as_slice())))
    }
}

/// One row of a roster.
#[derive(Debug)]
pub struct Row {
    /// The line of the file, from 1: that of the text, or the row number that Excel shows.
    pub line: u32,
    /// The person, or everything that is wrong with the row.
    pub person: Result<RosterRow, Vec<Problem>>,
    /// What was read differently from how it is written, or not at all.
    pub notes: Vec<Problem>,
}

/// One person of a roster. Personal: `Debug` shows the line only.
#[derive(Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The line of the file, from 1.
    pub line: u32,
    /// Where they live.
    pub place: Place,
    /// The name.
    pub name: PersonName,
    /// The identity number.
    pub identity_number: Option<IdentityNumber>,
    /// The birth date, also where the identity number says it.
    pub birth_date: Option<CivilDate>,
    /// The sex, also where the identity number says it.
    pub sex: Option<Sex>,
    /// The phone number.
    pub phone: Option<Phone>,
    /// People to call in an emergency, first to last.
    pub emergency: Vec<EmergencyContact>,
    /// The day of moving in.
    pub moved_in: Option<CivilDate>,
    /// The day from which the facts are true: that of the survey, where a column says it.
    pub surveyed_on: Option<CivilDate>,
    /// Physical condition in words.
    pub health: Option<Paragraph>,
    /// Family situation in words.
    pub family: Option<Paragraph>,
    /// Special difficulties and remarks in words.
    pub status: Option<Paragraph>,
    /// What they need.
    pub needs: Vec<Need>,
    /// Attributes that rules read, by field, each field once.
    pub facts: Vec<(FieldCode, FactValue)>,
}

impl fmt::Debug for RosterRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RosterRow(line {})", self.line)
    }
}

/// Reads a roster; what kind of file it is shows in its bytes, not in its name.
///
/// # Errors
/// A [`FileProblem`] where no row can be read at all. Faults of single rows are in the [`Roster`].
pub fn read(bytes: &[u8], options: &Options) -> Result<Roster, FileProblem> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileProblem::TooLarge { max_mib: FILE_BYTES_MAX >> 20 });
    }
    let sheets = if bytes.starts_with(b"PK\x03\x04") {
        workbook::sheets(bytes, options.columns.sheet())?
    } else if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return Err(FileProblem::OldOrProtectedWorkbook);
    } else {
        vec![delimited::sheet(bytes)?]
    };

    let mut found = None;
    let mut others = Vec::new();
    for sheet in sheets {
        match header::find(&sheet, &options.columns) {
            Some(header) if found.is_none() => found = Some((sheet, header)),
            Some(_) => others.push(sheet.name),
            None => {}
        }
    }
    let (sheet, header) = found.ok_or(FileProblem::NoHeader { rows: HEADER_WITHIN_ROWS })?;
    header.check()?;
    let mut rows = row::rows(&sheet, &header, options);
    note_repeated_people(&mut rows);
    Ok(Roster {
        sheet: sheet.name,
        other_sheets: others,
        unknown_columns: header.unknown().map(str::to_owned).collect(),
        rows,
    })
}

/// A person may stand in several lines, one for each class they belong to: the later line updates the earlier.
fn note_repeated_people(rows: &mut [Row]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for row in rows {
        let Ok(person) = &row.person else { continue };
        let Some(number) = &person.identity_number else { continue };
        if let Some(first) = seen.insert(number.reveal().to_owned(), row.line) {
            row.notes.push(Problem { column: None, fault: Fault::SamePerson { line: first } });
        }
    }
}
