//! What a run yields, and how it is printed.

use std::time::Duration;

/// Figures of one run.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Operations per second.
    pub per_second: f64,
    /// Median time of one, in microseconds.
    pub p50_us: u32,
    /// 99th percentile, in microseconds.
    pub p99_us: u32,
    /// The server's processor time for one, in microseconds, where it is a process of its own.
    pub server_us: Option<f64>,
}

impl Figures {
    /// From the time of each operation, the length of the run and the server's processor time in it.
    pub fn new(mut micros: Vec<u32>, length: Duration, cpu: Option<Duration>) -> Self {
        micros.sort_unstable();
        let at = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or_default();
        Self {
            per_second: micros.len() as f64 / length.as_secs_f64(),
            p50_us: at(0.50),
            p99_us: at(0.99),
            server_us: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / micros.len().max(1) as f64),
        }
    }
}

/// The run whose rate is the median of all rounds.
pub fn median(rounds: &[Figures]) -> Option<Figures> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    sorted.get(sorted.len() / 2).copied()
}

/// One line: the median round, and the lowest and highest rate of all.
pub fn print(name: &str, rounds: &[Figures]) {
    let Some(median) = median(rounds) else { return };
    let rates = rounds.iter().map(|round| round.per_second);
    let (low, high) = rates.fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(rate), high.max(rate)));
    let server = median.server_us.map_or_else(String::new, |us| format!("   server {us:.1} us each"));
    println!(
        "{name:<40} {:>9.0} /s   p50 {:>7} us   p99 {:>7} us{server}   ({low:.0} to {high:.0})",
        median.per_second, median.p50_us, median.p99_us
    );
}

/// One line: the ratio of the median rates, and whether it reaches what it is held to.
pub fn ratio(name: &str, ours: &[Figures], limit: &[Figures], to_reach: f64) {
    let (Some(ours), Some(limit)) = (median(ours), median(limit)) else { return };
    let ratio = ours.per_second / limit.per_second;
    let verdict = if ratio >= to_reach { "reached" } else { "MISSED" };
    println!("{name:<40} {ratio:>9.2} x    to reach {to_reach:.2} x: {verdict}");
}
