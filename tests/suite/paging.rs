//! Lists that hardly anything fits: a call ends early with a token, and walking on finds everything exactly once.

use linli_proto::v1::{self, ServiceKind};

use crate::harness::estate::{elder, flag};
use crate::harness::server::Server;

/// What does not fit, before what does: more than one call looks through at a page size of 1.
const OTHERS: usize = 44;

/// The pages of a list, as the names on them.
macro_rules! pages {
    ($client:expr, $request:expr, $items:ident) => {{
        let mut request = $request;
        let mut pages: Vec<Vec<String>> = Vec::new();
        loop {
            let answer = $client.ask(request.clone()).await.unwrap();
            pages.push(answer.$items.iter().map(|item| item.name.clone()).collect());
            if answer.next_page_token.is_empty() {
                break pages;
            }
            assert!(pages.len() < 4 * OTHERS, "a list without an end: {pages:?}");
            request.page_token = answer.next_page_token;
        }
    }};
}

/// Holds that a call ended early, that no page is longer than asked, and that all of `expect` came once, in order.
#[track_caller]
fn check(what: &str, pages: &[Vec<String>], expect: &[&str]) {
    assert!(pages.first().is_some_and(Vec::is_empty), "{what} did not end early: {pages:?}");
    assert!(pages.iter().all(|page| page.len() <= 1), "{what}: {pages:?}");
    let found: Vec<&str> = pages.iter().flatten().map(String::as_str).collect();
    assert_eq!(found, expect, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hardly_anything_fits_is_found_in_bounded_calls() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    for number in 0..OTHERS {
        let younger = elder(&dwelling, &format!("甲{number}"));
        client.resident(v1::Resident { birth_date: "1962-05-01".to_owned(), ..younger }).await;
    }
    let mut ill = elder(&dwelling, "乙");
    ill.facts.push(flag("dementia", true));
    let ill = client.resident(ill).await.name;

    let page_size = 1;
    let list = v1::ListResidentsRequest {
        parent: site.clone(),
        page_size,
        min_tier: v1::Tier::High.into(),
        ..Default::default()
    };
    check("residents", &pages!(client, list.clone(), residents), &[&ill]);
    let everywhere = v1::ListResidentsRequest { parent: "sites/-".to_owned(), ..list };
    check("residents everywhere", &pages!(client, everywhere, residents), &[&ill]);

    let everybody = format!("{site}/residents/-");
    let ended = v1::MembershipState::Ended.into();
    let list = v1::ListMembershipsRequest {
        parent: everybody.clone(),
        page_size,
        state: ended,
        ..Default::default()
    };
    check("memberships", &pages!(client, list, memberships), &[]);

    let pause = |leave: &str, back: &str| v1::PauseRequest {
        parent: ill.clone(),
        pause: Some(v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: leave.to_owned(),
            expected_return_date: back.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let first = client.ask(pause("2026-03-16", "2026-03-18")).await.unwrap().name;
    let second = client.ask(pause("2026-03-20", "2026-03-22")).await.unwrap().name;
    let list = v1::ListPausesRequest { parent: everybody, page_size, ..Default::default() };
    check("pauses", &pages!(client, list, pauses), &[&second, &first]);

    let visit = client.done(&ill, ServiceKind::HomeVisit, "2026-03-16T06:00:00+08:00").await.name;
    for minute in 0..OTHERS {
        client.done(&ill, ServiceKind::PhoneCall, &format!("2026-03-16T07:{minute:02}:00+08:00")).await;
    }
    let list = v1::ListRecordsRequest {
        parent: site.clone(),
        page_size,
        subject: ill.clone(),
        kind: ServiceKind::HomeVisit.into(),
        ..Default::default()
    };
    check("records", &pages!(client, list, records), &[&visit]);

    let post = |department: v1::Department| v1::CreatePostRequest {
        parent: site.clone(),
        post: Some(v1::Post {
            display_name: "岗".to_owned(),
            department: department.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    for _ in 0..OTHERS {
        client.ask(post(v1::Department::Security)).await.unwrap();
    }
    let cleaning = client.ask(post(v1::Department::Cleaning)).await.unwrap().name;
    let list = v1::ListPostsRequest {
        parent: site,
        page_size,
        department: v1::Department::Cleaning.into(),
        ..Default::default()
    };
    check("posts", &pages!(client, list, posts), &[&cleaning]);
}

/// Sites without a record are looked at in bounded numbers, too.
#[tokio::test(flavor = "multi_thread")]
async fn empty_sites_end_a_call_early() {
    let server = Server::start().await;
    let client = server.client();
    for number in 0..25 {
        client.site(&format!("s{number:02}")).await;
    }
    let (_, _, resident) = client.estate("t").await;
    let record = client.done(&resident, ServiceKind::HomeVisit, "2026-03-16T06:00:00+08:00").await.name;
    let list = v1::ListRecordsRequest { parent: "sites/-".to_owned(), page_size: 1, ..Default::default() };
    check("records", &pages!(client, list, records), &[&record]);
}
