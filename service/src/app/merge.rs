//! Merging two files of one person, and parting them again.
//!
//! A merge writes where the file went and what came to it, guarded by the versions of both, and moves nothing: whoever asks
//! unites the files (`estate`, [`linli_core::merge`]). Names of merged files stand for the survivor; parting them
//! takes the two notes away.

use linli_core::assessment::Attention;
use linli_core::id::{RecordId, ResidentId, SiteId, Subject};
use linli_core::invalid::Invalid;
use linli_core::merge::{MERGED_MAX, continued, unite_attention};
use linli_core::resident::{Fact, FieldClass, FileState as FileStage};
use linli_core::text::{Line, Paragraph};
use linli_store::{CellChanges, ChangeSet, FieldClasses, MergedFile, ResidentHead, SealedResident};

use super::assessment::FileState;
use super::file::{OpenedFile, with_head};
use super::history::Field;
use super::resident::{FILE, FileView, View};
use super::site::next_version;
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Violation};
use crate::name;

/// Two files of one person.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The site of both.
    pub site: SiteId,
    /// The file that stays.
    pub survivor: ResidentId,
    /// The file that goes into it.
    pub duplicate: ResidentId,
    /// How it is known.
    pub reason: Line,
    /// The version of the survivor that the caller read.
    pub survivor_version: Option<u64>,
    /// The version of the duplicate that the caller read.
    pub duplicate_version: Option<u64>,
}

/// A file that is to stand for itself again.
#[derive(Debug, Clone)]
pub struct Part {
    /// The site.
    pub site: SiteId,
    /// The file that was merged.
    pub id: ResidentId,
    /// How it is known that they are two people.
    pub reason: Line,
    /// Records of the survivor that are this person's.
    pub records: Vec<RecordId>,
}

/// Two files that were parted.
#[derive(Debug, Clone)]
pub struct Parted {
    /// The one that had been merged, masked.
    pub file: FileView,
    /// The one into which it had been, masked.
    pub survivor: FileView,
}

impl App {
    /// Merges two files of one person.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn merge_residents(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        merge: Merge,
    ) -> Result<Answer<FileView>> {
        let Merge { site, survivor, duplicate, reason, survivor_version, duplicate_version } = merge;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let (stays, goes) = (
            self.sealed_as_is(&work, &site, &survivor).await?,
            self.sealed_as_is(&work, &site, &duplicate).await?,
        );
        may_merge(&stays.head, &goes.head)?;
        let (stays, goes) = (self.open_sealed(&work, &stays).await?, self.open_sealed(&work, &goes).await?);
        match (&stays.resident.identity.number, &goes.resident.identity.number) {
            (Some(_), Some(_)) => return Err(Error::State(StateConflict::NumbersDiffer)),
            (None, Some(_)) => return Err(Error::State(StateConflict::NumberWouldGo)),
            (Some(_) | None, None) => {}
        }
        let today = work.today();
        let mut head = stays.head.clone();
        head.version = next_version(head.version, survivor_version)?;
        head.updated_at = work.now;
        head.merged.push(MergedFile { id: goes.head.id.clone(), since: today });
        head.merged.extend(goes.head.merged.iter().cloned());
        let mut gone = goes.head.clone();
        gone.version = next_version(gone.version, duplicate_version)?;
        gone.updated_at = work.now;
        gone.merged_into = Some(head.id.clone());

        let mut changes = work.changes(&touches_both(&head, &gone));
        changes.bump_epoch();
        self.note(&work, &mut changes, &head, &[said("merged_residents", &reason)]);
        self.note(&work, &mut changes, &gone, &[said("merged_into", &reason)]);
        let mut state = FileState {
            attention: unite_attention(&[
                (stays.state.attention.clone(), None),
                (goes.state.attention, None),
            ]),
            merged: head.merged.iter().map(|merged| merged.id.clone()).collect(),
            ..stays.state.clone()
        };
        state.memberships.extend(goes.state.memberships);
        // Of each group that a rule found in both, one membership goes on.
        let ended = continued(&state.memberships, today);
        for membership in state.memberships.iter_mut().filter(|membership| ended.contains(&membership.id)) {
            membership.version += 1;
            membership.end = Some(today.max(membership.start));
            membership.proposed_exit = None;
            changes.put_membership(membership.clone());
        }
        let facts: Vec<Fact> = stays.facts.iter().chain(&goes.facts).cloned().collect();
        let resident = with_head(&stays.resident, &head);
        let own = stays.state.attention_on(today).cloned();
        let state = self.settled(&work, &mut changes, &resident, &facts, state, own).await?;
        changes.event("resident.merged", name::resident(&site, &head.id));
        changes.event("resident.merged_into", name::resident(&site, &gone.id));
        changes.update_resident(head, CellChanges::default()).update_resident(gone, CellChanges::default());
        let dwelling_name = self.dwelling_name(&site, &resident.dwelling).await?;
        let view = self.view(resident, Vec::new(), &state, dwelling_name, View::Masked, today);
        work.commit("resident.merge", changes, &repeat, view).await
    }

    /// Parts a file from the one into which it was merged.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for records that are not the survivor's, [`Error::State`],
    /// [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn unmerge_residents(
        &self,
        call: &Call,
        repeat: Repeat<Parted>,
        part: Part,
    ) -> Result<Answer<Parted>> {
        let Part { site, id, reason, records } = part;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let today = work.today();
        let mut file = self.sealed_as_is(&work, &site, &id).await?;
        let Some(survivor) = file.head.merged_into.take() else {
            return Err(Error::State(StateConflict::NotMerged));
        };
        let mut survivor = self.sealed_as_is(&work, &site, &survivor).await?;
        if survivor.head.merged_into.is_some() {
            return Err(Error::State(StateConflict::SurvivorMerged));
        }
        let since = survivor.head.merged.iter().find(|merged| merged.id == id).map(|merged| merged.since);
        let leaving = file.head.files();
        survivor.head.merged.retain(|merged| !leaving.contains(&merged.id));
        for head in [&mut file.head, &mut survivor.head] {
            head.version = next_version(head.version, None)?;
            head.updated_at = work.now;
        }
        // Opened as they will be: each with what is its own, and with what else was merged into it.
        let (file, survivor) =
            (self.open_sealed(&work, &file).await?, self.open_sealed(&work, &survivor).await?);
        let mut changes = work.changes(&touches_both(&survivor.head, &file.head));
        changes.bump_epoch();
        self.assign(&work, &mut changes, (&survivor.head, &file.head), &records, &reason).await?;
        self.note(&work, &mut changes, &file.head, &[said("merged_into", &reason)]);
        self.note(&work, &mut changes, &survivor.head, &[said("merged_residents", &reason)]);

        // Tier and tags of the time together were those of both.
        let mut own = self.store.attentions(&site, std::slice::from_ref(&survivor.head.id)).await?;
        own.retain(|(_, attention)| since.is_none_or(|since| attention.from < since));
        for (_, attention) in self.store.attentions(&site, std::slice::from_ref(&survivor.head.id)).await? {
            if since.is_some_and(|since| attention.from >= since) {
                changes.drop_attention(&site, &survivor.head.id, attention.from);
            }
        }
        let own: Vec<Attention> = own.into_iter().map(|(_, attention)| attention).collect();
        let mut timelines = vec![(own.clone(), None)];
        for merged in &survivor.head.merged {
            let known = self.store.attentions(&site, std::slice::from_ref(&merged.id)).await?;
            timelines.push((known.into_iter().map(|(_, attention)| attention).collect(), None));
        }
        let state = FileState { attention: unite_attention(&timelines), ..survivor.state.clone() };
        let before = own.into_iter().filter(|attention| attention.from <= today).max_by_key(|a| a.from);
        let survivor_state =
            self.settled(&work, &mut changes, &survivor.resident, &survivor.facts, state, before).await?;
        let before = file.state.attention_on(today).cloned();
        let file_state = self
            .settled(&work, &mut changes, &file.resident, &file.facts, file.state.clone(), before)
            .await?;
        changes.event("resident.unmerged", name::resident(&site, &file.head.id));
        changes.event("resident.updated", name::resident(&site, &survivor.head.id));
        changes.update_resident(file.head.clone(), CellChanges::default());
        changes.update_resident(survivor.head.clone(), CellChanges::default());
        let view = async |opened: OpenedFile, state: &FileState| {
            let dwelling_name = self.dwelling_name(&site, &opened.head.dwelling).await?;
            Ok::<_, Error>(self.view(opened.resident, Vec::new(), state, dwelling_name, View::Masked, today))
        };
        let parted =
            Parted { file: view(file, &file_state).await?, survivor: view(survivor, &survivor_state).await? };
        work.commit("resident.unmerge", changes, &repeat, parted).await
    }

    /// A file as it lies there, whatever its name stands for.
    async fn sealed_as_is(&self, work: &Work<'_>, site: &SiteId, id: &ResidentId) -> Result<SealedResident> {
        let sealed = self.store.resident(site, id, FieldClasses::of(FILE)).await?;
        match sealed.filter(|_| !work.hides(id)) {
            Some(sealed) => Ok(sealed),
            None => Err(work.absent(id).await),
        }
    }

    /// Assesses a file whose facts or state a merge changed, where it is active, and sees to it that its own tier and tags are
    /// those in force: `own` is what stands under its name for today.
    async fn settled(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        resident: &linli_core::resident::Resident,
        facts: &[Fact],
        state: FileState,
        own: Option<Attention>,
    ) -> Result<FileState> {
        let today = work.today();
        let before = state.attention_on(today).cloned();
        let state = match resident.state {
            FileStage::Active => self.reassess(work, changes, resident, facts, state, None).await?,
            FileStage::Left | FileStage::Sealed | FileStage::Erased => state,
        };
        let in_force = state.attention_on(today);
        let same = |a: Option<&Attention>, b: Option<&Attention>| {
            a.map(|a| (a.tier, &a.tags)) == b.map(|b| (b.tier, &b.tags))
        };
        // Where the assessment changed it, it has been noted.
        if let Some(in_force) =
            in_force.filter(|now| same(Some(now), before.as_ref()) && !same(Some(now), own.as_ref()))
        {
            changes.put_attention(
                &resident.site,
                &resident.id,
                Attention { from: today, ..in_force.clone() },
            );
        }
        Ok(state)
    }

    /// Gives records of the survivor to the file that is parted from it: a new version each.
    async fn assign(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        (survivor, file): (&ResidentHead, &ResidentHead),
        ids: &[RecordId],
        reason: &Line,
    ) -> Result<()> {
        let stored = self.store.records_by_id(&survivor.site, ids).await?;
        let mut violations = Vec::new();
        let of_survivor = Subject::Resident(survivor.id.clone());
        for (at, id) in ids.iter().enumerate() {
            let found = stored.iter().find(|stored| stored.record.id == *id);
            let fits = found.is_some_and(|stored| {
                !stored.record.voided
                    && stored.record.subjects.iter().any(|subject| subject.subject == of_survivor)
            });
            if !fits {
                violations.push(Violation { field: format!("records[{at}]"), why: Invalid::Unknown });
            }
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        for stored in stored {
            let mut record = self.with_words(work, &stored).await?;
            record.version = next_version(record.version, None)?;
            record.recorded_at = work.now;
            record.correction_reason = Some(reason.clone());
            for subject in record.subjects.iter_mut().filter(|subject| subject.subject == of_survivor) {
                subject.subject = Subject::Resident(file.id.clone());
            }
            changes.event("record.corrected", name::record(&survivor.site, &record.id));
            changes.correct_record(stored, record);
        }
        Ok(())
    }
}

/// Whether two files may become one as they stand.
fn may_merge(stays: &ResidentHead, goes: &ResidentHead) -> Result<()> {
    if stays.merged_into.is_some() || goes.merged_into.is_some() {
        return Err(Error::State(StateConflict::AlreadyMerged));
    }
    for head in [stays, goes] {
        match head.state {
            FileStage::Active | FileStage::Left => {}
            FileStage::Sealed | FileStage::Erased => return Err(Error::State(StateConflict::FileNotActive)),
        }
    }
    if stays.state != goes.state || stays.died_on != goes.died_on {
        return Err(Error::State(StateConflict::StatesDiffer));
    }
    if stays.protected_for != goes.protected_for {
        // Nobody comes to know of a protected file by a merge, and none is left unprotected by it.
        return Err(Error::State(StateConflict::ProtectionDiffers));
    }
    if stays.files().len() + goes.files().len() > MERGED_MAX {
        return Err(Error::State(StateConflict::TooManyMerged));
    }
    Ok(())
}

fn touches_both<'a>(survivor: &ResidentHead, other: &ResidentHead) -> Touches<'a> {
    let mut subjects: Vec<String> = Vec::new();
    for id in survivor.files().into_iter().chain(other.files()) {
        if !subjects.iter().any(|known| known == id.as_str()) {
            subjects.push(id.as_str().to_owned());
        }
    }
    Touches::files(name::resident(&survivor.site, &survivor.id), subjects, FILE)
}

/// A change of which files are one, with how it is known.
fn said(path: &str, reason: &Line) -> Field {
    Field { new: Paragraph::new(reason.as_str()).ok(), ..Field::clear(path, FieldClass::Care) }
}
