//! The unsafe code that is no call of Node-API: memory that JavaScript owns, memory that Node-API
//! fills, values that JavaScript holds. It knows nothing of napi, so that Miri can run its tests.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::slice;

/// The longest UTF-8 character.
const CHARACTER_BYTES_MAX: usize = 4;

/// Words in memory that somebody else keeps.
pub struct Words {
    first: *mut u32,
    length: usize,
}

impl Words {
    pub const NONE: Words = Words { first: ptr::null_mut(), length: 0 };

    /// # Safety
    ///
    /// As long as this is used there are `length` words from `first` on, aligned, and nobody else
    /// uses them from another thread or has a Rust reference to them.
    pub unsafe fn new(first: *mut u32, length: usize) -> Self {
        Words { first, length }
    }

    /// Adds one to a word. What is beyond the last is none of ours.
    pub fn bump(&mut self, index: u32) {
        self.change(index, |word| word.wrapping_add(1));
    }

    /// Writes a word, likewise.
    pub fn put(&mut self, index: u32, value: u32) {
        self.change(index, |_| value);
    }

    fn change(&mut self, index: u32, f: impl FnOnce(u32) -> u32) {
        let index = index as usize;
        if index < self.length {
            // SAFETY: the word is there, as `new` was promised; `&mut self` makes this the only
            // access from Rust.
            unsafe {
                let word = self.first.add(index);
                *word = f(*word);
            }
        }
    }
}

/// Room for one text: on the stack while it is short.
pub struct Room<const N: usize> {
    stack: [MaybeUninit<u8>; N],
    heap: Vec<u8>,
}

impl<const N: usize> Room<N> {
    pub const fn new() -> Self {
        Room { stack: [MaybeUninit::uninit(); N], heap: Vec::new() }
    }

    /// The bytes of a text that `fill` writes: to `room` bytes, as much of it as fits before a
    /// final NUL, cut between characters. It returns how many it has written, the NUL not counted.
    /// Without a place to write to it returns how many it would write.
    ///
    /// # Safety
    ///
    /// `fill` does that, and has the same text each time.
    pub unsafe fn read<E>(
        &mut self,
        mut fill: impl FnMut(*mut c_char, usize) -> Result<usize, E>,
    ) -> Result<&[u8], E> {
        let length = fill(self.stack.as_mut_ptr().cast(), N)?;
        // What did not fit was cut between characters, so a cut text has at least N - 4 bytes.
        if length < N - CHARACTER_BYTES_MAX {
            // SAFETY: `fill` has initialised the first `length` bytes, and `length` < N.
            return Ok(unsafe { slice::from_raw_parts(self.stack.as_ptr().cast(), length) });
        }
        let whole = fill(ptr::null_mut(), 0)?;
        self.heap = Vec::with_capacity(whole + 1);
        let length = fill(self.heap.as_mut_ptr().cast(), whole + 1)?;
        // SAFETY: `fill` has initialised `length` bytes, at most `whole`, of this capacity.
        unsafe { self.heap.set_len(length) };
        Ok(&self.heap)
    }
}

/// A share of a value, for somebody who can hold a pointer only. To be given back once.
pub fn share<T>(value: &Rc<T>) -> *mut c_void {
    Rc::into_raw(Rc::clone(value)).cast_mut().cast()
}

/// A pointer without a share: good as long as somebody else has one.
pub fn pointer<T>(value: &Rc<T>) -> *mut c_void {
    Rc::as_ptr(value).cast_mut().cast()
}

/// # Safety
///
/// `data` came from [`share`] or [`pointer`] of a `T`, which is not dropped before `'a` ends; this
/// is its thread.
pub unsafe fn shared<'a, T>(data: *mut c_void) -> &'a T {
    // SAFETY: as this function's.
    unsafe { &*data.cast_const().cast() }
}

/// # Safety
///
/// `data` came from [`share`] of a `T`, and is used no more; this is its thread.
pub unsafe fn give_back<T>(data: *mut c_void) {
    // SAFETY: as this function's.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<T>()) });
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn words_are_changed_in_memory_of_others() {
        let mut memory = vec![0u32, 7, u32::MAX];
        let (first, length) = (memory.as_mut_ptr(), memory.len());
        // SAFETY: `memory` is read through `first` alone while `words` is used.
        let mut words = unsafe { Words::new(first, length) };
        for index in [0, 2, 2, 3, u32::MAX] {
            words.bump(index);
        }
        // SAFETY: the first word is there.
        assert_eq!(unsafe { *first }, 1, "as JavaScript reads it, between two calls");
        words.bump(0);
        words.put(1, 9);
        words.put(3, 9);
        words = Words::NONE;
        words.bump(0);
        words.put(0, 9);
        assert_eq!(memory, [2, 9, 1]);
    }

    /// Writes `text` as Node-API would.
    fn fill(text: &str, room: *mut c_char, bytes: usize) -> Result<usize, ()> {
        if room.is_null() {
            return Ok(text.len());
        }
        let mut length = text.len().min(bytes - 1);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        // SAFETY: there is room for `bytes`, and `length` < `bytes`.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), room.cast(), length);
            room.add(length).write(0);
        }
        Ok(length)
    }

    #[test]
    fn texts_of_any_length_are_read_whole() {
        let mut room = Room::<16>::new();
        for length in 0..40 {
            for character in ["x", "é", "☃", "😀"] {
                let text = character.repeat(length);
                // SAFETY: `fill` is as it should be.
                let read = unsafe { room.read(|to, bytes| fill(&text, to, bytes)) };
                assert_eq!(read, Ok(text.as_bytes()));
            }
        }
    }

    #[test]
    fn a_failure_leaves_the_room_as_it_was() {
        let mut room = Room::<16>::new();
        let long = "x".repeat(20);
        for fails_at in 0..3 {
            let mut calls = 0;
            // SAFETY: `fill` is as it should be.
            let read = unsafe {
                room.read(|to, bytes| {
                    calls += 1;
                    if calls > fails_at {
                        Err(())
                    } else {
                        fill(&long, to, bytes)
                    }
                })
            };
            assert_eq!(read, Err(()));
        }
        // SAFETY: likewise.
        assert_eq!(unsafe { room.read(|to, bytes| fill("y", to, bytes)) }, Ok(&b"y"[..]));
    }

    struct Held {
        uses: Cell<u32>,
        memory: RefCell<Vec<u32>>,
        dropped: Rc<Cell<bool>>,
    }

    impl Drop for Held {
        fn drop(&mut self) {
            self.dropped.set(true);
            self.memory.borrow_mut().clear();
        }
    }

    #[test]
    fn what_is_shared_lives_until_the_last_share_is_given_back() {
        let dropped = Rc::new(Cell::new(false));
        let held = Rc::new(Held {
            uses: Cell::new(0),
            memory: RefCell::default(),
            dropped: Rc::clone(&dropped),
        });
        // As the functions of a node, and the hook at the end of its environment.
        let shares = [share(&held), share(&held)];
        let hook = pointer(&held);
        for data in [shares[0], shares[1], hook, shares[0]] {
            // SAFETY: two shares are out.
            let instance = unsafe { shared::<Held>(data) };
            instance.uses.set(instance.uses.get() + 1);
            instance.memory.borrow_mut().push(instance.uses.get());
            assert_eq!(held.uses.get(), instance.uses.get());
        }
        drop(held);
        // SAFETY: given back once each; the other one keeps the value.
        unsafe {
            give_back::<Held>(shares[0]);
            assert_eq!(shared::<Held>(hook).memory.borrow()[..], [1, 2, 3, 4]);
            assert!(!dropped.get());
            give_back::<Held>(shares[1]);
        }
        assert!(dropped.get());
    }
}
