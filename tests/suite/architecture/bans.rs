//! Packages that must not be linked at all, or not in a version known to be bad, and where packages
//! may come from.

use super::Violation;

/// Never linked: (package, reason).
const ABSENT: &[(&str, &str)] = &[
    ("openssl", TLS),
    ("openssl-sys", TLS),
    ("native-tls", TLS),
    ("aws-lc-rs", "ring is the one crypto library, and needs no cmake"),
    ("aws-lc-sys", "ring is the one crypto library, and needs no cmake"),
];

const TLS: &str = "TLS is rustls: no system library decides how safe we are";

/// Linked in at least this version: (package, version, reason).
const AT_LEAST: &[(&str, [u64; 3], &str)] = &[
    ("h2", [0, 4, 18], "RUSTSEC-2026-0258, and 0.4.16 ends well-behaved multiplexed clients"),
    ("tonic", [0, 14, 3], "earlier ones decompress without a bound"),
    (
        "rustls-webpki",
        [0, 103, 13],
        "RUSTSEC-2026-0049, RUSTSEC-2026-0098, RUSTSEC-2026-0099, RUSTSEC-2026-0104",
    ),
    ("libsqlite3-sys", [0, 37, 0], "SQLite must be 3.51.3 or later"),
];

/// Linked at most once: (package, reason).
const ONCE: &[(&str, &str)] = &[
    ("libsqlite3-sys", "two SQLites in one process break each other's file locks"),
    ("tonic", "types of two versions do not meet"),
    ("prost", "types of two versions do not meet"),
    ("sea-orm", "types of two versions do not meet"),
];

const OWN_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Packages in the output of `cargo tree --prefix none`.
pub(super) fn in_tree(tree: &str) -> Vec<Violation> {
    let mut linked: Vec<(&str, [u64; 3])> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, version(words.next()?.strip_prefix('v')?)?))
        })
        .collect();
    linked.sort_unstable();
    linked.dedup();
    let mut violations = Vec::new();
    let mut add = |what: String, reason: &str| violations.push(Violation::new("Cargo.lock", 0, what, reason));
    for (name, [major, minor, patch]) in &linked {
        if let Some((_, reason)) = ABSENT.iter().find(|banned| banned.0 == *name) {
            add(format!("`{name}` is linked"), reason);
        }
        if let Some((_, least, reason)) = AT_LEAST.iter().find(|bound| bound.0 == *name)
            && [*major, *minor, *patch] < *least
        {
            let [a, b, c] = least;
            add(format!("`{name}` is {major}.{minor}.{patch}, must be at least {a}.{b}.{c}"), reason);
        }
    }
    for (name, reason) in ONCE {
        let versions = linked.iter().filter(|package| package.0 == *name).count();
        if versions > 1 {
            add(format!("`{name}` is linked in {versions} versions"), reason);
        }
    }
    violations
}

/// Sources of the packages in `Cargo.lock`.
pub(super) fn sources_in_lock(lock: &str) -> Vec<Violation> {
    lock.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let source = line.strip_prefix("source = ")?.trim_matches('"');
            (source != OWN_INDEX).then(|| {
                let what = "a package from elsewhere than crates.io";
                Violation::new("Cargo.lock", index + 1, what, "a build must be repeatable by anybody")
            })
        })
        .collect()
}

/// Major, minor and patch of a version, whatever follows them.
fn version(text: &str) -> Option<[u64; 3]> {
    let plain = text.split(['-', '+']).next()?;
    let parts: Vec<u64> = plain.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    parts.try_into().ok()
}

#[test]
fn bad_packages_are_found() {
    let planted = "linli-service v0.1.0 (service)\nh2 v0.4.16\nopenssl-sys v0.9.1\nlibsqlite3-sys v0.37.0\n\
                   libsqlite3-sys v0.36.0\ntonic v0.14.9+x\ntonic v0.14.9+x (*)\n";
    super::found(
        in_tree(planted),
        &[
            "Cargo.lock:0: `h2` is 0.4.16, must be at least 0.4.18",
            "Cargo.lock:0: `libsqlite3-sys` is 0.36.0, must be at least 0.37.0",
            "Cargo.lock:0: `libsqlite3-sys` is linked in 2 versions",
            "Cargo.lock:0: `openssl-sys` is linked",
        ],
    );
    let lock = format!("source = \"{OWN_INDEX}\"\nsource = \"git+https://example.org/x#1\"\n");
    super::found(sources_in_lock(&lock), &["Cargo.lock:2: a package from elsewhere than crates.io"]);
}
