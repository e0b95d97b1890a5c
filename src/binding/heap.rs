//! The allocator of the process.

/// Has the allocator give what is free back to the system. glibc keeps the pages of each thread that has
/// allocated, and a closed node was several: processes that open and close nodes would seem to grow.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: as its manual has it, it may be called from any thread at any time.
        unsafe { malloc_trim(0) };
    }
}
