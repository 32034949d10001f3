//! `bulla host sync` and `bulla host rollback`: said to the running agent.

use std::io::ErrorKind;

use bulla::host::agent::{Answer, Condition, Request, ask};

use super::config;
use crate::args::{HostArguments, HostPlace, Report, RollbackArguments};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output;

pub(super) fn sync(arguments: &HostArguments) -> Outcome {
    tell(&arguments.place, &Request::Sync, arguments.output)
}

pub(super) fn rollback(arguments: &RollbackArguments) -> Outcome {
    let request = match &arguments.accept_rewrite {
        Some(commit) => Request::AcceptRewrite { commit: commit.clone() },
        None if arguments.forgive => Request::Forgive { commit: None },
        None => Request::Rollback,
    };
    tell(&arguments.place, &request, arguments.output)
}

fn tell(place: &HostPlace, request: &Request, report: Report) -> Outcome {
    let config = config(place)?;
    let Answer { done, message, status, .. } = match ask(&config.run, request) {
        // Nobody listens: the folder is not there, or was left by an agent that ended.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(usage!(
                "no agent runs here (nobody answers in {}): start bulla-host.service, or run `bulla-controller host --once`",
                config.run.display()
            ));
        }
        asked => asked.or_usage(format!("asking the agent in {}: are you root?", config.run.display()))?,
    };
    // The commit may be in use and a file of it not: `sync && restart` must not go on then.
    let is_done = done && (*request != Request::Sync || status.condition == Condition::InSync);
    match report {
        Report::Json => output::print_json(&serde_json::json!({ "done": done, "message": message, "status": status }))?,
        Report::Text if is_done => output::print(&format!("{message}\n"))?,
        Report::Text => {}
    }
    if is_done { Ok(()) } else { Err(refuse!("{message}")) }
}
