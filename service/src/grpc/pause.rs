//! Pauses on the wire.

use linli_core::id::{ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::pause::PauseReason;
use linli_core::text::Line;
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, date, etag};
use super::request::{required_date, text};
use crate::app::pause::{NewPause, PauseState, PauseView};
use crate::error::Result;
use crate::name;

pub(super) fn new_pause(message: &v1::PauseRequest) -> Result<(SiteId, ResidentId, NewPause)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let pause = message.pause.clone().unwrap_or_default();
    let reason = check.take("pause.reason", Listed::listed(pause.reason));
    let left_on = check.take("pause.leave_date", required_date(&pause.leave_date));
    let expected = check.take("pause.expected_return_date", required_date(&pause.expected_return_date));
    let remark = check.take("pause.note", Line::optional(&pause.note));
    if let (Some(left_on), Some(expected)) = (left_on, expected)
        && expected <= left_on
    {
        check.refuse("pause.expected_return_date", Invalid::EndsBeforeStart);
    }
    if let (Some(PauseReason::Other), Some(None)) = (reason, &remark) {
        check.refuse("pause.note", Invalid::Missing);
    }
    let parsed = at.zip(reason).zip(left_on.zip(expected).zip(remark));
    let ((at, reason), ((left_on, expected_return), remark)) = check.finish(parsed)?;
    Ok((at.site, at.id, NewPause { reason, left_on, expected_return, remark }))
}

impl Shows<PauseView> for v1::Pause {
    fn shows(view: &PauseView) -> Self {
        let pause = &view.pause;
        Self {
            name: name::pause(&pause.site, &pause.resident, &pause.id),
            etag: etag(pause.version),
            reason: pause.reason.number(),
            leave_date: date(Some(pause.left_on)),
            expected_return_date: date(Some(pause.expected_return)),
            return_date: date(pause.ended.map(|end| end.returned_on)),
            note: text(pause.remark.as_ref()),
            state: match view.state {
                PauseState::Planned => v1::PauseState::Planned.into(),
                PauseState::Running => v1::PauseState::Running.into(),
                PauseState::Overdue => v1::PauseState::Overdue.into(),
                PauseState::Ended => v1::PauseState::Ended.into(),
            },
            needs_confirmation: view.needs_confirmation,
            confirm_time: pause.confirmed_at.map(timestamp),
            record_time: Some(timestamp(pause.recorded_at)),
        }
    }
}
