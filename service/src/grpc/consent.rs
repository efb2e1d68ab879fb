//! Consents and disclosures on the wire.

use linli_core::consent::{Basis, BodyKind, Consent, Disclosure, DisclosurePurpose};
use linli_core::id::ResidentId;
use linli_core::invalid::Invalid;
use linli_core::text::{Label, Line};
use linli_core::time::Instant;
use linli_proto::v1;
use prost_types::Timestamp;

use super::check::{Check, instant, timestamp};
use super::convert::{Listed, Shows, label};
use super::request::text;
use super::resident::classes;
use crate::app::consent::{ConsentView, GuardianConsent, NewConsent, NewDisclosure, Recipient};
use crate::error::Result;
use crate::name::{self, InSite};

pub(super) fn new_consent(message: &v1::RecordConsentRequest) -> Result<(InSite<ResidentId>, NewConsent)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let said = message.consent.clone().unwrap_or_default();
    let body = check.take("consent.body", BodyKind::listed(said.body));
    let purpose = check.take("consent.purpose", DisclosurePurpose::listed(said.purpose));
    let classes = classes(&mut check, "consent.classes", &said.classes);
    let granted = check.take("consent.decision", decision(said.decision));
    let signatory = check.take("consent.signatory", Listed::listed(said.signatory));
    let signed_by = check.take("consent.signed_by", Line::new(&said.signed_by));
    let form = check.take("consent.form", Line::new(&said.form));
    let given_at = time(&mut check, "consent.sign_time", said.sign_time.as_ref());
    let expires_at = time(&mut check, "consent.expire_time", said.expire_time.as_ref());
    match (granted, expires_at) {
        (Some(true), Some(None)) => check.refuse("consent.expire_time", Invalid::Missing),
        (Some(false), Some(Some(_))) => check.refuse("consent.expire_time", Invalid::NotAllowed),
        (Some(true | false) | None, Some(_) | None) => {}
    }
    let what = at.zip(body).zip(purpose.zip(classes)).zip(granted.zip(signatory));
    let how = signed_by.zip(form).zip(given_at.zip(expires_at));
    let (what, how) = check.finish(what.zip(how))?;
    let (((at, body), (purpose, classes)), (granted, signatory)) = what;
    let ((signed_by, form), (given_at, expires_at)) = how;
    let volunteered = message.volunteered;
    let new = NewConsent {
        body,
        purpose,
        classes,
        granted,
        signatory,
        signed_by,
        form,
        given_at,
        expires_at,
        volunteered,
    };
    Ok((at, new))
}

/// What a guardian signed, where a new file says so.
pub(super) fn guardian(
    check: &mut Check,
    path: &str,
    message: Option<&v1::GuardianConsent>,
) -> Option<Option<GuardianConsent>> {
    let Some(message) = message else { return Some(None) };
    let signed_by = check.take(format!("{path}.guardian_consent.signed_by"), Line::new(&message.signed_by));
    let form = check.take(format!("{path}.guardian_consent.form"), Line::new(&message.form));
    let path = format!("{path}.guardian_consent.sign_time");
    let given_at = time(check, &path, message.sign_time.as_ref());
    let (signed_by, (form, given_at)) = signed_by.zip(form.zip(given_at))?;
    Some(Some(GuardianConsent { signed_by, form, given_at }))
}

pub(super) fn new_disclosure(
    message: &v1::RecordDisclosureRequest,
) -> Result<(InSite<ResidentId>, NewDisclosure)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let given = message.disclosure.clone().unwrap_or_default();
    let recipient = recipient(&mut check, &message.community_body, &given);
    let purpose = check.take("disclosure.purpose", DisclosurePurpose::listed(given.purpose));
    let basis = check.take("disclosure.basis", Basis::listed(given.basis));
    let classes = classes(&mut check, "disclosure.classes", &given.classes);
    let disclosed_at = time(&mut check, "disclosure.disclose_time", given.disclose_time.as_ref());
    let what = at.zip(recipient).zip(purpose);
    let how = basis.zip(classes).zip(disclosed_at);
    let (((at, recipient), purpose), ((basis, classes), disclosed_at)) = check.finish(what.zip(how))?;
    Ok((at, NewDisclosure { recipient, purpose, basis, classes, disclosed_at }))
}

/// A registered body, or another one in words; never both.
fn recipient(check: &mut Check, registered: &str, given: &v1::Disclosure) -> Option<Recipient> {
    if registered.is_empty() {
        let body = check.take("disclosure.body", BodyKind::listed(given.body));
        let name = check.take("disclosure.recipient", Line::new(&given.recipient));
        let agreement = check.take("disclosure.agreement", Line::optional(&given.agreement));
        let ((body, name), agreement) = body.zip(name).zip(agreement)?;
        return Some(Recipient::Named { body, name, agreement });
    }
    let stated = [
        ("disclosure.body", given.body != 0),
        ("disclosure.recipient", !given.recipient.is_empty()),
        ("disclosure.agreement", !given.agreement.is_empty()),
    ];
    for (field, _) in stated.into_iter().filter(|(_, is_stated)| *is_stated) {
        check.refuse(field, Invalid::NotAllowed);
    }
    check.take("community_body", name::parse_body(registered)).map(Recipient::Body)
}

/// A time that may be absent.
fn time(check: &mut Check, field: &str, time: Option<&Timestamp>) -> Option<Option<Instant>> {
    match time {
        Some(time) => check.take(field, instant(time)).map(Some),
        None => Some(None),
    }
}

fn decision(number: i32) -> std::result::Result<bool, Invalid> {
    match v1::ConsentDecision::try_from(number) {
        Ok(v1::ConsentDecision::Unspecified) => Err(Invalid::Missing),
        Ok(v1::ConsentDecision::Granted) => Ok(true),
        Ok(v1::ConsentDecision::Refused) => Ok(false),
        Err(_) => Err(Invalid::Unknown),
    }
}

impl Shows<ConsentView> for v1::Consent {
    fn shows(view: &ConsentView) -> Self {
        let consent: &Consent = &view.consent;
        let decision =
            if consent.granted { v1::ConsentDecision::Granted } else { v1::ConsentDecision::Refused };
        Self {
            name: name::consent(&consent.site, &consent.resident, &consent.id),
            body: consent.body.number(),
            purpose: consent.purpose.number(),
            classes: consent.classes.iter().map(|class| class.number()).collect(),
            decision: decision.into(),
            signatory: consent.signatory.number(),
            signed_by: text(consent.signed_by.as_ref()),
            form: consent.form.as_str().to_owned(),
            sign_time: Some(timestamp(consent.given_at)),
            expire_time: consent.expires_at.map(timestamp),
            withdraw_time: consent.withdrawn.as_ref().map(|withdrawal| timestamp(withdrawal.at)),
            in_force: view.in_force,
            ask_again_time: view.ask_again_at.map(timestamp),
            recorder: name::staff(&consent.recorded_by),
            record_time: Some(timestamp(consent.recorded_at)),
            body_name: label(&Label::new(consent.body.zh(), consent.body.en())),
            purpose_name: label(&Label::new(consent.purpose.zh(), consent.purpose.en())),
        }
    }
}

impl Shows<Disclosure> for v1::Disclosure {
    fn shows(disclosure: &Disclosure) -> Self {
        let (site, resident) = (&disclosure.site, &disclosure.resident);
        Self {
            name: name::disclosure(site, resident, &disclosure.id),
            body: disclosure.body.number(),
            recipient: disclosure.recipient.as_str().to_owned(),
            purpose: disclosure.purpose.number(),
            basis: disclosure.basis.number(),
            classes: disclosure.classes.iter().map(|class| class.number()).collect(),
            agreement: text(disclosure.agreement.as_ref()),
            disclose_time: Some(timestamp(disclosure.disclosed_at)),
            consents: disclosure.consents.iter().map(|id| name::consent(site, resident, id)).collect(),
            discloser: name::staff(&disclosure.disclosed_by),
            record_time: Some(timestamp(disclosure.recorded_at)),
            body_name: label(&Label::new(disclosure.body.zh(), disclosure.body.en())),
            purpose_name: label(&Label::new(disclosure.purpose.zh(), disclosure.purpose.en())),
            basis_name: label(&Label::new(disclosure.basis.zh(), disclosure.basis.en())),
        }
    }
}
