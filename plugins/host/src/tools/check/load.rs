//! Rules about the file, the entry and what it describes.

use std::fs;
use std::time::{Duration, Instant};

use linli_plugin_abi as abi;

use super::raw::Subject;
use super::watch::Held;
use super::{Case, Stop, failed};
use crate::elf;
use crate::manifest::Manifest;

/// How long entry and `describe` may take together.
const DESCRIBE_WITHIN: Duration = Duration::from_millis(100);

/// Functions that tell the time or make random numbers. Rules get `today`.
const CLOCKS: &[&str] = &[
    "clock",
    "clock_gettime",
    "clock_gettime64",
    "ftime",
    "gettimeofday",
    "localtime",
    "localtime_r",
    "time",
    "timespec_get",
    "times",
    "arc4random",
    "drand48",
    "getentropy",
    "getrandom",
    "rand",
    "rand_r",
    "random",
];

/// Of these, the ones that seed the hash maps of run-time libraries.
const SEEDS: &[&str] = &["getentropy", "getrandom"];

pub(super) fn library(case: &Case) -> Result<(), Stop> {
    let file = fs::read(&case.library).map_err(|error| format!("the file cannot be read: {error}"))?;
    elf::check(&file).map_err(|refusal| Stop::Failed(refusal.reason))
}

pub(super) fn entry(case: &Case) -> Result<(), Stop> {
    let symbols = elf::symbols(&read(case)?);
    if symbols.exported.iter().any(|name| name == abi::ENTRY_SYMBOL) {
        return Ok(());
    }
    failed(format!("it exports {}", list(&symbols.exported)))
}

pub(super) fn symbols(case: &Case) -> Result<(), Stop> {
    let mut others = elf::symbols(&read(case)?).exported;
    others.retain(|name| name != abi::ENTRY_SYMBOL);
    if others.is_empty() { Ok(()) } else { failed(format!("it also exports {}", list(&others))) }
}

pub(super) fn static_tls(case: &Case) -> Result<(), Stop> {
    if elf::symbols(&read(case)?).static_tls {
        return failed("it is linked for static thread-local storage (DF_STATIC_TLS)".to_owned());
    }
    Ok(())
}

pub(super) fn clock(case: &Case) -> Result<(), Stop> {
    let mut imported = elf::symbols(&read(case)?).imported;
    imported.retain(|name| CLOCKS.contains(&name.as_str()));
    if case.connects() {
        // Libraries that read JSON or tables seed hash maps; `same_steps` looks whether that shows.
        imported.retain(|name| !SEEDS.contains(&name.as_str()));
    }
    if imported.is_empty() { Ok(()) } else { failed(format!("it uses {}", list(&imported))) }
}

pub(super) fn manifest(case: &Case) -> Result<(), Stop> {
    let Some(path) = &case.manifest else {
        return Err(Stop::NotRun("no `plugin.toml` lies beside the library".to_owned()));
    };
    let text = fs::read_to_string(path).map_err(|error| format!("`plugin.toml` cannot be read: {error}"))?;
    Manifest::parse(&text).map_err(|errors| format!("`plugin.toml`: {errors}"))?;
    Ok(())
}

pub(super) fn abi(case: &Case) -> Result<(), Stop> {
    Subject::link(&case.library).map(|_| ()).map_err(Stop::Failed)
}

pub(super) fn embedded(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    let Some(path) = &case.manifest else {
        return Err(Stop::NotRun("no `plugin.toml` lies beside the library".to_owned()));
    };
    let beside =
        fs::read_to_string(path).map_err(|error| format!("`plugin.toml` cannot be read: {error}"))?;
    let inside = &subject.library.manifest;
    if beside == *inside {
        return Ok(());
    }
    let line = beside.lines().zip(inside.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| beside.lines().count().min(inside.lines().count())) + 1;
    failed(format!("`plugin.toml` differs from the manifest inside, first at line {line}"))
}

pub(super) fn newer_host(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    for minor in [abi::ABI_MINOR + 1, 99] {
        let Some(plugin) = subject.entry(abi::ABI_MAJOR, minor) else {
            return failed(format!("to a host of ABI {}.{minor} the entry gives nothing", abi::ABI_MAJOR));
        };
        if plugin.magic != abi::PLUGIN_MAGIC || plugin.abi_major != abi::ABI_MAJOR {
            return failed(format!(
                "to a host of ABI {}.{minor} the entry gives something else",
                abi::ABI_MAJOR
            ));
        }
    }
    Ok(())
}

pub(super) fn constant(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    for call in 2..6 {
        let again = subject.entry(abi::ABI_MAJOR, abi::ABI_MINOR);
        if !again.is_some_and(|plugin| std::ptr::eq(plugin, subject.library.plugin)) {
            return failed(format!("call {call} of the entry gives another struct than the first"));
        }
        let (manifest, build_info, _) = subject.describe()?;
        if manifest != subject.library.manifest || build_info != subject.library.build_info {
            return failed(format!("call {call} of `describe` tells something else than the first"));
        }
    }
    Ok(())
}

pub(super) fn reserved(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    let (_, _, reserved) = subject.describe()?;
    if reserved != 0 {
        return failed(format!("`linli_description.reserved` is {reserved}"));
    }
    // Whether there are rules or a connector at all is another rule's.
    let Ok(live) = subject.create() else { return Ok(()) };
    let rules = live.rules().ok().map(|rules| ("linli_rules", rules.reserved));
    let connector = live.connector().ok().map(|table| ("linli_connector", table.reserved));
    match rules.or(connector) {
        Some((table, reserved)) if reserved != 0 => failed(format!("`{table}.reserved` is {reserved}")),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn describe_time(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    // The best of a few: the machine may be busy, a slow plugin is slow each time.
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        subject.entry(abi::ABI_MAJOR, abi::ABI_MINOR);
        subject.describe()?;
        best = best.min(start.elapsed());
    }
    if best > DESCRIBE_WITHIN {
        return failed(format!("entry and `describe` take {} ms", best.as_millis()));
    }
    Ok(())
}

pub(super) fn quiet_load(case: &Case) -> Result<(), Stop> {
    let before = Held::now();
    let _subject = Subject::link(&case.library)?;
    let after = Held::now();
    if after.threads > before.threads {
        return failed(format!("loading it starts {} threads", after.threads - before.threads));
    }
    // One descriptor is the host's: the sealed copy of the library.
    if after.descriptors.len() > before.descriptors.len() + 1 {
        let new = after.descriptors.iter().filter(|open| !before.descriptors.contains(open));
        let new: Vec<String> = new.filter(|open| !open.contains("linli-plugin")).cloned().collect();
        return failed(format!("loading it opens {}", list(&new)));
    }
    Ok(())
}

pub(super) fn create(case: &Case) -> Result<(), Stop> {
    Subject::link(&case.library)?.create().map(|_| ()).map_err(Stop::Failed)
}

pub(super) fn interfaces(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    let live = subject.create()?;
    for interface in &subject.manifest.interfaces {
        if live.interface(interface.id().as_bytes()).is_null() {
            let id = interface.id();
            return failed(format!("its manifest lists `{id}`, and `get_interface` gives nothing for it"));
        }
    }
    match subject.manifest.connector {
        Some(_) => live.connector().map(drop),
        None => live.rules().map(drop),
    }
    .map_err(Stop::Failed)
}

pub(super) fn unknown_interface(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    let live = subject.create()?;
    let unknown: &[&[u8]] = &[
        b"",
        b"l",
        b"linli.rules",
        b"linli.rules/",
        b"linli.rules/10",
        b"linli.rules/2",
        b"linli.rules/1 ",
        b"LINLI.RULES/1",
        b"linli.rules/1\0",
        b"linli.none/1",
        b"linli.connector",
        b"linli.connector/",
        b"linli.connector/10",
        b"linli.connector/2",
        b"linli.connector/1 ",
        b"\xff\xfe",
    ];
    for id in unknown {
        if !live.interface(id).is_null() {
            return failed(format!("it gives an interface for `{}`", String::from_utf8_lossy(id)));
        }
    }
    Ok(())
}

fn read(case: &Case) -> Result<Vec<u8>, Stop> {
    fs::read(&case.library).map_err(|error| Stop::Failed(format!("the file cannot be read: {error}")))
}

/// Names for a message, the first few of them.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        many if many > SHOWN => format!("{} and {} more", quoted.join(", "), many - SHOWN),
        _ => quoted.join(", "),
    }
}
