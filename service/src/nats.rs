//! Events to NATS JetStream, as CloudEvents 1.0 in structured JSON.
//!
//! Subject `{prefix}.{site}.{kind}`; id `{site}/{sequence}/{microseconds of its time}`, also as `Nats-Msg-Id`, by which the stream tells
//! what it has already. (A database that was put back by an older one counts the same numbers again, for other events.) An event
//! counts as given when the stream that the configuration names has acknowledged it.

use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{ConnectOptions, Event, ServerAddr};
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
/// What the longest event takes with its headers, in bytes, rounded up.
const MESSAGE_MAX: i32 = 2_048;
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
        let address: ServerAddr = url.parse().map_err(|_| away(format!("`{url}` is no address")))?;
        let mut options = ConnectOptions::new()
            .name("linli")
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            // Who lost the connection makes a new one by this function: none lives on beside it with what it has in hand.
            .max_reconnects(1)
            .event_callback(|event| async move {
                match event {
                    // What is not permitted is not answered either: this is all that is heard of it.
                    Event::ServerError(why) => tracing::warn!(%why, "NATS complains"),
                    other => tracing::debug!(%other, "NATS"), // a foreign enum: the connection comes and goes
                }
            });
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
                options.token(token.read().map_err(away)?.expose_secret().to_owned())
            }
            NatsCredentials::Password { user, password } => {
                let password = password.read().map_err(away)?;
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
        };
        let client = options.connect(address).await;
        let client = client.map_err(|error| away(format!("`{url}`: {error}")))?;
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
        let made = made.map_err(|error| away(format!("the stream `{name}`: {error}")))?;
        let config = &made.cached_info().config;
        if let Some(why) = unfit(config, subject_prefix) {
            return Err(away(format!("the stream `{name}` {why}")));
        }
        let window = config.duplicate_window;
        if window < DUPLICATE_WINDOW {
            tracing::warn!(
                stream = name,
                ?window,
                wanted = ?DUPLICATE_WINDOW,
                "the stream forgets soon what it has: an event that is given again later stands there twice, under one id"
            );
        }
        if (1..MESSAGE_MAX).contains(&config.max_message_size) {
            tracing::warn!(
                stream = name,
                bytes = config.max_message_size,
                wanted = MESSAGE_MAX,
                "the stream takes short messages only: of a site with an event that is longer nothing goes out from there on"
            );
        }
        self.context = Some(context);
        Ok(())
    }

    async fn give(&self, event: &ChangeEvent) -> Result<(), OutletError> {
        let not_connected = || away("not connected".to_owned());
        let context = self.context.as_ref().ok_or_else(not_connected)?;
        let subject = format!("{}.{}.{}", self.settings.subject_prefix, event.site, event.kind);
        let message = PublishMessage::build()
            .payload(cloud_event(event).to_string().into())
            .message_id(id(event))
            .expected_stream(&self.settings.stream)
            .header("Content-Type", "application/cloudevents+json; charset=UTF-8");
        let failed = |error: PublishError| failure(&subject, &error);
        let given = context.send_publish(subject.clone(), message).await.map_err(failed)?;
        given.await.map(drop).map_err(failed)
    }
}

fn away(why: String) -> OutletError {
    OutletError::Away(why)
}

/// Why an event was not taken. What JetStream answers is about the event; no answer is about everything.
fn failure(subject: &str, error: &PublishError) -> OutletError {
    let why = format!("`{subject}` was not taken: {error}");
    let is_answer = std::error::Error::source(error).is_some_and(|source| source.is::<jetstream::Error>());
    if is_answer || error.kind() == PublishErrorKind::MaxPayloadExceeded {
        OutletError::Refused(why)
    } else {
        OutletError::Away(why)
    }
}

/// Why a stream cannot keep our events.
fn unfit(config: &stream::Config, prefix: &str) -> Option<String> {
    let subjects = &config.subjects;
    if config.no_ack {
        Some("acknowledges nothing (`no_ack`): nobody could tell what it keeps".to_owned())
    } else if !subjects.iter().any(|pattern| covers(pattern, prefix)) {
        Some(format!("takes {subjects:?} and not `{prefix}.>`"))
    } else {
        None
    }
}

/// Whether every subject below a prefix fits a pattern.
fn covers(pattern: &str, prefix: &str) -> bool {
    let mut words = prefix.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            // Below the prefix there are several words, of which the last have no fixed number.
            (">", _) => return true,
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            (_, _) => return false,
        }
    }
    false
}

/// What an event is called wherever it is told outside.
fn id(event: &ChangeEvent) -> String {
    format!("{}/{}/{}", event.site, event.sequence, event.system_time.micros())
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
            "id": "s1/7/1773622860000000",
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

    #[test]
    fn a_stream_has_to_take_everything_below_the_prefix() {
        for pattern in ["estate.events.>", "estate.>", ">", "*.events.>", "estate.*.>"] {
            assert!(covers(pattern, "estate.events"), "{pattern}");
        }
        for pattern in [
            "estate.events",
            "estate.events.*",
            "estate.events.*.*",
            "estate.events.s1.>",
            "other.>",
            "estate",
        ] {
            assert!(!covers(pattern, "estate.events"), "{pattern}");
        }
    }

    /// Ids are as long as they can be, and so are names and kinds.
    #[test]
    fn the_longest_event_is_short() {
        let id = "a".repeat(linli_core::id::ID_MAX_BYTES);
        let at = Instant::MAX;
        let event = ChangeEvent {
            site: SiteId::new(&id).unwrap(),
            sequence: i64::MAX,
            kind: crate::app::change_event::kind::KINDS
                .iter()
                .max_by_key(|kind| kind.len())
                .unwrap()
                .to_string(),
            resource: format!("sites/{id}/residents/{id}/emergencyAccesses/{id}"),
            care_time: at,
            system_time: at,
            withheld: false,
        };
        let prefix = "a".repeat(3 * 65);
        let length = cloud_event(&event).to_string().len() + prefix.len() + self::id(&event).len() + 200;
        assert!(length < usize::try_from(MESSAGE_MAX).unwrap(), "{length}");
    }
}
