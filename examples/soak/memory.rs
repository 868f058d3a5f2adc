//! The memory use of the process.

/// Returns the resident memory in KiB, or `None` if the system does not report it like Linux.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Whether the memory has stayed about the same. The margin is for allocators that return nothing to the system
/// and for open connections. Memory that grows with every call exceeds it.
pub(crate) fn is_flat(before: u64, after: u64) -> bool {
    after < before + before / 4 + 16 * 1024
}
