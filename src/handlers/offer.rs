//! A code action before it is put into the client's terms.

use serde::Serialize;
use serde_json::Value as Json;
use tower_lsp::gen_lsp_types::{
    CodeAction, CodeActionKind, CodeActionResponse, CodeActionTag, Command, Diagnostic, LspAny,
};

use crate::lsp::{ClientCaps, ext::INSTALL};

pub(super) const REWRITE: &str = "refactor.rewrite.hearth";
pub(super) const EXTRACT: &str = "refactor.extract.hearth";
pub(super) const QUICK_FIX: &str = "quickfix.hearth";
pub(super) const SOURCE: &str = "source.hearth";

/// An action before it is put into the client's terms.
pub(super) struct Offer {
    pub(super) kind: &'static str,
    title: String,
    command: &'static str,
    arguments: Option<LspAny>,
    fixes: Option<Diagnostic>,
}

impl Offer {
    pub(super) fn new(
        kind: &'static str,
        title: impl Into<String>,
        command: &'static str,
        arguments: &impl Serialize,
    ) -> Self {
        let arguments = serde_json::to_value(arguments).and_then(serde_json::from_value).ok();
        Self { kind, title: title.into(), command, arguments, fixes: None }
    }

    /// The same, offered as the fix of a diagnostic.
    pub(super) fn fixing(self, diagnostic: &Diagnostic) -> Self {
        Self { fixes: Some(diagnostic.clone()), ..self }
    }

    /// The same, sent up by the user to the cloud of this name.
    pub(super) fn sent_up(&self, cloud: &str) -> Self {
        let title = format!("{} (send this one up to {cloud})", self.title);
        let mut arguments = serde_json::to_value(&self.arguments).unwrap_or_default();
        arguments["cloud"] = Json::Bool(true);
        let offer = Self::new(self.kind, title, self.command, &arguments);
        Self { fixes: self.fixes.clone(), ..offer }
    }

    pub(super) fn shown(self, client: ClientCaps) -> CodeActionResponse {
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

pub(super) fn install() -> Offer {
    let title = "install a model that follows instructions";
    Offer { kind: REWRITE, title: title.to_owned(), command: INSTALL, arguments: None, fixes: None }
}
