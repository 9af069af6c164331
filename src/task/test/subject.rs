//! What a test is for: a function, or a type by the functions of its own impl.

use std::ops::Range;

use tree_sitter::Node;

use super::custom::Custom;
use crate::task::{
    refactor::target::{self, Target},
    source::Source,
};

/// What is to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub name: String,
    pub target: Target,
    /// What a model must see of it.
    pub shown: Vec<Range<usize>>,
    /// What is broken in order to see whether a test notices.
    pub broken: Range<usize>,
}

impl Subject {
    /// What there is to test in `target`. `None` where nothing can be called, or in a test itself.
    pub fn of(source: &Source, target: &Target) -> Option<Self> {
        if let Some(custom) = Custom::of(source.language) {
            return custom.subject(source, target);
        }
        let node = target::node_of(source.root(), target)?;
        if is_test(target, source) || in_test_module(node, &source.text) {
            return None;
        }
        let subject = |shown, broken| Self {
            name: target.name.clone(),
            target: target.clone(),
            shown,
            broken,
        };
        match target.kind.as_str() {
            "function_item" => Some(subject(vec![target.range.clone()], target.item.clone())),
            "impl_item" => has_functions(node)
                .then(|| subject(vec![target.range.clone()], target.item.clone())),
            "struct_item" | "enum_item" | "union_item" => {
                let own = target::all(source.root(), &source.text, source.language)
                    .into_iter()
                    .filter(|other| other.kind == "impl_item" && other.holder == target.holder)
                    .find(|other| {
                        target::node_of(source.root(), other).is_some_and(|node| {
                            let of = node.child_by_field_name("type");
                            let of = of.and_then(|it| it.child_by_field_name("type").or(Some(it)));
                            node.child_by_field_name("trait").is_none()
                                && has_functions(node)
                                && of.and_then(|it| source.text.get(it.byte_range()))
                                    == Some(&target.name)
                        })
                    })?;
                Some(subject(vec![target.range.clone(), own.range], own.item))
            }
            _ => None,
        }
    }
}

/// The functions that others can call, as far as they can be tested.
pub fn public_functions(source: &Source) -> Vec<Target> {
    target::all(source.root(), &source.text, source.language)
        .into_iter()
        .filter(|item| item.kind == "function_item" && Subject::of(source, item).is_some())
        .filter(|item| {
            target::node_of(source.root(), item)
                .and_then(|node| node.child(0))
                .is_some_and(|first| source.text.get(first.byte_range()) == Some("pub"))
        })
        .collect()
}

fn has_functions(node: Node<'_>) -> bool {
    let Some(body) = node.child_by_field_name("body") else { return false };
    body.named_children(&mut body.walk()).any(|member| member.kind() == "function_item")
}

/// Whether an item is a test, by its attributes.
pub(super) fn is_test(item: &Target, source: &Source) -> bool {
    let lead = source.text.get(item.range.start..item.item.start).unwrap_or_default();
    has_test_attribute(lead)
}

/// Whether one of these lines is `#[test]`, or another framework's such as `#[tokio::test]`.
pub(super) fn has_test_attribute(lead: &str) -> bool {
    lead.lines().map(str::trim).filter_map(|line| line.strip_prefix("#[")).any(|attribute| {
        let path = attribute.split([']', '(']).next().unwrap_or_default().trim();
        path.rsplit("::").next() == Some("test")
    })
}

fn in_test_module(node: Node<'_>, source: &str) -> bool {
    std::iter::successors(node.parent(), Node::parent)
        .filter(|around| around.kind() == "mod_item")
        .any(|module| is_test_module(module, source))
}

/// Whether a module is compiled for tests alone.
pub(super) fn is_test_module(module: Node<'_>, source: &str) -> bool {
    let lead = source.get(target::lead_start(module, source)..module.start_byte());
    lead.is_some_and(|lead| {
        let squeezed: String = lead.split_whitespace().collect();
        squeezed.contains("#[cfg(test)]")
    })
}
