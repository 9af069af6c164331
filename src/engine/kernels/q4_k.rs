//! Q4_K weights: blocks of 256 four-bit numbers in eight parts, each part with a six-bit scale and
//! minimum, and two half-precision factors for those.
//!
//! Packed by groups of eight rows. A block of a group is: 8 scale factors, 8 minimum factors
//! (f16); 4 × 8 rows × 2 scales; 4 × 8 rows × 2 minimums (bytes); then 4 × 8 registers of 32 bytes,
//! low halves an even part and high halves the odd part after it, four numbers a row.

use std::arch::x86_64::*;

use half::f16;

use super::{LANES, activation::SUPER};

/// Bytes of a block in the file.
const RAW: usize = 144;
const SCALES: usize = 32;
const MINIMUMS: usize = SCALES + 64;
const NUMBERS: usize = MINIMUMS + 64;
/// Bytes of a block of a group.
pub(super) const GROUP: usize = NUMBERS + 128 * LANES;

/// The scale and minimum of part `j`, as ggml lays its twelve bytes out.
fn scale_and_minimum(j: usize, bytes: &[u8]) -> (u8, u8) {
    if j < 4 {
        (bytes[j] & 63, bytes[j + 4] & 63)
    } else {
        (
            (bytes[j + 4] & 15) | ((bytes[j - 4] >> 6) << 4),
            (bytes[j + 4] >> 4) | ((bytes[j] >> 6) << 4),
        )
    }
}

pub(super) fn pack(raw: &[u8; RAW], lane: usize, to: &mut [u8]) {
    to[2 * lane..2 * lane + 2].copy_from_slice(&raw[..2]);
    to[16 + 2 * lane..18 + 2 * lane].copy_from_slice(&raw[2..4]);
    for j in 0..8 {
        let (scale, minimum) = scale_and_minimum(j, &raw[4..16]);
        let at = 16 * (j / 2) + 2 * lane + j % 2;
        to[SCALES + at] = scale;
        to[MINIMUMS + at] = minimum;
    }
    // In the file too the low halves of 32 bytes are a part and the high halves the next.
    for (i, four) in raw[16..].as_chunks::<4>().0.iter().enumerate() {
        let at = NUMBERS + 32 * i + 4 * lane;
        to[at..at + 4].copy_from_slice(four);
    }
}

pub(super) fn unpack(group: &[u8], lane: usize, out: &mut [f32; SUPER]) {
    let half = |at: usize| f16::from_le_bytes([group[at], group[at + 1]]).to_f32();
    let (d, d_min) = (half(2 * lane), half(16 + 2 * lane));
    for (i, x) in out.iter_mut().enumerate() {
        let part = i / 32;
        let at = 16 * (part / 2) + 2 * lane + part % 2;
        let scale = d * f32::from(group[SCALES + at]);
        let minimum = d_min * f32::from(group[MINIMUMS + at]);
        let byte = group[NUMBERS + 256 * (part / 2) + 32 * (i % 32 / 4) + 4 * lane + i % 4];
        let number = if part % 2 == 0 { byte & 15 } else { byte >> 4 };
        *x = scale * f32::from(number) - minimum;
    }
}

/// One group against `M` rows of activations. `sums16` are the sums of 16 elements each.
///
/// # Safety
/// Needs AVX2, FMA and F16C; `group` has `k / 256` blocks, the others at least `M` rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile<const M: usize>(
    group: *const u8,
    k: usize,
    xs: *const i8,
    scales: *const f32,
    sums16: *const i16,
) -> [__m256; M] {
    let n_blocks = k / SUPER;
    let mut out = [_mm256_setzero_ps(); M];
    let low = _mm256_set1_epi8(15);
    let low_word = _mm256_set1_epi32(0xffff);
    // SAFETY: every pointer stays inside what the caller promised.
    unsafe {
        for b in 0..n_blocks {
            let block = group.add(b * GROUP);
            let mut acc = [_mm256_setzero_si256(); M];
            let mut minimums = [_mm256_setzero_si256(); M];
            for j in 0..4 {
                // Eight products of at most 2 × 15 × 127 stay inside 16 bits.
                let mut even = [_mm256_setzero_si256(); M];
                let mut odd = [_mm256_setzero_si256(); M];
                for c in 0..8 {
                    let w = _mm256_loadu_si256(block.add(NUMBERS + 256 * j + 32 * c).cast());
                    let w_even = _mm256_and_si256(w, low);
                    let w_odd = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);
                    for m in 0..M {
                        let x = xs.add(m * k + b * SUPER + 64 * j + 4 * c).cast::<i32>();
                        let x_even = _mm256_set1_epi32(x.read_unaligned());
                        let x_odd = _mm256_set1_epi32(x.add(8).read_unaligned());
                        even[m] = _mm256_add_epi16(even[m], _mm256_maddubs_epi16(w_even, x_even));
                        odd[m] = _mm256_add_epi16(odd[m], _mm256_maddubs_epi16(w_odd, x_odd));
                    }
                }
                let pair = _mm256_cvtepu8_epi16(_mm_loadu_si128(block.add(SCALES + 16 * j).cast()));
                let first = _mm256_and_si256(pair, low_word);
                let s_even = _mm256_or_si256(first, _mm256_slli_epi32(first, 16));
                let second = _mm256_srli_epi32(pair, 16);
                let s_odd = _mm256_or_si256(second, _mm256_slli_epi32(second, 16));
                let least =
                    _mm256_cvtepu8_epi16(_mm_loadu_si128(block.add(MINIMUMS + 16 * j).cast()));
                for m in 0..M {
                    let scaled = _mm256_add_epi32(
                        _mm256_madd_epi16(even[m], s_even),
                        _mm256_madd_epi16(odd[m], s_odd),
                    );
                    acc[m] = _mm256_add_epi32(acc[m], scaled);
                    let s = sums16.add((m * n_blocks + b) * 16 + 4 * j);
                    let of_even = i32::from(*s) + i32::from(*s.add(1));
                    let of_odd = i32::from(*s.add(2)) + i32::from(*s.add(3));
                    let sums = _mm256_set1_epi32((of_even & 0xffff) | (of_odd << 16));
                    minimums[m] = _mm256_add_epi32(minimums[m], _mm256_madd_epi16(least, sums));
                }
            }
            let d = _mm256_cvtph_ps(_mm_loadu_si128(block.cast()));
            let d_min = _mm256_cvtph_ps(_mm_loadu_si128(block.add(16).cast()));
            for m in 0..M {
                let scale = _mm256_set1_ps(*scales.add(m * n_blocks + b));
                let sum = _mm256_cvtepi32_ps(acc[m]);
                let minimum = _mm256_cvtepi32_ps(minimums[m]);
                out[m] = _mm256_fmadd_ps(sum, _mm256_mul_ps(d, scale), out[m]);
                out[m] = _mm256_fnmadd_ps(minimum, _mm256_mul_ps(d_min, scale), out[m]);
            }
        }
    }
    out
}
