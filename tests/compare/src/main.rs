//! `compare`: Linli's figures beside the limits they are held against, measured in the same run.
//!
//! Absolute figures move with the machine and its neighbours, so every comparison interleaves both
//! sides in rounds and reports the ratio of medians.

mod args;
mod echo;
mod entity;
mod figures;
mod linli;
mod load;
mod process;
mod raw;
mod store;

use std::process::ExitCode;

const HELP: &str = "\
usage: compare COMMAND [--key value]...

commands:
  rpc          requests per second of the bare echo, closed loop
               --seconds N (3), --rounds N (3), --in-flight N (64), --connections N (8)
  store        commits of a recorded service on SQLite: linli-store, grouped rusqlite, entity by entity
               --count N (40000), --waiting N (64), --rounds N (3)
  echo-server  the bare echo itself; prints its address and serves until killed
";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let options = match args::Options::read(arguments) {
        Ok(options) => options,
        Err(message) => return fail(&message),
    };
    let outcome = match command.as_str() {
        "rpc" => rpc(&options).await,
        "store" => store(&options).await,
        "echo-server" => echo::serve().await,
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown command `{other}`\n{HELP}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

async fn rpc(options: &args::Options) -> Result<(), Box<dyn std::error::Error>> {
    let load = load::Load {
        connections: options.number("connections", 8)?,
        in_flight: options.number("in-flight", 64)?,
        seconds: options.number("seconds", 3)?,
    };
    let server = process::Server::start_self(&["echo-server"])?;
    let mut bare = Vec::new();
    for _ in 0..options.number("rounds", 3)? {
        bare.push(load.run(&server, echo::get).await?);
    }
    figures::print("bare echo", &bare);
    Ok(())
}

async fn store(options: &args::Options) -> Result<(), Box<dyn std::error::Error>> {
    let plan = store::Plan {
        count: options.number("count", 40_000)?,
        waiting: options.number("waiting", 64)?,
        rounds: options.number("rounds", 3)?,
    };
    for sites in [1, 100] {
        store::run(&plan, sites).await?;
    }
    Ok(())
}

fn fail(message: &str) -> ExitCode {
    eprintln!("compare: {message}");
    ExitCode::FAILURE
}
