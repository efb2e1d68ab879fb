//! Public holidays, make-up workdays 调休 and school terms, year by year.
//!
//! Days off and make-up days are those of the State Council's notices (2025: 国办发明电〔2024〕12号; 2026: notice of
//! 2025-11-04). School terms are an editable default of this product: every education bureau sets its own.
//! To add a year, add its entry below, or give a calendar a [`PublicYear`] read from a file; nothing is guessed for a
//! year that is in neither.

use std::fmt;

use crate::invalid::Invalid;
use crate::text::Language;
use crate::time::{CivilDate, DateRange};

/// Public holidays and make-up workdays of one year, and its school terms where they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicYear {
    year: i32,
    off: Vec<DateRange>,
    make_up: Vec<CivilDate>,
    terms: Option<Vec<DateRange>>,
}

/// Why a file is not the data of a year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicYearError {
    /// The line, from 1; 0 where something is wanting in the file.
    pub line: usize,
    /// What is wrong with it.
    pub why: Invalid,
}

impl fmt::Display for PublicYearError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: the entry {}", self.line, self.why.message(Language::En))
    }
}

impl std::error::Error for PublicYearError {}

impl PublicYear {
    /// The data of a year: the days off, and the weekend days on which people work. School terms are not known.
    ///
    /// # Errors
    /// [`Invalid::OtherYear`] for days of another year, [`Invalid::EndsBeforeStart`] for empty ranges and
    /// [`Invalid::Duplicate`] for a day that is both off and worked.
    pub fn new(year: i32, off: Vec<DateRange>, make_up: Vec<CivilDate>) -> Result<Self, Invalid> {
        off.iter().try_for_each(|days| within(year, *days))?;
        for day in &make_up {
            within(year, DateRange::new(*day, day.plus_days(1)))?;
            if off.iter().any(|days| days.contains(*day)) {
                return Err(Invalid::Duplicate);
            }
        }
        Ok(Self { year, off, make_up, terms: None })
    }

    /// With the school terms of the year.
    ///
    /// # Errors
    /// As [`PublicYear::new`].
    pub fn with_terms(self, terms: Vec<DateRange>) -> Result<Self, Invalid> {
        terms.iter().try_for_each(|days| within(self.year, *days))?;
        Ok(Self { terms: Some(terms), ..self })
    }

    /// Reads the data of a year from text of one entry a line:
    ///
    /// ```text
    /// # what follows a # is ignored, as empty lines are
    /// year 2027
    /// off 2027-01-01..2027-01-03
    /// off 2027-04-05
    /// work 2027-01-09
    /// term 2027-02-22..2027-07-09
    /// ```
    ///
    /// `year` comes first and once. `off` are days off, `work` weekend days on which people work, `term` the school
    /// terms: first and last day, or a single day. Without a `term` the school terms of the year stay unknown.
    ///
    /// # Errors
    /// Every line that is not of this shape, or that [`PublicYear::new`] refuses; the first one alone where the text
    /// does not begin with a year, as nothing can be judged without it.
    ///
    /// ```
    /// use linli_core::calendar::{PublicYear, SiteCalendar};
    /// use linli_core::time::{CivilDate, SiteZone};
    /// let year = PublicYear::parse("year 2027\noff 2027-01-01..2027-01-03\n").unwrap();
    /// let calendar = SiteCalendar::new(SiteZone::SHANGHAI).with_public_year(year);
    /// assert_eq!(calendar.is_workday(CivilDate::from_ymd(2027, 1, 1).unwrap()), Ok(false));
    /// ```
    pub fn parse(text: &str) -> Result<Self, Vec<PublicYearError>> {
        let mut read: Option<Self> = None;
        let mut errors = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
            if line.is_empty() {
                continue;
            }
            match Self::entry(read.clone(), line) {
                Ok(next) => read = Some(next),
                Err(why) => errors.push(PublicYearError { line: index + 1, why }),
            }
            if read.is_none() {
                break;
            }
        }
        match read {
            Some(year) if errors.is_empty() => Ok(year),
            Some(_) => Err(errors),
            None if errors.is_empty() => Err(vec![PublicYearError { line: 0, why: Invalid::Missing }]),
            None => Err(errors),
        }
    }

    /// The year.
    pub fn year(&self) -> i32 {
        self.year
    }

    /// The school terms, where they are known.
    pub(super) fn terms(&self) -> Option<&[DateRange]> {
        self.terms.as_deref()
    }

    /// Whether people work on a day of the year.
    pub(super) fn is_workday(&self, day: CivilDate) -> bool {
        let off = self.off.iter().any(|days| days.contains(day));
        self.make_up.contains(&day) || (!off && !super::is_weekend(day))
    }

    /// What was read so far with one more entry.
    fn entry(read: Option<Self>, line: &str) -> Result<Self, Invalid> {
        let (word, value) = line.split_once(char::is_whitespace).ok_or(Invalid::Missing)?;
        let value = value.trim();
        let Some(read) = read else {
            let year = (word == "year").then_some(value).ok_or(Invalid::Missing)?;
            let year = year.parse().map_err(|_| Invalid::Date)?;
            // A year outside the accepted ones has no first day.
            CivilDate::from_ymd(year, 1, 1)?;
            return Self::new(year, Vec::new(), Vec::new());
        };
        let Self { year, mut off, mut make_up, terms } = read;
        let mut all_terms = terms.clone().unwrap_or_default();
        match word {
            "year" => return Err(Invalid::Duplicate),
            "off" => off.push(range(value)?),
            "work" => make_up.push(CivilDate::parse(value)?),
            "term" => all_terms.push(range(value)?),
            _ => return Err(Invalid::Unknown),
        }
        let known = terms.is_some() || !all_terms.is_empty();
        let next = Self::new(year, off, make_up)?;
        if known { next.with_terms(all_terms) } else { Ok(next) }
    }
}

/// First and last day, or a single day.
fn range(text: &str) -> Result<DateRange, Invalid> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (CivilDate::parse(first.trim())?, CivilDate::parse(last.trim())?);
    if last < first {
        return Err(Invalid::EndsBeforeStart);
    }
    Ok(DateRange::new(first, last.plus_days(1)))
}

fn within(year: i32, days: DateRange) -> Result<(), Invalid> {
    if days.is_empty() {
        return Err(Invalid::EndsBeforeStart);
    }
    let of_year = days.start().year() == year && days.end().plus_days(-1).year() == year;
    of_year.then_some(()).ok_or(Invalid::OtherYear { year })
}

/// What is known of one year, as month × 100 + day.
pub(super) struct YearData {
    /// The year.
    pub(super) year: i32,
    /// Days off that would otherwise be workdays or weekends: first and last day.
    pub(super) off: &'static [(u16, u16)],
    /// Weekend days on which people work.
    pub(super) make_up: &'static [u16],
    /// School terms: first and last day.
    pub(super) terms: &'static [(u16, u16)],
}

/// The years, in order.
pub(super) static YEARS: &[YearData] = &[
    YearData {
        year: 2025,
        off: &[(101, 101), (128, 204), (404, 406), (501, 505), (531, 602), (1001, 1008)],
        make_up: &[126, 208, 427, 928, 1011],
        terms: &[(101, 117), (217, 704), (901, 1231)],
    },
    YearData {
        year: 2026,
        off: &[(101, 103), (215, 223), (404, 406), (501, 505), (619, 621), (925, 927), (1001, 1007)],
        make_up: &[104, 214, 228, 509, 920, 1010],
        terms: &[(101, 130), (302, 710), (901, 1231)],
    },
];
