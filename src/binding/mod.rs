//! The addon: what JavaScript sees of a node. It converts and forwards, and decides nothing.
//!
//! | file | is |
//! | --- | --- |
//! | `node.rs` | `open` and the class `Node`: the cold calls, through the derive |
//! | `hot.rs` | `get`, `set` and the other frequent calls, as raw functions |
//! | `instance.rs` | what one opened node owns in its JavaScript environment |
//! | `versions.rs` | the version slots that JavaScript reads instead of calling |
//! | `doorbell.rs` | how the network thread wakes the JavaScript thread |
//! | `events.rs` | the JSON that a drain returns |
//! | `arguments.rs` | what else calls are given: numbers, kinds, peers |
//! | `text.rs` | strings in both directions, and keys |
//! | `options.rs` | the JSON that `open` takes |
//! | `credentials.rs` | what keeps strangers out |
//! | `error.rs` | what is thrown |
//!
//! The hot calls avoid the derive because it costs 100 to 300 ns per call with arguments; a raw
//! function costs 10. Their contract with JavaScript is
//! "The binding's contract" in `docs/ARCHITECTURE.md`.
//!
//! Everything here but [`doorbell::Doorbell`] belongs to one environment (the main thread or a
//! worker) and is used on its thread alone, hence `Rc` and `Cell`. No napi value is in a static:
//! the statics of this library are shared by all environments of the process.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod arguments;
mod credentials;
mod doorbell;
mod error;
mod events;
mod heap;
mod hot;
mod instance;
mod memory;
mod node;
mod options;
mod text;
mod versions;
