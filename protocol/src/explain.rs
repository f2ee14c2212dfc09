//! What each rule is, with a bad example, a good one, and why it matters: `protocol explain CODE`.

mod texts;

use std::fmt::Write as _;

use crate::code::Code;

/// One rule, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule, in a sentence or two.
    pub rule: &'static str,
    /// A source that breaks it.
    pub bad: &'static str,
    /// The same, repaired.
    pub good: &'static str,
    /// What would go wrong.
    pub why: &'static str,
}

impl Code {
    /// What the rule is about.
    pub fn explanation(self) -> Explanation {
        texts::of(self)
    }

    /// The explanation as text for people.
    pub fn explain(self) -> String {
        let Explanation { rule, bad, good, why } = self.explanation();
        let (code, kind) = (self.as_str(), self.kind());
        format!(
            "{code} ({kind})\n\n{rule}\n\nNot so:\n\n{}\n\nBut so:\n\n{}\n\nWhy: {why}\n",
            indented(bad),
            indented(good)
        )
    }
}

/// The explanations of all codes, in Markdown.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors of the protocol language\n\nWhat `rekindle protocol explain CODE` says, for every code. \
         [The language](scribble.md) is described elsewhere.\n",
    );
    for code in Code::ALL {
        let Explanation { rule, bad, good, why } = code.explanation();
        let _ = write!(
            page,
            "\n## {}\n\nKind: `{}`\n\n{rule}\n\nNot so:\n\n```\n{bad}\n```\n\nBut so:\n\n```\n{good}\n```\n\n{why}\n",
            code.as_str(),
            code.kind()
        );
    }
    page
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}
