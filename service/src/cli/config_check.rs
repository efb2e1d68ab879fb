//! `linli config check` and `linli config default`.

use clap::Subcommand;

use super::{ConfigFile, Failure, say};
use crate::app::admin::calendar_years;
use crate::channel::Channels;
use crate::config::{DEFAULT, Flags};
use crate::server::limits::{self, Limit};

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with a configuration and the files of its calendar and channels, or the limits that it sets.
    /// Opens no database.
    Check(ConfigFile),
    /// Print every key with its default and its meaning, as a file to begin with.
    Default,
}

impl ConfigCommand {
    /// Checks or prints.
    ///
    /// # Errors
    /// [`Failure::Usage`] with every problem, one a line.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(file) => {
                let config = file.load(&Flags::default())?;
                for Limit { name, value, reason } in limits::table(&config.server) {
                    say(format_args!("{name:24} {value:>14}  {reason}"));
                }
                let years: Vec<_> =
                    calendar_years(&config.public_years).iter().map(ToString::to_string).collect();
                say(format_args!("public holidays are known for {}", years.join(", ")));
                let channels = Channels::read(config.community.channels_file.as_deref());
                let channels = channels.map_err(|problems| Failure::Usage(problems.join("\n")))?;
                for channel in channels.iter() {
                    say(format_args!("channel {}: {}", channel.name, channel.connector.as_str()));
                }
                say("the configuration is usable");
            }
            Self::Default => say(DEFAULT.trim_end()),
        }
        Ok(())
    }
}
