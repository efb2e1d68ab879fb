//! Configuration: one TOML file whose embedded default documents every key.
//!
//! Later layers win: embedded default, what `--dev` changes, file, environment (`LINLI__SECTION__KEY`), command line.
//! Everything wrong is reported at once, with file, line and the nearest known key. Secrets come by reference only
//! ([`SecretRef`]), so that a printed [`Config`] holds none.

mod auth;
mod layers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use linli_core::id::PluginId;
use linli_core::time::Instant;
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;

pub use auth::{Auth, Tls, Tokens};
use layers::{Layers, Value};
pub use layers::{Origin, Problem};

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
    /// Plugins.
    pub plugins: Plugins,
    /// Who may call.
    pub auth: Auth,
    /// Where the care clock stands at start; `None`: the machine's clock.
    pub simulated_start: Option<Instant>,
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
        Reader { layers }.read()
    }
}

impl Flags {
    fn lay_over(&self, layers: &mut Layers) {
        if let Some(folder) = &self.data {
            let inside = |name: &str| Value::Text(folder.join(name).display().to_string());
            layers.flag("--data", "store.sqlite.path", inside("linli.db"));
            layers.flag("--data", "keys.root_key_file", inside("root.key"));
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

/// Reads typed values and collects what is wrong with them; a wrong value reads as its default.
struct Reader {
    layers: Layers,
}

impl Reader {
    fn read(mut self) -> Result<Config, ConfigError> {
        let config = Config {
            server: self.server(),
            store: self.store(),
            keys: self.secret("keys.root_key_file", "keys.root_key_env"),
            plugins: Plugins {
                folders: self.list("plugins.folders").into_iter().map(PathBuf::from).collect(),
                required: self.list("plugins.required"),
                start_without_required: self.flag("plugins.start_without_required"),
                trust_store: self.optional("plugins.trust_store", |text| Ok(PathBuf::from(text))),
                unsigned: self.plugin_ids("plugins.unsigned"),
            },
            auth: self.auth(),
            simulated_start: self.optional("clock.simulated_start", instant),
            import: Import { batch: self.number("import.batch", 1, 1000), columns: self.columns() },
            log: Log {
                format: self
                    .choice("log.format", &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]),
                level: self.parsed("log.level", level),
            },
        };
        self.agree(&config);
        if self.layers.problems.is_empty() { Ok(config) } else { Err(ConfigError(self.layers.problems)) }
    }

    fn server(&mut self) -> Server {
        Server {
            profile: self.choice(
                "server.profile",
                &[("production", Profile::Production), ("development", Profile::Development)],
            ),
            listen: self.parsed("server.listen", Address::parse),
            admin_listen: self.optional("server.admin_listen", |text| {
                text.parse().map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:50052"))
            }),
            tls: self.tls(),
            reflection: self.flag("server.reflection"),
            limits: Limits {
                connections: self.number("server.limits.connections", 1, 100_000),
                connections_per_address: self.number("server.limits.connections_per_address", 1, 100_000),
                streams_per_connection: self.number("server.limits.streams_per_connection", 1, 1000),
                calls: self.number("server.limits.calls", 1, 100_000),
            },
            timeouts: Timeouts {
                handshake: self.millis("server.timeouts.handshake_ms", 100, 60_000),
                request: self.millis("server.timeouts.request_ms", 100, 600_000),
                stream: self.seconds("server.timeouts.stream_s", 1, 86_400),
                connection_age: self.seconds("server.timeouts.connection_age_s", 1, 86_400),
                notice: self.millis("server.timeouts.notice_ms", 0, 60_000),
                drain: self.millis("server.timeouts.drain_ms", 0, 600_000),
            },
        }
    }

    fn store(&mut self) -> Store {
        let on_sqlite = self.choice("store.backend", &[("sqlite", true), ("postgres", false)]);
        let backend = if on_sqlite {
            Backend::Sqlite {
                path: self.path("store.sqlite.path"),
                readers: self.number("store.sqlite.readers", 1, 64),
            }
        } else {
            Backend::Postgres {
                url: self.secret("store.postgres.url_file", "store.postgres.url_env"),
                keys_url: self.optional_secret("store.postgres.keys_url_file", "store.postgres.keys_url_env"),
                connections: self.number("store.postgres.connections", 1, 1000),
            }
        };
        let migrate =
            self.choice("store.migrate", &[("auto", None), ("always", Some(true)), ("never", Some(false))]);
        Store { backend, migrate: migrate.unwrap_or(on_sqlite) }
    }

    /// What only shows when several keys are looked at together.
    fn agree(&mut self, config: &Config) {
        let server = &config.server;
        let allow_plaintext = self.flag("server.allow_plaintext");
        if !server.listen.is_local() && server.tls.is_none() && !allow_plaintext {
            self.complain(
                "server.listen",
                "is reached from other machines without TLS: set `server.tls.cert_file` and `server.tls.key_file`, \
                 listen on loopback or a Unix socket, or set `server.allow_plaintext` where a proxy in front \
                 terminates TLS",
            );
        }
        if config.auth.development_token && !server.listen.is_local() {
            self.complain("auth.development_token", "is for loopback and Unix sockets only");
        }
        match server.profile {
            Profile::Development => {}
            Profile::Production => {
                if config.auth.development_token {
                    self.complain("auth.development_token", "is refused in the production profile");
                }
                if config.simulated_start.is_some() {
                    self.complain("clock.simulated_start", "is refused in the production profile");
                }
                if !config.plugins.unsigned.is_empty() {
                    self.complain("plugins.unsigned", "is refused in the production profile");
                }
            }
        }
    }

    fn complain(&mut self, key: &str, what: &str) {
        let origin = self.layers.get(key).origin.clone();
        self.layers.problems.push(Problem { origin, message: format!("`{key}` {what}") });
    }

    fn text(&self, key: &str) -> String {
        match &self.layers.get(key).value {
            Value::Text(text) => text.clone(),
            Value::Integer(_) | Value::Flag(_) | Value::List(_) => String::new(),
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        match &self.layers.get(key).value {
            Value::List(list) => list.clone(),
            Value::Text(_) | Value::Integer(_) | Value::Flag(_) => Vec::new(),
        }
    }

    fn plugin_ids(&mut self, key: &str) -> BTreeSet<PluginId> {
        let mut ids = BTreeSet::new();
        for text in self.list(key) {
            match PluginId::new(&text) {
                Ok(id) => drop(ids.insert(id)),
                Err(_) => self.complain(key, &format!("has `{text}`, which is not a plugin's id")),
            }
        }
        ids
    }

    fn flag(&self, key: &str) -> bool {
        matches!(self.layers.get(key).value, Value::Flag(true))
    }

    fn path(&mut self, key: &str) -> PathBuf {
        let text = self.text(key);
        if text.is_empty() {
            self.complain(key, "must name a file");
        }
        text.into()
    }

    fn number(&mut self, key: &str, least: u32, most: u32) -> u32 {
        let of = |value: &Value| match value {
            Value::Integer(number) => u32::try_from(*number).ok().filter(|n| (least..=most).contains(n)),
            Value::Text(_) | Value::Flag(_) | Value::List(_) => None,
        };
        match of(&self.layers.get(key).value) {
            Some(number) => number,
            None => {
                self.complain(key, &format!("must lie between {least} and {most}"));
                of(self.layers.default(key)).unwrap_or(least)
            }
        }
    }

    fn millis(&mut self, key: &str, least: u32, most: u32) -> Duration {
        Duration::from_millis(self.number(key, least, most).into())
    }

    fn seconds(&mut self, key: &str, least: u32, most: u32) -> Duration {
        Duration::from_secs(self.number(key, least, most).into())
    }

    /// One of a list of words; the first where it is none of them.
    fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let text = self.text(key);
        let found = choices.iter().find(|(word, _)| *word == text).or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.complain(key, &format!("must be one of {}, not `{text}`", words.join(", ")));
            choices.first()
        });
        found.expect("every list of choices has a first one").1
    }

    /// A text that must parse; the default where it does not.
    fn parsed<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let parsed = parse(&self.text(key)).or_else(|why| {
            self.complain(key, &format!("is not usable: {why}"));
            match self.layers.default(key) {
                Value::Text(text) => parse(text),
                Value::Integer(_) | Value::Flag(_) | Value::List(_) => Err("not a text".into()),
            }
        });
        parsed.expect("a default of the embedded file parses; a test reads them all")
    }

    /// A text that may be empty, and must parse otherwise.
    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        parse(&text).map_err(|why| self.complain(key, &format!("is not usable: {why}"))).ok()
    }

    /// A secret that must be named.
    fn secret(&mut self, file_key: &str, env_key: &str) -> SecretRef {
        self.optional_secret(file_key, env_key).unwrap_or_else(|| {
            self.complain(file_key, &format!("or `{env_key}` must be set"));
            SecretRef::File(PathBuf::new())
        })
    }

    /// A secret by file or by environment variable; the variable wins over a default file.
    fn optional_secret(&mut self, file_key: &str, env_key: &str) -> Option<SecretRef> {
        let (file, env) = (self.text(file_key), self.text(env_key));
        let file_is_default = self.layers.get(file_key).origin == Origin::Default;
        if !env.is_empty() && !file.is_empty() && !file_is_default {
            self.complain(env_key, &format!("and `{file_key}` are both set: keep one"));
        }
        match (env.is_empty(), file.is_empty()) {
            (false, _) => Some(SecretRef::Environment(env)),
            (true, false) => Some(SecretRef::File(file.into())),
            (true, true) => None,
        }
    }

    fn columns(&mut self) -> BTreeMap<String, String> {
        let mut columns = BTreeMap::new();
        let mut problems = Vec::new();
        for (header, entry) in self.layers.open("import.columns") {
            match &entry.value {
                Value::Text(field) => {
                    columns.insert(header.to_owned(), field.clone());
                }
                Value::Integer(_) | Value::Flag(_) | Value::List(_) => problems.push(Problem {
                    origin: entry.origin.clone(),
                    message: format!("`import.columns` maps `{header}` to no text"),
                }),
            }
        }
        self.layers.problems.extend(problems);
        columns
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

fn instant(text: &str) -> Result<Instant, String> {
    let expected = || format!("`{text}` is not an instant such as 2026-03-16T09:00:00+08:00");
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| expected())?;
    Instant::from_micros(parsed.timestamp_micros()).map_err(|_| expected())
}

fn level(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|_| format!("`{text}` is not a level such as `info` or `info,linli_store=debug`"))
}

#[cfg(test)]
mod tests;
