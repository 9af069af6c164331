//! The prompt: what it shows, and that it fits whatever it is made of.

#[path = "support/texts.rs"]
mod texts;

use std::sync::atomic::AtomicBool;

use expect_test::{Expect, expect};
use hearth::{
    context::{
        layout::Order,
        prompt::{self, Plan},
        window::{Share, View},
    },
    model::{
        Budget, Prompt, Segment, TokenCounter,
        fim::{Mode, QWEN},
    },
    session::{Change, Document, Encoding, Hold, HoldCell, Opened, Snapshot, position},
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

fn build(view: &View<'_>, mode: Mode, order: Order, budget: &Budget) -> Option<Prompt> {
    prompt::build(view, None, Plan::new(mode, order), budget).map(|built| built.prompt)
}

fn text(prompt: &Prompt) -> String {
    prompt.segments().iter().map(Segment::as_str).collect()
}

fn check(fixture: &str, mode: Mode, expected: Expect) {
    let offset = fixture.find("$0").expect("a cursor");
    let source = Rope::from_str(&fixture.replacen("$0", "", 1));
    let (tree, hold) = (parsed(&source), HoldCell::default());
    let budget = Budget::new(24_000, None, 48, TokenCounter::default());
    let prompt = build(&view(&source, tree.as_ref(), offset, &hold), mode, Order::Plain, &budget);
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

#[test]
fn a_window_with_no_room_for_the_answer_makes_no_prompt_not_even_an_empty_one() {
    let (source, hold) = (Rope::from_str("\nfn a() {}\n"), HoldCell::default());
    let built = |context| {
        let budget = Budget::new(24_000, Some(context), 48, TokenCounter::default());
        build(&view(&source, None, 0, &hold), Mode::Prefix, Order::Plain, &budget)
            .map(|prompt| prompt.tokens())
    };
    // The answer's 48 and the token that begins a text.
    assert_eq!([built(0), built(48), built(49)], [None, None, Some(0)]);
}

/// A file of items of ten lines.
fn items(count: usize) -> String {
    let item = |n| {
        format!("/// Item {n}.\nfn item_{n}() {{\n{}}}\n\n", "    let x = call(1);\n".repeat(6))
    };
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

/// A statement of 4,000 bytes on one line, far above the cursor.
#[test]
fn a_long_line_above_does_not_take_the_prefix_away() {
    let long = format!("const DATA: &str = \"{}\";\n", "x".repeat(4_000));
    let source = Rope::from_str(&format!("{}{long}{}", items(40), items(15)));
    let (tree, hold) = (parsed(&source), HoldCell::default());
    let offset = source.len_bytes();
    let share = Share { prefix: 5_000, suffix: 600 };
    let window = view(&source, tree.as_ref(), offset, &hold).window(share);
    expect!["/// Item 0."].assert_eq(&source.byte_slice(window).to_string()[..11]);
}

/// Typed into a document as an editor does it, in the middle of one line that is all there is.
#[test]
fn a_window_in_one_huge_line_stays_put_as_well() {
    let mut source = Rope::from_str(&"let é = 1; ".repeat(2_000));
    let (share, hold) = (Share { prefix: 4_000, suffix: 600 }, HoldCell::default());
    let offset = source.char_to_byte(11_000);
    let mut starts = vec![view(&source, None, offset, &hold).window(share).start];
    for typed in 1..=200 {
        source.insert_char(source.byte_to_char(offset + typed - 1), 'x');
        starts.push(view(&source, None, offset + typed, &hold).window(share).start);
    }
    starts.dedup();
    assert_eq!(starts.len(), 1, "it moved: {starts:?}");
}

#[test]
fn a_cursor_that_moves_down_is_shown_what_follows() {
    let source = Rope::from_str(&items(200));
    let (tree, hold) = (parsed(&source), HoldCell::default());
    let share = Share { prefix: 9_000, suffix: 750 };
    for line in 900..960 {
        let offset = source.line_to_byte(line);
        let window = view(&source, tree.as_ref(), offset, &hold).window(share);
        assert!(window.end - offset >= share.suffix / 4, "line {line}: {}", window.end - offset);
    }
}

#[test]
fn a_cursor_inside_a_line_break_stands_before_it() {
    let source = Rope::from_str("fn a() {}\r\nfn b() {}\r\n");
    let hold = HoldCell::default();
    for share in [700, 3, 0] {
        let window = view(&source, None, 10, &hold).window(Share { prefix: 700, suffix: share });
        assert!(window.end >= 9, "{window:?}");
    }
    let budget = Budget::new(1_000, None, 16, TokenCounter::default());
    let prompt = build(
        &view(&source, None, 10, &HoldCell::default()),
        Mode::Fim(&QWEN),
        Order::Plain,
        &budget,
    );
    let prompt = text(&prompt.expect("it fits"));
    assert!(prompt.contains("fn a() {}<|fim_suffix|>\nfn b() {}\n"), "{prompt}");
}

fn document(text: &str) -> Document {
    let opened = Opened {
        uri: "file:///w/src/a.rs".into(),
        path: None,
        language_id: "rust".into(),
        version: 0,
        text: text.to_owned(),
    };
    let document = Document::new(opened, "src/a.rs".into(), None);
    document.reparse();
    document
}

fn window_of(document: &Document, offset: usize, share: Share) -> std::ops::Range<usize> {
    let Snapshot { text, tree, hold, .. } = document.snapshot();
    view(&text, tree.as_ref(), offset, &hold).window(share)
}

fn replace(document: &Document, version: i32, bytes: std::ops::Range<usize>, by: &str) {
    let text = document.snapshot().text;
    let point = |byte| position::point(&text, byte, Encoding::Utf8);
    let range = Some((point(bytes.start), point(bytes.end)));
    let changes = vec![Change { range, text: by.to_owned() }];
    assert!(document.apply(version, changes, Encoding::Utf8) || document.snapshot().tree.is_some());
}

#[test]
fn lines_joined_at_its_end_do_not_leave_a_window_in_the_middle_of_one() {
    let source = items(200);
    let document = document(&source);
    let share = Share { prefix: 4_000, suffix: 600 };
    let offset = document.snapshot().text.line_to_byte(1_005);
    let end = window_of(&document, offset, share).end;
    replace(&document, 1, end - 3..end, "");
    let window = window_of(&document, offset, share);
    let text = document.snapshot().text;
    assert!(cuts_no_line(&text, window.end), "{:?}", text.byte_slice(..window.end).to_string());
}

/// Whether `byte` is the start of a line or the end of one, before its line break.
fn cuts_no_line(text: &Rope, byte: usize) -> bool {
    let around = |byte: usize| text.get_byte(byte).is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
    let before = byte == 0 || around(byte - 1);
    let within = byte > 0 && text.byte(byte - 1) == b'\r' && text.get_byte(byte) == Some(b'\n');
    (before || around(byte)) && !within
}

fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn files() -> impl Strategy<Value = String> {
    texts::text(texts::line(), 40)
}

proptest! {
    // Each case parses and lays out a whole file: fewer than usual.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_any_place_any_budget(
        file in files(),
        at in 0.0..1.1_f64,
        ceiling in 0..3_000_usize,
        context in prop::option::of(0..3_000_usize),
        mode in prop::sample::select(vec![Mode::Fim(&QWEN), Mode::Prefix, Mode::Hole]),
        order in prop::sample::select(vec![Order::Plain, Order::Begun]),
    ) {
        let source = Rope::from_str(&file);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let offset = (source.len_bytes() as f64 * at) as usize;
        let (tree, hold) = (parsed(&source), HoldCell::default());
        let budget = Budget::new(ceiling, context, 16, TokenCounter::default());
        let Some(prompt) = build(&view(&source, tree.as_ref(), offset, &hold), mode, order, &budget) else {
            return Ok(());
        };
        let window = context.map_or(ceiling, |context| context.min(ceiling));
        prop_assert!(prompt.tokens() + 16 <= window, "{} of {window}", prompt.tokens());
        let whole = normal(&file);
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

    #[test]
    fn a_window_is_what_it_says(
        file in files(),
        moves in prop::collection::vec((0..140_usize, 0..3_000_usize, 0..900_usize), 1..6),
    ) {
        let source = Rope::from_str(&file);
        let (tree, hold) = (parsed(&source), HoldCell::default());
        for (percent, prefix, suffix) in moves {
            let raw = source.len_bytes() * percent / 100;
            let view = view(&source, tree.as_ref(), raw, &hold);
            let (cursor, window) = (view.cursor(), view.window(Share { prefix, suffix }));
            prop_assert!(cursor <= raw && raw.min(source.len_bytes()) - cursor < 4);
            prop_assert!(window.start <= cursor && cursor <= window.end, "{window:?} {cursor}");
            prop_assert!(cursor - window.start <= prefix, "{window:?} {cursor}");
            let line_idx = source.byte_to_line(cursor);
            let begun = cursor - source.line_to_byte(line_idx);
            let rest = normal(&source.line(line_idx).to_string()).trim_end_matches('\n').len() - begun;
            prop_assert!(window.end - cursor <= suffix, "{window:?} {cursor}");
            prop_assert!(cuts_no_line(&source, window.start) || begun > prefix, "{window:?} {cursor}");
            prop_assert!(cuts_no_line(&source, window.end) || rest > suffix, "{window:?} {cursor}");
        }
    }

    #[test]
    fn prefix_and_suffix_are_the_text_around_the_cursor(
        file in files(),
        percent in 0..140_usize,
        ceiling in 60..6_000_usize,
    ) {
        let source = Rope::from_str(&file);
        let (tree, hold) = (parsed(&source), HoldCell::default());
        let view = view(&source, tree.as_ref(), source.len_bytes() * percent / 100, &hold);
        let budget = Budget::new(ceiling, None, 16, TokenCounter::default());
        let Some(prompt) = build(&view, Mode::Fim(&QWEN), Order::Plain, &budget) else { return Ok(()) };
        let mut sides = [String::new(), String::new()];
        let mut side = None;
        for segment in prompt.segments() {
            match segment {
                Segment::Control(token) if &**token == QWEN.prefix => side = Some(0),
                Segment::Control(token) if &**token == QWEN.suffix => side = Some(1),
                Segment::Control(_) => side = None,
                Segment::Text(text) => {
                    if let Some(side) = side {
                        sides[side].push_str(text);
                    }
                }
            }
        }
        let [prefix, suffix] = sides;
        let before = normal(&source.byte_slice(..view.cursor()).to_string());
        let after = normal(&source.byte_slice(view.cursor()..).to_string());
        prop_assert!(before.ends_with(&prefix), "{prefix:?} does not end {before:?}");
        prop_assert!(after.starts_with(&suffix), "{suffix:?} does not start {after:?}");
        // Whoever has room for the whole file shows it.
        if file.len() < 700 && ceiling > 2_000 {
            prop_assert_eq!((prefix, suffix), (before, after));
        }
    }

    #[test]
    fn a_window_stays_put_under_the_keys_of_an_editor(
        line in 0..1_900_usize,
        keys in prop::collection::vec("[a-z(){};é. ]|\n", 200),
    ) {
        let document = document(&items(200));
        let share = Share { prefix: 9_000, suffix: 750 };
        let mut offset = document.snapshot().text.line_to_byte(line);
        let first = window_of(&document, offset, share);
        let (len, mut moved) = (document.snapshot().text.len_bytes(), 0);
        let (mut start, mut version) = (first.start, 0);
        for key in keys {
            version += 1;
            replace(&document, version, offset..offset, &key);
            offset += key.len();
            if version % 20 == 0 {
                document.reparse();
            }
            let window = window_of(&document, offset, share);
            moved += usize::from(window.start != start);
            start = window.start;
            prop_assert_eq!(
                document.snapshot().text.len_bytes() - window.end,
                len - first.end,
                "the end moved at key {}", version
            );
        }
        // Two hundred keys are at most four hundred bytes of the prefix's nine thousand.
        prop_assert!(moved <= 1, "the start moved {moved} times");
    }
}
