//! The process in which a plugin runs that does not run in the service's own. Started by the service.

use std::process::ExitCode;

fn main() -> ExitCode {
    linli_plugin_host::runner::run()
}
