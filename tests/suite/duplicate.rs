//! One person, one file: who may be somebody's second file is shown before it is made (mission A7.1).

use linli_proto::v1;
use linli_proto::v1::find_duplicates_request::About;
use linli_proto::v1::import_residents_request::Part;

use crate::harness::client::Client;
use crate::harness::estate::{elder, identity_number};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn create(site: &str, resident: v1::Resident) -> v1::CreateResidentRequest {
    v1::CreateResidentRequest { parent: site.to_owned(), resident: Some(resident), ..Default::default() }
}

/// `score signs` of everything that is found, and whose it is like.
async fn found(client: &Client, site: &str, about: Option<About>) -> Vec<String> {
    let mut request =
        v1::FindDuplicatesRequest { parent: site.to_owned(), about, page_size: 1, ..Default::default() };
    let mut lines = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        assert!(page.duplicates.len() <= 1);
        for duplicate in page.duplicates {
            let signs: Vec<&str> = duplicate.signs.iter().map(|sign| sign.code.as_str()).collect();
            for sign in &duplicate.signs {
                let text = sign.text.as_ref().unwrap();
                assert!(!text.zh.is_ascii() && text.en.is_ascii(), "{text:?}");
            }
            let shown = |file: &Option<v1::Resident>| {
                let file = file.as_ref();
                assert!(file.is_none_or(|file| file.full_name.is_empty() && file.birth_date.is_empty()));
                file.map(|file| file.display_name.clone()).unwrap_or_default()
            };
            let (one, other) = (shown(&duplicate.resident), shown(&duplicate.other));
            lines.push(format!("{one} {other} {} {}", duplicate.score, signs.join(" ")));
        }
        if page.next_page_token.is_empty() {
            return lines;
        }
        request.page_token = page.next_page_token;
    }
}

async fn both_backends(test: impl AsyncFn(&Server)) {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        Box::pin(test(&server)).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_of_one_person_is_asked_about_before_it_is_made() {
    both_backends(async |server| {
        let client = server.client();
        let site = client.site("s1").await;
        let (home, elsewhere) = (client.dwelling(&site, "501").await, client.dwelling(&site, "502").await);
        let first = client.resident(elder(&home, "张三丰")).await;
        client.resident(v1::Resident { birth_date: "1951-02-03".to_owned(), ..elder(&home, "李四") }).await;

        // As it sounds, with a blank, from a register in traditional characters: the same person behind another door.
        for name in ["章三丰", "張三豐", "张 三丰"] {
            let refusal =
                refused(client.ask(create(&site, elder(&elsewhere, name))).await, "POSSIBLE_DUPLICATE");
            assert_eq!(refusal.metadata, [("candidates".to_owned(), first.name.clone())], "{name}");
            assert!(!format!("{refusal:?}").contains(name), "a refusal repeats no name");
        }
        // Another person of the dwelling, and a namesake of another age, are no question.
        client.resident(v1::Resident { birth_date: "1971-11-23".to_owned(), ..elder(&home, "张三丰") }).await;
        client.resident(elder(&home, "王五")).await;
        // Who was seen and is somebody else is confirmed; the file says that somebody did.
        let confirmed = v1::CreateResidentRequest {
            confirmed_not_duplicate: true,
            ..create(&site, elder(&elsewhere, "章三丰"))
        };
        let second = client.ask(confirmed).await.unwrap();
        let history = v1::ListHistoryRequest { parent: second.name.clone(), ..Default::default() };
        let history = client.ask(history).await.unwrap().entries;
        assert_eq!(history[0].fields, ["confirmed_not_duplicate"]);
        // A number is nobody else's, whatever is confirmed.
        let number = identity_number("19400501", 7);
        let numbered = v1::Resident { identity_number: number, ..elder(&home, "赵六") };
        client.resident(numbered.clone()).await;
        let again = v1::CreateResidentRequest { confirmed_not_duplicate: true, ..create(&site, numbered) };
        refused(client.ask(again).await, "IDENTITY_TAKEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_found_of_a_form_of_a_file_and_of_a_site() {
    both_backends(async |server| {
        let client = server.client();
        let site = client.site("s1").await;
        let (home, elsewhere) = (client.dwelling(&site, "501").await, client.dwelling(&site, "502").await);
        let first =
            client.resident(v1::Resident { phone: "13900001234".to_owned(), ..elder(&home, "陈静") }).await;
        client.resident(elder(&home, "周正")).await;
        let second = v1::CreateResidentRequest {
            confirmed_not_duplicate: true,
            ..create(&site, elder(&elsewhere, "陈静"))
        };
        let second = client.ask(second).await.unwrap();

        let form = v1::Resident { phone: "139 0000 1234".to_owned(), ..elder(&elsewhere, "沉静") };
        assert_eq!(
            found(&client, &site, Some(About::Resident(form))).await,
            [
                "陈**  90 same_sound same_birth_date same_dwelling",
                "陈**  85 same_sound same_birth_date same_phone"
            ]
        );
        let pair = "陈** 陈** 80 same_name same_birth_date";
        for name in [&first.name, &second.name] {
            assert_eq!(found(&client, &site, Some(About::Name(name.clone()))).await, [pair]);
        }
        assert_eq!(found(&client, &site, None).await, [pair], "each pair once");

        // Whoever was compared is in the log, by class.
        let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
        let entries = server.app.store.audit_entries(&scope, 0, 200).await.unwrap();
        let id = first.name.rsplit('/').next().unwrap().to_owned();
        let compared = entries.iter().filter(|entry| {
            entry.draft.method.ends_with("/FindDuplicates")
                && entry.draft.subjects.contains(&id)
                && entry.draft.classes.contains(linli_core::resident::FieldClass::Identity)
        });
        assert!(compared.count() >= 4);

        let foreign = v1::FindDuplicatesRequest {
            parent: site.clone(),
            about: Some(About::Name("sites/s2/residents/r".to_owned())),
            ..Default::default()
        };
        invalid(client.ask(foreign).await, &["name"]);
        let nobody = v1::FindDuplicatesRequest {
            parent: site.clone(),
            about: Some(About::Resident(v1::Resident::default())),
            ..Default::default()
        };
        invalid(client.ask(nobody).await, &["resident.dwelling", "resident.full_name"]);
        let absent = v1::FindDuplicatesRequest {
            parent: site.clone(),
            about: Some(About::Name(format!("{site}/residents/absent"))),
            ..Default::default()
        };
        refused(client.ask(absent).await, "NOT_FOUND");
    })
    .await;
}

fn roster(
    site: &str,
    validate_only: bool,
    rows: &[(i64, &str, v1::Resident, bool)],
) -> Vec<v1::ImportResidentsRequest> {
    let header = v1::ImportHeader {
        parent: site.to_owned(),
        create_dwellings: true,
        validate_only,
        ..Default::default()
    };
    let row = |(line, room, resident, confirmed): &(i64, &str, v1::Resident, bool)| v1::ImportRow {
        line: *line,
        resident: Some(resident.clone()),
        dwelling: Some(v1::Dwelling {
            building: "3".to_owned(),
            unit: "2".to_owned(),
            room: (*room).to_owned(),
            ..Default::default()
        }),
        confirmed_not_duplicate: *confirmed,
        ..Default::default()
    };
    let parts = std::iter::once(Part::Header(header)).chain(rows.iter().map(|each| Part::Row(row(each))));
    parts.map(|part| v1::ImportResidentsRequest { part: Some(part) }).collect()
}

/// `line outcome reason candidates`.
fn lines(answer: &v1::ImportResidentsResponse) -> Vec<String> {
    let line = |result: &v1::ImportRowResult| {
        let outcome = result.outcome().as_str_name().trim_start_matches("IMPORT_OUTCOME_").to_lowercase();
        let reason = result.reason().as_str_name().trim_start_matches("ERROR_REASON_").to_owned();
        let reason = if reason == "UNSPECIFIED" { String::new() } else { format!(" {reason}") };
        let candidates = result.candidates.iter().map(|candidate| {
            assert_eq!(candidate.resident.is_empty(), candidate.line != 0);
            let who =
                if candidate.line == 0 { "file".to_owned() } else { format!("line {}", candidate.line) };
            format!(" {who} {}", candidate.score)
        });
        format!("{} {outcome}{reason}{}", result.line, candidates.collect::<String>())
    };
    answer.results.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_an_import_would_do_and_writes_nothing() {
    both_backends(async |server| {
        let client = server.client();
        let site = client.site("s1").await;
        let home = client.dwelling(&site, "501").await;
        client.resident(elder(&home, "钱学")).await;
        let rows = [
            (2, "501", v1::Resident { phone: "13900001111".to_owned(), ..elder("", "钱学") }, false),
            (3, "601", elder("", "孙立"), false),
            (4, "602", elder("", "孙力"), false),
            (5, "603", elder("", "前学"), false),
            (6, "603", v1::Resident { phone: "1".to_owned(), ..elder("", "坏") }, false),
        ];
        let expect = [
            "2 updated",
            "3 created",
            "4 failed POSSIBLE_DUPLICATE line 3 70",
            "5 failed POSSIBLE_DUPLICATE file 70",
            "6 failed INVALID_FIELD",
        ];
        let held = async || {
            let rows =
                ["resident", "dwelling", "membership", "fact", "history", "outbox_event", "idempotency"];
            let mut counts = Vec::new();
            for table in rows {
                counts.push((table, server.app.store.count(table).await));
            }
            counts
        };
        let before = held().await;
        let preview = client.import(roster(&site, true, &rows)).await.unwrap();
        assert_eq!(lines(&preview), expect);
        assert_eq!(held().await, before, "a preview writes nothing");
        // The import judges the same, and keeps what the preview promised.
        let imported = client.import(roster(&site, false, &rows)).await.unwrap();
        assert_eq!(lines(&imported), expect);
        // Somebody looked: the two are other people. Again, and nothing changes.
        let mut confirmed = rows.clone();
        confirmed[2].3 = true;
        confirmed[3].3 = true;
        let imported = client.import(roster(&site, false, &confirmed)).await.unwrap();
        assert_eq!((imported.created_count, imported.unchanged_count, imported.failed_count), (2, 2, 1));
        let imported = client.import(roster(&site, false, &rows)).await.unwrap();
        assert_eq!((imported.created_count, imported.unchanged_count, imported.failed_count), (0, 4, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_by_name_together() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, first) = client.estate("s1").await;
    let second = client
        .resident(v1::Resident { birth_date: "1950-01-01".to_owned(), ..elder(&dwelling, "何许人") })
        .await
        .name;
    let request = |names: &[&str], view: v1::View| v1::BatchGetResidentsRequest {
        parent: site.clone(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        view: view.into(),
    };
    let answer = client.ask(request(&[&second, &first], v1::View::Masked)).await.unwrap();
    let shown: Vec<_> =
        answer.residents.iter().map(|file| (file.name.as_str(), file.display_name.as_str())).collect();
    assert_eq!(shown, [(second.as_str(), "何**"), (first.as_str(), "秦**")]);
    refused(client.ask(request(&[&first], v1::View::Full)).await, "PURPOSE_REQUIRED");
    let full = client.purposeful().ask(request(&[&first], v1::View::Full)).await.unwrap();
    assert_eq!(full.residents[0].full_name, "秦安然");
    let absent = format!("{site}/residents/absent");
    refused(client.ask(request(&[&first, &absent], v1::View::Masked)).await, "NOT_FOUND");
    invalid(client.ask(request(&[], v1::View::Masked)).await, &["names"]);
    invalid(client.ask(request(&[&first, &first], v1::View::Masked)).await, &["names[1]"]);
    invalid(client.ask(request(&["sites/s2/residents/r"], v1::View::Masked)).await, &["names[0]"]);
    let many: Vec<String> = (0..101).map(|at| format!("{site}/residents/r{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    invalid(client.ask(request(&many, v1::View::Masked)).await, &["names"]);
    server.stop().await;
}
