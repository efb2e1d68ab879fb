//! Dates, yes and no, telephone and identity numbers out of cells, in every spelling that is certain; what is
//! not certain is a fault and never a guess.

use linli_core::identity::IdentityNumber;
use linli_core::invalid::Invalid;
use linli_core::resident::{Phone, Sex};
use linli_core::time::CivilDate;

use super::problem::Fault;
use super::sheet::{Cell, half_width};

/// Serial numbers of spreadsheets count days from here (their 1900 system, after its phantom 29 February).
const SERIAL_EPOCH: (i32, u32, u32) = (1899, 12, 30);
/// The smallest number that is read as a serial: 1 March 1900, the day after the phantom.
const SERIAL_MIN: f64 = 61.0;
/// The largest: 2199-12-31.
const SERIAL_MAX: f64 = 109_574.0;

/// Words that say that nothing is known.
const UNKNOWN: &[&str] = &[
    "-",
    "--",
    "/",
    "\\",
    "—",
    "——",
    "不详",
    "未知",
    "不清楚",
    "不明",
    "待核实",
    "待补",
    "n/a",
    "na",
    "none",
    "unknown",
    "?",
    "？",
];
/// Words that say that there is none.
const NOTHING: &[&str] = &["无", "没有", "暂无"];
const YES: &[&str] = &[
    "是", "有", "√", "✓", "✔", "☑", "y", "yes", "true", "t", "1", "对", "需要", "需", "享受", "○", "●", "on",
];
const NO: &[&str] = &[
    "否",
    "无",
    "没有",
    "暂无",
    "不是",
    "×",
    "✗",
    "✘",
    "x",
    "☐",
    "n",
    "no",
    "false",
    "f",
    "0",
    "不需要",
    "非",
    "正常",
    "off",
];

/// Whether the cell says nothing: empty, or a word for "not known".
pub fn says_nothing(cell: &Cell) -> bool {
    match cell {
        Cell::Empty => true,
        Cell::Text(text) => {
            let text = half_width(text).trim().to_ascii_lowercase();
            UNKNOWN.contains(&text.as_str())
        }
        Cell::Number(_) | Cell::Date(_) | Cell::Bool(_) | Cell::Error => false,
    }
}

/// As [`says_nothing`], also for 无: in columns of names, numbers and words it means that there is none.
pub fn says_none(cell: &Cell) -> bool {
    says_nothing(cell) || matches!(cell, Cell::Text(text) if NOTHING.contains(&text.as_ref()))
}

/// A date: 2026-03-01, 2026/3/1, 2026.3.1, 2026年3月1日, 20260301, with or without a time of day, a date cell, or
/// a serial number.
///
/// # Errors
/// A fault that says what kind of date it seems to be.
pub fn date(cell: &Cell) -> Result<CivilDate, Fault> {
    match cell {
        Cell::Date(date) => entered(*date),
        Cell::Number(number) => date_of_number(*number),
        Cell::Text(text) => date_of_text(&half_width(text)),
        Cell::Error => Err(Fault::ErrorValue),
        Cell::Bool(_) | Cell::Empty => Err(Fault::DateUnknown),
    }
}

fn entered(date: CivilDate) -> Result<CivilDate, Fault> {
    if date < CivilDate::FIRST_ENTERED { Err(Invalid::DateRange.into()) } else { Ok(date) }
}

fn date_of_number(number: f64) -> Result<CivilDate, Fault> {
    if (10_000_000.0..100_000_000.0).contains(&number) {
        return date_of_text(&format!("{number:.0}"));
    }
    if (SERIAL_MIN..=SERIAL_MAX).contains(&number) {
        // The fraction is the time of day.
        #[allow(clippy::cast_possible_truncation, reason = "within 61 and 109,574")]
        let days = number.floor() as i32;
        let (year, month, day) = SERIAL_EPOCH;
        // A year alone (1942) would be read as a day of 1905: nobody who is cared for moved in or was born on it.
        if (1900.0..=2199.0).contains(&number) {
            return Err(Fault::DateIncomplete);
        }
        return entered(CivilDate::from_ymd(year, month, day)?.plus_days(days));
    }
    Err(Fault::DateUnknown)
}

fn date_of_text(text: &str) -> Result<CivilDate, Fault> {
    if text.contains("农历") || text.contains("阴历") || text.contains("腊月") || text.contains("正月")
    {
        return Err(Fault::DateLunar);
    }
    let text = text.trim().trim_start_matches("公历").trim_start_matches("阳历");
    let mut groups: Vec<String> = Vec::new();
    let mut in_digits = false;
    for c in text.chars() {
        match c {
            '0'..='9' => {
                if !in_digits {
                    groups.push(String::new());
                }
                if let Some(group) = groups.last_mut() {
                    group.push(c);
                }
                in_digits = true;
            }
            '-' | '/' | '.' | '年' | '月' | '日' | '号' | ' ' | ':' | 'T' | 'Z' | '时' | '分' | '秒'
            | '\\' => {
                in_digits = false;
            }
            _ => return Err(Fault::DateUnknown),
        }
    }
    let parts: Vec<&str> = groups.iter().map(String::as_str).collect();
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| Fault::DateUnknown);
    match parts.as_slice() {
        // 20260301
        [whole] if whole.len() == 8 => {
            let (year, rest) = whole.split_at(4);
            let (month, day) = rest.split_at(2);
            ymd(number(year)?, number(month)?, number(day)?)
        }
        // 194203 or 1942
        [whole] if matches!(whole.len(), 4 | 6) => Err(Fault::DateIncomplete),
        // A serial number that was written out as text.
        [whole] if whole.len() == 5 && text.len() == 5 => date_of_number(f64::from(number(whole)?)),
        [year, _] if year.len() == 4 => Err(Fault::DateIncomplete),
        [year, month, day, ..] if year.len() == 4 && month.len() <= 2 && day.len() <= 2 => {
            ymd(number(year)?, number(month)?, number(day)?)
        }
        [first, second, rest, ..]
            if first.len() <= 2 && second.len() <= 2 && matches!(rest.len(), 1 | 2 | 4) =>
        {
            Err(Fault::DateYearFirst)
        }
        [first, second] if first.len() <= 2 && second.len() <= 2 => Err(Fault::DateYearFirst),
        _ => Err(Fault::DateUnknown),
    }
}

fn ymd(year: u32, month: u32, day: u32) -> Result<CivilDate, Fault> {
    let year = i32::try_from(year).map_err(|_| Fault::DateUnknown)?;
    let date = CivilDate::from_ymd(year, month, day).map_err(|invalid| match invalid {
        Invalid::Date => Fault::NoSuchDay,
        other => Fault::Invalid(other),
    });
    entered(date?)
}

/// Yes or no; a word that equals the column's own title says yes, the same after 非 or 不 says no.
///
/// # Errors
/// [`Fault::NotYesOrNo`] or [`Fault::ErrorValue`].
pub fn yes_or_no(cell: &Cell, title: &str, also_yes: &[&str], also_no: &[&str]) -> Result<bool, Fault> {
    match cell {
        Cell::Bool(value) => Ok(*value),
        Cell::Number(1.0) => Ok(true),
        Cell::Number(0.0) => Ok(false),
        Cell::Text(text) => {
            let text = half_width(text).trim().to_lowercase();
            let word = text.as_str();
            if NO.contains(&word) || also_no.contains(&word) {
                Ok(false)
            } else if YES.contains(&word) || also_yes.contains(&word) || word == title {
                Ok(true)
            } else if word.strip_prefix('非').or_else(|| word.strip_prefix('不')) == Some(title) {
                Ok(false)
            } else {
                Err(Fault::NotYesOrNo)
            }
        }
        Cell::Error => Err(Fault::ErrorValue),
        Cell::Number(_) | Cell::Date(_) | Cell::Empty => Err(Fault::NotYesOrNo),
    }
}

/// The sex: 男, 女, M, F, or the codes of GB/T 2261.1.
///
/// # Errors
/// [`Fault::UnknownWord`].
pub fn sex(cell: &Cell) -> Result<Sex, Fault> {
    match cell.half_width().to_lowercase().as_str() {
        "男" | "男性" | "m" | "male" | "1" | "先生" => Ok(Sex::Male),
        "女" | "女性" | "f" | "female" | "2" | "女士" => Ok(Sex::Female),
        _ => Err(Fault::UnknownWord { accepted: "男, 女".into() }),
    }
}

/// An identity number. One that a spreadsheet kept as a number has lost digits, and says so.
///
/// # Errors
/// [`Fault::DigitsLost`] or what [`IdentityNumber::new`] says.
pub fn identity_number(cell: &Cell) -> Result<IdentityNumber, Fault> {
    match cell {
        // 15 digits are kept exactly; of 18, the last three are zeros.
        Cell::Number(number) if *number >= 1e15 => Err(Fault::DigitsLost),
        Cell::Error => Err(Fault::ErrorValue),
        Cell::Empty | Cell::Text(_) | Cell::Number(_) | Cell::Date(_) | Cell::Bool(_) => {
            let text: String =
                cell.half_width().chars().filter(|c| !matches!(c, ' ' | '-' | '\u{200b}')).collect();
            if is_scientific(&text) {
                return Err(Fault::DigitsLost);
            }
            let lost = text.len() == 18 && text.ends_with("000");
            IdentityNumber::new(&text).map_err(|invalid| match invalid {
                Invalid::CheckDigit if lost => Fault::DigitsLost,
                other => Fault::Invalid(other),
            })
        }
    }
}

/// `1.10105E+17`
fn is_scientific(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.split_once('e').is_some_and(|(mantissa, exponent)| {
        let exponent = exponent.trim_start_matches('+');
        !mantissa.is_empty()
            && mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && !exponent.is_empty()
            && exponent.bytes().all(|b| b.is_ascii_digit())
    })
}

/// A telephone number, and whether others stood beside it. A landline kept as a number has lost its leading zero.
///
/// # Errors
/// [`Invalid::Phone`], [`Fault::DigitsLost`] or [`Fault::ErrorValue`].
pub fn phone(cell: &Cell) -> Result<(Phone, bool), Fault> {
    if *cell == Cell::Error {
        return Err(Fault::ErrorValue);
    }
    let text = cell.half_width();
    if is_scientific(&text) {
        return Err(Fault::DigitsLost);
    }
    let mut numbers = text
        .split([',', '、', '/', ';', '\n', '，', '；', '|', '或'])
        .map(str::trim)
        .filter(|number| !number.is_empty());
    let first = numbers.next().ok_or(Fault::Invalid(Invalid::Missing))?;
    let more = numbers.next().is_some();
    let found = Phone::new(first).or_else(|invalid| match cell {
        Cell::Number(_) if matches!(first.len(), 9..=11) => Phone::new(&format!("0{first}")),
        Cell::Number(_) | Cell::Text(_) | Cell::Empty | Cell::Date(_) | Cell::Bool(_) | Cell::Error => {
            Err(invalid)
        }
    });
    // Two numbers with nothing but a blank between them.
    if found.is_err()
        && let Some((head, tail)) = first.split_once(' ')
        && let (Ok(phone), Ok(_)) = (Phone::new(head), Phone::new(tail))
    {
        return Ok((phone, true));
    }
    Ok((found?, more))
}

/// A whole number, with or without its unit (`82岁`).
///
/// # Errors
/// [`Fault::NotAnInteger`] or [`Fault::ErrorValue`].
pub fn integer(cell: &Cell) -> Result<i64, Fault> {
    match cell {
        #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(*number as i64),
        Cell::Text(text) => {
            let text = half_width(text);
            let text = text.trim().trim_end_matches(['岁', '级', '人', '次', '分']).trim();
            text.parse().map_err(|_| Fault::NotAnInteger)
        }
        Cell::Error => Err(Fault::ErrorValue),
        Cell::Number(_) | Cell::Date(_) | Cell::Bool(_) | Cell::Empty => Err(Fault::NotAnInteger),
    }
}
