//! How many files and connections this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rekindle_proto::server::incoming::Bounds;

/// More than any node needs.
const ENOUGH: u64 = 1 << 16;

/// Raises the soft limit as far as the hard one allows. Not for a process that starts workers: they would inherit it.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = ENOUGH.min(hard);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Connections leave half of the descriptors to the database, to workers and to calls of this process's own.
pub(crate) fn connections() -> Bounds {
    let bounds = Bounds::default();
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) => {
            let half = usize::try_from(soft / 2).unwrap_or(usize::MAX);
            Bounds { connections: bounds.connections.min(half), ..bounds }
        }
        Err(_) => bounds,
    }
}
