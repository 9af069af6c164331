//! `workspace/applyEdit`: one edit for one version of a document, or for a file that is not open.
//!
//! An editor refuses an edit for a version that it has left behind. The edit is then moved onto the
//! newer one, as long as what it replaces is untouched.

use std::collections::HashMap;

use tower_lsp::gen_lsp_types::{
    AnnotatedTextEdit, ApplyWorkspaceEditParams, ApplyWorkspaceEditRequest, ChangeAnnotation,
    CreateFile, DocumentChange, Edit as TextDocumentEditItem,
    OptionalVersionedTextDocumentIdentifier, TextDocumentEdit, TextDocumentIdentifier, TextEdit,
    Uri, WorkspaceEdit, WorkspaceEditMetadata,
};

use crate::{
    lsp::{ClientCaps, Outbox, convert},
    session::Session,
    task::{Edit, Standing},
};

/// How often an edit follows a user who goes on typing.
const TRIES: usize = 5;

/// The one annotation of an edit that has one.
const UNCHECKED: &str = "hearth";

/// What became of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    Yes,
    /// The user declined it, or the editor could not.
    No(Option<String>),
    /// What it replaces has changed.
    Outdated,
}

/// Has the editor apply `edit`. Waits for the user where the editor asks.
pub(super) async fn apply(
    outbox: &Outbox,
    client: ClientCaps,
    session: &Session,
    edit: &Edit,
) -> Applied {
    let mut edit = edit.clone();
    for _ in 0..TRIES {
        match edit.now(session) {
            Some(now) => edit = now,
            None => return Applied::Outdated,
        }
        if edit.standing == Standing::Missing && !client.creates_files {
            return Applied::No(Some(
                "this editor makes no files for a language server".to_owned(),
            ));
        }
        let answer = outbox.ask_user::<ApplyWorkspaceEditRequest>(params(&edit, client)).await;
        let left_behind =
            || edit.now(session).is_none_or(|now| now.snapshot.version != edit.snapshot.version);
        match answer {
            Ok(answer) if answer.applied => return Applied::Yes,
            // The editor was ahead of us: its change has arrived by now or is about to.
            Ok(_) if left_behind() => {}
            Ok(answer) => return Applied::No(answer.failure_reason),
            Err(error) => return Applied::No(Some(error.to_string())),
        }
    }
    Applied::Outdated
}

fn params(edit: &Edit, client: ClientCaps) -> ApplyWorkspaceEditParams {
    // Neovim stops at every annotated edit: only where confirmation is wanted.
    let confirm = !edit.compiled && client.document_changes && client.change_annotations;
    let text = &edit.snapshot.text;
    let uri = Uri::from(edit.snapshot.uri.to_string());
    let edits = edit.hunks().into_iter().map(|hunk| TextEdit {
        range: convert::to_range(text, hunk.range, client.encoding),
        new_text: hunk.text,
    });
    let annotation = ChangeAnnotation {
        label: format!("Hearth: {}", edit.title),
        needs_confirmation: Some(true),
        description: Some(edit.checks.clone()),
    };
    let edit_of = if client.document_changes {
        let changes = TextDocumentEdit {
            text_document: OptionalVersionedTextDocumentIdentifier {
                version: (edit.standing == Standing::Open).then_some(edit.snapshot.version),
                text_document_identifier: TextDocumentIdentifier { uri: uri.clone() },
            },
            edits: edits.map(|text_edit| annotated(text_edit, confirm)).collect(),
        };
        let made = (edit.standing == Standing::Missing).then_some(CreateFile {
            uri,
            options: None,
            annotation_id: None,
        });
        let made = made.map(DocumentChange::CreateFile);
        let changes = DocumentChange::TextDocumentEdit(changes);
        WorkspaceEdit {
            document_changes: Some(made.into_iter().chain([changes]).collect()),
            change_annotations: confirm
                .then(|| HashMap::from([(UNCHECKED.to_owned(), annotation)])),
            ..WorkspaceEdit::default()
        }
    } else {
        let changes = Some(HashMap::from([(uri, edits.collect())]));
        WorkspaceEdit { changes, ..WorkspaceEdit::default() }
    };
    ApplyWorkspaceEditParams {
        label: Some(format!("Hearth: {}: {}", edit.title, edit.checks)),
        edit: edit_of,
        metadata: client
            .edit_metadata
            .then_some(WorkspaceEditMetadata { is_refactoring: Some(true) }),
    }
}

fn annotated(text_edit: TextEdit, confirm: bool) -> TextDocumentEditItem {
    if confirm {
        let annotation_id = UNCHECKED.to_owned();
        TextDocumentEditItem::AnnotatedTextEdit(AnnotatedTextEdit { annotation_id, text_edit })
    } else {
        TextDocumentEditItem::TextEdit(text_edit)
    }
}
