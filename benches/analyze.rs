//! The analysis of real code from end to end: 100,000 lines of Hearth's own dependencies, as
//! `cargo metadata` names them, copied into one workspace.
//!
//! A cloud and a model of this machine are played by servers on real sockets: the cloud reads on three
//! times and answers with citations of which two are wrong; the model on this machine, with 24,000
//! tokens of context, is shown the map in parts. What is printed of coverage, tokens, citations and
//! bytes is counted here again, beside what the report says. Tokens are as Hearth estimates them.
//!
//! `cargo bench --bench analyze`

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use hearth::{
    context::map::Map,
    egress::Consent,
    model::TokenCounter,
    task::{
        Wish,
        analyze::{self, Request},
    },
};
use serde_json::{Value as Json, json};

#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/analyze/world.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod world;

use support::{
    fake_cloud::{Api, FakeCloud, Says},
    fake_model::{FakeModel, Reply},
};
use world::{Answers, World, plays, text_bytes, with_cloud, with_model};

/// Lines of the workspace.
const LINES: usize = 100_000;

/// Citations of the answer that hold.
const CITED: usize = 20;

const QUESTION: &str = "Where are buffers allocated, and who frees them?";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let page = runtime.block_on(page());
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

async fn page() -> String {
    let mut page = String::new();
    let (folder, names, lines) = workspace();
    let _ = writeln!(page, "{lines} lines of {} packages: {}", names.len(), names.join(", "));
    let root = fs::canonicalize(folder.path()).expect("a path").join("work");
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let model = FakeModel::llama_server().await;
    model.reply("GET /props", Reply::json(200, &props()));
    let settings = world::merged(with_cloud(&cloud, Api::Anthropic), with_model(&model));
    let world = World::at(folder, root, &settings);

    let began = Instant::now();
    world.desk.index().settled().await;
    let _ = writeln!(page, "\nindexed in {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let user = Answers::saying(Consent::Once);
    let place = world.place(Wish::AsRuled, &user);
    let (map, source_tokens) = analyze::map(&place, None).await.expect("a map");
    let tokens = map.tokens(&|text| TokenCounter::default().count(text));
    let _ = writeln!(
        page,
        "map: {} of {} items in {} files, {tokens} tokens where the files have {source_tokens}: {:.1} % \
         fewer; {:.1} s",
        map.items(),
        map.of_items,
        map.sheets.len(),
        (1.0 - tokens as f64 / source_tokens as f64) * 100.0,
        began.elapsed().as_secs_f64()
    );
    above(&mut page, &world, &cloud, &map).await;
    here(&mut page, &world, &model).await;
    page
}

/// A cloud that reads on.
async fn above(page: &mut String, world: &World, cloud: &FakeCloud, map: &Map) {
    let cited = citations(map);
    let name = cited.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    cloud.says(Says::call("c1", "read_symbol", &[&json!({ "name": name }).to_string()]));
    cloud.says(Says::call("c2", "search", &[&json!({ "words": QUESTION }).to_string()]));
    cloud.says(Says::call("c3", "list", &[&json!({ "path": "" }).to_string()]));
    let mut answer = String::new();
    for (name, place) in &cited {
        let _ = writeln!(answer, "- `{name}` takes part in it ({place}).");
    }
    answer.push_str("- So does this one (nowhere/to/be/found.rs:1).\n");
    let _ = writeln!(answer, "- And this one ({}:9999999).", map.sheets[0].relative_path);
    cloud.says(Says::text([answer.as_str()]));

    let began = Instant::now();
    let user = Answers::saying(Consent::Once);
    let report = world.analyze(&world::ask(QUESTION), &user).await;
    let took = began.elapsed().as_secs_f64();
    let sent: Vec<usize> =
        cloud.requests().iter().map(|request| text_bytes(Api::Anthropic, request)).collect();
    let logged: Vec<usize> =
        world.log().entries().expect("a log").iter().map(|entry| entry.bytes).collect();
    let _ = writeln!(
        page,
        "\nasked of a cloud ({} questions to the user), {took:.1} s:\n{}",
        user.times(),
        head(&report.markdown)
    );
    let _ = writeln!(
        page,
        "  bytes on the wire, request by request: {sent:?}\n  bytes in the log: {logged:?}\n  bytes by \
         the report: {}",
        report.left.bytes
    );
    let right = report.citations.iter().filter(|citation| citation.holds()).count();
    let _ = writeln!(
        page,
        "  citations: {right} of {} hold, where {} of {} were right",
        report.citations.len(),
        cited.len(),
        cited.len() + 2
    );
    assert_eq!((right, sent.iter().sum()), (cited.len(), report.left.bytes));
    assert_eq!(sent, logged);
}

/// A model on this machine, which is shown all of it in parts.
async fn here(page: &mut String, world: &World, model: &FakeModel) {
    let began = Instant::now();
    let user = Answers::none();
    let request = Request { question: Some(QUESTION.to_owned()), ..Request::default() };
    let answer = "- It is not said anywhere.\n";
    let (report, shown) =
        tokio::join!(world.analyze_as(Wish::Stays, &request, &user), plays(model, &[], answer));
    let took = began.elapsed().as_secs_f64();
    let largest = shown.iter().map(|text| TokenCounter::default().count(text)).max();
    let _ = writeln!(
        page,
        "\nkept here, {took:.1} s:\n{}  the largest of {} prompts: {} tokens",
        head(&report.markdown),
        shown.len(),
        largest.unwrap_or_default()
    );
}

/// The lines of a report that say what has to be known of it.
fn head(report: &str) -> String {
    let lines = report.lines().filter_map(|line| line.strip_prefix("> "));
    lines.flat_map(|line| ["  ", line.trim_end(), "\n"]).collect()
}

/// Names and places off the map, from one file each.
fn citations(map: &Map) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for sheet in &map.sheets {
        let named = sheet.lines.iter().find_map(|line| {
            let (number, signature) = line.text.trim().split_once(' ')?;
            let name = signature.split("fn ").nth(1)?;
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
            Some((name[..end].to_owned(), format!("{}:{number}", sheet.relative_path)))
        });
        found.extend(named);
        if found.len() == CITED {
            break;
        }
    }
    found
}

/// A llama-server's word on itself, with more context than the recorded one.
fn props() -> Json {
    json!({
        "default_generation_settings": { "params": { "n_predict": -1 }, "n_ctx": 24_000 },
        "total_slots": 1,
        "model_alias": "coder",
        "model_ftype": "Q8_0",
        "model_path": "/models/qwen2.5-coder-7b-Q8_0.gguf",
        "chat_template": "{% for m in messages %}{{'<|im_start|>' + m['role']}}{% endfor %}",
        "bos_token": "<|endoftext|>",
        "build_info": "b11669",
        "is_sleeping": false,
    })
}

/// A folder with as many packages as hold the lines, their names, and the lines; none holds more than a
/// tenth.
fn workspace() -> (tempfile::TempDir, Vec<String>, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut names, mut lines) = (BTreeSet::new(), 0);
    for package in packages() {
        if lines >= LINES {
            break;
        }
        let sources: Vec<(PathBuf, String)> = sources(&package);
        let here: usize = sources.iter().map(|(_, text)| text.lines().count()).sum();
        if here == 0 || here > LINES / 10 {
            continue;
        }
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (path, text) in sources {
            let below = path.strip_prefix(&package).expect("below its package");
            let copy = folder.path().join("work").join(&name).join(below);
            fs::create_dir_all(copy.parent().expect("a parent")).expect("a folder");
            fs::write(copy, text).expect("a file");
        }
        lines += here;
        names.insert(name);
    }
    (folder, names.into_iter().collect(), lines)
}

/// The folders of all dependencies, by name.
fn packages() -> Vec<PathBuf> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Json = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut folders: Vec<PathBuf> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| Some(Path::new(package["manifest_path"].as_str()?).parent()?.into()))
        .collect();
    folders.sort();
    folders
}

fn sources(package: &Path) -> Vec<(PathBuf, String)> {
    let entries = ignore::WalkBuilder::new(package).build().filter_map(Result::ok);
    entries
        .map(ignore::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() < 1 << 20))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect()
}
