//! The command line of `dev`: a command, an optional profile, and the rest for whom it starts.

use std::ffi::OsString;

/// What `dev --help` prints.
pub(crate) const HELP: &str = "\
builds the workspace in full (plugins included), then does what you asked for

usage: cargo demo  [--release | --profile NAME] [arguments of `linli demo`]
       cargo suite [--release | --profile NAME] [arguments of `cargo test`]
       cargo lint

commands:
  demo   build, then run `linli demo`
  suite  build, then run every test: unit tests, doc tests, the end-to-end suite
  lint   rustfmt, clippy and the documentation, warnings being errors
  help   print this

An argument after `--` is passed on as it is. The exit code is that of the step that failed.
Tests that need grpcurl, buf or Python's grpcio find them through LINLI_GRPCURL, LINLI_BUF and
LINLI_PYTHON; without them they say that they were skipped, and with CI=true they fail.
";

/// One command with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print [`HELP`].
    Help,
    /// Build, then run `linli demo` with the rest.
    Demo { profile: Profile, rest: Vec<OsString> },
    /// Build, then run `cargo test --workspace` with the rest.
    Suite { profile: Profile, rest: Vec<OsString> },
    /// Formatting, clippy, documentation.
    Lint,
}

/// A cargo profile by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Profile(String);

impl Profile {
    /// The name cargo knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The folder under the target directory: cargo calls the one of `dev` and `test` `debug`,
    /// and the one of `bench` `release`.
    pub(crate) fn folder(&self) -> &str {
        match self.name() {
            "dev" | "test" => "debug",
            "bench" => "release",
            own => own,
        }
    }
}

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// A sentence for the user: no command, an unknown one, or a profile without a name.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let Some(command) = arguments.next() else {
        return Err("no command given".into());
    };
    match command.to_string_lossy().as_ref() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "demo" => split(arguments, false).map(|(profile, rest)| Command::Demo { profile, rest }),
        "suite" => split(arguments, true).map(|(profile, rest)| Command::Suite { profile, rest }),
        "lint" => match arguments.next() {
            None => Ok(Command::Lint),
            Some(extra) => Err(format!("`lint` takes no argument, got `{}`", extra.to_string_lossy())),
        },
        other => Err(format!("unknown command `{other}`")),
    }
}

/// Takes the profile out of the arguments; those from `--` on are nobody's but the receiver's.
/// `cargo test` wants to see the `--` itself, `linli demo` does not.
fn split(
    mut arguments: impl Iterator<Item = OsString>,
    keep_dashes: bool,
) -> Result<(Profile, Vec<OsString>), String> {
    let mut profile = Profile("dev".into());
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--") => {
                if keep_dashes {
                    rest.push(argument);
                }
                rest.extend(arguments);
                break;
            }
            Some("--release") => profile = Profile("release".into()),
            Some("--profile") => match arguments.next().as_deref().map(|name| name.to_string_lossy()) {
                Some(name) if !name.is_empty() && !name.starts_with('-') => profile = Profile(name.into()),
                _ => return Err("`--profile` needs a name".into()),
            },
            _ => rest.push(argument),
        }
    }
    Ok((profile, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Result<Command, &str>) {
        let arguments = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(parse(arguments), expect.map_err(String::from), "dev {line}");
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn profile(name: &str) -> Profile {
        Profile(name.into())
    }

    #[test]
    fn arguments_reach_whom_they_are_for() {
        check("", Err("no command given"));
        check("dance", Err("unknown command `dance`"));
        check("--help", Ok(Command::Help));
        check("lint", Ok(Command::Lint));
        check("lint --all", Err("`lint` takes no argument, got `--all`"));
        check("demo", Ok(Command::Demo { profile: profile("dev"), rest: vec![] }));
        check("demo --release", Ok(Command::Demo { profile: profile("release"), rest: vec![] }));
        check(
            "demo --keep --profile bench --weeks 2",
            Ok(Command::Demo { profile: profile("bench"), rest: words("--keep --weeks 2") }),
        );
        check("demo -- --release", Ok(Command::Demo { profile: profile("dev"), rest: words("--release") }));
        check("demo --profile", Err("`--profile` needs a name"));
        check("suite --profile --nocapture", Err("`--profile` needs a name"));
        check(
            "suite resident -- --nocapture",
            Ok(Command::Suite { profile: profile("dev"), rest: words("resident -- --nocapture") }),
        );
    }

    #[test]
    fn cargo_names_some_folders_otherwise_than_the_profile() {
        for (name, folder) in [("dev", "debug"), ("test", "debug"), ("release", "release"), ("fast", "fast")]
        {
            assert_eq!(profile(name).folder(), folder, "{name}");
        }
    }
}
