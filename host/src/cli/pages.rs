//! The size of the pages in which the kernel gives memory.

/// Has the kernel give this process base pages only, and not transparent huge pages (`prctl(2)`, `PR_SET_THP_DISABLE`), which the allocator
/// asks for. Batches are allocated and freed all the time: of a page of 2 MiB all is cleared although a batch needs less, a part of it that
/// is given back splits it, and what is left of it counts as memory in use. bench/README.md has the figures.
///
/// What this process starts inherits it. A kernel that refuses costs memory and time, and nothing else.
pub(super) fn never_huge() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}
