//! Facts: attributes that rules read, each value sealed; a newer fact about a field is a further row.

use std::marker::PhantomData;

use linli_core::id::{FieldCode, ResidentId, SiteId};
use linli_core::resident::{Fact, FactValue, FieldClass};
use linli_core::time::{CivilDate, Instant};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, days, instant};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, fact};

/// A fact as it lies in the database.
#[derive(Debug, Clone)]
pub struct SealedFact {
    /// The resident.
    pub resident: ResidentId,
    /// The field of a plugin's schema.
    pub field: FieldCode,
    /// Its class.
    pub class: FieldClass,
    /// The day from which it is true.
    pub true_from: CivilDate,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
    value: Sealed<Option<FactValue>>,
}

impl SealedFact {
    /// The fact.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&self, opener: &Opener<'_>) -> Result<Fact, SealError> {
        Ok(Fact {
            field: self.field.clone(),
            value: opener.open(&self.value)?,
            true_from: self.true_from,
            recorded_at: self.recorded_at,
        })
    }
}

impl ChangeSet {
    /// Adds a fact. Facts are never overwritten; one of the same field, instant and day replaces itself.
    pub fn add_fact(
        &mut self,
        site: &SiteId,
        resident: &ResidentId,
        class: FieldClass,
        fact: Fact,
    ) -> &mut Self {
        self.push(Change::Fact(site.clone(), resident.clone(), class, fact))
    }
}

pub(crate) fn rows(
    site: &SiteId,
    resident: &ResidentId,
    class: FieldClass,
    value: &Fact,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let (recorded_at, id) = (value.recorded_at.micros(), resident.as_str());
    let plain = zeroize::Zeroizing::new(Encode::encode(&value.value));
    let cell = sealer.resident(id, "fact", &[id, value.field.as_str()], class.code(), recorded_at, &plain)?;
    let row = fact::Model {
        site: site.as_str().to_owned(),
        resident: id.to_owned(),
        field: value.field.as_str().to_owned(),
        recorded_at,
        true_from: days(value.true_from),
        class: class.code().to_owned(),
        cell,
    };
    rows.put(Table::Fact, row);
    Ok(())
}

impl Store {
    /// Every fact of these residents, by resident, field and time of recording.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<SealedFact>, StoreError> {
        let found = fact::Entity::find()
            .filter(fact::Column::Site.eq(site.as_str()))
            .filter(fact::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(fact::Column::Resident)
            .order_by_asc(fact::Column::Field)
            .order_by_asc(fact::Column::RecordedAt)
            .order_by_asc(fact::Column::TrueFrom)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_fact).collect()
    }
}

pub(crate) fn to_fact(row: fact::Model) -> Result<SealedFact, StoreError> {
    let build = || {
        let class = FieldClass::from_code(&row.class).ok()?;
        Some(SealedFact {
            resident: ResidentId::new(&row.resident).ok()?,
            field: FieldCode::new(&row.field).ok()?,
            class,
            true_from: date(row.true_from)?,
            recorded_at: instant(row.recorded_at)?,
            value: Sealed {
                site: row.site.clone(),
                table: "fact",
                row: vec![row.resident.clone(), row.field.clone()],
                column: class.code(),
                version: row.recorded_at,
                class,
                holder: Holder::Resident(row.resident.clone()),
                cell: row.cell.clone(),
                value: PhantomData,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "fact" })
}
