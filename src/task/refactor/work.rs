//! One item at a time: ask, read, check, and ask again with what was wrong.

use std::sync::{Mutex, PoisonError};

use super::{
    Action, Request, Target,
    answer::{self, Answer, Wanted},
    imports, target,
};
use crate::{
    check::{Keeps, Rung},
    model::TokenCounter,
    route::{Attempt, GaveUp, Mistake, Output, Retries, Setback, Witness, Work as Kind, retry},
    task::{
        chat::{Said, Talk, Unasked},
        edit::{Change, Edit},
        ground::{Ground, Progress, Stage, told, witness},
        question::{self, Question, about},
        source::{Source, indent_at, unix},
    },
};

/// What every model is told first.
const SYSTEM: &str = "You edit source code. You get one item of a file and an instruction. Answer \
    with the whole new text of that item in one fenced code block and nothing else: no explanation, \
    no other items, nothing left out. Keep everything that the instruction does not speak of: names, \
    signatures, attributes, comments, style. If the item needs new imports, put their lines in front \
    of it in the same block.";

/// Why an item was not changed.
pub(super) enum Stopped {
    /// It does not fit into the model's context, and what does.
    Large(String),
    Fell {
        why: String,
        attempt: Option<Box<Edit>>,
    },
    Failed(String),
}

pub(super) struct Work<'a> {
    pub(super) ground: &'a Ground,
    pub(super) request: &'a Request,
    pub(super) progress: Progress<'a>,
}

impl Work<'_> {
    /// Changes one item of `source`. `imported` are whole `use` declarations that earlier changes of
    /// the same file need.
    pub(super) async fn item(
        &self,
        source: &Source,
        target: &Target,
        imported: &[String],
    ) -> Result<Edit, Stopped> {
        let question = self.question(source, target);
        let talk = Talk::open(self.ground, self.progress, question).await;
        let talk = talk.map_err(|unasked| Stopped::Failed(unasked.to_string()))?;
        let best = Mutex::new(None::<(Rung, Edit)>);
        let retries = self.ground.retries();
        let ask = async |attempt: Attempt| {
            let said = talk.ask(&attempt).await.map_err(Setback::Final)?;
            Ok::<_, Setback<Unasked>>((attempt.number, said))
        };
        let check = async |(number, said): (usize, Said)| {
            let mistake = |why, witness| {
                Setback::Mistake(Mistake { answer: said.text.clone(), why, witness })
            };
            let edit = self.read(source, target, &said, imported).map_err(|why| {
                self.again(number, retries, Rung::WellFormed);
                mistake(why, Witness::Hearth)
            })?;
            let report = self.ground.climb(&edit, self.progress).await;
            let edit = edit.checked(&report);
            let Some((rung, failure)) = report.failure() else { return Ok(edit) };
            let mut best = best.lock().unwrap_or_else(PoisonError::into_inner);
            if best.as_ref().is_none_or(|(before, _)| rung >= *before) {
                *best = Some((rung, edit));
            }
            self.again(number, retries, rung);
            Err(mistake(told(rung, failure), witness(rung)))
        };
        match retry(retries, ask, check).await {
            Ok(edit) => Ok(edit),
            Err(GaveUp::Failed(unasked @ Unasked::NoRoom { .. })) => {
                Err(Stopped::Large(unasked.to_string()))
            }
            Err(GaveUp::Failed(unasked)) => Err(Stopped::Failed(unasked.to_string())),
            Err(wrong @ GaveUp::Wrong { .. }) => {
                let best = best.into_inner().unwrap_or_else(PoisonError::into_inner);
                let attempt = best.map(|(_, edit)| Box::new(edit));
                Err(Stopped::Fell { why: wrong.to_string(), attempt })
            }
        }
    }

    /// Changes the items in `target` one after the other. `Ok(None)` when there are none, or one of
    /// them is too large as well.
    pub(super) async fn parts(
        &self,
        source: &Source,
        target: &Target,
    ) -> Result<Option<Edit>, String> {
        let selected = |part: &Target| {
            let selection = &self.request.selection;
            selection.is_empty()
                || (part.range.start < selection.end && selection.start < part.range.end)
        };
        let children = target::children(source.root(), &source.text, source.language, target);
        let parts: Vec<Target> =
            children.into_iter().filter(|part| part.is_function() && selected(part)).collect();
        let (mut imports, mut notes) = (Vec::new(), Vec::new());
        let (mut checks, mut compiled) = (String::new(), true);
        // A change moves what stands behind it: the last is made first, so that the others stay.
        let mut item = source.text[target.range.clone()].to_owned();
        for (idx, part) in parts.iter().enumerate().rev() {
            let (n, of, name) = (parts.len() - idx, parts.len(), part.name.clone());
            (self.progress)(Stage::Part { n, of, name });
            let mut text = source.text.clone();
            text.replace_range(target.range.clone(), &item);
            let Some(now) = Source::with_text(source.language, text) else { return Ok(None) };
            match self.item(&now, part, &imports).await {
                Ok(edit) => {
                    let at = part.range.start - target.range.start;
                    item.replace_range(at..at + part.range.len(), &edit.proposal.replacement);
                    imports = edit.imports;
                    checks = edit.checks;
                    compiled &= edit.compiled;
                }
                Err(Stopped::Large(_)) => return Ok(None),
                Err(Stopped::Failed(why)) => return Err(why),
                Err(Stopped::Fell { why, .. }) => {
                    notes.push(format!("`{}` stays as it is: {why}", part.name));
                }
            }
        }
        if item == source.text[target.range.clone()] {
            return if parts.is_empty() { Ok(None) } else { Err(notes.join("\n")) };
        }
        let keeps = self.request.action.keeps(target, self.request.free_signature);
        let edit = self.edit(source, target, item, imports, keeps);
        Ok(Some(Edit { checks, compiled, notes, ..edit }))
    }

    fn again(&self, number: usize, retries: Retries, rung: Rung) {
        if number <= retries.max {
            (self.progress)(Stage::Again { n: number + 1, of: retries.max + 1, rung });
        }
    }

    /// Takes the item out of an answer and puts it into the file.
    fn read(
        &self,
        source: &Source,
        target: &Target,
        said: &Said,
        imported: &[String],
    ) -> Result<Edit, String> {
        let text = &source.text;
        let before = unix(&text[target.range.clone()]);
        let indent = indent_at(text, target.item.start);
        let siblings: Vec<String> = target::all(source.root(), text, source.language)
            .into_iter()
            .filter(|other| other.holder == target.holder)
            .map(|other| other.name)
            .collect();
        let wanted = Wanted {
            target,
            lead: &unix(&text[target.range.start..target.item.start]),
            indent,
            language: source.language,
            beside: self.request.action == Action::Extract,
            siblings: &siblings,
        };
        let Answer { mut item, mut imports, beside } = answer::read(&said.text, said.stop, &wanted)
            .map_err(|malformed| malformed.to_string())?;
        for (_, new) in beside {
            item.push_str("\n\n");
            item.push_str(indent);
            item.push_str(&new);
        }
        if item == before {
            return Err("Your answer is the item as it was. Change it as asked.".to_owned());
        }
        imports.extend_from_slice(imported);
        let keeps = self.request.action.keeps(target, self.request.free_signature);
        let item = if source.newline() == "\n" { item } else { item.replace('\n', "\r\n") };
        Ok(self.edit(source, target, item, imports, keeps))
    }

    fn edit(
        &self,
        source: &Source,
        target: &Target,
        replacement: String,
        imports: Vec<String>,
        keeps: Keeps,
    ) -> Edit {
        let snapshot = crate::session::Snapshot {
            text: source.text.as_str().into(),
            ..self.request.snapshot.clone()
        };
        let lead = String::new();
        let change = Change { range: target.range.clone(), replacement, lead, imports };
        let title = format!("{} `{}`", self.request.action.title(), target.name);
        Edit::new(&self.ground.session, &snapshot, title, change, keeps)
    }

    fn question(&self, source: &Source, target: &Target) -> Question {
        let item = source.text[target.range.clone()].trim();
        let selection = &self.request.selection;
        let selected = (selection.start >= target.range.start && selection.end <= target.range.end)
            .then(|| source.text.get(selection.clone()).map(str::trim))
            .flatten()
            .filter(|text| !text.is_empty() && *text != item)
            .map(unix);
        let language = source.language.id;
        let imports = imports::declared(source.root(), &source.text, target.range.start);
        let holder = target.holder.as_ref();
        let place = holder.map_or(String::new(), |it| format!(", which stands in `{}`", it.head));
        let shown = source.shown(&target.range);
        let (path, lines) = question::place(&self.request.snapshot);
        Question {
            work: Kind::Refactor,
            form: Output::Edits,
            path,
            lines,
            also: Vec::new(),
            system: SYSTEM,
            about: about(&self.request.snapshot.relative_path, language, &imports),
            language,
            others: source.others(target),
            // The item with half as much again, and a few sentences.
            output: TokenCounter::default().count(&shown) * 3 / 2 + 400,
            subject: format!("\nThe item{place}:\n```{language}\n{shown}\n```\n"),
            instruction: self.request.action.instruction(target, selected.as_deref()),
            closing: format!(
                "Answer with the whole new item in one ```{language} block and nothing else."
            ),
        }
    }
}
