//! The binary interface between Linli and its plugins, in Rust.
//!
//! The reference is the C header `include/linli_plugin.h`: lifetimes, threads, order of calls and errors are
//! written there. This crate mirrors its types and numbers (a test compiles the header and compares), and holds the
//! one [`encode`]r of batches and the one reader of [`scenario`] tables. It has no dependency. Authors of plugins use `linli-plugin-sdk` instead.

#![allow(unsafe_code)] // raw views of plain-old-data slices in `encode`; everything else here is declarations

pub mod encode;
pub mod scenario;

use core::ffi::c_void;

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("the plugin interface is defined for 64-bit little-endian platforms only");

/// The bytes `LINLIPG1` as a little-endian number.
pub const PLUGIN_MAGIC: u64 = u64::from_le_bytes(*b"LINLIPG1");
/// ABI major: a plugin with another one is not loaded.
pub const ABI_MAJOR: u32 = 1;
/// ABI minor: additions only; each side uses the smaller of the two.
pub const ABI_MINOR: u32 = 0;
/// Name of the one symbol that a plugin exports.
pub const ENTRY_SYMBOL: &str = "linli_plugin_entry_v1";
/// Id of the interface [`Rules`].
pub const IF_RULES: &str = "linli.rules/1";
/// Id of the interface [`Connector`].
pub const IF_CONNECTOR: &str = "linli.connector/1";

/// Result of a call; `0` is success.
pub type Status = i32;
/// Success.
pub const OK: Status = 0;
/// The input breaks the interface.
pub const E_INVALID: Status = 1;
/// Not implemented by this plugin.
pub const E_UNSUPPORTED: Status = 2;
/// The sink did not grow.
pub const E_FULL: Status = 3;
/// The host asked to stop.
pub const E_CANCELLED: Status = 4;
/// Not possible for now.
pub const E_UNAVAILABLE: Status = 5;
/// Refused for good by the other side.
pub const E_REFUSED: Status = 6;
/// The configuration is not acceptable.
pub const E_CONFIG: Status = 7;
/// A defect that the plugin noticed itself.
pub const E_INTERNAL: Status = 100;
/// A panic was caught.
pub const E_PANIC: Status = 101;

/// Plugin flag: may run in a child process only.
pub const P_ISOLATED_ONLY: u32 = 1;
/// Plugin flag: starts threads of its own.
pub const P_THREADS: u32 = 2;

/// Log level of detail for developers.
pub const LOG_DEBUG: u32 = 1;
/// Log level of ordinary news.
pub const LOG_INFO: u32 = 2;
/// Log level of something to look at.
pub const LOG_WARN: u32 = 3;
/// Log level of something broken.
pub const LOG_ERROR: u32 = 4;

/// The bytes `LNLB` as a little-endian number.
pub const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"LNLB");
/// Version of the batch layout.
pub const BATCH_VERSION: u16 = 1;

/// Column of `u8`, 0 or 1.
pub const T_BOOL: u16 = 1;
/// Column of `i64`.
pub const T_INTEGER: u16 = 2;
/// Column of `i32`: days since 1970-01-01.
pub const T_DATE: u16 = 3;
/// Column of `u32`: ordinal in the field's values.
pub const T_CODE: u16 = 4;
/// Column of UTF-8 text with offsets.
pub const T_TEXT: u16 = 5;
/// Column flag: one element, which holds for every row.
pub const COL_CONSTANT: u16 = 1;

/// The first date that an answer may hold, 1850-01-01, in days since 1970-01-01.
pub const DATE_FIRST: i32 = -43_829;
/// The last date that an answer may hold, 2199-12-31. What would lie after it is left out.
pub const DATE_LAST: i32 = 84_005;
/// No date given.
pub const NO_DATE: i32 = i32::MIN;
/// No reason given.
pub const NO_REASON: u16 = u16::MAX;

/// Finding: the resident belongs to a group.
pub const F_MEMBERSHIP: u8 = 1;
/// Finding: the attention that the resident needs (0 general, 1 key, 2 high).
pub const F_TIER: u8 = 2;
/// Finding: a tag.
pub const F_TAG: u8 = 3;
/// Finding: a caution for whoever makes contact.
pub const F_CAUTION: u8 = 4;
/// Finding: the day from which the answer may be wrong.
pub const F_EXPIRES: u8 = 5;
/// Finding: a fact is not acceptable.
pub const F_ISSUE: u8 = 6;

/// Membership by the plugin's rule.
pub const BASIS_RULE: u8 = 0;
/// Membership because it was declared.
pub const BASIS_DECLARED: u8 = 1;
/// Membership by a certificate that was seen.
pub const BASIS_CERTIFICATE: u8 = 2;

/// Connector operation: deliver a referral.
pub const OP_DELIVER: u32 = 1;
/// Connector operation: poll for acknowledgements.
pub const OP_POLL: u32 = 2;
/// Connector operation: pull a roster.
pub const OP_PULL_ROSTER: u32 = 3;
/// Connector operation: see whether the other side answers.
pub const OP_PROBE: u32 = 4;

/// `linli_str`: borrowed UTF-8 text.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Str {
    /// First byte; may be null if `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

impl Str {
    /// The C view of a text.
    pub const fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }
}

/// `linli_bytes`: borrowed bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// First byte; may be null if `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

impl Bytes {
    /// The C view of a slice.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }
}

/// `linli_host`: what the host offers; valid from create until destroy has returned.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// The host's [`ABI_MAJOR`].
    pub abi_major: u32,
    /// The host's [`ABI_MINOR`].
    pub abi_minor: u32,
    /// Zero.
    pub reserved: u32,
    /// First argument of the callbacks.
    pub ctx: *mut c_void,
    /// Writes a line to the host's log.
    pub log: Option<unsafe extern "C" fn(ctx: *mut c_void, level: u32, message: Str)>,
    /// An interface of the host by id.
    pub get_interface: Option<unsafe extern "C" fn(ctx: *mut c_void, id: Str) -> *const c_void>,
}

/// `linli_call`: one call, its cancel flag and where to say why it failed.
#[repr(C)]
#[derive(Debug)]
pub struct Call {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// How long the host waits in total, in milliseconds; 0: not limited.
    pub budget_ms: u32,
    /// Not 0: return [`E_CANCELLED`] soon.
    pub cancel: *const u32,
    /// The host's own.
    pub ctx: *mut c_void,
    /// Takes the text of an error.
    pub error: Option<unsafe extern "C" fn(call: *const Call, message: Str)>,
}

/// `linli_instance`: the plugin's own; opaque to the host.
#[repr(C)]
#[derive(Debug)]
pub struct Instance {
    _opaque: [u8; 0],
}

/// `linli_exchange`: the plugin's own; one connector operation under way.
#[repr(C)]
#[derive(Debug)]
pub struct Exchange {
    _opaque: [u8; 0],
}

/// `linli_description`: the manifest that the library carries.
#[repr(C)]
#[derive(Debug)]
pub struct Description {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// Text of `plugin.toml`.
    pub manifest: Bytes,
    /// Compiler, SDK and version, for messages.
    pub build_info: Str,
}

/// `linli_plugin`: what the entry symbol returns.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    /// [`PLUGIN_MAGIC`].
    pub magic: u64,
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// [`ABI_MAJOR`] it was built for.
    pub abi_major: u32,
    /// [`ABI_MINOR`] it was built for.
    pub abi_minor: u32,
    /// `P_*` flags.
    pub flags: u32,
    /// The description.
    pub describe: Option<unsafe extern "C" fn() -> *const Description>,
    /// Makes an instance.
    pub create: Option<
        unsafe extern "C" fn(*const Host, *const Call, config: Bytes, out: *mut *mut Instance) -> Status,
    >,
    /// Ends an instance.
    pub destroy: Option<unsafe extern "C" fn(*mut Instance)>,
    /// An interface of an instance by id; null: not implemented.
    pub get_interface: Option<unsafe extern "C" fn(*mut Instance, id: Str) -> *const c_void>,
}

/// `linli_entry_fn`: type of the entry symbol.
pub type EntryFn = unsafe extern "C" fn(host_abi_major: u32, host_abi_minor: u32) -> *const Plugin;

/// `linli_batch`: header of a batch.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BatchHeader {
    /// [`BATCH_MAGIC`].
    pub magic: u32,
    /// [`BATCH_VERSION`].
    pub version: u16,
    /// Size of the writer's struct.
    pub header_size: u16,
    /// Bytes in all.
    pub total_size: u32,
    /// Residents.
    pub rows: u32,
    /// Declared fields.
    pub fields: u32,
    /// Declared parameters.
    pub parameters: u32,
    /// Where the columns are.
    pub columns_off: u32,
    /// Step from one column to the next.
    pub column_size: u16,
    /// Zero.
    pub reserved: u16,
}

/// `linli_column`: one column of a batch.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// `T_*`.
    pub kind: u16,
    /// `COL_*`.
    pub flags: u16,
    /// Elements.
    pub values_off: u32,
    /// Bitmap of rows with a value; 0: all.
    pub validity_off: u32,
    /// Offsets of text; 0 otherwise.
    pub offsets_off: u32,
    /// Dates from which the facts count; 0: always.
    pub since_off: u32,
    /// Zero.
    pub reserved: u32,
}

/// `linli_finding`: one statement about one resident.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Row of the batch.
    pub resident: u32,
    /// `F_*`.
    pub kind: u8,
    /// `BASIS_*`.
    pub basis: u8,
    /// Ordinal in the table that the kind names.
    pub ordinal: u16,
    /// Ordinal in the reasons, or [`NO_REASON`].
    pub reason: u16,
    /// Zero.
    pub reserved_a: u16,
    /// First day, or [`NO_DATE`].
    pub since: i32,
    /// First day no longer, or [`NO_DATE`].
    pub until: i32,
    /// Zero.
    pub reserved_b: u32,
}

/// `linli_sink`: the host's memory for findings.
#[repr(C)]
#[derive(Debug)]
pub struct Sink {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// Size of one item.
    pub item_size: u32,
    /// The host's own.
    pub ctx: *mut c_void,
    /// First item.
    pub items: *mut Finding,
    /// Items there is room for.
    pub cap: u32,
    /// Items written.
    pub len: u32,
    /// Makes room.
    pub grow: Option<unsafe extern "C" fn(*mut Sink, at_least: u32) -> Status>,
}

/// Type of [`Rules::assess`] and [`Rules::validate`].
pub type RulesFn = unsafe extern "C" fn(*mut Instance, *const Call, *const BatchHeader, *mut Sink) -> Status;

/// `linli_rules`: interface [`IF_RULES`].
#[repr(C)]
#[derive(Debug)]
pub struct Rules {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// What follows from the facts.
    pub assess: Option<RulesFn>,
    /// Which facts are not acceptable.
    pub validate: Option<RulesFn>,
}

/// `linli_buffer`: bytes made by the plugin, released by the host once.
#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    /// First byte.
    pub ptr: *mut u8,
    /// Length in bytes.
    pub len: usize,
    /// The plugin's own.
    pub owner: *mut c_void,
    /// Frees the buffer.
    pub release: Option<unsafe extern "C" fn(*mut Buffer)>,
}

/// `linli_connector`: interface [`IF_CONNECTOR`].
#[repr(C)]
#[derive(Debug)]
pub struct Connector {
    /// Size of the writer's struct.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// Begins an operation.
    pub start: Option<
        unsafe extern "C" fn(
            *mut Instance,
            *const Call,
            op: u32,
            request: Bytes,
            idempotency_key: Str,
            out: *mut *mut Exchange,
        ) -> Status,
    >,
    /// Takes the result of a step, gives the next.
    pub step:
        Option<unsafe extern "C" fn(*mut Exchange, *const Call, input: Bytes, out: *mut Buffer) -> Status>,
    /// Ends an operation.
    pub end: Option<unsafe extern "C" fn(*mut Exchange)>,
}
