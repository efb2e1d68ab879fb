//! Overrides on the wire.

use linli_core::id::SiteId;
use linli_core::text::Line;
use linli_core::time::CivilDate;
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag};
use super::numbers::numbers;
use crate::app::standard_override::{NewOverride, OverrideView};
use crate::error::Result;
use crate::name;

pub(super) fn new_override(message: &v1::OverrideStandardRequest) -> Result<(SiteId, NewOverride)> {
    const PATH: &str = "standard_override";
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let wanted = message.standard_override.clone().unwrap_or_default();
    let standard = check.take(format!("{PATH}.standard"), name::parse_standard(&wanted.standard));
    let numbers = numbers(&mut check, &format!("{PATH}.numbers"), wanted.numbers.as_ref());
    let reason = check.take(format!("{PATH}.reason"), Line::new(&wanted.reason));
    let from = check.optional(format!("{PATH}.start_date"), &wanted.start_date, CivilDate::parse);
    let to = check.optional(format!("{PATH}.end_date"), &wanted.end_date, CivilDate::parse);
    let parsed = site.zip(standard).zip(numbers.zip(reason)).zip(from.zip(to));
    let (((site, standard), (numbers, reason)), (from, to)) = check.finish(parsed)?;
    Ok((site, NewOverride { standard, numbers, reason, from, to }))
}

impl Shows<OverrideView> for v1::StandardOverride {
    fn shows(view: &OverrideView) -> Self {
        let value = &view.value;
        let (approver, approve_time) = super::convert::signed(value.approved.as_ref());
        let (retirer, retire_time) = super::convert::signed(value.retired.as_ref());
        Self {
            name: name::standard_override(&value.site, &value.id),
            etag: etag(value.version),
            standard: name::standard(&value.standard),
            numbers: Some(value.numbers.to_wire()),
            reason: value.reason.as_str().to_owned(),
            start_date: date(Some(value.from)),
            end_date: date(value.until.map(|until| until.plus_days(-1))),
            state: view.state.number(),
            looser: value.looser,
            take_effect_date: date(view.takes_effect),
            proposer: name::staff(&value.proposed.by),
            propose_time: Some(timestamp(value.proposed.at)),
            approver,
            approve_time,
            retirer,
            retire_time,
        }
    }
}
