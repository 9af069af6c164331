//! Writes the model that `bigram.rs` describes: `cargo run --example write_gguf -- FILE`.
//!
//! The format is described in ggml's `docs/gguf.md`.

pub(crate) mod bigram;

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::File,
    io::{self, BufWriter, Write},
};

#[allow(dead_code, reason = "tests include this file for `write`")]
fn main() -> anyhow::Result<()> {
    let path = env::args_os().nth(1).ok_or_else(|| anyhow::anyhow!("usage: write_gguf FILE"))?;
    let mut file = BufWriter::new(File::create(path)?);
    write(&mut file, &[])?;
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Qwen2.5-Coder's control tokens; the first one ends a text.
const CONTROL: [&str; 10] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|cursor|>",
];

/// Context the model claims to be trained for, in tokens.
const CONTEXT: u32 = 32_768;
/// Width of one attention head.
const HEAD: usize = 64;
/// Width of the MLP, whose weights are zero.
const FEED_FORWARD: usize = 64;
/// Alignment of tensor data in a GGUF file, the format's default.
const ALIGNMENT: usize = 32;

/// Writes the model as a GGUF file, with `more` in its metadata.
pub(crate) fn write(out: &mut impl Write, more: &[(&str, Value<'_>)]) -> io::Result<()> {
    let vocabulary = Vocabulary::new();
    let tokens = vocabulary.tokens.len();
    let width = tokens.next_multiple_of(HEAD);

    let mut embedding = Matrix::zero(tokens, width);
    let mut output = Matrix::zero(tokens, width);
    for (token, next) in vocabulary.successors().into_iter().enumerate() {
        embedding.set_one(token, token);
        output.set_one(next, token);
    }
    let square = || Matrix::zero(width, width).named("");
    let ones = || Tensor { name: "", dims: vec![width], values: vec![1.0; width] };
    let zeros = || Tensor { name: "", dims: vec![width], values: vec![0.0; width] };
    let tensors = [
        embedding.named("token_embd.weight"),
        output.named("output.weight"),
        Tensor { name: "output_norm.weight", ..ones() },
        Tensor { name: "blk.0.attn_norm.weight", ..ones() },
        Tensor { name: "blk.0.attn_q.weight", ..square() },
        Tensor { name: "blk.0.attn_q.bias", ..zeros() },
        Tensor { name: "blk.0.attn_k.weight", ..square() },
        Tensor { name: "blk.0.attn_k.bias", ..zeros() },
        Tensor { name: "blk.0.attn_v.weight", ..square() },
        Tensor { name: "blk.0.attn_v.bias", ..zeros() },
        Tensor { name: "blk.0.attn_output.weight", ..square() },
        Tensor { name: "blk.0.ffn_norm.weight", ..ones() },
        Matrix::zero(FEED_FORWARD, width).named("blk.0.ffn_gate.weight"),
        Matrix::zero(FEED_FORWARD, width).named("blk.0.ffn_up.weight"),
        Matrix::zero(width, FEED_FORWARD).named("blk.0.ffn_down.weight"),
    ];

    let heads = u32::try_from(width / HEAD).expect("a few heads");
    let metadata = [
        ("general.architecture", Value::Text("qwen2")),
        ("general.name", Value::Text("Qwen2.5 Coder bigram table")),
        ("general.file_type", Value::U32(0)),
        ("qwen2.context_length", Value::U32(CONTEXT)),
        ("qwen2.embedding_length", Value::U32(u32::try_from(width).expect("narrow"))),
        ("qwen2.feed_forward_length", Value::U32(u32::try_from(FEED_FORWARD).expect("narrow"))),
        ("qwen2.block_count", Value::U32(1)),
        ("qwen2.attention.head_count", Value::U32(heads)),
        ("qwen2.attention.head_count_kv", Value::U32(heads)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("qwen2.rope.freq_base", Value::F32(1_000_000.0)),
        ("tokenizer.ggml.model", Value::Text("gpt2")),
        ("tokenizer.ggml.pre", Value::Text("qwen2")),
        ("tokenizer.ggml.tokens", Value::Texts(&vocabulary.tokens)),
        ("tokenizer.ggml.token_type", Value::I32s(&vocabulary.types)),
        ("tokenizer.ggml.merges", Value::Texts(&vocabulary.merges)),
        ("tokenizer.ggml.eos_token_id", Value::U32(vocabulary.end())),
        ("tokenizer.ggml.padding_token_id", Value::U32(vocabulary.end())),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
    ];

    let mut head = Vec::new();
    head.extend(b"GGUF");
    head.extend(3_u32.to_le_bytes());
    put_len(&mut head, tensors.len());
    put_len(&mut head, metadata.len() + more.len());
    for (key, value) in metadata.iter().chain(more) {
        put_text(&mut head, key);
        value.put(&mut head);
    }
    let mut offset = 0;
    for tensor in &tensors {
        tensor.put_info(&mut head, offset);
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    out.write_all(&head)?;
    for tensor in &tensors {
        let mut data: Vec<u8> =
            tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        out.write_all(&data)?;
    }
    Ok(())
}

/// Tokens in the order of their ids, written as GPT-2 writes bytes.
struct Vocabulary {
    tokens: Vec<String>,
    /// A number of `llama_token_type` each: 1 is text, 3 control.
    types: Vec<i32>,
    merges: Vec<String>,
}

impl Vocabulary {
    fn new() -> Self {
        let mut tokens: Vec<String> = (0..=u8::MAX).map(|byte| spell(&[byte])).collect();
        let mut merges = Vec::new();
        for word in bigram::WORDS {
            // A word grows from the left, a letter a merge.
            for end in 2..=word.len() {
                let (left, right) = (spell(&word.as_bytes()[..end - 1]), &word[end - 1..end]);
                let right = spell(right.as_bytes());
                tokens.push(format!("{left}{right}"));
                merges.push(format!("{left} {right}"));
            }
        }
        tokens.extend(
            bigram::MIDDLE.iter().chain(&bigram::ENDLESS).map(|piece| spell(piece.as_bytes())),
        );
        let mut types = vec![1; tokens.len()];
        tokens.extend(CONTROL.map(str::to_owned));
        types.resize(tokens.len(), 3);
        let distinct: HashSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len(), "a text has one token");
        Self { tokens, types, merges }
    }

    fn end(&self) -> u32 {
        u32::try_from(self.tokens.len() - CONTROL.len()).expect("a small vocabulary")
    }

    /// The table: which token follows each token.
    fn successors(&self) -> Vec<usize> {
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
        let id = |text: &str| ids[spell(text.as_bytes()).as_str()];
        let mut next = vec![id(bigram::ENDLESS[0]); self.tokens.len()];
        for (here, piece) in bigram::ENDLESS.iter().enumerate() {
            next[id(piece)] = id(bigram::ENDLESS[(here + 1) % bigram::ENDLESS.len()]);
        }
        for pair in bigram::MIDDLE.windows(2) {
            next[id(pair[0])] = id(pair[1]);
        }
        next[ids["<|fim_middle|>"]] = id(bigram::MIDDLE[0]);
        next[id(bigram::MIDDLE[bigram::MIDDLE.len() - 1])] = ids[CONTROL[0]];
        next[ids[CONTROL[0]]] = ids[CONTROL[0]];
        next
    }
}

/// Bytes as GPT-2's tokenizer spells them: printable Latin-1 stands for itself, every other byte for
/// a character from U+0100 upwards.
fn spell(bytes: &[u8]) -> String {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    bytes
        .iter()
        .map(|&byte| {
            if printable(byte) {
                return char::from(byte);
            }
            let rank = (0..byte).filter(|&byte| !printable(byte)).count();
            char::from_u32(0x100 + u32::try_from(rank).expect("below 256")).expect("a letter")
        })
        .collect()
}

/// A metadata value, with the format's number for its type.
pub(crate) enum Value<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    Texts(&'a [String]),
    I32s(&'a [i32]),
}

impl Value<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let mut tag = |number: u32| out.extend(number.to_le_bytes());
        match self {
            Self::U32(value) => {
                tag(4);
                out.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                tag(6);
                out.extend(value.to_le_bytes());
            }
            Self::Bool(value) => {
                tag(7);
                out.push(u8::from(*value));
            }
            Self::Text(text) => {
                tag(8);
                put_text(out, text);
            }
            Self::Texts(texts) => {
                tag(9);
                tag(8);
                put_len(out, texts.len());
                texts.iter().for_each(|text| put_text(out, text));
            }
            Self::I32s(values) => {
                tag(9);
                tag(5);
                put_len(out, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
        }
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend((len as u64).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend(text.as_bytes());
}

/// A named tensor of 32-bit floats, the innermost dimension first.
struct Tensor {
    name: &'static str,
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }

    fn put_info(&self, out: &mut Vec<u8>, offset: usize) {
        put_text(out, self.name);
        out.extend(u32::try_from(self.dims.len()).expect("two at most").to_le_bytes());
        self.dims.iter().for_each(|&dim| put_len(out, dim));
        out.extend(0_u32.to_le_bytes());
        put_len(out, offset);
    }
}

/// Rows of equal width.
struct Matrix {
    width: usize,
    rows: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn zero(rows: usize, width: usize) -> Self {
        Self { width, rows, values: vec![0.0; rows * width] }
    }

    fn set_one(&mut self, row: usize, column: usize) {
        self.values[row * self.width + column] = 1.0;
    }

    fn named(self, name: &'static str) -> Tensor {
        Tensor { name, dims: vec![self.width, self.rows], values: self.values }
    }
}
