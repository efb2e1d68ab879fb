//! Somebody who belongs to several groups at once: every standard of each, the strictest cadence, and one visit that
//! counts for all of them.

use std::collections::BTreeSet;

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{elder, fact, flag};
use crate::harness::server::{Data, Server};

fn code(field: &str, code: &str) -> v1::Fact {
    fact(field, Some(v1::value::Kind::Code(code.to_owned())))
}

/// 重残: limbs, grade 1.
fn disabled() -> Vec<v1::Fact> {
    vec![code("disability_category", "limb"), fact("disability_grade", Some(v1::value::Kind::Number(1)))]
}

/// 低保, certificate seen and checked.
fn poor() -> Vec<v1::Fact> {
    vec![
        code("hardship_class", "subsistence_allowance"),
        flag("hardship_certificate_seen", true),
        fact("hardship_checked_on", Some(v1::value::Kind::Date("2026-04-06".to_owned()))),
    ]
}

/// Names of the standards owed to a resident.
async fn standards(client: &Client, resident: &str) -> BTreeSet<String> {
    let standing = client.ask(v1::GetStandingRequest { name: resident.to_owned() }).await.unwrap();
    standing.standards.into_iter().map(|one| one.standard).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_counts_and_one_visit_serves_all() {
    // A Monday near the beginning of a quarter, so that the quarterly visit is owed in full.
    let server = Server::on(Data::sqlite().at("2026-04-06T09:00:00+08:00")).await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let open = async |name: &str, birth: &str, facts: Vec<v1::Fact>| {
        let person = v1::Resident { birth_date: birth.to_owned(), facts, ..elder(&dwelling, name) };
        client.resident(person).await
    };
    let alone = || vec![flag("lives_alone", true)];
    let only_old = open("独居高龄", "1940-05-01", alone()).await.name;
    let only_disabled = open("重残", "1976-05-01", disabled()).await.name;
    let only_poor = open("低保", "1976-06-01", poor()).await.name;
    let everything = open("四类重叠", "1940-05-01", [alone(), disabled(), poor()].concat()).await;
    let all = everything.name.clone();
    assert_eq!(
        everything.groups,
        ["advanced_age", "disabled", "empty_nest", "living_alone", "subsistence_allowance"]
    );

    // The union: nothing that one group brings is lost in another.
    let together = standards(&client, &all).await;
    for single in [&only_old, &only_disabled, &only_poor] {
        for standard in standards(&client, single).await {
            // For high attention the ladder has its own, shorter times in place of these.
            let high = format!("{standard}.high");
            assert!(together.contains(&standard) || together.contains(&high), "{standard} is lost");
        }
    }
    for standard in
        ["elder.visit", "elder.call", "disability.visit.key", "disability.call.key", "hardship.visit"]
    {
        assert!(together.contains(&format!("standards/{standard}")), "{together:?}");
    }

    // One visit: credit in every standard that takes visits, each in a window of its own.
    let owed = client.owed(&all).await;
    for line in ["elder.visit open 0/1", "disability.visit.key open 0/1", "hardship.visit open 0/1"] {
        assert!(owed.contains(&line.to_owned()), "{owed:?}");
    }
    // The list holds what is due within a month; the quarterly visit is due later and served all the same.
    let item = |items: &[v1::WorklistItem]| {
        items.iter().find(|item| item.subject == all && item.kind() == v1::ServiceKind::HomeVisit).cloned()
    };
    let worklist = v1::ListWorklistRequest {
        parent: format!("{site}/posts/-"),
        page_size: 200,
        until_date: "2026-05-06".to_owned(),
        ..Default::default()
    };
    let visit = item(&client.ask(worklist.clone()).await.unwrap().items).expect("a visit is on the list");
    let served: BTreeSet<&str> = visit.obligations.iter().map(|one| one.standard.as_str()).collect();
    for standard in ["standards/elder.visit", "standards/disability.visit.key"] {
        assert!(served.contains(standard), "one visit serves {standard}: {served:?}");
    }
    client.done(&all, v1::ServiceKind::HomeVisit, "2026-04-06T08:30:00+08:00").await;
    let owed = client.owed(&all).await;
    for line in ["elder.visit met 1/1", "disability.visit.key met 1/1", "hardship.visit met 1/1"] {
        assert!(owed.contains(&line.to_owned()), "{owed:?}");
    }
    assert!(item(&client.ask(worklist.clone()).await.unwrap().items).is_none(), "nobody visits twice");

    // The strictest cadence binds: next week the weekly visit is owed again, the others still have theirs.
    client.advance("2026-04-13T09:00:00+08:00").await;
    let owed = client.owed(&all).await;
    for line in ["elder.visit open 0/1", "disability.visit.key met 1/1", "hardship.visit met 1/1"] {
        assert!(owed.contains(&line.to_owned()), "{owed:?}");
    }
    let visit = item(&client.ask(worklist).await.unwrap().items).expect("a visit is on the list again");
    assert_eq!(
        visit.obligations.iter().map(|one| one.standard.as_str()).collect::<Vec<_>>(),
        ["standards/elder.visit"]
    );
}
