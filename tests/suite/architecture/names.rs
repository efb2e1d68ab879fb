//! Names in the sources that have an owner, and where `unsafe` may stand.

use super::Violation;
use super::scan::{Source, production};

/// Crate names and the folders whose sources may use them: (name, folders, reason).
const OWNERS: &[(&str, &[&str], &str)] = &[
    ("sea_orm", &["service/store/"], SQL),
    ("sea_orm_migration", &["service/store/"], SQL),
    ("sea_query", &["service/store/"], SQL),
    ("sqlx", &["service/store/"], SQL),
    ("libloading", &["plugins/host/"], "only the plugin host loads libraries"),
    ("linli_proto", &["service/src/grpc/", "service/src/grpc.rs", "tests/", "proto/"], GENERATED),
    ("linli_store", &["service/src/", "service/store/", "tests/"], "plugins and core know no storage"),
    ("linli_service", &["service/", "tests/"], "nothing below the service knows it"),
];

const SQL: &str = "only the store speaks to a database";
const GENERATED: &str = "generated types end at the gRPC handlers: the domain does not depend on the wire";

/// Folders that may use the messages of plugins, `linli_proto::plugin_v1`.
const PLUGIN_SIDE: &[&str] = &["plugins/sdk/", "plugins/host/"];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &["plugins/abi/", "plugins/sdk/", "plugins/host/"];
const UNSAFE_REASON: &str = "unsafe lives in plugins/{abi,sdk,host} only, where it is reviewed";

/// Crates that carry a transport.
const TRANSPORTS: &[&str] = &["tonic", "prost", "prost_types", "tonic_types", "http", "hyper", "tower", "h2"];

/// Names used outside their owners.
pub(super) fn owners(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        for (name, line) in source.names() {
            let first = name.first().map_or("", String::as_str);
            let Some((_, folders, reason)) = OWNERS.iter().find(|owner| owner.0 == first) else { continue };
            let plugin_messages =
                first == "linli_proto" && name.get(1).is_some_and(|next| next == "plugin_v1");
            let owned =
                lies_in(&source.path, folders) || plugin_messages && lies_in(&source.path, PLUGIN_SIDE);
            if !owned {
                let what = format!("`{}` has no business here", name.join("::"));
                violations.push(Violation::new(&source.path, line, what, reason));
            }
        }
    }
    violations
}

/// Use cases that name a transport.
pub(super) fn transport_free(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in
        sources.iter().filter(|source| lies_in(&source.path, &["service/src/app/", "service/src/app.rs"]))
    {
        for (name, line) in source.names() {
            // A path's head only: a variable may well be called `http`.
            if name.len() > 1 && name.first().is_some_and(|first| TRANSPORTS.contains(&first.as_str())) {
                let what = format!("`{}` in a use case", name.join("::"));
                let reason = "use cases are transport-free: handlers convert, call, convert";
                violations.push(Violation::new(&source.path, line, what, reason));
            }
        }
    }
    violations
}

/// `unsafe`, or its lint lifted, outside the plugin boundary.
pub(super) fn unsafe_code(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !lies_in(&source.path, UNSAFE)) {
        for (index, token) in source.tokens.iter().enumerate() {
            let lifted = ["allow", "expect", "warn"].contains(&token.text.as_str())
                && source.is_at(index + 1, &["(", "unsafe_code"]);
            if token.text == "unsafe" || lifted {
                let what = if lifted { format!("`{}(unsafe_code)`", token.text) } else { "`unsafe`".into() };
                violations.push(Violation::new(&source.path, token.line, what, UNSAFE_REASON));
            }
        }
    }
    violations
}

/// Where an error becomes a status.
const STATUS: &str = "service/src/grpc/status.rs";

/// Ways to make a `tonic::Status` that says something of its own.
const STATUS_MAKERS: &[&str] = &[
    "new",
    "with_details",
    "with_error_details",
    "with_error_details_vec",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Statuses that are made beside the one function, and catch-all arms in it.
pub(super) fn one_status(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in production(sources.iter().filter(|source| source.path.starts_with("service/src/"))) {
        if source.path == STATUS {
            for index in 0..source.tokens.len() {
                if source.is_at(index, &["_", "=", ">"]) {
                    let reason = "a new error must be given its code and reason here, or not compile";
                    violations.push(Violation::new(STATUS, source.tokens[index].line, "`_ =>`", reason));
                }
            }
            continue;
        }
        for (name, line) in source.names() {
            let [.., kind, maker] = name.as_slice() else { continue };
            if kind == "Status" && STATUS_MAKERS.contains(&maker.as_str()) {
                let what = format!("`{}` beside {STATUS}", name.join("::"));
                let reason = "one function maps errors to status, so that every error carries its reason and both languages";
                violations.push(Violation::new(&source.path, line, what, reason));
            }
        }
    }
    violations
}

/// `#[allow(clippy::disallowed_methods)]` and the like without a `reason = "…"`.
pub(super) fn lifted_bans(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        for index in 0..source.tokens.len() {
            let lifts = source.is_at(index, &["allow", "("]) || source.is_at(index, &["expect", "("]);
            if !lifts {
                continue;
            }
            let inside = &source.tokens[index + 2..];
            let end = inside.iter().position(|token| token.text == ")").unwrap_or(inside.len());
            let has = |word: &str| inside[..end].iter().any(|token| token.text == word);
            if (has("disallowed_methods") || has("disallowed_types")) && !has("reason") {
                violations.push(Violation::new(
                    &source.path,
                    source.tokens[index].line,
                    "a ban lifted without `reason = …`",
                    "clocks, randomness and transactions have one reader each, and every exception says why",
                ));
            }
        }
    }
    violations
}

fn lies_in(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn sources(planted: &[(&str, &str)]) -> Vec<Source> {
        planted.iter().map(|(path, text)| Source::new(path, text)).collect()
    }

    #[test]
    fn a_name_without_its_owner_is_found() {
        found(
            owners(&sources(&[
                ("service/src/app/site.rs", "// sea_orm\nuse {std::fs, sea_orm::{Database, self}};"),
                ("service/src/grpc/site.rs", "use linli_proto::v1::Site;"),
                ("service/src/config.rs", "fn f(x: linli_proto::v1::Site) {}"),
                ("service/store/src/site.rs", "use sea_orm::entity::prelude::*;"),
                ("plugins/host/src/lib.rs", "use linli_proto::plugin_v1::Batch; use linli_proto::v1::Site;"),
                ("plugins/elderly/src/lib.rs", "use libloading::Library;"),
                ("tests/suite/site.rs", "use linli_proto::v1::Site; let s = \"sqlx::query\";"),
            ])),
            &[
                "plugins/elderly/src/lib.rs:1: `libloading::Library` has no business here",
                "plugins/host/src/lib.rs:1: `linli_proto::v1::Site` has no business here",
                "service/src/app/site.rs:2: `sea_orm::Database` has no business here",
                "service/src/app/site.rs:2: `sea_orm::self` has no business here",
                "service/src/config.rs:1: `linli_proto::v1::Site` has no business here",
            ],
        );
    }

    #[test]
    fn a_transport_in_a_use_case_is_found() {
        found(
            transport_free(&sources(&[
                ("service/src/app/site.rs", "fn f() -> Result<(), tonic::Status> { let http = 1; g(http) }"),
                ("service/src/grpc/site.rs", "fn f() -> Result<(), tonic::Status> {}"),
            ])),
            &["service/src/app/site.rs:1: `tonic::Status` in a use case"],
        );
    }

    #[test]
    fn a_second_way_to_a_status_is_found() {
        found(
            one_status(&sources(&[
                (STATUS, "fn f(e: &E) -> S { match e { E::A => tonic::Status::new(), _ => g() } }"),
                (
                    "service/src/grpc/site.rs",
                    "fn f() { Err(Status::not_found(\"x\")) } fn g(s: Status) { s.code() }",
                ),
                (
                    "service/src/app/site.rs",
                    "#[cfg(test)] mod tests { fn f() { tonic::Status::internal(\"x\") } }",
                ),
            ])),
            &[
                "service/src/grpc/site.rs:1: `Status::not_found` beside service/src/grpc/status.rs",
                "service/src/grpc/status.rs:1: `_ =>`",
            ],
        );
    }

    #[test]
    fn unsafe_out_of_place_is_found() {
        found(
            unsafe_code(&sources(&[
                ("core/src/lib.rs", "#![forbid(unsafe_code)]\n/// unsafe\nfn f() { unsafe { g() } }"),
                ("service/src/lib.rs", "#![allow(unsafe_code)]"),
                ("plugins/host/src/lib.rs", "#![allow(unsafe_code)]\nunsafe fn f() {}"),
                ("plugins/elderly/src/lib.rs", "let text = \"unsafe\"; #[unsafe(no_mangle)] fn f() {}"),
            ])),
            &[
                "core/src/lib.rs:3: `unsafe`",
                "plugins/elderly/src/lib.rs:1: `unsafe`",
                "service/src/lib.rs:1: `allow(unsafe_code)`",
            ],
        );
    }

    #[test]
    fn a_silent_exception_is_found() {
        found(
            lifted_bans(&sources(&[
                ("a.rs", "#[allow(clippy::disallowed_methods)] fn f() {}"),
                ("b.rs", "#[expect(clippy::disallowed_methods, reason = \"the one clock\")] fn f() {}"),
                ("c.rs", "#[allow(dead_code)] fn f() { x.expect(\"reason\") }"),
            ])),
            &["a.rs:1: a ban lifted without `reason = …`"],
        );
    }
}
