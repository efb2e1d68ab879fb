//! What a process that alone writes a database knows of it without asking: sites, authorisation epochs, and whose a
//! credential is.
//!
//! Nearly every call asks for all three. On SQLite no other process can change them, so that what was read stays true
//! until a commit of this process says otherwise; on PostgreSQL every call asks the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Most entries kept: a process serves a few thousand sites at most; beyond it nothing more is remembered.
const ENTRIES_MAX: usize = 16_384;

/// Remembered values by scope.
#[derive(Debug)]
pub(crate) struct Known<T> {
    /// `None`: another process may write, and nothing is remembered.
    state: Option<Mutex<State<T>>>,
}

#[derive(Debug)]
struct State<T> {
    /// Counts what was forgotten: an answer that was read before a change must not be remembered after it.
    generation: u64,
    values: HashMap<String, T>,
}

impl<T: Clone> Known<T> {
    /// Remembers where `alone` says that no other process writes.
    pub(crate) fn new(alone: bool) -> Self {
        Self { state: alone.then(|| Mutex::new(State { generation: 0, values: HashMap::new() })) }
    }

    /// The value that is known, or what to hand to [`Known::remember`] with the value that was read.
    pub(crate) fn get(&self, key: &str) -> Result<T, u64> {
        let Some(state) = &self.state else { return Err(0) };
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.values.get(key).cloned().ok_or(state.generation)
    }

    /// Remembers a value that was read, unless something was forgotten meanwhile.
    pub(crate) fn remember(&self, key: &str, value: &T, generation: u64) {
        let Some(state) = &self.state else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation && state.values.len() < ENTRIES_MAX {
            state.values.insert(key.to_owned(), value.clone());
        }
    }

    /// Forgets a value that a commit has changed, or may have.
    pub(crate) fn forget(&self, key: &str) {
        let Some(state) = &self.state else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.values.remove(key);
    }

    /// Forgets every value, where a commit may have changed any of them.
    pub(crate) fn forget_all(&self) {
        let Some(state) = &self.state else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let known = Known::new(true);
        let before = known.get("a").unwrap_err();
        known.forget("a");
        known.remember("a", &1, before);
        let after = known.get("a").unwrap_err();
        known.remember("a", &2, after);
        assert_eq!(known.get("a"), Ok(2));
        known.forget("a");
        let before = known.get("a").unwrap_err();
        known.forget_all();
        known.remember("a", &3, before);
        assert!(known.get("a").is_err());
    }

    #[test]
    fn nothing_is_remembered_where_others_write() {
        let known = Known::new(false);
        let generation = known.get("a").unwrap_err();
        known.remember("a", &1, generation);
        assert!(known.get("a").is_err());
    }
}
