//! Watches under load: broken off and resumed at random while others write, and a hundred of them whose clients do not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use linli_proto::v1;

use super::nats::figure;
use super::{listed, watch, write};
use crate::harness::Numbers;
use crate::harness::client::Client;
use crate::harness::server::{Child, Data, Server};

/// How often watches are resumed, by all readers together.
const RESUMED: u64 = 1_000;
/// Readers at a time, each with a place of its own.
const READERS: u64 = 4;
/// Writers at a time.
const WRITERS: u64 = 2;
/// Events that must have been written meanwhile, or it was no load.
const WRITTEN_MIN: i64 = 1_000;
/// Of the resumptions, those before which something was written since the one before: most.
const UNDER_LOAD_MIN: u64 = RESUMED * 3 / 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_resumed_watches_lose_nothing_on_sqlite() {
    resumed("a_thousand_resumed_watches_lose_nothing_on_sqlite", Data::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_resumed_watches_lose_nothing_on_postgres() {
    let Some(data) = Data::postgres().await else { return };
    resumed("a_thousand_resumed_watches_lose_nothing_on_postgres", data).await;
}

async fn resumed(test: &str, data: Data) {
    let mut numbers = Numbers::seeded(test);
    let server = Server::on(data).await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let stop = Arc::new(AtomicBool::new(false));
    let (request, written) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (client, resident) = (client.clone(), resident.clone());
            let (stop, request, written) = (Arc::clone(&stop), Arc::clone(&request), Arc::clone(&written));
            let mut numbers = Numbers::from(numbers.next());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = request.fetch_add(1, Ordering::Relaxed);
                    let count = numbers.between(1, 8);
                    write(&client, &resident, count, number).await;
                    written.fetch_add(count, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|_| tokio::spawn(read(client.clone(), Numbers::from(numbers.next()), Arc::clone(&written))))
        .collect();
    let (mut places, mut under_load) = (Vec::new(), 0);
    for reader in readers {
        let (cursor, heard, moved) = reader.await.unwrap();
        places.push((cursor, heard));
        under_load += moved;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    // What nobody interrupted any more: each reads to the end what there is.
    let all = listed(&client, 200).await;
    let newest = all.last().unwrap().sequence;
    assert!(newest >= WRITTEN_MIN, "{newest} events are no load");
    assert!(under_load >= UNDER_LOAD_MIN, "only {under_load} of {RESUMED} were resumed while others wrote");
    assert!(all.iter().zip(1..).all(|(event, number)| event.sequence == number));
    for (mut cursor, mut heard) in places {
        assert_eq!(heard, all[..heard.len()], "each once, in order, and none lost");
        while heard.len() < all.len() {
            let mut stream = client.events(watch(&cursor)).await.unwrap();
            let answer = stream.message().await.unwrap().unwrap();
            heard.extend(answer.events);
            cursor = answer.cursor;
        }
        assert_eq!(heard, all);
    }
    eprintln!("{newest} events, {RESUMED} watches, {under_load} of them under load");
    server.stop().await;
}

/// Watches, is broken off after a few answers or in the middle of one, and goes on; gives the place, what was heard, and how often
/// something had been written meanwhile.
async fn read(
    client: Client,
    mut numbers: Numbers,
    written: Arc<AtomicU64>,
) -> (String, Vec<v1::ChangeEvent>, u64) {
    let (mut cursor, mut heard): (String, Vec<v1::ChangeEvent>) = (String::new(), Vec::new());
    let (mut before, mut moved) = (0, 0);
    for _ in 0..RESUMED / READERS {
        let now = written.load(Ordering::Relaxed);
        moved += u64::from(std::mem::replace(&mut before, now) != now);
        let mut stream = client.events(watch(&cursor)).await.unwrap();
        for _ in 0..numbers.between(1, 3) {
            let mut answer = stream.message().await.unwrap().expect("a watch goes on");
            // Where the reader fails on an event, it goes on after the one before.
            let taken = usize::try_from(numbers.between(0, 120)).unwrap();
            if taken < answer.events.len() {
                answer.events.truncate(taken);
                cursor = answer.events.last().map_or(cursor, |event| event.cursor.clone());
                heard.extend(answer.events);
                break;
            }
            heard.extend(answer.events);
            cursor = answer.cursor;
        }
    }
    (cursor, heard, moved)
}

/// Watchers that do not read.
const SLOW: usize = 100;
/// Records written for them.
const RECORDS: u64 = 8_000;
/// What the server may grow by for all of them and for the writing, in KiB. For each watcher one answer of 100 events waits (some
/// 25 KiB as values, 20 KiB encoded) beside a connection of its own (some 100 KiB with HTTP/2's buffers): 15 MiB for a hundred; the
/// writing itself warms caches and the database's pages. Kept whole, their events would be [`SLOW`] × [`RECORDS`] × 200 bytes: more than 150 MiB.
const GROWTH_MAX_KIB: u64 = 48 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_watchers_who_do_not_read_cost_little() {
    let settings =
        "events.watchers_per_caller = 200\nevents.slow_after_s = 600\nserver.limits.connections = 500";
    let child = Child::start(Data::sqlite().with(settings));
    let client = child.client();
    let (_, _, resident) = client.estate("s1").await;
    // The writing itself: its caches are warm before anything is compared.
    for number in 0..20 {
        write(&client, &resident, 100, number).await;
    }
    let before = child.resident_kib();
    let mut streams = Vec::new();
    for _ in 0..SLOW {
        let slow = Client::narrow(&child.address).token(child.token());
        streams.push(slow.events(watch("")).await.unwrap());
    }
    let mut largest = 0;
    for number in 0..RECORDS / 100 {
        write(&client, &resident, 100, 1_000 + number).await;
        largest = largest.max(child.resident_kib());
    }
    let growth = largest.saturating_sub(before);
    eprintln!("{before} KiB before, {largest} KiB at most with {SLOW} slow watchers");
    let first = listed(&client, 200).await;
    let whole =
        first.iter().map(|event| prost::Message::encoded_len(event) as u64).sum::<u64>() * SLOW as u64 / 1024;
    assert!(whole > 3 * GROWTH_MAX_KIB, "{whole} KiB would not show anything");
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB");
    assert_eq!(figure(&child.metrics(), "linli_event_watchers "), Some(SLOW as u64), "none was given up");
    // They are all still there, and each goes on where it is, with everything.
    for stream in streams.iter_mut().take(3) {
        let mut heard = Vec::new();
        while heard.len() < first.len() {
            let answer = tokio::time::timeout(Duration::from_secs(60), stream.message()).await;
            heard.extend(answer.unwrap().unwrap().unwrap().events);
        }
        assert_eq!(heard, first);
    }
    child.stop();
}
