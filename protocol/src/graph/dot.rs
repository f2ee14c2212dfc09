//! The flow of control as a Graphviz digraph.
//!
//! A node for each interaction, a diamond for each choice, an ellipse for each loop, bars where parallel parts begin and
//! end. Dashed edges lead back to a loop.

use std::fmt::Write as _;

use super::{Arrow, ArrowKind, Frame, FrameKind, Graph, Step};

pub(super) fn digraph(graph: &Graph) -> String {
    let mut flow = Flow { graph, out: String::new(), nodes: 0, loops: vec![0; graph.loops.len()] };
    let _ = writeln!(flow.out, "digraph {} {{", quoted(&graph.protocol));
    flow.out.push_str("  ordering=out;\n  node [fontname=\"monospace\", fontsize=11];\n  edge [fontname=\"monospace\", fontsize=10];\n");
    let start = flow.node("shape=circle, style=filled, fillcolor=black, width=0.15, label=\"\"", vec![]);
    let ends = flow.steps(&graph.steps, vec![start]);
    if !ends.is_empty() {
        flow.node("shape=doublecircle, style=filled, fillcolor=black, width=0.12, label=\"\"", ends);
    }
    flow.out.push_str("}\n");
    flow.out
}

/// A text in quotes, with whatever would end it or be read as more than itself escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            character if character.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// A node of the digraph from which the flow goes on.
type Point = usize;

struct Flow<'a> {
    graph: &'a Graph,
    out: String,
    nodes: usize,
    /// The node of each loop.
    loops: Vec<Point>,
}

impl Flow<'_> {
    /// A new node that all of `from` lead to.
    fn node(&mut self, attributes: &str, from: Vec<Point>) -> Point {
        let node = self.nodes;
        self.nodes += 1;
        let _ = writeln!(self.out, "  n{node} [{attributes}];");
        for point in from {
            let _ = writeln!(self.out, "  n{point} -> n{node};");
        }
        node
    }

    /// Draws what goes on from all of `from`; gives the points from which it goes on after that.
    fn steps(&mut self, steps: &[Step], mut from: Vec<Point>) -> Vec<Point> {
        for step in steps {
            from = match step {
                Step::Arrow(arrow) => vec![self.arrow(arrow, from)],
                Step::Frame(frame) => self.frame(frame, from),
                Step::Continue(index) => {
                    let target = self.loops[*index];
                    for point in from {
                        let _ = writeln!(self.out, "  n{point} -> n{target} [style=dashed];");
                    }
                    Vec::new()
                }
            };
        }
        from
    }

    fn arrow(&mut self, arrow: &Arrow, from: Vec<Point>) -> Point {
        let number = arrow.interaction.as_ref().map(|interaction| format!("{}: ", interaction.number));
        let sign = match arrow.kind {
            ArrowKind::Disconnect => "×",
            ArrowKind::Crash => "†",
            ArrowKind::Message | ArrowKind::Connect | ArrowKind::Wrap => "→",
        };
        let (sender, receiver) = (self.graph.role(arrow.from), self.graph.role(arrow.to));
        let label = format!("{}{sender} {sign} {receiver}\n{}", number.unwrap_or_default(), arrow.text());
        let style = match arrow.kind {
            ArrowKind::Message => "",
            ArrowKind::Crash => ", style=dashed, color=red",
            ArrowKind::Connect => ", style=bold",
            ArrowKind::Disconnect | ArrowKind::Wrap => ", style=dashed",
        };
        self.node(&format!("shape=box{style}, label={}", quoted(&label)), from)
    }

    fn frame(&mut self, frame: &Frame, from: Vec<Point>) -> Vec<Point> {
        const BAR: &str =
            "shape=box, style=filled, fillcolor=black, height=0.06, width=0.8, fixedsize=true, label=\"\"";
        let (keyword, subject) = self.graph.title(frame.kind);
        let title = quoted(&format!("{keyword} {subject}"));
        let head = match frame.kind {
            FrameKind::Choice(_) => self.node(&format!("shape=diamond, label={title}"), from),
            FrameKind::Loop(_) => self.node(&format!("shape=ellipse, label={title}"), from),
            FrameKind::Par => self.node(BAR, from),
        };
        if let FrameKind::Loop(index) = frame.kind {
            self.loops[index] = head;
        }
        let mut ends = Vec::new();
        for branch in &frame.branches {
            ends.extend(self.steps(branch, vec![head]));
        }
        if frame.kind == FrameKind::Par && !ends.is_empty() {
            ends = vec![self.node(BAR, ends)];
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted("a(b)"), r#""a(b)""#);
        assert_eq!(quoted(r#"a"];b"#), r#""a\"];b""#);
        assert_eq!(quoted(r"a\"), r#""a\\""#);
        assert_eq!(quoted(r#"\""#), r#""\\\"""#);
        assert_eq!(quoted("a\nb\u{7}é"), "\"a\\nb\u{fffd}é\"");
    }
}
