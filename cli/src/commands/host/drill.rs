//! `bulla host drill`: whether a host can be rebuilt from the repository and a key alone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bulla::host::config::Allow;
use bulla::host::declared::external::{Admitted, External, Settings};
use bulla::host::declared::{Folder, Folders, Who, declare};
use bulla::host::desired::{Content, Problem};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{HostDrillArguments, Report};
use crate::cluster;
use crate::failure::{Outcome, refuse, usage};
use crate::identities;
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// What the drill found. The names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Drilled {
    host: String,
    files: usize,
    made: usize,
    services: usize,
    seconds: f64,
    problems: Vec<Problem>,
    /// ExternalSecrets of AWS or Vault, which were not asked.
    elsewhere: Vec<String>,
}

pub(super) fn run(arguments: &HostDrillArguments) -> Outcome {
    let keyring = identities::keyring(&arguments.identity)?;
    if keyring.is_empty() {
        return Err(usage!("none of the files has a private key that opens anything"));
    }
    let began = Instant::now();
    let who = Who { name: arguments.host.clone(), groups: arguments.groups.clone(), folders: Folders::system() };
    let source = Arc::new(Folder(arguments.repository.clone()));
    let keyring = Arc::new(keyring);
    // Files and fakes are of the repository too; nothing else is asked.
    let inside = Allow { stores: Some(vec!["file".to_owned(), "fake".to_owned()]), ..Allow::default() };
    let admitted = Admitted::new(&inside).map_err(|error| usage!("{error}"))?;
    let settings = Settings { admitted, ..Settings::new(&arguments.host, Arc::clone(&keyring)) };
    let desired = cluster::block_on(async {
        let declared = declare(source, &who, keyring, &mut External::new(settings), Timestamp::now()).await;
        declared.map_err(|error| usage!("{error}"))
    })?;
    let is_elsewhere =
        |problem: &Problem| problem.object.starts_with("ExternalSecret ") && problem.message.contains("(allow.stores)");
    let elsewhere: Vec<String> =
        desired.problems.iter().filter(|problem| is_elsewhere(problem)).map(|problem| problem.object.clone()).collect();
    let problems: Vec<Problem> = desired.problems.into_iter().filter(|problem| !is_elsewhere(problem)).collect();
    let made = desired.files.iter().filter(|file| matches!(file.content, Content::Bytes(_))).count();
    let drilled = Drilled {
        host: arguments.host.clone(),
        files: desired.files.len(),
        made,
        services: desired.services.len(),
        seconds: began.elapsed().as_secs_f64(),
        problems,
        elsewhere,
    };
    match arguments.output {
        Report::Json => output::print_json(&drilled)?,
        Report::Text => output::print(&text(&drilled))?,
    }
    if drilled.files == 0 {
        return Err(refuse!("nothing is declared for host {:?}: is its name right, and are its groups?", drilled.host));
    }
    if drilled.problems.is_empty() {
        Ok(())
    } else {
        Err(refuse!("{} thing(s) cannot be made", drilled.problems.len()))
    }
}

fn text(drilled: &Drilled) -> String {
    let is_whole = drilled.made == drilled.files && drilled.files > 0;
    let mark = if is_whole { format!("{GOOD}✓{GOOD:#}") } else { format!("{WARN}!{WARN:#}") };
    let mut out = format!(
        "{mark} {} of {} file(s) of {} can be made, {} service(s) {DIM}({:.2} s){DIM:#}\n",
        drilled.made, drilled.files, drilled.host, drilled.services, drilled.seconds
    );
    // Writing to a String does not fail.
    for problem in &drilled.problems {
        writeln!(out, "  {BAD}✗{BAD:#} {problem}").ok();
    }
    for object in &drilled.elsewhere {
        writeln!(out, "  {WARN}?{WARN:#} {object} was not asked for: its provider has to be there too").ok();
    }
    out
}
