//! Opening a library: sealed in memory, hashed there, linked from there, and checked in everything that the entry returns.
//!
//! The file is linked from a sealed memory file and not by its path: the dynamic linker would give the old code for a
//! file that was replaced under the same name, a file that is written to while it is mapped ends the process, and what
//! was hashed would not have to be what is loaded. The memory file stays open for ever, because the linker also
//! recognises libraries by the number of their descriptor.

use std::ffi::{CStr, c_void};
use std::fs::File;
use std::io::Write;
use std::mem::{ManuallyDrop, offset_of};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library as Linked, RTLD_LOCAL, RTLD_NOW};
use linli_plugin_abi as abi;
use rustix::fs::{MemfdFlags, SealFlags};
use sha2::{Digest, Sha256};

use crate::elf::{self, Refusal};
use crate::error::LoadCause;
use crate::manifest::MANIFEST_BYTES_MAX;
use crate::trust::{self, Rights};

/// Largest library file: debug builds of the bundled ones take a fiftieth of it.
pub(crate) const LIBRARY_BYTES_MAX: u64 = 512 * 1024 * 1024;
const RTLD_NODELETE: i32 = libc::RTLD_NODELETE;
const ENTRY: &CStr = c"linli_plugin_entry_v1";

/// A linked library whose entry was checked. Never unloaded.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) entry: abi::EntryFn,
    pub(crate) plugin: &'static abi::Plugin,
    /// The plugin's id once its manifest was read; for the log.
    pub(crate) name: String,
    /// The manifest that it carries.
    pub(crate) manifest: String,
    pub(crate) build_info: String,
    /// Where its lines for the log go: plugin, level, text.
    pub(crate) log: fn(&Library, u32, &str),
}

/// A copy of a library's file in memory that nobody can change any more.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) memory: OwnedFd,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub(crate) digest: String,
}

/// Reads a library that its author looks at, whoever owns it; without running anything of it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let file = trust::read_path(path, LIBRARY_BYTES_MAX, Rights::Any)?;
    elf::check(&file)?;
    is_plugin(&file)?;
    Ok(file)
}

/// Whether a library that passed [`elf::check`] could be a plugin.
pub(crate) fn is_plugin(file: &[u8]) -> Result<(), Refusal> {
    if elf::exports(file, abi::ENTRY_SYMBOL) {
        return Ok(());
    }
    let reason = format!("the library does not export `{}`", abi::ENTRY_SYMBOL);
    let help = "it is not a Linli plugin, or not of this generation: export the entry with the SDK's `export_plugin!`";
    Err(Refusal::new(LoadCause::NotAPlugin, reason, help))
}

/// Copies a library into memory, seals the copy and hashes that: what is hashed is what is linked.
pub(crate) fn seal(file: &[u8]) -> Result<Sealed, Refusal> {
    let sealed = sealed(file).and_then(|memory| Ok((digest_of_file(&memory)?, memory)));
    let (digest, memory) = sealed.map_err(|error| {
        let reason = format!("a sealed copy in memory cannot be made: {error}");
        Refusal::new(LoadCause::Unreadable, reason, "allow memfd_create to the service")
    })?;
    Ok(Sealed { memory: memory.into(), digest })
}

/// Links a sealed library into this process and checks its entry. Runs the library's constructors and `describe`.
pub(crate) fn link(memory: OwnedFd) -> Result<Library, Refusal> {
    let entry = open(memory)?;
    // SAFETY: the symbol has the type that the interface gives it; the library stays loaded for ever.
    let plugin = unsafe { entry(abi::ABI_MAJOR, abi::ABI_MINOR) };
    let plugin = checked(plugin)?;
    let (manifest, build_info) = described(plugin)?;
    Ok(Library { entry, plugin, name: String::new(), manifest, build_info, log: trace })
}

/// Writes a line to this process's own log.
fn trace(library: &Library, level: u32, text: &str) {
    logged(&library.name, level, text);
}

/// A plugin's line in the log.
pub(crate) fn logged(plugin: &str, level: u32, text: &str) {
    match level {
        abi::LOG_ERROR => tracing::error!(%plugin, "{text}"),
        abi::LOG_WARN => tracing::warn!(%plugin, "{text}"),
        abi::LOG_INFO => tracing::info!(%plugin, "{text}"),
        _ => tracing::debug!(%plugin, "{text}"),
    }
}

/// SHA-256, in lower-case hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn digest_of_file(file: &File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut part, at)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(part.get(..read).unwrap_or_default());
        at += read as u64;
    }
}

fn sealed(file: &[u8]) -> std::io::Result<File> {
    let memory = rustix::fs::memfd_create("linli-plugin", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut writer = File::from(memory);
    writer.write_all(file)?;
    rustix::fs::fcntl_add_seals(
        &writer,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(writer)
}

/// Links the memory file and finds the entry, which must belong to this very library.
fn open(memory: OwnedFd) -> Result<abi::EntryFn, Refusal> {
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    // Never closed: see the top of the file.
    let _open_for_ever = ManuallyDrop::new(memory);
    // SAFETY: loading runs the library's constructors; which libraries are trusted for that is the operator's decision.
    let linked =
        unsafe { Linked::open(Some(&path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }.map_err(|error| {
            let reason = format!("the dynamic linker refuses it: {}", cause(&error));
            Refusal::new(LoadCause::Linker, reason, "build it on a system that is not newer than this one")
        })?;
    // SAFETY: the type is that of the interface; it is checked below that the symbol is the library's own.
    let entry = unsafe { linked.get::<abi::EntryFn>(ENTRY) }.map(|symbol| *symbol).map_err(|error| {
        let reason = format!("`{}` cannot be found: {}", abi::ENTRY_SYMBOL, cause(&error));
        Refusal::new(LoadCause::NotAPlugin, reason, "export the entry with the SDK's `export_plugin!`")
    })?;
    let handle = linked.into_raw(); // never closed
    if base_of_handle(handle).is_none() || base_of_handle(handle) != base_of_symbol(entry as *const c_void) {
        let reason = format!("its `{}` belongs to another library", abi::ENTRY_SYMBOL);
        return Err(Refusal::new(LoadCause::NotAPlugin, reason, "link the plugin without other plugins"));
    }
    Ok(entry)
}

/// What the linker itself says.
fn cause(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn base_of_symbol(symbol: *const c_void) -> Option<usize> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: `info` is a valid place for the answer; the symbol's address is only compared.
    let found = unsafe { libc::dladdr(symbol, &raw mut info) };
    (found != 0).then_some(info.dli_fbase as usize)
}

/// The first members of glibc's `struct link_map`, which are its public part.
#[repr(C)]
struct LinkMap {
    base: usize,
    _name: *const libc::c_char,
}

fn base_of_handle(handle: *mut c_void) -> Option<usize> {
    let mut map: *const LinkMap = ptr::null();
    // SAFETY: RTLD_DI_LINKMAP stores a pointer to the handle's link map, which lives as long as the library.
    unsafe {
        let status = libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast());
        (status == 0 && !map.is_null()).then(|| (*map).base)
    }
}

/// The end of the last member of ABI 1.0.
const PLUGIN_SIZE_1_0: usize = offset_of!(abi::Plugin, get_interface) + size_of::<usize>();
const DESCRIPTION_SIZE_1_0: usize = offset_of!(abi::Description, build_info) + size_of::<abi::Str>();

fn checked(plugin: *const abi::Plugin) -> Result<&'static abi::Plugin, Refusal> {
    let wrong = |reason: String| {
        let help = format!(
            "build it against linli-plugin-sdk with ABI {}.x, or use a version of Linli that speaks its ABI",
            abi::ABI_MAJOR
        );
        Refusal::new(LoadCause::WrongAbi, reason, help)
    };
    let here = format!("this host speaks {}.0 to {}.{}", abi::ABI_MAJOR, abi::ABI_MAJOR, abi::ABI_MINOR);
    if plugin.is_null() || !plugin.is_aligned() {
        return Err(wrong(format!(
            "it does not support this host: its entry returned nothing usable; {here}"
        )));
    }
    // SAFETY: non-null, aligned, and constant data for ever by the contract of the entry. The members up to
    // `struct_size` exist in every version; nothing behind is read before the size is known.
    let (magic, size, major, minor) = unsafe {
        ((*plugin).magic, (*plugin).struct_size as usize, (*plugin).abi_major, (*plugin).abi_minor)
    };
    if magic != abi::PLUGIN_MAGIC {
        return Err(wrong(format!(
            "its entry has the magic number {magic:#018x}, not {:#018x}",
            abi::PLUGIN_MAGIC
        )));
    }
    if major != abi::ABI_MAJOR {
        return Err(wrong(format!("it speaks plugin ABI {major}.{minor}; {here}")));
    }
    if size < PLUGIN_SIZE_1_0 {
        return Err(wrong(format!(
            "its entry has {size} bytes; ABI {major}.{minor} has at least {PLUGIN_SIZE_1_0}"
        )));
    }
    // SAFETY: as above, and the struct covers every member of 1.0.
    let plugin = unsafe { &*plugin };
    let unknown = plugin.flags & !(abi::P_ISOLATED_ONLY | abi::P_THREADS);
    if unknown != 0 {
        return Err(wrong(format!("it sets the flags {unknown:#x}, which are unknown; {here}")));
    }
    if plugin.describe.is_none()
        || plugin.create.is_none()
        || plugin.destroy.is_none()
        || plugin.get_interface.is_none()
    {
        return Err(wrong("its entry lacks a function".to_owned()));
    }
    Ok(plugin)
}

fn described(plugin: &abi::Plugin) -> Result<(String, String), Refusal> {
    let wrong =
        |reason: &str| Refusal::new(LoadCause::WrongAbi, reason, "build it again with linli-plugin-sdk");
    let describe = plugin.describe.ok_or_else(|| wrong("its entry lacks a function"))?;
    // SAFETY: [load], no argument; the answer is constant data for ever by the contract.
    let description = unsafe { describe() };
    if description.is_null() || !description.is_aligned() {
        return Err(wrong("its `describe` returned nothing usable"));
    }
    // SAFETY: non-null and aligned; `struct_size` is the first member of every version.
    let size = unsafe { (*description).struct_size } as usize;
    if size < DESCRIPTION_SIZE_1_0 {
        return Err(wrong(&format!(
            "its description has {size} bytes; at least {DESCRIPTION_SIZE_1_0} are needed"
        )));
    }
    // SAFETY: as above, and the struct covers every member of 1.0.
    let description = unsafe { &*description };
    if description.manifest.len > MANIFEST_BYTES_MAX || description.build_info.len > MANIFEST_BYTES_MAX {
        return Err(wrong(&format!("its manifest is larger than {MANIFEST_BYTES_MAX} bytes")));
    }
    // SAFETY: bounded constant data by the contract.
    let manifest = unsafe { copied(description.manifest.ptr, description.manifest.len) };
    // SAFETY: as above.
    let build_info = unsafe { copied(description.build_info.ptr, description.build_info.len) };
    let manifest = String::from_utf8(manifest).map_err(|_| wrong("its manifest is not UTF-8"))?;
    Ok((manifest, String::from_utf8_lossy(&build_info).into_owned()))
}

/// # Safety
/// `ptr` is valid for `len` bytes, unless it is null or `len` is 0.
pub(crate) unsafe fn copied(ptr: *const u8, len: usize) -> Vec<u8> {
    if ptr.is_null() || len == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(ptr, len) }.to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
