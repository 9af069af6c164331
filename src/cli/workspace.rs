//! The file that a command is about, opened as an editor would, and the workspace around it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;

use crate::{
    config::{self, Settings},
    index::{Index, Scope},
    session::{Document, Opened},
    syntax::Language,
};

/// A file and the folder that counts as its workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) document: Document,
    root: PathBuf,
}

impl Workspace {
    /// Opens `file`. Its workspace is the repository that it lies in; without one, its folder.
    pub(super) fn around(file: &Path) -> anyhow::Result<Self> {
        let text = read(file)?;
        let path =
            file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?;
        let root = repository(&path).or(path.parent()).unwrap_or(&path).to_owned();
        let relative = path.strip_prefix(&root).unwrap_or(&path);
        let relative: Vec<_> =
            relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let document = opened(path.as_path().into(), &relative.join("/"), text);
        Ok(Self { document, root })
    }

    /// Starts to read the workspace.
    pub(super) fn index(&self, settings: &Settings) -> Arc<Index> {
        Arc::new(Index::start(Scope {
            roots: vec![self.root.clone()],
            exclude: settings.privacy_exclude.clone(),
            exclude_from: std::env::current_dir().into_iter().collect(),
            cargo_home: settings.context_dependencies.then(config::cargo_home).flatten(),
        }))
    }
}

/// Opens `file` under the path that it was named by.
pub(super) fn open(file: &Path) -> anyhow::Result<Document> {
    let text = read(file)?;
    let path =
        std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))?;
    let relative = file.display().to_string().replace('\\', "/");
    Ok(opened(path.into(), relative.trim_start_matches("./"), text))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .with_context(|| format!("{shown} is not text in UTF-8"))
}

fn opened(path: Arc<Path>, relative: &str, text: String) -> Document {
    let language = Language::by_path(&path).map_or("plaintext", |language| language.id);
    let opened = Opened {
        uri: path.to_string_lossy().into(),
        language_id: language.into(),
        version: 0,
        text,
        path: Some(path),
    };
    let document = Document::new(opened, relative.into(), None);
    document.reparse();
    document
}

/// The innermost repository that a file lies in.
pub(super) fn repository(file: &Path) -> Option<&Path> {
    file.ancestors().skip(1).find(|folder| folder.join(".git").exists())
}
