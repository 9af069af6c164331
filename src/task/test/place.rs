//! Where tests are put: behind the last one of the module's `#[cfg(test)] mod`, or in a new one.

use std::ops::Range;

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
    /// The bytes that are replaced: none, or a module in which nothing is.
    pub range: Range<usize>,
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
    /// There is a module with something in it.
    There,
    /// A module is made, or made anew; what its braces are put behind.
    New { head: String, outer_indent: String, lead: String },
}

/// An edit that adds tests.
pub(super) struct Filled {
    pub(super) replacement: String,
    /// Space that is put in front of it.
    pub(super) lead: String,
    /// Whole `use` declarations that are needed there.
    pub(super) imports: Vec<String>,
}

impl Place {
    /// The place for tests of `subject`, or why there is none.
    pub fn find(source: &Source, subject: &Subject) -> Result<Self, String> {
        let text = &source.text;
        let scope = imports::scope(source.root(), subject.target.item.start);
        let mut modules = children(scope).into_iter().filter(|node| node.kind() == "mod_item");
        let Some(module) = modules.rfind(|module| is_test_module(*module, text)) else {
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
        let (range, frame) = if let Some(last) = last {
            (last.end_byte()..last.end_byte(), Frame::There)
        } else {
            let head = text.get(module.start_byte()..body.start_byte()).unwrap_or_default();
            let (head, lead) = (head.trim_end().to_owned(), String::new());
            (module.byte_range(), Frame::New { head, outer_indent, lead })
        };
        Ok(Self {
            range,
            module: name,
            uses,
            indent,
            taken: items.iter().map(|item| item.name.clone()).collect(),
            tests: tests.iter().map(|item| item.name.clone()).collect(),
            samples,
            frame,
        })
    }

    fn new_module(source: &Source, scope: Node<'_>) -> Self {
        let text = &source.text;
        let last = children(scope).last().copied();
        let outer_indent = last.map_or("", |last| indent_at(text, last.start_byte())).to_owned();
        let at = last.map_or(scope.start_byte(), |last| last.end_byte());
        let head = format!("#[cfg(test)]\n{outer_indent}mod tests");
        let lead = format!("\n\n{outer_indent}");
        Self {
            // At the end of the module, or of the file.
            range: at..at,
            module: "tests".to_owned(),
            uses: vec![SUPER.to_owned()],
            indent: format!("{outer_indent}    "),
            taken: Vec::new(),
            tests: Vec::new(),
            samples: Vec::new(),
            frame: Frame::New { head, outer_indent, lead },
        }
    }

    /// What is put there for `tests`.
    pub(super) fn filled(&self, source: &Source, tests: &[&Written]) -> Filled {
        let indent = &self.indent;
        let all: Vec<&str> = tests.iter().map(|test| test.text.as_str()).collect();
        let all = all.join(&format!("\n\n{indent}"));
        let of_tests = tests.iter().flat_map(|test| test.imports.iter().cloned());
        let wanted: Vec<String> = self.uses.iter().cloned().chain(of_tests).collect();
        let filled = match &self.frame {
            Frame::There => {
                let lead = format!("\n\n{indent}");
                Filled { replacement: all, lead, imports: wanted }
            }
            Frame::New { head, outer_indent, lead } => {
                let at = self.range.start.saturating_sub(1);
                let uses = imports::lacking(source.root(), &source.text, at, &wanted);
                let lines = uses.iter().flat_map(|line| [indent.as_str(), line, "\n"]);
                let uses = lines.collect::<String>();
                let replacement =
                    format!("{head} {{\n{indent}{SUPER}\n{uses}\n{indent}{all}\n{outer_indent}}}");
                Filled { replacement, lead: lead.clone(), imports: Vec::new() }
            }
        };
        if source.newline() == "\n" {
            return filled;
        }
        let Filled { replacement, lead, imports } = filled;
        let replacement = replacement.replace('\n', "\r\n");
        Filled { replacement, lead: lead.replace('\n', "\r\n"), imports }
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
            let Filled { replacement, lead, imports } =
                place.filled(&source, &[&tests[0], &tests[1]]);
            let mut new = source.text.clone();
            new.replace_range(place.range.clone(), &(lead + &replacement));
            format!(
                "tests {:?}, samples {:?}, imports {imports:?}\n{new}",
                place.tests, place.samples
            )
        });
        let shown = shown.unwrap_or_else(|why| why);
        expected.assert_eq(&shown.replace('\r', "␍"));
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
                fn f() {}␍
                ␍
                #[cfg(test)]␍
                mod tests {␍
                    use super::*;␍
                    use std::fmt;␍
                ␍
                    #[test]␍
                    fn one() {}␍
                ␍
                    #[test]␍
                    fn two() {}␍
                }␍
            "#]],
        );
    }

    #[test]
    fn in_an_empty_module() {
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod tests {}\n",
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
        check(
            "fn $0f() {}\n\n#[cfg(test)]\nmod unit {\n}\n",
            expect![[r#"
                tests [], samples [], imports []
                fn f() {}

                #[cfg(test)]
                mod unit {
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
