//! Down the rows of a picture whose lifelines have their places.

use super::{
    ArrowLine, Extent, FrameBox, HEAD, Jump, Lifeline, MARGIN, MAX_HEADING, MAX_LABEL, MAX_TITLE, PADDING, Picture,
    TAB, TAG_INDENT, Text, badge, heading_width, tab_width, tag_width,
};
use crate::graph::measure::shortened;
use crate::graph::{Arrow, ArrowKind, Frame, FrameKind, Graph, Step};

/// Where the heads begin, below the name of the protocol.
const HEADS: i32 = MARGIN + 28;
/// Between a head and what is next to it.
const AIR: i32 = 14;
/// Height of an arrow's row, and where in it the arrow is.
const ROW: i32 = 34;
const LINE: i32 = 21;
/// Height of a tag's row.
const TAG_ROW: i32 = 28;
/// Between a frame and what is above, below and in it.
const BETWEEN: i32 = 6;
/// Pictures that are taller have heads at the bottom too.
const TALL: i32 = 640;

/// What must be free beside a label: half a badge, the arrowhead, some air.
pub(super) fn around_label(badge: i32) -> i32 {
    badge / 2 + 28
}

pub(super) fn picture(graph: &Graph, lifelines: Vec<Lifeline>, right: i32, extents: &[Extent]) -> Picture {
    let name = if graph.explicit { format!("explicit {}", graph.protocol) } else { graph.protocol.clone() };
    let heading = Text::new(&name, MAX_HEADING);
    let picture = Picture {
        width: right.max(heading_width(&heading.shown) + 2 * MARGIN),
        heading,
        lifelines,
        heads: vec![HEADS],
        top: HEADS + HEAD,
        ..Picture::default()
    };
    let mut rows = Rows { graph, extents, loops: vec![0; graph.loops.len()], y: picture.top + AIR, picture };
    rows.steps(&graph.steps, 0);
    let Rows { mut picture, y, .. } = rows;
    picture.bottom = y + AIR;
    picture.height = picture.bottom + MARGIN;
    if picture.height > TALL {
        picture.heads.push(picture.bottom);
        picture.height += HEAD;
    }
    picture
}

struct Rows<'a> {
    graph: &'a Graph,
    /// Of the frames that are still to come, in order.
    extents: &'a [Extent],
    /// The left edge of each loop.
    loops: Vec<i32>,
    /// Where the next row begins.
    y: i32,
    picture: Picture,
}

impl Rows<'_> {
    fn steps(&mut self, steps: &[Step], edge: i32) {
        for step in steps {
            match step {
                Step::Arrow(arrow) => self.arrow(arrow),
                Step::Frame(frame) => self.frame(frame),
                Step::Continue(target) => self.jump(*target, edge),
            }
        }
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let place = |role: u16| self.picture.lifelines[usize::from(role)].x;
        let text = arrow.text();
        let (from, to) = (self.graph.role(arrow.from), self.graph.role(arrow.to));
        let sign = if arrow.kind == ArrowKind::Disconnect { '×' } else { '→' };
        let number = arrow.interaction.as_ref().map(|interaction| interaction.number);
        let line = ArrowLine {
            kind: arrow.kind,
            from: place(arrow.from),
            to: place(arrow.to),
            y: self.y + LINE,
            badge: number.map_or(0, badge),
            tooltip: match number {
                Some(number) => format!("{number}: {from} {sign} {to}: {text}"),
                None => format!("{from} {sign} {to}: {text}"),
            },
            number: number.map_or_else(String::new, |number| number.to_string()),
            label: shortened(&text, MAX_LABEL).into_owned(),
        };
        self.picture.arrows.push(line);
        self.y += ROW;
    }

    fn frame(&mut self, frame: &Frame) {
        // Both passes meet the frames in the same order.
        let Some((extent, rest)) = self.extents.split_first() else { return };
        self.extents = rest;
        let place = |role: u16| self.picture.lifelines[usize::from(role)].x;
        let x = place(extent.columns.first) - extent.left;
        let width = place(extent.columns.last) + extent.right - x;
        let (keyword, subject) = self.graph.title(frame.kind);
        if let FrameKind::Loop(index) = frame.kind {
            self.loops[index] = x;
        }
        self.y += BETWEEN;
        let y = self.y;
        // Its place among the frames is before those in it; how tall it is they will tell.
        let at = self.picture.frames.len();
        self.picture.frames.push(FrameBox {
            kind: frame.kind,
            x,
            y,
            width,
            height: 0,
            keyword,
            subject: Text::new(subject, MAX_TITLE),
            tab: tab_width(self.graph, frame.kind),
            separators: Vec::with_capacity(frame.branches.len()),
        });
        self.y += TAB + BETWEEN;
        for (index, branch) in frame.branches.iter().enumerate() {
            if index > 0 {
                self.y += BETWEEN;
                self.picture.frames[at].separators.push(self.y);
                self.y += PADDING;
            }
            self.steps(branch, x);
        }
        self.y += BETWEEN;
        self.picture.frames[at].height = self.y - y;
        self.y += BETWEEN;
    }

    fn jump(&mut self, target: usize, edge: i32) {
        let name = &self.graph.loops[target];
        self.picture.jumps.push(Jump {
            x: edge + TAG_INDENT,
            y: self.y + (TAG_ROW - TAB) / 2,
            width: tag_width(name),
            edge: self.loops[target],
            text: Text::new(name, MAX_TITLE),
        });
        self.y += TAG_ROW;
    }
}
