//! The file system under one node.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::process::done;
use crate::faults::Disk;

/// Space for a node's data. What is not used takes no space on the machine.
const SIZE: &str = "256m";
/// `EXT4_IOC_SHUTDOWN` without flushing the journal: what the power going away does.
const POWER_LOSS: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// The disk of a node.
#[derive(Clone, Debug)]
pub struct NodeDisk {
    /// Where it is mounted: the parent of the data folder.
    pub folder: PathBuf,
    image: PathBuf,
}

impl NodeDisk {
    /// Makes and mounts a disk.
    pub fn new(kind: Disk, mounts: &Path, name: &str) -> Result<Self> {
        let disk = NodeDisk { folder: mounts.join(name), image: mounts.join(format!("{name}.img")) };
        std::fs::create_dir_all(&disk.folder)?;
        match kind {
            Disk::Any => {}
            Disk::Small => {
                let size = format!("size={SIZE}");
                done(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "rekindle-jepsen"]).arg(&disk.folder))?;
            }
            Disk::Loop => {
                done(Command::new("truncate").args(["-s", SIZE]).arg(&disk.image))?;
                done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
                disk.mount()?;
            }
        }
        Ok(disk)
    }

    fn mount(&self) -> Result<()> {
        // The loop device goes away with the mount, and the mount with the namespace.
        done(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.folder))
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Fills it to the last byte. How many bytes that took.
    pub fn fill(&self) -> Result<u64> {
        let mut file = File::create(self.filler())?;
        let mut written = 0;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![b'.'; size];
            loop {
                match file.write(&block) {
                    Ok(0) => bail!("the disk takes nothing and says nothing"),
                    Ok(bytes) => written += bytes as u64,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("cannot fill the disk"),
                }
            }
        }
        Ok(written)
    }

    /// Takes back what [`fill`](Self::fill) wrote.
    pub fn unfill(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    /// Lets every write wait.
    pub fn freeze(&self) -> Result<()> {
        done(Command::new("fsfreeze").arg("-f").arg(&self.folder))
    }

    /// Lets writes go on.
    pub fn thaw(&self) -> Result<()> {
        done(Command::new("fsfreeze").arg("-u").arg(&self.folder))
    }

    /// The power goes: nothing can be written or read any more, what was not synced is lost.
    pub fn cut_power(&self) -> Result<()> {
        done(Command::new("python3").args(["-c", POWER_LOSS]).arg(&self.folder))
    }

    /// The power is back. Nobody may use the disk in between.
    pub fn restore_power(&self) -> Result<()> {
        done(Command::new("umount").arg(&self.folder))?;
        self.mount()
    }

    /// The node's data.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn away(&self) -> PathBuf {
        self.folder.join("data.away")
    }

    /// The data folder is gone. Nobody may use it.
    pub fn lose_data(&self) -> Result<()> {
        std::fs::rename(self.data(), self.away()).context("the node has no data to lose")
    }

    /// The data folder is there again as it was; what came into its place is not.
    pub fn find_data(&self) -> Result<()> {
        if self.data().exists() {
            std::fs::remove_dir_all(self.data())?;
        }
        Ok(std::fs::rename(self.away(), self.data())?)
    }

    /// Whether a new file can be written.
    pub fn takes_writes(&self) -> bool {
        let probe = self.folder.join("probe");
        std::fs::write(&probe, "x").is_ok() && std::fs::remove_file(&probe).is_ok()
    }
}
