//! Text of others, names and words, made fit for a terminal and a log.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with its control characters written as escapes; letters of every script, and tabs, stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 16), |mut out, char| {
        if is_control(char) {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", char.escape_debug());
        } else {
            out.push(char);
        }
        out
    }))
}

/// The same, cut after so many characters of the text.
pub fn excerpt(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => printable(text).into_owned(),
        Some((end, _)) => format!("{}…", printable(&text[..end])),
    }
}

/// A text of several lines, with every other control character as an escape, cut after so many characters.
pub fn lines(text: &str, longest: usize) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    let text = lines.join("\n");
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn is_control(char: char) -> bool {
    char.is_control() && char != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_stay() {
        assert_eq!(printable("Grüße\tan 世界 — é"), "Grüße\tan 世界 — é");
        assert_eq!(printable("\u{1b}]0;x\u{7}\0\r\u{9b}"), r"\u{1b}]0;x\u{7}\0\r\u{9b}");
    }

    #[test]
    fn an_excerpt_ends_at_a_character() {
        assert_eq!(excerpt("éé", 2), "éé");
        assert_eq!(excerpt("éé\u{1b}é", 3), r"éé\u{1b}…");
        assert_eq!(lines("a\n\u{1b}b", 100), "a\n\\u{1b}b");
        assert_eq!(lines("abc\nd", 4), "abc\n…");
    }
}
