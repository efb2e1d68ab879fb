//! The domain of Linli: care groups, service standards and obligations.
//!
//! Pure and synchronous: no I/O, no clock, no randomness, no panic on any input. Whoever needs the time or an
//! id passes it in. The service, the store and the plugin host build on this crate; it knows none of them.
//!
//! The thought that carries it: *there is no job that creates tasks*. A [`standard::Standard`] is a quota; what
//! is owed is a function of facts, records, pauses, calendar and time (see [`obligation`]).

#![forbid(unsafe_code)]

pub mod applied;
pub mod assessment;
pub mod calendar;
pub mod catalogue;
pub mod compliance;
pub mod event;
pub mod group;
pub mod id;
pub mod identity;
pub mod invalid;
pub mod kind;
pub mod membership;
mod mutant;
pub mod obligation;
pub mod pause;
pub mod record;
pub mod resident;
pub mod site;
pub mod standard;
pub mod stricter;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod worklist;
