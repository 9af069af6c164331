//! `workspace/executeCommand`.

use futures::{FutureExt, future};
use tower_lsp::{
    gen_lsp_types::{ExecuteCommandParams, LspAny},
    jsonrpc::Error,
};

use super::{Hearth, Reply};
use crate::lsp::ext::ACCEPTED;

pub fn execute_command(_hearth: &Hearth, params: ExecuteCommandParams) -> Reply<Option<LspAny>> {
    let result = if params.command == ACCEPTED {
        tracing::debug!("a suggestion was accepted");
        Ok(None)
    } else {
        Err(Error::invalid_params(format!("unknown command '{}'", params.command)))
    };
    future::ready(result).boxed()
}
