//! Whether a workspace is trusted. One that is not has no cloud and no processes.

use std::{io, path::Path};

use super::{Decisions, User};

/// Who says whether a workspace is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The editor, which asked the user (VS Code passes its own trust).
    Editor(bool),
    /// The decisions on disk: `hearth trust DIR`, or one question.
    Stored,
}

impl Trust {
    /// What was decided; `None` where nobody has decided. That is no trust.
    pub fn decided(self, decisions: &Decisions, root: &Path) -> io::Result<Option<bool>> {
        match self {
            Self::Editor(trusted) => Ok(Some(trusted)),
            Self::Stored => decisions.trusted(root),
        }
    }

    /// Whether the workspace is trusted. Where nobody has decided, the user is asked, and the answer
    /// is kept.
    pub async fn ask(
        self,
        decisions: &Decisions,
        root: &Path,
        user: &dyn User,
    ) -> io::Result<bool> {
        let decided = decisions.aside(root, move |decisions, root| self.decided(decisions, root));
        if let Some(decided) = decided.await? {
            return Ok(decided);
        }
        let Some(trusted) = user.trusts(root).await else { return Ok(false) };
        let keeping = decisions.aside(root, move |decisions, root| {
            // Another answer may have come meanwhile, from another window.
            if let Some(decided) = self.decided(decisions, root)? {
                return Ok(decided);
            }
            decisions.trust(root, trusted)?;
            Ok(trusted)
        });
        keeping.await
    }
}
