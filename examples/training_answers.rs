//! Asks a model file what the evaluation wants to know, through the engine that users get.
//!
//! Reads JSON lines of `segments` (as `training_samples` writes them) and writes a line for each:
//!
//! - with `most`: the greedy `answer` of at most so many tokens, its `tokens`, and the `probability` of all
//!   of them together; with `line`, up to the end of the line;
//! - with `target`: its `trace`, for each of its tokens and the one that ends it the logarithm of the
//!   model's probability, the probability by copying alone and the class of trust (`null` where there is
//!   nothing to copy).
//!
//! `training_answers MODEL.gguf`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
};

use anyhow::Context;
use hearth::{
    engine::{Engine, Event, Gguf, Holes, Job, Options, Sources, Usage},
    model::{Segment, built_in},
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Question {
    segments: Vec<Piece>,
    most: Option<usize>,
    #[serde(default)]
    line: bool,
    target: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Piece {
    Control(String),
    Text(String),
}

#[derive(Default, Serialize)]
struct Answer {
    #[serde(flatten)]
    said: Option<Said>,
    trace: Option<Vec<Traced>>,
}

#[derive(Serialize)]
struct Said {
    answer: String,
    tokens: Vec<u32>,
    probability: f32,
}

/// Logarithm of the model's probability, probability by copying alone, class of trust.
type Traced = (f32, f32, Option<usize>);

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("training_answers MODEL.gguf < QUESTIONS")?;
    let engine = Engine::load(&path, &Options::default())?;
    let gguf = Gguf::open(BufReader::new(File::open(&path)?))?;
    let holes = Holes::read(&gguf, engine.tokenizer()).context("a model that fills no holes")?;
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        let segments = question.segments.into_iter().map(|piece| match piece {
            Piece::Control(name) => Segment::Control(name.into()),
            Piece::Text(text) => Segment::text(text),
        });
        let prompt = built_in::encode(&engine, &segments.collect::<Vec<_>>())?;
        let mut answer = Answer::default();
        if let Some(most) = question.most {
            let stop = if question.line { vec!["\n".to_owned()] } else { Vec::new() };
            answer.said = Some(said(&engine, Job { stop, ..Job::new(prompt.clone(), most) })?);
        }
        if let Some(target) = question.target {
            answer.trace = Some(trace(&engine, holes, prompt, &target)?);
        }
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// How likely a target is.
fn trace(
    engine: &Engine,
    holes: Holes,
    prompt: Vec<u32>,
    target: &str,
) -> anyhow::Result<Vec<Traced>> {
    let mut given = engine.tokenize(target)?;
    given.extend(engine.tokenizer().ends().first());
    let mut sources = Sources::of(&prompt, holes, engine.tokenizer());
    let job = Job { given: given.clone(), ..Job::new(prompt, given.len()) };
    let (_, said, usage) = run(engine, job)?;
    // The token that ends a text comes as no event.
    let last = usage.logprob - said.iter().map(|(_, logprob)| logprob).sum::<f32>();
    let logprobs = said.into_iter().map(|(_, logprob)| logprob).chain([last]);
    let mut tokens = Vec::new();
    for (token, logprob) in given.into_iter().zip(logprobs) {
        let copied = sources.as_ref().map_or(Ok(None), Sources::next)?;
        let odds = copied.iter().flat_map(|copied| &copied.odds);
        let share = odds.filter(|(other, _)| *other == token).map(|(_, share)| share).sum();
        tokens.push((logprob, share, copied.map(|copied| copied.class)));
        if let Some(sources) = &mut sources {
            sources.push(token);
        }
    }
    Ok(tokens)
}

fn said(engine: &Engine, job: Job) -> anyhow::Result<Said> {
    let (answer, tokens, usage) = run(engine, job)?;
    let tokens = tokens.into_iter().map(|(token, _)| token).collect();
    Ok(Said { answer, tokens, probability: usage.logprob.exp() })
}

type Run = (String, Vec<(u32, f32)>, Usage);

fn run(engine: &Engine, job: Job) -> anyhow::Result<Run> {
    let mut events = engine.generate(job);
    let (mut text, mut tokens) = (String::new(), Vec::new());
    while let Some(event) = events.next_blocking() {
        match event? {
            Event::Token { token, text: more, logprob } => {
                text.push_str(&more);
                tokens.push((token, logprob));
            }
            Event::Done(usage) => return Ok((text, tokens, usage)),
        }
    }
    anyhow::bail!("the stream ended early")
}
