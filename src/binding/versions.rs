//! The version slots: one word per watched key, in memory that JavaScript allocated.
//!
//! JavaScript keeps decoded values and asks again only when the word has changed. Words are written
//! on the JavaScript thread alone, so both sides use plain loads and stores. Word 0 stands for no
//! key: it takes the slot that a call gives beside its result.

use std::ptr;

use napi::sys;

use super::error::{check, Failure};
use super::memory::Words;

/// The `Uint32Array` with the words. Empty once its environment ends.
pub struct Slots {
    env: sys::napi_env,
    /// Keeps the array, and with it the memory, alive.
    reference: sys::napi_ref,
    words: Words,
}

impl Slots {
    /// # Safety
    ///
    /// `env` is the environment of the running call and `array` one of its values. Nobody may
    /// detach or shrink the array's buffer while this lives (`lib/` keeps it to itself).
    pub unsafe fn new(env: sys::napi_env, array: sys::napi_value) -> Result<Self, Failure> {
        let mut slots = Slots { env, reference: ptr::null_mut(), words: Words::NONE };
        let (mut kind, mut length) = (-1, 0);
        let mut data = ptr::null_mut();
        // SAFETY: every out pointer outlives the call, the others may be null.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                env,
                array,
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint32_array {
            return Err(Failure::invalid_argument("The slots must be a Uint32Array"));
        }
        // SAFETY: `array` is a value of `env`.
        check(unsafe { sys::napi_create_reference(env, array, 1, &mut slots.reference) })?;
        // SAFETY: the array has `length` words, is kept alive by `reference` until `release`, and
        // is used on this thread alone.
        slots.words = unsafe { Words::new(data.cast(), length) };
        Ok(slots)
    }

    /// Says that what these slots stand for has changed. A slot beyond the array is one that
    /// JavaScript has not made room for, so it has kept no value of it either.
    pub fn bump(&mut self, touched: &[u32]) {
        for &slot in touched {
            self.words.bump(slot);
        }
    }

    /// Says which slot the running call has found.
    pub fn tell(&mut self, slot: u32) {
        self.words.put(0, slot);
    }

    /// Lets go of the array.
    pub fn release(&mut self) {
        self.words = Words::NONE;
        let reference = std::mem::replace(&mut self.reference, ptr::null_mut());
        if !reference.is_null() {
            // SAFETY: the reference was made in `env`, which still exists: the last call of this
            // is its cleanup hook or a finalizer, both on its thread.
            unsafe { sys::napi_delete_reference(self.env, reference) };
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.release();
    }
}
