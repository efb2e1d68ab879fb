//! What bodies answered, fetched from them.

use linli_core::community_body::CommunityBody;
use linli_core::id::ReferralId;
use linli_core::referral::{Decision, Referral};
use linli_core::text::{Line, Paragraph};
use linli_plugin_host::exchange::{self, End, Operation};

use super::lane::Rest;
use super::{ANOTHER_END, Way, line, seconds};
use crate::app::App;
use crate::app::Repeat;
use crate::app::contest::insisted;
use crate::app::referral::Acknowledgement;
use crate::auth::table;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self, InSite};

/// Referrals that one poll asks about, the newest: as many as connectors take.
const ASKED_MAX: u64 = 500;

impl App {
    /// Asks a body what became of its referrals, and records what it says. The cursor of the next time, or why the body must rest.
    pub(super) async fn poll_body(
        &self,
        body: &CommunityBody,
        way: &Way,
        cursor: &str,
    ) -> Result<std::result::Result<String, Rest>> {
        let open = self.store.open_referrals(&body.id, ASKED_MAX).await?;
        let references = open.into_iter().filter_map(|referral| referral.external_reference);
        let operation = Operation::Poll {
            external_references: references.map(|reference| reference.as_str().to_owned()).collect(),
            cursor: cursor.to_owned(),
        };
        let rest = |trouble: &str, asked_seconds| Ok(Err(Rest { trouble: line(trouble), asked_seconds }));
        let (items, cursor) = match self.run(way, operation, self.ids.next(self.now())).await {
            Ok(End::Acknowledgements { items, cursor }) => (items, cursor),
            Ok(End::Error { message, retry_after, .. }) => {
                return rest(&message, retry_after.map(seconds));
            }
            // The host lets a poll end in no other way.
            Ok(End::Delivered { .. } | End::Roster { .. } | End::Probed) => {
                return rest(ANOTHER_END, None);
            }
            Err(error) => return rest(&error.to_string(), None),
        };
        let mut unknown = 0_u32;
        for item in items {
            if !self.answered_by(body, item).await? {
                unknown += 1;
            }
        }
        if unknown > 0 {
            tracing::warn!(
                body = body.id.as_str(),
                unknown,
                "a body answered about referrals that it does not have"
            );
        }
        Ok(Ok(cursor))
    }

    /// Records one answer; `false`: it is about nothing that went to this body.
    async fn answered_by(&self, body: &CommunityBody, item: exchange::Acknowledgement) -> Result<bool> {
        // By what the body calls it, however long ago it went there; else by our name of it.
        let called = match Line::new(&item.external_reference) {
            Ok(reference) => self.store.referral_called(&body.id, &reference).await?,
            Err(_) => None,
        };
        let found = match (called, name::parse_referral(&item.referral)) {
            (Some(found), _) => Some(found),
            (None, Ok(at)) => self.store.referral(&at.site, &at.id).await?.filter(|it| it.body == body.id),
            (None, Err(_)) => None,
        };
        let Some(referral) = found else { return Ok(false) };
        let answer = Acknowledgement {
            decision: match item.decision {
                exchange::Decision::Accepted => Decision::Accepted,
                exchange::Decision::Rejected => Decision::Rejected,
                exchange::Decision::Closed => Decision::Closed,
            },
            remark: Paragraph::new(&item.remark).ok(),
            external_reference: Line::new(&item.external_reference).ok(),
            at: item.decided_at,
        };
        self.take_answer_to(&referral, answer).await
    }

    /// Records what a body answered by itself, as often as it says so; `false`: nothing went to it yet, or there is no such referral.
    pub(crate) async fn take_answer(&self, at: &InSite<ReferralId>, answer: Acknowledgement) -> Result<bool> {
        match self.store.referral(&at.site, &at.id).await? {
            Some(referral) => self.take_answer_to(&referral, answer).await,
            None => Ok(false),
        }
    }

    async fn take_answer_to(&self, referral: &Referral, answer: Acknowledgement) -> Result<bool> {
        // Clocks of bodies go wrong: no answer is later than now, or earlier than the question.
        let decided_at = answer.at.map(|at| at.min(self.now()).max(referral.created_at));
        let answer = Acknowledgement { at: decided_at, ..answer };
        let recorded = insisted(|| async {
            let call = self.own_call(table::RECORD_ACKNOWLEDGEMENT)?;
            let repeat = Repeat { id: None, hash: [0; 32], encode: |_| Vec::new() };
            let at = InSite { site: referral.site.clone(), id: referral.id.clone() };
            self.record_acknowledgement(&call, repeat, at, answer.clone()).await
        });
        match recorded.await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_) | Error::State(StateConflict::ReferralNotSent)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
