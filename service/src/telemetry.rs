//! Logs, without personal data.
//!
//! What passes through a transport or a database driver can be personal, so those crates never log below WARN,
//! whatever the configured level. The panic hook names the place and keeps the payload to itself.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Crates that log frames, headers or statements.
const CARRIERS: &[&str] =
    &["h2", "hyper", "hyper_util", "rustls", "sea_orm", "sea_orm_migration", "sqlx", "tonic", "tower"];

/// Starts logging to standard error, and the panic hook. A second call in one process changes nothing.
pub fn init(log: &Log) {
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = log.level.clone().and(carriers());
    let layer = match log.format {
        LogFormat::Pretty => format.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => format.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // A test or an embedding program may log already.
    if tracing_subscriber::registry().with(layer).try_init().is_ok() {
        hook_panics();
    }
}

/// Everything, except the small talk of carriers.
fn carriers() -> Targets {
    let all = Targets::new().with_default(LevelFilter::TRACE);
    CARRIERS.iter().fold(all, |targets, carrier| targets.with_target(*carrier, LevelFilter::WARN))
}

/// Logs where a panic happened; its payload may quote values and is dropped.
fn hook_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location();
        let file = place.map_or("unknown", |place| place.file());
        let line = place.map_or(0, |place| place.line());
        tracing::error!(file, line, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn carriers_are_silent_at_every_level() {
        let check = |target: &str, level: Level, expect: bool| {
            assert_eq!(carriers().would_enable(target, &level), expect, "{target} {level}");
        };
        check("h2::codec::framed_read", Level::TRACE, false);
        check("sqlx::query", Level::DEBUG, false);
        check("sea_orm::driver", Level::INFO, false);
        check("hyper_util::client", Level::WARN, true);
        check("linli_service::server", Level::TRACE, true);
    }
}
