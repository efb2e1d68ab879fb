//! The authority's monthly visit rate, 探访率: of the elders in special difficulty, how many were visited in a month.
//!
//! Source: 民发〔2022〕73号, which asks for a rate of 100 percent, visits being calls at home, by telephone or by video. In scope
//! is who carries the tag of the notice's six classes; the standard `elder.floor` asks for the same contact of the same people,
//! so that nobody reports anything a second time.

use super::publish::percent_shown;
use crate::assessment::Attention;
use crate::fund::CELL_MIN_PEOPLE;
use crate::kind::{KindSet, ServiceKind};
use crate::pause::Pause;
use crate::record::{Outcome, SubjectRecord};
use crate::time::{DateRange, Instant, SiteZone};

/// The tag of the six classes of the notice.
pub const VISIT_TAG: &str = "special_difficulty";
/// What counts as a visit.
pub const VISIT_KINDS: KindSet =
    KindSet::of(&[ServiceKind::HomeVisit, ServiceKind::PhoneCall, ServiceKind::VideoCall]);

/// How many of those in scope were visited in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitRate {
    /// Residents in scope on a day of the month.
    pub residents: u64,
    /// Of these, those who were reached at least once in the month.
    pub visited: u64,
    /// Of these, those who were not, and were away on every day: in hospital, say. The rate makes no exception for them.
    pub away: u64,
}

/// What is known of one resident.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Tier and tags over time.
    pub attention: &'a [Attention],
    /// The days in care.
    pub tenure: &'a [DateRange],
    /// Records, of the month at least.
    pub records: &'a [SubjectRecord],
    /// Pauses.
    pub pauses: &'a [Pause],
}

impl Person<'_> {
    /// The days on which the resident was in scope.
    fn in_scope(&self, days: DateRange) -> Vec<DateRange> {
        let mut timeline: Vec<&Attention> = self.attention.iter().collect();
        timeline.sort_by_key(|entry| entry.from);
        let ends = timeline.iter().skip(1).map(|entry| Some(entry.from)).chain([None]);
        let tagged =
            timeline.iter().zip(ends).filter(|(entry, _)| entry.tags.iter().any(|t| t.as_str() == VISIT_TAG));
        let tagged = tagged.map(|(entry, end)| match end {
            Some(end) => DateRange::new(entry.from, end),
            None => DateRange::from(entry.from),
        });
        let within = tagged.flat_map(|tagged| self.tenure.iter().map(move |tenure| tenure.intersect(tagged)));
        within.map(|found| found.intersect(days)).filter(|found| !found.is_empty()).collect()
    }

    fn was_visited(&self, days: DateRange, zone: SiteZone, now: Instant) -> bool {
        self.records.iter().any(|record| {
            VISIT_KINDS.contains(record.kind)
                && record.outcome == Outcome::Done
                && record.recorded_at <= now
                && record.voided_at.is_none_or(|voided| voided > now)
                && days.contains(zone.date_of(record.occurred_at))
        })
    }
}

impl VisitRate {
    /// Counts a resident, as known at `now`: days that have not come yet bring nobody into scope.
    pub fn add(&mut self, person: &Person<'_>, month: DateRange, zone: SiteZone, now: Instant) {
        let past = DateRange::new(month.start(), month.end().min(zone.date_of(now).plus_days(1)));
        let in_scope = person.in_scope(past);
        if in_scope.is_empty() {
            return;
        }
        self.residents += 1;
        if person.was_visited(month, zone, now) {
            self.visited += 1;
        } else {
            let pauses: Vec<DateRange> = person.pauses.iter().map(|pause| pause.days(now)).collect();
            let mut days = in_scope.iter().flat_map(|days| days.days());
            self.away += u64::from(days.all(|day| pauses.iter().any(|pause| pause.contains(day))));
        }
    }

    /// The rate as others may see it; `None` where it is about too few.
    pub fn published(&self) -> Option<PublishedRate> {
        let smallest = u64::try_from(CELL_MIN_PEOPLE).unwrap_or(u64::MAX);
        if self.residents < smallest {
            return None;
        }
        let residents_at_least = self.residents - self.residents % smallest;
        percent_shown(self.visited, self.residents)
            .map(|percent| PublishedRate { residents_at_least, percent })
    }
}

/// A visit rate as it is published. Steps of five people and whole percents tell neither how many were missed nor, from one month
/// to the next, that one person came into scope or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedRate {
    /// Residents in scope, rounded down to a multiple of five.
    pub residents_at_least: u64,
    /// The share of those who were visited, in whole percent, rounded down: 100 means everybody.
    pub percent: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PauseId, RecordId, ResidentId, SiteId, TagCode};
    use crate::kind::Tier;
    use crate::pause::PauseReason;
    use crate::time::CivilDate;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn at(text: &str) -> Instant {
        SiteZone::SHANGHAI.at(day(text), 10, 0)
    }

    fn tagged(from: &str, tag: Option<&str>) -> Attention {
        let tags = tag.into_iter().map(|tag| TagCode::new(tag).unwrap()).collect();
        Attention { from: day(from), tier: Tier::Key, tags }
    }

    fn record(kind: ServiceKind, on: &str, recorded: &str, outcome: Outcome) -> SubjectRecord {
        SubjectRecord {
            id: RecordId::new("r").unwrap(),
            kind,
            occurred_at: at(on),
            recorded_at: at(recorded),
            outcome,
            answers: Vec::new(),
            voided_at: None,
        }
    }

    #[test]
    fn who_is_in_scope_and_who_was_visited() {
        let since_ever = [DateRange::from(day("2020-01-01"))];
        let all = [tagged("2026-01-01", Some(VISIT_TAG))];
        let check = |attention: &[Attention],
                     tenure: &[DateRange],
                     records: &[SubjectRecord],
                     pauses: &[Pause],
                     expect| {
            let mut rate = VisitRate::default();
            let person = Person { attention, tenure, records, pauses };
            let march = DateRange::new(day("2026-03-01"), day("2026-04-01"));
            rate.add(&person, march, SiteZone::SHANGHAI, at("2026-03-30"));
            assert_eq!((rate.residents, rate.visited, rate.away), expect);
        };
        use Outcome::{Done, NotReached};
        use ServiceKind::{HomeVisit, PhoneCall, SafetyCheck, VideoCall};
        let done = |kind| [record(kind, "2026-03-10", "2026-03-10", Done)];
        check(&all, &since_ever, &[], &[], (1, 0, 0));
        for kind in [HomeVisit, PhoneCall, VideoCall] {
            check(&all, &since_ever, &done(kind), &[], (1, 1, 0));
        }
        // Neither another service, nor a try, nor what is not known yet, nor another month.
        check(&all, &since_ever, &done(SafetyCheck), &[], (1, 0, 0));
        check(
            &all,
            &since_ever,
            &[record(HomeVisit, "2026-03-10", "2026-03-10", NotReached)],
            &[],
            (1, 0, 0),
        );
        check(&all, &since_ever, &[record(HomeVisit, "2026-03-10", "2026-03-31", Done)], &[], (1, 0, 0));
        check(&all, &since_ever, &[record(HomeVisit, "2026-02-28", "2026-02-28", Done)], &[], (1, 0, 0));
        let voided = SubjectRecord { voided_at: Some(at("2026-03-11")), ..done(HomeVisit)[0].clone() };
        check(&all, &since_ever, &[voided], &[], (1, 0, 0));
        // In scope are those who have the tag and are in care on a day that has come.
        check(&[tagged("2026-01-01", None)], &since_ever, &done(HomeVisit), &[], (0, 0, 0));
        check(&[], &since_ever, &[], &[], (0, 0, 0));
        check(&[tagged("2026-03-31", Some(VISIT_TAG))], &since_ever, &[], &[], (0, 0, 0));
        let lost = [tagged("2026-01-01", Some(VISIT_TAG)), tagged("2026-03-01", None)];
        check(&lost, &since_ever, &[], &[], (0, 0, 0));
        let gone = [DateRange::new(day("2020-01-01"), day("2026-03-01"))];
        check(&all, &gone, &[], &[], (0, 0, 0));
        // Away all the time, and nearly so.
        let pause = |left: &str| Pause {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("r").unwrap(),
            id: PauseId::new("p").unwrap(),
            reason: PauseReason::Hospital,
            remark: None,
            left_on: day(left),
            expected_return: day("2026-05-01"),
            recorded_at: at("2026-03-01"),
            ended: None,
            confirmed_at: None,
            version: 1,
        };
        check(&all, &since_ever, &[], &[pause("2026-02-20")], (1, 0, 1));
        check(&all, &since_ever, &[], &[pause("2026-03-01")], (1, 0, 0));
        check(&all, &since_ever, &done(PhoneCall), &[pause("2026-02-20")], (1, 1, 0));
    }

    #[test]
    fn what_is_published_gives_nobody_away() {
        let check = |residents, visited, expect: Option<(u64, u8)>| {
            let shown = VisitRate { residents, visited, away: 0 }.published();
            assert_eq!(
                shown.map(|shown| (shown.residents_at_least, shown.percent)),
                expect,
                "{visited}/{residents}"
            );
        };
        check(0, 0, None);
        check(4, 4, None);
        check(5, 5, Some((5, 100)));
        check(48, 47, Some((45, 97)));
        check(49, 49, Some((45, 100)));
        check(300, 299, Some((300, 99)));
    }
}
