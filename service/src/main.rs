//! `linli`: the command line of the service.

use std::process::ExitCode;

use linli_service::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::main().await
}
