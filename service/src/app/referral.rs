//! Referrals: a matter of one resident handed to a body, with what may be said of them and nothing else.
//!
//! ```text
//! CreateReferral ── projection: needed ∩ consented ∩ agreed ∩ carried ── values as they are now, sealed
//!    │ channel                                 │ by hand
//!  queued ──(delivery: goes_out, is_sent)──► sent ──(acknowledged)──► accepted | rejected ──► closed
//! ```
//!
//! What goes out is in the ledger in the commit in which it begins to go: by hand when it is recorded, by a channel before the first
//! attempt. Whatever comes back, by telephone, by poll or by call, meets in `step::acknowledged`.

mod list;
pub(super) mod step;

use linli_core::community_body::CommunityBody;
use linli_core::consent::{Basis, Disclosure, DisclosurePurpose};
use linli_core::id::{BodyId, ConsentId, DisclosureId, EventId, ReferralId, ResidentId, SiteId, Subject};
use linli_core::identity::IdentityNumber;
use linli_core::invalid::Invalid;
use linli_core::kind::EventKind;
use linli_core::referral::{
    DisclosedField, Projection, Referral, ReferralMatter, ReferralPart, ReferralState, ReferralWords,
};
use linli_core::request::RequestUrgency;
use linli_core::resident::{FieldClass, FileState, Phone, Resident};
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use linli_store::{ChangeSet, FieldClasses, ResidentHead};

pub use list::ReferralFilter;
pub use step::{Acknowledgement, Verdict};

use super::file::{require_active, violation};
use super::record::word;
use super::site::{fresh, invalid};
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InSite};

/// A matter to be handed over.
#[derive(Debug, Clone)]
pub struct NewReferral {
    /// Whom it is about.
    pub resident: ResidentId,
    /// To whom.
    pub body: BodyId,
    /// What values go out for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// What is asked for.
    pub matter: ReferralMatter,
    /// How pressing it is.
    pub urgency: RequestUrgency,
    /// What of the file goes out.
    pub fields: Vec<DisclosedField>,
    /// What is asked for, in words.
    pub note: Option<Paragraph>,
    /// Why nobody could be asked.
    pub reason: Option<Paragraph>,
    /// Whether a person handed it over.
    pub handed_over: bool,
}

/// A referral as an answer shows it.
#[derive(Debug, Clone)]
pub struct ReferralView {
    /// The referral.
    pub referral: Referral,
    /// What is said with it; empty where it is not shown.
    pub words: Words,
}

/// What is said with a referral.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// The values, in the order of the fields.
    pub values: Vec<(DisclosedField, Paragraph)>,
    /// What is asked for.
    pub note: Option<Paragraph>,
    /// Why nobody could be asked.
    pub reason: Option<Paragraph>,
    /// What the body answered.
    pub remark: Option<Paragraph>,
    /// What a deputy found.
    pub finding: Option<Paragraph>,
}

impl From<Referral> for ReferralView {
    fn from(referral: Referral) -> Self {
        Self { referral, words: Words::default() }
    }
}

impl App {
    /// Hands a matter to a body, where everything that is to go with it may.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::DisclosureRefused`] with what is missing for each field; [`Error::State`] for a
    /// file that is not active, or a channel that is gone; [`Error::Denied`].
    pub async fn create_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        site: SiteId,
        new: NewReferral,
    ) -> Result<Answer<ReferralView>> {
        let work = self.begin_file(call, &site, &new.resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &new.resident).await?;
        require_active(&head)?;
        let body =
            self.store.body(&new.body).await?.ok_or_else(|| invalid("referral.body", Invalid::Unknown))?;
        if !body.enabled || !body.serves(&site) {
            return Err(invalid("referral.body", Invalid::NotAllowed));
        }
        let channel = if new.handed_over { None } else { Some(self.carried(&body)?) };
        let outgoing = Outgoing { purpose: new.purpose, basis: new.basis, fields: &new.fields };
        let consents = self.project(&work, &head, &body, channel.as_deref(), outgoing).await?;
        let id = fresh(ReferralId::new(&work.new_id()))?;
        let values = self.values(&work, &head, &id, &new.fields).await?;
        let by_hand = channel.is_none();
        let mut referral = Referral {
            site,
            id,
            resident: head.id.clone(),
            body: body.id.clone(),
            body_kind: body.kind,
            purpose: new.purpose,
            basis: new.basis,
            matter: new.matter,
            urgency: new.urgency,
            fields: new.fields,
            by_hand,
            state: ReferralState::Queued,
            queued_at: Some(work.now),
            disclosure: None,
            sent_at: None,
            answer: None,
            ended_at: None,
            external_reference: None,
            clock: None,
            review: None,
            created_by: work.permit().principal().staff.clone(),
            created_at: work.now,
            version: 1,
        };
        let mut changes = work.changes(&touches(&referral, &classes(&referral.fields)));
        changes.require_resident(&referral.site, &referral.resident, None);
        let parts = values.into_iter().map(|(field, value)| (ReferralPart::Field(field), value));
        let note = new.note.map(|note| (ReferralPart::Note, note));
        let reason = new.reason.map(|reason| (ReferralPart::Reason, reason));
        for (part, words) in parts.chain(note).chain(reason) {
            changes.put_referral_words(said(&referral, part, words));
        }
        changes.event("referral.created", name::referral(&referral.site, &referral.id));
        if by_hand {
            goes_out(&work, &mut referral, &body, consents, &mut changes)?;
            is_sent(&work, &mut referral, &head, work.now, &mut changes)?;
        }
        changes.put_referral(referral.clone());
        let answer = work.commit("referral.create", changes, &repeat, referral.into()).await?;
        self.delivery.wake();
        Ok(answer)
    }

    /// A referral; with its words and values only for a purpose, to those who may see such values.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`], [`Error::RevealLimit`]; [`Error::State`] for the words of a
    /// file that is put away.
    pub async fn referral(&self, call: &Call, at: &InSite<ReferralId>, full: bool) -> Result<ReferralView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let (referral, head) = self.load_referral(&work, at).await?;
        if !full {
            return Ok(referral.into());
        }
        let classes = classes(&referral.fields);
        let touches = touches(&referral, &classes);
        self.may_reveal(&work, &touches).await?;
        if head.state == FileState::Sealed {
            return Err(Error::State(StateConflict::FileSealed));
        }
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut words = Words::default();
        for (part, sealed) in self.store.referral_words(&referral.site, &referral.id).await? {
            let Some(text) = word(&opener, Some(&sealed))? else { continue };
            match part {
                ReferralPart::Field(field) => words.values.push((field, text)),
                ReferralPart::Note => words.note = Some(text),
                ReferralPart::Reason => words.reason = Some(text),
                ReferralPart::Remark => words.remark = Some(text),
                ReferralPart::Finding => words.finding = Some(text),
            }
        }
        words.values.sort_by_key(|(field, _)| referral.fields.iter().position(|known| known == field));
        Ok(ReferralView { referral, words })
    }

    /// A referral that exists for the caller, with the file that it is about.
    pub(super) async fn load_referral(
        &self,
        work: &Work<'_>,
        at: &InSite<ReferralId>,
    ) -> Result<(Referral, ResidentHead)> {
        let unknown = || Error::NotFound(Thing::Referral);
        let referral = self.store.referral(&at.site, &at.id).await?.ok_or_else(unknown)?;
        let head = self.find_head(&at.site, &referral.resident).await?.ok_or_else(unknown)?;
        if work.hides(&referral.resident) || work.hides(&head.id) {
            Err(unknown())
        } else {
            Ok((referral, head))
        }
    }

    /// What the channel to a body carries.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it has none; [`Error::State`] where the configuration has none of this name that hands over.
    pub(super) fn carried(&self, body: &CommunityBody) -> Result<Vec<DisclosedField>> {
        let Some(channel) = &body.channel else {
            return Err(invalid("referral.handed_over", Invalid::Missing));
        };
        let channel = self.channel(channel).filter(|channel| channel.can_deliver);
        channel.map(|channel| channel.fields).ok_or(Error::State(StateConflict::ChannelGone))
    }

    /// Whether all of this may go to a body now; the consents by which it may. The caller guards on the epoch that it decided under,
    /// which every consent and every change of a body ends.
    ///
    /// # Errors
    /// [`Error::DisclosureRefused`] with every field that may not, and everything that is missing for it.
    pub(super) async fn project(
        &self,
        work: &Work<'_>,
        head: &ResidentHead,
        body: &CommunityBody,
        channel: Option<&[DisclosedField]>,
        outgoing: Outgoing<'_>,
    ) -> Result<Vec<ConsentId>> {
        let Outgoing { purpose, basis, fields } = outgoing;
        let is_child = self.is_child(work, head).await?;
        let agreement = body.agreement.as_ref();
        let projection = Projection { body: body.kind, agreement, channel, purpose, basis, is_child };
        self.may_disclose(head, fields, |field, known| projection.may_go(field, known, work.now)).await
    }

    /// What the file holds of these fields now, each in words.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what it does not hold.
    async fn values(
        &self,
        work: &Work<'_>,
        head: &ResidentHead,
        id: &ReferralId,
        fields: &[DisclosedField],
    ) -> Result<Vec<(DisclosedField, Paragraph)>> {
        let classes = classes_of(fields);
        let subjects = vec![head.id.as_str().to_owned()];
        let touches = Touches::files(name::referral(&head.site, id), subjects, &classes);
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let sealed = self.store.resident(&head.site, &head.id, FieldClasses::of(&classes)).await?;
        let sealed = sealed.ok_or(Error::NotFound(Thing::Resident))?;
        let resident = super::resident::opened(&opener, &sealed)?;
        let door = self.store.dwelling(&head.site, &head.dwelling).await?;
        let door = door.map(|door| door.display_name());
        let (mut values, mut violations) = (Vec::new(), Vec::new());
        for (at, field) in fields.iter().enumerate() {
            let text = value(&resident, door.as_deref(), *field).unwrap_or_default();
            match Paragraph::optional(&text) {
                Ok(Some(text)) => values.push((*field, text)),
                Ok(None) => violations.push(violation(format!("referral.fields[{at}]"), Invalid::Missing)),
                Err(why) => violations.push(violation(format!("referral.fields[{at}]"), why)),
            }
        }
        if violations.is_empty() { Ok(values) } else { Err(Error::Invalid(violations)) }
    }
}

/// What is to go out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// What for.
    pub(super) purpose: DisclosurePurpose,
    /// On what ground.
    pub(super) basis: Basis,
    /// Which fields.
    pub(super) fields: &'a [DisclosedField],
}

/// Writes into the ledger that what is said with a referral goes out, which happens once.
pub(super) fn goes_out(
    work: &Work<'_>,
    referral: &mut Referral,
    body: &CommunityBody,
    consents: Vec<ConsentId>,
    changes: &mut ChangeSet,
) -> Result<()> {
    let id = fresh(DisclosureId::new(&work.new_id()))?;
    referral.disclosure = Some(id.clone());
    changes.event("disclosure.recorded", name::disclosure(&referral.site, &referral.resident, &id));
    changes.add_disclosure(Disclosure {
        site: referral.site.clone(),
        resident: referral.resident.clone(),
        id,
        body: body.kind,
        recipient: body.title.clone(),
        purpose: referral.purpose,
        basis: referral.basis,
        classes: classes_of(&referral.fields),
        consents,
        agreement: body.agreement.as_ref().map(|agreement| agreement.number.clone()),
        disclosed_at: work.now,
        disclosed_by: referral.created_by.clone(),
        recorded_at: work.now,
    });
    Ok(())
}

/// Notes that a body has a referral, and starts the clock of its answer where the file takes records.
pub(super) fn is_sent(
    work: &Work<'_>,
    referral: &mut Referral,
    head: &ResidentHead,
    at: Instant,
    changes: &mut ChangeSet,
) -> Result<()> {
    referral.state = ReferralState::Sent;
    referral.queued_at = None;
    referral.sent_at = Some(at);
    referral.clock = step::start_clock(work, head, EventKind::ReferralSent, at, changes)?;
    changes.event("referral.sent", name::referral(&referral.site, &referral.id));
    Ok(())
}

/// Words of a referral in the version that it has.
fn said(referral: &Referral, part: ReferralPart, words: Paragraph) -> ReferralWords {
    ReferralWords {
        site: referral.site.clone(),
        referral: referral.id.clone(),
        resident: referral.resident.clone(),
        part,
        version: referral.version,
        words,
    }
}

/// The classes of fields, each once.
fn classes_of(fields: &[DisclosedField]) -> Vec<FieldClass> {
    let of = |class: &&FieldClass| fields.iter().any(|field| field.class() == **class);
    FieldClass::ALL.iter().filter(of).copied().collect()
}

/// The classes of everything that is said with a referral.
pub(super) fn classes(fields: &[DisclosedField]) -> Vec<FieldClass> {
    let mut classes = classes_of(fields);
    classes.push(FieldClass::Care);
    classes
}

/// What an audit entry says of a call about a referral.
pub(super) fn touches<'a>(referral: &Referral, classes: &'a [FieldClass]) -> Touches<'a> {
    let resource = name::referral(&referral.site, &referral.id);
    Touches::files(resource, vec![referral.resident.as_str().to_owned()], classes)
}

/// A field in words; `None` or empty where the file does not hold it.
fn value(resident: &Resident, door: Option<&str>, field: DisclosedField) -> Option<String> {
    let words = |text: &Option<Paragraph>| text.as_ref().map(|text| text.as_str().to_owned());
    let (contact, identity) = (&resident.contact, &resident.identity);
    match field {
        DisclosedField::Name => Some(contact.name.reveal().to_owned()),
        DisclosedField::Phone => contact.phone.as_ref().map(|phone| Phone::reveal(phone).to_owned()),
        DisclosedField::Address => door.map(str::to_owned),
        DisclosedField::EmergencyContacts => {
            let lines = contact.emergency.iter().map(|other| {
                let relation = other.relation.as_ref().map(Line::as_str).unwrap_or_default();
                let line = format!("{} {} {relation}", other.name.reveal(), other.phone.reveal());
                line.trim_end().to_owned()
            });
            Some(lines.collect::<Vec<_>>().join("\n"))
        }
        DisclosedField::IdentityNumber => {
            identity.number.as_ref().map(|number| IdentityNumber::reveal(number).to_owned())
        }
        DisclosedField::BirthDate => identity.birth_date.map(|day| day.to_string()),
        DisclosedField::Sex => identity.sex.map(|sex| sex.zh().to_owned()),
        DisclosedField::Health => words(&resident.health),
        DisclosedField::Family => words(&resident.family),
        DisclosedField::Status => words(&resident.status),
    }
}

/// Whose a clock is: the file in which a person's care is looked after now.
fn subject(head: &ResidentHead) -> Subject {
    Subject::Resident(head.id.clone())
}

/// The events whose clocks a step answers.
fn answered(referral: &mut Referral) -> Vec<EventId> {
    referral.clock.take().into_iter().collect()
}
