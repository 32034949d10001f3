//! What would be done, for `--dry-run` and `bulla host diff`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::take::Taken;
use super::{Agent, Error};
use crate::host::config::Config;
use crate::host::desired::Problem;
use crate::host::sink::Change;

/// What would be done if the newest commit was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Looks at the newest commit, and takes nothing of it: a generation is staged and forgotten. `file` is where the
/// settings are. Its `validate` commands run, and stores are asked; what another agent left half done is finished.
///
/// # Errors
/// See [`Error`]. An agent that runs holds the run folder: then this says so, and that agent is to be asked
/// ([`super::Request::Preview`]).
pub async fn dry_run(config: Config, file: &Path) -> Result<Preview, Error> {
    let mut agent = Agent::open(config, file).await?;
    let preview = agent.preview().await;
    agent.external.close().await;
    Ok(preview)
}

impl Agent {
    /// What would be done if the newest commit was taken.
    pub(super) async fn preview(&mut self) -> Preview {
        let good = self.state.good.as_ref().map(|good| good.commit.clone());
        let mut preview = Preview { good, ..Preview::default() };
        self.external.begin_look();
        preview.refused = self.look(&mut preview).await.err();
        self.external.end_look();
        preview
    }

    async fn look(&mut self, preview: &mut Preview) -> Result<(), String> {
        let repository = Arc::clone(&self.repository);
        let fetched = self.beside(async move { repository.fetch().await }).await;
        let fetched = fetched.map_err(|_cut| "ended: the agent has something else to do".to_owned())?;
        let tip = fetched.map_err(|error| super::chain(&error))?;
        preview.commit = tip.to_string();
        if let Some(bad) = self.state.why_bad(tip.as_str()) {
            return Err(format!("it is known to be bad: {}", bad.why));
        }
        self.judge(&tip).await?;
        let coming = self.prepare(&tip).await?;
        preview.changes = coming.staged.changes().to_vec();
        preview.problems.clone_from(&coming.problems);
        preview.steps = coming.plan.steps.iter().map(ToString::to_string).collect();
        match self.validate(&coming).await {
            Ok(()) | Err(Taken::Done(_)) => Ok(()),
            Err(Taken::Refused { why, .. } | Taken::Failed(why)) => Err(why),
        }
    }
}
