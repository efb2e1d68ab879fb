//! Tools for those who write, check and install plugins: what `linli plugin` does, usable without the service.
//!
//! | module | what it does |
//! |---|---|
//! | [`new`] | makes the folder of a new plugin that builds, passes its test and passes `check` |
//! | [`inspect`] | reads a plugin without running it |
//! | [`check`] | holds a plugin to every rule of the header, each in a process of its own |
//! | [`mod@bench`] | measures what a plugin costs for each resident |
//! | [`residents`] | residents made for measurements |
//! | [`scenario`] | runs a table of cases through a loaded plugin |
//! | [`place`] | where manifest and library of a plugin are |

pub mod bench;
pub mod check;
pub mod inspect;
pub mod new;
mod numbers;
pub mod place;
pub mod residents;
pub mod scenario;
