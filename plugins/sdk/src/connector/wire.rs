//! Between the messages of `linli.plugin.v1` and what authors write.

use std::time::Duration;

use linli_proto::plugin_v1 as pb;
use pb::step::Kind as Wanted;
use pb::step_input::Kind as Came;

use super::{
    Acknowledgement, Acknowledgements, Decision, Delivered, Delivery, Failure, FailureKind, Field,
    HttpRequest, HttpResponse, Mail, Method, Poll, PullRoster, Roster, RunError, Shelf,
};

/// Whether an input answers a step: it is of its kind, or says that the exchange failed.
pub(super) fn answers(wanted: &Wanted, came: &Came) -> bool {
    match wanted {
        Wanted::Http(_) => matches!(came, Came::Http(_) | Came::Failure(_)),
        Wanted::Mail(_) | Wanted::WriteFile(_) | Wanted::MoveFile(_) | Wanted::Sleep(_) => {
            matches!(came, Came::Done(_) | Came::Failure(_))
        }
        Wanted::ReadFile(_) => matches!(came, Came::File(_) | Came::Failure(_)),
        Wanted::ListFiles(_) => matches!(came, Came::Files(_) | Came::Failure(_)),
        Wanted::End(_) => false,
    }
}

/// What an input is, for messages.
pub(super) fn word(came: &Came) -> &'static str {
    match came {
        Came::Http(_) => "an answer to an HTTPS request",
        Came::Done(_) => "`done`",
        Came::File(_) => "a file",
        Came::Files(_) => "a list of files",
        Came::Failure(_) => "a failure",
    }
}

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

pub(super) fn http_request(request: HttpRequest) -> pb::HttpRequest {
    let HttpRequest { method: how, url, headers, body, sign } = request;
    pb::HttpRequest { method: method(how).to_owned(), url, headers: to_headers(headers), body, sign }
}

pub(super) fn to_headers(headers: Vec<(String, String)>) -> Vec<pb::Header> {
    headers.into_iter().map(|(name, value)| pb::Header { name, value }).collect()
}

pub(super) fn from_headers(headers: Vec<pb::Header>) -> Vec<(String, String)> {
    headers.into_iter().map(|pb::Header { name, value }| (name, value)).collect()
}

pub(super) fn http_response(response: pb::HttpResponse) -> HttpResponse {
    let pb::HttpResponse { status, headers, body } = response;
    let status = u16::try_from(status).unwrap_or_default();
    HttpResponse { status, headers: from_headers(headers), body }
}

pub(super) fn mail(Mail { to, subject, text }: Mail) -> pb::Mail {
    pb::Mail { to, subject, text }
}

pub(super) fn shelf(shelf: Shelf) -> pb::FileShelf {
    match shelf {
        Shelf::Archive => pb::FileShelf::Archive,
        Shelf::Quarantine => pb::FileShelf::Quarantine,
    }
}

pub(super) fn failure(failure: pb::Failure) -> Failure {
    let kind = match failure.kind() {
        pb::FailureKind::NotDone => FailureKind::NotDone,
        pb::FailureKind::Forbidden => FailureKind::Forbidden,
        // What nobody names may have happened.
        pb::FailureKind::Unknown | pb::FailureKind::Unspecified => FailureKind::Unknown,
    };
    Failure { kind, detail: failure.detail }
}

pub(super) fn delivery(message: pb::DeliverReferral) -> Delivery {
    let pb::DeliverReferral { referral, fields, answer_url } = message;
    let fields = fields.into_iter().map(|pb::Field { code, value }| Field { code, value }).collect();
    Delivery { referral, fields, answer_url }
}

pub(super) fn poll(message: pb::PollAcknowledgements) -> Poll {
    let pb::PollAcknowledgements { external_references, cursor } = message;
    Poll { external_references, cursor }
}

pub(super) fn pull_roster(pb::PullRoster { cursor }: pb::PullRoster) -> PullRoster {
    PullRoster { cursor }
}

/// The end of a run in which an operation worked.
pub(super) trait Ends {
    fn end(self) -> pb::end::Result;
}

impl Ends for Delivered {
    fn end(self) -> pb::end::Result {
        pb::end::Result::Delivered(pb::Delivered { external_reference: self.external_reference })
    }
}

impl Ends for Acknowledgements {
    fn end(self) -> pb::end::Result {
        let item = |item: Acknowledgement| {
            let state = match item.decision {
                Decision::Accepted => pb::AcknowledgementState::Accepted,
                Decision::Rejected => pb::AcknowledgementState::Rejected,
                Decision::Closed => pb::AcknowledgementState::Closed,
            };
            pb::Acknowledgement {
                external_reference: item.external_reference,
                state: state.into(),
                remark: item.remark,
                decided_at_micros: item.decided_at_micros.unwrap_or_default(),
                referral: item.referral,
            }
        };
        let items = self.items.into_iter().map(item).collect();
        pb::end::Result::Acknowledgements(pb::Acknowledgements { items, cursor: self.cursor })
    }
}

impl Ends for Roster {
    fn end(self) -> pb::end::Result {
        let field = |Field { code, value }: Field| pb::Field { code, value };
        let entry = |fields: Vec<Field>| pb::RosterEntry { fields: fields.into_iter().map(field).collect() };
        let entries = self.entries.into_iter().map(entry).collect();
        pb::end::Result::Roster(pb::Roster { entries, cursor: self.cursor })
    }
}

impl Ends for () {
    fn end(self) -> pb::end::Result {
        pb::end::Result::Probed(pb::Done {})
    }
}

impl Ends for RunError {
    fn end(self) -> pb::end::Result {
        let wait = self.after.map_or(0, |wait: Duration| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        pb::end::Result::Error(pb::RunError {
            message: cut(&self.message, MESSAGE_CHARS_MAX),
            retry: self.retry,
            retry_after_millis: wait,
        })
    }
}

/// Longest message of an error, in characters; what is beyond is cut, as messages often quote what they do not know.
const MESSAGE_CHARS_MAX: usize = 500;

fn cut(text: &str, chars_max: usize) -> String {
    let text = if text.trim().is_empty() { "it did not say why" } else { text };
    text.chars().take(chars_max).collect()
}

pub(super) fn end(result: pb::end::Result) -> pb::step::Kind {
    Wanted::End(pb::End { result: Some(result) })
}
