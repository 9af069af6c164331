//! What an item does, in a model's words. Nothing is changed and nothing is checked.

use std::ops::Range;

use super::{
    chat::{Said, Talk, Unasked},
    ground::{Ground, Progress, Stage},
    question::{self, Question, about},
    refactor::{
        imports,
        target::{self, Target},
    },
    source::Source,
};
use crate::{
    model::Stop,
    route::{Attempt, Output, Retries, Work as Kind},
    session::Snapshot,
};

const SYSTEM: &str = "You explain source code to a programmer who is about to change it. Be exact and \
    brief: what it is for, how it does it, what it takes for granted, where it fails. Say only what \
    the code shows. Write Markdown without a heading.";

/// Tokens that an explanation may take: about a page.
const OUTPUT: usize = 800;

/// Tokens for one of the parts that are put together: a few sentences.
const PART: usize = 200;

/// Explains the item at `selection`, in Markdown; else why there is no explanation. What is too large
/// to be read at once is explained part by part and put together.
pub async fn explain(
    ground: &Ground,
    snapshot: &Snapshot,
    selection: Range<usize>,
    progress: Progress<'_>,
) -> Result<String, String> {
    let source = Source::of(snapshot).ok_or("there is no grammar for this language")?;
    let target = source.target(selection).ok_or("there is no item here; select inside of one")?;
    let work = Work { ground, snapshot, source: &source, progress };
    let title = title(&target);
    let (text, note) = match work.whole(&target, OUTPUT).await {
        Ok(Said { text, stop: Stop::Limit }) => (text, "cut at its longest"),
        Ok(Said { text, .. }) => (text, ""),
        Err(no_room @ Unasked::NoRoom { .. }) => match work.parts(&target).await {
            Ok(Some(text)) => (text, "it is too large to be read at once: explained part by part"),
            Ok(None) => return Err(format!("{title} is too large: {no_room}")),
            Err(why) => return Err(why.to_string()),
        },
        Err(why) => return Err(why.to_string()),
    };
    let note = if note.is_empty() { String::new() } else { format!("\n\n*({note})*") };
    Ok(format!("# {}\n\n{}{note}\n", capitalized(&title), text.trim()))
}

struct Work<'a> {
    ground: &'a Ground,
    snapshot: &'a Snapshot,
    source: &'a Source,
    progress: Progress<'a>,
}

impl Work<'_> {
    async fn whole(&self, target: &Target, output: usize) -> Result<Said, Unasked> {
        let place = target.holder.as_ref();
        let place = place.map_or(String::new(), |it| format!(", which stands in `{}`", it.head));
        let (language, shown) = (self.source.language.id, self.source.shown(&target.range));
        let subject = format!("\nThe item{place}:\n```{language}\n{shown}\n```\n");
        self.ask(target, subject, format!("Explain {}.", title(target)), output).await
    }

    /// Explains the items in `target` one after the other, then what they come to. `Ok(None)` where
    /// there are none, or one of them is too large as well.
    async fn parts(&self, target: &Target) -> Result<Option<String>, Unasked> {
        let Source { text, language, .. } = self.source;
        let parts = target::children(self.source.root(), text, language, target);
        let mut explained = Vec::new();
        for (idx, part) in parts.iter().enumerate() {
            let (n, of, name) = (idx + 1, parts.len(), part.name.clone());
            (self.progress)(Stage::Part { n, of, name });
            match self.whole(part, PART).await {
                Ok(said) => explained.push(format!("- `{}`: {}\n", part.name, said.text.trim())),
                Err(Unasked::NoRoom { .. }) => return Ok(None),
                Err(why) => return Err(why),
            }
        }
        if explained.is_empty() {
            return Ok(None);
        }
        let subject = format!("\nWhat is in it, explained one by one:\n{}", explained.concat());
        let instruction = format!("From that, explain {} as a whole.", title(target));
        match self.ask(target, subject, instruction, OUTPUT).await {
            Ok(said) => Ok(Some(said.text)),
            Err(Unasked::NoRoom { .. }) => Ok(Some(explained.concat())),
            Err(why) => Err(why),
        }
    }

    async fn ask(
        &self,
        target: &Target,
        subject: String,
        instruction: String,
        output: usize,
    ) -> Result<Said, Unasked> {
        let (source, language) = (self.source, self.source.language.id);
        let imports = imports::declared(source.root(), &source.text, target.range.start);
        let (path, lines) = question::place(self.snapshot);
        let question = Question {
            // Nothing is lost when it is done in parts.
            work: Kind::Summarize,
            form: Output::Text,
            path,
            lines,
            also: Vec::new(),
            system: SYSTEM,
            about: about(&self.snapshot.relative_path, language, &imports),
            language,
            others: source.others(target),
            subject,
            instruction,
            closing: "Answer with the explanation alone.".to_owned(),
            output,
        };
        let talk = Talk::open(self.ground, self.progress, question).await?;
        talk.ask(&Attempt::first(Retries::default())).await
    }
}

fn title(target: &Target) -> String {
    format!("the {} `{}`", target.noun(), target.name)
}

fn capitalized(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
