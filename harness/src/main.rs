//! The command `gymcheck`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
