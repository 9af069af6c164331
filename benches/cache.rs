//! What a real llama-server keeps of its prompts while somebody types: a replay of keys, a request
//! each, and of each request the tokens that the server says were in its cache.
//!
//! Typed are bodies of functions of our own dependencies, pinned by `Cargo.lock`: a body is taken out
//! of its file and written again, key by key, with the line breaks and the indentation that an editor
//! adds. The next one stands in another file. Every key asks, and suggestions are never used again, so
//! that every key sends a request. The prompts are those of [`hearth::task::ask`], all of it: the
//! index of the packages, the shelf, the window, the layout.
//!
//! `tests/real/run --model models/hearth.gguf -- cargo bench --bench cache`
//!
//! Which model it is does not matter for the cache, but it takes a real tokenizer: with tokens of
//! single bytes nothing ever joins. `-- --each` lists the requests that evaluated more than a tenth,
//! `-- --begun` and `-- --plain` replay one of the two orders alone, and a number behind these types as
//! many bodies as it says instead of all of them.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hearth::{
    config::{Layers, Settings},
    index::{Index, Scope},
    model::Client,
    session::{Change, Document, Encoding, Follower, Opened, Point, position},
    syntax::Language,
    task::{self, Audience, Desk},
};
use ropey::Rope;
use serde_json::Value as Json;
use tokio::sync::watch;
use tree_sitter::Node;

const PACKAGES: [&str; 3] = ["h2", "ropey", "tracing-subscriber"];

/// Bodies that are typed in each package.
const BODIES: usize = 2;

/// Lines of a body.
const LINES: std::ops::RangeInclusive<usize> = 7..=9;

/// A body to be typed: where, and what.
struct Body {
    path: PathBuf,
    /// The file without it.
    text: String,
    /// In bytes, behind the opening bracket.
    at: usize,
    typed: String,
}

/// What a request cost.
struct Request {
    prompt: usize,
    evaluated: usize,
    /// The line up to the cursor.
    line: String,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let says = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let most = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(usize::MAX);
    #[expect(clippy::disallowed_methods, reason = "how tests/real/run names the server")]
    let Ok(endpoint) = std::env::var("HEARTH_REAL_ENDPOINT") else {
        let how = "start this by tests/real/run --model models/hearth.gguf -- cargo bench --bench cache\n";
        return std::io::stdout().write_all(how.as_bytes()).expect("stdout");
    };
    let folders = packages();
    let roots: Vec<PathBuf> = PACKAGES.iter().map(|name| folders[*name].clone()).collect();
    let mut bodies: Vec<Body> = roots.iter().flat_map(|root| bodies(root)).collect();
    bodies.truncate(most);
    let mut page =
        format!("{} bodies of functions; per request       median     p90    mean\n", bodies.len());
    for (begun, other) in [(true, "--plain"), (false, "--begun")] {
        if says(other) {
            continue;
        }
        let requests = replay(&endpoint, &roots, &bodies, begun).await;
        let order = if begun { "begun middle" } else { "plain order" };
        print(&mut page, order, &requests, says("--each"));
        std::io::stdout().write_all(page.as_bytes()).expect("stdout");
        page.clear();
    }
}

/// Folders by name.
fn packages() -> HashMap<String, PathBuf> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Json = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let folder = |package: &Json| {
        let manifest = Path::new(package["manifest_path"].as_str()?).to_owned();
        Some((package["name"].as_str()?.to_owned(), manifest.parent()?.to_owned()))
    };
    packages.filter_map(folder).collect()
}

/// Bodies in the largest files of a package, one a file, each from the middle of it.
fn bodies(package: &Path) -> Vec<Body> {
    let walk = ignore::WalkBuilder::new(package.join("src")).build();
    let mut files: Vec<(PathBuf, String)> = walk
        .filter_map(Result::ok)
        .map(ignore::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect();
    files.sort_by_key(|(path, text)| (std::cmp::Reverse(text.len()), path.clone()));
    files.into_iter().filter_map(|(path, text)| body(path, &text)).take(BODIES).collect()
}

fn body(path: PathBuf, text: &str) -> Option<Body> {
    let language = Language::by_id("rust")?;
    let tree = language.parse(&Rope::from_str(text), None, &false.into())?;
    let mut found = Vec::new();
    collect(tree.root_node(), &mut found);
    let fits = |node: &Node<'_>| {
        let lines = node.end_position().row - node.start_position().row;
        LINES.contains(&lines)
            && node.start_byte() > text.len() / 3
            && text[node.byte_range()].is_ascii()
    };
    let body = found.into_iter().find(fits)?;
    let (start, end) = (body.start_byte() + 1, text[..body.end_byte() - 1].trim_end().len());
    Some(Body {
        path,
        at: start,
        typed: text[start..end].to_owned(),
        text: format!("{}{}", &text[..start], &text[end..]),
    })
}

fn collect<'tree>(node: Node<'tree>, bodies: &mut Vec<Node<'tree>>) {
    if node.kind() == "function_item" {
        bodies.extend(node.child_by_field_name("body"));
    }
    for child in node.children(&mut node.walk()) {
        collect(child, bodies);
    }
}

/// Types all bodies, one after the other.
async fn replay(endpoint: &str, roots: &[PathBuf], bodies: &[Body], begun: bool) -> Vec<Request> {
    let settings = settings(endpoint, begun);
    let index = Arc::new(Index::start(Scope { roots: roots.to_vec(), ..Scope::default() }));
    index.settled().await;
    let (_settings, subscription) = watch::channel(Arc::clone(&settings));
    let client = Client::new().expect("a client");
    let desk = Arc::new(Desk::open(client, subscription, Arc::clone(&index)));
    let mut health = desk.router().watch();
    health.wait_for(|health| health.choice.is_some()).await.expect("a model");
    let mut requests = Vec::new();
    for body in bodies {
        type_in(&desk, &settings, &index, (roots, body), &mut requests).await;
    }
    requests
}

fn settings(endpoint: &str, begun: bool) -> Arc<Settings> {
    let mut layers = Layers::default();
    let assignments = [
        format!("router.local_endpoint={endpoint}"),
        "local.provider=llama-server".to_owned(),
        format!("completion.begun_middle={begun}"),
        // The prompt is as large as on a machine that is fast enough for it.
        "completion.ttft_target_ms=10000".to_owned(),
    ];
    layers.assign(&assignments).expect("settings");
    let (settings, complaints) = layers.resolve();
    assert!(complaints.is_empty(), "{complaints:?}");
    Arc::new(settings)
}

async fn type_in(
    desk: &Arc<Desk>,
    settings: &Arc<Settings>,
    index: &Arc<Index>,
    (roots, body): (&[PathBuf], &Body),
    requests: &mut Vec<Request>,
) {
    let relative = roots.iter().find_map(|root| body.path.strip_prefix(root).ok());
    let relative = relative.expect("it is of a package").to_string_lossy();
    let opened = Opened {
        uri: body.path.to_string_lossy().into(),
        path: Some(body.path.as_path().into()),
        language_id: "rust".into(),
        version: 0,
        text: body.text.clone(),
    };
    let follower: Arc<dyn Follower> = Arc::<Index>::clone(index);
    let document = Document::new(opened, relative.into(), Some(follower));
    document.reparse();
    let mut offset = body.at;
    let mut rest = body.typed.as_str();
    let mut version = 0;
    while !rest.is_empty() {
        // Behind a line break the editor indents.
        let bare = rest.trim_start_matches(['\n', ' ']);
        let key = if rest.starts_with('\n') { rest.len() - bare.len() } else { 1 };
        let (key, behind) = rest.split_at(key);
        let text = document.snapshot().text;
        let line_idx = text.byte_to_line(offset);
        let at = Point {
            line: u32::try_from(line_idx).expect("few lines"),
            character: u32::try_from(offset - text.line_to_byte(line_idx)).expect("short"),
        };
        assert_eq!(position::offset(&text, at, Encoding::Utf8), offset);
        version += 1;
        let change = Change { range: Some((at, at)), text: key.to_owned() };
        if document.apply(version, vec![change], Encoding::Utf8) {
            document.reparse();
        }
        index.settled().await;
        (offset, rest) = (offset + key.len(), behind);
        requests.push(ask(desk, settings, &document, offset).await);
    }
    index.closed(&body.path.as_path().into());
    index.settled().await;
}

async fn ask(
    desk: &Arc<Desk>,
    settings: &Arc<Settings>,
    document: &Document,
    offset: usize,
) -> Request {
    let snapshot = document.snapshot();
    // Nothing that was said before is used again.
    snapshot.owner.stop();
    let line = snapshot.text.byte_to_line(offset);
    let line = snapshot.text.byte_slice(snapshot.text.line_to_byte(line)..offset).to_string();
    let before = desk.last().borrow().report.clone();
    let (desk_, settings) = (Arc::clone(desk), Arc::clone(settings));
    task::ask(desk_, settings, snapshot, offset, Audience::Command).answer().await;
    let mut last = desk.last();
    let news = last
        .wait_for(|last| match (&last.report, &before) {
            (Some(now), Some(before)) => !Arc::ptr_eq(now, before),
            (now, None) => now.is_some(),
            (None, _) => false,
        })
        .await
        .expect("the desk is there");
    let usage = news.report.as_ref().and_then(|report| report.usage).expect("llama-server says");
    let (prompt, cached) = (usage.prompt_tokens.expect("said"), usage.cached_tokens.expect("said"));
    Request { prompt, evaluated: prompt - cached, line }
}

fn print(page: &mut String, order: &str, requests: &[Request], each: bool) {
    let mut prompts: Vec<f64> = requests.iter().map(|request| request.prompt as f64).collect();
    let share = |request: &Request| request.evaluated as f64 / request.prompt as f64 * 100.0;
    let mut evaluated: Vec<f64> = requests.iter().map(share).collect();
    let mut reused: Vec<f64> = evaluated.iter().map(|share| 100.0 - share).collect();
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let mut row = |what: &str, all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        let at = |percent: usize| all[(all.len() - 1) * percent / 100];
        let _ = writeln!(page, "  {what:<36}{:>9.1}{:>8.1}{:>8.2}", at(50), at(90), mean(all));
    };
    let mut heads = format!("{order}, {} requests", requests.len());
    row(&format!("{heads}: tokens"), &mut prompts);
    "of them reused, in percent".clone_into(&mut heads);
    row(&heads, &mut reused);
    row("evaluated anew, in percent", &mut evaluated);
    if each {
        for request in requests.iter().filter(|request| share(request) > 10.0) {
            let _ = writeln!(
                page,
                "    {:>5} of {:>5}  {:?}",
                request.evaluated, request.prompt, request.line
            );
        }
    }
}
