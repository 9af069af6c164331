//! The commands that change and explain an item: from the arguments to the screen.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::FutureExt;
use tower_lsp::{
    gen_lsp_types::{LspAny, MessageType, ProgressToken},
    jsonrpc::{self, Error},
};

use super::{
    Hearth, Reply, WorkspaceTrust,
    apply_edit::{self, Applied},
    consent::Consent,
    progress::{Progress, Running},
    show::{Screen, fenced},
};
use crate::{
    check::{Answer, Checker, Rights, Trust},
    config::Settings,
    lsp::{
        ClientCaps, Outbox, convert,
        ext::{ActionName, PlaceArguments, RefactorArguments},
    },
    session::{Document, Session, Snapshot, task::OwnedTask},
    task::{
        self, Desk, Edit, Ground, Grounds, Outcome, Reach, Wish,
        refactor::{Action, Request},
        source,
    },
};

pub(super) fn change(
    hearth: &Hearth,
    arguments: RefactorArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let action = action(&arguments)?;
    let title = action.title().to_owned();
    let Place { document, snapshot, selection, wish } = Place::find(hearth, &arguments.place)?;
    let free_signature = arguments.free_signature;
    let request = Request { document, snapshot, selection, action, free_signature };
    Ok(Job::new(hearth, token, title, Work::Change(request), wish)?.start())
}

pub(super) fn test(
    hearth: &Hearth,
    arguments: &PlaceArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let Place { document, snapshot, selection, wish } = Place::find(hearth, arguments)?;
    let request = task::test::Request { document, snapshot, selection, count: task::test::USUAL };
    let title = "Generate tests".to_owned();
    Ok(Job::new(hearth, token, title, Work::Test(request), wish)?.start())
}

pub(super) fn explain(
    hearth: &Hearth,
    arguments: &PlaceArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let place = Place::find(hearth, arguments)?;
    let wish = place.wish;
    Ok(Job::new(hearth, token, "Explain".to_owned(), Work::Explain(place), wish)?.start())
}

fn action(arguments: &RefactorArguments) -> jsonrpc::Result<Action> {
    let words = || {
        let words = arguments.instruction.as_deref().map(str::trim).unwrap_or_default();
        let missing = || Error::invalid_params("an instruction is missing");
        (!words.is_empty()).then(|| words.to_owned()).ok_or_else(missing)
    };
    Ok(match arguments.action {
        ActionName::Rewrite => Action::Rewrite(words()?),
        ActionName::Fix => Action::Fix(words()?),
        ActionName::Simplify => Action::Simplify,
        ActionName::Extract => Action::Extract,
        ActionName::HandleErrors => Action::HandleErrors,
        ActionName::Document => Action::Document,
    })
}

/// The place that a command is for, as the document was when the command came.
#[derive(Debug)]
struct Place {
    document: Arc<Document>,
    snapshot: Snapshot,
    selection: std::ops::Range<usize>,
    wish: Wish,
}

impl Place {
    fn find(hearth: &Hearth, arguments: &PlaceArguments) -> jsonrpc::Result<Self> {
        let document = match (&arguments.uri, &arguments.file) {
            (Some(uri), _) => hearth.session.document(uri.as_ref()),
            (None, Some(file)) => hearth.session.roots().iter().find_map(|root| {
                let uri = convert::to_uri(&root.join(file))?;
                hearth.session.document(uri.as_ref())
            }),
            (None, None) => return Err(Error::invalid_params("no uri and no file")),
        };
        let not_open = || Error::invalid_params("the document is not open");
        let document = document.ok_or_else(not_open)?;
        let snapshot = document.snapshot();
        let encoding = hearth.encoding();
        let offset = |position| convert::to_offset(&snapshot.text, position, encoding);
        let selection = match (arguments.range, arguments.line) {
            (Some(range), _) => offset(range.start)..offset(range.end),
            (None, Some(line)) => {
                let last = snapshot.text.len_lines().saturating_sub(1);
                let line = usize::try_from(line).unwrap_or(last).saturating_sub(1).min(last);
                let start = snapshot.text.line_to_byte(line);
                start..start
            }
            (None, None) => return Err(Error::invalid_params("no range and no line")),
        };
        let wish = if arguments.cloud { Wish::GoesUp } else { Wish::AsRuled };
        Ok(Self { document, snapshot, selection, wish })
    }
}

/// What is to be done.
#[derive(Debug)]
enum Work {
    Change(Request),
    Test(task::test::Request),
    Explain(Place),
}

impl Work {
    fn document(&self) -> &Arc<Document> {
        match self {
            Self::Change(request) => &request.document,
            Self::Test(request) => &request.document,
            Self::Explain(place) => &place.document,
        }
    }
}

/// All that a command needs while it runs.
#[derive(Debug)]
struct Job {
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    session: Arc<Session>,
    checker: Arc<Checker>,
    client: ClientCaps,
    outbox: Outbox,
    running: Running,
    trust: WorkspaceTrust,
    consent: Consent,
    screen: Screen,
    token: Option<ProgressToken>,
    title: String,
    work: Work,
    wish: Wish,
}

impl Job {
    fn new(
        hearth: &Hearth,
        token: Option<ProgressToken>,
        title: String,
        work: Work,
        wish: Wish,
    ) -> jsonrpc::Result<Self> {
        Ok(Self {
            desk: hearth.desk().ok_or_else(Error::internal_error)?,
            settings: hearth.settings.get(),
            session: Arc::clone(&hearth.session),
            checker: Arc::clone(&hearth.checker),
            client: hearth.client(),
            outbox: hearth.outbox.clone(),
            running: hearth.running.clone(),
            trust: hearth.trust.clone(),
            consent: hearth.consent.clone(),
            screen: hearth.screen.clone(),
            token,
            title,
            work,
            wish,
        })
    }

    /// Dropping the reply stops the work.
    fn start(self) -> Reply<Option<LspAny>> {
        let task = OwnedTask::aside(self.run());
        async move {
            // What came of it is on the screen.
            let _ = task.join().await;
            Ok(None)
        }
        .boxed()
    }

    async fn run(mut self) {
        let progress = Progress::begin(
            self.outbox.clone(),
            self.running.clone(),
            self.token.take(),
            self.client.work_done_progress,
            format!("Hearth: {}", self.title),
        )
        .await;
        let said = tokio::select! {
            biased;
            () = progress.cancelled() => "cancelled".to_owned(),
            said = self.work(&progress) => said,
        };
        progress.end(said);
    }

    /// Does the work, shows what came of it and says it in a few words.
    async fn work(&self, progress: &Progress) -> String {
        let report = |stage: task::Stage| {
            progress.report(stage.to_string(), matches!(stage, task::Stage::Writing(_)));
        };
        match &self.work {
            Work::Explain(place) => {
                let nothing = Rights::of(Trust::Untrusted, &self.settings, Answer::NotAsked);
                let ground = self.ground(nothing);
                let selection = place.selection.clone();
                match task::explain(&ground, &place.snapshot, selection, &report).await {
                    Ok(text) => {
                        self.screen.show(self.client, text).await;
                        "explained".to_owned()
                    }
                    Err(why) => self.refuse(why),
                }
            }
            Work::Change(request) => {
                let ground = self.ground(self.rights().await);
                let outcome = task::refactor(&ground, request, &report).await;
                self.show(outcome, progress).await
            }
            Work::Test(request) => {
                let ground = self.ground(self.rights().await);
                let outcome = task::test(&ground, request, &report).await;
                self.show(outcome, progress).await
            }
        }
    }

    async fn rights(&self) -> Rights {
        let user = self.trust.user();
        self.consent.rights(&self.root(), &self.settings, &self.trust, &user).await
    }

    /// The folder that counts as the workspace.
    fn root(&self) -> PathBuf {
        let path = self.work.document().path();
        path.map(|path| source::root(&self.session, path)).unwrap_or_default()
    }

    fn ground(&self, rights: Rights) -> Ground {
        Ground {
            desk: Arc::clone(&self.desk),
            settings: Arc::clone(&self.settings),
            session: Arc::clone(&self.session),
            checker: Arc::clone(&self.checker),
            rights,
            reach: Reach::new(
                &Grounds {
                    root: self.root(),
                    state: self.trust.state().map(Path::to_owned),
                    trust: self.trust.source(),
                },
                &self.settings,
                self.trust.user(),
                self.wish,
            ),
        }
    }

    async fn show(&self, outcome: Outcome, progress: &Progress) -> String {
        match outcome {
            Outcome::Refused(why) => self.refuse(why),
            Outcome::Fell { why, attempt } => self.leave(&attempt, &why).await,
            Outcome::Held(edit) if !self.client.apply_edit => {
                self.leave(&edit, "this editor takes no edits from a language server").await
            }
            Outcome::Held(edit) => {
                match apply_edit::apply(&self.outbox, self.client, &self.session, &edit).await {
                    Applied::Yes => {
                        let notes = edit.notes.iter().map(|note| format!("\n{note}"));
                        let said =
                            format!("{}: {}{}", edit.title, edit.checks, notes.collect::<String>());
                        if !progress.is_shown() || !edit.notes.is_empty() {
                            self.screen.say(MessageType::Info, &*said);
                        }
                        edit.checks
                    }
                    Applied::Outdated => self.leave(&edit, "the code was changed meanwhile").await,
                    Applied::No(why) => {
                        let why = why.map_or(String::new(), |why| format!(": {why}"));
                        self.screen
                            .say(MessageType::Info, format!("{}: not applied{why}", edit.title));
                        "not applied".to_owned()
                    }
                }
            }
        }
    }

    fn refuse(&self, why: String) -> String {
        self.screen.say(MessageType::Warning, format!("{}: {why}", self.title));
        "nothing done".to_owned()
    }

    /// Shows an edit that is not applied.
    async fn leave(&self, edit: &Edit, why: &str) -> String {
        let reason = match why.split_once('\n') {
            None => format!("{}.\n", why.trim_end_matches('.')),
            Some((first, rest)) => format!("{first}\n\n{}", fenced("text", rest)),
        };
        let mut page =
            format!("# {}: not applied\n\n{reason}\n{}", edit.title, fenced("diff", &edit.diff()));
        for (idx, note) in edit.notes.iter().enumerate() {
            page.extend([if idx == 0 { "\n" } else { "" }, "- ", note, "\n"]);
        }
        let first = why.lines().next().unwrap_or_default().trim_end_matches(':');
        self.screen.say(MessageType::Warning, format!("{}: not applied: {first}", edit.title));
        self.screen.show(self.client, page).await;
        "not applied".to_owned()
    }
}
