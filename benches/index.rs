//! The index on real code: the sources of Hearth's own dependencies, as `cargo metadata` names them.
//!
//! Cold: nothing is known, files come from the disk (its cache is warm after the first run); beside
//! the time on the clock stands the one on the processor, which other programs on the machine do not
//! stretch, shared out to two cores. Meanwhile somebody wants to look every millisecond, and waits as
//! long as is said. An edit: one character typed in the middle of a file that is open, from the
//! changed text to the changed index, with and without the incremental parse that the session does
//! anyway. A file on disk: from the event to the changed index, beside a parse of the same text
//! (on average of one before and one behind: whoever comes first pays for cold memory).
//! Memory: what the process holds more than before.
//!
//! Behind each figure that has a ceiling stands what share of it that is.
//!
//! `cargo bench --bench index`

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use hearth::{
    index::{Index, Scope, Symbol},
    syntax::Language,
};
use ropey::Rope;
use serde_json::Value as Json;

/// Of each kind of change.
const CHANGES: usize = 300;

/// Cold, in seconds per 100,000 lines on two cores.
const MOST_COLD: f64 = 1.0;
/// More memory than before, in MiB per 1,000,000 lines.
const MOST_MEMORY: f64 = 150.0;
/// For an edit, in milliseconds at the median and at the 95th percentile.
const MOST_EDIT: (f64, f64) = (2.0, 15.0);
/// For a file that changed on disk, in parses of it.
const MOST_ON_DISK: f64 = 1.5;

fn main() {
    let mut page = String::new();
    let packages = packages();
    // The larger first: what it frees is not given back and would count for less in the other.
    cold(&mut page, &packages, 1_000_000);
    cold(&mut page, &packages, 100_000);
    changes(&mut page, &packages);
    dependencies(&mut page);
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
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

/// As many of the folders as hold `lines` lines of Rust; none that alone holds more than a tenth.
fn with_lines(packages: &[PathBuf], lines: usize) -> Vec<PathBuf> {
    let mut sum = 0;
    let mut taken = Vec::new();
    for package in packages {
        if sum >= lines {
            break;
        }
        let count =
            |file: &PathBuf| fs::read_to_string(file).map_or(0, |text| text.lines().count());
        let here: usize = sources(package).iter().map(count).sum();
        if here <= lines / 10 {
            sum += here;
            taken.push(package.clone());
        }
    }
    taken
}

fn sources(package: &Path) -> Vec<PathBuf> {
    let entries = ignore::WalkBuilder::new(package).build().filter_map(Result::ok);
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs")
            && fs::metadata(path).is_ok_and(|metadata| metadata.len() < 1 << 20)
    };
    entries.map(ignore::DirEntry::into_path).filter(is_source).collect()
}

fn cold(page: &mut String, packages: &[PathBuf], lines: usize) {
    let roots = with_lines(packages, lines);
    let before = resident();
    let (worked, began) = (processor_time(), Instant::now());
    let index = Index::start(Scope { roots, ..Scope::default() });
    let done = AtomicBool::new(false);
    let waits = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut waits = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                drop(index.read());
                waits.push(began.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            waits
        });
        block_on(index.settled());
        done.store(true, Ordering::Relaxed);
        looking.join().expect("it only looks")
    });
    let took = began.elapsed();
    let worked = since(worked);
    let held = resident().saturating_sub(before);
    let totals = index.read().totals();
    let skipped = index.progress().borrow().skipped.clone();
    let _ = writeln!(
        page,
        "cold, {} lines in {} files, {} items, {} chunks, {} identifiers; skipped {skipped:?}",
        totals.lines, totals.files, totals.items, totals.chunks, totals.names,
    );
    let per = |time: f64| time * 100_000.0 / totals.lines as f64;
    let (took, shared) = (per(took.as_secs_f64()), per(worked.as_secs_f64() / 2.0));
    let _ = writeln!(
        page,
        "  {took:.2} s per 100,000 lines ({}), on the processor {shared:.2} s on each of two ({})",
        percent(took, MOST_COLD),
        percent(shared, MOST_COLD),
    );
    let per = mebibytes(held) * 1e6 / totals.lines as f64;
    let _ = writeln!(
        page,
        "  {:.0} MiB more resident, {per:.0} MiB per 1,000,000 lines ({})",
        mebibytes(held),
        percent(per, MOST_MEMORY),
    );
    row(page, "  a look meanwhile", waits, None);
    let mut searches = Vec::new();
    let view = index.read();
    for (id, file) in view.files().step_by(view.totals().files / 100 + 1) {
        let names: Vec<(Symbol, f32)> = file
            .all_uses()
            .step_by(file.all_uses().count() / 40 + 1)
            .map(|(name, _)| (name, 1.0))
            .collect();
        let began = Instant::now();
        let hits = view.search(&names, 20);
        searches.push(began.elapsed());
        assert!(names.is_empty() || hits.iter().any(|hit| hit.file == id) || hits.len() < 21);
    }
    row(page, "  search, up to 40 names", searches, None);
}

fn changes(page: &mut String, packages: &[PathBuf]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for package in with_lines(packages, 400_000) {
        let name = package.file_name().expect("a name");
        for file in sources(&package) {
            let to = folder.path().join(name).join(file.strip_prefix(&package).expect("below"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(&file, &to).expect("a copy");
            files.push(to);
        }
    }
    let index = Index::start(Scope { roots: vec![folder.path().into()], ..Scope::default() });
    block_on(index.settled());
    let language = Language::by_id("rust").expect("Rust");
    // Files as one is in them: a long one more often than a short one.
    let lines: Vec<usize> = files
        .iter()
        .map(|file| fs::read_to_string(file).map_or(0, |text| text.lines().count()))
        .collect();
    let step = lines.iter().sum::<usize>() / CHANGES;
    let (mut at, mut next, mut chosen) = (0, 0, Vec::new());
    for (file, lines) in files.iter().zip(&lines) {
        at += lines;
        if at > next {
            chosen.push(file);
            next = at + step;
        }
    }

    let never = AtomicBool::new(false);
    let (mut edits, mut worked, mut with_parse) = (Vec::new(), Vec::new(), Vec::new());
    for file in &chosen {
        let path: Arc<Path> = file.as_path().into();
        let mut text = Rope::from_str(&fs::read_to_string(file).expect("a file"));
        let mut tree = language.parse(&text, None, &never).expect("a tree");
        index.edited(Arc::clone(&path), Some(language), text.clone(), Some(tree.clone()));
        block_on(index.settled());
        let line = text.len_lines() / 2;
        let byte = text.line_to_byte(line);
        text.insert_char(text.line_to_char(line), ' ');
        let point = |column| tree_sitter::Point { row: line, column };
        tree.edit(&tree_sitter::InputEdit {
            start_byte: byte,
            old_end_byte: byte,
            new_end_byte: byte + 1,
            start_position: point(0),
            old_end_position: point(0),
            new_end_position: point(1),
        });
        let began = Instant::now();
        let tree = language.parse(&text, Some(&tree), &never).expect("a tree");
        let (until_parsed, before) = (began.elapsed(), processor_time());
        let parsed = Instant::now();
        index.edited(Arc::clone(&path), Some(language), text, Some(tree));
        block_on(index.settled());
        edits.push(parsed.elapsed());
        with_parse.push(until_parsed + parsed.elapsed());
        worked.push(since(before));
        index.closed(&path);
        block_on(index.settled());
    }
    row(page, "an edit", edits, Some(MOST_EDIT));
    row(page, "  on the processor", worked, Some(MOST_EDIT));
    row(page, "  with its parse", with_parse, None);

    let (mut on_disk, mut ratios, mut sums) = (Vec::new(), Vec::new(), (0.0, 0.0));
    for file in &chosen {
        let text = fs::read_to_string(file).expect("a file") + "\n// changed\n";
        fs::write(file, &text).expect("written");
        let parse = || {
            let before = processor_time();
            drop(language.parse_text(&text, &never));
            since(before).as_secs_f64()
        };
        let first = parse();
        let before = processor_time();
        let began = Instant::now();
        index.changed_on_disk([file.as_path()]);
        block_on(index.settled());
        on_disk.push(began.elapsed());
        let worked = since(before);
        let parsed = f64::midpoint(first, parse());
        ratios.push(worked.as_secs_f64() / parsed);
        sums = (sums.0 + worked.as_secs_f64(), sums.1 + parsed);
    }
    row(page, "a file changed on disk", on_disk, None);
    ratios.sort_by(f64::total_cmp);
    let at = |percent: usize| ratios[(ratios.len() - 1) * percent / 100];
    let _ = writeln!(
        page,
        "  in parses of them, on the processor: all together {:.2} ({}), median {:.2}, p95 {:.2}",
        sums.0 / sums.1,
        percent(sums.0 / sums.1, MOST_ON_DISK),
        at(50),
        at(95)
    );
}

/// What the packages that Hearth itself depends on add to its own sources.
fn dependencies(page: &mut String) {
    let roots = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    let index = Index::start(Scope { roots, ..Scope::default() });
    block_on(index.settled());
    let (before, items) = (resident(), item_count(&index));
    let (worked, began) = (processor_time(), Instant::now());
    index.set_scope(Scope { cargo_home: hearth::config::cargo_home(), ..index.scope() });
    block_on(index.settled());
    let _ = writeln!(
        page,
        "dependencies of Hearth: {} public items, {:.2} s, on the processor {:.2} s; {:.0} MiB more",
        item_count(&index) - items,
        began.elapsed().as_secs_f64(),
        since(worked).as_secs_f64(),
        mebibytes(resident().saturating_sub(before)),
    );
}

fn item_count(index: &Index) -> usize {
    let view = index.read();
    view.files().map(|(id, _)| view.items(id).count()).sum()
}

/// `most`: what the median and the 95th percentile must not be above, in milliseconds.
fn row(page: &mut String, what: &str, mut times: Vec<Duration>, most: Option<(f64, f64)>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let share = |most: Option<f64>, is: f64| {
        most.map_or(String::new(), |m| format!(" ({})", percent(is, m)))
    };
    let _ = writeln!(
        page,
        "{what} ({} times): median {:.2} ms{}, p95 {:.2} ms{}, max {:.2} ms",
        times.len(),
        at(50),
        share(most.map(|most| most.0), at(50)),
        at(95),
        share(most.map(|most| most.1), at(95)),
        at(100)
    );
}

fn percent(is: f64, most: f64) -> String {
    format!("{:.0} % of the ceiling", is / most * 100.0)
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What the process holds in memory, in bytes; 0 where that cannot be asked.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

/// Processor time since `before`.
fn since(before: Duration) -> Duration {
    processor_time().saturating_sub(before)
}

/// How long the process has had a processor; nothing where that cannot be asked.
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        // The system counts what a thread used when that goes to sleep, or at its next tick.
        std::thread::sleep(Duration::from_millis(5));
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(time).unwrap_or_default()
    }
    #[cfg(not(unix))]
    Duration::ZERO
}
