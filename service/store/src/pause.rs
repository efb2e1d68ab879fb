//! Pauses: dates and reason clear, because duties are computed from them; the remark sealed.

use std::marker::PhantomData;

use linli_core::id::{PauseId, ResidentId, SiteId};
use linli_core::pause::{Pause, PauseEnd, PauseReason};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, date_opt, days, instant, instant_opt, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, pause};

/// A pause, its remark sealed.
#[derive(Debug, Clone)]
pub struct StoredPause {
    /// The pause; `remark` is absent.
    pub pause: Pause,
    /// The remark.
    pub remark: Option<Sealed<Line>>,
}

impl ChangeSet {
    /// Stores a pause: version 1 is new, a higher one follows the one before it. The remark is the new one: to keep it,
    /// open it and give it again.
    pub fn put_pause(&mut self, pause: Pause) -> &mut Self {
        self.push(Change::Pause(pause))
    }
}

pub(crate) fn rows(value: &Pause, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let version = version_column(value.version);
    let resident = value.resident.as_str();
    let remark = value.remark.as_ref().map(|remark| {
        let plain = zeroize::Zeroizing::new(Encode::encode(remark));
        sealer.resident(resident, "pause", &[resident, value.id.as_str()], "remark", version, &plain)
    });
    let row = pause::Model {
        site: value.site.as_str().to_owned(),
        resident: resident.to_owned(),
        id: value.id.as_str().to_owned(),
        version,
        reason: value.reason.code().to_owned(),
        left_on: days(value.left_on),
        expected_return: days(value.expected_return),
        recorded_at: value.recorded_at.micros(),
        returned_on: value.ended.map(|end| days(end.returned_on)),
        end_recorded_at: value.ended.map(|end| end.recorded_at.micros()),
        confirmed_at: value.confirmed_at.map(linli_core::time::Instant::micros),
        remark: remark.transpose()?,
    };
    rows.put_versioned(Table::Pause, row, "pause");
    Ok(())
}

impl Store {
    /// A pause.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause(
        &self,
        site: &SiteId,
        resident: &ResidentId,
        id: &PauseId,
    ) -> Result<Option<StoredPause>, StoreError> {
        let found = pause::Entity::find()
            .filter(pause::Column::Site.eq(site.as_str()))
            .filter(pause::Column::Resident.eq(resident.as_str()))
            .filter(pause::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_pause).transpose()
    }

    /// Every pause of these residents, by resident and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pauses(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredPause>, StoreError> {
        let found = pause::Entity::find()
            .filter(pause::Column::Site.eq(site.as_str()))
            .filter(pause::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(pause::Column::Resident)
            .order_by_asc(pause::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_pause).collect()
    }
}

fn to_pause(row: pause::Model) -> Result<StoredPause, StoreError> {
    let build = || {
        let ended = match (date_opt(row.returned_on)?, instant_opt(row.end_recorded_at)?) {
            (Some(returned_on), Some(recorded_at)) => Some(PauseEnd { returned_on, recorded_at }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(StoredPause {
            remark: row.remark.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "pause",
                row: vec![row.resident.clone(), row.id.clone()],
                column: "remark",
                version: row.version,
                class: FieldClass::Care,
                holder: Holder::Resident(row.resident.clone()),
                cell: cell.clone(),
                value: PhantomData,
            }),
            pause: Pause {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                id: PauseId::new(&row.id).ok()?,
                reason: PauseReason::from_code(&row.reason).ok()?,
                remark: None,
                left_on: date(row.left_on)?,
                expected_return: date(row.expected_return)?,
                recorded_at: instant(row.recorded_at)?,
                ended,
                confirmed_at: instant_opt(row.confirmed_at)?,
                version: version(row.version)?,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "pause" })
}
