//! The kinds of events for others. `proto/linli/v1/change_event.proto` explains each to those who hear them; tests hold that every
//! event that is written has its row in both.

use linli_core::invalid::Invalid;

/// Stands in the place of a kind that the caller may not know.
pub const WITHHELD: &str = "withheld";
/// That a file is protected, or no longer, is nobody's to hear: of a file that is visible again it would tell what it was.
pub const PROTECTION_CHANGED: &str = "resident.protection_changed";

/// What a site's events may be.
pub const KINDS: &[&str] = &[
    "activity.attended",
    "activity.cancelled",
    "activity.held",
    "activity.planned",
    "activity.updated",
    "area.created",
    "area.updated",
    "consent.recorded",
    "consent.withdrawn",
    "disclosure.recorded",
    "dwelling.created",
    "dwelling.moved_in",
    "dwelling.updated",
    "emergency_access.review_due",
    "emergency_access.reviewed",
    "facility.created",
    "facility.updated",
    "fund.amended",
    "fund.opened",
    "fund.published",
    "membership.declared",
    "membership.ended",
    "override.approved",
    "override.declared",
    "override.proposed",
    "override.retired",
    "pause.begun",
    "pause.confirmed",
    "pause.ended",
    "period.closed",
    "plan.approved",
    "plan.rejected",
    "plan.submitted",
    "post.created",
    "post.updated",
    "record.corrected",
    "record.created",
    "record.evaluated",
    "referral.accepted",
    "referral.answer_noted",
    "referral.closed",
    "referral.created",
    "referral.failed",
    "referral.queued",
    "referral.rejected",
    "referral.reviewed",
    "referral.revoked",
    "referral.sent",
    "request.accepted",
    "request.arrived",
    "request.cancelled",
    "request.closed",
    "request.dispatched",
    "request.done",
    "request.notice_recorded",
    "request.review_due",
    "request.submitted",
    "resident.assessed",
    "resident.change_reported",
    "resident.created",
    "resident.discharged",
    "resident.erase",
    "resident.erased",
    "resident.file_given",
    "resident.hold",
    "resident.left",
    "resident.major_change",
    "resident.merged",
    "resident.merged_into",
    "resident.moved_in",
    PROTECTION_CHANGED,
    "resident.safety_confirmed",
    "resident.seal",
    "resident.tier_confirmed",
    "resident.unmerged",
    "resident.unseal",
    "resident.updated",
    "site.parameters_set",
    "site.updated",
    "site.weather_reported",
    "spending.approved",
    "spending.disbursed",
    "spending.rejected",
    "spending.requested",
    "survey.answer_withdrawn",
    "survey.answered",
    "survey.closed",
    "survey.opened",
    "waiver.approved",
    "waiver.ended",
    "waiver.requested",
    WITHHELD,
];

/// What the server's own events may be, which belong to no site and are told to nobody.
pub const SERVER_KINDS: &[&str] = &[
    "backup.made",
    "backup.restored",
    "body.created",
    "body.updated",
    "keys.rotation_finished",
    "keys.rotation_started",
    "site.created",
    "staff.created",
    "staff.deactivated",
    "staff.reactivated",
    "staff.updated",
];

/// A kind of a site's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(&'static str);

impl Kind {
    /// The kind of this code.
    ///
    /// # Errors
    /// [`Invalid::Unknown`].
    pub fn parse(code: &str) -> Result<Self, Invalid> {
        KINDS.iter().find(|known| **known == code).map(|known| Self(known)).ok_or(Invalid::Unknown)
    }

    /// Its code, such as `record.created`.
    pub fn code(self) -> &'static str {
        self.0
    }
}
