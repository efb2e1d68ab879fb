//! Tools for those who write, check and install plugins: what `linli plugin` does, usable without the service.
//!
//! | module | what it does |
//! |---|---|
//! | [`bench`] | measures what a plugin costs for each resident |
//! | [`check`] | holds a plugin to every rule of the header, each in a process of its own |
//! | [`scenario`] | runs a table of cases through a loaded plugin |
//! | [`residents`] | residents who do not exist, to measure with |
//! | [`place`] | where manifest and library of a plugin are |

pub mod bench;
pub mod check;
pub mod place;
pub mod residents;
pub mod scenario;
