//! Who waits for what is committed to a site is woken by the writer, after the commit and without a look at the database.
//!
//! It tells of this process alone. On SQLite there is no other one; on PostgreSQL, whoever waits looks now and then by
//! themselves too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Stands for every scope; none is called so.
pub(crate) const ANY: &str = "*";

/// The sites that somebody listens to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakes(Arc<Mutex<HashMap<String, watch::Sender<()>>>>);

impl Wakes {
    /// Wakes who listens to a scope.
    pub(crate) fn tell(&self, scope: &str) {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in [scope, ANY].into_iter().filter_map(|scope| heard.get(scope)) {
            sender.send_replace(());
        }
    }

    /// Hears of a scope from now on.
    pub(crate) fn listen(&self, scope: &str) -> Listener {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = heard.entry(scope.to_owned()).or_insert_with(|| watch::Sender::new(()));
        Listener { receiver: Some(sender.subscribe()), scope: scope.to_owned(), wakes: self.clone() }
    }
}

/// Hears of what is committed to one scope.
#[derive(Debug)]
pub struct Listener {
    /// There until the end.
    receiver: Option<watch::Receiver<()>>,
    scope: String,
    wakes: Wakes,
}

impl Listener {
    /// Waits until something was committed, or rights changed, since the last time; of many times it tells once.
    pub async fn woken(&mut self) {
        let told = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !told {
            // The sender stays as long as somebody listens; were it gone, nothing would ever come.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut heard = self.wakes.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.receiver.take());
        if heard.get(&self.scope).is_some_and(watch::Sender::is_closed) {
            heard.remove(&self.scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether somebody is woken without waiting.
    async fn hears(listener: &mut Listener) -> bool {
        tokio::time::timeout(Duration::from_millis(1), listener.woken()).await.is_ok()
    }

    #[tokio::test]
    async fn who_listens_is_woken_and_nobody_else() {
        let wakes = Wakes::default();
        wakes.tell("a");
        let (mut first, mut second, mut other) = (wakes.listen("a"), wakes.listen("a"), wakes.listen("b"));
        assert!(!hears(&mut first).await, "what was before is not told");
        wakes.tell("a");
        wakes.tell("a");
        assert!(hears(&mut first).await && !hears(&mut first).await, "once for both");
        assert!(hears(&mut second).await && !hears(&mut other).await);
        drop(first);
        wakes.tell("a");
        assert!(hears(&mut second).await, "one who goes takes nothing from the others");
        let mut all = wakes.listen(ANY);
        wakes.tell("c");
        assert!(hears(&mut all).await && !hears(&mut second).await);
        drop((second, other, all));
        assert!(wakes.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
