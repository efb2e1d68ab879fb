//! Requests as the obligation engine sees them, and where whoever comes has to go.

use std::collections::HashMap;

use linli_core::id::{DwellingId, RequestId, ResidentId, Subject, SubjectKind};
use linli_core::obligation;
use linli_core::request::Request;
use linli_core::site::Site;
use linli_store::RequestFilter;

use super::flag::Flagging;
use super::{BATCH, Estate, Owed, Registered};
use crate::app::App;
use crate::app::request::Door;
use crate::error::Result;

impl Estate<'_> {
    /// A page of the requests that are open or were settled within what is read.
    pub(super) async fn requests_after(
        &self,
        after: Option<&RequestId>,
    ) -> Result<(Vec<Owed>, Option<Subject>)> {
        let lately = RequestFilter { settled_since: Some(self.care.from), ..RequestFilter::default() };
        let requests = self.app.store.requests(&self.site.id, &lately, after, BATCH).await?;
        let last = requests.last().map(|request| Subject::Request(request.id.clone()));
        let requests: Vec<Request> = requests.into_iter().filter(|request| self.knows(request)).collect();
        Ok((self.of_requests(&requests).await?, last))
    }

    /// The open requests of some buildings, and those of no building in particular.
    pub(in crate::app) async fn requests_of_buildings(&self, buildings: &[&str]) -> Result<Vec<Owed>> {
        let mut found = Vec::new();
        let mut after: Option<RequestId> = None;
        loop {
            let open = RequestFilter::open();
            let requests = self.app.store.requests(&self.site.id, &open, after.as_ref(), BATCH).await?;
            let Some(last) = requests.last().map(|request| request.id.clone()) else { return Ok(found) };
            let doors = self.app.doors(&self.site, about_of(&requests)).await?;
            let inside = |request: &Request| {
                let building = doors.get(&request.subject).and_then(|door| door.building.as_deref());
                building.is_none_or(|building| buildings.contains(&building))
            };
            let seen = |request: &Request| self.knows(request) && inside(request);
            let requests: Vec<Request> = requests.into_iter().filter(seen).collect();
            found.extend(self.of_requests(&requests).await?);
            after = Some(last);
        }
    }

    /// Whether a request is about nobody who is hidden.
    pub(super) fn knows(&self, request: &Request) -> bool {
        super::resident_id(Some(&request.subject)).is_none_or(|id| !self.hidden.contains(id))
    }

    /// These requests, in their order.
    pub(in crate::app) async fn of_requests(&self, requests: &[Request]) -> Result<Vec<Owed>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let subjects: Vec<Subject> =
            requests.iter().map(|request| Subject::Request(request.id.clone())).collect();
        let (care, doors, about) = tokio::join!(
            Box::pin(self.care_of_places(&subjects)),
            Box::pin(self.app.doors(&self.site, about_of(requests))),
            Box::pin(self.whom_they_are_about(requests)),
        );
        let (mut care, doors, about) = (care?, doors?, about?);
        let mut found = Vec::with_capacity(requests.len());
        for (request, subject) in requests.iter().zip(subjects) {
            let place = doors.get(&request.subject).map(|door| door.title.as_str()).unwrap_or_default();
            let title = format!("{} {place}", request.kind.zh()).trim_end().to_owned();
            let care = care.remove(&subject).unwrap_or_default();
            let place = Registered::new(subject, title, request.created_at);
            let place = Registered { request: Some(request.traits()), ..place };
            let residents = match &request.subject {
                Subject::Resident(id) => about.get(id),
                Subject::Dwelling(_)
                | Subject::Area(_)
                | Subject::Facility(_)
                | Subject::Request(_)
                | Subject::Site => None,
            };
            let mut owed = self.of_place(place, residents.into_iter(), care)?;
            if let Some(settled) = request.settled_at {
                owed.obligations =
                    obligation::ended_at(owed.obligations, settled, self.site.zone, self.range);
            }
            found.push(owed);
        }
        Ok(found)
    }

    /// The residents whom requests are about.
    async fn whom_they_are_about(&self, requests: &[Request]) -> Result<HashMap<ResidentId, Flagging>> {
        let mut ids: Vec<ResidentId> = requests
            .iter()
            .filter_map(|request| super::resident_id(Some(&request.subject)))
            .cloned()
            .collect();
        if ids.is_empty() || !self.is_flagged(SubjectKind::Request) {
            return Ok(HashMap::new());
        }
        ids.sort();
        ids.dedup();
        let care = self.app.store.care_of(&self.site.id, &ids, self.no_history()).await?;
        let anywhere = |care| Flagging::of(care, self.site.zone, |_: &DwellingId| true);
        Ok(care.iter().filter_map(|care| Some((care.head.id.clone(), anywhere(care)?))).collect())
    }
}

/// What requests are about.
fn about_of(requests: &[Request]) -> Vec<&Subject> {
    requests.iter().map(|request| &request.subject).collect()
}

impl App {
    /// Where whoever comes has to go, by subject: the door of residents, which names nobody.
    pub(in crate::app) async fn doors(
        &self,
        site: &Site,
        mut subjects: Vec<&Subject>,
    ) -> Result<HashMap<Subject, Door>> {
        subjects.sort();
        subjects.dedup();
        let residents: Vec<ResidentId> =
            subjects.iter().filter_map(|subject| super::resident_id(Some(*subject))).cloned().collect();
        let heads = if residents.is_empty() {
            Vec::new()
        } else {
            self.store.resident_heads(&site.id, &residents).await?
        };
        let home: HashMap<&ResidentId, &DwellingId> =
            heads.iter().map(|head| (&head.id, &head.dwelling)).collect();
        let lives_in = |subject: &Subject| match subject {
            Subject::Resident(id) => home.get(id).map(|dwelling| (*dwelling).clone()),
            Subject::Dwelling(id) => Some(id.clone()),
            Subject::Area(_) | Subject::Facility(_) | Subject::Request(_) | Subject::Site => None,
        };
        let dwellings: Vec<DwellingId> = subjects.iter().copied().filter_map(lives_in).collect();
        let dwellings = if dwellings.is_empty() {
            Vec::new()
        } else {
            self.store.dwellings_by_id(&site.id, &dwellings).await?
        };
        let mut doors = HashMap::with_capacity(subjects.len());
        for subject in subjects {
            let door = match subject {
                Subject::Resident(_) | Subject::Dwelling(_) => {
                    let home = lives_in(subject);
                    let dwelling = dwellings.iter().find(|dwelling| Some(&dwelling.id) == home.as_ref());
                    dwelling.map(|dwelling| Door {
                        title: dwelling.display_name(),
                        building: Some(dwelling.building.as_str().to_owned()),
                    })
                }
                Subject::Area(id) => self.store.area(&site.id, id).await?.map(|area| Door {
                    title: area.title.as_str().to_owned(),
                    building: area.building.map(|building| building.as_str().to_owned()),
                }),
                Subject::Facility(id) => self.store.facility(&site.id, id).await?.map(|facility| Door {
                    title: facility.title.as_str().to_owned(),
                    building: facility.building.map(|building| building.as_str().to_owned()),
                }),
                Subject::Site => Some(Door { title: site.title.as_str().to_owned(), building: None }),
                Subject::Request(_) => None,
            };
            doors.extend(door.map(|door| (subject.clone(), door)));
        }
        Ok(doors)
    }
}
