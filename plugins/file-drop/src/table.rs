//! A file that a body left, as rows of cells: `.csv` in UTF-8, UTF-16 or GB18030, and `.xlsx`. Whatever the bytes are, reading ends, takes
//! bounded memory and says what is wrong without repeating any of it.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use calamine::{DataRef, Reader as _, SheetVisible, Xlsx, XlsxError};
use chrono::NaiveDateTime;
use encoding_rs::{Encoding, GB18030};
use zip::ZipArchive;

/// Most rows of a table, its headings among them, and most columns.
pub(crate) const ROWS_MAX: usize = 10_001;
const COLUMNS_MAX: usize = 200;
/// Longest text of a cell, in characters.
const CELL_CHARACTERS_MAX: usize = 4_000;
/// Most text of a workbook, in bytes: many cells may share one long string, so that a small file would say gigabytes.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a workbook may hold unpacked, in bytes, and in how many parts.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
const PARTS_MAX: usize = 1_000;

/// What a cell holds.
#[derive(Clone, PartialEq)]
pub(crate) enum Cell {
    /// Text, without blanks around it; empty where there is nothing.
    Text(String),
    /// A number.
    Number(f64),
    /// A number that the sheet shows as a date or time.
    Moment(NaiveDateTime),
}

impl Cell {
    /// What a person sees; a moment is shown by its date.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => format!("{number}").into(),
            Self::Moment(moment) => moment.date().to_string().into(),
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    fn text(text: &str) -> Self {
        let blank = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
        };
        let text = text.trim_matches(blank);
        // `="0501"` and `'0501`: how people, and our own tables, have a spreadsheet leave text alone.
        let forced = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
        let text = forced.or_else(|| text.strip_prefix('\'')).unwrap_or(text);
        Self::Text(text.trim_matches(blank).to_owned())
    }
}

/// A row that is not blank: its number in the file, from 1, and its cells; the last ones may be left out.
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) cells: Vec<Cell>,
}

/// The rows of a file, by the end of its name.
pub(crate) fn rows(name: &str, content: &[u8]) -> Result<Vec<Row>, String> {
    let name = name.to_ascii_lowercase();
    let mut rows = if name.ends_with(".csv") {
        delimited(content)?
    } else if name.ends_with(".xlsx") {
        workbook(content)?
    } else {
        return Err("it is neither `.csv` nor `.xlsx`: save it as one of these".to_owned());
    };
    rows.retain(|row| !row.cells.iter().all(Cell::is_empty));
    Ok(rows)
}

/// A last line of our own behind a table of text: where it is not read as a row, a quotation mark before it was never closed.
const END: &str = "\u{3}";

fn delimited(content: &[u8]) -> Result<Vec<Row>, String> {
    // One kind of line end, so that lines can be counted.
    let text = decoded(content)?.replace("\r\n", "\n").replace('\r', "\n") + "\n" + END;
    let (mut counted, mut line) = (0, 1);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut rows: Vec<Row> = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| "it is damaged")? {
        if record.iter().eq([END]) {
            return Ok(rows);
        }
        // The parser's own count leaves out blank lines before a record.
        let begin = record.position().and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or(counted);
        while let Some(byte) = text.as_bytes().get(counted).filter(|byte| counted < begin || **byte == b'\n')
        {
            line += usize::from(*byte == b'\n');
            counted += 1;
        }
        let number: usize = line;
        bounded(number, record.len())?;
        let cells: Result<_, _> = record.iter().map(|cell| cell_text(cell, number)).collect();
        rows.push(Row { number, cells: cells? });
    }
    let number = rows.last().map_or(1, |row| row.number);
    Err(format!(
        "row {number}: a quotation mark is not closed, so that the rows behind it cannot be told apart"
    ))
}

/// Whether a file has been written to its end, as far as can be seen: programs end a table of text with a line break, and what ends
/// otherwise may be half of one. Half a workbook cannot be read at all.
pub(crate) fn is_whole(name: &str, content: &[u8]) -> bool {
    let text = name.to_ascii_lowercase().ends_with(".csv").then(|| decoded(content).ok()).flatten();
    text.is_none_or(|text| text.is_empty() || text.ends_with(['\n', '\r']))
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const NEITHER: &str = "its text is neither UTF-8 nor GB18030: save it as one of these";
    let text = match (Encoding::for_bom(bytes), std::str::from_utf8(bytes)) {
        (Some((encoding, mark)), _) => {
            let body = bytes.get(mark..).unwrap_or_default();
            encoding.decode_without_bom_handling_and_without_replacement(body)
        }
        (None, Ok(text)) => Some(text.into()),
        // As GB18030 it would be other characters, and some of them would be names.
        (None, Err(error)) if is_chinese(bytes.get(..error.valid_up_to()).unwrap_or_default()) => {
            return Err("its text is UTF-8, but damaged or cut off: save it again");
        }
        (None, Err(_)) => GB18030.decode_without_bom_handling_and_without_replacement(bytes),
    };
    text.filter(|text| !text.contains(['\0', '\u{3}'])).ok_or(NEITHER)
}

/// Whether bytes are UTF-8 with a character beyond its first two bytes: hardly any text of another encoding looks like that.
fn is_chinese(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().any(|c| c >= '\u{800}'))
}

/// The separator that the first lines hold most of.
fn delimiter(text: &str) -> u8 {
    let held = |separator: u8| -> usize {
        text.lines().take(20).map(|line| line.bytes().filter(|byte| *byte == separator).count()).sum()
    };
    let mut best = (b',', held(b','));
    for other in [b'\t', b';'] {
        if held(other) > best.1 {
            best = (other, held(other));
        }
    }
    best.0
}

fn bounded(rows: usize, columns: usize) -> Result<(), String> {
    if rows > ROWS_MAX {
        return Err(format!("it has more than {ROWS_MAX} rows: split it"));
    }
    if columns > COLUMNS_MAX {
        return Err(format!("it has more than {COLUMNS_MAX} columns"));
    }
    Ok(())
}

fn cell_text(text: &str, row: usize) -> Result<Cell, String> {
    if text.chars().count() > CELL_CHARACTERS_MAX {
        return Err(format!("row {row}: a cell has more than {CELL_CHARACTERS_MAX} characters"));
    }
    Ok(Cell::text(text))
}

fn workbook(content: &[u8]) -> Result<Vec<Row>, String> {
    const DAMAGED: &str =
        "it is no workbook of Excel 2007 or later, or it is damaged or locked by a password";
    honest(content).ok_or(DAMAGED)?;
    // What another's parser stumbles over is a damaged file, and ends nothing but itself.
    std::panic::catch_unwind(|| sheet(content).map_err(|wrong| wrong.unwrap_or_else(|| DAMAGED.to_owned())))
        .unwrap_or_else(|_| Err(DAMAGED.to_owned()))
}

/// Whether a workbook holds what it says: unpacks everything, because the sizes that a file declares may lie, and looks at how many
/// shared strings it promises, for which a parser keeps room before it has seen one.
fn honest(content: &[u8]) -> Option<()> {
    let mut archive = ZipArchive::new(Cursor::new(content)).ok()?;
    let mut left = UNPACKED_BYTES_MAX;
    if archive.len() > PARTS_MAX {
        return None;
    }
    for index in 0..archive.len() {
        let part = archive.by_index(index).ok()?;
        let strings = part.name().ok()?.to_ascii_lowercase().ends_with("sharedstrings.xml");
        let mut unpacked = Vec::new();
        let size = match strings {
            true => part.take(left + 1).read_to_end(&mut unpacked).ok()? as u64,
            false => std::io::copy(&mut part.take(left + 1), &mut std::io::sink()).ok()?,
        };
        left = left.checked_sub(size)?;
        // The shortest string takes five bytes. Text with zeros is of another encoding, in which nothing would be found.
        if unpacked.contains(&0) || promised(&unpacked) > size / 5 + 1 {
            return None;
        }
    }
    Some(())
}

/// The largest number behind a `uniqueCount`, wherever it stands.
fn promised(part: &[u8]) -> u64 {
    const WORD: &[u8] = b"uniqueCount";
    let mut most = 0;
    for (at, _) in part.windows(WORD.len()).enumerate().filter(|(_, window)| *window == WORD) {
        let behind = part.get(at + WORD.len()..).unwrap_or_default();
        let number = behind
            .iter()
            .skip_while(|byte| matches!(byte, b'=' | b'"' | b'\'' | b' ' | b'\t' | b'\r' | b'\n'));
        let number = number.take_while(|byte| byte.is_ascii_digit());
        let number = number
            .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        most = most.max(number);
    }
    most
}

/// The rows of the first sheet that is shown.
fn sheet(content: &[u8]) -> Result<Vec<Row>, Option<String>> {
    let damaged = |_: XlsxError| None;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(content)).map_err(damaged)?;
    let shown = workbook.sheets_metadata().iter().find(|sheet| sheet.visible == SheetVisible::Visible);
    let name = shown.map(|sheet| sheet.name.clone()).ok_or(None)?;
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(damaged)?;
    let (mut rows, mut text_bytes): (Vec<Row>, usize) = (Vec::new(), 0);
    while let Some(found) = cells.next_cell().map_err(damaged)? {
        let (row, column) = found.get_position();
        let number = usize::try_from(row).unwrap_or(usize::MAX).saturating_add(1);
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let cell = cell(found.get_value(), number).map_err(Some)?;
        if cell.is_empty() {
            continue;
        }
        bounded(number, column.saturating_add(1)).map_err(Some)?;
        if let Cell::Text(text) = &cell {
            text_bytes += text.len();
        }
        if text_bytes > TEXT_BYTES_MAX {
            return Err(Some(format!("it has more than {TEXT_BYTES_MAX} bytes of text: split it")));
        }
        // Sheets are written row by row; one that is not has been made up by hand.
        match rows.last() {
            Some(last) if last.number > number => return Err(None),
            Some(last) if last.number == number => {}
            _ => rows.push(Row { number, cells: Vec::new() }),
        }
        let Some(last) = rows.last_mut() else { return Err(None) };
        if last.cells.len() <= column {
            last.cells.resize(column + 1, Cell::Text(String::new()));
        }
        if let Some(place) = last.cells.get_mut(column) {
            *place = cell;
        }
    }
    Ok(rows)
}

fn cell(value: &DataRef<'_>, row: usize) -> Result<Cell, String> {
    Ok(match value {
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            cell_text(text, row)?
        }
        DataRef::SharedString(text) => cell_text(text, row)?,
        #[allow(clippy::cast_precision_loss, reason = "a sheet's numbers are f64 anyway")]
        DataRef::Int(number) => Cell::Number(*number as f64),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::DateTime(moment) if !moment.is_duration() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            let date = chrono::NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
            let moment = date.and_then(|date| date.and_hms_opt(hour.into(), minute.into(), second.into()));
            moment.map_or(Cell::Text(String::new()), Cell::Moment)
        }
        DataRef::DateTime(duration) => Cell::Number(duration.as_f64()),
        // As a sheet shows it, `#N/A`.
        DataRef::Error(error) => Cell::Text(error.to_string()),
        DataRef::Empty | DataRef::Bool(_) => Cell::Text(String::new()),
    })
}
