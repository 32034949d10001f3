//! `bulla drill`: whether a repository and a recovery key alone bring every value back.

use crate::args::{DrillArguments, Report};
use crate::drill::{Drill, Verdict};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::files::Files;
use crate::git::Git;
use crate::identities;
use crate::output::{self, Access};

/// Runs the verb.
pub(super) fn run(arguments: &DrillArguments) -> Outcome {
    let git = Git::discover(&arguments.repository)?;
    let keyring = identities::keyring(&arguments.identity)?;
    if keyring.is_empty() {
        return Err(usage!("none of the files has a private key that opens anything"));
    }
    let files = Files::without(&arguments.exclude)?;
    let drill = Drill {
        git: &git,
        keyring: &keyring,
        revisions: &arguments.rev,
        older: arguments.history,
        files: &files,
        namespace: arguments.namespace.as_deref(),
    };
    let report = drill.run()?;
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&report).or_usage("writing JSON")?;
        output::write_file(path, format!("{text}\n").as_bytes(), Access::Ordinary)?;
    }
    match arguments.output {
        Report::Json => output::print_json(&report)?,
        Report::Text => output::print(&report.text())?,
    }
    if !report.is_failure(arguments.history) {
        return Ok(());
    }
    Err(match report.verdict {
        Verdict::Nothing => refuse!("the drill proves nothing: is this the right repository, and the right commit?"),
        Verdict::Unproven => {
            refuse!("the drill proves too little: {} thing(s) were not looked at", report.not_looked_at.count)
        }
        Verdict::Opens | Verdict::NewestOpens | Verdict::Lost => {
            let values: usize = report.lost.iter().map(|loss| loss.values).sum();
            refuse!("the drill failed: {values} value(s) do not come back")
        }
    })
}
