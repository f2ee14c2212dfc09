//! What can be broken.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nodes fall into two halves; the greater one has a majority.
    Halves,
    /// Each node reaches a majority, no two the same one.
    MajorityRing,
    /// Two groups that reach each other through one node only; the old leader reaches just that one.
    Bridge,
    /// Two nodes see only the leader.
    TwoLeaves,
    /// One node is heard by nobody, though it hears all.
    OneWay,
    /// The leader reaches no other node.
    IsolatedLeader,
    /// One local supervisor reaches no node.
    AgentCut,
    /// Local supervisors do not reach each other.
    AgentsApart,
    /// Three of ten packets between nodes are lost.
    Loss,
    /// One node stands still.
    Pause,
    /// The leader is killed and started again at once.
    KillLeader,
    /// All nodes are killed and started again at once, the old leader first.
    KillAll,
    /// Some nodes are killed and started again at once.
    KillRandom,
    /// One local supervisor is killed and started again.
    KillAgent,
    /// One worker is killed.
    KillWorker,
    /// The file system of one node is full.
    DiskFull,
    /// The file system of one node takes no writes, which wait.
    DiskFreeze,
    /// One node loses its power: what was not synced is gone.
    PowerLoss,
    /// The wall clock of one node jumps by years.
    ClockJump,
    /// One node comes back without its disk while there is a majority only with it; later it has its disk again.
    Wipe,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 20] = [
        Fault::Halves,
        Fault::MajorityRing,
        Fault::Bridge,
        Fault::TwoLeaves,
        Fault::OneWay,
        Fault::IsolatedLeader,
        Fault::AgentCut,
        Fault::AgentsApart,
        Fault::Loss,
        Fault::Pause,
        Fault::KillLeader,
        Fault::KillAll,
        Fault::KillRandom,
        Fault::KillAgent,
        Fault::KillWorker,
        Fault::DiskFull,
        Fault::DiskFreeze,
        Fault::PowerLoss,
        Fault::ClockJump,
        Fault::Wipe,
    ];

    /// As it is written after `--faults`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Halves => "halves",
            Fault::MajorityRing => "majority-ring",
            Fault::Bridge => "bridge",
            Fault::TwoLeaves => "two-leaves",
            Fault::OneWay => "one-way",
            Fault::IsolatedLeader => "isolated-leader",
            Fault::AgentCut => "agent-cut",
            Fault::AgentsApart => "agents-apart",
            Fault::Loss => "loss",
            Fault::Pause => "pause",
            Fault::KillLeader => "kill-leader",
            Fault::KillAll => "kill-all",
            Fault::KillRandom => "kill-random",
            Fault::KillAgent => "kill-agent",
            Fault::KillWorker => "kill-worker",
            Fault::DiskFull => "disk-full",
            Fault::DiskFreeze => "disk-freeze",
            Fault::PowerLoss => "power-loss",
            Fault::ClockJump => "clock-jump",
            Fault::Wipe => "wipe",
        }
    }

    /// Fewest nodes with which it makes sense.
    pub fn nodes(self) -> usize {
        match self {
            Fault::MajorityRing | Fault::Bridge => 5,
            _ => 3,
        }
    }

    /// Whether it begins and is over in the same moment.
    pub fn is_instant(self) -> bool {
        matches!(
            self,
            Fault::KillLeader
                | Fault::KillAll
                | Fault::KillRandom
                | Fault::KillAgent
                | Fault::KillWorker
                | Fault::PowerLoss
        )
    }

    /// Whether a majority of the nodes runs and is connected all the while, so that there must be progress.
    pub fn leaves_majority(self) -> bool {
        !matches!(self, Fault::Loss | Fault::KillAll | Fault::KillRandom | Fault::Wipe)
    }

    /// What it does to the file system of nodes, if anything.
    pub fn disk(self) -> Disk {
        match self {
            Fault::DiskFull => Disk::Small,
            Fault::DiskFreeze | Fault::PowerLoss => Disk::Loop,
            _ => Disk::Any,
        }
    }
}

/// On what a node keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// Anything.
    Any,
    /// A file system of its own in memory, which can be filled.
    Small,
    /// A file system of its own on a loop device, which can be frozen and shut down.
    Loop,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a list of faults: names separated by commas, or `all`, or `none`.
pub fn parse(list: &str) -> Result<Vec<Fault>, String> {
    match list {
        "all" => return Ok(Fault::ALL.to_vec()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    list.split(',')
        .map(|name| {
            let known = Fault::ALL.into_iter().find(|fault| fault.name() == name.trim());
            known.ok_or_else(|| {
                let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
                format!("no fault is called `{name}`; there are all, none, {}", names.join(", "))
            })
        })
        .collect()
}
