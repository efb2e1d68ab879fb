//! Calling a plugin as a host does, but with every part of the interface in the hands of the check: structs of a newer
//! host, sinks that move, stay or refuse to grow, and everything that the plugin says.

use std::ffi::c_void;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linli_plugin_abi as abi;
use linli_plugin_abi::encode;

use super::watch::Computed;
use super::{Case, Stop};
use crate::instance::Question;
use crate::library::{self, Library, copied};
use crate::manifest::{Interface, Manifest};

/// Longest text that is taken from a plugin, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Records behind `cap` that must stay as they are.
const GUARD: usize = 16;
const UNTOUCHED: abi::Finding = abi::Finding {
    resident: 0x5AA5_5AA5,
    kind: 0x5A,
    basis: 0xA5,
    ordinal: 0x5AA5,
    reason: 0xA55A,
    reserved_a: 0x5AA5,
    since: 0x5AA5_5AA5,
    until: 0x5AA5_5AA5,
    reserved_b: 0x5AA5_5AA5,
};

/// A linked library and what it declares.
pub(super) struct Subject {
    pub(super) library: Library,
    pub(super) manifest: Manifest,
}

impl Subject {
    /// Links the library into this process.
    pub(super) fn link(path: &Path) -> Result<Self, String> {
        let file = library::read(path).map_err(|refusal| refusal.reason)?;
        let sealed = library::seal(&file).map_err(|refusal| refusal.reason)?;
        let library = library::link(sealed.memory).map_err(|refusal| refusal.reason)?;
        let manifest = Manifest::parse(&library.manifest).map_err(|errors| errors.to_string())?;
        Ok(Self { library, manifest })
    }

    /// As [`Subject::link`], for rules of `linli.rules/1`: those of other plugins are not looked at.
    pub(super) fn of_rules(case: &Case) -> Result<Self, Stop> {
        let subject = Self::link(&case.library)?;
        if subject.manifest.interfaces.contains(&Interface::Rules) {
            return Ok(subject);
        }
        Err(Stop::NotRun(format!("its manifest does not list `{}`", abi::IF_RULES)))
    }

    /// What the entry returns to a host of this version.
    pub(super) fn entry(&self, major: u32, minor: u32) -> Option<&'static abi::Plugin> {
        // SAFETY: [load]; constant data of a library that is never unloaded, whose first answer was checked.
        let plugin = unsafe { (self.library.entry)(major, minor) };
        // SAFETY: as above.
        if plugin.is_null() || !plugin.is_aligned() { None } else { Some(unsafe { &*plugin }) }
    }

    /// What `describe` tells now: manifest, build info, and its reserved member.
    pub(super) fn describe(&self) -> Result<(String, String, u32), String> {
        let description = self.description()?;
        let (manifest, build_info) = (description.manifest, description.build_info);
        // SAFETY: constant data by the contract; the first answer was checked.
        let texts = unsafe { [copied(manifest.ptr, manifest.len), copied(build_info.ptr, build_info.len)] };
        let [manifest, build_info] = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((manifest, build_info, description.reserved))
    }

    /// The bytes of `build_info`.
    pub(super) fn build_info(&self) -> Result<Vec<u8>, String> {
        let build_info = self.description()?.build_info;
        // SAFETY: constant data by the contract; the first answer was checked.
        Ok(unsafe { copied(build_info.ptr, build_info.len) })
    }

    fn description(&self) -> Result<&'static abi::Description, String> {
        let describe = self.library.plugin.describe.ok_or("the entry lacks `describe`")?;
        // SAFETY: [load], no argument.
        let description = unsafe { describe() };
        if description.is_null() || !description.is_aligned() {
            return Err("`describe` gives nothing usable".to_owned());
        }
        // SAFETY: constant data for ever by the contract, of a size that was checked at first.
        Ok(unsafe { &*description })
    }

    /// What a plugin of rules needs for a call of its functions.
    pub(super) fn create(&self) -> Result<Live<'_>, String> {
        self.create_on(false)
    }

    /// As [`Subject::create`], on a host whose structs have more members where `larger`.
    pub(super) fn create_on(&self, larger: bool) -> Result<Live<'_>, String> {
        let mut host = Box::new(Larger {
            known: abi::Host {
                struct_size: size_of::<abi::Host>() as u32,
                abi_major: abi::ABI_MAJOR,
                abi_minor: abi::ABI_MINOR,
                reserved: 0,
                ctx: ptr::null_mut(),
                log: Some(log),
                get_interface: Some(no_interface),
            },
            more: MORE,
        });
        let said: Box<Said> = Box::default();
        host.known.ctx = ptr::from_ref::<Said>(&said).cast_mut().cast();
        if larger {
            host.known.struct_size = size_of::<Larger<abi::Host>>() as u32;
            host.known.abi_minor = abi::ABI_MINOR + 1;
        }
        let mut errors = Vec::new();
        let never = AtomicU32::new(0);
        let call = call(&never, 0, larger, &mut errors);
        let mut raw = ptr::null_mut();
        let create = self.library.plugin.create.ok_or("the entry lacks `create`")?;
        // SAFETY: all pointers are valid for the call, `host` until `destroy` has returned.
        let status = unsafe {
            create(&raw const host.known, &raw const call.known, abi::Bytes::new(&[]), &raw mut raw)
        };
        if status != abi::OK {
            return Err(format!("`create` returned {status}: {}", shown(&errors)));
        }
        if raw.is_null() {
            return Err("`create` returned LINLI_OK and gave no instance".to_owned());
        }
        Ok(Live { subject: self, raw, _host: host, said })
    }
}

/// An instance.
pub(super) struct Live<'s> {
    subject: &'s Subject,
    raw: *mut abi::Instance,
    _host: Box<Larger<abi::Host>>,
    said: Box<Said>,
}

// SAFETY: [one]: an instance may be called from any thread, one call at a time; `Live` is not `Sync`.
unsafe impl Send for Live<'_> {}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(destroy) = self.subject.library.plugin.destroy {
            // SAFETY: `raw` came from create and is not used afterwards.
            unsafe { destroy(self.raw) };
        }
    }
}

impl Live<'_> {
    /// What the plugin declares.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.subject.manifest
    }

    /// What the plugin's functions take.
    pub(super) fn raw(&self) -> *mut abi::Instance {
        self.raw
    }

    /// Asks for an interface by bytes, which need not be text.
    pub(super) fn interface(&self, id: &[u8]) -> *const c_void {
        let id = abi::Str { ptr: id.as_ptr(), len: id.len() };
        self.subject.library.plugin.get_interface.map_or(ptr::null(), |get_interface| {
            // SAFETY: `raw` is a live instance; the id lives until the call returns.
            unsafe { get_interface(self.raw, id) }
        })
    }

    /// The functions of `linli.rules/1`, or why they are none.
    pub(super) fn rules(&self) -> Result<&'static abi::Rules, String> {
        let rules = self.interface(abi::IF_RULES.as_bytes()).cast::<abi::Rules>();
        if rules.is_null() || !rules.is_aligned() {
            return Err(format!("`get_interface` gives nothing for `{}`", abi::IF_RULES));
        }
        // SAFETY: constant data of a library that is never unloaded; `struct_size` comes first in every version.
        let size = unsafe { (*rules).struct_size } as usize;
        if size < size_of::<abi::Rules>() {
            return Err(format!("its `linli_rules` has {size} bytes, not {}", size_of::<abi::Rules>()));
        }
        // SAFETY: as above, and the struct covers every member of 1.0.
        let rules = unsafe { &*rules };
        if rules.assess.is_none() || rules.validate.is_none() {
            return Err("its `linli_rules` lacks a function".to_owned());
        }
        Ok(rules)
    }

    /// Asks about a batch with everything as usual.
    pub(super) fn ask(&self, question: Question, batch: &encode::Batch) -> Answer {
        self.ask_at(question, batch.as_ptr(), batch.rows(), &Ask::default())
    }

    /// Asks about the batch at an address.
    pub(super) fn ask_at(
        &self,
        question: Question,
        batch: *const abi::BatchHeader,
        rows: u32,
        ask: &Ask<'_>,
    ) -> Answer {
        let function = self.rules().ok().and_then(|rules| match question {
            Question::Assess => rules.assess,
            Question::Validate => rules.validate,
        });
        let Some(function) = function else {
            return Answer { status: abi::E_UNSUPPORTED, ..Answer::default() };
        };
        let never = AtomicU32::new(0);
        let mut errors = Vec::new();
        let call = call(ask.cancel.unwrap_or(&never), ask.budget_ms, ask.larger, &mut errors);
        let most = rows.saturating_mul(64).saturating_add(64);
        let cap = ask.cap.unwrap_or(most);
        let mut memory = Memory {
            items: untouched(if ask.growth == Growth::Moves { cap } else { most.max(cap) }),
            before: Vec::new(),
            cap,
            growth: ask.growth,
            answer: Answer::default(),
        };
        let items = memory.items.as_mut_ptr();
        let ctx = (&raw mut memory).cast();
        let item_size = ask.item_size.unwrap_or(size_of::<abi::Finding>() as u32);
        let struct_size = if ask.larger { size_of::<Larger<abi::Sink>>() } else { size_of::<abi::Sink>() };
        let known = abi::Sink {
            struct_size: struct_size as u32,
            item_size,
            ctx,
            items,
            cap,
            len: 0,
            grow: Some(grow),
        };
        let mut sink = Larger { known, more: MORE };
        if let Some(begins) = ask.begins {
            begins.store(true, Ordering::Release);
        }
        // Only where it is wanted: reading the clock is a system call.
        let computed = || ask.begins.map(|_| Computed::of_this_thread().now()).unwrap_or_default();
        let begun = computed();
        // SAFETY: all pointers are valid for the call; only this thread uses the instance.
        let status = unsafe { function(self.raw, &raw const call.known, batch, &raw mut sink.known) };
        let ended = computed();
        memory.look(sink.known.len);
        memory.look_back();
        let mut answer = memory.answer;
        if sink.known.items != memory.items.as_mut_ptr() || sink.known.cap != memory.cap {
            answer.spoiled.get_or_insert("it changed `items` or `cap` of the sink".to_owned());
        }
        if sink.known.len > memory.cap {
            let text = format!("it set `len` to {} where `cap` is {}", sink.known.len, memory.cap);
            answer.spoiled.get_or_insert(text);
        }
        if sink.more != MORE || call.more != MORE {
            answer.spoiled.get_or_insert("it wrote behind a struct of the host".to_owned());
        }
        memory.items.truncate(sink.known.len.min(memory.cap) as usize);
        answer.records = memory.items;
        answer.status = status;
        answer.errors = errors;
        answer.computed = (begun, ended);
        answer
    }

    /// Everything that the plugin wrote to the log: level and bytes.
    pub(super) fn log(&self) -> Vec<(u32, Vec<u8>)> {
        self.said.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a call is made.
#[derive(Default)]
pub(super) struct Ask<'a> {
    /// Records for which there is room at first; `None`: for all of them.
    pub(super) cap: Option<u32>,
    pub(super) growth: Growth,
    pub(super) item_size: Option<u32>,
    /// Structs with more members than ABI 1.0 has.
    pub(super) larger: bool,
    pub(super) cancel: Option<&'a AtomicU32>,
    /// Set when everything is ready and the plugin begins.
    pub(super) begins: Option<&'a AtomicBool>,
    pub(super) budget_ms: u32,
}

/// What the sink does when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Growth {
    /// It grows where it is.
    #[default]
    Stays,
    /// It grows and moves; what was before is watched.
    Moves,
    /// It does not grow.
    Refuses,
}

/// What came of a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: abi::Status,
    pub(super) records: Vec<abi::Finding>,
    /// What it gave as reasons of a failure, byte for byte.
    pub(super) errors: Vec<Vec<u8>>,
    /// How often it asked for room.
    pub(super) grown: u32,
    /// How often it asked for less room than it has.
    pub(super) asked_too_little: bool,
    /// What it did to the sink that it may not do.
    pub(super) spoiled: Option<String>,
    /// What the thread had computed when the plugin began, and when it had ended; measured where [`Ask::begins`] is.
    pub(super) computed: (Duration, Duration),
}

impl Answer {
    /// Its records in an order that does not depend on how they were found.
    pub(super) fn sorted(mut self) -> Vec<abi::Finding> {
        self.records.sort_unstable_by_key(key);
        self.records
    }

    /// The texts of its errors, for a message.
    pub(super) fn said(&self) -> String {
        shown(&self.errors)
    }
}

/// Everything about a record, as a key to sort by.
pub(super) fn key(record: &abi::Finding) -> (u32, u8, u16, u16, i32, i32, u8, u16, u32) {
    let abi::Finding { resident, kind, basis, ordinal, reason, reserved_a, since, until, reserved_b } =
        *record;
    (resident, kind, ordinal, reason, since, until, basis, reserved_a, reserved_b)
}

pub(super) fn shown(errors: &[Vec<u8>]) -> String {
    errors.last().map_or_else(
        || "it gave no message".to_owned(),
        |bytes| {
            String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        },
    )
}

/// A struct of a host that is newer: members follow that ABI 1.0 does not know.
#[repr(C)]
pub(super) struct Larger<T> {
    pub(super) known: T,
    pub(super) more: [u64; 4],
}

pub(super) const MORE: [u64; 4] = [0xA5A5_A5A5_A5A5_A5A5; 4];

/// What a plugin writes to the log.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<(u32, Vec<u8>)>>,
}

/// The memory behind a sink.
struct Memory {
    items: Vec<abi::Finding>,
    before: Vec<(Vec<abi::Finding>, usize)>,
    cap: u32,
    growth: Growth,
    answer: Answer,
}

impl Memory {
    /// Whether what lies beyond `cap` is untouched.
    fn look(&mut self, len: u32) {
        let behind = self.items.get(self.cap as usize..).unwrap_or_default();
        if behind.iter().any(|record| *record != UNTOUCHED) {
            let text = format!("it wrote beyond the sink: `cap` is {}, `len` is {len}", self.cap);
            self.answer.spoiled.get_or_insert(text);
        }
    }

    /// Whether what was given up stays as it was.
    fn look_back(&mut self) {
        let stale = |(items, cap): &(Vec<abi::Finding>, usize)| {
            items.iter().skip(*cap).any(|record| *record != UNTOUCHED)
        };
        if self.before.iter().any(stale) {
            let text = "it wrote to `items` as they were before `grow` moved them".to_owned();
            self.answer.spoiled.get_or_insert(text);
        }
    }
}

fn untouched(cap: u32) -> Vec<abi::Finding> {
    vec![UNTOUCHED; cap as usize + GUARD]
}

unsafe extern "C" fn grow(sink: *mut abi::Sink, at_least: u32) -> abi::Status {
    // SAFETY: a plugin calls this during its call with the sink it was given, whose `ctx` is our memory.
    let (sink, memory) = unsafe { (&mut *sink, &mut *(*sink).ctx.cast::<Memory>()) };
    memory.look(sink.len);
    memory.answer.grown += 1;
    memory.answer.asked_too_little |= at_least <= memory.cap;
    let wanted = at_least.max(memory.cap.saturating_add(1));
    match memory.growth {
        Growth::Refuses => return abi::E_FULL,
        Growth::Stays if wanted as usize + GUARD > memory.items.len() => return abi::E_FULL,
        Growth::Stays => {}
        Growth::Moves => {
            // A plugin may ask for one record after the other: what it wrote is copied as a whole.
            let mut items = Vec::with_capacity(wanted as usize + GUARD);
            items.extend_from_slice(memory.items.get(..memory.cap as usize).unwrap_or_default());
            items.resize(wanted as usize + GUARD, UNTOUCHED);
            let old = std::mem::replace(&mut memory.items, items);
            memory.before.push((old, memory.cap as usize));
            sink.items = memory.items.as_mut_ptr();
        }
    }
    memory.cap = wanted;
    sink.cap = wanted;
    abi::OK
}

pub(super) fn call(
    cancel: &AtomicU32,
    budget_ms: u32,
    larger: bool,
    errors: &mut Vec<Vec<u8>>,
) -> Larger<abi::Call> {
    let struct_size = if larger { size_of::<Larger<abi::Call>>() } else { size_of::<abi::Call>() };
    let known = abi::Call {
        struct_size: struct_size as u32,
        budget_ms,
        cancel: cancel.as_ptr(),
        ctx: ptr::from_mut(errors).cast(),
        error: Some(error),
    };
    Larger { known, more: MORE }
}

unsafe extern "C" fn error(call: *const abi::Call, message: abi::Str) {
    // SAFETY: a plugin calls this during its call with the call it was given, whose `ctx` is our list of texts.
    unsafe {
        let errors = &mut *(*call).ctx.cast::<Vec<Vec<u8>>>();
        errors.push(copied(message.ptr, message.len.min(TEXT_BYTES_MAX)));
    }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: abi::Str) {
    // SAFETY: `ctx` is what the instance's host was given, which lives until `destroy` has returned.
    let (said, text) =
        unsafe { (&*ctx.cast::<Said>(), copied(message.ptr, message.len.min(TEXT_BYTES_MAX))) };
    said.lines.lock().unwrap_or_else(PoisonError::into_inner).push((level, text));
}

unsafe extern "C" fn no_interface(_: *mut c_void, _: abi::Str) -> *const c_void {
    ptr::null()
}
