//! `linli plugin new`: the folder of a plugin to begin from.

use std::env;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use linli_plugin_host::tools::new::{self, NewError, Sdk, Wanted, Written};

use super::{Failure, say};

/// What to make.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  linli plugin new --group chronic-illness --zh 慢性病患者 ./chronic-illness\n  linli plugin new --connector town-hall ./town-hall"
)]
pub struct New {
    #[command(flatten)]
    what: What,
    /// Its Chinese name.
    #[arg(long, value_name = "NAME")]
    zh: Option<String>,
    /// Its English name.
    #[arg(long, value_name = "NAME")]
    en: Option<String>,
    /// The language of the rules of a group; connectors begin in Rust.
    #[arg(long, value_name = "LANG", value_enum, default_value = "rust", conflicts_with = "connector")]
    lang: Lang,
    /// Rust only: the folder of `linli-plugin-sdk`, or its version; without it a checkout is looked for around here.
    #[arg(long, value_name = "PATH|VERSION")]
    sdk: Option<String>,
    /// The folder to make; it must not hold anything yet.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Rules of a care group, such as `chronic-illness`.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// A connector to bodies outside the company, such as `town-hall`.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    /// Rust, with the SDK.
    Rust,
    /// C11, with one header.
    C,
}

impl New {
    /// Makes the folder and says what to type next.
    ///
    /// # Errors
    /// Where the folder holds something, the name is not usable, or no SDK is found.
    pub fn run(self) -> Result<(), Failure> {
        let Self { what: What { group, connector }, zh, en, lang, sdk, folder } = self;
        let (name, written) = match (connector, lang) {
            (Some(name), _) => (name, Written::Connector),
            (None, Lang::Rust) => (group.unwrap_or_default(), Written::Rust),
            (None, Lang::C) => (group.unwrap_or_default(), Written::C),
        };
        let sdk = match sdk {
            Some(text) => Some(Sdk::parse(&text).map_err(|what| Failure::Usage(format!("`--sdk`: {what}")))?),
            None => Sdk::nearest(
                &[env::current_dir(), env::current_exe()].into_iter().flatten().collect::<Vec<_>>(),
            ),
        };
        let wanted = Wanted { name, zh, en, folder, written, sdk };
        let (made, next) = new::make(&wanted).map_err(|error| match error {
            NewError::Unfit(_) => Failure::Usage(error.to_string()),
            NewError::Taken(_) | NewError::Io(_, _) => Failure::Failed(error.to_string()),
        })?;
        for path in made {
            say(format_args!("made {}", path.display()));
        }
        say("next:");
        for line in next {
            say(format_args!("  {line}"));
        }
        Ok(())
    }
}
