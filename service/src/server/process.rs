//! What a process that holds personal data asks of its operating system, and the signals it heeds.

use std::io;

use rustix::process::{Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Files of this process are its owner's alone, a crash leaves no memory on disk, and a file-size limit fails a write
/// instead of killing the process. Must be called within a tokio runtime.
pub fn harden() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Where it is refused the process may still serve; the operator's limits decide.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A handled signal is not deadly; the handler stays when its receiver is dropped. Rust ignores SIGPIPE already.
    drop(signal(SignalKind::from_raw(SIGXFSZ)));
}

/// The signals that end a server.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to heed them.
    ///
    /// # Errors
    /// Where the operating system refuses a handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
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
