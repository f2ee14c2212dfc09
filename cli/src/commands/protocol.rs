//! `rekindle protocol …`

mod check;
mod graph;
mod plan;
mod project;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use rekindle_proto::v1;
use serde::Serialize;

use super::{block_on, client};
use crate::args::{Global, Protocol, ProtocolFile};
use crate::output::{Output, columns};
use crate::protocols;
use crate::start::registration;

pub(crate) fn run(protocol: Protocol, global: &Global, output: &Output) -> Result<ExitCode> {
    match protocol {
        Protocol::Check(check) => return check::run(&check, output),
        Protocol::Graph(source) => graph::run(&source, output)?,
        Protocol::Project(project) => project::run(&project, output)?,
        Protocol::Table(table) => table::run(&table, output)?,
        Protocol::Plan { file } => plan::run(&file, output)?,
        Protocol::Explain { code } => check::explain(&code, output)?,
        Protocol::Register(file) => register(&file, global, output)?,
        Protocol::List { stale } => list(stale, global, output)?,
        Protocol::Delete { protocol_id } => delete(&protocol_id, global, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn register(file: &ProtocolFile, global: &Global, output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct Registered {
        protocol_id: String,
    }
    let program = protocols::read(&file.file, &file.include)?.map_err(protocols::invalid)?;
    program.compile(file.protocol.as_deref()).map_err(protocols::invalid)?;
    let request = registration(&program, &file.include, file.protocol.as_deref());
    let protocol_id = block_on(async { Ok(client(global)?.register_protocol(request).await?) })?;
    output.value(&Registered { protocol_id }, |registered| registered.protocol_id.clone())
}

fn delete(protocol_id: &str, global: &Global, output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct Deleted<'a> {
        protocol_id: &'a str,
        deleted: bool,
    }
    let request = v1::DeleteProtocolRequest { protocol_id: protocol_id.to_owned(), ..Default::default() };
    block_on(async { Ok(client(global)?.delete_protocol(request).await?) })?;
    output.value(&Deleted { protocol_id, deleted: true }, |_| format!("protocol {protocol_id} is deleted"))
}

fn list(stale: bool, global: &Global, output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct List {
        protocols: Vec<Row>,
    }
    #[derive(Serialize)]
    struct Row {
        protocol_id: String,
        name: String,
        roles: Vec<String>,
    }
    let protocols = block_on(async { Ok(client(global)?.list_protocols(stale).await?) })?;
    let rows = protocols.into_iter().map(|protocol| Row {
        protocol_id: protocol.protocol_id,
        name: protocol.name,
        roles: protocol.roles,
    });
    output.value(&List { protocols: rows.collect() }, |list| {
        if list.protocols.is_empty() {
            return "no protocols".to_owned();
        }
        let heading = ["PROTOCOL", "NAME", "ROLES"].map(str::to_owned).to_vec();
        let rows =
            list.protocols.iter().map(|row| vec![row.protocol_id.clone(), row.name.clone(), row.roles.join(",")]);
        columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
    })
}
