//! A weight matrix in whatever type its file has, and its product with rows of activations.
//!
//! There is one copy of the weights in memory, about the size it has in the file; the rows of an
//! embedding are read from the same copy.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use candle_core::{
    Device, Module, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

use super::{
    LANES,
    activation::{Activations, BLOCK, Form, SUPER},
    has_avx2,
    threads::{Shared, Team},
};
#[cfg(target_arch = "x86_64")]
use super::{f16, q4_k, q6_k, q8_0};
use crate::engine::error::EngineError;

/// Bytes of activations that are worked through before the weights are read again: half of a
/// common core's second-level cache.
const CACHED: usize = 256 << 10;

/// The layouts that the kernels of this room read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    F16,
    Q8_0,
    Q4K,
    Q6K,
}

impl Packing {
    /// Elements and bytes of a block of a group.
    #[cfg(target_arch = "x86_64")]
    fn block(self) -> (usize, usize) {
        match self {
            Self::F16 => (1, f16::GROUP),
            Self::Q8_0 => (BLOCK, q8_0::GROUP),
            Self::Q4K => (SUPER, q4_k::GROUP),
            Self::Q6K => (SUPER, q6_k::GROUP),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn block(self) -> (usize, usize) {
        (1, 1)
    }
}

#[derive(Debug)]
enum Weights {
    Packed { packing: Packing, bytes: Vec<u8>, group: usize },
    Candle(Arc<QTensor>),
}

/// Where candle's weights lie: in plain memory, but on the GPU in a build with the feature `cuda` or
/// `metal`, which nobody has tried.
fn device() -> candle_core::Result<Device> {
    static GPU: OnceLock<Device> = OnceLock::new();
    if !ON_GPU {
        return Ok(Device::Cpu);
    }
    if let Some(gpu) = GPU.get() {
        return Ok(gpu.clone());
    }
    let gpu = if cfg!(feature = "cuda") { Device::new_cuda(0)? } else { Device::new_metal(0)? };
    Ok(GPU.get_or_init(|| gpu).clone())
}

/// Whether this build leaves every product to candle on a GPU.
const ON_GPU: bool = cfg!(any(feature = "cuda", feature = "metal"));

/// `n` rows of `k` weights.
#[derive(Debug)]
pub(crate) struct Matrix {
    n: usize,
    k: usize,
    weights: Weights,
}

impl Matrix {
    /// Takes the raw bytes of a tensor whose size has been checked.
    pub(crate) fn new(
        dtype: GgmlDType,
        raw: &[u8],
        n: usize,
        k: usize,
        team: Team,
    ) -> Result<Self, EngineError> {
        let failed = |err: candle_core::Error| EngineError::Failed(err.to_string());
        if raw.len() * dtype.block_size() != n * k * dtype.type_size() {
            return Err(EngineError::Damaged("a matrix of another size than it says".to_owned()));
        }
        let packing = match dtype {
            _ if ON_GPU || !has_avx2() => None,
            GgmlDType::F16 => Some(Packing::F16),
            GgmlDType::Q8_0 | GgmlDType::Q4_0 | GgmlDType::Q5_0 => Some(Packing::Q8_0),
            GgmlDType::Q4K => Some(Packing::Q4K),
            GgmlDType::Q6K => Some(Packing::Q6K),
            _ => None,
        };
        let Some(packing) = packing else {
            let storage =
                device().and_then(|device| QStorage::from_data(Cow::Borrowed(raw), &device, dtype));
            let tensor = storage.and_then(|storage| QTensor::new(storage, (n, k)));
            let weights = Weights::Candle(Arc::new(tensor.map_err(failed)?));
            return Ok(Self { n, k, weights });
        };
        let (elements, size) = packing.block();
        let group = k / elements * size;
        let mut bytes = vec![0; group * n.div_ceil(LANES)];
        let to = Shared::new(&mut bytes);
        let row_size = raw.len() / n;
        team.run(n.div_ceil(LANES), 1, |groups| {
            for g in groups {
                // SAFETY: each group belongs to one range.
                let to = unsafe { to.slice(g * group..(g + 1) * group) };
                for row in g * LANES..((g + 1) * LANES).min(n) {
                    pack_row(dtype, &raw[row * row_size..(row + 1) * row_size], row % LANES, to);
                }
            }
        });
        let weights = Weights::Packed { packing, bytes, group };
        Ok(Self { n, k, weights })
    }

    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// The form this matrix wants its activations in.
    pub(crate) fn form(&self) -> Form {
        match &self.weights {
            Weights::Packed { packing: Packing::Q8_0, .. } => Form::Q8_0,
            Weights::Packed { packing: Packing::Q4K | Packing::Q6K, .. } => Form::Q8K,
            Weights::Packed { packing: Packing::F16, .. } | Weights::Candle(_) => Form::Float,
        }
    }

    /// Whether this room's kernels compute it, rather than candle's.
    #[cfg(test)]
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.weights, Weights::Packed { .. })
    }

    /// Bytes of weights in memory.
    pub(crate) fn size(&self) -> usize {
        match &self.weights {
            Weights::Packed { bytes, .. } => bytes.len(),
            Weights::Candle(tensor) => tensor.storage_size_in_bytes(),
        }
    }

    /// Row `row` as floats.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) -> Result<(), EngineError> {
        match &self.weights {
            Weights::Packed { packing, bytes, group } => {
                let bytes = &bytes[row / LANES * group..][..*group];
                unpack_row(*packing, bytes, row % LANES, out);
                Ok(())
            }
            Weights::Candle(tensor) => {
                let one = || -> candle_core::Result<Vec<f32>> {
                    let row = u32::try_from(row).map_err(candle_core::Error::wrap)?;
                    let ids = Tensor::from_slice(&[row], 1, &tensor.device())?;
                    tensor.embedding(&ids)?.flatten_all()?.to_vec1()
                };
                let one = one().map_err(|err| EngineError::Failed(err.to_string()))?;
                out.copy_from_slice(&one);
                Ok(())
            }
        }
    }

    /// `out = xs × selfᵀ` for the rows of `xs`; `quantized` holds them in this matrix's form.
    pub(crate) fn multiply(
        &self,
        xs: &[f32],
        quantized: &Activations,
        out: &mut [f32],
        team: Team,
    ) -> Result<(), EngineError> {
        let m = xs.len() / self.k;
        assert!(out.len() == m * self.n, "the output has the shape of the product");
        match &self.weights {
            Weights::Packed { packing, bytes, group } => {
                self.packed(*packing, bytes, *group, (xs, quantized, m), out, team);
                Ok(())
            }
            Weights::Candle(tensor) => {
                let product = || -> candle_core::Result<Vec<f32>> {
                    let xs = Tensor::from_slice(xs, (m, self.k), &tensor.device())?;
                    QMatMul::QTensor(tensor.clone()).forward(&xs)?.flatten_all()?.to_vec1()
                };
                let product = product().map_err(|err| EngineError::Failed(err.to_string()))?;
                out.copy_from_slice(&product);
                Ok(())
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn packed(
        &self,
        packing: Packing,
        bytes: &[u8],
        group: usize,
        (xs, quantized, m): (&[f32], &Activations, usize),
        out: &mut [f32],
        team: Team,
    ) {
        use std::arch::x86_64::{__m256, _mm256_storeu_ps};

        let (n, k) = (self.n, self.k);
        // The kernels read by pointer: what they will read is checked here.
        match packing {
            Packing::F16 => {}
            Packing::Q8_0 => {
                assert!(quantized.wide.len() >= m * k && quantized.scales.len() >= m * k / BLOCK);
            }
            Packing::Q4K | Packing::Q6K => {
                assert!(quantized.bytes.len() >= m * k && quantized.scales.len() >= m * k / SUPER);
                assert!(quantized.sums.len() >= m * k / 16);
            }
        }
        let width = if packing == Packing::Q4K || packing == Packing::Q6K { 1 } else { 2 };
        let block = (CACHED / (k * width)).next_multiple_of(4).max(4);
        let out = Shared::new(out);
        team.run(n.div_ceil(LANES), 1, |groups| {
            for first in (0..m).step_by(block) {
                let last = (first + block).min(m);
                for g in groups.clone() {
                    let weights = bytes[g * group..(g + 1) * group].as_ptr();
                    let columns = g * LANES..((g + 1) * LANES).min(n);
                    let store = |row: usize, sums: __m256| {
                        let mut eight = [0.0; LANES];
                        // SAFETY: eight floats; the CPU has AVX2, or nothing was packed.
                        unsafe { _mm256_storeu_ps(eight.as_mut_ptr(), sums) };
                        // SAFETY: these columns belong to this range alone.
                        let out =
                            unsafe { out.slice(row * n + columns.start..row * n + columns.end) };
                        out.copy_from_slice(&eight[..columns.len()]);
                    };
                    let mut row = first;
                    while row + 4 <= last {
                        // SAFETY: lengths were checked above; the CPU as in `store`.
                        let sums = unsafe { tile::<4>(packing, weights, k, xs, quantized, row) };
                        for (i, sums) in sums.into_iter().enumerate() {
                            store(row + i, sums);
                        }
                        row += 4;
                    }
                    while row < last {
                        // SAFETY: as above.
                        let [sums] = unsafe { tile::<1>(packing, weights, k, xs, quantized, row) };
                        store(row, sums);
                        row += 1;
                    }
                }
            }
        });
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[allow(clippy::unused_self)]
    fn packed(
        &self,
        _: Packing,
        _: &[u8],
        _: usize,
        _: (&[f32], &Activations, usize),
        _: &mut [f32],
        _: Team,
    ) {
        unreachable!("nothing is packed on this CPU");
    }
}

/// # Safety
/// `row + M` rows of activations in the packing's form, one whole group of weights, and AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const M: usize>(
    packing: Packing,
    weights: *const u8,
    k: usize,
    xs: &[f32],
    q: &Activations,
    row: usize,
) -> [std::arch::x86_64::__m256; M] {
    // SAFETY: the caller's promise.
    unsafe {
        match packing {
            Packing::F16 => f16::tile::<M>(weights, k, xs.as_ptr().add(row * k)),
            Packing::Q8_0 => q8_0::tile::<M>(
                weights,
                k,
                q.wide.as_ptr().add(row * k),
                q.scales.as_ptr().add(row * k / BLOCK),
            ),
            Packing::Q4K | Packing::Q6K => {
                let bytes = q.bytes.as_ptr().add(row * k);
                let scales = q.scales.as_ptr().add(row * k / SUPER);
                let sums = q.sums.as_ptr().add(row * k / 16);
                if packing == Packing::Q4K {
                    q4_k::tile::<M>(weights, k, bytes, scales, sums)
                } else {
                    q6_k::tile::<M>(weights, k, bytes, scales, sums)
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn pack_row(dtype: GgmlDType, raw: &[u8], lane: usize, to: &mut [u8]) {
    match dtype {
        GgmlDType::F16 => {
            for (raw, to) in raw.as_chunks::<2>().0.iter().zip(to.chunks_exact_mut(f16::GROUP)) {
                to[2 * lane..2 * lane + 2].copy_from_slice(raw);
            }
        }
        GgmlDType::Q8_0 => {
            for (raw, to) in raw.as_chunks().0.iter().zip(to.chunks_exact_mut(q8_0::GROUP)) {
                q8_0::pack(raw, lane, to);
            }
        }
        // Both hold whole numbers that fit a byte, under one scale for the same 32 elements.
        GgmlDType::Q4_0 => {
            for (raw, to) in raw.as_chunks::<18>().0.iter().zip(to.chunks_exact_mut(q8_0::GROUP)) {
                let number = |i: usize| {
                    let byte = raw[2 + i % 16];
                    (if i < 16 { byte & 15 } else { byte >> 4 }).wrapping_sub(8)
                };
                q8_0::pack(&widened([raw[0], raw[1]], number), lane, to);
            }
        }
        GgmlDType::Q5_0 => {
            for (raw, to) in raw.as_chunks::<22>().0.iter().zip(to.chunks_exact_mut(q8_0::GROUP)) {
                let number = |i: usize| {
                    let byte = raw[6 + i % 16];
                    let fifth = (raw[2 + i / 8] >> (i % 8)) & 1;
                    ((if i < 16 { byte & 15 } else { byte >> 4 }) | (fifth << 4)).wrapping_sub(16)
                };
                q8_0::pack(&widened([raw[0], raw[1]], number), lane, to);
            }
        }
        GgmlDType::Q4K => {
            for (raw, to) in raw.as_chunks().0.iter().zip(to.chunks_exact_mut(q4_k::GROUP)) {
                q4_k::pack(raw, lane, to);
            }
        }
        GgmlDType::Q6K => {
            for (raw, to) in raw.as_chunks().0.iter().zip(to.chunks_exact_mut(q6_k::GROUP)) {
                q6_k::pack(raw, lane, to);
            }
        }
        _ => unreachable!("`Matrix::new` packs no other type"),
    }
}

/// A block of Q8_0 with this scale and these numbers.
#[cfg(target_arch = "x86_64")]
fn widened(scale: [u8; 2], number: impl Fn(usize) -> u8) -> [u8; 34] {
    std::array::from_fn(|i| if i < 2 { scale[i] } else { number(i - 2) })
}

#[cfg(target_arch = "x86_64")]
fn unpack_row(packing: Packing, bytes: &[u8], lane: usize, out: &mut [f32]) {
    let (_, size) = packing.block();
    let blocks = bytes.chunks_exact(size);
    match packing {
        Packing::F16 => {
            for (from, x) in blocks.zip(out) {
                *x = half::f16::from_le_bytes([from[2 * lane], from[2 * lane + 1]]).to_f32();
            }
        }
        Packing::Q8_0 => {
            blocks.zip(out.as_chunks_mut().0).for_each(|(b, out)| q8_0::unpack(b, lane, out));
        }
        Packing::Q4K => {
            blocks.zip(out.as_chunks_mut().0).for_each(|(b, out)| q4_k::unpack(b, lane, out));
        }
        Packing::Q6K => {
            blocks.zip(out.as_chunks_mut().0).for_each(|(b, out)| q6_k::unpack(b, lane, out));
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn pack_row(_: GgmlDType, _: &[u8], _: usize, _: &mut [u8]) {
    unreachable!("nothing is packed on this CPU");
}

#[cfg(not(target_arch = "x86_64"))]
fn unpack_row(_: Packing, _: &[u8], _: usize, _: &mut [f32]) {
    unreachable!("nothing is packed on this CPU");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, mut seed: u64) -> Vec<f32> {
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((seed >> 40) as f32 / (1_u64 << 24) as f32) * 2.0 - 1.0
            })
            .collect()
    }

    /// Every packed type against candle's own dequantization: rows exactly, products within what
    /// quantized activations allow.
    #[test]
    fn products_equal_those_of_dequantized_weights() {
        let (n, k, m) = (19, 512, 6);
        let one = Team { n_threads: 1 };
        let weights = Tensor::from_vec(random(n * k, 7), (n, k), &Device::Cpu).unwrap();
        let xs = random(m * k, 8);
        for dtype in [
            GgmlDType::F16,
            GgmlDType::Q8_0,
            GgmlDType::Q4_0,
            GgmlDType::Q5_0,
            GgmlDType::Q4K,
            GgmlDType::Q6K,
            GgmlDType::Q5K,
        ] {
            let tensor = QTensor::quantize(&weights, dtype).unwrap();
            let reference: Vec<f32> =
                tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let matrix = Matrix::new(dtype, &tensor.data().unwrap(), n, k, one).unwrap();
            assert_eq!(matrix.is_packed(), has_avx2() && dtype != GgmlDType::Q5K);
            let mut row = vec![0.0; k];
            for r in 0..n {
                matrix.row(r, &mut row).unwrap();
                for (x, y) in row.iter().zip(&reference[r * k..]) {
                    assert!((x - y).abs() <= 1e-6, "{dtype:?} row {r}: {x} {y}");
                }
            }
            let mut quantized = Activations::default();
            quantized.quantize(matrix.form(), &xs, k, one);
            let mut out = vec![0.0; m * n];
            matrix.multiply(&xs, &quantized, &mut out, one).unwrap();
            for i in 0..m {
                for j in 0..n {
                    let exact: f32 = (0..k).map(|l| xs[i * k + l] * reference[j * k + l]).sum();
                    let got = out[i * n + j];
                    assert!((exact - got).abs() < 0.15, "{dtype:?} {i},{j}: {exact} {got}");
                }
            }
            // One row alone gives the very same bits as the same row among others.
            if matrix.is_packed() {
                for i in 0..m {
                    let alone = &xs[i * k..(i + 1) * k];
                    quantized.quantize(matrix.form(), alone, k, one);
                    let mut single = vec![0.0; n];
                    matrix.multiply(alone, &quantized, &mut single, one).unwrap();
                    assert_eq!(single, out[i * n..(i + 1) * n], "{dtype:?}");
                }
            }
        }
    }
}
