//! Which of two versions of a promise asks for more. Stricter is free for a site override or a care plan; looser
//! needs a leader's approval, a reason and an end date.

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
    use crate::kind::{EventKind, KindSet, ServiceKind};
    use crate::standard::Period;

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
}
