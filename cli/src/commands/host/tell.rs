//! `bulla host sync` and `bulla host rollback`: said to the running agent.

use bulla::host::agent::{Answer, Request, ask};

use super::config;
use crate::args::{HostArguments, HostPlace, Report, RollbackArguments};
use crate::failure::{OrFail as _, Outcome, refuse};
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
    let why = format!("asking the agent in {}: is bulla-host.service running, and are you root?", config.run.display());
    let Answer { done, message, status, .. } = ask(&config.run, request).or_usage(why)?;
    match report {
        Report::Json => output::print_json(&serde_json::json!({ "done": done, "message": message, "status": status }))?,
        Report::Text if done => output::print(&format!("{message}\n"))?,
        Report::Text => {}
    }
    if done { Ok(()) } else { Err(refuse!("{message}")) }
}
