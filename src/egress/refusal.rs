//! Why nothing left, or why a piece stayed at home. Each in a sentence for the user.

use serde::Serialize;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this workspace is not trusted, so nothing of it is sent; `hearth trust DIR` trusts it"
    )]
    Untrusted,
    #[error("this task is private, so it stays on this machine")]
    PrivateTask,
    #[error("{path} is private (privacy.private), so the task stays on this machine")]
    PrivatePath { path: String },
    #[error("everything that this task would send has to stay here; the first: {first}")]
    NothingLeft { first: Withheld },
    #[error("sending to {destination} was declined")]
    Declined { destination: String },
    #[error("a cloud's address has to be https, without credentials, and its model needs a name")]
    Destination,
    #[error("this request may go to {permitted}; {asked} is another host")]
    OtherHost { permitted: String, asked: String },
    #[error("the setting {setting} has a pattern that cannot be read: {detail}")]
    Pattern { setting: &'static str, detail: String },
    #[error("the workspace {path} cannot be read: {detail}")]
    Workspace { path: String, detail: String },
    #[error("the request cannot be written down, so it is not sent: {detail}")]
    Record { detail: String },
}

impl Refusal {
    /// A word for the log, without a path or a name in it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::PrivateTask => "private-task",
            Self::PrivatePath { .. } => "private-path",
            Self::NothingLeft { .. } => "nothing-left",
            Self::Declined { .. } => "declined",
            Self::Destination => "destination",
            Self::OtherHost { .. } => "other-host",
            Self::Pattern { .. } => "pattern",
            Self::Workspace { .. } => "workspace",
            Self::Record { .. } => "record",
        }
    }
}

/// Why a piece was left out of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Withheld {
    #[error("{path} looks like a place for secrets")]
    Sensitive { path: String },
    #[error("{path} is excluded (privacy.exclude)")]
    Excluded { path: String },
    #[error("{path} is ignored ({by})")]
    Ignored { path: String, by: &'static str },
    #[error("{path} is outside of the workspace")]
    Outside { path: String },
    #[error("{path} is private (privacy.private)")]
    Private { path: String },
    #[error("{path} cannot be resolved: {detail}")]
    Unresolved { path: String, detail: String },
}
