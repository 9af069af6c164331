//! `hearth trust DIR`: which folders are trusted.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

use crate::egress::Decisions;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder, with all that is below it; without one, what was decided is listed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Trust the folder no longer
    #[arg(long, requires = "folder")]
    revoke: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let decisions = Decisions::new(&super::state_folder()?);
    let mut out = std::io::stdout().lock();
    let word = |trusted| if trusted { "trusted" } else { "not trusted" };
    let Some(folder) = &arguments.folder else {
        let folders = decisions.folders().context("cannot read what was decided")?;
        for (folder, trusted) in folders {
            writeln!(out, "{}: {}", folder.display(), word(trusted))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let trusted = !arguments.revoke;
    let decided = decide(&decisions, folder, trusted)?;
    writeln!(out, "{}: {}", decided.display(), word(trusted))?;
    Ok(ExitCode::SUCCESS)
}

fn decide(decisions: &Decisions, folder: &Path, trusted: bool) -> anyhow::Result<PathBuf> {
    let shown = folder.display();
    anyhow::ensure!(folder.is_dir(), "{shown} is not a folder");
    decisions.trust(folder, trusted).with_context(|| format!("cannot decide about {shown}"))
}
