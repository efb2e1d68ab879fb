//! The test kit of connectors: it drives the real entry, and says what differs from a script.

use std::future::{Future as _, poll_fn};
use std::panic;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::testing::{End, NOW_MICROS, Operation, Outcome, Step, drive, run};
use super::{Connector, Delivered, Delivery, Field, Io, PullRoster, Roster, RunError, Settings};

struct Desk;

impl Connector for Desk {
    fn check(settings: &Settings) -> Result<(), String> {
        settings.flag("open").filter(|open| *open).map(drop).ok_or("`open` must be true".to_owned())
    }

    async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
        let began = io.now();
        io.write_file("out", delivery.field("name").unwrap_or_default().into()).await?;
        io.sleep(Duration::from_secs(2)).await?;
        Ok(Delivered { external_reference: format!("{}", io.now() - began) })
    }

    async fn pull_roster(io: &Io, pull: PullRoster) -> Result<Roster, RunError> {
        // Two exchanges at once.
        let (mut one, mut other) = (pin!(io.list_files()), pin!(io.read_file(pull.cursor)));
        poll_fn(|context| {
            let _ = one.as_mut().poll(context);
            let _ = other.as_mut().poll(context);
            Poll::<()>::Pending
        })
        .await;
        Ok(Roster::default())
    }
}

const OPEN: &str = r#"{"open": true}"#;

fn matter() -> Operation {
    Operation::Deliver(Delivery { fields: vec![Field::new("name", "王保密")], ..Delivery::default() })
}

fn write() -> (Step, Outcome) {
    (Step::WriteFile { name: "out".into(), content: "王保密".into() }, Outcome::Done)
}

/// What a run that must panic says.
fn said(run: impl FnOnce() + panic::UnwindSafe) -> String {
    let said = panic::catch_unwind(run).expect_err("the run panics");
    *said.downcast::<String>().expect("it says why")
}

#[test]
fn a_run_follows_its_script_and_its_clock() {
    let script = [write(), (Step::Sleep(Duration::from_secs(2)), Outcome::Done)];
    let delivered = Delivered { external_reference: "2000000".into() };
    assert_eq!(run::<Desk>(matter(), OPEN, script), Ok(End::Delivered(delivered)));
    assert_eq!(NOW_MICROS % 1_000_000, 0);
}

#[test]
fn what_differs_from_the_script_is_said() {
    let other = (Step::ListFiles, Outcome::Files(Vec::new()));
    let differs = said(|| drop(run::<Desk>(matter(), OPEN, [other])));
    assert!(differs.contains("step 1 is another one") && differs.contains("write out"), "{differs}");
    let short = said(|| drop(run::<Desk>(matter(), OPEN, [write()])));
    assert!(short.contains("step 2 is not in the script: Sleep"), "{short}");
    let script = [write(), (Step::Sleep(Duration::from_secs(2)), Outcome::Done), write()];
    let long = said(|| drop(run::<Desk>(matter(), OPEN, script)));
    assert!(long.contains("before step 3"), "{long}");
    let wrong = said(|| drop(drive::<Desk>(matter(), OPEN, |_| Outcome::Files(Vec::new()))));
    assert!(wrong.contains("the input answers another kind of step"), "{wrong}");
}

#[test]
fn settings_and_operations_that_cannot_be_are_errors() {
    let refused = run::<Desk>(matter(), "{}", []).unwrap_err();
    assert_eq!((refused.message(), refused.is_later()), ("settings: `open` must be true", false));
    let broken = run::<Desk>(matter(), "[", []).unwrap_err();
    assert!(broken.message().starts_with("settings: the settings are no object"), "{broken:?}");
    let missing = run::<Desk>(Operation::Probe, OPEN, []).unwrap_err();
    assert_eq!(missing.message(), "the connector does not offer this operation");
}

#[test]
fn two_exchanges_at_once_are_refused() {
    let said = said(|| drop(run::<Desk>(Operation::PullRoster(PullRoster::default()), OPEN, [])));
    assert!(said.contains("status 101: panicked at"), "{said}");
}
