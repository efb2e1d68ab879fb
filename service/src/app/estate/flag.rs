//! Who flags a place: residents in care, by the dwelling or building in which they lived on each day.

use std::collections::{BTreeSet, HashMap};

use linli_core::applied::Standing;
use linli_core::id::{DwellingId, ResidentId};
use linli_core::resident::days_lived;
use linli_core::site::{Area, Dwelling};
use linli_core::time::{DateRange, SiteZone};
use linli_store::{
    CARE_PAGE_MAX, CareRange, PAGE_MAX, Page as StorePage, ResidentCare, ResidentHead, Sites as StoreSites,
};

use super::{Estate, days_in_care};
use crate::error::Result;

/// A resident who may flag a place.
pub(super) struct Flagging {
    care: ResidentCare,
    tenure: Vec<DateRange>,
}

/// Every resident in care by the building they live in.
pub(super) struct Roster {
    by_building: HashMap<String, Vec<Flagging>>,
}

impl Estate<'_> {
    /// Who lives or lived in these dwellings, by dwelling.
    pub(super) async fn flagging(
        &self,
        dwellings: &[Dwelling],
    ) -> Result<HashMap<DwellingId, Vec<Flagging>>> {
        let mut flagging: HashMap<DwellingId, Vec<Flagging>> = HashMap::new();
        let ids: Vec<DwellingId> = dwellings.iter().map(|dwelling| dwelling.id.clone()).collect();
        let (store, site) = (&self.app.store, &self.site.id);
        let heads = store.residents_of_dwellings(site, &ids).await?;
        let mut residents: Vec<ResidentId> = heads.into_iter().map(|head| head.id).collect();
        residents.extend(store.former_residents(site, &ids, self.since).await?);
        residents.sort();
        residents.dedup();
        for chunk in residents.chunks(usize::try_from(CARE_PAGE_MAX).unwrap_or(usize::MAX)) {
            let care = store.care_of(site, chunk, self.no_history()).await?;
            let mut care = self.united(care, self.no_history()).await?;
            care.retain(|care| care.head.merged_into.is_none());
            for care in care.into_iter().filter(|care| self.counts(&care.head)) {
                for dwelling in lived_in(&care.head).into_iter().filter(|id| ids.contains(id)) {
                    let there = Flagging::of(&care, self.site.zone, |id| *id == dwelling);
                    flagging.entry(dwelling).or_default().extend(there);
                }
            }
        }
        Ok(flagging)
    }

    /// Every resident in care by building: areas without one serve the whole site. Read once, only for areas.
    pub(super) async fn load_roster(&self) -> Result<Roster> {
        let mut building_of: HashMap<DwellingId, String> = HashMap::new();
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let dwellings = self.app.store.dwellings(&StoreSites::from(&self.site.id), &page).await?;
            let Some(last) = dwellings.last() else { break };
            page = StorePage::after(self.site.id.as_str(), last.id.as_str(), PAGE_MAX);
            building_of.extend(dwellings.into_iter().map(|d| (d.id, d.building.as_str().to_owned())));
        }
        let mut by_building: HashMap<String, Vec<Flagging>> = HashMap::new();
        let mut after: Option<ResidentId> = None;
        loop {
            let range = self.no_history();
            let (store, sight) = (&self.app.store, &self.sight);
            let care = store.care_page(&self.site.id, after.as_ref(), CARE_PAGE_MAX, range, sight).await?;
            let Some(last) = care.last() else { break };
            after = Some(last.head.id.clone());
            for care in self.united(care, range).await?.into_iter().filter(|care| self.counts(&care.head)) {
                let building = |id: &DwellingId| building_of.get(id).map(String::as_str).unwrap_or_default();
                let dwellings = lived_in(&care.head);
                let buildings: BTreeSet<&str> = dwellings.iter().map(building).collect();
                for wanted in buildings {
                    let there = Flagging::of(&care, self.site.zone, |id| building(id) == wanted);
                    by_building.entry(wanted.to_owned()).or_default().extend(there);
                }
            }
        }
        Ok(Roster { by_building })
    }

    /// No records and no events: what flags a place depends on neither.
    pub(super) fn no_history(&self) -> CareRange {
        CareRange { from: self.now, to: self.now }
    }
}

impl Flagging {
    /// A resident as those dwellings know them that count: with the days in care there; `None` where there are none.
    pub(super) fn of(
        care: &ResidentCare,
        zone: SiteZone,
        counts: impl Fn(&DwellingId) -> bool,
    ) -> Option<Self> {
        let ResidentHead { former_dwellings, dwelling, .. } = &care.head;
        let lived = days_lived(former_dwellings, dwelling, counts);
        let in_care = days_in_care(care, zone);
        let there = in_care.iter().flat_map(|days| lived.iter().map(|lived| days.intersect(*lived)));
        let tenure: Vec<DateRange> = there.filter(|days| !days.is_empty()).collect();
        (!tenure.is_empty()).then(|| Self { tenure, care: care.clone() })
    }

    pub(super) fn standing(&self) -> Standing<'_> {
        Standing {
            memberships: &self.care.memberships,
            attention: &self.care.attention,
            waivers: &[],
            tenure: &self.tenure,
        }
    }
}

impl Roster {
    /// The residents whom an area serves.
    pub(super) fn of(&self, area: &Area) -> Box<dyn Iterator<Item = &Flagging> + '_> {
        match &area.building {
            Some(building) => Box::new(self.by_building.get(building.as_str()).into_iter().flatten()),
            None => Box::new(self.by_building.values().flatten()),
        }
    }
}

/// Every dwelling in which a resident lives or lived, each once.
fn lived_in(head: &ResidentHead) -> BTreeSet<DwellingId> {
    let former = head.former_dwellings.iter().map(|former| former.dwelling.clone());
    former.chain([head.dwelling.clone()]).collect()
}
