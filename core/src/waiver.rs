//! Waivers 豁免: a resident does not want a service, or their care goes without it. Asked for with a reason, approved by a
//! leader, ending on a day.

use crate::applied::{Waiver, WaiverCause};
use crate::id::{ResidentId, SiteId, StandardCode, WaiverId};
use crate::kind::closed_list;
use crate::staff::Signed;
use crate::text::Line;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// How far ahead the end of a waiver may lie, in days; renewable with a reason.
pub const WAIVER_MAX_DAYS: u32 = 366;

/// A waiver of a standard for a resident, as it was asked for and decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardWaiver {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// The id.
    pub id: WaiverId,
    /// The standard.
    pub standard: StandardCode,
    /// Why, of a list.
    pub cause: WaiverCause,
    /// Why, in words: class `care`, sealed.
    pub reason: Option<Line>,
    /// The first day without the service.
    pub from: CivilDate,
    /// The first day with it again.
    pub until: CivilDate,
    /// Who asked for it.
    pub requested: Signed,
    /// Who approved it; never who asked for it.
    pub approved: Option<Signed>,
    /// Who ended it, or took the request back.
    pub ended: Option<Signed>,
    /// Counts changes, from 1.
    pub version: u64,
}

closed_list! {
    /// Where a waiver stands.
    WaiverState {
        /// Nobody approved it: it excuses nothing.
        Requested = "requested", "待批准", "requested";
        /// Excuses from a later day on.
        Planned = "planned", "待生效", "planned";
        /// Excuses.
        InForce = "in_force", "生效中", "in force";
        /// Its last day has passed.
        Expired = "expired", "已到期", "expired";
        /// Ended before its last day, or the request was taken back.
        Ended = "ended", "已终止", "ended";
    }
}

impl StandardWaiver {
    /// The days that it excuses: from its first day to its end, without the day on which it was ended; none unless approved.
    pub fn days(&self, zone: SiteZone) -> DateRange {
        if self.approved.is_none() {
            return DateRange::new(self.from, self.from);
        }
        let ended = self.ended.as_ref().map(|signed| zone.date_of(signed.at));
        DateRange::new(self.from, ended.map_or(self.until, |day| day.min(self.until)))
    }

    /// What the engine is told of it; `None` where it excuses no day.
    pub fn interval(&self, zone: SiteZone) -> Option<Waiver> {
        let recorded_at = self.approved.as_ref()?.at;
        let days = self.days(zone);
        let waiver = Waiver { standard: self.standard.clone(), days, cause: self.cause, recorded_at };
        (!days.is_empty()).then_some(waiver)
    }

    /// Where it stands.
    pub fn state(&self, zone: SiteZone, now: Instant) -> WaiverState {
        let today = zone.date_of(now);
        if self.ended.is_some() {
            WaiverState::Ended
        } else if self.until <= today {
            WaiverState::Expired
        } else if self.approved.is_none() {
            WaiverState::Requested
        } else if self.from > today {
            WaiverState::Planned
        } else {
            WaiverState::InForce
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StaffId;

    #[test]
    fn a_waiver_excuses_once_approved_and_until_ended() {
        let zone = SiteZone::SHANGHAI;
        let day = |text: &str| CivilDate::parse(text).unwrap();
        let signed =
            |on: &str| Some(Signed { by: StaffId::new("wang").unwrap(), at: zone.at(day(on), 9, 0) });
        let check = |approved: Option<Signed>,
                     ended: Option<Signed>,
                     on: &str,
                     state: WaiverState,
                     days: Option<(&str, &str)>| {
            let waiver = StandardWaiver {
                site: SiteId::new("s").unwrap(),
                resident: ResidentId::new("r").unwrap(),
                id: WaiverId::new("w").unwrap(),
                standard: StandardCode::new("elder.call").unwrap(),
                cause: WaiverCause::Refused,
                reason: None,
                from: day("2026-03-18"),
                until: day("2026-04-01"),
                requested: signed("2026-03-16").unwrap(),
                approved,
                ended,
                version: 1,
            };
            assert_eq!(waiver.state(zone, zone.at(day(on), 12, 0)), state, "{on}");
            let found = waiver.interval(zone).map(|interval| interval.days);
            assert_eq!(found, days.map(|(from, to)| DateRange::new(day(from), day(to))), "{on}");
        };
        let whole = Some(("2026-03-18", "2026-04-01"));
        check(None, None, "2026-03-20", WaiverState::Requested, None);
        check(None, None, "2026-04-01", WaiverState::Expired, None);
        check(None, signed("2026-03-17"), "2026-03-20", WaiverState::Ended, None);
        check(signed("2026-03-17"), None, "2026-03-17", WaiverState::Planned, whole);
        check(signed("2026-03-20"), None, "2026-03-20", WaiverState::InForce, whole);
        check(signed("2026-03-17"), None, "2026-04-01", WaiverState::Expired, whole);
        let ended = Some(("2026-03-18", "2026-03-25"));
        check(signed("2026-03-17"), signed("2026-03-25"), "2026-03-26", WaiverState::Ended, ended);
        check(signed("2026-03-16"), signed("2026-03-17"), "2026-03-18", WaiverState::Ended, None);
    }
}
