//! Whom nodes and local supervisors believe: the secret of their cluster.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use rekindle_proto::secret::{ClusterSecret, SecretError, check_exposure};

use crate::args::Trust;
use crate::exit;

impl Trust {
    /// The secret, for one who listens at `address`. Refused if strangers can come in there and there is none.
    pub(crate) fn secret(&self, address: SocketAddr) -> Result<Option<ClusterSecret>> {
        let secret = self.secret_file.as_deref().map(ClusterSecret::read).transpose()?;
        check_exposure(address, secret.as_ref(), self.insecure).map_err(exit::usage)?;
        Ok(secret)
    }
}

/// The secret of a cluster that lives in a folder of its own; made with the first use of the folder.
pub(crate) fn of_folder(file: &Path) -> Result<ClusterSecret, SecretError> {
    let new = ClusterSecret::generate();
    match new.write(file) {
        Ok(()) => Ok(new),
        Err(SecretError::Exists { .. }) => ClusterSecret::read(file),
        Err(error) => Err(error),
    }
}
