//! Files in folders that others may have touched, and files that users name.
//!
//! Invariants
//! * nothing is read without an end, and nothing waits for a writer: only regular files of a bounded size are read;
//! * nothing is written through a link, and nothing that exists is emptied: a file is made anew or left as it is;
//! * what Rekindle keeps is for its own user alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Whether the last part of a path may be a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// As users are used to: for what they name.
    Followed,
    /// For what Rekindle made itself.
    Refused,
}

impl Links {
    fn flags(self) -> OFlag {
        match self {
            Links::Followed => OFlag::empty(),
            Links::Refused => OFlag::O_NOFOLLOW,
        }
    }
}

/// The bytes of a regular file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64, links: Links) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a FIFO waits for somebody who writes.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | links.flags();
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    regular(&file)?;
    let mut bytes = Vec::new();
    // Its length may be any when it is read, whatever it was before.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        return Ok(bytes);
    }
    Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes, which is the limit for it")))
}

/// The same, as text.
pub fn read_text(path: &Path, limit: u64, links: Links) -> io::Result<String> {
    String::from_utf8(read(path, limit, links)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Makes a file that does not exist yet, for this user alone.
pub fn create_new(path: &Path) -> io::Result<File> {
    // `create_new` follows no link.
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts a file with these bytes in the place of what is there, all of it at once. It is on disk when this returns.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = create_new(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)
}

/// Opens a file of Rekindle's own with `options`, or makes it, for this user alone: a regular file, reached by no link.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = options.create(true).truncate(false).mode(0o600).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::ELOOP) => io::Error::new(error.kind(), format!("{} is a link", path.display())),
        _ => error,
    })?;
    regular(&file)?;
    Ok(file)
}

fn regular(file: &File) -> io::Result<()> {
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, and only a regular file is read")))
}

/// Folders that are for everybody.
const EVERYBODYS: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Makes a folder for this user alone, or makes one that exists so.
///
/// One that exists is changed if it is empty or holds one of `marks`, names that only Rekindle gives. Any other is left
/// as it is, for it holds what is not Rekindle's; but not used if everybody may write in it. The folders that a system has
/// for everybody are never changed, however empty; the root of a file system that was just mounted is.
pub fn own_folder(path: &Path, marks: &[&str], links: Links) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => tighten(path, marks, links),
        outcome => outcome,
    }
}

fn tighten(path: &Path, marks: &[&str], links: Links) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | links.flags();
    let folder = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = folder.metadata()?;
    let for_others = metadata.mode() & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    let refused = |why: &str| Err(io::Error::new(ErrorKind::PermissionDenied, why.to_owned()));
    let shared = metadata.mode() & 0o002 != 0;
    let is = |known: &fs::Metadata| (known.dev(), known.ino()) == (metadata.dev(), metadata.ino());
    if shared && EVERYBODYS.iter().any(|known| fs::metadata(known).is_ok_and(|known| is(&known))) {
        return refused("everybody may write in it; name a folder of its own below it");
    }
    let own = fs::read_dir(path)?.next().is_none() || marks.iter().any(|mark| path.join(mark).exists());
    if own && metadata.uid() == fs::metadata("/proc/self")?.uid() {
        return folder.set_permissions(Permissions::from_mode(0o700));
    }
    if shared {
        return refused("everybody may write in it; name a folder of its own, or take that right away");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o7777
    }

    #[test]
    fn only_a_regular_file_of_bounded_size_is_read() {
        let folder = folder();
        let file = folder.path().join("file");
        fs::write(&file, "12345").expect("writable");
        assert_eq!(read(&file, 5, Links::Refused).expect("it fits"), b"12345");
        assert_eq!(read(&file, 4, Links::Refused).expect_err("too large").kind(), ErrorKind::FileTooLarge);
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
        for path in [fifo.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = read(path, 5, Links::Followed).expect_err("no regular file");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", path.display());
        }
        let (link, circle) = (folder.path().join("link"), folder.path().join("circle"));
        symlink(&file, &link).expect("a link");
        symlink(&circle, &circle).expect("a link");
        assert_eq!(read(&link, 5, Links::Followed).expect("users may"), b"12345");
        assert!(read(&link, 5, Links::Refused).is_err());
        assert!(read(&circle, 5, Links::Followed).is_err());
    }

    #[test]
    fn nothing_is_emptied_or_written_through_a_link() {
        let folder = folder();
        let (precious, link) = (folder.path().join("precious"), folder.path().join("link"));
        fs::write(&precious, "precious").expect("writable");
        symlink(&precious, &link).expect("a link");
        let error = open_own(&link, File::options().write(true)).expect_err("a link");
        assert!(error.to_string().contains("is a link"), "{error}");
        assert!(create_new(&link).is_err());
        symlink(&precious, folder.path().join("other.new")).expect("a link");
        replace(&folder.path().join("other"), b"other").expect("a file");
        replace(&link, b"other").expect("a file in the place of the link");
        assert_eq!(fs::read(&precious).expect("it is there"), b"precious");
        open_own(&precious, File::options().write(true)).expect("a regular file");
        assert_eq!(fs::read(&precious).expect("it is there"), b"precious");
        assert_eq!(mode(&link), 0o600);
    }

    #[test]
    fn a_folder_is_for_its_user_alone_unless_it_holds_what_is_not_ours() {
        let outer = folder();
        let (made, empty, used, foreign) = (
            outer.path().join("a/b"),
            outer.path().join("empty"),
            outer.path().join("used"),
            outer.path().join("foreign"),
        );
        for path in [&empty, &used, &foreign] {
            fs::create_dir(path).expect("a folder");
            fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a mode");
        }
        fs::write(used.join("mark"), "").expect("a file");
        fs::write(foreign.join("thesis.txt"), "").expect("a file");
        for (path, expected) in [(&made, 0o700), (&empty, 0o700), (&used, 0o700), (&foreign, 0o755)] {
            own_folder(path, &["mark"], Links::Followed).expect("a folder");
            assert_eq!(mode(path), expected, "{}", path.display());
        }
        fs::set_permissions(&foreign, Permissions::from_mode(0o777)).expect("a mode");
        assert!(own_folder(&foreign, &["mark"], Links::Followed).is_err());
        fs::set_permissions(&empty, Permissions::from_mode(0o1777)).expect("a mode");
        own_folder(&empty, &["mark"], Links::Followed).expect("as a file system is that was just mounted");
        assert_eq!(mode(&empty), 0o700);
        fs::set_permissions(&foreign, Permissions::from_mode(0o1777)).expect("a mode");
        assert!(own_folder(&foreign, &["mark"], Links::Followed).is_err());
        let everybodys =
            EVERYBODYS.map(Path::new).into_iter().filter(|known| known.exists() && mode(known) & 0o002 != 0);
        for known in everybodys {
            assert!(own_folder(known, &["mark"], Links::Followed).is_err(), "{}", known.display());
        }
        let link = outer.path().join("link");
        symlink(&used, &link).expect("a link");
        assert!(own_folder(&link, &["mark"], Links::Refused).is_err());
        own_folder(&link, &["mark"], Links::Followed).expect("users may");
    }
}
