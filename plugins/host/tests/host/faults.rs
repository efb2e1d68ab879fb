//! The fault matrix: what a plugin can do wrong, and what comes of it in the host's process and in one of its own.
//!
//! In a process of its own nothing reaches the host or another plugin. In the host's process panics, hangs and wrong
//! answers are contained; what is fatal there is run in a process of this test's own and shown to be fatal, which is
//! why untrusted plugins never run there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_host::{Answer, Batch, CallError, Health, LoadCause, Mode, Plugin, Registry, RowFact};

use crate::build;
use crate::load::{compiled, refused};

/// Who does it, and what its facts tell it to do.
#[derive(Clone, Copy)]
enum Plan {
    /// The Rust plugin.
    Faulty(&'static str),
    /// The C plugin.
    Liar(i64),
}
use Plan::{Faulty, Liar};

/// What comes of it in the host's process.
#[derive(Clone, Copy)]
enum Here {
    /// The call ends with these words, and the plugin goes on there.
    Contained(&'static str),
    /// The call ends with these words, and the plugin goes on in a process of its own.
    Moves(&'static str),
    /// The host ends with this.
    Fatal(End),
    /// It damages the host's memory or files, so that anything may follow; not run.
    Anything,
}
use Here::{Anything, Contained, Fatal, Moves};

#[derive(Clone, Copy)]
enum End {
    Signal(i32),
    Code(i32),
}

/// What comes of it in a process of its own; afterwards it answers again.
#[derive(Clone, Copy)]
enum There {
    /// The one resident is marked, everybody else in the batch is answered about.
    Marked,
    /// The whole batch is answered about.
    Answered,
    /// The call ends with these words.
    Says(&'static str),
}
use There::{Answered, Marked, Says};

const PANIC: &str = "the plugin panicked";
const HUNG: &str = "did not return within";
const BEYOND: &str = "it wrote beyond the sink";
const ABORTED: Here = Fatal(End::Signal(6));
const BROKEN: Here = Fatal(End::Signal(11));

#[rustfmt::skip]
const CALLS: &[(&str, Plan, Here, There)] = &[
    // fault                          how                 in the host's process        in a process of its own
    ("panic",                         Faulty("panic"),    Contained(PANIC),            Says(PANIC)),
    ("abort",                         Liar(210),          ABORTED,                     Marked),
    ("exit(0)",                       Liar(211),          Fatal(End::Code(0)),         Marked),
    ("infinite loop",                 Liar(212),          Moves(HUNG),                 Says(HUNG)),
    ("sleeping for ever",             Faulty("hang"),     Moves(HUNG),                 Says(HUNG)),
    ("stack overflow",                Liar(213),          ABORTED,                     Marked),
    ("10 GiB allocation",             Liar(214),          Contained("answered"),       Marked),
    ("write to nowhere",              Liar(215),          BROKEN,                      Marked),
    ("closing the host's connection", Liar(216),          Anything,                    Marked),
    ("a thread left running",         Liar(217),          Contained("answered"),       Answered),
    ("sink overrun",                  Liar(200),          Contained(BEYOND),           Says(BEYOND)),
    ("false length",                  Liar(201),          Anything,                           Says(BEYOND)),
    ("false capacity",                Liar(202),          Contained(BEYOND),           Says(BEYOND)),
    ("more than the host takes",      Faulty("flood"),    Contained("says more about"), Says("says more about")),
    ("the same twice",                Faulty("twice"),    Contained("said twice"),     Says("said twice")),
    ("unknown kind",                  Liar(7),            Contained("unknown kind"),   Says("unknown kind")),
    ("failure without a word",        Liar(203),          Contained("status 100"),     Says("status 100")),
];

/// Ordinals, rows and dates out of range are the table of `calls::every_statement_is_checked`, in both modes.
#[rustfmt::skip]
const LOADS: &[(&str, &[&str], LoadCause, &[&str])] = &[
    // fault          how                              cause in both modes    words
    ("magic",         &["-DMAGIC=0x1234"],             LoadCause::WrongAbi,   &["magic number 0x0000000000001234"]),
    ("major",         &["-DMAJOR=2"],                  LoadCause::WrongAbi,   &["it speaks plugin ABI 2.0; this host speaks 1.0 to 1.0"]),
    ("size",          &["-DSIZE=48"],                  LoadCause::WrongAbi,   &["its entry has 48 bytes", "at least 56"]),
    ("description",   &["-DDESCRIPTION_SIZE=8"],       LoadCause::WrongAbi,   &["its description has 8 bytes"]),
    ("flags",         &["-DFLAGS=64"],                 LoadCause::WrongAbi,   &["flags 0x40, which are unknown"]),
    ("no-plugin",     &["-DNO_PLUGIN"],                LoadCause::WrongAbi,   &["it does not support this host"]),
    ("no-entry",      &["-DENTRY=some_function"],      LoadCause::NotAPlugin, &["does not export `linli_plugin_entry_v1`"]),
    ("undefined",     &["-DUNDEFINED"],                LoadCause::Linker,     &["no_library_has_this"]),
];

/// What ends the process that loads a library: fatal in the host's, contained in one of its own.
#[rustfmt::skip]
const AT_LOAD: &[(&str, &str, &str)] = &[
    ("abort",  "-DAT_LOAD=abort()",                                "signal 6 (SIGABRT)"),
    ("exit",   "-DAT_LOAD=exit(0)",                                "exit code 0"),
    ("speaks", "-DAT_LOAD=(void)!write(2,\"no licence\",10),abort()", "it said: no licence"),
    ("stack",  "-DAT_LOAD=fall(0)",                                "has overflowed its stack"),
];

const DEADLINE: Duration = Duration::from_secs(20);
/// For calls that do not return.
const SHORT: Duration = Duration::from_millis(300);
/// Rows of a batch, and the one among them that is told to do wrong.
const ROWS: usize = 9;
const WRONG: usize = 4;

#[test]
fn in_a_process_of_its_own_every_fault_stays_there() {
    let registry = load(Mode::Child);
    for (fault, plan, _, there) in CALLS {
        let (plugin, other) = plan.plugins(&registry);
        let started = Instant::now();
        let answer = plugin.assess(plan.batch(plugin), plan.deadline());
        match there {
            Marked => marked(fault, &answer, &[WRONG]),
            Answered => marked(fault, &answer, &[]),
            Says(words) => {
                let error = answer.expect_err(fault);
                assert!(error.to_string().contains(words), "{fault}: {error}");
            }
        }
        // Others answer throughout, and so does the same plugin, soon.
        goes_on(fault, other);
        goes_on(fault, plugin);
        assert!(started.elapsed() < Duration::from_secs(10), "{fault}: {:?}", started.elapsed());
        plugin.reset();
    }
}

#[test]
fn in_the_hosts_process_faults_are_contained_or_fatal() {
    for (fault, _, here, _) in CALLS {
        if matches!(here, Anything) {
            continue;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::one_fault_in_this_process", "--nocapture"])
            .env("LINLI_TEST_FAULT", fault)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let check = |words: &str, mode: Mode| {
            assert!(output.status.success() && said.contains(words), "{fault}: {} {said}", output.status);
            assert!(said.contains(&format!("it goes on in {mode:?}")), "{fault}: {said}");
        };
        match here {
            Contained(words) => check(words, Mode::InProcess),
            Moves(words) => check(words, Mode::Child),
            Fatal(end) => {
                let (signal, code) = match end {
                    End::Signal(signal) => (Some(*signal), None),
                    End::Code(code) => (None, Some(*code)),
                };
                assert_eq!((output.status.signal(), output.status.code()), (signal, code), "{fault}: {said}");
                assert!(!said.contains("outcome"), "{fault}: {said}");
            }
            Anything => {}
        }
    }
}

/// What `in_the_hosts_process_faults_are_contained_or_fatal` runs in a process of its own; nothing without its word.
#[test]
fn one_fault_in_this_process() {
    let Ok(fault) = std::env::var("LINLI_TEST_FAULT") else { return };
    let registry = load(Mode::InProcess);
    let (_, plan, _, _) = CALLS.iter().find(|case| case.0 == fault).expect("a fault of the table");
    let (plugin, other) = plan.plugins(&registry);
    let outcome = match plugin.assess(plan.batch(plugin), plan.deadline()) {
        Ok(answer) => format!("answered, {} marked", answer.manual().len()),
        Err(error) => error.to_string(),
    };
    say(&format!("outcome: {outcome}"));
    goes_on(&fault, other);
    goes_on(&fault, plugin);
    say(&format!("it goes on in {:?}", plugin.mode()));
}

#[test]
fn libraries_that_lie_about_themselves_are_refused() {
    for (fault, definitions, cause, words) in LOADS {
        refused(fault, &compiled(fault, definitions), build::LIAR, *cause, words);
    }
}

#[test]
fn libraries_that_end_the_process_as_they_load_are_refused_in_a_process_of_their_own() {
    for (fault, definition, words) in AT_LOAD {
        let name = format!("at-load-{fault}");
        let folder = build::folder(&name, &[("bad", &compiled(&name, &[definition]), build::LIAR)]);
        let registry = build::load_in(Mode::Child, folder);
        let [failure] = registry.failures() else { panic!("{fault}: {:?}", registry.failures()) };
        assert_eq!(failure.cause, LoadCause::Ended, "{failure}");
        assert!(failure.reason.contains(words), "{fault}: {failure}");
    }
}

#[test]
fn a_process_is_confined() {
    let registry = load(Mode::Child);
    let plugin = registry.plugin("cn.example.liar").unwrap();
    let confinement = plugin.confinement().unwrap();
    assert!(confinement.no_new_privs && confinement.limits, "{confinement:?}");
    let kernel = fs::read_to_string("/proc/self/status").unwrap();
    assert_eq!(confinement.seccomp, kernel.contains("\nSeccomp:"), "{confinement:?}");
    if !confinement.seccomp {
        return; // the kernel offers less, and that is told
    }
    let error = plugin.assess(Liar(219).batch(plugin), DEADLINE).unwrap_err();
    assert_eq!(error, CallError::Failed { status: 100, message: "nothing".into() });
    // What runs as the library is loaded reaches only what Landlock leaves: the system's libraries.
    let files = if confinement.landlock.is_some() { "open(\"/etc/passwd\", 0) >= 0 || " } else { "" };
    let definition = format!("-DAT_LOAD=if ({files}socket(1, 1, 0) >= 0) abort()");
    let library = compiled("confined-at-load", &[&definition]);
    let registry =
        build::load_in(Mode::Child, build::folder("confined-at-load", &[("liar", &library, build::LIAR)]));
    assert_eq!(registry.failures(), &[], "it was refused what it tried");
}

#[test]
fn an_answer_that_changes_after_it_was_given_is_refused_or_whole() {
    let registry = load(Mode::Child);
    let plugin = registry.plugin("cn.example.liar").unwrap();
    let mut refused = 0;
    for _ in 0..300 {
        // Everybody is said to belong to the first group, while a thread writes into one of the records.
        match plugin.assess(Liar(218).batch(plugin), DEADLINE) {
            Ok(answer) => marked("scribble", &Ok(answer), &[]),
            Err(CallError::Misbehaved { what }) => {
                refused += 1;
                assert!(what.contains("60000") || what.contains("said twice"), "{what}");
            }
            Err(other) => panic!("{other}"),
        }
        plugin.reset();
    }
    assert!(refused > 0, "the thread was at work");
}

#[test]
fn a_plugin_that_ends_over_everybody_costs_a_bounded_search() {
    let registry = load(Mode::Child);
    let (plugin, other) = Liar(210).plugins(&registry);
    let all = rows(plugin, &[210; 200]);
    let answer = plugin.assess(all, DEADLINE).unwrap();
    assert_eq!(answer.manual(), (0..200).collect::<Vec<_>>());
    let figures = plugin.figures();
    assert_eq!((figures.crashes, figures.manual, figures.residents), (32, 200, 0));
    assert_eq!(figures.health, Health::Ready, "the search is one fault");
    goes_on("all", other);
    for _ in 0..4 {
        plugin.assess(rows(plugin, &[1, 210]), DEADLINE).unwrap();
    }
    assert!(matches!(plugin.figures().health, Health::Resting { .. }), "{:?}", plugin.figures());
    let refused = plugin.assess(rows(plugin, &[1]), DEADLINE);
    assert!(matches!(refused, Err(CallError::Resting { .. })), "{refused:?}");
    goes_on("all", other);
    plugin.reset();
    goes_on("all", plugin);
}

#[test]
fn a_crash_and_an_overrun_are_over_soon() {
    let registry = load(Mode::Child);
    let plugin = registry.plugin("cn.example.liar").unwrap();
    // Of some tries the least: what else runs on the machine only ever adds.
    let least = |ask: &dyn Fn()| {
        let tries = (0..5).map(|_| {
            plugin.reset();
            let started = Instant::now();
            ask();
            started.elapsed()
        });
        tries.min().unwrap()
    };
    // The search for the resident, the new process and the next answer.
    let crash = least(&|| {
        marked("crash", &plugin.assess(Liar(210).batch(plugin), DEADLINE), &[WRONG]);
        goes_on("crash", plugin);
    });
    assert!(crash <= Duration::from_secs(1), "{crash:?} from a crash to the next answer");
    let overrun = least(&|| drop(plugin.assess(Liar(212).batch(plugin), SHORT).unwrap_err()));
    let past = overrun.saturating_sub(SHORT);
    assert!(past <= Duration::from_millis(50), "{past:?} past the deadline");
}

#[test]
fn several_residents_over_whom_it_ends_are_all_found() {
    let registry = load(Mode::Child);
    let plugin = registry.plugin("cn.example.liar").unwrap();
    let mut kinds = vec![1; 1_000];
    for row in [0, 333, 999] {
        kinds[row] = 215;
    }
    let answer = plugin.assess(rows(plugin, &kinds), DEADLINE);
    marked("several", &answer, &[0, 333, 999]);
}

#[test]
fn a_process_ends_with_its_host() {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::one_host_that_waits", "--nocapture"])
        .env("LINLI_TEST_HOST", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("asks now")));
    let runners: Vec<u32> =
        runners().into_iter().filter(|(_, parent)| *parent == host.id()).map(|r| r.0).collect();
    assert!(!runners.is_empty(), "it has processes of its own");
    host.kill().unwrap();
    host.wait().unwrap();
    let started = Instant::now();
    while self::runners().iter().any(|(runner, _)| runners.contains(runner)) {
        assert!(started.elapsed() < Duration::from_secs(10), "they end, whatever they are doing");
        std::thread::yield_now();
    }
}

/// What `a_process_ends_with_its_host` ends while its plugin never returns; nothing without its word.
#[test]
fn one_host_that_waits() {
    if std::env::var_os("LINLI_TEST_HOST").is_none() {
        return;
    }
    let registry = load(Mode::Child);
    let (plugin, _) = Liar(212).plugins(&registry);
    say("asks now");
    plugin.assess(Liar(212).batch(plugin), Duration::from_secs(600)).unwrap_err();
}

/// Runners that run, with their parents.
fn runners() -> Vec<(u32, u32)> {
    let stat = |entry: fs::DirEntry| -> Option<(u32, u32)> {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = text.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let (state, parent) = (rest.next()?, rest.next()?.parse().ok()?);
        (name.ends_with("(linli-runner") && state != "Z").then_some((pid, parent))
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| stat(entry.ok()?)).collect()
}

// ---- the parts ----

impl Plan {
    /// The plugin that is told to do wrong, and another.
    fn plugins(self, registry: &Registry) -> (&Arc<Plugin>, &Arc<Plugin>) {
        let plugin = |id| registry.plugin(id).expect("both are loaded");
        let (liar, faulty) = (plugin("cn.example.liar"), plugin("cn.example.faulty"));
        match self {
            Liar(_) => (liar, faulty),
            Faulty(_) => (faulty, liar),
        }
    }

    /// A batch of residents who are members, but for one.
    fn batch(self, plugin: &Plugin) -> Batch {
        match self {
            Liar(kind) => {
                let mut kinds = [1; ROWS];
                kinds[WRONG] = kind;
                rows(plugin, &kinds)
            }
            Faulty(act) => {
                let mut acts = ["member"; ROWS];
                acts[WRONG] = act;
                rows_acting(plugin, &acts)
            }
        }
    }

    fn deadline(self) -> Duration {
        if matches!(self, Liar(212) | Faulty("hang")) { SHORT } else { DEADLINE }
    }
}

fn load(mode: Mode) -> Registry {
    static LIBRARIES: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    // A process that this test starts must not build in the same folder.
    let name = format!("faults-{}-{:?}-{mode:?}", std::process::id(), std::thread::current().id());
    let (liar, faulty) = LIBRARIES.get_or_init(|| {
        let (faulty, _) = build::faulty();
        (compiled(&format!("faults-{}", std::process::id()), &[]), fs::read(faulty).unwrap())
    });
    let faulty_manifest = fs::read_to_string(build::faulty().1).unwrap();
    let folder =
        build::folder(&name, &[("liar", liar, build::LIAR), ("faulty", faulty, faulty_manifest.as_str())]);
    let registry = build::load_in(mode, folder.clone());
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(registry.failures(), &[]);
    registry
}

fn today() -> CivilDate {
    CivilDate::parse("2026-03-16").unwrap()
}

fn rows(plugin: &Plugin, kinds: &[i64]) -> Batch {
    let mut batch = plugin.batch();
    for kind in kinds {
        let (kind, reason) = (FactValue::Integer(*kind), FactValue::Integer(0));
        let facts = [("kind", &kind), ("reason", &reason)];
        batch.push(today(), facts.map(|(field, value)| RowFact { field, value, since: None })).unwrap();
    }
    batch.finish()
}

fn rows_acting(plugin: &Plugin, acts: &[&str]) -> Batch {
    let mut batch = plugin.batch();
    for act in acts {
        let (act, note) = (FactValue::Code((*act).to_owned()), FactValue::Text("纳入".into()));
        let facts = [("act", &act), ("note", &note)];
        batch.push(today(), facts.map(|(field, value)| RowFact { field, value, since: None })).unwrap();
    }
    batch.finish()
}

/// Asserts that these rows are marked, and everybody else is a member.
fn marked(fault: &str, answer: &Result<Answer, CallError>, expected: &[usize]) {
    let answer = answer.as_ref().unwrap_or_else(|error| panic!("{fault}: {error}"));
    assert_eq!(answer.manual(), expected, "{fault}");
    for (index, row) in answer.rows() {
        let members = usize::from(!expected.contains(&index));
        assert_eq!(row.memberships().count(), members, "{fault}: row {index}");
    }
}

/// Asserts that a plugin answers.
fn goes_on(fault: &str, plugin: &Plugin) {
    let batch = match plugin.stamp().id.as_str() {
        "cn.example.liar" => rows(plugin, &[1]),
        _ => rows_acting(plugin, &["member"]),
    };
    marked(fault, &plugin.assess(batch, DEADLINE), &[]);
}

/// Past the test's own capturing of what is printed.
fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}
