//! Says whether there is a model to build in: a clone without one builds too.

use std::path::Path;

const MODEL: &str = "models/hearth.gguf";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(shipped_model)");
    // The folder too, or a model that is put there later would not be noticed.
    println!("cargo::rerun-if-changed=models");
    if Path::new(MODEL).exists() {
        println!("cargo::rerun-if-changed={MODEL}");
        println!("cargo::rustc-cfg=shipped_model");
    }
}
