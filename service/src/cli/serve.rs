//! `linli serve`: configuration, sockets, store and plugins, calls; and back in the opposite order.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{ConfigFile, Failure, say};
use crate::config::{Address, Config, Flags, SecretRef};
use crate::server::assemble::{AssembleError, Assembled, Credentials, Tokens, assemble_for, sealed_parts};
use crate::server::process::{self, Signals};
use crate::server::{self, Bound, StartError, limits};
use crate::telemetry;

/// How often the store is asked whether its disk has failed.
const STORE_CHECK: Duration = Duration::from_millis(250);

/// How often a sealed server looks for its root key.
const KEY_CHECK: Duration = Duration::from_secs(1);

/// Serve the gRPC API.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Try it out: development profile on loopback, a random token is printed, the root key is made where there is
    /// none. Another port is taken where 50051 is in use.
    #[arg(long)]
    dev: bool,
    /// The folder of the database, the key store and the root key (SQLite).
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where to listen: `127.0.0.1:50051`, port 0 for a free one, or `unix:/run/linli.sock`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where /healthz, /readyz and /metrics are served; empty for nowhere.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Start with a care clock that stands at this instant until `AdminService.AdvanceClock` moves it.
    #[arg(long, value_name = "RFC3339")]
    simulated_clock: Option<String>,
    /// Bring the schema up to date first.
    #[arg(long)]
    migrate: bool,
}

const EXAMPLES: &str = "\
Examples:
  linli serve --dev
  linli serve --dev --data /tmp/estate --simulated-clock 2026-03-16T09:00:00+08:00
  linli serve --config /etc/linli/linli.toml";

impl Serve {
    /// Serves until SIGTERM or SIGINT, or until the store fails.
    ///
    /// # Errors
    /// What is wrong with the configuration, what cannot be opened, or the failure of the store.
    pub async fn run(self) -> Result<(), Failure> {
        process::harden();
        let mut config = self.config()?;
        telemetry::init(&config.log);
        let mut signals =
            Signals::new().map_err(|err| Failure::Failed(format!("no signal handlers: {err}")))?;
        limits::print(&config.server);
        let bound = self.bind(&mut config).await?;
        let Some((bound, assembled)) = open(bound, config, &mut signals).await? else { return Ok(()) };
        let running = bound.start(assembled.parts()).await?;
        announce(running.address(), running.admin_address(), assembled.tokens.as_ref());
        let store_failed = tokio::select! {
            () = signals.end() => false,
            () = store_failure(&assembled) => true,
        };
        tracing::info!(store_failed, "stopping; a second signal ends at once");
        let stop = async {
            let ended = running.stop().await;
            assembled.close().await;
            ended
        };
        let ended = tokio::select! {
            ended = stop => ended,
            () = signals.end() => return Err(Failure::Failed("ended at once by a second signal".into())),
        };
        tracing::info!(cut = ended.cut, "stopped");
        if store_failed {
            return Err(Failure::Store("the store stopped writing after its disk failed".into()));
        }
        Ok(())
    }

    fn config(&self) -> Result<Config, Failure> {
        let flags = Flags {
            dev: self.dev,
            data: self.data.clone(),
            listen: self.listen.clone(),
            admin_listen: self.admin_listen.clone(),
            simulated_clock: self.simulated_clock.clone(),
            migrate: self.migrate,
        };
        self.file.load(&flags)
    }

    /// Takes the sockets. With `--dev` and no address of one's own a port in use is no obstacle.
    async fn bind(&self, config: &mut Config) -> Result<Bound, StartError> {
        let bound = server::bind(&config.server).await;
        match (&bound, &config.server.listen) {
            (Err(StartError::Bind { source, .. }), Address::Tcp(address))
                if self.dev && self.listen.is_none() && source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                config.server.listen = Address::Tcp((address.ip(), 0).into());
                server::bind(&config.server).await
            }
            _ => bound,
        }
    }
}

/// Opens what the configuration names. Without the root key it serves sealed until the key is there; `None`: it was
/// ended meanwhile.
async fn open(
    bound: Bound,
    config: Config,
    signals: &mut Signals,
) -> Result<Option<(Bound, Assembled)>, Failure> {
    let credentials = Credentials::new(&config)?;
    let opened = tokio::select! {
        opened = assemble_for(&config, &credentials) => opened,
        () = signals.end() => return Err(Failure::Failed("ended by a signal before it served".into())),
    };
    let why = match opened {
        Ok(assembled) => return Ok(Some((bound, assembled))),
        Err(AssembleError::Sealed(why)) => why,
        Err(error) => return Err(error.into()),
    };
    let sealed = bound.start(sealed_parts(&config, &credentials)).await?;
    tracing::error!("running sealed, no file can be read: the root key is not there: {why}");
    tracing::warn!("{}", how_to_unseal(&config.keys));
    say("sealed: the root key is not there");
    announce(sealed.address(), sealed.admin_address(), credentials.tokens.as_ref());
    let opened = tokio::select! {
        opened = unsealed(&config, &credentials) => Some(opened),
        () = signals.end() => None,
    };
    let Some(opened) = opened else {
        let ended = sealed.stop().await;
        tracing::info!(cut = ended.cut, "stopped");
        return Ok(None);
    };
    let assembled = opened?;
    let lost = || Failure::Failed("the sockets were lost while the server was sealed".into());
    let bound = sealed.hand_over().await.ok_or_else(lost)?;
    tracing::info!("unsealed");
    Ok(Some((bound, assembled)))
}

/// Waits until the root key is there, and opens everything with it. A key that does not fit is said aloud and leaves
/// the server sealed until its file changes.
async fn unsealed(config: &Config, credentials: &Credentials) -> Result<Assembled, AssembleError> {
    let mut tick = tokio::time::interval(KEY_CHECK);
    let mut tried = None;
    loop {
        tick.tick().await;
        let found = written_at(&config.keys);
        if found.is_none() || found == tried {
            continue;
        }
        match assemble_for(config, credentials).await {
            // Gone again, or not yet to be read.
            Err(AssembleError::Sealed(_)) => {}
            Err(error @ AssembleError::RootKey(_)) => {
                tracing::error!("still sealed: {error}");
                tried = found;
            }
            opened => return opened,
        }
    }
}

/// What an operator does about a missing root key.
fn how_to_unseal(keys: &SecretRef) -> String {
    match keys {
        SecretRef::File(path) => format!(
            "to unseal: put the root key at `{}`, mode 0600, readable by this process; it goes on by itself",
            path.display()
        ),
        SecretRef::Environment(name) => {
            format!("to unseal: set the environment variable `{name}` and start again")
        }
    }
}

/// When the file of the root key was written; `None` where there is none.
fn written_at(keys: &SecretRef) -> Option<std::time::SystemTime> {
    match keys {
        SecretRef::File(path) => std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok(),
        SecretRef::Environment(_) => None,
    }
}

/// Says where it serves and how to call it. Programs read these lines.
fn announce(address: &Address, admin: Option<std::net::SocketAddr>, tokens: Option<&Tokens>) {
    say(format_args!("listening on {address}"));
    if let Some(admin) = admin {
        say(format_args!("health and metrics on http://{admin}"));
    }
    if let Some(Tokens { member, outsider }) = tokens {
        say(format_args!("development token: {member}"));
        say(format_args!("outsider token: {outsider}"));
        say(format_args!("try: {}", grpcurl(address, member)));
    }
}

/// A command that lists the services, ready to be typed.
fn grpcurl(address: &Address, token: &str) -> String {
    let target = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("-unix {}", path.display()),
    };
    format!("grpcurl -plaintext -H 'authorization: Bearer {token}' {target} list")
}

/// Waits for the store to stop writing.
async fn store_failure(assembled: &Assembled) {
    let mut tick = tokio::time::interval(STORE_CHECK);
    while !assembled.app.store.failed() {
        tick.tick().await;
    }
}
