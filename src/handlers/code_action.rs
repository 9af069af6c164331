//! `textDocument/codeAction`: what can be done with the item at the cursor.
//!
//! Listing asks no model and waits for nothing: every action is a command that does its work when it
//! is chosen. Nothing is left to resolve, as Helix blocks on that.

use std::sync::Arc;

use futures::FutureExt;
use tower_lsp::gen_lsp_types::{
    CodeActionKind, CodeActionParams, CodeActionResponse, CodeActionTriggerKind,
};

use super::{
    Hearth, Reply,
    menu::Menu,
    offer::{EXTRACT, Offer, QUICK_FIX, REWRITE, SOURCE, install},
};
use crate::{
    config::Settings,
    lsp::convert,
    route::Role,
    session::task::OwnedTask,
    task::{self, Source},
};

/// The kinds of actions that there are.
pub(super) fn kinds() -> Vec<CodeActionKind> {
    [REWRITE, EXTRACT, QUICK_FIX, SOURCE].map(|kind| CodeActionKind::from(kind.to_owned())).to_vec()
}

pub fn code_action(hearth: &Hearth, params: CodeActionParams) -> Reply<Vec<CodeActionResponse>> {
    let uri = params.text_document.uri;
    let snapshot = hearth.session.snapshot(uri.as_ref());
    let (client, settings, desk) = (hearth.client(), hearth.settings.get(), hearth.desk());
    let unable = desk.as_ref().and_then(|desk| {
        let now = desk.router().health();
        now.serving(Role::HighPrecision).err().map(str::to_owned)
    });
    let (range, context) = (params.range, params.context);
    let listing = OwnedTask::aside(async move {
        let Some(snapshot) = snapshot else { return Vec::new() };
        let selection = convert::to_offset(&snapshot.text, range.start, client.encoding)
            ..convert::to_offset(&snapshot.text, range.end, client.encoding);
        if let Some(desk) = desk {
            // Editors ask wherever the cursor comes to rest.
            task::view(&desk, Arc::clone(&settings), snapshot.clone(), selection.start);
        }
        let Some(source) = Source::of(&snapshot) else { return Vec::new() };
        let Some(target) = source.target(selection.clone()) else { return Vec::new() };
        let menu =
            Menu { uri, range, snapshot: &snapshot, selection, source: &source, target: &target };
        let here = menu.list(&settings, client, &context.diagnostics);
        let up: Vec<Offer> = match cloud(&settings) {
            Some(cloud) => here.iter().map(|offer| offer.sent_up(&cloud)).collect(),
            None => Vec::new(),
        };
        let mut all = match unable {
            None => here,
            // Nobody asked: nobody is told.
            Some(_) if context.trigger_kind == Some(CodeActionTriggerKind::Automatic) => Vec::new(),
            Some(_) => vec![install()],
        };
        all.extend(up);
        if let Some(only) = &context.only {
            all.retain(|offer| only.iter().any(|only| falls_under(offer.kind, only)));
        }
        all.into_iter().map(|offer| offer.shown(client)).collect()
    });
    async move { Ok(listing.join().await.unwrap_or_default()) }.boxed()
}

/// The user's name for the cloud that a task would be sent up to; `None` where nothing may go up.
fn cloud(settings: &Settings) -> Option<String> {
    let clouds = if settings.local_only { Vec::new() } else { settings.clouds.resolve() };
    clouds.into_iter().find_map(Result::ok).map(|cloud| cloud.name)
}

/// Whether `kind` is `only` or one of its kinds.
fn falls_under(kind: &str, only: &CodeActionKind) -> bool {
    let only = String::from(only.clone());
    only.is_empty()
        || kind.strip_prefix(&only).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
