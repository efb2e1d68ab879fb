//! One body's lane: what waits in it goes out in order, until nothing waits or the body must rest.

use std::time::Duration;

use linli_core::community_body::CommunityBody;
use linli_core::delivery::Lane;
use linli_core::text::Line;
use linli_core::time::Instant;

use super::attempt::HandedOver;
use super::{Way, line, seconds};
use crate::app::App;
use crate::error::{Error, Result};

/// For how long a lane is taken.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// After this time it is taken anew before the next run: what is left of the lease is longer than any run may take, so that nobody else
/// enters meanwhile, and most referrals of a series cost no statement for it.
const LEASE_USED: Duration = Duration::from_secs(4 * 60);
/// Referrals that one statement reads.
const BATCH: u64 = 50;
/// How often a referral is looked at again that changed while it was.
const TRIES: u32 = 8;
/// Rest of a lane that could not be worked in for a reason of ours.
const OWN_REST_SECONDS: i64 = 10;

/// Why a lane rests.
pub(super) struct Rest {
    /// For the operator.
    pub(super) trouble: Line,
    /// For how long, where the body said so.
    pub(super) asked_seconds: Option<i64>,
}

/// A lane that this server has, for a while.
struct Held<'a> {
    body: &'a CommunityBody,
    /// By the monotonic clock: that of the system may be set back.
    since: tokio::time::Instant,
}

impl App {
    /// Works in a body's lane, where no other server does; `false`: one does.
    pub(super) async fn work_lane(&self, body: &CommunityBody) -> Result<bool> {
        if !self.take_lane(body).await? {
            return Ok(false);
        }
        let mut held = Held { body, since: tokio::time::Instant::now() };
        let lane = self.lane(&body.id).await?;
        // Whatever happens the lane is given back: with a rest, so that a fault of ours is not repeated without end.
        let (lane, worked) = match self.walk(&mut held, lane.clone()).await {
            Ok(lane) => (lane, Ok(true)),
            Err(error) => {
                let trouble = Some(line("it could not be worked in; the log of the server says why"));
                let next_at = self.now().plus_seconds(OWN_REST_SECONDS);
                (Lane { next_at, trouble, ..lane }, Err(error))
            }
        };
        self.store.leave_lane(&lane, &self.delivery.owner).await?;
        worked
    }

    async fn take_lane(&self, body: &CommunityBody) -> Result<bool> {
        let now = self.system_clock.now();
        let until = now.plus_seconds(seconds(LEASE));
        Ok(self.store.take_lane(&body.id, &self.delivery.owner, (now, until)).await?)
    }

    /// Sees to it that a run that begins now ends before the lease does; `false`: somebody else has the lane.
    async fn keep_lane(&self, held: &mut Held<'_>) -> Result<bool> {
        if held.since.elapsed() < LEASE_USED {
            return Ok(true);
        }
        held.since = tokio::time::Instant::now();
        self.take_lane(held.body).await
    }

    async fn walk(&self, held: &mut Held<'_>, mut lane: Lane) -> Result<Lane> {
        let body = held.body;
        let chance = || super::attempt::chance(&self.ids.next(self.now()));
        let Some(way) = body.channel.as_ref().and_then(|name| self.way(name)) else {
            let trouble = line("its channel is not in the configuration, or its connector is not loaded");
            return Ok(self.troubled(lane, |lane, at| lane.failed(at, trouble, None, chance())));
        };
        if let Some(Rest { trouble, asked_seconds }) = self.empty(held, &way, &mut lane).await? {
            return Ok(self.troubled(lane, |lane, at| lane.failed(at, trouble, asked_seconds, chance())));
        }
        if let Some(every) =
            way.channel.poll_every.filter(|_| way.info.can_poll && lane.poll_at <= self.now())
        {
            if !self.keep_lane(held).await? {
                return Ok(lane);
            }
            match self.poll_body(body, &way, &lane.poll_cursor).await? {
                Ok(cursor) => {
                    lane = self.reached(lane);
                    lane.poll_cursor = cursor;
                    lane.poll_at = self.now().plus_seconds(seconds(every));
                }
                Err(Rest { trouble, asked_seconds }) => {
                    let rested = |lane: Lane, at| lane.unanswered(at, trouble, asked_seconds, chance());
                    lane = self.troubled(lane, rested);
                }
            }
        } else if lane.poll_at == Instant::MIN || !way.info.can_poll {
            // Nobody is asked who cannot be: not looked at again before a day is over.
            lane.poll_at = self.now().plus_hours(24);
        }
        Ok(lane)
    }

    /// The lane after a failure. Whoever reads the log is told once that a body is in trouble, and once that it is well.
    fn troubled(&self, lane: Lane, rested: impl FnOnce(Lane, Instant) -> Lane) -> Lane {
        let was_well = lane.trouble.is_none();
        let lane = rested(lane, self.now());
        let (body, trouble) = (lane.body.as_str(), lane.trouble.as_ref().map(Line::as_str));
        if was_well {
            tracing::warn!(
                body,
                trouble,
                "a body is not reached; it is tried again, and what waits for it waits"
            );
        } else {
            tracing::debug!(body, trouble, failures = lane.failures, "a body is still not reached");
        }
        lane
    }

    fn reached(&self, lane: Lane) -> Lane {
        if lane.trouble.is_some() {
            tracing::info!(body = lane.body.as_str(), "a body is reached again");
        }
        lane.reached(self.now())
    }

    /// Hands over what waits; why the lane must rest before it is empty.
    async fn empty(&self, held: &mut Held<'_>, way: &Way, lane: &mut Lane) -> Result<Option<Rest>> {
        let body = held.body;
        let mut tries = 0;
        // A body that was not reached is tried with one referral, by whoever comes first after its rest.
        while lane.next_at <= self.now() {
            let waiting = self.store.queued_referrals(&body.id, BATCH).await?;
            if waiting.is_empty() {
                return Ok(None);
            }
            for referral in &waiting {
                if !self.keep_lane(held).await? {
                    return Ok(None);
                }
                let handed_over = match self.hand_over(body, way, referral).await {
                    // Rights, consents or the referral changed at the same moment: it is looked at again.
                    Err(Error::EtagMismatch | Error::Overloaded) if tries < TRIES => {
                        tries += 1;
                        break;
                    }
                    handed_over => handed_over?,
                };
                match handed_over {
                    HandedOver::Delivered => *lane = self.reached(lane.clone()),
                    HandedOver::Over => {}
                    HandedOver::Later(rest) => return Ok(Some(rest)),
                }
            }
        }
        Ok(None)
    }
}
