//! How well a site keeps its standards: numerator, denominator and excused, per standard and period.

use std::collections::BTreeMap;
use std::sync::Arc;

use linli_core::calendar::calendar_window;
use linli_core::compliance::Tally;
use linli_core::id::{OverrideId, SiteId, StandardCode};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::standard::{Period, Standard};
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::Sight;

use super::App;
use super::estate::{Estate, of_department};
use super::site::invalid;
use crate::auth::Call;
use crate::error::{Error, Result, Violation};

/// Most periods of one report: a year of weeks.
pub const REPORT_PERIODS_MAX: usize = 53;
/// Most standards that a report may be narrowed to.
pub const REPORT_STANDARDS_MAX: usize = 50;

/// What a report is to cover.
#[derive(Debug, Clone)]
pub struct ReportRequest {
    /// The site.
    pub site: SiteId,
    /// By which periods.
    pub period: Period,
    /// A day of the first period; `None`: the present one.
    pub from: Option<CivilDate>,
    /// A day of the last period; `None`: that of `from`.
    pub to: Option<CivilDate>,
    /// Only what this department owes.
    pub department: Option<Department>,
    /// Only these standards; empty: all.
    pub standards: Vec<StandardCode>,
}

/// The figures of a site.
#[derive(Debug, Clone)]
pub struct Report {
    /// The site.
    pub site: SiteId,
    /// The instant for which they hold.
    pub as_of: Instant,
    /// By which periods.
    pub period: Period,
    /// By period, then by code.
    pub rows: Vec<ReportRow>,
}

/// One standard in one period.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// The standard, in the version that governed last.
    pub standard: Arc<Standard>,
    /// The days of the period.
    pub days: DateRange,
    /// The figures.
    pub tally: Tally,
    /// Whether an approved override asked for less on one of the days.
    pub loosened: bool,
    /// The site's overrides that were meant for one of them.
    pub overrides: Vec<OverrideId>,
}

impl App {
    /// The figures of a site, over all its subjects, as known now. An obligation belongs to the period that holds its
    /// last day.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn compliance_report(&self, call: &Call, wanted: &ReportRequest) -> Result<Report> {
        let work = self.begin(call, Some(&wanted.site)).await?;
        let catalogue = &self.deployed().catalogue;
        let unknown = wanted.standards.iter().enumerate().filter(|(_, code)| !catalogue.knows(code));
        let violations: Vec<Violation> = unknown
            .map(|(at, _)| Violation { field: format!("standards[{at}]"), why: Invalid::Unknown })
            .collect();
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let site = work.site()?;
        let periods = periods(wanted, site.zone.date_of(work.now))?;
        let (Some(first), Some(last)) = (periods.first(), periods.last()) else {
            return Err(Error::Internal("a report without a period".into()));
        };
        let range = DateRange::new(first.start(), last.end());
        // Figures without names: what is owed to whom the caller may not know of counts like everything else.
        let estate = Estate::open(self, site, work.now, range, Sight::All).await?;
        let is_wanted = |standard: &Standard| {
            of_department(standard, wanted.department)
                && (wanted.standards.is_empty() || wanted.standards.contains(&standard.code))
        };
        let mut figures: BTreeMap<(usize, StandardCode), (Arc<Standard>, Tally)> = BTreeMap::new();
        let mut walk = estate.walk(is_wanted);
        while let Some(batch) = estate.next(&mut walk).await? {
            for obligation in batch.iter().flat_map(|owed| &owed.obligations) {
                let Some(at) = period_of(&periods, obligation.last_day()) else { continue };
                if !is_wanted(&obligation.standard) {
                    continue;
                }
                let key = (at, obligation.standard.code.clone());
                let entry = figures
                    .entry(key)
                    .or_insert_with(|| (Arc::clone(&obligation.standard), Tally::default()));
                if entry.0.version < obligation.standard.version {
                    entry.0 = Arc::clone(&obligation.standard);
                }
                entry.1.add(obligation);
            }
        }
        let rows = figures.into_iter().filter_map(|((at, code), (standard, tally))| {
            let days = *periods.get(at)?;
            let overrides: Vec<_> = estate.overrides_of(&code, days).collect();
            let loosened = overrides.iter().any(|known| known.looser);
            let overrides = overrides.iter().map(|known| known.id.clone()).collect();
            Some(ReportRow { standard, days, tally, loosened, overrides })
        });
        Ok(Report { site: wanted.site.clone(), as_of: work.now, period: wanted.period, rows: rows.collect() })
    }
}

/// The periods of a report, which tile its days.
fn periods(wanted: &ReportRequest, today: CivilDate) -> Result<Vec<DateRange>> {
    let window =
        |day| calendar_window(wanted.period, day).ok_or_else(|| invalid("period", Invalid::NotAllowed));
    let from = wanted.from.unwrap_or(today);
    let to = wanted.to.unwrap_or(from);
    if to < from {
        return Err(invalid("end_date", Invalid::EndsBeforeStart));
    }
    let mut periods = vec![window(from)?];
    while let Some(last) = periods.last().filter(|last| last.end() <= to && !last.is_empty()) {
        let next = window(last.end())?;
        if periods.len() >= REPORT_PERIODS_MAX {
            return Err(invalid("end_date", Invalid::TooMany { max: REPORT_PERIODS_MAX }));
        }
        periods.push(next);
    }
    Ok(periods)
}

/// The place of the period that holds a day.
fn period_of(periods: &[DateRange], day: CivilDate) -> Option<usize> {
    let at = periods.partition_point(|period| period.end() <= day);
    periods.get(at).filter(|period| period.contains(day)).map(|_| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    #[test]
    fn periods_tile_the_days_of_a_report() {
        let check =
            |period: Period, from: Option<&str>, to: Option<&str>, expect: Option<(usize, &str, &str)>| {
                let wanted = ReportRequest {
                    site: SiteId::new("s").unwrap(),
                    period,
                    from: from.map(day),
                    to: to.map(day),
                    department: None,
                    standards: Vec::new(),
                };
                let found = periods(&wanted, day("2026-03-19")).ok().map(|periods| {
                    assert!(periods.windows(2).all(|pair| pair[0].end() == pair[1].start()));
                    let (first, last) = (periods.first().unwrap(), periods.last().unwrap());
                    (periods.len(), first.start().to_string(), last.end().to_string())
                });
                let expect = expect.map(|(count, start, end)| (count, start.to_owned(), end.to_owned()));
                assert_eq!(found, expect, "{period:?} {from:?} {to:?}");
            };
        check(Period::Week, None, None, Some((1, "2026-03-16", "2026-03-23")));
        check(Period::Week, Some("2026-03-15"), Some("2026-03-16"), Some((2, "2026-03-09", "2026-03-23")));
        check(Period::Month, Some("2026-01-31"), Some("2026-03-01"), Some((3, "2026-01-01", "2026-04-01")));
        check(Period::Quarter, Some("2025-12-31"), Some("2026-01-01"), Some((2, "2025-10-01", "2026-04-01")));
        check(Period::Year, None, None, Some((1, "2026-01-01", "2027-01-01")));
        check(Period::Week, Some("2026-01-01"), Some("2026-12-31"), Some((53, "2025-12-29", "2027-01-04")));
        check(Period::Week, Some("2026-01-01"), Some("2027-01-04"), None);
        check(Period::Week, Some("2026-03-16"), Some("2026-03-15"), None);
        check(Period::EveryDays(3), None, None, None);
    }

    #[test]
    fn a_day_belongs_to_one_period() {
        let periods = [
            DateRange::new(day("2026-03-09"), day("2026-03-16")),
            DateRange::new(day("2026-03-16"), day("2026-03-23")),
        ];
        for (on, expect) in [
            ("2026-03-08", None),
            ("2026-03-09", Some(0)),
            ("2026-03-15", Some(0)),
            ("2026-03-16", Some(1)),
            ("2026-03-22", Some(1)),
            ("2026-03-23", None),
        ] {
            assert_eq!(period_of(&periods, day(on)), expect, "{on}");
        }
    }
}
