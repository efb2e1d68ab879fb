//! Loads Linli plugins and calls them.
//!
//! ```text
//! folder ─ plugin.lock, plugin.lock.sig ──▶ Verdict ─┐
//!        ├ plugin.toml ──▶ Manifest ─────────────────┤
//!        └ lib….so ──▶ Sealed ──▶ Library ───────────┴▶ Plugin ──▶ Registry
//! facts ──▶ BatchBuilder ──▶ Batch ──▶ Plugin::assess ──▶ Answer ──▶ RowFindings
//! Start ──▶ Plugin::begin ──▶ Step ──▶ whoever performs exchanges ──▶ Outcome ──▶ Run::step ──▶ Step … End
//! ```
//!
//! Invariants:
//! * A load error is a value ([`LoadFailure`]) that says which file, what it has, what is accepted and what to do.
//! * A plugin gets the fields it declares and nothing else; it answers with ordinals into its manifest.
//! * Every answer is checked before anything believes it: a misbehaving plugin is a [`CallError`], never a wrong duty.
//! * In this process, calls run on threads of the host that own batch, sink and instance: a call that hangs fails at its
//!   deadline, its thread is given up with its memory, and its answer is never read.
//! * In a process of its own, a plugin can end, hang or write what it likes: the call fails, or the one resident over whom
//!   it ends is found, and everybody else is answered about. The host never links such a library.
//! * A connector says what it wants sent and sends nothing itself; every step is checked against its manifest first.
//! * Nothing of a plugin runs before it is known whom it comes from ([`trust`]).
//! * A library is never unloaded. What was hashed is what was loaded: one descriptor, sealed in memory.

#![allow(unsafe_code)] // `library` and `instance` speak the C interface, `child::memory` and `runner` the system's; nothing else needs it

mod answer;
mod batch;
mod breaker;
mod child;
mod connector;
mod elf;
mod error;
pub mod exchange;
mod instance;
mod library;
pub mod manifest;
mod place;
mod plugin;
mod registry;
mod run;
pub mod runner;
mod seat;
pub mod tools;
pub mod trust;

pub use answer::{Answer, Member, RowFindings, Statement};
pub use batch::{Batch, BatchBuilder, FieldIndex, PlacedFact, Problem, RowFact};
pub use breaker::Health;
pub use error::{CallError, LoadCause, LoadFailure};
pub use manifest::{Manifest, ManifestError, ManifestErrors};
pub use plugin::{Figures, Limits, Mode, Plugin};
pub use registry::{Registry, Sources};
pub use run::{Run, STEPS_MAX};
pub use runner::Confinement;
