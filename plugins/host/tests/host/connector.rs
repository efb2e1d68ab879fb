//! Connectors: the same steps in both places, and whatever one does wrong is a value and never the host's end.

use std::time::{Duration, Instant as Clock};

use linli_core::time::Instant;
use linli_plugin_host::exchange::{
    Acknowledgement, Bytes, Decision, Delivery, End, FailureKind, Field, HttpResponse, Mail, Method,
    Operation, Outcome, Recording, Replay, Shelf, Start, Step,
};
use linli_plugin_host::tools::place::Place;
use linli_plugin_host::{CallError, Health, Mode, Plugin, Registry, Run, STEPS_MAX};

use crate::build;

const BUDGET: Duration = Duration::from_secs(20);
/// For calls that do not return.
const SHORT: Duration = Duration::from_millis(300);
const NAME: &str = "王保密";

build::in_both_modes!(
    a_run_is_steps_and_outcomes,
    files_are_listed_read_and_moved,
    the_words_of_a_body_are_kept_however_its_lines_end,
    many_runs_are_open_at_once,
    what_does_not_fit_is_not_asked,
    every_step_is_checked,
    a_panic_ends_the_run_and_no_other,
    what_stops_at_its_deadline_goes_on_afterwards,
    a_run_has_an_end,
    no_message_holds_a_value,
    five_faults_make_it_rest,
);

/// The faulty connector in one place, alone.
fn connector(mode: Mode) -> Plugin {
    let place = Place::find(&build::faulty_connector().0).unwrap();
    let plugin = place.open(mode).unwrap();
    assert_eq!(plugin.mode(), mode);
    plugin
}

fn at(second: i64) -> Instant {
    Instant::from_micros(1_773_619_200_000_000 + 1_000_000 * second).unwrap()
}

fn start(operation: Operation, act: &str) -> Start {
    let settings = format!("{{\"act\": \"{act}\"}}");
    Start { operation, settings, now: at(0), idempotency_key: "key-1".into() }
}

fn delivery(act: &str) -> Start {
    let fields = vec![Field { code: "name".into(), value: NAME.into() }];
    let delivery = Delivery {
        referral: "sites/s1/referrals/r1".into(),
        fields,
        answer_url: "https://linli.example/answers/secret".into(),
    };
    start(Operation::Deliver(delivery), act)
}

fn answer(status: u16) -> Outcome {
    Outcome::Http(HttpResponse { status, headers: Vec::new(), body: Bytes(Vec::new()) })
}

fn delivered(external_reference: &str) -> Step {
    Step::End(End::Delivered { external_reference: external_reference.into() })
}

/// Does a delivery whose steps all work; the last step, and how many there were.
fn finish(run: Run, step: Step) -> Result<(Step, usize), CallError> {
    finish_within(run, step, BUDGET)
}

fn finish_within(mut run: Run, mut step: Step, budget: Duration) -> Result<(Step, usize), CallError> {
    for count in 1.. {
        let outcome = match &step {
            Step::End(_) => return Ok((step, count)),
            Step::Http(_) => answer(200),
            Step::ListFiles => Outcome::Files(Vec::new()),
            Step::ReadFile { .. } => Outcome::File(Bytes::default()),
            Step::Mail(_) | Step::WriteFile { .. } | Step::MoveFile { .. } | Step::Sleep(_) => Outcome::Done,
        };
        step = run.step(&outcome, at(count as i64), budget)?;
    }
    unreachable!()
}

fn deliver(plugin: &Plugin, act: &str, budget: Duration) -> Result<(Step, usize), CallError> {
    let (run, step) = plugin.begin(&delivery(act), budget)?;
    finish_within(run, step, budget)
}

fn a_run_is_steps_and_outcomes(mode: Mode) {
    let plugin = connector(mode);
    let (mut run, step) = plugin.begin(&delivery("post"), BUDGET).unwrap();
    let Step::Http(request) = step else { panic!("{step:?}") };
    assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://body.example/in"));
    assert_eq!(request.headers, [("idempotency-key".to_owned(), "key-1".to_owned())]);
    assert_eq!(request.body, Bytes(NAME.as_bytes().to_vec()));
    assert_eq!(run.step(&answer(201), at(7), BUDGET), Ok(Step::Sleep(Duration::from_millis(5))));
    // An outcome that answers another kind of step leaves the run where it is.
    let wrong = run.step(&answer(201), at(8), BUDGET).unwrap_err();
    assert!(matches!(wrong, CallError::Unfit { .. }), "{wrong}");
    assert_eq!(run.step(&Outcome::Done, at(9), BUDGET), Ok(delivered(&format!("201/{}", at(9).micros()))));
    let over = run.step(&Outcome::Done, at(10), BUDGET).unwrap_err();
    assert!(over.to_string().contains("the run is over"), "{over}");

    // A failure that the connector does not treat is an error to try again, unless it is forbidden.
    for (kind, again) in
        [(FailureKind::NotDone, true), (FailureKind::Unknown, true), (FailureKind::Forbidden, false)]
    {
        let (mut run, _) = plugin.begin(&delivery("post"), BUDGET).unwrap();
        let failure = Outcome::Failure { kind, detail: "no route".into() };
        let end = End::Error { message: "no route".into(), retry: again, retry_after: None };
        assert_eq!(run.step(&failure, at(1), BUDGET), Ok(Step::End(end)));
    }
    let figures = plugin.figures();
    assert_eq!((figures.calls, figures.failures, figures.residents), (9, 0, 0));
}

fn files_are_listed_read_and_moved(mode: Mode) {
    let plugin = connector(mode);
    let poll = Operation::Poll { external_references: vec!["a".into()], cursor: "3".into() };
    let (mut run, step) = plugin.begin(&start(poll, "post"), BUDGET).unwrap();
    assert_eq!(step, Step::ListFiles);
    let mut next = |outcome: Outcome| run.step(&outcome, at(1), BUDGET).unwrap();
    let read = |name: &str| Step::ReadFile { name: name.into() };
    assert_eq!(next(Outcome::Files(vec!["一.csv".into(), "b.csv".into()])), read("一.csv"));
    let large = Bytes(vec![7; 4 << 20]);
    let moved = |name: &str, to| Step::MoveFile { name: name.into(), to };
    assert_eq!(next(Outcome::File(large)), moved("一.csv", Shelf::Archive));
    assert_eq!(next(Outcome::Done), read("b.csv"));
    assert_eq!(next(Outcome::File(Bytes::default())), moved("b.csv", Shelf::Quarantine));
    let end = End::Acknowledgements { items: Vec::new(), cursor: "3+".into() };
    assert_eq!(next(Outcome::Done), Step::End(end));
}

fn the_words_of_a_body_are_kept_however_its_lines_end(mode: Mode) {
    let plugin = connector(mode);
    let poll = Operation::Poll { external_references: Vec::new(), cursor: String::new() };
    let (_, step) = plugin.begin(&start(poll, "words"), BUDGET).unwrap();
    let Step::End(End::Acknowledgements { items, .. }) = step else { panic!("{step:?}") };
    assert_eq!(items[0].remark, "好\n明天\n下午\t三点  ");
}

fn many_runs_are_open_at_once(mode: Mode) {
    let plugin = connector(mode);
    let mut runs: Vec<Run> = (0..50).map(|_| plugin.begin(&delivery("post"), BUDGET).unwrap().0).collect();
    runs.truncate(40); // ten are dropped on the way
    std::thread::scope(|scope| {
        for (number, run) in runs.iter_mut().enumerate() {
            scope.spawn(move || {
                let status = 200 + number as u16;
                assert!(matches!(run.step(&answer(status), at(1), BUDGET), Ok(Step::Sleep(_))));
                let reference = format!("{status}/{}", at(2).micros());
                assert_eq!(run.step(&Outcome::Done, at(2), BUDGET), Ok(delivered(&reference)));
            });
        }
    });
}

fn what_does_not_fit_is_not_asked(mode: Mode) {
    let plugin = connector(mode);
    let check = |start: Start, words: &str| {
        let error = plugin.begin(&start, BUDGET).unwrap_err();
        assert!(matches!(error, CallError::Unfit { .. }) && error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains(NAME), "{error}");
    };
    check(start(Operation::Probe, "post"), "does not offer the operation `probe`");
    check(Start { settings: "{}".into(), ..delivery("post") }, "`act` is required");
    let wrong = "{\"akt\": \"post\", \"act\": 7, \"times\": 10}";
    let said = "`akt` is not a setting; did you mean `act`?; `act` must be a text; `times` must be at most 9";
    check(Start { settings: wrong.into(), ..delivery("post") }, said);
    check(Start { settings: format!("{{\"{NAME}"), ..delivery("post") }, "are no JSON object: line 1");
    check(Start { idempotency_key: String::new(), ..delivery("post") }, "1 to 64 bytes");
    let with = |code: &str, value: String, answer_url: &str| {
        let fields = vec![Field { code: code.into(), value }];
        let referral = "sites/s1/referrals/r1".into();
        start(Operation::Deliver(Delivery { referral, fields, answer_url: answer_url.into() }), "post")
    };
    check(with("health", NAME.into(), ""), "does not declare the field `health`");
    check(with("name", "名".repeat(4_001), ""), "at most 4,000 characters");
    check(with("name", NAME.into(), "http://linli.example/a"), "an `https` address");
    assert_eq!(plugin.figures().calls, 0);
    let assessed = plugin.assess(plugin.batch().finish(), BUDGET);
    assert!(matches!(assessed, Err(CallError::Unfit { .. })), "it has no rules");
}

fn every_step_is_checked(mode: Mode) {
    let plugin = connector(mode);
    let check = |start: Start, words: &str| {
        let error = plugin.begin(&start, BUDGET).map(drop).unwrap_err();
        let is_it = matches!(error, CallError::Misbehaved { .. }) && error.to_string().contains(words);
        assert!(is_it, "{start:?}: {error}");
        plugin.reset();
    };
    for (act, words) in [
        ("mail", "sends mail, which its manifest does not declare"),
        ("elsewhere", "to a host that its manifest does not declare"),
        ("plain", "must be an absolute `https` address"),
        ("method", "by a method that its manifest does not declare"),
        ("header", "the header `authorization`, which is the host's to set"),
        ("signature", "the header `linli-signature`, which is the host's to set"),
        ("large", "a file to write has at most 4 MiB"),
        ("huge", "bytes; at most"),
        ("path", "the name of a file to write"),
        ("hours", "a wait has 1 to 60,000 ms"),
        ("reference", "a reference has at most 200 bytes"),
    ] {
        check(delivery(act), words);
    }
    let pull = start(Operation::PullRoster { cursor: String::new() }, "post");
    check(pull, "a field that its manifest does not declare in `roster`");
    assert!(deliver(&plugin, "post", BUDGET).is_ok());
}

fn a_panic_ends_the_run_and_no_other(mode: Mode) {
    let plugin = connector(mode);
    let (other, first) = plugin.begin(&delivery("post"), BUDGET).unwrap();
    for act in ["panic", "panic later"] {
        let error = deliver(&plugin, act, BUDGET).unwrap_err();
        assert!(matches!(error, CallError::Panicked { .. }), "{act}: {error}");
    }
    let stray = deliver(&plugin, "stray", BUDGET).unwrap_err();
    assert!(stray.to_string().contains("it waits for something that is not an exchange"), "{stray}");
    assert!(finish(other, first).is_ok());
    assert_eq!((plugin.figures().panics, plugin.figures().failures), (2, 3));
}

fn what_stops_at_its_deadline_goes_on_afterwards(mode: Mode) {
    let plugin = connector(mode);
    let slow = deliver(&plugin, "slow", SHORT).unwrap_err();
    assert!(
        matches!(slow, CallError::TimedOut { .. } | CallError::Overran { .. } | CallError::Hung { .. }),
        "{slow}"
    );
    assert!(deliver(&plugin, "post", BUDGET).is_ok());
}

fn a_run_has_an_end(mode: Mode) {
    let plugin = connector(mode);
    let error = deliver(&plugin, "endless", BUDGET).unwrap_err();
    assert!(error.to_string().contains("it has not ended after 5000 steps"), "{error}");
    assert_eq!(plugin.figures().calls, u64::from(STEPS_MAX) + 1);
}

fn no_message_holds_a_value(mode: Mode) {
    let plugin = connector(mode);
    let (step, _) = deliver(&plugin, "tells", BUDGET).unwrap();
    let Step::End(End::Error { message, retry: false, .. }) = step else { panic!("{step:?}") };
    assert_eq!(message, "nobody of the name … lives there");
    assert_eq!(deliver(&plugin, "reference that tells", BUDGET).unwrap().0, delivered(""));
    let panicked = deliver(&plugin, "panic", BUDGET).unwrap_err().to_string();
    assert!(panicked.contains("faulty_connector.rs:") && !panicked.contains(NAME), "{panicked}");
    let start = delivery("post");
    let (run, step) = plugin.begin(&start, BUDGET).unwrap();
    let shown = format!("{start:?} {run:?} {step:?}");
    assert!(!shown.contains(NAME), "{shown}");
}

fn five_faults_make_it_rest(mode: Mode) {
    let plugin = connector(mode);
    let (other, first) = plugin.begin(&delivery("post"), BUDGET).unwrap();
    for _ in 0..5 {
        deliver(&plugin, "mail", BUDGET).unwrap_err();
    }
    assert!(matches!(plugin.figures().health, Health::Resting { .. }));
    let resting = deliver(&plugin, "post", BUDGET).unwrap_err();
    assert!(matches!(resting, CallError::Resting { .. }), "{resting}");
    assert!(finish(other, first).is_ok(), "what began goes on");
    plugin.reset();
    assert!(deliver(&plugin, "post", BUDGET).is_ok());
}

#[test]
fn a_recorded_run_is_read_by_people_and_played_again() {
    let (here, there) = (connector(Mode::InProcess), connector(Mode::Child));
    let mut outcomes = vec![Outcome::Done, answer(202)];
    let recording = Recording::run(&here, &delivery("post"), BUDGET, |_| {
        (outcomes.pop().unwrap(), at(outcomes.len() as i64))
    })
    .unwrap();
    let text = recording.to_string();
    let expected = format!(
        "deliver \"sites/s1/referrals/r1\"
  field \"name\" \"«name»\"
  answer_url \"https://answer.invalid/\"
  now {start}
  key \"key-1\"
  settings \"{{\\\"act\\\": \\\"post\\\"}}\"
> http \"POST\" \"https://body.example/in\"
  header \"idempotency-key\" \"key-1\"
  body \"«name»\"
< http 202
  at {second}
> sleep 5
< done
  at {start}
> delivered \"202/{start}\"
",
        start = at(0).micros(),
        second = at(1).micros(),
    );
    assert_eq!(text, expected);
    assert!(!text.contains(NAME) && !text.contains("secret"));
    let read: Recording = text.parse().unwrap();
    for plugin in [&here, &there] {
        assert_eq!(read.replay(plugin, BUDGET), Ok(Replay::Same));
    }
    let edited: Recording = text.replace("> sleep 5", "> sleep 6").parse().unwrap();
    let differs = Replay::Differs { step: 2, recorded: "> sleep 6\n".into(), now: "> sleep 5\n".into() };
    assert_eq!(edited.replay(&there, BUDGET), Ok(differs));
}

#[test]
fn every_kind_of_step_and_outcome_survives_its_text() {
    let poll = Operation::Poll { external_references: vec!["甲".into()], cursor: "\"".into() };
    let text_of = |start: &Start, step: Step, outcome: Option<Outcome>| {
        let mut recording = Recording::new(start);
        recording.push(&step, outcome.as_ref().map(|outcome| (outcome, at(1))));
        let text = recording.to_string();
        assert_eq!(text.parse::<Recording>().map(|read| read.to_string()), Ok(text.clone()), "{text}");
        text
    };
    let start = start(poll, "post");
    let file = |content: &[u8]| Some(Outcome::File(Bytes(content.to_vec())));
    let read = || Step::ReadFile { name: "a b.csv".into() };
    assert!(text_of(&start, read(), file(b"\xff\x00")).contains("< file {\"base64\":\"/wA=\"}"));
    text_of(&start, read(), file("一,\"二\"\r\n".as_bytes()));
    let mail = Mail { to: vec!["a@b.example".into()], subject: "一".into(), text: "a\nb".into() };
    text_of(&start, Step::Mail(mail), Some(Outcome::Done));
    text_of(&start, Step::WriteFile { name: "a".into(), content: Bytes(vec![0xfe]) }, Some(Outcome::Done));
    text_of(&start, Step::ListFiles, Some(Outcome::Files(vec!["一".into(), "b".into()])));
    let moved = Step::MoveFile { name: "a".into(), to: Shelf::Quarantine };
    let failure = Outcome::Failure { kind: FailureKind::Unknown, detail: "reset".into() };
    text_of(&start, moved, Some(failure));
    let item = Acknowledgement {
        external_reference: "R-1".into(),
        referral: String::new(),
        decision: Decision::Rejected,
        remark: "没有人".into(),
        decided_at: Some(at(3)),
    };
    let end = End::Acknowledgements { items: vec![item], cursor: "4".into() };
    text_of(&start, Step::End(end), None);
    let person = vec![Field { code: "name".into(), value: NAME.into() }];
    text_of(&start, Step::End(End::Roster { entries: vec![person], cursor: String::new() }), None);
    let error = End::Error { message: "later".into(), retry: true, retry_after: Some(SHORT) };
    text_of(&start, Step::End(error), None);
    text_of(&start, Step::End(End::Probed), None);

    let wrong = |text: &str, line: usize, what: &str| {
        let error = text.parse::<Recording>().unwrap_err();
        assert!(error.line == line && error.what.contains(what), "{error}");
    };
    wrong("", 1, "is empty");
    wrong("deliver \"a\"\n  now 1\n", 1, "has no line `settings`");
    wrong("launch\n", 1, "`launch` is no operation");
    wrong("probe\n  now 1\n  key \"k\"\n  settings \"\"\n> sleep 1\n", 5, "of which nothing came");
    wrong("  now 1", 1, "belongs to no line above");
    wrong("poll [\"a\"", 1, "EOF");
}

#[test]
fn a_hang_or_a_crash_ends_a_process_and_is_a_value() {
    let plugin = connector(Mode::Child);
    let mut crashes = 0;
    for act in ["hang", "hang later", "abort", "abort later"] {
        let began = Clock::now();
        let error = deliver(&plugin, act, SHORT).unwrap_err();
        let hangs = act.starts_with("hang");
        let is_it = if hangs {
            matches!(error, CallError::Overran { .. })
        } else {
            crashes += 1;
            matches!(&error, CallError::Crashed { how } if how.contains("SIGABRT"))
        };
        assert!(is_it, "{act}: {error}");
        assert!(deliver(&plugin, "post", BUDGET).is_ok(), "after {act}");
        assert!(began.elapsed() < Duration::from_secs(10), "{act}: {:?}", began.elapsed());
        plugin.reset();
    }
    assert_eq!((plugin.figures().hangs, plugin.figures().crashes), (2, crashes));
}

#[test]
fn a_run_whose_process_ended_over_another_says_so_and_counts_for_nothing() {
    let folder = build::loaded("connector-lost", build::faulty_connector());
    let plugin = &folder.plugins()[0];
    // More runs than places, so that some share one with the run that ends it.
    let runs: Vec<_> = (0..6).map(|_| plugin.begin(&delivery("post"), BUDGET).unwrap()).collect();
    let crashed = deliver(plugin, "abort", BUDGET).unwrap_err();
    assert!(matches!(crashed, CallError::Crashed { .. }), "{crashed}");
    let (mut ended, mut went_on) = (0, 0);
    for (run, step) in runs {
        match finish(run, step) {
            Ok(_) => went_on += 1,
            Err(CallError::NoProcess { message }) => {
                ended += 1;
                assert_eq!(message, "it ended over another run");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((ended, went_on), (3, 3), "two places share six runs");
    assert_eq!((plugin.figures().crashes, plugin.figures().health), (1, Health::Ready));
}

#[test]
fn in_this_process_one_that_hangs_moves_out() {
    let plugin = connector(Mode::InProcess);
    let error = deliver(&plugin, "hang", SHORT).unwrap_err();
    assert!(matches!(error, CallError::Hung { .. }), "{error}");
    assert_eq!((plugin.mode(), plugin.figures().lost_threads), (Mode::Child, 1));
    assert!(deliver(&plugin, "post", BUDGET).is_ok());
}

#[test]
fn an_installed_connector_has_a_process_of_its_own_whatever_the_operator_says() {
    let registry = build::loaded("connector-installed", build::faulty_connector());
    let plugin = &registry.plugins()[0];
    assert_eq!(plugin.mode(), Mode::Child);
    assert!(plugin.confinement().is_some());
    assert_eq!((registry.rules().count(), registry.connectors().count()), (0, 1));
    assert!(deliver(plugin, "post", BUDGET).is_ok());
    assert!(Registry::default().connectors().next().is_none());
}
