//! BM25 over chunks by identifiers: where code stands that speaks of the same things.

use std::{collections::HashMap, ops::Range};

use rustc_hash::FxBuildHasher;

use super::{Contents, FileId, Symbol};

/// How fast repetition of a name stops to count; the usual value.
const K1: f32 = 1.2;

/// How much a long chunk is held against it; the usual value.
const B: f32 = 0.75;

/// A chunk that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub file: FileId,
    /// Its number in the file.
    pub chunk: usize,
    /// Its bytes.
    pub range: Range<usize>,
    pub score: f32,
}

impl Contents {
    /// The chunks of the workspace in which `names` occur most tellingly, best first, at most
    /// `limit`; each name counts as much as its weight. Equal scores stand in the order of files.
    ///
    /// Names that stand in more than a quarter of a large workspace's files tell little and are left
    /// out, so that a search's cost follows from the rest.
    pub fn search(&self, names: &[(Symbol, f32)], limit: usize) -> Vec<Hit> {
        let totals = self.totals();
        if totals.chunks == 0 || limit == 0 {
            return Vec::new();
        }
        let mean_length = totals.names as f32 / totals.chunks as f32;
        let too_common = (totals.files / 4).max(64);
        let mut scores: HashMap<(FileId, u32), f32, FxBuildHasher> = HashMap::default();
        let mut of_name: Vec<((FileId, u32), u32, u32)> = Vec::new();
        for (name, weight) in names {
            if self.file_frequency(*name) > too_common {
                continue;
            }
            of_name.clear();
            for (id, places) in self.uses(*name) {
                let Some(file) = self.file(id) else { continue };
                let mut rest = places;
                while let Some(first) = rest.first() {
                    let number = file.chunk_at(*first as usize);
                    let end = file.chunks.get(number + 1).map_or(u32::MAX, |next| next.start);
                    let count = rest.partition_point(|place| *place < end).max(1);
                    let length = file.chunks.get(number).map_or(0, |chunk| chunk.names);
                    let key = (id, u32::try_from(number).unwrap_or(u32::MAX));
                    of_name.push((key, u32::try_from(count).unwrap_or(u32::MAX), length));
                    rest = rest.get(count..).unwrap_or_default();
                }
            }
            let with_it = of_name.len() as f32;
            let rarity =
                ((totals.chunks as f32 - with_it + 0.5) / (with_it + 0.5)).max(0.0).ln_1p();
            for (key, count, length) in &of_name {
                let (count, length) = (*count as f32, *length as f32);
                let norm = K1 * (1.0 - B + B * length / mean_length.max(1.0));
                *scores.entry(*key).or_default() +=
                    weight * rarity * count * (K1 + 1.0) / (count + norm);
            }
        }
        let mut best: Vec<_> = scores.into_iter().collect();
        let by_score = |a: &((FileId, u32), f32), b: &((FileId, u32), f32)| {
            b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
        };
        if best.len() > limit {
            best.select_nth_unstable_by(limit - 1, by_score);
            best.truncate(limit);
        }
        best.sort_unstable_by(by_score);
        let hit = |((file, chunk), score): ((FileId, u32), f32)| {
            let chunk = chunk as usize;
            Some(Hit { file, chunk, range: self.file(file)?.chunk(chunk)?, score })
        };
        best.into_iter().filter_map(hit).collect()
    }
}
