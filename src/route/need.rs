//! What a task needs of a model, said before anything is built for one.
//!
//! The task names no provider and no tier: it says what kind of work it is, how large, in how many
//! steps, in which form the answer has to come, and why it is private if it is.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Code at the cursor.
    Completion,
    Summarize,
    Classify,
    Extract,
    Draft,
    Refactor,
    TestGeneration,
    ToolSelection,
    Routing,
    CommitMessage,
    /// Questions over a whole codebase.
    LargeCodebaseAnalysis,
    ComplexReasoning,
    NovelAlgorithmDesign,
    /// Whatever has no name here.
    Unknown,
}

impl Work {
    pub const ALL: [Self; 14] = [
        Self::Completion,
        Self::Summarize,
        Self::Classify,
        Self::Extract,
        Self::Draft,
        Self::Refactor,
        Self::TestGeneration,
        Self::ToolSelection,
        Self::Routing,
        Self::CommitMessage,
        Self::LargeCodebaseAnalysis,
        Self::ComplexReasoning,
        Self::NovelAlgorithmDesign,
        Self::Unknown,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Summarize => "summarize",
            Self::Classify => "classify",
            Self::Extract => "extract",
            Self::Draft => "draft",
            Self::Refactor => "refactor",
            Self::TestGeneration => "test_generation",
            Self::ToolSelection => "tool_selection",
            Self::Routing => "routing",
            Self::CommitMessage => "commit_message",
            Self::LargeCodebaseAnalysis => "large_codebase_analysis",
            Self::ComplexReasoning => "complex_reasoning",
            Self::NovelAlgorithmDesign => "novel_algorithm_design",
            Self::Unknown => "unknown",
        }
    }

    /// Whether local models do it so much worse that it is worth a frontier model.
    pub const fn needs_frontier(self) -> bool {
        matches!(
            self,
            Self::LargeCodebaseAnalysis | Self::ComplexReasoning | Self::NovelAlgorithmDesign
        )
    }

    /// Whether nothing is lost when it is done part by part and put together, or when its context is
    /// cut to what fits. Edits and reasoning need all of it at once.
    pub const fn can_be_chunked(self) -> bool {
        match self {
            Self::Completion
            | Self::Summarize
            | Self::Classify
            | Self::Extract
            | Self::CommitMessage
            | Self::LargeCodebaseAnalysis => true,
            Self::Draft
            | Self::Refactor
            | Self::TestGeneration
            | Self::ToolSelection
            | Self::Routing
            | Self::ComplexReasoning
            | Self::NovelAlgorithmDesign
            | Self::Unknown => false,
        }
    }

    /// Whether it may go up when no model nearer answers, consent provided. What somebody waits for
    /// while typing has no time for that, and what nobody named has no right to.
    pub const fn may_go_up(self) -> bool {
        !matches!(self, Self::Completion | Self::Routing | Self::ToolSelection | Self::Unknown)
    }
}

impl FromStr for Work {
    type Err = std::convert::Infallible;

    /// Any name; one that is not known is [`Work::Unknown`].
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.replace('-', "_");
        Ok(Self::ALL.into_iter().find(|work| work.as_str() == name).unwrap_or(Self::Unknown))
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// In which form the answer has to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Words or code as the model likes.
    #[default]
    Text,
    /// JSON after a schema.
    Json,
    /// Edits that have to fit the text to the letter.
    Edits,
}

impl Output {
    pub const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Edits];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Edits => "edits",
        }
    }

    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Json | Self::Edits)
    }
}

/// Why a task is private: nothing of it leaves this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    /// `--private`.
    Asked,
    /// A piece comes from a file that matches `privacy.private`.
    Path(String),
    /// The workspace is not trusted.
    Untrusted,
    /// `privacy.local_only`.
    Setting,
    /// A piece comes from a file that stays here for another reason, which is a sentence.
    Kept(String),
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("it was asked for as private"),
            Self::Path(path) => write!(f, "{path} is private (privacy.private)"),
            Self::Untrusted => f.write_str("the workspace is not trusted (hearth trust DIR)"),
            Self::Setting => f.write_str("every task is private (privacy.local_only)"),
            Self::Kept(why) => f.write_str(why),
        }
    }
}

/// What a task needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    pub work: Work,
    /// Tokens of what it would like to show the model.
    pub context: usize,
    /// Tool calls that it expects to take.
    pub steps: usize,
    pub output: Output,
    /// Why it is private; empty if it is not.
    pub private: Vec<Private>,
    /// The user sends it up for this run (`--cloud`).
    pub sent_up: bool,
}

impl Need {
    /// Of this kind and size: plain text in one step, and nobody's secret.
    pub const fn new(work: Work, context: usize) -> Self {
        Self { work, context, steps: 0, output: Output::Text, private: Vec::new(), sent_up: false }
    }
}
