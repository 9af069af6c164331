//! What an item does, in a model's words. Nothing is changed and nothing is checked.

use std::ops::Range;

use super::{
    chat::Talk,
    ground::{Ground, Progress},
    question::{self, Question, about},
    refactor::imports,
    source::Source,
};
use crate::{
    model::Stop,
    route::{Attempt, Output, Retries, Work},
    session::Snapshot,
};

const SYSTEM: &str = "You explain source code to a programmer who is about to change it. Be exact and \
    brief: what it is for, how it does it, what it takes for granted, where it fails. Say only what \
    the code shows. Write Markdown without a heading.";

/// Tokens that an explanation may take: about a page.
const OUTPUT: usize = 800;

/// Explains the item at `selection`, in Markdown; else why there is no explanation.
pub async fn explain(
    ground: &Ground,
    snapshot: &Snapshot,
    selection: Range<usize>,
    progress: Progress<'_>,
) -> Result<String, String> {
    let source = Source::of(snapshot).ok_or("there is no grammar for this language")?;
    let target = source.target(selection).ok_or("there is no item here; select inside of one")?;
    let language = source.language.id;
    let imports = imports::declared(source.root(), &source.text, target.range.start);
    let title = format!("the {} `{}`", target.noun(), target.name);
    let holder = target.holder.as_ref();
    let place = holder.map_or(String::new(), |it| format!(", which stands in `{}`", it.head));
    let (path, lines) = question::place(snapshot);
    let question = Question {
        work: Work::Draft,
        form: Output::Text,
        path,
        lines,
        system: SYSTEM,
        about: about(&snapshot.relative_path, language, &imports),
        language,
        others: source.others(&target),
        subject: format!(
            "\nThe item{place}:\n```{language}\n{}\n```\n",
            source.shown(&target.range)
        ),
        instruction: format!("Explain {title}."),
        closing: "Answer with the explanation alone.".to_owned(),
        output: OUTPUT,
    };
    let talk = Talk::open(ground, progress, question).await.map_err(|why| why.to_string())?;
    let said =
        talk.ask(&Attempt::first(Retries::default())).await.map_err(|why| why.to_string())?;
    let cut = if said.stop == Stop::Limit { "\n\n*(cut at its longest)*" } else { "" };
    Ok(format!("# {}\n\n{}{cut}\n", capitalized(&title), said.text.trim()))
}

fn capitalized(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
