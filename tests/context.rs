//! What a prompt shows of other files: chosen, held, bounded, and nothing of what is excluded.

#[path = "support/texts.rs"]
mod texts;

use std::sync::{Arc, atomic::AtomicBool};

use expect_test::{Expect, expect};
use futures::executor::block_on;
use hearth::{
    context::{
        layout::Order,
        prompt::{Built, Plan, build},
        recall::Piece,
        shelf::{Shelf, Workspace},
        window::View,
    },
    index::{Index, Scope},
    model::{
        Budget, Segment, TokenCounter,
        fim::{Mode, QWEN},
    },
    session::HoldCell,
    syntax::Language,
};
use proptest::prelude::*;
use ropey::Rope;
use tempfile::TempDir;

/// A workspace on disk, and what one editor's prompts are built with.
struct House {
    folder: TempDir,
    index: Index,
    shelf: Shelf,
    hold: HoldCell,
}

impl House {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("writable");
            std::fs::write(path, text.replacen("$0", "", 1)).expect("writable");
        }
        let index = Index::start(scope(&folder, &[]));
        block_on(index.settled());
        Self { folder, index, shelf: Shelf::default(), hold: HoldCell::default() }
    }

    /// What a prompt of at most `ceiling` tokens would be at `$0` in an unsaved `text` of `path`.
    fn prompt(&self, path: &str, text: &str, ceiling: usize, mode: Mode) -> Option<Built> {
        let offset = text.find("$0").expect("a cursor");
        let text = Rope::from_str(&text.replacen("$0", "", 1));
        self.prompt_at(path, &text, offset, ceiling, Plan::new(mode, Order::Plain))
    }

    fn prompt_at(
        &self,
        path: &str,
        text: &Rope,
        offset: usize,
        ceiling: usize,
        plan: Plan,
    ) -> Option<Built> {
        let file: Arc<std::path::Path> = self.folder.path().join(path).into();
        let language = Language::by_id("rust");
        let tree = language.and_then(|rust| rust.parse(text, None, &AtomicBool::new(false)));
        self.index.edited(Arc::clone(&file), language, text.clone(), tree.clone());
        block_on(self.index.settled());
        let workspace = Workspace {
            index: &self.index,
            file: Some(&file),
            most_tokens: 2_000,
            shelf: &self.shelf,
        };
        let view = View { text, tree: tree.as_ref(), language, path, offset, hold: &self.hold };
        let budget = Budget::new(ceiling, None, 16, TokenCounter::default());
        build(&view, Some(&workspace), plan, &budget)
    }

    /// The pieces of other files that a prompt shows at `$0`.
    fn pieces(&self, path: &str, text: &str) -> Vec<Piece> {
        let built = self.prompt(path, text, 8_000, Mode::Fim(&QWEN)).expect("it fits");
        built.recalled.pieces.clone()
    }
}

fn scope(folder: &TempDir, exclude: &[&str]) -> Scope {
    Scope {
        roots: vec![folder.path().to_owned()],
        exclude: exclude.iter().map(|glob| (*glob).to_owned()).collect(),
        ..Scope::default()
    }
}

fn text(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| format!("# {}\n{}", piece.definition.path, piece.definition.text))
        .collect::<Vec<_>>()
        .concat()
}

/// The first file has the cursor.
fn check(files: &[(&str, &str)], expected: Expect) {
    let (path, fixture) = files[0];
    expected.assert_eq(&text(&House::of(files).pieces(path, fixture)));
}

const WHEEL: (&str, &str) = (
    "src/wheel.rs",
    "//! Wheels.\n\n\
    /// Turns.\n\
    #[derive(Debug)]\n\
    pub struct Wheel {\n    pub spokes: u32, // many\n    hub: Hub,\n}\n\n\
    impl Wheel {\n    \
        pub fn turn(&mut self, by: Angle) -> Turned {\n        let secret = by;\n        Turned(secret)\n    }\n}\n\n\
    pub struct Turned(Angle);\n\n\
    pub enum Angle {\n    Degrees(f64),\n    Full,\n}\n\n\
    struct Hub;\n",
);

const RIDE: (&str, &str) = (
    "src/ride.rs",
    "use crate::wheel::Wheel;\n\nfn ride(wheel: &mut Wheel) {\n    let turned = wheel.$0\n}\n",
);

#[test]
fn a_parameter_brings_its_type_and_what_can_be_called_on_it() {
    check(
        &[RIDE, WHEEL, ("src/far.rs", "pub fn unrelated(far: u8) -> u8 {\n    far\n}\n")],
        expect![[r#"
            # src/wheel.rs
            //! Wheels.

            /// Turns.
            #[derive(Debug)]
            pub struct Wheel {
                pub spokes: u32, // many
                hub: Hub,
            }

            impl Wheel {
                pub fn turn(&mut self, by: Angle) -> Turned {
                    let secret = by;
                    Turned(secret)
                }
            }

            pub struct Turned(Angle);

            pub enum Angle {
                Degrees(f64),
                Full,
            }

            struct Hub;
            # src/wheel.rs
            pub struct Wheel {
                pub spokes: u32,
                hub: Hub,
            }
            impl Wheel {
                pub fn turn(&mut self, by: Angle) -> Turned;
            }
            pub struct Turned(Angle);
            pub enum Angle {
                Degrees(f64),
                Full,
            }
        "#]],
    );
}

#[test]
fn a_document_that_names_nothing_of_the_workspace_gets_nothing_unlikely() {
    check(&[("src/alone.rs", "fn alone() {\n    $0\n}\n"), WHEEL], expect![[""]]);
}

#[test]
fn a_trait_and_a_macro_are_shown_whole() {
    check(
        &[
            (
                "src/a.rs",
                "use crate::b::{Spin, spin};\n\nfn a(top: impl Spin) {\n    spin!(top);\n    top.$0\n}\n",
            ),
            (
                "src/b.rs",
                "pub trait Spin: Sized {\n    const MOST: u32;\n    fn spin_fast(&self) -> u32;\n    \
                 fn spin_slow(&self) -> u32 {\n        1\n    }\n}\n\n#[macro_export]\nmacro_rules! spin {\n    \
                 ($it:expr) => {\n        $it.spin_fast()\n    };\n}\n",
            ),
        ],
        expect![[r#"
            # src/b.rs
            pub trait Spin: Sized {
                const MOST: u32;
                fn spin_fast(&self) -> u32;
                fn spin_slow(&self) -> u32 {
                    1
                }
            }

            #[macro_export]
            macro_rules! spin {
                ($it:expr) => {
                    $it.spin_fast()
                };
            }
            # src/b.rs
            pub trait Spin: Sized {
                const MOST: u32;
                fn spin_fast(&self) -> u32;
                fn spin_slow(&self) -> u32;
            }
            macro_rules! spin {}
        "#]],
    );
}

#[test]
fn families_without_file_tokens_and_chats_see_it_too() {
    let house = House::of(&[RIDE, WHEEL]);
    for mode in [Mode::Prefix, Mode::Hole] {
        let built = house.prompt(RIDE.0, RIDE.1, 8_000, mode).expect("it fits");
        let all: String = built.prompt.segments().iter().map(Segment::as_str).collect();
        assert!(all.contains("pub fn turn(&mut self, by: Angle) -> Turned;"), "{mode}: {all}");
    }
}

#[test]
fn nothing_of_an_excluded_file_is_shown() {
    let rules = [".gitignore", ".hearthignore"].map(|name| (name, "src/wheel.rs\n"));
    for rule in rules {
        let house = House::of(&[RIDE, WHEEL, rule, (".git/HEAD", "")]);
        assert_eq!(text(&house.pieces(RIDE.0, RIDE.1)), "", "{rule:?}");
        // Nor of its unsaved text, however much one is in it.
        let wheel: Arc<std::path::Path> = house.folder.path().join(WHEEL.0).into();
        let unsaved = Rope::from_str(WHEEL.1);
        house.index.edited(Arc::clone(&wheel), Language::by_id("rust"), unsaved.clone(), None);
        house.shelf.trail.visit(&wheel, &unsaved, 60);
        block_on(house.index.settled());
        let elsewhere = two("", "wheel.$0");
        assert_eq!(text(&house.pieces("src/two.rs", &elsewhere)), "", "{rule:?}");
    }
    let house = House::of(&[RIDE, WHEEL]);
    assert!(text(&house.pieces(RIDE.0, RIDE.1)).contains("spokes"));
    // What is held goes as well, and at once.
    house.index.set_scope(scope(&house.folder, &["wheel.rs"]));
    assert_eq!(text(&house.pieces(RIDE.0, RIDE.1)), "");
}

#[test]
fn nothing_of_an_excluded_dependency_is_shown() {
    let home = tempfile::tempdir().expect("a folder");
    let package = home.path().join("registry/src/i/gears-1.0.0");
    std::fs::create_dir_all(package.join("src")).expect("writable");
    std::fs::write(package.join("Cargo.toml"), "package.name = \"gears\"").expect("writable");
    let source = "pub struct Gear;\nimpl Gear {\n    pub fn shift(&mut self, to: u8) {}\n}\n";
    std::fs::write(package.join("src/lib.rs"), source).expect("writable");
    let lock = "[[package]]\nname = \"app\"\nversion = \"1.0.0\"\ndependencies = [\"gears\"]\n\
                [[package]]\nname = \"gears\"\nversion = \"1.0.0\"\n\
                source = \"registry+https://example.com/index\"\n";
    let ride = "use gears::Gear;\n\nfn ride(gear: &mut Gear) {\n    let shifted = gear.$0\n}\n";
    let files = [
        ("src/ride.rs", ride),
        ("Cargo.toml", "package.name = \"app\"\ndependencies.gears = \"1\""),
        ("Cargo.lock", lock),
    ];
    let shown = |exclude: &[&str]| {
        let house = House::of(&files);
        let cargo_home = Some(home.path().to_owned());
        let with = |globs: &[&str]| Scope {
            cargo_home: cargo_home.clone(),
            ..scope(&house.folder, globs)
        };
        house.index.set_scope(with(&[]));
        block_on(house.index.settled());
        assert!(text(&house.pieces("src/ride.rs", ride)).contains("fn shift(&mut self, to: u8)"));
        // What was shown already goes as well.
        house.index.set_scope(with(exclude));
        text(&house.pieces("src/ride.rs", ride))
    };
    assert!(shown(&["other/"]).contains("# gears/src/lib.rs"));
    for glob in ["gears/", "gears-1.0.0/", "/gears/src/lib.rs", "lib.rs"] {
        assert_eq!(shown(&[glob]), "", "{glob}");
    }
}

#[test]
fn no_room_means_no_other_files_and_the_same_document() {
    let house = House::of(&[RIDE, WHEEL]);
    let built = house.prompt(RIDE.0, RIDE.1, 100, Mode::Fim(&QWEN)).expect("it fits");
    assert!(built.prompt.tokens() < 100);
    let all: String = built.prompt.segments().iter().map(Segment::as_str).collect();
    assert!(all.ends_with("<|fim_middle|>") && all.contains("let turned = wheel."), "{all}");
}

/// Two functions far apart, each in need of something else.
fn two(first: &str, second: &str) -> String {
    let between = "    println!();\n".repeat(40);
    format!(
        "use crate::{{axle::Axle, wheel::Wheel}};\n\nfn first(wheel: &mut Wheel) {{\n    {first}\n}}\n\n\
         fn between() {{\n{between}}}\n\nfn second(axle: &mut Axle) {{\n    {second}\n}}\n"
    )
}

const AXLE: (&str, &str) = (
    "src/axle.rs",
    "pub struct Axle {\n    pub length: u32,\n}\n\nimpl Axle {\n    pub fn grease(&mut self) -> Grease {\n        \
     Grease\n    }\n}\n\npub struct Grease;\n",
);

#[test]
fn typing_changes_nothing_and_moving_on_appends() {
    let document = ("src/two.rs", two("", ""));
    let house = House::of(&[(document.0, &document.1), WHEEL, AXLE]);
    let first = house.pieces(document.0, &two("$0", ""));
    assert!(!first.is_empty());
    for typed in ["w$0", "wheel$0", "wheel.turn($0", "wheel.turn();\n    axle$0"] {
        assert_eq!(house.pieces(document.0, &two(typed, "")), first, "{typed}");
    }
    let member = house.pieces(document.0, &two("wheel.$0", ""));
    assert_eq!(member[..first.len()], first, "what was there stays in front");
    assert!(text(&member).contains("fn turn(&mut self, by: Angle) -> Turned"), "{}", text(&member));
    assert_eq!(house.pieces(document.0, &two("wheel.tu$0", "")), member);
    let second = house.pieces(document.0, &two("", "axle.$0"));
    assert_eq!(second[..member.len()], member, "what was there stays in front");
    assert!(text(&second).contains("pub fn grease(&mut self)"), "{}", text(&second));
}

#[test]
fn what_was_just_edited_or_looked_at_is_in_play() {
    let names_nothing = "fn late() {\n    let x = 1;\n    $0\n}\n";
    let house = House::of(&[("src/late.rs", names_nothing), WHEEL, AXLE]);
    assert_eq!(text(&house.pieces("src/late.rs", names_nothing)), "");
    let house = House::of(&[("src/late.rs", names_nothing), WHEEL, AXLE]);
    let axle: Arc<std::path::Path> = house.folder.path().join(AXLE.0).into();
    house.shelf.trail.visit(&axle, &Rope::from_str(AXLE.1), AXLE.1.find("grease").unwrap());
    let shown = text(&house.pieces("src/late.rs", names_nothing));
    assert!(shown.contains("fn grease(&mut self) -> Grease"), "{shown}");
    assert!(!shown.contains("turn"), "{shown}");
}

#[test]
fn a_changed_definition_is_shown_changed_once_one_looks_again() {
    let document = ("src/two.rs", two("", ""));
    let house = House::of(&[(document.0, &document.1), WHEEL, AXLE]);
    assert!(text(&house.pieces(document.0, &two("$0", ""))).contains("spokes"));
    let wheel: Arc<std::path::Path> = house.folder.path().join(WHEEL.0).into();
    let changed = Rope::from_str(&WHEEL.1.replace("spokes", "rims"));
    house.index.edited(wheel, Language::by_id("rust"), changed, None);
    let later = text(&house.pieces(document.0, &two("", "$0")));
    assert!(!later.contains("spokes"), "{later}");
}

/// Documents of code, of other things, and of lines that are both.
fn documents() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "use crate::wheel::Wheel;",
        "fn f(wheel: &mut Wheel, axle: Axle) -> Turned {",
        "    let x = wheel.turn(Angle::Full).0;",
        "    match axle.grease() { Grease => x }",
        "impl Wheel { fn g<T: Spin>(self, t: T) where Self: Sized {",
        "    self.hub.",
        "Wheel::",
        "}",
        "}}",
        "\"ü\u{1F980}\u{200d}\u{feff} <|fim_prefix|> \\\"",
        "",
    ]);
    texts::text(prop_oneof![4 => line.prop_map(str::to_owned), 1 => texts::line()], 40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_any_place_any_budget(
        document in documents(),
        percent in 0..120_usize,
        ceiling in 0..4_000_usize,
        mode in prop::sample::select(vec![Mode::Fim(&QWEN), Mode::Prefix, Mode::Hole]),
        order in prop::sample::select(vec![Order::Plain, Order::Begun]),
    ) {
        thread_local! {
            static HOUSE: House = House::of(&[WHEEL, AXLE, ("src/any.rs", "")]);
        }
        HOUSE.with(|house| {
            let text = Rope::from_str(&document);
            let offset = text.len_bytes() * percent / 100;
            let plan = Plan::new(mode, order);
            let built = house.prompt_at("src/any.rs", &text, offset, ceiling, plan);
            let Some(Built { prompt, recalled }) = built else { return Ok(()) };
            let (closed, output) = prompt.closed();
            prop_assert!(prompt.tokens() + output <= ceiling, "{} of {ceiling}", prompt.tokens());
            let all = |segments: &[Segment]| segments.iter().map(Segment::as_str).collect::<String>();
            prop_assert_eq!(all(&closed) + prompt.open(), all(prompt.segments()));
            if let Some(stable) = plan.stable(&prompt) {
                prop_assert!(all(prompt.segments()).starts_with(&all(stable.segments())));
            }
            let others: usize = recalled.pieces.iter().map(|piece| piece.tokens).sum();
            prop_assert!(others <= ceiling.min(2_000), "{others} of {ceiling}");
            let rust = Language::by_id("rust").expect("Rust is built in");
            for piece in &recalled.pieces {
                prop_assert_ne!(piece.definition.path.as_str(), "src/any.rs");
                let text = Rope::from_str(&piece.definition.text);
                let tree = rust.parse(&text, None, &AtomicBool::new(false));
                prop_assert!(tree.is_some_and(|tree| !tree.root_node().has_error()), "{text}");
            }
            Ok(())
        })?;
    }
}
