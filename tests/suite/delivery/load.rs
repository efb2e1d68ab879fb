//! Many referrals to many bodies, some of which never answer.

use super::receivers::{Place, webhook};
use super::{ask, behind, delivery, estate, with_channels};
use crate::harness::PATIENCE;
use crate::harness::client::Client;
use crate::harness::server::{Data, Server};

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
    for name in &names[1..] {
        behind(&client, name).await;
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
    delivery(client, &format!("bodies/{body}")).await.waiting
}
