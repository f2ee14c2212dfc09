//! Interned names: one small number for each distinct spelling in a program.

use std::collections::HashMap;

/// A spelling, as an index into [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(u32);

/// All spellings of one program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    index: HashMap<String, Name>,
    texts: Vec<String>,
}

impl Names {
    /// The number of a spelling, new or known.
    pub(crate) fn intern(&mut self, text: &str) -> Name {
        if let Some(&name) = self.index.get(text) {
            return name;
        }
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text.to_owned());
        self.index.insert(text.to_owned(), name);
        name
    }

    /// The spelling of a name of this program.
    pub(crate) fn text(&self, name: Name) -> &str {
        self.texts.get(name.0 as usize).map_or("?", String::as_str)
    }
}
