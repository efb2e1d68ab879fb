//! Figures of the server in the Prometheus text format. No label holds anything that a client made up.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tonic::Code;

use super::methods::Methods;

/// Upper bounds of the duration buckets, in microseconds.
const BUCKETS: [u64; 8] = [1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000, 30_000_000];

/// Names of the codes in their numeric order.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A figure that another part of the process knows, such as the length of the store's queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// Its name, `linli_store_queue`.
    pub name: &'static str,
    /// What it says, for people.
    pub help: &'static str,
    /// Its value now.
    pub value: f64,
}

/// Asks the other parts for their figures.
pub type Gauges = Arc<dyn Fn() -> Vec<Gauge> + Send + Sync>;

/// The server's own figures.
pub(super) struct Metrics {
    pub(super) methods: Methods,
    calls: Vec<Calls>,
    gauges: Gauges,
    pub(super) connections: AtomicI64,
    pub(super) accepted: AtomicU64,
    pub(super) refused_full: AtomicU64,
    pub(super) refused_address: AtomicU64,
    pub(super) refused_handshake: AtomicU64,
    /// Calls without valid credentials.
    pub(super) unauthenticated: AtomicU64,
    pub(super) at_work: AtomicI64,
    pub(super) panics: AtomicU64,
}

#[derive(Default)]
struct Calls {
    codes: [AtomicU64; CODES.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    micros: AtomicU64,
}

impl Metrics {
    pub(super) fn new(methods: Methods, gauges: Gauges) -> Self {
        let calls = methods.iter().map(|_| Calls::default()).collect();
        Self {
            methods,
            calls,
            gauges,
            connections: AtomicI64::new(0),
            accepted: AtomicU64::new(0),
            refused_full: AtomicU64::new(0),
            refused_address: AtomicU64::new(0),
            refused_handshake: AtomicU64::new(0),
            unauthenticated: AtomicU64::new(0),
            at_work: AtomicI64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Counts a call that ended.
    pub(super) fn count(&self, method: usize, code: Code, took: Duration) {
        let Some(calls) = self.calls.get(method) else { return };
        if let Some(count) = calls.codes.get(code_index(code)) {
            count.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        calls.micros.fetch_add(micros, Relaxed);
        for (count, bound) in calls.buckets.iter().zip(BUCKETS) {
            if micros <= bound {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// Everything as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(4096);
        self.write_calls(&mut text);
        let own = [
            ("linli_connections", "gauge", "Connections open now.", self.connections.load(Relaxed)),
            ("linli_calls_at_work", "gauge", "Calls worked on now.", self.at_work.load(Relaxed)),
            ("linli_connections_accepted_total", "counter", "Connections accepted.", signed(&self.accepted)),
            (
                "linli_unauthenticated_calls_total",
                "counter",
                "Calls without valid credentials.",
                signed(&self.unauthenticated),
            ),
            ("linli_panics_total", "counter", "Calls that ended in a panic.", signed(&self.panics)),
        ];
        for (name, kind, help, value) in own {
            head(&mut text, name, kind, help);
            line(&mut text, format_args!("{name} {value}"));
        }
        let refused = "linli_connections_refused_total";
        head(&mut text, refused, "counter", "Connections refused, by reason.");
        let reasons = [
            ("full", &self.refused_full),
            ("address", &self.refused_address),
            ("handshake", &self.refused_handshake),
        ];
        for (reason, count) in reasons {
            line(&mut text, format_args!("{refused}{{reason=\"{reason}\"}} {}", count.load(Relaxed)));
        }
        for Gauge { name, help, value } in (self.gauges)() {
            head(&mut text, name, "gauge", help);
            line(&mut text, format_args!("{name} {value}"));
        }
        text
    }

    fn write_calls(&self, text: &mut String) {
        head(text, "linli_calls_total", "counter", "Calls that ended, by method and code.");
        let rows = || self.methods.iter().zip(&self.calls);
        for (method, calls) in rows() {
            for (code, count) in CODES.iter().zip(&calls.codes) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let name = &method.name;
                    line(
                        text,
                        format_args!("linli_calls_total{{method=\"{name}\",code=\"{code}\"}} {count}"),
                    );
                }
            }
        }
        let name = "linli_call_duration_seconds";
        head(text, name, "histogram", "How long calls took, answer included.");
        for (method, calls) in rows() {
            let total: u64 = calls.codes.iter().map(|count| count.load(Relaxed)).sum();
            if total == 0 {
                continue;
            }
            let method = &method.name;
            for (count, bound) in calls.buckets.iter().zip(BUCKETS) {
                let (count, bound) = (count.load(Relaxed), seconds(bound));
                line(text, format_args!("{name}_bucket{{method=\"{method}\",le=\"{bound}\"}} {count}"));
            }
            line(text, format_args!("{name}_bucket{{method=\"{method}\",le=\"+Inf\"}} {total}"));
            let sum = seconds(calls.micros.load(Relaxed));
            line(text, format_args!("{name}_sum{{method=\"{method}\"}} {sum}"));
            line(text, format_args!("{name}_count{{method=\"{method}\"}} {total}"));
        }
    }
}

/// The name of a code, `DEADLINE_EXCEEDED`.
pub(super) fn code_name(code: Code) -> &'static str {
    CODES.get(code_index(code)).copied().unwrap_or("UNKNOWN")
}

fn code_index(code: Code) -> usize {
    usize::try_from(i32::from(code)).unwrap_or(2)
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

fn signed(count: &AtomicU64) -> i64 {
    i64::try_from(count.load(Relaxed)).unwrap_or(i64::MAX)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_method_and_code() {
        let gauges: Gauges =
            Arc::new(|| vec![Gauge { name: "linli_store_queue", help: "Writes that wait.", value: 3.0 }]);
        let metrics = Metrics::new(Methods::new(&[tonic_health::pb::FILE_DESCRIPTOR_SET]), gauges);
        let check = metrics.methods.index_of("/grpc.health.v1.Health/Check");
        metrics.count(check, Code::Ok, Duration::from_micros(900));
        metrics.count(check, Code::Ok, Duration::from_millis(2));
        metrics.count(check, Code::Unauthenticated, Duration::from_secs(60));
        metrics.count(metrics.methods.index_of("/made/up\"\n"), Code::Unimplemented, Duration::ZERO);
        let text = metrics.text();
        for expect in [
            "linli_calls_total{method=\"grpc.health.v1.Health/Check\",code=\"OK\"} 2",
            "linli_calls_total{method=\"grpc.health.v1.Health/Check\",code=\"UNAUTHENTICATED\"} 1",
            "linli_calls_total{method=\"unknown\",code=\"UNIMPLEMENTED\"} 1",
            "linli_call_duration_seconds_bucket{method=\"grpc.health.v1.Health/Check\",le=\"0.001\"} 1",
            "linli_call_duration_seconds_bucket{method=\"grpc.health.v1.Health/Check\",le=\"30\"} 2",
            "linli_call_duration_seconds_count{method=\"grpc.health.v1.Health/Check\"} 3",
            "linli_store_queue 3",
        ] {
            assert!(text.lines().any(|line| line == expect), "no `{expect}` in\n{text}");
        }
        assert!(!text.contains("made"));
    }

    #[test]
    fn every_code_has_its_name() {
        for number in 0..=16 {
            let code = Code::from(number);
            let debug = format!("{code:?}").to_uppercase();
            assert_eq!(code_name(code).replace('_', ""), debug);
        }
    }
}
