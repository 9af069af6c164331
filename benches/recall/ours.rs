//! Hearth's own prompt at a hole.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::Context as _;
use futures::executor::block_on;
use hearth::{
    context::{
        layout::Order,
        prompt::{self, Built, Plan},
        recall::{self, Subject},
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
use ropey::Rope;
use tree_sitter::{Node, Tree};

use super::{
    corpus::Repo,
    measure::{Piece, Shown},
    truth::{self, Point},
};

/// A repository as the server knows it.
pub struct Ours {
    index: Index,
    language: &'static Language,
}

/// An open document with a hole.
pub struct Open<'a> {
    ours: &'a Ours,
    path: Arc<Path>,
    file: usize,
    text: String,
    rope: Rope,
    tree: Tree,
    offset: usize,
}

impl Ours {
    pub fn open(repo: &Repo) -> anyhow::Result<Self> {
        let index = Index::start(Scope { roots: vec![repo.root.clone()], ..Scope::default() });
        block_on(index.settled());
        Ok(Self { index, language: Language::by_id("rust").context("no Rust")? })
    }

    /// Opens the file with this text instead of its own.
    pub fn enter(&self, repo: &Repo, file: usize, text: &str, offset: usize) -> Open<'_> {
        let path: Arc<Path> = repo.files[file].path.as_path().into();
        let tree = truth::parse(text);
        let rope = Rope::from_str(text);
        self.index.edited(Arc::clone(&path), Some(self.language), rope.clone(), Some(tree.clone()));
        block_on(self.index.settled());
        Open { ours: self, path, file, text: text.to_owned(), rope, tree, offset }
    }
}

impl Open<'_> {
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            been: &[],
            path: Some(&self.path),
            text: &self.text,
            tree: Some(&self.tree),
            language: Some(self.ours.language),
            offset: self.offset,
        }
    }

    pub fn index(&self) -> &Index {
        &self.ours.index
    }

    /// The prompt that the server would send within `budget` tokens.
    pub fn show(
        &self,
        repo: &Repo,
        budget: usize,
        counter: &TokenCounter,
        print_cuts: bool,
    ) -> Shown {
        let shelf = Shelf::default();
        let hold = HoldCell::default();
        let relative = repo.files[self.file].relative.as_str();
        let view = View {
            text: &self.rope,
            tree: Some(&self.tree),
            language: Some(self.ours.language),
            path: relative,
            offset: self.offset,
            hold: &hold,
        };
        let workspace = Workspace {
            index: &self.ours.index,
            file: Some(&self.path),
            most_tokens: usize::MAX,
            shelf: &shelf,
        };
        let began = Instant::now();
        let room = Budget::new(budget, None, 0, counter.clone());
        let built = prompt::build(
            &view,
            Some(&workspace),
            Plan::new(Mode::Fim(&QWEN), Order::Plain),
            &room,
        );
        let took = began.elapsed();
        let Some(Built { prompt, recalled }) = built else {
            return Shown { local: String::new(), pieces: Vec::new(), tokens: 0, cut: 0, took };
        };
        let mut local = String::new();
        let own = prompt.segments().iter().map(Segment::as_str);
        own.skip_while(|text| *text != QWEN.prefix).for_each(|text| local.push_str(text));
        let tokens = prompt.tokens();
        let mut cut = 0;
        let mut pieces = Vec::new();
        for piece in &recalled.pieces {
            let path = &piece.definition.path;
            let Some(file) = repo.files.iter().position(|it| it.relative == *path) else {
                continue;
            };
            let text = piece.definition.text.clone();
            let tree = truth::parse(&text);
            let is_verbatim = !piece.parts.iter().all(recall::Part::is_definition);
            let is_cut = if is_verbatim {
                is_cut(&repo.files[file].text, &repo.files[file].tree, &text)
            } else {
                tree.root_node().has_error()
            };
            cut += usize::from(is_cut);
            if is_cut && print_cuts {
                let what = if is_verbatim { "example" } else { "definitions" };
                println!("cut {}/{path} at {budget} tokens: {what}\n{text}", repo.name);
            }
            let defines = truth::definitions(tree.root_node(), &text);
            let defines = defines.into_iter().map(|definition| definition.name).collect();
            pieces.push(Piece { file, text, defines });
        }
        Shown { local, pieces, tokens, cut, took }
    }

    /// What a prompt does not show, and where the ranking has it.
    pub fn print_misses(&self, repo: &Repo, point: &Point, shown: &Shown) {
        let contents = self.index().read();
        let candidates = recall::candidates(&contents, &self.subject());
        for needed in &point.needed {
            let is_shown = shown.pieces.iter().any(|piece| {
                needed.files.contains(&piece.file) && piece.defines.contains(&needed.name)
            });
            if is_shown {
                continue;
            }
            let rank = candidates.iter().position(|candidate| {
                contents.item(candidate.place).is_some_and(|item| {
                    item.name() == needed.name
                        && needed
                            .files
                            .iter()
                            .any(|file| repo.files[*file].relative == item.file().relative_path())
                })
            });
            let line = self.text[..self.offset].lines().count();
            let place = format!("{}/{}:{line}", repo.name, repo.files[point.file].relative);
            let novel = if needed.novel { "novel" } else { "" };
            let found = rank.and_then(|rank| {
                let candidate = candidates.get(rank)?;
                let item = contents.item(candidate.place)?;
                Some(format!(
                    "{rank} {:.4} {} {} [{}]",
                    candidate.chance,
                    item.kind(),
                    item.path(),
                    candidate.strongest()
                ))
            });
            println!("miss {place} {novel} {} {}", needed.name, found.unwrap_or_default());
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.ours.index.closed(&self.path);
        block_on(self.ours.index.settled());
    }
}

/// Whether a part of a file begins or ends inside of something that is not made of items.
fn is_cut(text: &str, tree: &Tree, part: &str) -> bool {
    let part = part.trim_matches('\n');
    let Some(start) = text.find(part) else { return true };
    let end = start + part.len();
    let inside = |node: Node<'_>, at: usize| node.start_byte() < at && at < node.end_byte();
    let mut is_cut = false;
    truth::walk(tree.root_node(), &mut |node| {
        if !inside(node, start) && !inside(node, end) {
            return false;
        }
        let is_made_of_items = matches!(
            node.kind(),
            "source_file" | "impl_item" | "trait_item" | "mod_item" | "declaration_list"
        );
        is_cut |= !is_made_of_items;
        true
    });
    is_cut
}
