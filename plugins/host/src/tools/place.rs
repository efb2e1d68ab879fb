//! Where manifest and library of a plugin are: in an installed folder, in a folder that an author works in, or the
//! library itself.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::elf::Refusal;
use crate::manifest::Isolation;
use crate::{LoadFailure, Mode, Plugin, Sources, place};

/// Name of the manifest.
pub const MANIFEST: &str = "plugin.toml";
/// Name of the table of cases.
pub const SCENARIOS: &str = "scenarios.txt";

/// The files of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The shared library.
    pub library: PathBuf,
    /// `plugin.toml`, where one lies beside the library or in the folder that was named.
    pub manifest: Option<PathBuf>,
    /// `scenarios.txt`, where one lies beside the manifest.
    pub scenarios: Option<PathBuf>,
}

/// Why no plugin is found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound(String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFound {}

impl Place {
    /// Finds a plugin by its folder or its library. In a folder the library is looked for beside the manifest, in the
    /// sub-folder of this machine, and where cargo and `build.sh` leave it (`target/release`, `target/debug`); of
    /// several the newest is taken.
    ///
    /// # Errors
    /// What is missing, and where it was looked for.
    pub fn find(path: &Path) -> Result<Self, NotFound> {
        if !path.is_dir() {
            if !path.exists() {
                return Err(NotFound(format!("`{}` does not exist", path.display())));
            }
            let folder = path.parent().unwrap_or(Path::new("."));
            return Ok(Self::of(path.to_owned(), folder));
        }
        let machine = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let places = [".", machine.as_str(), "target/release", "target/debug"];
        let mut libraries: Vec<(SystemTime, PathBuf)> = Vec::new();
        for place in places {
            let Ok(entries) = fs::read_dir(path.join(place)) else { continue };
            let folder = if place == "." { path.to_owned() } else { path.join(place) };
            for entry in entries.flatten() {
                let library = folder.join(entry.file_name());
                if library.extension().is_some_and(|extension| extension == "so") {
                    let modified = entry.metadata().and_then(|data| data.modified());
                    libraries.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), library));
                }
            }
        }
        libraries.sort();
        match libraries.pop() {
            Some((_, library)) => Ok(Self::of(library, path)),
            None => Err(NotFound(format!(
                "no library (`.so`) lies in `{}`, nor in its {}: build the plugin first",
                path.display(),
                places.get(1..).unwrap_or_default().join(", ")
            ))),
        }
    }

    /// Opens the library by itself, in this process or in one of its own, for tools: whom the operator trusts is not asked.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub fn open(&self, mode: Mode) -> Result<Plugin, LoadFailure> {
        let isolation = match mode {
            Mode::InProcess => Isolation::InProcess,
            Mode::Child => Isolation::Child,
        };
        place::open(&self.library, isolation, &Sources::default()).map_err(|refusal| {
            let Refusal { cause, reason, help } = refusal;
            LoadFailure { path: self.library.clone(), plugin: None, cause, reason, help }
        })
    }

    fn of(library: PathBuf, folder: &Path) -> Self {
        let manifest = Some(folder.join(MANIFEST)).filter(|path| path.is_file());
        let scenarios = Some(folder.join(SCENARIOS)).filter(|path| path.is_file());
        Self { library, manifest, scenarios }
    }
}
