//! A model server whose answers a test knows beforehand, and has at once.
//!
//! `scripted_model SCRIPT` plays a llama-server on a free port of 127.0.0.1, prints its URL, and runs
//! until it is ended. SCRIPT is a JSON list of pairs, text and what the model would write after it:
//! after `let a`, with `["let a", "nswer = 42;"]`, it says `nswer = 42;`, after `let answer` it says
//! ` = 42;`. Of several pairs that fit, the one of which most is there already is taken; where none
//! fits, the model says nothing.

#[path = "../support/fake_model.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest of it")]
mod fake_model;

use std::io::Write as _;

use anyhow::Context as _;
use fake_model::FakeModel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("scripted_model SCRIPT")?;
    let script = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    let script: Vec<(String, String)> = serde_json::from_slice(&script)
        .with_context(|| format!("{path} is not a list of pairs"))?;
    let model = FakeModel::llama_server().await;
    writeln!(std::io::stdout(), "{}", model.url())?;
    loop {
        let generation = model.generation_whenever().await;
        let prompt = generation.request.body["prompt"].as_str().unwrap_or_default();
        let prefix = prompt.split_once("<|fim_suffix|>").map_or(prompt, |(prefix, _)| prefix);
        if let Some(text) = after(&script, prefix) {
            generation.send(text);
        }
        generation.finish();
    }
}

/// What the model would write after `prefix`.
fn after<'a>(script: &'a [(String, String)], prefix: &str) -> Option<&'a str> {
    let rest = |(text, say): &'a (String, String)| {
        let cuts = say.char_indices().map(|(cut, _)| cut);
        let typed = cuts.filter(|cut| {
            let said = prefix.strip_suffix(&say[..*cut]);
            said.is_some_and(|before| before.ends_with(text.as_str()))
        });
        typed.max().map(|cut| (text.len() + cut, &say[cut..]))
    };
    script.iter().filter_map(rest).max_by_key(|(there, _)| *there).map(|(_, rest)| rest)
}
