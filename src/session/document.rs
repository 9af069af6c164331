//! One open document: its text, and a tree that follows it.
//!
//! An edit changes the text, shifts the tree and tells the owner of the running generation, all
//! under one lock and in microseconds. Parsing happens elsewhere ([`Document::reparse`]), one parse
//! at a time; when the text has moved on meanwhile, the edits since are applied to the new tree and
//! the next parse starts from it. So a tree is always there soon, and always fits the text.

use std::{
    mem,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ropey::Rope;
use tokio::sync::watch;
use tree_sitter::{InputEdit, Tree};

use super::{ByteEdit, Encoding, Follower, HoldCell, Owner, Point, Snapshot, position};
use crate::{metrics::Tally, syntax::Language};

/// Documents above this are not parsed, in bytes. Sources that people write stay far below; what is
/// above is generated or data, where a first parse takes seconds and says little.
pub const MAX_PARSED_BYTES: usize = 2 << 20;

/// What the editor says of a document that it opens.
#[derive(Debug, Clone)]
pub struct Opened {
    /// As the editor spells it.
    pub uri: Arc<str>,
    /// `None` for a buffer without a file.
    pub path: Option<Arc<Path>>,
    /// The editor's identifier of the language.
    pub language_id: Arc<str>,
    /// The editor's count.
    pub version: i32,
    pub text: String,
}

/// One change, in positions of the text before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What `text` replaces; `None` for everything.
    pub range: Option<(Point, Point)>,
    pub text: String,
}

/// An open document.
#[derive(Debug)]
pub struct Document {
    uri: Arc<str>,
    path: Option<Arc<Path>>,
    language_id: Arc<str>,
    language: Option<&'static Language>,
    owner: Arc<Owner>,
    state: Mutex<State>,
    /// Whether a parse is due or running.
    parsing: watch::Sender<bool>,
    closed: AtomicBool,
    /// Told of each parsed text; the lock is what keeps anything from being told after the close.
    follower: Mutex<Option<Arc<dyn Follower>>>,
}

#[derive(Debug)]
struct State {
    relative_path: Arc<str>,
    version: i32,
    text: Rope,
    tree: Option<Tree>,
    /// Whether the text has changed since the last parse took its copy.
    stale: bool,
    /// The edits since the running parse took its copy; `None` once the whole text was replaced.
    since: Option<Vec<InputEdit>>,
    hold: HoldCell,
}

impl Document {
    /// A document without a tree: [`Document::reparse`] is due.
    pub fn new(
        opened: Opened,
        relative_path: Arc<str>,
        follower: Option<Arc<dyn Follower>>,
    ) -> Self {
        let language = Language::by_id(&opened.language_id)
            .or_else(|| Language::by_path(opened.path.as_deref()?));
        let state = State {
            relative_path,
            version: opened.version,
            text: Rope::from_str(&opened.text),
            tree: None,
            stale: true,
            since: None,
            hold: HoldCell::default(),
        };
        Self {
            uri: opened.uri,
            path: opened.path,
            language_id: opened.language_id,
            language,
            owner: Arc::default(),
            state: Mutex::new(state),
            parsing: watch::Sender::new(true),
            closed: AtomicBool::new(false),
            follower: Mutex::new(follower),
        }
    }

    /// Counts what becomes of suggestions in `tally`.
    pub(super) fn counting(mut self, tally: &Arc<Tally>) -> Self {
        self.owner = Arc::new(Owner::counting(Arc::clone(tally)));
        self
    }

    /// Who owns its generation.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The document at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            uri: Arc::clone(&self.uri),
            path: self.path.clone(),
            relative_path: Arc::clone(&state.relative_path),
            language_id: Arc::clone(&self.language_id),
            language: self.language,
            version: state.version,
            text: state.text.clone(),
            tree: state.tree.clone(),
            owner: Arc::clone(&self.owner),
            hold: state.hold.clone(),
        }
    }

    /// Applies `changes` in order. `true` when [`Document::reparse`] is due and not yet running.
    ///
    /// Positions outside of the text become the nearest inside; a range that ends before it starts
    /// is taken the other way round.
    #[must_use]
    pub fn apply(&self, version: i32, changes: Vec<Change>, encoding: Encoding) -> bool {
        // Freeing a large tree takes a while: not under the lock.
        let mut gone = None;
        let mut state = self.lock();
        if version <= state.version {
            tracing::debug!(uri = %self.uri, version, before = state.version, "version does not grow");
        }
        state.version = version;
        for Change { range, text } in changes {
            let whole = range.is_none();
            let range = match range {
                Some(ends) => self.byte_range(&state.text, ends, encoding),
                None => 0..state.text.len_bytes(),
            };
            let removed = removed(&state.text, &range);
            if whole {
                gone = state.tree.take().or(gone);
            }
            let edit = state.replace(range, &text);
            if whole {
                state.since = None;
            }
            self.owner.edited(edit, &removed, &text);
        }
        let due =
            state.stale && (state.tree.is_some() || state.text.len_bytes() <= MAX_PARSED_BYTES);
        // Under the lock, so that a parse that is about to end cannot miss the edit.
        let starts = due && !self.parsing.send_replace(true);
        drop(state);
        drop(gone);
        starts
    }

    /// Parses until the tree is that of the text. Takes milliseconds to seconds: not for the read
    /// loop. Due after [`Document::new`] and whenever [`Document::apply`] says so.
    pub fn reparse(&self) {
        let _guard = Parsing(self);
        while let Some((language, text, old)) = self.begin_parse() {
            let parse = |language: &Language| language.parse(&text, old.as_ref(), &self.closed);
            let tree = language.and_then(parse);
            self.end_parse(tree.clone());
            if tree.is_some() || language.is_none() {
                self.tell_follower(text, tree);
            }
        }
    }

    fn tell_follower(&self, text: Rope, tree: Option<Tree>) {
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(follower), Some(path)) = (&*follower, &self.path) {
            follower.parsed(path, self.language, text, tree);
        }
    }

    /// Waits until no parse is due.
    pub async fn parsed(&self) {
        // An error means that the sender is gone, which `self` owns.
        let _ = self.parsing.subscribe().wait_for(|parsing| !parsing).await;
    }

    pub(super) fn set_relative_path(&self, path: Arc<str>) {
        self.lock().relative_path = path;
    }

    /// Ends the running parse.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.owner.stop();
        self.owner.lose_sight();
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(follower), Some(path)) = (follower, &self.path) {
            follower.closed(path);
        }
    }

    fn begin_parse(&self) -> Option<(Option<&'static Language>, Rope, Option<Tree>)> {
        let mut state = self.lock();
        let too_large = state.text.len_bytes() > MAX_PARSED_BYTES;
        if too_large && state.stale {
            tracing::info!(uri = %self.uri, bytes = state.text.len_bytes(), "too large to be parsed");
            state.tree = None;
        }
        let due = state.stale && !too_large && !self.closed.load(Ordering::Relaxed);
        state.stale = false;
        if due {
            state.since = Some(Vec::new());
            Some((self.language, state.text.clone(), state.tree.clone()))
        } else {
            self.parsing.send_replace(false);
            None
        }
    }

    fn end_parse(&self, tree: Option<Tree>) {
        let mut state = self.lock();
        let since = state.since.take();
        let tree = tree.zip(since).map(|(mut tree, since)| {
            for edit in &since {
                tree.edit(edit);
            }
            tree
        });
        let before = mem::replace(&mut state.tree, tree);
        // Freeing a large tree takes a while, which an edit need not wait for.
        drop(state);
        drop(before);
    }

    fn byte_range(&self, text: &Rope, ends: (Point, Point), encoding: Encoding) -> Range<usize> {
        let start = position::offset(text, ends.0, encoding);
        let end = position::offset(text, ends.1, encoding);
        if start > end {
            tracing::warn!(uri = %self.uri, "a change ends before it starts: taken the other way round");
        }
        start.min(end)..start.max(end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After a panic in a parse the next edit starts the next one: else there would never be one again.
struct Parsing<'a>(&'a Document);

impl Drop for Parsing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.lock();
            state.stale = true;
            self.0.parsing.send_replace(false);
        }
    }
}

impl State {
    fn replace(&mut self, old: Range<usize>, inserted: &str) -> ByteEdit {
        let old_len = self.text.len_bytes();
        let (edit, shift) = splice(&mut self.text, self.tree.as_mut(), old, inserted);
        if let Some(since) = &mut self.since {
            since.push(shift);
        }
        self.hold.edited(edit, old_len);
        self.stale = true;
        edit
    }
}

/// Puts `inserted` in the place of the bytes `old`, and shifts the tree.
pub(super) fn splice(
    text: &mut Rope,
    tree: Option<&mut Tree>,
    old: Range<usize>,
    inserted: &str,
) -> (ByteEdit, InputEdit) {
    let edit = ByteEdit { start: old.start, old_end: old.end, new_end: old.start + inserted.len() };
    let start_position = tree_point(text, edit.start);
    let old_end_position = tree_point(text, edit.old_end);

    let chars = text.byte_to_char(old.start)..text.byte_to_char(old.end);
    let start_char = chars.start;
    text.remove(chars);
    text.insert(start_char, inserted);

    let shift = InputEdit {
        start_byte: edit.start,
        old_end_byte: edit.old_end,
        new_end_byte: edit.new_end,
        start_position,
        old_end_position,
        new_end_position: tree_point(text, edit.new_end),
    };
    if let Some(tree) = tree {
        tree.edit(&shift);
    }
    (edit, shift)
}

/// What an edit takes away, unless that is a large part of a document.
fn removed(text: &Rope, range: &Range<usize>) -> String {
    const LARGE: usize = 4 << 10;
    let shown = text.get_byte_slice(range.start..range.end.min(range.start + LARGE));
    shown.map_or_else(String::new, |slice| slice.to_string())
}

/// Rows and columns as tree-sitter counts them, in bytes. They differ from its own after a `\r`
/// without a `\n`, which is no line end there: whoever reads a tree goes by bytes.
fn tree_point(text: &Rope, byte: usize) -> tree_sitter::Point {
    let row = text.byte_to_line(byte);
    tree_sitter::Point { row, column: byte - text.line_to_byte(row) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        let opened = Opened {
            uri: "file:///a.rs".into(),
            path: None,
            language_id: "rust".into(),
            version: 0,
            text: text.to_owned(),
        };
        Document::new(opened, "a.rs".into(), None)
    }

    fn insert(document: &Document, line: u32, text: &str) -> bool {
        let at = Point { line, character: 0 };
        let change = Change { range: Some((at, at)), text: text.to_owned() };
        document.apply(1, vec![change], Encoding::Utf8)
    }

    fn parse(
        (language, text, old): (Option<&'static Language>, Rope, Option<Tree>),
    ) -> Option<Tree> {
        language?.parse(&text, old.as_ref(), &AtomicBool::new(false))
    }

    #[test]
    fn edits_during_a_parse_shift_its_tree_and_are_parsed_next() {
        let document = document("fn a() {}\nfn b() {}\n");
        let running = document.begin_parse().unwrap();
        assert!(!insert(&document, 1, "fn between() {}\n"), "one parse at a time");
        document.end_parse(parse(running));

        let snapshot = document.snapshot();
        let root = snapshot.tree.as_ref().unwrap().root_node();
        let last = root.child(1).unwrap();
        assert_eq!(snapshot.text.byte_slice(last.byte_range()), "fn b() {}", "its bytes fit");
        assert_eq!(root.child_count(), 2, "the shape lags behind");

        document.reparse();
        let tree = document.snapshot().tree.unwrap();
        assert_eq!(tree.root_node().child_count(), 3);
        assert!(insert(&document, 0, "\n"), "the next edit starts the next parse");
    }

    #[test]
    fn a_new_text_during_a_parse_throws_its_tree_away() {
        let document = document("fn a() {}\n");
        let running = document.begin_parse().unwrap();
        let whole = Change { range: None, text: "struct S;\n".to_owned() };
        assert!(!document.apply(1, vec![whole], Encoding::Utf8));
        insert(&document, 0, "\n");
        document.end_parse(parse(running));
        assert!(document.snapshot().tree.is_none());
        document.reparse();
        assert!(document.snapshot().tree.is_some());
    }

    #[test]
    fn a_closed_document_is_not_parsed() {
        let document = document("fn a() {}\n");
        document.close();
        document.reparse();
        assert!(document.snapshot().tree.is_none());
    }
}
