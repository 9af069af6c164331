//! An edit of one document, for the version that the editor has; of a file that it has not opened, for
//! the text on disk; or a file that is not there yet.

use std::{io::ErrorKind, ops::Range, path::Path};

use super::{
    hunk::{self, Hunk},
    refactor::{import_lines, imports},
    source::{buffers, newline, parse, root},
};
use crate::{
    check::{Insertion, Keeps, Proposal, Report, Rung},
    session::{Session, Snapshot},
    syntax::Language,
};

/// Where a document is before an edit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An editor has it open: its text counts, and its version.
    Open,
    /// On disk alone.
    OnDisk,
    /// Nowhere: the edit makes the file.
    Missing,
}

/// An edit of one document.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What it does, in a few words.
    pub title: String,
    /// The text and version that `proposal` is for.
    pub snapshot: Snapshot,
    pub standing: Standing,
    pub proposal: Proposal,
    /// What the checks say: "parsed, formatted, compiled".
    pub checks: String,
    /// Whether the compiler has seen it and found no new error.
    pub compiled: bool,
    /// What a user should know of it beside that, a sentence each.
    pub notes: Vec<String>,
    /// Space that stands in front of it.
    pub(super) lead: String,
    /// Whole `use` declarations that it needs in the module around it.
    pub(super) imports: Vec<String>,
}

/// What an edit changes.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Bytes of the snapshot.
    pub(super) range: Range<usize>,
    /// One or more whole items, without the space around them: that is the formatter's.
    pub(super) replacement: String,
    /// Space that is put in front of it.
    pub(super) lead: String,
    /// Whole `use` declarations that it needs in the module around it.
    pub(super) imports: Vec<String>,
}

impl Edit {
    /// A change of one open document; nothing is checked yet.
    pub(super) fn new(
        session: &Session,
        snapshot: &Snapshot,
        title: impl Into<String>,
        change: Change,
        keeps: Keeps,
    ) -> Self {
        let path = snapshot.path.as_deref().unwrap_or(Path::new(""));
        let text = snapshot.text.to_string();
        let Change { range, replacement, lead, imports } = change;
        let proposal = Proposal {
            root: root(session, path),
            file: path.to_owned(),
            imports: inserted(&text, snapshot.language, range.start, &imports, &lead),
            text,
            range,
            replacement,
            buffers: buffers(session, path),
            keeps,
        };
        Self {
            title: title.into(),
            snapshot: snapshot.clone(),
            standing: Standing::Open,
            proposal,
            checks: String::new(),
            compiled: false,
            notes: Vec::new(),
            lead,
            imports,
        }
    }

    /// What changes, as little as does the same.
    pub fn hunks(&self) -> Vec<Hunk> {
        hunk::hunks(&self.proposal)
    }

    /// The file's text with the edit.
    pub fn text(&self) -> String {
        self.proposal.applied().map(|(text, _)| text).unwrap_or_default()
    }

    /// The difference as people read it.
    pub fn diff(&self) -> String {
        hunk::unified(&self.proposal.text, &self.text(), &self.snapshot.relative_path)
    }

    /// With what `report` says of it, and as the formatter left it.
    pub(super) fn checked(mut self, report: &Report) -> Self {
        self.proposal.replacement.clone_from(&report.replacement);
        Self { checks: report.to_string(), compiled: report.held(Rung::Compiles), ..self }
    }

    /// The same edit for another version of the text. `None` when what it replaces has changed.
    #[must_use]
    pub fn onto(&self, snapshot: Snapshot) -> Option<Self> {
        let text = snapshot.text.to_string();
        let range = hunk::shifted(&self.proposal.text, &text, &self.proposal.range)?;
        let at = range.start;
        let imports = inserted(&text, snapshot.language, at, &self.imports, &self.lead);
        let proposal = Proposal { text, range, imports, ..self.proposal.clone() };
        Some(Self { snapshot, proposal, ..self.clone() })
    }

    /// The same edit as things are now; `None` when what it replaces has changed.
    pub fn now(&self, session: &Session) -> Option<Self> {
        let snapshots = session.snapshots();
        let open = snapshots.into_iter().find(|open| {
            open.uri == self.snapshot.uri
                || (open.path.is_some() && open.path == self.snapshot.path)
        });
        match open {
            Some(now) if now.text == self.snapshot.text => {
                Some(Self { snapshot: now, standing: Standing::Open, ..self.clone() })
            }
            Some(now) => Some(Self { standing: Standing::Open, ..self.onto(now)? }),
            None => self.is_on_disk().then(|| self.clone()),
        }
    }

    /// Whether the disk has what it was made for. An open document's editor knows better.
    fn is_on_disk(&self) -> bool {
        let read = || std::fs::read_to_string(&self.proposal.file);
        match self.standing {
            Standing::Open => true,
            Standing::OnDisk => read().is_ok_and(|now| now == self.proposal.text),
            Standing::Missing => read().is_err_and(|error| error.kind() == ErrorKind::NotFound),
        }
    }
}

/// What must be added so that the module around byte `at` imports `wanted`, and `lead` stands there.
fn inserted(
    text: &str,
    language: Option<&'static Language>,
    at: usize,
    wanted: &[String],
    lead: &str,
) -> Vec<Insertion> {
    let tree = language
        .filter(|_| !wanted.is_empty())
        .and_then(|language| Some((language, parse(language, text)?)));
    let mut added = tree.map_or(Vec::new(), |(language, tree)| {
        let (root, newline) = (tree.root_node(), newline(text));
        match language.id {
            "rust" => imports::merge(root, text, at, wanted, newline),
            _ => import_lines::merge(root, text, language, wanted, newline),
        }
    });
    if !lead.is_empty() {
        // Behind an import at the same byte.
        added.push(Insertion { at, text: lead.to_owned() });
    }
    added
}
