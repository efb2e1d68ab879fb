//! What commands print for people: tables that line up with Chinese characters in them, and progress that is a bar
//! on a terminal and a few plain lines elsewhere.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use linli_core::text::Language;

/// `--lang`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The wanted language: that of the option, else that of the environment, else English.
    pub(crate) fn or_of_environment(wanted: Option<Self>) -> Language {
        match wanted {
            Some(Self::Zh) => Language::Zh,
            Some(Self::En) => Language::En,
            None => {
                let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
                    .iter()
                    .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
                if set.is_some_and(|value| value.starts_with("zh")) { Language::Zh } else { Language::En }
            }
        }
    }
}

/// The number of terminal cells that a text takes: wide characters take two, combining ones none.
pub(crate) fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
            0x1100..=0x115f
            | 0x2e80..=0x303e
            | 0x3041..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table of text.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[(&str, Side)]) -> Self {
        Self {
            columns: columns.iter().map(|(title, side)| ((*title).to_owned(), *side)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells stay blank.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let of_column = |(at, (title, _)): (usize, &(String, Side))| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
            cells.max().unwrap_or(0).max(width(title))
        };
        self.columns.iter().enumerate().map(of_column).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let line = |f: &mut fmt::Formatter<'_>, cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::from("  ");
            for (((_, side), width_of_column), cell) in self.columns.iter().zip(&widths).zip(cells) {
                let blank = " ".repeat(width_of_column.saturating_sub(width(cell)));
                match side {
                    Side::Left => text.extend([cell, &blank, "  "]),
                    Side::Right => text.extend([blank.as_str(), cell, "  "]),
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(f, &mut self.columns.iter().map(|(title, _)| title.as_str()))?;
        let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        line(f, &mut rules.iter().map(String::as_str))?;
        for row in &self.rows {
            line(f, &mut row.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

/// How far a long step is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    done: u64,
    said: u64,
}

impl Progress {
    /// A step of `total` pieces, on standard error.
    pub(crate) fn new(label: &str, total: usize) -> Self {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            // The template is a literal; a mistake in it leaves the default style.
            if let Ok(style) = ProgressStyle::with_template("  {msg} [{bar:32}] {pos}/{len} {elapsed}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let mut progress = Self { bar, label: label.to_owned(), total, done: 0, said: 0 };
        progress.plain_line(0);
        progress
    }

    /// Some pieces are done.
    pub(crate) fn advance(&mut self, pieces: usize) {
        self.done = self.done.saturating_add(u64::try_from(pieces).unwrap_or(u64::MAX));
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None => {
                // A line for every quarter is enough for a log.
                let quarter = self.done.saturating_mul(4).checked_div(self.total).unwrap_or(4);
                if quarter > self.said && quarter < 4 {
                    self.plain_line(quarter);
                }
            }
        }
    }

    /// The step is over; the bar stays where it is.
    pub(crate) fn finish(mut self) {
        match self.bar.take() {
            Some(bar) => bar.finish(),
            None => self.plain_line(4),
        }
    }

    fn plain_line(&mut self, quarter: u64) {
        self.said = quarter;
        if self.bar.is_none() {
            let done = if quarter == 4 { self.total } else { self.done };
            // Nobody listening is no failure.
            let _ = writeln!(std::io::stderr(), "  {} {done}/{}", self.label, self.total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        let check = |text: &str, expect: usize| assert_eq!(width(text), expect, "{text}");
        check("", 0);
        check("abc", 3);
        check("张**", 4);
        check("3栋2单元501", 11);
        check("97.5%", 5);
        check("——", 2);
        check("（是）", 6);
    }

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&[("谁", Side::Left), ("where", Side::Left), ("次", Side::Right)]);
        table.row(["张**".to_owned(), "3栋2单元501".to_owned(), "2".to_owned()]);
        table.row(["Li".to_owned(), "A-1".to_owned(), "10".to_owned()]);
        let expect = "  谁    where        次\n  ────  ───────────  ──\n  张**  3栋2单元501   2\n  Li    A-1          10\n";
        assert_eq!(table.to_string(), expect);
    }
}
