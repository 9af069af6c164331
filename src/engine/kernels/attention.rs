//! Attention of new positions over one layer's cached keys and values.
//!
//! Keys and values are half precision, as in llama.cpp. Keys lie in blocks of eight positions with
//! the positions innermost, so that eight scores are one register; values lie position by
//! position. Query heads that share a KV head are worked on together, so cached rows are read once
//! for the group and never repeated.

use half::{f16, slice::HalfFloatSliceExt};

use super::{
    LANES,
    activation::with_avx2,
    rows::exp,
    threads::{Shared, Team},
};

/// Query rows that are worked on together.
const TILE: usize = 4;

/// The shape of one layer's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    /// Elements of a head: a multiple of 8.
    pub(crate) head: usize,
    /// Positions there is room for: a multiple of 16.
    pub(crate) capacity: usize,
}

impl Shape {
    /// Elements of one layer's keys, and of its values.
    pub(crate) fn elements(self) -> usize {
        self.n_kv_heads * self.capacity * self.head
    }

    /// Writes rows of keys and values for the positions from `first` on.
    pub(crate) fn store(
        self,
        first: usize,
        new: (&[f32], &[f32]),
        keys: &mut [f16],
        values: &mut [f16],
    ) {
        let (head, width) = (self.head, self.n_kv_heads * self.head);
        let rows = new.0.chunks_exact(width).zip(new.1.chunks_exact(width));
        // A whole row is narrowed at once: `half` asks the CPU what it can do at each call.
        let mut narrow = vec![f16::ZERO; 2 * width];
        for (position, (key, value)) in (first..).zip(rows) {
            let (key, value) = {
                let (to_key, to_value) = narrow.split_at_mut(width);
                to_key.convert_from_f32_slice(key);
                to_value.convert_from_f32_slice(value);
                (&*to_key, &*to_value)
            };
            for h in 0..self.n_kv_heads {
                let plane = h * self.capacity * head;
                let block = plane + position / LANES * LANES * head + position % LANES;
                for i in 0..head {
                    keys[block + i * LANES] = key[h * head + i];
                }
                let at = plane + position * head;
                values[at..at + head].copy_from_slice(&value[h * head..(h + 1) * head]);
            }
        }
    }

    /// `out` = attention of `queries`, whose first row is position `first`, over all positions up
    /// to each row's own.
    pub(crate) fn attend(
        self,
        first: usize,
        queries: &[f32],
        (keys, values): (&[f16], &[f16]),
        out: &mut [f32],
        team: Team,
    ) {
        let head = self.head;
        let width = self.n_heads * head;
        let n_rows = queries.len() / width;
        let group = self.n_heads / self.n_kv_heads;
        let scale = 1.0 / (head as f32).sqrt();
        let out = Shared::new(out);
        // A row here is one query head of one position, those of a KV head together.
        let n_tiles = (n_rows * group).div_ceil(TILE);
        team.run(self.n_kv_heads * n_tiles, 1, |tiles| {
            let mut scores = vec![0.0; TILE * (first + n_rows).next_multiple_of(2 * LANES)];
            let mut scaled = vec![0.0; TILE * head];
            for tile in tiles {
                let (h, tile) = (tile / n_tiles, tile % n_tiles);
                let plane = h * self.capacity * head..(h + 1) * self.capacity * head;
                // The last tile repeats its last row; the copies are not written.
                let rows: [usize; TILE] =
                    std::array::from_fn(|r| (tile * TILE + r).min(n_rows * group - 1));
                let place = |row: usize| row / group * width + (h * group + row % group) * head;
                for (row, scaled) in rows.iter().zip(scaled.chunks_exact_mut(head)) {
                    let query = &queries[place(*row)..][..head];
                    scaled.iter_mut().zip(query).for_each(|(s, q)| *s = q * scale);
                }
                let limits = rows.map(|row| first + row / group + 1);
                let mut sums = [0.0; TILE];
                let n = limits[TILE - 1].next_multiple_of(2 * LANES);
                score(&scaled, &keys[plane.clone()], head, n, &mut scores);
                with_avx2(
                    #[inline(always)]
                    || {
                        for ((scores, limit), sum) in
                            scores.chunks_exact_mut(n).zip(limits).zip(&mut sums)
                        {
                            *sum = softmax(scores, limit);
                        }
                    },
                );
                let mut mixed = vec![0.0; TILE * head];
                mix(&scores, &values[plane], head, n, limits[TILE - 1], &mut mixed);
                let n_own = (n_rows * group - tile * TILE).min(TILE);
                for r in 0..n_own {
                    let at = place(rows[r]);
                    // SAFETY: each row of each head belongs to one tile.
                    let out = unsafe { out.slice(at..at + head) };
                    let mixed = &mixed[r * head..(r + 1) * head];
                    out.iter_mut().zip(mixed).for_each(|(o, x)| *o = x / sums[r]);
                }
            }
        });
    }
}

/// Turns scores into weights that still are to be divided by the sum returned. Positions from
/// `limit` on get none: zeros change no sum.
#[inline(always)]
fn softmax(scores: &mut [f32], limit: usize) -> f32 {
    let mut max = f32::NEG_INFINITY;
    for score in &scores[..limit] {
        max = if *score > max { *score } else { max };
    }
    for score in &mut scores[..limit] {
        *score = exp(*score - max);
    }
    scores[limit..].fill(0.0);
    let mut sums = [0.0; LANES];
    for eight in scores.as_chunks::<LANES>().0 {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += x;
        }
    }
    sums.iter().sum()
}

/// `scores[r][position] = queries[r] · keys[position]` for `n` positions, a multiple of 16.
fn score(queries: &[f32], keys: &[f16], head: usize, n: usize, scores: &mut [f32]) {
    assert!(queries.len() >= TILE * head && keys.len() >= n * head && scores.len() >= TILE * n);
    assert!(n.is_multiple_of(2 * LANES));
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: lengths and CPU were checked.
        unsafe { x86::score(queries.as_ptr(), keys.as_ptr(), head, n, scores.as_mut_ptr()) };
        return;
    }
    for r in 0..TILE {
        for (b, eight) in keys[..n * head].chunks_exact(LANES * head).enumerate() {
            let mut sums = [0.0; LANES];
            for (i, keys) in eight.as_chunks::<LANES>().0.iter().enumerate() {
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum += queries[r * head + i] * key.to_f32();
                }
            }
            scores[r * n + b * LANES..][..LANES].copy_from_slice(&sums);
        }
    }
}

/// `out[r] = Σ scores[r][position] × values[position]` over `n` of `stride` positions.
fn mix(scores: &[f32], values: &[f16], head: usize, stride: usize, n: usize, out: &mut [f32]) {
    assert!(n <= stride && scores.len() >= TILE * stride);
    assert!(values.len() >= n * head && out.len() >= TILE * head && head.is_multiple_of(LANES));
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: lengths and CPU were checked.
        unsafe { x86::mix(scores.as_ptr(), values.as_ptr(), head, stride, n, out.as_mut_ptr()) };
        return;
    }
    for r in 0..TILE {
        let out = &mut out[r * head..(r + 1) * head];
        for (value, score) in values.chunks_exact(head).zip(&scores[r * stride..][..n]) {
            for (out, x) in out.iter_mut().zip(value) {
                *out += score * x.to_f32();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::f16;

    use super::{LANES, TILE};

    /// # Safety
    /// As `super::score` asserts, on a CPU with AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn score(
        queries: *const f32,
        keys: *const f16,
        head: usize,
        n: usize,
        scores: *mut f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            for position in (0..n).step_by(2 * LANES) {
                let block = keys.add(position * head);
                let mut sums = [[_mm256_setzero_ps(); 2]; TILE];
                for i in 0..head {
                    let near = _mm256_cvtph_ps(_mm_loadu_si128(block.add(i * LANES).cast()));
                    let far = block.add((head + i) * LANES);
                    let far = _mm256_cvtph_ps(_mm_loadu_si128(far.cast()));
                    for r in 0..TILE {
                        let query = _mm256_set1_ps(*queries.add(r * head + i));
                        sums[r][0] = _mm256_fmadd_ps(query, near, sums[r][0]);
                        sums[r][1] = _mm256_fmadd_ps(query, far, sums[r][1]);
                    }
                }
                for r in 0..TILE {
                    _mm256_storeu_ps(scores.add(r * n + position), sums[r][0]);
                    _mm256_storeu_ps(scores.add(r * n + position + LANES), sums[r][1]);
                }
            }
        }
    }

    /// # Safety
    /// As `super::mix` asserts, on a CPU with AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn mix(
        scores: *const f32,
        values: *const f16,
        head: usize,
        stride: usize,
        n: usize,
        out: *mut f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut i = 0;
            while i + 2 * LANES <= head {
                let sums = columns::<2>(scores, values.add(i), head, stride, n);
                for (r, sums) in sums.iter().enumerate() {
                    _mm256_storeu_ps(out.add(r * head + i), sums[0]);
                    _mm256_storeu_ps(out.add(r * head + i + LANES), sums[1]);
                }
                i += 2 * LANES;
            }
            if i < head {
                let sums = columns::<1>(scores, values.add(i), head, stride, n);
                for (r, sums) in sums.iter().enumerate() {
                    _mm256_storeu_ps(out.add(r * head + i), sums[0]);
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn columns<const C: usize>(
        scores: *const f32,
        values: *const f16,
        head: usize,
        stride: usize,
        n: usize,
    ) -> [[__m256; C]; TILE] {
        let mut sums = [[_mm256_setzero_ps(); C]; TILE];
        // SAFETY: the caller's promise.
        unsafe {
            for position in 0..n {
                let row = values.add(position * head);
                for c in 0..C {
                    let value = _mm256_cvtph_ps(_mm_loadu_si128(row.add(c * LANES).cast()));
                    for r in 0..TILE {
                        let score = _mm256_set1_ps(*scores.add(r * stride + position));
                        sums[r][c] = _mm256_fmadd_ps(score, value, sums[r][c]);
                    }
                }
            }
        }
        sums
    }
}
