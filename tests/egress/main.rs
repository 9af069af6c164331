//! The border from outside: real files, real ignore files, real processes.

mod asking;
mod cli;
mod leaving;
mod log;
mod nothing_else_leaves;
mod unsaved;

use std::{fs, path::Path};

use hearth::{
    config::Settings,
    egress::{
        Border, Cleared, Consent, Content, Decisions, Destination, Parcel, Permit, Piece, Refusal,
        Role, Trust, Turn, audit::Log,
    },
};
use tempfile::TempDir;

/// Where everything goes.
const CLOUD: &str = "https://cloud.example:8443/v1";

/// A trusted workspace, and a folder for decisions and the log.
struct Workspace {
    folder: TempDir,
    state: TempDir,
    settings: Settings,
}

impl Workspace {
    /// With these files: `//- path` and the lines below it.
    fn new(files: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = tempfile::tempdir().expect("a folder");
        let workspace = Self { folder, state, settings: Settings::default() };
        for file in files.split("//- ").skip(1) {
            let (path, text) = file.split_once('\n').expect("a path and lines");
            workspace.write(path.trim(), text);
        }
        workspace.decisions().trust(workspace.root(), true).expect("a decision");
        workspace
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }

    fn decisions(&self) -> Decisions {
        Decisions::new(self.state.path())
    }

    fn log(&self) -> Log {
        Log::new(self.state.path())
    }

    fn border(&self) -> Border {
        Border::new(self.root(), &self.settings, self.state.path(), Trust::Stored)
            .expect("a workspace")
    }

    /// The whole file, as it is on the disk.
    fn piece(&self, path: &str) -> Content {
        let text = fs::read_to_string(self.root().join(path)).expect("a file");
        Content::Piece(Piece::file(path, &text))
    }

    fn pieces(&self, paths: &[&str]) -> Parcel {
        parcel(paths.iter().map(|path| self.piece(path)).collect())
    }

    /// Whether it would leave, asked without a user.
    fn try_once(&self, parcel: Parcel) -> Result<Permit, Refusal> {
        self.border().examine(parcel, words)?.seal(Consent::Once)
    }
}

fn destination() -> Destination {
    Destination::new(&CLOUD.parse().expect("a URL"), "large-1").expect("an address")
}

fn parcel(contents: Vec<Content>) -> Parcel {
    Parcel {
        destination: destination(),
        system: "You read code.\n",
        turns: vec![Turn { role: Role::User, contents }],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 1_000,
        private: false,
    }
}

/// A count of tokens that a test can follow.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// All text that a permit would send.
fn text(permit: &Permit) -> String {
    let mut all = permit.system().to_owned();
    for content in permit.turns().iter().flat_map(|turn| &turn.contents) {
        match content {
            Cleared::Text(text) | Cleared::Outcome { text, .. } => all.push_str(text),
            Cleared::Call(call) => all.push_str(&call.input.to_string()),
        }
    }
    all
}

/// Placeholders by their order: their digits differ in each process.
fn numbered(text: &str) -> String {
    const MARK: &str = "HEARTH_SECRET_";
    let mut seen = Vec::new();
    let mut parts = text.split(MARK);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(12);
        let known = seen.iter().position(|other| *other == digits);
        let number = known.unwrap_or_else(|| {
            seen.push(digits);
            seen.len() - 1
        });
        all.extend([format!("<secret {}>", number + 1).as_str(), rest]);
    }
    all
}

/// A token in the shape that GitHub gives its own, different for each `n`.
fn token(n: u64) -> String {
    let mut random = crate::support::random::Random::new(n);
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let body: String = (0..36).map(|_| char::from(letters[random.below(letters.len())])).collect();
    format!("ghp_{body}")
}

#[path = "../support/mod.rs"]
mod support;
