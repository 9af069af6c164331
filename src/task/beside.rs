//! A file beside the one that a task is about: as an editor has it open, else as it is on disk, else as
//! it is to be made. Read once, when the task begins.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use url::Url;

use super::{edit::Standing, source::Source};
use crate::{
    session::{Document, Opened, Session, Snapshot},
    syntax::Language,
};

/// Another file, at one moment.
#[derive(Debug, Clone)]
pub struct Beside {
    pub snapshot: Snapshot,
    pub standing: Standing,
    pub(super) source: Source,
}

impl Beside {
    /// The file at `path`, in a workspace that `of` is a document of. `None` for what has no grammar.
    pub(super) fn read(
        session: &Session,
        of: &Snapshot,
        path: PathBuf,
    ) -> io::Result<Option<Self>> {
        let open = session.snapshots().into_iter();
        let open = open.into_iter().find(|open| open.path.as_deref() == Some(&*path));
        let (snapshot, standing) = match open {
            Some(open) => (open, Standing::Open),
            None => match std::fs::read_to_string(&path) {
                Ok(text) => (closed(of, path, text), Standing::OnDisk),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    (closed(of, path, String::new()), Standing::Missing)
                }
                Err(error) => return Err(error),
            },
        };
        let source = Source::of(&snapshot);
        Ok(source.map(|source| Self { snapshot, standing, source }))
    }
}

/// What an editor would have, had it opened the file.
fn closed(of: &Snapshot, path: PathBuf, text: String) -> Snapshot {
    let language = Language::by_path(&path).map_or("plaintext", |language| language.id);
    let uri = Url::from_file_path(&path).map_or_else(|()| String::new(), String::from);
    let relative = relative(of, &path);
    let opened = Opened {
        uri: uri.into(),
        path: Some(path.into()),
        language_id: language.into(),
        version: 0,
        text,
    };
    Document::new(opened, relative.into(), None).snapshot()
}

/// The path from where that of `of` begins, with `/`.
fn relative(of: &Snapshot, path: &Path) -> String {
    let depth = Path::new(&*of.relative_path).components().count();
    let base = of.path.as_deref().and_then(|own| own.ancestors().nth(depth));
    let below = base.and_then(|base| path.strip_prefix(base).ok()).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|it| it.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
