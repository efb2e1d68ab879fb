//! From layers of text to the typed configuration: every value is read once, and everything wrong is collected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use linli_core::calendar::PublicYear;
use linli_core::id::PluginId;
use linli_core::retention::Retention;
use linli_core::time::Instant;
use linli_plugin_host::manifest::Isolation;
use tracing_subscriber::filter::Targets;

use super::layers::{Layers, Origin, Problem, Value};
use super::{
    Address, Audit, Backend, Config, ConfigError, Events, Import, Limits, Log, LogFormat, Plugins, Profile,
    SecretRef, Server, Store, Timeouts, calendar,
};

/// Reads typed values and collects what is wrong with them; a wrong value reads as its default.
pub(super) struct Reader {
    layers: Layers,
}

impl Reader {
    /// A reader of these layers.
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// The configuration, or everything that is wrong with it.
    pub(super) fn read(mut self) -> Result<Config, ConfigError> {
        let config = Config {
            server: self.server(),
            store: self.store(),
            keys: self.secret("keys.root_key_file", "keys.root_key_env"),
            next_root_key: self.next_root_key(),
            audit: Audit {
                erasure_file: self.path("audit.erasure_file"),
                anchor_file: self.path("audit.anchor_file"),
                anchor_key_file: self.path("audit.anchor_key_file"),
            },
            retention: self.retention(),
            backup_folder: self.path("backup.folder"),
            events: self.events(),
            plugins: Plugins {
                folders: self.list("plugins.folders").into_iter().map(PathBuf::from).collect(),
                required: self.list("plugins.required"),
                start_without_required: self.flag("plugins.start_without_required"),
                trust_store: self.optional("plugins.trust_store", |text| Ok(PathBuf::from(text))),
                unsigned: self.plugin_ids("plugins.unsigned"),
                isolation: self.isolation(),
                runner: self.optional("plugins.runner", |text| Ok(PathBuf::from(text))),
            },
            community: self.community(),
            auth: self.auth(),
            simulated_start: self.optional("clock.simulated_start", instant),
            public_years: self.public_years(),
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

    /// The yearly files of the calendar's folder. What is wrong with them is named by their own lines.
    fn public_years(&mut self) -> Vec<PublicYear> {
        let folder = self.text("calendar.folder");
        if folder.is_empty() {
            return Vec::new();
        }
        match calendar::years(Path::new(&folder)) {
            Ok((years, problems)) => {
                self.layers.problems.extend(problems);
                years
            }
            Err(why) => {
                self.complain("calendar.folder", &format!("is not usable: {why}"));
                Vec::new()
            }
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

    pub(super) fn complain(&mut self, key: &str, what: &str) {
        let origin = self.layers.get(key).origin.clone();
        self.layers.problems.push(Problem { origin, message: format!("`{key}` {what}") });
    }

    pub(super) fn text(&self, key: &str) -> String {
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

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.layers.get(key).value, Value::Flag(true))
    }

    pub(super) fn path(&mut self, key: &str) -> PathBuf {
        let text = self.text(key);
        if text.is_empty() {
            self.complain(key, "must name a file");
        }
        text.into()
    }

    pub(super) fn number(&mut self, key: &str, least: u32, most: u32) -> u32 {
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
    pub(super) fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        parse(&text).map_err(|why| self.complain(key, &format!("is not usable: {why}"))).ok()
    }

    fn retention(&mut self) -> Retention {
        // A hundred years and more are as good as never.
        let mut days = |key| Some(self.number(key, 0, 36_600)).filter(|days| *days > 0);
        Retention {
            seal_after_days: days("retention.seal_after_days"),
            erase_after_days: days("retention.erase_after_days"),
            key_backup_days: self.number("retention.key_backup_days", 1, 3_660),
        }
    }

    fn events(&mut self) -> Events {
        Events {
            keep_days: Some(self.number("events.keep_days", 0, 36_600)).filter(|days| *days > 0),
            watchers: self.number("events.watchers", 1, 100_000),
            watchers_per_caller: self.number("events.watchers_per_caller", 1, 100_000),
            heartbeat: self.seconds("events.heartbeat_s", 1, 300),
            slow_after: self.seconds("events.slow_after_s", 1, 600),
            nats: self.nats(),
        }
    }

    /// Where the next root key is: beside the file of the one in use, where nothing else is said.
    fn next_root_key(&mut self) -> Option<SecretRef> {
        let named = self.optional_secret("keys.next_root_key_file", "keys.next_root_key_env");
        if named.is_some() || !self.text("keys.root_key_env").is_empty() {
            return named;
        }
        let mut beside = self.path("keys.root_key_file").into_os_string();
        beside.push(".next");
        Some(SecretRef::File(beside.into()))
    }

    /// A secret that must be named.
    fn secret(&mut self, file_key: &str, env_key: &str) -> SecretRef {
        self.optional_secret(file_key, env_key).unwrap_or_else(|| {
            self.complain(file_key, &format!("or `{env_key}` must be set"));
            SecretRef::File(PathBuf::new())
        })
    }

    /// A secret by file or by environment variable; the variable wins over a default file.
    pub(super) fn optional_secret(&mut self, file_key: &str, env_key: &str) -> Option<SecretRef> {
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

    fn isolation(&mut self) -> BTreeMap<String, Isolation> {
        let mut isolation = BTreeMap::new();
        let mut problems = Vec::new();
        for (plugin, entry) in self.layers.open("plugins.isolation") {
            let found = match &entry.value {
                Value::Text(text) if text == "child" => Some(Isolation::Child),
                Value::Text(text) if text == "in_process" => Some(Isolation::InProcess),
                Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::List(_) => None,
            };
            match found {
                Some(found) => {
                    isolation.insert(plugin.to_owned(), found);
                }
                None => problems.push(Problem {
                    origin: entry.origin.clone(),
                    message: format!("`plugins.isolation` of `{plugin}` must be `child` or `in_process`"),
                }),
            }
        }
        self.layers.problems.extend(problems);
        isolation
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

fn instant(text: &str) -> Result<Instant, String> {
    let expected = || format!("`{text}` is not an instant such as 2026-03-16T09:00:00+08:00");
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| expected())?;
    Instant::from_micros(parsed.timestamp_micros()).map_err(|_| expected())
}

fn level(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|_| format!("`{text}` is not a level such as `info` or `info,linli_store=debug`"))
}
