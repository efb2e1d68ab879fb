//! Makes the anchors: checks at the start that the log is still what was anchored, and anchors what is new.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};
use linli_core::time::Clock;
use linli_store::{ChainHead, Ledger};
use tokio::sync::Mutex;

use super::anchor::{Anchor, FIRST, Head};
use super::verify::{Anchors, Verified, verify_tail};
use super::{AuditError, Flaw};
use crate::hex::hex;

/// How often it is looked whether an anchor is due.
const LOOK: Duration = Duration::from_secs(1);
/// An anchor is due when so many microseconds have passed since the last one,
const DUE_MICROS: i64 = 60_000_000;
/// or so many entries are not anchored yet.
const DUE_ENTRIES: i64 = 1_000;

/// Where anchors are kept, and what they are made with.
pub struct Keeper {
    ledger: Ledger,
    path: PathBuf,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    file: Mutex<File>,
    state: RwLock<State>,
    broken: AtomicBool,
    /// When it was opened, in microseconds: before the first anchor, its age.
    opened: i64,
}

/// What is anchored.
#[derive(Debug, Default)]
struct State {
    last: Option<Arc<Anchor>>,
    /// The newest anchor of each site.
    sites: BTreeMap<String, Arc<Anchor>>,
}

impl State {
    fn add(&mut self, anchor: Anchor) {
        let anchor = Arc::new(anchor);
        for head in &anchor.heads {
            self.sites.insert(head.site.clone(), Arc::clone(&anchor));
        }
        self.last = Some(anchor);
    }

    fn anchored(&self, site: &str) -> Option<(ChainHead, u64)> {
        let anchor = self.sites.get(site)?;
        let (_, head) = anchor.head(site)?;
        Some((ChainHead { seq: head.seq, hash: head.hash }, anchor.number))
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Opens the file of anchors, which is made where there is none, and verifies that the log ends where
    /// the newest anchors say or fits behind them.
    ///
    /// # Errors
    /// [`AuditError::Flaw`] where it does not, or the file is not what it was.
    pub async fn open(
        ledger: Ledger,
        path: &Path,
        key: SigningKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let public = key.verifying_key();
        let wrong = |err: std::io::Error| AuditError::file(path, err);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(path).map_err(wrong)?;
        let text = whole_lines(path, &file).map_err(wrong)?;
        // The last signature vouches for all before it, by the hashes that lead to them.
        let anchors = Anchors::read(&text, None).map_err(AuditError::Flaw)?;
        if let Some(last) = anchors.all().last()
            && !last.is_signed_by(&public)
        {
            return Err(Flaw::anchor(last.number, "was not made with `audit.anchor_key_file`").into());
        }
        anchors.check_remembered(&ledger, &public).await?;
        let mut state = State::default();
        for anchor in anchors.into_vec() {
            state.add(anchor);
        }
        let heads = ledger.heads().await?;
        let none = ChainHead { seq: 0, hash: linli_store::GENESIS };
        let chains: std::collections::BTreeSet<&String> = heads.keys().chain(state.sites.keys()).collect();
        for site in chains {
            let head = heads.get(site).unwrap_or(&none);
            verify_tail(&ledger, site, state.anchored(site), head).await?;
        }
        let (file, state) = (Mutex::new(file), RwLock::new(state));
        let (broken, opened) = (AtomicBool::new(false), clock.now().micros());
        Ok(Self { ledger, path: path.to_owned(), key, clock, file, state, broken, opened })
    }

    /// The key that others verify with.
    pub fn public(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Whether an anchor could not be made because the log does not fit the one before.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// The newest anchor that holds a site; where none does yet, one is made.
    ///
    /// # Errors
    /// As [`Keeper::anchor`].
    pub async fn newest(&self, site: &str) -> Result<Option<Arc<Anchor>>, AuditError> {
        let found = |keeper: &Self| keeper.read().sites.get(site).cloned();
        if let Some(anchor) = found(self) {
            return Ok(Some(anchor));
        }
        self.anchor().await?;
        Ok(found(self))
    }

    /// Verifies the chain of a site from its beginning against every anchor in the file.
    ///
    /// # Errors
    /// The first flaw.
    pub async fn verify_site(&self, site: &str) -> Result<(ChainHead, i64), AuditError> {
        self.read_all().await?.verify_site(&self.ledger, site).await
    }

    /// Verifies everything.
    ///
    /// # Errors
    /// The first flaw.
    pub async fn verify(&self) -> Result<Verified, AuditError> {
        self.read_all().await?.verify(&self.ledger, &self.public()).await
    }

    async fn read_all(&self) -> Result<Anchors, AuditError> {
        // Not while a line is being written.
        let _file = self.file.lock().await;
        let text = std::fs::read_to_string(&self.path).map_err(|err| AuditError::file(&self.path, err))?;
        Ok(Anchors::read(&text, Some(&self.public()))?)
    }

    /// Anchors until the task is dropped. What fails is logged, and tried again.
    pub async fn keep(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let made = match self.is_due().await {
                Ok(true) => self.anchor().await.map(drop),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            match made {
                Ok(()) => {}
                Err(AuditError::Flaw(flaw)) => {
                    if !self.broken.swap(true, Ordering::Relaxed) {
                        tracing::error!("the audit log is not what it was, no anchor is made: {flaw}");
                    }
                }
                Err(error) => tracing::warn!("no anchor of the audit log was made: {error}"),
            }
        }
    }

    async fn is_due(&self) -> Result<bool, AuditError> {
        let heads = self.ledger.heads().await?;
        let state = self.read();
        let waiting: i64 = heads
            .iter()
            .map(|(site, head)| head.seq - state.anchored(site).map_or(0, |(anchored, _)| anchored.seq))
            .sum();
        let last = state.last.as_ref().map_or(self.opened, |last| last.time);
        let age = self.clock.now().micros().saturating_sub(last);
        // A clock that was put back makes an anchor due, too.
        Ok(waiting >= DUE_ENTRIES || waiting > 0 && !(0..DUE_MICROS).contains(&age))
    }

    /// Verifies what is new and anchors it; `None` where nothing is.
    ///
    /// # Errors
    /// [`AuditError::Flaw`] where the log does not fit the anchor before: then none is made.
    pub async fn anchor(&self) -> Result<Option<Arc<Anchor>>, AuditError> {
        let mut file = self.file.lock().await;
        let mut heads = Vec::new();
        for (site, head) in self.ledger.heads().await? {
            let anchored = self.read().anchored(&site);
            if anchored.as_ref().is_some_and(|(anchored, _)| *anchored == head) {
                continue;
            }
            verify_tail(&self.ledger, &site, anchored, &head).await?;
            heads.push(Head { site, seq: head.seq, hash: head.hash });
        }
        if heads.is_empty() {
            return Ok(None);
        }
        let (number, previous) = {
            let state = self.read();
            state.last.as_ref().map_or((1, FIRST), |last| (last.number + 1, last.hash()))
        };
        let anchor = Anchor::sign(&self.key, number, self.clock.now().micros(), previous, heads);
        let line = anchor.line() + "\n";
        // The file first: what it has more than the database remembers is no flaw.
        append(&mut file, &line).map_err(|err| AuditError::file(&self.path, err))?;
        let hash = anchor.hash();
        let made = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.add(anchor);
            state.last.clone()
        };
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.ledger.remember_anchor(&hex(self.public().as_bytes()), number, &hash).await?;
        Ok(made)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends a line, durably, or leaves the file as it was.
fn append(file: &mut File, line: &str) -> std::io::Result<()> {
    let before = file.metadata()?.len();
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        file.set_len(before)?;
    }
    written
}

/// The text of the file without a last line that a crash cut off: nobody was told of that anchor.
fn whole_lines(path: &Path, file: &File) -> std::io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        tracing::warn!("the last anchor in `{}` was not written to its end: removed", path.display());
        file.set_len(u64::try_from(whole).unwrap_or_default())?;
        text.truncate(whole);
    }
    Ok(text)
}
