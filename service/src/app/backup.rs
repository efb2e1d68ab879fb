//! Backups: one encrypted file of database and keys, made while everything is read and written.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use linli_core::time::Instant;
use linli_store::{BackupError, Scope, UNFINISHED};
use tokio::sync::Mutex;

use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::hex::hex;

/// What every backup's name begins and ends with.
const PREFIX: &str = "linli-";
const SUFFIX: &str = ".backup";

/// Where backups are made.
#[derive(Debug)]
pub struct Backups {
    folder: PathBuf,
    /// One at a time: the second would only double the load.
    turn: Mutex<()>,
}

impl Backups {
    /// In this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, turn: Mutex::new(()) }
    }
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupView {
    /// The file on the server's machine.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// When it was begun (system clock): what was committed before is in it.
    pub made_at: Instant,
}

impl App {
    /// Makes a backup.
    ///
    /// # Errors
    /// [`Error::State`] on PostgreSQL, and while keys are being replaced; [`Error::StoreUnavailable`] where the disk does not
    /// take it; [`Error::Denied`].
    pub async fn backup(&self, call: &Call, repeat: Repeat<BackupView>) -> Result<Answer<BackupView>> {
        let work = self.begin(call, None).await?;
        let _turn = self.backups.turn.lock().await;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        if self.store.shared() {
            return Err(Error::State(StateConflict::BackupElsewhere));
        }
        let rotation = self.store.key_rotation(&Scope::System).await?;
        if rotation.as_ref().is_some_and(|rotation| rotation.finished_at.is_none()) {
            return Err(Error::State(StateConflict::RotationUnderWay));
        }
        // Whoever has the file and the root key has everything: the entry is durable before there is a file.
        work.disclose(&Touches::resource("backups")).await?;
        let made_at = self.system_clock.now();
        let name = format!("{PREFIX}{}{SUFFIX}", made_at.to_utc().format("%Y%m%dT%H%M%S%6fZ"));
        let path = self.backups.folder.join(&name);
        let folder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.backups.folder);
        folder.map_err(|error| {
            tracing::error!(%error, "`backup.folder` cannot be made");
            Error::StoreUnavailable
        })?;
        let made = self.store.backup(&path).await.map_err(failed)?;
        // Keys that were replaced between the copies of database and keys would be missing.
        if self.store.key_rotation(&Scope::System).await? != rotation {
            drop(std::fs::remove_file(&path));
            return Err(Error::State(StateConflict::RotationUnderWay));
        }
        let shown = made.path.display().to_string();
        let view = BackupView { path: shown, length: made.length, sha256: made.sha256, made_at };
        let mut changes =
            work.changes(&Touches::resource(format!("backups/{name}?sha256={}", hex(&made.sha256))));
        changes.event("backup.made", format!("backups/{name}"));
        work.commit("admin.backup", changes, &repeat, view).await
    }

    /// Removes the backups in the folder that are older than certificates of erasure promise, and what a crash left of others.
    pub(super) fn remove_old_backups(&self) {
        let Ok(_turn) = self.backups.turn.try_lock() else { return };
        let keep = Duration::from_secs(u64::from(self.retention.key_backup_days) * 86_400);
        let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        let oldest = self.system_clock.now().micros().saturating_sub(keep);
        let Ok(entries) = std::fs::read_dir(&self.backups.folder) else { return };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let unfinished = UNFINISHED.iter().find_map(|end| name.strip_suffix(end));
            let of_backup = |name: &str| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX).and_then(made_at);
            let is_left = unfinished.and_then(of_backup).is_some();
            if is_left || of_backup(name).is_some_and(|time| time.micros() < oldest) {
                match std::fs::remove_file(&path) {
                    Ok(()) => tracing::info!(name, "removed a backup whose time is over"),
                    Err(error) => {
                        tracing::warn!(name, %error, "a backup whose time is over cannot be removed")
                    }
                }
            }
        }
    }
}

/// When a backup of this name was made.
fn made_at(text: &str) -> Option<Instant> {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S%6fZ").ok()?;
    Instant::from_micros(time.and_utc().timestamp_micros()).ok()
}

fn failed(error: BackupError) -> Error {
    match error {
        BackupError::Elsewhere => Error::State(StateConflict::BackupElsewhere),
        BackupError::Database(fault) => fault.into(),
        BackupError::File { .. } => {
            tracing::error!(%error, "a backup was not made");
            Error::StoreUnavailable
        }
        BackupError::NoRandomness | BackupError::Damaged | BackupError::WrongRootKey => {
            Error::Internal(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_as_old_as_its_name_says() {
        let time = Instant::from_micros(1_790_000_000_123_456).unwrap();
        let name = time.to_utc().format("%Y%m%dT%H%M%S%6fZ").to_string();
        assert_eq!(made_at(&name), Some(time), "{name}");
        assert_eq!(made_at("yesterday"), None);
    }
}
