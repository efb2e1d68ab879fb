//! `check`: holds a plugin to every rule of `linli_plugin.h` ([`rules::of`]).
//!
//! Each rule is looked at in a process of its own, so that one that crashes, hangs or ends the process is named like any
//! other: [`run`] starts the program that the caller names once per rule, and that program calls [`answer`]. Everything
//! made up comes from one seed.

mod answers;
mod batches;
mod hosted;
mod life;
mod load;
mod people;
mod raw;
mod raw_run;
pub mod rules;
mod runs;
mod sinks;
mod talk;
mod watch;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::place::Place;
use rules::Rule;

/// How long one rule may take.
const RULE_WITHIN: Duration = Duration::from_secs(60);
/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Longest part of what a process says that is shown where it ended without an outcome.
const SHOWN_BYTES: usize = 400;
/// How the line with the outcome of a rule begins.
const OUTCOME: &str = "linli-check-outcome ";

/// How to check.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What everything made up is made from.
    pub seed: u64,
    /// Fewer batches and calls: for the inner loop of an author.
    pub quick: bool,
    /// The program to start for each rule and its first arguments; it passes the other ones to [`answer`].
    pub program: (PathBuf, Vec<OsString>),
}

/// What came of checking a plugin.
#[derive(Debug)]
pub struct Report {
    /// What was checked.
    pub place: Place,
    /// The seed.
    pub seed: u64,
    /// Every rule, in the order of [`rules::of`].
    pub outcomes: Vec<Outcome>,
    /// How long it took.
    pub took: Duration,
}

/// What came of one rule.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The rule.
    pub rule: &'static Rule,
    /// Whether the plugin keeps it.
    pub verdict: Verdict,
}

/// Whether a plugin keeps a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As far as was looked.
    Kept,
    /// And where it does not.
    Broken(String),
    /// And why not.
    NotLookedAt(String),
}

impl Report {
    /// Whether no rule is broken.
    pub fn passed(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The broken rules.
    pub fn broken(&self) -> impl Iterator<Item = &'static str> {
        let broken = self.outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Broken(_)));
        broken.map(|outcome| outcome.rule.id)
    }
}

impl fmt::Display for Report {
    /// A table of the rules, what is broken with what to do, the count and the seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.place.library.display())?;
        let (mut kept, mut broken, mut not) = (0, 0, 0);
        for Outcome { rule, verdict } in &self.outcomes {
            match verdict {
                Verdict::Kept => {
                    kept += 1;
                    writeln!(f, "  ok      {:<18} {}", rule.id, rule.asks)?;
                }
                Verdict::Broken(where_it_is) => {
                    broken += 1;
                    writeln!(f, "  BROKEN  {:<18} {}", rule.id, rule.asks)?;
                    for (index, line) in where_it_is.lines().enumerate() {
                        writeln!(f, "            {} {line}", if index == 0 { "where:" } else { "      " })?;
                    }
                    writeln!(f, "            do:    {}", rule.help)?;
                }
                Verdict::NotLookedAt(why) => {
                    not += 1;
                    writeln!(f, "  -       {:<18} not looked at: {why}", rule.id)?;
                }
            }
        }
        let (took, seed) = (self.took.as_secs_f32(), self.seed);
        write!(f, "{kept} rules kept, {broken} broken, {not} not looked at; {took:.1} s, seed {seed}")
    }
}

/// Checks a plugin against every rule.
pub fn run(place: &Place, settings: &Settings) -> Report {
    let started = Instant::now();
    let mut outcomes = Vec::new();
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    for rule in rules::of(place) {
        let verdict = match rule.needs.iter().find(|needed| missing.contains(*needed)) {
            Some(needed) => Verdict::NotLookedAt(format!("it needs `{needed}`")),
            None if rule.reads_only => verdict((rule.check)(&Case::of(place, settings))),
            None => apart(rule, place, settings),
        };
        if verdict != Verdict::Kept {
            missing.insert(rule.id);
        }
        outcomes.push(Outcome { rule, verdict });
    }
    Report { place: place.clone(), seed: settings.seed, outcomes, took: started.elapsed() }
}

/// Looks at one rule in this process, as [`run`] asks for it, and says the outcome on standard output. The process must
/// end afterwards. `false` where the arguments are not those of [`run`].
pub fn answer(arguments: &[OsString]) -> bool {
    let [rule, seed, quick, library, manifest, scenarios] = arguments else { return false };
    let mut all = rules::ALL.iter().chain(rules::CONNECTOR);
    let Some(rule) = all.find(|known| rule.to_str() == Some(known.id)) else { return false };
    let Some(seed) = seed.to_str().and_then(|seed| seed.parse().ok()) else { return false };
    let path = |given: &OsString| (!given.is_empty()).then(|| PathBuf::from(given));
    let case = Case {
        library: PathBuf::from(library),
        manifest: path(manifest),
        scenarios: path(scenarios),
        seed,
        quick: quick == "quick",
    };
    let (word, text) = match verdict((rule.check)(&case)) {
        Verdict::Kept => ("kept", String::new()),
        Verdict::Broken(text) => ("broken", text),
        Verdict::NotLookedAt(text) => ("not", text),
    };
    // What the plugin printed may stand before it on the line.
    let line = format!("\n{OUTCOME}{word} {}\n", text.replace('\\', "\\\\").replace('\n', "\\n"));
    let mut out = std::io::stdout().lock();
    let _ = std::io::Write::write_all(&mut out, line.as_bytes());
    let _ = std::io::Write::flush(&mut out);
    true
}

/// Looks at a rule in a process of its own.
fn apart(rule: &Rule, place: &Place, settings: &Settings) -> Verdict {
    let (program, first) = &settings.program;
    let mut command = Command::new(program);
    command.args(first).arg(rule.id).arg(settings.seed.to_string());
    command.arg(if settings.quick { "quick" } else { "full" }).arg(&place.library);
    for path in [&place.manifest, &place.scenarios] {
        command.arg(path.clone().unwrap_or_default());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Verdict::NotLookedAt(format!("`{}` cannot be started: {error}", program.display()));
        }
    };
    let readers = (reader(child.stdout.take()), reader(child.stderr.take()));
    let ended = wait(&mut child);
    let (said, complained) = (joined(readers.0), joined(readers.1));
    let said = String::from_utf8_lossy(&said);
    if let Some(outcome) = said.lines().find_map(|line| line.strip_prefix(OUTCOME)) {
        let (word, text) = outcome.split_once(' ').unwrap_or((outcome, ""));
        let text = text.replace("\\n", "\n").replace("\\\\", "\\");
        match word {
            "kept" => return Verdict::Kept,
            "broken" => return Verdict::Broken(text),
            _ => return Verdict::NotLookedAt(text),
        }
    }
    let how = match ended {
        Some(status) => ending(status),
        None => format!("it did not return within {} s", RULE_WITHIN.as_secs()),
    };
    let complained = String::from_utf8_lossy(&complained);
    let last: Vec<&str> = complained.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = last.last().copied().unwrap_or_default();
    let last: String = last.chars().take(SHOWN_BYTES).collect();
    Verdict::Broken(if last.is_empty() { how } else { format!("{how}; it wrote: {last}") })
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn joined(reader: thread::JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().unwrap_or_default()
}

/// Waits for the process, and ends it where it takes too long.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if since.elapsed() < RULE_WITHIN => thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(libc::SIGSEGV), _) => {
            "the process ended with SIGSEGV: memory that is not the plugin's".to_owned()
        }
        (Some(libc::SIGABRT), _) => "the process ended with SIGABRT: it aborted".to_owned(),
        (Some(libc::SIGBUS), _) => "the process ended with SIGBUS".to_owned(),
        (Some(libc::SIGFPE), _) => "the process ended with SIGFPE: a division by zero".to_owned(),
        (Some(libc::SIGILL), _) => "the process ended with SIGILL".to_owned(),
        (Some(signal), _) => format!("the process ended with signal {signal}"),
        (None, code) => format!("it ended the process with exit code {}", code.unwrap_or_default()),
    }
}

/// What is checked, and how.
pub(crate) struct Case {
    library: PathBuf,
    manifest: Option<PathBuf>,
    scenarios: Option<PathBuf>,
    seed: u64,
    quick: bool,
}

impl Case {
    fn of(place: &Place, settings: &Settings) -> Self {
        let Place { library, manifest, scenarios } = place.clone();
        Self { library, manifest, scenarios, seed: settings.seed, quick: settings.quick }
    }

    /// Whether the manifest beside the library is that of a connector.
    fn connects(&self) -> bool {
        let text = self.manifest.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let manifest = text.and_then(|text| crate::manifest::Manifest::parse(&text).ok());
        manifest.is_some_and(|manifest| manifest.connector.is_some())
    }

    /// How often to do something that is done so often in full.
    fn rounds(&self, full: usize) -> usize {
        if self.quick { (full / 4).max(2) } else { full }
    }
}

/// Why a check ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The rule is broken: where.
    Failed(String),
    /// It cannot be looked at: why.
    NotRun(String),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

fn failed<T>(text: String) -> Result<T, Stop> {
    Err(Stop::Failed(text))
}

fn verdict(outcome: Result<(), Stop>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Kept,
        Err(Stop::Failed(text)) => Verdict::Broken(text),
        Err(Stop::NotRun(text)) => Verdict::NotLookedAt(text),
    }
}
