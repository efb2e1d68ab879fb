//! Memberships, 纳入: a resident in a care group for an interval, with basis, evidence and reason.

use crate::assessment::{FoundMembership, PluginStamp};
use crate::id::{FieldCode, GroupCode, MembershipId, ReasonCode, ResidentId, SiteId};
use crate::kind::closed_list;
use crate::resident::Fact;
use crate::text::Line;
use crate::time::{CivilDate, Instant, SiteZone};

closed_list! {
    /// Why somebody is a member.
    Basis {
        /// A plugin's rule over the facts.
        Rule = "rule", "规则判定", "rule";
        /// The resident or a member of staff declared it.
        Declared = "declared", "本人申报", "declared";
        /// A certificate was seen.
        Certificate = "certificate", "证件核验", "certificate";
    }
}

/// A resident's membership in one care group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// Its id.
    pub id: MembershipId,
    /// The group.
    pub group: GroupCode,
    /// Why.
    pub basis: Basis,
    /// The reason of the plugin's table, for memberships by rule.
    pub reason: Option<ReasonCode>,
    /// What was seen or said, for the others.
    pub evidence: Option<Line>,
    /// The first day: the later of the day the fact became true and the day it was recorded.
    pub start: CivilDate,
    /// The first day that no longer counts; an end known in advance takes effect by itself.
    pub end: Option<CivilDate>,
    /// A rule no longer finds the person in the group: duties run until staff confirm.
    pub proposed_exit: Option<ProposedExit>,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A proposal to end a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedExit {
    /// The first day that would no longer count.
    pub on: CivilDate,
    /// Why the rule no longer finds the person in the group.
    pub why: ExitCause,
    /// When it was proposed.
    pub proposed_at: Instant,
}

closed_list! {
    /// Why a membership may have ended.
    ExitCause {
        /// A fact changed.
        FactChanged = "fact_changed", "信息变更", "a fact changed";
        /// A certificate expired.
        CertificateExpired = "certificate_expired", "证件到期", "a certificate expired";
        /// A new version of the plugin decides otherwise.
        RuleChanged = "rule_changed", "规则更新", "the rule changed";
    }
}

impl Membership {
    /// Whether it counts on a day.
    pub fn holds_on(&self, day: CivilDate) -> bool {
        self.start <= day && self.end.is_none_or(|end| day < end)
    }
}

/// What one plugin found about one resident, beside what was known before.
#[derive(Debug, Clone, Copy)]
pub struct Reassessment<'a> {
    /// What it found.
    pub found: &'a [FoundMembership],
    /// The groups that it decides.
    pub groups: &'a [GroupCode],
    /// The resident's memberships, of any group and basis.
    pub existing: &'a [Membership],
    /// The latest facts of the fields that it reads.
    pub facts: &'a [Fact],
    /// The fields whose recording ends duties at once, by its manifest.
    pub ends_at_once: &'a [FieldCode],
    /// When the care file was opened: common fields count as recorded then.
    pub file_opened_at: Instant,
    /// The plugin and time of its assessment before this one.
    pub previous: Option<(&'a PluginStamp, Instant)>,
    /// Until when that assessment was valid, where it said so.
    pub previous_valid_until: Option<CivilDate>,
    /// When the site's parameters for the plugin last changed (care clock); `None` where they never did.
    pub parameters_at: Option<Instant>,
    /// The plugin now.
    pub plugin: &'a PluginStamp,
    /// When it answered (care clock).
    pub assessed_at: Instant,
    /// The site's zone.
    pub zone: SiteZone,
}

/// A change of a resident's memberships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipChange {
    /// A new membership by rule.
    Start {
        /// The group.
        group: GroupCode,
        /// Why.
        reason: ReasonCode,
        /// The first day: the latest of the day the fact became true, the day it was recorded and the day from which
        /// the rule held.
        start: CivilDate,
        /// The first day that no longer counts, where it is known in advance.
        end: Option<CivilDate>,
    },
    /// The end known in advance is another.
    ChangeEnd {
        /// The membership.
        id: MembershipId,
        /// The first day that no longer counts.
        end: Option<CivilDate>,
    },
    /// The rule no longer finds the membership: staff are asked.
    ProposeExit {
        /// The membership.
        id: MembershipId,
        /// What they are asked.
        exit: ProposedExit,
    },
    /// The rule finds it again: nobody is asked any more.
    WithdrawExit {
        /// The membership.
        id: MembershipId,
    },
    /// A fact that ends duties at once was recorded.
    EndAtOnce {
        /// The membership.
        id: MembershipId,
        /// The first day that no longer counts.
        end: CivilDate,
    },
}

/// The changes that an assessment makes, in order of group. Memberships that were declared or certified are left
/// alone, and the date of the run decides nothing.
pub fn merge(assessment: &Reassessment<'_>) -> Vec<MembershipChange> {
    let today = assessment.zone.date_of(assessment.assessed_at);
    let mut groups: Vec<&GroupCode> = assessment.groups.iter().collect();
    groups.sort_unstable();
    groups.dedup();
    let mut changes = Vec::new();
    for group in groups {
        // A rule may find a group for several reasons; the earliest start and the latest end bind.
        let found = assessment.found.iter().filter(|found| found.group == *group);
        let by_rule = assessment.existing.iter().filter(|m| m.basis == Basis::Rule && m.group == *group);
        let latest = by_rule.max_by_key(|m| (m.start, m.recorded_at));
        let running = latest.filter(|m| m.end.is_none_or(|end| end > today));
        match (Found::union(found), running) {
            (Some(found), Some(membership)) => {
                if membership.proposed_exit.is_some() {
                    changes.push(MembershipChange::WithdrawExit { id: membership.id.clone() });
                }
                if membership.end != found.until {
                    let id = membership.id.clone();
                    changes.push(MembershipChange::ChangeEnd { id, end: found.until });
                }
            }
            (Some(found), None) => {
                let over = latest.and_then(|m| m.end).unwrap_or(CivilDate::MIN);
                // What the rule says of its facts already counts from their recording; where it says nothing, the last
                // recording of anything it reads does. Nothing was known before the file was.
                let opened = assessment.zone.date_of(assessment.file_opened_at);
                let known = found.since.unwrap_or_else(|| recorded_on(assessment));
                let start = known.max(opened).max(over).max(rule_held_from(assessment, today));
                if found.until.is_none_or(|until| until > start) {
                    let (group, reason, end) = (group.clone(), found.reason.clone(), found.until);
                    changes.push(MembershipChange::Start { group, reason, start, end });
                }
            }
            (None, Some(membership)) => changes.extend(exit(assessment, membership, today)),
            (None, None) => {}
        }
    }
    changes
}

/// What a rule found of one group.
struct Found<'a> {
    reason: &'a ReasonCode,
    since: Option<CivilDate>,
    until: Option<CivilDate>,
}

impl<'a> Found<'a> {
    fn union(found: impl Iterator<Item = &'a FoundMembership>) -> Option<Self> {
        found.fold(None, |union: Option<Self>, one| match union {
            None => Some(Self { reason: &one.reason, since: one.since, until: one.until }),
            Some(union) => Some(Self {
                reason: union.reason,
                since: union.since.zip(one.since).map(|(a, b)| a.min(b)),
                until: union.until.zip(one.until).map(|(a, b)| a.max(b)),
            }),
        })
    }
}

/// The first day on which the rule as it stands was asked about the resident: today for a plugin or version that never
/// was, the day of their change for parameters. Nobody gets missed weeks for what no rule said.
fn rule_held_from(assessment: &Reassessment<'_>, today: CivilDate) -> CivilDate {
    match assessment.previous {
        Some((plugin, before)) if plugin == assessment.plugin => {
            let changed = assessment.parameters_at.filter(|at| *at > before);
            changed.map_or(CivilDate::MIN, |at| assessment.zone.date_of(at))
        }
        Some(_) | None => today,
    }
}

/// The day on which the last of the facts that decided was recorded.
fn recorded_on(assessment: &Reassessment<'_>) -> CivilDate {
    let facts = assessment.facts.iter().map(|fact| fact.recorded_at);
    let last = facts.filter(|at| *at <= assessment.assessed_at).fold(assessment.file_opened_at, Instant::max);
    assessment.zone.date_of(last)
}

fn exit(
    assessment: &Reassessment<'_>,
    membership: &Membership,
    today: CivilDate,
) -> Option<MembershipChange> {
    let id = membership.id.clone();
    let since = |fact: &&Fact| fact.recorded_at >= membership.recorded_at;
    let ending = assessment.facts.iter().filter(since).filter(|f| assessment.ends_at_once.contains(&f.field));
    if let Some(recorded_at) = ending.map(|fact| fact.recorded_at).min() {
        let end = assessment.zone.date_of(recorded_at).max(membership.start);
        return Some(MembershipChange::EndAtOnce { id, end });
    }
    if membership.proposed_exit.is_some() {
        return None;
    }
    let why = match assessment.previous {
        Some((plugin, _)) if plugin != assessment.plugin => ExitCause::RuleChanged,
        Some((_, before)) if assessment.facts.iter().any(|fact| fact.recorded_at > before) => {
            ExitCause::FactChanged
        }
        Some((_, before)) if assessment.parameters_at.is_some_and(|at| at > before) => ExitCause::RuleChanged,
        Some(_) if assessment.previous_valid_until.is_some_and(|until| until <= today) => {
            ExitCause::CertificateExpired
        }
        Some(_) | None => ExitCause::FactChanged,
    };
    let exit = ProposedExit { on: today, why, proposed_at: assessment.assessed_at };
    Some(MembershipChange::ProposeExit { id, exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn noon(text: &str) -> Instant {
        SiteZone::SHANGHAI.at(day(text), 12, 0)
    }

    fn membership(start: &str, end: Option<&str>, basis: Basis) -> Membership {
        Membership {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("r").unwrap(),
            id: MembershipId::new("m").unwrap(),
            group: GroupCode::new("advanced_age").unwrap(),
            basis,
            reason: None,
            evidence: None,
            start: day(start),
            end: end.map(day),
            proposed_exit: None,
            recorded_at: noon(start),
            version: 1,
        }
    }

    fn stamp(version: &str) -> PluginStamp {
        let id = crate::id::PluginId::new("cn.linli.elderly").unwrap();
        PluginStamp { id, version: version.to_owned(), digest: String::new() }
    }

    /// Assessed on 2026-03-16; `facts` are fields with the day of their recording, `before` is the day of the
    /// assessment before by plugin version 1.
    fn changes(
        found: &[(Option<&str>, Option<&str>)],
        existing: &[Membership],
        facts: &[(&str, &str)],
        before: Option<&str>,
        version: &str,
    ) -> Vec<MembershipChange> {
        changes_by((None, None), found, existing, facts, before, version)
    }

    /// As [`changes`], with the day until which the assessment before was valid and the day on which parameters changed.
    fn changes_by(
        (valid_until, parameters): (Option<&str>, Option<&str>),
        found: &[(Option<&str>, Option<&str>)],
        existing: &[Membership],
        facts: &[(&str, &str)],
        before: Option<&str>,
        version: &str,
    ) -> Vec<MembershipChange> {
        let group = GroupCode::new("advanced_age").unwrap();
        let found: Vec<FoundMembership> = found
            .iter()
            .map(|(since, until)| FoundMembership {
                group: group.clone(),
                reason: ReasonCode::new("age").unwrap(),
                since: since.map(day),
                until: until.map(day),
            })
            .collect();
        let facts: Vec<Fact> = facts
            .iter()
            .map(|(field, recorded)| Fact {
                field: FieldCode::new(field).unwrap(),
                value: None,
                true_from: day(recorded),
                recorded_at: noon(recorded),
            })
            .collect();
        let (old, new) = (stamp("1.0.0"), stamp(version));
        merge(&Reassessment {
            found: &found,
            groups: &[group],
            existing,
            facts: &facts,
            ends_at_once: &[FieldCode::new("pregnancy_ended").unwrap()],
            file_opened_at: noon("2026-01-05"),
            previous: before.map(|before| (&old, noon(before))),
            previous_valid_until: valid_until.map(day),
            parameters_at: parameters.map(noon),
            plugin: &new,
            assessed_at: noon("2026-03-16"),
            zone: SiteZone::SHANGHAI,
        })
    }

    fn start(start: &str, end: Option<&str>) -> MembershipChange {
        let group = GroupCode::new("advanced_age").unwrap();
        let reason = ReasonCode::new("age").unwrap();
        MembershipChange::Start { group, reason, start: day(start), end: end.map(day) }
    }

    fn propose(why: ExitCause) -> MembershipChange {
        let exit = ProposedExit { on: day("2026-03-16"), why, proposed_at: noon("2026-03-16") };
        MembershipChange::ProposeExit { id: MembershipId::new("m").unwrap(), exit }
    }

    #[test]
    fn starts() {
        let check =
            |found: (Option<&str>, Option<&str>), facts: &[(&str, &str)], expect: &[MembershipChange]| {
                assert_eq!(
                    changes(&[found], &[], facts, Some("2026-03-01"), "1.0.0"),
                    expect,
                    "{found:?} {facts:?}"
                );
            };
        // Nothing was known before the file was opened; a later fact that did not decide changes nothing.
        check((Some("2020-05-01"), None), &[("lives_alone", "2026-02-01")], &[start("2026-01-05", None)]);
        check((Some("2020-05-01"), None), &[], &[start("2026-01-05", None)]);
        // A rule that does not say since when: nobody gets missed weeks for what nobody knew.
        check((None, None), &[("lives_alone", "2026-02-01")], &[start("2026-02-01", None)]);
        // A birthday after everything was recorded; the run is late, which changes nothing.
        check((Some("2026-02-10"), None), &[("lives_alone", "2026-02-01")], &[start("2026-02-10", None)]);
        check((None, Some("2027-01-01")), &[], &[start("2026-01-05", Some("2027-01-01"))]);
        check((None, Some("2026-01-05")), &[], &[]);
    }

    #[test]
    fn a_rule_starts_nothing_before_it_held() {
        let found = [(Some("2026-01-20"), None)];
        let check = |before: Option<&str>, version: &str, parameters: Option<&str>, expect: &str| {
            let changes = changes_by((None, parameters), &found, &[], &[], before, version);
            assert_eq!(changes, [start(expect, None)], "{before:?} {version} {parameters:?}");
        };
        let before = Some("2026-03-01");
        check(before, "1.0.0", None, "2026-01-20");
        // The plugin came later than the file, or in a new version: from today.
        check(None, "1.0.0", None, "2026-03-16");
        check(before, "1.1.0", None, "2026-03-16");
        // Parameters that changed since the last assessment count from their change, older ones were already asked.
        check(before, "1.0.0", Some("2026-03-10"), "2026-03-10");
        check(before, "1.0.0", Some("2026-02-10"), "2026-01-20");
        // A membership that runs is not touched.
        let running = [membership("2026-01-10", None, Basis::Rule)];
        assert_eq!(changes_by((None, Some("2026-03-10")), &found, &running, &[], before, "1.1.0"), []);
    }

    #[test]
    fn exits_say_what_changed() {
        let rule = [membership("2026-01-10", None, Basis::Rule)];
        let check = |valid_until: Option<&str>, parameters: Option<&str>, fact: &str, why: ExitCause| {
            let by = (valid_until, parameters);
            let changes = changes_by(by, &[], &rule, &[("lives_alone", fact)], Some("2026-03-01"), "1.0.0");
            assert_eq!(changes, [propose(why)], "{valid_until:?} {parameters:?} {fact}");
        };
        check(Some("2026-03-16"), None, "2026-02-10", ExitCause::CertificateExpired);
        check(Some("2026-03-17"), None, "2026-02-10", ExitCause::FactChanged);
        check(None, None, "2026-02-10", ExitCause::FactChanged);
        check(Some("2026-03-10"), None, "2026-03-10", ExitCause::FactChanged);
        check(None, Some("2026-03-10"), "2026-02-10", ExitCause::RuleChanged);
    }

    #[test]
    fn ends() {
        let rule = membership("2026-01-10", None, Basis::Rule);
        let id = rule.id.clone();
        let check =
            |existing: &Membership, facts: &[(&str, &str)], version: &str, expect: &[MembershipChange]| {
                let found = changes(&[], std::slice::from_ref(existing), facts, Some("2026-03-01"), version);
                assert_eq!(found, expect, "{facts:?} {version}");
            };
        check(&rule, &[("lives_alone", "2026-03-10")], "1.0.0", &[propose(ExitCause::FactChanged)]);
        check(&rule, &[("lives_alone", "2026-02-10")], "1.1.0", &[propose(ExitCause::RuleChanged)]);
        let at_once = MembershipChange::EndAtOnce { id: id.clone(), end: day("2026-03-10") };
        check(&rule, &[("pregnancy_ended", "2026-03-10")], "1.0.0", &[at_once]);
        check(&membership("2026-01-10", None, Basis::Declared), &[], "1.0.0", &[]);
        check(&membership("2026-01-10", None, Basis::Certificate), &[], "1.0.0", &[]);
        check(&membership("2026-01-10", Some("2026-03-16"), Basis::Rule), &[], "1.0.0", &[]);
        let MembershipChange::ProposeExit { exit, .. } = propose(ExitCause::FactChanged) else { return };
        let asked = Membership { proposed_exit: Some(exit), ..rule.clone() };
        check(&asked, &[("lives_alone", "2026-03-10")], "1.0.0", &[]);
        // Found again.
        let again = changes(&[(None, None)], &[asked], &[], Some("2026-03-01"), "1.0.0");
        assert_eq!(again, [MembershipChange::WithdrawExit { id: id.clone() }]);
        let moved = changes(&[(None, Some("2026-09-01"))], &[rule], &[], Some("2026-03-01"), "1.0.0");
        assert_eq!(moved, [MembershipChange::ChangeEnd { id, end: Some(day("2026-09-01")) }]);
        // A membership that was over begins anew, not before it ended.
        let over = membership("2026-01-10", Some("2026-02-20"), Basis::Rule);
        assert_eq!(
            changes(&[(None, None)], &[over], &[], Some("2026-03-01"), "1.0.0"),
            [start("2026-02-20", None)]
        );
    }
}
