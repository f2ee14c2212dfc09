//! How wide text is, in cells of a fixed-width font: a terminal's, and near enough those of a picture.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Cells of a text.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(cell).sum()
}

/// East Asian wide characters and emoji.
const WIDE: [RangeInclusive<char>; 9] = [
    '\u{1100}'..='\u{115f}',
    '\u{2e80}'..='\u{a4cf}',
    '\u{ac00}'..='\u{d7a3}',
    '\u{f900}'..='\u{faff}',
    '\u{fe30}'..='\u{fe6f}',
    '\u{ff00}'..='\u{ff60}',
    '\u{ffe0}'..='\u{ffe6}',
    '\u{1f300}'..='\u{1f9ff}',
    '\u{20000}'..='\u{3fffd}',
];

fn cell(character: char) -> usize {
    if !character.is_ascii() && WIDE.iter().any(|range| range.contains(&character)) { 2 } else { 1 }
}

/// A text of at most `limit` cells; one that is longer ends in `…`.
pub(super) fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    if cells(text) <= limit {
        return Cow::Borrowed(text);
    }
    let mut room = limit.saturating_sub(1);
    let kept = text.chars().take_while(|character| match room.checked_sub(cell(*character)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    Cow::Owned(kept.chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shortened_fits_and_says_so() {
        assert_eq!(shortened("request", 7), "request");
        assert_eq!(shortened("requests", 7), "reques…");
        assert_eq!(shortened("東京都庁", 8), "東京都庁");
        assert_eq!(shortened("東京都庁", 7), "東京都…");
        assert_eq!(shortened("東京都庁", 6), "東京…");
        assert_eq!(shortened("東", 1), "…");
    }
}
