//! `compare`: Linli's figures beside the limits they are held against, measured in the same run.
//!
//! Absolute figures move with the machine and its neighbours, so every comparison interleaves both
//! sides in rounds and reports the ratio of medians.

mod args;
mod calls;
mod cost;
mod echo;
mod entity;
mod figures;
mod linli;
mod load;
mod process;
mod raw;
mod store;
mod token;

use std::process::ExitCode;

const HELP: &str = "\
usage: compare COMMAND [--key value]...

commands:
  rpc          requests per second, closed loop: the bare echo, and with --linli PROGRAM beside it
               GetResident and RecordService of a server on a new SQLite database
               --seconds N (3), --rounds N (3), --in-flight N (64), --connections N (8)
  store        commits of a recorded service on SQLite: linli-store, grouped rusqlite, entity by entity
               --count N (40000), --waiting N (64), --rounds N (3)
  cost         GetResident and RecordService with everything, and without authentication, policy, audit, encryption
               --seconds N (3), --rounds N (3), --in-flight N (64), --connections N (8)
  echo-server  the bare echo itself; prints its address and serves until killed
  cost-server  a server without some protection, --without PART --data FOLDER; for `cost` alone
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
        "cost" => cost(&options).await,
        "echo-server" => echo::serve().await,
        "cost-server" => {
            let (without, data) = (options.text("without"), options.text("data"));
            cost::serve(without.unwrap_or_default(), data.unwrap_or_default().as_ref()).await
        }
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

fn load(options: &args::Options) -> Result<load::Load, String> {
    Ok(load::Load {
        connections: options.number("connections", 8)?,
        in_flight: options.number("in-flight", 64)?,
        seconds: options.number("seconds", 3)?,
    })
}

async fn cost(options: &args::Options) -> Result<(), Box<dyn std::error::Error>> {
    cost::run(&load(options)?, options.number("rounds", 3)?).await
}

async fn rpc(options: &args::Options) -> Result<(), Box<dyn std::error::Error>> {
    let load = load(options)?;
    let echo = process::Server::start_self(&["echo-server"])?;
    let folder = store::Folder::make("rpc")?;
    let linli = match options.text("linli") {
        Some(program) => {
            let server = process::Server::start_linli(program, &folder.file("data"))?;
            let estate = calls::Estate::make(&server, true).await?;
            Some((server, estate))
        }
        None => None,
    };
    let plan = store::Plan { count: 20_000, waiting: load.in_flight, rounds: 1 };
    let (mut bare, mut reads, mut writes, mut limits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.number("rounds", 3)? {
        bare.push(load.run(&echo, echo::get).await?);
        if let Some((server, estate)) = &linli {
            let caller = estate.clone();
            reads.push(
                load.run(server, move |channel, number| caller.clone().get_resident(channel, number)).await?,
            );
            let caller = estate.clone();
            let first = writes.len() as u64 * 1_000_000_000;
            let write =
                move |channel, number| caller.clone().record_service(channel, first.saturating_add(number));
            writes.push(load.run(server, write).await?);
            limits.push(store::limit(&plan).await?);
        }
    }
    println!("\ncalls, {} in flight over {} connections, SQLite", load.in_flight, load.connections);
    figures::print("  bare echo", &bare);
    figures::print("  GetResident", &reads);
    figures::print("  RecordService", &writes);
    figures::print("  grouped rusqlite, rows of a record", &limits);
    figures::ratio("  GetResident / bare echo", &reads, &bare, 0.18);
    figures::ratio("  RecordService / grouped rusqlite", &writes, &limits, 0.25);
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
