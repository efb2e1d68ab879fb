//! `linli plugin inspect`: what a plugin is and may say, without running it.

use std::path::PathBuf;

use clap::Args;
use linli_plugin_host::tools::inspect;
use linli_plugin_host::tools::place::Place;

use super::{Failure, Language, say};

/// What to look at.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  linli plugin inspect --lang zh /srv/linli/plugins/elderly")]
pub struct Inspect {
    /// The plugin's folder, or its library.
    #[arg(value_name = "FOLDER|LIBRARY")]
    plugin: PathBuf,
    /// The language of names and texts.
    #[arg(long, value_name = "LANG", value_enum, default_value = "en")]
    lang: Language,
}

impl Inspect {
    /// Prints what the files say.
    ///
    /// # Errors
    /// Where there is no plugin, or its manifest is not well-formed.
    pub fn run(self) -> Result<(), Failure> {
        let place = Place::find(&self.plugin).map_err(|error| Failure::Usage(error.to_string()))?;
        let text = inspect::inspect(&place, self.lang.into()).map_err(Failure::Failed)?;
        say(text.trim_end());
        Ok(())
    }
}
