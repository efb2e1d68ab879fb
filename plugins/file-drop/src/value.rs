//! Dates and instants out of cells, in every spelling that is certain.

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};

use crate::column::half_width;
use crate::table::Cell;

/// Numbers that are read as a spreadsheet's date: from 1900-03-01, after the day that it made up, to 2199-12-31.
const SERIAL: std::ops::RangeInclusive<f64> = 61.0..=109_574.0;
/// Years that people write; a number among them is a year, and not a day of 1905.
const YEARS: std::ops::Range<i32> = 1880..2200;
/// The date in a cell; `None`: it is none, or not certain.
pub(crate) fn date(cell: &Cell) -> Option<NaiveDate> {
    match cell {
        Cell::Moment(moment) => Some(moment.date()),
        Cell::Number(number) if YEARS.contains(&(*number as i32)) => None,
        Cell::Number(number) if SERIAL.contains(number) => serial(*number),
        // 19480305 as a number.
        Cell::Number(number) => written(&format!("{number}")),
        Cell::Text(text) => match text.split_once([' ', 'T']) {
            // As databases write a day.
            Some((day, time)) if is_midnight(time) => written(day),
            Some(_) | None => written(text),
        },
    }
}

fn is_midnight(time: &str) -> bool {
    matches!(time.trim().trim_end_matches(".0"), "0:00" | "00:00" | "0:00:00" | "00:00:00")
}

fn serial(number: f64) -> Option<NaiveDate> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of dates")]
    let days = number.floor() as u64;
    NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(chrono::Days::new(days))
}

fn written(text: &str) -> Option<NaiveDate> {
    let text = half_width(text).replace(['年', '月', '/', '.'], "-").replace('日', "");
    let text = text.trim();
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok().filter(|date| certain(*date));
    }
    let parts: Vec<&str> = text.split('-').map(str::trim).collect();
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [year, month, day] = parts.as_slice() else { return None };
    if year.len() != 4 || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    date.filter(|date| certain(*date))
}

fn certain(date: NaiveDate) -> bool {
    YEARS.contains(&date.year())
}

/// When something was decided, in microseconds since the Unix epoch. A date alone means its end, because what was decided on the
/// day of a referral was decided after it; of today, the present.
pub(crate) fn decided(cell: &Cell, offset_minutes: i32, now_micros: i64) -> Option<i64> {
    let zone = FixedOffset::east_opt(offset_minutes.checked_mul(60)?)?;
    let micros = |moment: NaiveDateTime| {
        zone.from_local_datetime(&moment).single().map(|instant| instant.timestamp_micros())
    };
    // Clocks differ a little.
    let passed = |instant: i64| (instant <= now_micros.saturating_add(3_600_000_000)).then_some(instant);
    if let Some(moment) = moment(cell) {
        return passed(micros(moment)?);
    }
    if let Cell::Text(text) = cell
        && let Ok(instant) = DateTime::parse_from_rfc3339(text)
        && certain(instant.date_naive())
    {
        return passed(instant.timestamp_micros());
    }
    let date = date(cell)?;
    let begin = micros(date.and_time(NaiveTime::MIN))?;
    let end = micros(date.and_hms_opt(23, 59, 59)?)?;
    (begin <= now_micros).then_some(end.min(now_micros))
}

/// A date with a time of the day.
fn moment(cell: &Cell) -> Option<NaiveDateTime> {
    match cell {
        Cell::Moment(moment) => Some(*moment).filter(|moment| moment.time() != NaiveTime::MIN),
        Cell::Number(_) => None,
        Cell::Text(text) => {
            let text = half_width(text);
            let (day, time) = text.split_once([' ', 'T'])?;
            let time = time.trim();
            let time = NaiveTime::parse_from_str(time, "%H:%M:%S")
                .or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"))
                .ok()?;
            Some(written(day)?.and_time(time))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn dates_are_read_in_every_spelling_that_is_certain() {
        let expect = NaiveDate::from_ymd_opt(1948, 3, 5);
        for cell in [
            text("1948-03-05"),
            text("1948-3-5"),
            text("1948/3/5"),
            text("1948.03.05"),
            text("1948年3月5日"),
            text("１９４８年３月５日"),
            text("19480305"),
            text("1948-03-05 00:00:00"),
            text("1948-03-05T00:00:00.0"),
            text("1948/3/5 0:00"),
            Cell::Number(19_480_305.0),
            Cell::Number(17_597.0),
            Cell::Moment(expect.unwrap().and_time(NaiveTime::MIN)),
        ] {
            assert_eq!(date(&cell), expect, "{}", cell.shown());
        }
        for cell in [
            text(""),
            text("1948-03"),
            text("48-3-5"),
            text("5/3/1948"),
            text("1948-02-30"),
            text("0048-03-05"),
            text("1948-+3-5"),
            text("1948-03-05 08:00"),
            text("不详"),
            // The year alone, which would be a day of 1905.
            text("1948"),
            Cell::Number(1948.0),
            Cell::Number(5.0),
            Cell::Number(f64::NAN),
            Cell::Number(1e300),
        ] {
            assert_eq!(date(&cell), None, "{}", cell.shown());
        }
    }

    #[test]
    fn a_day_of_decision_ends_in_the_bodys_zone_and_never_after_now() {
        // 2026-03-16 08:00 in Shanghai.
        let now = 1_773_619_200_000_000;
        let hour = 3_600_000_000;
        for (cell, expect) in [
            (text("2026-03-16"), Some(now)),
            (text("2026-03-15"), Some(now - 8 * hour - 1_000_000)),
            (text("2026-03-17"), None),
            (text("2026-03-16 07:30"), Some(now - hour / 2)),
            (text("2026/3/16 07:30:00"), Some(now - hour / 2)),
            (text("2026-03-16T07:30:00+08:00"), Some(now - hour / 2)),
            (text("2026-03-15T23:30:00Z"), Some(now - hour / 2)),
            (text("2026-03-16 09:00"), Some(now + hour)),
            (text("2026-03-16 09:01"), None),
            (text("2026-03-16 25:00"), None),
            (text("上周"), None),
        ] {
            assert_eq!(decided(&cell, 480, now), expect, "{}", cell.shown());
        }
        assert_eq!(decided(&text("2026-03-15"), 0, now), Some(now - 1_000_000));
    }
}
