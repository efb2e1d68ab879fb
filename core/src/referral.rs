//! Referrals 转介: matters that are handed to bodies outside the company, and what may be said with them.

use crate::community_body::Agreement;
use crate::consent::{Basis, BodyKind, Consent, DisclosurePurpose, Missing, Outgoing, is_needed};
use crate::id::{BodyId, DisclosureId, EventId, ReferralId, ResidentId, SiteId, StaffId};
use crate::invalid::Invalid;
use crate::kind::closed_list;
use crate::request::RequestUrgency;
use crate::resident::FieldClass;
use crate::text::{Line, Paragraph};
use crate::time::Instant;

closed_list! {
    /// What of a care file may go to a body, field by field: agreements and connectors name these codes.
    DisclosedField {
        /// The name.
        Name = "name", "姓名", "name";
        /// The telephone number.
        Phone = "phone", "联系电话", "telephone number";
        /// Building, unit and room.
        Address = "address", "住址", "address";
        /// Whom to call in an emergency.
        EmergencyContacts = "emergency_contacts", "紧急联系人", "emergency contacts";
        /// The resident identity number.
        IdentityNumber = "identity_number", "身份证号码", "identity number";
        /// The birth date.
        BirthDate = "birth_date", "出生日期", "birth date";
        /// The sex.
        Sex = "sex", "性别", "sex";
        /// The physical condition, in words.
        Health = "health", "身体状况", "physical condition";
        /// The family situation, in words.
        Family = "family", "家庭情况", "family situation";
        /// Special difficulties, in words.
        Status = "status", "特殊困难", "special difficulties";
    }
}

impl DisclosedField {
    /// The class by which it is shown, consented to and audited.
    pub const fn class(self) -> FieldClass {
        match self {
            Self::Name | Self::Phone | Self::Address | Self::EmergencyContacts => FieldClass::Contact,
            Self::IdentityNumber | Self::BirthDate | Self::Sex => FieldClass::Identity,
            Self::Health => FieldClass::Health,
            Self::Family => FieldClass::Family,
            Self::Status => FieldClass::Status,
        }
    }
}

closed_list! {
    /// What a body is asked for.
    ReferralMatter {
        /// An assessment of abilities, before long-term care.
        AbilityAssessment = "ability_assessment", "老年人能力评估", "assessment of abilities";
        /// A visit by a doctor or a nurse.
        MedicalVisit = "medical_visit", "上门诊疗", "medical visit";
        /// Care at home.
        HomeCare = "home_care", "居家照护", "home care";
        /// Meals.
        Meals = "meals", "助餐", "meals";
        /// Company, or somebody to talk to.
        Company = "company", "陪伴慰藉", "company";
        /// The subsistence allowance, or help in hardship.
        SubsistenceAllowance = "subsistence_allowance", "低保与救助申请", "subsistence allowance";
        /// A disability certificate.
        DisabilityCertificate = "disability_certificate", "残疾证办理", "disability certificate";
        /// Help with the law.
        LegalHelp = "legal_help", "法律援助", "legal help";
        /// A child who may be in danger: what the law says must be reported.
        ChildProtection = "child_protection", "未成年人保护强制报告", "child protection report";
        /// Somebody whom nobody could reach.
        NotReached = "not_reached", "多次联系不上", "person not reached";
        /// Anything else, said in the note.
        Other = "other", "其他", "other";
    }
}

closed_list! {
    /// Where a referral stands.
    ReferralState {
        /// Waits for its turn in the channel.
        Queued = "queued", "待发送", "queued";
        /// The body has it.
        Sent = "sent", "已送达", "sent";
        /// The body took it on.
        Accepted = "accepted", "已受理", "accepted";
        /// The body declined it.
        Rejected = "rejected", "未受理", "rejected";
        /// Nothing is left to be done.
        Closed = "closed", "已办结", "closed";
        /// The channel gave up: a person decides.
        Failed = "failed", "发送失败", "failed";
        /// Taken back.
        Revoked = "revoked", "已撤回", "revoked";
    }
}

impl ReferralState {
    /// Whether it can be taken back. What a body declined or brought to its end is over already.
    pub const fn may_be_revoked(self) -> bool {
        match self {
            Self::Queued | Self::Sent | Self::Accepted | Self::Failed => true,
            Self::Rejected | Self::Closed | Self::Revoked => false,
        }
    }

    /// Whether a person can bring it to its end: the body has answered.
    pub const fn may_be_closed(self) -> bool {
        match self {
            Self::Accepted | Self::Rejected => true,
            Self::Queued | Self::Sent | Self::Closed | Self::Failed | Self::Revoked => false,
        }
    }
}

closed_list! {
    /// What a body answers.
    Decision {
        /// It takes the matter on.
        Accepted = "accepted", "受理", "taken on";
        /// It declines.
        Rejected = "rejected", "不予受理", "declined";
        /// It did what was asked.
        Closed = "closed", "办结", "done";
    }
}

impl Decision {
    /// Where a referral stands after it.
    pub const fn state(self) -> ReferralState {
        match self {
            Self::Accepted => ReferralState::Accepted,
            Self::Rejected => ReferralState::Rejected,
            Self::Closed => ReferralState::Closed,
        }
    }
}

/// What an answer of a body does to a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It stands there now.
    Moves(ReferralState),
    /// The referral is over and stays so; that the body answered is noted.
    Noted,
    /// The body said so before, or has said something else since.
    Unchanged,
    /// Nothing went to the body yet: it cannot have answered.
    TooEarly,
}

/// What a body's answer does: `went_out` says whether anything went to it, `last` what it answered before.
pub fn effect(state: ReferralState, went_out: bool, last: Option<Decision>, new: Decision) -> Effect {
    use ReferralState as S;
    if !went_out {
        return Effect::TooEarly;
    }
    match state {
        // Whoever answers has it, whatever the channel thinks of the delivery.
        S::Queued | S::Sent | S::Failed => Effect::Moves(new.state()),
        // A body may change its mind until the matter is over.
        S::Accepted | S::Rejected if new.state() == state => Effect::Unchanged,
        S::Accepted | S::Rejected => Effect::Moves(new.state()),
        S::Closed | S::Revoked if last == Some(new) => Effect::Unchanged,
        S::Closed | S::Revoked => Effect::Noted,
    }
}

/// What is kept of a referral in words, sealed with the key of whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferralPart {
    /// A value as it went to the body.
    Field(DisclosedField),
    /// What is asked for, in words.
    Note,
    /// Why nobody could be asked.
    Reason,
    /// What the body answered.
    Remark,
    /// What a deputy found.
    Finding,
}

impl ReferralPart {
    /// The parts that are no values.
    const WORDS: [Self; 4] = [Self::Note, Self::Reason, Self::Remark, Self::Finding];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Field(field) => field.code(),
            Self::Note => "note",
            Self::Reason => "reason",
            Self::Remark => "remark",
            Self::Finding => "finding",
        }
    }

    /// The part with this code.
    ///
    /// # Errors
    /// [`Invalid::Unknown`] where there is none.
    pub fn from_code(code: &str) -> Result<Self, Invalid> {
        match Self::WORDS.into_iter().find(|part| part.code() == code) {
            Some(part) => Ok(part),
            None => DisclosedField::from_code(code).map(Self::Field),
        }
    }

    /// The class by which it is shown and audited.
    pub const fn class(self) -> FieldClass {
        match self {
            Self::Field(field) => field.class(),
            Self::Note | Self::Reason | Self::Remark | Self::Finding => FieldClass::Care,
        }
    }
}

/// Words of a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralWords {
    /// The site.
    pub site: SiteId,
    /// The referral.
    pub referral: ReferralId,
    /// Whose key seals them.
    pub resident: ResidentId,
    /// Which words.
    pub part: ReferralPart,
    /// The version of the referral that they came with.
    pub version: u64,
    /// The words.
    pub words: Paragraph,
}

/// A matter that is handed to a body. Its words and values stand apart from it, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: ReferralId,
    /// Whom it is about.
    pub resident: ResidentId,
    /// The body.
    pub body: BodyId,
    /// What kind of body it was when the matter was handed to it.
    pub body_kind: BodyKind,
    /// What values go out for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// What is asked for.
    pub matter: ReferralMatter,
    /// How pressing it is.
    pub urgency: RequestUrgency,
    /// What of the file goes out, each once.
    pub fields: Vec<DisclosedField>,
    /// Whether it was handed over by a person.
    pub by_hand: bool,
    /// Where it stands.
    pub state: ReferralState,
    /// Since when it waits in its channel; `None`: it does not.
    pub queued_at: Option<Instant>,
    /// What went out, once something did: until then nothing has left the company.
    pub disclosure: Option<DisclosureId>,
    /// Since when the body has it.
    pub sent_at: Option<Instant>,
    /// What the body answered last.
    pub answer: Option<BodyAnswer>,
    /// When it came to its end, was taken back, or the channel gave up.
    pub ended_at: Option<Instant>,
    /// What the body calls it.
    pub external_reference: Option<Line>,
    /// The event whose clock the next step answers.
    pub clock: Option<EventId>,
    /// What a deputy said of what went out without anybody's leave.
    pub review: Option<ReferralReview>,
    /// Who asked for it.
    pub created_by: StaffId,
    /// When.
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What a body answered; in its words in [`ReferralPart::Remark`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyAnswer {
    /// What it decided.
    pub decision: Decision,
    /// When.
    pub at: Instant,
    /// Who recorded it.
    pub recorded_by: StaffId,
    /// When it was recorded.
    pub recorded_at: Instant,
}

/// What a deputy said of a danger that nobody could be asked about; in words in [`ReferralPart::Finding`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralReview {
    /// Who.
    pub by: StaffId,
    /// When.
    pub at: Instant,
    /// Whether there was such a danger, and the values were needed.
    pub justified: bool,
}

impl Referral {
    /// What a body's answer does to it. An older answer that comes late changes nothing.
    pub fn effect(&self, decision: Decision, at: Instant) -> Effect {
        match &self.answer {
            Some(last) if at < last.at && self.disclosure.is_some() => Effect::Unchanged,
            last => {
                let last = last.as_ref().map(|last| last.decision);
                effect(self.state, self.disclosure.is_some(), last, decision)
            }
        }
    }

    /// Whether it waits for a deputy's review: values went out, or are about to, without anybody's leave.
    pub fn awaits_review(&self) -> bool {
        self.basis == Basis::Danger && self.review.is_none()
    }
}

/// Values of one person that are to go to a body: what decides whether a field may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projection<'a> {
    /// What kind of body it is.
    pub body: BodyKind,
    /// What was agreed with it.
    pub agreement: Option<&'a Agreement>,
    /// What the channel to it carries; `None`: a person hands it over.
    pub channel: Option<&'a [DisclosedField]>,
    /// What for.
    pub purpose: DisclosurePurpose,
    /// On what ground.
    pub basis: Basis,
    /// Whether the person is under 14.
    pub is_child: bool,
}

impl Projection<'_> {
    /// Whether a field may go at an instant, and by which consent where it needs one: what the purpose needs, what was consented to,
    /// what was agreed with the body and what the channel carries must all hold it.
    ///
    /// # Errors
    /// Everything that is missing, each once.
    pub fn may_go<'c>(
        &self,
        field: DisclosedField,
        consents: &'c [Consent],
        at: Instant,
    ) -> Result<Option<&'c Consent>, Vec<Missing>> {
        let mut missing = Vec::new();
        if !is_needed(self.body, self.purpose, field.class()) {
            missing.push(Missing::Need);
        }
        if !self.basis.carries(self.purpose) {
            missing.push(Missing::Basis);
        }
        let by = match self.basis {
            // Neither waits for a signature.
            Basis::LegalDuty | Basis::Danger => None,
            Basis::Consent => {
                let outgoing = Outgoing {
                    body: self.body,
                    purpose: self.purpose,
                    basis: self.basis,
                    has_agreement: self.agreement.is_some(),
                    is_child: self.is_child,
                };
                let consent = outgoing.consented(field.class(), consents, at);
                let by = consent.map_err(|why| missing.push(why)).ok();
                self.agreed(field, at, &mut missing);
                by
            }
        };
        if self.channel.is_some_and(|carried| !carried.contains(&field)) {
            missing.push(Missing::Channel);
        }
        if missing.is_empty() { Ok(by) } else { Err(missing) }
    }

    /// Whether something of a class may go by hand at an instant, and by which consent: where one of its fields may.
    ///
    /// # Errors
    /// What is missing for the field that lacks least.
    pub fn class_may_go<'c>(
        &self,
        class: FieldClass,
        consents: &'c [Consent],
        at: Instant,
    ) -> Result<Option<&'c Consent>, Vec<Missing>> {
        let fields = DisclosedField::ALL.iter().filter(|field| field.class() == class);
        let answers = fields.map(|field| self.may_go(*field, consents, at));
        let best = answers.min_by_key(|answer| answer.as_ref().err().map_or(0, Vec::len));
        best.unwrap_or_else(|| {
            // No field is of this class: what records say is in no agreement.
            let Self { body, purpose, basis, is_child, .. } = *self;
            let outgoing = Outgoing { body, purpose, basis, has_agreement: false, is_child };
            outgoing.may_go(class, consents, at).map_err(|why| vec![why])
        })
    }

    /// What an agreement would have to say and does not. A body that no law binds needs one. One that a law binds is held to what it
    /// signed where it did, in what is asked of it day by day.
    fn agreed(&self, field: DisclosedField, at: Instant, missing: &mut Vec<Missing>) {
        let Some(agreement) = self.agreement else {
            if !self.body.is_public() {
                missing.push(Missing::Agreement);
            }
            return;
        };
        let everyday = match self.purpose {
            DisclosurePurpose::Referral | DisclosurePurpose::Greeting => true,
            DisclosurePurpose::CareFile | DisclosurePurpose::Report | DisclosurePurpose::Rescue => false,
        };
        if self.body.is_public() && !everyday {
            return;
        }
        let lacks = [
            (!agreement.fields.contains(&field), Missing::AgreementField),
            (!agreement.purposes.contains(&self.purpose), Missing::AgreementPurpose),
            (!agreement.holds(at), Missing::AgreementTerm),
        ];
        missing.extend(lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, why)| why));
    }
}

#[cfg(test)]
mod tests;
