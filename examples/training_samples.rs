//! Makes the samples that Hearth's own model is trained and judged on.
//!
//! Reads a corpus (JSON lines of `package`, `path`, `text`, the files of a package side by side) and
//! writes JSON lines of prompt pieces and targets. The prompts come from [`lay_out`], the function
//! that the server calls, so what the model sees in training is what it is asked later.
//!
//! `training_samples CORPUS --count N [--seed S] [--lines]`, samples on standard output. With
//! `--lines` every sample is a cut inside a line of code, with the pieces that the baselines need.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    ops::Range,
    path::PathBuf,
};

use clap::Parser as _;
use hearth::{
    context::layout::{Definition, LAYOUT_VERSION, Order, Situation, lay_out},
    model::{Segment, fim::QWEN},
    syntax::skeleton::skeletons,
};
use serde::{Deserialize, Serialize};
use tree_sitter::{Node, Parser};

#[derive(clap::Parser)]
struct Arguments {
    corpus: PathBuf,
    /// About how many samples to make, spread over the packages by their size.
    #[arg(long)]
    count: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only cuts inside lines of code, for evaluation.
    #[arg(long)]
    lines: bool,
}

#[derive(Deserialize)]
struct Source {
    package: String,
    path: String,
    text: String,
}

#[derive(Serialize)]
struct Sample<'a> {
    layout: u32,
    kind: Kind,
    package: &'a str,
    segments: Vec<Piece>,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Parts<'a>>,
}

/// What the prompt was made of, for baselines and for the prompt without definitions.
#[derive(Serialize)]
struct Parts<'a> {
    without_definitions: Vec<Piece>,
    definitions: usize,
    prefix: &'a str,
    begun: &'a str,
    suffix: &'a str,
}

/// A control token or text; the two are told apart in the samples too.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Piece {
    Control(String),
    Text(String),
}

impl From<Segment> for Piece {
    fn from(segment: Segment) -> Self {
        let text = segment.as_str().to_owned();
        match segment {
            Segment::Control(_) => Self::Control(text),
            Segment::Text(_) => Self::Text(text),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    Line,
    Lines,
    Block,
}

/// `SplitMix64`: few lines, and the same samples on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap_or_default()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

struct Parsed {
    path: String,
    text: String,
    /// Starts and ends of items, where a prompt may be cut without tearing one.
    starts: Vec<usize>,
    ends: Vec<usize>,
    blocks: Vec<Range<usize>>,
}

struct Package {
    name: String,
    files: Vec<Parsed>,
    /// Skeletons by name, each with the file it stands in.
    known: HashMap<String, Vec<(usize, usize, String)>>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let size = std::fs::metadata(&arguments.corpus)?.len().max(1);
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_rust::LANGUAGE.into())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut dice = Dice(arguments.seed);
    let mut pending: Vec<Source> = Vec::new();
    // Samples still owed: a package gets its share by bytes, and fractions are carried over.
    let mut owed = 0.0;
    let mut lines = BufReader::new(File::open(&arguments.corpus)?).lines();
    loop {
        let next: Option<(Source, usize)> = match lines.next().transpose()? {
            Some(line) => Some((serde_json::from_str(&line)?, line.len())),
            None => None,
        };
        let ended = next.as_ref().map(|(source, _)| &source.package)
            != pending.first().map(|source| &source.package);
        if ended && !pending.is_empty() {
            let package = Package::read(&mut parser, std::mem::take(&mut pending));
            while owed >= 1.0 {
                owed -= 1.0;
                package.sample(&mut dice, arguments.lines, &mut out)?;
            }
        }
        let Some((source, bytes)) = next else { break };
        owed += arguments.count as f64 * bytes as f64 / size as f64;
        pending.push(source);
    }
    out.flush()?;
    Ok(())
}

impl Package {
    fn read(parser: &mut Parser, sources: Vec<Source>) -> Self {
        let name = sources.first().map(|source| source.package.clone()).unwrap_or_default();
        let mut known: HashMap<String, Vec<_>> = HashMap::new();
        let mut files = Vec::new();
        for Source { path, text, .. } in sources {
            let Some(tree) = parser.parse(&text, None) else { continue };
            for skeleton in skeletons(tree.root_node(), &text) {
                let entry = (files.len(), skeleton.range.start, skeleton.text);
                known.entry(skeleton.name).or_default().push(entry);
            }
            let (mut starts, mut ends, mut blocks) = (vec![0], vec![text.len()], Vec::new());
            borders(tree.root_node(), &mut starts, &mut ends, &mut blocks);
            // The indentation of an item belongs to it.
            for start in &mut starts {
                *start = text[..*start].trim_end_matches([' ', '\t']).len();
            }
            starts.sort_unstable();
            ends.sort_unstable();
            files.push(Parsed { path, text, starts, ends, blocks });
        }
        Self { name, files, known }
    }

    /// Writes one sample, or none where the dice fell on something unfit.
    fn sample(
        &self,
        dice: &mut Dice,
        only_lines: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        // A file is picked by its size: a random byte of the package lies in it.
        let total: usize = self.files.iter().map(|file| file.text.len()).sum();
        let mut at = dice.below(total.max(1));
        let Some(index) = self.files.iter().position(|file| {
            let inside = at < file.text.len();
            if !inside {
                at -= file.text.len();
            }
            inside
        }) else {
            return Ok(());
        };
        let file = &self.files[index];
        let kind = match dice.below(100) {
            _ if only_lines => Kind::Line,
            0..12 => Kind::Plain,
            12..72 => Kind::Line,
            72..87 => Kind::Lines,
            _ => Kind::Block,
        };
        // In bytes; three make about a token.
        let room = if only_lines { 2000 } else { 500 + dice.below(2100) };
        if kind == Kind::Plain {
            return self.plain(file, at, room, out);
        }
        let hole = match kind {
            Kind::Block => file.block(dice),
            Kind::Lines => file.lines(dice, at),
            _ => file.line(dice, at, only_lines),
        };
        let Some(hole) = hole else { return Ok(()) };

        let begun_at = file.text[..hole.start].rfind('\n').map_or(0, |newline| newline + 1);
        let share = |dice: &mut Dice, percent: usize| room * dice.below(percent + 1) / 100;
        let (definition_room, suffix_room) = if only_lines {
            (room / 4, room / 5)
        } else {
            (
                if dice.chance(35) { 0 } else { share(dice, 35) },
                if dice.chance(15) { 0 } else { share(dice, 30) },
            )
        };
        let definitions = self.in_play(index, &hole, definition_room);
        let used: usize = definitions.iter().map(|definition| definition.text.len()).sum();
        let prefix_room = room.saturating_sub(used + suffix_room + hole.len());
        let situation = Situation {
            definitions: &definitions,
            path: &file.path,
            prefix: &file.text[file.cut_before(begun_at, prefix_room)..begun_at],
            begun: &file.text[begun_at..hole.start],
            suffix: &file.text[hole.end..file.cut_after(hole.end, suffix_room)],
        };
        let parts = only_lines.then(|| Parts {
            without_definitions: pieces(&Situation { definitions: &[], ..situation }),
            definitions: definitions.len(),
            prefix: situation.prefix,
            begun: situation.begun,
            suffix: situation.suffix,
        });
        self.write(kind, pieces(&situation), &file.text[hole], parts, out)
    }

    /// A stretch of a file as it stands, without a hole.
    fn plain(
        &self,
        file: &Parsed,
        at: usize,
        room: usize,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let start = file.starts.partition_point(|start| *start <= at);
        let start = file.starts[start.saturating_sub(1)];
        let text = &file.text[start..file.cut_after(start, room)];
        let segments =
            [Segment::control("<|file_sep|>"), Segment::text(format!("{}\n{text}", file.path))];
        self.write(Kind::Plain, segments.map(Piece::from).into(), "", None, out)
    }

    fn write(
        &self,
        kind: Kind,
        segments: Vec<Piece>,
        target: &str,
        parts: Option<Parts<'_>>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let package = self.name.as_str();
        let sample = Sample { layout: LAYOUT_VERSION, kind, package, segments, target, parts };
        serde_json::to_writer(&mut *out, &sample)?;
        Ok(out.write_all(b"\n")?)
    }

    /// Skeletons from other files whose names stand near the hole, nearest first until the room is
    /// used, then in the order of files. What stands in the hole itself must not choose them: a
    /// server does not know it.
    fn in_play(&self, current: usize, hole: &Range<usize>, room: usize) -> Vec<Definition> {
        let text = &self.files[current].text;
        let near = 1200;
        let before = floor(text, hole.start.saturating_sub(near))..hole.start;
        let after = hole.end..floor(text, hole.end + near / 3);
        let names = identifiers(&text[before]).into_iter().rev().chain(identifiers(&text[after]));
        let (mut seen, mut chosen, mut left) = (HashSet::new(), Vec::new(), room);
        for name in names.filter(|name| seen.insert(*name)) {
            let entries = self.known.get(name).map_or(&[][..], Vec::as_slice);
            // A name that stands in the current file or in many files says nothing about this place.
            if entries.len() > 8 || entries.iter().any(|(file, ..)| *file == current) {
                continue;
            }
            for entry in entries.iter().filter(|(_, _, text)| text.len() <= 700) {
                if entry.2.len() <= left {
                    left -= entry.2.len();
                    chosen.push(entry);
                }
            }
        }
        chosen.sort_by_key(|(file, start, _)| (&self.files[*file].path, *start));
        let define = |(file, _, text): &(usize, usize, String)| Definition {
            path: self.files[*file].path.clone(),
            text: text.clone(),
        };
        chosen.into_iter().map(define).collect()
    }
}

impl Parsed {
    /// The line around a byte, without its newline.
    fn line_at(&self, at: usize) -> Range<usize> {
        let at = floor(&self.text, at);
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        start..end
    }

    /// The rest of a line from somewhere inside it.
    fn line(&self, dice: &mut Dice, at: usize, judged: bool) -> Option<Range<usize>> {
        let line = self.line_at(at);
        let text = &self.text[line.clone()];
        let code = text.trim();
        let indent = text.len() - text.trim_start().len();
        if code.is_empty() || (judged && (code.starts_with("//") || code.len() < 4)) {
            return None;
        }
        let end = line.start + text.trim_end().len();
        if !judged && dice.chance(3) {
            // Nothing is missing: the model must know when to say nothing.
            return Some(end..end);
        }
        let start = line.start + indent;
        let cut = match dice.below(100) {
            0..25 if !judged => start,
            25..50 if !judged => start + *dice.pick(&word_starts(code))?,
            // Evaluation: at least one character stands and at least one is left.
            _ if judged => start + 1 + dice.below(code.len() - 1),
            _ => start + dice.below(code.len()),
        };
        let cut = floor(&self.text, cut);
        if !judged && dice.chance(15) {
            // Editors close brackets by themselves: what they put there stands after the cursor.
            let rest = self.text[cut..end].trim_end_matches([')', ']', '}', ';', ',', '"']).len();
            if rest > 0 {
                return Some(cut..cut + rest);
            }
        }
        (cut < end).then_some(cut..end)
    }

    /// The rest of a line and a few more.
    fn lines(&self, dice: &mut Dice, at: usize) -> Option<Range<usize>> {
        let first = self.line(dice, at, false)?;
        let mut end = self.line_at(first.start).end;
        for _ in 0..=dice.below(6) {
            end = self.line_at((end + 1).min(self.text.len())).end;
        }
        let end = first.start + self.text[first.start..end].trim_end().len();
        (end > first.end && end - first.start < 700).then_some(first.start..end)
    }

    /// The inside of a block.
    fn block(&self, dice: &mut Dice) -> Option<Range<usize>> {
        let block = dice.pick(&self.blocks)?;
        (block.len() < 1000).then(|| block.start + 1..block.end - 1)
    }

    /// Where a prefix of about `room` bytes that ends at `end` starts: at an item, else at a line.
    fn cut_before(&self, end: usize, room: usize) -> usize {
        let least = end.saturating_sub(room);
        let item = self.starts[self.starts.partition_point(|start| *start < least)..].first();
        // An item that is longer than the room is cut at a line rather than left out.
        match item {
            Some(start) if *start < end && end - start > room / 3 => *start,
            _ if least == 0 => 0,
            _ => (self.line_at(least).end + 1).min(end),
        }
    }

    /// Where a suffix of about `room` bytes that starts at `start` ends.
    fn cut_after(&self, start: usize, room: usize) -> usize {
        let most = floor(&self.text, start + room);
        let item = self.ends[..self.ends.partition_point(|end| *end <= most)].last();
        match item {
            Some(end) if *end > start && end - start > room / 3 => *end,
            _ if most == self.text.len() => most,
            _ => self.line_at(most).start.max(start),
        }
    }
}

fn pieces(situation: &Situation<'_>) -> Vec<Piece> {
    lay_out(&QWEN, Order::Begun, situation).into_iter().map(Piece::from).collect()
}

/// The nearest character border at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

fn borders(
    node: Node<'_>,
    starts: &mut Vec<usize>,
    ends: &mut Vec<usize>,
    blocks: &mut Vec<Range<usize>>,
) {
    let mut introduced = false;
    let holds_items = matches!(node.kind(), "source_file" | "declaration_list");
    for child in node.named_children(&mut node.walk()) {
        let aside = child.kind().ends_with("comment") || child.kind() == "attribute_item";
        if holds_items {
            // Comments and attributes belong to the item after them.
            if !introduced {
                starts.push(child.start_byte());
            }
            if !aside {
                ends.push(child.end_byte());
            }
            introduced = aside;
        }
        if child.kind() == "block" && child.byte_range().len() > 4 {
            blocks.push(child.byte_range());
        }
        borders(child, starts, ends, blocks);
    }
}

fn identifiers(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() > 2).collect()
}

fn word_starts(line: &str) -> Vec<usize> {
    let mut last = ' ';
    let mut starts = Vec::new();
    for (at, c) in line.char_indices() {
        if !(c.is_alphanumeric() && last.is_alphanumeric()) && c != ' ' {
            starts.push(at);
        }
        last = c;
    }
    starts
}
