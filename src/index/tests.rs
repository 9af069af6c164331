use std::{fmt::Write as _, fs};

use expect_test::{Expect, expect};
use futures::executor::block_on;
use tempfile::TempDir;

use super::*;

/// Everything that is known, without numbers.
fn dump(index: &Index) -> String {
    let view = index.read();
    let mut files: Vec<_> = view.files().collect();
    files.sort_by_key(|(_, file)| file.relative_path());
    let mut out = String::new();
    for (id, file) in files {
        let _ = writeln!(out, "{} [{}]", file.relative_path(), file.module());
        for import in file.imports() {
            let name = import.name.map_or("*", |name| view.name(name));
            let _ = writeln!(out, "  {} as {name}", import.path);
        }
        for item in view.items(id) {
            let depth = std::iter::successors(Some(item), Item::parent).count();
            let _ = write!(out, "{:1$}{2} {3}", "", depth * 2, item.kind(), item.name());
            let (lines, signature) = (item.lines(), item.signature());
            let _ = write!(
                out,
                " {:?} {}..{} `{signature}`",
                item.visibility(),
                lines.start,
                lines.end
            );
            for (what, text) in [("type", item.ty()), ("doc", item.doc())] {
                if !text.is_empty() {
                    let _ = write!(out, " {what} `{text}`");
                }
            }
            for (what, symbol) in [("for", item.target()), ("trait", item.trait_name())] {
                if let Some(symbol) = symbol {
                    let _ = write!(out, " {what} {}", view.name(symbol));
                }
            }
            let _ = writeln!(out, "{}", if item.is_test() { " test" } else { "" });
        }
    }
    out
}

fn workspace(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn index(folder: &TempDir) -> Index {
    let roots = vec![folder.path().to_owned()];
    let index = Index::start(Scope { roots, exclude: Vec::new() });
    block_on(index.settled());
    index
}

fn check(name: &str, source: &str, expected: Expect) {
    let folder = workspace(&[(name, source)]);
    expected.assert_eq(&dump(&index(&folder)));
}

#[test]
fn items_of_rust() {
    check(
        "src/shapes/mod.rs",
        r#"//! Shapes.

use std::{fmt, io::{self, Read as _}};

/// A point.
///
/// More.
#[derive(Debug)]
pub struct Point<T> {
    /// Across.
    pub x: T,
    pub(crate) y: Vec<
        T,
    >,
}

struct Pair(pub u8, u8);

pub enum Shape {
    Dot,
    /// From here to there.
    Line { from: Point<f32>, to: Point<f32> },
    Poly(Vec<Point<f32>>) = 3,
}

pub trait Draw: Send {
    type Error;
    const N: usize = 3;
    /// Draws.
    fn draw(&self) -> Result<(), Self::Error>;
    fn twice(&self) {}
}

impl<'a, T> Draw for &'a mut super::Point<T> {
    type Error = io::Error;
    fn draw(&self) -> Result<(), Self::Error> { inner(); }
}

impl Shape {
    // Not documentation.
    pub fn area(
        &self, // me
        scale: f32,
    ) -> f32
    where
        Self: Sized,
    {
        fn inner() {}
        0.0
    }
    fn private() {}
}

mod nested {
    pub fn deep() {}
}
pub mod elsewhere;

const TABLE: &[&str] = &["one", "two", "three", "four", "five", "six", "seven"];
pub static ON: bool = true;
type Map<K> = std::collections::HashMap<K, u8>;
macro_rules! twice { ($e:expr) => { $e; $e } }

#[cfg(test)]
mod tests {
    #[test]
    fn works() {}
}
"#,
        expect![[r#"
            src/shapes/mod.rs [shapes]
              std::fmt as fmt
              std::io as io
              std::io::Read as _
              struct Point Public 8..15 `pub struct Point<T>` doc `A point.`
                field x Public 10..11 `pub x: T` type `T` doc `Across.`
                field y Package 11..14 `pub(crate) y: Vec<T>` type `Vec<T>`
              struct Pair Private 16..17 `struct Pair(pub u8, u8)`
              enum Shape Public 18..24 `pub enum Shape`
                variant Dot Public 19..20 `Dot`
                variant Line Public 21..22 `Line { from: Point<f32>, to: Point<f32> }` doc `From here to there.`
                variant Poly Public 22..23 `Poly(Vec<Point<f32>>) = 3`
              trait Draw Public 25..32 `pub trait Draw: Send`
                type Error Public 26..27 `type Error`
                const N Public 27..28 `const N: usize = 3` type `usize`
                method draw Public 29..30 `fn draw(&self) -> Result<(), Self::Error>` type `Result<(), Self::Error>` doc `Draws.`
                method twice Public 30..31 `fn twice(&self)`
              impl Point Public 33..37 `impl<'a, T> Draw for &'a mut super::Point<T>` for Point trait Draw
                type Error Public 34..35 `type Error = io::Error` type `io::Error`
                method draw Public 35..36 `fn draw(&self) -> Result<(), Self::Error>` type `Result<(), Self::Error>`
              impl Shape Public 38..52 `impl Shape` for Shape
                method area Public 40..50 `pub fn area(&self, scale: f32) -> f32 where Self: Sized` type `f32`
                method private Private 50..51 `fn private()`
              module nested Private 53..56 `mod nested`
                function deep Public 54..55 `pub fn deep()`
              module elsewhere Public 56..57 `pub mod elsewhere`
              const TABLE Private 58..59 `const TABLE: &[&str]` type `&[&str]`
              static ON Public 59..60 `pub static ON: bool = true` type `bool`
              type Map Private 60..61 `type Map<K> = std::collections::HashMap<K, u8>` type `std::collections::HashMap<K, u8>`
              macro twice Private 61..62 `macro_rules! twice`
              module tests Private 64..68 `mod tests` test
                function works Private 66..67 `fn works()` test
        "#]],
    );
}
