//! How much room there is on the disk, and what is done when there is little.
//!
//! Below one limit a node takes no new work and gives its leadership away, below a second one it takes no entries of
//! others either. Votes and marks, which are small, are written to the end: so it stays a member that can be asked. All of it
//! ends by itself when there is room again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::sync::watch;
use tokio::time::sleep;

use super::reserve::Reserve;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
const MIB: u64 = 1 << 20;

/// Of the file system that a folder is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this process may still use.
    pub free: u64,
}

/// Says how much room there is.
pub trait FreeSpace: Send + Sync + 'static {
    /// As of now. May block.
    fn look(&self) -> io::Result<Volume>;
}

/// The real one.
pub(crate) struct FolderSpace(pub(crate) PathBuf);

impl FreeSpace for FolderSpace {
    fn look(&self) -> io::Result<Volume> {
        volume(&self.0)
    }
}

pub(crate) fn volume(folder: &Path) -> io::Result<Volume> {
    let found = statvfs(folder)?;
    let unit = found.fragment_size();
    Ok(Volume { total: found.blocks().saturating_mul(unit), free: found.blocks_available().saturating_mul(unit) })
}

/// What fits a disk of some size: a small one is filled by what a large one does not feel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// With less than this free, no new work.
    pub(crate) low: u64,
    /// With less than this free, no entries of the leader either.
    pub(crate) critical: u64,
    pub(crate) reserve: u64,
    /// Of each table of the database, in memory, and so of the files that it writes.
    pub(crate) write_buffer: u64,
    /// Of the database's own log.
    pub(crate) write_ahead_log: u64,
}

impl Limits {
    /// `low` is what whoever starts the node wants to be left free.
    pub(crate) fn of(total: u64, low: Option<u64>) -> Self {
        let unit = (total / 32).clamp(MIB, 64 * MIB);
        let low = low.unwrap_or(unit * 2);
        Limits {
            low,
            critical: low / 2,
            reserve: unit,
            write_buffer: (unit / 2).clamp(MIB, 32 * MIB),
            write_ahead_log: unit * 4,
        }
    }
}

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Enough,
    /// For no new work.
    Low {
        free: u64,
        needed: u64,
    },
    /// For no entries either.
    Critical {
        free: u64,
        needed: u64,
    },
}

impl Space {
    /// A limit is left again with a quarter more than it, so that nobody is sent to and fro.
    fn judge(self, free: u64, limits: Limits) -> Self {
        let (low, critical) = match self {
            Space::Enough => (limits.low, limits.critical),
            Space::Low { .. } => (limits.low / 4 * 5, limits.critical),
            Space::Critical { .. } => (limits.low / 4 * 5, limits.critical / 4 * 5),
        };
        let needed = limits.low / 4 * 5;
        if free < critical {
            Space::Critical { free, needed }
        } else if free < low {
            Space::Low { free, needed }
        } else {
            Space::Enough
        }
    }

    fn rank(self) -> u8 {
        match self {
            Space::Enough => 0,
            Space::Low { .. } => 1,
            Space::Critical { .. } => 2,
        }
    }
}

/// Looks for as long as anybody cares, says changes, and keeps the reserve.
pub(crate) async fn watch(
    room: Arc<dyn FreeSpace>,
    limits: Limits,
    reserve: Option<Arc<Reserve>>,
    tell: Arc<watch::Sender<Space>>,
) {
    let mut reserved = false;
    loop {
        let asked = Arc::clone(&room);
        let looked = tokio::task::spawn_blocking(move || asked.look()).await;
        match looked {
            Ok(Ok(volume)) => {
                reserved = reserved || take(reserve.as_ref(), volume, limits);
                change(&tell, volume.free, limits);
            }
            Ok(Err(error)) => tracing::debug!(%error, "how much room there is on the disk is not known"),
            Err(_) => return,
        }
        sleep(LOOK).await;
    }
}

/// Takes the reserve if that leaves enough.
fn take(reserve: Option<&Arc<Reserve>>, volume: Volume, limits: Limits) -> bool {
    let Some(reserve) = reserve else { return true };
    if volume.free < limits.low.saturating_mul(2).saturating_add(limits.reserve) {
        return false;
    }
    reserve.take().inspect_err(|error| tracing::debug!(%error, "no reserve on the disk")).is_ok()
}

fn change(tell: &watch::Sender<Space>, free: u64, limits: Limits) {
    let before = *tell.borrow();
    let now = before.judge(free, limits);
    tell.send_if_modified(|space| std::mem::replace(space, now) != now);
    if now.rank() == before.rank() {
        return;
    }
    match now {
        Space::Enough => tracing::warn!(free, "there is room on the disk again: the node takes on work"),
        Space::Low { needed, .. } => {
            tracing::warn!(free, needed, "the disk is nearly full: the node takes no new work until there is room");
        }
        Space::Critical { needed, .. } => tracing::warn!(
            free,
            needed,
            "the disk is full: the node takes neither new work nor entries of the leader until there is room"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_has_small_limits() {
        let small = Limits::of(64 * MIB, None);
        assert_eq!((small.low, small.critical, small.reserve), (4 * MIB, 2 * MIB, 2 * MIB));
        // Three tables with a buffer in memory and one that is being written, and the log, fit beside what is kept free.
        assert!(small.write_buffer * 6 + small.write_ahead_log + small.low + small.reserve < 32 * MIB, "{small:?}");
        let large = Limits::of(1 << 40, None);
        assert_eq!((large.low, large.write_buffer, large.write_ahead_log), (128 * MIB, 32 * MIB, 256 * MIB));
        assert_eq!(Limits::of(1 << 40, Some(10)).low, 10);
    }

    #[test]
    fn a_limit_is_left_with_more_than_it_is_reached() {
        let limits = Limits::of(64 * MIB, Some(4000));
        let mut space = Space::Enough;
        let mut ranks = Vec::new();
        for free in [4000, 3999, 4500, 1999, 2400, 2500, 4999, 5000, 0, 9999] {
            space = space.judge(free, limits);
            ranks.push(space.rank());
        }
        assert_eq!(ranks, [0, 1, 1, 2, 2, 1, 1, 0, 2, 0]);
    }
}
