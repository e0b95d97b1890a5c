//! What is fuzzed: each target takes any bytes, and panics if they break what it promises.
//!
//! `fuzz/` gives them to libFuzzer, `tests/fuzzing.rs` runs them over the corpora of `fuzz/corpus/`
//! and a few thousand mutants of these.

// Each binary of `fuzz/` uses one of them.
#![allow(dead_code)]

#[path = "../mesh/mod.rs"]
mod mesh;

mod feed;
mod frames;
mod json;
mod messages;
mod operations;
mod peer;
mod reader;
mod stranger;
mod victim;

pub use feed::feed;
pub use frames::frames;
pub use json::json;
pub use messages::messages;
pub use operations::operations;
pub use peer::peer;
pub use stranger::stranger;
pub use victim::MESSAGE_BYTES_MAX;

pub type Target = fn(&[u8]);

/// By the names of their folders in `fuzz/corpus/`.
pub const TARGETS: [(&str, Target); 7] = [
    ("frames", frames),
    ("messages", messages),
    ("stranger", stranger),
    ("peer", peer),
    ("feed", feed),
    ("json", json),
    ("operations", operations),
];
