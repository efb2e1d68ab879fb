//! The steps of requests: each is refused where it does not fit, answers the clock before it and starts the next.

use linli_core::id::{RequestId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::record::Evaluation;
use linli_core::request::{
    Assignee, NOTICES_MAX, Request, RequestPart, RequestState, RequestStep, RequestUrgency, RequestWords,
    STEPS_MAX, StepTaken,
};
use linli_core::resident::FileState;
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use linli_store::ChangeSet;

use super::{NewNotice, NewStepRecord, RequestView, department_of, done, outside, start_clock, touches};
use crate::app::site::{Update, invalid, next_version};
use crate::app::work::Work;
use crate::app::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name::{self, InSite};

/// A step to be taken.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// Which.
    pub step: Step,
    /// When; `None`: now.
    pub at: Option<Instant>,
    /// Who took it; `None`: the caller.
    pub performer: Option<StaffId>,
}

/// A step, with what belongs to it.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is taken up.
    Accept,
    /// It is given to somebody.
    Dispatch(Assignee),
    /// They are there.
    Arrive,
    /// It is done.
    Complete {
        /// What was done.
        note: Option<Paragraph>,
    },
    /// Whoever asked was asked.
    FollowUp {
        /// 1 (bad) to 5 (good).
        satisfaction: u8,
        /// In their words.
        comment: Option<Paragraph>,
    },
    /// A deputy looked at it.
    Review {
        /// What they found.
        finding: Paragraph,
    },
    /// It is no longer wanted.
    Cancel {
        /// Why.
        reason: Paragraph,
    },
}

impl Step {
    fn kind(&self) -> RequestStep {
        match self {
            Self::Accept => RequestStep::Accept,
            Self::Dispatch(_) => RequestStep::Dispatch,
            Self::Arrive => RequestStep::Arrive,
            Self::Complete { .. } => RequestStep::Complete,
            Self::FollowUp { .. } => RequestStep::FollowUp,
            Self::Review { .. } => RequestStep::Review,
            Self::Cancel { .. } => RequestStep::Cancel,
        }
    }
}

/// A step that is being taken.
struct Taking<'a, 'w> {
    work: &'a Work<'w>,
    at: Instant,
    by: StaffId,
}

/// What a step leaves: where it leads, and its names in the audit log and among the events.
struct Taken {
    state: RequestState,
    record: Option<linli_core::id::RecordId>,
    event: Option<linli_core::id::EventId>,
    name: &'static str,
    told: &'static str,
}

impl App {
    /// Takes a step of a request.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`] with the steps that are possible, [`Error::Invalid`], [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn take_request_step(
        &self,
        call: &Call,
        repeat: Repeat<RequestView>,
        update: Update<RequestId, NewStep>,
    ) -> Result<Answer<RequestView>> {
        let Update { site, id, version, change: NewStep { step, at, performer } } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut request = self.load_request(&work, &InSite { site, id }).await?;
        request.version = next_version(request.version, version)?;
        if !step.kind().fits(request.state, request.urgency) {
            return Err(not_now(&request));
        }
        let at = at.unwrap_or(work.now);
        if let Some(why) = outside(at, request.last_step_at(), work.now) {
            return Err(invalid("occur_time", why));
        }
        if request.steps.len() >= STEPS_MAX && step.kind() == RequestStep::Dispatch {
            return Err(invalid("assignee", Invalid::TooMany { max: STEPS_MAX }));
        }
        let by = performer.unwrap_or_else(|| work.permit().principal().staff.clone());
        let taking = Taking { work: &work, at, by };
        let mut changes = work.changes(&touches(&request));
        let taken = match step {
            Step::Accept => taking.accept(&request, &mut changes)?,
            Step::Dispatch(assignee) => {
                self.check_assignee(&request, &assignee).await?;
                taking.dispatch(&mut request, assignee, &mut changes)?
            }
            Step::Arrive => taking.arrive(&request, &mut changes)?,
            Step::Complete { note } => self.complete(&taking, &request, note, &mut changes).await?,
            Step::FollowUp { satisfaction, comment } => {
                self.follow_up(&taking, &mut request, satisfaction, comment, &mut changes).await?
            }
            Step::Review { finding } => {
                let finding = self.keeps_words(&request).await?.then_some(finding);
                taking.review(&request, finding, &mut changes)?
            }
            Step::Cancel { reason } => {
                let reason = self.keeps_words(&request).await?.then_some(reason);
                taking.cancel(&request, reason, &mut changes)
            }
        };
        let Taken { state, record, event, name, told } = taken;
        request.steps.push(StepTaken { state, at, recorded_at: work.now, by: taking.by, event, record });
        if state.is_settled() {
            request.settled_at = Some(at);
        }
        request.state = state;
        let view = self.written(&work, request.clone()).await?;
        changes.event(told, name::request(&request.site, &request.id));
        changes.put_request(request);
        work.commit(name, changes, &repeat, view).await
    }

    /// Notes that somebody else was told of an emergency.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::Invalid`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn record_notice(
        &self,
        call: &Call,
        repeat: Repeat<RequestView>,
        update: Update<RequestId, NewNotice>,
    ) -> Result<Answer<RequestView>> {
        let Update { site, id, version, change: notice } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut request = self.load_request(&work, &InSite { site, id }).await?;
        request.version = next_version(request.version, version)?;
        if request.urgency != RequestUrgency::Emergency || request.state.is_settled() {
            return Err(not_now(&request));
        }
        let since = request.steps.first().map_or(request.created_at, |step| step.at);
        if let Some(why) = notice.at.and_then(|at| outside(at, since, work.now)) {
            return Err(invalid("notice.occur_time", why));
        }
        if request.notices.len() >= NOTICES_MAX {
            return Err(invalid("notice", Invalid::TooMany { max: NOTICES_MAX }));
        }
        let mut changes = work.changes(&touches(&request));
        self.told(&work, &mut request, &mut changes, notice).await?;
        let view = self.written(&work, request.clone()).await?;
        changes.event("request.notice_recorded", name::request(&request.site, &request.id));
        changes.put_request(request);
        work.commit("request.record_notice", changes, &repeat, view).await
    }

    /// Whether whom a request is to be given to is there, and works.
    async fn check_assignee(&self, request: &Request, assignee: &Assignee) -> Result<()> {
        let is_there = match assignee {
            Assignee::Post(post) => self.store.post(&request.site, post).await?.is_some(),
            Assignee::Staff(staff) => {
                let staff = self.store.staff(staff).await?;
                staff.is_some_and(|staff| {
                    let reaches = staff.grants.iter().any(|grant| grant.reach.holds(&request.site));
                    staff.deactivated_at.is_none() && reaches
                })
            }
        };
        if is_there { Ok(()) } else { Err(invalid("assignee", Invalid::Unknown)) }
    }

    /// Whether what is said of a request is kept: of an erased person nothing is.
    async fn keeps_words(&self, request: &Request) -> Result<bool> {
        let Subject::Resident(id) = &request.subject else { return Ok(true) };
        let head = self.store.resident_heads(&request.site, std::slice::from_ref(id)).await?.pop();
        Ok(head.is_some_and(|head| head.state != FileState::Erased))
    }

    /// It is done: the request has its record, and whom it was done for has one of the service.
    async fn complete(
        &self,
        taking: &Taking<'_, '_>,
        request: &Request,
        note: Option<Paragraph>,
        changes: &mut ChangeSet,
    ) -> Result<Taken> {
        let day = taking.work.zone().date_of(taking.at);
        let about = self.recordable(request, day).await?;
        if note.is_some() {
            may_be_said(request, about.as_ref())?;
        }
        let finished = ServiceKind::RequestFinished;
        let of_request = |content| {
            let answers = answered(request, RequestState::Accepted);
            done(Subject::Request(request.id.clone()), answers, content)
        };
        let mut put = |kind, subjects| taking.put(kind, request.department, request, subjects, changes);
        let record = match (about, request.kind.service()) {
            (Some(about), Some(kind)) => {
                put(finished, vec![of_request(None)])?;
                put(kind, vec![done(about, Vec::new(), note)])?
            }
            (Some(about), None) => put(finished, vec![of_request(None), done(about, Vec::new(), note)])?,
            (None, _) => put(finished, vec![of_request(note)])?,
        };
        let event = start_clock(taking.work, request, EventKind::RequestDone, taking.at, changes)?;
        Ok(Taken {
            state: RequestState::Done,
            record: Some(record),
            event: Some(event),
            name: "request.complete",
            told: "request.done",
        })
    }

    /// Whoever asked was asked: the service is evaluated, and the request closed unless a deputy has to look at it.
    async fn follow_up(
        &self,
        taking: &Taking<'_, '_>,
        request: &mut Request,
        satisfaction: u8,
        comment: Option<Paragraph>,
        changes: &mut ChangeSet,
    ) -> Result<Taken> {
        let completed = request.step_to(RequestState::Done);
        let service = completed
            .and_then(|step| step.record.clone())
            .ok_or_else(|| Error::Internal("a request that is done has no record of it".into()))?;
        let about = self.recordable(request, taking.work.zone().date_of(taking.at)).await?;
        // The evaluation stands with whom the service was recorded for.
        let stored = self.store.record(&request.site, &service).await?;
        let is_recorded = |about: &Subject| {
            let subjects = stored.as_ref().map(|stored| stored.record.subjects.as_slice());
            subjects.unwrap_or_default().iter().any(|subject| subject.subject == *about)
        };
        let subject = about.clone().filter(is_recorded);
        if comment.is_some() {
            may_be_said(request, subject.as_ref())?;
        }
        let subject = subject.unwrap_or_else(|| Subject::Request(request.id.clone()));
        let known = self.store.evaluations(&request.site, &service).await?;
        let known = known.iter().find(|known| known.evaluation.subject == subject);
        let version = known.map_or(0, |known| known.version).saturating_add(1);
        let recorded_at = taking.work.now;
        let evaluation = Evaluation { record: service, subject, satisfaction, comment, recorded_at };
        changes.put_evaluation(&request.site, evaluation, version);
        request.satisfaction = Some(satisfaction);
        // They were spoken to.
        let about = about.filter(|about| matches!(about, Subject::Resident(_)));
        let answers = answered(request, RequestState::Done);
        let mut subjects = vec![done(Subject::Request(request.id.clone()), answers, None)];
        subjects.extend(about.map(|about| done(about, Vec::new(), None)));
        let kind = ServiceKind::FollowUp;
        let record = taking.put(kind, department_of(kind), request, subjects, changes)?;
        let event = if request.wants_review() {
            Some(start_clock(taking.work, request, EventKind::RequestReviewDue, taking.at, changes)?)
        } else {
            None
        };
        let state = if event.is_some() { RequestState::FollowedUp } else { RequestState::Closed };
        let told = if event.is_some() { "request.review_due" } else { "request.closed" };
        Ok(Taken { state, record: Some(record), event, name: "request.follow_up", told })
    }
}

impl Taking<'_, '_> {
    fn accept(&self, request: &Request, changes: &mut ChangeSet) -> Result<Taken> {
        let kind = ServiceKind::RequestAccepted;
        let record = self.record(kind, request, RequestState::Submitted, changes)?;
        let event = start_clock(self.work, request, EventKind::RequestAccepted, self.at, changes)?;
        Ok(Taken {
            state: RequestState::Accepted,
            record: Some(record),
            event: Some(event),
            name: "request.accept",
            told: "request.accepted",
        })
    }

    fn dispatch(&self, request: &mut Request, assignee: Assignee, changes: &mut ChangeSet) -> Result<Taken> {
        request.assignee = Some(assignee);
        let event = start_clock(self.work, request, EventKind::RequestDispatched, self.at, changes)?;
        Ok(Taken {
            state: RequestState::Dispatched,
            record: None,
            event: Some(event),
            name: "request.dispatch",
            told: "request.dispatched",
        })
    }

    fn arrive(&self, request: &Request, changes: &mut ChangeSet) -> Result<Taken> {
        let kind = ServiceKind::RequestArrived;
        let record = self.record(kind, request, RequestState::Dispatched, changes)?;
        Ok(Taken {
            state: RequestState::Arrived,
            record: Some(record),
            event: None,
            name: "request.arrive",
            told: "request.arrived",
        })
    }

    fn review(
        &self,
        request: &Request,
        finding: Option<Paragraph>,
        changes: &mut ChangeSet,
    ) -> Result<Taken> {
        let kind = ServiceKind::RequestReviewed;
        let record = self.record(kind, request, RequestState::FollowedUp, changes)?;
        say(request, RequestPart::Finding, finding, changes);
        Ok(Taken {
            state: RequestState::Closed,
            record: Some(record),
            event: None,
            name: "request.review",
            told: "request.closed",
        })
    }

    fn cancel(&self, request: &Request, reason: Option<Paragraph>, changes: &mut ChangeSet) -> Taken {
        say(request, RequestPart::Cancellation, reason, changes);
        Taken {
            state: RequestState::Cancelled,
            record: None,
            event: None,
            name: "request.cancel",
            told: "request.cancelled",
        }
    }

    /// A record of the request alone, which answers what the step to `started` started.
    fn record(
        &self,
        kind: ServiceKind,
        request: &Request,
        started: RequestState,
        changes: &mut ChangeSet,
    ) -> Result<linli_core::id::RecordId> {
        let came = kind == ServiceKind::RequestArrived;
        let department = if came { request.department } else { department_of(kind) };
        let subjects = vec![done(Subject::Request(request.id.clone()), answered(request, started), None)];
        self.put(kind, department, request, subjects, changes)
    }

    fn put(
        &self,
        kind: ServiceKind,
        department: Department,
        request: &Request,
        subjects: Vec<linli_core::record::SubjectOutcome>,
        changes: &mut ChangeSet,
    ) -> Result<linli_core::id::RecordId> {
        let record = NewStepRecord { kind, department, at: self.at, by: self.by.clone(), subjects };
        record.put(self.work, &request.site, changes)
    }
}

/// The events that a record names: those of every step to a state, from hand to hand.
fn answered(request: &Request, started: RequestState) -> Vec<linli_core::id::EventId> {
    let steps = request.steps.iter().filter(|step| step.state == started);
    steps.filter_map(|step| step.event.clone()).collect()
}

/// Whether something that is said of the person may be recorded: their file takes records of that day.
fn may_be_said(request: &Request, about: Option<&Subject>) -> Result<()> {
    if matches!(request.subject, Subject::Resident(_)) && about.is_none() {
        return Err(Error::State(StateConflict::FileNotActive));
    }
    Ok(())
}

fn say(request: &Request, part: RequestPart, words: Option<Paragraph>, changes: &mut ChangeSet) {
    let Some(words) = words else { return };
    changes.add_request_words(RequestWords {
        site: request.site.clone(),
        request: request.id.clone(),
        subject: request.subject.clone(),
        part,
        words,
    });
}

/// The step does not fit; others may.
fn not_now(request: &Request) -> Error {
    Error::State(StateConflict::RequestStep { state: request.state, urgency: request.urgency })
}
