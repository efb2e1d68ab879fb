//! The server itself: what it is, and its simulated clock.

use linli_proto::v1;
use linli_proto::v1::advance_clock_request::Target;
use tonic::{Code, Status};

use crate::harness::client::Client;
use crate::harness::estate::{at, request_id, shown};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

async fn advance(client: &Client, target: Option<Target>, request: &str) -> Result<String, Status> {
    let request = v1::AdvanceClockRequest { target, request_id: request.to_owned() };
    client.ask(request).await.map(|moved| shown(moved.care_time.as_ref()))
}

fn by(seconds: i64) -> Option<Target> {
    Some(Target::By(prost_types::Duration { seconds, nanos: 0 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_clock_moves_forward_once_for_each_request() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(advance(&client, by(3600), "").await.unwrap(), "2026-03-16T10:00");
    let to = Some(Target::To(at("2026-03-17T08:30:00+08:00")));
    assert_eq!(advance(&client, to, &request_id(1)).await.unwrap(), "2026-03-17T08:30");
    assert_eq!(advance(&client, by(60), "").await.unwrap(), "2026-03-17T08:31");
    // Repeated, it answers as before and moves nothing.
    assert_eq!(advance(&client, to, &request_id(1)).await.unwrap(), "2026-03-17T08:30");
    let info = client.ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert_eq!(shown(info.care_time.as_ref()), "2026-03-17T08:31");
    refused(advance(&client, by(61), &request_id(1)).await, "REQUEST_ID_REUSED");

    invalid(advance(&client, None, "").await, &["target"]);
    invalid(advance(&client, by(0), "").await, &["by"]);
    invalid(advance(&client, by(-60), "").await, &["by"]);
    invalid(advance(&client, by(3_661 * 86_400), "").await, &["by"]);
    invalid(advance(&client, Some(Target::To(at("2026-03-16T09:00:00+08:00"))), "").await, &["to"]);
    invalid(advance(&client, by(60), "once").await, &["request_id"]);

    // Two at a time are one after the other.
    let (one, two) = tokio::join!(advance(&client, by(86_400), ""), advance(&client, by(86_400), ""));
    let mut both = [one.unwrap(), two.unwrap()];
    both.sort();
    assert_eq!(both, ["2026-03-18T08:31", "2026-03-19T08:31"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_clock_cannot_be_moved() {
    let server = Server::on(Data::sqlite().at("")).await;
    let client = server.client();
    assert_eq!(
        refused(advance(&client, by(60), "").await, "CLOCK_NOT_SIMULATED").code,
        Code::FailedPrecondition
    );
    let info = client.ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert!(!info.clock_simulated);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_is() {
    let server = Server::start().await;
    let info = server.client().ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert_eq!(info.store_backend, "sqlite");
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(info.clock_simulated && !info.sealed);
    assert!(!info.schema_version.is_empty());
    assert!([2025, 2026].iter().all(|year| info.calendar_years.contains(year)), "{:?}", info.calendar_years);
    assert!(info.calendar_years.is_sorted());
    assert_eq!((info.plugins_ready, info.plugins_unwell), (9, 0));
    assert_eq!(shown(info.care_time.as_ref()), "2026-03-16T09:00");
    assert_ne!(info.care_time, info.system_time);
}
