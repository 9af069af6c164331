//! Q6_K weights: blocks of 256 six-bit numbers in sixteen parts, each with a signed byte for its
//! scale, and one half-precision factor.
//!
//! Packed by groups of eight rows. A block of a group is: 8 factors (f16); 8 × 8 rows × 2 scales;
//! then for each part three registers of 32 bytes: low halves of the first eight numbers of a row,
//! of the other eight, and the upper two bits of all sixteen.

use std::arch::x86_64::*;

use half::f16;

use super::{LANES, activation::SUPER};

/// Bytes of a block in the file.
const RAW: usize = 210;
const SCALES: usize = 16;
const NUMBERS: usize = SCALES + 16 * LANES;
/// Bytes of a block of a group.
pub(super) const GROUP: usize = NUMBERS + 16 * 96;

/// Number `i` of a block, 0 to 63, from ggml's layout.
fn number(raw: &[u8; RAW], i: usize) -> u8 {
    let (half, l, quarter) = (i / 128, i % 32, i % 128 / 32);
    let low = raw[64 * half + l + 32 * (quarter % 2)];
    let low = if quarter < 2 { low & 15 } else { low >> 4 };
    low | (((raw[128 + 32 * half + l] >> (2 * quarter)) & 3) << 4)
}

pub(super) fn pack(raw: &[u8; RAW], lane: usize, to: &mut [u8]) {
    to[2 * lane..2 * lane + 2].copy_from_slice(&raw[208..]);
    for (j, scale) in raw[192..208].iter().enumerate() {
        to[SCALES + 16 * (j / 2) + 2 * lane + j % 2] = *scale;
    }
    for i in 0..SUPER {
        let (part, four, at) = (i / 16, i % 16 / 4, 4 * lane + i % 4);
        let to = &mut to[NUMBERS + 96 * part..NUMBERS + 96 * (part + 1)];
        let number = number(raw, i);
        let shift = 4 * (four % 2);
        let low = &mut to[32 * (four / 2) + at];
        *low = (*low & !(15 << shift)) | ((number & 15) << shift);
        let high = &mut to[64 + at];
        *high = (*high & !(3 << (2 * four))) | ((number >> 4) << (2 * four));
    }
}

pub(super) fn unpack(group: &[u8], lane: usize, out: &mut [f32; SUPER]) {
    let d = f16::from_le_bytes([group[2 * lane], group[2 * lane + 1]]).to_f32();
    for (i, x) in out.iter_mut().enumerate() {
        let (part, four, at) = (i / 16, i % 16 / 4, 4 * lane + i % 4);
        let from = &group[NUMBERS + 96 * part..NUMBERS + 96 * (part + 1)];
        let low = (from[32 * (four / 2) + at] >> (4 * (four % 2))) & 15;
        let number = low | (((from[64 + at] >> (2 * four)) & 3) << 4);
        let scale = group[SCALES + 16 * (part / 2) + 2 * lane + part % 2].cast_signed();
        *x = d * f32::from(scale) * (f32::from(number) - 32.0);
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
    let upper = _mm256_set1_epi8(0x30);
    let low_word = _mm256_set1_epi32(0xffff);
    // SAFETY: every pointer stays inside what the caller promised.
    unsafe {
        for b in 0..n_blocks {
            let block = group.add(b * GROUP);
            let mut acc = [_mm256_setzero_si256(); M];
            let mut offsets = [_mm256_setzero_si256(); M];
            for j in 0..8 {
                let pair = _mm256_cvtepi8_epi16(_mm_loadu_si128(block.add(SCALES + 16 * j).cast()));
                for m in 0..M {
                    // The numbers are stored with 32 added; its share is taken off at the end.
                    let sums = sums16.add((m * n_blocks + b) * 16 + 2 * j).cast::<i32>();
                    let sums = _mm256_set1_epi32(sums.read_unaligned());
                    offsets[m] = _mm256_add_epi32(offsets[m], _mm256_madd_epi16(pair, sums));
                }
                for half in 0..2 {
                    let scale = if half == 0 {
                        let first = _mm256_and_si256(pair, low_word);
                        _mm256_or_si256(first, _mm256_slli_epi32(first, 16))
                    } else {
                        let second = _mm256_srli_epi32(pair, 16);
                        _mm256_or_si256(second, _mm256_slli_epi32(second, 16))
                    };
                    let part = 2 * j + half;
                    let from = block.add(NUMBERS + 96 * part);
                    let l0 = _mm256_loadu_si256(from.cast());
                    let l1 = _mm256_loadu_si256(from.add(32).cast());
                    let h = _mm256_loadu_si256(from.add(64).cast());
                    let join = |l, h| {
                        _mm256_or_si256(_mm256_and_si256(l, low), _mm256_and_si256(h, upper))
                    };
                    let w = [
                        join(l0, _mm256_slli_epi16(h, 4)),
                        join(_mm256_srli_epi16(l0, 4), _mm256_slli_epi16(h, 2)),
                        join(l1, h),
                        join(_mm256_srli_epi16(l1, 4), _mm256_srli_epi16(h, 2)),
                    ];
                    for m in 0..M {
                        let x = xs.add(m * k + b * SUPER + 16 * part).cast::<i32>();
                        let dot = |i: usize| {
                            let x = _mm256_set1_epi32(x.add(i).read_unaligned());
                            _mm256_maddubs_epi16(w[i], x)
                        };
                        // Two products of at most 2 × 63 × 127 stay inside 16 bits.
                        let front = _mm256_add_epi16(dot(0), dot(1));
                        let back = _mm256_add_epi16(dot(2), dot(3));
                        let scaled = _mm256_add_epi32(
                            _mm256_madd_epi16(front, scale),
                            _mm256_madd_epi16(back, scale),
                        );
                        acc[m] = _mm256_add_epi32(acc[m], scaled);
                    }
                }
            }
            let d = _mm256_cvtph_ps(_mm_loadu_si128(block.cast()));
            for m in 0..M {
                let whole = _mm256_sub_epi32(acc[m], _mm256_slli_epi32(offsets[m], 5));
                let scale = _mm256_mul_ps(d, _mm256_set1_ps(*scales.add(m * n_blocks + b)));
                out[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, out[m]);
            }
        }
    }
    out
}
