//! Writes GGUF files of random weights, small enough for any test.
//!
//! The weights come from a fixed seed; the vocabulary is byte-level BPE with a few merges and the
//! control tokens of Qwen2.5-Coder.

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};

/// The control tokens, behind the text tokens.
pub const CONTROLS: [&str; 9] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// What to write.
#[derive(Debug, Clone)]
pub struct Tiny {
    pub architecture: &'static str,
    pub dtype: GgmlDType,
    pub width: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub ffn_width: usize,
    pub n_ctx: u32,
    pub tied: bool,
    /// Standard deviation of the embedding: large ones make the model sure of itself.
    pub spread: f32,
    pub seed: u64,
    /// Replaces the tokens of the vocabulary, to make a wrong one.
    pub tokens: Option<Vec<String>>,
    pub pre: &'static str,
    /// `hearth.copy.trust`; empty for a model that does not copy.
    pub trust: Vec<i32>,
}

impl Tiny {
    pub fn qwen2() -> Self {
        Self {
            architecture: "qwen2",
            dtype: GgmlDType::Q8_0,
            width: 64,
            n_layers: 2,
            n_heads: 4,
            n_kv_heads: 2,
            ffn_width: 128,
            n_ctx: 512,
            tied: true,
            spread: 1.0,
            seed: 1,
            tokens: None,
            pre: "qwen2",
            trust: Vec::new(),
        }
    }

    pub fn llama() -> Self {
        Self { architecture: "llama", tied: false, seed: 2, ..Self::qwen2() }
    }

    /// `llama()` under a name that Hearth's own decoder does not know: where its scales are 1, a granite
    /// model is a llama model.
    pub fn granite() -> Self {
        Self { architecture: "granite", ..Self::llama() }
    }

    /// With dimensions that K-quants can have.
    pub fn k_quant() -> Self {
        Self { dtype: GgmlDType::Q4K, width: 256, ffn_width: 256, ..Self::qwen2() }
    }

    /// The text tokens and merge rules.
    pub fn vocabulary() -> (Vec<String>, Vec<String>) {
        let mut next = 256;
        let mut tokens: Vec<String> = (0..=255_u8)
            .map(|byte| {
                let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
                let code = if printable {
                    u32::from(byte)
                } else {
                    next += 1;
                    next - 1
                };
                char::from_u32(code).unwrap().to_string()
            })
            .collect();
        let merges = ["f n", "l e", "le t", "Ġ =", "i n", "Ġ Ġ", "ĠĠ ĠĠ", "Ċ Ċ", "s t", "st r"];
        tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
        (tokens, merges.iter().map(|m| (*m).to_owned()).collect())
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let (text, merges) = Self::vocabulary();
        let n_text = text.len();
        let mut tokens: Vec<String> = text.into_iter().chain(CONTROLS.map(str::to_owned)).collect();
        let n_vocab = tokens.len();
        let end = n_text as u32;
        if let Some(other) = &self.tokens {
            tokens.clone_from(other);
        }
        let a = self.architecture;
        let mut head = Head::default();
        head.text("general.architecture", a);
        head.text("general.name", "tiny");
        head.u32("hearth.layout_version", 1);
        for (key, value) in [
            ("block_count", self.n_layers as u32),
            ("embedding_length", self.width as u32),
            ("feed_forward_length", self.ffn_width as u32),
            ("attention.head_count", self.n_heads as u32),
            ("attention.head_count_kv", self.n_kv_heads as u32),
            ("context_length", self.n_ctx),
        ] {
            head.u32(&format!("{a}.{key}"), value);
        }
        head.f32(&format!("{a}.attention.layer_norm_rms_epsilon"), 1e-6);
        head.f32(&format!("{a}.rope.freq_base"), 10_000.0);
        if a == "granite" {
            head.f32("granite.logit_scale", 1.0);
        }
        head.text("tokenizer.ggml.model", "gpt2");
        head.text("tokenizer.ggml.pre", self.pre);
        head.texts("tokenizer.ggml.tokens", &tokens);
        head.texts("tokenizer.ggml.merges", &merges);
        let kinds: Vec<i32> = (0..tokens.len()).map(|i| if i < n_text { 1 } else { 3 }).collect();
        head.ints("tokenizer.ggml.token_type", &kinds);
        head.u32("tokenizer.ggml.eos_token_id", end);
        head.flag("tokenizer.ggml.add_bos_token", false);
        for (key, at) in [("fim_pre", 3), ("fim_mid", 4), ("fim_suf", 5)] {
            head.u32(&format!("tokenizer.ggml.{key}_token_id"), end + at);
        }
        if !self.trust.is_empty() {
            head.ints("hearth.copy.trust", &self.trust);
        }

        let head_width = self.width / self.n_heads;
        let kv = self.n_kv_heads * head_width;
        let mut random = Random(self.seed);
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        let mut add = |name: String, dims: &[usize], spread: f32, dtype: GgmlDType| {
            let n = dims.iter().product();
            let data: Vec<f32> = if spread == 0.0 {
                vec![1.0; n]
            } else {
                (0..n).map(|_| random.normal() * spread).collect()
            };
            let tensor = Tensor::from_vec(data, dims, &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&tensor, dtype).unwrap()));
        };
        let (w, f, dtype) = (self.width, self.ffn_width, self.dtype);
        add("token_embd.weight".into(), &[n_vocab, w], self.spread, dtype);
        add("output_norm.weight".into(), &[w], 0.0, GgmlDType::F32);
        if !self.tied {
            add("output.weight".into(), &[n_vocab, w], 0.3, dtype);
        }
        for i in 0..self.n_layers {
            for (name, rows, columns) in [
                ("attn_q", w, w),
                ("attn_k", kv, w),
                ("attn_v", kv, w),
                ("attn_output", w, w),
                ("ffn_gate", f, w),
                ("ffn_up", f, w),
                ("ffn_down", w, f),
            ] {
                let spread = 1.0 / (columns as f32).sqrt();
                add(format!("blk.{i}.{name}.weight"), &[rows, columns], spread, dtype);
                if a == "qwen2" && ["attn_q", "attn_k", "attn_v"].contains(&name) {
                    add(format!("blk.{i}.{name}.bias"), &[rows], 0.5, GgmlDType::F32);
                }
            }
            add(format!("blk.{i}.attn_norm.weight"), &[w], 0.0, GgmlDType::F32);
            add(format!("blk.{i}.ffn_norm.weight"), &[w], 0.0, GgmlDType::F32);
        }
        head.finish(&tensors)
    }
}

#[derive(Default)]
struct Head {
    n: u64,
    bytes: Vec<u8>,
}

impl Head {
    fn key(&mut self, key: &str, kind: u32) {
        self.n += 1;
        string(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        string(&mut self.bytes, value);
    }

    fn u32(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn f32(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key, 7);
        self.bytes.push(u8::from(value));
    }

    fn list(&mut self, key: &str, kind: u32, n: usize) {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((n as u64).to_le_bytes());
    }

    fn texts(&mut self, key: &str, values: &[String]) {
        self.list(key, 8, values.len());
        values.iter().for_each(|value| string(&mut self.bytes, value));
    }

    fn ints(&mut self, key: &str, values: &[i32]) {
        self.list(key, 5, values.len());
        values.iter().for_each(|value| self.bytes.extend(value.to_le_bytes()));
    }

    fn finish(self, tensors: &[(String, QTensor)]) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend((tensors.len() as u64).to_le_bytes());
        file.extend(self.n.to_le_bytes());
        file.extend(self.bytes);
        let mut data: Vec<u8> = Vec::new();
        for (name, tensor) in tensors {
            string(&mut file, name);
            let dims = tensor.shape().dims();
            file.extend((dims.len() as u32).to_le_bytes());
            dims.iter().rev().for_each(|dim| file.extend((*dim as u64).to_le_bytes()));
            file.extend(code(tensor.dtype()).to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend_from_slice(&tensor.data().unwrap());
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file
    }
}

fn string(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

fn code(dtype: GgmlDType) -> u32 {
    match dtype {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        other => panic!("{other:?} is not written here"),
    }
}

/// A linear congruential generator (Knuth's MMIX constants) and Box and Muller's transform.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 + 0.5) / (1_u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    }
}
