//! What is about to leave, shown before the first byte.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;

use super::Withheld;

/// Lines of one file that would leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilePart {
    /// Relative to the workspace, with `/`.
    pub path: String,
    /// The first line, from 1.
    pub first: usize,
    /// The last line, from 1, included; less than `first` where no line is.
    pub last: usize,
}

/// What is about to leave. Holds no source text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Scheme, host and port.
    pub destination: String,
    pub model: String,
    /// By path and line; lines that touch are one part.
    pub files: Vec<FilePart>,
    /// What stays at home, and why.
    pub withheld: Vec<Withheld>,
    /// Whether the task or one of its files is private; the user has to be asked then.
    pub private: bool,
    /// Secrets replaced by placeholders, by the rule that found them.
    pub redactions: BTreeMap<String, usize>,
    /// What the model may ask for further. What that brings is sent as well, each time past the
    /// border, with a manifest of its own.
    pub tools: Vec<&'static str>,
    /// Of all text in the permit. The request's framing in JSON and its escapes come on top.
    pub bytes: usize,
    /// Of all text in the permit, as the caller's counter has it.
    pub tokens: usize,
    /// The most that the answer may be.
    pub max_output_tokens: usize,
    /// US dollars at the most, where the price is known.
    pub cost: Option<f64>,
}

impl Manifest {
    /// How many files a part of leaves.
    pub fn files_count(&self) -> usize {
        // Parts of one file stand together.
        self.files.chunk_by(|a, b| a.path == b.path).count()
    }

    /// Whether who agreed to this has agreed to `other`: the same place and model, nothing private, and
    /// no line beyond these unless this one says that the model may ask for more.
    pub fn covers(&self, other: &Self) -> bool {
        let within = |part: &FilePart| {
            self.files.iter().any(|own| {
                own.path == part.path && own.first <= part.first && part.last <= own.last
            })
        };
        (&self.destination, &self.model) == (&other.destination, &other.model)
            && !other.private
            && other.tools.iter().all(|tool| self.tools.contains(tool))
            && (!self.tools.is_empty() || other.files.iter().all(within))
    }
}

/// How many files a question names.
const NAMED: usize = 3;

impl Manifest {
    /// What a dialog asks: the whole in a few sentences.
    pub fn question(&self) -> String {
        let mut names: Vec<&str> = self.files.iter().map(|part| part.path.as_str()).collect();
        names.dedup();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let mut files = names.join(", ");
        if more > 0 {
            let _ = write!(files, " and {more} more");
        }
        let from = if files.is_empty() { String::new() } else { format!(" with parts of {files}") };
        let private = if self.private { " They are private by your own settings." } else { "" };
        let secrets: usize = self.redactions.values().sum();
        let secrets = match secrets {
            0 => String::new(),
            1 => " 1 secret is replaced by a placeholder.".to_owned(),
            count => format!(" {count} secrets are replaced by placeholders."),
        };
        let cost = self.cost.map(|cost| format!(" At most ${cost:.4}.")).unwrap_or_default();
        let more = if self.tools.is_empty() {
            ""
        } else {
            " It may go on to read other files of this workspace, which are sent as well."
        };
        format!(
            "May {} tokens{from} be sent to {} ({})?{more}{private}{secrets}{cost}",
            self.tokens, self.destination, self.model
        )
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "to {} ({})", self.destination, self.model)?;
        write!(f, "{} tokens, {} bytes", self.tokens, self.bytes)?;
        match self.cost {
            Some(cost) => {
                writeln!(f, ", at most ${cost:.4} with {} tokens out", self.max_output_tokens)?;
            }
            None => writeln!(
                f,
                ", at most {} tokens out; the price is not known",
                self.max_output_tokens
            )?,
        }
        if self.private {
            writeln!(f, "  PRIVATE by your own settings")?;
        }
        for part in &self.files {
            writeln!(f, "  {}:{}-{}", part.path, part.first, part.last)?;
        }
        if !self.tools.is_empty() {
            writeln!(f, "  may go on to read other files here: {}", self.tools.join(", "))?;
        }
        for (kind, count) in &self.redactions {
            writeln!(f, "  replaced: {count} × {kind}")?;
        }
        for withheld in &self.withheld {
            writeln!(f, "  kept here: {withheld}")?;
        }
        Ok(())
    }
}
