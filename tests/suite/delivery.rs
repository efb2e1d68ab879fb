//! Delivery: what waits for a body reaches it once, whatever goes wrong on the way, and the state of every referral is true.

pub mod receivers;

use linli_proto::v1;
use linli_proto::v1::ReferralState as State;
use linli_proto::v1::{BodyKind, DisclosedField as Field, DisclosurePurpose as Purpose, FieldClass as Class};
use serde_json::{Value, json};

use self::receivers::{Place, folder, mail, webhook};
use crate::community_body::{agreed, enter, station};
use crate::harness::PATIENCE;
use crate::harness::client::Client;
use crate::harness::estate::elder;
use crate::harness::server::{Child, Data, Server};
use crate::referral::yes;

/// A server's data with these channels.
pub fn with_channels(data: Data, channels: &str) -> Data {
    let file = data.folder().join("channels.toml");
    std::fs::write(&file, format!("format = 1\n{channels}")).unwrap();
    data
}

/// A body behind a channel, and a resident who consented to its being told.
async fn estate(client: &Client, channel: &str) -> (String, String) {
    let (_, dwelling, _) = client.estate("s1").await;
    let resident = client.resident(elder(&dwelling, "霜降白鹭")).await.name;
    let agreement = Some(agreed(&[Field::Name], &[Purpose::Referral]));
    let body = v1::CommunityBody { agreement, channel: channel.to_owned(), ..station() };
    let body = enter(client, channel, body).await;
    let consent = yes(&resident, BodyKind::HealthService, Purpose::Referral, &[Class::Contact]);
    client.ask(consent).await.unwrap();
    (resident, body)
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

/// Waits until a referral stands somewhere.
async fn stands(client: &Client, name: &str, state: State) -> v1::Referral {
    let since = std::time::Instant::now();
    loop {
        let referral = get(client, name).await;
        if referral.state() == state {
            return referral;
        }
        assert!(since.elapsed() < PATIENCE, "waited for {state:?}: {referral:?}");
        tokio::task::yield_now().await;
    }
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

/// Lets hours pass until a referral stands somewhere.
async fn in_time(client: &Client, name: &str, state: State) {
    let since = std::time::Instant::now();
    while get(client, name).await.state() != state {
        hour(client).await;
        assert!(since.elapsed() < PATIENCE, "waited for {state:?}: {:?}", get(client, name).await);
    }
}

/// Waits until a body has a referral; an hour passes whenever it was not reached, and at no other time: nobody tries for ever.
async fn sent_in_time(client: &Client, name: &str, body: &str) {
    let since = std::time::Instant::now();
    let mut seen = None;
    while get(client, name).await.state() != State::Sent {
        let delivery = client.ask(v1::GetDeliveryRequest { name: body.to_owned() }).await.unwrap();
        let rest = Some((delivery.failures, delivery.next_attempt_time));
        if delivery.failures > 0 && rest != seen {
            seen = rest;
            hour(client).await;
        }
        assert!(since.elapsed() < PATIENCE, "{delivery:?}: {:?}", get(client, name).await);
        tokio::task::yield_now().await;
    }
}

fn of<'a>(effects: &'a [Value], name: &str) -> Vec<&'a Value> {
    effects.iter().filter(|effect| effect["referral"] == name).collect()
}

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
            json!({"matter": "上门诊疗", "urgency": "普通", "note": "请上门看一次", "name": "霜降白鹭"})
        );
        assert_eq!(effect["reference"], sent.external_reference.as_str());
        assert_eq!(disclosures(&client, &resident).await, 1);
        receiver.answer(&[
            json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上午上门"}),
            json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上午上门"}),
            json!({"reference": "of somebody else", "state": "accepted"}),
        ]);
        in_time(&client, &name, State::Accepted).await;
        receiver.answer(&[
            json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上午上门"}),
            json!({"reference": sent.external_reference, "state": "accepted", "remark": "明天上午上门"}),
            json!({"reference": "of somebody else", "state": "accepted"}),
            json!({"referral": name, "state": "closed"}),
        ]);
        in_time(&client, &name, State::Closed).await;
        assert_eq!(disclosures(&client, &resident).await, 1);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_leaves_one_effect_and_a_true_state() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("clinic", &folder, receiver.port, "run_s = 5\npoll_minutes = 0");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    // Each begins again until the body has it: nothing happened, or nobody knows, or it happened and the answer was lost.
    for faults in [
        "refuse",
        "POST refuse",
        "hang",
        "hang kept",
        "reset",
        "reset kept",
        "status 500",
        "status 500 kept",
        "status 429:3",
        "status 503:Mon,_16_Mar_2026_05:00:00_GMT",
        "trickle 3",
        "trickle 3 kept",
        "status 500\nreset kept\nstatus 502\nrefuse",
    ] {
        receiver.suffer(faults);
        let name = ask(&client, &resident, &body).await;
        sent_in_time(&client, &name, &body).await;
        assert_eq!(of(&receiver.effects(), &name).len(), 1, "{faults}");
    }
    // Each is refused for good: a person decides, and the next one gets its turn.
    for fault in
        ["redirect https://169.254.169.254/latest/meta-data", "status 400", "status 403", "status 404"]
    {
        receiver.suffer(fault);
        let name = ask(&client, &resident, &body).await;
        stands(&client, &name, State::Failed).await;
        assert!(of(&receiver.effects(), &name).is_empty(), "{fault}");
    }
    let name = ask(&client, &resident, &body).await;
    stands(&client, &name, State::Sent).await;
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
    let agreement = Some(agreed(&[Field::Name], &[Purpose::Referral]));
    let there = v1::CommunityBody { agreement, channel: "down".to_owned(), ..station() };
    let there = enter(&client, "down", there).await;
    let mut waiting = Vec::new();
    for day in 0..7 {
        waiting.push(ask(&client, &resident, &there).await);
        let name = ask(&client, &resident, &here).await;
        stands(&client, &name, State::Sent).await;
        client.advance(&format!("2026-03-{}T09:00:00+08:00", 17 + day)).await;
    }
    for name in &waiting {
        assert_eq!(get(&client, name).await.state(), State::Queued);
    }
    let back = at_down.start(port);
    hour(&client).await;
    for name in &waiting {
        stands(&client, name, State::Sent).await;
    }
    let order: Vec<String> =
        back.effects().iter().map(|effect| effect["referral"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order, waiting, "each once, in the order in which they were asked for");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_told_and_nothing_goes() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    // Another authority's certificate: the channel believes the first one.
    place.certified("other.pem");
    let receiver = place.start(0);
    let server = Server::on(with_channels(data, &webhook("clinic", &folder, receiver.port, ""))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let name = ask(&client, &resident, &body).await;
    let trouble = waits_with_trouble(&client, &body).await;
    assert!(trouble.contains("certificate"), "{trouble}");
    assert_eq!(get(&client, &name).await.state(), State::Queued);
    assert!(receiver.effects().is_empty());
    server.stop().await;
}

/// Waits until a body's lane has trouble, and tells it.
async fn waits_with_trouble(client: &Client, body: &str) -> String {
    let since = std::time::Instant::now();
    loop {
        let delivery = client.ask(v1::GetDeliveryRequest { name: body.to_owned() }).await.unwrap();
        if !delivery.trouble.is_empty() {
            return delivery.trouble;
        }
        assert!(since.elapsed() < PATIENCE, "{delivery:?}");
        tokio::task::yield_now().await;
    }
}

/// Rounds of killing the server between sending and writing that down.
const KILLS: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_sending_and_noting_sends_once() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::https(&folder) else { return };
    let receiver = place.start(0);
    let mut data = with_channels(data, &webhook("clinic", &folder, receiver.port, "poll_minutes = 0"));
    let mut names: Vec<String> = Vec::new();
    let mut estate_of = None;
    for round in 0..KILLS {
        receiver.suffer("");
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
        crate::harness::until("the effect", || (!of(&receiver.effects(), &name).is_empty()).then_some(()));
        names.push(name);
        data = server.kill();
        assert_eq!(receiver.effects().len(), usize::try_from(round).unwrap() + 1);
    }
    receiver.suffer("");
    let server = Child::start(data);
    let client = server.client();
    stands(&client, names.last().unwrap(), State::Sent).await;
    let effects = receiver.effects();
    for name in &names {
        assert_eq!(of(&effects, name).len(), 1, "{name}");
        assert_eq!(get(&client, name).await.state(), State::Sent);
    }
    assert_eq!(names.len(), usize::try_from(KILLS).unwrap());
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_holds_a_link_by_which_the_body_answers() {
    let data = Data::sqlite();
    let place_folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&place_folder) else { return };
    let receiver = place.start(0);
    let port = free_port();
    let data = with_channels(data, &mail("clinic", &place_folder, receiver.port)).with(&format!(
        "community.answer_listen = \"127.0.0.1:{port}\"\ncommunity.answer_url = \"https://answers.example\""
    ));
    let server = Server::on(data).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    // Refused for now, no answer at all, and a connection that is cut off: one mail, or one that is seen to be the same.
    receiver.suffer("451\nhang 20\ndrop");
    let name = ask(&client, &resident, &body).await;
    sent_in_time(&client, &name, &body).await;
    let mails = receiver.mails();
    let [letter] = &mails[..] else { panic!("one mail: {mails:?}") };
    assert!(
        letter.contains("X-Receiver-To: office@clinic.example") && !letter.contains("霜降白鹭"),
        "{letter}"
    );
    // Refused for good: a person decides.
    receiver.suffer("550");
    let refused = ask(&client, &resident, &body).await;
    stands(&client, &refused, State::Failed).await;
    // The text may be folded by its encoding.
    let text = letter.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let text = match text.split_once("base64") {
        Some((_, body)) => {
            let body: String = body.split("\n\n").nth(1).unwrap_or_default().split_whitespace().collect();
            let body = if body.is_empty() {
                text.rsplit("\r\n\r\n").next().unwrap().split_whitespace().collect()
            } else {
                body
            };
            String::from_utf8(
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap(),
            )
            .unwrap()
        }
        None => text,
    };
    let path = text.split("https://answers.example").nth(1).unwrap_or_else(|| panic!("no link: {text}"));
    let path = path.split_whitespace().next().unwrap().to_owned();
    let page = answered(port, "GET", &path, "", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("受理"), "{page}");
    assert_eq!(get(&client, &name).await.state(), State::Sent, "looking changes nothing");
    let form = "application/x-www-form-urlencoded";
    let page = answered(port, "POST", &path, form, "state=accepted&remark=%E6%98%8E%E5%A4%A9");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    stands(&client, &name, State::Accepted).await;
    for _ in 0..2 {
        let page = answered(port, "POST", &path, "application/json", "{\"state\": \"closed\"}");
        assert!(page.contains("recorded"), "{page}");
    }
    stands(&client, &name, State::Closed).await;
    let wrong = answered(port, "POST", &path, form, "state=perhaps");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    for nobodys in [format!("{path}x"), "/a/x.y".to_owned(), "/".to_owned()] {
        let page = answered(port, "GET", &nobodys, "", "");
        assert!(page.starts_with("HTTP/1.1 404"), "{page}");
    }
    server.stop().await;
}

/// A port of this machine that nobody uses at present.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_system_exchanges_tables_in_folders() {
    let data = Data::sqlite();
    let place = data.folder().join("committee");
    let server = Server::on(with_channels(data, &folder("committee", &place))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "committee").await;
    let name = ask(&client, &resident, &body).await;
    let sent = stands(&client, &name, State::Sent).await;
    let out = place.join("out");
    let files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().path()).collect();
    let [table] = &files[..] else { panic!("one file: {files:?}") };
    let text = std::fs::read_to_string(table).unwrap();
    assert!(text.contains("霜降白鹭") && text.contains(&name), "{text}");
    // A second process fills in the answer and leaves it, and leaves another file that nobody understands.
    let answer = format!("reference,state\n{},已受理\n", sent.external_reference);
    std::fs::write(place.join("in/ack-1.csv"), answer).unwrap();
    std::fs::write(place.join("in/ack-2.csv"), "什么,都不是\n1,2\n").unwrap();
    in_time(&client, &name, State::Accepted).await;
    let since = std::time::Instant::now();
    while !(place.join("in/archive/ack-1.csv").is_file() && place.join("in/quarantine/ack-2.csv").is_file()) {
        hour(&client).await;
        let left: Vec<_> =
            std::fs::read_dir(place.join("in")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(since.elapsed() < PATIENCE, "{left:?}");
    }
    server.stop().await;
}

/// Referrals of the run with many bodies; more by `LINLI_REFERRALS`, for figures.
const MANY: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_hang_do_not_slow_the_others() {
    let many = std::env::var("LINLI_REFERRALS").ok().map_or(MANY, |number| number.parse().unwrap());
    let data = Data::sqlite();
    let place_folder = data.folder().join("clinic");
    let Some(place) = Place::https(&place_folder) else { return };
    let receiver = place.start(0);
    // Connections to it stand, and nobody ever speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let names: Vec<String> = (0..20).map(|number| format!("body-{number}")).collect();
    let channels: String = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let port = if number < 5 { silent_port } else { receiver.port };
            webhook(name, &place_folder, port, "poll_minutes = 0")
        })
        .collect();
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, _) = estate(&client, &names[0]).await;
    let agreement = Some(agreed(&[Field::Name], &[Purpose::Referral]));
    for name in &names[1..] {
        let body = v1::CommunityBody { agreement: agreement.clone(), channel: name.clone(), ..station() };
        enter(&client, name, body).await;
    }
    let mut speeds = Vec::new();
    for (round, bodies) in [&names[5..], &names[..]].into_iter().enumerate() {
        let each = many / names.len();
        let before = receiver.effects().len();
        let since = std::time::Instant::now();
        for _ in 0..each {
            let asked = bodies.iter().map(|body| {
                let (client, resident, body) = (client.clone(), resident.clone(), format!("bodies/{body}"));
                tokio::spawn(async move { ask(&client, &resident, &body).await })
            });
            for asked in asked.collect::<Vec<_>>() {
                asked.await.unwrap();
            }
        }
        let asked = since.elapsed();
        for body in &names[5..] {
            while waits(&client, body).await {
                assert!(since.elapsed() < PATIENCE * 20, "{body} waits");
            }
        }
        assert_eq!(receiver.effects().len(), before + each * 15);
        let took = since.elapsed();
        speeds.push(format!(
            "round {round}: {} asked for in {asked:?}, {} there after {took:?}",
            each * bodies.len(),
            each * 15
        ));
    }
    let effects = receiver.effects();
    let mut told: Vec<&str> = effects.iter().map(|effect| effect["referral"].as_str().unwrap()).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), effects.len(), "no referral twice");
    for name in &names[..5] {
        assert!(waits(&client, name).await, "{name}");
    }
    eprintln!("{}", speeds.join("\n"));
    server.stop().await;
}

/// Whether something waits for a body.
async fn waits(client: &Client, body: &str) -> bool {
    client.ask(v1::GetDeliveryRequest { name: format!("bodies/{body}") }).await.unwrap().waiting
}
