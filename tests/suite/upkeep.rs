//! What the server does by itself: nobody has to look for somebody's birthday to count.

use std::time::{Duration, Instant};

use linli_proto::v1;

use crate::harness::PATIENCE;
use crate::harness::client::Client;
use crate::harness::estate::elder;
use crate::harness::server::Server;

/// The first day of a membership in `group`, once there is one.
async fn member_since(client: &Client, resident: &str, group: &str) -> String {
    let begun = Instant::now();
    loop {
        let request = v1::ListMembershipsRequest { parent: resident.to_owned(), ..Default::default() };
        let found = client.ask(request).await.unwrap().memberships;
        if let Some(membership) = found.iter().find(|m| m.group == format!("careGroups/{group}")) {
            return membership.start_date.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "no membership in {group} came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_turns_eighty_is_on_the_list_from_that_day() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let person = v1::Resident { birth_date: "1946-03-18".to_owned(), ..elder(&dwelling, "秦一") };
    let resident = client.resident(person).await.name;
    client.advance("2026-03-20T09:00:00+08:00").await;
    assert_eq!(member_since(&client, &resident, "advanced_age").await, "2026-03-18");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_threshold_of_a_site_counts_from_the_day_it_was_set() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let person = v1::Resident { birth_date: "1951-01-01".to_owned(), ..elder(&dwelling, "秦二") };
    let resident = client.resident(person).await.name;
    client.advance("2026-03-20T09:00:00+08:00").await;
    let seventy = v1::PluginParameter {
        field: "advanced_age_years".to_owned(),
        value: Some(v1::Value { kind: Some(v1::value::Kind::Number(70)) }),
        is_default: false,
    };
    let set = v1::SetPluginParametersRequest {
        name: format!("{site}/pluginParameters/cn.linli.elderly"),
        parameters: vec![seventy],
        ..Default::default()
    };
    client.ask(set).await.unwrap();
    assert_eq!(member_since(&client, &resident, "advanced_age").await, "2026-03-20");
}
