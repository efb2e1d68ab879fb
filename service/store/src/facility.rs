//! Accessible facilities.

use linli_core::facility::{Facility, FacilityKind};
use linli_core::id::{FacilityId, SiteId};
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date_opt, days, instant, version, version_column};
use crate::error::StoreError;
use crate::page::{Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, facility};

impl ChangeSet {
    /// Stores a facility: version 1 is new, a higher one follows the one before it.
    pub fn put_facility(&mut self, facility: Facility) -> &mut Self {
        self.push(Change::Facility(facility))
    }

    /// Asks that the facility exist.
    pub fn require_facility(&mut self, site: &SiteId, id: &FacilityId) -> &mut Self {
        self.push(Change::RequireFacility(site.clone(), id.clone()))
    }
}

pub(crate) fn rows(value: &Facility, rows: &mut Rows) {
    let row = facility::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        title: value.title.as_str().to_owned(),
        building: value.building.as_ref().map(|building| building.as_str().to_owned()),
        retired_on: value.retired_on.map(days),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Facility, row, "facility");
}

pub(crate) fn require(site: &SiteId, id: &FacilityId, rows: &mut Rows) {
    rows.guard(Table::Facility, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "facility");
}

impl Store {
    /// A facility.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facility(&self, site: &SiteId, id: &FacilityId) -> Result<Option<Facility>, StoreError> {
        Ok(self.facilities_by_id(site, std::slice::from_ref(id)).await?.pop())
    }

    /// The facilities among `ids` that exist, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facilities_by_id(
        &self,
        site: &SiteId,
        ids: &[FacilityId],
    ) -> Result<Vec<Facility>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = facility::Entity::find()
            .filter(facility::Column::Site.eq(site.as_str()))
            .filter(facility::Column::Id.is_in(padded(ids.iter().map(FacilityId::as_str))))
            .order_by_asc(facility::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_facility).collect()
    }

    /// A page of facilities, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facilities(&self, sites: &Sites, page: &Page) -> Result<Vec<Facility>, StoreError> {
        let query =
            keyset(facility::Entity::find(), sites, page, facility::Column::Site, facility::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_facility).collect()
    }
}

fn to_facility(row: facility::Model) -> Result<Facility, StoreError> {
    let build = || {
        Some(Facility {
            site: SiteId::new(&row.site).ok()?,
            id: FacilityId::new(&row.id).ok()?,
            kind: FacilityKind::from_code(&row.kind).ok()?,
            title: Line::new(&row.title).ok()?,
            building: row.building.as_deref().map(Line::new).transpose().ok()?,
            retired_on: date_opt(row.retired_on)?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "facility" })
}
