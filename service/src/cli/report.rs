//! What became of each row of a roster, as a file that the estate's office can open beside its roster.

use std::path::Path;

use linli_core::text::Language;

use super::import::{LineOutcome, ReportLine, Summary};
use crate::roster::write::{Value, inert, workbook};

/// The kind of a file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A workbook.
    Workbook,
    /// Text with commas, UTF-8 with the mark that Excel knows it by.
    Text,
}

impl Kind {
    /// By the end of a name.
    pub(super) fn of(path: &Path) -> Result<Self, ()> {
        let is = |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        if is("xlsx") {
            Ok(Self::Workbook)
        } else if is("csv") {
            Ok(Self::Text)
        } else {
            Err(())
        }
    }

    /// The report as the bytes of a file.
    ///
    /// # Errors
    /// In words, where the rows are too many for the format.
    pub(super) fn write(self, summary: &Summary, language: Language) -> Result<Vec<u8>, String> {
        let titles = match language {
            Language::Zh => ["行", "结果", "问题", "可能重复"],
            Language::En => ["line", "outcome", "problems", "may be the same person as"],
        };
        let rows = std::iter::once(titles.map(str::to_owned))
            .chain(summary.lines.iter().map(|line| cells(line, language)));
        self.table("linli", rows)
    }

    /// A table as the bytes of a file; no cell of it is ever carried out by a spreadsheet.
    ///
    /// # Errors
    /// In words, where the rows are too many for the format.
    pub(super) fn table<R: AsRef<[String]>>(
        self,
        title: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Vec<u8>, String> {
        match self {
            Self::Workbook => {
                let value = |text: &String| Value::from(text.as_str());
                let rows: Vec<Vec<Value>> =
                    rows.into_iter().map(|row| row.as_ref().iter().map(value).collect()).collect();
                workbook(title, &rows, &[]).map_err(|err| err.to_string())
            }
            Self::Text => {
                let mut text = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
                for row in rows {
                    let cells = row.as_ref().iter().map(|cell| inert(cell).into_owned());
                    text.write_record(cells).map_err(|err| err.to_string())?;
                }
                text.into_inner().map_err(|err| err.to_string())
            }
        }
    }
}

fn cells(line: &ReportLine, language: Language) -> [String; 4] {
    let outcome = match (line.outcome, language) {
        (LineOutcome::Created, Language::Zh) => "新建",
        (LineOutcome::Created, Language::En) => "created",
        (LineOutcome::Updated, Language::Zh) => "更新",
        (LineOutcome::Updated, Language::En) => "updated",
        (LineOutcome::Unchanged, Language::Zh) => "无变化",
        (LineOutcome::Unchanged, Language::En) => "unchanged",
        (LineOutcome::Refused, Language::Zh) => "未导入",
        (LineOutcome::Refused, Language::En) => "refused",
        (LineOutcome::Readable, Language::Zh) => "可读取",
        (LineOutcome::Readable, Language::En) => "readable",
    };
    [line.line.to_string(), outcome.to_owned(), line.problems.join("; "), line.candidates.join("; ")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{self, Options};

    #[test]
    fn nothing_that_is_written_is_carried_out() {
        let rows = [
            ["姓名".to_owned(), "住址".to_owned(), "备注".to_owned()],
            ["张某".to_owned(), "3-2-501".to_owned(), "=cmd|' /C calc'!A0".to_owned()],
            ["@SUM(1)".to_owned(), "3-2-502".to_owned(), "+86 138\t-1".to_owned()],
        ];
        let text = Kind::Text.table("t", rows.clone()).unwrap();
        let text = String::from_utf8(text).unwrap();
        for cell in text.trim_start_matches('\u{feff}').split([',', '\n', '"']) {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell:?} in {text}");
        }
        // In a workbook text is text; and what was written is read again as it was.
        for bytes in [Kind::Workbook.table("t", rows.clone()).unwrap(), text.into_bytes()] {
            let roster = roster::read(&bytes, &Options::default()).unwrap();
            let names: Vec<&str> = roster.good().map(|row| row.name.reveal()).collect();
            assert_eq!(names, ["张某", "@SUM(1)"]);
            let remarks: Vec<&str> =
                roster.good().flat_map(|row| &row.status).map(|text| text.as_str()).collect();
            assert_eq!(remarks, ["=cmd|' /C calc'!A0", "+86 138\t-1"]);
        }
    }

    #[test]
    fn a_report_says_the_line_the_outcome_and_why() {
        let csv = "姓名,住址,身份证号\n张某,3-2-501,1\n李某,3-2-502,";
        let roster = roster::read(csv.as_bytes(), &Options::default()).unwrap();
        let summary = Summary::of_file(&roster, Language::En);
        let text = String::from_utf8(Kind::Text.write(&summary, Language::En).unwrap()).unwrap();
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
        assert_eq!(lines[0], "line,outcome,problems,may be the same person as");
        assert!(lines[1].starts_with("2,refused,") && lines[1].contains("身份证号"), "{}", lines[1]);
        assert_eq!(lines[2], "3,readable,,");
        assert_eq!(Kind::of(Path::new("a.XLSX")), Ok(Kind::Workbook));
        assert_eq!(Kind::of(Path::new("a.txt")), Err(()));
    }
}
