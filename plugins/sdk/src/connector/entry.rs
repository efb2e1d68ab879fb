//! What [`export_connector!`](crate::export_connector) puts behind the exported entry: a run is a future, which each step
//! polls once.

use std::ffi::c_void;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use linli_proto::plugin_v1 as pb;
use pb::start_request::Operation;
use pb::step::Kind as Wanted;
use prost::Message as _;

use super::wire::{self, Ends};
use super::{Connector, Io, RunError, Settings};
use crate::abi::{self, Buffer, Bytes, Call, Description, Exchange, Instance, Plugin, Status, Str};
use crate::export::{cancelled, description, guard, interface, plugin, say};

/// Exports a connector as the library's entry. The manifest is `plugin.toml` in the crate's folder, or the file named
/// behind the type, relative to that folder.
#[macro_export]
macro_rules! export_connector {
    ($connector:ty) => {
        $crate::export_connector!($connector, "plugin.toml");
    };
    ($connector:ty, $manifest:literal) => {
        impl $crate::connector::Manifest for $connector {
            const TEXT: &'static str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $manifest));
        }

        const _: () = {
            /// The entry of the plugin.
            #[allow(unsafe_code)] // the one exported symbol
            #[unsafe(no_mangle)]
            pub extern "C" fn linli_plugin_entry_v1(
                _host_abi_major: u32,
                _host_abi_minor: u32,
            ) -> *const $crate::abi::Plugin {
                $crate::connector::Exported::<$connector>::PLUGIN
            }
        };
    };
}

/// The manifest that a connector's library carries; [`export_connector!`](crate::export_connector) says it.
pub trait Manifest {
    /// The text of `plugin.toml`.
    const TEXT: &'static str;
}

/// The tables of a connector.
#[derive(Debug)]
pub struct Exported<C>(PhantomData<C>);

impl<C: Connector + Manifest> Exported<C> {
    /// What the entry returns.
    pub const PLUGIN: &'static Plugin = &plugin(describe::<C>, get_interface::<C>);

    const DESCRIPTION: &'static Description = &description(C::TEXT);
}

/// The functions of `linli.connector/1`.
pub(super) struct Functions<C>(PhantomData<C>);

impl<C: Connector> Functions<C> {
    pub(super) const TABLE: &'static abi::Connector = &abi::Connector {
        struct_size: size_of::<abi::Connector>() as u32,
        reserved: 0,
        start: Some(start::<C>),
        step: Some(step),
        end: Some(end),
    };
}

unsafe extern "C" fn describe<C: Connector + Manifest>() -> *const Description {
    Exported::<C>::DESCRIPTION
}

unsafe extern "C" fn get_interface<C: Connector>(_: *mut Instance, id: Str) -> *const c_void {
    // SAFETY: the host's promise: borrowed text.
    unsafe { interface(id, abi::IF_CONNECTOR, Functions::<C>::TABLE) }
}

/// One operation under way.
struct Running {
    io: Arc<Io>,
    /// `None`: it has ended.
    future: Option<Pin<Box<dyn Future<Output = pb::end::Result> + Send>>>,
    /// What the host is to answer; `None`: nothing was asked yet.
    asked: Option<Wanted>,
}

impl Running {
    fn new<C: Connector>(request: pb::StartRequest) -> Result<Self, &'static str> {
        let pb::StartRequest { operation, configuration_json, now_micros, idempotency_key } = request;
        let operation = operation.ok_or("the request names no operation")?;
        let settings = Settings::parse(&configuration_json);
        let refused = settings.as_ref().map_or_else(|why| Err(why.clone()), C::check).err();
        let io = Arc::new(Io::new(settings.unwrap_or_default(), idempotency_key, now_micros));
        let run = Arc::clone(&io);
        let future = Box::pin(async move {
            match refused {
                Some(why) => RunError::never(format!("settings: {why}")).end(),
                None => operate::<C>(&run, operation).await,
            }
        });
        Ok(Self { io, future: Some(future), asked: None })
    }

    fn step(&mut self, input: &[u8]) -> Result<Wanted, (Status, &'static str)> {
        let invalid = |why| (abi::E_INVALID, why);
        let future = self.future.as_mut().ok_or(invalid("the run has ended"))?;
        if let Some(asked) = self.asked.take() {
            let input = pb::StepInput::decode(input).map_err(|_| invalid("the input is not a message"))?;
            let came = input.kind.ok_or(invalid("the input says nothing"))?;
            if !wire::answers(&asked, &came) {
                return Err(invalid("the input answers another kind of step"));
            }
            self.io.put(came, input.now_micros);
        } else if !input.is_empty() {
            return Err(invalid("the first step takes no input"));
        }
        // Nobody wakes it: it is polled whenever something came.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => {
                self.future = None;
                Ok(wire::end(result))
            }
            Poll::Pending => {
                let asked = self.io.take_asked();
                let asked =
                    asked.ok_or((abi::E_INTERNAL, "it waits for something that is not an exchange"))?;
                self.asked = Some(asked.clone());
                Ok(asked)
            }
        }
    }
}

async fn operate<C: Connector>(io: &Io, operation: Operation) -> pb::end::Result {
    match operation {
        Operation::DeliverReferral(message) => ended(C::deliver(io, wire::delivery(message)).await),
        Operation::PollAcknowledgements(message) => ended(C::poll(io, wire::poll(message)).await),
        Operation::PullRoster(message) => ended(C::pull_roster(io, wire::pull_roster(message)).await),
        Operation::Probe(_) => ended(C::probe(io).await),
    }
}

fn ended(result: Result<impl Ends, RunError>) -> pb::end::Result {
    result.map_or_else(Ends::end, Ends::end)
}

unsafe extern "C" fn start<C: Connector>(
    _: *mut Instance,
    call: *const Call,
    op: u32,
    request: Bytes,
    _: Str,
    out: *mut *mut Exchange,
) -> Status {
    // SAFETY: the host's promise about its arguments.
    unsafe {
        guard(call, || {
            if out.is_null() {
                return abi::E_INVALID;
            }
            let refuse = |why: &str| {
                say(call, why);
                abi::E_INVALID
            };
            let Ok(request) = pb::StartRequest::decode(bytes(request)) else {
                return refuse("the request is not a message");
            };
            if request.operation.as_ref().map(number) != Some(op) {
                return refuse("the request is for another operation than the call");
            }
            match Running::new::<C>(request) {
                Ok(running) => {
                    out.write(Box::into_raw(Box::new(running)).cast());
                    abi::OK
                }
                Err(why) => refuse(why),
            }
        })
    }
}

fn number(operation: &Operation) -> u32 {
    match operation {
        Operation::DeliverReferral(_) => abi::OP_DELIVER,
        Operation::PollAcknowledgements(_) => abi::OP_POLL,
        Operation::PullRoster(_) => abi::OP_PULL_ROSTER,
        Operation::Probe(_) => abi::OP_PROBE,
    }
}

unsafe extern "C" fn step(
    exchange: *mut Exchange,
    call: *const Call,
    input: Bytes,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the host's promise about its arguments: the exchange came from `start`, and nobody else uses it now.
    unsafe {
        guard(call, || {
            let Some(running) = exchange.cast::<Running>().as_mut().filter(|_| !out.is_null()) else {
                return abi::E_INVALID;
            };
            if cancelled(call) {
                return abi::E_CANCELLED;
            }
            match running.step(bytes(input)) {
                Ok(wanted) => {
                    out.write(buffer(pb::Step { kind: Some(wanted) }.encode_to_vec()));
                    abi::OK
                }
                Err((status, why)) => {
                    say(call, why);
                    status
                }
            }
        })
    }
}

unsafe extern "C" fn end(exchange: *mut Exchange) {
    if !exchange.is_null() {
        // SAFETY: made by `start`, and the host does not use it afterwards. What a run drops may panic.
        let _ = unsafe {
            guard(ptr::null(), || {
                drop(Box::from_raw(exchange.cast::<Running>()));
                abi::OK
            })
        };
    }
}

/// # Safety
/// Borrowed bytes that live until the call returns.
unsafe fn bytes<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.ptr.is_null() || bytes.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }
}

/// Bytes that the host releases.
fn buffer(bytes: Vec<u8>) -> Buffer {
    let bytes = Box::into_raw(bytes.into_boxed_slice());
    Buffer { ptr: bytes.cast(), len: bytes.len(), owner: ptr::null_mut(), release: Some(release) }
}

unsafe extern "C" fn release(buffer: *mut Buffer) {
    // SAFETY: the host gives back, once, what `buffer` made.
    unsafe {
        if let Some(buffer) = buffer.as_mut().filter(|buffer| !buffer.ptr.is_null()) {
            drop(Box::from_raw(ptr::slice_from_raw_parts_mut(buffer.ptr, buffer.len)));
            (buffer.ptr, buffer.len) = (ptr::null_mut(), 0);
        }
    }
}
