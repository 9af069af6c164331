//! Whether the folders of the editor are trusted.
//!
//! Said by an editor that asks its user itself (`workspaceTrust` of `initializationOptions`, and
//! `hearth/didChangeTrust`), else by what is kept on this machine, else by one question. Nothing in a
//! folder can say it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future};
use serde_json::{Value as Json, json};
use tower_lsp::{gen_lsp_types::LspAny, jsonrpc::Error};

use super::{EditorUser, Hearth, Reply};
use crate::{
    egress::{Decisions, Trust, User as _},
    lsp::ext::DidChangeTrustParams,
};

/// Where in `initializationOptions` an editor says it.
const OPTION: &str = "workspaceTrust";

/// Who is asked about trust, and what the editor said.
#[derive(Debug, Clone)]
pub struct WorkspaceTrust {
    editor: Arc<Mutex<Option<bool>>>,
    /// `None` where nothing can be kept: then nothing but the editor's word trusts anything.
    state: Option<Arc<Path>>,
    user: Arc<EditorUser>,
}

impl WorkspaceTrust {
    pub fn new(state: Option<PathBuf>, user: Arc<EditorUser>) -> Self {
        Self { editor: Arc::default(), state: state.map(Into::into), user }
    }

    /// Takes the editor's word out of its start options. What is not `true` is no trust.
    pub(super) fn take_option(&self, options: &mut Json) {
        if let Some(said) = options.as_object_mut().and_then(|options| options.remove(OPTION)) {
            self.said_by_editor(said == Json::Bool(true));
        }
    }

    fn said_by_editor(&self, trusted: bool) {
        tracing::info!(trusted, "the editor says whether its workspace is trusted");
        *self.editor.lock().unwrap_or_else(PoisonError::into_inner) = Some(trusted);
    }

    /// Who says it, for a [`Border`](crate::egress::Border).
    pub fn source(&self) -> Trust {
        let said = *self.editor.lock().unwrap_or_else(PoisonError::into_inner);
        said.map_or(Trust::Stored, Trust::Editor)
    }

    /// Where decisions and the audit log are kept.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Who is asked.
    pub(super) fn user(&self) -> Arc<EditorUser> {
        Arc::clone(&self.user)
    }

    /// Whether a folder is trusted; asks where nobody has decided. What cannot be read is no trust.
    pub async fn of(&self, root: &Path) -> bool {
        let Some(state) = &self.state else { return self.source() == Trust::Editor(true) };
        let asked = self.source().ask(&Decisions::new(state), root, &*self.user).await;
        asked.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether the folder is trusted cannot be read");
            false
        })
    }

    /// Asks about a folder whatever was decided before, and keeps the answer.
    async fn ask_again(&self, root: &Path) -> Result<Option<bool>, Error> {
        if let Trust::Editor(_) = self.source() {
            return Err(Error::invalid_params("this editor decides itself what is trusted"));
        }
        let decisions = self.state.as_deref().map(Decisions::new);
        let decisions =
            decisions.ok_or_else(|| Error::invalid_params("there is no home folder"))?;
        let Some(trusted) = self.user.trusts(root).await else { return Ok(None) };
        let keeping = decisions.aside(root, move |decisions, root| decisions.trust(root, trusted));
        keeping.await.map_err(|error| Error::invalid_params(error.to_string()))?;
        Ok(Some(trusted))
    }
}

pub fn did_change_trust(hearth: &Hearth, params: DidChangeTrustParams) {
    hearth.trust.said_by_editor(params.trusted);
}

/// The command `hearth.trust`: answers with the folders that are trusted then.
pub(super) fn trust(hearth: &Hearth) -> Reply<Option<LspAny>> {
    let (trust, roots) = (hearth.trust.clone(), hearth.session.roots());
    if roots.is_empty() {
        return future::ready(Err(Error::invalid_params("no folder is open"))).boxed();
    }
    async move {
        let mut trusted = Vec::new();
        for root in roots {
            if trust.ask_again(&root).await? == Some(true) {
                trusted.push(root.to_string_lossy().into_owned());
            }
        }
        let answer = serde_json::from_value(json!({ "trusted": trusted }));
        answer.map(Some).map_err(|_| Error::internal_error())
    }
    .boxed()
}
