//! A picture as SVG.
//!
//! One document without anything outside it: style sheet included, light or dark as the surroundings are. Numbers and
//! arrows are whole pixels, so the same protocol gives the same bytes everywhere.

use std::fmt::Write as _;

use super::layout::{ArrowLine, FrameBox, HEAD, Jump, PADDING, Picture, TAB, Text};
use super::{ArrowKind, FrameKind};

const STYLE: &str = include_str!("style.css");

pub(super) fn document(picture: &Picture) -> String {
    let Picture { width, height, .. } = picture;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n<style>\n{STYLE}</style>\n<defs>\n",
        escaped(&picture.heading.full)
    );
    for kind in [ArrowKind::Message, ArrowKind::Crash, ArrowKind::Connect, ArrowKind::Wrap] {
        marker(&mut out, class(kind));
    }
    marker(&mut out, "jump");
    let _ = writeln!(out, "</defs>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>");
    // Lines of one pixel are sharp between whole coordinates.
    out.push_str("<g transform=\"translate(0.5 0.5)\">\n");
    let _ = writeln!(out, "<text class=\"heading\" x=\"24\" y=\"36\">{}</text>", shown(&picture.heading));
    lifelines(&mut out, picture);
    for frame in &picture.frames {
        outline(&mut out, frame);
    }
    for jump in &picture.jumps {
        tag(&mut out, jump);
    }
    for line in &picture.arrows {
        arrow(&mut out, line);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn marker(out: &mut String, class: &str) {
    let _ = writeln!(
        out,
        "<marker id=\"{class}\" class=\"{class}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"10\" \
         markerHeight=\"10\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 1 L9 5 L0 9 Z\"/></marker>"
    );
}

fn lifelines(out: &mut String, picture: &Picture) {
    for line in &picture.lifelines {
        let (x, top, bottom) = (line.x, picture.top, picture.bottom);
        let _ = writeln!(out, "<path class=\"lifeline\" d=\"M{x} {top}V{bottom}\"/>");
        for y in &picture.heads {
            let _ = writeln!(
                out,
                "<g class=\"role\"><rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{HEAD}\" rx=\"5\"/>\
                 <text x=\"{x}\" y=\"{}\">{}</text></g>",
                x - line.width / 2,
                line.width,
                y + HEAD / 2 + 5,
                shown(&line.name)
            );
        }
    }
}

fn outline(out: &mut String, frame: &FrameBox) {
    let FrameBox { x, y, width, height, tab, keyword, .. } = frame;
    let class = match frame.kind {
        FrameKind::Choice(_) => "choice",
        FrameKind::Loop(_) => "loop",
        FrameKind::Par => "par",
    };
    let _ = writeln!(
        out,
        "<g class=\"{class}\"><rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>"
    );
    let word = frame.kind.separator();
    for line in &frame.separators {
        let _ = writeln!(
            out,
            "<path class=\"branch\" d=\"M{x} {line}H{}\"/><text class=\"word\" x=\"{}\" y=\"{}\">{word}</text>",
            x + width,
            x + PADDING,
            line + 4
        );
    }
    let subject = if frame.subject.full.is_empty() { String::new() } else { format!(" {}", shown(&frame.subject)) };
    let _ = writeln!(
        out,
        "<rect class=\"tab\" x=\"{x}\" y=\"{y}\" width=\"{tab}\" height=\"{TAB}\" rx=\"4\"/>\
         <text class=\"title\" x=\"{}\" y=\"{}\"><tspan class=\"keyword\">{keyword}</tspan>{subject}</text></g>",
        x + PADDING,
        y + 14,
    );
}

fn tag(out: &mut String, jump: &Jump) {
    let Jump { x, y, width, edge, .. } = jump;
    let _ = writeln!(
        out,
        "<g class=\"jump\"><path class=\"line\" d=\"M{x} {}H{edge}\" marker-end=\"url(#jump)\"/>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{TAB}\" rx=\"10\"/>\
         <text x=\"{}\" y=\"{}\">↺ {}</text></g>",
        y + TAB / 2,
        x + PADDING,
        y + 14,
        shown(&jump.text)
    );
}

fn class(kind: ArrowKind) -> &'static str {
    match kind {
        ArrowKind::Message => "message",
        ArrowKind::Crash => "crash",
        ArrowKind::Connect => "connect",
        ArrowKind::Disconnect => "disconnect",
        ArrowKind::Wrap => "wrap",
    }
}

fn arrow(out: &mut String, line: &ArrowLine) {
    let ArrowLine { from, to, y, badge, .. } = line;
    let class = class(line.kind);
    let _ = write!(out, "<g class=\"{class}\"><title>{}</title>", escaped(&line.tooltip));
    let end = match line.kind {
        ArrowKind::Disconnect => String::new(),
        _ => format!(" marker-end=\"url(#{class})\""),
    };
    let _ = write!(out, "<path class=\"line\" d=\"M{from} {y}H{to}\"{end}/>");
    let cross = match line.kind {
        ArrowKind::Disconnect => Some((from + to) / 2),
        // Beside the number, at the lifeline that breaks off.
        ArrowKind::Crash => Some(from + (badge / 2 + 8) * (to - from).signum()),
        ArrowKind::Message | ArrowKind::Connect | ArrowKind::Wrap => None,
    };
    if let Some(x) = cross {
        let _ = write!(out, "<path class=\"cross\" d=\"M{} {}l10 10m0 -10l-10 10\"/>", x - 5, y - 5);
    }
    // The label is in the middle of what the badge and the arrowhead leave free.
    let shift = (badge / 2 - 8) / 2 * (to - from).signum();
    let _ = write!(
        out,
        "<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>",
        (from + to) / 2 + shift,
        y - 7,
        escaped(&line.label)
    );
    if !line.number.is_empty() {
        let _ = write!(
            out,
            "<rect class=\"badge\" x=\"{}\" y=\"{}\" width=\"{badge}\" height=\"16\" rx=\"8\"/>\
             <text class=\"number\" x=\"{from}\" y=\"{}\">{}</text>",
            from - badge / 2,
            y - 8,
            y + 4,
            line.number
        );
    }
    out.push_str("</g>\n");
}

/// What is shown of a text; where that is not all, the rest is in its tooltip.
fn shown(text: &Text) -> String {
    let shown = escaped(&text.shown);
    if text.shown == text.full {
        shown
    } else {
        format!("<tspan><title>{}</title>{shown}</tspan>", escaped(&text.full))
    }
}

/// A text as content or attribute of XML; what XML cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            character if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(escaped("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
        assert_eq!(escaped("é→\u{0}\u{ffff}"), "é→\u{fffd}\u{fffd}");
        let text = Text { shown: "a<…".to_owned(), full: "a<b".to_owned() };
        assert_eq!(shown(&text), "<tspan><title>a&lt;b</title>a&lt;…</tspan>");
    }
}
