//! `check`: every rule is shown to be broken by a plugin that breaks it and nothing else, and kept by those that keep it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use linli_plugin_host::tools::check::rules;

use crate::build;

const MANIFEST: &str = include_str!("broken.toml");
const SCENARIOS: &str = include_str!("broken-scenarios.txt");
const CONNECTOR: &str = include_str!("broken_connector.toml");

/// The folder of the plugin in C that breaks the rules of these definitions.
fn folder(name: &str, definitions: &[String]) -> PathBuf {
    let folder = build::scratch(&format!("check-{name}"));
    build::compile("broken.c", &folder, MANIFEST, definitions);
    fs::write(folder.join("plugin.toml"), MANIFEST).unwrap();
    fs::write(folder.join("scenarios.txt"), SCENARIOS).unwrap();
    folder
}

/// The folder of the connector in C that breaks the rules of these definitions.
fn connector(name: &str, definitions: &[String]) -> PathBuf {
    let folder = build::scratch(&format!("check-connector-{name}"));
    build::compile("broken_connector.c", &folder, CONNECTOR, definitions);
    fs::write(folder.join("plugin.toml"), CONNECTOR).unwrap();
    folder
}

/// Checks in processes of the example `check`: its exit code, its output, and the rules that it says are broken.
pub(crate) fn check(folder: &Path) -> (i32, String, Vec<String>) {
    let output =
        Command::new(build::example("check")).args(["--seed", "20260316", "--quick"]).arg(folder).output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let broken = text.lines().filter_map(|line| line.strip_prefix("  BROKEN  "));
    let broken = broken.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    (output.status.code().unwrap(), text, broken)
}

/// Rules whose broken plugin is not made by a definition of that name.
const OTHERWISE: &[&str] = &["library", "manifest", "embedded", "scenarios"];

#[test]
fn a_plugin_that_keeps_every_rule_passes() {
    let (code, text, broken) = check(&folder("kept", &[]));
    assert_eq!((code, broken.as_slice()), (0, [].as_slice()), "{text}");
    assert!(!text.contains("not looked at: "), "{text}");
    assert!(text.contains("0 broken") && text.contains("seed 20260316"), "{text}");
}

#[test]
fn each_rule_is_broken_by_the_plugin_that_breaks_it_and_by_no_other() {
    let rules = rules::ALL.iter().filter(|rule| !OTHERWISE.contains(&rule.id));
    let (rules, wrong) = (&Mutex::new(rules), &Mutex::new(String::new()));
    // A few at a time: most of the time is spent starting processes.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(rule) = { rules.lock().unwrap().next() } {
                    let definition = format!("-DBREAK_{}", rule.id.to_uppercase());
                    let (code, text, broken) = check(&folder(rule.id, &[definition]));
                    if code != 1 || broken != [rule.id] || !text.contains(rule.help) {
                        let outcome = format!("{}: exit code {code}, broken {broken:?}\n{text}\n", rule.id);
                        wrong.lock().unwrap().push_str(&outcome);
                    }
                }
            });
        }
    });
    assert_eq!(*wrong.lock().unwrap(), "");
}

#[test]
fn a_connector_that_keeps_every_rule_passes() {
    let (code, text, broken) = check(&connector("kept", &[]));
    assert_eq!((code, broken.as_slice()), (0, [].as_slice()), "{text}");
    assert!(!text.contains("not looked at: ") && text.contains("hosted_apart"), "{text}");
    assert!(!text.contains("sink"), "rules of residents are none of its: {text}");
}

#[test]
fn each_rule_of_connectors_is_broken_by_the_one_that_breaks_it_and_by_no_other() {
    // What breaks it breaks nothing else first: a plugin that the host does not accept keeps no other rule either.
    let otherwise = ["hosted"];
    let rules = rules::CONNECTOR.iter().filter(|rule| !otherwise.contains(&rule.id));
    let (rules, wrong) = (&Mutex::new(rules), &Mutex::new(String::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(rule) = { rules.lock().unwrap().next() } {
                    let definition = format!("-DBREAK_{}", rule.id.to_uppercase());
                    let (code, text, broken) = check(&connector(rule.id, &[definition]));
                    if code != 1 || broken != [rule.id] || !text.contains(rule.help) {
                        let outcome = format!("{}: exit code {code}, broken {broken:?}\n{text}\n", rule.id);
                        wrong.lock().unwrap().push_str(&outcome);
                    }
                }
            });
        }
    });
    assert_eq!(*wrong.lock().unwrap(), "");
}

#[test]
fn what_is_broken_is_said_with_its_place() {
    let expect = |definition: &str, rule: &str, words: &str| {
        let (_, text, broken) = check(&folder(&definition.to_lowercase(), &[format!("-D{definition}")]));
        assert_eq!(broken, [rule], "{text}");
        assert!(text.contains(words), "`{words}` in {text}");
    };
    expect("BREAK_WILD", "wild", "the process ended with SIGABRT");
    expect("BREAK_EXIT", "large", "it ended the process with exit code 0");
    expect("BREAK_OUTPUT", "system", "the system call `write`");
    expect("BREAK_READ_ONLY", "read_only", "SIGSEGV");
    expect("BREAK_DESCRIBE_TIME", "describe_time", "take 15");
    expect("BREAK_SINCE", "since", "lies after today");
}

#[test]
fn files_that_do_not_belong_together_are_found() {
    let kept = folder("files", &[]);
    let library = fs::read(kept.join("libplugin.so")).unwrap();
    let with = |name: &str, library: &[u8], manifest: &str, scenarios: &str| {
        let folder = build::scratch(&format!("check-{name}"));
        fs::write(folder.join("libplugin.so"), library).unwrap();
        fs::write(folder.join("plugin.toml"), manifest).unwrap();
        fs::write(folder.join("scenarios.txt"), scenarios).unwrap();
        check(&folder)
    };
    let cut = with("cut", &library[..library.len() / 2], MANIFEST, SCENARIOS);
    assert_eq!(cut.2, ["library"], "{}", cut.1);
    assert!(cut.1.contains("its headers speak of"), "{}", cut.1);
    let wrong = with("ill-formed", &library, &MANIFEST.replace("[[tag]]", "[[label]]"), SCENARIOS);
    assert_eq!(wrong.2, ["manifest"], "{}", wrong.1);
    let other = with("other", &library, &MANIFEST.replace("0.1.0", "0.2.0"), SCENARIOS);
    assert_eq!(other.2, ["embedded"], "{}", other.1);
    assert!(other.1.contains("first at line 3"), "{}", other.1);
    let table = with("table", &library, MANIFEST, &SCENARIOS.replace("number 12", "number -12"));
    assert_eq!(table.2, ["scenarios"], "{}", table.1);
    assert!(
        table.1.contains("line 6, `above the limit`: expected, not found: tag many: said"),
        "{}",
        table.1
    );
}

#[test]
fn rules_have_ids_of_their_own_and_need_earlier_ones() {
    let mut seen = BTreeSet::new();
    for rule in rules::ALL.iter().chain(rules::CONNECTOR) {
        assert!(rule.needs.iter().all(|needed| seen.contains(needed)), "{}", rule.id);
        assert!(seen.insert(rule.id), "{} twice", rule.id);
    }
    assert!(OTHERWISE.iter().all(|id| seen.contains(id)));
}
