//! The one network thread of the process, and its two clocks.

use std::future::pending;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Handle};

use crate::engine::Now;

/// Name lookups block a thread each. More than a few at once means that the resolver hangs, and
/// then more threads do not help.
const LOOKUP_THREADS_MAX: usize = 8;

/// The runtime that serves every node of the process, started on first use.
///
/// It is never dropped: Node.js runs no cleanup on `process.exit()`, and a worker thread that ends
/// must not take the nodes of the others with it. An idle one costs a parked thread.
pub(super) fn handle() -> &'static Handle {
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

/// The only place where the clocks are read for an engine.
pub(super) fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { monotonic_ms: start().elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
}

/// When the monotonic clock of [`now`] shows so many milliseconds.
pub(super) fn instant(monotonic_ms: u64) -> tokio::time::Instant {
    (start() + Duration::from_millis(monotonic_ms)).into()
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}
