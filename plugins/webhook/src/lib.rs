//! Referrals as signed JSON over HTTPS to a body's own system. `README.md` is what such a system has to serve.
//!
//! What an answer means is decided in two files without any exchange: `answer.rs` by status, `feed.rs` by content. Here is only
//! what is asked, in which order.

mod answer;
mod feed;
mod instant;

use linli_plugin_sdk::connector::{
    Acknowledgements, Connector, Delivered, Delivery, HttpRequest, HttpResponse, Io, Poll, PullRoster,
    Roster, RunError, Settings,
};
use serde_json::{Map, Value};

use answer::encoded;
use feed::Page;

/// Longest `url` of a channel, in bytes: a cursor must fit behind it.
const URL_BYTES_MAX: usize = 900;
/// Largest referral, in bytes of JSON: the host sends no more.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most pages that one run reads; the next one goes on behind them.
const PAGES_MAX: usize = 100;
/// A run begins no further page after this time, in microseconds, so that its deadline does not lose what it has read.
const READING_MICROS_MAX: i64 = 20_000_000;
/// What the pages of one run hold at most, in bytes: the host takes 8 MiB, and a page has at most 4.
const RUN_BYTES_MAX: usize = 7 * 1024 * 1024;
/// Most answers that one run brings, and most on a page.
const ACKNOWLEDGEMENTS_MAX: usize = 500;
/// Most people that one run brings.
const PEOPLE_MAX: usize = 10_000;
/// How many people are asked for on a page.
const PEOPLE_PAGE: usize = 1_000;

struct Webhook;

linli_plugin_sdk::export_connector!(Webhook);

impl Connector for Webhook {
    fn check(settings: &Settings) -> Result<(), String> {
        url(settings).map(|_| ())
    }

    async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
        const ASKED: &str = "POST /referrals";
        let key = io.idempotency_key();
        let url = url(io.settings()).map_err(RunError::never)?;
        let body = body(&delivery, key, io.now());
        if body.len() > BODY_BYTES_MAX {
            return Err(RunError::never(format!(
                "the referral has more than {BODY_BYTES_MAX} bytes as JSON"
            )));
        }
        let request = HttpRequest::post(format!("{url}/referrals"), body)
            .header("content-type", "application/json; charset=utf-8")
            .header("idempotency-key", key);
        let answer = ask(io, ASKED, request).await?;
        if answer.status == 409 {
            return known(&answer, key);
        }
        // It is not about this matter: whatever is sent is refused until somebody mends that, and then goes.
        if matches!(answer.status, 401 | 403) {
            let (status, why) = (answer.status, answer::STRANGER);
            return Err(RunError::later(format!("{ASKED} was answered with status {status}: {why}")));
        }
        let answer = answer::content(ASKED, answer, io.now())?;
        taken(&answer).map_err(|wrong| RunError::later(format!("{ASKED}: {wrong}")))
    }

    async fn poll(io: &Io, poll: Poll) -> Result<Acknowledgements, RunError> {
        let limit = Limit { run: ACKNOWLEDGEMENTS_MAX, page: ACKNOWLEDGEMENTS_MAX };
        let read = follow(io, "/acknowledgements", poll.cursor, limit, feed::acknowledgements).await?;
        Ok(Acknowledgements { items: read.items, cursor: read.cursor })
    }

    async fn pull_roster(io: &Io, pull: PullRoster) -> Result<Roster, RunError> {
        let limit = Limit { run: PEOPLE_MAX, page: PEOPLE_PAGE };
        let read = follow(io, "/roster", pull.cursor, limit, feed::roster).await?;
        let cursor = if read.complete { String::new() } else { read.cursor };
        Ok(Roster { entries: read.items, cursor })
    }

    async fn probe(io: &Io) -> Result<(), RunError> {
        get(io, "GET /health", "/health").await.map(|_| ())
    }
}

/// The address of a channel, without a slash at its end.
fn url(settings: &Settings) -> Result<String, String> {
    let url = settings.text("url").unwrap_or_default().trim_end_matches('/');
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let sign = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '\\' | '"' | '<' | '>');
    if host.is_empty() || url.len() > URL_BYTES_MAX || !url.chars().all(sign) {
        return Err(format!(
            "`url` must be an address such as `https://health.example.cn/linli`, without `?`, `#` and `@`, of at most \
             {URL_BYTES_MAX} bytes"
        ));
    }
    Ok(url.to_owned())
}

/// Sends a signed request, and waits for an answer of any status.
async fn ask(io: &Io, asked: &str, request: HttpRequest) -> Result<HttpResponse, RunError> {
    let answer = io.http(request.header("accept", "application/json").signed()).await;
    answer.map_err(|mut failure| {
        failure.detail = format!("{asked}: {}", failure.detail);
        failure.into()
    })
}

/// Asks for something, and insists on an answer with content.
async fn get(io: &Io, asked: &str, path: &str) -> Result<HttpResponse, RunError> {
    let url = url(io.settings()).map_err(RunError::never)?;
    let answer = ask(io, asked, HttpRequest::get(format!("{url}{path}"))).await?;
    answer::content(asked, answer, io.now())
}

/// A matter as JSON.
fn body(delivery: &Delivery, key: &str, now_micros: i64) -> Vec<u8> {
    let fields: Map<String, Value> =
        delivery.fields.iter().map(|field| (field.code.clone(), field.value.as_str().into())).collect();
    let matter = serde_json::json!({
        "referral": delivery.referral,
        "idempotency_key": key,
        "sent_at": instant::shown(now_micros),
        "fields": fields,
        "answer_url": delivery.answer_url,
    });
    matter.to_string().into_bytes()
}

/// The reference that a recipient gave what it took: in its answer, or as the place of what it made.
fn taken(answer: &HttpResponse) -> Result<Delivered, String> {
    let said = match answer.body.is_empty() {
        true => None,
        // What is not JSON comes from something in between, and nobody knows whether the recipient has seen the matter.
        false => answer::reference(&answer::object(&answer.body)?, "the answer")?.map(str::to_owned),
    };
    let place = || answer.header("location").filter(|place| answer::is_reference(place));
    let external_reference = said.or_else(|| place().map(str::to_owned)).unwrap_or_default();
    Ok(Delivered { external_reference })
}

/// 409: the recipient has this very matter already, if it repeats the key. Otherwise it is still at work on it.
fn known(answer: &HttpResponse, key: &str) -> Result<Delivered, RunError> {
    let object = answer::object(&answer.body).unwrap_or_default();
    match answer::text(&object, "idempotency_key", "the answer") {
        Ok(Some(said)) if said == key => taken(answer).map_err(RunError::later),
        _ => Err(RunError::later(
            "POST /referrals was answered with status 409 and without the `idempotency_key`: the recipient may still be at \
             work on it",
        )),
    }
}

/// How much is read.
#[derive(Clone, Copy)]
struct Limit {
    /// In one run, at most.
    run: usize,
    /// On a page, as the recipient is asked for.
    page: usize,
}

/// What several pages held.
struct Read<T> {
    items: Vec<T>,
    /// Where the next run begins.
    cursor: String,
    /// Whether the recipient has no more now.
    complete: bool,
}

/// Reads pages until there are no more, or until as many as fit in one run. A page that fails ends the run where none was read
/// before it; otherwise what was read counts, and the next run meets that page first.
async fn follow<T>(
    io: &Io,
    path: &str,
    cursor: String,
    limit: Limit,
    read: fn(&[u8]) -> Result<Page<T>, String>,
) -> Result<Read<T>, RunError> {
    let asked = format!("GET {path}");
    let began = io.now();
    let mut bytes = 0;
    let mut found = Read { items: Vec::new(), cursor, complete: false };
    for number in 0..PAGES_MAX {
        let next = match found.cursor.as_str() {
            "" => format!("{path}?limit={}", limit.page),
            cursor => format!("{path}?limit={}&cursor={}", limit.page, encoded(cursor)),
        };
        let answer = get(io, &asked, &next).await;
        let page = answer.and_then(|answer| {
            bytes += answer.body.len();
            read(&answer.body).map_err(|wrong| RunError::never(format!("{asked}: {wrong}")))
        });
        let page = match page {
            Ok(page) => page,
            Err(_) if number > 0 => break,
            Err(error) => return Err(error),
        };
        if found.items.len() + page.items.len() > limit.run || bytes > RUN_BYTES_MAX {
            if number > 0 {
                break;
            }
            let (holds, most) = (page.items.len(), limit.run);
            return Err(RunError::never(format!("{asked}: a page holds {holds} items; {most} are allowed")));
        }
        found.complete = page.cursor.is_empty() || page.cursor == found.cursor || page.items.is_empty();
        found.items.extend(page.items);
        // A recipient that does not say how to go on is asked the same again the next time.
        if !page.cursor.is_empty() {
            found.cursor = page.cursor;
        }
        if found.complete || io.now().saturating_sub(began) > READING_MICROS_MAX {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
