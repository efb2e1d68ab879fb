//! The composition root: opens keys, store and plugins, in this order, and puts the application together. Without the
//! root key nothing is opened: [`sealed_parts`] is what a server is made of then.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linli_core::time::{Clock, Instant, SiteZone};
use linli_plugin_host::{LoadFailure, Registry, Sources};
use linli_store::{
    Chacha, CryptoProvider, NoRandomness, OpenError, Random, RootKey, RootKeys, Store, StoreConfig,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::answers::Answers;
use super::{Gauge, Gauges, Parts, Probe};
use crate::app::delivery::Delivery;
use crate::app::entry::{Durable, Entries};
use crate::app::plugin::Live;
use crate::app::sealed::Sealed;
use crate::app::{App, Ending};
use crate::audit::erasures::ErasureFile;
use crate::audit::keeper::Keeper;
use crate::audit::{AuditError, key};
use crate::auth::gate::Gate;
use crate::auth::keys::KeyFile;
use crate::auth::policy::Policy;
use crate::auth::rules::{Rules, RulesError};
use crate::auth::token::{self, Expected};
use crate::channel::Channels;
use crate::channel::answer::AnswerLinks;
use crate::config::{Audit, Backend, Config, Plugins, Profile, SecretRef};
use crate::key_file::{self, KeyFileError};
use crate::nats::JetStream;
use crate::time::{IdSource, RandomIds, SimulatedClock, SystemClock};

/// Random bytes in a development token.
const TOKEN_BYTES: usize = 24;

/// How long the end waits for events that are on their way out.
const SINK_PATIENCE: Duration = Duration::from_secs(2);

/// An application and what a server needs beside it.
pub struct Assembled {
    /// The use cases and all they work with.
    pub app: Arc<App>,
    /// The development tokens, where they are accepted.
    pub tokens: Option<Tokens>,
    gate: Arc<Gate>,
    keys: Option<Arc<KeyFile>>,
    upkeep: tokio::task::JoinHandle<()>,
    rotation: tokio::task::JoinHandle<()>,
    anchoring: tokio::task::JoinHandle<()>,
    sink: Option<tokio::task::JoinHandle<()>>,
    delivering: tokio::task::JoinHandle<()>,
    answers: Option<Answers>,
}

/// Who may come in, for one run of the process.
#[derive(Clone)]
pub struct Credentials {
    /// The development tokens, where they are accepted.
    pub tokens: Option<Tokens>,
    policy: Policy,
    gate: Arc<Gate>,
    keys: Option<Arc<KeyFile>>,
}

impl Credentials {
    /// What the configuration accepts, and by which policies.
    ///
    /// # Errors
    /// [`AssembleError::Policy`], [`AssembleError::Keys`], [`AssembleError::NoRandomness`].
    pub fn new(config: &Config) -> Result<Self, AssembleError> {
        let policy = policy(config.auth.policy_file.as_deref())?;
        let keys = match &config.auth.tokens {
            Some(tokens) => Some(Arc::new(KeyFile::open(&tokens.keys_file).map_err(AssembleError::Keys)?)),
            None => None,
        };
        let (gate, tokens) = gate(config, keys.clone())?;
        Ok(Self { tokens, policy, gate: Arc::new(gate), keys })
    }

    /// With another policy in place of the configured one.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

/// The tokens of a development server.
#[derive(Clone)]
pub struct Tokens {
    /// Of somebody who may do everything.
    pub member: String,
    /// Of somebody who is known and not of the working group.
    pub outsider: String,
}

/// Why an application cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A secret is missing or open to others.
    #[error("{0}")]
    Secret(String),
    /// The root key is not there, or may not be read: a server runs sealed until it is.
    #[error("the root key is not there: {0}; `linli keys init` makes one where there never was one")]
    Sealed(String),
    /// The root key is there and wrong.
    #[error("the root key cannot be used: {0}")]
    RootKey(OpenError),
    /// The connection to PostgreSQL would not be protected.
    #[error("`store.postgres.{0}` must say `sslmode=verify-full` in the production profile")]
    Unprotected(&'static str),
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(OpenError),
    /// The keys of tokens cannot be read.
    #[error("`auth.token_keys_file` cannot be used: {0}")]
    Keys(String),
    /// The policies cannot be read or do not fit the schema.
    #[error("the policies cannot be used\n{0}")]
    Policy(RulesError),
    /// The trust store cannot be used.
    #[error("`plugins.trust_store`: {0}")]
    TrustStore(LoadFailure),
    /// A required plugin is not there.
    #[error("{0}")]
    Plugins(String),
    /// What a start writes cannot be written.
    #[error("what the start writes down cannot be kept: {0}")]
    Remember(String),
    /// The ways to bodies cannot be used.
    #[error("`community.channels_file`: {}", .0.join("\n"))]
    Channels(Vec<String>),
    /// The key of bodies' links cannot be used.
    #[error("`community.answer_key_file`: {0}")]
    AnswerKey(KeyFileError),
    /// Bodies cannot be listened to.
    #[error("`community.answer_listen`: {0}: {1}")]
    Answers(SocketAddr, std::io::Error),
    /// The audit log is not what it was, or cannot be anchored.
    #[error("the audit log: {0}{after}", after = after_flaw(.0))]
    Audit(AuditError),
    /// The operating system gave no randomness.
    #[error("no randomness")]
    NoRandomness,
}

/// Randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    #[allow(clippy::disallowed_methods, reason = "the one source of randomness")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// Opens everything that `config` names.
///
/// # Errors
/// The first thing that cannot be opened, and what to do about it.
pub async fn assemble(config: &Config) -> Result<Assembled, AssembleError> {
    assemble_for(config, &Credentials::new(config)?).await
}

/// As [`assemble`], for credentials that were given out before.
///
/// # Errors
/// As [`assemble`].
pub async fn assemble_for(config: &Config, credentials: &Credentials) -> Result<Assembled, AssembleError> {
    assemble_by(config, credentials, Methods::default()).await
}

/// The methods that the parts of an application work by, where there could be others.
pub struct Methods {
    /// The algorithms of cells and indexes.
    pub crypto: Arc<dyn CryptoProvider>,
    /// How audit entries of reads become durable.
    pub entries: Arc<dyn Entries>,
}

impl Default for Methods {
    fn default() -> Self {
        Self { crypto: Arc::new(Chacha), entries: Arc::new(Durable) }
    }
}

/// As [`assemble_for`], by other methods.
///
/// # Errors
/// As [`assemble`].
pub async fn assemble_by(
    config: &Config,
    credentials: &Credentials,
    methods: Methods,
) -> Result<Assembled, AssembleError> {
    let store = open_store_by(config, methods.crypto).await?;
    let Clocks { care_clock, simulated, system_clock } = Clocks::new(config);
    let audit = keeper(config, &store, &system_clock).await?;
    make_folder_of(&config.audit.erasure_file).map_err(AssembleError::Store)?;
    let erasures = ErasureFile::open(&config.audit.erasure_file).map_err(AssembleError::Audit)?;
    let sources = sources(config, system_clock.now())?;
    let plugins = load_plugins(config, &sources).await?;
    let times = (care_clock.now(), system_clock.now());
    let absent_plugins = crate::app::plugin::remember(&store, &plugins, times)
        .await
        .map_err(|error| AssembleError::Remember(format!("{error:?}")))?;
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::new());
    if let Some(credential) = &config.auth.bootstrap_leader {
        let entered = crate::app::staff::enter_first_leader(&store, credential.clone(), times)
            .await
            .map_err(|error| AssembleError::Remember(format!("{error:?}")))?;
        if entered {
            tracing::warn!("entered `staff/leader` by `auth.bootstrap_leader`: they may do everything");
        }
    }
    let delivery = Arc::new(delivery(config, ids.next(care_clock.now()))?);
    let app = App {
        store,
        plugins: Live::new(plugins, absent_plugins, sources, config.plugins.required.clone()),
        public_years: config.public_years.clone(),
        care_clock,
        simulated,
        system_clock,
        ids,
        upkeep: crate::app::upkeep::Upkeep::default(),
        retention: config.retention,
        backups: crate::app::backup::Backups::new(config.backup_folder.clone()),
        erasures,
        rotation: crate::app::key_rotation::Rotation::new(config.server.timeouts.request),
        imports: crate::app::import::Imports::default(),
        events: crate::app::change_event::Events::new(config.events.clone()),
        watches: crate::app::obligation::Watches::default(),
        ending: Ending::default(),
        reveals: crate::app::reveal::Reveals::default(),
        exports: crate::app::reveal::Exports::default(),
        audit: Arc::clone(&audit),
        delivery,
        policy: credentials.policy.clone(),
        entries: methods.entries,
    };
    let app = Arc::new(app);
    let keeper = Arc::clone(&app);
    let upkeep = tokio::spawn(async move { keeper.keep_up().await });
    let keeper = Arc::clone(&app);
    let rotation = tokio::spawn(async move { keeper.keep_keys().await });
    let anchoring = tokio::spawn(async move { audit.keep().await });
    let sink = config.events.nats.clone().map(|settings| {
        let (keeper, outlet) = (Arc::clone(&app), JetStream::new(settings));
        tokio::spawn(async move { keeper.keep_sink(outlet, &OsRandom).await })
    });
    let courier = Arc::clone(&app);
    let delivering = tokio::spawn(async move { courier.keep_delivering().await });
    let answers = match &config.community.answers {
        Some(answers) => {
            let listener = Answers::start(answers.listen, Arc::clone(&app)).await;
            let listener = listener.map_err(|err| AssembleError::Answers(answers.listen, err))?;
            tracing::info!(address = %listener.address, "bodies may answer");
            Some(listener)
        }
        None => None,
    };
    let Credentials { tokens, gate, keys, .. } = credentials.clone();
    Ok(Assembled { app, tokens, gate, keys, upkeep, rotation, anchoring, sink, delivering, answers })
}

/// What a server is made of that has no root key: it tells what it is, and refuses every other call.
pub fn sealed_parts(config: &Config, credentials: &Credentials) -> Parts {
    let Clocks { care_clock, simulated, system_clock } = Clocks::new(config);
    let sealed = Sealed {
        policy: credentials.policy.clone(),
        care_clock,
        clock_simulated: simulated.is_some(),
        calendar_years: crate::app::admin::calendar_years(&config.public_years),
        system_clock: Arc::clone(&system_clock),
        backend: match config.store.backend {
            Backend::Sqlite { .. } => "sqlite",
            Backend::Postgres { .. } => "postgresql",
        },
    };
    Parts {
        routes: crate::grpc::sealed_routes(sealed),
        descriptors: crate::grpc::FILE_DESCRIPTOR_SET,
        gate: Arc::clone(&credentials.gate),
        keys: credentials.keys.clone(),
        ids: Arc::new(RandomIds::new()),
        clock: system_clock,
        gauges: Arc::new(|| vec![sealed_gauge(true)]),
        store: None,
        ending: Ending::default(),
    }
}

/// The two clocks.
struct Clocks {
    care_clock: Arc<dyn Clock>,
    simulated: Option<Arc<SimulatedClock>>,
    system_clock: Arc<dyn Clock>,
}

impl Clocks {
    fn new(config: &Config) -> Self {
        let system_clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let simulated = config.simulated_start.map(|start| Arc::new(SimulatedClock::new(start)));
        let care_clock = match &simulated {
            Some(clock) => Arc::clone(clock) as Arc<dyn Clock>,
            None => Arc::clone(&system_clock),
        };
        Self { care_clock, simulated, system_clock }
    }
}

impl Assembled {
    /// What a server is made of.
    pub fn parts(&self) -> Parts {
        Parts {
            routes: crate::grpc::routes(&self.app),
            descriptors: crate::grpc::FILE_DESCRIPTOR_SET,
            gate: Arc::clone(&self.gate),
            keys: self.keys.clone(),
            ids: Arc::clone(&self.app.ids),
            clock: Arc::clone(&self.app.system_clock),
            gauges: gauges(&self.app),
            store: Some(probe(&self.app)),
            ending: self.app.ending.clone(),
        }
    }

    /// Commits what waits and closes the store. After the server has stopped.
    pub async fn close(self) {
        // A commit on its way is finished by the writer, which the store waits for.
        self.upkeep.abort();
        self.delivering.abort();
        drop(self.answers);
        self.rotation.abort();
        self.anchoring.abort();
        if let Some(sink) = self.sink {
            // An event that was given and not noted is given again; what was taken over goes on at once.
            self.app.ending.begin();
            let _ = tokio::time::timeout(SINK_PATIENCE, sink).await;
        }
        let _ = self.anchoring.await;
        if let Err(error) = self.app.audit.anchor().await {
            tracing::error!("the end of the audit log was not anchored: {error}");
        }
        self.app.store.close().await;
    }
}

/// Opens the store, migrated where the configuration says so.
///
/// # Errors
/// As [`assemble`].
pub async fn open_store(config: &Config) -> Result<Store, AssembleError> {
    open_store_by(config, Methods::default().crypto).await
}

async fn open_store_by(config: &Config, crypto: Arc<dyn CryptoProvider>) -> Result<Store, AssembleError> {
    let next = config.next_root_key.clone();
    let root = RootKeys::new(root_key(config)?, move || next_root_key(next.as_ref()));
    let (migrate, profile) = (config.store.migrate, config.server.profile);
    let store = match &config.store.backend {
        Backend::Sqlite { path, readers } => {
            make_folder_of(path).map_err(AssembleError::Store)?;
            StoreConfig::Sqlite { path: path.clone(), readers: *readers, migrate }
        }
        Backend::Postgres { url, keys_url, connections } => StoreConfig::Postgres {
            url: database_url(url, "url", profile)?,
            keys_url: keys_url.as_ref().map(|url| database_url(url, "keys_url", profile)).transpose()?,
            readers: *connections,
            migrate,
        },
    };
    Store::open_with(store, root, Arc::new(OsRandom), crypto).await.map_err(|err| match err {
        OpenError::WrongRootKey => AssembleError::RootKey(err),
        other => AssembleError::Store(other),
    })
}

/// What anchors the audit log, which was verified since its newest anchors.
async fn keeper(
    config: &Config,
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Keeper>, AssembleError> {
    let Audit { anchor_file, anchor_key_file, .. } = &config.audit;
    for path in [anchor_file, anchor_key_file] {
        make_folder_of(path).map_err(AssembleError::Store)?;
    }
    let (key, made) = key::open_or_make(anchor_key_file, &OsRandom).map_err(AssembleError::Audit)?;
    let public = crate::hex::hex(key.verifying_key().as_bytes());
    if made {
        tracing::warn!(public, "made a key for anchors of the audit log: give auditors the public one");
    } else {
        tracing::info!(public, "anchors of the audit log are signed");
    }
    let keeper = Keeper::open(store.ledger(), anchor_file, key, Arc::clone(clock)).await;
    keeper.map(Arc::new).map_err(AssembleError::Audit)
}

/// The ways to bodies, and how those answer.
fn delivery(config: &Config, owner: String) -> Result<Delivery, AssembleError> {
    let community = &config.community;
    let channels = Channels::read(community.channels_file.as_deref()).map_err(AssembleError::Channels)?;
    let links = match &community.answers {
        Some(answers) => {
            make_folder_of(&community.answer_key_file).map_err(AssembleError::Store)?;
            let key = key_file::open_or_make(&community.answer_key_file, &OsRandom);
            let (key, _) = key.map_err(AssembleError::AnswerKey)?;
            Some(AnswerLinks::new(answers.url.clone(), &key))
        }
        None => None,
    };
    Ok(Delivery::new(channels, links, community.give_up_after, owner))
}

/// What an operator can do about a flaw.
fn after_flaw(error: &AuditError) -> &'static str {
    match error {
        AuditError::Flaw(_) => {
            "; it was changed, or an older database was put back: keep the files as they are for the auditor \
             (`linli audit verify` examines them), and restore what belongs to the anchors"
        }
        AuditError::Store(_) | AuditError::File { .. } => "",
    }
}

/// The root key. In the development profile a missing file is made, unless there are data that it would not open.
pub(crate) fn root_key(config: &Config) -> Result<RootKey, AssembleError> {
    match (&config.keys, config.server.profile) {
        (SecretRef::Environment(_), _) => {
            let text = config.keys.read().map_err(AssembleError::Sealed)?;
            RootKey::from_hex(text.expose_secret()).map_err(AssembleError::RootKey)
        }
        (SecretRef::File(path), Profile::Development) if !path.exists() && !has_data(config) => {
            make_folder_of(path).map_err(AssembleError::RootKey)?;
            let root = RootKey::from_file_or_new(path, &OsRandom).map_err(AssembleError::RootKey)?;
            tracing::info!(path = %path.display(), "made a root key: without it nothing can be read again");
            Ok(root)
        }
        (SecretRef::File(path), Profile::Production | Profile::Development) => RootKey::from_file(path)
            .map_err(|err| {
                if is_out_of_reach(&err) {
                    AssembleError::Sealed(err.to_string())
                } else {
                    AssembleError::RootKey(err)
                }
            }),
    }
}

/// The root key that is to follow; `None`: there is none.
fn next_root_key(place: Option<&SecretRef>) -> Result<Option<RootKey>, OpenError> {
    match place {
        None => Ok(None),
        Some(SecretRef::File(path)) if !path.exists() => Ok(None),
        Some(SecretRef::File(path)) => RootKey::from_file(path).map(Some),
        Some(place @ SecretRef::Environment(_)) => match place.read() {
            Ok(text) => RootKey::from_hex(text.expose_secret()).map(Some),
            Err(_) => Ok(None), // it is not set
        },
    }
}

/// Whether a file is not there, or not for this process to read.
fn is_out_of_reach(error: &OpenError) -> bool {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    matches!(error, OpenError::File { source, .. } if matches!(source.kind(), NotFound | PermissionDenied))
}

/// Whether a database lies there already. Of a server nobody knows before the key is there.
fn has_data(config: &Config) -> bool {
    match &config.store.backend {
        Backend::Sqlite { path, .. } => path.exists(),
        Backend::Postgres { .. } => false,
    }
}

/// The address of a database. In the production profile it must not fall back to clear text.
fn database_url(url: &SecretRef, key: &'static str, profile: Profile) -> Result<SecretString, AssembleError> {
    let url = url.read().map_err(AssembleError::Secret)?;
    let protected = url.expose_secret().contains("sslmode=verify-full");
    match profile {
        Profile::Production if !protected => Err(AssembleError::Unprotected(key)),
        Profile::Production | Profile::Development => Ok(url),
    }
}

/// Makes the folder that a file will lie in, for its owner alone.
pub(crate) fn make_folder_of(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt as _;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| OpenError::File { path: folder.display().to_string(), source })
        }
        Some(_) | None => Ok(()),
    }
}

/// What lets calls in, and the development tokens where they are accepted.
fn gate(config: &Config, keys: Option<Arc<KeyFile>>) -> Result<(Gate, Option<Tokens>), AssembleError> {
    let mut gate = Gate::new(Arc::new(SystemClock));
    let certificates = config.server.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    if let (Some(settings), Some(keys)) = (&config.auth.tokens, keys) {
        let (issuer, audience) = (settings.issuer.clone(), settings.audience.clone());
        gate = gate.with_tokens(token::Tokens::new(Expected { issuer, audience }, keys));
    } else if !certificates && !config.auth.development_token {
        tracing::warn!("nobody can call: neither `auth.token_issuer` nor `server.tls.client_ca_file` is set");
    }
    if !config.auth.development_token {
        return Ok((gate, None));
    }
    let tokens = Tokens { member: random_token()?, outsider: random_token()? };
    Ok((gate.with_development(&tokens.member, &tokens.outsider), Some(tokens)))
}

/// The built-in policies, or those of a file.
///
/// # Errors
/// [`AssembleError::Policy`] with every problem and its line.
pub fn policy(file: Option<&Path>) -> Result<Policy, AssembleError> {
    rules(file).map(Policy::new).map_err(AssembleError::Policy)
}

/// As [`policy`], to be asked and explained.
///
/// # Errors
/// [`RulesError`].
pub fn rules(file: Option<&Path>) -> Result<Rules, RulesError> {
    let Some(file) = file else { return Rules::built_in() };
    let shown = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| RulesError(vec![format!("{shown}: {error}")]))?;
    Rules::parse(&text, &shown)
}

/// Loads the plugins; what could not be loaded has been logged.
async fn load_plugins(config: &Config, sources: &Sources) -> Result<Registry, AssembleError> {
    let sources = sources.clone();
    let loaded = tokio::task::spawn_blocking(move || Registry::load(&sources)).await;
    let registry = loaded.map_err(|_| AssembleError::Plugins("loading the plugins panicked".into()))?;
    let Plugins { required, start_without_required, .. } = &config.plugins;
    let missing: Vec<_> = required.iter().filter(|id| registry.plugin(id).is_none()).collect();
    if missing.is_empty() {
        return Ok(registry);
    }
    let mut text = String::new();
    for id in missing {
        text.push_str(&format!("the required plugin `{id}` is not loaded\n"));
    }
    for failure in registry.failures() {
        text.push_str(&format!("{failure}\n"));
    }
    if *start_without_required {
        tracing::error!("starting all the same, nobody is assessed by what is missing: {}", text.trim_end());
        return Ok(registry);
    }
    text.push_str(
        "`plugins.folders` says where to look; `plugins.start_without_required` starts all the same",
    );
    Err(AssembleError::Plugins(text))
}

/// Where plugins are looked for, and whose are loaded: the trust store as it is at `now`.
///
/// # Errors
/// [`AssembleError::TrustStore`].
pub fn sources(config: &Config, now: Instant) -> Result<Sources, AssembleError> {
    let development = match config.server.profile {
        Profile::Development => true,
        Profile::Production => false,
    };
    let Plugins { folders, trust_store, unsigned, isolation, runner, .. } = &config.plugins;
    let sources = Sources {
        folders: folders.clone(),
        development,
        trust_store: trust_store.clone(),
        unsigned: unsigned.clone(),
        isolation: isolation.clone(),
        runner: runner.clone(),
        ..Sources::default()
    };
    sources.on(SiteZone::SHANGHAI.date_of(now)).map_err(AssembleError::TrustStore)
}

fn random_token() -> Result<String, AssembleError> {
    let mut bytes = [0; TOKEN_BYTES];
    OsRandom.fill(&mut bytes).map_err(|_| AssembleError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether the store answers.
fn probe(app: &Arc<App>) -> Probe {
    let app = Arc::downgrade(app);
    Arc::new(move || {
        let app = app.upgrade();
        Box::pin(async move {
            match app {
                Some(app) => app.store.ready().await.is_ok(),
                None => false,
            }
        })
    })
}

fn sealed_gauge(sealed: bool) -> Gauge {
    let help = "1 where the process lacks its root key.";
    Gauge { name: "linli_sealed", help, value: f64::from(u8::from(sealed)) }
}

/// What the application's parts tell about themselves.
fn gauges(app: &Arc<App>) -> Gauges {
    let app = Arc::clone(app);
    Arc::new(move || {
        let figure = |name, help, value| Gauge { name, help, value };
        let deployed = app.deployed();
        let failures = deployed.registry.failures().len();
        let mut figures = vec![
            sealed_gauge(false),
            figure("linli_plugins_loaded", "Plugins loaded.", as_figure(deployed.registry.plugins().len())),
            figure("linli_plugins_failed", "Plugins that could not be loaded.", as_figure(failures)),
            figure(
                "linli_audit_broken",
                "1 where the audit log does not fit its anchors.",
                f64::from(app.audit.is_broken()),
            ),
            figure(
                "linli_event_watchers",
                "Calls of EventService.Watch that are told of events now.",
                as_figure(app.events.watchers()),
            ),
            figure(
                "linli_store_failed",
                "1 where the store has stopped writing.",
                f64::from(app.store.failed()),
            ),
        ];
        let standing = app.delivery.standing();
        figures.extend([
            figure(
                "linli_delivery_rounds",
                "Rounds in which this process looked what waits for bodies.",
                as_figure(standing.rounds()),
            ),
            figure(
                "linli_bodies_troubled",
                "Bodies with which something is wrong since they were last reached (CommunityService.GetDelivery).",
                as_figure(standing.troubled()),
            ),
            figure(
                "linli_referrals_failed",
                "Referrals that failed and wait for a person (CommunityService.ListReferrals).",
                as_figure(standing.failed()),
            ),
        ]);
        if let Some(sink) = app.events.sink() {
            figures.extend([
                figure(
                    "linli_event_sink_connected",
                    "1 where NATS takes events.",
                    f64::from(sink.is_connected()),
                ),
                figure(
                    "linli_event_sink_leading",
                    "1 on the one server that takes events out to NATS.",
                    f64::from(sink.is_leading()),
                ),
                figure(
                    "linli_event_sink_waiting",
                    "Events that have not gone out to NATS yet, of all sites.",
                    as_figure(sink.waiting()),
                ),
                figure(
                    "linli_event_sink_given",
                    "Events that this process gave to NATS.",
                    as_figure(sink.given()),
                ),
            ]);
        }
        figures
    })
}

fn as_figure(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    /// A folder of one test, removed with it.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("linli-assemble-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn config(folder: &Folder, dev: bool, toml: &str) -> Config {
        let flags = Flags { dev, data: Some(folder.0.join("data")), ..Flags::default() };
        Config::layered(Some((toml, "linli.toml")), [], &flags).unwrap()
    }

    async fn error(config: &Config) -> String {
        assemble(config).await.err().map_or_else(String::new, |err| err.to_string())
    }

    #[tokio::test]
    async fn a_development_server_needs_nothing() {
        let folder = Folder::new("dev");
        let config = config(&folder, true, "");
        let first = assemble(&config).await.unwrap();
        let tokens = first.tokens.clone().unwrap();
        assert_ne!(tokens.member, tokens.outsider);
        assert_eq!(tokens.member.len(), 32);
        // A second server on the same files is refused while the first is there.
        assert!(error(&config).await.contains("in use"));
        first.close().await;
        let again = assemble(&config).await.unwrap();
        assert_ne!(again.tokens.unwrap().member, tokens.member, "tokens are of one run");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let folder = Folder::new("missing");
        let found = error(&config(&folder, false, "")).await;
        assert!(found.contains("root.key") && found.contains("linli keys init"), "{found}");
        let required = "plugins.required = [\"cn.example.none\"]";
        let found = error(&config(&folder, true, required)).await;
        assert!(found.contains("`cn.example.none`") && found.contains("plugins.folders"), "{found}");
        let all_the_same = format!("{required}\nplugins.start_without_required = true");
        assert_eq!(error(&config(&folder, true, &all_the_same)).await, "");
    }

    #[tokio::test]
    async fn production_has_no_tokens_and_no_clear_text() {
        let folder = Folder::new("production");
        let key = folder.0.join("data/root.key");
        make_folder_of(&key).unwrap();
        RootKey::from_file_or_new(&key, &OsRandom).unwrap();
        assert!(assemble(&config(&folder, false, "")).await.unwrap().tokens.is_none());
        let url = folder.0.join("url");
        std::fs::write(&url, "postgres://linli:geheim@db.example/linli?sslmode=prefer").unwrap();
        std::fs::set_permissions(&url, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let toml = format!("store.backend = \"postgres\"\nstore.postgres.url_file = \"{}\"", url.display());
        let found = error(&config(&folder, false, &toml)).await;
        assert!(found.contains("verify-full") && !found.contains("geheim"), "{found}");
    }
}
