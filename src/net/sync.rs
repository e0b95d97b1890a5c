//! What keeps threads apart and wakes them. With the feature `loom` it is that of a model checker,
//! which tries every order in which threads can meet (`models.rs`).

#[cfg(feature = "loom")]
pub use checked::*;
#[cfg(not(feature = "loom"))]
pub use real::*;

#[cfg(not(feature = "loom"))]
mod real {
    pub use std::sync::atomic::AtomicBool;

    pub use parking_lot::{Mutex, MutexGuard};
    pub use tokio::sync::Notify;
}

/// What `real` has, as far as it is used.
#[cfg(feature = "loom")]
mod checked {
    use std::future::poll_fn;
    use std::ops::{Deref, DerefMut};
    use std::task::{Poll, Waker};

    pub use loom::sync::atomic::AtomicBool;

    #[derive(Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    pub struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>);

    /// One waiter, and a permit that waits for him.
    #[derive(Default)]
    pub struct Notify(Mutex<Permit>);

    #[derive(Default)]
    struct Permit {
        given: bool,
        waiter: Option<Waker>,
    }

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(self.0.lock().expect("not poisoned"))
        }
    }

    impl<T> MutexGuard<'_, T> {
        /// Every order is tried, this one too.
        pub fn unlock_fair(guard: Self) {
            drop(guard);
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }

    impl Notify {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn notify_one(&self) {
            let waiter = {
                let mut permit = self.0.lock();
                permit.given = true;
                permit.waiter.take()
            };
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }

        pub async fn notified(&self) {
            poll_fn(|context| {
                let mut permit = self.0.lock();
                if std::mem::take(&mut permit.given) {
                    return Poll::Ready(());
                }
                permit.waiter = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }
}
