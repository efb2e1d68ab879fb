//! `linli plugin list`: loads the plugins as a server would, and says what it found.

use clap::Args;
use linli_core::time::Clock as _;
use linli_plugin_host::{Mode, Registry};

use crate::cli::{ConfigFile, Failure, say};
use crate::config::Flags;
use crate::server::assemble::sources;
use crate::telemetry;
use crate::time::SystemClock;

/// Which plugins to list.
#[derive(Debug, Args)]
pub struct List {
    /// Where the configuration is.
    #[command(flatten)]
    file: ConfigFile,
    /// Also the plugins that were built beside this program.
    #[arg(long)]
    dev: bool,
}

impl List {
    /// Lists.
    ///
    /// # Errors
    /// Where a plugin was refused, or a required one is missing.
    pub fn run(&self) -> Result<(), Failure> {
        list(&self.file, self.dev)
    }
}

fn list(file: &ConfigFile, dev: bool) -> Result<(), Failure> {
    let config = file.load(&Flags { dev, ..Flags::default() })?;
    telemetry::init(&config.log);
    let registry = Registry::load(&sources(&config, SystemClock.now())?);
    for plugin in registry.plugins() {
        let manifest = plugin.manifest();
        let groups: Vec<_> = manifest.groups.iter().map(|group| group.code.as_str()).collect();
        say(format_args!("{} {}  {}", plugin.stamp().id.as_str(), manifest.version, plugin.path().display()));
        say(format_args!("  groups: {}", groups.join(", ")));
        let mode = match plugin.mode() {
            Mode::InProcess => "in the server's process",
            Mode::Child => "in processes of its own",
        };
        say(format_args!("  {}; runs {mode}", plugin.trust()));
    }
    let mut complaints: Vec<String> = registry.failures().iter().map(ToString::to_string).collect();
    let missing = config.plugins.required.iter().filter(|id| registry.plugin(id).is_none());
    complaints.extend(missing.map(|id| format!("the required plugin `{id}` is not loaded")));
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(complaints.join("\n")))
}
