//! `bulla scan`: secrets in the clear, in files, in the index or in all of history.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::args::ScanArguments;
use crate::failure::Outcome;
use crate::findings::{self, Baseline, Format, Report, Root};
use crate::git::Revisions;
use crate::output;
use crate::scan::{self, Counts, GITLEAKS_ALLOWLIST, Options, RULES, Search};

/// Runs the verb.
pub(super) fn run(arguments: &ScanArguments) -> Outcome {
    let is_json = arguments.output == Format::Json;
    if arguments.gitleaks_allowlist {
        return output::print(GITLEAKS_ALLOWLIST);
    }
    if let Some(rule) = &arguments.explain {
        return findings::explain(RULES, rule, is_json);
    }
    if arguments.rules {
        return findings::list(RULES, is_json);
    }
    let options = Options {
        paths: arguments.paths.clone(),
        exclude: arguments.exclude.clone(),
        allow: arguments.allow.clone(),
        with_ignored: arguments.ignored,
    };
    let began = Instant::now();
    let is_history = arguments.history || arguments.reflog || !arguments.commits.is_empty();
    let Search { mut findings, mut notes, counts, files } = if is_history {
        let revisions = Revisions { named: arguments.commits.clone(), with_reflogs: arguments.reflog };
        scan::history(&options, &revisions)?
    } else if arguments.staged {
        scan::staged(&options)?
    } else {
        scan::tree(&options)?
    };
    let root = Root::of_current_folder();
    let names: BTreeSet<String> = files.iter().map(|file| root.name(file)).collect();
    let was_checked = |name: &str| is_history || names.contains(name) || !root.path(name).exists();
    if let Some(file) = &arguments.write_baseline {
        let count = Baseline::write(file, &findings, was_checked)?;
        output::note(&format!("{count} finding(s) written to {}", file.display()));
        return Ok(());
    }
    let mut known = 0;
    if let Some(file) = &arguments.baseline {
        let (count, stale) = Baseline::read(file)?.apply(file, &mut findings, was_checked);
        known = count;
        notes.extend(stale);
    }
    let headline = headline(&counts, began);
    let report = Report { rules: RULES, findings: &findings, notes: &notes, known, headline, checked: &counts };
    report.print(arguments.output)?;
    report.verdict(arguments.strict)
}

fn headline(counts: &Counts, began: Instant) -> String {
    let Counts { commits, texts, bytes, allowed, .. } = counts;
    let what = match (commits, counts.searched) {
        (Some(commits), _) => format!("{commits} commit(s), {texts} version(s) of files"),
        (None, "staged") => format!("{texts} staged file(s)"),
        (None, _) => format!("{texts} file(s)"),
    };
    let size = if *bytes >= 10 << 20 { format!(", {} MiB", bytes >> 20) } else { String::new() };
    let seconds = began.elapsed().as_secs_f64();
    let time = if seconds >= 1.0 { format!(", {seconds:.1} s") } else { String::new() };
    let allowed = if *allowed > 0 { format!(", {allowed} allowed") } else { String::new() };
    format!("{what}{size}{time}{allowed}")
}
