//! What all handlers share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower_lsp::Client;

use super::{
    CurrentSettings, EditorUser, WorkspaceTrust, progress::Running, show::Screen, tally,
    test_runs::TestRuns,
};
use crate::{
    check::{Checker, Limits},
    config::{self, Layers, Settings, Toolchains},
    index::{Index, Scope},
    lsp::{ClientCaps, Outbox},
    model,
    session::{Encoding, Follower, Session, task::OwnedTask},
    task::Desk,
};

/// One editor's server: what all handlers share, and the tasks that live as long as it does.
#[derive(Debug)]
pub struct Hearth {
    pub session: Arc<Session>,
    pub outbox: Outbox,
    pub settings: Arc<CurrentSettings>,
    pub trust: WorkspaceTrust,
    /// Cancelled when the client is gone; cancelling it ends the server.
    pub(super) gone: CancellationToken,
    /// Work that a user can cancel.
    pub(super) running: Running,
    pub(super) test_runs: TestRuns,
    pub(super) screen: Screen,
    pub(super) checker: Arc<Checker>,
    client: OnceLock<ClientCaps>,
    desk: OnceLock<Arc<Desk>>,
    pub(super) index: Arc<Index>,
    /// Keeps the index's scope that of the session's roots and the settings.
    pub(super) scoping: Mutex<Option<OwnedTask>>,
    /// Wakes that task when the roots change.
    pub(super) roots_changed: Arc<Notify>,
    /// Tells the client that the workspace is being read.
    pub(super) telling_progress: Mutex<Option<OwnedTask>>,
    /// Asks to be told of changed files, or watches for them here.
    pub(super) watching_files: Mutex<Option<OwnedTask>>,
    /// Writes down what becomes of suggestions.
    pub(super) keeping_tally: Mutex<Option<OwnedTask>>,
    /// Tells the client how the model is.
    pub(super) telling_status: Mutex<Option<OwnedTask>>,
    /// Asks the client for its settings; a newer question replaces the older one.
    pub(super) asking_settings: Mutex<Option<OwnedTask>>,
    /// Asks to be told of changed settings.
    pub(super) registering: Mutex<Option<OwnedTask>>,
    #[cfg(unix)]
    pub(super) watching_parent: Mutex<Option<OwnedTask>>,
}

/// Where a server keeps things, and how much its checks may take.
#[derive(Debug)]
pub struct Premises {
    pub cache: PathBuf,
    pub state: Option<PathBuf>,
    pub limits: Limits,
}

impl Hearth {
    pub fn new(
        client: Client,
        session: Arc<Session>,
        index: Arc<Index>,
        layers: Layers,
        premises: Premises,
        gone: CancellationToken,
    ) -> Self {
        let outbox = Outbox::new(client);
        let Premises { cache, state, limits } = premises;
        Self {
            session,
            running: Running::default(),
            test_runs: TestRuns::default(),
            screen: Screen::new(outbox.clone(), cache.join("shown")),
            checker: Arc::new(Checker::new(
                cache.join("check"),
                Toolchains::of_environment(),
                limits,
            )),
            trust: WorkspaceTrust::new(state, Arc::new(EditorUser::new(outbox.clone()))),
            settings: Arc::new(CurrentSettings::new(layers, outbox.clone())),
            outbox,
            gone,
            client: OnceLock::new(),
            desk: OnceLock::new(),
            index,
            scoping: Mutex::default(),
            roots_changed: Arc::default(),
            telling_progress: Mutex::default(),
            watching_files: Mutex::default(),
            keeping_tally: Mutex::default(),
            telling_status: Mutex::default(),
            asking_settings: Mutex::default(),
            registering: Mutex::default(),
            #[cfg(unix)]
            watching_parent: Mutex::default(),
        }
    }

    /// What the client can do; nothing before `initialize`.
    pub fn client(&self) -> ClientCaps {
        self.client.get().copied().unwrap_or_default()
    }

    /// What positions count on this connection.
    pub fn encoding(&self) -> Encoding {
        self.client().encoding
    }

    /// Where tasks are done; `None` before `initialize`.
    pub fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.get().cloned()
    }

    /// Starts to read the workspace, and to look for a model and to load it.
    pub(super) fn open_desk(&self) {
        self.follow_workspace();
        if let Some(state) = self.trust.state() {
            keep(&self.keeping_tally, tally::keep(&self.session, state.to_owned()));
        }
        match model::Client::new() {
            Ok(client) => {
                let desk = Desk::open(client, self.settings.subscribe(), Arc::clone(&self.index));
                let desk = Arc::new(desk);
                keep(
                    &self.telling_status,
                    super::status::tell(&desk, self.settings.subscribe(), self.outbox.clone()),
                );
                // The framework refuses a second `initialize`.
                let _ = self.desk.set(desk);
            }
            Err(error) => tracing::error!(%error, "no connection to any model can be made"),
        }
    }

    /// Has the index follow the session's documents, its roots and the settings.
    fn follow_workspace(&self) {
        let (session, index) = (Arc::clone(&self.session), Arc::clone(&self.index));
        session.set_follower(Arc::clone(&index) as Arc<dyn Follower>);
        let (mut settings, roots_changed) =
            (self.settings.subscribe(), Arc::clone(&self.roots_changed));
        let scope = |session: &Session, settings: &Settings| Scope {
            roots: session.roots(),
            exclude: settings.privacy_exclude.clone(),
            exclude_from: Vec::new(),
            cargo_home: settings.context_dependencies.then(config::cargo_home).flatten(),
        };
        // Before the first request: what is off limits is so from the first.
        index.set_scope(scope(&session, &settings.borrow_and_update()));
        let task = OwnedTask::spawn(async move {
            loop {
                tokio::select! {
                    changed = settings.changed() => if changed.is_err() { return },
                    () = roots_changed.notified() => {}
                }
                let scope = scope(&session, &settings.borrow_and_update());
                // Aside: every known file is looked at. A panic in it is in the log.
                let index = Arc::clone(&index);
                let _ = tokio::task::spawn_blocking(move || index.set_scope(scope)).await;
            }
        });
        keep(&self.scoping, task);
    }

    pub(super) fn met_client(&self, client: ClientCaps) {
        // The framework refuses a second `initialize`.
        let _ = self.client.set(client);
    }
}

/// Keeps `task` in place of the one before, which stops.
pub(super) fn keep(place: &Mutex<Option<OwnedTask>>, task: OwnedTask) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
}
