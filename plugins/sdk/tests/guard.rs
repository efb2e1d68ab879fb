//! The guards around rules: panics stay inside, a build without unwinding is refused, and what the manifest does not
//! declare does not compile.

use std::path::Path;
use std::process::Command;

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, testing};

linli_plugin_sdk::manifest!("examples/chronic.toml");
use manifest::{Course, Field, Group, Reason};

#[derive(Facts)]
#[facts(manifest = "examples/chronic.toml")]
struct Person {
    today: Date,
    diagnosed: Fact<bool>,
    course: Fact<Course>,
    confirmed_until: Fact<Date>,
    recheck_months: i64,
}

struct Panics;

impl Rules for Panics {
    type Facts = Person;

    fn assess(person: &Person, found: &mut Findings<'_>) {
        if person.course.is(Course::Unstable).is_some() {
            panic!("the course of somebody is a secret");
        }
        found.member(Group::ChronicIllness, person.diagnosed.since, Reason::Diagnosed);
    }

    fn validate(person: &Person, found: &mut Issues<'_>) {
        if person.confirmed_until.value.is_some_and(|until| until < person.today) && person.recheck_months > 0
        {
            found.issue(Field::ConfirmedUntil, Reason::Unstable);
        }
    }
}

#[test]
fn a_panic_becomes_a_status_that_names_the_place_but_not_the_message() {
    let table = "case\n today 2026-03-16\n course unstable".replace("case", "case panics");
    let caught = std::panic::catch_unwind(|| testing::run::<Panics>(&testing::parse(&table)));
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("panicked at") && message.contains("guard.rs:"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn validation_answers_with_issues() {
    testing::check::<Panics>(
        "case an old confirmation
           today 2026-03-16
           confirmed_until 2026-03-15
           => member chronic_illness: diagnosed
           => issue confirmed_until: unstable",
    );
}

#[test]
fn a_build_that_aborts_on_panic_is_refused() {
    let compile = |panic: &str| {
        let output = Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
                "-C",
                &format!("panic={panic}"),
                "-o",
            ])
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk.rmeta"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
            .output()
            .expect("`rustc` runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Without its dependencies the crate does not compile in either case; only one of them is refused for the panic.
    let refusal = "a plugin must be built with `panic = \"unwind\"`";
    assert!(compile("abort").contains(refusal));
    assert!(!compile("unwind").contains(refusal));
}
