//! Calls without valid credentials, counted by peer and minute. They are not written to the audit: nobody shall buy a write to
//! the disk with garbage.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use super::limits::STRANGERS;
use super::metrics::Metrics;

/// Most peers that are named in a minute's log.
const TOLD: usize = 10;

/// Who called without valid credentials in this minute.
pub(super) struct Strangers {
    metrics: Arc<Metrics>,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    by_address: HashMap<IpAddr, u64>,
    /// Calls from Unix sockets, and from addresses beyond those that are counted apart.
    others: u64,
}

impl Strangers {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, minute: Mutex::default() }
    }

    /// One more call.
    pub(super) fn count(&self, from: Option<IpAddr>) {
        self.metrics.unauthenticated.fetch_add(1, Relaxed);
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let has_place =
            |from: &IpAddr| minute.by_address.len() < STRANGERS || minute.by_address.contains_key(from);
        match from.filter(has_place) {
            Some(from) => *minute.by_address.entry(from).or_insert(0) += 1,
            None => minute.others += 1,
        }
    }

    /// Tells the log of the minute that has ended, and begins another one.
    pub(super) fn tell(&self) {
        let ended = std::mem::take(&mut *self.minute.lock().unwrap_or_else(PoisonError::into_inner));
        let mut peers: Vec<(IpAddr, u64)> = ended.by_address.into_iter().collect();
        peers.sort_by_key(|(address, calls)| (std::cmp::Reverse(*calls), *address));
        for (address, calls) in peers.iter().take(TOLD) {
            tracing::warn!(%address, calls, "calls without valid credentials in a minute");
        }
        let rest: u64 = peers.iter().skip(TOLD).map(|(_, calls)| calls).sum::<u64>() + ended.others;
        if rest > 0 {
            tracing::warn!(calls = rest, "calls without valid credentials from other peers in a minute");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::methods::Methods;

    #[test]
    fn addresses_are_counted_apart_up_to_a_number() {
        let metrics = Arc::new(Metrics::new(Methods::new(&[]), Arc::new(Vec::new)));
        let strangers = Strangers::new(Arc::clone(&metrics));
        let address = |number: usize| Some(IpAddr::from(u32::try_from(number).unwrap().to_be_bytes()));
        (0..STRANGERS + 5).for_each(|number| strangers.count(address(number)));
        strangers.count(address(0));
        strangers.count(None);
        let held = |strangers: &Strangers| {
            let minute = strangers.minute.lock().unwrap();
            (minute.by_address.len(), minute.by_address.values().sum::<u64>(), minute.others)
        };
        assert_eq!(held(&strangers), (STRANGERS, STRANGERS as u64 + 1, 6));
        assert_eq!(metrics.unauthenticated.load(Relaxed), STRANGERS as u64 + 7);
        strangers.tell();
        assert_eq!(held(&strangers), (0, 0, 0));
    }
}
