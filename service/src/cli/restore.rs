//! `linli restore`: a backup becomes a store again, on this machine or another one. Opens files; no server may run on them.
//!
//! ```text
//! unpack (every chunk authenticated) ── verify the audit log from its beginning against the anchors
//!   ── erase again who was erased since ── note in the audit log what is restored ── put it in place
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use ed25519_dalek::VerifyingKey;
use linli_core::time::{Clock as _, Instant};
use linli_store::{BackupError, Ledger, unpack};

use super::{ConfigFile, Failure, say};
use crate::app::erasure::{Restored, erase_again};
use crate::audit::anchor::Anchor;
use crate::audit::verify::Anchors;
use crate::audit::{AuditError, erasures, key};
use crate::config::{Backend, Config, Flags};
use crate::hex::hex;
use crate::server::assemble::{make_folder_of, open_store, root_key};
use crate::server::process;
use crate::telemetry;
use crate::time::SystemClock;

/// Put a backup in the place of a lost store.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// The backup.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// Go on although anchors were made after the backup: what was written since is lost. They are put aside.
    #[arg(long)]
    older: bool,
    /// The public key of the anchors, 64 hexadecimal digits, in place of that of the configured key file.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A further ledger of erasures beside `audit.erasure_file`, such as another server's.
    #[arg(long, value_name = "FILE")]
    erasures: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
What it needs lies where the configuration says: the root key (`keys.root_key_file`), the anchors (`audit.anchor_file`) with their
key, and the ledger of erasures (`audit.erasure_file`): the newest copies there are. `store.sqlite.path` must be free.

Exit code: 0 it is restored, 1 the backup or its audit log is not what it should be, or anchors were made after it, 2 the
configuration or the root key is wrong, 70 the store cannot be opened.";

impl Restore {
    /// Restores, or leaves nothing.
    ///
    /// # Errors
    /// Everything that speaks against it.
    pub async fn run(self) -> Result<(), Failure> {
        process::harden();
        let config = self.file.load(&Flags { migrate: true, ..Flags::default() })?;
        telemetry::init(&config.log);
        let Backend::Sqlite { path, .. } = &config.store.backend else {
            return Err(Failure::Usage("backups are of SQLite: `store.backend` must be `sqlite`".into()));
        };
        let places = Places::of(path);
        places.must_be_free()?;
        let root = root_key(&config)?;
        let public = match &self.key {
            Some(text) => key::public(text).ok_or_else(|| {
                Failure::Usage("`--key` takes 64 hexadecimal digits of a public key".into())
            })?,
            None => {
                let key = key::open(&config.audit.anchor_key_file);
                key.map_err(|err| Failure::Usage(err.to_string()))?.verifying_key()
            }
        };
        let erased = self.erased(&config)?;
        make_folder_of(path).map_err(|err| Failure::Failed(err.to_string()))?;
        let digest = unpack(&self.backup, &root, &places.unpacked).map_err(|err| self.unusable(&err))?;
        let made = self.made_whole(&config, &public, &places, digest, &erased).await;
        let (kept, again) = match made {
            Ok(made) => made,
            Err(failure) => {
                places.clear();
                return Err(failure);
            }
        };
        if let Some(kept) = kept {
            kept.put_aside(&config.audit.anchor_file)?;
        }
        places
            .take()
            .map_err(|err| Failure::Failed(format!("the store cannot be put in its place: {err}")))?;
        say(format_args!("restored `{}`; {again} erased again", path.display()));
        Ok(())
    }

    /// Verifies what was unpacked, and erases again who was erased since: before anybody can serve it.
    async fn made_whole(
        &self,
        config: &Config,
        public: &VerifyingKey,
        places: &Places,
        digest: [u8; 32],
        erased: &[erasures::Erased],
    ) -> Result<(Option<Kept>, usize), Failure> {
        let kept = self.verified(config, public, &places.unpacked).await?;
        let mut apart = config.clone();
        if let Backend::Sqlite { path, .. } = &mut apart.store.backend {
            path.clone_from(&places.unpacked);
        }
        Ok((kept, finish(&apart, digest, erased).await?))
    }

    /// Everybody who was erased, by every ledger.
    fn erased(&self, config: &Config) -> Result<Vec<erasures::Erased>, Failure> {
        let ledgers = std::iter::once(&config.audit.erasure_file).chain(&self.erasures);
        let mut erased = Vec::new();
        for ledger in ledgers {
            if !ledger.exists() {
                return Err(Failure::Usage(format!(
                    "`{}` is not there: without the ledger of erasures, people who were erased would come back; an empty file says \
                     that nobody was",
                    ledger.display()
                )));
            }
            erased.extend(erasures::read(ledger).map_err(|err| Failure::Usage(err.to_string()))?);
        }
        Ok(erased)
    }

    /// Whether the log in the backup is whole and fits the anchors; the anchors that are kept where later ones were made.
    async fn verified(
        &self,
        config: &Config,
        public: &VerifyingKey,
        database: &Path,
    ) -> Result<Option<Kept>, Failure> {
        let file = &config.audit.anchor_file;
        let text = std::fs::read_to_string(file)
            .map_err(|err| Failure::Usage(format!("`{}`: {err}", file.display())))?;
        let anchors = Anchors::read(&text, Some(public)).map_err(|flaw| failed(flaw.into()))?;
        let ledger = Ledger::sqlite(database).await.map_err(|err| Failure::Store(err.to_string()))?;
        let verified = held(&ledger, &anchors, public).await;
        ledger.close().await;
        let held = verified.map_err(failed)?;
        let all = anchors.all();
        let (Some(last), true) = (all.last(), held < all.len()) else { return Ok(None) };
        let ends = held.checked_sub(1).and_then(|at| all.get(at)).map_or_else(
            || "before the first anchor".to_owned(),
            |anchor| format!("after anchor {} of {}", anchor.number, time(anchor.time)),
        );
        let lost = format!(
            "the backup is older than the last anchor: it ends {ends}, and the last is anchor {} of {}; what was written in between is \
             not in it",
            last.number,
            time(last.time)
        );
        if !self.older {
            return Err(Failure::Failed(format!("{lost}; `--older` restores it all the same")));
        }
        say(lost);
        Ok(Some(Kept { lines: all.iter().take(held).map(Anchor::line).collect(), last: last.number }))
    }

    fn unusable(&self, error: &BackupError) -> Failure {
        let text = format!("the backup `{}`: {error}", self.backup.display());
        match error {
            BackupError::WrongRootKey => Failure::Usage(text),
            BackupError::Damaged
            | BackupError::File { .. }
            | BackupError::Elsewhere
            | BackupError::NoRandomness
            | BackupError::Database(_) => Failure::Failed(text),
        }
    }
}

/// How many of the anchors the log reaches, all of which it fits from its beginning on.
async fn held(ledger: &Ledger, anchors: &Anchors, public: &VerifyingKey) -> Result<usize, AuditError> {
    let heads = ledger.heads().await?;
    let reached = |anchor: &&Anchor| {
        anchor.heads.iter().all(|head| heads.get(&head.site).is_some_and(|end| head.seq <= end.seq))
    };
    let held = anchors.all().iter().take_while(reached).count();
    anchors.first(held).verify(ledger, public).await?;
    Ok(held)
}

/// Anchors that the restored log fits, and the number of the last that it does not.
struct Kept {
    lines: Vec<String>,
    last: u64,
}

impl Kept {
    fn put_aside(&self, file: &Path) -> Result<(), Failure> {
        let mut aside = file.as_os_str().to_owned();
        aside.push(format!(".until-{}", self.last));
        let aside = PathBuf::from(aside);
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let moved = std::fs::rename(file, &aside).and_then(|()| std::fs::write(file, text));
        moved.map_err(|err| Failure::Failed(format!("`{}` cannot be put aside: {err}", file.display())))?;
        say(format_args!(
            "the anchors up to the last are kept in `{}`: give them to the auditor",
            aside.display()
        ));
        Ok(())
    }
}

/// Where the store will be, and where it is unpacked.
struct Places {
    database: PathBuf,
    unpacked: PathBuf,
}

impl Places {
    fn of(database: &Path) -> Self {
        let mut unpacked = database.as_os_str().to_owned();
        unpacked.push(".restoring");
        Self { database: database.to_owned(), unpacked: unpacked.into() }
    }

    fn keys(database: &Path) -> PathBuf {
        let mut keys = database.as_os_str().to_owned();
        keys.push(".keys");
        keys.into()
    }

    fn must_be_free(&self) -> Result<(), Failure> {
        for path in [&self.database, &Self::keys(&self.database)] {
            if path.exists() {
                return Err(Failure::Usage(format!(
                    "`{}` is there: a backup takes no store's place; move it away first",
                    path.display()
                )));
            }
        }
        self.clear(); // what a broken restore left
        Ok(())
    }

    fn clear(&self) {
        let unpacked = self.unpacked.display().to_string();
        for suffix in ["", "-wal", "-shm", ".lock", ".keys", ".keys-wal", ".keys-shm"] {
            drop(std::fs::remove_file(format!("{unpacked}{suffix}")));
        }
    }

    /// The keys first: a database without them would look like one whose keys were lost.
    fn take(&self) -> std::io::Result<()> {
        let unpacked = self.unpacked.display();
        for log in [format!("{unpacked}-wal"), format!("{unpacked}.keys-wal")] {
            if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
                return Err(std::io::Error::other(format!("`{log}` was not taken over")));
            }
        }
        std::fs::rename(Self::keys(&self.unpacked), Self::keys(&self.database))?;
        std::fs::rename(&self.unpacked, &self.database)?;
        self.clear();
        Ok(())
    }
}

/// Erases again who was erased, and notes the restoration; how many there were.
async fn finish(config: &Config, digest: [u8; 32], erased: &[erasures::Erased]) -> Result<usize, Failure> {
    let store = open_store(config).await?;
    let restored = Restored { now: SystemClock.now(), backup: hex(&digest) };
    let done = erase_again(&store, erased, &restored).await;
    store.close().await;
    done.map_err(|error| Failure::Store(format!("the erasures were not replayed: {error:?}")))
}

fn time(micros: i64) -> String {
    Instant::from_micros(micros)
        .map(|time| time.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn failed(error: AuditError) -> Failure {
    match error {
        AuditError::Flaw(flaw) => {
            Failure::Failed(format!("the audit log in the backup is not what it was: {flaw}"))
        }
        AuditError::Store(_) => Failure::Store(error.to_string()),
        AuditError::File { .. } => Failure::Failed(error.to_string()),
    }
}
