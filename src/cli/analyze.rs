//! `hearth analyze [PATH] QUESTION`: a report on a whole codebase, whose claims cite `path:line`.
//!
//! stdout gets the report, or the map, and nothing else.

use std::{
    io::{BufReader, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use serde_json::json;
use tokio::sync::watch;

use super::{terminal::Terminal, workspace::repository};
use crate::{
    config::{self, Settings},
    context::map::{Map, Sheet},
    egress::{Nobody, Trust, User},
    index::{Index, Scope},
    model::{Client, TokenCounter},
    task::{
        Desk, Grounds, Reach, Wish,
        analyze::{self, Kind, Place, Report, Request, Stage},
    },
};

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command, each with its own name")]
pub(super) struct Arguments {
    /// A folder or file to which the report is confined (else the folder that the command runs in),
    /// and what you want to know; with a kind or --map, either can be left out
    #[arg(value_name = "[PATH] QUESTION", num_args = 0..=2)]
    words: Vec<String>,
    /// The kind of analysis; all but where-is and impact have a question of their own
    #[arg(long, value_name = "KIND",
          value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Option<String>,
    /// Nothing of it may leave this machine
    #[arg(long)]
    private: bool,
    /// Send it up for this run, with your consent
    #[arg(long, conflicts_with = "private")]
    cloud: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print the map alone: every item where it stands, the central files first; asks no model
    #[arg(long)]
    map: bool,
}

impl Arguments {
    fn wish(&self) -> Wish {
        match (self.private, self.cloud) {
            (true, _) => Wish::Stays,
            (false, true) => Wish::GoesUp,
            (false, false) => Wish::AsRuled,
        }
    }
}

/// Exits with 1 when no model answered.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let kind = arguments.kind.as_deref().map(str::parse).transpose()?;
    let (path, question) = read(&arguments.words, kind.is_some() || arguments.map);
    if question.is_none() && kind.is_none() && !arguments.map {
        bail!("what do you want to know? (hearth analyze \"question\", or --kind, or --map)");
    }
    let shown = path.unwrap_or(".");
    let path = Path::new(shown).canonicalize().with_context(|| format!("cannot find {shown}"))?;
    let root = root_of(&path);
    let within = (path != root).then_some(path);
    let mut settings = super::settings(assignments)?;
    // Who wants it private wants nobody looked at either.
    settings.local_only |= arguments.private;
    let request = Request { question: question.map(str::to_owned), kind, within };
    super::runtime()?.block_on(async {
        let (_settings, place) = place(settings, root, arguments.wish())?;
        if arguments.map {
            let (map, source_tokens) = analyze::map(&place, request.within).await?;
            print_map(&map, source_tokens, arguments.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let report = report(&place, &request).await?;
        let mut out = std::io::stdout().lock();
        if arguments.json {
            writeln!(out, "{:#}", serde_json::to_value(&report)?)?;
        } else {
            out.write_all(report.markdown.as_bytes())?;
        }
        Ok(if report.by.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Path and question. One word alone is a path where a question need not be there and there is such
/// a path.
fn read(words: &[String], may_lack_question: bool) -> (Option<&str>, Option<&str>) {
    match words {
        [] => (None, None),
        [one] if may_lack_question && Path::new(one).exists() => (Some(one), None),
        [one] => (None, Some(one)),
        [path, question, ..] => (Some(path), Some(question)),
    }
}

/// The repository around a path, else the folder itself, or that of the file.
fn root_of(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    // A repository of its own counts as well.
    repository(&folder.join(".")).unwrap_or(folder).to_owned()
}

/// The sender keeps the settings as they are.
fn place(
    settings: Settings,
    root: PathBuf,
    wish: Wish,
) -> anyhow::Result<(watch::Sender<Arc<Settings>>, Place)> {
    let settings = Arc::new(settings);
    let (keep, subscription) = watch::channel(Arc::clone(&settings));
    let index = Arc::new(Index::start(Scope {
        roots: vec![root.clone()],
        exclude: settings.privacy_exclude.clone(),
        exclude_from: std::env::current_dir().into_iter().collect(),
        cargo_home: None,
    }));
    let user: Arc<dyn User> = if std::io::stdin().is_terminal() {
        Arc::new(Terminal::new(BufReader::new(std::io::stdin()), std::io::stderr()))
    } else {
        Arc::new(Nobody)
    };
    let (state, trust) = (config::state_folder(), Trust::Stored);
    let grounds = Grounds { root, state, trust, open: None };
    let reach = Reach::new(&grounds, &settings, user, wish);
    let desk = Arc::new(Desk::open(Client::new()?, subscription, index));
    Ok((keep, Place { desk, settings, reach }))
}

async fn report(place: &Place, request: &Request) -> anyhow::Result<Report> {
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
    Ok(analyze::analyze(place, request, &progress).await?)
}

fn print_map(map: &Map, source_tokens: usize, as_json: bool) -> anyhow::Result<()> {
    let count = |text: &str| TokenCounter::default().count(text);
    let tokens = map.tokens(&count);
    let mut out = std::io::stdout().lock();
    if as_json {
        let file = |sheet: &Sheet| {
            json!({ "path": sheet.relative_path, "lines": sheet.length, "items": sheet.items(),
                "text": sheet.text() })
        };
        let map = json!({
            "items": map.items(),
            "ofItems": map.of_items,
            "tokens": tokens,
            "sourceTokens": source_tokens,
            "files": map.sheets.iter().map(file).collect::<Vec<_>>(),
        });
        writeln!(out, "{map:#}")?;
        return Ok(());
    }
    for sheet in &map.sheets {
        out.write_all(sheet.text().as_bytes())?;
    }
    drop(out);
    let fewer = (1.0 - tokens as f64 / source_tokens.max(1) as f64) * 100.0;
    writeln!(
        std::io::stderr(),
        "{} of {} items in {} files; about {tokens} tokens, {fewer:.0} % fewer than the {source_tokens} \
         of the files",
        map.items(),
        map.of_items,
        map.sheets.len()
    )?;
    Ok(())
}
