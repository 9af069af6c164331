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
    config::Config,
    copy::{Copier, Copying},
    decoder::{Decoder, Scratch},
    error::EngineError,
    gguf::{Gguf, Value},
    kernels::threads::Team,
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
    pub config: Config,
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
        Self::read(BufReader::new(File::open(path)?), options)
    }

    /// Loads a model from the bytes of a file, wherever they are. Blocks like [`load`](Self::load).
    pub fn read<R: Read + Seek + Send>(reader: R, options: &Options) -> Result<Self, EngineError> {
        // The checks leave nothing to panic about that is known; this is for what is not, in the
        // crates below.
        catch_unwind(AssertUnwindSafe(|| Self::open(reader, options)))
            .unwrap_or_else(|_panic| Err(EngineError::Failed("a fault in the loader".to_owned())))
    }

    fn open<R: Read + Seek + Send>(reader: R, options: &Options) -> Result<Self, EngineError> {
        let mut gguf = Gguf::open(reader)?;
        let config = Config::read(&gguf)?;
        let tokenizer = Arc::new(Tokenizer::read(&gguf, config.n_vocab)?);
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        let or = |n: usize, default: usize| if n == 0 { default } else { n };
        let prefill = Team { n_threads: or(options.prefill_threads, n_cores) };
        let decode = or(options.decode_threads, n_cores.saturating_sub(1).max(1));
        let decode = Team { n_threads: decode };
        let failed = |what: &str, err: &dyn std::fmt::Display| {
            EngineError::Failed(format!("cannot start {what}: {err}"))
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(prefill.n_threads.max(decode.n_threads))
            .thread_name(|i| format!("hearth-engine-{i}"))
            .build()
            .map_err(|err| failed("the engine's threads", &err))?;

        let n_ctx = options.n_ctx.clamp(16, config.trained_ctx.max(16));
        let n_slots = options.n_slots.max(1);
        let caches = (0..n_slots)
            .map(|_| Ok(Slot { cache: Cache::new(&config, n_ctx)?, used: 0 }))
            .collect::<Result<Vec<_>, EngineError>>()?;
        let copying = Copying::read(&gguf, &tokenizer)?;
        let decoder = pool.install(|| Decoder::load(&mut gguf, config, prefill))?;
        let info = Arc::new(Info {
            name: gguf.text("general.name").map(str::to_owned),
            config: decoder.config().clone(),
            n_params: gguf.tensors().map(|(_, info)| info.elements() as u64).sum(),
            n_ctx,
            n_slots,
            quantization: quantization(&gguf),
            file_size: gguf.len(),
            weights_size: decoder.size(),
            cache_size: caches.iter().map(|slot| slot.cache.size()).sum(),
            layout_version: match gguf.get("hearth.layout_version") {
                Some(Value::Text(text)) => text.parse().ok(),
                _ => gguf.count("hearth.layout_version"),
            },
        });
        let (jobs, tasks) = queue::channel();
        let mut worker = Worker {
            decoder,
            copying,
            tokenizer: tokenizer.clone(),
            slots: caches,
            n_ctx,
            n_jobs: 0,
            scratch: Scratch::default(),
            logits: Vec::new(),
            pool,
            prefill,
            decode,
            chunk: options.chunk.max(1),
        };
        thread::Builder::new()
            .name("hearth-engine".to_owned())
            .spawn(move || worker.run(&tasks))
            .map_err(|err| failed("the engine's thread", &err))?;
        Ok(Self { info, tokenizer, jobs })
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

struct Slot {
    cache: Cache,
    /// The number of the last job that ran here.
    used: u64,
}

struct Worker {
    decoder: Decoder,
    /// `None` for a model that does not copy.
    copying: Option<Copying>,
    tokenizer: Arc<Tokenizer>,
    slots: Vec<Slot>,
    n_ctx: usize,
    n_jobs: u64,
    scratch: Scratch,
    logits: Vec<f32>,
    pool: rayon::ThreadPool,
    prefill: Team,
    decode: Team,
    chunk: usize,
}

impl Worker {
    fn run(&mut self, tasks: &queue::Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            if task.reply.is_closed() {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.work(&task)));
            let error = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_panic) => {
                    // What a cache holds after a panic is anybody's guess.
                    self.slots.iter_mut().for_each(|slot| slot.cache.truncate(0));
                    EngineError::Failed("a fault in the decoder".to_owned())
                }
            };
            // Nobody listening is no fault.
            let _ = task.reply.send(Err(error));
        }
    }

    /// Runs one job. `Ok` also when it was cancelled.
    fn work(&mut self, task: &Task) -> Result<(), EngineError> {
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
        let n_vocab = self.decoder.config().n_vocab;
        let given = job.given.iter();
        if let Some(token) = prompt.iter().chain(given).find(|token| **token as usize >= n_vocab) {
            return Err(EngineError::NoToken { token: *token, n_vocab });
        }
        let at = self.slot(job)?;
        self.n_jobs += 1;
        let n_jobs = self.n_jobs;
        let Self { decoder, copying, tokenizer, slots, scratch, logits, pool, .. } = self;
        let n_slots = slots.len();
        let slot = slots.get_mut(at).ok_or(EngineError::NoSlot { slot: at, n_slots })?;
        slot.used = n_jobs;
        let cache = &mut slot.cache;

        // The last token is always evaluated: its logits are not kept.
        let cached_tokens = cache.common(prompt).min(prompt.len() - 1);
        cache.truncate(cached_tokens);
        let mut rest = &prompt[cached_tokens..];
        while !rest.is_empty() {
            if reply.is_closed() {
                return Ok(());
            }
            let (chunk, after) = rest.split_at(self.chunk.min(rest.len()));
            rest = after;
            let wanted = (rest.is_empty() && job.max_tokens > 0).then_some((&mut *logits, false));
            let team = if chunk.len() < 4 { self.decode } else { self.prefill };
            pool.install(|| decoder.evaluate(cache, chunk, scratch, wanted, team))?;
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
            if cache.tokens().len() >= self.n_ctx {
                break Stop::Full;
            }
            let token = [choice.token];
            let wanted = Some((&mut *logits, false));
            pool.install(|| decoder.evaluate(cache, &token, scratch, wanted, self.decode))?;
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
    fn slot(&self, job: &Job) -> Result<usize, EngineError> {
        let n_slots = self.slots.len();
        if let Some(slot) = job.slot {
            return if slot < n_slots {
                Ok(slot)
            } else {
                Err(EngineError::NoSlot { slot, n_slots })
            };
        }
        let saved = |slot: &Slot| slot.cache.common(&job.prompt);
        let best = self
            .slots
            .iter()
            .enumerate()
            .max_by_key(|(_, slot)| (saved(slot), u64::MAX - slot.used));
        best.map(|(at, _)| at).ok_or(EngineError::NoSlot { slot: 0, n_slots })
    }
}
