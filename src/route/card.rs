//! What follows from a model's card: how much of it is asked for, and what of it is shown to somebody
//! who did not ask. A task asks this of whoever serves, and never which provider that is.

use super::Serving;
use crate::config::{ProviderSetting, Settings};

impl Serving {
    /// Whether it says one line at a time and judges itself how sure it is of it: a small model with a
    /// card, which gets worse with each token.
    pub fn is_small(&self) -> bool {
        self.model.card.is_some()
    }

    /// Why nothing of this model is shown unasked, if that is so.
    pub fn unasked(&self, settings: &Settings) -> Option<String> {
        let card = self.model.card?;
        let wanted = card.ghost_text
            || card.chosen
            || settings.provider.set() == Some(&ProviderSetting::BuiltIn);
        (!wanted).then(|| {
            format!(
                "{} is not shown as ghost text: by its card it is not good enough. `hearth complete` \
                 asks it, and local.provider = \"built-in\" shows what it is sure of; a model server \
                 with a code model is used as soon as it runs",
                self.model.name
            )
        })
    }

    /// Why a completion is not shown unasked, if the model is not sure enough of it.
    pub fn unsure(&self, confidence: Option<f32>) -> Option<String> {
        let (card, confidence) = (self.model.card?, confidence.unwrap_or_default());
        (confidence < card.show_above).then(|| {
            format!(
                "the model was not sure enough: {confidence:.2}, and what it says is shown from {:.2}",
                card.show_above
            )
        })
    }
}
