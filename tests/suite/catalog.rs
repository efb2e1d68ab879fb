//! The catalogue: groups and standards of core and of the loaded plugins, as one list.

use linli_proto::v1;
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::server::Server;
use crate::harness::{invalid, refused};

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_standards_are_one_sorted_list_with_their_sources() {
    let server = Server::start().await;
    let client = server.client();

    let groups = client.ask(v1::ListCareGroupsRequest::default()).await.unwrap().care_groups;
    let codes: Vec<&str> = groups.iter().map(|group| group.code.as_str()).collect();
    // The twelve groups that the regulation names (Art. 2), each with the plugin that decides it.
    let twelve = [
        ("advanced_age", "elderly"),
        ("child_in_difficulty", "children"),
        ("disabled", "disability"),
        ("disabled_service_member", "military"),
        ("empty_nest", "elderly"),
        ("living_alone", "elderly"),
        ("near_threshold", "hardship"),
        ("nursing", "maternity"),
        ("pregnant", "maternity"),
        ("subsistence_allowance", "hardship"),
        ("survivor", "military"),
        ("veteran", "military"),
    ];
    assert_eq!(codes, twelve.map(|(code, _)| code));
    for group in &groups {
        let got = client.ask(v1::GetCareGroupRequest { name: group.name.clone() }).await.unwrap();
        assert_eq!(&got, group);
        let owner = twelve.iter().find(|(code, _)| *code == group.code).unwrap().1;
        assert_eq!(group.plugin, format!("plugins/cn.linli.{owner}"));
        assert!(group.citation.is_some());
    }

    let standards = all(&client, v1::ListStandardsRequest { page_size: 200, ..Default::default() }).await;
    let names: Vec<&str> = standards.iter().map(|standard| standard.name.as_str()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for standard in &standards {
        let got = client.ask(v1::GetStandardRequest { name: standard.name.clone() }).await.unwrap();
        assert_eq!(&got, standard);
    }
    let find = |code: &str| standards.iter().find(|standard| standard.code == code).unwrap();

    // Fixed by the regulation, declared by a plugin.
    let visit = find("elder.visit");
    assert_eq!(visit.origin(), v1::StandardOrigin::Plugin);
    assert_eq!(visit.plugin.as_ref().unwrap().plugin, "plugins/cn.linli.elderly");
    assert_eq!(visit.citation.as_ref().unwrap().confidence(), v1::Confidence::Verified);
    let weekly = v1::RecurringDuty {
        at_least: 1,
        per: v1::PeriodUnit::Week.into(),
        every_days: 0,
        distinct_days: false,
    };
    assert_eq!(visit.duty, Some(v1::standard::Duty::Recurring(weekly)));
    assert_eq!(visit.accepts, [i32::from(v1::ServiceKind::HomeVisit)]);

    // Fixed by the regulation, built in.
    let survey = find("survey.move_in");
    assert_eq!((survey.origin(), &survey.plugin), (v1::StandardOrigin::Catalogue, &None));
    let v1::standard::Duty::Triggered(within) = survey.duty.as_ref().unwrap() else { panic!("{survey:?}") };
    assert_eq!((within.within, within.unit()), (15, v1::WithinUnit::Days));
    assert!(find("patrol.night").applies_to.as_ref().unwrap().flagged);
    assert!(standards.iter().any(|standard| standard.ladder.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let server = Server::start().await;
    let client = server.client();
    let whole = all(&client, v1::ListStandardsRequest { page_size: 200, ..Default::default() }).await;
    let by_three = all(&client, v1::ListStandardsRequest { page_size: 3, ..Default::default() }).await;
    assert_eq!(whole, by_three);

    let check = |request: v1::ListStandardsRequest, holds: &'static dyn Fn(&v1::Standard) -> bool| {
        let (client, whole) = (client.clone(), whole.clone());
        async move {
            let found = all(&client, request).await;
            let expect: Vec<_> = whole.into_iter().filter(|standard| holds(standard)).collect();
            assert!(!expect.is_empty());
            assert_eq!(found, expect);
        }
    };
    let security =
        v1::ListStandardsRequest { department: v1::Department::Security.into(), ..Default::default() };
    check(security, &|standard| standard.department() == v1::Department::Security).await;
    let alone =
        v1::ListStandardsRequest { care_group: "careGroups/living_alone".into(), ..Default::default() };
    check(alone, &|standard| {
        let groups = &standard.applies_to.as_ref().unwrap().any_group;
        groups.is_empty() || groups.iter().any(|group| group == "living_alone")
    })
    .await;

    // A token belongs to its query.
    let page = client.ask(v1::ListStandardsRequest { page_size: 1, ..Default::default() }).await.unwrap();
    let other = v1::ListStandardsRequest {
        page_token: page.next_page_token,
        department: v1::Department::Security.into(),
        ..Default::default()
    };
    refused(client.ask(other).await, "PAGE_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_said() {
    let server = Server::start().await;
    let client = server.client();
    let standard = |name: &str| client.ask(v1::GetStandardRequest { name: name.to_owned() });
    assert_eq!(refused(standard("standards/no.such").await, "NOT_FOUND").code, Code::NotFound);
    invalid(standard("standards/No").await, &["name"]);
    invalid(standard("").await, &["name"]);
    let group = |name: &str| client.ask(v1::GetCareGroupRequest { name: name.to_owned() });
    refused(group("careGroups/no_such").await, "NOT_FOUND");
    let unknown = v1::ListStandardsRequest { care_group: "careGroups/no_such".into(), ..Default::default() };
    invalid(client.ask(unknown).await, &["care_group"]);
    let both = v1::ListStandardsRequest { care_group: "x".into(), department: 99, ..Default::default() };
    invalid(client.ask(both).await, &["care_group", "department"]);
    let negative = v1::ListStandardsRequest { page_size: -1, ..Default::default() };
    invalid(client.ask(negative).await, &["page_size"]);
}

/// Every page of a list.
async fn all(client: &Client, mut request: v1::ListStandardsRequest) -> Vec<v1::Standard> {
    let mut found = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        found.extend(page.standards);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}
