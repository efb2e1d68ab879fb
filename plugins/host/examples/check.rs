//! `linli plugin check` without the service: `check [--seed N] [--quick] <folder or library>`. Ends with 1 where a rule is
//! broken.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use linli_plugin_host::tools::check::{self, Settings};
use linli_plugin_host::tools::place::Place;

/// First argument of the processes in which single rules are looked at.
const ONE: &str = "one-rule";

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == ONE
    {
        return if check::answer(rest) { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    let (mut seed, mut quick, mut path) = (1, false, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--quick") => quick = true,
            Some("--seed") => {
                seed = arguments.next().and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(seed);
            }
            Some(_) | None => path = Some(argument),
        }
    }
    let (Some(path), Ok(program)) = (path, env::current_exe()) else {
        eprintln!("check [--seed N] [--quick] <folder or library>");
        return ExitCode::from(2);
    };
    let place = match Place::find(Path::new(&path)) {
        Ok(place) => place,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let report = check::run(&place, &Settings { seed, quick, program: (program, vec![ONE.into()]) });
    println!("{report}");
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
