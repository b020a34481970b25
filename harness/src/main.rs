//! The command `gymcheck`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    gymcheck::stage::watchdog().unwrap_or_else(|| cli::broken_by_panic(cli::main))
}
