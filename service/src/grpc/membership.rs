//! Memberships on the wire.

use linli_core::id::{MembershipId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::membership::Basis;
use linli_core::text::Line;
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, parse_etag};
use super::request::text;
use crate::app::membership::{Declaration, Exit, MembershipState, MembershipView};
use crate::app::site::Update;
use crate::error::Result;
use crate::name;

pub(super) fn declaration(
    message: &v1::DeclareMembershipRequest,
) -> Result<(SiteId, ResidentId, Declaration)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let group = check.take("group", name::parse_care_group(&message.group));
    let basis = match Basis::listed(message.basis) {
        // Only a rule makes a membership by rule.
        Ok(Basis::Rule) => check.take("basis", Err(Invalid::NotAllowed)),
        basis => check.take("basis", basis),
    };
    let true_from = check.date("true_from_date", &message.true_from_date);
    let end = check.date("end_date", &message.end_date);
    let evidence = check.take("evidence", Line::new(&message.evidence));
    let parsed = at.zip(group.zip(basis)).zip(true_from.zip(end).zip(evidence));
    let ((at, (group, basis)), ((true_from, end), evidence)) = check.finish(parsed)?;
    Ok((at.site, at.id, Declaration { group, basis, true_from, end, evidence }))
}

pub(super) fn exit(message: &v1::ConfirmExitRequest) -> Result<(Update<MembershipId, Exit>, ResidentId)> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_membership(&message.name));
    let on = check.date("end_date", &message.end_date);
    let reason = check.take("reason", Line::new(&message.reason));
    let version = check.take("etag", parse_etag(&message.etag));
    let ((at, version), (on, reason)) = check.finish(at.zip(version).zip(on.zip(reason)))?;
    Ok((Update { site: at.site, id: at.id, version, change: Exit { on, reason } }, at.resident))
}

pub(super) fn state(number: i32) -> std::result::Result<Option<MembershipState>, Invalid> {
    use v1::MembershipState as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified) => Ok(None),
        Ok(Wire::Planned) => Ok(Some(MembershipState::Planned)),
        Ok(Wire::Active) => Ok(Some(MembershipState::Active)),
        Ok(Wire::ExitProposed) => Ok(Some(MembershipState::ExitProposed)),
        Ok(Wire::Ended) => Ok(Some(MembershipState::Ended)),
        Err(_) => Err(Invalid::Unknown),
    }
}

/// Where a membership stands, by its number on the wire.
pub(super) fn stands(state: MembershipState) -> i32 {
    match state {
        MembershipState::Planned => v1::MembershipState::Planned.into(),
        MembershipState::Active => v1::MembershipState::Active.into(),
        MembershipState::ExitProposed => v1::MembershipState::ExitProposed.into(),
        MembershipState::Ended => v1::MembershipState::Ended.into(),
    }
}

impl Shows<MembershipView> for v1::Membership {
    fn shows(view: &MembershipView) -> Self {
        let membership = &view.membership;
        let exit = membership.proposed_exit.as_ref();
        Self {
            name: name::membership(&membership.site, &membership.resident, &membership.id),
            etag: etag(membership.version),
            group: name::care_group(&membership.group),
            basis: membership.basis.number(),
            state: stands(view.state),
            start_date: date(Some(membership.start)),
            end_date: date(membership.end),
            proposed_end_date: date(exit.map(|exit| exit.on)),
            exit_cause: exit.map(|exit| exit.why.number()).unwrap_or_default(),
            reason: view.reason.as_ref().map(ToWire::to_wire),
            evidence: text(membership.evidence.as_ref()),
            record_time: Some(timestamp(membership.recorded_at)),
        }
    }
}
