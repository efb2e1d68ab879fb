//! Overrides: what a site promises beyond the catalogue or, approved and for a time, below it.
//!
//! Each is one change of one standard's numbers for some days. A stricter one holds as soon as it is declared; a looser
//! one once a leader approved it, with a reason and an end. They lie above the declared versions in the order in which
//! they were declared, so that a later stricter one also binds under a loosening. What reaches the engine are
//! standards with resolved numbers ([`overridden`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::applied::Timeline;
use crate::id::{OverrideId, SiteId, StandardCode};
use crate::kind::closed_list;
use crate::staff::Signed;
use crate::standard::{Origin, Standard};
use crate::stricter::Numbers;
use crate::text::Line;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// How far ahead the end of a loosening may lie, in days; renewable with a reason.
pub const LOOSER_MAX_DAYS: u32 = 366;
/// Largest number of overrides of a site, past ones included: a change a week for twenty years.
pub const OVERRIDES_MAX: usize = 1_000;

/// A site's override of a standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardOverride {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: OverrideId,
    /// The standard.
    pub standard: StandardCode,
    /// What it asks for.
    pub numbers: Numbers,
    /// Whether it asked for less than what held when it was declared: it holds only once approved.
    pub looser: bool,
    /// Why.
    pub reason: Line,
    /// The first day for which it is meant.
    pub from: CivilDate,
    /// The first day for which it is no longer meant; `None`: until retired.
    pub until: Option<CivilDate>,
    /// Who declared it.
    pub proposed: Signed,
    /// Who approved it; never who declared it.
    pub approved: Option<Signed>,
    /// Who retired it.
    pub retired: Option<Signed>,
    /// Counts changes, from 1.
    pub version: u64,
}

closed_list! {
    /// Where an override stands.
    OverrideState {
        /// Looser, and nobody approved it: it does not hold.
        Proposed = "proposed", "待批准", "proposed";
        /// Holds from a later day on.
        Planned = "planned", "待生效", "planned";
        /// Holds.
        InForce = "in_force", "生效中", "in force";
        /// Its last day has passed.
        Ended = "ended", "已到期", "ended";
        /// Taken back.
        Retired = "retired", "已撤销", "retired";
    }
}

impl StandardOverride {
    /// The days for which it is meant, as known at `now`: none before the approval of a loosening, none from the day on which
    /// it was retired.
    pub fn days(&self, zone: SiteZone, now: Instant) -> DateRange {
        let known = |signed: &Option<Signed>| signed.as_ref().map(|s| s.at).filter(|at| *at <= now);
        let start = match (self.looser, known(&self.approved)) {
            (true, Some(at)) => self.from.max(zone.date_of(at)),
            (true, None) => return DateRange::new(self.from, self.from),
            (false, _) if self.proposed.at > now => return DateRange::new(self.from, self.from),
            (false, _) => self.from,
        };
        let until = self.until.unwrap_or(CivilDate::MAX);
        DateRange::new(start, known(&self.retired).map_or(until, |at| until.min(zone.date_of(at))))
    }

    /// Where it stands.
    pub fn state(&self, zone: SiteZone, now: Instant) -> OverrideState {
        let today = zone.date_of(now);
        if self.retired.is_some() {
            OverrideState::Retired
        } else if self.until.is_some_and(|until| until <= today) {
            OverrideState::Ended
        } else if self.looser && self.approved.is_none() {
            OverrideState::Proposed
        } else if self.days(zone, now).start() > today {
            OverrideState::Planned
        } else {
            OverrideState::InForce
        }
    }
}

/// The versions that a site's overrides make of the declared standards, as known at `now`; beside the declared ones they
/// give the site's [`Timeline`]s. Order of input is irrelevant.
pub fn overridden(
    declared: &[Arc<Standard>],
    overrides: &[StandardOverride],
    zone: SiteZone,
    now: Instant,
) -> Vec<Arc<Standard>> {
    let mut layers: Vec<(&StandardOverride, DateRange)> =
        overrides.iter().map(|layer| (layer, layer.days(zone, now))).collect();
    layers.retain(|(_, days)| !days.is_empty());
    layers.sort_by(|(a, _), (b, _)| (a.proposed.at, &a.id).cmp(&(b.proposed.at, &b.id)));
    let codes: BTreeSet<&StandardCode> = layers.iter().map(|(layer, _)| &layer.standard).collect();
    let mut found = Vec::new();
    for code in codes {
        let own: Vec<_> = layers.iter().filter(|(layer, _)| layer.standard == *code).collect();
        let bases: Vec<_> = declared.iter().filter(|standard| standard.code == *code).collect();
        let mut cuts: BTreeSet<CivilDate> = own.iter().flat_map(|(_, d)| [d.start(), d.end()]).collect();
        cuts.extend(bases.iter().flat_map(|base| [base.effective.start(), base.effective.end()]));
        for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
            let holding: Vec<_> = own.iter().filter(|(_, days)| days.contains(*start)).collect();
            let beneath = bases.iter().filter(|base| base.effective.contains(*start));
            let (Some((last, _)), Some(base)) = (holding.last(), beneath.max_by_key(|base| base.version))
            else {
                continue;
            };
            let mut standard = Standard::clone(base);
            for (layer, _) in &holding {
                standard = if layer.looser {
                    layer.numbers.instead(&standard)
                } else {
                    layer.numbers.above(&standard)
                };
            }
            standard.effective = DateRange::new(*start, *end);
            standard.origin = Origin::SiteOverride;
            standard.applies_to.site = Some(last.site.clone());
            found.push(Arc::new(standard));
        }
    }
    found
}

/// The first day on which the site promises something else than it would without `layer`: what an answer to "from
/// when?" says. A loosening counts as if it were approved at `now`. `None` where it never makes a difference, such as
/// where it ends before the next window begins. Windows of `EveryDays` begin later for subjects that are inside one.
pub fn takes_effect(
    declared: &[Arc<Standard>],
    others: &[StandardOverride],
    layer: &StandardOverride,
    zone: SiteZone,
    now: Instant,
) -> Option<CivilDate> {
    let of_code = |standard: &&Arc<Standard>| standard.code == layer.standard;
    let declared: Vec<_> = declared.iter().filter(of_code).cloned().collect();
    let others: Vec<_> = others.iter().filter(|other| other.id != layer.id).cloned().collect();
    let timeline = |overrides: &[StandardOverride]| {
        let versions = [declared.as_slice(), &overridden(&declared, overrides, zone, now)].concat();
        Timeline::of_site(&versions, &layer.site).pop()
    };
    let mut layer = layer.clone();
    layer.approved.get_or_insert_with(|| Signed { by: layer.proposed.by.clone(), at: now });
    let without = timeline(&others);
    let with = timeline(&[others.as_slice(), std::slice::from_ref(&layer)].concat());
    let spans = without.iter().chain(&with).flat_map(Timeline::spans);
    let days: BTreeSet<CivilDate> = spans.map(|span| span.days.start()).collect();
    days.into_iter().find(|day| {
        let numbers = |timeline: &Option<Timeline>| {
            let standard = timeline.as_ref().and_then(|timeline| timeline.on(*day));
            standard.map(|standard| (standard.duty.clone(), standard.accepts))
        };
        numbers(&without) != numbers(&with)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StaffId;
    use crate::standard::{Duty, Period};

    const ZONE: SiteZone = SiteZone::SHANGHAI;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn signed(by: &str, on: &str) -> Signed {
        Signed { by: StaffId::new(by).unwrap(), at: ZONE.at(day(on), 9, 0) }
    }

    /// `clean.area`: twice a week in the catalogue.
    fn layer(id: &str, at_least: u16, looser: bool, from: &str, until: Option<&str>) -> StandardOverride {
        StandardOverride {
            site: SiteId::new("s").unwrap(),
            id: OverrideId::new(id).unwrap(),
            standard: StandardCode::new("clean.area").unwrap(),
            numbers: Numbers {
                duty: Duty::Recurring { at_least, per: Period::Week, distinct_days: false },
                accepts: None,
            },
            looser,
            reason: Line::new("reason").unwrap(),
            from: day(from),
            until: until.map(day),
            proposed: signed("lin", from),
            approved: looser.then(|| signed("wang", from)),
            retired: None,
            version: 1,
        }
    }

    fn declared() -> Vec<Arc<Standard>> {
        crate::catalogue::standards().into_iter().map(Arc::new).collect()
    }

    /// How many are asked for from which day on.
    fn counts(overrides: &[StandardOverride], now: &str) -> Vec<(String, u16)> {
        let declared = declared();
        let now = ZONE.at(day(now), 12, 0);
        let versions = [declared.as_slice(), &overridden(&declared, overrides, ZONE, now)].concat();
        let timelines = Timeline::of_site(&versions, &SiteId::new("s").unwrap());
        let cleaning = timelines.iter().find(|t| t.code().is_some_and(|c| c.as_str() == "clean.area"));
        let count = |standard: &Standard| match standard.duty {
            Duty::Recurring { at_least, .. } => at_least,
            Duty::Triggered { .. } | Duty::Seasonal { .. } => 0,
        };
        let spans = cleaning.unwrap().spans();
        spans.iter().map(|span| (span.days.start().to_string(), count(&span.standard))).skip(1).collect()
    }

    #[test]
    fn overrides_lie_above_one_another() {
        let check = |overrides: &[StandardOverride], expect: &[(&str, u16)]| {
            let found = counts(overrides, "2026-12-01");
            let found: Vec<_> = found.iter().map(|(day, count)| (day.as_str(), *count)).collect();
            assert_eq!(found, expect);
            let mut reversed = overrides.to_vec();
            reversed.reverse();
            assert_eq!(counts(&reversed, "2026-12-01").len(), expect.len(), "order of input");
        };
        // From a Wednesday: the window that runs keeps what it began with.
        let three = layer("a", 3, false, "2026-03-18", None);
        check(std::slice::from_ref(&three), &[("2026-03-23", 3)]);
        let one = layer("b", 1, true, "2026-04-06", Some("2026-04-20"));
        check(&[three.clone(), one.clone()], &[("2026-03-23", 3), ("2026-04-06", 1), ("2026-04-20", 3)]);
        // A later stricter one binds under the loosening, though it asks for no more than the catalogue.
        let two = layer("c", 2, false, "2026-04-13", None);
        check(&[one.clone(), two.clone()], &[("2026-04-06", 1), ("2026-04-13", 2), ("2026-04-20", 2)]);
        let retired = StandardOverride { retired: Some(signed("lin", "2026-04-01")), ..three.clone() };
        check(&[retired], &[("2026-03-23", 3), ("2026-04-06", 2)]);
        let unapproved = StandardOverride { approved: None, ..one };
        check(&[unapproved], &[]);
        // An older stricter one never lowers what a later version asks for.
        let fewer = layer("d", 1, false, "2026-03-16", None);
        assert_eq!(counts(&[fewer], "2026-12-01"), [("2026-03-16".to_owned(), 2)]);
    }

    #[test]
    fn an_override_says_from_when_it_counts() {
        let now = ZONE.at(day("2026-03-18"), 9, 0);
        let check = |layer: &StandardOverride, others: &[StandardOverride], expect: Option<&str>| {
            let found = takes_effect(&declared(), others, layer, ZONE, now);
            assert_eq!(found, expect.map(day), "{layer:?}");
        };
        let three = layer("a", 3, false, "2026-03-18", None);
        check(&three, &[], Some("2026-03-23"));
        check(&three, std::slice::from_ref(&three), Some("2026-03-23"));
        let ahead = StandardOverride {
            proposed: signed("lin", "2026-03-18"),
            ..layer("b", 3, false, "2026-04-01", None)
        };
        check(&ahead, &[], Some("2026-04-06"));
        check(&layer("b", 2, false, "2026-03-18", None), &[], None);
        check(&layer("b", 3, false, "2026-03-18", Some("2026-03-22")), &[], None);
        let waiting = StandardOverride { approved: None, ..layer("b", 1, true, "2026-03-16", None) };
        check(&waiting, &[], Some("2026-03-23"));
        // Above a stricter one that was declared before it, a loosening counts; beneath one that came later, it does not.
        check(&waiting, std::slice::from_ref(&three), None);
        let earlier = StandardOverride { proposed: signed("lin", "2026-03-09"), ..three.clone() };
        check(&waiting, &[earlier], Some("2026-03-23"));
        let mut daily = three.clone();
        daily.numbers.duty = Duty::Recurring { at_least: 1, per: Period::Day, distinct_days: false };
        daily.looser = true;
        daily.approved = None;
        // Another window begins at once.
        check(&daily, &[], Some("2026-03-18"));
    }

    #[test]
    fn where_an_override_stands() {
        let check = |layer: &StandardOverride, on: &str, expect: OverrideState| {
            assert_eq!(layer.state(ZONE, ZONE.at(day(on), 12, 0)), expect, "{on}");
        };
        let dated = layer("a", 3, false, "2026-03-18", Some("2026-03-25"));
        check(&dated, "2026-03-18", OverrideState::InForce);
        check(&dated, "2026-03-24", OverrideState::InForce);
        check(&dated, "2026-03-25", OverrideState::Ended);
        check(
            &StandardOverride { from: day("2026-03-20"), ..dated.clone() },
            "2026-03-18",
            OverrideState::Planned,
        );
        let waiting = StandardOverride { looser: true, ..dated.clone() };
        check(&waiting, "2026-03-18", OverrideState::Proposed);
        check(&waiting, "2026-03-25", OverrideState::Ended);
        let retired = StandardOverride { retired: Some(signed("lin", "2026-03-18")), ..dated };
        check(&retired, "2026-03-18", OverrideState::Retired);
    }
}
