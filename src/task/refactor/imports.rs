//! Imports that an item needs, merged into those that its module has.
//!
//! The model says which paths it uses; where they go is decided here: into the braces of a `use` of
//! the same module, beside a single name of it, or on a line of their own. What is there already, or
//! defined in the module itself, is left out. Nothing that stands is changed but for braces.

use std::ops::Range;

use tree_sitter::Node;

use crate::check::Insertion;

/// A path as `use` brings it in: `std::fmt`, `self`'s module itself, `Write as _` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    /// Up to the last `::`; empty for a single name.
    module: String,
    /// The last name with its alias, or `*`.
    leaf: String,
}

impl Path {
    /// The name that the module knows it by.
    fn known_as(&self) -> &str {
        self.leaf.rsplit(" as ").next().unwrap_or(&self.leaf)
    }
}

/// What must be inserted so that the module around byte `at` imports what `wanted` (whole `use`
/// declarations) does. `newline` is the file's.
pub fn merge(
    root: Node<'_>,
    source: &str,
    at: usize,
    wanted: &[String],
    newline: &str,
) -> Vec<Insertion> {
    let scope = scope(root, at);
    let present = present(scope, source);
    let mut missing: Vec<Path> = Vec::new();
    for path in wanted.iter().flat_map(|text| paths_of_text(text)) {
        let glob = Path { module: path.module.clone(), leaf: "*".to_owned() };
        let there = |path: &Path| present.iter().any(|declared| declared.paths.contains(path));
        if !there(&path)
            && !there(&glob)
            && !defines(scope, source, path.known_as())
            && !missing.contains(&path)
        {
            missing.push(path);
        }
    }
    let mut insertions = Vec::new();
    while let Some(first) = missing.first() {
        let module = first.module.clone();
        let leaves: Vec<String> =
            missing.extract_if(.., |path| path.module == module).map(|path| path.leaf).collect();
        insertions.extend(place(scope, source, &present, &module, &leaves, newline));
    }
    join(insertions)
}

/// What `wanted` (whole `use` declarations) brings in that a module inside of the one around byte `at`
/// does not have by `use super::*`, as declarations on one line each.
pub fn lacking(root: Node<'_>, source: &str, at: usize, wanted: &[String]) -> Vec<String> {
    let scope = scope(root, at);
    let present = present(scope, source);
    let mut lines: Vec<String> = Vec::new();
    for path in wanted.iter().flat_map(|text| paths_of_text(text)) {
        let there = present.iter().any(|declared| declared.paths.contains(&path));
        let above = path.module == "super" || (path.module.is_empty() && path.leaf == "super");
        let Path { module, leaf } = path;
        let line = if module.is_empty() {
            format!("use {leaf};")
        } else {
            format!("use {module}::{leaf};")
        };
        if !there && !above && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The names that the module around byte `at` brings in by `use`, as declarations on one line each.
pub fn declared(root: Node<'_>, source: &str, at: usize) -> Vec<String> {
    let declarations = present(scope(root, at), source);
    let text = |range: &Range<usize>| source.get(range.clone()).unwrap_or_default();
    declarations
        .iter()
        .map(|use_| text(&use_.whole).split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// A `use` declaration that is there.
struct Declared {
    whole: Range<usize>,
    paths: Vec<Path>,
    /// Whether something may be added to it: nobody else sees it and nothing conditions it.
    open: bool,
    /// Braces in it, and the module that they hold names of.
    lists: Vec<(String, Range<usize>)>,
    /// The name, with its alias, of a declaration without braces, and its module.
    single: Option<(String, Range<usize>)>,
}

/// The innermost module around byte `at`: the file itself or the body of a `mod`.
pub fn scope(root: Node<'_>, at: usize) -> Node<'_> {
    let inner = root.descendant_for_byte_range(at, at);
    std::iter::successors(inner, Node::parent)
        .find(|node| {
            node.kind() == "declaration_list"
                && node.parent().is_some_and(|parent| parent.kind() == "mod_item")
        })
        .unwrap_or(root)
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).collect()
}

fn present(scope: Node<'_>, source: &str) -> Vec<Declared> {
    children(scope)
        .into_iter()
        .filter(|node| node.kind() == "use_declaration")
        .filter_map(|node| {
            let argument = node.child_by_field_name("argument")?;
            let mut declared = Declared {
                whole: node.byte_range(),
                paths: Vec::new(),
                open: node.child(0).is_some_and(|first| first.kind() == "use")
                    && node.prev_sibling().is_none_or(|before| before.kind() != "attribute_item"),
                lists: Vec::new(),
                single: None,
            };
            flatten(argument, source, "", &mut declared);
            Some(declared)
        })
        .collect()
}

fn squeezed(node: Node<'_>, source: &str) -> String {
    source
        .get(node.byte_range())
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" ::", "::")
        .replace(":: ", "::")
}

fn joined(module: &str, rest: &str) -> String {
    if module.is_empty() { rest.to_owned() } else { format!("{module}::{rest}") }
}

/// Takes one branch of a `use` apart, `module` being what stands before it.
fn flatten(node: Node<'_>, source: &str, module: &str, into: &mut Declared) {
    let top = module.is_empty() && into.lists.is_empty();
    match node.kind() {
        "use_list" => {
            into.lists.push((module.to_owned(), node.byte_range()));
            for child in children(node) {
                flatten(child, source, module, into);
            }
        }
        "scoped_use_list" => {
            let path = node.child_by_field_name("path").map(|path| squeezed(path, source));
            let module = joined(module, &path.unwrap_or_default());
            if let Some(list) = node.child_by_field_name("list") {
                flatten(list, source, &module, into);
            }
        }
        "use_wildcard" => {
            let text = squeezed(node, source);
            let inside = text.trim_end_matches('*').trim_end_matches("::");
            let module = if inside.is_empty() { module.to_owned() } else { joined(module, inside) };
            into.paths.push(Path { module, leaf: "*".to_owned() });
        }
        "self" => {
            // `a::{self}` is `a`.
            let (outer, leaf) = split(module);
            into.paths.push(Path { module: outer, leaf });
        }
        _ if node.kind().ends_with("comment") => {}
        _ => {
            let text = squeezed(node, source);
            let (path, alias) = text
                .split_once(" as ")
                .map_or((text.as_str(), None), |(path, alias)| (path, Some(alias)));
            let (outer, name) = split(&joined(module, path));
            let leaf = alias.map_or(name.clone(), |alias| format!("{name} as {alias}"));
            if top && !outer.is_empty() {
                let name_len = text.len() - (path.len() - name.len());
                // Spaces inside of a path are rare: then it is not added to.
                if text.len() == node.byte_range().len() {
                    into.single =
                        Some((outer.clone(), node.end_byte() - name_len..node.end_byte()));
                }
            }
            into.paths.push(Path { module: outer, leaf });
        }
    }
}

fn split(path: &str) -> (String, String) {
    match path.rsplit_once("::") {
        Some((module, leaf)) => (module.to_owned(), leaf.to_owned()),
        None => (String::new(), path.to_owned()),
    }
}

fn paths_of_text(declaration: &str) -> Vec<Path> {
    let mut parser = tree_sitter::Parser::new();
    let parsed = parser
        .set_language(&tree_sitter_rust::LANGUAGE.into())
        .ok()
        .and_then(|()| parser.parse(declaration, None));
    let Some(tree) = parsed.filter(|tree| !tree.root_node().has_error()) else { return Vec::new() };
    present(tree.root_node(), declaration).into_iter().flat_map(|declared| declared.paths).collect()
}

/// Whether the module itself has an item of this name.
fn defines(scope: Node<'_>, source: &str, name: &str) -> bool {
    children(scope).into_iter().any(|item| {
        let named = item.child_by_field_name("name");
        named.is_some_and(|own| source.get(own.byte_range()) == Some(name))
    })
}

/// Where `leaves` of `module` go.
fn place(
    scope: Node<'_>,
    source: &str,
    present: &[Declared],
    module: &str,
    leaves: &[String],
    newline: &str,
) -> Vec<Insertion> {
    let open = || present.iter().filter(|declared| declared.open);
    let names = leaves.join(", ");
    let in_list = open().flat_map(|declared| &declared.lists).find(|(of, _)| of == module);
    if let Some((_, list)) = in_list.filter(|_| !module.is_empty()) {
        return vec![into_list(source, list, leaves, newline)];
    }
    let beside =
        open().filter_map(|declared| declared.single.as_ref()).find(|(of, _)| of == module);
    if let Some((_, name)) = beside {
        return vec![
            Insertion { at: name.start, text: "{".to_owned() },
            Insertion { at: name.end, text: format!(", {names}}}") },
        ];
    }
    let tree = if leaves.len() > 1 && !module.is_empty() { format!("{{{names}}}") } else { names };
    let line = if module.is_empty() {
        leaves.iter().map(|leaf| format!("use {leaf};")).collect::<Vec<_>>().join(newline)
    } else {
        format!("use {module}::{tree};")
    };
    vec![on_its_own(scope, source, present, &line, newline)]
}

fn into_list(source: &str, list: &Range<usize>, leaves: &[String], newline: &str) -> Insertion {
    let names = leaves.join(", ");
    let inside = source.get(list.start + 1..list.end.saturating_sub(1)).unwrap_or_default();
    let kept = inside.trim_end();
    let at = list.start + 1 + kept.len();
    let text = match kept.rfind('\n') {
        _ if kept.trim().is_empty() => names,
        Some(last_line) if kept.ends_with(',') => {
            let line = &kept[last_line + 1..];
            let indent = &line[..line.len() - line.trim_start().len()];
            format!("{newline}{indent}{names},")
        }
        _ if kept.ends_with(',') => format!(" {names}"),
        _ => format!(", {names}"),
    };
    Insertion { at, text }
}

/// A declaration of its own: behind the last one of the module, else in front of its items.
fn on_its_own(
    scope: Node<'_>,
    source: &str,
    present: &[Declared],
    line: &str,
    newline: &str,
) -> Insertion {
    let file = scope.parent().is_none();
    let indent_of = |at: usize| {
        let start = source.get(..at).and_then(|text| text.rfind('\n')).map_or(0, |line| line + 1);
        let text = source.get(start..at).unwrap_or_default();
        text[..text.len() - text.trim_start().len()].to_owned()
    };
    if let Some(last) = present.last() {
        let text = format!("{newline}{}{line}", indent_of(last.whole.start));
        return Insertion { at: last.whole.end, text };
    }
    let first = children(scope).into_iter().find(|node| {
        let text = source.get(node.byte_range()).unwrap_or_default();
        let about_the_file = text.starts_with("//!")
            || text.starts_with("/*!")
            || node.kind() == "inner_attribute_item";
        // A comment at the very top that a blank line follows is the file's header.
        let header = node.kind().ends_with("comment")
            && source.get(node.end_byte()..).is_some_and(|rest| blank_line_first(rest));
        !about_the_file && !header
    });
    match first {
        Some(first) => {
            let indent = indent_of(first.start_byte());
            Insertion { at: first.start_byte(), text: format!("{line}{newline}{newline}{indent}") }
        }
        None if file => Insertion { at: source.len(), text: format!("{line}{newline}") },
        None => {
            let indent = format!("{}    ", indent_of(scope.start_byte()));
            Insertion { at: scope.start_byte() + 1, text: format!("{newline}{indent}{line}") }
        }
    }
}

fn blank_line_first(rest: &str) -> bool {
    let mut breaks = 0;
    for byte in rest.bytes() {
        match byte {
            b'\n' => breaks += 1,
            b' ' | b'\t' | b'\r' => {}
            _ => break,
        }
    }
    breaks > 1
}

/// Insertions at one place become one.
fn join(mut insertions: Vec<Insertion>) -> Vec<Insertion> {
    insertions.sort_by_key(|insertion| insertion.at);
    let mut joined: Vec<Insertion> = Vec::new();
    for insertion in insertions {
        match joined.last_mut().filter(|last| last.at == insertion.at) {
            Some(last) => last.text.push_str(&insertion.text),
            None => joined.push(insertion),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Merges into the module around `$0`, or into the file.
    fn check(fixture: &str, wanted: &[&str], expected: Expect) {
        let at = fixture.find("$0").unwrap_or(0);
        let source = fixture.replace("$0", "");
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&tree_sitter_rust::LANGUAGE.into()).expect("a grammar");
        let tree = parser.parse(&source, None).expect("parsed");
        let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
        let mut text = source.clone();
        for insertion in merge(tree.root_node(), &source, at, &wanted, "\n").into_iter().rev() {
            text.insert_str(insertion.at, &insertion.text);
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn what_is_there_is_not_added() {
        let all = "use a::b::{self, c::D, E as F};\nuse g::*;\n\nstruct Own;\n";
        let wanted =
            ["use a::b;", "use a::b::c::D;", "use a::b::{E as F};", "use g::H;", "use x::Own;"];
        check(
            all,
            &wanted,
            expect![[r#"
            use a::b::{self, c::D, E as F};
            use g::*;

            struct Own;
        "#]],
        );
    }

    #[test]
    fn into_braces() {
        check(
            "use a::{B, C};\nfn f() {}\n",
            &["use a::D;", "use a::{E, B};"],
            expect![[r#"
            use a::{B, C, D, E};
            fn f() {}
        "#]],
        );
        check(
            "use a::{\n    B,\n    c::{D},\n};\n",
            &["use a::E;", "use a::c::F;"],
            expect![[r#"
            use a::{
                B,
                c::{D, F},
                E,
            };
        "#]],
        );
    }

    #[test]
    fn beside_a_single_name() {
        check(
            "use std::fmt::Write as _;\n",
            &["use std::fmt::Display;"],
            expect![[r#"
            use std::fmt::{Write as _, Display};
        "#]],
        );
        check(
            "use a::B;\n",
            &["use a::{C, D};"],
            expect![[r#"
            use a::{B, C, D};
        "#]],
        );
    }

    #[test]
    fn on_a_line_of_its_own() {
        check(
            "use a::B;\nuse c::D;\n\nfn f() {}\n",
            &["use e::F;", "use g;", "use e::H;"],
            expect![[r#"
            use a::B;
            use c::D;
            use e::{F, H};
            use g;

            fn f() {}
        "#]],
        );
        check(
            "//! About.\n#![allow(dead_code)]\n\n/// F.\nfn f() {}\n",
            &["use e::F;"],
            expect![[r#"
            //! About.
            #![allow(dead_code)]

            use e::F;

            /// F.
            fn f() {}
        "#]],
        );
    }

    #[test]
    fn what_others_see_or_a_condition_guards_is_not_added_to() {
        check(
            "pub use a::B;\n#[cfg(unix)]\nuse a::{C};\n",
            &["use a::D;"],
            expect![[r#"
            pub use a::B;
            #[cfg(unix)]
            use a::{C};
            use a::D;
        "#]],
        );
    }

    #[test]
    fn the_module_around_counts() {
        check(
            "use a::B;\n\nmod tests {\n    use super::*;\n\n    fn $0t() {}\n}\n",
            &["use a::C;", "use super::X;"],
            expect![[r#"
            use a::B;

            mod tests {
                use super::*;
                use a::C;

                fn t() {}
            }
        "#]],
        );
        check(
            "mod m {\n    fn $0t() {}\n}\n",
            &["use a::C;"],
            expect![[r#"
            mod m {
                use a::C;

                fn t() {}
            }
        "#]],
        );
    }

    #[test]
    fn nonsense_is_no_import() {
        check(
            "use a::B;\n",
            &["use ;", "fn f() {}", "use a::"],
            expect![[r#"
            use a::B;
        "#]],
        );
    }
}
