//! Listeners, layers, limits and shutdown.
//!
//! Bind first, then serve: [`bind`] takes the sockets (and answers `/healthz`), the composition root opens store and
//! plugins, [`Bound::start`] serves. [`Running::stop`] ends in two phases: NOT_SERVING and no new connections, then a
//! drain with a deadline. The accept loop is our own, because tonic's closes neither idle TCP nor half a preface.
//!
//! What is absent: no handler and no use case is known here; services come in as [`Routes`].

mod admin;
pub mod answers;
pub mod assemble;
mod connection;
mod layers;
pub mod limits;
mod listener;
mod methods;
mod metrics;
pub mod process;
mod strangers;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use linli_core::time::Clock;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub use admin::Probe;
pub use metrics::{Gauge, Gauges};

use crate::app::Ending;
use crate::auth::gate::Gate;
use crate::auth::keys::KeyFile;
use crate::config::{self, Address};
use crate::time::IdSource;
use admin::Admin;
use connection::Serving;
use layers::Means;
use listener::{Listener, Places};
use methods::Methods;
use metrics::Metrics;
use strangers::Strangers;
use tls::Tls;

/// What a server is made of beside its configuration.
pub struct Parts {
    /// The services of the API.
    pub routes: Routes,
    /// Their description, an encoded `FileDescriptorSet`: reflection, figures and deadlines come from it.
    pub descriptors: &'static [u8],
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// The keys of tokens, looked at again from time to time.
    pub keys: Option<Arc<KeyFile>>,
    /// Request ids.
    pub ids: Arc<dyn IdSource>,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Figures of other parts.
    pub gauges: Gauges,
    /// Whether the store answers; `None`: the root key is not there, no store is open, and every call that needs one
    /// is refused.
    pub store: Option<Probe>,
    /// Told when the server ends, so that streams do.
    pub ending: Ending,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate or key of TLS cannot be used.
    #[error("TLS cannot be served: {0}")]
    Tls(String),
    /// The API's description does not decode: a defect of the build.
    #[error("the description of the API is damaged")]
    Descriptors,
}

/// Sockets that are bound, before calls are answered.
pub struct Bound {
    settings: config::Server,
    tls: Option<Arc<Tls>>,
    listener: Listener,
    address: Address,
    admin: Option<Admin>,
}

/// Takes the sockets. `/healthz` answers from now on, `/readyz` says no until the server runs.
///
/// # Errors
/// [`StartError::Bind`].
pub async fn bind(settings: &config::Server) -> Result<Bound, StartError> {
    let failed = |address: String| move |source| StartError::Bind { address, source };
    let tls = settings.tls.as_ref().map(Tls::open).transpose().map_err(StartError::Tls)?.map(Arc::new);
    let listener = Listener::bind(&settings.listen).await.map_err(failed(settings.listen.to_string()))?;
    let address = listener.address().map_err(failed(settings.listen.to_string()))?;
    let admin = match settings.admin_listen {
        Some(address) => Some(Admin::start(address).await.map_err(failed(address.to_string()))?),
        None => None,
    };
    Ok(Bound { settings: settings.clone(), tls, listener, address, admin })
}

impl Bound {
    /// Where gRPC will be served.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where health and figures are served.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Serves from now on: accepts connections and answers SERVING. A sealed server (no store) answers NOT_SERVING for
    /// every service of its own.
    ///
    /// # Errors
    /// [`StartError::Descriptors`].
    pub async fn start(self, parts: Parts) -> Result<Running, StartError> {
        let Self { settings, tls, listener, address, admin } = self;
        let methods = Methods::new(&[
            parts.descriptors,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ]);
        let metrics = Arc::new(Metrics::new(methods, parts.gauges));
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = parts.routes.add_service(health_service);
        if settings.reflection {
            routes = with_reflection(routes, parts.descriptors)?;
        }
        let strangers = Arc::new(Strangers::new(Arc::clone(&metrics)));
        let means = Means {
            gate: parts.gate,
            sealed: parts.store.is_none(),
            strangers: Arc::clone(&strangers),
            ids: parts.ids,
            clock: parts.clock,
            metrics: Arc::clone(&metrics),
            limits: settings.limits,
            timeouts: settings.timeouts,
        };
        let serving = Serving {
            stack: layers::stack(routes, &means),
            tls: tls.clone(),
            metrics: Arc::clone(&metrics),
            limits: settings.limits,
            timeouts: settings.timeouts,
        };
        let places = Places::new(&settings.limits, Arc::clone(&metrics));
        let (phase, phases) = watch::channel(Phase::Serving);
        if let Some(admin) = &admin {
            admin.state.show(Arc::clone(&metrics), parts.store.clone());
        }
        let status = Readiness { health, metrics, admin };
        status.set(if parts.store.is_some() { Answers::Everything } else { Answers::HealthOnly }).await;
        // Ends with the server, however it ends.
        let mut beside = JoinSet::new();
        beside.spawn(rounds(parts.keys, tls.clone(), strangers));
        let task = tokio::spawn(accept(listener, Arc::new(serving), places, phases));
        let ending = parts.ending;
        Ok(Running { address, status, phase, ending, task, _beside: beside, tls, settings })
    }
}

/// A server at work. Dropping it cuts every connection.
pub struct Running {
    address: Address,
    status: Readiness,
    phase: watch::Sender<Phase>,
    ending: Ending,
    task: JoinHandle<(usize, Listener)>,
    _beside: JoinSet<()>,
    tls: Option<Arc<Tls>>,
    settings: config::Server,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Connections that had to be cut.
    pub cut: usize,
}

impl Running {
    /// Where gRPC is served.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where health and figures are served.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.status.admin.as_ref().map(|admin| admin.address)
    }

    /// Ends in two phases: answers NOT_SERVING and waits for the notice to be seen; then accepts nobody, asks every
    /// connection to end and cuts those that have not by the deadline.
    pub async fn stop(self) -> Ended {
        self.status.set(Answers::Nothing).await;
        sleep(self.settings.timeouts.notice).await;
        let drained = self.drain(Phase::Draining).await.0;
        Ended { cut: drained.map_or(0, |(cut, _)| cut) }
    }

    /// Ends every connection as [`Running::stop`] does and gives the sockets back, so that another server starts on
    /// them: who connects meanwhile waits. `None` where the server has failed.
    pub async fn hand_over(self) -> Option<Bound> {
        let (drained, this) = self.drain(Phase::Waiting).await;
        let (_, listener) = drained?;
        let Self { address, status, tls, settings, .. } = this;
        Some(Bound { settings, tls, listener, address, admin: status.admin })
    }

    /// Enters a phase that ends connections, and waits for the last of them.
    async fn drain(mut self, phase: Phase) -> (Option<(usize, Listener)>, Self) {
        self.phase.send_replace(phase);
        self.ending.begin();
        let drained = match timeout(self.settings.timeouts.drain, &mut self.task).await {
            Ok(ended) => ended,
            Err(_) => {
                self.phase.send_replace(Phase::Closed);
                (&mut self.task).await
            }
        };
        (drained.ok(), self)
    }
}

/// What is looked at from time to time: keys and certificates that changed, and who called without credentials.
async fn rounds(keys: Option<Arc<KeyFile>>, tls: Option<Arc<Tls>>, strangers: Arc<Strangers>) {
    let mut look = tokio::time::interval(limits::FILES_LOOKED_AT_EVERY);
    let mut minute = tokio::time::interval(limits::STRANGERS_TOLD_EVERY);
    loop {
        tokio::select! {
            _ = look.tick() => {
                let (keys, tls) = (keys.clone(), tls.clone());
                // A few small files: read beside the calls, not among them.
                let read = tokio::task::spawn_blocking(move || {
                    keys.iter().for_each(|keys| keys.refresh());
                    tls.iter().for_each(|tls| tls.refresh());
                });
                if read.await.is_err() {
                    tracing::error!("reading the keys again panicked");
                }
            }
            _ = minute.tick() => strangers.tell(),
        }
    }
}

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Everything is answered.
    Serving,
    /// What is open may end; nothing new.
    Draining,
    /// What is open may end; what is new waits for another server on the same sockets.
    Waiting,
    /// What is open is cut.
    Closed,
}

/// What the server says that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Every call.
    Everything,
    /// Health and reflection: the process is sealed.
    HealthOnly,
    /// Nothing new: it ends.
    Nothing,
}

/// Whether the server says that it serves, by gRPC health and by `/readyz`.
struct Readiness {
    health: HealthReporter,
    metrics: Arc<Metrics>,
    admin: Option<Admin>,
}

impl Readiness {
    async fn set(&self, answers: Answers) {
        for service in std::iter::once("").chain(self.metrics.methods.services()) {
            let serves = match answers {
                Answers::Everything => true,
                Answers::HealthOnly => methods::is_open(service),
                Answers::Nothing => false,
            };
            let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.health.set_service_status(service, status).await;
        }
        if let Some(admin) = &self.admin {
            admin.state.ready.store(answers == Answers::Everything, Ordering::Release);
        }
    }
}

/// Accepts until the server drains, then waits for the connections. Returns how many were cut.
async fn accept(
    mut listener: Listener,
    serving: Arc<Serving>,
    places: Places,
    mut phases: watch::Receiver<Phase>,
) -> (usize, Listener) {
    let mut connections = JoinSet::new();
    let for_each = phases.clone();
    let mut cut = 0;
    let mut count =
        |ended: Result<bool, tokio::task::JoinError>| cut += usize::from(matches!(ended, Ok(false)));
    loop {
        tokio::select! {
            // An error is a server that was dropped.
            _ = phases.wait_for(|phase| *phase != Phase::Serving) => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = listener.accept() => {
                // Who finds no place is told by the closed socket.
                if let Some(place) = places.take(peer) {
                    connections.spawn(connection::serve(Arc::clone(&serving), stream, place, for_each.clone()));
                }
            }
        }
    }
    if *phases.borrow() != Phase::Waiting {
        listener.close();
    }
    while let Some(ended) = connections.join_next().await {
        count(ended);
    }
    (cut, listener)
}

/// The API, health and reflection itself, described in both versions of the reflection protocol.
fn with_reflection(routes: Routes, descriptors: &'static [u8]) -> Result<Routes, StartError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors, so that grpcurl shows them in words.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().map_err(|_| StartError::Descriptors)?;
    let v1alpha = builder().build_v1alpha().map_err(|_| StartError::Descriptors)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}
