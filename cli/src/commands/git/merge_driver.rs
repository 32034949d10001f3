//! `bulla git merge-driver`: what Git calls to merge a file that may hold sealed values.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::args::MergeDriverArguments;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::git::program;
use crate::merge::text::{Marks, Settings, Style};
use crate::merge::three_way::{self, Dispute, Texts, Verdict};
use crate::merge::{Side, Why};
use crate::output::{self, BAD, DIM, WARN};

/// Runs the verb. Git takes exit code 1 for conflicts, which must then be in the file: also where nothing else works.
pub(super) fn run(arguments: &MergeDriverArguments) -> Outcome {
    let read = |path: &Path| fs::read(path).or_usage(format!("reading {}", path.display()));
    let (base, ours, theirs) = (read(&arguments.base)?, read(&arguments.ours)?, read(&arguments.theirs)?);
    let texts = Texts { base: &base, ours: &ours, theirs: &theirs };
    let marks = marks(arguments);
    let verdict =
        settings().and_then(|(style, settings)| three_way::merge(&texts, &Marks { style, ..marks.clone() }, &settings));
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(failure) => {
            let whole = whole_conflict(&texts, &marks);
            replace(&arguments.ours, &whole)?;
            return Err(failure.at(format!("{} was not merged", arguments.path)));
        }
    };
    replace(&arguments.ours, &verdict.merged.text)?;
    if !is_inner(arguments) {
        tell(&arguments.path, &verdict);
    }
    if verdict.merged.conflicts { Err(Failure::said()) } else { Ok(()) }
}

/// Writes the result into the file that Git made for it, and for nothing else.
fn replace(path: &Path, bytes: &[u8]) -> Outcome {
    let written = fs::File::create(path).and_then(|mut file| file.write_all(bytes));
    written.or_usage(format!("writing {}", path.display()))
}

/// What `merge.conflictStyle` and `diff.algorithm` are here.
fn settings() -> Outcome<(Style, Settings)> {
    let mut settings = program::settings(&["merge.conflictstyle", "diff.algorithm"])?;
    // The last one counts.
    let mut last = |name| settings.get_mut(name).and_then(Vec::pop);
    Ok((Style::from_setting(last("merge.conflictstyle").as_deref()), Settings { algorithm: last("diff.algorithm") }))
}

fn marks(arguments: &MergeDriverArguments) -> Marks {
    let MergeDriverArguments { base_label, our_label, their_label, marker_size, .. } = arguments;
    // A Git that does not know %S, %X and %Y leaves them as they are.
    let label = |label: &String| Some(label.clone()).filter(|label| !label.is_empty() && !label.starts_with('%'));
    let merged = merged_branch();
    let ours = label(our_label).unwrap_or_else(|| if merged.is_some() { "HEAD" } else { "ours" }.to_owned());
    let theirs = label(their_label).or(merged).unwrap_or_else(|| "theirs".to_owned());
    let base = label(base_label).unwrap_or_else(|| "base".to_owned());
    Marks { size: *marker_size, style: Style::Merge, ours, base, theirs }
}

/// The name of the branch that `git merge` merges, which it tells its children.
fn merged_branch() -> Option<String> {
    let mut names = std::env::vars().filter(|(name, _)| name.starts_with("GITHEAD_")).map(|(_, value)| value);
    let first = names.next()?;
    names.next().is_none().then_some(first)
}

/// Both versions, whole, between markers: nothing is lost, and nobody takes it for merged.
fn whole_conflict(texts: &Texts<'_>, marks: &Marks) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut put = |sign: u8, label: &str, text: &[u8]| {
        whole.extend(vec![sign; marks.size]);
        whole.extend_from_slice(format!(" {label}").trim_end().as_bytes());
        whole.push(b'\n');
        whole.extend_from_slice(text);
        if !text.is_empty() && !text.ends_with(b"\n") {
            whole.push(b'\n');
        }
    };
    put(b'<', &marks.ours, texts.ours);
    put(b'=', "", texts.theirs);
    put(b'>', &marks.theirs, b"");
    whole
}

/// Whether this is a merge of what two branches come from, which Git does for itself where they were merged crosswise.
/// Its conflicts are nobody's to resolve. It makes the markers longer by two for each level.
fn is_inner(arguments: &MergeDriverArguments) -> bool {
    let MergeDriverArguments { our_label, marker_size, .. } = arguments;
    let has_label = !our_label.is_empty() && !our_label.starts_with('%');
    if has_label { our_label.starts_with("Temporary merge branch") } else { [9, 11, 13].contains(marker_size) }
}

/// Says on standard error which keys are in conflict, and what each side's seal tells.
fn tell(path: &str, verdict: &Verdict) {
    let path = output::plain(path);
    if let Some(reason) = &verdict.fallback {
        output::note(&format!("{WARN}{path}{WARN:#}: merged line by line, not by key: {reason}"));
    }
    for dispute in &verdict.disputes {
        output::note(&format!("{BAD}{path}{BAD:#}: {}", sentence(dispute)));
        for (side, told) in [("ours", &dispute.ours), ("theirs", &dispute.theirs)] {
            let told = told.as_deref().unwrap_or("not there");
            output::note(&format!("  {side:6}  {DIM}{}{DIM:#}", output::plain(told)));
        }
    }
    if !verdict.disputes.is_empty() {
        output::note(&format!(
            "Finish it by hand, or: bulla git resolve {path} --identity FILE | --ours | --theirs | --newest"
        ));
    }
}

fn sentence(dispute: &Dispute) -> String {
    let Dispute { object, key, why, .. } = dispute;
    let (object, key) = (output::plain(object), output::plain(key));
    let name = |side: Side| if side == Side::Ours { "ours" } else { "theirs" };
    let other = |side: Side| if side == Side::Ours { "theirs" } else { "ours" };
    match why {
        Why::Changed => format!("{key} of {object} was sealed anew on both sides"),
        Why::Added => format!("{key} of {object} was added on both sides"),
        Why::Removed(side) => {
            format!("{key} of {object} was taken out in {} and changed in {}", name(*side), other(*side))
        }
        Why::Comments => format!("the comment at {key} of {object} was changed on both sides"),
        Why::Misplaced(side) => format!(
            "{key} of {object}: the value from {} was sealed for the place that the object had there, and would not open \
             where the object is now: seal it again",
            name(*side)
        ),
    }
}
