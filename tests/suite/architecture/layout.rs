//! Where things lie: the top level, one file stem per resource, manifests and tool configuration.

use super::Violation;
use super::tree::{Package, line_of};

/// The visible top level.
const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "core", "plugins", "proto", "service", "tests"];

/// The API's resources, and the stem that their files share.
const RESOURCES: &[&str] = &[
    "activity",
    "admin",
    "audit",
    "care_plan",
    "catalog",
    "change_event",
    "compliance",
    "fund",
    "facility",
    "consent",
    "community",
    "obligation",
    "plugin",
    "record",
    "request",
    "resident",
    "site",
    "staff",
    "survey",
];

/// The layers in which a resource has a file of its own: (layer, where, what may follow the stem).
/// The stem stands for `{}`; a folder of that name counts as the file.
const LAYERS: &[(&str, &str)] = &[
    ("the API", "proto/linli/v1/{}"),
    ("the use cases", "service/src/app/{}"),
    ("the handlers", "service/src/grpc/{}"),
    ("the suite", "tests/suite/{}"),
];

/// Methods that clippy must refuse, because each has one place where it is right.
const CLIPPY_BANS: &[&str] = &[
    "std::time::SystemTime::now",
    "chrono::Utc::now",
    "chrono::Local::now",
    "uuid::Uuid::now_v7",
    "uuid::Uuid::new_v4",
    "getrandom::fill",
    "sea_orm::TransactionTrait::begin",
    "sea_orm::TransactionTrait::begin_with_config",
    "sea_orm::TransactionTrait::begin_with_options",
    "sea_orm::TransactionTrait::transaction",
    "std::env::set_var",
];

/// Lints that the workspace must deny.
const DENIED: &[(&str, &str)] = &[
    ("rust", "unsafe_code"),
    ("rust", "missing_docs"),
    ("clippy", "unwrap_used"),
    ("clippy", "indexing_slicing"),
    ("clippy", "print_stdout"),
    ("clippy", "dbg_macro"),
];

/// The visible top level is exactly [`TOP_LEVEL`].
pub(super) fn top_level(paths: &[&str]) -> Vec<Violation> {
    const REASON: &str = "the top level is the map of the house: what is new has its place inside";
    let mut violations = Vec::new();
    for path in paths {
        let first = path.split('/').next().unwrap_or(path);
        if !first.starts_with('.') && !TOP_LEVEL.contains(&first) && !first.ends_with(".toml") {
            let what = format!("`{first}` at the top level");
            violations.push(Violation::new(path, 0, what, REASON));
        }
        let tool_files = ["Cargo.toml", "clippy.toml", "rustfmt.toml"];
        if first.ends_with(".toml") && !tool_files.contains(&first) {
            violations.push(Violation::new(path, 0, format!("`{first}` at the top level"), REASON));
        }
    }
    for expected in TOP_LEVEL {
        if !paths.iter().any(|path| path.split('/').next() == Some(expected)) {
            violations.push(Violation::new(expected, 0, "missing", REASON));
        }
    }
    violations
}

/// A resource that has a handler has a file of its stem in every layer, and there is no handler
/// or use case beside the resources' but the layers' own helpers, which no `.proto` file shares.
pub(super) fn stems(paths: &[&str]) -> Vec<Violation> {
    const REASON: &str = "the same file stem per resource in every layer, so that one name finds everything";
    let mut violations = Vec::new();
    for resource in RESOURCES {
        let missing = |pattern: &str| {
            let stem = pattern.replace("{}", resource);
            !paths.iter().any(|path| {
                path.strip_prefix(stem.as_str())
                    .is_some_and(|rest| [".", "/", "_"].iter().any(|after| rest.starts_with(after)))
            })
        };
        let handler = format!("service/src/grpc/{resource}.rs");
        if !paths.contains(&handler.as_str()) {
            continue;
        }
        for (layer, pattern) in LAYERS {
            if missing(pattern) {
                let what = format!("`{resource}` has no `{}*` in {layer}", pattern.replace("{}", resource));
                violations.push(Violation::new(&handler, 0, what, REASON));
            }
        }
    }
    for path in paths {
        let stem = path.strip_prefix("proto/linli/v1/").and_then(|file| file.strip_suffix("_service.proto"));
        // The service of care records is `CareRecordService`: its file may say so.
        let known = |stem: &&str| {
            RESOURCES.contains(stem) || stem.rsplit('_').next().is_some_and(|last| RESOURCES.contains(&last))
        };
        if let Some(stem) = stem.filter(|stem| !known(stem)) {
            let what = format!("`{stem}` is a service but no known resource");
            violations.push(Violation::new(path, 0, what, REASON));
        }
    }
    violations
}

/// Each package takes the workspace's lints and nothing else.
pub(super) fn lints(packages: &[Package]) -> Vec<Violation> {
    const REASON: &str = "one set of lints for all, so that no crate is a little laxer";
    let mut violations = Vec::new();
    for package in packages {
        let manifest: toml::Table = package.text.parse().expect("cargo has read this manifest");
        let lints = manifest.get("lints").and_then(toml::Value::as_table);
        let inherits = lints.is_some_and(|lints| {
            lints.len() == 1 && lints.get("workspace").and_then(toml::Value::as_bool) == Some(true)
        });
        if !inherits {
            let line = package.line_of("[lints");
            violations.push(Violation::new(
                &package.manifest,
                line,
                "not `[lints] workspace = true`",
                REASON,
            ));
        }
    }
    violations
}

/// The workspace's lints and its release profile.
pub(super) fn root_manifest(text: &str) -> Vec<Violation> {
    let manifest: toml::Table = text.parse().expect("cargo has read this manifest");
    let at = |path: &[&str]| {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(manifest.get(*first)?, |value, key| value.get(key))
    };
    let mut violations = Vec::new();
    if at(&["profile", "release", "overflow-checks"]).and_then(toml::Value::as_bool) != Some(true) {
        let line = line_of(text, "[profile.release]");
        let what = "`overflow-checks` is not on in release";
        violations.push(Violation::new(
            "Cargo.toml",
            line,
            what,
            "a wrong number is worse than a stopped call",
        ));
    }
    for (tool, lint) in DENIED {
        let level = at(&["workspace", "lints", tool, lint]).and_then(toml::Value::as_str);
        if !matches!(level, Some("deny" | "forbid")) {
            let line = line_of(text, &format!("[workspace.lints.{tool}]"));
            let what = format!("`{lint}` is not denied");
            violations.push(Violation::new(
                "Cargo.toml",
                line,
                what,
                "a warning is read once, a refusal always",
            ));
        }
    }
    violations
}

/// The methods clippy refuses are all there, and each says why.
pub(super) fn clippy_bans(text: &str) -> Vec<Violation> {
    const REASON: &str =
        "time, ids, randomness and transactions have one source each; the message says which";
    let configuration: toml::Table = text.parse().expect("clippy.toml is TOML");
    let empty = Vec::new();
    let bans = configuration.get("disallowed-methods").and_then(toml::Value::as_array).unwrap_or(&empty);
    let field = |ban: &toml::Value, key: &str| ban.get(key).and_then(toml::Value::as_str).map(String::from);
    let mut violations = Vec::new();
    for ban in bans {
        let path = field(ban, "path").or_else(|| ban.as_str().map(String::from)).unwrap_or_default();
        if field(ban, "reason").is_none_or(|reason| reason.trim().is_empty()) {
            let what = format!("`{path}` is banned without a reason");
            violations.push(Violation::new("clippy.toml", line_of(text, &path), what, REASON));
        }
    }
    for path in CLIPPY_BANS {
        if !bans.iter().any(|ban| field(ban, "path").as_deref() == Some(path)) {
            let line = line_of(text, "disallowed-methods");
            violations.push(Violation::new("clippy.toml", line, format!("`{path}` is not banned"), REASON));
        }
    }
    violations
}

/// `tests` has the one suite; any other crate at most one integration test binary.
pub(super) fn integration_binaries(packages: &[Package]) -> Vec<Violation> {
    const REASON: &str = "each integration binary links the whole service again; add a module instead";
    let mut violations = Vec::new();
    for package in packages {
        let binaries: Vec<&str> = package
            .targets
            .iter()
            .filter(|target| target.0 == "test")
            .map(|target| target.1.as_str())
            .collect();
        let fine = if package.name == "linli-tests" { binaries == ["suite"] } else { binaries.len() <= 1 };
        if !fine {
            let what = format!("integration binaries: {}", binaries.join(", "));
            violations.push(Violation::new(&package.manifest, package.line_of("[[test]]"), what, REASON));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn a_new_thing_at_the_top_level_is_found() {
        let mut paths: Vec<&str> = TOP_LEVEL.iter().filter(|path| **path != "LICENSE").copied().collect();
        paths.extend([".ci/run", "clippy.toml", "docs/a.md", "deny.toml"]);
        found(
            top_level(&paths),
            &[
                "LICENSE:0: missing",
                "deny.toml:0: `deny.toml` at the top level",
                "docs/a.md:0: `docs` at the top level",
            ],
        );
    }

    #[test]
    fn a_missing_layer_is_found() {
        let paths = [
            "service/src/grpc/site.rs",
            "service/src/app/site.rs",
            "proto/linli/v1/site_service.proto",
            "tests/suite/site.rs",
            "service/src/grpc/record.rs",
            "service/src/app/record/mod.rs",
            "proto/linli/v1/care_service.proto",
            "proto/linli/v1/care_record_service.proto",
        ];
        found(
            stems(&paths),
            &[
                "proto/linli/v1/care_service.proto:0: `care` is a service but no known resource",
                "service/src/grpc/record.rs:0: `record` has no `proto/linli/v1/record*` in the API",
                "service/src/grpc/record.rs:0: `record` has no `tests/suite/record*` in the suite",
            ],
        );
    }

    fn package(name: &str, text: &str, tests: &[&str]) -> Package {
        Package {
            name: name.into(),
            manifest: format!("{name}/Cargo.toml"),
            text: text.into(),
            targets: tests.iter().map(|test| ("test".into(), test.to_string())).collect(),
            ..Package::default()
        }
    }

    #[test]
    fn a_laxer_manifest_is_found() {
        let planted = [
            package("a", "[lints]\nworkspace = true\n", &[]),
            package("b", "[package]\nname = \"b\"\n", &[]),
            package("c", "\n[lints.clippy]\nunwrap_used = \"allow\"\n", &[]),
        ];
        found(
            lints(&planted),
            &[
                "b/Cargo.toml:0: not `[lints] workspace = true`",
                "c/Cargo.toml:2: not `[lints] workspace = true`",
            ],
        );
        let planted = "[workspace.lints.rust]\nunsafe_code = \"deny\"\nmissing_docs = \"warn\"\n\
                       [workspace.lints.clippy]\nunwrap_used = \"deny\"\nindexing_slicing = \"deny\"\n\
                       print_stdout = \"deny\"\ndbg_macro = \"deny\"\n[profile.release]\nlto = true\n";
        found(
            root_manifest(planted),
            &[
                "Cargo.toml:1: `missing_docs` is not denied",
                "Cargo.toml:9: `overflow-checks` is not on in release",
            ],
        );
    }

    #[test]
    fn a_lost_clippy_ban_is_found() {
        let mut lines: Vec<String> =
            CLIPPY_BANS.iter().map(|path| format!("{{ path = \"{path}\", reason = \"x\" }},")).collect();
        lines[0] = format!("{{ path = \"{}\" }},", CLIPPY_BANS[0]);
        lines.remove(1);
        found(
            clippy_bans(&format!("disallowed-methods = [\n{}\n]\n", lines.join("\n"))),
            &[
                "clippy.toml:1: `chrono::Utc::now` is not banned",
                "clippy.toml:2: `std::time::SystemTime::now` is banned without a reason",
            ],
        );
    }

    #[test]
    fn a_second_integration_binary_is_found() {
        let planted = [
            package("linli-tests", "[[test]]\n", &["suite", "more"]),
            package("linli-store", "", &["conformance"]),
            package("linli-core", "", &["a", "b"]),
        ];
        found(
            integration_binaries(&planted),
            &[
                "linli-core/Cargo.toml:0: integration binaries: a, b",
                "linli-tests/Cargo.toml:1: integration binaries: suite, more",
            ],
        );
    }
}
