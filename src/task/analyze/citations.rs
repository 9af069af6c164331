//! Whether what a report cites is there: the file, the line, and something of what is claimed.
//!
//! Wrong citations are marked where they stand; claims without any are marked, too. A citation that
//! holds is not proof that the claim does.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, LazyLock},
};

use regex::Regex;
use serde::Serialize;

use super::{reads::named, survey::files};
use crate::index::{File, Index, Origin};

/// Lines around a citation in which what is claimed is looked for, beside the item around it.
const NEAR: usize = 3;

/// A block of fewer words is no claim.
const CLAIM_WORDS: usize = 5;

#[expect(clippy::unwrap_used, reason = "a pattern that is compiled in")]
static CITED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"([A-Za-z0-9_@.+\-/]*[A-Za-z0-9_\-]\.[A-Za-z]\w*):(\d+)(?:\s?[-–]\s?(\d+))?")
        .unwrap()
});

#[expect(clippy::unwrap_used, reason = "a pattern that is compiled in")]
static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`([^`\n]+)`").unwrap());

/// A place that a report cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Citation {
    /// As the workspace has it, where it has it.
    pub path: String,
    /// From 1.
    pub first: usize,
    /// From 1, included.
    pub last: usize,
    pub verdict: Verdict,
}

/// What became of a citation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is there.
    Holds,
    NoFile,
    /// Several files end in this path.
    Ambiguous,
    NoLine,
    /// Nothing that the claim names stands there.
    Elsewhere,
}

/// A report that was checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub(super) text: String,
    pub(super) citations: Vec<Citation>,
    /// Claims that cite nothing.
    pub(super) uncited: usize,
}

impl Citation {
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Holds
    }

    fn place(&self) -> String {
        let Self { path, first, last, .. } = self;
        if first == last { format!("{path}:{first}") } else { format!("{path}:{first}-{last}") }
    }
}

/// Checks a report against the workspace, and marks what does not hold. Reads files.
pub(super) fn check(index: &Index, report: &str) -> Checked {
    let tree = Tree { index, files: files(index, |file| *file.origin() == Origin::Workspace) };
    let mut checked = Checked::default();
    let mut fenced = false;
    let mut block: Vec<&str> = Vec::new();
    for line in report.lines() {
        let is_fence = line.trim_start().starts_with("```");
        let begins = line.trim().is_empty() || is_item(line) || line.starts_with(['#', '|', '>']);
        if fenced || is_fence || begins {
            checked.take(&tree, &std::mem::take(&mut block));
        }
        if is_fence {
            fenced = !fenced;
        }
        if fenced || is_fence || line.trim().is_empty() || line.starts_with('#') {
            checked.text.push_str(line);
            checked.text.push('\n');
        } else {
            block.push(line);
        }
    }
    checked.take(&tree, &block);
    checked
}

/// Whether a line begins an item of a list.
fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ")
        || line.starts_with("* ")
        || line.starts_with("+ ")
        || (number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") ")))
}

impl Checked {
    /// One paragraph or item of a list: the claims that share citations.
    fn take(&mut self, tree: &Tree<'_>, lines: &[&str]) {
        if lines.is_empty() {
            return;
        }
        let block = lines.join("\n");
        let names = tree.names(&block);
        let mut marked = String::new();
        let (mut end, mut any) = (0, false);
        for found in CITED.captures_iter(&block) {
            let Some(whole) = found.get(0) else { continue };
            let number = |index: usize| found.get(index).and_then(|it| it.as_str().parse().ok());
            let (Some(path), Some(first)) = (found.get(1), number(2)) else { continue };
            if !tree.may_be_meant(path.as_str()) {
                continue;
            }
            let last = number(3).unwrap_or(first);
            let citation = tree.citation(path.as_str(), first, last, &names);
            marked.push_str(&block[end..whole.start()]);
            marked.push_str(&citation.place());
            end = whole.end();
            // A mark inside of backticks would be code.
            if block[end..].starts_with('`') {
                marked.push('`');
                end += 1;
            }
            if let Some(mark) = citation.verdict.mark() {
                marked.extend([" **[", mark, "]**"]);
            }
            any = true;
            self.citations.push(citation);
        }
        marked.push_str(&block[end..]);
        let is_table = block.starts_with('|');
        let claims = block.split_whitespace().count() >= CLAIM_WORDS
            && !block.trim_end().ends_with(':')
            && !is_table;
        if claims && !any {
            self.uncited += 1;
            marked.push_str(" **[cites nothing]**");
        }
        self.text.push_str(&marked);
        self.text.push('\n');
    }
}

impl Verdict {
    /// What is said behind a citation that does not hold.
    const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Holds => None,
            Self::NoFile => Some("no such file"),
            Self::Ambiguous => Some("several files are called so"),
            Self::NoLine => Some("no such line"),
            Self::Elsewhere => Some("what is named does not stand there"),
        }
    }
}

/// What citations are checked against.
struct Tree<'a> {
    index: &'a Index,
    files: Vec<Arc<File>>,
}

impl Tree<'_> {
    /// Whether `name:number` is meant as a place, and not as a host and its port.
    fn may_be_meant(&self, path: &str) -> bool {
        let ending = path.rsplit('.').next().unwrap_or_default();
        let known = |file: &Arc<File>| {
            file.path().extension().is_some_and(|own| own.eq_ignore_ascii_case(ending))
        };
        path.contains('/') || self.files.iter().any(known)
    }

    /// The names of items that stand in backticks.
    fn names(&self, block: &str) -> Vec<String> {
        let contents = self.index.read();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let is_item = |name: &&str| {
            let symbol = contents.symbol(name);
            symbol.is_some_and(|symbol| contents.definitions(symbol).next().is_some())
        };
        let mut names = BTreeSet::new();
        for quoted in QUOTED.captures_iter(block).filter_map(|found| found.get(1)) {
            // What is a place itself names nothing.
            if CITED.is_match(quoted.as_str()) {
                continue;
            }
            let words = quoted.as_str().split(|c| !is_name(c)).filter(|word| word.len() > 1);
            names.extend(words.filter(is_item).map(str::to_owned));
        }
        names.into_iter().collect()
    }

    fn citation(&self, path: &str, first: usize, last: usize, names: &[String]) -> Citation {
        let found = named(&self.files, path);
        let (path, verdict) = match &*found {
            [] => (path.to_owned(), Verdict::NoFile),
            [file] => (file.relative_path().to_owned(), self.verdict(file, first, last, names)),
            _ => (path.to_owned(), Verdict::Ambiguous),
        };
        Citation { path, first, last, verdict }
    }

    fn verdict(&self, file: &File, first: usize, last: usize, names: &[String]) -> Verdict {
        if first == 0 || last < first || last > file.lines() {
            return Verdict::NoLine;
        }
        if names.is_empty() {
            return Verdict::Holds;
        }
        // A file that has changed since cannot be looked into.
        let Some(text) = self.index.text(file) else { return Verdict::Holds };
        let around = self.around(file, first - 1..last);
        let near: String = text
            .lines()
            .skip(around.start)
            .take(around.len())
            .flat_map(|line| [line, "\n"])
            .collect();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let stands = near.split(|c| !is_name(c)).any(|word| names.iter().any(|name| name == word));
        if stands { Verdict::Holds } else { Verdict::Elsewhere }
    }

    /// The lines of the innermost item around these, and a few more.
    fn around(&self, file: &File, lines: Range<usize>) -> Range<usize> {
        let contents = self.index.read();
        let holds = |own: &Range<usize>| own.start <= lines.start && lines.end <= own.end;
        let item = contents
            .file_at(file.path())
            .and_then(|(id, _)| contents.items(id).map(|item| item.lines()).filter(holds).last());
        let item = item.unwrap_or_else(|| lines.clone());
        item.start.min(lines.start.saturating_sub(NEAR))..item.end.max(lines.end + NEAR)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};
    use futures::executor::block_on;

    use super::*;
    use crate::index::Scope;

    fn check(report: &str, expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for (name, text) in [
            (
                "src/door.rs",
                "pub struct Door;\n\nimpl Door {\n    pub fn turn(&self) {\n        key();\n    }\n}\n\n\n\n\n\n\nfn key() {}\n",
            ),
            ("src/hall/mod.rs", "pub fn enter() {}\n"),
            ("src/attic/mod.rs", "pub fn dust() {}\n"),
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
        let index = Index::start(Scope { roots: vec![root], ..Scope::default() });
        block_on(index.settled());
        let checked = super::check(&index, report);
        let holding = checked.citations.iter().filter(|citation| citation.holds()).count();
        expected.assert_eq(&format!(
            "{}-- {holding} of {} hold, {} cite nothing\n",
            checked.text,
            checked.citations.len(),
            checked.uncited
        ));
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        check(
            "## Doors\n\nThey are turned (`src/door.rs:4`).\n\n- A `Door` is turned by its `key`: src/door.rs:4-6, src/door.rs:1\n- The hall is entered at [hall](src/hall/mod.rs:1).\n",
            expect![[r#"
                ## Doors

                They are turned (`src/door.rs:4`).

                - A `Door` is turned by its `key`: src/door.rs:4-6, src/door.rs:1
                - The hall is entered at [hall](src/hall/mod.rs:1).
                -- 4 of 4 hold, 0 cite nothing
            "#]],
        );
    }

    #[test]
    fn what_is_not_there_is_marked() {
        check(
            "- Doors are locked here (`src/lock.rs:3`).\n- Doors are opened here: src/door.rs:99 and src/door.rs:0.\n- It goes backwards in src/door.rs:6-4.\n- `key` is called by src/door.rs:1, they say.\n",
            expect![[r#"
                - Doors are locked here (`src/lock.rs:3` **[no such file]**).
                - Doors are opened here: src/door.rs:99 **[no such line]** and src/door.rs:0 **[no such line]**.
                - It goes backwards in src/door.rs:6-4 **[no such line]**.
                - `key` is called by src/door.rs:1 **[what is named does not stand there]**, they say.
                -- 0 of 5 hold, 0 cite nothing
            "#]],
        );
    }

    #[test]
    fn the_end_of_a_path_will_do_where_it_is_the_end_of_one() {
        check(
            "- Doors turn at door.rs:4.\n- It is entered at mod.rs:1.\n",
            expect![[r#"
            - Doors turn at src/door.rs:4.
            - It is entered at mod.rs:1 **[several files are called so]**.
            -- 1 of 2 hold, 0 cite nothing
        "#]],
        );
    }

    #[test]
    fn claims_without_a_citation_are_marked() {
        check(
            "There are doors that one can turn.\n\nIn short:\n\n- doors\n- There is a hall that one\n  can enter at any time.\n\n```rust\nlet all of this = is code\n```\n| a table | has cells, and they are | no claims |\n",
            expect![[r#"
                There are doors that one can turn. **[cites nothing]**

                In short:

                - doors
                - There is a hall that one
                  can enter at any time. **[cites nothing]**

                ```rust
                let all of this = is code
                ```
                | a table | has cells, and they are | no claims |
                -- 0 of 0 hold, 2 cite nothing
            "#]],
        );
    }

    #[test]
    fn a_host_and_its_port_are_no_place() {
        check(
            "- It listens at 127.0.0.1:8080 and localhost:80, see src/door.rs:1.\n",
            expect![[r#"
            - It listens at 127.0.0.1:8080 and localhost:80, see src/door.rs:1.
            -- 1 of 1 hold, 0 cite nothing
        "#]],
        );
    }
}
