//! Text to tokens and back, by the vocabulary inside the GGUF.
//!
//! The text side does not know the control tokens at all: `<|fim_middle|>` in a source file is
//! spelled out like any other text, whatever the file says. A control token enters a prompt by its
//! name, through `Piece::Control`, and in no other way. (llama.cpp's `parse_special = false`,
//! without its exception for user-defined tokens.)

use std::{
    collections::HashMap,
    io::{Read, Seek},
};

use tokenizers::{
    SplitDelimiterBehavior,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{error::EngineError, gguf::Gguf};

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text, all of it.
    Text(&'a str),
    /// A control token, by its name.
    Control(&'a str),
}

/// The published patterns by which these model families cut text before byte-pair merging.
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// `tokenizer.ggml.token_type` of a token that stands for itself.
const NORMAL: i32 = 1;

/// Bytes of text that are tokenized at a time: bounds what the tokenizer allocates at once.
const MAX_TEXT: usize = 16 << 20;

/// A byte-level BPE vocabulary.
pub struct Tokenizer {
    text: tokenizers::Tokenizer,
    /// What each token stands for; empty for control tokens.
    bytes: Vec<Box<[u8]>>,
    is_control: Vec<bool>,
    controls: HashMap<String, u32>,
    begin: Option<u32>,
    ends: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("n_vocab", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the vocabulary; `n_vocab` is the number of rows of the embedding.
    pub fn read<R: Read + Seek>(gguf: &Gguf<R>, n_vocab: usize) -> Result<Self, EngineError> {
        let wrong = EngineError::Vocabulary;
        match gguf.text("tokenizer.ggml.model") {
            Some("gpt2") => {}
            Some(other) => {
                return Err(wrong(format!("it is of the kind '{other}', not byte-level BPE")));
            }
            None => return Err(EngineError::Missing("tokenizer.ggml.model".to_owned())),
        }
        let key = "tokenizer.ggml.tokens";
        let tokens = gguf.texts(key).ok_or_else(|| EngineError::Missing(key.to_owned()))?;
        if tokens.len() != n_vocab {
            return Err(wrong(format!(
                "it has {} tokens for {n_vocab} rows of the embedding",
                tokens.len()
            )));
        }
        let id = |key: &str| match gguf.count(key) {
            Some(id) if id >= n_vocab as u64 => {
                Err(wrong(format!("{key} is {id}, which it does not have")))
            }
            id => Ok(id.and_then(|id| u32::try_from(id).ok())),
        };
        let end = id("tokenizer.ggml.eos_token_id")?;
        let turn = id("tokenizer.ggml.eot_token_id")?;
        let ends: Vec<u32> = end.into_iter().chain(turn).collect();

        let kinds = gguf.ints("tokenizer.ggml.token_type").unwrap_or_default();
        if !kinds.is_empty() && kinds.len() != n_vocab {
            return Err(wrong(format!("it has kinds for {} of {n_vocab} tokens", kinds.len())));
        }
        let table = byte_table();
        let mut vocabulary = Vocab::default();
        let mut controls = HashMap::new();
        let (mut bytes, mut is_control) = (Vec::new(), Vec::new());
        for (id, token) in (0_u32..).zip(tokens) {
            let kind = kinds.get(id as usize).copied().unwrap_or(NORMAL);
            let plain = if kind == NORMAL && !ends.contains(&id) {
                token.chars().map(|c| table.get(&c).copied()).collect::<Option<Box<[u8]>>>()
            } else {
                None
            };
            is_control.push(plain.is_none());
            if plain.is_some() {
                vocabulary.insert(token.clone(), id);
            } else {
                controls.insert(token.clone(), id);
            }
            bytes.push(plain.unwrap_or_default());
        }
        let key = "tokenizer.ggml.merges";
        let merges = gguf.texts(key).ok_or_else(|| EngineError::Missing(key.to_owned()))?;
        // Checked here, as the builder below panics over a rule whose result is no token.
        let rule = |merge: &String| {
            let (a, b) = merge.split_once(' ')?;
            let known = [a, b, &format!("{a}{b}")].iter().all(|t| vocabulary.contains_key(*t));
            known.then(|| (a.to_owned(), b.to_owned()))
        };
        let merges = merges.iter().map(rule).collect::<Option<Vec<_>>>();
        let merges =
            merges.ok_or_else(|| wrong("a merge rule names what is no token".to_owned()))?;
        let pre = gguf.text("tokenizer.ggml.pre").unwrap_or("gpt-2");
        let (pre, ignore_merges) = pre_tokenizer(pre)?;
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .ignore_merges(ignore_merges)
            .build()
            .map_err(|err| wrong(format!("its merge rules do not fit its tokens ({err})")))?;
        let mut text = tokenizers::Tokenizer::new(model);
        text.with_pre_tokenizer(Some(pre));
        let begins = gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(false);
        let begin = if begins { id("tokenizer.ggml.bos_token_id")? } else { None };
        Ok(Self { text, bytes, is_control, controls, begin, ends })
    }

    pub fn n_vocab(&self) -> usize {
        self.bytes.len()
    }

    /// `text` as tokens, none of them a control token. Bytes that the vocabulary has no token for
    /// are left out, as in llama.cpp.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let mut at = rest.len().min(MAX_TEXT);
            while !rest.is_char_boundary(at) {
                at -= 1;
            }
            let (part, after) = rest.split_at(at);
            let encoding = self
                .text
                .encode_fast(part, false)
                .map_err(|err| EngineError::Failed(format!("tokenizing: {err}")))?;
            tokens.extend_from_slice(encoding.get_ids());
            rest = after;
        }
        Ok(tokens)
    }

    /// A prompt's pieces as tokens, behind the token that this model wants at the beginning of
    /// each text, if any.
    pub fn encode_pieces(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, EngineError> {
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        for piece in pieces {
            match piece {
                Piece::Text(text) => tokens.extend(self.encode(text)?),
                Piece::Control(name) => tokens.push(
                    self.control(name).ok_or_else(|| EngineError::NoControl((*name).to_owned()))?,
                ),
            }
        }
        Ok(tokens)
    }

    /// The control token of this name.
    pub fn control(&self, name: &str) -> Option<u32> {
        self.controls.get(name).copied()
    }

    /// Whether `token` is no text. Such a token ends a generation: it is never shown.
    pub fn is_control(&self, token: u32) -> bool {
        self.is_control.get(token as usize).copied().unwrap_or(true)
    }

    /// The tokens by which the model says that its text is at its end.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The bytes `token` stands for: not always whole characters. Empty for control tokens.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], |bytes| bytes)
    }
}

/// How the model family named by `tokenizer.ggml.pre` cuts text, and whether a cut that is a
/// token is taken whole. A family that is not known is refused: text cut in another way would be
/// other text to the model.
fn pre_tokenizer(pre: &str) -> Result<(PreTokenizerWrapper, bool), EngineError> {
    let pattern = |pattern: &str| {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .map_err(|err| EngineError::Failed(format!("the pattern of '{pre}': {err}")))?;
        let bytes = ByteLevel::new(false, false, false);
        Ok::<_, EngineError>(Sequence::new(vec![split.into(), bytes.into()]).into())
    };
    let gpt2 = || ByteLevel::new(false, false, true);
    match pre {
        "qwen2" => Ok((pattern(QWEN2)?, false)),
        "llama3" | "llama-bpe" | "llama-v3" => Ok((pattern(LLAMA3)?, true)),
        "gpt-2" | "gpt2" => Ok((gpt2().into(), false)),
        "starcoder" | "smollm" => {
            let digits = Digits::new(true);
            Ok((Sequence::new(vec![digits.into(), gpt2().into()]).into(), false))
        }
        other => {
            Err(EngineError::Vocabulary(format!("it cuts text by the unknown rule '{other}'")))
        }
    }
}

/// GPT-2's table of a printable character for each byte.
fn byte_table() -> HashMap<char, u8> {
    let mut next = 256_u32;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let code = if printable {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).map(|c| (c, byte))
        })
        .collect()
}
