//! Tables of cases: facts and everything that follows from them. One reader serves the SDK's test kit, the host and
//! `linli plugin check`, so that a table means the same wherever it runs.
//!
//! ```text
//! # A comment.
//! case alone at 82
//!   today 2026-03-16
//!   birth_date 1944-01-02
//!   living alone since 2025-06-01
//!   parameter advanced_age_years 70
//!   => member living_alone since 2025-06-01: lives_alone
//!   => tier high: advanced_age_alone
//!   => expires 2027-01-02
//! ```
//!
//! A line names a field and its value (`yes`/`no`, a number, a date, a code, a text) and, with `since`, the first day on
//! which it counts. Lines with `=>` are everything that is found, in any order: `member`, `tier`, `tag`, `caution`,
//! `expires` (of several the earliest) and, from validation, `issue`.

use std::fmt;

/// One case of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The line of the table on which it begins, from 1.
    pub line: usize,
    /// The civil date, `YYYY-MM-DD`.
    pub today: String,
    /// The facts.
    pub facts: Vec<CaseFact>,
    /// Parameters that differ from the manifest, by code.
    pub parameters: Vec<(String, String)>,
    /// What must be found, sorted.
    pub expected: Vec<String>,
}

/// One fact of a case, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFact {
    /// The field.
    pub field: String,
    /// The value.
    pub value: String,
    /// The first day on which it counts.
    pub since: Option<String>,
}

/// A line of a table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong: lower case, no full stop.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Wrong {}

/// Reads a table of cases.
///
/// # Errors
/// The first line that is not well-formed.
pub fn parse(table: &str) -> Result<Vec<Case>, Wrong> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in table.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: String| Wrong { line: index + 1, what };
        if let Some(name) = line.strip_prefix("case ") {
            cases.push(Case {
                name: name.trim().to_owned(),
                line: index + 1,
                today: String::new(),
                facts: Vec::new(),
                parameters: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            return Err(wrong("a table begins with `case`".to_owned()));
        };
        if let Some(found) = line.strip_prefix("=>") {
            case.expected.push(found.trim().to_owned());
            case.expected.sort();
            continue;
        }
        let (key, value) = line.split_once(' ').ok_or_else(|| wrong(format!("`{line}` has no value")))?;
        let value = value.trim();
        match key {
            "today" => case.today = value.to_owned(),
            "parameter" => {
                let (code, value) =
                    value.split_once(' ').ok_or_else(|| wrong("needs code and value".to_owned()))?;
                case.parameters.push((code.to_owned(), value.trim().to_owned()));
            }
            field => {
                let (value, since) = match value.split_once(" since ") {
                    Some((value, since)) => (value.trim(), Some(since.trim().to_owned())),
                    None => (value, None),
                };
                case.facts.push(CaseFact { field: field.to_owned(), value: value.to_owned(), since });
            }
        }
    }
    Ok(cases)
}
