//! `bulla git install`: what tells Git of sealed values, put where Git looks, and taken away again.
//!
//! Three things: settings that say which program shows and merges sealed files, lines of `.gitattributes` that say
//! which files these are, and a hook. Each is written only where it is not there yet, and what others put there stays.

mod attributes;
mod hook;
mod patterns;

use serde::Serialize;

use crate::args::{InstallArguments, Report};
use crate::failure::{OrFail as _, Outcome};
use crate::git::program::{self, Program};
use crate::output::{self, DIM, GOOD, WARN};

/// The settings, without the program's own folder.
const SETTINGS: [&str; 4] =
    ["diff.bulla.textconv", "diff.bulla.cachetextconv", "merge.bulla.name", "merge.bulla.driver"];
/// Where Git keeps what the first program printed. It is made again when it is needed.
const CACHE: &str = "refs/notes/textconv/bulla";

/// What became of one of the things. The names of the fields are part of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    what: What,
    state: State,
    /// The file, or the command that was run.
    place: String,
    /// What is left to do, or good to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum What {
    Settings,
    Attributes,
    Hook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Written,
    Removed,
    /// It was as it should be.
    Unchanged,
    /// It is not ours to write: the advice says what to do.
    LeftAlone,
}

impl Step {
    fn new(what: What, state: State, place: impl Into<String>) -> Self {
        Self { what, state, place: place.into(), advice: None }
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Runs the verb.
pub(super) fn run(arguments: &InstallArguments) -> Outcome {
    // Before anything is written: outside of a repository only the settings of the user can be.
    let root = if arguments.global { None } else { program::work_tree()? };
    let mut steps = Vec::new();
    if arguments.uninstall {
        steps.push(remove_settings(arguments.global)?);
        steps.push(attributes::remove(arguments.global, root.as_deref())?);
    } else {
        steps.push(write_settings(arguments.global)?);
        steps.push(attributes::write(arguments, root.as_deref())?);
    }
    if !arguments.global && root.is_some() {
        steps.push(if arguments.uninstall { hook::remove()? } else { hook::write(root.as_deref())? });
    }
    match arguments.output {
        Report::Json => output::print_json(&steps),
        Report::Text => output::print(&steps.iter().map(line).collect::<String>()),
    }
}

fn line(step: &Step) -> String {
    let what = match step.what {
        What::Settings => "diff and merge driver",
        What::Attributes => "attributes",
        What::Hook => "hook",
    };
    let (mark, state) = match step.state {
        State::Written => (format!("{GOOD}✓{GOOD:#}"), "written"),
        State::Removed => (format!("{GOOD}✓{GOOD:#}"), "taken away"),
        State::Unchanged => (format!("{GOOD}✓{GOOD:#}"), "as it should be"),
        State::LeftAlone => (format!("{WARN}!{WARN:#}"), "left alone"),
    };
    let mut line = format!("{mark} {what}: {state} {DIM}({}){DIM:#}\n", step.place);
    for advice in step.advice.iter().flat_map(|advice| advice.lines()) {
        line.push_str(&format!("  {advice}\n"));
    }
    line
}

/// Where `git config` is to write.
const fn scope(global: bool) -> &'static str {
    if global { "--global" } else { "--local" }
}

fn write_settings(global: bool) -> Outcome<Step> {
    let path = shell_path()?;
    // A Git that does not find the program must not take our version for the merged one.
    let missing = "command -v bulla >/dev/null || exec git merge-file --marker-size=%L %A %O %B";
    let driver =
        "exec bulla git merge-driver --marker-size=%L --base-label=%S --our-label=%X --their-label=%Y -- %O %A %B %P";
    let values = [
        format!("{path} bulla git diff-text"),
        "true".to_owned(),
        "sealed values by data key".to_owned(),
        format!("{}; {missing}; {driver}", path.replace('%', "%%")),
    ];
    let mut state = State::Unchanged;
    for (name, value) in SETTINGS.into_iter().zip(&values) {
        let now = Program::here(&["config", scope(global), "--get", name]).line()?;
        if now.as_ref() != Some(value) {
            Program::here(&["config", scope(global), "--replace-all", name, value]).output()?;
            state = State::Written;
        }
    }
    Ok(Step::new(What::Settings, state, format!("git config {}", scope(global))))
}

fn remove_settings(global: bool) -> Outcome<Step> {
    let mut state = State::Unchanged;
    for section in ["diff.bulla", "merge.bulla"] {
        if Program::here(&["config", scope(global), "--remove-section", section]).finish()?.status.success() {
            state = State::Removed;
        }
    }
    if !global {
        Program::here(&["update-ref", "-d", CACHE]).finish()?;
    }
    Ok(Step::new(What::Settings, state, format!("git config {}", scope(global))))
}

/// An assignment for the shell: the program is looked for on the `PATH`, then where it is now. Programs with windows
/// are often started with a short `PATH`.
fn shell_path() -> Outcome<String> {
    let program = std::env::current_exe().or_usage("finding out where this program is")?;
    let folder = program.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    Ok(format!("PATH=\"$PATH\":'{}'", folder.replace('\'', "'\\''")))
}
