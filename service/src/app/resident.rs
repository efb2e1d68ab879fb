//! Care files: opening, reading, listing, changing, moving.
//!
//! What is personal lies sealed in the store and opens only under the receipt of a durable audit entry. A change
//! of facts assesses the file anew in the same commit, so that no file is ever without the duties its facts ask for.

mod list;

use linli_core::duplicate::Sign;
use linli_core::id::{GroupCode, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::kind::Tier;
use linli_core::resident::{Contact, Fact, FieldClass, FileState, Identity, PersonName, Resident};
use linli_core::time::{CivilDate, Instant};
use linli_store::{FieldClasses, Opener, ResidentHead, SealedFact, SealedResident, Status};

pub use self::list::Filter;
use super::assessment::{Coded, FileState as AssessedState};
use super::consent::add_guardian_consent;
use super::duplicate::described;
use super::file::{FileChange, NewFile, current_facts, touches_files, violation};
use super::history::Field;
use super::site::Update;
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self};

/// How much of a file an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Masked names and numbers, no free text.
    Masked,
    /// Name, phone, family and emergency contacts in clear; the identity number masked.
    Basic,
    /// Everything in clear.
    Full,
}

/// Which classes of a file an answer holds, and which of them in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The view that comes to.
    pub view: View,
    /// Classes that were opened.
    pub opened: FieldClasses,
    /// Those of them that are in clear; a name or number of another one is masked.
    pub clear: FieldClasses,
}

impl From<View> for Shown {
    fn from(view: View) -> Self {
        let opened = FieldClasses::of(view.classes());
        let clear = match view {
            View::Masked => FieldClasses::NONE,
            View::Basic => FieldClasses::of(&[FieldClass::Contact, FieldClass::Family]),
            View::Full => opened,
        };
        Self { view, opened, clear }
    }
}

/// What is shown of a file that is sealed or erased: where it stands.
pub(super) const AT_REST: Shown =
    Shown { view: View::Masked, opened: FieldClasses::NONE, clear: FieldClasses::NONE };

/// Whether a file may be opened. Sealed ones are storage only, erased ones are empty.
pub(super) fn may_open(head: &ResidentHead) -> Result<()> {
    match head.state {
        FileState::Active | FileState::Left => Ok(()),
        FileState::Sealed => Err(Error::State(StateConflict::FileSealed)),
        FileState::Erased => Err(Error::State(StateConflict::FileErased)),
    }
}

impl View {
    fn classes(self) -> &'static [FieldClass] {
        use FieldClass::{Care, Contact, Family, Health, Identity, Status};
        match self {
            Self::Masked => &[Contact],
            Self::Basic => &[Contact, Identity, Family],
            Self::Full => &[Contact, Identity, Health, Family, Status, Care],
        }
    }
}

/// Every class of a care file; facts may be of any of them.
pub(super) const FILE: &[FieldClass] = &[
    FieldClass::Contact,
    FieldClass::Identity,
    FieldClass::Health,
    FieldClass::Family,
    FieldClass::Status,
    FieldClass::Care,
];

/// A care file as an answer shows it. Fields of classes that it does not hold are empty.
#[derive(Debug, Clone)]
pub struct FileView {
    /// The person and the file.
    pub resident: Resident,
    /// The dwelling in one line.
    pub dwelling_name: String,
    /// The facts in force.
    pub facts: Vec<Fact>,
    /// The tier in force.
    pub tier: Option<Tier>,
    /// A lower tier that waits for confirmation.
    pub proposed_tier: Option<Tier>,
    /// The groups of today, sorted.
    pub groups: Vec<GroupCode>,
    /// The tags of today.
    pub tags: Vec<Coded>,
    /// What whoever meets the person must know.
    pub cautions: Vec<Coded>,
    /// When the file was last assessed.
    pub assessed_at: Option<Instant>,
    /// Whether the assessment has outlived its validity or lacks an answer.
    pub stale: bool,
    /// Whether a person must decide instead of a plugin that cannot be asked.
    pub manual: bool,
    /// The files that were merged into it.
    pub merged: Vec<ResidentId>,
    /// How much it shows.
    pub shown: Shown,
}

impl App {
    /// Opens a care file and assesses it. Where the site has a file that may be of the same person, somebody must have
    /// looked and `confirmed` that it is not.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::IdentityTaken`], [`Error::PossibleDuplicate`], [`Error::NotFound`] for the site,
    /// [`Error::Denied`].
    pub async fn create_resident(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        site: SiteId,
        new: NewFile,
        confirmed: bool,
    ) -> Result<Answer<FileView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let today = work.today();
        let mut violations = self.check_new(&new, today);
        let dwelling = self.store.dwelling(&site, &new.dwelling).await?;
        if dwelling.is_none() {
            violations.push(violation("resident.dwelling", Invalid::Unknown));
        }
        self.require_fresh_number(&work, &site, new.identity.number.as_ref(), None).await?;
        let Some(dwelling) = dwelling.filter(|_| violations.is_empty()) else {
            return Err(Error::Invalid(violations));
        };
        let suspects = self.suspects(&work, &site, &[described(&new)]).await?.pop().unwrap_or_default();
        if suspects.iter().any(|suspect| suspect.likeness.signs.contains(&Sign::SameNumber)) {
            return Err(Error::IdentityTaken);
        }
        if !suspects.is_empty() && !confirmed {
            let names = suspects.iter().map(|suspect| name::resident(&site, &suspect.id));
            return Err(Error::PossibleDuplicate(names.collect()));
        }
        let guardian = new.guardian_consent.clone();
        let (resident, facts) = self.drafted(&work, today, site, new)?;
        let row = self.row(&resident, &facts, &work, (today, None));
        let answers = self.ask(&resident.site, today, std::slice::from_ref(&row)).await?;
        let (mut changes, state) = self.opened(&work, (&resident, &facts), (&answers, 0), today).await?;
        if let Some(guardian) = guardian {
            add_guardian_consent(&work, &mut changes, &resident, guardian)?;
        }
        if !suspects.is_empty() {
            self.note(&work, &mut changes, &ResidentHead::of(&resident), &[not_a_duplicate()]);
        }
        let view = self.view(resident, Vec::new(), &state, dwelling.display_name(), View::Masked, today);
        work.commit("resident.create", changes, &repeat, view).await
    }

    /// One care file. Views above masked need a purpose and the right to every class they show; every view leaves an audit
    /// entry first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`], [`Error::RevealLimit`].
    pub async fn resident(
        &self,
        call: &Call,
        site: &SiteId,
        id: &ResidentId,
        view: View,
    ) -> Result<FileView> {
        let work = self.begin_file(call, site, id).await?;
        let touches = Touches::files(name::resident(site, id), vec![id.as_str().to_owned()], view.classes());
        if view > View::Masked {
            self.may_reveal(&work, &touches).await?;
        }
        self.show(&work, (site, id), view.into(), &touches).await
    }

    /// Opens what an answer shows of one file, once its audit entry is durable.
    pub(super) async fn show(
        &self,
        work: &Work<'_>,
        (site, id): (&SiteId, &ResidentId),
        shown: Shown,
        touches: &Touches<'_>,
    ) -> Result<FileView> {
        // BASIC shows no facts.
        let with_facts = shown.clear != FieldClasses::NONE && shown.view != View::Basic;
        let file = self.store.file(site, id, shown.opened, with_facts).await?;
        let Some(mut file) = file.filter(|_| !work.hides(id)) else { return Err(work.absent(id).await) };
        if file.resident.head.merged_into.is_some() {
            // The name of a merged file stands for the survivor.
            let head = self.load_head(work, site, id).await?;
            let touches = touches_files(&head, touches.classes);
            return Box::pin(self.show(work, (site, &head.id), shown, &touches)).await;
        }
        if let Err(at_rest) = may_open(&file.resident.head) {
            work.disclose(touches).await?;
            if shown.clear != FieldClasses::NONE {
                return Err(at_rest);
            }
            let blank = bare(&file.resident.head, Status::default());
            let state = AssessedState::default();
            return Ok(self.view(blank, Vec::new(), &state, String::new(), AT_REST, work.today()));
        }
        if !file.resident.head.merged.is_empty() {
            return self.show_file(work, file, shown, touches.classes).await;
        }
        let state = AssessedState::of(&mut file);
        self.show_opened(work, file, state, shown, touches).await
    }

    /// As [`App::show`], of a file into which others were merged.
    async fn show_file(
        &self,
        work: &Work<'_>,
        mut file: linli_store::StoredFile,
        shown: Shown,
        classes: &[FieldClass],
    ) -> Result<FileView> {
        let head = &file.resident.head;
        let touches = touches_files(head, classes);
        let state = self.file_state(head).await?;
        let merged: Vec<ResidentId> = head.merged.iter().map(|merged| merged.id.clone()).collect();
        if shown.clear != FieldClasses::NONE && shown.view != View::Basic {
            file.facts.extend(self.store.facts(&head.site, &merged).await?);
        }
        self.show_opened(work, file, state, shown, &touches).await
    }

    async fn show_opened(
        &self,
        work: &Work<'_>,
        file: linli_store::StoredFile,
        state: AssessedState,
        shown: Shown,
        touches: &Touches<'_>,
    ) -> Result<FileView> {
        let linli_store::StoredFile { resident: sealed, dwelling, facts, .. } = file;
        let receipt = work.disclose(touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let dwelling_name = dwelling.map(|dwelling| dwelling.display_name()).unwrap_or_default();
        let view =
            self.opened_view(&opener, (&sealed, &facts), &state, dwelling_name, shown, work.today())?;
        Ok(view.in_emergency(work))
    }

    /// A file as an answer shows it, its classes opened.
    pub(super) fn opened_view(
        &self,
        opener: &Opener<'_>,
        (sealed, facts): (&SealedResident, &[SealedFact]),
        state: &AssessedState,
        dwelling_name: String,
        shown: Shown,
        today: CivilDate,
    ) -> Result<FileView> {
        let resident = opened(opener, sealed)?;
        let mut opened = Vec::with_capacity(facts.len());
        // Facts have classes of their own.
        for fact in facts.iter().filter(|fact| shown.clear.contains(fact.class)) {
            opened.push(fact.open(opener)?);
        }
        let facts = current_facts(&opened, today).into_iter().cloned().collect();
        Ok(self.view(resident, facts, state, dwelling_name, shown, today))
    }

    /// These care files of a site, in the order of `ids`. Views above masked need what [`App::resident`] needs, and count
    /// for each file.
    ///
    /// # Errors
    /// As [`App::resident`]; [`Error::NotFound`] where one of them does not exist.
    pub async fn residents_by_name(
        &self,
        call: &Call,
        site: &SiteId,
        ids: &[ResidentId],
        view: View,
    ) -> Result<Vec<FileView>> {
        let work = self.begin(call, Some(site)).await?;
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            let touches =
                Touches::files(name::resident(site, id), vec![id.as_str().to_owned()], view.classes());
            if view > View::Masked {
                self.may_reveal(&work, &touches).await?;
            }
            views.push(self.show(&work, (site, id), view.into(), &touches).await?);
        }
        Ok(views)
    }

    /// Corrects a care file and assesses it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::EtagMismatch`], [`Error::IdentityTaken`], [`Error::State`],
    /// [`Error::Denied`].
    pub async fn update_resident(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, FileChange>,
    ) -> Result<Answer<FileView>> {
        let work = self.begin_file(call, &update.site, &update.id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let (changes, view) = self.changed(&work, update).await?;
        work.commit("resident.update", changes, &repeat, view).await
    }

    pub(super) fn view(
        &self,
        resident: Resident,
        facts: Vec<Fact>,
        state: &AssessedState,
        dwelling_name: String,
        shown: impl Into<Shown>,
        today: CivilDate,
    ) -> FileView {
        let tier = state.tier(today);
        let found = state.found_tier();
        FileView {
            resident,
            dwelling_name,
            facts,
            tier,
            proposed_tier: found.filter(|found| tier.is_some_and(|tier| *found < tier)),
            groups: state.groups(today),
            tags: self.coded_tags(state, today),
            cautions: self.coded_cautions(state),
            assessed_at: state.assessed_at(),
            stale: state.is_stale(today),
            manual: !state.manual().is_empty(),
            merged: state.merged.clone(),
            shown: shown.into(),
        }
    }
}

/// What the history keeps of somebody's word that a file is not a second one of the same person.
pub(super) fn not_a_duplicate() -> Field {
    Field::clear("confirmed_not_duplicate", FieldClass::Identity)
}

/// A file with those of its classes that were read.
pub(super) fn opened(opener: &Opener<'_>, sealed: &SealedResident) -> Result<Resident> {
    let blank = bare(&sealed.head, opener.open_option(sealed.status.as_ref())?.unwrap_or_default());
    Ok(Resident {
        contact: opener.open_option(sealed.contact.as_ref())?.unwrap_or(blank.contact),
        identity: opener.open_option(sealed.identity.as_ref())?.unwrap_or_default(),
        health: opener.open_option(sealed.health.as_ref())?.flatten(),
        family: opener.open_option(sealed.family.as_ref())?.flatten(),
        ..blank
    })
}

/// The clear part of a file as a resident without personal values.
pub(super) fn bare(head: &ResidentHead, status: Status) -> Resident {
    Resident {
        site: head.site.clone(),
        id: head.id.clone(),
        dwelling: head.dwelling.clone(),
        state: head.state,
        tenure: head.tenure,
        died_on: head.died_on,
        held: head.held,
        protected_for: head.protected_for.clone(),
        contact: Contact {
            name: PersonName::new("-").expect("a literal name"),
            phone: None,
            emergency: Vec::new(),
        },
        identity: Identity::default(),
        health: None,
        family: None,
        status: status.difficulties,
        needs: status.needs,
        created_at: head.created_at,
        updated_at: head.updated_at,
        version: head.version,
    }
}
