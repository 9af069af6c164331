//! A command that takes its time: with progress, until it ends or is cancelled.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::FutureExt;
use tower_lsp::{
    gen_lsp_types::{LspAny, ProgressToken},
    jsonrpc::{self, Error},
};

use super::{
    Hearth, Reply, WorkspaceTrust,
    place::Place,
    progress::{Progress, Running},
    show::Screen,
    test_runs::TestRuns,
};
use crate::{
    check::{Answer, Checker, Rights, Trust},
    config::Settings,
    lsp::{ClientCaps, Outbox},
    session::{Document, Session, task::OwnedTask},
    task::{self, Desk, Ground, Grounds, Reach, Wish, refactor::Request, source},
};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Work {
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
pub(super) struct Job {
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    pub(super) session: Arc<Session>,
    checker: Arc<Checker>,
    pub(super) client: ClientCaps,
    pub(super) outbox: Outbox,
    running: Running,
    trust: WorkspaceTrust,
    test_runs: TestRuns,
    pub(super) screen: Screen,
    token: Option<ProgressToken>,
    pub(super) title: String,
    work: Work,
    wish: Wish,
}

impl Job {
    pub(super) fn new(
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
            test_runs: hearth.test_runs.clone(),
            screen: hearth.screen.clone(),
            token,
            title,
            work,
            wish,
        })
    }

    /// Dropping the reply stops the work.
    pub(super) fn start(self) -> Reply<Option<LspAny>> {
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
        self.test_runs.rights(&self.root(), &self.settings, &self.trust, &user).await
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
                    open: Some(Arc::clone(&self.session)),
                },
                &self.settings,
                self.trust.user(),
                self.wish,
            ),
        }
    }
}
