//! The `hearth` command.

use std::process;

use hearth::server::{self, Options};

fn main() -> anyhow::Result<()> {
    server::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let end =
        runtime.block_on(server::run(tokio::io::stdin(), tokio::io::stdout(), Options::default()));
    // Not by returning: the runtime would wait for the thread that reads stdin.
    process::exit(end.exit_code().into())
}
