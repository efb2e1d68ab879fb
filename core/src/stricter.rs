//! Which of two versions of a promise asks for more. Stricter is free for a site override or a care plan; looser
//! needs a leader's approval, a reason and an end date.

use crate::invalid::Invalid;
use crate::kind::KindSet;
use crate::standard::{Duty, Standard, Within};

/// How a changed standard compares with the one it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// It asks for exactly the same.
    Same,
    /// It asks for at least as much in every respect, and for more in one.
    Stricter,
    /// Anything else.
    Looser,
}

/// Compares `changed` with `base`: same `per`, at least as many, at most as long, nothing more accepted, distinct
/// days not dropped, no more excuses, nobody left out. Whatever cannot be compared is looser.
pub fn strictness(changed: &Standard, base: &Standard) -> Strictness {
    if changed.duty == base.duty
        && changed.accepts == base.accepts
        && changed.substitutes == base.substitutes
        && changed.prorate == base.prorate
        && changed.pausable == base.pausable
        && changed.runs_on == base.runs_on
        && changed.applies_to == base.applies_to
        && changed.ladder == base.ladder
    {
        return Strictness::Same;
    }
    let asks_no_less = duty_asks_no_less(&changed.duty, &base.duty)
        && changed.accepts.is_subset(base.accepts)
        && substitutes_no_wider(changed, base)
        && (!changed.prorate || base.prorate)
        && (!changed.pausable || base.pausable)
        && changed.runs_on == base.runs_on
        && changed.applies_to == base.applies_to
        && changed.ladder == base.ladder;
    if asks_no_less { Strictness::Stricter } else { Strictness::Looser }
}

/// What a layer above a standard may change of it: a site's override, or an item of a care plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// How often, or how fast.
    pub duty: Duty,
    /// The kinds that earn credit; `None`: as beneath.
    pub accepts: Option<KindSet>,
}

impl Numbers {
    /// Whether they can stand for the numbers of `base`: a duty of the same kind, started by the same event or occasion,
    /// and something that earns credit. The field of the numbers that is wrong, and why.
    ///
    /// # Errors
    /// [`Invalid::NotAllowed`], [`Invalid::Missing`].
    pub fn check(&self, base: &Standard) -> Result<(), (&'static str, Invalid)> {
        let same_kind = match (&self.duty, &base.duty) {
            (Duty::Recurring { .. }, Duty::Recurring { .. }) => true,
            (Duty::Triggered { on, .. }, Duty::Triggered { on: base_on, .. }) => on == base_on,
            (Duty::Seasonal { occasion, .. }, Duty::Seasonal { occasion: base_occasion, .. }) => {
                occasion == base_occasion
            }
            (Duty::Recurring { .. } | Duty::Triggered { .. } | Duty::Seasonal { .. }, _) => false,
        };
        if !same_kind {
            return Err(("duty", Invalid::NotAllowed));
        }
        match self.accepts {
            Some(accepts) if accepts.is_empty() && !base.accepts.is_empty() => {
                Err(("accepts", Invalid::Missing))
            }
            // Credit of such a standard is derived otherwise.
            Some(accepts) if !accepts.is_empty() && base.accepts.is_empty() => {
                Err(("accepts", Invalid::NotAllowed))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// `base` with these numbers, whatever they are.
    #[must_use]
    pub fn instead(&self, base: &Standard) -> Standard {
        Standard { duty: self.duty.clone(), accepts: self.accepts.unwrap_or(base.accepts), ..base.clone() }
    }

    /// `base` with those of these numbers that ask for more: never looser than `base`, whatever lies beneath by now.
    #[must_use]
    pub fn above(&self, base: &Standard) -> Standard {
        let accepts = match self.accepts {
            Some(accepts) => accepts.iter().filter(|kind| base.accepts.contains(*kind)).collect(),
            None => base.accepts,
        };
        Standard {
            duty: stricter_duty(&self.duty, &base.duty),
            // Where nothing is left that both accept, what lies beneath stays.
            accepts: if accepts == KindSet::EMPTY { base.accepts } else { accepts },
            ..base.clone()
        }
    }
}

/// The stricter of two duties in every respect; `base` where they cannot be compared.
fn stricter_duty(wanted: &Duty, base: &Duty) -> Duty {
    match (wanted, base) {
        (
            Duty::Recurring { at_least: n, per, distinct_days },
            Duty::Recurring { at_least: m, per: base_per, distinct_days: base_distinct },
        ) if per == base_per => Duty::Recurring {
            at_least: *n.max(m),
            per: *per,
            distinct_days: *distinct_days || *base_distinct,
        },
        (
            Duty::Triggered { on, within, any_match },
            Duty::Triggered { on: base_on, within: base_within, any_match: base_any },
        ) if on == base_on => Duty::Triggered {
            on: *on,
            within: if within_no_longer(*within, *base_within) { *within } else { *base_within },
            any_match: *any_match && *base_any,
        },
        (
            Duty::Seasonal { occasion, lead_days, tail_days },
            Duty::Seasonal { occasion: base_occasion, lead_days: base_lead, tail_days: base_tail },
        ) if occasion == base_occasion => Duty::Seasonal {
            occasion: occasion.clone(),
            lead_days: *lead_days.min(base_lead),
            tail_days: *tail_days.min(base_tail),
        },
        (Duty::Recurring { .. } | Duty::Triggered { .. } | Duty::Seasonal { .. }, _) => base.clone(),
    }
}

/// Every substitute of `changed` is one of `base` for the same tag.
fn substitutes_no_wider(changed: &Standard, base: &Standard) -> bool {
    changed.substitutes.iter().all(|substitute| {
        base.substitutes
            .iter()
            .any(|known| known.tag == substitute.tag && substitute.kinds.is_subset(known.kinds))
    })
}

fn duty_asks_no_less(changed: &Duty, base: &Duty) -> bool {
    match (changed, base) {
        (
            Duty::Recurring { at_least: n, per, distinct_days },
            Duty::Recurring { at_least: m, per: base_per, distinct_days: base_distinct },
        ) => per == base_per && n >= m && (*distinct_days || !base_distinct),
        (
            Duty::Triggered { on, within, any_match },
            Duty::Triggered { on: base_on, within: base_within, any_match: base_any },
        ) => on == base_on && within_no_longer(*within, *base_within) && (!any_match || *base_any),
        (
            Duty::Seasonal { occasion, lead_days, tail_days },
            Duty::Seasonal { occasion: base_occasion, lead_days: base_lead, tail_days: base_tail },
        ) => occasion == base_occasion && lead_days <= base_lead && tail_days <= base_tail,
        (Duty::Recurring { .. } | Duty::Triggered { .. } | Duty::Seasonal { .. }, _) => false,
    }
}

/// Civil days and hours are not comparable: "1 day" ends between 24 and 48 hours after the event.
fn within_no_longer(changed: Within, base: Within) -> bool {
    let minutes = |within: Within| match within {
        Within::Minutes(n) => Some(u64::from(n)),
        Within::Hours(n) => Some(u64::from(n) * 60),
        Within::Days(_) => None,
    };
    match (changed, base) {
        (Within::Days(n), Within::Days(m)) => n <= m,
        (Within::Minutes(_) | Within::Hours(_), Within::Days(m)) => {
            // Shorter for certain: m civil days are never shorter than m × 23 hours, the shortest days there are.
            minutes(changed).is_some_and(|n| n <= u64::from(m) * 23 * 60)
        }
        (Within::Days(_), Within::Minutes(_) | Within::Hours(_)) => false,
        (Within::Minutes(_) | Within::Hours(_), Within::Minutes(_) | Within::Hours(_)) => {
            minutes(changed) <= minutes(base)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{EventKind, Occasion, ServiceKind};
    use crate::standard::{OccasionRef, Period};
    use crate::testing::random::Random;

    #[test]
    fn what_counts_as_stricter() {
        let all = crate::catalogue::standards();
        let base = Standard {
            accepts: KindSet::of(&[ServiceKind::PhoneCall, ServiceKind::VideoCall]),
            ..all.into_iter().find(|s| s.code.as_str() == "clean.area").unwrap()
        };
        let per = |at_least, per, distinct_days| Duty::Recurring { at_least, per, distinct_days };
        let within = |within, any_match| Duty::Triggered { on: EventKind::Discharged, within, any_match };
        let check = |base_duty: &Duty, duty: Duty, expect: Strictness| {
            let base = Standard { duty: base_duty.clone(), ..base.clone() };
            assert_eq!(
                strictness(&Standard { duty: duty.clone(), ..base.clone() }, &base),
                expect,
                "{duty:?}"
            );
        };
        let twice = per(2, Period::Week, false);
        check(&twice, per(2, Period::Week, false), Strictness::Same);
        check(&twice, per(3, Period::Week, false), Strictness::Stricter);
        check(&twice, per(2, Period::Week, true), Strictness::Stricter);
        check(&twice, per(1, Period::Week, false), Strictness::Looser);
        check(&twice, per(9, Period::Day, false), Strictness::Looser);
        check(&twice, per(2, Period::EveryDays(7), false), Strictness::Looser);
        check(&per(2, Period::Week, true), per(3, Period::Week, false), Strictness::Looser);
        let days = within(Within::Days(2), true);
        check(&days, within(Within::Days(1), true), Strictness::Stricter);
        check(&days, within(Within::Days(2), false), Strictness::Stricter);
        check(&days, within(Within::Hours(24), true), Strictness::Stricter);
        check(&days, within(Within::Hours(48), true), Strictness::Looser);
        check(&within(Within::Hours(2), false), within(Within::Minutes(120), false), Strictness::Stricter);
        check(&within(Within::Hours(48), false), within(Within::Days(1), false), Strictness::Looser);
        check(&within(Within::Hours(2), false), within(Within::Hours(2), true), Strictness::Looser);
        let fewer = Standard { accepts: KindSet::of(&[ServiceKind::PhoneCall]), ..base.clone() };
        assert_eq!(strictness(&fewer, &base), Strictness::Stricter);
        assert_eq!(strictness(&base, &fewer), Strictness::Looser);
        let pausable = Standard { pausable: true, ..base.clone() };
        assert_eq!(strictness(&pausable, &base), Strictness::Looser);
        assert_eq!(strictness(&base, &pausable), Strictness::Stricter);
    }

    #[test]
    fn what_can_stand_for_numbers() {
        let base =
            |code: &str| crate::catalogue::standards().into_iter().find(|s| s.code.as_str() == code).unwrap();
        let week = Duty::Recurring { at_least: 9, per: Period::Week, distinct_days: false };
        let weather =
            Duty::Triggered { on: EventKind::ExtremeWeather, within: Within::Hours(1), any_match: true };
        let check = |duty: &Duty, accepts: Option<KindSet>, base: &Standard, expect: Option<&str>| {
            let found = Numbers { duty: duty.clone(), accepts }.check(base);
            assert_eq!(found.err().map(|(field, _)| field), expect, "{duty:?} for {}", base.code);
        };
        let visits = Some(KindSet::of(&[ServiceKind::HomeVisit]));
        check(&week, None, &base("survey.review"), None);
        check(&week, visits, &base("survey.review"), None);
        check(&week, Some(KindSet::EMPTY), &base("survey.review"), Some("accepts"));
        check(&week, None, &base("file.update"), Some("duty"));
        check(&weather, None, &base("file.update"), Some("duty"));
        let record = base("file.record");
        check(&record.duty, None, &record, None);
        check(&record.duty, Some(KindSet::EMPTY), &record, None);
        check(&record.duty, visits, &record, Some("accepts"));
    }

    /// Whatever a layer asks for, and whatever lies beneath it by then: above it nothing is looser, and where the layer
    /// is stricter it binds as it is.
    #[test]
    fn a_stricter_layer_is_never_looser() {
        let mut random = Random::new(0x5712_1c7e);
        let base =
            crate::catalogue::standards().into_iter().find(|s| s.code.as_str() == "clean.area").unwrap();
        let mut seen = [0; 3];
        for _ in 0..20_000 {
            let beneath = any_numbers(&mut random).instead(&base);
            let layer = any_numbers(&mut random);
            let (instead, above) = (layer.instead(&beneath), layer.above(&beneath));
            assert_ne!(strictness(&above, &beneath), Strictness::Looser, "{layer:?} above {beneath:?}");
            match strictness(&instead, &beneath) {
                Strictness::Same => seen[0] += 1,
                Strictness::Stricter if instead.accepts.is_empty() => {}
                Strictness::Stricter => {
                    seen[1] += 1;
                    assert_eq!(above, instead);
                }
                Strictness::Looser => seen[2] += 1,
            }
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }

    fn any_numbers(random: &mut Random) -> Numbers {
        let duty = match random.between(0, 2) {
            0 => Duty::Recurring {
                at_least: random.pick(&[1, 2, 3]),
                per: random.pick(&[Period::Day, Period::Week, Period::EveryDays(7)]),
                distinct_days: random.percent(50),
            },
            1 => Duty::Triggered {
                on: random.pick(&[EventKind::Discharged, EventKind::MajorChange]),
                within: random.pick(&[
                    Within::Minutes(60),
                    Within::Hours(30),
                    Within::Days(1),
                    Within::Days(2),
                ]),
                any_match: random.percent(50),
            },
            _ => Duty::Seasonal {
                occasion: OccasionRef::BuiltIn(random.pick(&[Occasion::DoubleNinth, Occasion::MidAutumn])),
                lead_days: random.pick(&[0, 3, 7]),
                tail_days: random.pick(&[0, 3]),
            },
        };
        let kinds = [ServiceKind::Cleaning, ServiceKind::HomeVisit, ServiceKind::PhoneCall];
        Numbers { duty, accepts: Some(kinds.into_iter().filter(|_| random.percent(60)).collect()) }
    }
}
