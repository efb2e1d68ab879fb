//! Text and numbers out of cells as somebody entered them. What a spreadsheet has damaged is said to be so, and never guessed: numbers that
//! were rounded to fifteen digits or shortened to `3.30102E+17`, doors that became days.

use linli_plugin_sdk::connector::text::one_line;

use crate::column::half_width;
use crate::table::Cell;

/// Where a spreadsheet begins to lose digits of a number: it keeps fifteen.
const EXACT_BELOW: f64 = 1e15;

/// Why text is not what somebody entered: a spreadsheet made something else of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A number of which digits are lost.
    Number,
    /// A day, out of a door such as `3-2`.
    Day,
    /// `#N/A`, or `#####` where a column was too narrow.
    Error,
}

impl Damage {
    /// For whoever made the table.
    pub(crate) const fn said(self) -> &'static str {
        match self {
            Self::Number => {
                "has been made a number by a spreadsheet, which loses digits: format the column as text and enter it again"
            }
            Self::Day => {
                "has been made a date by a spreadsheet: format the column as text and enter it again"
            }
            Self::Error => "is an error of the spreadsheet, such as #N/A or ####",
        }
    }
}

/// The text that somebody entered, in one line.
pub(crate) fn entered(cell: &Cell) -> Result<String, Damage> {
    match cell {
        Cell::Text(text) if is_error(text) => Err(Damage::Error),
        Cell::Text(text) if is_shortened(text) => Err(Damage::Number),
        Cell::Text(text) if is_day(text) => Err(Damage::Day),
        // 13800001234.0, as programs write a column of numbers in which one is missing.
        Cell::Text(text) => match text.split_once('.') {
            Some((whole, rest))
                if is_digits(whole) && !rest.is_empty() && rest.bytes().all(|b| b == b'0') =>
            {
                if whole.len() > 15 { Err(Damage::Number) } else { Ok(whole.to_owned()) }
            }
            Some(_) | None => Ok(one_line(text)),
        },
        Cell::Number(number) if number.abs() < EXACT_BELOW => Ok(format!("{number}")),
        Cell::Number(_) => Err(Damage::Number),
        Cell::Moment(_) => Err(Damage::Day),
    }
}

/// The number of an identity card, whole: 18 digits that end in `000` and do not prove are what is left of one that was rounded.
/// `rounds`: others in the table were, and what ends so is not believed even if it proves.
pub(crate) fn identity(cell: &Cell, rounds: bool) -> Result<Option<String>, Damage> {
    let text = half_width(&entered(cell)?).to_ascii_uppercase();
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if text.len() == 18 && is_digits(&text) && text.ends_with("000") && (rounds || !proves(&text)) {
        return Err(Damage::Number);
    }
    Ok((!text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())).then_some(text))
}

/// Whether 18 digits prove by ISO 7064 MOD 11-2, as GB 11643 has it.
fn proves(digits: &str) -> bool {
    let sum = digits.bytes().fold(0_u32, |sum, digit| (sum * 2 + u32::from(digit - b'0')) % 11);
    sum == 1
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `3.30102E+17`, or `3.3E17`.
fn is_shortened(text: &str) -> bool {
    let Some((number, power)) = text.split_once(['E', 'e']) else { return false };
    let (power, signed) = power.strip_prefix('+').map_or((power, false), |power| (power, true));
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let has_rest = number.contains('.');
    whole.len() == 1
        && is_digits(whole)
        && (signed || has_rest)
        && has_rest != rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_digit())
        && is_digits(power)
}

/// `3月2日`, which nobody enters as a door or a number.
fn is_day(text: &str) -> bool {
    let day = text.strip_suffix('日').and_then(|text| text.split_once('月'));
    day.is_some_and(|(month, day)| [month, day].iter().all(|part| part.len() <= 2 && is_digits(part)))
}

fn is_error(text: &str) -> bool {
    let shown = ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#GETTING_DATA"];
    shown.contains(&text) || (text.len() > 1 && text.bytes().all(|byte| byte == b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends in `000` and proves, by chance.
    const PROVES: &str = "990102194803051000";

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn what_a_spreadsheet_damaged_is_said_and_never_guessed() {
        let moment = chrono::NaiveDate::from_ymd_opt(2026, 3, 2).unwrap().and_time(chrono::NaiveTime::MIN);
        for (cell, expect) in [
            (text("王秀英"), Ok("王秀英")),
            (text("张\n三\u{202e}"), Ok("张 三")),
            (text("E栋2单元"), Ok("E栋2单元")),
            (text("2E5"), Ok("2E5")),
            (text("13800001234.0"), Ok("13800001234")),
            (text("3.5"), Ok("3.5")),
            (Cell::Number(13_800_001_234.0), Ok("13800001234")),
            (Cell::Number(999_999_999_999_999.0), Ok("999999999999999")),
            (Cell::Number(1e15), Err(Damage::Number)),
            (Cell::Number(f64::NAN), Err(Damage::Number)),
            (Cell::Number(f64::NEG_INFINITY), Err(Damage::Number)),
            (text("3.30102E+17"), Err(Damage::Number)),
            (text("3.30102194803051E17"), Err(Damage::Number)),
            (text("3e+17"), Err(Damage::Number)),
            (text("330102194803051264.0"), Err(Damage::Number)),
            (text("3月2日"), Err(Damage::Day)),
            (Cell::Moment(moment), Err(Damage::Day)),
            (text("#N/A"), Err(Damage::Error)),
            (text("########"), Err(Damage::Error)),
        ] {
            assert_eq!(entered(&cell), expect.map(str::to_owned), "{}", cell.shown());
        }
    }

    #[test]
    fn identity_numbers_are_whole_or_said_to_be_rounded() {
        // Numbers of an impossible region, whose check digits prove.
        for (number, rounds, expect) in [
            ("99010219480305123X", false, Ok(Some("99010219480305123X"))),
            ("990102 19480305 123x", false, Ok(Some("99010219480305123X"))),
            ("９９０１０２４８０３０５１２３", false, Ok(Some("990102480305123"))),
            ("99010219480305#234", false, Ok(None)),
            ("-", false, Ok(None)),
            // What a spreadsheet keeps of 990102194803041234.
            ("990102194803041000", false, Err(Damage::Number)),
            ("990102194803041000", true, Err(Damage::Number)),
            // One in eleven proves by chance: it is believed only where no other was rounded.
            (PROVES, false, Ok(Some(PROVES))),
            (PROVES, true, Err(Damage::Number)),
            ("990102194803051234", true, Ok(Some("990102194803051234"))),
        ] {
            assert_eq!(identity(&text(number), rounds), expect.map(|it| it.map(str::to_owned)), "{number}");
        }
        let number = |number| identity(&Cell::Number(number), false);
        assert_eq!(
            number(990_102_480_305_123.0),
            Ok(Some("990102480305123".to_owned())),
            "fifteen digits are whole"
        );
        assert_eq!(number(990_102_194_803_051_234.0), Err(Damage::Number));
    }
}
