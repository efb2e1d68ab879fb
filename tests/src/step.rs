//! One step of a command: a program that is run, said aloud, timed, and whose exit code counts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::args::Profile;

/// Tells the user something, on standard error: standard output belongs to what is run.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "dev: {line}");
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure of `dev` itself.
    pub(crate) fn own(message: String) -> Self {
        Self { message, code: 1 }
    }

    /// The exit code to end with: that of the step.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    fn of(name: &str, status: ExitStatus) -> Self {
        Self { message: format!("{name}: failed ({status})"), code: exit_code(status) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// A program with its arguments, and what to call it.
pub(crate) struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    /// A run of the cargo that started `dev`.
    pub(crate) fn cargo(name: &'static str, arguments: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments);
        // Cargo describes `dev` to `dev`; a nested cargo must not take that for its own package.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&variable);
            }
        }
        Self { name, command }
    }

    /// A run of any other program.
    pub(crate) fn program(name: &'static str, program: impl AsRef<OsStr>) -> Self {
        Self { name, command: Command::new(program) }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub(crate) fn args(mut self, arguments: Vec<OsString>) -> Self {
        self.command.args(arguments);
        self
    }

    /// The profile to build in.
    pub(crate) fn profile(mut self, profile: &Profile) -> Self {
        self.command.arg("--profile").arg(profile.name());
        self
    }

    /// A variable for the program, if there is a value for it.
    pub(crate) fn env(mut self, variable: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.command.env(variable, value);
        }
        self
    }

    /// Runs it, with its output going where ours goes.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        say(self.name);
        let begun = Instant::now();
        let status = self.command.status().map_err(|error| self.cannot_start(&error))?;
        if status.success() {
            say(&format!("{}: done in {:.1} s", self.name, begun.elapsed().as_secs_f64()));
            Ok(())
        } else {
            Err(Failure::of(self.name, status))
        }
    }

    /// Runs it silently and returns what it printed.
    pub(crate) fn output(mut self) -> Result<String, Failure> {
        self.command.stderr(Stdio::inherit());
        let output = self.command.output().map_err(|error| self.cannot_start(&error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(Failure::of(&self.command.get_program().to_string_lossy(), output.status))
        }
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        Failure::own(format!("cannot start `{}`: {error}", self.command.get_program().to_string_lossy()))
    }
}

/// The exit code of a child as our own: a child killed by signal n counts as 128 + n, as in a shell.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_of_a_step_is_passed_on() {
        for (script, expect) in [("exit 0", None), ("exit 7", Some(7)), ("kill -9 $$", Some(137))] {
            let outcome = Step::program("script", "sh")
                .args(vec!["-c".into(), script.into()])
                .run()
                .map_err(|f| f.code());
            assert_eq!(outcome.err(), expect, "{script}");
        }
        let missing = Step::program("absent", "linli-no-such-program").run().unwrap_err();
        assert!(missing.to_string().starts_with("cannot start `linli-no-such-program`: "), "{missing}");
    }
}
