//! `RequestService`. (What all requests to the API share stands in `request`.)

use linli_core::id::{RequestId, Subject};
use linli_core::invalid::Invalid;
use linli_core::request::{Assignee, Notice, RequestKind, RequestState, RequestUrgency, StepTaken};
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use linli_proto::v1;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, etag, parse_etag};
use super::page::Binding;
use super::record::satisfaction;
use super::request::{is_full, next, text, wanted};
use crate::app::request::{NewEmergency, NewNotice, NewRequest, NewStep, RequestFilter, RequestView, Step};
use crate::app::site::Update;
use crate::error::Result;
use crate::name::{self, InSite};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Most notices that an emergency is reported with: who can be told before it is entered.
const NOTICES_AT_ONCE: usize = 10;

#[tonic::async_trait]
impl v1::request_service_server::RequestService for Face {
    async fn submit_request(&self, request: Request<v1::SubmitRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_request(&message)?;
            app.submit_request(&call, repeat, site, new).await
        })
        .await
    }

    async fn report_emergency(&self, request: Request<v1::ReportEmergencyRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_emergency(&message)?;
            app.report_emergency(&call, repeat, site, new).await
        })
        .await
    }

    async fn record_notice(&self, request: Request<v1::RecordNoticeRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_request(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let notice = match &message.notice {
                Some(told) => notice(&mut check, "notice", told),
                None => check.take("notice", Err(Invalid::Missing)),
            };
            let ((at, version), change) = check.finish(at.zip(version).zip(notice))?;
            let update = Update { site: at.site, id: at.id, version, change };
            app.record_notice(&call, repeat, update).await
        })
        .await
    }

    async fn accept_request(&self, request: Request<v1::AcceptRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::AcceptRequestRequest { name, etag, occur_time, performer, .. } = message;
            let update = step(Check::new(), (name, etag), occur_time, &performer, Some(Step::Accept))?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn dispatch_request(&self, request: Request<v1::DispatchRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::DispatchRequestRequest { name, etag, assignee: to, occur_time, performer, .. } = message;
            let mut check = Check::new();
            let to = assignee(&mut check, &name, &to).map(Step::Dispatch);
            let update = step(check, (name, etag), occur_time, &performer, to)?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn arrive_request(&self, request: Request<v1::ArriveRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::ArriveRequestRequest { name, etag, occur_time, performer, .. } = message;
            let update = step(Check::new(), (name, etag), occur_time, &performer, Some(Step::Arrive))?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn complete_request(&self, request: Request<v1::CompleteRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::CompleteRequestRequest { name, etag, note, occur_time, performer, .. } = message;
            let mut check = Check::new();
            let note = check.take("note", Paragraph::optional(&note));
            let done = note.map(|note| Step::Complete { note });
            let update = step(check, (name, etag), occur_time, &performer, done)?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn follow_up_request(&self, request: Request<v1::FollowUpRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let grade = check.take("satisfaction", satisfaction(message.satisfaction));
            let comment = check.take("comment", Paragraph::optional(&message.comment));
            let asked = grade.zip(comment);
            let asked = asked.map(|(satisfaction, comment)| Step::FollowUp { satisfaction, comment });
            let v1::FollowUpRequestRequest { name, etag, occur_time, performer, .. } = message;
            let update = step(check, (name, etag), occur_time, &performer, asked)?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn review_request(&self, request: Request<v1::ReviewRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::ReviewRequestRequest { name, etag, finding, occur_time, performer, .. } = message;
            let mut check = Check::new();
            let finding = check.take("finding", Paragraph::new(&finding));
            let reviewed = finding.map(|finding| Step::Review { finding });
            let update = step(check, (name, etag), occur_time, &performer, reviewed)?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn cancel_request(&self, request: Request<v1::CancelRequestRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let v1::CancelRequestRequest { name, etag, reason, occur_time, performer, .. } = message;
            let mut check = Check::new();
            let reason = check.take("reason", Paragraph::new(&reason));
            let cancelled = reason.map(|reason| Step::Cancel { reason });
            let update = step(check, (name, etag), occur_time, &performer, cancelled)?;
            app.take_request_step(&call, repeat, update).await
        })
        .await
    }

    async fn get_request(&self, request: Request<v1::GetRequestRequest>) -> Answer<v1::Request> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_request(&message.name));
            let full = check.take("view", is_full(message.view));
            let (at, full) = check.finish(at.zip(full))?;
            app.request(&call, &at, full).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_requests(
        &self,
        request: Request<v1::ListRequestsRequest>,
    ) -> Answer<v1::ListRequestsResponse> {
        self.read(request, |app, call, message| async move {
            let (site, filter) = request_filter(&message)?;
            let states: Vec<u8> = message.states.iter().flat_map(|state| state.to_be_bytes()).collect();
            let query: [&[u8]; 6] = [
                message.parent.as_bytes(),
                &states,
                &message.urgency.to_be_bytes(),
                &message.kind.to_be_bytes(),
                &message.department.to_be_bytes(),
                message.subject.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.requests(&call, &site, &filter, wanted).await?;
            Ok(v1::ListRequestsResponse {
                requests: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

impl Shows<RequestView> for v1::Request {
    fn shows(view: &RequestView) -> Self {
        let request = &view.request;
        let step = |step: &StepTaken| v1::RequestStep {
            state: step.state.number(),
            occur_time: Some(timestamp(step.at)),
            record_time: Some(timestamp(step.recorded_at)),
            performer: name::staff(&step.by),
            record: step.record.as_ref().map(|id| name::record(&request.site, id)).unwrap_or_default(),
            event: step.event.as_ref().map(|id| name::event(&request.site, id)).unwrap_or_default(),
        };
        let notice = |notice: &Notice| v1::EmergencyNotice {
            party: notice.party.number(),
            occur_time: Some(timestamp(notice.at)),
            performer: name::staff(&notice.by),
        };
        let assignee = match &request.assignee {
            Some(Assignee::Staff(staff)) => name::staff(staff),
            Some(Assignee::Post(post)) => name::post(&request.site, post),
            None => String::new(),
        };
        Self {
            name: name::request(&request.site, &request.id),
            etag: etag(request.version),
            kind: request.kind.number(),
            urgency: request.urgency.number(),
            state: request.state.number(),
            subject: name::subject(&request.site, &request.subject),
            description: text(view.words.description.as_ref()),
            submit_time: request.steps.first().map(|step| timestamp(step.at)),
            department: request.department.number(),
            assignee,
            steps: request.steps.iter().map(step).collect(),
            notices: request.notices.iter().map(notice).collect(),
            satisfaction: request.satisfaction.map_or(0, i32::from),
            comment: text(view.words.comment.as_ref()),
            finding: text(view.words.finding.as_ref()),
            cancel_reason: text(view.words.cancellation.as_ref()),
            place: view.place.clone(),
            due_time: view.due.map(timestamp),
            overdue: view.overdue,
            record_time: Some(timestamp(request.created_at)),
        }
    }
}

fn new_request(message: &v1::SubmitRequestRequest) -> Result<(linli_core::id::SiteId, NewRequest)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let request = message.request.clone().unwrap_or_default();
    let kind = check.take("request.kind", Listed::listed(request.kind));
    if let Some(RequestKind::Emergency | RequestKind::FacilityDefect) = kind {
        // They are reported by methods of their own, with what belongs to them.
        check.refuse("request.kind", Invalid::NotAllowed);
    }
    let urgency = check.take("request.urgency", RequestUrgency::optional(request.urgency));
    if let Some(Some(RequestUrgency::Emergency)) = urgency {
        check.refuse("request.urgency", Invalid::NotAllowed);
    }
    let subject = subject(&mut check, "request.subject", site.as_ref(), &request.subject);
    let description = check.take("request.description", Paragraph::new(&request.description));
    let asked_at = optional_instant(&mut check, "request.submit_time", request.submit_time.as_ref());
    let parsed = site.zip(kind.zip(urgency)).zip(subject.zip(description).zip(asked_at));
    let ((site, (kind, urgency)), ((subject, description), asked_at)) = check.finish(parsed)?;
    Ok((site, NewRequest { kind, urgency, subject, description, asked_at }))
}

fn new_emergency(message: &v1::ReportEmergencyRequest) -> Result<(linli_core::id::SiteId, NewEmergency)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let subject = subject(&mut check, "subject", site.as_ref(), &message.subject);
    let kind = check.take("kind", RequestKind::optional(message.kind));
    let kind = kind.map(|kind| kind.unwrap_or(RequestKind::Emergency));
    if kind.is_some_and(|kind| !kind.may_be_emergency()) {
        check.refuse("kind", Invalid::NotAllowed);
    }
    let description = check.take("description", Paragraph::new(&message.description));
    let occurred_at = optional_instant(&mut check, "occur_time", message.occur_time.as_ref());
    if message.notices.len() > NOTICES_AT_ONCE {
        check.refuse("notices", Invalid::TooMany { max: NOTICES_AT_ONCE });
    }
    let told = message.notices.iter().take(NOTICES_AT_ONCE).enumerate();
    let notices: Vec<_> =
        told.map(|(at, told)| notice(&mut check, &format!("notices[{at}]"), told)).collect();
    let notices = notices.into_iter().collect::<Option<Vec<_>>>();
    let parsed = site.zip(subject).zip(kind.zip(description)).zip(occurred_at.zip(notices));
    let (((site, subject), (kind, description)), (occurred_at, notices)) = check.finish(parsed)?;
    Ok((site, NewEmergency { kind, subject, description, occurred_at, notices }))
}

fn notice(check: &mut Check, path: &str, told: &v1::EmergencyNotice) -> Option<NewNotice> {
    let party = check.take(format!("{path}.party"), Listed::listed(told.party));
    let at = optional_instant(check, &format!("{path}.occur_time"), told.occur_time.as_ref());
    party.zip(at).map(|(party, at)| NewNotice { party, at })
}

/// What a request is about: a name of its site.
fn subject(
    check: &mut Check,
    field: &str,
    site: Option<&linli_core::id::SiteId>,
    text: &str,
) -> Option<Subject> {
    let InSite { site: of, id } = check.take(field, name::parse_subject(text))?;
    if let Some(site) = site {
        check.same_site(field, site, &of);
    }
    Some(id)
}

/// To whom a request of this name is given.
fn assignee(check: &mut Check, request: &str, text: &str) -> Option<Assignee> {
    if text.starts_with("staff/") {
        return check.take("assignee", name::parse_staff(text)).map(Assignee::Staff);
    }
    let post = check.take("assignee", name::parse_post(text))?;
    if let Ok(request) = name::parse_request(request) {
        check.same_site("assignee", &request.site, &post.site);
    }
    Some(Assignee::Post(post.id))
}

/// What every step has in common.
fn step(
    mut check: Check,
    (name, etag): (String, String),
    occur_time: Option<Timestamp>,
    performer: &str,
    step: Option<Step>,
) -> Result<Update<RequestId, NewStep>> {
    let at = check.take("name", name::parse_request(&name));
    let version = check.take("etag", parse_etag(&etag));
    let occurred_at = optional_instant(&mut check, "occur_time", occur_time.as_ref());
    let performer = check.optional("performer", performer, name::parse_staff);
    let parsed = at.zip(version).zip(occurred_at.zip(performer).zip(step));
    let ((InSite { site, id }, version), ((at, performer), step)) = check.finish(parsed)?;
    Ok(Update { site, id, version, change: NewStep { step, at, performer } })
}

fn request_filter(message: &v1::ListRequestsRequest) -> Result<(linli_core::id::SiteId, RequestFilter)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let mut states = Vec::with_capacity(message.states.len());
    for (at, state) in message.states.iter().enumerate() {
        states.extend(check.take(format!("states[{at}]"), RequestState::listed(*state)));
    }
    let urgency = check.take("urgency", Listed::optional(message.urgency));
    let kind = check.take("kind", Listed::optional(message.kind));
    let department = check.take("department", Listed::optional(message.department));
    let about = if message.subject.is_empty() {
        Some(None)
    } else {
        subject(&mut check, "subject", site.as_ref(), &message.subject).map(Some)
    };
    let parsed = site.zip(urgency.zip(kind)).zip(department.zip(about));
    let ((site, (urgency, kind)), (department, subject)) = check.finish(parsed)?;
    Ok((site, RequestFilter { states, urgency, kind, department, subject }))
}

/// An instant that may be absent.
fn optional_instant(check: &mut Check, field: &str, time: Option<&Timestamp>) -> Option<Option<Instant>> {
    match time {
        Some(_) => check.instant(field, time).map(Some),
        None => Some(None),
    }
}
