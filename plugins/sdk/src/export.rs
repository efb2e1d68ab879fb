//! What [`export_plugin!`](crate::export_plugin) puts behind the exported entry: constant tables, and guards that let
//! no panic out.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Rules;
use crate::abi::{self, BatchHeader, Bytes, Call, Description, Host, Instance, Plugin, Sink, Status, Str};
use crate::batch::{Batch, STRIDE};
use crate::facts::Facts;
use crate::findings::{Findings, Issues, Statements, Writer};

/// Exports a plugin's rules as the library's entry.
#[macro_export]
macro_rules! export_plugin {
    ($rules:ty) => {
        const _: () = {
            /// The entry of the plugin.
            #[allow(unsafe_code)] // the one exported symbol
            #[unsafe(no_mangle)]
            pub extern "C" fn linli_plugin_entry_v1(
                _host_abi_major: u32,
                _host_abi_minor: u32,
            ) -> *const $crate::abi::Plugin {
                $crate::export::Exported::<$rules>::PLUGIN
            }
        };
    };
}

/// The tables of a plugin's rules.
#[derive(Debug)]
pub struct Exported<R>(PhantomData<R>);

impl<R: Rules> Exported<R> {
    /// What the entry returns.
    pub const PLUGIN: &'static Plugin = &plugin(describe::<R>, get_interface::<R>);

    const DESCRIPTION: &'static Description = &description(<R::Facts as Facts>::MANIFEST.text);

    const RULES: &'static abi::Rules = &abi::Rules {
        struct_size: size_of::<abi::Rules>() as u32,
        reserved: 0,
        assess: Some(assess::<R>),
        validate: Some(validate::<R>),
    };
}

/// What the entry of a plugin without state returns.
pub(crate) const fn plugin(
    describe: unsafe extern "C" fn() -> *const Description,
    get_interface: unsafe extern "C" fn(*mut Instance, Str) -> *const c_void,
) -> Plugin {
    Plugin {
        magic: abi::PLUGIN_MAGIC,
        struct_size: size_of::<Plugin>() as u32,
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        flags: 0,
        describe: Some(describe),
        create: Some(create),
        destroy: Some(destroy),
        get_interface: Some(get_interface),
    }
}

/// The description of a library that carries this manifest.
pub(crate) const fn description(manifest: &'static str) -> Description {
    Description {
        struct_size: size_of::<Description>() as u32,
        reserved: 0,
        manifest: Bytes::new(manifest.as_bytes()),
        build_info: Str::new(concat!("linli-plugin-sdk ", env!("CARGO_PKG_VERSION"))),
    }
}

/// The table of an interface, where it is the one that is asked for; null otherwise.
///
/// # Safety
/// `id` is borrowed text, as the host promises.
pub(crate) unsafe fn interface<T>(id: Str, known: &str, table: &'static T) -> *const c_void {
    if id.ptr.is_null() {
        return ptr::null();
    }
    // SAFETY: the caller's promise.
    let id = unsafe { std::slice::from_raw_parts(id.ptr, id.len) };
    if id == known.as_bytes() { ptr::from_ref(table).cast() } else { ptr::null() }
}

unsafe extern "C" fn describe<R: Rules>() -> *const Description {
    Exported::<R>::DESCRIPTION
}

/// Plugins have no state; an instance only says that one was made.
pub(crate) unsafe extern "C" fn create(
    _: *const Host,
    call: *const Call,
    _: Bytes,
    out: *mut *mut Instance,
) -> Status {
    // SAFETY: the host's promise about its arguments.
    unsafe {
        guard(call, || {
            quiet_panics();
            if out.is_null() {
                return abi::E_INVALID;
            }
            out.write(Box::into_raw(Box::new(0_u8)).cast());
            abi::OK
        })
    }
}

pub(crate) unsafe extern "C" fn destroy(instance: *mut Instance) {
    if !instance.is_null() {
        // SAFETY: made by `create`, and the host does not use it afterwards.
        drop(unsafe { Box::from_raw(instance.cast::<u8>()) });
    }
}

unsafe extern "C" fn get_interface<R: Rules>(_: *mut Instance, id: Str) -> *const c_void {
    // SAFETY: the host's promise: borrowed text.
    unsafe { interface(id, abi::IF_RULES, Exported::<R>::RULES) }
}

unsafe extern "C" fn assess<R: Rules>(
    _: *mut Instance,
    call: *const Call,
    batch: *const BatchHeader,
    sink: *mut Sink,
) -> Status {
    // SAFETY: the host's promise about its arguments.
    unsafe { guard(call, || answer::<R, Findings<'_>>(call, batch, sink, R::assess)) }
}

unsafe extern "C" fn validate<R: Rules>(
    _: *mut Instance,
    call: *const Call,
    batch: *const BatchHeader,
    sink: *mut Sink,
) -> Status {
    // SAFETY: the host's promise about its arguments.
    unsafe { guard(call, || answer::<R, Issues<'_>>(call, batch, sink, R::validate)) }
}

/// Puts every row of a batch to a rule.
unsafe fn answer<'a, R: Rules, S: Statements<'a>>(
    call: *const Call,
    batch: *const BatchHeader,
    sink: *mut Sink,
    rule: impl Fn(&R::Facts, &mut S),
) -> Status {
    // SAFETY: the host's promise about its arguments.
    let (batch, writer) = match unsafe { open::<R>(call, batch, sink) } {
        Ok(opened) => opened,
        Err(status) => return status,
    };
    let mut found = S::new(writer);
    let mut residents: Vec<R::Facts> = (0..STRIDE).map(|_| R::Facts::blank()).collect();
    for first in (0..batch.rows()).step_by(STRIDE) {
        // SAFETY: as above.
        if unsafe { cancelled(call) } {
            return abi::E_CANCELLED;
        }
        R::Facts::read(&batch, first, &mut residents);
        for (resident, row) in residents.iter().zip(first..batch.rows()) {
            found.begin(row as u32);
            rule(resident, &mut found);
            found.end();
        }
    }
    found.status()
}

unsafe fn open<'a, R: Rules>(
    call: *const Call,
    batch: *const BatchHeader,
    sink: *mut Sink,
) -> Result<(Batch<'a>, Writer<'a>), Status> {
    // SAFETY: the host's promise about its arguments, for each of the calls.
    unsafe {
        let fields = <R::Facts as Facts>::MANIFEST.fields.len();
        let batch = Batch::open(batch, <R::Facts as Facts>::KINDS, fields).map_err(|wrong| {
            say(call, wrong);
            abi::E_INVALID
        })?;
        let usable = !sink.is_null() && (*sink).item_size as usize == size_of::<abi::Finding>();
        if !usable {
            say(call, "the sink is not one for findings");
            return Err(abi::E_INVALID);
        }
        Ok((batch, Writer::new(&mut *sink)))
    }
}

pub(crate) unsafe fn cancelled(call: *const Call) -> bool {
    // SAFETY: the host's promise: the flag lives until the call returns.
    unsafe {
        let flag = call.as_ref().map_or(ptr::null(), |call| call.cancel);
        !flag.is_null() && AtomicU32::from_ptr(flag.cast_mut()).load(Ordering::Acquire) != 0
    }
}

pub(crate) unsafe fn say(call: *const Call, message: &str) {
    // SAFETY: the host's promise about its call.
    unsafe {
        if let Some(error) = call.as_ref().and_then(|call| call.error) {
            error(call, Str::new(message));
        }
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a body; a panic becomes a status, and the place where it happened becomes the error's text. The panic's own
/// message is dropped: it may hold somebody's data.
pub(crate) unsafe fn guard(call: *const Call, body: impl FnOnce() -> Status) -> Status {
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    match result {
        Ok(status) => status,
        Err(payload) => {
            // A payload may panic when it is dropped; leaking it is the safe end.
            std::mem::forget(payload);
            let place = PANICKED_AT.take();
            // SAFETY: the caller's promise.
            unsafe { say(call, &format!("panicked at {place}")) };
            abi::E_PANIC
        }
    }
}

/// Inside a guard a panic prints nothing but leaves its place; elsewhere everything is as before.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if GUARDED.get() {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                PANICKED_AT.set(place);
            } else {
                previous(info);
            }
        }));
    });
}
