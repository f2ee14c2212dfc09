//! Workers that an earlier agent on the same data folder left behind.
//!
//! An agent that is killed cannot kill its workers. So it writes down each process group, with the start time of its
//! leader and the boot of the machine, and its successor kills what is left. A process id alone proves nothing: it may
//! be somebody else's by now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rekindle_proto::statemachine::ids::SessionId;
use serde::{Deserialize, Serialize};

/// The folder where workers are written down. One agent at a time uses it.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
    boot: String,
}

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
}

impl Records {
    /// Uses `data_dir`, creating it where needed.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("workers");
        fs::create_dir_all(&folder)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Ok(Records { folder, boot })
    }

    /// Kills every worker that is written down and still runs; gives their roles.
    pub(crate) fn kill_leftovers(&self) -> io::Result<Vec<String>> {
        let mut killed = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?.path();
            let entry = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok());
            if let Some(entry) = entry.filter(|entry| entry.boot == self.boot)
                && entry.is_ours()
                && killpg(Pid::from_raw(entry.group), Signal::SIGKILL).is_ok()
            {
                tracing::warn!(
                    session = entry.session,
                    role = entry.role,
                    group = entry.group,
                    "killed a worker of an earlier agent"
                );
                killed.push(entry.role);
            }
            fs::remove_file(&file)?;
        }
        Ok(killed)
    }

    /// Writes down a process that was just started.
    pub(crate) fn enter(&self, pid: u32, session: &SessionId, role: &str) -> Option<Record> {
        let group = i32::try_from(pid).ok()?;
        let started = process(group)?.started;
        let entry =
            Entry { boot: self.boot.clone(), group, started, session: session.0.clone(), role: role.to_owned() };
        let file = self.folder.join(pid.to_string());
        let bytes = serde_json::to_vec(&entry).ok()?;
        match fs::write(&file, bytes) {
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
    /// Whether the group is still the one that was written down.
    ///
    /// Its leader proves it by its start time. When the leader is gone, a member proves it by its environment.
    fn is_ours(&self) -> bool {
        match process(self.group) {
            Some(leader) => leader.started == self.started,
            None => self.members().any(|pid| self.marked(pid)),
        }
    }

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
            let entry = Entry { boot, group, started, session: "s".to_owned(), role: "B".to_owned() };
            let file = records.folder.join(child.id().to_string());
            fs::write(file, serde_json::to_vec(&entry).expect("JSON")).expect("a file");
            assert!(records.kill_leftovers().expect("a look").is_empty());
            assert!(child.try_wait().expect("a look").is_none(), "it was killed");
        }
        child.kill().expect("a kill");
        child.wait().expect("its end");
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
