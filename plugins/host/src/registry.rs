//! The plugins of a service: found in folders, loaded, and checked against each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linli_core::group::CareGroup;
use linli_core::standard::Standard;
use linli_plugin_abi as abi;

use crate::elf::{self, Refusal};
use crate::error::{LoadCause, LoadFailure};
use crate::library;
use crate::manifest::{Field, Interface, Isolation, Manifest};
use crate::place::Place;
use crate::plugin::{Limits, Plugin};

/// Name of the manifest in a plugin's folder.
const MANIFEST_FILE: &str = "plugin.toml";
/// How the libraries of this workspace begin, which a development build finds beside the program.
const DEVELOPMENT_PREFIX: &str = "liblinli_plugin_";

/// Where plugins are.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Folders of plugins, in order of precedence. Each plugin is a folder with `plugin.toml` and one `.so`, either
    /// beside it or in a sub-folder named like the machine, such as `x86_64-linux`.
    pub folders: Vec<PathBuf>,
    /// Whether to load the plugins that lie beside the running program in cargo's target folder.
    pub development: bool,
    /// Bounds on what they may use.
    pub limits: Limits,
    /// Where the operator wants plugins to run, by id. Without a word here, those of the development build run in this
    /// process and all others in one of their own. A plugin that asks for a process of its own always gets one.
    pub isolation: BTreeMap<String, Isolation>,
    /// The program in which plugins run that have a process of their own; `None`: `linli-runner` beside this program.
    pub runner: Option<PathBuf>,
}

/// What a scan is for.
struct Wanted<'a> {
    sources: &'a Sources,
    /// The one plugin that is looked for; `None`: all of them.
    only: Option<&'a str>,
    /// Loaded already: taken again where the library is the same.
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
    /// Of two plugins that claim one id, group or standard, the first in the order of the sources stays.
    pub fn load(sources: &Sources) -> Self {
        let mut registry = Self::default();
        registry.scan_all(sources, &Wanted { sources, only: None, known: &[] });
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
        found.scan_all(sources, &Wanted { sources, only: Some(id), known });
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

    fn scan_all(&mut self, sources: &Sources, wanted: &Wanted<'_>) {
        for folder in &sources.folders {
            self.scan(folder, wanted);
        }
        let found = wanted.only.is_some_and(|only| self.plugin(only).is_some());
        if sources.development && !found {
            self.scan_development(wanted);
        }
        self.plugins.sort_by(|a, b| a.stamp().id.cmp(&b.stamp().id));
    }

    /// The plugins, by id.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
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

    fn scan(&mut self, folder: &Path, wanted: &Wanted<'_>) {
        let mut plugins: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => {
                entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
            }
            Err(error) => {
                let reason = format!("the folder of plugins cannot be read: {error}");
                let help = "create it, or correct the configured folder";
                self.fail(folder, None, Refusal::new(LoadCause::Missing, reason, help));
                return;
            }
        };
        plugins.sort();
        for plugin in plugins {
            if let Err((path, id, refusal)) = self.load_folder(&plugin, wanted) {
                self.fail(&path, id, refusal);
            }
        }
    }

    fn load_folder(
        &mut self,
        folder: &Path,
        wanted: &Wanted<'_>,
    ) -> Result<(), (PathBuf, Option<String>, Refusal)> {
        let manifest_path = folder.join(MANIFEST_FILE);
        let text = fs::read_to_string(&manifest_path).map_err(|error| {
            let (cause, help) = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    (LoadCause::Missing, "put the plugin's manifest beside its library")
                }
                _ => (LoadCause::Unreadable, "check that the manifest is a UTF-8 text that may be read"),
            };
            let reason = format!("`{MANIFEST_FILE}` cannot be read: {error}");
            (folder.to_owned(), None, Refusal::new(cause, reason, help))
        })?;
        let manifest = parse(&text).map_err(|refusal| (manifest_path, None, refusal))?;
        if wanted.only.is_some_and(|only| only != manifest.id.as_str()) {
            return Ok(());
        }
        let id = Some(manifest.id.as_str().to_owned());
        let path = find_library(folder).map_err(|refusal| (folder.to_owned(), id.clone(), refusal))?;
        self.load_library(&path, Some(manifest), wanted).map_err(|refusal| (path, id, refusal))
    }

    fn scan_development(&mut self, wanted: &Wanted<'_>) {
        let Some(folder) = development_folder() else { return };
        let mut libraries: Vec<PathBuf> = fs::read_dir(&folder)
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_default();
        libraries.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(DEVELOPMENT_PREFIX) && name.ends_with(".so")
        });
        libraries.sort();
        if wanted.only.is_some() {
            // What is loaded under other ids is not linked again to learn its id.
            libraries.retain(|path| !self.plugins.iter().any(|plugin| plugin.path() == path));
        }
        let mut found = wanted.only.is_some();
        for path in libraries {
            // Procedural macros lie here too; only what exports the entry is a plugin.
            if fs::read(&path)
                .is_ok_and(|file| elf::check(&file).is_ok() && !elf::exports(&file, abi::ENTRY_SYMBOL))
            {
                continue;
            }
            found = true;
            if let Err(refusal) = self.load_library(&path, None, wanted) {
                self.fail(&path, None, refusal);
            }
        }
        if !found {
            let reason = "no plugin lies beside the program";
            let help = "build the plugins in the same profile, with `cargo build --workspace`";
            self.fail(&folder, None, Refusal::new(LoadCause::Missing, reason, help));
        }
    }

    fn load_library(
        &mut self,
        path: &Path,
        beside: Option<Manifest>,
        wanted: &Wanted<'_>,
    ) -> Result<(), Refusal> {
        let file = library::read(path)?;
        let sealed = Arc::new(library::seal(&file)?);
        if let Some(known) = wanted.known_as(&sealed.digest) {
            match &beside {
                Some(manifest) if manifest.text != known.manifest().text => {
                    return Err(mismatch(&manifest.text, &known.manifest().text));
                }
                Some(_) | None => {}
            }
            if wanted.only.is_none_or(|only| only == known.stamp().id.as_str()) {
                self.unclaimed(known.manifest())?;
                self.plugins.push(Arc::clone(known));
            }
            return Ok(());
        }
        // What lies beside the program in cargo's folder was built with it.
        let own_build = beside.is_none();
        let name = beside.as_ref().map(|manifest| manifest.id.as_str().to_owned());
        let place = Place { sources: wanted.sources, sealed: &sealed, own_build };
        let wish = beside.as_ref().map_or(Isolation::InProcess, |manifest| place.isolation(manifest, 0));
        let opened = match wish {
            Isolation::InProcess => place.link()?,
            Isolation::Child => place.start(name.unwrap_or_default())?,
        };
        let manifest = match beside {
            Some(manifest) if manifest.text == opened.manifest => manifest,
            Some(manifest) => return Err(mismatch(&manifest.text, &opened.manifest)),
            None => parse(&opened.manifest)?,
        };
        if wanted.only.is_some_and(|only| only != manifest.id.as_str()) {
            return Ok(());
        }
        supported(&manifest)?;
        self.unclaimed(&manifest)?;
        let (seat, about) = place.seat(&manifest, opened)?;
        let digest = sealed.digest.clone();
        let plugin = Plugin::new(manifest, path, digest, about, seat, &wanted.sources.limits);
        tracing::info!(plugin = %plugin.stamp().id, version = %plugin.stamp().version, digest = %plugin.stamp().digest,
            mode = ?plugin.mode(), path = %path.display(), "plugin loaded");
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

    fn fail(&mut self, path: &Path, plugin: Option<String>, refusal: Refusal) {
        let Refusal { cause, reason, help } = refusal;
        self.failures.push(LoadFailure { path: path.to_owned(), plugin, cause, reason, help });
    }
}

impl<'a> Wanted<'a> {
    /// The plugin that was loaded from the library with this digest.
    fn known_as(&self, digest: &str) -> Option<&'a Arc<Plugin>> {
        self.known.iter().find(|plugin| plugin.stamp().digest == digest)
    }
}

pub(crate) fn parse(text: &str) -> Result<Manifest, Refusal> {
    Manifest::parse(text).map_err(|errors| {
        let reason = format!("its manifest has {} errors: {errors}", errors.0.len());
        Refusal::new(LoadCause::Manifest, reason, "correct the manifest; all of its errors are listed")
    })
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
    if !manifest.interfaces.contains(&Interface::Rules) {
        let reason = format!("it does not implement `{}`, the only interface of this version", abi::IF_RULES);
        return Err(Refusal::new(LoadCause::Unsupported, reason, "use a version of Linli with connectors"));
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

/// The one library of a plugin's folder, in the sub-folder of this machine or beside the manifest.
fn find_library(folder: &Path) -> Result<PathBuf, Refusal> {
    let machine = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    for place in [folder.join(&machine), folder.to_owned()] {
        let Ok(entries) = fs::read_dir(&place) else { continue };
        let mut libraries: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
            .collect();
        libraries.sort();
        match libraries.as_slice() {
            [] => {}
            [library] => return Ok(library.clone()),
            [_, _, ..] => {
                let reason = format!("{} libraries lie in {}", libraries.len(), place.display());
                return Err(Refusal::new(
                    LoadCause::Missing,
                    reason,
                    "leave the one that belongs to the manifest",
                ));
            }
        }
    }
    let reason = format!("no library (`.so`) lies beside `{MANIFEST_FILE}` or in `{machine}`");
    Err(Refusal::new(LoadCause::Missing, reason, "install the plugin's library for this machine"))
}

/// The folder of cargo's profile in which the running program lies.
fn development_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let nested = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    Some(if nested { folder.parent()? } else { folder }.to_owned())
}
