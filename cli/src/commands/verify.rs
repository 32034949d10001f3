//! `bulla verify`: a repository, checked without a cluster and without a private key.

use std::path::Path;

use serde::Serialize;

use crate::args::{VerifyArguments, VerifyReport};
use crate::failure::{Outcome, refuse};
use crate::files::Files;
use crate::output::{self, BAD, DIM, GOOD, WARN};
use crate::verify::{Check, Counts, Finding, Level, Note};

/// What was found; the names of the fields are part of the output.
#[derive(Serialize)]
struct Found<'a> {
    checked: &'a Counts,
    findings: &'a [Finding],
    /// Files that were not looked at, and why.
    notes: &'a [Note],
}

/// Runs the verb.
pub(super) fn run(arguments: &VerifyArguments) -> Outcome {
    let files = Files::without(&arguments.exclude)?;
    let mut check = Check::new(&arguments.keyring, arguments.namespace.clone())?;
    for path in &arguments.paths {
        for file in files.of(path)? {
            check.file(&file)?;
        }
    }
    check.finish();
    let Check { findings, notes, counts, .. } = &check;
    match arguments.output {
        VerifyReport::Json => output::print_json(&Found { checked: counts, findings, notes })?,
        VerifyReport::Text => output::print(&text(findings, counts))?,
        VerifyReport::Github => output::print(&findings.iter().map(workflow_command).collect::<String>())?,
    }
    if arguments.output != VerifyReport::Json {
        notes.iter().for_each(|note| output::note(&format!("{DIM}{}: {}{DIM:#}", note.file, note.message)));
    }
    let (errors, warnings) = count(findings);
    if errors > 0 || (arguments.strict && warnings > 0) {
        return Err(refuse!("{errors} error(s) and {warnings} warning(s)"));
    }
    Ok(())
}

fn count(findings: &[Finding]) -> (usize, usize) {
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    (errors, findings.len() - errors)
}

fn text(findings: &[Finding], counts: &Counts) -> String {
    let mut text = String::new();
    for finding in findings {
        let (style, mark) = match finding.level {
            Level::Error => (BAD, "✗"),
            Level::Warning => (WARN, "!"),
        };
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        text.push_str(&format!(
            "{style}{mark}{style:#} {}{line}: {} {DIM}[{}]{DIM:#}\n",
            finding.file,
            output::plain(&sentence(finding)),
            finding.rule
        ));
    }
    let Counts { files, sealed_secrets, values, external_secrets, stores } = counts;
    let (errors, warnings) = count(findings);
    let verdict = if findings.is_empty() {
        format!("{GOOD}nothing wrong{GOOD:#}")
    } else {
        format!("{errors} error(s), {warnings} warning(s)")
    };
    text.push_str(&format!(
        "{files} file(s): {sealed_secrets} SealedSecret(s) with {values} value(s), {external_secrets} ExternalSecret(s), \
         {stores} store(s); {verdict}\n"
    ));
    text
}

/// The finding without its place in the file.
fn sentence(finding: &Finding) -> String {
    let parts = [finding.object.as_deref(), Some(finding.path.as_str()), Some(finding.message.as_str())];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// A workflow command of GitHub Actions, which shows the finding beside its line.
fn workflow_command(finding: &Finding) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let line = finding.line.map(|line| format!(",line={line}")).unwrap_or_default();
    let file = Path::new(&finding.file).display().to_string();
    let (level, rule) = (finding.level.as_str(), finding.rule);
    format!("::{level} file={}{line},title=bulla {rule}::{}\n", property(&file), escape(&sentence(finding)))
}
