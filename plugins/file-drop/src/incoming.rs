//! What tables say that a body left: answers, and lists of people. Rows that cannot be understood are named by their number; nothing out
//! of them is repeated.

use linli_plugin_sdk::connector::{Acknowledgement, Decision, Field};

use crate::column::{ANSWER, Column, PEOPLE, group, half_width, meaning};
use crate::outgoing;
use crate::shelf::Tables;
use crate::table::{self, Cell, Row};
use crate::value::{date, decided};

/// Rows among which the headings are looked for: titles and notes may stand above them.
const HEADINGS_WITHIN: usize = 20;
/// Longest remark, in characters.
const REMARK_CHARACTERS_MAX: usize = 1_000;

/// What a table said.
pub(crate) struct Reading<T> {
    /// What was understood.
    pub(crate) items: Vec<T>,
    /// What was not, and why; nothing: the table was understood.
    pub(crate) wrong: Vec<String>,
}

/// What is known beside a table.
pub(crate) struct Beside {
    /// The present instant.
    pub(crate) now_micros: i64,
    /// By how much the times in tables are ahead of UTC.
    pub(crate) offset_minutes: i32,
    /// The care group of everybody on a list that names none.
    pub(crate) group: Option<String>,
}

/// Tables of answers.
pub(crate) struct Answers(pub(crate) Beside);

impl Tables<Acknowledgement> for Answers {
    const PREFIX: &'static str = "ack-";
    const MOST: usize = 1_000;

    fn read(&self, name: &str, content: &[u8]) -> Reading<Acknowledgement> {
        let required = |has: &dyn Fn(&str) -> bool| has("referral") && has("state");
        let expected = "`转介编号 referral` and `办理结果 state`";
        read(name, content, ANSWER, (expected, &required), |row| answer(row, &self.0))
    }

    fn bytes(&self, item: &Acknowledgement) -> usize {
        item.referral.len() + item.external_reference.len() + item.remark.len() + 32
    }
}

/// Lists of people.
pub(crate) struct People(pub(crate) Beside);

impl Tables<Vec<Field>> for People {
    const PREFIX: &'static str = "roster-";
    const MOST: usize = table::ROWS_MAX - 1;

    fn read(&self, name: &str, content: &[u8]) -> Reading<Vec<Field>> {
        let required = |has: &dyn Fn(&str) -> bool| has("name") || has("identity_number");
        let expected = "`姓名 name` or `身份证号码 identity_number`";
        read(name, content, PEOPLE, (expected, &required), |row| person(row, &self.0))
    }

    fn bytes(&self, item: &Vec<Field>) -> usize {
        item.iter().map(|field| field.code.len() + field.value.len() + 16).sum()
    }
}

/// A row, by the codes of its columns.
struct Named<'a> {
    row: &'a Row,
    places: &'a [(&'static str, usize)],
}

impl Named<'_> {
    /// The cell of a column, where there is something in it.
    fn cell(&self, code: &str) -> Option<&Cell> {
        let (_, place) = self.places.iter().find(|(known, _)| *known == code)?;
        self.row.cells.get(*place).filter(|cell| !cell.is_empty())
    }
}

type Required<'a> = (&'a str, &'a dyn Fn(&dyn Fn(&str) -> bool) -> bool);

fn read<T>(
    name: &str,
    content: &[u8],
    columns: &'static [Column],
    (expected, required): Required<'_>,
    one: impl Fn(&Named<'_>) -> Result<T, String>,
) -> Reading<T> {
    let nothing = |why: String| Reading { items: Vec::new(), wrong: vec![why] };
    let rows = match table::rows(name, content) {
        Ok(rows) => rows,
        Err(why) => return nothing(why),
    };
    let mut headings = None;
    for (index, row) in rows.iter().take(HEADINGS_WITHIN).enumerate() {
        let named = (0_usize..).zip(&row.cells).filter_map(|(place, cell)| {
            let column = columns.get(meaning(&cell.shown(), columns)?)?;
            Some((column.code, place))
        });
        let places: Vec<(&'static str, usize)> = named.collect();
        if required(&|code: &str| places.iter().any(|(known, _)| *known == code)) {
            headings = Some((index, places));
            break;
        }
    }
    let Some((index, places)) = headings else {
        return nothing(format!("it has no row with the headings {expected}"));
    };
    let twice = (1_usize..)
        .zip(&places)
        .find(|(at, (code, _))| places.iter().skip(*at).any(|(other, _)| other == code));
    if let Some((_, (code, _))) = twice {
        return nothing(format!("two columns are `{code}`"));
    }
    let mut reading = Reading { items: Vec::new(), wrong: Vec::new() };
    for row in rows.iter().skip(index + 1) {
        match one(&Named { row, places: &places }) {
            Ok(item) => reading.items.push(item),
            Err(why) => reading.wrong.push(format!("row {}: {why}", row.number)),
        }
    }
    reading
}

fn answer(row: &Named<'_>, beside: &Beside) -> Result<Acknowledgement, String> {
    let referral = row.cell("referral").ok_or("the referral's number is missing")?.shown();
    let (referral, external_reference) =
        reference(&referral).ok_or("the referral's number is not as in the table that was sent")?;
    let state = row.cell("state").ok_or("the state is missing")?.shown();
    let decision =
        decision(&state).ok_or("the state is none of 已受理 accepted, 不受理 rejected, 已办结 closed")?;
    let remark = row.cell("remark").map(|cell| cell.shown().into_owned()).unwrap_or_default();
    if remark.chars().count() > REMARK_CHARACTERS_MAX {
        return Err(format!("the remark has more than {REMARK_CHARACTERS_MAX} characters"));
    }
    let decided_at_micros = match row.cell("decided_on") {
        None => None,
        Some(cell) => Some(
            decided(cell, beside.offset_minutes, beside.now_micros)
                .ok_or("the date of the decision is none such as 2026-12-01, or lies in the future")?,
        ),
    };
    Ok(Acknowledgement { external_reference, referral, decision, remark, decided_at_micros })
}

/// The referral's name, or our reference of it: a full name, the name of the file that was sent, or the id alone.
fn reference(text: &str) -> Option<(String, String)> {
    let text = half_width(text).trim().to_ascii_lowercase();
    if outgoing::id(&text).is_some() {
        return Some((text, String::new()));
    }
    let id = text.strip_suffix(".csv").or_else(|| text.strip_suffix(".xlsx")).unwrap_or(&text);
    let id = id.strip_prefix("referral-").unwrap_or(id);
    outgoing::is_id(id).then(|| (String::new(), outgoing::reference(id)))
}

fn decision(text: &str) -> Option<Decision> {
    match half_width(text).trim().to_lowercase().as_str() {
        "accepted" | "accept" | "已受理" | "受理" | "已接受" | "接受" | "已接收" => {
            Some(Decision::Accepted)
        }
        "rejected" | "reject" | "declined" | "不受理" | "不予受理" | "已拒绝" | "拒绝" | "不接受"
        | "退回" | "已退回" => Some(Decision::Rejected),
        "closed" | "done" | "已办结" | "办结" | "已完成" | "完成" | "已结案" | "结案" | "已关闭" | "关闭" => {
            Some(Decision::Closed)
        }
        _ => None,
    }
}

fn person(row: &Named<'_>, beside: &Beside) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for column in PEOPLE {
        let Some(cell) = row.cell(column.code) else { continue };
        let value = match column.code {
            "birth_date" | "valid_until" => date(cell)
                .ok_or_else(|| format!("`{}` is no date such as 2026-12-01", column.code))?
                .to_string(),
            "identity_number" => identity(cell).ok_or(
                "`identity_number` has been made a number, which loses digits: format the column as text",
            )?,
            "group" => {
                group(&cell.shown()).ok_or("`group` is no group's name or code, or there are several")?
            }
            _ => cell.shown().into_owned(),
        };
        fields.push(Field::new(column.code, value));
    }
    if !fields.iter().any(|field| matches!(field.code.as_str(), "name" | "identity_number")) {
        return Err("there is neither a name nor an identity number".to_owned());
    }
    if let Some(group) = beside.group.as_ref().filter(|_| row.cell("group").is_none()) {
        fields.push(Field::new("group", group.as_str()));
    }
    Ok(fields)
}

/// An identity number whose digits are all there: a sheet's number keeps fifteen.
fn identity(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => {
            let text = half_width(text).to_ascii_uppercase();
            text.chars().all(|c| c.is_ascii_alphanumeric()).then_some(text)
        }
        Cell::Number(_) | Cell::Moment(_) => None,
    }
}
