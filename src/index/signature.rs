//! What is kept of an item's text: its signature on one line, without comments and attributes, and the
//! line that says what it is.

use std::ops::Range;

use tree_sitter::Node;

/// A documentation line is cut here.
const MAX_DOC_BYTES: usize = 200;

/// The text of `range`, which lies in `node`, on one line. Without comments and attributes, however many
/// lines these have: what is left of one would be no code.
pub(super) fn flat(source: &str, node: Node<'_>, range: Range<usize>) -> String {
    let text = source.get(range.clone()).unwrap_or_default();
    // Most are as they are to be.
    if !text.bytes().any(|byte| matches!(byte, b'\n' | b'\t' | b'/' | b'#')) && !text.contains("  ")
    {
        return text.to_owned();
    }
    let (mut words, mut start) = (Vec::new(), range.start);
    let may_have_asides = text.bytes().any(|byte| matches!(byte, b'/' | b'#'));
    let asides = if may_have_asides { asides(node, &range) } else { Vec::new() };
    for aside in asides {
        words.extend(source.get(start..aside.start).unwrap_or_default().split_whitespace());
        start = aside.end;
    }
    words.extend(source.get(start..range.end).unwrap_or_default().split_whitespace());
    [("( ", "("), (", )", ")"), ("< ", "<"), (", >", ">")]
        .iter()
        .fold(words.join(" "), |text, (broken, whole)| text.replace(broken, whole))
}

/// The comments and attributes of `node` that lie in `range`, in order. By a cursor, not by recursion: a
/// file may nest as deep as it likes.
fn asides(node: Node<'_>, range: &Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut cursor = node.walk();
    loop {
        let here = cursor.node();
        let is_aside = here.kind().ends_with("comment") || here.kind() == "attribute_item";
        if is_aside && range.start <= here.start_byte() && here.end_byte() <= range.end {
            found.push(here.byte_range());
        }
        let is_within = here.start_byte() < range.end && range.start < here.end_byte();
        if !is_aside && is_within && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
}

/// The first line of a comment or docstring that says something.
pub(super) fn doc_line(text: &str) -> &str {
    let stripped = |line: &'_ str| -> Range<usize> {
        let inner = line.trim_start_matches(['/', '*', '!', '#', '"', '\'', ' ', '\t', 'r']);
        let start = line.len() - inner.len();
        start..start + inner.trim_end_matches(['*', '/', '"', '\'', ' ', '\t', '\r']).len()
    };
    let found = text.lines().map(|line| &line[stripped(line)]).find(|line| !line.is_empty());
    let line = found.unwrap_or_default();
    &line[..line.floor_char_boundary(MAX_DOC_BYTES)]
}
