//! `linli plugin …`: for those who write plugins (`new`, `check`, `bench`, `inspect`, `keygen`, `sign`) and those who run
//! them (`inspect`, `list`). The tools themselves are in `linli_plugin_host::tools`; here are their options and their words.

mod bench;
mod check;
mod inspect;
mod list;
mod new;
mod sign;

use clap::{Subcommand, ValueEnum};
use linli_core::text;

use super::{Failure, say};

/// Make, check and look at plugins.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum PluginCommand {
    /// Make the folder of a new plugin, which builds and passes its checks, to begin from.
    New(new::New),
    /// Hold a plugin to every rule of the plugin interface, each in a process of its own.
    Check(check::Check),
    /// Look at one rule, in this process: what `check` starts.
    #[command(hide = true)]
    CheckRule(check::CheckRule),
    /// Measure what plugins cost for one resident, in this process and in one of their own.
    Bench(bench::Bench),
    /// Say what a plugin is, reads, may say and asks for, without running it.
    Inspect(inspect::Inspect),
    /// Sign a plugin's files, for those who trust your key.
    Sign(sign::Sign),
    /// Make a key to sign plugins with.
    Keygen(sign::Keygen),
    /// Load the plugins as a server would, and list what was found and what was refused, and why.
    List(list::List),
}

const EXAMPLES: &str = "\
Examples:
  linli plugin new --group chronic-illness ./chronic-illness   a plugin in Rust, to begin from
  linli plugin new --group convalescent --lang c ./convalescent the same in C
  linli plugin new --connector town-hall ./town-hall            a connector to a body's system
  linli plugin check ./chronic-illness                          after building it
  linli plugin bench ./chronic-illness                          ns for one resident, share by share
  linli plugin inspect --lang zh ./chronic-illness              what it reads, says and asks for
  linli plugin keygen --out vendor.key                          a key to sign with, once
  linli plugin sign --key vendor.key ./chronic-illness          so that servers that trust the key load it
  linli plugin list --config /etc/linli.toml                    what a server would load";

impl PluginCommand {
    /// Does it.
    ///
    /// # Errors
    /// Of each command.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::CheckRule(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Keygen(command) => command.run(),
            Self::List(command) => command.run(),
        }
    }
}

/// The language of a text for people.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl From<Language> for text::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::Zh => Self::Zh,
            Language::En => Self::En,
        }
    }
}
