//! What tables say that a body left: answers, and lists of people. Rows that cannot be understood are named by their number; nothing out
//! of them is repeated.

use linli_plugin_sdk::connector::text::{is_id, referral_id};
use linli_plugin_sdk::connector::{Acknowledgement, Decision, Field};

use crate::column::{ANSWER, Column, PEOPLE, group, half_width, meaning};
use crate::entered::{Damage, entered, identity};
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
    /// What was not; nothing: the table was understood.
    pub(crate) wrong: Vec<Wrong>,
}

/// What is wrong with a table, or with rows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Their numbers; none: it is the table.
    pub(crate) rows: Vec<usize>,
    /// Why. It repeats nothing of them.
    pub(crate) why: String,
}

impl<T> Reading<T> {
    /// Of a table that says nothing, because it is wrong as a whole.
    pub(crate) fn nothing(why: String) -> Self {
        Self { items: Vec::new(), wrong: vec![Wrong { rows: Vec::new(), why }] }
    }

    fn add(&mut self, row: usize, said: Result<T, String>) {
        match said {
            Ok(item) => self.items.push(item),
            Err(why) => match self.wrong.iter_mut().find(|wrong| wrong.why == why) {
                Some(wrong) => wrong.rows.push(row),
                None => self.wrong.push(Wrong { rows: vec![row], why }),
            },
        }
    }
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { items: Vec::new(), wrong: Vec::new() }
    }
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
        let expected = "`转介编号 referral` and `办理结果 state`";
        let table = Table::read((name, content), ANSWER, expected, |has| has("referral") && has("state"));
        each(table, |row| answer(row, &self.0))
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
        let expected = "`姓名 name` or `身份证号码 identity_number`";
        let table =
            Table::read((name, content), PEOPLE, expected, |has| has("name") || has("identity_number"));
        // Who rounded one number of a column has rounded all of it.
        let is_rounded = |row: Named<'_>| {
            row.cell("identity_number").is_some_and(|cell| identity(cell, false) == Err(Damage::Number))
        };
        let rounds = table.as_ref().is_ok_and(|table| table.rows().any(is_rounded));
        each(table, |row| person(row, &self.0, rounds))
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

/// A table whose headings were found.
struct Table {
    rows: Vec<Row>,
    places: Vec<(&'static str, usize)>,
}

impl Table {
    /// Reads a file in whose headings the columns `required` are, as the messages say it in `expected`.
    fn read(
        (name, content): (&str, &[u8]),
        columns: &'static [Column],
        expected: &str,
        required: impl Fn(&dyn Fn(&str) -> bool) -> bool,
    ) -> Result<Self, String> {
        let mut rows = table::rows(name, content)?;
        let named = |row: &Row| -> Vec<(&'static str, usize)> {
            let named = (0_usize..).zip(&row.cells).filter_map(|(place, cell)| {
                let column = columns.get(meaning(&cell.shown(), columns)?)?;
                Some((column.code, place))
            });
            named.collect()
        };
        let (index, places) = rows
            .iter()
            .take(HEADINGS_WITHIN)
            .map(named)
            .enumerate()
            .find(|(_, places)| required(&|code: &str| places.iter().any(|(known, _)| *known == code)))
            .ok_or_else(|| format!("it has no row with the headings {expected}"))?;
        let twice = (1_usize..)
            .zip(&places)
            .find(|(at, (code, _))| places.iter().skip(*at).any(|(other, _)| other == code));
        if let Some((_, (code, _))) = twice {
            return Err(format!("two columns are `{code}`"));
        }
        rows.drain(..=index);
        Ok(Self { rows, places })
    }

    fn rows(&self) -> impl Iterator<Item = Named<'_>> {
        self.rows.iter().map(|row| Named { row, places: &self.places })
    }
}

/// What the rows of a table say, each by itself.
fn each<T>(table: Result<Table, String>, one: impl Fn(&Named<'_>) -> Result<T, String>) -> Reading<T> {
    let table = match table {
        Ok(table) => table,
        Err(why) => return Reading::nothing(why),
    };
    let mut reading = Reading::default();
    for row in table.rows() {
        reading.add(row.row.number, one(&row));
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
    if referral_id(&text).is_some() {
        return Some((text, String::new()));
    }
    let id = text.strip_suffix(".csv").or_else(|| text.strip_suffix(".xlsx")).unwrap_or(&text);
    let id = id.strip_prefix("referral-").unwrap_or(id);
    is_id(id).then(|| (String::new(), outgoing::reference(id)))
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

fn person(row: &Named<'_>, beside: &Beside, rounds: bool) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for column in PEOPLE {
        let Some(cell) = row.cell(column.code) else { continue };
        let damaged = |damage: Damage| format!("`{}` {}", column.code, damage.said());
        let value = match column.code {
            "birth_date" | "valid_until" => date(cell)
                .ok_or_else(|| format!("`{}` is no date such as 2026-12-01", column.code))?
                .to_string(),
            "identity_number" => identity(cell, rounds)
                .map_err(damaged)?
                .ok_or("`identity_number` holds something else than digits and letters")?,
            "group" => {
                group(&cell.shown()).ok_or("`group` is no group's name or code, or there are several")?
            }
            _ => entered(cell).map_err(damaged)?,
        };
        if !value.is_empty() {
            fields.push(Field::new(column.code, value));
        }
    }
    if !fields.iter().any(|field| matches!(field.code.as_str(), "name" | "identity_number")) {
        return Err("there is neither a name nor an identity number".to_owned());
    }
    if let Some(group) = beside.group.as_ref().filter(|_| row.cell("group").is_none()) {
        fields.push(Field::new("group", group.as_str()));
    }
    Ok(fields)
}
