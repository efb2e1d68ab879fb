//! Counts what was owed by periods: one walk over the subjects of a site.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use linli_core::compliance::{Counted, Figures, Promise};
use linli_core::id::{AreaId, DwellingId, FacilityId, RequestId, StandardCode, Subject};
use linli_core::site::Post;
use linli_core::standard::Standard;
use linli_core::time::{CivilDate, DateRange};
use linli_store::{PAGE_MAX, Page as StorePage, RequestFilter, Sites as StoreSites};

use crate::app::App;
use crate::app::estate::{Estate, Owed};
use crate::error::Result;

/// The figures of one period, with the standards that they are about, each in the version that governed last.
#[derive(Debug, Default)]
pub(super) struct PeriodFigures {
    pub(super) figures: Figures,
    pub(super) standards: BTreeMap<StandardCode, Arc<Standard>>,
}

impl PeriodFigures {
    /// What reports say of its standards.
    pub(super) fn promises(&self) -> impl Iterator<Item = Promise> {
        self.standards.values().map(|standard| promise(standard))
    }

    /// Adds those of another period.
    pub(super) fn merge(&mut self, other: &Self) {
        self.figures.merge(&other.figures);
        other.standards.values().for_each(|standard| self.note(standard));
    }

    fn note(&mut self, standard: &Arc<Standard>) {
        match self.standards.get_mut(&standard.code) {
            Some(known) if known.version >= standard.version => {}
            Some(known) => *known = Arc::clone(standard),
            None => {
                self.standards.insert(standard.code.clone(), Arc::clone(standard));
            }
        }
    }
}

pub(super) fn promise(standard: &Standard) -> Promise {
    Promise { code: standard.code.clone(), title: standard.title.clone(), department: standard.department }
}

/// Which posts serve which subjects.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// Every post, by id.
    pub(super) posts: Vec<Post>,
    dwellings: HashMap<DwellingId, String>,
    areas: HashMap<AreaId, String>,
    facilities: HashMap<FacilityId, String>,
    requests: HashMap<RequestId, String>,
}

impl Serving {
    /// Reads the posts of a site and where its subjects are.
    pub(super) async fn load(app: &App, estate: &Estate<'_>) -> Result<Self> {
        let store = &app.store;
        let site = &estate.site.id;
        let sites = StoreSites::from(site);
        let mut serving = Self::default();
        let after = |id: &str| StorePage::after(site.as_str(), id, PAGE_MAX);
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let found = store.posts(&sites, &page).await?;
            let Some(last) = found.last() else { break };
            page = after(last.id.as_str());
            serving.posts.extend(found);
        }
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let found = store.dwellings(&sites, &page).await?;
            let Some(last) = found.last() else { break };
            page = after(last.id.as_str());
            let doors = found.into_iter().map(|door| (door.id, door.building.as_str().to_owned()));
            serving.dwellings.extend(doors);
        }
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let found = store.areas(&sites, &page).await?;
            let Some(last) = found.last() else { break };
            page = after(last.id.as_str());
            let inside =
                found.into_iter().filter_map(|area| Some((area.id, area.building?.as_str().to_owned())));
            serving.areas.extend(inside);
        }
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let found = store.facilities(&sites, &page).await?;
            let Some(last) = found.last() else { break };
            page = after(last.id.as_str());
            let inside = found.into_iter().filter_map(|it| Some((it.id, it.building?.as_str().to_owned())));
            serving.facilities.extend(inside);
        }
        serving.load_requests(app, estate).await?;
        Ok(serving)
    }

    async fn load_requests(&mut self, app: &App, estate: &Estate<'_>) -> Result<()> {
        let lately = RequestFilter { settled_since: Some(estate.read_from()), ..RequestFilter::default() };
        let mut after: Option<RequestId> = None;
        loop {
            let found = app.store.requests(&estate.site.id, &lately, after.as_ref(), PAGE_MAX).await?;
            let Some(last) = found.last().map(|request| request.id.clone()) else { return Ok(()) };
            let about = found.iter().map(|request| &request.subject).collect();
            let doors = app.doors(&estate.site, about).await?;
            for request in found {
                let building = doors.get(&request.subject).and_then(|door| door.building.clone());
                self.requests.extend(building.map(|building| (request.id, building)));
            }
            after = Some(last);
        }
    }

    /// The posts that serve a subject, of every department: those of its building, and those of the whole site.
    pub(super) fn of(&self, owed: &Owed) -> Vec<&Post> {
        let building = match &owed.subject {
            Subject::Resident(_) => {
                owed.care.as_ref().and_then(|care| self.dwellings.get(&care.head.dwelling))
            }
            Subject::Dwelling(id) => self.dwellings.get(id),
            Subject::Area(id) => self.areas.get(id),
            Subject::Facility(id) => self.facilities.get(id),
            Subject::Request(id) => self.requests.get(id),
            Subject::Site => None,
        };
        let here = |post: &&Post| {
            let own = |building: &String| post.buildings.iter().any(|own| own.as_str() == building.as_str());
            post.buildings.is_empty() || building.is_some_and(own)
        };
        self.posts.iter().filter(here).collect()
    }
}

/// How obligations are counted.
pub(super) struct Count<'a> {
    /// The site.
    pub(super) estate: &'a Estate<'a>,
    /// The periods, which tile the days that the estate was opened for.
    pub(super) periods: &'a [DateRange],
    /// Which posts serve whom, where figures by group, tier and post are wanted; `None`: only those of everything.
    pub(super) serving: Option<&'a Serving>,
}

impl Count<'_> {
    /// Walks the subjects to which wanted standards are owed; `each` sees every one of them.
    pub(super) async fn run(
        &self,
        wanted: impl Fn(&Standard) -> bool,
        mut each: impl FnMut(&Owed),
    ) -> Result<Vec<PeriodFigures>> {
        let mut found: Vec<PeriodFigures> = self.periods.iter().map(|_| PeriodFigures::default()).collect();
        let mut walk = self.estate.walk(&wanted);
        while let Some(batch) = self.estate.next(&mut walk).await? {
            for owed in &batch {
                self.one(owed, &wanted, &mut found);
                each(owed);
            }
        }
        Ok(found)
    }

    fn one(&self, owed: &Owed, wanted: &impl Fn(&Standard) -> bool, found: &mut [PeriodFigures]) {
        let posts = self.serving.map(|serving| serving.of(owed));
        for obligation in &owed.obligations {
            let period = period_of(self.periods, obligation.last_day()).and_then(|at| found.get_mut(at));
            let Some(period) = period.filter(|_| wanted(&obligation.standard)) else { continue };
            period.note(&obligation.standard);
            match &posts {
                Some(posts) => period.figures.add_by_cell(obligation, &counted(owed, posts)),
                None => period.figures.add(obligation),
            }
        }
    }
}

/// What decides where the obligations of a subject are counted.
pub(super) fn counted<'a>(owed: &'a Owed, posts: &'a [&'a Post]) -> Counted<'a> {
    Counted {
        memberships: owed.care.as_ref().map(|care| care.memberships.as_slice()).unwrap_or_default(),
        attention: owed.care.as_ref().map(|care| care.attention.as_slice()),
        posts,
    }
}

/// The place of the period that holds a day.
pub(super) fn period_of(periods: &[DateRange], day: CivilDate) -> Option<usize> {
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
