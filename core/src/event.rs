//! Events: what starts a clock.

use crate::id::{EventId, SiteId, Subject};
use crate::kind::EventKind;
use crate::time::Instant;

/// Something that happened and starts a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CareEvent {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// To whom or what.
    pub subject: Subject,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
}
