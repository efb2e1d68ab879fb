//! The subcommands of `linli`. Each is a struct of its options with `async fn run(self)`.
//!
//! Results go to standard output, logs and complaints to standard error. Exit codes: 0 done, 1 failed, 2 the command
//! line or the configuration is wrong, 70 the store failed.

pub mod audit;
pub mod backup;
pub mod config_check;
pub mod connect;
pub mod demo;
pub mod export;
pub mod import;
pub mod keys;
pub mod migrate;
mod output;
pub mod plugin;
pub mod policy;
mod report;
pub mod restore;
mod sealed_file;
pub mod serve;
pub mod site_report;

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Flags};
use crate::server::StartError;
use crate::server::assemble::AssembleError;

/// Linli keeps the care files, standards, duties and records of residents who need special care.
#[derive(Debug, Parser)]
#[command(name = "linli", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  linli demo                             a made-up estate, walked through three weeks
  linli serve --dev                      try it out: data in ./linli-data, a token is printed
  linli serve --config /etc/linli.toml   serve what the file describes
  linli import --site xingfuli FILE      read a roster into the care files of a site
  linli plugin new --group tea-masters F begin a plugin for a care group of your own
  linli config check --config linli.toml say everything that is wrong with a configuration
  linli config default > linli.toml      every setting with its meaning";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the gRPC API.
    Serve(serve::Serve),
    /// Walk a made-up estate through three weeks and show what its manager sees.
    Demo(demo::Demo),
    /// Read a roster (.xlsx or .csv) into the care files of a site.
    Import(import::Import),
    /// Write the care files of a site into a sealed file, or open one.
    Export(Box<export::Export>),
    /// Write the report of a month or a quarter as a page or a workbook.
    Report(site_report::SiteReport),
    /// Bring the database's schema up to date, and end.
    Migrate(migrate::Migrate),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config_check::ConfigCommand),
    /// Have a server make a backup of its database and keys while it serves.
    Backup(backup::Backup),
    /// Put a backup in the place of a lost store.
    Restore(restore::Restore),
    /// Care for the keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Verify and export the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Who may do what, and why.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Make, check, measure and look at plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
}

impl Cli {
    /// Reads the command line, runs the command and says how it went.
    pub async fn main() -> ExitCode {
        let cli = match Self::try_parse() {
            Ok(cli) => cli,
            Err(err) => {
                // Help and version come this way, too, with the code 0.
                let _ = err.print();
                return ExitCode::from(u8::try_from(err.exit_code()).unwrap_or(2));
            }
        };
        match cli.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let _ = writeln!(std::io::stderr(), "linli: {failure}");
                ExitCode::from(failure.code())
            }
        }
    }

    async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(command) => command.run().await,
            Command::Demo(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Export(command) => command.run().await,
            Command::Report(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
            Command::Config(command) => command.run(),
            Command::Backup(command) => command.run().await,
            Command::Restore(command) => command.run().await,
            Command::Keys(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Policy(command) => command.run().await,
            Command::Plugin(command) => command.run(),
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the configuration is wrong.
    Usage(String),
    /// Something else went wrong.
    Failed(String),
    /// The store cannot be opened, or has failed.
    Store(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Store(_) => 70,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Store(text) => f.write_str(text),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(err: ConfigError) -> Self {
        Self::Usage(format!("the configuration is not usable\n{err}"))
    }
}

impl From<StartError> for Failure {
    fn from(err: StartError) -> Self {
        Self::Failed(err.to_string())
    }
}

impl From<AssembleError> for Failure {
    fn from(err: AssembleError) -> Self {
        match err {
            AssembleError::Store(_) => Self::Store(err.to_string()),
            AssembleError::Secret(_)
            | AssembleError::Sealed(_)
            | AssembleError::RootKey(_)
            | AssembleError::TrustStore(_)
            | AssembleError::Unprotected(_)
            | AssembleError::Keys(_)
            | AssembleError::Channels(_)
            | AssembleError::AnswerKey(_)
            | AssembleError::Policy(_) => Self::Usage(err.to_string()),
            AssembleError::Plugins(_)
            | AssembleError::Remember(_)
            | AssembleError::Answers(..)
            | AssembleError::Audit(_)
            | AssembleError::NoRandomness => Self::Failed(err.to_string()),
        }
    }
}

/// `--config`, for every command that reads it.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigFile {
    /// The configuration; without it the defaults hold. `linli config default` shows every key.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// The configuration with the environment and the options laid over it.
    ///
    /// # Errors
    /// [`Failure::Usage`] with everything that is wrong.
    pub fn load(&self, flags: &Flags) -> Result<Config, Failure> {
        // A variable that is not text cannot be one of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Config::load(self.config.as_deref(), environment, flags)?)
    }
}

/// A line on standard output. Nobody listening is no failure.
pub fn say(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes() {
        let check = |failure: Failure, expect: u8| assert_eq!(failure.code(), expect, "{failure}");
        check(ConfigError(Vec::new()).into(), 2);
        check(AssembleError::Secret("x".into()).into(), 2);
        check(AssembleError::Plugins("x".into()).into(), 1);
        check(StartError::Descriptors.into(), 1);
        check(AssembleError::Store(linli_store::OpenError::SqliteBuild).into(), 70);
    }
}
