//! `hearth serve`: the language server on stdin and stdout.

use std::process::ExitCode;

use crate::{
    config,
    server::{self, Options},
    session::task::OwnedTask,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Accepted because editors pass it; stdin and stdout are what is spoken on anyway
    #[arg(long)]
    stdio: bool,
}

pub(super) fn run(_: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    server::log_panics();
    keep_little();
    let options = Options {
        layers: super::layers(assignments)?,
        state: config::state_folder(),
        ..Options::default()
    };
    let runtime = super::runtime()?;
    // On a worker: from elsewhere each task that a message starts would have to wake one first.
    let end = runtime.block_on(async {
        let (input, output) = server::stdio();
        OwnedTask::spawn(server::run(input, output, options)).join().await
    });
    // The thread that reads stdin may be blocked for ever: nobody waits for it.
    runtime.shutdown_background();
    Ok(end.map_or(ExitCode::FAILURE, |end| ExitCode::from(end.exit_code())))
}

/// Has what a parse takes, half a megabyte at once, go back to the system with its end: glibc would keep
/// it, once for each thread, as its thresholds grow with what is freed. Smaller limits than these save
/// another half a megabyte and cost a third of a keystroke's time (`benches/replay.rs`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_little() {
    let limits = [(libc::M_MMAP_THRESHOLD, 512 << 10), (libc::M_TRIM_THRESHOLD, 256 << 10)];
    for (limit, bytes) in limits {
        // SAFETY: the call sets a number within the allocator.
        if unsafe { libc::mallopt(limit, bytes) } == 0 {
            tracing::debug!("the allocator keeps what it likes");
        }
    }
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_little() {}
