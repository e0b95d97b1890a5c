//! The one network thread of the process, and its two clocks. With the feature `turmoil` every host
//! of a simulation has its own.

#[cfg(not(feature = "turmoil"))]
pub(super) use real::*;
#[cfg(feature = "turmoil")]
pub(super) use simulated::*;

#[cfg(not(feature = "turmoil"))]
mod real {
    use std::future::{pending, Future};
    use std::sync::OnceLock;
    use std::thread;
    use std::time::{Duration, Instant};

    use tokio::runtime::{Builder, Handle};

    use crate::engine::Now;

    /// Name lookups block a thread each. More than a few at once means that the resolver hangs, and
    /// then more threads do not help.
    const LOOKUP_THREADS_MAX: usize = 8;

    /// The runtime that serves every node of the process, started on first use.
    ///
    /// It is never dropped: Node.js runs no cleanup on `process.exit()`, and a worker thread that ends
    /// must not take the nodes of the others with it. An idle one costs a parked thread.
    pub fn handle() -> &'static Handle {
        static HANDLE: OnceLock<Handle> = OnceLock::new();
        HANDLE.get_or_init(|| {
            // Both fail only when the process is out of threads or descriptors. The caller (the
            // binding) turns the panic into a JavaScript error, and a later call tries again.
            let runtime = Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .thread_name("collective-dns")
                .max_blocking_threads(LOOKUP_THREADS_MAX)
                .build()
                .expect("the network runtime could not start");
            let handle = runtime.handle().clone();
            thread::Builder::new()
                .name("collective-net".into())
                .spawn(move || runtime.block_on(pending::<()>()))
                .expect("the network thread could not start");
            handle
        })
    }

    /// Runs a task on the network thread.
    pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        #[cfg(not(feature = "loom"))]
        handle().spawn(task);
        #[cfg(feature = "loom")]
        loom::future::block_on(task);
    }

    /// The only place where the clocks are read for an engine.
    #[cfg(not(feature = "loom"))]
    pub fn now() -> Now {
        use std::time::{SystemTime, UNIX_EPOCH};
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic_ms: start().elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
    }

    /// Time stands still: what happens in a model must depend on the order alone.
    #[cfg(feature = "loom")]
    pub fn now() -> Now {
        Now { monotonic_ms: 1000, wall_ms: 1_750_000_000_000 }
    }

    /// When the monotonic clock of [`now`] shows so many milliseconds.
    pub fn instant(monotonic_ms: u64) -> tokio::time::Instant {
        (start() + Duration::from_millis(monotonic_ms)).into()
    }

    fn start() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }
}

#[cfg(feature = "turmoil")]
mod simulated {
    use std::future::Future;
    use std::time::Duration;

    use tokio::time::Instant;

    use crate::engine::Now;

    pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    pub fn now() -> Now {
        let ms = |elapsed: Option<Duration>| elapsed.unwrap_or_default().as_millis() as u64;
        Now { monotonic_ms: ms(turmoil::sim_elapsed()), wall_ms: ms(turmoil::since_epoch()) }
    }

    pub fn instant(monotonic_ms: u64) -> Instant {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        Instant::now() + Duration::from_millis(monotonic_ms).saturating_sub(elapsed)
    }
}
