//! What a compromised key exposes, for people.

use crate::audit::{Exposed, Exposure, When};
use crate::failure::Outcome;
use crate::output::{self, Cell, Column, GOOD, HEAD, Table, WARN};

/// Characters of a commit's id that are shown.
const COMMIT: usize = 10;

/// Lists every value that was ever sealed to the key, and says what to do.
pub(super) fn tell(exposures: &[Exposure]) -> Outcome {
    let all: Vec<&Exposed> = exposures.iter().flat_map(|exposure| &exposure.exposed).collect();
    let Some(key) = exposures.first().map(|exposure| exposure.key) else { return Ok(()) };
    let commits: usize = exposures.iter().map(|exposure| exposure.commits).sum();
    let unknown: u64 = exposures.iter().map(|exposure| exposure.unknown).sum();
    let mut text = String::new();
    if all.is_empty() {
        text.push_str(&format!("{GOOD}✓{GOOD:#} no value in {commits} commit(s) is known to be sealed to key {key}\n"));
    } else {
        text.push_str(&format!(
            "{HEAD}{} secret(s) in {commits} commit(s) were sealed to key {key}:{HEAD:#}\n",
            all.len()
        ));
        text.push_str(&table(&all));
        text.push_str(&format!(
            "{WARN}Sealing these again does not help.{WARN:#} The old ciphertext stays in Git, and whoever has the key and a \
             clone reads it.\nChange each secret itself where it is from (a new password, a new token), then \
             `bulla set` it.\n"
        ));
    }
    output::print(&text)?;
    if unknown > 0 {
        output::note(&format!(
            "{unknown} value(s) of kubeseal's in history do not say their key and may be exposed too: pass the key itself with \
             --identity to find out"
        ));
    }
    for note in exposures.iter().flat_map(|exposure| &exposure.notes) {
        output::note(note);
    }
    Ok(())
}

fn table(all: &[&Exposed]) -> String {
    let column = |title, least, sacrifice| Column { title, least, sacrifice };
    let mut table = Table::new(vec![
        column("FILE", 12, 0),
        column("OBJECT", 8, 1),
        column("KEY", 6, 0),
        column("VALUES", 6, 4),
        column("FIRST", 21, 3),
        column("LAST", 21, 2),
        column("HEAD", 4, 0),
    ]);
    let when = |when: &Option<When>| {
        let text = |when: &When| format!("{} {}", when.date, when.commit.get(..COMMIT).unwrap_or(&when.commit));
        when.as_ref().map_or_else(|| "-".to_owned(), text)
    };
    for one in all {
        let name = |name: &Option<String>| output::plain(name.as_deref().unwrap_or("-"));
        table.row(vec![
            output::plain(&one.file).into(),
            name(&one.object).into(),
            name(&one.key).into(),
            one.values.to_string().into(),
            when(&one.first).into(),
            when(&one.last).into(),
            if one.in_head { Cell::styled("yes", WARN) } else { "no".into() },
        ]);
    }
    table.render(output::width())
}
