//! How a definition is shown: its signature, a type with all of its fields or variants, a member
//! inside of what it is a member of. Never a body, and never a part of a signature.

use crate::index::{Item, Kind};

/// Signatures of this length were cut by the index.
const CUT_SIGNATURE: usize = 1_000;

const INDENT: &str = "    ";

/// What a definition is shown by: itself, or the type whose field or variant it is. `None` for what
/// says nothing of its own.
pub(super) fn shown_by(item: Item<'_>) -> Option<Item<'_>> {
    match item.kind() {
        Kind::Field | Kind::Variant => {
            let parent = item.parent()?;
            if parent.kind() == Kind::Variant { parent.parent() } else { Some(parent) }
        }
        Kind::Module | Kind::Impl => None,
        _ => Some(item),
    }
}

/// What an item is shown inside of, if it cannot stand alone.
pub(super) fn container(item: Item<'_>) -> Option<Item<'_>> {
    item.parent().filter(|parent| is_container(*parent))
}

/// Whether members are shown inside of it one by one.
pub(super) fn is_container(item: Item<'_>) -> bool {
    matches!(item.kind(), Kind::Impl | Kind::Trait | Kind::Class | Kind::Interface)
}

/// The line that a container begins with.
pub(super) fn opening(item: Item<'_>) -> Option<String> {
    let signature = whole(item)?;
    Some(if has_braces(item) { format!("{signature} {{\n") } else { format!("{signature}\n") })
}

/// The line that a container ends with.
pub(super) fn closing(item: Item<'_>) -> &'static str {
    if has_braces(item) { "}\n" } else { "" }
}

/// The lines of an item that is no container, indented where it stands in one.
pub(super) fn outline(item: Item<'_>) -> Option<String> {
    let signature = whole(item)?;
    let indent = if container(item).is_some() { INDENT } else { "" };
    let parts: Vec<Item<'_>> = item
        .members()
        .filter(|member| matches!(member.kind(), Kind::Field | Kind::Variant))
        .collect();
    if parts.is_empty() {
        return Some(format!("{indent}{signature}{}\n", ending(item)));
    }
    let mut text = format!("{indent}{signature} {{\n");
    let end = if is_rust(item) { "," } else { "" };
    for part in parts {
        let part = whole(part)?.trim_end_matches([',', ';']);
        text.extend([indent, INDENT, part, end, "\n"]);
    }
    text.extend([indent, "}\n"]);
    Some(text)
}

fn whole(item: Item<'_>) -> Option<&str> {
    let signature = item.signature();
    // A comment inside of it, once on one line, would hide what follows.
    let hides = is_rust(item) && signature.contains(" //");
    let is_whole = !signature.is_empty() && signature.len() < CUT_SIGNATURE && !hides;
    // `macro_rules! name (` has its rules in parentheses.
    is_whole.then(|| match item.kind() {
        Kind::Macro => signature.trim_end_matches([' ', '(', '[', '{']),
        _ => signature,
    })
}

/// What makes a whole of a signature whose body is left out.
fn ending(item: Item<'_>) -> &'static str {
    let signature = item.signature();
    match item.kind() {
        _ if signature.ends_with([';', '}']) => "",
        Kind::Macro => " {}",
        Kind::Enum | Kind::Union if is_rust(item) => " {}",
        _ if is_rust(item) => ";",
        _ if signature.ends_with(':') => " ...",
        _ => "",
    }
}

fn is_rust(item: Item<'_>) -> bool {
    item.file().language().is_some_and(|language| language.id == "rust")
}

fn has_braces(item: Item<'_>) -> bool {
    item.file().language().is_none_or(|language| language.id != "python")
}
