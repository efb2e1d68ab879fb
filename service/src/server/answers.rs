//! The third listener: where bodies answer referrals without an account. A letter holds a link, a body's system calls it back.
//!
//! `GET /a/{link}` shows two buttons and a line for a remark, and changes nothing: programs that look at mail follow links. `POST` to the same
//! address records the answer, as a form or as JSON `{"state": "accepted|rejected|closed", "remark": "…", "decided_at": "…"}`, as often as
//! it comes. A link that nobody made, or that has ended, looks like one that never was. Nothing on these pages is about a person.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::DateTime;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use linli_core::id::ReferralId;
use linli_core::referral::Decision;
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::limits::{ACCEPT_REST, ANSWER_BODY_BYTES, ANSWER_CONNECTIONS, ANSWER_TIMEOUT};
use crate::app::App;
use crate::app::referral::Acknowledgement;
use crate::name::InSite;

/// The listener at work; ends when it is dropped.
pub struct Answers {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answers {
    /// Binds and answers from now on.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, app: Arc<App>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(accept(listener, app)) })
    }
}

async fn accept(listener: TcpListener, app: Arc<App>) {
    let places = Arc::new(Semaphore::new(ANSWER_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_REST).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let app = Arc::clone(&app);
                async move { Ok::<_, Infallible>(answer(&app, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ANSWER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A peer that is too slow or goes away gets no answer; nothing else is lost.
            let _ = timeout(ANSWER_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

/// An answer in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    state: String,
    #[serde(default)]
    remark: String,
    #[serde(default)]
    decided_at: String,
}

async fn answer(app: &Arc<App>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(link) = request.uri().path().strip_prefix("/a/") else { return unknown() };
    let now = app.now();
    let named = app.delivery.links().and_then(|links| links.read(link, now));
    let Some((site, id)) = named else { return unknown() };
    let at = InSite { site, id };
    match *request.method() {
        Method::GET | Method::HEAD => page(StatusCode::OK, &form(&at.id)),
        Method::POST => {
            let is_json = request
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok())
                .is_some_and(|kind| kind.starts_with("application/json"));
            let body = Limited::new(request.into_body(), ANSWER_BODY_BYTES).collect().await;
            let Ok(body) = body else { return told(is_json, Told::NotUnderstood) };
            told(is_json, record(app, &at, &body.to_bytes(), is_json).await)
        }
        _ => told(false, Told::NotUnderstood), // a foreign enum: whatever else HTTP has
    }
}

/// What a body is told of its answer.
enum Told {
    Recorded,
    NotUnderstood,
    NotYet,
    Later,
}

async fn record(app: &Arc<App>, at: &InSite<ReferralId>, body: &[u8], is_json: bool) -> Told {
    let Some(said) = read(body, is_json) else { return Told::NotUnderstood };
    let (Ok(decision), Ok(remark)) = (Decision::from_code(&said.state), Paragraph::optional(&said.remark))
    else {
        return Told::NotUnderstood;
    };
    let decided_at = match said.decided_at.as_str() {
        "" => None,
        text => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Some(Instant::clamped(at.timestamp_micros())),
            Err(_) => return Told::NotUnderstood,
        },
    };
    let answer = Acknowledgement { decision, remark, external_reference: None, at: decided_at };
    match app.take_answer(at, answer).await {
        Ok(true) => Told::Recorded,
        Ok(false) => Told::NotYet,
        Err(error) => {
            tracing::warn!(?error, "an answer of a body was not recorded");
            Told::Later
        }
    }
}

fn read(body: &[u8], is_json: bool) -> Option<Said> {
    if is_json {
        return serde_json::from_slice(body).ok();
    }
    let mut said = Said { state: String::new(), remark: String::new(), decided_at: String::new() };
    for (name, value) in form_urlencoded::parse(body) {
        match name.as_ref() {
            "state" => said.state = value.into_owned(),
            "remark" => said.remark = value.replace("\r\n", "\n"),
            _ => return None, // a foreign form
        }
    }
    Some(said)
}

fn told(is_json: bool, told: Told) -> Response<Full<Bytes>> {
    let (status, word, zh, en) = match told {
        Told::Recorded => (StatusCode::OK, "recorded", "已记录，谢谢。", "Recorded. Thank you."),
        Told::NotUnderstood => (
            StatusCode::BAD_REQUEST,
            "not_understood",
            "未能识别，请重试。",
            "Not understood. Please try again.",
        ),
        Told::NotYet => (
            StatusCode::CONFLICT,
            "nothing_to_answer",
            "该事项目前无需答复。",
            "There is nothing to answer at present.",
        ),
        Told::Later => (
            StatusCode::SERVICE_UNAVAILABLE,
            "try_later",
            "暂时无法记录，请稍后重试。",
            "It cannot be recorded at present. Please try again later.",
        ),
    };
    if is_json {
        return respond(status, "application/json", format!("{{\"result\":\"{word}\"}}\n"));
    }
    page(status, &format!("<p>{zh}</p>\n<p lang=\"en\">{en}</p>\n"))
}

fn unknown() -> Response<Full<Bytes>> {
    page(
        StatusCode::NOT_FOUND,
        "<p>链接无效或已过期。</p>\n<p lang=\"en\">This link is not valid, or has ended.</p>\n",
    )
}

/// The form. The referral's id is all that it tells.
fn form(id: &ReferralId) -> String {
    let button = |decision: Decision| {
        let (code, zh, en) = (decision.code(), decision.zh(), decision.en());
        format!("<button name=\"state\" value=\"{code}\">{zh} <span lang=\"en\">{en}</span></button>\n")
    };
    let buttons: String = Decision::ALL.iter().copied().map(button).collect();
    format!(
        "<h1>转介答复 <span lang=\"en\">Answer to a referral</span></h1>\n<p>编号 <span lang=\"en\">reference</span>: \
         <code>{id}</code></p>\n<form method=\"post\">\n<label>备注 <span lang=\"en\">remark</span>\n\
         <textarea name=\"remark\" rows=\"4\" maxlength=\"1000\"></textarea></label>\n{buttons}</form>\n"
    )
}

const STYLE: &str = "body{font:1rem/1.6 sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;color:#1c2430}\
    h1{font-size:1.3rem}span{color:#5b6675}code{word-break:break-all}label,textarea,button{display:block;width:100%;\
    box-sizing:border-box}textarea{font:inherit;margin:.3rem 0 1rem}button{font:inherit;padding:.7rem;margin:.5rem 0;\
    border:1px solid #2c5d8f;border-radius:.4rem;background:#fff;cursor:pointer}button:hover,button:focus{background:#eaf2fa}";

fn page(status: StatusCode, content: &str) -> Response<Full<Bytes>> {
    let text = format!(
        "<!doctype html>\n<html lang=\"zh\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>邻里 Linli</title>\
         <style>{STYLE}</style></head>\n<body>\n{content}</body>\n</html>\n"
    );
    respond(status, "text/html; charset=utf-8", text)
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
