//! The other side of the seat in a process: what `linli-runner` does.
//!
//! It takes one library from its host, confines itself, loads the library and answers questions about batches and
//! takes steps of runs, all in shared memory, until the host closes the connection. It never writes to the terminal but to say that it is not
//! meant to be started by hand.

mod confine;

use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::thread;

use rustix::event::{PollFd, PollFlags};
use rustix::net::SocketType;
use rustix::process::{Pid, Signal};

use crate::child::memory::Mapping;
use crate::child::wire::{self, Reply, Request};
use crate::elf::Refusal;
use crate::error::{CallError, LoadCause};
use crate::instance::{CallSettings, Encoded, Exchanges, Instance, Room};
use crate::library::{self, Library};

/// How far the process of a plugin is confined: everything that its kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confinement {
    /// It can gain no privileges (`no_new_privs`).
    pub no_new_privs: bool,
    /// It reaches no files: the kernel's version of Landlock; `None`: the kernel does not have it.
    pub landlock: Option<u32>,
    /// It is left with the system calls that rules need (`seccomp`).
    pub seccomp: bool,
    /// Its memory and open files are limited, and it writes neither files nor core dumps.
    pub limits: bool,
}

impl Confinement {
    /// What the kernel lacks, in words for a log; empty: nothing.
    pub fn lacks(&self) -> Vec<&'static str> {
        let means = [
            (self.no_new_privs, "no_new_privs"),
            (self.landlock.is_some(), "Landlock"),
            (self.seccomp, "seccomp"),
            (self.limits, "resource limits"),
        ];
        means.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
    }

    pub(crate) fn encode(self) -> u32 {
        let landlock = self.landlock.map_or(0, |abi| abi.min(255) << 8);
        u32::from(self.no_new_privs) | u32::from(self.seccomp) << 1 | u32::from(self.limits) << 2 | landlock
    }

    pub(crate) fn decode(bits: u32) -> Self {
        Self {
            no_new_privs: bits & 1 != 0,
            seccomp: bits & 2 != 0,
            limits: bits & 4 != 0,
            landlock: Some(bits >> 8).filter(|abi| *abi > 0),
        }
    }
}

/// The whole of `linli-runner`. Its host speaks to it over its standard input.
pub fn run() -> ExitCode {
    let socket = rustix::stdio::stdin();
    if rustix::net::sockopt::socket_type(socket) != Ok(SocketType::SEQPACKET) {
        let message = b"linli-runner runs a plugin for the Linli service, which starts it: not by hand\n";
        let _ = io::stderr().write_all(message);
        return ExitCode::from(2);
    }
    match serve(socket) {
        // Without the library's own clean-up, which could hang.
        Ok(()) => end(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(socket: BorrowedFd<'static>) -> io::Result<()> {
    close_inherited();
    // Not in the host's group, so that a signal from its terminal ends the host only, in order.
    let _ = rustix::process::setsid();
    let Some((Request::Load { version, host, address_space }, files)) = wire::receive_request(socket)? else {
        return Ok(());
    };
    if version != wire::VERSION {
        let reason =
            format!("`linli-runner` speaks version {} of its messages, the host {version}", wire::VERSION);
        let help = "install `linli-runner` of the same build beside the program".to_owned();
        return wire::send_reply(socket, &Reply::Refused { cause: LoadCause::WrongAbi, reason, help });
    }
    follow(socket, host)?;
    let Ok([library, input, output]) = <[OwnedFd; 3]>::try_from(files) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (input, output) = (Mapping::input(&input)?, Mapping::output(&output)?);
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    let confinement = confine::before_loading(address_space);
    let mut library = match library::link(library) {
        Ok(library) => library,
        Err(Refusal { cause, reason, help }) => {
            return wire::send_reply(socket, &Reply::Refused { cause, reason, help });
        }
    };
    // What it says about calls could hold somebody's data.
    rustix::stdio::dup2_stderr(nowhere)?;
    let confinement = confine::after_loading(confinement);
    library.log = log;
    let loaded = Reply::Loaded {
        abi: (library.plugin.abi_major, library.plugin.abi_minor),
        flags: library.plugin.flags,
        manifest_bytes: library.manifest.len() as u32,
        build_info_bytes: library.build_info.len() as u32,
        confinement,
    };
    if !output.write(format!("{}{}", library.manifest, library.build_info).as_bytes()) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    wire::send_reply(socket, &loaded)?;
    let library: &'static Library = Box::leak(Box::new(library));
    answer(socket, library, input, output)
}

fn answer(
    socket: BorrowedFd<'_>,
    library: &'static Library,
    mut input: Mapping,
    mut output: Mapping,
) -> io::Result<()> {
    let mut instance: Option<Instance> = None;
    let mut exchanges = Exchanges::new(library);
    while let Some((request, files)) = wire::receive_request(socket)? {
        if let Ok([new_input, new_output]) = <[OwnedFd; 2]>::try_from(files) {
            (input, output) = (Mapping::input(&new_input)?, Mapping::output(&new_output)?);
        }
        let (number, question, batch_bytes, records_max, budget_ms) = match request {
            Request::Ask { number, question, batch_bytes, records_max, budget_ms } => {
                (number, question, batch_bytes, records_max, budget_ms)
            }
            Request::Begin { number, .. } | Request::Step { number, .. } => {
                let said = converse(&mut exchanges, request, &input)?;
                wire::send_reply(socket, &reply(number, said, &output))?;
                continue;
            }
            Request::End { run } => {
                exchanges.end(run);
                continue;
            }
            Request::Load { .. } => return Err(io::ErrorKind::InvalidData.into()),
        };
        let header = input.batch(batch_bytes as usize).ok_or(io::ErrorKind::InvalidData)?;
        let asked = instance.take().map_or_else(
            || {
                let made = Instance::create(library)?;
                wire::send_reply(socket, &Reply::Begun { number }).map_err(|_| CallError::WrongPlugin)?;
                Ok(made)
            },
            Ok,
        );
        let answered = asked.and_then(|mut live| {
            // SAFETY: the host wrote a whole batch there and writes no more until it has an answer.
            let batch = unsafe { Encoded::at(header) };
            let (records, slots) = output.records();
            // SAFETY: the output has room for so many records, and outlives the call.
            let mut room = unsafe { Room::lent(records, slots, batch.rows(), records_max) };
            let settings = CallSettings { cancel: input.cancel(), budget_ms };
            let records = live.ask(question, &batch, &mut room, &settings)?;
            // An instance that failed is not used again.
            instance = Some(live);
            Ok(records)
        });
        let reply = match answered {
            Ok(count) => Reply::Answered { number, count },
            Err(error) => Reply::Failed { number, error },
        };
        wire::send_reply(socket, &reply)?;
    }
    Ok(())
}

/// Takes a step of a run.
fn converse(
    exchanges: &mut Exchanges,
    request: Request,
    input: &Mapping,
) -> io::Result<Result<Vec<u8>, CallError>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let cancel = input.cancel();
    match request {
        Request::Begin { number: _, run, op, request_bytes, key_bytes, budget_ms } => {
            let bytes = input.input_bytes(request_bytes as usize + key_bytes as usize).ok_or_else(invalid)?;
            let (request, key) = bytes.split_at_checked(request_bytes as usize).ok_or_else(invalid)?;
            let key = std::str::from_utf8(key).map_err(|_| invalid())?;
            Ok(exchanges.begin(run, (op, request, key), &CallSettings { cancel, budget_ms }))
        }
        Request::Step { number: _, run, input_bytes, budget_ms } => {
            let bytes = input.input_bytes(input_bytes as usize).ok_or_else(invalid)?;
            Ok(exchanges.step(run, bytes, &CallSettings { cancel, budget_ms }))
        }
        Request::Load { .. } | Request::Ask { .. } | Request::End { .. } => Err(invalid()),
    }
}

fn reply(number: u32, said: Result<Vec<u8>, CallError>, output: &Mapping) -> Reply {
    match said {
        Ok(said) if output.write(&said) => Reply::Answered { number, count: said.len() as u32 },
        Ok(_) => {
            let error = CallError::Misbehaved { what: "its step has no room".to_owned() };
            Reply::Failed { number, error }
        }
        Err(error) => Reply::Failed { number, error },
    }
}

/// A line of the plugin for the host's log.
fn log(_: &Library, level: u32, text: &str) {
    let _ = wire::send_reply(rustix::stdio::stdin(), &Reply::Log { level, text: text.to_owned() });
}

/// Ends with the host. The closed connection is what ends a runner, whatever it is doing; the kernel's signal is a
/// second line, which the host makes possible by starting runners from a thread that lives as long as it does.
fn follow(socket: BorrowedFd<'static>, host: u32) -> io::Result<()> {
    thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        // Nothing is waited for but that the other side goes.
        let mut wait = [PollFd::new(&socket, PollFlags::empty())];
        while rustix::event::poll(&mut wait, None).is_err() {}
        end()
    })?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before that was set.
    if rustix::process::getppid().map(Pid::as_raw_pid).map(i32::cast_unsigned) != Some(host) {
        end();
    }
    Ok(())
}

/// Ends the process at once.
fn end() -> ! {
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(0) }
}

/// Closes whatever the host had open besides what it passes on: a second line, as the host closes it at the start of
/// every program.
fn close_inherited() {
    // SAFETY: the runner has opened nothing yet behind the standard streams.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}
