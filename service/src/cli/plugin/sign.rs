//! `linli plugin sign` and `linli plugin keygen`: who vouches for a plugin's files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use linli_plugin_host::trust::{self, LOCK_FILE, SIGNATURE_FILE, SecretKey};
use linli_store::Random as _;

use super::{Failure, say};
use crate::server::assemble::OsRandom;

/// What to sign.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  linli plugin sign --key vendor.key /srv/linli/plugins/chronic-illness")]
pub struct Sign {
    /// The plugin's folder, as it will be installed: `plugin.toml` and a library for each machine.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The secret key, as `linli plugin keygen` made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Sign {
    /// Writes `plugin.lock` and `plugin.lock.sig`.
    ///
    /// # Errors
    /// Where a file is missing or could never be loaded, or the key cannot be used.
    pub fn run(self) -> Result<(), Failure> {
        let key = SecretKey::open(&self.key)
            .map_err(|error| Failure::Usage(format!("`{}`: {error}", self.key.display())))?;
        let lock =
            trust::lock_folder(&self.folder).map_err(|failure| Failure::Failed(failure.to_string()))?;
        let text = lock.to_string();
        let signature = trust::sign(text.as_bytes(), &key);
        write(&self.folder.join(LOCK_FILE), &text)?;
        write(&self.folder.join(SIGNATURE_FILE), &signature.to_string())?;
        say(format_args!("signed {} {} with the key {}", lock.id, lock.version, signature.key()));
        say(format_args!("  plugin.toml {}", lock.manifest));
        for library in &lock.libraries {
            say(format_args!("  {} {}", library.path, library.digest));
        }
        Ok(())
    }
}

/// A new file in place of an old one: nobody reads half of it.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.map_err(|error: io::Error| {
        Failure::Failed(format!("`{}` cannot be written: {error}", path.display()))
    })
}

/// Where to write the key.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  linli plugin keygen --out vendor.key")]
pub struct Keygen {
    /// The file of the secret key; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Keygen {
    /// Makes a key pair: the secret half goes to the file, the public half is printed.
    ///
    /// # Errors
    /// Where the file exists or cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        let mut random = [0; 32];
        OsRandom
            .fill(&mut random)
            .map_err(|_| Failure::Failed("the system gives no random numbers".to_owned()))?;
        let key = trust::generate(random);
        let shown = self.out.display();
        key.save(&self.out).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Failed(format!("`{shown}` exists and stays as it is")),
            _ => Failure::Failed(format!("`{shown}` cannot be written: {error}")),
        })?;
        let public = key.public();
        say(format_args!(
            "made `{shown}`, key {}: keep it where plugins are built, not on servers",
            public.id()
        ));
        say("for the trust store of whoever runs your plugins (narrow it to what they run):");
        say("");
        say("[[key]]");
        say("owner = \"your name\"");
        say(format_args!("public = \"{}\"", public.to_base64()));
        say("plugins = [\"cn.example.*\"]");
        say("interfaces = [\"linli.rules/1\"]");
        say("in_process = false");
        Ok(())
    }
}
