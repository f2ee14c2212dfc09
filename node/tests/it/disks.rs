//! Disks in memory: one that forgets nothing, and one whose writes can be held back and lost.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex};

use rekindle_node::{Disk, Durability, Op, Seams, Table, Visit};

/// Entries, as they are stored, by their index.
pub(crate) type Log = BTreeMap<u64, Vec<u8>>;
type Pairs = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Forgets nothing, for as long as the test runs.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Pairs>);

impl Disk for Memory {
    fn write(&self, ops: &[Op], _durability: Durability) -> io::Result<()> {
        let mut pairs = self.0.lock().expect("no panic");
        for op in ops {
            match op {
                Op::Put { table, key, value } => {
                    pairs.insert((*table, key.to_vec()), value.to_vec());
                }
                Op::DeleteRange { table, from, to } => {
                    pairs.retain(|(place, key), _| place != table || key < &from.to_vec() || key >= &to.to_vec());
                }
            }
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("no panic").get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let pairs = self.0.lock().expect("no panic");
        let range = (Bound::Included((table, from.to_vec())), Bound::Excluded((table, to.to_vec())));
        for ((_, key), value) in pairs.range(range) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let pairs = self.0.lock().expect("no panic");
        Ok(pairs.iter().rfind(|((place, _), _)| *place == table).map(|((_, key), value)| (key.clone(), value.clone())))
    }
}

impl Memory {
    /// Removes one pair; whether it was there.
    pub(crate) fn forget(&self, table: Table, key: &[u8]) -> bool {
        self.0.lock().expect("no panic").remove(&(table, key.to_vec())).is_some()
    }

    fn log(&self) -> Log {
        let pairs = self.0.lock().expect("no panic");
        let entries = pairs.iter().filter(|((table, _), _)| *table == Table::Log);
        entries
            .map(|((_, key), value)| (u64::from_be_bytes(key.as_slice().try_into().expect("an index")), value.clone()))
            .collect()
    }
}

/// What a [`Slow`] disk does with writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// They wait.
    Held,
    /// Its node was killed: those that waited never happened.
    Lost,
}

/// A disk that can be slow, in front of what it has stored.
pub(crate) struct Slow {
    stored: Arc<Memory>,
    gate: Mutex<Gate>,
    moved: Condvar,
}

impl Slow {
    /// As fast as memory for now.
    pub(crate) fn new(stored: Arc<Memory>) -> Self {
        Slow { stored, gate: Mutex::new(Gate::Open), moved: Condvar::new() }
    }

    /// From now on writes wait.
    pub(crate) fn hold(&self) {
        self.set(Gate::Held);
    }

    /// From now on writes are lost, those that wait among them. Its node must be gone.
    pub(crate) fn lose(&self) {
        self.set(Gate::Lost);
    }

    fn set(&self, gate: Gate) {
        *self.gate.lock().expect("no panic") = gate;
        self.moved.notify_all();
    }
}

impl Disk for Slow {
    fn write(&self, ops: &[Op], durability: Durability) -> io::Result<()> {
        let gate = self.gate.lock().expect("no panic");
        let gate = self.moved.wait_while(gate, |gate| *gate == Gate::Held).expect("no panic");
        if *gate == Gate::Lost { Ok(()) } else { self.stored.write(ops, durability) }
    }

    fn get(&self, table: Table, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.stored.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        self.stored.scan(table, from, to, visit)
    }

    fn last(&self, table: Table) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        self.stored.last(table)
    }
}

/// What a node stored, and the disk that its last start got in front of it.
type Mounted = (Arc<Memory>, Arc<Slow>);

/// The disks of a cluster: what is stored outlives the nodes, each start of a node gets a new [`Slow`] in front of it.
#[derive(Clone, Default)]
pub(crate) struct Disks(Arc<Mutex<BTreeMap<u64, Mounted>>>);

impl Disks {
    /// The world of a node that starts.
    pub(crate) fn mount(&self, id: u64) -> Seams {
        let mut disks = self.0.lock().expect("no panic");
        let stored = disks.get(&id).map_or_else(Arc::default, |(stored, _)| Arc::clone(stored));
        let slow = Arc::new(Slow::new(Arc::clone(&stored)));
        disks.insert(id, (stored, Arc::clone(&slow)));
        Seams { disk: Some(slow as Arc<dyn Disk>), ..Seams::default() }
    }

    /// The disk of a node since its last start.
    pub(crate) fn of(&self, id: u64) -> Arc<Slow> {
        Arc::clone(&self.0.lock().expect("no panic")[&id].1)
    }

    /// The log of each node.
    pub(crate) fn logs(&self) -> BTreeMap<u64, Log> {
        self.0.lock().expect("no panic").iter().map(|(id, (stored, _))| (*id, stored.log())).collect()
    }
}
