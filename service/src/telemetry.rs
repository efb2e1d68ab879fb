//! Logs and spans, without personal data.
