//! Instants, civil dates, ranges of days, and the clock that is passed in.
//!
//! Instants are for "when did it happen"; civil dates are for quotas, ages and deadlines counted in days. The
//! bridge between the two is the site's zone.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Utc, Weekday};

use crate::invalid::Invalid;

/// Where the present comes from. Linli has two of them: the *care clock* of the domain, which can be simulated,
/// and the *system clock* of tokens and leases, which cannot.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Instant;
}

/// A point on the time line: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(i64);

impl Instant {
    /// 1900-01-01T00:00:00Z.
    pub const MIN: Self = Self(-2_208_988_800_000_000);
    /// 2199-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(7_258_118_399_999_999);

    /// From microseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Invalid::InstantRange`] outside the years 1900 to 2199.
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        let instant = Self(micros);
        if instant < Self::MIN || instant > Self::MAX { Err(Invalid::InstantRange) } else { Ok(instant) }
    }

    /// From microseconds, moved into the accepted years where it lies outside.
    pub fn clamped(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant `minutes` later (earlier where negative), kept within the accepted years.
    #[must_use]
    pub fn plus_minutes(self, minutes: i64) -> Self {
        Self::clamped(self.0.saturating_add(minutes.saturating_mul(60_000_000)))
    }

    /// The instant `seconds` later (earlier where negative), kept within the accepted years.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::clamped(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The instant `hours` later (earlier where negative), kept within the accepted years.
    #[must_use]
    pub fn plus_hours(self, hours: i64) -> Self {
        self.plus_minutes(hours.saturating_mul(60))
    }

    /// As a chrono value.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

/// A civil date between 1850-01-01 and 2199-12-31: days since 1970-01-01. Arithmetic stays within the range.
/// What people enter ([`CivilDate::parse`]) lies after 1899; identity numbers may hold older birth dates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CivilDate(i32);

impl CivilDate {
    /// 1850-01-01.
    pub const MIN: Self = Self(-43_829);
    /// 1900-01-01, the first date that people may enter.
    pub const FIRST_ENTERED: Self = Self(-25_567);
    /// 2199-12-31.
    pub const MAX: Self = Self(84_005);

    /// From days since 1970-01-01.
    ///
    /// # Errors
    /// [`Invalid::DateRange`] outside the accepted years.
    pub fn from_days(days: i32) -> Result<Self, Invalid> {
        let date = Self(days);
        if date < Self::MIN || date > Self::MAX { Err(Invalid::DateRange) } else { Ok(date) }
    }

    /// From year, month (1–12) and day (1–31).
    ///
    /// # Errors
    /// [`Invalid::Date`] where there is no such day, [`Invalid::DateRange`] outside the accepted years.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Result<Self, Invalid> {
        Self::from_naive(NaiveDate::from_ymd_opt(year, month, day).ok_or(Invalid::Date)?)
    }

    /// From `YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`Invalid::Date`] or [`Invalid::DateRange`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<i32>().ok()
        };
        let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
            return Err(Invalid::Date);
        };
        if parts.next().is_some() {
            return Err(Invalid::Date);
        }
        let date = Self::from_ymd(year, month.unsigned_abs(), day.unsigned_abs())?;
        if date < Self::FIRST_ENTERED { Err(Invalid::DateRange) } else { Ok(date) }
    }

    /// From a chrono date.
    ///
    /// # Errors
    /// [`Invalid::DateRange`] outside the accepted years.
    pub fn from_naive(date: NaiveDate) -> Result<Self, Invalid> {
        let days = i64::from(date.num_days_from_ce()) - 719_163;
        i32::try_from(days).map_err(|_| Invalid::DateRange).and_then(Self::from_days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// As a chrono date.
    pub fn to_naive(self) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(self.0.saturating_add(719_163)).unwrap_or(NaiveDate::MIN)
    }

    /// The date `days` later (earlier where negative), kept within the accepted range.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The same day of the month `months` later, or that month's last day where it has no such day
    /// (Civil Code Art. 202).
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let date = self.to_naive();
        let step = chrono::Months::new(months.unsigned_abs());
        let moved = if months < 0 { date.checked_sub_months(step) } else { date.checked_add_months(step) };
        match moved.map(Self::from_naive) {
            Some(Ok(date)) => date,
            Some(Err(_)) | None if months < 0 => Self::MIN,
            Some(Err(_)) | None => Self::MAX,
        }
    }

    /// The year.
    pub fn year(self) -> i32 {
        self.to_naive().year()
    }

    /// The month, 1–12.
    pub fn month(self) -> u32 {
        self.to_naive().month()
    }

    /// The day of the month, 1–31.
    pub fn day(self) -> u32 {
        self.to_naive().day()
    }

    /// The day of the week.
    pub fn weekday(self) -> Weekday {
        self.to_naive().weekday()
    }

    /// Full years between a birth date and this date: an age is reached *on* the birthday; one born on 29 February
    /// reaches it on 28 February of a common year (Civil Code Art. 200, 202).
    pub fn age_from(self, birth: Self) -> Option<u32> {
        if self < birth {
            return None;
        }
        let years = self.year() - birth.year();
        let reached = birth.plus_months(years.saturating_mul(12)) <= self;
        u32::try_from(if reached { years } else { years - 1 }).ok()
    }
}

impl fmt::Debug for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_naive().format("%Y-%m-%d"))
    }
}

/// A half-open range of days: from `start`, up to but without `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateRange {
    start: CivilDate,
    end: CivilDate,
}

impl DateRange {
    /// The days from `start` up to but without `end`; empty where `end` is not after `start`.
    pub fn new(start: CivilDate, end: CivilDate) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The days from `start` on.
    pub fn from(start: CivilDate) -> Self {
        Self { start, end: CivilDate::MAX }
    }

    /// The first day.
    pub const fn start(self) -> CivilDate {
        self.start
    }

    /// The day after the last.
    pub const fn end(self) -> CivilDate {
        self.end
    }

    /// How many days.
    pub const fn len(self) -> i32 {
        self.end.0 - self.start.0
    }

    /// Whether it holds no day.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether it holds `day`.
    pub fn contains(self, day: CivilDate) -> bool {
        self.start <= day && day < self.end
    }

    /// The days in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Every day, in order.
    pub fn days(self) -> impl Iterator<Item = CivilDate> {
        (self.start.0..self.end.0).map(CivilDate)
    }
}

impl fmt::Debug for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

const DAY_MICROS: i64 = 86_400_000_000;
const CHINA_OFFSET_MICROS: i64 = 8 * 3_600_000_000;
/// 1992-01-01.
const CHINA_CONSTANT_FROM_DAY: i32 = 8_035;
const CHINA_CONSTANT_FROM: Instant = Instant(CHINA_CONSTANT_FROM_DAY as i64 * DAY_MICROS);

/// An IANA time zone of a site.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SiteZone(chrono_tz::Tz);

impl SiteZone {
    /// `Asia/Shanghai`, the zone of every site that names none.
    pub const SHANGHAI: Self = Self(chrono_tz::Asia::Shanghai);

    /// From an IANA name.
    ///
    /// # Errors
    /// [`Invalid::TimeZone`] where there is no such zone.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        name.parse().map(Self).map_err(|_| Invalid::TimeZone)
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether this is the zone of China, whose clocks have not moved since 1991: from 1992 on its offset is a
    /// constant, and no table needs to be searched.
    fn is_constant_from_1992(self) -> bool {
        self == Self::SHANGHAI
    }

    /// The civil date at an instant.
    pub fn date_of(self, instant: Instant) -> CivilDate {
        if instant.0 >= CHINA_CONSTANT_FROM.0 && self.is_constant_from_1992() {
            let days = (instant.0 + CHINA_OFFSET_MICROS).div_euclid(DAY_MICROS);
            return CivilDate(i32::try_from(days).unwrap_or(CivilDate::MAX.0).min(CivilDate::MAX.0));
        }
        let local = self.0.from_utc_datetime(&instant.to_utc().naive_utc()).date_naive();
        CivilDate::from_naive(local).unwrap_or(if instant.micros() < 0 {
            CivilDate::MIN
        } else {
            CivilDate::MAX
        })
    }

    /// An instant as people of the zone read it, `2026-03-16 09:00`.
    pub fn shown(self, instant: Instant) -> String {
        let local = self.0.from_utc_datetime(&instant.to_utc().naive_utc()).naive_local();
        local.format("%Y-%m-%d %H:%M").to_string()
    }

    /// The first instant of a civil day.
    pub fn start_of(self, day: CivilDate) -> Instant {
        if day.0 > CHINA_CONSTANT_FROM_DAY && self.is_constant_from_1992() {
            return Instant::clamped(i64::from(day.0) * DAY_MICROS - CHINA_OFFSET_MICROS);
        }
        self.at(day, 0, 0)
    }

    /// The instant at `hour`:`minute` of a civil day; where the clocks skip that time, the first instant after.
    pub fn at(self, day: CivilDate, hour: u32, minute: u32) -> Instant {
        let date = day.to_naive();
        // A zone's gap is at most a day long (Samoa 2011); most are an hour.
        for extra_minutes in (0..=24 * 60).step_by(15) {
            let local = date
                .and_hms_opt(hour, minute, 0)
                .and_then(|t| t.checked_add_signed(chrono::TimeDelta::minutes(extra_minutes)));
            let found = local.and_then(|local| self.0.from_local_datetime(&local).earliest());
            if let Some(found) = found {
                return Instant::clamped(found.timestamp_micros());
            }
        }
        if day.days() < 0 { Instant::MIN } else { Instant::MAX }
    }
}

impl fmt::Debug for SiteZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_days() {
        let ymd = |y, m, d| CivilDate::from_ymd(y, m, d).unwrap();
        assert_eq!(CivilDate::MIN, ymd(1850, 1, 1));
        assert_eq!(CivilDate::FIRST_ENTERED, ymd(1900, 1, 1));
        assert_eq!(CivilDate::MAX, ymd(2199, 12, 31));
        assert_eq!(Instant::MIN.to_string(), "1900-01-01T00:00:00Z");
        assert_eq!(Instant::MAX.to_string(), "2199-12-31T23:59:59.999999Z");
    }

    #[test]
    fn the_short_way_through_the_zone_of_china_equals_the_table() {
        // Macau has kept the same clocks as Shanghai since 1992, and takes the long way.
        let (short, long) = (SiteZone::SHANGHAI, SiteZone::parse("Asia/Macau").unwrap());
        let from = CivilDate::from_ymd(1992, 1, 1).unwrap();
        assert_eq!(from.days(), CHINA_CONSTANT_FROM_DAY);
        for day in DateRange::from(from).days() {
            let start = short.start_of(day);
            assert_eq!(start, long.start_of(day), "{day}");
            assert_eq!(short.date_of(start), long.date_of(start), "{day}");
            let last = Instant::clamped(start.micros() - 1);
            assert_eq!(short.date_of(last), long.date_of(last), "{day}");
        }
        assert_eq!(short.date_of(Instant::MAX), long.date_of(Instant::MAX));
    }

    #[test]
    fn ages() {
        let check = |birth: &str, day: &str, expect: Option<u32>| {
            let age = CivilDate::parse(day).unwrap().age_from(CivilDate::parse(birth).unwrap());
            assert_eq!(age, expect, "{birth} at {day}");
        };
        check("1946-03-16", "2026-03-15", Some(79));
        check("1946-03-16", "2026-03-16", Some(80));
        check("1944-02-29", "2026-02-27", Some(81));
        check("1944-02-29", "2026-02-28", Some(82));
        check("2026-03-16", "2026-03-15", None);
    }

    #[test]
    fn parsing() {
        let check = |text: &str, expect: Result<&str, Invalid>| {
            assert_eq!(CivilDate::parse(text).map(|d| d.to_string()), expect.map(str::to_owned), "{text}");
        };
        check("2024-02-29", Ok("2024-02-29"));
        check("2026-02-29", Err(Invalid::Date));
        check("1899-12-31", Err(Invalid::DateRange));
        check("2026-3-1", Err(Invalid::Date));
        check("2026-03-01-01", Err(Invalid::Date));
    }
}
