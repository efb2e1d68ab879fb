//! Calling a connector as a host does, with every part of the interface in the hands of the check.

use std::ptr;
use std::sync::atomic::AtomicU32;

use linli_plugin_abi as abi;

use super::raw::{Live, MORE, call, shown};
use crate::connector::{Request, STEP_BYTES_MAX};
use crate::library::copied;

/// A run of a connector.
pub(super) struct Talk<'l> {
    live: &'l Live<'l>,
    table: &'static abi::Connector,
    raw: *mut abi::Exchange,
    /// Lines of the log that were seen.
    logged: usize,
}

// SAFETY: [one] per exchange: called from any thread, one call at a time; its instance is not called meanwhile.
unsafe impl Send for Talk<'_> {}

/// What came of a step.
pub(super) struct Said {
    pub(super) status: abi::Status,
    pub(super) bytes: Vec<u8>,
    /// What it gave as reasons of a failure, byte for byte.
    pub(super) errors: Vec<Vec<u8>>,
    /// What it wrote to the log meanwhile: level and bytes.
    pub(super) log: Vec<(u32, Vec<u8>)>,
    /// Whether it wrote behind a struct of the host.
    pub(super) spoiled: bool,
}

impl Said {
    /// Its last reason, for a message.
    pub(super) fn why(&self) -> String {
        shown(&self.errors)
    }
}

impl Live<'_> {
    /// The functions of `linli.connector/1`, or why they are none.
    pub(super) fn connector(&self) -> Result<&'static abi::Connector, String> {
        let table = self.interface(abi::IF_CONNECTOR.as_bytes()).cast::<abi::Connector>();
        if table.is_null() || !table.is_aligned() {
            return Err(format!("`get_interface` gives nothing for `{}`", abi::IF_CONNECTOR));
        }
        // SAFETY: constant data of a library that is never unloaded; `struct_size` comes first in every version.
        let size = unsafe { (*table).struct_size } as usize;
        if size < size_of::<abi::Connector>() {
            return Err(format!(
                "its `linli_connector` has {size} bytes, not {}",
                size_of::<abi::Connector>()
            ));
        }
        // SAFETY: as above, and the struct covers every member of 1.0.
        let table = unsafe { &*table };
        if table.start.is_none() || table.step.is_none() || table.end.is_none() {
            return Err("its `linli_connector` lacks a function".to_owned());
        }
        Ok(table)
    }
}

impl<'l> Talk<'l> {
    /// Begins a run that must begin.
    pub(super) fn start(live: &'l Live<'l>, request: &Request) -> Result<Self, String> {
        let table = live.connector()?;
        let (status, errors, raw) = started(live, table, request)?;
        if status != abi::OK {
            return Err(format!("`start` returned {status}: {}", shown(&errors)));
        }
        if raw.is_null() {
            return Err("`start` returned LINLI_OK and gave no exchange".to_owned());
        }
        Ok(Self { live, table, raw, logged: live.log().len() })
    }

    /// Tries to begin a run; status and reasons.
    pub(super) fn begin(
        live: &'l Live<'l>,
        request: &Request,
    ) -> Result<(abi::Status, Vec<Vec<u8>>), String> {
        let table = live.connector()?;
        let (status, errors, raw) = started(live, table, request)?;
        if status == abi::OK && !raw.is_null() {
            drop(Self { live, table, raw, logged: 0 });
        }
        Ok((status, errors))
    }

    /// Takes a step with everything as usual.
    pub(super) fn step(&mut self, input: &[u8]) -> Said {
        self.step_as(input, &AtomicU32::new(0), false)
    }

    /// Takes a step that is told to stop before it begins.
    pub(super) fn step_cancelled(&mut self, input: &[u8]) -> Said {
        self.step_as(input, &AtomicU32::new(1), false)
    }

    /// Takes a step of a host whose structs have more members.
    pub(super) fn step_larger(&mut self, input: &[u8]) -> Said {
        self.step_as(input, &AtomicU32::new(0), true)
    }

    fn step_as(&mut self, input: &[u8], cancel: &AtomicU32, larger: bool) -> Said {
        let mut errors = Vec::new();
        let call = call(cancel, 0, larger, &mut errors);
        let mut out = abi::Buffer { ptr: ptr::null_mut(), len: 0, owner: ptr::null_mut(), release: None };
        let (mut status, mut bytes) = (abi::E_UNSUPPORTED, Vec::new());
        if let Some(step) = self.table.step {
            // SAFETY: all pointers are valid for the call; only this thread uses the exchange.
            status = unsafe { step(self.raw, &raw const call.known, abi::Bytes::new(input), &raw mut out) };
        }
        if status == abi::OK {
            // SAFETY: bytes of the plugin, valid until they are released below.
            bytes = unsafe { copied(out.ptr, out.len.min(STEP_BYTES_MAX + 1)) };
            if let Some(release) = out.release {
                // SAFETY: once, and nothing of it is used afterwards.
                unsafe { release(&raw mut out) };
            }
        }
        let spoiled = call.more != MORE;
        let log = self.live.log().split_off(self.logged);
        self.logged += log.len();
        Said { status, bytes, errors, log, spoiled }
    }
}

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.table.end {
            // SAFETY: `raw` came from start and is not used afterwards.
            unsafe { end(self.raw) };
        }
    }
}

type Started = (abi::Status, Vec<Vec<u8>>, *mut abi::Exchange);

fn started(live: &Live<'_>, table: &abi::Connector, request: &Request) -> Result<Started, String> {
    let start = table.start.ok_or("its `linli_connector` lacks `start`")?;
    let never = AtomicU32::new(0);
    let mut errors = Vec::new();
    let call = call(&never, 0, false, &mut errors);
    let mut raw = ptr::null_mut();
    let (message, key) = (abi::Bytes::new(&request.message), abi::Str::new(&request.key));
    // SAFETY: all pointers are valid for the call.
    let status = unsafe { start(live.raw(), &raw const call.known, request.op, message, key, &raw mut raw) };
    Ok((status, errors, raw))
}
