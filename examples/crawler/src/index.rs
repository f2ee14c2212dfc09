//! The inverted index: which page has which word, and how often.
//!
//! Everything is sorted, so the same pages give the same file, in whatever order they came.

use std::collections::BTreeMap;
use std::path::Path;

use rekindle_examples::file::write_atomically;
use serde::Serialize;

use crate::message::{Links, Parsed};

/// The index of a site.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Index {
    /// By path.
    pages: BTreeMap<String, Entry>,
    /// By word: the pages that have it, and how often.
    words: BTreeMap<String, BTreeMap<String, u32>>,
}

/// What the index says of a page besides its words.
#[derive(Debug, Serialize)]
struct Entry {
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    title: String,
    links: Links,
}

impl Index {
    /// Adds a page.
    pub(crate) fn add(&mut self, page: Parsed) {
        for (word, count) in page.words {
            self.words.entry(word).or_default().insert(page.path.clone(), count);
        }
        let entry = Entry { status: page.status, problem: page.problem, title: page.title, links: page.links };
        self.pages.insert(page.path, entry);
    }

    /// Number of addresses, broken ones included.
    pub(crate) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Number of addresses without a good answer.
    pub(crate) fn broken(&self) -> usize {
        self.pages.values().filter(|page| page.status.is_none_or(|status| status >= 400)).count()
    }

    /// Number of different words.
    pub(crate) fn words(&self) -> usize {
        self.words.len()
    }

    /// Number of links between pages.
    pub(crate) fn links(&self) -> usize {
        self.pages.values().map(|page| page.links.len()).sum()
    }

    /// Writes the index so that the file is, at any moment, whole or not there.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(write_atomically(file, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, status: u16, words: &[(&str, u32)], links: &[&str]) -> Parsed {
        Parsed {
            path: path.to_owned(),
            status: Some(status),
            problem: None,
            title: format!("Title of {path}"),
            links: links.iter().map(|link| (*link).to_owned()).collect(),
            words: words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn counts_words_by_page() {
        let mut index = Index::default();
        index.add(page("/a", 200, &[("salt", 2), ("tide", 1)], &["/b", "/c"]));
        index.add(page("/b", 200, &[("salt", 5)], &["/a"]));
        index.add(page("/c", 404, &[], &[]));
        assert_eq!((index.pages(), index.broken(), index.words(), index.links()), (3, 1, 2, 3));
        assert_eq!(index.words["salt"], BTreeMap::from([("/a".to_owned(), 2), ("/b".to_owned(), 5)]));
    }

    #[test]
    fn the_file_does_not_depend_on_the_order_of_the_pages() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut pages = [
            page("/a", 200, &[("salt", 2), ("tide", 1)], &["/b"]),
            page("/b", 200, &[("salt", 5)], &["/a"]),
            page("/c", 301, &[("moved", 1)], &["/c/"]),
        ];
        let mut written = Vec::new();
        for name in ["one.json", "two.json"] {
            let mut index = Index::default();
            pages.iter().cloned().for_each(|page| index.add(page));
            index.write(&folder.path().join(name)).expect("written");
            written.push(std::fs::read(folder.path().join(name)).expect("readable"));
            pages.reverse();
        }
        assert_eq!(written[0], written[1]);
        let read: serde_json::Value = serde_json::from_slice(&written[0]).expect("JSON");
        assert_eq!(read["words"]["salt"]["/b"], 5);
        assert_eq!(read["pages"]["/c"]["links"][0], "/c/");
    }
}
