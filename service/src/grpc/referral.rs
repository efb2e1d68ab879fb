//! Referrals on the wire.

use linli_core::consent::{Basis, DisclosurePurpose};
use linli_core::id::{ReferralId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::referral::{ReferralMatter, ReferralState};
use linli_core::text::{Label, Line, Paragraph};
use linli_proto::v1;

use super::check::{Check, instant, timestamp};
use super::community_body::fields;
use super::convert::{Listed, Shows, etag, label, parse_etag};
use super::request::text;
use crate::app::referral::{Acknowledgement, NewReferral, ReferralFilter, ReferralView, Verdict};
use crate::app::site::Update;
use crate::error::Result;
use crate::name::{self, InSite};

pub(super) fn new_referral(message: &v1::CreateReferralRequest) -> Result<(SiteId, NewReferral)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let Some(asked) = &message.referral else {
        check.refuse("referral", Invalid::Missing);
        return check.finish(None);
    };
    let resident = check.take("referral.resident", name::parse_resident(&asked.resident));
    if let (Some(site), Some(resident)) = (&site, &resident) {
        check.same_site("referral.resident", site, &resident.site);
    }
    let body = check.take("referral.body", name::parse_body(&asked.body));
    let purpose = check.take("referral.purpose", purpose(asked.purpose));
    let basis = check.take("referral.basis", Basis::listed(asked.basis));
    let matter = check.take("referral.matter", ReferralMatter::listed(asked.matter));
    let urgency = check.take("referral.urgency", Listed::listed(asked.urgency));
    let fields = fields(&mut check, "referral.fields", &asked.fields);
    let note = check.take("referral.note", Paragraph::optional(&asked.note));
    let reason = check.take("referral.reason", Paragraph::optional(&asked.reason));
    if let (Some(ReferralMatter::Other), Some(None)) = (matter, &note) {
        check.refuse("referral.note", Invalid::Missing);
    }
    match (basis, &reason) {
        (Some(Basis::Danger), Some(None)) => check.refuse("referral.reason", Invalid::Missing),
        (Some(Basis::Consent | Basis::LegalDuty), Some(Some(_))) => {
            check.refuse("referral.reason", Invalid::NotAllowed);
        }
        (Some(Basis::Danger), Some(Some(_)))
        | (Some(Basis::Consent | Basis::LegalDuty), Some(None))
        | (None, _)
        | (_, None) => {}
    }
    let whom = site.zip(resident).zip(body);
    let why = purpose.zip(basis).zip(matter.zip(urgency));
    let said = fields.zip(note.zip(reason));
    let ((((site, resident), body), ((purpose, basis), (matter, urgency))), (fields, (note, reason))) =
        check.finish(whom.zip(why).zip(said))?;
    let new = NewReferral {
        resident: resident.id,
        body,
        purpose,
        basis,
        matter,
        urgency,
        fields,
        note,
        reason,
        handed_over: asked.handed_over,
    };
    Ok((site, new))
}

/// What values may go to a body for: a care file is the company's own.
fn purpose(number: i32) -> std::result::Result<DisclosurePurpose, Invalid> {
    match DisclosurePurpose::listed(number)? {
        DisclosurePurpose::CareFile => Err(Invalid::NotAllowed),
        other @ (DisclosurePurpose::Referral
        | DisclosurePurpose::Greeting
        | DisclosurePurpose::Report
        | DisclosurePurpose::Rescue) => Ok(other),
    }
}

/// A step that needs no more than the referral.
pub(super) fn step(name: &str, etag: &str) -> Result<Update<ReferralId, ()>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_referral(name));
    let version = check.take("etag", parse_etag(etag));
    let (at, version) = check.finish(at.zip(version))?;
    Ok(Update { site: at.site, id: at.id, version, change: () })
}

pub(super) fn acknowledgement(
    message: &v1::RecordAcknowledgementRequest,
) -> Result<(InSite<ReferralId>, Acknowledgement)> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_referral(&message.name));
    let decision = check.take("decision", Listed::listed(message.decision));
    let remark = check.take("remark", Paragraph::optional(&message.remark));
    let reference = check.take("external_reference", Line::optional(&message.external_reference));
    let decided = check.take("decide_time", message.decide_time.as_ref().map(instant).transpose());
    let ((at, decision), (remark, (external_reference, decided))) =
        check.finish(at.zip(decision).zip(remark.zip(reference.zip(decided))))?;
    Ok((at, Acknowledgement { decision, remark, external_reference, at: decided }))
}

pub(super) fn review(message: &v1::ReviewReferralRequest) -> Result<Update<ReferralId, Verdict>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_referral(&message.name));
    let version = check.take("etag", parse_etag(&message.etag));
    let finding = check.take("finding", Paragraph::new(&message.finding));
    let ((at, version), finding) = check.finish(at.zip(version).zip(finding))?;
    let change = Verdict { justified: message.justified, finding };
    Ok(Update { site: at.site, id: at.id, version, change })
}

pub(super) fn filter(message: &v1::ListReferralsRequest) -> Result<(name::Sites, ReferralFilter)> {
    let mut check = Check::new();
    let sites = check.take("parent", name::parse_sites(&message.parent));
    let mut states = Vec::with_capacity(message.states.len());
    for (at, number) in message.states.iter().enumerate() {
        states.push(check.take(format!("states[{at}]"), ReferralState::listed(*number)));
    }
    let states = states.into_iter().collect::<Option<Vec<_>>>();
    let body = check.optional("body", &message.body, name::parse_body);
    let resident = check.optional("resident", &message.resident, name::parse_resident);
    match (&sites, &resident) {
        (Some(name::Sites::One(site)), Some(Some(resident))) => {
            check.same_site("resident", site, &resident.site);
        }
        (Some(name::Sites::All), Some(Some(_))) => check.refuse("resident", Invalid::NotAllowed),
        (Some(_), Some(None)) | (None, _) | (_, None) => {}
    }
    let ((sites, states), (body, resident)) = check.finish(sites.zip(states).zip(body.zip(resident)))?;
    let resident = resident.map(|resident| resident.id);
    Ok((sites, ReferralFilter { states, body, resident, awaiting_review: message.awaiting_review }))
}

impl Shows<ReferralView> for v1::Referral {
    fn shows(view: &ReferralView) -> Self {
        let ReferralView { referral, words } = view;
        let site = &referral.site;
        let disclosure = referral.disclosure.as_ref();
        let answer = referral.answer.as_ref().map(|answer| v1::ReferralAnswer {
            decision: answer.decision.number(),
            decide_time: Some(timestamp(answer.at)),
            remark: text(words.remark.as_ref()),
            recorder: name::staff(&answer.recorded_by),
            record_time: Some(timestamp(answer.recorded_at)),
        });
        let review = referral.review.as_ref().map(|review| v1::ReferralReview {
            staff: name::staff(&review.by),
            review_time: Some(timestamp(review.at)),
            justified: review.justified,
            finding: text(words.finding.as_ref()),
        });
        let values = words.values.iter().map(|(field, value)| v1::DisclosedValue {
            field: field.number(),
            value: value.as_str().to_owned(),
        });
        Self {
            name: name::referral(site, &referral.id),
            etag: etag(referral.version),
            resident: name::resident(site, &referral.resident),
            body: name::body(&referral.body),
            purpose: referral.purpose.number(),
            basis: referral.basis.number(),
            matter: referral.matter.number(),
            urgency: referral.urgency.number(),
            fields: referral.fields.iter().map(|field| field.number()).collect(),
            note: text(words.note.as_ref()),
            reason: text(words.reason.as_ref()),
            handed_over: referral.by_hand,
            state: referral.state.number(),
            creator: name::staff(&referral.created_by),
            create_time: Some(timestamp(referral.created_at)),
            send_time: referral.sent_at.map(timestamp),
            end_time: referral.ended_at.map(timestamp),
            answer,
            external_reference: text(referral.external_reference.as_ref()),
            disclosure: disclosure
                .map(|id| name::disclosure(site, &referral.resident, id))
                .unwrap_or_default(),
            review,
            values: values.collect(),
            tell_body: referral.state == ReferralState::Revoked && disclosure.is_some(),
            matter_name: label(&Label::new(referral.matter.zh(), referral.matter.en())),
            state_name: label(&Label::new(referral.state.zh(), referral.state.en())),
        }
    }
}
