//! Delivery on the wire.

use linli_core::delivery::Attempt;
use linli_core::text::Label;
use linli_core::time::Instant;
use linli_proto::v1;

use super::check::timestamp;
use super::convert::{Listed, Shows, label};
use super::request::text;
use crate::app::delivery::DeliveryView;
use crate::name;

impl Shows<DeliveryView> for v1::Delivery {
    fn shows(view: &DeliveryView) -> Self {
        let DeliveryView { lane, waiting_since, failed } = view;
        Self {
            body: name::body(&lane.body),
            waiting: waiting_since.is_some(),
            failures: i32::try_from(lane.failures).unwrap_or(i32::MAX),
            trouble: text(lane.trouble.as_ref()),
            next_attempt_time: Some(lane.next_at).filter(|at| *at > Instant::MIN).map(timestamp),
            reach_time: lane.reached_at.map(timestamp),
            wait_start_time: waiting_since.map(timestamp),
            failed_count: i32::try_from(*failed).unwrap_or(i32::MAX),
        }
    }
}

impl Shows<Attempt> for v1::DeliveryAttempt {
    fn shows(attempt: &Attempt) -> Self {
        let end = attempt.end.as_ref();
        Self {
            referral: name::referral(&attempt.site, &attempt.referral),
            number: i32::try_from(attempt.number).unwrap_or(i32::MAX),
            body: name::body(&attempt.body),
            start_time: Some(timestamp(attempt.began_at)),
            end_time: end.map(|end| timestamp(end.at)),
            outcome: end.map(|end| end.outcome.number()).unwrap_or_default(),
            detail: text(end.and_then(|end| end.detail.as_ref())),
            outcome_name: end.and_then(|end| label(&Label::new(end.outcome.zh(), end.outcome.en()))),
        }
    }
}
