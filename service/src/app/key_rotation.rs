//! The replacement of keys while everything is read and written: begun by a call, carried on by the server, after a crash as
//! well. What is left to do is what the database holds ([`linli_store::KeyRotation`]).
//!
//! The root key goes first, at once. Then the next keys of every scope seal, then what older ones sealed is sealed anew, batch by
//! batch. When nothing is left, and nothing turned up while the longest call may have lasted that still held an older cell in
//! hand, the older keys are deleted.

use std::time::Duration;

use linli_core::id::SiteId;
use linli_core::resident::FieldClass;
use linli_store::{CellCursor, FieldClasses, KeyRotation, Scope};
use tokio::sync::Notify;

use super::own::Own;
use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::auth::{Call, table};
use crate::error::{Error, Result, StateConflict, Thing};

/// How often it is looked for a replacement that another server began and did not finish.
const EVERY: Duration = Duration::from_secs(60);
/// Cells sealed anew by one commit: a few pages' worth, between those of callers.
const CELLS: u64 = 256;
/// Files whose index rows are made anew by one commit.
const FILES: u64 = 64;
/// Scopes looked at together.
const SCOPES: u64 = 200;
/// What the replacement of keys waits for.
#[derive(Debug)]
pub struct Rotation {
    wake: Notify,
    /// How long the longest call may hold a cell in hand that it has read and not opened yet.
    longest_call: Duration,
}

impl Rotation {
    /// For calls that take this long at most.
    pub fn new(longest_call: Duration) -> Self {
        Self { wake: Notify::new(), longest_call }
    }

    /// How long a call takes at most.
    pub(super) fn longest_call(&self) -> Duration {
        self.longest_call
    }
}

/// How far a replacement of keys is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationView {
    /// The replacement.
    pub rotation: KeyRotation,
    /// Scopes whose keys are replaced.
    pub finished: u64,
    /// Scopes that there are.
    pub total: u64,
}

impl App {
    /// Begins to replace the keys, and the root key where `replace_root` says so.
    ///
    /// # Errors
    /// [`Error::State`] while a replacement is under way, or where there is no next root key; [`Error::Denied`].
    pub async fn rotate_keys(
        &self,
        call: &Call,
        repeat: Repeat<RotationView>,
        replace_root: bool,
    ) -> Result<Answer<RotationView>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let before = self.store.key_rotation(&Scope::System).await?;
        if before.as_ref().is_some_and(|before| before.finished_at.is_none()) {
            return Err(Error::State(StateConflict::RotationUnderWay));
        }
        if replace_root && !self.has_next_root() {
            return Err(Error::State(StateConflict::NoNextRootKey));
        }
        let rotation = KeyRotation {
            scope: Scope::System,
            number: before.as_ref().map_or(1, |before| before.number + 1),
            root_version: self.store.root_version() + u32::from(replace_root),
            started_at: self.system_clock.now(),
            finished_at: None,
            version: before.map_or(1, |before| before.version + 1),
        };
        let total = self.store.rotation_progress(rotation.number).await?.1;
        let mut changes = work.changes(&Touches::resource("keys"));
        changes.put_key_rotation(rotation.clone()).renew_keys().event("keys.rotation_started", "keys");
        let view = RotationView { rotation: rotation.clone(), finished: 0, total };
        let answer = work.commit("admin.rotate_keys", changes, &repeat, view).await.map_err(|error| {
            match error {
                // Two at once: the other one is under way.
                Error::EtagMismatch | Error::AlreadyExists(Thing::KeyRotation) => {
                    Error::State(StateConflict::RotationUnderWay)
                }
                error => error,
            }
        })?;
        self.follow_root(&rotation).await?;
        self.rotation.wake.notify_one();
        Ok(answer)
    }

    /// The newest replacement of keys.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there was none, [`Error::Denied`].
    pub async fn newest_rotation(&self, call: &Call) -> Result<RotationView> {
        let work = self.begin(call, None).await?;
        let rotation = self.store.key_rotation(&Scope::System).await?;
        let rotation = rotation.ok_or(Error::NotFound(Thing::KeyRotation))?;
        let (finished, total) = self.store.rotation_progress(rotation.number).await?;
        work.disclose(&Touches::resource("keys")).await?;
        Ok(RotationView { rotation, finished, total })
    }

    fn has_next_root(&self) -> bool {
        self.store.has_next_root().unwrap_or_else(|error| {
            tracing::warn!(%error, "the next root key cannot be used");
            false
        })
    }

    /// Puts the next root key in place, where it belongs to the replacement and is not there yet.
    async fn follow_root(&self, rotation: &KeyRotation) -> Result<()> {
        if rotation.root_version <= self.store.root_version() {
            return Ok(());
        }
        let replaced = self.store.replace_root_key().await;
        replaced.map_err(|error| Error::Internal(format!("the root key was not replaced: {error}")))?;
        tracing::warn!("the root key was replaced: the old one opens nothing any more");
        Ok(())
    }

    /// Carries on with replacements of keys until the task is dropped.
    pub async fn keep_keys(&self) {
        loop {
            if let Err(error) = self.rotation_round().await {
                tracing::warn!(?error, "the replacement of keys has stopped; it goes on with the next round");
            }
            let _ = tokio::time::timeout(EVERY, self.rotation.wake.notified()).await;
        }
    }

    /// Carries out the replacement that is under way, if one is.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn rotation_round(&self) -> Result<()> {
        let run = self.store.key_rotation(&Scope::System).await?;
        let Some(run) = run.filter(|run| run.finished_at.is_none()) else { return Ok(()) };
        self.follow_root(&run).await?;
        let mut quiet = false;
        loop {
            let mut moved = 0;
            let mut after: Option<Scope> = None;
            loop {
                let scopes = self.store.scopes(after.as_ref(), SCOPES).await?;
                let Some(last) = scopes.last() else { break };
                after = Some(last.clone());
                for scope in &scopes {
                    moved += self.move_scope(scope, &run).await?;
                }
            }
            if moved == 0 && quiet {
                break;
            }
            quiet = moved == 0;
            if quiet {
                tokio::time::sleep(self.rotation.longest_call).await;
            }
        }
        self.finish_rotation(&run).await
    }

    /// Lets new keys seal in a scope, where they do not yet, and seals anew what older ones sealed; how many there were.
    async fn move_scope(&self, scope: &Scope, run: &KeyRotation) -> Result<u64> {
        let stage = self.store.key_rotation(scope).await?;
        if stage.as_ref().is_none_or(|stage| stage.number < run.number) {
            let version = stage.map_or(1, |stage| stage.version + 1);
            let begun = KeyRotation { scope: scope.clone(), version, ..run.clone() };
            self.commit_own(&of(scope), |changes| {
                changes.put_key_rotation(begun.clone()).renew_keys();
            })
            .await?;
        } else if stage.is_some_and(|stage| stage.finished_at.is_some()) {
            return Ok(0);
        }
        let mut moved = 0;
        let mut cursor = CellCursor::default();
        loop {
            let cells = self.store.old_cells(scope, &mut cursor, CELLS).await?;
            if cells.is_empty() {
                break;
            }
            moved += u64::try_from(cells.len()).unwrap_or(u64::MAX);
            self.commit_own(&of(scope), |changes| {
                changes.reseal(cells.clone());
            })
            .await?;
        }
        match scope {
            Scope::Site(site) => Ok(moved + self.move_index(scope, site).await?),
            Scope::System => Ok(moved),
        }
    }

    async fn move_index(&self, scope: &Scope, site: &SiteId) -> Result<u64> {
        let classes = FieldClasses::of(&[FieldClass::Contact, FieldClass::Identity]);
        let (mut moved, mut after) = (0, None);
        loop {
            let ids = self.store.old_index(site, after.as_ref(), FILES).await?;
            let Some(last) = ids.last() else { return Ok(moved) };
            after = Some(last.clone());
            moved += u64::try_from(ids.len()).unwrap_or(u64::MAX);
            for file in self.store.residents_by_id(site, &ids, classes).await? {
                let own = of(scope);
                let moved = self.commit_own(&own, |changes| {
                    changes.reindex(file.clone());
                });
                match moved.await {
                    // Somebody changed the file meanwhile, and with it its rows; if not all, the next round finds them.
                    Ok(()) | Err(Error::EtagMismatch | Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Deletes the older keys; the system's replacement, which is the whole one, is finished last.
    async fn finish_rotation(&self, run: &KeyRotation) -> Result<()> {
        let mut after: Option<Scope> = None;
        loop {
            let scopes = self.store.scopes(after.as_ref(), SCOPES).await?;
            let Some(last) = scopes.last() else { break };
            after = Some(last.clone());
            for scope in scopes.iter().filter(|scope| **scope != Scope::System) {
                self.finish_scope(scope, run).await?;
            }
        }
        self.finish_scope(&Scope::System, run).await?;
        tracing::info!(number = run.number, "every key was replaced, and the older ones deleted");
        Ok(())
    }

    async fn finish_scope(&self, scope: &Scope, run: &KeyRotation) -> Result<()> {
        let stage = self.store.key_rotation(scope).await?;
        let Some(stage) = stage.filter(|stage| stage.number == run.number && stage.finished_at.is_none())
        else {
            return Ok(()); // a site of later, or one that was finished before a crash
        };
        self.store.retire_keys(scope).await?;
        let finished_at = Some(self.system_clock.now());
        let finished = KeyRotation { finished_at, version: stage.version + 1, ..stage };
        self.commit_own(&of(scope), |changes| {
            changes.put_key_rotation(finished.clone());
            if *scope == Scope::System {
                changes.event("keys.rotation_finished", "keys");
            }
        })
        .await
    }
}

/// What the server does of it in its own name.
fn of(scope: &Scope) -> Own {
    Own {
        scope: scope.clone(),
        method: table::ROTATE_KEYS,
        resource: match scope {
            Scope::Site(site) => crate::name::site(site),
            Scope::System => "keys".to_owned(),
        },
        subjects: Vec::new(),
    }
}
