//! Where a text may be cut without cutting through something: items first, then what stands on its
//! own lines in a body, then lines.
//!
//! Works on the last tree, which may lag some keys behind the text: it is asked line by line and
//! never walked as a whole, so its cost does not grow with the file.

use std::ops::Range;

use ropey::Rope;
use tree_sitter::{Node, Tree};

use super::Language;

/// How good a place for a cut the start of a line is, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Border {
    /// Some line.
    Line,
    /// A statement, a member, a variant begins here.
    Statement,
    /// An item begins here, or the comments and attributes that belong to it.
    Item,
}

/// The kind of border that the line starting at byte `start` is.
pub fn border(
    text: &Rope,
    tree: Option<&Tree>,
    language: Option<&Language>,
    start: usize,
) -> Border {
    let line = text.line(text.byte_to_line(start));
    let (Some(tree), Some(language)) = (tree, language) else {
        // Without a tree, what stands unindented after a blank line is most likely an item.
        let line_idx = text.byte_to_line(start);
        let unindented = line.chars().next().is_some_and(|c| !c.is_whitespace());
        let after_blank = line_idx == 0 || text.line(line_idx - 1).chars().all(char::is_whitespace);
        return if unindented && after_blank { Border::Item } else { Border::Line };
    };
    let indent: usize =
        line.chars().take_while(|c| matches!(c, ' ' | '\t')).map(char::len_utf8).sum();
    let first = start + indent;
    let Some(mut node) = tree.root_node().descendant_for_byte_range(first, first) else {
        return Border::Line;
    };
    while let Some(parent) = node.parent() {
        if parent.start_byte() != first || parent.parent().is_none() {
            break;
        }
        node = parent;
    }
    let in_body = node.parent().is_some_and(|parent| language.is_body(parent.kind()));
    if !in_body || node.start_byte() != first || !node.is_named() {
        return Border::Line;
    }
    let belongs = |kind: &str| kind.ends_with("comment") || kind == "attribute_item";
    if node.prev_sibling().is_some_and(|before| belongs(before.kind())) {
        // Behind the comments and attributes that belong to it.
        return Border::Line;
    }
    let mut owner = Some(node);
    while let Some(node) = owner.filter(|node| belongs(node.kind())) {
        owner = node.next_sibling();
    }
    if owner.is_some_and(|node| language.is_item(node.kind())) {
        Border::Item
    } else {
        Border::Statement
    }
}

/// The first best border among the starts of the lines in `within` (bytes).
pub fn first(
    text: &Rope,
    tree: Option<&Tree>,
    language: Option<&Language>,
    within: Range<usize>,
) -> Option<usize> {
    best(text, tree, language, line_starts(text, within))
}

/// The last best border among the starts of the lines in `within` (bytes).
pub fn last(
    text: &Rope,
    tree: Option<&Tree>,
    language: Option<&Language>,
    within: Range<usize>,
) -> Option<usize> {
    let starts: Vec<usize> = line_starts(text, within).collect();
    best(text, tree, language, starts.into_iter().rev())
}

fn best(
    text: &Rope,
    tree: Option<&Tree>,
    language: Option<&Language>,
    starts: impl Iterator<Item = usize>,
) -> Option<usize> {
    let mut found: Option<(Border, usize)> = None;
    for start in starts {
        let border = border(text, tree, language, start);
        if found.is_none_or(|(best, _)| border > best) {
            found = Some((border, start));
        }
        if border == Border::Item {
            break;
        }
    }
    found.map(|(_, start)| start)
}

fn line_starts(text: &Rope, within: Range<usize>) -> impl Iterator<Item = usize> {
    let end = within.end.min(text.len_bytes());
    let line = text.byte_to_line(within.start.min(end));
    (line..text.len_lines())
        .map(|line| text.line_to_byte(line))
        .skip_while(move |start| *start < within.start)
        .take_while(move |start| *start < end)
}

/// The smallest item around `offset` that is at most `limit` bytes long and at least one line; where
/// there is none, the largest node around it that keeps the limit.
pub fn enclosing(
    tree: &Tree,
    language: &Language,
    offset: usize,
    limit: usize,
) -> Option<Range<usize>> {
    let root = tree.root_node();
    let mut node = root.descendant_for_byte_range(offset, offset)?;
    let fits = |node: &Node<'_>| node.byte_range().len() <= limit;
    let mut largest = Some(node).filter(fits);
    loop {
        if language.is_item(node.kind()) && fits(&node) {
            return Some(node.byte_range());
        }
        match node.parent().filter(fits) {
            Some(parent) => {
                node = parent;
                largest = Some(parent);
            }
            None => return largest.map(|node| node.byte_range()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::atomic::AtomicBool};

    use expect_test::{Expect, expect};

    use super::*;

    fn check(source: &str, expected: Expect) {
        let language = Language::by_id("rust");
        let text = Rope::from_str(source);
        let tree = language.and_then(|rust| rust.parse(&text, None, &AtomicBool::new(false)));
        let mut seen = String::new();
        for start in line_starts(&text, 0..text.len_bytes()) {
            let mark = match border(&text, tree.as_ref(), language, start) {
                Border::Item => "item",
                Border::Statement => "stmt",
                Border::Line => "    ",
            };
            let line = text.line(text.byte_to_line(start));
            let _ = write!(seen, "{mark}|{line}");
        }
        expected.assert_eq(&seen);
    }

    #[test]
    fn borders_of_rust() {
        check(
            r"use a::b;

/// What it is.
/// More of it.
#[derive(Debug)]
struct S {
    a: u8,
    b: u8,
}

impl S {
    // One.
    fn f(&self) -> u8 {
        let x = foo(
            1,
            2,
        );
        if x {
            y();
        }
        match x {
            1 => 2,
            _ => 3,
        }
    }
}
",
            expect![[r#"
                item|use a::b;
                    |
                item|/// What it is.
                    |/// More of it.
                    |#[derive(Debug)]
                    |struct S {
                stmt|    a: u8,
                stmt|    b: u8,
                    |}
                    |
                item|impl S {
                item|    // One.
                    |    fn f(&self) -> u8 {
                stmt|        let x = foo(
                    |            1,
                    |            2,
                    |        );
                stmt|        if x {
                stmt|            y();
                    |        }
                stmt|        match x {
                stmt|            1 => 2,
                stmt|            _ => 3,
                    |        }
                    |    }
                    |}
            "#]],
        );
    }
}
