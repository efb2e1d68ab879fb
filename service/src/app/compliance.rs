//! How well a site keeps its standards: numerator, denominator and excused, per standard and period, and within each by care
//! group, tier and post; closing a period; the visit rate; the work of posts; the report that managers read.

mod count;
mod period;
mod report;
mod visit_rate;
mod workload;

use std::collections::BTreeMap;

use linli_core::calendar::calendar_window;
use linli_core::compliance::{Cell, ClosedPeriod, Promise, Tally};
use linli_core::id::{OverrideId, SiteId, StandardCode};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::standard::{Period, Standard};
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::Sight;

use self::count::{Count, PeriodFigures, Serving};
use super::App;
use super::estate::Estate;
use super::site::invalid;
use crate::auth::Call;
use crate::error::{Error, Result, Violation};

pub use period::{CAUSES_MAX, CorrectionView, PeriodView};
pub use report::{Rendered, ReportFormat};
pub use visit_rate::VisitRateView;
pub use workload::{WorkloadRequest, WorkloadRow};

/// Most periods of one report: a year of weeks.
pub const REPORT_PERIODS_MAX: usize = 53;
/// Most standards that a report may be narrowed to.
pub const REPORT_STANDARDS_MAX: usize = 50;

/// By what the figures of a standard are broken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakdown {
    /// By nothing.
    Whole,
    /// By care group.
    Group,
    /// By tier.
    Tier,
    /// By post.
    Post,
}

impl Breakdown {
    fn holds(self, cell: &Cell) -> bool {
        match cell {
            Cell::All => self == Self::Whole,
            Cell::Group(_) => self == Self::Group,
            Cell::Tier(_) => self == Self::Tier,
            Cell::Post(_) => self == Self::Post,
        }
    }
}

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
    /// By what each standard is broken down.
    pub breakdown: Breakdown,
}

impl ReportRequest {
    fn wants(&self, code: &StandardCode, department: Department) -> bool {
        self.department.is_none_or(|wanted| department == wanted)
            && (self.standards.is_empty() || self.standards.contains(code))
    }
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
    /// By period, then by code, then by cell.
    pub rows: Vec<ReportRow>,
}

/// One standard in one period.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// The standard, as the version says that governed last.
    pub promise: Promise,
    /// Under what it is counted.
    pub cell: Cell,
    /// The days of the period.
    pub days: DateRange,
    /// The figures: as they were closed, where the period was.
    pub tally: Tally,
    /// When the period was closed.
    pub closed_at: Option<Instant>,
    /// Where it was closed: the figures as of now, if they differ.
    pub current: Option<Tally>,
    /// Whether an approved override asked for less on one of the days.
    pub loosened: bool,
    /// The site's overrides that were meant for one of them.
    pub overrides: Vec<OverrideId>,
}

impl App {
    /// The figures of a site, over all its subjects: as known now, or as they were closed. An obligation belongs to the period
    /// that holds its last day.
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
        let periods = periods(wanted.period, (wanted.from, wanted.to), site.zone.date_of(work.now))?;
        let (Some(first), Some(last)) = (periods.first(), periods.last()) else {
            return Err(Error::Internal("a report without a period".into()));
        };
        let range = DateRange::new(first.start(), last.end());
        // Figures without names: what is owed to whom the caller may not know of counts like everything else.
        let estate = Estate::open(self, site, work.now, range, Sight::All).await?;
        let serving = match wanted.breakdown {
            Breakdown::Whole => None,
            Breakdown::Group | Breakdown::Tier | Breakdown::Post => Some(Serving::load(self, &estate).await?),
        };
        let count = Count { estate: &estate, periods: &periods, serving: serving.as_ref() };
        let is_wanted = |standard: &Standard| wanted.wants(&standard.code, standard.department);
        let known = count.run(is_wanted, |_| {}).await?;
        let closed = self.store.closed_periods(&wanted.site, wanted.period, range).await?;
        let mut rows = Vec::new();
        for (days, known) in periods.iter().zip(known) {
            let closed = closed.iter().find(|closed| closed.period.days() == *days);
            rows.extend(report_rows(&estate, wanted, *days, &known, closed));
        }
        Ok(Report { site: wanted.site.clone(), as_of: work.now, period: wanted.period, rows })
    }
}

/// The rows of one period: what was closed, and what is known now.
fn report_rows(
    estate: &Estate<'_>,
    wanted: &ReportRequest,
    days: DateRange,
    known: &PeriodFigures,
    closed: Option<&ClosedPeriod>,
) -> Vec<ReportRow> {
    let mut promises: BTreeMap<StandardCode, Promise> =
        known.promises().map(|promise| (promise.code.clone(), promise)).collect();
    let mut both: BTreeMap<(StandardCode, Cell), (Option<Tally>, Tally)> = BTreeMap::new();
    for (standard, cell, figure) in known.figures.iter().filter(|(_, cell, _)| wanted.breakdown.holds(cell)) {
        both.insert((standard.clone(), cell.clone()), (None, figure.tally));
    }
    if let Some(closed) = closed {
        let own = closed.promises.iter().filter(|promise| wanted.wants(&promise.code, promise.department));
        promises.extend(own.map(|promise| (promise.code.clone(), promise.clone())));
        for frozen in closed.figures.iter().filter(|frozen| wanted.breakdown.holds(&frozen.cell)) {
            both.entry((frozen.standard.clone(), frozen.cell.clone())).or_default().0 = Some(frozen.tally);
        }
    }
    let row = |((standard, cell), (frozen, now)): (_, (Option<Tally>, Tally))| {
        let promise = promises.get(&standard)?.clone();
        // What was not there when the period was closed was nothing.
        let tally = if closed.is_some() { frozen.unwrap_or_default() } else { now };
        let overrides: Vec<_> = estate.overrides_of(&standard, days).collect();
        Some(ReportRow {
            promise,
            cell,
            days,
            tally,
            closed_at: closed.map(|closed| closed.closed.at),
            current: Some(now).filter(|now| *now != tally),
            loosened: overrides.iter().any(|known| known.looser),
            overrides: overrides.iter().map(|known| known.id.clone()).collect(),
        })
    };
    both.into_iter().filter_map(row).collect()
}

/// The periods of a report, which tile its days.
fn periods(
    period: Period,
    (from, to): (Option<CivilDate>, Option<CivilDate>),
    today: CivilDate,
) -> Result<Vec<DateRange>> {
    let window = |day| calendar_window(period, day).ok_or_else(|| invalid("period", Invalid::NotAllowed));
    let from = from.unwrap_or(today);
    let to = to.unwrap_or(from);
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
                let found = periods(period, (from.map(day), to.map(day)), day("2026-03-19")).ok();
                let found = found.map(|periods| {
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
}
