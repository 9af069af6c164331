//! What tasks share: who answers, what is known of that model's tokens, and how the last task went.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dashmap::DashMap;
use futures::StreamExt;
use tokio::sync::watch;

use super::{
    queue::Queue,
    speed::{Run, Speed},
};
use crate::{
    config::Settings,
    context::shelf::Shelf,
    egress::OffLimits,
    index::Index,
    model::{Client, Events, Prompt, Segment, TokenCounter, Usage, fim::Mode},
    route::{Router, Serving},
    session::{Snapshot, task::OwnedTask},
};

/// Shared by all tasks of one process.
#[derive(Debug)]
pub struct Desk {
    router: Router,
    index: Arc<Index>,
    shelf: Shelf,
    /// By the place and name of a model, as are the next two.
    counters: DashMap<String, TokenCounter>,
    speeds: DashMap<String, Speed>,
    queues: DashMap<String, Arc<Queue>>,
    last: watch::Sender<Last>,
    clearing: Mutex<Option<OwnedTask>>,
    /// What is to be done when the editor is idle.
    idle: Mutex<Option<OwnedTask>>,
    /// The prompt that each model saw last, by the same key.
    seen: DashMap<String, Arc<Prompt>>,
    /// Warnings that are in the log already.
    warned: DashMap<(String, String), ()>,
    limits: Mutex<Option<Limits>>,
}

/// What is off limits, as it was last read.
#[derive(Debug, Clone)]
struct Limits {
    folders: Vec<PathBuf>,
    exclude: Vec<String>,
    /// Or why they cannot be read, as a sentence.
    read: Result<Arc<OffLimits>, String>,
}

/// How the last task went.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// What the last generation was asked and what it cost.
    pub report: Option<Arc<Report>>,
    /// Why the last request brought no suggestion; `None` when it did.
    pub no_suggestion: Option<String>,
}

/// What a generation was asked, and what it cost.
#[derive(Debug, Clone)]
pub struct Report {
    pub serving: Serving,
    pub mode: Mode,
    pub prompt: Arc<Prompt>,
    /// As far as the server had said when the stream ended or was stopped.
    pub usage: Option<Usage>,
    /// Why this is not shown to somebody who did not ask for it, if that is so.
    pub withheld: Option<String>,
    /// From the start of the task to the first text.
    pub first_text: Option<Duration>,
    /// From the start of the task to its end.
    pub total: Duration,
}

impl Desk {
    /// Starts to look for models. Must be called inside a tokio runtime.
    pub fn open(
        client: Client,
        settings: watch::Receiver<Arc<Settings>>,
        index: Arc<Index>,
    ) -> Self {
        Self {
            router: Router::start(client, settings),
            index,
            shelf: Shelf::default(),
            counters: DashMap::new(),
            speeds: DashMap::new(),
            queues: DashMap::new(),
            last: watch::Sender::default(),
            clearing: Mutex::default(),
            idle: Mutex::default(),
            seen: DashMap::new(),
            warned: DashMap::new(),
            limits: Mutex::default(),
        }
    }

    pub fn router(&self) -> &Router {
        &self.router
    }

    /// What is known of the workspace.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Why no model is shown anything of the file at `path`, as a sentence, if that is so; `folders` are
    /// those of the workspace. Asks the file system: not for the read loop.
    pub(super) fn hides(
        &self,
        settings: &Settings,
        folders: Vec<PathBuf>,
        path: &Path,
    ) -> Option<String> {
        match self.limits(folders, &settings.privacy_exclude) {
            Ok(limits) => limits.hide(path),
            Err(unread) => Some(format!("no model is shown any file, as {unread}")),
        }
    }

    fn limits(&self, folders: Vec<PathBuf>, exclude: &[String]) -> Result<Arc<OffLimits>, String> {
        let mut kept = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.take().filter(|it| it.folders == folders && it.exclude == exclude);
        let limits = known.unwrap_or_else(|| {
            let read = OffLimits::new(&folders, exclude).map(Arc::new);
            let read = read.map_err(|refusal| refusal.to_string());
            Limits { folders, exclude: exclude.to_vec(), read }
        });
        kept.insert(limits).read.clone()
    }

    /// What prompts show of other files.
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// How the last task went, and every later one.
    pub fn last(&self) -> watch::Receiver<Last> {
        self.last.subscribe()
    }

    /// The user is at byte `offset` of `snapshot` now.
    pub(super) fn visit(&self, snapshot: &Snapshot, offset: usize) {
        if let Some(path) = &snapshot.path {
            self.shelf.trail.visit(path, &snapshot.text, offset);
        }
    }

    /// Somebody asks for something: what was being done in advance ends.
    pub(super) fn interrupt_idle(&self) {
        drop(self.idle());
    }

    /// Replaces what is done while the editor is idle.
    pub(super) fn when_idle(&self, start: impl FnOnce() -> OwnedTask) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The one before has to end first.
        *idle = None;
        *idle = Some(start());
    }

    fn idle(&self) -> Option<OwnedTask> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The model of `serving` has been sent this.
    pub(super) fn sent(&self, serving: &Serving, prompt: &Arc<Prompt>) {
        self.seen.insert(id(serving), Arc::clone(prompt));
    }

    /// Bytes at the end of `prompt` that the model of `serving` has not seen last behind the others.
    pub(super) fn bytes_not_seen(&self, serving: &Serving, prompt: &Prompt) -> usize {
        let len = |segments: &[Segment]| segments.iter().map(|it| it.as_str().len()).sum::<usize>();
        let all = len(prompt.segments());
        let Some(seen) = self.seen.get(&id(serving)) else { return all };
        let bytes = |prompt: &Prompt| -> Vec<u8> {
            prompt.segments().iter().flat_map(|it| it.as_str().bytes()).collect()
        };
        let (new, old) = (bytes(prompt), bytes(&seen));
        all - new.iter().zip(&old).take_while(|(a, b)| a == b).count()
    }

    /// Counts tokens as the model of `serving` does.
    pub(super) fn counter(&self, serving: &Serving) -> TokenCounter {
        self.counters.entry(id(serving)).or_default().clone()
    }

    /// How fast the model of `serving` has been.
    pub fn speed(&self, serving: &Serving) -> Speed {
        self.speeds.get(&id(serving)).map(|speed| *speed).unwrap_or_default()
    }

    pub(super) fn learn(&self, serving: &Serving, run: &Run) {
        self.speeds.entry(id(serving)).or_default().learn(run);
    }

    /// Whose turn it is at the model of `serving`.
    pub fn queue(&self, serving: &Serving) -> Arc<Queue> {
        Arc::clone(&self.queues.entry(id(serving)).or_default())
    }

    /// A number for the model that answers now: another one says other things.
    pub(super) fn serving_id(&self) -> u64 {
        let health = self.router.health();
        let mut hasher = DefaultHasher::new();
        if let Some(serving) = &health.choice {
            (serving.provider.endpoint(), &serving.model.name, &serving.model.file)
                .hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn report(&self, report: Report) {
        self.last.send_modify(|last| last.report = Some(Arc::new(report)));
    }

    /// Notes why there is no suggestion, or that there is one.
    pub(super) fn note(&self, no_suggestion: Option<String>) {
        self.last.send_if_modified(|last| {
            let news = last.no_suggestion != no_suggestion;
            last.no_suggestion = no_suggestion;
            news
        });
    }

    /// Warns of what is wrong with a model, once.
    pub(super) fn warn_once(&self, serving: &Serving, warning: &str) {
        if self.warned.insert((id(serving), warning.to_owned()), ()).is_none() {
            tracing::warn!("{warning}");
            self.note(Some(warning.to_owned()));
        }
    }

    /// What is left to do after a generation, and waits for nobody: reads the stream of one that has
    /// ended to its last byte, which keeps the connection; then lets the server count the pieces of
    /// the prompt that were estimated. A newer generation's replaces what is not done yet.
    pub(super) fn clear_up(&self, serving: Serving, prompt: Arc<Prompt>, ended: Option<Events>) {
        let counter = self.counter(&serving);
        let clearing = OwnedTask::spawn(async move {
            if let Some(mut events) = ended {
                while events.next().await.is_some() {}
            }
            for segment in prompt.segments() {
                let Segment::Text(text) = segment else { continue };
                // A short piece is estimated well enough, and changes with the next key.
                if text.len() < 256 || counter.is_exact(text) {
                    continue;
                }
                match serving.provider.count(&serving.model.name, text).await {
                    Ok(Some(tokens)) => counter.learn(text, tokens),
                    Ok(None) | Err(_) => return,
                }
            }
        });
        *self.clearing.lock().unwrap_or_else(PoisonError::into_inner) = Some(clearing);
    }
}

/// The place and name of a model.
fn id(serving: &Serving) -> String {
    format!("{} {}", serving.provider.endpoint(), serving.model.name)
}
