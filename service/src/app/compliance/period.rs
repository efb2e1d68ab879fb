//! Closing months and quarters, and what corrected them since.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::compliance::{
    Cause, Cell, ClosedPeriod, Correction, Counted, Frozen, Promise, ReportPeriod, Since, VisitRate,
    corrections,
};
use linli_core::id::{RecordId, StandardCode};
use linli_core::site::Site;
use linli_core::staff::Signed;
use linli_core::standard::Period;
use linli_core::time::{DateRange, Instant, SiteZone};
use linli_store::Sight;

use super::count::{Count, PeriodFigures, Serving, counted, promise};
use super::visit_rate::add_visit;
use crate::app::estate::{Estate, Owed};
use crate::app::work::{Touches, Work};
use crate::app::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self, InSite};

/// Most causes that a correction lists; how many more there are, it counts.
pub const CAUSES_MAX: usize = 50;

/// Where a month or quarter stands.
#[derive(Debug, Clone)]
pub struct PeriodView {
    /// Which one.
    pub at: InSite<ReportPeriod>,
    /// From when on it may be closed.
    pub closes_from: Instant,
    /// Whether that has come.
    pub is_over: bool,
    /// Who closed it, and when.
    pub closed: Option<Signed>,
}

/// A correction as answers show it.
#[derive(Debug, Clone)]
pub struct CorrectionView {
    /// What changed.
    pub correction: Correction,
    /// The standard.
    pub promise: Promise,
    /// What caused it, as resource names, sorted; at most [`CAUSES_MAX`].
    pub causes: Vec<String>,
    /// How many more causes there are.
    pub further_causes: usize,
}

/// What is known of a period at one instant.
pub(super) struct Known {
    pub(super) figures: PeriodFigures,
    pub(super) visits: Option<VisitRate>,
}

impl App {
    /// Where a month or quarter stands.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn period(&self, call: &Call, at: InSite<ReportPeriod>) -> Result<PeriodView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let closed = self.store.closed_period(&at.site, at.id).await?;
        Ok(view(&work, at, closed.map(|closed| closed.closed)))
    }

    /// Closes a month or quarter: what its figures are now is what reports of it say from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn close_period(
        &self,
        call: &Call,
        repeat: Repeat<PeriodView>,
        at: InSite<ReportPeriod>,
    ) -> Result<Answer<PeriodView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        if self.store.closed_period(&at.site, at.id).await?.is_some() {
            return Err(Error::State(StateConflict::PeriodClosed));
        }
        let site = work.site()?;
        if work.now < at.id.closes_from(site.zone) {
            return Err(Error::State(StateConflict::PeriodNotOver));
        }
        let Known { figures, visits } = self.period_known(site, work.now, at.id, |_, _| {}).await?;
        let signed = work.signed();
        let closed = ClosedPeriod {
            site: at.site.clone(),
            period: at.id,
            closed: signed.clone(),
            promises: figures.promises().collect(),
            figures: figures
                .figures
                .iter()
                .map(|(standard, cell, figure)| Frozen {
                    standard: standard.clone(),
                    cell: cell.clone(),
                    tally: figure.tally,
                })
                .collect(),
            visits,
        };
        let resource = name::period(&at.site, &at.id);
        let mut changes = work.changes(&Touches::resource(resource.clone()));
        changes.close_period(closed).event("period.closed", resource);
        let answer = view(&work, at, Some(signed));
        work.commit("close_period", changes, &repeat, answer).await
    }

    /// What changed since a period was closed: the figures of each standard and, within it, of each care group, by code.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] where it was not closed, [`Error::PageToken`],
    /// [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn corrections(
        &self,
        call: &Call,
        at: &InSite<ReportPeriod>,
        page: PageRequest,
    ) -> Result<Page<CorrectionView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        let closed = self.store.closed_period(&at.site, at.id).await?;
        let closed = closed.ok_or(Error::State(StateConflict::PeriodOpen))?;
        let found = self.corrections_of(&work, work.site()?, &closed).await?;
        let keyed = found.into_iter().map(|view| (key(&view.correction), view));
        let cut = Page::of_sorted(keyed, &page, |(key, _)| key);
        Ok(Page { items: cut.items.into_iter().map(|(_, view)| view).collect(), next: cut.next })
    }

    /// Every correction of a closed period, by standard and care group. Causes that lie in the file of somebody whom the caller may
    /// not know of are left out.
    pub(super) async fn corrections_of(
        &self,
        work: &Work<'_>,
        site: Site,
        closed: &ClosedPeriod,
    ) -> Result<Vec<CorrectionView>> {
        let (zone, id) = (site.zone, site.id.clone());
        let days = closed.period.days();
        let since = |day| zone.start_of(day);
        let range = (since(days.start()), since(days.end()));
        let amended = self.store.corrected_since(&id, range, closed.closed.at).await?;
        let mut causes: BTreeMap<(StandardCode, Cell), BTreeSet<Cause>> = BTreeMap::new();
        let current = self.period_known(site, work.now, closed.period, |owed, counted| {
            if owed.care.as_ref().is_some_and(|care| !work.sight().sees(&care.head)) {
                return;
            }
            note_causes(owed, counted, (closed, zone, &amended), &mut causes);
        });
        let current = current.await?;
        let named = |cause: &Cause| match cause {
            Cause::Record(record) => name::record(&id, record),
            Cause::Pause(resident, pause) => name::pause(&id, resident, pause),
            Cause::Waiver(resident, waiver) => name::waiver(&id, resident, waiver),
            Cause::Event(event) => name::event(&id, event),
        };
        let mut found = Vec::new();
        for correction in corrections(closed, &current.figures.figures) {
            match correction.cell {
                Cell::All | Cell::Group(_) => {}
                Cell::Tier(_) | Cell::Post(_) => continue,
            }
            let promised =
                closed.promises.iter().find(|promise| promise.code == correction.standard).cloned();
            let standard = current.figures.standards.get(&correction.standard);
            let Some(promise) = promised.or_else(|| standard.map(|standard| promise(standard))) else {
                continue;
            };
            let key = (correction.standard.clone(), correction.cell.clone());
            let mut causes: Vec<String> = causes.get(&key).into_iter().flatten().map(named).collect();
            causes.sort();
            let further_causes = causes.len().saturating_sub(CAUSES_MAX);
            causes.truncate(CAUSES_MAX);
            found.push(CorrectionView { correction, promise, causes, further_causes });
        }
        Ok(found)
    }

    /// The figures of a period as known at an instant, by group, tier and post, and how many were visited.
    pub(super) async fn period_known(
        &self,
        site: Site,
        now: Instant,
        period: ReportPeriod,
        mut each: impl FnMut(&Owed, &Counted<'_>),
    ) -> Result<Known> {
        let days = period.days();
        // Figures without names: what is owed to whom the caller may not know of counts like everything else.
        let estate = Estate::open(self, site, now, days, Sight::All).await?;
        let serving = Serving::load(self, &estate).await?;
        let mut visits = match period.unit() {
            Period::Month => Some(VisitRate::default()),
            Period::Day | Period::Week | Period::Quarter | Period::Year | Period::EveryDays(_) => None,
        };
        let count = Count { estate: &estate, periods: &[days], serving: Some(&serving) };
        let figures = count.run(
            |_| true,
            |owed| {
                if let Some(visits) = &mut visits {
                    add_visit(visits, &estate, owed, days);
                }
                each(owed, &counted(owed, &serving.of(owed)));
            },
        );
        let figures = figures.await?.pop().unwrap_or_default();
        Ok(Known { figures, visits })
    }
}

/// Notes under each cell what became known of a subject since the closing.
fn note_causes(
    owed: &Owed,
    counted: &Counted<'_>,
    (closed, zone, amended): (&ClosedPeriod, SiteZone, &BTreeSet<RecordId>),
    causes: &mut BTreeMap<(StandardCode, Cell), BTreeSet<Cause>>,
) {
    let care = owed.care.as_ref();
    let since = Since {
        closed_at: closed.closed.at,
        zone,
        records: &owed.records,
        events: care.map(|care| care.events.as_slice()).unwrap_or_default(),
        pauses: care.map(|care| care.pauses.as_slice()).unwrap_or_default(),
        waivers: care.map(|care| care.waivers.as_slice()).unwrap_or_default(),
        amended,
    };
    let days: DateRange = closed.period.days();
    for obligation in owed.obligations.iter().filter(|obligation| days.contains(obligation.last_day())) {
        let found = since.causes(obligation);
        if found.is_empty() {
            continue;
        }
        for cell in counted.cells_of(obligation) {
            causes.entry((obligation.standard.code.clone(), cell)).or_default().extend(found.iter().cloned());
        }
    }
}

fn view(work: &Work<'_>, at: InSite<ReportPeriod>, closed: Option<Signed>) -> PeriodView {
    let closes_from = at.id.closes_from(work.zone());
    PeriodView { closes_from, is_over: work.now >= closes_from, closed, at }
}

/// A place in the order of corrections, as text: no code holds a blank.
fn key(correction: &Correction) -> String {
    let group = match &correction.cell {
        Cell::Group(group) => group.as_str(),
        Cell::All | Cell::Tier(_) | Cell::Post(_) => "",
    };
    format!("{} {group}", correction.standard)
}
