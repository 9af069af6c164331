//! `textDocument/codeAction`: what can be done with the item at the cursor.
//!
//! Listing asks no model and waits for nothing: every action is a command that does its work when it
//! is chosen. Nothing is left to resolve, as Helix blocks on that.

use std::{ops::Range as Bytes, sync::Arc};

use futures::FutureExt;
use serde::Serialize;
use serde_json::Value as Json;
use tower_lsp::gen_lsp_types::{
    CodeAction, CodeActionKind, CodeActionParams, CodeActionResponse, CodeActionTag,
    CodeActionTriggerKind, Command, Diagnostic, LspAny, Message, Range, Uri,
};

use super::{Hearth, Reply};
use crate::{
    config::Settings,
    lsp::{
        ClientCaps, convert,
        ext::{ActionName, EXPLAIN, INSTALL, PlaceArguments, REFACTOR, RefactorArguments, TEST},
    },
    route::Role,
    session::{Snapshot, task::OwnedTask},
    task::{self, Source, refactor::Target, test::Subject},
};

const REWRITE: &str = "refactor.rewrite.hearth";
const EXTRACT: &str = "refactor.extract.hearth";
const QUICK_FIX: &str = "quickfix.hearth";
const SOURCE: &str = "source.hearth";

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

/// An action before it is put into the client's terms.
struct Offer {
    kind: &'static str,
    title: String,
    command: &'static str,
    arguments: Option<LspAny>,
    fixes: Option<Diagnostic>,
}

impl Offer {
    fn new(
        kind: &'static str,
        title: impl Into<String>,
        command: &'static str,
        arguments: &impl Serialize,
    ) -> Self {
        let arguments = serde_json::to_value(arguments).and_then(serde_json::from_value).ok();
        Self { kind, title: title.into(), command, arguments, fixes: None }
    }

    /// The same, sent up by the user to the cloud of this name.
    fn sent_up(&self, cloud: &str) -> Self {
        let title = format!("{} (send this one up to {cloud})", self.title);
        let mut arguments = serde_json::to_value(&self.arguments).unwrap_or_default();
        arguments["cloud"] = Json::Bool(true);
        let offer = Self::new(self.kind, title, self.command, &arguments);
        Self { fixes: self.fixes.clone(), ..offer }
    }

    fn shown(self, client: ClientCaps) -> CodeActionResponse {
        let title = format!("Hearth: {}", self.title);
        let command = Command {
            title: title.clone(),
            command: self.command.to_owned(),
            arguments: self.arguments.map(|arguments| vec![arguments]),
            ..Command::default()
        };
        if !client.code_action_literals {
            return CodeActionResponse::Command(command);
        }
        CodeActionResponse::CodeAction(CodeAction {
            title,
            kind: Some(CodeActionKind::from(self.kind.to_owned())),
            diagnostics: self.fixes.map(|diagnostic| vec![diagnostic]),
            command: Some(command),
            tags: (client.llm_tag && self.command != INSTALL)
                .then(|| vec![CodeActionTag::LLMGenerated]),
            ..CodeAction::default()
        })
    }
}

fn install() -> Offer {
    let title = "install a model that follows instructions";
    Offer { kind: REWRITE, title: title.to_owned(), command: INSTALL, arguments: None, fixes: None }
}

/// The place that actions are listed for.
struct Menu<'a> {
    uri: Uri,
    range: Range,
    snapshot: &'a Snapshot,
    selection: Bytes<usize>,
    source: &'a Source,
    target: &'a Target,
}

impl Menu<'_> {
    fn list(
        &self,
        settings: &Settings,
        client: ClientCaps,
        diagnostics: &[Diagnostic],
    ) -> Vec<Offer> {
        let what = format!("the {} `{}`", self.target.noun(), self.target.name);
        let mut all: Vec<Offer> =
            diagnostics.iter().filter_map(|diagnostic| self.fix(diagnostic, client)).collect();
        let text = self.snapshot.text.get_byte_slice(self.selection.clone());
        let selected = text.is_some_and(|text| !text.chars().all(char::is_whitespace));
        if selected && self.target.can_have_siblings() {
            let title = "extract the selection into a function";
            all.push(self.change(EXTRACT, title, ActionName::Extract, None));
        }
        if client.asks_instruction {
            let title = format!("rewrite {what} …");
            all.push(self.change(REWRITE, title, ActionName::Rewrite, None));
        }
        for (title, action) in [
            (format!("simplify {what}"), ActionName::Simplify),
            (format!("add error handling to {what}"), ActionName::HandleErrors),
            (format!("document {what}"), ActionName::Document),
        ] {
            all.push(self.change(REWRITE, title, action, None));
        }
        for prompt in &settings.refactor_prompts {
            let instruction = Some(prompt.instruction.clone());
            all.push(self.change(REWRITE, &*prompt.title, ActionName::Rewrite, instruction));
        }
        let place = self.place();
        all.push(Offer::new(SOURCE, format!("explain {what}"), EXPLAIN, &place));
        if Subject::of(self.source, self.target).is_some() {
            all.push(Offer::new(SOURCE, format!("generate tests for {what}"), TEST, &place));
        }
        all
    }

    fn fix(&self, diagnostic: &Diagnostic, client: ClientCaps) -> Option<Offer> {
        let start =
            convert::to_offset(&self.snapshot.text, diagnostic.range.start, client.encoding);
        if !self.target.range.contains(&start) {
            return None;
        }
        let message = match &diagnostic.message {
            Message::String(text) => text.clone(),
            Message::MarkupContent(content) => content.value.clone(),
        };
        let line = self.snapshot.text.line(self.snapshot.text.byte_to_line(start)).to_string();
        let said = format!("{message}\nat: {}", line.trim());
        let first: String = message.lines().next().unwrap_or_default().chars().take(60).collect();
        let place = PlaceArguments { range: Some(diagnostic.range), ..self.place() };
        let arguments = RefactorArguments {
            place,
            action: ActionName::Fix,
            instruction: Some(said),
            free_signature: false,
        };
        let offer = Offer::new(QUICK_FIX, format!("fix \"{first}\""), REFACTOR, &arguments);
        Some(Offer { fixes: Some(diagnostic.clone()), ..offer })
    }

    fn change(
        &self,
        kind: &'static str,
        title: impl Into<String>,
        action: ActionName,
        instruction: Option<String>,
    ) -> Offer {
        let place = self.place();
        let arguments = RefactorArguments { place, action, instruction, free_signature: false };
        Offer::new(kind, title, REFACTOR, &arguments)
    }

    fn place(&self) -> PlaceArguments {
        let uri = Some(self.uri.clone());
        PlaceArguments { uri, range: Some(self.range), ..PlaceArguments::default() }
    }
}
