//! Sites, dwellings, areas and plugin parameters.
//!
//! Nothing here is personal: reads need a permit but leave no audit entry of their own.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use linli_core::id::{AreaId, DwellingId, FieldCode, PluginId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::resident::FactValue;
use linli_core::site::{Area, AreaKind, Dwelling, Site};
use linli_core::staff::Reach;
use linli_core::text::Line;
use linli_core::time::SiteZone;
use linli_plugin_host::manifest::Parameter;
use linli_store::{PluginParameters as StoredParameters, Sites};

use super::work::Touches;
use super::{Answer, App, BATCHES_MAX, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Thing, Violation};
use crate::name;

/// A site to be registered.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// The id, where the caller chooses it.
    pub id: Option<SiteId>,
    /// Its name.
    pub title: Line,
    /// Its time zone.
    pub zone: SiteZone,
}

/// What may change about a site; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct SiteUpdate {
    /// Its name.
    pub title: Option<Line>,
    /// Its time zone.
    pub zone: Option<SiteZone>,
}

/// A dwelling to be registered.
#[derive(Debug, Clone)]
pub struct NewDwelling {
    /// The id, where the caller chooses it.
    pub id: Option<DwellingId>,
    /// The building.
    pub building: Line,
    /// The unit, where there is one.
    pub unit: Option<Line>,
    /// The room.
    pub room: Line,
}

/// What may change about a dwelling; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct DwellingUpdate {
    /// The building.
    pub building: Option<Line>,
    /// The unit; `Some(None)` removes it.
    pub unit: Option<Option<Line>>,
    /// The room.
    pub room: Option<Line>,
}

/// An area to be registered.
#[derive(Debug, Clone)]
pub struct NewArea {
    /// The id, where the caller chooses it.
    pub id: Option<AreaId>,
    /// What it is.
    pub kind: AreaKind,
    /// Its name.
    pub title: Line,
    /// Its building.
    pub building: Option<Line>,
}

/// What may change about an area; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct AreaUpdate {
    /// What it is.
    pub kind: Option<AreaKind>,
    /// Its name.
    pub title: Option<Line>,
    /// Its building; `Some(None)` removes it.
    pub building: Option<Option<Line>>,
}

/// A change of a resource that was read before.
#[derive(Debug, Clone)]
pub struct Update<I, U> {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: I,
    /// The version that the caller read; `None`: whatever it is now.
    pub version: Option<u64>,
    /// The change.
    pub change: U,
}

/// A site's parameters for one plugin, defaults included.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// The site.
    pub site: SiteId,
    /// The plugin.
    pub plugin: PluginId,
    /// Every parameter of the plugin's manifest, in its order.
    pub values: Vec<ParameterValue>,
    /// Counts changes; 0: nothing was ever set.
    pub version: u64,
    /// When they last changed.
    pub updated_at: Option<linli_core::time::Instant>,
}

/// One parameter in force.
#[derive(Debug, Clone)]
pub struct ParameterValue {
    /// The parameter.
    pub code: FieldCode,
    /// Its value.
    pub value: FactValue,
    /// Whether the site left it at the plugin's default.
    pub is_default: bool,
}

/// Parameters to be set; `None` goes back to the default.
pub type ParameterChanges = BTreeMap<FieldCode, Option<FactValue>>;

impl App {
    /// One site.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn site(&self, call: &Call, id: &SiteId) -> Result<Site> {
        self.begin(call, Some(id)).await?;
        self.load_site(id).await
    }

    /// The sites in the caller's scope, by id.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn sites(&self, call: &Call, page: PageRequest) -> Result<Page<Site>> {
        let work = self.begin(call, None).await?;
        let after = page.after.as_deref();
        let sites = match work.permit().reach() {
            Reach::Everywhere => self.store.sites(after, u64::from(page.size) + 1).await?,
            Reach::Sites(ids) => {
                let mut ids: Vec<&SiteId> =
                    ids.iter().filter(|id| after.is_none_or(|after| id.as_str() > after)).collect();
                ids.sort();
                let mut sites = Vec::new();
                for id in
                    ids.into_iter().take(usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1))
                {
                    sites.extend(self.store.site(id).await?);
                }
                sites
            }
        };
        Ok(Page::cut(sites, page.size, |site| site.id.as_str().to_owned()))
    }

    /// Registers a site.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`].
    pub async fn create_site(&self, call: &Call, repeat: Repeat<Site>, new: NewSite) -> Result<Answer<Site>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(SiteId::new(&work.new_id()))?,
        };
        let site = Site { id, title: new.title, zone: new.zone, created_at: work.now, version: 1 };
        let mut changes = work.changes(&Touches::resource(name::site(&site.id)));
        changes.put_site(site.clone()).event("site.created", name::site(&site.id));
        work.commit("site.create", changes, &repeat, site).await
    }

    /// Changes a site.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn update_site(
        &self,
        call: &Call,
        repeat: Repeat<Site>,
        update: Update<(), SiteUpdate>,
    ) -> Result<Answer<Site>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut site = self.load_site(&update.site).await?;
        site.version = next_version(site.version, update.version)?;
        site.title = update.change.title.unwrap_or(site.title);
        site.zone = update.change.zone.unwrap_or(site.zone);
        let mut changes = work.changes(&Touches::resource(name::site(&site.id)));
        changes.put_site(site.clone()).event("site.updated", name::site(&site.id));
        work.commit("site.update", changes, &repeat, site).await
    }

    /// One dwelling.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn dwelling(&self, call: &Call, site: &SiteId, id: &DwellingId) -> Result<Dwelling> {
        self.begin(call, Some(site)).await?;
        self.store.dwelling(site, id).await?.ok_or(Error::NotFound(Thing::Dwelling))
    }

    /// The dwellings of a site, by id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn dwellings(
        &self,
        call: &Call,
        sites: &name::Sites,
        building: Option<&Line>,
        page: PageRequest,
    ) -> Result<Page<Dwelling>> {
        let (sites, _) = self.listed(call, sites).await?;
        let fits = |dwelling: &Dwelling| building.is_none_or(|building| dwelling.building == *building);
        let id = |dwelling: &Dwelling| (dwelling.site.clone(), dwelling.id.as_str().to_owned());
        filtered(sites, &page, fits, id, |sites, next| {
            async move { Ok(self.store.dwellings(&sites, &next).await?) }.boxed()
        })
        .await
    }

    /// Registers a dwelling.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`].
    pub async fn create_dwelling(
        &self,
        call: &Call,
        repeat: Repeat<Dwelling>,
        site: SiteId,
        new: NewDwelling,
    ) -> Result<Answer<Dwelling>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(DwellingId::new(&work.new_id()))?,
        };
        let NewDwelling { building, unit, room, .. } = new;
        let dwelling = Dwelling { site, id, building, unit, room, created_at: work.now, version: 1 };
        let resource = name::dwelling(&dwelling.site, &dwelling.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_dwelling(dwelling.clone()).event("dwelling.created", resource);
        work.commit("dwelling.create", changes, &repeat, dwelling).await
    }

    /// Changes a dwelling.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn update_dwelling(
        &self,
        call: &Call,
        repeat: Repeat<Dwelling>,
        update: Update<DwellingId, DwellingUpdate>,
    ) -> Result<Answer<Dwelling>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let found = self.store.dwelling(&update.site, &update.id).await?;
        let mut dwelling = found.ok_or(Error::NotFound(Thing::Dwelling))?;
        dwelling.version = next_version(dwelling.version, update.version)?;
        dwelling.building = update.change.building.unwrap_or(dwelling.building);
        dwelling.unit = update.change.unit.unwrap_or(dwelling.unit);
        dwelling.room = update.change.room.unwrap_or(dwelling.room);
        let resource = name::dwelling(&dwelling.site, &dwelling.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_dwelling(dwelling.clone()).event("dwelling.updated", resource);
        work.commit("dwelling.update", changes, &repeat, dwelling).await
    }

    /// One area.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn area(&self, call: &Call, site: &SiteId, id: &AreaId) -> Result<Area> {
        self.begin(call, Some(site)).await?;
        self.store.area(site, id).await?.ok_or(Error::NotFound(Thing::Area))
    }

    /// The areas of a site, by id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn areas(
        &self,
        call: &Call,
        sites: &name::Sites,
        kind: Option<AreaKind>,
        page: PageRequest,
    ) -> Result<Page<Area>> {
        let (sites, _) = self.listed(call, sites).await?;
        let fits = |area: &Area| kind.is_none_or(|kind| area.kind == kind);
        let id = |area: &Area| (area.site.clone(), area.id.as_str().to_owned());
        filtered(sites, &page, fits, id, |sites, next| {
            async move { Ok(self.store.areas(&sites, &next).await?) }.boxed()
        })
        .await
    }

    /// Registers an area.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`].
    pub async fn create_area(
        &self,
        call: &Call,
        repeat: Repeat<Area>,
        site: SiteId,
        new: NewArea,
    ) -> Result<Answer<Area>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(AreaId::new(&work.new_id()))?,
        };
        let NewArea { kind, title, building, .. } = new;
        let area = Area { site, id, kind, title, building, created_at: work.now, version: 1 };
        let resource = name::area(&area.site, &area.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_area(area.clone()).event("area.created", resource);
        work.commit("area.create", changes, &repeat, area).await
    }

    /// Changes an area.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn update_area(
        &self,
        call: &Call,
        repeat: Repeat<Area>,
        update: Update<AreaId, AreaUpdate>,
    ) -> Result<Answer<Area>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let found = self.store.area(&update.site, &update.id).await?;
        let mut area = found.ok_or(Error::NotFound(Thing::Area))?;
        area.version = next_version(area.version, update.version)?;
        area.kind = update.change.kind.unwrap_or(area.kind);
        area.title = update.change.title.unwrap_or(area.title);
        area.building = update.change.building.unwrap_or(area.building);
        let resource = name::area(&area.site, &area.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_area(area.clone()).event("area.updated", resource);
        work.commit("area.update", changes, &repeat, area).await
    }

    /// A site's parameters for a plugin, defaults included.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn plugin_parameters(
        &self,
        call: &Call,
        site: &SiteId,
        plugin: &PluginId,
    ) -> Result<Parameters> {
        self.begin(call, Some(site)).await?;
        let stored = self.stored_parameters(site, plugin).await?;
        self.parameters_in_force(site, plugin, stored)
    }

    /// Sets a site's parameters for a plugin; those that are not named stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`], [`Error::Invalid`] with every value that the
    /// plugin's manifest does not accept.
    pub async fn set_plugin_parameters(
        &self,
        call: &Call,
        repeat: Repeat<Parameters>,
        update: Update<PluginId, ParameterChanges>,
    ) -> Result<Answer<Parameters>> {
        let work = self.begin(call, Some(&update.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let deployed = self.deployed();
        let plugin =
            deployed.registry.plugin(update.id.as_str()).ok_or_else(|| self.no_plugin(&update.id))?;
        let mut violations = Vec::new();
        for (at, (code, value)) in update.change.iter().enumerate() {
            let problem = match (plugin.manifest().parameter(code.as_str()), value) {
                (None, _) => Some(("field", Invalid::Unknown)),
                (Some(parameter), Some(value)) => parameter.check(value).err().map(|why| ("value", why)),
                (Some(_), None) => None,
            };
            violations.extend(
                problem.map(|(part, why)| Violation { field: format!("parameters[{at}].{part}"), why }),
            );
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let stored = self.stored_parameters(&update.site, &update.id).await?;
        let mut stored = stored.unwrap_or_else(|| StoredParameters {
            site: update.site.clone(),
            plugin: update.id.clone(),
            values: BTreeMap::new(),
            updated_at: work.now,
            version: 0,
        });
        stored.version = next_version(stored.version, update.version)?;
        stored.updated_at = work.now;
        for (code, value) in update.change {
            match value {
                Some(value) => stored.values.insert(code, value),
                None => stored.values.remove(&code),
            };
        }
        let resource = name::plugin_parameters(&stored.site, &stored.plugin);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_plugin_parameters(stored.clone()).event("site.parameters_set", resource);
        let parameters = self.parameters_in_force(&update.site, &update.id, Some(stored))?;
        let answer = work.commit("site.set_parameters", changes, &repeat, parameters).await?;
        self.upkeep.mark(&update.site);
        Ok(answer)
    }

    /// The sites that a list of places covers, and the zone in which its days are: across sites, the product's own.
    pub(super) async fn listed(&self, call: &Call, sites: &name::Sites) -> Result<(Sites, SiteZone)> {
        match sites {
            name::Sites::One(site) => {
                let work = self.begin(call, Some(site)).await?;
                Ok((Sites::One(site.clone()), work.zone()))
            }
            name::Sites::All => {
                let work = self.begin(call, None).await?;
                match work.permit().reach() {
                    Reach::Everywhere => Ok((Sites::All, work.zone())),
                    Reach::Sites(sites) => Ok((Sites::Among(sites.clone()), work.zone())),
                }
            }
        }
    }

    /// A site that must exist.
    pub(super) async fn load_site(&self, id: &SiteId) -> Result<Site> {
        self.store.site(id).await?.ok_or(Error::NotFound(Thing::Site))
    }

    async fn stored_parameters(&self, site: &SiteId, plugin: &PluginId) -> Result<Option<StoredParameters>> {
        Ok(self.store.plugin_parameters(site).await?.into_iter().find(|set| set.plugin == *plugin))
    }

    /// Why a plugin cannot be asked: it is known and not loaded, or nobody knows it.
    fn no_plugin(&self, plugin: &PluginId) -> Error {
        if self.known_plugins().iter().any(|known| known.id == plugin.as_str()) {
            Error::PluginUnavailable(plugin.as_str().to_owned())
        } else {
            Error::NotFound(Thing::Plugin)
        }
    }

    fn parameters_in_force(
        &self,
        site: &SiteId,
        plugin: &PluginId,
        stored: Option<StoredParameters>,
    ) -> Result<Parameters> {
        let deployed = self.deployed();
        let known = deployed.registry.plugin(plugin.as_str()).ok_or_else(|| self.no_plugin(plugin))?;
        let set = stored.as_ref().map(|stored| &stored.values);
        let in_force = |parameter: &Parameter| {
            let set = set.and_then(|values| values.get(&parameter.code));
            ParameterValue {
                code: parameter.code.clone(),
                value: set.unwrap_or(&parameter.default).clone(),
                is_default: set.is_none(),
            }
        };
        Ok(Parameters {
            site: site.clone(),
            plugin: plugin.clone(),
            values: known.manifest().parameters.iter().map(in_force).collect(),
            version: stored.as_ref().map_or(0, |stored| stored.version),
            updated_at: stored.map(|stored| stored.updated_at),
        })
    }
}

/// The version after `current`, where the caller read `expected` or did not say.
pub(super) fn next_version(current: u64, expected: Option<u64>) -> Result<u64> {
    match expected {
        Some(expected) if expected != current => Err(Error::EtagMismatch),
        Some(_) | None => Ok(current.saturating_add(1)),
    }
}

/// A generated id, which has the accepted shape.
pub(super) fn fresh<T>(id: std::result::Result<T, Invalid>) -> Result<T> {
    id.map_err(|why| Error::Internal(format!("a generated id was refused: {why}")))
}

/// One violation.
pub(super) fn invalid(field: &str, why: Invalid) -> Error {
    Error::Invalid(vec![Violation { field: field.to_owned(), why }])
}

/// A page of the things of sites that fit; the cursor is `site/id`. Conditions are not indexed: pages are read until
/// this one is full, or the call has looked through enough.
pub(super) async fn filtered<'f, T>(
    sites: Sites,
    page: &PageRequest,
    fits: impl Fn(&T) -> bool,
    id: impl Fn(&T) -> (SiteId, String),
    load: impl Fn(Sites, linli_store::Page) -> BoxFuture<'f, Result<Vec<T>>>,
) -> Result<Page<T>> {
    let limit = u64::from(page.size) + 1;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let cursor = |cursor: &str| -> Result<(SiteId, String)> {
        let (site, id) = cursor.split_once('/').ok_or(Error::PageToken)?;
        Ok((SiteId::new(site).map_err(|_| Error::PageToken)?, id.to_owned()))
    };
    let mut after = page.after.as_deref().map(cursor).transpose()?;
    let mut found = Vec::new();
    for batches in 1.. {
        let next = match &after {
            Some((site, id)) => linli_store::Page::after(site.as_str(), id, limit),
            None => linli_store::Page::first(limit),
        };
        let rows = load(sites.clone(), next).await?;
        let exhausted = rows.len() < wanted;
        after = rows.last().map(&id).or(after);
        found.extend(rows.into_iter().filter(&fits));
        if exhausted || found.len() >= wanted || batches == BATCHES_MAX {
            let text = |(site, id): (SiteId, String)| format!("{site}/{id}");
            let mut cut = Page::cut(found, page.size, |item| text(id(item)));
            if !exhausted && cut.next.is_none() {
                cut.next = after.map(text);
            }
            return Ok(cut);
        }
    }
    Err(Error::Internal("a list without an end".into()))
}
