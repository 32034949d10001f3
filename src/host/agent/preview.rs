//! What would be done, for `--dry-run` and `bulla host diff`.

use std::path::Path;

use serde::Serialize;

use super::{Agent, Error};
use crate::host::config::Config;
use crate::host::desired::Problem;
use crate::host::sink::Change;

/// What would be done if the newest commit was taken.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The commit that the host has.
    pub good: Option<String>,
    /// The commit that was looked at.
    pub commit: String,
    /// Files that are not as they would be.
    pub changes: Vec<Change>,
    /// What would be told, started and stopped, in this order.
    pub steps: Vec<String>,
    /// What cannot be made.
    pub problems: Vec<Problem>,
    /// Why the commit would not be taken.
    pub refused: Option<String>,
}

/// Looks at the newest commit, and does nothing: a generation is staged and forgotten. `file` is where the settings are.
///
/// # Errors
/// See [`Error`]. An agent that runs holds the run folder: then this says so.
pub async fn dry_run(config: Config, file: &Path) -> Result<Preview, Error> {
    let mut agent = Agent::open(config, file).await?;
    agent.external.leave_disk(true);
    let good = agent.state.good.as_ref().map(|good| good.commit.clone());
    let mut preview = Preview { good, ..Preview::default() };
    preview.refused = agent.look(&mut preview).await.err();
    agent.external.close().await;
    Ok(preview)
}

impl Agent {
    async fn look(&mut self, preview: &mut Preview) -> Result<(), String> {
        let tip = self.repository.fetch().await.map_err(|error| super::chain(&error))?;
        preview.commit = tip.to_string();
        if let Some(bad) = self.state.why_bad(tip.as_str()) {
            return Err(format!("it is known to be bad: {}", bad.why));
        }
        self.judge(&tip).await?;
        let coming = self.prepare(&tip).await?;
        preview.changes = coming.staged.changes().to_vec();
        preview.problems.clone_from(&coming.problems);
        preview.steps = coming.plan.steps.iter().map(ToString::to_string).collect();
        self.validate(&coming).await
    }
}
