//! What `completion.show_above` rests on: how well a model's own probability of a line tells the lines
//! that are right from those that are wrong.
//!
//! `models/hearth.gguf` in this process, shown what the server shows it, completes the rest of code lines
//! of this crate, which it has never seen, each cut at a random character; right is the rest of the line
//! to the letter. Printed are the share of all pairs of a right and a wrong line in which the right one
//! has the higher probability (the area under the curve), for the product over the line's tokens and for
//! their mean, and how many lines fall below the setting's default.
//!
//! `cargo bench --bench confidence [CUTS]`

#[path = "../tests/support/random.rs"]
#[allow(dead_code, unreachable_pub, reason = "the other benches use the rest of it")]
mod random;

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use futures::StreamExt as _;
use hearth::{
    config::{Layers, Settings},
    context::{
        prompt::{self, Plan},
        window::View,
    },
    index::{Index, Scope},
    model::{Budget, Client, Event, Job, TokenCounter},
    route::{Serving, State},
    session::{Document, Opened},
    task::Desk,
};
use random::Random;
use tokio::sync::watch;

/// Cuts, unless the command line says how many.
const CUTS: usize = 700;

/// Tokens that a line may have.
const LINE_TOKENS: usize = 48;

/// What was said behind a cut.
struct Line {
    right: bool,
    /// Natural logarithms: of the product over its tokens, and of their mean.
    product: f32,
    mean: f32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cuts = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(CUTS);
    let mut layers = Layers::default();
    layers.assign(&["local.provider=built-in".to_owned()])?;
    let settings = Arc::new(layers.resolve().0);
    let (_settings, subscription) = watch::channel(Arc::clone(&settings));
    let index = Arc::new(Index::start(Scope::default()));
    let desk = Desk::open(Client::new()?, subscription, index);
    desk.router().watch().wait_for(|health| health.state == State::Warm).await?;
    let serving = desk.router().completes().map_err(anyhow::Error::msg)?;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&folder);
    let mut random = Random::new(7);
    let mut lines = Vec::new();
    while lines.len() < cuts {
        let path = &files[random.below(files.len())];
        let text = fs::read_to_string(path)?;
        let path = path.strip_prefix(&folder)?;
        let Some(at) = cut(&text, &mut random) else { continue };
        lines.push(complete(&serving, &settings, path, &text, at).await?);
    }
    print(&lines, settings.show_above.get())
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let walk = ignore::WalkBuilder::new(folder).sort_by_file_path(Path::cmp).build();
    let files = walk.filter_map(Result::ok).map(ignore::DirEntry::into_path);
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// A place inside a line of code, in bytes.
fn cut(text: &str, random: &mut Random) -> Option<usize> {
    let line = text.lines().nth(random.below(text.lines().count().max(1)))?;
    let code = line.trim();
    if code.len() < 4 || !code.is_ascii() || code.starts_with("//") {
        return None;
    }
    let start = code.as_ptr() as usize - text.as_ptr() as usize;
    Some(random.within(start + 1..start + code.len()))
}

/// Has the model say the rest of the line at byte `at` of `text`.
async fn complete(
    serving: &Serving,
    settings: &Settings,
    path: &Path,
    text: &str,
    at: usize,
) -> anyhow::Result<Line> {
    let behind = &text[at..];
    let rest = behind.split('\n').next().unwrap_or_default();
    let document = Document::new(
        Opened {
            uri: path.to_string_lossy().into(),
            path: Some(path.into()),
            language_id: "rust".into(),
            version: 0,
            text: format!("{}{}", &text[..at], &behind[rest.len()..]),
        },
        path.to_string_lossy().into(),
        None,
    );
    document.reparse();
    let snapshot = document.snapshot();
    let counter = TokenCounter::default();
    let budget = Budget::new(
        settings.max_local_context_tokens.size(),
        serving.model.context,
        LINE_TOKENS,
        counter,
    );
    let plan = Plan::of(&serving.model, false);
    let built = prompt::build(&View::of(&snapshot, at), None, plan, &budget);
    let job = Job {
        model: serving.model.name.clone(),
        prompt: Arc::new(built.context("the line alone is too long")?.prompt),
        temperature: 0.0,
        stop: vec!["\n".to_owned()],
        num_ctx: settings.max_local_context_tokens.size(),
        keep_alive: String::new(),
        slot: None,
    };
    let mut events = serving.provider.generate(job).await?;
    let (mut said, mut product, mut tokens) = (String::new(), 0.0, 0);
    while let Some(event) = events.next().await.transpose()? {
        match event {
            Event::Odds(logprob) => {
                product += logprob;
                tokens += 1;
            }
            Event::Text(text) => said.push_str(&text),
            Event::Evaluating { .. } | Event::Done(_) => {}
        }
    }
    let mean = product / f32::from(u16::try_from(tokens.max(1))?);
    Ok(Line { right: said.trim_end() == rest.trim_end(), product, mean })
}

/// The share of all pairs of a right and a wrong line in which the right one has more of `measure`.
fn area(lines: &[Line], measure: impl Fn(&Line) -> f32) -> f64 {
    let of = |right: bool| lines.iter().filter(move |line| line.right == right);
    let pairs = of(true).flat_map(|right| of(false).map(move |wrong| (right, wrong)));
    let (mut above, mut all) = (0.0, 0.0);
    for (right, wrong) in pairs {
        all += 1.0;
        above += match measure(right).total_cmp(&measure(wrong)) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
    }
    above / all
}

fn print(lines: &[Line], show_above: f32) -> anyhow::Result<()> {
    let right = |lines: &[&Line]| lines.iter().filter(|line| line.right).count();
    let (above, below): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.product.exp() >= show_above);
    let mut page = String::new();
    let all: Vec<_> = lines.iter().collect();
    writeln!(page, "{} cuts, {} right", lines.len(), right(&all))?;
    writeln!(
        page,
        "a right line above a wrong one, by the product: {:.3}",
        area(lines, |line| line.product)
    )?;
    writeln!(
        page,
        "                                by the mean:    {:.3}",
        area(lines, |line| line.mean)
    )?;
    writeln!(page, "below {show_above}: {}, {} right", below.len(), right(&below))?;
    writeln!(page, "above it:   {}, {} right", above.len(), right(&above))?;
    Ok(std::io::stdout().write_all(page.as_bytes())?)
}
