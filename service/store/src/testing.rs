//! Helpers of tests: a throw-away PostgreSQL cluster, repeatable randomness, a dump of every row.
//!
//! For this crate's suite and, by the feature `testing`, for the end-to-end suite. Nothing of it is in the product.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use sha2::{Digest, Sha256};

use crate::change::ChangeSet;
use crate::crypto::{NoRandomness, Random};
use crate::seal::Receipt;
use crate::store::Store;
use crate::table::Table;

/// Randomness that repeats: SHA-256 over a seed and a counter. For tests only.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    counter: AtomicU64,
}

impl SeededRandom {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(32) {
            let counter = self.counter.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new_with_prefix(self.seed.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            for (byte, of_block) in chunk.iter_mut().zip(block) {
                *byte = of_block;
            }
        }
        Ok(())
    }
}

impl Store {
    /// A receipt for an entry that was not made: for benches that measure what entries cost.
    pub fn receipt_without_entry(&self, set: &ChangeSet) -> Receipt {
        Receipt::of(&set.scope, &set.audit, 0, [0; 32], 0)
    }
}

/// A directory that is removed when this value is dropped.
#[derive(Debug)]
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    /// A fresh directory below the system's temporary one.
    ///
    /// # Panics
    /// Where that is not writable.
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("linli-scratch-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for ScratchDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A PostgreSQL cluster that lives as long as this value: own directory, Unix socket only, no fixed port.
#[derive(Debug)]
pub struct Postgres {
    directory: PathBuf,
    binaries: PathBuf,
    /// The user that runs the server where this process is root, which PostgreSQL refuses to be.
    user: Option<String>,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a cluster. Where the machine has no server binaries it says so loudly and returns `None`; in CI that
    /// is a failure.
    ///
    /// # Panics
    /// Where the binaries are there and the cluster does not start, and, with `CI=true`, where they are not there.
    pub fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!ci, "PostgreSQL 15 or newer must be installed in CI: initdb and pg_ctl were not found");
            say(
                "skipped: no PostgreSQL (initdb and pg_ctl found neither in PATH nor in /usr/lib/postgresql)",
            );
            return None;
        };
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("linli-pg-{}-{number}", std::process::id()));
        let cluster = Self { user: server_user(), directory, binaries, databases: AtomicU32::new(0) };
        cluster.make();
        Some(cluster)
    }

    /// The cluster that the tests of this process share, started by the first and removed after the last that holds
    /// it.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let cluster = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    /// Makes a fresh database and returns its URL.
    ///
    /// # Panics
    /// Where the cluster does not answer.
    pub async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("linli_{number}");
        let connection =
            Database::connect(self.url("postgres")).await.expect("the cluster that was just started answers");
        let create = format!("CREATE DATABASE {name}");
        connection.execute_unprepared(&create).await.expect("a fresh name can be created");
        connection.close().await.expect("the connection closes");
        self.url(&name)
    }

    /// Kills the server as a power cut would and starts it again.
    ///
    /// # Panics
    /// Where it does not start again.
    pub fn crash_and_restart(&self) {
        self.control(&["stop", "-m", "immediate"]);
        self.start_server();
    }

    fn url(&self, database: &str) -> String {
        let socket = self.directory.join("socket").display().to_string().replace('/', "%2F");
        format!("postgres://linli@localhost/{database}?host={socket}&port=5432")
    }

    fn make(&self) {
        let data = self.directory.join("data");
        let socket = self.directory.join("socket");
        std::fs::create_dir_all(&socket).expect("the temporary directory is writable");
        if let Some(user) = &self.user {
            run(Command::new("chown").arg("-R").arg(user).arg(&self.directory));
        }
        let mut initdb = self.server_command("initdb");
        initdb.args([
            "--auth=trust",
            "--username=linli",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
        ]);
        run(initdb.arg(&data));
        self.start_server();
    }

    fn start_server(&self) {
        let socket = self.directory.join("socket").display().to_string();
        // fsync stays on: what is tested is what is delivered. No TCP: the socket's directory is this cluster's alone.
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories='{socket}' -c max_connections=200");
        let log = self.directory.join("log").display().to_string();
        self.control(&["start", "-w", "-t", "60", "-l", &log, "-o", &options]);
    }

    fn control(&self, arguments: &[&str]) {
        let mut command = self.server_command("pg_ctl");
        run(command.arg("-D").arg(self.directory.join("data")).args(arguments));
    }

    fn server_command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        match &self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--init-groups", "--reset-env"]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.server_command("pg_ctl");
        stop.arg("-D").arg(self.directory.join("data")).args(["stop", "-m", "immediate"]);
        drop(stop.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// Runs a command; its output goes to files of the cluster or nowhere, because a pipe that the server inherits
/// never closes.
fn run(command: &mut Command) {
    let status =
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?} failed: {status:?}");
}

fn find_binaries() -> Option<PathBuf> {
    let holds = |directory: &Path| directory.join("initdb").is_file() && directory.join("pg_ctl").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).find(|directory| holds(directory)) {
        return Some(found);
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if holds(&directory) {
            return Some(directory);
        }
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, directory)| *version >= 15 && holds(directory))
        .collect();
    found.sort();
    found.pop().map(|(_, directory)| directory)
}

/// `postgres` where this process is root.
fn server_user() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    (uid.split_whitespace().next() == Some("0")).then(|| "postgres".to_owned())
}

/// Says something past the test harness's capture.
fn say(text: &str) {
    static SAID: Mutex<()> = Mutex::new(());
    let _said = SAID.lock();
    drop(writeln!(std::io::stderr(), "{text}"));
}

impl Store {
    /// Every row of every table, as text, in key order: what two stores must agree on.
    ///
    /// # Panics
    /// Where the database does not answer.
    pub async fn dump(&self) -> BTreeMap<&'static str, Vec<String>> {
        let backend = self.reader().get_database_backend();
        let mut dump = BTreeMap::new();
        for table in Table::ALL {
            let meta = table.meta();
            let columns: Vec<String> = meta.columns.iter().map(|column| text_of(backend, column)).collect();
            let sql = format!("SELECT {} FROM {}", columns.join(" || '|' || "), meta.name);
            let rows = self.reader().query_all_raw(Statement::from_string(backend, sql)).await;
            let rows = rows.expect("every table can be read");
            let mut rows: Vec<String> =
                rows.iter().map(|row| row.try_get_by_index(0).expect("the expression is text")).collect();
            rows.sort();
            dump.insert(meta.name, rows);
        }
        dump
    }

    /// The plan of a statement, as SQLite or PostgreSQL tells it, one line per step.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn explain(&self, sql: &str) -> Vec<String> {
        let backend = self.reader().get_database_backend();
        let (prefix, column) = match backend {
            DbBackend::Postgres => ("EXPLAIN", 0),
            _ => ("EXPLAIN QUERY PLAN", 3), // a foreign enum; the other one the store opens is SQLite
        };
        let statement = Statement::from_string(backend, format!("{prefix} {sql}"));
        let rows = self.reader().query_all_raw(statement).await.expect("the statement is valid");
        rows.iter().map(|row| row.try_get_by_index(column).expect("a step is text")).collect()
    }

    /// Runs a statement behind the store's back, to plant faults.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn tamper(&self, sql: &str) {
        let writer = self.first_writer().expect("a store has a writer");
        writer.execute_unprepared(sql).await.expect("the statement is valid");
    }

    /// Removes what keeps the audit chain and the fund's ledger append-only, as somebody would who may change the schema.
    ///
    /// # Panics
    /// Where it was removed before.
    pub async fn unguard(&self) {
        let writer = self.first_writer().expect("a store has a writer");
        for table in
            ["audit_entry", "closed_period", "fund_entry", "consent", "consent_withdrawal", "disclosure"]
        {
            let guards = match writer.get_database_backend() {
                DbBackend::Postgres => vec![format!("{table}_append_only ON {table}")],
                // A foreign enum; the other one the store opens is SQLite.
                _ => vec![format!("{table}_update"), format!("{table}_delete")],
            };
            for guard in guards {
                self.tamper(&format!("DROP TRIGGER {guard}")).await;
            }
        }
    }

    /// Runs a statement that may be refused; whether it was carried out.
    ///
    /// # Panics
    /// Where there is no writer.
    pub async fn try_tamper(&self, sql: &str) -> bool {
        let writer = self.first_writer().expect("a store has a writer");
        writer.execute_unprepared(sql).await.is_ok()
    }

    /// The first column of a statement's rows as text, asked of the writing connection; for pragmas.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn sqlite_text(&self, sql: &str) -> Vec<String> {
        let writer = self.first_writer().expect("a store has a writer");
        let rows = writer.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await;
        let text = |row: &sea_orm::QueryResult| {
            row.try_get_by_index::<String>(0)
                .or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
                .expect("a pragma answers text or a number")
        };
        rows.expect("the statement is valid").iter().map(text).collect()
    }

    /// The first column of a statement's rows as text, in order.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        texts(self.reader(), sql).await
    }

    /// As [`Store::texts`], of the key store; `{}` stands for the prefix of its tables.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn key_texts(&self, sql: &str) -> Vec<String> {
        let (connection, prefix) = self.keys_connection();
        texts(connection, &sql.replace("{}", prefix)).await
    }

    /// How many rows there are: `from` is what stands after `FROM`.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn count(&self, from: &str) -> i64 {
        let writer = self.first_writer().expect("a store has a writer");
        let sql = format!("SELECT COUNT(*) FROM {from}");
        let rows = writer.query_all_raw(Statement::from_string(writer.get_database_backend(), sql)).await;
        let rows = rows.expect("the statement is valid");
        let first = rows.first().expect("a count is one row");
        first.try_get_by_index(0).expect("a count is a number")
    }

    /// As [`Store::tamper`], in the key store; `{}` stands for the prefix of its tables.
    ///
    /// # Panics
    /// Where the statement is not valid.
    pub async fn tamper_keys(&self, sql: &str) {
        let (connection, prefix) = self.keys_connection();
        connection.execute_unprepared(&sql.replace("{}", prefix)).await.expect("the statement is valid");
    }
}

async fn texts(connection: &sea_orm::DatabaseConnection, sql: &str) -> Vec<String> {
    let backend = connection.get_database_backend();
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await;
    let text = |row: &sea_orm::QueryResult| {
        let bytes =
            |bytes: Vec<u8>| bytes.iter().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
        row.try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
            .or_else(|_| row.try_get_by_index::<Vec<u8>>(0).map(bytes))
            .expect("a column is text, a number or bytes")
    };
    let mut found: Vec<String> = rows.expect("the statement is valid").iter().map(text).collect();
    found.sort();
    found
}

/// A column as text, alike on both databases: bytes as `\x` and hexadecimal digits, nothing as `-`.
fn text_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("COALESCE({column}::text, '-')"),
        _ => format!(
            "COALESCE(CASE WHEN typeof({column}) = 'blob' THEN '\\x' || lower(hex({column})) ELSE {column} END, '-')"
        ),
    }
}
