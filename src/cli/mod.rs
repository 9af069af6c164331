//! The command line: arguments, exit codes, printing. A file a subcommand. Nothing here knows how
//! anything is done.
//!
//! stdout carries a command's result and nothing else; everything about it goes to stderr.

mod analyze;
mod change;
mod complete;
mod context;
mod egress;
mod model;
mod place;
mod route;
mod serve;
mod setup;
mod status;
pub mod terminal;
mod trust;
mod workspace;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::{self, Layers, Settings};

/// A local-first AI language server: completions from a model on your own machine.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, arg_required_else_help = true)]
struct Arguments {
    /// Set a setting for this run, over the file and the editor (docs/settings.md lists them)
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    assignments: Vec<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Speak the Language Server Protocol on stdin and stdout
    Serve(serve::Arguments),
    /// Complete the code at one place of a file and print the completion
    Complete(complete::Arguments),
    /// Say what a model would be shown at one place of a file, and why
    Context(context::Arguments),
    /// Change an item as told and print the diff, once it has been checked
    Refactor(change::Refactor),
    /// Write tests for a function or a type and print the diff, once they have been on trial
    Test(change::Test),
    /// Answer a question about a whole codebase in a report that cites path:line
    Analyze(analyze::Arguments),
    /// Print the configuration of an editor, or write it
    Setup(setup::Arguments),
    /// Say which model would answer, and why
    Status(status::Arguments),
    /// Say who would do a piece of work, and why: this machine, the private network or a cloud
    Route(route::Arguments),
    /// Trust a folder: let its code be compiled and run, and parts of it be sent with consent
    Trust(trust::Arguments),
    /// Say what left this machine, what was refused, and what would leave
    Egress(egress::Arguments),
    /// Say which model is built in, or put another one in its place
    Model(model::Arguments),
}

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let outcome = match arguments.command {
        Command::Serve(serve) => serve::run(&serve, &arguments.assignments),
        Command::Complete(complete) => complete::run(&complete, &arguments.assignments),
        Command::Context(context) => context::run(&context, &arguments.assignments),
        Command::Refactor(refactor) => change::refactor(refactor, &arguments.assignments),
        Command::Test(test) => change::test(&test, &arguments.assignments),
        Command::Analyze(analyze) => analyze::run(&analyze, &arguments.assignments),
        Command::Setup(setup) => setup::run(&setup),
        Command::Status(status) => status::run(&status, &arguments.assignments),
        Command::Route(route) => route::run(&route, &arguments.assignments),
        Command::Model(model) => model::run(&model),
        Command::Trust(trust) => trust::run(&trust),
        Command::Egress(egress) => egress::run(&egress, &arguments.assignments),
    };
    outcome.unwrap_or_else(|error| {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "hearth: {error:#}");
        ExitCode::FAILURE
    })
}

/// The layers that stand before an editor is heard: the user's file and the command line.
fn layers(assignments: &[String]) -> anyhow::Result<Layers> {
    let mut layers = Layers::default();
    if let Some(complaint) = layers.read_user_file() {
        tracing::warn!("{complaint}");
    }
    layers.assign(assignments).context("--set")?;
    Ok(layers)
}

/// The settings of a command that no editor runs.
fn settings(assignments: &[String]) -> anyhow::Result<Settings> {
    let (settings, complaints) = layers(assignments)?.resolve();
    for complaint in complaints {
        tracing::warn!("{complaint}");
    }
    Ok(settings)
}

/// Where decisions and the audit log are kept.
fn state_folder() -> anyhow::Result<PathBuf> {
    config::state_folder().context("there is no home folder to keep decisions in")
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // What is waited for costs no thread, and what is computed for long runs aside. A second worker
    // would be woken with each key, to find nothing to do: a fifth more of a keystroke's way.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Sends the log to stderr, at the level that `HEARTH_LOG` names (`warn` where it names none).
///
/// Of what Hearth is built on, warnings alone: at lower levels the framework logs whole messages,
/// source text among them.
#[expect(clippy::disallowed_methods, reason = "the environment is read in config and cli")]
fn log_to_stderr() {
    let level = std::env::var("HEARTH_LOG").ok().and_then(|level| level.parse().ok());
    let ours = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("hearth", level.unwrap_or(LevelFilter::WARN));
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(stderr.with_filter(ours)).init();
}
