//! Overrides of standards: nothing in them is anybody's, so nothing is sealed.

use linli_core::id::{OverrideId, SiteId, StandardCode};
use linli_core::standard_override::StandardOverride;
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, date_opt, days, signed, signed_columns, signed_opt, version, version_column};
use crate::error::StoreError;
use crate::form::{decode_numbers, encode_numbers};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, standard_override};

impl ChangeSet {
    /// Stores an override: version 1 is new, a higher one follows the one before it.
    pub fn put_override(&mut self, value: StandardOverride) -> &mut Self {
        self.push(Change::StandardOverride(Box::new(value)))
    }
}

pub(crate) fn rows(value: &StandardOverride, rows: &mut Rows) {
    let (approved_by, approved_at) = signed_columns(value.approved.as_ref());
    let (retired_by, retired_at) = signed_columns(value.retired.as_ref());
    let row = standard_override::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        standard: value.standard.as_str().to_owned(),
        numbers: encode_numbers(&value.numbers),
        looser: i64::from(value.looser),
        reason: value.reason.as_str().to_owned(),
        from_day: days(value.from),
        until_day: value.until.map(days),
        proposed_by: value.proposed.by.as_str().to_owned(),
        proposed_at: value.proposed.at.micros(),
        approved_by,
        approved_at,
        retired_by,
        retired_at,
    };
    rows.put_versioned(Table::StandardOverride, row, "override");
}

impl Store {
    /// The overrides of a site, in order of their ids; there are at most
    /// [`linli_core::standard_override::OVERRIDES_MAX`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn overrides(&self, site: &SiteId) -> Result<Vec<StandardOverride>, StoreError> {
        let found = standard_override::Entity::find()
            .filter(standard_override::Column::Site.eq(site.as_str()))
            .order_by_asc(standard_override::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_override).collect()
    }
}

fn to_override(row: standard_override::Model) -> Result<StandardOverride, StoreError> {
    let build = || {
        Some(StandardOverride {
            site: SiteId::new(&row.site).ok()?,
            id: OverrideId::new(&row.id).ok()?,
            standard: StandardCode::new(&row.standard).ok()?,
            numbers: decode_numbers(&row.numbers)?,
            looser: row.looser != 0,
            reason: Line::new(&row.reason).ok()?,
            from: date(row.from_day)?,
            until: date_opt(row.until_day)?,
            proposed: signed(&row.proposed_by, row.proposed_at)?,
            approved: signed_opt(row.approved_by.as_deref(), row.approved_at)?,
            retired: signed_opt(row.retired_by.as_deref(), row.retired_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "standard_override" })
}
