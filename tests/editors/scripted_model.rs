//! A model server whose answers a test knows beforehand, and has at once.
//!
//! `scripted_model SCRIPT` plays a llama-server on a free port of 127.0.0.1, prints its URL, and runs
//! until it is ended. SCRIPT is JSON with two lists of pairs.
//!
//! `writes` has a text and what the model would write after it: after `let a`, with
//! `["let a", "nswer = 42;"]`, it says `nswer = 42;`, after `let answer` it says ` = 42;`. Of several
//! pairs that fit, the one of which most is there already is taken; where none fits, the model says
//! nothing.
//!
//! `answers` has words of a question and the answer to it, `null` for one that never comes. The first
//! pair that fits is taken; where none fits, the model says so.

#[path = "../support/fake_model.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest of it")]
mod fake_model;

use std::io::Write as _;

use anyhow::Context as _;
use fake_model::{Ending, FakeModel};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Script {
    writes: Vec<(String, String)>,
    answers: Vec<(String, Option<String>)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("scripted_model SCRIPT")?;
    let script = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    let script: Script =
        serde_json::from_slice(&script).with_context(|| format!("{path} is no script"))?;
    let model = FakeModel::llama_server().await;
    writeln!(std::io::stdout(), "{}", model.url())?;
    // Their connections stay open until the client closes them.
    let mut unanswered = Vec::new();
    loop {
        let generation = model.generation_whenever().await;
        let body = &generation.request.body;
        let said = match body["messages"].as_array() {
            Some(messages) => script.answer(messages),
            None => Some(script.written(body["prompt"].as_str().unwrap_or_default())),
        };
        let Some(text) = said else {
            generation.accept();
            unanswered.push(generation);
            continue;
        };
        generation.send(text);
        // About as many tokens as such a prompt has: fewer would be a cut prompt.
        let prompt_tokens = generation.request.bytes.len() / 4;
        generation.finish_as(Ending { prompt_tokens, ..Ending::default() });
    }
}

impl Script {
    /// What the model would write behind a prompt.
    fn written(&self, prompt: &str) -> &str {
        let prefix = prompt.split_once("<|fim_suffix|>").map_or(prompt, |(prefix, _)| prefix);
        let rest = |(text, say): &'_ (String, String)| {
            let cuts = say.char_indices().map(|(cut, _)| cut);
            let typed = cuts.filter(|cut| {
                let said = prefix.strip_suffix(&say[..*cut]);
                said.is_some_and(|before| before.ends_with(text.as_str()))
            });
            typed.max().map(|cut| (text.len() + cut, cut))
        };
        let fitting = self.writes.iter().filter_map(|pair| Some((rest(pair)?, &pair.1)));
        fitting.max_by_key(|((there, _), _)| *there).map_or("", |((_, cut), say)| &say[cut..])
    }

    fn answer(&self, messages: &[Value]) -> Option<&str> {
        let asked: String =
            messages.iter().filter_map(|message| message["content"].as_str()).collect();
        let pair = self.answers.iter().find(|(words, _)| asked.contains(words.as_str()));
        pair.map_or(Some("I know nothing of that."), |(_, answer)| answer.as_deref())
    }
}
