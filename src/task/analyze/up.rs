//! Asks a cloud: the map, the facts and the parts first, then whatever the model wants to read.
//!
//! Every request passes the border as a whole, so a manifest, a line in the log and the user's consent
//! stand before each. The user who lets an analysis leave once is not asked again for what the model
//! goes on to read: the first question says that it will.

use std::sync::{Mutex, PoisonError};

use super::{
    Stage, Study,
    passage::contents,
    reads::{self, Read, Reader},
    report::Left,
    survey::Survey,
};
use crate::{
    egress::{Content, Parcel, Role, ToolCall, Turn},
    model::cloud::{CloudError, Ending},
    route::{CloudLine, Failure, Retries},
};

/// Tokens that the answer may take.
const OUTPUT: usize = 4_000;

/// Times that the model may ask for something before it has to answer.
const MOST_ROUNDS: usize = 12;

/// Calls of one round that are answered.
const MOST_CALLS: usize = 8;

/// Tokens that it may read on in all.
const MOST_READ: usize = 48_000;

const MAP: &str = "The map of the codebase, the central files first. A line has the number of the line \
    in the file that the item begins on, and its signature:\n\n";

const FACTS: &str = "\nWhat an index of the codebase says, by names alone:\n";

const PARTS: &str = "\nParts that may matter, with line numbers:\n\n";

const QUESTION: &str = "\nThe question:\n";

const LAST: &str = "No more can be read. Answer now, from what you have read.\n";

const NOTHING: &str = "Nothing of that name is there, or it is not shown to you.\n";

const UNKNOWN: &str = "There is no such tool, or its argument is missing.\n";

/// An answer, and in how many steps it was come to.
pub(super) struct Answered {
    pub(super) text: String,
    pub(super) cut: bool,
    pub(super) steps: usize,
    pub(super) read_tokens: usize,
}

/// Asks until there is an answer. What left is added up in `left`, also where none comes.
pub(super) async fn read_on(
    study: &Study<'_>,
    line: &CloudLine,
    reader: &Reader,
    survey: &Survey,
    left: &Mutex<Left>,
) -> Result<Answered, Failure<String>> {
    let mut turns = vec![opening(study, survey)];
    let (mut steps, mut read_tokens) = (0, 0);
    for round in 0..=MOST_ROUNDS {
        (study.progress)(Stage::Asking);
        let parcel = Parcel {
            destination: line.cloud().destination().clone(),
            system: super::SYSTEM,
            turns: turns.clone(),
            tools: reads::tools(),
            answer_schema: None,
            max_output_tokens: OUTPUT,
            private: false,
        };
        line.cloud().ready().await.map_err(failure)?;
        let permit = study.place.reach.clear(parcel).await;
        let permit = permit.map_err(|refusal| Failure::Barred(refusal.to_string()))?;
        let heard = |text: &str| (study.progress)(Stage::Writing(text.lines().count()));
        let retries = Retries::from(&*study.place.settings);
        let answer = line.ask(&permit, None, retries, &heard).await;
        if permit.has_left() {
            left.lock().unwrap_or_else(PoisonError::into_inner).add(permit.manifest());
        }
        let answer = answer.map_err(failure)?;
        left.lock().unwrap_or_else(PoisonError::into_inner).bill += answer.bill;
        if answer.ending == Ending::Refused {
            return Err(Failure::Barred(format!("{} refused to answer", line.cloud().name())));
        }
        if answer.calls.is_empty() || round == MOST_ROUNDS {
            let cut = answer.ending == Ending::Limit;
            return Ok(Answered { text: answer.text, cut, steps, read_tokens });
        }
        let mut said = vec![Content::Said(answer.text)];
        let mut outcomes = Vec::new();
        for (number, call) in answer.calls.into_iter().enumerate() {
            let may = number < MOST_CALLS && round + 1 < MOST_ROUNDS && read_tokens < MOST_READ;
            let (outcome, tokens) = outcome(study, reader, &call, may).await;
            steps += usize::from(may);
            read_tokens += tokens;
            outcomes.push(outcome);
            said.push(Content::Call(call));
        }
        turns.push(Turn { role: Role::Assistant, contents: said });
        turns.push(Turn { role: Role::User, contents: outcomes });
    }
    unreachable!("the last round returns")
}

/// What the model is shown before it has asked for anything.
fn opening(study: &Study<'_>, survey: &Survey) -> Turn {
    let sheets: Vec<_> = survey.map.sheets.iter().map(super::passage::Passage::of_sheet).collect();
    let mut all = vec![Content::Framing(MAP)];
    all.extend(contents(&sheets));
    if !survey.facts.is_empty() {
        all.push(Content::Framing(FACTS));
        all.extend(contents(&survey.facts));
    }
    if !survey.parts.is_empty() {
        all.push(Content::Framing(PARTS));
        all.extend(contents(&survey.parts));
    }
    all.push(Content::Framing(QUESTION));
    all.push(Content::Words(format!("{}\n\n", study.subject.question)));
    all.extend(study.subject.kind.map(|kind| Content::Framing(kind.task())));
    Turn { role: Role::User, contents: all }
}

/// What a call brings, and its tokens. Nothing is read where it `may` not be.
async fn outcome(
    study: &Study<'_>,
    reader: &Reader,
    call: &ToolCall,
    may: bool,
) -> (Content, usize) {
    let call_id = call.id.clone();
    let told = |note| Content::Outcome { call_id: call_id.clone(), note, pieces: Vec::new() };
    if !may {
        return (told(LAST), 0);
    }
    let Some(read) = Read::of(&call.name, &call.input) else { return (told(UNKNOWN), 0) };
    (study.progress)(Stage::Reading(read.to_string()));
    let passages = study.blocking(reader, move |reader| reader.read(&read)).await;
    if passages.is_empty() {
        return (told(NOTHING), 0);
    }
    let tokens = passages.iter().map(|passage| reader.counter.count(&passage.text)).sum();
    // A piece stays here as a whole when one of its places has to: each passage is its own.
    let pieces = passages
        .iter()
        .filter_map(|passage| super::passage::pieces(std::slice::from_ref(passage)))
        .collect();
    (Content::Outcome { call_id, note: "", pieces }, tokens)
}

fn failure(error: CloudError) -> Failure<String> {
    let outage = error.is_outage();
    let said = error.to_string();
    match error {
        _ if outage => Failure::Outage(said),
        // What is too much for this one may be done in parts.
        CloudError::Border(_) | CloudError::Model(_) => Failure::Barred(said),
        CloudError::Busy { .. } | CloudError::NoKey { .. } => Failure::Outage(said),
    }
}
