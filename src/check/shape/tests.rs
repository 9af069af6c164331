use expect_test::{Expect, expect};

use super::*;

/// `source` with the item between `«` and `»` replaced by `new`: the rungs and what they say.
fn check_keeping(keeps: Keeps, source: &str, new: &str, expected: Expect) {
    let (before, rest) = source.split_once('«').expect("a start");
    let (item, after) = rest.split_once('»').expect("an end");
    let proposal = Proposal {
        root: "/p".into(),
        file: "/p/src/lib.rs".into(),
        text: format!("{before}{item}{after}"),
        range: before.len()..before.len() + item.len(),
        replacement: new.to_owned(),
        imports: Vec::new(),
        buffers: Vec::new(),
        keeps,
    };
    let seen: Vec<String> = verdicts(&proposal)
        .into_iter()
        .map(|(rung, verdict)| match verdict {
            Verdict::Held => rung.label().to_owned(),
            Verdict::Failed(failure) => failure.message,
            Verdict::Skipped(skip) => format!("{}: {skip}", rung.label()),
        })
        .collect();
    expected.assert_eq(&(seen.join("\n") + "\n"));
}

fn check(source: &str, new: &str, expected: Expect) {
    check_keeping(Keeps::Signature, source, new, expected);
}

const ADD: &str = "struct S;\nimpl S {\n    «/// Adds.\n    pub fn add(&self, a: u8, b: u8) -> u8 {\n        a + b\n    }»\n    fn other() {}\n}\n";

#[test]
fn a_good_answer_holds() {
    check(
        ADD,
        "/// Adds two numbers.\n    pub fn add(&self, mut x: u8, y: u8,) -> u8 {\n        x += y; x\n    }",
        expect![[r#"
            well-formed
            parsed
            signature kept
        "#]],
    );
}

#[test]
fn answers_that_are_no_item() {
    check(
        ADD,
        "  \n",
        expect![[r#"
        The answer is empty.
    "#]],
    );
    check(
        ADD,
        "```rust\npub fn add() {}\n```",
        expect![[r#"
        The answer contains a code fence: give the code alone.
    "#]],
    );
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 {\n    // ... existing code ...\n    a\n}",
        expect![[r#"
            The answer leaves code out (`// ... existing code ...`): give the item whole.
        "#]],
    );
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 {\n    a.wrapping_add(",
        expect![[r#"
        well-formed
        The answer does not parse: syntax error at its line 3: `fn other() {}`
    "#]],
    );
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 {\n    let x = = a;\n    x\n}",
        expect![[r#"
            well-formed
            The answer does not parse: syntax error at its line 2: `let x = = a;`
        "#]],
    );
}

#[test]
fn answers_that_reach_beyond() {
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 { a + b }\n}\nimpl Clone for S {",
        expect![[r#"
            well-formed
            parsed
            The answer reaches beyond the code that was to be replaced: give that item alone.
        "#]],
    );
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 { a + b }\nfn more() {}",
        expect![[r#"
        well-formed
        parsed
        The answer also contains the function `more`: give `add` alone.
    "#]],
    );
    check(
        ADD,
        "pub fn add(&self, a: u8, b: u8) -> u8 { a + b } /*",
        expect![[r#"
        well-formed
        The answer does not parse: `*/` is missing at its line 3: `}`
    "#]],
    );
    check(
        ADD,
        "pub fn sum(&self, a: u8, b: u8) -> u8 { a + b }",
        expect![[r#"
        well-formed
        parsed
        The answer must be the function `add`.
    "#]],
    );
    check_keeping(
        Keeps::SignatureAmongOthers,
        ADD,
        "fn more(a: u8) -> u8 { a }\n    pub fn add(&self, a: u8, b: u8) -> u8 { Self::more(a) + b }",
        expect![[r#"
            well-formed
            parsed
            signature kept
        "#]],
    );
}

#[test]
fn another_signature() {
    check(
        ADD,
        "pub fn add(&self, a: u16, b: u8) -> u8 { a + b }",
        expect![[r#"
            well-formed
            parsed
            The signature of `add` must stay as it is: `pub fn add(&self, a: u8, b: u8) -> u8`, not `pub fn add(&self, a: u16, b: u8) -> u8`.
        "#]],
    );
    check(
        ADD,
        "fn add(&self, a: u8, b: u8) -> u8 { a + b }",
        expect![[r#"
            well-formed
            parsed
            The signature of `add` must stay as it is: `pub fn add(&self, a: u8, b: u8) -> u8`, not `fn add(&self, a: u8, b: u8) -> u8`.
        "#]],
    );
    check_keeping(
        Keeps::Name,
        ADD,
        "fn add(a: u16) -> u16 { a }",
        expect![[r#"
        well-formed
        parsed
        signature kept
    "#]],
    );
    check(
        "«#[test]\n#[inline]\nfn f() {}»\n",
        "fn f() { g(); }",
        expect![[r#"
            well-formed
            parsed
            `f` must keep `#[test]`.
        "#]],
    );
    check(
        "«const N: usize = 1;»\n",
        "const N: usize = 2;",
        expect![[r#"
        well-formed
        parsed
        signature kept
    "#]],
    );
}

#[test]
fn what_is_private_may_change() {
    check(
        "«pub struct S {\n    pub a: u8,\n    b: u8,\n}»\n",
        "pub struct S {\n    c: u16,\n    pub a: u8,\n}",
        expect![[r#"
            well-formed
            parsed
            signature kept
        "#]],
    );
    check(
        "«impl S {\n    pub fn a(&self) {}\n    fn b() {}\n}»\n",
        "impl S {\n    fn c() {}\n    pub fn a(&self) { Self::c() }\n}",
        expect![[r#"
            well-formed
            parsed
            signature kept
        "#]],
    );
    check(
        "«impl T for S {\n    fn a(&self) {}\n}»\n",
        "impl T for S {\n    fn b(&self) {}\n}",
        expect![[r#"
            well-formed
            parsed
            The signature of `T for S` must stay as it is: `impl T for S { fn a ( & self ) }`, not `impl T for S { fn b ( & self ) }`.
        "#]],
    );
}

#[test]
fn errors_that_were_there_are_not_the_answers() {
    check(
        "fn broken( {\n\n«fn f() -> u8 { 1 }»\n",
        "fn f() -> u8 { 2 }",
        expect![[r#"
        well-formed
        parsed
        signature kept
    "#]],
    );
}
