//! Servers: in this process, or as a process of their own that can be killed.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use linli_plugin_host::trust;
use linli_service::app::App;
use linli_service::config::{Config, Flags};
use linli_service::server::assemble::{Assembled, assemble};
use linli_service::server::{self, Parts, Running};
use linli_store::testing::{Postgres, ScratchDir};

use super::PATIENCE;
use super::client::Client;
use crate::built;

/// Monday 16 March 2026, nine o'clock in Shanghai: where every simulated clock starts.
pub const MONDAY: &str = "2026-03-16T09:00:00+08:00";

/// A channel of every server, at whose end nobody listens.
pub const UNREACHABLE: &str = "unreachable";
/// The channel of a pair of folders, in which nothing lies at first: `exchange/out` and `exchange/in` beside the data.
pub const EXCHANGE: &str = "exchange";

/// What a server works on; it outlives the server, so that another one can be started on it.
#[derive(Clone)]
pub struct Data {
    folder: Arc<ScratchDir>,
    /// The cluster, where the data lie on PostgreSQL: it stays as long as they do.
    _cluster: Option<Arc<Postgres>>,
    /// Settings beside those of every test.
    toml: String,
    /// Where the care clock stands at start; empty: the machine's clock.
    clock: String,
    /// The program of a process of its own, where it is not the one that was built.
    program: Option<PathBuf>,
}

impl Data {
    /// An empty SQLite store.
    pub fn sqlite() -> Self {
        let folder = ScratchDir::new();
        let channels = folder.path().join("channels.toml");
        let unreachable = format!(
            "format = 1\n[channel.{UNREACHABLE}]\nconnector = \"cn.linli.webhook\"\nhosts = [\"127.0.0.1:1\"]\n\
             settings = {{ url = \"https://127.0.0.1:1\" }}\nprivate_addresses = true\n\
             signing_secret_file = \"channel.secret\"\n\
             [channel.{EXCHANGE}]\nconnector = \"cn.linli.file-drop\"\n\
             [channel.{EXCHANGE}.folder]\noutgoing = \"exchange/out\"\nincoming = \"exchange/in\"\n"
        );
        for part in ["out", "in"] {
            std::fs::create_dir_all(folder.path().join("exchange").join(part)).unwrap();
        }
        crate::tls::write_private(&folder.path().join("channel.secret"), "a-secret");
        std::fs::write(&channels, unreachable).unwrap();
        Self {
            toml: format!("community.channels_file = \"{}\"\n", channels.display()),
            folder: Arc::new(folder),
            _cluster: None,
            clock: MONDAY.to_owned(),
            program: None,
        }
    }

    /// An empty database on PostgreSQL; `None`, said aloud, where there is none. With `CI=true` that fails.
    pub async fn postgres() -> Option<Self> {
        let cluster = Postgres::shared()?;
        let url = cluster.database().await;
        let data = Self::sqlite();
        let file = data.folder.path().join("url");
        let mut options = std::fs::OpenOptions::new();
        let mut opened = options.write(true).create_new(true).mode(0o600).open(&file).unwrap();
        std::io::Write::write_all(&mut opened, url.as_bytes()).unwrap();
        let toml = format!(
            "store.backend = \"postgres\"\nstore.migrate = \"always\"\nstore.postgres.url_file = \"{}\"\n",
            file.display()
        );
        Some(Self { _cluster: Some(cluster), ..data.with(&toml) })
    }

    /// An empty SQLite store of a server that is installed as an operator would: its programs lie apart from cargo's
    /// folder, and the elderly plugin, which is required, in a folder of its own ([`Data::plugin`]).
    pub fn installed() -> Self {
        Self::installed_with("elderly")
    }

    /// As [`Data::installed`], with another bundled plugin, and no other.
    pub fn installed_with(name: &str) -> Self {
        let data = Self::sqlite();
        let program = data.folder().join("linli");
        for name in ["linli", "linli-runner"] {
            let (built, installed) = (built::program(name), data.folder().join(name));
            if std::fs::hard_link(&built, &installed).is_err() {
                std::fs::copy(&built, &installed).unwrap();
            }
        }
        let plugin = data.folder().join("plugins").join(name);
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::copy(built::plugin(name), plugin.join(format!("{name}.so"))).unwrap();
        std::fs::copy(built::plugin_source(name).join("plugin.toml"), plugin.join("plugin.toml")).unwrap();
        let trust = data.trust_store();
        let public = signing_key().public().to_base64();
        let store = format!(
            "format = 1\n[[key]]\nowner = \"Linli\"\npublic = \"{public}\"\nplugins = [\"cn.linli.*\"]\n\
             interfaces = [\"linli.rules/1\"]\nin_process = true\n"
        );
        std::fs::write(&trust, store).unwrap();
        let toml = format!(
            "plugins.folders = [\"{}\"]\nplugins.required = [\"cn.linli.{name}\"]\nplugins.trust_store = \"{}\"",
            data.folder().join("plugins").display(),
            trust.display()
        );
        let data = Self { program: Some(program), ..data }.with(&toml);
        data.sign();
        data
    }

    /// The same for a server without plugins, which starts in a fraction of the time: its program lies apart from cargo's
    /// folder, and nothing beside it.
    pub fn bare(self) -> Self {
        let program = self.folder().join("linli");
        if std::fs::hard_link(built::program("linli"), &program).is_err() {
            std::fs::copy(built::program("linli"), &program).unwrap();
        }
        Self { program: Some(program), ..self }
    }

    /// Signs the files of the installed plugins as they are now, where they could be a plugin at all.
    pub fn sign(&self) {
        self.sign_with(&signing_key());
    }

    /// As [`Data::sign`], with another key.
    pub fn sign_with(&self, key: &trust::SecretKey) {
        for folder in std::fs::read_dir(self.folder().join("plugins")).unwrap() {
            let folder = folder.unwrap().path();
            let Ok(lock) = trust::lock_folder(&folder) else { continue };
            let lock = lock.to_string();
            std::fs::write(folder.join(trust::LOCK_FILE), &lock).unwrap();
            let signature = trust::sign(lock.as_bytes(), key);
            std::fs::write(folder.join(trust::SIGNATURE_FILE), signature.to_string()).unwrap();
        }
    }

    /// The trust store of an installed server.
    pub fn trust_store(&self) -> PathBuf {
        self.folder().join("trust.toml")
    }

    /// The folder of the installed plugin: `plugin.toml` and `elderly.so`.
    pub fn plugin(&self) -> PathBuf {
        self.folder().join("plugins/elderly")
    }

    /// What another server of the same database works on, once one has made the keys: a folder of its own with the same root key. It
    /// needs these data as long as it runs.
    pub fn beside(&self) -> Self {
        let folder = Arc::new(ScratchDir::new());
        std::fs::copy(self.root_key(), folder.path().join("root.key")).unwrap();
        Self { folder, ..self.clone() }
    }

    /// With more settings.
    pub fn with(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self.toml.push('\n');
        self
    }

    /// With the care clock standing there at start; empty: on the machine's clock.
    pub fn at(mut self, clock: &str) -> Self {
        clock.clone_into(&mut self.clock);
        self
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the root key.
    pub fn root_key(&self) -> PathBuf {
        self.folder().join("root.key")
    }

    /// The SQLite file; its neighbours have its name with something appended.
    pub fn database(&self) -> PathBuf {
        self.folder().join("linli.db")
    }

    fn config(&self) -> Config {
        let flags = Flags {
            dev: true,
            data: Some(self.folder().to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            simulated_clock: (!self.clock.is_empty()).then(|| self.clock.clone()),
            migrate: false,
        };
        Config::layered(Some((&self.toml, "linli.toml")), [], &flags).unwrap_or_else(|err| panic!("{err}"))
    }
}

/// A server in this process.
pub struct Server {
    /// What it works on.
    pub data: Data,
    /// Its use cases.
    pub app: Arc<App>,
    /// Where it answers, `127.0.0.1:PORT`.
    pub address: String,
    running: Running,
    assembled: Assembled,
}

impl Server {
    /// On an empty SQLite store with a simulated clock.
    pub async fn start() -> Self {
        Self::on(Data::sqlite()).await
    }

    /// On these data.
    pub async fn on(data: Data) -> Self {
        Self::changed(data, |_| {}).await
    }

    /// On these data, with a part of it exchanged.
    pub async fn changed(data: Data, change: impl FnOnce(&mut Parts)) -> Self {
        built::plugins();
        let config = data.config();
        let bound = server::bind(&config.server).await.unwrap();
        let assembled = assemble(&config).await.unwrap_or_else(|err| panic!("{err}"));
        let mut parts = assembled.parts();
        change(&mut parts);
        let running = bound.start(parts).await.unwrap();
        let (app, address) = (Arc::clone(&assembled.app), running.address().to_string());
        Self { data, app, address, running, assembled }
    }

    /// Somebody who may do everything.
    pub fn client(&self) -> Client {
        Client::new(&self.address).token(&self.tokens().member)
    }

    /// Somebody who is known and may do nothing.
    pub fn outsider(&self) -> Client {
        Client::new(&self.address).token(&self.tokens().outsider)
    }

    /// Somebody without credentials.
    pub fn nobody(&self) -> Client {
        Client::new(&self.address)
    }

    /// The page of figures.
    pub fn metrics(&self) -> String {
        page(&self.admin(), "/metrics")
    }

    /// What the admin listener answers for `/readyz`, head and body.
    pub fn readiness(&self) -> String {
        http(&self.admin(), "/readyz").expect("the listener answers")
    }

    fn admin(&self) -> String {
        self.running.admin_address().expect("tests serve figures").to_string()
    }

    /// The token of somebody who may do everything.
    pub fn member_token(&self) -> &str {
        &self.tokens().member
    }

    fn tokens(&self) -> &linli_service::server::assemble::Tokens {
        self.assembled.tokens.as_ref().expect("tests run in the development profile")
    }

    /// Ends in good order, so that another one can be started on the data.
    pub async fn stop(self) -> Data {
        let Self { data, app, running, assembled, .. } = self;
        running.stop().await;
        let gone = Arc::downgrade(&app);
        drop(app);
        assembled.close().await;
        // What works beside the calls ends at its next step, and with it the lock on the files.
        let since = Instant::now();
        while gone.strong_count() > 0 {
            assert!(since.elapsed() < PATIENCE, "something of a server outlives it");
            tokio::task::yield_now().await;
        }
        data
    }
}

/// A server as a process of its own.
pub struct Child {
    /// What it works on.
    pub data: Data,
    /// Where it answers, `127.0.0.1:PORT`.
    pub address: String,
    /// Where it serves figures.
    pub admin: String,
    member: String,
    outsider: String,
    process: std::process::Child,
    output: Arc<Output>,
}

/// What a process says, as it says it.
#[derive(Default)]
struct Output {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    /// Of standard output and standard error, those at their end.
    ended: usize,
}

impl Output {
    /// Waits until `probe` finds something in what was said, told whether all was said; fails after [`PATIENCE`].
    fn until<T>(&self, what: &str, mut probe: impl FnMut(&str, bool) -> Option<T>) -> T {
        let since = Instant::now();
        let mut said = self.said.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&said.bytes);
            if let Some(found) = probe(&text, said.ended == 2) {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}:\n{text}");
            said = self.more.wait_timeout(said, PATIENCE).unwrap().0;
        }
    }
}

impl Child {
    /// Starts `linli serve` and waits until it serves.
    pub fn start(data: Data) -> Self {
        Self::try_start(data).unwrap_or_else(|output| panic!("the server does not start:\n{output}"))
    }

    /// As [`Child::start`]; what it said where it ends instead.
    pub fn try_start(data: Data) -> Result<Self, String> {
        built::plugins();
        let config = data.folder().join("linli.toml");
        std::fs::write(&config, &data.toml).unwrap();
        let program = data.program.clone().unwrap_or_else(|| built::program("linli"));
        let mut command = Command::new(program);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.arg("--config").arg(&config).arg("--data").arg(data.folder());
        if !data.clock.is_empty() {
            command.args(["--simulated-clock", &data.clock]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = Arc::new(Output::default());
        read(process.stdout.take().unwrap(), &output);
        read(process.stderr.take().unwrap(), &output);
        let mut child = Self {
            data,
            address: String::new(),
            admin: String::new(),
            member: String::new(),
            outsider: String::new(),
            process,
            output: Arc::clone(&output),
        };
        let ended = output.until("a server that serves", |said, ended| {
            let line =
                |start: &str| said.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
            if said.lines().any(|line| line.starts_with("try: ")) {
                child.address = line("listening on ").unwrap();
                child.admin = line("health and metrics on http://").unwrap();
                child.member = line("development token: ").unwrap();
                child.outsider = line("outsider token: ").unwrap();
                return Some(false);
            }
            ended.then_some(true)
        });
        if ended { Err(child.said()) } else { Ok(child) }
    }

    /// Somebody who may do everything.
    pub fn client(&self) -> Client {
        Client::new(&self.address).token(&self.member)
    }

    /// Somebody who is known and may do nothing.
    pub fn outsider(&self) -> Client {
        Client::new(&self.address).token(&self.outsider)
    }

    /// The token of who may do everything.
    pub fn token(&self) -> &str {
        &self.member
    }

    /// The page of figures.
    pub fn metrics(&self) -> String {
        page(&self.admin, "/metrics")
    }

    /// What the admin listener answers for a path, head and body; `None` while nobody listens.
    pub fn http(&self, path: &str) -> Option<String> {
        http(&self.admin, path)
    }

    /// The memory that it has in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The time that processors gave to it, and to the plugins that run beside it.
    pub fn cpu(&self) -> Duration {
        let all = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let ticks = |process: String| -> Option<u64> {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // Behind the name, which may hold anything: state, parent, and so on.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let own =
                process.parse() == Ok(self.process.id()) || fields.get(1)?.parse() == Ok(self.process.id());
            let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok());
            own.then_some(ticks(11)? + ticks(12)?)
        };
        Duration::from_millis(all.filter_map(ticks).sum::<u64>() * 10)
    }

    /// Waits until it has written something.
    pub fn says(&self, words: &str) {
        self.output.until(words, |said, _| said.contains(words).then_some(()));
    }

    /// Everything that it wrote so far, to both streams.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.said.lock().unwrap().bytes).into_owned()
    }

    /// SIGKILL, as a power cut ends a process. Returns what it works on.
    pub fn kill(mut self) -> Data {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.data.clone()
    }

    /// SIGTERM; waits until it has ended and gives everything that it said.
    pub fn stop(mut self) -> (Data, String) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        // Both streams end with the process.
        let said = self.output.until("a server that stops", |said, ended| ended.then(|| said.to_owned()));
        self.process.wait().unwrap();
        (self.data.clone(), said)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads a stream to its end, beside everything else; the thread ends with the process.
fn read(from: impl Read + Send + 'static, to: &Arc<Output>) {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            to.said.lock().unwrap().bytes.append(&mut line);
            to.more.notify_all();
        }
        to.said.lock().unwrap().ended += 1;
        to.more.notify_all();
    });
}

/// What an address answers for a path; `None` where nobody does.
fn http(address: &str, path: &str) -> Option<String> {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: linli\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The body of a page of the admin listener.
fn page(address: &str, path: &str) -> String {
    let answer = http(address, path).expect("the listener answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

fn signing_key() -> trust::SecretKey {
    trust::generate([11; 32])
}
