//! `robots.txt` (RFC 9309), read simply and on the side of caution.

use serde::{Deserialize, Serialize};

/// The rules for this crawler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Robots {
    /// Beginnings of paths, and whether they may be fetched.
    rules: Vec<(String, bool)>,
}

impl Robots {
    /// Nothing may be fetched: what a site is taken to mean whose `robots.txt` cannot be had.
    pub(crate) fn nothing() -> Self {
        Self { rules: vec![("/".to_owned(), false)] }
    }

    /// Reads the file: the rules for the named robot, or those for all robots.
    pub(crate) fn parse(text: &str, robot: &str) -> Self {
        let (mut named, mut general) = (Self::default(), Self::default());
        let (mut is_named, mut is_general, mut has_named) = (false, false, false);
        let mut in_rules = true;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.as_str() {
                "user-agent" => {
                    // A group begins; several names may head it.
                    if std::mem::take(&mut in_rules) {
                        (is_named, is_general) = (false, false);
                    }
                    is_named |= value.eq_ignore_ascii_case(robot);
                    is_general |= value == "*";
                    has_named |= is_named;
                }
                "allow" | "disallow" => {
                    in_rules = true;
                    let Some(rule) = rule(value, key == "allow") else { continue };
                    if is_named {
                        named.rules.push(rule.clone());
                    }
                    if is_general {
                        general.rules.push(rule);
                    }
                }
                _ => {}
            }
        }
        if has_named { named } else { general }
    }

    /// Whether the path may be fetched: the longest rule decides, of two as long the one that allows.
    pub(crate) fn allow(&self, path: &str) -> bool {
        self.rules
            .iter()
            .filter(|(beginning, _)| path.starts_with(beginning))
            .max_by_key(|(beginning, allowed)| (beginning.len(), *allowed))
            .is_none_or(|(_, allowed)| *allowed)
    }
}

/// A rule without patterns: a forbidden pattern forbids all that begins like it, an allowed one is left out.
fn rule(value: &str, allowed: bool) -> Option<(String, bool)> {
    let plain = value.find(['*', '$']).map_or(value, |end| &value[..end]);
    let left_out = value.is_empty() || (allowed && plain.len() < value.len());
    (!left_out).then(|| (plain.to_owned(), allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, allowed: &[&str], forbidden: &[&str]) {
        let robots = Robots::parse(text, "crawler");
        for path in allowed {
            assert!(robots.allow(path), "{path} is forbidden by {robots:?}");
        }
        for path in forbidden {
            assert!(!robots.allow(path), "{path} is allowed by {robots:?}");
        }
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        check("", &["/", "/a"], &[]);
        check("User-agent: *\nDisallow:\n", &["/", "/a"], &[]);
        check("<html>not found</html>", &["/"], &[]);
    }

    #[test]
    fn the_longest_rule_decides() {
        check(
            "User-Agent: *\r\nDisallow: /a  # all of it\r\nAllow: /a/b\r\nDisallow: /a/b/c\r\nAllow: /a/b/c\r\n",
            &["/", "/b", "/a/b", "/a/b/c"],
            &["/a", "/abc", "/a/c"],
        );
    }

    #[test]
    fn an_own_group_replaces_the_general_one() {
        let text = "User-agent: *\nDisallow: /\n\nUser-agent: other\nUser-agent: Crawler\nDisallow: /a\nUser-agent: last\nDisallow: /b\n";
        check(text, &["/", "/b"], &["/a"]);
        check("User-agent: crawler\nDisallow:\nUser-agent: *\nDisallow: /\n", &["/a"], &[]);
    }

    #[test]
    fn patterns_are_read_with_caution() {
        check("User-agent: *\nDisallow: /a/*.pdf$\nAllow: /a/*.html\n", &["/", "/a"], &["/a/x.pdf", "/a/x.html"]);
        check("User-agent: *\nDisallow: *\n", &[], &["/"]);
    }

    #[test]
    fn a_site_that_does_not_answer_allows_nothing() {
        assert!(!Robots::nothing().allow("/"));
    }
}
