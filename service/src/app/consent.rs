//! The ledgers of consents and of what went out to others, and the one place that says what may.
//!
//! Whoever hands something to a body, by hand or by a connector, asks `App::may_disclose` and writes what it allowed into the
//! ledger in the same commit.

use futures_util::FutureExt;
use linli_core::consent::{
    Basis, BodyKind, CONSENT_MAX_DAYS, Consent, Disclosure, DisclosurePurpose, Missing, Outgoing, Signatory,
    Withdrawal, ask_again_at, is_needed,
};
use linli_core::id::{BodyId, ConsentId, DisclosureId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::referral::{DisclosedField, Projection};
use linli_core::resident::{FieldClass, Identity, Resident};
use linli_core::text::Line;
use linli_core::time::Instant;
use linli_store::{ChangeSet, FieldClasses, ResidentHead, StoredConsent};

use super::file::{touches_files, violation};
use super::resident::may_open;
use super::site::{fresh, invalid};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InResident, InSite};

/// What somebody said.
#[derive(Debug, Clone)]
pub struct NewConsent {
    /// To whom values may go.
    pub body: BodyKind,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// Which classes.
    pub classes: Vec<FieldClass>,
    /// Whether it was given.
    pub granted: bool,
    /// Who spoke.
    pub signatory: Signatory,
    /// Their name.
    pub signed_by: Line,
    /// Which text was put before them.
    pub form: Line,
    /// When; `None`: now.
    pub given_at: Option<Instant>,
    /// Until when it holds.
    pub expires_at: Option<Instant>,
    /// Whether they came to say so unasked.
    pub volunteered: bool,
}

/// What a guardian signed before a child's file was opened.
#[derive(Debug, Clone)]
pub struct GuardianConsent {
    /// Their name.
    pub signed_by: Line,
    /// Which text was put before them.
    pub form: Line,
    /// When; `None`: now.
    pub given_at: Option<Instant>,
}

/// A consent, and what follows from it now.
#[derive(Debug, Clone)]
pub struct ConsentView {
    /// The consent.
    pub consent: Consent,
    /// Whether it opens anything.
    pub in_force: bool,
    /// Until when nobody asks again.
    pub ask_again_at: Option<Instant>,
}

/// What went out.
#[derive(Debug, Clone)]
pub struct NewDisclosure {
    /// To whom.
    pub recipient: Recipient,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// Which classes.
    pub classes: Vec<FieldClass>,
    /// When; `None`: now.
    pub disclosed_at: Option<Instant>,
}

/// Who was told.
#[derive(Debug, Clone)]
pub enum Recipient {
    /// A registered body: what was agreed with it is known.
    Body(BodyId),
    /// Another one.
    Named {
        /// What kind of body it is.
        body: BodyKind,
        /// Its name.
        name: Line,
        /// The agreement that binds it.
        agreement: Option<Line>,
    },
}

/// What may go out or not, as a refusal names it.
pub(super) trait Named: Copy {
    /// Its code.
    fn name(self) -> &'static str;
}

impl Named for FieldClass {
    fn name(self) -> &'static str {
        self.code()
    }
}

impl Named for DisclosedField {
    fn name(self) -> &'static str {
        self.code()
    }
}

impl App {
    /// Records what somebody said.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::State`] for a yes within six months of a no that nobody volunteered;
    /// [`Error::Denied`].
    pub async fn record_consent(
        &self,
        call: &Call,
        repeat: Repeat<ConsentView>,
        at: InSite<ResidentId>,
        new: NewConsent,
    ) -> Result<Answer<ConsentView>> {
        let work = self.begin_file(call, &at.site, &at.id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &at.site, &at.id).await?;
        may_open(&head)?;
        let given_at = new.given_at.unwrap_or(work.now);
        let mut violations = Vec::new();
        for (place, class) in new.classes.iter().enumerate() {
            if !is_needed(new.body, new.purpose, *class) {
                violations.push(violation(format!("consent.classes[{place}]"), Invalid::NotAllowed));
            }
        }
        if given_at > work.now {
            violations.push(violation("consent.sign_time", Invalid::Future));
        }
        if let Some(expires_at) = new.expires_at {
            if expires_at <= given_at {
                violations.push(violation("consent.expire_time", Invalid::EndsBeforeStart));
            } else if expires_at > latest_end(given_at) {
                let max_days = u32::try_from(CONSENT_MAX_DAYS).unwrap_or(u32::MAX);
                violations.push(violation("consent.expire_time", Invalid::TooFarAhead { max_days }));
            }
        }
        if new.signatory != Signatory::Guardian && self.is_child(&work, &head).await? {
            violations.push(violation("consent.signatory", Invalid::NoGuardian));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let mut known = self.known_consents(&head).await?;
        if new.granted && !new.volunteered && ask_again_at(&known, new.body, new.purpose, given_at).is_some()
        {
            return Err(Error::State(StateConflict::AskedTooSoon));
        }
        let consent = Consent {
            site: at.site,
            resident: head.id.clone(),
            id: fresh(ConsentId::new(&work.new_id()))?,
            body: new.body,
            purpose: new.purpose,
            classes: new.classes,
            granted: new.granted,
            signatory: new.signatory,
            signed_by: Some(new.signed_by),
            form: new.form,
            given_at,
            expires_at: new.expires_at,
            recorded_by: work.permit().principal().staff.clone(),
            recorded_at: work.now,
            withdrawn: None,
        };
        let mut changes = work.changes(&touches_files(&head, WORDS));
        changes.require_resident(&consent.site, &consent.resident, None);
        changes.event("consent.recorded", name::consent(&consent.site, &consent.resident, &consent.id));
        // What was decided by what was said before is decided again.
        changes.add_consent(consent.clone()).bump_epoch();
        known.push(consent.clone());
        let view = view(consent, &known, work.now);
        work.commit("consent.record", changes, &repeat, view).await
    }

    /// Records that a consent was taken back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] for a refusal, or what was taken back already; [`Error::Denied`].
    pub async fn withdraw_consent(
        &self,
        call: &Call,
        repeat: Repeat<ConsentView>,
        of: InResident<ConsentId>,
    ) -> Result<Answer<ConsentView>> {
        let InResident { site, resident, id } = of;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &resident).await?;
        may_open(&head)?;
        let mut known = self.known_consents(&head).await?;
        let found = known.iter_mut().find(|consent| consent.id == id && consent.resident == resident);
        let found = found.ok_or(Error::NotFound(Thing::Consent))?;
        if !found.granted || found.withdrawn.is_some() {
            return Err(Error::State(StateConflict::NothingToWithdraw));
        }
        let withdrawal = Withdrawal { at: work.now, by: work.permit().principal().staff.clone() };
        found.withdrawn = Some(withdrawal.clone());
        let consent = found.clone();
        let mut changes = work.changes(&touches_files(&head, &[]));
        changes.event("consent.withdrawn", name::consent(&site, &resident, &id));
        changes.withdraw_consent(&site, &resident, &id, withdrawal).bump_epoch();
        let view = view(consent, &known, work.now);
        work.commit("consent.withdraw", changes, &repeat, view).await
    }

    /// What was said by or for one resident, or those of a site, in the order in which it was recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn consents(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        page: PageRequest,
    ) -> Result<Page<ConsentView>> {
        let work = self.begin_of(call, site, resident).await?;
        let now = work.now;
        self.of_residents(&work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let known = self.store.consents(site, &ids).await?;
                let known: Vec<Consent> = known.into_iter().map(|stored| stored.consent).collect();
                let of = |id: &ResidentId| -> Vec<Consent> {
                    known.iter().filter(|consent| consent.resident == *id).cloned().collect()
                };
                let views = known.iter().map(|consent| {
                    let view = view(consent.clone(), &of(&consent.resident), now);
                    (consent.resident.clone(), consent.id.as_str().to_owned(), view)
                });
                Ok(views.collect())
            }
            .boxed()
        })
        .await
    }

    /// Records what went out by hand.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::DisclosureRefused`] with what is missing; [`Error::Denied`].
    pub async fn record_disclosure(
        &self,
        call: &Call,
        repeat: Repeat<Disclosure>,
        at: InSite<ResidentId>,
        new: NewDisclosure,
    ) -> Result<Answer<Disclosure>> {
        let work = self.begin_file(call, &at.site, &at.id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &at.site, &at.id).await?;
        may_open(&head)?;
        let disclosed_at = new.disclosed_at.unwrap_or(work.now);
        if disclosed_at > work.now {
            return Err(invalid("disclosure.disclose_time", Invalid::Future));
        }
        let is_child = self.is_child(&work, &head).await?;
        let NewDisclosure { recipient, purpose, basis, classes, .. } = new;
        let (body, recipient, agreement, consents) = match recipient {
            Recipient::Named { body, name, agreement } => {
                if body == BodyKind::Company {
                    return Err(invalid("disclosure.body", Invalid::NotAllowed));
                }
                let outgoing =
                    Outgoing { body, purpose, basis, has_agreement: agreement.is_some(), is_child };
                let consents = self.may_disclose(&head, &classes, |class, known| {
                    outgoing.may_go(class, known, disclosed_at).map_err(|why| vec![why])
                });
                (body, name, agreement, consents.await?)
            }
            Recipient::Body(id) => {
                let body = self.store.body(&id).await?;
                let body = body.ok_or_else(|| invalid("community_body", Invalid::Unknown))?;
                let projection = Projection {
                    body: body.kind,
                    agreement: body.agreement.as_ref(),
                    channel: None,
                    purpose,
                    basis,
                    is_child,
                };
                let consents = self.may_disclose(&head, &classes, |class, known| {
                    projection.class_may_go(class, known, disclosed_at)
                });
                let consents = consents.await?;
                let agreement = body.agreement.map(|agreement| agreement.number);
                (body.kind, body.title, agreement, consents)
            }
        };
        let disclosure = Disclosure {
            site: at.site,
            resident: head.id.clone(),
            id: fresh(DisclosureId::new(&work.new_id()))?,
            body,
            recipient,
            purpose,
            basis,
            classes,
            consents,
            agreement,
            disclosed_at,
            disclosed_by: work.permit().principal().staff.clone(),
            recorded_at: work.now,
        };
        let mut changes = work.changes(&touches_files(&head, &disclosure.classes));
        changes.require_resident(&disclosure.site, &disclosure.resident, None);
        let named = name::disclosure(&disclosure.site, &disclosure.resident, &disclosure.id);
        changes.event("disclosure.recorded", named).add_disclosure(disclosure.clone());
        work.commit("disclosure.record", changes, &repeat, disclosure).await
    }

    /// What went out of one resident, or those of a site, in the order in which it was recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn disclosures(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        page: PageRequest,
    ) -> Result<Page<Disclosure>> {
        let work = self.begin_of(call, site, resident).await?;
        self.of_residents(&work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let found = self.store.disclosures(site, &ids).await?.into_iter();
                let keyed = found.map(|disclosure| {
                    (disclosure.resident.clone(), disclosure.id.as_str().to_owned(), disclosure)
                });
                Ok(keyed.collect())
            }
            .boxed()
        })
        .await
    }

    /// Whether all of these, classes or fields of a person's values, may go out as `may_go` says of each; the consents by which they
    /// may, none where the ground is another one. The caller guards on the epoch that it decided under, which every consent ends, and
    /// every change of a body.
    ///
    /// # Errors
    /// [`Error::DisclosureRefused`] with everything that may not, and what is missing for it.
    pub(super) async fn may_disclose<T: Named>(
        &self,
        head: &ResidentHead,
        all: &[T],
        may_go: impl for<'c> Fn(T, &'c [Consent]) -> std::result::Result<Option<&'c Consent>, Vec<Missing>>,
    ) -> Result<Vec<ConsentId>> {
        let known = self.known_consents(head).await?;
        let mut by: Vec<ConsentId> = Vec::new();
        let mut missing: Vec<(&'static str, Vec<Missing>)> = Vec::new();
        for one in all {
            match may_go(*one, &known) {
                Ok(Some(consent)) if !by.contains(&consent.id) => by.push(consent.id.clone()),
                Ok(Some(_) | None) => {}
                Err(why) => missing.push((one.name(), why)),
            }
        }
        if missing.is_empty() { Ok(by) } else { Err(Error::DisclosureRefused(missing)) }
    }

    /// What was said by or for a person, in all their files.
    async fn known_consents(&self, head: &ResidentHead) -> Result<Vec<Consent>> {
        let known = self.store.consents(&head.site, &head.files()).await?;
        Ok(known.into_iter().map(|stored: StoredConsent| stored.consent).collect())
    }

    /// Whether a person is under 14 today. Where it may be, their birth date is opened, under an audit entry.
    pub(super) async fn is_child(&self, work: &Work<'_>, head: &ResidentHead) -> Result<bool> {
        Ok(!self.children(work, std::slice::from_ref(head)).await?.is_empty())
    }

    /// Who of these is under 14 today.
    pub(super) async fn children(&self, work: &Work<'_>, heads: &[ResidentHead]) -> Result<Vec<ResidentId>> {
        let maybe = heads.iter().filter(|head| head.may_be_minor || !head.merged.is_empty());
        let maybe: Vec<(ResidentId, ResidentId)> =
            maybe.flat_map(|head| head.files().into_iter().map(|file| (file, head.id.clone()))).collect();
        let (Some(first), false) = (heads.first(), maybe.is_empty()) else { return Ok(Vec::new()) };
        let files: Vec<ResidentId> = maybe.iter().map(|(file, _)| file.clone()).collect();
        let identity = FieldClasses::of(&[FieldClass::Identity]);
        let mut sealed = self.store.residents_by_id(&first.site, &files, identity).await?;
        sealed.retain(|sealed| sealed.head.may_be_minor && may_open(&sealed.head).is_ok());
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let subjects = sealed.iter().map(|sealed| sealed.head.id.as_str().to_owned()).collect();
        let resource = format!("{}/residents", name::site(&first.site));
        let receipt = work.disclose(&Touches::files(resource, subjects, &[FieldClass::Identity])).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut children = Vec::new();
        for sealed in sealed {
            let identity: Identity = opener.open_option(sealed.identity.as_ref())?.unwrap_or_default();
            let person = maybe.iter().find(|(file, _)| *file == sealed.head.id).map(|(_, person)| person);
            if let Some(person) = person.filter(|person| !children.contains(*person))
                && identity.is_minor(work.today())
            {
                children.push(person.clone());
            }
        }
        Ok(children)
    }

    /// Whether a guardian has consented to a person's file being kept.
    pub(super) async fn has_guardian(&self, head: &ResidentHead, now: Instant) -> Result<bool> {
        let known = self.known_consents(head).await?;
        Ok(known.iter().any(|consent| {
            (consent.body, consent.purpose) == (BodyKind::Company, DisclosurePurpose::CareFile)
                && consent.signatory == Signatory::Guardian
                && consent.in_force(now)
        }))
    }
}

/// Puts what a guardian signed at the head of a new file's ledger.
pub(super) fn add_guardian_consent(
    work: &Work<'_>,
    changes: &mut ChangeSet,
    resident: &Resident,
    guardian: GuardianConsent,
) -> Result<()> {
    let given_at = guardian.given_at.unwrap_or(work.now);
    let id = fresh(ConsentId::new(&work.new_id()))?;
    changes.event("consent.recorded", name::consent(&resident.site, &resident.id, &id));
    changes.add_consent(Consent {
        site: resident.site.clone(),
        resident: resident.id.clone(),
        id,
        body: BodyKind::Company,
        purpose: DisclosurePurpose::CareFile,
        classes: FieldClass::ALL.to_vec(),
        granted: true,
        signatory: Signatory::Guardian,
        signed_by: Some(guardian.signed_by),
        form: guardian.form,
        given_at,
        expires_at: Some(latest_end(given_at)),
        recorded_by: work.permit().principal().staff.clone(),
        recorded_at: work.now,
        withdrawn: None,
    });
    Ok(())
}

/// The class of who signed.
const WORDS: &[FieldClass] = &[FieldClass::Family];

pub(super) fn latest_end(given_at: Instant) -> Instant {
    given_at.plus_hours(CONSENT_MAX_DAYS * 24)
}

fn view(consent: Consent, known: &[Consent], now: Instant) -> ConsentView {
    let in_force = consent.in_force(now);
    let ask_again_at = ask_again_at(known, consent.body, consent.purpose, now);
    ConsentView { consent, in_force, ask_again_at }
}
