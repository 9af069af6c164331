//! Under which conditions an item is compiled: for tests alone, or under a `cfg` that may not hold
//! here. What the compiler never saw must not be called compiled.

use std::sync::atomic::AtomicBool;

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
    let apart = |node: &&Node<'_>| is_comment(**node) || node.kind() == "attribute_item";
    let item = *nodes.iter().find(|node| !apart(node))?;
    let condition = |node: &Node<'_>| {
        let text: String = part(*node, &applied).split_whitespace().collect();
        let holds = text == "#[cfg(test)]" || text == "#![cfg(test)]";
        (!holds && (text.starts_with("#[cfg(") || text.starts_with("#![cfg("))).then_some(text)
    };
    let above = |node: Node<'_>| -> Vec<String> {
        std::iter::successors(node.prev_sibling(), Node::prev_sibling)
            .take_while(|node| apart(&node))
            .filter_map(|node| condition(&node))
            .collect()
    };
    let within = |node: Node<'_>| {
        let mut cursor = node.walk();
        let inner = node.children(&mut cursor).filter(|it| it.kind() == "inner_attribute_item");
        inner.filter_map(|node| condition(&node)).count() > 0
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
