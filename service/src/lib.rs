//! The gRPC service of Linli.
//!
//! | module | what lives there |
//! |---|---|
//! | [`app`] | use cases, one file per resource; no transport, no SQL |
//! | [`audit`] | anchors of the audit log, and verifying it |
//! | [`auth`] | credentials, policies, the authorisation table, the `Permit` |
//! | [`grpc`] | thin handlers: convert, call, convert; the only module that names generated types |
//! | [`server`] | listeners, layers, limits, shutdown |
//! | [`config`] | one TOML file, typed |
//! | [`name`] | resource names |
//! | [`roster`] | reading rosters as estates keep them |
//! | [`cli`] | the subcommands of `linli` |
//! | `hex` | hexadecimal digits |
//! | [`telemetry`] | logs without personal data |
//! | [`time`] | the two clocks, ids |

pub mod app;
pub mod audit;
pub mod auth;
pub mod channel;
pub mod cli;
pub mod config;
pub mod error;
pub mod grpc;
mod hex;
mod key_file;
pub mod name;
mod nats;
mod report;
pub mod roster;
pub mod server;
pub mod telemetry;
pub mod time;
mod workbook;
