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

impl App {
    /// Works in a body's lane, where no other server does.
    pub(super) async fn work_lane(&self, body: &CommunityBody) -> Result<()> {
        if !self.take_lane(body).await? {
            return Ok(());
        }
        let lane = self.lane(&body.id).await?;
        // Whatever happens the lane is given back: with a rest, so that a fault of ours is not repeated without end.
        let (lane, worked) = match self.walk(body, lane.clone()).await {
            Ok(lane) => (lane, Ok(())),
            Err(error) => (Lane { next_at: self.now().plus_seconds(OWN_REST_SECONDS), ..lane }, Err(error)),
        };
        self.store.leave_lane(&lane, &self.delivery.owner).await?;
        worked
    }

    async fn take_lane(&self, body: &CommunityBody) -> Result<bool> {
        let now = self.system_clock.now();
        let until = now.plus_seconds(seconds(LEASE));
        Ok(self.store.take_lane(&body.id, &self.delivery.owner, (now, until)).await?)
    }

    async fn walk(&self, body: &CommunityBody, mut lane: Lane) -> Result<Lane> {
        let chance = || super::attempt::chance(&self.ids.next(self.now()));
        let Some(way) = body.channel.as_ref().and_then(|name| self.way(name)) else {
            let trouble = line("its channel is not in the configuration, or its connector is not loaded");
            return Ok(lane.failed(self.now(), trouble, None, chance()));
        };
        match self.empty(body, &way, &mut lane).await? {
            None => {}
            Some(Rest { trouble, asked_seconds }) => {
                tracing::info!(body = body.id.as_str(), trouble = trouble.as_str(), "a body was not reached");
                return Ok(lane.failed(self.now(), trouble, asked_seconds, chance()));
            }
        }
        if let Some(every) =
            way.channel.poll_every.filter(|_| way.info.can_poll && lane.poll_at <= self.now())
        {
            match self.poll_body(body, &way, &lane.poll_cursor).await? {
                Ok(cursor) => {
                    lane = lane.reached(self.now());
                    lane.poll_cursor = cursor;
                    lane.poll_at = self.now().plus_seconds(seconds(every));
                }
                Err(Rest { trouble, asked_seconds }) => {
                    lane = lane.failed(self.now(), trouble, asked_seconds, chance());
                }
            }
        } else if lane.poll_at == Instant::MIN || !way.info.can_poll {
            // Nobody is asked who cannot be: not looked at again before a day is over.
            lane.poll_at = self.now().plus_hours(24);
        }
        Ok(lane)
    }

    /// Hands over what waits; why the lane must rest before it is empty.
    async fn empty(&self, body: &CommunityBody, way: &Way, lane: &mut Lane) -> Result<Option<Rest>> {
        let mut tries = 0;
        let mut taken_at = self.system_clock.now();
        // A body that was not reached is tried with one referral, by whoever comes first after its rest.
        while lane.next_at <= self.now() {
            let waiting = self.store.queued_referrals(&body.id, BATCH).await?;
            if waiting.is_empty() {
                return Ok(None);
            }
            for referral in &waiting {
                let now = self.system_clock.now();
                if now >= taken_at.plus_seconds(seconds(LEASE_USED)) {
                    if !self.take_lane(body).await? {
                        return Ok(None);
                    }
                    taken_at = now;
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
                    HandedOver::Delivered => *lane = lane.clone().reached(self.now()),
                    HandedOver::Over => {}
                    HandedOver::Later(rest) => return Ok(Some(rest)),
                }
            }
        }
        Ok(None)
    }
}
