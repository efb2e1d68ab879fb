//! Bodies without a system, which exchange tables in a pair of folders.

use std::path::{Path, PathBuf};

use linli_proto::v1;
use linli_proto::v1::{ReferralDecision as Decision, ReferralState as State};

use super::receivers::folder;
use super::{
    Hours, ask, delivery, estate, get, hour, in_time, retry, revoke, sent_in_time, stands, trouble_of,
    with_channels,
};
use crate::harness::client::Client;
use crate::harness::server::{Child, Data, Server};
use crate::harness::{PATIENCE, until};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|files| files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// The table of a referral that went out, as the body finds it.
fn table_of(place: &Path, name: &str) -> PathBuf {
    place.join(format!("out/referral-{}.csv", name.rsplit('/').next().unwrap()))
}

/// A server with a pair of folders for the channel `committee`, and where they are.
async fn exchange() -> (Server, Client, PathBuf) {
    let data = Data::sqlite();
    let place = data.folder().join("committee");
    let server = Server::on(with_channels(data, &folder("committee", &place))).await;
    let client = server.client();
    (server, client, place)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_system_exchanges_tables_in_folders() {
    let (server, client, place) = exchange().await;
    let (resident, body) = estate(&client, "committee").await;
    let name = ask(&client, &resident, &body).await;
    let sent = stands(&client, &name, State::Sent).await;
    let text = std::fs::read_to_string(table_of(&place, &name)).unwrap();
    assert!(text.contains("霜降白鹭") && text.contains(&name) && !text.contains("medical visit"), "{text}");
    assert_eq!(names(&place.join("out")).len(), 1);
    // A second process fills in the answer and leaves it.
    let answer = format!("reference,state\n{},已受理\n", sent.external_reference);
    std::fs::write(place.join("in/ack-1.csv"), answer).unwrap();
    in_time(&client, &name, State::Accepted).await;
    let archived = async || place.join("in/archive/ack-1.csv").is_file();
    Hours::of(&client, &body).until("the archive", archived).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_away_for_a_week_loses_nothing() {
    let (server, client, place) = exchange().await;
    let (resident, body) = estate(&client, "committee").await;
    let out = place.join("out");
    // Away, or something else that nobody can write in.
    std::fs::remove_dir(&out).unwrap();
    let mut waiting = Vec::new();
    for day in 0..7 {
        waiting.push(ask(&client, &resident, &body).await);
        let trouble = trouble_of(&client, &body).await;
        assert!(trouble.contains("the exchange folder"), "{trouble}");
        if day == 3 {
            std::fs::write(&out, "not a folder").unwrap();
        }
        client.advance(&format!("2026-03-{}T09:00:00+08:00", 17 + day)).await;
    }
    for name in &waiting {
        assert_eq!(get(&client, name).await.state(), State::Queued);
    }
    std::fs::remove_file(&out).unwrap();
    std::fs::create_dir(&out).unwrap();
    hour(&client).await;
    for name in &waiting {
        sent_in_time(&client, name, &body).await;
        assert!(std::fs::read_to_string(table_of(&place, name)).unwrap().contains(name));
    }
    assert_eq!(names(&out).len(), waiting.len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_for_a_person_to_clear() {
    let (server, client, place) = exchange().await;
    let (resident, body) = estate(&client, "committee").await;
    // What a referral is called is known when it was made: it waits behind a folder that is away.
    let out = place.join("out");
    std::fs::remove_dir(&out).unwrap();
    let name = ask(&client, &resident, &body).await;
    trouble_of(&client, &body).await;
    std::fs::create_dir(&out).unwrap();
    std::fs::write(table_of(&place, &name), "of somebody else").unwrap();
    in_time(&client, &name, State::Failed).await;
    assert_eq!(std::fs::read_to_string(table_of(&place, &name)).unwrap(), "of somebody else");
    assert_eq!(delivery(&client, &body).await.failed_count, 1);
    std::fs::remove_file(table_of(&place, &name)).unwrap();
    retry(&client, &name).await;
    stands(&client, &name, State::Sent).await;
    assert!(std::fs::read_to_string(table_of(&place, &name)).unwrap().contains(&name));
    server.stop().await;
}

/// Rounds of killing the server about when a file appears.
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_writing_and_noting_leaves_one_file() {
    let data = Data::sqlite();
    let place = data.folder().join("committee");
    let mut data = with_channels(data, &folder("committee", &place));
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    let mut estate_of = None;
    for _ in 0..KILLS {
        let server = Child::start(data);
        let client = server.client();
        if estate_of.is_none() {
            estate_of = Some(estate(&client, "committee").await);
        }
        let (resident, body) = estate_of.as_ref().unwrap();
        let name = ask(&client, resident, body).await;
        let table = table_of(&place, &name);
        let content = until("the file", || std::fs::read(&table).ok());
        data = server.kill();
        written.push((name, content));
    }
    let server = Child::start(data);
    let client = server.client();
    for (name, content) in &written {
        stands(&client, name, State::Sent).await;
        assert_eq!(&std::fs::read(table_of(&place, name)).unwrap(), content, "{name}");
    }
    assert_eq!(names(&place.join("out")).len(), KILLS, "and nothing half-written beside them");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_files_come_twice_too_late_half_written_and_from_enemies() {
    let (server, client, place) = exchange().await;
    let (resident, body) = estate(&client, "committee").await;
    let incoming = place.join("in");
    let leave = |name: &str, content: &[u8]| std::fs::write(incoming.join(name), content).unwrap();
    let mut sent = Vec::new();
    for _ in 0..3 {
        let name = ask(&client, &resident, &body).await;
        sent.push(stands(&client, &name, State::Sent).await);
    }
    let [taken_on, taken_back, slow] = &sent[..] else { panic!("three") };
    assert!(revoke(&client, &taken_back.name).await.tell_body);
    // A file that has been written to a half when it is read: nothing is made of that, and the whole is read as if there had been none.
    let whole = format!("reference,state,remark\n{},已受理,明天上午九点上门\n", slow.external_reference);
    leave("ack-3.csv", whole.split_once("理,").unwrap().0.as_bytes());
    let before = delivery(&client, &body).await.reach_time;
    hour(&client).await;
    let since = std::time::Instant::now();
    while delivery(&client, &body).await.reach_time == before {
        assert!(since.elapsed() < PATIENCE, "the half was not read");
        tokio::task::yield_now().await;
    }
    leave("ack-3.csv", whole.as_bytes());
    // The same answer in two files, and about what was taken back.
    let both = format!(
        "reference,state,remark\n{},已受理,明天上门\n{},已受理,\n",
        taken_on.external_reference, taken_back.external_reference
    );
    leave("ack-1.csv", both.as_bytes());
    leave("ack-2.csv", both.as_bytes());
    // What must not be read, or cannot be understood.
    std::os::unix::fs::symlink(server.data.database(), incoming.join("ack-link.csv")).unwrap();
    std::fs::create_dir(incoming.join("ack-folder.csv")).unwrap();
    leave("ack-huge.csv", &vec![b'x'; 5 * 1024 * 1024]);
    leave("ack-noise.xlsx", b"PK\x03\x04 no workbook at all");
    leave("ack-words.csv", "什么,都不是\n1,2\n".as_bytes());
    leave("ack-others.csv", b"reference,state\nreferral-of-nobody,accepted\n");
    let accepted = in_time(&client, &taken_on.name, State::Accepted).await;
    in_time(&client, &slow.name, State::Accepted).await;
    let full = v1::GetReferralRequest { name: slow.name.clone(), view: v1::View::Full.into() };
    let seen = client.purposeful().ask(full).await.unwrap();
    assert_eq!(seen.answer.unwrap().remark, "明天上午九点上门");
    let settled = async || names(&incoming) == ["ack-folder.csv", "ack-link.csv", "archive", "quarantine"];
    Hours::of(&client, &body).until("archive and quarantine", settled).await;
    assert_eq!(names(&incoming.join("archive")), ["ack-1.csv", "ack-2.csv", "ack-3.csv", "ack-others.csv"]);
    assert_eq!(names(&incoming.join("quarantine")), ["ack-huge.csv", "ack-noise.xlsx", "ack-words.csv"]);
    let noted = get(&client, &taken_back.name).await;
    assert_eq!((noted.state(), noted.answer.unwrap().decision()), (State::Revoked, Decision::Accepted));
    assert_eq!(get(&client, &taken_on.name).await, accepted, "the second one changed nothing");
    // The same file once more, under its old name.
    leave("ack-1.csv", both.as_bytes());
    let again = async || names(&incoming.join("archive")).contains(&"1-ack-1.csv".to_owned());
    Hours::of(&client, &body).until("the archive", again).await;
    assert_eq!(get(&client, &taken_on.name).await, accepted);
    server.stop().await;
}
