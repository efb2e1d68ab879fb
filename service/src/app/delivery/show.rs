//! What an operator sees of delivery, and does about it.

use linli_core::delivery::{Attempt, Lane};
use linli_core::id::{BodyId, ReferralId};
use linli_core::referral::ReferralState;
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::time::Instant;
use linli_plugin_host::exchange::{End, Operation};

use super::{ANOTHER_END, line};
use crate::app::referral::{self, ReferralView};
use crate::app::site::{Update, next_version};
use crate::app::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name::{self, InSite};

/// How what waits for a body is delivered.
#[derive(Debug, Clone)]
pub struct DeliveryView {
    /// The body's lane.
    pub lane: Lane,
    /// Since when the first of what waits in it does; `None`: nothing waits.
    pub waiting_since: Option<Instant>,
    /// How many referrals to the body have failed and wait for a person.
    pub failed: u64,
}

impl App {
    /// How what waits for a body is delivered.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn delivery_to(&self, call: &Call, id: &BodyId) -> Result<DeliveryView> {
        let _work = self.begin(call, None).await?;
        self.store.body(id).await?.ok_or(Error::NotFound(Thing::Body))?;
        let waiting_since = self.store.queued_referrals(id, 1).await?.pop().and_then(|first| first.queued_at);
        let failed = self.store.failed_referrals(std::slice::from_ref(id)).await?;
        let failed = failed.first().map_or(0, |(_, count)| *count);
        Ok(DeliveryView { lane: self.lane(id).await?, waiting_since, failed })
    }

    /// The attempts to hand a referral over, in order.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn delivery_attempts(
        &self,
        call: &Call,
        at: &InSite<ReferralId>,
        page: PageRequest,
    ) -> Result<Page<Attempt>> {
        let work = self.begin(call, Some(&at.site)).await?;
        let (referral, _) = self.load_referral(&work, at).await?;
        let after = page.after.as_deref().map(str::parse).transpose().map_err(|_| Error::PageToken)?;
        let limit = u64::from(page.size) + 1;
        let found = self.store.attempts(&referral.site, &referral.id, after.unwrap_or(0), limit).await?;
        Ok(Page::cut(found, page.size, |attempt| attempt.number.to_string()))
    }

    /// Tries a referral again: one that failed waits anew, and its body's rest ends.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] where it neither waits nor failed; [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn retry_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        update: Update<ReferralId, ()>,
    ) -> Result<Answer<ReferralView>> {
        let Update { site, id, version, change: () } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let (mut referral, _) = self.load_referral(&work, &InSite { site, id }).await?;
        let next = next_version(referral.version, version)?;
        let mut changes = work.changes(&referral::touches(&referral, &[FieldClass::Care]));
        match referral.state {
            ReferralState::Queued => {}
            ReferralState::Failed => {
                referral.version = next;
                referral.state = ReferralState::Queued;
                referral.queued_at = Some(work.now);
                referral.ended_at = None;
                changes.event("referral.queued", name::referral(&referral.site, &referral.id));
                changes.put_referral(referral.clone());
            }
            ReferralState::Sent
            | ReferralState::Accepted
            | ReferralState::Rejected
            | ReferralState::Closed
            | ReferralState::Revoked => {
                return Err(Error::State(StateConflict::ReferralStep { state: referral.state }));
            }
        }
        let body = referral.body.clone();
        let answer = work.commit("referral.retry", changes, &repeat, referral.into()).await?;
        self.store.end_rest(&body, self.now()).await?;
        self.delivery.wake();
        Ok(answer)
    }

    /// Sees whether a body can be reached by its channel; what is wrong where it cannot.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] where it has no channel, or that is gone; [`Error::Denied`].
    pub async fn probe_body(&self, call: &Call, id: &BodyId) -> Result<Option<Line>> {
        let _work = self.begin(call, None).await?;
        let body = self.store.body(id).await?.ok_or(Error::NotFound(Thing::Body))?;
        let way = body.channel.as_ref().and_then(|name| self.way(name));
        let way = way.ok_or(Error::State(StateConflict::ChannelGone))?;
        Ok(match self.run(&way, Operation::Probe, self.ids.next(self.now())).await {
            Ok(End::Probed) => None,
            Ok(End::Error { message, .. }) => Some(line(&message)),
            // The host lets a probe end in no other way.
            Ok(End::Delivered { .. } | End::Acknowledgements { .. } | End::Roster { .. }) => {
                Some(line(ANOTHER_END))
            }
            Err(error) => Some(line(&error.to_string())),
        })
    }
}
