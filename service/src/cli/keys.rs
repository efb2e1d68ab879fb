//! `linli keys init`: makes the root key, once.

use clap::Subcommand;
use linli_store::RootKey;

use super::{ConfigFile, Failure, say};
use crate::config::{Flags, SecretRef};
use crate::server::assemble::{OsRandom, make_folder_of};
use crate::server::process;

/// Care for the root key.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the root key where `keys.root_key_file` says. An existing one is never touched.
    Init(ConfigFile),
}

impl KeysCommand {
    /// Makes the key.
    ///
    /// # Errors
    /// Where a key exists, or the file cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Init(file) => init(&file),
        }
    }
}

fn init(file: &ConfigFile) -> Result<(), Failure> {
    process::harden();
    let config = file.load(&Flags::default())?;
    let SecretRef::File(path) = &config.keys else {
        return Err(Failure::Usage(
            "`keys.root_key_env` names a variable: set `keys.root_key_file` instead".into(),
        ));
    };
    let shown = path.display();
    if path.exists() {
        return Err(Failure::Failed(format!("`{shown}` exists and stays as it is")));
    }
    let made = make_folder_of(path).and_then(|()| RootKey::from_file_or_new(path, &OsRandom).map(drop));
    made.map_err(|err| Failure::Failed(err.to_string()))?;
    say(format_args!("made `{shown}`: keep a copy in a safe, without it nothing can be read again"));
    Ok(())
}
