//! What is still to be visited.
//!
//! Invariants
//! * breadth first: a page is handed out only when all pages that are fewer links away from the front page have been;
//! * pages of the same distance are handed out in text order: the order of their discovery does not matter;
//! * each page is handed out once;
//! * no more than `limit` pages are ever admitted, so the state that has to be saved is bounded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::message::Links;

/// Longest path in bytes that is followed: what is longer tends to be a trap for crawlers.
const LONGEST: usize = 500;

/// Pages known and pages to visit. The whole state of the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frontier {
    limit: usize,
    /// To be handed out: all at the same distance from the front page.
    level: BTreeSet<String>,
    /// One link further away.
    further: BTreeSet<String>,
    /// Handed out.
    visited: BTreeSet<String>,
}

impl Frontier {
    /// A frontier of the front page only, which will admit `limit` pages.
    pub(crate) fn new(front_page: String, limit: usize) -> Self {
        Self { limit, level: BTreeSet::from([front_page]), further: BTreeSet::new(), visited: BTreeSet::new() }
    }

    /// Whether nothing is left to visit.
    pub(crate) fn is_empty(&self) -> bool {
        self.level.is_empty() && self.further.is_empty()
    }

    /// Begins a round: at most two pages, of the same distance from the front page.
    pub(crate) fn pair(&mut self) -> [Option<String>; 2] {
        if self.level.is_empty() {
            self.level = std::mem::take(&mut self.further);
        }
        [self.next(), self.next()]
    }

    /// Ends a round with the links that were found in it.
    pub(crate) fn admit(&mut self, links: Links) {
        for link in links {
            if self.known() < self.limit && link.len() <= LONGEST && !self.knows(&link) {
                self.further.insert(link);
            }
        }
    }

    /// How many pages were handed out.
    pub(crate) fn visited(&self) -> usize {
        self.visited.len()
    }

    fn next(&mut self) -> Option<String> {
        let path = self.level.pop_first()?;
        self.visited.insert(path.clone());
        Some(path)
    }

    fn known(&self) -> usize {
        self.level.len() + self.further.len() + self.visited.len()
    }

    fn knows(&self, path: &str) -> bool {
        self.visited.contains(path) || self.level.contains(path) || self.further.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(paths: &[&str]) -> Links {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn pair(a: &str, b: &str) -> [Option<String>; 2] {
        [a, b].map(|path| Some(path.to_owned()).filter(|path| !path.is_empty()))
    }

    #[test]
    fn goes_breadth_first_in_text_order() {
        let mut frontier = Frontier::new("/".into(), 100);
        assert_eq!(frontier.pair(), pair("/", ""));
        frontier.admit(links(&["/c", "/a", "/b"]));
        assert_eq!(frontier.pair(), pair("/a", "/b"));
        // Found earlier than `/c` is visited, and first in text order, yet one link further away.
        frontier.admit(links(&["/a/1"]));
        assert_eq!(frontier.pair(), pair("/c", ""));
        assert_eq!(frontier.pair(), pair("/a/1", ""));
        assert!(frontier.is_empty());
        assert_eq!(frontier.visited(), 5);
    }

    #[test]
    fn the_order_of_discovery_within_a_level_does_not_matter() {
        let order = |first: &[&str], second: &[&str]| {
            let mut frontier = Frontier::new("/".into(), 100);
            frontier.pair();
            frontier.admit(links(first));
            frontier.admit(links(second));
            let mut order = Vec::new();
            while !frontier.is_empty() {
                order.push(frontier.pair());
            }
            order
        };
        assert_eq!(order(&["/d", "/a"], &["/c", "/b", "/a"]), order(&["/c", "/a"], &["/b", "/d"]));
    }

    #[test]
    fn hands_each_page_out_once() {
        let mut frontier = Frontier::new("/".into(), 100);
        frontier.pair();
        frontier.admit(links(&["/", "/a"]));
        assert_eq!(frontier.pair(), pair("/a", ""));
        frontier.admit(links(&["/", "/a"]));
        assert!(frontier.is_empty());
    }

    #[test]
    fn admits_no_more_than_its_limit_and_no_traps() {
        let mut frontier = Frontier::new("/".into(), 3);
        frontier.pair();
        frontier.admit(links(&[&format!("/{}", "0".repeat(LONGEST)), "/a", "/b", "/c"]));
        assert_eq!(frontier.pair(), pair("/a", "/b"));
        assert!(frontier.is_empty());
    }

    #[test]
    fn goes_on_as_before_from_its_saved_state() {
        let mut frontier = Frontier::new("/".into(), 100);
        frontier.pair();
        frontier.admit(links(&["/a", "/b", "/c"]));
        frontier.pair();
        frontier.admit(links(&["/d"]));
        let saved = serde_json::to_value(&frontier).expect("JSON");
        let mut restored: Frontier = serde_json::from_value(saved).expect("a frontier");
        assert_eq!(restored, frontier);
        assert_eq!(restored.pair(), pair("/c", ""));
    }
}
