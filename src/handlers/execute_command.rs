//! `workspace/executeCommand`.

use futures::{FutureExt, future};
use tower_lsp::{
    gen_lsp_types::{ExecuteCommandParams, LspAny},
    jsonrpc::Error,
};

use super::{Hearth, Reply, trust};
use crate::lsp::ext::{ACCEPTED, TRUST};

pub fn execute_command(hearth: &Hearth, params: ExecuteCommandParams) -> Reply<Option<LspAny>> {
    let result = match params.command.as_str() {
        ACCEPTED => {
            tracing::debug!("a suggestion was accepted");
            Ok(None)
        }
        TRUST => return trust::trust(hearth),
        unknown => Err(Error::invalid_params(format!("unknown command '{unknown}'"))),
    };
    future::ready(result).boxed()
}
