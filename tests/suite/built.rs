//! What the suite starts and loads, found beside the running test: programs, plugin libraries and
//! tools from elsewhere.
//!
//! `cargo test` alone builds neither plugins nor another package's programs, so each is held
//! against the list of sources that cargo left beside it: one that is missing or older than a
//! source of its own fails the test, with the command that builds it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A program of the workspace, for instance `linli`.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = folder();
    current(
        &folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)),
        &folder.join(format!("{name}.d")),
    )
}

/// The library of a plugin, for instance `elderly`.
#[track_caller]
pub(crate) fn plugin(name: &str) -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let folder = folder();
    let stem = format!("{DLL_PREFIX}linli_plugin_{name}");
    current(&folder.join(format!("{stem}{DLL_SUFFIX}")), &folder.join(format!("{stem}.d")))
}

/// The folder in which a bundled plugin is written: its manifest, its table of scenarios.
pub(crate) fn plugin_source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(name)
}

/// Every bundled plugin, current: a server in development loads all of them.
pub(crate) fn plugins() {
    let rules = ["children", "disability", "elderly", "hardship", "maternity", "military"];
    let connectors = ["email", "file_drop", "webhook"];
    for name in rules.into_iter().chain(connectors) {
        plugin(name);
    }
}

/// The folder in which cargo leaves programs and libraries of this profile.
pub(crate) fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    test.parent().and_then(Path::parent).expect("tests lie in `deps` of the profile's folder").into()
}

/// A tool that the repository does not build.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    /// grpcurl 1.8.6, which knows reflection v1alpha only.
    Grpcurl,
    /// buf, whose `buf curl` knows reflection v1.
    Buf,
    /// A Python with `grpcio`, `grpcio-reflection` and `aiosmtpd`.
    Python,
    /// The browser Chromium, which Debian's package puts where it is looked for without the variable.
    Chromium,
    /// The server of NATS, at the place of Debian's package.
    NatsServer,
}

impl Tool {
    fn variable(self) -> &'static str {
        match self {
            Self::Grpcurl => "LINLI_GRPCURL",
            Self::Buf => "LINLI_BUF",
            Self::Python => "LINLI_PYTHON",
            Self::Chromium => "LINLI_CHROMIUM",
            Self::NatsServer => "LINLI_NATS_SERVER",
        }
    }

    /// Where its package puts it, where that is always the same.
    fn usual(self) -> Option<PathBuf> {
        match self {
            Self::Grpcurl | Self::Buf | Self::Python => None,
            Self::Chromium => Some(PathBuf::from("/usr/bin/chromium")).filter(|path| path.is_file()),
            Self::NatsServer => Some(PathBuf::from("/usr/sbin/nats-server")).filter(|path| path.is_file()),
        }
    }

    /// Where it is. Without it the caller's test ends, saying so aloud; with `CI=true` it fails.
    #[track_caller]
    pub(crate) fn find(self) -> Option<PathBuf> {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        let named = std::env::var_os(self.variable()).map(PathBuf::from);
        match choose(self.variable(), named.or_else(|| self.usual()), ci) {
            Ok(tool) => Some(tool),
            Err((true, message)) => panic!("{message}"),
            Err((false, message)) => {
                eprintln!("SKIPPED: {message}");
                None
            }
        }
    }
}

/// The path, or whether its absence is a failure, and the message.
fn choose(variable: &str, value: Option<PathBuf>, ci: bool) -> Result<PathBuf, (bool, String)> {
    match value {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err((true, format!("`{variable}` names `{}`, which is no file", path.display()))),
        None => Err((ci, format!("`{variable}` is not set"))),
    }
}

#[track_caller]
fn current(artefact: &Path, list: &Path) -> PathBuf {
    if let Err(message) = is_current(artefact, list) {
        panic!("{message}: `cargo suite` builds it, or `cargo build --workspace` in this profile");
    }
    artefact.into()
}

/// Whether the artefact is there and as new as every source in cargo's list of them.
fn is_current(artefact: &Path, list: &Path) -> Result<(), String> {
    let modified = |path: &Path| -> Result<SystemTime, String> {
        let metadata = path.metadata().and_then(|metadata| metadata.modified());
        metadata.map_err(|error| format!("`{}` is missing ({error})", path.display()))
    };
    let built = modified(artefact)?;
    let list = std::fs::read_to_string(list).map_err(|error| format!("`{}`: {error}", list.display()))?;
    let sources = sources(&list);
    if sources.is_empty() {
        return Err(format!("cargo lists no source of `{}`", artefact.display()));
    }
    for source in sources {
        if modified(&source)? > built {
            return Err(format!("`{}` is older than `{}`", artefact.display(), source.display()));
        }
    }
    Ok(())
}

/// The sources in a list like `target: source source`, a blank in a name being written `\ `.
fn sources(list: &str) -> Vec<PathBuf> {
    let Some((_, rest)) = list.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    let mut sources = vec![String::new()];
    let mut characters = rest.chars().peekable();
    while let Some(next) = characters.next() {
        match next {
            '\\' if characters.peek() == Some(&' ') => {
                characters.next();
                sources.last_mut().expect("there is always one").push(' ');
            }
            ' ' => sources.push(String::new()),
            other => sources.last_mut().expect("there is always one").push(other),
        }
    }
    sources.into_iter().filter(|source| !source.is_empty()).map(PathBuf::from).collect()
}

#[test]
fn a_missing_or_stale_artefact_is_no_skip() {
    let folder = std::env::temp_dir().join(format!("linli-built-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    let write = |name: &str, text: &str, seconds: u64| {
        std::fs::write(path(name), text).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(path(name)).unwrap().set_modified(time).unwrap();
    };
    let source = |name: &str| path(name).display().to_string();
    write("a b.rs", "", 10);
    write("c.rs", "", 20);
    write("x.d", &format!("x.so: {} {}\n", source("a b.rs").replace(' ', "\\ "), source("c.rs")), 20);

    let check = |expect: &str| {
        let outcome = is_current(&path("x.so"), &path("x.d")).err().unwrap_or_default();
        assert!(outcome.contains(expect) && outcome.is_empty() == expect.is_empty(), "{outcome}");
    };
    check("x.so` is missing");
    write("x.so", "", 20);
    check("");
    write("c.rs", "", 21);
    check("c.rs`");
    write("x.so", "", 22);
    std::fs::remove_file(path("a b.rs")).unwrap();
    check("a b.rs` is missing");
    write("x.d", "x.so:", 22);
    check("cargo lists no source");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_missing_tool_fails_where_tools_are_installed() {
    let here = std::env::current_exe().unwrap();
    assert_eq!(choose("X", Some(here.clone()), true), Ok(here));
    assert_eq!(choose("X", None, false), Err((false, "`X` is not set".into())));
    assert_eq!(choose("X", None, true), Err((true, "`X` is not set".into())));
    let absent = Err((true, "`X` names `absent`, which is no file".into()));
    assert_eq!(choose("X", Some("absent".into()), false), absent);
}
