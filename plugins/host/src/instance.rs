//! One instance of a plugin and one call on it: everything unsafe about calling is here.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::AtomicU32;

use linli_plugin_abi as abi;
use linli_plugin_abi::encode;

use crate::error::CallError;
use crate::library::{Library, copied};

/// Longest text taken from a plugin, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;
/// Records behind the sink that must stay as they are: a plugin that writes beyond `cap` is noticed there.
const GUARD: usize = 4;
const GUARD_RECORD: abi::Finding = abi::Finding {
    resident: 0xA5A5_A5A5,
    kind: 0xA5,
    basis: 0x5A,
    ordinal: 0xA55A,
    reason: 0x5AA5,
    reserved_a: 0xA55A,
    since: 0x5AA5_A55A,
    until: 0x5AA5_A55A,
    reserved_b: 0xA5A5_A5A5,
};

/// Which function of `linli.rules/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// What follows from the facts.
    Assess,
    /// Which facts are not acceptable.
    Validate,
}

/// What a call needs beside the batch.
pub(crate) struct CallSettings<'a> {
    pub(crate) cancel: &'a AtomicU32,
    pub(crate) budget_ms: u32,
    /// Largest number of records that the sink grows to.
    pub(crate) records_max: u32,
}

/// An instance. It lives and dies on one host thread.
pub(crate) struct Instance {
    library: &'static Library,
    raw: *mut abi::Instance,
    rules: &'static abi::Rules,
    /// What `create` was given; it must live until `destroy` has returned.
    _host: Box<abi::Host>,
}

impl Instance {
    /// Makes an instance with the plugin's default configuration.
    pub(crate) fn create(library: &'static Library) -> Result<Self, CallError> {
        let host = Box::new(abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            reserved: 0,
            ctx: ptr::from_ref(library).cast_mut().cast(),
            log: Some(log),
            get_interface: Some(no_interface),
        });
        let mut errors = String::new();
        let cancel = AtomicU32::new(0);
        let call = call(&cancel, 0, &mut errors);
        let mut raw = ptr::null_mut();
        let create = library.plugin.create.ok_or_else(lacking)?;
        // SAFETY: all pointers are valid for the call, `host` until `destroy` has returned.
        let status = unsafe { create(&raw const *host, &raw const call, abi::Bytes::new(&[]), &raw mut raw) };
        check(status, &errors)?;
        if raw.is_null() {
            return Err(CallError::Misbehaved { what: "create succeeded but gave no instance".to_owned() });
        }
        let Some(rules) = Self::rules(library, raw) else {
            if let Some(destroy) = library.plugin.destroy {
                // SAFETY: `raw` came from create and is not used afterwards.
                unsafe { destroy(raw) };
            }
            let what = format!("it does not implement `{}`, which its manifest lists", abi::IF_RULES);
            return Err(CallError::Misbehaved { what });
        };
        Ok(Self { library, raw, rules, _host: host })
    }

    fn rules(library: &'static Library, raw: *mut abi::Instance) -> Option<&'static abi::Rules> {
        let get_interface = library.plugin.get_interface?;
        // SAFETY: `raw` is a live instance; the id lives for ever.
        let rules = unsafe { get_interface(raw, abi::Str::new(abi::IF_RULES)) }.cast::<abi::Rules>();
        if rules.is_null() || !rules.is_aligned() {
            return None;
        }
        // SAFETY: interfaces are constant data of a library that is never unloaded; `struct_size` comes first.
        let covered = unsafe { (*rules).struct_size } as usize >= size_of::<abi::Rules>();
        // SAFETY: as above, and the struct covers every member of 1.0.
        let rules = unsafe { &*rules };
        (covered && rules.assess.is_some() && rules.validate.is_some()).then_some(rules)
    }

    /// Asks a question about a batch. The records are whole but not yet checked against the manifest.
    pub(crate) fn ask(
        &mut self,
        question: Question,
        batch: &encode::Batch,
        settings: &CallSettings<'_>,
    ) -> Result<Vec<abi::Finding>, CallError> {
        let function = match question {
            Question::Assess => self.rules.assess,
            Question::Validate => self.rules.validate,
        };
        let function = function.ok_or_else(lacking)?;
        let mut errors = String::new();
        let call = call(settings.cancel, settings.budget_ms, &mut errors);
        let room = batch.rows().saturating_mul(4).clamp(16, settings.records_max.max(16));
        let mut memory =
            Memory { records: guarded(room), cap: room, max: settings.records_max.max(room), broken: false };
        let mut sink = abi::Sink {
            struct_size: size_of::<abi::Sink>() as u32,
            item_size: size_of::<abi::Finding>() as u32,
            ctx: (&raw mut memory).cast(),
            items: memory.records.as_mut_ptr(),
            cap: room,
            len: 0,
            grow: Some(grow),
        };
        // SAFETY: all pointers are valid for the call; only this thread uses the instance.
        let status = unsafe { function(self.raw, &raw const call, batch.as_ptr(), &raw mut sink) };
        check(status, &errors)?;
        let intact =
            sink.items == memory.records.as_mut_ptr() && sink.cap == memory.cap && sink.len <= memory.cap;
        if !intact || memory.overrun() {
            return Err(CallError::Misbehaved { what: "it wrote beyond the sink".to_owned() });
        }
        let mut records = memory.records;
        records.truncate(sink.len as usize);
        Ok(records)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(destroy) = self.library.plugin.destroy {
            // SAFETY: `raw` came from create and is not used afterwards.
            unsafe { destroy(self.raw) };
        }
    }
}

/// The memory behind a sink: `cap` records and a guard.
struct Memory {
    records: Vec<abi::Finding>,
    cap: u32,
    max: u32,
    broken: bool,
}

impl Memory {
    fn overrun(&self) -> bool {
        self.broken
            || self
                .records
                .get(self.cap as usize..)
                .is_none_or(|guard| guard.iter().any(|r| *r != GUARD_RECORD))
    }
}

fn guarded(cap: u32) -> Vec<abi::Finding> {
    vec![GUARD_RECORD; cap as usize + GUARD]
}

unsafe extern "C" fn grow(sink: *mut abi::Sink, at_least: u32) -> abi::Status {
    // SAFETY: a plugin calls this during its call with the sink it was given, whose `ctx` is our memory.
    let (sink, memory) = unsafe { (&mut *sink, &mut *(*sink).ctx.cast::<Memory>()) };
    memory.broken |= memory.overrun();
    let wanted = at_least.max(memory.cap.saturating_mul(2)).min(memory.max);
    if wanted < at_least || wanted <= memory.cap {
        return abi::E_FULL;
    }
    let mut records = guarded(wanted);
    for (new, old) in records.iter_mut().zip(memory.records.iter().take(memory.cap as usize)) {
        *new = *old;
    }
    memory.records = records;
    memory.cap = wanted;
    sink.items = memory.records.as_mut_ptr();
    sink.cap = wanted;
    abi::OK
}

fn call(cancel: &AtomicU32, budget_ms: u32, errors: &mut String) -> abi::Call {
    abi::Call {
        struct_size: size_of::<abi::Call>() as u32,
        budget_ms,
        cancel: cancel.as_ptr(),
        ctx: ptr::from_mut(errors).cast(),
        error: Some(error),
    }
}

unsafe extern "C" fn error(call: *const abi::Call, message: abi::Str) {
    // SAFETY: a plugin calls this during its call with the call it was given, whose `ctx` is our text.
    let (errors, text) = unsafe { (&mut *(*call).ctx.cast::<String>(), text(message)) };
    *errors = text;
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: abi::Str) {
    // SAFETY: `ctx` is the library, which lives for ever; the message is borrowed text.
    let (library, message) = unsafe { (&*ctx.cast::<Library>(), text(message)) };
    let plugin = &library.name;
    match level {
        abi::LOG_ERROR => tracing::error!(%plugin, "{message}"),
        abi::LOG_WARN => tracing::warn!(%plugin, "{message}"),
        abi::LOG_INFO => tracing::info!(%plugin, "{message}"),
        _ => tracing::debug!(%plugin, "{message}"),
    }
}

unsafe extern "C" fn no_interface(_: *mut c_void, _: abi::Str) -> *const c_void {
    ptr::null()
}

/// # Safety
/// `message` is valid borrowed text.
unsafe fn text(message: abi::Str) -> String {
    // SAFETY: the caller's promise; the length is bounded.
    let bytes = unsafe { copied(message.ptr, message.len.min(MESSAGE_BYTES_MAX)) };
    String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn check(status: abi::Status, errors: &str) -> Result<(), CallError> {
    let message = if errors.is_empty() { "it gave no message" } else { errors }.to_owned();
    match status {
        abi::OK => Ok(()),
        abi::E_PANIC => Err(CallError::Panicked { message }),
        abi::E_FULL => Err(CallError::Misbehaved {
            what: "it says more about its residents than the host takes".to_owned(),
        }),
        status => Err(CallError::Failed { status, message }),
    }
}

fn lacking() -> CallError {
    CallError::Misbehaved { what: "its interface lacks a function".to_owned() }
}
