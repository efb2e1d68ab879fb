//! The architecture's invariants, held by reading `cargo metadata`, the manifests and the sources.
//!
//! Each check is a function from data (paths, texts, packages) to violations, so that beside the
//! test over the real tree a second one can plant a fault and see it found. A violation names file,
//! line, what is wrong and why the rule exists; to change a rule, change its table here and its
//! line in the code map.

mod bans;
mod edges;
mod layout;
mod names;
mod purity;
mod scan;
mod text;
mod tree;

use std::fmt;

use tree::Tree;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Path from the root of the workspace.
    path: String,
    /// From 1; 0 where the file as a whole is meant.
    line: usize,
    /// What is wrong.
    what: String,
    /// Why the rule exists.
    reason: String,
}

impl Violation {
    fn new(path: &str, line: usize, what: impl Into<String>, reason: &str) -> Self {
        Self { path: path.into(), line, what: what.into(), reason: reason.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {} ({})", self.path, self.line, self.what, self.reason)
    }
}

/// Fails with all violations at once, sorted.
#[track_caller]
fn none(mut violations: Vec<Violation>) {
    violations.sort();
    violations.dedup();
    let list: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
    assert!(list.is_empty(), "{} broken rules:\n{}", list.len(), list.join("\n"));
}

/// Holds a planted fault against a check: exactly these `path:line: what` must come out.
#[track_caller]
fn found(mut violations: Vec<Violation>, expect: &[&str]) {
    violations.sort();
    let lines: Vec<String> =
        violations.iter().map(|found| format!("{}:{}: {}", found.path, found.line, found.what)).collect();
    assert_eq!(lines, expect);
    assert!(violations.iter().all(|violation| !violation.reason.is_empty()), "a rule without its reason");
}

#[test]
fn the_tree_is_read_in_full() {
    // A check over nothing would pass: the least that must be there.
    let tree = Tree::read();
    let crates =
        ["linli-core", "linli-proto", "linli-plugin-host", "linli-store", "linli-service", "linli-tests"];
    for name in crates {
        assert!(tree.packages.iter().any(|package| package.name == name), "`{name}` is not in the metadata");
    }
    assert!(tree.sources.len() > 20, "only {} sources", tree.sources.len());
    assert!(tree.sources.iter().any(|source| source.path == "tests/suite/architecture.rs"));
    assert!(tree.text("Cargo.lock").contains("[[package]]"));
}

#[test]
fn crates_depend_one_way() {
    let tree = Tree::read();
    none(edges::between_crates(&tree.packages));
}

#[test]
fn third_parties_stay_where_they_belong() {
    let tree = Tree::read();
    none(edges::third_parties(&tree.packages));
}

#[test]
fn everything_core_links_is_on_the_list() {
    none(edges::core_closure(&tree::cargo(&[
        "tree",
        "-p",
        "linli-core",
        "-e",
        "normal",
        "--prefix",
        "none",
    ])));
}

#[test]
fn banned_and_outdated_packages_are_absent() {
    let linked = tree::cargo(&["tree", "--workspace", "-e", "normal,build", "--prefix", "none"]);
    none(bans::in_tree(&linked));
    none(bans::sources_in_lock(&Tree::read().text("Cargo.lock")));
}

#[test]
fn each_name_is_used_by_its_owner_only() {
    none(names::owners(&Tree::read().sources));
}

#[test]
fn use_cases_know_no_transport() {
    none(names::transport_free(&Tree::read().sources));
}

#[test]
fn errors_become_a_status_in_one_place() {
    none(names::one_status(&Tree::read().sources));
}

#[test]
fn unsafe_code_lives_in_the_plugin_boundary_only() {
    none(names::unsafe_code(&Tree::read().sources));
}

#[test]
fn a_lifted_clippy_ban_says_why() {
    none(names::lifted_bans(&Tree::read().sources));
}

#[test]
fn core_is_pure() {
    none(purity::core(&Tree::read().sources));
}

#[test]
fn the_top_level_is_fixed() {
    let tree = Tree::read();
    let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    none(layout::top_level(&paths));
}

#[test]
fn resources_have_the_same_stem_in_every_layer() {
    let tree = Tree::read();
    let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    none(layout::stems(&paths));
}

#[test]
fn manifests_inherit_lints_and_release_checks_overflow() {
    let tree = Tree::read();
    none(layout::lints(&tree.packages));
    none(layout::root_manifest(&tree.text("Cargo.toml")));
}

#[test]
fn clippy_bans_are_all_there_each_with_its_reason() {
    none(layout::clippy_bans(&Tree::read().text("clippy.toml")));
}

#[test]
fn there_is_one_integration_binary() {
    none(layout::integration_binaries(&Tree::read().packages));
}

#[test]
fn each_source_opens_with_what_it_is_for() {
    none(text::opening(&Tree::read().files));
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let tree = Tree::read();
    none(text::leftovers(&tree.files, &tree.sources));
}

#[test]
fn files_name_no_machine_and_no_registry() {
    none(text::places(&Tree::read().files));
}
