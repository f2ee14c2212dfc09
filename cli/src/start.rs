//! From a deployment file to a started session.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rekindle_proto::client::{Client, ClientError};
use rekindle_proto::convert::{mode_to_wire, retention_to_wire};
use rekindle_proto::status::NAME_TAKEN;
use rekindle_proto::v1;
use rekindle_protocol::image::Image;
use rekindle_protocol::program::Program;
use rekindle_statemachine::spec::SessionSpec;

use crate::deployment::DeploymentFile;
use crate::protocols;
use crate::talk::say;

/// A deployment, read and checked.
pub(crate) struct Prepared {
    /// The protocol as it will run.
    pub(crate) image: Image,
    program: Program,
    include: Vec<PathBuf>,
    name: Option<String>,
    spec: SessionSpec,
}

/// Reads a deployment file and its protocol, and checks one against the other.
pub(crate) fn prepare(file: &Path) -> Result<Prepared> {
    let deployment = DeploymentFile::read(file)?;
    let folder = folder_of(file)?;
    let include: Vec<_> = deployment.include.iter().map(|path| folder.join(path)).collect();
    let (program, image) = deployment.protocol(&folder)?;
    let spec = deployment.spec(&image, &folder).with_context(|| format!("in {}", file.display()))?;
    Ok(Prepared { image, program, include, name: deployment.name, spec })
}

/// The absolute folder of a file.
fn folder_of(file: &Path) -> Result<PathBuf> {
    let whole = file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?;
    whole.parent().map(Path::to_owned).with_context(|| format!("{} has no folder", file.display()))
}

/// An id that no other session has.
pub(crate) fn random_session() -> String {
    let id = rekindle_proto::client::new_request_id().to_string();
    format!("s-{}", &id[..8])
}

impl DeploymentFile {
    /// Reads the protocol that the file names.
    pub(crate) fn protocol(&self, folder: &Path) -> Result<(Program, Image)> {
        let main = folder.join(&self.protocol);
        let include: Vec<_> = self.include.iter().map(|path| folder.join(path)).collect();
        let program = protocols::read(&main, &include)?.map_err(protocols::invalid)?;
        let image = program.compile(self.name.as_deref()).map_err(protocols::invalid)?;
        Ok((program, image))
    }
}

impl Prepared {
    /// As `run` starts it: every role may run on any agent, whatever the file says, for there is just one; and what
    /// workers leave in the temporary folder goes to `temporary`.
    pub(crate) fn on_this_machine(&mut self, temporary: &Path) -> Result<()> {
        let temporary = temporary.to_str().context("the path of the data folder is not UTF-8")?;
        for role in &mut self.spec.roles {
            role.agent = None;
            role.environment.entry("TMPDIR".to_owned()).or_insert_with(|| temporary.to_owned());
        }
        Ok(())
    }

    /// Registers the protocol and starts the session, unless it runs already as it is to be.
    pub(crate) async fn start(&self, client: &Client, session: &str) -> Result<v1::StartSessionReply> {
        let protocol_id =
            client.register_protocol(registration(&self.program, &self.include, self.name.as_deref())).await?;
        let request = v1::StartSessionRequest {
            session: session.to_owned(),
            protocol_id,
            spec: Some(wire_spec(&self.spec, &self.image)),
            ..Default::default()
        };
        Ok(client.start_session(request).await?)
    }
}

/// Whether a session is refused because one of that name has ended and is remembered.
pub(crate) fn is_name_taken(error: &anyhow::Error) -> bool {
    let refusal = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>());
    matches!(refusal, Some(ClientError::Refused { reason, .. }) if reason == NAME_TAKEN)
}

/// Says that nothing was started.
pub(crate) fn say_that_it_runs(session: &str) {
    say(&format!("session {session} runs already, with this deployment: nothing was started"));
}

/// A protocol as it is sent to the cluster: the sources of all its modules.
pub(crate) fn registration(
    program: &Program,
    include: &[PathBuf],
    protocol: Option<&str>,
) -> v1::RegisterProtocolRequest {
    let sources: Vec<_> =
        program.sources().iter().map(|file| v1::Source { path: file.path.clone(), text: file.text.clone() }).collect();
    v1::RegisterProtocolRequest {
        main: sources.first().map(|main| main.path.clone()).unwrap_or_default(),
        sources,
        protocol: protocol.unwrap_or_default().to_owned(),
        include: include.iter().map(|folder| folder.to_string_lossy().into_owned()).collect(),
        ..Default::default()
    }
}

fn wire_spec(spec: &SessionSpec, image: &Image) -> v1::SessionSpec {
    let roles = image.roles.iter().zip(&spec.roles).map(|(name, role)| v1::RoleSpec {
        role: name.clone(),
        mode: mode_to_wire(role.mode).into(),
        command: role.command.clone(),
        environment: role.environment.clone().into_iter().collect(),
        agent: role.agent.as_ref().map(|agent| agent.0.clone()).unwrap_or_default(),
        stall_timeout_ms: role.stall_timeout_ms.unwrap_or(0),
    });
    v1::SessionSpec {
        retention: retention_to_wire(spec.retention).into(),
        roles: roles.collect(),
        max_restarts: spec.budget.max_restarts,
        window_ms: spec.budget.window_ms,
        folder: spec.folder.clone(),
    }
}
