//! What is in play at a cursor: the names that stand around it, and the types of what can be used
//! there, each with how it came into play.
//!
//! Looks at the open document and at where the user has just been, and asks the index what names mean;
//! decides nothing.

use rustc_hash::FxHashMap;
use tree_sitter::{Node, Tree};

use super::{infer::Inference, trail::Visit};
use crate::{
    index::{Contents, FileId, Kind, Symbol},
    syntax::Language,
};

/// Names further away than this many lines are not looked at.
const REACH: usize = 1_000;

/// Lines on either side of the cursor whose words are compared with those of names.
const NEAR: usize = 6;

/// What stands where the user was last in another file counts as if it stood so many lines away from
/// the cursor; where they were before that, as many more.
const AWAY: usize = 15;

/// Lines on either side of such a place that are looked at.
const VISITED: usize = 6;

/// Words with fewer letters are in everything.
const MIN_WORD: usize = 3;

/// How a type came into play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// Of the expression whose member is being typed.
    Receiver,
    /// Of what is being built, matched or returned here.
    Expected,
    /// Of a variable, the sooner used the more.
    Local,
    /// `self`.
    Own,
    /// Of a field of `self`.
    OwnField,
    /// Of a parameter.
    Parameter,
    /// Named nearby.
    Near,
    /// Imported.
    Imported,
}

impl Role {
    pub(super) const COUNT: usize = 8;
}

/// Where a name stands in the document, without what is behind a `//`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mention {
    /// Lines from the nearest place above or on the cursor's line, and below it.
    pub(super) before: Option<u32>,
    pub(super) after: Option<u32>,
    pub(super) count: u32,
    /// In the function around the cursor.
    pub(super) in_function: bool,
    /// In an import.
    pub(super) imported: bool,
}

impl Mention {
    /// Lines to the nearest place.
    pub(super) fn distance(&self) -> u32 {
        self.before.into_iter().chain(self.after).min().unwrap_or(u32::MAX)
    }
}

/// What is in play at a cursor.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// The document, if it is indexed.
    pub(super) file: Option<FileId>,
    /// The cursor, in bytes.
    pub(super) offset: usize,
    pub(super) mentions: FxHashMap<Symbol, Mention>,
    /// How much each type is in play, from 0 to 1 for each [`Role`].
    pub(super) types: FxHashMap<Symbol, [f32; Role::COUNT]>,
    /// Parts of the names around the cursor, from 0 to 1 by nearness.
    pub(super) words: FxHashMap<String, f32>,
    /// Parts of the name of the function around the cursor.
    pub(super) function_words: Vec<String>,
}

/// An open document at a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a str,
    pub(super) tree: Option<&'a Tree>,
    pub(super) language: Option<&'static Language>,
    /// In bytes, at a character.
    pub(super) offset: usize,
    /// Where the user was in other files, the latest first.
    pub(super) been: &'a [Visit],
}

impl Scene {
    pub(super) fn at(contents: &Contents, file: Option<FileId>, place: &Place<'_>) -> Self {
        let mut scene = Self { file, offset: place.offset, ..Self::default() };
        let around = place.tree.and_then(|tree| {
            let at = place.offset.saturating_sub(1);
            tree.root_node().descendant_for_byte_range(at, place.offset)
        });
        let function = around.and_then(|node| enclosing_function(node, place.language));
        let range = function.map_or(place.offset..place.offset, |function| function.byte_range());
        scene.read(contents, place, &range);
        for (before, visit) in place.been.iter().enumerate() {
            scene.recall(contents, visit, AWAY * (before + 1));
        }
        if let Some(name) = function.and_then(|function| function.child_by_field_name("name")) {
            let name = place.text.get(name.byte_range()).unwrap_or_default();
            each_word(name, |word| scene.function_words.push(word.to_owned()));
        }
        scene.infer(contents, place, around);
        for (symbol, mention) in &scene.mentions {
            let near = 1.0 / (1.0 + mention.distance() as f32 / 10.0);
            let is_type =
                || contents.definitions(*symbol).take(16).any(|item| item.kind().is_type());
            if (mention.imported || near > 0.1) && is_type() {
                let roles = scene.types.entry(*symbol).or_default();
                roles[Role::Near as usize] = near;
                roles[Role::Imported as usize] = f32::from(u8::from(mention.imported));
            }
        }
        scene
    }

    /// How much the type is in play at all.
    pub(super) fn weight(&self, ty: Symbol) -> f32 {
        let roles = self.types.get(&ty);
        roles.map_or(0.0, |roles| roles.iter().copied().fold(0.0, f32::max))
    }

    fn read(&mut self, contents: &Contents, place: &Place<'_>, function: &std::ops::Range<usize>) {
        let cursor_line =
            memchr::memchr_iter(b'\n', &place.text.as_bytes()[..place.offset]).count();
        let (mut start, mut importing) = (0, false);
        for (line_idx, line) in place.text.split_inclusive('\n').enumerate() {
            let distance = line_idx.abs_diff(cursor_line);
            let code = line.trim_start();
            let begins = ["use ", "pub use ", "pub(crate) use ", "import ", "from "];
            importing |= begins.iter().any(|begin| code.starts_with(begin));
            if distance <= REACH && !code.starts_with("//") {
                let mention = Mention {
                    before: (line_idx <= cursor_line).then(|| to_u32(distance)),
                    after: (line_idx > cursor_line).then(|| to_u32(distance)),
                    count: 1,
                    in_function: function.contains(&start),
                    imported: importing,
                };
                for word in identifiers(line) {
                    self.mention(contents, word, mention);
                    if distance <= NEAR {
                        let nearness = 1.0 / (1.0 + distance as f32 / 3.0);
                        each_word(word, |part| {
                            if let Some(weight) = self.words.get_mut(part) {
                                *weight = weight.max(nearness);
                            } else {
                                self.words.insert(part.to_owned(), nearness);
                            }
                        });
                    }
                }
            }
            if importing && (line.contains(';') || !line.trim_end().ends_with(['{', ','])) {
                importing = false;
            }
            start += line.len();
        }
    }

    /// Takes in what stands around a place in another file, which counts as `away` lines from here.
    fn recall(&mut self, contents: &Contents, visit: &Visit, away: usize) {
        // What is excluded speaks for nothing.
        if contents.file_at(&visit.path).is_none() {
            return;
        }
        let first = visit.line_idx.saturating_sub(VISITED);
        let lines = visit.text.get_lines_at(first).into_iter().flatten();
        for (line_idx, line) in (first..=visit.line_idx + VISITED).zip(lines) {
            let distance = away + line_idx.abs_diff(visit.line_idx);
            let mention = Mention {
                before: Some(to_u32(distance)),
                after: None,
                count: 1,
                in_function: false,
                imported: false,
            };
            for word in identifiers(&line.to_string()) {
                self.mention(contents, word, mention);
            }
        }
    }

    fn mention(&mut self, contents: &Contents, word: &str, mention: Mention) {
        let Some(symbol) = contents.symbol(word) else { return };
        let known = self.mentions.entry(symbol).or_insert(Mention { count: 0, ..mention });
        let nearer = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        known.before = nearer(known.before, mention.before);
        known.after = nearer(known.after, mention.after);
        known.count += 1;
        known.in_function |= mention.in_function;
        known.imported |= mention.imported;
    }

    fn play(&mut self, types: &[Symbol], role: Role, weight: f32) {
        for (rank, ty) in types.iter().enumerate() {
            let roles = self.types.entry(*ty).or_default();
            let place = &mut roles[role as usize];
            *place = place.max(weight / (1.0 + rank as f32));
        }
    }

    fn infer(&mut self, contents: &Contents, place: &Place<'_>, around: Option<Node<'_>>) {
        let inference = Inference::at(contents, place.text, around, place.offset);
        if let Some(own) = inference.self_type {
            self.play(&[own], Role::Own, 1.0);
            let fields = contents.members_of(own).filter(|member| member.kind() == Kind::Field);
            for field in fields.take(64) {
                let types = inference.types_of(field.ty(), Some(own));
                let mention = self.mentions.get(&field.symbol());
                let used = mention.is_some_and(|mention| mention.distance() < 20);
                self.play(&types, Role::OwnField, if used { 1.0 } else { 0.5 });
            }
        }
        for (rank, binding) in inference.bindings.iter().rev().take(64).enumerate() {
            let types = inference.of_binding(binding);
            let symbol = contents.symbol(binding.name);
            let mention = symbol.and_then(|symbol| self.mentions.get(&symbol));
            let distance = mention.map_or(20, Mention::distance) as f32;
            let weight = (1.0 / (1.0 + distance / 8.0)).max(1.0 / (2.0 + rank as f32));
            let role = if binding.is_parameter() { Role::Parameter } else { Role::Local };
            self.play(&types, role, weight);
        }
        let mut node = around;
        let mut depth = 0.0;
        while let Some(inner) = node {
            let field = |name: &str| inner.child_by_field_name(name);
            let types = match inner.kind() {
                "struct_expression" => field("name").map(|name| inference.types_in(name)),
                "match_expression" => field("value").map(|value| inference.of_expression(value)),
                "function_item" => field("return_type").map(|ty| inference.types_in(ty)),
                "let_declaration" => field("type").map(|ty| inference.types_in(ty)),
                "field_expression" => {
                    let types = field("value").map(|value| inference.of_expression(value));
                    self.play(types.as_deref().unwrap_or_default(), Role::Receiver, 1.0);
                    None
                }
                _ => None,
            };
            if let Some(types) = types {
                self.play(&types, Role::Expected, 1.0 / (1.0 + depth));
                depth += 1.0;
            }
            node = inner.parent();
        }
        self.receiver(place, &inference, around);
    }

    /// `value.` or `Type::` right before the cursor, which no tree has a node for yet.
    fn receiver(
        &mut self,
        place: &Place<'_>,
        inference: &Inference<'_, '_>,
        around: Option<Node<'_>>,
    ) {
        let before = &place.text[..place.offset];
        let begun = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
        let types = if let Some(path) = begun.strip_suffix("::") {
            let name = path.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next();
            inference.types_of(name.unwrap_or_default(), inference.self_type)
        } else if let Some(value) = begun.strip_suffix('.') {
            let value = value.trim_end();
            let tree = around.and(place.tree);
            let last = value.len().saturating_sub(1);
            let node = tree.and_then(|tree| {
                tree.root_node().named_descendant_for_byte_range(last, value.len())
            });
            let mut types = Vec::new();
            let mut node = node;
            while let Some(inner) = node.filter(|inner| inner.end_byte() == value.len()) {
                let found = inference.of_expression(inner);
                if !found.is_empty() {
                    types = found;
                }
                node = inner.parent();
            }
            if types.is_empty() {
                // The tree is of before the dot: a plain chain of names can be read as it stands.
                let chain =
                    value.rsplit(|c: char| !(c.is_alphanumeric() || "_.".contains(c))).next();
                types = Self::chain(inference, chain.unwrap_or_default());
            }
            types
        } else {
            return;
        };
        self.play(&types, Role::Receiver, 1.0);
    }

    /// The types of `a.b.c`, read as text.
    fn chain(inference: &Inference<'_, '_>, chain: &str) -> Vec<Symbol> {
        let mut names = chain.split('.');
        let first = names.next().unwrap_or_default();
        let mut types: Vec<Symbol> = if first == "self" {
            inference.self_type.into_iter().collect()
        } else {
            let binding = inference.bindings.iter().rev().find(|binding| binding.name == first);
            binding.map(|binding| inference.of_binding(binding)).unwrap_or_default()
        };
        for name in names {
            let member = types.iter().find_map(|ty| Some((*ty, inference.member(*ty, name)?)));
            match member {
                Some((owner, member)) => types = inference.types_of(member.ty(), Some(owner)),
                None => break,
            }
        }
        types
    }
}

/// The innermost function, or what stands for itself in a language that is not read deeper.
fn enclosing_function<'tree>(
    node: Node<'tree>,
    language: Option<&Language>,
) -> Option<Node<'tree>> {
    let mut node = Some(node);
    while let Some(inner) = node {
        let kind = inner.kind();
        if kind == "function_item"
            || (kind.contains("function")
                && language.is_some_and(|language| language.is_item(kind)))
        {
            return Some(inner);
        }
        node = inner.parent();
    }
    None
}

/// Words that could be names, outside of a line comment.
pub(super) fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    let code = line.find("// ").map_or(line, |comment| &line[..comment]);
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// Calls `see` for the words that a name is made of, in small letters: `parse_head`, `ParseHead` →
/// `parse`, `head`.
pub(super) fn each_word(name: &str, mut see: impl FnMut(&str)) {
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars().chain(['_']) {
        if c == '_' || (c.is_uppercase() && was_lower) {
            if word.len() >= MIN_WORD {
                see(&word);
            }
            word.clear();
        }
        if c != '_' {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
