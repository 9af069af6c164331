//! `textDocument/codeLens`: "Generate tests" over what others can call.
//!
//! Ready when listed: nothing is resolved. Only what is public has one; a lens over every function
//! would be in the way.

use futures::FutureExt;
use tower_lsp::gen_lsp_types::{CodeLens, CodeLensParams, Command};

use super::{Hearth, Reply};
use crate::{
    lsp::{
        convert,
        ext::{PlaceArguments, TEST},
    },
    route::Role,
    session::task::OwnedTask,
    task::{Source, refactor::Target, test},
};

pub fn code_lens(hearth: &Hearth, params: CodeLensParams) -> Reply<Vec<CodeLens>> {
    let uri = params.text_document.uri;
    let snapshot = hearth.session.snapshot(uri.as_ref());
    let able = hearth
        .desk()
        .is_some_and(|desk| desk.router().health().serving(Role::HighPrecision).is_ok());
    let encoding = hearth.encoding();
    let listing = OwnedTask::aside(async move {
        let Some(snapshot) = snapshot.filter(|_| able) else { return Vec::new() };
        let lens = |item: Target| {
            let start = item.item.start;
            let range = convert::to_range(&snapshot.text, start..start, encoding);
            let uri = Some(uri.clone());
            let place = PlaceArguments { uri, range: Some(range), ..PlaceArguments::default() };
            let arguments = serde_json::to_value(place).and_then(serde_json::from_value).ok()?;
            let command = Command {
                title: "Generate tests".to_owned(),
                command: TEST.to_owned(),
                arguments: Some(vec![arguments]),
                ..Command::default()
            };
            Some(CodeLens { range, command: Some(command), data: None })
        };
        let source = Source::of(&snapshot);
        let functions = source.map(|source| test::public_functions(&source)).unwrap_or_default();
        functions.into_iter().filter_map(lens).collect()
    });
    async move { Ok(listing.join().await.unwrap_or_default()) }.boxed()
}
