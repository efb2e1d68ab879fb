//! How much work a post had: what was required of it, what was done, what is left.

use std::collections::BTreeSet;

use crate::id::{RecordId, Subject};
use crate::obligation::Obligation;

/// The work of a post in some days. A contact that serves several duties, or several people at once, is one contact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workload {
    /// How many services were required.
    pub required: u64,
    /// How many of them are still wanting, missed ones included.
    pub wanting: u64,
    subjects: BTreeSet<Subject>,
    contacts: BTreeSet<RecordId>,
}

impl Workload {
    /// Counts what an obligation asks for.
    pub fn add(&mut self, obligation: &Obligation) {
        self.required += u64::from(obligation.required);
        self.wanting += u64::from(obligation.shortfall());
        if !self.subjects.contains(&obligation.subject) {
            self.subjects.insert(obligation.subject.clone());
        }
        self.contacts.extend(obligation.credits.iter().cloned());
    }

    /// Different residents and places to which something was owed.
    pub fn subjects(&self) -> u64 {
        self.subjects.len().try_into().unwrap_or(u64::MAX)
    }

    /// Contacts that earned credit, each counted once.
    pub fn contacts(&self) -> u64 {
        self.contacts.len().try_into().unwrap_or(u64::MAX)
    }
}
