//! `.csv` into a sheet: UTF-8 with or without a byte-order mark, UTF-16 (Excel's "Unicode text") and GB18030,
//! which is what Excel writes on a Chinese system; separated by comma, semicolon or tab.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, UTF_8};

use super::problem::FileProblem;
use super::sheet::{Cell, Line, Sheet};
use super::{CELL_CHARACTERS_MAX, COLUMNS_MAX, ROWS_MAX};

/// The one sheet of a delimited file.
pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, FileProblem> {
    let text = decode(bytes)?;
    // One kind of line end, so that lines can be counted.
    let text =
        if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text };
    let mut count = LineCount { text: text.as_bytes(), counted: 0, line: 1 };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| FileProblem::Damaged)? {
        let number = count.line_at(record.position().map_or(0, csv::Position::byte));
        if number > ROWS_MAX {
            return Err(FileProblem::TooManyRows { max: ROWS_MAX });
        }
        if record.len() > usize::try_from(COLUMNS_MAX).unwrap_or(usize::MAX) {
            return Err(FileProblem::TooManyColumns { max: COLUMNS_MAX });
        }
        if record.iter().any(|cell| cell.len() > 4 * CELL_CHARACTERS_MAX) {
            return Err(FileProblem::CellTooLong { line: number, max: CELL_CHARACTERS_MAX });
        }
        let line = Line { number, cells: record.iter().map(Cell::text).collect() };
        if !line.is_blank() {
            lines.push(line);
        }
    }
    Ok(Sheet { name: String::new(), lines, merges_known: false })
}

/// Counts lines up to a record: the parser's own count leaves out blank lines before it.
struct LineCount<'a> {
    text: &'a [u8],
    counted: usize,
    line: u32,
}

impl LineCount<'_> {
    /// The line, from 1, of the first character at or after `byte` that ends no line.
    fn line_at(&mut self, byte: u64) -> u32 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(c) = self.text.get(self.counted)
            && (self.counted < byte || *c == b'\n')
        {
            self.line += u32::from(*c == b'\n');
            self.counted += 1;
        }
        self.line
    }
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, FileProblem> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let body = bytes.get(mark..).unwrap_or_default();
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) {
        return if text.contains('\0') { Err(FileProblem::Encoding) } else { Ok(text) };
    }
    if mark > 0 {
        return Err(FileProblem::Encoding);
    }
    GB18030.decode_without_bom_handling_and_without_replacement(body).ok_or(FileProblem::Encoding)
}

/// The separator that the first lines hold most of.
fn delimiter(text: &str) -> u8 {
    let head: Vec<&str> = text.lines().take(20).collect();
    let count = |separator: u8| -> usize {
        head.iter().map(|line| line.bytes().filter(|b| *b == separator).count()).sum()
    };
    let mut best = (b',', count(b','));
    for other in [b'\t', b';'] {
        let found = count(other);
        if found > best.1 {
            best = (other, found);
        }
    }
    best.0
}
