//! A decoder-only transformer of the llama family: weights in, tokens in, logits out.
//!
//! It evaluates the tokens it is given behind those that a cache already holds, and nothing else:
//! which tokens those are, when to stop and which token comes next is for others to decide. It
//! never looks at text.
#![allow(clippy::cast_possible_truncation, reason = "single precision is what the model has")]

use std::io::{Read, Seek};

use super::{
    cache::Cache,
    config::Config,
    error::EngineError,
    gguf::Gguf,
    kernels::{
        activation::{Activations, Form},
        matrix::Matrix,
        rows::{self, Angles},
        threads::Team,
    },
};
use candle_core::quantized::GgmlDType;

/// A matrix with the bias that qwen2 adds after it.
#[derive(Debug)]
struct Linear {
    matrix: Matrix,
    bias: Option<Vec<f32>>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    ffn_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// The weights of a model. Immutable once loaded; all state of a sequence is in its `Cache`.
#[derive(Debug)]
pub(crate) struct Decoder {
    config: Config,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embedding serves as the output too.
    output: Option<Matrix>,
    /// Radians a position for each pair of rotated dimensions.
    frequencies: Vec<f32>,
}

/// Buffers that are kept from evaluation to evaluation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    input: Input,
    x: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    delta: Vec<f32>,
}

/// The activations a matrix is about to be multiplied with, quantized once for all that share them.
#[derive(Debug, Default)]
struct Input {
    quantized: Activations,
    form: Option<Form>,
}

impl Linear {
    fn forward(
        &self,
        input: &mut Input,
        xs: &[f32],
        k: usize,
        out: &mut Vec<f32>,
        team: Team,
    ) -> Result<(), EngineError> {
        out.resize(xs.len() / k * self.matrix.n(), 0.0);
        multiply(&self.matrix, input, xs, k, out, team)?;
        if let Some(bias) = &self.bias {
            rows::add_bias(out, bias);
        }
        Ok(())
    }
}

fn multiply(
    matrix: &Matrix,
    input: &mut Input,
    xs: &[f32],
    k: usize,
    out: &mut [f32],
    team: Team,
) -> Result<(), EngineError> {
    if input.form != Some(matrix.form()) {
        input.quantized.quantize(matrix.form(), xs, k, team);
        input.form = Some(matrix.form());
    }
    matrix.multiply(xs, &input.quantized, out, team)
}

impl Decoder {
    /// Reads the weights, one tensor at a time: the peak is the model and its largest tensor.
    pub(crate) fn load<R: Read + Seek>(
        gguf: &mut Gguf<R>,
        config: Config,
        team: Team,
    ) -> Result<Self, EngineError> {
        let (width, ffn) = (config.width, config.ffn_width);
        // All shapes are looked at first: a file that cannot work is refused before it is read.
        let names = shapes(&config);
        for (name, columns, rows) in &names {
            let dims = &gguf.tensor(name)?.dims;
            if dims[..] != [*columns, *rows] {
                return Err(EngineError::Damaged(format!(
                    "tensor '{name}' is {dims:?} where {columns} × {rows} was expected"
                )));
            }
        }
        let mut layers = Vec::new();
        for i in 0..config.n_layers {
            let linear = |gguf: &mut Gguf<R>, name: &str, k: usize, n: usize| {
                let matrix = matrix(gguf, &format!("blk.{i}.{name}.weight"), k, n, team)?;
                let bias = format!("blk.{i}.{name}.bias");
                let bias =
                    if gguf.has_tensor(&bias) { Some(vector(gguf, &bias, n)?) } else { None };
                Ok::<_, EngineError>(Linear { matrix, bias })
            };
            layers.push(Layer {
                query: linear(gguf, "attn_q", width, config.q_width())?,
                key: linear(gguf, "attn_k", width, config.kv_width())?,
                value: linear(gguf, "attn_v", width, config.kv_width())?,
                output: linear(gguf, "attn_output", config.q_width(), width)?,
                gate: linear(gguf, "ffn_gate", width, ffn)?,
                up: linear(gguf, "ffn_up", width, ffn)?,
                down: linear(gguf, "ffn_down", ffn, width)?,
                attention_norm: vector(gguf, &format!("blk.{i}.attn_norm.weight"), width)?,
                ffn_norm: vector(gguf, &format!("blk.{i}.ffn_norm.weight"), width)?,
            });
        }
        let output = if gguf.has_tensor("output.weight") {
            Some(matrix(gguf, "output.weight", width, config.n_vocab, team)?)
        } else {
            None
        };
        let n_pairs = config.rope_dims / 2;
        let mut frequencies: Vec<f32> = (0..n_pairs)
            .map(|i| {
                let exponent = -2.0 * i as f64 / config.rope_dims as f64;
                (f64::from(config.rope_base).powf(exponent) / f64::from(config.rope_scale)) as f32
            })
            .collect();
        if gguf.has_tensor("rope_freqs.weight") {
            // Llama 3's stretching of the slow pairs.
            for (frequency, factor) in
                frequencies.iter_mut().zip(vector(gguf, "rope_freqs.weight", n_pairs)?)
            {
                *frequency /= factor;
            }
        }
        Ok(Self {
            embedding: matrix(gguf, "token_embd.weight", width, config.n_vocab, team)?,
            norm: vector(gguf, "output_norm.weight", width)?,
            config,
            layers,
            output,
            frequencies,
        })
    }

    /// Bytes of weights in memory.
    pub(crate) fn size(&self) -> usize {
        let of = |linear: &Linear| linear.matrix.size();
        let layers = self.layers.iter().map(|l| {
            of(&l.query)
                + of(&l.key)
                + of(&l.value)
                + of(&l.output)
                + of(&l.gate)
                + of(&l.up)
                + of(&l.down)
        });
        layers.sum::<usize>() + self.embedding.size() + self.output.as_ref().map_or(0, Matrix::size)
    }

    /// Evaluates `tokens` behind those of `cache`, and writes the logits after the last of them to
    /// `logits` (one a token of the vocabulary); with `all`, those after each of them.
    pub(crate) fn evaluate(
        &self,
        cache: &mut Cache,
        tokens: &[u32],
        scratch: &mut Scratch,
        logits: Option<(&mut Vec<f32>, bool)>,
        team: Team,
    ) -> Result<(), EngineError> {
        let c = &self.config;
        let (first, m) = (cache.tokens.len(), tokens.len());
        if m == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if first + m > cache.shape.capacity {
            let n_ctx = cache.shape.capacity;
            return Err(EngineError::TooLong { prompt_tokens: first + m, n_ctx });
        }
        let s = scratch;
        s.x.resize(m * c.width, 0.0);
        for (token, row) in tokens.iter().zip(s.x.chunks_exact_mut(c.width)) {
            let n_vocab = c.n_vocab;
            if *token as usize >= n_vocab {
                return Err(EngineError::NoToken { token: *token, n_vocab });
            }
            self.embedding.row(*token as usize, row)?;
        }
        let angles = Angles::new(first, m, &self.frequencies);
        s.normed.resize(m * c.width, 0.0);
        for (layer, cached) in self.layers.iter().zip(&mut cache.layers) {
            rows::rms_norm(&s.x, &layer.attention_norm, c.rms_eps, &mut s.normed, team);
            s.input.form = None;
            layer.query.forward(&mut s.input, &s.normed, c.width, &mut s.query, team)?;
            layer.key.forward(&mut s.input, &s.normed, c.width, &mut s.key, team)?;
            layer.value.forward(&mut s.input, &s.normed, c.width, &mut s.value, team)?;
            angles.rotate(&mut s.query, c.q_width(), c.head, c.rope);
            angles.rotate(&mut s.key, c.kv_width(), c.head, c.rope);
            cache.shape.store(first, (&s.key, &s.value), &mut cached.keys, &mut cached.values);
            s.mixed.resize(m * c.q_width(), 0.0);
            cache.shape.attend(first, &s.query, (&cached.keys, &cached.values), &mut s.mixed, team);
            s.input.form = None;
            layer.output.forward(&mut s.input, &s.mixed, c.q_width(), &mut s.delta, team)?;
            rows::add(&mut s.x, &s.delta);

            rows::rms_norm(&s.x, &layer.ffn_norm, c.rms_eps, &mut s.normed, team);
            s.input.form = None;
            layer.gate.forward(&mut s.input, &s.normed, c.width, &mut s.gate, team)?;
            layer.up.forward(&mut s.input, &s.normed, c.width, &mut s.up, team)?;
            rows::swiglu(&mut s.gate, &s.up, team);
            s.input.form = None;
            layer.down.forward(&mut s.input, &s.gate, c.ffn_width, &mut s.delta, team)?;
            rows::add(&mut s.x, &s.delta);
        }
        cache.tokens.extend_from_slice(tokens);
        if let Some((logits, all)) = logits {
            let wanted = if all { 0 } else { m - 1 } * c.width..;
            let n = if all { m } else { 1 };
            s.normed.truncate(n * c.width);
            rows::rms_norm(&s.x[wanted], &self.norm, c.rms_eps, &mut s.normed, team);
            logits.resize(n * c.n_vocab, 0.0);
            s.input.form = None;
            let output = self.output.as_ref().unwrap_or(&self.embedding);
            multiply(output, &mut s.input, &s.normed, c.width, logits, team)?;
        }
        Ok(())
    }
}

/// The matrices a model of this shape must have: name, columns, rows.
fn shapes(c: &Config) -> Vec<(String, usize, usize)> {
    let of_layer = [
        ("attn_q", c.width, c.q_width()),
        ("attn_k", c.width, c.kv_width()),
        ("attn_v", c.width, c.kv_width()),
        ("attn_output", c.q_width(), c.width),
        ("ffn_gate", c.width, c.ffn_width),
        ("ffn_up", c.width, c.ffn_width),
        ("ffn_down", c.ffn_width, c.width),
    ];
    let layers = (0..c.n_layers).flat_map(|i| {
        of_layer.map(|(name, columns, rows)| (format!("blk.{i}.{name}.weight"), columns, rows))
    });
    layers.chain([("token_embd.weight".to_owned(), c.width, c.n_vocab)]).collect()
}

fn matrix<R: Read + Seek>(
    gguf: &mut Gguf<R>,
    name: &str,
    k: usize,
    n: usize,
    team: Team,
) -> Result<Matrix, EngineError> {
    let info = gguf.tensor(name)?;
    if info.dims[..] != [k, n] {
        return Err(EngineError::Damaged(format!("tensor '{name}' is {:?}", info.dims)));
    }
    let dtype = info.dtype;
    let raw = gguf.read(name)?;
    Matrix::new(dtype, &raw, n, k, team)
}

/// A norm's or bias's elements: single or half precision.
fn vector<R: Read + Seek>(
    gguf: &mut Gguf<R>,
    name: &str,
    n: usize,
) -> Result<Vec<f32>, EngineError> {
    let info = gguf.tensor(name)?;
    if info.elements() != n {
        return Err(EngineError::Damaged(format!("tensor '{name}' is {:?}", info.dims)));
    }
    let dtype = info.dtype;
    let raw = gguf.read(name)?;
    Ok(match dtype {
        GgmlDType::F32 => raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        GgmlDType::F16 => {
            raw.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => {
            return Err(EngineError::Unsupported(format!("tensor '{name}' is {dtype:?}")));
        }
    })
}

#[cfg(test)]
#[path = "../../tests/engine/tiny.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::pedantic,
    reason = "two test binaries share this file, and each uses a part of it"
)]
mod tiny;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use candle_core::{Device, IndexOp, Tensor};
    use proptest::prelude::*;

    use super::{tiny::Tiny, *};

    const TEAM: Team = Team { n_threads: 1 };

    fn load(tiny: &Tiny) -> (Decoder, Gguf<Cursor<Vec<u8>>>) {
        let bytes = tiny.bytes();
        assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
        let mut gguf = Gguf::open(Cursor::new(bytes)).unwrap();
        let config = Config::read(&gguf).unwrap();
        (Decoder::load(&mut gguf, config, TEAM).unwrap(), gguf)
    }

    fn fresh(decoder: &Decoder, tokens: &[u32]) -> Vec<f32> {
        let mut cache = Cache::new(&decoder.config, 512).unwrap();
        logits(decoder, &mut cache, tokens)
    }

    fn logits(decoder: &Decoder, cache: &mut Cache, tokens: &[u32]) -> Vec<f32> {
        let mut out = Vec::new();
        let mut scratch = Scratch::default();
        decoder.evaluate(cache, tokens, &mut scratch, Some((&mut out, false)), TEAM).unwrap();
        out
    }

    /// The same model in plain tensor operations on dequantized weights, without a cache, a chunk
    /// or a kernel of ours.
    #[expect(clippy::many_single_char_names, reason = "the letters of the formulas")]
    fn reference(gguf: &mut Gguf<Cursor<Vec<u8>>>, tokens: &[u32]) -> Vec<f32> {
        let c = Config::read(gguf).unwrap();
        let mut get = |name: &str| {
            let info = gguf.tensor(name).ok()?.clone();
            let raw = gguf.read(name).unwrap();
            let dims: Vec<usize> = info.dims.iter().rev().copied().collect();
            let storage =
                candle_core::quantized::QStorage::from_data(raw.into(), &Device::Cpu, info.dtype);
            let tensor = candle_core::quantized::QTensor::new(storage.unwrap(), dims).unwrap();
            Some(tensor.dequantize(&Device::Cpu).unwrap())
        };
        let norm = |x: &Tensor, w: &Tensor| {
            candle_nn::ops::rms_norm(&x.contiguous().unwrap(), w, c.rms_eps).unwrap()
        };
        let n = tokens.len();
        let half = c.head / 2;
        let angles: Vec<f32> = (0..n)
            .flat_map(|p| {
                (0..half).map(move |i| {
                    let exponent = -2.0 * i as f32 / c.head as f32;
                    p as f32 * c.rope_base.powf(exponent)
                })
            })
            .collect();
        let angles = Tensor::from_vec(angles, (n, half), &Device::Cpu).unwrap();
        let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
        let embedding = get("token_embd.weight").unwrap();
        let ids = Tensor::new(tokens, &Device::Cpu).unwrap();
        let mut x = embedding.index_select(&ids, 0).unwrap();
        for i in 0..c.n_layers {
            let h = norm(&x, &get(&format!("blk.{i}.attn_norm.weight")).unwrap());
            let mut heads = |name: &str, n_heads: usize| {
                let w = get(&format!("blk.{i}.{name}.weight")).unwrap();
                let mut y = h.matmul(&w.t().unwrap()).unwrap();
                if let Some(bias) = get(&format!("blk.{i}.{name}.bias")) {
                    y = y.broadcast_add(&bias).unwrap();
                }
                let y = y.reshape((1, n, n_heads, c.head)).unwrap().transpose(1, 2).unwrap();
                y.contiguous().unwrap()
            };
            let rope = |x: Tensor| match c.rope {
                crate::engine::Rope::Halves => candle_nn::rotary_emb::rope(&x, &cos, &sin).unwrap(),
                crate::engine::Rope::Interleaved => {
                    candle_nn::rotary_emb::rope_i(&x, &cos, &sin).unwrap()
                }
            };
            let q = rope(heads("attn_q", c.n_heads));
            let k = rope(heads("attn_k", c.n_kv_heads));
            let v = heads("attn_v", c.n_kv_heads);
            let group = c.n_heads / c.n_kv_heads;
            let mut mixed = Vec::new();
            for h in 0..c.n_heads {
                let (q, k, v) = (
                    q.i((0, h)).unwrap(),
                    k.i((0, h / group)).unwrap(),
                    v.i((0, h / group)).unwrap(),
                );
                let scores = (q.matmul(&k.t().unwrap()).unwrap() / (c.head as f64).sqrt()).unwrap();
                let mask: Vec<f32> = (0..n * n)
                    .map(|at| if at % n > at / n { f32::NEG_INFINITY } else { 0.0 })
                    .collect();
                let mask = Tensor::from_vec(mask, (n, n), &Device::Cpu).unwrap();
                let weights = candle_nn::ops::softmax_last_dim(&(scores + mask).unwrap()).unwrap();
                mixed.push(weights.matmul(&v).unwrap());
            }
            let mixed = Tensor::cat(&mixed, 1).unwrap();
            let mut times = |x: &Tensor, name: &str| {
                let w = get(&format!("blk.{i}.{name}.weight")).unwrap();
                x.matmul(&w.t().unwrap()).unwrap()
            };
            x = (x + times(&mixed, "attn_output")).unwrap();
            let h = {
                let w = get(&format!("blk.{i}.ffn_norm.weight")).unwrap();
                norm(&x, &w)
            };
            let mut times = |x: &Tensor, name: &str| {
                let w = get(&format!("blk.{i}.{name}.weight")).unwrap();
                x.matmul(&w.t().unwrap()).unwrap()
            };
            let gate = candle_nn::ops::silu(&times(&h, "ffn_gate")).unwrap();
            let inside = (gate * times(&h, "ffn_up")).unwrap();
            x = (x + times(&inside, "ffn_down")).unwrap();
        }
        let x = norm(&x, &get("output_norm.weight").unwrap());
        let output = get("output.weight").unwrap_or(embedding);
        let last = x.i(n - 1..n).unwrap();
        last.matmul(&output.t().unwrap()).unwrap().i(0).unwrap().to_vec1().unwrap()
    }

    /// With random weights a wrong rotation, head or mask gives unrelated logits; what is left here
    /// is the rounding of activations and of the cache.
    #[test]
    fn logits_are_those_of_plain_tensor_operations() {
        let tokens: Vec<u32> = (0..37).map(|i| (i * 31 + 5) % 260).collect();
        let f16 = GgmlDType::F16;
        for tiny in [
            Tiny { dtype: f16, ..Tiny::qwen2() },
            Tiny { dtype: f16, ..Tiny::llama() },
            Tiny::qwen2(),
            Tiny::llama(),
            Tiny::k_quant(),
            Tiny { dtype: GgmlDType::Q6K, ..Tiny::k_quant() },
            Tiny { dtype: GgmlDType::Q5K, ..Tiny::k_quant() },
        ] {
            let (decoder, mut gguf) = load(&tiny);
            let (ours, theirs) = (fresh(&decoder, &tokens), reference(&mut gguf, &tokens));
            let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
            let apart: Vec<f32> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
            let relative = norm(&apart) / norm(&theirs);
            let most = if tiny.dtype == f16 { 0.005 } else { 0.05 };
            assert!(relative < most, "{} {:?}: {relative}", tiny.architecture, tiny.dtype);
        }
    }

    #[test]
    fn all_logits_end_with_the_last() {
        let (decoder, _) = load(&Tiny::qwen2());
        let tokens = [1, 2, 3, 4, 5];
        let mut cache = Cache::new(&decoder.config, 64).unwrap();
        let (mut all, mut scratch) = (Vec::new(), Scratch::default());
        decoder.evaluate(&mut cache, &tokens, &mut scratch, Some((&mut all, true)), TEAM).unwrap();
        let n = decoder.config.n_vocab;
        assert_eq!(all.len(), 5 * n);
        assert_eq!(all[4 * n..], fresh(&decoder, &tokens));
        assert_eq!(all[2 * n..3 * n], fresh(&decoder, &tokens[..3]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (decoder, _) = load(&Tiny::qwen2());
        let mut cache = Cache::new(&decoder.config, 16).unwrap();
        let mut scratch = Scratch::default();
        let mut try_it =
            |tokens: &[u32]| decoder.evaluate(&mut cache, tokens, &mut scratch, None, TEAM);
        assert!(matches!(try_it(&[1; 17]), Err(EngineError::TooLong { .. })));
        assert!(matches!(try_it(&[100_000]), Err(EngineError::NoToken { .. })));
        assert!(matches!(try_it(&[]), Err(EngineError::EmptyPrompt)));
        assert!(matches!(
            Cache::new(&decoder.config, usize::MAX / 4096),
            Err(EngineError::Unsupported(_))
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Any way of cutting, forgetting and evaluating again ends where a fresh evaluation does:
        /// bit by bit with our kernels, within 0.05 with candle's.
        #[test]
        fn truncated_and_extended_equals_fresh(
            kind in 0..3_usize,
            edits in proptest::collection::vec(
                (0..100_usize, proptest::collection::vec(0..260_u32, 1..40)), 1..6),
            n_threads in 1..3_usize,
        ) {
            let tiny = match kind {
                0 => Tiny::qwen2(),
                1 => Tiny::llama(),
                _ => Tiny::k_quant(),
            };
            let (decoder, _) = load(&tiny);
            let mut cache = Cache::new(&decoder.config, 256).unwrap();
            let mut scratch = Scratch::default();
            let mut ours = Vec::new();
            for (keep, tokens) in &edits {
                let keep = cache.tokens().len() * keep / 100;
                cache.truncate(keep);
                let wanted = Some((&mut ours, false));
                let team = Team { n_threads };
                decoder.evaluate(&mut cache, tokens, &mut scratch, wanted, team).unwrap();
            }
            let theirs = fresh(&decoder, cache.tokens());
            let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let most = if crate::engine::kernels::has_avx2() { 0.0 } else { 0.05 };
            prop_assert!(apart <= most, "{}", apart);
        }
    }
}
