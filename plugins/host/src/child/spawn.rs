//! Starting the program `linli-runner`.
//!
//! Without anything between fork and exec, so that the system need not copy the tables of a large process; and from one
//! thread that lives as long as the process, because the kernel tells a process that its parent ended when the *thread*
//! ended that started it.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;

const RUNNER: &str = "linli-runner";

/// The runner that belongs to the running program: beside it, or beside cargo's folder of tests.
pub(crate) fn beside_program() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    let nested = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    let runner = if nested { folder.parent()? } else { folder }.join(RUNNER);
    runner.is_file().then_some(runner)
}

struct Job {
    command: Command,
    reply: mpsc::SyncSender<io::Result<Child>>,
}

/// Starts the runner with its connection as standard input and a place for what it says about a failure to load.
/// It gets nothing else: no arguments, no environment, no other file, no folder but the root.
pub(crate) fn start(runner: &Path, socket: OwnedFd, errors: OwnedFd) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let mut command = Command::new(runner);
    command.env_clear().current_dir("/");
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::from(errors));
    let (reply, started) = mpsc::sync_channel(1);
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        // Where no thread can be had, the channel is closed, and that is what callers are told.
        let _ = thread::Builder::new().name("plugin processes".to_owned()).spawn(move || {
            for Job { mut command, reply } in inbox {
                // Dropping the command closes this side's copies of what the runner was given.
                let _ = reply.send(command.spawn());
            }
        });
        jobs
    });
    let no_thread = || io::Error::other("there is no thread to start it from");
    spawner.send(Job { command, reply }).map_err(|_| no_thread())?;
    started.recv().map_err(|_| no_thread())?
}
