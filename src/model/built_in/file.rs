//! Which GGUF this process runs: the one that the user chose with `hearth model use`, else the one
//! that was compiled in.
//!
//! The choice lies in the user's own data folder and nowhere else: what a repository contains never
//! names a file to load.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::super::{
    Card, ModelFacts,
    fim::{self, Mode},
};
use crate::{
    config,
    engine::{Basics, Engine, EngineError, Gguf, Options},
};

/// The model that came with Hearth. Linked in, so that the bare binary has it; the system reads it
/// from the disk when it is looked at, and not before.
const SHIPPED: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/hearth.gguf"));

/// Tokens of context: more than any prompt for a completion has, and of a model of 1.5 billion
/// parameters still only some 100 MB of keys and values.
pub(super) const MAX_CONTEXT: usize = 4096;

/// `show_above` of a file that does not say: a model that knows itself is right half of the time when
/// it says so.
const SHOW_ABOVE: f32 = 0.5;

/// A model file, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFile {
    /// Compiled in.
    Shipped,
    /// Of the user's choice.
    At(PathBuf),
}

/// The user's choice, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    pub path: PathBuf,
    /// As measured when it was chosen, in tokens a second.
    pub prefill_speed: f64,
    pub decode_speed: f64,
}

impl Chosen {
    /// Where the choice is kept; `None` where there is no home folder.
    pub fn place() -> Option<PathBuf> {
        Some(config::data_folder()?.join("model.toml"))
    }

    /// What was chosen, if anything was.
    pub fn read() -> io::Result<Option<Self>> {
        let Some(place) = Self::place() else { return Ok(None) };
        match fs::read_to_string(place) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the choice, and says where.
    pub fn write(&self) -> io::Result<PathBuf> {
        let place = Self::place().ok_or_else(|| io::Error::other("there is no home folder"))?;
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = toml::to_string(self).map_err(io::Error::other)?;
        fs::write(&place, text)?;
        Ok(place)
    }

    /// Forgets the choice; says whether there was one.
    pub fn forget() -> io::Result<bool> {
        let Some(place) = Self::place() else { return Ok(false) };
        match fs::remove_file(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Bytes of a model file.
pub(super) trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

/// Tells two states of a file apart: its length and when it was written. Nothing of what is
/// compiled in, which cannot change.
pub(super) type Stamp = Option<(u64, SystemTime)>;

impl ModelFile {
    /// The file to run: the user's choice, else the one that came with Hearth.
    pub fn current() -> io::Result<Self> {
        Ok(Chosen::read()?.map_or(Self::Shipped, |chosen| Self::At(chosen.path)))
    }

    /// Bytes of the file.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            Self::Shipped => Ok(SHIPPED.len() as u64),
            Self::At(path) => Ok(fs::metadata(path)?.len()),
        }
    }

    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let Self::At(path) = self else { return Ok(None) };
        let metadata = fs::metadata(path)?;
        Ok(Some((metadata.len(), metadata.modified()?)))
    }

    /// Blocks while it reads.
    pub(super) fn load(&self, options: &Options) -> Result<Engine, EngineError> {
        match self {
            Self::Shipped => Engine::read(Cursor::new(SHIPPED), options),
            Self::At(path) => Engine::load(path, options),
        }
    }

    fn open(&self) -> io::Result<Box<dyn Bytes>> {
        Ok(match self {
            Self::Shipped => Box::new(Cursor::new(SHIPPED)),
            Self::At(path) => Box::new(BufReader::new(File::open(path)?)),
        })
    }

    /// What the file says of itself, or why the engine cannot complete with it. Reads the header alone.
    pub fn facts(&self) -> Result<ModelFacts, EngineError> {
        let gguf = Gguf::open(self.open()?)?;
        let basics = Basics::read(&gguf)?;
        let stem = match self {
            Self::Shipped => None,
            Self::At(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a probability has few digits")]
        let show_above = gguf.float("hearth.show_above").map_or(SHOW_ABOVE, |p| p as f32);
        let facts = ModelFacts {
            name: gguf.text("general.name").map(str::to_owned).or(stem).unwrap_or_default(),
            file: self.path().map(|path| path.display().to_string()),
            loaded: Some(false),
            context: Some(basics.trained_ctx.min(MAX_CONTEXT)),
            trained_context: Some(basics.trained_ctx),
            parameters: Some(gguf.tensors().map(|(_, info)| info.elements() as u64).sum()),
            template: gguf.text("tokenizer.chat_template").map(str::to_owned),
            architecture: Some(basics.architecture),
            card: Some(Card {
                layout_version: gguf.count("hearth.layout_version"),
                show_above,
                ghost_text: gguf.flag("hearth.ghost_text").unwrap_or(true),
                chosen: *self != Self::Shipped,
            }),
            ..ModelFacts::default()
        };
        match fim::choose(&facts) {
            Mode::Fim(tokens) => {
                let known = gguf.texts("tokenizer.ggml.tokens").unwrap_or_default();
                let needed = [tokens.prefix, tokens.suffix, tokens.middle].map(str::trim);
                let missing = needed.iter().find(|name| !known.iter().any(|token| token == *name));
                missing.map_or(Ok(facts), |name| Err(EngineError::NoControl((*name).to_owned())))
            }
            Mode::Prefix => Ok(facts),
            Mode::Hole => Err(EngineError::Unsupported(
                "it follows instructions, and the built-in engine has no chats; take a base model \
                 that fills in the middle, or run it in a model server"
                    .to_owned(),
            )),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Shipped => None,
            Self::At(path) => Some(path),
        }
    }
}

impl fmt::Display for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped => f.write_str("that came with Hearth"),
            Self::At(path) => path.display().fmt(f),
        }
    }
}
