//! How much of what the next line needs is in the prompt, without a model.
//!
//! Statements are taken out of real Rust repositories. Each uses names that are defined in other
//! files of the same repository; what is counted is how many of those definitions stand in the
//! prompt that is built at the hole, beside what other ways to build one would have shown.
//!
//! ```text
//! cargo bench --bench recall                      both halves of the repositories
//! cargo bench --bench recall -- FOLDER...         these repositories instead
//! cargo bench --bench recall -- --forward [...]   with nothing written yet behind the function
//! cargo bench --bench recall -- --ours [...]      without the baselines, which take their time
//! cargo bench --bench recall -- --misses [...]    and what a prompt of 2,000 tokens does not show
//! cargo bench --bench recall -- --cuts [...]     and the pieces that begin or end inside of an item
//! cargo bench --bench recall -- --fit             the ranking's weights, from the first half
//! ```
//!
//! *DefRecall*: of all needed names, the share with a definition's line in the prompt. *Novel*: the
//! same of names that the rest of the file never mentions. *Name*: the name occurs at all. *AllHit*:
//! holes with every needed definition. *Precision*: of the tokens taken from other files, the share
//! in pieces that mention a needed name. All in percent. Tokens are [`TokenCounter`]'s, calibrated to
//! 3.3 bytes each, for every row.
#![allow(
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    clippy::print_stderr,
    clippy::similar_names,
    clippy::doc_markdown
)]

mod baselines;
mod corpus;
mod fit;
mod measure;
mod ours;
mod truth;

use std::path::PathBuf;

use baselines::Lexical;
use corpus::Repo;
use measure::Sums;
use truth::Stoplist;

/// How a hole is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The file as it is, without the statement.
    Maintenance,
    /// Nothing is written yet behind the statement's function, and nothing is imported for it.
    Forward,
}

/// What to measure and print.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub mode: Mode,
    /// Without the baselines.
    pub ours_alone: bool,
    /// List what is missed.
    pub misses: bool,
    /// Print what is cut.
    pub cuts: bool,
}

fn main() -> anyhow::Result<()> {
    let mut options =
        Options { mode: Mode::Maintenance, ours_alone: false, misses: false, cuts: false };
    let (mut folders, mut fits) = (Vec::new(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => {}
            "--forward" => options.mode = Mode::Forward,
            "--ours" => options.ours_alone = true,
            "--misses" => options.misses = true,
            "--cuts" => options.cuts = true,
            "--fit" => fits = true,
            folder => folders.push(PathBuf::from(folder)),
        }
    }
    if !folders.is_empty() {
        return measure("named on the command line", &named(&folders)?, options);
    }
    let packages = corpus::packages()?;
    let read = |name: &&str| {
        let folder = packages.get(*name).ok_or_else(|| anyhow::anyhow!("no package {name}"))?;
        Repo::read(name, folder)
    };
    let read_all = |names: &[&str]| names.iter().map(read).collect::<Result<Vec<_>, _>>();
    if fits {
        return fit::fit(&read_all(corpus::TUNED_ON)?);
    }
    measure("tuned on", &read_all(corpus::TUNED_ON)?, options)?;
    measure("held out", &read_all(corpus::HELD_OUT)?, options)
}

fn named(folders: &[PathBuf]) -> anyhow::Result<Vec<Repo>> {
    let read = |folder: &PathBuf| {
        let folder = folder.canonicalize()?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Repo::read(&name, &folder)
    };
    folders.iter().map(read).collect()
}

fn measure(title: &str, repos: &[Repo], options: Options) -> anyhow::Result<()> {
    let stoplist = Stoplist::default();
    let count = measure::counter(repos);
    let mut sums = Sums::default();
    println!("\n# Repositories {title}\n");
    for repo in repos {
        let points = truth::points(repo, &stoplist);
        let needed: usize = points.iter().map(|point| point.needed.len()).sum();
        let novel = points.iter().flat_map(|point| &point.needed).filter(|name| name.novel).count();
        let lexical = (!options.ours_alone).then(|| Lexical::new(repo));
        let ours = ours::Ours::open(repo)?;
        let before = sums.ours_at_2k();
        for point in &points {
            sums.point(repo, point, options, lexical.as_ref(), &ours, &count);
        }
        let (hit, all) = sums.ours_at_2k();
        println!(
            "{:<20} {:>7} lines {:>4} holes {:>4} needed {:>4} novel   DefRecall@2k {:>5.1}",
            repo.name,
            repo.lines(),
            points.len(),
            needed,
            novel,
            100.0 * (hit - before.0) as f64 / (all - before.1).max(1) as f64
        );
    }
    println!("\n{}", sums.table());
    Ok(())
}
