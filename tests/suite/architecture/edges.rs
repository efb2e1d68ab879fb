//! Which crate may know which: our own crates among each other, and third-party crates that have
//! one owner.

use super::Violation;
use super::tree::Package;

/// Our crates, and which of our crates each may depend on: (crate, always, in its tests besides).
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("linli-core", &[], &[]),
    ("linli-proto", &[], &[]),
    ("linli-plugin-abi", &[], &[]),
    ("linli-plugin-sdk-macros", &[], &["linli-plugin-sdk"]),
    ("linli-plugin-sdk", &["linli-core", "linli-plugin-abi", "linli-plugin-sdk-macros", "linli-proto"], &[]),
    ("linli-plugin-host", &["linli-core", "linli-plugin-abi", "linli-proto"], &["linli-plugin-sdk"]),
    ("linli-plugin-elderly", &["linli-core", "linli-plugin-sdk"], &["linli-plugin-abi", "linli-plugin-host"]),
    ("linli-plugin-maternity", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-children", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-disability", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-hardship", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-military", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-webhook", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-email", &["linli-plugin-sdk"], &[]),
    ("linli-plugin-file-drop", &["linli-plugin-sdk"], &[]),
    ("chronic-illness", &["linli-plugin-sdk"], &[]),
    ("linli-store", &["linli-core"], &[]),
    ("linli-service", &["linli-core", "linli-plugin-host", "linli-proto", "linli-store"], &[]),
    (
        "linli-tests",
        &[],
        &[
            "linli-core",
            "linli-plugin-abi",
            "linli-plugin-host",
            "linli-plugin-sdk",
            "linli-proto",
            "linli-service",
            "linli-store",
        ],
    ),
];

const ONE_WAY: &str = "dependencies point one way: core ← plugins, store ← service ← tests";
const PLUGIN_MESSAGES: &str =
    "plugins know the messages of `linli.plugin.v1` only: `features = [\"plugin\"]`, no default features";

/// Third-party crates with one owner: (crate, packages that may name it, reason).
const OWNED: &[(&str, &[&str], &str)] = &[
    ("sea-orm", &["linli-store"], SQL),
    ("sea-orm-migration", &["linli-store"], SQL),
    ("sea-query", &["linli-store"], SQL),
    ("sqlx", &["linli-store"], SQL),
    ("rusqlite", &[], "a second SQLite binding belongs into tests/compare"),
    ("libloading", &["linli-plugin-host"], "only the plugin host loads libraries"),
    ("tonic", &["linli-proto", "linli-service", "linli-tests"], TRANSPORT),
    ("tonic-reflection", &["linli-service"], TRANSPORT),
    ("tonic-health", &["linli-service", "linli-tests"], TRANSPORT),
    ("clap", &["linli-service", "linli-plugin-host"], "only programs read a command line"),
];

const SQL: &str = "only the store speaks to a database";
const TRANSPORT: &str = "only the service speaks gRPC";

/// What core may name.
const CORE_DIRECT: &[&str] = &["chrono", "chrono-tz", "pinyin", "thiserror"];
/// What core may name in its tests and benches besides.
const CORE_TESTS: &[&str] = &["criterion", "icu_calendar", "proptest"];
/// What comes along with those.
const CORE_CLOSURE: &[&str] = &[
    "linli-core",
    "chrono",
    "num-traits",
    "chrono-tz",
    "phf",
    "phf_shared",
    "siphasher",
    "pinyin",
    "thiserror",
    "thiserror-impl",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];
const CORE_SMALL: &str = "core is for others to embed: pure, and no more than a few value crates; \
                          argue for a new one and add it to the list";

/// Edges between our own crates.
pub(super) fn between_crates(packages: &[Package]) -> Vec<Violation> {
    let ours = |name: &str| name.starts_with("linli-");
    let mut violations = Vec::new();
    for package in packages {
        let Some((_, always, in_tests)) = EDGES.iter().find(|edge| edge.0 == package.name) else {
            let what = format!("`{}` has no place among the crates", package.name);
            violations.push(Violation::new(&package.manifest, package.line_of("name ="), what, ONE_WAY));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| ours(&dependency.name)) {
            let name = dependency.name.as_str();
            let line = package.line_of(name);
            if !(always.contains(&name) || dependency.dev && in_tests.contains(&name)) {
                let what = format!("`{}` may not depend on `{name}`", package.name);
                violations.push(Violation::new(&package.manifest, line, what, ONE_WAY));
            }
            let plugin_side = package.name.starts_with("linli-plugin-");
            if plugin_side
                && name == "linli-proto"
                && (dependency.default_features || dependency.features != ["plugin"])
            {
                let what = format!("`{}` takes more of `linli-proto` than it may", package.name);
                violations.push(Violation::new(&package.manifest, line, what, PLUGIN_MESSAGES));
            }
        }
    }
    violations
}

/// Third-party crates in the manifests.
pub(super) fn third_parties(packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut add = |package: &Package, name: &str, reason: &str| {
        let what = format!("`{}` may not depend on `{name}`", package.name);
        violations.push(Violation::new(&package.manifest, package.line_of(name), what, reason));
    };
    for package in packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if let Some((_, owners, reason)) = OWNED.iter().find(|owned| owned.0 == name)
                && !owners.contains(&package.name.as_str())
            {
                add(package, name, reason);
            }
            match package.name.as_str() {
                "linli-core"
                    if !(CORE_DIRECT.contains(&name) || dependency.dev && CORE_TESTS.contains(&name)) =>
                {
                    add(package, name, CORE_SMALL);
                }
                "linli-plugin-abi" if !dependency.dev => {
                    add(
                        package,
                        name,
                        "the ABI is plain C types: nothing may come between its layout and the header",
                    );
                }
                "linli-tests" if !dependency.dev => {
                    add(package, name, "`dev` is built before every alias: standard library only");
                }
                _ => {}
            }
        }
    }
    violations
}

/// Everything that a build of core links, from `cargo tree --prefix none`.
pub(super) fn core_closure(tree: &str) -> Vec<Violation> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !CORE_CLOSURE.contains(name))
        .map(|name| Violation::new("core/Cargo.toml", 0, format!("core links `{name}`"), CORE_SMALL))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::super::tree::Dependency;
    use super::*;

    fn package(name: &str, dependencies: &[&str], in_tests: &[&str]) -> Package {
        let dependency = |name: &&str, dev: bool| Dependency {
            name: name.to_string(),
            dev,
            default_features: true,
            features: vec![],
        };
        Package {
            name: name.into(),
            manifest: format!("{name}/Cargo.toml"),
            text: format!(
                "[package]\nname = \"{name}\"\n{}\n{}",
                dependencies.join("\n"),
                in_tests.join("\n")
            ),
            dependencies: (dependencies.iter().map(|name| dependency(name, false)))
                .chain(in_tests.iter().map(|name| dependency(name, true)))
                .collect(),
            ..Package::default()
        }
    }

    #[test]
    fn a_wrong_edge_is_found() {
        let planted = [
            package("linli-core", &["linli-store"], &[]),
            package("linli-store", &["linli-core", "linli-proto"], &["linli-service"]),
            package("linli-tests", &["linli-core"], &["linli-core"]),
            package("linli-extra", &[], &[]),
            package("linli-plugin-sdk", &["linli-proto"], &[]),
        ];
        found(
            between_crates(&planted),
            &[
                "linli-core/Cargo.toml:3: `linli-core` may not depend on `linli-store`",
                "linli-extra/Cargo.toml:2: `linli-extra` has no place among the crates",
                "linli-plugin-sdk/Cargo.toml:3: `linli-plugin-sdk` takes more of `linli-proto` than it may",
                "linli-store/Cargo.toml:4: `linli-store` may not depend on `linli-proto`",
                "linli-store/Cargo.toml:5: `linli-store` may not depend on `linli-service`",
                "linli-tests/Cargo.toml:3: `linli-tests` may not depend on `linli-core`",
            ],
        );
    }

    #[test]
    fn a_third_party_out_of_place_is_found() {
        let planted = [
            package("linli-core", &["chrono", "serde"], &["proptest", "tokio"]),
            package("linli-service", &["sea-orm", "tonic"], &[]),
            package("linli-plugin-abi", &["libc"], &[]),
            package("linli-plugin-sdk", &["libloading"], &[]),
            package("linli-tests", &["serde"], &["tonic"]),
        ];
        found(
            third_parties(&planted),
            &[
                "linli-core/Cargo.toml:4: `linli-core` may not depend on `serde`",
                "linli-core/Cargo.toml:6: `linli-core` may not depend on `tokio`",
                "linli-plugin-abi/Cargo.toml:3: `linli-plugin-abi` may not depend on `libc`",
                "linli-plugin-sdk/Cargo.toml:3: `linli-plugin-sdk` may not depend on `libloading`",
                "linli-service/Cargo.toml:3: `linli-service` may not depend on `sea-orm`",
                "linli-tests/Cargo.toml:3: `linli-tests` may not depend on `serde`",
            ],
        );
    }

    #[test]
    fn a_stowaway_in_core_is_found() {
        let planted =
            "linli-core v0.1.0 (core)\nchrono v0.4.45\niana-time-zone v0.1.64\nchrono v0.4.45 (*)\n";
        found(core_closure(planted), &["core/Cargo.toml:0: core links `iana-time-zone`"]);
    }
}
