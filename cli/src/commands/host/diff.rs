//! `bulla host diff`: what would change if the newest commit was taken. The agent that runs says it; where none does,
//! the command looks itself.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use bulla::host::agent::{Preview, Request, ask, dry_run};
use bulla::host::config::Config;
use bulla::host::sink::What;

use super::config;
use crate::args::{HostArguments, Report};
use crate::cluster;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, BAD, DIM, GOOD, HEAD, WARN};

pub(super) fn run(arguments: &HostArguments) -> Outcome {
    let preview = look(config(&arguments.place)?, &arguments.place.config)?;
    match arguments.output {
        Report::Json => output::print_json(&preview)?,
        Report::Text => output::print(&text(&preview))?,
    }
    match &preview.refused {
        Some(refused) => Err(refuse!("the commit would not be taken: {refused}")),
        None if preview.problems.is_empty() => Ok(()),
        None => Err(refuse!("{} thing(s) cannot be made", preview.problems.len())),
    }
}

fn look(config: Config, file: &Path) -> Outcome<Preview> {
    match ask(&config.run, &Request::Preview) {
        Ok(answer) => match answer.preview {
            Some(preview) => Ok(*preview),
            None => Err(refuse!("{}", answer.message)),
        },
        // Nobody listens: the folder is not there, or was left by an agent that ended.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            cluster::block_on(async { dry_run(config, file).await.or_usage("looking at the newest commit") })
        }
        Err(error) => {
            let why = format!(
                "asking the agent in {}: are you root, and is the agent as new as this command?",
                config.run.display()
            );
            Err(error).or_usage(why)
        }
    }
}

fn text(preview: &Preview) -> String {
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
    let good = preview.good.as_deref().map_or_else(|| "nothing".to_owned(), short);
    let mut out = format!("{HEAD}{good} → {}{HEAD:#}\n", short(&preview.commit));
    // Writing to a String does not fail.
    for change in &preview.changes {
        let (style, mark, what) = match &change.what {
            What::Added => (GOOD, '+', "new".to_owned()),
            What::Removed => (BAD, '-', "gone".to_owned()),
            What::Changed(aspects) => {
                let aspects = aspects.iter().map(|aspect| format!("{aspect:?}").to_lowercase());
                (WARN, '~', aspects.collect::<Vec<_>>().join(", "))
            }
        };
        writeln!(out, "  {style}{mark}{style:#} {} {DIM}{what}{DIM:#}", change.path.display()).ok();
    }
    for step in &preview.steps {
        writeln!(out, "  {GOOD}→{GOOD:#} {step}").ok();
    }
    for problem in &preview.problems {
        writeln!(out, "  {BAD}✗{BAD:#} {problem}").ok();
    }
    if preview.changes.is_empty() && preview.steps.is_empty() {
        writeln!(out, "  {DIM}nothing would change{DIM:#}").ok();
    }
    out
}
