//! Writes the model of `bigram.rs` to the path given: `cargo run --example write_gguf -- FILE`.

mod bigram;

use std::{env, fs::File, io::BufWriter};

fn main() -> anyhow::Result<()> {
    let path = env::args_os().nth(1).ok_or_else(|| anyhow::anyhow!("usage: write_gguf FILE"))?;
    let mut file = BufWriter::new(File::create(path)?);
    bigram::write(&mut file)?;
    file.into_inner()?.sync_all()?;
    Ok(())
}
