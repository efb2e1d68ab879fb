//! Accessible facilities, 无障碍设施: what is inspected daily, and repaired when it is found wanting.

use crate::group::Citation;
use crate::id::{FacilityId, SiteId};
use crate::kind::{Confidence, closed_list};
use crate::text::{Label, Line};
use crate::time::{CivilDate, Instant};

closed_list! {
    /// Kinds of accessible facility.
    FacilityKind {
        /// A ramp.
        Ramp = "ramp", "坡道", "ramp";
        /// A handrail.
        Handrail = "handrail", "扶手", "handrail";
        /// Buttons of a lift.
        LiftButtons = "lift_buttons", "电梯按钮", "lift buttons";
        /// Tactile paving.
        TactilePaving = "tactile_paving", "盲道", "tactile paving";
        /// An accessible entrance or automatic door.
        Entrance = "entrance", "无障碍出入口", "accessible entrance";
        /// A lifting platform.
        LiftingPlatform = "lifting_platform", "升降平台", "lifting platform";
        /// An accessible toilet.
        Toilet = "toilet", "无障碍卫生间", "accessible toilet";
        /// An accessible parking place.
        ParkingPlace = "parking_place", "无障碍停车位", "accessible parking place";
        /// A call button for emergencies.
        CallButton = "call_button", "紧急呼叫按钮", "emergency call button";
        /// Signs that can be seen, heard or felt.
        Signage = "signage", "无障碍标识", "accessible signage";
        /// Anything else.
        Other = "other", "其他", "other";
    }
}

/// An accessible facility of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facility {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: FacilityId,
    /// What it is.
    pub kind: FacilityKind,
    /// Its name.
    pub title: Line,
    /// The building it belongs to, as dwellings spell it.
    pub building: Option<Line>,
    /// When it was registered (care clock): inspected from that day on.
    pub created_at: Instant,
    /// The first day on which it is no longer there.
    pub retired_on: Option<CivilDate>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A law, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Law {
    zh: &'static str,
    en: &'static str,
    locator: &'static str,
}

impl Law {
    /// As a citation; how sure is how sure the number is that is drawn from it.
    pub fn citation(self, confidence: Confidence) -> Citation {
        Citation { instrument: Label::new(self.zh, self.en), locator: self.locator.to_owned(), confidence }
    }
}

/// That who manages an accessible facility keeps it in repair, and what follows where they do not.
pub const REPAIR: Law = Law {
    zh: "中华人民共和国无障碍环境建设法",
    en: "Law of the PRC on building a barrier-free environment",
    locator: "第二十六条、第六十五条",
};

/// What the law threatens where a defect is not made good in the time that the authority sets.
pub fn liability() -> Label {
    Label::new(
        "责令限期改正而逾期未改的,单位可处1万元至3万元罚款,个人可处100元至500元罚款",
        "left unrepaired beyond the time that the authority sets: a fine of CNY 10,000 to 30,000 for the company, \
         of CNY 100 to 500 for a person",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_says_where() {
        let citation = REPAIR.citation(Confidence::Verified);
        assert!(
            citation.instrument.zh.contains("无障碍环境建设法") && citation.locator.contains("第六十五条")
        );
        assert!(liability().en.is_ascii() && liability().zh.contains("3万元"));
    }
}
