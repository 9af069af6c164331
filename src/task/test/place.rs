//! Where tests are put: behind the last one of the module's `#[cfg(test)] mod`, or in a new one.

use tree_sitter::Node;

use super::{
    Subject,
    answer::Written,
    subject::{is_test, is_test_module},
};
use crate::task::{
    refactor::{imports, target},
    source::{Source, indent_at},
};

/// Tests that a model is shown as a model.
const SAMPLES: usize = 2;

/// What makes the surroundings of a test module known in it.
const SUPER: &str = "use super::*;";

/// Where tests are put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The byte before which they stand.
    pub at: usize,
    /// The module's name.
    pub module: String,
    /// What the module imports, with what of its surroundings it must.
    pub uses: Vec<String>,
    /// The indentation of their lines.
    pub indent: String,
    /// Names of the module's items, and of what is imported there.
    pub taken: Vec<String>,
    /// Names of the tests that are there.
    pub tests: Vec<String>,
    /// How it is tested today: what tests share, and some of them.
    pub samples: Vec<String>,
    frame: Frame,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Frame {
    /// There is a module; whether something is in it.
    There { empty: bool, outer_indent: String },
    /// One is to be made, with this indentation, behind other code.
    New { outer_indent: String },
}

impl Place {
    /// The place for tests of `subject`, or why there is none.
    pub fn find(source: &Source, subject: &Subject) -> Result<Self, String> {
        let text = &source.text;
        let scope = imports::scope(source.root(), subject.target.item.start);
        let modules = children(scope).into_iter().filter(|node| node.kind() == "mod_item");
        let Some(module) = modules.filter(|module| is_test_module(*module, text)).last() else {
            return Ok(Self::new_module(source, scope));
        };
        let name = module.child_by_field_name("name").and_then(|name| text.get(name.byte_range()));
        let name = name.unwrap_or("tests").to_owned();
        let Some(body) = module.child_by_field_name("body") else {
            return Err(format!(
                "its tests are in a file of their own (`mod {name};`), where none are added"
            ));
        };
        let last = children(body).last().copied();
        let outer_indent = indent_at(text, module.start_byte()).to_owned();
        let indent = match last {
            Some(last) => indent_at(text, last.start_byte()).to_owned(),
            None => format!("{outer_indent}    "),
        };
        let inside = |at: usize| body.start_byte() <= at && at < body.end_byte();
        let items = target::all(source.root(), text, source.language);
        let items: Vec<_> = items.into_iter().filter(|item| inside(item.item.start)).collect();
        let (tests, others): (Vec<_>, Vec<_>) =
            items.iter().partition(|item| is_test(item, source));
        let names = |item: &&&target::Target| {
            text.get(item.item.clone()).is_some_and(|text| text.contains(&subject.name))
        };
        // Those that call it already are the best to learn from.
        let near = tests.iter().filter(names).chain(tests.iter().filter(|it| !names(it)));
        let shared = others.iter().filter(|item| item.is_function() && item.range.len() < 1_000);
        let mut uses = imports::declared(source.root(), text, body.start_byte() + 1);
        if !uses.iter().any(|declared| declared.starts_with("use super")) {
            uses.insert(0, SUPER.to_owned());
        }
        let samples =
            shared.chain(near.take(SAMPLES)).map(|item| source.shown(&item.range)).collect();
        Ok(Self {
            at: last.map_or(body.start_byte() + 1, |last| last.end_byte()),
            module: name,
            uses,
            indent,
            taken: items.iter().map(|item| item.name.clone()).collect(),
            tests: tests.iter().map(|item| item.name.clone()).collect(),
            samples,
            frame: Frame::There { empty: last.is_none(), outer_indent },
        })
    }

    fn new_module(source: &Source, scope: Node<'_>) -> Self {
        let text = &source.text;
        let last = children(scope).last().copied();
        let outer_indent = last.map_or("", |last| indent_at(text, last.start_byte())).to_owned();
        Self {
            // At the end of the module, or of the file.
            at: last.map_or(scope.start_byte(), |last| last.end_byte()),
            module: "tests".to_owned(),
            uses: vec![SUPER.to_owned()],
            indent: format!("{outer_indent}    "),
            taken: Vec::new(),
            tests: Vec::new(),
            samples: Vec::new(),
            frame: Frame::New { outer_indent },
        }
    }

    /// What is put there for `tests`, and what must be imported beside it.
    pub(super) fn filled(&self, source: &Source, tests: &[&Written]) -> (String, Vec<String>) {
        let of_tests = tests.iter().flat_map(|test| test.imports.iter().cloned());
        let wanted: Vec<String> = self.uses.iter().cloned().chain(of_tests).collect();
        let indent = &self.indent;
        let texts: Vec<&str> = tests.iter().map(|test| test.text.as_str()).collect();
        let texts = texts.join(&format!("\n\n{indent}"));
        let (text, imports) = match &self.frame {
            Frame::There { empty: false, .. } => (format!("\n\n{indent}{texts}"), wanted),
            Frame::There { empty: true, outer_indent } => {
                // What follows is the closing brace, perhaps on this very line.
                let open = source.text.get(self.at..).unwrap_or_default();
                let own_line = open.trim_start_matches([' ', '\t']).starts_with(['\n', '\r']);
                let end = if own_line { String::new() } else { format!("\n{outer_indent}") };
                (format!("\n{indent}{texts}{end}"), wanted)
            }
            Frame::New { outer_indent } => {
                let at = self.at.saturating_sub(1);
                let uses = imports::lacking(source.root(), &source.text, at, &wanted);
                let uses = uses.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
                let module = format!(
                    "\n\n{outer_indent}#[cfg(test)]\n{outer_indent}mod {} {{\n{indent}{SUPER}\n{uses}\n{indent}{texts}\n{outer_indent}}}",
                    self.module
                );
                (module, Vec::new())
            }
        };
        let text = if source.newline() == "\n" { text } else { text.replace('\n', "\r\n") };
        (text, imports)
    }
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::syntax::Language;

    /// Puts two tests for the item at `$0` into the file.
    fn check(fixture: &str, expected: Expect) {
        let at = fixture.find("$0").expect("a cursor");
        let rust = Language::by_id("rust").expect("a row");
        let source = Source::with_text(rust, fixture.replace("$0", "")).expect("parsed");
        let target = source.target(at..at).expect("an item");
        let subject = Subject::of(&source, &target).expect("something to test");
        let shown = Place::find(&source, &subject).map(|place| {
            let test = |name: &str, imports: &[&str]| Written {
                name: name.to_owned(),
                text: format!("#[test]\n{}fn {name}() {{}}", place.indent),
                imports: imports.iter().map(|&it| it.to_owned()).collect(),
            };
            let tests = [test("one", &["use std::fmt;", "use super::f;"]), test("two", &[])];
            let (text, imports) = place.filled(&source, &[&tests[0], &tests[1]]);
            let mut new = source.text.clone();
            new.insert_str(place.at, &text);
            format!(
                "tests {:?}, samples {:?}, imports {imports:?}\n{new}",
                place.tests, place.samples
            )
        });
        expected.assert_eq(&shown.unwrap_or_else(|why| why));
    }

    #[test]
    fn behind_the_last_one() {
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    fn help() {}\n\n    #[test]\n    fn f_is() {\n        f();\n    }\n}\n",
            expect![[r#"
                tests ["f_is"], samples ["    fn help() {}", "    #[test]\n    fn f_is() {\n        f();\n    }"], imports ["use super::*;", "use std::fmt;", "use super::f;"]
                fn f() {}

                #[cfg(test)]
                mod tests {
                    use super::*;

                    fn help() {}

                    #[test]
                    fn f_is() {
                        f();
                    }

                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            "#]],
        );
    }

    #[test]
    fn in_a_new_module() {
        check(
            "use std::fmt;\n\nfn $0f() {}\n\nfn g() {}\n",
            expect![[r#"
            tests [], samples [], imports []
            use std::fmt;

            fn f() {}

            fn g() {}

            #[cfg(test)]
            mod tests {
                use super::*;

                #[test]
                fn one() {}

                #[test]
                fn two() {}
            }
        "#]],
        );
        check(
            "fn $0f() {}",
            expect![[r#"
            tests [], samples [], imports []
            fn f() {}

            #[cfg(test)]
            mod tests {
                use super::*;
                use std::fmt;

                #[test]
                fn one() {}

                #[test]
                fn two() {}
            }"#]],
        );
        check(
            "mod inner {\n    fn $0f() {}\n}\n\nfn g() {}\n",
            expect![[r#"
            tests [], samples [], imports []
            mod inner {
                fn f() {}

                #[cfg(test)]
                mod tests {
                    use super::*;
                    use std::fmt;

                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            }

            fn g() {}
        "#]],
        );
        check(
            "fn $0f() {}\r\n",
            expect![[r#"
                tests [], samples [], imports []
                fn f() {}

                #[cfg(test)]
                mod tests {
                    use super::*;
                    use std::fmt;

                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            "#]],
        );
    }

    #[test]
    fn in_an_empty_module() {
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod tests {}\n",
            expect![[r#"
                tests [], samples [], imports ["use super::*;", "use std::fmt;", "use super::f;"]
                fn f() {}

                #[cfg(test)]
                mod tests {
                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            "#]],
        );
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod unit {\n}\n",
            expect![[r#"
                tests [], samples [], imports ["use super::*;", "use std::fmt;", "use super::f;"]
                fn f() {}

                #[cfg(test)]
                mod unit {
                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            "#]],
        );
    }

    #[test]
    fn a_type_is_tested_by_its_own_functions() {
        check(
            "struct $0S<T>(T);\n\nimpl<T> Drop for S<T> {\n    fn drop(&mut self) {}\n}\n\nimpl<T> S<T> {\n    fn f() {}\n}\n",
            expect![[r#"
                tests [], samples [], imports []
                struct S<T>(T);

                impl<T> Drop for S<T> {
                    fn drop(&mut self) {}
                }

                impl<T> S<T> {
                    fn f() {}
                }

                #[cfg(test)]
                mod tests {
                    use super::*;
                    use std::fmt;

                    #[test]
                    fn one() {}

                    #[test]
                    fn two() {}
                }
            "#]],
        );
    }

    #[test]
    fn in_a_file_of_their_own() {
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod tests;\n",
            expect!["its tests are in a file of their own (`mod tests;`), where none are added"],
        );
    }
}
