//! What the client can do, read once from `initialize`.
//!
//! Features ask these flags, never the raw tree and never the client's name.

use tower_lsp::gen_lsp_types::{
    ClientCapabilities, CodeActionTag, PositionEncodingKind, ResourceOperationKind,
};

use super::ext::ASKS_INSTRUCTION;
use crate::session::Encoding;

/// What the client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by its name")]
pub struct ClientCaps {
    /// Agreed for this connection.
    pub encoding: Encoding,
    /// Shows ghost text (`textDocument/inlineCompletion`).
    pub inline_completion: bool,
    /// Answers `workspace/configuration`.
    pub configuration: bool,
    /// Reports changed settings once asked to by `client/registerCapability`.
    pub register_configuration: bool,
    /// Reports changed files once asked to by `client/registerCapability`.
    pub register_watched_files: bool,
    /// Shows progress that the server starts.
    pub work_done_progress: bool,
    /// Takes code actions, not commands alone.
    pub code_action_literals: bool,
    /// Knows the tag for actions that a model is behind.
    pub llm_tag: bool,
    /// Takes edits that the server sends.
    pub apply_edit: bool,
    /// Takes edits that say which version of a document they are for.
    pub document_changes: bool,
    /// Makes files as part of an edit.
    pub creates_files: bool,
    /// Shows annotated edits to the user and asks where they need it.
    pub change_annotations: bool,
    /// Knows that an edit is a refactoring where it is told.
    pub edit_metadata: bool,
    /// Shows code lenses.
    pub code_lens: bool,
    /// Opens a document that the server names.
    pub show_document: bool,
    /// Asks for the text of documents that are no files.
    pub text_document_content: bool,
    /// Asks the user for an instruction where a command needs one (docs/protocol.md).
    pub asks_instruction: bool,
}

impl ClientCaps {
    pub fn of(client: &ClientCapabilities) -> Self {
        let workspace = client.workspace.as_ref();
        let text_document = client.text_document.as_ref();
        let window = client.window.as_ref();
        let code_action = text_document.and_then(|all| all.code_action.as_ref());
        let edit = workspace.and_then(|all| all.workspace_edit.as_ref());
        let offered = client.general.as_ref().and_then(|all| all.position_encodings.as_deref());
        Self {
            encoding: agree(offered.unwrap_or_default()),
            inline_completion: text_document.is_some_and(|all| all.inline_completion.is_some()),
            configuration: workspace.and_then(|all| all.configuration).unwrap_or(false),
            register_configuration: workspace
                .and_then(|all| all.did_change_configuration.as_ref()?.dynamic_registration)
                .unwrap_or(false),
            register_watched_files: workspace
                .and_then(|all| all.did_change_watched_files.as_ref()?.dynamic_registration)
                .unwrap_or(false),
            work_done_progress: window.and_then(|all| all.work_done_progress).unwrap_or(false),
            code_action_literals: code_action
                .is_some_and(|all| all.code_action_literal_support.is_some()),
            llm_tag: code_action
                .and_then(|all| all.tag_support.as_ref())
                .is_some_and(|tags| tags.value_set.contains(&CodeActionTag::LLMGenerated)),
            apply_edit: workspace.and_then(|all| all.apply_edit).unwrap_or(false),
            document_changes: edit.and_then(|all| all.document_changes).unwrap_or(false),
            creates_files: edit.is_some_and(|all| {
                let operations = all.resource_operations.as_deref().unwrap_or_default();
                all.document_changes == Some(true)
                    && operations.contains(&ResourceOperationKind::Create)
            }),
            change_annotations: edit.is_some_and(|all| all.change_annotation_support.is_some()),
            edit_metadata: edit.and_then(|all| all.metadata_support).unwrap_or(false),
            code_lens: text_document.is_some_and(|all| all.code_lens.is_some()),
            show_document: window
                .and_then(|all| all.show_document.as_ref())
                .is_some_and(|all| all.support),
            text_document_content: workspace.is_some_and(|all| all.text_document_content.is_some()),
            asks_instruction: client
                .experimental
                .as_ref()
                .and_then(|all| serde_json::to_value(all).ok())
                .is_some_and(|all| all[ASKS_INSTRUCTION] == true),
        }
    }
}

/// UTF-8 where it is offered, as the text is kept in it; else UTF-16, which every client knows unless
/// it says otherwise.
fn agree(offered: &[PositionEncodingKind]) -> Encoding {
    if offered.contains(&PositionEncodingKind::UTF8) {
        Encoding::Utf8
    } else if offered.contains(&PositionEncodingKind::UTF32)
        && !offered.contains(&PositionEncodingKind::UTF16)
    {
        Encoding::Utf32
    } else {
        Encoding::Utf16
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caps(client: serde_json::Value) -> ClientCaps {
        ClientCaps::of(&serde_json::from_value(client).unwrap())
    }

    #[test]
    fn encodings_are_agreed() {
        let agreed = |offered: &[&str]| {
            caps(json!({ "general": { "positionEncodings": offered } })).encoding
        };
        assert_eq!(agreed(&["utf-16"]), Encoding::Utf16, "VS Code");
        assert_eq!(agreed(&["utf-8", "utf-16", "utf-32"]), Encoding::Utf8, "Neovim");
        assert_eq!(agreed(&["utf-8", "utf-32", "utf-16"]), Encoding::Utf8, "Helix");
        assert_eq!(agreed(&["utf-32"]), Encoding::Utf32);
        assert_eq!(agreed(&["utf-7"]), Encoding::Utf16);
        assert_eq!(caps(json!({})).encoding, Encoding::Utf16);
    }

    #[test]
    fn a_client_that_says_nothing_can_do_nothing() {
        assert_eq!(caps(json!({})), ClientCaps::default());
        assert_eq!(caps(json!({ "workspace": {}, "textDocument": {} })), ClientCaps::default());
    }

    #[test]
    fn an_empty_object_is_a_capability() {
        assert!(caps(json!({ "textDocument": { "inlineCompletion": {} } })).inline_completion);
    }
}
