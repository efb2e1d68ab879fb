//! Sites, dwellings, areas, posts, and a site's parameters for plugins.

use std::collections::BTreeMap;

use linli_core::calendar::DayKind;
use linli_core::id::{AreaId, DwellingId, FieldCode, PluginId, PostId, SiteId};
use linli_core::kind::Department;
use linli_core::resident::FactValue;
use linli_core::site::{Area, AreaKind, Dwelling, Post, Site};
use linli_core::text::Line;
use linli_core::time::{CivilDate, Instant, SiteZone};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date, days, instant, version, version_column};
use crate::error::StoreError;
use crate::form;
use crate::page::{Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, area, calendar_override, dwelling, plugin_parameter, post, site};
use crate::writer::plan::{Head, head_row};

/// A site's parameters for one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginParameters {
    /// The site.
    pub site: SiteId,
    /// The plugin.
    pub plugin: PluginId,
    /// The values that differ from the plugin's defaults.
    pub values: BTreeMap<FieldCode, FactValue>,
    /// When they were set (care clock).
    pub updated_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

impl ChangeSet {
    /// Stores a site: version 1 is new, a higher one follows the one before it. A new site belongs into the scope
    /// [`crate::Scope::System`], so that a repeated request finds its answer.
    pub fn put_site(&mut self, site: Site) -> &mut Self {
        self.push(Change::Site(site))
    }

    /// Asks that the site exist.
    pub fn require_site(&mut self, site: &SiteId) -> &mut Self {
        self.push(Change::RequireSite(site.clone()))
    }

    /// Stores a dwelling: version 1 is new.
    pub fn put_dwelling(&mut self, dwelling: Dwelling) -> &mut Self {
        self.push(Change::Dwelling(dwelling))
    }

    /// Asks that the dwelling exist.
    pub fn require_dwelling(&mut self, site: &SiteId, id: &DwellingId) -> &mut Self {
        self.push(Change::RequireDwelling(site.clone(), id.clone()))
    }

    /// Stores an area: version 1 is new.
    pub fn put_area(&mut self, area: Area) -> &mut Self {
        self.push(Change::Area(area))
    }

    /// Asks that the area exist.
    pub fn require_area(&mut self, site: &SiteId, id: &AreaId) -> &mut Self {
        self.push(Change::RequireArea(site.clone(), id.clone()))
    }

    /// Stores a post with its buildings and holders: version 1 is new.
    pub fn put_post(&mut self, post: Post) -> &mut Self {
        self.push(Change::Post(post))
    }

    /// Asks that the post exist.
    pub fn require_post(&mut self, site: &SiteId, id: &PostId) -> &mut Self {
        self.push(Change::RequirePost(site.clone(), id.clone()))
    }

    /// Stores a site's parameters for a plugin: version 1 is new.
    pub fn put_plugin_parameters(&mut self, parameters: PluginParameters) -> &mut Self {
        self.push(Change::PluginParameters(parameters))
    }

    /// Declares that people work or rest on a day, whatever was announced; `None` takes the declaration back.
    pub fn put_calendar_day(&mut self, site: &SiteId, day: CivilDate, kind: Option<DayKind>) -> &mut Self {
        self.push(Change::CalendarDay(site.clone(), day, kind))
    }

    pub(crate) fn push(&mut self, change: Change) -> &mut Self {
        self.changes.push(change);
        self
    }
}

pub(crate) fn site_rows(value: &Site, rows: &mut Rows) {
    let row = site::Model {
        site: value.id.as_str().to_owned(),
        version: version_column(value.version),
        title: value.title.as_str().to_owned(),
        zone: value.zone.name().to_owned(),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Site, row, "site");
    if value.version == 1 {
        // The spine begins with the site: where it is missing, there is no site.
        rows.append(Table::SiteHead, head_row(value.id.as_str(), &Head::default()));
    }
}

pub(crate) fn require_site(id: &SiteId, rows: &mut Rows) {
    rows.guard(Table::Site, vec![id.as_str().into()], Expect::Present, "site");
}

pub(crate) fn dwelling_rows(value: &Dwelling, rows: &mut Rows) {
    let row = dwelling::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        building: value.building.as_str().to_owned(),
        unit: value.unit.as_ref().map(|unit| unit.as_str().to_owned()),
        room: value.room.as_str().to_owned(),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Dwelling, row, "dwelling");
}

pub(crate) fn require_dwelling(site: &SiteId, id: &DwellingId, rows: &mut Rows) {
    rows.guard(Table::Dwelling, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "dwelling");
}

pub(crate) fn area_rows(value: &Area, rows: &mut Rows) {
    let row = area::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        title: value.title.as_str().to_owned(),
        building: value.building.as_ref().map(|building| building.as_str().to_owned()),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Area, row, "area");
}

pub(crate) fn require_area(site: &SiteId, id: &AreaId, rows: &mut Rows) {
    rows.guard(Table::Area, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "area");
}

pub(crate) fn post_rows(value: &Post, rows: &mut Rows) {
    let row = post::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        title: value.title.as_str().to_owned(),
        department: value.department.code().to_owned(),
        detail: form::encode_post(&value.buildings, &value.holders),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Post, row, "post");
}

pub(crate) fn require_post(site: &SiteId, id: &PostId, rows: &mut Rows) {
    rows.guard(Table::Post, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "post");
}

pub(crate) fn parameter_rows(value: &PluginParameters, rows: &mut Rows) {
    let row = plugin_parameter::Model {
        site: value.site.as_str().to_owned(),
        plugin: value.plugin.as_str().to_owned(),
        version: version_column(value.version),
        detail: form::encode_parameters(&value.values),
        updated_at: value.updated_at.micros(),
    };
    rows.put_versioned(Table::PluginParameter, row, "plugin parameters");
}

pub(crate) fn calendar_rows(site: &SiteId, day: CivilDate, kind: Option<DayKind>, rows: &mut Rows) {
    match kind {
        Some(kind) => {
            let (site, kind) = (site.as_str().to_owned(), kind.code().to_owned());
            rows.put(Table::CalendarOverride, calendar_override::Model { site, day: days(day), kind });
        }
        None => rows.delete(Table::CalendarOverride, vec![site.as_str().into(), days(day).into()]),
    }
}

impl Store {
    /// The days on which a site departs from the calendar, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn calendar_days(&self, site: &SiteId) -> Result<Vec<(CivilDate, DayKind)>, StoreError> {
        let found = calendar_override::Entity::find()
            .filter(calendar_override::Column::Site.eq(site.as_str()))
            .order_by_asc(calendar_override::Column::Day)
            .all(self.reader())
            .await?;
        let days = found.into_iter().map(|row| date(row.day).zip(DayKind::from_code(&row.kind).ok()));
        days.collect::<Option<_>>().ok_or(StoreError::Row { table: "calendar_override" })
    }

    /// A site.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn site(&self, id: &SiteId) -> Result<Option<Site>, StoreError> {
        let generation = match self.known_sites().get(id.as_str()) {
            Ok(site) => return Ok(Some(site)),
            Err(generation) => generation,
        };
        let found =
            site::Entity::find().filter(site::Column::Site.eq(id.as_str())).all(self.reader()).await?;
        let site = found.into_iter().next().map(to_site).transpose()?;
        if let Some(site) = &site {
            self.known_sites().remember(id.as_str(), site, generation);
        }
        Ok(site)
    }

    /// A page of sites, by id; `after` is the last id seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sites(&self, after: Option<&str>, limit: u64) -> Result<Vec<Site>, StoreError> {
        let mut query = site::Entity::find();
        if let Some(after) = after {
            query = query.filter(site::Column::Site.gt(after));
        }
        let limit = limit.clamp(1, crate::page::PAGE_MAX);
        let found = query.order_by_asc(site::Column::Site).limit(limit).all(self.reader()).await?;
        found.into_iter().map(to_site).collect()
    }

    /// A dwelling.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dwelling(&self, site: &SiteId, id: &DwellingId) -> Result<Option<Dwelling>, StoreError> {
        Ok(self.dwellings_by_id(site, std::slice::from_ref(id)).await?.pop())
    }

    /// The dwellings among `ids` that exist, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dwellings_by_id(
        &self,
        site: &SiteId,
        ids: &[DwellingId],
    ) -> Result<Vec<Dwelling>, StoreError> {
        let found = dwelling::Entity::find()
            .filter(dwelling::Column::Site.eq(site.as_str()))
            .filter(dwelling::Column::Id.is_in(padded(ids.iter().map(DwellingId::as_str))))
            .order_by_asc(dwelling::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_dwelling).collect()
    }

    /// The dwelling behind a door: building, unit and room spelled as stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dwelling_at(
        &self,
        site: &SiteId,
        building: &Line,
        unit: Option<&Line>,
        room: &Line,
    ) -> Result<Option<Dwelling>, StoreError> {
        let query = dwelling::Entity::find()
            .filter(dwelling::Column::Site.eq(site.as_str()))
            .filter(dwelling::Column::Building.eq(building.as_str()))
            .filter(dwelling::Column::Room.eq(room.as_str()));
        let query = match unit {
            Some(unit) => query.filter(dwelling::Column::Unit.eq(unit.as_str())),
            None => query.filter(dwelling::Column::Unit.is_null()),
        };
        let found = query.order_by_asc(dwelling::Column::Id).all(self.reader()).await?;
        found.into_iter().next().map(to_dwelling).transpose()
    }

    /// A page of dwellings, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dwellings(&self, sites: &Sites, page: &Page) -> Result<Vec<Dwelling>, StoreError> {
        let query =
            keyset(dwelling::Entity::find(), sites, page, dwelling::Column::Site, dwelling::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_dwelling).collect()
    }

    /// An area.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn area(&self, site: &SiteId, id: &AreaId) -> Result<Option<Area>, StoreError> {
        let found = area::Entity::find()
            .filter(area::Column::Site.eq(site.as_str()))
            .filter(area::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_area).transpose()
    }

    /// A page of areas, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn areas(&self, sites: &Sites, page: &Page) -> Result<Vec<Area>, StoreError> {
        let query = keyset(area::Entity::find(), sites, page, area::Column::Site, area::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_area).collect()
    }

    /// A post.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn post(&self, site: &SiteId, id: &PostId) -> Result<Option<Post>, StoreError> {
        let found = post::Entity::find()
            .filter(post::Column::Site.eq(site.as_str()))
            .filter(post::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_post).transpose()
    }

    /// A page of posts, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn posts(&self, sites: &Sites, page: &Page) -> Result<Vec<Post>, StoreError> {
        let query = keyset(post::Entity::find(), sites, page, post::Column::Site, post::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_post).collect()
    }

    /// A site's parameters for its plugins, by plugin; there are as many as plugins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plugin_parameters(&self, site: &SiteId) -> Result<Vec<PluginParameters>, StoreError> {
        let found = plugin_parameter::Entity::find()
            .filter(plugin_parameter::Column::Site.eq(site.as_str()))
            .order_by_asc(plugin_parameter::Column::Plugin)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_parameters).collect()
    }
}

fn to_site(row: site::Model) -> Result<Site, StoreError> {
    let build = || {
        Some(Site {
            id: SiteId::new(&row.site).ok()?,
            title: Line::new(&row.title).ok()?,
            zone: SiteZone::parse(&row.zone).ok()?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "site" })
}

pub(crate) fn to_dwelling(row: dwelling::Model) -> Result<Dwelling, StoreError> {
    let build = || {
        Some(Dwelling {
            site: SiteId::new(&row.site).ok()?,
            id: DwellingId::new(&row.id).ok()?,
            building: Line::new(&row.building).ok()?,
            unit: row.unit.as_deref().map(Line::new).transpose().ok()?,
            room: Line::new(&row.room).ok()?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "dwelling" })
}

fn to_area(row: area::Model) -> Result<Area, StoreError> {
    let build = || {
        Some(Area {
            site: SiteId::new(&row.site).ok()?,
            id: AreaId::new(&row.id).ok()?,
            kind: AreaKind::from_code(&row.kind).ok()?,
            title: Line::new(&row.title).ok()?,
            building: row.building.as_deref().map(Line::new).transpose().ok()?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "area" })
}

fn to_post(row: post::Model) -> Result<Post, StoreError> {
    let build = || {
        let (buildings, holders) = form::decode_post(&row.detail)?;
        Some(Post {
            site: SiteId::new(&row.site).ok()?,
            id: PostId::new(&row.id).ok()?,
            title: Line::new(&row.title).ok()?,
            department: Department::from_code(&row.department).ok()?,
            buildings,
            holders,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "post" })
}

fn to_parameters(row: plugin_parameter::Model) -> Result<PluginParameters, StoreError> {
    let build = || {
        Some(PluginParameters {
            site: SiteId::new(&row.site).ok()?,
            plugin: PluginId::new(&row.plugin).ok()?,
            values: form::decode_parameters(&row.detail)?,
            updated_at: instant(row.updated_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "plugin_parameter" })
}
