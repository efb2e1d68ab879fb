//! Erasure: the tombstone of a file, then what remains of the person in every table, then the key.
//!
//! ```text
//! tombstone ── the file is erased, its index rows are gone, the ledger says so: one commit
//! remains   ── rows that hold or tell something of the person, batch by batch
//! key       ── deleted from the key store: no copy of the database opens a value of theirs any more
//! remains   ── once more, after the longest call: what was on its way meanwhile
//! ```
//!
//! Every step may be broken off and done again. Records stay as what the staff did, with the person's id and no word.

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::retention::ErasureCause;
use linli_core::time::Instant;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use crate::change::{ChangeSet, Rows};
use crate::convert::{days, instant, instant_opt, version, version_column};
use crate::error::{SealError, StoreError};
use crate::resident::ResidentHead;
use crate::resource::Change;
use crate::search::IndexRows;
use crate::store::Store;
use crate::table::{Key, Table, erasure, resident};
use crate::writer::sql::{key_of_row, placeholder};

/// An erasure, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The site.
    pub site: SiteId,
    /// The resident's id; nothing else of them is left.
    pub resident: ResidentId,
    /// Who decided.
    pub by: StaffId,
    /// Why.
    pub cause: ErasureCause,
    /// When the tombstone was set (system clock).
    pub erased_at: Instant,
    /// When the key was deleted (system clock).
    pub key_deleted_at: Option<Instant>,
    /// When the last remains were removed (system clock).
    pub finished_at: Option<Instant>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// Something that remains of an erased person.
#[derive(Debug, Clone)]
pub struct Remains {
    table: Table,
    key: Key,
    /// A column that is emptied; `None`: the row goes.
    cell: Option<(&'static str, Vec<u8>)>,
}

/// By which columns a table says of whom a row is.
enum Of {
    Resident,
    Subject,
}

/// The tables whose rows go with the person.
const REMAINS: &[(Table, Of)] = &[
    (Table::ResidentCell, Of::Resident),
    (Table::Fact, Of::Resident),
    (Table::Membership, Of::Resident),
    (Table::Attention, Of::Resident),
    (Table::Assessment, Of::Resident),
    (Table::Pause, Of::Resident),
    (Table::Waiver, Of::Resident),
    (Table::CarePlan, Of::Resident),
    (Table::PlanDecision, Of::Resident),
    (Table::History, Of::Resident),
    (Table::FormerResident, Of::Resident),
    (Table::ReferralWords, Of::Resident),
    (Table::RecordContent, Of::Subject),
    (Table::Evaluation, Of::Subject),
    (Table::CareEvent, Of::Subject),
    (Table::RequestWords, Of::Subject),
    (Table::SurveyPerson, Of::Subject),
    (Table::SurveyWords, Of::Subject),
];

/// Words of rows that stay, because they say what the staff did, or by whose leave.
const WORDS: &[(Table, &str)] =
    &[(Table::EmergencyAccess, "reason"), (Table::EmergencyAccess, "remark"), (Table::Consent, "signed_by")];

/// Where a correction's reason may speak of any of the subjects.
const CORRECTIONS: &[Table] = &[Table::Record, Table::RecordVersion];

impl ChangeSet {
    /// Sets the tombstone: `head` is the file as it was read, with the next version. Nothing but its id, its state and its
    /// times is left of it.
    pub fn erase_resident(&mut self, head: ResidentHead) -> &mut Self {
        self.push(Change::Erase(Box::new(head)))
    }

    /// Stores how far an erasure is: version 1 is new, a higher one follows the one before it.
    pub fn put_erasure(&mut self, erasure: Erasure) -> &mut Self {
        self.push(Change::Erasure(erasure))
    }

    /// Removes what remains of an erased person.
    pub fn remove_remains(&mut self, remains: Vec<Remains>) -> &mut Self {
        self.push(Change::Remains(remains))
    }
}

pub(crate) fn tombstone_rows(head: &ResidentHead, index: &IndexRows, rows: &mut Rows) {
    let row = resident::Model {
        site: head.site.as_str().to_owned(),
        id: head.id.as_str().to_owned(),
        version: version_column(head.version),
        dwelling: NOWHERE.to_owned(),
        state: linli_core::resident::FileState::Erased.code().to_owned(),
        moved_in: days(head.tenure.moved_in),
        moved_out: head.tenure.moved_out.map(days),
        earlier_tenures: None,
        former_dwellings: None,
        died_on: None,
        created_at: head.created_at.micros(),
        updated_at: head.updated_at.micros(),
        held: 0,
        // Whoever might not know of the file might not know of its end.
        protected_for: head.protected_for.as_deref().map(crate::resident::named_column),
        may_be_minor: 0,
        merged_into: None,
        merged_files: None,
    };
    rows.put_versioned(Table::Resident, row, "resident");
    crate::search::remove_rows(head, index, rows);
}

/// Where an erased person lived: an id that no dwelling has, for ids of the server are not of this form and nobody chooses it.
const NOWHERE: &str = "00000000-0000-0000-0000-000000000000";

pub(crate) fn rows(value: &Erasure, rows: &mut Rows) {
    let row = erasure::Model {
        site: value.site.as_str().to_owned(),
        resident: value.resident.as_str().to_owned(),
        version: version_column(value.version),
        staff: value.by.as_str().to_owned(),
        cause: value.cause.code().to_owned(),
        erased_at: value.erased_at.micros(),
        key_deleted_at: value.key_deleted_at.map(Instant::micros),
        finished_at: value.finished_at.map(Instant::micros),
    };
    rows.put_versioned(Table::Erasure, row, "erasure");
}

pub(crate) fn remains_rows(remains: &[Remains], rows: &mut Rows) {
    for Remains { table, key, cell } in remains {
        match cell {
            None => rows.delete(*table, key.clone()),
            Some((column, cell)) => rows.swap(*table, column, key.clone(), (cell.clone(), None)),
        }
    }
}

impl Store {
    /// The erasure of a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasure(&self, site: &SiteId, id: &ResidentId) -> Result<Option<Erasure>, StoreError> {
        let found = erasure::Entity::find()
            .filter(erasure::Column::Site.eq(site.as_str()))
            .filter(erasure::Column::Resident.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_erasure).transpose()
    }

    /// Erasures that are not finished, of every site, up to `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unfinished_erasures(&self, limit: u64) -> Result<Vec<Erasure>, StoreError> {
        let query = erasure::Entity::find().filter(erasure::Column::FinishedAt.is_null());
        let query = query.order_by_asc(erasure::Column::Site).order_by_asc(erasure::Column::Resident);
        query.limit(limit).all(self.reader()).await?.into_iter().map(to_erasure).collect()
    }

    /// Up to `limit` pieces that remain of a person; none: nothing does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remains_of(
        &self,
        site: &SiteId,
        id: &ResidentId,
        limit: u64,
    ) -> Result<Vec<Remains>, StoreError> {
        let left = |found: &Vec<Remains>| limit.saturating_sub(found.len() as u64);
        let mut found = Vec::new();
        // Corrections first: by the words that are still there it is known of which records they are.
        for table in CORRECTIONS {
            found.extend(self.corrections(*table, site, id, left(&found)).await?);
        }
        for (table, column) in WORDS {
            let which = format!("resident = ? AND {column} IS NOT NULL");
            let limit = left(&found);
            found.extend(self.select(*table, site, &which, &[id.as_str()], Some(column), limit).await?);
        }
        for (table, of) in REMAINS {
            let (which, values) = match of {
                Of::Resident => ("resident = ?", vec![id.as_str()]),
                Of::Subject => ("subject_kind = ? AND subject = ?", vec!["resident", id.as_str()]),
            };
            if left(&found) > 0 {
                found.extend(self.rows_of(*table, site, which, &values, left(&found)).await?);
            }
        }
        Ok(found)
    }

    /// The reasons of corrections of the records that are about somebody.
    async fn corrections(
        &self,
        table: Table,
        site: &SiteId,
        id: &ResidentId,
        limit: u64,
    ) -> Result<Vec<Remains>, DbErr> {
        let which = "correction IS NOT NULL AND id IN (SELECT record FROM record_subject WHERE site = ? AND \
                     subject_kind = ? AND subject = ? UNION SELECT record FROM record_content WHERE site = ? AND \
                     subject_kind = ? AND subject = ?)";
        let about = [site.as_str(), "resident", id.as_str()];
        let found =
            self.select(table, site, which, &[about, about].concat(), Some("correction"), limit).await?;
        Ok(found)
    }

    async fn rows_of(
        &self,
        table: Table,
        site: &SiteId,
        which: &str,
        values: &[&str],
        limit: u64,
    ) -> Result<Vec<Remains>, DbErr> {
        self.select(table, site, which, values, None, limit).await
    }

    async fn select(
        &self,
        table: Table,
        site: &SiteId,
        which: &str,
        values: &[&str],
        cell: Option<&'static str>,
        limit: u64,
    ) -> Result<Vec<Remains>, DbErr> {
        let backend = self.reader().get_database_backend();
        let meta = table.meta();
        let mut columns: Vec<&str> = meta.columns.iter().take(meta.key).copied().collect();
        columns.extend(cell);
        let mut text = format!("SELECT {} FROM {} WHERE site = ", columns.join(", "), meta.name);
        let mut marks = (0..).map(|index| placeholder(backend, index));
        let mut mark = || marks.next().unwrap_or_default();
        text.push_str(&mark());
        text.push_str(" AND ");
        for (index, part) in which.split('?').enumerate() {
            if index > 0 {
                text.push_str(&mark());
            }
            text.push_str(part);
        }
        text.push_str(&format!(" LIMIT {limit}"));
        let values = std::iter::once(site.as_str()).chain(values.iter().copied()).map(Value::from);
        let statement = Statement::from_sql_and_values(backend, text, values);
        let rows = self.reader().query_all_raw(statement).await?;
        let like = crate::sealed_column::like(table);
        rows.iter()
            .map(|row| {
                let cell = cell.map(|column| Ok::<_, DbErr>((column, row.try_get_by_index(meta.key)?)));
                Ok(Remains { table, key: key_of_row(row, &like)?, cell: cell.transpose()? })
            })
            .collect()
    }

    /// Deletes the keys of residents. What they sealed is noise from then on, in every copy of the database.
    ///
    /// # Errors
    /// [`SealError::KeyStore`].
    pub async fn delete_keys(&self, site: &SiteId, ids: &[ResidentId]) -> Result<(), SealError> {
        self.keys().erase(site.as_str(), ids).await
    }
}

fn to_erasure(row: erasure::Model) -> Result<Erasure, StoreError> {
    let build = || {
        Some(Erasure {
            site: SiteId::new(&row.site).ok()?,
            resident: ResidentId::new(&row.resident).ok()?,
            by: StaffId::new(&row.staff).ok()?,
            cause: ErasureCause::from_code(&row.cause).ok()?,
            erased_at: instant(row.erased_at)?,
            key_deleted_at: instant_opt(row.key_deleted_at)?,
            finished_at: instant_opt(row.finished_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "erasure" })
}
