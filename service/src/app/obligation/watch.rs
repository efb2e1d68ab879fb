//! A worklist that is told again whenever it has changed.
//!
//! Nothing is sent around inside the server: whoever watches looks at the number of the site's newest event a few times a
//! second, and at the clock, so that a replica that heard of nothing sees what another one committed. What a look costs is
//! one row.

use std::sync::Arc;
use std::time::Duration;

use linli_core::time::Instant;
use linli_store::Scope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::worklist::WorklistNow;
use super::{WorklistItem, WorklistRequest};
use crate::app::contest::insisted;
use crate::app::{App, Ending, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};

/// Most worklists that one process watches: each costs a row a look, and a worklist whenever anything happens in its site.
const WATCHES_MAX: usize = 200;
/// How long a stream lasts, in minutes of the machine's clock: rights, connections and load are looked at anew by a new call.
const WATCH_MINUTES: i64 = 10;
/// How often the site is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most answers that a caller may ask for before the end.
pub const WATCH_UPDATES_MAX: u32 = 1_000;

/// The worklists that are watched now.
#[derive(Debug)]
pub struct Watches(Arc<Semaphore>);

impl Default for Watches {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WATCHES_MAX)))
    }
}

/// A worklist as it is at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The things to do, as many as a page holds.
    pub items: Vec<WorklistItem>,
    /// Whether there is more.
    pub more: bool,
    /// The instant for which it holds.
    pub as_of: Instant,
    /// The next instant at which the time alone may change it.
    pub next_change_at: Instant,
}

/// Somebody who watches a worklist.
pub struct WorklistWatch {
    app: Arc<App>,
    call: Call,
    wanted: WorklistRequest,
    size: u32,
    /// How many answers are still to come; `None`: as many as there are.
    left: Option<u32>,
    ends_at: Instant,
    ending: Ending,
    told: Option<Told>,
    _place: OwnedSemaphorePermit,
}

/// What was told last, and the state of the site then.
struct Told {
    list: Watched,
    pulse: (i64, i64),
}

impl App {
    /// Watches what the holders of a post should do. [`WorklistWatch::next`] decides and audits as [`App::worklist`] does.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many watch.
    pub fn watch_worklist(
        self: Arc<Self>,
        call: Call,
        wanted: WorklistRequest,
        size: u32,
        updates: Option<u32>,
    ) -> Result<WorklistWatch> {
        let place = Arc::clone(&self.watches.0).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let ends_at = self.system_clock.now().plus_minutes(WATCH_MINUTES);
        let ending = self.ending.clone();
        Ok(WorklistWatch {
            app: self,
            call,
            wanted,
            size,
            left: updates,
            ends_at,
            ending,
            told: None,
            _place: place,
        })
    }
}

impl WorklistWatch {
    /// The list, as soon as it differs from the one before; `None` at the end.
    ///
    /// # Errors
    /// As [`App::worklist`]; nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Watched>> {
        loop {
            if self.left == Some(0) || self.app.system_clock.now() >= self.ends_at {
                return Ok(None);
            }
            // Before the list: what happens meanwhile is seen at the next look.
            let pulse = self.app.store.pulse(&Scope::from(&self.wanted.site)).await?;
            let is_due = self
                .told
                .as_ref()
                .is_none_or(|told| told.pulse != pulse || told.list.next_change_at <= self.app.now());
            if is_due {
                let list = self.look().await?;
                let is_news = self
                    .told
                    .as_ref()
                    .is_none_or(|told| (&told.list.items, told.list.more) != (&list.items, list.more));
                self.told = Some(Told { list: list.clone(), pulse });
                if is_news {
                    self.left = self.left.map(|left| left.saturating_sub(1));
                    return Ok(Some(list));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.ending.begun() => return Ok(None),
            }
        }
    }

    async fn look(&self) -> Result<Watched> {
        let first = PageRequest { after: None, size: self.size };
        // What changes at this very moment is looked at again: the watcher did not ask, and cannot ask again.
        let now = insisted(|| self.app.worklist_now(&self.call, &self.wanted, first.clone())).await?;
        let WorklistNow { page, as_of, next_change_at } = now;
        Ok(Watched { more: page.next.is_some(), items: page.items, as_of, next_change_at })
    }
}
