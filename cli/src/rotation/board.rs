//! The steps of a run as a short list with marks: what is done, where it is, what is still open.

use anstyle::Style;
use serde::Serialize;

use crate::args::Report as Format;
use crate::failure::Outcome;
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// A step of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Step {
    /// The key that takes the place of the old one.
    NewKey,
    /// Recipients and values of the repository.
    SealAgain,
    /// The repository is checked.
    Verify,
    /// Branch and commit.
    Commit,
    /// Into the branch where the run began: a person's.
    Merge,
    /// The old key is taken out of use.
    Retire,
}

impl Step {
    const ALL: [Self; 6] = [Self::NewKey, Self::SealAgain, Self::Verify, Self::Commit, Self::Merge, Self::Retire];

    const fn name(self) -> &'static str {
        match self {
            Self::NewKey => "new key",
            Self::SealAgain => "seal again",
            Self::Verify => "verify",
            Self::Commit => "commit",
            Self::Merge => "merge",
            Self::Retire => "retire",
        }
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    /// It is done.
    Done,
    /// It is not to be done.
    Skipped,
    /// The run is here, and waits for somebody or something.
    Now,
    /// The run ended here.
    Failed,
    /// It comes later.
    Open,
}

impl Mark {
    const fn sign(self) -> (&'static str, Style) {
        match self {
            Self::Done => ("✓", GOOD),
            Self::Skipped => ("-", DIM),
            Self::Now => ("▶", WARN),
            Self::Failed => ("✗", BAD),
            Self::Open => ("○", DIM),
        }
    }
}

/// One line of the list; the names of the fields are part of the output.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) step: Step,
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// The list. For people it grows while the run goes on; for machines it is part of the report at its end.
pub(super) struct Board {
    format: Format,
    lines: Vec<Line>,
}

impl Board {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, lines: Vec::new() }
    }

    /// A line above the list.
    pub(super) fn headline(&self, text: &str) -> Outcome {
        self.print(&format!("{text}\n"))
    }

    /// How a step came out.
    pub(super) fn step(&mut self, step: Step, mark: Mark, text: impl Into<String>) -> Outcome {
        let line = Line { step, mark, text: text.into() };
        self.print(&shown(&line))?;
        self.lines.push(line);
        Ok(())
    }

    /// More about the step before.
    pub(super) fn detail(&self, style: Style, sign: &str, text: &str) -> Outcome {
        self.print(&format!("    {style}{sign}{style:#} {}\n", output::plain(text)))
    }

    /// The step that is next.
    pub(super) fn next(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| self.lines.iter().all(|line| line.step != *step))
    }

    /// Shows what is left as open.
    pub(super) fn close(&mut self) -> Outcome {
        while let Some(step) = self.next() {
            self.step(step, Mark::Open, "")?;
        }
        Ok(())
    }

    /// The list so far.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What is for people only.
    pub(super) fn print(&self, text: &str) -> Outcome {
        if self.format == Format::Text { output::print(text) } else { Ok(()) }
    }
}

fn shown(line: &Line) -> String {
    let (sign, style) = line.mark.sign();
    let text = output::plain(&line.text);
    let faint = if line.mark == Mark::Open { DIM } else { Style::new() };
    let shown = format!("  {style}{sign}{style:#} {faint}{:<10}  {text}{faint:#}", line.step.name());
    format!("{}\n", shown.trim_end())
}

/// `1 value`, `2 values`, `4,812 values`.
pub(super) fn count(number: u64, one: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let plural = if number == 1 { "" } else { "s" };
    format!("{grouped} {one}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_shows_where_the_run_is() {
        let mut board = Board::new(Format::Json);
        board.step(Step::NewKey, Mark::Done, "9a8b7c6d").ok();
        board.step(Step::SealAgain, Mark::Failed, "no\nsuch\u{1b}[31m file").ok();
        assert_eq!(board.next(), Some(Step::Verify));
        board.close().ok();
        let text: String = board.lines().iter().map(shown).collect();
        let text = anstream::adapter::strip_str(&text).to_string();
        let expected = "  ✓ new key     9a8b7c6d\n  ✗ seal again  no such [31m file\n  ○ verify\n  ○ commit\n  ○ merge\n  ○ retire\n";
        assert_eq!(text.lines().map(str::trim_end).collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
    }

    #[test]
    fn numbers_are_grouped() {
        let texts = [
            (0, "0 values"),
            (1, "1 value"),
            (999, "999 values"),
            (4812, "4,812 values"),
            (1_234_567, "1,234,567 values"),
        ];
        texts.into_iter().for_each(|(number, text)| assert_eq!(count(number, "value"), text));
    }
}
