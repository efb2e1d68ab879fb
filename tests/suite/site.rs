//! Sites, dwellings, areas, posts and their holders, parameters of plugins.

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{elder, flag, mask};
use crate::harness::server::Server;
use crate::harness::{invalid, refused};

#[tokio::test(flavor = "multi_thread")]
async fn sites_are_listed_by_name_and_changed_by_mask() {
    let server = Server::start().await;
    let client = server.client();
    for id in ["b2", "a1", "c3"] {
        client.site(id).await;
    }
    let mut request = v1::ListSitesRequest { page_size: 2, ..Default::default() };
    let first = client.ask(request.clone()).await.unwrap();
    request.page_token = first.next_page_token;
    let second = client.ask(request).await.unwrap();
    let names: Vec<_> = first.sites.iter().chain(&second.sites).map(|site| site.name.as_str()).collect();
    assert_eq!((names, second.next_page_token.as_str()), (vec!["sites/a1", "sites/b2", "sites/c3"], ""));
    let site = v1::Site {
        name: "sites/a1".to_owned(),
        display_name: "  晨光里 ".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        ..Default::default()
    };
    let update = v1::UpdateSiteRequest {
        site: Some(site),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    let changed = client.ask(update.clone()).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.time_zone.as_str()), ("晨光里", "Asia/Shanghai"));
    let changed =
        client.ask(v1::UpdateSiteRequest { update_mask: mask(&["time_zone"]), ..update }).await.unwrap();
    assert_eq!(changed.time_zone, "Europe/Berlin");
    // Without an id the server chooses one.
    let named = v1::Site { display_name: "无名".to_owned(), ..Default::default() };
    let made = client.ask(v1::CreateSiteRequest { site: Some(named), ..Default::default() }).await.unwrap();
    assert_eq!(made.name.len(), "sites/".len() + 36);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dwellings_and_areas_are_found_by_building_and_kind() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    client.dwelling(&site, "501").await;
    let villa = v1::Dwelling { building: "9".to_owned(), room: "1".to_owned(), ..Default::default() };
    let villa = client
        .ask(v1::CreateDwellingRequest { parent: site.clone(), dwelling: Some(villa), ..Default::default() })
        .await
        .unwrap();
    let list = |parent: &str, building: &str| v1::ListDwellingsRequest {
        parent: parent.to_owned(),
        building: building.to_owned(),
        ..Default::default()
    };
    let count = |answer: v1::ListDwellingsResponse| answer.dwellings.len();
    assert_eq!(count(client.ask(list(&site, "")).await.unwrap()), 2);
    assert_eq!(client.ask(list(&site, "9")).await.unwrap().dwellings, std::slice::from_ref(&villa));
    assert_eq!(count(client.ask(list(&site, "09")).await.unwrap()), 0);
    assert_eq!(count(client.ask(list("sites/-", "")).await.unwrap()), 2);
    let cleared = v1::UpdateDwellingRequest {
        dwelling: Some(v1::Dwelling { name: villa.name.clone(), ..Default::default() }),
        update_mask: mask(&["building"]),
        ..Default::default()
    };
    invalid(client.ask(cleared).await, &["dwelling.building"]);
    assert_eq!(client.ask(v1::GetDwellingRequest { name: villa.name.clone() }).await.unwrap(), villa);

    for (kind, title) in [(v1::AreaKind::Gate, "东门"), (v1::AreaKind::Passage, "连廊")] {
        let area = v1::Area { kind: kind.into(), display_name: title.to_owned(), ..Default::default() };
        client
            .ask(v1::CreateAreaRequest { parent: site.clone(), area: Some(area), ..Default::default() })
            .await
            .unwrap();
    }
    let gates = v1::ListAreasRequest { parent: site, kind: v1::AreaKind::Gate.into(), ..Default::default() };
    let gates = client.ask(gates).await.unwrap().areas;
    assert_eq!(gates.iter().map(|area| area.display_name.as_str()).collect::<Vec<_>>(), ["东门"]);
    server.stop().await;
}

async fn post(client: &Client, site: &str) -> v1::Post {
    let post = v1::Post {
        display_name: "3栋管家".to_owned(),
        department: v1::Department::CustomerService.into(),
        buildings: vec!["3".to_owned()],
        ..Default::default()
    };
    client
        .ask(v1::CreatePostRequest { parent: site.to_owned(), post: Some(post), ..Default::default() })
        .await
        .unwrap()
}

fn holder(staff: &str, from: &str, to: &str) -> v1::PostHolder {
    v1::PostHolder {
        staff: format!("staff/{staff}"),
        cover: false,
        start_date: from.to_owned(),
        end_date: to.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_has_one_holder_at_a_time_and_any_cover() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let post = post(&client, &site).await.name;
    let add = |holder: v1::PostHolder| v1::AddPostHolderRequest {
        name: post.clone(),
        holder: Some(holder),
        ..Default::default()
    };
    client.ask(add(holder("wang", "2026-01-01", "2026-03-31"))).await.unwrap();
    for (from, to) in [("2026-03-31", ""), ("2025-12-01", "2026-01-01"), ("2026-02-01", "2026-02-02")] {
        refused(client.ask(add(holder("li", from, to))).await, "POST_HOLDER_STATE");
    }
    let next = client.ask(add(holder("li", "2026-04-01", ""))).await.unwrap();
    let staff =
        |post: &v1::Post| -> Vec<String> { post.holders.iter().map(|holder| holder.staff.clone()).collect() };
    assert_eq!(staff(&next), ["staff/li", "staff/wang"], "the newest first");
    let cover = v1::PostHolder { cover: true, ..holder("zhao", "2026-03-10", "2026-03-20") };
    client.ask(add(cover)).await.unwrap();
    // Who holds or covers a post today is found by it.
    let of = |name: &str| v1::ListPostsRequest {
        parent: site.clone(),
        staff: format!("staff/{name}"),
        ..Default::default()
    };
    for (name, found) in [("wang", 1), ("zhao", 1), ("li", 0), ("nobody", 0)] {
        assert_eq!(client.ask(of(name)).await.unwrap().posts.len(), found, "{name}");
    }
    client.advance("2026-04-02T09:00:00+08:00").await;
    for (name, found) in [("wang", 0), ("zhao", 0), ("li", 1)] {
        assert_eq!(client.ask(of(name)).await.unwrap().posts.len(), found, "{name} in April");
    }
    let end = |from: &str, to: &str| v1::EndPostHolderRequest {
        name: post.clone(),
        staff: "staff/li".to_owned(),
        start_date: from.to_owned(),
        end_date: to.to_owned(),
        ..Default::default()
    };
    invalid(client.ask(end("", "2026-05-01")).await, &["start_date"]);
    invalid(client.ask(end("2026-04-01", "2026-03-31")).await, &["end_date"]);
    refused(client.ask(end("2026-04-02", "2026-05-01")).await, "POST_HOLDER_STATE");
    client.ask(end("2026-04-01", "2026-05-01")).await.unwrap();
    refused(client.ask(end("2026-04-01", "2026-05-01")).await, "POST_HOLDER_STATE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_site_change_what_the_rules_find() {
    let server = Server::start().await;
    let client = server.client();
    let (site, other) = (client.site("s1").await, client.site("s2").await);
    let name = |site: &str| format!("{site}/pluginParameters/cn.linli.elderly");
    let age = |answer: &v1::PluginParameters| {
        let found = answer.parameters.iter().find(|p| p.field == "advanced_age_years").unwrap();
        (found.value.clone().unwrap().kind.unwrap(), found.is_default)
    };
    let get = |site: &str| v1::GetPluginParametersRequest { name: name(site) };
    let number = v1::value::Kind::Number;
    assert_eq!(age(&client.ask(get(&site)).await.unwrap()), (number(80), true));
    let set = |value: Option<i64>| v1::SetPluginParametersRequest {
        name: name(&site),
        parameters: vec![v1::PluginParameter {
            field: "advanced_age_years".to_owned(),
            value: value.map(|value| v1::Value { kind: Some(number(value)) }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let changed = client.ask(set(Some(70))).await.unwrap();
    assert_eq!(age(&changed), (number(70), false));
    assert_eq!(age(&client.ask(get(&other)).await.unwrap()), (number(80), true), "of one site only");
    let groups = |resident: v1::Resident| resident.groups;
    for (site, expect) in [(&site, vec!["advanced_age"]), (&other, vec![])] {
        let dwelling = client.dwelling(site, "501").await;
        let person = v1::Resident {
            birth_date: "1950-01-01".to_owned(),
            facts: vec![flag("lives_alone", false)],
            ..elder(&dwelling, "秦安然")
        };
        assert_eq!(groups(client.resident(person).await), expect, "{site}");
    }
    let back = client.ask(set(None)).await.unwrap();
    assert_eq!(age(&back), (number(80), true), "no value is the default again");
    server.stop().await;
}
