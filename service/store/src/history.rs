//! History: who changed which field of a care file and when, with the old and the new value sealed.

use std::marker::PhantomData;

use linli_core::id::{ResidentId, SiteId};
use linli_core::resident::FieldClass;
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::instant;
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::PAGE_MAX;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, history};

/// A change of one field, as it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryDraft {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// A fresh id that ascends with time (UUIDv7).
    pub id: String,
    /// The field, such as `contact.phone` or a fact's field.
    pub field: String,
    /// Its class.
    pub class: FieldClass,
    /// Who changed it.
    pub author: String,
    /// When (care clock).
    pub recorded_at: Instant,
    /// What it was, as people read it.
    pub old: Option<Paragraph>,
    /// What it became.
    pub new: Option<Paragraph>,
}

/// A change of one field, its values sealed.
#[derive(Debug, Clone)]
pub struct StoredHistory {
    /// The id.
    pub id: String,
    /// The resident.
    pub resident: ResidentId,
    /// The field.
    pub field: String,
    /// Its class.
    pub class: FieldClass,
    /// Who changed it.
    pub author: String,
    /// When (care clock).
    pub recorded_at: Instant,
    /// What it was.
    pub old: Option<Sealed<Paragraph>>,
    /// What it became.
    pub new: Option<Sealed<Paragraph>>,
}

impl ChangeSet {
    /// Notes a change of a field.
    pub fn add_history(&mut self, draft: HistoryDraft) -> &mut Self {
        self.push(Change::History(Box::new(draft)))
    }
}

pub(crate) fn rows(value: &HistoryDraft, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let resident = value.resident.as_str();
    let seal = |column: &'static str, text: Option<&Paragraph>| {
        text.map(|text| {
            let plain = zeroize::Zeroizing::new(Encode::encode(text));
            sealer.resident(resident, "history", &[resident, &value.id], column, 1, &plain)
        })
        .transpose()
    };
    let row = history::Model {
        site: value.site.as_str().to_owned(),
        resident: resident.to_owned(),
        id: value.id.clone(),
        field: value.field.clone(),
        class: value.class.code().to_owned(),
        author: value.author.clone(),
        recorded_at: value.recorded_at.micros(),
        old_cell: seal("old", value.old.as_ref())?,
        new_cell: seal("new", value.new.as_ref())?,
    };
    rows.append(Table::History, row);
    Ok(())
}

impl Store {
    /// A page of a resident's history, oldest first, after an id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(
        &self,
        site: &SiteId,
        resident: &ResidentId,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<StoredHistory>, StoreError> {
        let mut query = history::Entity::find()
            .filter(history::Column::Site.eq(site.as_str()))
            .filter(history::Column::Resident.eq(resident.as_str()));
        if let Some(after) = after {
            query = query.filter(history::Column::Id.gt(after));
        }
        let limit = limit.clamp(1, PAGE_MAX);
        let found = query.order_by_asc(history::Column::Id).limit(limit).all(self.reader()).await?;
        found.into_iter().map(to_history).collect()
    }
}

fn to_history(row: history::Model) -> Result<StoredHistory, StoreError> {
    let build = || {
        let class = FieldClass::from_code(&row.class).ok()?;
        let sealed = |column: &'static str, cell: &Option<Vec<u8>>| {
            cell.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "history",
                row: vec![row.resident.clone(), row.id.clone()],
                column,
                version: 1,
                class,
                holder: Holder::Resident(row.resident.clone()),
                cell: cell.clone(),
                value: PhantomData,
            })
        };
        Some(StoredHistory {
            id: row.id.clone(),
            resident: ResidentId::new(&row.resident).ok()?,
            field: row.field.clone(),
            class,
            author: row.author.clone(),
            recorded_at: instant(row.recorded_at)?,
            old: sealed("old", &row.old_cell),
            new: sealed("new", &row.new_cell),
        })
    };
    build().ok_or(StoreError::Row { table: "history" })
}
