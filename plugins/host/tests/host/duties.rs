//! From facts to duties without a service: what the loaded plugins find in the cases of their tables, core merges into
//! memberships and attention, and those select the standards that are owed.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use linli_core::applied::{Applied, Standing, Timeline, applied_to_resident};
use linli_core::assessment::{Findings, merge_attention};
use linli_core::calendar::SiteCalendar;
use linli_core::id::{GroupCode, MembershipId, RecordId, ResidentId, SiteId, Subject, SubjectKind};
use linli_core::kind::{ServiceKind, Tier};
use linli_core::membership::{Basis, Membership, MembershipChange, Reassessment, merge};
use linli_core::obligation::{self, Case as Owed};
use linli_core::record::{Outcome, SubjectRecord};
use linli_core::standard::Standard;
use linli_core::time::{CivilDate, DateRange, SiteZone};
use linli_plugin_host::{Plugin, Registry};
use linli_plugin_sdk::testing::{self, Case};

use crate::build;
use crate::scenarios::{DEADLINE, GROUPS, batch, date};

const ZONE: SiteZone = SiteZone::SHANGHAI;

/// A resident as core sees them once plugins have answered.
#[derive(Default)]
struct Seen {
    memberships: Vec<Membership>,
    findings: Vec<Findings>,
}

impl Seen {
    /// Adds what a plugin found on a day on which the file was opened.
    fn add(&mut self, plugin: &Plugin, findings: Findings, today: CivilDate) {
        let noon = ZONE.at(today, 12, 0);
        let groups: Vec<GroupCode> =
            plugin.manifest().groups.iter().map(|group| group.code.clone()).collect();
        let steps = merge(&Reassessment {
            found: &findings.memberships,
            groups: &groups,
            existing: &[],
            facts: &[],
            ends_at_once: &plugin.manifest().ends_at_once,
            file_opened_at: noon,
            previous: None,
            previous_valid_until: None,
            parameters_at: None,
            plugin: plugin.stamp(),
            assessed_at: noon,
            zone: ZONE,
        });
        for step in steps {
            let MembershipChange::Start { group, reason, start, end } = step else {
                panic!("a first assessment only begins memberships: {step:?}")
            };
            assert_eq!(start, today, "nobody knew before");
            let number = self.memberships.len();
            self.memberships.push(Membership {
                site: SiteId::new("s").unwrap(),
                resident: ResidentId::new("r").unwrap(),
                id: MembershipId::new(&format!("m{number}")).unwrap(),
                group,
                basis: Basis::Rule,
                reason: Some(reason),
                evidence: None,
                start,
                end,
                proposed_exit: None,
                recorded_at: noon,
                version: 1,
            });
        }
        self.findings.push(findings);
    }

    /// The standards that apply, as known on a day.
    fn applied(&self, standards: &[Arc<Standard>], today: CivilDate) -> Vec<Applied> {
        let attention: Vec<_> = merge_attention(None, &self.findings, today).next.into_iter().collect();
        let tenure = [DateRange::from(today.plus_days(-700))];
        let standing =
            Standing { memberships: &self.memberships, attention: &attention, waivers: &[], tenure: &tenure };
        let timelines = Timeline::of_site(standards, &SiteId::new("s").unwrap());
        applied_to_resident(&timelines, &standing, ZONE.at(today, 12, 0))
    }
}

fn standards(registry: &Registry) -> Vec<Arc<Standard>> {
    registry.standards().cloned().map(Arc::new).collect()
}

/// Codes of what applies on a day.
fn on(applied: &[Applied], day: CivilDate) -> BTreeSet<String> {
    let in_force = applied.iter().filter(|one| one.spans().iter().any(|span| span.days.contains(day)));
    in_force.filter_map(|one| Some(one.code()?.as_str().to_owned())).collect()
}

/// Codes of the standards whose selector fits what a table expects.
fn selected(case: &Case, standards: &[Arc<Standard>]) -> BTreeSet<String> {
    let of = |kind: &str| -> BTreeSet<String> {
        let lines = case.expected.iter().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        lines.map(|rest| rest.split([' ', ':']).next().unwrap().to_owned()).collect()
    };
    let (groups, tags) = (of("member"), of("tag"));
    let tier = of("tier").iter().map(|tier| Tier::from_code(tier).unwrap()).fold(Tier::General, Tier::max);
    let fits = |standard: &&Arc<Standard>| {
        let selector = &standard.applies_to;
        standard.subject == SubjectKind::Resident
            && (selector.any_group.is_empty()
                || selector.any_group.iter().any(|g| groups.contains(g.as_str())))
            && selector.min_tier.is_none_or(|least| tier >= least)
            && selector.max_tier.is_none_or(|most| tier <= most)
            && selector.tags.iter().all(|tag| tags.contains(tag.as_str()))
    };
    standards.iter().filter(fits).map(|standard| standard.code.as_str().to_owned()).collect()
}

#[test]
fn every_case_owes_what_its_table_selects() {
    let mut compared = 0;
    for (package, folder, id) in GROUPS {
        let (library, manifest) = build::group(package, folder);
        let table = fs::read_to_string(manifest.with_file_name("scenarios.txt")).unwrap();
        let registry = build::loaded(&format!("duties-{package}"), (library, manifest));
        let plugin = registry.plugin(id).unwrap();
        let cases = testing::parse(&table);
        let found = build::findings(&plugin.assess(batch(plugin, &cases), DEADLINE).unwrap());
        let standards = standards(&registry);
        for (case, findings) in cases.iter().zip(found) {
            let today = date(&case.today);
            let mut seen = Seen::default();
            seen.add(plugin, findings, today);
            let applied = on(&seen.applied(&standards, today), today);
            assert_eq!(applied, selected(case, &standards), "{id}, line {}: {}", case.line, case.name);
            compared += applied.len();
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn one_visit_serves_every_group_and_the_strictest_cadence_binds() {
    let folders: Vec<(&str, Vec<u8>, String)> = GROUPS
        .iter()
        .filter(|(_, folder, _)| ["elderly", "disability", "hardship"].contains(folder))
        .map(|(package, folder, _)| {
            let (library, manifest) = build::group(package, folder);
            (*package, fs::read(library).unwrap(), fs::read_to_string(manifest).unwrap())
        })
        .collect();
    let parts: Vec<(&str, &[u8], &str)> =
        folders.iter().map(|(name, library, text)| (*name, library.as_slice(), text.as_str())).collect();
    let registry = build::load(build::folder("duties-together", &parts));
    let facts = [
        ("cn.linli.elderly", "birth_date 1940-05-01\n  lives_alone yes"),
        ("cn.linli.disability", "birth_date 1940-05-01\n  disability_category limb\n  disability_grade 1"),
        (
            "cn.linli.hardship",
            "hardship_class subsistence_allowance\n  hardship_certificate_seen yes\n  hardship_checked_on 2026-04-06",
        ),
    ];
    let today = date("2026-04-06"); // a Monday near the beginning of a quarter
    let standards = standards(&registry);
    let (mut together, mut union) = (Seen::default(), BTreeSet::new());
    for (id, facts) in facts {
        let plugin = registry.plugin(id).unwrap();
        let cases = testing::parse(&format!("case all\n  today 2026-04-06\n  {facts}\n"));
        let found = build::findings(&plugin.assess(batch(plugin, &cases), DEADLINE).unwrap());
        let mut alone = Seen::default();
        alone.add(plugin, found[0].clone(), today);
        union.extend(on(&alone.applied(&standards, today), today));
        together.add(plugin, found[0].clone(), today);
    }
    let applied = together.applied(&standards, today);
    // Every standard of each group; and errands, which the limbs' grade brings to an elder by the tag for mobility.
    union.insert("elder.errand".to_owned());
    assert_eq!(on(&applied, today), union);

    let visit = SubjectRecord {
        id: RecordId::new("visit").unwrap(),
        kind: ServiceKind::HomeVisit,
        occurred_at: ZONE.at(today, 10, 0),
        recorded_at: ZONE.at(today, 11, 0),
        outcome: Outcome::Done,
        answers: Vec::new(),
        voided_at: None,
    };
    let subject = Subject::Resident(ResidentId::new("r").unwrap());
    let (calendar, tenure) = (SiteCalendar::new(ZONE), [DateRange::from(today.plus_days(-700))]);
    let owed = |records: &[SubjectRecord], day: CivilDate| -> Vec<String> {
        let case = Owed {
            subject: &subject,
            applied: &applied,
            records,
            events: &[],
            pauses: &[],
            tenure: &tenure,
            calendar: &calendar,
        };
        let range = DateRange::new(day, day.plus_days(1));
        let found = obligation::obligations(&case, range, ZONE.at(day, 12, 0)).unwrap();
        let visits = found.iter().filter(|one| one.standard.accepts.contains(ServiceKind::HomeVisit));
        visits.map(|one| format!("{} {}/{}", one.standard.code, one.credited, one.required)).collect()
    };
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        owed(&[], today),
        lines(&[
            "disability.visit 0/1",
            "disability.visit.key 0/1",
            "elder.floor 0/1",
            "elder.visit 0/1",
            "hardship.visit 0/1"
        ])
    );
    let records = [visit];
    assert_eq!(
        owed(&records, today),
        lines(&[
            "disability.visit 1/1",
            "disability.visit.key 1/1",
            "elder.floor 1/1",
            "elder.visit 1/1",
            "hardship.visit 1/1"
        ])
    );
    // A week later only the weekly visit is owed again.
    assert_eq!(
        owed(&records, today.plus_days(7)),
        lines(&[
            "disability.visit 1/1",
            "disability.visit.key 1/1",
            "elder.floor 1/1",
            "elder.visit 0/1",
            "hardship.visit 1/1"
        ])
    );
}
