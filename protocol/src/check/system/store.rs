//! Configurations seen so far, each once, in one flat array with an open hash index.

use std::hash::{BuildHasher, RandomState};

/// A set of rows of the same width.
pub(super) struct Store {
    width: usize,
    rows: Vec<u32>,
    /// Row numbers + 1 by hash; 0 is free. The length is a power of two.
    index: Vec<u32>,
    hasher: RandomState,
}

impl Store {
    pub(super) fn new(width: usize) -> Self {
        Store { width, rows: Vec::new(), index: vec![0; 64], hasher: RandomState::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    pub(super) fn row(&self, number: u32) -> &[u32] {
        let start = number as usize * self.width;
        &self.rows[start..start + self.width]
    }

    pub(super) fn find(&self, row: &[u32]) -> Option<u32> {
        let mask = self.index.len() - 1;
        let mut at = self.hash(row) & mask;
        while self.index[at] != 0 {
            if self.row(self.index[at] - 1) == row {
                return Some(self.index[at] - 1);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// The number of a row, and whether it is new.
    pub(super) fn insert(&mut self, row: &[u32]) -> (u32, bool) {
        if let Some(known) = self.find(row) {
            return (known, false);
        }
        if (self.len() + 1) * 2 > self.index.len() {
            self.grow();
        }
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.rows.extend_from_slice(row);
        self.place(number);
        (number, true)
    }

    fn grow(&mut self) {
        self.index = vec![0; self.index.len() * 2];
        for number in 0..self.len() {
            self.place(u32::try_from(number).unwrap_or(u32::MAX));
        }
    }

    fn place(&mut self, number: u32) {
        let mask = self.index.len() - 1;
        let mut at = self.hash(self.row(number)) & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = number + 1;
    }

    fn hash(&self, row: &[u32]) -> usize {
        // Only spreads rows over the index: the order of rows, and so every result, does not depend on it.
        usize::try_from(self.hasher.hash_one(row) & u64::from(u32::MAX)).unwrap_or(0)
    }
}
