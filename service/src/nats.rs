//! Events to NATS JetStream, as CloudEvents 1.0 in structured JSON.
//!
//! Subject `{prefix}.{site}.{kind}`; id `{site}/{sequence}`, also as `Nats-Msg-Id`, by which the stream tells what it has already. An
//! event counts as given when the stream that the configuration names has acknowledged it.

use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, stream};
use async_nats::{ConnectOptions, ServerAddr};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::app::change_event::{ChangeEvent, Outlet, OutletError};
use crate::config::{Nats, NatsCredentials};
use crate::name;

/// How long a connection, a question to JetStream, or an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a stream that is made here tells what it has already: longer than most servers are away in the middle of a batch. What is
/// given again later is told by its id, by whoever reads it.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(60 * 60);
/// How long a stream that is made here keeps events.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What the `type` of an event begins with.
const TYPE_PREFIX: &str = "cn.linli.";

/// A JetStream that takes events.
pub(crate) struct JetStream {
    settings: Nats,
    context: Option<Context>,
}

impl JetStream {
    /// As the configuration says; nobody is asked yet.
    pub(crate) fn new(settings: Nats) -> Self {
        Self { settings, context: None }
    }
}

impl Outlet for JetStream {
    async fn connect(&mut self) -> Result<(), OutletError> {
        self.context = None;
        let Nats { url, stream: name, subject_prefix, credentials, ca_file, .. } = &self.settings;
        let address: ServerAddr = url.parse().map_err(|_| OutletError(format!("`{url}` is no address")))?;
        let mut options =
            ConnectOptions::new().name("linli").connection_timeout(PATIENCE).request_timeout(Some(PATIENCE));
        options = if self.settings.is_protected() {
            options.require_tls(true)
        } else {
            // In clear text to the one place that was allowed, and to no other that it may name.
            options.ignore_discovered_servers()
        };
        if let Some(ca_file) = ca_file {
            options = options.add_root_certificates(ca_file.clone());
        }
        options = match credentials {
            NatsCredentials::None => options,
            NatsCredentials::Token(token) => {
                options.token(token.read().map_err(OutletError)?.expose_secret().to_owned())
            }
            NatsCredentials::Password { user, password } => {
                let password = password.read().map_err(OutletError)?;
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
        };
        let client = options.connect(address).await;
        let client = client.map_err(|error| OutletError(format!("`{url}` does not answer: {error}")))?;
        let context = ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE).build(client);
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![format!("{subject_prefix}.>")],
            description: Some("What happens in Linli: names and kinds, no values".to_owned()),
            duplicate_window: DUPLICATE_WINDOW,
            max_age: KEPT,
            num_replicas: 1,
            ..stream::Config::default()
        };
        let made = context.get_or_create_stream(config).await;
        let made = made.map_err(|error| OutletError(format!("the stream `{name}`: {error}")))?;
        let window = made.cached_info().config.duplicate_window;
        if window < DUPLICATE_WINDOW {
            tracing::warn!(
                stream = name,
                ?window,
                wanted = ?DUPLICATE_WINDOW,
                "the stream forgets soon what it has: an event that is given again later stands there twice, under one id"
            );
        }
        self.context = Some(context);
        Ok(())
    }

    async fn give(&self, event: &ChangeEvent) -> Result<(), OutletError> {
        let not_connected = || OutletError("not connected".to_owned());
        let context = self.context.as_ref().ok_or_else(not_connected)?;
        let subject = format!("{}.{}.{}", self.settings.subject_prefix, event.site, event.kind);
        let message = PublishMessage::build()
            .payload(cloud_event(event).to_string().into())
            .message_id(id(event))
            .expected_stream(&self.settings.stream)
            .header("Content-Type", "application/cloudevents+json; charset=UTF-8");
        let failed =
            |error: &dyn std::fmt::Display| OutletError(format!("`{subject}` was not taken: {error}"));
        let given = context.send_publish(subject.clone(), message).await.map_err(|error| failed(&error))?;
        given.await.map(drop).map_err(|error| failed(&error))
    }
}

/// What an event is called wherever it is told outside.
fn id(event: &ChangeEvent) -> String {
    format!("{}/{}", event.site, event.sequence)
}

fn cloud_event(event: &ChangeEvent) -> serde_json::Value {
    json!({
        "specversion": "1.0",
        "id": id(event),
        "source": format!("/{}", name::site(&event.site)),
        "type": format!("{TYPE_PREFIX}{}", event.kind),
        "subject": event.resource,
        "time": event.system_time.to_string(),
        "datacontenttype": "application/json",
        "data": {
            "name": name::change_event(&event.site, event.sequence),
            "sequence": event.sequence,
            "careTime": event.care_time.to_string(),
            "withheld": event.withheld,
        },
    })
}

#[cfg(test)]
mod tests {
    use linli_core::id::SiteId;
    use linli_core::time::Instant;

    use super::*;

    #[test]
    fn an_event_as_others_read_it() {
        let at = |minutes| Instant::from_micros(1_773_622_800_000_000).unwrap().plus_minutes(minutes);
        let event = ChangeEvent {
            site: SiteId::new("s1").unwrap(),
            sequence: 7,
            kind: "record.created".to_owned(),
            resource: "sites/s1/records/r".to_owned(),
            care_time: at(0),
            system_time: at(1),
            withheld: false,
        };
        let expected = json!({
            "specversion": "1.0",
            "id": "s1/7",
            "source": "/sites/s1",
            "type": "cn.linli.record.created",
            "subject": "sites/s1/records/r",
            "time": "2026-03-16T01:01:00Z",
            "datacontenttype": "application/json",
            "data": {
                "name": "sites/s1/changeEvents/7",
                "sequence": 7,
                "careTime": "2026-03-16T01:00:00Z",
                "withheld": false,
            },
        });
        assert_eq!(cloud_event(&event), expected);
    }
}
