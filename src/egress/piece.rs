//! Text of the workspace that knows where it comes from.
//!
//! Never built without a path: text of an untitled buffer has no origin, so it cannot leave.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    path: PathBuf,
    lines: Range<usize>,
}

impl Origin {
    /// `lines` count from 0, the end excluded. A relative path is resolved against the workspace's
    /// root.
    pub fn new(path: impl Into<PathBuf>, lines: Range<usize>) -> Self {
        Self { path: path.into(), lines }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From 0, the end excluded.
    pub fn lines(&self) -> Range<usize> {
        self.lines.clone()
    }
}

/// What is looked at on both sides of a cut, in bytes: a secret may lie across it. The longest that
/// has a shape, an RSA key of 4,096 bits in PEM, is 3.2 KB.
const MARGIN: usize = 4096;

/// A text and every place it was taken from. All of them must be allowed to leave, or none of the
/// text does.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    origins: Vec<Origin>,
    /// The text, and what stands around it in its file.
    surroundings: Arc<str>,
    /// The text itself. On characters of the surroundings.
    text: Range<usize>,
    verbatim: bool,
}

impl Piece {
    /// The part of `file` (the text of the whole file at `path`, as the disk or the editor has it)
    /// between two byte offsets. The lines follow from the offsets. `None` where these do not lie
    /// on characters of the file.
    pub fn cut(path: impl Into<PathBuf>, file: &str, bytes: Range<usize>) -> Option<Self> {
        let text = file.get(bytes.clone())?;
        let breaks = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
        let first = breaks(&file[..bytes.start]);
        let last = first + breaks(text.strip_suffix('\n').unwrap_or(text));
        let lines = first..if text.is_empty() { first } else { last + 1 };
        let from = file.floor_char_boundary(bytes.start.saturating_sub(MARGIN));
        let to = file.ceil_char_boundary(bytes.end.saturating_add(MARGIN).min(file.len()));
        Some(Self {
            origins: vec![Origin::new(path, lines)],
            surroundings: file[from..to].into(),
            text: bytes.start - from..bytes.end - from,
            verbatim: true,
        })
    }

    /// A whole file.
    pub fn file(path: impl Into<PathBuf>, text: &str) -> Self {
        Self {
            origins: vec![Origin::new(path, 0..text.lines().count())],
            surroundings: text.into(),
            text: 0..text.len(),
            verbatim: true,
        }
    }

    /// Text made out of several places: a map of the codebase, skeletons, search results, numbered
    /// lines. `origins` are all places that any of its words come from. `None` without an origin.
    pub fn derived(origins: Vec<Origin>, text: impl Into<Arc<str>>) -> Option<Self> {
        let surroundings = text.into();
        let text = 0..surroundings.len();
        (!origins.is_empty()).then_some(Self { origins, surroundings, text, verbatim: false })
    }

    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Before it is cleared.
    pub fn text(&self) -> &str {
        &self.surroundings[self.text.clone()]
    }

    /// Whether the text stands in its file as it is; it is sent below a heading with path and lines
    /// then.
    pub(super) fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    /// The text with what stands around it.
    pub(super) fn surroundings(&self) -> &str {
        &self.surroundings
    }

    /// What of ranges in the surroundings lies in the text.
    pub(super) fn within<K>(&self, found: Vec<(Range<usize>, K)>) -> Vec<(Range<usize>, K)> {
        let Range { start, end } = self.text;
        let clip = |(range, kind): (Range<usize>, K)| {
            let clipped = range.start.clamp(start, end)..range.end.clamp(start, end);
            (!clipped.is_empty()).then(|| (clipped.start - start..clipped.end - start, kind))
        };
        found.into_iter().filter_map(clip).collect()
    }
}

impl std::fmt::Debug for Piece {
    /// Without the text, so that none reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece")
            .field("origins", &self.origins)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}
