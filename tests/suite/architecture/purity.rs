//! Core does no I/O, reads no clock, draws no randomness, is sync and never panics.

use super::Violation;
use super::scan::{Source, production};

/// Paths that core's code may not name: (path, reason).
const BANNED: &[(&[&str], &str)] = &[
    (&["std", "fs"], IO),
    (&["std", "io"], IO),
    (&["std", "net"], IO),
    (&["std", "os"], IO),
    (&["std", "env"], "core reads no environment: what matters comes in as an argument"),
    (&["std", "process"], IO),
    (&["std", "thread"], "core is sync and starts nothing"),
    (&["std", "time", "SystemTime"], CLOCK),
    (&["std", "time", "Instant"], CLOCK),
    (&["std", "time", "UNIX_EPOCH"], CLOCK),
    (&["chrono", "Local"], CLOCK),
];

const IO: &str = "core does no I/O";
const CLOCK: &str = "core reads no clock: the instant comes in as an argument";

/// Words that core's code may not contain: (word, what must follow, reason).
const WORDS: &[(&str, &str, &str)] = &[
    ("async", "", "core is sync"),
    ("await", "", "core is sync"),
    ("panic", "!", "core never panics on any input"),
    ("unreachable", "!", "core never panics on any input: make the state unrepresentable"),
    ("println", "!", IO),
    ("thread_local", "!", "core keeps no state of its own"),
];

/// Everything about the sources under `core/`, tests left out.
pub(super) fn core(sources: &[Source]) -> Vec<Violation> {
    let core = sources.iter().filter(|source| source.path.starts_with("core/"));
    let mut violations = Vec::new();
    for source in production(core) {
        if source.path == "core/src/lib.rs" && !forbids_unsafe(&source) {
            let reason = "core has no unsafe code, and no module may lift that";
            let what = "`#![forbid(unsafe_code)]` is missing";
            violations.push(Violation::new(&source.path, 0, what, reason));
        }
        for (name, line) in source.names() {
            for (banned, reason) in BANNED {
                if name.len() >= banned.len() && name.iter().zip(*banned).all(|(one, other)| one == other) {
                    let what = format!("`{}` in core", name.join("::"));
                    violations.push(Violation::new(&source.path, line, what, reason));
                }
            }
        }
        for (index, token) in source.tokens.iter().enumerate() {
            for (word, after, reason) in WORDS {
                if token.text == *word && (after.is_empty() || source.is_at(index + 1, &[after])) {
                    let what = format!("`{word}{after}` in core");
                    violations.push(Violation::new(&source.path, token.line, what, reason));
                }
            }
        }
    }
    violations
}

fn forbids_unsafe(source: &Source) -> bool {
    (0..source.tokens.len())
        .any(|index| source.is_at(index, &["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"]))
}

#[test]
fn an_impure_core_is_found() {
    let sources: Vec<Source> = [
        ("core/src/lib.rs", "// #![forbid(unsafe_code)]\nuse std::{collections::BTreeMap, fs::File};"),
        ("core/src/time.rs", "use std::time::{Duration, Instant as I};\nlet e = std::env::var(\"x\");"),
        (
            "core/src/event.rs",
            "async fn f() { panic!(\"no\") }\n#[cfg(test)] mod tests { fn g() { panic!() } }",
        ),
        ("core/tests/all.rs", "use std::fs; fn g() { panic!() }"),
        ("service/src/lib.rs", "use std::fs;"),
    ]
    .iter()
    .map(|(path, text)| Source::new(path, text))
    .collect();
    super::found(
        core(&sources),
        &[
            "core/src/event.rs:1: `async` in core",
            "core/src/event.rs:1: `panic!` in core",
            "core/src/lib.rs:0: `#![forbid(unsafe_code)]` is missing",
            "core/src/lib.rs:2: `std::fs::File` in core",
            "core/src/time.rs:1: `std::time::Instant` in core",
            "core/src/time.rs:2: `std::env::var` in core",
        ],
    );
}
