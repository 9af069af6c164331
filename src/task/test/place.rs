//! Where Rust's tests are put: behind the last one of the module's `#[cfg(test)] mod`, in its file where
//! it has one of its own, or in a new one.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use tree_sitter::Node;

use super::{
    Subject,
    answer::Written,
    custom::Custom,
    subject::{is_test, is_test_module},
};
use crate::{
    session::{Session, Snapshot},
    task::{
        beside::Beside,
        refactor::{import_lines, imports, target},
        source::{Source, indent_at, root},
    },
};

/// Tests that a model is shown as a model.
pub(super) const SAMPLES: usize = 2;

/// What makes the surroundings of a test module known in it.
const SUPER: &str = "use super::*;";

const GAP: &str = "\n\n";

/// Where tests are put.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file, where it is not the one of what is tested.
    pub beside: Option<Beside>,
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
    pub(super) frame: Frame,
    /// What stands between two of them.
    pub(super) gap: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// There is a module with something in it.
    There,
    /// A module is made, or made anew; what its braces are put behind.
    New { head: String, outer_indent: String, lead: String },
    /// A file is made, which begins with this.
    File { header: String },
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
    /// The place for tests of `subject` in `snapshot`, whose text is `source`; or why there is none.
    pub fn find(
        session: &Session,
        snapshot: &Snapshot,
        source: &Source,
        subject: &Subject,
    ) -> Result<Self, String> {
        if let Some(custom) = Custom::of(source.language) {
            return custom.place(session, snapshot, source, subject);
        }
        let module = match Self::in_file(source, subject) {
            Ok(place) => return Ok(place),
            Err(module) => module,
        };
        let no_file = || "this is no file, and its tests are in one of their own".to_owned();
        let own = snapshot.path.as_deref().ok_or_else(no_file)?;
        let workspace = root(session, own);
        let places = module.files(own);
        let there = places.iter().filter(|path| path.starts_with(&workspace));
        let open = |path: &&PathBuf| {
            let snapshots = session.snapshots();
            snapshots.iter().any(|open| open.path.as_deref() == Some(path)) || path.is_file()
        };
        let Some(path) = there.clone().find(open) else {
            let below = |path: &Path| path.strip_prefix(&workspace).unwrap_or(path).to_owned();
            let names: Vec<_> =
                places.iter().map(|path| below(path).display().to_string()).collect();
            let ModuleFile { name, .. } = module;
            return Err(format!(
                "its tests are in `mod {name};`, and there is no {}",
                names.join(" and no ")
            ));
        };
        let beside = Beside::read(session, snapshot, path.clone());
        let beside = beside.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let beside = beside.ok_or_else(|| format!("{} is too large", path.display()))?;
        let place = Self::behind(&beside.source, beside.source.root(), module.name, subject);
        Ok(Self { beside: Some(beside), ..place })
    }

    /// The place in the subject's own file; or the module that has one of its own.
    fn in_file(source: &Source, subject: &Subject) -> Result<Self, ModuleFile> {
        let text = &source.text;
        let scope = imports::scope(source.root(), subject.target.item.start);
        let mut modules = children(scope).into_iter().filter(|node| node.kind() == "mod_item");
        let Some(module) = modules.rfind(|module| is_test_module(*module, text)) else {
            return Ok(Self::new_module(source, scope));
        };
        let name = module.child_by_field_name("name").and_then(|name| text.get(name.byte_range()));
        let name = name.unwrap_or("tests").to_owned();
        let Some(body) = module.child_by_field_name("body") else {
            return Err(ModuleFile::of(source, module, name));
        };
        let place = Self::behind(source, body, name, subject);
        if !children(body).is_empty() {
            return Ok(place);
        }
        let outer_indent = indent_at(text, module.start_byte()).to_owned();
        let head = text.get(module.start_byte()..body.start_byte()).unwrap_or_default();
        let head = head.trim_end().to_owned();
        let indent = format!("{outer_indent}    ");
        let frame = Frame::New { head, outer_indent, lead: String::new() };
        Ok(Self { range: module.byte_range(), indent, frame, ..place })
    }

    /// Behind what stands in a module: its body, or its whole file.
    fn behind(source: &Source, module: Node<'_>, name: String, subject: &Subject) -> Self {
        let text = &source.text;
        let last = children(module).last().copied();
        let indent = last.map_or("", |last| indent_at(text, last.start_byte())).to_owned();
        let inside = |at: usize| module.start_byte() <= at && at < module.end_byte();
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
        let mut uses = imports::declared(source.root(), text, module.start_byte() + 1);
        if !uses.iter().any(|declared| declared.starts_with("use super")) {
            uses.insert(0, SUPER.to_owned());
        }
        let samples =
            shared.chain(near.take(SAMPLES)).map(|item| source.shown(&item.range)).collect();
        // A file of documentation alone ends behind its line break.
        let end = last.map_or(text.len(), |last| {
            text.get(..last.end_byte()).map_or(0, |text| text.trim_end().len())
        });
        Self {
            beside: None,
            range: end..end,
            module: name,
            uses,
            indent,
            taken: items.iter().map(|item| item.name.clone()).collect(),
            tests: tests.iter().map(|item| item.name.clone()).collect(),
            samples,
            frame: Frame::There,
            gap: GAP,
        }
    }

    fn new_module(source: &Source, scope: Node<'_>) -> Self {
        let text = &source.text;
        let last = children(scope).last().copied();
        let outer_indent = last.map_or("", |last| indent_at(text, last.start_byte())).to_owned();
        let at = last.map_or(scope.start_byte(), |last| last.end_byte());
        let head = format!("#[cfg(test)]\n{outer_indent}mod tests");
        let lead = format!("\n\n{outer_indent}");
        Self {
            beside: None,
            // At the end of the module, or of the file.
            range: at..at,
            module: "tests".to_owned(),
            uses: vec![SUPER.to_owned()],
            indent: format!("{outer_indent}    "),
            taken: Vec::new(),
            tests: Vec::new(),
            samples: Vec::new(),
            frame: Frame::New { head, outer_indent, lead },
            gap: GAP,
        }
    }

    /// What is put there for `tests`.
    pub(super) fn filled(&self, source: &Source, tests: &[&Written]) -> Filled {
        let indent = &self.indent;
        let all: Vec<&str> = tests.iter().map(|test| test.text.as_str()).collect();
        let all = all.join(&format!("{}{indent}", self.gap));
        let of_tests = tests.iter().flat_map(|test| test.imports.iter().cloned());
        let wanted: Vec<String> = self.uses.iter().cloned().chain(of_tests).collect();
        let filled = match &self.frame {
            Frame::There => {
                let behind = source.text.get(..self.range.start).unwrap_or_default();
                let first = behind.trim().is_empty();
                let lead = if first { String::new() } else { format!("{}{indent}", self.gap) };
                Filled { replacement: all, lead, imports: wanted }
            }
            Frame::File { header } => {
                let imports = import_lines::lines(source.language, &wanted, "\n");
                let replacement = format!("{header}{}{}{all}\n", imports.trim_end(), self.gap);
                Filled { replacement, lead: String::new(), imports: Vec::new() }
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
        if source.newline() == "\n" || matches!(self.frame, Frame::File { .. }) {
            return filled;
        }
        let Filled { replacement, lead, imports } = filled;
        let replacement = replacement.replace('\n', "\r\n");
        Filled { replacement, lead: lead.replace('\n', "\r\n"), imports }
    }
}

/// A module of tests that has a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModuleFile {
    name: String,
    /// Modules of the same file around it, outermost first.
    around: Vec<String>,
    /// What its attribute says of the path.
    named: Option<String>,
}

impl ModuleFile {
    fn of(source: &Source, module: Node<'_>, name: String) -> Self {
        let text = |node: Node<'_>| source.text.get(node.byte_range()).unwrap_or_default();
        let modules = std::iter::successors(module.parent(), Node::parent);
        let modules = modules.filter(|node| node.kind() == "mod_item");
        let mut around: Vec<String> = modules
            .filter_map(|it| Some(text(it.child_by_field_name("name")?).to_owned()))
            .collect();
        around.reverse();
        let lead = target::lead_start(module, &source.text)..module.start_byte();
        let lead = source.text.get(lead).unwrap_or_default();
        let named = lead.split_once("#[path").and_then(|(_, rest)| rest.split('"').nth(1));
        Self { name, around, named: named.map(str::to_owned) }
    }

    /// Where its file may be, the likeliest first, as the Rust reference has it ("Module source
    /// filenames"). `own` is the file that declares it.
    fn files(&self, own: &Path) -> Vec<PathBuf> {
        let folder = own.parent().unwrap_or(own);
        let stem = own.file_stem().unwrap_or_default();
        let beside = matches!(stem.to_str(), Some("mod" | "lib" | "main"));
        let around = self.around.iter().collect::<PathBuf>();
        let of_children = if beside { folder.to_owned() } else { folder.join(stem) };
        if let Some(named) = &self.named {
            let from =
                if self.around.is_empty() { folder.to_owned() } else { of_children.join(around) };
            return vec![from.join(named)];
        }
        let below = |folder: PathBuf| {
            let module = folder.join(&around).join(&self.name);
            [module.with_extension("rs"), module.join("mod.rs")]
        };
        // The root of a program or of an integration test may have any name.
        let root = (!beside).then(|| below(folder.to_owned()));
        below(of_children).into_iter().chain(root.into_iter().flatten()).collect()
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
        let shown = Place::in_file(&source, &subject).map(|place| {
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
        let shown =
            shown.unwrap_or_else(|module| format!("{:#?}", module.files(Path::new("src/a.rs"))));
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
            expect![[r#"
            [
                "src/a/tests.rs",
                "src/a/tests/mod.rs",
                "src/tests.rs",
                "src/tests/mod.rs",
            ]"#]],
        );
        check(
            "fn $0f() {}\n\n#[cfg(test)]\n#[path = \"t/a.rs\"]\nmod tests;\n",
            expect![[r#"
            [
                "src/t/a.rs",
            ]"#]],
        );
        check(
            "mod b {\n    fn $0f() {}\n\n    #[cfg(test)]\n    mod tests;\n}\n",
            expect![[r#"
            [
                "src/a/b/tests.rs",
                "src/a/b/tests/mod.rs",
                "src/b/tests.rs",
                "src/b/tests/mod.rs",
            ]"#]],
        );
        let tests = ModuleFile { name: "tests".to_owned(), around: Vec::new(), named: None };
        assert_eq!(
            tests.files(Path::new("src/lib.rs")),
            ["src/tests.rs", "src/tests/mod.rs"].map(PathBuf::from)
        );
    }
}
