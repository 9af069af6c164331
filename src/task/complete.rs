//! The text that is missing at a cursor.
//!
//! A request has a ticket at its document's owner. What is known already answers it; else, unless it
//! is a moment to be quiet, it starts a generation, which goes on for later requests. What to show of
//! what was produced is decided for each request anew, from the text as it saw it, and made fit for
//! that text.

use std::{sync::Arc, time::Duration};

use super::{
    Desk,
    candidates::candidates,
    confidence::unsure,
    generation::{Generation, extent},
    prefill::prepare,
    quiet::{Quiet, quiet},
};
use crate::{
    check::{Place, Surroundings},
    config::Settings,
    route::{Serving, State},
    session::{
        Snapshot,
        owner::{End, Outcome, Ticket},
    },
    syntax::{Extent, Judge},
};

/// How long a request takes to be on its way to the model. What can be done meanwhile waits for that,
/// for the two compete for the same cores: on two of them it doubles the way of a keystroke.
const UNTIL_ASKED: Duration = Duration::from_millis(2);

/// How often a request starts over because its generation was stopped under it.
const STARTS: usize = 3;

/// Who waits for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Somebody who types, and is shown what a model is sure of without having asked for it.
    GhostText,
    /// The same in a popup, which does not wait longer than this.
    Popup(Duration),
    /// Somebody who asked for ghost text by a key: always gets an answer, and more than one to choose
    /// from.
    Invoked,
    /// Somebody who asked in so many words, once, and gets whatever the model says.
    Command,
}

impl Audience {
    /// Whether nobody has asked for a suggestion, and more will be wanted soon.
    pub(super) fn is_unasked(self) -> bool {
        matches!(self, Self::GhostText | Self::Popup(_))
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Texts to insert at the cursor, the best first: at least one, and one alone unless more were
    /// asked for.
    Suggestions(Vec<String>),
    /// There is nothing to show, and why.
    Nothing(String),
    /// A newer request or an edit made it obsolete.
    Overtaken,
    /// It did not come within the caller's patience; the next request may find it.
    Late,
}

/// Asks for what follows at byte `offset` of `snapshot`. Costs microseconds: for the read loop, in the
/// order in which requests come.
pub fn ask(
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    snapshot: Snapshot,
    offset: usize,
    audience: Audience,
) -> Asked {
    desk.interrupt_idle();
    desk.visit(&snapshot, offset);
    let ticket = snapshot.owner.ask(&snapshot.text, offset, desk.serving_id());
    // A popup is on its way while one types on; its editor does not ask once more for that.
    let ticket = if matches!(audience, Audience::Popup(_)) { ticket.following() } else { ticket };
    Asked { request: Request { desk, settings, snapshot, offset, audience }, ticket }
}

/// A request that has its ticket.
#[derive(Debug)]
pub struct Asked {
    request: Request,
    ticket: Ticket,
}

impl Asked {
    /// The answer, or the request itself where that is not at hand: somebody who types along is
    /// answered with what is on the screen already, and at a moment to be quiet there is nothing to
    /// do. Costs microseconds: for the read loop, so that a key that asks nothing of anybody waits for
    /// no other thread.
    #[expect(clippy::result_large_err, reason = "it is the request, which goes on")]
    pub fn at_hand(mut self) -> Result<Answer, Self> {
        match self.request.at_hand(&mut self.ticket) {
            Some(answer) => Ok(self.request.answered(answer)),
            None => Err(self),
        }
    }

    /// Completes it.
    pub async fn answer(mut self) -> Answer {
        let work = self.request.answer(&mut self.ticket);
        let answer = match self.request.audience {
            Audience::GhostText | Audience::Invoked | Audience::Command => work.await,
            Audience::Popup(patience) => {
                if let Ok(answer) = tokio::time::timeout(patience, work).await {
                    answer
                } else {
                    self.ticket.hand_over();
                    Answer::Late
                }
            }
        };
        self.request.answered(answer)
    }
}

/// A request for a completion.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) desk: Arc<Desk>,
    pub(super) settings: Arc<Settings>,
    pub(super) snapshot: Snapshot,
    pub(super) offset: usize,
    pub(super) audience: Audience,
}

impl Request {
    /// The answer that needs neither a model nor a look at the text around it.
    fn at_hand(&self, ticket: &mut Ticket) -> Option<Answer> {
        if !self.settings.completion_enabled {
            let why = "suggestions are switched off (completion.enabled)";
            return Some(Answer::Nothing(why.to_owned()));
        }
        if let Some(Quiet::Silent(why)) = self.quiet(ticket) {
            return Some(Answer::Nothing(why.to_owned()));
        }
        let offered = if self.audience.is_unasked() { ticket.still_offered() } else { None };
        offered.map(|left| Answer::Suggestions(vec![left]))
    }

    fn quiet(&self, ticket: &Ticket) -> Option<Quiet> {
        let Snapshot { text, tree, .. } = &self.snapshot;
        let unasked = self.audience.is_unasked();
        unasked.then(|| quiet(text, tree.as_ref(), self.offset, ticket.touch())).flatten()
    }

    /// Takes note of what it came to.
    fn answered(self, answer: Answer) -> Answer {
        match &answer {
            Answer::Suggestions(_) => self.desk.note(None),
            Answer::Nothing(reason) => self.desk.note(Some(reason.clone())),
            Answer::Overtaken | Answer::Late => {}
        }
        if self.audience.is_unasked() && answer != Answer::Overtaken {
            prepare(self);
        }
        answer
    }

    async fn answer(&self, ticket: &mut Ticket) -> Answer {
        if let Some(answer) = self.at_hand(ticket) {
            return answer;
        }
        let quiet = self.quiet(ticket);
        let mut surroundings = None;
        for _ in 0..STARTS {
            if !ticket.is_served() {
                if let Some(Quiet::FromMemory(why)) = quiet {
                    return Answer::Nothing(why.to_owned());
                }
                match self.start(ticket).await {
                    Some(Answer::Nothing(why)) if !self.audience.is_unasked() => {
                        return Answer::Nothing(why);
                    }
                    Some(answer) => return answer,
                    None => {}
                }
            }
            let extent = self.extent();
            let outcome = {
                let judge = |produced: &str, end: Option<&End>| judge(extent, produced, end);
                let doubt = |likelihood| unsure(likelihood, self.show_above());
                let mut outcome = std::pin::pin!(ticket.outcome(judge, doubt));
                tokio::select! {
                    outcome = &mut outcome => outcome,
                    // While the model is thinking.
                    () = tokio::time::sleep(UNTIL_ASKED) => {
                        if surroundings.is_none() {
                            surroundings = self.surroundings(extent).await;
                        }
                        outcome.await
                    }
                }
            };
            match outcome {
                Outcome::Overtaken => return Answer::Overtaken,
                Outcome::Stopped => {}
                Outcome::Nothing(reason) => return self.instead(ticket, None, reason).await,
                Outcome::Text(text) => {
                    let looked_at = match surroundings.take() {
                        None => tokio::select! {
                            () = ticket.overtaken() => return Answer::Overtaken,
                            looked_at = self.surroundings(extent) => looked_at,
                        },
                        known => known,
                    };
                    let Some(surroundings) = looked_at else {
                        return Answer::Nothing("what stands around it cannot be read".to_owned());
                    };
                    if self.audience.is_unasked() && ticket.was_rejected(&text) {
                        return Answer::Nothing("this was turned down just now".to_owned());
                    }
                    return match surroundings.fit(&text) {
                        Ok(first) if self.audience == Audience::Invoked => {
                            self.instead(ticket, Some(first), String::new()).await
                        }
                        Ok(text) => self.offer(ticket, vec![text]),
                        Err(unfit) => self.instead(ticket, None, unfit.to_string()).await,
                    };
                }
            }
        }
        Answer::Nothing("the text changed faster than the model could follow".to_owned())
    }

    /// Starts a generation, when it is time to. An answer if there is nothing to wait for.
    async fn start(&self, ticket: &Ticket) -> Option<Answer> {
        let serving = match serving(&self.desk) {
            Ok(serving) => serving,
            Err(reason) => return Some(Answer::Nothing(reason)),
        };
        if let Some(reason) = serving.unasked(&self.settings)
            && self.audience.is_unasked()
        {
            return Some(Answer::Nothing(reason));
        }
        let debounce = self.debounce(&serving, ticket);
        if !debounce.is_zero() {
            tokio::select! {
                () = ticket.overtaken() => return Some(Answer::Overtaken),
                () = tokio::time::sleep(debounce) => {}
            }
        }
        if let Some(why) = self.off_limits().await {
            return Some(Answer::Nothing(why));
        }
        ticket.start(|sink| self.generation(serving, 0.0).run(sink));
        None
    }

    /// Why no model is shown anything of the document, if that is so. No prompt is built of it either;
    /// said here, it waits for no turn at the model.
    async fn off_limits(&self) -> Option<String> {
        let path = self.snapshot.path.clone().filter(|_| !self.settings.privacy_exclude.is_empty());
        let (path, desk, settings) = (path?, Arc::clone(&self.desk), Arc::clone(&self.settings));
        let looking = tokio::task::spawn_blocking(move || {
            desk.hides(&settings, desk.index().scope().folders(), &path)
        });
        // A panic in it is in the log.
        looking.await.ok().flatten()
    }

    /// How long to wait for another key.
    fn debounce(&self, serving: &Serving, ticket: &Ticket) -> Duration {
        if !self.audience.is_unasked() {
            return Duration::ZERO;
        }
        let wait = if let Some(ms) = self.settings.debounce_ms.set() {
            Duration::from_millis(ms.get())
        } else {
            let waited = ticket.rest().unwrap_or_default();
            self.desk.speed(serving).debounce(ticket.rhythm(), waited)
        };
        match self.audience {
            // Nothing is asked once a popup's patience is over.
            Audience::Popup(patience) => wait.min(patience / 2),
            _ => wait,
        }
    }

    /// What there is to choose from, if somebody asked for a suggestion by a key; else `first`, or the
    /// reason why there is none.
    async fn instead(&self, ticket: &Ticket, first: Option<String>, reason: String) -> Answer {
        let all = if self.audience == Audience::Invoked {
            tokio::select! {
                () = ticket.overtaken() => return Answer::Overtaken,
                all = candidates(self, first) => all,
            }
        } else {
            first.into_iter().collect()
        };
        if all.is_empty() { Answer::Nothing(reason) } else { self.offer(ticket, all) }
    }

    /// Hands suggestions over, and counts that for an editor.
    fn offer(&self, ticket: &Ticket, all: Vec<String>) -> Answer {
        if let Some(first) = all.first().filter(|_| self.audience != Audience::Command) {
            ticket.offers(first);
        }
        Answer::Suggestions(all)
    }

    /// What a model has to find likelier than this to be shown unasked. A small one has a measure of
    /// its own, for the whole of what it says.
    fn show_above(&self) -> f32 {
        let own = serving(&self.desk).is_ok_and(|serving| serving.is_small());
        if own || !self.audience.is_unasked() { 0.0 } else { self.settings.show_above.get() }
    }

    pub(super) fn generation(&self, serving: Serving, temperature: f32) -> Generation {
        Generation {
            desk: Arc::clone(&self.desk),
            settings: Arc::clone(&self.settings),
            extent: extent(&serving, &self.snapshot.text, self.offset),
            serving,
            snapshot: self.snapshot.clone(),
            offset: self.offset,
            audience: self.audience,
            temperature,
            accepted: 0,
        }
    }

    pub(super) fn extent(&self) -> Extent {
        match serving(&self.desk) {
            Ok(serving) => extent(&serving, &self.snapshot.text, self.offset),
            Err(_) => Extent::at(&self.snapshot.text, self.offset),
        }
    }

    /// What a suggestion has to fit, looked at aside: the item around the cursor is parsed for it, and
    /// the editor's messages are read on this thread. `None` after a panic, which is in the log.
    pub(super) async fn surroundings(&self, extent: Extent) -> Option<Surroundings> {
        let (snapshot, offset) = (self.snapshot.clone(), self.offset);
        let looking = tokio::task::spawn_blocking(move || {
            Surroundings::of(&Place {
                text: &snapshot.text,
                tree: snapshot.tree.as_ref(),
                language: snapshot.language,
                offset,
                extent,
            })
        });
        looking.await.ok()
    }
}

/// How many bytes of `produced` to show at once that is decided.
pub(super) fn judge(extent: Extent, produced: &str, end: Option<&End>) -> Option<usize> {
    let mut judge = Judge::new(extent);
    judge.push(produced).or_else(|| end.map(|end| judge.finish(*end == End::Complete)))
}

/// Who completes, if it is there or can be loaded.
pub(super) fn serving(desk: &Desk) -> Result<Serving, String> {
    let health = desk.router().health();
    match health.state {
        State::Warm | State::Cold => desk.router().completes(),
        State::Loading | State::Down => Err(health.message.clone()),
    }
}
