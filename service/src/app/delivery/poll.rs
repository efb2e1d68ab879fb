//! What bodies answered, fetched from them.

use std::collections::HashMap;

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
        let by_reference: HashMap<&str, &Referral> = open
            .iter()
            .filter_map(|referral| Some((referral.external_reference.as_ref()?.as_str(), referral)))
            .collect();
        let operation = Operation::Poll {
            external_references: by_reference.keys().map(|reference| (*reference).to_owned()).collect(),
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
            let known = by_reference.get(item.external_reference.as_str());
            let at = match known {
                Some(referral) => Some(InSite { site: referral.site.clone(), id: referral.id.clone() }),
                None => name::parse_referral(&item.referral).ok(),
            };
            match at {
                Some(at) if self.answered_by(body, &at, item).await? => {}
                Some(_) | None => unknown += 1,
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
    async fn answered_by(
        &self,
        body: &CommunityBody,
        at: &InSite<ReferralId>,
        item: exchange::Acknowledgement,
    ) -> Result<bool> {
        let found = self.store.referral(&at.site, &at.id).await?.filter(|referral| referral.body == body.id);
        let Some(referral) = found else { return Ok(false) };
        let answer = Acknowledgement {
            decision: match item.decision {
                exchange::Decision::Accepted => Decision::Accepted,
                exchange::Decision::Rejected => Decision::Rejected,
                exchange::Decision::Closed => Decision::Closed,
            },
            remark: Paragraph::new(&item.remark).ok(),
            external_reference: Line::new(&item.external_reference).ok(),
            // Clocks of bodies go wrong: no answer is later than now, or earlier than the question.
            at: item.decided_at.map(|at| at.min(self.now()).max(referral.created_at)),
        };
        self.take_answer(at, answer).await
    }

    /// Records what a body answered by itself, as often as it says so; `false`: nothing went to it yet, or there is no such referral.
    pub(crate) async fn take_answer(&self, at: &InSite<ReferralId>, answer: Acknowledgement) -> Result<bool> {
        let recorded = insisted(|| async {
            let call = self.own_call(table::RECORD_ACKNOWLEDGEMENT)?;
            let repeat = Repeat { id: None, hash: [0; 32], encode: |_| Vec::new() };
            let at = InSite { site: at.site.clone(), id: at.id.clone() };
            self.record_acknowledgement(&call, repeat, at, answer.clone()).await
        });
        match recorded.await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_) | Error::State(StateConflict::ReferralNotSent)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
