//! What happens to each row by itself: norm, rotation, gate, sum.

use super::{
    activation::with_avx2,
    threads::{Shared, Team},
};
use crate::engine::config::Rope;

/// Rows that one thread takes at least.
const STEP: usize = 8;

/// `out = x / rms(x) × weight`, row by row.
pub(crate) fn rms_norm(xs: &[f32], weight: &[f32], eps: f32, out: &mut [f32], team: Team) {
    let k = weight.len();
    let out = Shared::new(out);
    team.run(xs.len() / k, STEP, |rows| {
        // SAFETY: each row belongs to one range.
        let out = unsafe { out.slice(rows.start * k..rows.end * k) };
        with_avx2(
            #[inline(always)]
            || {
                let xs = &xs[rows.start * k..rows.end * k];
                for (x, out) in xs.chunks_exact(k).zip(out.chunks_exact_mut(k)) {
                    let scale = 1.0 / (squares(x) / k as f32 + eps).sqrt();
                    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                        *out = x * scale * w;
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn squares(xs: &[f32]) -> f32 {
    let (eights, rest) = xs.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += x * x;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

/// `xs += ys`.
pub(crate) fn add(xs: &mut [f32], ys: &[f32]) {
    for (x, y) in xs.iter_mut().zip(ys) {
        *x += y;
    }
}

/// Adds `bias` to each row.
pub(crate) fn add_bias(xs: &mut [f32], bias: &[f32]) {
    for row in xs.chunks_exact_mut(bias.len()) {
        add(row, bias);
    }
}

/// `gate = silu(gate) × up`.
pub(crate) fn swiglu(gate: &mut [f32], up: &[f32], team: Team) {
    let n = gate.len();
    let gate = Shared::new(gate);
    team.run(n, 4096, |range| {
        // SAFETY: each element belongs to one range.
        let gate = unsafe { gate.slice(range.clone()) };
        with_avx2(
            #[inline(always)]
            || {
                for (g, u) in gate.iter_mut().zip(&up[range.clone()]) {
                    *g = *g / (1.0 + exp(-*g)) * u;
                }
            },
        );
    });
}

/// e to the power of `x`, within 2e-7 of its value. Written so that the compiler can vectorize it:
/// no branches, no calls.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding this rounds to a whole number, which is then in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // Beyond these the result would leave the range of normal numbers.
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, so that the remainder is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let value = p * r * r + r + 1.0;
    let power = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).wrapping_add(127) << 23;
    value * f32::from_bits(power)
}

/// Sines and cosines for the positions of one evaluation.
#[derive(Debug, Default)]
pub(crate) struct Angles {
    /// `(cos, sin)` of each pair of dimensions, position by position.
    pairs: Vec<(f32, f32)>,
    n_pairs: usize,
}

impl Angles {
    pub(crate) fn new(first: usize, n: usize, frequencies: &[f32]) -> Self {
        let pairs = (first..first + n).flat_map(|position| {
            frequencies.iter().map(move |frequency| {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                (cos, sin)
            })
        });
        Self { pairs: pairs.collect(), n_pairs: frequencies.len() }
    }

    /// Rotates heads of `head` elements in rows of `width`.
    pub(crate) fn rotate(&self, xs: &mut [f32], width: usize, head: usize, rope: Rope) {
        for (row, pairs) in xs.chunks_exact_mut(width).zip(self.pairs.chunks_exact(self.n_pairs)) {
            for head in row.chunks_exact_mut(head) {
                for (i, (cos, sin)) in pairs.iter().enumerate() {
                    let (a, b) = match rope {
                        Rope::Interleaved => (2 * i, 2 * i + 1),
                        Rope::Halves => (i, i + self.n_pairs),
                    };
                    let (x, y) = (head[a], head[b]);
                    head[a] = x * cos - y * sin;
                    head[b] = x * sin + y * cos;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let (got, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((got - exact) / exact).abs() < 3e-7, "{x}: {got} {exact}");
        }
    }
}
