//! Where everything stands in a message sequence chart, in pixels.
//!
//! Two passes over the steps. The first finds how far each frame reaches beyond the lifelines that it spans, and how far
//! apart lifelines must be for every label to fit; with that the lifelines have their places. The second goes down the
//! rows.
//!
//! Invariants
//! * a frame encloses all that stands in it: frames that begin (or end) at one lifeline are nested [`INSET`] apart;
//! * no two things of a row overlap, and the title of a frame has a row of its own.

mod rows;
mod spacing;

use super::measure::{cells, shortened};
use super::{ArrowKind, Columns, Frame, FrameKind, Graph, Step};
use spacing::Spacing;

/// Between the picture and its edge.
const MARGIN: i32 = 24;
/// From a lifeline to the innermost frame around it: half of the widest number, and some air.
const REACH: i32 = 24;
/// Between the edges of frames that begin at the same lifeline.
const INSET: i32 = 8;
/// Around text in a box.
pub(super) const PADDING: i32 = 8;
/// Height of heads.
pub(super) const HEAD: i32 = 32;
/// Width of the head of a short name.
const MIN_HEAD: i32 = 48;
/// Height of titles and tags.
pub(super) const TAB: i32 = 20;
/// From the left edge of a frame to a tag in it.
const TAG_INDENT: i32 = 12;
/// Cells of labels, titles and names beyond which they are shortened.
const MAX_LABEL: usize = 36;
const MAX_TITLE: usize = 28;
const MAX_NAME: usize = 24;
const MAX_HEADING: usize = 60;

/// Everything in its place. Coordinates grow to the right and down.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) width: i32,
    pub(super) height: i32,
    /// Name of the protocol.
    pub(super) heading: Text,
    pub(super) lifelines: Vec<Lifeline>,
    /// Upper ends of the heads at the top, and at the bottom where the picture is tall.
    pub(super) heads: Vec<i32>,
    /// Where lifelines begin and end.
    pub(super) top: i32,
    pub(super) bottom: i32,
    /// Outer ones before inner ones.
    pub(super) frames: Vec<FrameBox>,
    pub(super) arrows: Vec<ArrowLine>,
    pub(super) jumps: Vec<Jump>,
}

/// A text, and what is shown of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) shown: String,
    pub(super) full: String,
}

#[derive(Debug)]
pub(super) struct Lifeline {
    pub(super) x: i32,
    pub(super) name: Text,
    /// Of its head.
    pub(super) width: i32,
}

#[derive(Debug)]
pub(super) struct FrameBox {
    pub(super) kind: FrameKind,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) keyword: &'static str,
    pub(super) subject: Text,
    /// Of the title.
    pub(super) tab: i32,
    /// Lines between branches.
    pub(super) separators: Vec<i32>,
}

#[derive(Debug)]
pub(super) struct ArrowLine {
    pub(super) kind: ArrowKind,
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) y: i32,
    /// `3`, or empty; around it a badge that wide.
    pub(super) number: String,
    pub(super) badge: i32,
    pub(super) label: String,
    /// `3: A → B: label(T)`
    pub(super) tooltip: String,
}

/// A tag that says to which loop the conversation goes back, with an arrow to that loop's edge.
#[derive(Debug)]
pub(super) struct Jump {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    /// The left edge of the loop.
    pub(super) edge: i32,
    pub(super) text: Text,
}

impl Text {
    fn new(full: &str, limit: usize) -> Text {
        Text { shown: shortened(full, limit).into_owned(), full: full.to_owned() }
    }
}

pub(super) fn picture(graph: &Graph) -> Picture {
    let everything = Columns { first: 0, last: u16::try_from(graph.roles.len().saturating_sub(1)).unwrap_or(u16::MAX) };
    let names: Vec<Text> = graph.roles.iter().map(|role| Text::new(role, MAX_NAME)).collect();
    let heads: Vec<i32> = names.iter().map(|name| MIN_HEAD.max(name_width(&name.shown) + 2 * PADDING)).collect();
    let mut measured = Measured { graph, spacing: Spacing::new(&heads), extents: Vec::new() };
    measured.steps(&graph.steps, everything);
    let Measured { spacing, extents, .. } = measured;
    let (places, right) = spacing.places();
    let lifelines = names.into_iter().zip(places).zip(heads).map(|((name, x), width)| Lifeline { x, name, width });
    rows::picture(graph, lifelines.collect(), right, &extents)
}

/// How far a frame reaches.
#[derive(Clone, Copy, Debug)]
struct Extent {
    columns: Columns,
    /// Beyond the first lifeline, and beyond the last.
    left: i32,
    right: i32,
}

struct Measured<'a> {
    graph: &'a Graph,
    spacing: Spacing,
    /// Of each frame, outer ones before inner ones, in the order of the steps.
    extents: Vec<Extent>,
}

impl Measured<'_> {
    /// Measures steps; gives the index of each frame among them.
    fn steps(&mut self, steps: &[Step], outer: Columns) -> Vec<usize> {
        let mut frames = Vec::new();
        for step in steps {
            match step {
                Step::Arrow(arrow) => {
                    let number = arrow.interaction.as_ref().map_or(0, |interaction| badge(interaction.number));
                    let label = label_width(&shortened(&arrow.text(), MAX_LABEL));
                    self.spacing.apart(Columns::of(arrow.from, arrow.to), label + rows::around_label(number));
                }
                Step::Frame(frame) => frames.push(self.frame(frame, outer)),
                Step::Continue(_) => {}
            }
        }
        frames
    }

    fn frame(&mut self, frame: &Frame, outer: Columns) -> usize {
        let columns = frame.columns.unwrap_or(outer);
        let index = self.extents.len();
        self.extents.push(Extent { columns, left: REACH, right: REACH });
        let mut width = tab_width(self.graph, frame.kind) + INSET;
        let (mut left, mut right) = (REACH, REACH);
        for branch in &frame.branches {
            for inner in self.steps(branch, columns) {
                let inner = self.extents[inner];
                if inner.columns.first == columns.first {
                    left = left.max(inner.left + INSET);
                }
                if inner.columns.last == columns.last {
                    right = right.max(inner.right + INSET);
                }
            }
            for step in branch {
                if let Step::Continue(target) = step {
                    width = width.max(tag_width(&self.graph.loops[*target]) + 2 * TAG_INDENT);
                }
            }
        }
        if columns.first == columns.last {
            right = right.max(width - left);
        } else {
            self.spacing.apart(columns, width - left - right);
        }
        self.spacing.beside(columns, left, right);
        self.extents[index] = Extent { columns, left, right };
        index
    }
}

fn tab_width(graph: &Graph, kind: FrameKind) -> i32 {
    let (keyword, subject) = graph.title(kind);
    let space = if subject.is_empty() { "" } else { " " };
    label_width(keyword) + label_width(space) + label_width(&shortened(subject, MAX_TITLE)) + 2 * PADDING
}

fn tag_width(name: &str) -> i32 {
    label_width("↺ ") + label_width(&shortened(name, MAX_TITLE)) + 2 * PADDING
}

/// Pixels of a number on a lifeline.
fn badge(number: u32) -> i32 {
    let digits = i32::try_from(number.to_string().len()).unwrap_or(0);
    digits * 7 + 8
}

/// Pixels of text of 12 pixels in a fixed-width font, of which each cell is a little more than 7 pixels wide.
fn label_width(text: &str) -> i32 {
    pixels(text, 73)
}

/// Of bold text of 13 pixels.
fn name_width(text: &str) -> i32 {
    pixels(text, 80)
}

/// Of bold text of 16 pixels.
fn heading_width(text: &str) -> i32 {
    pixels(text, 98)
}

fn pixels(text: &str, tenths: usize) -> i32 {
    i32::try_from((cells(text) * tenths).div_ceil(10)).unwrap_or(0)
}
