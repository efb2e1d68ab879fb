//! A sheet as a grid of cells, whatever file it came from.

use linli_core::time::CivilDate;

/// What a cell holds. Personal: not `Debug`.
#[derive(Clone, PartialEq, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// Text, untouched.
    Text(Box<str>),
    /// A number, as spreadsheets hold them.
    Number(f64),
    /// A number that the sheet formats as a date.
    Date(CivilDate),
    /// True or false.
    Bool(bool),
    /// An error value such as `#REF!`.
    Error,
}

impl Cell {
    /// A text cell; blank text is an empty cell.
    pub fn text(text: &str) -> Self {
        let text = unwrap_forced_text(text.trim_matches(is_blank));
        if text.is_empty() { Self::Empty } else { Self::Text(text.into()) }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// What a person sees in the cell, blanks around it removed.
    pub fn shown(&self) -> String {
        match self {
            Self::Empty | Self::Error => String::new(),
            Self::Text(text) => text.to_string(),
            Self::Number(number) => shown_number(*number),
            Self::Date(date) => date.to_string(),
            Self::Bool(true) => "是".into(),
            Self::Bool(false) => "否".into(),
        }
    }

    /// As [`Cell::shown`], with full-width letters, digits and brackets as half-width ones.
    pub fn half_width(&self) -> String {
        half_width(&self.shown())
    }
}

/// One row of a sheet.
#[derive(Clone)]
pub struct Line {
    /// The line of the file, from 1.
    pub number: u32,
    /// Its cells; the last ones may be left out.
    pub cells: Vec<Cell>,
}

impl Line {
    /// The cell of a column; empty beyond the last one.
    pub fn cell(&self, column: usize) -> &Cell {
        self.cells.get(column).unwrap_or(&Cell::Empty)
    }

    /// Whether every cell is empty.
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(Cell::is_empty)
    }
}

/// A sheet: its lines, without those that are blank to the last cell.
#[derive(Clone)]
pub struct Sheet {
    /// Its name; empty for `.csv`.
    pub name: String,
    /// Its lines, in the file's order.
    pub lines: Vec<Line>,
    /// Whether merged cells were known and have been filled with the value they show.
    pub merges_known: bool,
}

impl Sheet {
    /// The number of columns of the widest line.
    pub fn width(&self) -> usize {
        self.lines.iter().map(|line| line.cells.len()).max().unwrap_or(0)
    }
}

/// Full-width ASCII and the ideographic space as their half-width forms.
pub fn half_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{3000}' | '\u{a0}' => ' ',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            other => other,
        })
        .collect()
}

/// White space, byte-order marks and the zero-width characters that chat programs leave behind.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}')
}

/// `="0501"` and `'0501`: what people write so that Excel leaves a number alone.
fn unwrap_forced_text(text: &str) -> &str {
    let inner = text.strip_prefix("=\"").and_then(|t| t.strip_suffix('"'));
    inner.or_else(|| text.strip_prefix('\'')).unwrap_or(text).trim_matches(is_blank)
}

fn shown_number(number: f64) -> String {
    // Beyond 2^53 the sheet itself no longer knows the digits; callers ask before they use such a number.
    if number.fract() == 0.0 && number.abs() < 1e18 { format!("{number:.0}") } else { format!("{number}") }
}
