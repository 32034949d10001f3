//! `bulla plan`: what ExternalSecrets would write, without a cluster.

use jiff::Timestamp;
use serde::Serialize;

use crate::args::{PlanArguments, Report};
use crate::cluster;
use crate::external::{self, Documents, Finding, Offline, Plan, Take};
use crate::failure::{Outcome, refuse};
use crate::memory::Memory;
use crate::output::{self, BAD};

#[derive(Serialize)]
struct Found<'a> {
    plans: &'a [Plan],
    findings: &'a [Finding],
}

/// Runs the verb.
pub(super) fn run(arguments: &PlanArguments) -> Outcome {
    let mut documents = Documents::default();
    let namespace = arguments.namespace.as_deref();
    for file in &arguments.file {
        documents.read(file, namespace, Take::All)?;
    }
    for file in &arguments.store {
        documents.read(file, namespace, Take::Stores)?;
    }
    if documents.externals.is_empty() {
        return Err(refuse!("{} holds no ExternalSecret", names(arguments)));
    }
    let offline = Offline { identities: arguments.identity.clone(), files: arguments.file_store_root.clone() };
    let mut findings = external::check(&documents);
    let memory = Memory::open();
    let (plans, found) = cluster::block_on(external::plan(&documents, &offline, &memory, Timestamp::now()))?;
    // A store that breaks a rule is found by both.
    for finding in found {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    match arguments.output {
        Report::Json => output::print_json(&Found { plans: &plans, findings: &findings })?,
        Report::Text => {
            let mut text = plans.iter().map(external::text).collect::<Vec<_>>().join("\n");
            for finding in &findings {
                let Finding { file, line, object, path, message, .. } = finding;
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                text.push_str(&format!("{BAD}✗{BAD:#} {file}{line}: {object}: {path}: {message}\n"));
            }
            output::print(&text)?;
        }
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(refuse!("{count} finding(s) in {}: mend them before this is committed", names(arguments))),
    }
}

fn names(arguments: &PlanArguments) -> String {
    arguments.file.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
