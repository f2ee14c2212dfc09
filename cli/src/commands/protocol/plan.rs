//! `rekindle protocol plan`: the recovery line of a run that a file describes.

use std::path::Path;

use anyhow::{Context, Result};
use rekindle_files::Links;
use rekindle_protocol::recovery::plan::{Plan, PlanInput, plan};

use crate::output::{Output, columns};
use crate::protocols;

/// Most of a run's size.
const RUN_BYTES: u64 = 64 << 20;

pub(super) fn run(file: &Path, output: &Output) -> Result<()> {
    let text = rekindle_files::read_text(file, RUN_BYTES, Links::Followed)
        .with_context(|| format!("cannot read the run {}", file.display()))?;
    let input = PlanInput::from_json(&text).with_context(|| file.display().to_string())?;
    let module = file.parent().unwrap_or(Path::new("")).join(&input.protocol);
    let program =
        protocols::read(&module, &[]).with_context(|| file.display().to_string())?.map_err(protocols::invalid)?;
    let image = program.compile(Some(&input.name)).map_err(protocols::invalid)?;
    let plan = plan(&image, &input).with_context(|| file.display().to_string())?;
    output.value(&plan, text_of)
}

fn text_of(plan: &Plan) -> String {
    let mut rows = vec![["ROLE", "POSITION", "", "BECAUSE"].map(str::to_owned).to_vec()];
    rows.extend(plan.reasons.iter().map(|reason| {
        let action = if plan.restarted.contains(&reason.role) { "restarted" } else { "untouched" };
        vec![reason.role.clone(), reason.to.to_string(), action.to_owned(), reason.because.clone()]
    }));
    let mut text = columns(&rows);
    for message in &plan.in_transit {
        text.push_str(&format!(
            "in transit: message {} from {} to {}, `{}`\n",
            message.index, message.from, message.to, message.label
        ));
    }
    text
}
