//! Imports of languages other than Rust, as names out of modules: what is there is not brought in twice,
//! and what is missing joins the list of its module, or gets a line behind the last one.

use tree_sitter::Node;

use crate::{check::Insertion, syntax::Language};

/// Something that a file imports.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Import {
    /// The module as it is written; empty for a whole module or declaration.
    from: String,
    /// A name out of it, perhaps with an alias; or all that there is to say.
    what: String,
}

/// The import declarations at the top of a file.
pub(in crate::task) fn declared(root: Node<'_>, source: &str, language: &Language) -> Vec<String> {
    nodes(root, source, language)
        .into_iter()
        .map(|node| source.get(node.byte_range()).unwrap_or_default().to_owned())
        .collect()
}

/// What must be inserted so that the file imports all that `wanted` (whole declarations) does.
pub(in crate::task) fn merge(
    root: Node<'_>,
    source: &str,
    language: &'static Language,
    wanted: &[String],
    newline: &str,
) -> Vec<Insertion> {
    let there = nodes(root, source, language);
    let present: Vec<Import> = there.iter().flat_map(|node| imports(*node, source)).collect();
    let mut missing: Vec<Import> = Vec::new();
    for import in wanted.iter().flat_map(|text| of_text(text, language)) {
        let all = Import { what: "*".to_owned(), ..import.clone() };
        if !present.contains(&import) && !present.contains(&all) && !missing.contains(&import) {
            missing.push(import);
        }
    }
    let mut insertions: Vec<Insertion> = Vec::new();
    let mut lines = Vec::new();
    while let Some(Import { from, .. }) = missing.first().cloned() {
        let names: Vec<String> =
            missing.extract_if(.., |it| it.from == from).map(|it| it.what).collect();
        let all = names.iter().any(|name| name == "*");
        let list = there.iter().find_map(|node| end_of_list(*node, source, &from, language));
        let list = list.filter(|_| !all);
        match list {
            Some(at) if language.id == "go" => {
                let text = names.iter().flat_map(|name| [newline, "\t", name]).collect();
                insertions.push(Insertion { at, text });
            }
            Some(at) => insertions.push(Insertion { at, text: format!(", {}", names.join(", ")) }),
            None => lines.push(line(&from, &names, language, newline)),
        }
    }
    if !lines.is_empty() {
        let text = lines.join(newline);
        let (at, text) = match there.last().or(head(root, source, language).as_ref()) {
            Some(last) if is_import(*last, source, language) => {
                (last.end_byte(), format!("{newline}{text}"))
            }
            Some(head) => (head.end_byte(), format!("{newline}{newline}{text}")),
            None => (0, format!("{text}{newline}{newline}")),
        };
        insertions.push(Insertion { at, text });
    }
    insertions
}

/// `wanted` as a new file has it, without what is said twice.
pub(in crate::task) fn lines(
    language: &'static Language,
    wanted: &[String],
    newline: &str,
) -> String {
    let mut all: Vec<Import> = Vec::new();
    for import in wanted.iter().flat_map(|text| of_text(text, language)) {
        if !all.contains(&import) {
            all.push(import);
        }
    }
    let mut lines = Vec::new();
    while let Some(Import { from, .. }) = all.first().cloned() {
        let names: Vec<String> =
            all.extract_if(.., |it| it.from == from).map(|it| it.what).collect();
        lines.push(line(&from, &names, language, newline));
    }
    lines.join(newline)
}

fn nodes<'t>(root: Node<'t>, source: &str, language: &Language) -> Vec<Node<'t>> {
    let mut cursor = root.walk();
    let all = root.named_children(&mut cursor);
    all.filter(|node| is_import(*node, source, language) && !node.has_error()).collect()
}

fn is_import(node: Node<'_>, source: &str, language: &Language) -> bool {
    match node.kind() {
        "import_statement"
        | "import_from_statement"
        | "future_import_statement"
        | "import_declaration" => true,
        // CommonJS.
        "lexical_declaration" | "variable_declaration" if language.id == "javascript" => {
            source.get(node.byte_range()).is_some_and(|text| text.contains("require("))
        }
        _ => false,
    }
}

fn of_text(text: &str, language: &'static Language) -> Vec<Import> {
    let Some(tree) = crate::task::source::parse(language, text) else { return Vec::new() };
    let nodes = nodes(tree.root_node(), text, language);
    nodes.into_iter().flat_map(|node| imports(node, text)).collect()
}

/// The list of named imports of a JavaScript import that has nothing else.
fn named_imports(node: Node<'_>) -> Option<Node<'_>> {
    let clause = node.named_child(0).filter(|it| it.kind() == "import_clause")?;
    clause
        .named_child(0)
        .filter(|it| it.kind() == "named_imports" && clause.named_child_count() == 1)
}

fn imports(node: Node<'_>, source: &str) -> Vec<Import> {
    let text = |node: Node<'_>| {
        let text = source.get(node.byte_range()).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let import = |from: String, what| Import { from, what };
    let mut cursor = node.walk();
    let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    match node.kind() {
        "import_from_statement" => {
            let module = node.child_by_field_name("module_name");
            let from = module.map(text).unwrap_or_default();
            let names = children
                .into_iter()
                .filter(|child| Some(*child) != module && !child.kind().ends_with("comment"));
            names.map(|name| import(from.clone(), text(name))).collect()
        }
        "import_declaration" => {
            let specs = children.into_iter().flat_map(|child| {
                let mut cursor = child.walk();
                let inner: Vec<Node<'_>> = child.named_children(&mut cursor).collect();
                if child.kind() == "import_spec_list" { inner } else { vec![child] }
            });
            let specs = specs.filter(|node| node.kind() == "import_spec");
            specs.map(|spec| import(String::new(), text(spec))).collect()
        }
        "import_statement" => match (node.child_by_field_name("source"), named_imports(node)) {
            (Some(module), Some(list)) => {
                let mut cursor = list.walk();
                let names: Vec<Node<'_>> = list.named_children(&mut cursor).collect();
                names.into_iter().map(|name| import(text(module), text(name))).collect()
            }
            (Some(_), None) => {
                vec![import(String::new(), text(node).trim_end_matches(';').to_owned())]
            }
            // Python's `import a, b`.
            (None, _) => {
                children.into_iter().map(|name| import(String::new(), text(name))).collect()
            }
        },
        _ => vec![import(String::new(), text(node).trim_end_matches(';').to_owned())],
    }
}

/// Where names can be added to a declaration that is there.
fn end_of_list(node: Node<'_>, source: &str, from: &str, language: &Language) -> Option<usize> {
    let module = |name: &str| {
        let module = node.child_by_field_name(name)?;
        (source.get(module.byte_range())? == from).then_some(())
    };
    let last = match (node.kind(), language.id) {
        ("import_from_statement", _) => {
            module("module_name")?;
            node.named_child(u32::try_from(node.named_child_count()).ok()?.checked_sub(1)?)
                .filter(|last| matches!(last.kind(), "dotted_name" | "aliased_import"))
        }
        ("import_declaration", "go") => {
            let list = node.named_child(0).filter(|it| it.kind() == "import_spec_list")?;
            list.named_child(u32::try_from(list.named_child_count()).ok()?.checked_sub(1)?)
        }
        ("import_statement", id) if id != "python" => {
            let list = named_imports(node)?;
            module("source")?;
            list.named_child(u32::try_from(list.named_child_count()).ok()?.checked_sub(1)?)
        }
        _ => None,
    };
    last.map(|last| last.end_byte())
}

/// One declaration of these names.
fn line(from: &str, names: &[String], language: &Language, newline: &str) -> String {
    match (language.id, from) {
        ("python", "") => {
            let whole = |name: &String| {
                if name.starts_with("from ") { name.clone() } else { format!("import {name}") }
            };
            names.iter().map(whole).collect::<Vec<_>>().join(newline)
        }
        ("python", from) => format!("from {from} import {}", names.join(", ")),
        ("go", _) => match names {
            [name] => format!("import {name}"),
            names => {
                let names: String = names.iter().flat_map(|name| ["\t", name, newline]).collect();
                format!("import ({newline}{names})")
            }
        },
        (_, "") => names.iter().map(|all| format!("{all};")).collect::<Vec<_>>().join(newline),
        (_, from) => format!("import {{ {} }} from {from};", names.join(", ")),
    }
}

/// What stands above the first import: a module's documentation, a package's name.
fn head<'t>(root: Node<'t>, source: &str, language: &Language) -> Option<Node<'t>> {
    let mut cursor = root.walk();
    let children: Vec<Node<'t>> = root.named_children(&mut cursor).collect();
    match language.id {
        "go" => children.into_iter().find(|node| node.kind() == "package_clause"),
        "python" => {
            let documents = |node: &Node<'_>| {
                node.kind() == "comment"
                    || (node.kind() == "expression_statement"
                        && node.named_child(0).is_some_and(|it| it.kind() == "string"))
            };
            children.into_iter().take_while(documents).last()
        }
        _ => {
            let marks = |node: &Node<'_>| {
                node.kind() == "hash_bang_line"
                    || source.get(node.byte_range()).is_some_and(|text| {
                        text.starts_with("'use strict'") || text.starts_with("\"use strict\"")
                    })
            };
            children.into_iter().take_while(marks).last()
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(id: &str, source: &str, wanted: &[&str], expected: Expect) {
        let language = Language::by_id(id).expect("a row");
        let wanted: Vec<String> = wanted.iter().map(|&it| it.to_owned()).collect();
        let tree = crate::task::source::parse(language, source).expect("parsed");
        let mut text = source.to_owned();
        let mut all = merge(tree.root_node(), source, language, &wanted, "\n");
        // Of two at the same byte the first stands first.
        all.reverse();
        all.sort_by_key(|insertion| std::cmp::Reverse(insertion.at));
        for Insertion { at, text: new } in all {
            text.insert_str(at, &new);
        }
        let tree = crate::task::source::parse(language, &text).expect("parsed");
        assert!(!tree.root_node().has_error(), "{text}");
        assert!(merge(tree.root_node(), &text, language, &wanted, "\n").is_empty(), "{text}");
        expected.assert_eq(&text);
    }

    #[test]
    #[cfg(feature = "python")]
    fn python() {
        let wanted = [
            "import os",
            "from a import b, c as d",
            "from a import b",
            "import sys",
            "from e import *",
        ];
        check(
            "python",
            "\"\"\"About.\"\"\"\n\nx = 1\n",
            &wanted,
            expect![[r#"
            """About."""

            import os
            import sys
            from a import b, c as d
            from e import *

            x = 1
        "#]],
        );
        check(
            "python",
            "import os\nfrom a import b\n\nx = 1\n",
            &wanted,
            expect![[r#"
            import os
            from a import b, c as d
            import sys
            from e import *

            x = 1
        "#]],
        );
        check(
            "python",
            "x = 1\n",
            &["from a import (\n    b,\n    c,\n)"],
            expect![[r#"
            from a import b, c

            x = 1
        "#]],
        );
        check(
            "python",
            "from a import *\n",
            &["from a import b"],
            expect![[r#"
            from a import *
        "#]],
        );
    }

    #[test]
    #[cfg(feature = "go")]
    fn go() {
        let wanted = ["import \"testing\"", "import (\n\t\"fmt\"\n\tx \"a/b\"\n)"];
        check(
            "go",
            "package a\n\nfunc f() {}\n",
            &wanted,
            expect![[r#"
            package a

            import (
            	"testing"
            	"fmt"
            	x "a/b"
            )

            func f() {}
        "#]],
        );
        check(
            "go",
            "package a\n\nimport \"fmt\"\n",
            &wanted,
            expect![[r#"
            package a

            import "fmt"
            import (
            	"testing"
            	x "a/b"
            )
        "#]],
        );
        check(
            "go",
            "package a\n\nimport (\n\t\"fmt\"\n)\n",
            &wanted,
            expect![[r#"
            package a

            import (
            	"fmt"
            	"testing"
            	x "a/b"
            )
        "#]],
        );
    }

    #[test]
    #[cfg(feature = "typescript")]
    fn typescript() {
        let wanted = [
            "import test from 'node:test';",
            "import { a, b as c } from './x'",
            "import { a } from './x';",
        ];
        check(
            "typescript",
            "f();\n",
            &wanted,
            expect![[r#"
            import test from 'node:test';
            import { a, b as c } from './x';

            f();
        "#]],
        );
        check(
            "typescript",
            "import { d } from './x';\n\nf();\n",
            &wanted,
            expect![[r#"
            import { d, a, b as c } from './x';
            import test from 'node:test';

            f();
        "#]],
        );
    }

    #[test]
    #[cfg(feature = "javascript")]
    fn common_js() {
        let wanted = ["const { f } = require('./x')", "const assert = require('assert');"];
        check(
            "javascript",
            "'use strict';\nconst { f } = require('./x');\nf();\n",
            &wanted,
            expect![[r#"
                'use strict';
                const { f } = require('./x');
                const assert = require('assert');
                f();
            "#]],
        );
    }
}
