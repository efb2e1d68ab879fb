//! A server without its root key: what it answers, how it is unsealed, and that a wrong key is no missing one.

use linli_proto::v1;
use prost::Message;
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::server::{Child, Data, Server};
use crate::harness::{refused, until};

/// What gRPC health says of a service: 1 SERVING, 2 NOT_SERVING.
async fn health(client: &Client, service: &str) -> i32 {
    #[derive(Clone, PartialEq, Message)]
    struct Check {
        #[prost(string, tag = "1")]
        service: String,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Answer {
        #[prost(int32, tag = "1")]
        status: i32,
    }
    let check = Check { service: service.to_owned() };
    let answer = client.path::<_, Answer>("grpc.health.v1.Health/Check", check).await;
    answer.unwrap().into_inner().status
}

/// Data of a server with one site, and the content of their root key.
async fn data_and_key() -> (Data, String) {
    let server = Server::start().await;
    server.client().site("s1").await;
    let data = server.stop().await;
    let key = std::fs::read_to_string(data.root_key()).unwrap();
    (data, key)
}

fn put_key(data: &Data, key: &str) {
    use std::os::unix::fs::PermissionsExt;
    let beside = data.root_key().with_extension("new");
    std::fs::write(&beside, key).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(beside, data.root_key()).unwrap();
}

fn is_ready(server: &Child) -> bool {
    server.http("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_root_key_a_server_answers_health_and_no_data_until_the_key_is_back() {
    let (data, key) = data_and_key().await;
    std::fs::remove_file(data.root_key()).unwrap();
    let server = Child::start(data);

    assert!(server.http("/healthz").unwrap().starts_with("HTTP/1.1 200"));
    let readiness = server.http("/readyz").unwrap();
    assert!(readiness.starts_with("HTTP/1.1 503") && readiness.contains("sealed"), "{readiness}");
    assert!(server.metrics().contains("linli_sealed 1"));
    let client = server.client();
    for (service, expect) in [
        ("", 2),
        ("linli.v1.ResidentService", 2),
        ("linli.v1.AdminService", 2),
        ("grpc.health.v1.Health", 1),
        ("grpc.reflection.v1.ServerReflection", 1),
    ] {
        assert_eq!(health(&client, service).await, expect, "{service}");
    }
    let info = client.ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert!(info.sealed && info.store_backend == "sqlite", "{info:?}");
    refused(server.outsider().ask(v1::GetServerInfoRequest {}).await, "PERMISSION_DENIED");
    let refusal = refused(client.ask(v1::ListSitesRequest::default()).await, "SERVER_SEALED");
    assert_eq!(refusal.code, Code::Unavailable);
    refused(client.ask(v1::CreateSiteRequest::default()).await, "SERVER_SEALED");
    refused(client.ask(v1::AdvanceClockRequest::default()).await, "SERVER_SEALED");
    let told = |said: &str| said.contains("to unseal: put the root key at") && said.contains("root.key");
    until("a word about what to do", || told(&server.said()).then_some(()));

    // A key that is none leaves it sealed, and is said aloud.
    put_key(&server.data, "0123");
    until("a word about the key", || server.said().contains("still sealed").then_some(()));
    assert!(!is_ready(&server));

    put_key(&server.data, &key);
    until("an open server", || is_ready(&server).then_some(()));
    let client = server.client();
    assert_eq!(health(&client, "linli.v1.ResidentService").await, 1);
    assert!(!client.ask(v1::GetServerInfoRequest {}).await.unwrap().sealed);
    assert_eq!(client.ask(v1::ListSitesRequest::default()).await.unwrap().sites.len(), 1);
    assert!(server.metrics().contains("linli_sealed 0"));
    let (_, said) = server.stop();
    assert!(said.contains("unsealed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_root_key_ends_the_start() {
    let (data, key) = data_and_key().await;
    let other = if key.starts_with('0') { key.replacen('0', "1", 1) } else { format!("0{}", &key[1..]) };
    put_key(&data, &other);
    let Err(said) = Child::try_start(data.clone()) else { panic!("it started") };
    assert!(said.contains("the root key does not open the key store"), "{said}");
    put_key(&data, &key);
    Child::start(data).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_asks_the_store() {
    let server = Server::start().await;
    assert!(server.readiness().starts_with("HTTP/1.1 200"), "{}", server.readiness());
    server.app.store.close().await;
    let readiness = server.readiness();
    assert!(readiness.starts_with("HTTP/1.1 503") && readiness.contains("store"), "{readiness}");
}
