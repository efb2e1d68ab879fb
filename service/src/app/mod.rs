//! Use cases, one file per resource: authorise, load, call core, collect changes, commit.
//!
//! No transport and no SQL. A use case takes the [`Call`](crate::auth::Call) (who, why), a [`Repeat`] where it writes (so that the
//! same request gives the same answer) and domain values; it answers with domain values.

mod contest;
mod estate;
mod own;
mod scope;
mod work;

pub mod activity;
pub mod admin;
pub mod assessment;
pub mod audit;
pub mod backup;
pub mod care_plan;
pub mod catalog;
pub mod change;
pub mod change_event;
pub mod community_body;
pub mod community_roster;
pub mod compliance;
pub mod consent;
pub mod delivery;
pub mod duplicate;
pub mod emergency;
pub mod entry;
pub mod erasure;
pub mod export;
pub mod facility;
pub mod file;
pub mod fund;
pub mod history;
pub mod import;
pub mod key_rotation;
pub mod membership;
pub mod merge;
pub mod obligation;
pub mod own_file;
pub mod pause;
pub mod plugin;
pub mod post;
pub mod protection;
pub mod record;
pub mod referral;
pub mod request;
pub mod resident;
pub mod reveal;
pub mod sealed;
pub mod simulation;
pub mod site;
pub mod staff;
pub mod standard_override;
pub mod survey;
pub mod tenure;
pub mod tier;
pub mod upkeep;
pub mod waiver;

use std::sync::Arc;

use linli_core::calendar::PublicYear;
use linli_core::retention::Retention;
use linli_core::time::{Clock, Instant};
use linli_store::Store;

use crate::auth::policy::Policy;
use crate::time::{IdSource, SimulatedClock};

/// Everything a use case works with. Built once at the composition root.
pub struct App {
    /// The store.
    pub store: Store,
    /// The rule plugins and what is promised with them; [`App::deployed`] looks at it.
    pub plugins: plugin::Live,
    /// Public holidays beside those that core knows, by year.
    pub public_years: Vec<PublicYear>,
    /// The clock of the domain.
    pub care_clock: Arc<dyn Clock>,
    /// The same clock, where it is simulated and may be advanced.
    pub simulated: Option<Arc<SimulatedClock>>,
    /// The clock of tokens, leases and audit.
    pub system_clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// What the server has to look at by itself.
    pub upkeep: upkeep::Upkeep,
    /// What the replacement of keys waits for.
    pub rotation: key_rotation::Rotation,
    /// How long files are kept.
    pub retention: Retention,
    /// Where backups are made.
    pub backups: backup::Backups,
    /// Who was erased, outside the database.
    pub erasures: crate::audit::erasures::ErasureFile,
    /// The imports that run now.
    pub imports: import::Imports,
    /// What is told to others of what happens, and who is told now.
    pub events: change_event::Events,
    /// The worklists that are watched now.
    pub watches: obligation::Watches,
    /// Tells those who answer again and again that the server ends.
    pub ending: Ending,
    /// Who saw personal values in clear lately.
    pub reveals: reveal::Reveals,
    /// Who exported files lately.
    pub exports: reveal::Exports,
    /// What makes changes of the audit log evident.
    pub audit: Arc<crate::audit::keeper::Keeper>,
    /// How referrals reach bodies.
    pub delivery: Arc<delivery::Delivery>,
    /// Who may do what.
    pub policy: Policy,
    /// How the audit entries of reads become durable.
    pub entries: Arc<dyn entry::Entries>,
}

/// Tells those who answer again and again that the server ends, so that nobody waits for them.
#[derive(Debug, Clone)]
pub struct Ending(Arc<tokio::sync::watch::Sender<bool>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(false)))
    }
}

impl Ending {
    /// The end has begun.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it has.
    pub(crate) async fn begun(&self) {
        // The sender lives as long as this: there is no error.
        let _ = self.0.subscribe().wait_for(|ending| *ending).await;
    }
}

/// What makes a command repeatable.
pub struct Repeat<T> {
    /// The caller's request id; without one a repetition is a new command.
    pub id: Option<String>,
    /// SHA-256 of the request without its id.
    pub hash: [u8; 32],
    /// How the answer is written down for repetitions.
    pub encode: fn(&T) -> Vec<u8>,
}

/// The answer of a command.
#[derive(Debug)]
pub enum Answer<T> {
    /// It was carried out now.
    Fresh(T),
    /// It was carried out before; the answer as [`Repeat::encode`] wrote it down.
    Repeated(Vec<u8>),
}

/// Batches that one call of a list looks through before it answers with what it has, and a token where it goes on: a
/// condition that hardly anything meets cannot make a call walk a whole estate.
const BATCHES_MAX: usize = 20;

/// A page of a list. It may be short, and even empty, while another follows.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Continue after this cursor.
    pub after: Option<String>,
    /// At most this many items, at least 1.
    pub size: u32,
}

impl<T> Page<T> {
    /// A page of at most `size` out of items that were loaded with one more than that.
    pub fn cut(mut items: Vec<T>, size: u32, cursor: impl Fn(&T) -> String) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }

    /// A page of what is in memory, sorted by a key of its own.
    pub fn of_sorted(
        items: impl IntoIterator<Item = T>,
        page: &PageRequest,
        key: impl Fn(&T) -> &str,
    ) -> Self {
        let after = page.after.as_deref();
        let rest = items.into_iter().filter(|item| after.is_none_or(|after| key(item) > after));
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        Self::cut(rest.take(wanted).collect(), page.size, |item| key(item).to_owned())
    }
}

impl App {
    /// The present of the domain.
    pub fn now(&self) -> Instant {
        self.care_clock.now()
    }
}
