//! Civil dates as rules need them: days, months, years and ages, without a time zone and without a clock.

use std::fmt;

use crate::abi::NO_DATE;

/// A civil date: days since 1970-01-01. Ordered by time; [`Date::ALWAYS`] comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    /// "It always was so": earlier than every date, so that `max` with a date gives the date.
    pub const ALWAYS: Self = Self(NO_DATE);

    /// From days since 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// A day of the Gregorian calendar; `None` where there is no such day.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let exists = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        (exists && year.unsigned_abs() <= 5_000).then(|| Self(days_from_civil(year, month, day)))
    }

    /// From `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next()?.parse::<u32>().ok();
        Self::from_ymd(i32::try_from(next()?).ok()?, next()?, next()?)
    }

    /// Year, month (1–12) and day (1–31).
    pub fn ymd(self) -> (i32, u32, u32) {
        civil_from_days(self.0)
    }

    /// The date `days` later (earlier where negative).
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        if self == Self::ALWAYS {
            return self;
        }
        Self((i64::from(self.0) + days.clamp(-LARGE_DAYS, LARGE_DAYS)).clamp(-LARGE_DAYS, LARGE_DAYS) as i32)
    }

    /// The same day of the month `months` later, or that month's last day where it has no such day (民法典 202).
    #[must_use]
    pub fn plus_months(self, months: i64) -> Self {
        if self == Self::ALWAYS {
            return self;
        }
        let (year, month, day) = self.ymd();
        let count = i64::from(year) * 12 + i64::from(month) - 1 + months.clamp(-12_000, 12_000);
        let (year, month) = (count.div_euclid(12) as i32, count.rem_euclid(12) as u32 + 1);
        Self(days_from_civil(year, month, day.min(days_in_month(year, month))))
    }

    /// The birthday on which somebody born on this date reaches an age. It is reached *on* the birthday; who was born
    /// on 29 February reaches it on 28 February of a common year (民法典 200, 202).
    #[must_use]
    #[inline]
    pub fn plus_years(self, years: i64) -> Self {
        if self == Self::ALWAYS {
            return self;
        }
        birthday(march_year(self.0), years)
    }

    /// The birthdays on which somebody born on this date reaches these ages: [`Date::plus_years`] of each, for less than
    /// each costs.
    #[must_use]
    #[inline]
    pub fn birthdays<const N: usize>(self, ages: [i64; N]) -> [Self; N] {
        if self == Self::ALWAYS {
            return [self; N];
        }
        let born = march_year(self.0);
        ages.map(|years| birthday(born, years))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALWAYS {
            return f.write_str("always");
        }
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// From when on all of these hold: the latest of the dates, `None` if one does not hold.
#[inline]
pub fn all_of<const N: usize>(conditions: [Option<Date>; N]) -> Option<Date> {
    // Every one is looked at: which of them hold cannot be foretold, and looking is cheaper than guessing wrong.
    let (mut latest, mut hold) = (Date::ALWAYS, true);
    for condition in &conditions {
        latest = latest.max(condition.unwrap_or(Date::ALWAYS));
        hold &= condition.is_some();
    }
    hold.then_some(latest)
}

/// From when on one of these holds: the earliest of the dates, `None` if none holds.
#[inline]
pub fn any_of<const N: usize>(conditions: [Option<Date>; N]) -> Option<Date> {
    let (mut earliest, mut holds) = (Date(i32::MAX), false);
    for condition in &conditions {
        earliest = earliest.min(condition.unwrap_or(Date(i32::MAX)));
        holds |= condition.is_some();
    }
    holds.then_some(earliest)
}

/// Some three thousand years.
const LARGE_DAYS: i64 = 1_000_000;

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Place of 29 February in a year that begins on 1 March.
const LEAP_DAY: u32 = 365;
/// Eras of 400 years by which days are moved so that all of them are positive, and the days of an era.
const ERAS: i64 = 15_000;
const ERA_DAYS: i64 = 146_097;
/// 1970-01-01, counted from 0000-03-01.
const EPOCH_DAYS: i64 = 719_468;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The year that began on the last 1 March, and the day in it from 0 (C. Neri, L. Schneider: Euclidean affine functions
/// and their application to calendar algorithms, 2022).
#[inline]
fn march_year(days: i32) -> (i64, u32) {
    let quarters = 4 * (i64::from(days) + EPOCH_DAYS + ERAS * ERA_DAYS) as u64 + 3;
    let (century, day_of_century) = (quarters / ERA_DAYS as u64, quarters % ERA_DAYS as u64 / 4);
    let product = 2_939_745 * (4 * day_of_century + 3);
    let (year_of_century, day_of_year) = (product >> 32, (product as u32) / 2_939_745 / 4);
    ((100 * century + year_of_century) as i64 - ERAS * 400, day_of_year)
}

/// Days from 1970-01-01 to 1 March of a year.
#[inline]
fn first_of_march(year: i64) -> i64 {
    let year = (year + ERAS * 400) as u64;
    let century = year / 100;
    (365 * year + year / 4 - century + century / 4) as i64 - ERAS * ERA_DAYS - EPOCH_DAYS
}

/// The birthday some years after a day of a year that begins on 1 March. Such years end on the leap day: no other can be
/// missing.
#[inline]
fn birthday((year, day_of_year): (i64, u32), years: i64) -> Date {
    let reached = year + years.clamp(-1_000, 1_000);
    let leap_day_is_missing = day_of_year == LEAP_DAY && !is_leap(reached + 1);
    let days = first_of_march(reached) + i64::from(day_of_year) - i64::from(leap_day_is_missing);
    Date(days.clamp(-LARGE_DAYS, LARGE_DAYS) as i32)
}

fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year = i64::from(year) - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    (first_of_march(year) + i64::from((153 * month_from_march + 2) / 5 + day - 1)) as i32
}

fn civil_from_days(days: i32) -> (i32, u32, u32) {
    let (year, day_of_year) = march_year(days);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    ((year + i64::from(month <= 2)) as i32, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn days_and_dates_convert_both_ways() {
        let check = |text: &str, days| {
            assert_eq!(date(text).days(), days, "{text}");
            assert_eq!(Date::from_days(days).to_string(), text);
        };
        check("1970-01-01", 0);
        check("1969-12-31", -1);
        check("2000-02-29", 11_016);
        check("2026-03-16", 20_528);
        check("1900-03-01", -25_508);
        let mut day = Date::from_ymd(1850, 1, 1).unwrap();
        while day < date("2200-01-01") {
            let (y, m, d) = day.ymd();
            assert_eq!(Date::from_ymd(y, m, d), Some(day));
            day = day.plus_days(1);
        }
    }

    #[test]
    fn the_first_and_the_last_day_have_a_date() {
        for days in [i32::MIN, i32::MIN + 1, -1_000_000, 0, 1_000_000, i32::MAX] {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn years_are_twelve_months() {
        for days in date("1890-01-01").days()..date("2110-01-01").days() {
            for years in [-100, -1, 0, 1, 4, 60, 80, 100] {
                let day = Date::from_days(days);
                assert_eq!(day.plus_years(years), day.plus_months(12 * years), "{day} and {years}");
            }
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in
            ["2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-01-32", "2026-01", "x-1-1", ""]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_and_years_end_on_the_last_day_where_the_day_is_missing() {
        let check = |from: &str, months, to: &str| assert_eq!(date(from).plus_months(months), date(to));
        check("2026-01-31", 1, "2026-02-28");
        check("2024-01-31", 1, "2024-02-29");
        check("2026-03-31", -1, "2026-02-28");
        check("2026-11-30", 3, "2027-02-28");
        check("1944-02-29", 80 * 12, "2024-02-29");
        check("1946-03-16", 80 * 12, "2026-03-16");
        assert_eq!(date("1948-02-29").plus_years(78), date("2026-02-28"));
        assert_eq!(Date::ALWAYS.plus_years(3), Date::ALWAYS);
        assert_eq!(date("1948-02-29").birthdays([78, 80]), [date("2026-02-28"), date("2028-02-29")]);
    }

    #[test]
    fn conditions_combine() {
        let (a, b) = (Some(date("2026-01-01")), Some(date("2026-02-01")));
        assert_eq!(all_of([a, b, Some(Date::ALWAYS)]), b);
        assert_eq!(all_of([a, None]), None);
        assert_eq!(any_of([None, b, a]), a);
        assert_eq!(any_of([None, None]), None);
    }
}
