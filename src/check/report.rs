//! What a check found: a rung after the other, with the words that go back to a model.

use std::{fmt, time::Duration};

use super::Refusal;

/// A check, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// There is a text, whole, and nothing else.
    WellFormed,
    /// The file has no more syntax errors than before.
    Parses,
    /// What had to stay of the item is there ([`super::Keeps`]).
    Keeps,
    /// The formatter takes the file.
    Formats,
    /// The compiler has no new error.
    Compiles,
    /// The tests of this module that passed still pass.
    TestsPass,
}

impl Rung {
    /// Every rung, the first first.
    pub const ALL: [Self; 6] = [
        Self::WellFormed,
        Self::Parses,
        Self::Keeps,
        Self::Formats,
        Self::Compiles,
        Self::TestsPass,
    ];

    /// The rung as a label says it: "compiled".
    pub const fn label(self) -> &'static str {
        match self {
            Self::WellFormed => "well-formed",
            Self::Parses => "parsed",
            Self::Keeps => "signature kept",
            Self::Formats => "formatted",
            Self::Compiles => "compiled",
            Self::TestsPass => "tests passed",
        }
    }
}

/// What is wrong with a text, fit to be fed back to the model that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// At most [`Failure::LONGEST`] bytes and a line that says how much was left out. From a tool,
    /// the tool's own rendering; paths relative to the workspace. It quotes source text: not for logs.
    pub message: String,
}

impl Failure {
    /// Bytes of a message: some 1,000 tokens, a few of rustc's errors as rendered.
    pub const LONGEST: usize = 4 << 10;

    /// A failure in one sentence, or in a tool's output, cut between lines where it is too long.
    pub fn new(message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        message.truncate(message.trim_end().len());
        if message.len() > Self::LONGEST {
            let most = message.floor_char_boundary(Self::LONGEST);
            let cut = message[..most].rfind('\n').unwrap_or(most);
            let left_out = message[cut..].lines().filter(|line| !line.is_empty()).count();
            message.truncate(cut);
            message.extend(["\n[", &left_out.to_string(), " more lines]"]);
        }
        Self { message }
    }
}

/// Why a rung was not tried, in words for a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    #[error("a check before it failed")]
    NotReached,
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("no grammar for this language")]
    NoGrammar,
    #[error("no {0} on this machine")]
    NoTool(&'static str),
    /// The tool could not do its work, whatever the text: no manifest, a dependency that is not there.
    #[error("{0}")]
    ToolFailed(String),
    /// The compiler looks at nothing behind an error; none of these is new.
    #[error("{errors} errors that were there before may hide others")]
    Masked { errors: usize },
    #[error("no target of the package contains this file")]
    NotCompiled,
    /// It stands under a condition (`cfg`) that does not hold here.
    #[error("the package as it is built here leaves this code out")]
    LeftOut,
    #[error("this module has no tests")]
    NoTests,
    #[error("the workspace is larger than a check may copy")]
    TooLarge,
}

/// How a rung ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Held,
    Failed(Failure),
    Skipped(Skip),
}

/// A rung and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub rung: Rung,
    pub verdict: Verdict,
    pub took: Duration,
}

/// What was kept from the code that was compiled or run. All `false` where nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Isolation {
    /// No network but a loopback of its own.
    pub network: bool,
    /// Nothing on disk can be written but the overlay.
    pub writes: bool,
    /// The home folder cannot be read, but for the toolchain.
    pub home: bool,
}

impl Isolation {
    const WHOLE: Self = Self { network: true, writes: true, home: true };
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open: Vec<&str> = [
            (self.network, "use the network"),
            (self.writes, "write outside of its copy"),
            (self.home, "read the home folder"),
        ]
        .iter()
        .filter_map(|(kept, words)| (!kept).then_some(*words))
        .collect();
        match open.as_slice() {
            [] => f.write_str("run without network, confined to its copy"),
            open => write!(f, "what ran could {}", open.join(", ")),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each of [`Rung::ALL`], in that order.
    pub outcomes: Vec<Outcome>,
    /// What has checked it in place of a compiler: `node --check`.
    pub checked_by: Option<&'static str>,
    /// The replacement, formatted where the formatter took it.
    pub replacement: String,
    /// What was kept from what ran; `None` when nothing ran.
    pub isolation: Option<Isolation>,
}

impl Report {
    /// The first failure.
    pub fn failure(&self) -> Option<(Rung, &Failure)> {
        self.outcomes.iter().find_map(|outcome| match &outcome.verdict {
            Verdict::Failed(failure) => Some((outcome.rung, failure)),
            Verdict::Held | Verdict::Skipped(_) => None,
        })
    }

    /// Whether this rung was tried and held.
    pub fn held(&self, rung: Rung) -> bool {
        self.outcomes.iter().any(|outcome| outcome.rung == rung && outcome.verdict == Verdict::Held)
    }

    /// Why this rung was not tried.
    pub fn skipped(&self, rung: Rung) -> Option<&Skip> {
        self.outcomes.iter().find_map(|outcome| match &outcome.verdict {
            Verdict::Skipped(skip) if outcome.rung == rung => Some(skip),
            _ => None,
        })
    }
}

/// The label a user sees: "parsed, formatted, compiled; tests not run (`check.run_tests` is
/// \"never\")", or "parsed only (…)". What the system could not keep from what ran is named.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((rung, _)) = self.failure() {
            return write!(f, "did not hold: not {}", rung.label());
        }
        let held: Vec<String> = [Rung::Parses, Rung::Formats, Rung::Compiles, Rung::TestsPass]
            .into_iter()
            .filter(|rung| self.held(*rung))
            .map(|rung| match self.checked_by {
                Some(tool) if rung == Rung::Compiles => format!("checked by `{tool}`"),
                _ => rung.label().to_owned(),
            })
            .collect();
        match held.as_slice() {
            [] => f.write_str("not checked")?,
            [parsed] if parsed == "parsed" => f.write_str("parsed only")?,
            held => f.write_str(&held.join(", "))?,
        }
        let because = |rung| self.skipped(rung).filter(|skip| **skip != Skip::NotReached);
        if let Some(skip) = because(Rung::Compiles) {
            write!(f, "; not compiled ({skip})")?;
        } else if let Some(skip) = because(Rung::TestsPass) {
            write!(f, "; tests not run ({skip})")?;
        }
        match self.isolation {
            Some(isolation) if isolation != Isolation::WHOLE => write!(f, "; {isolation}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: [Verdict; 6]) -> Report {
        let outcomes = Rung::ALL
            .into_iter()
            .zip(verdicts)
            .map(|(rung, verdict)| Outcome { rung, verdict, took: Duration::ZERO })
            .collect();
        Report { outcomes, checked_by: None, replacement: String::new(), isolation: None }
    }

    #[test]
    fn labels_say_what_was_not_done() {
        use Verdict::{Held, Skipped};
        let no_tool = Skipped(Skip::NoTool("tsc"));
        let all = [Held, Held, Held, Held, Held, Held];
        assert_eq!(report(all.clone()).to_string(), "parsed, formatted, compiled, tests passed");
        let not_reached = || Skipped(Skip::NotReached);
        assert_eq!(
            report([Held, Held, Held, Held, no_tool.clone(), not_reached()]).to_string(),
            "parsed, formatted; not compiled (no tsc on this machine)"
        );
        assert_eq!(
            report([Held, Held, Held, no_tool.clone(), no_tool, not_reached()]).to_string(),
            "parsed only; not compiled (no tsc on this machine)"
        );
        let by_tool = Report { checked_by: Some("go vet"), ..report(all.clone()) };
        assert_eq!(by_tool.to_string(), "parsed, formatted, checked by `go vet`, tests passed");
        let open = Isolation { network: false, writes: true, home: false };
        assert_eq!(
            Report { isolation: Some(open), ..report(all.clone()) }.to_string(),
            "parsed, formatted, compiled, tests passed; what ran could use the network, read the \
             home folder"
        );
        let kept = Report { isolation: Some(Isolation::WHOLE), ..report(all.clone()) };
        assert_eq!(kept.to_string(), report(all).to_string());
        let failed = Verdict::Failed(Failure::new("no"));
        let report = report([Held, Held, Held, Held, failed, not_reached()]);
        assert_eq!(report.to_string(), "did not hold: not compiled");
    }

    #[test]
    fn a_long_message_is_cut_between_lines_and_says_so() {
        let failure = Failure::new("ä".repeat(100) + "\n" + &"line\n".repeat(2_000));
        assert!(failure.message.len() < Failure::LONGEST + 30);
        let shown = failure.message.lines().filter(|line| *line == "line").count();
        assert!(failure.message.ends_with(&format!("\nline\n[{} more lines]", 2_000 - shown)));
        assert_eq!(Failure::new("short\n").message, "short");
    }
}
