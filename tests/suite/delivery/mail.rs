//! Bodies that read mail. A relay knows no "once only": what may come twice has one message id, and says what to do about that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use linli_proto::v1::ReferralState as State;

use super::receivers::{Place, Receiver, mail};
use super::{
    answered, answering, ask, behind, delivery, estate, get, hour, killed_after_each_effect, retry,
    sent_in_time, stands, trouble_of, with_channels,
};
use crate::harness::server::{Child, Data, Server};

/// A header of a letter.
fn header<'a>(letter: &'a str, name: &str) -> &'a str {
    let value = letter.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in {letter}")).trim()
}

fn message_ids(letters: &[String]) -> Vec<&str> {
    letters.iter().map(|letter| header(letter, "Message-ID")).collect()
}

/// The text of a letter, out of its encoding.
fn text(letter: &str) -> String {
    let (head, body) =
        letter.replace("\r\n", "\n").split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    if head.contains("base64") {
        let packed: String = body.split_whitespace().collect();
        return String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap();
    }
    body.replace("=\n", "").replace("=3D", "=")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_holds_a_link_by_which_the_body_answers() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&folder) else { return };
    // As most relays speak: TLS begins after the first words.
    let receiver = place.with(&["--tls", "starttls"]).start(0);
    let (data, port) = answering(data, &mail("clinic", &folder, receiver.port, "tls = \"starttls\""));
    let server = Server::on(data).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let name = ask(&client, &resident, &body).await;
    stands(&client, &name, State::Sent).await;
    let letters = receiver.mails();
    let [letter] = &letters[..] else { panic!("one letter: {letters:?}") };
    assert_eq!(header(letter, "X-Receiver-To"), "office@clinic.example");
    let text = text(letter);
    assert!(text.contains("紧急程度：普通") && !text.contains("霜降白鹭"), "{text}");
    let path = text.split("https://answers.example").nth(1).unwrap_or_else(|| panic!("no link: {text}"));
    let path = path.split_whitespace().next().unwrap().to_owned();
    let page = answered(port, "GET", &path, "", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("受理"), "{page}");
    assert_eq!(get(&client, &name).await.state(), State::Sent, "looking changes nothing");
    let form = "application/x-www-form-urlencoded";
    let page = answered(port, "POST", &path, form, "state=accepted&remark=%E6%98%8E%E5%A4%A9");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    stands(&client, &name, State::Accepted).await;
    for _ in 0..2 {
        let page = answered(port, "POST", &path, "application/json", "{\"state\": \"closed\"}");
        assert!(page.contains("recorded"), "{page}");
    }
    stands(&client, &name, State::Closed).await;
    let wrong = answered(port, "POST", &path, form, "state=perhaps");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    let long = answered(port, "POST", &path, form, &format!("state=closed&remark={}", "x".repeat(100_000)));
    assert!(long.starts_with("HTTP/1.1 400") || long.starts_with("HTTP/1.1 413"), "{long}");
    for nobodys in [format!("{path}x"), "/a/x.y".to_owned(), "/".to_owned()] {
        let page = answered(port, "GET", &nobodys, "", "");
        assert!(page.starts_with("HTTP/1.1 404"), "{page}");
    }
    server.stop().await;
}

/// Faults after which a letter goes out again until the relay has it, and how often it has it then. Those that take their time each in
/// a series of their own, all at once.
const FAULTS: [&[(&str, usize)]; 5] = [
    &[("mute", 1)],
    &[("trickle 1", 1)],
    &[("hang", 1)],
    // The relay has it, and nobody knows.
    &[("hang kept", 2)],
    &[
        ("refuse", 1),
        ("rcpt 450", 1),
        ("rcpt 421", 1),
        ("cut", 1),
        ("421", 1),
        ("451", 1),
        ("drop", 1),
        ("drop kept", 2),
        ("linger", 1),
        ("refuse\nrcpt 450\ncut\n451\ndrop", 1),
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_leaves_one_letter_or_two_of_one_message_id() {
    let data = Data::sqlite();
    let folders: Vec<_> =
        (0..FAULTS.len()).map(|number| data.folder().join(format!("body-{number}"))).collect();
    let Some(places) = folders.iter().map(|folder| Place::smtp(folder)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let receivers: Vec<Receiver> = places.iter().map(|place| place.start(0)).collect();
    let channel = |(number, receiver): (usize, &Receiver)| {
        mail(&format!("body-{number}"), &folders[number], receiver.port, "")
    };
    let channels: String = receivers.iter().enumerate().map(channel).collect();
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (resident, first) = estate(&client, "body-0").await;
    let mut bodies = vec![first];
    for number in 1..FAULTS.len() {
        bodies.push(behind(&client, &format!("body-{number}")).await);
    }
    let series = receivers.into_iter().zip(bodies).zip(FAULTS).map(|((receiver, body), faults)| {
        let (client, resident) = (client.clone(), resident.clone());
        tokio::spawn(async move {
            for (fault, times) in faults {
                let before = receiver.mails();
                receiver.suffer(fault);
                let name = ask(&client, &resident, &body).await;
                sent_in_time(&client, &name, &body).await;
                let letters = receiver.mails();
                let new = message_ids(&letters[before.len()..]);
                assert_eq!(new.len(), *times, "{fault}: {new:?}");
                assert!(new.iter().all(|id| *id == new[0]), "{fault}: {new:?}");
                assert!(!message_ids(&before).contains(&new[0]), "{fault}: another matter has another id");
            }
        })
    });
    for one in series.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_waits_for_a_person() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&folder) else { return };
    let receiver = place.start(0);
    let server = Server::on(with_channels(data, &mail("clinic", &folder, receiver.port, ""))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    for (already, fault) in ["550", "rcpt 550", "554"].into_iter().enumerate() {
        receiver.suffer(fault);
        let name = ask(&client, &resident, &body).await;
        stands(&client, &name, State::Failed).await;
        assert_eq!(receiver.mails().len(), already, "{fault}");
        assert_eq!(delivery(&client, &body).await.failed_count, 1, "{fault}");
        retry(&client, &name).await;
        stands(&client, &name, State::Sent).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_trusted_is_told_nothing_and_who_does_not_let_us_in_is_waited_for() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&folder) else { return };
    // Another authority's certificate, and a password that has been changed.
    place.certified("other.pem");
    let receiver = place.start(0);
    let port = receiver.port;
    let server = Server::on(with_channels(data, &mail("clinic", &folder, port, ""))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let name = ask(&client, &resident, &body).await;
    let trouble = trouble_of(&client, &body).await;
    assert!(trouble.contains("certificate"), "{trouble}");
    drop(receiver);
    let data = server.stop().await;
    place.certified("authority.pem");
    std::fs::write(folder.join("password"), "another-secret").unwrap();
    let receiver = place.start(port);
    std::fs::write(folder.join("password"), "a-secret-of-two").unwrap();
    let server = Server::on(data).await;
    let client = server.client();
    retry(&client, &name).await;
    let since = std::time::Instant::now();
    while !delivery(&client, &body).await.trouble.contains("535") {
        assert!(since.elapsed() < crate::harness::PATIENCE, "{:?}", delivery(&client, &body).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&client, &name).await.state(), State::Queued);
    assert!(receiver.mails().is_empty());
    drop(receiver);
    let receiver = place.start(port);
    sent_in_time(&client, &name, &body).await;
    assert_eq!(receiver.mails().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_down_for_a_week_loses_nothing() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&folder) else { return };
    let port = place.start(0).port;
    let server = Server::on(with_channels(data, &mail("clinic", &folder, port, ""))).await;
    let client = server.client();
    let (resident, body) = estate(&client, "clinic").await;
    let mut waiting = Vec::new();
    for day in 0..7 {
        waiting.push(ask(&client, &resident, &body).await);
        trouble_of(&client, &body).await;
        client.advance(&format!("2026-03-{}T09:00:00+08:00", 17 + day)).await;
    }
    for name in &waiting {
        assert_eq!(get(&client, name).await.state(), State::Queued);
    }
    let back = place.start(port);
    hour(&client).await;
    for name in &waiting {
        sent_in_time(&client, name, &body).await;
    }
    let letters = back.mails();
    let numbers: Vec<String> = letters.iter().map(|letter| text(letter)).collect();
    assert_eq!(numbers.len(), waiting.len());
    for (name, text) in waiting.iter().zip(&numbers) {
        assert!(text.contains(name.as_str()), "in the order in which they were asked for: {name} in {text}");
    }
    server.stop().await;
}

/// Rounds of killing the server between sending and writing that down.
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_sending_and_noting_sends_the_same_letter() {
    let data = Data::sqlite();
    let folder = data.folder().join("clinic");
    let Some(place) = Place::smtp(&folder) else { return };
    let receiver = place.start(0);
    let data = with_channels(data, &mail("clinic", &folder, receiver.port, ""));
    // Each but the last has come again by then, as itself.
    let happened = |round: usize, _: &str| receiver.mails().len() == 2 * round + 1;
    let (data, names) = killed_after_each_effect(data, &receiver, KILLS, happened).await;
    let server = Child::start(data);
    let client = server.client();
    stands(&client, names.last().unwrap(), State::Sent).await;
    let letters = receiver.mails();
    assert_eq!(letters.len(), 2 * KILLS);
    let ids = message_ids(&letters);
    for (round, name) in names.iter().enumerate() {
        assert_eq!(ids[2 * round], ids[2 * round + 1], "the letter of a matter comes again, as itself");
        assert!(text(&letters[2 * round]).contains(name.as_str()));
        assert_eq!(get(&client, name).await.state(), State::Sent);
    }
    let mut distinct = ids;
    distinct.dedup();
    assert_eq!(distinct.len(), KILLS);
    server.stop();
}
