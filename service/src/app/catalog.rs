//! What is promised to whom: the built-in catalogue and the groups and standards of the loaded plugins, in one view.
//!
//! The [`Catalogue`] is built at start and when a plugin is loaded or taken away, and shared by assessment, obligations
//! and reports.

use std::sync::Arc;

use linli_core::group::CareGroup;
use linli_core::id::{GroupCode, StandardCode};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::standard::Standard;
use linli_core::time::{CivilDate, SiteZone};
use linli_plugin_host::{Manifest, Registry};

use super::site::invalid;
use super::{App, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};

/// Every care group and every version of every service standard, sorted by code.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    groups: Vec<Arc<CareGroup>>,
    standards: Vec<Arc<Standard>>,
}

impl Catalogue {
    /// The built-in standards and what the plugins declare. A plugin cannot redefine a built-in standard: its
    /// version is left out, and the log says so.
    pub fn new(built_in: Vec<Standard>, plugins: &Registry) -> Self {
        let declared = plugins.standards().filter(|declared| {
            let taken = built_in.iter().any(|standard| standard.code == declared.code);
            if taken {
                tracing::warn!(standard = %declared.code, "a plugin declares a built-in standard; its version is left out");
            }
            !taken
        });
        let declared: Vec<Standard> = declared.cloned().collect();
        let mut standards: Vec<_> = built_in.into_iter().chain(declared).map(Arc::new).collect();
        standards.sort_by(|a, b| (&a.code, a.version).cmp(&(&b.code, b.version)));
        let mut groups: Vec<_> = plugins.groups().cloned().map(Arc::new).collect();
        groups.sort_by(|a, b| a.code.cmp(&b.code));
        Self { groups, standards }
    }

    /// With the groups and standards of plugins that are away, where no plugin that is there declares them.
    #[must_use]
    pub fn and(mut self, absent: &[Manifest]) -> Self {
        for manifest in absent {
            let groups = manifest.groups.iter().filter(|group| self.group(&group.code).is_none());
            let groups: Vec<_> = groups.cloned().map(Arc::new).collect();
            let standards = manifest.standards.iter().filter(|standard| !self.knows(&standard.code));
            let standards: Vec<_> = standards.cloned().map(Arc::new).collect();
            self.groups.extend(groups);
            self.groups.sort_by(|a, b| a.code.cmp(&b.code));
            self.standards.extend(standards);
            self.standards.sort_by(|a, b| (&a.code, a.version).cmp(&(&b.code, b.version)));
        }
        self
    }

    /// The care groups, by code.
    pub fn groups(&self) -> &[Arc<CareGroup>] {
        &self.groups
    }

    /// The care group with this code.
    pub fn group(&self, code: &GroupCode) -> Option<&Arc<CareGroup>> {
        let at = self.groups.binary_search_by(|group| group.code.cmp(code)).ok()?;
        self.groups.get(at)
    }

    /// The standards in every version, by code and version.
    pub fn standards(&self) -> &[Arc<Standard>] {
        &self.standards
    }

    /// Whether any version of a standard has this code.
    pub fn knows(&self, code: &StandardCode) -> bool {
        self.standards.binary_search_by(|standard| standard.code.cmp(code)).is_ok()
    }

    /// The standards in force on a day, each in its latest version, by code.
    pub fn in_force(&self, day: CivilDate) -> Vec<&Arc<Standard>> {
        let mut found: Vec<&Arc<Standard>> = Vec::new();
        for standard in self.standards.iter().filter(|standard| standard.effective.contains(day)) {
            match found.last_mut().filter(|last| last.code == standard.code) {
                Some(last) => *last = standard,
                None => found.push(standard),
            }
        }
        found
    }
}

/// Which standards a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct StandardFilter {
    /// That apply to members of this group, those for every file included.
    pub group: Option<GroupCode>,
    /// That this department owes.
    pub department: Option<Department>,
}

impl StandardFilter {
    fn holds(&self, standard: &Standard) -> bool {
        let groups = &standard.applies_to.any_group;
        self.group.as_ref().is_none_or(|group| groups.is_empty() || groups.contains(group))
            && self.department.is_none_or(|department| standard.department == department)
    }
}

impl App {
    /// One care group.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn care_group(&self, call: &Call, code: &GroupCode) -> Result<Arc<CareGroup>> {
        self.begin(call, None).await?;
        self.deployed().catalogue.group(code).cloned().ok_or(Error::NotFound(Thing::CareGroup))
    }

    /// The care groups, by code.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn care_groups(&self, call: &Call, page: PageRequest) -> Result<Page<Arc<CareGroup>>> {
        self.begin(call, None).await?;
        Ok(Page::of_sorted(self.deployed().catalogue.groups().iter().cloned(), &page, |group| {
            group.code.as_str()
        }))
    }

    /// One standard, in the version in force today.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn standard(&self, call: &Call, code: &StandardCode) -> Result<Arc<Standard>> {
        self.begin(call, None).await?;
        let catalogue = &self.deployed().catalogue;
        let mut in_force = catalogue.in_force(self.catalogue_day()).into_iter();
        let found = in_force.find(|standard| standard.code == *code);
        found.cloned().ok_or(Error::NotFound(Thing::Standard))
    }

    /// The standards in force today, by code.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a group that no plugin declares, [`Error::Denied`].
    pub async fn standards(
        &self,
        call: &Call,
        filter: &StandardFilter,
        page: PageRequest,
    ) -> Result<Page<Arc<Standard>>> {
        self.begin(call, None).await?;
        let catalogue = &self.deployed().catalogue;
        if filter.group.as_ref().is_some_and(|group| catalogue.group(group).is_none()) {
            return Err(invalid("care_group", Invalid::Unknown));
        }
        let in_force = catalogue.in_force(self.catalogue_day()).into_iter().cloned();
        let wanted = in_force.filter(|standard| filter.holds(standard));
        Ok(Page::of_sorted(wanted, &page, |standard| standard.code.as_str()))
    }

    /// Today for what belongs to no site: by the clocks of China, like every site that names no zone.
    fn catalogue_day(&self) -> CivilDate {
        SiteZone::SHANGHAI.date_of(self.now())
    }
}

#[cfg(test)]
mod tests {
    use linli_core::catalogue;
    use linli_core::time::DateRange;

    use super::*;

    #[test]
    fn the_latest_version_in_force_stands_for_its_code() {
        let day = |text: &str| CivilDate::parse(text).unwrap();
        let mut built_in = catalogue::standards();
        let codes: Vec<_> = Catalogue::new(built_in.clone(), &Registry::default())
            .in_force(day("2026-03-16"))
            .iter()
            .map(|standard| standard.code.clone())
            .collect();
        assert!(codes.is_sorted() && codes.len() > 5, "{codes:?}");
        let mut later = built_in.first().unwrap().clone();
        later.version = 2;
        later.effective = DateRange::from(day("2026-04-01"));
        built_in.push(later.clone());
        let catalogue = Catalogue::new(built_in, &Registry::default());
        let check = |on: &str, version: u32| {
            let in_force = catalogue.in_force(day(on));
            let found = in_force.iter().find(|standard| standard.code == later.code).unwrap();
            assert_eq!((found.version, in_force.len()), (version, codes.len()), "{on}");
        };
        check("2026-03-31", 1);
        check("2026-04-01", 2);
        assert!(catalogue.knows(&later.code));
        assert!(!catalogue.knows(&StandardCode::new("nothing.here").unwrap()));
    }
}
