//! One process that runs a plugin, as the host holds it: started, asked, ended.
//!
//! The host opens the library once and passes on the sealed copy, so that what was hashed is what runs there too. It
//! never links it and believes nothing that comes back: records are copied out of the shared memory once and checked
//! like any others.

pub(crate) mod memory;
mod spawn;
pub(crate) mod wire;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use linli_plugin_abi as abi;
use linli_plugin_abi::encode;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

pub(crate) use spawn::beside_program;

use crate::connector::STEP_BYTES_MAX;
use crate::elf::Refusal;
use crate::error::{CallError, LoadCause};
use crate::instance::{GUARD, Question};
use crate::library::{self, Sealed};
use crate::manifest::MANIFEST_BYTES_MAX;
use crate::runner::Confinement;
use crate::seat::Turn;
use memory::Memory;
use wire::{Received, Reply, Request};

/// How long a library may take to load: far longer than one needs on a busy machine.
const LOAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a process that closed its connection may take to end by itself, so that its status can be told.
const END_TIME_MAX: Duration = Duration::from_millis(200);
/// Largest number of records that one answer has room for: 192 MiB, far above what rules say about a batch.
const RECORDS_MAX: u32 = 8 * 1024 * 1024;
/// Lines for the log that are taken from one call.
const LOG_LINES_MAX: u32 = 100;
/// What is kept of what a library says while it does not load, in bytes.
const ERRORS_BYTES_MAX: u64 = 1000;

/// What it takes to start a process for a plugin.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The program.
    pub(crate) runner: PathBuf,
    pub(crate) library: Arc<Sealed>,
    /// The plugin's id, for the log.
    pub(crate) name: String,
    /// Bytes of address space that the process may use.
    pub(crate) address_space: u64,
}

/// What a process says about the library that it loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    /// The manifest that the library carries.
    pub(crate) manifest: String,
    pub(crate) build_info: String,
    pub(crate) abi: (u32, u32),
    /// `P_*`.
    pub(crate) flags: u32,
    pub(crate) confinement: Confinement,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Answered(T),
    /// The call failed; the process goes on.
    Failed(CallError),
    /// The process is not to be used any more.
    Lost(Loss),
}

/// Why a process is lost.
#[derive(Debug)]
pub(crate) enum Loss {
    /// It ended while it was at the batch.
    Crashed { how: String },
    /// It ended before it looked at the batch.
    NotBegun { how: String },
    /// It did not stop and was ended.
    Overran,
    /// What it says is no answer; it was ended.
    Misbehaved { what: String },
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Stands for this process and no other that gets its number later.
    handle: Option<OwnedFd>,
    socket: OwnedFd,
    memory: Memory,
    /// Number of the last call.
    number: u32,
    /// Whether the plugin's instance is made.
    begun: bool,
}

impl Home {
    /// Starts a process and lets it load the library.
    ///
    /// # Errors
    /// Why there is no process, or why the library is not acceptable.
    pub(crate) fn start(&self) -> Result<(Process, Description), Refusal> {
        let not_started = |error: std::io::Error| {
            let reason =
                format!("a process for it cannot be started with `{}`: {error}", self.runner.display());
            let help =
                "install `linli-runner` of the same build beside the program, where it may be executed";
            Refusal::new(LoadCause::NoRunner, reason, help)
        };
        let (socket, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|error| not_started(error.into()))?;
        let (errors, their_errors) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|error| not_started(error.into()))?;
        let texts = (2 * MANIFEST_BYTES_MAX).div_ceil(size_of::<abi::Finding>());
        let memory = Memory::new(0, texts).map_err(not_started)?;
        let child = spawn::start(&self.runner, theirs, their_errors).map_err(not_started)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let handle = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let mut process = Process { child, handle, socket, memory, number: 0, begun: false };
        process.load(self, File::from(errors)).map(|description| (process, description))
    }
}

impl Process {
    fn load(&mut self, home: &Home, errors: File) -> Result<Description, Refusal> {
        let request = Request::Load {
            version: wire::VERSION,
            host: std::process::id(),
            address_space: home.address_space,
        };
        let [input, output] = &self.memory.files;
        let files = [home.library.memory.as_fd(), input.as_fd(), output.as_fd()];
        // Where it is gone already, that shows below.
        let _ = wire::send_request(&self.socket, &request, &files);
        let end = Instant::now() + LOAD_TIME_MAX;
        let help = "run `linli plugin check` on it, or ask its vendor";
        loop {
            match self.next(end) {
                Received::Reply(Reply::Loaded {
                    abi,
                    flags,
                    manifest_bytes,
                    build_info_bytes,
                    confinement,
                }) => {
                    let texts = self.texts(manifest_bytes, build_info_bytes);
                    let (manifest, build_info) = texts.ok_or_else(|| {
                        Refusal::new(LoadCause::WrongAbi, "its manifest is not a text of allowed size", help)
                    })?;
                    return Ok(Description { manifest, build_info, abi, flags, confinement });
                }
                Received::Reply(Reply::Refused { cause, reason, help }) => {
                    return Err(Refusal::new(cause, reason, help));
                }
                Received::Reply(Reply::Log { level, text }) => library::logged(&home.name, level, &text),
                Received::Reply(Reply::Begun { .. } | Reply::Answered { .. } | Reply::Failed { .. })
                | Received::Nonsense => {
                    self.kill();
                    return Err(Refusal::new(
                        LoadCause::Ended,
                        "its process says what it was not asked",
                        help,
                    ));
                }
                Received::End => {
                    let reason =
                        format!("its process ended while it was loaded: {}{}", self.ended(), said(errors));
                    return Err(Refusal::new(LoadCause::Ended, reason, help));
                }
                Received::Nothing => {
                    self.kill();
                    let reason =
                        format!("it did not load within {} s{}", LOAD_TIME_MAX.as_secs(), said(errors));
                    return Err(Refusal::new(LoadCause::Ended, reason, help));
                }
            }
        }
    }

    fn texts(&self, manifest_bytes: u32, build_info_bytes: u32) -> Option<(String, String)> {
        let (manifest, build_info) = (manifest_bytes as usize, build_info_bytes as usize);
        if manifest > MANIFEST_BYTES_MAX || build_info > MANIFEST_BYTES_MAX {
            return None;
        }
        let mut text = String::from_utf8(self.memory.take_bytes(manifest + build_info)?).ok()?;
        if !text.is_char_boundary(manifest) {
            return None;
        }
        let build_info = text.split_off(manifest);
        Some((text, build_info))
    }

    /// Asks a question about a batch and waits for the answer until `end`, and then as long as `grace` for it to stop.
    pub(crate) fn ask(
        &mut self,
        plugin: &str,
        question: Question,
        batch: &encode::Batch,
        records_max: u32,
        until: (Instant, Duration),
    ) -> Outcome<Vec<abi::Finding>> {
        let bytes = batch.as_bytes();
        let records_max = records_max.min(RECORDS_MAX);
        let slots = records_max.max(16) as usize + GUARD;
        let ask = |number, budget_ms| {
            let batch_bytes = bytes.len() as u32;
            Request::Ask { number, question, batch_bytes, records_max, budget_ms }
        };
        match self.request(plugin, bytes, slots, ask, until) {
            Outcome::Answered(count) => match self.memory.take_records(count) {
                Some(records) => Outcome::Answered(records),
                None => self.misbehaved("it has more records than there is room for"),
            },
            Outcome::Failed(error) => Outcome::Failed(error),
            Outcome::Lost(loss) => Outcome::Lost(loss),
        }
    }

    /// Takes a step of a run and waits for what it says until `end`, and then as long as `grace` for it to stop.
    pub(crate) fn converse(
        &mut self,
        plugin: &str,
        run: u32,
        turn: &Turn,
        until: (Instant, Duration),
    ) -> Outcome<Vec<u8>> {
        // Whatever comes now is because of this step: an instance is made for each run.
        self.begun = true;
        let slots = STEP_BYTES_MAX.div_ceil(size_of::<abi::Finding>());
        let outcome = match turn {
            Turn::Begin(crate::connector::Request { op, message, key }) => {
                let begin = |number, budget_ms| {
                    let (request_bytes, key_bytes) = (message.len() as u32, key.len() as u32);
                    Request::Begin { number, run, op: *op, request_bytes, key_bytes, budget_ms }
                };
                let bytes = [message, key.as_bytes()].concat();
                self.request(plugin, &bytes, slots, begin, until)
            }
            Turn::Step(input) => {
                let step = |number, budget_ms| {
                    let input_bytes = input.len() as u32;
                    Request::Step { number, run, input_bytes, budget_ms }
                };
                self.request(plugin, input, slots, step, until)
            }
        };
        match outcome {
            Outcome::Answered(count) => match self.memory.take_bytes(count as usize) {
                Some(said) => Outcome::Answered(said),
                None => self.misbehaved("its step is longer than there is room for"),
            },
            Outcome::Failed(error) => Outcome::Failed(error),
            Outcome::Lost(loss) => Outcome::Lost(loss),
        }
    }

    /// Ends a run. A process that is gone has ended it already; that shows at the next call.
    pub(crate) fn end_run(&self, run: u32) {
        let _ = wire::send_request(&self.socket, &Request::End { run }, &[]);
    }

    /// Puts bytes into the input, with room for so many records in the output, and makes a request.
    fn request(
        &mut self,
        plugin: &str,
        bytes: &[u8],
        slots: usize,
        request: impl FnOnce(u32, u32) -> Request,
        (end, grace): (Instant, Duration),
    ) -> Outcome<u32> {
        let is_new = !self.memory.fits(bytes.len(), slots);
        if is_new {
            match Memory::new(bytes.len(), slots) {
                Ok(memory) => self.memory = memory,
                Err(error) => {
                    let message = format!("memory for the call cannot be shared: {error}");
                    return Outcome::Failed(CallError::NoProcess { message });
                }
            }
        }
        self.number = self.number.wrapping_add(1);
        let left = end.saturating_duration_since(Instant::now());
        let request = request(self.number, u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1));
        self.memory.cancel().store(0, Ordering::Release);
        self.memory.put(bytes);
        let [input, output] = &self.memory.files;
        let files = [input.as_fd(), output.as_fd()];
        let files = if is_new { &files[..] } else { &[] };
        if wire::send_request(&self.socket, &request, files).is_err() {
            return Outcome::Lost(self.lost());
        }
        self.wait(plugin, self.number, end, grace)
    }

    fn wait(&mut self, plugin: &str, number: u32, end: Instant, grace: Duration) -> Outcome<u32> {
        let mut log_lines = 0;
        let mut told_to_stop = false;
        loop {
            let until = if told_to_stop { end + grace } else { end };
            match self.next(until) {
                Received::Reply(Reply::Begun { number: of }) if of == number => self.begun = true,
                Received::Reply(Reply::Answered { number: of, count }) if of == number => {
                    let late = CallError::TimedOut { deadline: Duration::ZERO };
                    return if told_to_stop { Outcome::Failed(late) } else { Outcome::Answered(count) };
                }
                Received::Reply(Reply::Failed { number: of, error }) if of == number => {
                    self.begun = false;
                    let late = CallError::TimedOut { deadline: Duration::ZERO };
                    return Outcome::Failed(if told_to_stop { late } else { error });
                }
                Received::Reply(Reply::Log { level, text }) => {
                    log_lines += 1;
                    if log_lines <= LOG_LINES_MAX {
                        library::logged(plugin, level, &text);
                    }
                }
                Received::Reply(_) | Received::Nonsense => {
                    return self.misbehaved("its process says what it was not asked");
                }
                Received::End => return Outcome::Lost(self.lost()),
                Received::Nothing if told_to_stop => {
                    self.kill();
                    return Outcome::Lost(Loss::Overran);
                }
                Received::Nothing => {
                    told_to_stop = true;
                    self.memory.cancel().store(1, Ordering::Release);
                }
            }
        }
    }

    /// The next message, or nothing when it is time.
    fn next(&self, until: Instant) -> Received {
        loop {
            match wire::receive_reply(&self.socket) {
                Received::Nothing => {}
                received @ (Received::Reply(_) | Received::End | Received::Nonsense) => return received,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            readable(self.socket.as_fd(), left);
        }
    }

    fn lost(&mut self) -> Loss {
        let how = self.ended();
        if self.begun { Loss::Crashed { how } } else { Loss::NotBegun { how } }
    }

    fn misbehaved<T>(&mut self, what: &str) -> Outcome<T> {
        self.kill();
        Outcome::Lost(Loss::Misbehaved { what: what.to_owned() })
    }

    /// How a process ended that closed its connection; one that goes on is ended.
    fn ended(&mut self) -> String {
        let by_itself = self.handle.as_ref().is_some_and(|handle| readable(handle.as_fd(), END_TIME_MAX));
        if !by_itself {
            self.kill();
        }
        match self.child.wait() {
            Ok(status) if by_itself => described(status),
            Ok(_) => "it closed its connection to the host".to_owned(),
            Err(error) => format!("its status is not known: {error}"),
        }
    }

    fn kill(&mut self) {
        let killed =
            self.handle.as_ref().map(|handle| rustix::process::pidfd_send_signal(handle, Signal::KILL));
        if !matches!(killed, Some(Ok(()))) {
            // Its number is still its own: nobody has waited for it yet.
            let _ = self.child.kill();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is something to read, or the time is over.
fn readable(file: BorrowedFd<'_>, time: Duration) -> bool {
    let mut files = [PollFd::new(&file, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    rustix::event::poll(&mut files, time.as_ref()).is_ok_and(|ready| ready > 0)
}

fn described(status: ExitStatus) -> String {
    const NAMES: [(i32, &str); 8] = [
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGSYS, "SIGSYS"),
        (libc::SIGTRAP, "SIGTRAP"),
    ];
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended itself with exit code {code}"),
        (None, Some(signal)) => {
            let name = NAMES.iter().find(|(number, _)| *number == signal);
            let name = name.map(|(_, name)| format!(" ({name})")).unwrap_or_default();
            format!("signal {signal}{name}")
        }
        (None, None) => "for an unknown reason".to_owned(),
    }
}

/// What a library said before it failed to load, for a message.
fn said(errors: File) -> String {
    let mut bytes = Vec::new();
    // What is there; nobody writes any more, or nobody waits for it.
    let _ = errors.take(ERRORS_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split(|c: char| c.is_control()).filter(|line| !line.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let check = |raw, expected| assert_eq!(described(ExitStatus::from_raw(raw)), expected);
        check(0, "it ended itself with exit code 0");
        check(3 << 8, "it ended itself with exit code 3");
        check(libc::SIGSEGV, "signal 11 (SIGSEGV)");
        check(libc::SIGUSR1, "signal 10");
    }
}
