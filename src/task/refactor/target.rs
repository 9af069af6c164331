//! The item that a user means: found at the cursor or around the selection, and found again by its
//! name in what a model wrote.
//!
//! An item is a node of the tree with the comments and attributes that belong to it. It is never
//! guessed: where the tree knows none, there is none.

use std::ops::Range;

use tree_sitter::Node;

use crate::syntax::Language;

/// An item of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it goes by; of an impl, its whole head.
    pub name: String,
    /// The kind of its node.
    pub kind: String,
    /// Its bytes, with the documentation and attributes in front of it.
    pub range: Range<usize>,
    /// Its own bytes.
    pub item: Range<usize>,
    /// The impl, trait or module it stands in.
    pub holder: Option<Holder>,
}

/// What an item stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its text up to the brace: `impl Display for Point`.
    pub head: String,
    pub kind: String,
}

impl Target {
    /// What users call this kind of item.
    pub fn noun(&self) -> &'static str {
        noun(&self.kind)
    }

    /// Whether it is a function, with or without a body.
    pub fn is_function(&self) -> bool {
        matches!(self.noun(), "function" | "method")
    }

    /// Whether a new function may stand beside this one: an impl of a trait takes none of its own.
    pub fn can_have_siblings(&self) -> bool {
        let of_trait =
            |holder: &Holder| holder.kind == "impl_item" && holder.head.contains(" for ");
        self.is_function() && !self.holder.as_ref().is_some_and(of_trait)
    }

    /// Whether it consists of other items.
    pub fn is_holder(&self) -> bool {
        matches!(self.kind.as_str(), "impl_item" | "trait_item" | "mod_item")
    }

    /// Whether `other` is the same item in another version of the file, by what it is called.
    pub fn is_like(&self, other: &Self) -> bool {
        self.noun() == other.noun() && self.name == other.name
    }
}

/// What people call a node of this kind.
fn noun(kind: &str) -> &'static str {
    match kind {
        "function_item"
        | "function_signature_item"
        | "function_definition"
        | "function_declaration"
        | "generator_function_declaration" => "function",
        "method_definition" | "method_declaration" => "method",
        "class_definition" | "class_declaration" | "abstract_class_declaration" => "class",
        "interface_declaration" => "interface",
        "impl_item" => "impl",
        "trait_item" => "trait",
        "mod_item" => "module",
        "struct_item" => "struct",
        "enum_item" => "enum",
        "union_item" => "union",
        "const_item" => "constant",
        "static_item" => "static",
        "macro_definition" => "macro",
        "type_item" | "associated_type" => "type",
        _ => "item",
    }
}

/// The smallest item around `selection`; with an empty one, the item that its line belongs to.
/// Imports are no items: they come and go with those that need them.
pub fn at(
    root: Node<'_>,
    source: &str,
    language: &Language,
    selection: Range<usize>,
) -> Option<Target> {
    let selection = trimmed(source, selection);
    let mut node = root.descendant_for_byte_range(selection.start, selection.end)?;
    loop {
        let lead_of = owner_of_lead(node).filter(|owner| {
            is_target(*owner, language) && lead_start(*owner, source) <= node.start_byte()
        });
        if let Some(owner) = lead_of {
            node = owner;
        }
        if is_target(node, language) {
            return of(node, source, language);
        }
        node = node.parent()?;
    }
}

/// Every item of `noun` in the tree, outermost first.
pub fn all(root: Node<'_>, source: &str, language: &Language) -> Vec<Target> {
    let mut found = Vec::new();
    let mut level = vec![root];
    while !level.is_empty() {
        let mut next = Vec::new();
        for node in level {
            if is_target(node, language) {
                found.extend(of(node, source, language));
            }
            let mut cursor = node.walk();
            next.extend(node.named_children(&mut cursor));
        }
        level = next;
    }
    found
}

/// The items that stand directly in `target`.
pub fn children(root: Node<'_>, source: &str, language: &Language, target: &Target) -> Vec<Target> {
    let Some(body) = node_of(root, target).and_then(|node| node.child_by_field_name("body")) else {
        return Vec::new();
    };
    let mut cursor = body.walk();
    let members = body.named_children(&mut cursor).filter(|node| is_target(*node, language));
    members.filter_map(|node| of(node, source, language)).collect()
}

/// The node of an item that was found in this tree.
pub fn node_of<'tree>(root: Node<'tree>, target: &Target) -> Option<Node<'tree>> {
    let mut node = root.descendant_for_byte_range(target.item.start, target.item.end)?;
    while node.byte_range() != target.item || node.kind() != target.kind {
        node = node.parent()?;
    }
    Some(node)
}

fn is_target(node: Node<'_>, language: &Language) -> bool {
    language.is_item(node.kind())
        && !matches!(
            node.kind(),
            "use_declaration"
                | "extern_crate_declaration"
                | "import_statement"
                | "import_from_statement"
                | "import_declaration"
        )
}

fn of(node: Node<'_>, source: &str, language: &Language) -> Option<Target> {
    let holder = std::iter::successors(node.parent(), Node::parent)
        .find(|around| is_target(*around, language))
        .and_then(|around| {
            Some(Holder { head: head(around, source)?, kind: around.kind().to_owned() })
        });
    Some(Target {
        name: name(node, source)?,
        kind: node.kind().to_owned(),
        range: lead_start(node, source)..node.end_byte(),
        item: node.byte_range(),
        holder,
    })
}

fn name(node: Node<'_>, source: &str) -> Option<String> {
    match node.child_by_field_name("name") {
        Some(name) => source.get(name.byte_range()).map(str::to_owned),
        None => head(node, source),
    }
}

/// The text of a node up to its body, on one line.
fn head(node: Node<'_>, source: &str) -> Option<String> {
    let end = node.child_by_field_name("body").map_or(node.end_byte(), |body| body.start_byte());
    let words: Vec<&str> = source.get(node.start_byte()..end)?.split_whitespace().collect();
    Some(words.join(" "))
}

/// Where the comments and attributes in front of a node begin; a blank line ends them.
pub fn lead_start(node: Node<'_>, source: &str) -> usize {
    let mut start = node.start_byte();
    let mut before = node.prev_sibling();
    while let Some(lead) = before.filter(|lead| is_lead(*lead, source)) {
        let between = source.get(lead.end_byte()..start).unwrap_or_default();
        // A documentation line ends behind its line break.
        let breaks = between.matches('\n').count()
            + usize::from(source.get(..lead.end_byte()).is_some_and(|text| text.ends_with('\n')));
        let shares_line = lead.prev_sibling().is_some_and(|other| {
            !is_lead(other, source) && other.end_position().row == lead.start_position().row
        });
        if breaks > 1 || !between.trim().is_empty() || shares_line {
            break;
        }
        start = lead.start_byte();
        before = lead.prev_sibling();
    }
    start
}

fn is_lead(node: Node<'_>, source: &str) -> bool {
    let inner = || {
        source
            .get(node.byte_range())
            .is_some_and(|text| text.starts_with("//!") || text.starts_with("/*!"))
    };
    node.kind() == "attribute_item" || (node.kind().ends_with("comment") && !inner())
}

/// The node behind the comments and attributes that `node` is one of, or is a part of.
fn owner_of_lead(node: Node<'_>) -> Option<Node<'_>> {
    let lead = std::iter::successors(Some(node), Node::parent)
        .take_while(|node| !node.kind().ends_with("block"))
        .find(|node| {
            node.kind() == "attribute_item"
                || matches!(node.kind(), "line_comment" | "block_comment")
        })?;
    std::iter::successors(lead.next_sibling(), Node::next_sibling)
        .find(|node| node.kind() != "attribute_item" && !node.kind().ends_with("comment"))
}

/// A selection without the space around it; a cursor in the space before or after a line's text is
/// taken to the text.
fn trimmed(source: &str, selection: Range<usize>) -> Range<usize> {
    let end = selection.end.min(source.len());
    let start = selection.start.min(end);
    let chosen = source.get(start..end).unwrap_or_default();
    if !chosen.trim().is_empty() {
        let from = start + (chosen.len() - chosen.trim_start().len());
        return from..from + chosen.trim().len();
    }
    let line_start = source.get(..start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
    let rest = source.get(line_start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let text = line.trim();
    if text.is_empty() {
        return start..start;
    }
    let first = line_start + (line.len() - line.trim_start().len());
    let last = first + text.char_indices().next_back().map_or(0, |(at, _)| at);
    let at = start.clamp(first, last);
    at..at
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use expect_test::{Expect, expect};
    use ropey::Rope;

    use super::*;

    /// Shows the item at `$0`, or around the text between two of them.
    fn check(fixture: &str, expected: Expect) {
        let places: Vec<usize> = fixture.match_indices("$0").map(|(at, _)| at).collect();
        let source = fixture.replace("$0", "");
        let selection = places[0]..places.get(1).map_or(places[0], |end| end - 2);
        let rust = Language::by_id("rust").expect("a row");
        let tree =
            rust.parse(&Rope::from_str(&source), None, &AtomicBool::new(false)).expect("parsed");
        let shown =
            at(tree.root_node(), &source, rust, selection).map_or("none".to_owned(), |target| {
                let holder = target.holder.as_ref().map(|holder| format!(" in {}", holder.head));
                format!(
                    "{} {}{}\n{}",
                    target.noun(),
                    target.name,
                    holder.unwrap_or_default(),
                    &source[target.range]
                )
            });
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_cursor_anywhere_in_a_line_of_the_item() {
        let whole = || {
            expect![[r#"
            function f
            /// One.
            /// Two.
            #[inline]
            fn f() {}"#]]
        };
        check("use a;\n\n/// O$0ne.\n/// Two.\n#[inline]\nfn f() {}\n", whole());
        check("use a;\n\n/// One.\n/// Two.\n#[in$0line]\nfn f() {}\n", whole());
        check("use a;\n\n/// One.\n/// Two.\n#[inline]\nfn f() {}$0\n", whole());
        check("use a;\n\n/// One.\n/// Two.\n#[inline]\n$0fn f() {}\n", whole());
    }

    #[test]
    fn the_smallest_item_around() {
        let source = "impl<T> Walk<T> {\n    fn a(&self) {}\n\n    /// B.\n    fn b(&self) {\n        $0self.a();\n    }\n}\n";
        check(
            source,
            expect![[r#"
            function b in impl<T> Walk<T>
            /// B.
                fn b(&self) {
                    self.a();
                }"#]],
        );
        check(
            "impl$0 A for B {\n    fn a() {}\n}\n",
            expect![[r#"
            impl impl A for B
            impl A for B {
                fn a() {}
            }"#]],
        );
        check(
            "impl B {\n    $0fn a() {}\n    fn b() {}$0\n}\n",
            expect![[r#"
            impl impl B
            impl B {
                fn a() {}
                fn b() {}
            }"#]],
        );
        check(
            "mod m {\n    struct S {\n        $0a: u8,\n    }\n}\n",
            expect![[r#"
            struct S in mod m
            struct S {
                    a: u8,
                }"#]],
        );
    }

    #[test]
    fn what_is_no_item() {
        check("use a$0;\nfn f() {}\n", expect!["none"]);
        check("fn f() {}\n$0\nfn g() {}\n", expect!["none"]);
        check("$0fn f() {}\nfn g() {}$0\n", expect!["none"]);
        check("//! About$0.\n\nfn f() {}\n", expect!["none"]);
        check("// About$0.\n\nfn f() {}\n", expect!["none"]);
        check("$0", expect!["none"]);
    }

    #[test]
    fn a_comment_after_a_blank_line_or_on_another_line_of_code_does_not_belong() {
        check(
            "// Header.\n\nfn $0f() {}\n",
            expect![[r#"
            function f
            fn f() {}"#]],
        );
        check(
            "const A: u8 = 1; // one\nfn $0f() {}\n",
            expect![[r#"
            function f
            fn f() {}"#]],
        );
    }
}
