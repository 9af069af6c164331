//! What can be done with one item: the list that a user chooses from.

use std::ops::Range as Bytes;

use tower_lsp::gen_lsp_types::{Diagnostic, Message, Range, Uri};

use super::offer::{EXTRACT, Offer, QUICK_FIX, REWRITE, SOURCE};
use crate::{
    config::Settings,
    lsp::{
        ClientCaps, convert,
        ext::{ActionName, EXPLAIN, PlaceArguments, REFACTOR, RefactorArguments, TEST},
    },
    session::Snapshot,
    task::{Source, refactor::Target, test::Subject},
};

/// The place that actions are listed for.
pub(super) struct Menu<'a> {
    pub(super) uri: Uri,
    pub(super) range: Range,
    pub(super) snapshot: &'a Snapshot,
    pub(super) selection: Bytes<usize>,
    pub(super) source: &'a Source,
    pub(super) target: &'a Target,
}

impl Menu<'_> {
    pub(super) fn list(
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
        Some(offer.fixing(diagnostic))
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
