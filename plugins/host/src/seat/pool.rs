//! In process: host threads own batch, sink and instance. The caller waits on a channel until the deadline. A thread
//! that has not answered by then is given up: nobody reads its answer, and if it returns after all it ends and is no
//! longer lost.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use linli_plugin_abi as abi;

use crate::batch::Batch;
use crate::error::CallError;
use crate::instance::{CallSettings, Encoded, Instance, Question, Room};
use crate::library::Library;
use crate::plugin::Limits;

/// Host threads of one plugin.
pub(crate) struct Pool {
    library: &'static Library,
    limits: Limits,
    state: Mutex<State>,
    freed: Condvar,
    lost: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    idle: Vec<Worker>,
    /// Threads that are idle or at work; those given up do not count.
    live: usize,
}

struct Worker {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    question: Question,
    batch: Batch,
    cancel: Arc<AtomicU32>,
    budget_ms: u32,
    /// Who ends the call: the thread when it has an answer, or the caller when it gives the thread up. The first counts.
    ended: Arc<AtomicBool>,
    reply: mpsc::SyncSender<(Batch, Result<Vec<abi::Finding>, CallError>)>,
}

impl Pool {
    pub(crate) fn new(library: &'static Library, limits: &Limits) -> Self {
        Self {
            library,
            limits: limits.clone(),
            state: Mutex::default(),
            freed: Condvar::new(),
            lost: Arc::default(),
        }
    }

    pub(super) fn ask(
        &self,
        question: Question,
        batch: Batch,
        deadline: Duration,
    ) -> Result<(Batch, Vec<abi::Finding>), CallError> {
        let end = Instant::now() + deadline;
        let worker = self.worker(end, deadline)?;
        let cancel = Arc::new(AtomicU32::new(0));
        let (reply, answer) = mpsc::sync_channel(1);
        let budget_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).max(1);
        let ended = Arc::new(AtomicBool::new(false));
        let job =
            Job { question, batch, cancel: Arc::clone(&cancel), budget_ms, ended: Arc::clone(&ended), reply };
        if worker.jobs.send(job).is_err() {
            self.lose();
            return Err(CallError::NoThread { message: "the thread ended unexpectedly".to_owned() });
        }
        let mut timed_out = false;
        let mut result = answer.recv_timeout(end.saturating_duration_since(Instant::now()));
        if matches!(result, Err(RecvTimeoutError::Timeout)) {
            timed_out = true;
            cancel.store(1, Ordering::Release);
            result = answer.recv_timeout(self.limits.stop_grace);
            if matches!(result, Err(RecvTimeoutError::Timeout)) {
                self.lost.fetch_add(1, Ordering::AcqRel);
                if ended.swap(true, Ordering::AcqRel) {
                    // The answer came at the last moment and is on its way.
                    self.lost.fetch_sub(1, Ordering::AcqRel);
                    result = answer.recv().map_err(|_| RecvTimeoutError::Disconnected);
                }
            }
        }
        match result {
            Ok((batch, records)) => {
                self.give_back(worker);
                if timed_out { Err(CallError::TimedOut { deadline }) } else { Ok((batch, records?)) }
            }
            Err(RecvTimeoutError::Timeout) => {
                self.lose();
                Err(CallError::Hung { deadline })
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.lose();
                Err(CallError::NoThread { message: "the thread ended unexpectedly".to_owned() })
            }
        }
    }

    /// Threads that are lost at present to calls that did not return.
    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::Acquire)
    }

    /// An idle thread, or a new one while there are fewer than the limit.
    fn worker(&self, end: Instant, deadline: Duration) -> Result<Worker, CallError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(worker) = state.idle.pop() {
                return Ok(worker);
            }
            if state.live < self.limits.workers.max(1) {
                let worker = self.spawn()?;
                state.live += 1;
                return Ok(worker);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::Busy { deadline });
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn spawn(&self) -> Result<Worker, CallError> {
        let (jobs, inbox) = mpsc::channel();
        let (library, findings_per_resident) = (self.library, self.limits.findings_per_resident);
        let lost = Arc::clone(&self.lost);
        thread::Builder::new()
            .name(format!("plugin {}", library.name))
            .spawn(move || work(library, findings_per_resident, &inbox, &lost))
            .map(|_detached| Worker { jobs })
            .map_err(|error| CallError::NoThread { message: error.to_string() })
    }

    fn give_back(&self, worker: Worker) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).idle.push(worker);
        self.freed.notify_one();
    }

    fn lose(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.live = state.live.saturating_sub(1);
        drop(state);
        self.freed.notify_one();
    }
}

/// A host thread: answers jobs until the pool lets go of it.
fn work(
    library: &'static Library,
    findings_per_resident: u32,
    inbox: &mpsc::Receiver<Job>,
    lost: &AtomicUsize,
) {
    let mut instance: Option<Instance> = None;
    while let Ok(job) = inbox.recv() {
        let settings = CallSettings { cancel: &job.cancel, budget_ms: job.budget_ms };
        let batch = Encoded::from(&job.batch.encoded);
        let mut room = Room::new(batch.rows(), batch.rows().saturating_mul(findings_per_resident));
        let answer = match instance.take().map_or_else(|| Instance::create(library), Ok) {
            Ok(mut live) => {
                let answer = live.ask(job.question, &batch, &mut room, &settings);
                // An instance that failed is not used again.
                if answer.is_ok() {
                    instance = Some(live);
                }
                answer.map(|records| room.into_records(records))
            }
            Err(error) => Err(error),
        };
        if job.ended.swap(true, Ordering::AcqRel) {
            lost.fetch_sub(1, Ordering::AcqRel); // given up, and back after all
            return;
        }
        if job.reply.send((job.batch, answer)).is_err() {
            return;
        }
    }
}
