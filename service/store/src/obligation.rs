//! What obligations are computed from: for a page of residents, or for other subjects, in a constant number of
//! statements.

use std::collections::{BTreeSet, HashMap};

use linli_core::assessment::Attention;
use linli_core::care_plan::CarePlan;
use linli_core::event::CareEvent;
use linli_core::id::{DwellingId, ResidentId, SiteId, Subject, SubjectKind};
use linli_core::membership::Membership;
use linli_core::pause::Pause;
use linli_core::record::SubjectRecord;
use linli_core::site::Dwelling;
use linli_core::time::{CivilDate, Instant};
use linli_core::waiver::StandardWaiver;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert::days;
use crate::error::StoreError;
use crate::page::{PAGE_MAX, padded};
use crate::resident::{ResidentHead, Sight, to_head};
use crate::site::to_dwelling;
use crate::store::Store;
use crate::table::{attention, care_event, dwelling, former_resident, record_subject, resident};

/// Largest page of residents whose care is read at once.
pub const CARE_PAGE_MAX: u64 = 500;

/// The stretch of time that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CareRange {
    /// Records and events that occurred from here on.
    pub from: Instant,
    /// Records and events that occurred before this.
    pub to: Instant,
}

/// Everything about one resident that duties depend on. No personal value is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidentCare {
    /// Tenure, state, dwelling.
    pub head: ResidentHead,
    /// The files that were merged into it, where the caller united them.
    pub merged: Vec<ResidentHead>,
    /// Every membership, past and present, by id; without evidence.
    pub memberships: Vec<Membership>,
    /// Tier and tags over time, by day.
    pub attention: Vec<Attention>,
    /// Every pause, by id; without remarks.
    pub pauses: Vec<Pause>,
    /// Every waiver, by id; without reasons.
    pub waivers: Vec<StandardWaiver>,
    /// Every revision of the care plan, by number; without words.
    pub plans: Vec<CarePlan>,
    /// Events within the range, by time; without notes.
    pub events: Vec<CareEvent>,
    /// Records within the range, by time.
    pub records: Vec<SubjectRecord>,
}

/// What duties towards a dwelling, an area or another subject depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectCare {
    /// Events within the range, by time; without notes.
    pub events: Vec<CareEvent>,
    /// Records within the range, by time.
    pub records: Vec<SubjectRecord>,
}

impl Store {
    /// The care of a site's residents whom somebody sees, by id: a page after an id, without files that were merged into
    /// others. As many statements, whatever the page holds: eight, and a ninth where there are care plans.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn care_page(
        &self,
        site: &SiteId,
        after: Option<&ResidentId>,
        limit: u64,
        range: CareRange,
        sight: &Sight,
    ) -> Result<Vec<ResidentCare>, StoreError> {
        let mut query = resident::Entity::find()
            .filter(resident::Column::Site.eq(site.as_str()))
            .filter(resident::Column::MergedInto.is_null());
        if let Some(after) = after {
            query = query.filter(resident::Column::Id.gt(after.as_str()));
        }
        let query = sight.restrict(query);
        let limit = limit.clamp(1, CARE_PAGE_MAX.min(PAGE_MAX));
        let heads = query.order_by_asc(resident::Column::Id).limit(limit).all(self.reader()).await?;
        let heads = heads.into_iter().map(to_head).collect::<Result<Vec<_>, _>>()?;
        self.care_of_heads(site, heads, range).await
    }

    /// The care of these residents, by id. As many statements as of a page, however many they are (at most
    /// [`CARE_PAGE_MAX`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn care_of(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
        range: CareRange,
    ) -> Result<Vec<ResidentCare>, StoreError> {
        let heads = self.resident_heads(site, residents).await?;
        self.care_of_heads(site, heads, range).await
    }

    /// The clear parts of the care files of these dwellings, by id: who may flag them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn residents_of_dwellings(
        &self,
        site: &SiteId,
        dwellings: &[DwellingId],
    ) -> Result<Vec<ResidentHead>, StoreError> {
        let found = resident::Entity::find()
            .filter(resident::Column::Site.eq(site.as_str()))
            .filter(resident::Column::Dwelling.is_in(padded(dwellings.iter().map(DwellingId::as_str))))
            .filter(resident::Column::MergedInto.is_null())
            .order_by_asc(resident::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_head).collect()
    }

    /// Who lived in these dwellings before and moved on a day after `since`, by id, each once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn former_residents(
        &self,
        site: &SiteId,
        dwellings: &[DwellingId],
        since: CivilDate,
    ) -> Result<Vec<ResidentId>, StoreError> {
        let rows = former_resident::Entity::find()
            .filter(former_resident::Column::Site.eq(site.as_str()))
            .filter(former_resident::Column::Dwelling.is_in(padded(dwellings.iter().map(DwellingId::as_str))))
            .filter(former_resident::Column::UntilDay.gt(days(since)))
            .all(self.reader())
            .await?;
        let ids: BTreeSet<String> = rows.into_iter().map(|row| row.resident).collect();
        let row = StoreError::Row { table: "former_resident" };
        ids.iter().map(|id| ResidentId::new(id).map_err(|_| row)).collect()
    }

    /// A page of the dwellings of these buildings, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dwellings_of_buildings(
        &self,
        site: &SiteId,
        buildings: &[&str],
        after: Option<&DwellingId>,
        limit: u64,
    ) -> Result<Vec<Dwelling>, StoreError> {
        let mut query = dwelling::Entity::find()
            .filter(dwelling::Column::Site.eq(site.as_str()))
            .filter(dwelling::Column::Building.is_in(padded(buildings.iter().copied())));
        if let Some(after) = after {
            query = query.filter(dwelling::Column::Id.gt(after.as_str()));
        }
        let found = query
            .order_by_asc(dwelling::Column::Id)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_dwelling).collect()
    }

    /// Events and records of subjects that are not residents (or are), by subject; subjects without any are absent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn care_of_subjects(
        &self,
        site: &SiteId,
        subjects: &[Subject],
        range: CareRange,
    ) -> Result<HashMap<Subject, SubjectCare>, StoreError> {
        let mut care: HashMap<Subject, SubjectCare> = HashMap::new();
        for kind in SubjectKind::ALL {
            let ids: Vec<&str> =
                subjects.iter().filter(|s| s.kind() == *kind).map(Subject::id_text).collect();
            if ids.is_empty() {
                continue;
            }
            let (events, records) = tokio::join!(
                self.events_of(site, *kind, ids.iter().copied(), range),
                self.subject_records(site, *kind, ids.iter().copied(), range),
            );
            for event in events? {
                care.entry(event.subject.clone()).or_default().events.push(event);
            }
            for (subject, record) in records? {
                care.entry(subject).or_default().records.push(record);
            }
        }
        Ok(care)
    }

    /// When the earliest event before an instant happened that no record of its subject names as answered; subjects
    /// without such an event are absent. One statement for each kind of subject, a second where there are events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unanswered_before(
        &self,
        site: &SiteId,
        subjects: &[Subject],
        before: Instant,
    ) -> Result<HashMap<Subject, Instant>, StoreError> {
        let range = CareRange { from: Instant::MIN, to: before };
        let mut earliest: HashMap<Subject, Instant> = HashMap::new();
        for kind in SubjectKind::ALL {
            let of_kind = subjects.iter().filter(|s| s.kind() == *kind).map(Subject::id_text);
            let ids: Vec<&str> = of_kind.collect();
            if ids.is_empty() {
                continue;
            }
            let events = self.events_of(site, *kind, ids.iter().copied(), range).await?;
            let with_events: BTreeSet<&str> = events.iter().map(|event| event.subject.id_text()).collect();
            if with_events.is_empty() {
                continue;
            }
            let rows = record_subject::Entity::find()
                .filter(
                    Condition::all()
                        .add(record_subject::Column::Site.eq(site.as_str()))
                        .add(record_subject::Column::SubjectKind.eq(kind.code()))
                        .add(record_subject::Column::Subject.is_in(padded(with_events)))
                        .add(record_subject::Column::OccurredAt.lt(before.micros()))
                        .add(record_subject::Column::Answers.is_not_null())
                        .add(record_subject::Column::VoidedAt.is_null()),
                )
                .all(self.reader())
                .await?;
            let answered: BTreeSet<&str> = rows
                .iter()
                .filter_map(|row| row.answers.as_deref())
                .flat_map(str::split_ascii_whitespace)
                .collect();
            for event in events.iter().filter(|event| !answered.contains(event.id.as_str())) {
                let first = earliest.entry(event.subject.clone()).or_insert(event.occurred_at);
                *first = event.occurred_at.min(*first);
            }
        }
        Ok(earliest)
    }

    async fn care_of_heads(
        &self,
        site: &SiteId,
        heads: Vec<ResidentHead>,
        range: CareRange,
    ) -> Result<Vec<ResidentCare>, StoreError> {
        if heads.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<ResidentId> = heads.iter().map(|head| head.id.clone()).collect();
        let texts = || ids.iter().map(ResidentId::as_str);
        let attention = attention::Entity::find()
            .filter(attention::Column::Site.eq(site.as_str()))
            .filter(attention::Column::Resident.is_in(padded(texts())))
            .order_by_asc(attention::Column::Resident)
            .order_by_asc(attention::Column::FromDay)
            .all(self.reader());
        let (memberships, attention, pauses, waivers, plans, events, records) = tokio::join!(
            self.memberships(site, &ids),
            attention,
            self.pauses(site, &ids),
            self.waivers(site, &ids),
            self.plans(site, &ids),
            self.events_of(site, SubjectKind::Resident, texts(), range),
            self.subject_records(site, SubjectKind::Resident, texts(), range),
        );
        let mut care: HashMap<ResidentId, ResidentCare> = HashMap::with_capacity(heads.len());
        for head in heads {
            let (memberships, attention, pauses, waivers) = Default::default();
            let (plans, events, records) = Default::default();
            let id = head.id.clone();
            let merged = Vec::new();
            let of_head = ResidentCare {
                head,
                merged,
                memberships,
                attention,
                pauses,
                waivers,
                plans,
                events,
                records,
            };
            care.insert(id, of_head);
        }
        for stored in memberships? {
            if let Some(care) = care.get_mut(stored.membership.resident.as_str()) {
                care.memberships.push(stored.membership);
            }
        }
        for row in attention? {
            let resident = row.resident.clone();
            if let Some(care) = care.get_mut(resident.as_str()) {
                care.attention.push(crate::assessment::to_attention(row)?);
            }
        }
        for stored in pauses? {
            if let Some(care) = care.get_mut(stored.pause.resident.as_str()) {
                care.pauses.push(stored.pause);
            }
        }
        for stored in waivers? {
            if let Some(care) = care.get_mut(stored.waiver.resident.as_str()) {
                care.waivers.push(stored.waiver);
            }
        }
        for stored in plans? {
            if let Some(care) = care.get_mut(stored.plan.resident.as_str()) {
                care.plans.push(stored.plan);
            }
        }
        for event in events? {
            if let Some(care) = care.get_mut(event.subject.id_text()) {
                care.events.push(event);
            }
        }
        for (subject, record) in records? {
            if let Some(care) = care.get_mut(subject.id_text()) {
                care.records.push(record);
            }
        }
        Ok(ids.iter().filter_map(|id| care.remove(id)).collect())
    }

    async fn events_of<'a>(
        &self,
        site: &SiteId,
        kind: SubjectKind,
        ids: impl Iterator<Item = &'a str>,
        range: CareRange,
    ) -> Result<Vec<CareEvent>, StoreError> {
        let found = care_event::Entity::find()
            .filter(
                Condition::all()
                    .add(care_event::Column::Site.eq(site.as_str()))
                    .add(care_event::Column::SubjectKind.eq(kind.code()))
                    .add(care_event::Column::Subject.is_in(padded(ids)))
                    .add(care_event::Column::OccurredAt.gte(range.from.micros()))
                    .add(care_event::Column::OccurredAt.lt(range.to.micros())),
            )
            .order_by_asc(care_event::Column::Subject)
            .order_by_asc(care_event::Column::OccurredAt)
            .order_by_asc(care_event::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(|row| Ok(crate::event::to_event(row)?.event)).collect()
    }

    async fn subject_records<'a>(
        &self,
        site: &SiteId,
        kind: SubjectKind,
        ids: impl Iterator<Item = &'a str>,
        range: CareRange,
    ) -> Result<Vec<(Subject, SubjectRecord)>, StoreError> {
        let found = record_subject::Entity::find()
            .filter(
                Condition::all()
                    .add(record_subject::Column::Site.eq(site.as_str()))
                    .add(record_subject::Column::SubjectKind.eq(kind.code()))
                    .add(record_subject::Column::Subject.is_in(padded(ids)))
                    .add(record_subject::Column::OccurredAt.gte(range.from.micros()))
                    .add(record_subject::Column::OccurredAt.lt(range.to.micros())),
            )
            .order_by_asc(record_subject::Column::Subject)
            .order_by_asc(record_subject::Column::OccurredAt)
            .order_by_asc(record_subject::Column::Record)
            .all(self.reader())
            .await?;
        found.into_iter().map(crate::record::to_subject_record).collect()
    }
}
