//! The kinds of analysis that are built in: what each asks, and what its answer has to have.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// What an analysis is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Architecture,
    Risks,
    DeadCode,
    WhereIs,
    Impact,
    Onboarding,
}

/// A name that is no kind's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind '{0}'; there are architecture, risks, dead-code, where-is, impact and onboarding"
)]
pub struct NoKind(String);

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Architecture,
        Self::Risks,
        Self::DeadCode,
        Self::WhereIs,
        Self::Impact,
        Self::Onboarding,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Architecture => "architecture",
            Self::Risks => "risks",
            Self::DeadCode => "dead-code",
            Self::WhereIs => "where-is",
            Self::Impact => "impact",
            Self::Onboarding => "onboarding",
        }
    }

    /// The heading of its report.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Architecture => "Architecture",
            Self::Risks => "Risks",
            Self::DeadCode => "Dead code",
            Self::WhereIs => "Where is it",
            Self::Impact => "Impact of a change",
            Self::Onboarding => "Onboarding",
        }
    }

    /// What is asked where the user asks nothing; `None` where only the user knows.
    pub(super) const fn question(self) -> Option<&'static str> {
        match self {
            Self::Architecture => Some("How is this codebase built?"),
            Self::Risks => Some("What is likely to go wrong in this codebase?"),
            Self::DeadCode => Some("Which code here is used by nothing?"),
            Self::WhereIs | Self::Impact => None,
            Self::Onboarding => Some("Where does somebody begin who is new to this codebase?"),
        }
    }

    /// What the answer has to have.
    pub(super) const fn task(self) -> &'static str {
        match self {
            Self::Architecture => {
                "Describe the architecture: the parts and what each is for, which part uses which, the \
                 way of a typical request from end to end, and the decisions that hold it together."
            }
            Self::Risks => {
                "Name the risks, the gravest first: what can fail, panic, block, leak or be misused, \
                 and under which condition. Read the code before you call it a risk."
            }
            Self::DeadCode => {
                "Say which of the candidates are dead and which only seem so (called by a framework, \
                 by generated code, by other packages, by name), and why. Read those that are in doubt."
            }
            Self::WhereIs => {
                "Say where it is: the place that decides first, then the places that take part, each \
                 with what it does."
            }
            Self::Impact => {
                "Say what the change touches: the places that have to change with it, those whose \
                 behaviour changes, the tests that cover it, and what nobody would notice."
            }
            Self::Onboarding => {
                "Write a guide for a newcomer: what this is, where it begins to run, which ten places \
                 to read in which order and why, the words one has to know, how it is tested."
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(name: &str) -> Result<Self, NoKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| NoKind(name.to_owned()))
    }
}
