//! Facilities as the obligation engine sees them.

use linli_core::facility::Facility;
use linli_core::id::{FacilityId, Subject};
use linli_core::time::CivilDate;
use linli_store::{PAGE_MAX, Page as StorePage, Sites as StoreSites};

use super::{Estate, Owed, Registered};
use crate::error::Result;

impl Estate<'_> {
    pub(super) async fn facilities_after(
        &self,
        after: Option<&FacilityId>,
    ) -> Result<(Vec<Owed>, Option<Subject>)> {
        let page = self.page(after.map(FacilityId::as_str));
        let facilities = self.app.store.facilities(&StoreSites::from(&self.site.id), &page).await?;
        let last = facilities.last().map(|facility| Subject::Facility(facility.id.clone()));
        Ok((self.of_facilities(&facilities).await?, last))
    }

    /// The facilities of some buildings, and those of no building in particular.
    pub(in crate::app) async fn facilities_of_buildings(&self, buildings: &[&str]) -> Result<Vec<Owed>> {
        let mut found = Vec::new();
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let facilities = self.app.store.facilities(&StoreSites::from(&self.site.id), &page).await?;
            let Some(last) = facilities.last().map(|facility| facility.id.clone()) else { return Ok(found) };
            page = StorePage::after(self.site.id.as_str(), last.as_str(), PAGE_MAX);
            let inside = |facility: &Facility| {
                facility.building.as_ref().is_none_or(|building| buildings.contains(&building.as_str()))
            };
            let facilities: Vec<Facility> = facilities.into_iter().filter(inside).collect();
            found.extend(self.of_facilities(&facilities).await?);
        }
    }

    /// These facilities, in their order.
    pub(in crate::app) async fn of_facilities(&self, facilities: &[Facility]) -> Result<Vec<Owed>> {
        if facilities.is_empty() {
            return Ok(Vec::new());
        }
        let subjects: Vec<Subject> =
            facilities.iter().map(|facility| Subject::Facility(facility.id.clone())).collect();
        let mut care = self.care_of_places(&subjects).await?;
        let mut found = Vec::with_capacity(facilities.len());
        for (facility, subject) in facilities.iter().zip(subjects) {
            let care = care.remove(&subject).unwrap_or_default();
            let until = facility.retired_on.unwrap_or(CivilDate::MAX);
            let place = Registered::new(subject, facility.title.as_str().to_owned(), facility.created_at);
            found.push(self.of_place(Registered { until, ..place }, std::iter::empty(), care)?);
        }
        Ok(found)
    }
}
