//! Whether code of a workspace may be compiled and run: the user is asked once a workspace.
//!
//! Nothing in the workspace can answer. What was answered holds for this connection; settings of the
//! user's own hold for longer. A question that is dismissed, or that the client cannot ask, allows
//! nothing.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::Mutex;
use tower_lsp::gen_lsp_types::{
    MessageActionItem, MessageType, ShowMessageRequest, ShowMessageRequestParams,
};

use crate::{
    check::{Answer, Rights, Trust},
    config::{RunTests, Settings},
    lsp::Outbox,
};

/// What was answered, by workspace folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Consent(Arc<Mutex<HashMap<PathBuf, Allowed>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Nothing,
    Compiling,
    All,
}

impl Consent {
    /// What a check may do in the workspace folder `root`; asks what is not decided yet.
    pub(super) async fn rights(&self, root: &Path, settings: &Settings, outbox: &Outbox) -> Rights {
        let (trust, run) = (settings.check_trust, settings.check_run_tests);
        let given = match trust {
            RunTests::Always => Some(Trust::Trusted),
            RunTests::Never => Some(Trust::Untrusted),
            RunTests::Ask if !settings.check_compile => Some(Trust::Untrusted),
            RunTests::Ask => None,
        };
        if given == Some(Trust::Untrusted) || (given.is_some() && run != RunTests::Ask) {
            return Rights::of(given.unwrap_or(Trust::Untrusted), settings, Answer::NotAsked);
        }
        // Held while the user is asked: nobody is asked the same thing twice.
        let mut all = self.0.lock().await;
        let allowed = match all.get(root) {
            Some(allowed) => *allowed,
            None => {
                let asked = ask(outbox, root, given.is_none(), run).await;
                if let Some(allowed) = asked {
                    all.insert(root.to_owned(), allowed);
                }
                asked.unwrap_or(Allowed::Nothing)
            }
        };
        let trust = given.unwrap_or(match allowed {
            Allowed::Nothing => Trust::Untrusted,
            Allowed::Compiling | Allowed::All => Trust::Trusted,
        });
        let answer = if allowed == Allowed::All { Answer::Yes } else { Answer::No };
        Rights::of(trust, settings, answer)
    }
}

const ALL: &str = "Compile and run tests";
const COMPILE: &str = "Compile only";
const NO: &str = "No";

/// `None` when the user has not answered.
async fn ask(outbox: &Outbox, root: &Path, compiling: bool, run: RunTests) -> Option<Allowed> {
    let root = root.display();
    let (message, titles) = if compiling {
        let message = format!(
            "Hearth checks what a model wrote before you get it, in a copy of {root}. Compiling it \
             runs the build scripts and macros of this folder. Do you trust it?"
        );
        let titles = match run {
            RunTests::Ask => vec![ALL, COMPILE, NO],
            RunTests::Always => vec![ALL, NO],
            RunTests::Never => vec![COMPILE, NO],
        };
        (message, titles)
    } else {
        let message = format!(
            "May Hearth run the tests of {root}, and tests that a model wrote for it, in a copy of \
             the folder?"
        );
        (message, vec![ALL, COMPILE])
    };
    let item =
        |title: &str| MessageActionItem { title: title.to_owned(), properties: HashMap::new() };
    let params = ShowMessageRequestParams {
        kind: MessageType::Info,
        message,
        actions: Some(titles.into_iter().map(item).collect()),
    };
    let chosen = match outbox.ask_user::<ShowMessageRequest>(params).await {
        Ok(chosen) => chosen?,
        Err(error) => {
            tracing::warn!(%error, "the user cannot be asked");
            return None;
        }
    };
    match &*chosen.title {
        ALL => Some(Allowed::All),
        COMPILE => Some(Allowed::Compiling),
        NO => Some(Allowed::Nothing),
        _ => None,
    }
}
