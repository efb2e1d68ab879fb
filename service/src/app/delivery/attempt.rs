//! One attempt to hand a referral over: written down, made, and its outcome written down.

use linli_core::community_body::CommunityBody;
use linli_core::delivery::{Attempt, AttemptEnd, AttemptOutcome};
use linli_core::id::ReferralId;
use linli_core::referral::{Referral, ReferralPart, ReferralState};
use linli_core::resident::FileState;
use linli_core::text::Line;
use linli_plugin_host::exchange::{self, End, Operation};
use linli_store::{Committed, Receipt};
use sha2::{Digest as _, Sha256};

use super::lane::Rest;
use super::{ANOTHER_END, Way, line, seconds};
use crate::app::App;
use crate::app::contest::insisted;
use crate::app::record::word;
use crate::app::referral::{self, Outgoing};
use crate::app::site::next_version;
use crate::app::work::Work;
use crate::auth::table;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::name::{self, InSite};

/// What came of a referral's turn.
pub(super) enum HandedOver {
    /// The body has it.
    Delivered,
    /// It waits no more: it failed, was taken back, or was answered meanwhile.
    Over,
    /// It waits on.
    Later(Rest),
}

/// What came of an attempt, before it is written down.
struct Ended {
    outcome: AttemptOutcome,
    detail: Option<Line>,
    external_reference: Option<Line>,
    asked_seconds: Option<i64>,
}

impl App {
    /// Hands one referral over, where it still may go.
    pub(super) async fn hand_over(
        &self,
        body: &CommunityBody,
        way: &Way,
        queued: &Referral,
    ) -> Result<HandedOver> {
        let call = self.own_call(table::CREATE_REFERRAL)?;
        let at = InSite { site: queued.site.clone(), id: queued.id.clone() };
        let work = self.begin_file(&call, &queued.site, &queued.resident).await?;
        let (mut referral, head) = self.load_referral(&work, &at).await?;
        if referral.state != ReferralState::Queued {
            return Ok(HandedOver::Over);
        }
        let attempt = self.next_attempt(&work, &referral).await?;
        let outgoing =
            Outgoing { purpose: referral.purpose, basis: referral.basis, fields: &referral.fields };
        // What was true when it was made may be so no more: a consent taken back, an agreement that has ended, a file put away.
        let may_go = match head.state {
            FileState::Active | FileState::Left => {
                self.project(&work, &head, body, Some(&way.info.fields), outgoing).await
            }
            FileState::Sealed | FileState::Erased => Err(Error::DisclosureRefused(Vec::new())),
        };
        let withheld = matches!(may_go, Err(Error::DisclosureRefused(_)));
        let classes = referral::classes(&referral.fields);
        let mut changes = work.changes(&referral::touches(&referral, &classes));
        changes.put_attempt(attempt.clone());
        match may_go {
            Ok(consents) if referral.disclosure.is_none() => {
                referral.version = next_version(referral.version, None)?;
                referral::goes_out(&work, &mut referral, body, consents, &mut changes)?;
                changes.put_referral(referral.clone());
            }
            Ok(_) | Err(Error::DisclosureRefused(_)) => {
                changes.require_referral(&referral);
            }
            Err(error) => return Err(error),
        }
        let receipt = match self.store.commit("referral.attempt", changes).await? {
            Committed::Done(receipt) => receipt,
            Committed::Repeated(_) => return Err(Error::Internal("an attempt has no request id".into())),
        };
        let ended = if withheld {
            let detail = "what may go out has changed since the referral was made";
            Ended::new(AttemptOutcome::Withheld, detail)
        } else {
            self.attempt(way, &referral, &receipt).await?
        };
        // Whatever others do to the referral meanwhile.
        insisted(|| self.write_down(&at, &attempt, &ended)).await
    }

    async fn next_attempt(&self, work: &Work<'_>, referral: &Referral) -> Result<Attempt> {
        let last = self.store.last_attempt(&referral.site, &referral.id).await?;
        Ok(Attempt {
            site: referral.site.clone(),
            referral: referral.id.clone(),
            number: last.map_or(1, |last| last.number.saturating_add(1)),
            body: referral.body.clone(),
            began_at: work.now,
            end: None,
        })
    }

    /// Opens what is to be said, and has the channel say it.
    async fn attempt(&self, way: &Way, referral: &Referral, receipt: &Receipt) -> Result<Ended> {
        let opener = self.store.opener(receipt).await?;
        let mut fields = vec![
            said("matter", referral.matter.zh()),
            said("matter_en", referral.matter.en()),
            said("urgency", referral.urgency.zh()),
            said("urgency_en", referral.urgency.en()),
        ];
        for (part, sealed) in self.store.referral_words(&referral.site, &referral.id).await? {
            let code = match part {
                ReferralPart::Field(field) => field.code(),
                ReferralPart::Note => "note",
                ReferralPart::Reason | ReferralPart::Remark | ReferralPart::Finding => continue,
            };
            if let Some(text) = word(&opener, Some(&sealed))? {
                fields.push(said(code, text.as_str()));
            }
        }
        let links = self.delivery.links();
        let answer_url = links.map(|links| links.link(&referral.site, &referral.id, referral.created_at));
        let delivery = exchange::Delivery {
            referral: name::referral(&referral.site, &referral.id),
            fields,
            answer_url: answer_url.unwrap_or_default(),
        };
        let run = self.run(way, Operation::Deliver(delivery), idempotency_key(referral)).await;
        Ok(match run {
            Ok(End::Delivered { external_reference }) => Ended {
                external_reference: Line::new(&external_reference).ok(),
                ..Ended::new(AttemptOutcome::Delivered, "")
            },
            Ok(End::Error { message, retry: false, .. }) => Ended::new(AttemptOutcome::Refused, &message),
            Ok(End::Error { message, retry: true, retry_after }) => Ended {
                asked_seconds: retry_after.map(seconds),
                ..Ended::new(AttemptOutcome::Later, &message)
            },
            // The host lets a delivery end in no other way.
            Ok(End::Acknowledgements { .. } | End::Roster { .. } | End::Probed) => {
                Ended::new(AttemptOutcome::Later, ANOTHER_END)
            }
            Err(error) => Ended::new(AttemptOutcome::Later, &error.to_string()),
        })
    }

    /// Writes down what came of an attempt.
    async fn write_down(
        &self,
        at: &InSite<ReferralId>,
        attempt: &Attempt,
        ended: &Ended,
    ) -> Result<HandedOver> {
        let call = self.own_call(table::CREATE_REFERRAL)?;
        let work = self.begin(&call, Some(&at.site)).await?;
        let (mut referral, head) = self.load_referral(&work, at).await?;
        let waits = referral.state == ReferralState::Queued;
        let mut outcome = ended.outcome;
        if outcome == AttemptOutcome::Later && waits && self.is_over(&referral) {
            outcome = AttemptOutcome::GivenUp;
        }
        let mut changes = work.changes(&referral::touches(&referral, &[]));
        let end = AttemptEnd { at: work.now, outcome, detail: ended.detail.clone() };
        changes.put_attempt(Attempt { end: Some(end), ..attempt.clone() });
        let failed = waits && outcome.is_failure();
        if failed {
            referral.version = next_version(referral.version, None)?;
            referral.state = ReferralState::Failed;
            referral.queued_at = None;
            referral.ended_at = Some(work.now);
            changes.event("referral.failed", name::referral(&referral.site, &referral.id));
            changes.put_referral(referral.clone());
        } else if outcome == AttemptOutcome::Delivered {
            let known = (referral.sent_at, referral.external_reference.clone());
            // Taken back or answered while it was on its way, it stays so; that the body has it, and what it calls it, is true all
            // the same, and what it says of it later is found by that.
            if waits {
                referral::is_sent(&work, &mut referral, &head, work.now, &mut changes)?;
            }
            referral.sent_at = referral.sent_at.or(Some(work.now));
            referral.external_reference = referral.external_reference.or(ended.external_reference.clone());
            if waits || known != (referral.sent_at, referral.external_reference.clone()) {
                referral.version = next_version(referral.version, None)?;
                changes.put_referral(referral.clone());
            }
        }
        self.store.commit("referral.attempted", changes).await?;
        if failed {
            let referral = name::referral(&referral.site, &referral.id);
            let (body, why) = (attempt.body.as_str(), ended.detail.as_ref().map(Line::as_str));
            tracing::warn!(
                referral,
                body,
                outcome = outcome.code(),
                why,
                "a referral has failed: a person decides"
            );
        }
        Ok(match outcome {
            AttemptOutcome::Delivered => HandedOver::Delivered,
            AttemptOutcome::Refused | AttemptOutcome::Withheld | AttemptOutcome::GivenUp => HandedOver::Over,
            AttemptOutcome::Later => HandedOver::Later(Rest {
                trouble: ended.detail.clone().unwrap_or_else(|| line("")),
                asked_seconds: ended.asked_seconds,
            }),
        })
    }

    /// Whether a referral has been offered for as long as anybody tries.
    fn is_over(&self, referral: &Referral) -> bool {
        let longest = seconds(self.delivery.give_up_after);
        referral.queued_at.is_some_and(|since| since.plus_seconds(longest) <= self.now())
    }
}

impl Ended {
    fn new(outcome: AttemptOutcome, detail: &str) -> Self {
        let detail = (!detail.is_empty()).then(|| line(detail));
        Self { outcome, detail, external_reference: None, asked_seconds: None }
    }
}

fn said(code: &str, value: &str) -> exchange::Field {
    exchange::Field { code: code.to_owned(), value: value.to_owned() }
}

/// The key under which every attempt of a referral is made, the same for ever: 64 hexadecimal digits.
fn idempotency_key(referral: &Referral) -> String {
    hex(&Sha256::digest(name::referral(&referral.site, &referral.id)))
}

/// A number out of a fresh id.
pub(super) fn chance(id: &str) -> u32 {
    let digest = Sha256::digest(id);
    digest.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
