//! Whether code of a workspace may be compiled and run. Trust is [`WorkspaceTrust`]'s; whether tests
//! are run is asked once a workspace.
//!
//! Nothing in the workspace can answer. What was answered holds for this connection; the setting
//! holds for longer. A question that is dismissed, or that the client cannot ask, allows nothing.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::Mutex;

use super::{EditorUser, WorkspaceTrust};
use crate::{
    check::{Answer, Rights, Trust},
    config::{RunTests, Settings},
};

const RUN: &str = "Run tests";
const COMPILE: &str = "Only compile";

/// Whether tests may be run, as the user answered, by workspace folder.
#[derive(Debug, Clone, Default)]
pub(super) struct TestRuns(Arc<Mutex<HashMap<PathBuf, bool>>>);

impl TestRuns {
    /// What a check may do in the workspace folder `root`; asks what is not decided yet.
    pub(super) async fn rights(
        &self,
        root: &Path,
        settings: &Settings,
        trust: &WorkspaceTrust,
        user: &EditorUser,
    ) -> Rights {
        // Where nothing is compiled, there is nothing to be trusted with.
        if settings.check_compile && !trust.of(root).await {
            return Rights::of(Trust::Untrusted, settings, Answer::NotAsked);
        }
        let asks = settings.check_compile && settings.check_run_tests == RunTests::Ask;
        let answer = match asks {
            true if self.may_run(root, user).await => Answer::Yes,
            true => Answer::No,
            false => Answer::NotAsked,
        };
        Rights::of(Trust::Trusted, settings, answer)
    }

    async fn may_run(&self, root: &Path, user: &EditorUser) -> bool {
        // Held while the user is asked: nobody is asked the same thing twice.
        let mut all = self.0.lock().await;
        if let Some(answer) = all.get(root) {
            return *answer;
        }
        let question = format!(
            "Hearth: may the tests of {}, and tests that a model wrote for it, be run? They run in a \
             copy of the folder, without network where this system can forbid it.",
            root.display()
        );
        let Some(chosen) = user.ask(question, &[RUN, COMPILE]).await else { return false };
        let answer = chosen == RUN;
        all.insert(root.to_owned(), answer);
        answer
    }
}
