//! Waivers on the wire.

use linli_core::id::ResidentId;
use linli_core::text::Line;
use linli_core::time::CivilDate;
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, date, etag, signed};
use super::request::{required_date, text};
use crate::app::waiver::{NewWaiver, WaiverView};
use crate::error::Result;
use crate::name::{self, InSite};

pub(super) fn new_waiver(message: &v1::WaiveStandardRequest) -> Result<(InSite<ResidentId>, NewWaiver)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let waiver = message.waiver.clone().unwrap_or_default();
    let standard = check.take("waiver.standard", name::parse_standard(&waiver.standard));
    let cause = check.take("waiver.cause", Listed::listed(waiver.cause));
    let reason = check.take("waiver.reason", Line::new(&waiver.reason));
    let from = check.optional("waiver.start_date", &waiver.start_date, CivilDate::parse);
    let to = check.take("waiver.end_date", required_date(&waiver.end_date));
    let parsed = at.zip(standard).zip(cause.zip(reason)).zip(from.zip(to));
    let (((at, standard), (cause, reason)), (from, to)) = check.finish(parsed)?;
    Ok((at, NewWaiver { standard, cause, reason, from, to }))
}

impl Shows<WaiverView> for v1::Waiver {
    fn shows(view: &WaiverView) -> Self {
        let waiver = &view.waiver;
        let (approver, approve_time) = signed(waiver.approved.as_ref());
        let (ender, end_time) = signed(waiver.ended.as_ref());
        Self {
            name: name::waiver(&waiver.site, &waiver.resident, &waiver.id),
            etag: etag(waiver.version),
            standard: name::standard(&waiver.standard),
            cause: waiver.cause.number(),
            reason: text(waiver.reason.as_ref()),
            start_date: date(Some(waiver.from)),
            end_date: date(Some(waiver.until.plus_days(-1))),
            state: view.state.number(),
            requester: name::staff(&waiver.requested.by),
            request_time: Some(timestamp(waiver.requested.at)),
            approver,
            approve_time,
            ender,
            end_time,
        }
    }
}
