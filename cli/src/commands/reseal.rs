//! `bulla reseal`: values sealed again to the newest key.

use std::collections::BTreeSet;

use bulla::seal::{KeyId, Recipient};

use crate::args::{Report as Format, ResealArguments};
use crate::failure::{Outcome, refuse};
use crate::output::{self, BAD, DIM, GOOD, Progress, WARN};
use crate::reseal::{self, Controller, FileReport, Mode, Plan, Report, Wanted, Way};
use crate::{identities, recipients};

/// Stale values that are listed before the rest is only counted.
const LISTED: usize = 50;

/// Runs the verb.
pub(super) fn run(arguments: &ResealArguments) -> Outcome {
    let plan = plan(arguments)?;
    let report = reseal::run(&plan, &Progress::new(0, "files"))?;
    match arguments.output {
        Format::Json => output::print_json(&report)?,
        Format::Text => tell(&report, plan.mode)?,
    }
    if report.failed > 0 {
        return Err(refuse!("{} value(s) or file(s) could not be sealed again", report.failed));
    }
    if plan.mode == Mode::Check && report.stale > 0 {
        return Err(refuse!("{} value(s) are to be sealed again: bulla reseal", report.stale));
    }
    Ok(())
}

fn plan(arguments: &ResealArguments) -> Outcome<Plan> {
    let mode = match (arguments.check, arguments.dry_run) {
        (true, _) => Mode::Check,
        (false, true) => Mode::DryRun,
        (false, false) => Mode::Write,
    };
    let mut wanted = Wanted {
        to: recipients::usable(typed(&arguments.to, "--to")?)?,
        added: typed(&arguments.add, "--add")?,
        removed: removed(&arguments.remove)?,
        is_native_only: arguments.native,
        ..Wanted::default()
    };
    let way = if !arguments.identity.is_empty() {
        let keyring = identities::keyring(&arguments.identity)?;
        wanted = wanted.newest_of(&keyring);
        Way::Identities(keyring)
    } else if mode == Mode::Write {
        let service = arguments.controller_service.as_deref();
        let (controller, published) = Controller::connect(&arguments.cluster, service)
            .map_err(|failure| failure.at("no --identity, so the controller is asked"))?;
        wanted = wanted.newest_of_cluster(&published)?;
        Way::Controller(Box::new(controller))
    } else {
        wanted.cluster = Some(arguments.cluster.clone());
        Way::Outside
    };
    Ok(Plan {
        paths: arguments.paths.clone(),
        exclude: arguments.exclude.clone(),
        namespace: arguments.namespace.clone(),
        wanted,
        way,
        mode,
    })
}

fn typed(sources: &[String], flag: &'static str) -> Outcome<Vec<Recipient>> {
    let mut all = Vec::new();
    for source in sources {
        all.extend(recipients::typed(source, flag)?);
    }
    Ok(all)
}

fn removed(sources: &[String]) -> Outcome<BTreeSet<KeyId>> {
    let mut ids = BTreeSet::new();
    for source in sources {
        match source.parse::<KeyId>() {
            Ok(id) => drop(ids.insert(id)),
            Err(_) => ids.extend(recipients::typed(source, "--remove")?.iter().map(Recipient::key_id)),
        }
    }
    Ok(ids)
}

/// Files of rules that are named for one recipient.
const NAMED: usize = 5;

fn tell(report: &Report, mode: Mode) -> Outcome {
    let mut text = String::new();
    for file in &report.files {
        for failed in &file.failed {
            let line = failed.line.map(|line| format!(":{line}")).unwrap_or_default();
            let object = failed.object.as_ref().map(|object| format!(" {object}")).unwrap_or_default();
            let key = failed.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
            let said = format!("{}{line}:{object}{key} {}", file.file, failed.reason);
            text.push_str(&format!("{BAD}✗{BAD:#} {}\n", output::plain(&said)));
        }
    }
    text.push_str(&stale(&report.files));
    let files = report.files.iter().filter(|file| file.resealed > 0).count();
    if report.resealed > 0 {
        let done = if mode == Mode::Write { "sealed again" } else { "would be sealed again" };
        text.push_str(&format!("{GOOD}✓{GOOD:#} {} value(s) in {files} file(s) {done}\n", report.resealed));
    }
    for (id, count) in &report.gained {
        let by: Vec<String> =
            report.named_by.get(id).into_iter().flatten().take(NAMED).map(|file| output::plain(file)).collect();
        let by = if by.is_empty() { String::new() } else { format!(": named by {}", by.join(", ")) };
        text.push_str(&format!("  {GOOD}+{GOOD:#} {id} opens {count} of them now, and could not before{by}\n"));
    }
    for (id, count) in &report.lost {
        text.push_str(&format!("  {WARN}-{WARN:#} {id} opens {count} of them no more\n"));
    }
    if report.current > 0 {
        text.push_str(&format!("{DIM}{} value(s) were as they should be{DIM:#}\n", report.current));
    }
    output::print(&text)?;
    if report.unknown > 0 {
        output::note(&format!(
            "{} value(s) do not say to whom they are sealed, as kubeseal's never do: pass --identity to find out",
            report.unknown
        ));
    }
    if report.resealed > 0 && mode == Mode::Write {
        output::note(
            "the secrets themselves are what they were: if the old key may be known to others, change them where they are from",
        );
    }
    Ok(())
}

fn stale(files: &[FileReport]) -> String {
    let mut all = files.iter().flat_map(|file| file.stale.iter().map(|(line, key)| (&file.file, line, key)));
    let mut text = String::new();
    for (file, line, key) in all.by_ref().take(LISTED) {
        text.push_str(&format!("{WARN}stale{WARN:#} {}\n", output::plain(&format!("{file}:{line}: {key}"))));
    }
    let rest = all.count();
    if rest > 0 {
        text.push_str(&format!("and {rest} more\n"));
    }
    text
}
