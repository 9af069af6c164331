//! `hearth serve`: the language server on stdin and stdout.

use std::process::ExitCode;

use crate::{
    config,
    server::{self, Options},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Accepted because editors pass it; stdin and stdout are what is spoken on anyway
    #[arg(long)]
    stdio: bool,
}

pub(super) fn run(_: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    server::log_panics();
    let options = Options {
        layers: super::layers(assignments)?,
        state: config::state_folder(),
        ..Options::default()
    };
    let runtime = super::runtime()?;
    let end = runtime.block_on(server::run(tokio::io::stdin(), tokio::io::stdout(), options));
    // The thread that reads stdin may be blocked for ever: nobody waits for it.
    runtime.shutdown_background();
    Ok(ExitCode::from(end.exit_code()))
}
