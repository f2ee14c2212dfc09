//! To whom a data folder belongs.
//!
//! `IDENTITY` names cluster and node, and is the last thing written when a folder is first used: a folder with it has a
//! database that must be there whole, a folder without it has nothing that anybody was told of.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rekindle_files::Links;
use rekindle_statemachine::ids::NodeId;

use crate::error::StartError;
use crate::storage::rocks::{Create, OpenError, RocksDisk};
use crate::storage::room::Limits;
use crate::storage::{Disk, Table};

const IDENTITY: &str = "IDENTITY";
/// Many times what it has.
const IDENTITY_BYTES: u64 = 4 << 10;
const DATABASE: &str = "db";
const FORMAT: &str = "rekindle data 1";

/// Makes the folder for this user alone, before anything is written in it.
pub(crate) fn claim(folder: &Path) -> io::Result<()> {
    rekindle_files::own_folder(folder, &[IDENTITY, DATABASE], Links::Followed)
}

/// Opens the database of a data folder, or makes one in a folder that was never used.
pub(crate) fn open(folder: &Path, cluster: &str, id: NodeId, limits: Limits) -> Result<Arc<dyn Disk>, StartError> {
    let io = |source| StartError::DataDir { path: folder.to_owned(), source };
    claim(folder).map_err(io)?;
    let own = text(cluster, id);
    let known = match rekindle_files::read_text(&folder.join(IDENTITY), IDENTITY_BYTES, Links::Refused) {
        Ok(known) => Some(known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(String::new()),
        Err(error) => return Err(io(error)),
    };
    if let Some(known) = &known {
        check(folder, known, &own)?;
    }
    let create = if known.is_some() { Create::Never } else { Create::IfMissing };
    let database = folder.join(DATABASE);
    let disk = RocksDisk::open(&database, create, limits).map_err(|error| refused(folder, error))?;
    if known.is_none() {
        if !is_empty(&disk).map_err(io)? {
            let reason = format!("`{IDENTITY}` is missing, but the database is in use");
            return Err(StartError::Corrupt { path: folder.to_owned(), reason });
        }
        write_identity(folder, &own).map_err(io)?;
    }
    Ok(Arc::new(disk))
}

fn text(cluster: &str, id: NodeId) -> String {
    format!("{FORMAT}\ncluster {cluster}\nnode {id}\n")
}

fn check(folder: &Path, known: &str, own: &str) -> Result<(), StartError> {
    if known == own {
        return Ok(());
    }
    let path = folder.to_owned();
    let mut lines = known.lines();
    let format = lines.next();
    let cluster = lines.next().and_then(|line| line.strip_prefix("cluster "));
    let node = lines.next().and_then(|line| line.strip_prefix("node "));
    match (format, cluster, node) {
        (Some(FORMAT), Some(cluster), Some(node)) => {
            Err(StartError::Foreign { path, cluster: cluster.to_owned(), node: node.to_owned() })
        }
        _ => Err(StartError::Corrupt { path, reason: format!("`{IDENTITY}` cannot be read by this release") }),
    }
}

fn refused(folder: &Path, error: OpenError) -> StartError {
    let path = folder.to_owned();
    match error {
        OpenError::Locked(_) => StartError::Locked { path },
        OpenError::Corrupt(reason) => StartError::Corrupt { path, reason },
        OpenError::Io(reason) => StartError::DataDir { path, source: io::Error::other(reason) },
    }
}

fn is_empty(disk: &dyn Disk) -> io::Result<bool> {
    for table in [Table::Meta, Table::Log, Table::Snapshot] {
        if disk.last(table)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Under its name only when it is complete and on disk.
fn write_identity(folder: &Path, own: &str) -> io::Result<()> {
    rekindle_files::replace(&folder.join(IDENTITY), own.as_bytes())?;
    File::open(folder)?.sync_all()
}
