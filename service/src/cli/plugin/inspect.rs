//! `linli plugin inspect`: what a plugin is and may say, without running it.

use std::path::PathBuf;

use clap::Args;
use linli_core::text;
use linli_core::time::{Clock as _, SiteZone};
use linli_plugin_host::tools::inspect;
use linli_plugin_host::tools::place::Place;
use linli_plugin_host::trust::{self, TrustState, TrustStore};

use super::{Failure, Language, say};
use crate::time::SystemClock;

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
    /// The trust store of the server, to see whether it would trust the files.
    #[arg(long, value_name = "FILE")]
    trust_store: Option<PathBuf>,
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
        if self.plugin.is_dir() {
            let store = match &self.trust_store {
                None => TrustStore::default(),
                Some(path) => TrustStore::open(path)
                    .map_err(|error| Failure::Usage(format!("`{}`: {error}", path.display())))?,
            };
            let today = SiteZone::SHANGHAI.date_of(SystemClock.now());
            let seen = trust::inspect(&self.plugin, &store, today)
                .map_err(|failure| Failure::Failed(failure.to_string()))?;
            let (heading, words) = match self.lang.into() {
                text::Language::En => ("trust", seen.state.as_ref().map(ToString::to_string)),
                text::Language::Zh => ("信任", seen.state.as_ref().map(in_chinese)),
            };
            say(heading);
            say(format_args!("  {}", words.or_else(|| Some(seen.problem?.to_string())).unwrap_or_default()));
        }
        Ok(())
    }
}

fn in_chinese(state: &TrustState) -> String {
    match state {
        TrustState::Signed { key, owner } => format!("由 {owner} 签名（密钥 {key}）"),
        TrustState::Development => "本程序自身构建".to_owned(),
        TrustState::Unsigned => "未签名".to_owned(),
        TrustState::Modified { file } => format!("`{file}` 与签名时不同"),
        TrustState::UnknownKey { key } => format!("签名密钥 {key} 不在信任清单中"),
        TrustState::ExpiredKey { key, owner } => format!("由 {owner} 签名，密钥 {key} 今日不在有效期内"),
        TrustState::Revoked { file } => format!("`{file}` 已被运营方撤销"),
        TrustState::NotGranted { key, owner, what } => {
            format!("由 {owner} 签名（密钥 {key}），但未获授权：{what}")
        }
    }
}
