//! What can be asked of an item: the instruction that a model gets, and what of the item must stay.

use super::target::Target;
use crate::check::Keeps;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// In the user's words.
    Rewrite(String),
    Simplify,
    /// The selected lines become a function of their own.
    Extract,
    HandleErrors,
    Document,
    /// What a tool says is wrong, with its message.
    Fix(String),
}

impl Action {
    /// What is done, in front of the item's name.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Rewrite(_) => "Rewrite",
            Self::Simplify => "Simplify",
            Self::Extract => "Extract a function from",
            Self::HandleErrors => "Add error handling to",
            Self::Document => "Document",
            Self::Fix(_) => "Fix",
        }
    }

    /// What the model is told to do with `target`. `selected` is the selected text.
    pub(super) fn instruction(&self, target: &Target, selected: Option<&str>) -> String {
        let (noun, name) = (target.noun(), &target.name);
        let about =
            selected.map(|text| format!("\nIt is about these lines of it:\n```\n{text}\n```"));
        let about = about.unwrap_or_default();
        match self {
            Self::Rewrite(words) => format!("Rewrite the {noun} `{name}`: {words}{about}"),
            Self::Simplify => format!(
                "Simplify the {noun} `{name}`: shorter and clearer, doing exactly the same.{about}"
            ),
            Self::Extract => format!(
                "Extract these lines of the {noun} `{name}` into a new function with a telling name, \
                 and call it there:\n```\n{}\n```\nAnswer with `{name}` and, behind it in the same \
                 block, the new function{}.",
                selected.unwrap_or_default(),
                match &target.holder {
                    Some(holder) if holder.kind != "mod_item" =>
                        format!(", which will stand in `{}` beside it", holder.head),
                    _ => String::new(),
                }
            ),
            Self::HandleErrors => format!(
                "Add error handling to the {noun} `{name}`: nothing in it may panic on bad input or \
                 swallow an error that its signature can report. Keep its signature.{about}"
            ),
            Self::Document => format!(
                "Write the documentation comments of the {noun} `{name}`: what it does, what it takes \
                 and returns, how it fails, as far as the code says. Change no code."
            ),
            Self::Fix(message) => {
                format!("Fix this in the {noun} `{name}`:\n```\n{message}\n```{about}")
            }
        }
    }

    /// What of `target` must survive. What a type consists of is what a user may want to change; how
    /// a function is called is not, unless asked for.
    pub(super) fn keeps(&self, target: &Target, free_signature: bool) -> Keeps {
        let calls = target.is_function() || target.is_holder();
        match self {
            Self::Extract => Keeps::SignatureAmongOthers,
            _ if free_signature => Keeps::Name,
            Self::Rewrite(_) | Self::Fix(_) if !calls => Keeps::Name,
            _ => Keeps::Signature,
        }
    }
}
