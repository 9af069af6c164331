//! What a model would be shown at a place, without asking it.

use super::generation;
use crate::{
    config::Settings,
    context::{
        prompt::{self, Built, Plan},
        shelf::{Shelf, Workspace},
        window::View,
    },
    egress::OffLimits,
    index::Index,
    model::{Budget, ModelFacts, TokenCounter, fim::Mode},
    route::Serving,
    session::Snapshot,
    syntax::Extent,
};

/// What a model would be shown.
#[derive(Debug, Clone)]
pub struct Preview {
    /// `None` when not even the cursor's line fits.
    pub built: Option<Built>,
    pub mode: Mode,
    /// Tokens that the prompt may have.
    pub room: usize,
}

/// Builds the prompt for byte `offset` of `snapshot`: for the model that would answer, or for one of
/// the usual family where there is none. Fails with a sentence in a file that is off limits. Reads files.
pub fn preview(
    index: &Index,
    settings: &Settings,
    serving: Option<&Serving>,
    snapshot: &Snapshot,
    offset: usize,
) -> Result<Preview, String> {
    let limits = OffLimits::new(&index.scope().folders(), &settings.privacy_exclude);
    let limits = limits.map_err(|refusal| refusal.to_string())?;
    if let Some(why) = snapshot.path.as_deref().and_then(|path| limits.hide(path)) {
        return Err(why);
    }
    let usual = ModelFacts { name: "qwen2.5-coder".to_owned(), ..ModelFacts::default() };
    let model = serving.map_or(&usual, |serving| &serving.model);
    let plan = Plan::of(model, settings.begun_middle);
    let ceiling = settings.max_local_context_tokens.size();
    let context = serving.and_then(|serving| serving.context(ceiling));
    let output = generation::output(Extent::at(&snapshot.text, offset));
    let budget = Budget::new(ceiling, context, output, TokenCounter::default());
    let shelf = Shelf::default();
    let workspace = Workspace {
        index,
        file: snapshot.path.as_deref(),
        most_tokens: settings.context_max_tokens.size(),
        shelf: &shelf,
    };
    let view = View::of(snapshot, offset);
    let room = budget.left();
    let built = prompt::build(&view, Some(&workspace), plan, &budget);
    Ok(Preview { built, mode: plan.mode, room })
}
