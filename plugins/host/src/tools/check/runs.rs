//! Rules about runs of connectors.

use std::thread;
use std::time::Instant as Clock;

use linli_plugin_abi as abi;
use linli_proto::plugin_v1 as pb;
use prost::Message as _;

use super::life::{GONE_WITHIN, grows};
use super::raw::Subject;
use super::raw_run::{Said, Talk};
use super::talk::{CANARY, DEADLINE, Starts, Temper, World, at};
use super::watch::{self, Held};
use super::{Case, Stop, failed};
use crate::connector::{self, Asked};
use crate::error::LoadCause;
use crate::exchange::{End, Method, Operation, OperationKind, Recording, Replay, Start, Step};
use crate::manifest::{ConnectorManifest, Isolation};
use crate::run::STEPS_MAX;
use crate::tools::numbers::Numbers;
use crate::{Plugin, Sources, place};

const TEMPERS: [Temper; 4] = [Temper::Kind, Temper::Wild, Temper::Stubborn, Temper::Wild];

/// A made-up run to do.
struct Made {
    start: Start,
    seed: u64,
    temper: Temper,
    /// For a message.
    what: String,
}

/// A connector with what it declares.
struct Connector {
    subject: Subject,
    manifest: ConnectorManifest,
}

impl Connector {
    fn new(case: &Case) -> Result<Self, Stop> {
        let subject = Subject::link(&case.library)?;
        let manifest = subject.manifest.connector.clone();
        let none = || Stop::NotRun(format!("its manifest does not list `{}`", abi::IF_CONNECTOR));
        Ok(Self { manifest: manifest.ok_or_else(none)?, subject })
    }

    /// Made-up runs of every operation, in every temper of the other side.
    fn runs(&self, case: &Case, rounds: usize) -> Result<Vec<Made>, Stop> {
        let starts = Starts::new(&self.manifest, case)?;
        let mut numbers = Numbers::new(case.seed);
        let mut runs = Vec::new();
        for (round, temper) in (0..case.rounds(rounds)).zip(TEMPERS.into_iter().cycle()) {
            for kind in &self.manifest.operations {
                let start = starts.start(*kind, &mut numbers);
                let what = format!("`{}`, run {round}", kind.word());
                runs.push(Made { start, seed: numbers.next(), temper, what });
            }
        }
        Ok(runs)
    }
}

/// Does a run from start to end, and shows every answer to `look`. What it said, step by step.
fn converse(
    connector: &Connector,
    made: &Made,
    mut look: impl FnMut(&str, &Said, Option<&Step>) -> Result<(), Stop>,
) -> Result<Vec<Vec<u8>>, Stop> {
    let live = connector.subject.create()?;
    let kind = made.start.operation.kind();
    let mut world = World::new(&connector.manifest, made.seed, made.temper);
    let mut talk = Talk::start(&live, &request(connector, &made.start)?)?;
    let (mut input, mut all) = (Vec::new(), Vec::new());
    for number in 1..=STEPS_MAX as usize {
        let what = format!("{}, step {number}", made.what);
        let said = talk.step(&input);
        let step = connector::step(&connector.manifest, kind, &said.bytes);
        look(&what, &said, step.as_ref().ok())?;
        all.push(said.bytes);
        let Ok(step) = step else { return Ok(all) };
        if said.status != abi::OK || matches!(step, Step::End(_)) {
            return Ok(all);
        }
        let outcome = world.outcome(&step);
        input =
            connector::input(Asked::by(&step), &outcome, at(number)).map_err(|error| error.to_string())?;
    }
    failed(format!(
        "{}: it has not ended after {STEPS_MAX} steps; the other side was {:?}",
        made.what, made.temper
    ))
}

fn request(connector: &Connector, start: &Start) -> Result<connector::Request, Stop> {
    connector::request(&connector.manifest, start).map_err(|error| Stop::NotRun(error.to_string()))
}

fn nothing(_: &str, _: &Said, _: Option<&Step>) -> Result<(), Stop> {
    Ok(())
}

/// Every step is one that the host performs.
pub(super) fn steps(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    for made in connector.runs(case, 40)? {
        let kind = made.start.operation.kind();
        let looked = converse(&connector, &made, |what, said, step| match step {
            Some(_) => Ok(()),
            None if said.status != abi::OK => Err(Stop::NotRun(String::new())), // another rule's
            None => match connector::step(&connector.manifest, kind, &said.bytes) {
                Ok(_) => Ok(()),
                Err(error) => failed(format!("{what}: {error}")),
            },
        });
        match looked {
            Ok(_) | Err(Stop::NotRun(_)) => {}
            Err(Stop::Failed(text)) if text.contains("it has not ended") => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

/// Every run ends, and no call of it fails.
pub(super) fn ends(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    for made in connector.runs(case, 160)? {
        converse(&connector, &made, |what, said, _| match said.status {
            abi::OK => Ok(()),
            abi::E_PANIC => failed(format!("{what}: it panicked: {}", said.why())),
            status => failed(format!("{what}: status {status}: {}", said.why())),
        })?;
    }
    Ok(())
}

/// A request that breaks the interface is refused.
pub(super) fn wrong_request(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let live = connector.subject.create()?;
    for made in connector.runs(case, 2)? {
        let good = request(&connector, &made.start)?;
        let mut wrong = vec![
            ("that is no message", good.op, vec![0xff; 20]),
            ("that names no operation", good.op, pb::StartRequest::default().encode_to_vec()),
            ("that is empty", good.op, Vec::new()),
        ];
        let others = (abi::OP_DELIVER..=abi::OP_PROBE + 1).filter(|op| *op != good.op);
        wrong.extend(others.map(|op| ("for another operation", op, good.message.clone())));
        for (what, op, message) in wrong {
            let request = connector::Request { op, message, key: good.key.clone() };
            match Talk::begin(&live, &request)?.0 {
                abi::E_INVALID | abi::E_UNSUPPORTED => {}
                status => return failed(format!("{}: to a request {what} it answers {status}", made.what)),
            }
        }
    }
    Ok(())
}

/// An input that breaks the interface is refused.
pub(super) fn wrong_input(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    for made in connector.runs(case, 8)? {
        let live = connector.subject.create()?;
        let request = request(&connector, &made.start)?;
        let mut inputs = vec![("that is no message", vec![0xff; 20]), ("that is empty", Vec::new())];
        inputs.push(("that says nothing", pb::StepInput { kind: None, now_micros: 1 }.encode_to_vec()));
        let first = Talk::start(&live, &request)?.step(&[]);
        let kind = made.start.operation.kind();
        let Ok(step) = connector::step(&connector.manifest, kind, &first.bytes) else { continue };
        if matches!(step, Step::End(_)) {
            continue;
        }
        use pb::step_input::Kind;
        let other = match Asked::by(&step) {
            Asked::Files => Kind::Done(pb::Done {}),
            Asked::Http | Asked::Done | Asked::File | Asked::Nothing => Kind::Files(pb::FileList::default()),
        };
        let other = pb::StepInput { kind: Some(other), now_micros: 1 };
        inputs.push(("that answers another kind of step", other.encode_to_vec()));
        for (what, input) in inputs {
            let mut talk = Talk::start(&live, &request)?;
            talk.step(&[]);
            let said = talk.step(&input);
            if said.status != abi::E_INVALID {
                return failed(format!("{}: to an input {what} it answers {}", made.what, said.status));
            }
        }
    }
    Ok(())
}

/// A call that fails says why.
pub(super) fn says_why(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let live = connector.subject.create()?;
    for made in connector.runs(case, 4)? {
        let mut request = request(&connector, &made.start)?;
        let mut talk = Talk::start(&live, &request)?;
        talk.step(&[]);
        let said = talk.step(&[0xff; 20]);
        if said.status != abi::OK && said.errors.is_empty() {
            return failed(format!("{}: step returned {} and said nothing", made.what, said.status));
        }
        request.message = vec![0xff; 20];
        let (status, errors) = Talk::begin(&live, &request)?;
        if status != abi::OK && errors.is_empty() {
            return failed(format!("{}: start returned {status} and said nothing", made.what));
        }
    }
    Ok(())
}

/// The other side can tell a repetition from another matter.
pub(super) fn key(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    if !connector.manifest.operations.contains(&OperationKind::Deliver) {
        return Err(Stop::NotRun("it delivers nothing".to_owned()));
    }
    let mut seen = false;
    for mut made in connector.runs(case, 60)? {
        let Operation::Deliver(delivery) = &made.start.operation else { continue };
        let mut another = delivery.clone();
        another.referral.push_str("-b");
        made.temper = Temper::Kind;
        let one = sent(&connector, &mut made, "key-one-7f3a")?;
        let other = sent(&connector, &mut made, "key-two-91bc")?;
        let again = sent(&connector, &mut made, "key-one-7f3a")?;
        if one != again {
            return failed(format!("{}: under the same idempotency key it sends something else", made.what));
        }
        seen |= !one.requests.is_empty() || !one.files.is_empty() || one.mails;
        if !one.requests.is_empty() && one.requests == other.requests {
            return failed(format!("{}: under another idempotency key it sends the same request", made.what));
        }
        if !one.files.is_empty() && one.files == other.files {
            // A file of the same name is not written again: the referral may be its key.
            made.start.operation = Operation::Deliver(another);
            if sent(&connector, &mut made, "key-one-7f3a")?.files == one.files {
                return failed(format!("{}: of another referral it writes the same file", made.what));
            }
        }
    }
    if seen {
        return Ok(());
    }
    let text = "no made-up settings lead to a delivery: put some that do into `settings.json`";
    Err(Stop::NotRun(text.to_owned()))
}

/// What a delivery sends.
#[derive(Default, PartialEq)]
struct Sent {
    requests: Vec<Step>,
    files: Vec<Step>,
    /// The host makes a mail's id out of the key.
    mails: bool,
}

fn sent(connector: &Connector, made: &mut Made, key: &str) -> Result<Sent, Stop> {
    made.start.idempotency_key = key.to_owned();
    let mut sent = Sent::default();
    converse(connector, made, |_, _, step| {
        match step {
            Some(step @ Step::Http(request)) if request.method != Method::Get => {
                sent.requests.push(step.clone());
            }
            Some(step @ Step::WriteFile { .. }) => sent.files.push(step.clone()),
            Some(Step::Mail(_)) => sent.mails = true,
            Some(
                Step::Http(_)
                | Step::ReadFile { .. }
                | Step::ListFiles
                | Step::MoveFile { .. }
                | Step::Sleep(_)
                | Step::End(_),
            )
            | None => {}
        }
        Ok(())
    })?;
    Ok(sent)
}

/// Same inputs, same steps: in another instance, and with other runs between the steps.
pub(super) fn repeat(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    for made in connector.runs(case, 40)? {
        let first = converse(&connector, &made, nothing)?;
        // Another run is opened before each step, and left open beside it.
        let live = connector.subject.create()?;
        let other = request(&connector, &made.start)?;
        let mut open = Vec::new();
        let again = converse(&connector, &made, |_, _, _| {
            if open.len() < 8 {
                let mut talk = Talk::start(&live, &other)?;
                talk.step(&[]);
                open.push(talk);
            }
            Ok(())
        })?;
        if let Some(step) =
            (0..first.len().max(again.len())).find(|step| first.get(*step) != again.get(*step))
        {
            return failed(format!("{}: the same inputs give another step {}", made.what, step + 1));
        }
    }
    Ok(())
}

/// No text for people who operate holds anybody's data.
pub(super) fn private(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let leaks = |text: &str| text.contains(CANARY);
    for made in connector.runs(case, 160)? {
        converse(&connector, &made, |what, said, step| {
            if let Some(Step::End(End::Error { message, .. })) = step
                && leaks(message)
            {
                return failed(format!("{what}: the message of an error holds personal data: `{message}`"));
            }
            let texts = said.errors.iter().chain(said.log.iter().map(|(_, text)| text));
            match texts.map(|text| String::from_utf8_lossy(text)).find(|text| leaks(text)) {
                None => Ok(()),
                Some(text) => failed(format!("{what}: a text holds personal data: `{text}`")),
            }
        })?;
        let live = connector.subject.create()?;
        let request = request(&connector, &made.start)?;
        let mut talk = Talk::start(&live, &request)?;
        talk.step(&[]);
        // What it says about a wrong input may quote that as little.
        let said = talk.step(format!("{CANARY}input").as_bytes());
        if said.errors.iter().any(|text| leaks(&String::from_utf8_lossy(text))) {
            return failed(format!("{}: the text about a wrong input quotes it", made.what));
        }
    }
    Ok(())
}

/// A call that is told to stop does.
pub(super) fn cancel(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let live = connector.subject.create()?;
    for made in connector.runs(case, 8)? {
        let mut talk = Talk::start(&live, &request(&connector, &made.start)?)?;
        let said = talk.step_cancelled(&[]);
        if said.status != abi::E_CANCELLED {
            return failed(format!("{}: told to stop, it answers {}", made.what, said.status));
        }
    }
    Ok(())
}

/// Structs of a newer host have more members.
pub(super) fn larger(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let live = connector.subject.create_on(true)?;
    for made in connector.runs(case, 4)? {
        let mut talk = Talk::start(&live, &request(&connector, &made.start)?)?;
        let said = talk.step_larger(&[]);
        if said.status != abi::OK {
            return failed(format!(
                "{}: to a newer host it answers {}: {}",
                made.what,
                said.status,
                said.why()
            ));
        }
        if said.spoiled {
            return failed(format!("{}: it wrote behind a struct of the host", made.what));
        }
    }
    Ok(())
}

/// Calls of one run come from different threads.
pub(super) fn other_thread(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    for made in connector.runs(case, 8)? {
        let here = converse(&connector, &made, nothing)?;
        let live = connector.subject.create()?;
        let kind = made.start.operation.kind();
        let mut world = World::new(&connector.manifest, made.seed, made.temper);
        let mut talk = Talk::start(&live, &request(&connector, &made.start)?)?;
        let mut input = Vec::new();
        for (number, expected) in here.iter().enumerate().take(50) {
            let moved = thread::scope(|scope| {
                let input = &input;
                let worker = scope.spawn(move || {
                    let said = talk.step(input);
                    (talk, said)
                });
                worker.join()
            });
            let Ok((back, said)) = moved else { return failed("a thread of the check ended".to_owned()) };
            talk = back;
            if said.bytes != *expected {
                let step = number + 1;
                return failed(format!("{}: on another thread step {step} is another one", made.what));
            }
            let Ok(step) = connector::step(&connector.manifest, kind, &said.bytes) else { break };
            if matches!(step, Step::End(_)) {
                break;
            }
            let outcome = world.outcome(&step);
            input = connector::input(Asked::by(&step), &outcome, at(number + 1))
                .map_err(|error| error.to_string())?;
        }
        // It may end on another thread, too.
        let ended = thread::scope(|scope| scope.spawn(move || drop(talk)).join());
        ended.map_err(|_| Stop::Failed("`end` on another thread than `start` fails".to_owned()))?;
    }
    Ok(())
}

/// Runs leave no memory behind, wherever they end.
pub(super) fn memory(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let live = connector.subject.create()?;
    let mut runs = connector.runs(case, 4)?;
    // Megabytes that come and go say more about the allocator than about the connector.
    runs.iter_mut().for_each(|made| made.temper = Temper::Kind);
    let times = case.rounds(2_000);
    let mut turn = 0;
    grows(&format!("over {times} runs"), times, || {
        turn += 1;
        let Some(made) = runs.get(turn % runs.len().max(1)) else { return Ok(()) };
        if turn % 50 == 0 {
            return converse(&connector, made, nothing).map(drop);
        }
        let mut talk = Talk::start(&live, &request(&connector, &made.start)?)?;
        if turn % 3 > 0 {
            talk.step(&[]);
        }
        Ok(())
    })
}

/// Nothing stays open, and no thread runs on, after a run.
pub(super) fn left_behind(case: &Case) -> Result<(), Stop> {
    let connector = Connector::new(case)?;
    let runs = connector.runs(case, 8)?;
    let may = connector.subject.library.plugin.flags & abi::P_THREADS != 0;
    let before = Held::now();
    for made in &runs {
        let mut most = 0;
        converse(&connector, made, |_, _, _| {
            most = most.max(Held::now().threads);
            Ok(())
        })?;
        if most > before.threads && !may {
            let own = most - before.threads;
            return failed(format!(
                "{}: {own} threads of its own, and the flag LINLI_P_THREADS is not set",
                made.what
            ));
        }
    }
    let since = Clock::now();
    while Held::now().threads > before.threads {
        if since.elapsed() > GONE_WITHIN {
            return failed(format!("{} threads run on after `end`", Held::now().threads - before.threads));
        }
        thread::yield_now();
    }
    let after = Held::now();
    match after.descriptors.iter().find(|open| !before.descriptors.contains(open)) {
        None => Ok(()),
        Some(open) => failed(format!("`{open}` stays open after `end` and `destroy`")),
    }
}

/// A connector does no input or output.
pub(super) fn system(case: &Case) -> Result<(), Stop> {
    // For the rest of the process: the thread that is watched may stand still for ever.
    let connector: &'static Connector = Box::leak(Box::new(Connector::new(case)?));
    let start_threads = connector.subject.library.plugin.flags & abi::P_THREADS != 0;
    let may = watch::May { start_threads, seed: true };
    let runs = connector.runs(case, 8)?;
    let calls = watch::system_calls(may, move || {
        for made in &runs {
            let _ = converse(connector, made, nothing);
        }
        watch::flush_output();
    })?;
    match calls {
        None => Ok(()),
        Some(call) => failed(format!("start, step or end makes the system call `{call}`")),
    }
}

/// The host accepts every step, with a deadline.
pub(super) fn in_process(case: &Case) -> Result<(), Stop> {
    recorded(case, &open(case, Isolation::InProcess)?).map(drop)
}

/// In a process of its own it takes the steps that it takes in this one.
pub(super) fn child(case: &Case) -> Result<(), Stop> {
    let there = open(case, Isolation::Child)?;
    for (what, recording) in recorded(case, &open(case, Isolation::InProcess)?)? {
        match recording.replay(&there, DEADLINE).map_err(|error| format!("{what}: {error}"))? {
            Replay::Same => {}
            Replay::Differs { step, .. } => {
                return failed(format!("{what}: in a process of its own step {step} is another one"));
            }
        }
    }
    Ok(())
}

fn open(case: &Case, isolation: Isolation) -> Result<Plugin, Stop> {
    place::open(&case.library, isolation, &Sources::default()).map_err(|refusal| {
        let text = format!("{}; {}", refusal.reason, refusal.help);
        if refusal.cause == LoadCause::NoRunner { Stop::NotRun(text) } else { Stop::Failed(text) }
    })
}

fn recorded(case: &Case, plugin: &Plugin) -> Result<Vec<(String, Recording)>, Stop> {
    let connector = Connector::new(case)?;
    let mut recordings = Vec::new();
    for made in connector.runs(case, 24)? {
        let mut world = World::new(&connector.manifest, made.seed, made.temper);
        let mut number = 0;
        // What stands for values in a recording is what is disclosed here: connectors may write values in other ways.
        let start = Recording::new(&made.start).start().clone();
        let recording = Recording::run(plugin, &start, DEADLINE, |step| {
            number += 1;
            (world.outcome(step), at(number))
        });
        recordings.push((made.what.clone(), recording.map_err(|error| format!("{}: {error}", made.what))?));
    }
    Ok(recordings)
}
