//! The scenario tables of the plugins, through the loaded libraries: the same answers as through the SDK's test kit.

use std::fs;
use std::time::Duration;

use linli_core::assessment::Findings;
use linli_core::time::CivilDate;
use linli_plugin_host::tools::scenario;
use linli_plugin_host::{Batch, LoadFailure, Mode, Plugin};
use linli_plugin_sdk::testing::{self, Case};

use crate::build;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Package, folder and id of the plugins that come with a table.
pub(crate) const GROUPS: &[(&str, &str, &str)] = &[
    ("linli-plugin-elderly", "elderly", "cn.linli.elderly"),
    ("linli-plugin-disability", "disability", "cn.linli.disability"),
    ("linli-plugin-children", "children", "cn.linli.children"),
    ("linli-plugin-maternity", "maternity", "cn.linli.maternity"),
    ("linli-plugin-hardship", "hardship", "cn.linli.hardship"),
    ("linli-plugin-military", "military", "cn.linli.military"),
    ("chronic-illness", "examples/chronic-illness", "cn.example.chronic-illness"),
];

fn the_loaded_plugins_agree_with_their_scenarios(mode: Mode) {
    for (package, folder, id) in GROUPS {
        let (library, manifest) = build::group(package, folder);
        let table = fs::read_to_string(manifest.with_file_name("scenarios.txt")).unwrap();
        let registry = build::loaded_in(mode, &format!("{mode:?}-scenarios-{package}"), (library, manifest));
        let plugin = registry.plugin(id).unwrap();
        let cases = testing::parse(&table);
        let at_least = if folder.starts_with("examples/") { 10 } else { 25 };
        assert!(cases.len() >= at_least, "{id}: {}", cases.len());
        let answer = plugin.assess(batch(plugin, &cases), DEADLINE).unwrap();
        assert_eq!((answer.len(), answer.manual()), (cases.len(), [].as_slice()));
        let findings = build::findings(&answer);
        for ((_, row), findings) in answer.rows().zip(&findings) {
            assert!(
                row.says(findings) && (findings == &Findings::default() || !row.says(&Findings::default()))
            );
        }
        let issues = plugin.validate(batch(plugin, &cases), DEADLINE).unwrap();
        let mut wrong = Vec::new();
        for ((case, findings), issues) in cases.iter().zip(&findings).zip(&issues) {
            let found = scenario::lines(findings, issues);
            if found != case.expected {
                wrong.push(format!("{}: {found:#?}, not {:#?}", case.name, case.expected));
            }
        }
        assert!(wrong.is_empty(), "{id}: {}", wrong.join("\n"));
        assert_eq!(plugin.figures().residents, 2 * cases.len() as u64);
    }
}

fn the_plugins_load_side_by_side(mode: Mode) {
    let mut parts = Vec::new();
    for (package, folder, _) in GROUPS {
        let (library, manifest) = build::group(package, folder);
        parts.push((*package, fs::read(library).unwrap(), fs::read_to_string(manifest).unwrap()));
    }
    let parts: Vec<(&str, &[u8], &str)> = parts
        .iter()
        .map(|(name, library, manifest)| (*name, library.as_slice(), manifest.as_str()))
        .collect();
    let registry = build::load_in(mode, build::folder(&format!("{mode:?}-together"), &parts));
    assert_eq!(registry.failures(), &[] as &[LoadFailure]);
    assert_eq!(registry.plugins().len(), GROUPS.len());
}

fn the_place_in_a_batch_does_not_matter(mode: Mode) {
    let registry = build::loaded_in(mode, &format!("{mode:?}-places"), build::elderly());
    let plugin = registry.plugin("cn.linli.elderly").unwrap();
    let mut cases = testing::parse(include_str!("../../../elderly/scenarios.txt"));
    let straight = build::findings(&plugin.assess(batch(plugin, &cases), DEADLINE).unwrap());
    cases.reverse();
    let mut turned = build::findings(&plugin.assess(batch(plugin, &cases), DEADLINE).unwrap());
    turned.reverse();
    assert_eq!(straight, turned);
    // Far more residents than a sink has room for at first.
    let many: Vec<Case> = cases.iter().cycle().take(20_000).cloned().collect();
    let answer = build::findings(&plugin.assess(batch(plugin, &many), DEADLINE).unwrap());
    for (index, findings) in answer.iter().enumerate() {
        assert_eq!(Some(findings), straight.iter().rev().nth(index % cases.len()));
    }
}

pub(crate) fn batch(plugin: &Plugin, cases: &[Case]) -> Batch {
    scenario::batch(plugin, cases).unwrap()
}

pub(crate) fn date(text: &str) -> CivilDate {
    CivilDate::from_days(linli_plugin_sdk::Date::parse(text).unwrap().days()).unwrap()
}

build::in_both_modes!(
    the_loaded_plugins_agree_with_their_scenarios,
    the_plugins_load_side_by_side,
    the_place_in_a_batch_does_not_matter
);
