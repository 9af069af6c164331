//! Q8_0 weights: blocks of 32 signed bytes with a half-precision scale.
//!
//! Packed by groups of eight rows; a block of a group is 8 scales, then 16 times 8 rows of two
//! bytes, so that one load widens to a register whose lanes are the rows.

use std::arch::x86_64::*;

use half::f16;

use super::{LANES, activation::BLOCK};

/// Bytes of a block in the file.
const RAW: usize = 2 + BLOCK;
/// Bytes of a block of a group.
pub(super) const GROUP: usize = RAW * LANES;

/// Copies block `b` of row `lane` to its place in its group's block.
pub(super) fn pack(raw: &[u8; RAW], lane: usize, to: &mut [u8]) {
    to[2 * lane..2 * lane + 2].copy_from_slice(&raw[..2]);
    for pair in 0..BLOCK / 2 {
        let at = 16 + 16 * pair + 2 * lane;
        to[at..at + 2].copy_from_slice(&raw[2 + 2 * pair..4 + 2 * pair]);
    }
}

pub(super) fn unpack(group: &[u8], lane: usize, out: &mut [f32; BLOCK]) {
    let scale = f16::from_le_bytes([group[2 * lane], group[2 * lane + 1]]).to_f32();
    for (i, x) in out.iter_mut().enumerate() {
        let byte = group[16 + 16 * (i / 2) + 2 * lane + i % 2];
        *x = scale * f32::from(byte.cast_signed());
    }
}

/// One group against `M` rows of activations.
///
/// # Safety
/// Needs AVX2, FMA and F16C; `group` has `k / 32` blocks, `xs` and `scales` at least `M` rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile<const M: usize>(
    group: *const u8,
    k: usize,
    xs: *const i16,
    scales: *const f32,
) -> [__m256; M] {
    let n_blocks = k / BLOCK;
    let mut sums = [_mm256_setzero_ps(); M];
    // SAFETY: every pointer stays inside what the caller promised.
    unsafe {
        for b in 0..n_blocks {
            let block = group.add(b * GROUP);
            let mut acc = [_mm256_setzero_si256(); M];
            for pair in 0..BLOCK / 2 {
                let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(block.add(16 + 16 * pair).cast()));
                for m in 0..M {
                    let x = xs.add(m * k + b * BLOCK + 2 * pair).cast::<i32>().read_unaligned();
                    let product = _mm256_madd_epi16(w, _mm256_set1_epi32(x));
                    acc[m] = _mm256_add_epi32(acc[m], product);
                }
            }
            let scale = _mm256_cvtph_ps(_mm_loadu_si128(block.cast()));
            for m in 0..M {
                let both = _mm256_mul_ps(scale, _mm256_set1_ps(*scales.add(m * n_blocks + b)));
                sums[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[m]), both, sums[m]);
            }
        }
    }
    sums
}
