//! Merging two files of one person, and parting them: both names keep their meaning, credits unite, nothing is lost
//! (mission, beyond the regulation: 11).

use linli_proto::v1;
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::estate::{elder, flag, identity_number, request_id};
use crate::harness::server::{Data, Server};
use crate::harness::{Refusal, invalid, refused};

const VISIT: v1::ServiceKind = v1::ServiceKind::HomeVisit;
const CALL: v1::ServiceKind = v1::ServiceKind::PhoneCall;

async fn on_both_backends(test: impl AsyncFn(&Server)) {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        test(&server).await;
        server.stop().await;
    }
}

/// Another file of the person of an estate, behind another door.
async fn second(client: &Client, site: &str, change: v1::Resident) -> v1::Resident {
    let dwelling = client.dwelling(site, "502").await;
    let request = v1::CreateResidentRequest {
        parent: site.to_owned(),
        resident: Some(v1::Resident { dwelling, ..change }),
        confirmed_not_duplicate: true,
        ..Default::default()
    };
    client.ask(request).await.unwrap()
}

fn merge(survivor: &str, duplicate: &str) -> v1::MergeResidentsRequest {
    v1::MergeResidentsRequest {
        name: survivor.to_owned(),
        duplicate: duplicate.to_owned(),
        reason: "同一身份证".to_owned(),
        ..Default::default()
    }
}

fn part(name: &str) -> v1::UnmergeResidentsRequest {
    v1::UnmergeResidentsRequest {
        name: name.to_owned(),
        reason: "两位同名老人".to_owned(),
        ..Default::default()
    }
}

async fn get(client: &Client, name: &str) -> v1::Resident {
    client.ask(v1::GetResidentRequest { name: name.to_owned(), ..Default::default() }).await.unwrap()
}

async fn listed(client: &Client, site: &str) -> Vec<String> {
    let request = v1::ListResidentsRequest { parent: site.to_owned(), ..Default::default() };
    client.ask(request).await.unwrap().residents.into_iter().map(|file| file.name).collect()
}

async fn records(client: &Client, site: &str, subject: &str) -> usize {
    let mut request = v1::ListRecordsRequest {
        parent: site.to_owned(),
        subject: subject.to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let mut names = std::collections::BTreeSet::new();
    let mut last = None;
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        for record in page.records {
            let time = record.occur_time.as_ref().map(|time| time.seconds);
            assert!(last.is_none() || time <= last, "newest first");
            last = time;
            assert!(names.insert(record.name), "each once");
        }
        if page.next_page_token.is_empty() {
            return names.len();
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_become_one_and_part_again() {
    on_both_backends(async |server| {
        let client = server.client();
        let (site, _, stays) = client.estate("s1").await;
        let goes = second(&client, &site, elder("", "秦 安然")).await.name;
        client.advance("2026-03-19T09:00:00+08:00").await;
        // One visit was entered in both files, by the same person, twenty minutes apart; the calls were two.
        client.done(&stays, VISIT, "2026-03-16T10:00:00+08:00").await;
        client.done(&goes, VISIT, "2026-03-16T10:20:00+08:00").await;
        client.done(&stays, CALL, "2026-03-17T10:00:00+08:00").await;
        client.done(&goes, CALL, "2026-03-18T10:00:00+08:00").await;
        let alone = ["elder.call open 1/2", "elder.visit met 1/1"];
        for file in [&stays, &goes] {
            assert_eq!(client.calls_and_visits(file).await, alone);
        }

        let merged = client.ask(merge(&stays, &goes)).await.unwrap();
        assert_eq!(
            (merged.name.as_str(), merged.merged_residents.as_slice()),
            (&*stays, &[goes.clone()][..])
        );
        assert_eq!(listed(&client, &site).await, std::slice::from_ref(&stays), "one person, one file");
        // Both names stand for it, in every question.
        for name in [&stays, &goes] {
            assert_eq!(get(&client, name).await, merged);
            assert_eq!(client.full(name).await.name, stays);
            assert_eq!(client.calls_and_visits(name).await, ["elder.call met 2/2", "elder.visit met 1/1"]);
            assert_eq!(records(&client, &site, name).await, 4, "both entries of the visit are kept");
            let standing = client.ask(v1::GetStandingRequest { name: name.clone() }).await.unwrap();
            assert_eq!(standing.resident, stays);
        }
        let report = v1::GetComplianceReportRequest {
            parent: site.clone(),
            period: v1::PeriodUnit::Week.into(),
            start_date: "2026-03-16".to_owned(),
            end_date: "2026-03-22".to_owned(),
            ..Default::default()
        };
        client.ask(report).await.unwrap();

        // What is recorded since for either name is the survivor's, and stays with it, but for what is assigned.
        let kept = client.done(&goes, CALL, "2026-03-19T08:00:00+08:00").await;
        let given = client.done(&goes, VISIT, "2026-03-19T08:30:00+08:00").await;
        for record in [&kept, &given] {
            assert_eq!(record.subjects[0].subject, stays);
        }
        let request = v1::UnmergeResidentsRequest { records: vec![given.name.clone()], ..part(&goes) };
        let parted = client.ask(request).await.unwrap();
        assert_eq!(parted.resident.unwrap().name, goes);
        let survivor = parted.survivor.unwrap();
        assert_eq!((survivor.name.as_str(), survivor.merged_residents.len()), (&*stays, 0));
        assert_eq!(client.calls_and_visits(&stays).await, ["elder.call met 2/2", "elder.visit met 1/1"]);
        assert_eq!(client.calls_and_visits(&goes).await, ["elder.call open 1/2", "elder.visit met 2/1"]);
        assert_eq!((records(&client, &site, &stays).await, records(&client, &site, &goes).await), (3, 3));
        assert_eq!(get(&client, &goes).await.name, goes);
        assert_eq!(listed(&client, &site).await.len(), 2);

        let history = v1::ListHistoryRequest { parent: goes.clone(), ..Default::default() };
        let history = client.ask(history).await.unwrap().entries;
        let fields: Vec<_> = history.iter().flat_map(|entry| entry.fields.clone()).collect();
        assert_eq!(fields, ["merged_into", "merged_into", "confirmed_not_duplicate"]);
        let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
        server.app.store.verify_chain(&scope, None).await.unwrap();
        let entries = server.app.store.audit_entries(&scope, 0, 500).await.unwrap();
        let wrote = entries.iter().filter(|entry| entry.change != [0; 32]);
        let wrote = wrote.filter(|entry| {
            entry.draft.method.ends_with("mergeResidents") || entry.draft.method.ends_with("MergeResidents")
        });
        for entry in wrote {
            assert_eq!(entry.draft.subjects.len(), 2, "{}", entry.draft.method);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_events_and_pauses_unite() {
    on_both_backends(async |server| {
        let client = server.client();
        let site = client.site("s1").await;
        let home = client.dwelling(&site, "501").await;
        let together = v1::Resident { facts: vec![flag("lives_alone", false)], ..elder(&home, "秦安然") };
        let stays = client.resident(together).await;
        let goes = second(&client, &site, elder("", "秦安然")).await;
        assert!(!stays.groups.contains(&"living_alone".to_owned()));
        let (stays, goes) = (stays.name, goes.name);
        let report = v1::ReportChangeRequest {
            name: goes.clone(),
            kind: v1::ChangeKind::Contact.into(),
            ..Default::default()
        };
        let event = client.ask(report).await.unwrap().name;
        let pause = v1::PauseRequest {
            parent: goes.clone(),
            pause: Some(v1::Pause {
                reason: v1::PauseReason::Hospital.into(),
                leave_date: "2026-03-16".to_owned(),
                expected_return_date: "2026-03-30".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        client.ask(pause.clone()).await.unwrap();

        let merged = client.ask(merge(&stays, &goes)).await.unwrap();
        assert!(merged.groups.contains(&"living_alone".to_owned()), "{:?}", merged.groups);
        let owed = client.owed(&stays).await;
        assert!(owed.iter().any(|line| line == "file.update open 0/1"), "{owed:?}");
        // The pause is the person's: it overlaps another one, and it is listed with those of the survivor.
        let again = v1::PauseRequest { parent: stays.clone(), ..pause.clone() };
        refused(client.ask(again).await, "PAUSE_STATE");
        for parent in [stays.clone(), goes.clone(), format!("{site}/residents/-")] {
            let pauses = v1::ListPausesRequest { parent, ..Default::default() };
            assert_eq!(client.ask(pauses).await.unwrap().pauses.len(), 1);
        }
        client.advance("2026-03-24T09:00:00+08:00").await;
        assert_eq!(
            client.calls_and_visits(&stays).await,
            ["elder.call excused 0/0", "elder.visit excused 0/0"]
        );
        // What was reported of either file is answered for the one.
        let apply = v1::ApplyChangeRequest {
            resident: Some(v1::Resident { name: goes.clone(), ..Default::default() }),
            answers: vec![event],
            ..Default::default()
        };
        let applied = client.ask(apply).await.unwrap();
        assert_eq!(applied.resident.unwrap().name, stays);
        let late: Vec<_> =
            client.owed(&stays).await.into_iter().filter(|l| l.starts_with("file.update open")).collect();
        assert_eq!(late, Vec::<String>::new());

        let parted = client.ask(part(&goes)).await.unwrap();
        assert!(!parted.survivor.unwrap().groups.contains(&"living_alone".to_owned()));
        assert!(parted.resident.unwrap().groups.contains(&"living_alone".to_owned()));
        let pauses = v1::ListPausesRequest { parent: stays, ..Default::default() };
        assert_eq!(client.ask(pauses).await.unwrap().pauses.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_merges_at_once_do_not_both_pass() {
    on_both_backends(async |server| {
        let client = server.client();
        let site = client.site("s1").await;
        let mut files = Vec::new();
        for at in 0..12 {
            let dwelling = client.dwelling(&site, &format!("{}", 100 + at)).await;
            files.push(
                client
                    .resident(v1::Resident {
                        birth_date: format!("19{}-{:02}-{:02}", 30 + 3 * at, 1 + at, 1 + 2 * at),
                        ..elder(&dwelling, "何人")
                    })
                    .await
                    .name,
            );
        }
        let mut refused = 0;
        for pair in files.chunks(2) {
            let [a, b] = pair else { continue };
            // Either into the other, at the same time.
            let (one, other) = tokio::join!(client.ask(merge(a, b)), client.ask(merge(b, a)));
            let passed = [&one, &other].iter().filter(|answer| answer.is_ok()).count();
            assert_eq!(passed, 1, "{one:?} {other:?}");
            for status in [one, other].into_iter().filter_map(Result::err) {
                let refusal = Refusal::of(&status);
                assert!(matches!(refusal.code, Code::Aborted | Code::FailedPrecondition), "{refusal:?}");
                refused += 1;
            }
            assert_eq!(get(&client, a).await.name, get(&client, b).await.name);
        }
        assert_eq!(refused, 6);
        assert_eq!(listed(&client, &site).await.len(), 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_resolve_and_part_from_their_end() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let mut files = Vec::new();
    for (at, birth) in ["1930-01-01", "1941-02-03", "1952-03-07"].iter().enumerate() {
        let dwelling = client.dwelling(&site, &format!("{}", 100 + at)).await;
        let file = v1::Resident { birth_date: (*birth).to_owned(), ..elder(&dwelling, "何人") };
        files.push(client.resident(file).await.name);
    }
    let [a, b, c] = &files[..] else { panic!() };
    client.done(a, VISIT, "2026-03-16T08:00:00+08:00").await;
    let first = merge(b, a);
    let first = v1::MergeResidentsRequest { request_id: request_id(41), ..first };
    let answer = client.ask(first.clone()).await.unwrap();
    client.ask(merge(c, b)).await.unwrap();
    assert_eq!(client.ask(first).await.unwrap(), answer, "repeatable by its request id");
    for name in &files {
        let file = get(&client, name).await;
        assert_eq!((&file.name, file.merged_residents.len()), (c, 2));
        assert!(client.calls_and_visits(name).await.contains(&"elder.visit met 1/1".to_owned()));
    }
    let refusal = refused(client.ask(merge(b, c)).await, "MERGE_STATE");
    assert_eq!(refusal.code, Code::FailedPrecondition);
    refused(client.ask(merge(c, a)).await, "MERGE_STATE");
    refused(client.ask(part(a)).await, "MERGE_STATE");
    client.ask(part(b)).await.unwrap();
    assert_eq!(get(&client, a).await.name, *b);
    assert!(client.calls_and_visits(c).await.contains(&"elder.visit open 0/1".to_owned()));
    client.ask(part(a)).await.unwrap();
    assert_eq!(listed(&client, &site).await.len(), 3);
    refused(client.ask(part(a)).await, "MERGE_STATE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_one_are_refused_with_why() {
    let server = Server::start().await;
    let client = server.client();
    let (site, home, plain) = client.estate("s1").await;
    let numbered = |sequence: u32, name: &str| v1::Resident {
        identity_number: identity_number("19400501", sequence),
        birth_date: String::new(),
        ..elder(&home, name)
    };
    let one = client.resident(numbered(1, "甲甲")).await.name;
    let other = client.resident(numbered(2, "乙乙")).await.name;
    let refusal = refused(client.ask(merge(&one, &other)).await, "MERGE_STATE");
    assert!(refusal.message.contains("two identity numbers"), "{refusal:?}");
    let refusal = refused(client.ask(merge(&plain, &one)).await, "MERGE_STATE");
    assert!(refusal.message.contains("survivor"), "{refusal:?}");
    let stale = v1::MergeResidentsRequest { etag: "v9".to_owned(), ..merge(&one, &plain) };
    refused(client.ask(stale).await, "ETAG_MISMATCH");
    let stale = v1::MergeResidentsRequest { duplicate_etag: "v9".to_owned(), ..merge(&one, &plain) };
    refused(client.ask(stale).await, "ETAG_MISMATCH");
    let left = v1::RecordMoveOutRequest {
        name: plain.clone(),
        move_out_date: "2026-03-15".to_owned(),
        ..Default::default()
    };
    client.ask(left).await.unwrap();
    let refusal = refused(client.ask(merge(&one, &plain)).await, "MERGE_STATE");
    assert!(refusal.message.contains("different states"), "{refusal:?}");
    invalid(client.ask(merge(&one, &one)).await, &["duplicate"]);
    invalid(client.ask(merge(&one, "sites/s2/residents/r")).await, &["duplicate"]);
    invalid(client.ask(v1::MergeResidentsRequest::default()).await, &["name", "duplicate", "reason"]);
    refused(client.ask(merge(&one, &format!("{site}/residents/absent"))).await, "NOT_FOUND");
    let foreign = client.done(&one, VISIT, "2026-03-16T08:00:00+08:00").await.name;
    let third = client
        .resident(v1::Resident { birth_date: "1931-02-03".to_owned(), ..elder(&home, "丙丙丙") })
        .await
        .name;
    client.ask(merge(&other, &third)).await.unwrap();
    let request = v1::UnmergeResidentsRequest { records: vec![foreign], ..part(&third) };
    invalid(client.ask(request).await, &["records[0]"]);
    assert_eq!(get(&client, &third).await.name, other, "nothing was parted");
    server.stop().await;
}
