//! One instance of a plugin and one call on it: everything unsafe about calling is here.

mod exchange;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::AtomicU32;

pub(crate) use exchange::Exchanges;
use linli_plugin_abi as abi;
use linli_plugin_abi::encode;

use crate::error::CallError;
use crate::library::{Library, copied};

/// Longest text taken from a plugin, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;
/// Records behind the sink that must stay as they are: a plugin that writes beyond `cap` is noticed there.
pub(crate) const GUARD: usize = 4;
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
}

/// An encoded batch where it lies.
pub(crate) struct Encoded<'a> {
    header: *const abi::BatchHeader,
    rows: u32,
    lies: PhantomData<&'a [u8]>,
}

impl<'a> Encoded<'a> {
    /// # Safety
    /// A whole batch lies there, and nothing writes to it, for as long as `'a`.
    pub(crate) unsafe fn at(header: *const abi::BatchHeader) -> Self {
        // SAFETY: the caller's promise.
        Self { header, rows: unsafe { (*header).rows }, lies: PhantomData }
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }
}

impl<'a> From<&'a encode::Batch> for Encoded<'a> {
    fn from(batch: &'a encode::Batch) -> Self {
        Self { header: batch.as_ptr(), rows: batch.rows(), lies: PhantomData }
    }
}

/// An instance, whatever it implements. It lives and dies on one host thread.
struct Made {
    library: &'static Library,
    raw: *mut abi::Instance,
    /// What `create` was given; it must live until `destroy` has returned.
    _host: Box<abi::Host>,
}

impl Made {
    /// Makes an instance with the plugin's default configuration.
    fn new(library: &'static Library) -> Result<Self, CallError> {
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
        Ok(Self { library, raw, _host: host })
    }

    /// The table of an interface; null: it has none.
    fn interface(&self, id: &'static str) -> *const c_void {
        // SAFETY: `raw` is a live instance; the id lives for ever.
        self.library
            .plugin
            .get_interface
            .map_or(ptr::null(), |get| unsafe { get(self.raw, abi::Str::new(id)) })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(destroy) = self.library.plugin.destroy {
            // SAFETY: `raw` came from create and is not used afterwards.
            unsafe { destroy(self.raw) };
        }
    }
}

/// An instance that has rules.
pub(crate) struct Instance {
    made: Made,
    rules: &'static abi::Rules,
}

impl Instance {
    /// Makes an instance with the plugin's default configuration.
    pub(crate) fn create(library: &'static Library) -> Result<Self, CallError> {
        let made = Made::new(library)?;
        let rules = Self::rules(&made).ok_or_else(|| CallError::Misbehaved {
            what: format!("it does not implement `{}`, which its manifest lists", abi::IF_RULES),
        })?;
        Ok(Self { made, rules })
    }

    fn rules(made: &Made) -> Option<&'static abi::Rules> {
        let rules = made.interface(abi::IF_RULES).cast::<abi::Rules>();
        if rules.is_null() || !rules.is_aligned() {
            return None;
        }
        // SAFETY: interfaces are constant data of a library that is never unloaded; `struct_size` comes first.
        let covered = unsafe { (*rules).struct_size } as usize >= size_of::<abi::Rules>();
        // SAFETY: as above, and the struct covers every member of 1.0.
        let rules = unsafe { &*rules };
        (covered && rules.assess.is_some() && rules.validate.is_some()).then_some(rules)
    }

    /// Asks a question about a batch: so many records lie in the room then, whole but not yet checked against the
    /// manifest.
    pub(crate) fn ask(
        &mut self,
        question: Question,
        batch: &Encoded<'_>,
        room: &mut Room,
        settings: &CallSettings<'_>,
    ) -> Result<u32, CallError> {
        let function = match question {
            Question::Assess => self.rules.assess,
            Question::Validate => self.rules.validate,
        };
        let function = function.ok_or_else(lacking)?;
        let mut errors = String::new();
        let call = call(settings.cancel, settings.budget_ms, &mut errors);
        let mut sink = abi::Sink {
            struct_size: size_of::<abi::Sink>() as u32,
            item_size: size_of::<abi::Finding>() as u32,
            ctx: ptr::from_mut(room).cast(),
            items: room.items,
            cap: room.cap,
            len: 0,
            grow: Some(grow),
        };
        // SAFETY: all pointers are valid for the call; only this thread uses the instance.
        let status = unsafe { function(self.made.raw, &raw const call, batch.header, &raw mut sink) };
        check(status, &errors)?;
        let intact = sink.items == room.items && sink.cap == room.cap && sink.len <= room.cap;
        if !intact || room.overrun() {
            return Err(CallError::Misbehaved { what: "it wrote beyond the sink".to_owned() });
        }
        Ok(sink.len)
    }
}

/// The memory behind a sink: `cap` records and a guard.
pub(crate) struct Room {
    items: *mut abi::Finding,
    cap: u32,
    max: u32,
    /// The memory, where it is the room's own; it grows by moving.
    own: Option<Vec<Blank>>,
    broken: bool,
}

impl Room {
    /// Room of its own for the answer about so many rows, growing up to a number of records.
    pub(crate) fn new(rows: u32, records_max: u32) -> Self {
        let (cap, max) = Self::bounds(rows, records_max);
        let mut own = blank(cap);
        let room = Self { items: own.as_mut_ptr().cast(), cap, max, own: Some(own), broken: false };
        room.set_guard();
        room
    }

    /// Room in memory that has space for so many records; it grows in place.
    ///
    /// # Safety
    /// The memory is valid for reads and writes for as long as the room, at least as long as its guard, and only the
    /// plugin uses it meanwhile.
    pub(crate) unsafe fn lent(items: *mut abi::Finding, slots: usize, rows: u32, records_max: u32) -> Self {
        let slots = u32::try_from(slots.saturating_sub(GUARD)).unwrap_or(u32::MAX);
        let (cap, max) = Self::bounds(rows, records_max.min(slots));
        let room = Self { items, cap: cap.min(slots), max: max.min(slots), own: None, broken: false };
        room.set_guard();
        room
    }

    fn bounds(rows: u32, records_max: u32) -> (u32, u32) {
        let cap = rows.saturating_mul(4).clamp(16, records_max.max(16));
        (cap, records_max.max(cap))
    }

    /// The first records, out of a room of its own. What a plugin did not write is all zeros, which is no record.
    pub(crate) fn into_records(self, count: u32) -> Vec<abi::Finding> {
        let mut own = std::mem::ManuallyDrop::new(self.own.unwrap_or_default());
        let count = own.len().min(count as usize);
        // SAFETY: the memory is this vector's, which is not used any more; the two types have one layout, and every bit
        // pattern is a record.
        unsafe { Vec::from_raw_parts(own.as_mut_ptr().cast(), count, own.capacity()) }
    }

    fn guard(&self) -> impl Iterator<Item = *mut abi::Finding> {
        let first = self.items.wrapping_add(self.cap as usize);
        (0..GUARD).map(move |place| first.wrapping_add(place))
    }

    fn set_guard(&self) {
        for place in self.guard() {
            // SAFETY: the memory is longer than `cap` by the guard.
            unsafe { place.write(GUARD_RECORD) };
        }
    }

    fn overrun(&self) -> bool {
        // SAFETY: the memory is longer than `cap` by the guard.
        self.broken || self.guard().any(|place| unsafe { place.read() } != GUARD_RECORD)
    }

    /// Makes room for at least so many records, unless that is beyond the bound.
    fn grow(&mut self, at_least: u32) -> bool {
        self.broken |= self.overrun();
        let wanted = at_least.max(self.cap.saturating_mul(2)).min(self.max);
        if wanted < at_least || wanted <= self.cap {
            return false;
        }
        if let Some(own) = &mut self.own {
            let mut larger = blank(wanted);
            for (new, old) in larger.iter_mut().zip(own.iter().take(self.cap as usize)) {
                *new = *old;
            }
            *own = larger;
            self.items = own.as_mut_ptr().cast();
        }
        self.cap = wanted;
        self.set_guard();
        true
    }
}

/// Memory of a record. Zeros are cheap to come by.
type Blank = [u32; size_of::<abi::Finding>() / size_of::<u32>()];
const _: () = assert!(size_of::<Blank>() == size_of::<abi::Finding>());
const _: () = assert!(align_of::<Blank>() == align_of::<abi::Finding>());

/// Memory for so many records and the guard.
fn blank(cap: u32) -> Vec<Blank> {
    vec![[0; _]; cap as usize + GUARD]
}

unsafe extern "C" fn grow(sink: *mut abi::Sink, at_least: u32) -> abi::Status {
    // SAFETY: a plugin calls this during its call with the sink it was given, whose `ctx` is our room.
    let (sink, room) = unsafe { (&mut *sink, &mut *(*sink).ctx.cast::<Room>()) };
    if !room.grow(at_least) {
        return abi::E_FULL;
    }
    (sink.items, sink.cap) = (room.items, room.cap);
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
    (library.log)(library, level, &message);
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
