//! Instants as text: RFC 3339 in bodies, HTTP dates in headers.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};

/// Longest wait that a recipient may ask for: after a day it is asked again whatever it said.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Instants that a decision may lie between: years 2000 to 2200.
const DECIDED: std::ops::Range<i64> = 946_684_800_000_000..7_258_118_400_000_000;

/// An instant in UTC to the second, `2026-12-01T02:00:00Z`.
pub(crate) fn shown(micros: i64) -> String {
    let instant = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The microseconds of an instant with its offset, `2026-12-01T10:00:00+08:00`.
pub(crate) fn read(text: &str) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(text).ok()?;
    Some(instant.timestamp_micros()).filter(|micros| DECIDED.contains(micros))
}

/// How long to wait by a `retry-after`: seconds, or an instant in any of the three forms of HTTP.
pub(crate) fn wait(text: &str, now_micros: i64) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is longer than the longest wait.
        return Some(text.parse().map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX));
    }
    let until = http_date(text)?.saturating_sub(now_micros);
    Some(Duration::from_micros(u64::try_from(until).unwrap_or(0)).min(WAIT_MAX))
}

fn http_date(text: &str) -> Option<i64> {
    let naive = |format| NaiveDateTime::parse_from_str(text, format).ok();
    let instant = naive("%a, %d %b %Y %H:%M:%S GMT")
        .or_else(|| naive("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| naive("%a %b %e %H:%M:%S %Y"))?;
    Some(instant.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_796_126_400_000_000;

    #[test]
    fn instants_are_read_as_they_are_written() {
        assert_eq!(shown(NOON), "2026-12-01T12:00:00Z");
        for (text, expect) in [
            ("2026-12-01T12:00:00Z", Some(NOON)),
            ("2026-12-01T20:00:00.5+08:00", Some(NOON + 500_000)),
            ("2026-12-01", None),
            ("2026-12-01T20:00:00", None),
            ("1969-01-01T00:00:00Z", None),
            ("9999-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(read(text), expect, "{text}");
        }
    }

    #[test]
    fn a_recipient_says_how_long_to_wait() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, expect) in [
            ("120", seconds(120)),
            (" 0 ", seconds(0)),
            ("99999999999999999999999", seconds(86_400)),
            ("Tue, 01 Dec 2026 12:00:30 GMT", seconds(30)),
            ("Tuesday, 01-Dec-26 12:00:30 GMT", seconds(30)),
            ("Tue Dec  1 12:00:30 2026", seconds(30)),
            ("Tue, 01 Dec 2026 11:00:00 GMT", seconds(0)),
            ("Thu, 31 Dec 2099 11:00:00 GMT", seconds(86_400)),
            ("Tue, 32 Dec 2026 12:00:30 GMT", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(text, NOON), expect, "{text}");
        }
    }
}
