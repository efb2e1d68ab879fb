//! Configuration: one TOML file whose embedded default documents every key.
//!
//! Later layers win: embedded default, what `--dev` changes, file, environment (`LINLI__SECTION__KEY`), command line.
//! Everything wrong is reported at once, with file, line and the nearest known key. Secrets come by reference only
//! ([`SecretRef`]), so that a printed [`Config`] holds none.

mod auth;
mod calendar;
mod community;
mod layers;
mod nats;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linli_core::calendar::PublicYear;
use linli_core::id::PluginId;
use linli_core::retention::Retention;
use linli_core::time::Instant;
use linli_plugin_host::manifest::Isolation;
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;

pub use auth::{Auth, Tls, Tokens};
pub use community::{Answers, Community};
use layers::{Layers, Value};
pub use layers::{Origin, Problem};
pub use nats::{Nats, NatsCredentials};
use reader::Reader;

/// The embedded default: every key with its default and its meaning.
pub const DEFAULT: &str = include_str!("default.toml");

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners, limits and timeouts.
    pub server: Server,
    /// The database.
    pub store: Store,
    /// Where the root key is.
    pub keys: SecretRef,
    /// Where the root key is that is to follow it.
    pub next_root_key: Option<SecretRef>,
    /// Anchors of the audit log.
    pub audit: Audit,
    /// How long files are kept.
    pub retention: Retention,
    /// Where backups are made.
    pub backup_folder: PathBuf,
    /// Events for others.
    pub events: Events,
    /// Plugins.
    pub plugins: Plugins,
    /// Bodies outside the company.
    pub community: Community,
    /// Who may call.
    pub auth: Auth,
    /// Where the care clock stands at start; `None`: the machine's clock.
    pub simulated_start: Option<Instant>,
    /// Public holidays beside those that the program brings, by year.
    pub public_years: Vec<PublicYear>,
    /// Reading rosters.
    pub import: Import,
    /// Logs.
    pub log: Log,
}

/// What the process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Real files: nothing that weakens protection is accepted.
    Production,
    /// Trying out: development tokens and a simulated clock are possible.
    Development,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket; the file is made at start and removed at the end.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// From `127.0.0.1:50051`, `[::1]:0` or `unix:/run/linli.sock`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("a path is missing after `unix:`".into()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("`{text}` is not an address: 127.0.0.1:50051, [::1]:50051 or unix:/run/linli.sock")
            }),
        }
    }
}

/// Listeners, limits and timeouts.
#[derive(Debug, Clone)]
pub struct Server {
    /// What the process is for.
    pub profile: Profile,
    /// Where gRPC is served.
    pub listen: Address,
    /// Where health and metrics are served over HTTP/1.1.
    pub admin_listen: Option<SocketAddr>,
    /// TLS; `None`: plain text, for loopback, Unix sockets, or behind a proxy.
    pub tls: Option<Tls>,
    /// Whether the API describes itself to clients.
    pub reflection: bool,
    /// Limits that an operator may change; the fixed ones are in `server::limits`.
    pub limits: Limits,
    /// Timeouts.
    pub timeouts: Timeouts,
}

/// Limits that an operator may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at a time.
    pub connections: u32,
    /// Connections open at a time from one address, loopback exempt.
    pub connections_per_address: u32,
    /// Calls open at a time on one connection.
    pub streams_per_connection: u32,
    /// Calls worked on at a time.
    pub calls: u32,
}

/// Timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the connection to the end of the preface.
    pub handshake: Duration,
    /// Longest work on a call without streams.
    pub request: Duration,
    /// Longest work on a call that streams from the client.
    pub stream: Duration,
    /// When a connection is asked to end.
    pub connection_age: Duration,
    /// From NOT_SERVING to closing the listener.
    pub notice: Duration,
    /// How long open calls may take to finish at shutdown.
    pub drain: Duration,
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which one, and where.
    pub backend: Backend,
    /// Whether a server that starts brings the schema up to date.
    pub migrate: bool,
}

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Files beside the server.
    Sqlite {
        /// The database; the key store lies beside it as `PATH.keys`.
        path: PathBuf,
        /// Connections that read.
        readers: u32,
    },
    /// A server.
    Postgres {
        /// Its address, with credentials.
        url: SecretRef,
        /// The address of the key store's database; `None`: a schema of the same database.
        keys_url: Option<SecretRef>,
        /// Connections open at a time.
        connections: u32,
    },
}

/// Where a secret is found; never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A file of mode 0600.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// Anchors of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Where they are appended.
    pub anchor_file: PathBuf,
    /// The key that signs them; made where there is none.
    pub anchor_key_file: PathBuf,
    /// Where erasures are appended.
    pub erasure_file: PathBuf,
}

/// Events for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// How many days they are kept; `None`: for ever.
    pub keep_days: Option<u32>,
    /// Most who watch at a time.
    pub watchers: u32,
    /// Most watches of one caller at a time.
    pub watchers_per_caller: u32,
    /// How often who watches is told how far it is while there is nothing else to tell.
    pub heartbeat: Duration,
    /// How long an answer may wait for whoever watches.
    pub slow_after: Duration,
    /// Where they go out to by themselves; `None`: nowhere.
    pub nats: Option<Nats>,
}

/// Plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    /// Folders to search.
    pub folders: Vec<PathBuf>,
    /// Ids that must be there.
    pub required: Vec<String>,
    /// Start even where one is not.
    pub start_without_required: bool,
    /// The file that says whose plugins are loaded; absent: nobody's.
    pub trust_store: Option<PathBuf>,
    /// Ids that are loaded unsigned, in the development profile only.
    pub unsigned: BTreeSet<PluginId>,
    /// Where plugins run, by id.
    pub isolation: BTreeMap<String, Isolation>,
    /// The program for plugins with a process of their own; `None`: the one beside this program.
    pub runner: Option<PathBuf>,
}

/// Reading rosters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Residents sent at a time.
    pub batch: u32,
    /// The operator's own headers, and the field that each holds.
    pub columns: BTreeMap<String, String>,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// How they look.
    pub format: LogFormat,
    /// What is logged.
    pub level: Targets,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Everything that is wrong with a configuration; each line of its text is one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--dev`: development profile with a token, on loopback.
    pub dev: bool,
    /// `--data`: the folder of database, key store and root key.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--simulated-clock`.
    pub simulated_clock: Option<String>,
    /// `--migrate`.
    pub migrate: bool,
}

impl Config {
    /// Reads the file, if one is named, and lays environment and flags over it.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::layered(None, environment, flags) };
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::layered(Some((&text, &shown)), environment, flags),
            Err(err) => {
                let origin = Origin::Flag("--config");
                Err(ConfigError(vec![Problem {
                    origin,
                    message: format!("`{shown}` cannot be read: {err}"),
                }]))
            }
        }
    }

    /// The same with the file's text and name.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn layered(
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(DEFAULT);
        if flags.dev {
            let text = |text: &str| Value::Text(text.to_owned());
            layers.flag("--dev", "server.profile", text("development"));
            layers.flag("--dev", "server.admin_listen", text("127.0.0.1:0"));
            layers.flag("--dev", "auth.development_token", Value::Flag(true));
            // Who tries it out wants to see the token, not two dozen limits.
            layers.flag("--dev", "log.level", text("info,linli::limits=warn"));
        }
        if let Some((text, path)) = file {
            layers.file(text, path);
        }
        layers.environment(environment);
        flags.lay_over(&mut layers);
        Reader::new(layers).read()
    }
}

impl Flags {
    fn lay_over(&self, layers: &mut Layers) {
        if let Some(folder) = &self.data {
            let inside = |name: &str| Value::Text(folder.join(name).display().to_string());
            layers.flag("--data", "store.sqlite.path", inside("linli.db"));
            layers.flag("--data", "keys.root_key_file", inside("root.key"));
            layers.flag("--data", "audit.anchor_file", inside("audit.anchors"));
            layers.flag("--data", "audit.anchor_key_file", inside("anchor.key"));
            layers.flag("--data", "audit.erasure_file", inside("erasures.log"));
            layers.flag("--data", "backup.folder", inside("backups"));
            layers.flag("--data", "community.answer_key_file", inside("answer.key"));
        }
        let texts = [
            ("--listen", "server.listen", &self.listen),
            ("--admin-listen", "server.admin_listen", &self.admin_listen),
            ("--simulated-clock", "clock.simulated_start", &self.simulated_clock),
        ];
        for (flag, key, text) in texts {
            if let Some(text) = text {
                layers.flag(flag, key, Value::Text(text.clone()));
            }
        }
        if self.migrate {
            layers.flag("--migrate", "store.migrate", Value::Text("always".into()));
        }
    }
}

impl SecretRef {
    /// Reads the secret, without the white space around it.
    ///
    /// # Errors
    /// Which file or variable is missing, or a file that others can read; never its content.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Environment(name) => match std::env::var(name) {
                Ok(text) => Ok(text.trim().into()),
                Err(_) => Err(format!("the environment variable `{name}` is not set")),
            },
            Self::File(path) => {
                use std::os::unix::fs::PermissionsExt as _;
                let shown = path.display();
                let metadata = std::fs::metadata(path).map_err(|err| format!("`{shown}`: {err}"))?;
                if metadata.permissions().mode() & 0o077 != 0 {
                    return Err(format!("`{shown}` must be readable by its owner only (mode 0600)"));
                }
                let text = std::fs::read_to_string(path).map_err(|err| format!("`{shown}`: {err}"))?;
                let text = zeroize_on_drop(text);
                Ok(text.trim().into())
            }
        }
    }
}

/// The text, wiped when it is dropped.
fn zeroize_on_drop(text: String) -> secrecy::zeroize::Zeroizing<String> {
    secrecy::zeroize::Zeroizing::new(text)
}

#[cfg(test)]
mod tests;
