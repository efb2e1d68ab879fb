//! `EventService`: events for others. (Events that start clocks are in `event`.)

use std::collections::HashSet;

use linli_core::id::SiteId;
use linli_core::invalid::Invalid;
use linli_core::time::Instant;
use linli_proto::v1;
use linli_store::OutboxPlace;
use tonic::{Request, Response, Status};

use super::check::{Check, timestamp};
use super::page::{self, Binding};
use super::{Answers, Face, Tells};
use crate::app::change_event::{ChangeEvent, EventWatch, From, Kind, WATCH_ANSWERS_MAX};
use crate::error::{Error, Result};
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Most kinds that one request may name: as many as there are, and some to come.
const KINDS_MAX: usize = 100;

#[tonic::async_trait]
impl v1::event_service_server::EventService for Face {
    async fn list_events(&self, request: Request<v1::ListEventsRequest>) -> Answer<v1::ListEventsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let kinds = kinds(&mut check, &message.kinds);
            let (site, kinds) = check.finish(site.zip(kinds))?;
            let size = page::size(message.page_size)?;
            let from = after(&site, &message.page_token)?.map_or(From::Start, From::After);
            let page = app.change_events(&call, &site, from, &kinds, size).await?;
            let cursor = cursor(&site, page.end);
            Ok(v1::ListEventsResponse {
                events: page.items.iter().map(shown).collect(),
                next_page_token: if page.more { cursor.clone() } else { String::new() },
                cursor,
            })
        })
        .await
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        self.stream(request, |app, call, message| {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let kinds = kinds(&mut check, &message.kinds);
            let answers =
                check.take("answer_limit", page::answer_limit(message.answer_limit, WATCH_ANSWERS_MAX));
            let (site, (kinds, answers)) = check.finish(site.zip(kinds.zip(answers)))?;
            let from = match after(&site, &message.cursor)? {
                Some(place) => From::After(place),
                None if message.from_now => From::Now,
                None => From::Start,
            };
            app.watch_events(call, site, from, kinds, answers)
        })
        .await
    }
}

impl Tells<v1::WatchResponse> for EventWatch {
    async fn tell(&mut self) -> Result<Option<v1::WatchResponse>> {
        let told = self.next().await?;
        Ok(told.map(|told| v1::WatchResponse {
            events: told.events.iter().map(shown).collect(),
            cursor: cursor(&self.site, told.end),
        }))
    }
}

fn shown(event: &ChangeEvent) -> v1::ChangeEvent {
    v1::ChangeEvent {
        name: name::change_event(&event.site, event.sequence),
        sequence: event.sequence,
        kind: event.kind.clone(),
        resource: event.resource.clone(),
        care_time: Some(timestamp(event.care_time)),
        system_time: Some(timestamp(event.system_time)),
        withheld: event.withheld,
        cursor: cursor(&event.site, event.place()),
    }
}

/// The kinds that are asked for; none: all.
fn kinds(check: &mut Check, codes: &[String]) -> Option<HashSet<Kind>> {
    if codes.len() > KINDS_MAX {
        check.refuse("kinds", Invalid::TooMany { max: KINDS_MAX });
        return None;
    }
    let parsed =
        codes.iter().enumerate().map(|(at, code)| check.take(format!("kinds[{at}]"), Kind::parse(code)));
    // Each is looked at, so that each that is wrong is named.
    let parsed: Vec<Option<Kind>> = parsed.collect();
    parsed.into_iter().collect()
}

/// Where to go on: the number of the event before it and, where it is known, when that was recorded.
fn cursor(site: &SiteId, place: OutboxPlace) -> String {
    let OutboxPlace { seq, recorded } = place;
    let recorded = recorded.map(|at| format!("@{}", at.micros())).unwrap_or_default();
    binding(site).token(&format!("{seq}{recorded}"))
}

/// The place of a cursor; `None`: there is no cursor.
fn after(site: &SiteId, cursor: &str) -> Result<Option<OutboxPlace>> {
    let Some(text) = binding(site).cursor(cursor)? else { return Ok(None) };
    place(&text).map(Some).ok_or(Error::PageToken)
}

fn place(text: &str) -> Option<OutboxPlace> {
    let (seq, recorded) = match text.split_once('@') {
        Some((seq, micros)) => (seq, Some(Instant::from_micros(micros.parse().ok()?).ok()?)),
        None => (text, None),
    };
    let seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
    Some(OutboxPlace { seq, recorded })
}

/// A cursor is the site's: it is kept for weeks, and outlives whoever was told it.
fn binding(site: &SiteId) -> Binding {
    Binding::of_all("linli.v1.EventService", &[site.as_str().as_bytes()])
}
