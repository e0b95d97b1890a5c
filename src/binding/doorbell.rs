//! How the network thread wakes the JavaScript thread.

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::Status;

use crate::net::{Bell, Sink};

/// Weak, so that it doesn't keep the process alive. At most one ring waits: it carries nothing, and
/// the drain that answers it takes whatever is there by then.
type Ringer = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// A JavaScript function that any thread may have called soon, until [`Doorbell::silence`].
///
/// The function keeps the JavaScript side of the node alive, so an open node is never collected.
pub struct Doorbell(Bell<Ringer>);

impl Doorbell {
    pub fn new(function: &Function<'_, (), ()>) -> napi::Result<Self> {
        let ringer = function
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()?;
        Ok(Doorbell(Bell::new(ringer)))
    }

    /// No ring begins after this, and none is under way: from then on the environment may end.
    pub fn silence(&self) {
        self.0.silence();
    }
}

impl Sink for Doorbell {
    fn ring(&self) {
        self.0.ring(|ringer| {
            // A full queue means that a ring waits already; a closing one that nobody listens.
            ringer.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
    }
}
