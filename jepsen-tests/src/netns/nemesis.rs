//! Carries out faults, and looks whether they bite.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use rekindle_proto::client::Client;
use rekindle_proto::v1::GetStatusRequest;
use tokio::time::sleep;

use super::cuts::{self, Hosts};
use super::disk::NodeDisk;
use super::net::LOSS;
use super::process::{self, find, thread_states};
use super::site::{Member, Site};
use crate::faults::Fault;
use crate::history::nanos;
use crate::schedule::{Dice, Planned};
use crate::verdict::Bite;

/// How often an effect is looked for while a fault lasts.
const LOOK: Duration = Duration::from_millis(100);
/// For how long a worker to kill is looked for.
const SEARCH: Duration = Duration::from_secs(3);
const YEARS: u64 = 10;

/// Breaks things.
#[derive(Debug)]
pub struct Nemesis {
    site: Arc<Site>,
    begin: Instant,
    findings: Mutex<Vec<String>>,
}

/// A frozen disk thaws when this goes, whatever ends the run: what waits for it could not even be killed.
struct Frozen<'a>(&'a NodeDisk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the run's end reports a node that does not come back.
        let _ = self.0.thaw();
    }
}

/// On whom a fault was, and what shows that it had an effect.
type Struck = (String, Option<String>);

impl Nemesis {
    /// One that breaks this site; times count from `begin`.
    pub fn new(site: Arc<Site>, begin: Instant) -> Self {
        Nemesis { site, begin, findings: Mutex::default() }
    }

    /// What was seen during faults and must not be. The list is empty then.
    pub fn take_findings(&self) -> Vec<String> {
        std::mem::take(&mut *self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries out one fault from its begin to its end. Everything runs again then.
    pub async fn strike(&self, planned: &Planned) -> Result<Bite> {
        let from = nanos(self.begin);
        let mut dice = Dice::new(planned.draw);
        let leader = self.site.leader().await?;
        let struck = self.carry_out(planned, leader, &mut dice).await;
        let (target, effect) =
            struck.with_context(|| format!("the fault `{}` cannot be carried out", planned.fault))?;
        self.site.heal()?;
        self.site.start()?;
        Ok(Bite { fault: planned.fault.to_string(), target, from, to: nanos(self.begin), effect })
    }

    async fn carry_out(&self, planned: &Planned, leader: Option<(usize, u64)>, dice: &mut Dice) -> Result<Struck> {
        let nodes = self.site.nodes.len();
        let place = dice.below(nodes);
        let leading = leader.map_or(place, |(place, _)| place);
        let node = &self.site.nodes[place];
        match planned.fault {
            Fault::Halves
            | Fault::MajorityRing
            | Fault::Bridge
            | Fault::TwoLeaves
            | Fault::OneWay
            | Fault::IsolatedLeader
            | Fault::AgentCut
            | Fault::AgentsApart => {
                let hosts = Hosts { nodes, agents: self.site.agents.len(), leader: leading };
                let (pairs, words) = cuts::pairs(planned.fault, hosts, dice).context("no shape")?;
                self.partition(planned, &pairs, words).await
            }
            Fault::Loss => self.lose(planned).await,
            Fault::Pause => pause(node, planned.lasts).await,
            Fault::KillLeader => self.kill_leader(leader).await,
            Fault::KillAll => self.kill_nodes(leading, &dice.shuffled(nodes)),
            Fault::KillRandom => {
                let some = dice.shuffled(nodes);
                let count = 1 + dice.below(nodes);
                self.kill_nodes(some[0], &some[..count])
            }
            Fault::KillAgent => {
                let agent = &self.site.agents[dice.below(self.site.agents.len())];
                Ok((agent.host.name.clone(), agent.restart()?.then(|| "killed by signal 9, started again".to_owned())))
            }
            Fault::KillWorker => kill_worker(dice).await,
            Fault::DiskFull => fill(node, planned.lasts).await,
            Fault::DiskFreeze => freeze(node, planned.lasts).await,
            Fault::PowerLoss => cut_power(node),
            Fault::ClockJump => jump(node, planned.lasts, dice).await,
            Fault::Wipe => self.wipe(place, planned.lasts, dice).await,
        }
    }

    async fn partition(&self, planned: &Planned, pairs: &[(usize, usize)], words: String) -> Result<Struck> {
        let members: Vec<&Arc<Member>> = self.site.members().collect();
        let before = self.site.dropped()?;
        for (at, member) in members.iter().enumerate() {
            let from: Vec<_> =
                pairs.iter().filter(|(to, _)| *to == at).map(|(_, from)| members[*from].host.address).collect();
            member.host.cut(&from)?;
        }
        // Where nobody talks anyway nothing is dropped: one try shows that the cut is one.
        let probe = pairs.first().filter(|_| planned.fault == Fault::TwoLeaves);
        let open =
            probe.is_some_and(|(at, from)| members[*from].host.reaches(members[*at].host.address, members[*at].port));
        sleep(planned.lasts).await;
        let dropped = self.site.dropped()? - before;
        Ok((words, (dropped > 0 && !open).then(|| format!("{dropped} packets dropped"))))
    }

    async fn lose(&self, planned: &Planned) -> Result<Struck> {
        let before = self.site.dropped()?;
        let all: Vec<usize> = (0..self.site.nodes.len()).collect();
        for node in &self.site.nodes {
            node.host.lose(&self.site.addresses(&all))?;
        }
        sleep(planned.lasts).await;
        let dropped = self.site.dropped()? - before;
        Ok((format!("{LOSS} % between nodes"), (dropped > 0).then(|| format!("{dropped} packets dropped"))))
    }

    async fn kill_leader(&self, leader: Option<(usize, u64)>) -> Result<Struck> {
        let mut found = leader;
        let deadline = Instant::now() + SEARCH;
        while found.is_none() && Instant::now() < deadline {
            sleep(LOOK).await;
            found = self.site.leader().await?;
        }
        let Some((place, term)) = found else { return Ok(("nobody leads".to_owned(), None)) };
        let node = &self.site.nodes[place];
        let killed = node.restart()?;
        Ok((node.host.name.clone(), killed.then(|| format!("killed as leader of term {term}, started again"))))
    }

    /// A node without its disk knows nothing of what it acknowledged. So many others stand still that only with it
    /// there would be a majority: nothing must be answered then. Later it has its disk again.
    async fn wipe(&self, place: usize, lasts: Duration, dice: &mut Dice) -> Result<Struck> {
        let nodes = self.site.nodes.len();
        let node = &self.site.nodes[place];
        let others: Vec<_> = dice.shuffled(nodes).into_iter().filter(|other| *other != place).collect();
        let (intact, still) = others.split_at(nodes / 2);
        node.process().kill()?;
        node.disk.lose_data()?;
        for other in still {
            self.site.nodes[*other].process().signal(Signal::SIGSTOP)?;
        }
        node.start()?;
        let asked = Client::connect(intact.iter().map(|other| self.site.nodes[*other].endpoint()))?.with_timeout(lasts);
        let answered = asked.get_status(GetStatusRequest::default()).await;
        for other in still {
            self.site.nodes[*other].process().signal(Signal::SIGCONT)?;
        }
        let ran = node.process().is_running()?;
        node.process().kill()?;
        node.process().take_ends();
        node.disk.find_data()?;
        let name = &node.host.name;
        if let Ok(status) = answered {
            self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(format!(
                "{name}, which lost its disk, counts: without it there is no majority, yet node {} leads term {}",
                status.leader_id, status.term
            ));
        }
        let words = if ran { "the node waited" } else { "the node ended" };
        Ok((name.clone(), Some(format!("it came back with an empty folder, {words}"))))
    }

    /// Kills these, and starts them again: the first one first.
    fn kill_nodes(&self, first: usize, all: &[usize]) -> Result<Struck> {
        let mut order = vec![first];
        order.extend(all.iter().copied().filter(|place| *place != first));
        let mut killed = 0;
        for place in &order {
            killed += usize::from(self.site.nodes[*place].process().kill()?);
        }
        for place in &order {
            self.site.nodes[*place].start()?;
        }
        let names: Vec<_> = order.iter().map(|place| format!("n{}", place + 1)).collect();
        Ok((names.join(" "), (killed > 0).then(|| format!("{killed} killed by signal 9, started again"))))
    }
}

async fn pause(node: &Member, lasts: Duration) -> Result<Struck> {
    let pid = node.process().pid().context("the node does not run")?;
    node.process().signal(Signal::SIGSTOP)?;
    sleep(lasts).await;
    let states = thread_states(pid);
    node.process().signal(Signal::SIGCONT)?;
    let stood = !states.is_empty() && states.iter().all(|state| *state == 'T');
    Ok((node.host.name.clone(), stood.then(|| format!("all {} threads stood still", states.len()))))
}

async fn kill_worker(dice: &mut Dice) -> Result<Struck> {
    let deadline = Instant::now() + SEARCH;
    loop {
        let workers = find(&["worker", "--rounds"]);
        if !workers.is_empty() {
            let pid = workers[dice.below(workers.len())];
            let killed = nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL);
            if killed.is_ok() {
                return Ok((format!("process {pid}"), Some("killed by signal 9".to_owned())));
            }
        }
        if Instant::now() > deadline {
            return Ok(("no worker runs".to_owned(), None));
        }
        sleep(LOOK).await;
    }
}

async fn fill(node: &Member, lasts: Duration) -> Result<Struck> {
    let bytes = node.disk.fill()?;
    let mut refused = false;
    let deadline = Instant::now() + lasts;
    while Instant::now() < deadline {
        refused |= !node.disk.takes_writes();
        sleep(LOOK).await;
    }
    let ran = node.process().is_running()?;
    node.disk.unfill()?;
    let words = if ran { "the node runs on" } else { "the node ended" };
    // How a node takes it is in its log; an end is expected here.
    node.process().take_ends();
    Ok((node.host.name.clone(), refused.then(|| format!("full after {bytes} bytes, {words}"))))
}

async fn freeze(node: &Member, lasts: Duration) -> Result<Struck> {
    let pid = node.process().pid().context("the node does not run")?;
    node.disk.freeze()?;
    let frozen = Frozen(&node.disk);
    let mut waited = false;
    let deadline = Instant::now() + lasts;
    while Instant::now() < deadline {
        waited |= thread_states(pid).contains(&'D');
        sleep(LOOK).await;
    }
    drop(frozen);
    sleep(LOOK).await;
    let ran = node.process().is_running()?;
    node.process().take_ends();
    let words = if ran { "the node runs on" } else { "the node ended" };
    Ok((node.host.name.clone(), waited.then(|| format!("a write waited, {words}"))))
}

fn cut_power(node: &Member) -> Result<Struck> {
    node.disk.cut_power()?;
    let gone = !node.disk.takes_writes();
    // It may have noticed and ended by itself.
    node.process().kill()?;
    node.process().take_ends();
    node.disk.restore_power()?;
    node.start()?;
    Ok((node.host.name.clone(), gone.then(|| "the disk was gone; started again on what had been synced".to_owned())))
}

async fn jump(node: &Member, lasts: Duration, dice: &mut Dice) -> Result<Struck> {
    let Some(clock) = &node.clock else { bail!("the node was not started with a clock that can be changed") };
    let sign = if dice.below(2) == 0 { '+' } else { '-' };
    std::fs::write(clock, format!("{sign}{}", YEARS * 365 * 24 * 3600))?;
    sleep(lasts).await;
    let pid = node.process().pid().context("the node does not run")?;
    let loaded = std::fs::read_to_string(format!("/proc/{pid}/maps"))?.contains("libfaketime");
    let machine = process::output(Command::new("date").arg("+%Y"))?;
    let shown = process::output(node.with_clock(Command::new("date")).arg("+%Y"))?;
    std::fs::write(clock, "+0")?;
    let jumped = loaded && machine != shown;
    Ok((node.host.name.clone(), jumped.then(|| format!("its year was {}", shown.trim()))))
}
