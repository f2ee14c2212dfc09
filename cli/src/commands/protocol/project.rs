//! `rekindle protocol project`: the machine of a role.

use anyhow::{Result, bail};
use rekindle_protocol::image::{Action, Image, Machine, RoleId};
use serde::Serialize;

use crate::args::ProtocolProject;
use crate::output::{Output, Tone};
use crate::protocols;

/// One machine, as `-o json` prints it: an edge is from, `peer!label(T,U)`, to.
#[derive(Serialize)]
struct Projection {
    role: String,
    initial: u32,
    edges: Vec<(u32, String, u32)>,
}

pub(super) fn run(args: &ProtocolProject, output: &Output) -> Result<()> {
    let program = protocols::read(&args.source.file, &args.source.include)?.map_err(protocols::invalid)?;
    let image = program.compile(args.source.protocol.as_deref()).map_err(protocols::invalid)?;
    for role in wanted(args.role.as_deref(), &image)? {
        let Some(machine) = image.machine(role) else { continue };
        let projection = Projection::new(&image, role, machine);
        if args.dot {
            output.line(dot(&projection, machine).trim_end())?;
        } else {
            output.value(&projection, |_| text(&image, role, machine, output))?;
        }
    }
    Ok(())
}

fn wanted(name: Option<&str>, image: &Image) -> Result<Vec<RoleId>> {
    let Some(name) = name else { return Ok(image.role_ids().collect()) };
    match image.role(name) {
        Some(role) => Ok(vec![role]),
        None => {
            bail!("protocol `{}` has no role `{name}`\nhint: its roles are {}", image.name, image.roles.join(", "))
        }
    }
}

impl Projection {
    fn new(image: &Image, role: RoleId, machine: &Machine) -> Self {
        let states = (0u32..).zip(&machine.states);
        let edges = states.flat_map(|(from, state)| {
            state.edges.iter().map(move |edge| (from, event(image, &edge.action), edge.to.0))
        });
        Projection { role: image.role_name(role).to_owned(), initial: machine.initial.0, edges: edges.collect() }
    }
}

fn event(image: &Image, action: &Action) -> String {
    format!("{}({})", image.event_text(action), action.payload.join(","))
}

fn text(image: &Image, role: RoleId, machine: &Machine, output: &Output) -> String {
    let mut text = format!("{}\n", output.paint(Tone::Strong, image.role_name(role)));
    let name = |id: u32| machine.states.get(id as usize).map_or("?", |state| state.name.as_str());
    for (id, state) in (0u32..).zip(&machine.states) {
        let start = if id == machine.initial.0 { " (start)" } else { "" };
        text.push_str(&format!("  {}{start}\n", state.name));
        for edge in &state.edges {
            text.push_str(&format!("    {} → {}\n", event(image, &edge.action), name(edge.to.0)));
        }
    }
    text
}

fn dot(projection: &Projection, machine: &Machine) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n", quoted(&projection.role));
    for (id, state) in (0u32..).zip(&machine.states) {
        let shape = if state.is_final() { "doublecircle" } else { "circle" };
        text.push_str(&format!("  {id} [label={}, shape={shape}];\n", quoted(&state.name)));
    }
    text.push_str(&format!("  start [shape=point];\n  start -> {};\n", projection.initial));
    for (from, event, to) in &projection.edges {
        text.push_str(&format!("  {from} -> {to} [label={}];\n", quoted(event)));
    }
    text.push_str("}\n");
    text
}
