//! The arithmetic of the decoder on a CPU: products of quantized weights with quantized
//! activations, attention over the KV cache, norms.
//!
//! Written here rather than taken from candle for two reasons. Candle's kernels for Q8_0 and for
//! one row of Q6_K choose their instructions at compile time, which is scalar code in a portable
//! build on x86-64 without AVX-512; and its thread pool is global and spins, which takes the cores
//! away from the user's own build. Where these kernels do not apply (other CPUs, rarer types of
//! weights), `Matrix` hands the product to candle.
//!
//! Each output element is summed in one fixed order that depends on nothing but its own row and
//! column: never on how many rows are evaluated together, nor on the number of threads. That is
//! what makes a truncated and extended KV cache equal a fresh one bit by bit; no kernel may break it.
#![allow(clippy::cast_possible_truncation, reason = "quantization narrows on purpose")]
#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]
#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::inline_always, reason = "code is compiled for the instructions of its caller")]
#![allow(clippy::cast_ptr_alignment, reason = "all such reads are unaligned ones")]
#![allow(clippy::similar_names, reason = "`x_even` and `s_even` belong together")]
#![allow(clippy::type_complexity, reason = "tiles of registers")]
#![allow(clippy::many_single_char_names, reason = "m, n and k are the field's words")]

pub(crate) mod activation;
pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod f16;
pub(crate) mod matrix;
#[cfg(target_arch = "x86_64")]
mod q4_k;
#[cfg(target_arch = "x86_64")]
mod q6_k;
#[cfg(target_arch = "x86_64")]
mod q8_0;
pub(crate) mod rows;
pub(crate) mod threads;

/// Weight rows that are interleaved in memory: the eight 32-bit lanes of an AVX2 register.
pub(crate) const LANES: usize = 8;

/// Whether this CPU has what the kernels use. Asked at run time, so that one build serves all.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_avx2() -> bool {
    false
}
