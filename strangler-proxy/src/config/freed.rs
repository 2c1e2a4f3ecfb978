//! Memory that reading a configuration has used and needs no more goes back to the system.

/// Below this many bytes of text there is nothing worth it: a thousand bytes take about half a megabyte to read.
const TEXT_MIN: usize = 8 * 1024;

/// To be called when what a text of this length was read with is gone. A thousand routes take 25 MB to read and 5 MB to keep,
/// and the allocator of glibc keeps all of it, since what is kept lies between.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "there is no safe wrapper, and nothing but this gives pages back from the middle"
)]
pub fn release(text_bytes: usize) {
    if text_bytes >= TEXT_MIN {
        // SAFETY: it takes no pointer, and may be called from any thread at any time (MT-Safe).
        unsafe { libc::malloc_trim(0) };
    }
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn release(_text_bytes: usize) {}
