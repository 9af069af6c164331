//! `cargo +nightly fuzz run gguf -- -malloc_limit_mb=64`: no bytes may make the loader panic or
//! take memory that the file does not account for.
#![no_main]

use std::io::Cursor;

use hearth::engine::{Config, Gguf, Tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::open(Cursor::new(bytes)) else { return };
    let Ok(config) = Config::read(&gguf) else { return };
    let Ok(tokenizer) = Tokenizer::read(&gguf, config.n_vocab) else { return };
    let _ = tokenizer.encode("fn main() {}");
});
