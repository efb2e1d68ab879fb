//! Where the runs of a connector live: in a few processes, or on threads of this process. A run stays where it began. In
//! one place many may be open and one is at work: a step takes microseconds, the exchanges between steps take seconds,
//! and those are the host's.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{wait_after, with_deadline};
use crate::child::{Home, Loss, Outcome, Process};
use crate::connector::Request;
use crate::error::CallError;
use crate::instance::{CallSettings, Exchanges};
use crate::library::Library;
use crate::plugin::{Limits, Mode};

/// What a run is asked.
#[derive(Debug)]
pub(crate) enum Turn {
    /// To begin, and to take its first step.
    Begin(Request),
    /// To take the next step.
    Step(Vec<u8>),
}

/// The places of one connector.
pub(crate) struct Runs {
    /// Threads of this process; `None`: it never runs here.
    library: Option<&'static Library>,
    /// Processes of its own; `None`: there is no runner.
    home: Option<Home>,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
    lost: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    places: Vec<Place>,
    /// Places that are being made.
    starting: usize,
    /// Number of the last place and of the last run.
    last_place: u64,
    last_run: u32,
    /// Whether it left this process for good.
    moved: bool,
    /// Ends of places since the last answer.
    ends: u32,
    /// None is made before.
    not_before: Option<Instant>,
}

/// A place with its open runs.
struct Place {
    number: u64,
    /// `None`: at work.
    worker: Option<Worker>,
    /// Open runs.
    open: usize,
    /// Runs that ended while it was at work.
    ended: Vec<u32>,
}

enum Worker {
    Thread(mpsc::Sender<Job>),
    Process(Box<Process>),
}

enum Job {
    Turn {
        run: u32,
        turn: Turn,
        cancel: Arc<AtomicU32>,
        budget_ms: u32,
        /// Who ends the call: the thread when it has an answer, or the caller when it gives the thread up.
        answered: Arc<AtomicBool>,
        reply: mpsc::SyncSender<Result<Vec<u8>, CallError>>,
    },
    End(u32),
}

/// An open run. Dropping it ends it.
pub(crate) struct Session {
    runs: Arc<Runs>,
    place: u64,
    run: u32,
}

impl Runs {
    /// On threads of this process, and in processes where one does not return.
    pub(crate) fn here(library: &'static Library, refuge: Option<Home>, limits: &Limits) -> Self {
        Self::new(Some(library), refuge, limits, State::default())
    }

    /// In processes, with one that is started already.
    pub(crate) fn in_processes(home: Home, limits: &Limits, first: Process) -> Self {
        let worker = Some(Worker::Process(Box::new(first)));
        let first = Place { number: 0, worker, open: 0, ended: Vec::new() };
        let state = State { places: vec![first], moved: true, ..State::default() };
        Self::new(None, Some(home), limits, state)
    }

    fn new(library: Option<&'static Library>, home: Option<Home>, limits: &Limits, state: State) -> Self {
        let (limits, state, changed) = (limits.clone(), Mutex::new(state), Condvar::new());
        Self { library, home, limits, state, changed, lost: Arc::default() }
    }

    /// Begins a run: what it said first, unchecked.
    pub(crate) fn begin(
        self: &Arc<Self>,
        request: Request,
        deadline: Duration,
    ) -> Result<(Session, Vec<u8>), CallError> {
        let end = Instant::now() + deadline;
        let (place, run, worker) = self.any(end, deadline)?;
        let session = Session { runs: Arc::clone(self), place, run };
        let said = self.turn(&session, worker, Turn::Begin(request), (end, deadline))?;
        Ok((session, said))
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.state().moved { Mode::Child } else { Mode::InProcess }
    }

    /// Leaves this process. Says whether it is in processes of its own then.
    pub(crate) fn move_out(&self) -> bool {
        if self.home.is_none() {
            return false;
        }
        let mut state = self.state();
        let left = if state.moved { Vec::new() } else { std::mem::take(&mut state.places) };
        state.moved = true;
        drop(state);
        self.changed.notify_all();
        drop(left); // idle threads end; one at work ends when it returns
        true
    }

    /// Threads of this process that are lost at present to calls that did not return.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for another run, taken to work: one without runs, a new one while there are fewer than the limit, or the
    /// one with the fewest runs.
    fn any(&self, end: Instant, deadline: Duration) -> Result<(u64, u32, Worker), CallError> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let wait = state.not_before.map(|at| at.saturating_duration_since(now));
            let wait = wait.filter(|wait| !wait.is_zero());
            let has_room = state.places.len() + state.starting < self.limits.workers.max(1);
            let idle = state.places.iter_mut().filter(|place| place.worker.is_some());
            let least = idle.min_by_key(|place| place.open);
            if let Some(place) = least.filter(|place| place.open == 0 || !has_room || wait.is_some()) {
                place.open += 1;
                let (number, worker) = (place.number, place.worker.take());
                state.last_run = state.last_run.wrapping_add(1);
                if let Some(worker) = worker {
                    return Ok((number, state.last_run, worker));
                }
            }
            if has_room && wait.is_none() {
                state.starting += 1;
                let moved = state.moved;
                drop(state);
                return self.start(moved);
            }
            let left = end.saturating_duration_since(now);
            match wait {
                Some(wait) if state.places.is_empty() && wait > left => {
                    let message = format!(
                        "it ended {} times without an answer and is started again in {} ms",
                        state.ends,
                        wait.as_millis()
                    );
                    return Err(CallError::NoProcess { message });
                }
                Some(_) | None if left.is_zero() => return Err(CallError::Busy { deadline }),
                Some(_) | None => {}
            }
            let wait = wait.map_or(left, |wait| wait.min(left));
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn start(&self, moved: bool) -> Result<(u64, u32, Worker), CallError> {
        let started = match (&self.library, &self.home) {
            (Some(library), _) if !moved => self.thread(library),
            (_, Some(home)) => home
                .start()
                .map(|(process, _)| Worker::Process(Box::new(process)))
                .map_err(|refusal| CallError::NoProcess { message: refusal.reason }),
            (_, None) => Err(CallError::NoProcess { message: "there is no `linli-runner`".to_owned() }),
        };
        let mut state = self.state();
        state.starting -= 1;
        let started = started.map(|worker| {
            state.last_place += 1;
            state.last_run = state.last_run.wrapping_add(1);
            let number = state.last_place;
            state.places.push(Place { number, worker: None, open: 1, ended: Vec::new() });
            (number, state.last_run, worker)
        });
        if started.is_err() {
            state.fail();
        }
        drop(state);
        self.changed.notify_all();
        started
    }

    fn thread(&self, library: &'static Library) -> Result<Worker, CallError> {
        let (jobs, inbox) = mpsc::channel();
        let lost = Arc::clone(&self.lost);
        thread::Builder::new()
            .name(format!("plugin {}", library.name))
            .spawn(move || work(library, &inbox, &lost))
            .map(|_detached| Worker::Thread(jobs))
            .map_err(|error| CallError::NoThread { message: error.to_string() })
    }

    /// The place of an open run, taken to work.
    fn take(&self, number: u64, end: Instant, deadline: Duration) -> Result<Worker, CallError> {
        let mut state = self.state();
        loop {
            let Some(place) = state.places.iter_mut().find(|place| place.number == number) else {
                let message = "it ended over another run".to_owned();
                return Err(CallError::NoProcess { message });
            };
            if let Some(worker) = place.worker.take() {
                return Ok(worker);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::Busy { deadline });
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn turn(
        &self,
        session: &Session,
        worker: Worker,
        turn: Turn,
        (end, deadline): (Instant, Duration),
    ) -> Result<Vec<u8>, CallError> {
        let outcome = match worker {
            Worker::Process(mut process) => {
                let name = self.home.as_ref().map_or("", |home| home.name.as_str());
                let outcome = process.converse(name, session.run, &turn, (end, self.limits.stop_grace));
                (outcome, Some(Worker::Process(process)))
            }
            Worker::Thread(jobs) => match self.ask_thread(&jobs, session.run, turn, (end, deadline)) {
                Ok(said) => (Outcome::Answered(said), Some(Worker::Thread(jobs))),
                Err(error @ (CallError::Hung { .. } | CallError::NoThread { .. })) => {
                    self.lose(session.place, None);
                    return Err(error);
                }
                Err(error) => (Outcome::Failed(error), Some(Worker::Thread(jobs))),
            },
        };
        let (outcome, worker) = outcome;
        let loss = match outcome {
            Outcome::Answered(said) => {
                self.give_back(session.place, worker, true);
                return Ok(said);
            }
            Outcome::Failed(error) => {
                self.give_back(session.place, worker, false);
                return Err(with_deadline(error, deadline));
            }
            Outcome::Lost(loss) => loss,
        };
        self.lose(session.place, worker);
        Err(match loss {
            Loss::Crashed { how } | Loss::NotBegun { how } => CallError::Crashed { how },
            Loss::Overran => CallError::Overran { deadline },
            Loss::Misbehaved { what } => CallError::Misbehaved { what },
        })
    }

    fn ask_thread(
        &self,
        jobs: &mpsc::Sender<Job>,
        run: u32,
        turn: Turn,
        (end, deadline): (Instant, Duration),
    ) -> Result<Vec<u8>, CallError> {
        let gone = || CallError::NoThread { message: "the thread ended unexpectedly".to_owned() };
        let (cancel, answered) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (reply, answer) = mpsc::sync_channel(1);
        let left = end.saturating_duration_since(Instant::now());
        let budget_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        let (flag, ended) = (Arc::clone(&cancel), Arc::clone(&answered));
        jobs.send(Job::Turn { run, turn, cancel: flag, budget_ms, answered: ended, reply })
            .map_err(|_| gone())?;
        match answer.recv_timeout(left) {
            Ok(said) => return said,
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            Err(RecvTimeoutError::Timeout) => cancel.store(1, Ordering::Release),
        }
        match answer.recv_timeout(self.limits.stop_grace) {
            Ok(_) => Err(CallError::TimedOut { deadline }),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                self.lost.fetch_add(1, Ordering::AcqRel);
                if answered.swap(true, Ordering::AcqRel) {
                    // The answer came at the last moment: the thread is not lost.
                    self.lost.fetch_sub(1, Ordering::AcqRel);
                    return Err(CallError::TimedOut { deadline });
                }
                Err(CallError::Hung { deadline })
            }
        }
    }

    fn give_back(&self, number: u64, worker: Option<Worker>, answered: bool) {
        let mut state = self.state();
        if answered {
            (state.ends, state.not_before) = (0, None);
        }
        let mut left = worker;
        if let Some(place) = state.places.iter_mut().find(|place| place.number == number) {
            if let Some(worker) = &left {
                place.ended.drain(..).for_each(|run| worker.end(run));
            }
            place.worker = left.take();
        }
        drop(state);
        self.changed.notify_all();
        drop(left); // the plugin has moved meanwhile
    }

    /// A place is gone, and its runs with it.
    fn lose(&self, number: u64, worker: Option<Worker>) {
        drop(worker); // ended and waited for before another takes its place
        let mut state = self.state();
        state.places.retain(|place| place.number != number);
        state.fail();
        drop(state);
        self.changed.notify_all();
    }

    fn end(&self, number: u64, run: u32) {
        let mut state = self.state();
        if let Some(place) = state.places.iter_mut().find(|place| place.number == number) {
            place.open = place.open.saturating_sub(1);
            match &place.worker {
                Some(worker) => worker.end(run),
                None => place.ended.push(run),
            }
        }
    }
}

impl State {
    fn fail(&mut self) {
        self.ends = self.ends.saturating_add(1);
        self.not_before = Some(Instant::now() + wait_after(self.ends));
    }
}

impl Worker {
    /// Ends a run there. Nobody waits for it.
    fn end(&self, run: u32) {
        match self {
            // A thread that is gone has ended it already.
            Self::Thread(jobs) => drop(jobs.send(Job::End(run))),
            Self::Process(process) => process.end_run(run),
        }
    }
}

impl Session {
    /// Takes the next step: what it said, unchecked.
    pub(crate) fn step(&self, input: Vec<u8>, deadline: Duration) -> Result<Vec<u8>, CallError> {
        let end = Instant::now() + deadline;
        let worker = self.runs.take(self.place, end, deadline)?;
        self.runs.turn(self, worker, Turn::Step(input), (end, deadline))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.runs.end(self.place, self.run);
    }
}

/// A host thread: takes steps of runs until its place lets go of it.
fn work(library: &'static Library, inbox: &mpsc::Receiver<Job>, lost: &AtomicUsize) {
    let mut exchanges = Exchanges::new(library);
    while let Ok(job) = inbox.recv() {
        let (run, turn, cancel, budget_ms, answered, reply) = match job {
            Job::Turn { run, turn, cancel, budget_ms, answered, reply } => {
                (run, turn, cancel, budget_ms, answered, reply)
            }
            Job::End(run) => {
                exchanges.end(run);
                continue;
            }
        };
        let settings = CallSettings { cancel: &cancel, budget_ms };
        let said = match &turn {
            Turn::Begin(Request { op, message, key }) => exchanges.begin(run, (*op, message, key), &settings),
            Turn::Step(input) => exchanges.step(run, input, &settings),
        };
        if answered.swap(true, Ordering::AcqRel) {
            lost.fetch_sub(1, Ordering::AcqRel); // given up, and back after all
            return;
        }
        if reply.send(said).is_err() {
            return;
        }
    }
}
