//! Bytes that a document takes for each key, as the allocator counts them.
//!
//! `cargo bench --bench memory`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use collective_io::engine::{Config, Engine, Now, Write};

const KEYS: usize = 1_000_000;

/// Counts what is asked for; what the system's allocator adds to it is not in.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let records = |n: usize| {
        [format!("area{}", n / 10_000), format!("user{}", n / 10), format!("f{}", n % 10)]
    };
    let leaves = |n: usize| [format!("area{}", n / 1_000), format!("user{n}"), "count".to_owned()];
    measure("integers, 3 levels, 10 fields a record", records, |n| n.to_string());
    measure("integers, 3 levels, 1 field a record", leaves, |n| n.to_string());
    measure("integers, 1 level", |n| [format!("user{n}")], |n| n.to_string());
    for bytes in [10, 100, 1_000] {
        measure(&format!("strings of {bytes} bytes, 3 levels, 10 fields"), records, |_| {
            text(bytes)
        });
    }
}

fn measure<const DEPTH: usize>(
    name: &str,
    path: impl Fn(usize) -> [String; DEPTH],
    value: impl Fn(usize) -> String,
) {
    let before = LIVE.load(Ordering::Relaxed);
    let start = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
    let mut engine = Engine::new(Config::default(), [1; 32], start);
    for n in 0..KEYS {
        let path = path(n);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let json = value(n);
        engine
            .write(start, Write::Set { path: &path, json: &json })
            .expect("a good path and value");
    }
    while engine.poll_output(start).is_some() {}
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    println!("{:>7.1} bytes a key: {name}", bytes as f64 / KEYS as f64);
}
