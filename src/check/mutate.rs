//! Breaks a function, one place at a time: other operators, boundaries, constants, results, branches
//! that are never taken, statements left out. Works on the syntax tree; what does not compile is for
//! the compiler to say. Of languages other than Rust less is broken ([`operators`]).

use std::{ops::Range, sync::atomic::AtomicBool};

use ropey::Rope;
use tree_sitter::Node;

use super::{Mutant, operators};
use crate::syntax::{Language, errors::error_bytes};

impl Mutant {
    /// The text with this in it, every line below where it was: places in messages stay what they are.
    pub(super) fn of(&self, text: &str) -> Option<String> {
        let (before, after) = (text.get(..self.range.start)?, text.get(self.range.end..)?);
        let gone = self.old.matches('\n').count();
        Some(format!("{before}{}{}{after}", self.new, "\n".repeat(gone)))
    }
}

/// What is done to a function. In rounds, one of each, so that the first few differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Result,
    Operator,
    Branch,
    Constant,
    Statement,
}

/// The ways to break what stands in `range` of `text`, the most telling first, at most `most`.
pub(super) fn mutants(
    language: &Language,
    text: &str,
    range: &Range<usize>,
    most: usize,
) -> Vec<Mutant> {
    let never = AtomicBool::new(false);
    let parse = |text: &str| language.parse(&Rope::from_str(text), None, &never);
    let Some(tree) = parse(text) else { return Vec::new() };
    let errors = error_bytes(tree.root_node());
    let found = match language.id {
        "rust" => of_rust(tree.root_node(), text, range),
        other => operators::broken(other, tree.root_node(), text, range),
    };
    found
        .into_iter()
        .filter(|mutant| {
            let broken = mutant.of(text).and_then(|text| parse(&text));
            broken.is_some_and(|tree| error_bytes(tree.root_node()) <= errors)
        })
        .take(most)
        .collect()
}

fn of_rust(root: Node<'_>, text: &str, range: &Range<usize>) -> Vec<Mutant> {
    let mut found = Vec::new();
    let mut breaker = Breaker { text, found: &mut found };
    breaker.walk(root, range, false);
    let mut rounds: Vec<(usize, Kind, Mutant)> = Vec::new();
    for (kind, mutant) in found {
        let round = rounds.iter().filter(|(_, other, _)| *other == kind).count();
        rounds.push((round, kind, mutant));
    }
    rounds.sort_by_key(|(round, kind, _)| (*round, *kind));
    rounds.into_iter().map(|(_, _, mutant)| mutant).collect()
}

struct Breaker<'a> {
    text: &'a str,
    found: &'a mut Vec<(Kind, Mutant)>,
}

impl Breaker<'_> {
    /// Nothing but what stands in a function's body is broken: the rest is what it is.
    fn walk(&mut self, node: Node<'_>, range: &Range<usize>, in_body: bool) {
        if node.end_byte() <= range.start || node.start_byte() >= range.end {
            return;
        }
        let function = node.kind() == "function_item";
        let skipped = ["attribute_item", "line_comment", "block_comment", "const_item"];
        if skipped.contains(&node.kind()) {
            return;
        }
        let inside = range.start <= node.start_byte() && node.end_byte() <= range.end;
        if inside && (in_body || function) {
            self.break_node(node);
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            let in_body = if function { child.kind() == "block" } else { in_body };
            self.walk(child, range, in_body);
        }
    }

    fn part(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, node: Node<'_>, new: &str) {
        let old = self.part(node).to_owned();
        let lines = self.text.get(..node.start_byte()).unwrap_or_default().matches('\n').count();
        if old != new {
            let mutant =
                Mutant { range: node.byte_range(), old, new: new.to_owned(), line: lines + 1 };
            self.found.push((kind, mutant));
        }
    }

    fn break_node(&mut self, node: Node<'_>) {
        match node.kind() {
            "function_item" => self.break_result(node),
            "binary_expression" | "compound_assignment_expr" => {
                if let Some(operator) = node.child_by_field_name("operator") {
                    for other in others(self.part(operator)) {
                        self.push(Kind::Operator, operator, other);
                    }
                }
            }
            ".." if node.parent().is_some_and(|up| up.kind() == "range_expression") => {
                self.push(Kind::Operator, node, "..=");
            }
            "..=" if node.parent().is_some_and(|up| up.kind() == "range_expression") => {
                self.push(Kind::Operator, node, "..");
            }
            "unary_expression" => {
                let operand = node.named_child(0).map(|operand| self.part(operand).to_owned());
                let negation = node.child(0).is_some_and(|sign| matches!(sign.kind(), "!" | "-"));
                if let Some(operand) = operand.filter(|_| negation) {
                    self.push(Kind::Operator, node, &operand);
                }
            }
            "if_expression" | "while_expression" => {
                let condition = node.child_by_field_name("condition");
                let plain = |kind: &str| !matches!(kind, "let_condition" | "let_chain");
                if let Some(condition) = condition.filter(|it| plain(it.kind())) {
                    if node.kind() == "if_expression" {
                        self.push(Kind::Branch, condition, "true");
                    }
                    self.push(Kind::Branch, condition, "false");
                }
            }
            "match_pattern" => {
                if let Some(guard) = node.child_by_field_name("condition") {
                    self.push(Kind::Branch, guard, "false");
                    self.push(Kind::Branch, guard, "true");
                }
            }
            "field_identifier" => {
                let called =
                    node.parent().and_then(|up| up.parent()).map(|up| up.kind().to_owned());
                if called.as_deref() == Some("call_expression") {
                    for other in others(self.part(node)) {
                        self.push(Kind::Operator, node, other);
                    }
                }
            }
            "boolean_literal" => {
                let other = if self.part(node) == "true" { "false" } else { "true" };
                self.push(Kind::Constant, node, other);
            }
            "integer_literal" => self.break_number(node),
            "string_literal" if node.parent().is_none_or(|up| up.kind() != "token_tree") => {
                let other = if self.part(node) == "\"\"" { "\"mutant\"" } else { "\"\"" };
                self.push(Kind::Constant, node, other);
            }
            "expression_statement" => {
                let removable =
                    ["call_expression", "assignment_expression", "compound_assignment_expr"];
                if node.named_child(0).is_some_and(|it| removable.contains(&it.kind())) {
                    self.push(Kind::Statement, node, "");
                }
            }
            _ => {}
        }
    }

    /// One more and one less, of decimal numbers.
    fn break_number(&mut self, node: Node<'_>) {
        let all = self.part(node).to_owned();
        let digits = all.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(all.len());
        let (number, suffix) = all.split_at(digits);
        let decimal = suffix.is_empty() || suffix.starts_with(['u', 'i']);
        let Some(number) = number.replace('_', "").parse::<u128>().ok().filter(|_| decimal) else {
            return;
        };
        for other in [number.checked_add(1), number.checked_sub(1)].into_iter().flatten() {
            self.push(Kind::Constant, node, &format!("{other}{suffix}"));
        }
    }

    /// Something simple of the result's type in place of the body.
    fn break_result(&mut self, function: Node<'_>) {
        let Some(body) = function.child_by_field_name("body") else { return };
        let returned =
            function.child_by_field_name("return_type").map(|node| self.part(node).to_owned());
        let Some(returned) = returned else {
            return self.push(Kind::Result, body, "{}");
        };
        for value in values(&returned) {
            self.push(Kind::Result, body, &format!("{{ {value} }}"));
        }
    }
}

/// Simple values of a type, by the looks of it.
fn values(of: &str) -> &'static [&'static str] {
    let outer = of.split('<').next().unwrap_or(of).trim();
    match outer.rsplit("::").next().unwrap_or(outer) {
        "bool" => &["true", "false"],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128"
        | "isize" => &["0", "1"],
        "f32" | "f64" => &["0.0", "1.0"],
        "String" => &["String::new()", "\"mutant\".into()"],
        "&str" | "&'static str" => &["\"\"", "\"mutant\""],
        "Option" => &["None", "Some(Default::default())"],
        "Result" => &["Ok(Default::default())"],
        "Vec" => &["Vec::new()", "vec![Default::default()]"],
        _ => &["Default::default()"],
    }
}

/// What an operator, or a method much like one, is replaced by.
pub(super) fn others(operator: &str) -> &'static [&'static str] {
    match operator {
        "+" => &["-"],
        "-" => &["+"],
        "*" => &["/"],
        "/" | "%" => &["*"],
        "+=" => &["-="],
        "-=" => &["+="],
        "*=" => &["/="],
        "/=" | "%=" => &["*="],
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &["<=", ">="],
        "<=" => &["<", ">"],
        ">" => &[">=", "<="],
        ">=" => &[">", "<"],
        "&&" => &["||"],
        "||" => &["&&"],
        "&" | "^" => &["|"],
        "|" => &["&"],
        "<<" => &[">>"],
        ">>" => &["<<"],
        "is_some" => &["is_none"],
        "is_none" => &["is_some"],
        "is_ok" => &["is_err"],
        "is_err" => &["is_ok"],
        "any" => &["all"],
        "all" => &["any"],
        "min" => &["max"],
        "max" => &["min"],
        "first" => &["last"],
        "last" => &["first"],
        "starts_with" => &["ends_with"],
        "ends_with" => &["starts_with"],
        "find" => &["rfind"],
        "rfind" => &["find"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(source: &str, expected: Expect) {
        let rust = Language::by_id("rust").expect("a row");
        let seen: Vec<String> = mutants(rust, source, &(0..source.len()), 100)
            .into_iter()
            .map(|it| format!("{}: `{}` → `{}`\n", it.line, it.old.replace('\n', "⏎"), it.new))
            .collect();
        expected.assert_eq(&seen.concat());
    }

    #[test]
    fn a_function_breaks_in_many_ways() {
        check(
            "/// At 3.\nfn clamp(x: i32, [_; 2]: [u8; 2]) -> i32 {\n    let mut y = x + 1;\n    if !(y > 10) && x != 0 {\n        y -= 0x10;\n        log(y, \"a\");\n    }\n    for _ in 0..y {}\n    y.min(2_0i32)\n}\n",
            expect![[r#"
                2: `{⏎    let mut y = x + 1;⏎    if !(y > 10) && x != 0 {⏎        y -= 0x10;⏎        log(y, "a");⏎    }⏎    for _ in 0..y {}⏎    y.min(2_0i32)⏎}` → `{ 0 }`
                3: `+` → `-`
                4: `!(y > 10) && x != 0` → `true`
                3: `1` → `2`
                5: `y -= 0x10;` → ``
                2: `{⏎    let mut y = x + 1;⏎    if !(y > 10) && x != 0 {⏎        y -= 0x10;⏎        log(y, "a");⏎    }⏎    for _ in 0..y {}⏎    y.min(2_0i32)⏎}` → `{ 1 }`
                4: `&&` → `||`
                4: `!(y > 10) && x != 0` → `false`
                3: `1` → `0`
                6: `log(y, "a");` → ``
                4: `!(y > 10)` → `(y > 10)`
                4: `10` → `11`
                4: `>` → `>=`
                4: `10` → `9`
                4: `>` → `<=`
                4: `0` → `1`
                4: `!=` → `==`
                6: `"a"` → `""`
                5: `-=` → `+=`
                8: `0` → `1`
                8: `..` → `..=`
                9: `2_0i32` → `21i32`
                9: `min` → `max`
                9: `2_0i32` → `19i32`
            "#]],
        );
    }

    #[test]
    fn what_has_no_place_to_break_does_not_break() {
        check(
            "fn f<const N: usize>(a: [u8; 4]);\n// 1 + 1\nstruct S { a: [u8; 2] }\n",
            expect![[r#""#]],
        );
    }

    #[test]
    fn results_by_type() {
        check(
            "fn f() -> Option<u8> {\n    g()\n}\nfn h() {\n    g();\n}\n",
            expect![[r#"
            1: `{⏎    g()⏎}` → `{ None }`
            5: `g();` → ``
            1: `{⏎    g()⏎}` → `{ Some(Default::default()) }`
            4: `{⏎    g();⏎}` → `{}`
        "#]],
        );
        check(
            "fn f(x: u8) -> bool {\n    match x {\n        y if y > 1 => true,\n        _ => false,\n    }\n}\n",
            expect![[r#"
                1: `{⏎    match x {⏎        y if y > 1 => true,⏎        _ => false,⏎    }⏎}` → `{ true }`
                3: `>` → `>=`
                3: `y > 1` → `false`
                3: `1` → `2`
                1: `{⏎    match x {⏎        y if y > 1 => true,⏎        _ => false,⏎    }⏎}` → `{ false }`
                3: `>` → `<=`
                3: `y > 1` → `true`
                3: `1` → `0`
                3: `true` → `false`
                4: `false` → `true`
            "#]],
        );
    }
}
