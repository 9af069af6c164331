//! The command that answers a question about the whole workspace: from the arguments to the screen.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::FutureExt;
use serde_json::json;
use tower_lsp::{
    gen_lsp_types::{LspAny, MessageType, ProgressToken},
    jsonrpc::{self, Error},
};

use super::{
    Hearth, Reply, WorkspaceTrust,
    progress::{Progress, Running},
    show::Screen,
};
use crate::{
    config::Settings,
    lsp::{ClientCaps, Outbox, ext::AnalyzeArguments},
    session::task::OwnedTask,
    task::{
        Desk, Grounds, Reach, Wish,
        analyze::{self, Kind, Place, Request, Stage},
    },
};

/// Starts an analysis. Dropping the reply stops it.
pub(super) fn analyze(
    hearth: &Hearth,
    arguments: AnalyzeArguments,
    token: Option<ProgressToken>,
) -> jsonrpc::Result<Reply<Option<LspAny>>> {
    let roots = hearth.session.roots();
    let wish = match (arguments.private, arguments.cloud) {
        (true, _) => Wish::Stays,
        (false, true) => Wish::GoesUp,
        (false, false) => Wish::AsRuled,
    };
    let request = request(arguments, roots.first().map(PathBuf::as_path))?;
    let root = match &request.within {
        Some(within) => roots.iter().filter(|root| within.starts_with(root)).max(),
        None => roots.first(),
    };
    let no_folder = || Error::invalid_params("no folder is open that the path is in");
    let grounds = Grounds {
        root: root.ok_or_else(no_folder)?.clone(),
        state: hearth.trust.state().map(Path::to_owned),
        trust: hearth.trust.source(),
        open: Some(Arc::clone(&hearth.session)),
    };
    let job = Job {
        desk: hearth.desk().ok_or_else(Error::internal_error)?,
        settings: hearth.settings.get(),
        grounds,
        wish,
        request,
        client: hearth.client(),
        outbox: hearth.outbox.clone(),
        running: hearth.running.clone(),
        trust: hearth.trust.clone(),
        screen: hearth.screen.clone(),
        token,
    };
    let task = OwnedTask::aside(job.run());
    Ok(async move { Ok(task.join().await.flatten()) }.boxed())
}

fn request(arguments: AnalyzeArguments, root: Option<&Path>) -> jsonrpc::Result<Request> {
    let AnalyzeArguments { question, kind, path, .. } = arguments;
    let kind = kind.as_deref().map(str::parse::<Kind>).transpose();
    let kind = kind.map_err(|error| Error::invalid_params(error.to_string()))?;
    let within =
        path.map(|path| root.map_or_else(|| PathBuf::from(&path), |root| root.join(&path)));
    // The folder itself confines nothing.
    let within = within.filter(|within| Some(&**within) != root);
    Ok(Request { question, kind, within })
}

/// All that an analysis needs while it runs.
#[derive(Debug)]
struct Job {
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    grounds: Grounds,
    wish: Wish,
    request: Request,
    client: ClientCaps,
    outbox: Outbox,
    running: Running,
    trust: WorkspaceTrust,
    screen: Screen,
    token: Option<ProgressToken>,
}

impl Job {
    async fn run(mut self) -> Option<LspAny> {
        let progress = Progress::begin(
            self.outbox.clone(),
            self.running.clone(),
            self.token.take(),
            self.client.work_done_progress,
            "Hearth: Analyze the codebase".to_owned(),
        )
        .await;
        let (said, answer) = tokio::select! {
            biased;
            () = progress.cancelled() => ("cancelled", None),
            answer = self.work(&progress) => match answer {
                Some(answer) => ("the report is open", Some(answer)),
                None => ("nothing done", None),
            },
        };
        progress.end(said);
        answer
    }

    /// Answers with the report's URI.
    async fn work(&self, progress: &Progress) -> Option<LspAny> {
        let report = |stage: Stage| {
            progress.report(stage.to_string(), matches!(stage, Stage::Writing(_)));
        };
        let (desk, settings) = (Arc::clone(&self.desk), Arc::clone(&self.settings));
        let reach = Reach::new(&self.grounds, &settings, self.trust.user(), self.wish);
        let place = Place { desk, settings, reach };
        match analyze::analyze(&place, &self.request, &report).await {
            Ok(report) => {
                let uri = self.screen.show_report(self.client, report.markdown).await?;
                serde_json::from_value(json!({ "uri": uri })).ok()
            }
            Err(refusal) => {
                self.screen.say(MessageType::Warning, format!("Analyze the codebase: {refusal}"));
                None
            }
        }
    }
}
