//! `rekindle protocol table`: what a crash can cost, for each role and state.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_protocol::recovery::table::render::{named_table, table_text};
use rekindle_protocol::recovery::table::{Policy, recovery_table};

use crate::args::ProtocolTable;
use crate::deployment::DeploymentFile;
use crate::exit;
use crate::output::Output;
use crate::protocols;

pub(super) fn run(args: &ProtocolTable, output: &Output) -> Result<()> {
    let deployed = args.file.extension().is_some_and(|extension| extension == "toml");
    let (image, mut policy) = if deployed { from_deployment(args)? } else { from_module(args)? };
    apply_flags(args, &image, &mut policy)?;
    let table = recovery_table(&image, &policy);
    output.value(&named_table(&table, &image), |_| table_text(&table, &image))
}

fn from_deployment(args: &ProtocolTable) -> Result<(Image, Policy)> {
    if args.protocol.is_some() || !args.include.is_empty() {
        return Err(exit::usage(
            "--protocol and --include go with a Scribble module; a deployment file has them itself",
        ));
    }
    let deployment = DeploymentFile::read(&args.file)?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let (_, image) = deployment.protocol(folder)?;
    let modes = deployment.modes(&image).with_context(|| format!("in {}", args.file.display()))?;
    Ok((image, Policy { retention: deployment.retention, modes }))
}

fn from_module(args: &ProtocolTable) -> Result<(Image, Policy)> {
    let program = protocols::read(&args.file, &args.include)?.map_err(protocols::invalid)?;
    let image = program.compile(args.protocol.as_deref()).map_err(protocols::invalid)?;
    let modes = vec![Mode::default(); image.roles.len()];
    Ok((image, Policy { retention: Retention::default(), modes }))
}

fn apply_flags(args: &ProtocolTable, image: &Image, policy: &mut Policy) -> Result<()> {
    if let Some(retention) = args.retention {
        policy.retention = retention;
    }
    if let Some(mode) = args.mode {
        policy.modes.fill(mode);
    }
    for (name, mode) in &args.role {
        let Some(role) = image.role(name) else {
            bail!(
                "--role: protocol `{}` has no role `{name}`\nhint: its roles are {}",
                image.name,
                image.roles.join(", ")
            );
        };
        policy.modes[role.index()] = *mode;
    }
    Ok(())
}
