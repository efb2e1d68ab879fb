//! Rosters: each row opens a file or brings an existing one up to date. Good rows are kept, bad ones reported, and
//! the same roster again changes nothing.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use linli_core::duplicate::Likeness;
use linli_core::id::{DwellingId, GroupCode, MembershipId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::membership::{Basis, Membership};
use linli_core::resident::FileState as FileStage;
use linli_core::site::Dwelling;
use linli_core::text::{Language, Line};
use linli_core::time::CivilDate;
use linli_store::{ChangeSet, Committed, FieldClasses, IndexColumn, ResidentHead};

use super::assessment::FileState;
use super::duplicate::{Lines, described};
use super::file::{FileChange, NewFact, NewFile, OpenedFile, current_facts, violation};
use super::resident::{FILE, not_a_duplicate};
use super::site::fresh;
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Violation};
use crate::name;

/// Most rows of one call: bounds its memory and its time.
pub const IMPORT_ROWS_MAX: usize = 10_000;
/// Rows carried out together: their commits share fsyncs.
const CHUNK: usize = 128;

/// The imports that run now, by site.
#[derive(Debug, Default)]
pub struct Imports(std::sync::Mutex<HashMap<SiteId, std::sync::Weak<tokio::sync::Mutex<()>>>>);

impl Imports {
    /// The lock of a site's imports.
    fn of(&self, site: &SiteId) -> std::sync::Arc<tokio::sync::Mutex<()>> {
        let mut running = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        running.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = running.get(site).and_then(std::sync::Weak::upgrade) {
            return lock;
        }
        let lock = std::sync::Arc::default();
        running.insert(site.clone(), std::sync::Arc::downgrade(&lock));
        lock
    }
}

/// A row of a roster.
#[derive(Debug, Clone)]
pub struct ImportRow {
    /// Its line in the roster.
    pub line: i64,
    /// Where the person lives.
    pub place: Place,
    /// The person; its `dwelling` is a placeholder.
    pub file: NewFile,
    /// Whether the roster names the day of moving in; otherwise it is the day of the import, for new files only.
    pub moved_in_known: bool,
    /// Groups that the roster declares.
    pub groups: Vec<GroupCode>,
    /// Whether somebody looked at who may be the same person, and knows that they are not.
    pub confirmed: bool,
}

/// How a roster is taken.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions {
    /// Whether to add dwellings that the site does not have.
    pub create_dwellings: bool,
    /// Whether to write nothing, and to say what would become of each row.
    pub validate_only: bool,
}

/// Who may be the same person as a row.
#[derive(Debug, Clone)]
pub struct RowCandidate {
    /// A file, or an earlier line of the roster.
    pub who: FileOrLine,
    /// How much they are alike.
    pub likeness: Likeness,
}

/// A file, or a line of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrLine {
    /// A file.
    File(ResidentId),
    /// A line.
    Line(i64),
}

/// How a row says where somebody lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// By id.
    Known(DwellingId),
    /// By the words on the door.
    Door {
        /// The building.
        building: Line,
        /// The unit.
        unit: Option<Line>,
        /// The room.
        room: Line,
    },
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// A file was opened.
    Created(ResidentId),
    /// A file was changed.
    Updated(ResidentId),
    /// The file said so already.
    Unchanged(ResidentId),
}

/// A row's line and what became of it.
#[derive(Debug, Clone)]
pub struct RowResult {
    /// The line in the roster.
    pub line: i64,
    /// What became of it.
    pub outcome: Result<RowOutcome>,
    /// Who may be the same person, where that is why it was refused.
    pub candidates: Vec<RowCandidate>,
}

/// What became of a roster, and how it is to be told.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The site.
    pub site: SiteId,
    /// The caller's language: what is wrong with a row is told in it.
    pub language: Language,
    /// In the order of the rows.
    pub results: Vec<RowResult>,
}

/// A row on its way: parsed, placed, matched.
struct Candidate {
    at: usize,
    row: ImportRow,
    existing: Option<ResidentId>,
    /// Whether somebody confirmed that it is nobody else's file.
    confirmed: bool,
}

/// An import on its way.
struct Import<'w> {
    work: &'w Work<'w>,
    site: &'w SiteId,
    today: CivilDate,
    options: ImportOptions,
    /// The people of the rows so far: by number, and by name and door.
    seen: HashSet<(String, String)>,
    /// The rows so far that open files that nobody else can see yet.
    lines: Lines,
    /// Doors that would be registered.
    foreseen: HashMap<Place, DwellingId>,
}

impl App {
    /// Imports rows into a site; results in the order of the rows. Under a request id the same roster gives the same
    /// answer again.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::Denied`], [`Error::StoreUnavailable`]; what is wrong with a row is in
    /// its result.
    pub async fn import_residents(
        &self,
        call: &Call,
        repeat: Repeat<Imported>,
        site: &SiteId,
        options: ImportOptions,
        rows: Vec<std::result::Result<ImportRow, (i64, Vec<Violation>)>>,
    ) -> Result<Answer<Imported>> {
        let work = self.begin(call, Some(site)).await?;
        // Two imports of one site at once would not see each other's people: the second waits, and then finds them.
        let importing = self.imports.of(site);
        let _turn = importing.lock().await;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut results: Vec<RowResult> = Vec::with_capacity(rows.len());
        let (seen, lines, foreseen) = Default::default();
        let mut import = Import { work: &work, site, today: work.today(), options, seen, lines, foreseen };
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
            results.extend(self.import_chunk(&mut import, chunk).await?);
        }
        let imported = Imported { site: site.clone(), language: call.language, results };
        if repeat.id.is_none() || options.validate_only {
            return Ok(Answer::Fresh(imported));
        }
        // Each row is a commit of its own; the answer is kept once all of them are done. A roster that was cut off is
        // sent again, and its rows that are there already change nothing.
        let changes = work.changes(&Touches::resource(format!("{}/residents", name::site(site))));
        work.commit("resident.import", changes, &repeat, imported).await
    }

    /// Decides whether `call` may import into `site`, before its rows are read.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::Denied`].
    pub async fn may_import(&self, call: &Call, site: &SiteId) -> Result<()> {
        self.begin(call, Some(site)).await.map(drop)
    }

    async fn import_chunk(
        &self,
        import: &mut Import<'_>,
        chunk: Vec<std::result::Result<ImportRow, (i64, Vec<Violation>)>>,
    ) -> Result<Vec<RowResult>> {
        let mut results = Vec::with_capacity(chunk.len());
        let mut accepted = Vec::new();
        for (at, row) in chunk.into_iter().enumerate() {
            // Until its own outcome is known.
            let mut outcome = Err(Error::Internal("a row of a roster was lost".into()));
            let line = row.as_ref().map_or_else(|(line, _)| *line, |row| row.line);
            match row {
                Err((_, violations)) => outcome = Err(Error::Invalid(violations)),
                Ok(mut row) => {
                    if !row.moved_in_known {
                        row.file.moved_in = import.today;
                    }
                    let violations = self.check_new(&row.file, import.today);
                    if violations.is_empty() {
                        accepted.push((at, row));
                    } else {
                        outcome = Err(Error::Invalid(violations));
                    }
                }
            }
            results.push(RowResult { line, outcome, candidates: Vec::new() });
        }
        let mut settle = |at: usize, outcome: Result<RowOutcome>, candidates: Vec<RowCandidate>| {
            if let Some(result) = results.get_mut(at) {
                (result.outcome, result.candidates) = (outcome, candidates);
            }
        };
        let dwellings = self.placed(import, accepted.iter().map(|(_, row)| &row.place)).await?;
        let mut candidates = Vec::new();
        for (at, mut row) in accepted {
            let Some(dwelling) = dwellings.get(&row.place) else {
                settle(at, Err(Error::Invalid(vec![violation("dwelling", Invalid::Unknown)])), Vec::new());
                continue;
            };
            row.file.dwelling = dwelling.clone();
            let number = row.file.identity.number.as_ref().map(|number| number.reveal().to_owned());
            let person = row.file.contact.name.reveal().to_owned();
            // One person once: by number, and by name and door, which a row without a number may share with one that
            // has it.
            let named_twice = !import.seen.insert((person, dwelling.as_str().to_owned()));
            let numbered_twice = number.is_some_and(|number| !import.seen.insert((number, String::new())));
            if named_twice || numbered_twice {
                settle(at, Err(Error::Invalid(vec![violation("resident", Invalid::Duplicate)])), Vec::new());
                continue;
            }
            candidates.push(Candidate { at, existing: None, confirmed: row.confirmed, row });
        }
        let opened = self.matched(import.work, import.site, &mut candidates).await?;
        for (at, suspected) in self.suspected(import, &candidates).await? {
            let names = suspected.iter().filter_map(|candidate| match &candidate.who {
                FileOrLine::File(id) => Some(name::resident(import.site, id)),
                FileOrLine::Line(_) => None,
            });
            settle(at, Err(Error::PossibleDuplicate(names.collect())), suspected);
            candidates.retain(|candidate| candidate.at != at);
        }
        let commits = self.chunk_commits(import.work, import.site, import.today, &candidates, opened).await;
        let validate_only = import.options.validate_only;
        let done = join_all(commits.into_iter().map(|(at, prepared)| async move {
            let outcome = match prepared {
                Ok((outcome, Some(changes))) if !validate_only => {
                    match self.store.commit("resident.import", changes).await {
                        Ok(Committed::Done(_) | Committed::Repeated(_)) => Ok(outcome),
                        Err(error) => Err(error.into()),
                    }
                }
                Ok((outcome, _)) => Ok(outcome),
                Err(error) => Err(error),
            };
            (at, outcome)
        }))
        .await;
        for (at, outcome) in done {
            settle(at, outcome, Vec::new());
        }
        Ok(results)
    }

    /// The rows that would open a file beside one, or beside an earlier row, that may be of the same person, where
    /// nobody confirmed that it is not.
    async fn suspected(
        &self,
        import: &mut Import<'_>,
        candidates: &[Candidate],
    ) -> Result<Vec<(usize, Vec<RowCandidate>)>> {
        let new: Vec<&Candidate> =
            candidates.iter().filter(|candidate| candidate.existing.is_none()).collect();
        let people: Vec<_> = new.iter().map(|candidate| described(&candidate.row.file)).collect();
        let suspects = self.suspects(import.work, import.site, &people).await?;
        if !import.options.validate_only {
            import.lines = Lines::default(); // rows of chunks before are files by now
        }
        let mut suspected = Vec::new();
        for (candidate, suspects) in new.into_iter().zip(suspects) {
            let files = suspects.into_iter().map(|suspect| (FileOrLine::File(suspect.id), suspect.likeness));
            let lines = import.lines.add(candidate.row.line, &described(&candidate.row.file));
            let lines = lines.into_iter().map(|(line, likeness)| (FileOrLine::Line(line), likeness));
            let mut found: Vec<RowCandidate> =
                files.chain(lines).map(|(who, likeness)| RowCandidate { who, likeness }).collect();
            found.sort_by_key(|candidate| std::cmp::Reverse(candidate.likeness.score));
            if !found.is_empty() && !candidate.confirmed {
                suspected.push((candidate.at, found));
            }
        }
        Ok(suspected)
    }

    /// The dwellings of a chunk's places; unknown doors are registered where that is wanted, in one commit.
    async fn placed<'r>(
        &self,
        import: &mut Import<'_>,
        places: impl Iterator<Item = &'r Place>,
    ) -> Result<HashMap<Place, DwellingId>> {
        let Import { work, site, .. } = *import;
        let ImportOptions { create_dwellings: create, validate_only } = import.options;
        let mut found = import.foreseen.clone();
        let mut fresh_dwellings = Vec::new();
        for place in places {
            if found.contains_key(place) {
                continue;
            }
            match place {
                Place::Known(id) => {
                    if let Some(dwelling) = self.store.dwelling(site, id).await? {
                        found.insert(place.clone(), dwelling.id);
                    }
                }
                Place::Door { building, unit, room } => {
                    match self.store.dwelling_at(site, building, unit.as_ref(), room).await? {
                        Some(dwelling) => {
                            found.insert(place.clone(), dwelling.id);
                        }
                        None if create => {
                            let id = fresh(DwellingId::new(&work.new_id()))?;
                            found.insert(place.clone(), id.clone());
                            fresh_dwellings.push(Dwelling {
                                site: site.clone(),
                                id,
                                building: building.clone(),
                                unit: unit.clone(),
                                room: room.clone(),
                                created_at: work.now,
                                version: 1,
                            });
                        }
                        None => {}
                    }
                }
            }
        }
        if validate_only {
            let doors = found.iter().filter(|(_, id)| fresh_dwellings.iter().any(|fresh| fresh.id == **id));
            import.foreseen.extend(doors.map(|(place, id)| (place.clone(), id.clone())));
        } else if !fresh_dwellings.is_empty() {
            let mut changes = work.changes(&Touches::resource(format!("sites/{site}/dwellings")));
            for dwelling in fresh_dwellings {
                changes.event("dwelling.created", name::dwelling(site, &dwelling.id));
                changes.put_dwelling(dwelling);
            }
            self.store.commit("dwelling.import", changes).await?;
        }
        Ok(found)
    }

    /// Finds the files that rows are about and opens them under one audit entry.
    async fn matched(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        candidates: &mut [Candidate],
    ) -> Result<HashMap<ResidentId, OpenedFile>> {
        let mut possible: Vec<(usize, ResidentId)> = Vec::new();
        let seen = |mut found: Vec<ResidentId>| {
            found.retain(|id| !work.hides(id));
            found
        };
        for (at, candidate) in candidates.iter().enumerate() {
            let file = &candidate.row.file;
            if let Some(number) = &file.identity.number
                && let found = seen(self.store.find_by_identity(site, number).await?)
                && !found.is_empty()
            {
                possible.extend(found.into_iter().map(|id| (at, id)));
                continue;
            }
            let name = file.contact.name.reveal();
            for id in seen(self.store.find_residents(site, IndexColumn::Name, name).await?) {
                possible.push((at, id));
            }
        }
        if possible.is_empty() {
            return Ok(HashMap::new());
        }
        let mut ids: Vec<ResidentId> = possible.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        let mut sealed = self.store.residents_by_id(site, &ids, FieldClasses::of(FILE)).await?;
        // A row that says what a merged file says is asked about, as one like the survivor.
        sealed.retain(|sealed| sealed.head.merged_into.is_none());
        let heads: Vec<_> = sealed.iter().map(|sealed| &sealed.head).collect();
        let all: Vec<ResidentId> = heads.iter().flat_map(|head| head.files()).collect();
        let facts = self.store.facts(site, &all).await?;
        let mut states = self.file_states(site, &heads).await?;
        let subjects = all.iter().map(|id| id.as_str().to_owned()).collect();
        let receipt =
            work.disclose(&Touches::files(format!("sites/{site}/residents"), subjects, FILE)).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut opened = HashMap::new();
        for sealed in sealed {
            let id = sealed.head.id.clone();
            let state = states.remove(&id).unwrap_or_default();
            let of_person = sealed.head.files();
            let own = facts.iter().filter(|fact| of_person.contains(&fact.resident));
            let facts = own.map(|fact| fact.open(&opener)).collect::<std::result::Result<Vec<_>, _>>()?;
            opened.insert(
                id,
                OpenedFile { head: sealed.head.clone(), resident: sealed.open(&opener)?, facts, state },
            );
        }
        for (at, id) in possible {
            let (Some(candidate), Some(file)) = (candidates.get_mut(at), opened.get(&id)) else { continue };
            if candidate.existing.is_none() && is_same(&candidate.row.file, file) {
                candidate.existing = Some(id);
            }
        }
        Ok(opened)
    }

    /// What each row of a chunk comes to, and the changes it asks for.
    async fn chunk_commits(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        today: CivilDate,
        candidates: &[Candidate],
        opened: HashMap<ResidentId, OpenedFile>,
    ) -> Vec<(usize, Result<(RowOutcome, Option<ChangeSet>)>)> {
        let mut commits = Vec::new();
        let mut drafts = Vec::new();
        for candidate in candidates {
            match candidate.existing.as_ref().and_then(|id| opened.get(id)) {
                Some(file) => {
                    commits.push((candidate.at, self.row_update(work, today, &candidate.row, file).await));
                }
                None => match self.drafted(work, today, site.clone(), candidate.row.file.clone()) {
                    Ok(draft) => drafts.push((candidate, draft)),
                    Err(error) => commits.push((candidate.at, Err(error))),
                },
            }
        }
        let rows: Vec<_> = drafts
            .iter()
            .map(|(_, (resident, facts))| self.row(resident, facts, work, (today, None)))
            .collect();
        let answers = match self.ask(site, today, &rows).await {
            Ok(answers) => answers,
            Err(error) => {
                commits.extend(drafts.iter().map(|(candidate, _)| (candidate.at, Err(error.clone()))));
                return commits;
            }
        };
        for (at, (candidate, (resident, facts))) in drafts.iter().enumerate() {
            let opened = self.opened(work, (resident, facts), (&answers, at), today).await;
            let outcome = opened.and_then(|(mut changes, state)| {
                self.declare(work, &mut changes, site, &resident.id, &candidate.row, &state, today)?;
                if candidate.confirmed {
                    self.note(work, &mut changes, &ResidentHead::of(resident), &[not_a_duplicate()]);
                }
                Ok((RowOutcome::Created(resident.id.clone()), Some(changes)))
            });
            commits.push((candidate.at, outcome));
        }
        commits
    }

    async fn row_update(
        &self,
        work: &Work<'_>,
        today: CivilDate,
        row: &ImportRow,
        file: &OpenedFile,
    ) -> Result<(RowOutcome, Option<ChangeSet>)> {
        let id = file.head.id.clone();
        super::file::require_active(&file.head)?;
        if row.file.dwelling != file.head.dwelling {
            // A change of room is a move: it has a date, which a roster does not say.
            return Err(Error::Invalid(vec![violation("dwelling", Invalid::NotAllowed)]));
        }
        let change = change_of(&row.file, file, today);
        let missing = row.groups.iter().any(|group| !file.state.is_member(group, today));
        let Some(change) = change.or_else(|| missing.then(FileChange::default)) else {
            return Ok((RowOutcome::Unchanged(id), None));
        };
        let (mut changes, _, state) = self.change_opened(work, file, None, change, today).await?;
        self.declare(work, &mut changes, &file.head.site, &id, row, &state, today)?;
        Ok((RowOutcome::Updated(id), Some(changes)))
    }

    /// Declares the groups that a row names and the rules did not find.
    #[expect(
        clippy::too_many_arguments,
        reason = "one row's worth of everything; both callers have it at hand"
    )]
    fn declare(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        site: &SiteId,
        resident: &ResidentId,
        row: &ImportRow,
        state: &FileState,
        today: CivilDate,
    ) -> Result<()> {
        for group in &row.groups {
            if self.deployed().catalogue.group(group).is_none() {
                return Err(Error::Invalid(vec![violation("care_groups", Invalid::Unknown)]));
            }
            if state.is_member(group, today) {
                continue;
            }
            changes.put_membership(Membership {
                site: site.clone(),
                resident: resident.clone(),
                id: fresh(MembershipId::new(&work.new_id()))?,
                group: group.clone(),
                basis: Basis::Declared,
                reason: None,
                evidence: Line::new(&format!("roster, line {}", row.line)).ok(),
                start: today,
                end: None,
                proposed_exit: None,
                recorded_at: work.now,
                version: 1,
            });
        }
        Ok(())
    }
}

/// Whether a row and a file are about one person: the same identity number or, where one of them has none, the same
/// name and dwelling and, where both know it, birth date.
fn is_same(row: &NewFile, file: &OpenedFile) -> bool {
    let resident = &file.resident;
    match (&row.identity.number, &resident.identity.number) {
        (Some(a), Some(b)) => a == b,
        (Some(_) | None, Some(_) | None) => {
            let birth = (row.identity.birth_date, resident.identity.birth_date);
            let same_birth = !matches!(birth, (Some(a), Some(b)) if a != b);
            row.contact.name == resident.contact.name
                && row.dwelling == resident.dwelling
                && same_birth
                && resident.state != FileStage::Erased
        }
    }
}

/// What a row says that the file does not; a value that the row leaves out stays. `None`: nothing.
fn change_of(row: &NewFile, file: &OpenedFile, today: CivilDate) -> Option<FileChange> {
    fn new<T: PartialEq + Clone>(said: &Option<T>, held: &Option<T>) -> Option<Option<T>> {
        (said.is_some() && said != held).then(|| said.clone())
    }
    let held = &file.resident;
    let current = current_facts(&file.facts, today);
    let said = |fact: &&NewFact| {
        !current.iter().any(|known| known.field == fact.field && known.value == fact.value)
            && (fact.value.is_some() || current.iter().any(|known| known.field == fact.field))
    };
    let change = FileChange {
        name: (row.contact.name != held.contact.name).then(|| row.contact.name.clone()),
        phone: new(&row.contact.phone, &held.contact.phone),
        emergency: (!row.contact.emergency.is_empty() && row.contact.emergency != held.contact.emergency)
            .then(|| row.contact.emergency.clone()),
        number: new(&row.identity.number, &held.identity.number),
        birth_date: new(&row.identity.birth_date, &held.identity.birth_date),
        sex: new(&row.identity.sex, &held.identity.sex),
        family: new(&row.family, &held.family),
        health: new(&row.health, &held.health),
        status: new(&row.status, &held.status),
        needs: (!row.needs.is_empty() && row.needs != held.needs).then(|| row.needs.clone()),
        facts: row.facts.iter().filter(said).cloned().collect(),
    };
    let nothing = change.name.is_none()
        && change.phone.is_none()
        && change.emergency.is_none()
        && change.number.is_none()
        && change.birth_date.is_none()
        && change.sex.is_none()
        && change.family.is_none()
        && change.health.is_none()
        && change.status.is_none()
        && change.needs.is_none()
        && change.facts.is_empty();
    (!nothing).then_some(change)
}
