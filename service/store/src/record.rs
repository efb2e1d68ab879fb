//! Service records: the hot write. Recording appends and reads nothing beyond what guards ask.
//!
//! `record` holds the current version, `record_version` those it superseded, `record_subject` the current version as
//! each subject sees it (what obligations are computed from), `record_content` the sealed words of every version.

use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;

use linli_core::id::{EventId, RecordId, SiteId, StaffId, Subject};
use linli_core::kind::{Department, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome, SubjectRecord};
use linli_core::resident::FieldClass;
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{instant, instant_opt, subject, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::{self, sealed::Encode, subject_columns};
use crate::page::{PAGE_MAX, Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer, holder};
use crate::store::Store;
use crate::table::{Table, Val, record, record_content, record_subject, record_version};

/// Ids of one statement; whoever asks about more gets several.
const IDS_MAX: usize = 1_000;

/// A service record in its current version, its words sealed.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// The record; the `content` of its subjects and the `correction_reason` are absent.
    pub record: ServiceRecord,
    /// Why this version replaces the one before it.
    pub correction_reason: Option<Sealed<Line>>,
    /// When its first version was recorded (care clock).
    pub first_recorded_at: Instant,
    /// Since when each of `record.subjects` counts as recorded, by its place: since the first version, unless a correction
    /// earned it more.
    pub subject_recorded_at: Vec<Instant>,
    /// When it was voided (care clock).
    pub voided_at: Option<Instant>,
    /// The words, by the subject's place in `record.subjects`; absent where none were said or none were asked for.
    pub content: Vec<Option<Sealed<Paragraph>>>,
}

impl StoredRecord {
    /// The record with its words.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&self, opener: &Opener<'_>) -> Result<ServiceRecord, SealError> {
        let mut record = self.record.clone();
        for (subject, content) in record.subjects.iter_mut().zip(&self.content) {
            subject.content = opener.open_option(content.as_ref())?;
        }
        record.correction_reason = opener.open_option(self.correction_reason.as_ref())?;
        Ok(record)
    }
}

/// Which records of a site a list holds; all given conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this kind.
    pub kind: Option<ServiceKind>,
    /// That occurred from here on.
    pub from: Instant,
    /// That occurred before this.
    pub to: Instant,
}

impl ChangeSet {
    /// Records a service (version 1). The id must be fresh: a doubled one fails as `Database(Duplicate)`.
    pub fn add_record(&mut self, record: ServiceRecord) -> &mut Self {
        self.push(Change::Record(Box::new(record)))
    }

    /// Corrects a record: `new` has the same id and the version after `old`'s, which is kept.
    pub fn correct_record(&mut self, old: StoredRecord, new: ServiceRecord) -> &mut Self {
        self.push(Change::Correction(Box::new(old), Box::new(new)))
    }

    /// Asks that the record exist.
    pub fn require_record(&mut self, site: &SiteId, id: &RecordId) -> &mut Self {
        self.push(Change::RequireRecord(site.clone(), id.clone()))
    }
}

pub(crate) fn rows(value: &ServiceRecord, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let voided_at = value.voided.then(|| value.recorded_at.micros());
    let correction = seal_correction(value, sealer)?;
    let known: Vec<Instant> = value.subjects.iter().map(|_| value.recorded_at).collect();
    rows.append(Table::Record, row_of(value, value.recorded_at, &known, voided_at, correction));
    for subject in &value.subjects {
        rows.append(Table::RecordSubject, subject_row(value, subject, value.recorded_at, voided_at));
    }
    content_rows(value, sealer, rows)
}

pub(crate) fn correction_rows(
    old: &StoredRecord,
    new: &ServiceRecord,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let site = new.site.as_str();
    let correction = old.correction_reason.as_ref().map(|sealed| sealed.cell.clone());
    let before = row_of(
        &old.record,
        old.first_recorded_at,
        &old.subject_recorded_at,
        old.voided_at.map(Instant::micros),
        correction,
    );
    let kept = record_version::Model {
        site: before.site,
        id: before.id,
        version: before.version,
        kind: before.kind,
        occurred_at: before.occurred_at,
        recorded_at: before.recorded_at,
        first_recorded_at: before.first_recorded_at,
        performer: before.performer,
        department: before.department,
        voided_at: before.voided_at,
        subjects: before.subjects,
        correction: before.correction,
    };
    rows.append(Table::RecordVersion, kept);
    // What was voided stays voided since then; a correction that takes the void back earns again.
    let voided_at = new.voided.then(|| old.voided_at.unwrap_or(new.recorded_at).micros());
    let correction = seal_correction(new, sealer)?;
    let known: Vec<Instant> = new.subjects.iter().map(|subject| recorded_since(old, new, subject)).collect();
    let row = row_of(new, old.first_recorded_at, &known, voided_at, correction);
    rows.put_versioned(Table::Record, row, "record");
    let key = |occurred_at: Instant, subject: &Subject| -> Vec<Val> {
        let (kind, id) = subject_columns(subject);
        vec![site.into(), kind.into(), id.into(), occurred_at.micros().into(), new.id.as_str().into()]
    };
    for subject in &old.record.subjects {
        let old_key = key(old.record.occurred_at, &subject.subject);
        if !new.subjects.iter().any(|s| key(new.occurred_at, &s.subject) == old_key) {
            rows.delete(Table::RecordSubject, old_key);
        }
    }
    for (subject, since) in new.subjects.iter().zip(known) {
        rows.put(Table::RecordSubject, subject_row(new, subject, since, voided_at));
    }
    content_rows(new, sealer, rows)
}

/// Since when a subject of a corrected record counts as recorded. A correction that may earn more than before (another
/// subject, kind or time, an outcome that is now done, a further event answered) counts from its own recording: credit
/// is never backdated.
fn recorded_since(old: &StoredRecord, new: &ServiceRecord, subject: &SubjectOutcome) -> Instant {
    let before = old.record.subjects.iter().zip(&old.subject_recorded_at);
    let before = before.into_iter().find(|(before, _)| before.subject == subject.subject);
    let same_service = old.record.kind == new.kind && old.record.occurred_at == new.occurred_at;
    match before {
        Some((before, since))
            if same_service
                && (subject.outcome != Outcome::Done || before.outcome == Outcome::Done)
                && subject.answers.iter().all(|event| before.answers.contains(event)) =>
        {
            *since
        }
        Some(_) | None => new.recorded_at,
    }
}

/// Why a version replaces the one before it. It may speak of any of the subjects, so the site's key seals it.
fn seal_correction(value: &ServiceRecord, sealer: &Sealer<'_>) -> Result<Option<Vec<u8>>, SealError> {
    let reason = value.correction_reason.as_ref().map(|reason| {
        let plain = zeroize::Zeroizing::new(Encode::encode(reason));
        sealer.site("record", &[value.id.as_str()], "correction", version_column(value.version), &plain)
    });
    reason.transpose()
}

fn row_of(
    value: &ServiceRecord,
    first_recorded_at: Instant,
    known: &[Instant],
    voided_at: Option<i64>,
    correction: Option<Vec<u8>>,
) -> record::Model {
    let later = known.iter().map(|at| Some(*at).filter(|at| *at != first_recorded_at));
    record::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        occurred_at: value.occurred_at.micros(),
        recorded_at: value.recorded_at.micros(),
        first_recorded_at: first_recorded_at.micros(),
        performer: value.performer.as_str().to_owned(),
        department: value.department.code().to_owned(),
        voided_at,
        subjects: form::encode_subjects(value.subjects.iter().zip(later)),
        correction,
    }
}

fn subject_row(
    value: &ServiceRecord,
    subject: &SubjectOutcome,
    recorded_at: Instant,
    voided_at: Option<i64>,
) -> record_subject::Model {
    let (subject_kind, id) = subject_columns(&subject.subject);
    let answers: Vec<&str> = subject.answers.iter().map(EventId::as_str).collect();
    record_subject::Model {
        site: value.site.as_str().to_owned(),
        subject_kind,
        subject: id,
        occurred_at: value.occurred_at.micros(),
        record: value.id.as_str().to_owned(),
        kind: value.kind.code().to_owned(),
        outcome: subject.outcome.code().to_owned(),
        recorded_at: recorded_at.micros(),
        voided_at,
        answers: (!answers.is_empty()).then(|| answers.join(" ")),
    }
}

const CONTENT: &str = "record_content";

fn content_rows(value: &ServiceRecord, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let version = version_column(value.version);
    for (subject, content) in
        value.subjects.iter().filter_map(|s| s.content.as_ref().map(|c| (&s.subject, c)))
    {
        let (subject_kind, id) = subject_columns(subject);
        let place = [value.id.as_str(), subject_kind.as_str(), id.as_str()];
        let plain = content.as_str().as_bytes();
        let cell = match holder(subject) {
            Holder::Resident(id) => sealer.resident(&id, CONTENT, &place, "content", version, plain)?,
            Holder::Site => sealer.site(CONTENT, &place, "content", version, plain)?,
        };
        let row = record_content::Model {
            site: value.site.as_str().to_owned(),
            record: value.id.as_str().to_owned(),
            version,
            subject_kind,
            subject: id,
            cell,
        };
        rows.append(Table::RecordContent, row);
    }
    Ok(())
}

pub(crate) fn require(site: &SiteId, id: &RecordId, rows: &mut Rows) {
    rows.guard(Table::Record, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "record");
}

impl Store {
    /// A record in its current version, with its sealed words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record(&self, site: &SiteId, id: &RecordId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.records_by_id(site, std::slice::from_ref(id)).await?.pop())
    }

    /// Who performed the records among `ids` that exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn performers(
        &self,
        site: &SiteId,
        ids: &[RecordId],
    ) -> Result<HashMap<RecordId, StaffId>, StoreError> {
        let mut performers = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IDS_MAX) {
            let rows: Vec<(String, String)> = record::Entity::find()
                .select_only()
                .column(record::Column::Id)
                .column(record::Column::Performer)
                .filter(record::Column::Site.eq(site.as_str()))
                .filter(record::Column::Id.is_in(padded(ids.iter().map(RecordId::as_str))))
                .into_tuple()
                .all(self.reader())
                .await?;
            for (id, performer) in rows {
                let row = |_| StoreError::Row { table: "record" };
                performers.insert(RecordId::new(&id).map_err(row)?, StaffId::new(&performer).map_err(row)?);
            }
        }
        Ok(performers)
    }

    /// The records that were corrected after an instant, of those of which some version occurred with `from` ≤ occurred_at < `to`.
    /// Corrections are few: only what they superseded is looked through.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn corrected_since(
        &self,
        site: &SiteId,
        (from, to): (Instant, Instant),
        since: Instant,
    ) -> Result<BTreeSet<RecordId>, StoreError> {
        let superseded: Vec<String> = record_version::Entity::find()
            .select_only()
            .column(record_version::Column::Id)
            .distinct()
            .filter(record_version::Column::Site.eq(site.as_str()))
            .filter(record_version::Column::OccurredAt.gte(from.micros()))
            .filter(record_version::Column::OccurredAt.lt(to.micros()))
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut corrected = BTreeSet::new();
        for ids in superseded.chunks(IDS_MAX) {
            let found: Vec<String> = record::Entity::find()
                .select_only()
                .column(record::Column::Id)
                .filter(record::Column::Site.eq(site.as_str()))
                .filter(record::Column::Id.is_in(padded(ids.iter().map(String::as_str))))
                .filter(record::Column::RecordedAt.gt(since.micros()))
                .into_tuple()
                .all(self.reader())
                .await?;
            for id in found {
                corrected.insert(RecordId::new(&id).map_err(|_| StoreError::Row { table: "record" })?);
            }
        }
        Ok(corrected)
    }

    /// The records among `ids` that exist, by id, with their sealed words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records_by_id(
        &self,
        site: &SiteId,
        ids: &[RecordId],
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let found = record::Entity::find()
            .filter(record::Column::Site.eq(site.as_str()))
            .filter(record::Column::Id.is_in(padded(ids.iter().map(RecordId::as_str))))
            .order_by_asc(record::Column::Id)
            .all(self.reader())
            .await?;
        self.with_content(found).await
    }

    /// A page of records, by site and id (ids that the server makes ascend with time), with their sealed words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records(&self, sites: &Sites, page: &Page) -> Result<Vec<StoredRecord>, StoreError> {
        let query = keyset(record::Entity::find(), sites, page, record::Column::Site, record::Column::Id);
        let found = query.all(self.reader()).await?;
        self.with_content(found).await
    }

    /// A page of one subject's records with `from` ≤ occurred_at < `to`, newest first, with their sealed words; begins
    /// before the place `before` (occurred_at and id of the last one seen).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records_of(
        &self,
        site: &SiteId,
        subject: &Subject,
        from: Instant,
        to: Instant,
        before: Option<(Instant, &RecordId)>,
        limit: u64,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let (kind, id) = subject_columns(subject);
        let mut query = record_subject::Entity::find()
            .filter(record_subject::Column::Site.eq(site.as_str()))
            .filter(record_subject::Column::SubjectKind.eq(kind))
            .filter(record_subject::Column::Subject.eq(id))
            .filter(record_subject::Column::OccurredAt.gte(from.micros()))
            .filter(record_subject::Column::OccurredAt.lt(to.micros()));
        if let Some((at, record)) = before {
            let place = Condition::any()
                .add(record_subject::Column::OccurredAt.lt(at.micros()))
                .add(record_subject::Column::Record.lt(record.as_str()));
            query = query.filter(record_subject::Column::OccurredAt.lte(at.micros())).filter(place);
        }
        let rows = query
            .order_by_desc(record_subject::Column::OccurredAt)
            .order_by_desc(record_subject::Column::Record)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        let order: HashMap<&str, usize> =
            rows.iter().enumerate().map(|(i, row)| (row.record.as_str(), i)).collect();
        let ids = rows.iter().map(|row| RecordId::new(&row.record)).collect::<Result<Vec<_>, _>>();
        let ids = ids.map_err(|_| StoreError::Row { table: "record_subject" })?;
        let mut records = if ids.is_empty() { Vec::new() } else { self.records_by_id(site, &ids).await? };
        records.sort_by_key(|stored| order.get(stored.record.id.as_str()).copied());
        Ok(records)
    }

    /// A page of a site's records without their words, the last recorded first (ids that the server makes ascend with
    /// time); begins before the record `before`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records_newest(
        &self,
        site: &SiteId,
        filter: &RecordFilter,
        before: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let mut query = record::Entity::find()
            .filter(record::Column::Site.eq(site.as_str()))
            .filter(record::Column::OccurredAt.gte(filter.from.micros()))
            .filter(record::Column::OccurredAt.lt(filter.to.micros()));
        if let Some(before) = before {
            query = query.filter(record::Column::Id.lt(before.as_str()));
        }
        if let Some(kind) = filter.kind {
            query = query.filter(record::Column::Kind.eq(kind.code()));
        }
        let found = query
            .order_by_desc(record::Column::Id)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(|row| to_record(row, &mut HashMap::new())).collect()
    }

    /// The superseded versions of a record, oldest first, without their words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_versions(
        &self,
        site: &SiteId,
        id: &RecordId,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let found = record_version::Entity::find()
            .filter(record_version::Column::Site.eq(site.as_str()))
            .filter(record_version::Column::Id.eq(id.as_str()))
            .order_by_asc(record_version::Column::Version)
            .all(self.reader())
            .await?;
        let rows = found.into_iter().map(|row| record::Model {
            site: row.site,
            id: row.id,
            version: row.version,
            kind: row.kind,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            first_recorded_at: row.first_recorded_at,
            performer: row.performer,
            department: row.department,
            voided_at: row.voided_at,
            subjects: row.subjects,
            correction: row.correction,
        });
        rows.map(|row| to_record(row, &mut HashMap::new())).collect()
    }

    async fn with_content(&self, records: Vec<record::Model>) -> Result<Vec<StoredRecord>, StoreError> {
        let mut content = HashMap::new();
        let mut rest = records.as_slice();
        while let Some(first) = rest.first() {
            // One look-up per site on the page: one in all for a list of one site.
            let count = rest.iter().take_while(|row| row.site == first.site).count();
            let (of_site, further) = rest.split_at(count);
            let found = record_content::Entity::find()
                .filter(record_content::Column::Site.eq(first.site.as_str()))
                .filter(
                    record_content::Column::Record.is_in(padded(of_site.iter().map(|row| row.id.as_str()))),
                )
                .all(self.reader())
                .await?;
            content.extend(found.into_iter().map(|row| (ContentKey::of(&row), row)));
            rest = further;
        }
        records.into_iter().map(|row| to_record(row, &mut content)).collect()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct ContentKey(String, String, i64, String, String);

impl ContentKey {
    fn of(row: &record_content::Model) -> Self {
        Self(row.site.clone(), row.record.clone(), row.version, row.subject_kind.clone(), row.subject.clone())
    }
}

fn to_record(
    row: record::Model,
    content: &mut HashMap<ContentKey, record_content::Model>,
) -> Result<StoredRecord, StoreError> {
    let mut build = || {
        let first_recorded_at = instant(row.first_recorded_at)?;
        let (subjects, known): (Vec<SubjectOutcome>, Vec<Option<Instant>>) =
            form::decode_subjects(&row.subjects)?.into_iter().unzip();
        let content = subjects.iter().map(|subject| {
            let (kind, id) = subject_columns(&subject.subject);
            let key = ContentKey(row.site.clone(), row.id.clone(), row.version, kind, id);
            content.remove(&key).map(|cell| Sealed {
                site: cell.site,
                table: CONTENT,
                row: vec![cell.record, cell.subject_kind, cell.subject],
                column: "content",
                version: cell.version,
                class: FieldClass::Care,
                holder: holder(&subject.subject),
                cell: cell.cell,
                value: PhantomData,
            })
        });
        Some(StoredRecord {
            content: content.collect(),
            first_recorded_at,
            subject_recorded_at: known.into_iter().map(|at| at.unwrap_or(first_recorded_at)).collect(),
            voided_at: instant_opt(row.voided_at)?,
            correction_reason: row.correction.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "record",
                row: vec![row.id.clone()],
                column: "correction",
                version: row.version,
                class: FieldClass::Care,
                holder: Holder::Site,
                cell: cell.clone(),
                value: PhantomData,
            }),
            record: ServiceRecord {
                site: SiteId::new(&row.site).ok()?,
                id: RecordId::new(&row.id).ok()?,
                version: version(row.version)?,
                kind: ServiceKind::from_code(&row.kind).ok()?,
                occurred_at: instant(row.occurred_at)?,
                recorded_at: instant(row.recorded_at)?,
                performer: StaffId::new(&row.performer).ok()?,
                department: Department::from_code(&row.department).ok()?,
                voided: row.voided_at.is_some(),
                subjects,
                correction_reason: None,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "record" })
}

/// A record as one subject sees it.
pub(crate) fn to_subject_record(row: record_subject::Model) -> Result<(Subject, SubjectRecord), StoreError> {
    let build = || {
        let answers = row.answers.as_deref().unwrap_or_default().split_ascii_whitespace();
        let record = SubjectRecord {
            id: RecordId::new(&row.record).ok()?,
            kind: ServiceKind::from_code(&row.kind).ok()?,
            occurred_at: instant(row.occurred_at)?,
            recorded_at: instant(row.recorded_at)?,
            outcome: Outcome::from_code(&row.outcome).ok()?,
            answers: answers.map(|event| EventId::new(event).ok()).collect::<Option<_>>()?,
            voided_at: instant_opt(row.voided_at)?,
        };
        Some((subject(&row.subject_kind, &row.subject)?, record))
    };
    build().ok_or(StoreError::Row { table: "record_subject" })
}
