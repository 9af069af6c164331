//! `workspace/executeCommand`: the work behind code actions and lenses.
//!
//! A command is answered when its work is done; cancelling the request, or its progress, stops the
//! work. What came of it is on the screen by then, so the answer itself says nothing.

use futures::{FutureExt, future};
use serde::de::DeserializeOwned;
use serde_json::json;
use tower_lsp::{
    gen_lsp_types::{ExecuteCommandParams, LspAny, MessageType},
    jsonrpc::{self, Error},
};

use super::{Hearth, Reply, analyze, refactor, trust};
use crate::{
    config::Layer,
    lsp::ext::{
        ACCEPTED, ANALYZE, CANCEL, EXPLAIN, INSTALL, PAUSE, PlaceArguments, REFACTOR, RESUME, TEST,
        TRUST,
    },
    route::Role,
};

pub fn execute_command(hearth: &Hearth, params: ExecuteCommandParams) -> Reply<Option<LspAny>> {
    let token = params.work_done_progress_params.work_done_token;
    let first = params.arguments.and_then(|all| all.into_iter().next());
    let started = match params.command.as_str() {
        ACCEPTED => {
            let place = read::<PlaceArguments>(first).ok();
            let uri = place.and_then(|place| place.uri);
            if let Some(document) = uri.and_then(|uri| hearth.session.document(uri.as_ref())) {
                document.owner().accepted();
            }
            return future::ready(Ok(None)).boxed();
        }
        INSTALL => {
            let now = hearth.desk().map(|desk| desk.router().health());
            let why = now.and_then(|it| it.serving(Role::HighPrecision).err().map(str::to_owned));
            let message =
                why.unwrap_or_else(|| "a model that follows instructions is there".to_owned());
            hearth.screen.say(MessageType::Info, message);
            return future::ready(Ok(None)).boxed();
        }
        CANCEL => {
            hearth.running.cancel_all();
            return future::ready(Ok(None)).boxed();
        }
        PAUSE => {
            suggest(hearth, false);
            return future::ready(Ok(None)).boxed();
        }
        RESUME => {
            suggest(hearth, true);
            return future::ready(Ok(None)).boxed();
        }
        TRUST => return trust::trust(hearth),
        REFACTOR => read(first).and_then(|arguments| refactor::change(hearth, arguments, token)),
        TEST => read(first).and_then(|place| refactor::test(hearth, &place, token)),
        EXPLAIN => read(first).and_then(|place| refactor::explain(hearth, &place, token)),
        ANALYZE => read(first).and_then(|arguments| analyze::analyze(hearth, arguments, token)),
        other => Err(Error::invalid_params(format!("unknown command '{other}'"))),
    };
    started.unwrap_or_else(|error| future::ready(Err(error)).boxed())
}

/// A command's one argument.
fn read<A: DeserializeOwned>(argument: Option<LspAny>) -> jsonrpc::Result<A> {
    let json = serde_json::to_value(argument).unwrap_or_default();
    serde_json::from_value(json)
        .map_err(|error| Error::invalid_params(format!("the command's argument: {error}")))
}

/// Switches suggestions, whatever the other layers of the settings say.
fn suggest(hearth: &Hearth, enabled: bool) {
    hearth.settings.set(Layer::Switched, json!({ "completion": { "enabled": enabled } }));
}
