//! A bell that any thread may ring, until it is taken away.

use super::sync::Mutex;

/// Something to ring with, or nothing any more.
pub struct Bell<R>(Mutex<Option<R>>);

impl<R> Bell<R> {
    pub fn new(ringer: R) -> Self {
        Bell(Mutex::new(Some(ringer)))
    }

    /// Rings with `ring`, unless it was silenced.
    pub fn ring(&self, ring: impl FnOnce(&R)) {
        // The lock is held during the call, so that `silence` waits for it.
        if let Some(ringer) = &*self.0.lock() {
            ring(ringer);
        }
    }

    /// No ring begins after this, and none is under way.
    pub fn silence(&self) {
        let ringer = self.0.lock().take();
        drop(ringer);
    }
}
