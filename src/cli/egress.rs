//! `hearth egress`: what left this machine, what was refused, and what would leave.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use ignore::WalkBuilder;
use url::Url;

use crate::{
    config::Settings,
    egress::{
        Border, Consent, Content, Decisions, Destination, Parcel, Piece, Role, Trust, Turn,
        audit::{Decision, Entry, Log},
    },
    model::cloud::Cloud,
};

/// Bytes that a token is estimated to be, where no tokenizer is known.
const BYTES_A_TOKEN: usize = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every request that left and every one that was refused
    Log {
        /// Print each entry as it stands in the log
        #[arg(long)]
        json: bool,
        /// Print the last N alone
        #[arg(short, value_name = "N")]
        n: Option<usize>,
    },
    /// Check that no line of the log was changed, removed, added or moved
    Verify,
    /// Show what of these files would be sent, and what would stay here; sends nothing
    Preview(Preview),
    /// Let parts of a workspace be sent to a cloud without a question, or never
    Allow {
        /// Its name in `router.cloud`, or its base URL
        cloud: String,
        /// The workspace's folder
        #[arg(default_value = ".")]
        workspace: PathBuf,
        /// Never send anything of it there, and don't ask
        #[arg(long)]
        never: bool,
    },
    /// Forget what was allowed and refused for a workspace, so that the next request asks
    Forget {
        /// The workspace's folder
        #[arg(default_value = ".")]
        workspace: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Preview {
    /// Files, and folders with all files below them that no ignore file names
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The cloud's name in `router.cloud`; without one, the first of them
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
    /// The workspace's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// As if the workspace were trusted: for an editor that asks its user about that itself
    #[arg(long)]
    trusted: bool,
    /// Print the text as well, as it would be sent
    #[arg(long)]
    text: bool,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let state = super::state_folder()?;
    match &arguments.command {
        Command::Log { json, n } => log(&Log::new(&state), *json, *n),
        Command::Verify => verify(&Log::new(&state)),
        Command::Preview(preview) => show(preview, &super::settings(assignments)?, &state),
        Command::Allow { cloud, workspace, never } => {
            let host = match Url::parse(cloud) {
                Ok(url) => Destination::new(&url, "any")?.host(),
                Err(_) => destination(&super::settings(assignments)?, Some(cloud))?.host(),
            };
            let consent = if *never { Consent::Never } else { Consent::Workspace };
            Decisions::new(&state)
                .keep(workspace, &host, consent)
                .with_context(|| format!("cannot decide about {}", workspace.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Forget { workspace } => {
            Decisions::new(&state)
                .forget(workspace)
                .with_context(|| format!("cannot decide about {}", workspace.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn log(log: &Log, json: bool, n: Option<usize>) -> anyhow::Result<ExitCode> {
    let path = log.path();
    let entries = log.entries().with_context(|| format!("cannot read {}", path.display()))?;
    let mut out = std::io::stdout().lock();
    let skipped = n.map_or(0, |n| entries.len().saturating_sub(n));
    for entry in &entries[skipped..] {
        if json {
            writeln!(out, "{}", serde_json::to_string(entry)?)?;
        } else {
            writeln!(out, "{}", line(entry))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An entry for people.
fn line(entry: &Entry) -> String {
    let decision = match entry.decision {
        Decision::Sent => "sent",
        Decision::Refused => "refused",
    };
    let mut line = format!(
        "{} {decision} ({}) workspace {} to {} ({})",
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(entry.time)),
        entry.reason,
        entry.workspace,
        entry.destination,
        entry.model
    );
    if entry.bytes > 0 {
        let Entry { files, tokens, bytes, redactions, .. } = entry;
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            ": {files} files, {tokens} tokens, {bytes} bytes, {redactions} secrets replaced"
        );
    }
    line
}

/// Exits with 1 when the log is damaged.
fn verify(log: &Log) -> anyhow::Result<ExitCode> {
    let path = log.path();
    let mut out = std::io::stdout().lock();
    match log.verify() {
        Ok(lines) => {
            writeln!(out, "{}: {lines} entries, whole and in order", path.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(damage) => {
            writeln!(out, "{}: {damage}", path.display())?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Where requests for a cloud of the user's go.
fn destination(settings: &Settings, name: Option<&str>) -> anyhow::Result<Destination> {
    let mut clouds = settings.clouds.resolve().into_iter();
    let cloud = match name {
        None => clouds.next().context("no cloud is set up (router.cloud)")?,
        Some(name) => clouds
            .find(|cloud| cloud.as_ref().is_ok_and(|cloud| cloud.name == name))
            .with_context(|| format!("no cloud '{name}' is set up (router.cloud.{name})"))?,
    };
    let cloud = Cloud::new(&cloud.map_err(anyhow::Error::msg)?)?;
    Ok(cloud.destination().clone())
}

/// Exits with 1 when nothing would leave.
fn show(preview: &Preview, settings: &Settings, state: &Path) -> anyhow::Result<ExitCode> {
    let trust = if preview.trusted { Trust::Editor(true) } else { Trust::Stored };
    let border = Border::new(&preview.workspace, settings, state, trust)?;
    let mut contents = Vec::new();
    for path in &preview.paths {
        let path =
            std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        ensure!(path.exists(), "{} does not exist", path.display());
        // What an ignore file names stays at home anyway, and can be most of a folder.
        let files = WalkBuilder::new(&path)
            .hidden(false)
            .require_git(false)
            .sort_by_file_name(Ord::cmp)
            .add_custom_ignore_filename(".hearthignore")
            .build();
        for file in files {
            let file = file?;
            if file.file_type().is_none_or(|kind| kind.is_dir()) {
                continue;
            }
            // A file that stays at home is not read; the manifest says why it stays.
            let text = match border.admit(file.path()) {
                Ok(_) => std::fs::read(file.path())
                    .with_context(|| format!("cannot read {}", file.path().display()))?,
                Err(_) => Vec::new(),
            };
            if let Ok(text) = String::from_utf8(text) {
                contents.push(Content::Piece(Piece::file(file.path(), &text)));
            }
        }
    }
    let parcel = Parcel {
        destination: destination(settings, preview.cloud.as_deref())?,
        system: "",
        turns: vec![Turn { role: Role::User, contents }],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 0,
        private: false,
    };
    let found = border.preview(parcel, |text| text.len().div_ceil(BYTES_A_TOKEN))?;
    let mut out = std::io::stdout().lock();
    if preview.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found.manifest)?)?;
    } else {
        write!(out, "{}", found.manifest)?;
    }
    if preview.text {
        write!(out, "{}", found.text)?;
    }
    Ok(ExitCode::SUCCESS)
}
