//! `linli audit`: verifies the audit log without a server, and exports it. Needs no root key.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ed25519_dalek::VerifyingKey;
use linli_store::{AUDIT_PAGE_MAX, Ledger};
use secrecy::ExposeSecret as _;

use super::{ConfigFile, Failure, say};
use crate::audit::verify::Anchors;
use crate::audit::{AuditError, key};
use crate::config::{Backend, Config, Flags};
use crate::hex::hex;

/// Verify and export the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show whether anything in the log was changed, dropped, inserted, reordered or cut off, and where. Exit code 1: something
    /// was.
    Verify(Verify),
    /// Write every entry as a line of JSON.
    Export(Source),
    /// Print the public key of the anchors.
    Key(ConfigFile),
}

/// Which log.
#[derive(Debug, Args)]
pub struct Source {
    #[command(flatten)]
    file: ConfigFile,
    /// A SQLite file in place of the configured database.
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
}

/// Show whether anything in the log was changed.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    source: Source,
    /// A file of anchors in place of the configured one.
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
    /// The public key of the anchors, 64 hexadecimal digits, in place of that of the configured key file.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// An anchor that was kept elsewhere, such as from `GetCheckpoint`, as `NUMBER:ROOT`: it must be there, and the same.
    #[arg(long, value_name = "NUMBER:ROOT")]
    known: Vec<String>,
}

impl AuditCommand {
    /// Runs it.
    ///
    /// # Errors
    /// [`Failure::Failed`] with the first flaw; what cannot be opened.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Verify(command) => command.run().await,
            Self::Export(source) => source.export().await,
            Self::Key(file) => {
                let config = file.load(&Flags::default())?;
                say(hex(configured_key(&config)?.as_bytes()));
                Ok(())
            }
        }
    }
}

impl Verify {
    async fn run(self) -> Result<(), Failure> {
        let config = self.source.file.load(&Flags::default())?;
        let public = match &self.key {
            Some(text) => key::public(text).ok_or_else(|| {
                Failure::Usage("`--key` takes 64 hexadecimal digits of a public key".into())
            })?,
            None => configured_key(&config)?,
        };
        let path = self.anchors.as_ref().unwrap_or(&config.audit.anchor_file);
        let text = std::fs::read_to_string(path)
            .map_err(|err| Failure::Usage(format!("`{}`: {err}", path.display())))?;
        let anchors = Anchors::read(&text, Some(&public)).map_err(|flaw| failed(flaw.into()))?;
        for known in &self.known {
            is_known(&anchors, known)?;
        }
        let ledger = self.source.ledger(&config).await?;
        let verified = anchors.verify(&ledger, &public).await.map_err(failed)?;
        say(format_args!(
            "intact: {} entries in {} chains, {} anchors; {} entries after the last anchor",
            verified.entries, verified.chains, verified.anchors, verified.unanchored
        ));
        Ok(())
    }
}

/// Whether an anchor that was kept elsewhere is in the file.
fn is_known(anchors: &Anchors, known: &str) -> Result<(), Failure> {
    let usage = || Failure::Usage(format!("`{known}` is not an anchor's number, a colon and its root"));
    let (number, root) = known.split_once(':').ok_or_else(usage)?;
    let number: u64 = number.parse().map_err(|_| usage())?;
    match anchors.all().iter().find(|anchor| anchor.number == number) {
        Some(anchor) if hex(&anchor.root) == root => Ok(()),
        Some(_) => Err(Failure::Failed(format!("anchor {number}: is another one than was kept elsewhere"))),
        None => Err(Failure::Failed(format!("anchor {number}: is missing: it was kept elsewhere"))),
    }
}

impl Source {
    async fn ledger(&self, config: &Config) -> Result<Ledger, Failure> {
        let opened = match (&self.database, &config.store.backend) {
            (Some(path), _) | (None, Backend::Sqlite { path, .. }) => Ledger::sqlite(path).await,
            (None, Backend::Postgres { url, .. }) => {
                let url = url.read().map_err(Failure::Usage)?;
                Ledger::postgres(url.expose_secret()).await
            }
        };
        opened.map_err(|err| Failure::Store(err.to_string()))
    }

    async fn export(self) -> Result<(), Failure> {
        let config = self.file.load(&Flags::default())?;
        let ledger = self.ledger(&config).await?;
        let store = |err| failed(AuditError::Store(err));
        for site in ledger.sites().await.map_err(store)? {
            let mut after = 0;
            loop {
                let entries = ledger.entries(&site, after, AUDIT_PAGE_MAX).await.map_err(store)?;
                let Some(last) = entries.last() else { break };
                after = last.seq;
                for entry in &entries {
                    let (hash, body) = (hex(&entry.hash), hex(&entry.body));
                    let seq = entry.seq;
                    say(format_args!(
                        "{{\"site\":\"{site}\",\"seq\":{seq},\"hash\":\"{hash}\",\"body\":\"{body}\"}}"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn configured_key(config: &Config) -> Result<VerifyingKey, Failure> {
    let key = key::open(&config.audit.anchor_key_file).map_err(|err| Failure::Usage(err.to_string()))?;
    Ok(key.verifying_key())
}

fn failed(error: AuditError) -> Failure {
    match error {
        AuditError::Flaw(flaw) => Failure::Failed(format!("the audit log is not what it was: {flaw}")),
        AuditError::Store(_) => Failure::Store(error.to_string()),
        AuditError::File { .. } => Failure::Failed(error.to_string()),
    }
}
