//! What became of a request so far, as one column.

use linli_core::id::{EventId, PostId, RecordId, StaffId};
use linli_core::request::{Assignee, Notice, NoticeParty, Request, RequestState, StepTaken};
use linli_core::time::Instant;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct CourseForm {
    #[prost(string, optional, tag = "1")]
    staff: Option<String>,
    #[prost(string, optional, tag = "2")]
    post: Option<String>,
    #[prost(message, repeated, tag = "3")]
    steps: Vec<StepForm>,
    #[prost(message, repeated, tag = "4")]
    notices: Vec<NoticeForm>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StepForm {
    #[prost(string, tag = "1")]
    state: String,
    #[prost(sint64, tag = "2")]
    at: i64,
    #[prost(sint64, tag = "3")]
    recorded_at: i64,
    #[prost(string, tag = "4")]
    by: String,
    #[prost(string, optional, tag = "5")]
    event: Option<String>,
    #[prost(string, optional, tag = "6")]
    record: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct NoticeForm {
    #[prost(string, tag = "1")]
    party: String,
    #[prost(sint64, tag = "2")]
    at: i64,
    #[prost(string, tag = "3")]
    by: String,
}

/// What became of a request so far.
pub(crate) struct Course {
    pub(crate) assignee: Option<Assignee>,
    pub(crate) steps: Vec<StepTaken>,
    pub(crate) notices: Vec<Notice>,
}

/// What became of a request, as one column.
pub(crate) fn encode_course(request: &Request) -> Vec<u8> {
    let (staff, post) = match &request.assignee {
        Some(Assignee::Staff(staff)) => (Some(staff.as_str().to_owned()), None),
        Some(Assignee::Post(post)) => (None, Some(post.as_str().to_owned())),
        None => (None, None),
    };
    let step = |step: &StepTaken| StepForm {
        state: step.state.code().to_owned(),
        at: step.at.micros(),
        recorded_at: step.recorded_at.micros(),
        by: step.by.as_str().to_owned(),
        event: step.event.as_ref().map(|event| event.as_str().to_owned()),
        record: step.record.as_ref().map(|record| record.as_str().to_owned()),
    };
    let notice = |notice: &Notice| NoticeForm {
        party: notice.party.code().to_owned(),
        at: notice.at.micros(),
        by: notice.by.as_str().to_owned(),
    };
    CourseForm {
        staff,
        post,
        steps: request.steps.iter().map(step).collect(),
        notices: request.notices.iter().map(notice).collect(),
    }
    .encode_to_vec()
}

pub(crate) fn decode_course(bytes: &[u8]) -> Option<Course> {
    let form = CourseForm::decode(bytes).ok()?;
    let assignee = match (form.staff, form.post) {
        (Some(staff), None) => Some(Assignee::Staff(StaffId::new(&staff).ok()?)),
        (None, Some(post)) => Some(Assignee::Post(PostId::new(&post).ok()?)),
        (None, None) => None,
        (Some(_), Some(_)) => return None,
    };
    let steps = form.steps.iter().map(|step| {
        Some(StepTaken {
            state: RequestState::from_code(&step.state).ok()?,
            at: Instant::from_micros(step.at).ok()?,
            recorded_at: Instant::from_micros(step.recorded_at).ok()?,
            by: StaffId::new(&step.by).ok()?,
            event: step.event.as_deref().map(EventId::new).transpose().ok()?,
            record: step.record.as_deref().map(RecordId::new).transpose().ok()?,
        })
    });
    let notices = form.notices.iter().map(|notice| {
        Some(Notice {
            party: NoticeParty::from_code(&notice.party).ok()?,
            at: Instant::from_micros(notice.at).ok()?,
            by: StaffId::new(&notice.by).ok()?,
        })
    });
    Some(Course { assignee, steps: steps.collect::<Option<_>>()?, notices: notices.collect::<Option<_>>()? })
}
