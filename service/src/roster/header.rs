//! Where the header is and what its columns mean: below titles and instructions, over up to three rows, with
//! group titles (`紧急联系人` over `姓名`, `电话`, `关系`) joined to the titles under them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::column::{self, ColumnMap, Meaning};
use super::problem::FileProblem;
use super::sheet::{Line, Sheet};
use super::{HEADER_LEVELS_MAX, HEADER_WITHIN_ROWS};

/// The header of a sheet.
pub(super) struct Header {
    /// Index of the first line below it.
    pub(super) body: usize,
    /// Every column with a title, from the left.
    pub(super) columns: Vec<Column>,
}

/// One column with a title.
pub(super) struct Column {
    /// Where it stands, from 0.
    pub(super) at: usize,
    /// The title as the file has it, group titles before it.
    pub(super) title: String,
    /// The cells that the title is made of.
    levels: Vec<String>,
    /// The title in normal spelling: what a cell may repeat to say yes.
    pub(super) normal: String,
    /// What it means; `None`: nothing that is known.
    pub(super) meaning: Option<Meaning>,
}

/// The block of rows that explains most columns; `None` where no block explains both a person and a place, or
/// at least three columns.
pub(super) fn find(sheet: &Sheet, map: &ColumnMap) -> Option<Header> {
    let mut best: Option<((usize, Reverse<usize>), Header)> = None;
    let last = sheet.lines.len().min(HEADER_WITHIN_ROWS);
    for first in 0..last {
        for levels in 1..=HEADER_LEVELS_MAX.min(last - first) {
            let Some(block) = sheet.lines.get(first..first + levels) else { continue };
            let columns = columns(block, sheet.width(), sheet.merges_known, map);
            // A title merged over three columns explains one of them.
            let known =
                columns.iter().filter_map(|column| column.meaning.as_ref()).collect::<BTreeSet<_>>().len();
            // On a tie the lower block stands: a title above explains nothing, a row of data below neither.
            let rank = (known, Reverse(levels));
            if best.as_ref().is_none_or(|(most, _)| rank > *most) {
                best = Some((rank, Header { body: first + levels, columns }));
            }
        }
    }
    let ((known, _), header) = best?;
    let named = header.columns.iter().any(|column| column.meaning == Some(Meaning::Name));
    (known >= 3 || (known >= 2 && named)).then_some(header)
}

impl Header {
    /// Whether rows can be read by it.
    pub(super) fn check(&self) -> Result<(), FileProblem> {
        let mut seen: BTreeMap<&Meaning, &str> = BTreeMap::new();
        for column in &self.columns {
            let Some(meaning) = &column.meaning else { continue };
            // Several remarks and ignored columns do no harm.
            if matches!(meaning, Meaning::Ignore | Meaning::Remark | Meaning::Classes) {
                continue;
            }
            if let Some(first) = seen.insert(meaning, &column.title) {
                return Err(FileProblem::SameColumn {
                    first: first.to_owned(),
                    second: column.title.clone(),
                });
            }
        }
        if !seen.contains_key(&Meaning::Name) {
            return Err(FileProblem::NoNameColumn);
        }
        if !seen.contains_key(&Meaning::Place) && !seen.contains_key(&Meaning::Room) {
            return Err(FileProblem::NoPlaceColumn);
        }
        Ok(())
    }

    /// Titles of the columns that mean nothing known.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| column.meaning.is_none()).map(|column| column.title.as_str())
    }

    /// Whether a line repeats the titles, as printed lists do on every page.
    pub(super) fn is_repeated_by(&self, line: &Line) -> bool {
        let mut same = 0;
        for column in &self.columns {
            let cell = line.cell(column.at);
            if cell.is_empty() {
                continue;
            }
            if !column.levels.contains(&cell.shown()) {
                return false;
            }
            same += 1;
        }
        same >= 2
    }
}

fn columns(block: &[Line], width: usize, merges_known: bool, map: &ColumnMap) -> Vec<Column> {
    // Titles of the group rows, carried to the right over the blanks that a lost merge leaves behind.
    let mut carried: Vec<String> = vec![String::new(); block.len()];
    let mut columns = Vec::new();
    for at in 0..width {
        let mut titles: Vec<String> = Vec::new();
        let lowest = block.last().map(|line| line.cell(at).shown()).unwrap_or_default();
        for (level, line) in block.iter().enumerate() {
            let shown = line.cell(at).shown();
            let is_group_row = level + 1 < block.len();
            if let Some(group) = carried.get_mut(level)
                && is_group_row
                && !merges_known
            {
                if !shown.is_empty() {
                    *group = shown.clone();
                } else if lowest.is_empty() {
                    group.clear();
                }
            }
            let title = match carried.get(level) {
                Some(group) if is_group_row && !merges_known && shown.is_empty() => group.clone(),
                Some(_) | None => shown,
            };
            if !title.is_empty() && titles.last() != Some(&title) {
                titles.push(title);
            }
        }
        if titles.is_empty() {
            continue;
        }
        let normals: Vec<String> = titles.iter().map(|title| column::normal_title(title)).collect();
        let (meaning, normal) = resolve(&normals, map);
        columns.push(Column { at, title: titles.join(" "), levels: titles, normal, meaning });
    }
    columns
}

/// The meaning of joined titles, the most specific first: group and title together, then the title alone.
fn resolve(titles: &[String], map: &ColumnMap) -> (Option<Meaning>, String) {
    for from in 0..titles.len() {
        let joined: String = titles.get(from..).unwrap_or_default().concat();
        if let Some(meaning) = explained(map, &joined) {
            return (Some(meaning), titles.last().cloned().unwrap_or_default());
        }
    }
    (None, titles.last().cloned().unwrap_or_default())
}

/// What a title means: by the operator's map, by itself, or as a plugin's field.
fn explained(map: &ColumnMap, title: &str) -> Option<Meaning> {
    map.meaning(title).or_else(|| column::meaning(title)).or_else(|| map.declared(title))
}
