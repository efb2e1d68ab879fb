//! From a library to the seat that its plugin takes: here, or in processes of its own.

use std::path::Path;
use std::sync::{Arc, Once, OnceLock};

use linli_plugin_abi as abi;

use crate::child::{self, Description, Home, Process};
use crate::elf::Refusal;
use crate::error::LoadCause;
use crate::library::{self, Library, Sealed};
use crate::manifest::{Isolation, Manifest};
use crate::plugin::{About, Plugin};
use crate::registry::Sources;
use crate::runner::Confinement;
use crate::seat::{Children, Pool, Runs, Seat};
use crate::trust::{self, TrustState, Verdict};

/// Opens one library by itself, without a manifest beside it. One that asks for a process of its own gets one.
pub(crate) fn open(path: &Path, isolation: Isolation, sources: &Sources) -> Result<Plugin, Refusal> {
    let sealed = Arc::new(library::seal(&library::read(path)?)?);
    let place = Place { sources, sealed: &sealed, allowed: Isolation::InProcess, connectors: isolation };
    let opened = match isolation {
        Isolation::InProcess => place.link()?,
        Isolation::Child => place.start(String::new())?,
    };
    let manifest = trust::parse_manifest(opened.manifest.as_bytes())?;
    let (seat, about) = place.seat(&manifest, opened)?;
    // Nobody vouches for it: whoever names a library to open has decided that.
    let verdict = Verdict { state: TrustState::Unsigned, isolation_allowed: isolation };
    Ok(Plugin::new(manifest, path, sealed.digest.clone(), verdict, about, seat, &sources.limits))
}

/// A library on its way to its seat.
pub(crate) struct Place<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) sealed: &'a Arc<Sealed>,
    /// Where it may run at most.
    pub(crate) allowed: Isolation,
    /// Where connectors run: in processes of their own, unless an author looks at one.
    pub(crate) connectors: Isolation,
}

/// A library that was opened, here or in a process.
pub(crate) struct Opened {
    /// The manifest that the library carries.
    pub(crate) manifest: String,
    about: About,
    place: OpenedIn,
}

enum OpenedIn {
    Here(Library),
    Process(Home, Process),
}

impl Place<'_> {
    /// Where a plugin runs: in a process of its own unless nothing speaks against this one.
    pub(crate) fn isolation(&self, manifest: &Manifest, flags: u32) -> Isolation {
        let insists = flags & abi::P_ISOLATED_ONLY != 0 || self.allowed == Isolation::Child;
        if manifest.connector.is_some() {
            return if insists { Isolation::Child } else { self.connectors };
        }
        if insists || manifest.isolation == Isolation::Child {
            return Isolation::Child;
        }
        self.sources.isolation.get(manifest.id.as_str()).copied().unwrap_or(Isolation::InProcess)
    }

    /// Opens it here.
    pub(crate) fn link(&self) -> Result<Opened, Refusal> {
        let memory = self.sealed.memory.try_clone().map_err(|error| {
            let reason = format!("its copy in memory cannot be opened: {error}");
            Refusal::new(LoadCause::Unreadable, reason, "allow the service more open files")
        })?;
        let library = library::link(memory)?;
        let about = About {
            build_info: library.build_info.clone(),
            abi: (library.plugin.abi_major, library.plugin.abi_minor),
            flags: library.plugin.flags,
            confinement: None,
        };
        Ok(Opened { manifest: library.manifest.clone(), about, place: OpenedIn::Here(library) })
    }

    /// Opens it in a process of its own.
    pub(crate) fn start(&self, name: String) -> Result<Opened, Refusal> {
        let home = self.home(name).ok_or_else(|| {
            let reason =
                "it runs in a process of its own, and `linli-runner` does not lie beside the program";
            Refusal::new(LoadCause::NoRunner, reason, "install `linli-runner` of the same build there")
        })?;
        let (process, description) = home.start()?;
        let Description { manifest, build_info, abi, flags, confinement } = description;
        tell_what_lacks(confinement);
        let about = About { build_info, abi, flags, confinement: Some(confinement) };
        Ok(Opened { manifest, about, place: OpenedIn::Process(home, process) })
    }

    fn home(&self, name: String) -> Option<Home> {
        let runner = self.sources.runner.clone().or_else(child::beside_program)?;
        let address_space = self.sources.limits.address_space;
        Some(Home { runner, library: Arc::clone(self.sealed), name, address_space })
    }

    /// The seat that a plugin takes once its manifest is known.
    pub(crate) fn seat(&self, manifest: &Manifest, opened: Opened) -> Result<(Seat, About), Refusal> {
        let name = manifest.id.as_str().to_owned();
        let limits = &self.sources.limits;
        match (self.isolation(manifest, opened.about.flags), opened.place) {
            (Isolation::InProcess, OpenedIn::Here(mut library)) => {
                let refuge = self.home(name.clone()).filter(|home| home.runner.is_file());
                library.name = name;
                // Libraries are never unloaded, so their descriptions live for ever too.
                let library = Box::leak(Box::new(library));
                if manifest.connector.is_some() {
                    let runs = Runs::here(library, refuge, limits);
                    return Ok((Seat::Connector(Arc::new(runs)), opened.about));
                }
                let pool = Pool::new(library, limits);
                Ok((Seat::InProcess { pool, refuge, moved: OnceLock::new() }, opened.about))
            }
            (Isolation::InProcess | Isolation::Child, OpenedIn::Process(home, process)) => {
                let home = Home { name, ..home };
                if manifest.connector.is_some() {
                    let runs = Runs::in_processes(home, limits, process);
                    return Ok((Seat::Connector(Arc::new(runs)), opened.about));
                }
                Ok((Seat::Child(Children::new(home, limits, Some(process))), opened.about))
            }
            // Its manifest or its library asks for that, or the operator does, and this was read in it only.
            (Isolation::Child, OpenedIn::Here(_)) => self.seat(manifest, self.start(name)?),
        }
    }
}

/// Says once what the kernel lacks to confine plugins.
fn tell_what_lacks(confinement: Confinement) {
    static TOLD: Once = Once::new();
    let lacks = confinement.lacks();
    if !lacks.is_empty() {
        let lacks = lacks.join(", ");
        TOLD.call_once(|| {
            tracing::warn!(%lacks, "this system does not offer all that confines plugins in processes of their own");
        });
    }
}
