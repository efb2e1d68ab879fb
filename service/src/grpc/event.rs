//! Events on the wire.

use linli_core::event::{CareEvent, EventAspect};
use linli_proto::v1;

use super::check::timestamp;
use super::convert::{Listed, Shows};
use crate::name;

impl Shows<CareEvent> for v1::CareEvent {
    fn shows(event: &CareEvent) -> Self {
        let (change, source) = aspect(event.aspect);
        Self {
            name: name::event(&event.site, &event.id),
            kind: event.kind.number(),
            subject: name::subject(&event.site, &event.subject),
            occur_time: Some(timestamp(event.occurred_at)),
            record_time: Some(timestamp(event.recorded_at)),
            change_kind: change.into(),
            safety_source: source.into(),
            answered_by: Vec::new(),
        }
    }
}

/// What a reported change is about, or who gave word of safety.
fn aspect(aspect: Option<EventAspect>) -> (v1::ChangeKind, v1::SafetySource) {
    let change = |kind| (kind, v1::SafetySource::Unspecified);
    let safety = |source| (v1::ChangeKind::Unspecified, source);
    match aspect {
        None => (v1::ChangeKind::Unspecified, v1::SafetySource::Unspecified),
        Some(EventAspect::Address) => change(v1::ChangeKind::Address),
        Some(EventAspect::Contact) => change(v1::ChangeKind::Contact),
        Some(EventAspect::Health) => change(v1::ChangeKind::Health),
        Some(EventAspect::Need) => change(v1::ChangeKind::Need),
        Some(EventAspect::Household) => change(v1::ChangeKind::Household),
        Some(EventAspect::Status) => change(v1::ChangeKind::Status),
        Some(EventAspect::Other) => change(v1::ChangeKind::Other),
        Some(EventAspect::Resident) => safety(v1::SafetySource::Resident),
        Some(EventAspect::Family) => safety(v1::SafetySource::Family),
        Some(EventAspect::Neighbour) => safety(v1::SafetySource::Neighbour),
        Some(EventAspect::Guard) => safety(v1::SafetySource::Guard),
    }
}
