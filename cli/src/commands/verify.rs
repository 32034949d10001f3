//! `bulla verify`: a repository, checked without a cluster and without a private key.

use std::collections::BTreeSet;
use std::path::Path;

use crate::args::VerifyArguments;
use crate::failure::{Outcome, usage};
use crate::findings::{self, Baseline, Format, Report, Root};
use crate::git::Checkout;
use crate::output;
use crate::verify::{self, Check, Counts, Options, RULES};

/// Runs the verb.
pub(super) fn run(arguments: &VerifyArguments) -> Outcome {
    let is_json = arguments.output == Format::Json;
    if let Some(rule) = &arguments.explain {
        return findings::explain(&RULES, rule, is_json);
    }
    if arguments.rules {
        return findings::list(&RULES, is_json);
    }
    let options = Options {
        keyring: arguments.keyring.clone(),
        namespace: arguments.namespace.clone(),
        exclude: arguments.exclude.clone(),
        soon: arguments.expires_within,
    };
    let Check { mut findings, mut notes, counts, checked } = verify::check(&arguments.paths, &options)?;
    let root = Root::of_current_folder();
    let names: BTreeSet<String> = checked.iter().map(|file| root.name(file)).collect();
    // What is gone was looked at too: nothing is wrong with it any more.
    let was_checked = |name: &str| names.contains(name) || !root.path(name).exists();
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
    if let Some(revision) = &arguments.changed_since {
        let changed = changed_since(revision)?;
        let is_new = |file: &str| changed.contains(&root.name(file));
        findings.retain(|one| is_new(&one.file) || one.related.iter().any(|other| is_new(&other.file)));
        notes.retain(|note| is_new(&note.file));
    }
    let report = Report {
        rules: &RULES,
        findings: &findings,
        notes: &notes,
        known,
        headline: headline(&counts),
        checked: &counts,
    };
    report.print(arguments.output)?;
    report.verdict(arguments.strict)
}

/// Files that differ from where this branch left `revision`, committed or not, by their names from the root.
fn changed_since(revision: &str) -> Outcome<BTreeSet<String>> {
    let checkout = Checkout::find(Path::new("."))?;
    let Some(commit) = checkout.commit_of(revision)? else {
        return Err(usage!("there is no commit {revision:?} here: a shallow clone may lack it (fetch-depth: 0)"));
    };
    // Without a common ancestor, everything that differs is new.
    let base = checkout.ask("merge-base", [commit.as_str(), "HEAD"]);
    let base = base.map_or(commit, |base| String::from_utf8_lossy(&base).trim().to_owned());
    let said = checkout
        .ask("diff", ["--name-only", "-z", "--no-renames", "--no-ext-diff", "--diff-filter=d", base.as_str()])?;
    let names = said.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut changed: BTreeSet<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    changed.extend(checkout.untracked()?.iter().map(|path| path.to_string_lossy().into_owned()));
    Ok(changed)
}

fn headline(counts: &Counts) -> String {
    let Counts { files, sealed_secrets, values, external_secrets, stores, hosts, kustomizations } = counts;
    let declared = if *hosts > 0 { format!(", {hosts} Host document(s)") } else { String::new() };
    let built = if *kustomizations > 0 { format!(", {kustomizations} kustomization(s)") } else { String::new() };
    format!(
        "{files} file(s): {sealed_secrets} SealedSecret(s) with {values} value(s), {external_secrets} ExternalSecret(s), \
         {stores} store(s){declared}{built}"
    )
}
