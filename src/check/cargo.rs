//! Compiling with Cargo: what is new among its errors, and whether it looked at the file at all.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    Failure, Skip,
    manifest::Package,
    process::{End, Ran},
    workshop::{Purpose, Texts, Workshop},
};

/// What is built of which package.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) cargo: PathBuf,
    pub(super) package: Package,
    /// A subcommand and its arguments.
    pub(super) arguments: Vec<&'static str>,
    pub(super) more: Vec<OsString>,
}

/// How a build with a change in it ended.
#[derive(Debug)]
pub(super) enum Built {
    /// Without an error; what was built.
    Clean(Vec<Artifact>),
    /// Errors that are there because of the change.
    Worse(Failure),
    /// Nothing can be said.
    Unclear(Skip),
}

/// A target that was compiled, or found compiled.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Artifact {
    filenames: Vec<PathBuf>,
    profile: Profile,
}

#[derive(Debug, Clone, Deserialize)]
struct Profile {
    test: bool,
}

impl Artifact {
    /// Whether this is a harness with tests in it, not what the tests are linked to.
    pub(super) const fn is_harness(&self) -> bool {
        self.profile.test
    }
}

/// A line of Cargo's output that matters here.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-message")]
    Told { message: Diagnostic },
    #[serde(rename = "compiler-artifact")]
    Made(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    message: String,
    level: String,
    code: Option<Code>,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    is_primary: bool,
    text: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    text: String,
}

/// An error apart from where it stands: lines move when the text before them grows.
type Identity = (String, Option<String>, Vec<(String, Vec<String>)>);

/// What a run of Cargo said.
struct Said {
    errors: Vec<(Identity, String)>,
    artifacts: Vec<Artifact>,
}

impl Said {
    fn of(stdout: &str) -> Self {
        let mut said = Self { errors: Vec::new(), artifacts: Vec::new() };
        for line in stdout.lines() {
            match serde_json::from_str(line) {
                Ok(Message::Made(artifact)) => said.artifacts.push(artifact),
                Ok(Message::Told { message }) if message.level.starts_with("error") => {
                    // "aborting due to 2 previous errors" comes without a place.
                    let summary =
                        message.spans.is_empty() && message.message.starts_with("aborting due to");
                    if !summary {
                        said.errors.push(message.identified());
                    }
                }
                // What build scripts print, and what does not matter.
                Ok(_) | Err(_) => {}
            }
        }
        said
    }
}

impl Diagnostic {
    fn identified(self) -> (Identity, String) {
        let spans = self.spans.into_iter().filter(|span| span.is_primary).map(|span| {
            let lines = span.text.into_iter().map(|line| line.text.trim().to_owned()).collect();
            (span.file_name, lines)
        });
        let identity = (self.message.clone(), self.code.map(|code| code.code), spans.collect());
        (identity, self.rendered.unwrap_or(self.message))
    }
}

impl Build {
    /// Builds with `edited`, and where that fails with `unedited`, to tell what is new.
    pub(super) async fn compare(
        &self,
        workshop: &Workshop,
        edited: &Texts,
        unedited: &Texts,
    ) -> Built {
        match self.try_compare(workshop, edited, unedited).await {
            Ok(built) => built,
            Err(skip) => Built::Unclear(skip),
        }
    }

    async fn try_compare(
        &self,
        workshop: &Workshop,
        edited: &Texts,
        unedited: &Texts,
    ) -> Result<Built, Skip> {
        workshop.sync(edited).await?;
        let ran = self.run(workshop).await?;
        let said = Said::of(&ran.stdout);
        if ran.end == End::Success {
            return Ok(Built::Clean(said.artifacts));
        }
        workshop.sync(unedited).await?;
        let ran_before = self.run(workshop).await?;
        let mut old: HashMap<Identity, usize> = HashMap::new();
        for (identity, _) in Said::of(&ran_before.stdout).errors {
            *old.entry(identity).or_default() += 1;
        }
        let errors = said.errors.len();
        let new: Vec<String> = said
            .errors
            .into_iter()
            .filter(|(identity, _)| match old.get_mut(identity) {
                Some(count @ 1..) => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .map(|(_, rendered)| workshop.relative(&rendered))
            .collect();
        Ok(if !new.is_empty() {
            Built::Worse(Failure::new(new.join("\n")))
        } else if ran_before.end == End::Success {
            // A build script, or a linker.
            Built::Worse(Failure::new(workshop.relative(&ran.stderr)))
        } else if errors > 0 {
            Built::Unclear(Skip::Masked { errors })
        } else {
            Built::Unclear(Skip::ToolFailed(first_error(&workshop.relative(&ran.stderr))))
        })
    }

    pub(super) async fn run(&self, workshop: &Workshop) -> Result<Ran, Skip> {
        let mut arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        let copy = workshop.mirrored(&self.package.folder);
        if let Some(package) = self.package.specification(&copy) {
            arguments.extend(["--package".into(), package.into()]);
        }
        arguments.extend(self.more.iter().cloned());
        let (folder, time) = (&self.package.folder, workshop.limits().compile);
        let ran = workshop.run(&self.cargo, arguments, folder, Purpose::Build, time).await?;
        match ran.end {
            End::TimedOut => {
                Err(Skip::ToolFailed(format!("cargo took longer than {} seconds", time.as_secs())))
            }
            End::TooMuchOutput => Err(Skip::ToolFailed("cargo wrote without end".to_owned())),
            End::Success | End::Failure => Ok(ran),
        }
    }
}

/// The line of a tool's output that says most.
pub(super) fn first_error(stderr: &str) -> String {
    let mut lines = stderr.lines().filter(|line| !line.trim().is_empty());
    let said = lines.clone().find(|line| line.starts_with("error")).or_else(|| lines.next_back());
    said.unwrap_or("cargo failed without a word").trim().to_owned()
}

/// Whether one of the artifacts was compiled from this file of the copy. Cargo notes the sources of
/// each beside it; paths in there may be relative to any folder above the file.
pub(super) fn compiled_from<'a>(
    artifacts: impl IntoIterator<Item = &'a Artifact>,
    target: &Path,
    file: &Path,
) -> bool {
    let mut notes =
        artifacts.into_iter().flat_map(|artifact| &artifact.filenames).filter_map(|path| {
            let stem = path.file_stem()?.to_str()?;
            let name = stem.strip_prefix("lib").unwrap_or(stem);
            let folder = path.parent().filter(|folder| folder.starts_with(target))?;
            [name, stem]
                .into_iter()
                .find_map(|name| std::fs::read_to_string(folder.join(format!("{name}.d"))).ok())
        });
    let escaped = file.to_string_lossy().replace(' ', "\\ ");
    notes.any(|note| {
        note.lines().filter_map(|line| line.strip_suffix(':')).any(|source| {
            let source = source.trim_start_matches("./");
            escaped == source
                || (!Path::new(source).is_absolute() && Path::new(&escaped).ends_with(source))
        })
    })
}
