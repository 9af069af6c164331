//! Opens a GGUF file: its metadata, and where its tensors lie.
//!
//! Every count and length in the header is checked against the length of the file before anything
//! is allocated for it, so a damaged or hostile file costs an error sentence, never memory. This
//! module must not trust a number it has read, and must not panic on any input.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use candle_core::quantized::GgmlDType;

use super::error::EngineError;

/// Longest key or tensor name, in bytes. llama.cpp allows 64 for tensor names and 65,535 for keys.
const MAX_NAME: u64 = 65_535;
/// Arrays of arrays are skipped down to this depth; no file in the field nests at all.
const MAX_DEPTH: usize = 4;

/// A metadata value, as far as the engine has a use for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i32>),
    /// Present, but of a kind that nothing here reads.
    Other,
}

/// Where one tensor lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Elements a dimension, fastest first as in the file: `[columns, rows]` for a matrix.
    pub dims: Vec<usize>,
    pub dtype: GgmlDType,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes in the file.
    pub size: usize,
}

impl TensorInfo {
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }
}

/// An opened file whose header has been checked: each tensor lies inside the file.
#[derive(Debug)]
pub struct Gguf<R> {
    reader: R,
    len: u64,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

impl<R: Read + Seek> Gguf<R> {
    /// Reads and checks the header. Costs memory in the order of the header's own size.
    pub fn open(mut reader: R) -> Result<Self, EngineError> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        let mut head = Header { reader: &mut reader, left: len };
        if head.array::<4>("the magic number").map_err(|_| EngineError::NotGguf)? != *b"GGUF" {
            return Err(EngineError::NotGguf);
        }
        match head.u32("the version")? {
            2 | 3 => {}
            version => return Err(EngineError::Version(version)),
        }
        let n_tensors = head.u64("the number of tensors")?;
        let n_pairs = head.u64("the number of metadata entries")?;
        // The smallest entry of each table: an empty name, a kind, and a value or an offset.
        head.expect("the metadata", n_pairs.saturating_mul(8 + 4 + 1))?;
        head.expect("the table of tensors", n_tensors.saturating_mul(8 + 4 + 4 + 8))?;

        let mut metadata = HashMap::new();
        for _ in 0..n_pairs {
            let key = head.text("a metadata key", MAX_NAME)?;
            let kind = head.u32("a metadata kind")?;
            let value = head.value(&key, kind)?;
            metadata.insert(key, value);
        }
        let mut declared = Vec::new();
        for _ in 0..n_tensors {
            declared.push(head.tensor()?);
        }
        let end = len - head.left;

        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && *n <= 1 << 16 => *n,
            Some(other) => {
                return Err(EngineError::Damaged(format!("an alignment of {other:?}")));
            }
        };
        let data = end.next_multiple_of(alignment);
        let mut tensors = HashMap::new();
        for (name, mut info) in declared {
            let start = data.checked_add(info.offset);
            let left = start.and_then(|start| len.checked_sub(start)).unwrap_or(0);
            let Some(start) = start.filter(|_| info.size as u64 <= left) else {
                let what = format!("tensor '{name}'");
                return Err(EngineError::Truncated { what, needed: info.size as u64, left });
            };
            info.offset = start;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(EngineError::Damaged(format!("tensor '{name}' occurs twice")));
            }
        }
        Ok(Self { reader, len, metadata, tensors })
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never true: a file without a header does not open.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative, of whatever width.
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Unsigned(n)) => Some(*n),
            Some(Value::Signed(n)) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    pub fn float(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key) {
            Some(Value::Float(x)) => Some(*x),
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key) {
            Some(Value::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    pub fn texts(&self, key: &str) -> Option<&[String]> {
        match self.metadata.get(key) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub fn ints(&self, key: &str) -> Option<&[i32]> {
        match self.metadata.get(key) {
            Some(Value::Ints(ints)) => Some(ints),
            _ => None,
        }
    }

    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, EngineError> {
        self.tensors.get(name).ok_or_else(|| EngineError::Missing(format!("tensor '{name}'")))
    }

    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// The raw bytes of one tensor: exactly `TensorInfo::size` of them.
    pub fn read(&mut self, name: &str) -> Result<Vec<u8>, EngineError> {
        let info = self.tensor(name)?;
        let (offset, size) = (info.offset, info.size);
        let mut bytes = vec![0; size];
        self.reader.seek(SeekFrom::Start(offset))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The part of the file that is still to be read, with a count of what is left of it.
struct Header<'a, R> {
    reader: &'a mut R,
    left: u64,
}

impl<R: Read> Header<'_, R> {
    fn expect(&self, what: &str, needed: u64) -> Result<(), EngineError> {
        if needed > self.left {
            return Err(EngineError::Truncated { what: what.to_owned(), needed, left: self.left });
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], EngineError> {
        self.expect(what, N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.left -= N as u64;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, EngineError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, EngineError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn bytes(&mut self, what: &str, n: u64) -> Result<Vec<u8>, EngineError> {
        self.expect(what, n)?;
        let size = usize::try_from(n).map_err(|_| EngineError::Damaged(what.to_owned()))?;
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes)?;
        self.left -= n;
        Ok(bytes)
    }

    fn text(&mut self, what: &str, max: u64) -> Result<String, EngineError> {
        let n = self.u64(what)?;
        if n > max {
            return Err(EngineError::Damaged(format!("{what} of {n} bytes")));
        }
        String::from_utf8(self.bytes(what, n)?)
            .map_err(|_| EngineError::Damaged(format!("{what} is not UTF-8")))
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<Value, EngineError> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array(key)?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array(key)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array(key)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array(key)?).into()),
            4 => Value::Unsigned(self.u32(key)?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array(key)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array(key)?).into()),
            7 => Value::Bool(self.array::<1>(key)? != [0]),
            8 => Value::Text(self.text(key, u64::MAX)?),
            9 => self.values(key, 0)?,
            10 => Value::Unsigned(self.u64(key)?),
            11 => Value::Signed(i64::from_le_bytes(self.array(key)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(key)?)),
            kind => {
                return Err(EngineError::Damaged(format!("'{key}' is of the unknown kind {kind}")));
            }
        })
    }

    fn values(&mut self, key: &str, depth: usize) -> Result<Value, EngineError> {
        let kind = self.u32(key)?;
        let n = self.u64(key)?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            _ => {
                return Err(EngineError::Damaged(format!("'{key}' lists the unknown kind {kind}")));
            }
        };
        let size = n.saturating_mul(width);
        self.expect(key, size)?;
        match kind {
            // A text takes at least eight bytes of the file, so the table is at most three times
            // what is left of it.
            8 => {
                (0..n).map(|_| self.text(key, u64::MAX)).collect::<Result<_, _>>().map(Value::Texts)
            }
            4 | 5 => {
                let bytes = self.bytes(key, size)?;
                let ints = bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b));
                Ok(Value::Ints(ints.collect()))
            }
            9 if depth >= MAX_DEPTH => {
                Err(EngineError::Damaged(format!("'{key}' nests lists too deep")))
            }
            9 => {
                for _ in 0..n {
                    self.values(key, depth + 1)?;
                }
                Ok(Value::Other)
            }
            _ => {
                std::io::copy(&mut self.reader.by_ref().take(size), &mut std::io::sink())?;
                self.left -= size;
                Ok(Value::Other)
            }
        }
    }

    fn tensor(&mut self) -> Result<(String, TensorInfo), EngineError> {
        let name = self.text("a tensor's name", MAX_NAME)?;
        let n_dims = self.u32("a tensor's shape")?;
        if !(1..=4).contains(&n_dims) {
            return Err(EngineError::Damaged(format!("tensor '{name}' has {n_dims} dimensions")));
        }
        let absurd = || EngineError::Damaged(format!("tensor '{name}' has an absurd shape"));
        let mut dims = Vec::new();
        for _ in 0..n_dims {
            dims.push(usize::try_from(self.u64("a tensor's shape")?).map_err(|_| absurd())?);
        }
        let code = self.u32("a tensor's type")?;
        let dtype = dtype(code).ok_or_else(|| {
            EngineError::Unsupported(format!("tensor '{name}' has the unknown type {code}"))
        })?;
        let offset = self.u64("a tensor's place")?;
        let elements = dims.iter().try_fold(1_usize, |n, dim| n.checked_mul(*dim));
        let elements = elements.filter(|n| *n > 0).ok_or_else(absurd)?;
        if !dims.first().is_some_and(|n| n.is_multiple_of(dtype.block_size())) {
            return Err(absurd());
        }
        let size =
            (elements / dtype.block_size()).checked_mul(dtype.type_size()).ok_or_else(absurd)?;
        Ok((name, TensorInfo { dims, dtype, offset, size }))
    }
}

/// The numbers of `ggml.h`. Types that candle cannot read are unknown here too.
fn dtype(code: u32) -> Option<GgmlDType> {
    Some(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}
