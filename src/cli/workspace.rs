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
        let shown = file.display();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
            .with_context(|| format!("{shown} is not text in UTF-8"))?;
        let path = file.canonicalize().with_context(|| format!("cannot find {shown}"))?;
        let repository = path.ancestors().skip(1).find(|folder| folder.join(".git").exists());
        let root = repository.or(path.parent()).unwrap_or(&path).to_owned();
        let relative = path.strip_prefix(&root).unwrap_or(&path);
        let relative: Vec<_> =
            relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let opened = Opened {
            uri: path.to_string_lossy().into(),
            language_id: Language::by_path(file).map_or("plaintext", |language| language.id).into(),
            version: 0,
            text,
            path: Some(path.as_path().into()),
        };
        let document = Document::new(opened, relative.join("/").into(), None);
        document.reparse();
        Ok(Self { document, root })
    }

    /// Starts to read the workspace.
    pub(super) fn index(&self, settings: &Settings) -> Arc<Index> {
        Arc::new(Index::start(Scope {
            roots: vec![self.root.clone()],
            exclude: settings.privacy_exclude.clone(),
            cargo_home: settings.context_dependencies.then(config::cargo_home).flatten(),
        }))
    }
}
