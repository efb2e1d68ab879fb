//! Events that go out by themselves, to where other systems subscribe to them.
//!
//! One server at a time does it: it holds a lease in the database, which another takes over when it is not renewed. Of each site it
//! gives one event after the other and goes on to the next one when the sink has said that it keeps the last; then it notes the
//! place. Whatever breaks off in between, the events after the last place are given again, in the same order and under the same
//! ids, by which the sink tells that it has them. Sites do not wait for each other.
//!
//! It has no caller whose rights could be looked at: protected files are withheld from it as from everybody who is not named.

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
/// How long a server that no longer says anything holds the lease.
const LEASE_MINUTES: i64 = 1;
/// How long a holder gives events before it renews it: half of that, so that the slowest answer ends before the lease does.
const LEASE_USED: Duration = Duration::from_secs(30);
/// How often a server without the lease asks for it, and how often a database is looked at that others write to.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the database is looked at where nobody else writes to it: the commits themselves wake.
const LOOK_ALONE_EVERY: Duration = Duration::from_secs(20);
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
#[error("{0}")]
pub struct OutletError(pub String);

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

/// Why a round ended.
enum Failure {
    Outlet(OutletError),
    Store(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl App {
    /// Takes events out until the server ends or the task is dropped.
    pub async fn keep_sink(&self, mut outlet: impl Outlet, random: &dyn Random) {
        let holder = self.ids.next(self.now());
        let mut failures = 0;
        loop {
            let ended = tokio::select! {
                () = self.ending.begun() => break,
                ended = self.take_out(&mut outlet, &holder, &mut failures) => ended,
            };
            let state = &self.events.sink;
            let rest = rest(failures, random);
            failures = failures.saturating_add(1);
            match ended {
                Failure::Outlet(why) => {
                    state.connected.store(false, Relaxed);
                    tracing::warn!(%why, waiting = state.waiting(), ?rest, "events do not go out; they wait");
                }
                Failure::Store(error) => {
                    tracing::warn!(?error, ?rest, "events do not go out: the store failed")
                }
            }
            tokio::select! {
                () = self.ending.begun() => break,
                () = tokio::time::sleep(rest) => {}
            }
        }
        if let Err(error) = self.store.leave_sink(SINK, &holder).await {
            tracing::debug!(%error, "the lease of the sink was not given back; it ends by itself");
        }
    }

    /// Rounds until something fails.
    async fn take_out(&self, outlet: &mut impl Outlet, holder: &str, failures: &mut u32) -> Failure {
        match self.rounds(outlet, holder, failures).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    async fn rounds(
        &self,
        outlet: &mut impl Outlet,
        holder: &str,
        failures: &mut u32,
    ) -> Result<std::convert::Infallible, Failure> {
        let state = &self.events.sink;
        let mut listener = self.store.listen_to_all();
        let look_every = if self.store.shared() { LOOK_EVERY } else { LOOK_ALONE_EVERY };
        outlet.connect().await.map_err(Failure::Outlet)?;
        if !state.connected.swap(true, Relaxed) {
            tracing::info!("events go out to where other systems subscribe to them");
        }
        loop {
            let until = Instant::now() + LEASE_USED;
            let now = self.system_clock.now();
            let leading = self.store.take_sink(SINK, holder, (now, now.plus_minutes(LEASE_MINUTES))).await?;
            state.leading.store(leading, Relaxed);
            let work = if leading { self.store.sink_work(SINK).await? } else { Vec::new() };
            let waiting: i64 = work.iter().map(|work| work.newest - work.given.unwrap_or_default()).sum();
            state.waiting.store(u64::try_from(waiting).unwrap_or_default(), Relaxed);
            if work.is_empty() {
                *failures = 0;
                let look_every = if leading { look_every } else { LOOK_EVERY };
                tokio::select! {
                    () = listener.woken(), if leading => {}
                    () = tokio::time::sleep(look_every) => {}
                }
                continue;
            }
            let outlet = &*outlet;
            let mut sites: Vec<BoxFuture<'_, Result<(), Failure>>> = Vec::new();
            for work in work {
                sites.push(Box::pin(self.give_site(outlet, work, until)));
            }
            let mut given = stream::iter(sites).buffer_unordered(SITES_TOGETHER);
            let mut failed = None;
            while let Some(result) = given.next().await {
                // The other sites go on to the end of what is in hand.
                failed = failed.or(result.err());
            }
            match failed {
                Some(failure) => return Err(failure),
                None => *failures = 0,
            }
        }
    }

    /// Gives a batch of a site's events and notes how far it came.
    async fn give_site(&self, outlet: &impl Outlet, work: SinkWork, until: Instant) -> Result<(), Failure> {
        let SinkWork { site, given, newest: _ } = &work;
        let scope = Scope::from(site);
        let start = match given {
            Some(given) => OutboxPlace::after(*given),
            None => self.store.outbox_start(&scope).await?,
        };
        let OutboxRead::Next(events) = self.store.read_outbox(&scope, start, BATCH).await? else {
            let kept = self.store.outbox_start(&scope).await?.seq;
            tracing::error!(%site, after = start.seq, up_to = kept, "events were removed before they went out");
            self.store.note_given(SINK, site, kept).await?;
            return Ok(());
        };
        // After the events: what became a secret before is none of the sink's.
        let protected = self.store.protected_files(site).await?;
        let hides = |resident: &_| protected.iter().any(|file| file.resident == *resident);
        let events = self.without_hidden(site, events, !protected.is_empty(), hides).await?;
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
            self.events.sink.given.fetch_add(1, Relaxed);
        }
        if let Some(last) = last {
            self.store.note_given(SINK, site, last).await?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// The last event of a site that may be removed: none that has yet to go out.
    pub(super) async fn may_be_swept(&self, site: &SiteId) -> crate::error::Result<i64> {
        if self.events.settings.nats.is_none() {
            return Ok(i64::MAX);
        }
        Ok(self.store.sink_position(SINK, site).await?)
    }
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
