//! A file cut at the borders of its items: small neighbours together, a large impl into its members,
//! nothing through the middle of a function.

use super::{Symbol, extract::to_u32, file::ChunkData};

/// A chunk ends at the first border behind this many bytes: some thirty lines.
const CHUNK_BYTES: usize = 1_200;

/// Something that is not cut, unless smaller pieces stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts a text of `len` bytes at starts of `pieces`, in any order. `uses` ascend by place.
pub(super) fn cut(
    pieces: &[Piece],
    len: usize,
    uses: &[(Symbol, u32)],
    line: impl Fn(usize) -> u32,
) -> Vec<ChunkData> {
    if len == 0 || pieces.is_empty() && uses.is_empty() {
        return Vec::new();
    }
    let mut pieces = pieces.to_vec();
    pieces.sort_unstable_by_key(|piece| (piece.start, std::cmp::Reverse(piece.end)));
    let mut starts = vec![0];
    // Where the piece before ends; a piece that starts before that stands inside of it.
    let mut covered = 0;
    for piece in pieces {
        let open = starts.last().copied().unwrap_or(0);
        let stands_inside = piece.start < covered;
        let with_it = piece.end.saturating_sub(open);
        if piece.start > open && piece.start - open >= CHUNK_BYTES / 4 && with_it > CHUNK_BYTES {
            let is_worth_it = !stands_inside || covered - open > CHUNK_BYTES;
            if is_worth_it {
                starts.push(piece.start);
            }
        }
        covered = covered.max(piece.end);
    }
    let mut chunks: Vec<ChunkData> = starts
        .into_iter()
        .map(|start| ChunkData { start: to_u32(start), first_line: line(start), names: 0 })
        .collect();
    let mut at = 0;
    for (_, place) in uses {
        while chunks.get(at + 1).is_some_and(|next| next.start <= *place) {
            at += 1;
        }
        if let Some(chunk) = chunks.get_mut(at) {
            chunk.names += 1;
        }
    }
    chunks
}

/// The pieces of a text without a grammar: what stands between blank lines.
pub(super) fn paragraphs(text: &str) -> Vec<Piece> {
    let (mut pieces, mut start, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            if let Some(start) = start.take() {
                pieces.push(Piece { start, end: at });
            }
        } else {
            let _ = start.get_or_insert(at);
        }
        at += line.len();
    }
    pieces.extend(start.map(|start| Piece { start, end: at }));
    pieces
}
