//! The engine's thread: jobs in order, one at a time, each in a slot with a KV cache of its own.
//!
//! A job takes the longest run of tokens its slot already holds and evaluates the rest in chunks.
//! Between chunks and between tokens it looks whether anybody still wants it: dropping the `Events`
//! of a job is how it is cancelled, and what it had evaluated stays useful for the next.
//!
//! Nothing here may run on a thread of the caller's executor, and a panic in one job must not take
//! the engine along.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, mpsc as queue},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    cache::Cache,
    config::{Basics, Config},
    copy::{Copier, Copying},
    decoder::{Decoder, Scratch},
    error::EngineError,
    gguf::{Gguf, Value},
    kernels::threads::Team,
    network::{Network, Own},
    output::{Output, Shown},
    sampler::{Choice, Sampler, Sampling},
    tokenizer::{Piece, Tokenizer},
};

/// How an engine is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Tokens of context a slot has room for; never more than the model was trained for.
    pub n_ctx: usize,
    /// Sequences whose KV caches are kept side by side, at least 1.
    pub n_slots: usize,
    /// Threads that evaluate prompts; 0 is one a core.
    pub prefill_threads: usize,
    /// Threads that decode; 0 is one fewer than there are cores, at least one. With all cores the
    /// decoder waits for whichever the user's compiler has taken.
    pub decode_threads: usize,
    /// Tokens that are evaluated between two looks at whether the job is still wanted.
    pub chunk: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { n_ctx: 4096, n_slots: 1, prefill_threads: 0, decode_threads: 0, chunk: 128 }
    }
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// `general.name` of the file.
    pub name: Option<String>,
    pub basics: Basics,
    /// Weights, in parameters.
    pub n_params: u64,
    /// Tokens of context of each slot.
    pub n_ctx: usize,
    pub n_slots: usize,
    /// The type that most parameters of the blocks have, as `Q8_0` or `Q4K`.
    pub quantization: String,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes of weights in memory.
    pub weights_size: usize,
    /// Bytes reserved for the KV caches of all slots.
    pub cache_size: usize,
    /// `hearth.layout_version`: the prompt layout the model was trained on.
    pub layout_version: Option<u64>,
}

/// A generation to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub prompt: Vec<u32>,
    /// Most tokens to generate. 0 only evaluates the prompt.
    pub max_tokens: usize,
    pub sampling: Sampling,
    /// Strings that end the output; they are not part of it.
    pub stop: Vec<String>,
    /// The slot to run in; by default that whose cache has most of the prompt.
    pub slot: Option<usize>,
    /// What is said first, whatever is likelier: to learn how likely it was.
    pub given: Vec<u32>,
}

impl Job {
    /// A greedy job in whichever slot suits.
    pub fn new(prompt: Vec<u32>, max_tokens: usize) -> Self {
        let sampling = Sampling::default();
        Self { prompt, max_tokens, sampling, stop: Vec::new(), slot: None, given: Vec::new() }
    }
}

/// A piece of a running generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// One token's text, whole characters only: empty where its bytes went into a neighbour's
    /// character. `logprob` is the natural logarithm of the probability the model gave it, copying
    /// included.
    Token { token: u32, text: String, logprob: f32 },
    /// The last event of a generation that was not cancelled.
    Done(Usage),
}

/// Why a generation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The model ended its text.
    End,
    /// This stop string came.
    Text(String),
    /// The output limit.
    Limit,
    /// The context is full.
    Full,
}

/// What a generation cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: usize,
    /// Those of them that needed no evaluation.
    pub cached_tokens: usize,
    /// Tokens chosen, the one that ended the text included.
    pub output_tokens: usize,
    /// Sum of the natural logarithms of the probabilities that the model gave those tokens.
    pub logprob: f32,
    pub stop: Stop,
    pub timings: Timings,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// From the call until the job's turn.
    pub queued: Duration,
    /// Evaluating the prompt.
    pub prefill: Duration,
    /// From the end of that to the end of the output.
    pub decode: Duration,
}

/// The events of one job. Dropping it cancels the job.
#[derive(Debug)]
pub struct Events(mpsc::UnboundedReceiver<Result<Event, EngineError>>);

impl Events {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Event, EngineError>> {
        self.0.recv().await
    }

    /// The next event, for a caller outside any executor.
    pub fn next_blocking(&mut self) -> Option<Result<Event, EngineError>> {
        self.0.blocking_recv()
    }
}

impl futures::Stream for Events {
    type Item = Result<Event, EngineError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A loaded model. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Engine {
    info: Arc<Info>,
    tokenizer: Arc<Tokenizer>,
    jobs: queue::Sender<Task>,
}

type Reply = mpsc::UnboundedSender<Result<Event, EngineError>>;

struct Task {
    job: Job,
    reply: Reply,
    since: Instant,
}

impl Engine {
    /// Loads a model file. Blocks while it reads: call it from a blocking thread.
    pub fn load(path: impl AsRef<Path>, options: &Options) -> Result<Self, EngineError> {
        let path = path.as_ref();
        let file = BufReader::new(File::open(path)?);
        contained(|| Self::open(file, Some(path), options))
    }

    /// Loads a model from the bytes of a file, wherever they are. Blocks like [`load`](Self::load).
    pub fn read<R: Read + Seek + Send>(reader: R, options: &Options) -> Result<Self, EngineError> {
        contained(|| Self::open(reader, None, options))
    }

    fn open<R: Read + Seek + Send>(
        reader: R,
        path: Option<&Path>,
        options: &Options,
    ) -> Result<Self, EngineError> {
        let mut gguf = Gguf::open(reader)?;
        let basics = Basics::read(&gguf)?;
        let tokenizer = Arc::new(Tokenizer::read(&gguf, basics.n_vocab)?);
        let copying = Copying::read(&gguf, &tokenizer)?;
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        let or = |n: usize, default: usize| if n == 0 { default } else { n };
        let n_slots = options.n_slots.max(1);
        let plan = Plan {
            n_ctx: options.n_ctx.clamp(16, basics.trained_ctx.max(16)),
            n_slots,
            prefill_threads: or(options.prefill_threads, n_cores),
            decode_threads: or(options.decode_threads, n_cores.saturating_sub(1).max(1)),
            chunk: options.chunk.max(1),
        };
        let (jobs, tasks) = queue::channel();
        let worker = Worker {
            copying,
            tokenizer: tokenizer.clone(),
            n_vocab: basics.n_vocab,
            used: vec![0; n_slots],
            n_jobs: 0,
            logits: Vec::new(),
            n_ctx: plan.n_ctx,
            chunk: plan.chunk,
        };
        let size = match (Config::read(&gguf), path) {
            (Ok(config), _) => own(&mut gguf, config, plan, worker, tasks)?,
            #[cfg(feature = "llama-cpp")]
            (Err(_), Some(path)) => foreign(path, plan, worker, tasks)?,
            (Err(error), _) => return Err(error),
        };
        let info = Info {
            name: gguf.text("general.name").map(str::to_owned),
            n_params: gguf.tensors().map(|(_, info)| info.elements() as u64).sum(),
            n_ctx: plan.n_ctx,
            n_slots,
            quantization: quantization(&gguf),
            file_size: gguf.len(),
            weights_size: size.weights,
            cache_size: size.cache,
            layout_version: match gguf.get("hearth.layout_version") {
                Some(Value::Text(text)) => text.parse().ok(),
                _ => gguf.count("hearth.layout_version"),
            },
            basics,
        };
        Ok(Self { info: Arc::new(info), tokenizer, jobs })
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// `text` as tokens, none of them a control token.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        self.tokenizer.encode(text)
    }

    /// A prompt's pieces as tokens.
    pub fn encode(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, EngineError> {
        self.tokenizer.encode_pieces(pieces)
    }

    /// Queues a job. Returns at once; errors come as the stream's only event.
    pub fn generate(&self, job: Job) -> Events {
        let (reply, events) = mpsc::unbounded_channel();
        let task = Task { job, reply, since: Instant::now() };
        if let Err(queue::SendError(task)) = self.jobs.send(task) {
            // The receiver is in our hand, so this cannot fail.
            let _ = task.reply.send(Err(EngineError::Stopped));
        }
        Events(events)
    }

    /// Evaluates `tokens` into a slot's cache and generates nothing.
    pub fn prefill(&self, tokens: Vec<u32>, slot: Option<usize>) -> Events {
        self.generate(Job { slot, ..Job::new(tokens, 0) })
    }
}

/// What loads a model file. The checks leave nothing to panic about that is known; this is for what is
/// not, in the crates below.
fn contained(load: impl FnOnce() -> Result<Engine, EngineError>) -> Result<Engine, EngineError> {
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|_panic| Err(EngineError::Failed("a fault in the loader".to_owned())))
}

/// `Options` for one model on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) n_ctx: usize,
    pub(super) n_slots: usize,
    pub(super) prefill_threads: usize,
    pub(super) decode_threads: usize,
    pub(super) chunk: usize,
}

/// Bytes in memory.
pub(super) struct Size {
    pub(super) weights: usize,
    pub(super) cache: usize,
}

fn cannot_start(what: &str, err: &dyn std::fmt::Display) -> EngineError {
    EngineError::Failed(format!("cannot start {what}: {err}"))
}

/// Starts a thread that works with the decoder of this program.
fn own<R: Read + Seek + Send>(
    gguf: &mut Gguf<R>,
    config: Config,
    plan: Plan,
    mut worker: Worker,
    tasks: queue::Receiver<Task>,
) -> Result<Size, EngineError> {
    let prefill = Team { n_threads: plan.prefill_threads };
    let decode = Team { n_threads: plan.decode_threads };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(prefill.n_threads.max(decode.n_threads))
        .thread_name(|i| format!("hearth-engine-{i}"))
        .build()
        .map_err(|err| cannot_start("the engine's threads", &err))?;
    let caches = (0..plan.n_slots)
        .map(|_| Cache::new(&config, plan.n_ctx))
        .collect::<Result<Vec<_>, EngineError>>()?;
    let decoder = pool.install(|| Decoder::load(gguf, config, prefill))?;
    let size = Size { weights: decoder.size(), cache: caches.iter().map(Cache::size).sum() };
    let mut network = Own { decoder, caches, scratch: Scratch::default(), pool, prefill, decode };
    thread::Builder::new()
        .name(NAME.to_owned())
        .spawn(move || worker.run(&mut network, &tasks))
        .map_err(|err| cannot_start("the engine's thread", &err))?;
    Ok(size)
}

/// Starts a thread that works with llama.cpp, which loads the file there.
#[cfg(feature = "llama-cpp")]
fn foreign(
    path: &Path,
    plan: Plan,
    mut worker: Worker,
    tasks: queue::Receiver<Task>,
) -> Result<Size, EngineError> {
    let (ready, loaded) = queue::sync_channel(1);
    let path = path.to_owned();
    let load = move || {
        let done = super::llama_cpp::with(&path, plan, |network, size| {
            // It is waited for below.
            let _ = ready.send(Ok(size));
            worker.run(network, &tasks);
        });
        if let Err(error) = done {
            let _ = ready.send(Err(error));
        }
    };
    thread::Builder::new()
        .name(NAME.to_owned())
        .spawn(load)
        .map_err(|err| cannot_start("the engine's thread", &err))?;
    loaded.recv().unwrap_or(Err(EngineError::Stopped))
}

const NAME: &str = "hearth-engine";

/// The type that has most parameters among the matrices of the blocks.
fn quantization<R: std::io::Read + std::io::Seek>(gguf: &Gguf<R>) -> String {
    let mut shares: Vec<(String, usize)> = Vec::new();
    for (name, info) in gguf.tensors().filter(|(_, info)| info.dims.len() > 1) {
        if name.starts_with("blk.") {
            let dtype = format!("{:?}", info.dtype);
            match shares.iter_mut().find(|(name, _)| *name == dtype) {
                Some((_, n)) => *n += info.elements(),
                None => shares.push((dtype, info.elements())),
            }
        }
    }
    shares.into_iter().max_by_key(|(_, n)| *n).map_or_else(String::new, |(dtype, _)| dtype)
}

struct Worker {
    /// `None` for a model that does not copy.
    copying: Option<Copying>,
    tokenizer: Arc<Tokenizer>,
    n_vocab: usize,
    /// For each slot the number of the last job that ran there.
    used: Vec<u64>,
    n_jobs: u64,
    logits: Vec<f32>,
    n_ctx: usize,
    chunk: usize,
}

impl Worker {
    fn run(&mut self, network: &mut dyn Network, tasks: &queue::Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            if task.reply.is_closed() {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.work(network, &task)));
            let error = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_panic) => {
                    // What a cache holds after a panic is anybody's guess.
                    (0..self.used.len()).for_each(|slot| network.truncate(slot, 0));
                    EngineError::Failed("a fault in the decoder".to_owned())
                }
            };
            // Nobody listening is no fault.
            let _ = task.reply.send(Err(error));
        }
    }

    /// Runs one job. `Ok` also when it was cancelled.
    fn work(&mut self, network: &mut dyn Network, task: &Task) -> Result<(), EngineError> {
        let Task { job, reply, since } = task;
        let started = Instant::now();
        let prompt = &job.prompt;
        if prompt.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        if prompt.len() > self.n_ctx {
            let (prompt_tokens, n_ctx) = (prompt.len(), self.n_ctx);
            return Err(EngineError::TooLong { prompt_tokens, n_ctx });
        }
        let n_vocab = self.n_vocab;
        let given = job.given.iter();
        if let Some(token) = prompt.iter().chain(given).find(|token| **token as usize >= n_vocab) {
            return Err(EngineError::NoToken { token: *token, n_vocab });
        }
        let slot = self.slot(network, job)?;
        self.n_jobs += 1;
        self.used[slot] = self.n_jobs;
        let Self { copying, tokenizer, logits, .. } = self;

        // The last token is always evaluated: its logits are not kept.
        network.truncate(slot, common(network.tokens(slot), prompt).min(prompt.len() - 1));
        let cached_tokens = network.tokens(slot).len();
        let mut rest = &prompt[cached_tokens..];
        while !rest.is_empty() {
            if reply.is_closed() {
                return Ok(());
            }
            let (chunk, after) = rest.split_at(self.chunk.min(rest.len()));
            rest = after;
            let wanted = (rest.is_empty() && job.max_tokens > 0).then_some(&mut *logits);
            network.evaluate(slot, chunk, wanted)?;
        }
        let prefilled = Instant::now();

        let copying = copying.as_ref().filter(|_| job.max_tokens > 0);
        let mut copier = copying.and_then(|copying| Copier::new(copying, prompt, tokenizer));
        let mut sampler = Sampler::new(job.sampling.clone());
        let mut output = Output::new(&job.stop);
        let (mut output_tokens, mut logprob) = (0, 0.0);
        let show = |shown: Vec<Shown>| {
            for Shown { token, text, logprob } in shown {
                // A closed channel is noticed below.
                let _ = reply.send(Ok(Event::Token { token, text, logprob }));
            }
        };
        let stop = loop {
            if output_tokens == job.max_tokens {
                break Stop::Limit;
            }
            if reply.is_closed() {
                return Ok(());
            }
            if let Some(copier) = &copier {
                copier.mix(logits)?;
            }
            let choice = match job.given.get(output_tokens) {
                Some(token) => Choice::of(*token, logits),
                None => sampler.choose(logits),
            };
            let choice = choice.ok_or_else(|| {
                EngineError::Failed("the model's output is not a number".to_owned())
            })?;
            output_tokens += 1;
            logprob += choice.logprob;
            if tokenizer.is_control(choice.token) {
                break Stop::End;
            }
            if let Some(copier) = &mut copier {
                copier.push(choice.token);
            }
            let (shown, met) = output.push(tokenizer.bytes(choice.token), choice);
            show(shown);
            if let Some(stop) = met {
                break Stop::Text(stop);
            }
            if output_tokens == job.max_tokens {
                break Stop::Limit;
            }
            if network.tokens(slot).len() >= self.n_ctx {
                break Stop::Full;
            }
            network.evaluate(slot, &[choice.token], Some(&mut *logits))?;
        };
        show(output.finish());
        let timings = Timings {
            queued: started - *since,
            prefill: prefilled - started,
            decode: prefilled.elapsed(),
        };
        let prompt_tokens = prompt.len();
        let usage = Usage { prompt_tokens, cached_tokens, output_tokens, logprob, stop, timings };
        let _ = reply.send(Ok(Event::Done(usage)));
        Ok(())
    }

    /// The slot a job runs in: the one it asks for, or that which saves it most work; of those that
    /// save none, the one that was idle longest.
    fn slot(&self, network: &dyn Network, job: &Job) -> Result<usize, EngineError> {
        let n_slots = self.used.len();
        let slot = job.slot.or_else(|| {
            (0..n_slots).max_by_key(|slot| {
                (common(network.tokens(*slot), &job.prompt), u64::MAX - self.used[*slot])
            })
        });
        let slot = slot.unwrap_or_default();
        if slot < n_slots { Ok(slot) } else { Err(EngineError::NoSlot { slot, n_slots }) }
    }
}

/// How many tokens both begin with.
fn common(held: &[u32], prompt: &[u32]) -> usize {
    held.iter().zip(prompt).take_while(|(a, b)| a == b).count()
}
