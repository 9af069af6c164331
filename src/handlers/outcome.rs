//! What came of a change, on the screen: applied and said in a few words, or shown as a difference with
//! the reason why it was not.

use tower_lsp::gen_lsp_types::MessageType;

use super::{
    apply_edit::{self, Applied},
    job::Job,
    progress::Progress,
    show::fenced,
};
use crate::task::{Edit, Outcome};

impl Job {
    pub(super) async fn show(&self, outcome: Outcome, progress: &Progress) -> String {
        match outcome {
            Outcome::Refused(why) => self.refuse(why),
            Outcome::Fell { why, attempt } => self.leave(&attempt, &why).await,
            Outcome::Held(edit) if !self.client.apply_edit => {
                self.leave(&edit, "this editor takes no edits from a language server").await
            }
            Outcome::Held(edit) => {
                match apply_edit::apply(&self.outbox, self.client, &self.session, &edit).await {
                    Applied::Yes => {
                        let notes = edit.notes.iter().map(|note| format!("\n{note}"));
                        let said =
                            format!("{}: {}{}", edit.title, edit.checks, notes.collect::<String>());
                        if !progress.is_shown() || !edit.notes.is_empty() {
                            self.screen.say(MessageType::Info, &*said);
                        }
                        edit.checks
                    }
                    Applied::Outdated => self.leave(&edit, "the code was changed meanwhile").await,
                    Applied::No(why) => {
                        let why = why.map_or(String::new(), |why| format!(": {why}"));
                        self.screen
                            .say(MessageType::Info, format!("{}: not applied{why}", edit.title));
                        "not applied".to_owned()
                    }
                }
            }
        }
    }

    pub(super) fn refuse(&self, why: String) -> String {
        self.screen.say(MessageType::Warning, format!("{}: {why}", self.title));
        "nothing done".to_owned()
    }

    /// Shows an edit that is not applied.
    async fn leave(&self, edit: &Edit, why: &str) -> String {
        let reason = match why.split_once('\n') {
            None => format!("{}.\n", why.trim_end_matches('.')),
            Some((first, rest)) => format!("{first}\n\n{}", fenced("text", rest)),
        };
        let mut page =
            format!("# {}: not applied\n\n{reason}\n{}", edit.title, fenced("diff", &edit.diff()));
        for (idx, note) in edit.notes.iter().enumerate() {
            page.extend([if idx == 0 { "\n" } else { "" }, "- ", note, "\n"]);
        }
        let first = why.lines().next().unwrap_or_default().trim_end_matches(':');
        self.screen.say(MessageType::Warning, format!("{}: not applied: {first}", edit.title));
        self.screen.show(self.client, page).await;
        "not applied".to_owned()
    }
}
