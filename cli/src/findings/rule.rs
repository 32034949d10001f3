//! What can be found: each rule has an id that stays, a reason, and a way out.

use serde::Serialize;

use super::Level;
use crate::failure::{Outcome, usage};
use crate::output::{self, BAD, DIM, HEAD, WARN};

/// A rule. Its fields are part of the output.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rule {
    /// A word that stays: baselines, pipelines and dashboards name it.
    pub(crate) id: &'static str,
    /// How bad a finding is, where it does not say so itself.
    pub(crate) level: Level,
    /// What is found, in one line.
    pub(crate) summary: &'static str,
    /// Why it matters.
    pub(crate) why: &'static str,
    /// What to do about it, with a command where there is one.
    pub(crate) mend: &'static str,
}

/// Prints one rule, why it is there and how a finding is mended.
///
/// # Errors
/// When there is no such rule.
pub(crate) fn explain(rules: &[&'static Rule], id: &str, is_json: bool) -> Outcome {
    let Some(rule) = rules.iter().find(|rule| rule.id == id) else {
        let ids: Vec<&str> = rules.iter().map(|rule| rule.id).collect();
        return Err(usage!("there is no rule {id:?}; these are there: {}", ids.join(", ")));
    };
    if is_json {
        return output::print_json(rule);
    }
    let Rule { id, level, summary, why, mend } = rule;
    let style = style(*level);
    output::print(&format!(
        "{HEAD}{id}{HEAD:#} ({style}{}{style:#}): {summary}\n\n{why}\n\n{HEAD}Mend{HEAD:#}: {mend}\n",
        level.as_str()
    ))
}

/// Prints all rules, a line each.
pub(crate) fn list(rules: &[&'static Rule], is_json: bool) -> Outcome {
    if is_json {
        return output::print_json(&rules);
    }
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    let line = |rule: &&Rule| {
        let (style, level) = (style(rule.level), rule.level.as_str());
        format!("{:width$}  {style}{level:7}{style:#}  {DIM}{}{DIM:#}\n", rule.id, rule.summary)
    };
    output::print(&rules.iter().map(line).collect::<String>())
}

const fn style(level: Level) -> anstyle::Style {
    match level {
        Level::Error => BAD,
        Level::Warning => WARN,
    }
}
