//! The plugins as they are now. Replaced as a whole when one is loaded or taken away, so that whoever looks sees one
//! state; what is replaced lives until the last call that began with it has ended.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use linli_core::id::{FieldCode, PluginId};
use linli_core::standard::Origin;
use linli_plugin_host::manifest::Field;
use linli_plugin_host::{Manifest, Plugin, Registry, Sources};

use crate::app::App;
use crate::app::catalog::Catalogue;

/// The plugins that answer, what those declare that are away, and the catalogue of both. Immutable.
#[derive(Debug)]
pub struct Deployed {
    /// The plugins that answer, and those that could not be loaded.
    pub registry: Registry,
    /// What plugins declare that were loaded once and are not now: their groups and standards stay in force.
    pub absent: Vec<Manifest>,
    /// Of these, the ones that were taken away since the start.
    pub drained: Vec<PluginId>,
    /// The built-in standards and those of the plugins.
    pub catalogue: Arc<Catalogue>,
}

impl Deployed {
    /// With the catalogue that follows.
    pub fn new(registry: Registry, absent: Vec<Manifest>, drained: Vec<PluginId>) -> Self {
        let built_in = linli_core::catalogue::standards();
        let catalogue = Arc::new(Catalogue::new(built_in, &registry).and(&absent));
        Self { registry, absent, drained, catalogue }
    }

    /// What plugins declare, those that are away included.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.registry.plugins().iter().map(|plugin| plugin.manifest()).chain(&self.absent)
    }

    /// The field with this code, as the first plugin declares it.
    pub fn field(&self, code: &FieldCode) -> Option<&Field> {
        self.manifests().find_map(|manifest| manifest.field(code.as_str()))
    }

    /// With `plugin` in place of the one of its id.
    #[must_use]
    pub fn with(&self, plugin: &Arc<Plugin>) -> Self {
        let id = &plugin.stamp().id;
        let others = |known: &&Manifest| known.id != *id;
        Self::new(
            self.registry.with(Arc::clone(plugin)),
            self.absent.iter().filter(others).cloned().collect(),
            self.drained.iter().filter(|known| *known != id).cloned().collect(),
        )
    }

    /// Without this plugin: what it declares stays.
    #[must_use]
    pub fn without(&self, plugin: &Plugin) -> Self {
        let id = &plugin.stamp().id;
        let mut absent = self.absent.clone();
        absent.push(declared(plugin.manifest().clone(), &plugin.stamp().digest));
        let mut drained = self.drained.clone();
        drained.push(id.clone());
        Self::new(self.registry.without(id.as_str()), absent, drained)
    }
}

/// A manifest whose standards say which build declared them.
pub(super) fn declared(mut manifest: Manifest, by: &str) -> Manifest {
    for standard in &mut manifest.standards {
        if let Origin::Plugin { digest, .. } = &mut standard.origin {
            by.clone_into(digest);
        }
    }
    manifest
}

/// Where the plugins of a server are held.
pub struct Live {
    now: RwLock<Arc<Deployed>>,
    /// One load or drain at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Every version that was linked since the start: libraries are never unloaded, so none is linked twice.
    linked: Mutex<Vec<Arc<Plugin>>>,
    /// Where plugins are looked for.
    pub(super) sources: Sources,
    /// Ids of the plugins that the configuration requires.
    pub(super) required: Vec<String>,
}

impl Live {
    /// At the start of a server.
    pub fn new(registry: Registry, absent: Vec<Manifest>, sources: Sources, required: Vec<String>) -> Self {
        let linked = Mutex::new(registry.plugins().to_vec());
        let now = RwLock::new(Arc::new(Deployed::new(registry, absent, Vec::new())));
        Self { now, turn: tokio::sync::Mutex::default(), linked, sources, required }
    }

    /// The plugins as they are now.
    pub fn deployed(&self) -> Arc<Deployed> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everybody who looks from now on sees `next`; what they saw before is returned.
    pub(super) fn replace(&self, next: Deployed) -> Arc<Deployed> {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut now, Arc::new(next))
    }

    pub(super) fn linked(&self) -> Vec<Arc<Plugin>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn link(&self, plugin: &Arc<Plugin>) {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        if !linked.iter().any(|known| Arc::ptr_eq(known, plugin)) {
            linked.push(Arc::clone(plugin));
        }
    }
}

impl App {
    /// The plugins as they are now: taken once by whoever needs several answers to fit together.
    pub fn deployed(&self) -> Arc<Deployed> {
        self.plugins.deployed()
    }
}
