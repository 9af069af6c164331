//! The code in an answer: what stands between fences, or the whole where there are none.

/// What a thinking model says to itself first is no part of the answer.
pub fn without_thoughts(said: &str) -> &str {
    match said.rsplit_once("</think>") {
        Some((_, answer)) => answer,
        None if said.trim_start().starts_with("<think>") => "",
        None => said,
    }
}

/// Code in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub text: String,
    /// Whether it stood between fences, and the second was there.
    pub fences: Fences,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    None,
    Open,
    Closed,
}

/// A line that opens or closes a block: indentation, the fence's character and length, what follows.
fn fence(line: &str) -> Option<(usize, char, usize, &str)> {
    let text = line.trim_start_matches([' ', '\t']);
    let mark = text.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let length = text.len() - rest.len();
    (length >= 3 && !rest.contains('`')).then_some((
        line.len() - text.len(),
        mark,
        length,
        rest.trim(),
    ))
}

/// The blocks of an answer in its order. Without any fence, the whole of it, where that is code.
pub fn blocks(said: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char, usize, String)> = None;
    for line in said.split_inclusive('\n') {
        match (&mut open, fence(line.trim_end())) {
            (None, Some((indent, mark, length, _))) => {
                open = Some((indent, mark, length, String::new()))
            }
            (Some((_, mark, length, text)), Some((_, other, closing, "")))
                if *mark == other && closing >= *length =>
            {
                found.push(Block { text: std::mem::take(text), fences: Fences::Closed });
                open = None;
            }
            (Some((indent, _, _, text)), _) => {
                // A block in a list is indented as a whole.
                let space = line.len() - line.trim_start_matches([' ', '\t']).len();
                text.push_str(&line[space.min(*indent)..]);
            }
            (None, None) => {}
        }
    }
    if let Some((.., text)) = open {
        found.push(Block { text, fences: Fences::Open });
    } else if found.is_empty() && !said.trim().is_empty() {
        found.push(Block { text: said.to_owned(), fences: Fences::None });
    }
    found
}
