//! How much memory the process takes.

/// In KiB; `None` where the system does not say it as Linux does.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Whether it is about as much as before. An allocator that returns nothing to the system, and
/// connections that happen to be open, are allowed for; what grows with every call is not.
pub(crate) fn is_flat(before: u64, after: u64) -> bool {
    after < before + before / 4 + 16 * 1024
}
