//! Events for others: what happened in a site, by name and kind, each once and in order.
//!
//! An event holds no value of anybody's, but its name can tell that there is somebody. Of a protected file, and of whatever was
//! changed together with it, a caller who may not know of it learns the number and the time, and nothing else: numbers have no
//! gap for anybody, so that everybody can see that nothing was lost. (A record's name does not say whose it is; the audit entry
//! of the commit that wrote it does.) Who may know is decided on current facts, for events of long ago too.

pub mod kind;
mod sink;
mod watch;

use std::collections::HashSet;

use linli_core::id::{ResidentId, SiteId};
use linli_core::time::Instant;
use linli_store::{EVENT_SWEEP, OutboxEvent, OutboxPlace, OutboxRead, Scope};

use super::work::{Touches, Work};
use super::{App, BATCHES_MAX};
use crate::auth::Call;
use crate::config::Events as Settings;
use crate::error::{Error, Result};
use crate::name;
pub use kind::Kind;
pub use sink::{Outlet, OutletError, SinkState};
pub use watch::{EventWatch, Told, WATCH_ANSWERS_MAX};

/// Most events read together: one answer of a watch, and a batch of a list.
const BATCH: u64 = 100;

/// What the server tells of what happens in it.
#[derive(Debug)]
pub struct Events {
    settings: Settings,
    watchers: watch::Watchers,
    sink: SinkState,
}

impl Events {
    /// As the configuration says.
    pub fn new(settings: Settings) -> Self {
        Self { watchers: watch::Watchers::new(&settings), sink: SinkState::default(), settings }
    }

    /// How it stands with events that go out by themselves; `None` where none do.
    pub fn sink(&self) -> Option<&SinkState> {
        self.settings.nats.as_ref().map(|_| &self.sink)
    }

    /// How many watch now.
    pub fn watchers(&self) -> usize {
        self.watchers.count()
    }
}

/// An event as a caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The site.
    pub site: SiteId,
    /// Its number.
    pub sequence: i64,
    /// What happened.
    pub kind: String,
    /// The name of what was changed.
    pub resource: String,
    /// The care clock at the change.
    pub care_time: Instant,
    /// The system clock at the change.
    pub system_time: Instant,
    /// Whether the caller may not know what it is about.
    pub withheld: bool,
}

impl ChangeEvent {
    /// Where to go on after it.
    pub fn place(&self) -> OutboxPlace {
        OutboxPlace { seq: self.sequence, recorded: Some(self.system_time) }
    }
}

/// Where a list or a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the first event that is kept.
    Start,
    /// With what happens from now on.
    Now,
    /// After an event.
    After(OutboxPlace),
}

/// A page of events.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub items: Vec<ChangeEvent>,
    /// The place after the last event that was looked at.
    pub end: OutboxPlace,
    /// Whether another page follows.
    pub more: bool,
}

impl App {
    /// Events of a site; without kinds all of them.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`]; [`Error::EventsGone`].
    pub async fn change_events(
        &self,
        call: &Call,
        site: &SiteId,
        from: From,
        kinds: &HashSet<Kind>,
        size: u32,
    ) -> Result<EventPage> {
        let work = self.begin(call, Some(site)).await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut end = self.event_place(site, from).await?;
        let (mut items, mut more) = (Vec::new(), false);
        'batches: for batch in 0..BATCHES_MAX {
            let events = self.events_after(site, end).await?;
            let exhausted = is_short(&events);
            for event in self.told_to(&work, site, events).await? {
                if items.len() == size {
                    more = true;
                    break 'batches;
                }
                end = event.place();
                if is_wanted(kinds, &event) {
                    items.push(event);
                }
            }
            if exhausted {
                break;
            }
            more = batch + 1 == BATCHES_MAX;
        }
        work.disclose(&Touches::resource(log_name(site))).await?;
        Ok(EventPage { items, end, more })
    }

    /// The place where it begins.
    async fn event_place(&self, site: &SiteId, from: From) -> Result<OutboxPlace> {
        let scope = Scope::from(site);
        Ok(match from {
            From::Start => self.store.outbox_start(&scope).await?,
            From::Now => self.store.outbox_end(&scope).await?,
            From::After(place) => place,
        })
    }

    /// A batch of events right after a place.
    async fn events_after(&self, site: &SiteId, place: OutboxPlace) -> Result<Vec<OutboxEvent>> {
        match self.store.read_outbox(&Scope::from(site), place, BATCH).await? {
            OutboxRead::Next(events) => Ok(events),
            OutboxRead::Gone => Err(Error::EventsGone),
        }
    }

    /// Events as the caller may see them.
    async fn told_to(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        events: Vec<OutboxEvent>,
    ) -> Result<Vec<ChangeEvent>> {
        self.without_hidden(site, events, work.hides_somebody(), |resident| work.hides(resident)).await
    }

    /// Events as they are shown where some files are hidden.
    async fn without_hidden(
        &self,
        site: &SiteId,
        events: Vec<OutboxEvent>,
        hides_somebody: bool,
        hides: impl Fn(&ResidentId) -> bool,
    ) -> Result<Vec<ChangeEvent>> {
        let hides_text = |id: &str| ResidentId::new(id).is_ok_and(|id| hides(&id));
        let indirect = events.iter().filter(|event| hides_somebody && resident_in(&event.resource).is_none());
        let entries: Vec<i64> = indirect.map(|event| event.audit_seq).collect();
        let touched = self.store.touched_by(&Scope::from(site), &entries).await?;
        let is_hidden = |event: &OutboxEvent| match resident_in(&event.resource) {
            Some(resident) => hides_text(resident),
            None => touched.get(&event.audit_seq).is_some_and(|ids| ids.iter().any(|id| hides_text(id))),
        };
        let show = |event: OutboxEvent| {
            let withheld = event.kind == kind::PROTECTION_CHANGED || is_hidden(&event);
            let (kind, resource) = if withheld {
                (kind::WITHHELD.to_owned(), name::site(site))
            } else {
                (event.kind, event.resource)
            };
            let OutboxEvent { seq: sequence, care_time, system_time, .. } = event;
            ChangeEvent { site: site.clone(), sequence, kind, resource, care_time, system_time, withheld }
        };
        Ok(events.into_iter().map(show).collect())
    }

    /// Removes the events of a site whose time is over.
    pub(super) async fn sweep_events(&self, site: &SiteId) -> Result<()> {
        let Some(days) = self.events.settings.keep_days else { return Ok(()) };
        let before = self.system_clock.now().plus_minutes(-i64::from(days) * 24 * 60);
        let last = self.may_be_swept(site).await?;
        while self.store.sweep_outbox(&Scope::from(site), before, last).await? == EVENT_SWEEP {}
        Ok(())
    }
}

/// Whether nothing comes after a batch.
fn is_short(events: &[OutboxEvent]) -> bool {
    u64::try_from(events.len()).is_ok_and(|count| count < BATCH)
}

fn is_wanted(kinds: &HashSet<Kind>, event: &ChangeEvent) -> bool {
    kinds.is_empty() || kinds.iter().any(|kind| kind.code() == event.kind)
}

/// The id of the resident in a name, where there is one: `sites/{site}/residents/{resident}` and what is below.
fn resident_in(resource: &str) -> Option<&str> {
    let mut parts = resource.split('/').skip(2);
    (parts.next() == Some("residents")).then(|| parts.next()).flatten()
}

fn log_name(site: &SiteId) -> String {
    format!("{}/changeEvents", name::site(site))
}
