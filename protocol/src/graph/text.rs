//! The listing for a terminal: numbers in the margin, frames as lines on the left.
//!
//! ```text
//! Booking: A, B
//!
//!      ╭ loop Next
//!      │ ╭ choice at A
//!    1 │ │ A → B  order(Item)
//!    2 │ │ B → A  price(Amount)
//!      │ │ ↺ Next
//!      │ ├ or
//!    3 │ │ A → B  bye()
//!      │ ╰
//!      ╰
//! ```

use super::measure::cells;
use super::{Arrow, ArrowKind, Frame, Graph, Step};

/// Names of roles are put in columns up to this width.
const MAX_COLUMN: usize = 16;

pub(super) fn listing(graph: &Graph) -> String {
    let explicit = if graph.explicit { " (explicit connections)" } else { "" };
    let mut listing = Listing {
        graph,
        out: format!("{}: {}{explicit}\n\n", graph.protocol, graph.roles.join(", ")),
        column: graph.roles.iter().map(|role| cells(role)).filter(|width| *width <= MAX_COLUMN).max().unwrap_or(0),
        bars: String::new(),
    };
    listing.steps(&graph.steps);
    listing.out
}

struct Listing<'a> {
    graph: &'a Graph,
    out: String,
    /// Width of a column of roles.
    column: usize,
    /// The left lines of the frames around the present place.
    bars: String,
}

impl Listing<'_> {
    fn line(&mut self, number: Option<u32>, text: &str) {
        let number = number.map_or_else(String::new, |number| number.to_string());
        self.out.push_str(format!("{number:>4} {}{text}", self.bars).trim_end());
        self.out.push('\n');
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Arrow(arrow) => self.arrow(arrow),
                Step::Frame(frame) => self.frame(frame),
                Step::Continue(index) => self.line(None, &format!("↺ {}", self.graph.loops[*index])),
            }
        }
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let sign = match arrow.kind {
            ArrowKind::Message => '→',
            ArrowKind::Crash => '†',
            ArrowKind::Connect => '⇒',
            ArrowKind::Disconnect => '×',
            ArrowKind::Wrap => '⇢',
        };
        let (from, to) = (self.graph.role(arrow.from), self.graph.role(arrow.to));
        let padding = |name: &str| " ".repeat(self.column.saturating_sub(cells(name)));
        let roles = format!("{from}{} {sign} {to}{}", padding(from), padding(to));
        let number = arrow.interaction.as_ref().map(|interaction| interaction.number);
        self.line(number, &format!("{roles}  {}", arrow.text()));
    }

    fn frame(&mut self, frame: &Frame) {
        let (keyword, subject) = self.graph.title(frame.kind);
        self.line(None, &format!("╭ {keyword} {subject}"));
        for (index, branch) in frame.branches.iter().enumerate() {
            if index > 0 {
                self.line(None, &format!("├ {}", frame.kind.separator()));
            }
            let outer = self.bars.len();
            self.bars.push_str("│ ");
            self.steps(branch);
            self.bars.truncate(outer);
        }
        self.line(None, "╰");
    }
}
