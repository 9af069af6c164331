//! The repositories: sources of our own dependency tree, as pinned by `Cargo.lock`, or folders that
//! are named on the command line.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tree_sitter::Tree;

use super::truth::{self, Definition};

/// Packages to tune on. Written by people, in many files, without a mountain of generated code.
pub const TUNED_ON: &[&str] = &[
    "clap_builder",
    "futures-util",
    "h2",
    "candle-core",
    "proptest",
    "quinn-proto",
    "rustls",
    "tokio",
    "tokio-util",
    "toml_edit",
    "tracing-subscriber",
    "zip",
];

/// Packages that nothing was tuned on.
pub const HELD_OUT: &[&str] = &[
    "aho-corasick",
    "boon",
    "criterion",
    "hyper",
    "mio",
    "rayon",
    "regex-automata",
    "reqwest",
    "ropey",
    "syn",
    "tokenizers",
    "tower-http",
];

pub struct Repo {
    pub name: String,
    pub root: PathBuf,
    pub files: Vec<Source>,
}

pub struct Source {
    pub path: PathBuf,
    /// From the root, with `/`.
    pub relative: String,
    pub text: String,
    pub tree: Tree,
    pub definitions: Vec<Definition>,
    /// Tests, benches, examples and generated files: no points are taken from them.
    pub is_aside: bool,
}

impl Repo {
    /// Reads every Rust file below `root`.
    pub fn read(name: &str, root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        ensure!(!files.is_empty(), "{} has no Rust files", root.display());
        Ok(Self { name: name.to_owned(), root: root.to_owned(), files })
    }

    pub fn lines(&self) -> usize {
        self.files.iter().map(|file| file.text.lines().count()).sum()
    }
}

/// The folders of packages in our dependency tree; of two versions, the newer one's.
pub fn packages() -> anyhow::Result<HashMap<String, PathBuf>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut folders: HashMap<String, (Vec<u64>, PathBuf)> = HashMap::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let field = |name| package[name].as_str().context("a package without a name");
        let numbers = field("version")?.split(|c: char| !c.is_ascii_digit());
        let version: Vec<u64> = numbers.filter_map(|part| part.parse().ok()).collect();
        let folder =
            Path::new(field("manifest_path")?).parent().context("a manifest in a folder")?;
        let known = folders.entry(field("name")?.to_owned()).or_default();
        if known.0 < version {
            *known = (version, folder.to_owned());
        }
    }
    Ok(folders.into_iter().map(|(name, (_, folder))| (name, folder)).collect())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, files)?;
            }
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        // What is not text in UTF-8 or very large is nothing that people edit.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if text.len() > 1 << 20 {
            continue;
        }
        let relative: Vec<_> =
            path.strip_prefix(root)?.iter().map(|part| part.to_string_lossy()).collect();
        let is_aside = relative.iter().any(|part| {
            matches!(
                &**part,
                "tests"
                    | "benches"
                    | "examples"
                    | "test"
                    | "fuzz"
                    | "tests.rs"
                    | "test.rs"
                    | "build.rs"
            )
        }) || text.lines().take(10).any(|line| line.contains("generated"));
        let tree = truth::parse(&text);
        let definitions = truth::definitions(tree.root_node(), &text);
        let relative = relative.join("/");
        files.push(Source { path, relative, text, tree, definitions, is_aside });
    }
    Ok(())
}
