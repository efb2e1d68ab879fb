//! Applied standards: which version of which standard holds for a subject on which days.
//!
//! Versions of one code form a [`Timeline`], shared by all subjects of a site. Memberships, tiers and tags cut it
//! into the [`Applied`] standards of one subject. What reaches the engine are resolved numbers, days and waivers.

mod timeline;

use std::sync::Arc;

pub use self::timeline::{Timeline, VersionSpan};
use crate::assessment::Attention;
use crate::id::{StandardCode, SubjectKind, TagCode};
use crate::kind::{KindSet, Tier, closed_list};
use crate::membership::Membership;
use crate::request::RequestTraits;
use crate::resident::Resident;
use crate::site::AreaKind;
use crate::standard::Standard;
use crate::stricter::Numbers;
use crate::time::{CivilDate, DateRange, Instant};

/// One standard as it applies to one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub(crate) spans: Vec<AppliedSpan>,
    /// Days on which the subject has waived it, or its care plan leaves it out.
    pub waivers: Vec<Waiver>,
}

/// Days on which one version of a standard applies to a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedSpan {
    /// The days.
    pub days: DateRange,
    /// The version.
    pub standard: Arc<Standard>,
    /// The kinds accepted beside the standard's own, by the subject's tags.
    pub substitutes: KindSet,
    /// The days within which windows lie.
    pub clip: DateRange,
    /// The first day of the contiguous days on which the standard applies: where `EveryDays` windows are anchored.
    pub anchor: CivilDate,
}

impl Applied {
    /// A standard that applies in one version on these days.
    pub fn one(standard: Arc<Standard>, days: DateRange) -> Self {
        let clip = DateRange::new(CivilDate::MIN, CivilDate::MAX);
        Self::new(vec![AppliedSpan {
            days,
            standard,
            substitutes: KindSet::EMPTY,
            clip,
            anchor: days.start(),
        }])
    }

    /// From spans in any order: sorted, cut where they overlap (the earlier one holds), anchored.
    // INVARIANT: spans are sorted, not empty and do not overlap; the engine relies on it.
    pub fn new(mut spans: Vec<AppliedSpan>) -> Self {
        spans.sort_by_key(|span| (span.days.start(), span.days.end()));
        let mut end = CivilDate::MIN;
        for span in &mut spans {
            span.days = DateRange::new(span.days.start().max(end), span.days.end());
            end = end.max(span.days.end());
        }
        spans.retain(|span| !span.days.is_empty());
        let mut before: Option<(CivilDate, CivilDate)> = None;
        for span in &mut spans {
            span.anchor = match before {
                Some((end, anchor)) if end == span.days.start() => anchor,
                Some(_) | None => span.days.start(),
            };
            before = Some((span.days.end(), span.anchor));
        }
        Self { spans, waivers: Vec::new() }
    }

    /// With waivers.
    #[must_use]
    pub fn with_waivers(mut self, waivers: Vec<Waiver>) -> Self {
        self.waivers = waivers;
        self
    }

    /// The spans, in order of time, without overlap.
    pub fn spans(&self) -> &[AppliedSpan] {
        &self.spans
    }

    /// As the care plans of its subject adjust it, from the earliest on: what a later one says of the standard holds before
    /// what an earlier one says. A plan never asks for less than what lies beneath it.
    #[must_use]
    pub fn planned<'a>(self, plans: impl IntoIterator<Item = (DateRange, &'a Numbers)>) -> Self {
        let mut spans = self.spans;
        for (days, numbers) in plans {
            let mut next = Vec::with_capacity(spans.len() + 2);
            for span in spans {
                let within = span.days.intersect(days);
                if within.is_empty() {
                    next.push(span);
                    continue;
                }
                let planned = Arc::new(numbers.above(&span.standard));
                let part = |days, standard: &Arc<Standard>| AppliedSpan {
                    days,
                    standard: Arc::clone(standard),
                    ..span.clone()
                };
                next.push(part(DateRange::new(span.days.start(), within.start()), &span.standard));
                next.push(part(within, &planned));
                next.push(part(DateRange::new(within.end(), span.days.end()), &span.standard));
            }
            spans = next;
        }
        Self::new(spans).with_waivers(self.waivers)
    }

    /// The standard's code; `None` where it applies on no day.
    pub fn code(&self) -> Option<&StandardCode> {
        self.spans.first().map(|span| &span.standard.code)
    }
}

closed_list! {
    /// Why a standard is not carried out for somebody.
    WaiverCause {
        /// The person declined the service.
        Refused = "refused", "本人婉拒", "declined by the person";
        /// An approved care plan leaves it out.
        Plan = "plan", "关怀方案调整", "left out by the care plan";
    }
}

/// Days on which a standard is waived for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The standard.
    pub standard: StandardCode,
    /// The days.
    pub days: DateRange,
    /// Why.
    pub cause: WaiverCause,
    /// When it was recorded (care clock); before that it excuses nothing.
    pub recorded_at: Instant,
}

/// What decides which standards apply to a resident.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Memberships, past ones included.
    pub memberships: &'a [Membership],
    /// Tier and tags over time; before the first entry the tier is general and there is no tag.
    pub attention: &'a [Attention],
    /// Waivers of any standard.
    pub waivers: &'a [Waiver],
    /// The days of the care file.
    pub tenure: &'a [DateRange],
}

/// The days on which duties towards a resident run: the tenure, up to but without the day of death.
pub fn days_in_care(resident: &Resident) -> DateRange {
    let days = resident.tenure.days();
    match resident.died_on {
        Some(died) => DateRange::new(days.start(), days.end().min(died)),
        None => days,
    }
}

/// The standards that apply to a resident, as known at `now`; standards that never apply are left out.
pub fn applied_to_resident(timelines: &[Timeline], standing: &Standing<'_>, now: Instant) -> Vec<Applied> {
    let attention = attention_spans(standing.attention);
    let applied = timelines.iter().filter_map(|timeline| {
        let spans = spans_of(timeline, |span| {
            if span.standard.subject != SubjectKind::Resident {
                return Vec::new();
            }
            matching(&span.standard, standing, &attention, span.days, now)
        });
        let applied = Applied::new(spans);
        let code = applied.code()?;
        let waivers = standing.waivers.iter().filter(|w| w.standard == *code).cloned().collect();
        Some(applied.with_waivers(waivers))
    });
    applied.collect()
}

/// A dwelling, area, facility, request or site, for which standards are asked.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What it is.
    pub kind: SubjectKind,
    /// For areas: which kind.
    pub area: Option<AreaKind>,
    /// For requests: of what sort.
    pub request: Option<RequestTraits>,
    /// The days on which it exists: from its registration.
    pub exists: DateRange,
    /// Who lives or lived in it (dwelling) or in the buildings it serves (area), each with the days in care *there*
    /// ([`crate::resident::days_lived`]), or whom it is about (request): they may flag it.
    pub residents: &'a [Standing<'a>],
}

/// The standards that apply to a place, as known at `now`. A place is flagged while a resident in it matches; who it
/// is does not show.
pub fn applied_to_place(timelines: &[Timeline], place: &Place<'_>, now: Instant) -> Vec<Applied> {
    let attention: Vec<_> = place.residents.iter().map(|r| attention_spans(r.attention)).collect();
    let applied = timelines.iter().filter_map(|timeline| {
        let spans = spans_of(timeline, |span| {
            let selector = &span.standard.applies_to;
            let kind_fits = span.standard.subject == place.kind
                && among(&selector.area_kinds, place.area)
                && among(&selector.request_kinds, place.request.map(|request| request.kind))
                && among(&selector.request_urgencies, place.request.map(|request| request.urgency));
            let days = span.days.intersect(place.exists);
            if !kind_fits || days.is_empty() {
                Vec::new()
            } else if selector.flagged {
                let flagging = place.residents.iter().zip(&attention).flat_map(|(resident, attention)| {
                    let matching = matching(&span.standard, resident, attention, days, now);
                    matching.into_iter().flat_map(|(days, _)| {
                        resident.tenure.iter().map(move |tenure| (days.intersect(*tenure), KindSet::EMPTY))
                    })
                });
                flagging.filter(|(days, _)| !days.is_empty()).collect()
            } else {
                vec![(days, KindSet::EMPTY)]
            }
        });
        let applied = Applied::new(spans);
        applied.code().is_some().then_some(applied)
    });
    applied.collect()
}

/// Whether something is one of those that are meant, where any are named.
fn among<T: PartialEq>(meant: &[T], found: Option<T>) -> bool {
    meant.is_empty() || found.is_some_and(|found| meant.contains(&found))
}

/// Cuts a timeline to the days that `select` finds for each version; overlapping and adjacent days are joined.
fn spans_of(
    timeline: &Timeline,
    select: impl Fn(&VersionSpan) -> Vec<(DateRange, KindSet)>,
) -> Vec<AppliedSpan> {
    let mut spans = Vec::new();
    for version in timeline.spans() {
        for (days, substitutes) in join(select(version)) {
            spans.push(AppliedSpan {
                days,
                standard: Arc::clone(&version.standard),
                substitutes,
                clip: version.clip,
                anchor: days.start(),
            });
        }
    }
    spans
}

/// Joins overlapping days, and adjacent ones with the same substitutes.
fn join(mut found: Vec<(DateRange, KindSet)>) -> Vec<(DateRange, KindSet)> {
    found.sort_by_key(|(days, _)| (days.start(), days.end()));
    let mut joined: Vec<(DateRange, KindSet)> = Vec::with_capacity(found.len());
    for (days, substitutes) in found {
        match joined.last_mut() {
            Some((last, kinds)) if days.start() <= last.end() && *kinds == substitutes => {
                *last = DateRange::new(last.start(), last.end().max(days.end()));
            }
            Some(_) | None => joined.push((days, substitutes)),
        }
    }
    joined
}

/// The days within `range` on which a resident matches a standard's selector, with the substitutes of their tags.
fn matching(
    standard: &Standard,
    standing: &Standing<'_>,
    attention: &[(DateRange, Tier, &[TagCode])],
    range: DateRange,
    now: Instant,
) -> Vec<(DateRange, KindSet)> {
    let selector = &standard.applies_to;
    let member_days: Vec<DateRange> = if selector.any_group.is_empty() {
        vec![range]
    } else {
        let held = standing
            .memberships
            .iter()
            .filter(|m| m.recorded_at <= now && selector.any_group.contains(&m.group));
        let days = held.map(|m| {
            (DateRange::new(m.start, m.end.unwrap_or(CivilDate::MAX)).intersect(range), KindSet::EMPTY)
        });
        let days = days.filter(|(days, _)| !days.is_empty()).collect();
        join(days).into_iter().map(|(days, _)| days).collect()
    };
    let mut found = Vec::new();
    if member_days.is_empty() {
        return found;
    }
    for (days, tier, tags) in attention {
        let fits = selector.min_tier.is_none_or(|least| *tier >= least)
            && selector.max_tier.is_none_or(|most| *tier <= most)
            && selector.tags.iter().all(|tag| tags.contains(tag));
        if !fits {
            continue;
        }
        let substitutes = standard.substitutes.iter().filter(|s| tags.contains(&s.tag));
        let kinds = substitutes.fold(KindSet::EMPTY, |kinds, s| kinds.union(s.kinds));
        for member in &member_days {
            let both = member.intersect(*days);
            if !both.is_empty() {
                found.push((both, kinds));
            }
        }
    }
    found
}

/// Tier and tags as spans over all days.
fn attention_spans(attention: &[Attention]) -> Vec<(DateRange, Tier, &[TagCode])> {
    let mut sorted: Vec<&Attention> = attention.iter().collect();
    sorted.sort_by_key(|entry| entry.from);
    let first = sorted.first().map_or(CivilDate::MAX, |entry| entry.from);
    let mut spans: Vec<(DateRange, Tier, &[TagCode])> =
        vec![(DateRange::new(CivilDate::MIN, first), Tier::General, &[])];
    for (position, entry) in sorted.iter().enumerate() {
        let end = sorted.get(position + 1).map_or(CivilDate::MAX, |next| next.from);
        spans.push((DateRange::new(entry.from, end), entry.tier, &entry.tags));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{GroupCode, MembershipId, ResidentId, SiteId};
    use crate::membership::Basis;
    use crate::standard::{Origin, Selector};
    use crate::time::SiteZone;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn days(from: &str, to: &str) -> DateRange {
        DateRange::new(day(from), day(to))
    }

    fn built_in(code: &str) -> Standard {
        crate::catalogue::standards().into_iter().find(|s| s.code.as_str() == code).unwrap()
    }

    fn member(group: &str, start: &str, end: Option<&str>) -> Membership {
        Membership {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("r").unwrap(),
            id: MembershipId::new("m").unwrap(),
            group: GroupCode::new(group).unwrap(),
            basis: Basis::Rule,
            reason: None,
            evidence: None,
            start: day(start),
            end: end.map(day),
            proposed_exit: None,
            recorded_at: Instant::MIN,
            version: 1,
        }
    }

    fn found(applied: &[Applied]) -> Vec<(u32, DateRange)> {
        let spans = applied.iter().flat_map(Applied::spans);
        spans.map(|span| (span.standard.version, span.days)).collect()
    }

    #[test]
    fn groups_and_tiers_select_days() {
        let standard = Standard {
            applies_to: Selector {
                any_group: vec![GroupCode::new("a").unwrap(), GroupCode::new("b").unwrap()],
                min_tier: Some(Tier::Key),
                ..Selector::default()
            },
            ..built_in("survey.review")
        };
        let timelines = Timeline::of_site(&[Arc::new(standard)], &SiteId::new("s").unwrap());
        let attention = [
            Attention { from: day("2026-02-01"), tier: Tier::High, tags: Vec::new() },
            Attention { from: day("2026-06-01"), tier: Tier::General, tags: Vec::new() },
        ];
        let check = |memberships: &[Membership], expect: &[(u32, DateRange)]| {
            let standing = Standing { memberships, attention: &attention, waivers: &[], tenure: &[] };
            assert_eq!(found(&applied_to_resident(&timelines, &standing, Instant::MAX)), expect);
        };
        check(&[], &[]);
        check(&[member("c", "2026-01-01", None)], &[]);
        // One interval, though two groups lead to it one after the other.
        check(
            &[member("b", "2026-03-01", None), member("a", "2026-01-01", Some("2026-03-01"))],
            &[(1, days("2026-02-01", "2026-06-01"))],
        );
        check(
            &[member("a", "2026-01-01", Some("2026-03-01")), member("a", "2026-04-01", Some("2026-05-01"))],
            &[(1, days("2026-02-01", "2026-03-01")), (1, days("2026-04-01", "2026-05-01"))],
        );
        let unknown = Membership { recorded_at: Instant::MAX, ..member("a", "2026-01-01", None) };
        let standing = Standing { memberships: &[unknown], attention: &attention, waivers: &[], tenure: &[] };
        let now = SiteZone::SHANGHAI.at(day("2026-05-01"), 9, 0);
        assert_eq!(found(&applied_to_resident(&timelines, &standing, now)), []);
    }

    #[test]
    fn an_override_of_the_site_holds_while_it_lasts() {
        let base = built_in("facility.inspect");
        let own = |site: &str| Standard {
            version: 9,
            origin: Origin::SiteOverride,
            effective: days("2026-03-01", "2026-04-01"),
            applies_to: Selector { site: Some(SiteId::new(site).unwrap()), ..Selector::default() },
            ..base.clone()
        };
        let check = |own: Standard, expect: &[u32]| {
            let standards = [Arc::new(base.clone()), Arc::new(own)];
            let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
            let versions: Vec<u32> = timelines[0].spans().iter().map(|span| span.standard.version).collect();
            assert_eq!(versions, expect);
        };
        check(own("s"), &[1, 9, 1]);
        check(own("t"), &[1]);
    }

    #[test]
    fn a_version_that_is_replaced_before_its_first_window_never_counts() {
        let version = |version, from: &str, to: &str| {
            Arc::new(Standard { version, effective: days(from, to), ..built_in("clean.area") })
        };
        let standards = [
            version(1, "2026-01-05", "2026-03-17"),
            version(2, "2026-03-17", "2026-03-19"),
            version(3, "2026-03-19", "2026-12-28"),
        ];
        let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
        assert_eq!(timelines[0].takes_effect(2), None);
        assert_eq!(timelines[0].takes_effect(3), Some(day("2026-03-23")));
    }

    #[test]
    fn places_are_flagged_while_a_resident_matches() {
        let standards: Vec<Arc<Standard>> =
            ["home.safety.high", "survey.full", "patrol.night", "passage.check"]
                .into_iter()
                .map(|code| Arc::new(built_in(code)))
                .collect();
        let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
        let exists = DateRange::from(day("2026-01-01"));
        let high = [Attention { from: day("2026-02-01"), tier: Tier::High, tags: Vec::new() }];
        let tenure = [days("2025-01-01", "2026-05-01")];
        let other = [days("2026-04-01", "2026-06-01")];
        let residents = [
            Standing { memberships: &[], attention: &high, waivers: &[], tenure: &tenure },
            Standing { memberships: &[], attention: &[], waivers: &[], tenure: &other },
        ];
        let check = |place: Place<'_>, expect: &[(&str, DateRange)]| {
            let applied = applied_to_place(&timelines, &place, Instant::MAX);
            let spans = applied.iter().flat_map(Applied::spans);
            let shown: Vec<(&str, DateRange)> =
                spans.map(|span| (span.standard.code.as_str(), span.days)).collect();
            assert_eq!(shown, expect, "{:?}", place.kind);
        };
        let place = |kind, area, residents| Place { kind, area, request: None, exists, residents };
        check(
            place(SubjectKind::Dwelling, None, &residents),
            &[("home.safety.high", days("2026-02-01", "2026-05-01")), ("survey.full", exists)],
        );
        check(place(SubjectKind::Dwelling, None, &[]), &[("survey.full", exists)]);
        // Two residents one after the other flag one interval.
        check(
            place(SubjectKind::Area, Some(AreaKind::Building), &residents),
            &[("patrol.night", days("2026-01-01", "2026-06-01"))],
        );
        check(place(SubjectKind::Area, Some(AreaKind::Passage), &[]), &[("passage.check", exists)]);
    }

    #[test]
    fn a_request_has_the_clocks_of_its_kind_and_urgency() {
        use crate::request::{RequestKind, RequestUrgency};
        let standards: Vec<Arc<Standard>> = crate::catalogue::standards().into_iter().map(Arc::new).collect();
        let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
        let exists = DateRange::from(day("2026-03-16"));
        let check = |kind, urgency, about: &[Standing<'_>], expect: &str| {
            let request = Some(RequestTraits { kind, urgency });
            let place = Place { kind: SubjectKind::Request, area: None, request, exists, residents: about };
            let applied = applied_to_place(&timelines, &place, Instant::MAX);
            let codes: Vec<&str> =
                applied.iter().filter_map(Applied::code).map(StandardCode::as_str).collect();
            assert_eq!(codes.join(" "), expect, "{kind:?} {urgency:?}");
        };
        check(
            RequestKind::Repair,
            RequestUrgency::Routine,
            &[],
            "request.accept request.arrive.repair request.finish.repair request.follow_up request.review",
        );
        check(
            RequestKind::ErrandMedicine,
            RequestUrgency::Priority,
            &[],
            "request.accept.priority request.arrive.errand.priority request.finish.errand.priority \
             request.follow_up.priority request.review",
        );
        let emergency = "request.accept.emergency request.arrive.emergency request.finish.emergency \
                         request.follow_up.emergency request.review request.told.authority";
        check(
            RequestKind::Emergency,
            RequestUrgency::Emergency,
            &[],
            &format!("{emergency} request.told.supervisor"),
        );
        // There is family to be told where it is about somebody.
        let tenure = [DateRange::from(day("2020-01-01"))];
        let about = Standing { memberships: &[], attention: &[], waivers: &[], tenure: &tenure };
        check(
            RequestKind::Emergency,
            RequestUrgency::Emergency,
            &[about],
            &format!("{emergency} request.told.family request.told.supervisor"),
        );
    }
}
