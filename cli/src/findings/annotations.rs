//! Workflow commands of GitHub Actions, which show a finding beside its line in a pull request.

use super::{Finding, Root};

/// One finding as one line.
pub(super) fn workflow_command(finding: &Finding, root: &Root) -> String {
    let mut place = format!("file={}", property(&root.name(&finding.file)));
    if let Some(line) = finding.line {
        place.push_str(&format!(",line={line}"));
        finding.column.iter().for_each(|column| place.push_str(&format!(",col={column}")));
    }
    let (level, rule) = (finding.level.as_str(), finding.rule.id);
    let text = format!("{}\nMend: {}", finding.sentence(), finding.mend);
    format!("::{level} {place},title={}::{}\n", property(&format!("bulla {rule}")), escape(&text))
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
