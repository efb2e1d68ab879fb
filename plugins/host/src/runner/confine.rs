//! What a runner may do: compute, and speak with its host.
//!
//! In two steps, because the linker must read the libraries that a plugin needs and its constructors are the plugin's
//! own code already: before loading everything is closed but reading system libraries; afterwards that too. Each
//! means works without the others; what the kernel lacks is told to the host.
//!
//! Not limited, and why: processor time, because a limit counts over the life of a process and would end a healthy one
//! some day (calls have deadlines); the number of threads, because the kernel counts those of the user and not of the
//! process (each takes address space, which is limited).

use std::collections::BTreeMap;
use std::fs;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::Confinement;

/// Where the linker finds what a plugin needs.
const LIBRARIES: [&str; 6] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"];
/// Files that a runner may have open: its socket, three memories, and what a run-time library of the plugin opens.
const FILES_MAX: u64 = 64;
/// How much sooner than others the kernel ends a runner where memory is short (1000: first of all).
const OUT_OF_MEMORY: &str = "500";

/// Before the library is loaded.
pub(super) fn before_loading(address_space: u64) -> Confinement {
    // Best effort: without it the kernel chooses by size.
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY);
    let limits = [
        (Resource::As, address_space),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, FILES_MAX),
    ];
    let limit = |(resource, most): (Resource, u64)| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).is_ok()
    };
    Confinement {
        limits: limits.map(limit).iter().all(|done| *done),
        no_new_privs: rustix::thread::set_no_new_privs(true).is_ok(),
        landlock: files(&LIBRARIES).ok().as_ref().and_then(landlock_abi),
        seccomp: threads_by_clone().and_then(|()| system_calls(&[COMPUTING, LOADING].concat())).is_ok(),
    }
}

/// After the library is loaded: from here on it reaches nothing but its host. What was confined before stays so.
pub(super) fn after_loading(before: Confinement) -> Confinement {
    Confinement {
        landlock: before.landlock.filter(|_| files(&[]).is_ok()),
        seccomp: before.seccomp && system_calls(COMPUTING).is_ok(),
        ..before
    }
}

/// No file but those beneath these places, to be read; no TCP, no signal to another process.
fn files(readable: &[&str]) -> Result<RestrictionStatus, RulesetError> {
    let newest = ABI::V7;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::ReadFile))?
        .restrict_self()
}

fn landlock_abi(status: &RestrictionStatus) -> Option<u32> {
    match (&status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _)
        | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => None,
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, kernel_abi },
        ) => Some(kernel_abi.unwrap_or(effective_abi as i32).cast_unsigned()),
    }
}

/// What rules need, and the run-time libraries under them.
const COMPUTING: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads. `clone` only for threads, see below; `clone3` answers that there is no such call.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Signals within the process; `tgkill` only to itself, see below.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Time and chance: rules read neither, but the libraries under them may.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    // What is open already: the socket, memories, /dev/null.
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_write,
    libc::SYS_writev,
    // How schedulers of other languages wake each other.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What the linker needs besides, and what closes it.
const LOADING: &[i64] = &[
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_getcwd,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_readlinkat,
    libc::SYS_seccomp,
    libc::SYS_statx,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// Allows these calls to every thread of the process; any other fails with "not permitted". It fails rather than
/// ending the process because run-time libraries try what they can do without.
fn system_calls(allowed: &[i64]) -> seccompiler::Result<()> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = allowed.iter().map(|call| (*call, Vec::new())).collect();
    let thread = SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64);
    rules.insert(libc::SYS_clone, vec![only(0, thread, libc::CLONE_THREAD as u64)?]);
    let itself = u64::from(rustix::process::getpid().as_raw_nonzero().get().cast_unsigned());
    rules.insert(libc::SYS_tgkill, vec![only(0, SeccompCmpOp::Eq, itself)?]);
    rules.insert(libc::SYS_prlimit64, vec![only(2, SeccompCmpOp::Eq, 0)?]); // to read
    if !allowed.contains(&libc::SYS_prctl) {
        let name = only(0, SeccompCmpOp::Eq, u64::from(libc::PR_SET_NAME.cast_unsigned()))?;
        rules.insert(libc::SYS_prctl, vec![name]);
    }
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    apply(SeccompFilter::new(rules, denied, SeccompAction::Allow, here()?)?)
}

/// Lets `clone3` answer that there is no such call: its flags lie in memory, where no filter sees them, and the C library
/// uses `clone` then.
fn threads_by_clone() -> seccompiler::Result<()> {
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    apply(SeccompFilter::new(clone3, SeccompAction::Allow, unknown, here()?)?)
}

fn only(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?])
}

fn here() -> Result<TargetArch, BackendError> {
    TargetArch::try_from(std::env::consts::ARCH)
}

fn apply(filter: SeccompFilter) -> seccompiler::Result<()> {
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)
}
