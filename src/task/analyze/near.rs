//! Asks a model of this machine or of the private network: all of the map at once where it has the
//! room, else in parts (map), every one of them, whose notes are put together (reduce). That may take
//! hours on a slow machine: it says how far it is, and whoever waits can end it.
//!
//! Such models are told of the tools in words and ask for one at a time by an answer in JSON, which
//! every server that chats can give: nothing has to be known of the model's own notation for calls.

use std::{
    collections::VecDeque,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value as Json, json};

use super::{
    Stage, Study,
    passage::Passage,
    reads::{Read, Reader, ToolName},
    survey::Survey,
};
use crate::{
    model::{Budget, Prompt, Segment, Stop, TokenCounter, budget::Overflow},
    route::{Attempt, Failure, GaveUp, Manner, Retries, Schema, Serving, retry},
    task::{
        chat::{self, Said, Unasked},
        send::Sending,
    },
};

/// Tokens that the answer may take.
const OUTPUT: usize = 1_200;

/// Tokens that the notes on one part may take.
const NOTES: usize = 400;

/// Tokens for the question and what is said around it.
const FRAME: usize = 700;

/// Times that notes are put together before what does not fit is cut.
const MOST_ROUNDS: usize = 4;

static STEP: LazyLock<Json> = LazyLock::new(|| {
    let mut tools: Vec<&str> = ToolName::ALL.iter().map(|tool| tool.as_str()).collect();
    tools.push("answer");
    json!({
        "type": "object",
        "properties": { "tool": { "enum": tools }, "argument": { "type": "string" } },
        "required": ["tool", "argument"],
        "additionalProperties": false,
    })
});

/// An answer, and how it was come to.
pub(super) struct Answered {
    pub(super) text: String,
    pub(super) cut: bool,
    pub(super) steps: usize,
    pub(super) read_tokens: usize,
    /// 1 where all was shown at once.
    pub(super) parts: usize,
    /// Items on the parts of the map that were shown.
    pub(super) items: usize,
    pub(super) map_tokens: usize,
}

/// A text that is shown whole or not at all, and how many items of the map are on it.
#[derive(Clone)]
struct Bit {
    text: String,
    items: usize,
}

impl From<Passage> for Bit {
    fn from(passage: Passage) -> Self {
        Self { text: passage.text, items: passage.items }
    }
}

/// One model, and the room that it has.
pub(super) struct Near<'a> {
    pub(super) study: &'a Study<'a>,
    pub(super) serving: &'a Serving,
    pub(super) reader: &'a Reader,
}

impl Near<'_> {
    /// Tokens that it is given, question and answer included.
    pub(super) fn window(study: &Study<'_>, serving: &Serving) -> usize {
        let ceiling = study.place.settings.max_local_context_tokens.size();
        serving.context(ceiling).map_or(ceiling, |context| context.min(ceiling))
    }

    fn output(&self, most: usize) -> usize {
        most.min(Self::window(self.study, self.serving) / 5)
    }

    /// Tokens of what it can be shown beside an answer of so many.
    fn room(&self, output: usize) -> usize {
        let window = Self::window(self.study, self.serving);
        window.saturating_sub(output + FRAME.min(window / 4))
    }

    fn counter(&self) -> &TokenCounter {
        &self.reader.counter
    }

    /// Answers from the survey.
    pub(super) async fn answer(
        &self,
        survey: Survey,
        manner: Manner,
    ) -> Result<Answered, Failure<String>> {
        let count = |text: &str| self.counter().count(text);
        let output = self.output(OUTPUT);
        let room = self.room(output);
        let sheets = survey.map.sheets.into_iter().flat_map(|sheet| sheet.split(room / 2, &count));
        let map: Vec<Bit> = sheets.map(|sheet| Passage::of_sheet(&sheet).into()).collect();
        let map_tokens: usize = map.iter().map(|bit| count(&bit.text)).sum();
        // A part of the room is for what is read on.
        let at_once = manner == Manner::Whole && map_tokens <= room * 2 / 3;
        let (mut material, parts, items) = if at_once {
            (map, 1, 0)
        } else {
            let (notes, items) = self.notes(map).await?;
            let parts = notes.len();
            (self.condensed(notes, room / 2).await?, parts, items)
        };
        let mut left = room.saturating_sub(material.iter().map(|bit| count(&bit.text)).sum());
        for passage in survey.facts.into_iter().chain(survey.parts) {
            let cost = count(&passage.text);
            // Half of what is left is for what the model asks for.
            if cost <= left / 2 {
                left -= cost;
                material.push(Bit { items: 0, ..passage.into() });
            }
        }
        let (steps, read_tokens) = self.read_on(&mut material, left).await?;
        let closing = format!("{}\nCite `path:line` for every claim.", self.asked());
        let (said, shown) = self.ask(&material, &closing, output).await?;
        let items = items + material.iter().take(shown).map(|bit| bit.items).sum::<usize>();
        let cut = said.stop == Stop::Limit;
        Ok(Answered { text: said.text, cut, steps, read_tokens, parts, items, map_tokens })
    }

    fn asked(&self) -> String {
        let subject = &self.study.subject;
        let task = subject.kind.map(|kind| format!("\n{}", kind.task())).unwrap_or_default();
        format!("\nThe question: {}{task}\n", subject.question)
    }

    /// Notes on each part of the map that bear on the question, and the items on those parts. What
    /// turns out to have no room in a part is in the next one.
    async fn notes(&self, map: Vec<Bit>) -> Result<(Vec<Bit>, usize), Failure<String>> {
        let output = self.output(NOTES);
        let room = self.room(output);
        let closing = format!(
            "{}\nThis is one part of the codebase's map; the others are read apart from it. Do not \
             answer yet: note in a list what of this part bears on the question, each with its \
             `path:line`. If nothing does, say: nothing.",
            self.asked()
        );
        let (mut notes, mut items) = (Vec::new(), 0);
        let mut rest: VecDeque<Bit> = map.into();
        while !rest.is_empty() {
            let n = notes.len() + 1;
            let parts = self.parts(rest.iter().cloned(), room);
            (self.study.progress)(Stage::Part { n, of: n - 1 + parts.len() });
            let part = parts.into_iter().next().unwrap_or_default();
            let (said, shown) = self.ask(&part, &closing, output).await?;
            items += part.iter().take(shown).map(|bit| bit.items).sum::<usize>();
            // One that has no room by itself has none later.
            rest.drain(..shown.clamp(1, rest.len()));
            notes.push(Bit { text: format!("{}\n", said.text.trim()), items: 0 });
        }
        Ok((notes, items))
    }

    /// As many bits in each part as have room in it.
    fn parts(&self, bits: impl IntoIterator<Item = Bit>, room: usize) -> Vec<Vec<Bit>> {
        let (mut parts, mut used): (Vec<Vec<Bit>>, usize) = (vec![Vec::new()], 0);
        for bit in bits {
            let cost = self.counter().count(&bit.text);
            if used + cost > room && parts.last().is_some_and(|part| !part.is_empty()) {
                parts.push(Vec::new());
                used = 0;
            }
            used += cost;
            if let Some(part) = parts.last_mut() {
                part.push(bit);
            }
        }
        parts
    }

    /// Notes that have room together.
    async fn condensed(
        &self,
        mut notes: Vec<Bit>,
        room: usize,
    ) -> Result<Vec<Bit>, Failure<String>> {
        // "nothing" says nothing.
        notes.retain(|note| note.text.trim().len() > "nothing.".len());
        for _ in 0..MOST_ROUNDS {
            let tokens: usize = notes.iter().map(|note| self.counter().count(&note.text)).sum();
            if tokens <= room {
                break;
            }
            (self.study.progress)(Stage::Combining);
            let output = self.output(OUTPUT);
            let closing = format!(
                "{}\nThese are notes on parts of the codebase. Do not answer yet: put them together, \
                 keep what bears on the question most, and keep each `path:line`.",
                self.asked()
            );
            let mut fewer = Vec::new();
            for group in self.parts(notes, self.room(output)) {
                let (said, _) = self.ask(&group, &closing, output).await?;
                fewer.push(Bit { text: format!("{}\n", said.text.trim()), items: 0 });
            }
            notes = fewer;
        }
        Ok(notes)
    }

    /// Lets the model read on, a step at a time; says in how many steps, and how many tokens.
    async fn read_on(
        &self,
        material: &mut Vec<Bit>,
        mut left: usize,
    ) -> Result<(usize, usize), Failure<String>> {
        let Ok(schema) = Schema::new(STEP.clone()) else { return Ok((0, 0)) };
        let settings = &self.study.place.settings;
        let mut tools = String::new();
        for tool in ToolName::ALL {
            tools.extend(["- ", tool.as_str(), ": ", tool.description(), "\n"]);
        }
        let closing = format!(
            "{}\nBefore you answer you may read more of the code:\n{tools}- answer: you have read \
             enough; the argument is empty.\nSay what you want in JSON: {{\"tool\": …, \"argument\": …}}",
            self.asked()
        );
        let (mut steps, mut tokens) = (0, 0);
        let mut done: Vec<Read> = Vec::new();
        while steps < settings.max_tool_chain_length.size() {
            (self.study.progress)(Stage::Asking);
            let ask = |attempt: Attempt| self.step(material, &closing, &schema, attempt);
            let strict = settings.strict_json;
            let step = match schema.answered(Retries::from(&**settings), strict, ask).await {
                Ok(step) => step,
                // A model that cannot say what it wants answers from what it has.
                Err(GaveUp::Wrong { .. } | GaveUp::Failed(Unasked::NoRoom { .. })) => break,
                Err(GaveUp::Failed(error)) => return Err(failure(&error)),
            };
            let name = step["tool"].as_str().unwrap_or_default();
            let Some(read) = Read::of(name, &step).filter(|read| !done.contains(read)) else {
                break;
            };
            steps += 1;
            (self.study.progress)(Stage::Reading(read.to_string()));
            done.push(read.clone());
            let shown = format!("\n{read}:\n");
            let passages = self.study.blocking(self.reader, move |reader| reader.read(&read)).await;
            let mut text = shown;
            for passage in passages {
                let cost = self.counter().count(&passage.text);
                if cost < left {
                    left -= cost;
                    tokens += cost;
                    text.push_str(&passage.text);
                }
            }
            if text.lines().count() <= 2 {
                text.push_str("nothing, or no room for it\n");
            }
            material.push(Bit { text, items: 0 });
        }
        Ok((steps, tokens))
    }

    async fn step(
        &self,
        material: &[Bit],
        closing: &str,
        schema: &Schema,
        attempt: Attempt,
    ) -> Result<String, crate::route::Setback<Unasked>> {
        let mistake = attempt.mistake.map(|it| format!("\nThat was wrong before: {}\n", it.why));
        let closing = format!("{closing}{}", mistake.unwrap_or_default());
        let build = |budget: Budget| {
            let prompt = sealed(&budget, material, &closing, &AtomicUsize::new(0))?;
            Ok(prompt.answered_in(Arc::clone(schema.source())))
        };
        let sending = self.sending(self.output(NOTES), attempt.temperature);
        Ok(chat::answer(&sending, build, &|_| {}).await?.text)
    }

    fn sending(&self, output: usize, temperature: f32) -> Sending<'_> {
        let place = &self.study.place;
        Sending {
            desk: &place.desk,
            settings: &place.settings,
            serving: self.serving,
            ceiling: place.settings.max_local_context_tokens.size(),
            output,
            temperature,
            stop: &[],
        }
    }

    /// Asks, showing as many bits from the beginning as have room; says how many those are.
    async fn ask(
        &self,
        material: &[Bit],
        closing: &str,
        output: usize,
    ) -> Result<(Said, usize), Failure<String>> {
        let shown = AtomicUsize::new(0);
        let heard = |text: &str| (self.study.progress)(Stage::Writing(text.lines().count()));
        let build = |budget: Budget| sealed(&budget, material, closing, &shown);
        let once = Retries { max: 0, ..Retries::default() };
        let ask = async |attempt: Attempt| {
            chat::answer(&self.sending(output, attempt.temperature), build, &heard).await
        };
        let said = retry(once, ask, async |said| Ok(said)).await;
        let said = said.map_err(|gave_up: GaveUp<Unasked>| match gave_up {
            GaveUp::Failed(error) => failure(&error),
            GaveUp::Wrong { last, .. } => Failure::Task(last.why),
        })?;
        Ok((said, shown.load(Ordering::Relaxed)))
    }
}

/// The prompt with as many bits as have room; how many those are is left in `shown`.
fn sealed(
    budget: &Budget,
    material: &[Bit],
    closing: &str,
    shown: &AtomicUsize,
) -> Result<Prompt, Overflow> {
    let mut kept = material.len();
    loop {
        let bits = material.iter().take(kept).map(|bit| Segment::text(bit.text.as_str()));
        let segments = bits.chain([Segment::text(closing)]).collect();
        match budget.clone().seal_chat(super::SYSTEM, segments) {
            Ok(prompt) => {
                shown.store(kept, Ordering::Relaxed);
                return Ok(prompt);
            }
            Err(overflow) if kept == 0 => return Err(overflow),
            Err(_) => kept = kept * 7 / 8,
        }
    }
}

fn failure(error: &Unasked) -> Failure<String> {
    let said = error.to_string();
    match error {
        Unasked::Model(error) if error.is_outage() => Failure::Outage(said),
        _ => Failure::Task(said),
    }
}
