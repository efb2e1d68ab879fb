//! A care file inside commands: drafted, opened under an audit entry, checked, changed.

use linli_core::id::{DwellingId, FieldCode, ResidentId, SiteId};
use linli_core::identity::IdentityNumber;
use linli_core::invalid::Invalid;
use linli_core::merge::MERGED_MAX;
use linli_core::resident::{
    Contact, EmergencyContact, Fact, FactValue, FieldClass, FileState, Identity, Need, PersonName, Phone,
    Resident, Sex, Tenure,
};
use linli_core::text::Paragraph;
use linli_core::time::{CivilDate, Instant};
use linli_store::{CellChanges, ChangeSet, FieldClasses, Receipt, ResidentHead, Sight, Status};

use super::App;
use super::assessment::{FileState as AssessedState, PluginAnswer};
use super::consent::{GuardianConsent, latest_end};
use super::resident::{FILE, FileView, View};
use super::site::{Update, fresh, next_version};
use super::work::{Touches, Work};
use crate::error::{Error, Result, StateConflict, Violation};
use crate::name;

/// A care file to be opened.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Where the person lives.
    pub dwelling: DwellingId,
    /// The first day of the tenure.
    pub moved_in: CivilDate,
    /// How to reach them.
    pub contact: Contact,
    /// Who they are.
    pub identity: Identity,
    /// Family in words.
    pub family: Option<Paragraph>,
    /// Physical condition in words.
    pub health: Option<Paragraph>,
    /// Special difficulties in words.
    pub status: Option<Paragraph>,
    /// What they need.
    pub needs: Vec<Need>,
    /// Facts for the rules.
    pub facts: Vec<NewFact>,
    /// What a guardian signed.
    pub guardian_consent: Option<GuardianConsent>,
}

impl NewFile {
    /// Stands where the dwelling is not known yet: a roster names it by building, unit and room.
    pub fn placeholder_dwelling() -> DwellingId {
        DwellingId::new("0").expect("a literal of the accepted shape")
    }
}

/// A fact to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFact {
    /// The field.
    pub field: FieldCode,
    /// The value; `None`: no longer known, or no longer so.
    pub value: Option<FactValue>,
    /// The day from which it is true; `None`: the day it is recorded.
    pub true_from: Option<CivilDate>,
}

/// What may change about a file; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct FileChange {
    /// The name.
    pub name: Option<PersonName>,
    /// The phone number.
    pub phone: Option<Option<Phone>>,
    /// The emergency contacts.
    pub emergency: Option<Vec<EmergencyContact>>,
    /// The identity number.
    pub number: Option<Option<IdentityNumber>>,
    /// The birth date.
    pub birth_date: Option<Option<CivilDate>>,
    /// The sex.
    pub sex: Option<Option<Sex>>,
    /// Family in words.
    pub family: Option<Option<Paragraph>>,
    /// Physical condition in words.
    pub health: Option<Option<Paragraph>>,
    /// Special difficulties in words.
    pub status: Option<Option<Paragraph>>,
    /// What they need.
    pub needs: Option<Vec<Need>>,
    /// Facts to be added.
    pub facts: Vec<NewFact>,
}

/// A file with all its classes in clear, inside a command.
pub(super) struct OpenedFile {
    pub(super) head: ResidentHead,
    pub(super) resident: Resident,
    pub(super) facts: Vec<Fact>,
    pub(super) state: AssessedState,
}

impl App {
    /// A file to be opened, as a resident and facts with ids and times.
    pub(super) fn drafted(
        &self,
        work: &Work<'_>,
        today: CivilDate,
        site: SiteId,
        new: NewFile,
    ) -> Result<(Resident, Vec<Fact>)> {
        let resident = Resident {
            site,
            id: fresh(ResidentId::new(&work.new_id()))?,
            dwelling: new.dwelling,
            state: FileState::Active,
            tenure: Tenure { moved_in: new.moved_in, moved_out: None },
            died_on: None,
            held: false,
            protected_for: None,
            contact: new.contact,
            identity: completed(new.identity),
            health: new.health,
            family: new.family,
            status: new.status,
            needs: new.needs,
            created_at: work.now,
            updated_at: work.now,
            version: 1,
        };
        let facts = new.facts.into_iter().map(|fact| recorded(fact, work.now, today)).collect();
        Ok((resident, facts))
    }

    /// The changes that open a file: the file, its facts, its first assessment from the plugins' answers.
    pub(super) async fn opened(
        &self,
        work: &Work<'_>,
        (resident, facts): (&Resident, &[Fact]),
        answers: (&[PluginAnswer], usize),
        today: CivilDate,
    ) -> Result<(ChangeSet, AssessedState)> {
        let mut changes = work.changes(&touches_file(&resident.site, &resident.id));
        changes.require_dwelling(&resident.site, &resident.dwelling);
        changes.create_resident(resident.clone());
        for fact in facts {
            changes.add_fact(&resident.site, &resident.id, self.class_of(&fact.field), fact.clone());
        }
        let state = AssessedState::default();
        let state = self.absorb(work, &mut changes, resident, facts, state, answers, today).await?;
        changes.event("resident.created", name::resident(&resident.site, &resident.id));
        Ok((changes, state))
    }

    /// The changes that correct a file, and the file as it will be.
    pub(super) async fn changed(
        &self,
        work: &Work<'_>,
        update: Update<ResidentId, FileChange>,
    ) -> Result<(ChangeSet, FileView)> {
        let Update { site, id, version, change } = update;
        let opened = self.open_file(work, &site, &id).await?;
        require_active(&opened.head)?;
        let today = work.today();
        let (changes, resident, state) = self.change_opened(work, &opened, version, change, today).await?;
        let dwelling_name = self.dwelling_name(&site, &resident.dwelling).await?;
        let view = self.view(resident, Vec::new(), &state, dwelling_name, View::Masked, today);
        Ok((changes, view))
    }

    /// As [`App::changed`], for a file that was opened already.
    pub(super) async fn change_opened(
        &self,
        work: &Work<'_>,
        opened: &OpenedFile,
        version: Option<u64>,
        change: FileChange,
        today: CivilDate,
    ) -> Result<(ChangeSet, Resident, AssessedState)> {
        let mut head = opened.head.clone();
        head.version = next_version(head.version, version)?;
        head.updated_at = work.now;
        let mut resident = with_head(&opened.resident, &head);
        apply(&mut resident, &change);
        let mut violations = check_identity(&resident.identity, today);
        violations.extend(self.check_facts(&change.facts, today));
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        resident.identity = completed(resident.identity);
        let becomes_child = resident.identity.is_minor(today) && !opened.resident.identity.is_minor(today);
        if becomes_child && !self.has_guardian(&opened.head, work.now).await? {
            return Err(Error::Invalid(vec![violation("resident.birth_date", Invalid::NoGuardian)]));
        }
        if resident.identity.number != opened.resident.identity.number {
            let number = resident.identity.number.as_ref();
            self.require_fresh_number(work, &head.site, number, Some(&head.id)).await?;
        }
        let facts: Vec<Fact> = change.facts.into_iter().map(|fact| recorded(fact, work.now, today)).collect();
        let mut changes = work.changes(&touches_file(&head.site, &head.id));
        let fields =
            super::history::differences(&opened.resident, &resident, &opened.facts, &facts, |field| {
                self.class_of(field)
            });
        self.note(work, &mut changes, &head, &fields);
        for fact in &facts {
            changes.add_fact(&head.site, &head.id, self.class_of(&fact.field), fact.clone());
        }
        let mut all = opened.facts.clone();
        all.extend(facts);
        let identified = (resident.identity != opened.resident.identity).then_some(today);
        let state =
            self.reassess(work, &mut changes, &resident, &all, opened.state.clone(), identified).await?;
        changes.event("resident.updated", name::resident(&head.site, &head.id));
        changes.update_resident(head, cell_changes(&opened.resident, &resident));
        Ok((changes, resident, state))
    }

    /// A file with all its classes and facts, opened under an audit entry.
    pub(super) async fn open_file(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        id: &ResidentId,
    ) -> Result<OpenedFile> {
        let mut id = id.clone();
        for _ in 0..=MERGED_MAX {
            let sealed = self.store.resident(site, &id, FieldClasses::of(FILE)).await?;
            let Some(sealed) = sealed.filter(|_| !work.hides(&id)) else {
                return Err(work.absent(&id).await);
            };
            match &sealed.head.merged_into {
                None => return self.open_sealed(work, &sealed).await,
                Some(survivor) => id = survivor.clone(),
            }
        }
        Err(Error::Internal("files are merged in a circle".into()))
    }

    /// As [`App::open_file`], of a file that was read already: with the facts and the state of those that were merged into
    /// it, as its head says.
    pub(super) async fn open_sealed(
        &self,
        work: &Work<'_>,
        sealed: &linli_store::SealedResident,
    ) -> Result<OpenedFile> {
        super::resident::may_open(&sealed.head)?;
        let site = &sealed.head.site;
        let facts = self.store.facts(site, &sealed.head.files()).await?;
        let state = self.file_state(&sealed.head).await?;
        let receipt = work.disclose(&touches_files(&sealed.head, FILE)).await?;
        self.opened_file(sealed, &facts, state, &receipt).await
    }

    /// A sealed file opened under a receipt.
    pub(super) async fn opened_file(
        &self,
        sealed: &linli_store::SealedResident,
        facts: &[linli_store::SealedFact],
        state: AssessedState,
        receipt: &Receipt,
    ) -> Result<OpenedFile> {
        let opener = self.store.opener(receipt).await?;
        let resident = sealed.open(&opener)?;
        let mut opened = Vec::with_capacity(facts.len());
        for fact in facts {
            opened.push(fact.open(&opener)?);
        }
        Ok(OpenedFile { head: sealed.head.clone(), resident, facts: opened, state })
    }

    /// The clear part of the file that a name stands for, which must exist for the caller: where it was merged, that of the
    /// survivor.
    pub(super) async fn load_head(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        id: &ResidentId,
    ) -> Result<ResidentHead> {
        match self.find_head(site, id).await?.filter(|head| !work.hides(id) && !work.hides(&head.id)) {
            Some(head) => Ok(head),
            None => Err(work.absent(id).await),
        }
    }

    /// As [`App::load_head`], of a file that may not exist, for whoever asks before it is known what they may know of.
    pub(super) async fn find_head(&self, site: &SiteId, id: &ResidentId) -> Result<Option<ResidentHead>> {
        let mut id = id.clone();
        for _ in 0..=MERGED_MAX {
            let heads = self.store.resident_heads(site, std::slice::from_ref(&id)).await?;
            let Some(head) = heads.into_iter().next() else { return Ok(None) };
            match &head.merged_into {
                None => return Ok(Some(head)),
                Some(survivor) => id = survivor.clone(),
            }
        }
        Err(Error::Internal("files are merged in a circle".into()))
    }

    /// Asks that no other file that the caller sees have this number. Of files that are not protected the commit finds out by
    /// itself; protected ones have an index of their own, so that a number which is taken tells of none of them.
    pub(super) async fn require_fresh_number(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        number: Option<&IdentityNumber>,
        own: Option<&ResidentId>,
    ) -> Result<()> {
        let sees_some = match work.sight() {
            Sight::All => true,
            Sight::Named(named) => !named.is_empty(),
        };
        let Some(number) = number.filter(|_| sees_some) else { return Ok(()) };
        let found = self.store.find_by_identity(site, number).await?;
        let is_taken = found.iter().any(|id| Some(id) != own && !work.hides(id));
        if is_taken { Err(Error::IdentityTaken) } else { Ok(()) }
    }

    /// Violations of a file to be opened, but for its dwelling.
    pub(super) fn check_new(&self, new: &NewFile, today: CivilDate) -> Vec<Violation> {
        let mut violations = check_identity(&new.identity, today);
        match &new.guardian_consent {
            None if completed(new.identity.clone()).is_minor(today) => {
                violations.push(violation("resident.guardian_consent", Invalid::NoGuardian));
            }
            Some(GuardianConsent { given_at: Some(at), .. }) if *at > self.now() => {
                violations.push(violation("resident.guardian_consent.sign_time", Invalid::Future));
            }
            Some(GuardianConsent { given_at: Some(at), .. }) if latest_end(*at) <= self.now() => {
                violations.push(violation("resident.guardian_consent.sign_time", Invalid::EndsBeforeStart));
            }
            Some(_) | None => {}
        }
        if new.moved_in > today {
            violations.push(violation("resident.move_in_date", Invalid::Future));
        }
        violations.extend(self.check_facts(&new.facts, today));
        violations
    }

    /// Facts whose field no plugin declares, whose value the schema does not accept, or that begin in the future.
    fn check_facts(&self, facts: &[NewFact], today: CivilDate) -> Vec<Violation> {
        let mut violations = Vec::new();
        let deployed = self.deployed();
        for (at, fact) in facts.iter().enumerate() {
            match (deployed.field(&fact.field), &fact.value) {
                (None, _) => {
                    violations.push(violation(format!("resident.facts[{at}].field"), Invalid::Unknown))
                }
                (Some(field), _) if field.source == linli_plugin_host::manifest::FieldSource::File => {
                    violations.push(violation(format!("resident.facts[{at}].field"), Invalid::NotAllowed));
                }
                (Some(field), Some(value)) => violations.extend(
                    field.check(value).err().map(|why| violation(format!("resident.facts[{at}].value"), why)),
                ),
                (Some(_), None) => {}
            }
            if fact.true_from.is_some_and(|from| from > today) {
                violations.push(violation(format!("resident.facts[{at}].true_from_date"), Invalid::Future));
            }
        }
        violations
    }

    /// The class under which a fact is sealed: what its plugin's schema says, else the most sensitive one.
    pub(super) fn class_of(&self, field: &FieldCode) -> FieldClass {
        self.deployed().field(field).map_or(FieldClass::Health, |field| field.class)
    }

    /// Today in a site other than the call's.
    pub(super) async fn today(&self, site: &SiteId, now: Instant) -> Result<CivilDate> {
        Ok(self.zone(site).await?.date_of(now))
    }

    pub(super) async fn dwelling_name(&self, site: &SiteId, dwelling: &DwellingId) -> Result<String> {
        Ok(self
            .store
            .dwelling(site, dwelling)
            .await?
            .map(|dwelling| dwelling.display_name())
            .unwrap_or_default())
    }
}

/// The facts in force on a day: for each field the one that became true last, of these the one recorded last. Facts
/// that say "no longer known" are left out.
pub(super) fn current_facts(facts: &[Fact], today: CivilDate) -> Vec<&Fact> {
    let mut current: std::collections::BTreeMap<&str, &Fact> = std::collections::BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.true_from <= today) {
        let held = current.entry(fact.field.as_str()).or_insert(fact);
        if (fact.true_from, fact.recorded_at) >= (held.true_from, held.recorded_at) {
            *held = fact;
        }
    }
    current.into_values().filter(|fact| fact.value.is_some()).collect()
}

pub(super) fn violation(field: impl Into<String>, why: Invalid) -> Violation {
    Violation { field: field.into(), why }
}

pub(super) fn touches_file<'a>(site: &SiteId, id: &ResidentId) -> Touches<'a> {
    Touches::files(name::resident(site, id), vec![id.as_str().to_owned()], FILE)
}

/// A file, and those that were merged into it.
pub(super) fn touches_files<'a>(head: &ResidentHead, classes: &'a [FieldClass]) -> Touches<'a> {
    let subjects = head.files().into_iter().map(|id| id.as_str().to_owned()).collect();
    Touches::files(name::resident(&head.site, &head.id), subjects, classes)
}

pub(super) fn require_active(head: &ResidentHead) -> Result<()> {
    match head.state {
        FileState::Active => Ok(()),
        FileState::Left if head.died_on.is_some() => Err(Error::State(StateConflict::Died)),
        FileState::Left => Err(Error::State(StateConflict::FileNotActive)),
        FileState::Sealed => Err(Error::State(StateConflict::FileSealed)),
        FileState::Erased => Err(Error::State(StateConflict::FileErased)),
    }
}

fn recorded(fact: NewFact, now: Instant, today: CivilDate) -> Fact {
    Fact {
        field: fact.field,
        value: fact.value,
        true_from: fact.true_from.unwrap_or(today),
        recorded_at: now,
    }
}

/// Birth date and sex follow from the number where it is known.
fn completed(identity: Identity) -> Identity {
    match &identity.number {
        Some(number) => Identity {
            birth_date: Some(number.birth_date()),
            sex: Some(number.sex()),
            number: identity.number,
        },
        None => identity,
    }
}

fn check_identity(identity: &Identity, today: CivilDate) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(number) = &identity.number {
        if identity.birth_date.is_some_and(|date| date != number.birth_date()) {
            violations.push(violation("resident.birth_date", Invalid::ContradictsIdentityNumber));
        }
        if identity.sex.is_some_and(|sex| sex != number.sex()) {
            violations.push(violation("resident.sex", Invalid::ContradictsIdentityNumber));
        }
        if number.birth_date() > today {
            violations.push(violation("resident.identity_number", Invalid::Future));
        }
    }
    if identity.number.is_none() && identity.birth_date.is_some_and(|date| date > today) {
        violations.push(violation("resident.birth_date", Invalid::Future));
    }
    violations
}

fn apply(resident: &mut Resident, change: &FileChange) {
    fn set<T: Clone>(slot: &mut T, change: &Option<T>) {
        if let Some(value) = change {
            slot.clone_from(value);
        }
    }
    set(&mut resident.contact.name, &change.name);
    set(&mut resident.contact.phone, &change.phone);
    set(&mut resident.contact.emergency, &change.emergency);
    if let Some(number) = &change.number {
        resident.identity.number.clone_from(number);
        // What the old number said no longer stands beside a new one.
        if let Some(number) = number {
            resident.identity.birth_date = Some(number.birth_date());
            resident.identity.sex = Some(number.sex());
        }
    }
    set(&mut resident.identity.birth_date, &change.birth_date);
    set(&mut resident.identity.sex, &change.sex);
    set(&mut resident.family, &change.family);
    set(&mut resident.health, &change.health);
    set(&mut resident.status, &change.status);
    set(&mut resident.needs, &change.needs);
}

fn cell_changes(old: &Resident, new: &Resident) -> CellChanges {
    let status = old.status != new.status || old.needs != new.needs;
    CellChanges {
        contact: (old.contact != new.contact).then(|| new.contact.clone()),
        identity: (old.identity != new.identity).then(|| new.identity.clone()),
        health: (old.health != new.health).then(|| new.health.clone()),
        family: (old.family != new.family).then(|| new.family.clone()),
        status: status.then(|| Status { difficulties: new.status.clone(), needs: new.needs.clone() }),
    }
}

/// `resident` with the clear part of `head`.
pub(super) fn with_head(resident: &Resident, head: &ResidentHead) -> Resident {
    Resident {
        dwelling: head.dwelling.clone(),
        state: head.state,
        tenure: head.tenure,
        died_on: head.died_on,
        held: head.held,
        protected_for: head.protected_for.clone(),
        updated_at: head.updated_at,
        version: head.version,
        ..resident.clone()
    }
}
