//! What a campaign comes to, and its close.

use std::collections::{BTreeSet, HashMap};

use linli_core::id::{AnswerId, DwellingId, ResidentId, SiteId, Subject, SurveyId};
use linli_core::kind::EventKind;
use linli_core::resident::FileState;
use linli_core::site::Dwelling;
use linli_core::survey::{CountedAnswer, Coverage, Door, PersonMarks, Survey, SurveyKind, coverage};
use linli_core::time::{Instant, SiteZone};
use linli_store::{CareRange, PAGE_MAX, Page as StorePage, Sites};

use crate::app::contest::{contended, won};
use crate::app::site::next_version;
use crate::app::work::Touches;
use crate::app::{Answer, App, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self, InSite};

/// Files of one statement.
const FILES: usize = 500;

/// How much of the register a campaign covers, as an answer shows it.
#[derive(Debug, Clone)]
pub struct CoverageView {
    /// The site.
    pub site: SiteId,
    /// The campaign.
    pub survey: SurveyId,
    /// As of when.
    pub as_of: Instant,
    /// All of it.
    pub coverage: Coverage,
    /// A page of the dwellings that were left out, with how often nobody was reached there.
    pub omissions: Vec<(Door, u32)>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Answers that were recorded after the close and stand.
    pub late: u32,
}

impl App {
    /// How much of the register a campaign covers: now, or as it was closed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn survey_coverage(
        &self,
        call: &Call,
        at: &InSite<SurveyId>,
        page: PageRequest,
    ) -> Result<CoverageView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let survey = self.load_survey(&at.site, &at.id).await?;
        let after = page.after.as_deref().map(DwellingId::new).transpose().map_err(|_| Error::PageToken)?;
        let (counted, late) = self.counted(&survey).await?;
        let coverage = match &survey.result {
            Some(frozen) => frozen.clone(),
            None => coverage(&self.register(&survey, work.zone()).await?, &counted),
        };
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let rest = coverage.omissions.iter();
        let mut rest = rest.filter(|omission| after.as_ref().is_none_or(|after| omission.dwelling > *after));
        let shown: Vec<_> = rest.by_ref().take(size).collect();
        let more = rest.next().is_some();
        let next = shown.last().filter(|_| more).map(|omission| omission.dwelling.as_str().to_owned());
        let ids: Vec<DwellingId> = shown.iter().map(|omission| omission.dwelling.clone()).collect();
        let known =
            if ids.is_empty() { Vec::new() } else { self.store.dwellings_by_id(&at.site, &ids).await? };
        let title = |id: &DwellingId| {
            let dwelling = known.iter().find(|dwelling| dwelling.id == *id);
            dwelling.map(Dwelling::display_name).unwrap_or_default()
        };
        let omissions = shown.into_iter().map(|omission| {
            let door = Door { title: title(&omission.dwelling), dwelling: omission.dwelling.clone() };
            (door, omission.attempts)
        });
        Ok(CoverageView {
            omissions: omissions.collect(),
            site: survey.site,
            survey: survey.id,
            as_of: survey.closed.as_ref().map_or(work.now, |closed| closed.at),
            coverage,
            next,
            late,
        })
    }

    /// Closes a campaign and freezes what it came to.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] for one that is closed, [`Error::Denied`].
    pub async fn close_survey(
        &self,
        call: &Call,
        repeat: Repeat<Survey>,
        at: InSite<SurveyId>,
        version: Option<u64>,
    ) -> Result<Answer<Survey>> {
        contended(|| self.try_close(call, &repeat, &at, version)).await
    }

    async fn try_close(
        &self,
        call: &Call,
        repeat: &Repeat<Survey>,
        at: &InSite<SurveyId>,
        version: Option<u64>,
    ) -> Result<Option<Answer<Survey>>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut survey = self.load_survey(&at.site, &at.id).await?;
        survey.version = next_version(survey.version, version)?;
        if survey.closed.is_some() {
            return Err(Error::State(StateConflict::SurveyClosed));
        }
        let (counted, _) = self.counted(&survey).await?;
        survey.result = Some(coverage(&self.register(&survey, work.zone()).await?, &counted));
        survey.closed = Some(work.signed());
        let resource = name::survey(&survey.site, &survey.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_survey(survey.clone()).event("survey.closed", resource);
        won(work.commit("survey.close", changes, repeat, survey).await)
    }

    /// The answers that count, and how many stand that were recorded after the close.
    async fn counted(&self, survey: &Survey) -> Result<(Vec<CountedAnswer>, u32)> {
        let (mut counted, mut late) = (Vec::new(), 0);
        let mut after: Option<AnswerId> = None;
        loop {
            let batch = self.store.survey_answers(&survey.site, &survey.id, after.as_ref(), PAGE_MAX).await?;
            let Some(last) = batch.last() else {
                self.unite(&survey.site, &mut counted).await?;
                return Ok((counted, late));
            };
            after = Some(last.id.clone());
            let mut standing = batch;
            standing.retain(|answer| answer.withdrawn.is_none());
            let all = standing.len();
            standing.retain(|answer| !answer.late);
            late += u32::try_from(all - standing.len()).unwrap_or(u32::MAX);
            let ids: Vec<AnswerId> = standing.iter().map(|answer| answer.id.clone()).collect();
            let mut people: HashMap<AnswerId, Vec<PersonMarks>> = HashMap::new();
            for stored in self.store.surveyed(&survey.site, &survey.id, &ids).await? {
                people.entry(stored.answer).or_default().push(stored.person.marks);
            }
            counted.extend(standing.into_iter().map(|answer| CountedAnswer {
                people: people.remove(&answer.id).unwrap_or_default(),
                id: answer.id,
                dwelling: answer.dwelling,
                outcome: answer.outcome,
                occurred_at: answer.occurred_at,
                distinct: answer.distinct,
            }));
        }
    }

    /// Lets every file that was merged since stand for its survivor: one person, whichever name they were found under. Of those
    /// whose file is protected nothing is compared, for that would tell where they live.
    async fn unite(&self, site: &SiteId, counted: &mut [CountedAnswer]) -> Result<()> {
        let files = || counted.iter().flat_map(|answer| &answer.people).filter_map(|p| p.resident.as_ref());
        let ids: Vec<ResidentId> = files().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let mut survivors: HashMap<ResidentId, ResidentId> = HashMap::new();
        let mut protected: BTreeSet<ResidentId> = BTreeSet::new();
        for ids in ids.chunks(FILES) {
            let heads = self.store.resident_heads(site, ids).await?;
            for head in heads {
                if head.protected_for.is_some() {
                    protected.insert(head.id);
                } else if head.merged_into.is_some()
                    && let Some(survivor) = self.find_head(site, &head.id).await?
                {
                    survivors.insert(head.id, survivor.id);
                }
            }
        }
        for person in counted.iter_mut().flat_map(|answer| &mut answer.people) {
            if person.resident.as_ref().is_some_and(|id| protected.contains(id)) {
                *person = PersonMarks::default();
            } else if let Some(survivor) = person.resident.as_ref().and_then(|id| survivors.get(id)) {
                person.resident = Some(survivor.clone());
            }
        }
        Ok(())
    }

    /// The dwellings of the register to which a campaign goes.
    async fn register(&self, survey: &Survey, zone: SiteZone) -> Result<Vec<Door>> {
        let (mut doors, mut page) = (Vec::new(), StorePage::first(PAGE_MAX));
        loop {
            let batch = self.store.dwellings(&Sites::from(&survey.site), &page).await?;
            let Some(last) = batch.last() else { return Ok(doors) };
            page = StorePage::after(survey.site.as_str(), last.id.as_str(), PAGE_MAX);
            let ids: Vec<DwellingId> = batch.iter().map(|dwelling| dwelling.id.clone()).collect();
            let visited = match survey.kind {
                SurveyKind::Full => ids,
                SurveyKind::Review => {
                    let heads = self.store.residents_of_dwellings(&survey.site, &ids).await?;
                    // No campaign tells where somebody lives whose file is protected.
                    let in_care = heads
                        .into_iter()
                        .filter(|head| head.state == FileState::Active && head.protected_for.is_none());
                    in_care.map(|head| head.dwelling).collect()
                }
                SurveyKind::MoveIn => self.moved_into(survey, zone, ids).await?,
            };
            let visited: BTreeSet<DwellingId> = visited.into_iter().collect();
            let own = batch.into_iter().filter(|dwelling| visited.contains(&dwelling.id));
            doors.extend(own.map(|dwelling| Door { title: dwelling.display_name(), dwelling: dwelling.id }));
        }
    }

    /// Those of some dwellings into which a household moved within the days of a campaign.
    async fn moved_into(
        &self,
        survey: &Survey,
        zone: SiteZone,
        dwellings: Vec<DwellingId>,
    ) -> Result<Vec<DwellingId>> {
        let subjects: Vec<Subject> = dwellings.iter().cloned().map(Subject::Dwelling).collect();
        let range =
            CareRange { from: zone.start_of(survey.days.start()), to: zone.start_of(survey.days.end()) };
        let care = self.store.care_of_subjects(&survey.site, &subjects, range).await?;
        let moved = |dwelling: &DwellingId| {
            care.get(&Subject::Dwelling(dwelling.clone()))
                .is_some_and(|care| care.events.iter().any(|event| event.kind == EventKind::HouseholdMovedIn))
        };
        Ok(dwellings.into_iter().filter(moved).collect())
    }
}
