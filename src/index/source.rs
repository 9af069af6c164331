//! Reading one file, or saying why not. A file may be anything and may change or go at any moment.

use std::{
    fmt,
    fs::{self, File, Metadata},
    io::Read as _,
    path::Path,
    time::SystemTime,
};

use crate::syntax::{Language, table::LANGUAGES};

/// Files above this are not read, in bytes: data, or written by a program.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a program says that it has written a file: within this many bytes from its start.
const HEAD_BYTES: usize = 1_024;

/// Lines of a text that people write are shorter than this on average, in bytes.
const MAX_MEAN_LINE_BYTES: usize = 300;

/// Extensions of languages without a grammar that are read as text.
const TEXT_EXTENSIONS: &[&str] = &[
    "bash", "c", "cc", "clj", "cpp", "cs", "cxx", "dart", "ex", "exs", "fs", "fsx", "go", "h",
    "hpp", "hs", "hxx", "java", "js", "jsx", "jl", "kt", "kts", "lua", "m", "mjs", "ml", "mli",
    "mm", "nim", "php", "pl", "pm", "proto", "ps1", "py", "pyi", "r", "rb", "scala", "sh", "sql",
    "swift", "ts", "tsx", "v", "vue", "zig", "zsh",
];

/// Why a file is not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// Larger than a mebibyte.
    TooLarge,
    /// Not UTF-8, or with zeros in it.
    Binary,
    /// Written by a program, as it says itself or as its long lines say.
    Generated,
    /// Not there any more, or not for us.
    Unreadable,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "too large",
            Self::Binary => "binary",
            Self::Generated => "generated",
            Self::Unreadable => "unreadable",
        })
    }
}

/// What tells one state of a file on disk from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), bytes: metadata.len() }
    }
}

/// Whether a file of this name is of interest.
pub(super) fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    Language::by_path(path).is_some()
        || extension.is_some_and(|extension| TEXT_EXTENSIONS.contains(&extension))
}

/// The extensions of files that are of interest, each once.
pub(super) fn extensions() -> Vec<&'static str> {
    let languages = LANGUAGES.iter().flat_map(|language| language.extensions).copied();
    let mut all: Vec<_> = languages.chain(TEXT_EXTENSIONS.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The text of the file at `path`, and the state that it was read in.
pub(super) fn read(path: &Path) -> (Result<String, Skip>, Option<Stamp>) {
    // A link may lead anywhere; opening a pipe would wait for somebody to write into it.
    let Some(metadata) = fs::symlink_metadata(path).ok().filter(Metadata::is_file) else {
        return (Err(Skip::Unreadable), None);
    };
    let stamp = Stamp::of(&metadata);
    if metadata.len() > MAX_FILE_BYTES {
        return (Err(Skip::TooLarge), Some(stamp));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let text = match read {
        Err(_) => Err(Skip::Unreadable),
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => Err(Skip::TooLarge),
        Ok(_) if memchr::memchr(0, &bytes).is_some() => Err(Skip::Binary),
        Ok(_) => String::from_utf8(bytes).map_err(|_| Skip::Binary),
    };
    (
        text.and_then(|text| if is_generated(&text) { Err(Skip::Generated) } else { Ok(text) }),
        Some(stamp),
    )
}

/// Whether a program has written `text`.
pub(super) fn is_generated(text: &str) -> bool {
    let head = &text.as_bytes()[..text.len().min(HEAD_BYTES)];
    let says_so = |mark: &[u8]| memchr::memmem::find(head, mark).is_some();
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
    says_so(b"@generated")
        || (says_so(b"Code generated") && says_so(b"DO NOT EDIT"))
        || (text.len() > 2 * HEAD_BYTES && text.len() / lines > MAX_MEAN_LINE_BYTES)
}
