//! The commands that change and explain an item: from the arguments to a job.

use tower_lsp::{
    gen_lsp_types::{LspAny, ProgressToken},
    jsonrpc::{self, Error},
};

use super::{
    Hearth, Reply,
    job::{Job, Work},
    place::Place,
};
use crate::{
    lsp::ext::{ActionName, PlaceArguments, RefactorArguments},
    task::{
        self,
        refactor::{Action, Request},
    },
};

pub(super) fn change(
    hearth: &Hearth,
    arguments: RefactorArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let action = action(&arguments)?;
    let title = action.title().to_owned();
    let Place { document, snapshot, selection, wish } = Place::find(hearth, &arguments.place)?;
    let free_signature = arguments.free_signature;
    let request = Request { document, snapshot, selection, action, free_signature };
    Ok(Job::new(hearth, token, title, Work::Change(request), wish)?.start())
}

pub(super) fn test(
    hearth: &Hearth,
    arguments: &PlaceArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let Place { document, snapshot, selection, wish } = Place::find(hearth, arguments)?;
    let request = task::test::Request { document, snapshot, selection, count: task::test::USUAL };
    let title = "Generate tests".to_owned();
    Ok(Job::new(hearth, token, title, Work::Test(request), wish)?.start())
}

pub(super) fn explain(
    hearth: &Hearth,
    arguments: &PlaceArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let place = Place::find(hearth, arguments)?;
    let wish = place.wish;
    Ok(Job::new(hearth, token, "Explain".to_owned(), Work::Explain(place), wish)?.start())
}

fn action(arguments: &RefactorArguments) -> jsonrpc::Result<Action> {
    let words = || {
        let words = arguments.instruction.as_deref().map(str::trim).unwrap_or_default();
        let missing = || Error::invalid_params("an instruction is missing");
        (!words.is_empty()).then(|| words.to_owned()).ok_or_else(missing)
    };
    Ok(match arguments.action {
        ActionName::Rewrite => Action::Rewrite(words()?),
        ActionName::Fix => Action::Fix(words()?),
        ActionName::Simplify => Action::Simplify,
        ActionName::Extract => Action::Extract,
        ActionName::HandleErrors => Action::HandleErrors,
        ActionName::Document => Action::Document,
    })
}
