//! The calendar of a site: its zone, public holidays with make-up workdays 调休, school terms, and the occasions of
//! the year.
//!
//! Whatever depends on yearly data that is not known is an error that names the year, never a guess.

mod lunar;
mod public;

pub use public::{PublicYear, PublicYearError};

use std::collections::BTreeMap;

use chrono::{Datelike, Weekday};

use crate::id::FieldCode;
use crate::invalid::Invalid;
use crate::kind::{Occasion, closed_list};
use crate::standard::{OccasionRef, Period, RunsOn};
use crate::time::{CivilDate, DateRange, SiteZone};

/// Why the calendar cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// No data for the year, and the answer depends on it.
    #[error("the calendar has no data for the year `{year}`")]
    MissingYear {
        /// The year.
        year: i32,
    },
    /// A standard names an occasion that the site does not define.
    #[error("the site defines no occasion `{code}`")]
    UnknownOccasion {
        /// The occasion's code.
        code: FieldCode,
    },
}

closed_list! {
    /// Whether people work on a day.
    DayKind {
        /// A workday, make-up workdays included.
        Work = "work", "工作日", "workday";
        /// A weekend day or holiday.
        Rest = "rest", "休息日", "rest day";
    }
}

/// When an occasion that a site defines takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteOccasion {
    /// Every year on the same day; 29 February is 28 February in common years.
    Yearly {
        /// 1–12.
        month: u32,
        /// 1–31.
        day: u32,
    },
    /// On one day in each of the years given, in any order; other years have no data.
    Days(Vec<CivilDate>),
}

/// The calendar of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteCalendar {
    zone: SiteZone,
    days: BTreeMap<CivilDate, DayKind>,
    years: BTreeMap<i32, PublicYear>,
    terms: BTreeMap<i32, Vec<DateRange>>,
    occasions: BTreeMap<FieldCode, SiteOccasion>,
}

impl SiteCalendar {
    /// The calendar of a site that changes nothing: public holidays as announced, default school terms.
    pub fn new(zone: SiteZone) -> Self {
        Self {
            zone,
            days: BTreeMap::new(),
            years: BTreeMap::new(),
            terms: BTreeMap::new(),
            occasions: BTreeMap::new(),
        }
    }

    /// With a day that is worked or not, whatever was announced.
    #[must_use]
    pub fn with_day(mut self, day: CivilDate, kind: DayKind) -> Self {
        self.days.insert(day, kind);
        self
    }

    /// With the public holidays and make-up workdays of a year, and its school terms where the data holds them: in place
    /// of what the product itself knows of that year. Days of the site still come first.
    #[must_use]
    pub fn with_public_year(mut self, year: PublicYear) -> Self {
        self.years.insert(year.year(), year);
        self
    }

    /// With the school terms of one year in place of the default ones.
    #[must_use]
    pub fn with_school_terms(mut self, year: i32, terms: Vec<DateRange>) -> Self {
        self.terms.insert(year, terms);
        self
    }

    /// With an occasion of the site.
    ///
    /// # Errors
    /// [`Invalid::Date`] where a yearly day does not exist in any year.
    pub fn with_occasion(mut self, code: FieldCode, occasion: SiteOccasion) -> Result<Self, Invalid> {
        if let SiteOccasion::Yearly { month, day } = occasion {
            // 2000 was a leap year: it has every day that any year has.
            CivilDate::from_ymd(2000, month, day)?;
        }
        self.occasions.insert(code, occasion);
        Ok(self)
    }

    /// The site's zone.
    pub fn zone(&self) -> SiteZone {
        self.zone
    }

    /// Whether people work on a day.
    ///
    /// # Errors
    /// [`CalendarError::MissingYear`] where neither the notices, nor added years, nor the site know the day.
    pub fn is_workday(&self, day: CivilDate) -> Result<bool, CalendarError> {
        if let Some(kind) = self.days.get(&day) {
            return Ok(*kind == DayKind::Work);
        }
        if let Some(year) = self.years.get(&day.year()) {
            return Ok(year.is_workday(day));
        }
        let date = day.to_naive();
        let Some(data) = public::YEARS.iter().find(|data| data.year == date.year()) else {
            return Err(CalendarError::MissingYear { year: date.year() });
        };
        let month_day = month_day(day);
        if data.make_up.contains(&month_day) {
            return Ok(true);
        }
        let off = data.off.iter().any(|(first, last)| (*first..=*last).contains(&month_day));
        Ok(!off && !is_weekend(day))
    }

    /// Whether people probably work on a day: as [`SiteCalendar::is_workday`] where the year is known, else Monday to
    /// Friday. For hints only, such as the order of a worklist: nothing that is owed, met or missed may rest on it.
    pub fn is_likely_workday(&self, day: CivilDate) -> bool {
        self.is_workday(day).unwrap_or_else(|_| !is_weekend(day))
    }

    /// Whether schools teach on a day: a workday within a term.
    ///
    /// # Errors
    /// [`CalendarError::MissingYear`] where the year's terms or workdays are not known and decide the answer.
    pub fn is_school_day(&self, day: CivilDate) -> Result<bool, CalendarError> {
        let year = day.year();
        let in_term = match self.terms.get(&year) {
            Some(terms) => Ok(terms.iter().any(|term| term.contains(day))),
            None if self.years.contains_key(&year) => {
                let terms = self.years.get(&year).and_then(PublicYear::terms);
                terms
                    .map(|terms| terms.iter().any(|term| term.contains(day)))
                    .ok_or(CalendarError::MissingYear { year })
            }
            None => match public::YEARS.iter().find(|data| data.year == year) {
                Some(data) => {
                    let month_day = month_day(day);
                    Ok(data.terms.iter().any(|(first, last)| (*first..=*last).contains(&month_day)))
                }
                None => Err(CalendarError::MissingYear { year }),
            },
        };
        match (in_term, self.is_workday(day)) {
            (Ok(false), _) | (_, Ok(false)) => Ok(false),
            (Ok(true), Ok(true)) => Ok(true),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Whether a duty with these days runs on a day.
    ///
    /// # Errors
    /// As [`SiteCalendar::is_workday`] and [`SiteCalendar::is_school_day`].
    pub fn runs(&self, runs_on: RunsOn, day: CivilDate) -> Result<bool, CalendarError> {
        match runs_on {
            RunsOn::All => Ok(true),
            RunsOn::Workdays => self.is_workday(day),
            RunsOn::SchoolDays => self.is_school_day(day),
        }
    }

    /// How many days of a range a duty runs on.
    ///
    /// # Errors
    /// As [`SiteCalendar::runs`].
    pub fn count(&self, runs_on: RunsOn, range: DateRange) -> Result<i32, CalendarError> {
        match runs_on {
            RunsOn::All => Ok(range.len()),
            RunsOn::Workdays | RunsOn::SchoolDays => {
                range.days().try_fold(0, |count, day| Ok(count + i32::from(self.runs(runs_on, day)?)))
            }
        }
    }

    /// The last workday of a range, where it holds one.
    ///
    /// # Errors
    /// As [`SiteCalendar::is_workday`].
    pub fn last_workday(&self, range: DateRange) -> Result<Option<CivilDate>, CalendarError> {
        let mut day = range.end();
        while day > range.start() {
            day = day.plus_days(-1);
            if self.is_workday(day)? {
                return Ok(Some(day));
            }
        }
        Ok(None)
    }

    /// The day of an occasion in a Gregorian year.
    ///
    /// # Errors
    /// [`CalendarError::MissingYear`] outside 1901–2100 for lunar occasions and 清明, outside the accepted years, and
    /// where the site lists days but none for that year; [`CalendarError::UnknownOccasion`].
    pub fn occasion(&self, occasion: &OccasionRef, year: i32) -> Result<CivilDate, CalendarError> {
        let found = match occasion {
            OccasionRef::BuiltIn(occasion) => built_in(*occasion, year),
            OccasionRef::Site(code) => match self.occasions.get(code) {
                None => return Err(CalendarError::UnknownOccasion { code: code.clone() }),
                Some(SiteOccasion::Yearly { month, day }) => CivilDate::from_ymd(year, *month, *day)
                    .or_else(|_| CivilDate::from_ymd(year, *month, 28))
                    .ok(),
                Some(SiteOccasion::Days(days)) => days.iter().copied().find(|day| day.year() == year),
            },
        };
        found.ok_or(CalendarError::MissingYear { year })
    }
}

/// The years with public holidays and school terms, ascending.
pub fn known_years() -> impl Iterator<Item = i32> {
    public::YEARS.iter().map(|data| data.year)
}

/// The calendar window of a period that holds a day; `None` for [`Period::EveryDays`], whose windows depend on where
/// the standard began to apply.
pub fn calendar_window(period: Period, day: CivilDate) -> Option<DateRange> {
    match period {
        Period::Day => Some(DateRange::new(day, day.plus_days(1))),
        Period::Week => {
            // 1970-01-01 was a Thursday, three days after its Monday.
            let monday = day.plus_days(-(day.days() + 3).rem_euclid(7));
            Some(DateRange::new(monday, monday.plus_days(7)))
        }
        Period::Month => Some(months(day, 1)),
        Period::Quarter => Some(months(day, 3)),
        Period::Year => Some(months(day, 12)),
        Period::EveryDays(_) => None,
    }
}

/// The block of `length` calendar months (a divisor of 12) that holds a day.
fn months(day: CivilDate, length: i32) -> DateRange {
    let date = day.to_naive();
    let into = date.month0().rem_euclid(length.unsigned_abs());
    let first_month = date.month0() - into + 1;
    let start = CivilDate::from_ymd(date.year(), first_month, 1).unwrap_or(CivilDate::MIN);
    let (end_year, end_month) = match first_month + length.unsigned_abs() {
        month @ 1..=12 => (date.year(), month),
        month => (date.year() + 1, month - 12),
    };
    // The first day after the accepted years does not exist: the last window ends with them.
    let end = CivilDate::from_ymd(end_year, end_month, 1).unwrap_or(CivilDate::MAX);
    DateRange::new(start, end)
}

fn is_weekend(day: CivilDate) -> bool {
    matches!(day.to_naive().weekday(), Weekday::Sat | Weekday::Sun)
}

fn month_day(day: CivilDate) -> u16 {
    let date = day.to_naive();
    u16::try_from(date.month() * 100 + date.day()).unwrap_or(0)
}

fn built_in(occasion: Occasion, year: i32) -> Option<CivilDate> {
    if let Some((column, after)) = lunar::TableOccasion::of(occasion) {
        let (month, day) = lunar::month_day(column, year)?;
        return CivilDate::from_ymd(year, month, day).ok().map(|day| day.plus_days(after));
    }
    match occasion {
        Occasion::WomensDay => CivilDate::from_ymd(year, 3, 8).ok(),
        Occasion::MothersDay => nth_sunday(year, 5, 2),
        Occasion::HelpDisabledDay => nth_sunday(year, 5, 3),
        Occasion::ChildrensDay => CivilDate::from_ymd(year, 6, 1).ok(),
        Occasion::ArmyDay => CivilDate::from_ymd(year, 8, 1).ok(),
        Occasion::MartyrsDay => CivilDate::from_ymd(year, 9, 30).ok(),
        Occasion::DisabilityDay => CivilDate::from_ymd(year, 12, 3).ok(),
        Occasion::SpringFestival
        | Occasion::LanternFestival
        | Occasion::Qingming
        | Occasion::DragonBoat
        | Occasion::MidAutumn
        | Occasion::DoubleNinth => None,
    }
}

fn nth_sunday(year: i32, month: u32, nth: i32) -> Option<CivilDate> {
    let first = CivilDate::from_ymd(year, month, 1).ok()?;
    let to_sunday = 6 - i32::try_from(first.weekday().num_days_from_monday()).ok()?;
    Some(first.plus_days(to_sunday + 7 * (nth - 1)))
}

#[cfg(test)]
mod tests;
