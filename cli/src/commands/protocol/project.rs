//! `rekindle protocol project`: the machine of a role.

use anyhow::Result;
use rekindle_protocol::program::Program;

use crate::args::ProtocolProject;
use crate::output::Output;
use crate::protocols;

pub(super) fn run(args: &ProtocolProject, output: &Output) -> Result<()> {
    let program = protocols::read(&args.source.file, &args.source.include)?.map_err(protocols::invalid)?;
    let protocol = args.source.protocol.as_deref();
    for role in roles(&program, protocol, args.role.as_deref()) {
        let projection = program.project(protocol, &role).map_err(protocols::invalid)?;
        if args.dot {
            output.line(projection.to_dot().trim_end())?;
        } else {
            output.value(&projection, rekindle_protocol::projection::Projection::to_text)?;
        }
    }
    Ok(())
}

/// The role that was named, or all roles of the protocol. Which protocol it is, if none is named, the projection says.
fn roles(program: &Program, protocol: Option<&str>, role: Option<&str>) -> Vec<String> {
    if let Some(role) = role {
        return vec![role.to_owned()];
    }
    let meant = program.protocols().find(|summary| match protocol {
        Some(name) => summary.name == name,
        None => !summary.aux,
    });
    // Without a protocol, projecting to any role gives the error that says so.
    meant.map_or_else(|| vec![String::new()], |summary| summary.roles)
}
