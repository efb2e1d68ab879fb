//! Events to a real NATS server: everything arrives, each once and in order per site, whoever of the two is away or dies.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_nats::jetstream::{self, stream::Stream};
use linli_proto::v1;
use serde_json::Value;

use super::write;
use crate::built::Tool;
use crate::harness::client::Client;
use crate::harness::estate::elder;
use crate::harness::server::{Child, Data, Server};
use crate::harness::{Numbers, PATIENCE, until};
use crate::tls::write_private;

/// Records of a site that are written in one go, a hundred a request.
const RECORDS: u64 = 300;
/// How often the server of Linli dies while events go out.
const KILLS: u64 = 6;
const PASSWORD: &str = "correct-horse";

/// A NATS server with TLS and a user, that can go away and come back with what it had.
struct Nats {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<std::process::Child>,
}

impl Nats {
    /// `None`, said aloud, where there is none.
    fn start(folder: &Path) -> Option<Self> {
        let program = Tool::NatsServer.find()?;
        let folder = folder.join("nats");
        std::fs::create_dir_all(&folder).unwrap();
        let issuer_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = authority.self_signed(&issuer_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let issuer = rcgen::Issuer::new(authority, issuer_key);
        let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        write_private(&folder.join("password"), PASSWORD);
        // Free a moment ago; it has to be the same one after an outage.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shown = folder.display();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{shown}/store\" }}\n\
             tls {{ cert_file: \"{shown}/cert.pem\", key_file: \"{shown}/key.pem\" }}\n\
             authorization {{ user: linli, password: \"{PASSWORD}\" }}\n"
        );
        std::fs::write(folder.join("nats.conf"), config).unwrap();
        let mut nats = Self { program, folder, port, process: None };
        nats.come();
        Some(nats)
    }

    fn come(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.join("nats.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        let address = ("127.0.0.1", self.port);
        until("a NATS server that listens", || std::net::TcpStream::connect(address).ok());
    }

    /// SIGKILL, as a power cut ends it.
    fn go(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.port)
    }

    fn settings(&self) -> String {
        let folder = self.folder.display();
        format!(
            "[events.nats]\nurl = \"{}\"\nuser = \"linli\"\npassword_file = \"{folder}/password\"\n\
             tls_ca_file = \"{folder}/ca.pem\"\nsubject_prefix = \"estate.events\"",
            self.url()
        )
    }

    /// The stream, for who reads it.
    async fn stream(&self) -> Stream {
        self.found().await.unwrap()
    }

    /// The same; `None`: there is none yet.
    async fn found(&self) -> Option<Stream> {
        jetstream::new(self.client().await).get_stream("LINLI_EVENTS").await.ok()
    }

    /// Somebody who is let in.
    async fn client(&self) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new()
            .user_and_password("linli".to_owned(), PASSWORD.to_owned())
            .add_root_certificates(self.folder.join("ca.pem"))
            .require_tls(true);
        options.connect(self.url()).await.unwrap()
    }

    /// The password by which Linli comes.
    fn write_password(&self, password: &str) {
        write_private(&self.folder.join("password"), password);
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.go();
    }
}

/// A message of the stream.
struct Message {
    subject: String,
    id: String,
    event: Value,
}

async fn messages(stream: &mut Stream) -> Vec<Message> {
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut messages = Vec::new();
    for sequence in 1..=last {
        let raw = stream.get_raw_message(sequence).await.unwrap();
        let header = |name: &str| raw.headers.get(name).unwrap().as_str().to_owned();
        assert!(header("Content-Type").starts_with("application/cloudevents+json"));
        messages.push(Message {
            subject: raw.subject.to_string(),
            id: header("Nats-Msg-Id"),
            event: serde_json::from_slice(&raw.payload).unwrap(),
        });
    }
    messages
}

/// Everything in the stream, once that many are.
async fn there(nats: &Nats, wanted: usize) -> Vec<Message> {
    let since = std::time::Instant::now();
    loop {
        if let Some(mut stream) = nats.found().await {
            let all = messages(&mut stream).await;
            if all.len() >= wanted {
                return all;
            }
        }
        assert!(since.elapsed() < PATIENCE, "waited for {wanted} events");
        tokio::task::yield_now().await;
    }
}

/// A figure of a page of figures.
pub(super) fn figure(page: &str, name: &str) -> Option<u64> {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
        .map(|figure| figure as u64)
}

/// Somebody in a site of their own.
async fn settle(client: &Client, id: &str) -> String {
    let site = client.site(id).await;
    let dwelling = client.dwelling(&site, "501").await;
    client.resident(v1::Resident { facts: Vec::new(), ..elder(&dwelling, "秦安然") }).await.name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_nats_once_and_in_order() {
    const TEST: &str = "every_event_reaches_nats_once_and_in_order";
    let data = Data::sqlite().bare();
    let Some(mut nats) = Nats::start(data.folder()) else { return };
    let mut numbers = Numbers::seeded(TEST);
    let mut child = Child::start(data.with(&nats.settings()));
    let residents = [settle(&child.client(), "s1").await, settle(&child.client(), "s2").await];
    let given = |child: &Child| figure(&child.metrics(), "linli_event_sink_given ").unwrap_or_default();
    let idle = |child: &Child| figure(&child.metrics(), "linli_event_sink_waiting ") == Some(0);
    until("the first events", || (given(&child) >= 4 && idle(&child)).then_some(()));
    assert_eq!(figure(&child.metrics(), "linli_event_sink_connected "), Some(1));
    let mut stream = nats.stream().await;
    let first = messages(&mut stream).await;
    let config = stream.cached_info().config.clone();
    assert_eq!(config.subjects, ["estate.events.>"]);
    assert!(config.duplicate_window >= std::time::Duration::from_secs(3600), "{config:?}");
    assert_eq!(first[0].subject, "estate.events.s1.dwelling.created");
    assert_eq!(first[0].event["type"], "cn.linli.dwelling.created");
    assert_eq!(first[0].event["subject"], "sites/s1/dwellings/d501");
    assert_eq!(first[0].event["source"], "/sites/s1");

    // NATS is away: whoever cares for people does not notice, and nothing is lost.
    nats.go();
    let mut request = 0;
    for resident in residents.iter().cycle().take(residents.len() * (RECORDS / 100) as usize) {
        request += 1;
        write(&child.client(), resident, 100, request).await;
    }
    until("an outage that is seen", || {
        (figure(&child.metrics(), "linli_event_sink_connected ") == Some(0)).then_some(())
    });
    nats.come();
    // Linli dies while what has waited goes out, again and again, between what NATS has and what is noted of it.
    let mut given_in_all = 0;
    for _ in 0..KILLS {
        let enough = numbers.between(1, 60);
        until("events that go out", || (given(&child) >= enough).then_some(()));
        given_in_all += given(&child);
        child = Child::start(child.kill());
    }
    until("the rest", || idle(&child).then_some(()).filter(|()| given(&child) > 0));
    given_in_all += given(&child);

    let mut by_site: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let all = messages(&mut nats.stream().await).await;
    for message in &all {
        let site = message.event["source"].as_str().unwrap().trim_start_matches("/sites/").to_owned();
        let sequence = message.event["data"]["sequence"].as_i64().unwrap();
        assert_eq!(message.event["id"].as_str().unwrap(), message.id);
        assert!(message.id.starts_with(&format!("{site}/{sequence}/")), "{}", message.id);
        by_site.entry(site).or_default().push(sequence);
    }
    let end = i64::try_from(RECORDS).unwrap() + 2;
    let complete: Vec<i64> = (1..=end).collect();
    assert_eq!(by_site, BTreeMap::from([("s1".to_owned(), complete.clone()), ("s2".to_owned(), complete)]));
    assert!(given_in_all > all.len() as u64, "nothing was given twice: {given_in_all} of {}", all.len());
    eprintln!("{} events, given {given_in_all} times", all.len());
    let (_, said) = child.stop();
    assert!(!said.contains(PASSWORD));
}

/// Two servers of one database: the one that takes events out dies or ends while they flow, and the other goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_goes_on_where_one_died() {
    let Some(data) = Data::postgres().await else { return };
    let data = data.bare();
    let Some(nats) = Nats::start(data.folder()) else { return };
    let data = data.with(&nats.settings());
    let first = Child::start(data.clone());
    let second = Child::start(data.beside());
    let residents = [settle(&first.client(), "s1").await, settle(&first.client(), "s2").await];
    there(&nats, 4).await;
    let leads = |child: &Child| figure(&child.metrics(), "linli_event_sink_leading ") == Some(1);
    let given = |child: &Child| figure(&child.metrics(), "linli_event_sink_given ").unwrap_or_default();
    assert_ne!(leads(&first), leads(&second), "one of them");
    let (leader, other) = if leads(&first) { (first, second) } else { (second, first) };
    let flow = Flow::start(&other.client(), &residents);
    let enough = given(&leader) + 50;
    until("events that go out", || (given(&leader) >= enough).then_some(()));
    let dead = leader.kill();
    other.says("this server takes events out from now on");
    until("events that the other one gives", || (given(&other) > 0).then_some(()));
    let written = flow.stop().await;
    // An orderly end hands over at once.
    let back = Child::start(dead);
    let flow = Flow::start(&back.client(), &residents);
    let enough = given(&other) + 50;
    until("events that go out", || (given(&other) >= enough).then_some(()));
    other.stop();
    back.says("this server takes events out from now on");
    let written = written + flow.stop().await;

    let all = there(&nats, usize::try_from(written).unwrap() + 4).await;
    let mut heard: BTreeMap<&str, Vec<(i64, &str, &str)>> = BTreeMap::new();
    for Message { event, .. } in &all {
        let site = event["source"].as_str().unwrap().trim_start_matches('/');
        let kind = event["type"].as_str().unwrap().trim_start_matches("cn.linli.");
        let sequence = event["data"]["sequence"].as_i64().unwrap();
        heard.entry(site).or_default().push((sequence, kind, event["subject"].as_str().unwrap()));
    }
    for (site, heard) in heard {
        let parent = site.to_owned();
        let events = super::listed_in(&back.client(), &parent, 200).await;
        let happened: Vec<_> =
            events.iter().map(|event| (event.sequence, &*event.kind, &*event.resource)).collect();
        assert_eq!(heard, happened, "each once and in order");
    }
    assert_eq!(all.len() as u64, written + 4);
    back.stop();
}

/// Records that are written in several sites until they are stopped.
struct Flow {
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<u64>>,
}

impl Flow {
    fn start(client: &Client, residents: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = |resident: &String| {
            let (client, resident, stop) = (client.clone(), resident.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    // Small ones: what is given is never far behind.
                    write(&client, &resident, 2, REQUESTS.fetch_add(1, Ordering::Relaxed)).await;
                    written += 2;
                }
                written
            })
        };
        Self { writers: residents.iter().map(writer).collect(), stop }
    }

    /// How many there were.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut written = 0;
        for writer in self.writers {
            written += writer.await.unwrap();
        }
        written
    }
}

/// Numbers of requests, none twice.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// What the operator of NATS or of Linli has set wrongly is said, with what waits for it; nothing is lost, and all goes on by itself
/// once it is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_wrongly_is_said_and_loses_nothing() {
    let data = Data::sqlite().bare();
    let Some(nats) = Nats::start(data.folder()) else { return };
    // A stream of others with that name.
    let jetstream = jetstream::new(nats.client().await);
    let config = |subjects: &str, max_message_size| jetstream::stream::Config {
        name: "LINLI_EVENTS".to_owned(),
        subjects: vec![subjects.to_owned()],
        max_message_size,
        ..Default::default()
    };
    jetstream.create_stream(config("other.>", -1)).await.unwrap();
    nats.write_password("wrong");
    let child = Child::start(data.with(&nats.settings()));
    let client = child.client();
    let long = "a-site-with-as-long-a-name-as-there-is-which-makes-its-events-long";
    let long = &long[..linli_core::id::ID_MAX_BYTES];
    let residents = [settle(&client, "s1").await, settle(&client, long).await];
    let metrics = |name: &str| figure(&child.metrics(), &format!("linli_event_sink_{name} "));
    let stands = |connected, waiting| {
        until("what is said of it", || {
            (metrics("connected") == Some(connected) && metrics("waiting") == Some(waiting)).then_some(())
        });
    };
    child.says("authorization violation");
    stands(0, 4);
    nats.write_password(PASSWORD);
    child.says("takes [\"other.>\"] and not `estate.events.>`");
    stands(0, 4);
    // The right subjects now, and room for the short ones alone.
    let bytes = 640;
    jetstream.update_stream(config("estate.events.>", bytes)).await.unwrap();
    child.says("the stream takes short messages only");
    child.says("message size exceeds maximum allowed");
    let count = 30;
    for number in 0..count {
        write(&client, &residents[0], 10, 1_000 + number).await;
    }
    // One site waits, and the other one does not wait for it.
    stands(1, 2);
    jetstream.update_stream(config("estate.events.>", -1)).await.unwrap();
    stands(1, 0);
    let all = there(&nats, 4 + 10 * usize::try_from(count).unwrap()).await;
    let mut by_site: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for message in &all {
        let site = message.event["source"].as_str().unwrap().to_owned();
        by_site.entry(site).or_default().push(message.event["data"]["sequence"].as_i64().unwrap());
    }
    assert_eq!(by_site["/sites/s1"], (1..=2 + 10 * i64::try_from(count).unwrap()).collect::<Vec<_>>());
    assert_eq!(by_site[&format!("/sites/{long}")], [1, 2]);
    let (_, said) = child.stop();
    assert!(!said.contains(PASSWORD));
}

/// What nobody may hear of who is not named is withheld from NATS too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_is_told_nothing_of_protected_files() {
    let data = Data::sqlite();
    let Some(nats) = Nats::start(data.folder()) else { return };
    let server = Server::on(data.with(&nats.settings())).await;
    let client = server.client();
    let resident = settle(&client, "s1").await;
    // What is given may be given twice: it counts what is there.
    there(&nats, 2).await;
    let staff = v1::CreateStaffRequest {
        staff: Some(v1::Staff {
            display_name: "林".to_owned(),
            grants: vec![crate::harness::issuer::grant(v1::StaffRole::Leader, &["s1"])],
            ..Default::default()
        }),
        staff_id: "lin".to_owned(),
        ..Default::default()
    };
    client.ask(staff).await.unwrap();
    let protect = v1::SetProtectedRequest {
        name: resident.clone(),
        protected_for: vec!["staff/lin".to_owned()],
        ..Default::default()
    };
    client.ask(protect).await.unwrap();
    client.dwelling("sites/s1", "502").await;
    let all = there(&nats, 4).await;
    let told: Vec<(&str, &str)> = all
        .iter()
        .map(|message| {
            (
                message.subject.trim_start_matches("estate.events.s1."),
                message.event["subject"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("dwelling.created", "sites/s1/dwellings/d501"),
            ("resident.created", &resident),
            ("withheld", "sites/s1"),
            ("dwelling.created", "sites/s1/dwellings/d502"),
        ]
    );
    server.stop().await;
}
