//! Tests of the plugin host with real libraries: the elderly plugin, a faulty one in Rust and a lying one in C, built
//! on the way. A C compiler (`cc`) is a prerequisite.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

mod build;
mod calls;
mod check;
mod connector;
mod duties;
mod faults;
mod fixtures;
mod load;
mod manifest;
mod new;
mod scenarios;
mod trust;
mod trust_files;
