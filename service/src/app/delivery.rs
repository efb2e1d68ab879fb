//! Delivery of referrals: what waits for a body goes out by its channel, in order, again and again until the body has it; what the
//! bodies answered is fetched.
//!
//! ```text
//! round ── bodies with something due ──► lane of each (one server at a time, all lanes at once)
//! lane  ── next referral ── may it still go? ── ledger + attempt committed ── channel ── outcome committed ──► the next one
//! ```
//!
//! * Nothing leaves that is not in the ledger: the disclosure and the attempt are durable before the first byte goes.
//! * Every attempt of a referral has the same idempotency key: a server that ends between sending and writing that down sends again,
//!   and a body that honours the key sees one effect.
//! * A lane that failed rests, alone. What is refused for good steps aside, so that the next one gets its turn.

mod attempt;
mod fetch;
mod lane;
mod poll;
mod show;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use linli_core::community_body::CommunityBody;
use linli_core::delivery::Lane;
use linli_core::id::{BodyId, ChannelName};
use linli_core::text::Line;
use linli_core::time::Instant;
use linli_plugin_host::Plugin;
use linli_plugin_host::exchange::{End, Operation, Start};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

pub use show::DeliveryView;

use super::App;
use super::community_body::ChannelInfo;
use crate::channel::answer::AnswerLinks;
use crate::channel::{Channel, Channels, Clocks, RunError};
use crate::error::Result;

/// How often a round begins by itself; one begins at once when a referral was made, a rest ends or the simulated clock moves.
const EVERY: Duration = Duration::from_secs(30);
/// Lanes that are worked in at a time. One that waits for a body that hangs takes a place for a minute: there are more places than
/// bodies that are likely to hang at once.
const LANES_MAX: usize = 256;
/// Bodies that one statement looks up.
const BODIES_BATCH: u64 = 200;
/// Nobody enters a lane again for this long where it could not be worked in: another server has it, or something of ours is at fault.
const SHUT_OUT: Duration = Duration::from_secs(10);

/// What delivery works with.
pub struct Delivery {
    /// The ways to bodies.
    channels: Channels,
    /// Makes and reads the links by which bodies answer; `None`: they cannot.
    links: Option<AnswerLinks>,
    /// For how long a body is tried.
    give_up_after: Duration,
    /// By what name this process takes lanes.
    owner: String,
    wake: Notify,
    places: Arc<Semaphore>,
    /// The lanes that are worked in here.
    busy: Mutex<HashSet<BodyId>>,
    standing: Standing,
}

/// How delivery stands, as the last rounds saw it; for those who watch the server.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    rounds: AtomicU64,
    troubled: AtomicU64,
    failed: AtomicU64,
}

impl Standing {
    /// Rounds that this process began.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Bodies with which something is wrong since they were last reached.
    pub(crate) fn troubled(&self) -> u64 {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Referrals that have failed and wait for a person.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Delivery {
    /// Delivery by these channels; `owner` is unique to the process.
    pub(crate) fn new(
        channels: Channels,
        links: Option<AnswerLinks>,
        give_up_after: Duration,
        owner: String,
    ) -> Self {
        let (wake, places, busy) = (Notify::new(), Arc::new(Semaphore::new(LANES_MAX)), Mutex::default());
        let standing = Standing::default();
        Self { channels, links, give_up_after, owner, wake, places, busy, standing }
    }

    /// How delivery stands.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Something waits, or time has moved.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The links by which bodies answer.
    pub(crate) fn links(&self) -> Option<&AnswerLinks> {
        self.links.as_ref()
    }

    /// Takes the lane of a body within this process; `None`: it is worked in.
    fn enter(self: &Arc<Self>, body: &BodyId) -> Option<Inside> {
        let entered = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(body.clone());
        entered.then(|| Inside { delivery: Arc::clone(self), body: body.clone() })
    }
}

/// Somebody works in a lane, until this is dropped.
struct Inside {
    delivery: Arc<Delivery>,
    body: BodyId,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.delivery.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.body);
    }
}

/// A way to a body that can be gone now.
struct Way {
    channel: Arc<Channel>,
    plugin: Arc<Plugin>,
    info: ChannelInfo,
}

impl App {
    /// What is known of a channel; `None`: there is no such one, or its connector is not there.
    pub(super) fn channel(&self, name: &ChannelName) -> Option<ChannelInfo> {
        self.way(name).map(|way| way.info)
    }

    fn way(&self, name: &ChannelName) -> Option<Way> {
        use linli_plugin_host::exchange::OperationKind as Kind;
        let channel = Arc::clone(self.delivery.channels.find(name.as_str())?);
        let deployed = self.deployed();
        let plugin = Arc::clone(deployed.registry.plugin(channel.connector.as_str())?);
        let manifest = plugin.manifest().connector.as_ref()?;
        let can = |kind| manifest.operations.contains(&kind);
        let info = ChannelInfo {
            fields: manifest.fields.clone(),
            recipients: manifest.recipients.clone(),
            can_deliver: can(Kind::Deliver),
            can_poll: can(Kind::Poll),
            can_pull: can(Kind::PullRoster),
        };
        Some(Way { channel, plugin, info })
    }

    /// Has the connector of a way carry out an operation.
    async fn run(
        &self,
        way: &Way,
        operation: Operation,
        idempotency_key: String,
    ) -> std::result::Result<End, RunError> {
        let start =
            Start { operation, settings: way.channel.settings.clone(), now: self.now(), idempotency_key };
        let clocks = Clocks { care: self.care_clock.clone(), system: self.system_clock.clone() };
        way.channel.run(way.plugin.clone(), start, &clocks).await
    }

    /// How the lane of a body stands.
    async fn lane(&self, body: &BodyId) -> Result<Lane> {
        let known = self.store.lanes(std::slice::from_ref(body)).await?.pop();
        Ok(known.unwrap_or_else(|| Lane::new(body.clone())).as_of(self.now()))
    }

    /// Rounds of delivery until the task is dropped.
    pub async fn keep_delivering(self: &Arc<Self>) {
        if let Err(error) = self.store.free_lanes().await {
            tracing::warn!(%error, "lanes were not freed; they are when their leases end");
        }
        // Dropped with this task: what is under way is broken off, and begun again by the next server.
        let mut lanes = JoinSet::new();
        loop {
            let next = match self.delivery_round(&mut lanes).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(?error, "a round of delivery was not finished; the next one goes on");
                    None
                }
            };
            let rest = next.map_or(EVERY, |next| self.until(next).min(EVERY));
            tokio::select! {
                () = self.delivery.wake.notified() => {}
                Some(_) = lanes.join_next(), if !lanes.is_empty() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// How long the care clock takes to an instant, if it runs.
    fn until(&self, next: Instant) -> Duration {
        if self.simulated.is_some() {
            return EVERY; // it wakes delivery when it is moved
        }
        let micros = next.micros().saturating_sub(self.now().micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// Begins to work in every lane that is due; when the next one is.
    async fn delivery_round(self: &Arc<Self>, lanes: &mut JoinSet<()>) -> Result<Option<Instant>> {
        while lanes.try_join_next().is_some() {}
        let standing = &self.delivery.standing;
        standing.rounds.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let (mut troubled, mut failed) = (0, 0);
        let mut next: Option<Instant> = None;
        let mut after: Option<String> = None;
        loop {
            let bodies = self.store.bodies(after.as_deref(), BODIES_BATCH).await?;
            let Some(last) = bodies.last() else { break };
            after = Some(last.id.as_str().to_owned());
            let ids: Vec<BodyId> = bodies.iter().map(|body| body.id.clone()).collect();
            let known = self.store.lanes(&ids).await?;
            let waiting: HashSet<BodyId> = self.store.queued_bodies(&ids).await?.into_iter().collect();
            failed += self.store.failed_referrals(&ids).await?.iter().map(|(_, count)| count).sum::<u64>();
            for body in bodies {
                let lane = known.iter().find(|lane| lane.body == body.id).cloned();
                let lane = lane.unwrap_or_else(|| Lane::new(body.id.clone())).as_of(now);
                troubled += u64::from(lane.trouble.is_some());
                let Some(due) = self.due(&body, &lane, waiting.contains(&body.id)) else { continue };
                if due > now {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    continue;
                }
                self.begin_lane(lanes, body);
            }
        }
        standing.troubled.store(troubled, Ordering::Relaxed);
        standing.failed.store(failed, Ordering::Relaxed);
        Ok(next)
    }

    /// When there is something to do in a lane; `None`: nothing.
    fn due(&self, body: &CommunityBody, lane: &Lane, waits: bool) -> Option<Instant> {
        let channel = body.channel.as_ref().filter(|_| body.enabled)?;
        let polls =
            self.delivery.channels.find(channel.as_str()).and_then(|channel| channel.poll_every).is_some();
        let polled = polls.then(|| lane.poll_at.max(lane.next_at));
        let delivered = waits.then_some(lane.next_at);
        polled.into_iter().chain(delivered).min()
    }

    fn begin_lane(self: &Arc<Self>, lanes: &mut JoinSet<()>, body: CommunityBody) {
        let Some(inside) = self.delivery.enter(&body.id) else { return };
        let Ok(place) = Arc::clone(&self.delivery.places).try_acquire_owned() else { return };
        let app = Arc::clone(self);
        lanes.spawn(async move {
            let name = body.id.clone();
            // A task of its own, so that a panic in it is an end like others.
            let mut work = JoinSet::new();
            work.spawn(async move { app.work_lane(&body).await });
            let worked = work.join_next().await;
            drop(place);
            let body = name.as_str();
            let is_shut_out = match worked {
                Some(Ok(Ok(was_ours))) => !was_ours,
                Some(Ok(Err(error))) => {
                    tracing::warn!(body, ?error, "a lane was left early; it is entered again");
                    true
                }
                Some(Err(_)) | None => {
                    tracing::error!(body, "a lane panicked; it is entered again");
                    true
                }
            };
            if is_shut_out {
                tokio::time::sleep(SHUT_OUT).await;
            }
            drop(inside);
        });
    }
}

/// What is said of an end that the host lets no such operation have.
const ANOTHER_END: &str = "the connector answered something else";

/// Whole seconds.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A text for operators in one line.
fn line(text: &str) -> Line {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(190).collect();
    let line = Line::new(shown.trim()).or_else(|_| Line::new("no more is known"));
    line.expect("a constant text of few letters is a line")
}
