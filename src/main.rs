//! The `hearth` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearth::cli::run()
}
