//! Where the users of other languages expect tests, and what these look like there: beside the file, or
//! in a folder for tests, in a file named after it. Tests are plain functions, or calls of Node's own
//! `test`: what needs a framework is not offered, as nothing here runs one.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use tree_sitter::Node;

use super::{
    Subject,
    place::{Frame, Place, SAMPLES},
};
use crate::{
    session::{Session, Snapshot},
    syntax::Language,
    task::{
        beside::Beside,
        edit::Standing,
        refactor::{
            import_lines,
            target::{self, Target},
        },
        source::{Source, root, unix},
    },
};

/// How a language's users test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Custom {
    Python,
    Go,
    /// JavaScript and TypeScript.
    Script,
}

/// A test in a tree.
pub(super) struct Found<'t> {
    /// All of it, and its name: of a function, or the words in quotes.
    pub(super) node: Node<'t>,
    pub(super) name: Node<'t>,
}

impl Custom {
    pub(super) fn of(language: &Language) -> Option<Self> {
        Some(match language.id {
            "python" => Self::Python,
            "go" => Self::Go,
            "javascript" | "typescript" | "typescriptreact" => Self::Script,
            _ => return None,
        })
    }

    /// One test, in words for a model.
    pub(super) const fn asked(self) -> &'static str {
        match self {
            Self::Python => "one function `test_…` that takes nothing and asserts with `assert`",
            Self::Go => "one function `Test…(t *testing.T)`",
            Self::Script => {
                "one call `test('…', () => { … })` of `node:test` that asserts with `node:assert/strict`"
            }
        }
    }

    /// Lines between two of them.
    pub(super) const fn gap(self) -> &'static str {
        match self {
            Self::Python => "\n\n\n",
            Self::Go | Self::Script => "\n\n",
        }
    }

    /// What there is to test in `target`, if others can call it.
    pub(super) fn subject(self, source: &Source, target: &Target) -> Option<Subject> {
        let node = target::node_of(source.root(), target)?;
        let callable = matches!(target.noun(), "function" | "method");
        let class = target.noun() == "class" && has_methods(node);
        let within_function = std::iter::successors(node.parent(), Node::parent)
            .any(|around| matches!(around.kind(), "function_definition" | "function_declaration"));
        let reachable = match self {
            Self::Python | Self::Go => !target.name.to_lowercase().starts_with("test"),
            Self::Script => exported(node, source),
        };
        (reachable && (callable || class) && !within_function).then(|| Subject {
            name: target.name.clone(),
            target: target.clone(),
            shown: vec![target.range.clone()],
            broken: target.item.clone(),
        })
    }

    /// The first test below `root`.
    pub(super) fn first_test<'t>(self, root: Node<'t>, source: &str) -> Option<Found<'t>> {
        let mut queue = VecDeque::from([root]);
        while let Some(node) = queue.pop_front() {
            if let Some(found) = self.test(node, source) {
                return Some(found);
            }
            let mut cursor = node.walk();
            // A test that stands in a class or in another function is not one by itself.
            if node == root || self == Self::Script {
                queue.extend(node.named_children(&mut cursor));
            }
        }
        None
    }

    fn test<'t>(self, node: Node<'t>, source: &str) -> Option<Found<'t>> {
        let text = |node: Node<'_>| source.get(node.byte_range()).unwrap_or_default();
        let name = match (self, node.kind()) {
            (Self::Python, "function_definition") => {
                node.child_by_field_name("name").filter(|name| text(*name).starts_with("test"))?
            }
            (Self::Go, "function_declaration") => {
                let takes = node.child_by_field_name("parameters")?;
                node.child_by_field_name("name").filter(|name| {
                    text(*name).starts_with("Test") && text(takes).contains("*testing.T")
                })?
            }
            (Self::Script, "expression_statement") => {
                let call = node.named_child(0).filter(|it| it.kind() == "call_expression")?;
                let function = call.child_by_field_name("function")?;
                let words = call.child_by_field_name("arguments")?.named_child(0)?;
                let named = matches!(text(function), "test" | "it") && words.kind() == "string";
                words.named_child(0).filter(|_| named)?
            }
            _ => return None,
        };
        Some(Found { node, name })
    }

    /// The place for tests of `subject`, or why there is none.
    pub(super) fn place(
        self,
        session: &Session,
        snapshot: &Snapshot,
        source: &Source,
        subject: &Subject,
    ) -> Result<Place, String> {
        let no_file = || "its tests belong into a file beside it, and this is none yet".to_owned();
        let own = snapshot.path.as_deref().ok_or_else(no_file)?;
        let workspace = root(session, own);
        if self.is_test_file(own) {
            return Err("this file has tests, and what it has is not tested itself".to_owned());
        }
        let is_there = |path: &Path| {
            path.is_file()
                || session.snapshots().iter().any(|open| open.path.as_deref() == Some(path))
        };
        let path = self.file(own, &workspace, is_there);
        let beside = Beside::read(session, snapshot, path.clone());
        let beside = beside.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let beside = beside.ok_or_else(|| format!("{} is too large", path.display()))?;
        if self == Self::Script
            && let Some(other) = other_framework(&beside, &workspace, own)
        {
            return Err(format!(
                "its tests are for {other}, and only those of `node:test` are run here"
            ));
        }
        let Source { text, .. } = &beside.source;
        let tree = beside.source.root();
        let mut cursor = tree.walk();
        let found: Vec<Found<'_>> =
            tree.named_children(&mut cursor).filter_map(|node| self.test(node, text)).collect();
        let part = |node: Node<'_>| text.get(node.byte_range()).unwrap_or_default().to_owned();
        let names: Vec<String> = found.iter().map(|test| part(test.name)).collect();
        let near = |test: &&Found<'_>| part(test.node).contains(&subject.name);
        let (near, others): (Vec<_>, Vec<_>) = found.iter().partition(near);
        let samples = near.into_iter().chain(others).take(SAMPLES);
        let mut uses = import_lines::declared(tree, text, source.language);
        uses.extend(self.needed(own, &path, source, subject));
        let frame = if text.trim().is_empty() {
            let header = match self {
                Self::Go => format!("package {}\n\n", package(source)),
                Self::Python | Self::Script => String::new(),
            };
            Frame::File { header }
        } else {
            Frame::There
        };
        let end = text.trim_end().len();
        Ok(Place {
            range: if frame == Frame::There { end..end } else { 0..text.len() },
            module: String::new(),
            uses,
            indent: String::new(),
            taken: target::all(tree, text, source.language)
                .into_iter()
                .map(|item| item.name)
                .chain(names.iter().cloned())
                .collect(),
            tests: names,
            samples: samples.map(|test| unix(&part(test.node))).collect(),
            beside: Some(beside.clone()),
            frame,
            gap: self.gap(),
        })
    }

    fn is_test_file(self, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match self {
            Self::Python => stem.starts_with("test_") || stem.ends_with("_test"),
            Self::Go => stem.ends_with("_test"),
            Self::Script => {
                stem.rsplit_once('.').is_some_and(|(_, end)| matches!(end, "test" | "spec"))
            }
        }
    }

    /// The file of the tests of `own`: the first that is there, else where a new one belongs.
    fn file(self, own: &Path, workspace: &Path, is_there: impl Fn(&Path) -> bool) -> PathBuf {
        let stem = own.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let ending = own.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let names = match self {
            Self::Python => vec![format!("test_{stem}.py"), format!("{stem}_test.py")],
            Self::Go => vec![format!("{stem}_test.go")],
            Self::Script => vec![format!("{stem}.test.{ending}"), format!("{stem}.spec.{ending}")],
        };
        let folder = own.parent().unwrap_or(own).to_path_buf();
        let mut folders = vec![folder.clone()];
        if self != Self::Go {
            let inner: &[&str] = if self == Self::Python {
                &["tests", "test"]
            } else {
                &["__tests__", "tests", "test"]
            };
            let around = folder.ancestors().take_while(|up| up.starts_with(workspace));
            folders.extend(around.flat_map(|up| inner.iter().map(|name| up.join(name))));
        }
        let all = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        let first = |folder: &Path| folder.join(names.first().map_or("", String::as_str));
        all.clone().find(|path| is_there(path)).unwrap_or_else(|| {
            // A project's folder for tests, where its modules are known.
            let tests = folders.iter().skip(1).find(|folder| {
                self == Self::Python
                    && folder.is_dir()
                    && folder.parent().is_some_and(|up| {
                        [up.to_owned(), up.join("src")].contains(&imported_from(own))
                    })
            });
            first(tests.unwrap_or(&folder))
        })
    }

    /// What a file of tests at `path` must import to test `subject`.
    fn needed(self, own: &Path, path: &Path, source: &Source, subject: &Subject) -> Vec<String> {
        let node = target::node_of(source.root(), &subject.target);
        let class = std::iter::successors(node, Node::parent)
            .filter(|node| matches!(node.kind(), "class_definition" | "class_declaration"))
            .last()
            .and_then(|class| source.text.get(class.child_by_field_name("name")?.byte_range()));
        let name = class.unwrap_or(&subject.name);
        match self {
            Self::Go => vec!["import \"testing\"".to_owned()],
            Self::Python => vec![format!("from {} import {name}", dotted(own))],
            Self::Script => {
                let module = relative(path.parent().unwrap_or(path), own);
                let esm = exports_esm(&source.text);
                let bring = |what: &str, from: &str| {
                    if esm {
                        format!("import {what} from '{from}';")
                    } else {
                        format!("const {what} = require('{from}');")
                    }
                };
                vec![
                    bring("test", "node:test"),
                    bring("assert", "node:assert/strict"),
                    bring(&format!("{{ {name} }}"), &module),
                ]
            }
        }
    }
}

fn has_methods(node: Node<'_>) -> bool {
    let Some(body) = node.child_by_field_name("body") else { return false };
    let mut cursor = body.walk();
    body.named_children(&mut cursor).any(|member| {
        matches!(
            member.kind(),
            "function_definition" | "method_definition" | "decorated_definition"
        )
    })
}

/// Whether other files can have it, as far as the text says.
fn exported(node: Node<'_>, source: &Source) -> bool {
    let outer = std::iter::successors(Some(node), Node::parent)
        .take_while(|node| node.parent().is_some())
        .last();
    let name = outer
        .and_then(|outer| outer.child_by_field_name("name"))
        .and_then(|name| source.text.get(name.byte_range()));
    let listed = |name: &str| {
        source.text.lines().any(|line| {
            let gives = line.trim_start().starts_with("export {") || line.contains("exports");
            gives && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
        })
    };
    outer.is_some_and(|outer| outer.kind() == "export_statement") || name.is_some_and(listed)
}

fn exports_esm(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("export ") || line.starts_with("import "))
}

/// What a package of Go is called.
fn package(source: &Source) -> &str {
    let mut cursor = source.root().walk();
    let clause = source.root().named_children(&mut cursor).find(|it| it.kind() == "package_clause");
    let name = clause.and_then(|clause| clause.named_child(0));
    name.and_then(|name| source.text.get(name.byte_range())).unwrap_or("main")
}

/// The folder that a module of Python is imported from: the innermost around it that is no package.
fn imported_from(own: &Path) -> PathBuf {
    let mut folders = own.ancestors().skip(1);
    let outer = folders.find(|folder| !folder.join("__init__.py").is_file());
    outer.unwrap_or(own).to_owned()
}

/// What a module of Python is imported as.
fn dotted(own: &Path) -> String {
    let from = imported_from(own);
    let below = own.strip_prefix(&from).unwrap_or(own).with_extension("");
    let mut names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    names.pop_if(|last| last == "__init__");
    names.join(".")
}

/// A module's path as a file in `folder` says it: TypeScript's without an ending.
fn relative(folder: &Path, own: &Path) -> String {
    let common = folder.ancestors().find(|up| own.starts_with(up)).unwrap_or(folder);
    let ups = folder.strip_prefix(common).map_or(0, |below| below.components().count());
    let below = own.strip_prefix(common).unwrap_or(own);
    let typed = own.extension().is_some_and(|it| it == "ts" || it == "tsx");
    let below = if typed { below.with_extension("") } else { below.to_owned() };
    let below: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    let up = if ups == 0 { "./".to_owned() } else { "../".repeat(ups) };
    format!("{up}{}", below.join("/"))
}

/// What the tests of a project of JavaScript need to be run, other than Node.
fn other_framework(beside: &Beside, workspace: &Path, own: &Path) -> Option<String> {
    if beside.standing != Standing::Missing {
        let text = &beside.source.text;
        let foreign = !text.trim().is_empty() && !text.contains("node:test");
        return foreign.then(|| "a framework".to_owned());
    }
    let mut around = own.ancestors().skip(1).take_while(|up| up.starts_with(workspace));
    let manifest = around.find_map(|up| std::fs::read_to_string(up.join("package.json")).ok())?;
    let named = ["jest", "vitest", "mocha"].into_iter();
    named.map(str::to_owned).find(|name| manifest.contains(&format!("\"{name}\"")))
}
