//! What a fetcher has fetched.
//!
//! A fetcher that is started again after a crash gets the same jobs as before and must send the same pages: the parsers
//! have worked on them, and the supervisor refuses a repeated message that differs. Fetching twice gives no such promise,
//! since pages change and servers fail. So each answer is written down *before* it is sent, failures included, and in
//! a repeat it is read from here. The key is session, role and address: nothing is shared with other crawls.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rekindle_examples::file::write_atomically;
use rekindle_examples::setting;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest part of a file name: file systems allow 255 bytes.
const NAME_LIMIT: usize = 200;

/// The answers that one fetcher has had in one session.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache of a role, below the folder `CRAWL_CACHE` or the system's temporary folder.
    pub(crate) fn new(session: &str, role: &str) -> Self {
        let root =
            setting::text("CRAWL_CACHE").map_or_else(|| std::env::temp_dir().join("rekindle-crawler"), PathBuf::from);
        Self::within(&root, session, role)
    }

    fn within(root: &Path, session: &str, role: &str) -> Self {
        Self { folder: root.join(escaped(session)).join(escaped(role)) }
    }

    /// The answer remembered under `key`. If there is none, the one that `ask` gives, remembered from now on.
    pub(crate) fn remember<T, F>(&self, key: &str, ask: F) -> anyhow::Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> anyhow::Result<T>,
    {
        let file = self.file(key);
        if let Some(answer) = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(answer);
        }
        let answer = ask()?;
        create(file.parent().unwrap_or(&self.folder))
            .and_then(|()| write_atomically(&file, serde_json::to_string(&answer)?.as_bytes()))
            .with_context(|| format!("writing to the cache {}", file.display()))?;
        Ok(answer)
    }

    /// Forgets everything, and leaves no empty folder behind.
    pub(crate) fn clear(self) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("clearing the cache {}", self.folder.display()))
            }
            _ => {
                // The session's folder goes with its last role, the root with its last session. Only empty folders can
                // be removed so.
                for folder in self.folder.ancestors().skip(1).take(2) {
                    let _ = std::fs::remove_dir(folder);
                }
                Ok(())
            }
        }
    }

    /// A file of its own for each key: the escaped key, in folders where it is long.
    fn file(&self, key: &str) -> PathBuf {
        let name = escaped(key);
        let mut path = self.folder.clone();
        let mut rest = name.as_str();
        while let Some((head, tail)) = rest.split_at_checked(NAME_LIMIT) {
            path.push(head);
            rest = tail;
        }
        // No folder has this ending, since an escaped name has no dot.
        path.push(format!("{rest}.json"));
        path
    }
}

/// Creates a folder. Another session that ends now may remove the root just when it was found: then once more.
fn create(folder: &Path) -> std::io::Result<()> {
    let mut attempts = 0..10;
    loop {
        match std::fs::create_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && attempts.next().is_some() => {}
            result => return result,
        }
    }
}

/// The text as a file name: everything but letters and digits as `%` and two hexadecimal digits.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn asks_once_for_each_key() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::within(root.path(), "s-1", "F1");
        let long = format!("/{}", "x".repeat(3 * NAME_LIMIT));
        for (number, key) in ["/", "/a", "/a/", "/%61", "/a?b=../..", &long[1..], &long].into_iter().enumerate() {
            assert_eq!(cache.remember(key, || Ok(number)).expect("asked"), number, "{key}");
            let again = Cache::within(root.path(), "s-1", "F1");
            assert_eq!(again.remember::<usize, _>(key, || bail!("asked again")).expect("remembered"), number, "{key}");
        }
    }

    #[test]
    fn sessions_and_roles_are_apart() {
        let root = tempfile::tempdir().expect("a folder");
        for (number, (session, role)) in [("s-1", "F1"), ("s-1", "F2"), ("s-2", "F1")].into_iter().enumerate() {
            let cache = Cache::within(root.path(), session, role);
            assert_eq!(cache.remember("/", || Ok(number)).expect("asked"), number);
        }
    }

    #[test]
    fn a_failure_to_ask_is_not_remembered() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::within(root.path(), "s-1", "F1");
        assert!(cache.remember::<u32, _>("/", || bail!("no answer")).is_err());
        assert_eq!(cache.remember("/", || Ok(7)).expect("asked"), 7);
    }

    #[test]
    fn clearing_leaves_nothing_once_every_role_of_every_session_has() {
        let root = tempfile::tempdir().expect("a folder");
        let caches = [("s-1", "F1"), ("s-1", "F2"), ("s-2", "F1")];
        let caches = caches.map(|(session, role)| Cache::within(root.path(), session, role));
        for cache in &caches {
            cache.remember("/", || Ok(1)).expect("asked");
        }
        let [first, second, other] = caches;
        first.clear().expect("cleared");
        assert_eq!(second.remember("/", || Ok(2)).expect("remembered"), 1);
        second.clear().expect("cleared");
        assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 1);
        other.clear().expect("cleared");
        assert!(!root.path().exists());
        Cache::within(root.path(), "s-1", "F1").clear().expect("nothing to clear");
    }
}
