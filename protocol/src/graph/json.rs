//! The tree of a conversation as JSON.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Arrow, ArrowKind, Frame, FrameKind, Graph, Step};

impl Serialize for Graph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(4))?;
        object.serialize_entry("protocol", &self.protocol)?;
        object.serialize_entry("explicit", &self.explicit)?;
        object.serialize_entry("roles", &self.roles)?;
        object.serialize_entry("steps", &Steps { graph: self, steps: &self.steps })?;
        object.end()
    }
}

/// Steps with names in place of numbers.
struct Steps<'a> {
    graph: &'a Graph,
    steps: &'a [Step],
}

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.steps.iter().map(|step| Named { graph: self.graph, step }))
    }
}

struct Named<'a> {
    graph: &'a Graph,
    step: &'a Step,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match self.step {
            Step::Arrow(arrow) => self.arrow(arrow, &mut object)?,
            Step::Frame(frame) => self.frame(frame, &mut object)?,
            Step::Continue(index) => {
                object.serialize_entry("kind", "continue")?;
                object.serialize_entry("loop", &self.graph.loops[*index])?;
            }
        }
        object.end()
    }
}

impl Named<'_> {
    fn arrow<M: SerializeMap>(&self, arrow: &Arrow, object: &mut M) -> Result<(), M::Error> {
        let kind = match arrow.kind {
            ArrowKind::Message => "message",
            ArrowKind::Crash => "crash",
            ArrowKind::Connect => "connect",
            ArrowKind::Disconnect => "disconnect",
            ArrowKind::Wrap => "wrap",
        };
        object.serialize_entry("kind", kind)?;
        if let Some(interaction) = &arrow.interaction {
            object.serialize_entry("number", &interaction.number)?;
        }
        object.serialize_entry("from", self.graph.role(arrow.from))?;
        object.serialize_entry("to", self.graph.role(arrow.to))?;
        if let Some(interaction) = &arrow.interaction {
            object.serialize_entry("label", &interaction.label)?;
            object.serialize_entry("payload", &interaction.payload)?;
        }
        Ok(())
    }

    fn frame<M: SerializeMap>(&self, frame: &Frame, object: &mut M) -> Result<(), M::Error> {
        let steps = |steps| Steps { graph: self.graph, steps };
        match frame.kind {
            FrameKind::Choice(at) => {
                object.serialize_entry("kind", "choice")?;
                object.serialize_entry("at", self.graph.role(at))?;
            }
            FrameKind::Par => object.serialize_entry("kind", "par")?,
            FrameKind::Loop(index) => {
                object.serialize_entry("kind", "loop")?;
                object.serialize_entry("name", &self.graph.loops[index])?;
                return object.serialize_entry("steps", &steps(frame.branches.first().map_or(&[][..], Vec::as_slice)));
            }
        }
        let branches: Vec<Steps<'_>> = frame.branches.iter().map(|branch| steps(branch)).collect();
        object.serialize_entry("branches", &branches)
    }
}
