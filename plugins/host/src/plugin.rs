//! A loaded plugin: what it declares, what it answers, and how it fares.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use linli_core::assessment::{FactIssue, PluginStamp};
use linli_core::standard::Origin;

use crate::answer::{self, Answer, Said};
use crate::batch::{Batch, BatchBuilder, FieldIndex, Places};
use crate::breaker::{Breaker, Health};
use crate::error::CallError;
use crate::instance::Question;
use crate::manifest::Manifest;
use crate::runner::Confinement;
use crate::seat::Seat;
use crate::trust::{TrustState, Verdict};

/// Bounds on what plugins may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Host threads for one plugin: calls beyond wait for one.
    pub workers: usize,
    /// Statements that a plugin may make about one resident, on average over a batch.
    pub findings_per_resident: u32,
    /// How long a call may take to notice that it was told to stop at its deadline; afterwards its thread is given up.
    pub stop_grace: Duration,
    /// Address space of a process that runs a plugin, in bytes: what it takes beyond fails, there.
    pub address_space: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // Rules take microseconds a batch: two threads keep one slow batch from holding up a single file.
        Self {
            workers: 2,
            findings_per_resident: 64,
            stop_grace: Duration::from_millis(25),
            address_space: 4 << 30,
        }
    }
}

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the host's process.
    InProcess,
    /// In processes of its own.
    Child,
}

/// What a library says about itself once it is loaded.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) build_info: String,
    pub(crate) abi: (u32, u32),
    /// `P_*`.
    pub(crate) flags: u32,
    /// How far its process is confined; `None`: it has none.
    pub(crate) confinement: Option<Confinement>,
}

/// Checks what was said against manifest and batch, and gives the answer.
type ReadAnswer<T> = fn(&Arc<Manifest>, Batch, Said) -> Result<T, CallError>;

/// A loaded plugin. Calls block until the answer or the deadline; any number of threads may call.
pub struct Plugin {
    core: Arc<Core>,
    places: Places,
    stamp: Arc<PluginStamp>,
    path: PathBuf,
    about: About,
    verdict: Verdict,
}

/// What its calls need of a plugin, for as long as one of its runs is open.
pub(crate) struct Core {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) seat: Seat,
    limits: Limits,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    breaker: Breaker,
    figures: Counts,
}

#[derive(Default, Clone)]
struct Counts {
    calls: u64,
    residents: u64,
    busy: Duration,
    failures: u64,
    panics: u64,
    hangs: u64,
    crashes: u64,
    manual: u64,
    last_error: Option<String>,
}

/// How a plugin fares, since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Calls that were made, the failed ones included; of a connector, steps.
    pub calls: u64,
    /// Residents about whom an answer was accepted.
    pub residents: u64,
    /// Time spent waiting for answers that were accepted.
    pub busy: Duration,
    /// Calls that failed, for whatever reason.
    pub failures: u64,
    /// Of these, panics.
    pub panics: u64,
    /// Of these, calls that did not return.
    pub hangs: u64,
    /// How often its process ended during a call, those included that the search for one resident cost.
    pub crashes: u64,
    /// Residents about whom it could not be asked, because its process ends over them.
    pub manual: u64,
    /// Threads that such calls hold at present.
    pub lost_threads: usize,
    /// The last failure, without personal data.
    pub last_error: Option<String>,
    /// Whether it is called.
    pub health: Health,
}

impl Plugin {
    pub(crate) fn new(
        mut manifest: Manifest,
        path: &Path,
        digest: String,
        verdict: Verdict,
        about: About,
        seat: Seat,
        limits: &Limits,
    ) -> Self {
        let stamp =
            Arc::new(PluginStamp { id: manifest.id.clone(), version: manifest.version.clone(), digest });
        for standard in &mut manifest.standards {
            standard.origin = Origin::Plugin {
                id: stamp.id.clone(),
                version: stamp.version.clone(),
                digest: stamp.digest.clone(),
            };
        }
        let (places, manifest) = (Places::new(&manifest), Arc::new(manifest));
        let (path, limits, tally) = (path.to_owned(), limits.clone(), Mutex::default());
        let core = Arc::new(Core { manifest, seat, limits, tally });
        Self { core, places, stamp, path, about, verdict }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// What it declares.
    pub fn manifest(&self) -> &Manifest {
        &self.core.manifest
    }

    /// Id, version and digest: what every assessment is stamped with.
    pub fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its files come from.
    pub fn trust(&self) -> &TrustState {
        &self.verdict.state
    }

    /// Where its files come from, and where it may run at most.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What it was built with, for messages.
    pub fn build_info(&self) -> &str {
        &self.about.build_info
    }

    /// Major and minor of the plugin interface that it was built for.
    pub fn abi(&self) -> (u32, u32) {
        self.about.abi
    }

    /// Where it runs now. A plugin in the host's process moves out of it once a call does not return, and stays out.
    pub fn mode(&self) -> Mode {
        self.core.seat.mode()
    }

    /// How far its process is confined, as it said when it was loaded; `None`: it was loaded in the host's process.
    pub fn confinement(&self) -> Option<Confinement> {
        self.about.confinement
    }

    /// An empty batch for this plugin.
    pub fn batch(&self) -> BatchBuilder<'_> {
        BatchBuilder::new(&self.core.manifest, &self.places, Arc::clone(&self.stamp))
    }

    /// The place of a field that it declares, for [`BatchBuilder::push_placed`].
    pub fn field_index(&self, code: &str) -> Option<FieldIndex> {
        self.places.find(code)
    }

    /// What follows from the facts: findings for every row, in row order.
    ///
    /// # Errors
    /// [`CallError`]; then nothing is known about any row of the batch.
    pub fn assess(&self, batch: Batch, deadline: Duration) -> Result<Answer, CallError> {
        self.call(Question::Assess, batch, deadline, Answer::read)
    }

    /// Which facts are not acceptable: issues for every row, in row order.
    ///
    /// # Errors
    /// [`CallError`]; then nothing is known about any row of the batch.
    pub fn validate(&self, batch: Batch, deadline: Duration) -> Result<Vec<Vec<FactIssue>>, CallError> {
        self.call(Question::Validate, batch, deadline, answer::issues)
    }

    /// What it says about a batch, unchecked; for measuring, so it counts for nothing.
    pub(crate) fn said(&self, batch: Batch, deadline: Duration) -> Result<(Batch, Said), CallError> {
        let answered = self.core.seat.ask(Question::Assess, batch, deadline)?;
        Ok((answered.batch, answered.said))
    }

    /// The answer that is in what it said.
    pub(crate) fn read(&self, batch: Batch, said: Said) -> Result<Answer, CallError> {
        Answer::read(&self.core.manifest, batch, said)
    }

    /// How it fares.
    pub fn figures(&self) -> Figures {
        let seat = &self.core.seat;
        let tally = self.core.tally();
        let counts = tally.figures.clone();
        let Counts { calls, residents, busy, failures, panics, hangs, crashes, manual, last_error } = counts;
        let health = tally.breaker.health(Instant::now(), seat.in_the_way());
        let lost_threads = seat.lost();
        Figures {
            calls,
            residents,
            busy,
            failures,
            panics,
            hangs,
            crashes,
            manual,
            lost_threads,
            last_error,
            health,
        }
    }

    /// Calls it again after faults, at the operator's word.
    pub fn reset(&self) {
        let lost = self.core.seat.in_the_way();
        self.core.tally().breaker.reset(lost);
    }

    fn call<T>(
        &self,
        question: Question,
        batch: Batch,
        deadline: Duration,
        read: ReadAnswer<T>,
    ) -> Result<T, CallError> {
        if *batch.stamp != *self.stamp {
            return Err(CallError::WrongPlugin);
        }
        let started = Instant::now();
        self.core.ready(started)?;
        let rows = batch.len();
        let answered = self.core.seat.ask(question, batch, deadline);
        let (ends, manual) =
            answered.as_ref().map_or((0, 0), |answered| (answered.ends, answered.said.manual.len()));
        let answer = answered.and_then(|answered| read(&self.core.manifest, answered.batch, answered.said));
        self.core.note(started, (ends, manual), answer.as_ref().map(|_| rows - manual));
        answer
    }
}

impl Core {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is called at all.
    fn ready(&self, now: Instant) -> Result<(), CallError> {
        match self.tally().breaker.health(now, self.seat.in_the_way()) {
            Health::Ready => Ok(()),
            Health::Resting { retry_in } => Err(CallError::Resting { retry_in }),
            Health::Stopped => Err(CallError::Stopped),
        }
    }

    /// Takes a step of a run and notes how it went. A run that began goes on while the plugin rests.
    pub(crate) fn watched<T>(
        &self,
        begins: bool,
        step: impl FnOnce() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        if begins {
            self.ready(started)?;
        }
        let stepped = step();
        self.note(started, (0, 0), stepped.as_ref().map(|_| 0));
        stepped
    }

    fn note(&self, started: Instant, (ends, manual): (u32, usize), answer: Result<usize, &CallError>) {
        let now = Instant::now();
        let mut tally = self.tally();
        tally.figures.calls += 1;
        tally.figures.crashes += u64::from(ends);
        tally.figures.manual += manual as u64;
        let error = match answer {
            Ok(rows) => {
                tally.figures.residents += rows as u64;
                tally.figures.busy += now.saturating_duration_since(started);
                if ends > 0 {
                    // However often it ended while the resident was looked for.
                    tally.breaker.fault(now);
                    let error = format!("the plugin's process ended over {manual} residents of a call");
                    tracing::warn!(plugin = %self.manifest.id, ends, "{error}");
                    tally.figures.last_error = Some(error);
                }
                return;
            }
            Err(error) => error,
        };
        tracing::warn!(plugin = %self.manifest.id, %error, "plugin call failed");
        tally.figures.failures += 1;
        tally.figures.last_error = Some(error.to_string());
        match error {
            CallError::Hung { .. } => {
                tally.figures.hangs += 1;
                if self.seat.move_out(&self.limits) {
                    tracing::warn!(plugin = %self.manifest.id, "from now on the plugin runs in a process of its own");
                } else {
                    tally.breaker.hang(now);
                }
            }
            CallError::Overran { .. } => {
                tally.figures.hangs += 1;
                tally.breaker.fault(now);
            }
            CallError::Crashed { .. } => {
                tally.figures.crashes += u64::from(ends == 0);
                tally.breaker.fault(now);
            }
            CallError::Panicked { .. } => {
                tally.figures.panics += 1;
                tally.breaker.fault(now);
            }
            CallError::Failed { .. } | CallError::Misbehaved { .. } | CallError::TimedOut { .. } => {
                tally.breaker.fault(now);
            }
            CallError::Busy { .. }
            | CallError::Resting { .. }
            | CallError::Stopped
            | CallError::WrongPlugin
            | CallError::Unfit { .. }
            | CallError::NoProcess { .. }
            | CallError::NoThread { .. } => {}
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({} {} at {})", self.stamp.id, self.stamp.version, self.path.display())
    }
}
