//! Findings, printed.

use clap::ValueEnum;
use serde::Serialize;

use super::annotations::workflow_command;
use super::{Finding, Level, Note, Root, Rule, sarif};
use crate::failure::{Outcome, refuse};
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For machines
    Json,
    /// SARIF 2.1.0: for code scanning and editors
    Sarif,
    /// Workflow commands of GitHub Actions, shown beside the lines of a pull request
    Github,
}

/// What one run has to say.
pub(crate) struct Report<'a, C> {
    /// Every rule that could have been broken.
    pub(crate) rules: &'a [&'static Rule],
    pub(crate) findings: &'a [Finding],
    pub(crate) notes: &'a [Note],
    /// How many findings are known already and not among `findings`.
    pub(crate) known: usize,
    /// What was looked at, for machines.
    pub(crate) checked: &'a C,
    /// What was looked at, in words.
    pub(crate) headline: String,
}

/// The report for machines; the names of the fields are part of the output.
#[derive(Serialize)]
struct Json<'a, C> {
    checked: &'a C,
    findings: &'a [Finding],
    /// Files that were not looked at, and why.
    notes: &'a [Note],
    /// Findings of the baseline that are left out.
    known: usize,
}

impl<C: Serialize> Report<'_, C> {
    /// Prints to standard output; notes for people go to standard error.
    pub(crate) fn print(&self, format: Format) -> Outcome {
        let Report { findings, notes, checked, known, .. } = *self;
        match format {
            Format::Json => output::print_json(&Json { checked, findings, notes, known })?,
            Format::Sarif => {
                output::print_json(&sarif::log(self.rules, findings, notes, &Root::of_current_folder()))?;
            }
            Format::Text => output::print(&self.text())?,
            Format::Github => {
                let root = Root::of_current_folder();
                output::print(&findings.iter().map(|one| workflow_command(one, &root)).collect::<String>())?;
            }
        }
        if format != Format::Json {
            let line =
                |note: &Note| format!("{DIM}{}: {}{DIM:#}", output::plain(&note.file), output::plain(&note.message));
            notes.iter().for_each(|note| output::note(&line(note)));
        }
        Ok(())
    }

    /// The failure that the findings are: of errors, and with `is_strict` of warnings too.
    pub(crate) fn verdict(&self, is_strict: bool) -> Outcome {
        let (errors, warnings) = self.count();
        if errors > 0 || (is_strict && warnings > 0) {
            return Err(refuse!("{errors} error(s) and {warnings} warning(s)"));
        }
        Ok(())
    }

    fn count(&self) -> (usize, usize) {
        let errors = self.findings.iter().filter(|finding| finding.level == Level::Error).count();
        (errors, self.findings.len() - errors)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.findings.iter().peekable();
        while let Some(finding) = rest.next() {
            let (style, mark) = match finding.level {
                Level::Error => (BAD, "✗"),
                Level::Warning => (WARN, "!"),
            };
            let (place, sentence) = (output::plain(&finding.place()), output::plain(&finding.sentence()));
            text.push_str(&format!("{style}{mark}{style:#} {place}: {sentence} {DIM}[{}]{DIM:#}\n", finding.rule.id));
            for other in &finding.related {
                let numbers = [other.line, other.column].into_iter().flatten();
                let numbers: String = numbers.map(|number| format!(":{number}")).collect();
                let (file, message) = (output::plain(&other.file), output::plain(&other.message));
                text.push_str(&format!("  {DIM}{file}{numbers}: {message}{DIM:#}\n"));
            }
            // Once for findings in a row that are mended together.
            let is_last = rest.peek().is_none_or(|next| next.file != finding.file || next.mend != finding.mend);
            if is_last && !finding.mend.is_empty() {
                text.push_str(&format!("  → {}\n", output::plain(&finding.mend)));
            }
        }
        let (errors, warnings) = self.count();
        let known = if self.known > 0 { format!(", {} known already", self.known) } else { String::new() };
        let verdict = if self.findings.is_empty() {
            format!("{GOOD}nothing wrong{GOOD:#}{known}")
        } else {
            format!("{errors} error(s), {warnings} warning(s){known}")
        };
        text.push_str(&format!("{}; {verdict}\n", self.headline));
        text
    }
}
