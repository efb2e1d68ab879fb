//! `linli plugin check`: holds a plugin to every rule of the plugin interface.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use linli_plugin_host::tools::check::{self, Settings};
use linli_plugin_host::tools::place::Place;
use linli_store::Random as _;

use super::{Failure, say};
use crate::server::assemble::OsRandom;

/// What to check.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  linli plugin check .\n  linli plugin check --quick --seed 7 ./chronic-illness"
)]
pub struct Check {
    /// The plugin's folder, or its library.
    #[arg(value_name = "FOLDER|LIBRARY")]
    plugin: PathBuf,
    /// What made-up residents are made from; without it a new one, which is printed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Fewer batches and calls, for while you write.
    #[arg(long)]
    quick: bool,
}

/// What `check` asks a process of its own.
#[derive(Debug, Args)]
pub struct CheckRule {
    #[arg(allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Check {
    /// Checks and prints what came of every rule.
    ///
    /// # Errors
    /// Where there is no plugin, or a rule is broken.
    pub fn run(self) -> Result<(), Failure> {
        let place = Place::find(&self.plugin).map_err(|error| Failure::Usage(error.to_string()))?;
        let program =
            env::current_exe().map_err(|error| Failure::Failed(format!("this program: {error}")))?;
        let settings = Settings {
            seed: self.seed.map_or_else(seed, Ok)?,
            quick: self.quick,
            program: (program, vec!["plugin".into(), "check-rule".into(), "--".into()]),
        };
        let report = check::run(&place, &settings);
        say(&report);
        if report.passed() {
            return Ok(());
        }
        let broken: Vec<&str> = report.broken().collect();
        Err(Failure::Failed(format!(
            "the plugin breaks rules of the plugin interface: {}",
            broken.join(", ")
        )))
    }
}

impl CheckRule {
    /// Looks at the rule.
    ///
    /// # Errors
    /// Where the arguments are not those of `check`.
    pub fn run(self) -> Result<(), Failure> {
        if check::answer(&self.arguments) {
            return Ok(());
        }
        Err(Failure::Usage("this is for `linli plugin check` to call".to_owned()))
    }
}

fn seed() -> Result<u64, Failure> {
    // Short enough to type again.
    let mut bytes = [0; 4];
    OsRandom
        .fill(&mut bytes)
        .map_err(|_| Failure::Failed("the system gives no random numbers".to_owned()))?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}
