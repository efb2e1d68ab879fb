//! Every limit of the listeners, each a constant with its reason; what an operator may change is in `config::Limits`
//! and `config::Timeouts`. [`table`] is printed at start.

use std::time::Duration;

use crate::config::Server;

/// Flow-control window of one call, in bytes.
pub const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one connection, in bytes.
pub const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Largest header list of a call, in bytes.
pub const HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Largest HTTP/2 frame, in bytes.
pub const FRAME_BYTES: u32 = 16 * 1024;
/// Bytes of answers that wait on one call for a client that does not read.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Calls that a client may open and reset at once before the connection is closed.
pub const PENDING_RESETS: usize = 20;
/// Calls that the server may reset for protocol errors before the connection is closed.
pub const LOCAL_RESETS: usize = 256;
/// A silent connection is asked for a sign of life after this time.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// A connection that gives none within this time is closed.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between asking a connection to end and cutting it.
pub const CONNECTION_CUT_AFTER: Duration = Duration::from_secs(300);
/// Health and reflection calls at a time, which need no credentials.
pub const OPEN_CALLS: usize = 128;
/// Longest `x-request-id` that is taken over from a client, in bytes.
pub const REQUEST_ID_BYTES: usize = 64;
/// Largest message of a client, in bytes.
pub const MESSAGE_BYTES: usize = crate::grpc::MESSAGE_MAX_BYTES;
/// Largest request of the admin listener, in bytes.
pub const ADMIN_REQUEST_BYTES: usize = 8 * 1024;
/// Longest exchange with the admin listener.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long `/readyz` waits for the store: half of what an exchange may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(2500);
/// Connections to the admin listener at a time.
pub const ADMIN_CONNECTIONS: usize = 32;
/// Largest answer of a body, in bytes: a remark of a thousand characters.
pub const ANSWER_BODY_BYTES: usize = 16 * 1024;
/// Longest exchange with a body that answers.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of bodies that answer at a time.
pub const ANSWER_CONNECTIONS: usize = 64;
/// How long accepting rests when the process is out of file descriptors.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How often keys and certificates are looked at again: a renewed one is in force within seconds.
pub const FILES_LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
/// How often it is told who called without valid credentials.
pub const STRANGERS_TOLD_EVERY: Duration = Duration::from_secs(60);
/// Addresses whose calls without valid credentials are counted apart; those of further ones are counted together.
pub const STRANGERS: usize = 4096;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub name: &'static str,
    /// To how much, with its unit.
    pub value: String,
    /// Why.
    pub reason: &'static str,
}

/// Every limit in force.
pub fn table(server: &Server) -> Vec<Limit> {
    let (limits, timeouts) = (&server.limits, &server.timeouts);
    let row = |name, value: String, reason| Limit { name, value, reason };
    let count = |number: u32| number.to_string();
    let bytes = |number: usize| format!("{number} bytes");
    let time = |duration: Duration| format!("{duration:?}");
    vec![
        row("connections", count(limits.connections), "each costs a file descriptor and some 100 KiB"),
        row(
            "connections per address",
            count(limits.connections_per_address),
            "one machine must not take the places of all others; loopback is exempt, it may be a proxy",
        ),
        row(
            "calls per connection",
            count(limits.streams_per_connection),
            "HTTP/2 knows no limit unless one is announced",
        ),
        row("calls at work", count(limits.calls), "a call refused at once is better than all calls too late"),
        row(
            "calls without credentials",
            OPEN_CALLS.to_string(),
            "they must not take the places of the others",
        ),
        row("handshake", time(timeouts.handshake), "idle sockets and half prefaces would stay open for ever"),
        row("call", time(timeouts.request), "longer than any honest work on one call"),
        row("streaming call", time(timeouts.stream), "a roster of 100,000 rows over a slow line"),
        row("connection age", time(timeouts.connection_age), "clients find new servers behind a balancer"),
        row("connection cut", time(CONNECTION_CUT_AFTER), "after its age; open calls end before"),
        row("keepalive interval", time(KEEPALIVE_INTERVAL), "finds peers that went away without a word"),
        row("keepalive timeout", time(KEEPALIVE_TIMEOUT), "several round trips of a bad mobile line"),
        row("message", bytes(MESSAGE_BYTES), "the largest honest one, a batch of records, has a tenth of it"),
        row("header list", bytes(HEADER_LIST_BYTES as usize), "credentials and purpose fit several times"),
        row("frame", bytes(FRAME_BYTES as usize), "the least that HTTP/2 allows"),
        row("stream window", bytes(STREAM_WINDOW_BYTES as usize), "bounds memory by calls × window"),
        row("connection window", bytes(CONNECTION_WINDOW_BYTES as usize), "bounds memory per connection"),
        row("send buffer", bytes(SEND_BUFFER_BYTES), "a client that does not read must not fill the memory"),
        row("pending resets", PENDING_RESETS.to_string(), "rapid reset buys work for nothing"),
        row("local resets", LOCAL_RESETS.to_string(), "so do malformed calls"),
        row("request id", bytes(REQUEST_ID_BYTES), "it is written to every line of the log"),
        row("admin request", bytes(ADMIN_REQUEST_BYTES), "a path and a few headers"),
        row("admin exchange", time(ADMIN_TIMEOUT), "probes are small and near"),
        row("admin connections", ADMIN_CONNECTIONS.to_string(), "probes and one scraper"),
    ]
}

/// Writes the table to the log.
pub fn print(server: &Server) {
    for Limit { name, value, reason } in table(server) {
        tracing::info!(target: "linli::limits", limit = name, value, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};

    #[test]
    fn the_table_follows_the_configuration() {
        let flags = Flags::default();
        let file = "server.limits.calls = 7\nserver.timeouts.handshake_ms = 1234";
        let server = Config::layered(Some((file, "linli.toml")), [], &flags).unwrap().server;
        let table = table(&server);
        let value = |name: &str| table.iter().find(|row| row.name == name).unwrap().value.clone();
        assert_eq!(value("calls at work"), "7");
        assert_eq!(value("handshake"), "1.234s");
        assert!(table.iter().all(|row| !row.reason.is_empty()));
    }

    #[test]
    fn streams_fit_into_their_connection() {
        const { assert!(STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES) };
        const { assert!(FRAME_BYTES >= 16_384, "HTTP/2 allows no smaller frame limit") };
    }
}
