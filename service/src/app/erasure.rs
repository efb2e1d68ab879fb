//! The end of a file: held, sealed, erased; by hand, and by the retention policy.
//!
//! Erasing sets the tombstone, notes it outside the database, removes what remains of the person and deletes their key, in this
//! order. What is broken off after the tombstone is carried on by upkeep, at the latest with the next start.

use std::time::Duration;

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::resident::{FieldClass, FileState};
use linli_core::retention::{End, ErasureCause};
use linli_core::text::{Label, Paragraph};
use linli_core::time::{CivilDate, Instant};
use linli_store::{CellChanges, Erasure, ResidentHead, Scope, Store};
use sha2::{Digest as _, Sha256};

use super::assessment::FileState as AssessedState;
use super::file::{touches_file, touches_files};
use super::history::Field;
use super::own::{Own, Times, commit_own};
use super::resident::{AT_REST, FILE, FileView, bare};
use super::site::{Update, next_version};
use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::audit::erasures::Erased;
use crate::auth::{Call, Rights, table};
use crate::error::{Error, Result, StateConflict, Thing};
use crate::hex::hex;
use crate::name;

/// Pieces that remain of a person, removed by one commit.
const REMAINS: u64 = 256;
/// Files that the policy ends in one site and round; the rest waits for the next, so that no site starves another.
const ENDS_MAX: usize = 100;
/// Erasures that one round carries on.
const UNFINISHED_MAX: u64 = 100;

/// The proof that somebody was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The file's name.
    pub name: String,
    /// What was done.
    pub erasure: Erasure,
    /// The last day on which a backup of the key may be there.
    pub backups_until: CivilDate,
    /// What it comes to, in words.
    pub text: Label,
    /// SHA-256 of what it states, as the text says it in English up to its last line.
    pub digest: [u8; 32],
}

impl App {
    /// Puts a file under legal hold, or takes the hold away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] of one that is erased, or held already, [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn hold_file(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, (bool, Paragraph)>,
    ) -> Result<Answer<FileView>> {
        let (hold, reason) = update.change;
        let target = Update { site: update.site, id: update.id, version: update.version, change: () };
        self.set_end(call, repeat, target, ("legal_hold", Some(reason), "resident.hold"), |head| {
            if head.held == hold {
                let conflict = if hold { StateConflict::FileHeld } else { StateConflict::FileNotHeld };
                return Err(Error::State(conflict));
            }
            head.held = hold;
            Ok(())
        })
        .await
    }

    /// Puts a file away that was left: nothing of it is shown or written any more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] of one that was not left, [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn seal_file(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        target: Update<ResidentId, ()>,
    ) -> Result<Answer<FileView>> {
        self.set_end(call, repeat, target, ("state", None, "resident.seal"), |head| match head.state {
            FileState::Left => {
                head.state = FileState::Sealed;
                Ok(())
            }
            FileState::Active => Err(Error::State(StateConflict::FileActive)),
            FileState::Sealed | FileState::Erased => Err(Error::State(StateConflict::FileNotActive)),
        })
        .await
    }

    /// Takes a sealed file out again: it is one that was left.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] of one that is not sealed, [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn unseal_file(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, Paragraph>,
    ) -> Result<Answer<FileView>> {
        let target = Update { site: update.site, id: update.id, version: update.version, change: () };
        let noted = ("state", Some(update.change), "resident.unseal");
        self.set_end(call, repeat, target, noted, |head| match head.state {
            FileState::Sealed => {
                head.state = FileState::Left;
                Ok(())
            }
            FileState::Active | FileState::Left => Err(Error::State(StateConflict::FileNotSealed)),
            FileState::Erased => Err(Error::State(StateConflict::FileErased)),
        })
        .await
    }

    async fn set_end(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        target: Update<ResidentId, ()>,
        (field, reason, command): (&'static str, Option<Paragraph>, &'static str),
        set: impl FnOnce(&mut ResidentHead) -> Result<()> + Send,
    ) -> Result<Answer<FileView>> {
        let Update { site, id, version, .. } = target;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut head = self.load_head(&work, &site, &id).await?;
        let id = head.id.clone();
        if head.state == FileState::Erased {
            return Err(Error::State(StateConflict::FileErased));
        }
        head.version = next_version(head.version, version)?;
        head.updated_at = work.now;
        set(&mut head)?;
        let mut changes = work.changes(&touches_file(&site, &id));
        self.note(
            &work,
            &mut changes,
            &head,
            &[Field { new: reason, ..Field::clear(field, FieldClass::Care) }],
        );
        changes.event(command, name::resident(&site, &id));
        changes.update_resident(head.clone(), CellChanges::default());
        let view = self.tombstone(&head, work.today());
        work.commit(command, changes, &repeat, view).await
    }

    /// Erases a file. What it held cannot be read any more, in no copy of the database.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] under legal hold or where it is erased, [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn erase_file(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        target: Update<ResidentId, ()>,
    ) -> Result<Answer<FileView>> {
        let Update { site, id, version, .. } = target;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut head = self.load_head(&work, &site, &id).await?;
        if head.state == FileState::Erased {
            return Err(Error::State(StateConflict::FileErased));
        }
        // What was merged into it is of the same person, and goes with it.
        let merged: Vec<ResidentId> = head.merged.iter().map(|merged| merged.id.clone()).collect();
        let mut merged = self.store.resident_heads(&site, &merged).await?;
        if head.held || merged.iter().any(|head| head.held) {
            return Err(Error::State(StateConflict::FileHeld));
        }
        head.version = next_version(head.version, version)?;
        for merged in &mut merged {
            merged.version = next_version(merged.version, None)?;
        }
        let principal = work.permit().principal();
        let erasure = |head: &ResidentHead| Erasure {
            site: site.clone(),
            resident: head.id.clone(),
            by: principal.staff.clone(),
            cause: match principal.rights {
                Rights::Server => ErasureCause::Retention,
                Rights::Grants(_) => ErasureCause::Request,
            },
            erased_at: self.system_clock.now(),
            key_deleted_at: None,
            finished_at: None,
            version: 1,
        };
        let mut changes = work.changes(&touches_files(&head, FILE));
        let mut erasures = Vec::new();
        for head in std::iter::once(&mut head).chain(&mut merged) {
            head.updated_at = work.now;
            head.state = FileState::Erased;
            let erasure = erasure(head);
            changes.erase_resident(head.clone()).put_erasure(erasure.clone());
            changes.event("resident.erased", name::resident(&site, &head.id));
            erasures.push(erasure);
        }
        let view = self.tombstone(&head, work.today());
        let answer = work.commit("resident.erase", changes, &repeat, view).await?;
        for erasure in &erasures {
            if let Err(error) = self.carry_out(erasure).await {
                tracing::error!(?error, "an erasure stopped after its tombstone; upkeep carries it on");
            }
        }
        Ok(answer)
    }

    /// A file of which nothing is shown but where it stands.
    fn tombstone(&self, head: &ResidentHead, today: CivilDate) -> FileView {
        let state = AssessedState::default();
        self.view(bare(head, Default::default()), Vec::new(), &state, String::new(), AT_REST, today)
    }

    /// The certificate of an erasure.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nobody was erased under this name, [`Error::State`] while the key is there,
    /// [`Error::Denied`].
    pub async fn erasure_certificate(
        &self,
        call: &Call,
        site: &SiteId,
        id: &ResidentId,
    ) -> Result<Certificate> {
        let work = self.begin(call, Some(site)).await?;
        let erasure = self.store.erasure(site, id).await?.filter(|_| !work.hides(id));
        let erasure = erasure.ok_or(Error::NotFound(Thing::Erasure))?;
        let subject = vec![id.as_str().to_owned()];
        work.disclose(&Touches::files(name::resident(site, id), subject, &[])).await?;
        let deleted = erasure.key_deleted_at.ok_or(Error::State(StateConflict::ErasureUnderWay))?;
        let days = i32::try_from(self.retention.key_backup_days).unwrap_or(i32::MAX);
        let backups_until = work.zone().date_of(deleted).plus_days(days);
        Ok(certificate(erasure, deleted, backups_until))
    }

    /// What comes after the tombstone. Every step may be done again.
    async fn carry_out(&self, erasure: &Erasure) -> Result<()> {
        let Erasure { site, resident, .. } = erasure;
        let erased = Erased {
            site: site.clone(),
            resident: resident.clone(),
            at: erasure.erased_at,
            cause: erasure.cause,
            by: erasure.by.clone(),
        };
        self.erasures.append(&erased).map_err(|error| Error::Internal(error.to_string()))?;
        wipe(&self.store, erasure, self.times()).await
    }

    /// Carries on with erasures that were broken off, and removes, after the longest call, what was on its way when they were
    /// carried out.
    pub(super) async fn finish_erasures(&self) -> Result<()> {
        for erasure in self.store.unfinished_erasures(UNFINISHED_MAX).await? {
            let Some(deleted) = erasure.key_deleted_at else {
                self.carry_out(&erasure).await?;
                continue;
            };
            let now = self.system_clock.now();
            let since = Duration::from_micros(now.micros().saturating_sub(deleted.micros()).unsigned_abs());
            if since < self.rotation.longest_call() {
                continue;
            }
            remove(&self.store, &erasure, self.times()).await?;
            let finished = Erasure { finished_at: Some(now), version: erasure.version + 1, ..erasure };
            advance(&self.store, &finished, self.times()).await?;
        }
        Ok(())
    }

    /// Ends the files of a site whose time is over; how many there were.
    pub(super) async fn end_files(&self, site: &SiteId) -> Result<u64> {
        if self.retention.seal_after_days.is_none() && self.retention.erase_after_days.is_none() {
            return Ok(0);
        }
        let zone = self.zone(site).await?;
        let today = zone.date_of(self.now());
        let (mut ended, mut after) = (0, None);
        loop {
            let heads = self.store.ending_files(site, after.as_ref(), super::upkeep::BATCH).await?;
            let Some(last) = heads.last() else { return Ok(ended) };
            after = Some(last.id.clone());
            for head in heads {
                let since = match head.state {
                    FileState::Sealed => Some(zone.date_of(head.updated_at)),
                    FileState::Active | FileState::Left | FileState::Erased => head.tenure.moved_out,
                };
                let due = since.and_then(|since| self.retention.due(head.state, since, head.held, today));
                let Some(end) = due else { continue };
                self.end_by_policy(&head, end).await?;
                ended += 1;
                if ended >= ENDS_MAX as u64 {
                    return Ok(ended);
                }
            }
        }
    }

    async fn end_by_policy(&self, head: &ResidentHead, end: End) -> Result<()> {
        let target =
            Update { site: head.site.clone(), id: head.id.clone(), version: Some(head.version), change: () };
        let repeat = Repeat { id: None, hash: [0; 32], encode: |_| Vec::new() };
        let done = match end {
            End::Seal => self.seal_file(&self.own_call(table::SEAL_FILE)?, repeat, target).await,
            End::Erase => self.erase_file(&self.own_call(table::ERASE_FILE)?, repeat, target).await,
        };
        match done {
            // Somebody changed it meanwhile: it is looked at again in the next round.
            Ok(_) | Err(Error::EtagMismatch | Error::State(_) | Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes what remains of a person, and then their key.
async fn remove(store: &Store, erasure: &Erasure, times: Times) -> Result<()> {
    loop {
        let remains = store.remains_of(&erasure.site, &erasure.resident, REMAINS).await?;
        if remains.is_empty() {
            break;
        }
        commit_own(store, &of(erasure), times, |changes| {
            changes.remove_remains(remains.clone());
        })
        .await?;
    }
    Ok(store.delete_keys(&erasure.site, std::slice::from_ref(&erasure.resident)).await?)
}

/// As [`remove`], and notes that the key is gone.
async fn wipe(store: &Store, erasure: &Erasure, times: Times) -> Result<()> {
    remove(store, erasure, times).await?;
    let wiped = Erasure { key_deleted_at: Some(times.1), version: erasure.version + 1, ..erasure.clone() };
    advance(store, &wiped, times).await
}

async fn advance(store: &Store, erasure: &Erasure, times: Times) -> Result<()> {
    commit_own(store, &of(erasure), times, |changes| {
        changes.put_erasure(erasure.clone());
    })
    .await
}

/// What the server does of an erasure in its own name.
fn of(erasure: &Erasure) -> Own {
    Own {
        scope: Scope::from(&erasure.site),
        method: table::ERASE_FILE,
        resource: name::resident(&erasure.site, &erasure.resident),
        subjects: vec![erasure.resident.as_str().to_owned()],
    }
}

fn certificate(
    erasure: Erasure,
    deleted: linli_core::time::Instant,
    backups_until: CivilDate,
) -> Certificate {
    let name = name::resident(&erasure.site, &erasure.resident);
    let time = |at: linli_core::time::Instant| at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (erased, deleted, cause) = (time(erasure.erased_at), time(deleted), erasure.cause);
    let by: &StaffId = &erasure.by;
    let en = format!(
        "Certificate of erasure\nThe personal values in the care file `{name}` were erased at {erased} by `{by}` ({}). \
         The key that sealed them was deleted at {deleted}; backups of the key are gone after {backups_until}, and from \
         then on no copy of the database can be read.\n",
        cause.en()
    );
    let digest: [u8; 32] = Sha256::digest(en.as_bytes()).into();
    let zh = format!(
        "清除证明\n关怀档案 `{name}` 中的个人信息已于 {erased} 由 `{by}` 清除({})。封存这些信息的密钥已于 {deleted} 销毁;\
         密钥的备份在 {backups_until} 之后不再存在,此后任何数据库副本均无法读出。\n校验值(SHA-256){}",
        cause.zh(),
        hex(&digest)
    );
    let en = format!("{en}SHA-256 {}", hex(&digest));
    Certificate { name, erasure, backups_until, text: Label::new(zh, en), digest }
}

/// What a restoration notes.
pub struct Restored {
    /// When (system clock).
    pub now: Instant,
    /// SHA-256 of the backup, in hexadecimal digits.
    pub backup: String,
}

/// Erases those again, in a store that was restored, who were erased after its backup was made, and notes the restoration; how
/// many there were.
///
/// # Errors
/// As the store fails.
pub async fn erase_again(store: &Store, erased: &[Erased], restored: &Restored) -> Result<usize> {
    let times = (restored.now, restored.now);
    let mut done = 0;
    for Erased { site, resident, at, cause, by } in erased {
        let head = store.resident_heads(site, std::slice::from_ref(resident)).await?.pop();
        let Some(mut head) = head.filter(|head| head.state != FileState::Erased) else { continue };
        head.version += 1;
        head.updated_at = restored.now;
        let erasure = Erasure {
            site: site.clone(),
            resident: resident.clone(),
            by: by.clone(),
            cause: *cause,
            erased_at: *at,
            key_deleted_at: None,
            finished_at: None,
            version: 1,
        };
        commit_own(store, &of(&erasure), times, |changes| {
            changes.erase_resident(head.clone()).put_erasure(erasure.clone());
            changes.event("resident.erased", name::resident(site, resident));
        })
        .await?;
        wipe(store, &erasure, times).await?;
        done += 1;
    }
    let note = Own {
        scope: Scope::System,
        method: RESTORE,
        resource: format!("backups?sha256={}", restored.backup),
        subjects: Vec::new(),
    };
    commit_own(store, &note, times, |changes| {
        changes.event("backup.restored", "backups");
    })
    .await?;
    Ok(done)
}

/// What a restoration is noted as: no RPC does it.
const RESTORE: &str = "linli restore";
