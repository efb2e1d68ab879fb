//! `dev`: the developer's command behind the cargo aliases.
//!
//! `cargo run` and `cargo test` leave out a member that is only a cdylib, so a plugin could be
//! missing or old when the demo or the suite needs it. Each command here builds the whole
//! workspace first. Standard library only, so that an alias starts at once.

mod args;
mod metadata;
mod step;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Command, Profile};
use step::{Failure, Step};

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1).collect()) {
        Ok(Command::Help) => match std::io::stdout().write_all(args::HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(command) => match run(command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                step::say(&failure.to_string());
                ExitCode::from(failure.code())
            }
        },
        Err(message) => {
            step::say(&message);
            step::say("`dev --help` lists the commands");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help => Ok(()),
        Command::Demo { profile, rest } => demo(&profile, rest),
        Command::Suite { profile, rest } => suite(&profile, rest),
        Command::Lint => lint(),
    }
}

/// Builds everything and runs `linli demo`.
fn demo(profile: &Profile, rest: Vec<OsString>) -> Result<(), Failure> {
    Step::cargo("build the workspace", &["build", "--workspace"]).profile(profile).run()?;
    let linli = artefacts(profile)?.join(format!("linli{}", std::env::consts::EXE_SUFFIX));
    if !linli.is_file() {
        return Err(Failure::own(format!("the build left no `{}`", linli.display())));
    }
    Step::program("run the demo", linli).arg("demo").args(rest).run()
}

/// Builds everything that the tests start or load, then runs every test of the workspace.
///
/// The build names the test targets too: cargo then settles on the same features for both steps
/// and compiles each dependency once.
fn suite(profile: &Profile, rest: Vec<OsString>) -> Result<(), Failure> {
    Step::cargo("build the workspace, plugins included", &["build", "--workspace"])
        .args(["--lib", "--bins", "--tests"].map(OsString::from).to_vec())
        .profile(profile)
        .run()?;
    let tests = Step::cargo("run the tests", &["test", "--workspace"]).profile(profile).args(rest);
    // A panic inside a test server is only half as telling without it.
    let trace = if std::env::var_os("RUST_BACKTRACE").is_none() { Some("1") } else { None };
    tests.env("RUST_BACKTRACE", trace).run()
}

/// Formatting, lints and documentation, each with warnings as errors.
fn lint() -> Result<(), Failure> {
    Step::cargo("check the formatting", &["fmt", "--all", "--check"]).run()?;
    Step::cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    Step::cargo("documentation", &["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", Some("-D warnings"))
        .run()
}

/// The folder in which cargo leaves binaries and plugin libraries for this profile.
fn artefacts(profile: &Profile) -> Result<PathBuf, Failure> {
    let output = Step::cargo("", &["metadata", "--no-deps", "--format-version", "1"]).output()?;
    metadata::target_directory(&output)
        .map(|directory| PathBuf::from(directory).join(profile.folder()))
        .ok_or_else(|| Failure::own("`cargo metadata` names no target directory".into()))
}
