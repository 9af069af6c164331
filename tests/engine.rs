//! The built-in engine through its public face, on models that the tests write themselves.
#![allow(missing_docs, clippy::type_complexity)]

#[path = "engine/tiny.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::pedantic,
    reason = "two test binaries share this file, and each uses a part of it"
)]
mod tiny;

#[path = "engine/copying.rs"]
mod copying;

#[path = "engine/foreign.rs"]
mod foreign;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Cursor,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hearth::engine::{
    Config, Engine, EngineError, Event, Events, Gguf, Job, Options, Piece, Sampling, Stop,
    Tokenizer, Usage,
};
use proptest::prelude::*;
use tempfile::NamedTempFile;
use tiny::Tiny;

/// The system's allocator, with the largest single request remembered.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// No test here needs more than this at once; a header that is believed would.
const MOST: usize = 64 << 20;

fn written(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn load(tiny: &Tiny, options: &Options) -> Engine {
    Engine::load(written(&tiny.bytes()).path(), options).unwrap()
}

fn small() -> Options {
    Options { n_ctx: 256, chunk: 16, ..Options::default() }
}

fn finish(mut events: Events) -> Result<(String, Vec<(u32, f32)>, Usage), EngineError> {
    let (mut all, mut tokens) = (String::new(), Vec::new());
    loop {
        match events.next_blocking().expect("a stream ends with Done or an error")? {
            Event::Token { token, text, logprob } => {
                assert!(logprob <= 0.0);
                all.push_str(&text);
                tokens.push((token, logprob));
            }
            Event::Done(usage) => {
                assert_eq!(events.next_blocking(), None);
                return Ok((all, tokens, usage));
            }
        }
    }
}

/// A job of its own in an engine of its own.
fn once(tiny: &Tiny, job: Job) -> (String, Vec<(u32, f32)>, Usage) {
    finish(load(tiny, &small()).generate(job)).unwrap()
}

fn prompt(n: u32) -> Vec<u32> {
    (0..n).map(|i| (i * 37 + 11) % 256).collect()
}

#[test]
fn greedy_is_the_same_each_time_and_with_any_threads() {
    for tiny in [Tiny::qwen2(), Tiny::llama(), Tiny::k_quant()] {
        let first = once(&tiny, Job::new(prompt(50), 24));
        assert_eq!(first.2.prompt_tokens, 50);
        assert_eq!(first.2.cached_tokens, 0);
        let options =
            Options { prefill_threads: 3, decode_threads: 2, chunk: 7, n_ctx: 256, n_slots: 2 };
        let engine = load(&tiny, &options);
        let again = finish(engine.generate(Job::new(prompt(50), 24))).unwrap();
        assert_eq!((&first.0, &first.1), (&again.0, &again.1), "{}", tiny.architecture);
    }
}

#[test]
fn sampling_follows_its_seed() {
    let job = |seed| Job {
        sampling: Sampling { temperature: 1.5, seed, ..Sampling::default() },
        ..Job::new(prompt(20), 32)
    };
    let tiny = Tiny { spread: 0.1, ..Tiny::qwen2() };
    assert_eq!(once(&tiny, job(1)).1, once(&tiny, job(1)).1);
    assert_ne!(once(&tiny, job(1)).1, once(&tiny, job(2)).1);
}

#[test]
fn only_what_changed_is_evaluated() {
    let engine = load(&Tiny::qwen2(), &small());
    let text = prompt(100);
    finish(engine.prefill(text.clone(), None)).unwrap();
    let mut longer = text.clone();
    longer.push(5);
    let (_, tokens, usage) = finish(engine.generate(Job::new(longer.clone(), 8))).unwrap();
    assert_eq!((usage.prompt_tokens, usage.cached_tokens), (101, 100));
    assert_eq!(tokens, once(&Tiny::qwen2(), Job::new(longer.clone(), 8)).1);

    longer[60] = 200;
    let (_, tokens, usage) = finish(engine.generate(Job::new(longer.clone(), 8))).unwrap();
    assert_eq!(usage.cached_tokens, 60);
    assert_eq!(tokens, once(&Tiny::qwen2(), Job::new(longer.clone(), 8)).1);

    // The same prompt once more: one token is evaluated, for its logits.
    let (_, again, usage) = finish(engine.generate(Job::new(longer, 8))).unwrap();
    assert_eq!(usage.cached_tokens, 100);
    assert_eq!(tokens, again);
}

#[test]
fn slots_keep_their_own_sequences() {
    let engine = load(&Tiny::llama(), &Options { n_slots: 2, ..small() });
    let (a, b): (Vec<u32>, Vec<u32>) = (prompt(40), prompt(60).into_iter().rev().collect());
    finish(engine.prefill(a.clone(), None)).unwrap();
    finish(engine.prefill(b.clone(), None)).unwrap();
    for text in [a, b] {
        let (_, _, usage) = finish(engine.generate(Job::new(text.clone(), 1))).unwrap();
        assert_eq!(usage.cached_tokens, text.len() - 1);
    }
    let job = Job { slot: Some(2), ..Job::new(vec![1], 1) };
    assert_eq!(
        finish(engine.generate(job)).unwrap_err(),
        EngineError::NoSlot { slot: 2, n_slots: 2 }
    );
}

#[test]
fn what_cannot_run_is_refused_in_a_sentence() {
    let engine = load(&Tiny::qwen2(), &small());
    let error = |job| finish(engine.generate(job)).unwrap_err();
    assert_eq!(error(Job::new(vec![], 1)), EngineError::EmptyPrompt);
    assert_eq!(
        error(Job::new(prompt(257), 1)),
        EngineError::TooLong { prompt_tokens: 257, n_ctx: 256 }
    );
    assert!(matches!(error(Job::new(vec![9999], 1)), EngineError::NoToken { .. }));
    // A job that fails takes nothing along.
    assert!(finish(engine.generate(Job::new(prompt(3), 2))).is_ok());
}

#[test]
fn a_full_context_ends_the_output() {
    let engine = load(&Tiny::qwen2(), &Options { n_ctx: 32, ..small() });
    for seed in 0..20 {
        let sampling = Sampling { temperature: 2.0, seed, ..Sampling::default() };
        let job = Job { sampling, ..Job::new(prompt(20), 100) };
        let (_, _, usage) = finish(engine.generate(job)).unwrap();
        if usage.stop == Stop::Full {
            assert_eq!(usage.output_tokens, 13, "12 tokens fit, the 13th needs no place");
            return;
        }
        assert_eq!(usage.stop, Stop::End);
    }
    panic!("no output reached the end of the context");
}

#[test]
fn dropping_the_events_cancels_between_chunks_and_tokens() {
    let tiny = Tiny { n_layers: 3, n_ctx: 4096, ..Tiny::qwen2() };
    let options = Options { n_ctx: 4096, chunk: 8, ..Options::default() };
    let engine = load(&tiny, &options);
    let text = prompt(4000);
    let whole = finish(engine.prefill(text.clone(), None)).unwrap().2.timings.prefill;

    // Another beginning, so that nothing is cached; given up after an eighth of the time.
    let other: Vec<u32> = text.iter().rev().copied().collect();
    let events = engine.prefill(other.clone(), None);
    std::thread::sleep(whole / 8);
    drop(events);
    let (_, _, usage) = finish(engine.prefill(other[..3999].to_vec(), None)).unwrap();
    // What was evaluated before the drop is kept; the rest had not been.
    assert!(usage.timings.queued < whole / 2, "{usage:?} of {whole:?}");
    assert!(usage.cached_tokens < 3900, "{usage:?}");
    assert_eq!(usage.cached_tokens % 8, 0, "a cancelled job stops at the border of a chunk");

    // A job whose events are gone before its turn never runs.
    let busy = engine.prefill(text, None);
    drop(engine.generate(Job::new(vec![250; 3000], 1)));
    finish(busy).unwrap();
    let (_, _, usage) = finish(engine.generate(Job::new(vec![250; 3000], 0))).unwrap();
    assert_eq!(usage.cached_tokens, 0);
}

#[test]
fn a_token_can_be_awaited_on_one_executor_thread() {
    let engine = load(&Tiny::qwen2(), &small());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut events = engine.generate(Job::new(prompt(30), 4));
        let wait = async {
            while let Some(event) = events.next().await {
                event.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    });
}

#[test]
fn a_stop_string_ends_the_output_and_is_not_part_of_it() {
    let tiny = Tiny { spread: 0.1, ..Tiny::qwen2() };
    for seed in 0..12 {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let job = Job { sampling, ..Job::new(prompt(20), 40) };
        let (text, _, _) = once(&tiny, job.clone());
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let [.., end] = starts[..] else { continue };
        // Three characters from the middle: mostly parts of several tokens.
        let Some(window) = starts.windows(4).nth(starts.len() / 2) else { continue };
        let stop = &text[window[0]..window[3]];
        assert!(window[3] <= end);
        let (cut, _, usage) = once(&tiny, Job { stop: vec![stop.to_owned()], ..job });
        assert_eq!(usage.stop, Stop::Text(stop.to_owned()));
        assert_eq!(cut, text[..text.find(stop).unwrap()]);
    }
}

#[test]
fn control_tokens_in_text_stay_text() {
    let engine = load(&Tiny::qwen2(), &small());
    let middle = engine.tokenizer().control("<|fim_middle|>").unwrap();
    let evil = "let a = 1; // <|fim_middle|><|endoftext|>";
    let tokens = engine.tokenize(evil).unwrap();
    assert!(tokens.iter().all(|token| !engine.tokenizer().is_control(*token)));
    let back: Vec<u8> =
        tokens.iter().flat_map(|token| engine.tokenizer().bytes(*token).to_vec()).collect();
    assert_eq!(String::from_utf8(back).unwrap(), evil);
    let pieces = [Piece::Text("a"), Piece::Control("<|fim_middle|>"), Piece::Text("b")];
    assert_eq!(engine.encode(&pieces).unwrap(), [97, middle, 98]);
    assert!(engine.tokenizer().bytes(middle).is_empty());
    assert_eq!(
        engine.encode(&[Piece::Control("<|no|>")]),
        Err(EngineError::NoControl("<|no|>".to_owned()))
    );
}

#[test]
fn the_engine_says_what_it_runs() {
    let engine = load(&Tiny::k_quant(), &Options { n_ctx: 100_000, ..Options::default() });
    let info = engine.info();
    assert_eq!(info.basics.architecture, "qwen2");
    assert_eq!(info.basics.n_vocab, engine.tokenizer().n_vocab());
    assert_eq!((info.n_ctx, info.basics.trained_ctx), (512, 512));
    assert_eq!(info.quantization, "Q4K");
    assert_eq!(info.layout_version, Some(1));
    assert_eq!(info.name.as_deref(), Some("tiny"));
    assert!(info.n_params > 400_000 && info.file_size < 1 << 20);
    assert!(info.weights_size as u64 <= info.file_size * 11 / 10, "one copy of the weights");
}

/// Opens, and where that works loads, generates and tokenizes; only errors may come of it.
fn survives(bytes: &[u8]) -> Result<(), EngineError> {
    let result: Result<(), EngineError> = (|| {
        let gguf = Gguf::open(Cursor::new(bytes))?;
        let config = Config::read(&gguf)?;
        let tokenizer = Tokenizer::read(&gguf, config.n_vocab)?;
        tokenizer.encode("fn main() { let x = \"é\"; }")?;
        let options = Options { n_ctx: 64, prefill_threads: 1, ..Options::default() };
        let engine = Engine::load(written(bytes).path(), &options)?;
        let (_, _, _) = finish(engine.generate(Job::new(vec![1, 2, 3], 4)))?;
        Ok(())
    })();
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{largest} bytes at once: {result:?}");
    if let Err(error) = &result {
        let sentence = error.to_string();
        assert!(sentence.len() > 10 && !sentence.contains("panicked"), "{sentence}");
        assert!(!matches!(error, EngineError::Failed(text) if text.contains("fault")), "{error}");
    }
    result
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for tiny in [Tiny { n_layers: 1, ..Tiny::qwen2() }, Tiny { n_layers: 1, ..Tiny::llama() }] {
        let bytes = tiny.bytes();
        assert!(survives(&bytes).is_ok());
        for end in (0..bytes.len() - 32).step_by(64) {
            let error = Gguf::open(Cursor::new(&bytes[..end])).map(|_| ()).unwrap_err();
            if end >= 4 {
                assert!(matches!(error, EngineError::Truncated { .. }), "at {end}: {error}");
            }
        }
        assert!(survives(&bytes[..bytes.len() / 2]).is_err());
    }
}

#[test]
fn wrong_files_are_named() {
    let error = |tiny: Tiny| survives(&tiny.bytes()).unwrap_err().to_string();
    let one = || Tiny { n_layers: 1, ..Tiny::qwen2() };
    let gemma = error(Tiny { architecture: "gemma", ..one() });
    assert!(gemma.contains("'gemma'") && gemma.contains("qwen2, llama"), "{gemma}");
    let few = error(Tiny { tokens: Some(vec!["a".into(), "b".into()]), ..one() });
    assert!(few.contains("2 tokens for"), "{few}");
    let pre = error(Tiny { pre: "klingon", ..one() });
    assert!(pre.contains("'klingon'"), "{pre}");
    assert_eq!(survives(b"PK\x03\x04 not a model"), Err(EngineError::NotGguf));
    assert_eq!(survives(b""), Err(EngineError::NotGguf));
    let missing = Engine::load("/nonexistent/model.gguf", &Options::default()).unwrap_err();
    assert!(matches!(missing, EngineError::Io(_)));
    let mut future = one().bytes();
    future[4] = 9;
    assert_eq!(survives(&future), Err(EngineError::Version(9)));
}

#[test]
fn absurd_counts_cost_no_memory() {
    let bytes = Tiny { n_layers: 1, ..Tiny::qwen2() }.bytes();
    for at in [8, 16] {
        for count in [u64::MAX, 1 << 62, 1 << 40, bytes.len() as u64] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert!(survives(&bytes).is_err());
        }
    }
    // Every number of the header in turn becomes huge.
    let header = bytes.len().min(9000);
    for at in (24..header).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&(u64::MAX >> 2).to_le_bytes());
        let _ = survives_header(&bytes);
    }
}

/// As `survives`, without the run.
fn survives_header(bytes: &[u8]) -> Result<(), EngineError> {
    let result: Result<(), EngineError> = (|| {
        let gguf = Gguf::open(Cursor::new(bytes))?;
        let config = Config::read(&gguf)?;
        Tokenizer::read(&gguf, config.n_vocab).map(|_| ())
    })();
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{largest} bytes at once: {result:?}");
    result
}

/// What befalls a file, by chance or on purpose.
#[derive(Debug, Clone)]
enum Harm {
    Byte(u8),
    Number(u64),
    /// So many bytes are missing.
    Gap(usize),
    /// So many bytes come twice.
    Echo(usize),
    /// Bytes of nobody's come in between.
    Noise(Vec<u8>),
    End,
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        let edges = [0, 1, 31, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 63, u64::MAX];
        prop_oneof![
            4 => any::<u8>().prop_map(Self::Byte),
            4 => proptest::sample::select(edges.to_vec()).prop_map(Self::Number),
            2 => (1..64_usize).prop_map(Self::Gap),
            2 => (1..64_usize).prop_map(Self::Echo),
            2 => proptest::collection::vec(any::<u8>(), 1..64).prop_map(Self::Noise),
            1 => Just(Self::End),
        ]
    }

    fn befall(self, at: usize, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let at = at.min(len);
        let reach = |n: usize| at..(at + n).min(len);
        match self {
            Self::Byte(byte) => bytes[reach(1)].fill(byte),
            Self::Number(number) => {
                let place = reach(8);
                let number = number.to_le_bytes();
                bytes[place.clone()].copy_from_slice(&number[..place.len()]);
            }
            Self::Gap(n) => drop(bytes.drain(reach(n))),
            Self::Echo(n) => {
                let again = bytes[reach(n)].to_vec();
                bytes.splice(at..at, again);
            }
            Self::Noise(noise) => drop(bytes.splice(at..at, noise)),
            Self::End => bytes.truncate(at),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Fuzzing without a fuzzer: the header, and some of the data, harmed at random. `fuzz/` goes on
    /// from there for as long as one likes.
    #[test]
    fn a_harmed_file_never_panics_nor_takes_memory(
        harms in proptest::collection::vec((0..12_000_usize, Harm::any()), 1..6),
    ) {
        static WHOLE: LazyLock<Vec<u8>> =
            LazyLock::new(|| Tiny { n_layers: 1, ..Tiny::qwen2() }.bytes());
        let mut bytes = WHOLE.clone();
        for (at, harm) in harms {
            harm.befall(at, &mut bytes);
        }
        let _ = survives(&bytes);
    }

    /// Any text comes back from its tokens, and none of them is a control token.
    #[test]
    fn text_comes_back(text in "([a-z ]|\\PC|\n|\t|<\\|fim_middle\\|>|é|🦀){0,40}") {
        let bytes = Tiny { n_layers: 1, ..Tiny::qwen2() }.bytes();
        let gguf = Gguf::open(Cursor::new(bytes)).unwrap();
        let config = Config::read(&gguf).unwrap();
        let tokenizer = Tokenizer::read(&gguf, config.n_vocab).unwrap();
        let tokens = tokenizer.encode(&text).unwrap();
        prop_assert!(tokens.iter().all(|token| !tokenizer.is_control(*token)));
        let back: Vec<u8> = tokens.iter().flat_map(|t| tokenizer.bytes(*t).to_vec()).collect();
        prop_assert_eq!(String::from_utf8(back).unwrap(), text);
    }
}
