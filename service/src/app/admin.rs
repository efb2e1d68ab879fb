//! The server itself: what it is, and its simulated clock.

use std::collections::BTreeSet;

use linli_core::calendar::{self, PublicYear};
use linli_core::invalid::Invalid;
use linli_core::time::Instant;

use super::plugin::PluginState;
use super::site::invalid;
use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result};

/// How far the simulated clock may move in one call: ten years, beyond which no holidays are known anyway.
pub const ADVANCE_MAX_DAYS: i64 = 3_660;

const DAY_MICROS: i64 = 86_400_000_000;

/// Where the simulated clock is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// So many microseconds later.
    By(i64),
    /// At this instant.
    To(Instant),
}

/// Where the care clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The care clock.
    pub care_time: Instant,
}

/// What the server is.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// The care clock.
    pub care_time: Instant,
    /// The system clock.
    pub system_time: Instant,
    /// Whether the care clock is simulated.
    pub clock_simulated: bool,
    /// `sqlite` or `postgresql`.
    pub backend: &'static str,
    /// The last migration.
    pub schema_version: String,
    /// Years with public holidays, ascending.
    pub calendar_years: Vec<i32>,
    /// Whether the root key is absent.
    pub sealed: bool,
    /// Plugins that are ready.
    pub plugins_ready: usize,
    /// Plugins that are not.
    pub plugins_unwell: usize,
}

impl App {
    /// Moves the simulated clock forward.
    ///
    /// # Errors
    /// [`Error::ClockNotSimulated`], [`Error::Invalid`] for a target that is not later or too far away,
    /// [`Error::Denied`].
    pub async fn advance_clock(
        &self,
        call: &Call,
        repeat: Repeat<ClockReading>,
        advance: Advance,
    ) -> Result<Answer<ClockReading>> {
        let work = self.begin(call, None).await?;
        let clock = self.simulated.as_ref().ok_or(Error::ClockNotSimulated)?;
        // One at a time: two advances by a day are two days.
        let _turn = clock.turn().await;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let to = target(self.now(), advance)?;
        let changes = work.changes(&Touches::resource(""));
        let answer =
            work.commit("admin.advance_clock", changes, &repeat, ClockReading { care_time: to }).await?;
        match answer {
            Answer::Fresh(reading) => {
                clock.advance_to(reading.care_time);
                self.upkeep.wake();
                self.delivery.wake();
                Ok(Answer::Fresh(reading))
            }
            Answer::Repeated(bytes) => Ok(Answer::Repeated(bytes)),
        }
    }

    /// What this server is.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn server_info(&self, call: &Call) -> Result<ServerInfo> {
        let work = self.begin(call, None).await?;
        let plugins = self.known_plugins();
        let ready = plugins.iter().filter(|plugin| plugin.state == PluginState::Ready).count();
        Ok(ServerInfo {
            care_time: work.now,
            system_time: self.system_clock.now(),
            clock_simulated: self.simulated.is_some(),
            backend: self.store.backend_name(),
            schema_version: self.store.schema_version(),
            calendar_years: calendar_years(&self.public_years),
            sealed: false,
            plugins_ready: ready,
            plugins_unwell: plugins.len() - ready,
        })
    }
}

/// The years with public holidays, ascending: those of core and those of the configuration.
pub fn calendar_years(configured: &[PublicYear]) -> Vec<i32> {
    let configured = configured.iter().map(PublicYear::year);
    let years: BTreeSet<i32> = calendar::known_years().chain(configured).collect();
    years.into_iter().collect()
}

fn target(now: Instant, advance: Advance) -> Result<Instant> {
    let furthest = now.micros().saturating_add(ADVANCE_MAX_DAYS * DAY_MICROS);
    let (field, to) = match advance {
        Advance::By(micros) => ("by", now.micros().saturating_add(micros)),
        Advance::To(instant) => ("to", instant.micros()),
    };
    if to <= now.micros() {
        return Err(invalid(field, Invalid::NotLater));
    }
    if to > furthest {
        return Err(invalid(field, Invalid::TooFarAhead { max_days: 3_660 }));
    }
    Instant::from_micros(to).map_err(|why| invalid(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_and_not_too_far() {
        let now = Instant::from_micros(1_000_000).unwrap();
        let check = |advance: Advance, expect: std::result::Result<i64, &str>| {
            let found = target(now, advance).map(Instant::micros).map_err(|error| format!("{error:?}"));
            match expect {
                Ok(micros) => assert_eq!(found, Ok(micros), "{advance:?}"),
                Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{found:?}"),
            }
        };
        let at = |micros| Advance::To(Instant::from_micros(micros).unwrap());
        check(Advance::By(1), Ok(1_000_001));
        check(Advance::By(0), Err("NotLater"));
        check(Advance::By(-5), Err("NotLater"));
        check(Advance::By(i64::MAX), Err("TooFarAhead"));
        check(Advance::By(ADVANCE_MAX_DAYS * DAY_MICROS), Ok(1_000_000 + ADVANCE_MAX_DAYS * DAY_MICROS));
        check(Advance::By(ADVANCE_MAX_DAYS * DAY_MICROS + 1), Err("TooFarAhead"));
        check(at(1_000_000), Err("NotLater"));
        check(at(2_000_000), Ok(2_000_000));
    }
}
