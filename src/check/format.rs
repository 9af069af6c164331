//! The formatting rung: rustfmt on the whole file, of which the item alone is taken.
//!
//! Runs no code of the workspace: rustfmt reads the text from its input, in a folder of our own,
//! where no `rust-toolchain.toml` can name another program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Failure, Limits, Proposal, Skip, manifest,
    process::{End, Job},
    shape,
};
use crate::config::Toolchains;

/// What came of formatting.
pub(super) enum Formatted {
    /// The replacement as the formatter would have it.
    As(String),
    Failed(Failure),
    Skipped(Skip),
}

/// Formats the item of a proposal.
pub(super) async fn format(
    proposal: &Proposal,
    toolchains: &Toolchains,
    limits: &Limits,
) -> Formatted {
    if proposal.file.extension().is_none_or(|extension| extension != "rs") {
        return Formatted::Skipped(Skip::NoTool("formatter for this language"));
    }
    let Some(rustfmt) = toolchains.find("rustfmt") else {
        return Formatted::Skipped(Skip::NoTool("rustfmt"));
    };
    let Ok((applied, place)) = proposal.applied() else {
        return Formatted::Skipped(Skip::NotReached);
    };
    let run = |text: String| run(rustfmt.clone(), text, &proposal.file, toolchains, limits);
    match run(applied.clone()).await {
        Ok(formatted) => {
            let item = shape::same_place(&proposal.file, &applied, &place, &formatted);
            Formatted::As(item.unwrap_or_else(|| proposal.replacement.clone()))
        }
        Err(said) => match run(proposal.text.clone()).await {
            Ok(_) => Formatted::Failed(Failure::new(said)),
            // Not the answer's fault.
            Err(said) => Formatted::Skipped(Skip::ToolFailed(
                said.lines().next().unwrap_or("rustfmt failed").to_owned(),
            )),
        },
    }
}

async fn run(
    rustfmt: PathBuf,
    text: String,
    file: &Path,
    toolchains: &Toolchains,
    limits: &Limits,
) -> Result<String, String> {
    let mut arguments: Vec<OsString> =
        vec!["--emit".into(), "stdout".into(), "--edition".into(), manifest::edition(file).into()];
    let names = ["rustfmt.toml", ".rustfmt.toml"];
    let own = file
        .ancestors()
        .skip(1)
        .flat_map(|up| names.map(|name| up.join(name)))
        .find(|path| path.is_file());
    if let Some(own) = own {
        arguments.extend(["--config-path".into(), own.into()]);
    }
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    environment.extend(toolchains.home.iter().map(|home| ("HOME".into(), home.into())));
    environment
        .extend(toolchains.folders.iter().map(|(name, folder)| ((*name).into(), folder.into())));
    environment
        .extend(toolchains.variables.iter().map(|(name, text)| ((*name).into(), text.clone())));
    environment.push(("RUSTUP_AUTO_INSTALL".into(), "0".into()));
    // Above every folder that a stranger can write to.
    let folder = rustfmt.ancestors().last().unwrap_or(Path::new("/")).to_path_buf();
    let job = Job {
        program: rustfmt,
        arguments,
        folder,
        environment,
        input: Some(text),
        time: limits.run,
        output: limits.output,
    };
    let ran = job.run().await.map_err(|error| format!("rustfmt: {error}"))?;
    // Of lines that it cannot shorten it complains, and has formatted the rest all the same.
    if ran.end == End::Success || (ran.end == End::Failure && !ran.stdout.is_empty()) {
        return Ok(ran.stdout);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Err(ran.stderr.replace("<stdin>", &name))
}
