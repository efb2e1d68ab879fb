//! Events that go out by themselves, to where other systems subscribe to them.
//!
//! One server at a time does it: it holds a lease in the database, which another takes over when it is not renewed. Of each site it
//! gives one event after the other and goes on to the next one when the sink has said that it keeps the last; then it notes the
//! place. Whatever breaks off in between, the events after the last place are given again, in the same order and under the same
//! ids, by which the sink tells that it has them. Sites do not wait for each other: one of which something is not taken rests alone,
//! with everything after it, and a round that did not come to every site is followed by one that begins with the next.
//!
//! It has no caller whose rights could be looked at: protected files are withheld from it as from everybody who is not named.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use linli_core::id::SiteId;
use linli_store::{OutboxPlace, OutboxRead, Random, Scope, SinkWork};
use tokio::time::Instant;

use super::{BATCH, ChangeEvent};
use crate::app::App;
use crate::error::Error;

/// The one sink that there is, as its places are kept.
const SINK: &str = "nats";
/// How long a server that no longer says anything holds the lease, in seconds.
const LEASE_SECONDS: i64 = 30;
/// How long a holder gives events before it renews it: half of that, so that the slowest answer ends before the lease does.
const LEASE_USED: Duration = Duration::from_secs(15);
/// How often a server without the lease asks for it, and how often a database is looked at that others write to.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the database is looked at where nobody else writes to it: the commits themselves wake.
const LOOK_ALONE_EVERY: Duration = Duration::from_secs(20);
/// Most sites of a round.
const SITES_MAX: u64 = 1_000;
/// Sites whose events go out at the same time.
const SITES_TOGETHER: usize = 16;
/// The first rest after a failure; each further one doubles it.
const REST_FIRST: Duration = Duration::from_millis(250);
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// Where events go.
pub trait Outlet: Send + Sync {
    /// Connects anew, and sees to it that what is given will be kept.
    fn connect(&mut self) -> impl Future<Output = Result<(), OutletError>> + Send;
    /// Gives an event; returns when it is kept there. One that is there already is kept once.
    fn give(&self, event: &ChangeEvent) -> impl Future<Output = Result<(), OutletError>> + Send;
}

/// Why an outlet does not take events, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// Nobody answers, or nobody like us is let in: whatever it is, it does not go out.
    #[error("{0}")]
    Away(String),
    /// It answers, and does not take this event.
    #[error("{0}")]
    Refused(String),
}

/// How it stands, for the figures.
#[derive(Debug, Default)]
pub struct SinkState {
    connected: AtomicBool,
    leading: AtomicBool,
    waiting: AtomicU64,
    given: AtomicU64,
}

impl SinkState {
    /// Whether the outlet takes events, as far as was seen last.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Whether this server is the one that takes them out.
    pub fn is_leading(&self) -> bool {
        self.leading.load(Relaxed)
    }

    /// How many events have not gone out yet, as this server saw last.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// How many this process has given since its start.
    pub fn given(&self) -> u64 {
        self.given.load(Relaxed)
    }
}

/// Why events do not go out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Outlet(OutletError),
    #[error("the store failed: {0:?}")]
    Store(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl Failure {
    /// Whether it is about the one event: others may go out.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Outlet(OutletError::Refused(_)) => true,
            Self::Outlet(OutletError::Away(_)) | Self::Store(_) => false,
        }
    }
}

impl App {
    /// Takes events out until the server ends or the task is dropped.
    pub async fn keep_sink(&self, outlet: impl Outlet, random: &dyn Random) {
        let holder = self.ids.next(self.now());
        let mut sink = Sink {
            app: self,
            outlet,
            random,
            holder,
            until: None,
            resting: HashMap::new(),
            after: None,
            failures: 0,
        };
        loop {
            let failure = tokio::select! {
                () = self.ending.begun() => break,
                failure = sink.take_out() => failure,
            };
            sink.lay_down().await;
            let rest = rest(sink.failures, random);
            sink.failures = sink.failures.saturating_add(1);
            let waiting = self.events.sink.waiting();
            tracing::warn!(why = %failure, waiting, ?rest, "events do not go out; they wait");
            if let Failure::Outlet(_) = failure {
                self.events.sink.connected.store(false, Relaxed);
            }
            tokio::select! {
                () = self.ending.begun() => break,
                () = tokio::time::sleep(rest) => {}
            }
        }
        sink.lay_down().await;
    }

    /// The last event of a site that may be removed: none that has yet to go out.
    pub(super) async fn may_be_swept(&self, site: &SiteId) -> crate::error::Result<i64> {
        if self.events.settings.nats.is_none() {
            return Ok(i64::MAX);
        }
        Ok(self.store.sink_position(SINK, site).await?)
    }
}

/// Whoever takes events out on this server.
struct Sink<'a, O> {
    app: &'a App,
    outlet: O,
    random: &'a dyn Random,
    holder: String,
    /// Until when it gives events before it renews the lease; `None`: it has not got it.
    until: Option<Instant>,
    /// Sites of which an event was not taken, and until when they rest.
    resting: HashMap<SiteId, (u32, Instant)>,
    /// The site after which the next round begins.
    after: Option<SiteId>,
    /// Failures in a row.
    failures: u32,
}

/// How far a site came in a round.
struct Given {
    site: SiteId,
    count: u64,
    /// Why it came no further.
    stopped: Option<Failure>,
}

impl<O: Outlet> Sink<'_, O> {
    /// Rounds until something fails.
    async fn take_out(&mut self) -> Failure {
        match self.rounds().await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    /// Gives the lease back, so that another server need not wait for its end, and counts what waits.
    async fn lay_down(&mut self) {
        let state = &self.app.events.sink;
        if self.until.take().is_some()
            && let Err(error) = self.app.store.leave_sink(SINK, &self.holder).await
        {
            tracing::debug!(%error, "the lease of the sink was not given back; it ends by itself");
        }
        state.leading.store(false, Relaxed);
        match self.app.store.sink_waiting(SINK).await {
            Ok(waiting) => state.waiting.store(waiting, Relaxed),
            Err(error) => tracing::debug!(%error, "what waits was not counted"),
        }
    }

    async fn rounds(&mut self) -> Result<Infallible, Failure> {
        let app = self.app;
        let state = &app.events.sink;
        let mut listener = app.store.listen_to_all();
        self.outlet.connect().await.map_err(Failure::Outlet)?;
        loop {
            let is_leading = self.lead().await?;
            match (state.leading.swap(is_leading, Relaxed), is_leading) {
                (false, true) => tracing::info!("this server takes events out from now on"),
                (true, false) => tracing::info!("another server takes events out from now on"),
                (true, true) | (false, false) => {}
            }
            state.waiting.store(app.store.sink_waiting(SINK).await?, Relaxed);
            let work = if is_leading { self.work().await? } else { Vec::new() };
            if !work.is_empty() {
                self.round(work).await?;
                continue;
            }
            if self.resting.is_empty() {
                self.goes_out();
            }
            let look_every = if is_leading && !app.store.shared() { LOOK_ALONE_EVERY } else { LOOK_EVERY };
            let rested = self.resting.values().map(|(_, until)| *until).min();
            let look_at = rested.into_iter().fold(Instant::now() + look_every, Instant::min);
            tokio::select! {
                () = listener.woken(), if is_leading => {}
                () = tokio::time::sleep_until(look_at) => {}
            }
        }
    }

    /// What is given is taken, as far as can be seen.
    fn goes_out(&mut self) {
        self.failures = 0;
        if !self.app.events.sink.connected.swap(true, Relaxed) {
            tracing::info!("events go out to where other systems subscribe to them");
        }
    }

    /// Whether this server has the lease, which it renews once it is used up.
    async fn lead(&mut self) -> Result<bool, Failure> {
        let started = Instant::now();
        if self.until.is_none_or(|until| started >= until) {
            let now = self.app.system_clock.now();
            let lease = (now, now.plus_seconds(LEASE_SECONDS));
            let taken = self.app.store.take_sink(SINK, &self.holder, lease).await?;
            self.until = taken.then(|| started + LEASE_USED);
        }
        Ok(self.until.is_some())
    }

    /// The sites of the next round: those of which something waits, and which do not rest.
    async fn work(&mut self) -> Result<Vec<SinkWork>, Failure> {
        let mut work = self.app.store.sink_work(SINK, self.after.as_ref(), SITES_MAX).await?;
        self.after = work.last().map(|last| last.site.clone());
        let now = Instant::now();
        work.retain(|work| self.resting.get(&work.site).is_none_or(|(_, until)| *until <= now));
        Ok(work)
    }

    /// Gives a batch of each of these sites. Those of which something is not taken rest; where nothing at all is taken, it fails.
    async fn round(&mut self, work: Vec<SinkWork>) -> Result<(), Failure> {
        let Some(until) = self.until else { return Ok(()) };
        let mut sites: Vec<BoxFuture<'_, Given>> = Vec::new();
        for work in work {
            sites.push(Box::pin(give_site(self.app, &self.outlet, work, until)));
        }
        let given: Vec<Given> = stream::iter(sites).buffer_unordered(SITES_TOGETHER).collect().await;
        let is_taken = given.iter().any(|given| given.count > 0);
        let mut stopped = Vec::new();
        for Given { site, count, stopped: why } in given {
            match why {
                Some(why) => stopped.push((site, count, why)),
                None => drop(self.resting.remove(&site)),
            }
        }
        if is_taken || stopped.is_empty() {
            self.goes_out();
        } else if let Some(at) = stopped.iter().position(|(_, _, why)| !why.is_refusal()) {
            return Err(stopped.swap_remove(at).2);
        } else {
            self.app.events.sink.connected.store(false, Relaxed);
        }
        let now = Instant::now();
        let sites = stopped.len();
        for (at, (site, count, why)) in stopped.into_iter().enumerate() {
            let before = if count > 0 { None } else { self.resting.get(&site) };
            let failures = before.map_or(0, |(failures, _)| failures.saturating_add(1));
            let rest = rest(failures, self.random);
            if at == 0 {
                tracing::warn!(%site, %why, sites, ?rest, "events of a site do not go out; they wait, other sites do not");
            }
            self.resting.insert(site, (failures, now + rest));
        }
        Ok(())
    }
}

/// Gives a batch of a site's events and notes how far it came.
async fn give_site(app: &App, outlet: &impl Outlet, work: SinkWork, until: Instant) -> Given {
    let mut given = Given { site: work.site.clone(), count: 0, stopped: None };
    if let Err(failure) = give_batch(app, outlet, work, until, &mut given.count).await {
        given.stopped = Some(failure);
    }
    given
}

async fn give_batch(
    app: &App,
    outlet: &impl Outlet,
    work: SinkWork,
    until: Instant,
    count: &mut u64,
) -> Result<(), Failure> {
    let SinkWork { site, given } = &work;
    let scope = Scope::from(site);
    let place = match given {
        Some(given) => OutboxPlace::after(*given),
        None => app.store.outbox_start(&scope).await?,
    };
    let OutboxRead::Next(events) = app.store.read_outbox(&scope, place, BATCH).await? else {
        let kept = app.store.outbox_start(&scope).await?.seq;
        tracing::error!(%site, after = place.seq, up_to = kept, "events were removed before they went out");
        app.store.note_given(SINK, site, kept).await?;
        return Ok(());
    };
    // After the events: what became a secret before is none of the sink's.
    let protected = app.store.protected_files(site).await?;
    let hides = |resident: &_| protected.iter().any(|file| file.resident == *resident);
    let events = app.without_hidden(site, events, !protected.is_empty(), hides).await?;
    let (mut last, mut refused) = (None, None);
    for event in &events {
        if Instant::now() >= until {
            break;
        }
        if let Err(why) = outlet.give(event).await {
            refused = Some(Failure::Outlet(why));
            break;
        }
        last = Some(event.sequence);
        *count += 1;
        app.events.sink.given.fetch_add(1, Relaxed);
    }
    if let Some(last) = last {
        app.store.note_given(SINK, site, last).await?;
    }
    refused.map_or(Ok(()), Err)
}

/// How long to rest after so many failures in a row: between half and the whole of a time that doubles, so that the servers of a
/// company do not come back all at once.
fn rest(failures: u32, random: &dyn Random) -> Duration {
    let whole = REST_FIRST.saturating_mul(1 << failures.min(16)).min(REST_MAX);
    let mut byte = [u8::MAX];
    // Without randomness it is the whole.
    let [part] = random.fill(&mut byte).map_or([u8::MAX], |()| byte);
    whole / 2 + whole.mul_f64(f64::from(part) / 510.0)
}

#[cfg(test)]
mod tests {
    use linli_store::NoRandomness;

    use super::*;

    struct Always(u8);

    impl Random for Always {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn rests_double_up_to_the_longest_and_differ() {
        let longest: Vec<_> = (0..9).map(|failures| rest(failures, &Always(255)).as_millis()).collect();
        assert_eq!(longest, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(rest(0, &Always(0)), REST_FIRST / 2);
        assert_eq!(rest(u32::MAX, &Always(0)), REST_MAX / 2);
    }
}
