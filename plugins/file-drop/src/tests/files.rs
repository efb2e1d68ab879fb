//! What becomes of files: nothing is put away before it is stored, whatever happens in between.

use linli_plugin_sdk::connector::testing::Numbers;

use super::*;

fn table(ids: std::ops::Range<usize>) -> String {
    ids.fold("编号,结果\n".to_owned(), |table, id| table + &format!("{id},已受理\n"))
}

fn ids(found: &Acknowledgements) -> Vec<String> {
    found.items.iter().map(|item| item.external_reference.clone()).collect()
}

#[test]
fn a_file_is_put_away_by_the_run_after_the_one_that_read_it() {
    let mut folders = Folders::default();
    folders.put("ack-1.csv", table(1..3));
    folders.put("notes.txt", "x");
    folders.put("roster-1.csv", "x");
    let first = folders.poll("").unwrap();
    assert_eq!(ids(&first), ["referral-1", "referral-2"]);
    assert!(folders.archive.is_empty());
    // The host came to its end before it had stored that: the same again.
    assert_eq!(folders.poll("").unwrap(), first);
    let second = folders.poll(&first.cursor).unwrap();
    assert_eq!((second.items.len(), second.cursor.as_str()), (0, ""));
    assert_eq!(folders.archive, ["ack-1.csv"]);
    // The host came to its end before it had stored the second run: nothing is left of that file.
    assert_eq!(folders.poll(&first.cursor).unwrap(), second);
    assert_eq!(folders.incoming.keys().collect::<Vec<_>>(), ["notes.txt", "roster-1.csv"]);
}

#[test]
fn a_file_that_changes_between_two_runs_is_read_again() {
    let mut folders = Folders::default();
    // Half of it was there: the body's program was still writing.
    folders.put("ack-1.csv", table(1..2));
    let first = folders.poll("").unwrap();
    folders.put("ack-1.csv", table(1..4));
    let second = folders.poll(&first.cursor).unwrap();
    assert_eq!(ids(&second), ["referral-1", "referral-2", "referral-3"]);
    assert!(folders.archive.is_empty());
    assert_eq!(folders.poll(&second.cursor).unwrap().cursor, "");
    assert_eq!(folders.archive, ["ack-1.csv"]);
    // Half of a workbook is none: it is not put into quarantine before it has lain still.
    folders.put("ack-2.xlsx", "PK");
    let third = folders.poll("").unwrap();
    folders.put("ack-2.xlsx", "PK and more");
    let fourth = folders.poll(&third.cursor).unwrap();
    assert!(folders.quarantine.is_empty());
    let error = folders.poll(&fourth.cursor).unwrap_err();
    assert!(error.message().starts_with("in quarantine now: `ack-2.xlsx`: it is no workbook"), "{error:?}");
    assert_eq!(folders.quarantine, ["ack-2.xlsx"]);
}

#[test]
fn what_ends_within_a_line_is_read_when_it_has_lain_still() {
    let half = "编号,结果,日期\n1,已受理,2026-03-1";
    let mut folders = Folders::default();
    folders.put("ack-1.csv", half);
    folders.put("ack-2.csv", table(2..3));
    let first = folders.poll("").unwrap();
    assert_eq!(ids(&first), ["referral-2"], "2026-03-1 may be the beginning of 2026-03-15");
    folders.put("ack-1.csv", format!("{half}5"));
    let second = folders.poll(&first.cursor).unwrap();
    assert_eq!((ids(&second).len(), folders.archive.as_slice()), (0, &["ack-2.csv".to_owned()][..]));
    let third = folders.poll(&second.cursor).unwrap();
    assert_eq!(ids(&third), ["referral-1"]);
    assert_eq!(third.items[0].decided_at_micros, Some(1_773_590_399_000_000));
    assert_eq!(folders.poll(&third.cursor).unwrap(), Acknowledgements::default());
    assert_eq!(folders.archive, ["ack-2.csv", "ack-1.csv"]);
}

#[test]
fn a_wrong_file_holds_up_no_other() {
    let mut folders = Folders::default();
    folders.put("ack-1.csv", "nothing\n");
    folders.put("ack-2.csv", table(1..2));
    folders.put("ack-3.csv", "编号,结果\n2,已受理\n王秀英,已受理\n");
    folders.put("ack-4.csv", "large");
    folders.refused.insert("ack-4.csv".into());
    folders.unreadable.insert("ack-5.csv".into());
    folders.put("ack-5.csv", table(5..6));
    let first = folders.poll("").unwrap();
    assert_eq!(ids(&first), ["referral-1", "referral-2"]);
    let error = folders.poll(&first.cursor).unwrap_err();
    for says in
        ["`ack-1.csv`: it has no row", "`ack-3.csv`: row 3: ", "`ack-4.csv`: the file has more than 4 MiB"]
    {
        assert!(error.message().contains(says), "{error:?}");
    }
    assert_eq!(folders.quarantine, ["ack-1.csv", "ack-3.csv", "ack-4.csv"]);
    // The run failed, so the host still has the first cursor.
    assert!(folders.archive.is_empty());
    // What cannot be read now is said, once there is nothing else.
    let error = folders.poll(&first.cursor).unwrap_err();
    assert!(error.is_later() && error.message().contains("permission denied"), "{error:?}");
    assert_eq!(folders.archive, ["ack-2.csv"]);
    folders.unreadable.clear();
    assert_eq!(ids(&folders.poll(&first.cursor).unwrap()), ["referral-5"]);
}

#[test]
fn every_answer_of_many_files_arrives_and_every_file_is_put_away() {
    let mut folders = Folders::default();
    for number in 0..100 {
        folders.put(&format!("ack-{number:03}-{}.csv", "x".repeat(number % 80)), table(number..number + 1));
    }
    let (mut cursor, mut arrived, mut runs) = (String::new(), BTreeSet::new(), 0);
    loop {
        runs += 1;
        let found = folders.poll(&cursor).unwrap();
        for item in &found.items {
            assert!(arrived.insert(item.external_reference.clone()), "{item:?} came twice without any crash");
        }
        cursor = found.cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!((arrived.len(), folders.archive.len(), folders.incoming.len()), (100, 100, 0));
    assert!((5..20).contains(&runs), "{runs}");
}

#[test]
fn a_run_brings_no_more_than_it_may() {
    let mut folders = Folders::default();
    for number in 0..3 {
        let rows: String = (0..4_000).map(|row| format!("n{number}-{row}\n")).collect();
        folders.put(&format!("roster-{number}.csv"), format!("姓名,电话\n{rows}"));
    }
    let first = folders.pull("", "{}").unwrap();
    assert_eq!(first.entries.len(), 8_000);
    let second = folders.pull(&first.cursor, "{}").unwrap();
    assert_eq!((second.entries.len(), folders.archive.len()), (4_000, 2));
    let third = folders.pull(&second.cursor, "{}").unwrap();
    assert_eq!((third, folders.archive.len()), (Roster::default(), 3));

    // A packed table may say far more than it weighs, and a thousand answers are enough for a run.
    let people: String = (0..1_000).map(|_| format!("n,{}\n", "长".repeat(3_000))).collect();
    let mut folders = Folders::default();
    folders.put("roster-1.csv", format!("姓名,住址\n{people}"));
    folders.put("ack-1.csv", table(0..600));
    folders.put("ack-2.csv", table(0..600));
    folders.put("ack-3.csv", table(0..1_001));
    let found = folders.pull("", "{}").unwrap();
    assert_eq!(found.entries, Vec::<Vec<Field>>::new());
    let error = folders.pull(&found.cursor, "{}").unwrap_err();
    assert!(error.message().contains("more than 10000 rows or 6291456 bytes: split it"), "{error:?}");
    let first = folders.poll("").unwrap();
    let second = folders.poll(&first.cursor).unwrap();
    assert_eq!((first.items.len(), second.items.len(), folders.archive.len()), (600, 600, 1));
    let error = folders.poll(&second.cursor).unwrap_err();
    assert!(error.message().contains("`ack-3.csv`: it has more than 1000 rows"), "{error:?}");
}

#[test]
fn names_that_cannot_be_asked_for_are_said_to_be_so() {
    let mut folders = Folders::default();
    for name in ["ack-王秀英.csv", "ack-1 (2).csv", &format!("ack-{}.csv", "x".repeat(100))] {
        folders.put(name, table(1..2));
    }
    let error = folders.poll("").unwrap_err();
    assert!(
        !error.is_later() && error.message().starts_with("3 files cannot be read because of their names")
    );
    assert_eq!(folders.steps, [Step::ListFiles]);
    // They hold up nothing.
    folders.put("ack-1.csv", table(1..2));
    assert_eq!(folders.poll("").unwrap().items.len(), 1);
    for name in ["ack.csv", "ack-1.csv.part", "ack-1.csv~", "xack-1.csv", "ack-1.txt", "referral-1.csv"] {
        let mut folders = Folders::default();
        folders.put(name, table(1..2));
        assert_eq!(folders.poll("").unwrap(), Acknowledgements::default(), "{name}");
    }
}

#[test]
fn the_same_folder_gives_the_same_steps_whatever_lies_in_it() {
    let mut numbers = Numbers::new(0x9e37_79b9_7f4a_7c15);
    let pieces = [
        "编号",
        "结果",
        "姓名",
        ",",
        "\n",
        "\r\n",
        "\"",
        "1",
        "已受理",
        "'=",
        "\u{feff}",
        "\0",
        "PK\u{3}\u{4}",
        "日期,2026-03-15",
    ];
    let book = crate::outgoing::table(&delivery(&[("name", "王秀英")]), crate::Format::Xlsx).unwrap();
    for _ in 0..1_000 {
        let mut folders = Folders::default();
        for _ in 0..numbers.below(5) {
            let kind = numbers.one_of(&["ack-", "roster-"]);
            let name = format!("{kind}{}.{}", numbers.below(4), numbers.one_of(&["csv", "xlsx", "xls"]));
            let mut content: Vec<u8> = if numbers.below(3) == 0 {
                book.clone()
            } else {
                (0..numbers.below(12)).flat_map(|_| numbers.one_of(&pieces).bytes()).collect()
            };
            for _ in 0..numbers.below(4) {
                if !content.is_empty() {
                    let place = numbers.below(content.len());
                    content[place] = numbers.below(256) as u8;
                }
            }
            if numbers.below(10) == 0 {
                folders.refused.insert(name.clone());
            }
            folders.put(&name, content);
        }
        let runs = |mut folders: Folders| {
            let mut cursors = (String::new(), String::new());
            for _ in 0..5 {
                if let Ok(found) = folders.poll(&cursors.0) {
                    cursors.0 = found.cursor;
                }
                if let Ok(found) = folders.pull(&cursors.1, "{}") {
                    cursors.1 = found.cursor;
                }
            }
            // To be seen, to be read, to be put away, twice for what was not understood: five runs are enough for every file.
            assert!(folders.incoming.is_empty(), "{:?}", folders.incoming.keys());
            (cursors, folders.steps, folders.archive, folders.quarantine)
        };
        assert_eq!(runs(folders.clone()), runs(folders));
    }
}
