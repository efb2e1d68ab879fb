//! Runs of a connector: each has an instance of its own, so that none sees what another left.

use std::collections::BTreeMap;
use std::ptr;

use linli_plugin_abi as abi;

use super::{CallSettings, call, check, lacking};
use crate::connector::STEP_BYTES_MAX;
use crate::error::CallError;
use crate::instance::Made;
use crate::library::{Library, copied};

/// The runs that are open in one place, by the host's number.
pub(crate) struct Exchanges {
    library: &'static Library,
    open: BTreeMap<u32, Exchange>,
}

impl Exchanges {
    pub(crate) fn new(library: &'static Library) -> Self {
        Self { library, open: BTreeMap::new() }
    }

    /// Begins a run and takes its first step.
    pub(crate) fn begin(
        &mut self,
        number: u32,
        (op, request, key): (u32, &[u8], &str),
        settings: &CallSettings<'_>,
    ) -> Result<Vec<u8>, CallError> {
        let mut exchange = Exchange::start(self.library, (op, request, key), settings)?;
        let said = exchange.step(&[], settings)?;
        self.open.insert(number, exchange);
        Ok(said)
    }

    /// Takes the next step of a run; one that fails is over.
    pub(crate) fn step(
        &mut self,
        number: u32,
        input: &[u8],
        settings: &CallSettings<'_>,
    ) -> Result<Vec<u8>, CallError> {
        let over = || CallError::Misbehaved { what: "the run is over".to_owned() };
        let mut exchange = self.open.remove(&number).ok_or_else(over)?;
        let said = exchange.step(input, settings)?;
        self.open.insert(number, exchange);
        Ok(said)
    }

    /// Ends a run, wherever it is.
    pub(crate) fn end(&mut self, number: u32) {
        self.open.remove(&number);
    }
}

/// One run. It lives and dies on one thread.
struct Exchange {
    raw: *mut abi::Exchange,
    connector: &'static abi::Connector,
    /// Dropped after the run has ended.
    _made: Made,
}

impl Exchange {
    fn start(
        library: &'static Library,
        (op, request, key): (u32, &[u8], &str),
        settings: &CallSettings<'_>,
    ) -> Result<Self, CallError> {
        let made = Made::new(library)?;
        let connector = connector(&made)?;
        let start = connector.start.ok_or_else(lacking)?;
        let mut errors = String::new();
        let call = call(settings.cancel, settings.budget_ms, &mut errors);
        let mut raw = ptr::null_mut();
        // SAFETY: all pointers are valid for the call; only this thread uses the instance.
        let status = unsafe {
            start(made.raw, &raw const call, op, abi::Bytes::new(request), abi::Str::new(key), &raw mut raw)
        };
        check(status, &errors)?;
        if raw.is_null() {
            return Err(CallError::Misbehaved { what: "start succeeded but gave no exchange".to_owned() });
        }
        Ok(Self { raw, connector, _made: made })
    }

    fn step(&mut self, input: &[u8], settings: &CallSettings<'_>) -> Result<Vec<u8>, CallError> {
        let step = self.connector.step.ok_or_else(lacking)?;
        let mut errors = String::new();
        let call = call(settings.cancel, settings.budget_ms, &mut errors);
        let mut out = abi::Buffer { ptr: ptr::null_mut(), len: 0, owner: ptr::null_mut(), release: None };
        // SAFETY: all pointers are valid for the call; only this thread uses the exchange.
        let status = unsafe { step(self.raw, &raw const call, abi::Bytes::new(input), &raw mut out) };
        // What a failed call wrote is ignored.
        check(status, &errors)?;
        let said = if out.len > STEP_BYTES_MAX {
            let what = format!("its step has {} bytes; at most {STEP_BYTES_MAX} are read", out.len);
            Err(CallError::Misbehaved { what })
        } else {
            // SAFETY: bytes of the plugin, valid until they are released below.
            Ok(unsafe { copied(out.ptr, out.len) })
        };
        if let Some(release) = out.release {
            // SAFETY: once, and nothing of it is used afterwards.
            unsafe { release(&raw mut out) };
        }
        said
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(end) = self.connector.end {
            // SAFETY: `raw` came from start and is not used afterwards.
            unsafe { end(self.raw) };
        }
    }
}

fn connector(made: &Made) -> Result<&'static abi::Connector, CallError> {
    let what = || CallError::Misbehaved {
        what: format!("it does not implement `{}`, which its manifest lists", abi::IF_CONNECTOR),
    };
    let table = made.interface(abi::IF_CONNECTOR).cast::<abi::Connector>();
    if table.is_null() || !table.is_aligned() {
        return Err(what());
    }
    // SAFETY: interfaces are constant data of a library that is never unloaded; `struct_size` comes first.
    let covered = unsafe { (*table).struct_size } as usize >= size_of::<abi::Connector>();
    // SAFETY: as above, and the struct covers every member of 1.0.
    let table = unsafe { &*table };
    let whole = covered && table.start.is_some() && table.step.is_some() && table.end.is_some();
    whole.then_some(table).ok_or_else(what)
}
