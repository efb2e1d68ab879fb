//! Collects every violation of a request with the path of its field, so that a caller learns of all at once.

use linli_core::id::SiteId;
use linli_core::invalid::Invalid;
use linli_core::time::{CivilDate, Instant};
use prost_types::Timestamp;

use crate::error::{Error, Result, Violation};

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Check {
    violations: Vec<Violation>,
}

impl Check {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a violation.
    pub fn refuse(&mut self, field: impl Into<String>, why: Invalid) {
        self.violations.push(Violation { field: field.into(), why });
    }

    /// The value, or `None` and a note of why not.
    pub fn take<T>(&mut self, field: impl Into<String>, value: std::result::Result<T, Invalid>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(why) => {
                self.refuse(field, why);
                None
            }
        }
    }

    /// As [`Check::take`] for a field that may be absent: empty text is `Some(None)`.
    pub fn optional<T>(
        &mut self,
        field: impl Into<String>,
        text: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, Invalid>,
    ) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.take(field, parse(text)).map(Some) }
    }

    /// A required timestamp.
    pub fn instant(&mut self, field: &str, timestamp: Option<&Timestamp>) -> Option<Instant> {
        let value = timestamp.ok_or(Invalid::Missing).and_then(instant);
        self.take(field, value)
    }

    /// A civil date `YYYY-MM-DD` that may be absent.
    pub fn date(&mut self, field: &str, text: &str) -> Option<Option<CivilDate>> {
        self.optional(field, text, CivilDate::parse)
    }

    /// Notes where `site` is not the `expected` one.
    pub fn same_site(&mut self, field: impl Into<String>, expected: &SiteId, site: &SiteId) {
        if site != expected {
            self.refuse(field, Invalid::ForeignSite);
        }
    }

    /// Whether nothing was refused yet.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The parsed request, where nothing was refused.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every violation; [`Error::Internal`] where the parser lost a value without saying why.
    pub fn finish<T>(self, parsed: Option<T>) -> Result<T> {
        if !self.violations.is_empty() {
            return Err(Error::Invalid(self.violations));
        }
        parsed.ok_or_else(|| Error::Internal("a request was refused without a violation".into()))
    }
}

/// A protobuf timestamp as an instant.
///
/// # Errors
/// [`Invalid::InstantRange`].
pub fn instant(timestamp: &Timestamp) -> std::result::Result<Instant, Invalid> {
    if !(0..1_000_000_000).contains(&timestamp.nanos) {
        return Err(Invalid::InstantRange);
    }
    let micros = timestamp
        .seconds
        .checked_mul(1_000_000)
        .and_then(|m| m.checked_add(i64::from(timestamp.nanos) / 1_000));
    Instant::from_micros(micros.ok_or(Invalid::InstantRange)?)
}

/// An instant as a protobuf timestamp.
pub fn timestamp(instant: Instant) -> Timestamp {
    Timestamp {
        seconds: instant.micros().div_euclid(1_000_000),
        nanos: i32::try_from(instant.micros().rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}
