//! A host: an agent, its folder with scripts, what its workers say.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::command::{Command, FailureCause};
use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::AgentId;
use rekindle_supervisor::{Agent, AgentConfig, LocalEvent, RunningAgent};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::leader::{Leader, PATIENCE};
use crate::plan::Plan;

pub(crate) const A: RoleId = RoleId(0);
pub(crate) const B: RoleId = RoleId(1);

/// `A` of ping-pong: three rounds, then `done`.
pub(crate) const PINGER: &str = r#"
read start
for i in 1 2 3; do
  echo '{"type":"send","to":"B","label":"ping","payload":'$i'}'
  echo '{"type":"receive"}'
  read answer || exit 1
done
echo '{"type":"send","to":"B","label":"done"}'
"#;

/// `B` of ping-pong: answers with what it got.
pub(crate) const PONGER: &str = r#"
read start
echo "$start" >&2
while :; do
  echo '{"type":"receive"}'
  read message || exit 1
  case "$message" in *'"label":"done"'*) exit 0;; esac
  payload=${message##*'"payload":'}
  echo '{"type":"send","to":"A","label":"pong","payload":'"${payload%\}}"'}'
done
"#;

/// Does nothing until it is killed.
pub(crate) const IDLER: &str = "read start\nread never\n";

pub(crate) struct Host {
    pub(crate) agent: RunningAgent,
    pub(crate) address: String,
    pub(crate) folder: Arc<TempDir>,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    news: Notify,
    logs: Mutex<Vec<String>>,
    events: Mutex<Vec<LocalEvent>>,
}

impl Host {
    pub(crate) async fn start(leader: &Leader, id: &str) -> Self {
        Self::with(id, &[&leader.address], folder(), |_| {}).await
    }

    pub(crate) async fn with(
        id: &str,
        endpoints: &[&str],
        folder: Arc<TempDir>,
        change: impl FnOnce(&mut AgentConfig),
    ) -> Self {
        let told: Arc<Told> = Arc::default();
        let endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
        let mut config = AgentConfig::new(AgentId(id.to_owned()), endpoints);
        let (logs, events) = (Arc::clone(&told), Arc::clone(&told));
        config.log = Arc::new(move |line| {
            logs.logs.lock().unwrap().push(line.to_string());
            logs.news.notify_waiters();
        });
        config.hook = Arc::new(move |event| {
            events.events.lock().unwrap().push(event.clone());
            events.news.notify_waiters();
        });
        change(&mut config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let agent = Agent::start(config, listener, address.clone()).await.unwrap();
        Host { agent, address, folder, told }
    }

    /// A plan that launches scripts from this host's folder; one per role.
    pub(crate) fn plan(&self, image: Image, mode: Mode, hosts: &[(&str, &Host)], scripts: &[&str]) -> Plan {
        let agents: Vec<&str> = hosts.iter().map(|(agent, _)| *agent).collect();
        let mut plan = Plan::launch(image, mode, Retention::Retained, &agents);
        self.folder.path().to_str().unwrap().clone_into(&mut plan.spec.folder);
        for (index, script) in scripts.iter().enumerate() {
            let name = format!("role-{index}.sh");
            write_script(self.folder.path(), &name, script);
            plan.spec.roles[index].command = vec![format!("./{name}")];
        }
        for (place, (_, host)) in plan.places.iter_mut().zip(hosts) {
            place.address.clone_from(&host.address);
        }
        plan
    }

    /// Waits for a line of a worker's log, given as `role: text`, that contains `text`.
    pub(crate) async fn logged(&self, text: &str) -> String {
        self.wait(|told| told.logs.lock().unwrap().iter().find(|line| line.contains(text)).cloned()).await
    }

    pub(crate) async fn event<T>(&self, wanted: impl Fn(&LocalEvent) -> Option<T>) -> T {
        self.wait(|told| told.events.lock().unwrap().iter().find_map(&wanted)).await
    }

    pub(crate) fn events(&self) -> Vec<LocalEvent> {
        self.told.events.lock().unwrap().clone()
    }

    /// The process of a role.
    pub(crate) async fn pid(&self, name: &str, number: u64) -> u32 {
        self.event(|event| match event {
            LocalEvent::WorkerStarted { role, incarnation, pid, .. } if role == name && incarnation.0 == number => {
                Some(*pid)
            }
            _ => None,
        })
        .await
    }

    async fn wait<T>(&self, look: impl Fn(&Told) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let news = self.told.news.notified();
                if let Some(found) = look(&self.told) {
                    return found;
                }
                news.await;
            }
        });
        let told = || (self.told.logs.lock().unwrap().clone(), self.events());
        found.await.unwrap_or_else(|_| panic!("it does not happen; told {:#?}", told()))
    }
}

pub(crate) fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

pub(crate) fn write_script(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A pipe in the folder on which scripts wait: `read go < NAME`.
pub(crate) fn gate(folder: &Path, name: &str) {
    assert!(std::process::Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
}

/// Lets one script pass.
pub(crate) async fn open_gate(folder: &Path, name: &str) {
    let file = folder.join(name);
    tokio::task::spawn_blocking(move || std::fs::write(file, "go\n").unwrap()).await.unwrap();
}

/// Waits until a process is gone, or dead and not reaped by a parent that is no concern of ours.
pub(crate) async fn gone(pid: u32) {
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        (!stat.contains(") Z ")).then_some(())
    };
    let waiting = async {
        while alive().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("process {pid} lives"));
}

/// Sends an order to every host.
pub(crate) async fn order(leader: &Leader, agents: &[&str], order: &Order) {
    for agent in agents {
        leader.order(agent, order).await;
    }
}

/// Waits until these roles have acknowledged recovery `number`.
pub(crate) async fn acknowledged(leader: &Leader, number: u32, roles: &[RoleId]) {
    for wanted in roles {
        let acknowledgement = |command: &Command| match command {
            Command::AcknowledgeRestore { role, recovery, .. } if role == wanted && recovery.0 == number => Some(()),
            _ => None,
        };
        leader.command(acknowledgement).await;
    }
}

/// Launches, waits for every acknowledgement, lets run.
pub(crate) async fn run(leader: &Leader, agents: &[&str], plan: &mut Plan) {
    order(leader, agents, &plan.order()).await;
    let roles: Vec<RoleId> = plan.image.role_ids().collect();
    acknowledged(leader, 0, &roles).await;
    let go = plan.next(Goal::Run);
    order(leader, agents, &go).await;
}

/// Waits for a role to finish; gives its number of events.
pub(crate) async fn finished(leader: &Leader, wanted: RoleId) -> u64 {
    let finish = |command: &Command| match command {
        Command::FinishRole { role, history, .. } if *role == wanted => Some(history.position()),
        _ => None,
    };
    leader.command(finish).await.1
}

/// Waits for a role's failure; gives the cause and its number of events.
pub(crate) async fn failed(leader: &Leader, wanted: RoleId) -> (FailureCause, u64) {
    let failure = |command: &Command| match command {
        Command::ReportFailure { role, cause, history, .. } if *role == wanted => {
            Some((cause.clone(), history.position()))
        }
        _ => None,
    };
    leader.command(failure).await.1
}

/// Waits for a frozen role's position.
pub(crate) async fn position(leader: &Leader, wanted: RoleId) -> u64 {
    let position = |command: &Command| match command {
        Command::ReportPosition { role, history, .. } if *role == wanted => Some(history.position()),
        _ => None,
    };
    leader.command(position).await.1
}
