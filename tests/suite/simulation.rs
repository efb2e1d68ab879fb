//! What other numbers would have changed: the same history asked twice, for posts and people.

use linli_proto::v1::{self, PeriodUnit, ServiceKind, SimulatedPost};

use crate::harness::client::Client;
use crate::harness::estate::elder;
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// Visits so many times a week in three weeks of March.
fn suppose(site: &str, at_least: i32) -> v1::SimulateStandardsRequest {
    let duty = v1::RecurringDuty { at_least, per: PeriodUnit::Week.into(), ..Default::default() };
    v1::SimulateStandardsRequest {
        parent: site.to_owned(),
        standard: "standards/elder.visit".to_owned(),
        numbers: Some(v1::StandardNumbers {
            duty: Some(v1::standard_numbers::Duty::Recurring(duty)),
            ..Default::default()
        }),
        start_date: "2026-03-16".to_owned(),
        end_date: "2026-04-05".to_owned(),
        ..Default::default()
    }
}

/// Three people: one visited twice a week, one once, one never; a post for the first two. Their names and the post's.
async fn three_weeks(client: &Client) -> (String, Vec<String>, String) {
    let site = client.site("a").await;
    let mut people = Vec::new();
    for (room, name) in [("501", "秦安然"), ("502", "华静好")] {
        let dwelling = client.dwelling(&site, room).await;
        people.push(client.resident(elder(&dwelling, name)).await.name);
    }
    let far = v1::Dwelling { building: "9".into(), room: "101".into(), ..Default::default() };
    let far = v1::CreateDwellingRequest { parent: site.clone(), dwelling: Some(far), ..Default::default() };
    let far = client.ask(far).await.unwrap().name;
    people.push(client.resident(elder(&far, "严如玉")).await.name);
    let mut posts = Vec::new();
    for (id, department) in
        [("steward", v1::Department::CustomerService), ("guard", v1::Department::Security)]
    {
        let post = v1::Post {
            display_name: id.into(),
            department: department.into(),
            buildings: vec!["3".into()],
            ..Default::default()
        };
        let request = v1::CreatePostRequest {
            parent: site.clone(),
            post: Some(post),
            post_id: id.into(),
            ..Default::default()
        };
        posts.push(client.ask(request).await.unwrap().name);
    }
    client.advance("2026-04-06T09:00:00+08:00").await;
    for monday in ["2026-03-16", "2026-03-23", "2026-03-30"] {
        client.done(&people[0], ServiceKind::HomeVisit, &format!("{monday}T09:00:00+08:00")).await;
        client.done(&people[0], ServiceKind::HomeVisit, &format!("{monday}T15:00:00+08:00")).await;
        client.done(&people[1], ServiceKind::HomeVisit, &format!("{monday}T10:00:00+08:00")).await;
    }
    (site, people, posts.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_tried_on_what_was_recorded() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, people, post) = three_weeks(&client).await;
        let before = client.obligations(&people[1], "2026-03-16", "2026-04-05").await;

        let twice = client.ask(suppose(&site, 2)).await.unwrap();
        assert_eq!((twice.looser, twice.missed_before, twice.missed_after), (false, 3, 6));
        let posts: Vec<_> = twice
            .posts
            .iter()
            .map(|post| {
                let SimulatedPost { post, required_before, required_after, more_per_week, .. } = post;
                (post.as_str(), *required_before, *required_after, *more_per_week)
            })
            .collect();
        // Two people of building 3, three weeks: 6 visits, and as many again; nobody serves building 9.
        assert_eq!(posts, [(post.as_str(), 6, 12, 2.0), ("", 3, 6, 1.0)]);
        // Who was never visited misses no more weeks than before.
        let short: Vec<_> = twice
            .subjects
            .iter()
            .map(|s| (s.subject.as_str(), s.display_name.as_str(), s.missed_before, s.missed_after))
            .collect();
        assert_eq!(short, [(people[1].as_str(), "华**", 0, 3)]);

        // Three times a week: page by page.
        let mut request = v1::SimulateStandardsRequest { page_size: 1, ..suppose(&site, 3) };
        let mut found = Vec::new();
        loop {
            let page = client.ask(request.clone()).await.unwrap();
            assert_eq!((page.missed_after, page.posts[0].required_after), (9, 18), "the same on every page");
            assert!(page.subjects.len() <= 1);
            found.extend(page.subjects.into_iter().map(|subject| subject.subject));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let mut expect = people[..2].to_vec();
        expect.sort();
        assert_eq!(found, expect);

        // Less of it would have helped nobody who was never visited, and is said to be looser.
        let mut monthly = suppose(&site, 1);
        let duty = v1::RecurringDuty { at_least: 1, per: PeriodUnit::Month.into(), ..Default::default() };
        monthly.numbers.as_mut().unwrap().duty = Some(v1::standard_numbers::Duty::Recurring(duty));
        let monthly = client.ask(monthly).await.unwrap();
        assert!(monthly.looser && monthly.missed_after < monthly.missed_before, "{monthly:?}");
        assert!(monthly.subjects.is_empty());
        assert!(monthly.posts[0].more_per_week < 0.0);

        // Nothing was stored, and nothing is owed otherwise.
        assert_eq!(client.obligations(&people[1], "2026-03-16", "2026-04-05").await, before);
        let list = v1::ListOverridesRequest { parent: site, ..Default::default() };
        assert!(client.ask(list).await.unwrap().overrides.is_empty());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let check = async |request: v1::SimulateStandardsRequest, fields: &[&str]| {
        invalid(client.ask(request).await, fields);
    };
    let past = |from: &str, to: &str| v1::SimulateStandardsRequest {
        start_date: from.to_owned(),
        end_date: to.to_owned(),
        ..suppose(&site, 2)
    };
    let nothing = v1::SimulateStandardsRequest { parent: site.clone(), ..Default::default() };
    check(nothing, &["standard", "numbers", "start_date", "end_date"]).await;
    check(past("2026-03-01", "2026-03-16"), &["end_date"]).await;
    check(past("2026-03-02", "2026-03-01"), &["end_date"]).await;
    check(past("2025-12-01", "2026-03-04"), &["end_date"]).await;
    let unknown = v1::SimulateStandardsRequest {
        standard: "standards/no.such".to_owned(),
        ..past("2026-03-01", "2026-03-15")
    };
    check(unknown, &["standard"]).await;
    let other = v1::SimulateStandardsRequest {
        standard: "standards/file.update".to_owned(),
        ..past("2026-03-01", "2026-03-15")
    };
    check(other, &["numbers.duty"]).await;
    refused(client.ask(suppose("sites/none", 2)).await, "NOT_FOUND");
    client.ask(past("2026-03-01", "2026-03-15")).await.unwrap();
    server.stop().await;
}
