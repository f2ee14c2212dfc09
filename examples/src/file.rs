//! Files that a crash leaves whole.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Replaces a file so that at any moment it has its old or its new content, or is not there yet.
///
/// Holds when the process is killed at any moment. It is not synced: the power may not fail.
pub fn write_atomically(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_content_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("result.txt");
        write_atomically(&file, b"a longer first version").expect("written");
        write_atomically(&file, b"second").expect("written");
        assert_eq!(std::fs::read(&file).expect("readable"), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(write_atomically(&folder.path().join("missing/result.txt"), b"").is_err());
    }
}
