//! One generation on its way: asks a model for what follows a place, and hands over what it says.
//!
//! It runs in a turn of the model's queue. It goes on behind what is shown, up to the output that was
//! asked for, and when all of that has been shown it asks for what follows, in advance. It decides
//! nothing of what is shown, and what nobody waits for fails without a word.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use ropey::Rope;

use super::{
    Desk, Report,
    complete::{Audience, judge},
    queue::{Rank, Turn},
    send::{Sending, Unsent},
    speed::Run,
};
use crate::{
    config::Settings,
    context::{
        prompt::{self, Built, Plan},
        shelf::Workspace,
        window::View,
    },
    model::{self, Budget, Event, Events, ModelError, Prompt, Stop, Usage, fim::Mode},
    route::Serving,
    session::{
        Snapshot,
        owner::{End, Sink},
        position,
    },
    syntax::Extent,
};

/// Tokens to ask for where a line is wanted: 95 % of the lines people complete have at most 73
/// characters (Copilot's published figure), which is half of this; the rest is for the line after it.
const LINE_TOKENS: usize = 48;

/// Tokens that a block may take: 24 lines of 10 tokens. Nothing longer is asked for.
pub const MOST_OUTPUT: usize = 240;

/// How long what is shown takes to be made fit and to reach the editor. What may be asked for next
/// waits for that: the two would compete for the same cores.
const UNTIL_SHOWN: Duration = Duration::from_millis(2);

/// A generation on its way.
pub(super) struct Generation {
    pub(super) desk: Arc<Desk>,
    pub(super) settings: Arc<Settings>,
    pub(super) serving: Serving,
    pub(super) snapshot: Snapshot,
    pub(super) offset: usize,
    pub(super) extent: Extent,
    pub(super) audience: Audience,
    pub(super) temperature: f32,
    /// Bytes of what was produced that stand in the snapshot already.
    pub(super) accepted: usize,
}

/// What a model said in one go.
struct Piece {
    end: End,
    /// Whether there was anything but space in it.
    blank: bool,
    confidence: Option<f32>,
}

/// What came of a stream.
struct Said {
    first_text: Option<Duration>,
    blank: bool,
    /// What the server has said of its cost so far.
    cost: Option<Usage>,
    /// That was the server's last word; else the stream was stopped before.
    ended: bool,
}

impl Generation {
    /// Runs until there is no use for more.
    pub(super) async fn run(mut self, sink: Sink) {
        let (queue, slots) = (self.desk.queue(&self.serving), self.serving.slots.unwrap_or(1));
        let turn = queue.enter(Rank::Foreground, slots).await;
        let end = match self.piece(&turn, &sink).await {
            Ok(piece) => self.withheld(&piece).map_or(piece.end, |reason| End::Nothing { reason }),
            Err(refusal) => refusal.end(&self.desk),
        };
        drop(turn);
        let mut ended = end == End::Complete;
        sink.end(end);
        while self.audience.is_unasked()
            && let Some(produced) = sink.exhausted().await
        {
            tokio::time::sleep(UNTIL_SHOWN).await;
            let Some(bridge) = self.accept(&produced, ended) else { return };
            let Some(turn) = queue.try_enter(Rank::Ahead, slots) else { return };
            sink.go_on(&bridge);
            let Ok(piece) = self.piece(&turn, &sink).await else { return sink.end(End::Cut) };
            if piece.blank || self.withheld(&piece).is_some() {
                sink.take_back(self.accepted);
                return sink.end(End::Complete);
            }
            ended = piece.end == End::Complete;
            sink.end(piece.end);
        }
    }

    /// Moves on to the text as it is once all of `produced` is accepted, and a line break behind it
    /// if the model had `ended` there, which is returned. `None` when nothing follows.
    fn accept(&mut self, produced: &str, ended: bool) -> Option<String> {
        let behind = self.snapshot.text.get_byte_slice(self.offset..)?;
        let bridge = if ended && !produced.ends_with('\n') {
            // What stands right of the cursor is what follows.
            if behind.chars().take_while(|char| *char != '\n').any(|char| !char.is_whitespace()) {
                return None;
            }
            if position::ends_in_crlf(&self.snapshot.text, self.offset) { "\r\n" } else { "\n" }
        } else {
            ""
        };
        let new = produced.get(self.accepted..)?.to_owned() + bridge;
        self.snapshot = self.snapshot.supposing(self.offset, &new)?;
        self.offset += new.len();
        self.accepted += new.len();
        self.extent = extent(&self.serving, &self.snapshot.text, self.offset);
        Some(bridge.to_owned())
    }

    /// Waits for a model's word and follows it to its end, or until somebody more urgent needs the
    /// turn. Dropped, it stops the model.
    async fn piece(&self, turn: &Turn, sink: &Sink) -> Result<Piece, Refusal> {
        let asked = async {
            let began = Instant::now();
            let (prompt, mode, mut events) = self.ask().await?;
            let result = self.follow(&mut events, began, turn, sink).await;
            let ended = matches!(&result, Ok(said) if said.ended);
            self.desk.clear_up(self.serving.clone(), Arc::clone(&prompt), ended.then_some(events));
            let said = result?;
            Ok(self.take_note(&prompt, mode, &said, began))
        };
        tokio::select! {
            piece = asked => piece,
            () = turn.called_back() => {
                Ok(Piece { end: End::Cut, blank: false, confidence: None })
            }
        }
    }

    /// Builds the prompt and sends it; once more when the server's context is smaller than it said.
    pub(super) async fn ask(&self) -> Result<(Arc<Prompt>, Mode, Events), Refusal> {
        let plan = self.plan();
        let stops = self.stops(plan.mode);
        let build = |budget: Budget| async move { Ok(self.build(plan, budget).await?.prompt) };
        let sent = self.sending(&stops).send(build).await;
        let outage = matches!(&sent, Err(Unsent::Model(error)) if error.is_outage());
        self.desk.router().did(&self.serving, outage);
        match sent {
            Ok((prompt, events)) => Ok((prompt, plan.mode, events)),
            Err(Unsent::Unbuilt(refusal)) => Err(refusal),
            Err(Unsent::Model(error)) => Err(Refusal::Model(error)),
        }
    }

    /// The part of the prompt that the next key leaves as it is.
    pub(super) async fn stable(&self) -> Option<Prompt> {
        let sending = self.sending(&[]);
        let budget = sending.budget(self.serving.context(sending.ceiling));
        let built = self.build(self.plan(), budget).await.ok()?;
        self.plan().stable(&built.prompt)
    }

    /// Has a prompt evaluated.
    pub(super) async fn evaluate(&self, prompt: Prompt) -> Result<Events, ModelError> {
        self.sending(&[]).once(Arc::new(prompt)).await
    }

    fn sending<'a>(&'a self, stop: &'a [String]) -> Sending<'a> {
        let speed = self.desk.speed(&self.serving);
        let target = Duration::from_millis(self.settings.ttft_target_ms.get());
        let ceiling = self.settings.max_local_context_tokens.size();
        let output = speed.output_tokens(output(self.extent));
        // The speed of this machine limits the prompt, the user's setting that and the output.
        let in_time = speed.prompt_tokens(target).map(|prompt| prompt + output);
        Sending {
            desk: &self.desk,
            settings: &self.settings,
            serving: &self.serving,
            ceiling: in_time.map_or(ceiling, |in_time| in_time.min(ceiling)),
            output,
            temperature: self.temperature,
            stop,
        }
    }

    fn plan(&self) -> Plan {
        Plan::of(&self.serving.model, self.settings.begun_middle)
    }

    /// Builds the prompt aside: files may have to be read. There is none in a file that is off limits.
    async fn build(&self, plan: Plan, budget: Budget) -> Result<Built, Refusal> {
        let (desk, settings) = (Arc::clone(&self.desk), Arc::clone(&self.settings));
        let (snapshot, offset, room) = (self.snapshot.clone(), self.offset, budget.window());
        let building = tokio::task::spawn_blocking(move || {
            let hides = |path: &Path| desk.hides(&settings, desk.index().scope().folders(), path);
            if let Some(why) = snapshot.path.as_deref().and_then(hides) {
                return Err(Refusal::OffLimits(why));
            }
            let workspace = Workspace {
                index: desk.index(),
                file: snapshot.path.as_deref(),
                most_tokens: settings.context_max_tokens.size(),
                shelf: desk.shelf(),
            };
            let view = View::of(&snapshot, offset);
            prompt::build(&view, Some(&workspace), plan, &budget).ok_or(Refusal::NoRoom(room))
        });
        // A panic in it is in the log.
        building.await.unwrap_or(Err(Refusal::NoRoom(room)))
    }

    /// At most four. Where nobody wants more than a line, a line break ends it.
    fn stops(&self, mode: Mode) -> Vec<String> {
        let family = match mode {
            Mode::Fim(tokens) => tokens.stop,
            Mode::Prefix | Mode::Hole => &[],
        };
        let small = self.serving.is_small();
        let line = match (self.extent, mode) {
            (Extent::Line { begun }, Mode::Fim(_) | Mode::Prefix) => {
                small || (begun && !self.audience.is_unasked())
            }
            _ => false,
        };
        let mut stops: Vec<String> = line.then(|| "\n".to_owned()).into_iter().collect();
        stops.extend(family.iter().take(4 - stops.len()).map(|stop| (*stop).to_owned()));
        stops
    }

    /// Hands over what comes, in the file's line breaks, until the model ends or what is typed
    /// disagrees. Dropping the stream stops the model; with the server's last word, which is the
    /// usage, it has stopped by itself.
    async fn follow(
        &self,
        events: &mut Events,
        began: Instant,
        turn: &Turn,
        sink: &Sink,
    ) -> Result<Said, ModelError> {
        let mut manner = Manner::at(&self.snapshot.text, self.offset);
        let mut said = Said { first_text: None, blank: true, cost: None, ended: false };
        let mut wanted = String::new();
        let mut odds = None;
        loop {
            match events.next().await.transpose()? {
                Some(Event::Odds(logprob)) => *odds.get_or_insert_default() += logprob,
                Some(Event::Text(text)) => {
                    said.first_text.get_or_insert_with(|| began.elapsed());
                    let text = manner.of_the_file(&text);
                    said.blank &= text.trim().is_empty();
                    if sink.push(&text, odds.take()).is_break() {
                        return Ok(said);
                    }
                    if !self.audience.is_unasked() {
                        wanted.push_str(&text);
                        if judge(self.extent, &wanted, None).is_some() {
                            return Ok(said);
                        }
                    }
                    turn.rank(if sink.is_awaited() { Rank::Foreground } else { Rank::Ahead });
                }
                Some(Event::Evaluating { tokens, cached }) => {
                    said.cost = Some(Usage {
                        prompt_tokens: Some(tokens),
                        cached_tokens: Some(cached),
                        ..Usage::unknown(Stop::Unsaid)
                    });
                }
                Some(Event::Done(usage)) => {
                    said.cost = Some(usage);
                    said.ended = true;
                    return Ok(said);
                }
                None => return Ok(said),
            }
        }
    }

    /// Learns from a piece that has come, and reports it.
    fn take_note(&self, prompt: &Arc<Prompt>, mode: Mode, said: &Said, began: Instant) -> Piece {
        let total = began.elapsed();
        let usage = said.cost;
        if let (Some(usage), Some(first_text)) = (usage, said.first_text) {
            self.desk.learn(
                &self.serving,
                &Run {
                    first_text,
                    decoding: total.saturating_sub(first_text),
                    prompt_tokens: usage.prompt_tokens,
                    cached_tokens: usage.cached_tokens,
                    output_tokens: usage.output_tokens,
                },
            );
        }
        if let Some(usage) = usage {
            if let Some(reported) = usage.prompt_tokens {
                self.desk.counter(&self.serving).calibrate(prompt, reported);
            }
            if let Some(cut) = model::budget::truncated(prompt, &usage, self.serving.model.context)
            {
                self.desk.warn_once(&self.serving, &cut);
            }
        }
        let complete = usage.is_some_and(|usage| usage.stop == Stop::Complete);
        let end = if complete || said.blank { End::Complete } else { End::Cut };
        let confidence = usage.and_then(|usage| usage.confidence);
        let piece = Piece { end, blank: said.blank, confidence };
        self.desk.report(Report {
            serving: self.serving.clone(),
            mode,
            prompt: Arc::clone(prompt),
            usage,
            withheld: self.doubts(piece.confidence),
            first_text: said.first_text,
            total,
        });
        piece
    }

    /// Why a piece is not shown to somebody who did not ask for it, if that is so.
    fn withheld(&self, piece: &Piece) -> Option<String> {
        self.doubts(piece.confidence).filter(|_| self.audience.is_unasked())
    }

    fn doubts(&self, confidence: Option<f32>) -> Option<String> {
        self.serving.unasked(&self.settings).or_else(|| self.serving.unsure(confidence))
    }
}

/// Brings what a model writes into the manner of the file: its line breaks, and no space that stands
/// in front of the cursor already. What is typed later is compared with it byte for byte.
struct Manner {
    crlf: bool,
    /// What stands on the line in front of the cursor.
    begun: String,
    /// Space at the very start, until something else comes; `None` from then on.
    leading: Option<String>,
}

impl Manner {
    fn at(text: &Rope, offset: usize) -> Self {
        Self {
            crlf: position::ends_in_crlf(text, offset),
            begun: position::line_around(text, offset).0,
            leading: Some(String::new()),
        }
    }

    fn of_the_file(&mut self, text: &str) -> String {
        let mut text = text.replace('\r', "");
        if let Some(leading) = self.leading.take() {
            text.insert_str(0, &leading);
            let bare = text.trim_start_matches([' ', '\t']);
            if bare.is_empty() {
                self.leading = Some(text);
                return String::new();
            }
            let twice = if self.begun.trim().is_empty() {
                text.strip_prefix(self.begun.as_str())
            } else {
                self.begun.ends_with([' ', '\t']).then_some(bare)
            };
            text = twice.map(str::to_owned).unwrap_or(text);
        }
        if self.crlf { text.replace('\n', "\r\n") } else { text }
    }
}

/// Tokens that an answer may have.
pub(super) fn output(extent: Extent) -> usize {
    if extent.is_block() { MOST_OUTPUT } else { LINE_TOKENS }
}

/// How much to suggest.
pub(super) fn extent(serving: &Serving, text: &Rope, offset: usize) -> Extent {
    if serving.is_small() { Extent::within_line(text, offset) } else { Extent::at(text, offset) }
}

/// Why a model was not asked, or did not answer.
pub(super) enum Refusal {
    Model(ModelError),
    /// Not even the cursor's line fits into this many tokens.
    NoRoom(usize),
    /// No model is shown anything of this file; why, as a sentence.
    OffLimits(String),
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl Refusal {
    /// What is left to say. A server that failed is looked at.
    fn end(&self, desk: &Desk) -> End {
        let reason = match self {
            Self::Model(error) => {
                tracing::warn!("{}", error.unquoted());
                desk.router().nudge();
                error.to_string()
            }
            Self::OffLimits(why) => why.clone(),
            Self::NoRoom(ceiling) => {
                format!(
                    "the cursor's line alone is larger than the {ceiling} tokens of the context"
                )
            }
        };
        End::Nothing { reason }
    }
}
