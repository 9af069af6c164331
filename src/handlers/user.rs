//! The user behind the editor: dialogs for the questions of [`egress`](crate::egress).

use std::{collections::HashMap, path::Path};

use futures::{FutureExt, future::BoxFuture};
use tower_lsp::gen_lsp_types::{
    LogMessageNotification, LogMessageParams, MessageActionItem, MessageType, ShowMessageRequest,
    ShowMessageRequestParams,
};

use crate::{
    egress::{Consent, Manifest, User},
    lsp::Outbox,
};

const TRUST: &str = "Trust this folder";
const DISTRUST: &str = "Don't trust it";
const ONCE: &str = "Send it once";
const WORKSPACE: &str = "Always from this workspace";
const NEVER: &str = "Never from this workspace";
const NOT_NOW: &str = "Not now";

/// Asks by dialogs, one at a time. A dialog that is closed is an answer to nothing.
#[derive(Debug)]
pub struct EditorUser {
    outbox: Outbox,
    /// Held while a dialog is open.
    attention: tokio::sync::Mutex<()>,
}

impl EditorUser {
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox, attention: tokio::sync::Mutex::default() }
    }

    /// The title of the button that was chosen.
    pub(super) async fn ask(&self, message: String, titles: &[&str]) -> Option<String> {
        let item = |title: &&str| MessageActionItem {
            title: (*title).to_owned(),
            properties: HashMap::new(),
        };
        let params = ShowMessageRequestParams {
            kind: MessageType::Warning,
            message,
            actions: Some(titles.iter().map(item).collect()),
        };
        let _attention = self.attention.lock().await;
        match self.outbox.ask_user::<ShowMessageRequest>(params).await {
            Ok(answer) => answer.map(|chosen| chosen.title),
            Err(error) => {
                tracing::warn!(%error, "the user cannot be asked");
                None
            }
        }
    }
}

impl User for EditorUser {
    fn trusts<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<bool>> {
        let question = format!(
            "Hearth: do you trust {}? If so, code of it may be compiled and run when you ask for \
             that, and parts of it may be sent to a cloud that you have set up, each time or once \
             and for all with your consent.",
            root.display()
        );
        async move {
            let answer = self.ask(question, &[TRUST, DISTRUST]).await?;
            Some(answer == TRUST)
        }
        .boxed()
    }

    fn consents<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Option<Consent>> {
        // All of it stands in the editor's log of this server; a dialog has room for a sentence.
        self.outbox.notify::<LogMessageNotification>(LogMessageParams {
            kind: MessageType::Info,
            message: format!("Hearth would like to send\n{manifest}"),
        });
        let question = format!("Hearth: {}", manifest.question());
        let titles: &[&str] =
            if manifest.private { &[ONCE, NOT_NOW] } else { &[ONCE, WORKSPACE, NEVER] };
        async move {
            match self.ask(question, titles).await?.as_str() {
                ONCE => Some(Consent::Once),
                WORKSPACE => Some(Consent::Workspace),
                NEVER => Some(Consent::Never),
                _ => None,
            }
        }
        .boxed()
    }
}
