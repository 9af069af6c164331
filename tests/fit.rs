//! What is shown of what a model wrote: `$0` is the cursor, then the model's text.

use std::sync::atomic::AtomicBool;

use expect_test::{Expect, expect};
use hearth::{
    check::{Place, Surroundings},
    syntax::{Extent, Language, errors::error_bytes},
};
use proptest::prelude::*;
use ropey::Rope;

fn shown(fixture: &str, raw: &str) -> Result<String, String> {
    let offset = fixture.find("$0").expect("a cursor");
    let text = Rope::from_str(&fixture.replacen("$0", "", 1));
    let language = Language::by_id("rust");
    let tree = language.and_then(|rust| rust.parse(&text, None, &AtomicBool::new(false)));
    let extent = Extent::at(&text, offset);
    let place = Place { text: &text, tree: tree.as_ref(), language, offset, extent };
    Surroundings::of(&place).fit(raw).map_err(|unfit| unfit.to_string())
}

fn check(fixture: &str, raw: &str, expected: Expect) {
    expected
        .assert_debug_eq(&shown(fixture, raw).unwrap_or_else(|reason| format!("QUIET: {reason}")));
}

#[test]
fn plain_lines() {
    check(
        "fn a() {\n    let x = $0\n}\n",
        "foo(1);",
        expect![[r#"
        "foo(1);"
    "#]],
    );
    check(
        "fn a() {\n    let x = $0\n}\n",
        " foo(1);",
        expect![[r#"
        "foo(1);"
    "#]],
    );
    check(
        "fn a() {\n    $0\n}\n",
        "    foo();",
        expect![[r#"
        "foo();"
    "#]],
    );
    check(
        "fn a() {\n    let x = 1;\n    fo$0\n    bar();\n}\n",
        "o();",
        expect![[r#"
        "o();"
    "#]],
    );
    check(
        "struct S {\n    a: $0\n}\n",
        "u8,",
        expect![[r#"
        "u8,"
    "#]],
    );
    check(
        "fn a(x: u8) {\n    match x {\n        1 => $0\n        _ => b(),\n    }\n}\n",
        "c(),",
        expect![[r#"
        "c(),"
    "#]],
    );
    check(
        "use std::$0\n",
        "collections::HashMap;",
        expect![[r#"
        "collections::HashMap;"
    "#]],
    );
    check(
        "fn a() -> $0\n",
        "Result<(), Error> {",
        expect![[r#"
        "Result<(), Error> {"
    "#]],
    );
    check(
        "fn a() {\n    // Adds $0\n}\n",
        "two numbers (a, b",
        expect![[r#"
        "two numbers (a, b"
    "#]],
    );
    check(
        "fn a() {\n    println!(\"{$0\n}\n",
        "x}\");",
        expect![[r#"
        "x}\");"
    "#]],
    );
    check(
        "fn a() {\n    let v = xs.iter().$0\n}\n",
        "map(|x| x + 1).collect::<Vec<_>>();",
        expect![[r#"
        "map(|x| x + 1).collect::<Vec<_>>();"
    "#]],
    );
    check(
        "fn a<'a>(s: &'a str$0\n",
        ") -> &'a str {",
        expect![[r#"
        ") -> &'a str {"
    "#]],
    );
}

#[test]
fn what_stands_after_the_cursor_is_not_repeated() {
    check(
        "fn a() {\n    foo($0)\n}\n",
        "a, b)",
        expect![[r#"
        "a, b"
    "#]],
    );
    check(
        "fn a() {\n    foo($0);\n}\n",
        "a, b);",
        expect![[r#"
        "a, b"
    "#]],
    );
    check(
        "fn a() {\n    foo($0)\n}\n",
        "a, b);",
        expect![[r#"
        "a, b"
    "#]],
    );
    check(
        "fn a() {\n    let s = \"$0\";\n}\n",
        "hello\";",
        expect![[r#"
        "hello"
    "#]],
    );
    check(
        "fn a() {\n    if x$0 {\n    }\n}\n",
        " > 1 {",
        expect![[r#"
        " > 1"
    "#]],
    );
    check(
        "fn a() {\n    let x = 1;\n    $0\n    foo();\n}\n",
        "foo();",
        expect![[r#"
        "QUIET: the model repeated the line below"
    "#]],
    );
    check(
        "fn a() {\n    foo(1);\n    foo($0\n}\n",
        "1);",
        expect![[r#"
        "QUIET: the model repeated the line above"
    "#]],
    );
}

#[test]
fn blocks() {
    check(
        "fn a() {$0\n}\n",
        "\n    b();\n    c();",
        expect![[r#"
        "\n    b();\n    c();"
    "#]],
    );
    check(
        "fn a() {\r\n    $0\r\n}\r\n",
        "b();\n    c();",
        expect![[r#"
        "b();\r\n    c();"
    "#]],
    );
    check(
        "impl S {\n\tfn a() {\n\t\t$0\n\t}\n}\n",
        "if x {\n            y();\n        }",
        expect![[r#"
        "if x {\n\t\t\ty();\n\t\t}"
    "#]],
    );
    check(
        "/// Adds.\n$0\nfn c() {}\n",
        "fn b() {}\nfn c() {}",
        expect![[r#"
        "fn b() {}"
    "#]],
    );
}

#[test]
fn not_shown() {
    check(
        "fn a() {\n    let x = $0\n}\n",
        "  \n",
        expect![[r#"
        "QUIET: the model had nothing to add"
    "#]],
    );
    check(
        "fn a() {\n    let x = $0\n}\n",
        "((((foo",
        expect![[r#"
        "((((foo"
    "#]],
    );
    check(
        "fn a() {\n    let x = $0\n}\n",
        "} fn fn let",
        expect![[r#"
        "QUIET: the suggestion would have added a syntax error"
    "#]],
    );
    check(
        "fn a() {\n    let x = $0\n}\n",
        "abababababababababab",
        expect![[r#"
        "QUIET: the model repeated itself"
    "#]],
    );
    check(
        "fn a() {\n    $0\n}\n",
        "let = = ;",
        expect![[r#"
        "QUIET: the suggestion would have added a syntax error"
    "#]],
    );
}

#[test]
fn an_instruct_models_fence_is_taken_off() {
    check(
        "fn a() {\n    let x = $0\n}\n",
        "```rust\nfoo(1);\n```",
        expect![[r#"
        "foo(1);"
    "#]],
    );
}

proptest! {
    /// Whatever a model writes: what is shown never adds an error to a file that had none.
    #[test]
    fn nothing_shown_adds_an_error(raw in "[a-z(){};=\"' \n.:,<>&|!0-9]{0,40}") {
        let before = "fn a(x: u8) -> u8 {\n    let y = x;\n    ";
        let after = "\n    y + x\n}\n";
        if let Ok(text) = shown(&format!("{before}$0{after}"), &raw) {
            let rust = Language::by_id("rust").expect("a row");
            let mut brackets = hearth::syntax::lexer::Brackets::default();
            for byte in text.bytes() {
                brackets.push(byte);
            }
            let whole = format!("{before}{text}{}{after}", brackets.closers());
            let tree = rust.parse(&Rope::from_str(&whole), None, &AtomicBool::new(false)).expect("a tree");
            prop_assert_eq!(error_bytes(tree.root_node()), 0, "{}", whole);
        }
    }

    #[test]
    fn no_text_and_no_place_panics(file in ".{0,60}", at in 0..61_usize, raw in ".{0,40}") {
        let at = (0..=at.min(file.len())).rev().find(|at| file.is_char_boundary(*at)).unwrap_or(0);
        let fixture = format!("{}$0{}", file[..at].replace("$0", ""), file[at..].replace("$0", ""));
        let _ = shown(&fixture, &raw);
    }
}

#[test]
fn an_item_that_is_being_written() {
    let raw = "let held = self.lock();\n        held.get()\n    }\n\n    pub fn set(&self) {";
    let begun = "use a::b;\n\nstruct A;\n\nimpl A {\n    pub fn get(&self) -> u8 {\n        $0";
    for below in ["", "\n", "\n\nfn b() {}\n"] {
        check(
            &format!("{begun}{below}"),
            raw,
            expect![[r#"
            "let held = self.lock();\n        held.get()\n    }\n\n    pub fn set(&self) {"
        "#]],
        );
    }
    check(
        begun,
        "let held = = self.lock();",
        expect![[r#"
        "QUIET: the suggestion would have added a syntax error"
    "#]],
    );
}

/// What stands below belongs to what is begun as far as a parser can tell, and fits it worse with each line.
#[test]
fn an_item_that_is_begun_above_others() {
    let below = "\n\n/// What others do.\npub struct Other<T> {\n    kept: T,\n}\n\nimpl<T> Other<T> {\n    \
                 pub fn get(&self) -> &T {\n        &self.kept\n    }\n}\n";
    let begun = |above: &str| format!("use std::fmt;\n\n{above}$0{below}");
    check(
        &begun("use super::{\n    "),
        "Desk,",
        expect![[r#"
            "Desk,"
        "#]],
    );
    check(
        &begun("use super::{\n    Desk,\n    "),
        "candidates::candidates,\n    quiet,",
        expect![[r#"
            "candidates::candidates,\n    quiet,"
        "#]],
    );
    check(
        &begun("const ALL: [Kind; 2] = [\n    "),
        "Kind::First,",
        expect![[r#"
            "Kind::First,"
        "#]],
    );
    check(
        &begun("use super::{\n    "),
        "Desk fn,",
        expect![[r#"
            "QUIET: the suggestion would have added a syntax error"
        "#]],
    );
}

#[test]
fn a_level_is_as_wide_as_the_files() {
    check(
        "fn a() {\n  if b {\n    $0\n  }\n}\n",
        "if c {\n\t\t\td();\n\t\t}",
        expect![[r#"
        "if c {\n      d();\n    }"
    "#]],
    );
    check(
        "fn a() {\n\tif b {\n\t\t$0\n\t}\n}\n",
        "if c {\n      d();\n    }",
        expect![[r#"
        "if c {\n\t\t\td();\n\t\t}"
    "#]],
    );
}
