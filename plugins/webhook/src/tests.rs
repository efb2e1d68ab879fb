//! Runs by script: what is asked, what is answered, and what comes of it.

use std::time::Duration;

use linli_plugin_sdk::connector::testing::{
    End, IDEMPOTENCY_KEY, Numbers, Operation, Outcome, Step, drive, run,
};
use linli_plugin_sdk::connector::{
    Acknowledgement, Acknowledgements, Decision, Delivered, Delivery, Failure, FailureKind, Field,
    HttpRequest, HttpResponse, Poll, PullRoster, Roster, RunError, Settings,
};

use super::{Connector as _, Webhook};

const SETTINGS: &str = r#"{"url": "https://health.example.cn/linli/"}"#;
const URL: &str = "https://health.example.cn/linli";
const REFERRAL: &str = "sites/gardens/referrals/0193";
/// What no message may repeat.
const PERSONAL: &str = "王秀英330102194803051234";

fn delivery() -> Delivery {
    Delivery {
        referral: REFERRAL.into(),
        fields: vec![Field::new("name", PERSONAL), Field::new("phone", "138\"\\\n")],
        answer_url: "https://answers.example.cn/a/x.y".into(),
    }
}

fn post() -> Step {
    let body = serde_json::json!({
        "referral": REFERRAL,
        "idempotency_key": IDEMPOTENCY_KEY,
        "sent_at": "2026-03-16T00:00:00Z",
        "fields": {"name": PERSONAL, "phone": "138\"\\\n"},
        "answer_url": "https://answers.example.cn/a/x.y",
    });
    let request = HttpRequest::post(format!("{URL}/referrals"), body.to_string())
        .header("content-type", "application/json; charset=utf-8")
        .header("idempotency-key", IDEMPOTENCY_KEY)
        .header("accept", "application/json");
    Step::Http(request.signed())
}

fn get(path: &str) -> Step {
    Step::Http(HttpRequest::get(format!("{URL}{path}")).header("accept", "application/json").signed())
}

fn answer(status: u16, header: Option<(&str, &str)>, body: &str) -> Outcome {
    let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Outcome::Http(HttpResponse { status, headers, body: body.into() })
}

fn deliver(outcome: Outcome) -> Result<End, RunError> {
    run::<Webhook>(Operation::Deliver(delivery()), SETTINGS, [(post(), outcome)])
}

fn poll(cursor: &str, script: impl IntoIterator<Item = (Step, Outcome)>) -> Result<End, RunError> {
    let poll = Poll { external_references: vec!["r-1".into()], cursor: cursor.into() };
    run::<Webhook>(Operation::Poll(poll), SETTINGS, script)
}

fn pull(cursor: &str, script: impl IntoIterator<Item = (Step, Outcome)>) -> Result<End, RunError> {
    run::<Webhook>(Operation::PullRoster(PullRoster { cursor: cursor.into() }), SETTINGS, script)
}

/// A run that must fail: what it says, without anybody's data, and whether to repeat it and when.
fn fails(result: Result<End, RunError>) -> (String, bool, Option<Duration>) {
    let error = result.expect_err("the run must fail");
    assert!(!error.message().contains(PERSONAL), "{}", error.message());
    assert!((1..=500).contains(&error.message().chars().count()), "{}", error.message());
    (error.message().to_owned(), error.is_later(), error.wait())
}

#[test]
fn what_is_taken_gets_the_recipients_reference() {
    let reference_of_200 = "r".repeat(200);
    let said_200 = format!(r#"{{"reference": "{reference_of_200}"}}"#);
    let location = Some(("location", "/referrals/7"));
    for (status, header, body, expect) in [
        (200, None, r#"{"reference": "r-1"}"#, "r-1"),
        (201, location, r#"{"reference": "r-1", "more": [1, null]}"#, "r-1"),
        (201, location, "", "/referrals/7"),
        (202, location, r#"{"reference": null}"#, "/referrals/7"),
        (201, location, r#"{"reference": ""}"#, "/referrals/7"),
        (204, None, "", ""),
        (200, None, "{}", ""),
        (200, None, said_200.as_str(), reference_of_200.as_str()),
        (409, None, r#"{"reference": "r-1", "idempotency_key": "test-key"}"#, "r-1"),
        (409, location, r#"{"idempotency_key": "test-key"}"#, "/referrals/7"),
    ] {
        let expect = Ok(End::Delivered(Delivered { external_reference: expect.into() }));
        assert_eq!(deliver(answer(status, header, body)), expect, "{status} {body}");
    }
}

#[test]
fn every_class_of_answer_says_whether_to_repeat() {
    for (status, later) in [
        (100, false),
        (199, false),
        (300, false),
        (301, false),
        (302, false),
        (304, false),
        (307, false),
        (308, false),
        (400, false),
        (401, true),
        (403, true),
        (404, false),
        (408, true),
        (410, false),
        (413, false),
        (422, false),
        (425, true),
        (429, true),
        (499, false),
        (500, true),
        (501, true),
        (502, true),
        (503, true),
        (504, true),
        (599, true),
        (600, false),
        (999, false),
    ] {
        let body = format!(r#"{{"reference": "r-1", "error": "{PERSONAL}"}}"#);
        let script = answer(status, Some(("location", "https://10.0.0.1/王秀英")), &body);
        let (message, repeat, wait) = fails(deliver(script));
        assert_eq!((repeat, wait), (later, None), "{status}");
        assert!(
            message.contains(&format!("POST /referrals was answered with status {status}: ")),
            "{message}"
        );
    }
}

#[test]
fn a_recipient_that_asks_to_wait_is_waited_for() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (status, after, expect) in [
        (429, "120", seconds(120)),
        (503, "120", seconds(120)),
        // The answer came a second after the run began.
        (503, "Mon, 16 Mar 2026 00:02:01 GMT", seconds(120)),
        (429, "Mon, 16 Mar 2026 00:00:00 GMT", None),
        (429, "999999999999", seconds(86_400)),
        (429, "nonsense", None),
        (500, "120", None),
    ] {
        let (_, repeat, wait) = fails(deliver(answer(status, Some(("retry-after", after)), "")));
        assert_eq!((repeat, wait), (true, expect), "{status} {after}");
    }
}

#[test]
fn an_answer_that_nobody_understands_is_asked_for_again() {
    let long = format!(r#"{{"reference": "{}"}}"#, "r".repeat(201));
    let oversized = format!(r#"{{"reference": "{}"}}"#, "r".repeat(4 * 1024 * 1024));
    let deep = "[".repeat(100_000);
    for (status, body, says) in [
        (200, "<html>Welcome</html>", "not JSON (line 1, column 1)"),
        (200, "[]", "no object"),
        (200, "{\"reference\": \"r", "not JSON"),
        (200, r#"{"reference": 5}"#, "`reference` of the answer is no text"),
        (200, r#"{"reference": "a\nb"}"#, "control characters"),
        (200, long.as_str(), "more than 200 bytes"),
        (200, oversized.as_str(), "more than 4194304 bytes"),
        (200, deep.as_str(), "not JSON"),
        (409, "", "still be at work"),
        (409, r#"{"reference": "r-1"}"#, "still be at work"),
        (409, r#"{"reference": "r-1", "idempotency_key": "another"}"#, "still be at work"),
        (409, r#"{"idempotency_key": "test-key", "reference": 1}"#, "no text"),
    ] {
        let (message, repeat, _) = fails(deliver(answer(status, None, body)));
        assert!(repeat && message.contains(says), "{status}: {message}");
    }
}

#[test]
fn without_an_answer_only_what_is_forbidden_is_given_up() {
    for (kind, later) in
        [(FailureKind::NotDone, true), (FailureKind::Unknown, true), (FailureKind::Forbidden, false)]
    {
        let outcome = || Outcome::Failure(Failure { kind, detail: "no connection in time".into() });
        let (message, repeat, _) = fails(deliver(outcome()));
        assert_eq!((message.as_str(), repeat), ("POST /referrals: no connection in time", later));
        let polled = fails(poll("", [(get("/acknowledgements?limit=500"), outcome())]));
        assert_eq!(polled.1, later);
        let probed = fails(run::<Webhook>(Operation::Probe, SETTINGS, [(get("/health"), outcome())]));
        assert_eq!(probed.1, later);
    }
}

fn acknowledgement(reference: &str, referral: &str, decision: Decision) -> Acknowledgement {
    Acknowledgement {
        external_reference: reference.into(),
        referral: referral.into(),
        decision,
        remark: String::new(),
        decided_at_micros: None,
    }
}

#[test]
fn answers_are_read_page_by_page_and_doubles_are_the_hosts_to_see() {
    let first = format!(
        r#"{{"items": [
            {{"reference": "r-1", "state": "accepted", "decided_at": "2026-03-15T09:00:00+08:00", "remark": "下周上门\n{PERSONAL}"}},
            {{"referral": "{REFERRAL}", "state": "rejected", "remark": null, "more": true}},
            {{"reference": "r-1", "state": "accepted"}}
        ], "cursor": "5/é"}}"#
    );
    let second = r#"{"items": [{"reference": "r-2", "referral": "", "state": "closed"}], "cursor": "6"}"#;
    let script = [
        (get("/acknowledgements?limit=500&cursor=4"), answer(200, None, &first)),
        (get("/acknowledgements?limit=500&cursor=5%2F%C3%A9"), answer(200, None, second)),
        (get("/acknowledgements?limit=500&cursor=6"), answer(200, None, r#"{"items": [], "cursor": "6"}"#)),
    ];
    let mut accepted = acknowledgement("r-1", "", Decision::Accepted);
    let again = accepted.clone();
    accepted.remark = format!("下周上门\n{PERSONAL}");
    accepted.decided_at_micros = Some(1_773_536_400_000_000);
    let items = vec![
        accepted,
        acknowledgement("", REFERRAL, Decision::Rejected),
        again,
        acknowledgement("r-2", "", Decision::Closed),
    ];
    assert_eq!(poll("4", script), Ok(End::Acknowledgements(Acknowledgements { items, cursor: "6".into() })));
}

#[test]
fn a_recipient_without_cursors_is_asked_the_same_again() {
    let script = [(
        get("/acknowledgements?limit=500"),
        answer(200, None, r#"{"items": [{"reference": "r-1", "state": "closed"}]}"#),
    )];
    let items = vec![acknowledgement("r-1", "", Decision::Closed)];
    assert_eq!(
        poll("", script),
        Ok(End::Acknowledgements(Acknowledgements { items, cursor: String::new() }))
    );
}

#[test]
fn a_wrong_item_is_named_and_what_came_before_its_page_is_kept() {
    let remark = format!(r#"{{"reference": "r", "state": "closed", "remark": "{}"}}"#, "言".repeat(1_001));
    let reference = format!(r#"{{"reference": "{}", "state": "closed"}}"#, "r".repeat(201));
    for (item, says) in [
        (format!(r#"{{"reference": "{PERSONAL}", "state": "pending"}}"#), "`state` of item 2"),
        (r#"{"reference": "r", "state": "ACCEPTED"}"#.into(), "`state` of item 2"),
        (r#"{"reference": "r"}"#.into(), "`state` of item 2"),
        (r#"{"reference": "r", "state": 1}"#.into(), "`state` of item 2 is no text"),
        (r#"{"state": "closed"}"#.into(), "item 2 names neither"),
        (format!(r#"{{"referral": "{PERSONAL}", "state": "closed"}}"#), "`referral` of item 2"),
        (r#"{"referral": "sites/a/referrals/../x", "state": "closed"}"#.into(), "`referral` of item 2"),
        (
            format!(r#"{{"reference": "r", "state": "closed", "decided_at": "{PERSONAL}"}}"#),
            "`decided_at` of item 2",
        ),
        (remark, "`remark` of item 2 has more than 1000 characters"),
        (reference, "`reference` of item 2"),
        (format!(r#""{PERSONAL}""#), "item 2 is no object"),
    ] {
        let page =
            format!(r#"{{"items": [{{"reference": "r-0", "state": "closed"}}, {item}], "cursor": "2"}}"#);
        let first = get("/acknowledgements?limit=500&cursor=1");
        let (message, repeat, _) = fails(poll("1", [(first.clone(), answer(200, None, &page))]));
        assert!(!repeat && message.contains(says), "{message}");
        // After a good page, that page counts; the next run begins with the wrong one.
        let good = r#"{"items": [{"reference": "r-0", "state": "closed"}], "cursor": "1"}"#;
        let script = [
            (get("/acknowledgements?limit=500"), answer(200, None, good)),
            (first, answer(200, None, &page)),
        ];
        let items = vec![acknowledgement("r-0", "", Decision::Closed)];
        let expect = Acknowledgements { items, cursor: "1".into() };
        assert_eq!(poll("", script), Ok(End::Acknowledgements(expect)));
    }
    let long_cursor = format!(r#"{{"items": [], "cursor": "{}"}}"#, "游".repeat(114));
    for (page, says) in [
        ("", "not JSON"),
        ("{}", "no list `items`"),
        (r#"{"items": {}}"#, "no list `items`"),
        (r#"{"items": [], "cursor": 5}"#, "`cursor` of the answer is no text"),
        (long_cursor.as_str(), "`cursor` of the answer has more than"),
    ] {
        let (message, repeat, _) =
            fails(poll("", [(get("/acknowledgements?limit=500"), answer(200, None, page))]));
        assert!(!repeat && message.contains(says), "{message}");
    }
}

#[test]
fn a_list_of_people_is_followed_to_its_end() {
    let first = format!(
        r#"{{"entries": [{{"name": "{PERSONAL}", "birth_date": "1948-03-05", "identity_number": "330102194803051234",
            "phone": "138", "address": "1-2-301", "group": "subsistence_allowance", "certificate": "C 1",
            "valid_until": "2027-02-28", "income": 5}}], "cursor": "a"}}"#
    );
    // What an entry says badly is for others to judge.
    let second = r#"{"entries": [{"name": "李\u0000", "birth_date": "1948-02-30", "phone": null, "address": ""}], "cursor": ""}"#;
    let script = [
        (get("/roster?limit=1000"), answer(200, None, &first)),
        (get("/roster?limit=1000&cursor=a"), answer(200, None, second)),
    ];
    let all = [
        ("name", PERSONAL),
        ("birth_date", "1948-03-05"),
        ("identity_number", "330102194803051234"),
        ("phone", "138"),
        ("address", "1-2-301"),
        ("group", "subsistence_allowance"),
        ("certificate", "C 1"),
        ("valid_until", "2027-02-28"),
    ];
    let all = all.into_iter().map(|(code, value)| Field::new(code, value)).collect();
    let entries = vec![all, vec![Field::new("name", "李\0"), Field::new("birth_date", "1948-02-30")]];
    assert_eq!(pull("", script), Ok(End::Roster(Roster { entries, cursor: String::new() })));

    let long = format!(r#"{{"address": "{}"}}"#, "长".repeat(4_001));
    for (entry, says) in [
        (r#"{"phone": 13800001234}"#.into(), "`phone` of entry 1 is no text"),
        (long, "`address` of entry 1 has more than 4000 characters"),
        (r#"{"income": 5}"#.into(), "entry 1 says nothing"),
        ("null".into(), "entry 1 is no object"),
    ] {
        let page = format!(r#"{{"entries": [{entry}]}}"#);
        let (message, repeat, _) = fails(pull("", [(get("/roster?limit=1000"), answer(200, None, &page))]));
        assert!(!repeat && message.contains(says), "{message}");
    }
}

/// A recipient that always has more: pages of so many entries, each with a new cursor.
fn endless(entries: usize) -> (Result<End, RunError>, usize) {
    let mut asked = 0;
    let entry = vec![r#"{"name": "n"}"#; entries].join(",");
    let pull = Operation::PullRoster(PullRoster::default());
    let result = drive::<Webhook>(pull, SETTINGS, |_| {
        asked += 1;
        Outcome::http(200, format!(r#"{{"entries": [{entry}], "cursor": "c{asked}"}}"#))
    });
    (result, asked)
}

#[test]
fn one_run_reads_no_more_than_it_may() {
    let (result, asked) = endless(4_000);
    let Ok(End::Roster(roster)) = result else { panic!("{result:?}") };
    // The third page did not fit: the next run begins with it.
    assert_eq!((roster.entries.len(), roster.cursor.as_str(), asked), (8_000, "c2", 3));
    // Nor does a third page of three million bytes.
    let mut asked = 0;
    let filler = " ".repeat(3_000_000);
    let pull_all = Operation::PullRoster(PullRoster::default());
    let result = drive::<Webhook>(pull_all, SETTINGS, |_| {
        asked += 1;
        Outcome::http(200, format!(r#"{{"entries": [{{"name": "n"}}], "cursor": "c{asked}"}}{filler}"#))
    });
    let Ok(End::Roster(roster)) = result else { panic!("{result:?}") };
    assert_eq!((roster.entries.len(), roster.cursor.as_str(), asked), (2, "c2", 3));
    // Each answer takes a second here: no page is begun after more than twenty.
    let (result, asked) = endless(1);
    let Ok(End::Roster(roster)) = result else { panic!("{result:?}") };
    assert_eq!((roster.entries.len(), roster.cursor.as_str(), asked), (21, "c21", 21));
    let (message, repeat, _) = fails(endless(10_001).0);
    assert!(!repeat && message.contains("10001 items; 10000 are allowed"), "{message}");
    // A cursor that does not move, and a page without people, are the end.
    for page in [r#"{"entries": [{"name": "n"}], "cursor": "c"}"#, r#"{"entries": [], "cursor": "d"}"#] {
        let script = [(get("/roster?limit=1000&cursor=c"), answer(200, None, page))];
        let Ok(End::Roster(roster)) = pull("c", script) else { panic!("{page}") };
        assert_eq!(roster.cursor, "");
    }
}

#[test]
fn a_probe_has_no_effect() {
    let probe = |status| {
        run::<Webhook>(Operation::Probe, SETTINGS, [(get("/health"), answer(status, None, "<html>"))])
    };
    assert_eq!(probe(204), Ok(End::Probed));
    assert!(fails(probe(503)).1);
    assert!(!fails(probe(404)).1);
}

#[test]
fn a_referral_that_the_host_would_not_send_is_not_tried() {
    let fields = (0..100).map(|number| Field::new(format!("f{number}"), "\u{1}".repeat(4_000))).collect();
    let delivery = Delivery { fields, ..delivery() };
    let (message, repeat, _) = fails(run::<Webhook>(Operation::Deliver(delivery), SETTINGS, []));
    assert!(!repeat && message.contains("more than 1048576 bytes"), "{message}");
}

#[test]
fn an_address_is_checked_before_anything_is_sent() {
    let check = |url: &str| {
        let settings = serde_json::json!({ "url": url }).to_string();
        let checked = Webhook::check(&Settings::parse(&settings).unwrap());
        if checked.is_err() {
            let delivered = run::<Webhook>(Operation::Deliver(delivery()), &settings, []);
            assert!(!fails(delivered).1, "{url}");
        }
        checked.is_ok()
    };
    for url in [URL, "https://[::1]:8443", "https://health.example.cn/", "https://10.0.0.1:8443/a/b"] {
        assert!(check(url), "{url}");
    }
    let long = format!("https://health.example.cn/{}", "a".repeat(900));
    for url in [
        "",
        "http://health.example.cn",
        "https://",
        "https:///path",
        "https://health.example.cn/?x=1",
        "https://health.example.cn/#x",
        "https://user:secret@health.example.cn/",
        "https://health.example.cn/a b",
        "https://health.example.cn/\r\nhost: evil",
        "https://卫生.example.cn",
        "ftp://health.example.cn",
        long.as_str(),
    ] {
        assert!(!check(url), "{url}");
    }
}

#[test]
fn the_same_answers_give_the_same_requests_whatever_they_are() {
    let mut numbers = Numbers::new(0x2545_f491_4f6c_dd1d);
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"items\"",
        "\"entries\"",
        "\"cursor\"",
        "\"reference\"",
        "\"state\"",
        "\"accepted\"",
        "\"a\"",
        "null",
        "1",
        "\"",
        "\\",
        "é",
        "{\"items\":[],\"cursor\":\"a\"}",
        "{\"entries\":[{\"name\":\"n\"}],\"cursor\":\"b\"}",
        "{\"reference\":\"r\"}",
    ];
    for _ in 0..2_000 {
        let answers: Vec<Outcome> = (0..5)
            .map(|_| match numbers.below(8) {
                0 => Outcome::failure(FailureKind::Unknown, "reset"),
                1 => answer(numbers.below(700) as u16, Some(("retry-after", "7")), ""),
                _ => {
                    let count = numbers.below(9);
                    let body: String = (0..count).map(|_| numbers.one_of(&pieces)).collect();
                    answer(200 + numbers.below(3) as u16, None, &body)
                }
            })
            .collect();
        let operation = match numbers.below(4) {
            0 => Operation::Deliver(delivery()),
            1 => Operation::Poll(Poll { external_references: vec![], cursor: "a".into() }),
            2 => Operation::PullRoster(PullRoster::default()),
            _ => Operation::Probe,
        };
        let once = || {
            let mut steps = Vec::new();
            let mut given = answers.iter().cycle().cloned();
            let result = drive::<Webhook>(operation.clone(), SETTINGS, |step| {
                steps.push(step.clone());
                given.next().unwrap()
            });
            (result, steps)
        };
        let (result, steps) = once();
        assert_eq!((result, steps), once());
    }
}
