//! The report that managers read: gathers what it may show, and has it rendered.
//!
//! A period that was closed is shown as it was closed: its standards, groups and visit rate are the frozen figures, and what is not
//! frozen (weeks, posts' work, requests) is computed for the instant of the closing.

use linli_core::calendar::calendar_window;
use linli_core::compliance::{
    Blocks, Cell, ClosedPeriod, Figure, Figures, People, ReportPeriod, Tally, VisitRate, Weighed, blocks,
    percent_shown,
};
use linli_core::id::{GroupCode, RequestId, StandardCode};
use linli_core::kind::Department;
use linli_core::request::{Request, RequestState, RequestUrgency, StepTaken};
use linli_core::site::Site;
use linli_core::standard::Period;
use linli_core::text::Language;
use linli_core::time::{DateRange, Instant};
use linli_store::{PAGE_MAX, RequestFilter, Sight};

use super::count::{Count, PeriodFigures, Serving};
use super::visit_rate::add_visit;
use super::workload::{WorkloadRow, Workloads};
use crate::app::App;
use crate::app::estate::Estate;
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name::InSite;
use crate::report::{
    self, CorrectionRow, GroupRow, PostRow, ReportData, RequestRow, RequestsPart, StandardRow, VisitsRow,
    Wait, WeekRow,
};

/// What a report is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// A page that needs nothing else.
    Html,
    /// A workbook.
    Xlsx,
}

/// A report as a file.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Its media type.
    pub media_type: &'static str,
    /// A name for it.
    pub file_name: String,
}

impl App {
    /// The report of a month or a quarter in one language.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn render_report(
        &self,
        call: &Call,
        at: &InSite<ReportPeriod>,
        format: ReportFormat,
        language: Language,
    ) -> Result<Rendered> {
        let work = self.begin(call, Some(&at.site)).await?;
        let site = work.site()?;
        let closed = self.store.closed_period(&at.site, at.id).await?;
        let mut data = self.report_data(site.clone(), work.now, at.id, closed.as_ref()).await?;
        if let Some(closed) = &closed {
            let found = self.corrections_of(&work, site, closed).await?;
            let whole = found.into_iter().filter(|view| view.correction.cell == Cell::All).map(|view| {
                CorrectionRow {
                    code: view.promise.code,
                    title: view.promise.title,
                    closed: view.correction.closed,
                    current: view.correction.current,
                    causes: view.causes.len() + view.further_causes,
                }
            });
            let shown = |row: &CorrectionRow| data.standards.iter().any(|standard| standard.code == row.code);
            data.corrections = Some(whole.filter(shown).collect());
        }
        let name = format!("{}-{}", at.site, at.id);
        match format {
            ReportFormat::Html => Ok(Rendered {
                content: report::page(&data, language).into_bytes(),
                media_type: "text/html; charset=utf-8",
                file_name: format!("{name}.html"),
            }),
            ReportFormat::Xlsx => Ok(Rendered {
                content: report::sheets(&data, language)
                    .map_err(|error| Error::Internal(format!("a workbook cannot be written: {error}")))?,
                media_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                file_name: format!("{name}.xlsx"),
            }),
        }
    }

    async fn report_data(
        &self,
        site: Site,
        now: Instant,
        period: ReportPeriod,
        closed: Option<&ClosedPeriod>,
    ) -> Result<ReportData> {
        let days = period.days();
        let as_of = closed.map_or(now, |closed| closed.closed.at);
        let estate = Estate::open(self, site, as_of, days, Sight::All).await?;
        let serving = Serving::load(self, &estate).await?;
        let weeks = windows(Period::Week, days);
        let months = windows(Period::Month, days);
        let mut visits: Vec<VisitRate> = months.iter().map(|_| VisitRate::default()).collect();
        let mut workloads = Workloads::default();
        let count = Count { estate: &estate, periods: &weeks, serving: Some(&serving) };
        let by_week = count.run(
            |_| true,
            |owed| {
                for (rate, month) in visits.iter_mut().zip(&months) {
                    add_visit(rate, &estate, owed, *month);
                }
                workloads.add(owed, &serving, &[days]);
            },
        );
        let by_week = by_week.await?;
        for closed in self.store.closed_periods(&estate.site.id, Period::Month, days).await? {
            let month = months.iter().position(|month| *month == closed.period.days());
            if let (Some(rate), Some(frozen)) = (month.and_then(|at| visits.get_mut(at)), closed.visits) {
                *rate = frozen;
            }
        }
        let visits =
            months.iter().zip(visits).map(|(days, rate)| VisitsRow { days: *days, rate: rate.published() });
        let requests = self.requests_part(&estate, days).await?;
        let work = workloads.rows(&estate.site.id, &serving, &[days]);
        let table = Table::new(by_week, closed);
        let (posts, posts_withheld) = table.posts(&serving, &work);
        Ok(ReportData {
            title: estate.site.title.as_str().to_owned(),
            zone: estate.site.zone,
            period,
            as_of,
            closed_at: closed.map(|closed| closed.closed.at),
            total: table.total(),
            standards: table.standards.clone(),
            together: table.together,
            withheld: table.withheld,
            departments: table.departments(),
            weeks: table.week_rows(&weeks),
            posts,
            posts_withheld,
            groups: self.group_rows(&table),
            visits: visits.collect(),
            requests,
            corrections: None,
        })
    }

    fn group_rows(&self, table: &Table<'_>) -> Vec<GroupRow> {
        let deployed = self.deployed();
        let row = |(group, figure): (GroupCode, Figure)| {
            let title = &deployed.catalogue.group(&group)?.title;
            Some(GroupRow { title: title.clone(), percent: shown_percent(&figure)? })
        };
        table.groups().into_iter().filter_map(row).collect()
    }

    /// What became of the requests that were submitted in some days, as known at the estate's instant.
    async fn requests_part(&self, estate: &Estate<'_>, days: DateRange) -> Result<RequestsPart> {
        let since = RequestFilter {
            settled_since: Some(estate.site.zone.start_of(days.start())),
            ..RequestFilter::default()
        };
        let mut tallies: Vec<Asked> = RequestUrgency::ALL.iter().map(|_| Asked::default()).collect();
        let mut after: Option<RequestId> = None;
        loop {
            let found = self.store.requests(&estate.site.id, &since, after.as_ref(), PAGE_MAX).await?;
            let Some(last) = found.last().map(|request| request.id.clone()) else { break };
            for request in found {
                let submitted = request.steps.first().map_or(request.created_at, |step| step.at);
                let is_known = request.created_at <= estate.now;
                let place = RequestUrgency::ALL.iter().position(|urgency| *urgency == request.urgency);
                if let Some(asked) = place.and_then(|place| tallies.get_mut(place))
                    && is_known
                    && days.contains(estate.site.zone.date_of(submitted))
                {
                    asked.add(&request, submitted, estate.now);
                }
            }
            after = Some(last);
        }
        Ok(asked_part(tallies))
    }
}

/// The windows of a unit that tile some days, cut at their ends.
fn windows(unit: Period, days: DateRange) -> Vec<DateRange> {
    let mut found = Vec::new();
    let mut next = days.start();
    while next < days.end() {
        let Some(window) = calendar_window(unit, next).filter(|window| window.end() > next) else { break };
        found.push(window.intersect(days));
        next = window.end();
    }
    found
}

/// A share in whole percent, where the figure is about enough people.
fn shown_percent(figure: &Figure) -> Option<u8> {
    let counts = figure.people.may_be_shown();
    counts.then(|| percent_shown(figure.tally.numerator(), figure.tally.denominator())).flatten()
}

/// The standards of a report, in blocks about enough people, and the figures of each week.
struct Table<'a> {
    by_week: Vec<PeriodFigures>,
    whole: Figures,
    closed: Option<&'a ClosedPeriod>,
    standards: Vec<StandardRow>,
    together: Option<(usize, Tally)>,
    withheld: usize,
    /// The standards that are in a figure.
    counted: Vec<StandardCode>,
}

impl<'a> Table<'a> {
    fn new(by_week: Vec<PeriodFigures>, closed: Option<&'a ClosedPeriod>) -> Self {
        let mut whole = PeriodFigures::default();
        by_week.iter().for_each(|week| whole.merge(week));
        let mut rows: Vec<(StandardRow, People)> = Vec::new();
        for (code, cell, figure) in whole.figures.iter() {
            let (Cell::All, Some(standard)) = (cell, whole.standards.get(code)) else { continue };
            let tally = match closed {
                Some(closed) => closed.get(code, &Cell::All).copied().unwrap_or_default(),
                None => figure.tally,
            };
            let row = StandardRow {
                code: code.clone(),
                title: standard.title.clone(),
                department: standard.department,
                tally,
            };
            rows.push((row, figure.people.clone()));
        }
        let weighed: Vec<Weighed<'_>> = rows
            .iter()
            .map(|(row, people)| Weighed { people, weight: row.tally.denominator() + row.tally.excused })
            .collect();
        let Blocks { alone, together, withheld } = blocks(&weighed);
        let at = |places: &[usize]| -> Vec<StandardRow> {
            places.iter().filter_map(|place| rows.get(*place)).map(|(row, _)| row.clone()).collect()
        };
        let (standards, small) = (at(&alone), at(&together));
        let mut sum = Tally::default();
        small.iter().for_each(|row| sum.merge(&row.tally));
        let counted = standards.iter().chain(&small).map(|row| row.code.clone()).collect();
        // What was closed and is owed to nobody any more: whom it was about is not known.
        let gone = closed.map_or(0, |closed| {
            let gone = closed
                .promises
                .iter()
                .filter(|promise| whole.figures.get(&promise.code, &Cell::All).is_none());
            gone.count()
        });
        Self {
            whole: whole.figures,
            by_week,
            closed,
            standards,
            together: (!small.is_empty()).then_some((small.len(), sum)),
            withheld: withheld.len() + gone,
            counted,
        }
    }

    fn counts(&self, code: &StandardCode) -> bool {
        self.counted.contains(code)
    }

    fn total(&self) -> Tally {
        let mut total = self.together.map(|(_, tally)| tally).unwrap_or_default();
        self.standards.iter().for_each(|row| total.merge(&row.tally));
        total
    }

    /// The standards that are shown by themselves, by department.
    fn departments(&self) -> Vec<(Department, Tally)> {
        let mut found: Vec<(Department, Tally)> = Vec::new();
        for department in Department::ALL {
            let own = self.standards.iter().filter(|row| row.department == *department);
            let mut sum = None;
            own.for_each(|row| sum.get_or_insert_with(Tally::default).merge(&row.tally));
            found.extend(sum.map(|sum| (*department, sum)));
        }
        found
    }

    fn week_rows(&self, weeks: &[DateRange]) -> Vec<WeekRow> {
        let rows = weeks.iter().zip(&self.by_week).map(|(days, week)| {
            let figure = week.figures.sum(&Cell::All, |code| self.counts(code));
            WeekRow { days: *days, tally: figure.people.may_be_shown().then_some(figure.tally) }
        });
        rows.collect()
    }

    /// The posts that serve enough people, and how many do not.
    fn posts(&self, serving: &Serving, work: &[WorkloadRow]) -> (Vec<PostRow>, usize) {
        let (mut rows, mut withheld) = (Vec::new(), 0);
        for post in &serving.posts {
            let cell = Cell::Post(post.id.clone());
            let figure = self.whole.sum(&cell, |code| self.counts(code));
            if figure == Figure::default() {
                continue;
            }
            if !figure.people.may_be_shown() {
                withheld += 1;
                continue;
            }
            let weeks = self.by_week.iter().map(|week| {
                let figure = week.figures.sum(&cell, |code| self.counts(code));
                shown_percent(&figure)
            });
            let own = work.iter().find(|row| row.post.as_ref().is_some_and(|(id, _)| *id == post.id));
            rows.push(PostRow {
                title: post.title.as_str().to_owned(),
                department: post.department,
                percent: shown_percent(&figure),
                weeks: weeks.collect(),
                required: own.map_or(0, |row| row.work.required),
                contacts: own.map_or(0, |row| row.work.contacts()),
                wanting: own.map_or(0, |row| row.work.wanting),
            });
        }
        (rows, withheld)
    }

    /// The care groups, by code: as they were closed, where the period was.
    fn groups(&self) -> Vec<(GroupCode, Figure)> {
        let mut groups: Vec<GroupCode> = Vec::new();
        for (_, cell, _) in self.whole.iter() {
            if let Cell::Group(group) = cell
                && !groups.contains(group)
            {
                groups.push(group.clone());
            }
        }
        groups.sort();
        let figure = |group: GroupCode| {
            let cell = Cell::Group(group.clone());
            let mut figure = self.whole.sum(&cell, |code| self.counts(code));
            if let Some(closed) = self.closed {
                figure.tally = Tally::default();
                let own = closed.figures.iter().filter(|it| it.cell == cell && self.counts(&it.standard));
                own.for_each(|frozen| figure.tally.merge(&frozen.tally));
            }
            (group, figure)
        };
        groups.into_iter().map(figure).collect()
    }
}

/// The requests of one urgency.
#[derive(Debug, Default)]
struct Asked {
    people: People,
    submitted: u64,
    done: u64,
    accepted_after: Vec<i64>,
    finished_after: Vec<i64>,
    waits: Vec<Wait>,
}

impl Asked {
    fn add(&mut self, request: &Request, submitted: Instant, now: Instant) {
        let after = |state: RequestState| {
            let known = |step: &&StepTaken| step.state == state && step.recorded_at <= now;
            let step = request.steps.iter().find(known)?;
            Some((step.at.micros() - submitted.micros()).max(0) / 60_000_000)
        };
        self.people.add(&request.subject);
        self.submitted += 1;
        let accepted = after(RequestState::Accepted).or_else(|| after(RequestState::Arrived));
        let finished = after(RequestState::Done);
        self.done += u64::from(finished.is_some());
        self.accepted_after.extend(accepted);
        self.finished_after.extend(finished);
        self.waits.push(Wait::of(accepted));
    }

    fn merge(&mut self, other: Self) {
        self.people.merge(&other.people);
        self.submitted += other.submitted;
        self.done += other.done;
        self.accepted_after.extend(other.accepted_after);
        self.finished_after.extend(other.finished_after);
        self.waits.extend(other.waits);
    }
}

/// The requests in blocks about enough people.
fn asked_part(tallies: Vec<Asked>) -> RequestsPart {
    let asked: Vec<(RequestUrgency, Asked)> =
        RequestUrgency::ALL.iter().copied().zip(tallies).filter(|(_, asked)| asked.submitted > 0).collect();
    let weighed: Vec<Weighed<'_>> =
        asked.iter().map(|(_, asked)| Weighed { people: &asked.people, weight: asked.submitted }).collect();
    let Blocks { alone, together, withheld } = blocks(&weighed);
    let mut rows: Vec<RequestRow> = Vec::new();
    let (mut shown, mut joined) = (Asked::default(), (Vec::new(), Asked::default()));
    for (place, (urgency, asked)) in asked.into_iter().enumerate() {
        if alone.contains(&place) {
            rows.push(request_row(vec![urgency], &asked));
            shown.merge(asked);
        } else if together.contains(&place) {
            joined.0.push(urgency);
            joined.1.merge(asked);
        }
    }
    if !together.is_empty() {
        rows.push(request_row(joined.0, &joined.1));
        shown.merge(joined.1);
    }
    let share = |wait: Wait| {
        let own = shown.waits.iter().filter(|found| **found == wait).count();
        let of = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Some((wait, percent_shown(of(own), of(shown.waits.len()))?))
    };
    RequestsPart {
        rows,
        waits: Wait::ALL.into_iter().filter_map(share).collect(),
        withheld: !withheld.is_empty(),
    }
}

fn request_row(urgencies: Vec<RequestUrgency>, asked: &Asked) -> RequestRow {
    RequestRow {
        urgencies,
        submitted: asked.submitted,
        done: asked.done,
        accept_minutes: median(&asked.accepted_after),
        finish_minutes: median(&asked.finished_after),
    }
}

/// The middle one; of an even number, the earlier of the two.
fn median(values: &[i64]) -> Option<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use linli_core::id::{ResidentId, Subject};
    use linli_core::time::CivilDate;

    #[test]
    fn weeks_and_months_tile_a_period() {
        let check = |period: &str, unit, expect: (usize, &str, &str)| {
            let days = ReportPeriod::new(period).unwrap().days();
            let found = windows(unit, days);
            assert!(found.windows(2).all(|pair| pair[0].end() == pair[1].start()));
            let (first, last) = (found.first().unwrap(), found.last().unwrap());
            assert_eq!((first.start(), last.end()), (days.start(), days.end()));
            let day = |text| CivilDate::parse(text).unwrap();
            assert_eq!((found.len(), first.end(), last.start()), (expect.0, day(expect.1), day(expect.2)));
        };
        check("2026-03", Period::Week, (6, "2026-03-02", "2026-03-30"));
        check("2026-q1", Period::Week, (14, "2026-01-05", "2026-03-30"));
        check("2026-q1", Period::Month, (3, "2026-02-01", "2026-03-01"));
    }

    #[test]
    fn requests_about_few_people_are_shown_together_or_not_at_all() {
        let asked = |people: std::ops::Range<u32>, minutes: i64| {
            let mut asked = Asked { submitted: people.len().try_into().unwrap(), ..Asked::default() };
            for number in people {
                asked.people.add(&Subject::Resident(ResidentId::new(&format!("r{number}")).unwrap()));
                asked.accepted_after.push(minutes);
                asked.waits.push(Wait::of(Some(minutes)));
            }
            asked
        };
        let shown = asked_part(vec![asked(0..2, 5), asked(2..5, 30), asked(10..19, 300)]);
        let rows: Vec<_> = shown.rows.iter().map(|row| (row.urgencies.len(), row.submitted)).collect();
        assert_eq!((rows, shown.withheld), (vec![(1, 9), (2, 5)], false));
        assert_eq!(shown.rows[1].accept_minutes, Some(30));
        assert_eq!(shown.waits[0], (Wait::QuarterHour, 14));
        let shown = asked_part(vec![asked(0..0, 5), asked(2..5, 30), asked(0..0, 5)]);
        assert!(shown.rows.is_empty() && shown.waits.is_empty() && shown.withheld);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[9, 1, 5, 7]), Some(5));
    }
}
