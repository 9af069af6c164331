//! A question to a model that follows instructions, before it is known how much room there is.
//!
//! What changes least stands first, so that a second try finds most of it evaluated. What is asked
//! about is never cut; of what is there for orientation, whole pieces go when room is short.

use super::{
    Desk,
    chat::{self, Said, Unasked},
};
use crate::{
    config::Settings,
    model::{Budget, Prompt, Segment, budget::Overflow},
    route::{Attempt, Mistake, Serving, Setback},
};

/// What a prompt is made of.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) system: &'static str,
    /// The file and what it imports.
    pub(super) about: String,
    /// What the language is called in a fence.
    pub(super) language: &'static str,
    /// Skeletons of the file's other items, the most needed first; each ends in `\n`.
    pub(super) others: Vec<String>,
    /// What it is about.
    pub(super) subject: String,
    pub(super) instruction: String,
    /// What the answer must look like.
    pub(super) closing: String,
    /// Tokens that the answer may take.
    pub(super) output: usize,
}

/// What the question is asked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) desk: &'a Desk,
    pub(super) settings: &'a Settings,
    pub(super) serving: &'a Serving,
}

impl Question {
    /// Asks, with what the last answer got wrong. `heard` is shown all that was said so far.
    pub(super) async fn ask(
        &self,
        by: Asked<'_>,
        attempt: &Attempt,
        heard: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Said, Setback<Unasked>> {
        let build = |budget: Budget| {
            let mistake = attempt.mistake.as_ref();
            let sealed = self.seal(&budget, mistake);
            match (sealed, mistake) {
                // A wrong answer that leaves no room for another is not repeated to the model.
                (Err(_), Some(Mistake { why, .. })) => {
                    let short = Mistake { answer: String::new(), why: why.clone() };
                    self.seal(&budget, Some(&short))
                }
                (sealed, _) => sealed,
            }
        };
        chat::ask(by, attempt.temperature, self.output, build, heard).await
    }

    /// Builds the prompt, with as many skeletons as there is room for. An error when not even the
    /// subject fits.
    fn seal(&self, budget: &Budget, mistake: Option<&Mistake>) -> Result<Prompt, Overflow> {
        let mut shown = self.others.len();
        loop {
            match budget.clone().seal_chat(self.system, self.segments(shown, mistake)) {
                Ok(prompt) => return Ok(prompt),
                Err(overflow) if shown == 0 => return Err(overflow),
                Err(_) => shown = shown * 3 / 4,
            }
        }
    }

    fn segments(&self, shown: usize, mistake: Option<&Mistake>) -> Vec<Segment> {
        let Self { about, language, others, subject, instruction, closing, .. } = self;
        let mut texts = vec![about.clone()];
        if shown > 0 {
            let skeletons = others.iter().take(shown).map(String::as_str).collect::<String>();
            texts.push(format!(
                "\nOther items of the file, without bodies; they stay as they are:\n\
                 ```{language}\n{skeletons}```\n"
            ));
        }
        texts.extend([subject.clone(), format!("\n{instruction}\n")]);
        if let Some(Mistake { answer, why }) = mistake {
            let answered = match answer.trim() {
                "" => "\nYou have answered before.".to_owned(),
                answer => format!("\nYou answered before:\n\n{answer}\n"),
            };
            texts.push(format!(
                "{answered}\nThat was wrong:\n{why}\n\nAnswer again, with this put right.\n"
            ));
        }
        texts.push(format!("\n{closing}"));
        texts.into_iter().map(Segment::text).collect()
    }
}

/// The path of a file and what the module imports, as every question begins.
pub(super) fn about(path: &str, language: &str, imports: &[String]) -> String {
    let mut about = format!("File: {path}\n");
    if !imports.is_empty() {
        about += &format!("\nIt imports:\n```{language}\n{}\n```\n", imports.join("\n"));
    }
    about
}
