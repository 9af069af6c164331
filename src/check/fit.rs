//! Fit to show: what a model wrote becomes what a user sees, or a reason why not. Every filter
//! between the two stands here.

use ropey::{Rope, RopeSlice};
use tree_sitter::Tree;

use super::Gate;
use crate::{
    session::position,
    syntax::{Extent, Language, lexer::Brackets},
};

/// Where a suggestion is to stand.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub text: &'a Rope,
    /// The last tree, shifted by the edits since.
    pub tree: Option<&'a Tree>,
    pub language: Option<&'static Language>,
    /// The cursor, in bytes.
    pub offset: usize,
    pub extent: Extent,
}

/// Why a text is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the model had nothing to add")]
    Empty,
    #[error("the model repeated the line below")]
    RepeatsBelow,
    #[error("the model repeated the line above")]
    RepeatsAbove,
    #[error("the model repeated itself")]
    Degenerate,
    #[error("the suggestion would have added a syntax error")]
    SyntaxError,
}

/// The lines around a cursor, without their line breaks, and the item they stand in: all that a
/// suggestion is compared with. Surveyed while the model is still thinking.
#[derive(Debug)]
pub struct Surroundings {
    /// Of the cursor's line, what stands before the cursor.
    begun: String,
    /// And what stands after it.
    rest: String,
    above: String,
    below: Vec<String>,
    indent: Indent,
    crlf: bool,
    block: bool,
    gate: Gate,
}

/// Lines below the cursor that a suggestion is compared with.
const LINES_BELOW: usize = 8;

/// Lines looked at for what the file indents with, the first of them this half above the cursor.
const LINES_NEAR: usize = 400;

impl Surroundings {
    pub fn of(place: &Place<'_>) -> Self {
        let text = place.text;
        let line_idx = text.byte_to_line(place.offset);
        let line = text.line(line_idx).to_string();
        let cut = place.offset - text.line_to_byte(line_idx);
        let bare = |line: RopeSlice<'_>| line.to_string().trim_end_matches(['\n', '\r']).to_owned();
        let blank = |line: &RopeSlice<'_>| line.chars().all(char::is_whitespace);
        let near = line_idx.saturating_sub(LINES_NEAR / 2);
        let above = text.lines_at(line_idx).reversed().take(LINES_NEAR / 2);
        let below = text.lines_at((line_idx + 1).min(text.len_lines()));
        Self {
            begun: line.get(..cut).unwrap_or(&line).to_owned(),
            rest: line.get(cut..).unwrap_or_default().trim_end_matches(['\n', '\r']).to_owned(),
            above: above.into_iter().find(|line| !blank(line)).map(bare).unwrap_or_default(),
            below: below.filter(|line| !blank(line)).take(LINES_BELOW).map(bare).collect(),
            indent: Indent::of(text.lines_at(near).take(LINES_NEAR)),
            crlf: position::ends_in_crlf(text, place.offset),
            block: place.extent.is_block(),
            gate: Gate::prepare(place),
        }
    }

    /// Makes `raw` fit to be inserted at the cursor, what stands after it staying where it is.
    pub fn fit(&self, raw: &str) -> Result<String, Unfit> {
        let text = raw.replace("\r\n", "\n");
        let text = unfenced(&text);
        let text = self.without_typed_indent(text);
        let text = self.without_rest(text);
        let text = self.without_lines_below(text).trim_end();
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        self.repeats(text)?;
        if degenerate(text) {
            return Err(Unfit::Degenerate);
        }
        let text = self.in_the_files_manner(text);
        if self.gate.admits(&text) { Ok(text) } else { Err(Unfit::SyntaxError) }
    }

    /// How much of the item around the cursor does not parse with `text`, which is fit, in it: bytes.
    /// Half-written code may not parse with anything.
    pub fn errors_with(&self, text: &str) -> usize {
        self.gate.errors_with(text)
    }

    /// On a line that holds nothing but indentation the model may write it once more.
    fn without_typed_indent<'t>(&self, text: &'t str) -> &'t str {
        if self.begun.trim().is_empty() {
            let text = text.trim_start_matches('\n');
            return text.strip_prefix(self.begun.as_str()).unwrap_or(text);
        }
        if self.begun.ends_with([' ', '\t']) { text.trim_start_matches([' ', '\t']) } else { text }
    }

    /// What the model wrote of the rest of the line is there already.
    fn without_rest<'t>(&self, text: &'t str) -> &'t str {
        let rest = self.rest.trim_end();
        if rest.trim_start().is_empty() {
            return text;
        }
        let text = text.split('\n').next().unwrap_or_default();
        let overlap = (1..=rest.len().min(text.len()))
            .rev()
            .filter(|len| rest.is_char_boundary(*len))
            .find(|len| text.ends_with(&rest[..*len]));
        if let Some(overlap) = overlap {
            return &text[..text.len() - overlap];
        }
        // The closing bracket that an editor has put behind the cursor ends the suggestion.
        let mut brackets = Brackets::default();
        let unopened = text.bytes().position(|byte| brackets.push(byte).is_some());
        match unopened {
            Some(at) if rest.trim_start().as_bytes().first() == text.as_bytes().get(at) => {
                &text[..at]
            }
            _ => text,
        }
    }

    /// Last lines that stand below the cursor already.
    fn without_lines_below<'t>(&self, text: &'t str) -> &'t str {
        let lines: Vec<&str> = text.lines().collect();
        let most = self.below.len().min(lines.len().saturating_sub(1));
        let same = (1..=most).rev().find(|count| {
            let tail = &lines[lines.len() - count..];
            let telling = tail.iter().any(|line| line.contains(char::is_alphanumeric));
            telling && tail.iter().zip(&self.below).all(|(a, b)| a.trim() == b.trim())
        });
        let Some(same) = same else { return text };
        let kept: usize = lines[..lines.len() - same].iter().map(|line| line.len() + 1).sum();
        text.get(..kept).unwrap_or(text)
    }

    fn repeats(&self, text: &str) -> Result<(), Unfit> {
        let first = text.trim_start_matches('\n').lines().next().unwrap_or_default();
        let line = format!("{}{first}{}", self.begun, self.rest);
        let line = line.trim();
        let telling = |line: &str| line.chars().filter(|c| c.is_alphanumeric()).count() >= 3;
        if !telling(line) {
            return Ok(());
        }
        if self.below.first().is_some_and(|below| below.trim() == line) {
            return Err(Unfit::RepeatsBelow);
        }
        if !self.block && self.above.trim() == line {
            return Err(Unfit::RepeatsAbove);
        }
        Ok(())
    }

    /// Indentation and line breaks as the file has them.
    fn in_the_files_manner(&self, text: &str) -> String {
        let step = step(text);
        let mut lines = text.split('\n');
        let mut all = lines.next().unwrap_or_default().to_owned();
        for line in lines {
            let code = line.trim_start_matches([' ', '\t']);
            let indent = &line[..line.len() - code.len()];
            all.push_str(if self.crlf { "\r\n" } else { "\n" });
            all.push_str(&match self.indent {
                Indent::Tabs => indent.replace(&" ".repeat(step), "\t"),
                Indent::Spaces(width) => indent.replace('\t', &" ".repeat(width)),
            });
            all.push_str(code);
        }
        all
    }
}

/// What a file indents with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indent {
    Tabs,
    /// So many for a level.
    Spaces(usize),
}

/// Spaces for a level where nothing tells.
const USUAL_STEP: usize = 4;

impl Indent {
    fn of<'t>(lines: impl Iterator<Item = RopeSlice<'t>>) -> Self {
        let mut least = None;
        for line in lines {
            if line.get_char(0) == Some('\t') {
                return Self::Tabs;
            }
            let spaces = line.chars().take_while(|c| *c == ' ').count();
            let code = line.get_char(spaces).is_some_and(|c| !c.is_whitespace() && c != '*');
            if code && spaces > 1 && least.is_none_or(|least| spaces < least) {
                least = Some(spaces);
            }
        }
        Self::Spaces(least.unwrap_or(USUAL_STEP))
    }
}

/// How many spaces a model writes for a level, as far as its lines tell.
fn step(text: &str) -> usize {
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let twos = text.split('\n').skip(1).any(|line| spaces(line) % USUAL_STEP == 2);
    if twos { 2 } else { USUAL_STEP }
}

/// An instruct model's answer without the fence that it put around it.
fn unfenced(text: &str) -> &str {
    let Some(fenced) = text.trim_start().strip_prefix("```") else { return text };
    let body = fenced.split_once('\n').map_or("", |(_, body)| body);
    let body = body.trim_end().strip_suffix("```").unwrap_or(body);
    body.trim_end_matches('\n')
}

/// Whether the text ends in the same few bytes over and over, or in the same line thrice.
fn degenerate(text: &str) -> bool {
    const REPETITIONS: usize = 6;
    let bytes = text.trim_end().as_bytes();
    let short = (2..=16).any(|period| {
        let span = period * REPETITIONS;
        bytes.len() >= span && {
            let tail = &bytes[bytes.len() - span..];
            tail.iter().any(u8::is_ascii_alphanumeric)
                && tail.iter().zip(&tail[period..]).all(|(a, b)| a == b)
        }
    });
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    short
        || lines
            .windows(3)
            .any(|three| three[0].len() > 3 && three.iter().all(|line| *line == three[0]))
}
