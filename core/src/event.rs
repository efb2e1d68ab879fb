//! Events: what starts a clock.

use crate::id::{EventId, SiteId, Subject};
use crate::kind::{EventKind, closed_list};
use crate::text::Paragraph;
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
    /// What kind of change, or who confirmed: for the kinds of event that have it.
    pub aspect: Option<EventAspect>,
    /// What was reported, in words: class `care`, sealed.
    pub note: Option<Paragraph>,
}

closed_list! {
    /// What a reported change is about, or who confirmed that somebody is safe.
    EventAspect {
        /// Address or dwelling.
        Address = "address", "住址变动", "address";
        /// Telephone or emergency contact.
        Contact = "contact", "联系方式变动", "contact";
        /// Physical condition.
        Health = "health", "身体状况变化", "health";
        /// Needs.
        Need = "need", "需求调整", "needs";
        /// Household.
        Household = "household", "家庭情况变化", "household";
        /// Special status or certificate.
        Status = "status", "身份状况变化", "status";
        /// Anything else.
        Other = "other", "其他变更", "other";
        /// The resident themselves.
        Resident = "resident", "本人", "the resident";
        /// Family.
        Family = "family", "家属", "family";
        /// A neighbour.
        Neighbour = "neighbour", "邻居", "a neighbour";
        /// A guard.
        Guard = "guard", "秩序维护员", "a guard";
    }
}
