//! What a process that holds personal data asks of its operating system, and the signals it heeds.

use std::io;

use rustix::process::{Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Files of this process are its owner's alone, and a crash leaves no memory on disk.
pub fn harden() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Where it is refused the process may still serve; the operator's limits decide.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// The signals that end a server, and those that must not.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A file-size limit must fail the write, not kill the process: handled, so no longer deadly.
    _file_size: Signal,
}

impl Signals {
    /// Starts to heed them.
    ///
    /// # Errors
    /// Where the operating system refuses a handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits for the next request to end.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The signal's number on Linux.
const SIGXFSZ: i32 = 25;
