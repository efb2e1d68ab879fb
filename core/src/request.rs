//! Requests, 服务申请/工单: something that is asked for. Each step is an event that starts a clock, or answers one.

use crate::id::{EventId, PostId, RecordId, RequestId, SiteId, StaffId, Subject};
use crate::kind::{Department, ServiceKind, closed_list};
use crate::text::Paragraph;
use crate::time::Instant;

closed_list! {
    /// What is asked for.
    RequestKind {
        /// Daily goods to be bought.
        ErrandShopping = "errand_shopping", "代买生活用品", "shopping errand";
        /// A parcel to be fetched.
        ErrandParcel = "errand_parcel", "代取快递", "parcel errand";
        /// A utility bill to be paid.
        ErrandBill = "errand_bill", "代缴水电费", "bill errand";
        /// Medicine to be bought.
        ErrandMedicine = "errand_medicine", "代买药品", "medicine errand";
        /// A repair at home: water, electricity, appliances, pipes.
        Repair = "repair", "上门维修", "home repair";
        /// A defect of an accessible facility.
        FacilityDefect = "facility_defect", "无障碍设施报修", "defect of a facility";
        /// Help at the door.
        DoorHelp = "door_help", "开门协助", "door help";
        /// Somebody to walk beside.
        Escort = "escort", "搀扶护送", "escort";
        /// Help indoors: rubbish, tidying.
        IndoorHelp = "indoor_help", "室内清理", "indoor help";
        /// A complaint.
        Complaint = "complaint", "投诉", "complaint";
        /// An emergency: fall, illness, fire, a call button.
        Emergency = "emergency", "紧急求助", "emergency";
        /// Anything else.
        Other = "other", "其他", "other";
    }
}

impl RequestKind {
    /// Who answers it (regulation, Art. 5 and 8).
    pub const fn department(self) -> Department {
        match self {
            Self::ErrandShopping
            | Self::ErrandParcel
            | Self::ErrandBill
            | Self::ErrandMedicine
            | Self::Complaint
            | Self::Other => Department::CustomerService,
            Self::Repair | Self::FacilityDefect => Department::Engineering,
            Self::DoorHelp | Self::Escort | Self::Emergency => Department::Security,
            Self::IndoorHelp => Department::Cleaning,
        }
    }

    /// What was done for whom it is about when it is done, as the record of the service says; `None` where there is no
    /// kind of service for it, and the request's own record is all there is.
    pub const fn service(self) -> Option<ServiceKind> {
        match self {
            Self::ErrandShopping => Some(ServiceKind::ErrandShopping),
            Self::ErrandParcel => Some(ServiceKind::ErrandParcel),
            Self::ErrandBill => Some(ServiceKind::ErrandBill),
            Self::ErrandMedicine => Some(ServiceKind::ErrandMedicine),
            Self::Repair | Self::FacilityDefect => Some(ServiceKind::Repair),
            Self::DoorHelp | Self::Escort => Some(ServiceKind::Escort),
            Self::IndoorHelp => Some(ServiceKind::IndoorHelp),
            Self::Complaint | Self::Emergency | Self::Other => None,
        }
    }

    /// Whether it can be an emergency: a gas leak, a locked door behind which somebody fell.
    pub const fn may_be_emergency(self) -> bool {
        match self {
            Self::Repair | Self::DoorHelp | Self::Escort | Self::Emergency => true,
            Self::ErrandShopping
            | Self::ErrandParcel
            | Self::ErrandBill
            | Self::ErrandMedicine
            | Self::FacilityDefect
            | Self::IndoorHelp
            | Self::Complaint
            | Self::Other => false,
        }
    }
}

closed_list! {
    /// How pressing a request is, most pressing first.
    RequestUrgency {
        /// Life, health or the house is in danger.
        Emergency = "emergency", "紧急", "emergency";
        /// Served before others: members of care groups, and what cannot wait.
        Priority = "priority", "优先", "priority";
        /// In its turn.
        Routine = "routine", "普通", "routine";
    }
}

closed_list! {
    /// Where a request stands.
    RequestState {
        /// Asked for.
        Submitted = "submitted", "已提交", "submitted";
        /// Taken up.
        Accepted = "accepted", "已受理", "accepted";
        /// Given to somebody.
        Dispatched = "dispatched", "已派单", "dispatched";
        /// They are there.
        Arrived = "arrived", "已到场", "attended to";
        /// Done.
        Done = "done", "已完成", "done";
        /// Asked about afterwards; a deputy's review is due.
        FollowedUp = "followed_up", "已回访待复核", "followed up, awaiting review";
        /// Nothing is left to be done.
        Closed = "closed", "已关闭", "closed";
        /// Withdrawn, or no longer wanted.
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

impl RequestState {
    /// Whether nothing follows.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Closed | Self::Cancelled => true,
            Self::Submitted
            | Self::Accepted
            | Self::Dispatched
            | Self::Arrived
            | Self::Done
            | Self::FollowedUp => false,
        }
    }

    /// The steps that are possible now.
    pub fn possible(self, urgency: RequestUrgency) -> impl Iterator<Item = RequestStep> {
        RequestStep::ALL.iter().copied().filter(move |step| step.fits(self, urgency))
    }
}

closed_list! {
    /// A step that a request can take.
    RequestStep {
        /// It is taken up.
        Accept = "accept", "受理", "accept";
        /// It is given to somebody, or to somebody else.
        Dispatch = "dispatch", "派单", "dispatch";
        /// They are there.
        Arrive = "arrive", "到场", "arrive";
        /// It is done.
        Complete = "complete", "完成", "complete";
        /// Whoever asked is asked what they think of it.
        FollowUp = "follow_up", "回访", "follow up";
        /// A deputy looks at what went badly.
        Review = "review", "复核", "review";
        /// It is no longer wanted.
        Cancel = "cancel", "取消", "cancel";
    }
}

impl RequestStep {
    /// Whether a request can take it. In an emergency whoever is there first need not wait for papers.
    pub const fn fits(self, state: RequestState, urgency: RequestUrgency) -> bool {
        use RequestState as S;
        match self {
            Self::Accept => matches!(state, S::Submitted),
            Self::Dispatch => matches!(state, S::Accepted | S::Dispatched),
            Self::Arrive => {
                let at_once = matches!(urgency, RequestUrgency::Emergency);
                matches!(state, S::Dispatched) || at_once && matches!(state, S::Submitted | S::Accepted)
            }
            Self::Complete => matches!(state, S::Arrived),
            Self::FollowUp => matches!(state, S::Done),
            Self::Review => matches!(state, S::FollowedUp),
            Self::Cancel => matches!(state, S::Submitted | S::Accepted | S::Dispatched | S::Arrived),
        }
    }
}

closed_list! {
    /// Who was told of an emergency.
    NoticeParty {
        /// The police.
        Police = "police", "110", "police 110";
        /// The fire brigade.
        FireBrigade = "fire_brigade", "119", "fire brigade 119";
        /// The ambulance.
        Ambulance = "ambulance", "120", "ambulance 120";
        /// The neighbourhood committee.
        Committee = "committee", "居委会", "neighbourhood committee";
        /// Family or the emergency contact.
        Family = "family", "家属/紧急联系人", "family or emergency contact";
        /// Leader or deputy of the working group.
        Supervisor = "supervisor", "项目负责人", "supervisor";
    }
}

impl NoticeParty {
    /// What telling them is, as the record of it says.
    pub const fn service(self) -> ServiceKind {
        match self {
            Self::Police | Self::FireBrigade | Self::Ambulance | Self::Committee => {
                ServiceKind::AuthorityReport
            }
            Self::Family => ServiceKind::EmergencyContactCall,
            Self::Supervisor => ServiceKind::SupervisorReport,
        }
    }
}

closed_list! {
    /// What is said of a request in words: class `care`, sealed.
    RequestPart {
        /// What is asked for.
        Description = "description", "事由", "description";
        /// What a deputy found.
        Finding = "finding", "复核意见", "finding";
        /// Why it was cancelled.
        Cancellation = "cancellation", "取消原因", "reason for the cancellation";
    }
}

/// Words of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestWords {
    /// The site.
    pub site: SiteId,
    /// The request.
    pub request: RequestId,
    /// Whom or what it is about: a resident's key seals what is said about them.
    pub subject: Subject,
    /// Which words.
    pub part: RequestPart,
    /// The words.
    pub words: Paragraph,
}

/// Largest number of notices of one emergency.
pub const NOTICES_MAX: usize = 50;
/// Largest number of steps of one request: the way through, and many a time from hand to hand.
pub const STEPS_MAX: usize = 100;
/// The highest satisfaction after which a deputy reviews the request.
pub const LOW_SATISFACTION: u8 = 2;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: RequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// How pressing it is.
    pub urgency: RequestUrgency,
    /// Where it stands.
    pub state: RequestState,
    /// Whom or what it is about: a resident, a dwelling, an area, a facility, or the site.
    pub subject: Subject,
    /// Who answers it.
    pub department: Department,
    /// Whom it was given to.
    pub assignee: Option<Assignee>,
    /// The steps that it took, from its submission on.
    pub steps: Vec<StepTaken>,
    /// Who was told of an emergency.
    pub notices: Vec<Notice>,
    /// What whoever asked thought of it: 1 (bad) to 5 (good).
    pub satisfaction: Option<u8>,
    /// When it was recorded (care clock).
    pub created_at: Instant,
    /// Since when nothing is left to be done.
    pub settled_at: Option<Instant>,
    /// Counts changes, from 1.
    pub version: u64,
}

impl Request {
    /// When its newest step was taken.
    pub fn last_step_at(&self) -> Instant {
        self.steps.last().map_or(self.created_at, |step| step.at)
    }

    /// The newest step that led to a state.
    pub fn step_to(&self, state: RequestState) -> Option<&StepTaken> {
        self.steps.iter().rev().find(|step| step.state == state)
    }

    /// What decides which clocks run.
    pub fn traits(&self) -> RequestTraits {
        RequestTraits { kind: self.kind, urgency: self.urgency }
    }

    /// Whether a deputy has to look at it once whoever asked was asked: a low satisfaction, and every emergency.
    pub fn wants_review(&self) -> bool {
        self.urgency == RequestUrgency::Emergency
            || self.satisfaction.is_some_and(|satisfaction| satisfaction <= LOW_SATISFACTION)
    }
}

/// What decides which clocks run for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestTraits {
    /// What is asked for.
    pub kind: RequestKind,
    /// How pressing it is.
    pub urgency: RequestUrgency,
}

/// Whom a request is given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignee {
    /// A member of staff or a volunteer.
    Staff(StaffId),
    /// Whoever holds a post.
    Post(PostId),
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTaken {
    /// Where it led.
    pub state: RequestState,
    /// When it was taken.
    pub at: Instant,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
    /// Who took it.
    pub by: StaffId,
    /// The clock that it started.
    pub event: Option<EventId>,
    /// The record of the service, for what was done; of the step, for others that have one.
    pub record: Option<RecordId>,
}

/// Word that was given of an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub party: NoticeParty,
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: StaffId,
}

/// How pressing a request is: what was asked for, but never less than what whom it is about is due. Members of care groups are
/// served before others.
pub fn urgency(asked: Option<RequestUrgency>, is_member: bool) -> RequestUrgency {
    let least = if is_member { RequestUrgency::Priority } else { RequestUrgency::Routine };
    asked.map_or(least, |asked| asked.min(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_served_before_others() {
        use RequestUrgency::{Emergency, Priority, Routine};
        for (asked, is_member, expect) in [
            (None, false, Routine),
            (None, true, Priority),
            (Some(Routine), true, Priority),
            (Some(Routine), false, Routine),
            (Some(Priority), false, Priority),
            (Some(Emergency), true, Emergency),
        ] {
            assert_eq!(urgency(asked, is_member), expect, "{asked:?} {is_member}");
        }
        assert!(Emergency < Priority && Priority < Routine);
    }

    #[test]
    fn the_steps_that_are_possible() {
        use RequestUrgency::{Emergency, Routine};
        let check = |state: RequestState, urgency, expect: &str| {
            let steps: Vec<&str> = state.possible(urgency).map(RequestStep::code).collect();
            assert_eq!(steps.join(" "), expect, "{state:?} {urgency:?}");
        };
        check(RequestState::Submitted, Routine, "accept cancel");
        check(RequestState::Submitted, Emergency, "accept arrive cancel");
        check(RequestState::Accepted, Routine, "dispatch cancel");
        check(RequestState::Accepted, Emergency, "dispatch arrive cancel");
        check(RequestState::Dispatched, Routine, "dispatch arrive cancel");
        check(RequestState::Arrived, Routine, "complete cancel");
        check(RequestState::Done, Routine, "follow_up");
        check(RequestState::FollowedUp, Routine, "review");
        for settled in [RequestState::Closed, RequestState::Cancelled] {
            assert!(settled.is_settled());
            check(settled, Emergency, "");
        }
    }
}
