//! Bodies with a system of their own, which takes JSON over HTTPS in.

use std::path::Path;

use linli_proto::v1;
use linli_proto::v1::{AttemptOutcome as Outcome, ReferralDecision as Decision, ReferralState as State};
use serde_json::{Value, json};

use super::receivers::{Place, Receiver, webhook};
use super::{
    Hours, answered, answering, ask, becomes, behind, delivery, disclosures, estate, get, hour, in_time,
    killed_after_each_effect, of, retry, revoke, sent_in_time, stands, trouble_of, with_channels,
};
use crate::harness::client::Client;
use crate::harness::server::{Child, Data, Server};
use crate::harness::until;

/// The channel of a receiver that is asked for answers by no clock, and of which a run ends after five seconds.
const IMPATIENT: &str = "run_s = 5\npoll_minutes = 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_reaches_a_bodys_system_and_its_answer_comes_back() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let folder = data.folder().join("clinic");
        let Some(place) = Place::https(&folder) else { return };
        let receiver = place.start(0);
        let server = Server::on(with_channels(data, &webhook("clinic", &folder, receiver.port, ""))).await;
        let client = server.client();
        let (resident, body) = estate(&client, "clinic").await;
        let name = ask(&client, &resident, &body).await;
        let sent = stands(&client, &name, State::Sent).await;
        let effects = receiver.effects();
        let [effect] = of(&effects, &name)[..] else { panic!("one effect: {effects:?}") };
        assert_eq!(
            effect["fields"],
            json!({
                "matter": "上门诊疗", "matter_en": "medical visit", "urgency": "普通", "urgency_en": "routine",
                "note": "请上门看一次", "name": "霜降白鹭",
            })
        );
        assert_eq!(effect["reference"], sent.external_reference.as_str());
        assert_eq!(disclosures(&client, &resident).await, 1);
        let accepted =
            json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上午上门"});
        let other = json!({"reference": "of somebody else", "state": "accepted"});
        let mut told = vec![accepted.clone(), accepted, other];
        receiver.answer(&told);
        in_time(&client, &name, State::Accepted).await;
        told.push(json!({"referral": name, "state": "closed"}));
        receiver.answer(&told);
        in_time(&client, &name, State::Closed).await;
        assert_eq!(disclosures(&client, &resident).await, 1);
        server.stop().await;
    }
}

/// Faults after which a delivery begins again until the body has it: nothing happened, or nobody knows, or it happened and the answer
/// was lost. Those that take their time each in a series of their own, all at once.
const FAULTS: [&[&str]; 5] = [
    &["hang"],
    &["hang kept"],
    &["trickle 3"],
    &["trickle 3 kept"],
    &[
        "refuse",
        "POST refuse",
        "reset",
        "reset kept",
        "garbage",
        "garbage kept",
        "oversized kept",
        "status 401",
        "status 403",
        "status 500",
        "status 500 kept",
        "status 429:3",
        "status 503:Mon,_16_Mar_2026_05:00:00_GMT",
        "status 500\nreset kept\nstatus 502\nrefuse",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_leaves_one_effect_and_a_true_state() {
    let data = Data::sqlite();
    let folders: Vec<_> =
        (0..FAULTS.len()).map(|number| data.folder().join(format!("body-{number}"))).collect();
    let Some(places) = folders.iter().map(|folder| Place::https(folder)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let receivers: Vec<Receiver> = places.iter().map(|place| place.start(0)).collect();
    let channel = |(number, receiver): (usize, &Receiver)| {
        webhook(&format!("body-{number}"), &folders[number], receiver.port, IMPATIENT)
    };
    let channels: String = receivers.iter().enumerate().map(channel).collect();
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, first) = estate(&client, "body-0").await;
    let mut bodies = vec![first];
    for number in 1..FAULTS.len() {
        bodies.push(behind(&client, &format!("body-{number}")).await);
    }
    let series = receivers.into_iter().zip(bodies).zip(FAULTS).map(|((receiver, body), faults)| {
        let (client, resident) = (client.clone(), resident.clone());
        tokio::spawn(async move {
            for fault in faults {
                receiver.suffer(fault);
                let name = ask(&client, &resident, &body).await;
                sent_in_time(&client, &name, &body).await;
                assert_eq!(of(&receiver.effects(), &name).len(), 1, "{fault}");
                let attempts = attempts(&client, &name).await;
                let (last, before) = attempts.split_last().unwrap();
                assert_eq!(last.outcome(), Outcome::Delivered, "{fault}");
                assert!(
                    !before.is_empty() && before.iter().all(|attempt| attempt.outcome() == Outcome::Later),
                    "{fault}: {attempts:?}"
                );
            }
        })
    });
    for one in series.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    server.stop().await;
}

async fn attempts(client: &Client, name: &str) -> Vec<v1::DeliveryAttempt> {
    let list = v1::ListDeliveryAttemptsRequest { parent: name.to_owned(), ..Default::default() };
    client.ask(list).await.unwrap().attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_waits_for_a_person_and_is_seen() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let server = Server::on(with_channels(data, &webhook("clinic", &folder, receiver.port, IMPATIENT))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let mut failed = Vec::new();
    for fault in
        ["redirect https://169.254.169.254/latest/meta-data", "status 400", "status 404", "status 422"]
    {
        receiver.suffer(fault);
        let name = ask(&client, &resident, &body).await;
        stands(&client, &name, State::Failed).await;
        assert!(of(&receiver.effects(), &name).is_empty(), "{fault}");
        failed.push(name);
    }
    // Whoever looks at the body, at all that failed, or at the figures of the server is told.
    assert_eq!(delivery(&client, &body).await.failed_count, 4);
    let list = v1::ListReferralsRequest {
        parent: "sites/-".to_owned(),
        states: vec![State::Failed.into()],
        body: body.clone(),
        ..Default::default()
    };
    let listed = client.ask(list).await.unwrap().referrals;
    let mut names: Vec<_> = listed.into_iter().map(|referral| referral.name).collect();
    names.sort();
    failed.sort();
    assert_eq!(names, failed);
    let figure = |failed: u32| {
        let line = format!("linli_referrals_failed {failed}\n");
        until("the figure", || server.metrics().contains(&line).then_some(()));
    };
    figure(4);
    // The next one has had its turn all the same; those that failed are tried again, or discarded.
    let next = ask(&client, &resident, &body).await;
    stands(&client, &next, State::Sent).await;
    for name in &failed[..2] {
        retry(&client, name).await;
        stands(&client, name, State::Sent).await;
    }
    for name in &failed[2..] {
        assert_eq!(revoke(&client, name).await.state(), State::Revoked);
    }
    assert_eq!(delivery(&client, &body).await.failed_count, 0);
    let effects = receiver.effects();
    assert_eq!(effects.len(), 3, "{effects:?}");
    hour(&client).await;
    figure(0);
    server.stop().await;
}

/// What a body tells, more and more of it.
struct Told<'a> {
    receiver: &'a Receiver,
    items: Vec<Value>,
}

impl Told<'_> {
    fn more(&mut self, item: Value) {
        self.items.push(item);
        self.receiver.answer(&self.items);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_gets_through_whatever_happens_to_it_on_the_way() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("clinic", &folder, receiver.port, "run_s = 5\npoll_minutes = 1");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let mut told = Told { receiver: &receiver, items: Vec::new() };
    for fault in [
        "GET refuse",
        "GET hang",
        "GET reset",
        "GET garbage",
        "GET oversized",
        "GET status 500",
        "GET status 429:5",
        "GET redirect https://169.254.169.254/latest/meta-data",
        "GET duplicate",
    ] {
        let name = ask(&client, &resident, &body).await;
        let sent = stands(&client, &name, State::Sent).await;
        receiver.suffer(fault);
        told.more(json!({"reference": sent.external_reference, "state": "accepted"}));
        let accepted = in_time(&client, &name, State::Accepted).await;
        assert_eq!(accepted.answer.unwrap().decision(), Decision::Accepted, "{fault}");
    }
    // A system that tells nothing takes in what waits for it, without any rest.
    receiver.suffer("always GET status 500");
    for _ in 0..3 {
        hour(&client).await;
        assert!(trouble_of(&client, &body).await.contains("500"));
    }
    for _ in 0..3 {
        let name = ask(&client, &resident, &body).await;
        stands(&client, &name, State::Sent).await;
    }
    server.stop().await;
}

/// Where a body may answer a referral that it has.
fn answer_path(receiver: &Receiver, name: &str) -> String {
    let effects = receiver.effects();
    let url = of(&effects, name)[0]["answer_url"].as_str().unwrap();
    url.strip_prefix("https://answers.example").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_twice_or_too_late_changes_nothing_that_is_true() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let (data, port) = answering(data, &webhook("clinic", &folder, receiver.port, "poll_minutes = 1"));
    let server = Server::on(data).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let mut told = Told { receiver: &receiver, items: Vec::new() };
    let call = |name: &str, content: &Value| {
        let path = answer_path(&receiver, name);
        let answer = answered(port, "POST", &path, "application/json", &content.to_string());
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("recorded"), "{answer}");
    };
    // A last one tells by its answer that all before it were read.
    let marker = ask(&client, &resident, &body).await;
    let marker = stands(&client, &marker, State::Sent).await;
    let mut marked = State::Accepted;
    for first in ["call", "poll"] {
        for taken_back in [false, true] {
            let name = ask(&client, &resident, &body).await;
            let sent = stands(&client, &name, State::Sent).await;
            let mut expect = State::Accepted;
            if taken_back {
                assert!(revoke(&client, &name).await.tell_body);
                expect = State::Revoked;
            }
            let by_call = json!({"state": "accepted", "remark": "明天上门"});
            let by_poll =
                json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上门"});
            let mut once = None;
            for way in [first, first, if first == "call" { "poll" } else { "call" }] {
                if way == "call" {
                    call(&name, &by_call);
                } else {
                    told.more(by_poll.clone());
                    told.more(json!({"referral": marker.name, "state": marked.as_str_name()["REFERRAL_STATE_".len()..]
                        .to_lowercase()}));
                    in_time(&client, &marker.name, marked).await;
                    marked = if marked == State::Accepted { State::Rejected } else { State::Accepted };
                }
                let now = becomes(&client, &name, |referral| referral.answer.is_some()).await;
                let answer = now.answer.as_ref().unwrap();
                assert_eq!(
                    (now.state(), answer.decision()),
                    (expect, Decision::Accepted),
                    "{way} after {first}"
                );
                assert_eq!(*once.get_or_insert(now.clone()), now, "{way} after {first} changed something");
            }
        }
    }
    // Who declined may think better of it, whatever they call the referral by; clocks of bodies go wrong.
    let name = ask(&client, &resident, &body).await;
    let sent = stands(&client, &name, State::Sent).await;
    call(&name, &json!({"state": "rejected", "decided_at": "2001-01-01T00:00:00Z"}));
    stands(&client, &name, State::Rejected).await;
    told.more(json!({"reference": sent.external_reference, "state": "accepted"}));
    in_time(&client, &name, State::Accepted).await;
    call(&name, &json!({"state": "closed", "decided_at": "2101-01-01T00:00:00+08:00"}));
    let closed = stands(&client, &name, State::Closed).await;
    let decided = closed.answer.unwrap().decide_time.unwrap();
    assert!(decided.seconds < 4_000_000_000, "no answer is of the future: {decided:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_on_its_way_stays_so_and_its_answer_is_known() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("clinic", &folder, receiver.port, "poll_minutes = 1");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    // The body has it, and takes two seconds to say so.
    receiver.suffer("POST trickle 0.02 kept");
    let name = ask(&client, &resident, &body).await;
    until("the effect", || (!of(&receiver.effects(), &name).is_empty()).then_some(()));
    assert_eq!(revoke(&client, &name).await.state(), State::Revoked);
    let told = becomes(&client, &name, |referral| !referral.external_reference.is_empty()).await;
    assert!(told.state() == State::Revoked && told.tell_body && told.send_time.is_some(), "{told:?}");
    receiver.answer(&[json!({"reference": told.external_reference, "state": "accepted"})]);
    let noted = async || get(&client, &name).await.answer.is_some();
    Hours::of(&client, &body).until("its answer", noted).await;
    assert_eq!(get(&client, &name).await.state(), State::Revoked);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_down_for_a_week_loses_nothing_and_slows_nobody() {
    let data = Data::sqlite();
    let (well, down) = (data.folder().join("well"), data.folder().join("down"));
    let (Some(at_well), Some(at_down)) = (Place::https(&well), Place::https(&down)) else { return };
    let receiver = at_well.start(0);
    // It has its port, and answers nothing there.
    let port = at_down.start(0).port;
    let channels = webhook("well", &well, receiver.port, "") + &webhook("down", &down, port, "");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, here) = estate(&client, "well").await;
    let there = behind(&client, "down").await;
    let mut waiting = Vec::new();
    for day in 0..7 {
        waiting.push(ask(&client, &resident, &there).await);
        let name = ask(&client, &resident, &here).await;
        stands(&client, &name, State::Sent).await;
        client.advance(&format!("2026-03-{}T09:00:00+08:00", 17 + day)).await;
    }
    trouble_of(&client, &there).await;
    for name in &waiting {
        assert_eq!(get(&client, name).await.state(), State::Queued);
    }
    let since = delivery(&client, &there).await.wait_start_time;
    assert_eq!(since, get(&client, &waiting[0]).await.create_time);
    let back = at_down.start(port);
    hour(&client).await;
    for name in &waiting {
        sent_in_time(&client, name, &there).await;
    }
    let order: Vec<String> =
        back.effects().iter().map(|effect| effect["referral"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order, waiting, "each once, in the order in which they were asked for");
    assert_eq!(delivery(&client, &there).await.wait_start_time, None);
    server.stop().await;
}

/// Trouble that holds a referral back, and goes away with its cause.
async fn holds_back(client: &Client, receiver: &Receiver, body: &str, name: &str, expect: &str) {
    let trouble = trouble_of(client, body).await;
    assert!(trouble.contains(expect), "{trouble}");
    assert_eq!(get(client, name).await.state(), State::Queued);
    assert!(receiver.effects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_trusted_is_told_nothing_and_who_does_not_trust_us_is_waited_for() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    // Another authority's certificate: the channel believes the first one.
    place.certified("other.pem");
    let receiver = place.start(0);
    let port = receiver.port;
    let server = Server::on(with_channels(data, &webhook("clinic", &folder, port, IMPATIENT))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let name = ask(&client, &resident, &body).await;
    holds_back(&client, &receiver, &body, &name, "certificate").await;
    drop(receiver);
    let data = server.stop().await;
    // One that is believed, at a receiver that has another secret than ours.
    place.certified("authority.pem");
    write_secret(&folder, "another-secret");
    let receiver = place.start(port);
    write_secret(&folder, "a-secret-of-two");
    let server = Server::on(data.clone()).await;
    let client = server.client();
    retry(&client, &name).await;
    let since = std::time::Instant::now();
    while !delivery(&client, &body).await.trouble.contains("401") {
        assert!(since.elapsed() < crate::harness::PATIENCE, "{:?}", delivery(&client, &body).await);
        tokio::task::yield_now().await;
    }
    holds_back(&client, &receiver, &body, &name, "secret").await;
    drop(receiver);
    let receiver = place.start(port);
    sent_in_time(&client, &name, &body).await;
    assert_eq!(receiver.effects().len(), 1);
    server.stop().await;
}

fn write_secret(folder: &Path, secret: &str) {
    std::fs::write(folder.join("secret"), secret).unwrap();
}

/// Rounds of killing the server between sending and writing that down.
const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_sending_and_noting_sends_once() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let data = with_channels(data, &webhook("clinic", &folder, receiver.port, "poll_minutes = 0"));
    let happened = |round: usize, name: &str| {
        let effects = receiver.effects();
        effects.len() == round + 1 && !of(&effects, name).is_empty()
    };
    let (data, names) = killed_after_each_effect(data, &receiver, KILLS, happened).await;
    let server = Child::start(data);
    let client = server.client();
    stands(&client, names.last().unwrap(), State::Sent).await;
    let effects = receiver.effects();
    for name in &names {
        assert_eq!(of(&effects, name).len(), 1, "{name}");
        assert_eq!(get(&client, name).await.state(), State::Sent);
    }
    assert_eq!(names.len(), KILLS);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_a_database_share_the_work_and_wait_for_each_other() {
    let Some(data) = Data::postgres().await else { return };
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let data = with_channels(data, &webhook("clinic", &folder, receiver.port, IMPATIENT));
    let (one, other) = (Server::on(data.clone()).await, Server::on(data).await);
    let client = one.client();
    let (resident, body) = estate(&client, "clinic").await;
    // For as long as one works in the lane of a body that hangs, the other has nothing to do there.
    receiver.suffer("hang");
    let name = ask(&client, &resident, &body).await;
    until("the lane is worked in", || receiver.suffered().then_some(()));
    let rounds = |server: &Server| -> u32 {
        let page = server.metrics();
        let figure = page.lines().find_map(|line| line.strip_prefix("linli_delivery_rounds ")).unwrap();
        figure.parse().unwrap()
    };
    let before = rounds(&other);
    let second = ask(&other.client(), &resident, &body).await;
    trouble_of(&client, &body).await;
    let during = rounds(&other) - before;
    assert!(during < 20, "{during} rounds for nothing");
    hour(&client).await;
    hour(&other.client()).await;
    for name in [&name, &second] {
        sent_in_time(&client, name, &body).await;
        assert_eq!(of(&receiver.effects(), name).len(), 1);
    }
    one.stop().await;
    other.stop().await;
}
