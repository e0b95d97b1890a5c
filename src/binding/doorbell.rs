//! How the network thread wakes the JavaScript thread.

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::Status;
use parking_lot::Mutex;

use crate::net::Sink;

/// Weak, so that it doesn't keep the process alive. At most one ring waits: it carries nothing, and
/// the drain that answers it takes whatever is there by then.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// A JavaScript function that any thread may have called soon, until [`Doorbell::silence`].
///
/// The function keeps the JavaScript side of the node alive, so an open node is never collected.
pub struct Doorbell(Mutex<Option<Bell>>);

impl Doorbell {
    pub fn new(function: &Function<'_, (), ()>) -> napi::Result<Self> {
        let bell = function
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()?;
        Ok(Doorbell(Mutex::new(Some(bell))))
    }

    /// No ring begins after this, and none is under way: from then on the environment may end.
    pub fn silence(&self) {
        let bell = self.0.lock().take();
        drop(bell);
    }
}

impl Sink for Doorbell {
    fn ring(&self) {
        // The lock is held during the call, so that `silence` waits for it.
        if let Some(bell) = &*self.0.lock() {
            // A full queue means that a ring waits already; a closing one that nobody listens.
            bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}
