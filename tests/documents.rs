//! The server's text is the editor's text, and the tree that of the text.

mod support;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use hearth::{
    server::Options,
    session::{Change, Encoding, Opened, Point, Session, Snapshot, document::MAX_PARSED_BYTES},
    syntax::Language,
};
use proptest::{prelude::*, proptest};
use serde_json::json;
use support::{client::Setup, random::Random};

const ENCODINGS: [(Encoding, &str); 3] =
    [(Encoding::Utf8, "utf-8"), (Encoding::Utf16, "utf-16"), (Encoding::Utf32, "utf-32")];

/// What texts are made of: every line break, one to four bytes, a combining character, and things
/// that are line breaks elsewhere but not here.
const PIECES: [&str; 12] = [
    "\n",
    "\r\n",
    "\r",
    "a",
    "é",
    "e\u{301}",
    "漢",
    "🦀",
    "fn f() {}\n",
    "let x = \"s\";",
    "\u{2028}\u{85}",
    "",
];

/// A change as the protocol describes it, worked out the slow way.
#[derive(Debug, Clone)]
struct Edit {
    start: Point,
    end: Point,
    text: String,
}

/// The byte of `text` at `point`: walks through the lines, then through the characters.
fn reference_offset(text: &str, point: Point, encoding: Encoding) -> usize {
    let mut rest = text;
    let mut start = 0;
    for _ in 0..point.line {
        let Some(line_break) = rest.find(['\n', '\r']) else { return text.len() };
        let length = if rest[line_break..].starts_with("\r\n") { 2 } else { 1 };
        start += line_break + length;
        rest = &rest[line_break + length..];
    }
    let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
    let mut units = 0;
    for (byte, character) in line.char_indices() {
        units += match encoding {
            Encoding::Utf8 => character.len_utf8(),
            Encoding::Utf16 => character.len_utf16(),
            Encoding::Utf32 => 1,
        };
        if units > point.character as usize {
            return start + byte;
        }
    }
    start + line.len()
}

fn reference_apply(text: &mut String, edit: &Edit, encoding: Encoding) {
    let ends = [edit.start, edit.end].map(|point| reference_offset(text, point, encoding));
    text.replace_range(ends[0].min(ends[1])..ends[0].max(ends[1]), &edit.text);
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES), 0..20).prop_map(|pieces| pieces.concat())
}

/// A change near the front of a small document, also behind its lines, behind its end, inside of
/// characters and the wrong way round.
fn edit() -> impl Strategy<Value = Edit> {
    let point = || (0..8_u32, 0..16_u32).prop_map(|(line, character)| Point { line, character });
    let text = prop::collection::vec(prop::sample::select(&PIECES), 0..3);
    (point(), point(), text).prop_map(|(start, end, text)| Edit { start, end, text: text.concat() })
}

fn opened(uri: &str, text: &str) -> Opened {
    Opened {
        uri: uri.into(),
        path: Some(PathBuf::from("/w/src/a.rs").into()),
        language_id: "rust".into(),
        version: 0,
        text: text.to_owned(),
    }
}

fn changes(edits: &[Edit]) -> Vec<Change> {
    let change =
        |edit: &Edit| Change { range: Some((edit.start, edit.end)), text: edit.text.clone() };
    edits.iter().map(change).collect()
}

fn shape(snapshot: &Snapshot) -> String {
    snapshot.tree.as_ref().unwrap().root_node().to_sexp()
}

fn fresh_shape(snapshot: &Snapshot) -> String {
    let language = Language::by_id("rust").unwrap();
    let tree = language.parse(&snapshot.text, None, &AtomicBool::new(false)).unwrap();
    tree.root_node().to_sexp()
}

proptest! {
    #[test]
    fn the_text_is_the_editors(
        before in text(),
        batches in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..20),
        (encoding, _) in prop::sample::select(&ENCODINGS),
    ) {
        let document = hearth::session::Document::new(opened("file:///a", &before), "a".into(), None);
        let mut expected = before;
        for (version, batch) in (1..).zip(&batches) {
            for edit in batch {
                reference_apply(&mut expected, edit, encoding);
            }
            let _ = document.apply(version, changes(batch), encoding);
            prop_assert_eq!(document.snapshot().text.to_string(), &*expected);
        }
    }

    #[test]
    fn the_tree_is_that_of_the_text(
        before in "(fn f\\(a: u8\\) \\{ g\\(a\\) \\}\r?\n|// é🦀\r\n|struct S \\{ x: u8 \\}\n){1,12}",
        edits in prop::collection::vec(
            (0..12_u32, 0..20_u32, prop::sample::select(&["a", ";", "\n", " b: i8", "🦀", "fn h() {}\n"])),
            1..12,
        ),
    ) {
        // Each insertion is parsed, then taken back and parsed again: broken text on the way, whole
        // text at the end. Of broken text tree-sitter itself promises no one shape.
        let document = hearth::session::Document::new(opened("file:///a", &before), "a".into(), None);
        document.reparse();
        let whole = shape(&document.snapshot());
        prop_assert_eq!(&whole, &fresh_shape(&document.snapshot()));
        for (line, character, text) in edits {
            let snapshot = document.snapshot();
            let point = Point { line, character };
            let start = hearth::session::position::offset(&snapshot.text, point, Encoding::Utf8);
            let _ = document.apply(
                1,
                changes(&[Edit { start: point, end: point, text: text.to_owned() }]),
                Encoding::Utf8,
            );
            document.reparse();
            let broken = document.snapshot();
            let tree = broken.tree.as_ref().unwrap();
            prop_assert!(tree.root_node().end_byte() <= broken.text.len_bytes());
            if !tree.root_node().has_error() {
                prop_assert_eq!(shape(&broken), fresh_shape(&broken));
            }

            let at = |byte| hearth::session::position::point(&broken.text, byte, Encoding::Utf8);
            let back = Edit { start: at(start), end: at(start + text.len()), text: String::new() };
            let _ = document.apply(2, changes(&[back]), Encoding::Utf8);
            document.reparse();
            prop_assert_eq!(document.snapshot().text.to_string(), &*before);
            prop_assert_eq!(&whole, &shape(&document.snapshot()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_follows_while_one_types() {
    for seed in Random::seeds() {
        let mut random = Random::new(seed);
        let session = Session::default();
        let line = "fn f(a: u8) -> u8 { g(a, 1) + 2 }\n";
        session.open(opened("file:///a", &line.repeat(2_000)));
        let document = session.document("file:///a").unwrap();
        for version in 1..500 {
            let at = Point { line: u32::try_from(random.below(2_000)).unwrap(), character: 20 };
            let change = Change { range: Some((at, at)), text: "h(a) + ".to_owned() };
            session.change("file:///a", version, vec![change], Encoding::Utf16);
            let snapshot = document.snapshot();
            if let Some(tree) = &snapshot.tree {
                let root = tree.root_node();
                assert_eq!(root.end_byte(), snapshot.text.len_bytes(), "seed {seed}, {version}");
            }
            if random.below(50) == 0 {
                document.parsed().await;
            }
        }
        document.parsed().await;
        let snapshot = document.snapshot();
        assert_eq!(shape(&snapshot), fresh_shape(&snapshot), "seed {seed}");
    }
}

#[tokio::test]
async fn a_whole_new_text_gets_a_whole_new_tree() {
    let session = Session::default();
    session.open(opened("file:///a", "fn a() {}\n"));
    let whole = Change { range: None, text: "struct S;\n".to_owned() };
    session.change("file:///a", 1, vec![whole], Encoding::Utf16);
    let document = session.document("file:///a").unwrap();
    document.parsed().await;
    assert_eq!(shape(&document.snapshot()), "(source_file (struct_item name: (type_identifier)))");
}

#[tokio::test]
async fn what_is_too_large_has_text_and_no_tree() {
    let session = Session::default();
    let many_lines = "let x = 1;\n".repeat(200_000);
    let long_line = "x".repeat(10 << 20);
    for text in [&many_lines, &long_line] {
        assert!(text.len() > MAX_PARSED_BYTES);
        session.open(opened("file:///a", text));
        let document = session.document("file:///a").unwrap();
        let at = Point { line: 0, character: 3 };
        let change = Change { range: Some((at, at)), text: "🦀".to_owned() };
        session.change("file:///a", 1, vec![change], Encoding::Utf16);
        document.parsed().await;
        let snapshot = document.snapshot();
        assert_eq!(snapshot.text.len_bytes(), text.len() + 4);
        assert!(snapshot.tree.is_none());
        session.close("file:///a");
    }
    session.open(opened("file:///a", &many_lines));
    let most = (Point { line: 1, character: 0 }, Point { line: u32::MAX, character: 0 });
    let change = Change { range: Some(most), text: String::new() };
    session.change("file:///a", 1, vec![change], Encoding::Utf16);
    let document = session.document("file:///a").unwrap();
    document.parsed().await;
    assert!(document.snapshot().tree.is_some(), "small enough again");
}

#[tokio::test]
async fn an_editor_may_be_out_of_step() {
    let session = Arc::new(Session::default());
    let options = Options { session: Arc::clone(&session), ..Options::default() };
    let mut client = Setup { options, ..Setup::default() }.start().await;
    client.change("file:///w/never.rs", (0, 0), (9, 9), "never opened");
    client.close("file:///w/never.rs");
    client.open("file:///w/twice.rs", "first");
    client.open("file:///w/twice.rs", "second");
    client.open("untitled:Untitled-1", "no file");
    client.settle().await;
    assert!(session.snapshot("file:///w/never.rs").is_none());
    assert_eq!(session.snapshot("file:///w/twice.rs").unwrap().text, "second");
    assert_eq!(session.snapshot("untitled:Untitled-1").unwrap().path, None);
    client.close("file:///w/twice.rs");
    client.settle().await;
    assert!(session.snapshot("file:///w/twice.rs").is_none());
    client.shutdown().await;
}

#[tokio::test]
async fn folders_come_and_go() {
    let session = Arc::new(Session::default());
    let options = Options { session: Arc::clone(&session), ..Options::default() };
    let folders = vec!["file:///w".to_owned(), "file:///v".to_owned()];
    let mut client = Setup { folders, options, ..Setup::default() }.start().await;
    client.open("file:///w/member/src/a.rs", "");
    client.open("file:///v/b.rs", "");
    client.settle().await;
    let relative = |uri| session.snapshot(uri).unwrap().relative_path.to_string();
    assert_eq!(relative("file:///w/member/src/a.rs"), "member/src/a.rs");
    assert_eq!(relative("file:///v/b.rs"), "b.rs");

    client.notify_raw(
        "workspace/didChangeWorkspaceFolders",
        json!({ "event": {
            "added": [{ "uri": "file:///w/member", "name": "member" }],
            "removed": [{ "uri": "file:///v", "name": "v" }],
        }}),
    );
    client.settle().await;
    assert_eq!(relative("file:///w/member/src/a.rs"), "src/a.rs");
    assert_eq!(session.roots(), [PathBuf::from("/w"), PathBuf::from("/w/member")]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_is_the_editors_over_the_wire() {
    for (encoding, name) in ENCODINGS {
        for seed in Random::seeds() {
            let mut random = Random::new(seed);
            let session = Arc::new(Session::default());
            let options = Options { session: Arc::clone(&session), ..Options::default() };
            let mut client =
                Setup { encodings: vec![name], options, ..Setup::default() }.start().await;
            let uri = "file:///w/a.rs";
            let mut expected = String::new();
            client.open(uri, "");
            for _ in 0..500 {
                let mut point = || Point {
                    line: u32::try_from(random.below(8)).unwrap(),
                    character: u32::try_from(random.below(16)).unwrap(),
                };
                let (start, end) = (point(), point());
                let grows = expected.len() < 300;
                let text = if grows { random.pick(&PIECES).to_owned() } else { String::new() };
                client.change(uri, (start.line, start.character), (end.line, end.character), &text);
                reference_apply(&mut expected, &Edit { start, end, text }, encoding);
                if random.below(20) == 0 {
                    client.settle().await;
                    let text = session.snapshot(uri).unwrap().text.to_string();
                    assert_eq!(text, expected, "{name}, seed {seed}");
                }
            }
            client.settle().await;
            let text = session.snapshot(uri).unwrap().text.to_string();
            assert_eq!(text, expected, "{name}, seed {seed}");
            client.shutdown().await;
        }
    }
}
