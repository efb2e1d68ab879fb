//! A walk over the subjects of a site, in batches.

use linli_core::applied::Timeline;
use linli_core::id::{AreaId, DwellingId, FacilityId, RequestId, ResidentId, Subject, SubjectKind};
use linli_core::standard::Standard;
use linli_store::{Page as StorePage, Sites as StoreSites};

use super::{BATCH, Estate, Owed};
use crate::error::Result;

/// The kinds of subjects in the order in which a site is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::app) enum Stage {
    /// Residents, by id.
    Residents,
    /// Dwellings, by id.
    Dwellings,
    /// Areas, by id.
    Areas,
    /// Facilities, by id.
    Facilities,
    /// Requests, by id: those that are open, or were lately.
    Requests,
    /// The site itself.
    Site,
}

impl Stage {
    const ALL: [Self; 6] =
        [Self::Residents, Self::Dwellings, Self::Areas, Self::Facilities, Self::Requests, Self::Site];

    fn kind(self) -> SubjectKind {
        match self {
            Self::Residents => SubjectKind::Resident,
            Self::Dwellings => SubjectKind::Dwelling,
            Self::Areas => SubjectKind::Area,
            Self::Facilities => SubjectKind::Facility,
            Self::Requests => SubjectKind::Request,
            Self::Site => SubjectKind::Site,
        }
    }

    /// The stage in which a subject is met.
    fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Resident(_) => Self::Residents,
            Subject::Dwelling(_) => Self::Dwellings,
            Subject::Area(_) => Self::Areas,
            Subject::Facility(_) => Self::Facilities,
            Subject::Request(_) => Self::Requests,
            Subject::Site => Self::Site,
        }
    }
}

/// How far a walk has come.
#[derive(Debug, Clone)]
pub(in crate::app) struct Walk {
    stages: Vec<Stage>,
    after: Option<Subject>,
}

impl Walk {
    /// The last subject that was looked at; `None` at the beginning, and between two kinds of subjects.
    pub(in crate::app) fn last(&self) -> Option<Subject> {
        self.after.clone()
    }
}

impl Estate<'_> {
    /// A walk over all subjects to whom `wanted` standards are owed.
    pub(in crate::app) fn walk(&self, wanted: impl Fn(&Standard) -> bool) -> Walk {
        let owed = |stage: &Stage| {
            let spans = self.timelines.iter().flat_map(Timeline::spans);
            spans.into_iter().any(|span| span.standard.subject == stage.kind() && wanted(&span.standard))
        };
        Walk { stages: Stage::ALL.into_iter().filter(owed).collect(), after: None }
    }

    /// The next batch of a walk; `None` after the last.
    pub(in crate::app) async fn next(&self, walk: &mut Walk) -> Result<Option<Vec<Owed>>> {
        while let Some(stage) = walk.stages.first().copied() {
            let after = walk.after.as_ref();
            let (batch, last) = match stage {
                Stage::Residents => self.residents_after(resident_id(after)).await?,
                Stage::Dwellings => self.dwellings_after(dwelling_id(after)).await?,
                Stage::Areas => self.areas_after(area_id(after)).await?,
                Stage::Facilities => self.facilities_after(facility_id(after)).await?,
                Stage::Requests => self.requests_after(request_id(after)).await?,
                Stage::Site if after.is_none() => (vec![self.of_site().await?], Some(Subject::Site)),
                Stage::Site => (Vec::new(), None),
            };
            match last {
                Some(last) => {
                    walk.after = Some(last);
                    return Ok(Some(batch));
                }
                None => {
                    walk.stages.remove(0);
                    walk.after = None;
                }
            }
        }
        Ok(None)
    }

    /// Moves a walk to behind `subject`.
    pub(in crate::app) fn skip_to(walk: &mut Walk, subject: Subject) {
        let stage = Stage::of(&subject);
        walk.stages.retain(|left| *left >= stage);
        walk.after = (walk.stages.first() == Some(&stage)).then_some(subject);
    }

    async fn residents_after(&self, after: Option<&ResidentId>) -> Result<(Vec<Owed>, Option<Subject>)> {
        let care = self.app.store.care_page(&self.site.id, after, BATCH, self.care, &self.sight).await?;
        let care = self.complete(care).await?;
        let last = care.last().map(|care| Subject::Resident(care.head.id.clone()));
        let open = care.into_iter().filter(|care| self.counts(&care.head));
        let owed = open.map(|care| self.of_resident(care)).collect::<Result<_>>()?;
        Ok((owed, last))
    }

    async fn dwellings_after(&self, after: Option<&DwellingId>) -> Result<(Vec<Owed>, Option<Subject>)> {
        let page = self.page(after.map(DwellingId::as_str));
        let dwellings = self.app.store.dwellings(&StoreSites::from(&self.site.id), &page).await?;
        let last = dwellings.last().map(|dwelling| Subject::Dwelling(dwelling.id.clone()));
        Ok((self.of_dwellings(dwellings).await?, last))
    }

    async fn areas_after(&self, after: Option<&AreaId>) -> Result<(Vec<Owed>, Option<Subject>)> {
        let page = self.page(after.map(AreaId::as_str));
        let areas = self.app.store.areas(&StoreSites::from(&self.site.id), &page).await?;
        let last = areas.last().map(|area| Subject::Area(area.id.clone()));
        Ok((self.of_areas(areas).await?, last))
    }

    pub(super) fn page(&self, after: Option<&str>) -> StorePage {
        match after {
            Some(after) => StorePage::after(self.site.id.as_str(), after, BATCH),
            None => StorePage::first(BATCH),
        }
    }
}

pub(super) fn resident_id(subject: Option<&Subject>) -> Option<&ResidentId> {
    if let Some(Subject::Resident(id)) = subject { Some(id) } else { None }
}

fn dwelling_id(subject: Option<&Subject>) -> Option<&DwellingId> {
    if let Some(Subject::Dwelling(id)) = subject { Some(id) } else { None }
}

fn facility_id(subject: Option<&Subject>) -> Option<&FacilityId> {
    if let Some(Subject::Facility(id)) = subject { Some(id) } else { None }
}

fn request_id(subject: Option<&Subject>) -> Option<&RequestId> {
    if let Some(Subject::Request(id)) = subject { Some(id) } else { None }
}

fn area_id(subject: Option<&Subject>) -> Option<&AreaId> {
    if let Some(Subject::Area(id)) = subject { Some(id) } else { None }
}
