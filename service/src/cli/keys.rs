//! `linli keys`: makes root keys, and has a server replace its keys.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use linli_core::text::Language;
use linli_core::time::Clock as _;
use linli_store::RootKey;

use super::connect::{Connect, refused};
use super::output::{Lang, Progress};
use super::{ConfigFile, Failure, say};
use crate::config::{Flags, SecretRef};
use crate::grpc::client::ClientError;
use crate::server::assemble::{OsRandom, make_folder_of};
use crate::server::process;
use crate::time::{IdSource as _, RandomIds, SystemClock};

/// How often the server is asked how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Care for the keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the root key where `keys.root_key_file` says. An existing one is never touched.
    Init(Init),
    /// Have a server replace its keys while it serves: those of sites and care files, and the root key where that is asked for.
    Rotate(Rotate),
}

/// Make a root key.
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    file: ConfigFile,
    /// The one that is to follow the one in use, where `keys.next_root_key_file` says.
    #[arg(long)]
    next: bool,
}

/// Have a server replace its keys.
#[derive(Debug, Args)]
#[command(after_help = ROTATE)]
pub struct Rotate {
    #[command(flatten)]
    connect: Connect,
    /// The next root key (`linli keys init --next`) follows the one in use, which opens nothing from then on.
    #[arg(long)]
    replace_root_key: bool,
    /// Language of messages; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

const ROTATE: &str = "\
It may be broken off: the server goes on by itself, and the next `linli keys rotate` waits for that end. The caller needs the leader's
role for every site.

Exit code: 0 every key was replaced and the older ones are gone, 1 the server refused or cannot be reached, 2 an option is wrong.";

impl KeysCommand {
    /// Runs it.
    ///
    /// # Errors
    /// Where a key exists, a file cannot be written, or the server refuses.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Init(init) => init.run(),
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

impl Init {
    fn run(&self) -> Result<(), Failure> {
        process::harden();
        let config = self.file.load(&Flags::default())?;
        let place = if self.next { config.next_root_key.as_ref() } else { Some(&config.keys) };
        let Some(SecretRef::File(path)) = place else {
            return Err(Failure::Usage(if self.next {
                "the next root key is no file: set `keys.next_root_key_file`".into()
            } else {
                "`keys.root_key_env` names a variable: set `keys.root_key_file` instead".into()
            }));
        };
        make(path)
    }
}

fn make(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    if path.exists() {
        return Err(Failure::Failed(format!("`{shown}` exists and stays as it is")));
    }
    let made = make_folder_of(path).and_then(|()| RootKey::from_file_or_new(path, &OsRandom).map(drop));
    made.map_err(|err| Failure::Failed(err.to_string()))?;
    say(format_args!("made `{shown}`: keep a copy in a safe, without it nothing can be read again"));
    Ok(())
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let client = self.connect.client(language).await?;
        let request_id = RandomIds::new().next(SystemClock.now());
        let refused = |err| refused(&err, language);
        let begun = client.rotate_keys(self.replace_root_key, &request_id).await;
        let mut state = match begun {
            // One that is under way is followed to its end.
            Err(ClientError::Refused { reason, .. })
                if reason == "KEY_ROTATION_STATE"
                    && !self.replace_root_key
                    && client.key_progress().await.is_ok_and(|progress| !progress.finished) =>
            {
                client.key_progress().await
            }
            begun => begun,
        }
        .map_err(refused)?;
        let mut progress = Progress::new(
            match language {
                Language::Zh => "轮换密钥",
                Language::En => "replacing keys",
            },
            state.scopes_total,
        );
        let mut done = 0;
        while !state.finished {
            tokio::time::sleep(ASK_AGAIN).await;
            state = client.key_progress().await.map_err(refused)?;
            progress.advance(state.scopes_finished.saturating_sub(done));
            done = done.max(state.scopes_finished);
        }
        progress.finish();
        say(match language {
            Language::Zh => "所有密钥已轮换,旧密钥已删除",
            Language::En => "every key was replaced, and the older ones are gone",
        });
        if self.replace_root_key {
            say(match language {
                Language::Zh => {
                    "请将新根密钥移到 `keys.root_key_file` 处并妥善备份;旧根密钥已无法解密任何内容"
                }
                Language::En => {
                    "put the next root key in the place of the old one (`keys.root_key_file`) and a copy of it in a safe; \
                     the old one opens nothing any more, but backups of the key store from before"
                }
            });
        }
        Ok(())
    }
}
