//! Under which conditions an item is compiled: for tests alone, or under a `cfg` that may not hold
//! here. What the compiler never saw must not be called compiled.

use std::{ops::Range, sync::atomic::AtomicBool};

use ropey::Rope;
use tree_sitter::Node;

use super::{
    Proposal,
    shape::{Part, is_comment, nodes, part},
};
use crate::syntax::Language;

/// Whether a proposal changes nothing but code that is compiled for tests alone.
pub(super) fn is_test_code(proposal: &Proposal) -> bool {
    let Ok((applied, place)) = proposal.applied() else { return false };
    let never = AtomicBool::new(false);
    let tree = Language::by_path(&proposal.file)
        .and_then(|language| language.parse(&Rope::from_str(&applied), None, &never));
    let Some(tree) = tree else { return false };
    let edited = Part { tree: &tree, text: &applied, range: place };
    let first = nodes(&edited).and_then(|nodes| nodes.into_iter().next());
    let mut around = first.into_iter().chain(std::iter::successors(first, Node::parent));
    around.any(|node| {
        let belongs = |node: &Node<'_>| node.kind() == "attribute_item" || is_comment(*node);
        let before = std::iter::successors(node.prev_sibling(), Node::prev_sibling);
        let own = std::iter::successors(Some(node), Node::next_sibling).take_while(belongs);
        before.take_while(belongs).chain(own).any(|attribute| {
            let text: String = part(attribute, &applied).split_whitespace().collect();
            text == "#[cfg(test)]" || text == "#[test]" || text.ends_with("::test]")
        })
    })
}

/// The bytes of the test code around the edit in the edited file: the outermost module of tests that
/// has it, or all of the file where there is none.
pub(super) fn test_code(proposal: &Proposal) -> Option<Range<usize>> {
    let (applied, place) = proposal.applied().ok()?;
    let never = AtomicBool::new(false);
    let language = Language::by_path(&proposal.file)?;
    let tree = language.parse(&Rope::from_str(&applied), None, &never)?;
    let edited = Part { tree: &tree, text: &applied, range: place };
    let first = nodes(&edited)?.into_iter().next()?;
    let around = std::iter::successors(Some(first), Node::parent);
    let tests = around.filter(|node| {
        node.kind() == "mod_item"
            && attributes_above(*node)
                .any(|attribute| condition(attribute, &applied).as_deref() == Some("#[cfg(test)]"))
    });
    Some(tests.last().map_or(0..applied.len(), |module| module.byte_range()))
}

/// The file with the edit, and beside the edited item, under the same conditions, an error: where the
/// file compiles all the same, the compiler has not seen the item. `None` where no conditions stand
/// around the item but that of tests.
pub(super) fn with_error_beside(proposal: &Proposal) -> Option<String> {
    let (applied, place) = proposal.applied().ok()?;
    let never = AtomicBool::new(false);
    let language = Language::by_path(&proposal.file)?;
    let tree = language.parse(&Rope::from_str(&applied), None, &never)?;
    let edited = Part { tree: &tree, text: &applied, range: place.clone() };
    let nodes = nodes(&edited)?;
    let item = *nodes.iter().find(|node| !stands_before(node))?;
    let open = |node: Node<'_>| condition(node, &applied).filter(|it| !it.ends_with("[cfg(test)]"));
    let above = |node| -> Vec<String> { attributes_above(node).filter_map(open).collect() };
    let within = |node: Node<'_>| {
        let mut cursor = node.walk();
        let inner = node.children(&mut cursor).filter(|it| it.kind() == "inner_attribute_item");
        inner.filter_map(open).count() > 0
    };
    let own = above(item);
    let mut around = std::iter::successors(item.parent(), Node::parent);
    let conditional = !own.is_empty()
        || around.any(|node| {
            let body = node.child_by_field_name("body");
            !above(node).is_empty() || within(node) || body.is_some_and(within)
        });
    let (before, after) = (applied.get(..place.end)?, applied.get(place.end..)?);
    let error = format!("\n{}compile_error! {{ \"seen\" }}\n", own.concat());
    conditional.then(|| format!("{before}{error}{after}"))
}

/// Whether a node belongs to the item behind it.
fn stands_before(node: &Node<'_>) -> bool {
    is_comment(*node) || node.kind() == "attribute_item"
}

fn attributes_above(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::successors(node.prev_sibling(), Node::prev_sibling)
        .take_while(stands_before)
        .filter(|node| node.kind() == "attribute_item")
}

/// An attribute that is a condition, without spaces.
fn condition(attribute: Node<'_>, text: &str) -> Option<String> {
    let text: String = part(attribute, text).split_whitespace().collect();
    (text.starts_with("#[cfg(") || text.starts_with("#![cfg(")).then_some(text)
}
