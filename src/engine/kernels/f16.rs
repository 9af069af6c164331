//! Half-precision weights, eight rows interleaved, against single-precision activations.

use std::arch::x86_64::*;

use super::LANES;

/// Bytes of one column of a group.
pub(super) const GROUP: usize = 2 * LANES;

/// One group against `M` rows of activations.
///
/// # Safety
/// Needs AVX2, FMA and F16C; `group` has `k` columns, `xs` at least `M` rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile<const M: usize>(
    group: *const u8,
    k: usize,
    xs: *const f32,
) -> [__m256; M] {
    // Two sums a row, so that an addition need not wait for the one before.
    let mut even = [_mm256_setzero_ps(); M];
    let mut odd = [_mm256_setzero_ps(); M];
    // SAFETY: every pointer stays inside what the caller promised.
    unsafe {
        for i in (0..k - k % 2).step_by(2) {
            let w0 = _mm256_cvtph_ps(_mm_loadu_si128(group.add(GROUP * i).cast()));
            let w1 = _mm256_cvtph_ps(_mm_loadu_si128(group.add(GROUP * (i + 1)).cast()));
            for m in 0..M {
                let x = xs.add(m * k + i);
                even[m] = _mm256_fmadd_ps(w0, _mm256_set1_ps(*x), even[m]);
                odd[m] = _mm256_fmadd_ps(w1, _mm256_set1_ps(*x.add(1)), odd[m]);
            }
        }
        if k % 2 == 1 {
            let w = _mm256_cvtph_ps(_mm_loadu_si128(group.add(GROUP * (k - 1)).cast()));
            for m in 0..M {
                let x = _mm256_set1_ps(*xs.add(m * k + k - 1));
                even[m] = _mm256_fmadd_ps(w, x, even[m]);
            }
        }
    }
    std::array::from_fn(|m| _mm256_add_ps(even[m], odd[m]))
}
