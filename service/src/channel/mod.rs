//! Channels: the ways to bodies outside the company. A connector plugin says which exchange it wants, a channel performs it: with
//! its own TLS, credentials and deadlines, and only where the operator permits (`config.rs` says how that is written down).
//!
//! Nothing here decides what may go out or keeps anything: that is [`crate::app`]'s. No text of a request or an answer reaches a log.

mod address;
pub(crate) mod answer;
pub(crate) mod config;
mod folder;
mod http;
mod mail;
mod sign;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use linli_core::id::PluginId;
use linli_core::time::Clock;
use linli_plugin_host::exchange::{End, FailureKind, Outcome, Start, Step};
use linli_plugin_host::{CallError, Plugin};
use tokio::time::Instant;

use self::folder::Folder;
use self::http::Web;
use self::mail::Post;

/// How long a connector may think about one step: it computes, it does not wait.
const STEP_BUDGET: Duration = Duration::from_secs(5);

/// The channels that the operator configured. Empty by default: bodies are told by hand.
#[derive(Debug, Default)]
pub struct Channels {
    channels: BTreeMap<String, Arc<Channel>>,
}

impl Channels {
    /// Reads the channels file; without one there are no channels.
    ///
    /// # Errors
    /// Everything that is wrong with it, one a line.
    pub fn read(path: Option<&Path>) -> Result<Self, Vec<String>> {
        path.map_or_else(|| Ok(Self::default()), config::read)
    }

    /// The channel of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Channel>> {
        self.channels.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.channels.values()
    }
}

/// A way to a body: the connector that speaks, its settings, and what it may reach.
#[derive(Debug)]
pub struct Channel {
    /// The name.
    pub name: String,
    /// The connector plugin.
    pub connector: PluginId,
    /// The connector's settings, a JSON object.
    pub settings: String,
    /// How often bodies are asked what became of referrals; `None`: never.
    pub poll_every: Option<Duration>,
    /// How long one run may take.
    pub run_limit: Duration,
    web: Web,
    post: Option<Post>,
    folder: Option<Folder>,
}

/// The clocks of a run.
#[derive(Clone)]
pub struct Clocks {
    /// The clock that connectors see.
    pub care: Arc<dyn Clock>,
    /// The clock that signatures are dated by.
    pub system: Arc<dyn Clock>,
}

/// Why a run came to no end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The connector failed.
    #[error("the connector: {0}")]
    Connector(#[from] CallError),
    /// It took too long. What was asked for may have happened.
    #[error("no end within {} s", .0.as_secs())]
    TooLong(Duration),
}

impl Channel {
    /// Has the connector carry out an operation, and performs what it asks for. Cancelled, it leaves nothing behind but what the
    /// recipient was told already.
    ///
    /// # Errors
    /// [`RunError`]. Whatever it was, the same operation under the same idempotency key may be run again.
    pub async fn run(&self, plugin: Arc<Plugin>, start: Start, clocks: &Clocks) -> Result<End, RunError> {
        let deadline = Instant::now() + self.run_limit;
        let key = start.idempotency_key.clone();
        let begun = move || plugin.begin(&start, STEP_BUDGET);
        let (mut run, mut step) = blocking(begun).await?;
        // The host ends a run that asks for too many exchanges.
        loop {
            if let Step::End(end) = step {
                return Ok(end);
            }
            let performed = tokio::time::timeout_at(deadline, self.perform(&step, &key, clocks)).await;
            let Ok(outcome) = performed else { return Err(RunError::TooLong(self.run_limit)) };
            let now = clocks.care.now();
            (run, step) =
                blocking(move || run.step(&outcome, now, STEP_BUDGET).map(|step| (run, step))).await?;
        }
    }

    /// Performs one exchange.
    async fn perform(&self, step: &Step, key: &str, clocks: &Clocks) -> Outcome {
        match step {
            Step::Http(request) => {
                self.web.send(request, clocks.system.now().micros().div_euclid(1_000_000)).await
            }
            Step::Mail(mail) => match &self.post {
                Some(post) => post.send(mail, key).await,
                None => forbidden("this channel has no `mail`"),
            },
            Step::WriteFile { .. } | Step::ReadFile { .. } | Step::ListFiles | Step::MoveFile { .. } => {
                match &self.folder {
                    Some(folder) => folder.perform(step, clocks.system.now()).await,
                    None => forbidden("this channel has no `folder`"),
                }
            }
            Step::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Outcome::Done
            }
            Step::End(_) => Outcome::Done,
        }
    }
}

/// A call into a connector, which computes and may take its time.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<T, RunError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => Ok(result?),
        Err(joined) => std::panic::resume_unwind(joined.into_panic()),
    }
}

fn failure(kind: FailureKind, detail: impl Into<String>) -> Outcome {
    Outcome::Failure { kind, detail: detail.into() }
}

fn forbidden(detail: impl Into<String>) -> Outcome {
    failure(FailureKind::Forbidden, detail)
}
