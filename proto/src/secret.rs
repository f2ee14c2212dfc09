//! The secret of a cluster, by which nodes and local supervisors know each other.
//!
//! Invariants
//! * every call between nodes, and between nodes and local supervisors, carries it; clients have no need of it;
//! * it is compared in constant time, and never shown: not in a log, not in an error, not by `Debug`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngCore;
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

const BYTES: usize = 32;
/// As text: two hexadecimal digits for each byte.
const DIGITS: usize = 2 * BYTES;
/// A file of more than this is no secret's.
const FILE_LIMIT: u64 = 4 << 10;
const METADATA: &str = "rekindle-secret";
/// Refusals are logged once within this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// A secret. Cheap to clone.
#[derive(Clone)]
pub struct ClusterSecret(Arc<[u8; DIGITS]>);

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(not shown)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Others can read or write it.
    #[error("{} may be read by others (mode {mode:03o})\nhint: chmod 600 {}", .path.display(), .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error(
        "{} is no secret of a cluster: {DIGITS} hexadecimal digits are expected\nhint: make one with `rekindle cluster secret FILE`",
        .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Whoever wants another one removes it.
    #[error("{} exists already; it is left as it is", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot use the secret in {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ClusterSecret {
    /// A new one, from the random numbers of the system.
    pub fn generate() -> Self {
        let mut bytes = [0; BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let mut text = [0; DIGITS];
        for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
            digits[0] = digit(byte >> 4);
            digits[1] = digit(byte & 0xf);
        }
        ClusterSecret(Arc::new(text))
    }

    /// The secret in a file that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let io = |source| SecretError::Io { path: path.to_owned(), source };
        let malformed = || SecretError::Malformed { path: path.to_owned() };
        // Nothing but a regular file is opened: a pipe would be waited for.
        let known = fs::metadata(path).map_err(io)?;
        if !known.is_file() || known.len() > FILE_LIMIT {
            return Err(malformed());
        }
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Vec::new();
        file.take(FILE_LIMIT).read_to_end(&mut text).map_err(io)?;
        let text: [u8; DIGITS] = text.trim_ascii().try_into().map_err(|_| malformed())?;
        if text.iter().all(u8::is_ascii_hexdigit) { Ok(ClusterSecret(Arc::new(text))) } else { Err(malformed()) }
    }

    /// Writes it to a new file that only its owner can read.
    pub fn write(&self, path: &Path) -> Result<(), SecretError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => SecretError::Exists { path: path.to_owned() },
            _ => SecretError::Io { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(self.0.as_slice()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    fn is(&self, presented: &[u8]) -> bool {
        same(self.0.as_slice(), presented)
    }

    /// The digits, for whoever keeps it elsewhere.
    pub fn digits(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}

/// Whether one may listen at an address: where others than this machine's users can come from, a secret is needed.
pub fn check_exposure(address: SocketAddr, secret: Option<&ClusterSecret>, insecure: bool) -> Result<(), String> {
    if address.ip().is_loopback() || secret.is_some() || insecure {
        return Ok(());
    }
    Err(format!(
        "{address} can be reached from other machines, and whoever reaches it could command this cluster\n\
         hint: give every node and local supervisor the same --secret-file (`rekindle cluster secret FILE` makes one), \
         or listen on a loopback address; --insecure takes the risk"
    ))
}

/// Writes the secret on every call.
#[derive(Clone, Debug)]
pub struct Credential(Option<MetadataValue<Ascii>>);

impl Credential {
    /// Without a secret, calls go as they are.
    pub fn new(secret: Option<&ClusterSecret>) -> Self {
        let value = secret.and_then(|secret| {
            // Digits are always a value of metadata.
            let mut value = MetadataValue::try_from(secret.0.as_slice()).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Credential(value)
    }
}

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert(METADATA, value.clone());
        }
        Ok(request)
    }
}

/// Lets only calls with the secret pass. Clones share how often they complain.
#[derive(Clone, Debug)]
pub struct Guard {
    secret: Option<ClusterSecret>,
    complained: Arc<Mutex<Option<Instant>>>,
}

impl Guard {
    /// Without a secret, every call passes.
    pub fn new(secret: Option<ClusterSecret>) -> Self {
        Guard { secret, complained: Arc::default() }
    }

    /// Whether a call carries the secret.
    pub fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let problem = match request.metadata().get(METADATA) {
            Some(presented) if secret.is(presented.as_bytes()) => return Ok(()),
            Some(_) => "the secret of another cluster",
            None => "no secret",
        };
        let peer = request.remote_addr().map_or_else(|| "somebody".to_owned(), |address| address.to_string());
        if self.is_due() {
            tracing::warn!(peer, "a call is refused: it carries {problem}");
        }
        Err(Status::unauthenticated(format!(
            "the call carries {problem}, and this cluster has one: start every node and local supervisor of the cluster with \
             the same --secret-file"
        )))
    }

    fn is_due(&self) -> bool {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let due = complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY);
        if due {
            *complained = Some(Instant::now());
        }
        due
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(&request)?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(guard: &Guard, secret: Option<&ClusterSecret>) -> Result<(), Status> {
        guard.check(&Credential::new(secret).call(Request::new(()))?)
    }

    #[test]
    fn only_the_secret_itself_passes() {
        let (own, other) = (ClusterSecret::generate(), ClusterSecret::generate());
        let guard = Guard::new(Some(own.clone()));
        carried(&guard, Some(&own)).expect("the secret");
        let error = carried(&guard, Some(&other)).expect_err("another");
        assert_eq!(error.code(), tonic::Code::Unauthenticated);
        assert!(error.message().contains("the secret of another cluster"), "{error}");
        assert!(carried(&guard, None).expect_err("none").message().contains("no secret"));
        carried(&Guard::new(None), Some(&own)).expect("nobody asks for it");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = ClusterSecret::generate();
        let text = String::from_utf8(secret.0.to_vec()).expect("digits");
        let credential = Credential::new(Some(&secret));
        let request = credential.clone().call(Request::new(())).expect("a request");
        let error = carried(&Guard::new(Some(secret.clone())), None).expect_err("refused");
        let shown = format!("{secret:?} {credential:?} {:?} {error:?} {error}", request.metadata());
        assert!(!shown.contains(&text), "{shown}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let secret = ClusterSecret::generate();
        secret.write(&path).expect("written");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(ClusterSecret::read(&path).expect("read back").is(secret.0.as_slice()));
        assert!(matches!(secret.write(&path), Err(SecretError::Exists { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        let error = ClusterSecret::read(&path).expect_err("its group can read it").to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn what_is_no_secret_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in [("empty", ""), ("short", "abcd\n"), ("words", &"z".repeat(DIGITS))] {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
            let error = ClusterSecret::read(&path).expect_err(name);
            assert!(matches!(error, SecretError::Malformed { .. }), "{error}");
        }
        for device in ["/dev/zero", "/"] {
            let error = ClusterSecret::read(Path::new(device)).expect_err(device);
            assert!(matches!(error, SecretError::Malformed { .. }), "{error}");
        }
    }

    #[test]
    fn other_machines_need_the_secret() {
        let secret = ClusterSecret::generate();
        let (here, anywhere) = ("127.0.0.1:1", "0.0.0.0:1");
        let check = |address: &str, secret, insecure| check_exposure(address.parse().expect("one"), secret, insecure);
        check(here, None, false).expect("loopback");
        check("[::1]:1", None, false).expect("loopback");
        check(anywhere, Some(&secret), false).expect("with the secret");
        check(anywhere, None, true).expect("asked for");
        assert!(check(anywhere, None, false).expect_err("exposed").contains("--secret-file"));
        check("[::]:1", None, false).expect_err("exposed");
    }
}
