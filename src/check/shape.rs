//! The rungs that need nothing but the text: well-formed, parsed, and still the item that it was.
//!
//! What must never pass here: an answer that is cut off or leaves code out, and one that reaches
//! beyond the bytes that were asked for, say by closing the block around them.

use std::{collections::BTreeSet, ops::Range, path::Path, sync::atomic::AtomicBool};

use ropey::Rope;
use tree_sitter::{Node, Tree};

use super::{Failure, Keeps, Proposal, Rung, Skip, Verdict};
use crate::syntax::{Language, errors::error_bytes};

/// The verdicts of the first three rungs, up to the first failure.
pub(super) fn verdicts(proposal: &Proposal) -> Vec<(Rung, Verdict)> {
    let mut verdicts = Vec::new();
    let (applied, place) = match well_formed(proposal) {
        Ok(applied) => applied,
        Err(failure) => return vec![(Rung::WellFormed, Verdict::Failed(failure))],
    };
    verdicts.push((Rung::WellFormed, Verdict::Held));
    let never = AtomicBool::new(false);
    let parse =
        |language: &Language, text: &str| language.parse(&Rope::from_str(text), None, &never);
    let trees = Language::by_path(&proposal.file)
        .and_then(|language| Some((parse(language, &proposal.text)?, parse(language, &applied)?)));
    let Some((old, new)) = trees else {
        verdicts.push((Rung::Parses, Verdict::Skipped(Skip::NoGrammar)));
        verdicts.push((Rung::Keeps, Verdict::Skipped(Skip::NoGrammar)));
        return verdicts;
    };
    let verdict = |result: Result<(), Failure>| match result {
        Ok(()) => Verdict::Held,
        Err(failure) => Verdict::Failed(failure),
    };
    let well = parses(&old, &new, &applied, &place);
    let climbs = well.is_ok();
    verdicts.push((Rung::Parses, verdict(well)));
    if climbs {
        let old = Part { tree: &old, text: &proposal.text, range: proposal.range.clone() };
        let new = Part { tree: &new, text: &applied, range: place };
        verdicts.push((Rung::Keeps, verdict(keeps(proposal.keeps, &old, &new))));
    }
    verdicts
}

/// Whether the answer is a text, whole; the file with it, and where it stands.
fn well_formed(proposal: &Proposal) -> Result<(String, Range<usize>), Failure> {
    let applied = proposal.applied().map_err(|misplaced| Failure::new(misplaced.to_string()))?;
    let new = proposal.replacement.as_str();
    let old = proposal.text.get(proposal.range.clone()).unwrap_or_default();
    if new.trim().is_empty() {
        return Err(Failure::new("The answer is empty."));
    }
    if new.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Failure::new("The answer contains control characters."));
    }
    let fence = |text: &str| text.lines().any(|line| line.trim_start().starts_with("```"));
    if fence(new) && !fence(old) {
        return Err(Failure::new("The answer contains a code fence: give the code alone."));
    }
    if let Some(line) = new.lines().find(|line| leaves_out(line) && !old.contains(line.trim())) {
        return Err(Failure::new(format!(
            "The answer leaves code out (`{}`): give the item whole.",
            line.trim()
        )));
    }
    Ok(applied)
}

/// Whether a line is a comment that stands for code which is not shown.
fn leaves_out(line: &str) -> bool {
    let line = line.trim();
    let Some(comment) = ["//", "#", "/*", "--"].iter().find_map(|mark| line.strip_prefix(mark))
    else {
        return false;
    };
    let comment = comment.trim_end_matches("*/").trim().to_lowercase();
    let dots = comment.contains("...") || comment.contains('…');
    let bare = comment == "..." || comment == "…";
    let words = ["existing", "rest of", "remaining", "unchanged", "same as", "omitted", "previous"];
    bare || (dots && words.iter().any(|word| comment.contains(word)))
        || (comment.starts_with("rest of the ") || comment.ends_with(" remains the same"))
        || comment.ends_with(" remains unchanged")
}

/// Whether `new` has no more errors than `old`; the first one inside `place` is quoted.
fn parses(old: &Tree, new: &Tree, text: &str, place: &Range<usize>) -> Result<(), Failure> {
    if error_bytes(new.root_node()) <= error_bytes(old.root_node()) {
        return Ok(());
    }
    let mut errors = Vec::new();
    collect_errors(new.root_node(), &mut errors);
    let near = |node: &&Node<'_>| node.end_byte() >= place.start && node.start_byte() <= place.end;
    let Some(error) = errors.iter().find(near).or(errors.first()) else {
        return Err(Failure::new("The answer does not parse."));
    };
    let begin = place.start.min(error.start_byte());
    let lines = text.get(begin..error.start_byte()).unwrap_or_default().matches('\n').count();
    let at = text[..error.start_byte()].rfind('\n').map_or(0, |line_break| line_break + 1);
    let line = text[at..].lines().next().unwrap_or_default().trim();
    let what = if error.is_missing() {
        format!("`{}` is missing", error.kind())
    } else {
        "syntax error".to_owned()
    };
    Err(Failure::new(format!(
        "The answer does not parse: {what} at its line {}: `{line}`",
        lines + 1
    )))
}

fn collect_errors<'t>(node: Node<'t>, found: &mut Vec<Node<'t>>) {
    if node.is_error() || node.is_missing() {
        found.push(node);
    } else if node.has_error() {
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            collect_errors(child, found);
        }
    }
}

/// The text in `formatted` of what stands at `place` in `text`, where both have the same nodes.
pub(super) fn same_place(
    file: &Path,
    text: &str,
    place: &Range<usize>,
    formatted: &str,
) -> Option<String> {
    let language = Language::by_path(file)?;
    let never = AtomicBool::new(false);
    let parse = |text: &str| language.parse(&Rope::from_str(text), None, &never);
    let (old, new) = (parse(text)?, parse(formatted)?);
    let part = Part { tree: &old, text, range: place.clone() };
    let nodes: Vec<Node<'_>> = nodes(&part)?.into_iter().filter(Node::is_named).collect();
    let find = |node: &Node<'_>| {
        let found = path_to(*node)
            .into_iter()
            .try_fold(new.root_node(), |node, at| node.named_child(at))?;
        (found.kind() == node.kind()).then_some(found)
    };
    let (first, last) = (find(nodes.first()?)?, find(nodes.last()?)?);
    let same = formatted.get(first.start_byte()..last.end_byte())?.trim_end().to_owned();
    let new = Part { tree: &new, text: formatted, range: first.start_byte()..last.end_byte() };
    let names = |items: Vec<Item>| -> Vec<String> { items.into_iter().map(|it| it.name).collect() };
    (names(items(&part)?) == names(items(&new)?)).then_some(same)
}

/// The way from the root to a node, by the numbers of named children.
fn path_to(mut node: Node<'_>) -> Vec<u32> {
    let mut path = Vec::new();
    while let Some(parent) = node.parent() {
        let mut cursor = parent.walk();
        let at = parent.named_children(&mut cursor).take_while(|child| child.id() != node.id());
        path.push(u32::try_from(at.count()).unwrap_or(u32::MAX));
        node = parent;
    }
    path.reverse();
    path
}

/// A range of a parsed text.
pub(super) struct Part<'a> {
    pub(super) tree: &'a Tree,
    pub(super) text: &'a str,
    pub(super) range: Range<usize>,
}

/// What a range holds, one item.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    kind: String,
    name: String,
    signature: String,
    /// The text before the body, for messages.
    head: String,
    attributes: BTreeSet<String>,
}

fn keeps(keeps: Keeps, old: &Part<'_>, new: &Part<'_>) -> Result<(), Failure> {
    let beyond = || {
        Failure::new(
            "The answer reaches beyond the code that was to be replaced: give that item alone.",
        )
    };
    let new_items = items(new).ok_or_else(beyond)?;
    if keeps == Keeps::Nothing {
        return Ok(());
    }
    // A range that cuts through items cannot be compared; what asks for that is not an edit of items.
    let old_items = items(old).ok_or_else(beyond)?;
    let mut rest = new_items.iter();
    for item in &old_items {
        let same = |other: &&Item| other.kind == item.kind && other.name == item.name;
        let found = match keeps {
            Keeps::SignatureAmongOthers => new_items.iter().find(same),
            _ => rest.next().filter(same),
        };
        let Some(found) = found else {
            return Err(Failure::new(format!(
                "The answer must be {} `{}`{}.",
                words(&item.kind),
                item.name,
                if new_items.len() > old_items.len() { " alone" } else { "" }
            )));
        };
        if keeps == Keeps::Name {
            continue;
        }
        if found.signature != item.signature {
            let (old, new) = if item.head == found.head {
                (&item.signature, &found.signature)
            } else {
                (&item.head, &found.head)
            };
            return Err(Failure::new(format!(
                "The signature of `{}` must stay as it is: `{old}`, not `{new}`.",
                item.name
            )));
        }
        if let Some(lost) = item.attributes.difference(&found.attributes).next() {
            return Err(Failure::new(format!("`{}` must keep `{lost}`.", item.name)));
        }
    }
    if keeps != Keeps::SignatureAmongOthers
        && let Some(other) = rest.next()
    {
        return Err(Failure::new(format!(
            "The answer also contains {} `{}`: give `{}` alone.",
            words(&other.kind),
            other.name,
            old_items.last().map_or("the item", |item| item.name.as_str())
        )));
    }
    Ok(())
}

/// `function_item` as a reader says it.
fn words(kind: &str) -> String {
    let word = kind.trim_end_matches("_item").trim_end_matches("_definition").replace('_', " ");
    format!("the {word}")
}

/// An item's text up to its body, on one line.
fn head(node: Node<'_>, text: &str) -> String {
    let body = node.child_by_field_name("body").map_or(node.end_byte(), |body| body.start_byte());
    let head = text.get(node.start_byte()..body).unwrap_or_default();
    head.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn is_comment(node: Node<'_>) -> bool {
    node.kind().ends_with("comment")
}

/// The nodes that the range consists of, siblings. `None` when it cuts through a node.
pub(super) fn nodes<'t>(part: &Part<'t>) -> Option<Vec<Node<'t>>> {
    let text = part.text.get(part.range.clone())?;
    let start = part.range.start + (text.len() - text.trim_start().len());
    let end = part.range.start + text.trim_end().len();
    if start >= end {
        return Some(Vec::new());
    }
    let mut node = part.tree.root_node().descendant_for_byte_range(start, end)?;
    let ends = |node: &Node<'_>| {
        let text = part.text.get(node.byte_range()).unwrap_or_default();
        node.start_byte() + text.trim_end().len()
    };
    let inside = |node: &Node<'_>| start <= node.start_byte() && ends(node) <= end;
    let mut nodes = Vec::new();
    if inside(&node) && node.parent().is_some() {
        while let Some(parent) = node.parent().filter(|up| inside(up) && up.parent().is_some()) {
            node = parent;
        }
        nodes.push(node);
    } else {
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            if ends(&child) <= start || child.start_byte() >= end {
                continue;
            }
            if !inside(&child) {
                return None;
            }
            nodes.push(child);
        }
    }
    Some(nodes)
}

/// The items that the range consists of. `None` when it cuts through a node.
fn items(part: &Part<'_>) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut attributes = BTreeSet::new();
    for node in nodes(part)? {
        if node.kind() == "attribute_item" {
            attributes.extend(telling_attribute(node, part.text));
        } else if node.is_named() && !is_comment(node) && node.kind() != "empty_statement" {
            items.push(Item {
                kind: node.kind().to_owned(),
                name: name(node, part.text),
                signature: signature(node, part.text),
                head: head(node, part.text),
                attributes: std::mem::take(&mut attributes),
            });
        }
    }
    Some(items)
}

/// An attribute that changes what an item is; not one that sets lints or hints.
fn telling_attribute(node: Node<'_>, text: &str) -> Option<String> {
    let all: String = part(node, text).split_whitespace().collect();
    let word = all.trim_start_matches("#[").split(['(', '=', ']']).next().unwrap_or_default();
    let hints =
        ["allow", "cold", "deny", "doc", "expect", "inline", "must_use", "rustfmt::skip", "warn"];
    (!hints.contains(&word)).then_some(all)
}

pub(super) fn part<'t>(node: Node<'_>, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

/// The name that a node declares; for an implementation, of what and for what.
fn name(node: Node<'_>, text: &str) -> String {
    let field = |field: &str| node.child_by_field_name(field).map(|node| part(node, text));
    match (field("name"), field("trait"), field("type")) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(of), Some(for_type)) => format!("{of} for {for_type}"),
        (None, None, Some(for_type)) => for_type.to_owned(),
        _ => part(node, text).split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// What others see of an item: its tokens without bodies, values, comments, attributes, the names of
/// parameters and what is private in it.
fn signature(node: Node<'_>, text: &str) -> String {
    let mut tokens = Vec::new();
    tokens_of(node, text, &mut tokens);
    tokens.join(" ")
}

fn tokens_of(node: Node<'_>, text: &str, tokens: &mut Vec<String>) {
    let kind = node.kind();
    if is_comment(node) || kind.ends_with("attribute_item") || kind == "," {
        return;
    }
    if kind == "parameter"
        && let Some(type_of) = node.child_by_field_name("type")
    {
        return tokens_of(type_of, text, tokens);
    }
    if node.child_count() == 0 {
        tokens.push(part(node, text).to_owned());
        return;
    }
    let private = hides(node);
    let mut members = Vec::new();
    let mut cursor = node.walk();
    let mut more = cursor.goto_first_child();
    while more {
        let (child, field) = (cursor.node(), cursor.field_name());
        more = cursor.goto_next_sibling();
        let body = field == Some("body") && matches!(child.kind(), "block" | "statement_block");
        let value = field == Some("value") && matches!(kind, "const_item" | "static_item");
        if body || value {
            continue;
        }
        if !private || !child.is_named() {
            tokens_of(child, text, tokens);
        } else if is_visible(child) {
            members.push(signature(child, text));
        }
    }
    // The order of members says nothing.
    members.sort();
    tokens.extend(members);
}

/// Whether what is in this node is private unless it says otherwise.
fn hides(node: Node<'_>) -> bool {
    let of_trait = |parent: Node<'_>| parent.child_by_field_name("trait").is_some();
    match (node.kind(), node.parent()) {
        ("field_declaration_list", Some(parent)) => parent.kind() == "struct_item",
        ("declaration_list", Some(parent)) => match parent.kind() {
            "impl_item" => !of_trait(parent),
            "mod_item" => true,
            _ => false,
        },
        _ => false,
    }
}

fn is_visible(node: Node<'_>) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.kind() == "visibility_modifier")
}

#[cfg(test)]
mod tests;
