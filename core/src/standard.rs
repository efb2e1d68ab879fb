//! Service standards, 服务标准: versioned promises of who gets what, how often or how fast, from whom, and why.
//!
//! Standards are data. The built-in catalogue holds what the regulation fixes for everybody, plugins declare
//! those of their groups, a site may override numbers.

use crate::group::Citation;
use crate::id::{FieldCode, GroupCode, PluginId, SiteId, StandardCode, SubjectKind, TagCode};
use crate::kind::{Department, EventKind, KindSet, Occasion, Tier};
use crate::request::{RequestKind, RequestUrgency};
use crate::site::AreaKind;
use crate::text::Label;
use crate::time::DateRange;

/// A service standard in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// Its code, such as `elder.visit`; the same in every version.
    pub code: StandardCode,
    /// Version, from 1.
    pub version: u32,
    /// Its name.
    pub title: Label,
    /// Where its number comes from.
    pub citation: Citation,
    /// What kind of subject it is owed to.
    pub subject: SubjectKind,
    /// Which subjects it applies to.
    pub applies_to: Selector,
    /// What is owed.
    pub duty: Duty,
    /// The kinds of service that earn credit.
    pub accepts: KindSet,
    /// Further kinds that earn credit for residents with a tag.
    pub substitutes: Vec<Substitute>,
    /// Who does it.
    pub department: Department,
    /// 1 (first) to 5 (last).
    pub priority: u8,
    /// Whether a part of a window owes a part of the number.
    pub prorate: bool,
    /// Whether pauses excuse it.
    pub pausable: bool,
    /// The days that count.
    pub runs_on: RunsOn,
    /// For duties that start with a contact that did not reach the person: the step of the ladder.
    pub ladder: Option<LadderStep>,
    /// The days on which this version is in force.
    pub effective: DateRange,
    /// Who declares it.
    pub origin: Origin,
}

/// Further kinds accepted for residents with `tag`: an answered text message for a deaf person, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substitute {
    /// The tag.
    pub tag: TagCode,
    /// The kinds accepted beside the standard's own.
    pub kinds: KindSet,
}

/// Which subjects a standard applies to: all given conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Member of at least one of these groups; empty: every care file.
    pub any_group: Vec<GroupCode>,
    /// At least this tier.
    pub min_tier: Option<Tier>,
    /// At most this tier: where a higher tier has numbers of its own.
    pub max_tier: Option<Tier>,
    /// Has every one of these tags.
    pub tags: Vec<TagCode>,
    /// Only in this site.
    pub site: Option<SiteId>,
    /// For dwellings and areas: only while *flagged*, that is while a resident in it matches the conditions above; for
    /// requests: while the resident whom it is about does. Otherwise those conditions are not asked and every such place
    /// is meant.
    pub flagged: bool,
    /// For areas: only these kinds; empty: every kind.
    pub area_kinds: Vec<AreaKind>,
    /// For requests: only these kinds; empty: every kind.
    pub request_kinds: Vec<RequestKind>,
    /// For requests: only these urgencies; empty: every urgency.
    pub request_urgencies: Vec<RequestUrgency>,
}

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// At least `at_least` contacts in every `per`.
    Recurring {
        /// How many, at least 1.
        at_least: u16,
        /// In which window.
        per: Period,
        /// Whether only one counts per civil day.
        distinct_days: bool,
    },
    /// An answer within a time from every event of a kind.
    Triggered {
        /// The kind of event.
        on: EventKind,
        /// The time allowed.
        within: Within,
        /// Whether any fitting record after the event answers it; otherwise a record must name the event.
        any_match: bool,
    },
    /// One contact around an occasion of the year.
    Seasonal {
        /// The occasion.
        occasion: OccasionRef,
        /// Days before it that count.
        lead_days: u16,
        /// Days after it that count.
        tail_days: u16,
    },
}

/// A step of the ladder after contacts that did not reach the person. Each failed try opens the next step; a
/// later try, proof of safety or a step further up answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LadderStep {
    /// The try that is due: 1 + the number of consecutive failed ones since the last proof of safety, so 2 is the
    /// second try.
    pub attempt: u8,
    /// Whether a try due between 21:00 and 08:00 moves to 08:00.
    pub quiet_hours: bool,
}

/// The window of a recurring duty, in the site's civil calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A civil day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
    /// A calendar year.
    Year,
    /// Windows of this many days (at least 1), anchored where the standard began to apply.
    EveryDays(u16),
}

/// The time allowed after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Within {
    /// Minutes from the instant of the event.
    Minutes(u32),
    /// Hours from the instant of the event.
    Hours(u32),
    /// Civil days; the day of the event does not count (Civil Code Art. 201).
    Days(u32),
}

/// An occasion of the built-in calendar, or one that the site defines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OccasionRef {
    /// Known to every calendar.
    BuiltIn(Occasion),
    /// Defined by the site under this code.
    Site(FieldCode),
}

/// The days on which a duty runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunsOn {
    /// Every day.
    All,
    /// Workdays, make-up workdays included.
    Workdays,
    /// Days on which schools teach.
    SchoolDays,
}

/// Who declares a standard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The built-in catalogue.
    Catalogue,
    /// A plugin.
    Plugin {
        /// Its id.
        id: PluginId,
        /// Its version (SemVer).
        version: String,
        /// SHA-256 of its library, lower-case hexadecimal.
        digest: String,
    },
    /// An override of one site.
    SiteOverride,
}
