//! Many referrals to many bodies, some of which never answer: the others get theirs as if all were well. `LINLI_REFERRALS=10000` and
//! `--nocapture` for figures.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::receivers::{Place, Receiver, webhook};
use super::{Hours, ask, behind, delivery, estate, hour, with_channels};
use crate::harness::PATIENCE;
use crate::harness::client::Client;
use crate::harness::server::{Child, Data};

/// Referrals of a round.
const MANY: usize = 200;
const BODIES: usize = 20;
/// How many of the bodies hang in the second round.
const HANGING: usize = 5;
/// Receivers that the bodies are spread over, so that none of them is what all wait for.
const RECEIVERS: usize = 4;

/// Every connection ends before a word was said.
const SHUT: u8 = 0;
/// Connections reach the receiver.
const OPEN: u8 = 1;
/// Connections stand, and nobody ever speaks.
const SILENT: u8 = 2;

/// A way to a receiver that the test opens and closes.
struct Gate {
    port: u16,
    how: Arc<AtomicU8>,
}

impl Gate {
    fn before(receiver: &Receiver) -> Self {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let how = Arc::new(AtomicU8::new(SHUT));
        let (seen, behind) = (Arc::clone(&how), SocketAddr::from(([127, 0, 0, 1], receiver.port)));
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                match seen.load(Ordering::SeqCst) {
                    SHUT => drop(stream),
                    SILENT => held.push(stream),
                    _ => {
                        tokio::spawn(async move {
                            let mut receiver = TcpStream::connect(behind).await.unwrap();
                            // Whoever goes away ends it.
                            let _ = tokio::io::copy_bidirectional(&mut stream, &mut receiver).await;
                        });
                    }
                }
            }
        });
        Self { port, how }
    }

    fn is(&self, how: u8) {
        self.how.store(how, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_hang_do_not_slow_the_others() {
    let many = std::env::var("LINLI_REFERRALS").ok().map_or(MANY, |number| number.parse().unwrap());
    let data = Data::sqlite();
    let folders: Vec<_> =
        (0..RECEIVERS).map(|number| data.folder().join(format!("receiver-{number}"))).collect();
    let Some(places) = folders.iter().map(|folder| Place::https(folder)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let receivers: Vec<Receiver> = places.iter().map(|place| place.start(0)).collect();
    let gates: Vec<Gate> = (0..BODIES).map(|number| Gate::before(&receivers[number % RECEIVERS])).collect();
    let names: Vec<String> = (0..BODIES).map(|number| format!("body-{number}")).collect();
    let channel = |(number, name): (usize, &String)| {
        webhook(name, &folders[number % RECEIVERS], gates[number].port, "poll_minutes = 0")
    };
    let channels: String = names.iter().enumerate().map(channel).collect();
    let server = Child::start(with_channels(data, &channels));
    let client = server.client();
    let (resident, first) = estate(&client, &names[0]).await;
    let mut bodies = vec![first];
    for name in &names[1..] {
        bodies.push(behind(&client, name).await);
    }
    let each = many / BODIES;
    let mut told: HashSet<String> = HashSet::new();
    for (round, hang) in [0, HANGING].into_iter().enumerate() {
        // Everything is asked for while nobody can be reached; then the gates open.
        let since = Instant::now();
        for gate in &gates {
            gate.is(SHUT);
        }
        for _ in 0..each {
            let asked = bodies.iter().map(|body| {
                let (client, resident, body) = (client.clone(), resident.clone(), body.clone());
                tokio::spawn(async move { ask(&client, &resident, &body).await })
            });
            for asked in asked.collect::<Vec<_>>() {
                asked.await.unwrap();
            }
        }
        let asked_in = since.elapsed();
        for (number, gate) in gates.iter().enumerate() {
            gate.is(if number < hang { SILENT } else { OPEN });
        }
        let (since, cpu) = (Instant::now(), server.cpu());
        hour(&client).await;
        for body in &bodies[hang..] {
            // A rest that began as the gates opened ends too.
            let mut hours = Hours::of(&client, body);
            while waits(&client, body).await {
                assert!(since.elapsed() < PATIENCE * 20, "{body} waits");
                hours.pass().await;
            }
        }
        let (took, cpu) = (since.elapsed(), server.cpu() - cpu);
        let effects: Vec<_> = receivers.iter().flat_map(Receiver::effects).collect();
        let well = (BODIES - hang) * each;
        assert_eq!(effects.len() - told.len(), well, "each once");
        told = effects.iter().map(|effect| effect["referral"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told.len(), effects.len(), "no referral twice");
        figures(round, hang, well, (asked_in, each * BODIES), (took, cpu));
    }
    for body in &bodies[..HANGING] {
        assert!(waits(&client, body).await, "{body}");
    }
    server.stop();
}

fn figures(
    round: usize,
    hang: usize,
    well: usize,
    (asked_in, asked): (Duration, usize),
    (took, cpu): (Duration, Duration),
) {
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    eprintln!(
        "round {round}, {hang} of {BODIES} hang: {asked} asked for in {asked_in:?} ({:.0}/s); {well} handed over in {took:?}: {:.1}/s, \
         {:.1}/s for each body, {cpu:?} of linli's processors",
        rate(asked, asked_in),
        rate(well, took),
        rate(well / (BODIES - hang), took),
    );
}

/// Whether something waits for a body.
async fn waits(client: &Client, body: &str) -> bool {
    delivery(client, body).await.waiting
}
