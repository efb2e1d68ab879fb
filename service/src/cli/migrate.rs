//! `linli migrate`: brings the schema up to date, and ends. Needs no server, and refuses beside one on SQLite.

use clap::Args;

use super::{ConfigFile, Failure, say};
use crate::config::Flags;
use crate::server::assemble::open_store;
use crate::server::process;
use crate::telemetry;

/// Bring the database's schema up to date, and end.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    file: ConfigFile,
}

impl Migrate {
    /// Opens the store with migration, and closes it.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the store.
    pub async fn run(self) -> Result<(), Failure> {
        process::harden();
        let config = self.file.load(&Flags { migrate: true, ..Flags::default() })?;
        telemetry::init(&config.log);
        open_store(&config).await?.close().await;
        say("the schema is up to date");
        Ok(())
    }
}
