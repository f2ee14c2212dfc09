//! Faults injected on purpose, to show and to test recovery.

/// Kill the worker of a role with SIGKILL, together with its process group, when it has done so many events.
///
/// Happens once per session: only to the first incarnation of the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// Name of the role.
    pub role: String,
    /// Completed events, at least 1.
    pub events: u64,
}
