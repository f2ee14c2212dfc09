//! `rekindle protocol project`: the machine of a role.

use std::collections::BTreeMap;

use anyhow::Result;
use rekindle_protocol::program::Program;
use rekindle_protocol::projection::Projection;

use crate::args::{Format, ProtocolProject};
use crate::output::Output;
use crate::protocols;

pub(super) fn run(args: &ProtocolProject, output: &Output) -> Result<()> {
    let program = protocols::read(&args.source.file, &args.source.include)?.map_err(protocols::invalid)?;
    let protocol = args.source.protocol.as_deref();
    if let Some(role) = &args.role {
        return print(&program.project(protocol, role).map_err(protocols::invalid)?, output);
    }
    let roles = roles(&program, protocol);
    let projections = roles.iter().map(|role| program.project(protocol, role)).collect::<Result<Vec<_>, _>>();
    let projections = projections.map_err(protocols::invalid)?;
    if output.format() != Format::Json {
        return projections.iter().try_for_each(|projection| print(projection, output));
    }
    let by_role: BTreeMap<_, _> = projections.iter().map(|projection| (&projection.role, projection)).collect();
    output.value(&by_role, |_| String::new())
}

fn print(projection: &Projection, output: &Output) -> Result<()> {
    if output.format() == Format::Dot {
        return Ok(output.line(projection.to_dot().trim_end())?);
    }
    output.value(projection, Projection::to_text)
}

/// All roles of the protocol.
fn roles(program: &Program, protocol: Option<&str>) -> Vec<String> {
    let meant = program.protocols().find(|summary| match protocol {
        Some(name) => summary.name == name,
        None => !summary.aux,
    });
    // Without a protocol, projecting to any role gives the error that says so.
    meant.map_or_else(|| vec![String::new()], |summary| summary.roles)
}
