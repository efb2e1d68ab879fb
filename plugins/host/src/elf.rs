//! Looking at a library's file before the dynamic linker does: a damaged file would end the process with SIGBUS, one
//! for another machine gives a message that helps nobody.

use std::path::Path;

use linli_core::id::PluginId;

use crate::error::{LoadCause, LoadFailure};

/// Why a file is refused, and what helps.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: LoadCause,
    pub(crate) reason: String,
    pub(crate) help: String,
}

impl Refusal {
    pub(crate) fn new(cause: LoadCause, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self { cause, reason: reason.into(), help: help.into() }
    }

    pub(crate) fn at(self, path: &Path, plugin: Option<&PluginId>) -> LoadFailure {
        let Self { cause, reason, help } = self;
        let plugin = plugin.map(|id| id.as_str().to_owned());
        LoadFailure { path: path.to_owned(), plugin, cause, reason, help }
    }
}

const PROGRAM_LOAD: u32 = 1;
const SECTION_DYNAMIC: u32 = 6;
const SECTION_DYNSYM: u32 = 11;
const DYNAMIC_NEEDED: u64 = 1;
const DYNAMIC_FLAGS: u64 = 30;
const FLAG_STATIC_TLS: u64 = 0x10;
const TYPE_SHARED: u16 = 3;

/// Checks that `file` is a whole shared library for this machine.
pub(crate) fn check(file: &[u8]) -> Result<(), Refusal> {
    let damaged = |what: &str| {
        let help = "the copy is incomplete or changed: fetch or build the library again";
        Refusal::new(LoadCause::Damaged, what, help)
    };
    if file.get(..4) != Some(b"\x7fELF") {
        return Err(damaged("the file is not a shared library (no ELF header)"));
    }
    let header = Header::read(file).ok_or_else(|| damaged("the file ends inside its ELF header"))?;
    if header.class != 2 || header.data != 1 || header.machine != machine_here() {
        let has = machine_name(header.machine, header.class, header.data);
        let here = machine_name(machine_here(), 2, 1);
        let reason = format!("the library is built for {has}; this program runs on {here}");
        return Err(Refusal::new(
            LoadCause::WrongArchitecture,
            reason,
            format!("use the plugin's library for {here}"),
        ));
    }
    if header.kind != TYPE_SHARED {
        return Err(damaged("the file is an ELF file, but not a shared library"));
    }
    let sections = extent(header.sections_off, u64::from(header.sections) * u64::from(header.section_size));
    let programs = extent(header.programs_off, u64::from(header.programs) * u64::from(header.program_size));
    let mut end = sections.max(programs);
    for index in 0..header.programs {
        let at = header.programs_off + u64::from(index) * u64::from(header.program_size);
        let program =
            slice(file, at, 56).ok_or_else(|| damaged("the file ends inside its program headers"))?;
        if u32_at(program, 0) == Some(PROGRAM_LOAD) {
            let (offset, size) = (u64_at(program, 8).unwrap_or(0), u64_at(program, 32).unwrap_or(0));
            end = end.max(extent(offset, size));
        }
    }
    if end > file.len() as u64 {
        let reason = format!("the file has {} bytes, but its headers speak of {end}", file.len());
        return Err(damaged(&reason));
    }
    Ok(())
}

/// The kind of machine that a shared library is for, such as `x86_64-linux`.
pub(crate) fn target(file: &[u8]) -> Result<String, Refusal> {
    let header = Header::read(file).filter(|_| file.starts_with(b"\x7fELF"));
    let machine = header.and_then(|header| match (header.class, header.data, header.machine) {
        (2, 1, 62) => Some("x86_64"),
        (2, 1, 183) => Some("aarch64"),
        (2, 1, 243) => Some("riscv64"),
        (_, _, _) => None,
    });
    let machine = machine.ok_or_else(|| {
        let reason = "a library is no shared library for x86_64, aarch64 or riscv64";
        Refusal::new(LoadCause::WrongArchitecture, reason, "build it for one of these")
    })?;
    Ok(format!("{machine}-linux"))
}

/// Whether the library exports a symbol of this name; the file must have passed [`check`].
pub(crate) fn exports(file: &[u8], name: &str) -> bool {
    symbols(file).exported.iter().any(|exported| exported == name)
}

/// What a library gives to others and takes from them.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Names that it defines, sorted.
    pub(crate) exported: Vec<String>,
    /// Names that it uses, sorted.
    pub(crate) imported: Vec<String>,
    /// Libraries that it needs, in its order.
    pub(crate) needed: Vec<String>,
    /// Whether it is linked for static thread-local storage, of which a process has little.
    pub(crate) static_tls: bool,
}

/// Reads the tables for the dynamic linker; the file must have passed [`check`].
pub(crate) fn symbols(file: &[u8]) -> Symbols {
    let mut found = Symbols::default();
    let Some(header) = Header::read(file) else { return found };
    let section = |index: u64| slice(file, header.sections_off + index * u64::from(header.section_size), 64);
    for index in 0..u64::from(header.sections) {
        let Some(table) = section(index) else { continue };
        let linked = || u32_at(table, 40).and_then(|link| body(file, section(u64::from(link))?));
        match u32_at(table, 4) {
            Some(SECTION_DYNSYM) => {
                let (Some(symbols), Some(names)) = (body(file, table), linked()) else { continue };
                for symbol in symbols.chunks_exact(24) {
                    let name =
                        u32_at(symbol, 0).and_then(|at| text(names, u64::from(at))).unwrap_or_default();
                    let defined = u16_at(symbol, 6).is_some_and(|section| section != 0);
                    let list = if defined { &mut found.exported } else { &mut found.imported };
                    if !name.is_empty() {
                        list.push(name);
                    }
                }
            }
            Some(SECTION_DYNAMIC) => {
                let (Some(entries), Some(names)) = (body(file, table), linked()) else { continue };
                for entry in entries.chunks_exact(16) {
                    let value = u64_at(entry, 8).unwrap_or_default();
                    match u64_at(entry, 0) {
                        Some(DYNAMIC_NEEDED) => found.needed.extend(text(names, value)),
                        Some(DYNAMIC_FLAGS) => found.static_tls |= value & FLAG_STATIC_TLS != 0,
                        Some(_) | None => {}
                    }
                }
            }
            Some(_) | None => {}
        }
    }
    for list in [&mut found.exported, &mut found.imported] {
        list.sort();
        list.dedup();
    }
    found
}

fn text(names: &[u8], at: u64) -> Option<String> {
    let rest = names.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

struct Header {
    class: u8,
    data: u8,
    kind: u16,
    machine: u16,
    programs_off: u64,
    sections_off: u64,
    program_size: u16,
    programs: u16,
    section_size: u16,
    sections: u16,
}

impl Header {
    /// Reads the 64-bit layout; for a 32-bit file only class, type and machine mean anything.
    fn read(file: &[u8]) -> Option<Self> {
        Some(Self {
            class: *file.get(4)?,
            data: *file.get(5)?,
            kind: u16_at(file, 16)?,
            machine: u16_at(file, 18)?,
            programs_off: u64_at(file, 32)?,
            sections_off: u64_at(file, 40)?,
            program_size: u16_at(file, 54)?,
            programs: u16_at(file, 56)?,
            section_size: u16_at(file, 58)?,
            sections: u16_at(file, 60)?,
        })
    }
}

fn body<'a>(file: &'a [u8], section: &[u8]) -> Option<&'a [u8]> {
    slice(file, u64_at(section, 24)?, u64_at(section, 32)?)
}

fn extent(offset: u64, size: u64) -> u64 {
    offset.saturating_add(size)
}

fn slice(file: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    file.get(start..end)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

const fn machine_here() -> u16 {
    if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "riscv64") {
        243
    } else {
        0
    }
}

fn machine_name(machine: u16, class: u8, data: u8) -> String {
    let name = match machine {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv",
        other => return format!("machine {other}"),
    };
    match (class, data) {
        (1, _) => format!("{name} (32 bit)"),
        (_, 2) => format!("{name} (big endian)"),
        (_, _) => name.to_owned(),
    }
}
