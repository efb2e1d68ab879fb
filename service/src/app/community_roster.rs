//! Lists of people that bodies keep, compared with the care files of a site: the survey by community linkage.
//!
//! ```text
//! PullRoster ── may they? ── channel ── list ── entry by entry: read, compared, proposed ──► a person looks, and confirms
//! ```
//!
//! A list names people who are not in our care, and nobody asked them: nothing of it is kept, neither here nor in any table. What
//! becomes of an entry is decided by a person, who calls what there is for it (`DeclareMembership`, `CreateResident`, `RecordSurvey`);
//! asked again, the list answers that it is so already.
//!
//! Rights, protection and purpose are asked anew for every part of the answer, and each leaves audit entries of its own that name
//! the body and everybody who was compared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use linli_core::community_roster::{EarlierEntry, KnownFile, RosterEntry, RosterProposal, propose};
use linli_core::duplicate::{Likeness, Person};
use linli_core::id::{BodyId, DwellingId, GroupCode, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::referral::DisclosedField;
use linli_core::resident::{FieldClass, FileState, PersonName};
use linli_core::text::{Label, Language};
use linli_core::time::CivilDate;
use linli_plugin_host::exchange::Field;
use linli_store::{FieldClasses, ResidentHead};

use super::App;
use super::assessment::FileState as AssessedState;
use super::contest::insisted;
use super::duplicate::{Lines, Suspect};
use super::membership::MembershipState;
use super::plugin::Deployed;
use super::resident::may_open;
use super::work::{Touches, Work};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name;
use crate::roster::place::Place;

/// What of people a list shows in clear.
const LISTED: &[FieldClass] = &[FieldClass::Contact, FieldClass::Identity];
/// What is shown of a file beside an entry: a masked name, and where a membership stands.
const SHOWN: &[FieldClass] = &[FieldClass::Contact, FieldClass::Status];
/// Entries of one answer: an audit entry names everybody who was compared with them.
const PAGE: usize = 100;
/// Files, and earlier entries, that are shown beside an entry: who shares more with so many is nobody in particular.
const CANDIDATES_MAX: usize = 10;
/// Earlier entries with one thing in common with which an entry is compared.
const SHARING_MAX: usize = 200;
/// Dwellings that one statement reads.
const DWELLINGS_BATCH: u64 = 1_000;

/// Which list is asked for, and how it is shown.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The site with whose files it is compared.
    pub site: SiteId,
    /// Whose list.
    pub body: BodyId,
    /// Where to go on; empty: from its beginning.
    pub cursor: String,
    /// Whether its values are shown in clear.
    pub full: bool,
}

/// A file that may be of the person of an entry.
#[derive(Debug, Clone)]
pub struct RosterCandidate {
    /// The file.
    pub resident: ResidentId,
    /// Whose it is.
    pub name: PersonName,
    /// State of the file.
    pub state: FileState,
    /// Where the membership in the entry's group stands; `None`: there never was one.
    pub membership: Option<MembershipState>,
    /// How much they are alike.
    pub likeness: Likeness,
}

/// An entry as an answer shows it.
#[derive(Debug, Clone)]
pub struct RosterLine {
    /// Its place in this part of the list, from 1.
    pub line: i64,
    /// What the list says.
    pub entry: RosterEntry,
    /// The dwelling that its address names, and what people call it.
    pub dwelling: Option<(DwellingId, String)>,
    /// The name of its group.
    pub group_title: Option<Label>,
    /// Whether its values are shown in clear.
    pub in_clear: bool,
    /// What a person would do about it.
    pub proposal: RosterProposal,
    /// Whose file it may be, the most alike first.
    pub candidates: Vec<RosterCandidate>,
    /// Which earlier entries it may repeat, the most alike first.
    pub repetitions: Vec<(i64, Likeness)>,
}

/// What a part of a list came to.
#[derive(Debug, Clone)]
pub struct RosterSummary {
    /// How many entries it had.
    pub entries: i64,
    /// How many of each proposal.
    pub counts: Vec<(RosterProposal, i64)>,
    /// Where to go on; empty: there is no more.
    pub cursor: String,
}

/// Some entries, and at the end what all of them came to.
#[derive(Debug)]
pub struct RosterPage {
    /// The site.
    pub site: SiteId,
    /// The body.
    pub body: BodyId,
    /// The caller's language: what is wrong with an entry is told in it.
    pub language: Language,
    /// The entries, in order.
    pub lines: Vec<RosterLine>,
    /// What it came to, with the last of them.
    pub summary: Option<RosterSummary>,
}

/// A list on its way to whoever asked for it.
pub struct RosterPull {
    app: Arc<App>,
    call: Call,
    pull: Pull,
    /// `None`: the body was not asked yet.
    part: Option<Part>,
}

/// A part of a list that a body gave.
struct Part {
    rest: std::vec::IntoIter<Vec<Field>>,
    /// Entries so far.
    line: i64,
    /// The groups of the entries so far.
    groups: Vec<Option<GroupCode>>,
    lines: Lines,
    doors: Doors,
    counts: HashMap<RosterProposal, i64>,
    cursor: String,
    ended: bool,
}

/// The dwellings of a site by where they are; `None`: two of them are there.
type Doors = HashMap<Place, Option<(DwellingId, String)>>;

/// Some entries, and what is known about them.
struct Compared {
    today: CivilDate,
    deployed: Arc<Deployed>,
    entries: Vec<RosterEntry>,
    dwellings: Vec<Option<(DwellingId, String)>>,
    suspects: Vec<Vec<Suspect>>,
    opened: HashMap<ResidentId, Opened>,
    /// Whether the caller sees values of children in clear.
    sees_children: bool,
}

/// A file that may be somebody's, as far as it is shown.
struct Opened {
    name: PersonName,
    head: ResidentHead,
    state: AssessedState,
}

impl App {
    /// Asks a body for its list; whether the caller may, [`RosterPull::next`] tells.
    pub fn pull_roster(self: Arc<Self>, call: Call, pull: Pull) -> RosterPull {
        RosterPull { app: self, call, pull, part: None }
    }

    /// Asks the body, once it is certain that the caller may and that this is on record.
    async fn asked_for_roster(&self, call: &Call, pull: &Pull) -> Result<Part> {
        let work = self.begin(call, Some(&pull.site)).await?;
        let body = self.store.body(&pull.body).await?.ok_or(Error::NotFound(Thing::Body))?;
        if !body.enabled {
            return Err(Error::State(StateConflict::BodyDisabled));
        }
        if !body.serves(&pull.site) {
            return Err(Error::State(StateConflict::BodyElsewhere));
        }
        let touches = Touches::files(name::body(&body.id), Vec::new(), LISTED);
        if pull.full {
            work.reveal(&touches).await?;
            self.exports.count(&work.permit().principal().staff, self.system_clock.now())?;
        }
        work.disclose(&touches).await?;
        let (entries, cursor) = self.fetch_roster(&body, pull.cursor.clone()).await?;
        let is_address = |field: &Field| field.code == DisclosedField::Address.code();
        let doors = match entries.iter().flatten().any(is_address) {
            true => self.dwellings_by_place(&pull.site).await?,
            false => Doors::new(),
        };
        Ok(Part {
            rest: entries.into_iter(),
            line: 0,
            groups: Vec::new(),
            lines: Lines::bounded(SHARING_MAX),
            doors,
            counts: HashMap::new(),
            cursor,
            ended: false,
        })
    }

    /// Every dwelling of a site by where it is.
    async fn dwellings_by_place(&self, site: &SiteId) -> Result<Doors> {
        let mut doors = Doors::new();
        let mut page = linli_store::Page::first(DWELLINGS_BATCH);
        loop {
            let found = self.store.dwellings(&linli_store::Sites::One(site.clone()), &page).await?;
            let Some(last) = found.last() else { return Ok(doors) };
            page = linli_store::Page::after(site.as_str(), last.id.as_str(), DWELLINGS_BATCH);
            for dwelling in found {
                let unit = dwelling.unit.as_ref().map(|unit| unit.as_str()).unwrap_or_default();
                let place = Place::from_parts(dwelling.building.as_str(), unit, dwelling.room.as_str());
                let Ok(place) = place else { continue };
                let shown = dwelling.display_name();
                doors
                    .entry(place)
                    .and_modify(|door| *door = None)
                    .or_insert_with(|| Some((dwelling.id, shown)));
            }
        }
    }

    /// Some entries, compared with the files of the site as of now.
    async fn compared_with_files(
        &self,
        call: &Call,
        pull: &Pull,
        doors: &Doors,
        entries: &[Vec<Field>],
    ) -> Result<Compared> {
        let Pull { site, body, full, .. } = pull;
        let work = self.begin(call, Some(site)).await?;
        let resource = name::body(body);
        if *full {
            work.reveal(&Touches::files(&resource, Vec::new(), LISTED)).await?;
        }
        let (today, deployed) = (work.today(), self.deployed());
        let read = |fields: &Vec<Field>| {
            let values = fields.iter().map(|field| (field.code.as_str(), field.value.as_str()));
            RosterEntry::read(values, today, |group| deployed.catalogue.group(group).is_some())
        };
        let entries: Vec<RosterEntry> = entries.iter().map(read).collect();
        let dwellings: Vec<_> = entries.iter().map(|entry| door(doors, entry)).collect();
        let people = people(&entries, &dwellings);
        let suspects = self.suspects_for(&work, site, &people, &resource).await?;
        let opened = self.opened_beside(&work, site, &suspects, &resource).await?;
        let sees_children = work.sees_children(LISTED);
        Ok(Compared { today, deployed, entries, dwellings, suspects, opened, sees_children })
    }

    /// What is shown of the files that may be somebody's, under an audit entry.
    async fn opened_beside(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        suspects: &[Vec<Suspect>],
        resource: &str,
    ) -> Result<HashMap<ResidentId, Opened>> {
        let ids: HashSet<&ResidentId> = suspects.iter().flatten().map(|suspect| &suspect.id).collect();
        let ids: Vec<ResidentId> = ids.into_iter().cloned().collect();
        let mut opened = HashMap::with_capacity(ids.len());
        let contact = FieldClasses::of(&[FieldClass::Contact]);
        let mut sealed = self.store.residents_by_id(site, &ids, contact).await?;
        sealed.retain(|sealed| !work.hides(&sealed.head.id) && may_open(&sealed.head).is_ok());
        if sealed.is_empty() {
            return Ok(opened);
        }
        let heads: Vec<_> = sealed.iter().map(|sealed| &sealed.head).collect();
        let mut states = self.file_states(site, &heads).await?;
        let subjects = heads.iter().map(|head| head.id.as_str().to_owned()).collect();
        let receipt = work.disclose(&Touches::files(resource, subjects, SHOWN)).await?;
        let opener = self.store.opener(&receipt).await?;
        for sealed in sealed {
            let Some(contact) = opener.open_option(sealed.contact.as_ref())? else { continue };
            let state = states.remove(&sealed.head.id).unwrap_or_default();
            let id = sealed.head.id.clone();
            opened.insert(id, Opened { name: contact.name, head: sealed.head, state });
        }
        Ok(opened)
    }
}

impl RosterPull {
    /// The next entries; `None` after the last. The body is asked by the first call; dropped meanwhile, its run ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] for site and body; [`Error::State`] where the body cannot be asked; [`Error::BodyUnreachable`],
    /// [`Error::BodyRefused`]; [`Error::PurposeRequired`], [`Error::RevealLimit`] for a list in clear; [`Error::Denied`]. Nothing comes
    /// after an error.
    pub async fn next(&mut self) -> Result<Option<RosterPage>> {
        let Self { app, call, pull, part } = self;
        let part = match part {
            Some(part) if part.ended => return Ok(None),
            Some(part) => part,
            None => part.insert(app.asked_for_roster(call, pull).await?),
        };
        let entries: Vec<_> = part.rest.by_ref().take(PAGE).collect();
        part.ended = part.rest.len() == 0;
        // The body is not asked again because rights, or a consent of anybody, changed at this very moment.
        let compared = insisted(|| app.compared_with_files(call, pull, &part.doors, &entries)).await;
        part.ended |= compared.is_err();
        let lines = part.proposed(compared?, pull.full);
        let summary = part.ended.then(|| part.summary());
        let (site, body, language) = (pull.site.clone(), pull.body.clone(), call.language);
        Ok(Some(RosterPage { site, body, language, lines, summary }))
    }
}

impl Part {
    /// What a person would do about the entries that come next.
    fn proposed(&mut self, compared: Compared, full: bool) -> Vec<RosterLine> {
        let Compared { today, deployed, entries, dwellings, suspects, opened, sees_children } = compared;
        let first = self.line + 1;
        let alike: Vec<_> = (first..)
            .zip(people(&entries, &dwellings))
            .map(|(line, person)| self.lines.add(line, &person))
            .collect();
        let mut lines = Vec::with_capacity(entries.len());
        let beside = dwellings.into_iter().zip(suspects).zip(alike);
        for (mut entry, ((dwelling, suspects), mut repetitions)) in entries.into_iter().zip(beside) {
            self.line += 1;
            if entry.address.is_some() && dwelling.is_none() {
                entry.wrong.push((DisclosedField::Address.code(), Invalid::Unknown));
            }
            let mut candidates = candidates(suspects, &opened, entry.group.as_ref(), today);
            let files: Vec<KnownFile> = candidates.iter().map(known_file).collect();
            let earlier: Vec<EarlierEntry> =
                repetitions.iter().map(|(line, likeness)| self.earlier(&entry, *line, likeness)).collect();
            let proposal = propose(&entry, &files, &earlier);
            *self.counts.entry(proposal).or_default() += 1;
            self.groups.push(entry.group.clone());
            candidates.truncate(CANDIDATES_MAX);
            repetitions.truncate(CANDIDATES_MAX);
            let group = entry.group.as_ref().and_then(|group| deployed.catalogue.group(group));
            lines.push(RosterLine {
                line: self.line,
                group_title: group.map(|group| group.title.clone()),
                in_clear: full && (sees_children || !entry.is_minor(today)),
                entry,
                dwelling,
                proposal,
                candidates,
                repetitions,
            });
        }
        lines
    }

    /// What an entry has in common with an earlier one that is like it.
    fn earlier(&self, entry: &RosterEntry, line: i64, likeness: &Likeness) -> EarlierEntry {
        let at = usize::try_from(line - 1).ok();
        let group = at.and_then(|at| self.groups.get(at)).and_then(Option::as_ref);
        let same_group = group.is_some() && group == entry.group.as_ref();
        EarlierEntry { likeness: likeness.clone(), same_group }
    }

    /// What all of it came to.
    fn summary(&mut self) -> RosterSummary {
        let count = |proposal: &RosterProposal| self.counts.get(proposal).copied().unwrap_or_default();
        RosterSummary {
            entries: self.line,
            counts: RosterProposal::ALL.iter().map(|proposal| (*proposal, count(proposal))).collect(),
            cursor: std::mem::take(&mut self.cursor),
        }
    }
}

/// The dwelling that an entry's address names for certain.
fn door(doors: &Doors, entry: &RosterEntry) -> Option<(DwellingId, String)> {
    let place = Place::parse(entry.address.as_ref()?.as_str()).ok()?;
    doors.get(&place).cloned().flatten()
}

/// Entries as they are compared.
fn people<'a>(entries: &'a [RosterEntry], dwellings: &'a [Option<(DwellingId, String)>]) -> Vec<Person<'a>> {
    let person = |(entry, dwelling): (&'a RosterEntry, &'a Option<(DwellingId, String)>)| Person {
        name: entry.name.as_ref(),
        number: entry.number.as_ref(),
        birth_date: entry.birth_date,
        phone: entry.phone.as_ref(),
        dwelling: dwelling.as_ref().map(|(id, _)| id),
    };
    entries.iter().zip(dwellings).map(person).collect()
}

/// The files that may be somebody's, with where the membership in a group stands.
fn candidates(
    suspects: Vec<Suspect>,
    opened: &HashMap<ResidentId, Opened>,
    group: Option<&GroupCode>,
    today: CivilDate,
) -> Vec<RosterCandidate> {
    let candidate = |suspect: Suspect| {
        // A file that went meanwhile is nobody's.
        let file = opened.get(&suspect.id)?;
        let of_group = file.state.memberships.iter().filter(|membership| Some(&membership.group) == group);
        let standing = of_group.map(|membership| MembershipState::of(membership, today));
        Some(RosterCandidate {
            resident: suspect.id,
            name: file.name.clone(),
            state: file.head.state,
            membership: standing.min_by_key(|state| weight(*state)),
            likeness: suspect.likeness,
        })
    };
    suspects.into_iter().filter_map(candidate).collect()
}

/// Of several memberships in one group the one that counts comes first.
fn weight(state: MembershipState) -> u8 {
    match state {
        MembershipState::Active => 0,
        MembershipState::ExitProposed => 1,
        MembershipState::Planned => 2,
        MembershipState::Ended => 3,
    }
}

fn known_file(candidate: &RosterCandidate) -> KnownFile {
    let is_member = match candidate.membership {
        Some(MembershipState::Active | MembershipState::ExitProposed | MembershipState::Planned) => true,
        Some(MembershipState::Ended) | None => false,
    };
    KnownFile {
        likeness: candidate.likeness.clone(),
        is_active: candidate.state == FileState::Active,
        is_member,
    }
}
