//! `linli plugin bench`: what a plugin costs for one resident, share by share.

use std::path::PathBuf;

use clap::Args;
use linli_plugin_host::Mode;
use linli_plugin_host::tools::bench;
use linli_plugin_host::tools::place::Place;

use super::{Failure, say};

/// What to measure.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  linli plugin bench --rows 1000000 ./chronic-illness")]
pub struct Bench {
    /// The folders of plugins, or their libraries.
    #[arg(value_name = "FOLDER|LIBRARY", required = true)]
    plugins: Vec<PathBuf>,
    /// Made-up residents.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    rows: usize,
    /// Rounds; the best of each share counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: usize,
}

impl Bench {
    /// Measures in both places where a plugin may run.
    ///
    /// # Errors
    /// Where there is no plugin, or it does not answer.
    pub fn run(self) -> Result<(), Failure> {
        if cfg!(debug_assertions) {
            say("this is a debug build: the figures say nothing about a release");
        }
        say(format_args!("{} residents, best of {} rounds, ns for one resident:", self.rows, self.rounds));
        say(
            "plugin                        mode         encode   call   read  total   facts statements   seconds",
        );
        for path in &self.plugins {
            let place = Place::find(path).map_err(|error| Failure::Usage(error.to_string()))?;
            for (mode, name) in [(Mode::InProcess, "in process"), (Mode::Child, "child")] {
                let plugin = place.open(mode).map_err(|failure| Failure::Failed(failure.to_string()))?;
                let figures = bench::bench(&plugin, self.rows, self.rounds)
                    .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
                say(format_args!(
                    "{:<29} {name:<11} {:>7.1} {:>6.1} {:>6.1} {:>6.1} {:>7.1} {:>10.2} {:>9.3}",
                    figures.plugin,
                    figures.encode_ns,
                    figures.call_ns,
                    figures.read_ns,
                    figures.total_ns(),
                    figures.facts,
                    figures.statements,
                    figures.total_ns() * self.rows as f64 / 1e9,
                ));
            }
        }
        Ok(())
    }
}
