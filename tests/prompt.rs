//! The prompt: what it shows, and that it fits whatever it is made of.

use std::sync::atomic::AtomicBool;

use expect_test::{Expect, expect};
use hearth::{
    context::{
        prompt::build,
        window::{Share, View},
    },
    model::{
        Budget, Prompt, Segment, TokenCounter,
        fim::{Mode, QWEN},
    },
    session::{Hold, HoldCell},
    syntax::Language,
};
use proptest::prelude::*;
use ropey::Rope;
use tree_sitter::Tree;

fn parsed(text: &Rope) -> Option<Tree> {
    Language::by_id("rust").and_then(|rust| rust.parse(text, None, &AtomicBool::new(false)))
}

fn view<'a>(text: &'a Rope, tree: Option<&'a Tree>, offset: usize, hold: &'a HoldCell) -> View<'a> {
    View { text, tree, language: Language::by_id("rust"), path: "src/a.rs", offset, hold }
}

fn text(prompt: &Prompt) -> String {
    prompt.segments().iter().map(Segment::as_str).collect()
}

fn check(fixture: &str, mode: Mode, expected: Expect) {
    let offset = fixture.find("$0").expect("a cursor");
    let source = Rope::from_str(&fixture.replacen("$0", "", 1));
    let (tree, hold) = (parsed(&source), HoldCell::default());
    let budget = Budget::new(24_000, None, 48, TokenCounter::default());
    let prompt = build(&view(&source, tree.as_ref(), offset, &hold), mode, &budget);
    expected.assert_eq(&text(&prompt.expect("it fits")));
}

#[test]
fn a_model_that_fills_in_the_middle() {
    check(
        "fn a() {\r\n    b$0();\r\n}\r\n",
        Mode::Fim(&QWEN),
        expect![[r#"
        <|file_sep|>src/a.rs
        <|fim_prefix|>fn a() {
            b<|fim_suffix|>();
        }
        <|fim_middle|>"#]],
    );
}

#[test]
fn a_base_model_sees_what_stands_before() {
    check(
        "fn a() {\n    b$0();\n}\n",
        Mode::Prefix,
        expect![[r#"
        fn a() {
            b"#]],
    );
}

#[test]
fn an_instruct_model_sees_a_hole() {
    check(
        "fn a() {\n    b$0();\n}\n",
        Mode::Hole,
        expect![[r#"
        src/a.rs
        fn a() {
            b<HOLE>();
        }
    "#]],
    );
}

/// A file of items of ten lines.
fn items(count: usize) -> String {
    let body = "    let x = call(1);\n".repeat(6);
    let item = |n| format!("/// Item {n}.\nfn item_{n}() {{\n{body}}}\n\n");
    (0..count).map(item).collect::<Vec<_>>().concat()
}

#[test]
fn a_window_begins_and_ends_with_an_item() {
    let source = Rope::from_str(&items(200));
    let (tree, hold) = (parsed(&source), HoldCell::default());
    let offset = source.line_to_byte(1_005) + 4;
    let window =
        view(&source, tree.as_ref(), offset, &hold).window(Share { prefix: 4_000, suffix: 600 });
    let shown = source.byte_slice(window.clone()).to_string();
    expect!["/// Item 8"].assert_eq(&shown[..10]);
    let after = source.byte_slice(window.end..).to_string();
    assert!(after.starts_with("/// Item"), "{:?}", &after[..20]);
}

#[test]
fn a_window_stays_put_while_one_types() {
    let mut source = Rope::from_str(&items(200));
    let tree = parsed(&source);
    let share = Share { prefix: 4_000, suffix: 600 };
    let hold = HoldCell::default();
    let offset = source.line_to_byte(1_005) + 4;
    let first = view(&source, tree.as_ref(), offset, &hold).window(share);
    let end_from_end = source.len_bytes() - first.end;
    for typed in 1..=200 {
        source.insert_char(source.byte_to_char(offset + typed - 1), 'x');
        let window = view(&source, None, offset + typed, &hold).window(share);
        assert_eq!(window.start, first.start, "after {typed} characters");
        assert_eq!(source.len_bytes() - window.end, end_from_end, "after {typed} characters");
    }
    assert_eq!(hold.get(), Some(Hold { start: first.start, end_from_end }));
}

proptest! {
    // Each case parses and lays out a whole file: fewer than usual.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_any_place_any_budget(
        lines in prop::collection::vec("(\\PC{0,60}|[a-z(){};. ]{0,80}|x{0,3000})(\n|\r\n|\r|\n\n)", 0..60),
        at in 0.0..1.1_f64,
        ceiling in 0..3_000_usize,
        context in prop::option::of(0..3_000_usize),
        mode in prop::sample::select(vec![Mode::Fim(&QWEN), Mode::Prefix, Mode::Hole]),
    ) {
        let source = Rope::from_str(&lines.concat());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let offset = (source.len_bytes() as f64 * at) as usize;
        let (tree, hold) = (parsed(&source), HoldCell::default());
        let budget = Budget::new(ceiling, context, 16, TokenCounter::default());
        let Some(prompt) = build(&view(&source, tree.as_ref(), offset, &hold), mode, &budget) else {
            return Ok(());
        };
        let window = context.map_or(ceiling, |context| context.min(ceiling));
        prop_assert!(prompt.tokens() + 16 <= window, "{} of {window}", prompt.tokens());
        let whole = source.to_string().replace("\r\n", "\n").replace('\r', "\n");
        for segment in prompt.segments() {
            let Segment::Text(text) = segment else { continue };
            let added = matches!(mode, Mode::Hole) || &**text == "src/a.rs\n";
            prop_assert!(added || whole.contains(&**text), "{text:?} does not stand in the file");
        }
    }

    #[test]
    fn a_window_cuts_no_line_that_fits(
        lines in prop::collection::vec("[a-z(){}; ]{0,60}\n", 1..400),
        at in 0..400_usize,
    ) {
        let source = Rope::from_str(&lines.concat());
        let (tree, hold) = (parsed(&source), HoldCell::default());
        let offset = source.line_to_byte(at.min(source.len_lines() - 1));
        let window = view(&source, tree.as_ref(), offset, &hold).window(Share { prefix: 900, suffix: 300 });
        prop_assert!(window.contains(&offset) || window.end == offset);
        let starts_line = |byte: usize| source.line_to_byte(source.byte_to_line(byte)) == byte;
        prop_assert!(starts_line(window.start));
        let ends_line = source.get_byte(window.end).is_none_or(|byte| byte == b'\n');
        prop_assert!(ends_line || starts_line(window.end));
    }
}
