//! Reads the tasks in `cases/`: a function, what is asked for, and answers that are known to be good
//! or bad, each with a word on why.

use std::{fs, ops::Range, path::Path, sync::atomic::AtomicBool};

use hearth::syntax::Language;
use ropey::Rope;
use tree_sitter::Node;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer replaces the function.
    Refactor,
    /// The answer is a test of the function.
    Test,
}

#[derive(Debug)]
pub(crate) struct Task {
    /// A file of `sources/`, without its extension.
    pub(crate) module: String,
    /// `name` or `Type::name`.
    pub(crate) function: String,
    pub(crate) kind: Kind,
    pub(crate) answers: Vec<Answer>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) good: bool,
    pub(crate) why: String,
    pub(crate) text: String,
}

pub(crate) fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check/labelled"))
}

/// All tasks, those of one file together.
pub(crate) fn tasks() -> Vec<Task> {
    let mut files: Vec<_> = fs::read_dir(folder().join("cases"))
        .expect("the cases")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
            read(&fs::read_to_string(file).expect("text"), &stem)
        })
        .collect()
}

fn read(text: &str, stem: &str) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_suffix("rust").filter(|fence| fence.starts_with("```")) {
            let code: Vec<&str> = lines.by_ref().take_while(|line| *line != fence).collect();
            let answers = tasks.last_mut().map(|task| &mut task.answers);
            answers.and_then(|answers| answers.last_mut()).expect("a heading").text =
                code.join("\n");
        } else if let Some(heading) = line.strip_prefix("## ") {
            let (label, why) = heading.split_once(": ").expect("good or bad, and why");
            assert!(label == "good" || label == "bad", "{heading}");
            let (good, why) = (label == "good", why.to_owned());
            let task = tasks.last_mut().expect("a function");
            task.answers.push(Answer { good, why, text: String::new() });
        } else if let Some(function) = line.strip_prefix("# ") {
            let (module, function) = function.split_once(": ").unwrap_or((stem, function));
            let (module, function) = (module.to_owned(), function.to_owned());
            tasks.push(Task { module, function, kind: Kind::Refactor, answers: Vec::new() });
        } else if line.starts_with("test: ") {
            tasks.last_mut().expect("a function").kind = Kind::Test;
        } else {
            assert!(line.is_empty() || line.starts_with("refactor: "), "{line}");
        }
    }
    tasks
}

/// The bytes of a function in its source.
pub(crate) fn find(source: &str, function: &str) -> Range<usize> {
    let rust = Language::by_id("rust").expect("a row");
    let tree = rust.parse(&Rope::from_str(source), None, &AtomicBool::new(false)).expect("parsed");
    let (of, name) = function.split_once("::").map_or((None, function), |(of, it)| (Some(of), it));
    let mut found = Vec::new();
    collect(tree.root_node(), None, source, &mut found);
    let is = |(around, node): &&(Option<&str>, Node<'_>)| {
        let named = node.child_by_field_name("name").map(|name| &source[name.byte_range()]);
        named == Some(name) && around.map(|it| it.split('<').next().unwrap_or(it)) == of
    };
    found.iter().find(is).expect(function).1.byte_range()
}

fn collect<'t>(
    node: Node<'t>,
    around: Option<&'t str>,
    source: &'t str,
    found: &mut Vec<(Option<&'t str>, Node<'t>)>,
) {
    if node.kind() == "function_item" {
        found.push((around, node));
    }
    let of = node.child_by_field_name("type").filter(|_| node.kind() == "impl_item");
    let around = of.map(|of| &source[of.byte_range()]).or(around);
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        collect(child, around, source, found);
    }
}
