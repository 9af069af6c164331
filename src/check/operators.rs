//! Breaks a function of a language other than Rust by what all of them have: operators, numbers,
//! constants, and what is returned. In rounds, one of each, so that the first few differ.

use std::ops::Range;

use tree_sitter::Node;

use super::{Mutant, mutate::others};

/// The ways to break what stands in `range` of `text`.
pub(super) fn broken(
    language: &str,
    root: Node<'_>,
    text: &str,
    range: &Range<usize>,
) -> Vec<Mutant> {
    let (yes, no, nothing) = match language {
        "python" => ("True", "False", "None"),
        "go" => ("true", "false", ""),
        _ => ("true", "false", "undefined"),
    };
    let mut kinds: [Vec<Mutant>; 3] = Default::default();
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        if node.end_byte() <= range.start || node.start_byte() >= range.end {
            continue;
        }
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        stack.extend(children.iter().rev());
        if node.start_byte() < range.start || range.end < node.end_byte() {
            continue;
        }
        let own = text.get(node.byte_range()).unwrap_or_default();
        let mut push = |kind: usize, node: Node<'_>, new: &str| {
            let old = text.get(node.byte_range()).unwrap_or_default().to_owned();
            let line = text.get(..node.start_byte()).unwrap_or_default().matches('\n').count() + 1;
            if old != new && !new.is_empty() {
                kinds[kind].push(Mutant {
                    range: node.byte_range(),
                    old,
                    new: new.to_owned(),
                    line,
                });
            }
        };
        match node.kind() {
            "return_statement" => {
                if let Some(value) = node.named_child(0) {
                    push(0, value, nothing);
                }
            }
            "integer" | "number" | "int_literal" => {
                if let Ok(number) = own.parse::<u64>() {
                    push(2, node, &number.saturating_add(1).to_string());
                }
            }
            "true" | "false" => push(2, node, if own == yes { no } else { yes }),
            _ if children.is_empty() && node.parent().is_some_and(|up| calculates(up.kind())) => {
                let other = match own {
                    "and" => &["or"][..],
                    "or" => &["and"],
                    "===" => &["!=="],
                    "!==" => &["==="],
                    own => others(own),
                };
                for new in other {
                    push(1, node, new);
                }
            }
            _ => {}
        }
    }
    let [results, operators, constants] = kinds;
    let mut rounds: Vec<(usize, Mutant)> = Vec::new();
    for kind in [results, operators, constants] {
        rounds.extend(kind.into_iter().enumerate());
    }
    rounds.sort_by_key(|(round, _)| *round);
    rounds.into_iter().map(|(_, mutant)| mutant).collect()
}

/// Whether a node of this kind has an operator among its children.
fn calculates(kind: &str) -> bool {
    matches!(
        kind,
        "binary_expression"
            | "binary_operator"
            | "boolean_operator"
            | "comparison_operator"
            | "augmented_assignment"
            | "augmented_assignment_expression"
            | "assignment_statement"
    )
}
