//! The plugins of a service: found in folders, loaded, and checked against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linli_core::group::CareGroup;
use linli_core::id::PluginId;
use linli_core::standard::Standard;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use crate::elf::Refusal;
use crate::error::{LoadCause, LoadFailure};
use crate::manifest::{Field, Isolation, Manifest};
use crate::place::Place;
use crate::plugin::{Limits, Plugin};
use crate::trust::{self, Candidate, Folder, History, MANIFEST_FILE, Rights, TrustStore};

/// How the libraries of this workspace begin, which a development build finds beside the program.
const DEVELOPMENT_PREFIX: &str = "liblinli_plugin_";

/// Where plugins are, and whom they may come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Folders of plugins. Each plugin is a folder with `plugin.toml` and one `.so`, either beside it or in a sub-folder
    /// named like the machine, such as `x86_64-linux`; `plugin.lock` and `plugin.lock.sig` say whom it comes from.
    pub folders: Vec<PathBuf>,
    /// The development profile: loads the plugins that lie beside the running program in cargo's target folder, and
    /// those of [`Sources::unsigned`].
    pub development: bool,
    /// Bounds on what they may use.
    pub limits: Limits,
    /// Whose plugins are loaded, and what those may do.
    pub trust: TrustStore,
    /// Where that is written, so that it can be read again ([`Sources::on`]); `None`: nowhere.
    pub trust_store: Option<PathBuf>,
    /// Plugins that are loaded unsigned, in the development profile only, and only in a process of their own.
    pub unsigned: BTreeSet<PluginId>,
    /// The day on which keys must be trusted. By default the last of all days: a key that ever ends has ended.
    pub today: CivilDate,
    /// What was loaded signed so far; one for the life of a service.
    pub history: History,
    /// Where the operator wants plugins to run, by id. Without a word here, in this process where the trust store grants
    /// it. A plugin that asks for a process of its own, or may not run in this one, gets one whatever stands here.
    pub isolation: BTreeMap<String, Isolation>,
    /// The program in which plugins run that have a process of their own; `None`: `linli-runner` beside this program.
    pub runner: Option<PathBuf>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            development: false,
            limits: Limits::default(),
            trust: TrustStore::default(),
            trust_store: None,
            unsigned: BTreeSet::new(),
            today: CivilDate::MAX,
            history: History::default(),
            isolation: BTreeMap::new(),
            runner: None,
        }
    }
}

impl Sources {
    /// These sources as they are on a day: what the operator trusts is read again.
    ///
    /// # Errors
    /// The trust store cannot be used.
    pub fn on(&self, today: CivilDate) -> Result<Self, LoadFailure> {
        let mut now = Self { today, ..self.clone() };
        if let Some(path) = &self.trust_store {
            now.trust = TrustStore::open(path).map_err(|error| LoadFailure {
                path: path.clone(),
                plugin: None,
                cause: LoadCause::TrustStore,
                reason: format!("the trust store cannot be used: {error}"),
                help: "correct the file; only root and the service's user may be able to write to it"
                    .to_owned(),
            })?;
        }
        Ok(now)
    }
}

/// What a scan is for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// The one plugin that is looked for; `None`: all of them.
    only: Option<&'a str>,
    /// Loaded already: taken again where library and verdict are the same.
    known: &'a [Arc<Plugin>],
}

/// The loaded plugins, and the failures. Immutable; shared behind an `Arc`. Another version of a plugin makes another
/// registry, which shares all others ([`Registry::find`], [`Registry::with`], [`Registry::without`]).
#[derive(Debug, Default, Clone)]
pub struct Registry {
    plugins: Vec<Arc<Plugin>>,
    failures: Vec<LoadFailure>,
}

impl Registry {
    /// Loads every plugin of the sources. Never fails: what could not be loaded is in [`Registry::failures`].
    /// Of two plugins that claim one id, group or standard, a signed one stays before one of the program's own build
    /// before an unsigned one; of two alike, the first in the order of the sources and of the folders' names.
    pub fn load(sources: &Sources) -> Self {
        let mut registry = Self::default();
        registry.scan_all(sources, Wanted { only: None, known: &[] });
        for failure in &registry.failures {
            tracing::warn!("{failure}");
        }
        registry
    }

    /// Loads the plugin that the sources now hold under an id, beside whatever this registry holds under it: the one
    /// that a start would load. A library that is among `known` is not loaded again.
    ///
    /// # Errors
    /// Why there is none, or why a registry with it and the other plugins of this one cannot be.
    pub fn find(
        &self,
        id: &str,
        sources: &Sources,
        known: &[Arc<Plugin>],
    ) -> Result<Arc<Plugin>, LoadFailure> {
        let mut found = self.without(id);
        found.failures.clear();
        found.scan_all(sources, Wanted { only: Some(id), known });
        if let Some(plugin) = found.plugin(id) {
            return Ok(Arc::clone(plugin));
        }
        let old = self.plugin(id).and_then(|old| old.path().parent());
        let is_its = |failure: &&LoadFailure| {
            failure.plugin.as_deref() == Some(id)
                || old.is_some_and(|old| old.starts_with(&failure.path))
                || old.is_some_and(|old| failure.path.starts_with(old))
        };
        found.failures.iter().find(is_its).cloned().map_or_else(
            || {
                let reason = format!("no plugin with the id `{id}` lies in the configured folders");
                let help = "put its folder there, with the manifest beside the library";
                let path = sources.folders.first().cloned().unwrap_or_default();
                Err(LoadFailure {
                    path,
                    plugin: Some(id.to_owned()),
                    cause: LoadCause::Missing,
                    reason,
                    help: help.to_owned(),
                })
            },
            Err,
        )
    }

    /// This registry with a plugin in place of the one of its id, and without failures of that id.
    #[must_use]
    pub fn with(&self, plugin: Arc<Plugin>) -> Self {
        let mut registry = self.without(plugin.stamp().id.as_str());
        registry.failures.retain(|failure| !plugin.path().starts_with(&failure.path));
        registry.plugins.push(plugin);
        registry.plugins.sort_by(|a, b| a.stamp().id.cmp(&b.stamp().id));
        registry
    }

    /// This registry without the plugin of an id, and without failures of that id. The plugin ends when its last call has.
    #[must_use]
    pub fn without(&self, id: &str) -> Self {
        let mut registry = self.clone();
        registry.plugins.retain(|plugin| plugin.stamp().id.as_str() != id);
        registry.failures.retain(|failure| failure.plugin.as_deref() != Some(id));
        registry
    }

    fn scan_all(&mut self, sources: &Sources, wanted: Wanted<'_>) {
        let mut found = Found::default();
        for folder in &sources.folders {
            found.scan(folder, sources, wanted);
        }
        if sources.development {
            found.scan_development(&self.plugins, sources, wanted);
        }
        let Found { mut candidates, mut failures, .. } = found;
        candidates.sort_by_key(|(at, candidate)| (candidate.verdict.state.rank(), *at));
        for (at, candidate) in candidates {
            // A build's library is not linked to learn its id once the one plugin is found.
            if wanted.only.is_some_and(|only| self.plugin(only).is_some()) {
                break;
            }
            let path = candidate.path.clone();
            let id = candidate.manifest.as_ref().map(|manifest| manifest.id.clone());
            if let Err(refusal) = self.admit(candidate, sources, wanted) {
                failures.push((at, refusal.at(&path, id.as_ref())));
            }
        }
        failures.sort_by_key(|(at, _)| *at);
        self.failures.extend(failures.into_iter().map(|(_, failure)| failure));
        self.plugins.sort_by(|a, b| a.stamp().id.cmp(&b.stamp().id));
    }

    /// The plugins, by id.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// Those that have rules of care groups, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.iter().filter(|plugin| plugin.manifest().connector.is_none())
    }

    /// Those that speak with bodies outside the company, by id.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.iter().filter(|plugin| plugin.manifest().connector.is_some())
    }

    /// The plugin with this id.
    pub fn plugin(&self, id: &str) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|plugin| plugin.stamp().id.as_str() == id)
    }

    /// What could not be loaded, in the order of the sources.
    pub fn failures(&self) -> &[LoadFailure] {
        &self.failures
    }

    /// The groups of every plugin.
    pub fn groups(&self) -> impl Iterator<Item = &CareGroup> {
        self.plugins.iter().flat_map(|plugin| &plugin.manifest().groups)
    }

    /// The plugin that decides about a group.
    pub fn group_owner(&self, code: &str) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|plugin| plugin.manifest().group(code).is_some())
    }

    /// The standards of every plugin.
    pub fn standards(&self) -> impl Iterator<Item = &Standard> {
        self.plugins.iter().flat_map(|plugin| &plugin.manifest().standards)
    }

    /// The fields that plugins read, each code once (as the first plugin declares it), by code.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let mut fields: BTreeMap<&str, &Field> = BTreeMap::new();
        for field in self.plugins.iter().flat_map(|plugin| &plugin.manifest().fields) {
            fields.entry(field.code.as_str()).or_insert(field);
        }
        fields.into_values()
    }

    /// The field with this code, as the first plugin declares it.
    pub fn field(&self, code: &str) -> Option<&Field> {
        self.plugins.iter().find_map(|plugin| plugin.manifest().field(code))
    }

    fn admit(&mut self, candidate: Candidate, sources: &Sources, wanted: Wanted<'_>) -> Result<(), Refusal> {
        let Candidate { path, manifest: beside, sealed, verdict } = candidate;
        let is_wanted = |manifest: &Manifest| wanted.only.is_none_or(|only| only == manifest.id.as_str());
        let is_it =
            |known: &&Arc<Plugin>| known.stamp().digest == sealed.digest && *known.verdict() == verdict;
        if let Some(known) = wanted.known.iter().find(is_it) {
            if let Some(manifest) = &beside
                && manifest.text != known.manifest().text
            {
                return Err(mismatch(&manifest.text, &known.manifest().text));
            }
            if is_wanted(known.manifest()) {
                self.unclaimed(known.manifest())?;
                sources.history.note(&known.stamp().id, known.trust());
                self.plugins.push(Arc::clone(known));
            }
            return Ok(());
        }
        if let Some(manifest) = &beside {
            self.unclaimed(manifest)?;
            supported(manifest)?;
        }
        let sealed = Arc::new(sealed);
        let connectors = Isolation::Child;
        let place = Place { sources, sealed: &sealed, allowed: verdict.isolation_allowed, connectors };
        let wish = beside.as_ref().map_or(Isolation::InProcess, |manifest| place.isolation(manifest, 0));
        let opened = match wish {
            Isolation::InProcess => place.link()?,
            Isolation::Child => {
                let name = beside.as_ref().map(|manifest| manifest.id.as_str().to_owned());
                place.start(name.unwrap_or_default())?
            }
        };
        let manifest = match beside {
            Some(manifest) if manifest.text == opened.manifest => manifest,
            Some(manifest) => return Err(mismatch(&manifest.text, &opened.manifest)),
            None => trust::parse_manifest(opened.manifest.as_bytes())?,
        };
        if !is_wanted(&manifest) {
            return Ok(());
        }
        supported(&manifest)?;
        self.unclaimed(&manifest)?;
        let (seat, about) = place.seat(&manifest, opened)?;
        sources.history.note(&manifest.id, &verdict.state);
        let digest = sealed.digest.clone();
        let plugin = Plugin::new(manifest, &path, digest, verdict, about, seat, &sources.limits);
        tracing::info!(plugin = %plugin.stamp().id, version = %plugin.stamp().version, digest = %plugin.stamp().digest,
            mode = ?plugin.mode(), trust = %plugin.trust(), path = %path.display(), "plugin loaded");
        self.plugins.push(Arc::new(plugin));
        Ok(())
    }

    /// Whether no loaded plugin has the id, a group, a standard, or a field of another type, and the built-in catalogue
    /// none of the standards.
    fn unclaimed(&self, new: &Manifest) -> Result<(), Refusal> {
        let catalogue = linli_core::catalogue::standards();
        let built_in = |standard: &&Standard| catalogue.iter().any(|known| known.code == standard.code);
        if let Some(standard) = new.standards.iter().find(built_in) {
            let reason = format!("the standard `{}` belongs to the built-in catalogue", standard.code);
            return Err(Refusal::new(
                LoadCause::Duplicate,
                reason,
                "give the plugin's standard another code",
            ));
        }
        let duplicate = |what: String, owner: &Plugin| {
            let reason =
                format!("{what} belongs to `{}` already ({})", owner.stamp().id, owner.path().display());
            Refusal::new(
                LoadCause::Duplicate,
                reason,
                "remove one of the two plugins, or rename what they share",
            )
        };
        for plugin in &self.plugins {
            let old = plugin.manifest();
            if old.id == new.id {
                return Err(duplicate(format!("the id `{}`", new.id), plugin));
            }
            if let Some(group) = new.groups.iter().find(|group| old.group(group.code.as_str()).is_some()) {
                return Err(duplicate(format!("the group `{}`", group.code), plugin));
            }
            let same_code =
                |standard: &&Standard| old.standards.iter().any(|known| known.code == standard.code);
            if let Some(standard) = new.standards.iter().find(same_code) {
                return Err(duplicate(format!("the standard `{}`", standard.code), plugin));
            }
            let other_type = |field: &&Field| {
                old.field(field.code.as_str())
                    .is_some_and(|known| known.kind != field.kind || known.values != field.values)
            };
            if let Some(field) = new.fields.iter().find(other_type) {
                return Err(duplicate(
                    format!("the field `{}`, with another type or other values,", field.code),
                    plugin,
                ));
            }
        }
        Ok(())
    }
}

/// What the sources hold, each with its place in their order.
#[derive(Default)]
struct Found {
    candidates: Vec<(usize, Candidate)>,
    failures: Vec<(usize, LoadFailure)>,
    count: usize,
}

impl Found {
    fn scan(&mut self, path: &Path, sources: &Sources, wanted: Wanted<'_>) {
        let open = || {
            let folder = Folder::open(path, Rights::Strict)?;
            let names = folder.names()?;
            Ok((folder, names))
        };
        let (folder, names) = match open() {
            Ok(opened) => opened,
            Err(Refusal { cause, reason, .. }) if cause == LoadCause::Missing => {
                let help = "create the folder of plugins, or correct the configured one";
                return self.fail(Refusal::new(cause, reason, help).at(path, None));
            }
            Err(refusal) => return self.fail(refusal.at(path, None)),
        };
        for name in names {
            match folder.folder(&name) {
                Ok(None) => {}
                Ok(Some(plugin)) => self.note(trust::candidate(&plugin, sources).map(Some), wanted),
                Err(refusal) => self.fail(refusal.at(&path.join(name), None)),
            }
        }
    }

    fn scan_development(&mut self, loaded: &[Arc<Plugin>], sources: &Sources, wanted: Wanted<'_>) {
        let Some(path) = development_folder() else { return };
        let open = || {
            let folder = Folder::open(&path, Rights::Build)?;
            let names = folder.names()?;
            Ok((folder, names))
        };
        let (folder, names) = match open() {
            Ok(opened) => opened,
            Err(refusal) => return self.fail(Refusal::at(refusal, &path, None)),
        };
        let before = self.count;
        for name in names {
            // What is loaded under other ids is not linked again to learn its id.
            let is_loaded = || loaded.iter().any(|plugin| *plugin.path() == path.join(&name));
            if name.starts_with(DEVELOPMENT_PREFIX)
                && name.ends_with(".so")
                && !(wanted.only.is_some() && is_loaded())
            {
                self.note(trust::development(&folder, &name, sources), wanted);
            }
        }
        if self.count == before && wanted.only.is_none() {
            let reason = "no plugin lies beside the program";
            let help = "build the plugins in the same profile, with `cargo build --workspace`";
            self.fail(Refusal::new(LoadCause::Missing, reason, help).at(&path, None));
        }
    }

    fn note(&mut self, candidate: Result<Option<Candidate>, LoadFailure>, wanted: Wanted<'_>) {
        match candidate {
            Ok(None) => {}
            Ok(Some(candidate)) => {
                let other = |only: &str| candidate.manifest.as_ref().is_some_and(|m| m.id.as_str() != only);
                if wanted.only.is_some_and(other) {
                    return;
                }
                self.candidates.push((self.count, candidate));
                self.count += 1;
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: LoadFailure) {
        self.failures.push((self.count, failure));
        self.count += 1;
    }
}

fn supported(manifest: &Manifest) -> Result<(), Refusal> {
    let (major, minor) = manifest.abi;
    if major != abi::ABI_MAJOR || minor > abi::ABI_MINOR {
        let reason = format!(
            "its manifest asks for plugin ABI {major}.{minor}; this host speaks {}.0 to {}.{}",
            abi::ABI_MAJOR,
            abi::ABI_MAJOR,
            abi::ABI_MINOR
        );
        return Err(Refusal::new(LoadCause::WrongAbi, reason, "use a version of Linli that speaks it"));
    }
    Ok(())
}

fn mismatch(beside: &str, inside: &str) -> Refusal {
    let line = beside.lines().zip(inside.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| beside.lines().count().min(inside.lines().count())) + 1;
    let reason =
        format!("`{MANIFEST_FILE}` differs from the manifest inside the library, first at line {line}");
    Refusal::new(LoadCause::ManifestMismatch, reason, "install manifest and library of one build together")
}

/// The folder of cargo's profile in which the running program lies.
fn development_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let nested = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    Some(if nested { folder.parent()? } else { folder }.to_owned())
}
