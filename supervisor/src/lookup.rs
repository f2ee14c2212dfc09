//! Finds the program of a worker's command.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where commands are looked for, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder of the deployment file.
    pub(crate) deployment: PathBuf,
    /// The folder of the running binary, where known.
    pub(crate) beside_binary: Option<PathBuf>,
    /// The folders of `PATH`; only for commands without a slash.
    pub(crate) path: Vec<PathBuf>,
}

/// Nothing that can be run was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotFound {
    command: String,
    looked_at: Vec<PathBuf>,
    not_executable: Option<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.not_executable {
            Some(file) => write!(f, "`{}` is not executable", file.display())?,
            None => write!(f, "`{}` is not found", self.command)?,
        }
        let places: Vec<_> = self.looked_at.iter().map(|place| place.display().to_string()).collect();
        write!(f, " (looked at {})", places.join(", "))
    }
}

impl Places {
    /// The places for a deployment in `folder`; `path` as in the environment variable of that name.
    pub(crate) fn new(folder: &Path, path: Option<&OsStr>) -> Self {
        let binary = std::env::current_exe().ok();
        Places {
            deployment: folder.to_owned(),
            beside_binary: binary.as_deref().and_then(Path::parent).map(Path::to_owned),
            path: path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default(),
        }
    }

    /// The file to run for `command`.
    pub(crate) fn find(&self, command: &str) -> Result<PathBuf, NotFound> {
        let mut not_executable = None;
        let mut looked_at = Vec::new();
        for file in self.candidates(command) {
            match file.metadata() {
                Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(file),
                Ok(found) if found.is_file() && not_executable.is_none() => not_executable = Some(file.clone()),
                _ => {}
            }
            looked_at.push(file);
        }
        Err(NotFound { command: command.to_owned(), looked_at, not_executable })
    }

    fn candidates(&self, command: &str) -> Vec<PathBuf> {
        if Path::new(command).is_absolute() {
            return vec![PathBuf::from(command)];
        }
        let command = command.trim_start_matches("./");
        let named: &[PathBuf] = if command.contains('/') { &[] } else { &self.path };
        std::iter::once(&self.deployment)
            .chain(&self.beside_binary)
            .chain(named)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(command))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, "#!/bin/sh\n").expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a mode");
        file
    }

    #[test]
    fn the_deployment_comes_before_the_binary_and_the_path() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = |name: &str| root.path().join(name);
        let places = Places {
            deployment: folder("d"),
            beside_binary: Some(folder("b")),
            path: vec![folder("p1"), folder("p2")],
        };

        let second = program(&folder("p2"), "work", 0o755);
        assert_eq!(places.find("work"), Ok(second));
        let beside = program(&folder("b"), "work", 0o755);
        assert_eq!(places.find("work"), Ok(beside.clone()));
        assert_eq!(places.find("./work"), Ok(beside));
        // A file that cannot be run does not hide one that can.
        let plain = program(&folder("d"), "work", 0o644);
        assert_eq!(places.find("work"), Ok(folder("b").join("work")));
        program(&folder("d"), "work", 0o755);
        assert_eq!(places.find("work"), Ok(plain));

        program(&folder("p1"), "sub/tool", 0o755);
        assert!(places.find("sub/tool").is_err(), "a command with a slash is not looked up in PATH");
        let absolute = program(&folder("p1"), "alone", 0o755);
        assert_eq!(places.find(absolute.to_str().expect("text")), Ok(absolute));
    }

    #[test]
    fn what_is_missing_is_said_with_every_place() {
        let root = tempfile::tempdir().expect("a folder");
        let places = Places {
            deployment: root.path().join("d"),
            beside_binary: Some(root.path().join("b")),
            path: vec![root.path().join("p")],
        };
        let text = places.find("nothing").expect_err("it is missing").to_string();
        let at = |folder: &str| root.path().join(folder).join("nothing").display().to_string();
        assert_eq!(text, format!("`nothing` is not found (looked at {}, {}, {})", at("d"), at("b"), at("p")));

        let plain = program(&root.path().join("d"), "data", 0o644);
        let text = places.find("data").expect_err("it cannot be run").to_string();
        assert!(text.starts_with(&format!("`{}` is not executable (looked at ", plain.display())), "{text}");
    }
}
