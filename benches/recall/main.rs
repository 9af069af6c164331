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
//! ```
//!
//! *DefRecall*: of all needed names, the share with a definition's line in the prompt. *Novel*: the
//! same of names that the rest of the file never mentions. *Name*: the name occurs at all. *AllHit*:
//! holes with every needed definition. *Precision*: of the tokens taken from other files, the share
//! in pieces that mention a needed name. All in percent. Tokens are [`TokenCounter`]'s, calibrated to
//! 3.3 bytes each, for every row.
#![allow(clippy::print_stdout, missing_docs, unreachable_pub)]

mod baselines;
mod corpus;
mod measure;
mod ours;
mod truth;

use std::path::PathBuf;

use baselines::Lexical;
use corpus::Repo;
use measure::Sums;
use truth::Stoplist;

/// How a hole is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The file as it is, without the statement.
    Maintenance,
    /// Nothing is written yet behind the statement's function, and nothing is imported for it.
    Forward,
}

fn main() -> anyhow::Result<()> {
    let mut mode = Mode::Maintenance;
    let mut folders = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => {}
            "--forward" => mode = Mode::Forward,
            folder => folders.push(PathBuf::from(folder)),
        }
    }
    if !folders.is_empty() {
        return measure("named on the command line", &named(&folders)?, mode);
    }
    let packages = corpus::packages()?;
    for (title, names) in [("tuned on", corpus::TUNED_ON), ("held out", corpus::HELD_OUT)] {
        let read = |name: &&str| {
            let folder = packages.get(*name).ok_or_else(|| anyhow::anyhow!("no package {name}"))?;
            Repo::read(name, folder)
        };
        measure(title, &names.iter().map(read).collect::<Result<Vec<_>, _>>()?, mode)?;
    }
    Ok(())
}

fn named(folders: &[PathBuf]) -> anyhow::Result<Vec<Repo>> {
    let read = |folder: &PathBuf| {
        let folder = folder.canonicalize()?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Repo::read(&name, &folder)
    };
    folders.iter().map(read).collect()
}

fn measure(title: &str, repos: &[Repo], mode: Mode) -> anyhow::Result<()> {
    let stoplist = Stoplist::default();
    let count = measure::counter(repos);
    let mut sums = Sums::default();
    println!("\n# Repositories {title}\n");
    for repo in repos {
        let points = truth::points(repo, &stoplist);
        let needed: usize = points.iter().map(|point| point.needed.len()).sum();
        let novel = points.iter().flat_map(|point| &point.needed).filter(|name| name.novel).count();
        let lexical = Lexical::new(repo);
        let ours = ours::Ours::open(repo)?;
        let before = sums.ours_at_2k();
        for point in &points {
            sums.point(repo, point, mode, &lexical, &ours, &count);
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
