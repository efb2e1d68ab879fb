//! Seeing what a plugin does to its process: system calls, memory beyond its bounds, threads, descriptors.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, mem, ptr, thread};

/// What the process holds.
pub(super) struct Held {
    pub(super) threads: usize,
    /// What is open, as `/proc` names it.
    pub(super) descriptors: Vec<String>,
}

impl Held {
    /// At this moment.
    pub(super) fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or_default();
        let mut descriptors: Vec<String> = fs::read_dir("/proc/self/fd")
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_else(|_| Vec::new())
            .iter()
            .filter_map(|path| {
                let target = fs::read_link(path).ok()?;
                Some(format!("{} → {}", path.file_name()?.to_str()?, target.display()))
            })
            .filter(|open| !open.contains("/proc/")) // the list itself
            .collect();
        descriptors.sort();
        Self { threads, descriptors }
    }
}

/// Memory of this process that is present, in KiB.
pub(super) fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// What a thread has computed, whoever asks: on a busy machine it says more than the time that passed.
#[derive(Clone, Copy)]
pub(super) struct Computed(libc::clockid_t);

impl Computed {
    /// Of the thread that calls.
    pub(super) fn of_this_thread() -> Self {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: `clock` is a place for the answer; the thread is alive. If it fails the clock is the asker's own.
        let _ = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        Self(clock)
    }

    /// So far; the thread must be alive.
    pub(super) fn now(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a place for the answer.
        let _ = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }
}

/// Writes out what C code has printed but not flushed.
pub(super) fn flush_output() {
    // SAFETY: a null pointer means every stream.
    unsafe { libc::fflush(ptr::null_mut()) };
}

/// A copy of a batch that can only be read; reading beyond it ends the process where it is tight.
pub(super) struct Guarded {
    start: *const u8,
}

impl Guarded {
    /// Copies a batch. It stays mapped for the rest of the process, which is short.
    pub(super) fn new(bytes: &[u8], tight: bool) -> Result<Self, String> {
        const PAGE: usize = 65_536; // a multiple of every page size in use
        let room = bytes.len().next_multiple_of(PAGE).max(PAGE);
        // SAFETY: a new mapping at an address that the system chooses.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                room + PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err("no memory for the check".to_owned());
        }
        // The batch begins on an 8-byte boundary and ends where the guard begins, or just before.
        let at = if tight { room - bytes.len().next_multiple_of(8) } else { 0 };
        // SAFETY: the mapping has `room` bytes before the guard; nothing else refers to it.
        let start = unsafe {
            let start = base.cast::<u8>().add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
            let guarded = libc::mprotect(base.cast::<u8>().add(room).cast::<c_void>(), PAGE, libc::PROT_NONE);
            // Reading beyond is one rule, writing inside another.
            let closed = tight || libc::mprotect(base, room, libc::PROT_READ) == 0;
            if guarded != 0 || !closed {
                return Err("memory cannot be protected for the check".to_owned());
            }
            start.cast_const()
        };
        Ok(Self { start })
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.start
    }
}

/// System calls that computing needs: memory, waiting for a lock, ending a thread.
const COMPUTING: &[libc::c_long] = &[
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
];
/// And starting a thread, where the plugin says that it does.
const THREADS: &[libc::c_long] = &[libc::SYS_clone, libc::SYS_clone3];

static CAUGHT: AtomicI32 = AtomicI32::new(-1);

/// And seeding a hash map, in a connector.
const SEEDS: &[libc::c_long] = &[libc::SYS_getrandom];

/// Which system calls a thread may make besides those of computing.
#[derive(Clone, Copy)]
pub(super) struct May {
    pub(super) start_threads: bool,
    pub(super) seed: bool,
}

/// Runs `body` on a thread of its own that may only compute. The name of the first other system call that it makes;
/// then the thread stands still, and the process is not to be used any further.
pub(super) fn system_calls(may: May, body: impl FnOnce() + Send + 'static) -> Result<Option<String>, String> {
    trap()?;
    keep_freed_memory();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        // What the first use of memory on a thread asks of the system is not the plugin's.
        drop(Vec::<u8>::with_capacity(4_096));
        match confine(may) {
            Ok(()) => {
                body();
                let _ = done.send(Ok(()));
            }
            Err(error) => drop(done.send(Err(error))),
        }
    });
    loop {
        let outcome = ended.recv_timeout(Duration::from_millis(5));
        let caught = CAUGHT.load(Ordering::Acquire);
        if caught >= 0 {
            return Ok(Some(name(caught)));
        }
        match outcome {
            Ok(outcome) => return outcome.map(|()| None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("the thread of the check ended".to_owned()),
        }
    }
}

/// Lets the C library keep what is freed: before it gives memory back it reads a file of `/proc`, once.
fn keep_freed_memory() {
    // SAFETY: sets a number of the allocator.
    let _ = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
}

/// The handler of SIGSYS notes the call and stands still, without a system call of its own but the yield.
fn trap() -> Result<(), String> {
    extern "C" fn caught(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: in `siginfo_t` of SIGSYS the number of the call is the seventh `int` on 64-bit Linux.
        let number = unsafe { info.cast::<i32>().add(6).read() };
        let _ = CAUGHT.compare_exchange(-1, number, Ordering::AcqRel, Ordering::Acquire);
        loop {
            thread::yield_now();
        }
    }
    // SAFETY: a zeroed `sigaction` is a valid one; the handler touches nothing but an atomic.
    let status = unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = caught as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut())
    };
    if status == 0 { Ok(()) } else { Err("the check cannot handle SIGSYS".to_owned()) }
}

/// From here on this thread may only compute.
fn confine(may: May) -> Result<(), String> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let threads = if may.start_threads { THREADS } else { &[] };
    let seeds = if may.seed { SEEDS } else { &[] };
    let allowed: Vec<libc::c_long> = COMPUTING.iter().chain(threads).chain(seeds).copied().collect();
    let instruction = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = vec![instruction(LOAD, 0, 0)]; // the number of the call
    for (index, number) in allowed.iter().enumerate() {
        program.push(instruction(EQUAL, (allowed.len() - index) as u8, *number as u32));
    }
    program.push(instruction(RETURN, 0, libc::SECCOMP_RET_TRAP));
    program.push(instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both calls concern this thread alone; the program lives until they have returned.
    let status = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
        } else {
            -1
        }
    };
    if status == 0 {
        Ok(())
    } else {
        Err("the kernel has no seccomp: system calls cannot be watched".to_owned())
    }
}

/// The names that authors know; any other call has its number.
fn name(number: i32) -> String {
    const NAMES: &[(libc::c_long, &str)] = &[
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_close, "close"),
        (libc::SYS_newfstatat, "newfstatat"),
        (libc::SYS_fstat, "fstat"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_socket, "socket"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_clone3, "clone3"),
        (libc::SYS_execve, "execve"),
        (libc::SYS_exit_group, "exit_group"),
        (libc::SYS_kill, "kill"),
        (libc::SYS_tgkill, "tgkill"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_clock_gettime, "clock_gettime"),
        (libc::SYS_getrandom, "getrandom"),
        (libc::SYS_unlinkat, "unlinkat"),
        (libc::SYS_getcwd, "getcwd"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == libc::c_long::from(number));
    known.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned())
}
