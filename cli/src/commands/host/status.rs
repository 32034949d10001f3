//! `bulla host status`: what this host has, from which commit, and what is wrong.

use std::fmt::Write as _;
use std::io;

use anstyle::Style;
use bulla::host::agent::{Condition, Status};
use jiff::Timestamp;

use super::config;
use crate::args::{HostStatusArguments, Report};
use crate::failure::{Failure, Outcome, refuse, usage};
use crate::output::{self, BAD, DIM, GOOD, HEAD, WARN};

/// An agent that said nothing for so many seconds hangs or is gone.
const SILENT: i64 = 600;

pub(super) fn run(arguments: &HostStatusArguments) -> Outcome {
    let config = config(&arguments.place)?;
    let status = match Status::read(&config.run) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(usage!(
                "no agent has run on this host since it was started: {} is not there. Start bulla-host.service, or run \
                 `bulla-controller host --once`",
                config.run.join("status.json").display()
            ));
        }
        Err(error) => return Err(Failure::from(error)),
    };
    match arguments.output {
        Report::Json => output::print_json(&status)?,
        Report::Text => output::print(&text(&status, arguments.files))?,
    }
    if status.follows && !runs(status.pid) {
        return Err(refuse!("the agent that said so does not run any more: start bulla-host.service"));
    }
    match status.condition {
        Condition::InSync => Ok(()),
        Condition::Starting | Condition::Trying | Condition::Degraded | Condition::Behind | Condition::RolledBack => {
            // The text and the JSON have said why.
            Err(refuse!("the host is not as its repository says"))
        }
    }
}

/// Whether the agent's process is there; another one may have its number by now.
fn runs(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.starts_with("bulla"))
}

const fn style(condition: Condition) -> Style {
    match condition {
        Condition::InSync => GOOD,
        Condition::Starting | Condition::Trying | Condition::Degraded | Condition::Behind => WARN,
        Condition::RolledBack => BAD,
    }
}

fn text(status: &Status, with_files: bool) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    write_text(&mut out, status, with_files).ok();
    out
}

fn write_text(out: &mut String, status: &Status, with_files: bool) -> std::fmt::Result {
    let now = Timestamp::now();
    let ago = |at: Timestamp| format!("{} ago", age((now.as_second() - at.as_second()).max(0)));
    let style = style(status.condition);
    let groups = if status.groups.is_empty() { String::new() } else { format!(" ({})", status.groups.join(", ")) };
    writeln!(
        out,
        "{HEAD}{}{HEAD:#}{groups}  {style}{}{style:#}  {}",
        status.host,
        status.condition.as_str(),
        status.message
    )?;
    if let Some(good) = &status.good {
        writeln!(out, "  commit      {} {DIM}(taken {}){DIM:#}", short(&good.commit), ago(good.since))?;
    }
    if let Some(trying) = &status.trying {
        writeln!(out, "  proving     {} since {}", short(&trying.commit), ago(trying.since))?;
    }
    if let Some(tip) = status.tip.as_deref().filter(|tip| status.good.as_ref().is_none_or(|good| good.commit != *tip)) {
        writeln!(out, "  newest      {}", short(tip))?;
    }
    let fetched = status.fetched.map_or_else(|| "never".to_owned(), ago);
    writeln!(out, "  repository  {} {} {DIM}(asked {fetched}){DIM:#}", status.repository, status.branch)?;
    // What the first line says is said once.
    let is_news = |text: &str| text != status.message;
    if let Some(error) = status.fetch_error.as_deref().filter(|error| is_news(error)) {
        writeln!(out, "              {WARN}{error}{WARN:#}")?;
    }
    if let Some(refused) = status.refused.as_deref().filter(|refused| is_news(refused)) {
        writeln!(out, "  refused     {BAD}{refused}{BAD:#}")?;
    }
    for bad in status.bad.iter().rev().take(3) {
        writeln!(out, "  bad commit  {} {DIM}{}{DIM:#}: {}", short(&bad.commit), ago(bad.at), bad.why)?;
        if let Some(after) = &bad.after {
            writeln!(out, "              {after}")?;
        }
    }
    for problem in status.problems.iter().filter(|problem| is_news(&problem.to_string())) {
        writeln!(out, "  problem     {WARN}{problem}{WARN:#}")?;
    }
    for warning in &status.warnings {
        writeln!(out, "  warning     {WARN}{warning}{WARN:#}")?;
    }
    for service in &status.services {
        let unit = if service.unit == service.name { String::new() } else { format!(" {DIM}{}{DIM:#}", service.unit) };
        writeln!(out, "  service     {}{unit} {}", service.name, service.state)?;
    }
    for drifted in &status.drifted {
        writeln!(out, "  by hand     {WARN}{drifted}{WARN:#}")?;
    }
    if status.drifts > 0 {
        let last = status.last_drift.as_deref().unwrap_or_default();
        let mended = if status.drifted.is_empty() { "found and put back" } else { "found" };
        writeln!(out, "  by hand     {} change(s) {mended}; the last: {last}", status.drifts)?;
    }
    let stale = status.files.iter().filter(|file| file.is_stale).count();
    let stale = if stale > 0 { format!(", {WARN}{stale} of them as they were before{WARN:#}") } else { String::new() };
    let nothing = if status.files.is_empty() && status.services.is_empty() && status.good.is_some() {
        format!(": {WARN}no Host document of this commit is for {} or its groups{WARN:#}", status.host)
    } else {
        String::new()
    };
    writeln!(out, "  files       {} in generation {}{stale}{nothing}", status.files.len(), status.generation)?;
    for file in status.files.iter().filter(|_| with_files) {
        let from =
            if file.secrets.is_empty() { String::new() } else { format!(" {DIM}{}{DIM:#}", file.secrets.join(", ")) };
        writeln!(out, "    {} {}:{} {}{from}", file.mode, file.uid, file.gid, file.path.display())?;
    }
    let silent = status.at.map_or(0, |at| now.as_second() - at.as_second());
    if silent > SILENT {
        writeln!(out, "{WARN}The agent said this {} ago: is it running?{WARN:#}", age(silent))?;
    }
    Ok(())
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
