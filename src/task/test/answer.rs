//! What a model answered, read as the one test that it was asked for.

use std::sync::atomic::AtomicBool;

use ropey::Rope;
use tree_sitter::Node;

use super::{
    custom::{Custom, Found},
    subject::has_test_attribute,
};
use crate::{
    model::Stop,
    syntax::{Language, errors::error_bytes},
    task::{
        refactor::{
            answer::{ended, indented, uses},
            blocks::{Block, Fences, blocks, without_thoughts},
            target,
        },
        source::unix,
    },
};

/// A test as it is put into its module. Lines end in `\n`; all but the first are indented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// No other item of the module has it.
    pub name: String,
    pub text: String,
    /// Whole `use` declarations.
    pub imports: Vec<String>,
}

/// Why an answer is no test, in words for the model that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("Your answer has no function marked `#[test]` in a code block. Answer with one.")]
    NoTest,
    #[error("Your answer was cut off before its end. Answer with one shorter test and no words.")]
    Truncated,
}

/// Takes the first test out of what a model said before it stopped. A name that is `taken` gets a
/// number.
pub fn read(
    said: &str,
    stop: Stop,
    language: &Language,
    taken: &[String],
    indent: &str,
) -> Result<Written, Malformed> {
    let said = unix(said);
    let mut cut = stop == Stop::Limit;
    let custom = Custom::of(language);
    for block in blocks(without_thoughts(&said)) {
        let source = block.text.as_str();
        let tree = language.parse(&Rope::from_str(source), None, &AtomicBool::new(false));
        let Some(tree) = tree else { continue };
        let root = tree.root_node();
        if let Some(custom) = custom {
            match custom.first_test(root, source) {
                Some(found) if !whole(&block, found.node, stop) => cut = true,
                Some(found) => return Ok(custom_test(&found, root, source, language, taken)),
                None => cut |= block.fences == Fences::Open,
            }
            continue;
        }
        let items = target::all(root, source, language);
        let test = items.iter().find(|item| {
            item.is_function() && has_test_attribute(&source[item.range.start..item.item.start])
        });
        let found = test.and_then(|test| Some((test, target::node_of(root, test)?)));
        let Some((test, node)) = found else {
            cut |= block.fences == Fences::Open;
            continue;
        };
        if !whole(&block, node, stop) {
            cut = true;
            continue;
        }
        let module = node.parent().unwrap_or(root);
        let mut imports = uses(root, source, language);
        if module != root {
            imports.extend(uses(module, source, language));
        }
        let name = unique(&test.name, taken);
        let mut own = indented(node, source, test.item.start, test.item.end, indent);
        if let Some(at) = node.child_by_field_name("name").filter(|_| name != test.name) {
            // It stands on the first line, in front of everything that was shifted.
            let at = at.start_byte() - test.item.start;
            own.replace_range(at..at + test.name.len(), &name);
        }
        let lead = source[test.range.start..test.item.start].lines().map(str::trim);
        let lead = lead.filter(|line| !line.is_empty());
        let lead = lead.flat_map(|line| [line, "\n", indent]).collect::<String>();
        return Ok(Written { name, text: lead + &own, imports });
    }
    Err(if cut { Malformed::Truncated } else { Malformed::NoTest })
}

/// Whether a model has written all of an item.
fn whole(block: &Block, node: Node<'_>, stop: Stop) -> bool {
    let open = block.fences == Fences::Open && error_bytes(node) > 0;
    !open && (block.fences == Fences::Closed || ended(stop))
}

fn custom_test(
    found: &Found<'_>,
    root: Node<'_>,
    source: &str,
    language: &Language,
    taken: &[String],
) -> Written {
    let own = source.get(found.name.byte_range()).unwrap_or_default();
    let name = unique(own, taken);
    let mut text = indented(found.node, source, found.node.start_byte(), found.node.end_byte(), "");
    let at = found.name.start_byte() - found.node.start_byte();
    if name != own {
        // It stands on the first line, in front of everything that was shifted.
        text.replace_range(at..at + own.len(), &name);
    }
    Written { name, text, imports: uses(root, source, language) }
}

fn unique(name: &str, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(free).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(said: &str, stop: Stop, expected: Expect) {
        let rust = Language::by_id("rust").expect("a row");
        let taken = ["adds".to_owned(), "adds_2".to_owned()];
        let shown = match read(said, stop, rust, &taken, "    ") {
            Ok(Written { name, text, imports }) => format!("{name} {imports:?}\n    {text}\n"),
            Err(malformed) => format!("{malformed}\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_test_alone() {
        check(
            "Here:\n```rust\nuse std::fmt;\n\n#[test]\nfn sums() {\n    assert_eq!(sum(), 1);\n}\n```\nDone.",
            Stop::Complete,
            expect![[r#"
                sums ["use std::fmt;"]
                    #[test]
                    fn sums() {
                        assert_eq!(sum(), 1);
                    }
            "#]],
        );
    }

    #[test]
    fn the_first_of_a_module_under_another_name() {
        check(
            "```rust\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    fn help() {}\n\n    /// It adds.\n    #[tokio::test]\n    async fn adds() {\n        assert!(true);\n    }\n\n    #[test]\n    fn other() {}\n}\n```",
            Stop::Complete,
            expect![[r#"
                adds_3 ["use super::*;"]
                    /// It adds.
                    #[tokio::test]
                    async fn adds_3() {
                        assert!(true);
                    }
            "#]],
        );
    }

    #[test]
    fn what_is_no_test() {
        check(
            "I cannot.",
            Stop::Complete,
            expect![[r#"
            Your answer has no function marked `#[test]` in a code block. Answer with one.
        "#]],
        );
        check(
            "```rust\nfn f() {}\n```",
            Stop::Complete,
            expect![[r#"
            Your answer has no function marked `#[test]` in a code block. Answer with one.
        "#]],
        );
        check(
            "```rust\n#[test]\nfn f() {\n    assert",
            Stop::Limit,
            expect![[r#"
            Your answer was cut off before its end. Answer with one shorter test and no words.
        "#]],
        );
        check(
            "```rust\n#[test]\nfn f() {\n    assert",
            Stop::Complete,
            expect![[r#"
            Your answer was cut off before its end. Answer with one shorter test and no words.
        "#]],
        );
        check(
            "<think>\n```rust\n#[test]\nfn f() {}\n```",
            Stop::Complete,
            expect![[r#"
            Your answer has no function marked `#[test]` in a code block. Answer with one.
        "#]],
        );
    }
}
