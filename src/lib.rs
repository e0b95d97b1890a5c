//! collective-io: shared state that converges and jobs that ask every live node, for the Node.js
//! processes of a cluster, with no server to run.
//!
//! Four storeys, each knows only those below it:
//!
//! | storey | is |
//! | --- | --- |
//! | [`engine`] | pure state machines: no tokio, napi, socket, clock, thread or global RNG |
//! | [`net`] | the tokio shell that does what the engine says |
//! | `binding` | napi: converts and forwards, decides nothing |
//! | `lib/` | JavaScript classes over the binding |
//!
//! [`sim`] drives the real engine with a fake network and clock.

pub mod engine;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "addon")]
mod binding;

// Without napi, for its tests.
#[cfg(all(test, not(feature = "addon")))]
#[path = "binding/memory.rs"]
mod memory;
