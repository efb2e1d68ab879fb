//! Delivery: what waits for a body reaches it once, whatever goes wrong on the way, and the state of every referral is true.
//!
//! Each receiver is a program of its own (`tests/suite/receivers`), its faults go by script; folders have none and suffer from files.
//! What happens to a referral under each fault, by the test that shows it:
//!
//! | fault | HTTPS | SMTP | folder |
//! |---|---|---|---|
//! | refused, cut off, no answer, slow trickle, 5xx and 4xx "for now", 429 or 503 with `Retry-After` | `https::every_fault…` | `mail::every_fault…` | – |
//! | cut off in the middle of the answer, or of the text | `https::every_fault…` | `mail::every_fault…` | – |
//! | the effect happened and its answer was lost | `https::every_fault…` | `mail::every_fault…`: two letters of one message id | `folder::a_server_that_is_killed…` |
//! | refused for good, redirected to a private address | `https::what_is_refused…` | `mail::what_is_refused…` | `folder::a_name_that_is_taken…` |
//! | wrong certificate, wrong credentials | `https::who_is_not_trusted…` | `mail::who_is_not_trusted…` | `folder::a_folder_that_is_away…` |
//! | down for a week | `https::a_body_that_is_down…` | `mail::a_relay_that_is_down…` | `folder::a_folder_that_is_away…` |
//! | the server is killed between sending and writing that down | `https::a_server_that_is_killed…`, 50 rounds | `mail::a_server_that_is_killed…` | `folder::a_server_that_is_killed…` |
//! | an answer comes twice, on one way or on two; about what was taken back | `https::an_answer_that_comes_twice…` | by the link: the same | `folder::answers…` |
//! | an answer is cut off, damaged, hostile | `https::an_answer_gets_through…` | – | `folder::answers…` |
//! | many bodies hang | `load` | – | – |

mod folder;
mod https;
mod load;
mod mail;
pub mod receivers;

use linli_proto::v1;
use linli_proto::v1::ReferralState as State;
use linli_proto::v1::{BodyKind, DisclosedField as Field, DisclosurePurpose as Purpose, FieldClass as Class};
use serde_json::Value;

use self::receivers::Receiver;
use crate::community_body::{agreed, enter, station};
use crate::harness::client::Client;
use crate::harness::estate::elder;
use crate::harness::server::{Child, Data};
use crate::harness::{PATIENCE, until};
use crate::referral::yes;

/// A server's data with these channels.
pub fn with_channels(data: Data, channels: &str) -> Data {
    let file = data.folder().join("channels.toml");
    std::fs::write(&file, format!("format = 1\n{channels}")).unwrap();
    data
}

/// A server's data with these channels, and the port at which bodies answer.
fn answering(data: Data, channels: &str) -> (Data, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!(
        "community.answer_listen = \"127.0.0.1:{port}\"\ncommunity.answer_url = \"https://answers.example\""
    );
    (with_channels(data, channels).with(&settings), port)
}

/// A body behind a channel, and a resident who consented to its being told.
async fn estate(client: &Client, channel: &str) -> (String, String) {
    let (_, dwelling, _) = client.estate("s1").await;
    let resident = client.resident(elder(&dwelling, "霜降白鹭")).await.name;
    let body = behind(client, channel).await;
    let consent = yes(&resident, BodyKind::HealthService, Purpose::Referral, &[Class::Contact]);
    client.ask(consent).await.unwrap();
    (resident, body)
}

/// A body behind a channel.
async fn behind(client: &Client, channel: &str) -> String {
    let agreement = Some(agreed(&[Field::Name], &[Purpose::Referral]));
    let body = v1::CommunityBody { agreement, channel: channel.to_owned(), ..station() };
    enter(client, channel, body).await
}

/// A visit, asked for; the referral's name.
async fn ask(client: &Client, resident: &str, body: &str) -> String {
    let parent = resident.split('/').take(2).collect::<Vec<_>>().join("/");
    let referral = v1::Referral {
        resident: resident.to_owned(),
        body: body.to_owned(),
        purpose: Purpose::Referral.into(),
        basis: v1::DisclosureBasis::Consent.into(),
        matter: v1::ReferralMatter::MedicalVisit.into(),
        urgency: v1::RequestUrgency::Routine.into(),
        fields: vec![Field::Name.into()],
        note: "请上门看一次".to_owned(),
        ..Default::default()
    };
    let request = v1::CreateReferralRequest { parent, referral: Some(referral), ..Default::default() };
    client.ask(request).await.unwrap().name
}

async fn get(client: &Client, name: &str) -> v1::Referral {
    client.ask(v1::GetReferralRequest { name: name.to_owned(), ..Default::default() }).await.unwrap()
}

async fn revoke(client: &Client, name: &str) -> v1::Referral {
    client.ask(v1::RevokeReferralRequest { name: name.to_owned(), ..Default::default() }).await.unwrap()
}

async fn retry(client: &Client, name: &str) -> v1::Referral {
    client.ask(v1::RetryReferralRequest { name: name.to_owned(), ..Default::default() }).await.unwrap()
}

/// How what waits for a body is delivered.
async fn delivery(client: &Client, body: &str) -> v1::Delivery {
    client.ask(v1::GetDeliveryRequest { name: body.to_owned() }).await.unwrap()
}

/// Waits until a referral is as it should be.
async fn becomes(client: &Client, name: &str, is: impl Fn(&v1::Referral) -> bool) -> v1::Referral {
    let since = std::time::Instant::now();
    loop {
        let referral = get(client, name).await;
        if is(&referral) {
            return referral;
        }
        assert!(since.elapsed() < PATIENCE, "{referral:?}");
        tokio::task::yield_now().await;
    }
}

/// Waits until a referral stands somewhere.
async fn stands(client: &Client, name: &str, state: State) -> v1::Referral {
    becomes(client, name, |referral| referral.state() == state).await
}

async fn disclosures(client: &Client, resident: &str) -> usize {
    let list = v1::ListDisclosuresRequest { parent: resident.to_owned(), ..Default::default() };
    client.ask(list).await.unwrap().disclosures.len()
}

/// Moves the care clock by an hour: longer than any rest.
async fn hour(client: &Client) {
    let hour = prost_types::Duration { seconds: 3_600, nanos: 0 };
    let target = Some(v1::advance_clock_request::Target::By(hour));
    client.ask(v1::AdvanceClockRequest { target, ..Default::default() }).await.unwrap();
}

/// Lets an hour pass whenever a body's lane has come to another end since the last one, and at no other time: years would pass else.
struct Hours<'a> {
    client: &'a Client,
    body: &'a str,
    seen: Option<End>,
}

/// How a lane was left: failures, when it is tried again, when it was last reached.
type End = (i32, Option<prost_types::Timestamp>, Option<prost_types::Timestamp>);

impl<'a> Hours<'a> {
    fn of(client: &'a Client, body: &'a str) -> Self {
        Self { client, body, seen: None }
    }

    async fn pass(&mut self) {
        let now = delivery(self.client, self.body).await;
        let end = Some((now.failures, now.next_attempt_time, now.reach_time));
        if self.seen != end {
            self.seen = end;
            hour(self.client).await;
        }
        tokio::task::yield_now().await;
    }

    /// Until something is so.
    async fn until(&mut self, what: &str, is: impl AsyncFn() -> bool) {
        let since = std::time::Instant::now();
        while !is().await {
            self.pass().await;
            assert!(since.elapsed() < PATIENCE, "waited for {what}: {:?}", self.seen);
        }
    }
}

/// Lets hours pass until a referral stands somewhere.
async fn in_time(client: &Client, name: &str, state: State) -> v1::Referral {
    let body = get(client, name).await.body;
    let stands = async || get(client, name).await.state() == state;
    Hours::of(client, &body).until(state.as_str_name(), stands).await;
    get(client, name).await
}

/// Waits until a body has a referral; an hour passes whenever it was not reached, and at no other time: nobody tries for ever.
async fn sent_in_time(client: &Client, name: &str, body: &str) {
    let since = std::time::Instant::now();
    let mut seen = None;
    while get(client, name).await.state() != State::Sent {
        let delivery = delivery(client, body).await;
        let rest = Some((delivery.failures, delivery.next_attempt_time));
        if delivery.failures > 0 && rest != seen {
            seen = rest;
            hour(client).await;
        }
        assert!(since.elapsed() < PATIENCE, "{delivery:?}: {:?}", get(client, name).await);
        tokio::task::yield_now().await;
    }
}

/// Kills the server once a referral had its effect at a receiver, before it can write that down, round after round: each start finds
/// out what the one before had done. The data after the last kill, and the referrals in order.
async fn killed_after_each_effect(
    mut data: Data,
    receiver: &Receiver,
    rounds: usize,
    happened: impl Fn(usize, &str) -> bool,
) -> (Data, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut estate_of = None;
    for round in 0..rounds {
        let server = Child::start(data);
        let client = server.client();
        if estate_of.is_none() {
            estate_of = Some(estate(&client, "clinic").await);
        }
        let (resident, body) = estate_of.as_ref().unwrap();
        if let Some(before) = names.last() {
            stands(&client, before, State::Sent).await;
        }
        // The effect happens, and the answer takes its time.
        receiver.suffer("hang 20 kept");
        let name = ask(&client, resident, body).await;
        until("the effect", || happened(round, &name).then_some(()));
        data = server.kill();
        assert!(happened(round, &name), "{name}: once");
        receiver.suffer("");
        names.push(name);
    }
    (data, names)
}

/// Waits until a body's lane has trouble, and tells it.
async fn trouble_of(client: &Client, body: &str) -> String {
    let since = std::time::Instant::now();
    loop {
        let delivery = delivery(client, body).await;
        if !delivery.trouble.is_empty() {
            return delivery.trouble;
        }
        assert!(since.elapsed() < PATIENCE, "{delivery:?}");
        tokio::task::yield_now().await;
    }
}

fn of<'a>(effects: &'a [Value], name: &str) -> Vec<&'a Value> {
    effects.iter().filter(|effect| effect["referral"] == name).collect()
}

/// What the server answers a body, head and content.
fn answered(port: u16, method: &str, path: &str, kind: &str, content: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = content.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: answers.example\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{content}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
