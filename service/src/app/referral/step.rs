//! What becomes of referrals: answers of bodies, the end, the review. Each answers the clock before it, and may start the next.

use linli_core::event::CareEvent;
use linli_core::id::{EventId, RecordId, ReferralId};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::referral::{
    BodyAnswer, Decision, Effect, Referral, ReferralPart, ReferralReview, ReferralState,
};
use linli_core::resident::{FieldClass, FileState};
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use linli_store::{ChangeSet, ResidentHead};

use super::{ReferralView, answered, said, subject, touches};
use crate::app::site::{Update, fresh, invalid, next_version};
use crate::app::work::Work;
use crate::app::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self, InSite};

/// What a body answered.
#[derive(Debug, Clone)]
pub struct Acknowledgement {
    /// What it decided.
    pub decision: Decision,
    /// In its words.
    pub remark: Option<Paragraph>,
    /// What it calls the referral.
    pub external_reference: Option<Line>,
    /// When; `None`: now.
    pub at: Option<Instant>,
}

/// What a deputy says of a danger.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether there was one.
    pub justified: bool,
    /// In their words.
    pub finding: Paragraph,
}

/// The class of every word about a referral beside its values.
const WORDS: &[FieldClass] = &[FieldClass::Care];

impl App {
    /// Records what a body answered.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::State`] where nothing went to the body yet; [`Error::Denied`].
    pub async fn record_acknowledgement(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        at: InSite<ReferralId>,
        answer: Acknowledgement,
    ) -> Result<Answer<ReferralView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(kept) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(kept));
        }
        let (referral, head) = self.load_referral(&work, &at).await?;
        let (referral, changes) = acknowledged(&work, &head, referral, answer)?;
        work.commit("referral.acknowledge", changes, &repeat, referral.into()).await
    }

    /// Takes a referral back: what waits never goes, what went is marked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] where it is over, [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn revoke_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        update: Update<ReferralId, ()>,
    ) -> Result<Answer<ReferralView>> {
        let steps = ("referral.revoke", "referral.revoked");
        self.end_referral(call, repeat, update, ReferralState::Revoked, steps).await
    }

    /// Brings a referral that the body answered to its end.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] where the body has not answered, or it is over; [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn close_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        update: Update<ReferralId, ()>,
    ) -> Result<Answer<ReferralView>> {
        let steps = ("referral.close", "referral.closed");
        self.end_referral(call, repeat, update, ReferralState::Closed, steps).await
    }

    async fn end_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        Update { site, id, version, change: () }: Update<ReferralId, ()>,
        to: ReferralState,
        (action, event): (&'static str, &'static str),
    ) -> Result<Answer<ReferralView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let (mut referral, head) = self.load_referral(&work, &InSite { site, id }).await?;
        referral.version = next_version(referral.version, version)?;
        let possible = match to {
            ReferralState::Revoked => referral.state.may_be_revoked(),
            ReferralState::Closed => referral.state.may_be_closed(),
            ReferralState::Queued
            | ReferralState::Sent
            | ReferralState::Accepted
            | ReferralState::Rejected
            | ReferralState::Failed => false,
        };
        if !possible {
            return Err(Error::State(StateConflict::ReferralStep { state: referral.state }));
        }
        let mut changes = work.changes(&touches(&referral, WORDS));
        referral.state = to;
        referral.queued_at = None;
        referral.ended_at = Some(work.now);
        record(&work, &head, ServiceKind::ReferralClosed, work.now, answered(&mut referral), &mut changes)?;
        changes.event(event, name::referral(&referral.site, &referral.id));
        changes.put_referral(referral.clone());
        work.commit(action, changes, &repeat, referral.into()).await
    }

    /// Says whether values that went out without anybody's leave had to.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] where nothing waits for a review, or the caller asked for it; [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn review_referral(
        &self,
        call: &Call,
        repeat: Repeat<ReferralView>,
        update: Update<ReferralId, Verdict>,
    ) -> Result<Answer<ReferralView>> {
        let Update { site, id, version, change: Verdict { justified, finding } } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let (mut referral, head) = self.load_referral(&work, &InSite { site, id }).await?;
        if !referral.awaits_review() {
            return Err(Error::State(StateConflict::ReferralNotAwaiting));
        }
        let by = work.permit().principal().staff.clone();
        if referral.created_by == by {
            return Err(Error::State(StateConflict::OwnReferral));
        }
        referral.version = next_version(referral.version, version)?;
        referral.review = Some(ReferralReview { by, at: work.now, justified });
        let mut changes = work.changes(&touches(&referral, WORDS));
        if head.state != FileState::Erased {
            changes.put_referral_words(said(&referral, ReferralPart::Finding, finding));
        }
        changes.event("referral.reviewed", name::referral(&referral.site, &referral.id));
        changes.put_referral(referral.clone());
        work.commit("referral.review", changes, &repeat, referral.into()).await
    }
}

/// What a body's answer makes of a referral, with the change set that says so; it is empty where the answer changes nothing, so that
/// the same answer may come as often as it likes, on whatever way.
///
/// # Errors
/// [`Error::State`] where nothing went to the body yet; [`Error::Invalid`] for an answer of the future, or from before it was asked.
pub(in crate::app) fn acknowledged(
    work: &Work<'_>,
    head: &ResidentHead,
    mut referral: Referral,
    answer: Acknowledgement,
) -> Result<(Referral, ChangeSet)> {
    let Acknowledgement { decision, remark, external_reference, at } = answer;
    let at = at.unwrap_or(work.now);
    if at > work.now {
        return Err(invalid("decide_time", Invalid::Future));
    }
    if at < referral.created_at {
        return Err(invalid("decide_time", Invalid::EndsBeforeStart));
    }
    let mut changes = work.changes(&touches(&referral, WORDS));
    let told = match referral.effect(decision, at) {
        Effect::TooEarly => return Err(Error::State(StateConflict::ReferralNotSent)),
        Effect::Unchanged => return Ok((referral, changes)),
        Effect::Noted => "referral.answer_noted",
        Effect::Moves(to) => {
            referral.state = to;
            referral.queued_at = None;
            // A body that answers has it, whether or not its channel could tell.
            referral.sent_at = referral.sent_at.or(Some(at));
            referral.ended_at = (to == ReferralState::Closed).then_some(at);
            let answers = answered(&mut referral);
            // What answers a clock cannot stand before it began.
            let since = referral.sent_at.map_or(at, |sent| sent.max(at));
            record(work, head, ServiceKind::ReferralAnswered, since, answers, &mut changes)?;
            if decision == Decision::Accepted {
                referral.clock = start_clock(work, head, EventKind::ReferralAccepted, since, &mut changes)?;
            }
            match decision {
                Decision::Accepted => "referral.accepted",
                Decision::Rejected => "referral.rejected",
                Decision::Closed => "referral.closed",
            }
        }
    };
    referral.version = next_version(referral.version, None)?;
    referral.external_reference = external_reference.or(referral.external_reference);
    let recorded_by = work.permit().principal().staff.clone();
    referral.answer = Some(BodyAnswer { decision, at, recorded_by, recorded_at: work.now });
    if let Some(remark) = remark.filter(|_| head.state != FileState::Erased) {
        changes.put_referral_words(said(&referral, ReferralPart::Remark, remark));
    }
    changes.event(told, name::referral(&referral.site, &referral.id));
    changes.put_referral(referral.clone());
    Ok((referral, changes))
}

/// Whether a person's file takes records of an instant.
fn takes_records(work: &Work<'_>, head: &ResidentHead, at: Instant) -> bool {
    let day = work.zone().date_of(at);
    crate::app::estate::in_use(head) && crate::app::record::outside_tenure(head, day).is_none()
}

/// An event of a person's file, where it takes records: nobody could answer its clock otherwise.
pub(super) fn start_clock(
    work: &Work<'_>,
    head: &ResidentHead,
    kind: EventKind,
    at: Instant,
    changes: &mut ChangeSet,
) -> Result<Option<EventId>> {
    if !takes_records(work, head, at) {
        return Ok(None);
    }
    let id = fresh(EventId::new(&work.new_id()))?;
    changes.add_care_event(CareEvent {
        site: head.site.clone(),
        id: id.clone(),
        kind,
        subject: subject(head),
        occurred_at: at,
        recorded_at: work.now,
        aspect: None,
        note: None,
    });
    Ok(Some(id))
}

/// The record of a step: it answers the clock that ran.
fn record(
    work: &Work<'_>,
    head: &ResidentHead,
    kind: ServiceKind,
    at: Instant,
    answers: Vec<EventId>,
    changes: &mut ChangeSet,
) -> Result<()> {
    if answers.is_empty() || !takes_records(work, head, at) {
        return Ok(());
    }
    let record = ServiceRecord {
        site: head.site.clone(),
        id: fresh(RecordId::new(&work.new_id()))?,
        version: 1,
        kind,
        occurred_at: at,
        recorded_at: work.now,
        performer: work.permit().principal().staff.clone(),
        department: Department::CustomerService,
        subjects: vec![SubjectOutcome {
            subject: subject(head),
            outcome: Outcome::Done,
            answers,
            content: None,
        }],
        voided: false,
        correction_reason: None,
    };
    changes.event("record.created", name::record(&record.site, &record.id));
    changes.add_record(record);
    Ok(())
}
