//! `hearth refactor FILE:LINE INSTRUCTION` and `hearth test FILE:LINE`: a change that held, as a diff.
//!
//! stdout gets a diff that held and nothing else, so that it can be piped into `git apply`.

use std::{
    io::{BufReader, ErrorKind, IsTerminal as _, Stderr, Stdin, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};
use tokio::sync::watch;

use super::{
    place::Line,
    terminal::Terminal,
    workspace::{open, repository},
};
use crate::{
    check::{Answer, Checker, Limits, Rights, Trust},
    config::{self, RunTests, Settings, Toolchains},
    egress::{self, Decisions, Nobody, User},
    model::Client,
    session::{Document, Session},
    task::{
        self, Desk, Edit, Ground, Grounds, Outcome, Reach, Stage, Standing, Wish,
        refactor::{self, Action},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Refactor {
    /// An item's place, lines counted from 1
    #[arg(value_name = "FILE:LINE")]
    place: String,
    /// What to do with it
    instruction: String,
    /// Let the signature of a function change
    #[arg(long)]
    free_signature: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The place of a function or a type, lines counted from 1
    #[arg(value_name = "FILE:LINE")]
    place: String,
    /// How many tests to write
    #[arg(long, default_value_t = task::test::USUAL)]
    count: usize,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Write the change to the file
    #[arg(long)]
    apply: bool,
    /// Send it up for this run: to a cloud, past the border
    #[arg(long, conflicts_with = "private")]
    cloud: bool,
    /// Nothing of it may leave this machine
    #[arg(long)]
    private: bool,
}

impl How {
    fn wish(&self) -> Wish {
        match (self.private, self.cloud) {
            (true, _) => Wish::Stays,
            (false, true) => Wish::GoesUp,
            (false, false) => Wish::AsRuled,
        }
    }
}

/// Who asks on stderr and reads from stdin.
type AtTerminal = Terminal<BufReader<Stdin>, Stderr>;

enum Work {
    Refactor { instruction: String, free_signature: bool },
    Test { count: usize },
}

/// Exits with 1 when nothing held.
pub(super) fn refactor(arguments: Refactor, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let Refactor { place, instruction, free_signature, how } = arguments;
    run(&place, Work::Refactor { instruction, free_signature }, &how, assignments)
}

/// Exits with 1 when no test held.
pub(super) fn test(arguments: &Test, assignments: &[String]) -> anyhow::Result<ExitCode> {
    run(&arguments.place, Work::Test { count: arguments.count }, &arguments.how, assignments)
}

fn run(place: &str, work: Work, how: &How, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let place: Line = place.parse()?;
    let mut settings = super::settings(assignments)?;
    // Who wants it private wants nobody looked at either.
    settings.local_only |= how.private;
    let document = Arc::new(open(&place.file)?);
    let file = document.path().context("a file has a path")?.to_owned();
    let root = root_of(&file);
    let outcome = super::runtime()?.block_on(async {
        let terminal = std::io::stdin()
            .is_terminal()
            .then(|| Arc::new(Terminal::new(BufReader::new(std::io::stdin()), std::io::stderr())));
        let rights = rights(&root, &settings, terminal.as_deref()).await?;
        let user: Arc<dyn User> = match terminal {
            Some(terminal) => terminal,
            None => Arc::new(Nobody),
        };
        let (root, state) = (root.clone(), config::state_folder());
        let grounds = Grounds { root, state, trust: egress::Trust::Stored, open: None };
        let reach = Reach::new(&grounds, &settings, user, how.wish());
        outcome(&place, work, settings, &document, grounds.root, (rights, reach)).await
    });
    let edit = match outcome? {
        Outcome::Held(edit) => edit,
        Outcome::Refused(why) => anyhow::bail!("{why}"),
        Outcome::Fell { why, attempt } => {
            let mut about = std::io::stderr().lock();
            writeln!(about, "{}\n{why}", attempt.diff().trim_end())?;
            for note in &attempt.notes {
                writeln!(about, "{note}")?;
            }
            writeln!(about, "nothing held; the best attempt is above")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if how.apply {
        write(&edit)?;
    }
    std::io::stdout().lock().write_all(edit.diff().as_bytes())?;
    let mut about = std::io::stderr().lock();
    writeln!(about, "{}: {}", edit.title, edit.checks)?;
    for note in &edit.notes {
        writeln!(about, "{note}")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn outcome(
    place: &Line,
    work: Work,
    settings: Settings,
    document: &Arc<Document>,
    root: PathBuf,
    (rights, reach): (Rights, Reach),
) -> anyhow::Result<Outcome> {
    let settings = Arc::new(settings);
    let snapshot = document.snapshot();
    let at = place.offset(&snapshot.text)?;
    let (_settings, subscription) = watch::channel(Arc::clone(&settings));
    let session = Session::default();
    session.change_roots(|roots| roots.push(root));
    let cache = config::cache_or_temporary_folder().join("check");
    let ground = Ground {
        desk: Arc::new(Desk::open(Client::new()?, subscription, Arc::default())),
        settings,
        session: Arc::new(session),
        checker: Arc::new(Checker::new(cache, Toolchains::of_environment(), Limits::default())),
        rights,
        reach,
    };
    let shown = Mutex::new(String::new());
    let progress = |stage: Stage| {
        // Lines as they come are for a screen that can take them back.
        if matches!(stage, Stage::Writing(_)) {
            return;
        }
        let now = stage.to_string();
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != now {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{now}");
            *shown = now;
        }
    };
    let (document, selection) = (Arc::clone(document), at..at);
    Ok(match work {
        Work::Refactor { instruction, free_signature } => {
            let action = Action::Rewrite(instruction);
            let request =
                refactor::Request { document, snapshot, selection, action, free_signature };
            task::refactor(&ground, &request, &progress).await
        }
        Work::Test { count } => {
            let request = task::test::Request { document, snapshot, selection, count };
            task::test(&ground, &request, &progress).await
        }
    })
}

/// The repository around a file, else the folder that the command runs in, else the file's own.
fn root_of(file: &Path) -> PathBuf {
    let own = file.parent().unwrap_or(file);
    let here = std::env::current_dir().ok().filter(|here| file.starts_with(here));
    repository(file).map(Path::to_owned).or(here).unwrap_or_else(|| own.to_owned())
}

/// Asks on the terminal what is not decided; without one, nothing is allowed that was not.
async fn rights(
    root: &Path,
    settings: &Settings,
    terminal: Option<&AtTerminal>,
) -> anyhow::Result<Rights> {
    let user: &dyn User = match terminal {
        Some(terminal) => terminal,
        None => &Nobody,
    };
    let decisions = Decisions::new(&super::state_folder()?);
    let trusted = settings.check_compile
        && egress::Trust::Stored
            .ask(&decisions, root, user)
            .await
            .context("cannot read which folders are trusted")?;
    let terminal = terminal.filter(|_| trusted && settings.check_run_tests == RunTests::Ask);
    let question =
        "May its tests, and tests that the model writes, be run in a copy of the folder?";
    let answer = match terminal {
        Some(terminal) if terminal.agrees(question) => Answer::Yes,
        Some(_) => Answer::No,
        None => Answer::NotAsked,
    };
    // Where nothing is compiled, there is nothing to be trusted with.
    let trusted = trusted || !settings.check_compile;
    let trust = if trusted { Trust::Trusted } else { Trust::Untrusted };
    Ok(Rights::of(trust, settings, answer))
}

/// Writes the change, unless the file is not what it was any more.
fn write(edit: &Edit) -> anyhow::Result<()> {
    let file = &edit.proposal.file;
    let shown = file.display();
    match std::fs::read_to_string(file) {
        Ok(now) => ensure!(
            edit.standing != Standing::Missing && now == edit.proposal.text,
            "{shown} was changed meanwhile; nothing is written"
        ),
        Err(error) if error.kind() == ErrorKind::NotFound && edit.standing == Standing::Missing => {
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    }
    std::fs::write(file, edit.text()).with_context(|| format!("cannot write {shown}"))
}
