//! When not to suggest anything unasked. A suggestion in the wrong moment costs more than a missing
//! one: it is read, and it moves what one was looking at.

use ropey::Rope;
use tree_sitter::Tree;

use crate::session::{owner::Touch, position};

/// How quiet to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Show nothing.
    Silent(&'static str),
    /// Show what is known already; do not ask a model.
    FromMemory(&'static str),
}

/// What speaks against a suggestion at byte `offset` of `text` after the user did `touch`.
pub(super) fn quiet(
    text: &Rope,
    tree: Option<&Tree>,
    offset: usize,
    touch: Touch,
) -> Option<Quiet> {
    let (before, after) = position::line_around(text, offset);
    let before = before.as_str();
    if after.starts_with(|next: char| next.is_alphanumeric() || next == '_') {
        return Some(Quiet::Silent("the cursor stands in a word"));
    }
    let in_comment = || comment(tree, offset - before.len(), before);
    if after.trim().is_empty() && before.trim_end().ends_with([';', '}', ',']) && !in_comment() {
        return Some(Quiet::Silent("the line is finished"));
    }
    match touch {
        Touch::Pasted => Some(Quiet::FromMemory("something was pasted")),
        Touch::Restored => Some(Quiet::FromMemory("something was undone")),
        Touch::Deleted if in_comment() => Some(Quiet::FromMemory("a comment is being deleted")),
        Touch::Deleted if before.trim().is_empty() => {
            Some(Quiet::FromMemory("a line is being deleted"))
        }
        Touch::None | Touch::Typed | Touch::Deleted => None,
    }
}

/// Whether `before`, which starts at byte `start` and stands in front of the cursor, ends in a comment.
fn comment(tree: Option<&Tree>, start: usize, before: &str) -> bool {
    let begun = before.trim_start();
    if ["//", "/*", "*", "#"].iter().any(|mark| begun.starts_with(mark)) && !begun.starts_with("#[")
    {
        return true;
    }
    let last = start + before.trim_end().len();
    tree.and_then(|tree| tree.root_node().descendant_for_byte_range(last.checked_sub(1)?, last))
        .is_some_and(|node| node.kind().contains("comment"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::syntax::Language;

    #[track_caller]
    fn check(fixture: &str, touch: Touch, expected: Option<Quiet>) {
        let offset = fixture.find("$0").expect("a cursor");
        let text = Rope::from_str(&fixture.replacen("$0", "", 1));
        let rust = Language::by_id("rust").expect("a grammar");
        let tree = rust.parse(&text, None, &AtomicBool::new(false));
        assert_eq!(quiet(&text, tree.as_ref(), offset, touch), expected, "{fixture}");
    }

    #[test]
    fn in_a_word_and_behind_a_finished_line() {
        let word = Some(Quiet::Silent("the cursor stands in a word"));
        let finished = Some(Quiet::Silent("the line is finished"));
        check("fn a() {\n    fo$0o();\n}", Touch::Typed, word);
        check("fn a() {\n    $0foo();\n}", Touch::Typed, word);
        check("fn a() {\n    foo();$0\n}", Touch::Typed, finished);
        check("fn a() {\n    foo();  $0\n}", Touch::Typed, finished);
        check("fn a() {\n}$0\n", Touch::Typed, finished);
        check("struct A {\n    a: u8,$0\n}", Touch::Typed, finished);
    }

    #[test]
    fn where_something_can_follow() {
        check("fn a() {\n    foo($0);\n}", Touch::Typed, None);
        check("fn a() {\n    foo(1, $0)\n}", Touch::Typed, None);
        check("fn a() {$0\n}", Touch::Typed, None);
        check("fn a() {\n    $0\n}", Touch::Typed, None);
        check("fn a() {\n    // first this,$0\n}", Touch::Typed, None);
        check("fn a() {\n    foo.$0\n}", Touch::None, None);
    }

    #[test]
    fn while_something_else_is_done() {
        let memory = |why| Some(Quiet::FromMemory(why));
        check("fn a() {\n    foo.$0\n}", Touch::Deleted, None);
        check("fn a() {\n    // fo$0\n}", Touch::Deleted, memory("a comment is being deleted"));
        check(
            "fn a() {\n    b(); // fo$0\n}",
            Touch::Deleted,
            memory("a comment is being deleted"),
        );
        check("fn a() {\n    $0\n}", Touch::Deleted, memory("a line is being deleted"));
        check("fn a() {\n    let a = b(x)$0\n}", Touch::Pasted, memory("something was pasted"));
        check("fn a() {\n    foo$0\n}", Touch::Restored, memory("something was undone"));
    }
}
