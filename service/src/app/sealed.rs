//! A server without its root key: it says what it is, and that is all it does.

use std::sync::Arc;

use linli_core::time::Clock;

use super::admin::ServerInfo;
use crate::auth::policy::{Facts, Policy};
use crate::auth::rules::FileFacts;
use crate::auth::{Call, Caller, Principal};
use crate::error::Result;

/// What a process knows of itself before anything is opened.
#[derive(Clone)]
pub struct Sealed {
    /// Who may do what.
    pub policy: Policy,
    /// The clock of the domain.
    pub care_clock: Arc<dyn Clock>,
    /// Whether it is simulated.
    pub clock_simulated: bool,
    /// The machine's clock.
    pub system_clock: Arc<dyn Clock>,
    /// Years with public holidays, ascending.
    pub calendar_years: Vec<i32>,
    /// `sqlite` or `postgresql`.
    pub backend: &'static str,
}

impl Sealed {
    /// What this server is. Nothing is opened, so the schema is not known and no plugin is loaded; a denial cannot be
    /// audited either, and there is nothing that it could protect.
    ///
    /// # Errors
    /// [`crate::error::Error::Denied`].
    pub fn server_info(&self, call: &Call) -> Result<ServerInfo> {
        // Nobody's grants can be read, so credentials give no rights; those of a development server are fixed.
        let principal = match &call.caller {
            Caller::Fixed(principal) => principal.clone(),
            Caller::Presented { .. } => Principal::unknown(&call.caller),
        };
        self.policy.decide(call, principal, Facts { site: None, epoch: 0, file: FileFacts::default() })?;
        Ok(ServerInfo {
            care_time: self.care_clock.now(),
            system_time: self.system_clock.now(),
            clock_simulated: self.clock_simulated,
            backend: self.backend,
            schema_version: String::new(),
            calendar_years: self.calendar_years.clone(),
            sealed: true,
            plugins_ready: 0,
            plugins_unwell: 0,
        })
    }
}
