//! The whole story, on both databases: every RPC, in this process and as a process of its own, with a restart in
//! between.

use linli_proto::v1;

use crate::harness::client::{Client, RPCS};
use crate::harness::estate::{contact, elder, request_id};
use crate::harness::refused;
use crate::harness::server::{Child, Data, Server};
use crate::harness::story::{self, Words};

#[tokio::test(flavor = "multi_thread")]
async fn the_story_on_sqlite() {
    tell(Data::sqlite(), "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_on_postgresql() {
    if let Some(data) = Data::postgres().await {
        tell(data, "postgresql").await;
    }
}

async fn tell(data: Data, backend: &str) {
    let (data, second) = story::staged(data);
    let server = Server::on(data).await;
    let client = server.client();
    let info = client.ask(v1::GetServerInfoRequest::default()).await.unwrap();
    assert_eq!(info.store_backend, backend);
    let steps = story::tell(&client, &second, &Words::planted()).await;
    assert!(steps.len() >= RPCS.len());
    let (week, visit) = a_week(&client).await;

    // A process of its own goes on where this one ended.
    let data = server.stop().await.at("2026-03-18T09:00:00+08:00");
    let child = Child::start(data);
    let client = child.client();
    let again = client.ask(visit.clone()).await.unwrap();
    assert_eq!(again.records.len(), 1);
    let resident = &visit.records[0].subjects[0].subject;
    assert_eq!(client.owed(resident).await, week, "asked again, answered the same");
    assert_eq!(client.full(resident).await.full_name, "秦安然");
    let mut other = visit.clone();
    other.records[0].kind = v1::ServiceKind::VideoCall.into();
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let data = child.kill();
    let server = Server::on(data).await;
    server.app.store.verify_chain(&scope, None).await.unwrap();
    let client = server.client();
    assert_eq!(client.ask(visit).await.unwrap(), again, "also after a kill");
    server.stop().await;
}

/// Two calls on two days and a visit; what is owed then, and the visit's request.
async fn a_week(client: &Client) -> (Vec<String>, v1::RecordServiceRequest) {
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let resident = client.resident(elder(&dwelling, "秦安然")).await.name;
    client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await;
    client.advance("2026-03-18T09:00:00+08:00").await;
    client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-18T08:00:00+08:00").await;
    let visit =
        contact(&resident, v1::ServiceKind::HomeVisit, "2026-03-17T08:00:00+08:00", v1::Outcome::Done);
    let request = v1::RecordServiceRequest { parent: site, records: vec![visit], request_id: request_id(77) };
    client.ask(request.clone()).await.unwrap();
    let owed = client.owed(&resident).await;
    for line in ["elder.call met 2/2", "elder.visit met 1/1"] {
        assert!(owed.contains(&line.to_owned()), "{line}: {owed:?}");
    }
    (owed, request)
}
