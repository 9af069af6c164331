//! Skeletons: what a Rust item promises to the code that uses it, without how it is done.
//!
//! A signature, the fields of a struct, the variants of an enum, the signatures of an impl or a
//! trait; no bodies, comments or attributes, each member on one line. A model that sees the
//! skeletons of what is in play calls what exists, at a tenth of the tokens of the source.

use std::ops::Range;

use tree_sitter::Node;

/// One item of a file without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skeleton {
    /// The name by which other code refers to it; for an impl, the name of its type.
    pub name: String,
    /// Where the whole item stands in its file.
    pub range: Range<usize>,
    /// Its text without bodies, ending in a newline.
    pub text: String,
}

/// The skeletons of all items in a file, in the order of the file.
///
/// Items of inline modules stand beside the others, except those of `mod tests`, which nothing
/// outside refers to.
pub fn skeletons(root: Node<'_>, source: &str) -> Vec<Skeleton> {
    let mut found = Vec::new();
    collect(root, source, &mut found);
    found
}

fn collect(parent: Node<'_>, source: &str, found: &mut Vec<Skeleton>) {
    for item in parent.named_children(&mut parent.walk()) {
        if item.kind() == "mod_item" {
            let is_tests = item
                .child_by_field_name("name")
                .is_some_and(|name| matches!(&source[name.byte_range()], "test" | "tests"));
            if let Some(body) = item.child_by_field_name("body").filter(|_| !is_tests) {
                collect(body, source, found);
            }
        } else if let Some((name, text)) = name_of(item, source).zip(text_of(item, source)) {
            found.push(Skeleton { name, range: item.byte_range(), text });
        }
    }
}

fn name_of(item: Node<'_>, source: &str) -> Option<String> {
    let mut name = match item.kind() {
        "impl_item" => item.child_by_field_name("type")?,
        _ => item.child_by_field_name("name")?,
    };
    // `impl<T> Trait for &'a path::Name<T>` goes by `Name`.
    while !matches!(name.kind(), "identifier" | "type_identifier" | "primitive_type") {
        let inner = ["type", "name"].iter().find_map(|field| name.child_by_field_name(field));
        name = inner?;
    }
    Some(source[name.byte_range()].to_owned())
}

fn text_of(item: Node<'_>, source: &str) -> Option<String> {
    let body = item.child_by_field_name("body");
    let text = match item.kind() {
        "function_item"
        | "function_signature_item"
        | "associated_type"
        | "type_item"
        | "const_item"
        | "static_item" => member(item, source)?,
        "macro_definition" => {
            format!("macro_rules! {};", &source[item.child_by_field_name("name")?.byte_range()])
        }
        "struct_item" | "union_item" => match body {
            Some(body) if body.kind() == "field_declaration_list" => {
                braced(item, body, source, |field| {
                    Some(format!("{},", flat(field, field.end_byte(), source)))
                })
            }
            _ => flat(item, item.end_byte(), source),
        },
        "enum_item" => braced(item, body?, source, |variant| {
            Some(format!("{},", flat(variant, variant.end_byte(), source)))
        }),
        "trait_item" | "impl_item" => match body {
            Some(body) => braced(item, body, source, |inner| member(inner, source)),
            None => flat(item, item.end_byte(), source),
        },
        _ => return None,
    };
    Some(text + "\n")
}

/// What may stand in an impl or a trait as well as alone, on one line.
fn member(item: Node<'_>, source: &str) -> Option<String> {
    let cut = match item.kind() {
        "function_item" => item.child_by_field_name("body"),
        "const_item" | "static_item" => {
            // A short value says more than it costs; a table does not.
            item.child_by_field_name("value").filter(|value| value.byte_range().len() > 40)
        }
        "function_signature_item" | "associated_type" | "type_item" => None,
        _ => return None,
    };
    let end = cut.map_or(item.end_byte(), |cut| cut.start_byte());
    let text = flat(item, end, source);
    let text = text.trim_end_matches(['=', ' ', ',', ';']);
    Some(format!("{text};"))
}

/// An item's head and one line for each child of its body that `line` keeps.
fn braced(
    item: Node<'_>,
    body: Node<'_>,
    source: &str,
    line: impl Fn(Node<'_>) -> Option<String>,
) -> String {
    let head = flat(item, body.start_byte(), source);
    let head = head.trim_end_matches(',');
    let lines: Vec<_> = body
        .named_children(&mut body.walk())
        .filter(|child| !is_aside(*child))
        .filter_map(line)
        .map(|line| format!("    {line}\n"))
        .collect();
    if lines.is_empty() {
        format!("{head} {{}}")
    } else {
        format!("{head} {{\n{}}}", lines.concat())
    }
}

/// The text of a node up to `end` on one line, without comments and attributes.
fn flat(node: Node<'_>, end: usize, source: &str) -> String {
    let mut kept = String::new();
    let mut from = node.start_byte();
    asides(node, end, &mut |aside| {
        kept.push_str(&source[from..aside.start_byte()]);
        kept.push(' ');
        from = aside.end_byte();
    });
    kept.push_str(&source[from.min(end)..end]);
    let words = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    [("( ", "("), (", )", ")"), ("< ", "<"), (", >", ">")]
        .iter()
        .fold(words, |text, (broken, whole)| text.replace(broken, whole))
}

fn asides<'tree>(node: Node<'tree>, end: usize, see: &mut impl FnMut(Node<'tree>)) {
    for child in node.children(&mut node.walk()) {
        if child.start_byte() >= end {
            break;
        }
        if is_aside(child) {
            see(child);
        } else {
            asides(child, end, see);
        }
    }
}

fn is_aside(node: Node<'_>) -> bool {
    matches!(node.kind(), "line_comment" | "block_comment" | "attribute_item")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::skeletons;

    fn check(source: &str, expected: Expect) {
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&tree_sitter_rust::LANGUAGE.into()).unwrap();
        let tree = parser.parse(source, None).unwrap();
        let lines: Vec<_> = skeletons(tree.root_node(), source)
            .iter()
            .map(|skeleton| {
                assert!(skeleton.text.ends_with('\n'));
                format!("[{}] {}", skeleton.name, skeleton.text)
            })
            .collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn functions_lose_their_bodies() {
        check(
            "/// Doc.\n#[inline]\npub fn add<T: Add>(\n    a: T, // left\n    b: T,\n) -> T\nwhere\n    T: Copy,\n{\n    a + b\n}\n",
            expect![[r#"
                [add] pub fn add<T: Add>(a: T, b: T) -> T where T: Copy;
            "#]],
        );
    }

    #[test]
    fn types_keep_their_fields_and_variants() {
        check(
            "struct Unit;\nstruct Pair(pub u8, u8);\n#[derive(Debug)]\npub struct Point<T> {\n    /// Across.\n    pub x: T,\n    #[serde(skip)]\n    y: Vec<\n        T,\n    >,\n}\nenum Shape { Dot, Line { from: P, to: P }, Poly(Vec<P>) = 3 }\nstruct Empty {}\nunion Bits { f: f32, u: u32 }\n",
            expect![[r#"
                [Unit] struct Unit;
                [Pair] struct Pair(pub u8, u8);
                [Point] pub struct Point<T> {
                    pub x: T,
                    y: Vec<T>,
                }
                [Shape] enum Shape {
                    Dot,
                    Line { from: P, to: P },
                    Poly(Vec<P>) = 3,
                }
                [Empty] struct Empty {}
                [Bits] union Bits {
                    f: f32,
                    u: u32,
                }
            "#]],
        );
    }

    #[test]
    fn impls_and_traits_keep_signatures() {
        check(
            "impl<'a, T> Iterator for &'a mut path::Walk<T> {\n    type Item = T;\n    const N: usize = 3;\n    fn next(&mut self) -> Option<T> { self.0.pop() }\n}\npub trait Engine: Send {\n    type Error;\n    /// Runs.\n    fn run(&self) -> u8;\n    fn twice(&self) -> u8 { 2 * self.run() }\n}\nimpl Marker for Unit {}\n",
            expect![[r#"
                [Walk] impl<'a, T> Iterator for &'a mut path::Walk<T> {
                    type Item = T;
                    const N: usize = 3;
                    fn next(&mut self) -> Option<T>;
                }
                [Engine] pub trait Engine: Send {
                    type Error;
                    fn run(&self) -> u8;
                    fn twice(&self) -> u8;
                }
                [Unit] impl Marker for Unit {}
            "#]],
        );
    }

    #[test]
    fn long_values_and_macro_arms_go() {
        check(
            "const TABLE: &[&str] = &[\"one\", \"two\", \"three\", \"four\", \"five\", \"six\"];\nstatic ON: bool = true;\ntype Map<K> = HashMap<K, u8>;\nmacro_rules! twice { ($e:expr) => { $e; $e } }\n",
            expect![[r#"
                [TABLE] const TABLE: &[&str];
                [ON] static ON: bool = true;
                [Map] type Map<K> = HashMap<K, u8>;
                [twice] macro_rules! twice;
            "#]],
        );
    }

    #[test]
    fn inline_modules_count_and_test_modules_do_not() {
        check(
            "mod inner { pub fn seen() {} }\nmod far;\n#[cfg(test)]\nmod tests { fn unseen() {} }\n",
            expect![[r#"
                [seen] pub fn seen();
            "#]],
        );
    }

    #[test]
    fn broken_source_gives_what_it_can() {
        check(
            "fn whole() {}\nfn half(\nstruct After { a: u8 }\n",
            expect![[r#"
                [whole] fn whole();
            "#]],
        );
    }
}
