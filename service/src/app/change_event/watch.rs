//! Being told what happens as it happens.
//!
//! ```text
//! writer ─ commit ─ wakes ─> pump ─ reads a batch, decides ─> a place for one answer ─> the call's stream ─> the client
//! ```
//!
//! The pump of a watch reads only when there is a place for what it will read, and there is one place: what waits for a client is
//! one batch, whatever happens meanwhile. A client for whom nothing could be put there for a while is given up; the cursor
//! that it read last is where it goes on. On a database that others write to as well, the pump looks by itself besides.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use linli_core::id::SiteId;
use linli_store::{OutboxPlace, Scope};
use tokio::sync::mpsc::Permit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{ChangeEvent, From, Kind, Settings, is_short, is_wanted, log_name};
use crate::app::App;
use crate::app::contest::insisted;
use crate::app::work::Touches;
use crate::auth::Call;
use crate::error::{Error, Result};

/// How long a watch lasts, in minutes of the machine's clock: credentials, connections and load are looked at anew by a new call.
const WATCH_MINUTES: i64 = 10;
/// How often a database is looked at that other processes write to.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most answers that a caller may ask for before the end.
pub const WATCH_ANSWERS_MAX: u32 = 1_000;

/// Those who watch now.
#[derive(Debug)]
pub(super) struct Watchers {
    /// A place for each.
    places: Arc<Semaphore>,
    each_max: u32,
    /// How many places each caller has taken.
    taken: Arc<Mutex<HashMap<[u8; 32], u32>>>,
}

impl Watchers {
    pub(super) fn new(settings: &Settings) -> Self {
        let places = usize::try_from(settings.watchers).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            each_max: settings.watchers_per_caller,
            taken: Arc::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.values().map(|own| usize::try_from(*own).unwrap_or(usize::MAX)).sum()
    }

    fn take(&self, call: &Call) -> Result<WatchPlace> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let caller = call.caller.key();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.entry(caller).or_default();
        if *own >= self.each_max {
            return Err(Error::Overloaded);
        }
        *own += 1;
        Ok(WatchPlace { caller, taken: Arc::clone(&self.taken), _place: place })
    }
}

/// A watcher's place.
struct WatchPlace {
    caller: [u8; 32],
    taken: Arc<Mutex<HashMap<[u8; 32], u32>>>,
    _place: OwnedSemaphorePermit,
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

/// What has happened since the answer before.
#[derive(Debug)]
pub struct Told {
    /// The events.
    pub events: Vec<ChangeEvent>,
    /// The place after the last event that was looked at.
    pub end: OutboxPlace,
}

/// Somebody who watches a site.
pub struct EventWatch {
    answers: mpsc::Receiver<Told>,
    pump: JoinHandle<Result<()>>,
    /// Whether the end was told.
    ended: bool,
    /// The site.
    pub site: SiteId,
}

impl App {
    /// Watches a site; without kinds for all of them. Whether the caller may, [`EventWatch::next`] tells.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many watch, or the caller too often.
    pub fn watch_events(
        self: Arc<Self>,
        call: Call,
        site: SiteId,
        from: From,
        kinds: HashSet<Kind>,
        answers: Option<u32>,
    ) -> Result<EventWatch> {
        let place = self.events.watchers.take(&call)?;
        let (sender, receiver) = mpsc::channel(1);
        let pump = Pump {
            slow_after: self.events.settings.slow_after,
            heartbeat: self.events.settings.heartbeat,
            app: self,
            call,
            site: site.clone(),
            kinds,
            left: answers,
            sender,
            _place: place,
        };
        let pump = tokio::spawn(pump.run(from));
        Ok(EventWatch { answers: receiver, pump, ended: false, site })
    }
}

impl EventWatch {
    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::EventsGone`], [`Error::WatcherSlow`]; nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Told>> {
        if let Some(told) = self.answers.recv().await {
            return Ok(Some(told));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        match (&mut self.pump).await {
            Ok(end) => end.map(|()| None),
            // The panic hook has logged where.
            Err(_) => Err(Error::Internal("the pump of a watch ended before its time".into())),
        }
    }
}

impl Drop for EventWatch {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

struct Pump {
    app: Arc<App>,
    call: Call,
    site: SiteId,
    kinds: HashSet<Kind>,
    slow_after: Duration,
    heartbeat: Duration,
    /// How many answers are still to come; `None`: as many as there are.
    left: Option<u32>,
    sender: mpsc::Sender<Told>,
    _place: WatchPlace,
}

impl Pump {
    async fn run(mut self, from: From) -> Result<()> {
        let app = Arc::clone(&self.app);
        let scope = Scope::from(&self.site);
        // Before anything is read: what is committed meanwhile wakes.
        let mut listener = app.store.listen(&scope);
        let work = app.begin(&self.call, Some(&self.site)).await?;
        let mut end = app.event_place(&self.site, from).await?;
        work.disclose(&Touches::resource(log_name(&self.site))).await?;
        let ends_at = app.system_clock.now().plus_minutes(WATCH_MINUTES);
        let look_every = if app.store.shared() { LOOK_EVERY } else { self.heartbeat };
        // What was told last: when, and the state of the site then.
        let (mut told_at, mut pulse) = (None::<Instant>, None);
        let sender = self.sender.clone();
        while app.system_clock.now() < ends_at && self.left != Some(0) {
            let answer = tokio::select! {
                biased;
                // However much is still to be told: it is told by the next server.
                () = app.ending.begun() => return Ok(()),
                answer = timeout(self.slow_after, sender.reserve()) => answer,
            };
            let Ok(answer) = answer.map_err(|_| Error::WatcherSlow)? else { return Ok(()) }; // nobody is there
            let now = app.store.pulse(&scope).await?;
            let is_due = told_at.is_none_or(|at| at.elapsed() >= self.heartbeat);
            let mut more = false;
            if is_due || pulse != Some(now) || end.seq != now.0 {
                let events = app.events_after(&self.site, end).await?;
                more = !is_short(&events);
                // After the reading: nobody is told what became somebody else's secret before.
                // Rights that change at this very moment are decided upon again: the watcher did not ask, and cannot ask again.
                let work = insisted(|| app.begin(&self.call, Some(&self.site))).await?;
                let mut events = app.told_to(&work, &self.site, events).await?;
                pulse = Some(now);
                end = events.last().map_or(end, ChangeEvent::place);
                events.retain(|event| is_wanted(&self.kinds, event));
                if is_due || !events.is_empty() {
                    self.tell(answer, Told { events, end });
                    told_at = Some(Instant::now());
                }
            }
            if !more {
                let until_due =
                    told_at.map_or(Duration::ZERO, |at| self.heartbeat.saturating_sub(at.elapsed()));
                tokio::select! {
                    () = listener.woken() => {}
                    () = tokio::time::sleep(look_every.min(until_due)) => {}
                    () = app.ending.begun() => return Ok(()),
                    () = sender.closed() => return Ok(()),
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, answer: Permit<'_, Told>, told: Told) {
        self.left = self.left.map(|left| left.saturating_sub(1));
        answer.send(told);
    }
}
