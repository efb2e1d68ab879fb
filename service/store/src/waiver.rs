//! Waivers: standard and days clear, because duties are computed from them; the reason in words sealed.

use std::marker::PhantomData;

use linli_core::applied::WaiverCause;
use linli_core::id::{ResidentId, SiteId, StandardCode, WaiverId};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::waiver::StandardWaiver;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, days, signed, signed_columns, signed_opt, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, waiver};

/// A waiver, its reason sealed.
#[derive(Debug, Clone)]
pub struct StoredWaiver {
    /// The waiver; `reason` is absent.
    pub waiver: StandardWaiver,
    /// The reason.
    pub reason: Option<Sealed<Line>>,
}

impl ChangeSet {
    /// Stores a waiver: version 1 is new, a higher one follows the one before it. The reason is the new one: to keep it,
    /// open it and give it again.
    pub fn put_waiver(&mut self, waiver: StandardWaiver) -> &mut Self {
        self.push(Change::Waiver(Box::new(waiver)))
    }
}

pub(crate) fn rows(value: &StandardWaiver, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let version = version_column(value.version);
    let resident = value.resident.as_str();
    let reason = value.reason.as_ref().map(|reason| {
        let plain = zeroize::Zeroizing::new(Encode::encode(reason));
        sealer.resident(resident, "waiver", &[resident, value.id.as_str()], "reason", version, &plain)
    });
    let (approved_by, approved_at) = signed_columns(value.approved.as_ref());
    let (ended_by, ended_at) = signed_columns(value.ended.as_ref());
    let row = waiver::Model {
        site: value.site.as_str().to_owned(),
        resident: resident.to_owned(),
        id: value.id.as_str().to_owned(),
        version,
        standard: value.standard.as_str().to_owned(),
        cause: value.cause.code().to_owned(),
        from_day: days(value.from),
        until_day: days(value.until),
        requested_by: value.requested.by.as_str().to_owned(),
        requested_at: value.requested.at.micros(),
        approved_by,
        approved_at,
        ended_by,
        ended_at,
        reason: reason.transpose()?,
    };
    rows.put_versioned(Table::Waiver, row, "waiver");
    Ok(())
}

impl Store {
    /// A waiver.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiver(
        &self,
        site: &SiteId,
        resident: &ResidentId,
        id: &WaiverId,
    ) -> Result<Option<StoredWaiver>, StoreError> {
        let found = waiver::Entity::find()
            .filter(waiver::Column::Site.eq(site.as_str()))
            .filter(waiver::Column::Resident.eq(resident.as_str()))
            .filter(waiver::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_waiver).transpose()
    }

    /// Every waiver of these residents, by resident and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waivers(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredWaiver>, StoreError> {
        let found = waiver::Entity::find()
            .filter(waiver::Column::Site.eq(site.as_str()))
            .filter(waiver::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(waiver::Column::Resident)
            .order_by_asc(waiver::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_waiver).collect()
    }
}

fn to_waiver(row: waiver::Model) -> Result<StoredWaiver, StoreError> {
    let build = || {
        Some(StoredWaiver {
            reason: row.reason.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "waiver",
                row: vec![row.resident.clone(), row.id.clone()],
                column: "reason",
                version: row.version,
                class: FieldClass::Care,
                holder: Holder::Resident(row.resident.clone()),
                cell: cell.clone(),
                value: PhantomData,
            }),
            waiver: StandardWaiver {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                id: WaiverId::new(&row.id).ok()?,
                standard: StandardCode::new(&row.standard).ok()?,
                cause: WaiverCause::from_code(&row.cause).ok()?,
                reason: None,
                from: date(row.from_day)?,
                until: date(row.until_day)?,
                requested: signed(&row.requested_by, row.requested_at)?,
                approved: signed_opt(row.approved_by.as_deref(), row.approved_at)?,
                ended: signed_opt(row.ended_by.as_deref(), row.ended_at)?,
                version: version(row.version)?,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "waiver" })
}
