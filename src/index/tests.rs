use std::{fmt::Write as _, fs, sync::atomic::AtomicBool};

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
    let index = Index::start(Scope { roots, ..Scope::default() });
    block_on(index.settled());
    index
}

/// A sample of a language, of which the grammar takes every byte.
fn check(name: &str, source: &str, expected: Expect) {
    let language = Language::by_path(Path::new(name)).expect("a language with a grammar");
    let tree = language.parse_text(source, &AtomicBool::new(false)).expect("a tree");
    assert_eq!(crate::syntax::errors::error_bytes(tree.root_node()), 0);
    let folder = workspace(&[(name, source)]);
    expected.assert_eq(&dump(&index(&folder)));
}

#[test]
fn items_of_rust() {
    check(
        "src/shapes/mod.rs",
        r#"//! Shapes.

use std::{fmt, io::{self, Read as _}};
pub use nested::deep as deeper;

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
        #[cfg(any(
            unix,
            windows,
        ))]
        scale: f32, /* of
        it */
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
              nested::deep as deeper
              struct Point Public 9..16 `pub struct Point<T>` doc `A point.`
                field x Public 11..12 `pub x: T` type `T` doc `Across.`
                field y Package 12..15 `pub(crate) y: Vec<T>` type `Vec<T>`
              struct Pair Private 17..18 `struct Pair(pub u8, u8)`
              enum Shape Public 19..25 `pub enum Shape`
                variant Dot Public 20..21 `Dot`
                variant Line Public 22..23 `Line { from: Point<f32>, to: Point<f32> }` doc `From here to there.`
                variant Poly Public 23..24 `Poly(Vec<Point<f32>>) = 3`
              trait Draw Public 26..33 `pub trait Draw: Send`
                type Error Public 27..28 `type Error`
                const N Public 28..29 `const N: usize = 3` type `usize`
                method draw Public 30..31 `fn draw(&self) -> Result<(), Self::Error>` type `Result<(), Self::Error>` doc `Draws.`
                method twice Public 31..32 `fn twice(&self)`
              impl Point Public 34..38 `impl<'a, T> Draw for &'a mut super::Point<T>` for Point trait Draw
                type Error Public 35..36 `type Error = io::Error` type `io::Error`
                method draw Public 36..37 `fn draw(&self) -> Result<(), Self::Error>` type `Result<(), Self::Error>`
              impl Shape Public 39..58 `impl Shape` for Shape
                method area Public 41..56 `pub fn area(&self, scale: f32) -> f32 where Self: Sized` type `f32`
                method private Private 56..57 `fn private()`
              module nested Private 59..62 `mod nested`
                function deep Public 60..61 `pub fn deep()`
              module elsewhere Public 62..63 `pub mod elsewhere`
              const TABLE Private 64..65 `const TABLE: &[&str]` type `&[&str]`
              static ON Public 65..66 `pub static ON: bool = true` type `bool`
              type Map Private 66..67 `type Map<K> = std::collections::HashMap<K, u8>` type `std::collections::HashMap<K, u8>`
              macro twice Private 67..68 `macro_rules! twice`
              module tests Private 70..74 `mod tests` test
                function works Private 72..73 `fn works()` test
        "#]],
    );
}

#[cfg(feature = "python")]
#[test]
fn items_of_python() {
    check(
        "package/shapes.py",
        r#"# A licence.

"""Shapes."""
import os.path
import numpy as np
from . import base
from .base import Shape as Base, draw
from typing import *

LIMIT: int = 3

class Circle(Base, metaclass=Meta):
    """A circle.

    More.
    """

    radius: float = 1.0

    def __init__(self, radius: float) -> None:
        self.radius = radius

    @property
    def area(self) -> float:
        # Not this.
        return 3.0

    def _hidden(self): ...

# Doubles a number.
@cache
def twice(
    n: int,
    *,
    loud=False,
) -> int:
    def inner(): pass
    return 2 * n

if TYPE_CHECKING:
    def checked(): pass

async def later(): pass
"#,
        expect![[r#"
            package/shapes.py [package.shapes]
              os.path as os
              numpy as np
              .base as base
              .base.Shape as Base
              .base.draw as draw
              typing as *
              static LIMIT Public 9..10 `LIMIT: int = 3` type `int`
              class Circle Public 11..28 `class Circle(Base, metaclass=Meta)` doc `A circle.` trait Base
                field radius Public 17..18 `radius: float = 1.0` type `float`
                method __init__ Public 19..21 `def __init__(self, radius: float) -> None` type `None`
                method area Public 23..26 `def area(self) -> float` type `float`
                method _hidden Private 27..28 `def _hidden(self)`
              function twice Public 31..38 `def twice(n: int, *, loud=False) -> int` type `int` doc `Doubles a number.`
              function checked Public 40..41 `def checked()`
              function later Public 42..43 `async def later()`
        "#]],
    );
}

#[cfg(feature = "javascript")]
#[test]
fn items_of_javascript() {
    check(
        "src/shapes.js",
        r#"import fs, { readFile as read, writeFile } from "node:fs";
import * as path from "./path.js";
const util = require("util");

/**
 * A shape.
 */
export default class Shape extends Base {
  #sides = 3;
  static count = 0;
  /** Its area. */
  area(scale = 1) { return 0; }
  async *walk() {}
}

// Adds.
export const add = (a, b) => a + b;
function hidden({ a }, ...rest) { function inner() {} }
export function* numbers() {}
const LIMIT = 3, NAMES = ["one", "two", "three", "four", "five", "six", "seven"];
"#,
        expect![[r#"
            src/shapes.js [src.shapes]
              node:fs as fs
              node:fs#readFile as read
              node:fs#writeFile as writeFile
              ./path.js as path
              util as util
              const util Package 2..3 `const util = require("util")`
              class Shape Public 7..14 `export default class Shape extends Base` doc `A shape.` trait Base
                field #sides Private 8..9 `#sides = 3`
                field count Public 9..10 `static count = 0`
                method area Public 11..12 `area(scale = 1)` doc `Its area.`
                method walk Public 12..13 `async *walk()`
              function add Public 16..17 `export const add = (a, b)` doc `Adds.`
              function hidden Package 17..18 `function hidden({ a }, ...rest)`
              function numbers Public 18..19 `export function* numbers()`
              const LIMIT Package 19..20 `const LIMIT = 3`
              const NAMES Package 19..20 `NAMES`
        "#]],
    );
}

#[cfg(feature = "typescript")]
const TYPESCRIPT: &str = r#"import type { Base } from "./base";
import Default from "pkg";

/** A point. */
export interface Point<T> extends Base<T> {
  readonly x: T;
  y?: number;
  length(scale: number): number;
}

export type Id = string | number;
enum Color { Red, Green = 2 }

export abstract class Shape extends Base implements Point<number> {
  private sides: number = 3;
  constructor(private readonly name: string, public x: number) { super(); }
  abstract area(): number;
  protected static of<T>(x: T): Shape { return x; }
}

export const add = (a: number, b: number): number => a + b;
export async function load(id: Id): Promise<Shape> { return x; }
declare function declared(x: string): void;
namespace Inner { export const deep = 1; }
"#;

#[cfg(feature = "typescript")]
#[test]
fn items_of_typescript() {
    check(
        "src/shapes.ts",
        TYPESCRIPT,
        expect![[r#"
        src/shapes.ts [src.shapes]
          ./base#Base as Base
          pkg as Default
          interface Point Public 4..9 `export interface Point<T> extends Base<T>` doc `A point.` trait Base
            field x Public 5..6 `readonly x: T` type `T`
            field y Public 6..7 `y?: number` type `number`
            method length Public 7..8 `length(scale: number): number` type `number`
          type Id Public 10..11 `export type Id = string | number` type `string | number`
          enum Color Package 11..12 `enum Color`
            variant Red Package 11..12 `Red`
            variant Green Package 11..12 `Green = 2`
          class Shape Public 13..19 `export abstract class Shape extends Base implements Point<number>` trait Base
            field sides Private 14..15 `private sides: number = 3` type `number`
            method constructor Public 15..16 `constructor(private readonly name: string, public x: number)`
            method area Public 16..17 `abstract area(): number` type `number`
            method of Private 17..18 `protected static of<T>(x: T): Shape` type `Shape`
          function add Public 20..21 `export const add = (a: number, b: number): number` type `number`
          function load Public 21..22 `export async function load(id: Id): Promise<Shape>` type `Promise<Shape>`
          function declared Package 22..23 `declare function declared(x: string): void` type `void`
          module Inner Package 23..24 `namespace Inner`
            const deep Public 23..24 `export const deep = 1`
    "#]],
    );
}

#[cfg(feature = "typescript")]
#[test]
fn items_of_tsx() {
    check(
        "src/App.tsx",
        r#"import { useState } from "react";

/** What it takes. */
interface Props { title: string; onClose(): void }

export function App({ title }: Props): JSX.Element {
  const [open, setOpen] = useState<boolean>(false);
  return <div className="app"><Title text={title} /></div>;
}

export const Title: FC<{ text: string }> = ({ text }) => <h1>{text}</h1>;
"#,
        expect![[r#"
            src/App.tsx [src.App]
              react#useState as useState
              interface Props Package 3..4 `interface Props` doc `What it takes.`
                field title Package 3..4 `title: string` type `string`
                method onClose Package 3..4 `onClose(): void` type `void`
              function App Public 5..9 `export function App({ title }: Props): JSX.Element` type `JSX.Element`
              function Title Public 10..11 `export const Title: FC<{ text: string }> = ({ text })`
        "#]],
    );
}

#[cfg(feature = "go")]
#[test]
fn items_of_go() {
    check(
        "shapes/point.go",
        r#"// Package shapes.
package shapes

import (
	"fmt"
	str "strings"
)

import "example.com/x/y"

// Point is a point.
type Point struct {
	// X is across.
	X, Y int `json:"x"`
	name string
	Base
}

// Drawer draws.
type Drawer interface {
	Draw(scale float64) (int, error)
	fmt.Stringer
}

type (
	ID   int
	Name = string
)

// Area of it.
func (p *Point) Area(scale float64) float64 {
	return 0
}

func (l List[T]) Len() int { return 0 }

func New(x, y int) (*Point, error) { return nil, nil }

const Limit = 3

const (
	A = iota
	B
)

var cache map[string]int
"#,
        expect![[r#"
            shapes/point.go [shapes]
              fmt as fmt
              strings as str
              example.com/x/y as y
              struct Point Public 11..17 `type Point struct` doc `Point is a point.`
                field X Public 13..14 `X, Y int `json:"x"`` type `int` doc `X is across.`
                field Y Public 13..14 `X, Y int `json:"x"`` type `int` doc `X is across.`
                field name Package 14..15 `name string` type `string`
              interface Drawer Public 19..23 `type Drawer interface` doc `Drawer draws.`
                method Draw Public 20..21 `Draw(scale float64) (int, error)` type `(int, error)`
              type ID Public 25..26 `ID int` type `int`
              type Name Public 26..27 `Name = string` type `string`
              method Area Public 30..33 `func (p *Point) Area(scale float64) float64` type `float64` doc `Area of it.` for Point
              method Len Public 34..35 `func (l List[T]) Len() int` type `int` for List
              function New Public 36..37 `func New(x, y int) (*Point, error)` type `(*Point, error)`
              const Limit Public 38..39 `const Limit = 3`
              const A Public 41..42 `A = iota`
              const B Public 42..43 `B`
              static cache Package 45..46 `var cache map[string]int` type `map[string]int`
        "#]],
    );
}
