//! Community bodies 社区单位: whom the company works with, and what was agreed with each in writing.

use crate::consent::{BodyKind, DisclosurePurpose};
use crate::id::{BodyId, ChannelName, SiteId};
use crate::referral::DisclosedField;
use crate::text::Line;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// Most contacts of one body.
pub const CONTACTS_MAX: usize = 10;

/// Most sites that one body serves by name; more of them are served by a body that serves all.
pub const SITES_MAX: usize = 200;

/// A body that matters are handed to. Nothing of it is personal: contacts are offices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunityBody {
    /// The id.
    pub id: BodyId,
    /// What it is; never the company itself.
    pub kind: BodyKind,
    /// Its name in Chinese.
    pub title: Line,
    /// Its name in English.
    pub title_en: Option<Line>,
    /// How its offices are reached: a telephone, a counter, a mailbox of the office.
    pub contacts: Vec<Line>,
    /// The sites that it serves; empty: all of them.
    pub sites: Vec<SiteId>,
    /// The channel by which referrals reach it; `None`: they are handed over by hand.
    pub channel: Option<ChannelName>,
    /// What was agreed with it in writing.
    pub agreement: Option<Agreement>,
    /// Whether matters are handed to it.
    pub enabled: bool,
    /// When it was entered.
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

impl CommunityBody {
    /// Whether it serves a site.
    pub fn serves(&self, site: &SiteId) -> bool {
        self.sites.is_empty() || self.sites.contains(site)
    }
}

/// A written agreement: what may go to a body, what for and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Its number.
    pub number: Line,
    /// The fields that may go.
    pub fields: Vec<DisclosedField>,
    /// What for.
    pub purposes: Vec<DisclosurePurpose>,
    /// The days on which it holds, in Shanghai: a body may serve sites of several zones.
    pub days: DateRange,
}

impl Agreement {
    /// Whether it holds at an instant.
    pub fn holds(&self, at: Instant) -> bool {
        self.days.contains(SiteZone::SHANGHAI.date_of(at))
    }

    /// The first day on which it no longer holds; `None`: it has no end.
    pub fn ends_on(&self) -> Option<CivilDate> {
        Some(self.days.end()).filter(|end| *end < CivilDate::MAX)
    }
}
