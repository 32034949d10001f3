//! `bulla verify`: a repository, checked without a cluster and without a private key.

use crate::args::VerifyArguments;
use crate::failure::Outcome;
use crate::files::Files;
use crate::findings::{self, Baseline, Format, Report};
use crate::output;
use crate::verify::{Check, Counts, RULES};

/// Runs the verb.
pub(super) fn run(arguments: &VerifyArguments) -> Outcome {
    let is_json = arguments.output == Format::Json;
    if let Some(rule) = &arguments.explain {
        return findings::explain(&RULES, rule, is_json);
    }
    if arguments.rules {
        return findings::list(&RULES, is_json);
    }
    let files = Files::without(&arguments.exclude)?;
    let mut check = Check::new(&arguments.keyring, arguments.namespace.clone())?;
    for path in &arguments.paths {
        for file in files.of(path)? {
            check.file(&file)?;
        }
    }
    check.finish();
    let Check { mut findings, mut notes, counts, .. } = check;
    if let Some(file) = &arguments.write_baseline {
        let count = Baseline::write(file, &findings, |_| true)?;
        output::note(&format!("{count} finding(s) written to {}", file.display()));
        return Ok(());
    }
    let mut known = 0;
    if let Some(file) = &arguments.baseline {
        let (count, stale) = Baseline::read(file)?.apply(file, &mut findings, |_| true);
        known = count;
        notes.extend(stale);
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

fn headline(counts: &Counts) -> String {
    let Counts { files, sealed_secrets, values, external_secrets, stores } = counts;
    format!(
        "{files} file(s): {sealed_secrets} SealedSecret(s) with {values} value(s), {external_secrets} ExternalSecret(s), \
         {stores} store(s)"
    )
}
