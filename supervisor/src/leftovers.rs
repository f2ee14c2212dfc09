//! Workers that an earlier agent on the same data folder left behind.
//!
//! An agent that is killed cannot kill its workers. So it writes down each process group, with the start time of its
//! leader and the boot of the machine, and its successor kills what is left.
//!
//! Invariant: a group is killed only if its record was written by an agent of this folder, or a process of the group
//! carries the session in its environment, and the group is the one that was meant. A process id proves nothing: it may
//! be somebody else's by now. A record proves nothing either: whoever may write here could name any process. So each is
//! sealed with a key that only the folder's user can read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rand::RngCore;
use rekindle_files::Links;
use rekindle_statemachine::ids::SessionId;
use serde::{Deserialize, Serialize};

use rekindle_proto::printable;

/// Most of a name that is told.
const NAME_CHARS: usize = 100;

/// The folder where workers are written down. One agent at a time uses it.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
    boot: String,
    key: [u8; 32],
}

/// Most of a record's size: its session's and its role's names are bounded.
const RECORD_BYTES: u64 = 64 << 10;

/// One worker that is written down.
#[derive(Debug)]
pub(crate) struct Record {
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    boot: String,
    group: i32,
    /// Of the group's leader, in clock ticks since boot.
    started: u64,
    session: String,
    role: String,
    /// Proves that an agent of this folder wrote it.
    #[serde(default)]
    seal: String,
}

/// What a record says of a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// It is what was left behind.
    Ours,
    /// Nothing of it is left: the process that has the id is another one.
    Gone,
    /// The process is there as described, and nothing proves that an agent started it.
    Unproven,
}

impl Records {
    /// Uses `data_dir`, creating it where needed.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("workers");
        rekindle_files::own_folder(&folder, &["key"], Links::Refused)?;
        let key = key(&data_dir.join("key"))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Ok(Records { folder, boot, key })
    }

    /// Kills every worker that is written down and still runs; gives their roles.
    pub(crate) fn kill_leftovers(&self) -> io::Result<Vec<String>> {
        let mut killed = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?.path();
            let bytes = rekindle_files::read(&file, RECORD_BYTES, Links::Refused);
            let entry = bytes.ok().and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok());
            let Some(entry) = entry else {
                tracing::warn!(file = %file.display(), "this is no record of a worker; nobody is killed for it");
                // A link or a pipe is removed itself; a folder stays.
                let _ = fs::remove_file(&file);
                continue;
            };
            let (role, group) = (printable::excerpt(&entry.role, NAME_CHARS), entry.group);
            let session = printable::excerpt(&entry.session, NAME_CHARS);
            match self.finding(&entry) {
                Finding::Ours if killpg(Pid::from_raw(group), Signal::SIGKILL).is_ok() => {
                    tracing::warn!(session, role, group, "killed a worker of an earlier agent");
                    killed.push(role);
                }
                Finding::Ours | Finding::Gone => {}
                Finding::Unproven => tracing::warn!(
                    session,
                    role,
                    group,
                    "a record names a process that no agent of this data folder is known to have started; it is left alone"
                ),
            }
            fs::remove_file(&file)?;
        }
        Ok(killed)
    }

    fn finding(&self, entry: &Entry) -> Finding {
        // 0 and 1 would mean this agent's own group, and every process there is.
        if entry.boot != self.boot || entry.group <= 1 {
            return Finding::Gone;
        }
        match process(entry.group) {
            Some(leader) if leader.started != entry.started || leader.group != entry.group => Finding::Gone,
            Some(_) if entry.seal == self.seal(entry) || entry.members().any(|pid| entry.marked(pid)) => Finding::Ours,
            Some(_) => Finding::Unproven,
            // Without its leader, only a member's environment tells that the group is the same one.
            None if entry.members().any(|pid| entry.marked(pid)) => Finding::Ours,
            None => Finding::Gone,
        }
    }

    fn seal(&self, entry: &Entry) -> String {
        let Entry { boot, group, started, session, role, seal: _ } = entry;
        let text = serde_json::json!([boot, group, started, session, role]).to_string();
        blake3::keyed_hash(&self.key, text.as_bytes()).to_hex().to_string()
    }

    /// Writes down a process that was just started.
    pub(crate) fn enter(&self, pid: u32, session: &SessionId, role: &str) -> Option<Record> {
        let group = i32::try_from(pid).ok()?;
        let started = process(group)?.started;
        let (boot, session, role) = (self.boot.clone(), session.0.clone(), role.to_owned());
        let mut entry = Entry { boot, group, started, session, role, seal: String::new() };
        entry.seal = self.seal(&entry);
        let file = self.folder.join(pid.to_string());
        let bytes = serde_json::to_vec(&entry).ok()?;
        // Nothing of it needs to outlive the machine, so it is not synced.
        let removed = match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        match removed.and_then(|()| rekindle_files::create_new(&file)?.write_all(&bytes)) {
            Ok(()) => Some(Record { file }),
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "a worker is not written down");
                None
            }
        }
    }
}

impl Record {
    /// The process is gone.
    pub(crate) fn erase(self) {
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::warn!(%error, file = %self.file.display(), "a worker's record stays");
        }
    }
}

impl Entry {
    fn members(&self) -> impl Iterator<Item = i32> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|file| file.file_name().to_str()?.parse::<i32>().ok());
        let group = self.group;
        pids.filter(move |&pid| process(pid).is_some_and(|process| process.group == group))
    }

    fn marked(&self, pid: i32) -> bool {
        let mark = format!("REKINDLE_SESSION={}", self.session);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    }
}

/// The key of a data folder; made where there is none.
fn key(file: &Path) -> io::Result<[u8; 32]> {
    match rekindle_files::read(file, 32, Links::Refused) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged; remove it", file.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            rand::rng().fill_bytes(&mut key);
            rekindle_files::replace(file, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

struct Process {
    group: i32,
    started: u64,
}

/// From `/proc/PID/stat`; `None` if there is no such process.
fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

/// The name of the program, in parentheses, may hold anything: fields count from behind it.
fn parse_stat(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Fields 5 and 22 of the file; the first one here is field 3.
    Some(Process { group: fields.get(2)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").process_group(0).spawn().expect("a process")
    }

    fn session() -> SessionId {
        SessionId("s".to_owned())
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_is_no_obstacle() {
        let stat = "42 (a) b (c)) S 1 77 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 7 8";
        let process = parse_stat(stat).expect("a process");
        assert_eq!((process.group, process.started), (77, 123_456));
    }

    #[test]
    fn a_worker_left_behind_is_killed_and_forgotten() {
        let data = tempfile::tempdir().expect("a folder");
        let records = Records::open(data.path()).expect("records");
        let mut child = sleeper();
        assert!(records.enter(child.id(), &session(), "B").is_some());
        assert_eq!(Records::open(data.path()).expect("records").kill_leftovers().expect("a look"), ["B"]);
        assert_eq!(child.wait().expect("its end").signal(), Some(9));
        assert!(records.kill_leftovers().expect("a look").is_empty());
    }

    #[test]
    fn a_stranger_with_the_same_id_is_left_alone() {
        let data = tempfile::tempdir().expect("a folder");
        let records = Records::open(data.path()).expect("records");
        let mut child = sleeper();
        for (boot, age) in [(records.boot.clone(), 1), ("another boot".to_owned(), 0)] {
            let group = i32::try_from(child.id()).expect("an id");
            let started = process(group).expect("it runs").started + age;
            let mut entry = entry(boot, group, started);
            entry.seal = records.seal(&entry);
            let file = records.folder.join(child.id().to_string());
            fs::write(file, serde_json::to_vec(&entry).expect("JSON")).expect("a file");
            assert!(records.kill_leftovers().expect("a look").is_empty());
            assert!(child.try_wait().expect("a look").is_none(), "it was killed");
        }
        child.kill().expect("a kill");
        child.wait().expect("its end");
    }

    fn entry(boot: String, group: i32, started: u64) -> Entry {
        Entry { boot, group, started, session: "s".to_owned(), role: "B".to_owned(), seal: String::new() }
    }

    #[test]
    fn a_forged_record_kills_nobody() {
        let data = tempfile::tempdir().expect("a folder");
        let records = Records::open(data.path()).expect("records");
        let mut child = sleeper();
        let group = i32::try_from(child.id()).expect("an id");
        let started = process(group).expect("it runs").started;
        // True in all that can be looked up, but not written by an agent of this folder.
        let stranger = Records { key: [7; 32], ..records.clone() };
        let mut forged = entry(records.boot.clone(), group, started);
        for seal in [String::new(), stranger.seal(&forged)] {
            forged.seal = seal;
            let file = records.folder.join(child.id().to_string());
            fs::write(file, serde_json::to_vec(&forged).expect("JSON")).expect("a file");
            assert!(records.kill_leftovers().expect("a look").is_empty());
            assert!(child.try_wait().expect("a look").is_none(), "it was killed");
        }
        for group in [0, 1, -1] {
            let mut forged = entry(records.boot.clone(), group, started);
            forged.seal = records.seal(&forged);
            assert_eq!(records.finding(&forged), Finding::Gone);
        }
        child.kill().expect("a kill");
        child.wait().expect("its end");
    }

    #[test]
    fn what_is_no_record_is_neither_read_without_end_nor_waited_for() {
        let data = tempfile::tempdir().expect("a folder");
        let records = Records::open(data.path()).expect("records");
        std::os::unix::fs::symlink("/dev/zero", records.folder.join("1")).expect("a link");
        nix::unistd::mkfifo(&records.folder.join("2"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        fs::create_dir(records.folder.join("3")).expect("a folder");
        fs::write(records.folder.join("4"), "{").expect("a file");
        assert!(records.kill_leftovers().expect("a look").is_empty());
    }

    #[test]
    fn what_a_dead_leader_left_in_its_group_is_known_by_its_environment() {
        let data = tempfile::tempdir().expect("a folder");
        let records = Records::open(data.path()).expect("records");
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; read line"])
            .env("REKINDLE_SESSION", "s")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a process");
        let mut pid = String::new();
        let mut output = io::BufReader::new(leader.stdout.take().expect("its output"));
        io::BufRead::read_line(&mut output, &mut pid).expect("the id of the other");
        records.enter(leader.id(), &session(), "B");
        drop(leader.stdin.take());
        leader.wait().expect("its end");
        let pid: i32 = pid.trim().parse().expect("an id");
        assert_eq!(records.kill_leftovers().expect("a look"), ["B"]);
        while process(pid).is_some_and(|_| !zombie(pid)) {
            std::thread::yield_now();
        }
    }

    fn zombie(pid: i32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
