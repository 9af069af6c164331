//! What a model answered, read as the one item that it was asked for.
//!
//! Small models chat around the fence, name the wrong language, repeat the file, shift the
//! indentation or stop in the middle. What can be told apart is put right; what was cut off is
//! refused in words that go back to the model. Nothing but the item, its imports and, where it
//! was asked for, new items beside it is ever taken from an answer.

use std::sync::atomic::AtomicBool;

use ropey::Rope;
use tree_sitter::Node;

use super::{
    blocks::{Block, Fences, blocks, without_thoughts},
    import_lines,
    target::{self, Target},
};
use crate::{
    model::Stop,
    syntax::{Language, errors::error_bytes},
    task::source::indent_at,
};

/// What is taken from an answer. Lines end in `\n`; the item's lines are indented as in the file, but
/// for its first, which has no indentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The item, with its documentation and attributes.
    pub item: String,
    /// Whole `use` declarations.
    pub imports: Vec<String>,
    /// New items beside it, by name and text.
    pub beside: Vec<(String, String)>,
}

/// Why an answer cannot be used, in words for the model that gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("Your answer has no code block. Answer with one code block.")]
    NoBlock,
    #[error(
        "Your answer was cut off before its end. Answer with the code alone, without explanations."
    )]
    Truncated,
    #[error("Your code block does not have the {noun} `{name}`{}. Answer with the whole {noun}.", .found.as_ref().map(|found| format!(", but `{found}`")).unwrap_or_default())]
    NotThere { noun: &'static str, name: String, found: Option<String> },
}

/// What an answer is to be read as.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub target: &'a Target,
    /// Its documentation and attributes, with `\n` and the indentation in front of the item.
    pub lead: &'a str,
    /// The indentation of its lines.
    pub indent: &'a str,
    pub language: &'static Language,
    /// Whether new items may stand beside it.
    pub beside: bool,
    /// Names of the items that stand beside it already.
    pub siblings: &'a [String],
}

/// Reads what a model said before it stopped.
pub fn read(said: &str, stop: Stop, wanted: &Wanted<'_>) -> Result<Answer, Malformed> {
    let said = said.replace("\r\n", "\n").replace('\r', "\n");
    let said = without_thoughts(&said);
    let blocks = blocks(said);
    let mut imports = Vec::new();
    let mut whole = None;
    let mut broken = None;
    for block in &blocks {
        match in_block(block, wanted) {
            // A later block is the better one: models improve on what they wrote.
            Found::Item(_) if block.fences != Fences::Closed && !ended(stop) => {
                broken = Some(Malformed::Truncated);
            }
            Found::Item(found) if block.fences == Fences::Open && found.errors > 0 => {
                broken = Some(Malformed::Truncated);
            }
            Found::Item(found) => {
                if whole.as_ref().is_none_or(|before: &InBlock| found.errors <= before.errors) {
                    whole = Some(found);
                }
            }
            Found::Imports(more) => imports.extend(more),
            Found::Other(_) if block.fences == Fences::None => {}
            Found::Other(_) if block.fences == Fences::Open => broken = Some(Malformed::Truncated),
            Found::Other(name) => {
                let noun = wanted.target.noun();
                let name_ = wanted.target.name.clone();
                broken.get_or_insert(Malformed::NotThere { noun, name: name_, found: name });
            }
        }
    }
    let Some(found) = whole else {
        return Err(match broken {
            Some(broken) => broken,
            None if stop == Stop::Limit => Malformed::Truncated,
            None => Malformed::NoBlock,
        });
    };
    let mut answer = found.answer;
    imports.append(&mut answer.imports);
    Ok(Answer { imports, ..answer })
}

/// Whether the model came to an end of its own.
pub(in crate::task) fn ended(stop: Stop) -> bool {
    stop == Stop::Complete
}

struct InBlock {
    answer: Answer,
    /// Bytes of the item that do not parse.
    errors: usize,
}

enum Found {
    Item(InBlock),
    /// Nothing but `use` declarations.
    Imports(Vec<String>),
    /// Something else; the name of the item that is there instead.
    Other(Option<String>),
}

fn in_block(block: &Block, wanted: &Wanted<'_>) -> Found {
    let source = block.text.as_str();
    let text = Rope::from_str(source);
    let Some(tree) = wanted.language.parse(&text, None, &AtomicBool::new(false)) else {
        return Found::Other(None);
    };
    let root = tree.root_node();
    let items = target::all(root, source, wanted.language);
    let mut like = items.iter().filter(|item| item.is_like(wanted.target)).peekable();
    let first = like.peek().copied();
    // An answer may repeat the whole file, in which several impls have a function of one name.
    let same_holder = like.find(|item| item.holder == wanted.target.holder);
    let Some(item) = same_holder.or(first) else {
        let uses = uses(root, source, wanted.language);
        if !uses.is_empty() && items.is_empty() && !root.has_error() {
            return Found::Imports(uses);
        }
        let other = items.iter().find(|item| item.noun() == wanted.target.noun());
        return Found::Other(other.map(|item| item.name.clone()));
    };
    let Some(node) = target::node_of(root, item) else { return Found::Other(None) };
    let beside =
        if wanted.beside { new_items(root, source, item, &items, wanted) } else { Vec::new() };
    let answer = Answer {
        item: text_of(node, source, item, wanted),
        imports: uses(root, source, wanted.language),
        beside,
    };
    Found::Item(InBlock { answer, errors: error_bytes(node) })
}

/// The item's text, indented as the file has it.
fn text_of(node: Node<'_>, source: &str, item: &Target, wanted: &Wanted<'_>) -> String {
    let lead = &source[item.range.start..item.item.start];
    let own = indented(node, source, item.item.start, item.item.end, wanted.indent);
    if lead.trim().is_empty() {
        // Left out, as models do; its documentation and attributes stay.
        return format!("{}{own}", wanted.lead);
    }
    let mut text = String::new();
    for line in lead.lines().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str(line);
        text.push('\n');
        text.push_str(wanted.indent);
    }
    text + &own
}

/// `start..end` with its lines shifted so that its end stands at `indent`. Lines inside of a string
/// are part of its value and stay.
pub(in crate::task) fn indented(
    node: Node<'_>,
    source: &str,
    start: usize,
    end: usize,
    indent: &str,
) -> String {
    let text = &source[start..end];
    let space = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let Some((_, last)) = text.rsplit_once('\n') else { return text.to_owned() };
    // Where nothing is closed on the last line, as in Python, the first one tells.
    let closes = last.trim_start().starts_with(['}', ')', ']']);
    let now = if closes { &last[..space(last)] } else { indent_at(source, start) };
    let mut shifted = String::with_capacity(text.len() + 64);
    let mut at = start;
    for line in text.split_inclusive('\n') {
        let first = at == start;
        let in_string = !first && inside_string(node, at);
        match line.strip_prefix(now) {
            _ if first || in_string || line.trim().is_empty() => shifted.push_str(line),
            Some(rest) => {
                shifted.push_str(indent);
                shifted.push_str(rest);
            }
            None => {
                shifted.push_str(indent);
                shifted.push_str(line.trim_start_matches([' ', '\t']));
            }
        }
        at += line.len();
    }
    shifted
}

fn inside_string(node: Node<'_>, at: usize) -> bool {
    let inner = node.descendant_for_byte_range(at, at);
    std::iter::successors(inner, Node::parent)
        .any(|around| around.kind().contains("string") && around.start_byte() < at)
}

pub(in crate::task) fn uses(root: Node<'_>, source: &str, language: &Language) -> Vec<String> {
    if language.id != "rust" {
        return import_lines::declared(root, source, language);
    }
    let mut cursor = root.walk();
    root.named_children(&mut cursor)
        .filter(|node| node.kind() == "use_declaration" && !node.has_error())
        .filter_map(|node| source.get(node.byte_range()).map(str::to_owned))
        .collect()
}

/// Items that stand beside `item` in the answer and are not in the file.
fn new_items(
    root: Node<'_>,
    source: &str,
    item: &Target,
    items: &[Target],
    wanted: &Wanted<'_>,
) -> Vec<(String, String)> {
    items
        .iter()
        .filter(|other| !other.is_like(item) && !wanted.siblings.contains(&other.name))
        // In the same place, or loose in front of or behind a function of an impl.
        .filter(|other| other.holder == item.holder || other.holder.is_none())
        .filter(|other| !other.is_holder() && !encloses(other, item) && !encloses(item, other))
        .filter_map(|other| {
            let node = target::node_of(root, other)?;
            let lead: Vec<&str> = source[other.range.start..other.item.start]
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            let own = indented(node, source, other.item.start, other.item.end, wanted.indent);
            let text =
                lead.iter().flat_map(|line| [*line, "\n", wanted.indent]).collect::<String>()
                    + &own;
            Some((other.name.clone(), text))
        })
        .collect()
}

fn encloses(outer: &Target, inner: &Target) -> bool {
    outer.item.start <= inner.item.start && inner.item.end <= outer.item.end
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const FILE: &str = "use a::B;\n\nimpl Walk {\n    /// Old.\n    fn f(&self) -> u8 {\n        1\n    }\n\n    fn g() {}\n}\n\nimpl Other {\n    fn f(&self) -> u8 {\n        2\n    }\n}\n";

    fn check_as(said: &str, stop: Stop, beside: bool, expected: Expect) {
        let rust = Language::by_id("rust").expect("a row");
        let tree =
            rust.parse(&Rope::from_str(FILE), None, &AtomicBool::new(false)).expect("parsed");
        let at = FILE.find("fn f").expect("there");
        let target = target::at(tree.root_node(), FILE, rust, at..at).expect("there");
        let wanted = Wanted {
            target: &target,
            lead: &FILE[target.range.start..target.item.start],
            indent: "    ",
            language: rust,
            beside,
            siblings: &["g".to_owned()],
        };
        let shown = match read(said, stop, &wanted) {
            Err(malformed) => malformed.to_string(),
            Ok(Answer { item, imports, beside }) => {
                let beside = beside.iter().map(|(name, text)| format!("+ {name}\n    {text}"));
                let lines = imports.into_iter().chain([format!("=\n    {item}")]).chain(beside);
                lines.collect::<Vec<_>>().join("\n") + "\n"
            }
        };
        expected.assert_eq(&shown);
    }

    fn check(said: &str, expected: Expect) {
        check_as(said, Stop::Complete, false, expected);
    }

    fn plain() -> Expect {
        expect![[r#"
            =
                /// New.
                fn f(&self) -> u8 {
                    3
                }
        "#]]
    }

    #[test]
    fn chatter_tags_and_fences_of_any_kind() {
        let item = "    /// New.\n    fn f(&self) -> u8 {\n        3\n    }";
        check(&format!("```rust\n{item}\n```"), plain());
        check(
            &format!("Sure! Here it is:\n\n```python\n{item}\n```\nI changed 1 to 3.\n"),
            plain(),
        );
        check(&format!("~~~~ rs\n{item}\n~~~~\n"), plain());
        check(&format!("<think>\n```rust\nfn f() {{}}\n```\n</think>\n```\n{item}\n```"), plain());
        check(
            &format!(
                "1. So:\n   ```rust\n{}\n   ```\n",
                item.replace('\n', "\n   ").replacen("    ", "       ", 1)
            ),
            plain(),
        );
        check(&format!("```rust\r\n{}\r\n```\r\n", item.replace('\n', "\r\n")), plain());
        check(item, plain());
    }

    #[test]
    fn indentation_is_shifted() {
        check("```\n/// New.\nfn f(&self) -> u8 {\n    3\n}\n```", plain());
        check("```\n/// New.\nfn f(&self) -> u8 {\n        3\n    }\n```", plain());
        check("```\n\t\t/// New.\n\t\tfn f(&self) -> u8 {\n\t\t    3\n\t\t}\n```", plain());
    }

    #[test]
    fn a_string_keeps_its_lines() {
        check(
            "```\nfn f(&self) -> u8 {\n    let s = \"a\n  b\n\";\n    3\n}\n```",
            expect![[r#"
                =
                    /// Old.
                    fn f(&self) -> u8 {
                        let s = "a
                  b
                ";
                        3
                    }
            "#]],
        );
    }

    #[test]
    fn the_whole_impl_or_file() {
        check(
            "```\nimpl Walk {\n    /// New.\n    fn f(&self) -> u8 {\n        3\n    }\n\n    fn g() { evil() }\n}\n```",
            plain(),
        );
        check(
            "```\nuse a::B;\nuse c::D;\n\nimpl Other {\n    fn f(&self) -> u8 {\n        4\n    }\n}\n\nimpl Walk {\n    /// New.\n    fn f(&self) -> u8 {\n        3\n    }\n}\n```",
            expect![[r#"
                use a::B;
                use c::D;
                =
                    /// New.
                    fn f(&self) -> u8 {
                        3
                    }
            "#]],
        );
    }

    #[test]
    fn imports_in_a_block_of_their_own() {
        check(
            "First:\n```\nuse c::D;\n```\nthen\n```\n/// New.\nfn f(&self) -> u8 {\n    3\n}\n```",
            expect![[r#"
                use c::D;
                =
                    /// New.
                    fn f(&self) -> u8 {
                        3
                    }
            "#]],
        );
    }

    #[test]
    fn the_last_of_several_versions() {
        check(
            "Before:\n```\nfn f(&self) -> u8 {\n    1\n}\n```\nAfter:\n```\n/// New.\nfn f(&self) -> u8 {\n    3\n}\n```",
            plain(),
        );
    }

    #[test]
    fn documentation_that_was_left_out_stays() {
        check(
            "```\nfn f(&self) -> u8 {\n    3\n}\n```",
            expect![[r#"
                =
                    /// Old.
                    fn f(&self) -> u8 {
                        3
                    }
            "#]],
        );
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let cut = || {
            expect![
                "Your answer was cut off before its end. Answer with the code alone, without explanations."
            ]
        };
        check_as("```\nfn f(&self) -> u8 {\n    le", Stop::Limit, false, cut());
        check_as("```\nfn f(&self) -> u8 {\n    le", Stop::Complete, false, cut());
        check_as("```\nfn f(&self) -> u8 {\n    3\n}\n", Stop::Limit, false, cut());
        check_as("```\nfn f(&self) -> u8 {\n    3\n}\n", Stop::Unsaid, false, cut());
        check_as("<think>\nhm", Stop::Limit, false, cut());
        check_as("```\n/// New.\nfn f(&self) -> u8 {\n    3\n}\n", Stop::Complete, false, plain());
        check_as(
            "```\n/// New.\nfn f(&self) -> u8 {\n    3\n}\n```\nNow I expl",
            Stop::Limit,
            false,
            plain(),
        );
    }

    #[test]
    fn what_is_not_there_is_refused() {
        check(
            "I cannot do that.",
            expect!["Your answer has no code block. Answer with one code block."],
        );
        check("", expect!["Your answer has no code block. Answer with one code block."]);
        check(
            "```\nfn h() {}\n```",
            expect![
                "Your code block does not have the function `f`, but `h`. Answer with the whole function."
            ],
        );
    }

    #[test]
    fn new_items_beside_it() {
        let said = "```\nimpl Walk {\n    fn f(&self) -> u8 {\n        self.three()\n    }\n\n    /// Three.\n    fn three(&self) -> u8 {\n        3\n    }\n\n    fn g() { evil() }\n}\n```";
        check_as(
            said,
            Stop::Complete,
            true,
            expect![[r#"
                =
                    /// Old.
                    fn f(&self) -> u8 {
                        self.three()
                    }
                + three
                    /// Three.
                    fn three(&self) -> u8 {
                        3
                    }
            "#]],
        );
    }
}
