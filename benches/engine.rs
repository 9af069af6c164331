//! Measures the built-in engine on a GGUF, and prints what it generates.
//!
//! ```text
//! cargo bench --bench engine -- MODEL.gguf speed [THREADS [RUNS]]  tokens a second, memory, a keystroke
//! cargo bench --bench engine -- MODEL.gguf greedy PROMPTS.json tokens and log-probabilities
//! cargo bench --bench engine -- MODEL.gguf tokenize FILES...   the files' tokens
//! ```
//!
//! `tests/engine/compare.py` runs both beside llama.cpp's tools. Without arguments nothing is done,
//! so that `cargo bench` needs no model.
#![allow(clippy::print_stdout, clippy::type_complexity, missing_docs)]

use std::time::{Duration, Instant};

use hearth::engine::{Engine, Event, Gguf, Holes, Job, Options, Piece, Sources, Usage};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [model, what, rest @ ..] = &args[..] else {
        println!("usage: cargo bench --bench engine -- MODEL.gguf speed|greedy [...]");
        return Ok(());
    };
    let answer = match (what.as_str(), rest) {
        ("speed", rest) => {
            let number = |at: usize, default| rest.get(at).map_or(Ok(default), |n| n.parse());
            speed(model, number(0, 0)?, number(1, 3)?)?
        }
        ("greedy", [prompts]) => greedy(model, prompts)?,
        ("tokenize", files) => tokenize(model, files)?,
        _ => anyhow::bail!("unknown arguments {args:?}"),
    };
    println!("{answer}");
    Ok(())
}

fn run(engine: &Engine, job: Job) -> anyhow::Result<(Vec<(u32, f32)>, Usage, Duration)> {
    let started = Instant::now();
    let mut first = None;
    let mut events = engine.generate(job);
    let mut tokens = Vec::new();
    while let Some(event) = events.next_blocking() {
        match event? {
            Event::Token { token, logprob, .. } => {
                first.get_or_insert_with(|| started.elapsed());
                tokens.push((token, logprob));
            }
            Event::Done(usage) => {
                return Ok((tokens, usage, first.unwrap_or_default()));
            }
        }
    }
    anyhow::bail!("the stream ended early")
}

/// Pseudorandom tokens: a benchmark's text, as llama-bench has it.
fn tokens(n: usize, n_vocab: usize, seed: usize) -> Vec<u32> {
    let n_plain = u32::try_from(n_vocab - 64).unwrap_or(u32::MAX);
    let mut state = u32::try_from(seed).unwrap_or_default();
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % n_plain
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn speed(model: &str, threads: usize, runs: usize) -> anyhow::Result<Value> {
    let base = memory("VmRSS")?;
    let started = Instant::now();
    let options = Options {
        n_ctx: 2304,
        prefill_threads: threads,
        decode_threads: threads,
        ..Options::default()
    };
    let engine = Engine::load(model, &options)?;
    let load = started.elapsed();
    let info = engine.info().clone();
    let n_vocab = info.basics.n_vocab;
    let best = |n: usize| -> anyhow::Result<Option<f64>> {
        if n > info.n_ctx {
            return Ok(None);
        }
        let mut best = f64::MAX;
        for seed in 0..runs {
            let (_, usage, _) = run(&engine, Job::new(tokens(n, n_vocab, seed), 0))?;
            best = best.min(usage.timings.prefill.as_secs_f64());
        }
        Ok(Some(n as f64 / best))
    };
    let pp512 = best(512)?;
    let pp2048 = best(2048)?;
    let (mut decode, mut decoded) = (f64::MAX, 0);
    for seed in 0..4 * runs {
        // The model may end its text early; only runs that went on say something.
        let (_, usage, _) = run(&engine, Job::new(tokens(16, n_vocab, seed), 64))?;
        let n = usage.output_tokens.saturating_sub(1);
        if n >= 16 {
            decoded += n;
            decode = decode.min(usage.timings.decode.as_secs_f64() / n as f64);
        }
    }
    // A typed character: the prompt of 1,000 tokens is there, one token at its end is new.
    let mut prompt = tokens(1000, n_vocab, 9);
    run(&engine, Job::new(prompt.clone(), 1))?;
    let mut keystrokes = Vec::new();
    for token in 0..20 {
        prompt.pop();
        prompt.push(token);
        let (_, usage, _) = run(&engine, Job::new(prompt.clone(), 1))?;
        keystrokes.push((usage.timings.queued + usage.timings.prefill).as_secs_f64() * 1e3);
    }
    // The same before a suffix of 64 tokens that has to be evaluated again.
    let mut before_suffix = Vec::new();
    for token in 20..40 {
        prompt[935] = token;
        let (_, usage, _) = run(&engine, Job::new(prompt.clone(), 1))?;
        before_suffix.push((usage.timings.queued + usage.timings.prefill).as_secs_f64() * 1e3);
    }
    let copying = copying(&engine, model)?;
    Ok(json!({
        "copy_us": copying,
        "pp512": pp512, "pp2048": pp2048,
        "tg": if decoded > 0 { json!(1.0 / decode) } else { json!(null) },
        "threads": threads,
        "keystroke_ms": median(&mut keystrokes),
        "keystroke_before_64_ms": median(&mut before_suffix),
        "load_ms": load.as_secs_f64() * 1e3,
        "file": info.file_size, "weights": info.weights_size, "kv": info.cache_size,
        "rss_peak": memory("VmHWM")?, "rss_base": base,
        "params": info.n_params, "quantization": info.quantization,
    }))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Microseconds that copying adds to a prompt of 1,000 tokens of source text and to each token behind
/// it; `None` for a model without holes.
fn copying(engine: &Engine, model: &str) -> anyhow::Result<Option<(f64, f64)>> {
    let gguf = Gguf::open(std::io::BufReader::new(std::fs::File::open(model)?))?;
    let Some(holes) = Holes::read(&gguf, engine.tokenizer()) else { return Ok(None) };
    let text: String = include_str!("engine.rs").chars().cycle().take(3500).collect();
    let (before, behind) = text.split_at(text.floor_char_boundary(2800));
    let (prefix, begun) = before.split_at(before.rfind('\n').map_or(0, |at| at + 1));
    let control = Piece::Control;
    let prompt = engine.encode(&[
        control("<|fim_prefix|>"),
        Piece::Text(prefix),
        control("<|fim_suffix|>"),
        Piece::Text(behind),
        control("<|fim_middle|>"),
        Piece::Text(begun),
    ])?;
    let written = engine.tokenize("let answer = self.answers.get(at)?;")?;
    let (mut prepare, mut next) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let started = Instant::now();
        let Some(mut sources) = Sources::of(&prompt, holes, engine.tokenizer()) else {
            return Ok(None);
        };
        prepare.push(started.elapsed().as_secs_f64() * 1e6);
        for token in &written {
            let started = Instant::now();
            std::hint::black_box(sources.next()?);
            next.push(started.elapsed().as_secs_f64() * 1e6);
            sources.push(*token);
        }
    }
    Ok(Some((median(&mut prepare), median(&mut next))))
}

fn greedy(model: &str, prompts: &str) -> anyhow::Result<Value> {
    let engine = Engine::load(model, &Options { n_ctx: 2304, ..Options::default() })?;
    let prompts: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let mut answers = Vec::new();
    for prompt in prompts {
        let (tokens, usage, _) = run(&engine, Job::new(prompt, 64))?;
        let (tokens, logprobs): (Vec<u32>, Vec<f32>) = tokens.into_iter().unzip();
        let n = usage.output_tokens;
        answers.push(json!({ "tokens": tokens, "logprobs": logprobs, "n": n }));
    }
    Ok(json!(answers))
}

fn tokenize(model: &str, files: &[String]) -> anyhow::Result<Value> {
    let engine = Engine::load(model, &Options { n_ctx: 16, ..Options::default() })?;
    let tokens = files.iter().map(|file| Ok(engine.tokenize(&std::fs::read_to_string(file)?)?));
    Ok(json!(tokens.collect::<anyhow::Result<Vec<_>>>()?))
}

/// Bytes of this process by `/proc/self/status`; 0 where there is none.
fn memory(key: &str) -> anyhow::Result<u64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).map_or("0", str::trim);
    Ok(kib.parse::<u64>()? * 1024)
}
