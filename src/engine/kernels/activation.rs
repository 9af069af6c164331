//! Activations, quantized row by row as llama.cpp does it, so that integer products are exact and
//! results differ from its by the order of floating-point sums alone.

use half::f16;

use super::threads::{Shared, Team};

/// Elements of a Q8_0 block.
pub(super) const BLOCK: usize = 32;
/// Elements of a K-quant's block.
pub(super) const SUPER: usize = 256;

/// What a kernel wants its activations to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Float,
    /// Blocks of 32 with a scale, widened to 16 bits for the kernel.
    Q8_0,
    /// Blocks of 256 with a scale and the sums of each 16 elements.
    Q8K,
}

/// Rows of activations in one form. Its buffers are kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    pub(super) wide: Vec<i16>,
    pub(super) bytes: Vec<i8>,
    pub(super) scales: Vec<f32>,
    /// Sums of 16 elements each, for Q8K.
    pub(super) sums: Vec<i16>,
}

impl Activations {
    /// Quantizes the rows of `xs`, `k` elements each.
    pub(crate) fn quantize(&mut self, form: Form, xs: &[f32], k: usize, team: Team) {
        let m = xs.len() / k;
        match form {
            Form::Float => {}
            Form::Q8_0 => {
                self.wide.resize(m * k, 0);
                self.scales.resize(m * k / BLOCK, 0.0);
                let wide = Shared::new(&mut self.wide);
                let scales = Shared::new(&mut self.scales);
                team.run(m, 4, |rows| {
                    // SAFETY: each row belongs to one range.
                    let wide = unsafe { wide.slice(rows.start * k..rows.end * k) };
                    let of_blocks = rows.start * k / BLOCK..rows.end * k / BLOCK;
                    // SAFETY: as above.
                    let scales = unsafe { scales.slice(of_blocks) };
                    with_avx2(|| q8_0(&xs[rows.start * k..rows.end * k], wide, scales));
                });
            }
            Form::Q8K => {
                self.bytes.resize(m * k, 0);
                self.scales.resize(m * k / SUPER, 0.0);
                self.sums.resize(m * k / 16, 0);
                let bytes = Shared::new(&mut self.bytes);
                let scales = Shared::new(&mut self.scales);
                let sums = Shared::new(&mut self.sums);
                team.run(m, 4, |rows| {
                    // SAFETY: each row belongs to one range.
                    let (bytes, scales, sums) = unsafe {
                        (
                            bytes.slice(rows.start * k..rows.end * k),
                            scales.slice(rows.start * k / SUPER..rows.end * k / SUPER),
                            sums.slice(rows.start * k / 16..rows.end * k / 16),
                        )
                    };
                    with_avx2(|| q8_k(&xs[rows.start * k..rows.end * k], bytes, scales, sums));
                });
            }
        }
    }
}

/// Calls `work`, compiled for AVX2 where the CPU has it: plain loops inside are vectorized by the
/// compiler.
#[inline(always)]
pub(super) fn with_avx2(work: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn inside(work: impl FnOnce()) {
            work();
        }
        if super::has_avx2() {
            // SAFETY: the CPU was asked.
            unsafe { inside(work) };
            return;
        }
    }
    work();
}

#[inline(always)]
fn q8_0(xs: &[f32], wide: &mut [i16], scales: &mut [f32]) {
    for ((x, q), scale) in
        xs.as_chunks::<BLOCK>().0.iter().zip(wide.as_chunks_mut::<BLOCK>().0).zip(scales)
    {
        let max = x.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        *scale = f16::from_f32(max / 127.0).to_f32();
        let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
        for (q, x) in q.iter_mut().zip(x) {
            *q = nearest(x * inverse) as i16;
        }
    }
}

#[inline(always)]
fn q8_k(xs: &[f32], bytes: &mut [i8], scales: &mut [f32], sums: &mut [i16]) {
    let blocks = xs.as_chunks::<SUPER>().0.iter().zip(bytes.as_chunks_mut::<SUPER>().0);
    for (((x, q), scale), sums) in blocks.zip(scales).zip(sums.as_chunks_mut::<{ SUPER / 16 }>().0)
    {
        // The element of the largest magnitude becomes -127 whatever its sign.
        let (low, high) =
            x.iter().fold((0.0_f32, 0.0_f32), |(low, high), x| (low.min(*x), high.max(*x)));
        let extreme = if high >= -low { high } else { low };
        let inverse = if extreme == 0.0 { 0.0 } else { -127.0 / extreme };
        *scale = if extreme == 0.0 { 0.0 } else { 1.0 / inverse };
        for (q, x) in q.iter_mut().zip(x) {
            *q = nearest(x * inverse).clamp(-127, 127) as i8;
        }
        for (sum, q) in sums.iter_mut().zip(q.as_chunks::<16>().0) {
            *sum = q.iter().map(|q| i16::from(*q)).sum();
        }
    }
}

/// The nearest whole number, halves to even, for magnitudes below 2^22. The addition rounds away
/// the fraction; what is left in the low bits is the number.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    ((x + MAGIC).to_bits().cast_signed() & 0x007f_ffff) - 0x0040_0000
}
