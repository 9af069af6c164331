//! `hearth serve`: the language server on stdin and stdout.

use std::process::ExitCode;

use crate::server;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Accepted because editors pass it; stdin and stdout are what is spoken on anyway
    #[arg(long)]
    stdio: bool,
}

pub(super) fn run(_: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let layers = super::layers(assignments)?;
    let runtime = super::runtime()?;
    let code = runtime.block_on(server::run(tokio::io::stdin(), tokio::io::stdout(), layers));
    // A read of stdin that is still blocked must not keep the process alive.
    runtime.shutdown_background();
    Ok(code)
}
