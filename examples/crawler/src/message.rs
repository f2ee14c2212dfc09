//! Payloads of the protocol.
//!
//! A fetcher without work in a round still takes part in it: its job, and with it page and document, are `None`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// `fetch`: what to fetch, relative to the site: path and query.
pub(crate) type Job = Option<String>;

/// `page`: what came back.
pub(crate) type Page = Option<Fetched>;

/// `links`: the pages of the same site that a page links to, relative to the site.
pub(crate) type Links = BTreeSet<String>;

/// `text`: what the index needs to know of a page.
pub(crate) type Document = Option<Parsed>;

/// A page as it was fetched, or the reason why it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// As in the job.
    pub(crate) path: String,
    /// The same as a full address, to resolve links against.
    pub(crate) address: String,
    /// HTTP status; none if there was no answer.
    pub(crate) status: Option<u16>,
    /// Why there is no HTML, where that needs saying.
    pub(crate) problem: Option<String>,
    /// Where the page has moved to.
    pub(crate) location: Option<String>,
    /// Empty if there is none.
    pub(crate) html: String,
}

/// A page as it goes into the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parsed {
    /// Relative to the site.
    pub(crate) path: String,
    /// HTTP status; none if there was no answer.
    pub(crate) status: Option<u16>,
    /// Why there is no text, where that needs saying.
    pub(crate) problem: Option<String>,
    /// The page's title.
    pub(crate) title: String,
    /// As in `links`.
    pub(crate) links: Links,
    /// How often each word stands in the visible text.
    pub(crate) words: BTreeMap<String, u32>,
}

/// `indexed`: how far the index is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Addresses in the index, broken ones included.
    pub(crate) pages: usize,
}

/// `summary`: what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Addresses in the index, broken ones included.
    pub(crate) pages: usize,
    /// Those without a good answer.
    pub(crate) broken: usize,
    /// Different words.
    pub(crate) words: usize,
    /// Links between pages.
    pub(crate) links: usize,
    /// The file.
    pub(crate) index: String,
}
