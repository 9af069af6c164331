//! `workspace/executeCommand`.

use futures::{FutureExt, future};
use serde_json::json;
use tower_lsp::{
    gen_lsp_types::{ExecuteCommandParams, LspAny},
    jsonrpc::Error,
};

use super::{Hearth, Reply};
use crate::{
    config::Layer,
    lsp::ext::{ACCEPTED, PAUSE, RESUME},
};

pub fn execute_command(hearth: &Hearth, params: ExecuteCommandParams) -> Reply<Option<LspAny>> {
    let result = match params.command.as_str() {
        ACCEPTED => {
            tracing::debug!("a suggestion was accepted");
            Ok(None)
        }
        PAUSE => {
            suggest(hearth, false);
            Ok(None)
        }
        RESUME => {
            suggest(hearth, true);
            Ok(None)
        }
        other => Err(Error::invalid_params(format!("unknown command '{other}'"))),
    };
    future::ready(result).boxed()
}

/// Switches suggestions, whatever the other layers of the settings say.
fn suggest(hearth: &Hearth, enabled: bool) {
    hearth.settings.set(Layer::Switched, json!({ "completion": { "enabled": enabled } }));
}
