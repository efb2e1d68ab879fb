//! Rosters over gRPC: good rows are kept, bad ones reported, the same roster again changes nothing.

use linli_proto::v1;
use linli_proto::v1::import_residents_request::Part;

use crate::harness::client::Client;
use crate::harness::estate::{elder, flag, identity_number};
use crate::harness::refused;
use crate::harness::server::Server;

fn header(site: &str) -> v1::ImportResidentsRequest {
    let header = v1::ImportHeader { parent: site.to_owned(), create_dwellings: true, ..Default::default() };
    v1::ImportResidentsRequest { part: Some(Part::Header(header)) }
}

fn row(line: i64, room: &str, resident: v1::Resident) -> v1::ImportResidentsRequest {
    let door = v1::Dwelling {
        building: "3".to_owned(),
        unit: "2".to_owned(),
        room: room.to_owned(),
        ..Default::default()
    };
    let row = v1::ImportRow { line, resident: Some(resident), dwelling: Some(door), ..Default::default() };
    v1::ImportResidentsRequest { part: Some(Part::Row(row)) }
}

fn person(name: &str, sequence: u32) -> v1::Resident {
    v1::Resident {
        identity_number: identity_number("19400501", sequence),
        birth_date: String::new(),
        ..elder("", name)
    }
}

/// `line outcome field,field`.
fn lines(answer: &v1::ImportResidentsResponse) -> Vec<String> {
    let line = |result: &v1::ImportRowResult| {
        let outcome = result.outcome().as_str_name().trim_start_matches("IMPORT_OUTCOME_").to_lowercase();
        let fields: Vec<&str> = result.violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(outcome == "failed", result.resident.is_empty());
        assert_eq!(outcome == "failed", result.reason != 0);
        format!("{} {outcome} {}", result.line, fields.join(",")).trim_end().to_owned()
    };
    answer.results.iter().map(line).collect()
}

async fn count(client: &Client, site: &str) -> usize {
    let request = v1::ListResidentsRequest { parent: site.to_owned(), page_size: 200, ..Default::default() };
    client.ask(request).await.unwrap().residents.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_twice_changes_nothing_the_second_time() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let roster: Vec<_> = std::iter::once(header(&site))
        .chain(
            (0..300)
                .map(|at| row(at + 2, &format!("{}", 100 + at / 2), person(&format!("某{at}"), at as u32))),
        )
        .collect();
    let first = client.import(roster.clone()).await.unwrap();
    assert_eq!((first.created_count, first.failed_count), (300, 0));
    client.advance("2026-03-17T09:00:00+08:00").await;
    let second = client.import(roster.clone()).await.unwrap();
    assert_eq!((second.unchanged_count, second.results.len()), (300, 300));
    let names = |answer: &v1::ImportResidentsResponse| -> Vec<String> {
        answer.results.iter().map(|result| result.resident.clone()).collect()
    };
    assert_eq!(names(&first), names(&second));
    assert_eq!(names(&first).len(), 300);
    // One line of it changed: one file is.
    let mut roster = roster;
    roster[5] = row(6, "102", v1::Resident { phone: "13900001234".to_owned(), ..person("某4", 4) });
    let third = client.import(roster).await.unwrap();
    let counts = (third.created_count, third.updated_count, third.unchanged_count, third.failed_count);
    let odd: Vec<String> = lines(&third).into_iter().filter(|line| !line.ends_with("unchanged")).collect();
    assert_eq!((counts, odd), ((0, 1, 299, 0), vec!["6 updated".to_owned()]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_broken_roster_keeps_its_good_rows() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let wrong = v1::Resident { phone: "1".to_owned(), full_name: String::new(), ..person("坏", 7) };
    let unknown = v1::Resident { facts: vec![flag("owns_a_cat", true)], ..person("坏", 8) };
    let mut nobodys = row(9, "105", person("癸", 9));
    if let Some(Part::Row(row)) = &mut nobodys.part {
        row.care_groups = vec!["careGroups/astronauts".to_owned()];
    }
    let roster = vec![
        header(&site),
        row(2, "101", person("甲", 1)),
        row(3, "101", wrong),
        row(4, "102", unknown),
        row(5, "103", person("丁", 4)),
        row(5, "103", person("戊", 5)),
        row(0, "103", person("己", 6)),
        row(8, "104", person("甲", 1)),
        nobodys,
        row(10, "106", person("末", 10)),
    ];
    let answer = client.import(roster.clone()).await.unwrap();
    assert_eq!(
        lines(&answer),
        [
            "2 created",
            "3 failed resident.full_name,resident.phone",
            "4 failed resident.facts[0].field",
            "5 created",
            "5 failed line",
            "0 failed line",
            "8 failed resident",
            "9 failed care_groups",
            "10 created",
        ]
    );
    assert_eq!((answer.created_count, answer.failed_count), (3, 6));
    assert_eq!(count(&client, &site).await, 3);
    let again = client.import(roster).await.unwrap();
    assert_eq!((again.unchanged_count, again.failed_count, again.created_count), (3, 6, 0));
    assert_eq!(count(&client, &site).await, 3);
    // The words of a violation are in the caller's language and never repeat the value.
    let zh = client.with("accept-language", "zh");
    let bad = v1::Resident { phone: "999111".to_owned(), ..person("坏", 7) };
    let answer = zh.import(vec![header(&site), row(2, "101", bad)]).await.unwrap();
    let words = &answer.results[0].violations[0].description;
    assert!(!words.is_ascii() && !words.contains("999111"), "{words}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_needs_its_header_and_known_doors() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    for (roster, field) in [
        (vec![], "header"),
        (vec![row(2, "101", person("甲", 1))], "header"),
        (vec![header(&site), header(&site)], "header"),
        (vec![header(&site), v1::ImportResidentsRequest::default()], "part"),
        (vec![header("s1")], "header.parent"),
    ] {
        let found = refused(client.import(roster).await, "INVALID_FIELD");
        assert_eq!(found.fields(), [field]);
    }
    refused(client.import(vec![header("sites/none")]).await, "NOT_FOUND");
    let mut strict = header(&site);
    if let Some(Part::Header(header)) = &mut strict.part {
        header.create_dwellings = false;
    }
    let roster = vec![strict, row(2, "101", person("甲", 1))];
    let answer = client.import(roster).await.unwrap();
    assert_eq!(lines(&answer), ["2 failed dwelling"]);
    assert_eq!(count(&client, &site).await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_known_by_number_or_by_name_and_door() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let plain = elder("", "无号");
    let import = |rows: Vec<v1::ImportResidentsRequest>| {
        let parts = std::iter::once(header(&site)).chain(rows).collect();
        let client = client.clone();
        async move { lines(&client.import(parts).await.unwrap()) }
    };
    assert_eq!(
        import(vec![row(2, "101", plain.clone()), row(3, "102", person("有号", 1))]).await,
        ["2 created", "3 created"]
    );
    // The number comes later: the same person.
    let numbered = v1::Resident { full_name: "无号".to_owned(), ..person("", 2) };
    assert_eq!(import(vec![row(2, "101", numbered)]).await, ["2 updated"]);
    // The same name and birth date behind another door is asked about; whoever looked says so.
    assert_eq!(import(vec![row(2, "103", plain.clone())]).await, ["2 failed"]);
    let mut confirmed = row(2, "103", plain.clone());
    if let Some(Part::Row(row)) = &mut confirmed.part {
        row.confirmed_not_duplicate = true;
    }
    assert_eq!(import(vec![confirmed]).await, ["2 created"]);
    // With another birth date it is somebody else.
    let other = v1::Resident { birth_date: "1941-01-01".to_owned(), ..elder("", "无号") };
    assert_eq!(import(vec![row(2, "103", other)]).await, ["2 created"]);
    // A new name under a known number is a correction; another door is a move, which a roster cannot date.
    assert_eq!(import(vec![row(2, "102", person("改名", 1))]).await, ["2 updated"]);
    assert_eq!(import(vec![row(2, "104", person("改名", 1))]).await, ["2 failed dwelling"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_repeatable_by_its_request_id() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let mut first = header(&site);
    if let Some(Part::Header(header)) = &mut first.part {
        header.request_id = crate::harness::estate::request_id(5);
    }
    let roster = vec![first.clone(), row(2, "101", person("甲", 1))];
    let answer = client.import(roster.clone()).await.unwrap();
    assert_eq!(answer.created_count, 1);
    assert_eq!(client.import(roster).await.unwrap(), answer);
    let other = vec![first, row(2, "101", person("乙", 2))];
    refused(client.import(other).await, "REQUEST_ID_REUSED");
    assert_eq!(count(&client, &site).await, 1);
    server.stop().await;
}
