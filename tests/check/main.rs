//! The ladder and the trials with real tools: fixture crates, `cargo`, `rustfmt`, whatever sandbox is
//! there. After every test the user's tree is what it was, byte by byte and time by time.

mod house;
mod labelled;
mod ladder;
mod overhead;
mod overlay;
mod sandbox;
mod trial;
