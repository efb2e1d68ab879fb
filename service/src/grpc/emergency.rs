//! Emergency access on the wire.

use linli_core::emergency::{EmergencyAccess, EmergencyReview};
use linli_core::id::{EmergencyAccessId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::text::{Line, Paragraph};
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Shows, ToWire, etag, parse_etag};
use super::page::Binding;
use super::request::text;
use crate::app::emergency::Verdict;
use crate::app::site::Update;
use crate::auth::Call;
use crate::error::Result;
use crate::name::{self, InSite};

pub(super) fn taken(message: &v1::GrantEmergencyAccessRequest) -> Result<(InSite<ResidentId>, Paragraph)> {
    let mut check = Check::new();
    let at = check.take("resident", name::parse_resident(&message.resident));
    let reason = check.take("reason", Paragraph::new(&message.reason));
    check.finish(at.zip(reason))
}

pub(super) fn review(
    message: &v1::ReviewEmergencyAccessRequest,
) -> Result<Update<EmergencyAccessId, Verdict>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_emergency_access(&message.name));
    let version = check.take("etag", parse_etag(&message.etag));
    let justified = check.take("verdict", verdict(message.verdict));
    let remark = check.take("note", Line::optional(&message.note));
    if let (Some(false), Some(None)) = (justified, &remark) {
        check.refuse("note", Invalid::Missing);
    }
    let ((at, version), (justified, remark)) = check.finish(at.zip(version).zip(justified.zip(remark)))?;
    Ok(Update { site: at.site, id: at.id, version, change: Verdict { justified, remark } })
}

pub(super) fn list(call: &Call, message: &v1::ListEmergencyAccessesRequest) -> Result<(SiteId, Binding)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let query = [message.parent.as_bytes(), &[u8::from(message.awaiting_review)]];
    Ok((check.finish(site)?, Binding::new(call, &query)))
}

fn verdict(number: i32) -> std::result::Result<bool, Invalid> {
    match v1::EmergencyVerdict::try_from(number) {
        Ok(v1::EmergencyVerdict::Unspecified) => Err(Invalid::Missing),
        Ok(v1::EmergencyVerdict::Justified) => Ok(true),
        Ok(v1::EmergencyVerdict::Unjustified) => Ok(false),
        Err(_) => Err(Invalid::Unknown),
    }
}

impl Shows<EmergencyAccess> for v1::EmergencyAccess {
    fn shows(access: &EmergencyAccess) -> Self {
        Self {
            name: name::emergency_access(&access.site, &access.id),
            etag: etag(access.version),
            resident: name::resident(&access.site, &access.resident),
            staff: name::staff(&access.staff),
            reason: text(access.reason.as_ref()),
            grant_time: Some(timestamp(access.granted_at)),
            expire_time: Some(timestamp(access.expires_at)),
            review_due_time: Some(timestamp(access.review_due())),
            review: access.review.as_ref().map(ToWire::to_wire),
        }
    }
}

impl Shows<EmergencyReview> for v1::EmergencyReview {
    fn shows(review: &EmergencyReview) -> Self {
        let verdict = if review.justified {
            v1::EmergencyVerdict::Justified
        } else {
            v1::EmergencyVerdict::Unjustified
        };
        Self {
            staff: name::staff(&review.staff),
            review_time: Some(timestamp(review.reviewed_at)),
            verdict: verdict.into(),
            note: text(review.remark.as_ref()),
        }
    }
}
